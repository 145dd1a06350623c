#include "base/digest.h"
#include "base/file.h"
#include "base/limits.h"
#include "policy/policy.h"
#include "policy/rules.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "[policy]\nname = \"p\"\nversion = 1\nmode = \"shadow\"\n"
#define RULE(body) HEAD "[[rule]]\nid = \"r\"\nphase = [\"output\"]\n" body
#define GOOD RULE("match = { detector = \"pan\" }\naction = \"mask\"\n")

static struct policy *parse(const char *text)
{
	struct policy *p;
	struct policy_problems problems;
	struct err e = { 0 };
	int r = policy_parse(&p, text, strlen(text), NULL, &problems, &e);
	cr_assert(r == 0, "line %d: %s", problems.count ? problems.item[0].line : 0, e.text);
	policy_problems_free(&problems);
	return p;
}

/* ---- tests in rules */

static void all_pass(const char *text, uint64_t least)
{
	struct policy *p = parse(text);
	uint64_t passed = 0;
	json_t *failures = NULL;
	struct err e = { 0 };
	cr_assert(policy_test(p, &passed, &failures, &e) == 0, "%s", e.text);
	char *said = json_dumps(failures, 0);
	cr_expect_eq(json_array_size(failures), 0, "%s", said);
	cr_expect_geq(passed, least, "%ju", (uintmax_t)passed);
	free(said);
	json_decref(failures);
	policy_free(p);
}

/* Bundles name packs by digest: one that changes makes another policy of every one that extends it. */
Test(policy_packs, texts_have_the_digests_that_bundles_name)
{
	static const struct {
		const char *name, *digest;
	} pack[] = {
		{ "packs/pii-eu", "sha256:df559529bff6c190bd14985390392a481ba360cb2c76d1785a07eb8344d3ba3f" },
		{ "packs/pii-all", "sha256:93a1f7a455eccb24fc526b5c9c237db5071a693559ffca236537e7d523f0d8ee" },
		{ "packs/secrets", "sha256:4afb32946058d38ac6246b8df3efe0eb5bbcecb42494ca2162783f8f48838e6f" },
	};
	for (size_t i = 0; i < sizeof pack / sizeof *pack; i++) {
		const char *text = policy_pack_text(pack[i].name);
		char hex[DIGEST_TEXT_ROOM];
		cr_assert(text && strcmp(policy_pack_name(i), pack[i].name) == 0, "%s", pack[i].name);
		struct digest d = digest_of(text, strlen(text));
		digest_text(&d, hex);
		cr_expect_str_eq(hex, pack[i].digest);
	}
	cr_expect_eq(policy_pack_name(3), NULL);
	cr_expect(policy_pack_later("packs/gdpr") && !policy_pack_text("packs/gdpr"));
	cr_expect(!policy_pack_later("packs/pii-eu") && !policy_pack_later("gdpr"));
}

Test(policy_test, built_in_packs_pass_their_own_tests)
{
	for (size_t i = 0; policy_pack_name(i); i++) {
		char text[200];
		snprintf(
			text, sizeof text,
			"[policy]\nname = \"p\"\nversion = 1\nmode = \"enforce\"\nextends = [\"%s\"]\n",
			policy_pack_name(i));
		all_pass(text, 6 * 15);
	}
	cr_expect_eq(policy_pack_name(99), NULL);
}

Test(policy_test, a_wrong_expectation_is_a_failure)
{
	struct policy *p =
		parse(GOOD "tests.hit = [\"4111 1111 1111 1111\", \"no card\"]\ntests.miss = "
			   "[\"378282246310005\", \"x\"]\n");
	uint64_t passed;
	json_t *failures;
	cr_assert(policy_test(p, &passed, &failures, NULL) == 0);
	cr_expect_eq(passed, 2);
	cr_assert_eq(json_array_size(failures), 2);
	const json_t *f = json_array_get(failures, 0);
	cr_expect_str_eq(json_string_value(json_object_get(f, "text")), "no card");
	cr_expect_str_eq(json_string_value(json_object_get(f, "rule")), "r");
	json_decref(failures);
	policy_free(p);
}

/* ---- bundles */

static void compile(const char *text, struct buf *out)
{
	struct policy *p = parse(text);
	struct err e = { 0 };
	cr_assert(policy_compile(p, out, &e) == 0, "%s", e.text);
	policy_free(p);
}

#define TWO_A                                                                                            \
	"[[rule]]\nid = \"a\"\nphase = [\"output\", \"input\"]\nmatch = { literals = [\"x y\"], fold = " \
	"\"strict\" }\naction = \"block\"\n"
#define TWO_B                                                                                             \
	"[[rule]]\nid = \"b\"\nphase = [\"output\"]\nmatch = { regex = \"q+\", repeat_max = 5 }\naction " \
	"= \"redact\"\nreplace = \"-\"\n"

/* The value of a member whose value is a digest, as it stands in the bundle. */
static const char *digest_in(const struct buf *b, const char *member)
{
	static char text[2][DIGEST_TEXT_ROOM];
	static int turn;
	char key[40];
	snprintf(key, sizeof key, "\"%s\":\"sha256:", member);
	const char *at = strstr(b->bytes, key);
	cr_assert(at, "%s in %s", key, b->bytes);
	turn = !turn;
	snprintf(text[turn], sizeof text[turn], "%.71s", at + strlen(key) - strlen("sha256:"));
	return text[turn];
}

static void expect_digest(const char *text, const void *bytes, size_t len)
{
	char want[DIGEST_TEXT_ROOM];
	struct digest d = digest_of(bytes, len);
	digest_text(&d, want);
	cr_expect_str_eq(text, want);
}

#define SPELLED "# a comment\n" HEAD TWO_B "\n\n" TWO_A

Test(policy_bundle, bytes_are_the_texts_and_rules_do_not_depend_on_its_spelling)
{
	struct buf a = { 0 }, again = { 0 }, b = { 0 }, c = { 0 };
	compile(HEAD TWO_A TWO_B, &a);
	compile(HEAD TWO_A TWO_B, &again);
	compile(SPELLED, &b);
	compile(HEAD TWO_A, &c);
	cr_assert(a.len == again.len && memcmp(a.bytes, again.bytes, a.len) == 0);
	cr_assert(strncmp(a.bytes, "HMPOLICY1\n{", 11) == 0);
	expect_digest(digest_in(&a, "source"), HEAD TWO_A TWO_B, strlen(HEAD TWO_A TWO_B));
	expect_digest(digest_in(&b, "source"), SPELLED, strlen(SPELLED));
	cr_expect_str_eq(digest_in(&a, "rules_digest"), digest_in(&b, "rules_digest"));
	cr_expect_str_neq(digest_in(&a, "rules_digest"), digest_in(&c, "rules_digest"));
	char *source = strstr(b.bytes, "\"source\"");
	cr_assert_eq(a.len, b.len);
	memcpy(source, strstr(a.bytes, "\"source\""), 82);
	cr_expect_str_eq(a.bytes, b.bytes, "nothing else depends on the spelling");
	buf_free(&again);
	buf_free(&a);
	buf_free(&b);
	buf_free(&c);
}

/* From shadow to enforce, under another name and version, kept for longer: the rules are those that
 * were tried. */
Test(policy_bundle, digest_of_the_rules_stays_when_a_policy_is_enforced)
{
#define TESTED_A                                                                                    \
	TWO_A "tests.hit = [\"x y\", \"xy\", \"X Y\"]\ntests.miss = [\"x\", \"y\", \"z\"]\n"
	static const char *const same[] = {
		HEAD TESTED_A,
		"[policy]\nname = \"p\"\nversion = 1\nmode = \"enforce\"\n" TESTED_A,
		"[policy]\nname = \"q\"\nversion = 9\nmode = \"off\"\nretention_days = 1\n"
		"jurisdiction = [\"EU\"]\n" TESTED_A,
	};
	static const char *const others[] = {
		HEAD TWO_A "controls = [\"EU-1\"]\n",
		HEAD TWO_B,
		HEAD TWO_A TWO_B,
		HEAD,
	};
	struct buf first = { 0 };
	struct err e = { 0 };
	compile(same[0], &first);
	const char *rules = strstr(first.bytes, "\"rules\":") + strlen("\"rules\":");
	expect_digest(digest_in(&first, "rules_digest"), rules,
		      (size_t)(strstr(rules, ",\"rules_digest\"") - rules));
	for (size_t i = 0; i < sizeof same / sizeof *same + sizeof others / sizeof *others; i++) {
		bool is_same = i < sizeof same / sizeof *same;
		struct buf b = { 0 };
		struct policy_profile *x;
		char loaded[DIGEST_TEXT_ROOM];
		compile(is_same ? same[i] : others[i - sizeof same / sizeof *same], &b);
		cr_assert_eq(policy_load(&x, b.bytes, b.len, &e), 0, "%s", e.text);
		digest_text(&x->rules, loaded);
		cr_expect_str_eq(loaded, digest_in(&b, "rules_digest"));
		digest_text(&x->source, loaded);
		cr_expect_str_eq(loaded, digest_in(&b, "source"));
		bool equal = strcmp(digest_in(&b, "rules_digest"),
				    digest_in(&first, "rules_digest")) == 0;
		cr_expect_eq(equal, is_same, "row %zu", i);
		policy_profile_free(x);
		buf_free(&b);
	}
	buf_free(&first);
}

Test(policy_bundle, loading_gives_a_set_for_each_phase)
{
	struct buf b = { 0 };
	struct policy_profile *x;
	struct err e = { 0 };
	compile("[policy]\nname = \"bank\"\nversion = 7\nmode = \"shadow\"\nretention_days = 400\n" TWO_A
			TWO_B,
		&b);
	cr_assert(policy_load(&x, b.bytes, b.len, &e) == 0, "%s", e.text);
	struct digest d = digest_of(b.bytes, b.len);
	cr_expect(strcmp(x->name, "bank") == 0 && x->version == 7 && x->mode == POLICY_SHADOW &&
		  x->retention_days == 400);
	cr_expect(digest_equal(&d, &x->bundle));
	cr_expect(x->set[POLICY_INPUT] && x->set[POLICY_CONTENT] && x->set[POLICY_REASONING] &&
		  x->set[POLICY_TOOL_ARGUMENTS] && !x->set[POLICY_TOOL_RESULTS] &&
		  !x->set[POLICY_METADATA]);
	cr_expect(x->set[POLICY_CONTENT] == x->set[POLICY_REASONING],
		  "phases with the same rules share one set");
	cr_expect(x->set[POLICY_CONTENT] != x->set[POLICY_INPUT]);
	policy_profile_free(x);
	buf_free(&b);
}

/* A rule of "output" holds for all that a model says; one that names parts holds for these. */
static const struct {
	const char *phase, *in_bundle;
	unsigned parts; /* bit of enum policy_phase */
	unsigned looked_at;
} phases[] = {
#define IN(p) (1u << POLICY_##p)
#define SAID (IN(CONTENT) | IN(REASONING) | IN(TOOL_ARGUMENTS))
	{ "\"output\"", "[\"content\",\"reasoning\",\"tool_arguments\"]", SAID, SAID },
	{ "\"output\", \"reasoning\"", "[\"content\",\"reasoning\",\"tool_arguments\"]", SAID,
	  SAID },
	{ "\"reasoning\", \"output\", \"content\"",
	  "[\"content\",\"reasoning\",\"tool_arguments\"]", SAID, SAID },
	{ "\"content\"", "[\"content\"]", IN(CONTENT), IN(CONTENT) },
	{ "\"reasoning\", \"content\"", "[\"content\",\"reasoning\"]", IN(CONTENT) | IN(REASONING),
	  IN(CONTENT) | IN(REASONING) },
	{ "\"tool_arguments\"", "[\"tool_arguments\"]", IN(TOOL_ARGUMENTS), IN(TOOL_ARGUMENTS) },
	{ "\"input\"", "[\"input\"]", IN(INPUT), IN(INPUT) | IN(METADATA) },
	{ "\"metadata\"", "[\"metadata\"]", IN(METADATA), IN(METADATA) },
	{ "\"tool_results\", \"output\", \"input\"",
	  "[\"input\",\"content\",\"reasoning\",\"tool_arguments\",\"tool_results\"]",
	  SAID | IN(INPUT) | IN(TOOL_RESULTS), SAID | IN(INPUT) | IN(TOOL_RESULTS) | IN(METADATA) },
};

Test(policy_bundle, output_is_all_that_a_model_says_and_a_part_is_itself)
{
	for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
		struct buf b = { 0 };
		struct policy_profile *x;
		struct err e = { 0 };
		char text[400], want[200];
		size_t rules[POLICY_PHASES];
		snprintf(text, sizeof text,
			 HEAD "[[rule]]\nid = \"r\"\nphase = [%s]\nmatch = { detector = \"pan\" "
			      "}\naction = \"mask\"\n",
			 phases[i].phase);
		struct policy *p = parse(text);
		policy_coverage(p, rules);
		policy_free(p);
		compile(text, &b);
		snprintf(want, sizeof want, "\"phase\":%s", phases[i].in_bundle);
		cr_expect(strstr(b.bytes, want), "%s: %s", phases[i].phase, b.bytes);
		cr_assert_eq(policy_load(&x, b.bytes, b.len, &e), 0, "%s", e.text);
		for (int k = 0; k < POLICY_PHASES; k++) {
			cr_expect_eq(x->set[k] != NULL, phases[i].parts >> k & 1, "%s: %s",
				     phases[i].phase, policy_phase_name((enum policy_phase)k));
			cr_expect_eq(rules[k], phases[i].looked_at >> k & 1, "%s: %s",
				     phases[i].phase, policy_phase_name((enum policy_phase)k));
		}
		policy_profile_free(x);
		buf_free(&b);
	}
}

Test(policy_bundle, carries_what_is_kept_of_the_texts_and_that_is_all_by_default)
{
	static const struct {
		const char *text;
		enum policy_content content;
	} rows[] = { { HEAD TWO_A, POLICY_FULL },
		     { HEAD "[retention]\n" TWO_A, POLICY_FULL },
		     { HEAD "[retention]\ncontent = \"full\"\n" TWO_A, POLICY_FULL },
		     { HEAD "[retention]\ncontent = \"cleaned\"\n" TWO_A, POLICY_CLEANED },
		     { HEAD "[retention]\ncontent = \"none\"\n" TWO_A, POLICY_NONE } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = { 0 };
		struct policy_profile *x;
		struct err e = { 0 };
		compile(rows[i].text, &b);
		cr_assert(policy_load(&x, b.bytes, b.len, &e) == 0, "%s", e.text);
		cr_expect_eq(x->content, rows[i].content, "row %zu", i);
		policy_profile_free(x);
		buf_free(&b);
	}
}

Test(policy_bundle, no_changed_byte_loads_as_the_same_policy)
{
	struct buf b = { 0 };
	struct policy_profile *x;
	compile(HEAD TWO_A, &b);
	struct digest d = digest_of(b.bytes, b.len);
	for (size_t i = 0; i < b.len; i++) {
		char kept = b.bytes[i];
		b.bytes[i] = (char)(kept ^ 1);
		if (policy_load(&x, b.bytes, b.len, NULL) == 0) {
			cr_expect(!digest_equal(&d, &x->bundle));
			policy_profile_free(x);
		}
		b.bytes[i] = kept;
	}
	buf_free(&b);
}

Test(policy_bundle, foreign_or_damaged_bundles_are_refused)
{
	struct buf b = { 0 };
	struct policy_profile *x;
	struct err e = { 0 };
	compile(HEAD TWO_A, &b);
	cr_expect_eq(policy_load(&x, b.bytes, b.len - 1, &e), ERR_INPUT);
	cr_expect_eq(policy_load(&x, "HMPOLICY2\n{}", 12, &e), ERR_INPUT);
	cr_expect_eq(policy_load(&x, "HMPOLICY1\n[]", 12, &e), ERR_INPUT);
	buf_add_byte(&b, '\n');
	cr_expect_eq(policy_load(&x, b.bytes, b.len, &e), ERR_INPUT, "a byte behind the document");
	buf_free(&b);
}

/* The sets of encodings that a rule may ask for, in any order, and the one set that they are. */
Test(policy_bundle, the_same_encodings_are_the_same_rule)
{
	static const char *const same[] = {
		"decode = [\"percent\", \"entity\", \"backslash\", \"markup\", \"quoted-printable\", "
		"\"base64\", \"hex\"]",
		"decode = [\"hex\", \"base64\", \"percent\", \"quoted-printable\", \"markup\", "
		"\"backslash\", \"entity\"], context = \"weak\"",
	};
	struct buf plain = { 0 };
	compile(GOOD, &plain);
	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		struct buf b = { 0 };
		char text[500];
		snprintf(text, sizeof text,
			 RULE("match = { detector = \"pan\", %s }\naction = \"mask\"\n"), same[i]);
		compile(text, &b);
		cr_expect_str_eq(digest_in(&plain, "rules_digest"), digest_in(&b, "rules_digest"));
		buf_free(&b);
	}
	buf_free(&plain);
}

/* The bytes of before, with one text in place of another. */
static void replaced(const struct buf *b, const char *from, const char *to, struct buf *out)
{
	const char *at = strstr(b->bytes, from);
	cr_assert(at, "%s in %s", from, b->bytes);
	buf_add(out, b->bytes, (size_t)(at - b->bytes));
	buf_add_text(out, to);
	buf_add_text(out, at + strlen(from));
}

#define CARD                                                                                   \
	"[[rule]]\nid = \"c\"\nphase = [\"output\"]\nmatch = { detector = \"pan\" }\naction = " \
	"\"mask\"\nseverity = \"low\"\n"

Test(policy_bundle, states_what_is_ours_and_nothing_of_the_machine)
{
	struct buf b = { 0 }, pinned = { 0 };
	char tables[32], match[200], text[300];
	compile(HEAD CARD, &b);
	snprintf(tables, sizeof tables, "\"tables\":%u}", filter_tables());
	cr_expect(strstr(b.bytes, tables), "%s", b.bytes);
	snprintf(match, sizeof match,
		 "\"match\":{\"context\":\"weak\",\"decode\":[\"percent\",\"entity\",\"backslash\","
		 "\"markup\",\"quoted-printable\",\"base64\",\"hex\"],\"detector\":\"pan/%u\"}",
		 filter_detector_version("pan"));
	cr_expect(strstr(b.bytes, match), "%s", b.bytes);
	for (const char *s = filter_tables_version(); *s; s += strspn(s, " ")) {
		char version[64];
		size_t n = strcspn(s, " "), name = strcspn(s, "-");
		snprintf(version, sizeof version, "%.*s", (int)n, s);
		cr_expect(!strstr(b.bytes, version), "%s in %s", version, b.bytes);
		snprintf(version, sizeof version, "%.*s", (int)(n - name - 1), s + name + 1);
		cr_expect(!strchr(version, '.') || !strstr(b.bytes, version), "%s in %s", version,
			  b.bytes);
		s += n;
	}
	snprintf(text, sizeof text,
		 HEAD "[[rule]]\nid = \"c\"\nphase = [\"output\"]\nmatch = { detector = "
		      "\"pan/%u\" }\naction = \"mask\"\nseverity = \"low\"\n",
		 filter_detector_version("pan"));
	compile(text, &pinned);
	cr_expect_str_eq(digest_in(&pinned, "rules_digest"), digest_in(&b, "rules_digest"),
			 "the newest version may be named too");
	buf_free(&b);
	buf_free(&pinned);
}

/* In from, @T and @D stand for the tables and the version of pan that are here. */
static const struct {
	const char *from, *to;
	int rc;
	const char *words;
} machines[] = {
	{ "\"tables\":@T}", "\"tables\":0}", 0, "" },
	{ "\"version\":1", "\"version\":2", 0, "" },
	{ "\"tables\":@T}", "\"tables\":99}", ERR_UNSUPPORTED,
	  "needs tables 99, this program has" },
	{ "\"tables\":@T}", "\"tables\":\"unicode-15.0.0 tables-1\"}", ERR_INPUT, "tables" },
	{ "\"format\":3", "\"format\":2", ERR_UNSUPPORTED,
	  "policy bundle format 2 (this program writes 3): compile the policy again" },
	{ "\"format\":3", "\"format\":4", ERR_UNSUPPORTED, "policy bundle format 4" },
	{ "\"content\",\"reasoning\"", "\"reasoning\",\"content\"", ERR_INPUT, "phase" },
	{ "\"content\",\"reasoning\"", "\"content\",\"content\"", ERR_INPUT, "phase" },
	{ "\"content\",\"reasoning\"", "\"output\"", ERR_INPUT, "phase" },
	{ "[\"content\",\"reasoning\",\"tool_arguments\"]", "[]", ERR_INPUT, "phase" },
	{ "\"context\":\"weak\"", "\"context\":\"strong\"", ERR_INPUT, "context" },
	{ "\"context\":\"weak\",", "", ERR_INPUT, "context" },
	{ "\"percent\",\"entity\"", "\"entity\",\"percent\"", ERR_INPUT, "decode" },
	{ "\"percent\",\"entity\"", "\"percent\",\"percent\"", ERR_INPUT, "decode" },
	{ "\"percent\",\"entity\"", "\"percent\",\"rot13\"", ERR_INPUT, "decode" },
	{ "\"percent\",\"entity\"", "\"percent\",5", ERR_INPUT, "decode" },
	{ "\"content\":\"full\"", "\"content\":\"some\"", ERR_INPUT, "content" },
	{ "\"content\":\"full\",", "", ERR_INPUT, "content" },
	{ "\"rules_digest\":\"sha256:", "\"rules_digest\":\"sha257:", ERR_INPUT, "sha256" },
	{ "\"severity\":\"low\"", "\"severity\":\"high\"", ERR_INPUT, "rules_digest" },
	{ "\"source\":\"sha256:", "\"source\":\"", ERR_INPUT, "sha256" },
	{ "\"pan/@D\"", "\"pan/99\"", ERR_UNSUPPORTED,
	  "the detector \"pan/99\", which this program does not have: compile the policy again" },
	{ "\"pan/@D\"", "\"pen/1\"", ERR_UNSUPPORTED, "the detector \"pen/1\"" },
	{ "\"pan/@D\"", "\"pan\"", ERR_INPUT, "detector" },
	{ "\"pan/@D\"", "\"pan/\"", ERR_UNSUPPORTED, "pan/" },
};

static void fill_numbers(const char *form, char *out, size_t room)
{
	const char *at = strchr(form, '@');
	if (!at)
		snprintf(out, room, "%s", form);
	else
		snprintf(out, room, "%.*s%u%s", (int)(at - form), form,
			 at[1] == 'T' ? filter_tables() : filter_detector_version("pan"), at + 2);
}

Test(policy_bundle, loads_where_tables_and_detectors_are_at_hand)
{
	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
		struct buf b = { 0 }, other = { 0 };
		struct policy_profile *x;
		struct err e = { 0 };
		compile(HEAD CARD, &b);
		char from[100];
		fill_numbers(machines[i].from, from, sizeof from);
		replaced(&b, from, machines[i].to, &other);
		int rc = policy_load(&x, other.bytes, other.len, &e);
		cr_expect_eq(rc, machines[i].rc, "%s: %s", machines[i].to, e.text);
		cr_expect(strstr(e.text, machines[i].words), "%s: %s", machines[i].to, e.text);
		policy_profile_free(x);
		buf_free(&b);
		buf_free(&other);
	}
}

Test(policy_bundle, more_than_a_reader_takes_is_not_compiled)
{
	struct buf text = { 0 }, bundle = { 0 };
	struct policy *p;
	struct policy_problems problems;
	struct err e = { 0 };
	/* A quote is one byte in TOML and two in JSON, so that 16 MiB are enough. */
	buf_add_text(&text, HEAD CARD "controls = ['");
	for (size_t i = 0; i < LIMIT_TOML_BYTES - 300; i++)
		buf_add_byte(&text, '"');
	buf_add_text(&text, "']\n");
	cr_assert_eq(policy_parse(&p, text.bytes, text.len, NULL, &problems, &e), 0, "%s", e.text);
	p->rule[0].controls.count = 1;
	const char *many[3] = { p->rule[0].controls.item[0], p->rule[0].controls.item[0],
				p->rule[0].controls.item[0] };
	p->rule[0].controls.item = many;
	cr_expect_eq(policy_compile(p, &bundle, &e), 0, "%s", e.text);
	cr_expect_gt(bundle.len, 2 * (LIMIT_TOML_BYTES - 300));
	buf_clear(&bundle);
	p->rule[0].controls.count = 3;
	cr_expect_eq(policy_compile(p, &bundle, &e), ERR_INPUT);
	cr_expect(strstr(e.text, "67108864 are accepted"), "%s", e.text);
	policy_free(p);
	buf_free(&text);
	buf_free(&bundle);
}

/* ---- the demo's policy */

static void through(const struct filter_set *set, const char *text, struct buf *out)
{
	struct filter_stream *f;
	struct cleared c;
	cr_assert(filter_stream_open(&f, set, false, NULL) == 0);
	cr_assert_eq(filter_stream_push(f, text, strlen(text), &c, NULL), FILTER_OPEN);
	buf_add(out, c.bytes, c.len);
	cr_assert_eq(filter_stream_end(f, &c, NULL), FILTER_COMPLETE);
	buf_add(out, c.bytes, c.len);
	filter_stream_close(f);
}

Test(policy_demo, its_tests_pass_and_it_catches_what_the_demo_model_says)
{
	static const char *const said[][2] = {
		{ "The card number of Alice Moreno is 4111 1111 1111 1111.",
		  "The card number of Alice Moreno is 4111 11** **** 1111." },
		{ "Here is the record of Elena Murphy: e-mail e.murphy@example.org, phone (617) 555-0116, "
		  "card 4012 8888 8888 1881, "
		  "IBAN GB57 FERN 0027 5892 9007 54.",
		  "Here is the record of Elena Murphy: e-mail [e-mail], phone [telephone], card 4012 88** "
		  "**** 1881, IBAN [IBAN]." },
		{ "Your case number is 5500 8991 4330 1467. We will answer within one day.",
		  "Your case number is 5500 8991 4330 1467. We will answer within one day." },
		{ "我们登记的王小明身份证号码是449994190512277580。",
		  "我们登记的王小明身份证号码是[身份证号]。" },
		{ "李晓华：身份证339992190201280063，银行卡5555 5532 2453 "
		  "8328，邮箱xiaohua.li@example.com，电话+44 7700 900963。",
		  "李晓华：身份证[身份证号]，银行卡5555 55** **** 8328，邮箱[e-mail]，电话[telephone]。" },
		{ "I should not say this, but Project Larkspur starts next spring.",
		  "I should not say this, but [internal] starts next spring." },
	};
	struct buf text = { 0 }, bundle = { 0 };
	struct err e = { 0 };
	struct policy_profile *x;
	cr_assert(file_read("demo/policy.toml", 1 << 20, &text, &e) == 0, "%s", e.text);
	all_pass(text.bytes, 36);
	compile(text.bytes, &bundle);
	cr_assert(policy_load(&x, bundle.bytes, bundle.len, &e) == 0, "%s", e.text);
	for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
		struct buf out = { 0 };
		through(x->set[POLICY_CONTENT], said[i][0], &out);
		cr_expect_str_eq(out.bytes, said[i][1], "%s", out.bytes);
		buf_free(&out);
	}
	policy_profile_free(x);
	buf_free(&text);
	buf_free(&bundle);
}

/* ---- its page */

Test(policy_docs, every_key_and_every_name_is_explained)
{
	struct buf page = { 0 };
	cr_assert_eq(file_read("docs/policy.md", 1 << 20, &page, NULL), 0);
	buf_add_byte(&page, 0);
	for (int t = TABLE_TOP; t <= TABLE_OVERRIDE; t++)
		for (size_t i = 0; policy_tables[t].known[i]; i++) {
			char key[100];
			bool table = t == TABLE_TOP || t == TABLE_PACK_TOP;
			bool inner = t == TABLE_EXCEPT || t == TABLE_TESTS;
			snprintf(key, sizeof key,
				 table   ? "[%s]"
				 : inner ? "%s.%s`"
					 : "`%s`",
				 inner ? policy_tables[t].name : policy_tables[t].known[i],
				 policy_tables[t].known[i]);
			cr_expect(strstr(page.bytes, key), "%s of table %d", key, t);
		}
	const char *const *names[] = { filter_context_names, filter_decode_names,
				       policy_severity_names };
	for (size_t n = 0; n < sizeof names / sizeof *names; n++)
		for (size_t i = 0; names[n][i]; i++) {
			char name[100];
			snprintf(name, sizeof name, "`%s`", names[n][i]);
			cr_expect(strstr(page.bytes, name), "%s", name);
		}
	for (int i = 0; i < POLICY_PHASES; i++) {
		char row[100];
		snprintf(row, sizeof row, "| `%s` |", policy_phase_name((enum policy_phase)i));
		cr_expect(strstr(page.bytes, row), "%s", row);
	}
	buf_free(&page);
}

/* ---- the measured shares */

Test(policy_detectors, shares_are_of_detectors_that_are_there)
{
	size_t rows = 0;
	for (const struct policy_measured *m = policy_measured_list; m->detector; m++, rows++) {
		const struct filter_detector *d = filter_detector_find(m->detector);
		cr_expect(d && m->version <= d->version, "%s/%u", m->detector, m->version);
		cr_expect(m->found <= m->values && m->false_hits <= m->others, "%s", m->detector);
	}
	cr_expect_gt(rows, 500);
	json_t *all;
	cr_assert_eq(policy_detectors("pan", &all, NULL), 0);
	const json_t *pan = json_array_get(json_object_get(all, "detectors"), 0);
	const json_t *recall = json_object_get(pan, "recall");
	cr_expect(json_is_null(recall) || json_real_value(recall) > 0.9);
	json_decref(all);
}
