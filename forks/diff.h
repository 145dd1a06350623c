/* Tensor by tensor: same, changed (by how much, and whether only rounded), added, removed,
 * reshaped. Private to forks/. */
#ifndef FORKS_DIFF_H
#define FORKS_DIFF_H

#include "forks/old.h"

struct diff {
	struct fork_old_tensor *
		tensor; /* by name; the scale companions of FP8 tensors are part of their tensors */
	size_t count;
	uint64_t same, changed, added, removed, reshaped;
	double difference,
		norm; /* sums of squares of B - A and of A over matrices of equal shape */
	uint64_t changed_matrices,
		rounded; /* rounded: those whose difference is that of rounding to 8 bits */
};

/* b against a. Two panels of rows in memory at a time. */
int fork_diff_models(const struct fork_model *a, const struct fork_model *b, struct diff *out,
		     struct err *e) MUST_USE;
void fork_diff_free(struct diff *d);

#endif
