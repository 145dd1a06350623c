/* From files to a verdict: small models in memory, sketched, compared, their values compared. */
#include "base/buf.h"
#include "forks/detail.h"
#include "toy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fork_sketch *sketched(struct toy *t, struct pool *pool)
{
	struct fork_sketch *s;
	struct err e = { 0 };

	if (!t->model.values)
		toy_open(t);
	t->model.pool = pool;
	cr_assert_eq(fork_sketch_make(&s, &t->model, &e), 0, "%s", e.text);
	return s;
}

/* With values compared; reads both. */
static struct fork_comparison compared(struct toy *a, struct toy *b, struct pool *pool)
{
	struct fork_sketch *x = sketched(a, pool), *y = sketched(b, pool);
	const struct fork_options how = { .alpha = 1e-3, .seed = 42, .pool = pool };
	struct fork_comparison c;
	struct err e = { 0 };

	cr_assert_eq(fork_compare(x, y, &how, &c, &e), 0, "%s", e.text);
	fork_sketch_free(x); /* the comparison outlives them */
	fork_sketch_free(y);
	cr_assert_eq(fork_diff(&a->model, &b->model, pool, &c, &e), 0, "%s", e.text);
	return c;
}

static void done(struct fork_comparison *c, struct toy *a, struct toy *b)
{
	fork_comparison_free(c);
	toy_free(a);
	toy_free(b);
}

/* Enough experts of one shape for a calibration. */
static struct toy *mixture(uint64_t seed) { return toy_new(seed, 2, 18, 48, 32); }

static void prefix(struct toy *t, const char *with)
{
	for (size_t i = 0; i < t->count; i++) {
		char name[100];

		snprintf(name, sizeof name, "%s%s", with, t->tensor[i].name);
		snprintf(t->tensor[i].name, sizeof t->tensor[i].name, "%s", name);
	}
}

Test(forks_compare, the_same_values_are_identical_whatever_their_names)
{
	struct toy *a = mixture(1), *b = toy_copy(a);
	struct fork_comparison c;

	prefix(b, "language_model.");
	c = compared(a, b, NULL);
	cr_expect_eq(c.verdict, FORK_IDENTICAL, "%s", fork_verdict_name(c.verdict));
	cr_expect(c.same == a->count && c.p_value <= 0 && c.effect >= 1);
	cr_expect_str_eq(c.rung, "values");
	done(&c, a, b);
}

Test(forks_compare, a_noisy_copy_is_dependent_and_told_how_far)
{
	struct toy *a = mixture(1), *b = toy_copy(a);
	struct fork_comparison c;

	toy_noise(b, 0.5, 9);
	c = compared(a, b, NULL);
	cr_expect_eq(c.verdict, FORK_DEPENDENT, "p %g", c.p_value);
	cr_expect(c.blocks == 36 && c.p_value < 1e-100, "%lu blocks, p %g", c.blocks, c.p_value);
	cr_expect(fabs(c.effect - 1 / sqrt(1.25)) < 0.02, "cosine of v and v + v/2: %g", c.effect);
	cr_expect(fabs(c.relative_l2 - 0.5) < 0.02, "%g", c.relative_l2);
	cr_expect_str_eq(c.rung, "s1");
	done(&c, a, b);
}

Test(forks_compare, independent_models_are_no_evidence)
{
	struct toy *a = mixture(1), *b = mixture(2);
	struct fork_comparison c = compared(a, b, NULL);

	cr_expect_eq(c.verdict, FORK_NO_EVIDENCE, "p %g by %s", c.p_value, c.rung);
	cr_expect(fabs(c.effect) < 0.05 && c.identical == 0 && c.power.plain);
	done(&c, a, b);
}

Test(forks_compare, another_order_of_units_is_found)
{
	struct toy *a = mixture(1), *b = toy_copy(a);
	struct fork_comparison c;

	toy_reverse_units(b);
	c = compared(a, b, NULL);
	cr_expect_eq(c.verdict, FORK_DEPENDENT, "p %g", c.p_value);
	cr_expect_str_eq(c.rung, "s3");
	cr_expect(c.effect > 0.9 && c.relative_l2 < 0.1, "by the map: %g, %g", c.effect,
		  c.relative_l2);
	done(&c, a, b);
}

Test(forks_compare, a_rotated_copy_is_found)
{
	struct toy *a = mixture(1), *b;
	struct fork_comparison c;

	toy_plain_norms(a);
	b = toy_copy(a);
	toy_turn(b, 5);
	toy_noise(b, 0.2, 9);
	c = compared(a, b, NULL);
	cr_expect_eq(c.verdict, FORK_DEPENDENT, "p %g", c.p_value);
	cr_expect(strcmp(c.rung, "s5") == 0 || strcmp(c.rung, "s2") == 0, "%s", c.rung);
	done(&c, a, b);
}

Test(forks_compare, a_value_that_is_not_finite_is_named_and_stops_nothing)
{
	struct toy *a = mixture(1), *b = toy_copy(a);
	struct fork_comparison c;
	json_t *json;

	toy_find(b, "model.layers.0.mlp.experts.3.up_proj.weight")->v[77] = NAN;
	c = compared(a, b, NULL);
	cr_expect_eq(c.verdict, FORK_DEPENDENT);
	cr_expect_eq(c.not_finite, 1);
	cr_assert_eq(fork_comparison_json(&c, false, &json, NULL), 0);
	cr_expect_str_eq(json_string_value(json_array_get(json_object_get(json, "not_finite"), 0)),
			 "model.layers.0.mlp.experts.3.up_proj.weight");
	json_decref(json);
	done(&c, a, b);
}

static void add_tower(struct toy *t)
{
	static const char *const part[] = { "gate_proj", "up_proj", "down_proj" };
	uint64_t seed = 77;

	for (uint32_t l = 0; l < 4; l++)
		for (int k = 0; k < 3; k++) {
			char name[100];

			snprintf(name, sizeof name, "vision_tower.layers.%u.mlp.%s.weight", l,
				 part[k]);
			toy_add(t, name, k == 2 ? 40 : 56, k == 2 ? 56 : 40);
			for (size_t i = 0; i < 40 * 56; i++)
				t->tensor[t->count - 1].v[i] = (float)toy_normal(&seed);
		}
}

Test(forks_compare, a_tower_that_both_ship_makes_no_parent)
{
	struct toy *a = mixture(1), *b = mixture(2);
	struct fork_comparison c;

	add_tower(a);
	add_tower(b);
	c = compared(a, b, NULL);
	cr_expect_eq(c.verdict, FORK_NO_EVIDENCE, "%s, p %g by %s", fork_verdict_name(c.verdict),
		     c.p_value, c.rung);
	cr_expect(c.shared_components == 12 && c.identical == 0, "%lu", c.shared_components);
	done(&c, a, b);
}

Test(forks_compare, the_same_tensors_are_a_verdict_where_no_test_can_be_asked)
{
	struct toy *a = toy_new(1, 1, 0, 48, 32), *b = toy_copy(a);
	struct fork_comparison c;

	toy_noise(b, 3, 9);
	memcpy(toy_find(b, "model.layers.0.mlp.down_proj.weight")->v,
	       toy_find(a, "model.layers.0.mlp.down_proj.weight")->v, 48 * 32 * sizeof(float));
	c = compared(a, b, NULL);
	cr_expect_eq(c.verdict, FORK_CONTAINS, "%s", fork_verdict_name(c.verdict));
	cr_expect(c.identical == 1 && c.identical_share > 0.3 && !c.power.can_see);
	cr_expect_str_eq(c.rung, "values");
	done(&c, a, b);
}

static void report(struct pool *pool, struct buf *out)
{
	struct toy *a = mixture(1), *b = toy_copy(a);
	struct fork_comparison c;
	json_t *json;

	toy_noise(b, 0.3, 9);
	c = compared(a, b, pool);
	cr_assert_eq(fork_comparison_json(&c, true, &json, NULL), 0);
	cr_assert_eq(json_write_canonical(json, out, NULL), 0);
	json_decref(json);
	done(&c, a, b);
}

Test(forks_compare, any_number_of_threads_gives_the_same_report)
{
	struct buf one = { 0 }, many = { 0 };
	struct pool *pool;

	report(NULL, &one);
	cr_assert_eq(pool_open(&pool, 4, NULL, NULL), 0);
	report(pool, &many);
	pool_close(pool);
	cr_expect(one.len > 1000 && one.len == many.len &&
		  memcmp(one.bytes, many.bytes, one.len) == 0);
	buf_free(&one);
	buf_free(&many);
}
