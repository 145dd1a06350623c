/* Private: typed members of a config object. The first error sticks, so that a reader is one line
 * for each member. */
#ifndef MODEL_CONFIG_READER_H
#define MODEL_CONFIG_READER_H

#include "base/json.h"
#include "model/config.h"

/* What a config means that leaves a key out: its reference class's default. Truth is 1 or 0. */
struct config_default {
	const char *key;
	double value;
};

struct config_reader {
	const json_t *o;
	const char *file;                    /* for sentences */
	char within[64];                     /* "rope_scaling." inside a member, else "" */
	const struct config_family *family;  /* NULL: not known yet */
	const struct config_default *absent; /* ended by a NULL key; NULL: none */
	json_t *seen;                        /* object of the keys asked for; NULL: not kept */
	bool typed;                          /* layer_types was read */
	char *notes;                         /* of the config */
	int code;                            /* first error */
	struct err *e;
};

/* A reader for a member object; copy its code back. */
struct config_reader model_config_inside(struct config_reader *r, const char *key, const json_t *o);

const json_t *model_config_get(struct config_reader *r, const char *key); /* or NULL */
/* "config.json: KEY VALUE: why"; keeps the first. Returns the sticky code. */
int model_config_refuse(struct config_reader *r, int code, const char *key, const char *why);

/* Add a line to the notes; what has no room is left out. */
void model_config_note(struct config_reader *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Absent or null. */
bool model_config_absent(struct config_reader *r, const char *key);

/* Required, unless the reference class has a default for a key that is left out; null refuses. 0
 * after an error. */
uint32_t model_config_u32(struct config_reader *r, const char *key, uint32_t min, uint32_t max);
const char *model_config_text(struct config_reader *r, const char *key); /* "" after an error */
double model_config_number(struct config_reader *r, const char *key, double min, double max);
/* Optional: null is the fallback, and so is a key that is left out, unless the reference class has
 * a default. */
uint32_t model_config_u32_or(struct config_reader *r, const char *key, uint32_t fallback,
			     uint32_t min, uint32_t max);
double model_config_number_or(struct config_reader *r, const char *key, double fallback, double min,
			      double max);
/* Null is false, as it is in Python. */
bool model_config_bool_or(struct config_reader *r, const char *key, bool fallback);
/* One of the NULL-terminated values; fallback NULL: required. Others refuse as ERR_UNSUPPORTED. */
const char *model_config_choice(struct config_reader *r, const char *key, const char *fallback,
				const char *const *values);
void model_config_text_only(struct config_reader *r, const char *key, const char *fallback,
			    const char *value);

/* config_rope.c: rope_theta and rope_scaling, or rope_parameters, into c->rope. The caller sets
 * size, layout and share, and what holds where both are absent. */
void model_config_rope(struct config_reader *r, struct model_config *c);
/* What rope_parameters say of layers of a kind, where they are by kind: into *p, which holds size,
 * layout, and what holds where they say nothing. */
void model_config_rope_kind(struct config_reader *r, const char *kind, struct model_rope *p);
/* One more table of the model; its index. */
uint8_t model_config_rope_add(struct config_reader *r, struct model_config *c,
			      const struct model_rope *p);
/* A number that one family keeps among these parameters, in either spelling; or the fallback. */
double model_config_rope_number(struct config_reader *r, const char *key, double fallback,
				double min, double max);
/* The share of a head that is rotated. Source of the default: the reference class. */
double model_config_rope_share(struct config_reader *r);

/* config_layers.c: every layer alike, from what the attention's reader has read: a reader that
 * makes layers different calls it first. Where none did, it is done at the end. */
void model_config_layers(struct model_config *c);
/* layer_types: for each layer the index of its kind in the NULL-ended list; false: it is absent, or
 * refused, and kind[] is as it was. */
bool model_config_layer_types(struct config_reader *r, const struct model_config *c,
			      const char *const *kinds, uint8_t *kind);
/* config_text.c: the text model of a file that wraps one. *merged takes the object that the reader
 * goes on with, to be released when it is done. */
int model_config_unwrap(struct config_reader *r, const struct config_family **f, json_t **merged);

/* config_choice.c: the activation of feed-forward networks. */
void model_config_activation(struct config_reader *r, struct model_config *c);

struct config_family;

/* config_keys.c: refuse keys that would change the computation and that the family does not read;
 * and say in the notes which keys nobody knows. */
int model_config_keys_refuse(struct config_reader *r, const struct config_family *f);
void model_config_keys_note(struct config_reader *r);

/* config_quant.c: quantization_config, after what the family says of its experts. */
void model_config_quantisation(struct config_reader *r, struct model_config *c);

/* config_experts.c: the routers and the widths of experts. */
void model_config_experts_softmax(struct config_reader *r, struct model_config *c);
void model_config_experts_qwen(struct config_reader *r, struct model_config *c);
void model_config_experts_deepseek_v2(struct config_reader *r, struct model_config *c);
void model_config_experts_sigmoid(struct config_reader *r, struct model_config *c);
void model_config_experts_topk(struct config_reader *r, struct model_config *c);
void model_config_experts_mistral4(struct config_reader *r, struct model_config *c);
void model_config_experts_gemma4(struct config_reader *r, struct model_config *c);
void model_config_experts_minimax(struct config_reader *r, struct model_config *c);
void model_config_experts_granite(struct config_reader *r, struct model_config *c);
void model_config_experts_ernie(struct config_reader *r, struct model_config *c);
void model_config_experts_hunyuan(struct config_reader *r, struct model_config *c);

#endif
