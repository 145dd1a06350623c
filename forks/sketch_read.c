/* One job of the pass: values are read in panels, and whatever is wanted of a panel is taken while
 * it is in the cache. */
#include "forks/sketch_in.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PANEL_VALUES (1u << 17) /* half a megabyte */
#define WIDE_VALUES (1u << 22)  /* a row of more is in one thread's memory at a time */
#define BYTES_STEP ((size_t)1 << 20)

/* What is taken of a value while its rows go by. */
struct taking {
	const struct taker *of;
	bool open, closed;
	float *gain;         /* or NULL */
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

/* The vectors of `units` kept units from `at` on, times the gain, as x: [width][GROUP]. */
static int group_read(struct pass *p, struct worker *w, const struct plan_block *b,
		      const struct role_part *r, const float *gain, uint32_t at, uint32_t units,
		      struct err *e)
{
	const uint32_t *place = b->block->place + at;

	memset(w->x, 0, r->width * SKETCH_GROUP * sizeof *w->x);
	for (uint32_t i = 0; i < units; i++)
		for (uint64_t k = 0; k < r->folds; k++) {
			uint64_t row = r->first + place[i] * r->step + k * r->fold;
			const float *from = w->panel + r->column;

			TRY(model_values_read(p->plan->model->values, r->value, row, 1, w->panel,
					      e));
			for (uint64_t d = 0; d < r->width; d++)
				w->x[d * SKETCH_GROUP + i] += from[d];
		}
	for (uint64_t d = 0; gain && d < r->width; d++)
		for (uint32_t i = 0; i < SKETCH_GROUP; i++)
			w->x[d * SKETCH_GROUP + i] *= gain[d];
	return 0;
}

static int rows_read(struct pass *p, struct worker *w, const struct taker *t, struct unit_sum *sum,
		     const float *gain, float *queries, struct err *e)
{
	struct plan_block *b = &p->plan->block[t->block];
	const struct role_part *r = &b->part[t->part];
	uint32_t stride = p->plan->basis.stride;

	for (uint32_t at = 0; at < b->block->kept; at += SKETCH_GROUP) {
		uint32_t left = b->block->kept - at;

		sum->units = left < SKETCH_GROUP ? left : SKETCH_GROUP;
		fork_unit_sum_clear(sum);
		TRY(group_read(p, w, b, r, gain, at, sum->units, e));
		fork_unit_sum_add(sum, 0, (uint32_t)r->width, w->x);
		if (queries)
			memcpy(queries + (size_t)at * stride, sum->token,
			       (size_t)sum->units * stride * sizeof *queries);
		else if (!b->bad[t->part])
			b->bad[t->part] = !fork_unit_sum_take(sum, &b->block->part[t->part], at,
							      &b->squares[t->part]);
	}
	if (queries)
		gram_fill(p->plan, b, queries, b->block->kept);
	return 0;
}

static int job_rows(struct pass *p, struct worker *w, struct job *j, struct err *e)
{
	struct plan_block *b = &p->plan->block[j->taker->block];
	const struct role_part *r = &b->part[j->taker->part];
	bool token = b->layer || b->block->part[j->taker->part].token_width;
	struct unit_sum sum = { 0 };
	float *gain = NULL, *queries = NULL;
	int rc = 0;

	TRY(room(&w->panel, &w->panel_room, r->value->columns, e));
	TRY(room(&w->x, &w->x_room, r->width * SKETCH_GROUP, e));
	TRY_OUT(fork_plan_gain(p->plan, r, &gain, e));
	TRY_OUT(fork_unit_sum_open(&sum, SKETCH_GROUP, r->width, token, &p->plan->basis, e));
	if (b->layer)
		queries = calloc(b->block->kept, p->plan->basis.stride * sizeof *queries);
	if (b->layer && !queries)
		TRY_OUT(plan_nomem(e));
	TRY_OUT(rows_read(p, w, j->taker, &sum, gain, queries, e));
out:
	fork_unit_sum_free(&sum);
	free(gain);
	free(queries);
	return rc;
}

/* ---- what is taken of a panel ---- */

static int taking_open(struct pass *p, struct taking *t, struct err *e)
{
	struct plan_block *b = &p->plan->block[t->of->block];
	const struct role_part *r = &b->part[t->of->part];
	uint32_t kept = p->norms ? 0 : b->block->kept;

	t->open = true;
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

/* Rows [row, row + rows) of the value, which w->panel holds from row `from` on. */
static int taking_take(struct pass *p, struct worker *w, struct taking *t, uint64_t from,
		       uint64_t row, uint64_t rows, struct err *e)
{
	const struct role_part *r = &p->plan->block[t->of->block].part[t->of->part];
	uint64_t columns = r->value->columns;

	if (!t->open)
		TRY(taking_open(p, t, e));
	if (!p->norms)
		TRY(room(&w->x, &w->x_room, rows * t->sum.stride, e));
	for (uint64_t i = 0; i < rows; i++) {
		const float *x = w->panel + (row + i - from) * columns;

		if (p->norms)
			norms_take(p, t, row + i, x);
		else
			columns_gather(r, t, t->gain ? t->gain[row + i - r->row] : 1, x,
				       w->x + i * t->sum.stride);
	}
	if (!p->norms)
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
	for (size_t i = 0; i < j->takers && taking[i].of->row < row + rows; i++) {
		const struct taker *t = taking[i].of;
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
