#include "forks/trace.h"

#include "base/check.h"
#include "forks/dots.h"
#include "forks/shuffle.h"

#include <math.h>
#include <string.h>

#define BOUND_FROM 4.5                 /* z from which on the bound is worth its time */
#define BOUND_WEIGHT 6.931471805599453 /* -ln w, w = 2^-10 */
#define DRAWS_WEIGHT 0.0009770397      /* -ln (1 - w), rounded up */

struct trace_side fork_trace_side(const struct sketch_block *b, enum rung_view view)
{
	struct trace_side side = { .block = b };

	for (uint32_t k = 0; k < b->parts; k++)
		side.part[k] = fork_view_part(&b->part[k], view);
	return side;
}

/* The parts that both have, from the last on. Returns how many. */
static uint32_t common_parts(const struct trace_side *a, const struct trace_side *b,
			     struct view_part of_a[ROLE_PARTS], struct view_part of_b[ROLE_PARTS])
{
	uint32_t count = 0;

	for (uint32_t k = 1; k <= a->block->parts && k <= b->block->parts; k++) {
		of_a[count] = a->part[a->block->parts - k];
		of_b[count] = b->part[b->block->parts - k];
		count += of_a[count].width > 0 && of_b[count].width > 0;
	}
	return count;
}

static bool is_live(const struct view_part *part, uint32_t parts, uint32_t unit)
{
	for (uint32_t k = 0; k < parts; k++)
		if (!(part[k].norm[unit] > 0))
			return false;
	return true;
}

/* The rows of one side at t->place, all parts one behind the other, `width` of each; a unit that
 * the side does not have is zero. */
static void fill_rows(const struct trace *t, uint32_t first, const struct view_part *part,
		      const uint32_t *width, uint32_t parts, int16_t *to)
{
	for (uint32_t i = 0; i < t->units; i++)
		for (uint32_t k = 0; k < parts; to += width[k++])
			if (t->place[i] < first)
				memcpy(to, part[k].v + (size_t)t->place[i] * part[k].width,
				       width[k] * sizeof *to);
			else
				memset(to, 0, width[k] * sizeof *to);
}

/* Sum of the squares of the doubly centred matrix; *mean: of all entries. */
static double centred_squares(const struct trace *t, double *mean)
{
	double row[TRACE_UNITS] = { 0 }, column[TRACE_UNITS] = { 0 }, sum = 0, n = t->units;

	*mean = 0;
	for (uint32_t i = 0; i < t->units; i++) {
		int64_t total = 0;

		for (uint32_t j = 0; j < t->units; j++) {
			total += t->c[(size_t)i * t->units + j];
			column[j] += t->c[(size_t)i * t->units + j]; /* exact: below 2^53 */
		}
		row[i] = (double)total / n;
		*mean += row[i] / n;
	}
	for (uint32_t j = 0; j < t->units; j++)
		column[j] = column[j] / n - *mean;
	for (uint32_t i = 0; i < t->units; i++) {
		double part[4] = { 0 };

		for (uint32_t j = 0; j < t->units; j++) {
			double d = t->c[(size_t)i * t->units + j] - row[i] - column[j];

			part[j % 4] += d * d;
		}
		sum += part[0] + part[1] + part[2] + part[3];
	}
	return sum;
}

static void fill_moments(struct trace *t)
{
	double mean, n = t->units, squares = centred_squares(t, &mean),
		     above = (double)t->observed - n * mean, variance = squares / (n - 1);

	t->constant = squares < n * n; /* no more than one step of the fixed point, each */
	t->z = t->constant ? 0 : above / sqrt(variance);
	t->tilt = t->constant ? 0 : above / variance;
}

void fork_trace_fill(struct trace *t, const struct trace_side *moved,
		     const struct trace_side *still, enum rung_half half)
{
	struct view_part part[2][ROLE_PARTS];
	uint32_t width[ROLE_PARTS], total = 0, live = 0,
				    parts = common_parts(moved, still, part[0], part[1]);

	t->units = 0;
	t->observed = 0;
	for (uint32_t k = 0; k < parts; k++)
		total += width[k] = fork_view_width(&part[0][k], &part[1][k]);
	for (uint32_t u = 0; parts > 0 && u < moved->block->first; u++)
		if ((half == RUNG_ALL || (u % 2 == 1) == (half == RUNG_ODD)) &&
		    is_live(part[0], parts, u))
			t->place[t->units++] = (uint16_t)u;
	if (t->units < (half == RUNG_ALL ? SKETCH_UNITS_MIN : TRACE_HALF_MIN)) {
		t->units = 0;
		return;
	}
	fill_rows(t, moved->block->first, part[0], width, parts, t->moved);
	fill_rows(t, still->block->first, part[1], width, parts, t->still);
	fork_dots(&(struct dots_side){ t->moved, t->units, total },
		  &(struct dots_side){ t->still, t->units, total }, total, t->c);
	for (uint32_t i = 0; i < t->units; i++) {
		t->observed += t->c[(size_t)i * t->units + i];
		live += t->place[i] < still->block->first && is_live(part[1], parts, t->place[i]);
	}
	t->effect = live ? (double)t->observed / SKETCH_ONE / SKETCH_ONE / parts / live : 0;
	fill_moments(t);
}

struct trace_p fork_trace_draw(const struct trace *t, uint64_t seed, enum philox_domain domain,
			       uint32_t stream, uint32_t most)
{
	struct trace_p out = { 0 };
	uint16_t order[SHUFFLE_UNITS_MAX];

	check(t->units > 0 && most > 0);
	while (out.draws < most && out.hits < TRACE_HITS) {
		struct philox g = philox_open(seed, domain, stream, (uint32_t)out.draws++);
		const int32_t *row = t->c;
		int64_t sum = 0;

		shuffle(&g, order, t->units);
		for (uint32_t i = 0; i < t->units; i++, row += t->units)
			sum += row[order[i]];
		out.hits += sum >= t->observed;
	}
	out.log_p = out.hits == TRACE_HITS ? log((double)out.hits / (double)out.draws)
					   : log((1 + (double)out.hits) / (1 + (double)out.draws));
	return out;
}

/* m / (1 - w) */
static struct trace_p weighted(struct trace_p p)
{
	p.log_p = fmin(0, p.log_p + DRAWS_WEIGHT);
	return p;
}

struct trace_p fork_trace_test(struct trace *t, uint64_t seed, enum philox_domain domain,
			       uint32_t stream, uint32_t most)
{
	double bound = 0;
	struct trace_p p;

	if (t->constant)
		return (struct trace_p){ 0 };
	if (t->z > BOUND_FROM)
		bound = BOUND_WEIGHT +
			fork_tail_log_bound(t->c, t->units, t->observed, t->tilt, &t->tail);
	if (bound < -log(most + 1.0))
		return (struct trace_p){ .log_p = bound };
	p = weighted(fork_trace_draw(t, seed, domain, stream, most));
	p.log_p = fmin(p.log_p, fmin(bound, 0));
	return p;
}
