/* The demo's model and its relatives. What they really are is known: they were made for this. */
#include "base/file.h"
#include "forks/detail.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct opened {
	struct source *source;
	struct fork_model model;
	struct fork_sketch *sketch;
};

static struct opened opened(const char *dir)
{
	struct opened m = { 0 };
	struct err e = { 0 };

	cr_assert_eq(source_open_folder(&m.source, dir, &e), 0, "%s", e.text);
	cr_assert_eq(model_values_open(&m.model.values, m.source, NULL, &e), 0, "%s", e.text);
	cr_assert_eq(fork_sketch_make(&m.sketch, &m.model, &e), 0, "%s", e.text);
	return m;
}

static void closed(struct opened *m)
{
	fork_sketch_free(m->sketch);
	model_values_close(m->model.values);
	source_close(m->source);
}

static struct fork_comparison against(const struct opened *parent, const char *dir)
{
	const struct fork_options how = { .alpha = 1e-3, .seed = 1 };
	struct opened m = opened(dir);
	struct fork_comparison c;
	struct err e = { 0 };

	cr_assert_eq(fork_compare(parent->sketch, m.sketch, &how, &c, &e), 0, "%s: %s", dir,
		     e.text);
	cr_assert_eq(fork_diff(&parent->model, &m.model, NULL, &c, &e), 0, "%s: %s", dir, e.text);
	cr_expect_eq(c.detail->tensors, 249, "%s: scales are no tensors of their own", dir);
	cr_expect(c.blocks >= 64, "%s: %lu", dir, c.blocks);
	closed(&m);
	return c;
}

Test(forks_demo, relatives_are_told_from_strangers)
{
	char dir[] = "/tmp/hallmark-forks-XXXXXX", command[200];
	struct opened parent = opened("demo/model");
	struct fork_comparison c = against(&parent, "demo/fork-travel-fp8");

	cr_expect_eq(c.verdict, FORK_DEPENDENT);
	cr_expect(c.log_p < -1000 && c.effect > 0.98, "%g, effect %g", c.log_p, c.effect);
	cr_expect(fabs(c.relative_l2 - 0.137) < 0.002, "%g", c.relative_l2);
	cr_expect_lt(c.measured.rounded[FORK_ROUNDED_FP8], 20, "trained, then rounded");
	fork_comparison_free(&c);

	c = against(&parent, "demo/unrelated-fp8");
	cr_expect_eq(c.verdict, FORK_NO_EVIDENCE);
	cr_expect(c.p_value > 0.01 && fabs(c.effect) < 0.01 && c.power.plain, "p %g, effect %g",
		  c.p_value, c.effect);
	fork_comparison_free(&c);

	cr_assert_not_null(mkdtemp(dir));
	snprintf(command, sizeof command, "python3 demo/make_int8.py demo/model %s", dir);
	cr_assert_eq(system(command), 0);
	c = against(&parent, dir);
	cr_expect(c.verdict == FORK_DEPENDENT && c.log_p < -1000, "%g", c.log_p);
	cr_expect(c.measured.changed == 233 && c.measured.rounded[FORK_ROUNDED_INT8] == 233, "%lu",
		  c.measured.rounded[FORK_ROUNDED_INT8]);
	cr_expect(fabs(c.relative_l2 - 0.007) < 0.0002 && c.same == 16, "%g", c.relative_l2);
	fork_comparison_free(&c);
	cr_assert_eq(file_remove_tree(dir, NULL), 0);

	c = against(&parent, "demo/model");
	cr_expect_eq(c.verdict, FORK_IDENTICAL);
	fork_comparison_free(&c);
	closed(&parent);
}
