/* The end of a text that its writer did not choose: what lacks little of a match counts as one. */
#include "tests/filters/scan.h"

#include <criterion/criterion.h>

static const char *const project[] = { "Project Larkspur", "Projection" };

static const struct filter_rule rules[] = {
	{ .id = "code",
	  .action = FILTER_REDACT,
	  .literal = project,
	  .literal_count = 2,
	  .fold = FILTER_FOLD_STRICT,
	  .gap_max = 4 },
	{ .id = "mail", .action = FILTER_REDACT, .detector = "email" },
	{ .id = "card", .action = FILTER_MASK, .detector = "pan" },
	{ .id = "iban", .action = FILTER_REDACT, .detector = "iban" },
	{ .id = "tax", .action = FILTER_REDACT, .detector = "de.tax_id", .replacement = "[tax]" },
	{ .id = "tel", .action = FILTER_REDACT, .detector = "phone", .replacement = "[tel]" },
	{ .id = "net", .action = FILTER_MASK, .detector = "ip" },
	{ .id = "staff", .action = FILTER_REDACT, .regex = "\\bEMP-\\d{6}\\b" },
};

static struct filter_set *set;

static void setup(void)
{
	struct err e = { 0 };
	cr_assert_eq(filter_set_build(&set, rules, sizeof rules / sizeof *rules, &e), 0, "%s", e.text);
}
static void teardown(void) { filter_set_free(set); }

TestSuite(filter_cut, .init = setup, .fini = teardown);

/* The end of `text` in pieces; out is the end of what went out. */
static void expect(const char *text, unsigned how, bool cut, const char *out)
{
	size_t len = strlen(text);
	for (size_t piece = 1; piece <= len; piece++) {
		struct filter_stream *f;
		struct cleared c;
		struct buf all = { 0 };
		cr_assert_eq(filter_stream_open(&f, set, how, NULL), 0);
		for (size_t at = 0; at < len; at += piece) {
			size_t n = piece < len - at ? piece : len - at;
			cr_assert_eq(filter_stream_push(f, text + at, n, &c, NULL), FILTER_OPEN);
			buf_add(&all, c.bytes, c.len);
		}
		if (cut)
			filter_stream_cut(f);
		cr_expect_eq(filter_stream_end(f, &c, NULL), FILTER_COMPLETE);
		buf_add(&all, c.bytes, c.len);
		buf_add_byte(&all, 0);
		cr_expect_str_eq(all.bytes, out, "%s, pieces of %zu", text, piece);
		buf_free(&all);
		filter_stream_close(f);
	}
}

Test(filter_cut, what_lacks_little_is_withheld_where_the_text_was_cut)
{
	static const struct {
		const char *text, *out;
	} rows[] = {
		{ "on Project Larkspu", "on [redacted]" },
		{ "on Projec", "on Projec" },
		{ "on Projecti", "on [redacted]" }, /* the shorter of two */
		{ "on p.r.o.j.e.c.t l.a.r.k.s", "on [redacted]" },
		{ "by EMP-12345", "by [redacted]" },
		{ "by EMP-1", "by EMP-1" },
		{ "by EMP-123456", "by [redacted]" },
		{ "to e.murphy@fernbank.exam", "to [redacted]" },
		{ "to e.murphy@", "to e.murphy@" },
		{ "to the end", "to the end" },
		{ "at 192.168.17", "at ***.***.**" },
		{ "at 1.5", "at 1.5" },
		{ "whole EMP-123456 EMP-12345", "whole [redacted] [redacted]" },
		{ "call +49 30 1234", "call [tel]" },
		{ "call +49 30 12", "call +49 30 12" },
		{ "in {\"n\":306041121764062}", "in {\"n\":306041121764062}" },
		{ "of 306041121764062", "of 306041*********" },
		/* of numbers half, and what a mask shows of the whole */
		{ "card 4539 1488 0343 646", "card 4539 14** **** ***" },
		{ "card 4539 1488 0343 ", "card 4539 14** **** " },
		{ "card 453914", "card 453914" },
		{ "card 453914880343", "card 453914******" },
		{ "to DE89 3704 0044 053", "to [redacted]" },
		{ "Steuer-ID 8609574271", "Steuer-ID [tax]" },
		{ "in 2026-11", "in 2026-11" },
		{ "1.4539148803", "1.4539148803" },
		{ "an end that says nothing.", "an end that says nothing." },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect(rows[i].text, 0, true, rows[i].out);
	expect("{\"by\":\"EMP-12345", FILTER_JSON, true, "{\"by\":\"[redacted]");
	expect("by EMP-12345", FILTER_SHADOW, true, "by EMP-12345");
}

Test(filter_cut, end_of_ones_own_withholds_whole_matches_alone)
{
	expect("on Project Larkspu", 0, false, "on Project Larkspu");
	expect("by EMP-12345", 0, false, "by EMP-12345");
	expect("by EMP-123456", 0, false, "by [redacted]");
	expect("to e.murphy@fernbank.exam", 0, false, "to [redacted]");
	expect("at 192.168.17", 0, false, "at 192.168.17");
}

/* Its stream has no room for what rules need. */
Test(filter_cut, text_without_rules_passes_however_it_is_read_and_ends)
{
	static const unsigned how[] = { 0, FILTER_SHADOW, FILTER_SHAPED, FILTER_STEERED,
					FILTER_JSON | FILTER_KEYS_STAY };
	static const char text[] = "{\"mail\":\"QUJDRA== a@example.org \\u0041 4111 1111 1111 1111\"}";
	struct filter_set *all = set;

	cr_assert_eq(filter_set_build(&set, NULL, 0, NULL), 0);
	for (size_t i = 0; i < sizeof how / sizeof *how; i++)
		for (int cut = 0; cut < 2; cut++)
			expect(text, how[i], cut, text);
	filter_set_free(set);
	set = all;
}
