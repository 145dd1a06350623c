#include "kernels/tile.h"

#include <string.h>

/* Inputs of one of several tiles, so that they stay in the first cache; and of a lone tile, whose
 * panels are read in one run, or of all tiles, which are packed once then. */
#define ROOM ((size_t)32 << 10)
#define ROOM_ALL ((size_t)128 << 10)
#define BLOCK_BYTES ((size_t)384 << 10) /* of panels: less than half a second cache */

struct run {
	const struct tile_form *f;
	const struct kernel_matrix *w;
	const struct kernel_rows *x;
	float *out;
	size_t out_stride;
	uint32_t begin, end;       /* of the panels */
	uint32_t first, stop;      /* of this block's panels */
	uint32_t step, steps, all; /* of this block, and of K */
	unsigned char *room;
	bool once; /* room holds the inputs of all rows */
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

/* What lies `bytes` behind the begin of what comes after the panels before `end`: more of this
 * product, or what the caller multiplies with next. */
static const unsigned char *after(const struct run *r, uint32_t end, size_t bytes)
{
	const unsigned char *next = r->x->next;
	if (end < r->end)
		next = r->w->panel + end * r->w->panel_bytes + (size_t)r->step * r->f->panel_step;
	return next == NULL ? NULL : next + bytes;
}

/* While n tiles pass over this block, each asks for an n-th of the next one; a lone tile asks for
 * what it will reach soon, which the machine's own foresight does too late: its panels, and near
 * their end those of the next tile. */
static void look_ahead(struct tile *a, const struct run *r, uint32_t panels, uint32_t row,
		       uint32_t rows)
{
	size_t step = r->f->panel_step, soon = r->f->of[rows].soon;
	a->ahead_stride = step;
	a->ahead_to = r->steps;
	if (rows == r->x->count) {
		a->ahead = a->panel + soon;
		a->ahead_turn = r->steps > soon / step ? r->steps - (uint32_t)(soon / step) : 0;
		a->then = after(r, a->first_panel + panels, soon % step);
		if (a->then == NULL)
			a->ahead_to = a->ahead_turn;
		return;
	}
	a->ahead = after(r, r->stop, (a->first_panel - r->first) * r->w->panel_bytes);
	a->ahead_turn = r->steps;
	a->ahead_from = (uint32_t)((uint64_t)r->steps * row / r->x->count);
	a->ahead_to = a->ahead == NULL ? 0 : (uint32_t)((uint64_t)r->steps * (row + rows) / r->x->count);
}

/* The packed inputs of rows [row, row+rows). */
static const unsigned char *inputs(const struct run *r, uint32_t row, uint32_t rows)
{
	unsigned char *to = r->room + (r->once ? row * (size_t)r->all * r->f->row_step : 0);
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
		look_ahead(&a, r, n, row, rows);
		(n == 1 ? f->of[rows].one : f->of[rows].wide)(&a);
	}
}

void kernel_tile_matmul(const struct tile_form *f, const struct kernel_matrix *w, uint32_t panel,
			uint32_t panels, const struct kernel_rows *x, float *out, size_t out_stride)
{
	_Alignas(64) unsigned char room[ROOM_ALL];
	struct run r = { .f = f,
			 .w = w,
			 .x = x,
			 .out = out,
			 .out_stride = out_stride,
			 .begin = panel,
			 .end = panel + panels,
			 .room = room };
	uint32_t most = rows_most(f), tile = least(x->count, most);
	bool lone = x->count <= most && f->of[x->count].one != NULL;
	size_t row_steps = (lone ? ROOM_ALL : ROOM) / f->row_step;
	uint32_t steps = (uint32_t)(row_steps / tile), block = panels;
	r.all = (w->columns + f->step_k - 1) / f->step_k;
	steps = least(steps, r.all);
	r.once = steps == r.all && (size_t)x->count * r.all * f->row_step <= ROOM_ALL;
	if (!lone)
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

static void pack_values(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t row,
			uint32_t rows, uint32_t k, uint32_t steps, unsigned char *to,
			uint32_t step_k)
{
	for (uint32_t t = 0; t < rows; t++) {
		size_t at = x->pick ? x->pick[row + t] : row + t;
		const float *v = x->value + at * x->stride;
		for (uint32_t s = 0; s < steps; s++) {
			uint32_t from = k + s * step_k, n = least(step_k, w->columns - from);
			unsigned char *put = to + ((size_t)s * rows + t) * step_k * 4;
			if (n == step_k && step_k == 32)
				memcpy(put, v + from, 128);
			else
				memcpy(put, v + from, (size_t)n * 4);
		}
	}
}

void kernel_tile_pack_32(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t row,
			 uint32_t rows, uint32_t k, uint32_t steps, unsigned char *to)
{
	pack_values(w, x, row, rows, k, steps, to, 32);
}

void kernel_tile_pack_128(const struct kernel_matrix *w, const struct kernel_rows *x, uint32_t row,
			  uint32_t rows, uint32_t k, uint32_t steps, unsigned char *to)
{
	pack_values(w, x, row, rows, k, steps, to, 128);
}
