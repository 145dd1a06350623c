/* Expert choice (struct kernel_gate): what the kinds share, and the softmax kind. A row per token
 * is short, so that the vector sets only bring their own argmax and exponentials. */
#include "base/check.h"
#include "kernels/gate.h"
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>
#include <string.h>

void kernel_gate_softmax(const struct gate_ops *o, const float *score, uint32_t n, float *p)
{
	float sum = 0;
	o->weigh(score, n, score[o->argmax(score, n)], 1.0f, p);
	for (uint32_t i = 0; i < n; i++)
		sum += p[i];
	for (uint32_t i = 0; i < n; i++)
		p[i] /= sum;
}

void kernel_gate_take_best(const struct gate_ops *o, float *choice, uint32_t n, uint32_t k,
			   uint16_t *id)
{
	for (uint32_t i = 0; i < k; i++) {
		uint32_t best = o->argmax(choice, n);
		id[i] = (uint16_t)best;
		choice[best] = -INFINITY;
	}
}

void kernel_gate_order(const float *s, uint16_t *id, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		uint16_t moved = id[i];
		uint32_t at = i;
		for (; at > 0 && (s[moved] > s[id[at - 1]] ||
				  (!(s[moved] < s[id[at - 1]]) && moved < id[at - 1]));
		     at--)
			id[at] = id[at - 1];
		id[at] = moved;
	}
}

static float group_value(const struct gate_ops *o, const float *choice, uint32_t size,
			 uint32_t best)
{
	float sum = 0, member[KERNEL_EXPERTS];
	memcpy(member, choice, size * sizeof *member);
	for (uint32_t i = 0; i < best && i < size; i++) {
		uint32_t at = o->argmax(member, size);
		sum += member[at];
		member[at] = -INFINITY;
	}
	return sum;
}

void kernel_gate_limit_groups(const struct gate_ops *o, const struct kernel_gate *g, uint32_t best,
			      float *choice)
{
	float group[KERNEL_EXPERTS];
	uint16_t kept[KERNEL_EXPERTS];
	bool keep[KERNEL_EXPERTS] = { false };
	uint32_t size = g->experts / g->groups;
	for (uint32_t i = 0; i < g->groups; i++)
		group[i] = group_value(o, choice + i * size, size, best);
	kernel_gate_take_best(o, group, g->groups, g->groups_kept, kept);
	for (uint32_t i = 0; i < g->groups_kept; i++)
		keep[kept[i]] = true;
	for (uint32_t i = 0; i < g->experts; i++) {
		if (!keep[i / size])
			choice[i] = -INFINITY;
	}
}

static void choose_softmax(const struct gate_ops *o, const struct kernel_gate *g,
			   const float *score, uint16_t *expert, float *weight)
{
	float p[KERNEL_EXPERTS], choice[KERNEL_EXPERTS], sum = 0;
	kernel_gate_softmax(o, score, g->experts, p);
	for (uint32_t i = 0; i < g->experts; i++)
		choice[i] = g->bias == NULL ? p[i] : p[i] + g->bias[i];
	if (g->groups > 1)
		kernel_gate_limit_groups(o, g, 1, choice);
	kernel_gate_take_best(o, choice, g->experts, g->top_k, expert);
	if (g->bias != NULL)
		kernel_gate_order(p, expert, g->top_k);
	for (uint32_t i = 0; i < g->top_k; i++)
		sum += p[expert[i]];
	sum = g->floor > 0 ? (sum > g->floor ? sum : g->floor) : sum + 1e-20f;
	for (uint32_t i = 0; i < g->top_k; i++)
		weight[i] = g->normalise ? p[expert[i]] / sum : p[expert[i]] * g->scaling;
}

/* By decreasing weight again; equals keep their order. */
static void scale_and_rank(const struct kernel_gate *g, uint16_t *id, float *weight)
{
	for (uint32_t i = 0; i < g->top_k; i++) {
		float w = weight[i] * g->expert_scale[id[i]];
		uint16_t one = id[i];
		uint32_t at = i;
		for (; at > 0 && weight[at - 1] < w; at--) {
			weight[at] = weight[at - 1];
			id[at] = id[at - 1];
		}
		weight[at] = w;
		id[at] = one;
	}
}

void kernel_gate_run(const struct gate_ops *o, const struct kernel_gate *g, const float *score,
		     uint32_t tokens, uint16_t *expert, float *weight)
{
	check(g->experts <= KERNEL_EXPERTS && g->top_k <= g->experts);
	for (uint32_t t = 0; t < tokens; t++) {
		const float *row = score + (size_t)t * g->experts;
		uint16_t *id = expert + (size_t)t * g->top_k;
		float *w = weight + (size_t)t * g->top_k;
		if (g->kind == KERNEL_GATE_SOFTMAX)
			choose_softmax(o, g, row, id, w);
		else if (g->kind == KERNEL_GATE_SIGMOID)
			kernel_gate_choose_sigmoid(o, g, row, id, w);
		else
			kernel_gate_choose_topk(o, g, row, id, w);
		if (g->expert_scale != NULL)
			scale_and_rank(g, id, w);
	}
}

void kernel_moe_gate_plain(const struct kernel_gate *g, const float *score, uint32_t tokens,
			   uint16_t *expert, float *weight)
{
	const struct gate_ops o = { kernel_argmax_plain, kernel_weigh_plain };
	kernel_gate_run(&o, g, score, tokens, expert, weight);
}
