/* Private: the tensor directory, and decoding of stored values to f32. */
#ifndef MODEL_TENSORS_IN_H
#define MODEL_TENSORS_IN_H

#include "base/arena.h"
#include "kernels/matrix.h"
#include "model/tensors.h"

struct model_tensors {
	struct arena arena;          /* names */
	struct source *source;       /* borrowed; NULL for a header in memory */
	struct model_tensor *tensor; /* [count], sorted by name */
	size_t count;
};

/* Columns (last dimension, 1 for rank 0) and rows (product of the others). */
uint64_t model_tensor_columns(const struct model_tensor *t);
uint64_t model_tensor_rows(const struct model_tensor *t);

/* The stored bytes of rows [row, row+rows). */
int model_tensors_bytes(struct model_tensors *t, const struct model_tensor *w, uint64_t row,
			uint64_t rows, void *out, struct err *e) MUST_USE;

bool model_dtype_is_float(enum model_dtype d);

/* The block scales of an FP8 tensor as f32, [ceil(rows/128)][ceil(columns/128)], malloc'ed. Their
 * tensor's existence, type and shape are checked; ERR_INPUT if one is not finite. */
int model_tensors_scales(struct model_tensors *t, const struct model_tensor *w, float **out,
			 struct err *e) MUST_USE;

#endif
