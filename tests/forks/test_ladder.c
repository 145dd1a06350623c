/* The ladder over drawn models: which rung finds what, and what is no evidence. */
#include "base/buf.h"
#include "drawn.h"
#include "forks/detail.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ALPHA 1e-3
#define TURN 7 /* a rotation of no positive trace: of another S1 sees what little stays */

/* Enough blocks of one shape for a calibration of their own. */
static const struct drawn_shape experts = {
	.kind = FORK_EXPERT,
	.layers = 4,
	.each = 8,
	.units = 48,
	.hidden = 64,
	.parts = 3,
	.tokens = 60,
	.law = DRAWN_NORMAL,
};

static struct fork_sketch *sketch(const struct drawn *d)
{
	struct fork_sketch *s = drawn_sketch(d);
	struct err e = { 0 };

	cr_assert_eq(fork_sketch_calibrate(s, 1, NULL, &e), 0, "%s", e.text);
	return s;
}

static struct fork_comparison climbed(const struct fork_sketch *a, const struct fork_sketch *b,
				      bool all_rungs, struct pool *pool)
{
	const struct fork_options how = {
		.alpha = ALPHA, .seed = 42, .pool = pool, .all_rungs = all_rungs
	};
	struct fork_comparison c;
	struct err e = { 0 };

	cr_assert_eq(fork_compare(a, b, &how, &c, &e), 0, "%s", e.text);
	return c;
}

static void as_it_is(struct drawn *d) { drawn_noise(d, 0.5, 9); }
static void other_order(struct drawn *d)
{
	drawn_shuffle(d, 5);
	drawn_noise(d, 0.2, 9);
}
static void turned(struct drawn *d)
{
	drawn_rotate(d, TURN);
	drawn_noise(d, 0.2, 9);
}
static void turned_in_other_order(struct drawn *d)
{
	other_order(d);
	drawn_rotate(d, 5);
}
static void a_unit_more(struct drawn *d)
{
	for (size_t i = 0; i < d->blocks; i++)
		drawn_resize(&d->block[i], 49);
}
static void layers_backwards(struct drawn *d)
{
	size_t each = d->blocks / 4;

	for (size_t i = 0; i < d->blocks / 2; i++) {
		struct drawn_block old = d->block[i],
				   *other = &d->block[(3 - i / each) * each + i % each];

		memcpy(d->block[i].v, other->v, sizeof old.v);
		memcpy(other->v, old.v, sizeof old.v);
	}
}

static const struct {
	const char *what;
	void (*change)(struct drawn *d);
	enum fork_test by[3]; /* one of these decides */
	double effect;        /* at least */
} changes[] = {
	{ "noise", as_it_is, { FORK_TEST_S1, FORK_TEST_S1, FORK_TEST_S1 }, 0.85 },
	{ "a zero unit more", a_unit_more, { FORK_TEST_S1, FORK_TEST_S1, FORK_TEST_S1 }, 0.99 },
	{ "rotated", turned, { FORK_TEST_S5, FORK_TEST_S2, FORK_TEST_S5 }, 0.5 },
	{ "layers backwards",
	  layers_backwards,
	  { FORK_TEST_MAP, FORK_TEST_MAP, FORK_TEST_MAP },
	  0.9 },
	{ "units in another order",
	  other_order,
	  { FORK_TEST_S3, FORK_TEST_S3, FORK_TEST_S3 },
	  0.5 },
	{ "both",
	  turned_in_other_order,
	  { FORK_TEST_S3_TOKEN, FORK_TEST_S3_TOKEN, FORK_TEST_S3_TOKEN },
	  0.5 },
};

Test(forks_ladder, each_change_is_found_by_its_rung)
{
	struct drawn *d = drawn_new(&experts, 1);
	struct fork_sketch *a = sketch(d);

	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct drawn *e = drawn_copy(d);
		struct fork_sketch *b;
		struct fork_comparison c;

		changes[i].change(e);
		b = sketch(e);
		c = climbed(a, b, false, NULL);
		cr_expect_eq(c.verdict, FORK_DEPENDENT, "%s: %s, p %g", changes[i].what,
			     fork_verdict_name(c.verdict), c.p_value);
		cr_expect(c.detail->best == changes[i].by[0] ||
				  c.detail->best == changes[i].by[1] ||
				  c.detail->best == changes[i].by[2],
			  "%s: by %s", changes[i].what, c.rung);
		cr_expect(c.p_value < 1e-6 && c.effect > changes[i].effect, "%s: p %g, effect %g",
			  changes[i].what, c.p_value, c.effect);
		for (unsigned t = c.detail->best + 1; t < FORK_TESTS; t++)
			cr_expect(!c.detail->test[t].run && c.detail->test[t].reason, "%s",
				  changes[i].what);
		fork_comparison_free(&c);
		drawn_sketch_free(b);
		drawn_free(e);
	}
	drawn_sketch_free(a);
	drawn_free(d);
}

Test(forks_ladder, independent_models_are_no_evidence_and_every_rung_is_told)
{
	struct drawn *d = drawn_new(&experts, 1), *e = drawn_new(&experts, 2);
	struct fork_sketch *a = sketch(d), *b = sketch(e);
	struct fork_comparison c = climbed(a, b, false, NULL);

	cr_expect_eq(c.verdict, FORK_NO_EVIDENCE, "p %g by %s", c.p_value, c.rung);
	cr_expect(c.tested && c.p_value > ALPHA && fabs(c.effect) < 0.05, "%g", c.effect);
	for (int t = 0; t < FORK_TESTS; t++)
		cr_expect(c.detail->test[t].run || c.detail->test[t].reason, "%d", t);
	cr_expect(c.power.can_see && c.power.cosine < 0.05, "%s", c.power.sentence);
	fork_comparison_free(&c);
	drawn_sketch_free(a);
	drawn_sketch_free(b);
	drawn_free(d);
	drawn_free(e);
}

Test(forks_ladder, what_lies_beside_the_body_decides_nothing)
{
	struct drawn *d = drawn_new(&experts, 1);
	struct fork_sketch *a = sketch(d), *b = sketch(d);
	struct fork_comparison c;

	for (size_t i = 0; i < a->blocks; i++)
		a->block[i].component = b->block[i].component = FORK_TOWER;
	c = climbed(a, b, true, NULL);
	cr_expect_eq(c.verdict, FORK_INCONCLUSIVE);
	cr_expect(!c.tested && c.p_value >= 1 && !c.rung && !c.power.can_see);
	cr_expect(c.detail->beside[FORK_TOWER].blocks == 32 &&
		  c.detail->beside[FORK_TOWER].effect > 0.99);
	fork_comparison_free(&c);
	drawn_sketch_free(a);
	drawn_sketch_free(b);
	drawn_free(d);
}

Test(forks_ladder, without_calibration_the_exact_tests_state_nothing)
{
	struct drawn *d = drawn_new(&experts, 1);
	struct fork_sketch *a = drawn_sketch(d), *b = drawn_sketch(d);
	struct fork_comparison c;

	a->calibrations = b->calibrations = NULL;
	c = climbed(a, b, false, NULL);
	for (int t = FORK_TEST_S1; t <= FORK_TEST_S2; t++)
		cr_expect(!c.detail->test[t].tested && c.detail->test[t].reason, "%d", t);
	cr_expect_eq(c.power.blocks, 0);
	fork_comparison_free(&c);
	drawn_sketch_free(a);
	drawn_sketch_free(b);
	drawn_free(d);
}

Test(forks_ladder, every_rung_and_any_threads_give_the_same_report)
{
	struct drawn *d = drawn_new(&experts, 1), *e = drawn_copy(d);
	struct fork_sketch *a = sketch(d), *b;
	struct buf text[2] = { 0 };
	struct pool *pool;

	drawn_noise(e, 1, 9);
	b = sketch(e);
	cr_assert_eq(pool_open(&pool, 3, NULL, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct fork_comparison c = climbed(a, b, true, i ? pool : NULL);
		json_t *json;

		for (int t = 0; t < FORK_TESTS; t++)
			cr_expect(c.detail->test[t].run || t == FORK_TEST_MAP ||
					  t == FORK_TEST_MAP_TOKEN,
				  "%d", t);
		cr_assert_eq(fork_comparison_json(&c, true, &json, NULL), 0);
		cr_assert_eq(json_write_canonical(json, &text[i], NULL), 0);
		json_decref(json);
		fork_comparison_free(&c);
	}
	cr_expect(text[0].len > 1000 && text[0].len == text[1].len &&
		  memcmp(text[0].bytes, text[1].bytes, text[0].len) == 0);
	pool_close(pool);
	buf_free(&text[0]);
	buf_free(&text[1]);
	drawn_sketch_free(a);
	drawn_sketch_free(b);
	drawn_free(d);
	drawn_free(e);
}

Test(forks_ladder, alpha_lies_between_0_and_1)
{
	struct fork_sketch none = { 0 };
	struct fork_comparison c;
	struct err e = { 0 };

	cr_expect_eq(fork_compare(&none, &none, &(struct fork_options){ .alpha = 0 }, &c, &e),
		     ERR_INPUT);
	cr_expect_eq(fork_compare(&none, &none, &(struct fork_options){ .alpha = ALPHA }, &c, &e),
		     0);
	cr_expect_eq(c.verdict, FORK_INCONCLUSIVE, "nothing at all");
	fork_comparison_free(&c);
}
