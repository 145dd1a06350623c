/* Weights as the GPU reads them, layout "cuda/1": panels of 16 output rows like the CPU's
 * (kernels/matrix.h), in which each lane of a warp finds what it brings to a matrix instruction
 * (mma m16n8k16, weights as its 16-row operand A) in 16 bytes side by side. So a warp reads 512
 * bytes in one go, and every byte once.
 *
 * A tile is 16 rows by 16 K. Lane l brings of it, with g = l / 4 and t = l % 4, the eight values
 * (row g, k 2t, 2t+1), (g+8, 2t, 2t+1), (g, 2t+8, 2t+9), (g+8, 2t+8, 2t+9), in this order. Tiles
 * ascend in K; K is padded with zeros to whole strides of 512 bytes:
 *
 *   BF16   [K/16][32 lanes][8] u16
 *   F16    [K/16][2 parts][32][8] u16: the bf16 number nearest to the value, then the rest
 *   F32    [K/16][3 parts][32][8] u16, likewise: their sum is the value, but for what is below
 *          2^-126
 *   FP8    [K/32][32][2 tiles][8] u8 E4M3, and the scales of kernels/matrix.h
 *   Q8     [K/32][32][2][8] s8 codes, then scales f16
 *   Q4     [K/64][32][4 tiles] u32, then scales f16. Of a tile's eight values the even ones are the
 *          four nibbles of the low half, the first in the lowest; the odd ones those of the high
 *          half, so that values 2i and 2i+1 are one shift and one mask away from a register. A
 *          code is its value plus 8
 *   MXFP4  the same with E2M1 codes, and scales u8
 *
 * Scales follow a panel's codes, in segments of 256 K, of which a lane reads its own in one go:
 * [K/256][8 g][8 groups][2], of the rows g and g+8. What is beyond K is zero, so that a panel is a
 * multiple of 512 bytes. */
#ifndef KERNELS_FRAGMENT_H
#define KERNELS_FRAGMENT_H

#include "kernels/matrix.h"

#define FRAGMENT_K 16        /* of a tile */
#define FRAGMENT_SEGMENT 256 /* K of a partial sum */
#define FRAGMENT_STRIDE 512  /* bytes that a warp reads in one go */

/* A matrix in device memory. */
struct device_matrix {
	const void *at;     /* panels; NULL: no matrix */
	const float *scale; /* FP8: [ceil(rows/128)][ceil(columns/128)]; else NULL */
	size_t panel_bytes;
	uint32_t rows, columns; /* outputs, K */
	enum kernel_format format;
};

/* bf16 numbers that a value of the format is the sum of: 1 to 3. */
static inline uint32_t fragment_parts(enum kernel_format f)
{
	return f == KERNEL_F32 ? 3 : f == KERNEL_F16 ? 2 : 1;
}

/* Bytes of a panel before its scales. */
static inline size_t fragment_code_bytes(enum kernel_format f, uint32_t columns)
{
	size_t k = f == KERNEL_Q4 || f == KERNEL_MXFP4 ? 64
		   : f == KERNEL_Q8 || f == KERNEL_FP8 ? 32
						       : FRAGMENT_K;
	return (columns + k - 1) / k * fragment_parts(f) * FRAGMENT_STRIDE;
}

size_t fragment_panel_bytes(enum kernel_format f, uint32_t columns);
/* Panels [panel, panel + panels) of w in this layout, panels * fragment_panel_bytes at `out`. */
void fragment_pack(const struct kernel_matrix *w, uint32_t panel, uint32_t panels, void *out);

#endif
