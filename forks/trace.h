/* S1 and S5, the aligned trace of one pair of blocks: is unit i of one model like unit i of the
 * other? S1 over raw vectors, S5 over token vectors. Private to forks/.
 *
 * One side's units are permuted, the other's stay: exact if the order of the one side is
 * exchangeable, whatever the other is, and however it was chosen. Only units of the one side that
 * have all their vectors are permuted, among their own places: given which are dead (zero), the
 * order of the others is as exchangeable as before, and zeros at the same places show nothing.
 * Units beyond the other's end stay in the draw, against nothing: numbers of units may differ. */
#ifndef FORKS_TRACE_H
#define FORKS_TRACE_H

#include "forks/draws.h"
#include "forks/rungs.h"
#include "forks/tail.h"
#include "forks/view.h"

#define TRACE_UNITS SKETCH_UNITS
#define TRACE_WIDTH (ROLE_PARTS * SKETCH_RAW)
#define TRACE_HALF_MIN 8 /* fewer live units carry no usable test, in a half */

/* One side: a block and its vectors in a view, part[block->parts] (forks/view.h). */
struct trace_side {
	const struct sketch_block *block;
	struct view_part part[ROLE_PARTS];
};
/* With the vectors that the sketch has, for two blocks of one model. */
struct trace_side fork_trace_side(const struct sketch_block *b, enum rung_view view);

/* Cross products: c[i][j] of the permuted side's unit at the i-th place with the other's unit at
 * the j-th. Integers make every sum exact: ties are counted as ties. Scratch of one thread; some
 * MB. */
struct trace {
	uint32_t units;
	int64_t observed; /* sum of c[i][i] */
	double z, effect; /* effect: mean aligned cosine */
	double tilt;      /* (observed - mean) / variance, the bound's first guess; z > 0 */
	bool constant;    /* every order gives the same sum: nothing to test */
	int32_t c[TRACE_UNITS * TRACE_UNITS];
	int16_t moved[TRACE_UNITS * TRACE_WIDTH], still[TRACE_UNITS * TRACE_WIDTH];
	uint16_t place[TRACE_UNITS];
	struct tail_room tail;
};

/* Fill all but tail. units 0: no parts in common, or too few live units. Blocks may differ in
 * kind, units, hidden; parts are matched from the last one on (down, up, gate). */
void fork_trace_fill(struct trace *t, const struct trace_side *moved,
		     const struct trace_side *still, enum rung_half half);

/* Draws: no more than TRACE_DRAWS, fewer once TRACE_HITS of them have reached the sum. */
#define TRACE_DRAWS 19999
#define TRACE_HITS 20

/* A sequential p-value. Source: Besag and Clifford, "Sequential Monte Carlo p-values", Biometrika
 * 78, 1991: hits / draws where the hits are complete, else (1 + hits) / (1 + draws). */
struct trace_p {
	double log_p;
	uint64_t draws;
	uint32_t hits;
};
/* Of draws 0..most-1 of this stream; most < 2^32. */
struct trace_p fork_trace_draw(const struct trace *t, uint64_t seed, enum philox_domain domain,
			       uint32_t stream, uint32_t most);

/* The p-value of a block: the sequential one, or the bound (forks/tail.h) where z is large. Both
 * are valid, m for draws and b for the bound, and
 *
 *   P(min(m / (1 - w), b / w) <= x) <= P(m <= (1 - w) x) + P(b <= w x) <= x,   w = 2^-10
 *
 * so their minimum, so weighted, is valid; one that is not computed counts as 1, which only raises
 * the minimum: what is computed may be chosen freely, here by z.
 *
 * Likewise a test that had no hit in its `most` draws may be asked again with more, whichever block
 * is so chosen: if p <= x, and x is at least what the shorter test without a hit gives, the shorter
 * one alone gives p <= x; if x is less, the longer one alone does. */
struct trace_p fork_trace_test(struct trace *t, uint64_t seed, enum philox_domain domain,
			       uint32_t stream, uint32_t most);

#endif
