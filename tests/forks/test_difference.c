#include "forks/detail.h"
#include "forks/identical.h"
#include "toy.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A comparison whose list says that all tensors of both are the same, which the values must say. */
struct pairing {
	struct fork_detail detail;
	struct fork_comparison c;
	struct fork_tensor tensor[TOY_TENSORS];
};

static struct pairing *pairing_of(const struct toy *a)
{
	struct pairing *p = calloc(1, sizeof *p);

	p->c.detail = &p->detail;
	p->detail.alpha = 1e-3;
	p->detail.in_place = true;
	p->detail.tensor = p->tensor;
	for (size_t i = 0; i < a->count; i++) {
		const struct toy_tensor *t = &a->tensor[i];

		p->tensor[i] = (struct fork_tensor){
			.name = t->name,
			.component = strstr(t->name, "embed") ? FORK_ENDS : FORK_BODY,
			.values = t->rows * (t->columns ? t->columns : 1),
			.floats = true,
			.matrix = t->columns > 0,
			.relative_l2 = NAN,
			.cosine = NAN,
		};
		p->detail.values[p->tensor[i].component] += p->tensor[i].values;
	}
	p->detail.tensors = a->count;
	return p;
}

static struct pairing *compared(struct toy *a, struct toy *b, struct pool *pool)
{
	struct pairing *p = pairing_of(a);
	struct err e = { 0 };

	if (!a->model.values)
		toy_open(a);
	if (!b->model.values)
		toy_open(b);
	cr_assert_eq(fork_diff(&a->model, &b->model, pool, &p->c, &e), 0, "%s", e.text);
	return p;
}

static const struct fork_tensor *named(const struct pairing *p, const char *name)
{
	for (size_t i = 0; i < p->detail.tensors; i++)
		if (strcmp(p->tensor[i].name, name) == 0)
			return &p->tensor[i];
	cr_assert_fail("%s is not listed", name);
	return NULL;
}

static void done(struct pairing *p, struct toy *a, struct toy *b)
{
	free(p);
	toy_free(a);
	toy_free(b);
}

Test(forks_difference, equal_values_in_another_container_are_the_same)
{
	struct toy *a = toy_new(1, 1, 0, 32, 20), *b;
	struct pairing *p;

	for (size_t i = 0; i < a->count; i++)
		for (uint64_t j = 0;
		     j < a->tensor[i].rows * (a->tensor[i].columns ? a->tensor[i].columns : 1); j++)
			a->tensor[i].v[j] =
				(float)lrintf(a->tensor[i].v[j] * 100) / 128; /* exact in BF16 */
	b = toy_copy(a);
	b->bf16 = true;
	p = compared(a, b, NULL);
	cr_expect(p->c.same == 5 && p->c.changed == 0 && p->c.measured.run);
	cr_expect_eq(p->c.verdict, FORK_IDENTICAL);
	cr_expect_eq(p->c.relative_l2, 0);
	done(p, a, b);
}

Test(forks_difference, what_is_not_the_same_is_told_by_how_much)
{
	struct toy *a = toy_new(1, 1, 0, 300, 200), *b = toy_copy(a);
	struct toy_tensor *gate = toy_find(b, "model.layers.0.mlp.gate_proj.weight"),
			  *up = toy_find(b, "model.layers.0.mlp.up_proj.weight"),
			  *down = toy_find(b, "model.layers.0.mlp.down_proj.weight");
	const struct fork_tensor *t;
	struct pairing *p;

	for (uint64_t i = 0; i < 200 * 300; i++) {
		gate->v[i] *= -1;
		up->v[i] = i % 4 ? up->v[i] : 0;
		down->v[i] += 1e-2f * (float)(i / 200 + 1) / 300 * (float)(i % 200 + 1) / 200;
	}
	p = compared(a, b, NULL);
	t = named(p, "model.layers.0.mlp.gate_proj.weight");
	cr_expect(t->change == FORK_CHANGED && fabs(t->relative_l2 - 2) < 1e-9 &&
			  fabs(t->cosine + 1) < 1e-9 && t->compared,
		  "%g %g", t->relative_l2, t->cosine);
	t = named(p, "model.layers.0.mlp.up_proj.weight");
	cr_expect(fabs(t->zeros - 0.25) < 1e-12 && fabs(t->relative_l2 - 0.5) < 0.01, "%g %g",
		  t->zeros, t->relative_l2);
	cr_expect_eq(named(p, "model.layers.0.mlp.down_proj.weight")->rank, 1);
	cr_expect(p->c.same == 2 && p->c.changed == 3 && p->c.measured.changed == 3);
	cr_expect(p->c.measured.low_rank == 1 && p->c.measured.rank == 1 &&
		  fabs(p->c.measured.zeros - 1.0 / 12) < 1e-12);
	cr_expect_neq(p->c.verdict, FORK_IDENTICAL);
	done(p, a, b);
}

Test(forks_difference, values_that_are_not_finite_are_counted_and_leave_the_rest)
{
	struct toy *a = toy_new(1, 2, 0, 32, 20), *b = toy_copy(a);
	const struct fork_tensor *t;
	struct pairing *p;

	toy_noise(b, 0.1, 3);
	toy_find(b, "model.layers.0.mlp.up_proj.weight")->v[77] = NAN;
	toy_find(a, "model.layers.1.mlp.up_proj.weight")->v[5] = INFINITY;
	toy_find(b, "model.layers.1.mlp.up_proj.weight")->v[5] = INFINITY;
	p = compared(a, b, NULL);
	t = named(p, "model.layers.0.mlp.up_proj.weight");
	cr_expect(t->not_finite == 1 && t->change == FORK_CHANGED && isnan(t->relative_l2));
	cr_expect_eq(named(p, "model.layers.1.mlp.up_proj.weight")->not_finite, 2);
	cr_expect_eq(p->c.not_finite, 2);
	cr_expect(fabs(p->c.relative_l2 - 0.1) < 0.01, "%g", p->c.relative_l2);
	done(p, a, b);
}

Test(forks_difference, what_stayed_is_frozen_only_where_others_changed)
{
	struct toy *a = toy_new(1, 2, 0, 32, 20), *b = toy_copy(a);
	struct pairing *p;

	toy_find(b, "model.layers.1.mlp.up_proj.weight")->v[7] += 0.5f;
	p = compared(a, b, NULL);
	cr_expect_eq(p->c.measured.frozen, 5);
	cr_expect_eq(p->c.identical, 7, "norms too");
	cr_expect_eq(p->c.verdict, FORK_CONTAINS);
	done(p, a, b);
}

Test(forks_difference, any_number_of_threads_gives_the_same)
{
	struct toy *a = toy_new(1, 3, 2, 700, 500), *b = toy_copy(a);
	struct pairing *one, *many;
	struct pool *pool;

	toy_noise(b, 0.1, 3);
	one = compared(a, b, NULL);
	cr_assert_eq(pool_open(&pool, 3, NULL, NULL), 0);
	many = compared(a, b, pool);
	pool_close(pool);
	for (size_t i = 0; i < a->count; i++)
		cr_expect_eq(memcmp(&one->tensor[i].relative_l2, &many->tensor[i].relative_l2, 16),
			     0, "%s", one->tensor[i].name);
	cr_expect_eq(one->c.relative_l2, many->c.relative_l2);
	free(many);
	done(one, a, b);
}

Test(forks_difference, a_tensor_that_is_not_there_is_named)
{
	struct toy *a = toy_new(1, 1, 0, 32, 20), *b = toy_copy(a);
	struct pairing *p = pairing_of(a);
	struct err e = { 0 };

	toy_open(a);
	toy_open(b);
	p->tensor[2].other = "model.elsewhere";
	cr_expect_eq(fork_diff(&a->model, &b->model, NULL, &p->c, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "model.elsewhere"), "%s", e.text);
	done(p, a, b);
}
