/* Q8 and Q4 from stored groups of the same arithmetic: their scales and codes go to the panels as
 * they are, so that not one value changes. */
#include "base/check.h"
#include "kernels/layout.h"
#include "kernels/matrix.h"

#include <string.h>

static bool half_is_finite(const unsigned char *p) { return (p[1] & 0x7c) != 0x7c; }

static uint32_t word_at(const unsigned char *p)
{
	uint32_t w;
	memcpy(&w, p, 4);
	return w;
}

/* The steps of a group lie 64 bytes apart (layout.h). A step of Q8 is four codes. */
static void q8_group(unsigned char *p, size_t lane, size_t k, const unsigned char *block)
{
	unsigned char *to = p + layout_q8(lane, k);
	for (size_t s = 0; s < KERNEL_GROUP / 4; s++) {
		uint32_t codes = word_at(block + 2 + 4 * s) ^ 0x80808080u;
		memcpy(to + 64 * s, &codes, 4);
	}
	memcpy(p + layout_q8_scale(lane, k), block, 2);
}

/* A step of Q4 is eight codes, the later four in the high nibbles; stored are the first sixteen of
 * the group in the low nibbles. */
static void q4_group(unsigned char *p, size_t lane, size_t k, const unsigned char *block)
{
	unsigned char *to = p + layout_q4(lane, k);
	for (size_t s = 0; s < 2; s++) {
		uint32_t a = word_at(block + 2 + 8 * s), b = word_at(block + 6 + 8 * s);
		uint32_t low = (a & 0x0f0f0f0fu) | (b & 0x0f0f0f0fu) << 4;
		uint32_t high = (a >> 4 & 0x0f0f0f0fu) | (b & 0xf0f0f0f0u);
		memcpy(to + 64 * s, &low, 4);
		memcpy(to + 64 * (s + 2), &high, 4);
	}
	memcpy(p + layout_q4_scale(lane, k), block, 2);
}

/* Groups of zeros, as packing values makes them: beyond the last row and column. */
static const unsigned char q8_zeros[KERNEL_Q8_BLOCK];
static const unsigned char q4_zeros[KERNEL_Q4_BLOCK] = {
	0,    0x80, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88,
	0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88, 0x88,
};

uint64_t kernel_pack_blocks(struct kernel_matrix *w, uint32_t row, uint32_t rows,
			    const struct kernel_block_rows *from)
{
	bool q8 = w->format == KERNEL_Q8;
	size_t bytes = q8 ? KERNEL_Q8_BLOCK : KERNEL_Q4_BLOCK, groups = w->columns / KERNEL_GROUP;
	check(q8 || w->format == KERNEL_Q4);
	check(w->columns % KERNEL_GROUP == 0 && row % KERNEL_PANEL == 0 && row + rows <= w->rows);
	check(rows % KERNEL_PANEL == 0 || row + rows == w->rows);
	for (uint32_t i = 0; i < (rows + KERNEL_PANEL - 1) / KERNEL_PANEL * KERNEL_PANEL; i++) {
		unsigned char *p = w->panel + (row + i) / KERNEL_PANEL * w->panel_bytes;
		const unsigned char *block = from->block + i * from->stride_bytes;
		for (size_t g = 0; g < layout_pairs(w->columns) * 2; g++, block += bytes) {
			bool stored = i < rows && g < groups;
			if (stored && !half_is_finite(block))
				return (uint64_t)i * w->columns + g * KERNEL_GROUP;
			const unsigned char *from_block = stored ? block : q8 ? q8_zeros : q4_zeros;
			(q8 ? q8_group : q4_group)(p, i % KERNEL_PANEL, g * KERNEL_GROUP,
						   from_block);
		}
	}
	return (uint64_t)rows * w->columns;
}
