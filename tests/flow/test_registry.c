/* The registry's verbs, and its rebuilding from the log. */
#include "support.h"
#include "flow/fork.h"

#include "flow/home.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct fixture at;

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_registry, .init = set_up, .fini = tear_down, .timeout = 60);

static void publish(const char *folder, uint64_t seed, const char *version, const char *parent)
{
	const struct flow_publish p = { .dir = fixture_path(&at, folder),
					.name = "acme/m",
					.version = version,
					.key = "k",
					.parent = parent,
					.kind = parent ? "merge" : NULL };
	json_t *report;
	struct err e = { 0 };
	fixture_toy(&at, folder, &(struct toy){ .seed = seed, .experts = 1 });
	expect(0, flow_publish(at.flow, &p, &report, &e));
	json_decref(report);
}

static void alias(const char *ref, const char *name)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_registry_alias(at.flow, ref, name, &report, &e));
	json_decref(report);
}

/* "version" of what a reference finds. */
static void expect_version(const char *ref, const char *version)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_registry_show(at.flow, ref, &report, &e));
	cr_expect_str_eq(text_of(report, "version"), version, "%s: %s", ref,
			 text_of(report, "version"));
	json_decref(report);
}

/* Everything, and the same as text. */
static json_t *exported(struct buf *text)
{
	json_t *all;
	struct err e = { 0 };
	expect(0, flow_registry_export(at.flow, &all, &e));
	buf_clear(text);
	expect(0, json_write_canonical(all, text, &e));
	return all;
}

/* ---- listing and showing ---- */

Test(flow_registry, list_and_show_say_the_same_in_the_logs_order)
{
	json_t *list, *shown;
	struct err e = { 0 };
	expect(0, flow_registry_list(at.flow, &list, &e));
	cr_expect_eq(count_of(list, "releases"), 0);
	json_decref(list);
	publish("b", 1, "2.0.0", NULL);
	publish("a", 2, "1.0.0", NULL);
	expect(0, flow_registry_list(at.flow, &list, &e));
	cr_assert_eq(count_of(list, "releases"), 2);
	const json_t *one = item_of(list, "releases", 0), *two = item_of(list, "releases", 1);
	cr_expect_str_eq(text_of(one, "version"), "2.0.0");
	cr_expect_str_eq(text_of(two, "version"), "1.0.0");
	cr_expect_lt(number_of(one, "index"), number_of(two, "index"));
	cr_expect_str_eq(text_of(one, "model"), "acme/m");
	cr_expect_str_eq(text_of(one, "publisher"), "k");
	cr_expect_str_eq(text_of(one, "license"), "unknown");
	cr_expect_str_eq(text_of(one, "location"), fixture_path(&at, "b"));
	expect(0, flow_registry_show(at.flow, "acme/m@2.0.0", &shown, &e));
	cr_expect(json_equal(shown, one));
	json_decref(shown);
	json_decref(list);
	expect_version("acme/m", "2.0.0"); /* the highest, not the newest published */
	expect_says(ERR_NOTFOUND, "acme/none",
		    flow_registry_show(at.flow, "acme/none", &shown, &e));
}

/* ---- aliases ---- */

Test(flow_registry, an_alias_moves_and_outlives_the_process)
{
	publish("a", 1, "1.0.0", NULL);
	publish("b", 2, "2.0.0", NULL);
	alias("acme/m@1.0.0", "stable");
	expect_version("acme/m@stable", "1.0.0");
	alias("acme/m", "stable");
	expect_version("acme/m@stable", "2.0.0");
	alias("acme/m@stable", "lts");
	fixture_close(&at);
	fixture_open(&at);
	expect_version("acme/m@stable", "2.0.0");
	expect_version("acme/m@lts", "2.0.0");
}

Test(flow_registry, an_alias_is_a_log_entry)
{
	json_t *report, *shown;
	struct err e = { 0 };
	publish("a", 1, "1.0.0", NULL);
	expect(0, flow_registry_alias(at.flow, "acme/m", "stable", &report, &e));
	expect(0,
	       flow_audit_show(at.flow, (uint64_t)number_of(report, "index"), false, &shown, &e));
	const json_t *entry = json_object_get(shown, "entry"),
		     *body = json_object_get(entry, "body");
	cr_expect_str_eq(text_of(entry, "type"), "registry");
	cr_expect_str_eq(text_of(body, "model"), "acme/m");
	cr_expect_str_eq(text_of(body, "alias"), "stable");
	cr_expect_str_eq(text_of(body, "root"), text_of(report, "root"));
	json_decref(shown);
	json_decref(report);
}

static const struct {
	const char *ref, *alias;
	int rc;
	const char *words;
} aliases[] = {
	{ "acme/m", "", ERR_USAGE, "expected lower-case letters" },
	{ "acme/m", "Stable", ERR_USAGE, "expected lower-case letters" },
	{ "acme/m", "1.0", ERR_USAGE, "expected lower-case letters" },
	{ "acme/m", "a b", ERR_USAGE, "expected lower-case letters" },
	{ "acme/m", "a@b", ERR_USAGE, "expected lower-case letters" },
	{ "acme/m", "a/b", ERR_USAGE, "expected lower-case letters" },
	{ "acme/m", "0123456789012345678901234567890123456789012345678901234567890", ERR_USAGE,
	  "expected lower-case letters" },
	{ "acme/none", "stable", ERR_NOTFOUND, "the registry has no acme/none" },
	{ "acme/m@none", "stable", ERR_NOTFOUND, "the registry has no acme/m@none" },
	{ "acme/m", "2024", ERR_USAGE, "reads as a version" },
	{ "acme/m", "2026-11-29", ERR_USAGE, "reads as a version" },
	{ "acme/m", "v2", ERR_USAGE, "reads as a version" },
	{ "acme/m", "latest", ERR_USAGE, "reads as a version" },
	{ "acme/m", "beta", ERR_CONFLICT, "acme/m@beta is a version" },
};

Test(flow_registry, an_alias_that_could_not_be_found_again_is_refused)
{
	struct buf before = { 0 }, after = { 0 };
	struct err e = { 0 };
	publish("a", 1, "2024", NULL);
	publish("b", 2, "beta", NULL);
	json_decref(exported(&before));
	for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
		json_t *report = NULL;
		e = (struct err){ 0 };
		int rc =
			flow_registry_alias(at.flow, aliases[i].ref, aliases[i].alias, &report, &e);
		cr_expect_eq(rc, aliases[i].rc, "row %zu: %d (%s)", i, rc, e.text);
		cr_expect(strstr(e.text, aliases[i].words), "row %zu: %s", i, e.text);
	}
	json_decref(exported(&after));
	cr_expect_str_eq(before.bytes, after.bytes);
	buf_free(&before);
	buf_free(&after);
}

/* ---- descendants ---- */

Test(flow_registry, affected_follows_declared_parents_to_the_end)
{
	static const struct {
		const char *name;
		long long depth;
	} wanted[] = { { "acme/m@2", 1 }, { "acme/m@4", 1 }, { "acme/m@3", 2 } };
	json_t *report;
	struct err e = { 0 };
	publish("a", 1, "1", NULL);
	publish("b", 2, "2", "acme/m@1");
	publish("c", 3, "3", "acme/m@2");
	publish("d", 4, "4", "acme/m@1");
	publish("x", 5, "5", NULL);
	expect(0, flow_registry_affected(at.flow, "acme/m@1", &report, &e));
	cr_expect_str_eq(text_of(report, "model"), "acme/m");
	cr_assert_eq(count_of(report, "affected"), 3);
	for (size_t i = 0; i < 3; i++) {
		const json_t *child = item_of(report, "affected", i);
		cr_expect_str_eq(text_of(child, "name"), wanted[i].name, "row %zu", i);
		cr_expect_eq(number_of(child, "depth"), wanted[i].depth, "row %zu", i);
		cr_expect_str_eq(text_of(child, "relation"), "merge", "row %zu", i);
	}
	json_decref(report);
	expect(0, flow_registry_affected(at.flow, "acme/m@5", &report, &e));
	cr_expect_eq(count_of(report, "affected"), 0);
	json_decref(report);
	expect(ERR_NOTFOUND, flow_registry_affected(at.flow, "acme/m@6", &report, &e));
}

/* ---- export ---- */

Test(flow_registry, the_export_holds_what_the_log_says_and_nothing_of_this_machine)
{
	struct buf text = { 0 };
	publish("a", 1, "1", NULL);
	publish("b", 2, "2", "acme/m@1");
	alias("acme/m@1", "stable");
	json_t *all = exported(&text);
	cr_expect_eq(count_of(all, "releases"), 2);
	cr_expect_eq(count_of(all, "forks"), 0);
	cr_expect_eq(count_of(all, "aliases"), 1);
	const json_t *two = item_of(all, "releases", 1);
	cr_expect_str_eq(text_of(item_of(two, "parents", 0), "name"), "acme/m");
	cr_expect_str_eq(text_of(item_of(all, "aliases", 0), "alias"), "stable");
	cr_expect_null(strstr(text.bytes, at.dir), "folders are this machine's");
	json_decref(all);
	buf_free(&text);
}

/* ---- rebuilding ---- */

TestSuite(flow_rebuild, .init = set_up, .fini = tear_down, .timeout = 60);

static int rebuild(json_t **report, struct err *e)
{
	const struct flow_options o = { .home = fixture_path(&at, "home"),
					.env = &at.env,
					.quiet = true };
	return flow_registry_rebuild(&o, report, e);
}

static void lose_database(void)
{
	static const char *const parts[] = { "home/state.db", "home/state.db-wal",
					     "home/state.db-shm" };
	fixture_close(&at);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		fixture_delete(&at, parts[i]);
}

/* Releases, edges, an alias and a fork finding. */
static void fill(void)
{
	json_t *report;
	struct err e = { 0 };
	publish("a", 1, "1", NULL);
	publish("b", 2, "2", "acme/m@1");
	alias("acme/m@1", "stable");
	alias("acme/m@2", "stable");
	expect(0, flow_audit_fork(at.flow, fixture_path(&at, "a"), NULL, 1, &report, &e));
	json_decref(report);
}

Test(flow_rebuild, the_log_gives_back_what_was_there)
{
	struct buf before = { 0 }, after = { 0 };
	json_t *report, *verdict;
	struct err e = { 0 };
	fill();
	json_decref(exported(&before));
	lose_database();
	expect(0, rebuild(&report, &e));
	cr_expect_eq(number_of(report, "releases"), 2);
	cr_expect_eq(number_of(report, "forks"), 1);
	cr_expect_eq(number_of(report, "undisclosable"), 0);
	cr_expect_eq(count_of(report, "undisclosable_entries"), 0);
	fixture_open(&at);
	json_decref(exported(&after));
	cr_expect_str_eq(after.bytes, before.bytes);
	expect_version("acme/m@stable", "2");
	expect(0, flow_audit_verify(at.flow, NULL, NULL, &verdict, &e));
	cr_expect(truth_of(verdict, "ok"), "%s",
		  text_of(item_of(verdict, "problems", 0), "detail"));
	cr_expect_eq(number_of(report, "size"), number_of(verdict, "size"));
	json_decref(verdict);
	json_decref(report);
	buf_free(&before);
	buf_free(&after);
}

Test(flow_rebuild, the_log_goes_on_after_it)
{
	json_t *report, *verdict;
	struct err e = { 0 };
	fill();
	lose_database();
	expect(0, rebuild(&report, &e));
	json_decref(report);
	fixture_open(&at);
	publish("c", 3, "3", "acme/m@2");
	expect_version("acme/m", "3");
	expect(0, flow_registry_affected(at.flow, "acme/m@1", &report, &e));
	cr_expect(item_with(report, "affected", "name", "acme/m@2"));
	cr_expect(item_with(report, "affected", "name", "acme/m@3"), "old edges and new ones join");
	json_decref(report);
	expect(0, flow_audit_verify(at.flow, NULL, NULL, &verdict, &e));
	cr_expect(truth_of(verdict, "ok"));
	json_decref(verdict);
}

Test(flow_rebuild, folders_are_not_in_the_log_and_are_not_made_up)
{
	json_t *report;
	struct err e = { 0 };
	fill();
	lose_database();
	expect(0, rebuild(&report, &e));
	json_decref(report);
	fixture_open(&at);
	expect(0, flow_registry_show(at.flow, "acme/m@1", &report, &e));
	cr_expect_str_eq(text_of(report, "location"), "");
	json_decref(report);
	expect_says(ERR_NOTFOUND, "its files are not on this machine",
		    fixture_verify(at.flow, "acme/m@1", NULL, false, &report, &e));
	expect(0, fixture_verify(at.flow, fixture_path(&at, "a"), NULL, false, &report, &e));
	cr_expect(truth_of(report, "ok"), "the folder itself is as good as before");
	json_decref(report);
	fixture_delete(&at, "home/cache/sketches"); /* else it would be compared by those */
	expect_says(ERR_NOTFOUND, "no registered release lies on this machine",
		    flow_audit_fork(at.flow, fixture_path(&at, "a"), NULL, 1, &report, &e));
}

Test(flow_rebuild, what_the_vault_held_is_listed_as_lost)
{
	json_t *report;
	struct err e = { 0 };
	uint64_t index = fixture_secret(&at, "secret");
	lose_database();
	expect(0, rebuild(&report, &e));
	const json_t *lost = item_of(report, "undisclosable_entries", 0);
	cr_expect_eq(number_of(report, "undisclosable"), 1);
	cr_expect_eq(count_of(report, "undisclosable_entries"), 1);
	cr_expect_eq(number_of(lost, "index"), (long long)index);
	cr_expect_str_eq(text_of(lost, "type"), "incident");
	json_decref(report);
	fixture_open(&at);
	expect(ERR_NOTFOUND, flow_audit_show(at.flow, index, true, &report, &e));
}

Test(flow_rebuild, only_a_missing_database_is_rebuilt)
{
	json_t *report;
	struct err e = { 0 };
	fixture_close(&at);
	expect_says(ERR_CONFLICT, "are both there", rebuild(&report, &e));
	cr_expect_null(report);
	lose_database();
	fixture_delete(&at, "home/log");
	expect_says(ERR_NOTFOUND, "nothing to rebuild from", rebuild(&report, &e));
	cr_expect_not(fixture_has(&at, "home/state.db"), "nothing is made where nothing was");
}

static const char *const tampered[] = { "home/log/tile/entries", "home/log/tile/0" };

/* Flip a byte of the last file below a folder of the log. */
static void tamper(const char *folder)
{
	char command[2 * LIMIT_PATH_BYTES], name[LIMIT_PATH_BYTES];
	snprintf(command, sizeof command, "find %s -type f | sort | tail -n 1",
		 fixture_path(&at, folder));
	FILE *p = popen(command, "r");
	cr_assert(p && fgets(name, sizeof name, p));
	pclose(p);
	name[strcspn(name, "\n")] = 0;
	fixture_flip(&at, name + strlen(at.dir) + 1, 40);
}

Test(flow_rebuild, a_log_that_does_not_verify_is_not_taken_for_the_truth)
{
	fill();
	fixture_close(&at);
	fixture_copy(&at, "home", "kept");
	for (size_t i = 0; i < sizeof tampered / sizeof *tampered; i++) {
		json_t *report;
		struct err e = { 0 };
		fixture_delete(&at, "home");
		fixture_copy(&at, "kept", "home");
		lose_database();
		tamper(tampered[i]);
		expect(ERR_VERIFY, rebuild(&report, &e));
		cr_expect_null(report);
		cr_expect(e.text[0], "%s", tampered[i]);
		cr_expect_not(fixture_has(&at, "home/state.db"), "%s", tampered[i]);
		/* The log put back as it was is rebuilt. */
		fixture_delete(&at, "home/log");
		fixture_copy(&at, "kept/log", "home/log");
		int rc = rebuild(&report, &e);
		cr_expect_eq(rc, 0, "%s: %s", tampered[i], e.text);
		json_decref(report);
	}
}

Test(flow_rebuild, another_process_that_writes_is_not_disturbed)
{
	json_t *report;
	struct err e = { 0 };
	fill();
	cr_assert_eq(rename(fixture_path(&at, "home/state.db"), fixture_path(&at, "away.db")), 0);
	expect(ERR_CONFLICT, rebuild(&report, &e)); /* the log is still locked */
	cr_expect_null(report);
}

Test(flow_rebuild, without_the_logs_key_there_is_nothing_to_check_it_with)
{
	json_t *report;
	struct err e = { 0 };
	fill();
	lose_database();
	fixture_move(&at, "home/keys/log.key", "log.key");
	expect_says(ERR_NOTFOUND, "put it back from a backup", rebuild(&report, &e));
	fixture_move(&at, "log.key", "home/keys/log.key");
	expect(0, rebuild(&report, &e));
	json_decref(report);
}

static void just_rebuild(struct fixture *x)
{
	json_t *report;
	struct err e = { 0 };
	(void)x;
	if (rebuild(&report, &e) < 0)
		_Exit(97);
	json_decref(report);
}

Test(flow_rebuild, a_rebuild_announces_nothing_it_could_die_at_half_done)
{
	fill();
	lose_database();
	cr_expect_not(fixture_dies(&at, NULL, 1, just_rebuild), "a step inside: test dying there");
	fixture_open(&at);
	expect_version("acme/m@1", "1");
}
