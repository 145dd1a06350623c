/* product_dense (kernels/product_dense.cu): cuBLAS's sums of rows and weights rounded to bf16, against sums
 * of those in double; a row's bits do not depend on how many of the rows there are. Without cuBLAS it is
 * refused. */
#include "kernels/truth.h"
#include "tests/gpu/parity_bf16.h"

#define GAP 3 /* of out's rows, which stays as it is */

/* One job, with the memory that it takes. */
struct dense {
	struct weights w, up; /* up.at.at NULL: none */
	struct rows x;
	uint32_t rows, most;
	struct parity_buffer out;
	struct product_dense_args args;
};

static const float parameters[4] = { 0.8f, 1.3f, 0.5f, -1e-6f };

static void make_job(struct parity *p, struct dense *d, struct parity_buffer out)
{
	const uint32_t columns = DEVICE_DENSE_COLUMNS(d->w.at.columns), outputs = d->w.at.rows;
	d->out = out;
	d->args = (struct product_dense_args){
		.job = { .w = d->w.at,
			 .up = d->up.at,
			 .x = d->x.x.at,
			 .x_stride = d->x.stride,
			 .out = out.at,
			 .out_stride = outputs + GAP },
		.rows_most = d->most,
		.weights = parity_output(p, "weights", (size_t)outputs * columns * 2).at,
		.rows = parity_output(p, "rows", (size_t)d->most * columns * 2).at,
		.up = parity_output(p, "up", (size_t)d->most * outputs * 4).at,
		.workspace_bytes = p->large ? 32u << 20 : 256,
	};
	d->args.workspace = parity_output(p, "workspace", d->args.workspace_bytes).at;
}

static struct parity_buffer make_out(struct parity *p, const struct dense *d)
{
	return parity_output(p, "out", (size_t)d->most * (d->w.at.rows + GAP) * sizeof(float));
}

static void run_rows(struct parity *p, struct dense *d, uint32_t rows)
{
	const struct device_batch batch = { .rows = rows };
	d->args.batch = parity_input(p, "batch", &batch, sizeof batch).at;
	PARITY_RUN(p, product_dense, &d->args);
	parity_fetch(p, &d->out);
}

static const float *out_row(const struct dense *d, uint32_t i)
{
	return (const float *)d->out.host + (size_t)i * (d->w.at.rows + GAP);
}

/* Sums alone: near to those of rounded numbers, and not far from the exact ones. */
static void compare(struct parity *p, const struct dense *d, const char *what)
{
	double worst = 0;
	for (uint32_t i = 0; i < d->most; i++) {
		for (uint32_t o = 0; o < d->w.at.rows && i < d->rows; o++) {
			double size, sum = sum_of(&d->w, o, row_at(&d->x, i), true, &size);
			double error = fabs((double)out_row(d, i)[o] - sum) / size;
			worst = error <= worst ? worst : error;
		}
		size_t end = (size_t)(i + 1) * (d->w.at.rows + GAP) * 4;
		parity_untouched(p, &d->out, end - GAP * 4, end);
	}
	parity_expect(p, worst, ERROR, "%s %s %u x %u, rows %u of %u", what, kernel_format_name(d->w.at.format),
		      d->w.at.rows, d->w.at.columns, d->rows, d->most);
}

/* Two jobs of the same rows, which are turned once; then the first with fewer of them. */
static void plain(struct parity *p, enum kernel_format f, uint32_t rows, uint32_t outputs, uint32_t columns)
{
	struct dense d = { .rows = rows, .most = rows + parity_below(p, 20) };
	columns = f == KERNEL_MXFP4 ? (columns + 31) / 32 * 32 : columns;
	d.w = make_weights(p, f, outputs, columns);
	d.x = make_rows(p, rows, columns);
	make_job(p, &d, make_out(p, &d));
	d.args.job.bias = d.w.bias.at;
	struct dense other = d;
	run_rows(p, &d, rows);
	compare(p, &d, "product");
	other.w = make_weights(p, f, 20, columns);
	make_job(p, &other, make_out(p, &other));
	other.args.rows = d.args.rows;
	other.args.rows_ready = true;
	other.args.job.bias = other.w.bias.at;
	run_rows(p, &other, rows);
	compare(p, &other, "rows that are ready:");
	struct dense few = d;
	few.out = make_out(p, &d);
	few.args.job.out = few.out.at;
	run_rows(p, &few, rows / 2);
	for (uint32_t i = 0; i < rows / 2; i++)
		parity_equal(p, out_row(&few, i), out_row(&d, i), outputs * sizeof(float), "row %u of %u, %s", i,
			     rows / 2, kernel_format_name(f));
}

/* What becomes of the sums: act of gate and up, or of one matrix, scaled and capped. */
static void network(struct parity *p, enum kernel_act act, enum kernel_format f, enum kernel_format g,
		    bool gated)
{
	const uint32_t rows = parity_pick(p, 9, 300), outputs = parity_pick(p, 35, 900);
	const uint32_t columns = parity_pick(p, 96, 2048);
	struct dense d = { .rows = rows, .most = rows + 4 };
	double *want = parity_host(p, (size_t)rows * outputs * sizeof *want), size;
	float *a = parity_host(p, outputs * sizeof *a), *b = parity_host(p, outputs * sizeof *b);
	float *got = parity_host(p, (size_t)rows * outputs * sizeof *got);
	struct parity_buffer parameter = parity_input(p, "parameter", parameters, sizeof parameters);
	d.w = make_weights(p, f, outputs, columns);
	d.up = gated ? make_weights(p, g, outputs, columns) : (struct weights){ 0 };
	d.x = make_rows(p, rows, columns);
	make_job(p, &d, make_out(p, &d));
	struct device_job *j = &d.args.job;
	j->bias = d.w.bias.at, j->bias_up = d.up.bias.at;
	j->act = (uint8_t)act, j->active = true, j->parameter = parameter.at;
	j->scale = 0.5f, j->cap = 2;
	run_rows(p, &d, rows);
	for (uint32_t i = 0; i < rows; i++) {
		double *row = want + (size_t)i * outputs;
		for (uint32_t o = 0; o < outputs; o++) {
			a[o] = (float)sum_of(&d.w, o, row_at(&d.x, i), true, &size);
			b[o] = gated ? (float)sum_of(&d.up, o, row_at(&d.x, i), true, &size) : 0;
			got[(size_t)i * outputs + o] = out_row(&d, i)[o];
		}
		kernel_truth_act(act, a, gated ? b : NULL, outputs, parameters, row);
		for (uint32_t o = 0; o < outputs; o++)
			row[o] = 2 * tanh(row[o] * 0.5 / 2);
	}
	parity_expect(p, parity_error(got, want, (size_t)rows * outputs), 1e-4, "%s %s, act %d",
		      kernel_format_name(f), gated ? kernel_format_name(g) : "alone", (int)act);
}

static bool has_cublas(struct parity *p)
{
	char version[24];
	struct dense d = { .rows = 4, .most = 4, .w = make_weights(p, KERNEL_BF16, 16, 64) };
	d.x = make_rows(p, 4, 64);
	make_job(p, &d, make_out(p, &d));
	d.args.batch = parity_zeros(p, "batch", sizeof(struct device_batch)).at;
	parity_true(p, device_product_dense(p->stream, &d.args, &p->err) == ERR_UNSUPPORTED, "unopened");
	bool there = device_dense_version(p->device, version, sizeof version);
	int rc = device_dense_open(p->stream, &p->err);
	parity_true(p, rc == (there ? 0 : ERR_UNSUPPORTED), "cuBLAS %s: %d, %s", version, rc, p->err.text);
	return rc == 0;
}

void parity_product_dense(struct parity *p)
{
	static const enum kernel_format formats[] = { KERNEL_BF16, KERNEL_FP8, KERNEL_Q8, KERNEL_Q4, KERNEL_MXFP4 };
	const uint32_t count = sizeof formats / sizeof formats[0];
	if (!has_cublas(p))
		return;
	for (uint32_t i = 0; i < count; i++) {
		plain(p, formats[i], parity_pick(p, 12, 1000), parity_size(p, 40, 3000), parity_size(p, 300, 4000));
		plain(p, formats[i], parity_pick(p, 30, 2048), parity_pick(p, 70, 2048), parity_pick(p, 320, 4096));
	}
	for (uint32_t act = 0; act < KERNEL_ACTS; act++)
		network(p, (enum kernel_act)act, formats[act % count], formats[(act + act / 3) % count], act != 4);
}
