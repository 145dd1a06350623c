/* Private: what the kinds of expert choice share. Each function handles one token. */
#ifndef KERNELS_GATE_H
#define KERNELS_GATE_H

#include "kernels/kernels.h"

/* A set's own forms of the operations that expert choice is made of. */
struct gate_ops {
	uint32_t (*argmax)(const float *x, uint32_t n);
	void (*weigh)(const float *x, uint32_t n, float largest, float temperature, float *out);
};

void kernel_gate_softmax(const struct gate_ops *o, const float *score, uint32_t n, float *p);
/* The k best of choice[n], best first, ties to the lower id; those taken become -inf. */
void kernel_gate_take_best(const struct gate_ops *o, float *choice, uint32_t n, uint32_t k,
			   uint16_t *id);
/* Sort ids by s, largest first, ties to the lower id. */
void kernel_gate_order(const float *s, uint16_t *id, uint32_t n);
/* Keep the best groups by the sum of their `best` largest members, the others become -inf. */
void kernel_gate_limit_groups(const struct gate_ops *o, const struct kernel_gate *g, uint32_t best,
			      float *choice);

/* score [experts] -> expert and weight [top_k] */
void kernel_gate_choose_sigmoid(const struct gate_ops *o, const struct kernel_gate *g,
				const float *score, uint16_t *expert, float *weight);
void kernel_gate_choose_topk(const struct gate_ops *o, const struct kernel_gate *g,
			     const float *score, uint16_t *expert, float *weight);
/* The whole operation with these forms. */
void kernel_gate_run(const struct gate_ops *o, const struct kernel_gate *g, const float *score,
		     uint32_t tokens, uint16_t *expert, float *weight);

#endif
