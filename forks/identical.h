/* The tensors of two models side by side, and which of them are the same. Private to forks/. */
#ifndef FORKS_IDENTICAL_H
#define FORKS_IDENTICAL_H

#include "forks/detail.h"

/* Fill d->tensor: a tensor answers the one of its name, else that of its name without what stands
 * before the layers ("language_model."); one with the same values goes before both, whatever its
 * name. FORK_SAME is said by hashes. */
int fork_tensors_pair(const struct fork_sketch *a, const struct fork_sketch *b,
		      struct fork_detail *d, struct err *e) MUST_USE;

/* What the list says, summed up: the counts of c, d->shared, d->same_all. Again after some of the
 * list changed. */
void fork_tensors_sum(struct fork_comparison *c);

/* Whether it has the same values in both, and such as are not there by construction. */
bool fork_tensor_tells(const struct fork_tensor *t);

#endif
