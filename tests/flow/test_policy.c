/* The policy verbs: check, test, compile, packs, scan. The language itself is tests/policy's; here are
 * files, what they extend, and reports. */
#include "support.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fixture at;

static void set_up(void) { fixture_make(&at); }
static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_policy, .init = set_up, .fini = tear_down, .timeout = 60);

#define RULE(id, phase, match, action)                                         \
	"[[rule]]\nid = \"" id "\"\nphase = [\"" phase "\"]\nmatch = { " match \
	" }\naction = \"" action "\"\n"
#define TESTED                                                        \
	"tests.hit = [\"aa@bb.com\", \"cc@dd.com\", \"ee@ff.com\"]\n" \
	"tests.miss = [\"x\", \"xx\", \"xxx\"]\n"
#define HEAD(mode) "[policy]\nname = \"p\"\nversion = 1\nmode = \"" mode "\"\n"
#define GOOD HEAD("enforce") RULE("mail", "output", "detector = \"email\"", "redact") TESTED

static const char *policy(const char *text)
{
	fixture_text(&at, "p.toml", text);
	return fixture_path(&at, "p.toml");
}

static json_t *check(const char *path)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_policy_check(path, &report, &e));
	return report;
}

/* ---- check ---- */

static const struct {
	const char *text;
	int line;
	const char *words;
} problems[] = {
	{ "", 1, "[policy]" },
	{ HEAD("enforced"), 4, "expected one of off, shadow" },
	{ HEAD("shadow") "colour = 1\n", 5, "unknown key policy.colour" },
	{ HEAD("shadow") "extends = [\"packs/none\"]\n", 5, "packs/none" },
	{ HEAD("shadow") "extends = [\"../secret\"]\n", 5, "expected packs/NAME" },
	{ HEAD("shadow") "extends = [\"/etc/passwd\"]\n", 5, "expected packs/NAME" },
	{ HEAD("enforce") RULE("mail", "output", "detector = \"email\"", "redact"), 5, "tests" },
	{ HEAD("shadow") RULE("r", "output", "regex = \"a*\"", "redact"), 8, "unbounded" },
};

Test(flow_policy, check_names_each_problem_with_its_line)
{
	json_t *report = check(policy(GOOD));
	cr_expect(truth_of(report, "ok"), "%s", text_of(item_of(report, "problems", 0), "text"));
	cr_expect_eq(count_of(report, "problems"), 0);
	json_decref(report);
	for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
		report = check(policy(problems[i].text));
		const json_t *p = item_of(report, "problems", 0);
		cr_expect(json_is_false(json_object_get(report, "ok")), "row %zu", i);
		cr_expect_eq(number_of(p, "line"), problems[i].line, "row %zu: %lld %s", i,
			     number_of(p, "line"), text_of(p, "text"));
		cr_expect_gt(number_of(p, "column"), 0, "row %zu", i);
		cr_expect(strstr(text_of(p, "text"), problems[i].words), "row %zu: %s", i,
			  text_of(p, "text"));
		json_decref(report);
	}
}

/* What compiles is what is checked: more overrides than an entry of the log can name. */
Test(flow_policy, check_tells_what_only_the_whole_shows)
{
	struct buf text = { 0 }, bundle = { 0 };
	struct err e = { 0 };
	buf_add_text(&text, HEAD("shadow") "extends = [\"packs/pii-eu\"]\n");
	for (int i = 0; i < 500; i++)
		buf_add_text(&text, "[[override]]\nrule = \"pii-eu/email\"\nreplace = "
				    "\"0123456789012345678901234567890123456789\"\n");
	buf_add_byte(&text, 0);
	const char *path = policy(text.bytes);
	json_t *report = check(path);
	cr_expect(json_is_false(json_object_get(report, "ok")));
	cr_expect(strstr(text_of(item_of(report, "problems", 0), "text"), "the overrides have"));
	json_decref(report);
	expect_says(ERR_INPUT, "the overrides have", flow_policy_compile(path, &bundle, &e));
	buf_free(&text);
	buf_free(&bundle);
}

static const struct {
	const char *phase, *uncovered;
} uncovered[] = {
	{ "output", "[\"input\",\"tool_results\",\"metadata\"]" },
	{ "content", "[\"input\",\"reasoning\",\"tool_arguments\",\"tool_results\",\"metadata\"]" },
	{ "input", "[\"content\",\"reasoning\",\"tool_arguments\",\"tool_results\"]" },
	{ "input\", \"output\", \"tool_results", "[]" },
};

Test(flow_policy, check_says_which_parts_no_rule_looks_at)
{
	for (size_t i = 0; i < sizeof uncovered / sizeof *uncovered; i++) {
		char text[900];
		snprintf(
			text, sizeof text,
			HEAD("enforce") "[[rule]]\nid = \"mail\"\nphase = [\"%s\"]\n"
					"match = { detector = \"email\" }\naction = \"redact\"\n" TESTED,
			uncovered[i].phase);
		json_t *report = check(policy(text));
		cr_expect(truth_of(report, "ok"), "a remark is no problem");
		const json_t *list = json_object_get(report, "uncovered");
		char *found = json_dumps(list, JSON_COMPACT);
		cr_expect_str_eq(found, uncovered[i].uncovered, "%s", uncovered[i].phase);
		cr_expect_eq(count_of(report, "remarks"), json_array_size(list));
		for (size_t k = 0; k < json_array_size(list); k++) {
			char words[80];
			const char *name = json_string_value(json_array_get(list, k));
			snprintf(words, sizeof words, "no rule looks at %s (", name);
			cr_expect(strstr(json_string_value(item_of(report, "remarks", k)), words));
			cr_expect_eq(number_of(json_object_get(report, "rules"), name), 0);
		}
		free(found);
		json_decref(report);
	}
	json_t *report = check(policy(HEAD("enforced")));
	cr_expect_null(json_object_get(report, "uncovered"),
		       "nothing is said of what is no policy");
	json_decref(report);
}

Test(flow_policy, check_goes_on_after_the_first_problem)
{
	json_t *report = check(policy(HEAD("enforced") "colour = 1\n[extra]\n"));
	cr_expect_eq(count_of(report, "problems"), 3);
	cr_expect_eq(number_of(item_of(report, "problems", 1), "line"), 5);
	cr_expect_eq(number_of(item_of(report, "problems", 2), "line"), 6);
	json_decref(report);
}

Test(flow_policy, a_file_that_cannot_be_read_is_an_error_not_a_problem)
{
	json_t *report;
	struct buf bundle = { 0 };
	struct flow_scanner *s;
	struct err e = { 0 };
	const char *none = fixture_path(&at, "none.toml");
	expect_says(ERR_NOTFOUND, "none.toml", flow_policy_check(none, &report, &e));
	expect(ERR_NOTFOUND, flow_policy_test(none, &report, &e));
	expect(ERR_NOTFOUND, flow_policy_compile(none, &bundle, &e));
	expect(ERR_NOTFOUND, flow_scanner_open(&s, none, &e));
	cr_expect_null(s);
}

Test(flow_policy, what_is_no_policy_is_refused_by_all_verbs_with_the_first_line)
{
	json_t *report;
	struct buf bundle = { 0 };
	struct flow_scanner *s;
	struct err e = { 0 };
	const char *path = policy(HEAD("enforced") "colour = 1\n");
	expect_says(ERR_INPUT, "p.toml line 4: ", flow_policy_test(path, &report, &e));
	expect_says(ERR_INPUT, "(and more: see `hallmark policy check`)",
		    flow_policy_compile(path, &bundle, &e));
	expect_says(ERR_INPUT, "line 4", flow_scanner_open(&s, path, &e));
	cr_expect_null(s);
	cr_expect_eq(bundle.len, 0);
	expect_says(ERR_INPUT, "line 4",
		    flow_policy_compile(policy(HEAD("enforced")), &bundle, &e));
	cr_expect_null(strstr(e.text, "and more"));
	buf_free(&bundle);
}

/* ---- what a policy extends ---- */

#define PACK(name) "[policy]\nname = \"" name "\"\nversion = 1\n"

Test(flow_policy, a_pack_is_found_beside_the_file_that_names_it)
{
	char here[LIMIT_PATH_BYTES];
	json_t *report;
	struct err e = { 0 };
	fixture_text(&at, "sub/packs/own.toml",
		     PACK("own") RULE("own-mail", "output", "detector = \"email\"", "redact")
			     TESTED);
	fixture_text(&at, "sub/p.toml", HEAD("enforce") "extends = [\"packs/own\"]\n");
	report = check(fixture_path(&at, "sub/p.toml"));
	cr_expect(truth_of(report, "ok"), "%s", text_of(item_of(report, "problems", 0), "text"));
	json_decref(report);
	expect(0, flow_policy_test(fixture_path(&at, "sub/p.toml"), &report, &e));
	cr_expect_gt(number_of(report, "passed"), 0, "the pack's rules are tested too");
	json_decref(report);

	cr_assert_not_null(getcwd(here, sizeof here));
	cr_assert_eq(chdir(fixture_path(&at, "sub")), 0);
	report = check("p.toml"); /* without a folder in its name: beside means here */
	cr_expect(truth_of(report, "ok"), "%s", text_of(item_of(report, "problems", 0), "text"));
	json_decref(report);
	cr_assert_eq(chdir(here), 0);
}

Test(flow_policy, a_mistake_in_a_pack_is_named_by_pack_and_line)
{
	fixture_text(&at, "packs/own.toml", PACK("own") "colour = 1\n");
	json_t *report = check(policy(HEAD("shadow") "extends = [\"packs/own\"]\n"));
	const json_t *p = item_of(report, "problems", 0);
	cr_expect_eq(number_of(p, "line"), 5, "where it is named");
	cr_expect(strstr(text_of(p, "text"), "packs/own line 4: unknown key"), "%s",
		  text_of(p, "text"));
	json_decref(report);
}

Test(flow_policy, packs_come_with_the_program_and_can_be_extended)
{
	json_t *packs, *report;
	struct err e = { 0 };
	expect(0, flow_policy_packs(NULL, &packs, &e));
	cr_expect_gt(count_of(packs, "packs"), 1);
	for (size_t i = 0; i < count_of(packs, "packs"); i++) {
		char text[300];
		const json_t *pack = item_of(packs, "packs", i);
		const char *name = text_of(pack, "name");
		cr_expect_geq(number_of(pack, "version"), 1);
		snprintf(text, sizeof text, HEAD("enforce") "extends = [\"%s\"]\n", name);
		expect(0, flow_policy_test(policy(text), &report, &e));
		cr_expect(truth_of(report, "ok"), "%s", name);
		cr_expect_gt(number_of(report, "passed"), 100, "%s", name);
		json_decref(report);
		/* By its whole name and by its last part. */
		for (int part = 0; part < 2; part++) {
			expect(0, flow_policy_packs(part ? name + strlen("packs/") : name, &report,
						    &e));
			cr_expect_eq((long long)count_of(report, "rules"),
				     number_of(pack, "rules"));
			for (size_t k = 0; k < count_of(report, "rules"); k++) {
				const json_t *rule = item_of(report, "rules", k);
				cr_expect(*text_of(rule, "id") && *text_of(rule, "action"));
				cr_expect_gt(count_of(rule, "phase"), 0);
				cr_expect(json_is_string(json_object_get(rule, "description")));
			}
			json_decref(report);
		}
	}
	json_decref(packs);
	expect_says(ERR_NOTFOUND, "no built-in pack \"none\"",
		    flow_policy_packs("none", &report, &e));
	expect_says(ERR_NOTFOUND, "no built-in pack \"gdpr\"",
		    flow_policy_packs("gdpr", &report, &e));
}

Test(flow_policy, detectors_say_what_they_find_and_by_which_rule)
{
	json_t *all, *one;
	struct err e = { 0 };
	expect(0, flow_policy_detectors(NULL, &all, &e));
	cr_expect_gt(count_of(all, "detectors"), 40);
	const char *before = "";
	for (size_t i = 0; i < count_of(all, "detectors"); i++) {
		const json_t *d = item_of(all, "detectors", i);
		const char *name = text_of(d, "name");
		cr_expect_lt(strcmp(before, name), 0, "%s before %s", before, name);
		cr_expect_geq(number_of(d, "version"), 1, "%s", name);
		cr_expect(*text_of(d, "check") && *text_of(d, "context"), "%s", name);
		before = name;
	}
	expect(0, flow_policy_detectors("email", &one, &e));
	cr_assert_eq(count_of(one, "detectors"), 1);
	cr_expect_str_eq(text_of(item_of(one, "detectors", 0), "what"), "e-mail address");
	json_decref(one);
	json_decref(all);
	expect_says(ERR_NOTFOUND, "there is no detector \"creditcard\"; did you mean \"pan\"?",
		    flow_policy_detectors("creditcard", &one, &e));
}

Test(flow_policy, check_names_what_the_policy_changes_of_its_packs)
{
	json_t *report =
		check(policy(HEAD("enforce") "extends = [\"packs/pii-eu\"]\n"
					     "[[override]]\nrule = \"pii-eu/email\"\n"
					     "action = \"flag\"\nreason = \"a public list\"\n"));
	cr_expect(truth_of(report, "ok"));
	cr_assert_eq(count_of(report, "overrides"), 1);
	const json_t *o = item_of(report, "overrides", 0);
	cr_expect_eq(number_of(o, "line"), 6);
	cr_expect_str_eq(text_of(o, "rule"), "pii-eu/email");
	cr_expect_str_eq(text_of(o, "reason"), "a public list");
	cr_expect_str_eq(text_of(json_object_get(o, "set"), "action"), "flag");
	json_decref(report);
}

/* ---- test ---- */

Test(flow_policy, test_counts_what_passed_and_names_what_failed)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_policy_test(policy(GOOD), &report, &e));
	cr_expect(truth_of(report, "ok"));
	long long passed = number_of(report, "passed");
	cr_expect_geq(passed, 6);
	json_decref(report);
	expect(0,
	       flow_policy_test(
		       policy(HEAD("enforce") RULE(
			       "mail", "output", "detector = \"email\"",
			       "redact") "tests.hit = [\"aa@bb.com\", \"no address\", \"c@dd.com\"]\n"
					 "tests.miss = [\"x\", \"xx\", \"xxx\"]\n"),
		       &report, &e));
	cr_expect(json_is_false(json_object_get(report, "ok")));
	cr_expect_lt(number_of(report, "passed"), passed);
	cr_expect_gt(count_of(report, "failures"), 0);
	const json_t *failure = item_of(report, "failures", 0);
	cr_expect_str_eq(text_of(failure, "rule"), "mail");
	json_decref(report);
}

/* ---- compile ---- */

static struct buf compile(const char *path)
{
	struct buf bundle = { 0 };
	struct err e = { 0 };
	expect(0, flow_policy_compile(path, &bundle, &e));
	return bundle;
}

Test(flow_policy, equal_policies_compile_to_equal_bytes)
{
	struct buf one = compile(policy(GOOD)), two = compile(policy(GOOD)),
		   other = compile(policy(HEAD("shadow")));
	cr_expect(strncmp(one.bytes, "HMPOLICY1\n{", 11) == 0);
	cr_expect(one.len == two.len && memcmp(one.bytes, two.bytes, one.len) == 0);
	cr_expect(one.len != other.len || memcmp(one.bytes, other.bytes, one.len) != 0);
	buf_free(&one);
	buf_free(&two);
	buf_free(&other);
}

/* ---- words in a file ---- */

#define WORDS(match)   \
	HEAD("shadow") \
	"[[rule]]\nid = \"w\"\nphase = [\"output\"]\nmatch = { " match " }\naction = \"redact\"\n"

Test(flow_policy, words_of_a_file_beside_the_policy_are_in_the_bundle_with_its_digest)
{
	static const char list[] = "# names of projects\n\n  Larkspur \r\nGrey Heron\n# end\nWren";
	char digest[DIGEST_TEXT_ROOM];
	struct digest d = digest_of(list, sizeof list - 1);
	digest_text(&d, digest);
	fixture_text(&at, "lists/words.txt", list);
	struct buf b =
		compile(policy(WORDS("literals_file = \"lists/words.txt\", fold = \"strict\"")));
	cr_expect(strstr(b.bytes, "\"literals\":[\"Larkspur\",\"Grey Heron\",\"Wren\"]"), "%s",
		  b.bytes);
	cr_expect(strstr(b.bytes, digest) && strstr(b.bytes, "\"name\":\"lists/words.txt\""), "%s",
		  b.bytes);
	fixture_write(&at, "p.bundle", b.bytes, b.len);
	struct flow_scanner *s;
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_scanner_open(&s, fixture_path(&at, "p.bundle"), &e));
	expect(0, flow_scanner_scan(s, "the g-r-e-y heron", 17, NULL, 0, &report, &e));
	cr_expect_eq(number_of(item_of(report, "findings", 0), "start"), 4);
	json_decref(report);
	flow_scanner_close(s);
	buf_free(&b);
}

Test(flow_policy, a_packs_words_lie_in_the_packs_folder)
{
	fixture_text(&at, "packs/own.txt", "heron\n");
	fixture_text(&at, "packs/own.toml",
		     PACK("own") "[[rule]]\nid = \"own/w\"\nphase = [\"output\"]\n"
				 "match = { literals_file = \"own.txt\" }\naction = \"flag\"\n");
	struct buf b = compile(policy(HEAD("shadow") "extends = [\"packs/own\"]\n"));
	cr_expect(strstr(b.bytes, "\"literals\":[\"heron\"]"), "%s", b.bytes);
	buf_free(&b);
}

static const struct {
	const char *match, *file, *words;
} wrong_words[] = {
	{ "literals_file = \"none.txt\"", "x\n", "none.txt" },
	{ "literals_file = \"../w.txt\"", "x\n", "expected a file in this folder or below it" },
	{ "literals_file = \"/etc/passwd\"", "x\n", "expected a file in this folder or below it" },
	{ "literals_file = \"\"", "x\n", "expected a file in this folder or below it" },
	{ "literals_file = 5", "x\n", "expected a string, found the integer 5" },
	{ "literals_file = \"w.txt\"", "# nothing\n\n", "has no words; write one a line" },
	{ "literals_file = \"w.txt\"", "x\n\xff\n", "w.txt line 2: expected UTF-8 text" },
	{ "literals_file = \"w.txt\", fold = \"strict\"", "x\n...\n",
	  "line 2: \"...\" is empty after folding" },
	{ "literals_file = \"w.txt\", literals = [\"y\"]", "x\n",
	  "found literals and literals_file" },
	{ "literals_file = \"w.txt\", detector = \"pan\"", "x\n",
	  "found literals_file and detector" },
	{ "literals_file = \"w.txt\", repeat_max = 3", "x\n", "match.repeat_max: only with regex" },
};

Test(flow_policy, words_of_a_file_that_cannot_be_are_told)
{
	for (size_t i = 0; i < sizeof wrong_words / sizeof *wrong_words; i++) {
		char text[500];
		snprintf(text, sizeof text, WORDS("%s"), wrong_words[i].match);
		fixture_text(&at, "w.txt", wrong_words[i].file);
		json_t *report = check(policy(text));
		const json_t *p = item_of(report, "problems", 0);
		cr_expect_eq(count_of(report, "problems"), 1, "row %zu", i);
		cr_expect_eq(number_of(p, "line"), 8, "row %zu", i);
		cr_expect(strstr(text_of(p, "text"), wrong_words[i].words), "row %zu: %s", i,
			  text_of(p, "text"));
		json_decref(report);
	}
}

/* ---- scan ---- */

static json_t *scan(const char *path, const char *text, const uint32_t *pieces, size_t count)
{
	struct flow_scanner *s;
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_scanner_open(&s, path, &e));
	expect(0, flow_scanner_scan(s, text, strlen(text), pieces, count, &report, &e));
	flow_scanner_close(s);
	return report;
}

static const struct {
	const char *mode, *phase, *action, *text, *out, *strongest;
	size_t findings;
} scans[] = {
	{ "enforce", "output", "redact", "to aa@bb.com.", "to [redacted].", "redact", 1 },
	{ "enforce", "output", "redact", "to aa@bb.com and cc@dd.com",
	  "to [redacted] and [redacted]", "redact", 2 },
	{ "enforce", "output", "flag", "to aa@bb.com.", "to aa@bb.com.", "flag", 1 },
	{ "enforce", "output", "block", "to aa@bb.com.", "to ", "block", 1 },
	{ "enforce", "output", "redact", "nothing here", "nothing here", "none", 0 },
	{ "enforce", "output", "redact", "", "", "none", 0 },
	{ "shadow", "output", "redact", "to aa@bb.com.", "to aa@bb.com.", "redact", 1 },
	{ "enforce", "input", "redact", "to aa@bb.com.", "to aa@bb.com.", "none", 0 },
};

Test(flow_policy, scan_gives_action_findings_and_what_would_go_out)
{
	for (size_t i = 0; i < sizeof scans / sizeof *scans; i++) {
		char text[900];
		snprintf(
			text, sizeof text,
			"[policy]\nname = \"p\"\nversion = 1\nmode = \"%s\"\n[[rule]]\nid = \"mail\"\n"
			"phase = [\"%s\"]\nmatch = { detector = \"email\" }\naction = \"%s\"\n" TESTED,
			scans[i].mode, scans[i].phase, scans[i].action);
		json_t *report = scan(policy(text), scans[i].text, NULL, 0);
		cr_expect_str_eq(text_of(report, "output"), scans[i].out, "row %zu: %s", i,
				 text_of(report, "output"));
		cr_expect_str_eq(text_of(report, "action"), scans[i].strongest, "row %zu: %s", i,
				 text_of(report, "action"));
		cr_expect_eq(count_of(report, "findings"), scans[i].findings, "row %zu", i);
		json_decref(report);
	}
}

Test(flow_policy, a_finding_tells_rule_detector_and_place)
{
	json_t *report = scan(policy(GOOD), "to aa@bb.com.", NULL, 0);
	const json_t *finding = item_of(report, "findings", 0);
	cr_expect_str_eq(text_of(finding, "rule"), "mail");
	cr_expect_str_eq(text_of(finding, "detector"), "email");
	cr_expect_eq(number_of(finding, "start"), 3);
	cr_expect_eq(number_of(finding, "end"), 12);
	cr_expect_str_eq(text_of(finding, "action"), "redact");
	json_decref(report);
}

Test(flow_policy, the_strongest_action_of_several_is_told)
{
	json_t *report =
		scan(policy(HEAD("shadow") RULE("a", "output", "literals = [\"one\"]", "block")
				    RULE("b", "output", "literals = [\"two\"]", "flag")),
		     "one two", NULL, 0);
	cr_expect_eq(count_of(report, "findings"), 2);
	cr_expect_str_eq(text_of(report, "action"), "block");
	json_decref(report);
}

Test(flow_policy, a_text_in_pieces_is_scanned_as_the_whole)
{
	static const uint32_t ones[] = { 1 }, mixed[] = { 3, 1, 4 }, large[] = { 1000 };
	static const struct {
		const uint32_t *pieces;
		size_t count;
	} rows[] = { { ones, 1 }, { mixed, 3 }, { large, 1 } };
	const char *text = "write to aa@bb.com, then to cc@dd.com; not to me";
	json_t *whole = scan(policy(GOOD), text, NULL, 0);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *cut =
			scan(fixture_path(&at, "p.toml"), text, rows[i].pieces, rows[i].count);
		cr_expect_str_eq(text_of(cut, "output"), text_of(whole, "output"), "row %zu", i);
		cr_expect(json_equal(json_object_get(cut, "findings"),
				     json_object_get(whole, "findings")),
			  "row %zu", i);
		json_decref(cut);
	}
	json_decref(whole);
}

/* What compiles is also taken: a bundle may be longer than any text. */
Test(flow_policy, a_bundle_longer_than_a_text_may_be_is_taken)
{
	struct buf text = { 0 };
	struct flow_scanner *s;
	struct err e = { 0 };
	buf_add_text(&text, HEAD("shadow") RULE("mail", "output", "detector = \"email\"", "redact")
				    "controls = ['");
	while (text.len < 12u << 20)
		buf_add_byte(&text, '"'); /* two bytes in JSON */
	buf_add_text(&text, "']\n");
	struct buf bundle = compile(policy(text.bytes));
	cr_assert_gt(bundle.len, LIMIT_TOML_BYTES);
	fixture_write(&at, "p.bundle", bundle.bytes, bundle.len);
	expect(0, flow_scanner_open(&s, fixture_path(&at, "p.bundle"), &e));
	flow_scanner_close(s);
	buf_free(&text);
	buf_free(&bundle);
}

Test(flow_policy, a_scanner_is_used_again_and_takes_a_bundle_too)
{
	struct buf bundle = compile(policy(GOOD));
	struct flow_scanner *s;
	struct err e = { 0 };
	fixture_write(&at, "p.bundle", bundle.bytes, bundle.len);
	expect(0, flow_scanner_open(&s, fixture_path(&at, "p.bundle"), &e));
	for (int i = 0; i < 3; i++) {
		json_t *report;
		expect(0, flow_scanner_scan(s, "aa@bb.com", 9, NULL, 0, &report, &e));
		cr_expect_str_eq(text_of(report, "output"), "[redacted]");
		cr_expect_eq(count_of(report, "findings"), 1,
			     "one text's findings are not the next one's");
		json_decref(report);
	}
	flow_scanner_close(s);
	fixture_write(&at, "p.bundle", bundle.bytes, bundle.len - 3);
	expect(ERR_INPUT, flow_scanner_open(&s, fixture_path(&at, "p.bundle"), &e));
	flow_scanner_close(NULL);
	buf_free(&bundle);
}
