#include "base/buf.h"
#include "forks/old.h"
#include "toy.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct fork_old_calibration passed = {
	.pairs = 480, .ks_p = 0.5, .below_05 = 0.05, .passed = true
};

static void report(uint64_t seed, struct buf *out)
{
	struct toy *a = toy_new(1, 2, 2, 32, 20), *b = toy_copy(a);
	struct fork_old c;
	json_t *json;

	toy_noise(b, 0.2, 3);
	toy_open(a);
	toy_open(b);
	cr_assert_eq(fork_old_compare(&a->model, &b->model, 1e-3, seed, &passed, &c, NULL), 0);
	cr_assert_eq(fork_old_json(&c, true, &json, NULL), 0);
	cr_assert_eq(json_write_canonical(json, out, NULL), 0);
	json_decref(json);
	fork_old_free(&c);
	toy_free(a);
	toy_free(b);
}

Test(forks_report, same_inputs_and_seed_give_the_same_bytes)
{
	struct buf one = { 0 }, two = { 0 }, other = { 0 };

	report(UINT64_MAX, &one);
	report(UINT64_MAX, &two);
	report(1, &other);
	cr_expect(one.len > 500 && one.len == two.len &&
		  memcmp(one.bytes, two.bytes, one.len) == 0);
	cr_expect_neq(strcmp(one.bytes, other.bytes), 0);
	cr_expect(strstr(one.bytes, "\"seed\":\"18446744073709551615\""), "%s", one.bytes);
	buf_free(&one);
	buf_free(&two);
	buf_free(&other);
}

Test(forks_report, names_what_was_not_run)
{
	struct fork_old c = { .verdict = FORK_NO_EVIDENCE, .p_value = 0.4, .blocks = 0 };
	json_t *json, *not_run;

	cr_assert_eq(fork_old_json(&c, false, &json, NULL), 0);
	not_run = json_object_get(json, "not_run");
	for (int k = 3; k <= 4; k++) {
		char name[3] = { 's', (char)('0' + k), 0 }, text[60];

		snprintf(text, sizeof text, "not available in this version: %s", name);
		cr_expect(json_is_null(json_object_get(json_object_get(json, "statistics"), name)));
		cr_expect_str_eq(json_string_value(json_object_get(not_run, name)), text);
	}
	cr_expect_not_null(json_object_get(not_run, "s1"));
	cr_expect_not_null(json_object_get(not_run, "s2"));
	cr_expect_null(json_object_get(json, "blocks"));
	json_decref(json);
}

Test(forks_report, verdicts_have_their_published_names)
{
	cr_expect_str_eq(fork_verdict_name(FORK_IDENTICAL), "identical");
	cr_expect_str_eq(fork_verdict_name(FORK_DEPENDENT), "dependent-initialisation");
	cr_expect_str_eq(fork_verdict_name(FORK_CONTAINS), "contains-identical-tensors");
	cr_expect_str_eq(fork_verdict_name(FORK_INCONCLUSIVE), "inconclusive");
	cr_expect_str_eq(fork_verdict_name(FORK_NO_EVIDENCE), "no-evidence");
}
