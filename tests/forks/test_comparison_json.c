#include "forks/detail.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fork_block blocks[] = {
	{ .test = FORK_TEST_S1,
	  .name_a = "model.layers.0.mlp",
	  .name_b = "model.layers.0.mlp",
	  .log_p = -900,
	  .z = 60,
	  .effect = 0.9,
	  .judged = true },
	{ .test = FORK_TEST_S1,
	  .name_a = "model.layers.1.mlp",
	  .name_b = "model.layers.1.mlp",
	  .skipped = "fewer than 16 units" },
	{ .test = FORK_TEST_S1,
	  .name_a = "model.layers.2.mlp",
	  .name_b = "model.layers.2.mlp",
	  .skipped = "fewer than 16 units" },
};

static struct fork_tensor tensors[] = {
	{ .name = "model.layers.0.mlp.up_proj.weight",
	  .other = "x.layers.0.mlp.up_proj.weight",
	  .change = FORK_SAME,
	  .floats = true,
	  .matrix = true,
	  .compared = true,
	  .relative_l2 = NAN,
	  .cosine = NAN,
	  .bytes = 99,
	  .values = 3 },
	{ .name = "model.norm.weight",
	  .change = FORK_CHANGED,
	  .component = FORK_ENDS,
	  .floats = true,
	  .not_finite = 4,
	  .relative_l2 = NAN,
	  .cosine = NAN },
};

static struct fork_calibration calibrations[] = {
	{ .kind = FORK_DENSE,
	  .units = 24,
	  .hidden = 32,
	  .pairs = 480,
	  .ks_p = 0.5,
	  .passed = true,
	  .seed = UINT64_MAX },
	{ .kind = FORK_EXPERT, .units = 24, .hidden = 32, .reason = "one pair of blocks" },
};

static struct fork_detail detail(void)
{
	struct fork_detail d = {
		.alpha = 1e-3,
		.seed = UINT64_MAX,
		.block = blocks,
		.blocks = 3,
		.tensor = tensors,
		.tensors = 2,
		.calibration = calibrations,
		.calibrations = 2,
		.calibrations_a = 1,
		.notes_a = "",
		.notes_b = "tensor x: left out\nand y\n",
		.shared = { [FORK_BODY] = { 1, 99, 3, 0.25 } },
		.beside = { [FORK_TOWER] = { 7, -300, 0.99, true } },
	};

	d.test[FORK_TEST_S1] = (struct fork_test_result){ .run = true,
							  .tested = true,
							  .log_p = -900,
							  .log_fisher = -890,
							  .log_smallest = -900,
							  .judged = 1,
							  .skipped = 2,
							  .effect = 0.9 };
	d.test[FORK_TEST_S2].reason = "not needed: s1 decides";
	return d;
}

static json_t *written(struct fork_detail *d, bool lists)
{
	struct fork_comparison c = {
		.detail = d, .effect = 0.9, .relative_l2 = NAN, .identical = 1
	};
	struct err e = { 0 };
	json_t *json;

	fork_verdict_draw(&c);
	c.power.sentence = "none";
	cr_assert_eq(fork_comparison_json(&c, lists, &json, &e), 0, "%s", e.text);
	return json;
}

static const json_t *at(const json_t *o, const char *path)
{
	char key[40];

	while (o && *path) {
		size_t len = strcspn(path, ".");

		snprintf(key, sizeof key, "%.*s", (int)len, path);
		o = json_is_array(o) ? json_array_get(o, (size_t)atoi(key))
				     : json_object_get(o, key);
		path += len + (path[len] == '.');
	}
	cr_assert_not_null(o, "no %s", path);
	return o;
}

static const struct {
	const char *path, *text;
} texts[] = {
	{ "verdict", "dependent-initialisation" },
	{ "null_hypothesis", "independent initialisation" },
	{ "rung", "s1" },
	{ "seed", "18446744073709551615" },
	{ "identical.names.0", "x.layers.0.mlp.up_proj.weight" },
	{ "not_finite.0", "model.norm.weight" },
	{ "shared_components.0.component", "tower" },
	{ "not_run.s2", "not needed: s1 decides" },
	{ "skipped.0.reason", "fewer than 16 units" },
	{ "skipped.0.names.1", "model.layers.2.mlp" },
	{ "calibration.a.0.kind", "dense" },
	{ "calibration.b.0.reason", "one pair of blocks" },
	{ "notes.b.1", "and y" },
	{ "versions.method", "ladder/2" },
	{ "tensor_list.0.change", "same" },
	{ "blocks.0.statistic", "s1" },
};

static const struct {
	const char *path;
	double value;
} numbers[] = {
	{ "p_value", 2.225e-308 },
	{ "log10_p", -390 },
	{ "effect", 0.9 },
	{ "identical.count", 1 },
	{ "identical.share", 0.25 },
	{ "statistics.s1.blocks", 1 },
	{ "statistics.s1.skipped", 2 },
	{ "statistics.s1.matched", 1 },
	{ "statistics.s1.log10_p", -390.9 },
	{ "skipped.0.count", 2 },
	{ "shared_components.0.blocks", 7 },
	{ "calibration.pairs", 480 },
	{ "blocks.0.log10_p", -390.9 },
};

static const char *const nulls[] = { "relative_l2",       "statistics.s2",
				     "statistics.s4",     "map",
				     "relation_measured", "tensor_list.1.relative_l2",
				     "blocks.1.p" };

Test(forks_comparison_json, tells_every_rung_and_what_was_left_out)
{
	struct fork_detail d = detail();
	json_t *json = written(&d, true);

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		cr_expect_str_eq(json_string_value(at(json, texts[i].path)), texts[i].text, "%s",
				 texts[i].path);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		double found = json_number_value(at(json, numbers[i].path));

		cr_expect(fabs(found - numbers[i].value) <= 1e-3 * fabs(numbers[i].value),
			  "%s is %g", numbers[i].path, found);
	}
	for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
		cr_expect(json_is_null(at(json, nulls[i])), "%s", nulls[i]);
	cr_expect(json_string_length(at(json, "meaning")) > 80);
	json_decref(json);
}

Test(forks_comparison_json, without_tests_there_is_no_p_value)
{
	struct fork_detail d = detail();
	json_t *json;

	d.test[FORK_TEST_S1].tested = false;
	json = written(&d, false);
	cr_expect_str_eq(json_string_value(at(json, "verdict")), "contains-identical-tensors");
	cr_expect_str_eq(json_string_value(at(json, "rung")), "values");
	cr_expect(json_is_null(at(json, "p_value")) && json_is_null(at(json, "log10_p")));
	cr_expect_null(json_object_get(json, "blocks"));
	json_decref(json);
}

Test(forks_comparison_json, a_small_p_is_raised_to_the_tests_and_told_by_its_logarithm)
{
	struct fork_detail d = detail();
	json_t *json;

	d.test[FORK_TEST_S1].log_p = log(1e-5);
	json = written(&d, false);
	cr_expect(fabs(json_number_value(at(json, "p_value")) - 7e-5) < 1e-9);
	cr_expect(fabs(json_number_value(at(json, "log10_p")) + 4.155) < 1e-3);
	d.test[FORK_TEST_S1].log_p = log(0.5);
	json_decref(json);
	json = written(&d, false);
	cr_expect_eq(json_number_value(at(json, "p_value")), 1);
	cr_expect_eq(json_number_value(at(json, "log10_p")), 0);
	json_decref(json);
}

Test(forks_comparison_json, verdicts_have_their_published_names)
{
	cr_expect_str_eq(fork_verdict_name(FORK_IDENTICAL), "identical");
	cr_expect_str_eq(fork_verdict_name(FORK_DEPENDENT), "dependent-initialisation");
	cr_expect_str_eq(fork_verdict_name(FORK_CONTAINS), "contains-identical-tensors");
	cr_expect_str_eq(fork_verdict_name(FORK_INCONCLUSIVE), "inconclusive");
	cr_expect_str_eq(fork_verdict_name(FORK_NO_EVIDENCE), "no-evidence");
}
