/* What a policy changes of its packs' rules, and packs that extend packs. */
#include "policy/policy.h"
#include "policy/rules.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define HEAD(mode, packs) \
	"[policy]\nname = \"p\"\nversion = 1\nmode = \"" mode "\"\nextends = [" packs "]\n"
#define PACK(name, extends) "[policy]\nname = \"" name "\"\nversion = 1\nextends = [" extends "]\n"
#define RULE(id, match, action, hit, miss)                                                    \
	"[[rule]]\nid = \"" id "\"\nphase = [\"input\", \"output\"]\nmatch = { " match " }\n" \
	"action = \"" action "\"\ntests.hit = [\"" hit "\", \"a " hit "\", \"" hit ".\"]\n"   \
	"tests.miss = [\"" miss "\", \"a " miss "\", \"" miss ".\"]\n"
#define WORD(id, word) RULE(id, "literals = [\"" word "\"]", "redact", word, "nothing")
#define OVERRIDE(rule, body) "[[override]]\nrule = \"" rule "\"\nreason = \"as agreed\"\n" body

/* Packs beside the policy. */
static const struct {
	const char *name, *text;
} files[] = {
	{ "packs/low", PACK("packs/low", "") WORD("low/one", "one") WORD("low/two", "two")
			       RULE("low/card", "detector = \"pan\"", "mask", "4111 1111 1111 1111",
				    "nothing") },
	{ "packs/high", PACK("packs/high", "\"packs/low\"") WORD("high/three", "three")
				OVERRIDE("low/one", "action = \"flag\"\n")
					OVERRIDE("low/two", "action = \"flag\"\n") },
	{ "packs/top",
	  PACK("packs/top", "\"packs/high\"") OVERRIDE("low/two", "action = \"block\"\n") },
	{ "packs/self",
	  PACK("packs/self", "\"packs/self\", \"packs/other\"") WORD("self/x", "xxx") },
	{ "packs/other", PACK("packs/other", "\"packs/self\"") WORD("other/y", "yyy") },
	{ "packs/greedy", PACK("packs/greedy", "\"packs/low\"") OVERRIDE("*", "enabled = false\n")
				  WORD("greedy/z", "zzz") },
	{ "packs/wrong",
	  PACK("packs/wrong",
	       "\"packs/low\"") "[[override]]\nrule = \"low/none\"\nenabled = true\n" },
};

static int read_file(void *ctx, const char *name, struct buf *out, struct err *e)
{
	(void)ctx;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (strcmp(files[i].name, name) == 0) {
			buf_add_text(out, files[i].text);
			return buf_done(out, e);
		}
	return err_set(e, ERR_NOTFOUND, "no such file");
}
static const struct policy_packs packs = { .read = read_file };

static struct policy *parse(const char *text)
{
	struct policy *p;
	struct policy_problems problems;
	struct err e = { 0 };
	int rc = policy_parse(&p, text, strlen(text), &packs, &problems, &e);
	cr_assert(rc == 0, "%s", e.text);
	policy_problems_free(&problems);
	return p;
}

/* The policy as serving has it. */
static struct policy_profile *load(const char *text, struct buf *bundle)
{
	struct policy *p = parse(text);
	struct policy_profile *x;
	struct err e = { 0 };
	cr_assert(policy_compile(p, bundle, &e) == 0, "%s", e.text);
	cr_assert(policy_load(&x, bundle->bytes, bundle->len, &e) == 0, "%s", e.text);
	policy_free(p);
	return x;
}

static void through(const struct filter_set *set, const char *text, struct buf *out)
{
	struct filter_stream *f;
	struct cleared c;
	if (!set) {
		buf_add_text(out, text);
		return;
	}
	cr_assert(filter_stream_open(&f, set, 0, NULL) == 0);
	int end = filter_stream_push(f, text, strlen(text), &c, NULL);
	buf_add(out, c.bytes, c.len);
	if (end == FILTER_OPEN) {
		end = filter_stream_end(f, &c, NULL);
		buf_add(out, c.bytes, c.len);
	}
	if (end == FILTER_BLOCKED)
		buf_add_text(out, "|");
	filter_stream_close(f);
}

#define LOW HEAD("enforce", "\"packs/low\"")
#define SAID "one two three 4111 1111 1111 1111"

static const struct {
	const char *text;
	enum policy_phase phase;
	const char *out;
} acts[] = {
	{ LOW, POLICY_CONTENT, "[redacted] [redacted] three 4111 11** **** 1111" },
	{ LOW OVERRIDE("low/one", "enabled = false\n"), POLICY_CONTENT,
	  "one [redacted] three 4111 11** **** 1111" },
	{ LOW OVERRIDE("low/*", "enabled = false\n"), POLICY_CONTENT, SAID },
	{ LOW OVERRIDE("*", "enabled = false\n"), POLICY_CONTENT, SAID },
	{ LOW OVERRIDE("low/*", "enabled = false\n") OVERRIDE("low/card", "enabled = true\n"),
	  POLICY_CONTENT, "one two three 4111 11** **** 1111" },
	{ LOW OVERRIDE("low/t*", "replace = \"<2>\"\n"), POLICY_CONTENT,
	  "[redacted] <2> three 4111 11** **** 1111" },
	{ LOW OVERRIDE("low/two", "action = \"block\"\n"), POLICY_CONTENT, "[redacted] |" },
	{ LOW OVERRIDE("low/two", "action = \"flag\"\n")
		  OVERRIDE("low/two", "action = \"block\"\n"),
	  POLICY_CONTENT, "[redacted] |" },
	{ LOW OVERRIDE("low/card", "action = \"replace\"\nreplace = \"<card>\"\n"), POLICY_CONTENT,
	  "[redacted] [redacted] three <card>" },
	{ LOW OVERRIDE("low/one", "phase = [\"input\"]\n"), POLICY_CONTENT,
	  "one [redacted] three 4111 11** **** 1111" },
	{ LOW OVERRIDE("low/one", "phase = [\"input\"]\n"), POLICY_INPUT,
	  "[redacted] [redacted] three 4111 11** **** 1111" },
	{ LOW OVERRIDE("low/one", "phase = [\"tool_results\"]\n"), POLICY_TOOL_RESULTS,
	  "[redacted] two three 4111 1111 1111 1111" },
	{ LOW OVERRIDE("low/card", "context = \"always\"\n"), POLICY_CONTENT,
	  "[redacted] [redacted] three 4111 1111 1111 1111" },
	{ LOW OVERRIDE("low/*", "context = \"always\"\n"), POLICY_CONTENT,
	  "[redacted] [redacted] three 4111 1111 1111 1111" },
	/* A pack's overrides act first, the inner pack's before the outer one's; then the policy's. */
	{ HEAD("enforce", "\"packs/high\""), POLICY_CONTENT,
	  "one two [redacted] 4111 11** **** 1111" },
	{ HEAD("enforce", "\"packs/top\""), POLICY_CONTENT, "one |" },
	{ HEAD("enforce", "\"packs/low\", \"packs/top\""), POLICY_CONTENT, "one |" },
	{ HEAD("enforce", "\"packs/top\"") OVERRIDE("low/two", "action = \"redact\"\n"),
	  POLICY_CONTENT, "one [redacted] [redacted] 4111 11** **** 1111" },
	/* It reaches what it extends, and neither its own rules nor those of others. */
	{ HEAD("enforce", "\"packs/greedy\", \"packs/self\""), POLICY_CONTENT, SAID },
	{ HEAD("enforce", "\"packs/greedy\", \"packs/self\""), POLICY_CONTENT, SAID },
};

Test(policy_override, rules_are_what_the_overrides_make_of_them)
{
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		struct buf bundle = { 0 }, out = { 0 };
		struct policy_profile *x = load(acts[i].text, &bundle);
		through(x->set[acts[i].phase], SAID, &out);
		buf_add_byte(&out, 0);
		cr_expect_str_eq(out.bytes, acts[i].out, "row %zu: %s", i, out.bytes);
		policy_profile_free(x);
		buf_free(&bundle);
		buf_free(&out);
	}
}

Test(policy_override, a_pack_reaches_those_it_extends_at_any_remove_and_no_others)
{
	static const struct {
		const char *said, *out;
	} rows[] = { { "xxx", "[redacted]" },
		     { "yyy", "[redacted]" },
		     { "zzz", "[redacted]" },
		     { "one", "one" } };
	struct buf bundle = { 0 };
	struct policy_profile *x =
		load(HEAD("enforce", "\"packs/greedy\", \"packs/self\""), &bundle);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = { 0 };
		through(x->set[POLICY_CONTENT], rows[i].said, &out);
		buf_add_byte(&out, 0);
		cr_expect_str_eq(out.bytes, rows[i].out);
		buf_free(&out);
	}
	policy_profile_free(x);
	buf_free(&bundle);
}

static void expect_in(const struct buf *b, const char *text)
{
	cr_expect(strstr(b->bytes, text), "%s in %s", text, b->bytes);
}

Test(policy_override, bundle_names_packs_overrides_and_what_the_rules_have_become)
{
	struct buf plain = { 0 }, b = { 0 }, other = { 0 };
	struct policy_profile *x = load(HEAD("enforce", "\"packs/top\""), &plain), *y, *z;
	expect_in(&plain, "\"name\":\"packs/top\"},{\"digest\":");
	expect_in(&plain, "\"name\":\"packs/high\"},{\"digest\":");
	expect_in(&plain, "\"name\":\"packs/low\"}]");
	expect_in(&plain,
		  "\"overrides\":[{\"from\":\"packs/high\",\"reason\":\"as agreed\",\"rule\":"
		  "\"low/one\",\"set\":{\"action\":\"flag\"}},");
	y = load(HEAD("enforce", "\"packs/top\"") OVERRIDE(
			 "low/card",
			 "enabled = false\nphase = [\"output\"]\ndecode = [\"hex\"]\ncontext = "
			 "\"weak\"\n"),
		 &b);
	expect_in(&b,
		  "{\"reason\":\"as agreed\",\"rule\":\"low/card\",\"set\":{\"context\":\"weak\","
		  "\"decode\":[\"hex\"],\"enabled\":false,\"phase\":[\"content\",\"reasoning\","
		  "\"tool_arguments\"]}}],\"policy\"");
	expect_in(&b, "{\"action\":\"mask\",\"controls\":[],\"enabled\":false,\"id\":\"low/card\"");
	cr_expect(!digest_equal(&x->rules, &y->rules),
		  "a change of the rules is another rules_digest");
	cr_expect_eq(json_array_size(y->overrides), 4);
	z = load(
		HEAD("enforce",
		     "\"packs/top\"") "[[override]]\nrule = \"low/card\"\nreason = \"otherwise\"\n"
				      "enabled = false\nphase = [\"output\"]\ndecode = [\"hex\"]\n",
		&other);
	cr_expect(digest_equal(&z->rules, &y->rules), "another reason is the same rules");
	policy_profile_free(x);
	policy_profile_free(y);
	policy_profile_free(z);
	buf_free(&plain);
	buf_free(&b);
	buf_free(&other);
}

static const struct {
	const char *from, *to, *words;
} damages[] = {
	{ "\"enabled\":false,\"id\"", "\"enabled\":true,\"id\"", "enabled" },
	{ "\"overrides\":[", "\"overridden\":[", "overridden" },
	{ "\"set\":{\"enabled\":false}", "\"set\":{}", "set" },
	{ "\"set\":{\"enabled\":false}", "\"set\":{\"colour\":5}", "colour" },
	{ "\"rule\":\"low/one\"", "\"rule\":5", "rule" },
	{ "\"reason\":\"as agreed\"", "\"reason\":5", "reason" },
	{ "\"enabled\":false,\"id\"", "\"id\"", "rules_digest" },
};

Test(policy_override, bundle_with_other_overrides_is_refused)
{
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		struct buf b = { 0 }, other = { 0 };
		struct policy_profile *x = load(LOW OVERRIDE("low/one", "enabled = false\n"), &b),
				      *y;
		struct err e = { 0 };
		const char *at = strstr(b.bytes, damages[i].from);
		cr_assert(at, "row %zu", i);
		buf_add(&other, b.bytes, (size_t)(at - b.bytes));
		buf_add_text(&other, damages[i].to);
		buf_add_text(&other, at + strlen(damages[i].from));
		cr_expect_eq(policy_load(&y, other.bytes, other.len, &e), ERR_INPUT, "row %zu", i);
		cr_expect(strstr(e.text, damages[i].words), "row %zu: %s", i, e.text);
		policy_profile_free(x);
		buf_free(&b);
		buf_free(&other);
	}
}

static void count_tests(const char *text, uint64_t passed_wanted, size_t failed_wanted)
{
	struct policy *p = parse(text);
	uint64_t passed;
	json_t *failures;
	cr_assert(policy_test(p, &passed, &failures, NULL) == 0);
	cr_expect_eq(passed, passed_wanted, "%ju", (uintmax_t)passed);
	cr_expect_eq(json_array_size(failures), failed_wanted);
	json_decref(failures);
	policy_free(p);
}

/* low has three rules with six tests each. */
Test(policy_override, a_packs_tests_are_of_the_rule_as_the_pack_has_it)
{
	count_tests(LOW, 18, 0);
	count_tests(LOW OVERRIDE("low/*", "enabled = false\n"), 18, 0);
	count_tests(LOW OVERRIDE("low/one", "phase = [\"input\"]\n"), 18, 0);
	count_tests(
		LOW OVERRIDE("low/one",
			     "action = \"block\"\ntests.hit = [\"x one\"]\ntests.miss = [\"x\"]\n"),
		20, 0);
	count_tests(LOW OVERRIDE("low/one", "action = \"block\"\ntests.hit = [\"x\"]\n"), 18, 1);
}

Test(policy_override, what_finds_no_less_needs_no_reason)
{
	static const char *const rows[] = {
		"action = \"block\"\n",
		"replace = \"-\"\n",
		"enabled = true\n",
		"phase = [\"input\", \"output\", \"tool_results\"]\n",
		"action = \"redact\"\nphase = [\"input\", \"output\"]\n",
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[400];
		snprintf(text, sizeof text, LOW "[[override]]\nrule = \"low/one\"\n%s", rows[i]);
		policy_free(parse(text));
	}
}

static void refused(const char *text, int line, const char *words)
{
	struct policy *p;
	struct policy_problems problems;
	struct err e = { 0 };
	cr_assert_eq(policy_parse(&p, text, strlen(text), &packs, &problems, &e), ERR_INPUT);
	cr_expect_eq(problems.item[0].line, line);
	cr_expect(strstr(problems.item[0].text, words), "%s", problems.item[0].text);
	policy_problems_free(&problems);
}

Test(policy_override, mistakes_of_packs_stand_where_the_pack_is_named)
{
	refused(HEAD("shadow", "\n\"packs/wrong\""), 6,
		"packs/wrong line 6: override.rule: no rule of the packs has the id \"low/none\"; did you "
		"mean \"low/one\"?");
	refused(HEAD("shadow",
		     "\"packs/greedy\"") "[[override]]\nrule = \"greedy/y\"\nenabled = true\n",
		7, "did you mean \"greedy/z\"?");
}

Test(policy_override, one_of_a_pack_that_is_not_there_is_not_judged)
{
	struct policy *p;
	struct policy_problems problems;
	const char *text = HEAD("shadow", "\"packs/none\"") OVERRIDE("none/x", "enabled = false\n");
	cr_assert_eq(policy_parse(&p, text, strlen(text), &packs, &problems, NULL), ERR_INPUT);
	cr_expect_eq(problems.count, 1, "the pack is what is wrong");
	policy_problems_free(&problems);
}

/* The sentences of all that is wrong with a text, in the order of lines. */
static void wrong(const char *text, const char *const *words, size_t count)
{
	struct policy *p;
	struct policy_problems problems;
	cr_assert_eq(policy_parse(&p, text, strlen(text), &packs, &problems, NULL), ERR_INPUT);
	cr_expect_eq(problems.count, count, "%zu", problems.count);
	for (size_t i = 0; i < problems.count; i++)
		cr_expect(i < count && strstr(problems.item[i].text, words[i]), "%s",
			  problems.item[i].text);
	policy_problems_free(&problems);
}

Test(policy_override, what_a_rule_would_become_is_told_beside_other_mistakes)
{
	static const char *const each[] = { "reason is missing", "action replace needs replace",
					    "unknown key override.severity" };
	wrong(LOW "[[override]]\nrule = \"low/card\"\naction = \"flag\"\n"
		  OVERRIDE("low/card", "action = \"replace\"\n")
		  "[[override]]\nrule = \"low/one\"\nenabled = true\nseverity = \"low\"\n",
	      each, 3);
	static const char *const wordless[] = { "no words of its own", "reason is missing" };
	wrong(HEAD("shadow", "\"packs/pii-eu\"") OVERRIDE("pii-eu/email", "context = \"always\"\n")
		  "[[override]]\nrule = \"pii-eu/pan\"\nenabled = false\n",
	      wordless, 2);
}

Test(policy_override, packs_that_are_not_extended_are_told_and_no_others)
{
	static const char *const missing[] = { "write extends = [\"packs/pii-eu\"]" };
	wrong(LOW OVERRIDE("pii-eu/pan", "enabled = false\n"), missing, 1);
	static const char *const kind[] = { "policy.extends: expected an array" };
	wrong("[policy]\nname = \"p\"\nversion = 1\nmode = \"shadow\"\nextends = \"packs/pii-eu\"\n"
	      OVERRIDE("pii-eu/pan", "enabled = false\n"), kind, 1);
}

Test(policy_override, too_many_for_an_entry_of_the_log_are_refused)
{
	struct buf text = { 0 }, bundle = { 0 };
	struct err e = { 0 };
	buf_add_text(&text, LOW);
	for (int i = 0; i < 500; i++)
		buf_add_text(&text, OVERRIDE("low/one", "replace = \"------------\"\n"));
	buf_add_byte(&text, 0);
	struct policy *p = parse(text.bytes);
	cr_expect_eq(policy_compile(p, &bundle, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "the overrides have"), "%s", e.text);
	policy_free(p);
	buf_free(&text);
	buf_free(&bundle);
}

Test(policy_override, values_are_left_alone_where_a_rule_or_an_override_says_so)
{
	static const struct {
		const char *text, *said, *out;
	} rows[] = {
		{ LOW OVERRIDE("low/card", "except.literals = [\"4111 1111 1111 1111\"]\n"),
		  "4111-1111-1111-1111 5500 0000 0000 0004",
		  "4111-1111-1111-1111 5500 00** **** 0004" },
		{ LOW OVERRIDE("low/card", "except.literals = [\"4111 1111 1111 1111\"]\n")
			  OVERRIDE("low/card", "except.literals = [\"5500 0000 0000 0004\"]\n"),
		  "4111-1111-1111-1111 5500 0000 0000 0004",
		  "4111-1111-1111-1111 5500 0000 0000 0004" },
		{ "[policy]\nname = \"p\"\nversion = 1\nmode = \"shadow\"\n[[rule]]\nid = \"own\"\n"
		  "phase = [\"output\"]\nmatch = { literals = [\"red\", \"blue\"] }\naction = \"redact\"\n"
		  "except.literals = [\"RED\"]\n",
		  "red blue", "red [redacted]" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf bundle = { 0 }, out = { 0 };
		struct policy_profile *x = load(rows[i].text, &bundle);
		through(x->set[POLICY_CONTENT], rows[i].said, &out);
		buf_add_byte(&out, 0);
		cr_expect_str_eq(out.bytes, rows[i].out, "row %zu", i);
		expect_in(&bundle, "\"except\":[\"");
		policy_profile_free(x);
		buf_free(&bundle);
		buf_free(&out);
	}
}
