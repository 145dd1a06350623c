/* Special functions for p-values: tails of the chi-square, Kolmogorov and binomial
 * distributions. */
#ifndef FORKS_SPECIAL_H
#define FORKS_SPECIAL_H

#include <stddef.h>
#include <stdint.h>

/* ln Gamma(x), x > 0. Unlike lgamma it writes no global. */
double fork_special_log_gamma(double x);

/* ln Q(a, x), the logarithm of the regularised upper incomplete gamma function; a > 0, x >= 0.
 * Relative error of Q about 1e-13 as long as a is below 1e6; never underflows. Source: DLMF 8.7.1
 * (series), 8.9.2 (continued fraction). */
double fork_special_log_gamma_tail(double a, double x);

/* ln P(X >= x) for X chi-square with so many degrees of freedom. */
double fork_special_chi_square_log_tail(double x, double degrees);

/* Probability that the Kolmogorov-Smirnov distance of n uniform values is at least d. Stephens'
 * correction of Kolmogorov's limit (J. R. Stat. Soc. B 32, 1970): within 1% of the exact value for
 * n >= 20. */
double fork_special_ks_tail(double d, uint64_t n);

/* Distance of p[count] (sorted in place, ascending) from the uniform distribution on [0, 1]. */
double fork_special_ks_distance(double *p, size_t count);

/* The counts that a binomial (n, p) stays within: each tail beyond [low, high] has probability at
 * most (1-level)/2. 0 < p < 1. */
void fork_special_binomial_interval(uint64_t n, double p, double level, uint64_t *low,
				    uint64_t *high);

#endif
