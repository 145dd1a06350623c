/* Private: a GGUF model as a folder. gguf_folder.c finds its files and shows texts in place of
 * those of a folder; gguf_arch.c says what architectures are called and how their tensors are;
 * gguf_arch_layers.c goes on with it; gguf_config.c makes config.json, gguf_tokenizer.c the
 * tokenizer's files, gguf_tensors.c the directory of tensors. */
#ifndef MODEL_GGUF_IN_H
#define MODEL_GGUF_IN_H

#include "base/json.h"
#include "model/gguf.h"
#include "model/tensors_in.h"

#define MODEL_GGUF_LAYERS 1024
#define MODEL_GGUF_ROWS (1u << 24) /* of one matrix */

struct gguf_model {
	struct source *source; /* borrowed */
	const char *file;      /* the first one's name */
	struct model_gguf **part;
	size_t parts;
	const struct gguf_arch *arch;
	uint32_t layers, extra; /* without and of those for prediction further ahead */
	uint32_t heads, kv_heads;
	bool loose; /* for its values alone: what nobody knows is left as the file has it */
	bool unknown; /* loose: an architecture that is not here */
};

/* How a tensor is other than in a folder of safetensors. */
enum gguf_form {
	GGUF_PLAIN,
	GGUF_TURNED_Q, /* rows of each head in pairs, undone when they are packed */
	GGUF_TURNED_K,
	GGUF_COMPLETE, /* a gain that has its plus one */
	GGUF_DECAY,    /* -exp of what a folder has */
	GGUF_ROW,      /* of one dimension here, of [1, n] there */
	GGUF_TAPS,     /* [channels, taps] with ones between */
	GGUF_KNOWN,    /* read elsewhere, or not needed */
};

/* Names behind "blk.N." and "model.layers.N."; or whole ones, for which `whole` is set. '*': one
 * tensor for each of the first dimension. The table ends with a NULL. */
struct gguf_name {
	const char *from, *to;
	enum gguf_form form;
	bool whole;
};

/* A list of numbers in the metadata, one for each layer: a tensor of one in a folder. The table
 * ends with a NULL. */
struct gguf_listed {
	const char *key, *to;
};

/* config.json at work; the first error sticks. */
struct gguf_maker {
	const struct gguf_model *m;
	json_t *o;
	int code;
	struct err *e;
};

struct gguf_arch {
	const char *name, *type; /* general.architecture, model_type */
	const char *experts;     /* what config.json calls expert_count */
	const char *fixed;       /* members of config.json that the file does not have; or NULL */
	const struct gguf_name *names;     /* before those of all; or NULL */
	void (*own)(struct gguf_maker *c); /* further members; or NULL */
	const char *base;                  /* of a layer's tensors; NULL: "model." */
	/* The number of heads and the width of networks may differ from layer to layer, and
	 * rope_freqs is no scaling: own() reads all of them. */
	bool by_layer;
	const struct gguf_listed *listed; /* or NULL */
};

/* gguf_arch.c: by general.architecture and what else tells; ERR_UNSUPPORTED names it. */
int model_gguf_arch(struct gguf_model *m, struct err *e) MUST_USE;
/* The same, or the names that most architectures have. */
void model_gguf_arch_loose(struct gguf_model *m);
/* Of all architectures. */
extern const struct gguf_name model_gguf_names[];
/* gguf_arch_layers.c: further ones, ended by one without a name. */
extern const struct gguf_arch model_gguf_layered[];

/* gguf_arch.c, for members of config.json: */
bool model_gguf_has(struct gguf_maker *c, const char *tensor);
uint32_t model_gguf_head(struct gguf_maker *c);               /* width of a head */
void model_gguf_share(struct gguf_maker *c, const char *key); /* the share of a head that turns */
void model_gguf_biases(struct gguf_maker *c);
void model_gguf_window(struct gguf_maker *c);      /* null where the file has none */
void model_gguf_latent(struct gguf_maker *c);      /* what is DeepSeek's */
extern const struct gguf_name model_gguf_turned[]; /* rows of q and k in pairs, and no more */
/* Refuses by name what a key of the metadata says, or does not. */
void model_gguf_refuse(struct gguf_maker *c, const char *key, const char *why);

/* gguf_config.c: metadata below the architecture's name, of one number for all layers; fallback
 * where it is absent. */
const json_t *model_gguf_meta(const struct gguf_model *m, const char *key);
int model_gguf_count(const struct gguf_model *m, const char *key, uint32_t fallback, uint32_t *out,
		     struct err *e) MUST_USE;
/* A tensor by the file's name, or NULL. */
const struct model_tensor *model_gguf_find(const struct gguf_model *m, const char *name);
int model_gguf_config(const struct gguf_model *m, struct buf *out, struct err *e) MUST_USE;

/* Add a member, whose reference is taken. */
void model_gguf_set(struct gguf_maker *c, const char *key, json_t *v);
/* Of metadata; absent: left out. */
void model_gguf_copy(struct gguf_maker *c, const char *from, const char *to);
/* The values of a tensor of factors; a list that is shorter where there was an error. */
json_t *model_gguf_factors(struct gguf_maker *c, const char *tensor);
/* rope_factors_short and _long as rope_scaling. */
void model_gguf_longrope(struct gguf_maker *c);
uint32_t model_gguf_ask(struct gguf_maker *c, const char *key, uint32_t fallback);

/* gguf_tensors.c */
int model_gguf_tensors(const struct gguf_model *m, struct model_tensors **out,
		       struct err *e) MUST_USE;
/* gguf_folder.c: the model behind a source that shows one, or NULL. */
const struct gguf_model *model_gguf_of(const struct source *src);

/* gguf_tokenizer.c: tokenizer.json and tokenizer_config.json; empty: the file has no tokenizer. */
int model_gguf_tokenizer(const struct gguf_model *m, struct buf *out, struct err *e) MUST_USE;
/* GGUF_CARD: where the file says that it is from, as front matter of a card. */
#define GGUF_CARD "general.md"
int model_gguf_card(const struct gguf_model *m, struct buf *out, struct err *e) MUST_USE;
int model_gguf_tokenizer_config(const struct gguf_model *m, struct buf *out,
				struct err *e) MUST_USE;
/* The ids that end an answer, appended to list. */
int model_gguf_ends(const struct gguf_model *m, json_t *list, struct err *e) MUST_USE;

#endif
