/* Private to product.cu, in part to product_large.cu: rows of x in shared memory, as lanes bring
 * them to a matrix instruction (its 8-column operand B: a row of x is a column).
 *
 * x [tile of 16 K][row][t of 4] 16 bytes: the bf16 terms of k = 2t, 2t+1; of 2t+8, 2t+9; then the
 * second terms of the same (zero with one term). A lane reads its registers in one go, and a warp
 * without bank conflicts. Rows that are not there take no room. */
#ifndef KERNELS_PRODUCT_ROWS_H
#define KERNELS_PRODUCT_ROWS_H

namespace product_parts
{

#define PRODUCT_ROW_SEGMENT (FRAGMENT_SEGMENT * 4) /* bytes of a row's segment */

/* Numbers k and k + 1 of a row, zeros from `columns` on, where there may be anything. */
static __device__ __forceinline__ float2 two_numbers(const float *x, uint32_t k, uint32_t columns,
						     bool paired)
{
	if (paired)
		return k < columns ? __ldcg((const float2 *)(x + k)) : make_float2(0, 0);
	return make_float2(k < columns ? __ldcg(x + k) : 0,
			   k + 1 < columns ? __ldcg(x + k + 1) : 0);
}

/* Both terms of two numbers. */
static __device__ __forceinline__ void split(float2 v, bool two, uint32_t *first, uint32_t *second)
{
	*first = ptx_bf16_pair(v.x, v.y);
	*second = two ? ptx_bf16_pair(v.x - device_bf16_low(*first), v.y - device_bf16_high(*first))
		      : 0;
}

/* Tiles [tile, tile + tiles) of the rows x[row[i]]. */
[[maybe_unused]] static __device__ void stage_rows(const struct device_job &j, const uint32_t *row,
						   uint32_t rows, uint32_t tile, uint32_t tiles,
						   bool two, uint4 *out)
{
	constexpr uint32_t ahead = 4;
	uint32_t columns = j.w.columns, count = tiles * rows * 4;
	bool paired = ((uintptr_t)j.x | j.x_stride * 4) % 8 == 0 && columns % 2 == 0;
	for (uint32_t from = threadIdx.x; from < count; from += ahead * DEVICE_THREADS) {
		float2 low[ahead], high[ahead];
#pragma unroll
		for (uint32_t n = 0; n < ahead; n++) {
			uint32_t i = from + n * DEVICE_THREADS;
			low[n] = high[n] = make_float2(0, 0);
			if (i >= count)
				continue;
			const float *x = j.x + row[i / 4 % rows] * j.x_stride;
			uint32_t k = (tile + i / 4 / rows) * FRAGMENT_K + 2 * (i % 4);
			low[n] = two_numbers(x, k, columns, paired);
			high[n] = two_numbers(x, k + 8, columns, paired);
		}
#pragma unroll
		for (uint32_t n = 0; n < ahead; n++) {
			uint32_t i = from + n * DEVICE_THREADS;
			uint4 v;
			if (i >= count)
				continue;
			split(low[n], two, &v.x, &v.z);
			split(high[n], two, &v.y, &v.w);
			out[i] = v;
		}
	}
}

} /* namespace product_parts */

#endif
