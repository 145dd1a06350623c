/* Private: products with f32 inputs over sixteen lanes; matmul_avx2.c and matmul_avx512.c compile
 * it. matmul.c is the canonical form. Bound: memory for few rows, then multiply-add. A tile of P
 * panels and T rows keeps its P*T sums in registers: enough independent chains to hide the fma's
 * latency. */
#include "kernels/layout.h"
#include "kernels/ops.h"
#include "kernels/tile_simd.h"

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

INLINE void simple_tile(const enum kernel_format f, const struct tile *a, const int P, const int T)
{
	const uint32_t step_bytes = f == KERNEL_F32 ? 2048 : 1024;
	const unsigned char *panel = a->panel, *x = a->x;
	v16 sum[4 * TILE_ROWS];
	tile_load(a, sum, P, T);
	uint32_t k = 0, step = 0;
	for (; k + 32 <= a->k; k += 32) {
		tile_ask(a, tile_ahead(a, step++), P, 0, (int)step_bytes / 64);
		simple_step(f, panel, a->w->panel_bytes, x, 32, sum, P, T);
		panel += step_bytes;
		x += T * 128;
	}
	if (k < a->k)
		simple_step(f, panel, a->w->panel_bytes, x, a->k - k, sum, P, T);
	tile_store(a, sum, P, T);
}

INLINE void mxfp4_tile(const struct tile *a, const int P, const int T)
{
	const size_t bytes = a->w->panel_bytes;
	const unsigned char *panel = a->panel, *x = a->x;
	const unsigned char *scale = a->w->panel + a->first_panel * bytes +
		layout_groups(a->w->columns) * MXFP4_GROUP + a->first_step * (size_t)KERNEL_PANEL;
	v16 total[4 * TILE_ROWS];
	tile_load(a, total, P, T);
	for (uint32_t step = 0; step * KERNEL_GROUP < a->k; step++) {
		v16 sum[4 * TILE_ROWS];
		tile_ask(a, tile_ahead(a, step), P, 0, MXFP4_GROUP / 64);
		UNROLL for (int i = 0; i < P * T; i++)
			sum[i] = v16_zero();
		for (uint32_t s = 0; s < 4; s++) {
			UNROLL for (int j = 0; j < 8; j++) {
				UNROLL for (int p = 0; p < P; p++)
					step_fma(sum + p * T, v16_e2m1(panel + (size_t)p * bytes + 64 * s, j),
					         x, 32, 8 * s + (uint32_t)j, T);
			}
		}
		UNROLL for (int p = 0; p < P; p++) {
			v16 d = v16_e8m0(scale + (size_t)p * bytes);
			UNROLL for (int t = 0; t < T; t++)
				total[p * T + t] = v16_fma(sum[p * T + t], d, total[p * T + t]);
		}
		panel += MXFP4_GROUP;
		scale += KERNEL_PANEL;
		x += T * 128;
	}
	tile_store(a, total, P, T);
}

/* Panels of one call may lie in two rows of scales, so each finds its own. */
INLINE v16 fp8_scale(const struct tile *a, uint32_t panel, uint32_t block)
{
	size_t blocks = ((size_t)a->w->columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	return v16_set1(256 * a->w->scale[panel * KERNEL_PANEL / KERNEL_FP8_BLOCK * blocks + block]);
}

INLINE void fp8_tile(const struct tile *a, const int P, const int T)
{
	const size_t bytes = a->w->panel_bytes;
	const unsigned char *panel = a->panel, *x = a->x;
	v16 total[4 * TILE_ROWS];
	tile_load(a, total, P, T);
	for (uint32_t step = 0; step * KERNEL_FP8_BLOCK < a->k; step++) {
		uint32_t left = a->k - step * KERNEL_FP8_BLOCK;
		uint32_t n = left < KERNEL_FP8_BLOCK ? left : KERNEL_FP8_BLOCK;
		v16 sum[4 * TILE_ROWS];
		tile_ask(a, tile_ahead(a, step), P, 0, 16 * KERNEL_FP8_BLOCK / 64);
		UNROLL for (int i = 0; i < P * T; i++)
			sum[i] = v16_zero();
		for (uint32_t k = 0; k < n; k++) {
			UNROLL for (int p = 0; p < P; p++)
				step_fma(sum + p * T, v16_e4m3(panel + (size_t)p * bytes + 16 * (size_t)k), x,
				         128, k, T);
		}
		UNROLL for (int p = 0; p < P; p++) {
			v16 scale = fp8_scale(a, a->first_panel + (uint32_t)p, a->first_step + step);
			UNROLL for (int t = 0; t < T; t++)
				total[p * T + t] = v16_fma(sum[p * T + t], scale, total[p * T + t]);
		}
		panel += 16 * KERNEL_FP8_BLOCK;
		x += T * 512;
	}
	tile_store(a, total, P, T);
}

INLINE void f32_tile(const struct tile *a, const int P, const int T)
{
	simple_tile(KERNEL_F32, a, P, T);
}

INLINE void bf16_tile(const struct tile *a, const int P, const int T)
{
	simple_tile(KERNEL_BF16, a, P, T);
}

INLINE void f16_tile(const struct tile *a, const int P, const int T)
{
	simple_tile(KERNEL_F16, a, P, T);
}

/* Panels side by side, as measured. Up to eight rows of f32 take one after the other, as memory
 * likes best. Fewer bytes a value need four for few rows, since one chain of fmas does not keep up
 * with memory, and little foresight; 8 bits and less cost more to convert than to read. */
#define ONE TILE_IS_ONE
#define TWO TILE_IS_TWO
#if SIMD_LEAN
#define OPS_32(F) TILE_ONE(F, 1) TILE_ONE(F, 2)
#define FORM_32(F) ONE(F, 1, TILE_FAR), ONE(F, 2, TILE_FAR)
#define OPS_16 OPS_32
#define FORM_16 FORM_32
#define OPS_8 OPS_32
#define FORM_8 FORM_32
#elif defined(__AVX512F__)
#define WIDE_OPS(F) TILE_TWO(F, 2, 10) TILE_TWO(F, 2, 12)
#define WIDE(F) TWO(F, 2, 10, TILE_FAR), TWO(F, 2, 12, TILE_FAR)
#define FEW_OPS(F) TILE_TWO(F, 4, 1) TILE_TWO(F, 4, 2) TILE_TWO(F, 4, 3) TILE_ONE(F, 4)
#define SOON_FOUR 768
#define FEW(F) \
	TWO(F, 4, 1, SOON_FOUR), TWO(F, 4, 2, SOON_FOUR), TWO(F, 4, 3, SOON_FOUR), \
	ONE(F, 4, TILE_FAR)
#define OPS_32(F) \
	TILE_ONE(F, 1) TILE_ONE(F, 2) TILE_ONE(F, 3) TILE_ONE(F, 4) TILE_ONE(F, 6) TILE_ONE(F, 8) \
	WIDE_OPS(F)
#define FORM_32(F) \
	ONE(F, 1, TILE_NEAR), ONE(F, 2, TILE_NEAR), ONE(F, 3, TILE_NEAR), ONE(F, 4, TILE_NEAR), \
	ONE(F, 6, TILE_FAR), ONE(F, 8, TILE_FAR), WIDE(F)
#define OPS_16(F) FEW_OPS(F) TILE_ONE(F, 6) TILE_ONE(F, 8) WIDE_OPS(F)
#define FORM_16(F) FEW(F), ONE(F, 6, TILE_FAR), ONE(F, 8, TILE_FAR), WIDE(F)
#define OPS_8(F) FEW_OPS(F) TILE_TWO(F, 2, 6) TILE_TWO(F, 2, 8) WIDE_OPS(F)
#define FORM_8(F) FEW(F), TWO(F, 2, 6, TILE_FAR), TWO(F, 2, 8, TILE_FAR), WIDE(F)
#else
#define MORE_OPS(F) TILE_TWO(F, 2, 2) TILE_TWO(F, 2, 3) TILE_ONE(F, 4) TILE_ONE(F, 6)
#define MORE(F, soon) \
	TWO(F, 2, 2, soon), TWO(F, 2, 3, soon), ONE(F, 4, soon), ONE(F, 6, TILE_FAR)
#define OPS_32(F) TILE_ONE(F, 1) MORE_OPS(F)
#define FORM_32(F) ONE(F, 1, TILE_NEAR), MORE(F, TILE_NEAR)
#define OPS_16 OPS_32
#define FORM_16(F) ONE(F, 1, TILE_FAR), MORE(F, TILE_FAR)
#define OPS_8(F) TILE_TWO(F, 4, 1) MORE_OPS(F)
#define FORM_8(F) TWO(F, 4, 1, TILE_FAR), MORE(F, TILE_FAR)
#endif

#define MATMUL(F, BITS, step_k, panel_step, pack)                                                  \
	OPS_##BITS(F) static const struct tile_form F##_form = {                                   \
		step_k, panel_step, 4 * (step_k), pack, { FORM_##BITS(F) }                         \
	};                                                                                         \
	void SIMD_NAME(matmul_##F)(const struct kernel_matrix *w, uint32_t panel, uint32_t panels, \
				   const struct kernel_rows *x, float *out, size_t out_stride)     \
	{                                                                                          \
		kernel_tile_matmul(&F##_form, w, panel, panels, x, out, out_stride);               \
	}

MATMUL(f32, 32, 32, 2048, kernel_tile_pack_32)
MATMUL(bf16, 16, 32, 1024, kernel_tile_pack_32)
MATMUL(f16, 16, 32, 1024, kernel_tile_pack_32)
MATMUL(fp8, 8, 128, 2048, kernel_tile_pack_128)
MATMUL(mxfp4, 8, 32, MXFP4_GROUP, kernel_tile_pack_32)
