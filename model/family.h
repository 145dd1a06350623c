/* Private: the families' readers. family_*.c hold them by kinship: for each family a table of what
 * its reference class assumes, a reader, and a row in a list that family.c knows. */
#ifndef MODEL_FAMILY_H
#define MODEL_FAMILY_H

#include "model/config_reader.h"

#define FAMILY_KEYS 16

/* A key that the family's files call otherwise; the other name counts more, as in the reference. */
struct config_alias {
	const char *key, *other;
};

/* One architecture, or one that wraps others. */
struct config_family {
	const char *type; /* model_type */
	/* What all layers have alike. */
	void (*read)(struct config_reader *r, struct model_config *c);
	/* What makes layers differ: called when layer[] is filled alike; NULL: nothing does. */
	void (*layers)(struct config_reader *r, struct model_config *c);
	const struct config_default *absent;
	/* The keys of config_keys.c's list that its reader understands, ended by NULL. */
	const char *own[FAMILY_KEYS];
	bool extra; /* its files may hold layers for prediction further ahead */
	const struct model_names *names;  /* of its tensors; NULL: those of most families */
	const struct config_alias *alias; /* ended by a NULL key; NULL: none */

	/* The class's hidden_activation or hidden_act; NULL: SiLU alone will do. */
	const char *activation;
	const char *epsilon;   /* key of the norms' epsilon; NULL: rms_norm_eps */
	const char *share;     /* key of the share of a head that is rotated; NULL: all of it */
	const char *theta;     /* key of the rotation's base; NULL: rope_theta */
	const char *rope_kind; /* rope_parameters may be by kind of layer: which kind's are the
				* config's own; NULL: they are all layers' */

	/* Its text model is text_config, of this model_type where it names none, or the file
	 * itself where it has no text_config; other members of the row do not count then. */
	const char *wraps;
};
/* NULL: unknown. */
const struct config_family *model_family_of(const char *type);
bool model_family_owns(const struct config_family *f, const char *key);

/* By kinship, each ended by a NULL type. */
extern const struct config_family model_family_deepseek[], model_family_llama[],
	model_family_qwen[], model_family_moe[], model_family_gemma[], model_family_norms[],
	model_family_layernorm[], model_family_experts[], model_family_delta[],
	model_family_sparse[], model_family_wrappers[];

/* Widths and rotation of the two kinds of attention. */
void model_family_mla(struct config_reader *r, struct model_config *c);
void model_family_gqa(struct config_reader *r, struct model_config *c);
/* attention_bias, on q, k, v and o. */
void model_family_biases(struct config_reader *r, struct model_config *c);
/* sliding_window, of the layers first, first + every, ... Null is no window. */
void model_family_window(struct config_reader *r, struct model_config *c, uint32_t first,
			 uint32_t every);
/* sliding_window of all layers but each every-th (0: of all); layer_types counts more. */
void model_family_window_but(struct config_reader *r, struct model_config *c, uint32_t every);
/* embedding_multiplier, residual_multiplier, logits_scaling (attention_multiplier is a layer's). */
void model_family_granite(struct config_reader *r, struct model_config *c);
/* Where the file gives no parameters of the rotation the class's own hold, the base among them: a
 * rope_theta beside does not count, as in the reference. True: so it is. */
bool model_family_rope_assumed(struct config_reader *r, struct model_config *c, double theta);
/* Queries that grow with the position, by a number among these parameters (theta: as above); and
 * all layers are such. */
void model_family_temper(struct config_reader *r, struct model_config *c, double theta);
void model_family_tempered(struct config_reader *r, struct model_config *c);
/* intermediate_size */
void model_family_ffn(struct config_reader *r, struct model_config *c);

#endif
