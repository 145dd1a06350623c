#include "base/json.h"
#include "base/limits.h"
#include "model/config.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Configs of families whose attention or experts leave much out: what layers become, and what is
 * refused. */

/* The config of a case with members replaced; "drop": null leaves them out. */
static int parse(const char *name, const char *changes, struct model_config *c, struct err *e)
{
	char dir[100];
	struct buf b = { 0 };
	struct source *s;
	json_t *o, *more = json_loads(changes, 0, NULL), *v;
	const char *key;
	snprintf(dir, sizeof dir, "tests/vectors/oracles/%s", name);
	cr_assert_not_null(more, "%s", changes);
	cr_assert_eq(source_open_folder(&s, dir, e), 0, "%s", e->text);
	cr_assert_eq(source_read_file(s, "config.json", MIB(1), &b, e), 0);
	cr_assert_eq(json_read(&o, b.bytes, b.len, MIB(1), 32, e), 0);
	json_object_foreach(more, key, v) {
		if (json_is_string(v) && strcmp(json_string_value(v), "DROP") == 0)
			json_object_del(o, key);
		else
			json_object_set(o, key, v);
	}
	b.len = 0;
	cr_assert_eq(json_write(o, 0, &b, e), 0);
	int r = model_config_parse(c, b.bytes, b.len, NULL, 0, e);
	buf_free(&b);
	source_close(s);
	json_decref(o);
	json_decref(more);
	return r;
}

#define U ERR_UNSUPPORTED
#define I ERR_INPUT

static const struct { const char *name, *changes; int code; const char *word; } refusals[] = {
	{ "deepseek_v32", "{\"index_topk\":0}", I, "index_topk 0" },
	{ "deepseek_v32", "{\"index_n_heads\":0}", I, "index_n_heads 0" },
	{ "deepseek_v32", "{\"index_head_dim\":7}", I, "index_head_dim 7: below qk_rope_head_dim" },
	{ "deepseek_v32", "{\"q_lora_rank\":null}", U, "q_lora_rank" },
	{ "deepseek_v32", "{\"indexer_rope_interleave\":true}", U, "indexer_rope_interleave" },
	{ "deepseek_v32", "{\"mlp_layer_types\":[\"dense\",\"sparse\"]}", I, "mlp_layer_types" },
	{ "deepseek_v32", "{\"mlp_layer_types\":[\"dense\",\"sparse\",\"wide\"]}", U, "mlp_layer_types" },
	{ "deepseek_v32", "{\"layer_types\":[\"x\",\"x\",\"x\"]}", U, "layer_types" },
	{ "glm_moe_dsa", "{\"indexer_rope_interleave\":false}", U, "indexer_rope_interleave" },
	{ "glm_moe_dsa", "{\"index_topk_pattern\":\"FS\"}", I, "index_topk_pattern" },
	{ "glm_moe_dsa", "{\"index_topk_pattern\":\"FSX\"}", I, "index_topk_pattern" },
	{ "glm_moe_dsa", "{\"index_topk_pattern\":\"SFF\"}", I, "nothing before the first layer" },
	{ "glm_moe_dsa", "{\"indexer_types\":[\"full\",\"half\",\"full\"]}", I, "indexer_types" },
	{ "glm_moe_dsa", "{\"indexer_types\":7}", I, "indexer_types" },
	{ "llama4_text", "{\"no_rope_layers\":[1,1]}", I, "no_rope_layers" },
	{ "llama4_text", "{\"no_rope_layers\":[1,1,2,0]}", I, "no_rope_layers" },
	{ "llama4_text", "{\"moe_layers\":[4]}", I, "moe_layers" },
	{ "llama4_text", "{\"moe_layers\":[\"0\"]}", I, "moe_layers" },
	{ "llama4_text", "{\"num_experts_per_tok\":7}", I, "num_experts_per_tok 7" },
	{ "llama4_text", "{\"attention_chunk_size\":0}", I, "attention_chunk_size 0" },
	{ "llama4_text", "{\"floor_scale\":0}", I, "floor_scale 0" },
	{ "longcat_flash", "{\"num_layers\":\"DROP\",\"num_attention_heads\":0}", I, "num_attention_heads" },
	{ "longcat_flash", "{\"num_layers\":1024}", U, "num_hidden_layers" },
	{ "longcat_flash", "{\"zero_expert_type\":\"drop\"}", U, "zero_expert_type \"drop\"" },
	{ "longcat_flash", "{\"zero_expert_num\":1020}", U, "zero_expert_num" },
	{ "longcat_flash", "{\"router_bias\":true}", U, "router_bias" },
	{ "longcat_flash", "{\"moe_topk\":12}", I, "moe_topk 12" },
	{ "longcat_flash", "{\"mla_scale_q_lora\":false}", U, "mla_scale_q_lora" },
	{ "longcat_flash", "{\"q_lora_rank\":null}", I, "q_lora_rank" },
	{ "mimo_v2_flash", "{\"hybrid_layer_pattern\":[0,1]}", I, "hybrid_layer_pattern" },
	{ "mimo_v2_flash", "{\"moe_layer_freq\":[0,1,1,1,1,2]}", U, "moe_layer_freq" },
	{ "mimo_v2_flash", "{\"layernorm_epsilon\":1e-3}", I, "layernorm_epsilon" },
	{ "mimo_v2_flash", "{\"swa_num_key_value_heads\":3}", I, "swa_num_key_value_heads" },
	{ "mimo_v2_flash",
	  "{\"quantization_config\":{\"quant_method\":\"fp8\",\"weight_block_size\":[128,128]}}", U,
	  "quantization_config" },
};

Test(model_families_sparse, refuse_by_key_and_value)
{
	static struct model_config c;
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		struct err e = { 0 };
		int r = parse(refusals[i].name, refusals[i].changes, &c, &e);
		cr_expect_eq(r, refusals[i].code, "%s %s: %d %s", refusals[i].name, refusals[i].changes, r,
		             e.text);
		cr_expect_not_null(strstr(e.text, refusals[i].word), "%s %s: %s", refusals[i].name,
		                   refusals[i].changes, e.text);
	}
}

static void parsed(const char *name, const char *changes, struct model_config *c)
{
	struct err e = { 0 };
	cr_assert_eq(parse(name, changes, c, &e), 0, "%s %s: %s", name, changes, e.text);
}

/* Three spellings of which layers share: words, letters, and every n-th behind an offset. */
Test(model_families_sparse, layers_share_the_choice_of_the_one_before)
{
	static const struct { const char *changes, *want; } rows[] = {
		{ "{}", "FFF" },
		{ "{\"indexer_types\":[\"full\",\"shared\",\"full\"]}", "FSF" },
		{ "{\"index_topk_pattern\":\"FSS\"}", "FSS" },
		{ "{\"index_topk_pattern\":[\"full\",\"full\",\"shared\"]}", "FFS" },
		{ "{\"index_topk_pattern\":\"FSS\",\"indexer_types\":[\"full\",\"full\",\"full\"]}", "FFF" },
		{ "{\"index_topk_freq\":2}", "FFS" },
		{ "{\"index_topk_freq\":2,\"index_skip_topk_offset\":1}", "FSF" },
		{ "{\"index_topk_freq\":3,\"index_skip_topk_offset\":0}", "SSF" },
	};
	static struct model_config c;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct err e = { 0 };
		int r = parse("glm_moe_dsa", rows[i].changes, &c, &e);
		cr_assert_eq(r, rows[i].want[0] == 'S' ? I : 0, "%s: %s", rows[i].changes, e.text);
		for (uint32_t l = 0; r == 0 && l < 3; l++)
			cr_assert_eq(c.layer[l].index,
			             rows[i].want[l] == 'F' ? MODEL_INDEX_OWN : MODEL_INDEX_SHARED, "%s: %u",
			             rows[i].changes, l);
	}
}

Test(model_families_sparse, llama4_layers_turn_within_chunks_or_see_everything)
{
	static struct model_config c;
	parsed("llama4_text", "{}", &c);
	for (uint32_t i = 0; i < 4; i++) {
		const struct model_layer *l = &c.layer[i];
		bool turns = i != 3;
		cr_assert(l->rope == (turns ? 0 : MODEL_NO_ROPE) && l->chunk == (turns ? 8u : 0u) &&
		          l->tempered == !turns && l->qk_norm_late &&
		          l->qk_norm == (turns ? MODEL_QK_PLAIN : MODEL_QK_NONE), "layer %u", i);
	}
	cr_assert(c.experts_on_input && !c.router_bias && c.temper.shift == 1 && c.temper.length == 5);
	parsed("llama4_text", "{\"no_rope_layers\":[],\"no_rope_layer_interval\":2,\"use_qk_norm\":false,"
	       "\"attention_chunk_size\":null,\"attn_temperature_tuning\":0,\"moe_layers\":null,"
	       "\"interleave_moe_layer_step\":2}", &c);
	cr_assert(c.layer[0].rope == 0 && c.layer[1].rope == MODEL_NO_ROPE && c.layer[0].chunk == 0);
	cr_assert(!c.layer[1].tempered && c.layer[0].qk_norm == MODEL_QK_NONE);
	cr_assert(c.layer[0].ffn == MODEL_FFN_DENSE && c.layer[1].ffn == MODEL_FFN_EXPERTS &&
	          c.layer[0].width == 48 && c.expert_width == 10 && c.shared_width == 10);
	parsed("llama4_text", "{\"attn_temperature_tuning\":4,\"layer_types\":[\"full_attention\","
	       "\"chunked_attention\",\"full_attention\",\"full_attention\"]}", &c);
	cr_assert(c.layer[0].chunk == 0 && c.layer[1].chunk == 8 && c.layer[3].tempered);
}

Test(model_families_sparse, longcat_layers_are_pairs_around_a_shortcut)
{
	static struct model_config c;
	parsed("longcat_flash", "{}", &c);
	cr_assert(c.layers == 4 && c.gate.experts == 11 && c.zero_experts == 4 && c.latent_scaled);
	cr_assert_eq(model_moe_layers(&c), 2);
	for (uint32_t i = 0; i < 4; i++)
		cr_assert(c.layer[i].residual == (i % 2 ? MODEL_SHORTCUT_END : MODEL_SHORTCUT_BEGIN) &&
		          c.layer[i].ffn == (i % 2 ? MODEL_FFN_DENSE : MODEL_FFN_BOTH), "layer %u", i);
}

/* sliding_window_size counts what lies before, sliding_window all of it. */
Test(model_families_sparse, mimo_layers_have_a_window_or_none)
{
	static struct model_config c;
	parsed("mimo_v2_flash", "{}", &c);
	const struct model_layer *far = &c.layer[0], *near = &c.layer[1];
	cr_assert(far->window == 0 && !far->sinks && far->kv_heads == 2 && far->value == 8);
	cr_assert(near->window == 6 && near->sinks && near->kv_heads == 4 && near->value == 8);
	cr_assert(c.ropes[far->rope].theta == 5e6 && c.ropes[near->rope].theta == 1e4 &&
	          c.ropes[near->rope].size == 4);
	cr_assert(far->ffn == MODEL_FFN_DENSE && near->ffn == MODEL_FFN_EXPERTS && near->cache == 1);
	parsed("mimo_v2_flash", "{\"sliding_window_size\":null,\"hybrid_layer_pattern\":null,"
	       "\"attention_value_scale\":null,\"swa_head_dim\":16,\"swa_v_head_dim\":20,"
	       "\"rms_norm_eps\":null,\"layernorm_epsilon\":1e-3,\"moe_layer_freq\":null,"
	       "\"mlp_layer_types\":[\"dense\",\"dense\",\"sparse\",\"sparse\",\"sparse\",\"sparse\"]}", &c);
	cr_assert(c.layer[1].window == 5 && c.layer[0].window == 0 && c.layer[5].window == 0);
	cr_assert(c.layer[1].head == 16 && c.layer[1].value == 20 && c.layer[0].value == 8 &&
	          c.layer[1].scale == 0.25f);
	cr_assert(c.value_scale == 1 && c.norm_eps == 1e-3f && c.layer[1].ffn == MODEL_FFN_DENSE);
}
