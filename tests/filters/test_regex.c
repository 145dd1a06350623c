#include "tests/filters/scan.h"

#include <criterion/criterion.h>

struct width {
	const char *regex;
	uint32_t repeat_max, width;
};

static const struct width widths[] = {
	{ "abc", 0, 3 },
	{ "a|bcd", 0, 3 },
	{ "(?:ab){2,4}", 0, 8 },
	{ "a?b", 0, 2 },
	{ "a+", 5, 5 },
	{ "a{2,}b*", 4, 8 },
	{ "a{3,}", 1, 3 },
	{ "ab(?=cde)", 0, 5 },
	{ "(?<=abc)d", 0, 1 },
	{ "a(?!b{2,7})", 0, 8 },
	{ "\\bword\\b", 0, 5 },
	{ "^x$", 0, 2 },
	{ "[a-z\\d\\]]{1,3}", 0, 3 },
	{ "[]x]y", 0, 2 },
	{ "[[:alpha:]]", 0, 1 },
	{ "(?i)a(?-i)b", 0, 2 },
	{ "(?x) a b # comment\n c", 0, 3 },
	{ "\\x{4e00}\\x41\\p{Han}\\pL", 0, 4 },
	{ "(?<name>a)(b)", 0, 2 },
	{ "\xE5\x86\x85\xE9\x83\xA8", 0, 2 },
	{ "a\\z", 0, 2 },
	{ "a{1,3}?b{2}+", 0, 5 },
};

Test(filters_regex, width_is_the_most_that_a_match_inspects)
{
	for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
		uint32_t w = 0;
		struct err e = { 0 };
		cr_expect(filter_regex_width(widths[i].regex, widths[i].repeat_max, &w, &e) == 0,
			  "%s: %s", widths[i].regex, e.text);
		cr_expect_eq(w, widths[i].width, "%s: %u", widths[i].regex, w);
	}
}

struct refused {
	const char *regex, *why;
};

static const struct refused refusals[] = {
	{ "a*", "unbounded" },
	{ "a+", "unbounded" },
	{ "a{2,}", "unbounded" },
	{ "(a)\\1", "back-reference" },
	{ "\\Aa", "escape" },
	{ "a\\K", "escape" },
	{ "\\Ca", "escape" },
	{ "\\Ra", "escape" },
	{ "\\Xa", "escape" },
	{ "a\\Z", "escape" },
	{ "\\Qa\\E", "escape" },
	{ "(?R)a", "kind of group" },
	{ "(?1)a", "kind of group" },
	{ "(?(1)a|b)", "kind of group" },
	{ "(*FAIL)a", "verbs" },
	{ "(?C1)a", "kind of group" },
	{ "(?#x)a", "kind of group" },
	{ "(?J)a", "kind of group" },
	{ "(?>a)", "kind of group" },
	{ "(?iU)a", "inline options" },
	{ "a?", "empty" },
	{ "\\b", "empty" },
	{ "(?=a)", "empty" },
	{ "|a", "empty" },
	{ "", "empty" },
	{ "a{2000}", "inspect 2000" },
	{ "(?:a{100}){11}", "inspect 1100" },
	{ "a{600}(?=b{600})", "inspect 1200" },
	{ "(a", ") is missing" },
	{ "a)", "unmatched" },
	{ "[a", "] is missing" },
	{ "a{3,2}", "wrong order" },
	{ "x{y", "\\{" },
	{ "?a", "nothing to repeat" },
	{ "a\\", "backslash" },
	{ "\\p{Nope}", "near byte" },
	{ "(?<=a{1,3})b", "near byte" },
	{ "(?:a{1,30}){1,30}!", "work limit" },
	{ "(?:a|a){1,30}!", "work limit" },
	{ "(?:[ab]?[a]?){1,30}c", "work limit" },
};

Test(filters_regex, what_has_no_bound_is_refused_with_its_reason)
{
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		uint32_t w;
		struct err e = { 0 };
		cr_expect(filter_regex_width(refusals[i].regex, 0, &w, &e) == ERR_INPUT,
			  "%s was accepted", refusals[i].regex);
		cr_expect(strstr(e.text, refusals[i].why), "%s: %s", refusals[i].regex, e.text);
	}
}

Test(filters_regex, no_accepted_rule_reaches_a_limit_on_hostile_text)
{
	static const char *const hostile[] = { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
					       "(((((((((((",
					       "@@@@@@@@a.a.a.a.a.a.a.a",
					       "4 4 4 4 4 4 4 4 4 4 4",
					       "DE99 DE99 DE99",
					       "+1 (1) (1) (1) (1) (1)" };
	static const char *const detector[] = { "email", "phone", "iban",       "pan",
						"ip",    "mac",   "in.aadhaar", "unicode.bidi" };
	struct filter_rule rule[8];
	for (int i = 0; i < 8; i++)
		rule[i] = (struct filter_rule){ .id = detector[i],
						.action = FILTER_FLAG,
						.detector = detector[i] };
	struct filter_set *set;
	struct err e = { 0 };
	cr_assert(filter_set_build(&set, rule, 8, &e) == 0, "%s", e.text);
	static char text[20000];
	for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
		size_t len = 0, n = strlen(hostile[i]);
		while (len + n < sizeof text) {
			memcpy(text + len, hostile[i], n);
			len += n;
		}
		struct scan s = scan_whole(set, text, len);
		cr_expect_eq(s.end, FILTER_COMPLETE, "%s", hostile[i]);
		scan_free(&s);
	}
	filter_set_free(set);
}

struct built {
	const char *name;
	struct filter_rule rule;
	int code;
	const char *why;
};

static const char *const l_x[] = { "x" }, *const l_empty[] = { "..." }, *const l_bad[] = { "\xFF" };

Test(filters_regex, a_set_refuses_wrong_rules_by_name)
{
	static const struct built wrong[] = {
		{ "nothing", { .id = "n" }, ERR_INPUT, "exactly one" },
		{ "two",
		  { .id = "two", .regex = "a", .detector = "pan" },
		  ERR_INPUT,
		  "exactly one" },
		{ "detector",
		  { .id = "d", .detector = "nope" },
		  ERR_INPUT,
		  "no detector \"nope\"" },
		{ "regex",
		  { .id = "r9", .regex = "a*" },
		  ERR_INPUT,
		  "rule r9: regex, character 2" },
		{ "empty fold",
		  { .id = "e", .literal = l_empty, .literal_count = 1, .fold = FILTER_FOLD_STRICT },
		  ERR_INPUT,
		  "empty after folding" },
		{ "bad text",
		  { .id = "b", .literal = l_bad, .literal_count = 1 },
		  ERR_INPUT,
		  "not UTF-8" },
		{ "queue",
		  { .id = "q", .action = FILTER_QUEUE, .literal = l_x, .literal_count = 1 },
		  ERR_UNSUPPORTED,
		  "not available in this version: action queue" },
		{ "gap",
		  { .id = "g",
		    .literal = l_x,
		    .literal_count = 1,
		    .fold = FILTER_FOLD_STRICT,
		    .gap_max = 65 },
		  ERR_INPUT,
		  "gap_max" },
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct filter_set *set;
		struct err e = { 0 };
		cr_expect_eq(filter_set_build(&set, &wrong[i].rule, 1, &e), wrong[i].code, "%s",
			     wrong[i].name);
		cr_expect(strstr(e.text, wrong[i].why), "%s: %s", wrong[i].name, e.text);
		cr_expect_null(set);
	}
	struct filter_rule twice[2] = { { .id = "a", .detector = "pan" },
					{ .id = "a", .detector = "iban" } };
	struct filter_set *set;
	struct err e = { 0 };
	cr_expect_eq(filter_set_build(&set, twice, 2, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "two rules"), "%s", e.text);
}
