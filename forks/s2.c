#include "forks/s2.h"

#include "base/check.h"
#include "forks/s1.h"
#include "forks/shuffle.h"

#include <math.h>
#include <string.h>

#define KINDS 6
/* 6 * (NORM + rounding)^2 < 2^31: no sum of products overflows, whatever the permutation */
#define NORM 18000.0

static const uint8_t kind[KINDS][2] = {
	{ 0, 0 }, { 1, 1 }, { 2, 2 }, { 0, 1 }, { 0, 2 }, { 1, 2 }
};

/* Inner products of features of kind x with those of kind y. */
static void products(const struct features *f, uint32_t n, uint8_t x, uint8_t y,
		     double out[S2_UNITS][S2_UNITS])
{
	memset(out, 0, sizeof(double) * S2_UNITS * S2_UNITS);
	for (uint32_t k = 0; k < f->part; k++) {
		const float *a = f->v + ((size_t)x * f->part + k) * f->stride;
		const float *b = f->v + ((size_t)y * f->part + k) * f->stride;

		for (uint32_t i = 0; i < n; i++)
			for (uint32_t j = 0; j < n; j++)
				out[i][j] += (double)a[i] * (double)b[j];
	}
}

/* Off-diagonal mean to zero, diagonal zero; returns the norm. */
static double centre(double g[S2_UNITS][S2_UNITS], uint32_t n)
{
	double mean = 0, squares = 0;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < n; j++)
			mean += i == j ? 0 : g[i][j] / n / (n - 1);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < n; j++) {
			g[i][j] = i == j ? 0 : g[i][j] - mean;
			squares += g[i][j] * g[i][j];
		}
	return sqrt(squares);
}

void fork_s2_gram_fill(struct s2_gram *g, const struct features *f)
{
	double product[S2_UNITS][S2_UNITS];

	memset(g, 0, sizeof(*g));
	g->units = f->units < S2_UNITS ? f->units : S2_UNITS;
	for (int p = 0; p < KINDS; p++) {
		double norm;

		products(f, g->units, kind[p][0], kind[p][1], product);
		norm = centre(product, g->units);
		for (uint32_t i = 0; norm > 1e-12 && i < g->units; i++)
			for (uint32_t j = 0; j < g->units; j++)
				g->v[i][j][p] = (int16_t)lrint(product[i][j] / norm * NORM);
	}
}

/* The lanes of one pair of units, stored and loaded as one vector: a load of two separately stored
 * halves stalls (store forwarding). */
typedef int16_t lanes __attribute__((vector_size(2 * S2_LANES), aligned(2), may_alias));

/* The constant length lets the compiler use pmaddwd. */
static int32_t dot(const int16_t *a, const int16_t *b)
{
	uint32_t sum = 0; /* modulo 2^32, as the processor adds; the result is known to fit */

	for (int k = 0; k < S2_UNITS * S2_LANES; k++)
		sum += (uint32_t)(a[k] * b[k]);
	return (int32_t)sum;
}

/* T in steps of NORM^-2, with unit i of a against unit place[i] of b. */
static int32_t permuted(const struct s2_gram *a, const struct s2_gram *b, const uint16_t *place)
{
	int16_t row[S2_UNITS][S2_LANES] = { { 0 } };
	int32_t sum = 0;

	for (uint32_t i = 0; i < a->units; i++) {
		for (uint32_t j = 0; j < a->units; j++)
			*(lanes *)row[j] = *(const lanes *)b->v[place[i]][place[j]];
		sum += dot(a->v[i][0], row[0]);
	}
	return sum;
}

struct s2_score fork_s2_score(const struct s2_gram *a, const struct s2_gram *b, uint64_t seed,
			      enum philox_domain domain, uint32_t stream, uint32_t draws)
{
	uint16_t place[SHUFFLE_UNITS_MAX] = { 0 };
	double sum = 0, squares = 0, mean, variance;
	uint64_t exceed = 0;
	int32_t observed;

	check(a->units == b->units && draws > 0);
	for (uint32_t i = 0; i < a->units; i++)
		place[i] = (uint16_t)i;
	observed = permuted(a, b, place);
	for (uint32_t draw = 0; draw < draws; draw++) {
		struct philox g = philox_open(seed, domain, stream, draw);
		int32_t t;

		shuffle(&g, place, a->units);
		t = permuted(a, b, place);
		exceed += t >= observed;
		sum += t;
		squares += (double)t * t;
	}
	mean = sum / draws;
	variance = squares / draws - mean * mean;
	return (struct s2_score){ .p = fork_s1_p(exceed, draws),
				  .z = variance > 1 ? (observed - mean) / sqrt(variance) : 0,
				  .effect = observed / (NORM * NORM * KINDS) };
}
