#include "base/json.h"
#include "base/limits.h"
#include "model/config.h"
#include "model/rope.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *case_config(const char *name)
{
	char dir[100];
	struct buf b = { 0 };
	struct source *s;
	struct err e = { 0 };
	json_t *o;
	snprintf(dir, sizeof dir, "tests/vectors/oracles/%s", name);
	cr_assert_eq(source_open_folder(&s, dir, &e), 0, "%s", e.text);
	cr_assert_eq(source_read_file(s, "config.json", MIB(1), &b, &e), 0);
	cr_assert_eq(json_read(&o, b.bytes, b.len, MIB(1), 32, &e), 0);
	buf_free(&b);
	source_close(s);
	return o;
}

static json_t *base_config(void)
{
	return case_config("deepseek_v2");
}

/* A case's config with members replaced ("null" removes nothing: it sets null); `drop` removes one. */
static int parse_case(const char *name, const char *changes, const char *drop, struct model_config *c,
                      struct err *e)
{
	json_t *o = case_config(name), *more = json_loads(changes, 0, NULL);
	struct buf b = { 0 };
	cr_assert_not_null(more, "%s", changes);
	json_object_update(o, more);
	if (drop != NULL)
		json_object_del(o, drop);
	cr_assert_eq(json_write(o, 0, &b, e), 0);
	int r = model_config_parse(c, b.bytes, b.len, NULL, 0, e);
	buf_free(&b);
	json_decref(o);
	json_decref(more);
	return r;
}

static int parse_with(const char *changes, const char *drop, struct model_config *c, struct err *e)
{
	return parse_case("deepseek_v2", changes, drop, c, e);
}

#define U ERR_UNSUPPORTED
#define I ERR_INPUT

static const struct { const char *changes, *drop; int code; const char *word; } refusals[] = {
	{ "{\"model_type\":\"deepseek_v4\"}", NULL, U,
	  "not available in this version: model_type deepseek_v4" },
	{ "{\"model_type\":\"rwkv\"}", NULL, U, "unknown model_type \"rwkv\"" },
	{ "{\"model_type\":7}", NULL, I, "model_type" },
	{ "{}", "model_type", I, "model_type" },
	{ "{\"hidden_act\":\"gelu\"}", NULL, U, "hidden_act \"gelu\"" },
	{ "{\"rope_scaling\":{\"type\":\"ntk\",\"factor\":4}}", NULL, U,
	  "rope_scaling.type \"ntk\"" },
	{ "{\"rope_scaling\":{\"type\":\"longrope\",\"factor\":4}}", NULL, I,
	  "rope_scaling.short_factor missing" },
	{ "{\"rope_scaling\":{\"rope_type\":\"yarn\"}}", NULL, I, "rope_scaling.factor missing" },
	{ "{\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,\"original_max_position_embeddings\":0}}", NULL,
	  I, "original_max_position_embeddings 0" },
	{ "{\"rope_scaling\":{\"full_attention\":{\"rope_type\":\"default\"}}}", NULL, U,
	  "rope_scaling.full_attention" },
	{ "{\"is_causal\":false}", NULL, U, "is_causal false" },
	{ "{\"per_layer_config\":{\"0\":{}}}", NULL, U, "per_layer_config" },
	{ "{\"swiglu_alpha\":1.5}", NULL, U, "swiglu_alpha" },
	{ "{\"norm_topk_prob\":true}", NULL, U, "norm_topk_prob true" },
	{ "{\"num_experts\":5}", NULL, I, "num_experts 5: disagrees" },
	{ "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":4,\"short_factor\":[1]}}", NULL, U,
	  "short_factor" },
	{ "{\"rope_scaling\":\"yarn\"}", NULL, I, "rope_scaling" },
	{ "{\"quantization_config\":{\"quant_method\":\"mxfp4\"}}", NULL, U, "mxfp4" },
	{ "{\"quantization_config\":{\"quant_method\":\"fp8\",\"fmt\":\"e5m2\",\"weight_block_size\":[128,128]}}",
	  NULL, U, "e5m2" },
	{ "{\"index_topk\":2048}", NULL, U, "index_topk 2048" },
	{ "{\"vision_config\":{}}", NULL, U, "vision_config" },
	{ "{\"attn_logit_softcapping\":50}", NULL, U, "attn_logit_softcapping" },
	{ "{\"sliding_window\":12}", NULL, U, "sliding_window 12" },
	{ "{\"layer_types\":[\"linear_attention\"]}", NULL, U, "layer_types" },
	{ "{\"scoring_func\":\"sigmoid\"}", NULL, U, "scoring_func \"sigmoid\"" },
	{ "{\"topk_method\":\"noaux_tc\"}", NULL, U, "topk_method \"noaux_tc\"" },
	{ "{\"n_group\":5}", NULL, I, "n_group" },
	{ "{\"topk_group\":5}", NULL, I, "topk_group" },
	{ "{\"n_group\":12,\"topk_group\":2}", NULL, I, "topk_group" },
	{ "{\"num_experts_per_tok\":13}", NULL, I, "num_experts_per_tok" },
	{ "{\"num_experts_per_tok\":0}", NULL, I, "num_experts_per_tok" },
	{ "{\"n_routed_experts\":100000}", NULL, I, "n_routed_experts" },
	{ "{\"qk_rope_head_dim\":23}", NULL, U, "qk_rope_head_dim 23" },
	{ "{\"mlp_bias\":true}", NULL, U, "mlp_bias" },
	{ "{\"hidden_size\":0}", NULL, I, "hidden_size 0" },
	{ "{\"hidden_size\":-3}", NULL, I, "hidden_size" },
	{ "{\"hidden_size\":\"48\"}", NULL, I, "hidden_size" },
	{ "{\"hidden_size\":48.5}", NULL, I, "hidden_size" },
	{ "{\"hidden_size\":99999999999}", NULL, I, "hidden_size" },
	{ "{\"hidden_size\":null}", NULL, I, "hidden_size" },
	{ "{}", "num_experts_per_tok", I, "num_experts_per_tok missing" },
	{ "{\"tie_word_embeddings\":1}", NULL, I, "tie_word_embeddings" },
	{ "{\"rms_norm_eps\":\"x\"}", NULL, I, "rms_norm_eps" },
	{ "{\"rope_theta\":0}", NULL, I, "rope_theta" },
	{ "{\"eos_token_id\":[1,\"2\"]}", NULL, I, "eos_token_id" },
	{ "{\"eos_token_id\":[1,1,1,1,1,1,1,1,1]}", NULL, U, "eos_token_id" },
};

Test(model_config, refuses_by_key_and_value)
{
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct model_config c;
		struct err e = { 0 };
		int r = parse_with(refusals[i].changes, refusals[i].drop, &c, &e);
		cr_assert_eq(r, refusals[i].code, "%s: %d %s", refusals[i].changes, r, e.text);
		cr_assert_not_null(strstr(e.text, refusals[i].word), "%s: %s", refusals[i].changes, e.text);
	}
}

static const struct { const char *name, *changes; int code; const char *word; } family_refusals[] = {
	{ "deepseek_v3", "{\"scoring_func\":\"softmax\"}", U, "scoring_func \"softmax\"" },
	{ "deepseek_v3", "{\"topk_method\":\"greedy\"}", U, "topk_method \"greedy\"" },
	{ "deepseek_v3", "{\"n_group\":16,\"topk_group\":8}", I, "n_group 16" },
	{ "deepseek_v3", "{\"index_topk\":64}", U, "index_topk 64" },
	{ "deepseek_v3", "{\"n_routed_experts\":null}", I, "n_routed_experts null" },
	{ "llama", "{\"num_key_value_heads\":3}", I, "num_key_value_heads 3" },
	{ "llama", "{\"head_dim\":31}", U, "head_dim 31: odd" },
	{ "llama", "{\"sliding_window\":64}", U, "sliding_window 64" },
	{ "llama", "{\"partial_rotary_factor\":0.5}", U, "partial_rotary_factor" },
	{ "llama", "{\"rope_scaling\":{\"rope_type\":\"axial\",\"factor\":2}}", U, "\"axial\"" },
	{ "llama", "{\"rope_scaling\":{\"rope_type\":\"dynamic\"}}", I, "rope_scaling.factor missing" },
	{ "llama", "{\"quantization_config\":{\"quant_method\":\"mxfp4\"}}", U, "mxfp4" },
	{ "llama_linear", "{\"num_attention_heads\":5}", I, "num_attention_heads 5" },
	{ "mistral", "{\"sliding_window\":0}", I, "sliding_window 0" },
	{ "mistral", "{\"layer_types\":[\"full_attention\"]}", U, "layer_types" },
	{ "qwen3", "{\"layer_types\":[\"full_attention\",\"linear_attention\",\"full_attention\"]}", U,
	  "layer_types" },
	{ "qwen2_moe", "{\"use_sliding_window\":true}", U, "use_sliding_window" },
	{ "qwen3_moe", "{\"mlp_only_layers\":[\"3\"]}", I, "mlp_only_layers" },
	{ "qwen3_moe", "{\"num_experts_per_tok\":12}", I, "num_experts_per_tok 12" },
	{ "olmoe", "{\"clip_qkv\":-1}", I, "clip_qkv" },
	{ "gpt_oss", "{\"swiglu_limit\":6.5}", U, "swiglu_limit" },
	{ "llama", "{\"hidden_size\":0}", I, "hidden_size 0: out of range, 1 to 1048576" },
	{ "llama", "{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":5,"
	  "\"high_freq_factor\":4,\"original_max_position_embeddings\":64}}", I, "high_freq_factor 4: below" },
	{ "llama", "{\"rope_parameters\":{\"rope_type\":\"default\",\"rope_theta\":10000}}", I,
	  "disagrees with rope_parameters" },
	{ "gpt_oss", "{\"hidden_act\":\"gelu\"}", U, "hidden_act" },
	{ "gpt_oss", "{\"quantization_config\":{\"quant_method\":\"quark\"}}", U, "\"quark\"" },
	{ "gpt_oss", "{\"layer_types\":[\"full_attention\"]}", U, "layer_types" },
	{ "glm4_moe", "{\"partial_rotary_factor\":0.01}", U, "head_dim" },
};

Test(model_config, families_refuse_by_key_and_value)
{
	for (size_t i = 0; i < sizeof family_refusals / sizeof family_refusals[0]; i++) {
		struct model_config c;
		struct err e = { 0 };
		const char *name = family_refusals[i].name;
		json_t *o = json_loads(family_refusals[i].changes, 0, NULL);
		if (strcmp(name, "kimi_k2") == 0) {
			name = "deepseek_v3";
			json_object_set_new(o, "model_type", json_string("kimi_k2"));
		}
		char *changes = json_dumps(o, 0);
		int r = parse_case(name, changes, NULL, &c, &e);
		cr_assert_eq(r, family_refusals[i].code, "%s %s: %d %s", name, changes, r, e.text);
		cr_assert_not_null(strstr(e.text, family_refusals[i].word), "%s %s: %s", name, changes,
		                   e.text);
		free(changes);
		json_decref(o);
	}
}

/* Which layers attend a window, as bits from layer 0 on. */
static const struct { const char *name, *changes; uint32_t window, layers; } windows[] = {
	{ "gpt_oss", "{}", 8, 0x5 },
	{ "gpt_oss", "{\"layer_types\":null}", 8, 0x5 },
	{ "gpt_oss", "{\"layer_types\":[\"full_attention\",\"full_attention\",\"sliding_attention\","
	  "\"full_attention\"]}", 8, 0x4 },
	{ "mistral", "{\"sliding_window\":4096}", 4096, 0x7 },
	{ "mistral", "{}", 0, 0 },
	{ "mistral", "{\"sliding_window\":9,\"layer_types\":[\"full_attention\",\"sliding_attention\","
	  "\"full_attention\"]}", 9, 0x2 },
	{ "mistral", "{\"sliding_window\":1099511627776}", LIMIT_CONTEXT_TOKENS, 0x7 },
	{ "llama", "{\"sliding_window\":131072,\"max_position_embeddings\":131072}", 0, 0 },
	{ "qwen2", "{}", 0, 0 },
	{ "qwen2", "{\"use_sliding_window\":true}", 8, 0x6 },
	{ "qwen2", "{\"use_sliding_window\":true,\"layer_types\":[\"attention\",\"sliding_attention\","
	  "\"attention\"]}", 8, 0x2 },
	{ "qwen3_moe", "{\"use_sliding_window\":true,\"sliding_window\":5}", 5, 0x7 },
	{ "qwen3_moe", "{\"use_sliding_window\":true,\"sliding_window\":5,\"layer_types\":[\"full_attention\","
	  "\"full_attention\",\"full_attention\"]}", 5, 0x7 },
	{ "llama", "{\"layer_types\":[\"full_attention\",\"full_attention\",\"full_attention\"]}", 0, 0 },
	{ "qwen2", "{\"use_sliding_window\":true,\"layer_types\":[\"sliding_attention\",\"full_attention\","
	  "\"full_attention\"]}", 8, 0x1 },
};

Test(model_config, windows_hold_for_their_layers)
{
	for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
		struct model_config c;
		struct err e = { 0 };
		uint32_t got = 0;
		cr_assert_eq(parse_case(windows[i].name, windows[i].changes, NULL, &c, &e), 0, "%s: %s",
		             windows[i].name, e.text);
		for (uint32_t l = 0; l < c.layers; l++) {
			cr_assert(c.layer[l].window == 0 ||
			          c.layer[l].window == windows[i].window);
			got |= (c.layer[l].window != 0 ? 1u : 0u) << l;
		}
		cr_assert_eq(got, windows[i].layers, "%s %s: %x", windows[i].name, windows[i].changes,
		             got);
	}
}

/* A key that is left out means what the architecture's reference class would take. */
Test(model_config, absent_keys_mean_the_reference_defaults)
{
	struct model_config c;
	struct err e = { 0 };
	cr_assert_eq(parse_case("mixtral", "{}", "rms_norm_eps", &c, &e), 0, "%s", e.text);
	cr_assert(c.norm_eps == 1e-5f);
	cr_assert_eq(parse_case("llama", "{}", "rms_norm_eps", &c, &e), 0, "%s", e.text);
	cr_assert(c.norm_eps == 1e-6f);
	cr_assert_eq(parse_case("glm4_moe", "{}", "partial_rotary_factor", &c, &e), 0, "%s", e.text);
	cr_assert(c.ropes[0].size == c.all.head / 2);
	cr_assert_eq(parse_case("gpt_oss", "{}", "rope_scaling", &c, &e), 0, "%s", e.text);
	cr_assert(c.ropes[0].kind == MODEL_ROPE_YARN && c.ropes[0].factor == 32 && !c.ropes[0].truncate &&
	          c.ropes[0].context_original == 4096);
	cr_assert_eq(parse_case("gpt_oss", "{\"layer_types\":null}", "sliding_window", &c, &e), 0, "%s",
	             e.text);
	cr_assert(c.layer[0].window == 128 && c.layer[1].window == 0);
	cr_assert_eq(parse_case("mistral", "{}", "sliding_window", &c, &e), 0, "%s", e.text);
	cr_assert_eq(c.layer[0].window, 4096);
	cr_assert_eq(parse_case("deepseek_v3", "{\"n_routed_experts\":16}", "routed_scaling_factor", &c,
	                        &e), 0, "%s",
	             e.text);
	cr_assert(c.gate.scaling == 2.5f);
	cr_assert_eq(parse_case("deepseek_v3", "{\"n_routed_experts\":16,\"topk_group\":4}", "n_group", &c, &e), 0,
	             "%s", e.text);
	cr_assert_eq(c.gate.groups, 8);
}

/* The file that says no more than its type, and the one in which the reference class wrote out all
 * that it assumes, mean the same. */
Test(model_config, defaults_are_those_of_the_reference_classes)
{
	struct source *s;
	struct buf b = { 0 };
	struct err e = { 0 };
	json_t *all, *whole;
	const char *type;
	cr_assert_eq(source_open_folder(&s, "tests/vectors/configs", &e), 0, "%s", e.text);
	cr_assert_eq(source_read_file(s, "defaults.json", MIB(1), &b, &e), 0, "%s", e.text);
	cr_assert_eq(json_read(&all, b.bytes, b.len, MIB(1), 32, &e), 0, "%s", e.text);
	cr_assert_eq(json_object_size(all), 23);
	json_object_foreach(all, type, whole)
	{
		static struct model_config c[2];
		struct buf text = { 0 };
		char bare[120];
		/* Two classes assume what no model can be made of. */
		const char *needs = strcmp(type, "deepseek_v2") == 0 ? "num_experts_per_tok"
		                    : strcmp(type, "glm4_moe") == 0  ? "head_dim" : "pad_token_id";
		snprintf(bare, sizeof bare, "{\"model_type\":\"%s\",\"%s\":8}", type, needs);
		json_object_set_new(whole, needs, json_integer(8));
		cr_assert_eq(json_write(whole, 0, &text, &e), 0);
		memset(c, 0, sizeof c);
		cr_assert_eq(model_config_parse(&c[0], bare, strlen(bare), NULL, 0, &e), 0, "%s: %s", type,
		             e.text);
		cr_assert_eq(model_config_parse(&c[1], text.bytes, text.len, NULL, 0, &e), 0, "%s: %s", type,
		             e.text);
		cr_expect_str_eq(c[0].notes, "", "%s: %s", type, c[0].notes);
		cr_expect_str_eq(c[1].notes, "", "%s: %s", type, c[1].notes);
		c[0].digest = c[1].digest;
		c[0].eos_assumed = c[1].eos_assumed;
		c[0].bos = c[1].bos; /* the tokenizer's, where the file has none */
		cr_expect_eq(memcmp(&c[0], &c[1], sizeof c[0]), 0, "%s: hidden %u %u, heads %u/%u %u/%u, head %u %u, "
		             "ffn %u %u, eos %u %u, window %u %u", type, c[0].hidden, c[1].hidden, c[0].all.heads,
		             c[0].all.kv_heads, c[1].all.heads, c[1].all.kv_heads, c[0].all.head,
		             c[1].all.head, c[0].all.width, c[1].all.width, c[0].eos_count, c[1].eos_count,
		             c[0].all.window, c[1].all.window);
		buf_free(&text);
	}
	json_decref(all);
	buf_free(&b);
	source_close(s);
}

/* Factors of one change nothing; an empty member says nothing; yarn's own attn_factor scales. */
Test(model_config, spellings_that_change_nothing_are_taken)
{
	struct model_config c;
	struct err e = { 0 };
	struct rope_table t;
	cr_assert_eq(parse_case("llama", "{\"partial_rotary_factor\":1.0,\"logits_scaling\":1,"
	                        "\"rope_parameters\":{}}", NULL, &c, &e), 0, "%s", e.text);
	cr_assert_eq(c.ropes[0].kind, MODEL_ROPE_LLAMA3);
	cr_assert_eq(parse_case("qwen3", "{\"rope_scaling\":{\"rope_type\":null,\"type\":\"yarn\",\"factor\":4,"
	                        "\"attn_factor\":0.8782488562869419,\"original_max_position_embeddings\":32768}}",
	                        NULL, &c, &e), 0, "%s", e.text);
	cr_assert_eq(c.ropes[0].kind, MODEL_ROPE_YARN);
	cr_assert_eq(rope_table_open(&t, &c.ropes[0], &e), 0);
	cr_assert_float_eq(t.factor, 1, 1e-6);
	rope_table_close(&t);
}

/* What a person should know is said once, and nothing else is. */
static const struct { const char *name, *changes, *notes; } noted[] = {
	{ "llama", "{}", "" },
	{ "llama", "{\"model_max_length\":9,\"pad_token_id\":-1,\"use_cache\":true,\"dtype\":\"x\"}", "" },
	{ "mixtral", "{\"router_jitter_noise\":0.1,\"router_aux_loss_coef\":0,\"use_cache\":false,"
	  "\"_name_or_path\":\"x\",\"v_head_dim\":3}", "" },
	{ "llama", "{\"foo\":1,\"bar\":null,\"baz\":{}}",
	  "config.json: not known here and without effect: foo, baz\n" },
	{ "deepseek_v3", "{\"auto_map\":{\"AutoModel\":\"modeling_x.X\"}}",
	  "config.json: auto_map names code of the folder's own, which is not run: computed as "
	  "deepseek_v3\n" },
	{ "llama", "{\"architectures\":[\"LlamaModel\"]}",
	  "config.json: architectures names LlamaModel: computed as a llama that continues text\n" },
	{ "llama", "{\"eos_token_id\":[1,-1,4000]}",
	  "config.json: eos_token_id 4000 is outside the vocabulary of 240\n" },
	{ "llama", "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"finetuned\":true,"
	  "\"extrapolation_factor\":1}}",
	  "config.json: rope_scaling.extrapolation_factor is without effect, as in the reference\n" },
	{ "llama", "{\"original_max_position_embeddings\":32}",
	  "config.json: original_max_position_embeddings 32 counts, "
	  "rope_scaling.original_max_position_embeddings 20 does not, as in the reference\n" },
	{ "deepseek_v2", "{\"rope_interleave\":false,\"auto_map\":null}",
	  "config.json: rope_interleave false is without effect in deepseek_v2, as in the reference\n" },
	{ "llama", "{\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\"]}",
	  "config.json: layer_types is without effect in llama, whose layers follow sliding_window "
	  "alone\n" },
};

Test(model_config, notes_say_what_is_without_effect)
{
	for (size_t i = 0; i < sizeof noted / sizeof noted[0]; i++) {
		struct model_config c;
		struct err e = { 0 };
		cr_assert_eq(parse_case(noted[i].name, noted[i].changes, NULL, &c, &e), 0, "%s: %s",
		             noted[i].changes, e.text);
		cr_expect_str_eq(c.notes, noted[i].notes, "%s: %s", noted[i].changes, c.notes);
	}
}

/* However many keys there are, the notes have room for some, and count the rest. */
Test(model_config, notes_are_bounded)
{
	struct model_config c;
	struct err e = { 0 };
	struct buf b = { 0 };
	buf_add_byte(&b, '{');
	for (int i = 0; i < 500; i++)
		buf_printf(&b, "%s\"key_%d_%.*s\":1", i ? "," : "", i, i % 90,
		           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	buf_add_byte(&b, '}');
	cr_assert_eq(parse_case("llama", b.bytes, NULL, &c, &e), 0, "%s", e.text);
	cr_expect(strstr(c.notes, "key_0_, key_1_a, ") && strstr(c.notes, " more\n"), "%s", c.notes);
	cr_expect_lt(strlen(c.notes), 500);
	buf_free(&b);
}

/* Ids that cannot be drawn end nothing; the class's id is only assumed. */
Test(model_config, eos_ids_that_are_none_are_left_out)
{
	static const struct { const char *changes, *drop; uint32_t count, first; bool assumed; } rows[] = {
		{ "{\"eos_token_id\":-1}", NULL, 0, 0, false },
		{ "{\"eos_token_id\":[-1,7,4000]}", NULL, 1, 7, false },
		{ "{\"eos_token_id\":null}", NULL, 0, 0, false },
		{ "{}", "eos_token_id", 1, 2, true },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct model_config c;
		struct err e = { 0 };
		cr_assert_eq(parse_case("llama", rows[i].changes, rows[i].drop, &c, &e), 0, "%s", e.text);
		cr_expect(c.eos_count == rows[i].count && c.eos_assumed == rows[i].assumed, "%s",
		          rows[i].changes);
		cr_expect(c.eos_count == 0 || c.eos[0] == rows[i].first, "%s: %u", rows[i].changes, c.eos[0]);
	}
}

static bool says(const struct model_generation *g, const char *want)
{
	char got[200] = "";
	if (g->greedy)
		strcat(got, "greedy ");
	if (g->has_temperature)
		sprintf(got + strlen(got), "t%g ", g->temperature);
	if (g->has_top_p)
		sprintf(got + strlen(got), "p%g ", g->top_p);
	if (g->has_min_p)
		sprintf(got + strlen(got), "m%g ", g->min_p);
	if (g->has_repetition)
		sprintf(got + strlen(got), "r%g ", g->repetition);
	if (g->has_top_k)
		sprintf(got + strlen(got), "k%u ", g->top_k);
	if (g->has_tokens_max)
		sprintf(got + strlen(got), "n%u ", g->tokens_max);
	cr_expect_str_eq(got, want);
	return strcmp(got, want) == 0;
}

/* Sampling defaults; what cannot be used has no effect, and the notes say so by key. */
Test(model_config, generation_config_says_how_to_sample)
{
	static const struct { const char *text, *want, *notes; } rows[] = {
		{ "{}", "", "" },
		{ "{\"temperature\":0.6,\"top_p\":0.95,\"top_k\":20,\"min_p\":0.1,\"repetition_penalty\":1.05,"
		  "\"max_new_tokens\":2048,\"do_sample\":true}", "t0.6 p0.95 m0.1 r1.05 k20 n2048 ", "" },
		{ "{\"temperature\":null,\"top_p\":null,\"do_sample\":null,\"max_new_tokens\":null}", "", "" },
		{ "{\"do_sample\":false,\"temperature\":0.6}", "greedy t0.6 ", "" },
		{ "{\"do_sample\":1}", "", "do_sample 1 has no effect" },
		{ "{\"temperature\":NaN}", "", "temperature \"NaN\" has no effect" },
		{ "{\"temperature\":Infinity,\"top_p\":1}", "p1 ", "temperature \"Infinity\" has no effect" },
		{ "{\"temperature\":-1}", "", "temperature -1 has no effect" },
		{ "{\"temperature\":\"x\",\"top_k\":-1}", "k0 ", "temperature \"x\" has no effect" },
		{ "{\"top_k\":0,\"repetition_penalty\":0}", "k0 ", "repetition_penalty 0 has no effect" },
		{ "{\"top_k\":50.0,\"max_new_tokens\":16.5}", "k50 ", "max_new_tokens 16.5 has no effect" },
		{ "{\"max_new_tokens\":1000000000000000019884624838656,\"top_k\":1e300}", "", "" },
		{ "{\"max_new_tokens\":0}", "", "max_new_tokens 0 has no effect" },
		{ "{\"top_p\":2,\"min_p\":-0.5}", "", "top_p 2 has no effect" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct model_config c;
		struct err e = { 0 };
		struct buf text = { 0 };
		cr_assert_eq(file_read("tests/vectors/oracles/llama/config.json", MIB(1), &text, &e), 0, "%s", e.text);
		cr_assert_eq(model_config_parse(&c, text.bytes, text.len, rows[i].text, strlen(rows[i].text), &e), 0,
		             "%s", e.text);
		cr_expect(says(&c.generation, rows[i].want), "%s", rows[i].text);
		cr_expect(strstr(c.notes, rows[i].notes) != NULL, "%s: %s", rows[i].text, c.notes);
		cr_expect(*rows[i].notes || !strstr(c.notes, "generation_config"), "%s", c.notes);
		buf_free(&text);
	}
}

static double number_in(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static bool is_number_in(const json_t *o, const char *key, uint32_t found)
{
	return json_object_get(o, key) == NULL || found == number_in(o, key);
}

/* What released models say, read as they are. */
Test(model_config, released_configs_are_read)
{
	struct source *s;
	struct buf b = { 0 };
	struct err e = { 0 };
	json_t *all, *one;
	const char *name;
	size_t count = 0;
	cr_assert_eq(source_open_folder(&s, "tests/vectors/configs", &e), 0, "%s", e.text);
	cr_assert_eq(source_read_file(s, "released.json", MIB(1), &b, &e), 0, "%s", e.text);
	cr_assert_eq(json_read(&all, b.bytes, b.len, MIB(1), 32, &e), 0, "%s", e.text);
	json_object_foreach(all, name, one)
	{
		struct model_config c;
		struct buf text = { 0 };
		cr_assert_eq(json_write(one, 0, &text, &e), 0);
		cr_assert_eq(model_config_parse(&c, text.bytes, text.len, NULL, 0, &e), 0, "%s: %s", name,
		             e.text);
		const json_t *inner = json_object_get(one, "text_config");
		one = inner != NULL ? (json_t *)(uintptr_t)inner : one; /* what it leaves out is the class's */
		cr_expect(is_number_in(one, "hidden_size", c.hidden) && is_number_in(one, "vocab_size", c.vocab) &&
		          is_number_in(one, "num_hidden_layers", c.layers) &&
		          is_number_in(one, "num_attention_heads", c.all.heads), "%s", name);
		const json_t *rope = json_object_get(one, "rope_parameters");
		double theta = number_in(json_object_get(rope, "rope_theta") ? rope : one, "rope_theta");
		cr_expect(theta == 0 || theta == c.ropes[0].theta, "%s: theta %g", name, c.ropes[0].theta);
		count++;
		buf_free(&text);
	}
	cr_assert(count > 110);
	json_decref(all);
	buf_free(&b);
	source_close(s);
}

Test(model_config, malformed_files_are_refused)
{
	static const char *const texts[] =
		{ "", "[]", "{", "{\"model_type\":\"deepseek_v2\",\"model_type\":\"x\"}", "null" };
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct model_config c;
		struct err e = { 0 };
		cr_assert_eq(model_config_parse(&c, texts[i], strlen(texts[i]), NULL, 0, &e), ERR_INPUT,
		             "%s", texts[i]);
		cr_assert_not_null(strstr(e.text, "config.json"), "%s", e.text);
	}
}

Test(model_config, old_and_new_rope_spelling_agree)
{
	struct model_config a, b;
	struct err e = { 0 };
	cr_assert_eq(parse_with("{}", NULL, &a, &e), 0, "%s", e.text);
	const char *now = "{\"rope_theta\":null,\"rope_scaling\":null,\"rope_parameters\":{\"rope_type\":\"yarn\","
	                  "\"factor\":40,\"rope_theta\":10000,\"mscale\":0.707,\"mscale_all_dim\":0.707,"
	                  "\"beta_fast\":32,\"beta_slow\":1,\"original_max_position_embeddings\":16}}";
	cr_assert_eq(parse_with(now, NULL, &b, &e), 0, "%s", e.text);
	cr_assert(a.ropes[0].kind == MODEL_ROPE_YARN && b.ropes[0].kind == a.ropes[0].kind && b.ropes[0].theta ==
	          a.ropes[0].theta);
	cr_assert(b.ropes[0].factor == a.ropes[0].factor && b.ropes[0].mscale_all_dim == a.ropes[0].mscale_all_dim);
	const char *both = "{\"rope_theta\":500,\"rope_scaling\":null,\"rope_parameters\":{\"rope_theta\":10000}}";
	cr_assert_eq(parse_with(both, NULL, &b, &e), 0, "%s", e.text);
	cr_assert(b.ropes[0].theta == 10000, "%g", b.ropes[0].theta);
	cr_assert(strstr(b.notes, "rope_parameters.rope_theta 10000 counts, rope_theta 500 does not"), "%s",
	          b.notes);
	cr_assert(a.norm_eps == 1e-5f && a.q_rank == 28 && a.gate.groups == 4 && a.gate.groups_kept == 2 &&
	          a.gate.scaling == 16);
	cr_assert(a.layer[0].ffn == MODEL_FFN_DENSE && a.layer[1].ffn == MODEL_FFN_EXPERTS);
	cr_assert_eq(model_moe_layers(&a), 2);
}

/* What Python writes is read; a field that wants a number refuses by name what is none. */
Test(model_config, numbers_as_python_writes_them_are_read)
{
	static const struct { const char *member; int code; const char *word; } rows[] = {
		{ "\"model_max_length\": 1000000000000000019884624838656", 0, "" },
		{ "\"router_z_loss_coef\": NaN, \"x\": [Infinity, -Infinity, 1e999]", 0, "" },
		{ "\"hidden_size\": 1000000000000000019884624838656", I, "hidden_size" },
		{ "\"rms_norm_eps\": NaN", I, "rms_norm_eps \"NaN\"" },
		{ "\"rope_theta\": Infinity", I, "rope_theta \"Infinity\"" },
		{ "\"rope_theta\": 1e999", I, "rope_theta \"Infinity\"" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct model_config c;
		struct buf b = { 0 };
		struct err e = { 0 };
		json_t *o = case_config("deepseek_v2");
		json_object_del(o, "rms_norm_eps");
		json_object_del(o, "rope_theta");
		cr_assert_eq(json_write(o, 0, &b, &e), 0);
		b.len = (size_t)(strrchr(b.bytes, '}') - b.bytes);
		buf_printf(&b, ", %s}", rows[i].member);
		if (strstr(rows[i].member, "hidden_size"))
			memcpy(strstr(b.bytes, "\"hidden_size\""), "\"hidden_sizx\"", 13);
		int r = model_config_parse(&c, b.bytes, b.len, NULL, 0, &e);
		cr_expect_eq(r, rows[i].code, "%s: %d %s", rows[i].member, r, e.text);
		cr_expect_not_null(strstr(e.text, rows[i].word), "%s: %s", rows[i].member, e.text);
		buf_free(&b);
		json_decref(o);
	}
}

Test(model_config, generation_config_overrides_eos)
{
	struct model_config c;
	struct err e = { 0 };
	json_t *o = base_config();
	struct buf b = { 0 };
	const char *generation = "{\"eos_token_id\":[5,7],\"temperature\":0.6}";
	cr_assert_eq(json_write(o, 0, &b, &e), 0);
	cr_assert_eq(model_config_parse(&c, b.bytes, b.len, generation, strlen(generation), &e), 0, "%s",
	             e.text);
	cr_assert(c.eos_count == 2 && c.eos[0] == 5 && c.eos[1] == 7 && c.bos == 0);
	cr_assert_eq(model_config_parse(&c, b.bytes, b.len, "{", 1, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "generation_config.json"), "%s", e.text);
	buf_free(&b);
	json_decref(o);
}
