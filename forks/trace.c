#include "forks/trace.h"

#include "base/check.h"
#include "forks/dots.h"
#include "forks/shuffle.h"

#include <math.h>
#include <string.h>

#define BOUND_FROM 4.5                 /* z from which on the bound is worth its time */
#define BOUND_WEIGHT 6.931471805599453 /* -ln w, w = 2^-10 */
#define DRAWS_WEIGHT 0.0009770397      /* -ln (1 - w), rounded up */

struct trace_view fork_trace_view(const struct fork_sketch *moved, const struct fork_sketch *still,
				  enum rung_view view, enum rung_half half)
{
	struct trace_view v = { .view = view, .half = half, .all = true, .columns = SKETCH_RAW };

	if (view == RUNG_RAW)
		return v;
	v.columns = 0;
	if (moved->tokens_by_id != still->tokens_by_id)
		return v;
	for (uint32_t i = 0, j = 0; i < moved->tokens && j < still->tokens;) {
		uint64_t x = moved->token[i], y = still->token[j];

		if (x == y) {
			v.moved[v.columns] = (uint16_t)i;
			v.still[v.columns++] = (uint16_t)j;
		}
		i += x <= y;
		j += y <= x;
	}
	v.all = v.columns == moved->tokens && v.columns == still->tokens;
	return v;
}

/* The vectors of one part in a view. */
struct strip {
	const int16_t *rows; /* NULL: none */
	uint32_t width;
	const float *norm;
};

static struct strip strip_of(const struct sketch_part *p, enum rung_view view)
{
	if (view == RUNG_RAW)
		return (struct strip){ p->raw_width > 0 ? p->raw : NULL, p->raw_width, p->norm };
	return (struct strip){ p->token_width > 0 ? p->token : NULL, p->token_width, p->norm };
}

/* The parts that both have, from the last on. Returns how many. */
static uint32_t common_strips(const struct sketch_block *a, const struct sketch_block *b,
			      enum rung_view view, struct strip of_a[ROLE_PARTS],
			      struct strip of_b[ROLE_PARTS])
{
	uint32_t count = 0;

	for (uint32_t k = 1; k <= a->parts && k <= b->parts; k++) {
		of_a[count] = strip_of(&a->part[a->parts - k], view);
		of_b[count] = strip_of(&b->part[b->parts - k], view);
		count += of_a[count].rows && of_b[count].rows;
	}
	return count;
}

static bool is_live(const struct strip *strip, uint32_t strips, uint32_t unit)
{
	for (uint32_t k = 0; k < strips; k++)
		if (!(strip[k].norm[unit] > 0))
			return false;
	return true;
}

static uint32_t padded(uint32_t n) { return (n + 15) / 16 * 16; }

/* The rows of one side at t->place, all strips one behind the other, `width` of each; a unit that
 * the side does not have is zero. */
static void fill_rows(const struct trace *t, uint32_t first, const struct strip *strip,
		      const uint32_t *width, uint32_t strips, const uint16_t *column,
		      uint32_t columns, int16_t *to)
{
	for (uint32_t i = 0; i < t->units; i++)
		for (uint32_t k = 0; k < strips; to += width[k++]) {
			const int16_t *from = strip[k].rows + (size_t)t->place[i] * strip[k].width;

			if (t->place[i] >= first || column)
				memset(to, 0, width[k] * sizeof *to);
			if (t->place[i] >= first)
				continue;
			if (!column)
				memcpy(to, from, width[k] * sizeof *to);
			for (uint32_t c = 0; column && c < columns; c++)
				to[c] = from[column[c]];
		}
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

void fork_trace_fill(struct trace *t, const struct sketch_block *moved,
		     const struct sketch_block *still, const struct trace_view *v)
{
	struct strip strip[2][ROLE_PARTS];
	uint32_t width[ROLE_PARTS],
		total = 0, live = 0,
		strips = common_strips(moved, still, v->view, strip[0], strip[1]);

	t->units = 0;
	t->observed = 0;
	for (uint32_t k = 0; k < strips; k++) {
		uint32_t a = strip[0][k].width, b = strip[1][k].width;

		width[k] = v->all ? (a < b ? a : b) : padded(v->columns);
		total += width[k];
	}
	for (uint32_t u = 0; strips > 0 && v->columns > 0 && u < moved->first; u++)
		if ((v->half == RUNG_ALL || (u % 2 == 1) == (v->half == RUNG_ODD)) &&
		    is_live(strip[0], strips, u))
			t->place[t->units++] = (uint16_t)u;
	if (t->units < (v->half == RUNG_ALL ? SKETCH_UNITS_MIN : TRACE_HALF_MIN)) {
		t->units = 0;
		return;
	}
	fill_rows(t, moved->first, strip[0], width, strips, v->all ? NULL : v->moved, v->columns,
		  t->moved);
	fill_rows(t, still->first, strip[1], width, strips, v->all ? NULL : v->still, v->columns,
		  t->still);
	fork_dots(&(struct dots_side){ t->moved, t->units, total },
		  &(struct dots_side){ t->still, t->units, total }, total, t->c);
	for (uint32_t i = 0; i < t->units; i++) {
		t->observed += t->c[(size_t)i * t->units + i];
		live += t->place[i] < still->first && is_live(strip[1], strips, t->place[i]);
	}
	t->effect = live == 0 ? 0 : (double)t->observed / SKETCH_ONE / SKETCH_ONE / strips / live;
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
