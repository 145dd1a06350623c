/* Integer matrix products: canonical form. Inside a group of 32 the sum of products is exact in
 * int32; in each block of 128 inputs, from zero, block = fma((float)sum, d_w, block), groups
 * ascending; then output = fma(block, d_x, output), blocks ascending. Columns of the padding are
 * zeros, and change nothing.
 *
 * MXFP4 likewise, in the fast sets alone: codes are twice the E2M1 values, d_w is 2^(s - 144), and
 * d_x is 2^16 as large, so that no sum of a block overflows for any s. */
#include "kernels/layout.h"
#include "kernels/number.h"
#include "kernels/ops.h"

#include <math.h>
#include <string.h>

static int32_t code_q8(const unsigned char *p, size_t lane, size_t k)
{
	return p[layout_q8(lane, k)] - 128;
}

static int32_t code_q4(const unsigned char *p, size_t lane, size_t k)
{
	return (p[layout_q4(lane, k)] >> layout_shift(k) & 15) - 8;
}

static int32_t code_mxfp4(const unsigned char *p, size_t lane, size_t k)
{
	static const int8_t twice[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };
	return twice[p[layout_nibble(lane, k)] >> layout_shift(k) & 15];
}

static float f16_at(const unsigned char *p)
{
	uint16_t half;
	memcpy(&half, p, 2);
	return number_from_f16(half);
}

static float scale_q8(const struct kernel_matrix *w, const unsigned char *p, size_t lane, size_t k)
{
	(void)w;
	return f16_at(p + layout_q8_scale(lane, k));
}

static float scale_q4(const struct kernel_matrix *w, const unsigned char *p, size_t lane, size_t k)
{
	(void)w;
	return f16_at(p + layout_q4_scale(lane, k));
}

static float scale_mxfp4(const struct kernel_matrix *w, const unsigned char *p, size_t lane,
			 size_t k)
{
	uint8_t s = p[layout_mxfp4_scale(w->columns, lane, k)];
	return number_from_e8m0(s) * 0x1p-17f;
}

struct integer_form {
	int32_t (*code)(const unsigned char *p, size_t lane, size_t k);
	float (*scale)(const struct kernel_matrix *w, const unsigned char *p, size_t lane,
		       size_t k);
	float input; /* that scales of inputs are multiplied with */
};

static float row_run(const struct kernel_matrix *w, uint32_t row, const int8_t *x,
		     const float *scale, const struct integer_form *f)
{
	const unsigned char *p = w->panel + row / KERNEL_PANEL * w->panel_bytes;
	size_t lane = row % KERNEL_PANEL;
	float total = 0, block = 0;
	for (size_t k = 0; k < w->columns; k += KERNEL_GROUP) {
		size_t end = k + KERNEL_GROUP;
		int32_t sum = 0;
		for (size_t j = k; j < end; j++)
			sum += f->code(p, lane, j) * x[j];
		block = fmaf((float)sum, f->scale(w, p, lane, k), block);
		if (end >= w->columns || end % KERNEL_INPUT_BLOCK == 0) {
			total = fmaf(block, scale[k / KERNEL_INPUT_BLOCK] * f->input, total);
			block = 0;
		}
	}
	return total;
}

static void run(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
		const struct kernel_rows *x, float *out, size_t out_stride,
		const struct integer_form *f)
{
	size_t wide = kernel_quant_columns(w->columns);
	uint32_t end = (panel + panels) * KERNEL_PANEL < w->rows ? (panel + panels) * KERNEL_PANEL
								 : w->rows;
	for (uint32_t i = 0; i < x->count; i++) {
		size_t at = x->pick ? x->pick[i] : i;
		for (uint32_t row = panel * KERNEL_PANEL; row < end; row++)
			out[i * out_stride + row] =
				row_run(w, row, x->quant->code + at * wide,
					x->quant->scale + at * wide / KERNEL_INPUT_BLOCK, f);
	}
}

void kernel_matmul_q8_plain(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
			    const struct kernel_rows *x, float *out, size_t out_stride)
{
	run(w, panel, panels, x, out, out_stride,
	    &(struct integer_form){ code_q8, scale_q8, 1 });
}

void kernel_matmul_q4_plain(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
			    const struct kernel_rows *x, float *out, size_t out_stride)
{
	run(w, panel, panels, x, out, out_stride,
	    &(struct integer_form){ code_q4, scale_q4, 1 });
}

void kernel_matmul_mxfp4_int_plain(const struct kernel_matrix *w, uint32_t panel, uint32_t panels,
				   const struct kernel_rows *x, float *out, size_t out_stride)
{
	run(w, panel, panels, x, out, out_stride,
	    &(struct integer_form){ code_mxfp4, scale_mxfp4, 0x1p16f });
}
