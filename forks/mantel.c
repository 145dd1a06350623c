#include "forks/mantel.h"

#include "base/check.h"
#include "forks/dots.h"
#include "forks/shuffle.h"

#include <math.h>
#include <string.h>

/* 6 * (NORM + rounding)^2 < 2^31: no sum of products overflows, whatever the permutation. Of a
 * symmetric matrix no number is above NORM / sqrt(2), so that twice it fits 16 bits. */
#define NORM 18000.0
#define MOMENT_DRAWS 200 /* for z, also where p is known earlier */

/* Pairs of parts; the lane of i, j, and (two parts) that of j, i. */
static const struct {
	uint8_t part[2], lane, turned;
} kind[] = {
	{ { 0, 0 }, 0, 0 }, { { 1, 1 }, 1, 1 }, { { 0, 1 }, 2, 3 },
	{ { 2, 2 }, 4, 4 }, { { 0, 2 }, 5, 6 }, { { 1, 2 }, 7, 8 },
};

static uint32_t kinds_of(uint32_t parts) { return parts * (parts + 1) / 2; }

static bool is_live(const struct sketch_block *b, uint32_t parts, uint32_t unit)
{
	for (uint32_t k = 1; k <= parts; k++)
		if (!(b->part[b->parts - k].norm[unit] > 0))
			return false;
	return true;
}

/* Off-diagonal mean to zero, norm NORM: the lanes of one kind; `times` those of one part. */
static bool centre_lanes(const int32_t *product, uint32_t n, uint32_t k, int times,
			 struct mantel_gram *g)
{
	double squares = 0, mean;
	int64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < n; j++)
			sum += i == j ? 0 : product[i * n + j];
	mean = (double)sum / n / (n - 1);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < n; j++)
			squares +=
				i == j ? 0
				       : (product[i * n + j] - mean) * (product[i * n + j] - mean);
	if (squares < n * n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < n; j++) {
			long v = i == j ? 0
					: lrint((product[i * n + j] - mean) / sqrt(squares) * NORM);

			if (kind[k].lane == kind[k].turned)
				v *= times;
			g->v[i][j][kind[k].lane] = (int16_t)v;
			g->v[j][i][kind[k].turned] = (int16_t)v;
		}
	return true;
}

/* Returns whether any pair of parts has structure. */
static bool fill_gram(struct mantel *m, const struct sketch_block *b, uint32_t parts, int times,
		      struct mantel_gram *g)
{
	bool any = false;

	memset(g, 0, sizeof *g);
	memset(m->rows, 0, sizeof m->rows);
	for (uint32_t k = 0; k < parts; k++) {
		const struct sketch_part *p = &b->part[b->parts - 1 - k];

		for (uint32_t i = 0; i < m->units; i++)
			memcpy(m->rows[k] + i * SKETCH_RAW,
			       p->raw + (size_t)m->place[i] * p->raw_width,
			       p->raw_width * sizeof *p->raw);
	}
	for (uint32_t at = 0; at < kinds_of(parts); at++) {
		const struct dots_side x = { m->rows[kind[at].part[0]], m->units, SKETCH_RAW },
				       y = { m->rows[kind[at].part[1]], m->units, SKETCH_RAW };

		fork_dots(&x, &y, SKETCH_RAW, m->product);
		any = centre_lanes(m->product, m->units, at, times, g) || any;
	}
	return any;
}

int32_t fork_mantel_sum_plain(const struct mantel_gram *moved, const struct mantel_gram *still,
			      const uint16_t *order, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = i + 1; j < n; j++) {
			const int16_t *x = moved->v[order[i]][order[j]], *y = still->v[i][j];

			for (int k = 0; k < MANTEL_LANES; k++)
				sum += (uint32_t)(x[k] * y[k]);
		}
	return (int32_t)sum;
}

/* T in steps of NORM^-2, with the moved unit order[i] at place i. */
static int32_t permuted(const struct mantel *m, const uint16_t *order)
{
	return __builtin_cpu_supports("avx2")
		       ? fork_mantel_sum_avx2(&m->moved, &m->still, order, m->units)
		       : fork_mantel_sum_plain(&m->moved, &m->still, order, m->units);
}

static int32_t observed(const struct mantel *m)
{
	uint16_t order[MANTEL_UNITS];

	for (uint16_t i = 0; i < MANTEL_UNITS; i++)
		order[i] = i;
	return permuted(m, order);
}

void fork_mantel_fill(struct mantel *m, const struct sketch_block *moved,
		      const struct sketch_block *still)
{
	uint32_t parts = moved->parts < still->parts ? moved->parts : still->parts,
		 first = moved->first < still->first ? moved->first : still->first;
	bool in_moved, in_still;

	m->units = 0;
	m->z = m->effect = 0;
	for (uint32_t u = 0; parts > 0 && u < first && m->units < MANTEL_UNITS; u++)
		if (is_live(moved, parts, u) && is_live(still, parts, u))
			m->place[m->units++] = (uint16_t)u;
	if (m->units < SKETCH_UNITS_MIN) {
		m->units = 0;
		return;
	}
	in_moved = fill_gram(m, moved, parts, 1, &m->moved);
	in_still = fill_gram(m, still, parts, 2, &m->still);
	m->constant = !in_moved || !in_still;
	m->effect = observed(m) / (NORM * NORM * kinds_of(parts));
}

struct trace_p fork_mantel_draw(struct mantel *m, uint64_t seed, enum philox_domain domain,
				uint32_t stream, uint32_t most)
{
	struct trace_p out = { 0 };
	uint16_t order[SHUFFLE_UNITS_MAX];
	double sum = 0, squares = 0, mean, variance, count = 0;
	int32_t t = observed(m);

	check(m->units > 0 && most > 0);
	for (uint32_t draw = 0; draw < most && (out.hits < TRACE_HITS || draw < MOMENT_DRAWS);
	     draw++) {
		struct philox g = philox_open(seed, domain, stream, draw);
		int32_t drawn;

		shuffle(&g, order, m->units);
		drawn = permuted(m, order);
		sum += drawn;
		squares += (double)drawn * drawn;
		count++;
		if (out.hits == TRACE_HITS)
			continue;
		out.draws++;
		out.hits += drawn >= t;
	}
	mean = sum / count;
	variance = squares / count - mean * mean;
	m->z = variance > 1 ? (t - mean) / sqrt(variance) : 0;
	out.log_p = out.hits == TRACE_HITS ? log((double)out.hits / (double)out.draws)
					   : log((1 + (double)out.hits) / (1 + (double)out.draws));
	return out;
}
