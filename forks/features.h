/* Blocks of a model (one MLP or expert each) and their unit features. Private to forks/. */
#ifndef FORKS_FEATURES_H
#define FORKS_FEATURES_H

#include "base/arena.h"
#include "forks/old.h"

#define FEATURE_UNITS_MIN 16 /* fewer units carry no usable permutation test */
/* units of a block that are compared: the first ones; any fixed subset is exact */
#define FEATURE_UNITS_MAX 512
#define FEATURE_EXACT_MAX 512    /* residual widths up to this are used as they are */
#define FEATURE_SKETCH_WIDTH 128 /* wider ones go through a CountSketch of this width */
/* public: both sides must use the same; belongs to S1 version 1 */
#define FEATURE_SKETCH_SEED 0x68616c6c6d61726bull

/* Where a block lies. Tensors belong to the directory. */
struct site {
	/* tensor names without ".gate_proj.weight"; the key that pairs blocks of two models */
	const char *stem;
	uint32_t layer, expert; /* expert UINT32_MAX: dense or shared MLP */
	bool shared;
	const struct model_tensor *gate, *up, *down;
	const struct model_tensor *norm; /* gain of the MLP's input, or NULL */
	uint64_t units, hidden; /* 0 when a tensor is missing or of no float type, or shapes
				   contradict each other */
};

/* All blocks of a model in report order: layer, dense before shared before experts, expert number,
 * stem. */
struct sites {
	struct site *at;
	size_t count;
	struct arena arena;
};
int fork_sites_find(const struct model_tensors *t, struct sites *out, struct err *e) MUST_USE;
void fork_sites_free(struct sites *s);
/* As strcmp; 0 only for the same stem. */
int fork_site_order(const struct site *a, const struct site *b);
bool fork_site_usable(const struct site *s);

/* Features of the first `units` hidden units: row-normalised gate row, up row and down column, each
 * of `part` dimensions, one after the other. Stored by dimension, padded with zero units: v[3 *
 * part][stride]. */
struct features {
	uint32_t units, stride, part;
	float *v;
};
/* s is usable. Reads one panel of rows at a time. ERR_INPUT for non-finite weights. */
int fork_features_load(const struct fork_model *m, const struct site *s, struct features *out,
		       struct err *e) MUST_USE;
/* Room for zeroed features. */
int fork_features_alloc(struct features *f, uint32_t units, uint32_t part, struct err *e) MUST_USE;
void fork_features_free(struct features *f);

#endif
