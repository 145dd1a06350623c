#include "tests/filters/scan.h"

#include <criterion/criterion.h>

static const char *const larkspur[] = { "Project Larkspur" };
static const char *const words[] = { "ab", "abab", "bab" };
static const char *const block_word[] = { "STOP HERE" };

/* Rules that overlap in every way: literals in each fold, look-around, borders, a checksum, a mask,
 * flags. */
static const struct filter_rule mixed[] = {
	{ .id = "code",
	  .action = FILTER_REDACT,
	  .replacement = "[internal]",
	  .literal = larkspur,
	  .literal_count = 1,
	  .fold = FILTER_FOLD_STRICT,
	  .gap_max = 4 },
	{ .id = "ab",
	  .action = FILTER_REPLACE,
	  .replacement = "<\xC3\xA4>",
	  .literal = words,
	  .literal_count = 3,
	  .fold = FILTER_FOLD_CASE },
	{ .id = "card", .action = FILTER_MASK, .detector = "pan" },
	{ .id = "mail", .action = FILTER_REDACT, .detector = "email" },
	{ .id = "iban", .action = FILTER_REDACT, .detector = "iban" },
	{ .id = "id", .action = FILTER_REDACT, .detector = "cn.resident_id" },
	{ .id = "tel", .action = FILTER_REDACT, .detector = "phone" },
	{ .id = "tags", .action = FILTER_REDACT, .detector = "unicode.tags" },
	{ .id = "line", .action = FILTER_FLAG, .regex = "^note:.{0,6}$" },
	{ .id = "look", .action = FILTER_FLAG, .regex = "(?<=a)x{1,3}(?=b|ccc)" },
	{ .id = "run", .action = FILTER_MASK, .regex = "\\bq+\\w?\\b", .repeat_max = 12 },
};
#define MIXED (sizeof mixed / sizeof *mixed)

static struct filter_set *build(const struct filter_rule *rule, size_t count)
{
	struct err e = { 0 };
	struct filter_set *set;
	cr_assert(filter_set_build(&set, rule, count, &e) == 0, "%s", e.text);
	return set;
}

static const char *const shorts[] = {
	"abab",
	"xx ababab \xE2\x82\xAC",
	"axb axccc axcc",
	"note: hi\nno",
	"qq qqqqx q.",
	"a@b.co, c@d.info",
	"\xF0\x9F\x98\x80 ab\xCC\x81\xCC\x81 c",
	"ab\xE2\x80\x8B\xCC\x81z",
	"\xFF\xC3\x28\xE2\x82",
};

/* Every way of cutting: bit i of mask cuts behind byte i. */
static size_t cut_size(size_t i, void *ctx)
{
	uint64_t *mask = ctx;
	size_t n = 1;
	(void)i;
	while (!(*mask & 1) && n < 64) {
		*mask >>= 1;
		n++;
	}
	*mask >>= 1;
	return n;
}

Test(filters_stream, every_cut_of_a_short_text_gives_the_same)
{
	struct filter_set *set = build(mixed, MIXED);
	for (size_t t = 0; t < sizeof shorts / sizeof *shorts; t++) {
		size_t len = strlen(shorts[t]);
		cr_assert(len <= 20);
		struct scan whole = scan_whole(set, shorts[t], len);
		for (uint64_t cuts = 0; cuts < 1u << (len > 13 ? 13 : len - 1); cuts++) {
			uint64_t mask = cuts | 1ull << 63;
			struct scan s = scan_text(set, false, shorts[t], len, cut_size, &mask);
			cr_expect(scan_equal(&whole, &s), "\"%s\" cut by %jx:\n%s\n%s", shorts[t],
				  (uintmax_t)cuts, whole.trace.bytes, s.trace.bytes);
			scan_free(&s);
		}
		scan_free(&whole);
	}
	filter_set_free(set);
}

static const char *const parts[] = {
	"4111 1111 1111 1111",
	"4012-8888-8888-1881",
	"e.murphy@example.org",
	"GB57 FERN 0027 5892 9007 54",
	" ",
	". ",
	"\n",
	"449994190512277580",
	"Project Larkspur",
	"p r o j e c t\xE2\x80\x8Blarkspur",
	"(617) 555-0116",
	"+44 7700 900963",
	"ab",
	"abab",
	"\xE9\x93\xB6\xE8\xA1\x8C\xE5\x8D\xA1",
	"caf\xC3\xA9",
	"e\xCC\x81",
	"axx",
	"bccc",
	"qqq",
	"5500 8991 4330 1467",
	"&#112;roject%20larkspur",
	"\\u0070roject lark",
	"%C3",
	"\xF3\xA0\x81\xB7\xF3\xA0\x81\xB2",
	"\xE2\x80\xAE",
	"note:",
	"\xEF\xBC\x94\xEF\xBC\x91\xEF\xBC\x91\xEF\xBC\x91 1111 1111 1111",
	"\xFF",
	"\xE2\x82",
	"a@b",
	"1",
	"Proj",
	"\xEF\xB8\x8F\xEF\xB8\x8F",
};

static size_t random_text(char *text, size_t room, uint32_t *seed)
{
	size_t len = 0;
	for (;;) {
		const char *p = parts[scan_random(seed) % (sizeof parts / sizeof *parts)];
		size_t n = strlen(p);
		if (len + n >= room)
			return len;
		memcpy(text + len, p, n);
		len += n;
	}
}

Test(filters_stream, random_cuts_of_long_texts_give_the_same)
{
	struct filter_set *set = build(mixed, MIXED);
	uint32_t seed = 20261123;
	static char text[1500];
	for (int round = 0; round < 150; round++) {
		size_t len = random_text(text, 40 + scan_random(&seed) % (sizeof text - 40), &seed),
		       one = 1, k = 17;
		struct scan whole = scan_whole(set, text, len);
		struct scan cut[] = {
			scan_text(set, false, text, len, scan_bytes, &one),
			scan_text(set, false, text, len, scan_bytes, &k),
			scan_text(set, false, text, len, scan_random_size, &seed),
		};
		for (int i = 0; i < 3; i++) {
			cr_expect(scan_equal(&whole, &cut[i]), "round %d, way %d:\n%.*s\n%s\n%s",
				  round, i, (int)len, text, whole.trace.bytes, cut[i].trace.bytes);
			scan_free(&cut[i]);
		}
		scan_free(&whole);
	}
	filter_set_free(set);
}

/* What leaves is the source with each finding replaced: nothing lost, nothing twice. */
static void rebuild(const struct filter_set *set, const char *text, size_t len)
{
	struct filter_stream *f;
	struct cleared out;
	struct buf got = { 0 };
	cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
	cr_assert(filter_stream_push(f, text, len, &out, NULL) == FILTER_OPEN);
	buf_add(&got, out.bytes, out.len);
	cr_assert(filter_stream_end(f, &out, NULL) == FILTER_COMPLETE);
	buf_add(&got, out.bytes, out.len);
	const struct filter_record *r = filter_stream_record(f);
	size_t at = 0, emitted = 0;
	for (size_t i = 0; i <= r->findings; i++) {
		size_t end = i < r->findings ? r->finding[i].start : len;
		cr_assert(at <= end && emitted + (end - at) <= got.len);
		cr_assert(memcmp(got.bytes + emitted, text + at, end - at) == 0, "%.*s", (int)len,
			  text);
		emitted += end - at + (i < r->findings ? r->finding[i].replacement_len : 0);
		at = i < r->findings ? r->finding[i].end : len;
	}
	cr_assert_eq(emitted, got.len);
	cr_assert_eq(r->emitted_bytes, got.len);
	struct digest d = digest_of(got.bytes, got.len), seen = digest_of(text, len);
	cr_assert(digest_equal(&d, &r->emitted_digest) && digest_equal(&seen, &r->seen_digest));
	cr_assert(r->seen == len && r->scanned == len && r->released == len);
	buf_free(&got);
	filter_stream_close(f);
}

Test(filters_stream, output_is_the_source_with_each_finding_replaced)
{
	struct filter_set *set = build(mixed, MIXED);
	uint32_t seed = 7;
	char text[800];
	for (int round = 0; round < 100; round++) {
		size_t len = random_text(text, sizeof text, &seed), n = 0;
		for (size_t i = 0; i < len;
		     i++) { /* well-formed text only: ill-formed bytes become U+FFFD */
			bool cut = i + 1 < len && memcmp(text + i, "\xE2\x82", 2) == 0;
			if (cut)
				i++;
			else if ((unsigned char)text[i] != 0xFF)
				text[n++] = text[i];
		}
		rebuild(set, text, n);
	}
	filter_set_free(set);
}

Test(filters_stream, result_does_not_depend_on_the_order_of_rules)
{
	struct filter_rule turned[MIXED];
	for (size_t i = 0; i < MIXED; i++)
		turned[i] = mixed[(i * 7 + 3) % MIXED];
	struct filter_set *a = build(mixed, MIXED), *b = build(turned, MIXED);
	uint32_t seed = 99;
	char text[900];
	for (int round = 0; round < 60; round++) {
		size_t len = random_text(text, sizeof text, &seed);
		struct scan x = scan_whole(a, text, len), y = scan_whole(b, text, len);
		cr_expect(scan_equal(&x, &y), "%.*s\n%s\n%s", (int)len, text, x.trace.bytes,
			  y.trace.bytes);
		scan_free(&x);
		scan_free(&y);
	}
	filter_set_free(a);
	filter_set_free(b);
}

Test(filters_stream, ill_formed_bytes_become_one_sign_for_each_maximal_part)
{
	struct filter_set *set = build(mixed, MIXED);
	struct scan s = scan_whole(set, "a\xE2\x82z\xFF\xFE", 6);
	cr_assert_str_eq(s.output.bytes, "a\xEF\xBF\xBDz\xEF\xBF\xBD\xEF\xBF\xBD");
	cr_assert(strstr(s.trace.bytes, "ill 4 "), "%s", s.trace.bytes);
	scan_free(&s);
	filter_set_free(set);
}

/* ---- actions and overlaps */

static const char *const l_abc[] = { "abc" }, *const l_cde[] = { "cde" }, *const l_c[] = { "c" },
			 *const l_b[] = { "b" }, *const l_aa[] = { "aa" };
#define LIT(i, act, lit)                                                   \
	{                                                                  \
		.id = i, .action = act, .literal = lit, .literal_count = 1 \
	}

struct overlap {
	const char *name, *text, *output, *trace; /* trace: what the findings contain */
	struct filter_rule rule[3];
	size_t rules;
};

static const struct overlap overlaps[] = {
	{ "equal actions merge",
	  "xabcdey",
	  "x[redacted]y",
	  "[1,6) redact r1,r2",
	  { LIT("r1", FILTER_REDACT, l_abc), LIT("r2", FILTER_REDACT, l_cde) },
	  2 },
	{ "the stronger wins its bytes",
	  "xabcdey",
	  "x[redacted]**y",
	  "[1,4) redact m,r",
	  { LIT("m", FILTER_MASK, l_cde), LIT("r", FILTER_REDACT, l_abc) },
	  2 },
	{ "a flag inside is named",
	  "xabcy",
	  "x[redacted]y",
	  "[1,4) redact f,r",
	  { LIT("f", FILTER_FLAG, l_b), LIT("r", FILTER_REDACT, l_abc) },
	  2 },
	{ "a flag alone changes nothing",
	  "xabcy",
	  "xabcy",
	  "[2,3) flag f",
	  { LIT("f", FILTER_FLAG, l_b) },
	  1 },
	{ "neighbours that do not overlap stay two",
	  "bb",
	  "[redacted][redacted]",
	  "[1,2) redact b",
	  { LIT("b", FILTER_REDACT, l_b) },
	  1 },
	{ "a chain is one span",
	  "aaaaaaaaaa.",
	  "[redacted].",
	  "[0,10) redact aa",
	  { LIT("aa", FILTER_REDACT, l_aa) },
	  1 },
	{ "stronger inside weaker splits it",
	  "abcde",
	  "**[redacted]",
	  "[2,5) redact", /* mask ab, redact cde */
	  { LIT("m", FILTER_MASK, l_abc), LIT("r", FILTER_REDACT, l_cde) },
	  2 },
	{ "marks behind go with it",
	  "abc\xCC\x81\xE2\x80\x8Bz",
	  "[redacted]z",
	  "[0,8) redact r",
	  { LIT("r", FILTER_REDACT, l_abc) },
	  1 },
	{ "marks behind a flag stay",
	  "abc\xCC\x81z",
	  "abc\xCC\x81z",
	  "[0,3) flag r",
	  { LIT("r", FILTER_FLAG, l_abc) },
	  1 },
	{ "a block ends at its start",
	  "xxabcdezz",
	  "xx",
	  "[2,5) block b",
	  { LIT("b", FILTER_BLOCK, l_abc) },
	  1 },
	{ "a block names what covers its start",
	  "xxabcdezz",
	  "xx[redacted]",
	  "[4,5) block b,r",
	  { LIT("b", FILTER_BLOCK, l_c), LIT("r", FILTER_REDACT, l_abc) },
	  2 },
};

Test(filters_stream, overlaps_follow_strength)
{
	for (size_t i = 0; i < sizeof overlaps / sizeof *overlaps; i++) {
		const struct overlap *o = &overlaps[i];
		struct filter_set *set = build(o->rule, o->rules);
		struct scan whole = scan_whole(set, o->text, strlen(o->text));
		cr_expect_str_eq(whole.output.bytes ? whole.output.bytes : "", o->output, "%s: %s",
				 o->name, whole.output.bytes);
		cr_expect(strstr(whole.trace.bytes, o->trace), "%s: %s", o->name,
			  whole.trace.bytes);
		for (size_t n = 1; n < strlen(o->text); n++) {
			struct scan s =
				scan_text(set, false, o->text, strlen(o->text), scan_bytes, &n);
			cr_expect(scan_equal(&whole, &s), "%s in pieces of %zu: %s", o->name, n,
				  s.trace.bytes);
			scan_free(&s);
		}
		scan_free(&whole);
		filter_set_free(set);
	}
}

Test(filters_stream, shadow_records_findings_and_changes_no_byte)
{
	struct filter_rule rule[] = { LIT("b", FILTER_BLOCK, l_cde),
				      LIT("r", FILTER_REDACT, l_abc) };
	struct filter_set *set = build(rule, 2);
	const char *text = "xabcdey abc";
	struct scan s = scan_text(set, true, text, strlen(text), NULL, NULL);
	cr_assert_eq(s.end, FILTER_COMPLETE);
	cr_assert_str_eq(s.output.bytes, text);
	cr_assert(strstr(s.trace.bytes, "[3,6) block b,r") &&
			  strstr(s.trace.bytes, "[1,3) redact r") &&
			  strstr(s.trace.bytes, "shadow"),
		  "%s", s.trace.bytes);
	scan_free(&s);
	filter_set_free(set);
}

Test(filters_stream, nothing_comes_out_after_a_block_or_an_abort)
{
	struct filter_rule rule[] = {
		{ .id = "b", .action = FILTER_BLOCK, .literal = block_word, .literal_count = 1 }
	};
	struct filter_set *set = build(rule, 1);
	struct filter_stream *f;
	struct cleared out;
	cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
	cr_assert_eq(filter_stream_push(f, "one STOP HE", 11, &out, NULL), FILTER_OPEN);
	cr_assert(out.len == 4 && memcmp(out.bytes, "one ", 4) == 0);
	cr_assert_eq(filter_stream_held(f), 7);
	cr_assert_eq(filter_stream_push(f, "RE and on", 9, &out, NULL), FILTER_BLOCKED);
	cr_assert_eq(out.len, 0);
	cr_assert_eq(filter_stream_push(f, "more", 4, &out, NULL), FILTER_BLOCKED);
	cr_assert_eq(out.len, 0);
	cr_assert_eq(filter_stream_end(f, &out, NULL), FILTER_BLOCKED);
	const struct filter_record *r = filter_stream_record(f);
	cr_assert(r->released == 4 && r->scanned == 13 && r->seen == 13 && r->end_offset == 4 &&
		  r->emitted_bytes == 4);
	filter_stream_close(f);
	cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
	cr_assert_eq(filter_stream_push(f, "held ST", 7, &out, NULL), FILTER_OPEN);
	filter_stream_abort(f);
	cr_assert_eq(filter_stream_end(f, &out, NULL), FILTER_ABORTED);
	cr_assert_eq(out.len, 0);
	r = filter_stream_record(f);
	cr_assert(r->seen == 7 && r->scanned == 5 && r->released == 5);
	filter_stream_close(f);
	filter_set_free(set);
}

/* What lies behind a block in the same piece may be far longer than a rule's width. */
Test(filters_stream, a_block_is_a_block_however_much_follows_in_the_piece)
{
	struct filter_rule rule[] = {
		{ .id = "b", .action = FILTER_BLOCK, .literal = block_word, .literal_count = 1 }
	};
	static char text[100000];
	memset(text, '.', sizeof text);
	memcpy(text, "one STOP HERE", 13);
	struct filter_set *set = build(rule, 1);
	for (size_t len = 13; len <= sizeof text; len = len * 5 / 4 + 1) {
		struct filter_stream *f;
		struct cleared out;
		cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
		int end = filter_stream_push(f, text, len, &out, NULL);
		cr_assert(out.len == 4, "%zu", len);
		end = end == FILTER_OPEN ? filter_stream_end(f, &out, NULL) : end;
		cr_assert_eq(end, FILTER_BLOCKED, "%zu bytes: %d", len, end);
		const struct filter_record *r = filter_stream_record(f);
		cr_assert(r->released == 4 && r->seen == 13 && r->end_offset == 4, "%zu", len);
		filter_stream_close(f);
	}
	filter_set_free(set);
}

Test(filters_stream, an_empty_set_passes_everything_at_once)
{
	struct filter_set *set = build(NULL, 0);
	struct filter_stream *f;
	struct cleared out;
	cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
	cr_assert_eq(filter_stream_push(f, "abc\xE2\x82", 5, &out, NULL), FILTER_OPEN);
	cr_assert(out.len == 3 && filter_stream_held(f) == 2);
	cr_assert_eq(filter_stream_push(f, "\xAC", 1, &out, NULL), FILTER_OPEN);
	cr_assert(out.len == 3 && filter_stream_held(f) == 0);
	filter_stream_close(f);
	filter_set_free(set);
}
