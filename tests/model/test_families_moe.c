/* What the readers of mixtures of experts and of hybrids make of a config: mixers, routers, widths.
 * Configs: tests/vectors/configs/families.json. */
#include "families.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static size_t mixer(const struct model_config *c, uint32_t i, char *out, size_t room)
{
	const struct model_layer *l = &c->layer[i];
	const struct model_delta *d = &c->delta;
	static const char *const gates[] = { "", " out-wide", " out-head" };
	static const char *const qk[] = { "", " head", " full", " plain" };
	if (l->mixer == MODEL_MIX_DELTA)
		return (size_t)snprintf(out, room, "delta %ux%u:%ux%u conv %u%s%s%s ranks %u %u", d->key_heads, d->key,
		                        d->value_heads, d->value, d->conv, d->by_channel ? " channel" : "",
		                        d->gate_sigmoid ? " sigmoid" : "", d->bounded ? " bounded" : "", d->decay_rank,
		                        d->gate_rank);
	if (l->mixer == MODEL_MIX_MLA)
		return (size_t)snprintf(out, room, "latent %u q %u kv %u %u+%u:%u%s%s", l->heads, c->q_rank,
		                        c->kv_rank, c->nope, c->rope_head, c->value,
		                        l->rope == MODEL_NO_ROPE ? " still" : "", gates[l->gate]);
	return (size_t)snprintf(out, room, "%u/%u x %u *%.4g rope %u%s@%g%s%s%s win %u", l->heads, l->kv_heads,
	                        l->head, (double)l->scale, c->ropes[l->rope].size,
	                        c->ropes[l->rope].interleaved ? "i" : "", c->ropes[l->rope].theta,
	                        gates[l->gate], qk[l->qk_norm],
	                        l->qk_norm_late ? "-late" : "", l->window);
}

/* "mixer | what feeds forward" */
static void describe(const struct model_config *c, uint32_t i, char *out, size_t room)
{
	static const char *const kinds[] = { "softmax", "sigmoid", "topk" };
	const struct model_layer *l = &c->layer[i];
	const struct kernel_gate *g = &c->gate;
	size_t n = mixer(c, i, out, room);
	if (l->ffn == MODEL_FFN_DENSE)
		snprintf(out + n, room - n, " | dense %u", l->width);
	else
		snprintf(out + n, room - n, " | %s %u of %u x %u%s%s *%.4g in %u of %u shared %u%s", kinds[g->kind],
		         g->top_k, g->experts, c->expert_width, c->router_bias ? " bias" : "",
		         g->normalise ? " norm" : "", (double)g->scaling, g->groups_kept, g->groups, c->shared_width,
		         c->shared_gated ? " gated" : "");
}

static const struct { const char *name, *changes; uint32_t layer; const char *expected; } layers[] = {
	{ "glm4_moe_lite", "{}", 0,
	  "latent 4 q 20 kv 22 11+8:13 | dense 50" },
	{ "glm4_moe_lite", "{}", 1,
	  "latent 4 q 20 kv 22 11+8:13 | sigmoid 3 of 7 x 9 bias norm *1.8 in 1 of 1 shared 9" },
	{ "glm4_moe_lite", "{\"mlp_layer_types\":[\"sparse\",\"dense\",\"sparse\"]}", 1,
	  "latent 4 q 20 kv 22 11+8:13 | dense 50" },
	{ "glm4_moe_lite", "{\"head_dim\":10}", 1,
	  "latent 4 q 20 kv 22 11+10:13 | sigmoid 3 of 7 x 9 bias norm *1.8 in 1 of 1 shared 9" },
	{ "dots1", "{\"sliding_window\":6,\"max_window_layers\":2}", 1,
	  "3/3 x 14 *0.2673 rope 14@1e+07 head win 0 | "
	  "sigmoid 3 of 7 x 6 bias norm *2.5 in 1 of 1 shared 12" },
	{ "dots1", "{\"sliding_window\":6,\"max_window_layers\":2}", 2,
	  "3/3 x 14 *0.2673 rope 14@1e+07 head win 6 | "
	  "sigmoid 3 of 7 x 6 bias norm *2.5 in 1 of 1 shared 12" },
	{ "dots1", "{\"norm_topk_prob\":\"DROP\"}", 1,
	  "3/3 x 14 *0.2673 rope 14@1e+07 head win 0 | sigmoid 3 of 7 x 6 bias *2.5 in 1 of 1 shared 12" },
	{ "minimax_m2", "{}", 1,
	  "4/2 x 12 *0.2887 rope 6@5e+06 full win 0 | sigmoid 3 of 7 x 7 bias norm *1 in 1 of 1 shared 0" },
	{ "minimax_m2", "{\"rotary_dim\":\"DROP\",\"rope_theta\":\"DROP\",\"rope_parameters\":{\"rope_theta\":900,"
	  "\"partial_rotary_factor\":0.34,\"rope_type\":\"default\"}}", 1,
	  "4/2 x 12 *0.2887 rope 4@900 full win 0 | sigmoid 3 of 7 x 7 bias norm *1 in 1 of 1 shared 0" },
	{ "minimax_m2", "{\"rope_theta\":\"DROP\"}", 1,
	  "4/2 x 12 *0.2887 rope 6@5e+06 full win 0 | sigmoid 3 of 7 x 7 bias norm *1 in 1 of 1 shared 0" },
	{ "ernie4_5_moe", "{}", 0,
	  "4/2 x 10 *0.3162 rope 10i@500000 win 0 | dense 34" },
	{ "ernie4_5_moe", "{}", 1,
	  "4/2 x 10 *0.3162 rope 10i@500000 win 0 | softmax 3 of 7 x 6 bias norm *1 in 1 of 1 shared 12" },
	{ "ernie4_5_moe", "{\"moe_layer_interval\":2,\"moe_layer_start_index\":0}", 2,
	  "4/2 x 10 *0.3162 rope 10i@500000 win 0 | dense 34" },
	{ "ernie4_5_moe", "{\"moe_layer_end_index\":1}", 2,
	  "4/2 x 10 *0.3162 rope 10i@500000 win 0 | dense 34" },
	{ "ernie4_5_moe", "{\"moe_num_shared_experts\":0,\"moe_k\":\"DROP\",\"num_experts_per_tok\":2}", 1,
	  "4/2 x 10 *0.3162 rope 10i@500000 win 0 | softmax 2 of 7 x 6 bias norm *1 in 1 of 1 shared 0" },
	{ "hunyuan_v1_moe", "{}", 1,
	  "4/2 x 14 *0.2673 rope 14@3.16228e+07 head-late win 0 | "
	  "softmax 3 of 7 x 12 norm *1 in 1 of 1 shared 12" },
	{ "hunyuan_v1_moe", "{\"moe_topk\":2,\"rope_scaling\":null}", 1,
	  "4/2 x 14 *0.2673 rope 14@10000 head-late win 0 | "
	  "softmax 2 of 7 x 12 norm *1 in 1 of 1 shared 12" },
	{ "granitemoe", "{}", 1,
	  "4/2 x 8 *0.23 rope 8@10000 win 0 | topk 3 of 7 x 7 *1 in 1 of 1 shared 0" },
	{ "granitemoe", "{\"attention_multiplier\":\"DROP\"}", 1,
	  "4/2 x 8 *1 rope 8@10000 win 0 | topk 3 of 7 x 7 *1 in 1 of 1 shared 0" },
	{ "granitemoeshared", "{}", 1,
	  "6/3 x 6 *0.4 rope 6@10000 win 0 | topk 3 of 9 x 9 *1 in 1 of 1 shared 15" },
	{ "qwen3_next", "{}", 0,
	  "delta 2x9:4x8 conv 4 ranks 0 0 | softmax 3 of 7 x 6 norm *1 in 1 of 1 shared 8 gated" },
	{ "qwen3_next", "{}", 2,
	  "4/2 x 16 *0.25 rope 4@1e+07 out-wide head win 0 | "
	  "softmax 3 of 7 x 6 norm *1 in 1 of 1 shared 8 gated" },
	{ "qwen3_next", "{\"mlp_only_layers\":[2],\"full_attention_interval\":2}", 1,
	  "4/2 x 16 *0.25 rope 4@1e+07 out-wide head win 0 | "
	  "softmax 3 of 7 x 6 norm *1 in 1 of 1 shared 8 gated" },
	{ "qwen3_next", "{\"mlp_only_layers\":[2],\"full_attention_interval\":2}", 2,
	  "delta 2x9:4x8 conv 4 ranks 0 0 | dense 30" },
	{ "qwen3_next", "{\"layer_types\":[\"full_attention\",\"linear_attention\",\"linear_attention\"]}", 0,
	  "4/2 x 16 *0.25 rope 4@1e+07 out-wide head win 0 | "
	  "softmax 3 of 7 x 6 norm *1 in 1 of 1 shared 8 gated" },
	{ "qwen3_next", "{\"norm_topk_prob\":\"DROP\",\"partial_rotary_factor\":\"DROP\"}", 2,
	  "4/2 x 16 *0.25 rope 4@1e+07 out-wide head win 0 | "
	  "softmax 3 of 7 x 6 norm *1 in 1 of 1 shared 8 gated" },
	{ "qwen3_5", "{}", 0,
	  "delta 2x8:6x10 conv 4 ranks 0 0 | dense 57" },
	{ "qwen3_5", "{}", 2,
	  "3/1 x 24 *0.2041 rope 6@1e+07 out-wide head win 0 | dense 57" },
	{ "qwen3_5_moe", "{}", 2,
	  "3/1 x 24 *0.2041 rope 6@1e+07 out-wide head win 0 | "
	  "softmax 3 of 7 x 6 norm *1 in 1 of 1 shared 8 gated" },
	{ "qwen3_5_moe_text", "{}", 1,
	  "4/2 x 24 *0.2041 rope 6@10000 out-wide head win 0 | "
	  "softmax 3 of 7 x 7 norm *1 in 1 of 1 shared 11 gated" },
	{ "qwen3_5_moe_text", "{\"layer_types\":\"DROP\"}", 1,
	  "4/2 x 24 *0.2041 rope 6@10000 out-wide head win 0 | "
	  "softmax 3 of 7 x 7 norm *1 in 1 of 1 shared 11 gated" },
	{ "qwen3_5_moe_text", "{\"layer_types\":\"DROP\",\"full_attention_interval\":\"DROP\"}", 1,
	  "delta 2x10:4x9 conv 4 ranks 0 0 | softmax 3 of 7 x 7 norm *1 in 1 of 1 shared 11 gated" },
	{ "kimi_linear", "{}", 0,
	  "delta 3x10:3x10 conv 4 channel sigmoid ranks 10 10 | dense 26" },
	{ "kimi_linear", "{}", 2,
	  "latent 4 q 0 kv 12 9+6:8 still | sigmoid 3 of 6 x 5 bias norm *2.446 in 1 of 1 shared 5" },
	{ "kimi_linear", "{\"linear_attn_config\":\"DROP\",\"linear_num_heads\":2,\"linear_head_dim\":6}", 0,
	  "delta 2x6:2x6 conv 4 channel sigmoid ranks 6 6 | dense 26" },
	{ "kimi_linear", "{\"linear_attn_config\":{\"head_dim\":10,\"num_heads\":3,\"short_conv_kernel_size\":3,"
	  "\"full_attn_layers\":[1],\"kda_layers\":[2,3,4]}}", 0,
	  "latent 4 q 0 kv 12 9+6:8 still | dense 26" },
	{ "bailing_hybrid", "{}", 1,
	  "delta 4x8:4x8 conv 4 channel sigmoid bounded ranks 0 0 | "
	  "sigmoid 3 of 8 x 5 bias norm *2.5 in 2 of 4 shared 5" },
	{ "bailing_hybrid", "{}", 2,
	  "latent 4 q 0 kv 12 9+6:8 out-head | sigmoid 3 of 8 x 5 bias norm *2.5 in 2 of 4 shared 5" },
	{ "bailing_hybrid", "{\"kda_safe_gate\":false,\"head_dim\":6,\"linear_head_dim\":8}", 1,
	  "delta 4x8:4x8 conv 4 channel sigmoid ranks 0 0 | "
	  "sigmoid 3 of 8 x 5 bias norm *2.5 in 2 of 4 shared 5" },
};

Test(model_families_moe, layers_are_as_the_config_says)
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
			good = false, fprintf(stderr, "%s %s %u: %s%s\n", layers[i].name, layers[i].changes,
			                      layers[i].layer, found, r < 0 ? e.text : "");
	}
	json_decref(all);
	cr_assert(good);
}

#define U ERR_UNSUPPORTED
#define I ERR_INPUT

static const struct { const char *name, *changes; int code; const char *word; } refusals[] = {
	{ "glm4_moe_lite", "{\"mlp_layer_types\":[\"sparse\"]}", I, "mlp_layer_types" },
	{ "glm4_moe_lite", "{\"mlp_layer_types\":[\"sparse\",\"other\",\"dense\"]}", U, "mlp_layer_types" },
	{ "dots1", "{\"scoring_func\":\"softmax\"}", U, "scoring_func \"softmax\"" },
	{ "minimax_m2", "{\"attn_type_list\":[1,0,1]}", U, "attn_type_list [1,0,1]" },
	{ "minimax_m2", "{\"rotary_dim\":5}", U, "rotary_dim 5: odd" },
	{ "minimax_m2", "{\"rotary_dim\":14}", I, "rotary_dim 14" },
	{ "minimax_m2", "{\"use_qk_norm\":false}", U, "use_qk_norm false" },
	{ "minimax_m2", "{\"qk_norm_type\":\"per_head\"}", U, "qk_norm_type \"per_head\"" },
	{ "minimax_m2", "{\"scoring_func\":\"softmax\"}", U, "scoring_func \"softmax\"" },
	{ "minimax_m2", "{\"num_experts_per_tok\":8}", I, "num_experts_per_tok 8" },
	{ "ernie4_5_moe", "{\"moe_norm_min\":2}", I, "moe_norm_min 2" },
	{ "ernie4_5_moe", "{\"moe_layer_end_index\":-2}", I, "moe_layer_end_index -2" },
	{ "ernie4_5_moe", "{\"moe_num_shared_experts\":1025}", I, "moe_num_shared_experts 1025" },
	{ "hunyuan_v1_moe", "{\"moe_topk\":[3,2,3]}", U, "moe_topk [3,2,3]: layers that differ" },
	{ "hunyuan_v1_moe", "{\"moe_topk\":[3,3]}", I, "moe_topk [3,3]" },
	{ "hunyuan_v1_moe", "{\"moe_topk\":9}", I, "moe_topk 9" },
	{ "hunyuan_v1_moe", "{\"num_experts\":[\"x\",\"x\",\"x\"]}", I, "num_experts" },
	{ "hunyuan_v1_moe", "{\"use_cla\":true}", U, "use_cla true" },
	{ "granitemoe", "{\"logits_scaling\":0}", I, "logits_scaling 0" },
	{ "granitemoe", "{\"num_local_experts\":0}", I, "num_local_experts 0" },
	{ "qwen3_next", "{\"linear_num_value_heads\":5}", I, "linear_num_value_heads 5: not a multiple" },
	{ "qwen3_next", "{\"linear_key_head_dim\":257}", I, "linear_key_head_dim 257" },
	{ "qwen3_next", "{\"linear_conv_kernel_dim\":9}", I, "linear_conv_kernel_dim 9" },
	{ "qwen3_next", "{\"attention_bias\":true}", U, "attention_bias true" },
	{ "qwen3_next", "{\"layer_types\":[\"full_attention\"]}", U, "layer_types" },
	{ "qwen3_next", "{\"layer_types\":[\"full_attention\",\"sliding_attention\",\"linear_attention\"]}", U,
	  "layer_types" },
	{ "qwen3_next", "{\"full_attention_interval\":0}", I, "full_attention_interval 0" },
	{ "qwen3_5", "{\"attn_output_gate\":false}", U, "attn_output_gate false" },
	{ "qwen3_5_moe", "{\"linear_value_head_dim\":0}", I, "text_config.linear_value_head_dim 0" },
	{ "kimi_linear", "{\"mla_use_nope\":false}", U, "mla_use_nope false" },
	{ "kimi_linear", "{\"linear_attn_config\":7}", I, "linear_attn_config 7: not an object" },
	{ "kimi_linear", "{\"linear_attn_config\":{\"head_dim\":10,\"num_heads\":3,\"full_attn_layers\":[5],"
	  "\"kda_layers\":[1,2,3,4]}}", I, "linear_attn_config.full_attn_layers [5]" },
	{ "kimi_linear", "{\"linear_attn_config\":{\"head_dim\":10,\"num_heads\":3,\"full_attn_layers\":[3],"
	  "\"kda_layers\":[1,2]}}", I, "a layer is in neither list" },
	{ "bailing_hybrid", "{\"num_expert_group\":3}", I, "does not divide the number of experts" },
	{ "bailing_hybrid", "{\"kda_lower_bound\":1}", I, "kda_lower_bound 1" },
};

Test(model_families_moe, what_is_not_understood_is_refused)
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
