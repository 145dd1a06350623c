/* Products timed in every form, and the best of them written down: experts, a list of many matrices, more
 * than any cache holds, each with the same few rows, as a step of so many tokens an expert has; and one
 * matrix that is large. What is printed is how near the kernel comes to the rate of copies while weights
 * stream, by format and by rows. */
#include "tests/gpu/times.h"

#include <stdio.h>
#include <stdlib.h>

#define JOBS 64
#define FORMS 16 /* more than there are */

static const struct shape {
	const char *name;
	enum device_class shapes;
	uint32_t jobs, outputs, columns;
	bool up;
} experts = { "experts", DEVICE_EXPERTS, JOBS, 1408, 2048, true }, /* of DeepSeek-V2-Lite */
	dense = { "matrix", DEVICE_DENSE, 1, TIMES_OUTPUTS, TIMES_COLUMNS, false };

const uint32_t times_rows[TIMES_ROWS] = { 512, 1024, 2048, 4096 };
static struct err why;

static void must(int rc) { times_must(rc, &why); }

struct experts {
	struct device_buffer weights, scale, x, out, job, batch, range, tiles;
	struct product_args args;
};

static struct device_buffer filled(struct times *t, size_t bytes, uint8_t byte)
{
	struct device_buffer b;
	must(device_alloc(t->device, bytes, &b, &why));
	must(device_fill(t->stream, &b, byte, &why));
	return b;
}

static struct device_buffer sent(struct times *t, const void *from, size_t bytes)
{
	struct device_buffer b;
	must(device_alloc(t->device, bytes, &b, &why));
	must(device_upload(t->stream, &b, 0, from, bytes, &why));
	must(device_wait(t->stream, &why));
	return b;
}

/* 0x3c bytes are small positive numbers in every format, scales too. */
static void make(struct times *t, const struct shape *s, enum kernel_format f, uint32_t rows,
		 struct experts *x)
{
	const uint32_t jobs = t->small && s->jobs > 2 ? 2 : s->jobs, outputs = t->small ? 64 : s->outputs;
	const uint32_t columns = t->small ? 256 : s->columns;
	const size_t panel = fragment_panel_bytes(f, columns), matrix = (outputs + 15) / 16 * panel;
	const uint32_t range[2] = { 0, rows };
	const struct device_batch batch = { .rows = rows };
	struct device_job job[JOBS] = { 0 };
	x->weights = filled(t, (s->up ? 2 : 1) * jobs * matrix, 0x3c);
	x->scale = filled(t, (size_t)outputs * columns, 0x3c);
	x->x = filled(t, (size_t)rows * columns * 4, 0x3c);
	x->out = filled(t, (size_t)jobs * rows * outputs * 4, 0);
	x->range = sent(t, range, sizeof range);
	x->batch = sent(t, &batch, sizeof batch);
	for (uint32_t i = 0; i < jobs; i++) {
		struct device_matrix w = { (char *)x->weights.at + (s->up ? 2 : 1) * i * matrix,
					   f == KERNEL_FP8 ? x->scale.at : NULL,
					   panel,
					   outputs,
					   columns,
					   f };
		job[i] = (struct device_job){ .w = w,
					      .up = w,
					      .x = x->x.at,
					      .x_stride = columns,
					      .range = x->range.at,
					      .out = (float *)x->out.at + (size_t)i * rows * outputs,
					      .out_stride = outputs,
					      .act = KERNEL_ACT_SILU };
		job[i].up.at = s->up ? (char *)x->weights.at + (2 * i + 1) * matrix : NULL;
	}
	x->tiles = filled(t, device_tiles_place(job, jobs, rows, rows, NULL), 0);
	(void)device_tiles_place(job, jobs, rows, rows, x->tiles.at);
	x->job = sent(t, job, sizeof job);
	x->args = (struct product_args){ .batch = x->batch.at,
					 .job = x->job.at,
					 .jobs = jobs,
					 .rows_most = rows,
					 .panels = jobs * ((outputs + 15) / 16),
					 .terms = 2 };
}

static void drop(struct experts *x)
{
	device_free(&x->weights), device_free(&x->scale), device_free(&x->x), device_free(&x->out);
	device_free(&x->job), device_free(&x->batch), device_free(&x->range), device_free(&x->tiles);
}

static void one_product(struct times *t, void *with) { must(device_product(t->stream, with, &why)); }

static double one_form(struct times *t, struct experts *x, const struct shape *s, enum kernel_format f,
		       uint32_t rows, const char *form)
{
	char shape[120];
	double us = times_us(t, one_product, &x->args);
	snprintf(shape, sizeof shape, "%u %s, %s, rows %u, terms %u, %s", x->args.jobs, s->name,
		 kernel_format_name(f), rows, x->args.terms, form);
	times_line(t, "product", shape, us,
		   (double)x->weights.bytes + (double)x->x.bytes + (double)x->out.bytes);
	return us;
}

/* Forms for few rows are not tried on many: they would take all the time. */
static void all_forms(struct times *t, const struct shape *s, enum kernel_format f, uint32_t rows)
{
	struct experts x;
	double us[FORMS] = { 0 };
	make(t, s, f, rows, &x);
	for (uint32_t i = 0; i < device_forms(DEVICE_product) && i < FORMS; i++) {
		x.args.form = device_product_form(i);
		if (x.args.form.kind != PRODUCT_FORM_CUBLAS &&
		    (x.args.form.kind != PRODUCT_FORM_NARROW || rows <= 64))
			us[i] = one_form(t, &x, s, f, rows, device_form_name(DEVICE_product, i));
	}
	times_choose(t, (struct device_choice_line){ DEVICE_product, (uint8_t)f, (uint8_t)s->shapes, 0, rows },
		     us);
	x.args.form = device_product_form(0);
	x.args.terms = 1;
	one_form(t, &x, s, f, rows, "auto");
	drop(&x);
}

static void one_dense(struct times *t, void *with) { must(device_product_dense(t->stream, with, &why)); }

/* The same matrix by cuBLAS, with what it takes to unpack it and to round the rows. */
static double cublas_form(struct times *t, struct experts *x, enum kernel_format f, uint32_t rows)
{
	const uint32_t outputs = t->small ? 64 : dense.outputs, columns = t->small ? 256 : dense.columns;
	struct device_buffer weights = filled(t, (size_t)outputs * columns * 2, 0);
	struct device_buffer room = filled(t, (size_t)rows * columns * 2, 0), work = filled(t, 32u << 20, 0);
	struct product_dense_args a = { .batch = x->batch.at,
					.rows_most = rows,
					.weights = weights.at,
					.rows = room.at,
					.workspace = work.at,
					.workspace_bytes = work.bytes };
	char shape[120];
	must(device_download(t->stream, &a.job, &x->job, 0, sizeof a.job, &why));
	must(device_wait(t->stream, &why));
	a.job.range = NULL;
	double us = times_us(t, one_dense, &a);
	snprintf(shape, sizeof shape, "1 matrix, %s, rows %u, terms 1, cublas", kernel_format_name(f), rows);
	times_line(t, "product", shape, us,
		   (double)x->weights.bytes + (double)x->x.bytes + (double)x->out.bytes);
	device_free(&weights), device_free(&room), device_free(&work);
	return us;
}

/* The fast regime's own form, and cuBLAS where it is there; which of them computes so many rows. */
static void fast_forms(struct times *t, enum kernel_format f, uint32_t rows, bool cublas)
{
	struct experts x;
	double us[FORMS] = { 0 };
	make(t, &dense, f, rows, &x);
	x.args.terms = 1;
	x.args.fast = true;
	us[0] = one_form(t, &x, &dense, f, rows, "fast");
	for (uint32_t i = 1; i < device_forms(DEVICE_product) && i < FORMS && cublas; i++) {
		if (device_product_form(i).kind == PRODUCT_FORM_CUBLAS)
			us[i] = cublas_form(t, &x, f, rows);
	}
	times_choose(t, (struct device_choice_line){ DEVICE_product, (uint8_t)f, DEVICE_FAST, 0, rows }, us);
	drop(&x);
}

void times_product(struct times *t)
{
	static const enum kernel_format formats[] = { KERNEL_BF16, KERNEL_FP8, KERNEL_Q8, KERNEL_Q4,
						      KERNEL_MXFP4 };
	static const uint32_t few[] = { 1, 4, 8, 16, 32, 64, 256 }, many[] = { 1, 8, 32, 64, 512, 4096 };
	const bool cublas = device_dense_open(t->stream, &why) == 0;
	for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
		for (size_t c = 0; c < (t->small ? 1 : sizeof few / sizeof *few); c++)
			all_forms(t, &experts, formats[f], few[c]);
		for (size_t c = 0; c < (f > 1 || t->small ? 0 : sizeof many / sizeof *many); c++)
			all_forms(t, &dense, formats[f], many[c]);
		for (size_t c = 0; c < TIMES_ROWS && device_info(t->device)->capability == 90; c++) {
			if (!t->small || c == 0)
				fast_forms(t, formats[f], t->small ? 70 : times_rows[c], cublas);
		}
	}
}
