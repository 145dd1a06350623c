/* Device form of rmsnorm on rows in place (kernels/rows.c is the truth).
 * Bound:   latency, then memory.
 * Bytes:   rows*n*4 read and written; the gain from the cache.
 * Launch:  grid rows, block 256; a row is a block's.
 * Order:   squares as in close_rows.cu: one tree, whatever the number of rows and of blocks.
 * Limits:  registers 40, threads 256, local 0
 * Shared:  n*4 + 32 bytes.
 * Blocks:  6 blocks a multiprocessor for latents of at most 4,096. */
#include "kernels/device_kernel.h"

namespace norm_rows_parts
{

template <bool whole>
static __device__ void norm_row(const struct norm_rows_args &a, float *x, float *room, float *kept)
{
	for (uint32_t i = threadIdx.x * 4; i < a.n; i += DEVICE_FOURS)
		device_four_store<true>(kept, i, a.n, device_four_load<whole>(x, i, a.n));
	const struct device_measure by = device_measure_row(kept, a.n, a.eps, false, room);
	for (uint32_t i = threadIdx.x * 4; i < a.n; i += DEVICE_FOURS)
		device_four_store<whole>(x, i, a.n,
					 device_normed<whole>(device_four_load<true>(kept, i, a.n),
							      by, a.gain, nullptr, i, a.n));
}

} /* namespace norm_rows_parts */

static __device__ void norm_rows_block(const struct norm_rows_args &a, unsigned char *shared)
{
	float *room = (float *)shared, *kept = (float *)(shared + 32);
	uint32_t rows = a.batch->rows;
	for (uint32_t row = blockIdx.x; row < rows; row += gridDim.x) {
		float *x = a.x + row * a.stride;
		if (a.n % 4 == 0 && a.stride % 4 == 0)
			norm_rows_parts::norm_row<true>(a, x, room, kept);
		else
			norm_rows_parts::norm_row<false>(a, x, room, kept);
	}
}

static size_t norm_rows_shared(const struct norm_rows_args &a)
{
	return 32 + ((size_t)a.n + 3) / 4 * 16;
}

static bool norm_rows_valid(const struct norm_rows_args &a)
{
	return a.n > 0 && a.n <= a.stride && device_aligned(a.x) && device_aligned(a.gain) &&
	       norm_rows_shared(a) <= DEVICE_SHARED_MOST;
}

#ifndef DEVICE_STEP
static uint32_t norm_rows_blocks(const struct norm_rows_args &a) { return a.rows_most; }
DEVICE_LAUNCH(norm_rows)
#endif
