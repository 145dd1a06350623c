/* Matrix products: canonical forms. Each output adds its terms over k ascending, one fma each. */
#include "kernels/layout.h"
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>

static const float *input_row(const struct kernel_rows *x, uint32_t i)
{
	return x->value + (x->pick ? x->pick[i] : i) * x->stride;
}

static float weight_f32(const unsigned char *panel, uint32_t k, uint32_t lane)
{
	return ((const float *)(const void *)panel)[16 * (size_t)k + lane];
}

static float weight_bf16(const unsigned char *panel, uint32_t k, uint32_t lane)
{
	return number_from_bf16(
		((const uint16_t *)(const void *)panel)[32 * (size_t)(k / 2) + 2 * lane + k % 2]);
}

static float weight_f16(const unsigned char *panel, uint32_t k, uint32_t lane)
{
	return number_from_f16(((const uint16_t *)(const void *)panel)[16 * (size_t)k + lane]);
}

/* In units of 2^-8, as the vector forms decode. */
static float weight_fp8(const unsigned char *panel, uint32_t k, uint32_t lane)
{
	return number_from_e4m3(panel[layout_fp8(lane, k)]) * 0x1p-8f;
}

static void run(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
		const struct kernel_rows *x, float *out, size_t out_stride,
		float (*weight)(const unsigned char *, uint32_t, uint32_t))
{
	uint32_t end = (panel + panels) * KERNEL_PANEL < w->rows ? (panel + panels) * KERNEL_PANEL
								 : w->rows;
	for (uint32_t i = 0; i < x->count; i++) {
		const float *v = input_row(x, i);
		for (uint32_t row = panel * KERNEL_PANEL; row < end; row++) {
			const unsigned char *p = w->panel + row / KERNEL_PANEL * w->panel_bytes;
			float sum = 0;
			for (uint32_t k = 0; k < w->columns; k++)
				sum = fmaf(weight(p, k, row % KERNEL_PANEL), v[k], sum);
			out[i * out_stride + row] = sum;
		}
	}
}

void kernel_matmul_f32_plain(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
			     const struct kernel_rows *x, float *out, size_t out_stride)
{
	run(w, panel, panels, x, out, out_stride, weight_f32);
}

void kernel_matmul_bf16_plain(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
			      const struct kernel_rows *x, float *out, size_t out_stride)
{
	run(w, panel, panels, x, out, out_stride, weight_bf16);
}

void kernel_matmul_f16_plain(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
			     const struct kernel_rows *x, float *out, size_t out_stride)
{
	run(w, panel, panels, x, out, out_stride, weight_f16);
}

static float row_fp8(const struct kernel_matrix *w, uint32_t row, const float *v)
{
	const unsigned char *p = w->panel + row / KERNEL_PANEL * w->panel_bytes;
	uint32_t blocks = (w->columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
	const float *scale = w->scale + (size_t)(row / KERNEL_FP8_BLOCK) * blocks;
	float total = 0, sum = 0;
	for (uint32_t k = 0; k < w->columns; k++) {
		sum = fmaf(weight_fp8(p, k, row % KERNEL_PANEL), v[k], sum);
		if (k + 1 == w->columns || (k + 1) % KERNEL_FP8_BLOCK == 0) {
			total = fmaf(sum, 256 * scale[k / KERNEL_FP8_BLOCK], total);
			sum = 0;
		}
	}
	return total;
}

/* Each output adds a group's terms from zero, then fma(sum, 2^(s - 127), output). */
static float row_mxfp4(const struct kernel_matrix *w, uint32_t row, const float *v)
{
	const unsigned char *p = w->panel + row / KERNEL_PANEL * w->panel_bytes;
	uint32_t lane = row % KERNEL_PANEL;
	float total = 0, sum = 0;
	for (uint32_t k = 0; k < w->columns; k++) {
		uint8_t code = (uint8_t)(p[layout_nibble(lane, k)] >> layout_shift(k) & 15);
		sum = fmaf(number_from_e2m1(code), v[k], sum);
		if (k + 1 == w->columns || (k + 1) % KERNEL_GROUP == 0) {
			uint8_t scale = p[layout_mxfp4_scale(w->columns, lane, k)];
			total = fmaf(sum, number_from_e8m0(scale), total);
			sum = 0;
		}
	}
	return total;
}

static void run_rows(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
		     const struct kernel_rows *x, float *out, size_t out_stride,
		     float (*product)(const struct kernel_matrix *, uint32_t, const float *))
{
	uint32_t end = (panel + panels) * KERNEL_PANEL < w->rows ? (panel + panels) * KERNEL_PANEL
								 : w->rows;
	for (uint32_t i = 0; i < x->count; i++) {
		for (uint32_t row = panel * KERNEL_PANEL; row < end; row++)
			out[i * out_stride + row] = product(w, row, input_row(x, i));
	}
}

void kernel_matmul_fp8_plain(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
			     const struct kernel_rows *x, float *out, size_t out_stride)
{
	run_rows(w, panel, panels, x, out, out_stride, row_fp8);
}

void kernel_matmul_mxfp4_plain(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
			       const struct kernel_rows *x, float *out, size_t out_stride)
{
	run_rows(w, panel, panels, x, out, out_stride, row_mxfp4);
}
