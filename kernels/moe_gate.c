/* Expert choice; see struct kernel_gate. One short row per token, so the plain form serves every
 * set. */
#include "base/check.h"
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>

static void softmax(const float *score, uint32_t n, float *p)
{
	float largest = score[argmax_plain(score, n)], sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		p[i] = number_exp(score[i] - largest);
		sum += p[i];
	}
	for (uint32_t i = 0; i < n; i++)
		p[i] /= sum;
}

/* The k best of choice[n], best first, ties to the lower id; those taken become -inf. */
static void take_best(float *choice, uint32_t n, uint32_t k, uint16_t *id)
{
	for (uint32_t i = 0; i < k; i++) {
		uint32_t best = argmax_plain(choice, n);
		id[i] = (uint16_t)best;
		choice[best] = -INFINITY;
	}
}

/* Keep the best groups by their largest member, the others become -inf. */
static void limit_groups(const struct kernel_gate *g, float *choice)
{
	float group[KERNEL_EXPERTS];
	uint16_t kept[KERNEL_EXPERTS];
	bool keep[KERNEL_EXPERTS] = { false };
	uint32_t size = g->experts / g->groups;
	for (uint32_t i = 0; i < g->groups; i++)
		group[i] = choice[i * size + argmax_plain(choice + i * size, size)];
	take_best(group, g->groups, g->groups_kept, kept);
	for (uint32_t i = 0; i < g->groups_kept; i++)
		keep[kept[i]] = true;
	for (uint32_t i = 0; i < g->experts; i++) {
		if (!keep[i / size])
			choice[i] = -INFINITY;
	}
}

static void weigh(const struct kernel_gate *g, const float *p, const uint16_t *id, float *weight)
{
	float sum = 0, factor = g->scaling;
	for (uint32_t i = 0; i < g->top_k; i++)
		sum += p[id[i]];
	bool normalise = g->normalise && g->top_k > 1;
	for (uint32_t i = 0; i < g->top_k; i++)
		weight[i] = normalise ? p[id[i]] / (sum + 1e-20f) : p[id[i]] * factor;
}

void moe_gate_plain(const struct kernel_gate *g, const float *score, uint32_t tokens,
		    uint16_t *expert, float *weight)
{
	float p[KERNEL_EXPERTS], choice[KERNEL_EXPERTS];
	check(g->kind == KERNEL_GATE_SOFTMAX && g->experts <= KERNEL_EXPERTS &&
	      g->top_k <= g->experts);
	for (uint32_t t = 0; t < tokens; t++) {
		softmax(score + (size_t)t * g->experts, g->experts, p);
		for (uint32_t i = 0; i < g->experts; i++)
			choice[i] = p[i];
		if (g->groups > 1)
			limit_groups(g, choice);
		take_best(choice, g->experts, g->top_k, expert + (size_t)t * g->top_k);
		weigh(g, p, expert + (size_t)t * g->top_k, weight + (size_t)t * g->top_k);
	}
}
