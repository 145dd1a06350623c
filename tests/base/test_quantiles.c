#include "base/quantiles.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

static int rising(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static uint64_t draw(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 20;
}

Test(quantiles, lie_within_a_hundredth_of_those_of_a_sorted_list)
{
	enum { N = 20000 };
	static uint64_t value[N];
	static const double share[] = { 0.001, 0.5, 0.95, 0.99, 0.999, 1 };
	uint64_t state = 7;
	for (unsigned width = 1; width < 44; width += 3) {
		struct quantiles *q = calloc(1, sizeof *q);
		for (int i = 0; i < N; i++) {
			value[i] = draw(&state) >> (44 - width);
			quantiles_add(q, value[i]);
		}
		qsort(value, N, sizeof *value, rising);
		for (size_t i = 0; i < sizeof share / sizeof *share; i++) {
			double exact = (double)value[(size_t)ceil(share[i] * N) - 1];
			double told = quantiles_at(q, share[i]);
			cr_assert(fabs(told - exact) <= exact * 0.008, "%u bits, %g: %g, not %g", width,
				  share[i], told, exact);
		}
		cr_assert_eq(q->most, value[N - 1]);
		free(q);
	}
}

Test(quantiles, of_nothing_are_zero_and_of_one_value_that_value)
{
	struct quantiles *q = calloc(1, sizeof *q);
	cr_assert(quantiles_at(q, 0.5) == 0 && quantiles_mean(q) == 0);
	quantiles_add(q, 1000003);
	cr_assert(fabs(quantiles_at(q, 0) - 1000003) < 8000 && quantiles_at(q, 1) <= 1000003);
	cr_assert(quantiles_mean(q) == 1000003);
	free(q);
}

Test(quantiles, keep_the_largest_values_there_are)
{
	struct quantiles *q = calloc(1, sizeof *q);
	quantiles_add(q, UINT64_MAX);
	quantiles_add(q, 0);
	cr_assert(quantiles_at(q, 0.5) == 0 && quantiles_at(q, 1) > 1e15);
	cr_assert_eq(q->most, UINT64_MAX);
	free(q);
}
