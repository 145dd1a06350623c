#include "drawn.h"
#include "forks/mantel.h"
#include "forks/special.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct mantel *mantel_new(void)
{
	struct mantel *m = calloc(1, sizeof *m);

	cr_assert(m);
	return m;
}

/* The statistic by its definition, in doubles, over the units at m->place: mean over the pairs of
 * parts of the matrix correlation off the diagonal. */
static double by_definition(const struct mantel *m, const struct sketch_block *a,
			    const struct sketch_block *b, uint32_t parts)
{
	uint32_t n = m->units, kinds = 0;
	double total = 0;

	for (uint32_t x = 1; x <= parts; x++)
		for (uint32_t y = x; y <= parts; y++, kinds++) {
			double g[2][24][24], mean[2] = { 0 }, ab = 0, aa = 0, bb = 0;

			for (int s = 0; s < 2; s++)
				for (uint32_t i = 0; i < n; i++)
					for (uint32_t j = 0; j < n; j++) {
						const struct sketch_block *f = s ? b : a;
						const struct sketch_part *p =
							&f->part[f->parts - x];
						const struct sketch_part *q =
							&f->part[f->parts - y];

						g[s][i][j] = 0;
						for (uint32_t k = 0; k < p->raw_width; k++)
							g[s][i][j] +=
								(double)p
									->raw[m->place[i] *
										      p->raw_width +
									      k] *
								q->raw[m->place[j] * q->raw_width +
								       k];
						mean[s] += i == j ? 0 : g[s][i][j] / n / (n - 1);
					}
			for (uint32_t i = 0; i < n; i++)
				for (uint32_t j = 0; j < n; j++) {
					double u = i == j ? 0 : g[0][i][j] - mean[0],
					       v = i == j ? 0 : g[1][i][j] - mean[1];

					ab += u * v;
					aa += u * u;
					bb += v * v;
				}
			total += ab / sqrt(aa) / sqrt(bb);
		}
	return total / kinds;
}

Test(forks_mantel, effect_is_the_definition)
{
	for (uint32_t parts = 2; parts <= 3; parts++) {
		struct drawn_shape shape = { FORK_DENSE, 1, 1, 30, 40, parts, 0, DRAWN_TRAINED };
		struct drawn *a = drawn_new(&shape, parts), *b = drawn_copy(a);
		struct mantel *m = mantel_new();
		struct fork_sketch *s, *t;
		double want;

		drawn_noise(b, 1, 3);
		memset(a->block[0].v[0] + 3 * 40, 0, 40 * sizeof(float));
		memset(b->block[0].v[1] + 5 * 40, 0, 40 * sizeof(float));
		s = drawn_sketch(a);
		t = drawn_sketch(b);
		fork_mantel_fill(m, &s->block[0], &t->block[0]);
		cr_assert_eq(m->units, MANTEL_UNITS);
		cr_expect(m->place[3] == 4 && m->place[4] == 6); /* units dead on a side are out */
		want = by_definition(m, &s->block[0], &t->block[0], parts);
		cr_expect(fabs(m->effect - want) < 1e-3, "%u parts: %g, not %g", parts, m->effect,
			  want);
		cr_expect(want > 0.2);
		drawn_sketch_free(s);
		drawn_sketch_free(t);
		drawn_free(a);
		drawn_free(b);
		free(m);
	}
}

Test(forks_mantel, both_forms_give_one_sum)
{
	struct mantel *m = mantel_new();
	uint64_t seed = 5;

	for (int i = 0; i < MANTEL_UNITS; i++)
		for (int j = 0; j < MANTEL_UNITS; j++)
			for (int k = 0; k < MANTEL_LANES; k++) {
				m->moved.v[i][j][k] = (int16_t)(3000 * drawn_normal(&seed));
				m->still.v[i][j][k] = (int16_t)(3000 * drawn_normal(&seed));
			}
	for (uint32_t n = 2; n <= MANTEL_UNITS; n++) {
		uint16_t order[MANTEL_UNITS];

		for (uint32_t i = 0; i < n; i++)
			order[i] = (uint16_t)((i * 7 + n) % n);
		if (__builtin_cpu_supports("avx2"))
			cr_expect_eq(fork_mantel_sum_plain(&m->moved, &m->still, order, n),
				     fork_mantel_sum_avx2(&m->moved, &m->still, order, n),
				     "%u units", n);
	}
	free(m);
}

/* All 120 orders of five units, over the same integers. */
static double exact_p(const struct mantel *m)
{
	int64_t observed = 0;
	double count = 0, reach = 0;

	for (int code = -1; code < 3125; code++) {
		uint32_t order[5] = { 0, 1, 2, 3, 4 }, seen = 0;
		int64_t sum = 0;

		for (int i = 0, c = code; code >= 0 && i < 5; i++, c /= 5)
			order[i] = (uint32_t)c % 5;
		for (int i = 0; i < 5; i++)
			seen |= 1u << order[i];
		if (seen != 31)
			continue;
		for (int i = 0; i < 5; i++)
			for (int j = i + 1; j < 5; j++)
				for (int k = 0; k < MANTEL_LANES; k++)
					sum += m->moved.v[order[i]][order[j]][k] *
					       m->still.v[i][j][k];
		if (code < 0) {
			observed = sum;
			continue;
		}
		count++;
		reach += sum >= observed;
	}
	cr_assert_eq(count, 120);
	return reach / count;
}

Test(forks_mantel, sequential_p_is_the_exact_one)
{
	struct mantel *m = mantel_new();
	uint64_t seed = 4;
	double deviation = 0;

	for (uint32_t i = 0; i < 100; i++) {
		struct trace_p p;
		double exact, z;

		m->units = 5;
		for (int x = 0; x < 5; x++)
			for (int y = 0; y < 5; y++)
				for (int k = 0; k < 6; k++) {
					double v = drawn_normal(&seed);

					m->moved.v[x][y][k] = (int16_t)(2000 * v);
					v = 0.05 * (i % 5) * v + drawn_normal(&seed);
					m->still.v[x][y][k] = (int16_t)(2000 * v);
				}
		exact = exact_p(m);
		p = fork_mantel_draw(m, 5, PHILOX_TEST, i, 1000000);
		cr_assert_eq(p.hits, TRACE_HITS);
		z = exact < 1 ? ((double)p.draws - TRACE_HITS / exact) /
					(sqrt(TRACE_HITS * (1 - exact)) / exact)
			      : 0;
		cr_expect(fabs(z) < 5.5, "case %u: %u draws, p %g", i, (unsigned)p.draws, exact);
		deviation += z;
	}
	cr_expect(fabs(deviation) < 4 * sqrt(100), "%g", deviation);
	free(m);
}

Test(forks_mantel, realised_error_is_the_nominal_one)
{
	static double p[5000];
	static const double level[] = { 0.05, 0.01, 0.001 };
	struct mantel *m = mantel_new();

	for (uint32_t i = 0; i < 5000; i++) {
		struct drawn_shape shape = { FORK_DENSE, 1, 1, 20,
					     16,         3, 0, (enum drawn_law)(i % DRAWN_LAWS) };
		struct drawn *a = drawn_new(&shape, 2 * i), *b = drawn_new(&shape, 2 * i + 1);
		struct fork_sketch *s = drawn_sketch(a), *t = drawn_sketch(b);

		fork_mantel_fill(m, &s->block[0], &t->block[0]);
		p[i] = exp(fork_mantel_draw(m, 9, PHILOX_TEST, i, MANTEL_DRAWS).log_p);
		drawn_sketch_free(s);
		drawn_sketch_free(t);
		drawn_free(a);
		drawn_free(b);
	}
	for (size_t l = 0; l < 3; l++) {
		uint64_t below = 0, low, high;

		for (size_t i = 0; i < 5000; i++)
			below += p[i] <= level[l] * (1 + 1e-12);
		fork_special_binomial_interval(5000, level[l], 0.95, &low, &high);
		cr_expect(below >= low && below <= high, "p <= %g: %u, not %u..%u", level[l],
			  (unsigned)below, (unsigned)low, (unsigned)high);
	}
	free(m);
}

Test(forks_mantel, a_rotation_hides_nothing_and_orthogonal_units_say_nothing)
{
	static const struct drawn_shape shape = { FORK_DENSE, 1, 1, 24, 32, 3, 0, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_copy(a);
	struct mantel *m = mantel_new();
	struct fork_sketch *s, *t;

	drawn_rotate(b, 2);
	s = drawn_sketch(a);
	t = drawn_sketch(b);
	fork_mantel_fill(m, &s->block[0], &t->block[0]);
	cr_expect(m->effect > 0.99, "%g", m->effect);
	cr_expect_eq(fork_mantel_draw(m, 1, PHILOX_TEST, 0, MANTEL_DRAWS).hits, 0);
	drawn_sketch_free(s);
	for (uint32_t p = 0; p < 3; p++)
		for (uint32_t k = 0; k < 24 * 32; k++)
			a->block[0].v[p][k] = k % 33 == 0; /* each unit on its axis */
	s = drawn_sketch(a);
	fork_mantel_fill(m, &s->block[0], &t->block[0]);
	cr_expect(m->constant && m->effect == 0);
	drawn_sketch_free(s);
	drawn_sketch_free(t);
	drawn_free(a);
	drawn_free(b);
	free(m);
}
