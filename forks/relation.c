#include "forks/relation.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

/* relative: one unit in the last place of BF16, in which rounded weights are often stored */
#define STORAGE 0x1p-8f
#define TIE 0.49f      /* further from an integer, either neighbour may have been chosen */
#define ROWS_LOOKED 16 /* by rules that look at rows */
#define BLOCK 128
#define GROUP 32          /* shares a scale in every form of 4 bits */
#define LEVELS 256        /* of 8 bits */
#define CODEBOOK_MIN 1024 /* values that show that they have so few levels */

/* Two matrices of which a rule looks at some rows and columns. */
struct panels {
	const float *a, *b;
	size_t rows, columns; /* that it looks at */
	size_t stride;
};

static float largest(const float *v, size_t rows, size_t columns, size_t stride)
{
	float max = 0;

	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++)
			max = fmaxf(max, fabsf(v[r * stride + c]));
	return max;
}

/* ---- rules that know the scale from a ---- */

static bool near(float b, float q) { return fabsf(b - q) <= fabsf(q) * STORAGE; }

static bool fits_int8(float a, float b, float s)
{
	float steps = s > 0 ? a / s : 0, k = rintf(steps);

	return near(b, k * s) ||
	       (fabsf(steps - k) > TIE && near(b, (k + (steps > k ? 1.0f : -1.0f)) * s));
}

float fork_relation_e4m3(float v)
{
	float size = fabsf(v), step;
	int exponent;

	if (size >= 448)
		return copysignf(448, v);
	frexpf(size, &exponent); /* size in [2^(exponent-1), 2^exponent) */
	step = ldexpf(1, (exponent < -5 ? -5 : exponent) - 4);
	return copysignf(fminf(rintf(size / step) * step, 448), v);
}

static bool fits_fp8(float a, float b, float s)
{
	return near(b, s > 0 ? fork_relation_e4m3(a / s) * s : 0);
}

/* Values that do not lie where the rule puts them, of groups of rows x columns with one scale. */
static bool rule_fits(const struct panels *p, size_t rows, size_t columns, float levels,
		      bool (*fits)(float a, float b, float s))
{
	size_t off = 0, most = p->rows * p->columns / 100;

	for (size_t row = 0; row < p->rows; row += rows)
		for (size_t at = 0; at < p->columns && off <= most; at += columns) {
			size_t high = p->rows - row < rows ? p->rows - row : rows;
			size_t wide = p->columns - at < columns ? p->columns - at : columns;
			size_t from = row * p->stride + at;
			float s = largest(p->a + from, high, wide, p->stride) / levels;

			for (size_t i = 0; i < high * wide; i++) {
				size_t cell = from + i / wide * p->stride + i % wide;

				off += !fits(p->a[cell], p->b[cell], s);
			}
		}
	return off <= most;
}

static bool is_int8(const struct panels *whole)
{
	static const size_t group[] = { SIZE_MAX, 128, 64, 32 };
	struct panels p = *whole;

	p.rows = p.rows < ROWS_LOOKED ? p.rows : ROWS_LOOKED;
	for (size_t i = 0; i < sizeof group / sizeof *group; i++)
		if (rule_fits(&p, 1, group[i], 127, fits_int8))
			return true;
	return false;
}

static bool is_fp8(const struct panels *whole)
{
	struct panels p = *whole, block = *whole;

	p.rows = p.rows < ROWS_LOOKED ? p.rows : ROWS_LOOKED;
	block.columns = block.columns < 4 * BLOCK ? block.columns : 4 * BLOCK;
	return rule_fits(&block, BLOCK, BLOCK, 448, fits_fp8) ||
	       rule_fits(&p, 1, SIZE_MAX, 448, fits_fp8);
}

/* ---- rules that know the levels from b ---- */

/* Where x stands or would stand among level[n]. */
static size_t place_of(const float *level, size_t n, float x)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (level[mid] < x)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* The distinct values of v in order, at most `most`; most + 1 says that there are more. */
static size_t distinct(const struct panels *p, const float *v, size_t most, float *out)
{
	size_t n = 0;

	for (size_t r = 0; r < p->rows; r++)
		for (size_t c = 0; c < p->columns; c++) {
			float x = v[r * p->stride + c];
			size_t low = place_of(out, n, x);

			if (low < n && !(out[low] < x) && !(out[low] > x))
				continue;
			if (n == most)
				return most + 1;
			memmove(out + low + 1, out + low, (n - low) * sizeof *out);
			out[low] = x;
			n++;
		}
	return n;
}

/* Whether the steps between levels are one step, as far as storing them keeps that. */
static bool even_steps(const float *level, size_t n)
{
	float small = INFINITY, large = 0;

	for (size_t i = n / 4; i + 1 < n - n / 4; i++) { /* the outer ones are seldom used */
		small = fminf(small, level[i + 1] - level[i]);
		large = fmaxf(large, level[i + 1] - level[i]);
	}
	return large <= 4 * small;
}

/* Whether b's levels are those next to a's values, but for one in a hundred and the outermost. */
static bool nearest_levels(const struct panels *p, const float *level, size_t n)
{
	size_t off = 0;

	for (size_t r = 0; r < p->rows; r++)
		for (size_t c = 0; c < p->columns; c++) {
			float x = p->a[r * p->stride + c], y = p->b[r * p->stride + c];
			size_t k = place_of(level, n, y);

			if (k > 0 && k + 1 < n)
				off += fabsf(x - y) >
				       0.6f * fmaxf(level[k + 1] - y, y - level[k - 1]);
		}
	return off * 100 <= p->rows * p->columns;
}

/* Of values with one scale: 256 levels or less where a has more. */
static enum fork_rounding few_levels(const struct panels *p)
{
	float level[LEVELS + 1];
	size_t n;

	if (p->rows * p->columns < CODEBOOK_MIN)
		return FORK_ROUNDED_NOT;
	n = distinct(p, p->b, LEVELS, level);
	if (n > LEVELS || n < 32 || distinct(p, p->a, LEVELS, level) <= LEVELS)
		return FORK_ROUNDED_NOT;
	distinct(p, p->b, LEVELS, level);
	if (!nearest_levels(p, level, n))
		return FORK_ROUNDED_NOT;
	return even_steps(level, n) ? FORK_ROUNDED_INT8 : FORK_ROUNDED_FP8;
}

static enum fork_rounding by_levels(const struct panels *whole)
{
	struct panels block = *whole, row = *whole;
	enum fork_rounding found;

	block.columns = block.columns < BLOCK ? block.columns : BLOCK;
	row.rows = 1;
	found = few_levels(&block);
	return found != FORK_ROUNDED_NOT ? found : few_levels(&row);
}

static size_t values_not_zero(const float *v, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += v[i] < 0 || v[i] > 0;
	return count;
}

/* Few levels in each group of one row, where a has many more. sizes: signs do not count. */
static bool few_in_groups(const struct panels *whole, size_t group, size_t most, bool sizes)
{
	size_t groups = 0, few = 0;
	float level[GROUP + 1], a[GROUP], b[GROUP];

	for (size_t r = 0; r < whole->rows && r < ROWS_LOOKED; r++)
		for (size_t c = 0; c + group <= whole->columns; c += group) {
			struct panels p = { a, b, 1, group, group };

			for (size_t i = 0; i < group; i++) {
				a[i] = whole->a[r * whole->stride + c + i];
				b[i] = whole->b[r * whole->stride + c + i];
				a[i] = sizes ? fabsf(a[i]) : a[i];
				b[i] = sizes ? fabsf(b[i]) : b[i];
			}
			if (values_not_zero(b, group) < group * 3 / 4 ||
			    distinct(&p, a, group, level) < group * 3 / 4)
				continue;
			groups++;
			few += distinct(&p, b, most, level) <= most;
		}
	return groups >= 16 && few * 100 >= groups * 99;
}

/* 4 bits have 16 levels, or 8 sizes and a sign. */
static bool is_int4(const struct panels *whole)
{
	return few_in_groups(whole, GROUP, 16, false) || few_in_groups(whole, GROUP / 2, 9, true);
}

/* ---- narrower floats ---- */

static bool is_bf16(float v)
{
	uint32_t bits;

	memcpy(&bits, &v, 4);
	return (bits & 0xffff) == 0;
}

/* Half a unit in the last place of a float with so many bits behind the leading one. */
static float half_step(float v, int bits)
{
	int exponent;

	frexpf(v, &exponent);
	return ldexpf(1, (exponent < -13 && bits == 10 ? -13 : exponent) - bits - 2);
}

static bool is_f16(float v)
{
	float step = 2 * half_step(v, 10), k = v / step;

	return fabsf(v) < 65520 && !(k < rintf(k)) && !(k > rintf(k));
}

static bool all_are(const struct panels *p, const float *v, bool (*is)(float v))
{
	for (size_t r = 0; r < p->rows && r < ROWS_LOOKED; r++)
		for (size_t c = 0; c < p->columns; c++)
			if (!is(v[r * p->stride + c]))
				return false;
	return true;
}

static bool is_narrowed(const struct panels *p)
{
	int bits = all_are(p, p->b, is_bf16) ? 7 : all_are(p, p->b, is_f16) ? 10 : 0;

	if (bits == 0 || all_are(p, p->a, bits == 7 ? is_bf16 : is_f16))
		return false;
	for (size_t r = 0; r < p->rows && r < ROWS_LOOKED; r++)
		for (size_t c = 0; c < p->columns; c++) {
			float x = p->a[r * p->stride + c], y = p->b[r * p->stride + c];

			if (fabsf(x - y) > 1.01f * half_step(x, bits))
				return false;
		}
	return true;
}

/* ---- all rules ---- */

/* Rounding to few bits keeps most of a value: ||b - a||^2 below a quarter of ||a||^2. */
static bool still_close(const struct panels *p)
{
	double difference = 0, all = 0;

	for (size_t r = 0; r < p->rows && r < ROWS_LOOKED; r++)
		for (size_t c = 0; c < p->columns; c++) {
			double x = p->a[r * p->stride + c], y = p->b[r * p->stride + c];

			difference += (y - x) * (y - x);
			all += x * x;
		}
	return difference > 0 && difference < all / 4;
}

enum fork_rounding fork_relation_rounding(const float *a, const float *b, size_t rows,
					  size_t columns)
{
	struct panels p = { a, b, rows, columns, columns };

	if (rows == 0 || columns == 0 || !still_close(&p))
		return FORK_ROUNDED_NOT;
	if (is_narrowed(&p))
		return FORK_ROUNDED_NARROW;
	if (is_int4(&p))
		return FORK_ROUNDED_INT4;
	if (is_int8(&p))
		return FORK_ROUNDED_INT8;
	return is_fp8(&p) ? FORK_ROUNDED_FP8 : by_levels(&p);
}

/* ---- rank ---- */

/* What storing b rounds away, as a sum of squares. */
static double storage_noise(const struct panels *p)
{
	int bits = all_are(p, p->b, is_bf16) ? 7 : all_are(p, p->b, is_f16) ? 10 : 23;
	double sum = 0;

	for (size_t r = 0; r < p->rows; r++)
		for (size_t c = 0; c < p->columns; c++) {
			float b = p->b[r * p->stride + c];
			double half = b < 0 || b > 0 ? half_step(b, bits) : 0;

			sum += half * half / 3;
		}
	return sum;
}

/* gram[rows][rows] of the rows of b - a. */
static void gram_fill(double *gram, float *row, const struct panels *p)
{
	size_t n = p->rows, w = p->columns;

	for (size_t r = 0; r < n; r++)
		for (size_t c = 0; c < w; c++)
			row[r * w + c] = p->b[r * p->stride + c] - p->a[r * p->stride + c];
	for (size_t r = 0; r < n; r++)
		for (size_t s = 0; s <= r; s++) {
			double lane[4] = { 0 };

			for (size_t c = 0; c < w; c++)
				lane[c % 4] += (double)row[r * w + c] * row[s * w + c];
			gram[r * n + s] = gram[s * n + r] = lane[0] + lane[1] + lane[2] + lane[3];
		}
}

/* Take the largest remaining row out, until what remains is `noise`: steps taken, or n. Source:
 * Cholesky's factorisation with pivots, which shows the rank. */
static size_t steps_to(double *gram, size_t n, double noise)
{
	for (size_t k = 0; k < n; k++) {
		double left = 0;
		size_t best = 0;

		for (size_t i = 0; i < n; i++) {
			left += gram[i * n + i];
			if (gram[i * n + i] > gram[best * n + best])
				best = i;
		}
		if (left <= noise || gram[best * n + best] <= 0)
			return k;
		for (size_t i = 0; i < n; i++) {
			double share = gram[i * n + best] / gram[best * n + best];

			for (size_t j = 0; i != best && j < n; j++)
				gram[i * n + j] -= share * gram[best * n + j];
		}
		for (size_t i = 0; i < n; i++)
			gram[best * n + i] = gram[i * n + best] = 0;
	}
	return n;
}

uint32_t fork_relation_rank(const float *a, const float *b, size_t rows, size_t columns,
			    struct relation_scratch *scratch)
{
	struct panels p = { a, b, rows, columns < RELATION_COLUMNS ? columns : RELATION_COLUMNS,
			    columns };
	size_t least = rows < p.columns ? rows : p.columns, k;
	double all = 0, noise = 8 * storage_noise(&p);

	check(rows <= RELATION_ROWS);
	if (least < 16)
		return 0;
	gram_fill(scratch->gram, scratch->row, &p);
	for (size_t i = 0; i < rows; i++)
		all += scratch->gram[i * rows + i];
	if (noise > all / 20) /* what is left of a matrix of low rank could not be told */
		return 0;
	k = steps_to(scratch->gram, rows, noise);
	return k <= least / 2 ? (uint32_t)k : 0;
}
