/* Private to product.cu and its other forms: what an output's sum becomes. */
#ifndef KERNELS_PRODUCT_FINISH_H
#define KERNELS_PRODUCT_FINISH_H

#include "kernels/device_act.h"

namespace product_parts
{

enum mode {
	ALONE,    /* what the job says, of w alone */
	PAIRED,   /* w and up in turn */
	UP_LATER, /* w x plus bias, for: */
	UP_AFTER  /* up joins what is in out */
};

static __device__ __forceinline__ enum mode mode_of(const struct device_job &j)
{
	return !j.up.at ? ALONE : j.up.format == j.w.format ? PAIRED : UP_LATER;
}

/* The end of a sum v of row `row` of w, or of up, with row i of out; gate: the sum of w, PAIRED. */
static __device__ __forceinline__ void finish(const struct device_job &j, enum mode mode,
					      uint32_t row, uint32_t i, float gate, float v)
{
	float *out = j.out + (size_t)i * j.out_stride + row;
	bool gated = mode == PAIRED || mode == UP_AFTER;
	const float *bias = gated ? j.bias_up : j.bias;
	v = bias ? v + bias[row] : v;
	if (mode == PAIRED)
		gate = j.bias ? gate + j.bias[row] : gate;
	else if (mode == UP_AFTER)
		gate = *out;
	if (gated || (mode == ALONE && j.active))
		v = device_act(j.act, gated ? gate : v, gated, v, j.parameter);
	if (mode != UP_LATER && j.scale > 0)
		v *= j.scale;
	if (mode != UP_LATER && j.cap > 0)
		v = j.cap * device_tanh(v / j.cap);
	*out = v;
}

} /* namespace product_parts */

#endif
