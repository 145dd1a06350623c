/* S4: the tokens' Gram matrix under a layer's query projection, U-centred (Szekely and Rizzo 2014:
 * rows sum to zero off the diagonal, which is left out, so that independent ones have no bias), and
 * the cosine of two such matrices. Rotations, widths and numbers of heads do not change it; what
 * two models learn of the same tokens does, so that it is no test: it is shown beside what layers
 * of one model have that do not answer each other. */
#include "forks/match.h"

#include <math.h>
#include <stdlib.h>

#define S4_TOKENS_MIN VIEW_TOKENS_MIN

/* Of the layers of one sketch, over the tokens in common: [layers][count * count], length 1; all
 * zero: none. */
struct gram {
	double *v;
	bool *has;
	uint32_t layers, count;
};

static void gram_free(struct gram *g)
{
	free(g->v);
	free(g->has);
}

/* Returns its length. */
static double centre(double *m, uint32_t n)
{
	double row[SKETCH_TOKENS] = { 0 }, all = 0, squares = 0;

	for (uint32_t i = 0; i < n; i++) {
		m[(size_t)i * n + i] = 0;
		for (uint32_t j = 0; j < n; j++)
			row[i] += m[(size_t)i * n + j];
		row[i] /= n - 2;
		all += row[i];
	}
	for (uint32_t i = 0; i < n; i++)
		row[i] -= all / (2 * (n - 1));
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < n; j++) {
			double *at = &m[(size_t)i * n + j];

			*at = i == j ? 0 : *at - row[i] - row[j];
			squares += *at * *at;
		}
	return sqrt(squares);
}

static bool gram_open(struct gram *g, const struct fork_sketch *s, const uint8_t *column,
		      uint32_t count)
{
	size_t size = (size_t)count * count;

	*g = (struct gram){ .layers = s->layers, .count = count };
	g->v = calloc(s->layers * size + 1, sizeof *g->v);
	g->has = calloc((size_t)s->layers + 1, sizeof *g->has);
	if (!g->v || !g->has)
		return false;
	for (uint32_t l = 0; s->layer && l < s->layers; l++) {
		const float *from = s->layer[l].tokens;
		double *to = g->v + l * size, length;

		if (!from)
			continue;
		for (uint32_t i = 0; i < count; i++)
			for (uint32_t j = 0; j < count; j++)
				to[(size_t)i * count + j] =
					(double)from[(size_t)column[i] * s->tokens + column[j]];
		length = centre(to, count);
		g->has[l] = length > 0 && isfinite(length);
		for (size_t i = 0; i < size && g->has[l]; i++)
			to[i] /= length;
	}
	return true;
}

static double similarity(const struct gram *a, uint32_t x, const struct gram *b, uint32_t y)
{
	size_t size = (size_t)a->count * a->count;
	const double *u = a->v + x * size, *v = b->v + y * size;
	double sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += u[i] * v[i];
	return sum;
}

static int s4_ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Layers of one model against each other. */
static void unrelated(struct fork_s4 *out, const struct gram *g)
{
	double *v = calloc((size_t)g->layers * g->layers + 1, sizeof *v), sum = 0;
	size_t count = 0;

	for (uint32_t x = 0; v && x < g->layers; x++)
		for (uint32_t y = 0; y < x; y++)
			if (g->has[x] && g->has[y])
				sum += v[count++] = similarity(g, x, g, y);
	out->unrelated_mean = out->unrelated_high = NAN;
	if (count > 0) {
		qsort(v, count, sizeof *v, s4_ascending);
		out->unrelated_mean = sum / (double)count;
		out->unrelated_high = v[(count * 95 + 99) / 100 - 1];
	}
	free(v);
}

struct fork_s4 fork_s4_effect(const struct fork_sketch *a, const struct fork_sketch *b,
			      const struct rung_map *map)
{
	struct fork_common c = fork_sketch_common(a, b);
	struct gram x = { 0 }, y = { 0 };
	struct fork_s4 out = { 0 };
	double sum = 0;

	if (c.count >= S4_TOKENS_MIN && gram_open(&x, a, c.a, c.count) &&
	    gram_open(&y, b, c.b, c.count)) {
		for (uint32_t l = 0; l < y.layers; l++) {
			int64_t at = l;

			if (map)
				at = l < map->layers ? map->layer[l] : -1;
			if (at < 0 || at >= x.layers || !x.has[at] || !y.has[l])
				continue;
			sum += similarity(&x, (uint32_t)at, &y, l);
			out.layers++;
		}
		unrelated(&out, &x);
	}
	gram_free(&x);
	gram_free(&y);
	out.run = out.layers > 0;
	if (out.run)
		out.effect = sum / out.layers;
	return out;
}
