/* S2, the Mantel statistic of one pair of blocks: are units that are alike in one model alike in
 * the other? It sees only inner products within a model, so a rotation of the residual stream
 * changes nothing. Private to forks/. */
#ifndef FORKS_MANTEL_H
#define FORKS_MANTEL_H

#include "forks/trace.h"

#define MANTEL_UNITS 24   /* the first units that are live in both: any fixed subset is exact */
#define MANTEL_DRAWS 4999 /* no more */
#define MANTEL_LANES 16   /* of a pair of units: nine, and padding */

/* For each pair of parts the inner products of the units' vectors: the mean of all but the diagonal
 * taken off, scaled to a norm that keeps every sum of products within 32 bits. A pair of units
 * i, j has nine lanes: what a part has with itself is the same in both orders and has one, what two
 * parts have with each other has one for i, j and one for j, i. The sum over all pairs is so one
 * over i < j, with twice the former in one of the two matrices. The diagonal is not used. */
struct mantel_gram {
	_Alignas(16) int16_t v[MANTEL_UNITS][MANTEL_UNITS][MANTEL_LANES];
};

/* Scratch of one thread. */
struct mantel {
	uint32_t units;   /* 0: too few that are live in both, or no parts in common */
	bool constant;    /* no structure in one of them: nothing to test */
	double z, effect; /* z by mean and variance of the draws; effect: mean matrix correlation */
	struct mantel_gram moved, still; /* still: what is one for both orders is doubled */
	uint16_t place[MANTEL_UNITS];
	int16_t rows[ROLE_PARTS][MANTEL_UNITS * SKETCH_RAW];
	int32_t product[MANTEL_UNITS * MANTEL_UNITS];
};

/* Fill all but z. */
void fork_mantel_fill(struct mantel *m, const struct sketch_block *moved,
		      const struct sketch_block *still);

/* The sequential p of fork_trace_draw, over one permutation for all pairs of parts. */
struct trace_p fork_mantel_draw(struct mantel *m, uint64_t seed, enum philox_domain domain,
				uint32_t stream, uint32_t most);

/* The sum over i < j < n of still[i][j] and moved[order[i]][order[j]], modulo 2^32: it fits. Both
 * forms give the same. */
int32_t fork_mantel_sum_plain(const struct mantel_gram *moved, const struct mantel_gram *still,
			      const uint16_t *order, uint32_t n);
int32_t fork_mantel_sum_avx2(const struct mantel_gram *moved, const struct mantel_gram *still,
			     const uint16_t *order, uint32_t n);

#endif
