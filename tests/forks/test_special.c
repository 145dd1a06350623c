/* Published values: Abramowitz and Stegun, tables 26.1 (normal) and 26.8 (chi-square); Kolmogorov's
 * limit and the exact Kolmogorov-Smirnov points of Miller (J. Am. Stat. Assoc. 51, 1956); closed
 * forms elsewhere. */
#include "forks/special.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

static void near(double got, double want, double relative, const char *row)
{
	cr_expect(fabs(got - want) <= relative * fabs(want), "%s: %.17g, expected %.17g", row, got,
		  want);
}

Test(forks_special, chi_square_tail_agrees_with_tables)
{
	static const struct {
		double x, degrees, p;
	} row[] = {
		{ 3.84146, 1, 0.05 },   { 6.63490, 1, 0.01 },    { 5.99146, 2, 0.05 },
		{ 18.3070, 10, 0.05 },  { 29.5883, 10, 0.001 },  { 43.7730, 30, 0.05 },
		{ 124.342, 100, 0.05 }, { 149.449, 100, 0.001 }, { 0.00393214, 1, 0.95 },
		{ 3.94030, 10, 0.95 },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		char name[40];

		snprintf(name, sizeof name, "x %g, %g degrees", row[i].x, row[i].degrees);
		near(exp(fork_special_chi_square_log_tail(row[i].x, row[i].degrees)), row[i].p,
		     1e-4, name);
	}
}

Test(forks_special, chi_square_tail_of_even_degrees_is_a_poisson_sum)
{
	for (int half = 1; half <= 60; half += 7)
		for (double x = 0.5; x < 3000; x *= 2.3) {
			double log_sum = 0, log_term = 0; /* ln sum_{j < half} (x/2)^j / j! */

			for (int j = 1; j < half; j++) {
				log_term += log(x / 2 / j);
				log_sum = fmax(log_sum, log_term) +
					  log1p(exp(-fabs(log_sum - log_term)));
			}
			near(fork_special_chi_square_log_tail(x, 2 * half) - 1, log_sum - x / 2 - 1,
			     1e-12, "log tail");
		}
}

Test(forks_special, log_tail_does_not_underflow)
{
	double p = fork_special_chi_square_log_tail(1e6, 138);

	cr_expect(isfinite(p) && p < -490000 && p > -500000, "%g", p);
}

Test(forks_special, kolmogorov_tail_agrees_with_published_points)
{
	static const struct {
		uint64_t n;
		double d, p;
	} row[] = {
		{ 20, 0.29408, 0.05 },         { 20, 0.35241, 0.01 },
		{ 50, 0.18845, 0.05 },         { 50, 0.22604, 0.01 },
		{ 100, 0.13403, 0.05 },        { 100, 0.16081, 0.01 },
		{ 100, 0.12067, 0.10 },        { 1000000, 1.35810e-3, 0.05 },
		{ 1000000, 1.62762e-3, 0.01 }, { 1000000, 0.82757e-3, 0.5 },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		char name[40];

		snprintf(name, sizeof name, "n %d, d %g", (int)row[i].n, row[i].d);
		near(fork_special_ks_tail(row[i].d, row[i].n), row[i].p, 0.012, name);
	}
	cr_expect_eq(fork_special_ks_tail(0.001, 100), 1);
	cr_expect_eq(fork_special_ks_tail(1, 480), 0);
}

Test(forks_special, kolmogorov_distance_is_the_largest_gap)
{
	double middle[] = { 0.75, 0.25 }, low[] = { 0.1, 0.2, 0.3, 0.4 };

	near(fork_special_ks_distance(middle, 2), 0.25, 1e-15, "even");
	near(fork_special_ks_distance(low, 4), 0.6, 1e-15, "low");
}

Test(forks_special, binomial_interval_leaves_the_tails_out)
{
	uint64_t low, high;
	double inside = 0, one_less = 0;

	fork_special_binomial_interval(480, 0.005, 0.999, &low, &high);
	cr_expect_eq(low, 0);
	cr_expect_eq(high, 9); /* P(X >= 9) = .00087, P(X >= 10) = .00023 for mean 2.4 */
	fork_special_binomial_interval(10, 0.5, 0.95, &low, &high);
	cr_expect_eq(low, 2); /* P(X <= 1) = 11/1024 = .0107, P(X <= 2) = .0547 */
	cr_expect_eq(high, 8);
	for (uint64_t k = 2; k <= 8; k++)
		inside += exp(fork_special_log_gamma(11) - fork_special_log_gamma((double)k + 1) -
			      fork_special_log_gamma(11 - (double)k)) /
			  1024;
	one_less = inside - 2 * 45.0 / 1024;
	cr_expect(inside >= 0.95 && one_less < 0.95);
}
