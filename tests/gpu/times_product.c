/* Products of experts timed: a list of many matrices, more than any cache holds, each with the same few rows,
 * as a decode step of so many tokens an expert has. What is printed is how near the kernel comes to the rate
 * of copies while weights stream, by format and by rows. */
#include "tests/gpu/times.h"

#include <stdio.h>
#include <stdlib.h>

#define JOBS 64
#define OUTPUTS 1408 /* of DeepSeek-V2-Lite's experts */
#define COLUMNS 2048

static struct err why;

static void must(int rc) { times_must(rc, &why); }

struct experts {
	struct device_buffer weights, scale, x, out, job, batch, range;
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
static void make(struct times *t, enum kernel_format f, uint32_t rows, uint32_t terms, struct experts *x)
{
	const uint32_t jobs = t->small ? 2 : JOBS, outputs = t->small ? 64 : OUTPUTS;
	const uint32_t columns = t->small ? 256 : COLUMNS;
	const size_t panel = fragment_panel_bytes(f, columns), matrix = (outputs + 15) / 16 * panel;
	const uint32_t range[2] = { 0, rows };
	const struct device_batch batch = { .rows = rows };
	struct device_job job[JOBS] = { 0 };
	x->weights = filled(t, 2 * jobs * matrix, 0x3c);
	x->scale = filled(t, (size_t)outputs * columns, 0x3c);
	x->x = filled(t, (size_t)rows * columns * 4, 0x3c);
	x->out = filled(t, (size_t)jobs * rows * outputs * 4, 0);
	x->range = sent(t, range, sizeof range);
	x->batch = sent(t, &batch, sizeof batch);
	for (uint32_t i = 0; i < jobs; i++) {
		struct device_matrix w = { (char *)x->weights.at + 2 * i * matrix,
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
		job[i].up.at = (char *)x->weights.at + (2 * i + 1) * matrix;
	}
	x->job = sent(t, job, sizeof job);
	x->args = (struct product_args){ .batch = x->batch.at,
					 .job = x->job.at,
					 .jobs = jobs,
					 .rows_most = rows,
					 .panels = jobs * ((outputs + 15) / 16),
					 .terms = terms };
}

static void drop(struct experts *x)
{
	device_free(&x->weights), device_free(&x->scale), device_free(&x->x), device_free(&x->out);
	device_free(&x->job), device_free(&x->batch), device_free(&x->range);
}

static void one_product(struct times *t, void *with) { must(device_product(t->stream, with, &why)); }

void times_product(struct times *t)
{
	static const enum kernel_format formats[] = { KERNEL_BF16, KERNEL_FP8, KERNEL_Q8, KERNEL_Q4,
						      KERNEL_MXFP4 };
	static const uint32_t counts[] = { 1, 4, 8, 16, 32, 64, 256 };
	struct experts x;
	char shape[100];
	for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
		for (size_t c = 0; c < (t->small ? 1 : sizeof counts / sizeof *counts); c++) {
			for (uint32_t terms = 2; terms >= 1; terms--) {
				make(t, formats[f], counts[c], terms, &x);
				snprintf(shape, sizeof shape, "%u experts, %s, rows %u, terms %u", x.args.jobs,
					 kernel_format_name(formats[f]), counts[c], terms);
				times_line(t, "product", shape, times_us(t, one_product, &x.args),
					   (double)x.weights.bytes + (double)x.x.bytes + (double)x.out.bytes);
				drop(&x);
			}
		}
	}
}
