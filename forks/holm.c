#include "forks/forks.h"

#include <math.h>

/* The smallest not yet placed; count if none is left. NaN is never found. */
static size_t next_smallest(const double *p, size_t count, const bool *placed)
{
	size_t best = count;

	for (size_t i = 0; i < count; i++)
		if (!placed[i] && !isnan(p[i]) && (best == count || p[i] < p[best]))
			best = i;
	return best;
}

/* Source: Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6,
 * 1979. Hypotheses beyond count were examined but are not listed: they stay unrejected and keep the
 * divisor high. reject[] first says which are placed: those after the first that is not rejected
 * are taken back at the end. */
void fork_holm(const double *log_p, size_t count, uint64_t hypotheses, double alpha,
	       double *threshold, bool *reject)
{
	uint64_t left = hypotheses > count ? hypotheses : count;
	double failed = INFINITY; /* the smallest p that is not rejected */

	for (size_t i = 0; i < count; i++) {
		reject[i] = false;
		if (threshold)
			threshold[i] = NAN;
	}
	for (; left > 0; left--) {
		size_t i = next_smallest(log_p, count, reject);
		double level = log(alpha / (double)left);

		if (i == count)
			break;
		reject[i] = true;
		if (threshold)
			threshold[i] = level;
		if (log_p[i] > level && log_p[i] < failed)
			failed = log_p[i];
	}
	for (size_t i = 0; i < count; i++)
		reject[i] = reject[i] && log_p[i] < failed;
}
