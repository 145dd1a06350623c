#include "model/coding.h"

#include "kernels/matrix.h"
#include "kernels/number.h"

#include <string.h>

#define AWQ_ROWS 8

static uint32_t word_at(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static size_t up_to_words(uint64_t bits) { return (size_t)((bits + 31) / 32 * 4); }

size_t model_coding_row_bytes(const struct model_coding *c)
{
	switch (c->form) {
	case CODE_FLOATS:
		return (size_t)model_dtype_bytes(c->dtype, c->columns);
	case CODE_BYTES:
		return c->columns;
	case CODE_FIELDS:
		return up_to_words((uint64_t)c->columns * c->bits);
	case CODE_E2M1:
	case CODE_TABLE:
		return c->columns / 2;
	default:
		return 0;
	}
}

/* ---- codes ---- */

/* Of bytes, the lowest field first. */
static void fields_row(const struct model_coding *c, const unsigned char *p, float *out)
{
	unsigned mask = (1u << c->bits) - 1, per = 8 / c->bits;
	int offset = 1 << (c->bits - 1);
	uint32_t k = 0;
	for (; c->bits == 4 && k + 2 <= c->columns; k += 2) {
		out[k] = (float)((p[k / 2] & 15) - 8);
		out[k + 1] = (float)((p[k / 2] >> 4) - 8);
	}
	for (; k < c->columns; k++)
		out[k] = (float)((int)((unsigned)p[k / per] >> k % per * c->bits & mask) - offset);
}

/* `bits` is a constant where it is called. */
static inline void gptq_words(const struct model_coding *c, const unsigned char *p, uint32_t row,
			      unsigned bits, float *out)
{
	uint32_t mask = (1u << bits) - 1, per = 32 / bits, k = 0;
	for (; k + per <= c->columns; k += per) {
		uint32_t word = word_at(p + ((size_t)k / per * c->rows + row) * 4);
		for (uint32_t i = 0; i < per; i++)
			out[k + i] = (float)(int)(word >> i * bits & mask);
	}
	for (uint32_t i = 0; k + i < c->columns; i++)
		out[k + i] =
			(float)(word_at(p + ((size_t)k / per * c->rows + row) * 4) >> i * bits &
				mask);
}

static void gptq_row(const struct model_coding *c, const unsigned char *p, uint32_t row, float *out)
{
	if (c->bits == 4)
		gptq_words(c, p, row, 4, out);
	else if (c->bits == 8)
		gptq_words(c, p, row, 8, out);
	else
		gptq_words(c, p, row, c->bits, out);
}

static void awq_row(const struct model_coding *c, const unsigned char *p, uint32_t row, float *out)
{
	static const unsigned place[AWQ_ROWS] = { 0, 4, 1, 5, 2, 6, 3, 7 };
	unsigned shift = 4 * place[row % AWQ_ROWS];
	size_t words = c->rows / AWQ_ROWS;
	for (uint32_t k = 0; k < c->columns; k++)
		out[k] = (float)(word_at(p + (k * words + row / AWQ_ROWS) * 4) >> shift & 15u);
}

static void codes_row(const struct model_coding *c, const unsigned char *p, uint32_t row,
		      float *out)
{
	switch (c->form) {
	case CODE_FLOATS:
		model_dtype_widen(c->dtype, p, c->columns, out);
		break;
	case CODE_BYTES:
		for (uint32_t k = 0; k < c->columns; k++)
			out[k] = (float)(signed char)p[k];
		break;
	case CODE_FIELDS:
		fields_row(c, p, out);
		break;
	case CODE_E2M1:
		for (uint32_t k = 0; k < c->columns; k++)
			out[k] = number_from_e2m1((uint8_t)(p[k / 2] >> k % 2 * 4));
		break;
	case CODE_TABLE:
		for (uint32_t k = 0; k < c->columns; k++)
			out[k] = c->table[p[k / 2] >> (1 - k % 2) * 4 & 15];
		break;
	case CODE_GPTQ:
		gptq_row(c, p, row, out);
		break;
	case CODE_AWQ:
		awq_row(c, p, row, out);
		break;
	case CODE_ONE:
		model_dtype_widen(c->dtype, p, 1, out);
		for (uint32_t k = 1; k < c->columns; k++)
			out[k] = out[0];
		break;
	case CODE_NONE:
		break;
	}
}

/* ---- scales ---- */

static void stretch(float *v, uint32_t n, const float *zero, float scale)
{
	uint32_t k = 0;
	for (; zero && k < n; k++)
		v[k] -= *zero;
	for (k = 0; k + 16 <= n; k += 16) /* vectors are made of a fixed length */
		for (uint32_t i = k; i < k + 16; i++)
			v[i] *= scale;
	for (; k < n; k++)
		v[k] *= scale;
}

static void picked_row(const struct model_coding *c, const float *scale, const float *zero,
		       float *v)
{
	for (uint32_t k = 0; k < c->columns; k++) {
		uint32_t g = c->group_of[k];
		stretch(v + k, 1, zero ? zero + g : NULL, scale[g]);
	}
}

/* Stretches run on from row to row, and may begin and end within one. */
static void flat_row(const struct model_coding *c, uint32_t row, float *v)
{
	uint64_t at = (uint64_t)row * c->columns;
	for (uint32_t k = 0; k < c->columns;) {
		uint64_t left = c->flat - (at + k) % c->flat, rest = c->columns - k;
		uint32_t n = (uint32_t)(left < rest ? left : rest);
		stretch(v + k, n, NULL, c->scale[(at + k) / c->flat]);
		k += n;
	}
}

static void scale_row(const struct model_coding *c, uint32_t row, float *v)
{
	size_t first = (size_t)(row / c->block_rows) * c->groups;
	const float *scale = c->scale + first, *zero = c->zero ? c->zero + first : NULL;
	if (c->flat > 0) {
		flat_row(c, row, v);
		return;
	}
	if (c->group_of) {
		picked_row(c, scale, zero, v);
		return;
	}
	for (uint32_t g = 0; g < c->groups; g++) {
		uint32_t from = g * c->block_columns, left = c->columns - from;
		uint32_t n = left < c->block_columns ? left : c->block_columns;
		stretch(v + from, n, zero ? zero + g : NULL, scale[g]);
	}
}

void model_coding_rows(const struct model_coding *c, const unsigned char *codes, uint32_t row,
		       uint32_t n, float *out)
{
	size_t stored = model_coding_row_bytes(c);
	for (uint32_t i = 0; i < n; i++) {
		float *v = out + (size_t)i * c->columns;
		codes_row(c, codes + i * stored, row + i, v);
		if (c->scale)
			scale_row(c, row + i, v);
		for (uint32_t k = 0; (c->after > 1 || c->after < 1) && k < c->columns; k++)
			v[k] *= c->after;
	}
}

#define TILE 16u /* rows: neighbours where they are written */

void model_coding_columns(const struct model_coding *c, const unsigned char *codes, uint32_t column,
			  uint32_t n, float *out)
{
	size_t stored = model_coding_row_bytes(c);
	float value[16];
	for (unsigned i = 0; i < 16; i++)
		value[i] = number_from_e2m1((uint8_t)i);
	for (uint32_t r = 0; r < c->rows; r += TILE) {
		uint32_t rows = c->rows - r < TILE ? c->rows - r : TILE;
		for (uint32_t k = column; k < column + n; k++) {
			const unsigned char *p = codes + r * stored + k / 2;
			uint32_t g = k / c->block_columns, shift = k % 2 * 4;
			float *to = out + (size_t)(k - column) * c->rows + r;
			for (uint32_t i = 0; i < rows; i++, p += stored)
				to[i] = value[*p >> shift & 15] *
					c->scale[(size_t)((r + i) / c->block_rows) * c->groups + g];
		}
	}
}

/* ---- Q4_0 ---- */

/* The code of a column, from 0 on. */
static unsigned narrow_code(const struct model_coding *c, const unsigned char *p, uint32_t row,
			    uint32_t k)
{
	if (c->form == CODE_FIELDS)
		return (unsigned)p[k / 2] >> k % 2 * 4 & 15u;
	return word_at(p + ((size_t)k / 8 * c->rows + row) * 4) >> k % 8 * 4 & 15u;
}

static void narrow_block(const struct model_coding *c, const unsigned char *p, uint32_t row,
			 uint32_t k, unsigned char *out)
{
	size_t group = (size_t)(row / c->block_rows) * c->groups + k / c->block_columns;
	uint16_t scale = number_to_f16(c->scale[group]);
	memcpy(out, &scale, sizeof scale);
	for (uint32_t i = 0; i < KERNEL_GROUP / 2; i++)
		out[2 + i] = (unsigned char)(narrow_code(c, p, row, k + i) |
					     narrow_code(c, p, row, k + i + KERNEL_GROUP / 2) << 4);
}

void model_coding_blocks(const struct model_coding *c, const unsigned char *codes, uint32_t row,
			 uint32_t n, unsigned char *out)
{
	size_t stored = model_coding_row_bytes(c);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < c->columns; k += KERNEL_GROUP, out += KERNEL_Q4_BLOCK)
			narrow_block(c, codes + i * stored, row + i, k, out);
}
