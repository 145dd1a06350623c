#include "kernels/tile.h"

#include <string.h>

/* Bytes of packed inputs: of one tile among several, so that they stay in the first-level cache;
 * and of a single tile, whose panels are read in one run, or of all tiles where they are packed
 * once. */
#define INPUTS ((size_t)32 << 10)
#define INPUTS_ALL ((size_t)128 << 10)
#define BLOCK_BYTES ((size_t)384 << 10) /* of panels: under half of a second-level cache */

struct run {
	const struct tile_form *f;
	const struct kernel_matrix *w;
	const struct kernel_rows *x;
	float *out;
	size_t out_stride;
	uint32_t begin, end;       /* of the panels */
	uint32_t first, stop;      /* of this block's panels */
	uint32_t step, steps, all; /* of this block, and of K */
	unsigned char *packed;
	bool once; /* packed holds the inputs of all rows */
};

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Tiles of nearly equal size. */
static uint32_t tile_rows(const struct tile_form *f, uint32_t most, uint32_t left)
{
	uint32_t tiles = (left + most - 1) / most, n = (left + tiles - 1) / tiles;
	while (f->of[n].one == NULL)
		n--;
	return n;
}

static uint32_t rows_most(const struct tile_form *f)
{
	uint32_t n = TILE_ROWS;
	while (f->of[n].one == NULL)
		n--;
	return n;
}

/* The address, plus `bytes`, that is read after the panels before `end`: the next panels of this
 * product, else the matrix that the caller multiplies with next. NULL: neither. */
static const unsigned char *after(const struct run *r, uint32_t end, size_t bytes)
{
	const unsigned char *next = r->x->next;
	if (end < r->end)
		next = r->w->panel + end * r->w->panel_bytes + (size_t)r->step * r->f->panel_step;
	return next == NULL ? NULL : next + bytes;
}

/* Plan the tile's software prefetch. While n tiles pass over a block, each prefetches an n-th of
 * the next block. For a single tile the hardware prefetcher is too late: it prefetches its own
 * panels at a fixed distance ahead, and near their end the panels of the next tile. */
static void plan_prefetch(struct tile *a, const struct run *r, uint32_t panels, uint32_t row,
		       uint32_t rows)
{
	size_t step = r->f->panel_step, distance = r->f->of[rows].distance;
	a->prefetch_stride = step;
	a->prefetch_to = r->steps;
	if (rows == r->x->count) {
		a->prefetch = a->panel + distance;
		a->prefetch_turn = r->steps > distance / step ? r->steps - (uint32_t)(distance / step) : 0;
		a->prefetch_then = after(r, a->first_panel + panels, distance % step);
		if (a->prefetch_then == NULL)
			a->prefetch_to = a->prefetch_turn;
		return;
	}
	a->prefetch = after(r, r->stop, (a->first_panel - r->first) * r->w->panel_bytes);
	a->prefetch_turn = r->steps;
	a->prefetch_from = (uint32_t)((uint64_t)r->steps * row / r->x->count);
	a->prefetch_to = 0;
	if (a->prefetch != NULL)
		a->prefetch_to = (uint32_t)((uint64_t)r->steps * (row + rows) / r->x->count);
}

/* The packed inputs of rows [row, row+rows). */
static const unsigned char *inputs(const struct run *r, uint32_t row, uint32_t rows)
{
	unsigned char *to = r->packed + (r->once ? row * (size_t)r->all * r->f->row_step : 0);
	if (!r->once || r->first == r->begin)
		r->f->pack(r->w, r->x, row, rows, r->step * r->f->step_k, r->steps, to);
	return to;
}

/* Rows [row, row+rows) over this block. */
static void tile_row(const struct run *r, uint32_t row, uint32_t rows)
{
	const struct tile_form *f = r->f;
	uint32_t wide = f->of[rows].panels, k = r->step * f->step_k;
	const unsigned char *x = inputs(r, row, rows);
	for (uint32_t panel = r->first, n; panel < r->stop; panel += n) {
		n = r->stop - panel < wide ? 1 : wide;
		struct tile a = {
			.w = r->w,
			.panel = r->w->panel + panel * r->w->panel_bytes +
				 (size_t)r->step * f->panel_step,
			.first_panel = panel,
			.first_step = r->step,
			.k = least(r->steps * f->step_k, r->w->columns - k),
			.x = x,
			.out = r->out + row * r->out_stride + (size_t)panel * KERNEL_PANEL,
			.out_stride = r->out_stride,
			.lanes = r->w->rows - panel * KERNEL_PANEL,
		};
		plan_prefetch(&a, r, n, row, rows);
		(n == 1 ? f->of[rows].one : f->of[rows].wide)(&a);
	}
}

void kernel_tile_matmul(const struct tile_form *f, const struct kernel_matrix *w, uint32_t panel,
			uint32_t panels, const struct kernel_rows *x, float *out, size_t out_stride)
{
	_Alignas(64) unsigned char packed[INPUTS_ALL];
	struct run r = { .f = f,
			 .w = w,
			 .x = x,
			 .out = out,
			 .out_stride = out_stride,
			 .begin = panel,
			 .end = panel + panels,
			 .packed = packed };
	uint32_t most = rows_most(f), tile = least(x->count, most);
	bool single = x->count <= most && f->of[x->count].one != NULL;
	size_t row_steps = (single ? INPUTS_ALL : INPUTS) / f->row_step;
	uint32_t steps = (uint32_t)(row_steps / tile), block = panels;
	r.all = (w->columns + f->step_k - 1) / f->step_k;
	steps = least(steps, r.all);
	r.once = steps == r.all && (size_t)x->count * r.all * f->row_step <= INPUTS_ALL;
	if (!single)
		block = least((uint32_t)(BLOCK_BYTES / ((size_t)steps * f->panel_step)) + 1, panels);
	for (; panel < r.end; panel += block) {
		r.first = panel;
		r.stop = least(panel + block, r.end);
		for (r.step = 0; r.step < r.all; r.step += steps) {
			r.steps = least(steps, r.all - r.step);
			for (uint32_t row = 0, n; row < x->count; row += n) {
				n = tile_rows(f, most, x->count - row);
				tile_row(&r, row, n);
			}
		}
	}
}

void kernel_tile_pack_32(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t row,
			 uint32_t rows, uint32_t k, uint32_t steps, unsigned char *to)
{
	for (uint32_t t = 0; t < rows; t++) {
		size_t at = x->pick ? x->pick[row + t] : row + t;
		const float *v = x->value + at * x->stride;
		for (uint32_t s = 0; s < steps; s++) {
			uint32_t from = k + s * 32, n = least(32, w->columns - from);
			unsigned char *put = to + ((size_t)s * rows + t) * 128;
			if (n == 32)
				memcpy(put, v + from, 128);
			else
				memcpy(put, v + from, (size_t)n * 4);
		}
	}
}
