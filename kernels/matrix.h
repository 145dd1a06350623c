/* Packed weights and the input rows they are multiplied with.
 *
 * A matrix is panels of 16 output rows, one after the other; rows beyond the last are zero. Lanes
 * run over outputs, never over K. Inside a panel, k ascending:
 *
 *   F32    [k][16] f32
 *   BF16   [k/2][16] u32: value k in the low half, k+1 in the high half (zero beyond the last)
 *   F16    [k][16] f16
 *   FP8    [k/4][16][4] u8 E4M3 (zero beyond the last k), and a scale for each block of 128 rows
 *          and 128 k: value = fp8 * scale.
 *          Each output adds a block's terms from zero in f32, in units of 2^-8, then
 *          fma(sum, 256 * scale, output)
 *   Q8     groups of 32 k; q8g32: w = d * code, d f16 = max|w| / 127, code round-half-even
 *   Q4     groups of 32 k; q4g32: w = d * (code - 8), d f16 = (value of largest magnitude) / -8
 *   MXFP4  groups of 32 k; E2M1 codes, scale 2^(s - 127), s u8, 255 refused
 *
 * The bytes of the grouped formats inside a panel are layout.h's own; K is padded with zeros.
 * Source of the formats: OCP FP8 and Microscaling specifications; groups: docs/formats.md. */
#ifndef KERNELS_MATRIX_H
#define KERNELS_MATRIX_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kernel_format { /* clang-format off */
	KERNEL_F32, KERNEL_BF16, KERNEL_FP8, KERNEL_F16, KERNEL_Q8, KERNEL_Q4, KERNEL_MXFP4,
	KERNEL_FORMATS /* clang-format on */
};

#define KERNEL_PANEL 16
#define KERNEL_GROUP 32
#define KERNEL_INPUT_BLOCK 128
#define KERNEL_FP8_BLOCK 128

struct kernel_matrix {
	enum kernel_format format;
	uint32_t rows, columns; /* outputs and K */
	size_t panel_bytes;
	unsigned char *panel; /* [panels][panel_bytes], 64-byte aligned */
	bool placed;          /* panel lies in a store; else it is owned */
	float *scale;         /* FP8: [ceil(rows/128)][ceil(columns/128)], owned; else NULL */
};

static inline uint32_t kernel_panels(const struct kernel_matrix *w)
{
	return (w->rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
}

/* Codes made by packing, with f16 scales; every set multiplies them with quantised rows. */
static inline bool kernel_is_integer(enum kernel_format f)
{
	return f == KERNEL_Q8 || f == KERNEL_Q4;
}

const char *kernel_format_name(enum kernel_format f); /* "f32", "bf16", "fp8", "q8", ... */

/* Panels (and scales) for a shape. Large ones get their pages only when they are packed; every row
 * of [0, rows) must be packed before use. ERR_NOMEM. Free with kernel_matrix_free, which also
 * takes a zeroed struct. */
int kernel_matrix_alloc(struct kernel_matrix *w, enum kernel_format format, uint32_t rows,
			uint32_t columns, struct err *e) MUST_USE;
void kernel_matrix_free(struct kernel_matrix *w);

/* One mapping that many matrices lie in, with huge pages where the system has them: small matrices
 * alone would get small pages, and reading them would wait for page-table walks. The system gives a
 * page when it is first packed into. */
struct kernel_store {
	unsigned char *at;
	size_t bytes, used;
};

/* bytes: the sum of kernel_store_bytes of all that will be placed. ERR_NOMEM. The store outlives
 * its matrices' use; close takes a zeroed struct too. */
int kernel_store_open(struct kernel_store *s, uint64_t bytes, struct err *e) MUST_USE;
void kernel_store_close(struct kernel_store *s);
uint64_t kernel_store_bytes(enum kernel_format format, uint32_t rows, uint32_t columns);
/* kernel_matrix_alloc with panels in the store, which must have room. */
int kernel_matrix_place(struct kernel_matrix *w, struct kernel_store *s, enum kernel_format format,
			uint32_t rows, uint32_t columns, struct err *e) MUST_USE;

/* Bytes that kernel_matrix_alloc would take, and that a product reads. */
uint64_t kernel_format_bytes(enum kernel_format format, uint32_t rows, uint32_t columns);
uint64_t kernel_matrix_bytes(const struct kernel_matrix *w);
/* One value back as f32 (scales applied), for tests and embeddings. */
float kernel_matrix_at(const struct kernel_matrix *w, uint32_t row, uint32_t column);
/* A whole row back as f32 [columns]. */
void kernel_matrix_row(const struct kernel_matrix *w, uint32_t row, float *out);

/* What rows are packed from. */
enum kernel_stored { KERNEL_FROM_F32, KERNEL_FROM_BF16, KERNEL_FROM_F16, KERNEL_FROM_E4M3 };

/* Rows in their stored form, at any alignment, little-endian. */
struct kernel_stored_rows {
	enum kernel_stored stored;
	const void *value; /* row i at value + i * stride_bytes */
	size_t stride_bytes;
	const float *block_scale; /* E4M3 -> other formats than FP8: scale row of `row` ... */
	size_t block_stride;      /* ... and floats from one scale row (128 rows) to the next */
};

/* Source rows as MXFP4: of each row, columns/32 groups of 16 bytes (low nibble first) and as many
 * scale bytes. */
struct kernel_mxfp4_rows {
	const unsigned char *block, *scale;
	size_t block_stride, scale_stride; /* bytes from row to row */
};

/* Source rows as groups of 32 in the arithmetic of Q8 or Q4: f16 scale, then 32 i8 codes, or 16
 * bytes whose low nibbles are the first 16 codes (GGUF's Q8_0 and Q4_0). */
#define KERNEL_Q8_BLOCK 34
#define KERNEL_Q4_BLOCK 18
struct kernel_block_rows {
	const unsigned char *block;
	size_t stride_bytes; /* from row to row */
};
/* Pack rows [row, row+rows), whole panels of them or the last ones, into Q8 or Q4 as they are.
 * Returns rows * columns, or the index of the first value whose scale is not finite. */
uint64_t kernel_pack_blocks(struct kernel_matrix *w, uint32_t row, uint32_t rows,
			    const struct kernel_block_rows *from) MUST_USE;

/* ---- input rows ---- */

/* Quantised input rows, made by quant_row of the table: for each block of 128, scale
 * max|x| / 127 and codes round-half-even; start is -128 * (sum of the codes) of a group of 32. */
struct kernel_quant {
	int8_t *code;   /* [rows][kernel_quant_columns(K)], zero beyond K */
	float *scale;   /* [rows][kernel_quant_columns(K) / 128] */
	int32_t *start; /* [rows][kernel_quant_columns(K) / 32] */
};

static inline size_t kernel_quant_columns(uint32_t columns)
{
	return ((size_t)columns + KERNEL_INPUT_BLOCK - 1) / KERNEL_INPUT_BLOCK * KERNEL_INPUT_BLOCK;
}

/* Row i is row (pick ? pick[i] : i) of value, and of quant. */
struct kernel_rows {
	const float *value; /* [..][stride]; not read where the set takes quantised rows */
	size_t stride;      /* floats */
	uint32_t count;
	const uint32_t *pick;             /* [count] or NULL */
	const struct kernel_quant *quant; /* needed where the set takes them; else ignored */
	const void *next; /* a hint: weights that the caller multiplies with next, which are then
			   * prefetched; NULL: none */
};

#endif
