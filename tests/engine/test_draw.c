/* The draw of docs/formats.md, section 9, beside a slow truth in whole numbers, on weights that the
 * tests choose: kernels that weigh are put in their place. */
#include "engine/sample.h"
#include "base/philox.h"
#include "kernels/number.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST 6000

typedef unsigned __int128 wide;

/* ---- weights that are given ---- */

static const float *given;

static void weigh_given(const float *x, uint32_t n, float largest, float temperature, float *out)
{
	(void)x, (void)largest, (void)temperature;
	memcpy(out, given, n * sizeof *out);
}

/* The id drawn from weights, of which one is 1 and none more. */
static uint32_t draw(const float *weight, uint32_t n, const struct engine_sampling *s,
		     uint32_t position)
{
	static float logits[MOST], work[MOST];
	static uint32_t id[MOST];
	static struct kernels k;
	if (!k.name)
		k = *kernels_at(0); /* asking the processor takes longer than a draw */
	k.weigh = weigh_given;
	given = weight;
	return engine_sample_draw(&k, logits, NULL, n, s, position, work, id);
}

static uint32_t random_below(uint32_t *state, uint32_t top)
{
	const uint32_t key[2] = { 4711, 0 }, counter[4] = { (*state)++, 0, 0, 0 };
	uint32_t out[4];
	philox_block(key, counter, out);
	return (uint32_t)((uint64_t)out[0] * top >> 32);
}

/* ---- the slow truth ---- */

struct entry {
	uint64_t units;
	uint32_t bits, id;
};

static int better(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->bits != y->bits) /* as floats that are not negative compare, so do their bits */
		return x->bits > y->bits ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* A float that is not negative: m * 2^-k. */
static uint64_t parts(float f, int *k)
{
	uint32_t bits, exponent;
	memcpy(&bits, &f, sizeof bits);
	exponent = bits >> 23;
	*k = 150 - (int)(exponent ? exponent : 1);
	return (bits & 0x7fffff) | (exponent ? 0x800000 : 0);
}

static uint64_t units_of(float w)
{
	int k;
	uint64_t m = parts(w, &k);
	return k < 40 ? m << (40 - k) : k - 40 > 63 ? 0 : m >> (k - 40);
}

/* sum >= p * whole */
static bool reaches(uint64_t sum, float p, uint64_t whole)
{
	int k;
	wide product = (wide)parts(p, &k) * whole;
	if (sum == 0)
		return product == 0;
	return k > 127 || (wide)sum >> (127 - k) != 0 || ((wide)sum << k) >= product;
}

static uint64_t words_of(const struct engine_sampling *s, uint32_t position)
{
	uint32_t w[4];
	philox_block((const uint32_t[2]){ (uint32_t)s->seed, (uint32_t)(s->seed >> 32) },
		     (const uint32_t[4]){ position, s->choice, 0, 0 }, w);
	return (uint64_t)w[0] << 32 | w[1];
}

static uint64_t sum_of(const struct entry *all, uint32_t count)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < count; i++)
		sum += all[i].units;
	return sum;
}

static uint32_t by_the_book(const float *weight, uint32_t n, const struct engine_sampling *s,
			    uint32_t position)
{
	static struct entry all[MOST];
	for (uint32_t i = 0; i < n; i++)
		all[i] = (struct entry){ units_of(weight[i]), number_bits(weight[i]), i };
	qsort(all, n, sizeof *all, better);
	uint32_t count = s->top_k > 0 && s->top_k < n ? s->top_k : n, kept;
	uint64_t whole = sum_of(all, count), target;
	uint64_t sum = all[0].units;
	for (kept = 1; kept < count && !reaches(sum, s->top_p, whole); kept++)
		sum += all[kept].units;
	count = s->top_p > 0 && s->top_p < 1 ? kept : count;
	for (kept = 1; kept < count && !(weight[all[kept].id] < s->min_p); kept++)
		;
	target = (uint64_t)((wide)words_of(s, position) * sum_of(all, kept) >> 64);
	for (uint32_t i = 0; i < kept; i++) {
		if (all[i].units > target)
			return all[i].id;
		target -= all[i].units;
	}
	cr_assert_fail("the target is below the sum of all");
	return 0;
}

/* ---- shapes of weights ---- */

enum shape { SPREAD, TIES, STEEP, TINY, ONE, SHAPES };

static void shaped(enum shape shape, uint32_t n, uint32_t *state, float *weight)
{
	for (uint32_t i = 0; i < n; i++) {
		float u = (float)random_below(state, 1u << 24) * 0x1p-24f;
		switch (shape) {
		case SPREAD: weight[i] = u; break;
		case TIES: weight[i] = floorf(u * 8) / 8; break;
		case STEEP: weight[i] = expf(-u * 30); break;
		case TINY: weight[i] = number_from_bits(random_below(state, 0x3f800000u)); break;
		default: weight[i] = u * 0x1p-41f;
		}
	}
	weight[random_below(state, n)] = 1;
}

static const struct engine_sampling rows[] = {
	{ .temperature = 1 },
	{ .temperature = 1, .top_p = 0.9f },
	{ .temperature = 1, .top_p = 0x1.fffffep-1f },
	{ .temperature = 1, .top_p = 1e-9f },
	{ .temperature = 1, .top_p = 1e-30f },
	{ .temperature = 1, .top_p = 0x1p-149f },
	{ .temperature = 1, .min_p = 0.2f },
	{ .temperature = 1, .min_p = 1e-12f },
	{ .temperature = 1, .top_k = 1 },
	{ .temperature = 1, .top_k = 40, .top_p = 0.7f },
	{ .temperature = 1, .top_k = 300, .top_p = 0.999f, .min_p = 0.001f },
};

Test(engine_draw, is_what_whole_numbers_say)
{
	static float weight[MOST];
	uint32_t state = 0;
	for (uint32_t round = 0; round < 60; round++) {
		uint32_t n = 1 + random_below(&state, round % 6 ? 300 : 2000);
		shaped((enum shape)(round % SHAPES), n, &state, weight);
		for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
			struct engine_sampling s = rows[k];
			s.seed = (uint64_t)round << 30;
			s.choice = round % 3;
			for (uint32_t position = 0; position < 4; position++)
				cr_assert_eq(draw(weight, n, &s, position),
					     by_the_book(weight, n, &s, position),
					     "row %zu, round %u, %u ids", k, round, n);
		}
	}
}

Test(engine_draw, does_not_depend_on_the_order_of_ids)
{
	static float weight[MOST], moved[MOST];
	static uint32_t to[MOST];
	uint32_t state = 1000000, n = 3000;
	for (uint32_t round = 0; round < 10; round++) {
		shaped(STEEP, n, &state, weight);
		for (uint32_t i = 0; i < n; i++) {
			uint32_t k = random_below(&state, i + 1);
			to[i] = to[k];
			to[k] = i;
			weight[i] = weight[i] < 1 ? weight[i] * 0.5f : 1; /* the best is alone */
		}
		for (uint32_t i = 0; i < n; i++)
			moved[to[i]] = weight[i];
		for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
			struct engine_sampling s = rows[k];
			s.seed = round;
			for (uint32_t position = 0; position < 20; position++) {
				uint32_t a = draw(weight, n, &s, position),
					 b = draw(moved, n, &s, position);
				cr_assert_eq(number_bits(moved[b]), number_bits(weight[a]),
					     "row %zu, round %u", k, round);
			}
		}
	}
}

/* Half of all is exactly the best one, in units; the parts below a unit would ask for one more. */
Test(engine_draw, sums_are_of_whole_units)
{
	static const float first[] = { 0.25f, 0, 1, 0.5f, 0.25f - 0x1p-25f };
	static const float last[] = { 0x1p-41f, 0x1.8p-40f };
	static float weight[2000];
	const struct engine_sampling s = { .temperature = 1, .top_p = 0.5f };
	memcpy(weight, first, sizeof first);
	for (size_t k = 0; k < 2; k++) {
		uint64_t missing = (uint64_t)1 << 15;
		for (uint32_t i = 6; i < 2000; i++) {
			weight[i] = last[k];
			missing -= units_of(last[k]);
		}
		weight[5] = (float)missing * 0x1p-40f;
		for (uint32_t position = 0; position < 50; position++)
			cr_assert_eq(draw(weight, 2000, &s, position), 2, "%zu, %u", k, position);
	}
}

/* Weights of which the first two hold `border` units, and all the least total for which the exact
 * target, r * total / 2^64, is not below it. False: it is more than 2^-12 of a unit beyond. */
static bool at_border(uint64_t r, uint64_t border, float weight[4])
{
	uint64_t total = (uint64_t)((((wide)border << 64) + r - 1) / r), rest = total - border;
	if ((wide)r * total - ((wide)border << 64) >= (wide)1 << 52)
		return false;
	weight[0] = (float)(rest & ~0xffffffull) * 0x1p-40f;
	weight[1] = 1;
	weight[2] = (float)(rest & 0xffffffull) * 0x1p-40f;
	weight[3] = (float)(border - ((uint64_t)1 << 40)) * 0x1p-40f;
	return weight[2] > 0;
}

/* The last bits of both words count: just beyond the border the next id is drawn, and with one unit
 * less in all the one before it. */
Test(engine_draw, target_is_made_of_all_64_bits)
{
	unsigned found = 0;
	for (uint32_t position = 0; position < 100; position++) {
		const struct engine_sampling s = { .temperature = 1, .seed = 9 };
		uint64_t r = words_of(&s, position);
		float weight[4];
		bool is = false;
		for (uint64_t i = 0; r >> 62 == 3 && i < 20000 && !is; i++)
			is = at_border(r, ((uint64_t)3 << 39) + (i << 17), weight);
		if (!is)
			continue;
		uint32_t next = draw(weight, 4, &s, position);
		cr_assert(next == 0 || next == 2, "position %u: %u", position, next);
		weight[2] -= 0x1p-40f;
		cr_assert_eq(draw(weight, 4, &s, position), 3, "position %u: a unit less", position);
		found++;
	}
	cr_assert_gt(found, 10);
}

/* ---- the distribution ---- */

Test(engine_draw, probabilities_are_those_of_the_weights)
{
	static float weight[MOST];
	uint32_t state = 2000000;
	for (uint32_t round = 0; round < 50; round++) {
		uint32_t n = 1 + random_below(&state, MOST - 1);
		long double whole = 0, units = 0;
		shaped((enum shape)(round % SHAPES), n, &state, weight);
		for (uint32_t i = 0; i < n; i++) {
			whole += (long double)weight[i];
			units += (long double)number_to_units(weight[i]);
		}
		for (uint32_t i = 0; i < n; i++) {
			long double unit = (long double)number_to_units(weight[i]), exact = weight[i];
			cr_assert_eq(number_to_units(weight[i]), units_of(weight[i]));
			cr_assert(unit * 0x1p-40L <= exact && exact < (unit + 1) * 0x1p-40L);
			/* one unit of its own, and of the others' sum at most one each */
			cr_assert_leq(fabsl(unit / units - exact / whole),
				      (1 + exact * n / whole) * 0x1p-40L / (whole - n * 0x1p-40L));
		}
	}
}

/* Degrees of freedom and chi-square of what is drawn, ids of less than 20 expected taken together. */
static double surprise(const struct engine_sampling *s, const float *weight, uint32_t n,
		       uint32_t kept, uint32_t draws)
{
	static uint32_t count[MOST];
	static struct entry all[MOST];
	double chi2 = 0, rest = 0, classes = 0;
	uint32_t others = 0;
	for (uint32_t i = 0; i < n; i++) {
		all[i] = (struct entry){ units_of(weight[i]), number_bits(weight[i]), i };
		count[i] = 0;
	}
	qsort(all, n, sizeof *all, better);
	double whole = (double)sum_of(all, kept);
	for (uint32_t i = 0; i < draws; i++)
		count[draw(weight, n, s, i)]++;
	for (uint32_t i = 0; i < n; i++) {
		double want = i < kept ? (double)all[i].units / whole * draws : 0;
		double have = count[all[i].id];
		cr_assert(i < kept || count[all[i].id] == 0);
		if (want < 20) {
			rest += want;
			others += count[all[i].id];
			continue;
		}
		chi2 += (have - want) * (have - want) / want;
		classes++;
	}
	if (rest > 0) {
		chi2 += (others - rest) * (others - rest) / rest;
		classes++;
	}
	return (chi2 - (classes - 1)) / sqrt(2 * (classes - 1)); /* about normal */
}

Test(engine_draw, frequencies_are_the_probabilities)
{
	static float weight[500];
	uint32_t state = 3000000;
	for (uint32_t i = 0; i < 500; i++)
		weight[i] = expf(-(float)random_below(&state, 1000) / 150);
	weight[123] = 1;
	for (uint32_t seed = 0; seed < 3; seed++) {
		struct engine_sampling s = { .temperature = 1, .seed = seed << 20 };
		double all = surprise(&s, weight, 500, 500, 50000);
		cr_expect(fabs(all) < 4, "seed %u: %g", seed, all);
		s.top_k = 60;
		all = surprise(&s, weight, 500, 60, 20000);
		cr_expect(fabs(all) < 4, "seed %u, top_k: %g", seed, all);
	}
}
