#include "forks/s1.h"
#include "forks/special.h"
#include "toy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* Random features, one unit a row of 3 * part numbers. copied: that share of b is a's. */
static void random_pair(struct features *a, struct features *b, uint32_t units, uint32_t part,
			double copied, uint64_t *seed)
{
	cr_assert_eq(fork_features_alloc(a, units, part, NULL), 0);
	cr_assert_eq(fork_features_alloc(b, units, part, NULL), 0);
	for (uint32_t k = 0; k < 3 * part; k++)
		for (uint32_t u = 0; u < units; u++) {
			float x = (float)(0.3 * toy_normal(seed)),
			      y = (float)(0.3 * toy_normal(seed));

			a->v[k * a->stride + u] = x;
			b->v[k * b->stride + u] = (float)(copied * x + (1 - copied) * y);
		}
}

/* Next permutation in lexicographic order; 0 after the last. */
static int next_order(uint32_t *p, uint32_t n)
{
	uint32_t i = n - 1, j = n - 1, low, high, old;

	while (i > 0 && p[i - 1] >= p[i])
		i--;
	if (i == 0)
		return 0;
	while (p[j] <= p[i - 1])
		j--;
	old = p[i - 1], p[i - 1] = p[j], p[j] = old;
	for (low = i, high = n - 1; low < high; low++, high--)
		old = p[low], p[low] = p[high], p[high] = old;
	return 1;
}

struct enumeration {
	double mean, variance, p;
};

static struct enumeration enumerate(const struct s1_matrix *m, double trace)
{
	uint32_t order[8];
	struct enumeration out = { 0 };
	double count = 0, square = 0;

	for (uint32_t i = 0; i < m->units; i++)
		order[i] = i;
	do {
		double t = 0;

		for (uint32_t i = 0; i < m->units; i++)
			t += m->c[i * m->units + order[i]] * S1_FIXED;
		count++;
		out.mean += t;
		square += t * t;
		out.p += t >= trace;
	} while (next_order(order, m->units));
	out.mean /= count;
	out.variance = square / count - out.mean * out.mean;
	out.p /= count;
	return out;
}

Test(forks_s1, moments_and_p_equal_enumeration_of_all_permutations)
{
	uint64_t seed = 3;

	for (uint32_t i = 0; i < 12; i++) {
		struct features a, b;
		struct s1_matrix m;
		struct enumeration all;
		struct s1_moments s;
		double p;

		random_pair(&a, &b, 6 + i % 2, 4, i * 0.05, &seed);
		cr_assert_eq(fork_s1_matrix_open(&m, &a, &b, NULL), 0);
		s = fork_s1_moments(&m);
		all = enumerate(&m, s.trace);
		cr_expect(fabs(s.expectation - all.mean) < 1e-9, "case %u: %.12g %.12g", i,
			  s.expectation, all.mean);
		cr_expect(fabs(s.variance - all.variance) < 1e-8, "case %u: %.12g %.12g", i,
			  s.variance, all.variance);
		cr_expect(fabs(s.z - (s.trace - all.mean) / sqrt(all.variance)) < 1e-6, "case %u",
			  i);
		p = fork_s1_p(fork_s1_exceed(&m, 9, PHILOX_COMPARE, i, 0, 20000), 20000);
		cr_expect(fabs(p - all.p) < 4.5 * sqrt(all.p * (1 - all.p) / 20000) + 1e-4,
			  "case %u: %g %g", i, p, all.p);
		fork_s1_matrix_free(&m);
		fork_features_free(&a);
		fork_features_free(&b);
	}
}

Test(forks_s1, cross_matrix_is_the_inner_products)
{
	uint64_t seed = 4;
	struct features a, b;
	struct s1_matrix m;

	random_pair(&a, &b, 21, 5, 0.5, &seed); /* no multiple of a tile */
	cr_assert_eq(fork_s1_matrix_open(&m, &a, &b, NULL), 0);
	for (uint32_t i = 0; i < 21; i++)
		for (uint32_t j = 0; j < 21; j++) {
			double sum = 0;

			for (uint32_t k = 0; k < 15; k++)
				sum += (double)a.v[k * a.stride + i] *
				       (double)b.v[k * b.stride + j];
			cr_expect(fabs(sum - m.c[i * 21 + j] * S1_FIXED) < 1e-6, "%u %u", i, j);
		}
	fork_s1_matrix_free(&m);
	fork_features_free(&a);
	fork_features_free(&b);
}

/* p-values of `count` independent pairs; units that are equal (twins) make ties. */
static void null_p(double *p, size_t count, bool twins)
{
	uint64_t seed = 77;

	for (size_t i = 0; i < count; i++) {
		struct features a, b;
		struct s1_matrix m;

		random_pair(&a, &b, 16, 4, 0, &seed);
		for (uint32_t k = 0; twins && k < 12; k++)
			for (uint32_t u = 1; u < 16; u++)
				a.v[k * a.stride + u] = u < 12 ? a.v[k * a.stride] : 0;
		cr_assert_eq(fork_s1_matrix_open(&m, &a, &b, NULL), 0);
		p[i] = fork_s1_p(fork_s1_exceed(&m, 21, PHILOX_COMPARE, (uint32_t)i, 0, 199), 199);
		fork_s1_matrix_free(&m);
		fork_features_free(&a);
		fork_features_free(&b);
	}
}

static void expect_super_uniform(const double *p, size_t count)
{
	static const double level[] = { 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75 };

	for (size_t l = 0; l < sizeof level / sizeof *level; l++) {
		uint64_t below = 0, low, high;

		for (size_t i = 0; i < count; i++)
			below += p[i] <= level[l] + 1e-12;
		fork_special_binomial_interval(count, level[l], 0.999, &low, &high);
		cr_expect(below <= high, "p <= %g: %d of %zu", level[l], (int)below, count);
	}
}

Test(forks_s1, p_is_uniform_for_independent_blocks)
{
	static double p[2000];

	null_p(p, 2000, false);
	expect_super_uniform(p, 2000);
	cr_expect(fork_special_ks_tail(fork_special_ks_distance(p, 2000), 2000) > 0.01);
}

Test(forks_s1, ties_count_against_dependence)
{
	static double p[1000];

	null_p(p, 1000, true);
	expect_super_uniform(p, 1000);
}

Test(forks_s1, constant_block_has_nothing_to_test)
{
	struct features f;
	struct s1_matrix m;

	cr_assert_eq(fork_features_alloc(&f, 16, 2, NULL), 0);
	for (uint32_t k = 0; k < 6; k++)
		for (uint32_t u = 0; u < 16; u++)
			f.v[k * f.stride + u] = 0.4f;
	cr_assert_eq(fork_s1_matrix_open(&m, &f, &f, NULL), 0);
	cr_expect(fork_s1_moments(&m).constant);
	cr_expect_eq(fork_s1_p(fork_s1_exceed(&m, 1, PHILOX_COMPARE, 0, 0, 50), 50), 1);
	fork_s1_matrix_free(&m);
	fork_features_free(&f);
}

Test(forks_s1, draws_in_two_parts_are_the_draws_in_one)
{
	uint64_t seed = 8;
	struct features a, b;
	struct s1_matrix m;

	random_pair(&a, &b, 20, 4, 0.02, &seed);
	cr_assert_eq(fork_s1_matrix_open(&m, &a, &b, NULL), 0);
	cr_expect_eq(fork_s1_exceed(&m, 2, PHILOX_COMPARE, 5, 0, 700) +
			     fork_s1_exceed(&m, 2, PHILOX_COMPARE, 5, 700, 3000),
		     fork_s1_exceed(&m, 2, PHILOX_COMPARE, 5, 0, 3000));
	fork_s1_matrix_free(&m);
	fork_features_free(&a);
	fork_features_free(&b);
}
