/* The same operations in double with plain loops: what tolerance tests and device parity programs
 * compare with. */
#ifndef KERNELS_TRUTH_H
#define KERNELS_TRUTH_H

#include "kernels/kernels.h"

/* Arguments and shapes as in struct kernels. */
void kernel_truth_matmul(const struct kernel_matrix *w, const struct kernel_rows *x, double *out);
void kernel_truth_rmsnorm(const float *x, const float *gain, uint32_t n, double eps, double *out);
void kernel_truth_layernorm(const float *x, const float *gain, const float *bias, uint32_t n,
			    double eps, double *out);
void kernel_truth_act(enum kernel_act act, const float *x, const float *up, uint32_t n,
		      const float *parameter, double *out);
/* out [rows][heads][value] */
void kernel_truth_attn(const struct kernel_attention *a, double *out);
/* All channels; out [rows][channels]. */
void kernel_truth_conv(const struct kernel_conv *c, double *out);
/* Steps state [value][key] in place, out [rows][value]; d->state and d->out are not used. */
void kernel_truth_delta(const struct kernel_delta *d, double *state, double *out);
double kernel_truth_decay(enum kernel_decay kind, double low, double a, double rate);
/* p [experts] */
void kernel_truth_softmax(const float *score, uint32_t n, double *p);

#endif
