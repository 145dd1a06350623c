#include "forks/combine.h"

#include "forks/special.h"

#include <math.h>

static bool is_first(const struct rung *r, const uint32_t *group, size_t i)
{
	for (size_t k = 0; group && k < i; k++)
		if (r->block[k].judged && group[k] == group[i])
			return false;
	return true;
}

/* Bonferroni's smallest p of the group of block i, and the group's mean z. */
static double group_log_p(const struct rung *r, const uint32_t *group, size_t i, double *z)
{
	double least = 0, count = 0, z_sum = 0;

	for (size_t k = i; k < (group ? r->blocks : i + 1); k++)
		if (r->block[k].judged && (!group || group[k] == group[i])) {
			least = fmin(least, r->block[k].log_p);
			z_sum += r->block[k].z;
			count++;
		}
	*z = z_sum / count;
	return fmin(0, least + log(count));
}

static void mean_effect(struct rung *r)
{
	double sum[2] = { 0 }, count[2] = { 0 };

	for (size_t i = 0; i < r->blocks; i++) {
		const struct rung_block *b = &r->block[i];

		sum[b->judged] += b->effect;
		count[b->judged] += b->judged || b->effect != 0;
	}
	r->effect = count[1] > 0 ? sum[1] / count[1] : count[0] > 0 ? sum[0] / count[0] : 0;
}

void fork_rung_combine(struct rung *r, const uint32_t *group)
{
	double log_sum = 0, z_sum = 0, groups = 0, least = 0;

	r->judged = r->skipped = r->draws = 0;
	for (size_t i = 0; i < r->blocks; i++) {
		double z;

		r->draws += r->block[i].draws;
		r->judged += r->block[i].judged;
		r->skipped += !r->block[i].judged;
		if (!r->block[i].judged)
			continue;
		least = fmin(least, r->block[i].log_p);
		if (!is_first(r, group, i))
			continue;
		log_sum += group_log_p(r, group, i, &z);
		z_sum += z;
		groups++;
	}
	mean_effect(r);
	r->log_p = r->log_fisher = r->log_smallest = r->stouffer = 0;
	if (r->judged == 0)
		return;
	r->stouffer = z_sum / sqrt(groups);
	r->log_fisher = fork_special_chi_square_log_tail(-2 * log_sum, 2 * groups);
	r->log_smallest = fmin(0, least + log((double)r->judged));
	r->log_p = fmin(0, log(2) + fmin(r->log_fisher, r->log_smallest));
}
