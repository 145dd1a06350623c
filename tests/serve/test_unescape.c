#include "serve/completion.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct {
	const char *raw, *plain;
} rows[] = {
	{ "{\"a\":1}", "{\"a\":1}" },
	{ "{\"\\u0061\":\"\\u0034\\u0031\\/x\"}", "{\"a\":\"41/x\"}" },
	{ "\"\\\"\\\\u0034\\n\\t\\u0022\\u005C\\u001f\"", "\"\\\"\\\\u0034\\n\\t\\u0022\\u005C\\u001f\"" },
	{ "\"\\u00e4\\u738B\\ud83d\\ude00\"", "\"\xc3\xa4\xe7\x8e\x8b\xf0\x9f\x98\x80\"" },
	{ "\"\\ud83d\"", "\"\\ud83d\"" },
	{ "\"\\ud83dx\\ude00\"", "\"\\ud83dx\\ude00\"" },
	{ "\"\\ud83d\\u0041\"", "\"\\ud83dA\"" },
	{ "\"\\uZZ34\"", "\"\\uZZ34\"" },
	{ "\"\\u00", "\"\\u00" },
	{ "\"\\ud83d\\ude", "\"\\ud83d\\ude" },
	{ "\\u0034", "\\u0034" }, /* not in a string: no JSON, left alone */
};

static void take(struct serve_unescape *u, const char *text, size_t len, struct buf *all)
{
	struct buf part = { 0 };
	cr_assert_eq(serve_unescape_push(u, text, len, &part, NULL), 0);
	buf_add(all, part.bytes ? part.bytes : "", part.len);
	buf_free(&part);
}

static void finish(struct serve_unescape *u, struct buf *all)
{
	struct buf part = { 0 };
	cr_assert_eq(serve_unescape_end(u, &part, NULL), 0);
	buf_add(all, part.bytes ? part.bytes : "", part.len);
	buf_free(&part);
	buf_free(&u->held);
}

Test(serve_unescape, ordinary_characters_are_written_out_in_every_cutting)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t len = strlen(rows[i].raw);
		for (size_t a = 0; a <= len; a++)
			for (size_t b = a; b <= len; b++) {
				struct serve_unescape u = { 0 };
				struct buf all = { 0 };
				take(&u, rows[i].raw, a, &all);
				take(&u, rows[i].raw + a, b - a, &all);
				take(&u, rows[i].raw + b, len - b, &all);
				finish(&u, &all);
				cr_expect_str_eq(all.bytes, rows[i].plain, "%s at %zu, %zu: %s", rows[i].raw, a, b,
						 all.bytes);
				buf_free(&all);
			}
	}
}
