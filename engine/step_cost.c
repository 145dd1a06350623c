#include "engine/step_cost.h"

/* A cost that was seen once is believed for some hundred steps: a step takes longer than it must
 * whenever the system takes the core away, and never shorter. */
#define RISE 1.004

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

void step_cost_learn(struct step_cost *c, uint32_t rows, int64_t took_us)
{
	if (rows == 0 || took_us <= 0)
		return;
	double *us = &c->us[size_of(rows)], took = (double)took_us;
	*us = *us > 0 && *us * RISE < took ? *us * RISE : took;
}

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

uint32_t step_cost_rows(const struct step_cost *c, uint32_t rows, double times)
{
	double most = step_cost_us(c, rows) * times;
	uint32_t best = rows;
	if (!(most > 0))
		return (uint32_t)(rows * times);
	for (unsigned i = size_of(rows) + 1; i < STEP_SIZES; i++) {
		if (step_cost_us(c, size_at(i)) > most)
			break;
		best = size_at(i) > best ? size_at(i) : best;
	}
	return best;
}
