/* The values of two models, tensor by tensor. Both are read once, in chunks of rows that threads
 * take in the order of the files; sums are kept by chunk and added in one order, so that any number
 * of threads gives the same. What made the difference is told by a panel of each matrix. */
#include "forks/identical.h"
#include "forks/relation.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK (256 * 1024u)  /* values: two panels stay in a core's cache */
#define PANEL (2048 * 1024u) /* values of the panel that tells what made a difference, at most */
#define BYTES_CHUNK (256 * 1024u) /* of what has no values */

typedef float f32x4 __attribute__((vector_size(16), aligned(4)));
typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));

struct sums {
	double dot, aa, bb, dd; /* of a b, a^2, b^2, (b - a)^2 */
	uint64_t zeros;         /* that are zero in b alone */
	uint64_t bad;           /* not finite, of both */
	bool differs;
};

struct chunk {
	uint32_t job;
	uint64_t row, rows; /* of values; of bytes: from, how many */
	struct sums sums;
};

/* A pair of tensors under comparison. */
struct job {
	struct fork_tensor *tensor;
	const struct model_value *a, *b;
	struct sums sums;
};

struct worker {
	float *a, *b; /* panels */
	struct relation_scratch *scratch;
	struct err err;
	uint32_t failed; /* the first part that it failed in; UINT32_MAX: none */
};

struct difference {
	const struct fork_model *a, *b;
	struct job *job;
	uint32_t jobs;
	struct chunk *chunk;
	uint32_t chunks;
	uint64_t panel; /* values of the largest panel */
	struct worker *worker;
	unsigned workers;
	atomic_bool stop;
	int (*step)(struct difference *d, struct worker *w, uint32_t part, struct err *e);
};

/* ---- sums ---- */

static inline f64x2 low(f32x4 x) { return (f64x2){ (double)x[0], (double)x[1] }; }
static inline f64x2 high(f32x4 x) { return (f64x2){ (double)x[2], (double)x[3] }; }

struct lanes {
	f64x2 dot, aa, bb, dd;
};

static inline void lanes_add(struct lanes *l, f64x2 x, f64x2 y)
{
	f64x2 d = y - x;

	l->dot += x * y;
	l->aa += x * x;
	l->bb += y * y;
	l->dd += d * d;
}

static void sums_of_rest(struct sums *s, const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		double x = a[i], y = b[i];

		s->dot += x * y;
		s->aa += x * x;
		s->bb += y * y;
		s->dd += (y - x) * (y - x);
		s->zeros += !(y < 0 || y > 0) && (x < 0 || x > 0);
	}
}

static void sums_of_different(struct sums *s, const float *a, const float *b, size_t n)
{
	struct lanes even = { 0 }, odd = { 0 };
	i32x4 zeros = { 0 };
	size_t whole = n / 4 * 4;

	for (size_t i = 0; i < whole; i += 4) {
		f32x4 x = *(const f32x4 *)(const void *)(a + i),
		      y = *(const f32x4 *)(const void *)(b + i);

		lanes_add(&even, low(x), low(y));
		lanes_add(&odd, high(x), high(y));
		zeros -= (y == (f32x4){ 0 }) & (x != (f32x4){ 0 });
	}
	s->dot += even.dot[0] + even.dot[1] + odd.dot[0] + odd.dot[1];
	s->aa += even.aa[0] + even.aa[1] + odd.aa[0] + odd.aa[1];
	s->bb += even.bb[0] + even.bb[1] + odd.bb[0] + odd.bb[1];
	s->dd += even.dd[0] + even.dd[1] + odd.dd[0] + odd.dd[1];
	for (int k = 0; k < 4; k++)
		s->zeros += (uint64_t)zeros[k];
	sums_of_rest(s, a + whole, b + whole, n - whole);
}

static void sums_of_same(struct sums *s, const float *a, size_t n)
{
	f64x2 even = { 0 }, odd = { 0 };
	size_t i = 0;

	for (; i + 4 <= n; i += 4) {
		f32x4 x = *(const f32x4 *)(const void *)(a + i);

		even += low(x) * low(x);
		odd += high(x) * high(x);
	}
	s->aa += even[0] + even[1] + odd[0] + odd[1];
	for (; i < n; i++)
		s->aa += (double)a[i] * a[i];
	s->bb = s->dot = s->aa;
}

static void count_bad(struct sums *s, const float *a, const float *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		s->bad += (uint64_t)!isfinite(a[i]) + (uint64_t)!isfinite(b[i]);
		s->differs |=
			memcmp(a + i, b + i, sizeof *a) != 0 && !(a[i] <= b[i] && a[i] >= b[i]);
	}
}

static struct sums sums_of(const float *a, const float *b, size_t n)
{
	struct sums s = { 0 };

	if (memcmp(a, b, n * sizeof *a) == 0)
		sums_of_same(&s, a, n);
	else
		sums_of_different(&s, a, b, n);
	s.differs = s.dd > 0;
	if (isfinite(s.aa) && isfinite(s.bb))
		return s;
	s = (struct sums){ 0 };
	count_bad(&s, a, b, n);
	return s;
}

static void sums_merge(struct sums *s, const struct sums *from)
{
	s->dot += from->dot;
	s->aa += from->aa;
	s->bb += from->bb;
	s->dd += from->dd;
	s->zeros += from->zeros;
	s->bad += from->bad;
	s->differs |= from->differs;
}

/* ---- parts for threads ---- */

static int panels_read(struct difference *d, struct worker *w, const struct job *j, uint64_t row,
		       uint64_t rows, struct err *e)
{
	TRY(model_values_read(d->a->values, j->a, row, rows, w->a, e));
	return model_values_read(d->b->values, j->b, row, rows, w->b, e);
}

/* What has no values is compared as it is stored: all parts, one behind the other. */
static int bytes_differ(const struct job *j, struct difference *d, struct worker *w, struct err *e)
{
	struct source *sa = model_values_source(d->a->values),
		      *sb = model_values_source(d->b->values);

	if (j->a->parts != j->b->parts || strcmp(j->a->form, j->b->form) != 0)
		return 1;
	for (size_t i = 0; i < j->a->parts; i++) {
		const struct model_tensor *x = j->a->stored[i], *y = j->b->stored[i];

		if (x->bytes != y->bytes || x->turn != y->turn)
			return 1;
		for (uint64_t at = 0; at < x->bytes; at += BYTES_CHUNK) {
			size_t n =
				x->bytes - at < BYTES_CHUNK ? (size_t)(x->bytes - at) : BYTES_CHUNK;

			TRY(source_read(sa, x->file, x->begin + at, w->a, n, e));
			TRY(source_read(sb, y->file, y->begin + at, w->b, n, e));
			if (memcmp(w->a, w->b, n) != 0)
				return 1;
		}
	}
	return 0;
}

static int chunk_step(struct difference *d, struct worker *w, uint32_t part, struct err *e)
{
	struct chunk *c = &d->chunk[part];
	const struct job *j = &d->job[c->job];
	int rc = 0;

	if (!j->tensor->floats) {
		rc = bytes_differ(j, d, w, e);
		c->sums.differs = rc > 0;
		return rc < 0 ? rc : 0;
	}
	TRY(panels_read(d, w, j, c->row, c->rows, e));
	c->sums = sums_of(w->a, w->b, (size_t)(c->rows * j->a->columns));
	return 0;
}

/* Rows of the panel that tells what made a difference. */
static uint64_t rows_told(const struct model_value *w)
{
	uint64_t rows = PANEL / (w->columns + 1);

	if (rows < 16)
		rows = 16;
	return rows < RELATION_ROWS ? rows : RELATION_ROWS;
}

/* A panel from the middle, where FP8's blocks begin. */
static int relation_step(struct difference *d, struct worker *w, uint32_t part, struct err *e)
{
	struct job *j = &d->job[part];
	struct fork_tensor *t = j->tensor;
	uint64_t row = j->a->rows / 2 / RELATION_ROWS * RELATION_ROWS, rows = j->a->rows - row;

	if (!t->compared || !t->matrix || t->change != FORK_CHANGED || j->sums.dd <= 0)
		return 0;
	if (rows > rows_told(j->a))
		rows = rows_told(j->a);
	TRY(panels_read(d, w, j, row, rows, e));
	t->rounding = fork_relation_rounding(w->a, w->b, (size_t)rows, (size_t)j->a->columns);
	if (t->rounding == FORK_ROUNDED_NOT)
		t->rank = fork_relation_rank(w->a, w->b, (size_t)rows, (size_t)j->a->columns,
					     w->scratch);
	return 0;
}

static void take_parts(void *ctx, struct part part)
{
	struct difference *d = ctx;
	struct worker *w = &d->worker[part.worker];

	for (uint32_t i = part.begin; i < part.end; i++) {
		if (atomic_load(&d->stop))
			return;
		if (d->step(d, w, i, &w->err) == 0)
			continue;
		w->failed = i;
		atomic_store(&d->stop, true);
		return;
	}
}

/* Every part once; of several that fail the first is told. */
static int run_parts(struct difference *d, struct pool *pool, uint32_t parts,
		     int (*step)(struct difference *, struct worker *, uint32_t, struct err *),
		     struct err *e)
{
	const struct worker *first = NULL;

	d->step = step;
	pool_run_in_order(pool, parts, take_parts, d);
	for (unsigned i = 0; i < d->workers; i++) {
		const struct worker *w = &d->worker[i];

		if (w->failed != UINT32_MAX && (!first || w->failed < first->failed))
			first = w;
	}
	return first ? err_set(e, first->err.code, "%s", first->err.text) : 0;
}

/* ---- the plan ---- */

static bool same_matrix(const struct model_value *a, const struct model_value *b)
{
	return a->floats == b->floats &&
	       (!a->floats || (a->rows == b->rows && a->columns == b->columns));
}

static int plan_job(struct difference *d, struct fork_tensor *t, struct err *e)
{
	struct job *j = &d->job[d->jobs];
	const char *other = t->other ? t->other : t->name;

	*j = (struct job){ .tensor = t,
			   .a = model_values_find(d->a->values, t->name),
			   .b = model_values_find(d->b->values, other) };
	if (!j->a || !j->b)
		return err_set(e, ERR_INPUT, "tensor %s of the sketch is not in the model",
			       j->a ? other : t->name);
	if (!same_matrix(j->a, j->b)) { /* told to be the same by a hash, and cannot be */
		if (t->change == FORK_SAME)
			t->change = FORK_RESHAPED;
		return 0;
	}
	t->compared = true;
	d->jobs++;
	return 0;
}

static uint64_t rows_at_once(const struct model_value *w)
{
	uint64_t rows = w->columns > 0 ? CHUNK / w->columns : w->rows;

	return rows > 0 ? rows : 1;
}

static uint64_t chunks_of(const struct job *j)
{
	uint64_t at_once = rows_at_once(j->a);

	if (!j->tensor->floats)
		return 1;
	return j->a->columns > 0 ? (j->a->rows + at_once - 1) / at_once : 0;
}

static void plan_chunks(struct difference *d, uint32_t job)
{
	const struct job *j = &d->job[job];
	uint64_t at_once = rows_at_once(j->a), n = chunks_of(j);

	for (uint64_t i = 0; i < n; i++) {
		uint64_t row = i * at_once;

		d->chunk[d->chunks++] = (struct chunk){
			.job = job,
			.row = row,
			.rows = j->a->rows - row < at_once ? j->a->rows - row : at_once,
		};
	}
}

static uint64_t panel_of(const struct job *j)
{
	uint64_t rows = rows_at_once(j->a);

	if (!j->tensor->floats)
		return BYTES_CHUNK / sizeof(float);
	if (rows < rows_told(j->a))
		rows = rows_told(j->a);
	return (rows < j->a->rows ? rows : j->a->rows) * j->a->columns;
}

static int plan(struct difference *d, struct fork_detail *detail, struct err *e)
{
	uint64_t chunks = 0;

	d->job = calloc(detail->tensors + 1, sizeof *d->job);
	if (!d->job)
		return err_set(e, ERR_NOMEM, "out of memory for %zu tensors", detail->tensors);
	for (size_t i = 0; i < detail->tensors; i++)
		if (detail->tensor[i].change == FORK_SAME ||
		    detail->tensor[i].change == FORK_CHANGED)
			TRY(plan_job(d, &detail->tensor[i], e));
	for (uint32_t i = 0; i < d->jobs; i++) {
		chunks += chunks_of(&d->job[i]);
		if (panel_of(&d->job[i]) > d->panel)
			d->panel = panel_of(&d->job[i]);
	}
	if (chunks >= INT32_MAX)
		return err_set(e, ERR_INPUT, "the models have too many rows to compare");
	d->chunk = calloc(chunks + 1, sizeof *d->chunk);
	if (!d->chunk)
		return err_set(e, ERR_NOMEM, "out of memory for %llu chunks",
			       (unsigned long long)chunks);
	for (uint32_t i = 0; i < d->jobs; i++)
		plan_chunks(d, i);
	return 0;
}

static int workers_open(struct difference *d, struct pool *pool, struct err *e)
{
	d->workers = pool_threads(pool);
	d->worker = calloc(d->workers, sizeof *d->worker);
	if (!d->worker)
		return err_set(e, ERR_NOMEM, "out of memory for %u threads", d->workers);
	for (unsigned i = 0; i < d->workers; i++) {
		struct worker *w = &d->worker[i];

		w->failed = UINT32_MAX;
		w->a = malloc((size_t)d->panel * sizeof *w->a + 1);
		w->b = malloc((size_t)d->panel * sizeof *w->b + 1);
		w->scratch = malloc(sizeof *w->scratch);
		if (!w->a || !w->b || !w->scratch)
			return err_set(e, ERR_NOMEM, "out of memory for panels of %llu values",
				       (unsigned long long)d->panel);
	}
	return 0;
}

static void difference_close(struct difference *d)
{
	for (unsigned i = 0; d->worker && i < d->workers; i++) {
		free(d->worker[i].a);
		free(d->worker[i].b);
		free(d->worker[i].scratch);
	}
	free(d->worker);
	free(d->job);
	free(d->chunk);
}

/* ---- what they say ---- */

static void take_sums(struct job *j)
{
	struct fork_tensor *t = j->tensor;
	const struct sums *s = &j->sums;

	t->change = s->differs ? FORK_CHANGED : FORK_SAME;
	t->not_finite = s->bad;
	if (!t->floats || !s->differs || s->bad > 0)
		return;
	if (s->aa > 0)
		t->relative_l2 = sqrt(s->dd / s->aa);
	if (s->aa > 0 && s->bb > 0)
		t->cosine = s->dot / sqrt(s->aa) / sqrt(s->bb);
	t->zeros = t->values > 0 ? (double)s->zeros / (double)t->values : 0;
}

static void add_matrix(struct fork_measured *m, const struct job *j, double *zeros)
{
	const struct fork_tensor *t = j->tensor;

	if (t->change == FORK_SAME) {
		m->frozen += fork_tensor_tells(t) && t->component == FORK_BODY;
		return;
	}
	m->changed++;
	m->rounded[t->rounding]++;
	*zeros += t->zeros * (double)t->values;
	if (t->rank > 0) {
		m->low_rank++;
		m->rank = t->rank > m->rank ? t->rank : m->rank;
	}
}

static bool embedding_resized(const struct fork_detail *d)
{
	for (size_t i = 0; i < d->tensors; i++)
		if (d->tensor[i].change == FORK_RESHAPED && d->tensor[i].component == FORK_ENDS &&
		    d->tensor[i].matrix)
			return true;
	return false;
}

static void sum_up(const struct difference *d, struct fork_comparison *c)
{
	struct fork_measured *m = &c->measured;
	double difference = 0, norm = 0, zeros = 0, values = 0;

	*m = (struct fork_measured){ .run = true, .relative_l2 = NAN };
	for (uint32_t i = 0; i < d->jobs; i++) {
		const struct job *j = &d->job[i];

		if (!j->tensor->matrix || !j->tensor->floats || j->sums.bad > 0)
			continue;
		difference += j->sums.dd;
		norm += j->sums.aa;
		values += j->tensor->change == FORK_CHANGED ? (double)j->tensor->values : 0;
		add_matrix(m, j, &zeros);
	}
	if (m->changed == 0)
		m->frozen = 0;
	if (norm > 0)
		m->relative_l2 = sqrt(difference / norm);
	m->zeros = values > 0 ? zeros / values : 0;
	m->embedding_resized = embedding_resized(c->detail);
	if (norm > 0 && !c->detail->realigned)
		c->relative_l2 = m->relative_l2;
}

int fork_diff(const struct fork_model *a, const struct fork_model *b, struct pool *pool,
	      struct fork_comparison *c, struct err *e)
{
	struct difference d = { .a = a, .b = b };
	int rc;

	TRY_OUT(plan(&d, c->detail, e));
	TRY_OUT(workers_open(&d, pool, e));
	TRY_OUT(run_parts(&d, pool, d.chunks, chunk_step, e));
	for (uint32_t i = 0; i < d.chunks; i++)
		sums_merge(&d.job[d.chunk[i].job].sums, &d.chunk[i].sums);
	for (uint32_t i = 0; i < d.jobs; i++)
		take_sums(&d.job[i]);
	TRY_OUT(run_parts(&d, pool, d.jobs, relation_step, e));
	fork_tensors_sum(c);
	sum_up(&d, c);
	fork_verdict_draw(c);
out:
	difference_close(&d);
	return rc;
}
