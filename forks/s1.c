#include "forks/s1.h"

#include "base/check.h"
#include "forks/shuffle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TILE_ROWS 4
#define TILE_COLUMNS 8

/* Four floats that the compiler keeps in one register; loads may be unaligned. */
typedef float lane __attribute__((vector_size(16), aligned(4)));

static int32_t fixed(float v)
{
	return (int32_t)lrint(fmin(fmax((double)v / S1_FIXED, -2147483000.0), 2147483000.0));
}

static void tile_store(const struct s1_matrix *m, uint32_t i, uint32_t j,
		       const lane sum[TILE_ROWS][2])
{
	for (uint32_t r = 0; r < TILE_ROWS && i + r < m->units; r++)
		for (uint32_t c = 0; c < TILE_COLUMNS && j + c < m->units; c++)
			m->c[(size_t)(i + r) * m->units + j + c] = fixed(sum[r][c / 4][c % 4]);
}

/* Rows i..i+3, columns j..j+7. The sums run over the dimensions in order: the same on every
 * machine. */
static void tile(const struct s1_matrix *m, const struct features *fa, const struct features *fb,
		 uint32_t i, uint32_t j)
{
	lane s00 = { 0 }, s01 = { 0 }, s10 = { 0 }, s11 = { 0 }, s20 = { 0 }, s21 = { 0 },
	     s30 = { 0 }, s31 = { 0 };
	const float *a = fa->v + i, *b = fb->v + j;

	for (uint32_t k = 0; k < 3 * fa->part; k++, a += fa->stride, b += fb->stride) {
		lane b0 = *(const lane *)(const void *)b, b1 = *(const lane *)(const void *)(b + 4);
		lane a0 = { a[0], a[0], a[0], a[0] }, a1 = { a[1], a[1], a[1], a[1] };
		lane a2 = { a[2], a[2], a[2], a[2] }, a3 = { a[3], a[3], a[3], a[3] };

		s00 += a0 * b0;
		s01 += a0 * b1;
		s10 += a1 * b0;
		s11 += a1 * b1;
		s20 += a2 * b0;
		s21 += a2 * b1;
		s30 += a3 * b0;
		s31 += a3 * b1;
	}
	tile_store(m, i, j,
		   (const lane[TILE_ROWS][2]){
			   { s00, s01 }, { s10, s11 }, { s20, s21 }, { s30, s31 } });
}

int fork_s1_matrix_open(struct s1_matrix *m, const struct features *a, const struct features *b,
			struct err *e)
{
	check(a->units == b->units && a->part == b->part && a->units <= SHUFFLE_UNITS_MAX);
	m->units = a->units;
	m->c = malloc(sizeof(*m->c) * a->units * a->units);
	if (!m->c)
		return err_set(e, ERR_NOMEM, "out of memory for a block of %u units", a->units);
	for (uint32_t i = 0; i < a->units; i += TILE_ROWS)
		for (uint32_t j = 0; j < a->units; j += TILE_COLUMNS)
			tile(m, a, b, i, j);
	return 0;
}

void fork_s1_matrix_free(struct s1_matrix *m)
{
	free(m->c);
	m->c = NULL;
}

static int64_t trace(const struct s1_matrix *m)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < m->units; i++)
		sum += m->c[(size_t)i * m->units + i];
	return sum;
}

/* Sum of the squares of the doubly centred matrix. */
static double centred_squares(const struct s1_matrix *m, const double *row, const double *column,
			      double mean)
{
	double sum = 0;

	for (uint32_t i = 0; i < m->units; i++)
		for (uint32_t j = 0; j < m->units; j++) {
			double d = m->c[(size_t)i * m->units + j] - row[i] - column[j] + mean;

			sum += d * d;
		}
	return sum;
}

struct s1_moments fork_s1_moments(const struct s1_matrix *m)
{
	double row[SHUFFLE_UNITS_MAX] = { 0 }, column[SHUFFLE_UNITS_MAX] = { 0 }, mean = 0,
	       n = m->units, squares;
	struct s1_moments out = { 0 };

	for (uint32_t i = 0; i < m->units; i++)
		for (uint32_t j = 0; j < m->units; j++) {
			row[i] += m->c[(size_t)i * m->units + j] / n;
			column[j] += m->c[(size_t)i * m->units + j] / n;
		}
	for (uint32_t i = 0; i < m->units; i++)
		mean += row[i] / n;
	squares = centred_squares(m, row, column, mean);
	out.trace = (double)trace(m) * S1_FIXED;
	out.expectation = n * mean * S1_FIXED;
	out.variance = squares / (n - 1) * S1_FIXED * S1_FIXED;
	out.constant = squares < n * n; /* no more than the rounding to fixed point */
	out.z = out.constant ? 0 : (out.trace - out.expectation) / sqrt(out.variance);
	return out;
}

uint64_t fork_s1_exceed(const struct s1_matrix *m, uint64_t seed, enum philox_domain domain,
			uint32_t stream, uint32_t from, uint32_t to)
{
	uint16_t place[SHUFFLE_UNITS_MAX];
	int64_t observed = trace(m);
	uint64_t count = 0;

	for (uint32_t draw = from; draw < to; draw++) {
		struct philox g = philox_open(seed, domain, stream, draw);
		const int32_t *row = m->c;
		int64_t sum = 0;

		shuffle(&g, place, m->units);
		for (uint32_t i = 0; i < m->units; i++, row += m->units)
			sum += row[place[i]];
		count += sum >= observed;
	}
	return count;
}

double fork_s1_p(uint64_t exceed, uint64_t draws)
{
	return (1 + (double)exceed) / (1 + (double)draws);
}
