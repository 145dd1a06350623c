/* Expert choice by logits, biased or not; the weights are a softmax over the chosen ones only. */
#include "kernels/gate.h"

void kernel_gate_choose_topk(const struct gate_ops *o, const struct kernel_gate *g,
			     const float *score, uint16_t *expert, float *weight)
{
	float choice[KERNEL_EXPERTS], best[KERNEL_TOP_K];
	for (uint32_t i = 0; i < g->experts; i++)
		choice[i] = g->bias == NULL ? score[i] : score[i] + g->bias[i];
	kernel_gate_take_best(o, choice, g->experts, g->top_k, expert);
	for (uint32_t i = 0; i < g->top_k; i++)
		best[i] =
			g->bias == NULL ? score[expert[i]] : score[expert[i]] + g->bias[expert[i]];
	kernel_gate_softmax(o, best, g->top_k, weight);
}
