/* product in the form of many rows of the fast regime (kernels/product_fast.cu): rows rounded to bf16 once,
 * weights with scales rounded to bf16, against sums of those in double. A device of another compute
 * capability than 9.0 refuses it. */
#include "kernels/truth.h"
#include "tests/gpu/parity_bf16.h"

#include <math.h>
#include <string.h>

#define EXPERTS 5

static void run_jobs(struct parity *p, struct device_batch batch, struct device_job *job, uint32_t jobs,
		     uint32_t slots, struct product_args a)
{
	size_t bytes = device_tiles_place(job, jobs, a.rows_most, slots, NULL);
	struct parity_buffer tiles = parity_output(p, "tiles", bytes);
	device_tiles_place(job, jobs, a.rows_most, slots, tiles.at);
	a.batch = parity_input(p, "batch", &batch, sizeof batch).at;
	a.job = parity_input(p, "jobs", job, jobs * sizeof *job).at;
	a.jobs = jobs;
	a.terms = 1;
	a.fast = true;
	for (uint32_t i = 0; i < jobs; i++)
		a.panels += (job[i].w.rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
	PARITY_RUN(p, product, &a);
}

/* ---- plain products ---- */

static void compare(struct parity *p, const struct weights *w, const struct rows *r, const uint32_t *pick,
		    uint32_t rows, const struct parity_buffer *out, const char *what)
{
	uint32_t outputs = w->at.rows, stride = outputs + 3;
	double near = 0, far = 0;
	for (uint32_t i = 0; i < rows; i++) {
		const float *x = row_at(r, pick != NULL ? pick[i] : i);
		for (uint32_t o = 0; o < outputs; o++) {
			double size, got = (double)((float *)out->host)[(size_t)i * stride + o];
			double error = fabs(got - sum_of(w, o, x, true, &size)) / size;
			near = error <= near ? near : error;
			error = fabs(got - sum_of(w, o, x, false, &size)) / size;
			far = error <= far ? far : error;
		}
		parity_untouched(p, out, ((size_t)i * stride + outputs) * 4, (size_t)(i + 1) * stride * 4);
	}
	parity_expect(p, near, ERROR, "%s %s %u x %u, rows %u", what, kernel_format_name(w->at.format), outputs,
		      w->at.columns, rows);
	/* x is rounded, and the product of codes and scales */
	parity_expect(p, far, w->rounded == w->exact ? 0x1p-8 : 0x1p-7, "%s %s %u x %u, rows %u, unrounded", what,
		      kernel_format_name(w->at.format), outputs, w->at.columns, rows);
}

/* Two jobs of the same rows; then the first of some of them alone, which must give the same bits. */
static void plain(struct parity *p, enum kernel_format f, uint32_t rows, uint32_t outputs, uint32_t columns)
{
	columns = f == KERNEL_MXFP4 ? (columns + 31) / 32 * 32 : columns;
	struct weights w[2] = { make_weights(p, f, outputs, columns), make_weights(p, f, 20, columns) };
	struct rows r = make_rows(p, rows, columns);
	struct parity_buffer out[2];
	struct device_job job[2] = { 0 };
	uint32_t few = rows / 3 + 1, stride = outputs + 3;
	for (int i = 0; i < 2; i++) {
		out[i] = parity_output(p, "out", (size_t)rows * (w[i].at.rows + 3) * sizeof(float));
		job[i] = (struct device_job){ .w = w[i].at,
					      .bias = w[i].bias.at,
					      .x = r.x.at,
					      .x_stride = r.stride,
					      .out = out[i].at,
					      .out_stride = w[i].at.rows + 3 };
	}
	run_jobs(p, (struct device_batch){ .rows = rows }, job, 2, 0,
		 (struct product_args){ .rows_most = rows });
	parity_true(p, !job[1].tiles_mine && job[1].tiles == job[0].tiles, "rows of two jobs are turned once");
	for (int i = 0; i < 2; i++) {
		parity_fetch(p, &out[i]);
		compare(p, &w[i], &r, NULL, rows, &out[i], "product");
	}
	struct parity_buffer some = parity_output(p, "out of some", (size_t)few * stride * sizeof(float));
	job[0].out = some.at;
	job[0].x += (size_t)(rows - few) * r.stride;
	run_jobs(p, (struct device_batch){ .rows = few }, job, 1, 0,
		 (struct product_args){ .rows_most = few });
	parity_fetch(p, &some);
	parity_equal(p, some.host, (float *)out[0].host + (size_t)(rows - few) * stride,
		     (size_t)few * stride * sizeof(float), "%s: the last %u of %u rows", kernel_format_name(f), few,
		     rows);
}

/* ---- experts, and a network beside them ---- */

struct layer {
	struct weights w[EXPERTS + 1], up[EXPERTS + 1];
	struct rows x;
	uint32_t begin[EXPERTS + 1], active[EXPERTS + 1], pick[4000], tokens, width;
	enum kernel_act act;
};

static const float parameters[4] = { 0.8f, 1.3f, 0.5f, -1e-6f };

static void choose(struct parity *p, struct layer *l)
{
	uint32_t slots = 0;
	for (uint32_t i = 0; i < EXPERTS; i++) {
		uint32_t count = i == 1 ? 0 : i == 2 ? l->tokens : parity_size(p, l->tokens, l->tokens);
		l->begin[i] = slots;
		if (count > 0)
			l->active[1 + l->active[0]++] = i;
		for (uint32_t n = 0; n < count; n++)
			l->pick[slots++] = parity_below(p, l->tokens);
	}
	l->begin[EXPERTS] = slots;
}

static void compare_acts(struct parity *p, const struct layer *l, uint32_t expert, uint32_t from, uint32_t to,
			 const float *out)
{
	size_t n = (size_t)(to - from) * l->width, put = 0;
	float *gate = parity_host(p, n * sizeof *gate + 1), *up = parity_host(p, n * sizeof *up + 1);
	double *want = parity_host(p, n * sizeof *want + 1), size;
	for (uint32_t i = from; i < to; i++) {
		const float *x = row_at(&l->x, expert < EXPERTS ? l->pick[i] : i);
		for (uint32_t o = 0; o < l->width; o++, put++) {
			gate[put] = (float)sum_of(&l->w[expert], o, x, true, &size);
			up[put] = (float)sum_of(&l->up[expert], o, x, true, &size);
		}
	}
	kernel_truth_act(l->act, gate, up, (uint32_t)n, parameters, want);
	parity_expect(p, parity_error(out + (size_t)from * l->width, want, n), 1e-4,
		      "experts %s and %s, act %d, expert %u, rows %u to %u",
		      kernel_format_name(l->w[expert].at.format), kernel_format_name(l->up[expert].at.format),
		      (int)l->act, expert, from, to);
}

static void layer(struct parity *p, enum kernel_format f, enum kernel_act act, uint32_t tokens)
{
	uint32_t columns = parity_pick(p, 96, 2048);
	static struct layer l;
	l = (struct layer){ .tokens = tokens, .width = parity_pick(p, 35, 1408), .act = act };
	struct device_job job[EXPERTS + 1] = { 0 };
	choose(p, &l);
	l.x = make_rows(p, tokens, columns);
	struct parity_buffer begin = parity_input(p, "begin", l.begin, sizeof l.begin);
	struct parity_buffer active = parity_input(p, "active", l.active, sizeof l.active);
	struct parity_buffer pick = parity_input(p, "pick", l.pick, sizeof l.pick);
	struct parity_buffer of_slots = parity_output(p, "out", (size_t)(l.begin[EXPERTS] + 1) * l.width * 4);
	struct parity_buffer of_rows = parity_output(p, "out", (size_t)tokens * l.width * 4);
	struct parity_buffer parameter = parity_input(p, "parameter", parameters, sizeof parameters);
	for (uint32_t i = 0; i <= EXPERTS; i++) {
		l.w[i] = make_weights(p, f, l.width, columns);
		l.up[i] = make_weights(p, i != 3 ? f : f == KERNEL_BF16 ? KERNEL_Q8 : KERNEL_BF16, l.width,
				       columns);
		job[i] = (struct device_job){ .w = l.w[i].at,
					      .up = l.up[i].at,
					      .bias = l.w[i].bias.at,
					      .bias_up = l.up[i].bias.at,
					      .x = l.x.x.at,
					      .x_stride = l.x.stride,
					      .pick = i < EXPERTS ? pick.at : NULL,
					      .range = i < EXPERTS ? (uint32_t *)begin.at + i : NULL,
					      .out = i < EXPERTS ? of_slots.at : of_rows.at,
					      .out_stride = l.width,
					      .act = (uint8_t)act,
					      .active = 1,
					      .parameter = parameter.at };
	}
	run_jobs(p, (struct device_batch){ .rows = tokens }, job, EXPERTS + 1, l.begin[EXPERTS],
		 (struct product_args){ .active = active.at, .always = EXPERTS, .rows_most = tokens });
	parity_fetch(p, &of_slots);
	parity_fetch(p, &of_rows);
	for (uint32_t i = 0; i < EXPERTS; i++) {
		if (l.begin[i] < l.begin[i + 1])
			compare_acts(p, &l, i, l.begin[i], l.begin[i + 1], of_slots.host);
	}
	compare_acts(p, &l, EXPERTS, 0, tokens, of_rows.host);
	parity_untouched(p, &of_slots, (size_t)l.begin[EXPERTS] * l.width * 4, of_slots.bytes);
}

/* Wanted rows, scaled and capped; a pass without rows. */
static void head(struct parity *p)
{
	uint32_t outputs = parity_pick(p, 150, 9000), columns = parity_pick(p, 70, 2048), wanted[70];
	struct weights w = make_weights(p, KERNEL_BF16, outputs, columns);
	struct rows r = make_rows(p, 90, columns);
	struct parity_buffer out = parity_output(p, "out", (size_t)70 * outputs * sizeof(float));
	double *want = parity_host(p, (size_t)70 * outputs * sizeof *want), size;
	for (uint32_t i = 0; i < 70; i++)
		wanted[i] = i + i / 4;
	struct parity_buffer list = parity_input(p, "want", wanted, sizeof wanted);
	struct device_job j = { .w = w.at,
				.bias = w.bias.at,
				.x = r.x.at,
				.x_stride = r.stride,
				.out = out.at,
				.out_stride = outputs,
				.scale = 0.5f,
				.cap = 2 };
	struct product_args a = { .rows = DEVICE_ROWS_WANTED, .rows_most = 90 };
	run_jobs(p, (struct device_batch){ .rows = 90, .want = list.at }, &j, 1, 0, a);
	parity_fetch(p, &out);
	parity_untouched(p, &out, 0, out.bytes);
	run_jobs(p, (struct device_batch){ .rows = 90, .wanted = 70, .want = list.at }, &j, 1, 0, a);
	parity_fetch(p, &out);
	for (uint32_t i = 0; i < 70 * outputs; i++)
		want[i] = 2 * tanh(sum_of(&w, i % outputs, row_at(&r, wanted[i / outputs]), true, &size) * 0.5 / 2);
	parity_expect(p, parity_error(out.host, want, (size_t)70 * outputs), 1e-4, "wanted rows, scaled, capped");
}

/* More jobs than a warp has lanes; all have the same matrix and rows. */
static void many_jobs(struct parity *p)
{
	enum { JOBS = 40, ROWS = 3, OUTPUTS = 20 };
	struct weights w = make_weights(p, KERNEL_BF16, OUTPUTS, 48);
	struct rows r = make_rows(p, ROWS, 48);
	size_t each = (size_t)ROWS * (OUTPUTS + 3);
	struct parity_buffer out = parity_output(p, "out", JOBS * each * sizeof(float));
	struct device_job job[JOBS];
	for (uint32_t i = 0; i < JOBS; i++)
		job[i] = (struct device_job){ .w = w.at,
					      .bias = w.bias.at,
					      .x = r.x.at,
					      .x_stride = r.stride,
					      .out = (float *)out.at + i * each,
					      .out_stride = OUTPUTS + 3 };
	run_jobs(p, (struct device_batch){ .rows = ROWS }, job, JOBS, 0,
		 (struct product_args){ .rows_most = ROWS });
	parity_fetch(p, &out);
	compare(p, &w, &r, NULL, ROWS, &out, "the first of many jobs");
	for (uint32_t i = 1; i < JOBS; i++)
		parity_equal(p, (float *)out.host + i * each, out.host, each * sizeof(float), "job %u", i);
}

void parity_product_fast(struct parity *p)
{
	if (device_info(p->device)->capability != 90) {
		void *at = parity_zeros(p, "nothing", 64).at;
		const struct product_args a = {
			.batch = at, .job = at, .rows_most = 100, .terms = 1, .fast = true
		};
		parity_true(p, device_product(p->stream, &a, &p->err) == ERR_UNSUPPORTED, "another device");
		return;
	}
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		enum kernel_format format = (enum kernel_format)f;
		plain(p, format, parity_pick(p, 70, 1000), parity_size(p, 40, 3000), parity_size(p, 300, 4000));
		plain(p, format, parity_pick(p, 150, 4096), parity_pick(p, 140, 2048), parity_pick(p, 130, 2048));
	}
	plain(p, KERNEL_BF16, parity_pick(p, 270, 700), parity_pick(p, 300, 5000), parity_pick(p, 48, 2000));
	plain(p, KERNEL_Q4, parity_pick(p, 5, 17), 16, parity_pick(p, 70, 600));
	for (int act = 0; act < KERNEL_ACTS; act++)
		layer(p, (enum kernel_format)(act % KERNEL_FORMATS), (enum kernel_act)act,
		      parity_pick(p, act % 2 ? 30 : 80, 800));
	layer(p, KERNEL_BF16, KERNEL_ACT_SILU, parity_pick(p, 150, 800));
	head(p);
	many_jobs(p);
}
