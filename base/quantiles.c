/* A bucket is a power of two cut into 64 equal steps, so that its width is at most 1/64 of its
 * values and the middle at most 1/128 away; below 64 it is one value. */
#include "base/quantiles.h"

#include <math.h>

#define STEP_BITS 6

/* Power 0 holds 0 to 63; power p holds [64 << (p - 1), 64 << p). */
static unsigned power_of(uint64_t value)
{
	unsigned bits = value ? 64 - (unsigned)__builtin_clzll(value) : 0;
	unsigned power = bits > STEP_BITS ? bits - STEP_BITS : 0;
	return power < QUANTILES_POWERS ? power : QUANTILES_POWERS - 1;
}

void quantiles_add(struct quantiles *q, uint64_t value)
{
	unsigned power = power_of(value);
	uint64_t step = power ? (value >> (power - 1)) - QUANTILES_STEPS : value;
	if (step >= QUANTILES_STEPS)
		step = QUANTILES_STEPS - 1;
	q->bucket[power][step]++;
	q->count++;
	q->sum += (double)value;
	q->most = value > q->most ? value : q->most;
}

static double middle(unsigned power, unsigned step)
{
	if (!power)
		return step;
	double width = ldexp(1, (int)power - 1);
	return (QUANTILES_STEPS + step) * width + (width - 1) / 2;
}

double quantiles_at(const struct quantiles *q, double share)
{
	double rank = ceil(share * (double)q->count);
	uint64_t before = 0;
	if (!q->count)
		return 0;
	for (unsigned p = 0; p < QUANTILES_POWERS; p++)
		for (unsigned s = 0; s < QUANTILES_STEPS; s++) {
			before += q->bucket[p][s];
			if (before && (double)before >= rank)
				return fmin(middle(p, s), (double)q->most);
		}
	return (double)q->most;
}

double quantiles_mean(const struct quantiles *q)
{
	return q->count ? q->sum / (double)q->count : 0;
}
