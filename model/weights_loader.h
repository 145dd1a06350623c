/* Private: making the plan, and reading by it. First a list is made of everything the model
 * consists of, every name, type and shape checked and every format chosen; then the keeper takes
 * its memory; then files are read from front to back, and whatever part of the list a piece of a
 * file belongs to is filled from there. */
#ifndef MODEL_WEIGHTS_LOADER_H
#define MODEL_WEIGHTS_LOADER_H

#include "model/names.h"
#include "model/tensors_in.h"
#include "model/weights.h"

#include "base/progress.h"

#include <stdatomic.h>

#define ITEM_PHASES 3

/* An item that several tensors of one number fill. */
#define MODEL_SCALARS 4
struct scalars {
	size_t item;
	const struct model_tensor *tensor[MODEL_SCALARS];
};

struct loader {
	struct model_tensors *tensors; /* NULL: weights are invented */
	const struct model_config *c;
	const struct weights_order *order;
	struct model_plan plan;
	size_t capacity;
	uint64_t scratch_bytes; /* of one thread, as the keeper asks */
	bool *used;             /* [tensors] */
	const char *root,
		*base; /* before all names, and after it before those of the model proper */
	struct scalars *scalars;
	size_t scalars_count;
	struct model_keeper *keeper;
	struct progress progress;
	char name[300]; /* of the tensor at work */
	struct err *e;
};

/* ---- weights_plan.c: the list ---- */

/* Add up what reading it takes. */
void model_plan_sum(struct loader *l);
/* Add the tensor l->name, which must have this shape. */
int model_plan_add(struct loader *l, const struct model_item *it, const uint32_t *shape,
		   int rank) MUST_USE;
/* Add an item of it->rows tensors of one number each, by the names of its slot. */
int model_plan_scalars(struct loader *l, const struct model_item *it) MUST_USE;
/* Set units, and append. */
int model_plan_push(struct loader *l, struct model_item *it) MUST_USE;

/* ---- weights_layers.c: what there is to list ---- */

int model_plan_make(struct loader *l) MUST_USE;

/* ---- weights_names.c ---- */

/* Where the names of this folder begin: root and base. */
void model_plan_prefix(struct loader *l);
/* The row that names the slot, and l->name by it; none that brings a slot of taken [MODEL_SLOTS],
 * NULL: none is. */
const struct model_name *model_plan_row(struct loader *l, enum model_slot slot,
					enum model_role role, uint32_t layer, uint32_t expert,
					const bool *taken);
/* l->name of the at-th of several tensors of one slot. */
int model_plan_name_at(struct loader *l, enum model_slot slot, uint32_t layer,
		       uint32_t at) MUST_USE;
/* The folder has l->name with this after it. */
bool model_plan_has(const struct loader *l, const char *end);
/* Every tensor has been used, or is known to be no part of the model. */
int model_plan_unused(struct loader *l) MUST_USE;

/* ---- weights_choice.c ---- */

enum kernel_format model_plan_format(const struct loader *l, enum weight_class class,
				     enum model_dtype stored);

/* ---- weights_floats.c: what the reader completes ---- */

/* Give the keeper the f32 values of an ITEM_FLOATS. */
int model_floats_give(struct model_keeper *k, const struct model_item *it,
		      const unsigned char *bytes, unsigned char *scratch, struct err *e) MUST_USE;
/* Read the items that several tensors fill. */
int model_scalars_read(struct loader *l, unsigned char *scratch) MUST_USE;

/* ---- weights_read.c ---- */

/* Read everything to the keeper. */
int model_plan_read(struct loader *l) MUST_USE;

#endif
