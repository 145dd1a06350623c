/* Languages as values: operations, questions, and what comes out of them. */
#include "tests/shared/acceptor.h"

#include "grammar/regular.h"

#include <criterion/criterion.h>
#include <string.h>

static uint64_t work;

static struct regular *of(const char *regex)
{
	struct regular *r;
	struct err e = { 0 };
	cr_assert_eq(regular_regex(&r, regex, strlen(regex), false, &work, &e), 0, "%s: %s", regex, e.text);
	return r;
}

static bool holds(const struct regular *r, const char *text) { return regular_holds(r, text, strlen(text)); }

Test(regular, equal_languages_are_equal_values)
{
	static const char *const same[][2] = {
		{ "a|b|ab", "ab?|b" }, { "(a*b*)*", "[ab]*" }, { "a{2,4}", "aa(a(a?))?" },
		{ "(?!ab)[ab]{2}", "aa|ba|bb" }, { "(?=a)[ab](?<!b)", "a" }, { "(?i)k", "[kK]" },
		{ "[^\\u0001-\\u{10ffff}]", "(?!)" }, { "a(?=b)c", "[]" }, { "a++b", "a+b" },
		{ "\\ba\\b|\\Ba", "a" },
	};
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
		struct regular *a = of(same[i][0]), *b = of(same[i][1]);
		cr_assert(regular_equal(a, b), "%s", same[i][0]);
		regular_close(a);
		regular_close(b);
	}
	struct regular *a = of("ab"), *b = of("ab?");
	cr_assert(!regular_equal(a, b));
	regular_close(a);
	regular_close(b);
}

Test(regular, operations_are_those_of_sets)
{
	struct regular *a = of("[a-m]{1,3}"), *b = of("[h-z]+"), *r, *back, *length;
	struct err e = { 0 };
	cr_assert_eq(regular_intersect(&r, a, b, &e), 0);
	cr_assert(holds(r, "him") && holds(r, "hi") && !holds(r, "hat") && !holds(r, "") && !holds(r, "himm"));
	regular_close(r);
	cr_assert_eq(regular_unite(&r, a, b, &e), 0);
	cr_assert(holds(r, "cab") && holds(r, "zoom") && !holds(r, "az"));
	regular_close(r);
	cr_assert_eq(regular_subtract(&r, a, b, &e), 0);
	cr_assert(holds(r, "cab") && !holds(r, "him") && holds(r, "hag"));
	regular_close(r);
	cr_assert_eq(regular_complement(&r, a, &e), 0);
	cr_assert(!holds(r, "cab") && holds(r, "\xC3\xA9") && holds(r, "") && !holds(r, "\xFF"));
	cr_assert_eq(regular_complement(&back, r, &e), 0);
	cr_assert(regular_equal(a, back));
	regular_close(back);
	cr_assert_eq(regular_unite(&back, a, r, &e), 0);
	cr_assert(regular_is_all(back));
	regular_close(back);
	cr_assert_eq(regular_intersect(&back, a, r, &e), 0);
	cr_assert(regular_is_empty(back));
	regular_close(back);
	regular_close(r);
	cr_assert_eq(regular_length(&length, 3, UINT64_MAX, &work, &e), 0);
	cr_assert_eq(regular_intersect(&r, b, length, &e), 0);
	cr_assert(holds(r, "him") && !holds(r, "hi"));
	cr_assert_eq(regular_count(r, 1000), 1000);
	regular_close(r);
	regular_close(length);
	cr_assert_eq(regular_length(&length, 5, 2, &work, &e), 0);
	cr_assert(regular_is_empty(length));
	regular_close(length);
	regular_close(a);
	regular_close(b);
}

Test(regular, finite_languages_are_counted_and_listed)
{
	static const struct { const char *regex, *list; } rows[] = {
		{ "b|a{1,2}|\xC3\xA9?", "[\"\",\"a\",\"b\",\"\xC3\xA9\",\"aa\"]" },
		{ "(?!)", "[]" }, { "", "[\"\"]" }, { "[ab][12]", "[\"a1\",\"a2\",\"b1\",\"b2\"]" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct regular *r = of(rows[i].regex), *back;
		struct err e = { 0 };
		json_t *list, *wanted = json_loads(rows[i].list, 0, NULL);
		cr_assert_eq(regular_list(&list, r, 10, &e), 0);
		cr_assert(json_equal(list, wanted), "%s", rows[i].regex);
		cr_assert_eq(regular_count(r, 100), json_array_size(wanted));
		cr_assert_eq(regular_texts(&back, wanted, &work, &e), 0);
		cr_assert(regular_equal(r, back), "%s", rows[i].regex);
		json_decref(list);
		json_decref(wanted);
		regular_close(back);
		regular_close(r);
	}
	struct regular *r = of("[a-z]{1,20}");
	struct err e = { 0 };
	json_t *list;
	cr_assert_eq(regular_count(r, 27), 27);
	cr_assert_eq(regular_count(r, 700), 700);
	cr_assert_eq(regular_list(&list, r, 700, &e), 0);
	cr_assert_null(list);
	regular_close(r);
	r = of("(a|b*)c");
	cr_assert_eq(regular_count(r, UINT64_MAX), UINT64_MAX);
	regular_close(r);
}

Test(regular, rules_are_the_inside_of_a_json_string)
{
	struct regular *r = of("(?=.*\\d)[a-z\\d\"\\\\\\n\\x01]{2,3}|\\p{Lu}+");
	struct err e = { 0 };
	struct acceptor a;
	struct buf rules = { 0 };
	buf_add_text(&rules, "root ::= \"[\" in-x \"]\"\n");
	cr_assert_eq(regular_rules(r, "in-x", &rules, &e), 0, "%s", e.text);
	cr_assert_eq(acceptor_open(&a, GRAMMAR_RULES, rules.bytes, rules.len, &e), 0, "%s", e.text);
	static const struct { const char *text; bool in; } rows[] = {
		{ "[a1]", true }, { "[aa]", false }, { "[1\\n]", true }, { "[1\n]", false }, { "[\\\"1\\\\]", true },
		{ "[1\\u0001]", true }, { "[1\x01]", false }, { "[\xC3\x89\xCE\x91]", true }, { "[]", false },
		{ "[1\\u0061]", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		cr_assert_eq(acceptor_takes(&a, rows[i].text, strlen(rows[i].text), true), rows[i].in, "%s", rows[i].text);
	acceptor_close(&a);
	buf_free(&rules);
	regular_close(r);
}

Test(regular, what_is_too_large_is_refused_by_name)
{
	static const char *const large[] = {
		"(?=.*a.{20}$)[ab]*", "(?!a)(.{0,100}a){100}b", "^(?=(.{97})*$)(?=(.{89})*$)(?=(.{83})*$).*$",
	};
	for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
		struct regular *r;
		struct err e = { 0 };
		work = 0;
		int rc = regular_regex(&r, large[i], strlen(large[i]), true, &work, &e);
		cr_assert(rc == ERR_UNSUPPORTED && r == NULL, "%s: %d %s", large[i], rc, e.text);
	}
	struct regular *r;
	struct err e = { 0 };
	work = 0;
	cr_assert_eq(regular_length(&r, 0, 60000, &work, &e), 0);
	regular_close(r);
	cr_assert_eq(regular_length(&r, 0, 1u << 20, &work, &e), ERR_UNSUPPORTED);
}
