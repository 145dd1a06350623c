/* Private, by way of device_kernel.h: functions of number.c, step by step: the same bits. */
#ifndef KERNELS_DEVICE_NUMBER_H
#define KERNELS_DEVICE_NUMBER_H

extern "C" {
#include "kernels/number.h"
}

/* number_expm1 */
static __device__ __forceinline__ float device_expm1(float x)
{
	x = x < -88.3f ? -88.3f : x;
	x = x > 88.0f ? 88.0f : x;
	float k = rintf(x * 0x1.715476p+0f);
	float r = fmaf(k, -0x1.62e400p-1f, x);
	r = fmaf(k, -0x1.7f7d1cp-20f, r);
	float p = 0x1.a01a02p-13f;
	p = fmaf(p, r, 0x1.6c16c2p-10f);
	p = fmaf(p, r, 0x1.111112p-7f);
	p = fmaf(p, r, 0x1.555556p-5f);
	p = fmaf(p, r, 0x1.555556p-3f);
	p = fmaf(p, r, 0.5f);
	p = fmaf(p * r, r, r);
	int32_t exponent = x == x ? (int32_t)k : 0;
	float two = __uint_as_float((uint32_t)(exponent + 127) << 23);
	return fmaf(two, p, two - 1.0f);
}

/* number_tanh */
static __device__ __forceinline__ float device_tanh(float x)
{
	float a = fabsf(x);
	float e = device_expm1(2.0f * (a > 10.0f ? 10.0f : a));
	float t = e / (e + 2.0f);
	return __uint_as_float(__float_as_uint(t) | (__float_as_uint(x) & 0x80000000u));
}

/* number_erf */
static __device__ __forceinline__ float device_erf(float x)
{
	const float near[] = NUMBER_ERF_NEAR, far[] = NUMBER_ERF_FAR;
	float a = fabsf(x), square = x * x, p = near[6], q = far[7];
	if (a < NUMBER_ERF_BORDER) {
#pragma unroll
		for (int i = 5; i >= 0; i--)
			p = fmaf(p, square, near[i]);
		return fmaf(x, p, x);
	}
	a = a > 4.0f ? 4.0f : a;
#pragma unroll
	for (int i = 6; i >= 0; i--)
		q = fmaf(q, a, far[i]);
	float y = 0.0f - device_expm1(q);
	return __uint_as_float(__float_as_uint(y) | (__float_as_uint(x) & 0x80000000u));
}

#endif
