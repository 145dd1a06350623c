#include "forks/s2.h"
#include "forks/special.h"
#include "toy.h"

#include <criterion/criterion.h>
#include <math.h>

static void random_features(struct features *f, uint32_t units, uint32_t part, uint64_t *seed)
{
	cr_assert_eq(fork_features_alloc(f, units, part, NULL), 0);
	for (uint32_t k = 0; k < 3 * part; k++)
		for (uint32_t u = 0; u < units; u++)
			f->v[k * f->stride + u] = (float)(0.3 * toy_normal(seed));
}

/* The statistic by its definition, in doubles: sum of matrix correlations with units of b in the
 * given order. */
static double mantel(const struct features *a, const struct features *b, const uint16_t *order)
{
	static const int kind[6][2] = {
		{ 0, 0 }, { 1, 1 }, { 2, 2 }, { 0, 1 }, { 0, 2 }, { 1, 2 }
	};
	uint32_t n = a->units;
	double t = 0;

	for (int p = 0; p < 6; p++) {
		double g[2][8][8], mean[2] = { 0 }, ab = 0, aa = 0, bb = 0;

		for (int m = 0; m < 2; m++)
			for (uint32_t i = 0; i < n; i++)
				for (uint32_t j = 0; j < n; j++) {
					const struct features *f = m ? b : a;
					uint32_t x = m ? order[i] : i, y = m ? order[j] : j;

					g[m][i][j] = 0;
					for (uint32_t k = 0; k < f->part; k++)
						g[m][i][j] += (double)f->v[((uint32_t)kind[p][0] *
										    f->part +
									    k) * f->stride +
									   x] *
							      (double)f->v[((uint32_t)kind[p][1] *
										    f->part +
									    k) * f->stride +
									   y];
					mean[m] += i == j ? 0 : g[m][i][j] / n / (n - 1);
				}
		for (uint32_t i = 0; i < n; i++)
			for (uint32_t j = 0; j < n; j++) {
				double u = i == j ? 0 : g[0][i][j] - mean[0],
				       v = i == j ? 0 : g[1][i][j] - mean[1];

				ab += u * v;
				aa += u * u;
				bb += v * v;
			}
		t += ab / sqrt(aa) / sqrt(bb);
	}
	return t;
}

static double exact_p(const struct features *a, const struct features *b)
{
	uint16_t order[5], identity[] = { 0, 1, 2, 3, 4 };
	double observed = mantel(a, b, identity), count = 0, reach = 0;

	for (int code = 0; code < 3125;
	     code++) { /* all words of five letters; the permutations among them */
		int seen = 0;

		for (int i = 0, c = code; i < 5; i++, c /= 5) {
			order[i] = (uint16_t)(c % 5);
			seen |= 1 << order[i];
		}
		if (seen != 31)
			continue;
		count++;
		reach += mantel(a, b, order) >=
			 observed - 1e-4; /* the scaled integers are that coarse */
	}
	cr_assert_eq(count, 120);
	return reach / count;
}

Test(forks_s2, equals_the_definition_over_all_permutations)
{
	uint64_t seed = 5;

	for (uint32_t i = 0; i < 8; i++) {
		struct features a, b;
		struct s2_gram g, h;
		struct s2_score s;
		uint16_t identity[] = { 0, 1, 2, 3, 4 };
		double p;

		random_features(&a, 5, 6, &seed);
		random_features(&b, 5, 6, &seed);
		for (uint32_t k = 0; k < 18 * a.stride; k++)
			b.v[k] += (float)i * 0.1f * a.v[k];
		fork_s2_gram_fill(&g, &a);
		fork_s2_gram_fill(&h, &b);
		s = fork_s2_score(&g, &h, 3, PHILOX_COMPARE_S2, i, 20000);
		p = exact_p(&a, &b);
		cr_expect(fabs(6 * s.effect - mantel(&a, &b, identity)) < 1e-3, "case %u", i);
		cr_expect(fabs(s.p - p) < 4.5 * sqrt(p * (1 - p) / 20000) + 1e-4,
			  "case %u: %g, exactly %g", i, s.p, p);
		fork_features_free(&a);
		fork_features_free(&b);
	}
}

Test(forks_s2, p_is_uniform_for_independent_blocks)
{
	static double p[1000];
	uint64_t seed = 6;

	for (uint32_t i = 0; i < 1000; i++) {
		struct features a, b;
		struct s2_gram g, h;

		random_features(&a, 16, 4, &seed);
		random_features(&b, 16, 4, &seed);
		fork_s2_gram_fill(&g, &a);
		fork_s2_gram_fill(&h, &b);
		p[i] = fork_s2_score(&g, &h, 3, PHILOX_COMPARE_S2, i, 199).p;
		fork_features_free(&a);
		fork_features_free(&b);
	}
	for (double level = 0.01; level < 1; level += 0.07) {
		uint64_t below = 0, low, high;

		for (size_t i = 0; i < 1000; i++)
			below += p[i] <= level + 1e-12;
		fork_special_binomial_interval(1000, level, 0.999, &low, &high);
		cr_expect(below <= high, "p <= %g: %d", level, (int)below);
	}
	cr_expect(fork_special_ks_tail(fork_special_ks_distance(p, 1000), 1000) > 0.01);
}

Test(forks_s2, block_without_structure_is_no_evidence)
{
	struct features f;
	struct s2_gram g;
	struct s2_score s;

	cr_assert_eq(fork_features_alloc(&f, 16, 2, NULL), 0);
	fork_s2_gram_fill(&g, &f);
	s = fork_s2_score(&g, &g, 3, PHILOX_COMPARE_S2, 0, 100);
	cr_expect(s.p == 1 && s.z == 0 && s.effect == 0);
	fork_features_free(&f);
}
