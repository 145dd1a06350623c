/* Several models that depend on one another: how far they are apart, how each stands to one of
 * them, and of what that one was mixed. */
#ifndef FORKS_MIX_H
#define FORKS_MIX_H

#include "forks/forks.h"

/* How far several dependent models are apart: [models][models] squared differences of units that
 * stand side by side, or that a map puts there, over their squares; NaN: nothing in common. Squares
 * add up along a line of descent, for what two trainings change hardly overlaps. */
int fork_squares(const struct fork_sketch *const *model, size_t models, struct pool *pool,
		 double *square, struct err *e) MUST_USE;

/* How each stands to the last of them, the suspect, by these squares alone. Time is not in them. */
enum fork_kin {
	FORK_KIN_UNTOLD,  /* depends; no more can be told */
	FORK_KIN_PARENT,  /* of least change, and the suspect lies on its line */
	FORK_KIN_MIXED,   /* one of those that the suspect was mixed of */
	FORK_KIN_BEYOND,  /* on the far side of the parent: its ancestor, or another child of it */
	FORK_KIN_SIBLING, /* both descend from a base that is none of these */
	FORK_KINS
};
struct fork_kinship {
	enum fork_kin kin;
	double weight; /* FORK_KIN_MIXED: share in the mix; else 0 */
	double l2;     /* root of the square to the suspect */
	double branch; /* share of that square between this model and where the lines part */
};
#define FORK_KINSHIP_MAX 64
/* out: [models - 1]. False: nothing is near the suspect. */
bool fork_kinship(const double *square, size_t models, struct fork_kinship *out);

/* After fork_kinship: a suspect whose layers are those of several models (stacked from two, say) is
 * mixed of them, by their shares of its layers, whatever its squares as a whole say. Of the nearest
 * FORK_MIX_PARENTS models. */
int fork_kin_layers(const struct fork_sketch *const *model, size_t models, struct pool *pool,
		    struct fork_kinship *kin, struct err *e) MUST_USE;

/* Of what b was mixed: weights by least squares that sum to 1 (a base among the parents takes what
 * task arithmetic leaves), of units that stand side by side. */
#define FORK_MIX_PARENTS 8
struct fork_mix_layer {
	int parent;                                /* the nearest, -1: none has a layer like it */
	int32_t layer;                             /* its layer that lies here */
	double weight[FORK_MIX_PARENTS], residual; /* of their layers of the same number */
	double near, next; /* ||b - a|| / ||b|| of the nearest and of the second of the parents */
};
struct fork_mix {
	bool fitted, mixed; /* mixed: nearer than a common base would explain */
	double weight[FORK_MIX_PARENTS];
	double residual, nearest; /* ||b - mix|| / ||b||; the same of the nearest parent alone */
	uint64_t units;
	struct fork_mix_layer *layer; /* [layers of b] owned */
	uint32_t layers;
};
int fork_mix(const struct fork_sketch *const *parent, size_t parents, const struct fork_sketch *b,
	     struct pool *pool, struct fork_mix *out, struct err *e) MUST_USE;
void fork_mix_free(struct fork_mix *m);

#endif
