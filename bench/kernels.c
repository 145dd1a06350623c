/* What the products reach of the machine's limits, one thread, limits measured in the same run:
 *   gemv      1 row, weights far larger than the caches: fraction of the read rate
 *   batch 8   8 rows, the same weights: fraction of the read rate, and of the nearer limit, which is
 *             that or the multiply peak
 *   cold 32   32 rows, the same weights: fraction of the multiply peak (an expert's share of a prompt)
 *   warm 512  512 rows over 2048 x 2048: fraction of the multiply peak
 * Each is the best of a few; arguments: a set and a format to look at alone. */
#include "kernels/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define K 2048
#define MOST 512
#define REPEAT 3

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static struct kernel_matrix matrix(enum kernel_format f, uint32_t rows)
{
	struct kernel_matrix w;
	if (kernel_matrix_alloc(&w, f, rows, K, NULL) != 0)
		exit(1);
	memset(w.panel, 0x3c, kernel_panels(&w) * w.panel_bytes);
	return w;
}

struct input {
	struct kernel_rows x;
	float *out;
};

static double product(const struct kernels *k, const struct kernel_matrix *w, struct input *in, uint32_t rows)
{
	double best = 1e9;
	in->x.count = rows;
	for (int i = 0; i < REPEAT; i++) {
		double begin = seconds();
		k->matmul[w->format](w, 0, kernel_panels(w), &in->x, in->out, w->rows);
		double t = seconds() - begin;
		best = t < best ? t : best;
	}
	return best;
}

static double read_rate(const struct kernel_matrix *w)
{
	static volatile uint64_t sink;
	double best = 0, bytes = (double)kernel_panels(w) * (double)w->panel_bytes;
	for (unsigned i = 0; i < 2 * REPEAT; i++) {
		double begin = seconds();
		sink ^= kernels_read(w->panel, kernel_panels(w) * w->panel_bytes,
		                     i % 2 != 0);
		double rate = bytes / (seconds() - begin);
		best = rate > best ? rate : best;
	}
	return best;
}

static void row(const struct kernels *k, enum kernel_format f, struct input *in)
{
	uint32_t rows = (uint32_t)(((uint64_t)256 << 20) / kernel_format_bytes(f, 16, K)) * 16;
	if (strstr(k->name, "plain") != NULL)
		return;
	struct kernel_matrix w = matrix(f, rows), small = matrix(f, 2048);
	double bytes = (double)kernel_panels(&w) * (double)w.panel_bytes, read = read_rate(&w);
	double peak = kernels_peak(k, f, 0.02), ops = 2.0 * rows * K;
	double one = product(k, &w, in, 1), eight = product(k, &w, in, 8), cold = product(k, &w, in, 32);
	double warm = product(k, &small, in, 512), again = kernels_peak(k, f, 0.02);
	peak = again > peak ? again : peak;
	double nearer = bytes / read > ops * 8 / peak ? bytes / read : ops * 8 / peak;
	printf("%-12s %-6s %6.2f %7.1f   %5.2f %8.2f %7.2f %9.2f %9.2f\n", k->name, kernel_format_name(f),
	       read / 1e9, peak / 1e9, bytes / one / read, bytes / eight / read, nearer / eight,
	       ops * 32 / cold / peak, 2.0 * 2048 * K * 512 / warm / peak);
	fflush(stdout);
	kernel_matrix_free(&w);
	kernel_matrix_free(&small);
}

/* All formats of a set; of a fast one those alone that it multiplies in its own way. */
static void rows_of(const struct kernels *k, int argc, char **argv, struct input *in)
{
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		bool own = f == KERNEL_MXFP4 || (f == KERNEL_BF16 && strcmp(k->name, "bf16") == 0);
		if ((argc < 2 || strcmp(argv[1], k->name) == 0) &&
		    (argc < 3 ? k->canonical || own
		              : strcmp(argv[2], kernel_format_name((enum kernel_format)f)) == 0))
			row(k, (enum kernel_format)f, in);
	}
}

int main(int argc, char **argv)
{
	size_t n = (size_t)MOST * K;
	float *value = malloc(4 * n);
	struct kernel_quant q = { malloc(n), malloc(n / 8), malloc(n / 8) };
	struct input in = { { value, K, MOST, NULL, &q, NULL }, malloc((size_t)4 * MOST << 20) };
	for (size_t i = 0; i < n; i++)
		value[i] = (float)((int)(i * 2654435761u >> 20 & 1023) - 512) / 512;
	for (uint32_t i = 0; i < MOST; i++)
		kernels_at(0)->quant_row(value + (size_t)i * K, K, &q, i);
	printf("set          format  GB/s   Gop/s    gemv  batch 8  nearer   cold 32  warm 512\n");
	for (size_t s = 0; kernels_at(s) != NULL; s++)
		rows_of(kernels_at(s), argc, argv, &in);
	for (size_t s = 0; kernels_fast_at(s) != NULL; s++)
		rows_of(kernels_fast_at(s), argc, argv, &in);
	free(value), free(q.code), free(q.scale), free(q.start), free(in.out);
	return 0;
}
