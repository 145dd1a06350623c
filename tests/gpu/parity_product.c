/* product: within the rounding of x's terms of sums in double; a row's bits whatever stands beside it; and on
 * the host emulator, whose matrix instructions add in ascending order, the very bits that
 * kernels/operation_product.h says. With p->verbose the digest of all results is said, which must not depend
 * on the number of multiprocessors. */
#include "kernels/choice.h"
#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/gpu/parity.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Weights on both sides. */
struct weights {
	struct kernel_matrix *w;
	struct device_matrix at;
	float *dense; /* [rows][columns] */
};

struct side {
	struct weights w;
	struct parity_buffer bias;
	bool biased;
};

/* Rows of x and what makes of them rows of out. */
struct rows {
	struct parity_buffer x, out;
	uint32_t count;       /* of out */
	uint32_t stride;      /* of x */
	const uint32_t *pick; /* on the host; NULL: none */
	void *pick_at;
};

static uint64_t digest;

static struct weights make_weights(struct parity *p, enum kernel_format f, uint32_t rows, uint32_t columns)
{
	struct weights s = { .w = parity_matrix(p, f, rows, columns, 1 / sqrtf((float)columns)) };
	s.at = parity_device_matrix(p, s.w);
	s.dense = parity_host(p, (size_t)rows * columns * sizeof(float));
	for (uint32_t r = 0; r < rows; r++)
		kernel_matrix_row(s.w, r, s.dense + (size_t)r * columns);
	return s;
}

static struct side make_side(struct parity *p, enum kernel_format f, uint32_t rows, uint32_t columns)
{
	struct side s = { .w = make_weights(p, f, rows, columns), .biased = parity_below(p, 2) != 0 };
	s.bias = parity_f32(p, "bias", rows, 1);
	return s;
}

/* What lies between the rows of x is no number. */
static struct rows make_rows(struct parity *p, uint32_t in, uint32_t out, uint32_t columns, uint32_t outputs)
{
	struct rows r = { .count = out, .stride = columns + parity_below(p, 6) };
	r.x = parity_output(p, "x", (size_t)in * r.stride * sizeof(float));
	float *x = r.x.host;
	for (uint32_t i = 0; i < in; i++) {
		for (uint32_t k = 0; k < columns; k++)
			x[(size_t)i * r.stride + k] = parity_normal(p);
	}
	parity_upload(p, &r.x);
	r.out = parity_output(p, "out", (size_t)out * (outputs + 3) * sizeof(float));
	return r;
}

static struct device_job job_of(const struct side *s, const struct rows *r)
{
	return (struct device_job){ .w = s->w.at,
				    .bias = s->biased ? s->bias.at : NULL,
				    .x = r->x.at,
				    .x_stride = r->stride,
				    .pick = r->pick_at,
				    .out = r->out.at,
				    .out_stride = s->w.w->rows + 3 };
}

static const float *x_row(const struct rows *r, uint32_t i)
{
	return (const float *)r->x.host + (size_t)(r->pick ? r->pick[i] : i) * r->stride;
}

static struct device_batch batch_of(uint32_t rows) { return (struct device_batch){ .rows = rows }; }

static void run_jobs(struct parity *p, const struct device_batch *batch, const struct device_job *job,
		     uint32_t jobs, struct product_args a)
{
	a.batch = parity_input(p, "batch", batch, sizeof *batch).at;
	a.job = parity_input(p, "jobs", job, jobs * sizeof *job).at;
	a.jobs = jobs;
	for (uint32_t i = 0; i < jobs; i++)
		a.panels += (job[i].w.rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
	PARITY_RUN(p, product, &a);
}

static void add_digest(const struct parity_buffer *b)
{
	const unsigned char *v = b->host;
	for (size_t i = 0; i < b->bytes; i++)
		digest = (digest ^ v[i]) * 1099511628211u;
}

/* ---- truth ---- */

struct sum {
	double value, size; /* size: of the terms' magnitudes */
};

static struct sum truth(const struct side *s, uint32_t row, const float *x)
{
	struct sum t = { s->biased ? (double)((float *)s->bias.host)[row] : 0, 0 };
	const float *w = s->w.dense + (size_t)row * s->w.w->columns;
	for (uint32_t k = 0; k < s->w.w->columns; k++) {
		t.value += (double)w[k] * (double)x[k];
		t.size += fabs((double)w[k] * (double)x[k]);
	}
	t.size += fabs(t.value);
	return t;
}

static float nearest(float v) { return number_from_bf16(number_to_bf16(v)); }

/* The sum of formats without scales as operation_product.h orders it. */
static float in_order(const struct side *s, uint32_t row, const float *x, uint32_t terms)
{
	uint32_t columns = s->w.w->columns, parts = fragment_parts(s->w.w->format);
	const float *w = s->w.dense + (size_t)row * columns;
	float all = 0, sum = 0;
	for (uint32_t tile = 0; tile < columns; tile += 16) {
		if (tile % 256 == 0) {
			all += sum;
			sum = 0;
		}
		for (uint32_t i = 0; i < parts * terms; i++) {
			for (uint32_t k = tile; k < tile + 16 && k < columns; k++) {
				float part = w[k], term = x[k];
				for (uint32_t j = 0; j < i / terms; j++)
					part -= nearest(part);
				for (uint32_t j = 0; j < i % terms; j++)
					term -= nearest(term);
				sum += nearest(part) * nearest(term);
			}
		}
	}
	all += sum;
	return s->biased ? all + ((float *)s->bias.host)[row] : all;
}

static bool has_scales(enum kernel_format f)
{
	return f != KERNEL_BF16 && f != KERNEL_F16 && f != KERNEL_F32;
}

/* Rows [from, to) of out: all numbers, and between them the poison. */
static void compare(struct parity *p, const struct side *s, const struct rows *r, uint32_t from, uint32_t to,
		    uint32_t terms, const char *what)
{
	const float *out = r->out.host;
	uint32_t outputs = s->w.w->rows, stride = outputs + 3, differing = 0;
	enum kernel_format f = s->w.w->format;
	double most = 0;
	for (uint32_t i = from; i < to; i++) {
		for (uint32_t row = 0; row < outputs; row++) {
			float got = out[(size_t)i * stride + row];
			struct sum t = truth(s, row, x_row(r, i));
			double error = fabs((double)got - t.value) / t.size;
			most = error <= most ? most : error;
			if (!p->large && !has_scales(f))
				differing += number_bits(got) !=
					     number_bits(in_order(s, row, x_row(r, i), terms));
		}
		parity_untouched(p, &r->out, ((size_t)i * stride + outputs) * 4, (size_t)(i + 1) * stride * 4);
	}
	parity_expect(p, most, terms == 2 ? 0x1p-16 : 0x1p-8, "%s %s %u x %u, rows %u to %u, terms %u", what,
		      kernel_format_name(f), outputs, s->w.w->columns, from, to, terms);
	parity_true(p, differing == 0, "%s %s %u x %u: %u sums out of order", what, kernel_format_name(f),
		    outputs, s->w.w->columns, differing);
}

/* ---- plain products ---- */

static uint32_t columns_of(struct parity *p, enum kernel_format f, uint32_t columns)
{
	(void)p;
	return f == KERNEL_MXFP4 ? (columns + 31) / 32 * 32 : columns;
}

static void one_product(struct parity *p, enum kernel_format f, uint32_t rows, uint32_t outputs,
			uint32_t columns, uint32_t terms)
{
	columns = columns_of(p, f, columns);
	struct side s = make_side(p, f, outputs, columns);
	struct rows r = make_rows(p, rows, rows, columns, outputs);
	struct device_job j = job_of(&s, &r);
	struct device_batch b = batch_of(rows);
	run_jobs(p, &b, &j, 1, (struct product_args){ .rows_most = rows, .terms = terms });
	parity_fetch(p, &r.out);
	add_digest(&r.out);
	compare(p, &s, &r, 0, rows, terms, "product");
}

static void plain_products(struct parity *p, enum kernel_format f)
{
	static const uint32_t counts[] = { 1, 2, 7, 8, 9, 16, 17, 32, 33, 64, 65, 100 };
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		uint32_t few = counts[i] > 16;
		one_product(p, f, counts[i], parity_size(p, few ? 40 : 70, 4000),
			    parity_size(p, few ? 550 : 900, 6000), 1 + (i % 3 != 0));
	}
	one_product(p, f, 8, 17, p->large ? 30000 : 3000, 2); /* more K than shared memory holds of 8 rows */
}

/* ---- what stands beside a row ---- */

/* Rows of a pass of 100 against passes of some of them: `count` from `first` on. */
static void same_bits(struct parity *p, const struct side *s, const struct rows *all, uint32_t first,
		      uint32_t count)
{
	uint32_t outputs = s->w.w->rows, stride = outputs + 3;
	struct rows some = *all;
	some.out = parity_output(p, "out of some rows", (size_t)count * stride * sizeof(float));
	struct device_job j = job_of(s, &some);
	struct device_batch b = batch_of(count);
	j.x += (size_t)first * all->stride;
	run_jobs(p, &b, &j, 1, (struct product_args){ .rows_most = count, .terms = 2 });
	parity_fetch(p, &some.out);
	parity_equal(p, some.out.host, (float *)all->out.host + (size_t)first * stride,
		     (size_t)count * stride * sizeof(float), "%s: rows %u to %u of 100",
		     kernel_format_name(s->w.w->format), first, first + count);
}

/* All rows in every form; on the emulator, of formats that are not the most used, in two. */
static void same_in_forms(struct parity *p, const struct side *s, const struct rows *all)
{
	enum kernel_format f = s->w.w->format;
	for (uint32_t i = 1; i < device_forms(DEVICE_product); i++) {
		if (device_product_form(i).kind == PRODUCT_FORM_CUBLAS)
			continue; /* another operation */
		const char *form = device_form_name(DEVICE_product, i);
		bool often = f == KERNEL_BF16 || f == KERNEL_Q4 || p->large;
		if (!often && strcmp(form, "narrow") != 0 && strcmp(form, "large-16") != 0)
			continue;
		struct rows some = *all;
		some.out = parity_output(p, "out in a form", all->out.bytes);
		struct device_job j = job_of(s, &some);
		struct device_batch b = batch_of(all->count);
		run_jobs(p, &b, &j, 1,
			 (struct product_args){
				 .rows_most = all->count, .terms = 2, .form = device_product_form(i) });
		parity_fetch(p, &some.out);
		parity_equal(p, some.out.host, all->out.host, all->out.bytes, "%s: form %s",
			     kernel_format_name(f), form);
	}
}

static void batches(struct parity *p, enum kernel_format f)
{
	uint32_t outputs = parity_pick(p, 35, 3000), columns = columns_of(p, f, parity_pick(p, 777, 5003));
	struct side s = make_side(p, f, outputs, columns);
	struct rows r = make_rows(p, 100, 100, columns, outputs);
	struct device_job j = job_of(&s, &r);
	struct device_batch b = batch_of(100);
	run_jobs(p, &b, &j, 1, (struct product_args){ .rows_most = 100, .terms = 2 });
	parity_fetch(p, &r.out);
	add_digest(&r.out);
	same_bits(p, &s, &r, 0, 1);
	same_bits(p, &s, &r, 99, 1);
	same_bits(p, &s, &r, 61, 7);
	same_bits(p, &s, &r, 3, 16);
	same_bits(p, &s, &r, 70, 30);
	same_bits(p, &s, &r, 20, 64);
	same_in_forms(p, &s, &r);
}

/* ---- experts ---- */

#define EXPERTS 9

struct experts {
	struct side w[EXPERTS + 1], up[EXPERTS + 1]; /* the last stands beside them, of all rows */
	uint32_t begin[EXPERTS + 1], pick[EXPERTS * 100], active[EXPERTS + 1];
	uint32_t tokens, width;
	enum kernel_act act;
	struct rows of_slots, of_rows;
	struct parity_buffer parameter;
};

static const float parameters[4] = { 0.8f, 1.3f, 0.5f, -1e-6f };

/* Some experts have no row, one has many. */
static void choose(struct parity *p, struct experts *e)
{
	uint32_t slots = 0;
	for (uint32_t i = 0; i < EXPERTS; i++) {
		uint32_t count = parity_below(p, 3) == 0 ? 0 : parity_size(p, e->tokens, e->tokens);
		e->begin[i] = slots;
		if (count > 0)
			e->active[1 + e->active[0]++] = i;
		for (uint32_t n = 0; n < count; n++)
			e->pick[slots++] = parity_below(p, e->tokens);
	}
	e->begin[EXPERTS] = slots;
}

/* Against the act of the sums in double, as a share of the answers' size. */
static void compare_acts(struct parity *p, const struct experts *e, uint32_t at, uint32_t from, uint32_t to,
			 bool gated)
{
	const struct rows *r = at < EXPERTS ? &e->of_slots : &e->of_rows;
	size_t n = (size_t)(to - from) * e->width, put = 0;
	float *got = parity_host(p, n * sizeof *got + 1), *gate = parity_host(p, n * sizeof *gate + 1);
	float *up = parity_host(p, n * sizeof *up + 1);
	double *want = parity_host(p, n * sizeof *want + 1);
	for (uint32_t i = from; i < to; i++) {
		for (uint32_t row = 0; row < e->width; row++, put++) {
			got[put] = ((float *)r->out.host)[(size_t)i * (e->width + 3) + row];
			gate[put] = (float)truth(&e->w[at], row, x_row(r, i)).value;
			up[put] = gated ? (float)truth(&e->up[at], row, x_row(r, i)).value : 0;
		}
	}
	kernel_truth_act(e->act, gate, gated ? up : NULL, (uint32_t)n, parameters, want);
	parity_expect(p, parity_error(got, want, n), 1e-4, "experts %s, act %d, expert %u, rows %u to %u",
		      kernel_format_name(e->w[at].w.w->format), (int)e->act, at, from, to);
}

static void expert_jobs(struct parity *p, struct experts *e, const struct parity_buffer *begin, bool gated,
			struct device_job job[EXPERTS + 1])
{
	(void)p;
	for (uint32_t i = 0; i <= EXPERTS; i++) {
		job[i] = job_of(&e->w[i], i < EXPERTS ? &e->of_slots : &e->of_rows);
		job[i].range = i < EXPERTS ? (uint32_t *)begin->at + i : NULL;
		job[i].act = (uint8_t)e->act;
		job[i].active = 1;
		job[i].parameter = e->parameter.at;
		if (gated) {
			job[i].up = e->up[i].w.at;
			job[i].bias_up = e->up[i].biased ? e->up[i].bias.at : NULL;
		}
	}
}

static void one_layer(struct parity *p, enum kernel_format f, enum kernel_act act, uint32_t tokens,
		      bool gated)
{
	uint32_t columns = parity_pick(p, 288, 2048);
	struct experts e = { .tokens = tokens, .width = parity_pick(p, 35, 1408), .act = act };
	struct device_job job[EXPERTS + 1];
	for (uint32_t i = 0; i <= EXPERTS; i++) {
		enum kernel_format other = f; /* up need not have w's format */
		if (i == 3 || i == EXPERTS)
			other = f == KERNEL_BF16 ? KERNEL_Q8 : KERNEL_BF16;
		e.w[i] = make_side(p, f, e.width, columns);
		e.up[i] = make_side(p, other, e.width, columns);
	}
	choose(p, &e);
	struct parity_buffer begin = parity_input(p, "begin", e.begin, sizeof e.begin);
	struct parity_buffer active = parity_input(p, "active", e.active, sizeof e.active);
	e.parameter = parity_input(p, "parameter", parameters, sizeof parameters);
	e.of_rows = make_rows(p, tokens, tokens, columns, e.width);
	e.of_slots = make_rows(p, tokens, e.begin[EXPERTS] + 1, columns, e.width);
	e.of_slots.pick = e.pick;
	e.of_slots.pick_at = parity_input(p, "pick", e.pick, sizeof e.pick).at;
	expert_jobs(p, &e, &begin, gated, job);
	struct device_batch b = batch_of(tokens);
	run_jobs(p, &b, job, EXPERTS + 1,
		 (struct product_args){
			 .active = active.at, .always = EXPERTS, .rows_most = tokens, .terms = 2 });
	parity_fetch(p, &e.of_slots.out);
	parity_fetch(p, &e.of_rows.out);
	add_digest(&e.of_slots.out);
	add_digest(&e.of_rows.out);
	for (uint32_t i = 0; i < EXPERTS; i++) {
		if (e.begin[i] < e.begin[i + 1])
			compare_acts(p, &e, i, e.begin[i], e.begin[i + 1], gated);
	}
	compare_acts(p, &e, EXPERTS, 0, tokens, gated);
	parity_untouched(p, &e.of_slots.out, (size_t)e.begin[EXPERTS] * (e.width + 3) * 4,
			 e.of_slots.out.bytes);
}

static void layers(struct parity *p)
{
	static const uint32_t tokens[] = { 1, 3, 8, 20, 40, 90 };
	for (int act = 0; act < KERNEL_ACTS; act++) {
		one_layer(p, (enum kernel_format)(act % KERNEL_FORMATS), (enum kernel_act)act, tokens[act], true);
		if (act != KERNEL_ACT_CLAMPED)
			one_layer(p, KERNEL_BF16, (enum kernel_act)act, tokens[(act + 2) % 6], false);
	}
	one_layer(p, KERNEL_MXFP4, KERNEL_ACT_CLAMPED, 4, true);
	one_layer(p, KERNEL_BF16, KERNEL_ACT_SILU, 12, true);
}

/* ---- the head ---- */

/* Rows that are wanted, with and without a pick of their own; scaled and capped. */
static void head(struct parity *p, bool picked, float scale, float cap)
{
	uint32_t columns = parity_pick(p, 300, 2048), outputs = parity_pick(p, 100, 50000);
	uint32_t wanted[] = { 0, 2, 3, 11 }, picks[] = { 5, 0, 5, 1 };
	struct side s = make_side(p, KERNEL_BF16, outputs, columns);
	struct rows r = make_rows(p, 12, 4, columns, outputs);
	struct parity_buffer want = parity_input(p, "want", wanted, sizeof wanted);
	r.pick = picked ? picks : wanted;
	r.pick_at = picked ? parity_input(p, "pick", picks, sizeof picks).at : NULL;
	struct device_job j = job_of(&s, &r);
	struct device_batch b = { .rows = 12, .wanted = 4, .want = want.at };
	size_t n = (size_t)4 * outputs;
	float *got = parity_host(p, n * sizeof *got);
	double *truths = parity_host(p, n * sizeof *truths);
	j.scale = scale;
	j.cap = cap;
	run_jobs(p, &b, &j, 1,
		 (struct product_args){ .rows = DEVICE_ROWS_WANTED, .rows_most = 12, .terms = 2 });
	parity_fetch(p, &r.out);
	add_digest(&r.out);
	for (size_t i = 0; i < n; i++) {
		double v = truth(&s, (uint32_t)(i % outputs), x_row(&r, (uint32_t)(i / outputs))).value;
		v *= scale > 0 ? (double)scale : 1;
		truths[i] = cap > 0 ? (double)cap * tanh(v / (double)cap) : v;
		got[i] = ((float *)r.out.host)[i / outputs * (outputs + 3) + i % outputs];
	}
	parity_expect(p, parity_error(got, truths, n), 1e-4, "head, picked %d, scale %g, cap %g", picked,
		      (double)scale, (double)cap);
}

/* Jobs of several formats and shapes in one list, and a pass without rows. */
static void lists(struct parity *p)
{
	struct side s[KERNEL_FORMATS];
	struct rows r[KERNEL_FORMATS];
	struct device_job job[KERNEL_FORMATS];
	uint32_t rows = 5;
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		uint32_t outputs = parity_size(p, 90, 3000);
		uint32_t columns = columns_of(p, (enum kernel_format)f, parity_size(p, 400, 4000));
		s[f] = make_side(p, (enum kernel_format)f, outputs, columns);
		r[f] = make_rows(p, rows, rows, columns, outputs);
		job[f] = job_of(&s[f], &r[f]);
	}
	struct device_batch none = batch_of(0), b = batch_of(rows);
	struct product_args a = { .rows_most = rows, .terms = 2 };
	run_jobs(p, &none, job, KERNEL_FORMATS, a);
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		parity_fetch(p, &r[f].out);
		parity_untouched(p, &r[f].out, 0, r[f].out.bytes);
	}
	run_jobs(p, &b, job, KERNEL_FORMATS, a);
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		parity_fetch(p, &r[f].out);
		add_digest(&r[f].out);
		compare(p, &s[f], &r[f], 0, rows, 2, "list");
	}
}

/* More jobs than a warp has lanes, in a form for many rows; all have the same matrix and rows. */
static void many_jobs(struct parity *p, struct product_form form)
{
	enum { JOBS = 40, ROWS = 3, OUTPUTS = 20 };
	struct side s = make_side(p, KERNEL_BF16, OUTPUTS, 48);
	struct rows r = make_rows(p, ROWS, JOBS * ROWS, 48, OUTPUTS);
	struct device_job job[JOBS];
	size_t each = (size_t)ROWS * (OUTPUTS + 3);
	for (uint32_t i = 0; i < JOBS; i++) {
		job[i] = job_of(&s, &r);
		job[i].out += i * each;
	}
	struct device_batch b = batch_of(ROWS);
	run_jobs(p, &b, job, JOBS, (struct product_args){ .rows_most = ROWS, .terms = 2, .form = form });
	parity_fetch(p, &r.out);
	add_digest(&r.out);
	compare(p, &s, &r, 0, ROWS, 2, "the first of many jobs");
	for (uint32_t i = 1; i < JOBS; i++)
		parity_equal(p, (float *)r.out.host + i * each, r.out.host, each * sizeof(float), "job %u", i);
}

/* Wanted rows in a form for many. */
static void wanted_rows(struct parity *p, struct product_form form)
{
	uint32_t wanted[] = { 0, 2, 3, 11 };
	struct side s = make_side(p, KERNEL_BF16, 100, 80);
	struct rows r = make_rows(p, 12, 4, 80, 100);
	struct device_job j = job_of(&s, &r);
	struct parity_buffer want = parity_input(p, "want", wanted, sizeof wanted);
	struct device_batch b = { .rows = 12, .wanted = 4, .want = want.at };
	r.pick = wanted;
	run_jobs(p, &b, &j, 1,
		 (struct product_args){
			 .rows = DEVICE_ROWS_WANTED, .rows_most = 12, .terms = 2, .form = form });
	parity_fetch(p, &r.out);
	add_digest(&r.out);
	compare(p, &s, &r, 0, 4, 2, "wanted rows in a form for many");
}

void parity_product(struct parity *p)
{
	char line[80];
	digest = 14695981039346656037u;
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		plain_products(p, (enum kernel_format)f);
		batches(p, (enum kernel_format)f);
	}
	layers(p);
	lists(p);
	head(p, false, 0, 0);
	head(p, true, 0.25f, 3);
	head(p, false, 0, 1.5f);
	many_jobs(p, (struct product_form){ .kind = PRODUCT_FORM_LARGE });
	wanted_rows(p, (struct product_form){ .kind = PRODUCT_FORM_LARGE });
	snprintf(line, sizeof line, "product: results %016llx", (unsigned long long)digest);
	if (p->verbose && p->say)
		p->say(p->with, line);
}
