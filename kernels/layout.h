/* Private: the byte layout of panels in the grouped formats; kernels/matrix.h has the simple ones.
 *
 *   Q8     for each two groups (64 k): codes [16 steps][16 rows][4 k] u8 = code + 128, and scales
 *          [2 groups][16 rows] f16: 1024 + 64 bytes
 *   Q4     for each two groups: codes [8 steps][16 rows][4] u8, and scales [2][16] f16:
 *          512 + 64 bytes. A step is 8 k; byte b of a row holds k = b in its low nibble and
 *          k = 4 + b in its high nibble
 *   MXFP4  codes [groups][4 steps][16][4] u8 as in Q4, then scales [groups][16] u8, the whole
 *          padded to a multiple of 64 bytes */
#ifndef KERNELS_LAYOUT_H
#define KERNELS_LAYOUT_H

#include "kernels/matrix.h"

#define PAIR_K 64 /* K of two groups */
#define Q8_PAIR 1088
#define Q8_SCALES 1024
#define Q4_PAIR 576
#define Q4_SCALES 512
#define MXFP4_GROUP 256

static inline size_t layout_groups(uint32_t columns)
{
	return ((size_t)columns + KERNEL_GROUP - 1) / KERNEL_GROUP;
}

static inline size_t layout_pairs(uint32_t columns)
{
	return ((size_t)columns + PAIR_K - 1) / PAIR_K;
}

/* Byte of (lane, k) in a panel of FP8. */
static inline size_t layout_fp8(size_t lane, size_t k)
{
	return k / 4 * 64 + 4 * lane + k % 4;
}

/* Byte of (lane, k) in a panel of Q8. */
static inline size_t layout_q8(size_t lane, size_t k)
{
	return k / PAIR_K * Q8_PAIR + k % PAIR_K / 4 * 64 + 4 * lane + k % 4;
}

/* Byte of the f16 scale of (lane, group of k). */
static inline size_t layout_q8_scale(size_t lane, size_t k)
{
	return k / PAIR_K * Q8_PAIR + Q8_SCALES + k % PAIR_K / KERNEL_GROUP * 32 + 2 * lane;
}

/* Byte of (lane, k) among steps of 8 k of 4-bit codes; layout_shift says which nibble. */
static inline size_t layout_nibble(size_t lane, size_t k)
{
	return k / 8 * 64 + 4 * lane + k % 4;
}

static inline unsigned layout_shift(size_t k) { return k % 8 / 4 * 4; }

static inline size_t layout_q4(size_t lane, size_t k)
{
	return k / PAIR_K * Q4_PAIR + layout_nibble(lane, k % PAIR_K);
}

static inline size_t layout_q4_scale(size_t lane, size_t k)
{
	return k / PAIR_K * Q4_PAIR + Q4_SCALES + k % PAIR_K / KERNEL_GROUP * 32 + 2 * lane;
}

static inline size_t layout_mxfp4_scale(uint32_t columns, size_t lane, size_t k)
{
	return layout_groups(columns) * MXFP4_GROUP + k / KERNEL_GROUP * KERNEL_PANEL + lane;
}

static inline size_t layout_panel_bytes(enum kernel_format f, uint32_t columns)
{
	size_t k = columns;
	switch (f) {
	case KERNEL_F32: return 64 * k;
	case KERNEL_BF16: return 64 * ((k + 1) / 2);
	case KERNEL_F16: return 32 * k;
	case KERNEL_FP8: return 64 * ((k + 3) / 4);
	case KERNEL_Q8: return layout_pairs(columns) * Q8_PAIR;
	case KERNEL_Q4: return layout_pairs(columns) * Q4_PAIR;
	case KERNEL_MXFP4:
	case KERNEL_FORMATS: break;
	}
	return (layout_groups(columns) * (MXFP4_GROUP + KERNEL_PANEL) + 63) / 64 * 64;
}

#endif
