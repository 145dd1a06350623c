/* A text that is JSON: rules see its strings unescaped, and what they leave of it is JSON again, for
 * every way of cutting. */
#include "base/limits.h"
#include "tests/filters/scan.h"

#include <criterion/criterion.h>

static const char *const words[] = { "secret" }, *const bombs[] = { "bomb" }, *const flags[] = { "note" };

static const struct filter_rule rules[] = {
	{ .id = "bomb", .action = FILTER_BLOCK, .literal = bombs, .literal_count = 1 },
	{ .id = "card", .action = FILTER_MASK, .detector = "pan" },
	{ .id = "flag", .action = FILTER_FLAG, .literal = flags, .literal_count = 1 },
	{ .id = "code", .action = FILTER_REDACT, .regex = "\\b77\\d{2}\\b", .replacement = "[no]" },
	{ .id = "span", .action = FILTER_REDACT, .regex = "from[^;]{1,40}to" },
	{ .id = "word",
	  .action = FILTER_REPLACE,
	  .literal = words,
	  .literal_count = 1,
	  .fold = FILTER_FOLD_CASE,
	  .replacement = "\"q\\\n" },
};

static struct filter_set *set;

static void setup(void)
{
	struct err e = { 0 };
	cr_assert_eq(filter_set_build(&set, rules, sizeof rules / sizeof *rules, &e), 0, "%s", e.text);
}
static void teardown(void) { filter_set_free(set); }

TestSuite(filter_json, .init = setup, .fini = teardown);

static const struct {
	const char *text, *out;
	int end;
} rows[] = {
	/* strings, and escapes in them */
	{ "{\"a\":\"all is well\\n\\u00e9\"}", "{\"a\":\"all is well\\n\\u00e9\"}", FILTER_COMPLETE },
	{ "{\"a\":\"a \\u0073ecret\"}", "{\"a\":\"a \\\"q\\\\\\u000a\"}", FILTER_COMPLETE },
	{ "{\"a\":\"x\\n7788\\t7799\\\"\"}", "{\"a\":\"x\\n[no]\\t[no]\\\"\"}", FILTER_COMPLETE },
	{ "{\"a\":\"\\u0037\\u0037\\u0038\\u0038\\/\"}", "{\"a\":\"[no]\\/\"}", FILTER_COMPLETE },
	{ "[\"\\ud83d\\ude00secret\\ud83d\"]", "[\"\\ud83d\\ude00\\\"q\\\\\\u000a\\ud83d\"]",
	  FILTER_COMPLETE },
	/* the borders of a string are no part of it, whatever letters stand before an escape */
	{ "[\"\\n4111111111111111\"]", "[\"\\n411111******1111\"]", FILTER_COMPLETE },
	{ "[\"\\u0034111 1111\\u00201111 1111\"]", "[\"\\u0034111 11**\\u0020**** 1111\"]", FILTER_COMPLETE },
	/* numbers become strings; others do not */
	{ "[4111111111111111, 7788,12]", "[\"411111******1111\", \"[no]\",12]", FILTER_COMPLETE },
	{ "{\"n\":7788}", "{\"n\":\"[no]\"}", FILTER_COMPLETE },
	{ "7788", "\"[no]\"", FILTER_COMPLETE },
	{ "[-7788.7799e+7701]", "[\"-[no].7799e+[no]\"]", FILTER_COMPLETE },
	{ "[note,7788,note]", "[note,\"[no]\",note]", FILTER_COMPLETE },
	/* keys, told apart from the second on, in each object */
	{ "{\"7788\":1,\"7799\":{\"7701\":2},\"7702\":[\"7703\"]}",
	  "{\"[no]\":1,\"[no]#2\":{\"[no]\":2},\"[no]#3\":[\"[no]\"]}", FILTER_COMPLETE },
	{ "[{\"7788\":1},{\"7799\":1}]", "[{\"[no]\":1},{\"[no]\":1}]", FILTER_COMPLETE },
	/* what reaches over marks leaves them */
	{ "{\"a\":\"from x\",\"b\":[1,\"to y\"]}",
	  "{\"a\":\"[redacted]\",\"[redacted]\":[\"[redacted]\",\"[redacted] y\"]}", FILTER_COMPLETE },
	/* a block is one */
	{ "{\"a\":\"well\",\"b\":\"a bomb\"}", "{\"a\":\"well\",\"b\":\"a ", FILTER_BLOCKED },
	/* what is no JSON hides nothing */
	{ "4111 1111 1111 1111", "\"4111\" \"11**\" \"****\" \"1111\"", FILTER_COMPLETE },
	{ "]}\"7788\\", "]}\"[no]\\", FILTER_COMPLETE },
	{ "{\"a\":\"\\u12 secret\\x", "{\"a\":\"\\u12 \\\"q\\\\\\u000a\\x", FILTER_COMPLETE },
	{ "\xFF[\"\xC3secret\"]", "\xEF\xBF\xBD[\"\xEF\xBF\xBD\\\"q\\\\\\u000a\"]", FILTER_COMPLETE },
};

static size_t cut_size(size_t i, void *ctx)
{
	(void)i;
	uint32_t *state = ctx;
	return 1 + scan_random(state) % 5;
}

Test(filter_json, what_rules_leave_is_json_in_every_cutting)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t len = strlen(rows[i].text);
		struct scan whole = scan_text(set, FILTER_JSON, rows[i].text, len, NULL, NULL);
		cr_expect_eq(whole.end, rows[i].end, "row %zu", i);
		buf_add_byte(&whole.output, 0);
		cr_expect_str_eq(whole.output.bytes, rows[i].out, "row %zu: %s", i, rows[i].text);
		whole.output.len--;
		json_t *before = json_loadb(rows[i].text, len, JSON_DECODE_ANY, NULL);
		json_t *after = json_loadb(whole.output.bytes, whole.output.len,
					   JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
		cr_expect(!before || after || rows[i].end == FILTER_BLOCKED, "row %zu: no JSON", i);
		json_decref(before);
		json_decref(after);
		for (size_t piece = 1; piece <= len; piece++) {
			struct scan s =
				scan_text(set, FILTER_JSON, rows[i].text, len, scan_bytes, &piece);
			cr_expect(scan_equal(&s, &whole), "row %zu, pieces of %zu: %.*s\n%.*s\n%.*s", i,
				  piece, (int)s.output.len, s.output.bytes, (int)s.trace.len,
				  s.trace.bytes, (int)whole.trace.len, whole.trace.bytes);
			scan_free(&s);
		}
		scan_free(&whole);
	}
}

/* Sum of what was emitted and what stands for the rest is all that went out. */
Test(filter_json, record_accounts_for_every_byte)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct filter_stream *f;
		struct cleared out;
		size_t len = strlen(rows[i].text), sum = 0;
		cr_assert_eq(filter_stream_open(&f, set, FILTER_JSON, NULL), 0);
		int end = filter_stream_push(f, rows[i].text, len, &out, NULL);
		if (end == FILTER_OPEN)
			end = filter_stream_end(f, &out, NULL);
		const struct filter_record *r = filter_stream_record(f);
		uint64_t at = 0;
		for (size_t k = 0; k < r->findings; k++) {
			const struct filter_finding *x = &r->finding[k];
			cr_expect(x->start >= at && x->start < x->end, "row %zu", i);
			if (x->action <= FILTER_NOTICE)
				continue;
			sum += x->start - at + x->replacement_len;
			at = x->end;
		}
		if (end == FILTER_COMPLETE)
			sum += r->released - at + 2 * r->ill_formed;
		cr_expect_eq(r->emitted_bytes, sum, "row %zu: %zu, %zu", i, (size_t)r->emitted_bytes, sum);
		filter_stream_close(f);
	}
}

Test(filter_json, shadow_changes_nothing_and_finds_the_same)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t len = strlen(rows[i].text);
		struct scan s = scan_text(set, FILTER_JSON | FILTER_SHADOW, rows[i].text, len, NULL, NULL);
		struct scan real = scan_text(set, FILTER_JSON, rows[i].text, len, NULL, NULL);
		if (rows[i].end == FILTER_COMPLETE) {
			if (!strchr(rows[i].text, '\xFF'))
				cr_expect(s.output.len == len &&
						  memcmp(s.output.bytes, rows[i].text, len) == 0,
					  "row %zu: %.*s", i, (int)s.output.len, s.output.bytes);
			cr_expect_eq(s.findings, real.findings, "row %zu", i);
			cr_expect_eq(s.first_start, real.first_start, "row %zu", i);
		}
		scan_free(&s);
		scan_free(&real);
	}
}

Test(filter_json, what_cannot_be_changed_and_be_json_is_blocked)
{
	struct buf b = { 0 };
	/* a number that is known to change only when its first bytes are out */
	buf_add_byte(&b, '[');
	for (int i = 0; i < 200; i++)
		buf_add_byte(&b, '1');
	buf_add_text(&b, ".7788]");
	struct scan s = scan_text(set, FILTER_JSON, b.bytes, b.len, NULL, NULL);
	cr_expect_eq(s.end, FILTER_BLOCKED);
	cr_expect_eq(s.output.len, 202);
	for (size_t piece = 1; piece <= 150; piece++) {
		struct scan again = scan_text(set, FILTER_JSON, b.bytes, b.len, scan_bytes, &piece);
		cr_expect(scan_equal(&s, &again), "pieces of %zu", piece);
		scan_free(&again);
	}
	scan_free(&s);
	/* deeper than keys are counted */
	for (int deep = LIMIT_REQUEST_DEPTH; deep <= LIMIT_REQUEST_DEPTH + 1; deep++) {
		buf_clear(&b);
		for (int i = 0; i < deep; i++)
			buf_add_byte(&b, '[');
		buf_add_text(&b, "\"7788\"");
		s = scan_text(set, FILTER_JSON, b.bytes, b.len, NULL, NULL);
		cr_expect_eq(s.end, deep == LIMIT_REQUEST_DEPTH ? FILTER_COMPLETE : FILTER_BLOCKED, "%d", deep);
		scan_free(&s);
	}
	/* a key that must stay */
	static const char key[] = "{\"a\":\"7788\",\"7799\":1}";
	s = scan_text(set, FILTER_JSON | FILTER_KEYS_STAY, key, strlen(key), NULL, NULL);
	cr_expect_eq(s.end, FILTER_BLOCKED);
	cr_expect_eq(s.output.len, strlen("{\"a\":\"[no]\",\""));
	scan_free(&s);
	buf_free(&b);
}

/* Random values whose strings and numbers hold what rules find. */
static void make_string(struct buf *b, uint32_t *state)
{
	static const char *const parts[] = { "secret",   "7788",  "a",      "\\n",          "\\\"",
					     "\\u0037",  "note",  " ",      "4111111111111111", "\\\\",
					     "\\ud83d\\ude00", "from x", " to", "\xC3\xA9", "\xCC\x81" };
	buf_add_byte(b, '"');
	for (uint32_t n = scan_random(state) % 4; n > 0; n--)
		buf_add_text(b, parts[scan_random(state) % (sizeof parts / sizeof *parts)]);
	buf_add_byte(b, '"');
}

static void make(struct buf *b, uint32_t *state, int depth)
{
	static const char *const bare[] = { "0", "-12.5e3", "7788", "true", "null", "4111111111111111" };
	uint32_t kind = scan_random(state) % (depth > 3 ? 2 : 4), n = scan_random(state) % 4;
	if (kind == 0)
		buf_add_text(b, bare[scan_random(state) % (sizeof bare / sizeof *bare)]);
	else if (kind == 1)
		make_string(b, state);
	for (uint32_t i = 0; kind > 1 && i < n; i++) {
		buf_add_text(b, i ? ", " : kind == 2 ? "[" : "{");
		if (kind == 3) {
			make_string(b, state);
			buf_add_text(b, scan_random(state) % 2 ? ":" : ": ");
		}
		make(b, state, depth + 1);
	}
	if (kind > 1)
		buf_add_text(b, n == 0 ? (kind == 2 ? "[]" : "{}") : kind == 2 ? "]" : "}");
}

Test(filter_json, random_values_stay_values_in_random_cuts)
{
	uint32_t state = 20261130;
	struct buf b = { 0 };
	for (int i = 0; i < 3000; i++) {
		buf_clear(&b);
		make(&b, &state, 0);
		struct scan whole = scan_text(set, FILTER_JSON, b.bytes, b.len, NULL, NULL);
		struct scan cut = scan_text(set, FILTER_JSON, b.bytes, b.len, cut_size, &state);
		cr_expect(scan_equal(&whole, &cut), "%.*s", (int)b.len, b.bytes);
		json_t *v = json_loadb(whole.output.bytes, whole.output.len, JSON_DECODE_ANY, NULL);
		cr_expect(v, "%.*s became %.*s", (int)b.len, b.bytes, (int)whole.output.len,
			  whole.output.bytes);
		buf_add_byte(&whole.output, 0);
		cr_expect_null(strstr(whole.output.bytes, "secret"), "%s", whole.output.bytes);
		json_decref(v);
		scan_free(&whole);
		scan_free(&cut);
	}
	buf_free(&b);
}
