/* Q8 and Q4 from stored groups of the same arithmetic: their scales and codes go to the panels as
 * they are, so that not one value changes. */
#include "base/check.h"
#include "kernels/layout.h"
#include "kernels/matrix.h"

#include <string.h>

static bool half_is_finite(const unsigned char *p) { return (p[1] & 0x7c) != 0x7c; }

/* A group; block NULL: of zeros, as packing values makes them. */
static void q8_group(unsigned char *p, size_t lane, size_t k, const unsigned char *block)
{
	unsigned char *scale = p + layout_q8_scale(lane, k);
	for (size_t j = 0; j < KERNEL_GROUP; j++)
		p[layout_q8(lane, k + j)] = block ? block[2 + j] ^ 0x80 : 0x80;
	scale[0] = block ? block[0] : 0;
	scale[1] = block ? block[1] : 0;
}

static void q4_group(unsigned char *p, size_t lane, size_t k, const unsigned char *block)
{
	unsigned char *scale = p + layout_q4_scale(lane, k);
	for (size_t j = 0; j < KERNEL_GROUP; j++) {
		unsigned code = block ? (unsigned)block[2 + j % 16] >> (j / 16 * 4) & 15u : 8;
		unsigned char *at = &p[layout_q4(lane, k + j)];
		unsigned shift = layout_shift(k + j);
		*at = (unsigned char)((*at & ~(15u << shift)) | code << shift);
	}
	scale[0] = block ? block[0] : 0;
	scale[1] = block ? block[1] : 0x80;
}

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
			(q8 ? q8_group : q4_group)(p, i % KERNEL_PANEL, g * KERNEL_GROUP,
						   stored ? block : NULL);
		}
	}
	return (uint64_t)rows * w->columns;
}
