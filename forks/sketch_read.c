/* One job of the pass: values are read in panels, and whatever is wanted of a panel is taken while
 * it is in the cache. */
#include "forks/sketch_in.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PANEL_VALUES (1u << 17) /* half a megabyte */
#define WIDE_VALUES (1u << 22)  /* a row of more is in one thread's memory at a time */
#define BYTES_STEP ((size_t)1 << 20)

/* Units by row, of which a few are summed at a time. */
struct group {
	struct plan_block *block;
	uint32_t part, held, done; /* units in x; and before these */
	struct unit_sum sum;
	float *x;       /* [width][SKETCH_GROUP] */
	float *gain;    /* or NULL */
	float *queries; /* [kept][stride of the basis] products of a query projection, or NULL */
};

/* What is taken of a value while its rows go by. */
struct taking {
	const struct taker *of;
	bool open, closed;
	struct group group;  /* vectors by row */
	float *gain;         /* of the others; or NULL */
	double *squares;     /* [units] norms */
	struct unit_sum sum; /* vectors by column */
	uint64_t *column;    /* [kept] of each unit; NULL: they follow one another */
};

static int room(float **at, size_t *have, size_t want, struct err *e)
{
	float *more;

	if (*have >= want)
		return 0;
	free(*at);
	*at = more = malloc(want * sizeof *more);
	*have = more ? want : 0;
	return more ? 0 : plan_nomem(e);
}

/* ---- Gram matrices of queries ---- */

/* x: [units][stride] products with the tokens. What has no finite trace above 0 has no matrix. */
static void gram_fill(struct plan *p, struct plan_block *b, const float *x, uint32_t units)
{
	uint32_t n = p->basis.tokens, stride = p->basis.stride;
	float *out = b->layer->tokens;
	double trace = 0;

	for (uint32_t u = 0; u < units; u++)
		for (uint32_t t = 0; t < n; t++)
			trace += (double)x[u * stride + t] * x[u * stride + t];
	if (!isfinite(trace) || trace <= 0) {
		b->layer->tokens = NULL;
		return;
	}
	for (uint32_t s = 0; s < n; s++)
		for (uint32_t t = 0; t <= s; t++) {
			double sum = 0;

			for (uint32_t u = 0; u < units; u++)
				sum += (double)x[u * stride + s] * x[u * stride + t];
			out[s * n + t] = out[t * n + s] = (float)(sum / trace);
		}
}

/* ---- parts by row ---- */

static int group_open(struct pass *p, struct group *g, const struct taker *t, struct err *e)
{
	struct plan_block *b = &p->plan->block[t->block];
	const struct role_part *r = &b->part[t->part];
	size_t products = (size_t)b->block->kept * p->plan->basis.stride;
	bool token = b->layer || b->block->part[t->part].token_width;

	*g = (struct group){ .block = b, .part = t->part };
	TRY(fork_unit_sum_open(&g->sum, SKETCH_GROUP, r->width, token, &p->plan->basis, e));
	TRY(fork_plan_gain(p->plan, r, &g->gain, e));
	g->x = calloc(r->width * SKETCH_GROUP, sizeof *g->x);
	g->queries = b->layer ? calloc(products + 1, sizeof *g->queries) : NULL;
	return g->x && (g->queries || !b->layer) ? 0 : plan_nomem(e);
}

static void group_flush(struct pass *p, struct group *g)
{
	struct plan_block *b = g->block;
	uint64_t width = b->part[g->part].width;
	size_t stride = p->plan->basis.stride;

	for (uint64_t d = 0; g->gain && d < width; d++)
		for (uint32_t i = 0; i < SKETCH_GROUP; i++)
			g->x[d * SKETCH_GROUP + i] *= g->gain[d];
	g->sum.units = g->held;
	fork_unit_sum_clear(&g->sum);
	fork_unit_sum_add(&g->sum, 0, (uint32_t)width, g->x);
	if (g->queries)
		memcpy(g->queries + g->done * stride, g->sum.token,
		       g->held * stride * sizeof *g->queries);
	else if (!b->bad[g->part])
		b->bad[g->part] = !fork_unit_sum_take(&g->sum, &b->block->part[g->part], g->done,
						      &b->squares[g->part]);
	memset(g->x, 0, width * SKETCH_GROUP * sizeof *g->x);
	g->done += g->held;
	g->held = 0;
}

/* A row of the next unit; of its last fold, last. */
static void group_put(struct pass *p, struct group *g, const float *row, bool last)
{
	const struct role_part *r = &g->block->part[g->part];
	float *x = g->x + g->held;

	row += r->column;
	for (uint64_t d = 0; d < r->width; d++)
		x[d * SKETCH_GROUP] += row[d];
	g->held += last;
	if (g->held == SKETCH_GROUP)
		group_flush(p, g);
}

static void group_close(struct pass *p, struct group *g)
{
	if (g->x && g->held)
		group_flush(p, g);
	if (g->x && g->queries)
		gram_fill(p->plan, g->block, g->queries, g->done);
	fork_unit_sum_free(&g->sum);
	free(g->gain);
	free(g->x);
	free(g->queries);
	*g = (struct group){ 0 };
}

/* Where the kept rows are read alone: the value was read before, for its norms. */
static int job_rows(struct pass *p, struct worker *w, struct job *j, struct err *e)
{
	const struct plan_block *b = &p->plan->block[j->taker->block];
	const struct role_part *r = &b->part[j->taker->part];
	struct group g = { 0 };
	int rc = 0;

	TRY(room(&w->panel, &w->panel_room, r->value->columns, e));
	TRY_OUT(group_open(p, &g, j->taker, e));
	for (uint32_t i = 0; i < b->block->kept && !p->stop; i++)
		for (uint64_t k = 0; k < r->folds; k++) {
			uint64_t row = r->first + b->block->place[i] * r->step + k * r->fold;

			TRY_OUT(model_values_read(p->plan->model->values, r->value, row, 1,
						  w->panel, e));
			group_put(p, &g, w->panel, k + 1 == r->folds);
		}
out:
	group_close(p, &g);
	return rc;
}

/* ---- what is taken of a panel ---- */

static int taking_open(struct pass *p, struct taking *t, struct err *e)
{
	struct plan_block *b = &p->plan->block[t->of->block];
	const struct role_part *r = &b->part[t->of->part];
	uint32_t kept = p->norms ? 0 : b->block->kept;

	t->open = true;
	if (!p->norms && !r->by_column)
		return group_open(p, &t->group, t->of, e);
	TRY(fork_plan_gain(p->plan, r, &t->gain, e));
	if (p->norms) {
		t->squares = fork_part_whole(r) ? calloc(b->units, sizeof *t->squares) : NULL;
		return t->squares || !fork_part_whole(r) ? 0 : plan_nomem(e);
	}
	TRY(fork_unit_sum_open(&t->sum, kept, r->width,
			       b->layer || b->block->part[t->of->part].token_width, &p->plan->basis,
			       e));
	if (r->step == 1 && kept == b->units)
		return 0;
	t->column = calloc(kept, sizeof *t->column);
	if (!t->column)
		return plan_nomem(e);
	for (uint32_t i = 0; i < kept; i++)
		t->column[i] = r->first + b->block->place[i] * r->step;
	return 0;
}

static void taking_close(struct pass *p, struct taking *t)
{
	struct plan_block *b = &p->plan->block[t->of->block];

	t->closed = true;
	group_close(p, &t->group);
	for (uint64_t u = 0; t->squares && u < b->units; u++)
		b->norms[t->of->part][u] = (float)t->squares[u];
	if (t->sum.raw && b->layer)
		gram_fill(p->plan, b, t->sum.token, t->sum.units);
	else if (t->sum.raw)
		b->bad[t->of->part] = !fork_unit_sum_take(&t->sum, &b->block->part[t->of->part], 0,
							  &b->squares[t->of->part]);
	fork_unit_sum_free(&t->sum);
	free(t->gain);
	free(t->squares);
	free(t->column);
	t->gain = NULL;
	t->squares = NULL;
	t->column = NULL;
}

/* Row `row` of the value, x, into the norms of units by row. */
static void row_norms_take(const struct plan_block *b, const struct taking *t,
			   const struct role_part *r, uint64_t row, const float *x)
{
	float *norms = b->norms[t->of->part];

	for (uint64_t k = 0; k < r->folds; k++) {
		uint64_t at = row - r->first - k * r->fold, u = at / r->step;

		if (row < r->first + k * r->fold || at % r->step || u >= b->units)
			continue;
		if (t->squares)
			t->squares[u] += fork_scan_squares(x + r->column, t->gain, r->width);
		else
			norms[u] = (float)fork_scan_squares(x + r->column, t->gain, r->width);
	}
}

static void norms_take(struct pass *p, struct taking *t, uint64_t row, const float *x)
{
	const struct plan_block *b = &p->plan->block[t->of->block];
	const struct role_part *r = &b->part[t->of->part];

	if (!r->by_column) {
		row_norms_take(b, t, r, row, x);
		return;
	}
	for (uint64_t k = 0; k < r->folds; k++) {
		float gain = t->gain ? t->gain[row - r->row] : 1;
		const float *from = x + r->first + k * r->fold;

		if (r->step == 1)
			fork_scan_column_squares(t->squares, from, gain, b->units);
		for (uint64_t u = 0; r->step != 1 && u < b->units; u++)
			fork_scan_column_squares(t->squares + u, from + u * r->step, gain, 1);
	}
}

/* The kept columns of a row, folded, times the gain. */
static void columns_gather(const struct role_part *r, const struct taking *t, float gain,
			   const float *x, float *out)
{
	uint32_t kept = t->sum.units;

	for (uint32_t i = kept; i < t->sum.stride; i++)
		out[i] = 0;
	for (uint32_t i = 0; i < kept; i++)
		out[i] = x[t->column ? t->column[i] : r->first + i];
	for (uint64_t k = 1; k < r->folds; k++) {
		const float *folded = x + k * r->fold;

		for (uint32_t i = 0; i < kept; i++)
			out[i] += folded[t->column ? t->column[i] : r->first + i];
	}
	for (uint32_t i = 0; t->gain && i < kept; i++)
		out[i] *= gain;
}

/* Those of rows [row, row + rows) that are kept units; x is row `row`. */
static void rows_gather(struct pass *p, struct taking *t, uint64_t row, uint64_t rows,
			const float *x)
{
	struct group *g = &t->group;
	const struct role_part *r = &g->block->part[g->part];
	const struct sketch_block *b = g->block->block;

	for (uint32_t i = g->done + g->held; i < b->kept; i++) {
		uint64_t at = r->first + b->place[i] * r->step;

		if (at >= row + rows)
			break;
		group_put(p, g, x + (at - row) * r->value->columns, true);
	}
}

/* Rows [row, row + rows) of the value, which w->panel holds from row `from` on. */
static int taking_take(struct pass *p, struct worker *w, struct taking *t, uint64_t from,
		       uint64_t row, uint64_t rows, struct err *e)
{
	const struct role_part *r;
	uint64_t columns;

	check(t->of);
	r = &p->plan->block[t->of->block].part[t->of->part];
	columns = r->value->columns;
	if (!t->open)
		TRY(taking_open(p, t, e));
	if (t->group.x)
		rows_gather(p, t, row, rows, w->panel + (row - from) * columns);
	if (t->sum.raw)
		TRY(room(&w->x, &w->x_room, rows * t->sum.stride, e));
	for (uint64_t i = 0; i < rows && !t->group.x; i++) {
		const float *x = w->panel + (row + i - from) * columns;

		if (p->norms)
			norms_take(p, t, row + i, x);
		else
			columns_gather(r, t, t->gain ? t->gain[row + i - r->row] : 1, x,
				       w->x + i * t->sum.stride);
	}
	if (t->sum.raw)
		fork_unit_sum_add(&t->sum, row - r->row, (uint32_t)rows, w->x);
	if (row + rows == t->of->row + t->of->rows)
		taking_close(p, t);
	return 0;
}

/* ---- jobs ---- */

static int panel_take(struct pass *p, struct worker *w, struct job *j, struct taking *taking,
		      uint64_t row, uint64_t rows, struct err *e)
{
	const struct model_value *v = model_values_at(p->plan->model->values, j->value);

	TRY(model_values_read(p->plan->model->values, v, row, rows, w->panel, e));
	for (uint64_t i = 0; j->hashed && i < rows; i++)
		fork_scan_row(&j->scan, row + i, w->panel + i * v->columns, v->columns);
	for (size_t i = 0; i < j->takers && j->taker[i].row < row + rows; i++) {
		const struct taker *t = &j->taker[i];
		uint64_t begin = t->row > row ? t->row : row,
			 end = t->row + t->rows < row + rows ? t->row + t->rows : row + rows;

		if (begin < end && !taking[i].closed)
			TRY(taking_take(p, w, &taking[i], row, begin, end - begin, e));
	}
	return 0;
}

static int job_scan(struct pass *p, struct worker *w, struct job *j, struct err *e)
{
	const struct model_value *v = model_values_at(p->plan->model->values, j->value);
	struct taking *taking = calloc(j->takers + 1, sizeof *taking);
	uint64_t step = v->columns < PANEL_VALUES ? PANEL_VALUES / v->columns : 1;
	int rc = taking ? 0 : plan_nomem(e);

	TRY_OUT(rc);
	for (size_t i = 0; i < j->takers; i++)
		taking[i].of = &j->taker[i];
	TRY_OUT(room(&w->panel, &w->panel_room, step * v->columns, e));
	for (uint64_t row = j->row; row < j->row + j->rows && !p->stop; row += step) {
		uint64_t left = j->row + j->rows - row, rows = left < step ? left : step;

		TRY_OUT(panel_take(p, w, j, taking, row, rows, e));
		if (j->hashed)
			fork_pass_progress(p, v, rows);
	}
out:
	for (size_t i = 0; taking && i < j->takers; i++)
		if (taking[i].open && !taking[i].closed)
			taking_close(p, &taking[i]);
	free(taking);
	return rc;
}

static int job_bytes(struct pass *p, struct worker *w, struct job *j, struct err *e)
{
	const struct model_value *v = model_values_at(p->plan->model->values, j->value);
	struct source *src = model_values_source(p->plan->model->values);
	uint64_t no = 0;

	TRY(room(&w->panel, &w->panel_room, BYTES_STEP / sizeof(float), e));
	for (size_t i = 0; i < v->parts; i++)
		for (uint64_t at = 0; at < v->stored[i]->bytes && !p->stop; at += BYTES_STEP) {
			uint64_t left = v->stored[i]->bytes - at;
			size_t n = left < BYTES_STEP ? (size_t)left : BYTES_STEP;

			TRY(source_read(src, v->stored[i]->file, v->stored[i]->begin + at, w->panel,
					n, e));
			fork_scan_bytes(&j->scan, no++, w->panel, n);
		}
	fork_pass_progress(p, v, v->rows);
	return 0;
}

int fork_read_job(struct pass *p, struct worker *w, struct job *j, struct err *e)
{
	const struct model_value *v = model_values_at(p->plan->model->values, j->value);
	bool wide = j->kind != JOB_BYTES && v->columns > WIDE_VALUES;
	int rc;

	if (wide)
		pthread_mutex_lock(&p->wide);
	rc = j->kind == JOB_SCAN    ? job_scan(p, w, j, e)
	     : j->kind == JOB_BYTES ? job_bytes(p, w, j, e)
				    : job_rows(p, w, j, e);
	if (wide) {
		free(w->panel);
		w->panel = NULL;
		w->panel_room = 0;
		pthread_mutex_unlock(&p->wide);
	}
	return rc;
}
