/* p-values of blocks combined into one of a rung. Private to forks/. */
#ifndef FORKS_COMBINE_H
#define FORKS_COMBINE_H

#include "forks/rungs.h"

/* Fill everything of *r but run, block, blocks from its blocks' log_p, z, effect, draws, judged.
 *
 * group: [blocks] or NULL, for which every block is a group of its own. Blocks of one group may
 * depend on each other (copies within one model; one block in several pairs); groups are
 * independent under the null hypothesis. Within a group the p-values count as Bonferroni's
 * smallest, over the groups Fisher's sum is taken, as logarithms throughout. log_smallest is
 * Bonferroni's over all judged blocks, log_p twice the smaller of both. effect is the mean over
 * the judged blocks; where none is, over all that have common units. */
void fork_rung_combine(struct rung *r, const uint32_t *group);

#endif
