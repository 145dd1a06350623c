/* S1, the aligned-trace statistic of one pair of blocks, and its Monte-Carlo p-value. Private to
 * forks/. */
#ifndef FORKS_S1_H
#define FORKS_S1_H

#include "forks/features.h"
#include "forks/draws.h"

#define S1_DRAWS 10000   /* permutations of every block, whatever its z */
#define S1_FIXED 0x1p-22 /* one step of the fixed-point cross-Gram matrix */

/* C = F1 F2^T, [units][units], in steps of S1_FIXED. Integers make every sum exact: ties are
 * counted as ties, and no draw depends on the order of additions. */
struct s1_matrix {
	uint32_t units;
	int32_t *c;
};
/* a and b have equal units and part. */
int fork_s1_matrix_open(struct s1_matrix *m, const struct features *a, const struct features *b,
			struct err *e) MUST_USE;
void fork_s1_matrix_free(struct s1_matrix *m);

/* Under a uniform random relabelling of the units of one side: expectation and variance of the
 * trace, exactly. */
struct s1_moments {
	double trace, expectation, variance, z;
	bool constant; /* variance 0: every permutation gives the same trace, nothing to test */
};
struct s1_moments fork_s1_moments(const struct s1_matrix *m);

/* Of the draws [from, to) of this stream: how many permuted traces reach the trace. */
uint64_t fork_s1_exceed(const struct s1_matrix *m, uint64_t seed, enum philox_domain domain,
			uint32_t stream, uint32_t from, uint32_t to);

/* (1 + exceed) / (1 + draws): super-uniform under the null hypothesis. */
double fork_s1_p(uint64_t exceed, uint64_t draws);

#endif
