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

/* tensors.c: so many more tensors have room; and sorted by name, then by file. */
int model_tensors_room(struct model_tensors *d, size_t more, struct err *e) MUST_USE;
void model_tensors_sort(struct model_tensors *d);

/* A weight that a model computes with; and what has values at all. */
bool model_dtype_is_float(enum model_dtype d);
bool model_dtype_has_values(enum model_dtype d);

/* The stored bytes of rows [row, row + rows), turned heads as they were. */
int model_tensors_bytes(struct model_tensors *t, const struct model_tensor *w, uint64_t row,
			uint64_t rows, void *out, struct err *e) MUST_USE;

/* blocks.c: n values, whole blocks, of a type that has blocks. */
void model_blocks_widen(enum model_dtype type, const unsigned char *raw, size_t n, float *out);

#endif
