/* A certified upper bound of the tail of a permuted sum, where draws would have to be too many.
 * Private to forks/. */
#ifndef FORKS_TAIL_H
#define FORKS_TAIL_H

#include <stdint.h>

#define TAIL_UNITS 256

/* Scratch of one thread. */
struct tail_room {
	float a[TAIL_UNITS * TAIL_UNITS];
	double x[TAIL_UNITS], y[TAIL_UNITS], sum[TAIL_UNITS];
};

/* An upper bound of ln P(sum over j of c[pi(j)][j] >= t) for a uniform random permutation pi of n
 * things, 1 <= n <= TAIL_UNITS; at most 0. c is [n][n]. start: a first guess of the tilt (the
 * distance of t from the mean over the variance), > 0. About the true logarithm for copies, weak
 * near the middle of the distribution. Some milliseconds.
 *
 *   P(T >= t) <= exp(-l t) E exp(l T) = exp(-l t) per(A) / n!      for every l > 0, A = exp(l c)
 *   per(A) <= prod over rows of sum over k of d(k) w(k)            w: the row, descending;
 *             d(k) = g(k) - g(k - 1),  g(k) = (k!)^(1/k)
 *   per(A) = per(A diag(y)) / prod y                               for every y > 0
 *
 * The second line is Bregman's bound carried from rows of zeros and ones to all rows: the permanent
 * is linear in each row, and a row is a sum of steps of ones. So l and y are free, and the best
 * found counts. Sources: Bregman 1973; Soules, "Permanental bounds for nonnegative matrices via
 * decomposition", Linear Algebra Appl. 394, 2005; y by Sinkhorn's scaling, Linial, Samorodnitsky,
 * Wigderson 2000. */
double fork_tail_log_bound(const int32_t *c, uint32_t n, int64_t t, double start,
			   struct tail_room *room);

#endif
