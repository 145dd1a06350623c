/* Fork audits: suspects against registered releases, what a card declares beside what the weights say,
 * and the edges that follow. */
#include "support.h"
#include "flow/fork.h"

#include "base/file.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static const struct flow_fork_look seven = { .seed = 7, .quiet = true };
static const struct flow_fork_look listed = { .seed = 7, .lists = true, .quiet = true };

static struct fixture at;

#define CARD(more) "---\n" more "---\n# a model\n"
#define EXPERTS 25 /* the statistics need 300 pairs that are known to be independent */

static const struct toy original = { .seed = 1,
				     .experts = EXPERTS,
				     .card = CARD("license: mit\n") },
			other = { .seed = 2, .experts = EXPERTS },
			third = { .seed = 3, .experts = EXPERTS };

static void set_up(void)
{
	fixture_make(&at);
	fixture_open(&at);
	fixture_key(&at, "k");
}

static void tear_down(void) { fixture_remove(&at); }

TestSuite(flow_fork, .init = set_up, .fini = tear_down, .timeout = 120);

static void publish_toy(const char *folder, const struct toy *t, const char *name)
{
	fixture_toy(&at, folder, t);
	json_decref(fixture_publish(&at, folder, name, "1"));
}

/* A suspect derived from `original`: noise, and a card. */
static struct toy derived(const char *card)
{
	struct toy t = original;
	t.noise = 0.3;
	t.noise_seed = 5;
	t.card = card;
	return t;
}

static json_t *audit(const char *suspect, const char *parent)
{
	json_t *report;
	struct err e = { 0 };
	expect(0, flow_audit_fork(at.flow, fixture_path(&at, suspect), parent, 7, &report, &e));
	return report;
}

static bool found(const json_t *report, const char *kind)
{
	return item_with(report, "findings", "kind", kind) != NULL;
}

static const char *detail(const json_t *report, const char *kind)
{
	return text_of(item_with(report, "findings", "kind", kind), "detail");
}

/* ---- among several candidates ---- */

static void publish_two(void)
{
	publish_toy("a", &other, "acme/other");
	publish_toy("b", &original, "acme/original");
}

static void publish_three(void)
{
	publish_two();
	publish_toy("c", &third, "acme/third");
}

Test(flow_fork, the_parent_is_found_among_the_registered)
{
	struct toy t = derived(CARD("base_model: acme/original\n"));
	publish_three();
	fixture_toy(&at, "suspect", &t);
	json_t *report = audit("suspect", NULL);
	cr_expect_str_eq(text_of(report, "verdict"), "dependent-initialisation");
	cr_expect_str_eq(text_of(report, "parent"), "acme/original@1");
	cr_assert_eq(count_of(report, "candidates"), 3);
	cr_expect_str_eq(text_of(item_of(report, "candidates", 0), "name"), "acme/original@1", "ranked by evidence");
	cr_expect_str_eq(text_of(item_of(report, "candidates", 0), "verdict"), "dependent-initialisation");
	cr_expect_str_eq(text_of(item_of(report, "candidates", 1), "verdict"), "no-evidence");
	cr_expect_str_eq(text_of(item_of(report, "candidates", 2), "verdict"), "no-evidence");
	cr_expect_eq(count_of(report, "findings"), 0, "declared as it is: %s",
		     text_of(item_of(report, "findings", 0), "detail"));
	cr_expect_eq(count_of(report, "unavailable"), 0);
	json_decref(report);
}

Test(flow_fork, an_independent_model_has_no_parent)
{
	publish_toy("a", &other, "acme/other");
	fixture_toy(&at, "suspect", &(struct toy){ .seed = 9, .experts = EXPERTS });
	json_t *report = audit("suspect", NULL), *affected;
	struct err e = { 0 };
	cr_expect_str_eq(text_of(report, "verdict"), "no-evidence");
	cr_expect(json_is_null(json_object_get(report, "parent")));
	cr_expect_eq(count_of(report, "findings"), 0);
	json_decref(report);
	expect(0, flow_registry_affected(at.flow, "acme/other", &affected, &e));
	cr_expect_eq(count_of(affected, "affected"), 0, "no evidence makes no edge");
	json_decref(affected);
}

Test(flow_fork, the_same_bytes_are_identical_without_a_test)
{
	struct toy t = original;
	publish_two();
	t.card = CARD("base_model: acme/original\n");
	fixture_toy(&at, "suspect", &t);
	json_t *report = audit("suspect", NULL);
	cr_expect_str_eq(text_of(report, "verdict"), "identical");
	cr_expect_str_eq(text_of(report, "parent"), "acme/original@1");
	json_decref(report);
}

Test(flow_fork, of_two_ancestors_the_nearer_is_the_parent)
{
	struct toy child = derived(NULL), grandchild = original;
	publish_toy("a", &original, "acme/original");
	publish_toy("b", &child, "acme/child");
	grandchild = child;
	grandchild.int8 = true; /* as good as the child, farther from the original */
	fixture_toy(&at, "suspect", &grandchild);
	json_t *report = audit("suspect", NULL);
	cr_expect_str_eq(text_of(report, "parent"), "acme/child@1");
	cr_expect_str_eq(text_of(item_of(report, "candidates", 0), "verdict"),
			 "dependent-initialisation");
	json_decref(report);
}

Test(flow_fork, one_release_can_be_asked_for)
{
	struct toy t = derived(NULL);
	json_t *report;
	struct err e = { 0 };
	publish_two();
	fixture_toy(&at, "suspect", &t);
	report = audit("suspect", "acme/other");
	cr_expect_eq(count_of(report, "candidates"), 1);
	cr_expect_str_eq(text_of(report, "verdict"), "no-evidence");
	json_decref(report);
	expect(ERR_NOTFOUND,
	       flow_audit_fork(at.flow, fixture_path(&at, "suspect"), "acme/none", 7, &report, &e));
	cr_expect_null(report);
}

Test(flow_fork, the_same_seed_gives_the_same_report)
{
	static const char *const drawn_by_the_log[] = { "index", "receipt", "bundle" };
	struct toy t = derived(NULL);
	publish_toy("a", &original, "acme/original");
	fixture_toy(&at, "suspect", &t);
	json_t *one = audit("suspect", NULL), *two = audit("suspect", NULL);
	for (size_t i = 0; i < sizeof drawn_by_the_log / sizeof *drawn_by_the_log; i++) {
		json_object_del(one, drawn_by_the_log[i]);
		json_object_del(two, drawn_by_the_log[i]);
	}
	cr_expect(json_equal(one, two));
	cr_expect_str_eq(text_of(one, "seed"), "7");
	json_decref(one);
	json_decref(two);
}

/* ---- candidates that cannot be read ---- */

Test(flow_fork, releases_that_are_gone_or_changed_are_named_and_left_out)
{
	struct toy t = derived(NULL);
	json_t *report;
	struct err e = { 0 };
	publish_three();
	fixture_toy(&at, "suspect", &t);
	fixture_delete(&at, "a");
	fixture_flip(&at, "c/model.safetensors", 9000);
	report = audit("suspect", NULL);
	cr_expect_eq(count_of(report, "candidates"), 1);
	cr_expect_eq(count_of(report, "unavailable"), 2);
	cr_expect(text_of(item_with(report, "unavailable", "name", "acme/other@1"), "reason")[0]);
	cr_expect(text_of(item_with(report, "unavailable", "name", "acme/third@1"), "reason")[0]);
	json_decref(report);
	cr_expect_lt(flow_audit_fork(at.flow, fixture_path(&at, "suspect"), "acme/other", 7,
				     &report, &e),
		     0);
	cr_expect(strstr(e.text, "acme/other@1"), "one that was asked for is an error: %s", e.text);
	fixture_delete(&at, "b");
	report = audit("suspect", NULL);
	cr_expect_str_eq(text_of(report, "parent"), "acme/original@1", "by what is kept of it");
	cr_expect(item_with(report, "unavailable", "name", "acme/original@1"));
	json_decref(report);
	fixture_delete(&at, "home/cache/sketches");
	expect_says(ERR_NOTFOUND, "no registered release can be read here",
		    flow_audit_fork(at.flow, fixture_path(&at, "suspect"), NULL, 7, &report, &e));
	cr_expect_null(report);
}

Test(flow_fork, a_folder_counts_only_for_the_release_that_it_holds)
{
	struct toy t = derived(NULL);
	fixture_toy(&at, "a", &original);
	json_decref(fixture_publish(&at, "a", "acme/m", "1"));
	fixture_text(&at, "a/README.md", "another card\n");
	json_decref(fixture_publish(&at, "a", "acme/m", "2"));
	fixture_toy(&at, "suspect", &t);
	json_t *report = audit("suspect", NULL);
	cr_expect_eq(count_of(report, "candidates"), 1);
	cr_expect_str_eq(text_of(item_of(report, "candidates", 0), "name"), "acme/m@2");
	cr_expect(strstr(text_of(item_with(report, "unavailable", "name", "acme/m@1"), "reason"),
			 "another release"));
	json_decref(report);
}

Test(flow_fork, a_change_that_only_comparing_meets_is_left_out_too)
{
	struct toy t = derived(NULL), large = { .seed = 2, .experts = 1, .words = 70000 };
	json_t *report;
	struct err e = { 0 };
	uint64_t bytes;
	publish_toy("a", &large, "acme/large");
	publish_toy("b", &original, "acme/original");
	fixture_toy(&at, "suspect", &t);
	cr_assert_eq(file_size(fixture_path(&at, "a/model.safetensors"), &bytes, NULL), 0);
	cr_assert_gt(bytes, MIB(4) + 100, "its end lies in the second chunk");
	fixture_flip(&at, "a/model.safetensors", bytes - 100);
	report = audit("suspect", NULL);
	cr_expect_str_eq(text_of(report, "parent"), "acme/original@1");
	cr_expect_eq(count_of(report, "candidates"), 1);
	cr_expect(item_with(report, "unavailable", "name", "acme/large@1"));
	json_decref(report);
	expect_says(ERR_VERIFY, "compare with acme/large@1",
		    flow_audit_fork(at.flow, fixture_path(&at, "suspect"), "acme/large", 7, &report,
				    &e));
}

Test(flow_fork, a_parents_changed_text_is_not_the_suspects_difference)
{
	static const char *const texts[] = { "tokenizer.json", "chat_template.jinja",
					     "tokenizer_config.json" };
	struct toy small = { .seed = 1, .experts = 1 };
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char parents[100], suspects[100], name[20];
		json_t *report;
		struct err e = { 0 };
		snprintf(name, sizeof name, "acme/m%zu", i);
		snprintf(parents, sizeof parents, "a/%s", texts[i]);
		snprintf(suspects, sizeof suspects, "suspect/%s", texts[i]);
		fixture_toy(&at, "a", &small);
		fixture_toy(&at, "suspect", &small);
		fixture_text(&at, "suspect/README.md", CARD("license: mit\n"));
		fixture_text(&at, parents, "{\"chat_template\":\"x\"}");
		fixture_text(&at, suspects, "{\"chat_template\":\"x\"}");
		json_decref(fixture_publish(&at, "a", name, "1"));
		report = audit("suspect", name);
		cr_expect_not(found(report, "F-TOKENIZER") || found(report, "F-TEMPLATE"), "%s",
			      texts[i]);
		json_decref(report);
		fixture_flip(&at, parents, 3);
		report = audit("suspect", name); /* compared by what is kept of it */
		cr_expect_not(found(report, "F-TOKENIZER") || found(report, "F-TEMPLATE"), "%s", texts[i]);
		cr_expect(strstr(text_of(item_of(report, "unavailable", 0), "reason"), texts[i]), "%s", texts[i]);
		json_decref(report);
		fixture_delete(&at, "home/cache/sketches");
		cr_expect_eq(flow_audit_fork(at.flow, fixture_path(&at, "suspect"), name, 7, &report, &e),
			     ERR_VERIFY, "%s", texts[i]);
		cr_expect(strstr(e.text, texts[i]), "%s: %s", texts[i], e.text);
		fixture_delete(&at, "a");
		fixture_delete(&at, "suspect");
	}
}

Test(flow_fork, without_candidates_there_is_nothing_to_compare_with)
{
	json_t *report;
	struct err e = { 0 };
	fixture_toy(&at, "suspect", &original);
	expect_says(ERR_NOTFOUND, "no registered release lies on this machine",
		    flow_audit_fork(at.flow, fixture_path(&at, "suspect"), NULL, 7, &report, &e));
	expect(ERR_NOTFOUND,
	       flow_audit_fork(at.flow, fixture_path(&at, "none"), NULL, 7, &report, &e));
}

static const struct {
	const char *file, *text, *words;
} broken[] = {
	{ "suspect/config.json", "{", "suspect/config.json" },
	{ "suspect/model.safetensors", "not at all", "model.safetensors" },
};

Test(flow_fork, a_suspect_that_cannot_be_read_is_refused_by_what_is_wrong)
{
	publish_toy("a", &original, "acme/original");
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
		json_t *report;
		struct err e = { 0 };
		fixture_toy(&at, "suspect", &other);
		fixture_text(&at, broken[i].file, broken[i].text);
		expect_says(ERR_INPUT, broken[i].words,
			    flow_audit_fork(at.flow, fixture_path(&at, "suspect"), NULL, 7, &report,
					    &e));
		cr_expect_null(report);
	}
}

Test(flow_fork, a_suspect_without_a_config_is_compared_all_the_same)
{
	json_t *report;
	struct err e = { 0 };
	publish_toy("a", &original, "acme/original");
	fixture_toy(&at, "suspect", &original);
	fixture_delete(&at, "suspect/config.json");
	expect(0, flow_audit_fork(at.flow, fixture_path(&at, "suspect"), NULL, 7, &report, &e));
	json_decref(report);
}

/* ---- what the card says ---- */

static const struct {
	const char *card, *base, *relation, *license; /* "": null */
} cards[] = {
	{ CARD("base_model: acme/original\nbase_model_relation: finetune\nlicense: mit\n"),
	  "acme/original", "finetune", "mit" },
	{ CARD("base_model: \"acme/original\"\n"), "acme/original", "", "" },
	{ CARD("base_model:\n- acme/original\n- acme/second\n"), "acme/original", "", "" },
	{ CARD("base_model:\n  - 'acme/original'\n"), "acme/original", "", "" },
	{ CARD("base_model: []\n"), "", "", "" },
	{ CARD("base_model:\nlicense: mit\n"), "", "", "mit" },
	{ "---\nlicense: mit\n---\nbase_model: acme/other\n", "", "", "mit" },
	{ "# no front matter\nbase_model: acme/other\n", "", "", "" },
	{ "---\nbase_model: acme/other\n", "", "", "" },
	{ CARD("base_model: x/\xff\xfe\n"), "x/\xef\xbf\xbd\xef\xbf\xbd", "", "" },
	{ CARD("base_model: acme/original\r\n"), "acme/original", "", "" },
	{ NULL, "", "", "" },
};

Test(flow_fork, the_declared_base_is_read_from_the_front_matter)
{
	struct toy small = { .seed = 1, .experts = 1 };
	publish_toy("a", &small, "acme/original");
	for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
		small.card = cards[i].card;
		fixture_toy(&at, "suspect", &small);
		json_t *report = audit("suspect", NULL);
		const json_t *declared = json_object_get(report, "declared");
		cr_expect_str_eq(text_of(declared, "base_model"), cards[i].base, "row %zu: %s", i,
				 text_of(declared, "base_model"));
		cr_expect_str_eq(text_of(declared, "relation"), cards[i].relation, "row %zu", i);
		cr_expect_str_eq(text_of(declared, "license"), cards[i].license, "row %zu", i);
		cr_expect_eq(json_is_null(json_object_get(declared, "base_model")),
			     !cards[i].base[0], "row %zu", i);
		json_decref(report);
		fixture_delete(&at, "suspect");
	}
}

static const struct {
	const char *card, *finding, *words; /* "": none */
} contradictions[] = {
	{ CARD("base_model: acme/original\n"), "", "" },
	{ NULL, "F-PARENT-MISSING",
	  "declares no base model; the weights depend on acme/original@1" },
	{ CARD("base_model: https://huggingface.co/Acme/Original/tree/main\n"), "", "" },
	{ CARD("base_model: ./original\n"), "", "" },
	{ CARD("base_model: acme/third\n"), "F-PARENT-UNKNOWN",
	  "acme/third is not registered here; the weights depend on acme/original@1" },
	{ CARD("base_model: acme/origin\n"), "F-PARENT-UNKNOWN", "acme/origin is not registered" },
	{ CARD("base_model: acme/original-2\n"), "F-PARENT-UNKNOWN", "acme/original-2 is not" },
};

Test(flow_fork, a_declared_parent_that_the_weights_contradict_is_a_finding)
{
	publish_toy("a", &original, "acme/original");
	for (size_t i = 0; i < sizeof contradictions / sizeof *contradictions; i++) {
		struct toy t = original; /* the same bytes: no test is needed to know */
		t.card = contradictions[i].card;
		fixture_toy(&at, "suspect", &t);
		json_t *report = audit("suspect", NULL);
		cr_expect_eq(count_of(report, "findings"), contradictions[i].finding[0] ? 1 : 0,
			     "row %zu", i);
		cr_expect(strstr(detail(report, contradictions[i].finding),
				 contradictions[i].words),
			  "row %zu: %s", i, text_of(item_of(report, "findings", 0), "detail"));
		json_decref(report);
		fixture_delete(&at, "suspect");
	}
}

/* A model that was trained on the outputs of its declared base looks as one that is a stranger to it. */
Test(flow_fork, a_declared_parent_without_evidence_contradicts_nothing)
{
	static const char *const said[] = {
		CARD("base_model: acme/original\n"),
		CARD("base_model: acme/original\nbase_model_relation: finetune\n"),
	};
	publish_two();
	for (size_t i = 0; i < 2; i++) {
		struct toy t = { .seed = 9, .experts = EXPERTS, .card = said[i] };
		fixture_toy(&at, "suspect", &t);
		json_t *report = audit("suspect", NULL);
		cr_expect_str_eq(text_of(report, "verdict"), "no-evidence");
		cr_expect_eq(count_of(report, "findings"), i, "row %zu", i);
		const json_t *told = item_with(report, "findings", "kind", "F-PARENT-UNSEEN");
		cr_expect_eq(told != NULL, i == 1);
		cr_expect_str_eq(text_of(told, "severity"), i ? "note" : "");
		json_decref(report);
		fixture_delete(&at, "suspect");
	}
}

/* The declared base shows nothing although it would, and another one is the parent. */
Test(flow_fork, a_declared_parent_is_contradicted_by_another_that_the_weights_show)
{
	struct toy t = derived(CARD("base_model: acme/other\n"));
	publish_two();
	fixture_toy(&at, "suspect", &t);
	json_t *report = audit("suspect", NULL);
	cr_expect_eq(count_of(report, "findings"), 1);
	cr_expect(strstr(detail(report, "F-PARENT-WRONG"),
			 "declares acme/other; the weights depend on acme/original@1"),
		  "%s", detail(report, "F-PARENT-WRONG"));
	json_decref(report);
}

static const struct {
	const char *config, *file, *text, *finding, *words;
} differences[] = {
	{ "{\"rope_theta\":10000,\"vocab_size\":30}", NULL, NULL, "", "" },
	{ "{\"rope_theta\":500000,\"vocab_size\":30}", NULL, NULL, "F-CONFIG",
	  "rope_theta is 10000 in the parent and 500000 here" },
	{ "{\"vocab_size\":30}", NULL, NULL, "", "" }, /* a default of a family that is not known */
	{ "{\"rope_parameters\":{\"rope_theta\":10000.0,\"rope_type\":\"default\"}}", NULL, NULL, "",
	  "" },
	{ "{\"rope_theta\":10000,\"torch_dtype\":\"x\"}", NULL, NULL, "", "" },
	{ "{\"rope_theta\":10000}", "tokenizer.json", "{}", "", "" }, /* the parent has none */
	{ "{\"rope_theta\":10000}", "chat_template.jinja", "{{ x }}", "F-TEMPLATE",
	  "acme/original@1 has no chat template (default): one is added" },
	{ "{\"rope_theta\":10000}", "tokenizer_config.json", "{\"chat_template\":\"{{ x }}\"}",
	  "F-TEMPLATE", "one is added" },
	{ "{\"rope_theta\":10000}", "tokenizer_config.json", "{\"chat_template\":", "F-TEMPLATE",
	  "cannot be read whole: tokenizer_config.json" },
	{ "{\"rope_theta\":10000}", "tokenizer_config.json", "{\"x\":1}", "", "" },
};

Test(flow_fork, what_changes_the_answers_beside_the_weights_is_a_finding)
{
	struct toy small = { .seed = 1,
			     .experts = 1,
			     .config = "{\"rope_theta\":10000,\"vocab_size\":30}" };
	publish_toy("a", &small, "acme/original");
	for (size_t i = 0; i < sizeof differences / sizeof *differences; i++) {
		char name[100];
		small.config = differences[i].config;
		small.card = CARD("base_model: acme/original\n");
		fixture_toy(&at, "suspect", &small);
		if (differences[i].file) {
			snprintf(name, sizeof name, "suspect/%s", differences[i].file);
			fixture_text(&at, name, differences[i].text);
		}
		json_t *report = audit("suspect", NULL);
		cr_expect_eq(count_of(report, "findings"), differences[i].finding[0] ? 1 : 0,
			     "row %zu: %s", i, text_of(item_of(report, "findings", 0), "detail"));
		cr_expect(strstr(detail(report, differences[i].finding), differences[i].words),
			  "row %zu: %s", i, text_of(item_of(report, "findings", 0), "detail"));
		json_decref(report);
		fixture_delete(&at, "suspect");
	}
}

Test(flow_fork, the_template_is_the_same_in_either_file)
{
	struct toy small = { .seed = 1, .experts = 1 };
	publish_toy("x", &small, "acme/other");
	fixture_toy(&at, "a", &small);
	fixture_text(&at, "a/tokenizer_config.json", "{\"chat_template\":\"{{ x }}\"}");
	json_decref(fixture_publish(&at, "a", "acme/original", "1"));
	small.card = CARD("base_model: acme/original\n");
	fixture_toy(&at, "suspect", &small);
	fixture_text(&at, "suspect/chat_template.jinja", "{{ x }}");
	json_t *report = audit("suspect", "acme/original");
	cr_expect_not(found(report, "F-TEMPLATE"));
	json_decref(report);
	report = audit("suspect", "acme/other");
	cr_expect(found(report, "F-TEMPLATE"));
	json_decref(report);
}

Test(flow_fork, rounding_that_calls_itself_tuning_is_a_finding)
{
	static const struct {
		const char *relation;
		bool int8, finding;
	} rows[] = { { "finetune", true, true },
		     { "quantized", true, false },
		     { "finetune", false, false } };
	publish_toy("a", &original, "acme/original");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char card[120];
		struct toy t = original;
		snprintf(card, sizeof card,
			 CARD("base_model: acme/original\nbase_model_relation: %s\n"),
			 rows[i].relation);
		t.card = card;
		t.int8 = rows[i].int8;
		t.noise = rows[i].int8 ? 0 : 0.1;
		fixture_toy(&at, "suspect", &t);
		json_t *report = audit("suspect", NULL);
		cr_expect_str_eq(text_of(report, "verdict"), "dependent-initialisation", "row %zu",
				 i);
		cr_expect_eq(found(report, "F-RELATION"), rows[i].finding, "row %zu", i);
		json_decref(report);
	}
}

/* ---- what stays of it ---- */

Test(flow_fork, the_finding_is_logged_with_its_proof_and_makes_an_edge)
{
	struct toy t = derived(NULL);
	struct buf vkey = { 0 };
	json_t *shown, *affected, *checked, *tree;
	struct err e = { 0 };
	publish_toy("a", &original, "acme/original");
	fixture_toy(&at, "suspect", &t);
	json_t *report = audit("suspect", NULL);
	expect(0,
	       flow_audit_show(at.flow, (uint64_t)number_of(report, "index"), false, &shown, &e));
	const json_t *entry = json_object_get(shown, "entry"),
		     *body = json_object_get(entry, "body");
	cr_expect_str_eq(text_of(entry, "type"), "fork");
	cr_expect_str_eq(text_of(body, "subject_name"), "suspect");
	cr_assert_eq(count_of(body, "parents"), 1);
	cr_expect_str_eq(text_of(item_of(body, "parents", 0), "name"), "acme/original@1");
	cr_expect_str_eq(text_of(body, "verdict"), "dependent-initialisation");
	const json_t *logged = item_of(body, "findings", 0);
	cr_expect_eq(count_of(body, "findings"), 1);
	cr_expect_str_eq(text_of(logged, "kind"), "F-PARENT-MISSING");
	cr_expect_str_eq(text_of(logged, "detail"), detail(report, "F-PARENT-MISSING"));
	cr_expect_eq(json_object_size(logged), 3, "kind, severity and detail");
	cr_expect_eq(count_of(body, "declared"), 0);
	cr_expect(text_starts(text_of(body, "subject"), "sha256:"));

	expect(0, flow_registry_affected(at.flow, "acme/original", &affected, &e));
	cr_expect_eq(count_of(affected, "affected"), 1);
	cr_expect_str_eq(text_of(item_of(affected, "affected", 0), "name"), "suspect");
	cr_expect_str_eq(text_of(item_of(affected, "affected", 0), "root"),
			 text_of(body, "subject"));
	expect(0, flow_fork_tree(at.flow, &tree, &e));
	cr_expect_eq(count_of(tree, "releases"), 1);
	cr_expect_eq(count_of(tree, "forks"), 1);
	cr_expect_eq(number_of(item_of(tree, "forks", 0), "index"), number_of(report, "index"));

	expect(0, flow_key_export(at.flow, NULL, "vkey", &vkey, &e));
	vkey.bytes[strcspn(vkey.bytes, "\n")] = 0;
	fixture_text(&at, "receipt", text_of(report, "receipt"));
	expect(0, flow_audit_check(fixture_path(&at, "receipt"), vkey.bytes, &checked, &e));
	cr_expect(truth_of(checked, "ok"), "%s", text_of(checked, "detail"));
	cr_expect_str_eq(text_of(checked, "type"), "fork");
	json_decref(checked);
	json_decref(tree);
	json_decref(affected);
	json_decref(shown);
	json_decref(report);
	buf_free(&vkey);
}

Test(flow_fork, the_digest_in_the_log_is_the_reports)
{
	struct buf text = { 0 };
	char digest[DIGEST_TEXT_ROOM];
	json_t *shown;
	struct err e = { 0 };
	publish_toy("a", &(struct toy){ .seed = 1, .experts = 1 }, "acme/original");
	fixture_toy(&at, "suspect", &(struct toy){ .seed = 1, .experts = 1 });
	json_t *report = audit("suspect", NULL);
	expect(0,
	       flow_audit_show(at.flow, (uint64_t)number_of(report, "index"), false, &shown, &e));
	json_object_del(report, "index"); /* these came after it */
	json_object_del(report, "receipt");
	json_object_del(report, "bundle");
	expect(0, json_write_canonical(report, &text, &e));
	struct digest d = digest_of(text.bytes, text.len);
	digest_text(&d, digest);
	cr_expect_str_eq(text_of(json_object_get(json_object_get(shown, "entry"), "body"),
				 "report"),
			 digest);
	json_decref(report);
	json_decref(shown);
	buf_free(&text);
}

Test(flow_fork, a_suspect_is_read_and_never_written)
{
	struct toy t = derived(NULL);
	publish_toy("a", &original, "acme/original");
	fixture_toy(&at, "suspect", &t);
	fixture_copy(&at, "suspect", "kept");
	json_decref(audit("suspect", NULL));
	char command[2 * LIMIT_PATH_BYTES];
	snprintf(command, sizeof command, "diff -r %s %s", fixture_path(&at, "suspect"),
		 fixture_path(&at, "kept"));
	cr_expect_eq(system(command), 0);
	cr_expect_not(fixture_has(&at, "suspect.hallmark"));
}

/* ---- comparing and calibrating ---- */

Test(flow_fork, two_folders_are_compared_without_a_state_folder_and_logged_nowhere)
{
	struct toy t = derived(NULL);
	json_t *report;
	struct err e = { 0 };
	fixture_toy(&at, "a", &original);
	fixture_toy(&at, "b", &t);
	expect(0, flow_fork_compare(NULL, fixture_path(&at, "a"), fixture_path(&at, "b"), &seven,
				    &report, &e));
	cr_expect_str_eq(text_of(report, "verdict"), "dependent-initialisation");
	cr_expect_str_eq(text_of(report, "parent"), fixture_path(&at, "a"));
	cr_expect(found(report, "F-PARENT-MISSING"));
	cr_expect_null(json_object_get(report, "blocks"));
	json_decref(report);
	fixture_toy(&at, "b", &other);
	expect(0, flow_fork_compare(NULL, fixture_path(&at, "a"), fixture_path(&at, "b"), &listed,
				    &report, &e));
	cr_expect_str_eq(text_of(report, "verdict"), "no-evidence");
	cr_expect(json_is_null(json_object_get(report, "parent")));
	cr_expect_eq(count_of(report, "blocks") >= EXPERTS, true, "each block is listed when asked");
	json_decref(report);
	expect(ERR_NOTFOUND, flow_fork_compare(NULL, fixture_path(&at, "a"), "acme/none", &seven,
					       &report, &e));
	cr_expect_null(report);
}

Test(flow_fork, a_registered_release_is_compared_by_its_name)
{
	struct toy t = derived(CARD("base_model: acme/original\n"));
	json_t *report, *published;
	struct err e = { 0 };
	fixture_toy(&at, "a", &original);
	published = fixture_publish(&at, "a", "acme/original", "1");
	fixture_toy(&at, "b", &t);
	expect(0, flow_fork_compare(at.flow, text_of(published, "root"), fixture_path(&at, "b"), &seven,
				    &report, &e));
	cr_expect_eq(count_of(report, "findings"), 0, "a root has a name: %s",
		     text_of(item_of(report, "findings", 0), "detail"));
	json_decref(report);
	json_decref(published);
	expect(0, flow_fork_compare(at.flow, "acme/original", fixture_path(&at, "b"), &seven,
				    &report, &e));
	cr_expect_str_eq(text_of(report, "parent"), "acme/original");
	cr_expect_eq(count_of(report, "findings"), 0, "%s",
		     text_of(item_of(report, "findings", 0), "detail"));
	json_decref(report);
	fixture_flip(&at, "a/model.safetensors", 9000);
	expect(ERR_VERIFY, flow_fork_compare(at.flow, "acme/original", fixture_path(&at, "b"), &seven, &report, &e));
	cr_expect_null(report, "changed bytes accuse nobody");
}

Test(flow_fork, calibration_states_its_pairs_and_whether_they_suffice)
{
	static const struct {
		uint32_t experts;
		bool passed;
	} rows[] = { { EXPERTS, true }, { 1, false } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *report;
		struct err e = { 0 };
		fixture_toy(&at, "a", &(struct toy){ .seed = 1, .experts = rows[i].experts });
		expect(0, flow_fork_calibrate(NULL, fixture_path(&at, "a"), &seven, &report, &e));
		const json_t *row = item_of(report, "calibrations", 0);
		cr_expect_str_eq(text_of(row, "statistic"), "s1");
		cr_expect_eq(truth_of(report, "passed"), rows[i].passed, "row %zu", i);
		cr_expect_eq(number_of(report, "pairs") >= 300, rows[i].passed, "row %zu: %lld", i,
			     number_of(report, "pairs"));
		cr_expect_eq(json_is_string(json_object_get(row, "reason")), !rows[i].passed);
		cr_expect_str_eq(text_of(report, "seed"), "7");
		json_decref(report);
	}
}
