/* Panels of the CPU's layout (matrix.h, layout.h) as the GPU reads them (fragment.h). Values are
 * moved in the units that stay together: two neighbours in K of one row. */
#include "kernels/fragment.h"
#include "kernels/layout.h"
#include "kernels/number.h"

#include "base/check.h"

#include <string.h>

#define TILE_WORDS (FRAGMENT_STRIDE / 4)
#define SEGMENT_GROUPS (FRAGMENT_SEGMENT / KERNEL_GROUP)

static size_t up_to(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

static size_t segments(uint32_t columns)
{
	return ((size_t)columns + FRAGMENT_SEGMENT - 1) / FRAGMENT_SEGMENT;
}

size_t fragment_panel_bytes(enum kernel_format f, uint32_t columns)
{
	size_t scales = f == KERNEL_MXFP4 ? 1 : f == KERNEL_Q8 || f == KERNEL_Q4 ? 2 : 0;
	scales *= segments(columns) * SEGMENT_GROUPS * KERNEL_PANEL;
	return up_to(fragment_code_bytes(f, columns) + scales, FRAGMENT_STRIDE);
}

/* Where the pair (row, k), (row, k + 1) lies among the pairs of its tile; k even. */
static size_t pair_at(size_t row, size_t k)
{
	return row % 8 * 16 + k % 8 / 2 * 4 + k % 16 / 8 * 2 + row / 8;
}

static uint32_t word_at(const unsigned char *at)
{
	uint32_t w;
	memcpy(&w, at, 4);
	return w;
}

/* ---- numbers of 16 bits ---- */

static void bf16_panel(const unsigned char *from, uint32_t columns, unsigned char *out)
{
	for (size_t tile = 0; tile < ((size_t)columns + 15) / 16; tile++) {
		uint32_t to[TILE_WORDS] = { 0 };
		for (size_t k = 0; k < 16 && 16 * tile + k < columns; k += 2) {
			const unsigned char *word = from + (16 * tile + k) / 2 * 64;
			for (size_t row = 0; row < KERNEL_PANEL; row++)
				to[pair_at(row, k)] = word_at(word + 4 * row);
		}
		memcpy(out + tile * FRAGMENT_STRIDE, to, sizeof to);
	}
}

/* The bf16 number nearest to a finite value (never infinity), and what it leaves. number_to_bf16
 * would be called for each value. */
static inline uint16_t part_of(float *value)
{
	uint32_t bits = number_bits(*value), half = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
	half -= (half & 0x7fff) == 0x7f80;
	*value -= number_from_bf16((uint16_t)half);
	return (uint16_t)half;
}

static inline float float_at(const unsigned char *panel, enum kernel_format f, size_t row, size_t k)
{
	size_t at = k * KERNEL_PANEL + row;
	uint16_t half;
	if (f == KERNEL_F32)
		return number_from_bits(word_at(panel + 4 * at));
	memcpy(&half, panel + 2 * at, 2);
	uint32_t bits = (uint32_t)(half & 0x8000) << 16 | (uint32_t)(half & 0x7fff) << 13;
	return number_from_bits(bits) * 0x1p112f; /* finite: matrices hold no other */
}

/* F16 in two parts, F32 in three. */
static inline void parts_panel(const unsigned char *from, enum kernel_format f, uint32_t columns,
			       unsigned char *out)
{
	uint32_t parts = fragment_parts(f);
	for (size_t tile = 0; tile < ((size_t)columns + 15) / 16; tile++) {
		uint16_t to[3][2 * TILE_WORDS] = { { 0 } };
		for (size_t k = 0; k < 16 && 16 * tile + k < columns; k++) {
			for (size_t row = 0; row < KERNEL_PANEL; row++) {
				float left = float_at(from, f, row, 16 * tile + k);
				for (uint32_t p = 0; p < parts; p++)
					to[p][2 * pair_at(row, k & ~(size_t)1) + k % 2] =
						part_of(&left);
			}
		}
		memcpy(out + tile * parts * FRAGMENT_STRIDE, to, parts * sizeof to[0]);
	}
}

/* ---- bytes ---- */

/* Four values of a row from k on, k a multiple of 4, into the stride of 32 K that they lie in. */
static void put_bytes(uint16_t *stride, size_t row, size_t k, uint32_t four)
{
	for (size_t i = 0; i < 2; i++) {
		size_t pair = pair_at(row, k % 16 + 2 * i);
		/* of a lane's four pairs of a tile; a lane has two tiles */
		stride[pair / 4 * 8 + k % 32 / 16 * 4 + pair % 4] = (uint16_t)(four >> 16 * i);
	}
}

static void byte_panel(const unsigned char *from, enum kernel_format f, uint32_t columns,
		       unsigned char *out)
{
	uint32_t flip = f == KERNEL_Q8 ? 0x80808080u : 0; /* there code + 128, here the code */
	for (size_t begin = 0; begin < columns; begin += 32) {
		uint16_t to[FRAGMENT_STRIDE / 2] = { 0 };
		for (size_t k = begin; k < begin + 32 && k < columns; k += 4) {
			const unsigned char *word =
				from + (f == KERNEL_Q8 ? layout_q8(0, k) : layout_fp8(0, k));
			for (size_t row = 0; row < KERNEL_PANEL; row++)
				put_bytes(to, row, k, word_at(word + 4 * row) ^ flip);
		}
		memcpy(out + begin / 32 * FRAGMENT_STRIDE, to, sizeof to);
	}
}

/* ---- nibbles ---- */

/* Nibbles 0 and 1 of each byte: of row g, then of row g + 8. */
static uint32_t join_rows(uint32_t low, uint32_t high) { return low | high << 4; }

/* Bytes i and i + 1 of the first 8 k, and of the second, as a lane holds them. */
static uint32_t lane_word(uint32_t first, uint32_t second, unsigned i)
{
	first >>= 8 * i;
	second >>= 8 * i;
	return (first & 0xff) | (second & 0xff) << 8 | (first & 0xff00) << 8 |
	       (second & 0xff00) << 16;
}

/* A tile of 16 k from two steps of 8: in a row's word, byte b is k = b and k = 4 + b. */
static void nibble_tile(const unsigned char *step, uint32_t *lane, size_t lane_words)
{
	const uint32_t even = 0x0f0f0f0fu;
	for (size_t g = 0; g < 8; g++) {
		uint32_t w[4];
		for (size_t i = 0; i < 4; i++)
			w[i] = word_at(step + i / 2 * 64 + 4 * (g + i % 2 * 8));
		uint32_t near0 = join_rows(w[0] & even, w[1] & even),
			 near1 = join_rows(w[2] & even, w[3] & even),
			 far0 = join_rows(w[0] >> 4 & even, w[1] >> 4 & even),
			 far1 = join_rows(w[2] >> 4 & even, w[3] >> 4 & even);
		uint32_t *to = lane + 4 * g * lane_words;
		to[0] = lane_word(near0, near1, 0);
		to[lane_words] = lane_word(near0, near1, 2);
		to[2 * lane_words] = lane_word(far0, far1, 0);
		to[3 * lane_words] = lane_word(far0, far1, 2);
	}
}

/* The source is padded to whole groups of 32 with codes that mean zero; a tile beyond them gets the
 * same. */
static void nibble_panel(const unsigned char *from, enum kernel_format f, uint32_t columns,
			 unsigned char *out)
{
	size_t end = f == KERNEL_Q4 ? up_to(columns, PAIR_K) : up_to(columns, KERNEL_GROUP);
	for (size_t begin = 0; begin < columns; begin += 64) {
		uint32_t to[TILE_WORDS] = { 0 };
		for (size_t tile = 0; tile < 4 && begin + 16 * tile < end; tile++) {
			size_t k = begin + 16 * tile;
			nibble_tile(from + (f == KERNEL_Q4 ? layout_q4(0, k) : layout_nibble(0, k)),
				    to + tile, 4);
		}
		memcpy(out + begin / 64 * FRAGMENT_STRIDE, to, sizeof to);
	}
}

/* ---- scales ---- */

static size_t scale_from(enum kernel_format f, uint32_t columns, size_t row, size_t group)
{
	size_t k = group * KERNEL_GROUP;
	return f == KERNEL_Q8   ? layout_q8_scale(row, k)
	       : f == KERNEL_Q4 ? layout_q4_scale(row, k)
				: layout_mxfp4_scale(columns, row, k);
}

static void scales_panel(const unsigned char *from, enum kernel_format f, uint32_t columns,
			 unsigned char *out)
{
	size_t bytes = f == KERNEL_MXFP4 ? 1 : 2;
	for (size_t group = 0; group < layout_groups(columns); group++) {
		size_t segment = group / SEGMENT_GROUPS, i = group % SEGMENT_GROUPS;
		for (size_t row = 0; row < KERNEL_PANEL; row++) {
			size_t at = ((segment * 8 + row % 8) * SEGMENT_GROUPS + i) * 2 + row / 8;
			memcpy(out + at * bytes, from + scale_from(f, columns, row, group), bytes);
		}
	}
}

static void one_panel(const struct kernel_matrix *w, const unsigned char *from, unsigned char *out)
{
	enum kernel_format f = w->format;
	size_t codes = fragment_code_bytes(f, w->columns);
	memset(out + codes, 0, fragment_panel_bytes(f, w->columns) - codes);
	switch (f) {
	case KERNEL_BF16:
		bf16_panel(from, w->columns, out);
		return;
	case KERNEL_F16:
	case KERNEL_F32:
		parts_panel(from, f, w->columns, out);
		return;
	case KERNEL_FP8:
		byte_panel(from, f, w->columns, out);
		return;
	case KERNEL_Q8:
		byte_panel(from, f, w->columns, out);
		break;
	case KERNEL_Q4:
	case KERNEL_MXFP4:
		nibble_panel(from, f, w->columns, out);
		break;
	case KERNEL_FORMATS:
		check(false);
	}
	scales_panel(from, f, w->columns, out + codes);
}

void fragment_pack(const struct kernel_matrix *w, uint32_t panel, uint32_t panels, void *out)
{
	size_t bytes = fragment_panel_bytes(w->format, w->columns);
	check(panel <= kernel_panels(w) && panels <= kernel_panels(w) - panel);
	for (size_t i = 0; i < panels; i++)
		one_panel(w, w->panel + (panel + i) * w->panel_bytes,
			  (unsigned char *)out + i * bytes);
}
