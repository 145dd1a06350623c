#include "drawn.h"
#include "forks/special.h"
#include "forks/tail.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

/* Next permutation in lexicographic order; false after the last. */
static bool next_order(uint32_t *p, uint32_t n)
{
	uint32_t i = n - 1, j = n - 1, low, high, old;

	while (i > 0 && p[i - 1] >= p[i])
		i--;
	if (i == 0)
		return false;
	while (p[j] <= p[i - 1])
		j--;
	old = p[i - 1], p[i - 1] = p[j], p[j] = old;
	for (low = i, high = n - 1; low < high; low++, high--)
		old = p[low], p[low] = p[high], p[high] = old;
	return true;
}

static double exact_log_p(const int32_t *c, uint32_t n, int64_t t)
{
	uint32_t order[8];
	double count = 0, reach = 0;

	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	do {
		int64_t sum = 0;

		for (uint32_t i = 0; i < n; i++)
			sum += c[order[i] * n + i];
		count++;
		reach += sum >= t;
	} while (next_order(order, n));
	return log(reach / count);
}

/* Matrices of many kinds: normal, few values (ties), heavy tails, zero columns, large diagonals. */
static int32_t awkward(uint32_t kind, uint32_t i, uint32_t j, uint64_t *seed)
{
	double x = drawn_normal(seed);

	switch (kind % 6) {
	case 0:
		return (int32_t)(1e6 * x);
	case 1:
		return (int32_t)drawn_below(seed, 3) * 1000;
	case 2:
		return (int32_t)fmax(-2e9, fmin(2e9, 1e5 * x / drawn_uniform(seed)));
	case 3:
		return j % 3 == 0 ? 0 : (int32_t)(1e4 * x);
	case 4:
		return (int32_t)(1e6 * x) + (i == j ? (int32_t)(kind * 100000) : 0);
	default:
		return (int32_t)(10 * x) + (i == j ? 50000000 : 0);
	}
}

static void moments(const int32_t *c, uint32_t n, double *mean, double *variance)
{
	double all = 0;

	*variance = 0;
	for (uint32_t i = 0; i < n * n; i++)
		all += c[i];
	*mean = all / n;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < n; j++) {
			double d = c[i * n + j] + all / n / n;

			for (uint32_t k = 0; k < n; k++)
				d -= ((double)c[i * n + k] + c[k * n + j]) / n;
			*variance += d * d / (n - 1);
		}
}

Test(forks_tail, bound_is_never_below_the_exact_probability)
{
	struct tail_room *room = calloc(1, sizeof *room);
	uint64_t seed = 1;

	for (uint32_t kind = 0; kind < 3000; kind++) {
		int32_t c[49];
		uint32_t n = 1 + kind % 7;
		double mean, variance, exact, bound, start;
		int64_t t = 0;

		for (uint32_t i = 0; i < n; i++)
			for (uint32_t j = 0; j < n; j++)
				c[i * n + j] = awkward(kind / 7, i, j, &seed);
		for (uint32_t i = 0; i < n; i++)
			t += c[i * n + i];
		moments(c, n, &mean, &variance);
		exact = exact_log_p(c, n, t);
		start = variance > 0 && (double)t > mean ? ((double)t - mean) / variance : 1e-6;
		bound = fork_tail_log_bound(c, n, t, start, room);
		cr_expect(bound >= exact && bound <= 0, "kind %u of %u: %.15g below %.15g", kind, n,
			  bound, exact);
		bound = fork_tail_log_bound(c, n, t, start * 30 * drawn_uniform(&seed), room);
		cr_expect(bound >= exact, "kind %u of %u: %.15g below %.15g", kind, n, bound,
			  exact);
	}
	free(room);
}

Test(forks_tail, a_copy_gives_one_order_of_all)
{
	static const uint32_t size[] = { 16, 24, 64, 256 };
	struct tail_room *room = calloc(1, sizeof *room);
	int32_t *c = calloc(TAIL_UNITS * TAIL_UNITS, sizeof *c);
	uint64_t seed = 2;

	for (size_t k = 0; k < sizeof size / sizeof *size; k++) {
		uint32_t n = size[k];
		double mean, variance, bound, all = -fork_special_log_gamma(n + 1.0);
		int64_t t = 0;

		for (uint32_t i = 0; i < n * n; i++)
			c[i] = (int32_t)(1e6 * drawn_normal(&seed));
		for (uint32_t i = 0; i < n; i++)
			t += c[i * n + i] = 30000000;
		moments(c, n, &mean, &variance);
		bound = fork_tail_log_bound(c, n, t, ((double)t - mean) / variance, room);
		cr_expect(bound >= all && bound < all + 0.5, "%u: %g, %g", n, bound, all);
	}
	free(c);
	free(room);
}
