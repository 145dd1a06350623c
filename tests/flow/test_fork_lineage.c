/* Who descends from whom, whatever came here first and whatever is audited first. */
#include "support.h"
#include "flow/fork.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct flow_fork_look seven = { .seed = 7, .quiet = true };
static const struct flow_fork_look listed = { .seed = 7, .lists = true, .quiet = true };

static struct fixture at;

#define CARD(more) "---\n" more "---\n"
#define EXPERTS 25

static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
				  { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
static const char *const folder[] = { "a", "b", "c" };
static const char *const name[] = { "acme/a", "acme/b", "acme/c" };

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
}

static void tear_down(void) { fixture_remove(&at); }

static void again(void)
{
	tear_down();
	set_up();
}

TestSuite(flow_fork_lineage, .init = set_up, .fini = tear_down, .timeout = 240);

/* A chain whose weights tell it: a, a with noise, that rounded to 8 bits. */
static void make_chain(void)
{
	struct toy t = { .seed = 1, .experts = EXPERTS };
	fixture_toy(&at, "a", &t);
	t.noise = 0.3;
	t.noise_seed = 5;
	fixture_toy(&at, "b", &t);
	t.int8 = true;
	fixture_toy(&at, "c", &t);
}

/* A chain whose cards tell it: the same weights throughout, for speed. */
static void make_declared_chain(void)
{
	fixture_toy(&at, "a", &(struct toy){ .seed = 1, .experts = 1 });
	struct toy t = { .seed = 1, .experts = 1, .card = CARD("base_model: acme/a\n") };
	fixture_toy(&at, "b", &t);
	t.card = CARD("base_model:\n# base\n- acme/b\n");
	fixture_toy(&at, "c", &t);
}

static void publish(int i) { json_decref(fixture_publish(&at, folder[i], name[i], "1")); }

static json_t *audit(const char *ref, const char *parent)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_fork(at.flow, ref, parent, 7, &report, &e));
	return report;
}

static json_t *audit_folder(int i) { return audit(fixture_path(&at, folder[i]), NULL); }

/* No report may say that a card is wrong or silent about a parent. */
static void expect_no_accusation(const json_t *report, const char *where)
{
	cr_expect(!item_with(report, "findings", "kind", "F-PARENT-WRONG") &&
			  !item_with(report, "findings", "kind", "F-PARENT-MISSING"),
		  "%s: %s", where, text_of(item_of(report, "findings", 0), "detail"));
}

static const char *direction(const json_t *report, const char *candidate)
{
	return text_of(item_with(report, "candidates", "name", candidate), "direction");
}

static bool is_affected(const char *ref, const char *by)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_registry_affected(at.flow, by, &report, &e));
	const json_t *found = item_with(report, "affected", "name", ref);
	json_decref(report);
	return found != NULL;
}

static void expect_chain(const char *where)
{
	static const char *const released[] = { "acme/a@1", "acme/b@1", "acme/c@1" };
	for (int child = 0; child < 3; child++)
		for (int parent = 0; parent < 3; parent++)
			cr_expect_eq(is_affected(released[child], name[parent]), child > parent, "%s: %s by %s",
				     where, released[child], name[parent]);
}

static const char *words(const int *published, const int *audited)
{
	static char text[60];
	snprintf(text, sizeof text, "published %s%s%s, audited %s%s%s", folder[published[0]], folder[published[1]],
		 folder[published[2]], folder[audited[0]], folder[audited[1]], folder[audited[2]]);
	return text;
}

Test(flow_fork_lineage, a_declared_chain_joins_in_every_order_of_registering_and_auditing)
{
	for (int p = 0; p < 6; p++)
		for (int o = 0; o < 6; o++) {
			const char *where = words(orders[p], orders[o]);
			make_declared_chain();
			for (int i = 0; i < 3; i++)
				publish(orders[p][i]);
			for (int i = 0; i < 3; i++) {
				json_t *report = audit_folder(orders[o][i]);
				expect_no_accusation(report, where);
				json_decref(report);
			}
			expect_chain(where);
			again();
		}
}

Test(flow_fork_lineage, a_chain_that_only_the_weights_tell_joins_in_every_order_of_auditing)
{
	for (int o = 0; o < 6; o++) {
		const char *where = words(orders[0], orders[o]);
		make_chain();
		for (int i = 0; i < 3; i++)
			publish(i);
		for (int i = 0; i < 3; i++) {
			json_t *report = audit_folder(orders[o][i]);
			if (orders[o][i] == 0) {
				expect_no_accusation(report, where);
				cr_expect(json_is_null(json_object_get(report, "parent")), "%s", where);
				cr_expect_eq(count_of(report, "parents"), 0, "%s", where);
			} else {
				cr_expect_str_eq(text_of(report, "parent"),
						 orders[o][i] == 1 ? "acme/a@1" : "acme/b@1", "%s", where);
			}
			json_decref(report);
		}
		expect_chain(where);
		again();
	}
}

Test(flow_fork_lineage, folders_that_are_released_later_join_too)
{
	make_chain();
	publish(0);
	json_decref(audit_folder(2));
	cr_expect(is_affected("c", "acme/a"), "its grandparent is all that is registered");
	publish(1);
	json_decref(audit_folder(1));
	json_decref(audit_folder(2));
	publish(2);
	json_t *report = audit("acme/c@1", NULL);
	cr_expect_str_eq(text_of(report, "parent"), "acme/b@1");
	json_decref(report);
	cr_expect(is_affected("acme/b@1", "acme/a") && is_affected("c", "acme/a") && is_affected("c", "acme/b"));
	cr_expect(!is_affected("acme/a@1", "acme/b") && !is_affected("acme/b@1", "acme/c"));
}

Test(flow_fork_lineage, a_fork_that_was_registered_first_gets_its_declared_parent)
{
	make_declared_chain();
	publish(1);
	json_t *report = audit_folder(0); /* not released: its fork's card names what is called as its folder is */
	cr_expect(json_is_null(json_object_get(report, "parent")));
	cr_expect_str_eq(direction(report, "acme/b@1"), "unknown");
	cr_expect_str_eq(text_of(report, "verdict"), "identical", "related all the same");
	expect_no_accusation(report, "the base, not released");
	json_decref(report);
	fixture_toy(&at, "download", &(struct toy){ .seed = 1, .experts = 1, .card = CARD("license: mit\n") });
	report = audit(fixture_path(&at, "download"), NULL); /* called otherwise it looks like a fork of its fork */
	cr_expect_str_eq(text_of(report, "parent"), "acme/b@1");
	cr_expect_str_eq(text_of(item_of(report, "parents", 0), "basis"), "registered");
	cr_expect(strstr(text_of(item_of(report, "findings", 0), "detail"), "it was registered first"),
		  "the presumption is stated: %s", text_of(item_of(report, "findings", 0), "detail"));
	json_decref(report);
	publish(0);
	report = audit("acme/b", NULL);
	cr_expect_str_eq(text_of(report, "parent"), "acme/a@1");
	cr_expect_str_eq(text_of(item_of(report, "parents", 0), "basis"), "declared");
	cr_expect_eq(count_of(report, "findings"), 0);
	json_decref(report);
	cr_expect(is_affected("acme/b@1", "acme/a") && !is_affected("acme/a@1", "acme/b"));
	report = audit("acme/a", NULL);
	expect_no_accusation(report, "the base");
	cr_expect_str_eq(direction(report, "acme/b@1"), "child");
	cr_expect_str_eq(text_of(report, "verdict"), "no-evidence");
	cr_expect(json_is_null(json_object_get(report, "p_value")));
	json_decref(report);
}

Test(flow_fork_lineage, without_a_word_the_direction_is_unknown_until_the_auditor_says_it)
{
	fixture_toy(&at, "a", &(struct toy){ .seed = 1, .experts = EXPERTS });
	fixture_toy(&at, "b", &(struct toy){ .seed = 1, .experts = EXPERTS, .noise = 0.3, .noise_seed = 5 });
	publish(1);
	publish(0);
	json_t *report = audit("acme/b", NULL);
	cr_expect_str_eq(text_of(report, "verdict"), "dependent-initialisation", "related all the same");
	cr_expect_str_eq(direction(report, "acme/a@1"), "unknown");
	cr_expect(json_is_null(json_object_get(report, "parent")));
	expect_no_accusation(report, "b");
	json_decref(report);
	cr_expect(!is_affected("acme/b@1", "acme/a") && !is_affected("acme/a@1", "acme/b"));
	report = audit("acme/b", "acme/a");
	cr_expect_str_eq(text_of(report, "parent"), "acme/a@1");
	cr_expect_str_eq(text_of(item_of(report, "parents", 0), "basis"), "asked");
	json_decref(report);
	report = audit("acme/a", NULL);
	cr_expect_str_eq(direction(report, "acme/b@1"), "child");
	expect_no_accusation(report, "a");
	json_decref(report);
	report = audit("acme/b", NULL);
	cr_expect_str_eq(text_of(item_of(report, "parents", 0), "basis"), "recorded");
	json_decref(report);
	cr_expect(is_affected("acme/b@1", "acme/a") && !is_affected("acme/a@1", "acme/b"));
}

Test(flow_fork_lineage, one_content_under_two_names_is_itself)
{
	make_declared_chain();
	publish(0);
	json_decref(fixture_publish(&at, "a", "other/copy", "2"));
	json_t *alias;
	struct err e = { 0 };
	expect(0, flow_registry_alias(at.flow, "other/copy@2", "live", &alias, &e));
	json_decref(alias);
	const char *const refs[] = { "acme/a@1", "other/copy@live", "other/copy" };
	for (size_t i = 0; i < 3; i++) {
		json_t *report = audit(refs[i], i == 1 ? "acme/a" : NULL);
		cr_expect_eq(count_of(report, "registered_as"), 2, "%s", refs[i]);
		cr_expect_eq(number_of(report, "compared"), 0, "%s", refs[i]);
		cr_expect_str_eq(text_of(report, "verdict"), "inconclusive", "%s", refs[i]);
		cr_expect_eq(count_of(report, "parents"), 0, "%s", refs[i]);
		cr_expect_eq(count_of(report, "findings"), 0, "%s", refs[i]);
		json_decref(report);
	}
	fixture_text(&at, "b/README.md", CARD("base_model: other/copy\n"));
	json_t *report = audit_folder(1);
	cr_expect_eq(number_of(report, "compared"), 1, "one content is one candidate");
	cr_expect_str_eq(text_of(report, "parent"), "other/copy@2", "by the name that was declared");
	cr_expect_eq(count_of(report, "findings"), 0);
	json_decref(report);
	cr_expect(!is_affected("acme/a@1", "other/copy") && !is_affected("other/copy@2", "acme/a"));
	fixture_text(&at, "b/README.md", CARD("license: mit\n"));
	json_decref(fixture_publish(&at, "b", "other/copy", "3"));
	report = audit("other/copy@3", NULL);
	cr_expect_eq(count_of(report, "parents"), 1);
	expect_no_accusation(report, "a version of the second name");
	json_decref(report);
}

Test(flow_fork_lineage, a_release_cannot_name_its_own_descendant_as_its_parent)
{
	struct err e = { 0 };
	json_t *report;
	make_declared_chain();
	publish(0);
	publish(1);
	json_decref(audit_folder(1));
	struct flow_publish p = { fixture_path(&at, "a"), "acme/a", "2", "k", .parent = "acme/b" };
	expect_says(ERR_CONFLICT, "acme/b@1 descends from it", flow_publish(at.flow, &p, &report, &e));
	p.parent = "acme/a";
	expect_says(ERR_CONFLICT, "has this very content", flow_publish(at.flow, &p, &report, &e));
	p.parent = NULL;
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
}

Test(flow_fork_lineage, a_parent_that_the_release_declares_need_not_stand_in_the_card)
{
	struct toy t = { .seed = 1, .experts = EXPERTS };
	struct err e = { 0 };
	json_t *report;
	fixture_toy(&at, "a", &t);
	publish(0);
	t.noise = 0.3;
	t.noise_seed = 5;
	t.card = CARD("license: mit\n");
	fixture_toy(&at, "b", &t);
	struct flow_publish p = { fixture_path(&at, "b"), "acme/b", "1", "k", .parent = "acme/a" };
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
	report = audit("acme/b", NULL);
	cr_expect_str_eq(text_of(report, "parent"), "acme/a@1");
	expect_no_accusation(report, "a release");
	cr_expect_eq(count_of(json_object_get(report, "declared"), "base_models"), 1);
	json_decref(report);
}

/* A card names what a model was made of, and no earlier version of the model itself. */
Test(flow_fork_lineage, an_earlier_version_is_a_parent_that_no_card_names)
{
	static const char *const cards[] = { NULL, CARD("base_model: acme/a\n") };
	for (size_t i = 0; i < 2; i++) {
		struct toy t = { .seed = 1, .experts = EXPERTS };
		fixture_toy(&at, "a", &t);
		publish(0);
		t.noise = 0.3;
		t.noise_seed = 5;
		t.card = cards[i];
		fixture_toy(&at, "b", &t);
		publish(1);
		t.int8 = true;
		fixture_toy(&at, "b2", &t);
		json_decref(fixture_publish(&at, "b2", "acme/b", "2"));
		json_t *report = audit("acme/b@2", NULL);
		cr_expect_str_eq(text_of(report, "parent"), "acme/b@1", "row %zu", i);
		expect_no_accusation(report, "a new version");
		json_decref(report);
		again();
	}
}

/* ---- several parents ---- */

/* By the weights it is a child of a alone, as b is: what its card says beside that is no parent. */
Test(flow_fork_lineage, of_what_a_card_calls_a_merge_the_weights_confirm_the_parents)
{
	struct toy t = { .seed = 1, .experts = EXPERTS };
	fixture_toy(&at, "a", &t);
	fixture_toy(&at, "c", &(struct toy){ .seed = 2, .experts = EXPERTS });
	t.noise = 0.2;
	t.noise_seed = 4;
	fixture_toy(&at, "b", &t);
	for (int i = 0; i < 3; i++)
		publish(i);
	t.noise_seed = 6;
	t.card = CARD("base_model: [acme/b, acme/a, acme/c]\nbase_model_relation: merge\n");
	fixture_toy(&at, "m", &t);
	json_t *report = audit(fixture_path(&at, "m"), NULL);
	cr_assert_eq(count_of(report, "parents"), 1);
	cr_expect_str_eq(text_of(item_of(report, "parents", 0), "name"), "acme/a@1");
	cr_expect_str_eq(text_of(item_of(report, "siblings", 0), "name"), "acme/b@1");
	cr_expect_eq(count_of(json_object_get(report, "declared"), "base_models"), 3);
	const json_t *unseen = item_with(report, "findings", "kind", "F-PARENT-UNSEEN");
	cr_expect(strstr(text_of(unseen, "detail"), "declares acme/c; the weights show no dependence on it"));
	json_decref(report);
	cr_expect(is_affected("m", "acme/a") && !is_affected("m", "acme/c"));
}

/* Fine-tunes of one base may be a little nearer to each other than to it. */
Test(flow_fork_lineage, the_card_is_believed_unless_another_is_clearly_nearer)
{
	static const struct {
		double noise;
		const char *parent;
	} rows[] = { { 0.02, "acme/a@1" }, { 0.3, "acme/b@1" } };
	for (size_t i = 0; i < 2; i++) {
		struct toy t = { .seed = 1, .experts = EXPERTS };
		fixture_toy(&at, "a", &t);
		t.noise = rows[i].noise;
		t.noise_seed = 4;
		fixture_toy(&at, "b", &t);
		publish(0);
		publish(1);
		t.int8 = true;
		t.card = CARD("base_model: acme/a\n");
		if (i == 0) { /* a's rounding: b lies off the way, by less than the rounding */
			t.noise = 0.0;
			t.noise_seed = 0;
		}
		fixture_toy(&at, "m", &t);
		json_t *report = audit(fixture_path(&at, "m"), NULL);
		cr_expect_str_eq(text_of(report, "parent"), rows[i].parent, "row %zu", i);
		const json_t *nearer = item_with(report, "findings", "kind", "F-PARENT-MISSING");
		cr_expect_eq(nearer != NULL, i == 1, "row %zu", i);
		cr_expect_str_eq(text_of(nearer, "severity"), i ? "note" : "", "the card is true all the same");
		json_decref(report);
		again();
	}
}

/* ---- what the log keeps ---- */

static json_t *body_of(const json_t *report, json_t **shown)
{
	struct err e = { 0 };
	expect(0, flow_audit_show(at.flow, (uint64_t)number_of(report, "index"), false, shown, &e));
	return json_object_get(json_object_get(*shown, "entry"), "body");
}

static bool is_null(const json_t *o, const char *key) { return json_is_null(json_object_get(o, key)); }

Test(flow_fork_lineage, what_was_not_measured_is_null_and_without_evidence_there_is_no_parent)
{
	json_t *shown, *report;
	make_declared_chain();
	publish(0);
	report = audit_folder(1);
	const json_t *body = body_of(report, &shown), *parent = item_of(body, "parents", 0);
	cr_expect(is_null(report, "p_value") && is_null(item_of(report, "candidates", 0), "p_value"));
	cr_expect(is_null(body, "p_value") && is_null(parent, "p_value") && is_null(parent, "weight"));
	cr_expect_str_eq(text_of(parent, "rung"), "values");
	cr_expect_str_eq(text_of(parent, "verdict"), "identical");
	cr_expect_str_eq(text_of(parent, "basis"), "declared");
	cr_expect_str_eq(text_of(body, "method"), "ladder/2");
	cr_expect_eq(number_of(body, "compared"), 1);
	cr_expect_null(json_object_get(body, "parent"));
	cr_expect_null(json_object_get(body, "parent_name"));
	cr_expect_eq(count_of(report, "parents"), 1);
	cr_expect_str_eq(text_of(item_of(report, "parents", 0), "root"), text_of(parent, "root"));
	json_decref(shown);
	json_decref(report);

	fixture_toy(&at, "x", &(struct toy){ .seed = 8, .experts = EXPERTS });
	fixture_toy(&at, "y", &(struct toy){ .seed = 9, .experts = EXPERTS });
	json_decref(fixture_publish(&at, "x", "acme/x", "1"));
	report = audit(fixture_path(&at, "y"), NULL);
	body = body_of(report, &shown);
	cr_expect_str_eq(text_of(body, "verdict"), "no-evidence");
	cr_expect_eq(count_of(body, "parents"), 0);
	cr_expect_eq(number_of(body, "compared"), 2);
	json_decref(shown);
	json_decref(report);
}

/* Every real number of a report and an entry. */
static void expect_four_digits(const json_t *v, const char *where)
{
	const char *key;
	json_t *item;
	size_t i;
	json_object_foreach((json_t *)v, key, item) expect_four_digits(item, key);
	json_array_foreach(v, i, item) expect_four_digits(item, where);
	if (json_is_real(v)) {
		char text[40];
		double x = json_real_value(v);
		snprintf(text, sizeof text, "%.3e", x);
		cr_expect_eq(strtod(text, NULL), x, "%s is %.17g", where, x);
	}
}

Test(flow_fork_lineage, measured_numbers_have_four_digits)
{
	json_t *shown, *report;
	struct err e = { 0 };
	make_chain();
	publish(0);
	report = audit_folder(1);
	expect_four_digits(report, "report");
	const json_t *body = body_of(report, &shown);
	expect_four_digits(body, "entry");
	cr_expect(json_is_real(json_object_get(item_of(body, "parents", 0), "p_value")));
	json_decref(shown);
	json_decref(report);
	expect(0, flow_fork_compare(NULL, fixture_path(&at, "a"), fixture_path(&at, "b"), &listed, &report, &e));
	expect_four_digits(report, "comparison");
	json_decref(report);
	expect(0, flow_fork_calibrate(NULL, fixture_path(&at, "a"), &seven, &report, &e));
	expect_four_digits(report, "calibration");
	json_decref(report);
}

Test(flow_fork_lineage, one_candidate_is_open_at_a_time)
{
	enum { RELEASES = 40 };
	for (int i = 0; i < RELEASES; i++) {
		char dir[20], model[30];
		snprintf(dir, sizeof dir, "m%d", i);
		snprintf(model, sizeof model, "acme/m%d", i);
		fixture_toy(&at, dir, &(struct toy){ .seed = (uint64_t)i + 10, .experts = 1 });
		json_decref(fixture_publish(&at, dir, model, "1"));
	}
	fixture_toy(&at, "suspect", &(struct toy){ .seed = 10, .experts = 1, .card = CARD("license: mit\n") });
	struct rlimit few = { RELEASES, RELEASES };
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	json_t *report = audit(fixture_path(&at, "suspect"), NULL);
	cr_expect_str_eq(text_of(report, "parent"), "acme/m0@1");
	cr_expect_eq(number_of(report, "compared"), RELEASES);
	json_decref(report);
}

Test(flow_fork_lineage, a_rebuild_gives_the_same_lineage)
{
	json_t *before, *after, *report;
	struct err e = { 0 };
	make_declared_chain();
	publish(1);
	json_decref(audit_folder(0));
	publish(0);
	publish(2);
	for (int i = 0; i < 3; i++)
		json_decref(audit_folder(i));
	expect_chain("before");
	expect(0, flow_registry_export(at.flow, &before, &e));
	cr_assert_gt(count_of(before, "edges"), 0);
	fixture_close(&at);
	fixture_delete(&at, "home/state.db");
	fixture_delete(&at, "home/state.db-wal");
	fixture_delete(&at, "home/state.db-shm");
	struct flow_options o = { .home = fixture_path(&at, "home"), .env = &at.env, .quiet = true };
	expect(0, flow_registry_rebuild(&o, &report, &e));
	json_decref(report);
	fixture_open(&at);
	expect(0, flow_registry_export(at.flow, &after, &e));
	cr_expect(json_equal(before, after));
	expect_chain("after");
	json_decref(before);
	json_decref(after);
}
