/* Private: matmul over sixteen lanes; matmul_avx2.c and matmul_avx512.c compile it. matmul.c is the
 * canonical form. Bound: memory for few rows (each panel byte is read once for up to SIMD_TOKENS
 * rows), then multiply-add. A tile of P panels and T rows keeps its P*T sums in registers: enough
 * independent chains to hide the fma's latency. */
#include "kernels/ops.h"
#include "kernels/simd.h"

struct tile {
	const unsigned char *panel; /* the first of P */
	size_t panel_bytes;
	const float *x[SIMD_TOKENS];
	uint32_t columns;
	const float *scale;         /* FP8: of this row block, [ceil(columns/128)] */
};

INLINE void tile_f32(const struct tile *a, v16 *sum, const int P, const int T)
{
	for (uint32_t k = 0; k < a->columns; k++) {
		UNROLL for (int p = 0; p < P; p++) {
			v16 w = v16_load((const float *)(const void *)(a->panel + (size_t)p *
			                                               a->panel_bytes) + 16 * (size_t)k);
			UNROLL for (int t = 0; t < T; t++)
				sum[p * T + t] = v16_fma(w, v16_set1(a->x[t][k]), sum[p * T + t]);
		}
	}
}

INLINE void tile_bf16(const struct tile *a, v16 *sum, const int P, const int T)
{
	uint32_t k = 0;
	for (; k + 1 < a->columns; k += 2) {
		UNROLL for (int p = 0; p < P; p++) {
			const unsigned char *at = a->panel + (size_t)p * a->panel_bytes + 32 * (size_t)k;
			v16 even = v16_bf16_even(at), odd = v16_bf16_odd(at);
			UNROLL for (int t = 0; t < T; t++)
				sum[p * T + t] = v16_fma(even, v16_set1(a->x[t][k]), sum[p * T + t]);
			UNROLL for (int t = 0; t < T; t++)
				sum[p * T + t] = v16_fma(odd, v16_set1(a->x[t][k + 1]), sum[p * T + t]);
		}
	}
	if (k < a->columns) {
		UNROLL for (int p = 0; p < P; p++) {
			v16 even = v16_bf16_even(a->panel + (size_t)p * a->panel_bytes + 32 * (size_t)k);
			UNROLL for (int t = 0; t < T; t++)
				sum[p * T + t] = v16_fma(even, v16_set1(a->x[t][k]), sum[p * T + t]);
		}
	}
}

INLINE void tile_fp8(const struct tile *a, v16 *total, const int P, const int T)
{
	for (uint32_t begin = 0; begin < a->columns; begin += KERNEL_FP8_BLOCK) {
		uint32_t end = begin + KERNEL_FP8_BLOCK < a->columns ? begin + KERNEL_FP8_BLOCK : a->columns;
		v16 sum[SIMD_TOKENS * 4], scale = v16_set1(256 * a->scale[begin / KERNEL_FP8_BLOCK]);
		UNROLL for (int i = 0; i < P * T; i++)
			sum[i] = v16_zero();
		for (uint32_t k = begin; k < end; k++) {
			UNROLL for (int p = 0; p < P; p++) {
				v16 w = v16_e4m3(a->panel + (size_t)p * a->panel_bytes + 16 * (size_t)k);
				UNROLL for (int t = 0; t < T; t++)
					sum[p * T + t] = v16_fma(w, v16_set1(a->x[t][k]), sum[p * T + t]);
			}
		}
		UNROLL for (int i = 0; i < P * T; i++)
			total[i] = v16_fma(sum[i], scale, total[i]);
	}
}

/* P panels starting at `panel` for T rows starting at `row`. */
INLINE void tile_run(const enum kernel_format format, const int P, const int T,
                     const struct kernel_matrix *w,
                     uint32_t panel, const struct kernel_rows *x, uint32_t row, float *out,
                     size_t out_stride)
{
	struct tile a = { w->panel + (size_t)panel * w->panel_bytes, w->panel_bytes, { 0 }, w->columns,
		NULL };
	v16 sum[SIMD_TOKENS * 4];
	UNROLL for (int t = 0; t < T; t++) {
		uint32_t i = row + (uint32_t)t;
		a.x[t] = x->value + (x->pick ? x->pick[i] : i) * x->stride;
	}
	UNROLL for (int i = 0; i < P * T; i++)
		sum[i] = v16_zero();
	if (format == KERNEL_F32)
		tile_f32(&a, sum, P, T);
	if (format == KERNEL_BF16)
		tile_bf16(&a, sum, P, T);
	if (format == KERNEL_FP8) {
		uint32_t blocks = (w->columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
		a.scale = w->scale + (size_t)(panel * KERNEL_PANEL / KERNEL_FP8_BLOCK) * blocks;
		tile_fp8(&a, sum, P, T);
	}
	UNROLL for (int p = 0; p < P; p++) {
		uint32_t first = (panel + (uint32_t)p) * KERNEL_PANEL;
		UNROLL for (int t = 0; t < T; t++)
			v16_store_n(out + (row + (uint32_t)t) * out_stride + first, sum[p * T + t],
			            w->rows - first);
	}
}

/* How many of the rows that are left go into the next tile. */
INLINE uint32_t tile_rows(uint32_t left)
{
	static const unsigned char rows[12] = { 1, 1, 2, 3, 4, 4, 6, 6, 8, 8, 8, 8 };
	return left >= SIMD_TOKENS ? SIMD_TOKENS : rows[left];
}

/* All rows for P panels that share a scale row; P is 4 only for at most 4 rows. */
INLINE void tile_column(const enum kernel_format format, const int P, const struct kernel_matrix *w,
                        uint32_t panel, const struct kernel_rows *x, float *out, size_t out_stride)
{
	for (uint32_t row = 0; row < x->count;) {
		uint32_t n = tile_rows(x->count - row);
		if (n == 1)
			tile_run(format, P, 1, w, panel, x, row, out, out_stride);
		else if (n == 2)
			tile_run(format, P, 2, w, panel, x, row, out, out_stride);
		else if (n == 3)
			tile_run(format, P, 3, w, panel, x, row, out, out_stride);
		else if (n == 4)
			tile_run(format, P, 4, w, panel, x, row, out, out_stride);
		else if (P < 4 && n == 6)
			tile_run(format, P, 6, w, panel, x, row, out, out_stride);
		else if (P < 4 && SIMD_TOKENS >= 8 && n == 8)
			tile_run(format, P, SIMD_TOKENS >= 8 ? 8 : 1, w, panel, x, row, out, out_stride);
		else if (P < 4)
			tile_run(format, P, SIMD_TOKENS, w, panel, x, row, out, out_stride);
		row += n;
	}
}

/* Panels side by side: sixteen sums of AVX-512, half as many of AVX2, fit beside the operands. */
INLINE uint32_t tile_panels(uint32_t rows)
{
	if (SIMD_LEAN)
		return 1;
	if (SIMD_TOKENS == 12)
		return rows <= 4 ? 4 : 2;
	return rows <= 1 ? 4 : rows <= 3 ? 2 : 1;
}

INLINE void matmul_run(const enum kernel_format format, const struct kernel_matrix *w,
                       uint32_t panel, uint32_t panels,
                       const struct kernel_rows *x, float *out, size_t out_stride)
{
	uint32_t end = panel + panels, group = tile_panels(x->count);
	while (panel < end) {
		uint32_t p = panel % group != 0 || end - panel < group ? 1 : group;
		if (!SIMD_LEAN && p == 4)
			tile_column(format, 4, w, panel, x, out, out_stride);
		else if (!SIMD_LEAN && p == 2)
			tile_column(format, 2, w, panel, x, out, out_stride);
		else
			tile_column(format, 1, w, panel, x, out, out_stride);
		panel += p;
	}
}

void SIMD_NAME(matmul_f32)(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
                           const struct kernel_rows *x, float *out, size_t out_stride)
{
	matmul_run(KERNEL_F32, w, panel, panels, x, out, out_stride);
}

void SIMD_NAME(matmul_bf16)(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
                            const struct kernel_rows *x, float *out, size_t out_stride)
{
	matmul_run(KERNEL_BF16, w, panel, panels, x, out, out_stride);
}

void SIMD_NAME(matmul_fp8)(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
                           const struct kernel_rows *x, float *out, size_t out_stride)
{
	matmul_run(KERNEL_FP8, w, panel, panels, x, out, out_stride);
}
