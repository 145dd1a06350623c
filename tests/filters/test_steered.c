/* Texts whose form the client chose: no separator and no wrong last digit carries a card past the
 * rules; and what is written so for other reasons stays. */
#include "tests/filters/scan.h"

#include <criterion/criterion.h>

static const struct filter_rule rules[] = {
	{ .id = "card", .action = FILTER_MASK, .detector = "pan" },
	{ .id = "iban", .action = FILTER_REDACT, .detector = "iban" },
};

static struct filter_set *set;

static void setup(void)
{
	struct err e = { 0 };
	cr_assert_eq(filter_set_build(&set, rules, sizeof rules / sizeof *rules, &e), 0, "%s", e.text);
}
static void teardown(void) { filter_set_free(set); }

TestSuite(filter_steered, .init = setup, .fini = teardown);

static void expect(unsigned how, const char *text, const char *out)
{
	size_t len = strlen(text);
	struct scan whole = scan_text(set, how, text, len, NULL, NULL);
	buf_add_byte(&whole.output, 0);
	cr_expect_str_eq(whole.output.bytes, out, "%s", text);
	whole.output.len--;
	for (size_t piece = 1; piece < len; piece++) {
		struct scan s = scan_text(set, how, text, len, scan_bytes, &piece);
		cr_expect(scan_equal(&s, &whole), "%s, pieces of %zu", text, piece);
		scan_free(&s);
	}
	scan_free(&whole);
}

#define CARD "4539148803436467"

/* Groups of n with this between them. */
static void grouped(struct buf *b, const char *digits, size_t n, const char *between)
{
	for (size_t i = 0; digits[i]; i++)
		buf_printf(b, "%s%c", i && i % n == 0 ? between : "", digits[i]);
}

Test(filter_steered, groups_with_any_separator_are_one_number)
{
	static const char *const between[] = { ",",   ", ", ";",   "|", "\n", "~",  "(",    "=",
					       "\t", "\\", "),(", "_", "--", " / ", "\xC2\xB7", "  ,  " };
	for (size_t k = 0; k < sizeof between / sizeof *between; k++)
		for (size_t n = 1; n <= 4; n += n) {
			struct buf text = { 0 }, out = { 0 };
			bool fits = strlen(between[k]) <= 4 || k == 14;
			buf_add_text(&text, "say ");
			grouped(&text, CARD, n, between[k]);
			buf_add_text(&text, " now");
			buf_add_text(&out, "say ");
			grouped(&out, fits ? "453914******6467" : CARD, n, between[k]);
			buf_add_text(&out, " now");
			expect(FILTER_STEERED, text.bytes, out.bytes);
			buf_free(&text);
			buf_free(&out);
		}
}

Test(filter_steered, values_are_found_inside_longer_runs_and_with_a_wrong_last_digit)
{
	unsigned shaped = FILTER_STEERED | FILTER_SHAPED;
	expect(FILTER_STEERED, "9" CARD "9", "9453914******64679");
	expect(FILTER_STEERED, "7;" "4;5;3;9;1;4;8;8;0;3;4;3;6;4;6;7" ";7",
	       "7;4;5;3;9;1;4;*;*;*;*;*;*;6;4;6;7;7");
	expect(shaped, "card 4539148803436461 end", "card 453914********** end");
	expect(shaped, "card 453914880343646x", "card 453914**********");
	expect(shaped, "card 4539-1488-0343-646 end", "card 4539-14**-****-*** end");
	expect(shaped, "DE75512108001245126190", "[redacted]");
	expect(FILTER_STEERED, "card 4539148803436461 end", "card 4539148803436461 end");
	expect(0, "card 4539148803436461 end", "card 4539148803436461 end");
}

Test(filter_steered, in_json_lists_of_single_digits_are_read_and_other_lists_stay)
{
	unsigned json = FILTER_JSON | FILTER_STEERED, shaped = json | FILTER_SHAPED;
	expect(json, "{\"n\":[4,5,3,9,1,4,8,8,0,3,4,3,6,4,6,7]}",
	       "{\"n\":[\"4\",\"5\",\"3\",\"9\",\"1\",\"4\",\"*\",\"*\",\"*\",\"*\",\"*\",\"*\","
	       "\"6\",\"4\",\"6\",\"7\"]}");
	expect(json,
	       "[\"4\", \"5\", \"3\", \"9\", \"1\", \"4\", \"8\", \"8\", \"0\", \"3\", \"4\", "
	       "\"3\", \"6\", \"4\", \"6\", \"7\"]",
	       "[\"4\", \"5\", \"3\", \"9\", \"1\", \"4\", \"*\", \"*\", \"*\", \"*\", \"*\", "
	       "\"*\", \"6\", \"4\", \"6\", \"7\"]");
	expect(shaped, "{\"c\":\"453914880343646\"}", "{\"c\":\"453914*********\"}");
	static const char *const stay[] = {
		"{\"c\":\"453914880343646\"}",
		"[45.39,14.88,3.43,64.67,45.39,14.88,3.43,64.67]",
		"[45,39,14,88,3,43,64,67]",
		"[[1,0,0,4],[5,3,9,1],[4,8,8,0],[3,4,3,6]]",
		"[5,4,4,3,5,5,4,2,5,4,3,5,4,4,5,5,3,4]",
	};
	for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
		expect(json, stay[i], stay[i]);
}

Test(filter_steered, in_strings_of_json_any_separator_is_read_and_in_shaped_lists_any_group)
{
	static const char *const between[] = { "@", "^", " | ", "--", "\\n", "\\r\\n", "\\u20ac", ")(" };
	static const char *const around[][2] = { { "{\"n\": \"", "\"}" },
						 { "{\"id 4\": [\"", "\", \"1@2\"]}" },
						 { "{\"", "\": 1}" } };
	unsigned json = FILTER_JSON | FILTER_STEERED, shaped = json | FILTER_SHAPED;
	for (size_t k = 0; k < sizeof between / sizeof *between; k++)
		for (size_t n = 1; n <= 8; n += n)
			for (size_t a = 0; a < sizeof around / sizeof *around; a++) {
				struct buf text = { 0 }, out = { 0 };
				buf_add_text(&text, around[a][0]);
				grouped(&text, CARD, n, between[k]);
				buf_add_text(&text, around[a][1]);
				buf_add_text(&out, around[a][0]);
				grouped(&out, "453914******6467", n, between[k]);
				buf_add_text(&out, around[a][1]);
				expect(json, text.bytes, out.bytes);
				buf_free(&text);
				buf_free(&out);
			}
	expect(shaped, "{\"n\":\"9" CARD "9\"}", "{\"n\":\"9453914******64679\"}");
	expect(json, "{\"n\":\"9" CARD "9\"}", "{\"n\":\"9" CARD "9\"}");
	expect(shaped, "[\"4539\",\"1488\",\"0343\",\"6467\"]",
	       "[\"4539\",\"14**\",\"****\",\"6467\"]");
	expect(shaped, "[\"4539\",\"1488\",\"0343\",\"6461\"]",
	       "[\"4539\",\"1488\",\"0343\",\"6461\"]");
	expect(shaped, "[4000, 3250, 2999, 1001]", "[4000, 3250, 2999, 1001]");
}

Test(filter_steered, ordinary_text_stays)
{
	static const char *const stay[] = {
		"Of the 12 who came in 2026, 7 left by 18:30; the rest paid 1,250.00 each.",
		"in on at to by of up so we me he it is as an or if no do go",
		"12 34 56 78 90", "2026-11-30 2026-12-01 2026-12-02", "192.168.1.1, 10.0.0.1, 172.16.0.1",
	};
	for (size_t i = 0; i < sizeof stay / sizeof *stay; i++)
		expect(FILTER_STEERED | FILTER_SHAPED, stay[i], stay[i]);
}

Test(filter_steered, random_text_is_the_same_in_random_cuts)
{
	static const char signs[] = "4539148803436467,;. |\n\"[]x";
	uint32_t state = 7;
	for (int i = 0; i < 3000; i++) {
		char text[120];
		size_t len = 1 + scan_random(&state) % (sizeof text - 1);
		for (size_t k = 0; k < len; k++)
			text[k] = signs[scan_random(&state) % (sizeof signs - 1)];
		unsigned how = FILTER_STEERED | (i % 2 ? FILTER_SHAPED : 0) | (i % 3 ? 0 : FILTER_JSON);
		struct scan a = scan_text(set, how, text, len, NULL, NULL);
		struct scan b = scan_text(set, how, text, len, scan_random_size, &state);
		cr_expect(scan_equal(&a, &b), "%.*s", (int)len, text);
		scan_free(&a);
		scan_free(&b);
	}
}
