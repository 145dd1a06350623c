/* Private: from tensors to packed weights; one file for each half of a layer. */
#ifndef ENGINE_LOADER_H
#define ENGINE_LOADER_H

#include "engine/model.h"
#include "engine/tensors.h"

#include "base/progress.h"

struct loader {
	struct engine_tensors *tensors;
	const struct model_config *c;
	struct model_weights *w;
	bool *used; /* [count] */
	struct progress progress;
	char name[300]; /* of the tensor at work */
	struct err *e;
};

/* ---- weights.c: single tensors ---- */

/* Or NULL; marks it as used. */
const struct engine_tensor *loader_find(struct loader *l, const char *name);
/* l->name = "model.layers.L.PART" */
void loader_name(struct loader *l, uint32_t layer, const char *part);
/* The tensor l->name, which must have this shape. */
int loader_expect(struct loader *l, const uint32_t *shape, int rank,
		  const struct engine_tensor **out) MUST_USE;
/* ERR_INPUT for FP8 that the config does not announce. */
int loader_supported(struct loader *l, const struct engine_tensor *t) MUST_USE;
enum kernel_format loader_format(const struct engine_tensor *t); /* as packed */
size_t loader_element_bytes(enum kernel_format f);
/* Rows in the form that is packed: stored bytes where the format keeps them, else f32. */
int loader_rows(struct loader *l, const struct engine_tensor *t, enum kernel_format f, uint64_t row,
		uint64_t rows, void *out) MUST_USE;
/* kernel_matrix_alloc, counted. */
int loader_matrix_alloc(struct loader *l, enum kernel_format f, uint32_t rows, uint32_t columns,
			struct kernel_matrix *w) MUST_USE;
/* [n] and [rows, columns] of a layer, by the part of the name after "model.layers.L.". */
int loader_layer_vector(struct loader *l, uint32_t layer, const char *part, uint32_t n,
			float **out) MUST_USE;
int loader_layer_matrix(struct loader *l, uint32_t layer, const char *part, uint32_t rows,
			uint32_t columns, struct kernel_matrix *w) MUST_USE;

/* ---- weights_attn.c, weights_ffn.c, weights_fused.c ---- */

int loader_attention(struct loader *l, uint32_t layer, struct layer_weights *w) MUST_USE;
void loader_attention_free(struct layer_weights *w, const struct model_config *c);
int loader_ffn(struct loader *l, uint32_t layer, struct layer_weights *w) MUST_USE;
void loader_ffn_free(struct layer_weights *w, const struct model_config *c);
/* Experts that one tensor holds for all, gate and up interleaved: gpt_oss. */
int loader_fused(struct loader *l, uint32_t layer, struct layer_weights *w) MUST_USE;

#endif
