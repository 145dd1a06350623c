#include "forks/fit.h"

#include "forks/dots.h"
#include "forks/shuffle.h"
#include "forks/trace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RANK_MIN 1.5    /* effective rank: (sum of eigenvalues)^2 / sum of their squares */
#define ALIKE 0.95      /* mean cosine of the parts of near copies */
#define ALIKE_SHARE 8   /* no more than one unit in so many may have one */
#define AXIS_SHARE 2    /* no more than one unit in so many may lie on an axis of its own */
#define ORDER_DRAWS 200 /* for mean and variance */
#define ORDER_Z 7.0
#define DIAGONAL_Z 6.0
#define CLUSTER_UNITS 48 /* looked at first */
#define CLUSTER_EFFECT 0.1
#define CLUSTER_Z 7.0

const char *fork_unfit_reason(uint8_t unfit)
{
	static const char *const reason[BLOCK_UNFITS] = {
		[BLOCK_FEW] = "fewer than 16 of its units are not zero",
		[BLOCK_FLAT] = "its units differ by too little",
		[BLOCK_REPEATED] = "its units repeat each other",
		[BLOCK_AXES] = "its units lie on axes, as identity-like initialisation makes them",
		[BLOCK_ORDERED] = "its units are ordered: neighbours are alike",
	};

	return unfit < BLOCK_UNFITS ? reason[unfit] : "it is left out";
}

/* Live units whose largest number is most of a part's vector, each on an axis of its own, count:
 * for the part where most are. */
static uint32_t axis_units(const struct sketch_block *b, const uint16_t *unit, uint32_t units)
{
	uint32_t most = 0;

	for (uint32_t p = 0; p < b->parts; p++) {
		uint32_t width = b->part[p].raw_width, count = 0, used = 0;
		bool taken[SKETCH_RAW] = { 0 };

		for (uint32_t k = 0; k < width; k++) /* padding does not count */
			for (uint32_t i = 0; i < units; i++)
				if (b->part[p].raw[(size_t)unit[i] * width + k] != 0) {
					used++;
					break;
				}
		for (uint32_t i = 0; i < units; i++) {
			const int16_t *v = b->part[p].raw + (size_t)unit[i] * width;
			double share;
			uint32_t at = 0;

			for (uint32_t k = 1; k < width; k++)
				at = abs(v[k]) > abs(v[at]) ? k : at;
			share = (double)v[at] * v[at] / SKETCH_ONE / SKETCH_ONE;
			if (share < fmax(0.3, fmin(16.0 / used, 0.8)) || taken[at])
				continue;
			taken[at] = true;
			count++;
		}
		most = count > most ? count : most;
	}
	return most;
}

/* Sum over near neighbours of their products, or of the squares of these. */
static double neighbours(const struct trace *t, const uint16_t *order, bool squares)
{
	uint32_t reach = 1 + t->units / 16;
	double sum = 0;

	for (uint32_t far = 1; far <= reach; far++)
		for (uint32_t i = 0; i + far < t->units; i++) {
			double x = t->c[(size_t)order[i] * t->units + order[i + far]];

			sum += squares ? x * x : x;
		}
	return sum;
}

static bool is_ordered(const struct trace *t, uint64_t seed, uint32_t stream, bool squares)
{
	uint16_t order[SHUFFLE_UNITS_MAX];
	double observed, sum = 0, sum_squares = 0, mean, variance;

	for (uint32_t i = 0; i < t->units; i++)
		order[i] = (uint16_t)i;
	observed = neighbours(t, order, squares);
	for (uint32_t draw = 0; draw < ORDER_DRAWS; draw++) {
		struct philox g = philox_open(seed, PHILOX_FIT, stream, draw);
		double x;

		shuffle(&g, order, t->units);
		x = neighbours(t, order, squares) - observed;
		sum += x;
		sum_squares += x * x;
	}
	mean = sum / ORDER_DRAWS;
	variance = sum_squares / ORDER_DRAWS - mean * mean;
	return variance > 0 && -mean > ORDER_Z * sqrt(variance);
}

/* Of the block's own cross products in t. */
static enum block_unfit judge_products(const struct trace *t, uint32_t parts)
{
	double trace = 0, squares = 0;
	int64_t alike = (int64_t)(ALIKE * parts * SKETCH_ONE * SKETCH_ONE);
	uint32_t repeated = 0;

	for (uint32_t i = 0; i < t->units; i++) {
		bool has = false;

		for (uint32_t j = 0; j < t->units; j++) {
			double x = t->c[(size_t)i * t->units + j];

			squares += x * x;
			has = has || (i != j && x >= (double)alike);
		}
		trace += t->c[(size_t)i * t->units + i];
		repeated += has;
	}
	if (trace * trace < RANK_MIN * squares)
		return BLOCK_FLAT;
	return repeated * ALIKE_SHARE > t->units ? BLOCK_REPEATED : BLOCK_FIT;
}

static enum block_unfit judge_block(const struct sketch_block *b, uint64_t seed, uint32_t stream,
				    struct trace *t)
{
	struct trace_side side = fork_trace_side(b, RUNG_RAW);
	enum block_unfit unfit;

	fork_trace_fill(t, &side, &side, RUNG_ALL);
	if (t->units == 0)
		return BLOCK_FEW;
	unfit = judge_products(t, b->parts);
	if (unfit != BLOCK_FIT)
		return unfit;
	if (axis_units(b, t->place, t->units) * AXIS_SHARE > t->units)
		return BLOCK_AXES;
	return is_ordered(t, seed, 2 * stream, false) || is_ordered(t, seed, 2 * stream + 1, true)
		       ? BLOCK_ORDERED
		       : BLOCK_FIT;
}

/* ---- a diagonal that all blocks of a kind have ---- */

/* Sum over the units j of number j of their vectors, less what the column's mean gives; *variance
 * of that sum under any order of the units grows. Vectors that went through a CountSketch have no
 * diagonal. */
static double diagonal(const struct sketch_block *b, double *variance)
{
	double sum = 0;

	for (uint32_t p = 0; b->hidden <= SKETCH_RAW && p < b->parts; p++) {
		uint32_t width = b->part[p].raw_width, n = b->first < width ? b->first : width;

		for (uint32_t k = 0; k < n; k++) {
			const int16_t *column = b->part[p].raw + k;
			double mean = 0, squares = 0;

			for (uint32_t i = 0; i < b->first; i++) {
				double x = column[(size_t)i * width];

				mean += x / b->first;
				squares += x * x / b->first;
			}
			sum += column[(size_t)k * width] - mean;
			*variance += squares - mean * mean;
		}
	}
	return sum;
}

static bool of_one_shape(const struct sketch_block *x, const struct sketch_block *y)
{
	return x->kind == y->kind && x->units == y->units && x->hidden == y->hidden &&
	       x->parts == y->parts;
}

/* A library's QR gives orthogonal matrices whose diagonal has one sign: too little in one block to
 * be seen, enough in all of a model, and the same in the next model. */
static void judge_diagonals(struct fork_sketch *s)
{
	for (size_t i = 0; i < s->blocks; i++) {
		double sum = 0, variance = 0;

		if (s->block[i].unfit)
			continue;
		for (size_t k = 0; k < s->blocks; k++)
			if (of_one_shape(&s->block[i], &s->block[k]))
				sum += diagonal(&s->block[k], &variance);
		if (fabs(sum) <= DIAGONAL_Z * sqrt(variance))
			continue;
		for (size_t k = 0; k < s->blocks; k++)
			if (!s->block[k].unfit && of_one_shape(&s->block[i], &s->block[k]))
				s->block[k].unfit = BLOCK_AXES;
	}
}

/* ---- near copies within the model ---- */

/* Sum over the first units of the products of equal places, less what the means alone would give,
 * over the same for a copy. */
static double aligned_effect(const struct sketch_block *a, const struct sketch_block *b)
{
	uint32_t units = a->first < b->first ? a->first : b->first;
	double sum = 0;

	units = units < CLUSTER_UNITS ? units : CLUSTER_UNITS;
	for (uint32_t p = 0; p < a->parts; p++) {
		const int16_t *x = a->part[p].raw, *y = b->part[p].raw;
		uint32_t width = a->part[p].raw_width;
		int32_t of_a[SKETCH_RAW] = { 0 }, of_b[SKETCH_RAW] = { 0 }, aligned;
		double means = 0;

		fork_dots(&(struct dots_side){ x, 1, units * width },
			  &(struct dots_side){ y, 1, units * width }, units * width, &aligned);
		for (uint32_t u = 0; u < units; u++, x += width, y += width)
			for (uint32_t k = 0; k < width; k++) {
				of_a[k] += x[k];
				of_b[k] += y[k];
			}
		for (uint32_t k = 0; k < width; k++)
			means += (double)of_a[k] * of_b[k];
		sum += aligned - means / units;
	}
	return sum / SKETCH_ONE / SKETCH_ONE / a->parts / units;
}

static bool is_near_copy(const struct sketch_block *a, const struct sketch_block *b,
			 struct trace *t)
{
	struct trace_side x = fork_trace_side(a, RUNG_RAW), y = fork_trace_side(b, RUNG_RAW);

	if (a->unfit == BLOCK_FEW || b->unfit == BLOCK_FEW || a->parts != b->parts)
		return false;
	for (uint32_t p = 0; p < a->parts; p++)
		if (a->part[p].raw_width != b->part[p].raw_width)
			return false;
	if (aligned_effect(a, b) < CLUSTER_EFFECT)
		return false;
	fork_trace_fill(t, &x, &y, RUNG_ALL);
	return t->units > 0 && t->z > CLUSTER_Z;
}

struct fitting {
	struct fork_sketch *s;
	uint64_t seed;
	struct trace *room; /* [threads] */
	bool *copy;         /* [blocks][blocks], where column < row */
};

static void fit_work(void *ctx, struct part part)
{
	struct fitting *f = ctx;

	for (uint32_t i = part.begin; i < part.end; i++)
		f->s->block[i].unfit =
			(uint8_t)judge_block(&f->s->block[i], f->seed, i, &f->room[part.worker]);
}

static void copies_work(void *ctx, struct part part)
{
	struct fitting *f = ctx;

	for (uint32_t i = part.begin; i < part.end; i++)
		for (uint32_t j = 0; j < i; j++)
			f->copy[(size_t)i * f->s->blocks + j] =
				is_near_copy(&f->s->block[i], &f->s->block[j],
					     &f->room[part.worker]);
}

/* Clusters are what near copies connect; each is named by its first block. */
static void name_clusters(struct fork_sketch *s, const bool *copy)
{
	bool changed = true;

	for (size_t i = 0; i < s->blocks; i++)
		s->block[i].cluster = (uint32_t)i;
	while (changed) {
		changed = false;
		for (size_t i = 0; i < s->blocks; i++)
			for (size_t j = 0; j < i; j++) {
				uint32_t *x = &s->block[i].cluster, *y = &s->block[j].cluster;

				if (!copy[i * s->blocks + j] || *x == *y)
					continue;
				*x = *y = *x < *y ? *x : *y;
				changed = true;
			}
	}
}

int fork_fit_blocks(struct fork_sketch *s, uint64_t seed, struct pool *pool, struct err *e)
{
	struct fitting f = { .s = s, .seed = seed };
	int rc = 0;

	if (s->blocks == 0)
		return 0;
	f.room = calloc(pool_threads(pool), sizeof *f.room);
	f.copy = calloc(s->blocks * s->blocks, sizeof *f.copy);
	if (!f.room || !f.copy)
		rc = err_set(e, ERR_NOMEM, "out of memory for %zu blocks", s->blocks);
	if (rc == 0) {
		pool_run_in_order(pool, (uint32_t)s->blocks, fit_work, &f);
		judge_diagonals(s);
		pool_run_in_order(pool, (uint32_t)s->blocks, copies_work, &f);
		name_clusters(s, f.copy);
	}
	free(f.room);
	free(f.copy);
	return rc;
}
