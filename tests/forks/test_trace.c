#include "drawn.h"
#include "forks/special.h"
#include "forks/trace.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void fill(struct trace *t, const struct fork_sketch *moved, const struct fork_sketch *still,
		 enum rung_half half)
{
	struct trace_side a = fork_trace_side(&moved->block[0], RUNG_RAW),
			  b = fork_trace_side(&still->block[0], RUNG_RAW);

	fork_trace_fill(t, &a, &b, half);
}

static struct trace *trace_new(void)
{
	struct trace *t = calloc(1, sizeof *t);

	cr_assert(t);
	return t;
}

/* All orders of n things, by Heap's method; true while there is another. */
struct orders {
	uint16_t order[8];
	uint32_t state[8], n, at;
};

static bool orders_next(struct orders *o)
{
	while (o->at < o->n) {
		uint32_t i = o->at, k = i % 2 ? o->state[i] : 0;

		if (o->state[i] < i) {
			uint16_t old = o->order[k];

			o->order[k] = o->order[i];
			o->order[i] = old;
			o->state[i]++;
			o->at = 0;
			return true;
		}
		o->state[i] = 0;
		o->at++;
	}
	return false;
}

static double exact_p(const struct trace *t)
{
	struct orders o = { .n = t->units };
	double count = 0, reach = 0;

	for (uint16_t i = 0; i < t->units; i++)
		o.order[i] = i;
	do {
		int64_t sum = 0;

		for (uint32_t i = 0; i < t->units; i++)
			sum += t->c[i * t->units + o.order[i]];
		count++;
		reach += sum >= t->observed;
	} while (orders_next(&o));
	return reach / count;
}

Test(forks_trace, sequential_p_is_the_exact_one)
{
	struct trace *t = trace_new();
	uint64_t seed = 1;
	double deviation = 0;
	uint32_t cases = 0;

	for (uint32_t i = 0; i < 400; i++) {
		double exact;
		struct trace_p p;

		t->units = 2 + i % 6;
		t->observed = 0;
		for (uint32_t k = 0; k < t->units * t->units; k++)
			t->c[k] = i % 3 ? (int32_t)(1e5 * drawn_normal(&seed))
					: (int32_t)drawn_below(&seed, 3);
		for (uint32_t k = 0; k < t->units; k++)
			t->observed += t->c[k * t->units + k];
		exact = exact_p(t);
		p = fork_trace_draw(t, 3, PHILOX_TEST, i, 100000);
		cr_assert(p.hits == TRACE_HITS && p.draws < 100000);
		/* Negative binomial: the draws have mean hits / p, variance hits (1 - p) / p^2. */
		if (exact < 1) {
			double z = ((double)p.draws - TRACE_HITS / exact) /
				   (sqrt(TRACE_HITS * (1 - exact)) / exact);

			cr_expect(fabs(z) < 5.5, "case %u: %u draws, p %g", i, (unsigned)p.draws,
				  exact);
			deviation += z;
			cases++;
		} else {
			cr_expect_eq(p.draws, TRACE_HITS);
		}
		cr_expect(fabs(p.log_p - log(TRACE_HITS / (double)p.draws)) < 1e-12);
	}
	cr_expect(fabs(deviation) < 4 * sqrt(cases), "%g over %u", deviation, cases);
	free(t);
}

static int64_t dot_of(const struct sketch_block *a, uint32_t i, const struct sketch_block *b,
		      uint32_t j, uint32_t parts)
{
	int64_t sum = 0;

	for (uint32_t k = 1; k <= parts; k++) {
		const struct sketch_part *x = &a->part[a->parts - k], *y = &b->part[b->parts - k];
		uint32_t width = x->raw_width < y->raw_width ? x->raw_width : y->raw_width;

		for (uint32_t c = 0; c < width; c++)
			sum += x->raw[i * x->raw_width + c] * y->raw[j * y->raw_width + c];
	}
	return sum;
}

/* Every entry from its definition: other widths, other parts, other numbers of units, dead units,
 * half of the places. */
Test(forks_trace, products_are_of_live_units_at_their_places)
{
	static const struct drawn_shape one = { FORK_DENSE, 1, 1, 40, 40, 3, 0, DRAWN_NORMAL },
					two = { FORK_DENSE, 1, 1, 37, 56, 2, 0, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&one, 1), *b = drawn_new(&two, 2);
	struct trace *t = trace_new();
	struct fork_sketch *s, *u;

	memset(a->block[0].v[2] + 7 * 40, 0, 40 * sizeof(float));
	memset(a->block[0].v[0] + 8 * 40, 0, 40 * sizeof(float)); /* a part that b has not */
	s = drawn_sketch(a);
	u = drawn_sketch(b);
	for (int half = RUNG_ALL; half <= RUNG_ODD; half++) {
		int64_t observed = 0;
		uint32_t at = 0;

		fill(t, s, u, (enum rung_half)half);
		cr_assert_eq(t->units, half == RUNG_ALL ? 39 : half == RUNG_EVEN ? 20 : 19);
		for (uint32_t i = 0; i < 40; i++) {
			if (i == 7 || (half != RUNG_ALL && i % 2 != (half == RUNG_ODD)))
				continue;
			cr_assert_eq(t->place[at], i);
			for (uint32_t j = 0; j < t->units; j++) {
				int64_t want = t->place[j] < 37
						       ? dot_of(&s->block[0], i, &u->block[0],
								t->place[j], 2)
						       : 0;

				cr_expect_eq(t->c[at * t->units + j], want, "%u %u", i, j);
				observed += at == j ? want : 0;
			}
			at++;
		}
		cr_expect_eq(t->observed, observed);
	}
	drawn_sketch_free(s);
	drawn_sketch_free(u);
	drawn_free(a);
	drawn_free(b);
	free(t);
}

Test(forks_trace, z_is_by_the_exact_moments)
{
	static const struct drawn_shape shape = { FORK_DENSE, 1, 1, 16, 16, 2, 0, DRAWN_TRAINED };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_new(&shape, 2);
	struct fork_sketch *s = drawn_sketch(a), *u = drawn_sketch(b);
	struct trace *t = trace_new();
	double sum = 0, squares = 0, mean, n = 400000;
	uint64_t seed = 5;

	fill(t, s, u, RUNG_ALL);
	for (uint32_t draw = 0; draw < n; draw++) {
		uint32_t order[16] = { 0 };
		double x = 0;

		for (uint32_t i = 0; i < 16; i++) {
			uint32_t k = drawn_below(&seed, i + 1);

			order[i] = order[k];
			order[k] = i;
		}
		for (uint32_t i = 0; i < 16; i++)
			x += t->c[i * 16 + order[i]];
		sum += x;
		squares += x * x;
	}
	mean = sum / n;
	cr_expect(fabs(t->z - ((double)t->observed - mean) / sqrt(squares / n - mean * mean)) <
			  0.02,
		  "%g", t->z);
	drawn_sketch_free(s);
	drawn_sketch_free(u);
	drawn_free(a);
	drawn_free(b);
	free(t);
}

/* ---- null hypothesis ---- */

enum awkward { PLAIN, ZEROS_ALIKE, OTHER_UNITS, COMMON_DIRECTION, EVEN_HALF, AWKWARDS };

static void null_pair(enum awkward kind, uint64_t seed, struct fork_sketch *out[2])
{
	struct drawn_shape shape = {
		FORK_DENSE, 1, 1, kind == EVEN_HALF ? 32 : 20,
		16,         3, 0, kind == COMMON_DIRECTION ? DRAWN_TRAINED : DRAWN_NORMAL
	};

	for (int side = 0; side < 2; side++) {
		struct drawn *d = drawn_new(&shape, 2 * seed + (uint64_t)side);

		for (uint32_t p = 0; kind == ZEROS_ALIKE && p < 3; p++)
			memset(d->block[0].v[p], 0, 4 * 16 * sizeof(float));
		if (kind == OTHER_UNITS && side == 1)
			drawn_resize(&d->block[0], seed % 2 ? 17 : 23);
		out[side] = drawn_sketch(d);
		drawn_free(d);
	}
}

/* Realised error at 5, 1 and 0.1 %: each count within its 95 % interval. */
static void expect_level(enum awkward kind, const double *p, size_t count)
{
	static const double level[] = { 0.05, 0.01, 0.001 };

	for (size_t l = 0; l < 3; l++) {
		uint64_t below = 0, low, high;

		for (size_t i = 0; i < count; i++)
			below += p[i] <= level[l] * (1 + 1e-12);
		fork_special_binomial_interval(count, level[l], 0.95, &low, &high);
		cr_expect(below >= low && below <= high, "kind %d: p <= %g: %u of %zu, not %u..%u",
			  (int)kind, level[l], (unsigned)below, count, (unsigned)low,
			  (unsigned)high);
	}
}

Test(forks_trace, realised_error_is_the_nominal_one)
{
	static double p[6000];
	struct trace *t = trace_new();

	for (int kind = 0; kind < AWKWARDS; kind++) {
		for (uint32_t i = 0; i < 6000; i++) {
			struct fork_sketch *s[2];

			null_pair((enum awkward)kind, i + 10000 * (uint64_t)kind, s);
			fill(t, s[0], s[1], kind == EVEN_HALF ? RUNG_EVEN : RUNG_ALL);
			cr_assert(t->units > 0 && !t->constant);
			p[i] = exp(fork_trace_draw(t, 7, PHILOX_TEST, i, TRACE_DRAWS).log_p);
			drawn_sketch_free(s[0]);
			drawn_sketch_free(s[1]);
		}
		expect_level((enum awkward)kind, p, 6000);
	}
	free(t);
}

/* ---- dependence ---- */

Test(forks_trace, a_copy_with_a_unit_more_is_found_by_the_bound_alone)
{
	static const struct drawn_shape shape = { FORK_DENSE, 1, 1, 24, 32, 3, 0, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&shape, 1), *b = drawn_copy(a);
	struct trace *t = trace_new();
	struct fork_sketch *s, *u;
	struct trace_p p;

	drawn_noise(b, 0.2, 5);
	drawn_resize(&b->block[0], 25);
	s = drawn_sketch(a);
	u = drawn_sketch(b);
	fill(t, s, u, RUNG_ALL);
	p = fork_trace_test(t, 1, PHILOX_TEST, 0, TRACE_DRAWS);
	cr_expect(p.draws == 0 && p.log_p < -45, "%g", p.log_p);
	cr_expect(t->effect > 0.95 && t->effect < 1, "%g", t->effect);
	fill(t, u, s, RUNG_ALL); /* and the other way round */
	cr_expect_eq(t->units, 24);
	cr_expect(fork_trace_test(t, 1, PHILOX_TEST, 0, TRACE_DRAWS).log_p < -45);
	drawn_sketch_free(s);
	drawn_sketch_free(u);
	drawn_free(a);
	drawn_free(b);
	free(t);
}

Test(forks_trace, constant_and_short_blocks_have_nothing_to_test)
{
	static const struct drawn_shape shape = { FORK_DENSE, 1, 1, 16, 32, 3, 0, DRAWN_NORMAL };
	struct drawn *a = drawn_new(&shape, 1);
	struct trace *t = trace_new();
	struct fork_sketch *s;

	for (uint32_t p = 0; p < 3; p++)
		for (uint32_t k = 0; k < 16 * 32; k++)
			a->block[0].v[p][k] = 1;
	s = drawn_sketch(a);
	fill(t, s, s, RUNG_ALL);
	cr_expect(t->units == 16 && t->constant);
	cr_expect_eq(fork_trace_test(t, 1, PHILOX_TEST, 0, TRACE_DRAWS).log_p, 0);
	drawn_sketch_free(s);
	drawn_resize(&a->block[0], 15);
	s = drawn_sketch(a);
	fill(t, s, s, RUNG_ALL);
	cr_expect_eq(t->units, 0);
	drawn_sketch_free(s);
	drawn_free(a);
	free(t);
}
