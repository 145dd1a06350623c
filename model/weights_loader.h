/* Private: making the plan, and reading by it. First a list is made of everything the model
 * consists of, every name, type and shape checked and every format chosen; then the keeper takes
 * its memory; then files are read from front to back, and whatever part of the list a piece of a
 * file belongs to is filled from there. */
#ifndef MODEL_WEIGHTS_LOADER_H
#define MODEL_WEIGHTS_LOADER_H

#include "model/tensors_in.h"
#include "model/weights.h"

#include "base/progress.h"

#include <stdatomic.h>

#define ITEM_PHASES 3

struct loader {
	struct model_tensors *tensors; /* NULL: weights are invented */
	const struct model_config *c;
	const struct weights_order *order;
	struct model_plan plan;
	size_t capacity;
	uint64_t scratch_bytes; /* of one thread, as the keeper asks */
	bool *used;             /* [tensors] */
	const char *prefix;     /* of the names of all tensors but the head: "model.", or "" */
	struct model_keeper *keeper;
	struct progress progress;
	char name[300]; /* of the tensor at work */
	struct err *e;
};

/* ---- weights_plan.c: the list ---- */

int model_plan_make(struct loader *l) MUST_USE;
/* Add up what reading it takes. */
void model_plan_sum(struct loader *l);
/* l->name = "PREFIXlayers.L.PART" */
void model_plan_name(struct loader *l, uint32_t layer, const char *part);
/* Add the tensor l->name, which must have this shape; NULL shape: [rows, columns]. */
int model_plan_add(struct loader *l, const struct model_item *it, const uint32_t *shape,
		   int rank) MUST_USE;
/* [n] and [rows, columns] of a layer, by the part of the name after "layers.L.". */
int model_plan_floats(struct loader *l, uint32_t layer, const char *part, enum model_slot slot,
		      uint32_t n) MUST_USE;
int model_plan_matrix(struct loader *l, enum weight_class class, uint32_t layer, const char *part,
		      enum model_slot slot, uint32_t rows, uint32_t columns) MUST_USE;

/* weights_attn.c, weights_ffn.c, weights_fused.c: one half of a layer each. */
int model_plan_attention(struct loader *l, uint32_t layer) MUST_USE;
int model_plan_ffn(struct loader *l, uint32_t layer) MUST_USE;
int model_plan_fused(struct loader *l, uint32_t layer) MUST_USE;

/* ---- weights_choice.c ---- */

enum kernel_format model_plan_format(const struct loader *l, enum weight_class class,
				     enum model_dtype stored);

/* ---- weights_read.c ---- */

/* Read everything to the keeper. */
int model_plan_read(struct loader *l) MUST_USE;

#endif
