#include "tests/filters/scan.h"

#include <criterion/criterion.h>

/* A rule, how many bytes of plain text it may hold at most (counted by hand, without what a run of
 * base64 may hold), and texts to stream byte by byte. */
static const char *const l_word[] = { "larkspur" }, *const l_long[] = { "abcdefghij", "xyz" },
			 *const l_han[] = { "\xE5\x86\x85\xE9\x83\xA8" };

struct bound {
	const char *name;
	struct filter_rule rule;
	size_t most;
};

static const struct bound bounds[] = {
	{ "literal",
	  { .id = "r", .action = FILTER_REDACT, .literal = l_word, .literal_count = 1 },
	  7 },
	{ "two literals",
	  { .id = "r", .action = FILTER_REDACT, .literal = l_long, .literal_count = 2 },
	  9 },
	{ "Chinese literal",
	  { .id = "r", .action = FILTER_REDACT, .literal = l_han, .literal_count = 1 },
	  5 },
	{ "regex",
	  { .id = "r",
	    .action = FILTER_REDACT,
	    .regex = "[a-z]{3}[0-9]",
	    .decode = FILTER_DECODE_NONE },
	  3 },
	{ "regex with look-ahead",
	  { .id = "r", .action = FILTER_REDACT, .regex = "ab(?=cd)", .decode = FILTER_DECODE_NONE },
	  3 },
	{ "regex with a border",
	  { .id = "r",
	    .action = FILTER_REDACT,
	    .regex = "\\b[a-z]{1,4}\\b",
	    .decode = FILTER_DECODE_NONE },
	  5 }, /* 4 and the end unseen */
	{ "repeat",
	  { .id = "r",
	    .action = FILTER_REDACT,
	    .regex = "a+b",
	    .decode = FILTER_DECODE_NONE,
	    .repeat_max = 6 },
	  6 },
	{ "card", { .id = "r", .action = FILTER_MASK, .detector = "pan" }, 40 },
	{ "resident id", { .id = "r", .action = FILTER_REDACT, .detector = "cn.resident_id" }, 38 },
};

static const char *const texts[] = {
	"the lark and larkspu, larkspur; lark lark larkspurlarkspu",
	"abcdefghiabcdefghijxyxyz abcdabcdefghi",
	"aaaaaaaaaaaaaaaab aaaab ab abc abcd abcx",
	"\xE5\x86\x85\xE5\x86\x85\xE9\x83\xA8\xE5\x86\x85 \xE5\x86",
	"abc1 ab1 zabcd1 word wor d word",
	"4111 1111 1111 1111 and 4111-1111-1111-111 5 4111111111111111. 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
	"449994190512277580 4499941905122775801 44999419051227758",
};

static void step_by_bytes(const struct bound *b, const struct filter_set *set, const char *text)
{
	struct filter_stream *f;
	struct cleared out;
	cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
	for (size_t i = 0; text[i]; i++) {
		cr_assert_eq(filter_stream_push(f, text + i, 1, &out, NULL), FILTER_OPEN);
		size_t held = filter_stream_held(f);
		cr_expect(held <= b->most, "%s: %zu bytes held after byte %zu of \"%s\"", b->name,
			  held, i + 1, text);
		cr_expect(held <= filter_set_hold(set, 0));
	}
	cr_assert_eq(filter_stream_end(f, &out, NULL), FILTER_COMPLETE);
	cr_assert_eq(filter_stream_held(f), 0);
	filter_stream_close(f);
}

Test(filters_hold, never_more_than_the_rule_can_need_at_any_byte)
{
	for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
		struct filter_set *set;
		struct err e = { 0 };
		cr_assert(filter_set_build(&set, &bounds[i].rule, 1, &e) == 0, "%s", e.text);
		for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
			step_by_bytes(&bounds[i], set, texts[t]);
		filter_set_free(set);
	}
}

/* Text of so many characters with as much in front of each as can be dropped. */
static void stuff(struct buf *out, const char *text)
{
	for (; *text; text++) {
		for (int i = 0; i < 16; i++)
			buf_add_text(out, "\xF3\xA0\x81\x81"); /* a tag character */
		buf_add_byte(out, (uint8_t)*text);
	}
}

/* What may be all of its text waits for 256 characters, and then for a run that may be a digest; a
 * rule that asks for no such value does not hold for it. */
Test(filters_hold, numbers_alone_and_digests_stay_within_the_bound)
{
	char text[400] = "682569926";
	size_t hold[2];
	memset(text + 9, '.', 240);
	memcpy(text + 249, "682569926", 9);
	for (int i = 258; i < 330; i++)
		text[i] = "a4"[i % 2];
	for (int alone = 0; alone < 2; alone++) {
		struct filter_rule rule = {
			.id = "r",
			.action = FILTER_REDACT,
			.detector = "nl.bsn",
			.decode = FILTER_DECODE_NONE,
			.context = alone ? FILTER_CONTEXT_ALONE : FILTER_CONTEXT_WEAK,
		};
		struct filter_set *set;
		struct buf stuffed = { 0 };
		size_t piece = 100;
		cr_assert(filter_set_build(&set, &rule, 1, NULL) == 0);
		stuff(&stuffed, text);
		struct scan s = scan_text(set, 0, stuffed.bytes, stuffed.len, scan_bytes, &piece);
		hold[alone] = filter_set_hold(set, 0);
		cr_expect_eq(s.end, FILTER_COMPLETE);
		cr_expect(s.held_max <= hold[alone]);
		cr_expect(s.held_max > (size_t)(alone ? 300 : 60) * 65, "%zu", s.held_max);
		cr_expect(alone || s.held_max < (size_t)70 * 65, "%zu", s.held_max);
		scan_free(&s);
		buf_free(&stuffed);
		filter_set_free(set);
	}
	cr_expect(hold[0] + (size_t)256 * 68 <= hold[1], "%zu and %zu", hold[0], hold[1]);
}

/* The exact hold: the longest suffix that is a proper prefix of a literal, by definition. */
static size_t suffix(const char *text, size_t n)
{
	static const char *const words[] = { "ab", "abcab", "bcx", "cabd" };
	size_t best = 0;
	for (size_t w = 0; w < 4; w++)
		for (size_t k = 1; k < strlen(words[w]) && k <= n; k++)
			if (memcmp(text + n - k, words[w], k) == 0 && k > best)
				best = k;
	return best;
}

Test(filters_hold, literals_hold_exactly_what_may_still_match)
{
	static const char *const words[] = { "ab", "abcab", "bcx", "cabd" };
	struct filter_rule rule = {
		.id = "r", .action = FILTER_FLAG, .literal = words, .literal_count = 4
	};
	struct filter_set *set;
	cr_assert(filter_set_build(&set, &rule, 1, NULL) == 0);
	uint32_t seed = 5;
	for (int round = 0; round < 200; round++) {
		struct filter_stream *f;
		struct cleared out;
		char text[60];
		cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
		for (size_t i = 0; i < sizeof text; i++) {
			text[i] = "abcdx"[scan_random(&seed) % 5];
			cr_assert_eq(filter_stream_push(f, text + i, 1, &out, NULL), FILTER_OPEN);
			cr_assert_eq(filter_stream_held(f), suffix(text, i + 1), "%.*s", (int)i + 1,
				     text);
		}
		filter_stream_close(f);
	}
	filter_set_free(set);
}

/* A run of invisible characters ends a live match: a hold never grows with what the writer adds. */
Test(filters_hold, no_flood_of_invisible_or_dropped_characters_grows_the_hold)
{
	static const char *const noise[] = {
		"\xE2\x80\x8B", "\xCC\x81",     ".", " ", "\xF3\xA0\x81\xB7",
		"\xEF\xB8\x8F", "\xE2\x80\xAE", "%", "&", "\\u"
	};
	struct filter_rule rule[] = {
		{ .id = "lit",
		  .action = FILTER_REDACT,
		  .literal = l_word,
		  .literal_count = 1,
		  .fold = FILTER_FOLD_STRICT,
		  .gap_max = 4 },
		{ .id = "card", .action = FILTER_MASK, .detector = "pan" },
		{ .id = "tags", .action = FILTER_REDACT, .detector = "unicode.tags" },
		{ .id = "sel", .action = FILTER_REDACT, .detector = "unicode.selectors" },
	};
	struct filter_set *set;
	cr_assert(filter_set_build(&set, rule, 4, NULL) == 0);
	for (size_t i = 0; i < sizeof noise / sizeof *noise; i++) {
		struct filter_stream *f;
		struct cleared out;
		cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
		cr_assert_eq(filter_stream_push(f, "larks 4111 ", 11, &out, NULL), FILTER_OPEN);
		for (int k = 0; k < 2000; k++) {
			cr_assert_eq(filter_stream_push(f, noise[i], strlen(noise[i]), &out, NULL),
				     FILTER_OPEN);
			cr_assert_leq(filter_stream_held(f), 300, "noise %zu", i);
		}
		filter_stream_close(f);
	}
	filter_set_free(set);
}

Test(filters_hold, plain_words_pass_without_delay)
{
	static const struct filter_rule rule[] = {
		{ .id = "card", .action = FILTER_MASK, .detector = "pan" },
		{ .id = "iban", .action = FILTER_REDACT, .detector = "iban" },
		{ .id = "id", .action = FILTER_REDACT, .detector = "cn.resident_id" },
		{ .id = "lit",
		  .action = FILTER_REDACT,
		  .literal = l_word,
		  .literal_count = 1,
		  .fold = FILTER_FOLD_STRICT,
		  .gap_max = 4 },
	};
	const char *text = "An overdraft of 12 days has no hold, \xE6\x88\x91\xE4\xBB\xAC 7% too. ";
	struct filter_set *set;
	cr_assert(filter_set_build(&set, rule, 4, NULL) == 0);
	size_t one = 1;
	struct scan s = scan_text(set, false, text, strlen(text), scan_bytes, &one);
	cr_assert_leq(s.held_max, 4);
	cr_assert_str_eq(s.output.bytes, text);
	scan_free(&s);
	filter_set_free(set);
}
