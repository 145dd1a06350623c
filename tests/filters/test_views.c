/* The value view: how a value is printed does not hide it. */
#include "tests/filters/scan.h"
#include "filters/view.h"

#include <criterion/criterion.h>

static struct filter_set *one(struct filter_rule rule)
{
	struct filter_set *set;
	struct err e = { 0 };
	rule.id = "r";
	cr_assert(filter_set_build(&set, &rule, 1, &e) == 0, "%s", e.text);
	return set;
}

static struct filter_set *detector(const char *name)
{
	return one((struct filter_rule){ .action = FILTER_REDACT, .detector = name });
}

Test(filters_views, digits_of_every_script_are_digits)
{
	static const uint32_t nought[] = { 0x660,   0x6F0,   0x7C0,   0x966,  0x9E6,
					   0xE50,   0x1040,  0x17E0,  0x1A90, 0xFF10,
					   0x104A0, 0x1D7CE, 0x1D7E2, 0x1E950 };
	for (size_t i = 0; i < sizeof nought / sizeof *nought; i++)
		for (uint32_t d = 0; d < 10; d++) {
			struct fold f;
			filter_view_fold(VIEW_VALUE, nought[i] + d, &f);
			cr_expect(f.n == 1 && f.cp[0] == '0' + d, "U+%X", nought[i] + d);
		}
}

struct row {
	const char *detector, *text;
	bool found;
};

static const struct row rows[] = {
	{ "pan", "\u0664\u0661\u0661\u0661 1111 1111 1111", true },
	{ "pan",
	  "\u096A\u0967\u0967\u0967\u0967\u0967\u0967\u0967"
	  "\u0967\u0967\u0967\u0967\u0967\u0967\u0967\u0967",
	  true },
	{ "pan", "4111\u20131111\u20131111\u20131111", true },
	{ "pan", "4111\u20111111\u20111111\u20111111", true },
	{ "pan", "4111\u22121111\u22121111\u22121111", true },
	{ "pan", "4111\u00A01111\u00A01111\u00A01111", true },
	{ "pan", "4111\u20091111\u30001111\u202F1111", true },
	{ "pan", "4111\u20131111\u20131111\u20131112", false },
	{ "iban", "DE89\u00A03704\u00A00044\u00A00532\u00A00130\u00A000", true },
	{ "us.ssn", "219\u201009\u20109998", true },
	{ "ip", "\u06F8\u06F9.45.67.213", true },
	{ "phone", "+44\u20097700\u2009900963", true },
};

Test(filters_views, typographic_signs_do_not_hide_a_value)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct filter_set *set = detector(rows[i].detector);
		struct scan s = scan_whole(set, rows[i].text, strlen(rows[i].text));
		bool whole = s.findings == 1 && s.first_start == 0 &&
			     s.first_end == strlen(rows[i].text);
		cr_expect(rows[i].found ? whole : s.findings == 0, "%s %s: %s", rows[i].detector,
			  rows[i].text, s.trace.bytes);
		scan_free(&s);
		filter_set_free(set);
	}
}

/* A regex of a rule means its signs as it writes them. */
Test(filters_views, a_regex_keeps_the_plain_view)
{
	struct filter_set *set = one((struct filter_rule){
		.action = FILTER_REDACT, .regex = "[0-9]{2}-[0-9]|\\x{2013}\\x{664}" });
	struct scan s = scan_whole(set, "12\u20133 \u0664\u0664-\u0664 12-3 \u2013\u0664",
				   strlen("12\u20133 \u0664\u0664-\u0664 12-3 \u2013\u0664"));
	cr_expect_str_eq(s.output.bytes, "12\u20133 \u0664\u0664-\u0664 [redacted] [redacted]");
	scan_free(&s);
	filter_set_free(set);
}
