/* cuBLAS at run time (kernels/device_cublas.cu): found or not, opened once a stream, and what it refuses is
 * said in its own words. build/emulator/libcublas.so stands for it. */
#include "kernels/device.h"
#include "kernels/device_table.h"
#include "tests/kernels/emulated.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 5

static struct err e;
static char version[24];

static struct device *open_device(void)
{
	struct device *d;
	cr_assert_eq(device_open(&d, emulated("libhallmark_cuda.so"), &e), 0, "%s", e.text);
	return d;
}

Test(cuda, cublas_is_the_named_library_or_none)
{
	static const char *const none[] = { "", "/nowhere/libcublas.so.13", "libm.so.6" };
	struct device *d = open_device();
	struct device_stream *s;
	cr_assert_eq(device_stream_open(d, &s, &e), 0, "%s", e.text);
	unsetenv("HALLMARK_CUBLAS"); /* a machine's own is not for emulated memory */
	cr_expect_not(device_dense_version(d, version, sizeof version));
	for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
		setenv("HALLMARK_CUBLAS", none[i], 1);
		cr_expect_not(device_dense_version(d, version, sizeof version), "%s", none[i]);
		cr_expect_str_eq(version, "");
		cr_expect_eq(device_dense_open(s, &e), ERR_UNSUPPORTED);
	}
	setenv("HALLMARK_CUBLAS", emulated("libcublas.so"), 1);
	cr_expect(device_dense_version(d, version, sizeof version));
	cr_expect_str_eq(version, "99.1.2");
	setenv("EMULATOR_CUBLAS_VERSION", "13.0.2", 1);
	cr_expect(device_dense_version(d, version, sizeof version));
	cr_expect_str_eq(version, "13.0.2");
	setenv("EMULATOR_CUBLAS_VERSION", "unknown", 1);
	cr_expect_not(device_dense_version(d, version, sizeof version));
	device_stream_close(s);
	device_close(d);
}

/* A product of ones, whose sums are K. */
struct ones {
	struct device_buffer batch, weights, x, out, unpacked, rows, workspace;
	struct product_dense_args args;
};

static struct device_buffer filled(struct device_stream *s, struct device *d, size_t bytes, const void *piece,
				   size_t size)
{
	struct device_buffer b;
	char *all = malloc(bytes);
	for (size_t at = 0; at < bytes; at += size)
		memcpy(all + at, piece, size);
	cr_assert_eq(device_alloc(d, bytes, &b, &e), 0, "%s", e.text);
	cr_assert_eq(device_upload(s, &b, 0, all, bytes, &e), 0, "%s", e.text);
	free(all);
	return b;
}

static void make(struct device *d, struct device_stream *s, struct ones *o)
{
	const struct device_batch batch = { .rows = ROWS };
	const uint16_t one = 0x3f80;
	const float f = 1;
	const uint32_t nan = UINT32_MAX;
	o->batch = filled(s, d, sizeof batch, &batch, sizeof batch);
	o->weights = filled(s, d, fragment_panel_bytes(KERNEL_BF16, 64), &one, sizeof one);
	o->x = filled(s, d, (size_t)ROWS * 64 * 4, &f, sizeof f);
	o->out = filled(s, d, (size_t)ROWS * 16 * 4, &nan, sizeof nan);
	o->unpacked = filled(s, d, (size_t)16 * 64 * 2, &nan, sizeof nan);
	o->rows = filled(s, d, (size_t)ROWS * 64 * 2, &nan, sizeof nan);
	o->workspace = filled(s, d, 256, &nan, sizeof nan);
	o->args = (struct product_dense_args){
		.batch = o->batch.at,
		.job = { .w = { .at = o->weights.at, .panel_bytes = fragment_panel_bytes(KERNEL_BF16, 64),
				.rows = 16, .columns = 64, .format = KERNEL_BF16 },
			 .x = o->x.at, .x_stride = 64, .out = o->out.at, .out_stride = 16 },
		.rows_most = ROWS, .weights = o->unpacked.at, .rows = o->rows.at,
		.workspace = o->workspace.at, .workspace_bytes = 256,
	};
}

static void drop(struct ones *o)
{
	struct device_buffer *all[] = { &o->batch, &o->weights, &o->x, &o->out,
		                        &o->unpacked, &o->rows, &o->workspace };
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
		device_free(all[i]);
}

/* Recorded once and run often, in every way, beside another stream; one kernel of all does not have it. */
Test(cuda, cublas_products_are_recorded_and_run_again)
{
	struct device *d = open_device();
	struct device_stream *s, *other;
	struct ones o;
	setenv("HALLMARK_CUBLAS", emulated("libcublas.so"), 1);
	cr_assert_eq(device_stream_open(d, &s, &e), 0, "%s", e.text);
	cr_assert_eq(device_stream_open(d, &other, &e), 0, "%s", e.text);
	cr_assert_eq(device_dense_open(s, &e), 0, "%s", e.text);
	cr_assert_eq(device_dense_open(other, &e), 0, "%s", e.text);
	make(d, s, &o);
	const struct device_step step[2] = { { DEVICE_product_dense, &o.args }, { DEVICE_product_dense, &o.args } };
	for (int way = DEVICE_STEPS_LAUNCHES; way <= DEVICE_STEPS_KERNEL; way++) {
		struct device_steps *l;
		int rc = device_steps_open(s, step, 2, (enum device_steps_way)way, &l, &e);
		cr_assert_eq(rc, way == DEVICE_STEPS_KERNEL ? ERR_UNSUPPORTED : 0, "%d: %s", way, e.text);
		for (int i = 0; i < 2 && rc == 0; i++) {
			float out[ROWS * 16];
			cr_assert_eq(device_fill(s, &o.out, 0xff, &e), 0, "%s", e.text);
			cr_assert_eq(device_steps_run(l, &e), 0, "%s", e.text);
			cr_assert_eq(device_download(s, out, &o.out, 0, sizeof out, &e), 0, "%s", e.text);
			cr_assert_eq(device_wait(s, &e), 0, "%s", e.text);
			for (size_t n = 0; n < sizeof out / sizeof out[0]; n++)
				cr_assert_eq(out[n], 64, "way %d: %zu is %g", way, n, (double)out[n]);
		}
		if (rc == 0)
			device_steps_close(l);
	}
	drop(&o);
	device_stream_close(s);
	device_stream_close(other);
	device_close(d);
}

Test(cuda, cublas_errors_are_said_in_its_words)
{
	struct device *d = open_device();
	struct device_stream *s;
	struct device_steps *l;
	struct ones o;
	setenv("HALLMARK_CUBLAS", emulated("libcublas.so"), 1);
	setenv("EMULATOR_CUBLAS_FAILS", "0", 1);
	cr_assert_eq(device_stream_open(d, &s, &e), 0, "%s", e.text);
	cr_assert_eq(device_dense_open(s, &e), ERR_IO);
	cr_assert_not_null(strstr(e.text, "begin with cuBLAS: cuBLAS: the library was not initialized"), "%s",
	                   e.text);
	setenv("EMULATOR_CUBLAS_FAILS", "2", 1);
	cr_assert_eq(device_dense_open(s, &e), 0, "%s", e.text);
	make(d, s, &o);
	cr_assert_eq(device_product_dense(s, &o.args, &e), 0, "%s", e.text);
	cr_assert_eq(device_product_dense(s, &o.args, &e), ERR_IO);
	cr_assert_not_null(strstr(e.text, "product_dense: cuBLAS: the function failed to launch"), "%s", e.text);
	const struct device_step step = { DEVICE_product_dense, &o.args };
	cr_assert_eq(device_steps_open(s, &step, 1, DEVICE_STEPS_GRAPH, &l, &e), ERR_IO);
	cr_assert_not_null(strstr(e.text, "cuBLAS"), "%s", e.text);
	drop(&o);
	device_stream_close(s);
	device_close(d);
}

/* device_run would end the process. */
Test(cuda, a_dense_product_against_its_rules_is_invalid)
{
	struct device *d = open_device();
	struct device_stream *s;
	struct ones o;
	cr_assert_eq(device_stream_open(d, &s, &e), 0, "%s", e.text);
	make(d, s, &o);
	void *library = dlopen(emulated("libhallmark_cuda.so"), RTLD_NOW | RTLD_LOCAL);
	device_table_function *table = NULL;
	void *symbol = library ? dlsym(library, DEVICE_TABLE_SYMBOL) : NULL;
	cr_assert_not_null(symbol);
	memcpy(&table, &symbol, sizeof table);
	struct product_dense_args wrong[3] = { o.args, o.args, o.args };
	wrong[0].job.w.format = KERNEL_F32;
	wrong[1].job.pick = o.batch.at;
	wrong[2].workspace = NULL;
	void *stream;
	cr_assert_eq(table()->stream_open(&stream), 0);
	for (size_t i = 0; i < 3; i++) {
		int error = table()->operation[DEVICE_product_dense].run(stream, &wrong[i]);
		cr_expect_eq(error, table()->invalid, "%zu: %d", i, error);
	}
	cr_expect_eq(table()->stream_close(stream), 0);
	dlclose(library);
	drop(&o);
	device_stream_close(s);
	device_close(d);
}
