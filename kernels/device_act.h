/* Private: activations of feed-forward networks, with the bits of act.c. */
#ifndef KERNELS_DEVICE_ACT_H
#define KERNELS_DEVICE_ACT_H

extern "C" {
#include "kernels/ops.h"
}

/* act(x) * up; CLAMPED mixes them in its own way, and always has an up. */
static __device__ __noinline__ float device_act(uint32_t act, float x, bool gated, float up,
						const float *parameter)
{
	float y = x;
	if (act == KERNEL_ACT_CLAMPED) {
		float g = x < 7.0f ? x : 7.0f, u = up > -7.0f ? up : -7.0f;
		u = u < 7.0f ? u : 7.0f;
		return g / (1.0f + device_exp(g * -1.702f)) * (u + 1.0f);
	}
	if (act == KERNEL_ACT_SILU) {
		y = x / (1.0f + device_exp(0.0f - x));
	} else if (act == KERNEL_ACT_GELU_TANH) {
		y = x / (1.0f + device_exp(x * fmaf(x * x, ACT_GELU_CUBE, ACT_GELU_LINE)));
	} else if (act == KERNEL_ACT_GELU) {
		y = x * 0.5f * (1.0f + device_erf(x * ACT_HALF_ROOT));
	} else if (act == KERNEL_ACT_RELU2) {
		y = x < 0.0f ? 0.0f : x;
		y *= y;
	} else { /* XIELU */
		float line = parameter[2] * x, least = x > parameter[3] ? parameter[3] : x;
		y = !(x > 0.0f) ? fmaf(parameter[1], device_expm1(least) - x, line)
				: fmaf(parameter[0] * x, x, line);
	}
	return gated ? y * up : y;
}

#endif
