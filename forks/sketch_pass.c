/* The pass over the files, with every thread of the pool. First the values whose units have to be
 * chosen by their norms; then all others, and what is kept of each. Values are hashed when they are
 * read first; what is read again is a small part. */
#include "forks/sketch_in.h"

#include <stdlib.h>
#include <string.h>

#define JOB_VALUES (1u << 24)     /* 32 MiB of bf16: at its ends a verified chunk is read twice */
#define ROW_VALUES_MAX (1u << 27) /* longer rows are not read */

void fork_pass_progress(struct pass *p, const struct model_value *v, uint64_t rows)
{
	const struct fork_model *m = p->plan->model;

	if (!m->progress)
		return;
	pthread_mutex_lock(&p->lock);
	m->progress(m->progress_ctx,
		    v->rows ? (uint64_t)((unsigned __int128)model_value_bytes(v) * rows / v->rows)
			    : 0);
	pthread_mutex_unlock(&p->lock);
}

/* ---- jobs ---- */

static bool is_read(const struct model_value *v)
{
	return v->floats && v->columns <= ROW_VALUES_MAX;
}

struct jobs {
	struct job *at;
	size_t count, room;
};

static struct job *job_add(struct jobs *to, enum job_kind kind, uint32_t value)
{
	if (to->count == to->room) {
		size_t wanted = to->room ? 2 * to->room : 64;
		struct job *more = realloc(to->at, wanted * sizeof *more);

		if (!more)
			return NULL;
		to->at = more;
		to->room = wanted;
	}
	to->at[to->count] = (struct job){ .kind = kind, .value = value };
	return &to->at[to->count++];
}

/* Where a job that begins at `row` ends: where it has enough, or the parts that it must not cut do.
 * taker [takers] are those of the value, by row. */
static uint64_t job_end(const struct plan *p, bool norms, const struct model_value *v, uint64_t row,
			uint64_t last, const struct taker *taker, size_t takers)
{
	uint64_t step = v->columns < JOB_VALUES ? JOB_VALUES / v->columns : 1, end = row + step;

	for (size_t i = 0; i < takers && end < last; i++) {
		const struct taker *t = &taker[i];

		if ((!norms || fork_part_whole(&p->block[t->block].part[t->part])) &&
		    t->row < end && t->row + t->rows > end)
			end = t->row + t->rows;
	}
	return end < last ? end : last;
}

/* The value's rows [row, last) as jobs with those of its takers that lie in them. */
static int value_jobs(const struct plan *p, bool norms, struct jobs *to, uint32_t value,
		      uint64_t row, uint64_t last, bool hashed, const struct taker *taker,
		      size_t takers)
{
	const struct model_value *v = model_values_at(p->model->values, value);

	while (row < last) {
		uint64_t end = job_end(p, norms, v, row, last, taker, takers);
		struct job *j = job_add(to, JOB_SCAN, value);

		if (!j)
			return ERR_NOMEM;
		j->row = row;
		j->rows = end - row;
		j->hashed = hashed;
		j->taker = taker;
		while (j->takers < takers && taker[j->takers].row < end)
			j->takers++;
		/* those behind it are behind all that follow */
		while (takers && taker->row + taker->rows <= end) {
			taker++;
			takers--;
		}
		row = end;
	}
	return 0;
}

/* The takers of a value: [begin, end) of the list, from *begin on. */
static size_t takers_of(const struct takers *t, size_t *begin, uint32_t value)
{
	size_t end;

	while (*begin < t->count && t->at[*begin].value < value)
		(*begin)++;
	for (end = *begin; end < t->count && t->at[end].value == value;)
		end++;
	return end;
}

static int jobs_of_norms(const struct plan *p, struct jobs *to)
{
	for (size_t i = 0, end; i < p->norms.count; i = end) {
		const struct taker *t = &p->norms.at[i];
		const struct model_value *v = model_values_at(p->model->values, t->value);

		end = takers_of(&p->norms, &i, t->value);
		if (is_read(v))
			TRY(value_jobs(p, true, to, t->value, 0, v->rows, true, t, end - i));
	}
	return 0;
}

static int jobs_of_rows(const struct plan *p, struct jobs *to)
{
	for (size_t i = 0; i < p->rows.count; i++) {
		struct job *j = job_add(to, JOB_ROWS, p->rows.at[i].value);

		if (!j)
			return ERR_NOMEM;
		j->taker = &p->rows.at[i];
		j->takers = 1;
	}
	return 0;
}

/* Whatever was not read for its norms; of what was, the parts by column alone. */
static int jobs_of_vectors(const struct plan *p, struct jobs *to)
{
	size_t norm = 0, column = 0;

	for (uint32_t i = 0; i < model_values_count(p->model->values); i++) {
		const struct model_value *v = model_values_at(p->model->values, i);
		bool before = takers_of(&p->norms, &norm, i) > norm && is_read(v);
		size_t takers = takers_of(&p->vectors, &column, i) - column;
		const struct taker *t = p->vectors.at + column;
		uint64_t row = 0, last = v->rows;

		if (!is_read(v)) {
			if (!job_add(to, JOB_BYTES, i))
				return ERR_NOMEM;
			continue;
		}
		if (before) {
			row = takers ? t[0].row : 0;
			last = takers ? t[0].row + t[0].rows : 0;
			for (size_t k = 1; k < takers; k++)
				last = t[k].row + t[k].rows > last ? t[k].row + t[k].rows : last;
		}
		if (v->columns)
			TRY(value_jobs(p, false, to, i, row, last, !before, t, takers));
	}
	return jobs_of_rows(p, to);
}

/* ---- running them ---- */

static void job_failed(struct pass *p, size_t i, int rc, const struct err *e)
{
	pthread_mutex_lock(&p->lock);
	if (p->rc == 0 || i < p->failed) {
		p->rc = rc;
		p->err = *e;
		p->failed = i;
	}
	pthread_mutex_unlock(&p->lock);
	p->stop = true;
}

static void pass_work(void *ctx, struct part part)
{
	struct pass *p = ctx;

	for (uint32_t i = part.begin; i < part.end && !p->stop; i++) {
		struct job *j = &p->job[i];
		struct err e = { 0 };
		int rc = fork_read_job(p, &p->worker[part.worker], j, &e);

		/* codes that contradict themselves: of this value alone */
		if (rc == ERR_INPUT || rc == ERR_UNSUPPORTED)
			j->failed = strdup(e.text);
		if (rc < 0 && !j->failed)
			job_failed(p, i, rc, &e);
	}
}

/* A value that could not be read is one without values; blocks that wanted it are left out. */
static int value_give_up(struct pass *p, struct job *j, struct scan *scan, struct err *e)
{
	struct sketch_tensor *t = &p->plan->sketch->tensor[j->value];
	struct job again = { .kind = JOB_BYTES, .value = j->value };

	for (size_t i = 0; i < j->takers; i++)
		p->plan->block[j->taker[i].block].broken = true;
	if (!t->floats)
		return 0;
	fork_plan_note(p->plan, "%s: not read: %s", t->name, j->failed);
	t->floats = false;
	TRY(fork_read_job(p, &p->worker[0], &again, e));
	*scan = again.scan;
	return 0;
}

/* Sums of the jobs, in their order, into the tensors. */
static int jobs_gather(struct pass *p, struct scan *scan, struct err *e)
{
	for (size_t i = 0; i < p->jobs; i++) {
		struct job *j = &p->job[i];

		if (j->failed)
			TRY(value_give_up(p, j, &scan[j->value], e));
		else if (j->kind == JOB_BYTES ||
			 (j->hashed && p->plan->sketch->tensor[j->value].floats))
			fork_scan_merge(&scan[j->value], &j->scan);
	}
	return 0;
}

static void pass_close(struct pass *p)
{
	for (size_t i = 0; i < p->jobs; i++)
		free(p->job[i].failed);
	for (unsigned i = 0; p->worker && i < p->workers; i++) {
		free(p->worker[i].panel);
		free(p->worker[i].x);
	}
	free(p->job);
	free(p->worker);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->wide);
}

static int pass_once(struct plan *plan, bool norms, struct scan *scan, struct err *e)
{
	struct pass p = { .plan = plan, .norms = norms };
	struct jobs jobs = { 0 };
	int rc = norms ? jobs_of_norms(plan, &jobs) : jobs_of_vectors(plan, &jobs);

	p.job = jobs.at;
	p.jobs = jobs.count;
	p.workers = pool_threads(plan->model->pool);
	p.worker = calloc(p.workers, sizeof *p.worker);
	pthread_mutex_init(&p.lock, NULL);
	pthread_mutex_init(&p.wide, NULL);
	if (rc < 0 || !p.worker || p.jobs > INT32_MAX)
		TRY_OUT(plan_nomem(e));
	pool_run_in_order(plan->model->pool, (uint32_t)p.jobs, pass_work, &p);
	if (p.rc < 0)
		TRY_OUT(err_set(e, p.rc, "%s", p.err.text));
	TRY_OUT(jobs_gather(&p, scan, e));
out:
	pass_close(&p);
	return rc;
}

/* ---- tensors ---- */

static int tensors_open(struct plan *p, struct err *e)
{
	struct fork_sketch *s = p->sketch;

	s->tensors = model_values_count(p->model->values);
	s->tensor = arena_array(&s->arena, s->tensors + 1, sizeof *s->tensor);
	if (!s->tensor)
		return plan_nomem(e);
	for (size_t i = 0; i < s->tensors; i++) {
		const struct model_value *v = model_values_at(p->model->values, i);
		struct sketch_tensor *t = &s->tensor[i];

		t->name = arena_copy(&s->arena, v->name, strlen(v->name));
		if (!t->name)
			return plan_nomem(e);
		t->component = p->roles.component[i];
		memcpy(t->form, v->form, sizeof t->form);
		t->rank = v->rank;
		memcpy(t->shape, v->shape, sizeof t->shape);
		t->bytes = model_value_bytes(v);
		t->floats = is_read(v);
		if (v->floats && !t->floats)
			fork_plan_note(p, "%s: not read: rows of %llu values", v->name,
				       (unsigned long long)v->columns);
	}
	return 0;
}

static void tensors_fill(const struct plan *p, const struct scan *scan)
{
	for (size_t i = 0; i < p->sketch->tensors; i++) {
		struct sketch_tensor *t = &p->sketch->tensor[i];
		const struct scan *s = &scan[i];

		t->finite = s->values_bad == 0;
		if (s->values == 0)
			continue;
		memcpy(t->hash, s->hash, sizeof t->hash);
		t->constant = s->differs == 0 || (t->floats && s->values < 256);
		t->values_bad = s->values_bad;
		if (t->floats && s->values > s->values_bad)
			t->mean_square = s->squares / (double)(s->values - s->values_bad);
	}
}

static void tensors_note(struct plan *p)
{
	for (size_t i = 0; i < p->sketch->tensors; i++) {
		const struct sketch_tensor *t = &p->sketch->tensor[i];

		if (t->values_bad)
			fork_plan_note(p, "%s: %llu values that are not finite", t->name,
				       (unsigned long long)t->values_bad);
	}
}

int fork_pass_run(struct plan *p, struct err *e)
{
	struct scan *scan = calloc(model_values_count(p->model->values) + 1, sizeof *scan);
	int rc = scan ? 0 : plan_nomem(e);

	TRY_OUT(rc);
	TRY_OUT(tensors_open(p, e));
	TRY_OUT(pass_once(p, true, scan, e));
	TRY_OUT(fork_plan_choose(p, e));
	TRY_OUT(pass_once(p, false, scan, e));
	tensors_fill(p, scan);
	tensors_note(p);
out:
	free(scan);
	return rc;
}
