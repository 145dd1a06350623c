/* The bundle of an audit: what it holds is checked, and its numbers are computed again. */
#include "support.h"
#include "flow/fork.h"

#include <stdlib.h>
#include <string.h>

static struct fixture at;
static char bundle[4096];

#define EXPERTS 25

static void put(const char *folder, uint64_t seed, double noise)
{
	fixture_toy(&at, folder,
		    &(struct toy){
			    .seed = seed, .experts = EXPERTS, .noise = noise, .noise_seed = 5 });
}

/* An audited suspect of acme/base beside a stranger; the folder of its bundle is ./bundle. */
static void set_up(void)
{
	json_t *report;
	struct err e = { 0 };
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
	put("base", 1, 0);
	put("stranger", 9, 0);
	put("suspect", 1, 0.2);
	json_decref(fixture_publish(&at, "base", "acme/base", "1"));
	json_decref(fixture_publish(&at, "stranger", "acme/stranger", "1"));
	expect(0, flow_audit_fork(at.flow, fixture_path(&at, "suspect"), NULL, 7, &report, &e));
	snprintf(bundle, sizeof bundle, "%s", fixture_path(&at, "bundle"));
	expect(0, flow_fork_bundle_copy(text_of(report, "bundle"), bundle, &e));
	expect(ERR_CONFLICT, flow_fork_bundle_copy(text_of(report, "bundle"), bundle, &e));
	json_decref(report);
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_fork_bundle, .init = set_up, .fini = tear_down, .timeout = 240);

static json_t *verified(const char *suspect)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_fork_bundle_verify(at.flow, bundle, fixture_path(&at, suspect), NULL,
					  &report, &e));
	return report;
}

static bool holds(const json_t *report) { return json_is_true(json_object_get(report, "ok")); }

Test(flow_fork_bundle, every_number_is_computed_again)
{
	json_t *report = verified("suspect");
	cr_expect(holds(report));
	cr_expect_eq(count_of(report, "computed_again"), 2);
	cr_expect_eq(count_of(report, "missing"), 0);
	json_decref(report);
}

Test(flow_fork_bundle, what_was_changed_is_named)
{
	static const struct {
		const char *file, *check;
	} of[] = {
		{ "bundle/report.json", "report" },
		{ "bundle/report.html", "page" },
		{ "bundle/comparisons.jsonl", "comparisons" },
		{ "bundle/receipt.tlog-proof", "receipt" },
	};
	for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
		struct buf was = { 0 }, is = { 0 };
		fixture_read(&at, of[i].file, &was);
		buf_add_buf(&is, &was);
		for (size_t k = is.len - 1; k > is.len / 2;
		     k--) /* a digit, so that it can be read */
			if (is.bytes[k] >= '1' && is.bytes[k] <= '8') {
				is.bytes[k]++;
				break;
			}
		fixture_write(&at, of[i].file, is.bytes, is.len);
		json_t *report = verified("suspect");
		cr_expect_not(holds(report), "%s", of[i].file);
		cr_expect(json_is_false(
				  json_object_get(item_with(report, "checks", "name", of[i].check),
						  "ok")),
			  "%s", of[i].check);
		json_decref(report);
		fixture_write(&at, of[i].file, was.bytes, was.len);
		buf_free(&was);
		buf_free(&is);
	}
	json_t *report = verified("suspect");
	cr_expect(holds(report));
	json_decref(report);
}

Test(flow_fork_bundle, another_model_is_not_the_subject)
{
	json_t *report = verified("base");
	cr_expect_not(holds(report));
	cr_expect(json_is_false(
		json_object_get(item_with(report, "checks", "name", "subject"), "ok")));
	json_decref(report);
}

Test(flow_fork_bundle, what_is_not_here_is_said)
{
	struct err e = { 0 };
	json_t *report;
	fixture_delete(&at, "suspect");
	report = verified("suspect");
	cr_expect(holds(report));
	cr_expect_eq(count_of(report, "computed_again"), 0);
	cr_expect_eq(count_of(report, "missing"), 1);
	json_decref(report);
	expect(ERR_USAGE, flow_fork_bundle_verify(NULL, bundle, NULL, NULL, &report, &e));
}
