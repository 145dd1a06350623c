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
 *   Q8     [K/32][32][2][8] s8 codes, then scales f16 [K/32][16 rows]
 *   Q4     [K/64][32][4][8] codes of 4 bits, the first of two in the low half, then scales f16
 *          [K/32][16]; a code is its value plus 8
 *   MXFP4  the same with E2M1 codes and scales u8 [K/32][16]
 *
 * Scales of a panel follow its codes; a panel is a multiple of 512 bytes. */
#ifndef KERNELS_FRAGMENT_H
#define KERNELS_FRAGMENT_H

#include "kernels/matrix.h"

#define FRAGMENT_K 16        /* of a tile */
#define FRAGMENT_SEGMENT 256 /* K of a partial sum */

/* A matrix in device memory. */
struct device_matrix {
	const void *at;     /* panels; NULL: no matrix */
	const float *scale; /* FP8: [ceil(rows/128)][ceil(columns/128)]; else NULL */
	size_t panel_bytes;
	uint32_t rows, columns; /* outputs, K */
	enum kernel_format format;
};

/* bf16 numbers that a value of the format is the sum of: 1 to 3. */
uint32_t fragment_parts(enum kernel_format f);
size_t fragment_panel_bytes(enum kernel_format f, uint32_t columns);
/* Panels [panel, panel + panels) of w in this layout, panels * fragment_panel_bytes at `out`. */
void fragment_pack(const struct kernel_matrix *w, uint32_t panel, uint32_t panels, void *out);

#endif
