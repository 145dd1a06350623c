/* Packing: canonical form, value by value. */
#include "kernels/pack.h"
#include "base/check.h"
#include "kernels/layout.h"
#include "kernels/ops.h"

#include <math.h>
#include <string.h>

static float scale_at(const struct kernel_stored_rows *from, uint32_t row, uint32_t i, uint32_t k)
{
	if (from->block_scale == NULL)
		return 1;
	size_t below = (row + i) / KERNEL_FP8_BLOCK - row / KERNEL_FP8_BLOCK;
	return from->block_scale[below * from->block_stride + k / KERNEL_FP8_BLOCK];
}

float kernel_pack_value(const struct kernel_stored_rows *from, uint32_t row, uint32_t i, uint32_t k)
{
	const unsigned char *v = (const unsigned char *)from->value + i * from->stride_bytes;
	uint16_t half;
	float f;
	switch (from->stored) {
	case KERNEL_FROM_F32: memcpy(&f, v + 4 * (size_t)k, 4); return f;
	case KERNEL_FROM_BF16: memcpy(&half, v + 2 * (size_t)k, 2); return number_from_bf16(half);
	case KERNEL_FROM_F16: memcpy(&half, v + 2 * (size_t)k, 2); return number_from_f16(half);
	case KERNEL_FROM_E4M3: break;
	}
	return number_from_e4m3(v[k]) * scale_at(from, row, i, k);
}

uint64_t kernel_pack_refused(const struct kernel_matrix *w, uint32_t row, uint32_t i, uint32_t rows,
			     const struct kernel_stored_rows *from)
{
	uint32_t limit = pack_limit(w->format);
	for (uint32_t end = i + rows; i < end; i++) {
		for (uint32_t k = 0; k < w->columns; k++) {
			float v = kernel_pack_value(from, row, i, k);
			if ((number_bits(v) & 0x7fffffffu) >= limit)
				return (uint64_t)i * w->columns + k;
		}
	}
	return (uint64_t)i * w->columns;
}

static void put_u16(unsigned char *at, uint16_t v) { memcpy(at, &v, 2); }

static void q8_put(unsigned char *p, size_t lane, size_t k, const float *v)
{
	float most = 0;
	for (int j = 0; j < KERNEL_GROUP; j++)
		most = fabsf(v[j]) > most ? fabsf(v[j]) : most;
	uint16_t half = number_to_f16(most / 127.0f);
	float d = number_from_f16(half), inverse = d > 0 ? 1.0f / d : 0;
	put_u16(p + layout_q8_scale(lane, k), half);
	for (size_t j = 0; j < KERNEL_GROUP; j++) {
		float code = rintf(v[j] * inverse);
		code = code > 127 ? 127 : code < -127 ? -127 : code;
		p[layout_q8(lane, k + j)] = (unsigned char)(128 + (int)code);
	}
}

static void q4_put(unsigned char *p, size_t lane, size_t k, const float *v)
{
	float high = 0, low = 0;
	for (int j = 0; j < KERNEL_GROUP; j++) {
		high = v[j] > high ? v[j] : high;
		low = v[j] < low ? v[j] : low;
	}
	uint16_t half = number_to_f16((high >= -low ? high : low) * -0.125f);
	float d = number_from_f16(half), inverse = d != 0 ? 1.0f / d : 0;
	put_u16(p + layout_q4_scale(lane, k), half);
	for (size_t j = 0; j < KERNEL_GROUP; j++) {
		float code = rintf(v[j] * inverse) + 8;
		code = code > 15 ? 15 : code < 0 ? 0 : code;
		unsigned char *at = &p[layout_q4(lane, k + j)];
		unsigned shift = layout_shift(k + j);
		*at = (unsigned char)((*at & ~(15u << shift)) | (unsigned)code << shift);
	}
}

static void simple_put(const struct kernel_matrix *w, unsigned char *p, size_t lane, size_t k,
		       const float *v)
{
	for (size_t j = 0; j < KERNEL_GROUP && k + j < w->columns + (w->columns & 1); j++) {
		size_t at = k + j;
		if (w->format == KERNEL_BF16)
			put_u16(p + at / 2 * 64 + 4 * lane + 2 * (at % 2), number_to_bf16(v[j]));
		else if (at < w->columns && w->format == KERNEL_F32)
			memcpy(p + 64 * at + 4 * lane, &v[j], 4);
		else if (at < w->columns)
			put_u16(p + 32 * at + 2 * lane, number_to_f16(v[j]));
	}
}

/* One panel, rows [i, i+n) of the source. */
static void panel_put(struct kernel_matrix *w, unsigned char *p, uint32_t row, uint32_t i,
		      uint32_t n, const struct kernel_stored_rows *from)
{
	for (uint32_t lane = 0; lane < KERNEL_PANEL; lane++) {
		for (uint32_t k = 0; k < layout_pairs(w->columns) * PAIR_K; k += KERNEL_GROUP) {
			float v[KERNEL_GROUP] = { 0 };
			for (uint32_t j = 0; lane < n && j < KERNEL_GROUP && k + j < w->columns; j++)
				v[j] = kernel_pack_value(from, row, i + lane, k + j);
			if (w->format == KERNEL_Q8)
				q8_put(p, lane, k, v);
			else if (w->format == KERNEL_Q4)
				q4_put(p, lane, k, v);
			else
				simple_put(w, p, lane, k, v);
		}
	}
}

static void panel_put_e4m3(struct kernel_matrix *w, unsigned char *p, uint32_t i, uint32_t n,
			   const struct kernel_stored_rows *from)
{
	const unsigned char *v = (const unsigned char *)from->value + i * from->stride_bytes;
	memset(p, 0, w->panel_bytes);
	for (uint32_t lane = 0; lane < n; lane++) {
		for (uint32_t k = 0; k < w->columns; k++)
			p[layout_fp8(lane, k)] = v[lane * from->stride_bytes + k];
	}
}

void kernel_pack_check(const struct kernel_matrix *w, uint32_t row, uint32_t rows,
		       const struct kernel_stored_rows *from)
{
	check(row % KERNEL_PANEL == 0 && row + rows <= w->rows);
	check(rows % KERNEL_PANEL == 0 || row + rows == w->rows);
	check(w->format != KERNEL_MXFP4);
	check(w->format != KERNEL_FP8 || from->stored == KERNEL_FROM_E4M3);
}

uint64_t kernel_pack_plain(struct kernel_matrix *w, uint32_t row, uint32_t rows,
			   const struct kernel_stored_rows *from)
{
	kernel_pack_check(w, row, rows, from);
	for (uint32_t i = 0; i < rows; i += KERNEL_PANEL) {
		uint32_t n = rows - i < KERNEL_PANEL ? rows - i : KERNEL_PANEL;
		unsigned char *p = w->panel + (row + i) / KERNEL_PANEL * w->panel_bytes;
		uint64_t at = kernel_pack_refused(w, row, i, n, from);
		if (at != (uint64_t)(i + n) * w->columns)
			return at;
		if (w->format == KERNEL_FP8)
			panel_put_e4m3(w, p, i, n, from);
		else
			panel_put(w, p, row, i, n, from);
	}
	return (uint64_t)rows * w->columns;
}

/* Eight codes, low nibble first, in the order of a step: code b in the low nibble of byte b, code
 * 4 + b in its high nibble. */
static uint32_t step_of(const unsigned char *block)
{
	uint32_t w;
	memcpy(&w, block, 4);
	uint32_t even = w & 0x0f0f0f0fu, odd = w >> 4 & 0x0f0f0f0fu;
	uint32_t first = (even & 0xffu) | (odd & 0xffu) << 8 | (even & 0xff00u) << 8 |
			 (odd & 0xff00u) << 16;
	even >>= 16;
	odd >>= 16;
	uint32_t second = (even & 0xffu) | (odd & 0xffu) << 8 | (even & 0xff00u) << 8 |
			  (odd & 0xff00u) << 16;
	return first | second << 4;
}

/* One panel, rows [i, i+n) of the source: the first value with scale 255, or n rows on. */
static uint64_t mxfp4_put(const struct kernel_matrix *w, unsigned char *p, uint32_t i, uint32_t n,
			  const struct kernel_mxfp4_rows *from)
{
	size_t groups = layout_groups(w->columns);
	for (uint32_t lane = 0; lane < n; lane++) {
		const unsigned char *scale = from->scale + (i + lane) * from->scale_stride;
		const unsigned char *bad = memchr(scale, 255, groups);
		if (bad != NULL)
			return (uint64_t)(i + lane) * w->columns +
			       (uint64_t)(bad - scale) * KERNEL_GROUP;
		for (size_t g = 0; g < groups; g++)
			p[layout_mxfp4_scale(w->columns, lane, g * KERNEL_GROUP)] = scale[g];
	}
	for (size_t s = 0; s < 4 * groups; s++) {
		for (uint32_t lane = 0; lane < n; lane++) {
			uint32_t step =
				step_of(from->block + (i + lane) * from->block_stride + 4 * s);
			memcpy(p + 64 * s + 4 * (size_t)lane, &step, 4);
		}
	}
	return (uint64_t)(i + n) * w->columns;
}

uint64_t kernel_pack_mxfp4_plain(struct kernel_matrix *w, uint32_t row, uint32_t rows,
				 const struct kernel_mxfp4_rows *from)
{
	check(row % KERNEL_PANEL == 0 && row + rows <= w->rows);
	check(rows % KERNEL_PANEL == 0 || row + rows == w->rows);
	check(w->format == KERNEL_MXFP4 && w->columns % KERNEL_GROUP == 0);
	for (uint32_t i = 0; i < rows; i += KERNEL_PANEL) {
		uint32_t n = rows - i < KERNEL_PANEL ? rows - i : KERNEL_PANEL;
		unsigned char *p = w->panel + (row + i) / KERNEL_PANEL * w->panel_bytes;
		if (n < KERNEL_PANEL)
			memset(p, 0, w->panel_bytes);
		uint64_t at = mxfp4_put(w, p, i, n, from);
		if (at != (uint64_t)(i + n) * w->columns)
			return at;
	}
	return (uint64_t)rows * w->columns;
}
