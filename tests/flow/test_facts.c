/* Files beside the weights: one meaning in many spellings is no finding, another meaning is one. Spellings
 * are those of transformers 4.2x to 5.x and tokenizers 0.13 to 0.22. */
#include "support.h"

#include "base/file.h"
#include "base/source.h"
#include "flow/fork_findings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct fixture at;

static void set_up(void) { fixture_make(&at); }
static void tear_down(void) { fixture_remove(&at); }
TestSuite(flow_facts, .init = set_up, .fini = tear_down, .timeout = 60);

/* A file of a side; the NULLs at the end are none. */
struct file {
	const char *name, *text;
};

static void write_side(const char *dir, const struct file *files, size_t count)
{
	char path[200];
	snprintf(path, sizeof path, "mkdir -p '%s/additional_chat_templates'", fixture_path(&at, dir));
	cr_assert_eq(system(path), 0);
	for (size_t i = 0; i < count && files[i].name; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, files[i].name);
		fixture_text(&at, path, files[i].text);
	}
}

static void read_side(const char *dir, const char *relation, struct flow_fork_facts *x)
{
	struct source *s;
	struct buf b = { 0 };
	struct err e = { 0 };
	expect(0, source_open_folder(&s, fixture_path(&at, dir), &e));
	if (source_read_file(s, "config.json", MIB(1), &b, &e) == 0)
		expect(0, json_read_as(&x->config, b.bytes, b.len, MIB(1), 32, JSON_PYTHON, &e));
	expect(0, flow_fork_facts_read(x, s, s, &e));
	snprintf(x->card.relation, sizeof x->card.relation, "%s", relation);
	buf_free(&b);
	source_close(s);
}

/* What is told of b, whose weights are a's with some noise. */
static json_t *compare(const struct file *a, const struct file *b, size_t count, const char *relation,
		       bool made)
{
	struct flow_fork_facts x = { .gguf = made }, y = { 0 };
	const struct flow_fork_measure m = { .verdict = FORK_DEPENDENT, .changed = 1, .share = NAN };
	json_t *list = json_array(), *models = json_pack("[s]", "acme/a");
	struct err e = { 0 };
	write_side("a", a, count);
	write_side("b", b, count);
	read_side("a", "", &x);
	read_side("b", relation, &y);
	flow_card_add_base(&y.card, "acme/a");
	const struct flow_fork_other other = { .facts = &x, .measure = &m, .name = "acme/a@1",
					       .models = models, .parent = true };
	const struct flow_fork_case c = { .suspect = &y, .name = "b", .other = &other, .others = 1 };
	expect(0, flow_fork_findings(&c, list, &e));
	flow_fork_facts_free(&x);
	flow_fork_facts_free(&y);
	json_decref(models);
	fixture_delete(&at, "a");
	fixture_delete(&at, "b");
	return list;
}

static void expect_told(const json_t *list, const char *row, const char *kind, const char *words)
{
	const json_t *first = json_array_get(list, 0);
	cr_expect_eq(json_array_size(list), kind[0] ? 1 : 0, "%s: %zu: %s", row, json_array_size(list),
		     text_of(first, "detail"));
	cr_expect_str_eq(text_of(first, "kind"), kind, "%s: %s", row, text_of(first, "detail"));
	cr_expect(strstr(text_of(first, "detail"), words), "%s: %s", row, text_of(first, "detail"));
}

/* ---- config.json ---- */

#define LLAMA(more)                                                                                     \
	"{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":64,"        \
	"\"intermediate_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":4,"                   \
	"\"num_key_value_heads\":2,\"vocab_size\":100,\"hidden_act\":\"silu\"" more "}"
#define OTHER(more) "{\"model_type\":\"nobody_knows\",\"hidden_size\":64" more "}"

static const struct {
	const char *row, *a, *b, *words; /* words "": no finding */
} configs[] = {
	{ "the same", LLAMA(""), LLAMA(""), "" },
	{ "defaults said", LLAMA(""),
	  LLAMA(",\"rope_theta\":10000.0,\"rms_norm_eps\":0.000001,\"max_position_embeddings\":2048,"
		"\"bos_token_id\":1,\"attention_bias\":false,\"rope_scaling\":null"),
	  "" },
	{ "numbers otherwise", LLAMA(",\"rms_norm_eps\":1e-5,\"rope_theta\":500000"),
	  LLAMA(",\"rms_norm_eps\":0.00001,\"rope_theta\":500000.0"), "" },
	{ "what version 5 calls it", LLAMA(",\"rope_theta\":500000.0,\"torch_dtype\":\"bfloat16\""),
	  LLAMA(",\"rope_parameters\":{\"rope_theta\":500000.0,\"rope_type\":\"default\"},\"dtype\":"
		"\"bfloat16\",\"transformers_version\":\"5.2.0\",\"use_cache\":false,"
		"\"_name_or_path\":\"/tmp/x\""),
	  "" },
	{ "scaling in both spellings",
	  LLAMA(",\"rope_theta\":500000,\"rope_scaling\":{\"type\":\"llama3\",\"factor\":8,"
		"\"low_freq_factor\":1,\"high_freq_factor\":4,"
		"\"original_max_position_embeddings\":8192}"),
	  LLAMA(",\"rope_parameters\":{\"rope_theta\":500000.0,\"rope_type\":\"llama3\","
		"\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
		"\"original_max_position_embeddings\":8192}"),
	  "" },
	{ "one end of text, or a list of it", LLAMA(",\"eos_token_id\":2"),
	  LLAMA(",\"eos_token_id\":[2]"), "" },
	{ "ends of text in another order", LLAMA(",\"eos_token_id\":[2,7]"),
	  LLAMA(",\"eos_token_id\":[7,2]"), "" },
	{ "stored otherwise", LLAMA(""),
	  LLAMA(",\"quantization_config\":{\"quant_method\":\"nobody_knows\",\"bits\":4}"), "" },
	{ "fewer layers are the weights' affair", LLAMA(""),
	  LLAMA(",\"num_hidden_layers_\":1"), "" },
	{ "theta", LLAMA(",\"rope_theta\":10000"), LLAMA(",\"rope_theta\":1000000"),
	  "rope_theta is 10000 in the parent and 1000000 here" },
	{ "theta against a default", LLAMA(""),
	  LLAMA(",\"rope_parameters\":{\"rope_theta\":500000.0,\"rope_type\":\"default\"}"),
	  "rope_theta is 10000 in the parent and 500000 here" },
	{ "scaling", LLAMA(""), LLAMA(",\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":4.0}"),
	  "rope_type is default in the parent and linear here" },
	{ "epsilon", LLAMA(",\"rms_norm_eps\":1e-5"), LLAMA(",\"rms_norm_eps\":1e-6"),
	  "rms_norm_eps is 1e-05 in the parent and 1e-06 here" },
	{ "an end of text more", LLAMA(",\"eos_token_id\":2"), LLAMA(",\"eos_token_id\":[2,7]"),
	  "eos_token_id is 2 in the parent and 2, 7 here" },
	{ "of no known family: absent is not another", OTHER(",\"rope_theta\":10000"), OTHER(""), "" },
	{ "the same there", OTHER(",\"rope_theta\":10000,\"eos_token_id\":2,\"rms_norm_eps\":1e-6"),
	  OTHER(",\"rope_parameters\":{\"rope_theta\":10000.0,\"rope_type\":\"default\"},"
		"\"eos_token_id\":[2],\"rms_norm_eps\":0.000001"),
	  "" },
	{ "scaling there", OTHER(",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}"),
	  OTHER(",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4.0}"), "" },
	{ "another theta there", OTHER(",\"rope_theta\":10000"),
	  OTHER(",\"rope_parameters\":{\"rope_theta\":5e5}"), "rope_theta is 10000" },
	{ "another scaling there", OTHER(""), OTHER(",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}"),
	  "rope_type is default in the parent and yarn here" },
	{ "another factor there", OTHER(",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":8}"),
	  OTHER(",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4}"),
	  "factor is 8 in the parent and 4 here" },
	{ "in a text part there", OTHER(",\"text_config\":{\"rms_norm_eps\":1e-5}"),
	  OTHER(",\"rms_norm_eps\":1e-6"), "rms_norm_eps" },
};

Test(flow_facts, configs_are_compared_by_what_they_mean)
{
	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
		const struct file a = { "config.json", configs[i].a }, b = { "config.json", configs[i].b };
		json_t *list = compare(&a, &b, 1, "", false);
		expect_told(list, configs[i].row, configs[i].words[0] ? "F-CONFIG" : "",
			    configs[i].words);
		cr_expect(!configs[i].words[0] ||
			  strcmp(text_of(json_array_get(list, 0), "severity"), "note") == 0);
		json_decref(list);
	}
}

/* What is told of a config beside another. unknown: both of a family that nobody knows. */
static json_t *compare_configs(const json_t *a, const json_t *b, bool unknown)
{
	struct flow_fork_facts x = { .config = json_deep_copy(a) }, y = { .config = json_deep_copy(b) };
	const struct flow_fork_measure m = { .verdict = FORK_DEPENDENT, .changed = 1, .share = NAN };
	const struct flow_fork_other other = { .facts = &x, .measure = &m, .name = "a", .parent = true };
	const struct flow_fork_case c = { .suspect = &y, .name = "b", .other = &other, .others = 1 };
	json_t *list = json_array();
	struct err e = { 0 };
	if (unknown) {
		json_object_set_new(x.config, "model_type", json_string("nobody_knows"));
		json_object_set_new(y.config, "model_type", json_string("nobody_knows"));
	}
	flow_card_add_base(&y.card, "a");
	expect(0, flow_fork_findings(&c, list, &e));
	json_decref(x.config);
	json_decref(y.config);
	return list;
}

/* The configs of the oracles as transformers 5.24 saves them. */
Test(flow_facts, configs_saved_again_by_another_version_mean_the_same)
{
	struct buf b = { 0 };
	struct err e = { 0 };
	size_t rows = 0;
	expect(0, file_read("tests/vectors/configs/transformers-5.24.jsonl", MIB(1), &b, &e));
	for (char *line = strtok(b.bytes, "\n"); line; line = strtok(NULL, "\n"), rows++) {
		json_t *row = json_loads(line, 0, NULL);
		char path[200];
		snprintf(path, sizeof path, "tests/vectors/oracles/%s/config.json", text_of(row, "oracle"));
		json_t *was = json_load_file(path, 0, NULL);
		cr_assert(row && was, "%s", path);
		for (int unknown = 0; unknown < 2; unknown++) {
			json_t *list = compare_configs(was, json_object_get(row, "config"), unknown);
			cr_expect_eq(json_array_size(list), 0, "%s%s: %s", path, unknown ? ", unknown" : "",
				     text_of(json_array_get(list, 0), "detail"));
			json_decref(list);
		}
		json_decref(row);
		json_decref(was);
	}
	cr_expect_geq(rows, 40);
	buf_free(&b);
}

Test(flow_facts, ends_of_text_count_wherever_they_are_said)
{
	const struct file a[] = { { "config.json", LLAMA(",\"eos_token_id\":2") },
				  { "generation_config.json", "{\"eos_token_id\":[2,7]}" } };
	const struct file b[] = { { "config.json", LLAMA(",\"eos_token_id\":[2,7]") }, { 0 } };
	json_t *list = compare(a, b, 2, "", false);
	expect_told(list, "in generation_config.json", "", "");
	json_decref(list);
}

Test(flow_facts, who_only_stores_weights_otherwise_has_no_reason_to_change_the_config)
{
	const struct file a = { "config.json", LLAMA("") },
			  b = { "config.json", LLAMA(",\"rope_theta\":7") };
	json_t *list = compare(&a, &b, 1, "quantized", false);
	cr_expect_str_eq(text_of(json_array_get(list, 0), "severity"), "warning");
	json_decref(list);
}

Test(flow_facts, a_config_made_of_a_gguf_file_says_less)
{
	const struct file a = { "config.json", LLAMA(",\"rms_norm_eps\":9.99999997e-07,"
						     "\"eos_token_id\":7,\"max_position_embeddings\":99") },
			  b = { "config.json", LLAMA(",\"rms_norm_eps\":1e-6,\"eos_token_id\":[2,7]") };
	json_t *list = compare(&a, &b, 1, "", true);
	expect_told(list, "made", "", "");
	json_decref(list);
}

/* ---- tokenizer.json ---- */

#define TOKENS(added, more, vocab, merges)                                                           \
	"{\"version\":\"1.0\",\"added_tokens\":[" added "]" more                                      \
	",\"model\":{\"type\":\"BPE\",\"vocab\":{" vocab "},\"merges\":[" merges "]}}"
#define VOCAB "\"a\":0,\"b\":1,\"ab\":2"
#define END "{\"id\":3,\"content\":\"<end>\",\"special\":true,\"normalized\":false}"
#define PLAIN TOKENS(END, "", VOCAB, "\"a b\"")

static const struct {
	const char *row, *a, *b, *words;
} tokenizers[] = {
	{ "the same", PLAIN, PLAIN, "" },
	{ "other white space and order", PLAIN,
	  "{ \"model\": {\"merges\":[\"a b\"], \"vocab\": {\"ab\":2,\"b\":1,\"a\":0}, \"type\":\"BPE\"},\n"
	  " \"added_tokens\": [" END "] }",
	  "" },
	{ "merges as pairs", PLAIN, TOKENS(END, "", VOCAB, "[\"a\",\"b\"]"), "" },
	{ "defaults said", PLAIN,
	  "{\"version\":\"1.0\",\"truncation\":null,\"padding\":{\"x\":1},\"added_tokens\":["
	  "{\"id\":3,\"content\":\"<end>\",\"special\":true,\"normalized\":true,\"lstrip\":false,"
	  "\"rstrip\":false,\"single_word\":false}],\"normalizer\":null,\"model\":{\"type\":\"BPE\","
	  "\"dropout\":null,\"unk_token\":null,\"fuse_unk\":false,\"byte_fallback\":false,"
	  "\"ignore_merges\":false,\"continuing_subword_prefix\":\"\",\"vocab\":{" VOCAB
	  "},\"merges\":[\"a b\"]}}",
	  "" },
	{ "added tokens in the vocabulary too", PLAIN,
	  TOKENS(END, "", VOCAB ",\"<end>\":3", "\"a b\""), "" },
	{ "steps of one step, and offsets",
	  TOKENS(END, ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
		      "\"trim_offsets\":true,\"use_regex\":true},\"post_processor\":null",
		 VOCAB, "\"a b\""),
	  TOKENS(END, ",\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":"
		      "\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":false}]},"
		      "\"post_processor\":{\"type\":\"ByteLevel\",\"trim_offsets\":false}",
		 VOCAB, "\"a b\""),
	  "" },
	{ "options of a decoder that has none, as Qwen2Tokenizer writes them",
	  TOKENS(END, ",\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
		      "\"trim_offsets\":false,\"use_regex\":false}",
		 VOCAB, "\"a b\""),
	  TOKENS(END, ",\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
		      "\"trim_offsets\":true,\"use_regex\":true}",
		 VOCAB, "\"a b\""),
	  "" },
	{ "how a metaspace begins, in both spellings",
	  TOKENS(END, ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\","
		      "\"add_prefix_space\":true,\"str_rep\":\"_\"}",
		 VOCAB, "\"a b\""),
	  TOKENS(END, ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\","
		      "\"prepend_scheme\":\"always\",\"split\":true}",
		 VOCAB, "\"a b\""),
	  "" },
	{ "two tokens added", PLAIN,
	  TOKENS(END ",{\"id\":4,\"content\":\"<x>\",\"special\":true},{\"id\":5,\"content\":\"<y>\"}", "",
		 VOCAB, "\"a b\""),
	  "2 tokens are added to those of acme/a@1: <x>, <y>" },
	{ "one gone", PLAIN, TOKENS("", "", VOCAB, "\"a b\""),
	  "1 tokens of acme/a@1 are missing: <end>" },
	{ "one renamed", PLAIN, TOKENS("{\"id\":3,\"content\":\"<im>\",\"special\":true}", "", VOCAB, "\"a b\""),
	  "1 added tokens have another text than in acme/a@1: <im>" },
	{ "two exchanged", PLAIN, TOKENS(END, "", "\"b\":0,\"a\":1,\"ab\":2", "\"a b\""),
	  "the vocabulary is not that of acme/a@1 (4 tokens; 4 here)" },
	{ "another merge", PLAIN, TOKENS(END, "", VOCAB, "\"b a\""), "merges, scores or options" },
	{ "an option", PLAIN,
	  "{\"added_tokens\":[" END "],\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"vocab\":{" VOCAB
	  "},\"merges\":[\"a b\"]}}",
	  "merges, scores or options" },
	{ "another split", PLAIN,
	  TOKENS(END, ",\"pre_tokenizer\":{\"type\":\"Whitespace\"}", VOCAB, "\"a b\""),
	  "split, normalised or framed otherwise" },
	{ "a regular expression that is not used",
	  TOKENS(END, ",\"pre_tokenizer\":{\"type\":\"ByteLevel\"}", VOCAB, "\"a b\""),
	  TOKENS(END, ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"use_regex\":false}", VOCAB, "\"a b\""),
	  "split, normalised or framed otherwise" },
	{ "no longer special", PLAIN, TOKENS("{\"id\":3,\"content\":\"<end>\"}", "", VOCAB, "\"a b\""),
	  "1 added tokens are special, or stripped, otherwise" },
	{ "not JSON", PLAIN, "{", "tokenizer.json here cannot be read:" },
	{ "not a tokenizer", PLAIN, "{}", "tokenizer.json here cannot be read: it has no model" },
};

Test(flow_facts, tokenizers_are_compared_by_the_ids_that_they_give)
{
	for (size_t i = 0; i < sizeof tokenizers / sizeof *tokenizers; i++) {
		const struct file a = { "tokenizer.json", tokenizers[i].a },
				  b = { "tokenizer.json", tokenizers[i].b };
		json_t *list = compare(&a, &b, 1, "", false);
		expect_told(list, tokenizers[i].row, tokenizers[i].words[0] ? "F-TOKENIZER" : "",
			    tokenizers[i].words);
		json_decref(list);
	}
}

Test(flow_facts, a_tokenizer_in_another_form_is_not_compared)
{
	static const struct {
		struct file a, b;
		const char *kind;
	} forms[] = {
		{ { "tokenizer.model", "x" }, { "tokenizer.model", "x" }, "" },
		{ { "tokenizer.model", "x" }, { "tokenizer.model", "y" }, "F-TOKENIZER" },
		{ { "tokenizer.model", "x" }, { "tokenizer.json", PLAIN }, "" },
		{ { "tokenizer.json", PLAIN }, { NULL, NULL }, "" },
	};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		json_t *list = compare(&forms[i].a, &forms[i].b, 1, "", false);
		expect_told(list, forms[i].a.text, forms[i].kind, "");
		json_decref(list);
	}
}

/* ---- tokenizer_config.json and templates ---- */

#define TEMPLATE "{% for m in messages %}\n  {{ m['content'] }}\n{% endfor %}"
#define ESCAPED "{% for m in messages %}\\n  {{ m['content'] }}\\n{% endfor %}"

static const struct {
	const char *row;
	struct file a[2], b[2];
	const char *kind, *words;
} texts[] = {
	{ "in the config, or a file of its own",
	  { { "tokenizer_config.json", "{\"chat_template\":\"" ESCAPED "\"}" } },
	  { { "chat_template.jinja", TEMPLATE "\n" } }, "", "" },
	{ "line ends and indents", { { "chat_template.jinja", TEMPLATE } },
	  { { "chat_template.jinja",
	      "{%  for m in messages  %}\r\n\t{{ m[ 'content' ] }}{% endfor %}" } }, "", "" },
	{ "a list of one, as of old",
	  { { "tokenizer_config.json",
	      "{\"chat_template\":[{\"name\":\"default\",\"template\":\"" ESCAPED "\"}]}" } },
	  { { "chat_template.jinja", TEMPLATE } }, "", "" },
	{ "a list of two, or two files",
	  { { "tokenizer_config.json",
	      "{\"chat_template\":[{\"name\":\"default\",\"template\":\"a\"},"
	      "{\"name\":\"tool_use\",\"template\":\"b\"}]}" } },
	  { { "chat_template.jinja", "a" }, { "additional_chat_templates/tool_use.jinja", "b\n" } }, "",
	  "" },
	{ "of a processor", { { "chat_template.json", "{\"chat_template\":\"a\"}" } },
	  { { "chat_template.jinja", "a" } }, "", "" },
	{ "words that grew together", { { "chat_template.jinja", "{% if not tools %}" } },
	  { { "chat_template.jinja", "{% if nottools %}" } }, "F-TEMPLATE",
	  "the chat template (default) differs from that of acme/a@1" },
	{ "another of two",
	  { { "tokenizer_config.json",
	      "{\"chat_template\":[{\"name\":\"default\",\"template\":\"a\"},"
	      "{\"name\":\"rag\",\"template\":\"b\"}]}" } },
	  { { "chat_template.jinja", "a" }, { "additional_chat_templates/rag.jinja", "c" } },
	  "F-TEMPLATE", "the chat template (rag) differs" },
	{ "one gone", { { "chat_template.jinja", "a" } }, { { "x", "" } }, "F-TEMPLATE",
	  "(default) of acme/a@1 is missing" },
	{ "one added", { { "x", "" } }, { { "chat_template.jinja", "a" } }, "F-TEMPLATE", "one is added" },
	{ "a config that does not parse", { { "chat_template.jinja", "a" } },
	  { { "tokenizer_config.json", "{\"chat_template\": \"a" } }, "F-TEMPLATE",
	  "cannot be read whole: tokenizer_config.json:" },
	{ "the same where it does not matter", { { "chat_template.jinja", "a" } },
	  { { "tokenizer_config.json", "{" }, { "chat_template.jinja", "a" } }, "", "" },
	{ "special tokens as texts, or as objects",
	  { { "tokenizer_config.json",
	      "{\"eos_token\":{\"__type\":\"AddedToken\",\"content\":\"</s>\"},\"add_bos_token\":true}" } },
	  { { "tokenizer_config.json",
	      "{\"eos_token\":\"</s>\",\"backend\":\"tokenizers\",\"is_local\":true,\"pad_token\":\"x\"}" } },
	  "", "" },
};

Test(flow_facts, templates_and_special_tokens_are_compared_by_what_they_mean)
{
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		json_t *list = compare(texts[i].a, texts[i].b, 2, "", false);
		expect_told(list, texts[i].row, texts[i].kind, texts[i].words);
		json_decref(list);
	}
}
