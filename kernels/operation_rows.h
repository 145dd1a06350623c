/* Operations of a device on rows: the residual stream and its norms, the choice of experts. */
#ifndef KERNELS_OPERATION_ROWS_H
#define KERNELS_OPERATION_ROWS_H

#include "kernels/operation_batch.h"

/* ---- rows ---- */

/* Arrays of rows and of what belongs to norms, and `expert` of sort_slots, begin at multiples of 16
 * bytes. Rows of a length that 4 divides are read four numbers at a time. */

struct device_norm {
	const float *gain, *bias; /* [n]; gain NULL: no norm; bias only of a layer norm */
};

/* The answer of the experts of a row: slots in rank order, then what stands beside them. */
struct device_slots {
	const float *down;     /* [slots][n], by place; NULL: there are none */
	const uint32_t *place; /* [rows][top_k] */
	const uint16_t *expert;
	const float *weight; /* [rows][top_k] */
	uint32_t top_k;
	const float *shared;       /* [rows][n]: added last; NULL: none */
	const float *shared_share; /* [rows]: sigmoid of it multiplies shared; NULL: 1 */
};

/* What begins a pass, or follows a branch, in one row:
 *   embed.at set:  x = embed[token] * embed_scale
 *   else:          answer, or the slots' answer, is normed by `after`, times residual_scale, and
 *                  added to x; x *= *scalar
 * then normed = next(x) (a copy where it has no gain). early: normed is made before the answer is
 * added; keeps: normed stays as it is. In this order of sums: kernels are those of engine/
 * cpu_close.c. A row is a block's; sums of norms are trees of fixed shape. */
struct close_rows_args {
	const struct device_batch *batch;
	struct device_matrix embed;
	float embed_scale;
	const float *answer;       /* [rows][n]; NULL: none */
	struct device_slots slots; /* in place of answer */
	float *x, *normed;         /* [rows][n] */
	uint32_t n;
	float eps;
	bool layer_norm;
	struct device_norm after, next;
	float residual_scale;
	const float *scalar; /* [1]; NULL: none */
	bool early, keeps;
	uint32_t rows_most;
};

/* out[i] = rmsnorm(x[i]) in place, of rows of n at a stride: latents of queries. */
struct norm_rows_args {
	const struct device_batch *batch;
	float *x;
	size_t stride;
	uint32_t n;
	float eps;
	const float *gain;
	uint32_t rows_most;
};

/* value[j] *= scale, then *= sigmoid(gate[j / each]): the gate of an attention's output. */
struct gate_value_args {
	const struct device_batch *batch;
	float *value;      /* [rows][gates * each] */
	const float *gate; /* [rows][gates]; NULL: none */
	uint32_t gates, each;
	float scale;
	uint32_t rows_most;
};

/* ---- experts ---- */

/* moe_gate of struct kernels for all rows, with the same bits. Experts, top_k and groups as struct
 * kernel_gate says; gate.bias [experts] is device memory. An expert_scale is not available here.
 *   score  [rows][experts] f32, in
 *   expert [rows][top_k]   u16, out; best first
 *   weight [rows][top_k]   f32, out */
struct moe_gate_args {
	const struct device_batch *batch;
	struct kernel_gate gate;
	const float *score;
	uint16_t *expert;
	float *weight;
	uint32_t rows_most;
};

/* Counting sort of slots [rows][top_k] by expert, stable: begin[e] .. begin[e+1] are an expert's
 * places, pick[place] the row, place[slot] where a slot went. active: how many experts have slots,
 * then which, ascending. */
struct sort_slots_args {
	const struct device_batch *batch;
	const uint16_t *expert;
	uint32_t experts, top_k;
	uint32_t *begin;  /* [experts + 1] */
	uint32_t *pick;   /* [rows * top_k] */
	uint32_t *place;  /* [rows][top_k] */
	uint32_t *active; /* [1 + experts] */
	uint32_t rows_most;
};

#endif
