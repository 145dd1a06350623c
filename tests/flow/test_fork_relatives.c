/* What an audit says of several relatives: ranked by evidence, one parent, ancestors, siblings; and
 * of what cannot be compared. */
#include "support.h"
#include "flow/fork.h"

#include <stdlib.h>
#include <string.h>

static struct fixture at;

#define CARD(more) "---\n" more "---\n"
#define EXPERTS 25

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_fork_relatives, .init = set_up, .fini = tear_down, .timeout = 240);

/* `acme/FOLDER`: the model of that seed with so much noise of its own. */
static void publish(const char *folder, uint64_t seed, double noise, uint64_t noise_seed, const char *card)
{
	char name[60];
	struct toy t = {
		.seed = seed, .experts = EXPERTS, .noise = noise, .noise_seed = noise_seed, .card = card
	};
	fixture_toy(&at, folder, &t);
	snprintf(name, sizeof name, "acme/%s", folder);
	json_decref(fixture_publish(&at, folder, name, "1"));
}

static json_t *audit(const char *suspect)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_fork(at.flow, fixture_path(&at, suspect), NULL, 7, &report, &e));
	return report;
}

static void suspect(double noise, const char *card)
{
	fixture_toy(&at, "suspect",
		    &(struct toy){ .seed = 1, .experts = EXPERTS, .noise = noise, .noise_seed = 50, .card = card });
}

static const char *direction(const json_t *report, const char *candidate)
{
	return text_of(item_with(report, "candidates", "name", candidate), "direction");
}

static int examined(struct fixture *x, json_t **report, struct err *e)
{
	const struct flow_fork_question q = { .suspect = fixture_path(x, "suspect"), .seed = 7 };

	return flow_fork_examine(x->flow, &q, report, e);
}

Test(flow_fork_relatives, a_sibling_is_told_apart_from_the_parent)
{
	publish("base", 1, 0, 0, NULL);
	publish("left", 1, 0.2, 5, NULL);
	publish("right", 1, 0.3, 6, NULL);
	publish("stranger", 9, 0, 0, NULL);
	suspect(0.25, NULL);
	json_t *report = audit("suspect");
	cr_expect_str_eq(text_of(report, "parent"), "acme/base@1");
	cr_expect_eq(count_of(report, "parents"), 1);
	cr_assert_eq(count_of(report, "siblings"), 2);
	const json_t *sibling = item_with(report, "siblings", "name", "acme/left@1");
	cr_expect_str_eq(text_of(sibling, "base"), "acme/base@1");
	cr_expect_str_eq(text_of(sibling, "basis"), "registered");
	cr_expect_str_eq(direction(report, "acme/left@1"), "sibling");
	cr_expect_str_eq(direction(report, "acme/base@1"), "parent");
	cr_expect_str_eq(direction(report, "acme/stranger@1"), "");
	cr_expect_str_eq(text_of(item_of(report, "candidates", 3), "name"), "acme/stranger@1", "the weakest last");
	json_decref(report);
}

Test(flow_fork_relatives, siblings_are_logged_and_make_no_edge)
{
	json_t *report, *shown, *affected;
	struct err e = { 0 };
	publish("base", 1, 0, 0, NULL);
	publish("left", 1, 0.2, 5, NULL);
	suspect(0.25, NULL);
	report = audit("suspect");
	expect(0, flow_audit_show(at.flow, (uint64_t)number_of(report, "index"), false, &shown, &e));
	const json_t *body = json_object_get(json_object_get(shown, "entry"), "body");
	cr_expect_eq(count_of(body, "parents"), 1);
	cr_expect_str_eq(text_of(item_of(body, "siblings", 0), "name"), "acme/left@1");
	expect(0, flow_registry_affected(at.flow, "acme/left", &affected, &e));
	cr_expect_eq(count_of(affected, "affected"), 0);
	json_decref(affected);
	json_decref(shown);
	json_decref(report);
}

Test(flow_fork_relatives, what_lies_above_the_parent_is_an_ancestor)
{
	publish("base", 1, 0, 0, NULL);
	struct toy t = { .seed = 1, .experts = EXPERTS, .noise = 0.3, .noise_seed = 5 };
	t.card = CARD("base_model: acme/base\n");
	fixture_toy(&at, "tuned", &t);
	json_decref(fixture_publish(&at, "tuned", "acme/tuned", "1"));
	t.int8 = true;
	t.card = NULL;
	fixture_toy(&at, "suspect", &t);
	json_t *report = audit("suspect");
	cr_expect_str_eq(text_of(report, "parent"), "acme/tuned@1");
	cr_expect_str_eq(direction(report, "acme/base@1"), "ancestor");
	cr_expect_str_eq(text_of(item_with(report, "candidates", "name", "acme/base@1"), "basis"), "declared");
	cr_expect_eq(count_of(report, "siblings"), 0);
	json_decref(report);
}

/* Neither has the base here; both cards name it. */
Test(flow_fork_relatives, two_cards_that_name_one_absent_base_are_siblings)
{
	static const char card[] = CARD("base_model: far/Base-7B\n");
	publish("left", 1, 0.2, 5, card);
	suspect(0.25, CARD("base_model:\n- far/base-7b\n"));
	json_t *report = audit("suspect");
	cr_expect_str_eq(text_of(report, "verdict"), "dependent-initialisation");
	cr_expect(json_is_null(json_object_get(report, "parent")));
	cr_expect_eq(count_of(report, "parents"), 0);
	cr_expect_str_eq(text_of(item_of(report, "siblings", 0), "base"), "far/base-7b");
	cr_expect_str_eq(text_of(item_of(report, "siblings", 0), "basis"), "declared");
	cr_expect_eq(count_of(report, "findings"), 0, "an honest card is not contradicted: %s",
		     text_of(item_of(report, "findings", 0), "detail"));
	json_decref(report);
}

Test(flow_fork_relatives, without_a_decision_no_candidate_is_a_parent)
{
	json_t *report, *shown;
	struct err e = { 0 };
	publish("one", 8, 0, 0, NULL);
	publish("two", 9, 0, 0, NULL);
	suspect(0, NULL);
	report = audit("suspect");
	cr_expect_str_eq(text_of(report, "verdict"), "no-evidence");
	cr_expect(json_is_null(json_object_get(report, "parent")));
	expect(0, flow_audit_show(at.flow, (uint64_t)number_of(report, "index"), false, &shown, &e));
	const json_t *body = json_object_get(json_object_get(shown, "entry"), "body");
	cr_expect_eq(count_of(body, "parents"), 0);
	cr_expect_null(json_object_get(body, "about"), "whose numbers the report shows is no part of the entry");
	json_decref(shown);
	json_decref(report);
}

/* Holm's thresholds stand beside the p-values, and both say what was rejected. */
Test(flow_fork_relatives, the_thresholds_are_told)
{
	publish("base", 1, 0, 0, NULL);
	publish("one", 8, 0, 0, NULL);
	publish("two", 9, 0, 0, NULL);
	suspect(0.2, NULL);
	json_t *report = audit("suspect");
	for (size_t i = 0; i < 3; i++) {
		const json_t *c = item_of(report, "candidates", i);
		double p = json_real_value(json_object_get(c, "p_value"));
		double threshold = json_real_value(json_object_get(c, "threshold"));
		cr_expect_float_eq(threshold, 1e-3 / (double)(3 - i), 1e-6, "%zu: %g", i, threshold);
		cr_expect_eq(p <= threshold, i == 0, "%zu: %g", i, p);
	}
	json_decref(report);
}

static void spoil(const char *name)
{
	struct buf b = { 0 };
	static const unsigned char nan[4] = { 0, 0, 0xc0, 0x7f };
	fixture_read(&at, name, &b);
	memcpy(b.bytes + b.len - 400, nan, sizeof nan);
	fixture_write(&at, name, b.bytes, b.len);
	buf_free(&b);
}

Test(flow_fork_relatives, nothing_that_is_registered_stops_an_audit)
{
	struct toy t = { .seed = 3, .experts = EXPERTS };
	publish("base", 1, 0, 0, NULL);
	fixture_toy(&at, "nan", &t);
	spoil("nan/model.safetensors");
	json_decref(fixture_publish(&at, "nan", "acme/nan", "1"));
	publish("gone", 4, 0, 0, NULL);
	fixture_delete(&at, "gone");
	fixture_toy(&at, "word", &t);
	fixture_text(&at, "word/config.json", "no config");
	json_decref(fixture_publish(&at, "word", "acme/word", "1"));
	suspect(0.2, NULL);
	json_t *report = audit("suspect");
	cr_expect_str_eq(text_of(report, "parent"), "acme/base@1");
	size_t named = count_of(report, "unavailable") + count_of(report, "unjudged") +
		       count_of(report, "candidates");
	cr_expect_eq(named, 4, "%zu", named);
	cr_expect(item_with(report, "unjudged", "name", "acme/word@1"));
	json_decref(report);
}

Test(flow_fork_relatives, comparing_writes_no_entry_and_recording_adds_it)
{
	json_t *report, *listed;
	struct err e = { 0 };
	publish("base", 1, 0, 0, NULL);
	suspect(0.2, NULL);
	fixture_close(&at);
	expect(0, fixture_try_open(&at, true, &e));
	expect(0, examined(&at, &report, &e));
	cr_expect_str_eq(text_of(report, "parent"), "acme/base@1");
	expect(ERR_CONFLICT, flow_fork_record(at.flow, report, NULL, &e));
	fixture_close(&at);
	fixture_open(&at);
	expect(0, flow_audit_list(at.flow, 0, 1000, &listed, &e));
	long long size = number_of(listed, "size");
	json_decref(listed);
	expect(0, flow_fork_record(at.flow, report, NULL, &e));
	cr_expect_geq(number_of(report, "index"), size);
	cr_expect(text_of(report, "receipt")[0]);
	json_decref(report);
}

/* ---- sketches that are kept, and auditing again ---- */

static json_t *again(void)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_fork_examine_again(at.flow, 7, &report, &e));
	return report;
}

/* As the command does. */
static void record_all(json_t *report)
{
	struct err e = { 0 };
	json_t *item;
	size_t i;
	json_array_foreach(json_object_get(report, "changed"), i, item)
		expect(0, flow_fork_record(at.flow, json_object_get(item, "report"), NULL, &e));
}

static void expect_again(size_t changed, long long unchanged, long long current, const char *parent)
{
	json_t *report = again();
	cr_expect_eq(count_of(report, "changed"), changed, "%zu changed", count_of(report, "changed"));
	cr_expect_eq(number_of(report, "unchanged"), unchanged);
	cr_expect_eq(number_of(report, "current"), current);
	cr_expect_str_eq(text_of(item_of(report, "changed", 0), "parent"), parent);
	record_all(report);
	json_decref(report);
}

Test(flow_fork_relatives, a_base_that_comes_later_changes_what_was_found)
{
	publish("stranger", 9, 0, 0, NULL);
	suspect(0.25, NULL);
	json_decref(audit("suspect"));
	expect_again(0, 0, 1, "");
	publish("other", 10, 0, 0, NULL);
	expect_again(0, 1, 0, "");
	publish("base", 1, 0, 0, NULL);
	expect_again(1, 0, 0, "acme/base@1");
	expect_again(0, 0, 1, "");
	publish("another", 11, 0, 0, NULL);
	expect_again(0, 1, 0, "");
}

Test(flow_fork_relatives, a_suspect_that_is_gone_is_audited_by_its_kept_sketch)
{
	publish("stranger", 9, 0, 0, NULL);
	suspect(0.25, CARD("base_model: acme/base\n"));
	json_decref(audit("suspect"));
	fixture_delete(&at, "suspect");
	publish("base", 1, 0, 0, NULL);
	json_t *report = again();
	const json_t *changed = item_of(report, "changed", 0), *first = json_object_get(changed, "report");
	cr_expect_str_eq(text_of(changed, "name"), "suspect");
	cr_expect_str_eq(text_of(changed, "parent"), "acme/base@1");
	cr_expect_str_eq(text_of(json_object_get(changed, "was"), "verdict"), "no-evidence");
	cr_expect_str_eq(text_of(item_of(first, "parents", 0), "basis"), "declared", "the entry has its card");
	for (size_t i = 0; i < count_of(first, "findings"); i++)
		cr_expect_str_neq(text_of(item_of(first, "findings", i), "severity"), "contradiction");
	json_decref(report);
	fixture_delete(&at, "home/cache/sketches");
	report = again();
	cr_expect_eq(count_of(report, "changed"), 0);
	cr_expect_str_eq(text_of(item_of(report, "unavailable", 0), "name"), "suspect");
	json_decref(report);
}

Test(flow_fork_relatives, a_folder_that_now_holds_another_model_is_not_the_suspect)
{
	publish("stranger", 9, 0, 0, NULL);
	suspect(0.25, NULL);
	json_t *first = audit("suspect");
	fixture_delete(&at, "suspect");
	fixture_toy(&at, "suspect", &(struct toy){ .seed = 33, .experts = EXPERTS });
	publish("base", 1, 0, 0, NULL);
	json_t *report = again();
	const json_t *second = json_object_get(item_of(report, "changed", 0), "report");
	cr_expect_str_eq(text_of(second, "subject"), text_of(first, "subject"));
	cr_expect_str_eq(text_of(second, "parent"), "acme/base@1");
	json_decref(report);
	json_decref(first);
}

Test(flow_fork_relatives, a_release_whose_files_are_gone_is_compared_by_what_is_kept_of_it)
{
	struct err e = { 0 };
	publish("base", 1, 0, 0, NULL);
	expect(0, flow_fork_keep(at.flow, "acme/base", &e));
	fixture_delete(&at, "base");
	suspect(0.25, NULL);
	json_t *report = audit("suspect");
	cr_expect_str_eq(text_of(report, "parent"), "acme/base@1");
	const json_t *gone = item_of(report, "unavailable", 0);
	cr_expect_str_eq(text_of(gone, "name"), "acme/base@1");
	cr_expect(truth_of(gone, "compared"));
	json_decref(report);
}

/* With and without what was kept, and on any order of making it: one report. */
Test(flow_fork_relatives, what_is_kept_does_not_change_the_report)
{
	publish("base", 1, 0, 0, NULL);
	publish("left", 1, 0.2, 5, NULL);
	publish("stranger", 9, 0, 0, NULL);
	suspect(0.25, NULL);
	json_t *first = NULL;
	for (int i = 0; i < 3; i++) {
		struct err e = { 0 };
		json_t *report;
		if (i == 2)
			fixture_delete(&at, "home/cache/sketches");
		expect(0, examined(&at, &report, &e));
		if (first)
			cr_expect(json_equal(first, report), "round %d", i);
		else
			first = json_incref(report);
		json_decref(report);
	}
	json_decref(first);
}

/* The base is not here, and no card names it: by the distances all three are its children. */
Test(flow_fork_relatives, three_children_of_a_base_that_is_not_here_are_siblings)
{
	publish("left", 1, 0.2, 5, NULL);
	publish("right", 1, 0.3, 6, NULL);
	suspect(0.25, NULL);
	json_t *report = audit("suspect");
	cr_expect_str_eq(text_of(report, "verdict"), "dependent-initialisation");
	cr_expect(json_is_null(json_object_get(report, "parent")));
	cr_expect_eq(count_of(report, "siblings"), 2);
	cr_expect_str_eq(text_of(item_of(report, "siblings", 0), "basis"), "measured");
	json_decref(report);
}

/* A child that is registered already, and the base: the suspect lies between them. */
Test(flow_fork_relatives, a_child_that_is_registered_before_its_parent_is_no_parent)
{
	publish("base", 1, 0, 0, NULL);
	struct toy t = { .seed = 1, .experts = EXPERTS, .noise = 0.25, .noise_seed = 50 };
	t.more = 0.2;
	t.more_seed = 60;
	fixture_toy(&at, "child", &t);
	json_decref(fixture_publish(&at, "child", "acme/child", "1"));
	suspect(0.25, NULL);
	json_t *report = audit("suspect");
	cr_expect_str_eq(text_of(report, "parent"), "acme/base@1");
	cr_expect_str_eq(direction(report, "acme/child@1"), "child");
	cr_expect_eq(count_of(report, "parents"), 1);
	json_decref(report);
}
