/* Private: what every innermost operation does at its begin and end; see tile.h. */
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

INLINE void tile_ahead(const struct tile *a, uint32_t step, const int P)
{
	const uint32_t lines = a->ahead_lines;
	const unsigned char *at = step < a->ahead_steps
	                                  ? a->ahead + step * a->ahead_stride
	                                  : a->then + (step - a->ahead_steps) * a->ahead_stride;
	for (int p = 0; p < P; p++, at += a->w->panel_bytes) {
		for (uint32_t i = 0; i < lines; i++)
			_mm_prefetch((const char *)(at + 64 * (size_t)i), _MM_HINT_T1);
	}
}

/* Panels side by side for each number of rows, and the functions of each. `F` names a format whose
 * F##_tile(P, T, a) is the operation. Lean builds have fewer. */
#define TILE_OP(F, P, T) \
	static void F##_##P##x##T(const struct tile *a) { F##_tile(a, P, T); }
#define TILE_ONE(F, T) TILE_OP(F, 1, T)
#define TILE_TWO(F, P, T) TILE_OP(F, P, T) TILE_OP(F, 1, T)
#define TILE_IS_ONE(F, T) [T] = { 1, F##_1x##T, F##_1x##T }
#define TILE_IS_TWO(F, P, T) [T] = { P, F##_##P##x##T, F##_1x##T }

#endif
