/* What a card says beside what was measured, as a table: no honest card is contradicted, and each kind
 * of finding has a case that it is for. */
#include "base/file.h"
#include "flow/fork.h"
#include "base/limits.h"
#include "flow/fork_findings.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CARD(more) "---\n" more "---\n# a model\n"

/* What was measured against a registered model. */
static const struct flow_fork_measure dependent = { .verdict = FORK_DEPENDENT,
						    .rung = "s1",
						    .tested = true,
						    .can_see = true,
						    .p_value = 1e-9,
						    .effect = 0.99,
						    .relative_l2 = 0.1,
						    .share = NAN,
						    .changed = 10,
						    .blocks = 24 },
				      identical = { .verdict = FORK_IDENTICAL,
						    .rung = "values",
						    .effect = 1,
						    .share = NAN },
				      nothing = { .verdict = FORK_NO_EVIDENCE,
						  .tested = true,
						  .can_see = true,
						  .p_value = 0.4,
						  .effect = 0.01,
						  .relative_l2 = 1.4,
						  .share = NAN,
						  .changed = 10,
						  .blocks = 24 },
				      blind = { .verdict = FORK_NO_EVIDENCE,
						.tested = true,
						.p_value = 0.4,
						.share = NAN,
						.blocks = 2 },
				      untold = { .verdict = FORK_INCONCLUSIVE, .share = NAN };

/* One registered model of a case. */
struct side {
	const char *model;
	struct flow_fork_measure measure;
	bool parent, presumed;
	const char *card;
};
#define PARENT(name, measured) { .model = name, .measure = measured, .parent = true }
#define PRESUMED(name, measured) \
	{ .model = name, .measure = measured, .parent = true, .presumed = true }
#define OTHER(name, measured) { .model = name, .measure = measured }
#define MEASURED(...) { .verdict = FORK_DEPENDENT, .changed = 3, __VA_ARGS__ }

static void parse(const char *text, struct flow_card *c)
{
	struct err e = { 0 };
	cr_assert_eq(flow_card_parse(text ? text : "", text ? strlen(text) : 0, c, &e), 0);
}

/* Findings of a suspect with that card; freed by the caller. */
static json_t *findings_of(const struct flow_fork_facts *suspect, const struct side *side, size_t sides,
			   const char *also_registered)
{
	struct flow_fork_facts facts[4] = { 0 };
	struct flow_fork_other other[4] = { 0 };
	json_t *list = json_array(), *registered = json_array();
	struct err e = { 0 };
	cr_assert(sides <= 4);
	for (size_t i = 0; i < sides; i++) {
		char *name = NULL;
		cr_assert_gt(asprintf(&name, "%s@1", side[i].model), 0);
		parse(side[i].card, &facts[i].card);
		json_array_append_new(registered, json_string(side[i].model));
		other[i] = (struct flow_fork_other){ .facts = &facts[i],
						     .measure = &side[i].measure,
						     .name = name,
						     .models = json_pack("[s]", side[i].model),
						     .license = "mit",
						     .parent = side[i].parent,
						     .firm = side[i].parent && !side[i].presumed,
						     .presumed = side[i].presumed };
	}
	if (also_registered)
		json_array_append_new(registered, json_string(also_registered));
	const struct flow_fork_case c = { .suspect = suspect,
					  .name = "it's here",
					  .seed = 7,
					  .other = other,
					  .others = sides,
					  .registered = registered };
	cr_assert_eq(flow_fork_findings(&c, list, &e), 0, "%s", e.text);
	for (size_t i = 0; i < sides; i++) {
		free((char *)other[i].name);
		json_decref((json_t *)other[i].models);
	}
	json_decref(registered);
	return list;
}

static json_t *findings(const char *card, const struct side *side, size_t sides)
{
	struct flow_fork_facts suspect = { 0 };
	parse(card, &suspect.card);
	return findings_of(&suspect, side, sides, NULL);
}

static const char *member(const json_t *list, size_t i, const char *key)
{
	const char *text = json_string_value(json_object_get(json_array_get(list, i), key));
	return text ? text : "";
}

static void expect_no_accusation(const json_t *list, const char *where)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		cr_expect_str_eq(member(list, i, "severity"), "note", "%s: %s %s", where,
				 member(list, i, "kind"), member(list, i, "detail"));
}

/* Spellings of the true base, acme/Base-7B. */
static const char *const spellings[] = {
	"acme/Base-7B",
	"\"acme/Base-7B\"",
	"'acme/base-7b' # ours",
	"[acme/Base-7B]",
	"\n- acme/Base-7B",
	"\n  - 'acme/Base-7B' # one",
	"https://huggingface.co/acme/Base-7B",
	"https://huggingface.co/acme/Base-7B/tree/main",
	"https://hf.co/acme/base-7b/",
	"hf://acme/Base-7B@main",
	"https://modelscope.cn/models/acme/Base-7B",
	"acme/Base-7B@1",
	"Base-7B",
	"./Base-7B",
	"/data/models/base-7b",
	"acme/Base-7B-GGUF",
	">-\n  acme/Base-7B",
	"{name: acme/Base-7B}",
	/* and what cannot be resolved here */
	"./models/base",
	"/workspace/out/checkpoint-1200",
	"unsloth/base-7b-bnb-4bit",
	"old-acme/Base-7B",
	"[acme/Base-7B, someone/else]",
};
static const char *const relations[] = { "", "finetune", "quantized", "adapter", "merge" };

Test(flow_findings, no_honest_card_is_contradicted_however_it_is_spelled)
{
	const struct side parents[] = {
		{ "acme/Base-7B", dependent, true, false, CARD("license: mit\n") },
		{ "zoo/unrelated", nothing, false, false, NULL },
	};
	const struct side none[] = { /* permuted, rotated or distilled: nothing is seen */
				     { "acme/Base-7B", nothing, false, false, NULL },
				     { "zoo/unrelated", nothing, false, false, NULL }
	};
	const struct side unseeing[] = { { "acme/Base-7B", blind, false, false, NULL },
					 { "zoo/unrelated", untold, false, false, NULL } };
	for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
		for (size_t r = 0; r < sizeof relations / sizeof *relations; r++) {
			char card[300], where[400];
			snprintf(card, sizeof card, CARD("base_model: %s\nbase_model_relation: %s\n"),
				 spellings[i], relations[r]);
			snprintf(where, sizeof where, "%s, %s", spellings[i], relations[r]);
			const struct side *const seen[] = { parents, none, unseeing };
			for (size_t k = 0; k < 3; k++) {
				json_t *list = findings(card, seen[k], 2);
				expect_no_accusation(list, where);
				json_decref(list);
			}
		}
}

static const struct {
	const char *row, *card;
	struct side side[3];
	size_t sides;
	const char *finding, *severity, *words; /* of the first; "": none at all */
} rows[] = {
	{ "declared and found", CARD("base_model: acme/a\n"), { PARENT("acme/a", dependent) }, 1, "",
	  "", "" },
	{ "not declared", CARD("license: mit\n"), { PARENT("acme/a", dependent) }, 1,
	  "F-PARENT-MISSING", "contradiction",
	  "declares no base model; the weights depend on acme/a@1 (p 1e-09, effect 0.99 over 24" },
	{ "without an effect", CARD("license: mit\n"),
	  { PARENT("acme/a", MEASURED(.effect = NAN, .tested = true, .p_value = 1e-9)) }, 1,
	  "F-PARENT-MISSING", "contradiction", "acme/a@1 (p 1e-09 over 0 blocks)" },
	{ "no card", NULL, { PARENT("acme/a", identical) }, 1, "F-PARENT-MISSING", "contradiction",
	  "(every tensor is the same)" },
	{ "not declared, and the order of registration alone tells the way", CARD("license: mit\n"),
	  { PRESUMED("acme/a", dependent) }, 1, "F-PARENT-MISSING", "warning",
	  "it was registered first" },
	{ "a card that is no YAML", CARD("license: mit\nbase_model: [acme/a\n"),
	  { PARENT("acme/b", dependent) }, 1, "F-PARENT-UNKNOWN", "note",
	  "cannot be read whole (line" },
	{ "the other one is declared", CARD("base_model: acme/b\n"),
	  { PARENT("acme/a", dependent), OTHER("acme/b", nothing) }, 2, "F-PARENT-WRONG",
	  "contradiction", "declares acme/b; the weights depend on acme/a@1" },
	{ "the same, presumed", CARD("base_model: acme/b\n"),
	  { PRESUMED("acme/a", dependent), OTHER("acme/b", nothing) }, 2, "F-PARENT-WRONG",
	  "warning", "registered first" },
	{ "the declared one cannot be seen", CARD("base_model: acme/b\n"),
	  { PARENT("acme/a", dependent), OTHER("acme/b", blind) }, 2, "F-PARENT-UNKNOWN", "note",
	  "nothing can be said of the declared base acme/b" },
	{ "the declared one is not decided", CARD("base_model: acme/b\n"),
	  { PARENT("acme/a", dependent), OTHER("acme/b", untold) }, 2, "F-PARENT-UNKNOWN", "note", "" },
	{ "one of two versions of it is not decided", CARD("base_model: acme/b\n"),
	  { PARENT("acme/a", dependent), OTHER("acme/b", nothing), OTHER("acme/b", untold) }, 3,
	  "F-PARENT-UNKNOWN", "note", "" },
	{ "a base that is not registered", CARD("base_model: acme/c\n"),
	  { PARENT("acme/a", dependent), OTHER("acme/b", nothing) }, 2, "F-PARENT-UNKNOWN", "note",
	  "base acme/c is not registered here; the weights depend on acme/a@1" },
	{ "one of two is not registered", CARD("base_model: [acme/b, acme/c]\n"),
	  { PARENT("acme/a", dependent), OTHER("acme/b", nothing) }, 2, "F-PARENT-UNKNOWN", "note", "" },
	{ "a name without organisation contradicts nothing", CARD("base_model: b\n"),
	  { PARENT("acme/a", dependent), OTHER("acme/b", nothing) }, 2, "F-PARENT-UNKNOWN", "note", "" },
	{ "the parent of the parent is declared", CARD("base_model: acme/b\n"),
	  { { "acme/a", dependent, true, false, CARD("base_model: acme/b\n") }, OTHER("acme/b", nothing) },
	  2, "F-PARENT-UNKNOWN", "note", "" },
	{ "the same, and it is seen", CARD("base_model: acme/b\n"),
	  { PARENT("acme/a", dependent), OTHER("acme/b", dependent) }, 2, "F-PARENT-MISSING", "note",
	  "declares acme/b, which the weights confirm; they are nearer to acme/a@1" },
	{ "a copy with its card", CARD("license: mit\n"),
	  { { "acme/a", identical, true, false, CARD("license: mit\n") } }, 1, "", "", "" },
	{ "a copy in another type with its card", CARD("license: mit\n"),
	  { { "acme/a", MEASURED(.resaved = true), true, false, CARD("license: mit\n") } }, 1, "",
	  "", "" },
	{ "units in another order, with the parent's card", CARD("license: mit\n"),
	  { { "acme/a", MEASURED(.relative_l2 = 0), true, false, CARD("license: mit\n") } }, 1,
	  "F-PARENT-MISSING", "contradiction", "" },
	{ "a change with the parent's card", CARD("license: mit\n"),
	  { { "acme/a", MEASURED(.relative_l2 = 0.1), true, false, CARD("license: mit\n") } }, 1,
	  "F-PARENT-MISSING", "contradiction", "" },
	{ "a declared finetune that nothing is seen of",
	  CARD("base_model: acme/a\nbase_model_relation: finetune\n"), { OTHER("acme/a", nothing) }, 1,
	  "F-PARENT-UNSEEN", "note", "declares acme/a; the weights show no dependence on it (p 0.4" },
	{ "the same without a word on how", CARD("base_model: acme/a\n"), { OTHER("acme/a", nothing) }, 1,
	  "", "", "" },
	{ "from scratch", CARD("tags: [from-scratch]\nbase_model: acme/a\n"),
	  { PARENT("acme/a", dependent) }, 1, "F-SCRATCH", "warning", "from scratch" },
	{ "trained throughout", CARD("tags: [full-finetune]\nbase_model: acme/a\n"),
	  { PARENT("acme/a", MEASURED(.share = NAN, .frozen = 5)) },
	  1, "F-FROZEN", "warning", "5 of 8 matrices are those of acme/a@1" },
	{ "rounded, and called tuned", CARD("base_model: acme/a\nbase_model_relation: finetune\n"),
	  { PARENT("acme/a", MEASURED(.share = NAN, .rounding = 1)) },
	  1, "F-RELATION", "contradiction", "rounded" },
	{ "rounded, and called so", CARD("base_model: acme/a\nbase_model_relation: quantized\n"),
	  { PARENT("acme/a", MEASURED(.share = NAN, .rounding = 1)) },
	  1, "", "", "" },
	{ "unchanged, and called tuned", CARD("base_model: acme/a\nbase_model_relation: finetune\n"),
	  { PARENT("acme/a", identical) }, 1, "F-RELATION", "note", "every tensor is that of" },
	{ "a merge of two, one told", CARD("base_model: acme/a\n"),
	  { PARENT("acme/a", MEASURED(.share = 0.6)),
	    PARENT("acme/b", MEASURED(.share = 0.4)) },
	  2, "F-MERGE", "contradiction", "mixed of acme/a@1 (0.6) and acme/b@1 (0.4)" },
	{ "a merge of two, called so", CARD("base_model: acme/a\ntags: [mergekit]\n"),
	  { PARENT("acme/a", MEASURED(.share = 0.6)),
	    PARENT("acme/b", MEASURED(.share = 0.4)) },
	  2, "", "", "" },
	{ "both told", CARD("base_model: [acme/a, acme/b]\n"),
	  { PARENT("acme/a", MEASURED(.share = 0.6)),
	    PARENT("acme/b", MEASURED(.share = 0.4)) },
	  2, "", "", "" },
	{ "a little of another is none", CARD("base_model: acme/a\n"),
	  { PARENT("acme/a", MEASURED(.share = 0.95)),
	    PARENT("acme/b", MEASURED(.share = 0.05)) },
	  2, "", "", "" },
};

Test(flow_findings, each_says_what_its_case_is)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *list = findings(rows[i].card, rows[i].side, rows[i].sides);
		cr_expect_eq(json_array_size(list), rows[i].finding[0] ? 1 : 0, "%s: %s", rows[i].row,
			     member(list, 0, "detail"));
		cr_expect_str_eq(member(list, 0, "kind"), rows[i].finding, "%s: %s", rows[i].row,
				 member(list, 0, "detail"));
		cr_expect_str_eq(member(list, 0, "severity"), rows[i].severity, "%s", rows[i].row);
		cr_expect(strstr(member(list, 0, "detail"), rows[i].words), "%s: %s", rows[i].row,
			  member(list, 0, "detail"));
		json_decref(list);
	}
}

Test(flow_findings, quantised_beyond_rounding_is_a_finding_by_both_numbers)
{
	static const struct {
		unsigned bits;
		double relative_l2, effect;
		bool found;
	} cases[] = { { 8, 0.007, 0.9999, false }, { 8, 0.13, 0.98, true }, { 4, 0.13, 0.98, false },
		      { 4, 0.6, 0.8, true },	   { 2, 0.6, 0.8, false },  { 0, 0.6, 0.8, false },
		      { 4, 1.4, 0.1, false /* rotated: nothing lies side by side */ },
		      { 4, 1.4, 0.98, false /* scaled or rotated: the units are the same */ } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flow_fork_facts suspect = { .bits = cases[i].bits };
		struct side a = PARENT("acme/a", dependent);
		a.measure.relative_l2 = cases[i].relative_l2;
		a.measure.effect = cases[i].effect;
		parse(CARD("base_model: acme/a\nbase_model_relation: quantized\n"), &suspect.card);
		json_t *list = findings_of(&suspect, &a, 1, NULL);
		cr_expect_eq(json_array_size(list), cases[i].found, "row %zu: %s", i,
			     member(list, 0, "detail"));
		json_decref(list);
	}
}

Test(flow_findings, an_adapter_and_whole_weights_are_told_apart)
{
	static const struct {
		const char *relation;
		bool adapter, found;
	} cases[] = { { "adapter", true, false },  { "adapter", false, true },
		      { "finetune", true, true },
		      { "finetune", false, false }, { "", true, false } };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct flow_fork_facts suspect = { .adapter = cases[i].adapter };
		snprintf(suspect.card.relation, sizeof suspect.card.relation, "%s", cases[i].relation);
		json_t *list = findings_of(&suspect, NULL, 0, NULL);
		cr_expect_eq(json_array_size(list), cases[i].found, "row %zu", i);
		cr_expect_str_eq(member(list, 0, "severity"), cases[i].found ? "note" : "");
		json_decref(list);
	}
}

Test(flow_findings, a_registered_base_that_does_not_lie_here_is_not_called_unknown)
{
	struct flow_fork_facts suspect = { 0 };
	const struct side a = PARENT("acme/a", dependent);
	parse(CARD("base_model: acme/gone\n"), &suspect.card);
	json_t *list = findings_of(&suspect, &a, 1, "acme/gone");
	cr_expect(strstr(member(list, 0, "detail"), "nothing can be said of the declared base acme/gone"),
		  "%s", member(list, 0, "detail"));
	json_decref(list);
}

Test(flow_findings, a_folder_without_a_name_may_be_what_is_declared)
{
	static const char *const cards[] = { CARD("base_model: acme/a\n"), CARD("license: mit\n"),
					     CARD("base_model: acme/a\nbase_model_relation: finetune\n") };
	static const char *const kinds[] = { "", "F-PARENT-MISSING", "F-RELATION" };
	const struct flow_fork_measure rounded = MEASURED(.rounding = 1, .share = NAN);
	for (size_t i = 0; i < 3; i++) {
		struct flow_fork_facts x = { 0 }, y = { 0 };
		struct err e = { 0 };
		json_t *list = json_array();
		parse(cards[i], &y.card);
		const struct flow_fork_other other = { .facts = &x, .measure = &rounded,
						       .name = "/tmp/parent", .license = "mit",
						       .parent = true };
		const struct flow_fork_case c = { .suspect = &y, .name = "b", .other = &other,
						  .others = 1 };
		cr_assert_eq(flow_fork_findings(&c, list, &e), 0);
		cr_expect_str_eq(member(list, 0, "kind"), kinds[i], "%s", member(list, 0, "detail"));
		cr_expect_eq(json_array_size(list), i > 0);
		json_decref(list);
	}
}

Test(flow_findings, each_has_its_numbers_and_the_command_that_gives_them_again)
{
	const struct side a = PARENT("acme/a", dependent);
	json_t *list = findings(NULL, &a, 1);
	cr_expect_str_eq(member(list, 0, "rung"), "s1");
	cr_expect_str_eq(member(list, 0, "recompute"),
			 "hallmark fork compare acme/a@1 'it'\\''s here' --seed 7");
	const json_t *n = json_object_get(json_array_get(list, 0), "numbers");
	cr_expect_float_eq(json_real_value(json_object_get(n, "effect")), 0.99, 1e-12);
	cr_expect(json_is_null(json_object_get(n, "share")));
	json_decref(list);
}

Test(flow_findings, every_kind_stands_in_the_document)
{
	struct buf text = { 0 };
	struct err e = { 0 };
	cr_assert_eq(file_read("docs/formats.md", MIB(8), &text, &e), 0, "%s", e.text);
	for (const struct flow_finding *k = flow_findings(); k->kind; k++) {
		char row[40];
		snprintf(row, sizeof row, "`%s`", k->kind);
		cr_expect(strstr(text.bytes, row), "%s", k->kind);
		cr_expect(k->says[0] && strlen(k->says) < 100, "%s", k->kind);
	}
	buf_free(&text);
}

Test(flow_findings, every_kind_that_is_told_stands_in_the_table)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool there = !rows[i].finding[0];
		for (const struct flow_finding *k = flow_findings(); k->kind; k++)
			there |= strcmp(k->kind, rows[i].finding) == 0;
		cr_expect(there, "%s", rows[i].finding);
	}
}
