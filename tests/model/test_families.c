/* What each family's reader makes of a config: its layers, as data. Configs:
 * tests/vectors/configs/families.json. */
#include "families.h"
#include "model/rope.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "heads/kv x head, scale, rope, window, norms, ...": what is not as in a llama is named. */
static void describe(const struct model_config *c, uint32_t i, char *out, size_t room)
{
	const struct model_layer *l = &c->layer[i];
	static const char *const residuals[] = { "", " parallel", " begin", " end" };
	static const char *const qk[] = { "", " qk-head", " qk-full", " qk-plain" };
	char rope[80] = "none";
	if (l->rope != MODEL_NO_ROPE) {
		const struct model_rope *p = &c->ropes[l->rope];
		snprintf(rope, sizeof rope, "%d:%u%s@%g", p->kind, p->size, p->interleaved ? "i" : "",
		         p->theta);
	}
	int n = snprintf(out, room, "%u/%u x %u *%.4g rope %s win %u norms %d%d%d%d%s%s%s", l->heads,
	                 l->kv_heads, l->head, (double)l->scale, rope, l->window, l->norm_before,
	                 l->norm_after, l->ffn_norm_before, l->ffn_norm_after, residuals[l->residual],
	                 qk[l->qk_norm], l->qk_norm_late ? "-late" : "");
	snprintf(out + n, room - (size_t)n, "%s%s%s%s w %u", l->tempered ? " tempered" : "",
	         l->value_norm ? " v-norm" : "", l->values_are_keys ? " v=k" : "",
	         l->cache != i ? " shared" : "", l->width);
}

static const struct { const char *name, *changes; uint32_t layer; const char *expected; } layers[] = {
	{ "seed_oss", "{}", 0, "6/2 x 16 *0.25 rope 0:16@1e+07 win 0 norms 1010 w 63" },
	{ "ministral", "{}", 0,
	  "4/2 x 16 *0.25 rope 0:16@1e+08 win 0 norms 1010 w 66" },
	{ "ministral", "{}", 1,
	  "4/2 x 16 *0.25 rope 0:16@1e+08 win 6 norms 1010 w 66" },
	{ "ministral", "{\"layer_types\":\"DROP\"}", 0,
	  "4/2 x 16 *0.25 rope 0:16@1e+08 win 6 norms 1010 w 66" },
	{ "ministral3", "{}", 1,
	  "4/2 x 16 *0.25 rope 3:16@1000 win 0 norms 1010 tempered w 44" },
	{ "ministral3", "{\"rope_parameters\":\"DROP\"}", 1,
	  "4/2 x 16 *0.25 rope 3:16@1e+06 win 0 norms 1010 tempered w 44" },
	{ "mistral3", "{}", 1,
	  "6/2 x 20 *0.2236 rope 3:20@1000 win 0 norms 1010 tempered w 57" },
	{ "mistral3", "{\"model_type\":\"DROP\",\"rope_parameters\":\"DROP\"}", 1,
	  "6/2 x 20 *0.2236 rope 0:20@10000 win 0 norms 1010 w 57" },
	{ "smollm3", "{}", 2,
	  "4/1 x 10 *0.3162 rope 0:10@5e+06 win 0 norms 1010 w 50" },
	{ "smollm3", "{}", 3,
	  "4/1 x 10 *0.3162 rope none win 0 norms 1010 w 50" },
	{ "smollm3", "{\"no_rope_layers\":\"DROP\",\"no_rope_layer_interval\":2,\"layer_types\":\"DROP\","
	  "\"use_sliding_window\":true,\"sliding_window\":9}", 0,
	  "4/1 x 10 *0.3162 rope 0:10@5e+06 win 0 norms 1010 w 50" },
	{ "smollm3", "{\"no_rope_layers\":\"DROP\",\"no_rope_layer_interval\":2,\"layer_types\":\"DROP\","
	  "\"use_sliding_window\":true,\"sliding_window\":9}", 1,
	  "4/1 x 10 *0.3162 rope none win 9 norms 1010 w 50" },
	{ "smollm3", "{\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\","
	  "\"full_attention\"],\"use_sliding_window\":true,\"sliding_window\":9}", 1,
	  "4/1 x 10 *0.3162 rope 0:10@5e+06 win 9 norms 1010 w 50" },
	{ "qwen3_vl", "{}", 0,
	  "4/2 x 16 *0.25 rope 0:16@5e+06 win 0 norms 1010 qk-head w 60" },
	{ "qwen3_vl", "{\"rope_scaling\":\"DROP\",\"rope_theta\":\"DROP\",\"rope_parameters\":{\"rope_type\":"
	  "\"default\",\"rope_theta\":7000,\"mrope_section\":[4,2,2]}}", 0,
	  "4/2 x 16 *0.25 rope 0:16@7000 win 0 norms 1010 qk-head w 60" },
	{ "gemma2", "{}", 0,
	  "4/2 x 14 *0.2236 rope 0:14@10000 win 6 norms 1111 w 44" },
	{ "gemma2", "{}", 1,
	  "4/2 x 14 *0.2236 rope 0:14@10000 win 0 norms 1111 w 44" },
	{ "gemma2", "{\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\"]}", 1,
	  "4/2 x 14 *0.2236 rope 0:14@10000 win 6 norms 1111 w 44" },
	{ "gemma3_text", "{}", 1,
	  "4/2 x 16 *0.2041 rope 0:16@10000 win 6 norms 1111 qk-head w 44" },
	{ "gemma3_text", "{}", 2,
	  "4/2 x 16 *0.2041 rope 1:16@1e+06 win 0 norms 1111 qk-head w 44" },
	{ "gemma3_text", "{\"rope_scaling\":\"DROP\",\"rope_theta\":\"DROP\",\"rope_local_base_freq\":\"DROP\","
	  "\"rope_parameters\":{\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":500},"
	  "\"full_attention\":{\"rope_type\":\"linear\",\"factor\":4,\"rope_theta\":9000}}}", 1,
	  "4/2 x 16 *0.2041 rope 0:16@500 win 6 norms 1111 qk-head w 44" },
	{ "gemma3_text", "{\"rope_scaling\":\"DROP\",\"rope_theta\":\"DROP\",\"rope_local_base_freq\":\"DROP\","
	  "\"rope_parameters\":{\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":500},"
	  "\"full_attention\":{\"rope_type\":\"linear\",\"factor\":4,\"rope_theta\":9000}}}", 2,
	  "4/2 x 16 *0.2041 rope 1:16@9000 win 0 norms 1111 qk-head w 44" },
	{ "gemma4", "{}", 1,
	  "4/2 x 12 *1 rope 0:12@10000 win 6 norms 1111 qk-head v-norm w 42" },
	{ "gemma4", "{}", 2,
	  "4/2 x 24 *1 rope 5:24@1e+06 win 0 norms 1111 qk-head v-norm w 42" },
	{ "gemma4", "{}", 3,
	  "4/2 x 12 *1 rope 0:12@10000 win 6 norms 1111 qk-head v-norm shared w 84" },
	{ "gemma4", "{}", 4,
	  "4/2 x 24 *1 rope 5:24@1e+06 win 0 norms 1111 qk-head v-norm shared w 84" },
	{ "gemma4", "{\"global_head_dim\":\"DROP\",\"num_global_key_value_heads\":\"DROP\","
	  "\"per_layer_config\":{\"2\":{\"head_dim\":8,\"num_key_value_heads\":1},"
	  "\"4\":{\"head_dim\":8,\"num_key_value_heads\":1}}}", 4,
	  "4/1 x 8 *1 rope 5:8@1e+06 win 0 norms 1111 qk-head v-norm shared w 84" },
	{ "gemma4", "{\"rope_parameters\":\"DROP\"}", 2,
	  "4/2 x 24 *1 rope 5:24@1e+06 win 0 norms 1111 qk-head v-norm w 42" },
	{ "gemma4_moe", "{}", 1,
	  "4/1 x 16 *1 rope 5:16@1e+06 win 0 norms 1111 qk-head v-norm v=k w 22" },
	{ "phi3", "{}", 1,
	  "4/2 x 10 *0.3162 rope 0:10@10000 win 7 norms 1010 w 40" },
	{ "phi3", "{\"partial_rotary_factor\":0.6}", 1,
	  "4/2 x 10 *0.3162 rope 0:6@10000 win 7 norms 1010 w 40" },
	{ "phi3_longrope", "{}", 1,
	  "4/4 x 12 *0.2887 rope 6:12@10000 win 0 norms 1010 w 61" },
	{ "granite", "{}", 1,
	  "4/2 x 10 *0.23 rope 0:10@1e+07 win 0 norms 1010 w 62" },
	{ "mistral4", "{}", 1, "4/4 x 0 *0.4078 rope 3:6i@1000 win 0 norms 1010 tempered w 52" },
	{ "mistral4", "{\"rope_parameters\":\"DROP\"}", 1,
	  "4/4 x 0 *0.5515 rope 3:6i@10000 win 0 norms 1010 tempered w 52" },
	{ "granitemoehybrid", "{}", 1, "4/2 x 10 *0.3 rope 0:10@10000 win 0 norms 1010 w 36" },
	{ "granitemoehybrid", "{\"position_embedding_type\":\"nope\"}", 1,
	  "4/2 x 10 *0.3 rope none win 0 norms 1010 w 36" },
	{ "olmo2", "{}", 1,
	  "4/4 x 10 *0.3162 rope 0:10@500000 win 0 norms 0101 qk-full w 62" },
	{ "olmo3", "{}", 1,
	  "4/2 x 10 *0.3162 rope 0:10@500000 win 6 norms 0101 qk-full w 36" },
	{ "olmo3", "{}", 2,
	  "4/2 x 10 *0.3162 rope 3:10@10000 win 0 norms 0101 qk-full w 36" },
	{ "olmo3", "{\"rope_scaling\":\"DROP\",\"rope_theta\":\"DROP\",\"rope_parameters\":{\"rope_type\":"
	  "\"yarn\",\"factor\":8,\"original_max_position_embeddings\":16,\"rope_theta\":800}}", 1,
	  "4/2 x 10 *0.3162 rope 0:10@800 win 6 norms 0101 qk-full w 36" },
	{ "olmo3", "{\"rope_scaling\":\"DROP\",\"rope_theta\":\"DROP\",\"rope_parameters\":{\"rope_type\":"
	  "\"yarn\",\"factor\":8,\"original_max_position_embeddings\":16,\"rope_theta\":800}}", 2,
	  "4/2 x 10 *0.3162 rope 3:10@800 win 0 norms 0101 qk-full w 36" },
	{ "glm4", "{}", 1,
	  "6/2 x 16 *0.25 rope 0:8i@10000 win 0 norms 1111 w 56" },
	{ "glm4", "{\"partial_rotary_factor\":\"DROP\"}", 1,
	  "6/2 x 16 *0.25 rope 0:8i@10000 win 0 norms 1111 w 56" },
	{ "cohere2", "{}", 1,
	  "4/2 x 10 *0.3162 rope 0:10i@50000 win 6 norms 1000 parallel w 46" },
	{ "cohere2", "{}", 2,
	  "4/2 x 10 *0.3162 rope none win 0 norms 1000 parallel w 46" },
	{ "exaone4", "{}", 1,
	  "4/2 x 12 *0.2887 rope 2:12@10000 win 6 norms 0101 qk-head w 40" },
	{ "exaone4", "{}", 2,
	  "4/2 x 12 *0.2887 rope none win 0 norms 0101 qk-head w 40" },
	{ "exaone4", "{\"sliding_window\":null,\"layer_types\":\"DROP\",\"sliding_window_pattern\":null}", 2,
	  "4/2 x 12 *0.2887 rope 2:12@10000 win 0 norms 0101 qk-head w 40" },
	{ "gpt_neox", "{}", 1,
	  "4/4 x 10 *0.3162 rope 0:4@10000 win 0 norms 1010 parallel w 70" },
	{ "gpt_neox", "{\"use_parallel_residual\":false}", 1,
	  "4/4 x 10 *0.3162 rope 0:4@10000 win 0 norms 1010 w 70" },
	{ "gpt_neox", "{\"rotary_pct\":\"DROP\",\"rotary_emb_base\":\"DROP\",\"rope_scaling\":\"DROP\","
	  "\"rope_parameters\":{\"rope_theta\":400,\"partial_rotary_factor\":0.9,\"rope_type\":\"default\"}}", 1,
	  "4/4 x 10 *0.3162 rope 0:10@400 win 0 norms 1010 parallel w 70" },
	{ "nemotron", "{}", 1,
	  "4/2 x 16 *0.25 rope 0:8@10000 win 0 norms 1010 w 70" },
	{ "apertus", "{}", 1,
	  "4/2 x 10 *0.3162 rope 2:10@12000 win 0 norms 1010 qk-head w 52" },
	{ "apertus", "{\"rope_scaling\":\"DROP\",\"rope_theta\":\"DROP\"}", 1,
	  "4/2 x 10 *0.3162 rope 2:10@1.2e+07 win 0 norms 1010 qk-head w 52" },
	{ "apertus", "{\"rope_scaling\":{},\"rope_theta\":900}", 1,
	  "4/2 x 10 *0.3162 rope 2:10@1.2e+07 win 0 norms 1010 qk-head w 52" },
	{ "internlm3", "{}", 1,
	  "4/1 x 16 *0.25 rope 4:16@5e+07 win 0 norms 1010 w 44" },
};

Test(model_families, layers_are_as_the_config_says)
{
	json_t *all = families_open();
	bool good = true;
	for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
		static struct model_config c;
		struct err e = { 0 };
		char found[300] = "";
		int r = families_parse(all, layers[i].name, layers[i].changes, &c, &e);
		if (r == 0)
			describe(&c, layers[i].layer, found, sizeof found);
		if (strcmp(found, layers[i].expected) != 0)
			good = false, fprintf(stderr, "%s %s: %s%s\n", layers[i].name, layers[i].changes,
			                      found, r < 0 ? e.text : "");
	}
	json_decref(all);
	cr_assert(good);
}

/* The share that a table by kind leaves out is whole, and that of a config without tables a quarter. */
Test(model_families, a_proportional_table_without_a_share_turns_whole_heads)
{
	static const struct { const char *changes; double share; } rows[] = {
		{ "{}", 0.25 },
		{ "{\"rope_parameters\":\"DROP\"}", 0.25 },
		{ "{\"rope_parameters\":{\"sliding_attention\":{\"rope_type\":\"default\",\"rope_theta\":10000},"
		  "\"full_attention\":{\"rope_type\":\"proportional\",\"rope_theta\":1000000}}}", 1 },
	};
	json_t *all = families_open();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		static struct model_config c;
		struct err e = { 0 };
		cr_assert_eq(families_parse(all, "gemma4", rows[i].changes, &c, &e), 0, "%s", e.text);
		cr_expect_float_eq(c.ropes[c.layer[2].rope].partial, rows[i].share, 1e-9, "%s", rows[i].changes);
	}
	json_decref(all);
}

#define U ERR_UNSUPPORTED
#define I ERR_INPUT

static const struct { const char *name, *changes; int code; const char *word; } refusals[] = {
	{ "ministral3", "{\"rope_parameters\":{\"rope_type\":\"default\",\"llama_4_scaling_beta\":0.1}}", I,
	  "llama_4_scaling_beta needs" },
	{ "mistral3", "{\"top\":{\"text_config\":7}}", I, "text_config 7: not an object" },
	{ "mistral3", "{\"model_type\":\"rwkv\"}", U, "text_config.model_type \"rwkv\"" },
	{ "mistral3", "{\"model_type\":\"gemma3\"}", U, "text_config.model_type \"gemma3\"" },
	{ "mistral3", "{\"hidden_size\":0}", I, "text_config.hidden_size 0" },
	{ "smollm3", "{\"no_rope_layers\":[1,1]}", I, "no_rope_layers [1,1]" },
	{ "smollm3", "{\"no_rope_layers\":[1,1,2,0]}", I, "not a list of 0 and 1" },
	{ "smollm3", "{\"no_rope_layer_interval\":0}", I, "no_rope_layer_interval 0" },
	{ "qwen3_vl", "{\"sliding_window\":6}", U, "text_config.sliding_window 6" },
	{ "gemma2", "{\"use_bidirectional_attention\":true}", U, "use_bidirectional_attention true" },
	{ "gemma2", "{\"query_pre_attn_scalar\":0}", I, "query_pre_attn_scalar 0" },
	{ "gemma2", "{\"hidden_activation\":\"quick_gelu\"}", U, "hidden_activation \"quick_gelu\"" },
	{ "gemma2", "{\"hidden_activation\":\"xielu\"}", U, "hidden_activation \"xielu\"" },
	{ "gemma2", "{\"layer_types\":[\"full_attention\"]}", U, "layer_types" },
	{ "gemma2", "{\"layer_types\":[\"full_attention\",\"linear_attention\",\"full_attention\"]}", U,
	  "layer_types" },
	{ "gemma3_text", "{\"rope_scaling\":{\"rope_type\":\"longrope\",\"factor\":4,\"short_factor\":"
	  "[1,1,1,1,1,1,1,1],\"long_factor\":[1,1,1,1,1,1,1,1]}}", U, "longrope for some layers" },
	{ "gemma4", "{\"use_bidirectional_attention\":\"all\"}", U, "use_bidirectional_attention \"all\"" },
	{ "gemma4", "{\"num_kv_shared_layers\":4}", I, "num_kv_shared_layers 4: leaves no layer" },
	{ "gemma4", "{\"vocab_size_per_layer_input\":79}", U, "vocab_size_per_layer_input 79" },
	{ "gemma4", "{\"per_layer_config\":{\"2\":{\"head_dim\":8},\"4\":{\"head_dim\":16}}}", U,
	  "layers of one kind" },
	{ "gemma4", "{\"per_layer_config\":{\"2\":{\"intermediate_size\":8}}}", U, "intermediate_size 8" },
	{ "gemma4", "{\"per_layer_config\":{\"2\":{\"head_dim\":0}}}", I,
	  "text_config.per_layer_config.2.head_dim 0" },
	{ "gemma4", "{\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":2}}", U, "rope_scaling" },
	{ "gemma4_moe", "{\"top_k_experts\":8}", I, "top_k_experts 8" },
	{ "gemma4_moe", "{\"num_global_key_value_heads\":3}", I, "num_global_key_value_heads 3" },
	{ "phi3", "{\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,\"short_factor\":[1,1,1,1,1]}}", U,
	  "short_factor" },
	{ "phi3_longrope", "{\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1,1,1,1,1,1],"
	  "\"short_factor\":[1,1,1,1,1]}}", I, "short_factor [1,1,1,1,1]: not a list of 6" },
	{ "phi3_longrope", "{\"rope_scaling\":{\"type\":\"su\",\"long_factor\":[1,1,1,1,1,0],"
	  "\"short_factor\":[1,1,1,1,1,1]}}", I, "long_factor [1,1,1,1,1,0]: not a list of 6 numbers above 0" },
	{ "phi3_longrope", "{\"rope_scaling\":{\"type\":\"su\",\"short_factor\":[1,1,1,1,1,1]}}", I,
	  "long_factor missing" },
	{ "mistral4", "{\"n_group\":2,\"topk_group\":1}", U, "n_group 2: only 1" },
	{ "mistral4", "{\"qk_rope_head_dim\":7}", U, "qk_rope_head_dim 7" },
	{ "mistral4", "{\"qk_rope_head_dim\":8}", U, "partial_rotary_factor 0.375" },
	{ "granitemoehybrid", "{\"layer_types\":[\"mamba\",\"attention\",\"mamba\"]}", U, "layer_types" },
	{ "granitemoehybrid", "{\"layer_types\":\"DROP\"}", U, "only layers of attention" },
	{ "granitemoehybrid", "{\"position_embedding_type\":\"alibi\"}", U, "position_embedding_type \"alibi\"" },
	{ "granite", "{\"logits_scaling\":0}", I, "logits_scaling 0" },
	{ "olmo3", "{\"rope_parameters\":{\"full_attention\":{\"rope_type\":\"default\"}}}", I,
	  "disagrees with rope_parameters" },
	{ "cohere2", "{\"use_qk_norm\":true}", U, "use_qk_norm true" },
	{ "cohere2", "{\"sliding_window_pattern\":0}", I, "sliding_window_pattern 0" },
	{ "exaone4", "{\"layer_types\":\"DROP\"}", I, "sliding_window_pattern \"LLG\"" },
	{ "gpt_neox", "{\"num_key_value_heads\":2}", U, "num_key_value_heads 2" },
	{ "gpt_neox", "{\"rotary_pct\":0}", U, "odd number of rotated" },
	{ "apertus", "{\"post_norm\":true}", U, "post_norm true" },
	{ "apertus", "{\"qk_norm\":false}", U, "qk_norm false" },
	{ "apertus", "{\"rope_scaling\":\"DROP\",\"rope_parameters\":{}}", I, "rope_parameters {}: empty" },
	{ "cohere2", "{\"logit_scale\":-0.25}", I, "logit_scale -0.25: out of range" },
	{ "cohere2", "{\"logit_scale\":0}", I, "logit_scale 0: out of range" },
};

Test(model_families, what_is_not_understood_is_refused)
{
	json_t *all = families_open();
	for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
		static struct model_config c;
		struct err e = { 0 };
		int r = families_parse(all, refusals[i].name, refusals[i].changes, &c, &e);
		cr_expect(r == refusals[i].code && strstr(e.text, refusals[i].word) != NULL, "%s %s: %d %s",
		          refusals[i].name, refusals[i].changes, r, e.text);
	}
	json_decref(all);
}

/* What may stand at the top of a file that wraps a text model. */
static const struct { const char *name, *changes; bool tied; uint32_t eos, bos; } tops[] = {
	{ "mistral3", "{}", false, 1, UINT32_MAX },
	{ "mistral3", "{\"top\":{\"tie_word_embeddings\":true}}", true, 1, UINT32_MAX },
	{ "mistral3", "{\"tie_word_embeddings\":true}", false, 1, UINT32_MAX },
	{ "mistral3", "{\"top\":{\"tie_word_embeddings\":true,\"eos_token_id\":[7,8],\"bos_token_id\":4},"
	  "\"eos_token_id\":\"DROP\",\"bos_token_id\":\"DROP\",\"tie_word_embeddings\":\"DROP\"}", true, 7, 4 },
	{ "mistral3", "{\"top\":{\"eos_token_id\":9}}", false, 1, UINT32_MAX },
	{ "gemma4", "{\"top\":{\"tie_word_embeddings\":false}}", false, 1, UINT32_MAX },
};

Test(model_families, top_of_a_wrapping_file_says_what_its_text_model_leaves_out)
{
	json_t *all = families_open();
	for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++) {
		static struct model_config c;
		struct err e = { 0 };
		cr_assert_eq(families_parse(all, tops[i].name, tops[i].changes, &c, &e), 0, "%s", e.text);
		cr_expect(c.wrapped && c.tied == tops[i].tied && c.eos[0] == tops[i].eos && c.bos == tops[i].bos,
		          "%s: %d %u %u", tops[i].changes, c.tied, c.eos[0], c.bos);
	}
	json_decref(all);
}

/* Older files of some have the keys of the text model at the top. */
Test(model_families, flat_files_of_wrapping_models_are_read)
{
	static struct model_config c;
	static const char text[] =
		"{\"model_type\":\"qwen2_vl\",\"hidden_size\":32,\"num_attention_heads\":4,\"num_key_value_heads\":2,"
		"\"num_hidden_layers\":2,\"intermediate_size\":40,\"vocab_size\":90,\"max_position_embeddings\":99,"
		"\"rope_scaling\":{\"type\":\"mrope\",\"mrope_section\":[1,1,2]},\"vision_config\":{\"depth\":3}}";
	struct err e = { 0 };
	cr_assert_eq(model_config_parse(&c, text, sizeof text - 1, NULL, 0, &e), 0, "%s", e.text);
	cr_assert(c.wrapped && c.hidden == 32 && c.bias_qkv && c.ropes[0].kind == MODEL_ROPE_DEFAULT);
	cr_assert_str_eq(c.model_type, "qwen2_vl");
}
