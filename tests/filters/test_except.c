/* Values that a rule leaves alone. */
#include "filters/filters.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define CARD "4111 1111 1111 1111"
#define OTHER "5500 0000 0000 0004"

static const char *const cards[] = { CARD };
static const char *const spelt[] = { "4111-1111-1111-1111" };
static const char *const mails[] = { "Support@Bank.example" };
static const char *const ibans[] = { "DE89 3704 0044 0532 0130 00" };
static const char *const codes[] = { "abc-12", "ABC-77" };
static const char *const words[] = { "red", "green", "blue" };
static const char *const colour[] = { "Green" };
static const char *const key[] = { "ghp_16C7e42F292c6912E7710c838347Ae178B4a" };

static const struct {
	struct filter_rule rule;
	const char *text, *out;
} rows[] = {
	{ { .detector = "pan", .except = cards }, "a " CARD " b " OTHER " c", "a " CARD " b - c" },
	{ { .detector = "pan", .except = cards },
	  "4111111111111111 and 4111-1111-1111-1111",
	  "4111111111111111 and 4111-1111-1111-1111" },
	{ { .detector = "pan", .except = spelt },
	  CARD ", 4111111111111111, " OTHER,
	  CARD ", 4111111111111111, -" },
	{ { .detector = "pan", .except = cards }, "4111 1111 1111 1129", "-" },
	{ { .detector = "email", .except = mails },
	  "to support@bank.example, SUPPORT@bank.EXAMPLE and my.support@bank.example",
	  "to support@bank.example, SUPPORT@bank.EXAMPLE and -" },
	{ { .detector = "email", .except = mails }, "sup.port@bank.example", "-" },
	{ { .detector = "iban", .except = ibans },
	  "DE89370400440532013000, GB57 FERN 0027 5892 9007 54",
	  "DE89370400440532013000, -" },
	{ { .regex = "[a-z]{3}-?[0-9]{2}", .except = codes, .except_count = 2 },
	  "abc-12 abc12 abc-13 abc-77",
	  "abc-12 - - abc-77" },
	{ { .literal = words, .literal_count = 3, .fold = FILTER_FOLD_CASE, .except = colour },
	  "red green Green BLUE",
	  "- green Green -" },
	{ { .literal = words,
	    .literal_count = 3,
	    .fold = FILTER_FOLD_STRICT,
	    .gap_max = 4,
	    .except = colour },
	  "r.e.d g.r.e.e.n BLUE",
	  "- g.r.e.e.n -" },
	{ { .detector = "secret.github_pat", .except = key },
	  "x ghp_16C7e42F292c6912E7710c838347Ae178B4a y",
	  "x ghp_16C7e42F292c6912E7710c838347Ae178B4a y" },
};

static struct filter_rule complete(struct filter_rule x)
{
	x.id = "r";
	x.action = FILTER_REDACT;
	x.replacement = "-";
	x.except_count = x.except_count ? x.except_count : 1;
	return x;
}

/* The output, with the number of findings behind it. */
static void scan(const struct filter_set *set, const char *text, size_t piece, char *out,
		 size_t room)
{
	struct filter_stream *f;
	struct cleared c;
	size_t n = 0;
	cr_assert_eq(filter_stream_open(&f, set, 0, NULL), 0);
	for (size_t at = 0; at < strlen(text); at += piece) {
		size_t len = strlen(text) - at < piece ? strlen(text) - at : piece;
		cr_assert_eq(filter_stream_push(f, text + at, len, &c, NULL), FILTER_OPEN);
		n += (size_t)snprintf(out + n, room - n, "%.*s", (int)c.len, c.bytes);
	}
	cr_assert_eq(filter_stream_end(f, &c, NULL), FILTER_COMPLETE);
	n += (size_t)snprintf(out + n, room - n, "%.*s", (int)c.len, c.bytes);
	snprintf(out + n, room - n, " #%zu", filter_stream_record(f)->findings);
	filter_stream_close(f);
}

Test(filters_except, value_is_left_alone_in_every_writing_and_every_cutting)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct filter_rule rule = complete(rows[i].rule);
		struct filter_set *set;
		struct err e = { 0 };
		char whole[500];
		cr_assert_eq(filter_set_build(&set, &rule, 1, &e), 0, "%s", e.text);
		scan(set, rows[i].text, strlen(rows[i].text), whole, sizeof whole);
		cr_expect_eq(strncmp(whole, rows[i].out, strlen(rows[i].out)), 0, "row %zu: %s", i,
			     whole);
		for (size_t piece = 1; piece < strlen(rows[i].text); piece++) {
			char cut[500];
			scan(set, rows[i].text, piece, cut, sizeof cut);
			cr_expect_str_eq(cut, whole, "row %zu in pieces of %zu", i, piece);
		}
		filter_set_free(set);
	}
}

/* What one rule leaves alone, another takes. */
Test(filters_except, other_rules_are_not_bound_by_it)
{
	struct filter_rule rule[2] = {
		{ .id = "a",
		  .action = FILTER_REDACT,
		  .replacement = "-",
		  .detector = "pan",
		  .except = cards,
		  .except_count = 1 },
		{ .id = "b", .action = FILTER_REDACT, .replacement = "+", .regex = "1111 1111" },
	};
	struct filter_set *set;
	char out[200];
	cr_assert_eq(filter_set_build(&set, rule, 2, NULL), 0);
	scan(set, CARD, 100, out, sizeof out);
	cr_expect_str_eq(out, "4111 + 1111 #1");
	filter_set_free(set);
}

Test(filters_except, what_leaves_nothing_is_refused)
{
	static const char *const empty[] = { " \t" }, *const all[] = { "RED", "green", "blue" };
	static const struct {
		struct filter_rule rule;
		const char *words;
	} wrong[] = {
		{ { .id = "r", .detector = "pan", .except = empty, .except_count = 1 },
		  "is empty" },
		{ { .id = "r",
		    .literal = words,
		    .literal_count = 3,
		    .fold = FILTER_FOLD_CASE,
		    .except = all,
		    .except_count = 3 },
		  "leaves none of its literals" },
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct filter_set *set;
		struct err e = { 0 };
		cr_expect_eq(filter_set_build(&set, &wrong[i].rule, 1, &e), ERR_INPUT);
		cr_expect(strstr(e.text, wrong[i].words), "%s", e.text);
	}
}
