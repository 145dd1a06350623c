#include "forks/forks.h"

/* The smallest p not yet rejected; count if none is left. NaN is never found. */
static size_t next_smallest(const double *p, size_t count, const bool *reject)
{
	size_t best = count;

	for (size_t i = 0; i < count; i++)
		if (!reject[i] && p[i] >= 0 && (best == count || p[i] < p[best]))
			best = i;
	return best;
}

/* Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6,
 * 1979. Hypotheses beyond count were examined but are not listed: they stay unrejected and keep the
 * divisor high. */
void fork_holm(const double *p, size_t count, uint64_t hypotheses, double alpha, bool *reject)
{
	uint64_t left = hypotheses > count ? hypotheses : count;

	for (size_t i = 0; i < count; i++)
		reject[i] = false;
	for (; left > 0; left--) {
		size_t i = next_smallest(p, count, reject);

		if (i == count || p[i] > alpha / (double)left)
			return;
		reject[i] = true;
	}
}
