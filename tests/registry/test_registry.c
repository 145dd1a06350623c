#include "registry/registry.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char dir[64];
static struct store *store;
static struct registry *reg;
static struct err e;

static void make_tables(void)
{
	struct store_tx *tx;

	cr_assert_eq(store_write(store, &tx, &e), 0, "%s", e.text);
	cr_assert_eq(registry_schema(tx, &e), 0, "%s", e.text);
	cr_assert_eq(store_commit(tx, &e), 0, "%s", e.text);
	store_end(tx);
}

static void set_up(void)
{
	char path[80];

	snprintf(dir, sizeof(dir), "/dev/shm/test-registry-XXXXXX");
	if (!mkdtemp(dir)) {
		snprintf(dir, sizeof(dir), "/tmp/test-registry-XXXXXX");
		cr_assert(mkdtemp(dir));
	}
	snprintf(path, sizeof(path), "%s/state.db", dir);
	cr_assert_eq(store_open(&store, path, &e), 0, "%s", e.text);
	cr_assert_eq(registry_open(&reg, store, &e), 0, "%s", e.text);
	make_tables();
}

static void tear_down(void)
{
	registry_close(reg);
	store_close(store);
	cr_assert_eq(file_remove_tree(dir, NULL), 0);
}

TestSuite(registry, .init = set_up, .fini = tear_down);

/* A root that can be told apart: sha256:<digit repeated>. */
static const char *root(char digit)
{
	static char text[4][DIGEST_TEXT_ROOM];
	static int turn;
	char *t = text[turn++ % 4];

	memcpy(t, "sha256:", 7);
	memset(t + 7, digit, 64);
	t[71] = 0;
	return t;
}

static struct digest root_digest(char digit)
{
	struct digest d;
	cr_assert_eq(digest_parse(root(digit), &d, NULL), 0);
	return d;
}

static int apply(uint64_t index, const char *type, json_t *body)
{
	json_t *entry = json_pack("{s:s,s:o}", "type", type, "body", body);
	struct store_tx *tx;

	cr_assert(entry);
	cr_assert_eq(store_write(store, &tx, &e), 0, "%s", e.text);
	int rc = registry_apply(reg, tx, index, entry, &e);
	if (rc == 0)
		cr_assert_eq(store_commit(tx, &e), 0, "%s", e.text);
	store_end(tx);
	json_decref(entry);
	return rc;
}

static json_t *release(const char *model, const char *version, char digit, char parent)
{
	json_t *parents = json_array();

	if (parent)
		json_array_append_new(parents, json_pack("{s:s,s:s,s:s}", "name", "p/p", "root",
							 root(parent), "relation", "finetune"));
	return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:i,s:i}", "model", model, "version",
			 version, "root", root(digit), "manifest", root('0'), "publisher", "acme",
			 "keyid", "k", "license", "MIT", "parents", parents, "files", 3, "bytes",
			 1000);
}

/* basis NULL: none is given. */
static json_t *parent_of(char root_digit, const char *verdict, const char *basis)
{
	return json_pack("{s:s,s:s,s:n,s:s,s:f,s:f,s:s,s:s*}", "root", root(root_digit), "name", "a/m@1",
			 "weight", "verdict", verdict, "p_value", 1.5e-7, "effect", 0.25, "rung",
			 "s1", "basis", basis);
}

/* parent 0: none found. */
static json_t *fork_of(char subject, char parent, const char *basis)
{
	const char *verdict = parent ? "dependent-initialisation" : "no-evidence";
	json_t *parents = json_array();

	if (parent)
		json_array_append_new(parents, parent_of(parent, verdict, basis));
	return json_pack("{s:s,s:s,s:[],s:n,s:s,s:n,s:f,s:i,s:s,s:o,s:[],s:s}", "subject",
			 root(subject), "subject_name", "copy", "declared", "relation", "verdict",
			 verdict, "p_value", "effect", 0.25, "compared", 2, "method", "ladder/1",
			 "parents", parents, "findings", "report", root('f'));
}

static json_t *alias_body(const char *model, const char *alias, char digit)
{
	return json_pack("{s:s,s:s,s:s}", "model", model, "alias", alias, "root", root(digit));
}

/* The export as bytes, appended. */
static void export_text(struct buf *out)
{
	json_t *all;

	cr_assert_eq(registry_export(reg, &all, &e), 0, "%s", e.text);
	cr_assert_eq(json_write_canonical(all, out, &e), 0, "%s", e.text);
	json_decref(all);
}

/* The same history for several tests. */
static void fill(void)
{
	cr_assert_eq(apply(1, "release", release("a/m", "1.0", '1', 0)), 0, "%s", e.text);
	cr_assert_eq(apply(2, "start", json_object()), 0);
	cr_assert_eq(apply(3, "release", release("a/m", "1.1", '2', '1')), 0, "%s", e.text);
	cr_assert_eq(apply(4, "registry", alias_body("a/m", "champion", '1')), 0, "%s", e.text);
	cr_assert_eq(apply(5, "fork", fork_of('3', '2', NULL)), 0, "%s",
		     e.text);
	cr_assert_eq(apply(6, "fork", fork_of('4', 0, NULL)), 0, "%s", e.text);
	cr_assert_eq(apply(7, "release", release("b/copy", "1", '5', '3')), 0, "%s", e.text);
}

Test(registry, finds_by_highest_version_alias_and_root)
{
	static const struct {
		const char *ref;
		uint64_t index; /* 0: not found */
	} rows[] = {
		{ "a/m", 3 },
		{ "a/m@1.0", 1 },
		{ "a/m@1.1", 3 },
		{ "a/m@champion", 1 },
		{ "b/copy", 7 },
		{ "a/m@none", 0 },
		{ "c/m", 0 },
		{ "a/", 0 },
		{ "@", 0 },
		{ "", 0 },
		{ "b/copy@champion", 0 },
		{ "sha256:zz", 0 },
	};
	struct registry_release r;

	fill();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int rc = registry_find(reg, rows[i].ref, &r, &e);
		cr_expect_eq(rc, rows[i].index ? 0 : ERR_NOTFOUND, "%s: %d", rows[i].ref, rc);
		if (rc == 0)
			cr_expect_eq(r.log_index, rows[i].index, "%s", rows[i].ref);
	}
	cr_assert_eq(registry_find(reg, root('2'), &r, &e), 0);
	cr_expect_eq(r.log_index, 3);
	cr_expect_str_eq(r.version, "1.1");
	cr_expect_str_eq(r.publisher, "acme");
	cr_expect_eq(r.bytes, 1000);
	cr_expect_str_eq(r.location, "");
}

Test(registry, alias_moves_and_the_last_one_counts)
{
	struct registry_release r;

	fill();
	cr_assert_eq(apply(8, "registry", alias_body("a/m", "champion", '2')), 0);
	cr_assert_eq(registry_find(reg, "a/m@champion", &r, &e), 0);
	cr_expect_str_eq(r.version, "1.1");
}

Test(registry, version_cannot_change_its_content)
{
	struct buf before = { 0 }, after = { 0 };

	fill();
	export_text(&before);
	cr_expect_eq(apply(8, "release", release("a/m", "1.0", '9', 0)), ERR_CONFLICT);
	export_text(&after);
	cr_expect_str_eq(before.bytes, after.bytes);
	cr_expect_eq(apply(9, "release", release("a/m", "1.0", '1', 0)), 0);
	buf_free(&before);
	buf_free(&after);
}

static void sql(const char *text)
{
	struct store_tx *tx;

	cr_assert_eq(store_write(store, &tx, &e), 0);
	cr_assert_eq(store_exec(tx, text, &e), 0, "%s", e.text);
	cr_assert_eq(store_commit(tx, &e), 0);
	store_end(tx);
}

/* Bodies come from the log in canonical order. */
static json_t *sorted(json_t *body)
{
	struct buf text = { 0 };
	json_t *again;

	cr_assert_eq(json_write_canonical(body, &text, &e), 0, "%s", e.text);
	cr_assert_eq(json_read(&again, text.bytes, text.len, MIB(1), LIMIT_JSON_DEPTH, &e), 0, "%s", e.text);
	buf_free(&text);
	json_decref(body);
	return again;
}

Test(registry, members_of_an_export_stand_in_their_order)
{
	struct buf expected = { 0 };
	json_t *all;

	cr_assert_eq(apply(1, "release", sorted(release("a/m", "1.0", '1', 0))), 0, "%s", e.text);
	cr_assert_eq(apply(2, "alias", sorted(alias_body("a/m", "stable", '1'))), 0, "%s", e.text);
	cr_assert_eq(registry_export(reg, &all, &e), 0, "%s", e.text);
	json_t *releases = json_object_get(all, "releases"), *aliases = json_object_get(all, "aliases");
	char *release_text = json_dumps(releases, JSON_COMPACT), *alias_text = json_dumps(aliases, JSON_COMPACT);
	cr_assert_eq(json_write_canonical(releases, &expected, &e), 0, "%s", e.text);
	cr_expect_str_eq(release_text, expected.bytes);
	buf_clear(&expected);
	cr_assert_eq(json_write_canonical(aliases, &expected, &e), 0, "%s", e.text);
	cr_expect_str_eq(alias_text, expected.bytes);
	free(release_text);
	free(alias_text);
	buf_free(&expected);
	json_decref(all);
}

Test(registry, replay_gives_the_same_export_byte_for_byte_without_locations)
{
	struct buf first = { 0 }, second = { 0 };
	struct digest d = root_digest('1');
	struct registry_release r;
	char folder[LIMIT_PATH_BYTES];

	fill();
	cr_assert_eq(registry_locate(reg, &d, "/models/m", &e), 0);
	cr_assert_eq(registry_find(reg, "a/m@1.0", &r, &e), 0);
	cr_expect_str_eq(r.location, "/models/m");
	cr_assert_eq(registry_location(reg, &d, folder, &e), 0);
	cr_expect_str_eq(folder, "/models/m");
	d = root_digest('9');
	cr_assert_eq(registry_location(reg, &d, folder, &e), 0);
	cr_expect_str_eq(folder, "");
	export_text(&first);
	tear_down();
	set_up();
	fill();
	export_text(&second);
	cr_expect_str_eq(first.bytes, second.bytes);
	cr_expect(strstr(first.bytes, "\"p_value\":1.5e-7") && !strstr(first.bytes, "/models"),
		  "%s", first.bytes);
	cr_expect(strstr(first.bytes, "{\"aliases\":[{\"alias\":\"champion\",\"index\":4,") ==
		  first.bytes);
	buf_free(&first);
	buf_free(&second);
}

Test(registry, affected_follows_declared_parents_and_proven_forks_only)
{
	static const char *const names[] = { "a/m@1.1", "copy", "b/copy@1" };
	struct digest d = root_digest('1');
	json_t *list;

	fill();
	/* A cycle of claims must not hang. */
	cr_assert_eq(apply(8, "release", release("c/loop", "1", '1', '5')), 0);
	cr_assert_eq(registry_affected(reg, &d, &list, &e), 0, "%s", e.text);
	cr_assert_eq(json_array_size(list), 3);
	for (size_t i = 0; i < 3; i++) {
		cr_expect_str_eq(json_string_value(
					 json_object_get(json_array_get(list, i), "name")),
				 names[i]);
		cr_expect_eq(json_integer_value(json_object_get(json_array_get(list, i), "depth")),
			     (json_int_t)i + 1);
	}
	json_decref(list);
	d = root_digest('4');
	cr_assert_eq(registry_affected(reg, &d, &list, &e), 0);
	cr_expect_eq(json_array_size(list), 0);
	json_decref(list);
}

Test(registry, malformed_bodies_are_refused)
{
	char *name = calloc(1, 300);
	memset(name, 'n', 299);
	json_t *bodies[] = {
		json_object(),
		release(name, "1", '1', 0),
		release("a@b", "1", '1', 0),
		release("a/m", "", '1', 0),
		release("a/m", "1", 'g', 0),
		release("a/m", "1", '1', 'g'),
		json_array(),
	};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		cr_expect_eq(apply(1, "release", bodies[i]), ERR_INPUT, "row %zu", i);
	cr_expect_eq(apply(1, "registry", alias_body("a/m", "x", 'g')), ERR_INPUT);
	free(name);
}

/* Members of a parent in a fork, and of an alias, that are read and are not what they must be. */
Test(registry, malformed_known_members_are_refused)
{
	static const struct {
		const char *member, *value; /* as JSON */
	} parents[] = { { "root", "\"sha256:1\"" }, { "root", "null" },     { "name", "1" },
			{ "verdict", "null" },	    { "p_value", "\"0\"" }, { "effect", "[]" },
			{ "weight", "true" },	    { "basis", "1" } },
	  aliases[] = { { "event", "1" },     { "event", "null" }, { "actor", "1" },    { "gate", "-1" },
			{ "gate", "\"3\"" }, { "model", "null" }, { "alias", "1" }, { "root", "\"x\"" } },
	  forks[] = { { "subject", "\"x\"" }, { "subject_name", "1" }, { "verdict", "1" }, { "parents", "{}" },
		      { "parents", "[1]" } };
	json_t *body;

	for (size_t i = 0; i < sizeof(parents) / sizeof(*parents); i++) {
		body = fork_of('3', '2', "declared");
		json_object_set_new(json_array_get(json_object_get(body, "parents"), 0), parents[i].member,
				    json_loads(parents[i].value, JSON_DECODE_ANY, NULL));
		cr_expect_eq(apply(1, "fork", body), ERR_INPUT, "%s %s", parents[i].member, parents[i].value);
	}
	for (size_t i = 0; i < sizeof(forks) / sizeof(*forks); i++) {
		body = fork_of('3', '2', "declared");
		json_object_set_new(body, forks[i].member, json_loads(forks[i].value, JSON_DECODE_ANY, NULL));
		cr_expect_eq(apply(1, "fork", body), ERR_INPUT, "%s %s", forks[i].member, forks[i].value);
	}
	for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++) {
		body = alias_body("a/m", "x", '1');
		json_object_set_new(body, aliases[i].member, json_loads(aliases[i].value, JSON_DECODE_ANY, NULL));
		cr_expect_eq(apply(1, "registry", body), ERR_INPUT, "%s %s", aliases[i].member,
			     aliases[i].value);
	}
}

/* ---- entries that newer programs wrote ---- */

static json_t *with(json_t *body, const char *member, json_t *value)
{
	json_object_set_new(body, member, value);
	return body;
}

/* The export of a log that holds what this program does not know. */
static void newer_log(struct buf *out)
{
	struct registry_release r;
	json_t *fork = fork_of('3', '1', "declared");

	with(json_array_get(json_object_get(fork, "parents"), 0), "share", json_real(0.5));
	cr_assert_eq(apply(1, "release", with(release("a/m", "1.0", '1', 0), "tier", json_string("x"))), 0, "%s",
		     e.text);
	cr_assert_eq(apply(2, "fork", with(fork, "bench", json_object())), 0, "%s", e.text);
	cr_assert_eq(apply(3, "registry",
			   json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:b}", "event", "alias", "actor", "handle", "model",
				     "a/m", "alias", "live", "root", root('1'), "gate", 7, "quiet", true)),
		     0, "%s", e.text);
	cr_assert_eq(apply(4, "registry", json_pack("{s:s,s:s}", "event", "hold", "model", "a/m")), 0, "%s", e.text);
	cr_assert_eq(apply(5, "registry", alias_body("a/m", "old", '1')), 0, "%s", e.text);
	cr_assert_eq(apply(6, "weather", json_pack("{s:s}", "sky", "clear")), 0, "%s", e.text);
	cr_assert_eq(registry_find(reg, "a/m@live", &r, &e), 0, "%s", e.text);
	cr_assert_eq(registry_find(reg, "a/m@old", &r, &e), 0, "%s", e.text);
	export_text(out);
}

Test(registry, what_is_not_known_is_kept_and_a_rebuild_exports_it_alike)
{
	static const char *const kept[] = {
		"\"tier\":\"x\"",
		"\"share\":0.5",
		"\"bench\":{}",
		"{\"actor\":\"handle\",\"alias\":\"live\",\"event\":\"alias\",\"gate\":7,\"index\":3,",
		"\"quiet\":true",
		"{\"alias\":\"old\",\"index\":5,\"model\":\"a/m\",",
	};
	struct buf first = { 0 }, second = { 0 };

	newer_log(&first);
	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		cr_expect(strstr(first.bytes, kept[i]), "%s is not in %s", kept[i], first.bytes);
	cr_expect(!strstr(first.bytes, "hold") && !strstr(first.bytes, "sky"));
	tear_down();
	set_up();
	newer_log(&second);
	cr_expect_str_eq(first.bytes, second.bytes);
	buf_free(&first);
	buf_free(&second);
}

Test(registry, aliases_of_older_programs_export_what_they_knew)
{
	struct buf logged = { 0 }, older = { 0 };

	cr_assert_eq(apply(1, "registry", sorted(alias_body("a/m", "live", '1'))), 0, "%s", e.text);
	export_text(&logged);
	sql("UPDATE registry_alias SET body = NULL");
	export_text(&older);
	cr_expect_str_eq(logged.bytes, older.bytes);
	buf_free(&logged);
	buf_free(&older);
}

static enum registry_descent descent(char child, char parent)
{
	struct digest below = root_digest(child), above = root_digest(parent);
	enum registry_descent out;

	cr_assert_eq(registry_descent(reg, &below, &above, &out, &e), 0, "%s", e.text);
	return out;
}

static size_t descendants(char of)
{
	struct digest d = root_digest(of);
	json_t *list;

	cr_assert_eq(registry_affected(reg, &d, &list, &e), 0, "%s", e.text);
	size_t count = json_array_size(list);
	json_decref(list);
	return count;
}

/* Who only reads brings nothing up. */
Test(registry, tables_of_older_programs_are_read_as_they_are)
{
	struct buf now = { 0 }, before = { 0 };

	cr_assert_eq(apply(1, "release", sorted(release("a/m", "1.0", '1', 0))), 0, "%s", e.text);
	cr_assert_eq(apply(2, "fork", sorted(fork_of('3', '1', NULL))), 0, "%s", e.text);
	cr_assert_eq(apply(3, "registry", sorted(alias_body("a/m", "live", '1'))), 0, "%s", e.text);
	export_text(&now);
	sql("ALTER TABLE registry_edge DROP COLUMN basis;"
	    "ALTER TABLE registry_alias DROP COLUMN body;"
	    "UPDATE schema SET version = 2 WHERE part = 'registry'");
	export_text(&before);
	cr_expect_str_eq(now.bytes, before.bytes);
	cr_expect_eq(descendants('1'), 1);
	sql("DROP TABLE schema");
	buf_clear(&before);
	export_text(&before);
	cr_expect_str_eq(now.bytes, before.bytes);
	sql("INSERT INTO registry_edge VALUES(4, 0, 'x', 'x', 'itself', 'identical');"
	    "ALTER TABLE registry_pending RENAME TO flow_pending");
	make_tables();
	buf_clear(&before);
	export_text(&before);
	cr_expect(strstr(before.bytes, "\"edges\":[{\"basis\":\"registered\"") && !strstr(before.bytes, "itself"),
		  "brought up: %s", before.bytes);
	cr_expect_eq(descent('3', '1'), REGISTRY_PRESUMED);
	buf_free(&now);
	buf_free(&before);
}

/* ---- lineage ---- */

Test(registry, nothing_is_its_own_ancestor_whatever_is_logged)
{
	/* 1 -> 2 -> 3 firmly; then claims that would close the circle. */
	cr_assert_eq(apply(1, "release", release("a/a", "1", '1', 0)), 0, "%s", e.text);
	cr_assert_eq(apply(2, "release", release("a/b", "1", '2', '1')), 0, "%s", e.text);
	cr_assert_eq(apply(3, "fork", fork_of('3', '2', "declared")), 0, "%s", e.text);
	cr_assert_eq(apply(4, "fork", fork_of('1', '1', "declared")), 0, "itself: %s", e.text);
	cr_assert_eq(apply(5, "fork", fork_of('2', '3', "asked")), 0, "%s", e.text);
	cr_assert_eq(apply(6, "fork", fork_of('1', '3', "registered")), 0, "%s", e.text);
	cr_assert_eq(apply(7, "release", release("b/again", "1", '1', '3')), 0, "a second name: %s", e.text);
	cr_assert_eq(apply(8, "registry", alias_body("a/a", "live", '1')), 0, "%s", e.text);
	cr_expect_eq(descendants('1'), 2);
	cr_expect_eq(descendants('2'), 1);
	cr_expect_eq(descendants('3'), 0);
	cr_expect_eq(descent('3', '1'), REGISTRY_FIRM);
	cr_expect_eq(descent('1', '3'), REGISTRY_UNRELATED);
}

Test(registry, a_firm_edge_takes_the_place_of_presumed_ones)
{
	/* 3 was registered first: 3 -> 2 -> 1 and 3 -> 4 are presumed. Then 2's card names 1. */
	cr_assert_eq(apply(1, "fork", fork_of('2', '3', "registered")), 0, "%s", e.text);
	cr_assert_eq(apply(2, "fork", fork_of('1', '2', "registered")), 0, "%s", e.text);
	cr_assert_eq(apply(3, "fork", fork_of('4', '3', "registered")), 0, "%s", e.text);
	cr_expect_eq(descent('1', '3'), REGISTRY_PRESUMED);
	cr_assert_eq(apply(4, "fork", fork_of('2', '1', "declared")), 0, "%s", e.text);
	cr_expect_eq(descent('2', '1'), REGISTRY_FIRM);
	cr_expect_eq(descent('1', '2'), REGISTRY_UNRELATED);
	cr_expect_eq(descent('2', '3'), REGISTRY_PRESUMED, "nothing spoke against it");
	/* Then 3's card names 2: the whole way back is firm. */
	cr_assert_eq(apply(5, "fork", fork_of('3', '2', "declared")), 0, "%s", e.text);
	cr_expect_eq(descent('3', '1'), REGISTRY_FIRM);
	cr_expect_eq(descendants('1'), 3, "4 still descends from 3");
	cr_expect_eq(descent('4', '1'), REGISTRY_PRESUMED);
}

/* ---- walking ---- */

struct walk {
	uint64_t index[8];
	size_t count, stop;
};

static int note_release(void *ctx, const struct registry_release *r, struct err *err)
{
	struct walk *w = ctx;

	(void)err;
	w->index[w->count++ % 8] = r->log_index;
	return w->count == w->stop ? 7 : 0;
}

Test(registry, walk_is_in_log_order_and_ends_where_the_visitor_says)
{
	struct walk all = { .count = 0 }, two = { .stop = 2 };

	fill();
	cr_assert_eq(registry_each(reg, note_release, &all, &e), 0, "%s", e.text);
	cr_expect(all.count == 3 && all.index[0] == 1 && all.index[1] == 3 && all.index[2] == 7);
	cr_expect_eq(registry_each(reg, note_release, &two, &e), 7);
	cr_expect_eq(two.count, 2);
}

static void add_releases(int from, int to)
{
	struct store_tx *tx;
	char version[16];

	cr_assert_eq(store_write(store, &tx, &e), 0);
	for (int i = from; i < to; i++) {
		snprintf(version, sizeof(version), "%d", i);
		json_t *entry = json_pack("{s:s,s:o}", "type", "release", "body",
					  release("a/m", version, '1', 0));
		cr_assert_eq(registry_apply(reg, tx, (uint64_t)i, entry, &e), 0, "%s", e.text);
		json_decref(entry);
	}
	cr_assert_eq(store_commit(tx, &e), 0);
	store_end(tx);
}

/* What a walk over everything costs the database. */
static uint64_t cost_of_walk(void)
{
	struct walk w = { .count = 0 };
	uint64_t before = store_work(store);

	cr_assert_eq(registry_each(reg, note_release, &w, &e), 0);
	return store_work(store) - before;
}

Test(registry, cost_of_a_walk_grows_with_the_releases_and_not_with_their_square)
{
	add_releases(0, 1000);
	uint64_t some = cost_of_walk();
	add_releases(1000, 4000);
	uint64_t more = cost_of_walk();
	cr_expect_gt(some, 1000);
	cr_expect_lt(more, some * 5, "%llu steps for 1,000 releases, %llu for 4,000",
		     (unsigned long long)some, (unsigned long long)more);
}

/* A star of forks around root 1, each with a fork of its own. */
static uint64_t cost_of_forks(unsigned from, unsigned to)
{
	uint64_t before = store_work(store);
	struct store_tx *tx;

	cr_assert_eq(store_write(store, &tx, &e), 0);
	for (unsigned i = from; i < to; i++) {
		char subject[DIGEST_TEXT_ROOM], parent[DIGEST_TEXT_ROOM];
		json_t *body = fork_of('0', '1', "declared");
		snprintf(subject, sizeof(subject), "sha256:%064x", i + 16);
		snprintf(parent, sizeof(parent), "sha256:%064x", i + 15);
		json_object_set_new(body, "subject", json_string(subject));
		if (i % 2)
			json_object_set_new(json_array_get(json_object_get(body, "parents"), 0), "root",
					    json_string(parent));
		json_t *entry = json_pack("{s:s,s:o}", "type", "fork", "body", body);
		cr_assert_eq(registry_apply(reg, tx, i, entry, &e), 0, "%s", e.text);
		json_decref(entry);
	}
	cr_assert_eq(store_commit(tx, &e), 0);
	store_end(tx);
	cr_expect_eq(descendants('1'), to);
	return store_work(store) - before;
}

Test(registry, cost_of_lineage_grows_with_the_forks_and_not_with_their_square)
{
	uint64_t some = cost_of_forks(0, 1000), more = cost_of_forks(1000, 5000);

	cr_expect_lt(more, some * 8, "%llu steps for 1,000 forks, %llu for 4,000 more",
		     (unsigned long long)some, (unsigned long long)more);
}

/* ---- publications under way ---- */

static struct registry_pending pending(const char *folder)
{
	struct registry_pending p = { .model = "a/m", .version = "1.0", .package = "/x.tar" };

	snprintf(p.dir, sizeof(p.dir), "%s", folder);
	return p;
}

Test(registry, publications_under_way_are_kept_until_they_are_forgotten)
{
	struct registry_pending a = pending("/models/a"), b = pending("/models/b"), found;
	struct digest d = root_digest('7');

	cr_expect_eq(registry_pending_next(reg, "", &found, &e), 0);
	cr_assert_eq(registry_pending_begin(reg, &b, &e), 0, "%s", e.text);
	cr_assert_eq(registry_pending_begin(reg, &a, &e), 0, "%s", e.text);
	cr_expect_eq(registry_pending_begin(reg, &a, &e), ERR_CONFLICT);
	cr_expect_str_eq(e.text, "an earlier publication of /models/a is not finished yet");
	cr_assert_eq(registry_pending_root(reg, a.dir, &d, &e), 0);
	cr_assert_eq(registry_pending_next(reg, "", &found, &e), 1);
	cr_expect_str_eq(found.dir, a.dir);
	cr_expect_str_eq(found.package, "/x.tar");
	cr_expect_str_eq(found.version, "1.0");
	cr_expect(found.has_root && digest_equal(&found.root, &d));
	cr_assert_eq(registry_pending_next(reg, a.dir, &found, &e), 1);
	cr_expect_str_eq(found.dir, b.dir);
	cr_expect_not(found.has_root);
	cr_expect_eq(registry_pending_next(reg, b.dir, &found, &e), 0);
	cr_assert_eq(registry_pending_forget(reg, a.dir, &e), 0);
	cr_assert_eq(registry_pending_next(reg, "", &found, &e), 1);
	cr_expect_str_eq(found.dir, b.dir);
}

/* ---- versions of the tables ---- */

Test(registry, tables_of_a_newer_program_are_refused_and_older_ones_brought_up)
{
	struct registry_pending found;
	struct registry *again;

	sql("ALTER TABLE registry_pending RENAME TO flow_pending;"
	    "ALTER TABLE registry_edge DROP COLUMN basis;"
	    "ALTER TABLE registry_alias DROP COLUMN body;"
	    "INSERT INTO flow_pending VALUES('/m', 'a/m', '1', NULL, '');"
	    "DELETE FROM schema");
	make_tables();
	cr_assert_eq(registry_pending_next(reg, "", &found, &e), 1);
	cr_expect_str_eq(found.dir, "/m");
	make_tables(); /* once is enough */
	sql("UPDATE schema SET version = 99 WHERE part = 'registry'");
	cr_expect_eq(registry_open(&again, store, &e), ERR_UNSUPPORTED);
	cr_expect(strstr(e.text, "version 99") && strstr(e.text, "newer program"), "%s", e.text);
	cr_expect_null(again);
	sql("UPDATE schema SET version = 3 WHERE part = 'registry'");
	cr_assert_eq(registry_pending_next(reg, "", &found, &e), 1);
}
