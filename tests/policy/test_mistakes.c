/* What is wrong with a policy: every kind of mistake, at its line, with what to write instead. */
#include "base/file.h"
#include "policy/policy.h"

#include <criterion/criterion.h>
#include <string.h>

#define HEAD "[policy]\nname = \"p\"\nversion = 1\nmode = \"shadow\"\n"
#define RULE(body) HEAD "[[rule]]\nid = \"r\"\nphase = [\"output\"]\n" body
#define GOOD RULE("match = { detector = \"pan\" }\naction = \"mask\"\n")

struct wrong {
	const char *text;
	int line;
	const char *why;
};

static const struct wrong wrongs[] = {
	{ "", 1, "expected a table [policy]" },
	{ "[policy\n", 1, "expected" },
	{ "a = 1\na = 2\n", 2, "" },
	{ "[policy]\nname = \"p\"\nversion = 1\nmode = \"enforced\"\n", 4,
	  "policy.mode: expected one of off, shadow, enforce; found \"enforced\"; did you mean "
	  "\"enforce\"?" },
	{ "[policy]\nname = \"p\"\nversion = 1\n", 1, "policy.mode is missing" },
	{ "[policy]\nname = 5\nversion = 1\nmode = \"off\"\n", 2,
	  "policy.name: expected a string, found the integer 5; write \"5\"" },
	{ "[policy]\nversion = 1\nmode = \"off\"\n", 1, "policy.name is missing" },
	{ "[policy]\nname = \"p\"\nversion = 0\nmode = \"off\"\n", 3,
	  "policy.version: expected 1 to" },
	{ "[policy]\nname = \"p\"\nversion = 1.0\nmode = \"off\"\n", 3, "found a float" },
	{ "[policy]\nname = \"p\"\nversion = 1\nmode = \"canary\"\n", 4,
	  "not available in this version: policy.mode \"canary\"" },
	{ HEAD "canary_percent = 5\n", 5, "not available in this version: policy.canary_percent" },
	{ HEAD "colour = 5\n", 5, "unknown key policy.colour" },
	{ HEAD "fail = \"open\"\n", 5, "unknown key policy.fail" },
	{ HEAD "retention_days = 0\n", 5, "policy.retention_days: expected 1 to 36500" },
	{ HEAD "[retention]\ncontent = \"some\"\n", 6, "expected one of full, cleaned, none" },
	{ HEAD "[retention]\ncontent = 5\n", 6, "retention.content: expected a string" },
	{ HEAD "[retention]\n\ndays = 5\n", 7, "unknown key retention.days" },
	{ HEAD "[[retention]]\n", 5, "retention: expected a table" },
	{ HEAD "extends = [\"packs/nope\"]\n", 5, "there is no pack \"packs/nope\"" },
	{ HEAD "extends = [\n  \"packs/pii-eu\",\n  \"packs/pci-dss\"]\n", 7,
	  "not available in this version: packs/pci-dss" },
	{ HEAD "extends = [\"packs/pii-eu\", \"packs/pii-eu\"]\n", 5, "twice" },
	{ HEAD "[watermark]\n", 5, "not available in this version: watermark" },
	{ HEAD "[label]\n", 5, "not available in this version: label" },
	{ HEAD "[rules]\n", 5, "unknown key rules" },
	{ HEAD "[rule]\nid = \"x\"\n", 5, "expected [[rule]]" },
	{ HEAD
	  "[[rule]]\nphase = [\"output\"]\nmatch = { detector = \"pan\" }\naction = \"mask\"\n",
	  5, "rule.id is missing" },
	{ HEAD
	  "[[rule]]\nid = \"a b\"\nphase = [\"output\"]\nmatch = { detector = \"pan\" }\naction = "
	  "\"mask\"\n",
	  6, "rule.id" },
	{ HEAD "[[rule]]\nid = \"a\"\nmatch = { detector = \"pan\" }\naction = \"mask\"\n", 5,
	  "at least one phase" },
	{ HEAD
	  "[[rule]]\nid = \"a\"\nphase = [\"outputs\"]\nmatch = { detector = \"pan\" }\naction = \"mask\"\n",
	  7, "rule.phase" },
	{ HEAD "[[rule]]\nid = \"a\"\nphase = [\"input\", \"input\"]\nmatch = { detector = \"pan\" "
	       "}\naction = \"mask\"\n",
	  7, "twice" },
	{ RULE("match = { detector = \"pan\" }\n"), 5, "rule.action is missing" },
	{ RULE("match = { detector = \"pan\" }\naction = \"explode\"\n"), 9,
	  "rule.action: expected one of" },
	{ RULE("match = { detector = \"pan\" }\naction = \"queue\"\n"), 9,
	  "not available in this version: rule.action \"queue\"" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nreplace = \"x\"\n"), 10,
	  "only with action redact" },
	{ RULE("match = { detector = \"pan\" }\naction = \"replace\"\n"), 9,
	  "rule.replace is missing" },
	{ RULE("match = { detector = \"pam\" }\naction = \"mask\"\n"), 8,
	  "there is no detector \"pam\"" },
	{ RULE("match = { detector = \"pan\", regex = \"a\" }\naction = \"mask\"\n"), 8,
	  "exactly one of" },
	{ RULE("match = { }\naction = \"mask\"\n"), 8, "exactly one of" },
	{ RULE("action = \"mask\"\n"), 5, "rule.match is missing; expected a table" },
	{ RULE("match = { regex = \"a*\" }\naction = \"mask\"\n"), 8, "unbounded repeat" },
	{ RULE("match = { regex = \"a{2000}\" }\naction = \"mask\"\n"), 8, "2000 code points" },
	{ RULE("match = { regex = \"(a\" }\naction = \"mask\"\n"), 8, ") is missing" },
	{ RULE("match = { regex = \"a+\", repeat_max = 9000 }\naction = \"mask\"\n"), 8,
	  "match.repeat_max" },
	{ RULE("match = { literals = [] }\naction = \"mask\"\n"), 8, "at least one" },
	{ RULE("match = { literals = [\"...\"], fold = \"strict\" }\naction = \"mask\"\n"), 8,
	  "empty after folding" },
	{ RULE("match = { literals = [\"a\"], fold = \"leet\" }\naction = \"mask\"\n"), 8,
	  "not available in this version: match.fold \"leet\"" },
	{ RULE("match = { literals = [\"a\"], fold = \"loose\" }\naction = \"mask\"\n"), 8,
	  "match.fold: expected one of none, case, strict" },
	{ RULE("match = { literals = [\"a\"], gap_max = 2 }\naction = \"mask\"\n"), 8,
	  "only with fold" },
	{ RULE("match = { literals = [1] }\naction = \"mask\"\n"), 8,
	  "expected a string, found the integer 1; write \"1\"" },
	{ RULE("match = { literals = [\"a\\u0000b\"] }\naction = \"mask\"\n"), 8, "U+0000" },
	{ RULE("match = { detector = \"pan\", context = \"strong\" }\naction = \"mask\"\n"), 8,
	  "match.context: expected one of weak, always, alone" },
	{ RULE("match = { detector = \"email\", context = \"always\" }\naction = \"mask\"\n"), 8,
	  "match.context: expected weak or alone, found \"always\": email has no words" },
	{ RULE("match = { regex = \"a\", context = \"weak\" }\naction = \"mask\"\n"), 8,
	  "match.context: only with detector" },
	{ RULE("match = { detector = \"pan\", decode = \"hex\" }\naction = \"mask\"\n"), 8,
	  "match.decode: expected an array" },
	{ RULE("match = { detector = \"pan\", decode = [\n\"hex\", \"hax\"] }\naction = \"mask\"\n"),
	  9, "match.decode: expected one of percent, entity" },
	{ RULE("match = { detector = \"pan\", decode = [\"hex\",\n\"hex\"] }\naction = \"mask\"\n"),
	  9, "match.decode: \"hex\" is named twice; leave one out" },
	{ RULE("match = { classifier = { url = \"x\" } }\naction = \"mask\"\n"), 8,
	  "not available in this version: match.classifier" },
	{ RULE("match = { tokens = [\"x\"] }\naction = \"mask\"\n"), 8,
	  "not available in this version: match.tokens" },
	{ RULE("match = { any = [] }\naction = \"mask\"\n"), 8,
	  "not available in this version: match.any" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nwhen = \"true\"\n"), 10,
	  "not available in this version: rule.when" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nseverity = \"dire\"\n"), 10,
	  "rule.severity" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\ntests.hit = \"x\"\n"), 10,
	  "tests.hit: expected an array" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\ntests.file = \"x\"\n"), 10,
	  "not available in this version: tests.file" },
	/* TOML: each mistake is one problem, and what stands around it is judged. */
	{ HEAD "extends = [\"packs/pii-eu\"\n[[rule]]\n", 6,
	  "expected ',' or ']' in the array that begins at line 5" },
	{ "[policy]\nname: \"p\"\nversion = 1\nmode = \"off\"\n", 2, "expected '=' after the key" },
	{ "[policy]\nname = p\nversion = 1\nmode = \"off\"\n", 2,
	  "expected a value; a text stands in quotes: \"p\"" },
	{ HEAD "[[rule]\nid = \"r\"\n", 5, "expected ']]' after the table's name" },
	{ RULE("match = { regex = \"\\d\" }\naction = \"flag\"\n"), 8, "unknown escape in string" },
	{ RULE("match = { detector = \"pan\",\n }\naction = \"flag\"\n"), 8,
	  "an inline table stands on one line" },
	{ HEAD "[policy]\n", 5, "\"policy\" is defined already at line 1" },
	{ "[[policy]]\nname = \"p\"\n", 1, "policy: expected a table, found an array; write" },
	/* Keys: misspelt, of another table, of nobody. */
	{ HEAD "nam = \"p\"\n", 5, "unknown key policy.nam; did you mean name?" },
	{ HEAD "literals = [\"x\"]\n", 5,
	  "unknown key policy.literals: literals belongs in match" },
	{ HEAD "phase = [\"input\"]\n", 5, "unknown key policy.phase: phase belongs in [[rule]]" },
	{ HEAD "content = \"full\"\n", 5,
	  "unknown key policy.content: content belongs in [retention]" },
	{ HEAD "xyzzy = 1\n", 5,
	  "expected one of name, version, mode, extends, retention_days, jurisdiction" },
	{ HEAD "[retentoin]\n", 5, "unknown key retentoin; did you mean [retention]?" },
	{ HEAD "[[overrides]]\n", 5, "unknown key overrides; did you mean [[override]]?" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nfold = \"case\"\n"), 10,
	  "unknown key rule.fold: fold belongs in match = { ... }" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nname = \"x\"\n"), 10,
	  "unknown key rule.name; did you mean id?" },
	{ RULE("match = { pattern = \"a\" }\naction = \"mask\"\n"), 8,
	  "unknown key match.pattern; did you mean regex?" },
	{ RULE("match = { literal = \"a\" }\naction = \"mask\"\n"), 8,
	  "unknown key match.literal; did you mean literals?" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\ntests.hits = []\n"), 10,
	  "unknown key tests.hits; did you mean hit?" },
	/* Kinds of values. */
	{ HEAD "retention_days = \"30\"\n", 5,
	  "found the string \"30\"; write 30, without quotes" },
	{ HEAD "retention_days = \"x\"\n", 5, "write a whole number without quotes" },
	{ HEAD "retention_days = 1.5\n", 5, "expected an integer, found a float" },
	{ HEAD "jurisdiction = \"EU\"\n", 5, "found the string \"EU\"; write [\"EU\"]" },
	{ HEAD "jurisdiction = [1]\n", 5, "policy.jurisdiction: expected a string" },
	{ HEAD "extends = \"packs/pii-eu\"\n", 5, "write [\"packs/pii-eu\"]" },
	{ HEAD "retention = 5\n", 5, "unknown key policy.retention" },
	{ HEAD "[[retention]]\n", 5, "retention: expected a table" },
	{ "rule = 5\n" HEAD, 1, "rule: expected an array, found the integer 5" },
	{ "rule = [5]\n" HEAD, 1, "rule: expected a table, found the integer 5" },
	{ HEAD "[rule]\nid = \"x\"\nphase = [\"nope\"]\n", 5,
	  "rule: expected [[rule]], found [rule]; write two brackets on each side" },
	{ HEAD "[rule]\nid = \"x\"\nphase = [\"nope\"]\n", 7, "rule.phase: expected one of" },
	{ "[policy]\nname = \"\"\nversion = 1\nmode = \"off\"\n", 2,
	  "expected 1 to 127 bytes, found 0" },
	{ RULE("match = \"pan\"\naction = \"mask\"\n"), 8,
	  "rule.match: expected a table, found the string \"pan\"" },
	{ RULE("match = { detector = 1 }\naction = \"mask\"\n"), 8,
	  "match.detector: expected a string" },
	{ RULE("match = { regex = [\"a\"] }\naction = \"mask\"\n"), 8,
	  "match.regex: expected a string" },
	{ RULE("match = { literals = \"a\" }\naction = \"mask\"\n"), 8, "write [\"a\"]" },
	{ RULE("match = { literals = [\"a\"], gap_max = \"2\", fold = \"strict\" }\naction = \"mask\"\n"),
	  8, "match.gap_max: expected an integer" },
	{ RULE("match = { literals = [\"a\"], gap_max = 65, fold = \"strict\" }\naction = \"mask\"\n"),
	  8, "match.gap_max: expected 0 to 64, found 65" },
	{ RULE("match = { detector = \"pan\" }\naction = [\"mask\"]\n"), 9,
	  "rule.action: expected a string, found an array" },
	{ RULE("match = { detector = \"pan\" }\naction = \"redact\"\nreplace = 1\n"), 10,
	  "rule.replace: expected a string" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nseverity = 1\n"), 10,
	  "rule.severity: expected a string" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\ncontrols = \"PCI\"\n"), 10,
	  "rule.controls: expected an array, found the string \"PCI\"; write [\"PCI\"]" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\ntests = []\n"), 10,
	  "tests: expected a table, found an array" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\ntests.miss = [1]\n"), 10,
	  "tests.miss: expected a string" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\ndescription = 1\n"), 10,
	  "rule.description: expected a string" },
	{ HEAD "[[rule]]\nid = 5\nphase = [\"output\"]\n", 6, "rule.id: expected a string" },
	{ HEAD "[[rule]]\nid = \"\"\nphase = [\"output\"]\n", 6, "rule.id: expected 1 to 100" },
	{ HEAD "[[rule]]\nid = \"r\"\nphase = \"output\"\n", 7, "write [\"output\"]" },
	{ HEAD "[[rule]]\nid = \"r\"\nphase = []\n", 7, "expected at least one phase, found none" },
	{ HEAD "[[rule]]\nid = \"r\"\nphase = [5]\n", 7, "rule.phase: expected a string" },
	/* Choices: what was probably meant. */
	{ HEAD "[[rule]]\nid = \"r\"\nphase = [\"outptu\"]\n", 7, "did you mean \"output\"?" },
	{ HEAD "[[rule]]\nid = \"r\"\nphase = [\"assistant\"]\n", 7, "did you mean \"output\"?" },
	{ HEAD "[[rule]]\nid = \"r\"\nphase = [\"tool_calls\"]\n", 7,
	  "did you mean \"tool_arguments\"?" },
	{ RULE("match = { detector = \"creditcard\" }\naction = \"mask\"\n"), 8,
	  "there is no detector \"creditcard\"; did you mean \"pan\"?" },
	{ RULE("match = { detector = \"tax_id\" }\naction = \"mask\"\n"), 8, "did you mean \"" },
	{ RULE("match = { detector = \"pan/99\" }\naction = \"mask\"\n"), 8,
	  "there is no \"pan/99\" in this version; write \"pan/" },
	{ RULE("match = { detector = \"qqqqqqqqqqq\" }\naction = \"mask\"\n"), 8,
	  "see `hallmark policy detectors`" },
	{ RULE("match = { detector = \"pan\" }\naction = \"hide\"\n"), 9,
	  "expected one of flag, replace, mask, redact, block; found \"hide\"; did you mean \"redact\"?" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nseverity = \"urgent\"\n"), 10,
	  "did you mean \"critical\"?" },
	{ HEAD "extends = [\"pii-eu\"]\n", 5, "did you mean \"packs/pii-eu\"?" },
	{ HEAD "extends = [\n\"packs/pii-europe\"]\n", 6, "did you mean \"packs/pii-eu\"?" },
	/* What does not go together. */
	{ RULE("match = { regex = \"a\", fold = \"case\" }\naction = \"mask\"\n"), 8,
	  "match.fold: only with literals" },
	{ RULE("match = { literals = [\"a\"], repeat_max = 3 }\naction = \"mask\"\n"), 8,
	  "match.repeat_max: only with regex" },
	{ RULE("match = { literals = [\"a\"], regex = \"b\" }\naction = \"mask\"\n"), 8,
	  "found literals and regex: write a rule for each" },
	{ RULE("match = { literals = [\"a\",\n\"\"] }\naction = \"mask\"\n"), 9,
	  "is empty after folding" },
	{ RULE("match = { regex = \"\" }\naction = \"mask\"\n"), 8,
	  "match.regex: it matches the empty text" },
	{ RULE("match = { regex = '(a)\\1' }\naction = \"mask\"\n"), 8,
	  "back-references are refused" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nexcept.literals = [\"x\",\n\"\"]\n"),
	  11, "except.literals: expected a value that is left alone" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nexcept.words = [\"x\"]\n"), 10,
	  "unknown key except.words; did you mean literals?" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nexcept.roles = [\"x\"]\n"), 10,
	  "not available in this version: except.roles" },
	{ RULE("match = { detector = \"pan\" }\naction = \"mask\"\nexcept = [\"x\"]\n"), 10,
	  "except: expected a table" },
	{ RULE("match = { literals_file = \"x\" }\naction = \"mask\"\n"), 8,
	  "match.literals_file: there are no files here" },
/* [[override]] */
#define OVERRIDE(body) HEAD "extends = [\"packs/pii-eu\"]\n[[override]]\n" body
	{ OVERRIDE("enabled = false\nreason = \"x\"\n"), 6, "override.rule is missing" },
	{ OVERRIDE("rule = 5\nenabled = false\n"), 7, "override.rule: expected a string" },
	{ OVERRIDE("rule = \"pii-eu/*/x\"\nenabled = false\n"), 7, "one * at the end" },
	{ OVERRIDE("rule = \"\"\nenabled = false\n"), 7, "one * at the end" },
	{ OVERRIDE("rule = \"pii-eu/phoen\"\nenabled = false\nreason = \"x\"\n"), 7,
	  "no rule of the packs has the id \"pii-eu/phoen\"; did you mean \"pii-eu/phone\"?" },
	{ OVERRIDE("rule = \"zzz/*\"\nenabled = false\nreason = \"x\"\n"), 7,
	  "see `hallmark policy packs NAME`" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\n"), 6, "it changes nothing" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\nreason = \"x\"\n"), 6, "it changes nothing" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\nenabled = 0\n"), 8,
	  "override.enabled: expected true or false, found the integer 0" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\nenabled = false\n"), 6,
	  "reason is missing; it makes pii-eu/phone find or withhold less (it is switched off)" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\nenabled = false\nreason = \" \"\n"), 9,
	  "override.reason: expected 1 to 200 bytes" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\naction = \"flag\"\n"), 6, "its action is weaker" },
	{ OVERRIDE("rule = \"pii-eu/*\"\naction = \"flag\"\n"), 6, "its action is weaker" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\nphase = [\"content\"]\n"), 6, "a phase is left out" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\ncontext = \"always\"\n"), 6,
	  "a word is needed more often" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\ndecode = [\"hex\"]\n"), 6, "an encoding is left out" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\nexcept.literals = [\"+44 7700 900963\"]\n"), 6,
	  "values are left alone" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\naction = \"explode\"\n"), 8,
	  "override.action: expected one of" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\naction = \"queue\"\n"), 8,
	  "not available in this version: override.action \"queue\"" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\naction = \"block\"\nreplace = \"x\"\n"), 9,
	  "override.replace: only with action redact or replace" },
	{ OVERRIDE("rule = \"pii-eu/pan\"\nreplace = \"x\"\n"), 6,
	  "replace is only with action redact or replace, found mask" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\naction = \"replace\"\nreason = \"x\"\n"), 6,
	  "action replace needs replace" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\nphase = [\"outputs\"]\n"), 8,
	  "did you mean \"output\"?" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\ncontext = \"never\"\n"), 8,
	  "override.context: expected one of" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\ndecode = \"hex\"\n"), 8,
	  "override.decode: expected an array" },
	{ OVERRIDE("rule = \"pii-eu/phone\"\nfold = \"case\"\n"), 8,
	  "unknown key override.fold: fold belongs in match" },
	{ OVERRIDE("id = \"pii-eu/phone\"\n"), 7, "unknown key override.id; did you mean rule?" },
	{ OVERRIDE("rule = \"pii-eu/*\"\naction = \"block\"\ntests.hit = [\"x\"]\n"), 9,
	  "override.tests: expected one rule" },
	{ HEAD "[override]\nrule = \"x\"\n", 5,
	  "override: expected [[override]], found [override]" },
	{ GOOD "[[override]]\nrule = \"r\"\naction = \"block\"\n", 11,
	  "\"r\" is no rule of a pack that this file extends; change the rule itself" },
	{ GOOD
	  "[[rule]]\nid = \"r\"\nphase = [\"input\"]\nmatch = { detector = \"iban\" }\naction = \"mask\"\n",
	  11, "two rules have the id r, the other at line 6; give one of them another" },
	{ "[policy]\nname = \"p\"\nversion = 1\nmode = \"enforce\"\n[[rule]]\nid = \"r\"\nphase = "
	  "[\"output\"]\n"
	  "match = { detector = \"pan\" }\naction = \"mask\"\ntests.hit = [\"a\", \"b\", \"c\"]\n",
	  5, "at least 3 tests.hit and 3 tests.miss" },
};

static bool reported(const struct policy_problems *p, const struct wrong *w)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->item[i].line == w->line && strstr(p->item[i].text, w->why))
			return true;
	return false;
}

Test(policy_parse, each_error_is_reported_with_its_line)
{
	for (size_t i = 0; i < sizeof wrongs / sizeof *wrongs; i++) {
		struct policy *p;
		struct policy_problems problems;
		struct err e = { 0 };
		int r = policy_parse(&p, wrongs[i].text, strlen(wrongs[i].text), NULL, &problems,
				     &e);
		cr_expect_eq(r, ERR_INPUT, "row %zu (%s) was accepted", i, wrongs[i].why);
		cr_expect_null(p);
		cr_expect(reported(&problems, &wrongs[i]),
			  "row %zu: expected line %d %s; found line %d: %s", i, wrongs[i].line,
			  wrongs[i].why, problems.count ? problems.item[0].line : 0, e.text);
		policy_problems_free(&problems);
	}
}

/* One text with mistakes of every kind, all of them in one reading: the lines that have one. */
Test(policy_parse, a_text_of_mistakes_is_told_line_by_line)
{
	static const int lines[] = { 1,  2,  3,  4,  5,  6,  7,  10, 11, 17, 18,  19,
				     21, 23, 28, 29, 35, 37, 42, 48, 49, 54, 58,  60,
				     62, 66, 67, 69, 76, 77, 79, 87, 93, 99, 102, 105 };
	struct buf text = { 0 };
	struct policy *p;
	struct policy_problems problems;
	struct err e = { 0 };
	cr_assert_eq(file_read("tests/vectors/policy/mistakes.toml", 65536, &text, &e), 0, "%s",
		     e.text);
	cr_assert_eq(policy_parse(&p, text.bytes, text.len, NULL, &problems, &e), ERR_INPUT);
	size_t line = 0, wanted = sizeof lines / sizeof *lines;
	for (size_t i = 0; i < problems.count; i++) {
		const struct policy_problem *x = &problems.item[i];
		bool more = i > 0 && x->line == problems.item[i - 1].line;
		cr_expect(more || (line < wanted && x->line == lines[line]), "line %d: %s", x->line,
			  x->text);
		line += !more;
		/* What to write instead, or what is there to choose from. */
		cr_expect(strpbrk(x->text, ";?:"), "line %d: %s", x->line, x->text);
	}
	cr_expect_eq(line, wanted);
	cr_expect_geq(problems.count, 40);
	policy_problems_free(&problems);
	buf_free(&text);
}

Test(policy_parse, all_errors_are_reported_in_the_order_of_lines)
{
	const char *text =
		"[policy]\nname = 1\nversion = \"x\"\nmode = \"shadow\"\ncolour = 1\n[[rule]]\nid = \"a\"\n"
		"phase = [\"nowhere\"]\nmatch = { detector = \"none\" }\naction = \"mask\"\n";
	struct policy *p;
	struct policy_problems problems;
	static const int lines[] = { 2, 3, 5, 8, 9 };
	cr_assert_eq(policy_parse(&p, text, strlen(text), NULL, &problems, NULL), ERR_INPUT);
	cr_assert_eq(problems.count, 5);
	for (int i = 0; i < 5; i++)
		cr_expect_eq(problems.item[i].line, lines[i], "%d: %s", problems.item[i].line,
			     problems.item[i].text);
	policy_problems_free(&problems);
}

static int read_local(void *ctx, const char *name, struct buf *out, struct err *e)
{
	if (strcmp(name, "packs/local") != 0)
		return err_set(e, ERR_NOTFOUND, "no such file");
	buf_add_text(out, ctx);
	return buf_done(out, e);
}

Test(policy_parse, packs_bring_rules_and_their_errors_name_the_pack)
{
	static char good[] =
		"[policy]\nname = \"l\"\nversion = 3\n[[rule]]\nid = \"l/x\"\nphase = [\"output\"]\n"
		"match = { literals = [\"secret\"] }\naction = \"block\"\n";
	static char bad[] = "[policy]\nname = \"l\"\nversion = 3\nmode = \"off\"\n";
	const char *text =
		"[policy]\nname = \"p\"\nversion = 1\nmode = \"shadow\"\nextends = [\"packs/local\"]\n";
	struct policy *p;
	struct policy_problems problems;
	struct err e = { 0 };
	struct policy_packs packs = { .read = read_local, .ctx = good };
	cr_assert(policy_parse(&p, text, strlen(text), &packs, &problems, &e) == 0, "%s", e.text);
	policy_free(p);
	packs.ctx = bad;
	cr_assert_eq(policy_parse(&p, text, strlen(text), &packs, &problems, &e), ERR_INPUT);
	cr_expect(problems.item[0].line == 5 &&
			  strstr(problems.item[0].text,
				 "packs/local line 4: unknown key policy.mode"),
		  "%s", problems.item[0].text);
	policy_problems_free(&problems);
	static char keeps[] = "[policy]\nname = \"l\"\nversion = 3\n[retention]\ncontent = \"none\"\n";
	packs.ctx = keeps;
	cr_assert_eq(policy_parse(&p, text, strlen(text), &packs, &problems, &e), ERR_INPUT);
	cr_expect(strstr(problems.item[0].text, "packs/local line 4: unknown key retention"), "%s",
		  problems.item[0].text);
	policy_problems_free(&problems);
}
