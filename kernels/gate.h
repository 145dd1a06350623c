/* Private: what the kinds of expert choice share. One token at a time. */
#ifndef KERNELS_GATE_H
#define KERNELS_GATE_H

#include "kernels/kernels.h"

void gate_softmax(const float *score, uint32_t n, float *p);
/* The k best of choice[n], best first, ties to the lower id; those taken become -inf. */
void gate_take_best(float *choice, uint32_t n, uint32_t k, uint16_t *id);
/* Keep the best groups by the sum of their `best` largest members, the others become -inf. */
void gate_limit_groups(const struct kernel_gate *g, uint32_t best, float *choice);

/* score [experts] -> expert and weight [top_k] */
void gate_choose_sigmoid(const struct kernel_gate *g, const float *score, uint16_t *expert,
			 float *weight);
void gate_choose_topk(const struct kernel_gate *g, const float *score, uint16_t *expert,
		      float *weight);

#endif
