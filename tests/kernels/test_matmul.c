#include "kernels/number.h"
#include "kernels/truth.h"
#include "tests/kernels/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct { uint32_t rows, columns; } shapes[] = {
	{ 1, 1 }, { 16, 16 }, { 17, 33 }, { 40, 129 }, { 300, 257 }, { 64, 512 }, { 130, 128 }, { 33, 576 },
	{ 48, 1300 },
};
static const uint32_t counts[] = { 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 40 };
#define MOST 40

/* All rows, one panel range after the other; what lies outside must stay NaN. */
static void product(const struct kernels *k, const struct kernel_matrix *w, const struct kernel_rows *x,
                    uint32_t step,
                    float *out, size_t stride)
{
	for (size_t i = 0; i < x->count * stride; i++)
		out[i] = NAN;
	for (uint32_t p = 0; p < kernel_panels(w); p += step) {
		uint32_t n = kernel_panels(w) - p < step ? kernel_panels(w) - p : step;
		k->matmul[w->format](w, p, n, x, out, stride);
	}
	for (size_t i = 0; i < x->count * stride; i++)
		cr_assert_eq(isnan(out[i]) != 0, i % stride >= w->rows, "%s: element %zu of stride %zu",
		             k->name, i, stride);
}

/* Columns as the format can have them. */
static uint32_t columns_of(enum kernel_format f, uint32_t columns)
{
	return f == KERNEL_MXFP4 ? (columns + 31) / 32 * 32 : columns;
}

static void close_to_truth(const struct kernel_matrix *w, const struct kernel_rows *x, const float *got,
                           size_t stride)
{
	double *truth = malloc(8 * (size_t)x->count * w->rows), error = 0, power = 0;
	kernel_truth_matmul(w, x, truth);
	for (size_t i = 0; i < x->count * (size_t)w->rows; i++) {
		double d = (double)got[i / w->rows * stride + i % w->rows] - truth[i];
		error += d * d;
		power += truth[i] * truth[i];
	}
	cr_assert_leq(error, 1e-12 * power, "%s %ux%u: %g of %g", kernel_format_name(w->format), w->rows,
	              w->columns, error, power);
	free(truth);
}

Test(matmul, sets_agree_bitwise_for_any_batch_and_partition)
{
	static float x[MOST * 1312], want[MOST * 320], got[MOST * 320];
	fill(x, sizeof x / sizeof x[0]);
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
			enum kernel_format format = (enum kernel_format)f;
			struct kernel_matrix w = random_matrix(format, shapes[s].rows,
			                                       columns_of(format, shapes[s].columns));
			struct kernel_quant q = quant_of(kernels_at(0), x, 1312, MOST, w.columns);
			struct kernel_rows all = { x, 1312, MOST, NULL, &q, NULL };
			size_t stride = w.rows + 3;
			product(kernels_at(0), &w, &all, 100, want, stride);
			close_to_truth(&w, &all, want, stride);
			for (size_t k = 0; kernels_at(k) != NULL; k++) {
				for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
					struct kernel_rows some = { x, 1312, counts[c], NULL, &q, c % 2 ? w.panel : NULL };
					product(kernels_at(k), &w, &some, 1 + (uint32_t)c % 5, got, stride);
					for (size_t i = 0; i < counts[c]; i++)
						cr_assert_eq(memcmp(got + i * stride, want + i * stride,
						                    4 * (size_t)w.rows), 0,
						             "%s format %d shape %zu batch %u row %zu",
						             kernels_at(k)->name, f, s,
						             counts[c], i);
				}
			}
			quant_free(&q);
			kernel_matrix_free(&w);
		}
	}
}

Test(matmul, picks_rows)
{
	static float x[8 * 64], want[8 * 48], got[8 * 48];
	const uint32_t pick[5] = { 7, 0, 3, 3, 1 };
	fill(x, 8 * 64);
	struct kernel_quant q = quant_of(kernels_at(0), x, 64, 8, 64);
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		struct kernel_matrix w = random_matrix((enum kernel_format)f, 48, 64);
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			kernels_at(k)->matmul[f](&w, 0, 3, &(struct kernel_rows){ x, 64, 8, NULL, &q, NULL }, want, 48);
			kernels_at(k)->matmul[f](&w, 0, 3, &(struct kernel_rows){ x, 64, 5, pick, &q, NULL }, got, 48);
			for (size_t i = 0; i < 5; i++)
				cr_assert_eq(memcmp(got + i * 48, want + pick[i] * 48, 48 * 4), 0);
		}
		kernel_matrix_free(&w);
	}
	quant_free(&q);
}

Test(matmul, fp8_decodes_all_codes)
{
	unsigned char code;
	float one = 1, out[16];
	for (int c = 0; c < 256; c++) {
		struct kernel_matrix w;
		struct err e = { 0 };
		struct kernel_stored_rows from = { .stored = KERNEL_FROM_E4M3, .value = &code, .stride_bytes = 1 };
		code = (unsigned char)c;
		cr_assert_eq(kernel_matrix_alloc(&w, KERNEL_FP8, 1, 1, &e), 0);
		w.scale[0] = 2;
		int exponent = (c >> 3 & 15), mantissa = c & 7;
		double want = exponent ? ldexp(8 + mantissa, exponent - 10) : ldexp(mantissa, -9);
		want *= c & 0x80 ? -2 : 2;
		for (size_t k = 0; kernels_at(k) != NULL; k++) {
			if ((c & 0x7f) == 0x7f) {
				cr_assert_eq(kernels_at(k)->pack(&w, 0, 1, &from), 0);
				continue;
			}
			cr_assert_eq(kernels_at(k)->pack(&w, 0, 1, &from), 1);
			kernels_at(k)->matmul[KERNEL_FP8](&w, 0, 1,
			                                  &(struct kernel_rows){ &one, 1, 1, NULL, NULL, NULL }, out, 1);
			cr_assert_eq((double)out[0], want, "%s: code %d", kernels_at(k)->name, c);
		}
		kernel_matrix_free(&w);
	}
}

static bool same(float a, float b) { return number_bits(a) == number_bits(b) || (isnan(a) && isnan(b)); }

/* Inputs from the smallest to the largest, where sums vanish or overflow, with scales to match: nothing in
 * between may round or saturate. K has whole blocks, a part of one and a part of a line. */
static void sizes_agree(struct kernel_matrix *w, const float *size, size_t sizes)
{
	enum { MOST_K = 1024 + 128 + 67, COUNT = 5 };
	static float x[COUNT * MOST_K], want[COUNT * 48], got[COUNT * 48];
	struct kernel_rows rows = { x, MOST_K, COUNT, NULL, NULL, NULL };
	for (size_t s = 0; s < sizes; s++) {
		for (size_t i = 0; i < sizeof x / sizeof *x; i++)
			x[i] = i % 11 == 3 ? -0.0f : i % 5 == 0 ? noise() : noise() * size[s];
		kernels_at(0)->matmul[w->format](w, 0, kernel_panels(w), &rows, want, 48);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			for (rows.count = 1; rows.count <= COUNT; rows.count++) {
				kernels_at(k)->matmul[w->format](w, 0, kernel_panels(w), &rows, got, 48);
				for (size_t i = 0; i < rows.count * 48ul; i++)
					cr_assert(i % 48 >= w->rows || same(got[i], want[i]),
					          "%s %s inputs of %g, batch %u, value %zu: %a is not %a", kernels_at(k)->name,
					          kernel_format_name(w->format), (double)size[s], rows.count, i,
					          (double)got[i], (double)want[i]);
			}
			rows.count = COUNT;
		}
	}
}

Test(matmul, inputs_and_scales_of_any_size_agree)
{
	static const float sizes[] = { 0, 0x1p-149f, 0x1p-140f, 0x1p-126f, 0x1p-115f, 0x1p-100f, 1, 65535.99f,
		65536, 0x1p17f, 0x1p80f, 0x1p112f, 0x1p127f, INFINITY, NAN };
	static const float scales[] = { 0, 0x1p-149f, 0x1p-130f, 0x1p-60f, 1, 0x1p60f, 0x1p119f, 0x1p127f };
	struct kernel_matrix w = random_matrix(KERNEL_FP8, 40, 1024 + 128 + 67);
	for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
		for (size_t i = 0; i < 10; i++)
			w.scale[i] = i % 3 == 1 ? 0.25f : scales[s];
		sizes_agree(&w, sizes, sizeof sizes / sizeof *sizes);
	}
	kernel_matrix_free(&w);
}

/* Every number of rows, and one matrix of many panels, so that blocks, tiles and what is asked for ahead
 * all meet their borders; the guard row behind the last stays as it was. */
Test(matmul, every_batch_of_a_tall_matrix_agrees)
{
	enum { ROWS = 16 * 70 + 5, MANY = 30, WIDE = 200 };
	static float x[MANY * WIDE], want[MANY * ROWS], got[(MANY + 1) * ROWS];
	static const enum kernel_format formats[] = { KERNEL_BF16, KERNEL_Q8, KERNEL_Q4, KERNEL_FP8 };
	fill(x, sizeof x / sizeof *x);
	for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
		struct kernel_matrix w = random_matrix(formats[f], ROWS, WIDE);
		struct kernel_quant q = quant_of(kernels_at(0), x, WIDE, MANY, WIDE);
		struct kernel_rows rows = { x, WIDE, MANY, NULL, &q, NULL };
		kernels_at(0)->matmul[formats[f]](&w, 0, kernel_panels(&w), &rows, want, ROWS);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			for (rows.count = 1; rows.count <= MANY; rows.count++) {
				memset(got, 0x77, sizeof got);
				kernels_at(k)->matmul[formats[f]](&w, 0, kernel_panels(&w), &rows, got, ROWS);
				cr_assert_eq(memcmp(got, want, (size_t)rows.count * ROWS * 4), 0, "%s %s batch %u",
				             kernels_at(k)->name, kernel_format_name(formats[f]), rows.count);
				for (size_t i = (size_t)rows.count * ROWS; i < (rows.count + 1) * (size_t)ROWS; i++)
					cr_assert_eq(number_bits(got[i]), 0x77777777u);
			}
		}
		quant_free(&q);
		kernel_matrix_free(&w);
	}
}

/* All codes at their ends, so that nothing in between may saturate; scales down to f16's subnormals. */
Test(matmul, integer_products_are_exact_at_the_extremes)
{
	enum { WIDE = 2880 };
	static const float size[] = { 1, 1e-6f, 4e5f };
	static float v[16 * WIDE], x[3 * WIDE];
	for (size_t s = 0; s < sizeof size / sizeof *size; s++) {
		for (size_t i = 0; i < sizeof v / sizeof *v; i++)
			v[i] = (i / WIDE % 3 == 0 || (i / WIDE % 3 == 1) == i % 2) ? size[s] : -size[s];
		for (size_t i = 0; i < sizeof x / sizeof *x; i++)
			x[i] = (i / WIDE == 0 || (i / WIDE == 1) == i % 2) ? 1 : -1;
		struct kernel_stored_rows from = { KERNEL_FROM_F32, v, WIDE * 4, NULL, 0 };
		struct kernel_quant q = quant_of(kernels_at(0), x, WIDE, 3, WIDE);
		struct kernel_rows rows = { x, WIDE, 3, NULL, &q, NULL };
		for (enum kernel_format f = KERNEL_Q8; f <= KERNEL_Q4; f++) {
			struct kernel_matrix w;
			float want[48], got[48];
			double truth[48];
			cr_assert_eq(kernel_matrix_alloc(&w, f, 16, WIDE, NULL), 0);
			cr_assert_eq(kernels_at(0)->pack(&w, 0, 16, &from), 16 * WIDE);
			kernel_truth_matmul(&w, &rows, truth);
			kernels_at(0)->matmul[f](&w, 0, 1, &rows, want, 16);
			for (int i = 0; i < 48; i++)
				cr_assert_leq(fabs((double)want[i] - truth[i]), 1e-6 * (double)size[s] * WIDE);
			for (size_t k = 1; kernels_at(k) != NULL; k++) {
				kernels_at(k)->matmul[f](&w, 0, 1, &rows, got, 16);
				cr_assert_eq(memcmp(got, want, sizeof got), 0, "%s %s", kernels_at(k)->name,
				             kernel_format_name(f));
			}
			kernel_matrix_free(&w);
		}
		quant_free(&q);
	}
}

/* Set k of the canonical ones or of the fast; the first is the plain form of the bits. */
static const struct kernels *set_of(bool fast, size_t k) { return fast ? kernels_fast_at(k) : kernels_at(k); }

/* MXFP4 with any scale, zero and the largest among them, and with codes of minus zero. */
static struct kernel_matrix scaled_matrix(uint32_t rows, uint32_t columns, const uint8_t *scales, size_t n)
{
	struct kernel_matrix w = random_matrix(KERNEL_MXFP4, rows, columns);
	for (uint32_t p = 0; p < kernel_panels(&w); p++) {
		unsigned char *scale = w.panel + p * w.panel_bytes + columns / 32 * 256;
		for (size_t i = 0; i < columns / 32 * 16; i++)
			scale[i] = scales[(i * 7 + i / 16 + p) % n];
		memset(w.panel + p * w.panel_bytes + 64, 0x88, 3);
	}
	return w;
}

static void scales_agree(bool fast, const uint8_t *scales, size_t n)
{
	enum { ROWS = 75, MANY = 14, MOST_K = 2080 };
	static const uint32_t wide[] = { 32, 64, 96, 128, 160, 288, 2080 };
	static const uint32_t pick[5] = { 7, 0, 3, 3, 13 };
	static float x[MANY * MOST_K], want[MANY * ROWS], got[(MANY + 1) * ROWS];
	for (size_t i = 0; i < sizeof x / sizeof *x; i++)
		x[i] = i % 11 == 3 ? -0.0f : noise() * (i / 128 % 3 == 1 ? 1e-3f : 1);
	for (size_t s = 0; s < sizeof wide / sizeof *wide; s++) {
		struct kernel_matrix w = scaled_matrix(ROWS, wide[s], scales, n);
		struct kernel_quant q = quant_of(kernels_at(0), x, MOST_K, MANY, wide[s]);
		struct kernel_rows rows = { x, MOST_K, MANY, NULL, &q, NULL };
		set_of(fast, 0)->matmul[KERNEL_MXFP4](&w, 0, kernel_panels(&w), &rows, want, ROWS);
		for (size_t i = 0; i < (size_t)MANY * ROWS; i++)
			cr_assert(number_is_finite(want[i]), "%u columns: value %zu", wide[s], i);
		for (size_t k = 0; set_of(fast, k) != NULL; k++) {
			const struct kernels *set = set_of(fast, k);
			for (rows.count = 1; rows.count <= MANY; rows.count++) {
				memset(got, 0x77, sizeof got);
				set->matmul[KERNEL_MXFP4](&w, 0, kernel_panels(&w), &rows, got, ROWS);
				cr_assert_eq(memcmp(got, want, 4ul * rows.count * ROWS), 0, "%s %u columns, batch %u",
				             set->name, wide[s], rows.count);
				cr_assert_eq(number_bits(got[rows.count * ROWS]), 0x77777777u);
			}
			rows.count = 5, rows.pick = pick;
			set->matmul[KERNEL_MXFP4](&w, 0, kernel_panels(&w), &rows, got, ROWS);
			for (size_t i = 0; i < 5; i++)
				cr_assert_eq(memcmp(got + i * ROWS, want + pick[i] * ROWS, 4 * ROWS), 0, "%s", set->name);
			rows.count = MANY, rows.pick = NULL;
		}
		quant_free(&q);
		kernel_matrix_free(&w);
	}
}

Test(matmul, mxfp4_of_any_scale_agrees)
{
	static const uint8_t all[] = { 127, 0, 110, 1, 120, 2, 18, 17, 40 }, high[] = { 235, 127, 238 },
		lowest[] = { 0 };
	for (int fast = 0; fast < 2; fast++) {
		scales_agree(fast, all, sizeof all);
		scales_agree(fast, high, sizeof high);
		scales_agree(fast, lowest, sizeof lowest);
	}
}

/* Every code at its end, with scales at theirs: a group's sum neither wraps nor overflows, and 2^-127 is
 * not lost. The outputs are numbers that f32 holds exactly. */
Test(matmul, fast_mxfp4_is_exact_at_the_extremes)
{
	enum { WIDE = 160 };
	static const struct { uint8_t scale; float input, want; } ends[] = {
		{ 127, 127, 6.0f * 127 * WIDE }, { 254, 127 * 0x1p-20f, 6.0f * 127 * WIDE * 0x1p107f },
		{ 0, 127, 6.0f * 127 * WIDE * 0x1p-127f }, { 1, 127, 6.0f * 127 * WIDE * 0x1p-126f },
	};
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		float x[2 * WIDE], got[2 * 16];
		struct kernel_matrix w;
		cr_assert_eq(kernel_matrix_alloc(&w, KERNEL_MXFP4, 16, WIDE, NULL), 0);
		memset(w.panel, 0x77, WIDE / 32 * 256);
		for (size_t lane = 0; lane < 16; lane += 2) /* each second row of -6 */
			for (size_t at = 4 * lane; at < WIDE / 32 * 256; at += 64)
				memset(w.panel + at, 0xff, 4);
		memset(w.panel + WIDE / 32 * 256, ends[i].scale, WIDE / 32 * 16);
		for (size_t j = 0; j < 2 * WIDE; j++)
			x[j] = j < WIDE ? ends[i].input : -ends[i].input;
		struct kernel_quant q = quant_of(kernels_at(0), x, WIDE, 2, WIDE);
		struct kernel_rows rows = { x, WIDE, 2, NULL, &q, NULL };
		for (size_t k = 0; kernels_fast_at(k) != NULL; k++) {
			kernels_fast_at(k)->matmul[KERNEL_MXFP4](&w, 0, 1, &rows, got, 16);
			for (int j = 0; j < 32; j++)
				cr_assert_eq(number_bits(got[j]),
				             number_bits(j % 2 == j / 16 ? -ends[i].want : ends[i].want),
				             "%s scale %u output %d: %a", kernels_fast_at(k)->name, ends[i].scale, j,
				             (double)got[j]);
		}
		quant_free(&q);
		kernel_matrix_free(&w);
	}
}

/* The relative error of `got` against the truth of rows x, in the mean square. */
static double relative_error(const struct kernel_matrix *w, const struct kernel_rows *x, const float *got)
{
	size_t n = (size_t)x->count * w->rows;
	double *truth = malloc(8 * n), error = 0, power = 0;
	kernel_truth_matmul(w, x, truth);
	for (size_t i = 0; i < n; i++) {
		error += ((double)got[i] - truth[i]) * ((double)got[i] - truth[i]);
		power += truth[i] * truth[i];
	}
	free(truth);
	return sqrt(error / power);
}

/* Exact but for rounding with the rows as they were quantised, and near with the rows as they are. */
Test(matmul, fast_mxfp4_is_near_the_truth)
{
	enum { ROWS = 75, WIDE = 2080, MANY = 5 };
	static float x[MANY * WIDE], back[MANY * WIDE], got[MANY * ROWS];
	fill(x, sizeof x / sizeof *x);
	struct kernel_matrix w = random_matrix(KERNEL_MXFP4, ROWS, WIDE);
	struct kernel_quant q = quant_of(kernels_at(0), x, WIDE, MANY, WIDE);
	size_t wide = kernel_quant_columns(WIDE);
	for (size_t i = 0; i < sizeof back / sizeof *back; i++) {
		size_t at = i / WIDE * wide + i % WIDE;
		back[i] = (float)q.code[at] * q.scale[at / 128];
	}
	struct kernel_rows rows = { x, WIDE, MANY, NULL, &q, NULL };
	for (size_t k = 0; kernels_fast_at(k) != NULL; k++) {
		kernels_fast_at(k)->matmul[KERNEL_MXFP4](&w, 0, kernel_panels(&w), &rows, got, ROWS);
		double far = relative_error(&w, &rows, got);
		rows.value = back;
		double near = relative_error(&w, &rows, got);
		rows.value = x;
		cr_assert(near < 1e-6 && far < 0.006, "%s: %g, %g", kernels_fast_at(k)->name, near, far);
	}
	quant_free(&q);
	kernel_matrix_free(&w);
}

/* What a fast set has of its own regime is MXFP4, and in the last BF16: the rest is canonical. */
Test(matmul, other_formats_of_fast_sets_have_canonical_bits)
{
	enum { ROWS = 75, WIDE = 321, MANY = 5 };
	static float x[MANY * WIDE], want[MANY * ROWS], got[MANY * ROWS];
	fill(x, sizeof x / sizeof *x);
	for (int f = 0; f < KERNEL_MXFP4; f++) {
		struct kernel_matrix w = random_matrix((enum kernel_format)f, ROWS, WIDE);
		struct kernel_quant q = quant_of(kernels_at(0), x, WIDE, MANY, WIDE);
		struct kernel_rows rows = { x, WIDE, MANY, NULL, &q, NULL };
		kernels_at(0)->matmul[f](&w, 0, kernel_panels(&w), &rows, want, ROWS);
		for (size_t k = 0; kernels_fast_at(k) != NULL; k++) {
			const struct kernels *set = kernels_fast_at(k);
			cr_assert(set->quantised[KERNEL_MXFP4] && set->quantised[f] == kernels_at(0)->quantised[f]);
			if (f == KERNEL_BF16 && strcmp(set->name, "bf16") == 0)
				continue;
			set->matmul[f](&w, 0, kernel_panels(&w), &rows, got, ROWS);
			cr_assert_eq(memcmp(got, want, sizeof want), 0, "%s %s", set->name,
			             kernel_format_name((enum kernel_format)f));
		}
		quant_free(&q);
		kernel_matrix_free(&w);
	}
}

Test(matmul, the_fast_twin_is_near_and_the_same_for_any_batch)
{
	enum { ROWS = 75, WIDE = 321, MANY = 25 };
	static float x[MANY * WIDE], want[MANY * ROWS], got[MANY * ROWS];
	static double truth[MANY * ROWS];
	const struct kernels *k;
	cr_assert_eq(kernels_pick(&k, NULL, true, NULL), 0);
	cr_assert(!k->canonical);
	struct kernel_matrix w = random_matrix(KERNEL_BF16, ROWS, WIDE);
	fill(x, sizeof x / sizeof *x);
	struct kernel_rows rows = { x, WIDE, MANY, NULL, NULL, NULL };
	k->matmul[KERNEL_BF16](&w, 0, kernel_panels(&w), &rows, want, ROWS);
	kernel_truth_matmul(&w, &rows, truth);
	double error = 0, power = 0;
	for (int i = 0; i < MANY * ROWS; i++) {
		error += ((double)want[i] - truth[i]) * ((double)want[i] - truth[i]);
		power += truth[i] * truth[i];
	}
	cr_assert_lt(error, 1e-5 * power);
	for (rows.count = 1; rows.count < MANY; rows.count++) {
		k->matmul[KERNEL_BF16](&w, 0, kernel_panels(&w), &rows, got, ROWS);
		cr_assert_eq(memcmp(got, want, rows.count * ROWS * 4), 0, "%s batch %u", k->name, rows.count);
	}
	kernel_matrix_free(&w);
}

/* So wide and tall that K, panels and inputs are cut into blocks. */
Test(matmul, sets_agree_bitwise_across_blocks, .timeout = 300)
{
	enum { TALL = 1125, LONG = 2085, FEW = 60 };
	static const uint32_t few[] = { 1, 2, 12, 13, FEW };
	float *x = malloc(4ul * FEW * 2112), *want = malloc(4ul * FEW * TALL), *got = malloc(4ul * FEW * TALL);
	fill(x, (size_t)FEW * 2112);
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		struct kernel_matrix w =
			random_matrix((enum kernel_format)f, TALL, columns_of((enum kernel_format)f, LONG));
		struct kernel_quant q = quant_of(kernels_at(0), x, 2112, FEW, w.columns);
		struct kernel_rows rows = { x, 2112, FEW, NULL, &q, NULL };
		kernels_at(0)->matmul[f](&w, 0, kernel_panels(&w), &rows, want, TALL);
		for (size_t k = 1; kernels_at(k) != NULL; k++) {
			for (size_t c = 0; c < sizeof few / sizeof *few; c++) {
				rows.count = few[c];
				rows.next = c % 2 ? w.panel : NULL;
				kernels_at(k)->matmul[f](&w, 0, kernel_panels(&w), &rows, got, TALL);
				cr_assert_eq(memcmp(got, want, 4ul * few[c] * TALL), 0, "%s %s %u rows",
				             kernels_at(k)->name, kernel_format_name((enum kernel_format)f), few[c]);
			}
		}
		quant_free(&q);
		kernel_matrix_free(&w);
	}
	free(x), free(want), free(got);
}

/* Each matrix of a store has its own bytes, at 64 of them, and the store is full after the last. */
Test(matmul, matrices_share_a_store)
{
	struct kernel_store store;
	struct kernel_matrix w[KERNEL_FORMATS];
	uint64_t bytes = 0;
	for (int f = 0; f < KERNEL_FORMATS; f++)
		bytes += kernel_store_bytes((enum kernel_format)f, 40, 96);
	cr_assert_eq(kernel_store_open(&store, bytes, NULL), 0);
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		cr_assert_eq(kernel_matrix_place(&w[f], &store, (enum kernel_format)f, 40, 96, NULL), 0);
		cr_assert_eq((uintptr_t)w[f].panel % 64, 0);
		memset(w[f].panel, f + 1, kernel_panels(&w[f]) * w[f].panel_bytes);
	}
	cr_assert_eq(store.used, bytes);
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		cr_assert_eq(w[f].panel[0], f + 1);
		cr_assert_eq(w[f].panel[kernel_panels(&w[f]) * w[f].panel_bytes - 1], f + 1);
		kernel_matrix_free(&w[f]);
	}
	kernel_store_close(&store);
	cr_assert_null(store.at);
}

/* Figures, not speeds: a loop that is left out would be impossibly fast. */
Test(limits, loops_take_their_time)
{
	unsigned char bytes[1000];
	uint64_t want = 0;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 31);
	for (size_t at = 0; at < 896; at += 64) { /* the begin of each line */
		uint64_t v;
		memcpy(&v, bytes + at, 8);
		want ^= v;
	}
	cr_assert_eq(kernels_read(bytes, 896, false), want);
	cr_assert_eq(kernels_read(bytes, 896, true), want);
	for (size_t k = 0; kernels_at(k) != NULL; k++) {
		for (int f = 0; f < KERNEL_FORMATS; f++) {
			double rate = kernels_peak(kernels_at(k), (enum kernel_format)f, 0.002);
			cr_assert(rate > 1e6 && rate < 1e13, "%s %d: %g", kernels_at(k)->name, f, rate);
		}
	}
	for (size_t k = 0; kernels_fast_at(k) != NULL; k++) {
		double rate = kernels_peak(kernels_fast_at(k), KERNEL_MXFP4, 0.002);
		cr_assert(rate > 1e6 && rate < 1e13, "%s: %g", kernels_fast_at(k)->name, rate);
	}
}

Test(matrix, bytes_are_known_before_there_are_any)
{
	for (int f = 0; f < KERNEL_FORMATS; f++) {
		struct kernel_matrix w;
		cr_assert_eq(kernel_matrix_alloc(&w, (enum kernel_format)f, 130, 192, NULL), 0);
		uint64_t panels = 9 * (uint64_t)w.panel_bytes, scales = f == KERNEL_FP8 ? 2 * 2 * 4 : 0;
		cr_assert_eq(kernel_format_bytes((enum kernel_format)f, 130, 192), panels + scales);
		cr_assert_eq(kernel_matrix_bytes(&w), panels + scales);
		kernel_matrix_free(&w);
	}
	cr_assert_eq(kernel_format_bytes(KERNEL_Q8, 16, 64), 1088);
	cr_assert_eq(kernel_format_bytes(KERNEL_Q4, 16, 64), 576);
	cr_assert_eq(kernel_format_bytes(KERNEL_MXFP4, 16, 2880), 90 * 272 + 32);
}
