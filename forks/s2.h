/* S2, the Mantel statistic of one pair of blocks: do units that resemble each other in one model
 * resemble each other in the other? It sees only inner products within a model, so a rotation of
 * the residual stream changes nothing. Private to forks/. */
#ifndef FORKS_S2_H
#define FORKS_S2_H

#include "forks/features.h"
#include "forks/draws.h"

#define S2_UNITS 24 /* the first units of a block; any fixed subset is exact */
#define S2_LANES 8  /* gg, uu, dd, gu, gd, ud and two of padding */
#define S2_DRAWS 10000
#define S2_NULL_DRAWS 1000 /* for a calibration: p < 0.005 has probability 5 / 1001 */

/* For each pair of kinds (gate, up, down) the inner products of the units' features: diagonal
 * replaced by the mean of the others, centred, scaled to a norm that keeps every sum of products
 * within 32 bits. */
struct s2_gram {
	_Alignas(64) int16_t v[S2_UNITS][S2_UNITS][S2_LANES]; /* no lanes straddle a cache line */
	uint32_t units;
};
void fork_s2_gram_fill(struct s2_gram *g, const struct features *f);

/* T = sum over the kinds of the matrix correlations. effect: T / 6. p: Monte Carlo over one
 * permutation of model b's units for all kinds, super-uniform under the null hypothesis; z by mean
 * and variance of the draws. */
struct s2_score {
	double p, z, effect;
};
struct s2_score fork_s2_score(const struct s2_gram *a, const struct s2_gram *b, uint64_t seed,
			      enum philox_domain domain, uint32_t stream, uint32_t draws);

#endif
