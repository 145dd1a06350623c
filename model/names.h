/* What the tensors of a family are called, and how their rows go to the slots of a layer. */
#ifndef MODEL_NAMES_H
#define MODEL_NAMES_H

#include "model/weights.h"

/* Whose slots a row names: those of no layer, norms and routers, attention, a query that comes by
 * way of a latent, the delta rule, a dense network, the shared expert, experts. */
enum model_role {
	ROLE_WHOLE,
	ROLE_LAYER,
	ROLE_ATTENTION,
	ROLE_LATENT,
	ROLE_DELTA,
	ROLE_DENSE,
	ROLE_SHARED,
	ROLE_EXPERT
};

struct slot_shape {
	enum weight_class class;
	bool gain;
	uint32_t rows, columns;
};

/* weights_slots.c: which rows name a slot of the layer; and its shape, false where it does not
 * exist. */
enum model_role model_slot_role(const struct model_config *c, uint32_t layer, enum model_slot slot);
bool model_slot_shape(const struct model_config *c, uint32_t layer, enum model_role role,
		      enum model_slot slot, struct slot_shape *out);

/* How often the slots of one tensor take turns: once, one after the other; or for each head, each
 * key head of the delta rule, each row. */
enum model_split { SPLIT_FLAT, SPLIT_HEADS, SPLIT_KEY_HEADS, SPLIT_ROWS };

/* One tensor. The name comes after the prefix and "layers.L."; in it * stands for the expert's
 * number and $ for the half of a pair of layers. ROLE_WHOLE: after the prefix, or with a leading /
 * after the root. An expert's name without *: a tensor of all of them, [E, rows, columns].
 *
 * Only the rows count whose slots all exist in the layer. Of several for one slot, those of the
 * family first, it is the first that is in the folder. */
struct model_name {
	enum model_role role;
	const char *name;
	enum model_slot slot[MODEL_PARTS]; /* ended by a 0, or by the end */
	enum model_split split;
	bool turned; /* of all experts, transposed: [E, columns, rows] */
	uint8_t at;  /* SLOT_ACT: which of its numbers */
};

struct model_names {
	const char *base;             /* of all names but those with a leading /; NULL: "model." */
	const char *layers;           /* NULL: "layers." */
	bool pairs;                   /* two layers of the config are one of the folder */
	const struct model_name *own; /* ended by a NULL name; NULL: none */
	/* Starts and ends of names that are no part of the model, beside those of every family;
	 * ended by NULL; NULL: none. */
	const char *const *extra, *const *ends;
};

/* names.c: those of most families, ended by a NULL name. */
extern const struct model_name model_names_default[];

/* names_dense.c, names_moe.c */
extern const struct model_names model_names_gemma, model_names_gemma4, model_names_glm4,
	model_names_phi3, model_names_apertus, model_names_hunyuan, model_names_gpt_neox,
	model_names_phi, model_names_exaone, model_names_starcoder2;
extern const struct model_names model_names_gpt_oss, model_names_mixtral, model_names_minimax_m2,
	model_names_ernie4_5_moe, model_names_granitemoe, model_names_qwen3_next,
	model_names_qwen3_5, model_names_qwen3_vl_moe, model_names_kimi_linear,
	model_names_bailing_hybrid;
/* names_sparse.c */
extern const struct model_names model_names_llama4, model_names_longcat, model_names_mimo;

#endif
