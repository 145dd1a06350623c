/* A LoRA adapter (PEFT): for some matrices W of a base model, W' = W + s * B A, merged while the
 * base is read.
 *
 *   adapter_config.json        what was trained, and s: lora_alpha / r, or / sqrt(r)
 *   adapter_model.safetensors  base_model.model.X.lora_A.weight [r, inputs] and
 *                              base_model.model.X.lora_B.weight [outputs, r] for each X
 *
 * base_model.model.X.base_layer.weight, which PEFT writes of a head that it adapts, must be W.
 *
 * value(o, i) = f32(W(o, i) + s * sum over j of B(o, j) * A(j, i)): W as f32, the sum from zero in
 * ascending j, all in f64, rounded once. Source: PEFT, tuners/lora, get_delta_weight. */
#ifndef MODEL_ADAPTER_H
#define MODEL_ADAPTER_H

#include "model/config.h"
#include "model/tensors.h"

/* What it adds to one matrix. */
struct model_low_rank {
	const char *module; /* "model.layers.0.self_attn.q_proj" */
	const struct model_tensor *a, *b;
	const struct model_tensor *base; /* what W must be; NULL: not said */
	uint32_t rank;
	double scale;
	float *down, *up, *same; /* [rank][inputs], [outputs][rank], base's or NULL; owned */
};

struct model_adapter {
	struct source *source; /* borrowed */
	struct model_tensors *tensors;
	struct model_low_rank *part; /* [count], by name from "layers." on */
	size_t count;
	char notes[MODEL_NOTES]; /* lines of what a person should know, or "" */
};

/* Read the folder's config and the names, types and shapes of its tensors. values: and all values.
 * base: what the model is called that it is merged into, for the notes; or NULL. Other kinds of
 * adapters, and whatever would compute otherwise, are refused by key or tensor and value. */
int model_adapter_open(struct model_adapter **out, struct source *src, const char *base,
		       bool values, struct err *e) MUST_USE;
void model_adapter_close(struct model_adapter *a); /* NULL is fine */

/* Whether the folder is an adapter's. */
bool model_adapter_is(struct source *src);

/* The part for the tensor "...X.weight", by the whole name or by what it is from "layers." on; or
 * NULL. */
const struct model_low_rank *model_adapter_find(const struct model_adapter *a, const char *tensor);
/* ERR_INPUT: it is of another base, whose matrix is not [rows, columns]. */
int model_adapter_fits(const struct model_low_rank *p, const char *tensor, uint32_t rows,
		       uint32_t columns, struct err *e) MUST_USE;
/* Add to n rows from `row` on, v [n][columns]. ERR_INPUT: they are not those of its base. */
int model_adapter_add(const struct model_low_rank *p, uint32_t row, uint32_t n, uint32_t columns,
		      float *v, struct err *e) MUST_USE;

/* adapter_config.c: s and rank of each module by the config. */
int model_adapter_config(struct model_adapter *a, const char *text, size_t len, const char *base,
			 struct err *e) MUST_USE;

#endif
