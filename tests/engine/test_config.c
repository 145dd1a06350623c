#include "support.h"

#include "engine/config.h"
#include "engine/rope.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static json_t *base_config(void)
{
	struct buf b = { 0 };
	struct source *s;
	struct err e = { 0 };
	json_t *o;
	cr_assert_eq(source_open_folder(&s, "tests/vectors/oracles/deepseek_v2", &e), 0, "%s", e.text);
	cr_assert_eq(source_read_file(s, "config.json", MIB(1), &b, &e), 0);
	cr_assert_eq(json_read(&o, b.bytes, b.len, MIB(1), 32, &e), 0);
	buf_free(&b);
	source_close(s);
	return o;
}

/* The base config with members replaced ("null" removes nothing: it sets null); `drop` removes one. */
static int parse_with(const char *changes, const char *drop, struct model_config *c, struct err *e)
{
	json_t *o = base_config(), *more = json_loads(changes, 0, NULL);
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

#define U ERR_UNSUPPORTED
#define I ERR_INPUT

static const struct { const char *changes, *drop; int code; const char *word; } refusals[] = {
	{ "{\"model_type\":\"deepseek_v3\"}", NULL, U,
	  "not available in this version: model_type deepseek_v3" },
	{ "{\"model_type\":\"llama\"}", NULL, U, "not available in this version: model_type llama" },
	{ "{\"model_type\":\"rwkv\"}", NULL, U, "unknown model_type \"rwkv\"" },
	{ "{\"model_type\":7}", NULL, I, "model_type" },
	{ "{}", "model_type", I, "model_type" },
	{ "{\"hidden_act\":\"gelu\"}", NULL, U, "hidden_act \"gelu\"" },
	{ "{\"rope_scaling\":{\"type\":\"longrope\",\"factor\":4}}", NULL, U,
	  "rope_scaling.type \"longrope\"" },
	{ "{\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4}}", NULL, I,
	  "original_max_position_embeddings" },
	{ "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":4,\"short_factor\":[1]}}", NULL, U,
	  "short_factor" },
	{ "{\"rope_scaling\":\"yarn\"}", NULL, I, "rope_scaling" },
	{ "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}}", NULL, U,
	  "quant_method \"gptq\"" },
	{ "{\"quantization_config\":{\"quant_method\":\"awq\"}}", NULL, U, "awq" },
	{ "{\"quantization_config\":{\"quant_method\":\"mxfp4\"}}", NULL, U, "mxfp4" },
	{ "{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[64,128]}}", NULL, U,
	  "weight_block_size" },
	{ "{\"quantization_config\":{\"quant_method\":\"fp8\"}}", NULL, U, "weight_block_size" },
	{ "{\"quantization_config\":{\"quant_method\":\"fp8\",\"fmt\":\"e5m2\",\"weight_block_size\":[128,128]}}",
	  NULL, U, "e5m2" },
	{ "{\"index_topk\":2048}", NULL, U, "index_topk 2048" },
	{ "{\"vision_config\":{}}", NULL, U, "vision_config" },
	{ "{\"attn_logit_softcapping\":50}", NULL, U, "attn_logit_softcapping" },
	{ "{\"sliding_window\":4096}", NULL, U, "sliding_window 4096" },
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
	{ "{}", "kv_lora_rank", I, "kv_lora_rank" },
	{ "{}", "q_lora_rank", I, "q_lora_rank" },
	{ "{\"tie_word_embeddings\":1}", NULL, I, "tie_word_embeddings" },
	{ "{\"rms_norm_eps\":\"x\"}", NULL, I, "rms_norm_eps" },
	{ "{\"rope_theta\":0}", NULL, I, "rope_theta" },
	{ "{\"eos_token_id\":[1,-1]}", NULL, I, "eos_token_id" },
	{ "{\"eos_token_id\":180}", NULL, I, "eos_token_id 180" },
	{ "{\"eos_token_id\":[1,1,1,1,1,1,1,1,1]}", NULL, U, "eos_token_id" },
};

Test(engine_config, refuses_by_key_and_value)
{
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct model_config c;
		struct err e = { 0 };
		int r = parse_with(refusals[i].changes, refusals[i].drop, &c, &e);
		cr_assert_eq(r, refusals[i].code, "%s: %d %s", refusals[i].changes, r, e.text);
		cr_assert_not_null(strstr(e.text, refusals[i].word), "%s: %s", refusals[i].changes, e.text);
	}
}

Test(engine_config, malformed_files_are_refused)
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

Test(engine_config, old_and_new_rope_spelling_agree)
{
	struct model_config a, b;
	struct err e = { 0 };
	cr_assert_eq(parse_with("{}", NULL, &a, &e), 0, "%s", e.text);
	const char *now = "{\"rope_theta\":null,\"rope_scaling\":null,\"rope_parameters\":{\"rope_type\":\"yarn\","
	                  "\"factor\":40,\"rope_theta\":10000,\"mscale\":0.707,\"mscale_all_dim\":0.707,"
	                  "\"beta_fast\":32,\"beta_slow\":1,\"original_max_position_embeddings\":16}}";
	cr_assert_eq(parse_with(now, NULL, &b, &e), 0, "%s", e.text);
	cr_assert(a.rope.kind == MODEL_ROPE_YARN && b.rope.kind == a.rope.kind && b.rope.theta ==
	          a.rope.theta);
	cr_assert(b.rope.factor == a.rope.factor && b.rope.mscale_all_dim == a.rope.mscale_all_dim);
	cr_assert(a.norm_eps == 1e-5f && a.q_rank == 28 && a.gate.groups == 4 && a.gate.groups_kept == 2 &&
	          a.gate.scaling == 16);
	cr_assert(!model_layer_is_moe(&a, 0) && model_layer_is_moe(&a, 1) && model_moe_layers(&a) == 2);
}

Test(engine_config, generation_config_overrides_eos)
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

/* Published check values. */
Test(engine_rope, yarn_bounds_and_factors)
{
	struct model_rope p = { .kind = MODEL_ROPE_YARN, .size = 64, .theta = 1e4, .factor = 40,
		.beta_fast = 32,
		.beta_slow = 1, .context_original = 4096 };
	double low, high;
	rope_yarn_bounds(&p, &low, &high);
	cr_assert_float_eq(low, 10.472, 6e-4);
	cr_assert_float_eq(high, 22.513, 6e-4);
	p.truncate = true;
	rope_yarn_bounds(&p, &low, &high);
	cr_assert(low == 10 && high == 23);
	p.theta = 1.5e5, p.truncate = false;
	rope_yarn_bounds(&p, &low, &high);
	cr_assert_float_eq(low, 8.0928, 6e-5);
	cr_assert_float_eq(high, 17.398, 6e-4);
	p.theta = 5e4, p.beta_fast = 1, p.truncate = true;
	rope_yarn_bounds(&p, &low, &high);
	cr_assert(low == 19 && high == 20);
	p.beta_fast = p.beta_slow = 1e5; /* both clamp to 0 */
	rope_yarn_bounds(&p, &low, &high);
	cr_assert(low == 0 && high == 0.001);
	cr_assert_float_eq(rope_mscale(32, 1), 1.346574, 5e-7);
	double m = rope_mscale(40, 0.707);
	cr_assert_float_eq(m * m / sqrt(192), 0.1147214, 5e-8);
	m = rope_mscale(40, 1);
	cr_assert_float_eq(m * m / sqrt(192), 0.1352338, 5e-8);
	cr_assert(rope_mscale(1, 1) == 1);
}

Test(engine_rope, tables_grow_without_changing)
{
	struct model_rope p = { .size = 8, .theta = 1e4, .factor = 1 };
	struct rope_table t, u;
	struct err e = { 0 };
	cr_assert_eq(rope_table_open(&t, &p, &e), 0);
	cr_assert_eq(rope_table_open(&u, &p, &e), 0);
	cr_assert_eq(rope_table_grow(&t, 3, &e), 0);
	cr_assert_eq(rope_table_grow(&t, 300, &e), 0);
	cr_assert_eq(rope_table_grow(&u, 300, &e), 0);
	cr_assert_eq(memcmp(t.cosine, u.cosine, 300 * 4 * 4), 0);
	cr_assert(t.inverse[0] == 1 && t.inverse[1] == 0.1f && t.inverse[2] == 0.01f);
	for (uint32_t i = 0; i < 300; i++)
		cr_assert_float_eq((double)t.sine[i * 4], sin((double)i), 6e-8);
	rope_table_close(&t);
	rope_table_close(&u);
}
