/* Private: how a product is cut into blocks and tiles. A block is some panels over some K: it is
 * read from memory once and stays in the second-level cache while tiles of rows pass over it. The
 * inputs of a tile are packed side by side, so that one address and constant offsets reach all of
 * them. Sums wait in `out` between blocks of K; storing and loading them changes no bit. Each set
 * supplies the innermost operations. */
#ifndef KERNELS_TILE_H
#define KERNELS_TILE_H

#include "kernels/kernels.h"

#define TILE_ROWS 12

/* Some steps of K for P panels and T rows; P and T are the operation's own. */
struct tile {
	const struct kernel_matrix *w;
	const unsigned char *panel; /* at the first step */
	uint32_t first_panel, first_step;
	uint32_t k;        /* of this block: all steps are full but the last of the matrix */
	const void *x;     /* [steps][T][row_step] */
	float *out;        /* of the first row and panel */
	size_t out_stride; /* floats */
	uint32_t lanes;    /* w's rows from the first panel on: no lane beyond is stored */
	/* Software prefetch: each step i of [prefetch_from, prefetch_to) prefetches as many bytes as
	 * it reads, before prefetch_turn at prefetch + i * prefetch_stride, from there on at
	 * prefetch_then + (i - prefetch_turn) * prefetch_stride. */
	const unsigned char *prefetch, *prefetch_then;
	size_t prefetch_stride;
	uint32_t prefetch_from, prefetch_to, prefetch_turn;
};

typedef void tile_op(const struct tile *a);

/* Copy rows [row, row+rows) of x, from k on, as [steps][rows][row_step]. */
typedef void tile_pack(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t row,
		       uint32_t rows, uint32_t k, uint32_t steps, unsigned char *to);

struct tile_form {
	uint32_t step_k, panel_step, row_step; /* K, and bytes, of a step */
	tile_pack *pack;
	struct {
		uint32_t panels;   /* side by side in `wide` */
		uint32_t distance; /* bytes that a single tile prefetches ahead: whole cache lines */
		tile_op *wide, *one;
	} of[TILE_ROWS + 1]; /* by number of rows; NULL: no such tile, but one row always is one */
};

void kernel_tile_matmul(const struct tile_form *f, const struct kernel_matrix *w, uint32_t panel,
			uint32_t panels, const struct kernel_rows *x, float *out,
			size_t out_stride);

/* Pack f32 rows in steps of 32 values. */
tile_pack kernel_tile_pack_32;

#endif
