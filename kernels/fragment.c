/* Panels of the CPU's layout (matrix.h, layout.h) as the GPU reads them (fragment.h). Values are
 * moved in the units that stay together: two neighbours in K of one row. */
#include "kernels/fragment.h"
#include "kernels/layout.h"
#include "kernels/number.h"

#include "base/check.h"

#include <stdbool.h>
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

/* A tile from its eight rows of words (two k each): lane (g, t) gets words t and t + 4 of rows g
 * and g + 8. */
static void bf16_tile(const unsigned char *from, unsigned char *out)
{
	for (size_t g = 0; g < 8; g++) {
		for (size_t t = 0; t < 4; t++) {
			const unsigned char *near = from + 64 * t + 4 * g, *far = near + 4 * 64;
			uint64_t lane[2] = { word_at(near) | (uint64_t)word_at(near + 32) << 32,
					     word_at(far) | (uint64_t)word_at(far + 32) << 32 };
			memcpy(out + 64 * g + 16 * t, lane, sizeof lane);
		}
	}
}

static void bf16_panel(const unsigned char *from, uint32_t columns, unsigned char *out)
{
	size_t bytes = ((size_t)columns + 1) / 2 * 64;
	for (size_t at = 0; at < bytes; at += FRAGMENT_STRIDE) {
		unsigned char rest[FRAGMENT_STRIDE] = { 0 };
		const unsigned char *tile = from + at;
		if (bytes - at < FRAGMENT_STRIDE)
			tile = memcpy(rest, tile, bytes - at);
		bf16_tile(tile, out + at);
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

/* Half the lanes' words of a tile, from rows g and g + 8 (near: of k 4j to 4j + 3, far: 8 more). */
static inline void byte_lanes(const unsigned char *near, const unsigned char *far, uint32_t flip,
			      unsigned char *lane)
{
	uint32_t a = word_at(near) ^ flip, b = word_at(near + 32) ^ flip;
	uint32_t c = word_at(far) ^ flip, d = word_at(far + 32) ^ flip;
	uint32_t even[2] = { (a & 0xffff) | b << 16, (c & 0xffff) | d << 16 };
	uint32_t odd[2] = { a >> 16 | (b & 0xffff0000u), c >> 16 | (d & 0xffff0000u) };
	memcpy(lane, even, sizeof even);
	memcpy(lane + 16, odd, sizeof odd);
}

/* 32 K from eight rows of words (four k each): lane (g, t) gets 8 bytes of each of two tiles. */
static void byte_stride(const unsigned char *from, uint32_t flip, unsigned char *out)
{
	for (size_t tile = 0; tile < 2; tile++) {
		for (size_t g = 0; g < 8; g++) {
			const unsigned char *at = from + 256 * tile + 4 * g;
			unsigned char *lane = out + 64 * g + 8 * tile;
			byte_lanes(at, at + 128, flip, lane);
			byte_lanes(at + 64, at + 192, flip, lane + 32);
		}
	}
}

static void byte_panel(const unsigned char *from, enum kernel_format f, uint32_t columns,
		       unsigned char *out)
{
	bool q8 = f == KERNEL_Q8; /* there code + 128, here the code; padded to pairs of groups */
	uint32_t flip = q8 ? 0x80808080u : 0;
	for (size_t k = 0; k < columns; k += 32, out += FRAGMENT_STRIDE) {
		const unsigned char *stride = from + (q8 ? layout_q8(0, k) : layout_fp8(0, k));
		size_t bytes = q8 ? FRAGMENT_STRIDE : (columns - k + 3) / 4 * 64;
		unsigned char rest[FRAGMENT_STRIDE] = { 0 };
		if (bytes < FRAGMENT_STRIDE)
			stride = memcpy(rest, stride, bytes);
		byte_stride(stride, flip, out);
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
