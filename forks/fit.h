/* Which blocks of a model can be tested at all: rules that look at one model alone. Private to
 * forks/. */
#ifndef FORKS_FIT_H
#define FORKS_FIT_H

#include "forks/sketch.h"

/* Why the order of a block's units tests nothing. Stored in sketches: append only. */
enum block_unfit {
	BLOCK_FIT,
	BLOCK_FEW,      /* under SKETCH_UNITS_MIN units that are not zero */
	BLOCK_FLAT,     /* the units differ by too little: constant, of too low rank */
	BLOCK_REPEATED, /* units that are near copies of each other */
	BLOCK_AXES,     /* near the axes: what identity-like initialisation makes */
	BLOCK_ORDERED,  /* neighbours are more alike than others: sorted, blockwise, sinusoidal */
	BLOCK_UNFITS
};
/* A clause for people; NULL: it is fit. Any byte. */
const char *fork_unfit_reason(uint8_t unfit);

/* Set unfit and cluster of every block. The first four rules do not look at the order of units.
 * BLOCK_ORDERED does, at seven standard deviations: what it leaves out has no p, so no p becomes
 * smaller than it may be. */
int fork_fit_blocks(struct fork_sketch *s, uint64_t seed, struct pool *pool,
		    struct err *e) MUST_USE;

#endif
