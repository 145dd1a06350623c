#include "registry/registry.h"

#include "base/limits.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct store *store;
static struct registry *reg;
static struct err e;

static void set_up(void)
{
	cr_assert_eq(store_open(&store, "sqlite://:memory:", &e), 0, "%s", e.text);
	cr_assert_eq(registry_open(&reg, store, &e), 0, "%s", e.text);
}

static void tear_down(void)
{
	registry_close(reg);
	store_close(store);
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
	int rc = registry_apply(reg, store, index, entry, &e);

	cr_assert(entry);
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

static json_t *fork_body(char subject, char parent, const char *verdict)
{
	return json_pack("{s:s,s:s,s:s,s:s,s:n,s:n,s:s,s:f,s:f,s:[],s:s}", "subject", root(subject),
			 "subject_name", "copy", "parent", root(parent), "parent_name", "a/m",
			 "declared", "relation", "verdict", verdict, "p_value", 1.5e-7, "effect",
			 0.25, "findings", "report", root('f'));
}

static json_t *alias_body(const char *model, const char *alias, char digit)
{
	return json_pack("{s:s,s:s,s:s}", "model", model, "alias", alias, "root", root(digit));
}

/* The same history for several tests. */
static void fill(void)
{
	cr_assert_eq(apply(1, "release", release("a/m", "1.0", '1', 0)), 0, "%s", e.text);
	cr_assert_eq(apply(2, "start", json_object()), 0);
	cr_assert_eq(apply(3, "release", release("a/m", "1.1", '2', '1')), 0, "%s", e.text);
	cr_assert_eq(apply(4, "registry", alias_body("a/m", "champion", '1')), 0, "%s", e.text);
	cr_assert_eq(apply(5, "fork", fork_body('3', '2', "dependent-initialisation")), 0, "%s",
		     e.text);
	cr_assert_eq(apply(6, "fork", fork_body('4', '1', "no-evidence")), 0, "%s", e.text);
	cr_assert_eq(apply(7, "release", release("b/copy", "1", '5', '3')), 0, "%s", e.text);
}

Test(registry, finds_by_newest_version_alias_and_root)
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
	cr_assert_eq(registry_export(reg, &before, &e), 0);
	cr_expect_eq(apply(8, "release", release("a/m", "1.0", '9', 0)), ERR_CONFLICT);
	cr_assert_eq(registry_export(reg, &after, &e), 0);
	cr_expect_str_eq(before.bytes, after.bytes);
	cr_expect_eq(apply(9, "release", release("a/m", "1.0", '1', 0)), 0);
	buf_free(&before);
	buf_free(&after);
}

Test(registry, replay_gives_the_same_export_byte_for_byte_without_locations)
{
	struct buf first = { 0 }, second = { 0 };
	struct digest d = root_digest('1');
	struct registry_release r;

	fill();
	cr_assert_eq(registry_locate(reg, &d, "/models/m", &e), 0);
	cr_assert_eq(registry_find(reg, "a/m@1.0", &r, &e), 0);
	cr_expect_str_eq(r.location, "/models/m");
	cr_assert_eq(registry_export(reg, &first, &e), 0);
	tear_down();
	set_up();
	fill();
	cr_assert_eq(registry_export(reg, &second, &e), 0);
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
	json_t *extra = release("a/m", "1", '1', 0);
	json_object_set_new(extra, "path", json_string("/etc"));

	cr_expect_eq(apply(1, "release", extra), ERR_INPUT);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(*bodies); i++)
		cr_expect_eq(apply(1, "release", bodies[i]), ERR_INPUT, "row %zu", i);
	cr_expect_eq(apply(1, "fork", fork_body('1', 'g', "identical")), ERR_INPUT);
	cr_expect_eq(apply(1, "registry", alias_body("a/m", "x", 'g')), ERR_INPUT);
	free(name);
}

Test(registry, list_is_in_log_order)
{
	struct registry_release r;

	fill();
	cr_assert_eq(registry_release_at(reg, 0, &r, &e), 1);
	cr_expect_eq(r.log_index, 1);
	cr_assert_eq(registry_release_at(reg, 2, &r, &e), 1);
	cr_expect_eq(r.log_index, 7);
	cr_expect_eq(registry_release_at(reg, 3, &r, &e), 0);
	cr_expect_eq(registry_release_at(reg, UINT64_MAX, &r, &e), 0);
}
