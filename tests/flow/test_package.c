/* A package is read where it lies: no copy is made, wherever temporary files would go. */
#include "support.h"
#include "flow/fork.h"

#include <stdlib.h>

static const struct flow_fork_look seven = { .seed = 7, .quiet = true };

static struct fixture at;

static void set_up(void)
{
	struct err e = { 0 };
	json_t *report;
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	fixture_toy(&at, "model", &(struct toy){ .seed = 1, .experts = 25, .card = "---\nlicense: mit\n---\n" });
	struct flow_publish p = { fixture_path(&at, "model"), "acme/m", "1", "k",
				  .package = fixture_path(&at, "m.tar") };
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
	setenv("TMPDIR", "/nonexistent/nowhere", 1);
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_package, .init = set_up, .fini = tear_down, .timeout = 120);

Test(flow_package, shows_and_verifies_without_a_temporary_folder)
{
	struct err e = { 0 };
	json_t *shown, *report;
	struct flow_verify v = { .ref = fixture_path(&at, "m.tar"), .quiet = true };
	expect(0, flow_release_show(at.flow, v.ref, &shown, &e));
	cr_expect_str_eq(text_of(shown, "name"), "model");
	expect(0, flow_release_verify(at.flow, &v, &report, &e));
	cr_expect(truth_of(report, "ok"));
	cr_expect_str_eq(text_of(report, "root"), text_of(shown, "root"));
	cr_expect(truth_of(item_with(report, "checks", "name", "minisign"), "ok"));
	json_decref(report);
	json_decref(shown);
}

Test(flow_package, compares_and_audits_without_a_temporary_folder)
{
	struct err e = { 0 };
	json_t *report;
	expect(0, flow_fork_compare(at.flow, "acme/m", fixture_path(&at, "m.tar"), &seven, &report, &e));
	cr_expect_str_eq(text_of(report, "verdict"), "identical");
	json_decref(report);
	expect(0, flow_audit_fork(at.flow, fixture_path(&at, "m.tar"), NULL, 7, &report, &e));
	cr_expect_str_eq(json_string_value(item_of(report, "registered_as", 0)), "acme/m@1");
	json_decref(report);
}

Test(flow_package, a_damaged_one_is_a_failed_verification)
{
	struct err e = { 0 };
	json_t *report;
	struct flow_verify v = { .ref = fixture_path(&at, "m.tar"), .quiet = true };
	fixture_flip(&at, "m.tar", 3); /* in the first header: its sum is wrong */
	expect(0, flow_release_verify(at.flow, &v, &report, &e));
	cr_expect_not(truth_of(report, "ok"));
	cr_expect_not(truth_of(item_with(report, "checks", "name", "package"), "ok"));
	json_decref(report);
}
