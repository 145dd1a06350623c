#include "forks/tail.h"

#include "base/check.h"
#include "forks/special.h"

#include <math.h>
#include <string.h>

#define SCALINGS 5             /* Sinkhorn's steps: more gain little */
#define GAIN_MIN 1.0           /* of a logarithm: less ends the search */
#define REFINED_ABOVE (-100.0) /* below it is more than anybody asks for */
#define DOUBLINGS 12           /* of the tilt */
#define SORTED 24              /* of a row; the others weigh as the last of these */
#define FLOOR \
	(-80.0)    /* entries below exp(FLOOR) of their row's largest are raised to it: per(A)
			 only grows */
#define SLACK 1e-6 /* of a logarithm, a row: more than all rounding */

/* A = exp(tilt c), each row over its largest; returns the sum of the logarithms of these. */
static double tilt_matrix(const int32_t *c, uint32_t n, double tilt, float *a)
{
	double logs = 0;

	for (uint32_t i = 0; i < n; i++) {
		const int32_t *row = c + (size_t)i * n;
		int32_t most = row[0];

		for (uint32_t j = 1; j < n; j++)
			most = row[j] > most ? row[j] : most;
		for (uint32_t j = 0; j < n; j++)
			a[(size_t)i * n + j] =
				(float)exp(fmax(tilt * ((double)row[j] - most), FLOOR));
		logs += tilt * most;
	}
	return logs;
}

/* y makes the columns of diag(1 / rows of A y) A diag(y) sum to 1. */
static void scale_columns(uint32_t n, struct tail_room *room)
{
	for (uint32_t j = 0; j < n; j++)
		room->y[j] = 1;
	for (int step = 0; step < SCALINGS; step++) {
		memset(room->sum, 0, sizeof room->sum);
		for (uint32_t i = 0; i < n; i++) {
			const float *row = room->a + (size_t)i * n;
			double part[4] = { 0 }, x;
			uint32_t j = 0;

			for (; j + 4 <= n; j += 4)
				for (uint32_t k = 0; k < 4; k++)
					part[k] += (double)row[j + k] * room->y[j + k];
			for (; j < n; j++)
				part[0] += (double)row[j] * room->y[j];
			x = 1 / (part[0] + part[1] + part[2] + part[3]);
			for (j = 0; j < n; j++)
				room->sum[j] += (double)row[j] * x;
		}
		for (uint32_t j = 0; j < n; j++)
			room->y[j] = 1 / room->sum[j];
	}
}

/* Bregman's weights d(k). */
static void bregman_weights(uint32_t n, double d[TAIL_UNITS])
{
	double before = 0;

	for (uint32_t k = 0; k < n; k++) {
		double g = exp(fork_special_log_gamma(k + 2.0) / (k + 1.0));

		d[k] = g - before;
		before = g;
	}
}

/* The weighted sum of one row: its largest SORTED entries by their ranks, all others by the weight
 * of the next rank, for weights descend. */
static double row_sum(const float *row, const double *y, uint32_t n, const double *d)
{
	double top[SORTED], rest = 0, sum = 0;
	uint32_t held = 0;

	for (uint32_t j = 0; j < n; j++) {
		double w = row[j] * y[j];
		uint32_t k;

		if (held == SORTED && w <= top[SORTED - 1]) {
			rest += w;
			continue;
		}
		if (held == SORTED)
			rest += top[SORTED - 1];
		else
			held++;
		for (k = held - 1; k > 0 && top[k - 1] < w; k--)
			top[k] = top[k - 1];
		top[k] = w;
	}
	for (uint32_t k = 0; k < held; k++)
		sum += d[k] * top[k];
	return held < n ? sum + d[held] * rest : sum;
}

static double bound_at(const int32_t *c, uint32_t n, int64_t t, double tilt, const double *d,
		       struct tail_room *room)
{
	double log_p = tilt_matrix(c, n, tilt, room->a) - tilt * (double)t -
		       fork_special_log_gamma(n + 1.0);

	scale_columns(n, room);
	for (uint32_t i = 0; i < n; i++)
		log_p += log(row_sum(room->a + (size_t)i * n, room->y, n, d)) - log(room->y[i]);
	return log_p + n * SLACK;
}

double fork_tail_log_bound(const int32_t *c, uint32_t n, int64_t t, double start,
			   struct tail_room *room)
{
	double d[TAIL_UNITS], best = 0, tilt = start, at = start;

	check(n >= 1 && n <= TAIL_UNITS && start > 0);
	bregman_weights(n, d);
	for (int i = 0; i < DOUBLINGS; i++, tilt *= 2) {
		double log_p = bound_at(c, n, t, tilt, d, room), gain = best - log_p;

		if (gain > 0) {
			best = log_p;
			at = tilt;
		}
		if (i > 0 && gain < GAIN_MIN)
			break;
	}
	for (int i = 0; i < 2 && best > REFINED_ABOVE; i++)
		best = fmin(best, bound_at(c, n, t, at * (i == 0 ? 1.4 : 0.7), d, room));
	return best;
}
