/* Private: how every innermost operation loads its sums, adds to them, stores them and prefetches;
 * see tile.h. */
#ifndef KERNELS_TILE_SIMD_H
#define KERNELS_TILE_SIMD_H

#include "kernels/simd.h"
#include "kernels/tile.h"

INLINE void tile_load(const struct tile *a, v16 *sum, const int P, const int T)
{
	const float *out = a->out;
	const size_t stride = a->out_stride;
	const uint32_t lanes = a->lanes;
	UNROLL for (int i = 0; i < P * T; i++)
		sum[i] = v16_zero();
	if (a->first_step == 0)
		return;
	UNROLL for (int p = 0; p < P; p++) {
		UNROLL for (int t = 0; t < T; t++)
			sum[p * T + t] = v16_load_n(out + (size_t)t * stride + 16 * p, lanes - 16 * (uint32_t)p);
	}
}

INLINE void tile_store(const struct tile *a, const v16 *sum, const int P, const int T)
{
	float *out = a->out;
	const size_t stride = a->out_stride;
	const uint32_t lanes = a->lanes;
	UNROLL for (int p = 0; p < P; p++) {
		UNROLL for (int t = 0; t < T; t++)
			v16_store_n(out + (size_t)t * stride + 16 * p, sum[p * T + t],
			            lanes - 16 * (uint32_t)p);
	}
}

/* sum += w * x for weight vector w of panel p and input i of each row; rows are `row` floats. */
INLINE void step_fma(v16 *sum, v16 w, const unsigned char *x, const int row, uint32_t i,
                     const int T)
{
	UNROLL for (int t = 0; t < T; t++)
		v16_fma_at(&sum[t], w, x + 4 * ((size_t)(t * row) + i));
}

/* n <= 32 values of K of the simple formats. */
INLINE void simple_step(const enum kernel_format f, const unsigned char *panel, size_t panel_bytes,
                        const unsigned char *x, uint32_t n, v16 *sum, const int P, const int T)
{
	for (uint32_t k = 0; k < n; k += f == KERNEL_BF16 ? 2 : 1) {
		UNROLL for (int p = 0; p < P; p++) {
			const unsigned char *at = panel + (size_t)p * panel_bytes;
			if (f == KERNEL_F32)
				step_fma(sum + p * T, v16_load((const float *)(const void *)(at + 64 * k)), x,
				         32, k, T);
			if (f == KERNEL_F16)
				step_fma(sum + p * T, v16_f16(at + 32 * k), x, 32, k, T);
			if (f == KERNEL_BF16)
				step_fma(sum + p * T, v16_bf16_even(at + 32 * k), x, 32, k, T);
			if (f == KERNEL_BF16 && k + 1 < n)
				step_fma(sum + p * T, v16_bf16_odd(at + 32 * k), x, 32, k + 1, T);
		}
	}
}

/* Where a step prefetches; NULL: nowhere. */
INLINE const unsigned char *tile_prefetch_at(const struct tile *a, uint32_t step)
{
	if (step < a->prefetch_from || step >= a->prefetch_to)
		return NULL;
	return step < a->prefetch_turn ? a->prefetch + step * a->prefetch_stride
	                            : a->prefetch_then + (step - a->prefetch_turn) * a->prefetch_stride;
}

/* Prefetch `lines` cache lines from line `first` on, in each panel. Steps call it often with few
 * lines, since a core has few misses outstanding. */
INLINE void tile_prefetch(const struct tile *a, const unsigned char *ahead, const int P,
                          const int first, const int lines)
{
	if (ahead == NULL)
		return;
	UNROLL for (int p = 0; p < P; p++, ahead += a->w->panel_bytes) {
		UNROLL for (int i = 0; i < lines; i++)
			_mm_prefetch((const char *)ahead + 64 * (first + i), _MM_HINT_T1);
	}
}

/* How many bytes a single tile prefetches ahead of what it reads, as measured. NEAR is for tiles
 * that wait for memory: the hardware prefetcher does most of the work and only has to be started.
 * FAR is for tiles that keep the core busy: every line must be asked for long before. */
#define TILE_NEAR 1024
#define TILE_FAR 8192

/* A format F brings the always-inlined operation F_tile(a, P, T) for P panels and T rows. Its tiles
 * are a list of TILE(F, T, P, bytes ahead), each row of the table in tile.h: with TILE_FUNCTIONS
 * the list becomes the functions, with TILE_ENTRY the table's entries. */
#define TILE_FUNCTION(F, P, T) \
	static void F##_##P##x##T(const struct tile *a) { F##_tile(a, P, T); }
#define TILE_FUNCTIONS_1(F, T) TILE_FUNCTION(F, 1, T)
#define TILE_FUNCTIONS_2(F, T) TILE_FUNCTION(F, 2, T) TILE_FUNCTION(F, 1, T)
#define TILE_FUNCTIONS_4(F, T) TILE_FUNCTION(F, 4, T) TILE_FUNCTION(F, 1, T)
#define TILE_FUNCTIONS(F, T, P, ahead) TILE_FUNCTIONS_##P(F, T)
#define TILE_ENTRY(F, T, P, ahead) [T] = { P, ahead, F##_##P##x##T, F##_1x##T },

#endif
