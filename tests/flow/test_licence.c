/* What a licence asks of what is made from it, and what a fork leaves out; sizes and names that a card
 * claims. */
#include "support.h"

#include "base/source.h"
#include "flow/fork_findings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct fixture at;

static void set_up(void) { fixture_make(&at); }
static void tear_down(void) { fixture_remove(&at); }
TestSuite(flow_licence, .init = set_up, .fini = tear_down, .timeout = 60);

static const struct flow_fork_measure derived = { .verdict = FORK_DEPENDENT, .changed = 1, .share = NAN },
				      nothing = { .verdict = FORK_NO_EVIDENCE, .can_see = true,
						  .tested = true, .p_value = 0.5, .share = NAN };

static void set(struct flow_fork_facts *x, const char *license, const char *name)
{
	snprintf(x->card.license, sizeof x->card.license, "%s", license);
	snprintf(x->card.license_name, sizeof x->card.license_name, "%s", name);
}

static json_t *tell(const struct flow_fork_facts *suspect, const struct flow_fork_other *other, size_t others)
{
	json_t *list = json_array(), *registered = json_pack("[ss]", "acme/base", "acme/bank");
	struct err e = { 0 };
	const struct flow_fork_case c = { .suspect = suspect, .name = "b", .other = other,
					  .others = others, .registered = registered };
	expect(0, flow_fork_findings(&c, list, &e));
	json_decref(registered);
	return list;
}

/* Of one parent, declared and shown by the weights (or declared alone). */
static json_t *tell_one(const struct flow_fork_facts *x, struct flow_fork_facts *y, bool shown)
{
	const struct flow_fork_other other = { .facts = x, .measure = shown ? &derived : &nothing,
					       .name = "acme/base", .parent = shown, .firm = shown };
	flow_card_add_base(&y->card, "acme/base");
	return tell(y, &other, 1);
}

static const struct {
	const char *parent, *parent_name, *child, *child_name, *severity, *words;
} weights[] = {
	{ "apache-2.0", "", "apache-2.0", "", "", "" },
	{ "apache-2.0", "", "mit", "", "", "" },
	{ "mit", "", "", "", "", "" },
	{ "mit", "", "other", "of our own", "", "" },
	{ "mit", "", "cc-by-nc-4.0", "", "", "" },
	{ "cc0-1.0", "", "", "", "", "" },
	{ "gemma", "", "gemma", "", "", "" },
	{ "other", "deepseek", "other", "deepseek-license", "", "" },
	{ "bigscience-openrail-m", "", "openrail", "", "", "" },
	{ "cc-by-nc-4.0", "", "cc-by-nc-sa-4.0", "", "", "" },
	{ "gpl-3.0", "", "gpl-2.0", "", "", "" },
	{ "gemma", "", "mit", "", "contradiction",
	  "declared as mit, which leaves out what acme/base (LicenseRef-Gemma) asks (Gemma Terms of Use" },
	{ "gemma", "", "", "", "warning", "no licence is declared; acme/base (LicenseRef-Gemma) asks" },
	{ "cc-by-nc-4.0", "", "apache-2.0", "", "contradiction", "no commercial use" },
	{ "cc-by-nc-sa-4.0", "", "cc-by-nc-4.0", "", "contradiction", "the same licence" },
	{ "gpl-3.0", "", "mit", "", "contradiction", "the same licence for what is derived" },
	{ "cc-by-nd-4.0", "", "cc-by-nd-4.0", "", "contradiction", "nothing derived is published" },
	{ "other", "tongyi-qianwen", "apache-2.0", "", "contradiction", "above a number of users" },
	{ "other", "qwen-research", "apache-2.0", "", "contradiction", "no commercial use" },
	{ "other", "deepseek", "mit", "", "contradiction", "restrictions of use" },
	{ "other", "modified-mit", "mit", "", "contradiction", "above a number of users" },
	{ "gemma", "", "other", "of our own", "note", "whether it holds what acme/base" },
	{ "other", "of their own", "mit", "", "note",
	  "the licence of acme/base (other: of their own) is in no rule" },
	{ "", "", "mit", "", "note", "(none declared) is in no rule of " FLOW_LICENCE_RULES },
	{ "other", "of their own", "other", "of their own", "", "" },
	{ "", "", "", "", "", "" },
};

Test(flow_licence, restrictions_flow_along_the_weights)
{
	for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
		struct flow_fork_facts x = { 0 }, y = { 0 };
		set(&x, weights[i].parent, weights[i].parent_name);
		set(&y, weights[i].child, weights[i].child_name);
		json_t *list = tell_one(&x, &y, true);
		const json_t *f = json_array_get(list, 0);
		cr_expect_eq(json_array_size(list), weights[i].words[0] ? 1 : 0, "row %zu: %s", i,
			     text_of(f, "detail"));
		cr_expect_str_eq(text_of(f, "severity"), weights[i].severity, "row %zu: %s", i,
				 text_of(f, "detail"));
		cr_expect_str_eq(text_of(f, "kind"), weights[i].words[0] ? "F-LICENCE" : "");
		cr_expect(strstr(text_of(f, "detail"), weights[i].words), "row %zu: %s", i,
			  text_of(f, "detail"));
		json_decref(list);
	}
}

Test(flow_licence, of_training_on_outputs_only_a_declaration_tells)
{
	static const struct {
		const char *parent, *child, *words;
	} rows[] = {
		{ "llama3", "mit", "if it was trained on outputs of acme/base (LicenseRef-Llama-3)" },
		{ "gemma", "mit", "restrictions of use" },
		{ "mit", "mit", "" },
		{ "cc-by-nc-4.0", "mit", "" },
		{ "gemma", "gemma", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct flow_fork_facts x = { 0 }, y = { 0 };
		set(&x, rows[i].parent, "");
		set(&y, rows[i].child, "");
		json_t *list = tell_one(&x, &y, false);
		const json_t *f = json_array_get(list, 0);
		cr_expect_eq(json_array_size(list), rows[i].words[0] ? 1 : 0, "row %zu: %s", i,
			     text_of(f, "detail"));
		cr_expect_str_eq(text_of(f, "severity"), rows[i].words[0] ? "note" : "", "row %zu", i);
		cr_expect(strstr(text_of(f, "detail"), rows[i].words), "row %zu: %s", i,
			  text_of(f, "detail"));
		json_decref(list);
	}
}

static bool told(const json_t *list, const char *words)
{
	const json_t *f;
	size_t i;
	json_array_foreach(list, i, f)
		if (strstr(text_of(f, "detail"), words))
			return true;
	return false;
}

/* A folder with those files, as facts. */
static void read_folder(const char *dir, const char *const (*file)[2], size_t files,
			struct flow_fork_facts *x)
{
	struct source *s;
	struct err e = { 0 };
	char path[200];
	snprintf(path, sizeof path, "mkdir -p '%s'", fixture_path(&at, dir));
	cr_assert_eq(system(path), 0);
	for (size_t i = 0; i < files; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, file[i][0]);
		fixture_text(&at, path, file[i][1]);
	}
	expect(0, source_open_folder(&s, fixture_path(&at, dir), &e));
	expect(0, flow_fork_facts_read(x, s, s, &e));
	source_close(s);
}

Test(flow_licence, what_lies_beside_the_weights_is_asked_for_too)
{
	static const char *const parent[][2] = {
		{ "README.md", "---\nlicense: llama3.1\n---\n" },
		{ "LICENSE", "LLAMA 3.1 COMMUNITY\n  LICENSE AGREEMENT\n Llama 3.1 Version ..." },
		{ "NOTICE.txt", "Llama 3.1 is licensed under the Llama 3.1 Community License" },
	};
	static const char *const bare[][2] = { { "README.md",
						 "---\nlicense: llama3.1\nmodel_name: Travel-8B\n---\n" } };
	static const char *const good[][2] = {
		{ "README.md", "---\nlicense: llama3.1\nmodel_name: Llama-3.1-Travel\n---\nBuilt with\nLlama.\n" },
		{ "license.md", "LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\nLlama 3.1 Version ..." },
		{ "NOTICE", "Llama 3.1 is licensed under ..." },
	};
	struct flow_fork_facts x = { 0 }, y = { 0 }, z = { 0 };
	read_folder("a", parent, 3, &x);
	read_folder("b", bare, 1, &y);
	read_folder("c", good, 3, &z);
	cr_assert_eq(x.licences.files, 2);
	cr_expect_str_eq(x.licences.file[0].licence->name, "LicenseRef-Llama-3.1");
	cr_expect(digest_equal(&x.licences.file[0].text, &z.licences.file[z.licences.file[0].notice].text),
		  "white space and case apart the text is the same");
	json_t *list = tell_one(&x, &y, true);
	cr_expect_eq(json_array_size(list), 4);
	cr_expect(told(list, "the licence text of acme/base lies beside it, and not here"));
	cr_expect(told(list, "the notice of acme/base lies beside it, and not here"));
	cr_expect(told(list, "the name Travel-8B does not begin with \"Llama\""));
	cr_expect(told(list, "\"Built with Llama\" stands neither in the card nor in a notice"));
	json_decref(list);
	list = tell_one(&x, &z, true);
	cr_expect_eq(json_array_size(list), 0, "%s", text_of(json_array_get(list, 0), "detail"));
	json_decref(list);
	flow_fork_facts_free(&x);
	flow_fork_facts_free(&y);
	flow_fork_facts_free(&z);
}

Test(flow_licence, a_text_that_asks_for_more_than_the_card_is_told)
{
	static const char *const files[][2] = {
		{ "README.md", "---\nlicense: mit\n---\n" },
		{ "LICENSE.txt", "Gemma Terms of Use\nLast modified ..." },
	};
	struct flow_fork_facts y = { 0 };
	read_folder("b", files, 2, &y);
	json_t *list = tell(&y, NULL, 0);
	cr_expect(told(list, "the card declares mit; LICENSE.txt is the text of LicenseRef-Gemma"));
	json_decref(list);
	flow_fork_facts_free(&y);
}

Test(flow_licence, a_merge_has_the_duties_of_all_its_parents)
{
	static const struct {
		const char *a, *b, *child, *words;
	} rows[] = {
		{ "mit", "gemma", "mit", "declared as mit, which leaves out what acme/q (LicenseRef-Gemma)" },
		{ "gpl-3.0", "gemma", "gpl-3.0", "conflict: acme/p (GPL) and acme/q (LicenseRef-Gemma)" },
		{ "mit", "apache-2.0", "mit", "" },
		{ "llama3", "llama3.1", "llama3.1", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct flow_fork_facts x[2] = { 0 }, y = { 0 };
		set(&x[0], rows[i].a, "");
		set(&x[1], rows[i].b, "");
		set(&y, rows[i].child, "");
		flow_card_add_base(&y.card, "acme/p");
		flow_card_add_base(&y.card, "acme/q");
		y.licences.shown = UINT64_MAX;
		const struct flow_fork_other other[2] = {
			{ .facts = &x[0], .measure = &derived, .name = "acme/p", .parent = true, .firm = true },
			{ .facts = &x[1], .measure = &derived, .name = "acme/q", .parent = true, .firm = true },
		};
		json_t *list = tell(&y, other, 2);
		cr_expect(rows[i].words[0] ? told(list, rows[i].words) : json_array_size(list) == 0 ||
				  !told(list, "conflict"), "row %zu: %s", i,
			  text_of(json_array_get(list, 0), "detail"));
		json_decref(list);
	}
}

Test(flow_licence, every_row_is_found_by_its_names_and_its_text)
{
	for (size_t i = 0; i < flow_licence_count; i++) {
		const struct flow_licence *l = &flow_licences[i];
		for (const char *const *id = l->ids; *id; id++) {
			char text[64];
			snprintf(text, sizeof text, "%s", *id + (**id == '*'));
			text[strcspn(text, "*")] = 0;
			const struct flow_licence *found = flow_licence_of("other", text);
			cr_expect(found && (found == l || **id == '*'), "%s: %s", l->name, *id);
		}
		cr_expect(!(l->weights & FLOW_DUTY_NAME) || l->prefix, "%s", l->name);
		cr_expect(!((l->weights | l->outputs) & FLOW_DUTY_SHOWN) || l->shown, "%s", l->name);
		cr_expect(l->source[0], "%s", l->name);
	}
	cr_expect_null(flow_licence_of("unknown", ""));
	cr_expect_null(flow_licence_of("other", "mine"));
	cr_expect_null(flow_licence_of("", ""));
}

/* ---- sizes and names ---- */

static const struct {
	const char *name, *size, *config;
	double parameters;
	uint32_t experts;
	const char *words, *severity;
} claims[] = {
	{ "Llama-2-7b-hf", "", NULL, 6.74e9, 0, "", "" },
	{ "gemma-2b", "", NULL, 2.51e9, 0, "", "" },
	{ "Mixtral-8x7B", "", "{\"num_local_experts\":8}", 46.7e9, 8, "", "" },
	{ "Qwen3-30B-A3B", "", "{\"num_experts\":128}", 30.5e9, 128, "", "" },
	{ "Llama-4-Scout-17B-16E", "", "{\"text_config\":{\"num_local_experts\":16}}", 109e9, 0, "", "" },
	{ "gemma-3n-E2B", "", NULL, 5.4e9, 0, "", "" },
	{ "EAGLE-LLaMA3-8B", "", NULL, 0.25e9, 0, "", "" },
	{ "TinyLlama-1.1B-step-1431k-3T", "", NULL, 1.1e9, 0, "", "" },
	{ "model-4bit-128k", "", NULL, 8e9, 0, "", "" },
	{ "SmolLM-135M", "", NULL, 134.5e6, 0, "", "" },
	{ "", "7B", NULL, 7.24e9, 0, "", "" },
	{ "Big-70B", "", NULL, 8e9, 0, "the name Big-70B says 7e+10 parameters; the files have 8e+09", "warning" },
	{ "Small-1B", "", NULL, 8e9, 0, "says 1e+09", "warning" },
	{ "", "70B", NULL, 8e9, 0, "the card declares 7e+10 parameters", "contradiction" },
	{ "Big-70B", "", NULL, 0, 0, "", "" }, /* not counted */
	{ "", "", "{\"n_routed_experts\":64}", 8e9, 32, "declares 64 experts; the files have 32", "warning" },
};

Test(flow_licence, declared_sizes_are_compared_with_the_files)
{
	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
		struct flow_fork_facts y = { .parameters = claims[i].parameters, .experts = claims[i].experts };
		char card[200];
		struct err e = { 0 };
		snprintf(card, sizeof card, "---\nmodel_name: %s\nmodel_size: %s\n---\n", claims[i].name,
			 claims[i].size);
		expect(0, flow_card_parse(card, strlen(card), &y.card, &e));
		if (claims[i].config)
			y.config = json_loads(claims[i].config, 0, NULL);
		json_t *list = tell(&y, NULL, 0);
		const json_t *f = json_array_get(list, 0);
		cr_expect_eq(json_array_size(list), claims[i].words[0] ? 1 : 0, "%s: %s", claims[i].name,
			     text_of(f, "detail"));
		cr_expect(strstr(text_of(f, "detail"), claims[i].words), "%s: %s", claims[i].name,
			  text_of(f, "detail"));
		cr_expect_str_eq(text_of(f, "severity"), claims[i].severity);
		json_decref(list);
		json_decref(y.config);
	}
}

Test(flow_licence, a_card_that_calls_itself_a_registered_model_is_told)
{
	static const struct {
		const char *card;
		bool found;
	} rows[] = {
		{ "---\nmodel_name: acme/bank\n---\n", true },
		{ "---\nmodel-index:\n- name: ACME/Bank\n---\n", true },
		{ "---\nmodel_name: bank\n---\n", false },
		{ "---\nmodel_name: other/bank\n---\n", false },
		{ "---\nmodel_name: acme/bank\nbase_model: acme/bank\n---\n", false },
		{ "---\nlicense: mit\n---\n# acme/bank\n", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct flow_fork_facts y = { 0 };
		struct err e = { 0 };
		expect(0, flow_card_parse(rows[i].card, strlen(rows[i].card), &y.card, &e));
		json_t *list = tell(&y, NULL, 0);
		cr_expect_eq(json_array_size(list), rows[i].found, "row %zu", i);
		cr_expect_str_eq(text_of(json_array_get(list, 0), "kind"), rows[i].found ? "F-NAME" : "");
		json_decref(list);
	}
}
