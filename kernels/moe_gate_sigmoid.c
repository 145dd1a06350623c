/* Expert choice by sigmoid with a correction bias, which decides the choice but not the weight. */
#include "kernels/gate.h"

void kernel_gate_choose_sigmoid(const struct gate_ops *o, const struct kernel_gate *g,
				const float *score, uint16_t *expert, float *weight)
{
	float s[KERNEL_EXPERTS], choice[KERNEL_EXPERTS], sum = 0;
	for (uint32_t i = 0; i < g->experts; i++)
		choice[i] = 0.0f - score[i];
	o->weigh(choice, g->experts, 0.0f, 1.0f, s);
	for (uint32_t i = 0; i < g->experts; i++) {
		s[i] = 1.0f / (1.0f + s[i]);
		choice[i] = g->bias == NULL ? score[i] : s[i] + g->bias[i];
	}
	if (g->groups > 1)
		kernel_gate_limit_groups(o, g, 2, choice);
	kernel_gate_take_best(o, choice, g->experts, g->top_k, expert);
	kernel_gate_order(s, expert, g->top_k);
	for (uint32_t i = 0; i < g->top_k; i++)
		sum += s[expert[i]];
	for (uint32_t i = 0; i < g->top_k; i++) {
		weight[i] = g->normalise ? s[expert[i]] / (sum + 1e-20f) : s[expert[i]];
		weight[i] *= g->scaling;
	}
}
