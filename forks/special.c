#include "forks/special.h"

#include <math.h>
#include <stdlib.h>

double fork_special_log_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign);
}

/* P(a, x) / (x^a e^-x / Gamma(a+1)): for x < a + 1. */
static double gamma_series(double a, double x)
{
	double term = 1, sum = 1;

	for (int n = 1; n < 100000; n++) {
		term *= x / (a + n);
		sum += term;
		if (term < sum * 1e-17)
			break;
	}
	return sum;
}

/* Q(a, x) / (x^a e^-x / Gamma(a)) by Lentz's method: for x >= a + 1. */
static double gamma_fraction(double a, double x)
{
	const double tiny = 1e-300;
	double b = x + 1 - a, c = 1 / tiny, d = 1 / b, f = d;

	for (int n = 1; n < 100000; n++) {
		double an = -n * (n - a), step;

		b += 2;
		d = an * d + b;
		d = 1 / (fabs(d) < tiny ? tiny : d);
		c = b + an / c;
		c = fabs(c) < tiny ? tiny : c;
		step = c * d;
		f *= step;
		if (fabs(step - 1) < 1e-16)
			break;
	}
	return f;
}

double fork_special_log_gamma_tail(double a, double x)
{
	double power;

	if (x <= 0)
		return 0;
	power = a * log(x) - x - fork_special_log_gamma(a);
	if (x < a + 1)
		return log1p(-fmin(exp(power - log(a)) * gamma_series(a, x), 1));
	return power + log(gamma_fraction(a, x));
}

double fork_special_chi_square_log_tail(double x, double degrees)
{
	return fork_special_log_gamma_tail(degrees / 2, x / 2);
}

double fork_special_ks_tail(double d, uint64_t n)
{
	double root = sqrt((double)n), x = (root + 0.12 + 0.11 / root) * d, sum = 0, sign = 2;

	if (n == 0 || x < 0.2) /* the alternating series needs many terms there, and its sum is 1 */
		return 1;
	for (int j = 1; j <= 100; j++) {
		double term = exp(-2 * x * x * j * j);

		sum += sign * term;
		if (term < 1e-18)
			break;
		sign = -sign;
	}
	return fmin(fmax(sum, 0), 1);
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double fork_special_ks_distance(double *p, size_t count)
{
	double distance = 0, n = (double)count;

	qsort(p, count, sizeof(*p), ascending);
	for (size_t i = 0; i < count; i++) {
		distance = fmax(distance, (double)(i + 1) / n - p[i]);
		distance = fmax(distance, p[i] - (double)i / n);
	}
	return distance;
}

static double binomial_mass(uint64_t n, double p, uint64_t k)
{
	double a = (double)n, b = (double)k;

	return exp(fork_special_log_gamma(a + 1) - fork_special_log_gamma(b + 1) -
		   fork_special_log_gamma(a - b + 1) + b * log(p) + (a - b) * log1p(-p));
}

void fork_special_binomial_interval(uint64_t n, double p, double level, uint64_t *low,
				    uint64_t *high)
{
	double tail = (1 - level) / 2, below = 0, above = 0;

	*low = 0;
	*high = n;
	while (*low < n && (below += binomial_mass(n, p, *low)) <= tail)
		++*low;
	while (*high > 0 && (above += binomial_mass(n, p, *high)) <= tail)
		--*high;
}
