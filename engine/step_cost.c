#include "engine/step_cost.h"

/* A cost that was seen once is believed for some hundred steps: a step takes longer than it must
 * whenever the system takes the core away, and never shorter. */
#define RISE 1.004
/* Positions before a row, up to which what it takes says little of attention. */
#define NEAR 256u
#define EVEN_MOST 65536.0 /* attention costs something, at least */

static uint32_t size_at(unsigned i)
{
	return i < 2 ? i + 1 : i % 2 == 0 ? 3u << (i / 2 - 1) : 4u << (i / 2 - 1);
}

/* The largest size that is no larger. */
static unsigned size_of(uint32_t rows)
{
	unsigned i = 0;
	while (i + 1 < STEP_SIZES && size_at(i + 1) <= rows)
		i++;
	return i;
}

static void take_least(double *known, double seen)
{
	*known = *known > 0 && *known * RISE < seen ? *known * RISE : seen;
}

/* What is known to be the least of so many rows: attention is taken for more rather than less. */
static double least_us(const struct step_cost *c, uint32_t rows)
{
	for (unsigned i = size_of(rows) + 1; i-- > 0;)
		if (c->us[i] > 0)
			return step_cost_us(c, size_at(i));
	return step_cost_us(c, rows);
}

/* Of two unknowns the one that counts for more is learned, by what is known of the other. */
void step_cost_learn(struct step_cost *c, uint32_t rows, uint64_t attended, int64_t took_us)
{
	if (rows == 0 || took_us <= 0)
		return;
	double took = (double)took_us, rest = least_us(c, rows), before = (double)attended / rows,
	       all = before * rows;
	if (rest > 0 && before >= NEAR && !c->guessed) {
		double least = step_cost_us(c, 1) / EVEN_MOST, each = (took - rest) / all;
		take_least(&c->far_us[size_of(rows)], each > least ? each : least);
		return;
	}
	if (c->guessed && before < NEAR)
		*c = (struct step_cost){ 0 };
	c->guessed = c->guessed || before >= NEAR;
	double far = all * step_cost_far_us(c, rows);
	if (c->guessed)
		far = took - took * CONTEXT_EVEN / (CONTEXT_EVEN + before);
	take_least(&c->us[size_of(rows)], far < took / 2 ? took - far : took / 2);
}

double step_cost_far_us(const struct step_cost *c, uint32_t rows)
{
	unsigned at = size_of(rows);
	for (unsigned i = 0; i < STEP_SIZES; i++) {
		if (at >= i && c->far_us[at - i] > 0)
			return c->far_us[at - i];
		if (at + i < STEP_SIZES && c->far_us[at + i] > 0)
			return c->far_us[at + i];
	}
	return step_cost_us(c, 1) / CONTEXT_EVEN;
}

bool step_cost_knows(const struct step_cost *c, uint32_t rows) { return c->us[size_of(rows)] > 0; }

double step_cost_us(const struct step_cost *c, uint32_t rows)
{
	unsigned at = size_of(rows), low = STEP_SIZES, high = STEP_SIZES;
	double most = 0; /* of smaller steps: a larger one costs no less */
	for (unsigned i = 0; i < STEP_SIZES; i++) {
		if (c->us[i] > 0 && i <= at) {
			low = i;
			most = c->us[i] > most ? c->us[i] : most;
		}
		if (c->us[i] > 0 && i > at && high == STEP_SIZES)
			high = i;
	}
	if (low == STEP_SIZES && high == STEP_SIZES)
		return 0;
	if (low == STEP_SIZES)
		return c->us[high] * rows / size_at(high);
	double from = size_at(low);
	if (high == STEP_SIZES)
		return low == at ? most : most * rows / from;
	if (low == at || c->us[high] <= most)
		return most;
	return most + (c->us[high] - most) * (rows - from) / (size_at(high) - from);
}

uint32_t step_cost_within(const struct step_cost *c, uint32_t rows, double most_us)
{
	uint32_t best = rows;
	for (unsigned i = size_of(rows) + 1; i < STEP_SIZES; i++) {
		if (step_cost_us(c, size_at(i)) > most_us)
			break;
		best = size_at(i) > best ? size_at(i) : best;
	}
	return best;
}
