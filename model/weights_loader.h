/* Private: making the plan, and reading by it. First a list is made of everything the model
 * consists of, every name, type and shape checked and every format chosen; then the keeper takes
 * its memory; then files are read from front to back, and whatever part of the list a piece of a
 * file belongs to is filled from there. */
#ifndef MODEL_WEIGHTS_LOADER_H
#define MODEL_WEIGHTS_LOADER_H

#include "model/adapter.h"
#include "model/codes.h"
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

/* A matrix in codes, or one that an adapter adds to. The reader keeps what lies beside the codes,
 * decodes and adds: the keeper gets f32. */
struct coded {
	struct model_codes set;
	const struct model_low_rank *low; /* NULL: nothing is added */
	unsigned char *kept[CODING_PARTS]; /* as stored, until coding has them; owned */
};

struct loader {
	struct model_tensors *tensors; /* NULL: weights are invented */
	const struct model_config *c;
	const struct weights_order *order;
	struct model_plan plan;
	size_t capacity;
	struct coded *coded; /* [coded_count] */
	size_t coded_count, coded_room;
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
/* l->name by the row that has the slot alone, whether or not it exists in the layer. */
void model_plan_name_of(struct loader *l, enum model_slot slot, uint32_t layer);
/* l->name of the at-th of several tensors of one slot. */
int model_plan_name_at(struct loader *l, enum model_slot slot, uint32_t layer,
		       uint32_t at) MUST_USE;
/* The folder has l->name with this after it. */
bool model_plan_has(const struct loader *l, const char *end);
/* Every tensor has been used, or is known to be no part of the model. */
int model_plan_unused(struct loader *l) MUST_USE;

/* ---- weights_coded.c ---- */

/* 1: the tensor l->name is stored in codes or adapted, and was added; 0: it is neither; or an
 * error. */
int model_plan_coded(struct loader *l, const struct model_item *item) MUST_USE;
/* FP8 that kernels read as it is has scales of blocks of 128; where one scale is for the whole
 * matrix, it becomes all of them: sets it->coded. */
int model_coded_repeat(struct loader *l, struct model_item *it) MUST_USE;
/* The codes of l->name are in the folder. */
bool model_coded_has(const struct loader *l);
/* Of activations and the cache: part of a quantised folder, and not used. */
bool model_coded_surplus(const struct loader *l, const char *name);
/* 1: a bias beside codes that the model does not have; reading sees that it is zero. */
int model_coded_bias(struct loader *l, const struct model_tensor *t) MUST_USE;
/* Bytes that decoding takes while reading. */
uint64_t model_coded_bytes(const struct loader *l);
/* Take memory for what lies beside the codes; when it has come, check it and get it ready. */
int model_coded_place(struct loader *l) MUST_USE;
int model_coded_open(struct loader *l) MUST_USE;
void model_coded_close(struct loader *l);
/* Everything of the adapter has found its matrix. */
int model_coded_merged(struct loader *l) MUST_USE;

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
