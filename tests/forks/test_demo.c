/* The demo's model and its relatives. What they really are is known: they were made for this. */
#include "base/file.h"
#include "forks/old.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void open_model(struct fork_model *m, const char *dir)
{
	struct err e = { 0 };

	*m = (struct fork_model){ 0 };
	cr_assert_eq(source_open_folder(&m->source, dir, &e), 0, "%s", e.text);
	cr_assert_eq(model_tensors_open(&m->tensors, m->source, &e), 0, "%s", e.text);
}

static void close_model(struct fork_model *m)
{
	model_tensors_close(m->tensors);
	source_close(m->source);
}

static struct fork_old against(const struct fork_model *parent, const char *dir,
			       const struct fork_old_calibration *c)
{
	struct fork_old out;
	struct fork_model m;
	struct err e = { 0 };

	open_model(&m, dir);
	cr_assert_eq(fork_old_compare(parent, &m, 1e-3, 1, c, &out, &e), 0, "%s: %s", dir, e.text);
	cr_expect_eq(out.blocks, 69, "%s", dir);
	cr_expect_eq(out.skipped_blocks, 0, "%s", dir);
	cr_expect_eq(out.tensors, 249, "%s: the FP8 scales are no tensors of their own", dir);
	fork_old_free(&out);
	close_model(&m);
	return out;
}

Test(forks_demo, relatives_are_told_from_strangers)
{
	char dir[] = "/tmp/hallmark-forks-XXXXXX", command[200];
	struct fork_old_calibration calibration;
	struct fork_old c;
	struct fork_model parent;

	open_model(&parent, "demo/model");
	cr_assert_eq(fork_old_calibrate(&parent, 1, &calibration, NULL), 0);
	cr_expect_eq(calibration.pairs, 480);
	cr_expect(calibration.passed, "ks %g, %g, %g", calibration.ks_p, calibration.below_05,
		  calibration.below_005);

	c = against(&parent, "demo/fork-travel-fp8", &calibration);
	cr_expect_eq(c.verdict, FORK_DEPENDENT);
	cr_expect(fabs(c.stouffer - 770.1) < 0.5 && c.p_value < 1e-100, "%g, p %g", c.stouffer,
		  c.p_value);
	cr_expect(c.effect > 0.98 && fabs(c.relative_l2 - 0.137) < 0.002 && c.rounding == 0);

	c = against(&parent, "demo/unrelated-fp8", &calibration);
	cr_expect_eq(c.verdict, FORK_NO_EVIDENCE);
	cr_expect(fabs(c.stouffer - 0.16) < 0.1 && c.p_value > 0.1, "%g, p %g", c.stouffer,
		  c.p_value);

	cr_assert_not_null(mkdtemp(dir));
	snprintf(command, sizeof command, "python3 demo/make_int8.py demo/model %s", dir);
	cr_assert_eq(system(command), 0);
	c = against(&parent, dir, &calibration);
	cr_expect_eq(c.verdict, FORK_DEPENDENT);
	cr_expect(fabs(c.stouffer - 770.7) < 0.5 && c.p_value < 1e-100, "%g, p %g", c.stouffer,
		  c.p_value);
	cr_expect(c.rounding == 1 && fabs(c.relative_l2 - 0.007) < 0.0002, "%g, %g", c.rounding,
		  c.relative_l2);
	cr_expect(c.same == 16 && c.changed == 233);
	cr_assert_eq(file_remove_tree(dir, NULL), 0);

	c = (struct fork_old){ 0 };
	cr_assert_eq(fork_old_compare(&parent, &parent, 1e-3, 1, &calibration, &c, NULL), 0);
	cr_expect_eq(c.verdict, FORK_IDENTICAL);
	fork_old_free(&c);
	close_model(&parent);
}
