/* Private: what the operations that shape queries and store cache rows share. A warp shapes a head,
 * which lies in its part of shared memory: number i is lane i % 32's. */
#ifndef KERNELS_DEVICE_PLACE_H
#define KERNELS_DEVICE_PLACE_H

#include "kernels/device_kernel.h"

static __device__ __forceinline__ uint32_t place_lane(void) { return threadIdx.x % WARP; }

static __device__ __forceinline__ void place_load(float *x, const float *from, uint32_t n)
{
	for (uint32_t i = place_lane(); i < n; i += WARP)
		x[i] = from[i];
}

/* By a scale that all lanes know. gain NULL: none */
static __device__ __forceinline__ void place_scale(float *x, uint32_t n, float scale,
						   const float *gain)
{
	for (uint32_t i = place_lane(); i < n; i += WARP)
		x[i] = gain == nullptr ? x[i] * scale : x[i] * scale * gain[i];
}

static __device__ __forceinline__ float place_rms(float squares, uint32_t n, float eps)
{
	return 1.0f / sqrtf(squares / (float)n + eps);
}

/* RMS norm. A lane adds the squares of its numbers in order, then the butterfly. */
static __device__ __forceinline__ void place_norm(float *x, uint32_t n, const float *gain,
						  float eps)
{
	float sum = 0;
	for (uint32_t i = place_lane(); i < n; i += WARP)
		sum = fmaf(x[i], x[i], sum);
	place_scale(x, n, place_rms(device_warp_sum(sum), n, eps), gain);
}

/* rope_half and rope_interleaved of struct kernels: the same bits. The lanes need not have waited
 * for each other before, and have after. */
static __device__ __forceinline__ void place_rotate(float *x, const struct device_rope &rope,
						    uint32_t position)
{
	__syncwarp();
	if (rope.cosine == nullptr)
		return;
	for (uint32_t i = place_lane(); i < rope.half; i += WARP) {
		size_t at = (size_t)position * rope.half + i;
		uint32_t one = rope.interleaved ? 2 * i : i;
		uint32_t two = rope.interleaved ? 2 * i + 1 : i + rope.half;
		float c = rope.cosine[at], s = rope.sine[at], a = x[one], b = x[two];
		x[one] = a * c - b * s;
		x[two] = a * s + b * c;
	}
	__syncwarp();
}

/* number_log, for x >= 1: the same bits. */
static __device__ __forceinline__ double place_log(double x)
{
	int e;
	double m = frexp(x, &e); /* exact: [0.5, 1) */
	if (m < 0.70710678118654752) {
		m *= 2;
		e--;
	}
	double s = (m - 1) / (m + 1), s2 = s * s, sum = 0;
#pragma unroll
	for (int i = 23; i >= 1; i -= 2) /* unrolled, its divisions are constants */
		sum = sum * s2 + 1.0 / i;
	return (double)e * 0x1.62e42fefa39efp-1 + 2 * s * sum;
}

/* model_temper_at */
static __device__ __forceinline__ float place_temper(double beta, uint32_t length, uint32_t shift,
						     uint32_t position)
{
	double steps = floor(((double)position + (double)shift) / (double)length);
	return (float)(1 + beta * place_log(1 + steps));
}

/* The beginning of the page of a row's own position. */
static __device__ __forceinline__ unsigned char *place_page(const struct device_batch &b,
							    uint32_t row)
{
	uint32_t first = b.first_page[b.sequence[row]];
	return b.page_at[b.page[first + b.position[row] / KERNEL_PAGE]];
}

static __device__ __forceinline__ const struct device_rope &place_rope(
	const struct device_batch &b, const struct device_rope &near, const struct device_rope &far,
	uint32_t row)
{
	return b.far != nullptr && b.far[b.sequence[row]] != 0 ? far : near;
}

/* Bytes of a number in a cache of either kind. */
static __host__ __device__ __forceinline__ uint32_t place_bytes(enum kernel_cache cache)
{
	return cache == KERNEL_CACHE_F32 ? 4 : 2;
}

/* A whole cache row: x [n], then zeros up to the width it is stored in. The lanes have waited. */
static __device__ __forceinline__ void place_store(enum kernel_cache cache, const float *x,
						   uint32_t n, unsigned char *to)
{
	uint32_t width = device_cache_width(n);
	for (uint32_t i = 2 * place_lane(); i < width; i += 2 * WARP) {
		float low = i < n ? x[i] : 0, high = i + 1 < n ? x[i + 1] : 0;
		if (cache == KERNEL_CACHE_F32)
			*(float2 *)(to + 4 * (size_t)i) = make_float2(low, high);
		else
			*(uint32_t *)(to + 2 * (size_t)i) = ptx_bf16_pair(low, high);
	}
}

#endif
