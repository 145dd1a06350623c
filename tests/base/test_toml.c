#include "base/json.h"
#include "base/limits.h"
#include "base/toml.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the suite of toml-lang/toml-test ---- */

struct suite_file {
	char name[256];
	struct buf bytes;
};

struct suite {
	struct suite_file *file;
	size_t count;
};

static void suite_open(struct suite *s)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;

	*s = (struct suite){ 0 };
	archive_read_support_filter_xz(a);
	archive_read_support_format_tar(a);
	cr_assert_eq(archive_read_open_filename(a, "tests/vectors/toml/toml-test.tar.xz", 1 << 16),
		     ARCHIVE_OK, "missing vectors");
	while (archive_read_next_header(a, &entry) == ARCHIVE_OK) {
		if (archive_entry_filetype(entry) != AE_IFREG)
			continue;
		s->file = realloc(s->file, (s->count + 1) * sizeof(*s->file));
		struct suite_file *f = &s->file[s->count++];
		*f = (struct suite_file){ 0 };
		snprintf(f->name, sizeof(f->name), "%s", archive_entry_pathname(entry));
		size_t size = (size_t)archive_entry_size(entry);
		char *to = buf_reserve(&f->bytes, size + 1);
		cr_assert_eq(archive_read_data(a, to, size), (la_ssize_t)size);
		f->bytes.len = size;
	}
	archive_read_free(a);
}

static void suite_close(struct suite *s)
{
	for (size_t i = 0; i < s->count; i++)
		buf_free(&s->file[i].bytes);
	free(s->file);
}

static const struct suite_file *suite_find(const struct suite *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->file[i].name, name) == 0)
			return &s->file[i];
	cr_assert_fail("%s: not in the suite", name);
	return NULL;
}

/* Whether our value equals the suite's {"type", "value"}. */
static bool same_scalar(const struct toml *v, const char *type, const char *value)
{
	static const struct {
		const char *type;
		enum toml_kind kind;
	} kinds[] = {
		{ "string", TOML_STRING },
		{ "integer", TOML_INTEGER },
		{ "float", TOML_FLOAT },
		{ "bool", TOML_BOOL },
		{ "datetime", TOML_OFFSET_DATETIME },
		{ "datetime-local", TOML_LOCAL_DATETIME },
		{ "date-local", TOML_LOCAL_DATE },
		{ "time-local", TOML_LOCAL_TIME },
	};
	size_t i = 0;

	while (i < sizeof(kinds) / sizeof(*kinds) && strcmp(kinds[i].type, type) != 0)
		i++;
	if (i == sizeof(kinds) / sizeof(*kinds) || v->kind != kinds[i].kind)
		return false;
	switch (v->kind) {
	case TOML_INTEGER:
		return v->integer == strtoll(value, NULL, 10);
	case TOML_FLOAT:
		return isnan(v->number) ? strstr(value, "nan") != NULL
					: v->number == strtod(value, NULL);
	case TOML_BOOL:
		return v->boolean == (strcmp(value, "true") == 0);
	default:
		return v->text_len == strlen(value) && memcmp(v->text, value, v->text_len) == 0;
	}
}

static bool same_value(const struct toml *v, const json_t *expected)
{
	size_t i = 0;

	if (json_is_array(expected)) {
		if (v->kind != TOML_ARRAY || v->count != json_array_size(expected))
			return false;
		for (const struct toml *m = v->first; m; m = m->next)
			if (!same_value(m, json_array_get(expected, i++)))
				return false;
		return i == v->count;
	}
	const json_t *type = json_object_get(expected, "type"),
		     *value = json_object_get(expected, "value");
	if (json_is_string(type) && json_is_string(value) && v->kind != TOML_TABLE) {
		/* A string may hold NUL: compare with its length. */
		if (v->kind == TOML_STRING)
			return strcmp(json_string_value(type), "string") == 0 &&
			       v->text_len == json_string_length(value) &&
			       memcmp(v->text, json_string_value(value), v->text_len) == 0;
		return same_scalar(v, json_string_value(type), json_string_value(value));
	}
	if (v->kind != TOML_TABLE || v->count != json_object_size(expected))
		return false;
	for (const struct toml *m = v->first; m; m = m->next)
		if (!same_value(m, json_object_getn(expected, m->key, m->key_len)))
			return false;
	return true;
}

static void check_valid(const struct suite *s, const struct suite_file *f)
{
	char name[256];
	struct arena arena = { 0 };
	struct toml *root;
	struct err e = { 0 };

	snprintf(name, sizeof(name), "%.*sjson", (int)strlen(f->name) - 4, f->name);
	const struct suite_file *j = suite_find(s, name);
	json_t *expected = json_loadb(j->bytes.bytes, j->bytes.len, JSON_ALLOW_NUL, NULL);
	cr_assert(expected, "%s", name);
	int rc = toml_parse(f->bytes.bytes, f->bytes.len, &arena, &root, &e);
	cr_expect_eq(rc, 0, "%s: %s", f->name, e.text);
	if (rc == 0)
		cr_expect(same_value(root, expected), "%s: not the expected value", f->name);
	json_decref(expected);
	arena_free(&arena);
}

static void check_invalid(const struct suite_file *f)
{
	struct arena arena = { 0 };
	struct toml *root;
	struct err e = { 0 };
	int rc = toml_parse(f->bytes.bytes, f->bytes.len, &arena, &root, &e);

	cr_expect_eq(rc, ERR_INPUT, "%s: accepted", f->name);
	cr_expect(strncmp(e.text, "line ", 5) == 0, "%s: %s", f->name, e.text);
	arena_free(&arena);
}

Test(base_toml, passes_every_case_of_the_toml_test_suite)
{
	struct suite s;
	size_t valid = 0, invalid = 0;

	suite_open(&s);
	for (size_t i = 0; i < s.count; i++) {
		const struct suite_file *f = &s.file[i];
		size_t n = strlen(f->name);
		if (strcmp(f->name + n - 5, ".toml") != 0)
			continue;
		if (strncmp(f->name, "valid/", 6) == 0) {
			check_valid(&s, f);
			valid++;
		} else {
			check_invalid(f);
			invalid++;
		}
	}
	cr_assert_eq(valid, 111);
	cr_assert_eq(invalid, 261);
	suite_close(&s);
}

/* Every prefix of a valid document either parses or is refused with a place; ASan watches the
 * reads. */
Test(base_toml, truncation_is_never_out_of_bounds)
{
	struct suite s;
	struct err e;

	suite_open(&s);
	const struct suite_file *f = suite_find(&s, "valid/example.toml");
	for (size_t n = 0; n <= f->bytes.len; n++) {
		struct arena arena = { 0 };
		struct toml *root;
		char *copy = malloc(n + 1); /* exact size, so that one byte too far is seen */
		memcpy(copy, f->bytes.bytes, n);
		copy = realloc(copy, n ? n : 1);
		int rc = toml_parse(copy, n, &arena, &root, &e);
		cr_expect(rc == 0 || rc == ERR_INPUT);
		free(copy);
		arena_free(&arena);
	}
	suite_close(&s);
}

/* ---- our own rows ---- */

Test(base_toml, refusals_name_line_and_column)
{
	static const struct {
		const char *text, *where;
	} rows[] = {
		{ "a = 1\nb = \n", "line 2, column 5: " },
		{ "a = 1\na = 2\n", "line 2, column 1: " },
		{ "\xc3\xa9 = 1", "line 1, column 1: " },
		{ "k = \"\xc3\xa9\" x", "line 1, column 9: " },
		{ "k = \"\xff\"", "line 1, column 6: " },
		{ "[a]\nb.c = 1\n[a.b]\n", "line 3, column 4: " },
		{ "a = [1,\n2,\n", "line 1, column 5: " },
		{ "a = 9223372036854775808", "line 1, column 5: " },
		{ "a = 1e999", "line 1, column 5: " },
		{ "a = 2021-02-29", "line 1, column 5: " },
		{ "a = 1\r", "line 1, column 6: " },
		{ "a.b.c = 1\n[x]\n[a.b.c.d]\n", "line 3, column 6: " },
		{ "t = {a = 1, }", "line 1, column 13: " },
		{ "a = 1 # \x01", "line 1, column 9: " },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct arena arena = { 0 };
		struct toml *root;
		struct err e = { 0 };
		cr_expect_eq(toml_parse(rows[i].text, strlen(rows[i].text), &arena, &root, &e),
			     ERR_INPUT, "%s", rows[i].text);
		cr_expect(strncmp(e.text, rows[i].where, strlen(rows[i].where)) == 0, "%s: %s",
			  rows[i].text, e.text);
		cr_expect_null(root);
		arena_free(&arena);
	}
}

/* ---- all mistakes of a text ---- */

struct heard {
	char text[4000];
	int count;
};

static void hear(void *ctx, int line, int column, const char *text)
{
	struct heard *h = ctx;
	size_t n = strlen(h->text);
	h->count++;
	snprintf(h->text + n, sizeof h->text - n, "%d:%d %s\n", line, column, text);
}

/* "a.b=1" for each scalar of a tree, '!' for what is broken; one a line. */
static void print_tree(const struct toml *v, const char *path, char *out, size_t room)
{
	size_t n = strlen(out);
	if (v->broken) {
		snprintf(out + n, room - n, "%s!\n", path);
		return;
	}
	if (v->kind == TOML_STRING || v->kind == TOML_INTEGER)
		snprintf(out + n, room - n, "%s=%s%.0jd\n", path, v->text ? v->text : "",
			 (intmax_t)v->integer);
	for (const struct toml *m = v->first; m; m = m->next) {
		char inner[200];
		snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "",
			 m->key ? m->key : "-");
		print_tree(m, inner, out, room);
	}
}

static const struct {
	const char *text, *heard, *tree;
} mistaken[] = {
	{ "a = 1\nb = red\nc = 2\n", "2:5 expected a value; a text stands in quotes: \"red\"\n",
	  "a=1\nb!\nc=2\n" },
	{ "a = True\nb = FALSE\nc = \xe2\x80\x9cx\xe2\x80\x9d\nd = -\n",
	  "1:5 expected a value; write true in small letters\n"
	  "2:5 expected a value; write false in small letters\n"
	  "3:5 expected a value; a text stands in straight quotes: \"...\"\n4:5 expected a value\n",
	  "a!\nb!\nc!\nd!\n" },
	{ "a: 1\nb 2\nc = 3\n", "1:2 expected '=' after the key\n2:3 expected '=' after the key\n",
	  "a!\nb!\nc=3\n" },
	{ "a = \"x\nb = 'y\nc = 3\n",
	  "1:7 the string is not closed on its line\n2:7 the string is not closed on its line\n",
	  "a!\nb!\nc=3\n" },
	{ "a = \"\\d\"\nb = 1\n",
	  "1:6 unknown escape in string: write \\\\ for a backslash, or the text in single quotes\n",
	  "a!\nb=1\n" },
	{ "a = 1\na = 2\nb = 3\n", "2:1 \"a\" is defined already at line 1\n", "a=1\nb=3\n" },
	{ "a = [1,\n  2\n  3 # x\n]\nb = 1\n",
	  "3:3 expected ',' or ']' in the array that begins at line 1\n", "a!\nb=1\n" },
	{ "a = [1,\n  2\nb = 1\n[c]\nd = 2\n",
	  "3:1 expected ',' or ']' in the array that begins at line 1\n", "a!\nb=1\nc.d=2\n" },
	{ "a = { x = 1,\n  y = 2,\n}\nb = 1\n",
	  "1:13 an inline table stands on one line: write { ... } without a line break\n"
	  "3:1 expected a key: an inline table has no comma before its '}'\n",
	  "a.x=1\na.y=2\nb=1\n" },
	{ "a = { x = 1; y = 2 }\nb = 1\n",
	  "1:12 expected ',' or '}' in the inline table that begins at line 1\n", "a!\nb=1\n" },
	{ "[[r]\nx = 1\n[[r]]\nx = 2\n[s\ny = 3\n",
	  "1:4 expected ']]' after the table's name\n5:3 expected ']' after the table's name\n",
	  "r.-.x=1\nr.-.x=2\ns.y=3\n" },
	{ "[a]\nx = 1\n[a]\nx = 5\ny = \n[b]\nz = 1\n",
	  "3:2 \"a\" is defined already at line 1\n5:5 expected a value\n", "a.x=1\nb.z=1\n" },
	{ "[]\nx = 1\n[b]\nz = 1\n", "1:2 expected a key\n", "b.z=1\n" },
	{ "[[r]]\nx = 1\n[r]\nx = 2\n", "3:2 \"r\" is defined already at line 1\n", "r.-.x=1\n" },
	{ "x = 1 y = 2\nz = 3\n", "1:7 expected the end of the line\n", "x=1\nz=3\n" },
	{ "x = 1 # \x01\n# \x02\ny = 2\n", "1:9 control character U+0001 in comment\n",
	  "x=1\ny=2\n" },
	{ "a = 1\nb = \"\"\"x\nc = 2\nd = \n", "5:1 the string is not closed\n", "a=1\nb!\n" },
	{ "= 1\n-\n.a = 3\nb = 4\n", "1:1 expected a key\n3:1 expected a key\n", "b=4\n" },
	{ "a.b = x\na.c = 1\n", "1:7 expected a value; a text stands in quotes: \"x\"\n",
	  "a.b!\na.c=1\n" },
};

Test(base_toml, all_mistakes_are_told_and_what_stands_around_them_is_read)
{
	for (size_t i = 0; i < sizeof mistaken / sizeof *mistaken; i++) {
		struct heard h = { 0 };
		struct toml_mistakes mistakes = { hear, &h };
		struct arena arena = { 0 };
		struct toml *root;
		char tree[2000] = "";
		struct err e = { 0 };
		int rc = toml_parse_all(mistaken[i].text, strlen(mistaken[i].text), &arena,
					&mistakes, &root, &e);
		cr_expect_eq(rc, ERR_INPUT);
		cr_assert(root);
		cr_expect_str_eq(h.text, mistaken[i].heard, "row %zu: %s", i, h.text);
		print_tree(root, "", tree, sizeof tree);
		cr_expect_str_eq(tree, mistaken[i].tree, "row %zu: %s", i, tree);
		arena_free(&arena);
	}
}

Test(base_toml, a_text_without_mistakes_is_the_same_by_both_ways)
{
	static const char text[] =
		"x = 1\n[t]\nkey = [ 1,\n   'two' ]\n[[list]]\n[[list]]\nd = {a = 1}\n";
	struct heard h = { 0 };
	struct toml_mistakes mistakes = { hear, &h };
	struct arena arena = { 0 };
	struct toml *root, *all;
	char a[1000] = "", b[1000] = "";
	cr_assert_eq(toml_parse(text, sizeof text - 1, &arena, &root, NULL), 0);
	cr_assert_eq(toml_parse_all(text, sizeof text - 1, &arena, &mistakes, &all, NULL), 0);
	print_tree(root, "", a, sizeof a);
	print_tree(all, "", b, sizeof b);
	cr_expect_str_eq(a, b);
	cr_expect_eq(h.count, 0);
	arena_free(&arena);
}

/* Nobody reads on behind a thousand; and a text of nothing but mistakes takes no longer for it. */
Test(base_toml, mistakes_end_at_the_thousandth, .timeout = 20)
{
	struct heard h = { 0 };
	struct toml_mistakes mistakes = { hear, &h };
	struct buf text = { 0 };
	struct arena arena = { 0 };
	struct toml *root;
	for (int i = 0; i < 200000; i++)
		buf_printf(&text, "key%d = [\n", i);
	cr_expect_eq(toml_parse_all(text.bytes, text.len, &arena, &mistakes, &root, NULL),
		     ERR_INPUT);
	cr_expect_eq(h.count, 1000);
	buf_free(&text);
	arena_free(&arena);
}

Test(base_toml, values_know_where_they_stand)
{
	static const char text[] = "x = 1\n[t]\n  key = [ 1,\n   'two' ]\n[[list]]\n[[list]]\n"
				   "d = 1979-05-27 07:32:00.50z\n";
	struct arena arena = { 0 };
	struct toml *root;

	cr_assert_eq(toml_parse(text, sizeof(text) - 1, &arena, &root, NULL), 0);
	const struct toml *key = toml_get(toml_get(root, "t"), "key");
	cr_assert(key && key->kind == TOML_ARRAY && key->count == 2);
	cr_expect(key->line == 3 && key->column == 9, "%d:%d", key->line, key->column);
	cr_expect(key->first->next->line == 4 && key->first->next->column == 4);
	const struct toml *list = toml_get(root, "list");
	cr_assert(list && list->kind == TOML_ARRAY && list->count == 2);
	const struct toml *d = toml_get(list->first->next, "d");
	cr_expect_str_eq(d->text, "1979-05-27T07:32:00.500Z");
	cr_expect_null(toml_get(list->first, "d"));
	cr_expect_null(toml_get(root, "ke"));
	arena_free(&arena);
}

static int parse_nested(int depth, char open, char close)
{
	struct buf text = { 0 };
	struct arena arena = { 0 };
	struct toml *root;

	buf_add_text(&text, "a = ");
	for (int i = 0; i < depth; i++)
		buf_add_byte(&text, (unsigned char)open);
	for (int i = 0; i < depth; i++)
		buf_add_byte(&text, (unsigned char)close);
	int rc = toml_parse(text.bytes, text.len, &arena, &root, NULL);
	buf_free(&text);
	arena_free(&arena);
	return rc;
}

Test(base_toml, depth_is_bounded_over_headers_keys_and_values)
{
	struct arena arena = { 0 };
	struct toml *root;
	struct buf text = { 0 };

	cr_expect_eq(parse_nested(LIMIT_TOML_DEPTH, '[', ']'), 0);
	cr_expect_eq(parse_nested(LIMIT_TOML_DEPTH + 1, '[', ']'), ERR_INPUT);
	cr_expect_eq(parse_nested(1000000, '[', ']'), ERR_INPUT);
	for (int i = 0; i < 100000; i++)
		buf_add_text(&text, "a.");
	buf_add_text(&text, "a = 1");
	cr_expect_eq(toml_parse(text.bytes, text.len, &arena, &root, NULL), ERR_INPUT);
	buf_free(&text);
	arena_free(&arena);
}

/* 200,000 keys in one table take a moment, not minutes: members are found by hash. */
Test(base_toml, large_tables_are_linear, .timeout = 20)
{
	struct buf text = { 0 };
	struct arena arena = { 0 };
	struct toml *root;

	for (int i = 0; i < 200000; i++)
		buf_printf(&text, "key%d = %d\n", i, i);
	cr_assert_eq(toml_parse(text.bytes, text.len, &arena, &root, NULL), 0);
	cr_expect_eq(root->count, 200000);
	cr_expect_eq(root->first->next->integer, 1);
	buf_free(&text);
	arena_free(&arena);
}

Test(base_toml, memory_cap_of_the_arena_is_an_error_not_a_crash)
{
	static const char text[] = "[a]\nb = [1, 2, 3]\nc = \"text\"\n";
	size_t failed = 0;

	for (size_t cap = 1; cap < 20000; cap += 64) {
		struct arena arena = { .bytes_max = cap };
		struct toml *root;
		int rc = toml_parse(text, sizeof(text) - 1, &arena, &root, NULL);
		cr_expect(rc == 0 || rc == ERR_NOMEM, "%zu: %d", cap, rc);
		failed += rc != 0;
		arena_free(&arena);
	}
	cr_expect_gt(failed, 0);
}
