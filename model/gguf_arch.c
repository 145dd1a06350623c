/* Architectures of GGUF files: which model_type each is, what its config.json says that the file
 * does not, and what its tensors are called in a folder of safetensors.
 *
 * Source: llama.cpp, conversion/ (what is renamed, permuted and completed) and gguf-py's
 * tensor_mapping.py; what a fixed member says is what llama.cpp computes for the architecture. */
#include "model/gguf_in.h"

#include "base/text.h"

#include <string.h>

#define ATTN "self_attn."

/* clang-format off */
const struct gguf_name model_gguf_names[] = {
	{ "token_embd.weight", "model.embed_tokens.weight", 0, true },
	{ "output_norm.weight", "model.norm.weight", 0, true },
	{ "output.weight", "lm_head.weight", 0, true },
	{ "rope_freqs.weight", NULL, GGUF_KNOWN, true },
	{ "attn_norm.weight", "input_layernorm.weight", 0, false },
	{ "ffn_norm.weight", "post_attention_layernorm.weight", 0, false },
	{ "attn_rot_embd", NULL, GGUF_KNOWN, false },
	/* attention */
	{ "attn_q.weight", ATTN "q_proj.weight", 0, false },
	{ "attn_k.weight", ATTN "k_proj.weight", 0, false },
	{ "attn_v.weight", ATTN "v_proj.weight", 0, false },
	{ "attn_q.bias", ATTN "q_proj.bias", 0, false },
	{ "attn_k.bias", ATTN "k_proj.bias", 0, false },
	{ "attn_v.bias", ATTN "v_proj.bias", 0, false },
	{ "attn_output.weight", ATTN "o_proj.weight", 0, false },
	{ "attn_output.bias", ATTN "o_proj.bias", 0, false },
	{ "attn_q_norm.weight", ATTN "q_norm.weight", 0, false },
	{ "attn_k_norm.weight", ATTN "k_norm.weight", 0, false },
	{ "attn_sinks.weight", ATTN "sinks", 0, false },
	{ "attn_q_a.weight", ATTN "q_a_proj.weight", 0, false },
	{ "attn_q_a.bias", ATTN "q_a_proj.bias", 0, false },
	{ "attn_q_a_norm.weight", ATTN "q_a_layernorm.weight", 0, false },
	{ "attn_q_b.weight", ATTN "q_b_proj.weight", 0, false },
	{ "attn_kv_a_mqa.weight", ATTN "kv_a_proj_with_mqa.weight", 0, false },
	{ "attn_kv_a_mqa.bias", ATTN "kv_a_proj_with_mqa.bias", 0, false },
	{ "attn_kv_a_norm.weight", ATTN "kv_a_layernorm.weight", 0, false },
	{ "attn_kv_b.weight", ATTN "kv_b_proj.weight", 0, false },
	{ "attn_k_b.weight", ATTN "k_b_proj.weight", 0, false },
	{ "attn_v_b.weight", ATTN "v_b_proj.weight", 0, false },
	/* feed-forward */
	{ "ffn_gate.weight", "mlp.gate_proj.weight", 0, false },
	{ "ffn_up.weight", "mlp.up_proj.weight", 0, false },
	{ "ffn_down.weight", "mlp.down_proj.weight", 0, false },
	{ "ffn_gate.bias", "mlp.gate_proj.bias", 0, false },
	{ "ffn_up.bias", "mlp.up_proj.bias", 0, false },
	{ "ffn_down.bias", "mlp.down_proj.bias", 0, false },
	{ "ffn_gate_inp.weight", "mlp.gate.weight", 0, false },
	{ "exp_probs_b.bias", "mlp.gate.e_score_correction_bias", 0, false },
	{ "ffn_gate_exps.weight", "mlp.experts.*.gate_proj.weight", 0, false },
	{ "ffn_up_exps.weight", "mlp.experts.*.up_proj.weight", 0, false },
	{ "ffn_down_exps.weight", "mlp.experts.*.down_proj.weight", 0, false },
	{ "ffn_gate_exps.bias", "mlp.experts.*.gate_proj.bias", 0, false },
	{ "ffn_up_exps.bias", "mlp.experts.*.up_proj.bias", 0, false },
	{ "ffn_down_exps.bias", "mlp.experts.*.down_proj.bias", 0, false },
	{ "ffn_gate_shexp.weight", "mlp.shared_experts.gate_proj.weight", 0, false },
	{ "ffn_up_shexp.weight", "mlp.shared_experts.up_proj.weight", 0, false },
	{ "ffn_down_shexp.weight", "mlp.shared_experts.down_proj.weight", 0, false },
	{ NULL, NULL, 0, false },
};

/* Rows of q and k were permuted for a rotation of neighbours. */
const struct gguf_name model_gguf_turned[] = {
	{ "attn_q.weight", ATTN "q_proj.weight", GGUF_TURNED_Q, false },
	{ "attn_k.weight", ATTN "k_proj.weight", GGUF_TURNED_K, false },
	{ "attn_q.bias", ATTN "q_proj.bias", GGUF_TURNED_Q, false },
	{ "attn_k.bias", ATTN "k_proj.bias", GGUF_TURNED_K, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name mixtral[] = {
	{ "attn_q.weight", ATTN "q_proj.weight", GGUF_TURNED_Q, false },
	{ "attn_k.weight", ATTN "k_proj.weight", GGUF_TURNED_K, false },
	{ "ffn_gate_inp.weight", "block_sparse_moe.gate.weight", 0, false },
	{ "ffn_gate_exps.weight", "block_sparse_moe.experts.*.w1.weight", 0, false },
	{ "ffn_up_exps.weight", "block_sparse_moe.experts.*.w3.weight", 0, false },
	{ "ffn_down_exps.weight", "block_sparse_moe.experts.*.w2.weight", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name qwen2_moe[] = {
	{ "ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight", 0, false },
	{ "ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight", 0, false },
	{ "ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight", 0, false },
	{ "ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight", GGUF_ROW, false },
	{ NULL, NULL, 0, false },
};
#define DELTA "linear_attn."
static const struct gguf_name qwen_delta[] = {
	{ "output_norm.weight", "model.norm.weight", GGUF_COMPLETE, true },
	{ "attn_norm.weight", "input_layernorm.weight", GGUF_COMPLETE, false },
	{ "post_attention_norm.weight", "post_attention_layernorm.weight", GGUF_COMPLETE, false },
	{ "attn_q_norm.weight", ATTN "q_norm.weight", GGUF_COMPLETE, false },
	{ "attn_k_norm.weight", ATTN "k_norm.weight", GGUF_COMPLETE, false },
	{ "attn_qkv.weight", DELTA "in_proj_qkv.weight", 0, false },
	{ "attn_gate.weight", DELTA "in_proj_z.weight", 0, false },
	{ "ssm_in.weight", DELTA "in_proj_qkvz.weight", 0, false },
	{ "ssm_ba.weight", DELTA "in_proj_ba.weight", 0, false },
	{ "ssm_beta.weight", DELTA "in_proj_b.weight", 0, false },
	{ "ssm_alpha.weight", DELTA "in_proj_a.weight", 0, false },
	{ "ssm_conv1d.weight", DELTA "conv1d.weight", 0, false },
	{ "ssm_a", DELTA "A_log", GGUF_DECAY, false },
	{ "ssm_dt.bias", DELTA "dt_bias", 0, false },
	{ "ssm_norm.weight", DELTA "norm.weight", 0, false },
	{ "ssm_out.weight", DELTA "out_proj.weight", 0, false },
	{ "ffn_gate_up_exps.weight", "mlp.experts.gate_up_proj", 0, false },
	{ "ffn_gate_shexp.weight", "mlp.shared_expert.gate_proj.weight", 0, false },
	{ "ffn_up_shexp.weight", "mlp.shared_expert.up_proj.weight", 0, false },
	{ "ffn_down_shexp.weight", "mlp.shared_expert.down_proj.weight", 0, false },
	{ "ffn_gate_inp_shexp.weight", "mlp.shared_expert_gate.weight", GGUF_ROW, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name gpt_oss[] = {
	{ "post_attention_norm.weight", "post_attention_layernorm.weight", 0, false },
	{ "attn_post_norm.weight", "post_attention_layernorm.weight", 0, false },
	{ "ffn_gate_inp.weight", "mlp.router.weight", 0, false },
	{ "ffn_gate_inp.bias", "mlp.router.bias", 0, false },
	{ NULL, NULL, 0, false },
};
/* The norm before the network is called after what is before it. */
static const struct gguf_name norm_between[] = {
	{ "post_attention_norm.weight", "post_attention_layernorm.weight", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name granite_moe[] = {
	{ "attn_q.weight", ATTN "q_proj.weight", GGUF_TURNED_Q, false },
	{ "attn_k.weight", ATTN "k_proj.weight", GGUF_TURNED_K, false },
	{ "ffn_gate_inp.weight", "block_sparse_moe.router.layer.weight", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name minimax[] = {
	{ "ffn_gate_inp.weight", "block_sparse_moe.gate.weight", 0, false },
	{ "exp_probs_b.bias", "block_sparse_moe.e_score_correction_bias", 0, false },
	{ "ffn_gate_exps.weight", "block_sparse_moe.experts.*.w1.weight", 0, false },
	{ "ffn_up_exps.weight", "block_sparse_moe.experts.*.w3.weight", 0, false },
	{ "ffn_down_exps.weight", "block_sparse_moe.experts.*.w2.weight", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name ernie_moe[] = {
	{ "exp_probs_b.bias", "mlp.moe_statics.e_score_correction_bias", 0, false },
	{ NULL, NULL, 0, false },
};
/* Gains have their plus one. */
static const struct gguf_name gemma[] = {
	{ "output_norm.weight", "model.norm.weight", GGUF_COMPLETE, true },
	{ "attn_norm.weight", "input_layernorm.weight", GGUF_COMPLETE, false },
	{ "post_attention_norm.weight", "post_attention_layernorm.weight", GGUF_COMPLETE, false },
	{ "ffn_norm.weight", "pre_feedforward_layernorm.weight", GGUF_COMPLETE, false },
	{ "post_ffw_norm.weight", "post_feedforward_layernorm.weight", GGUF_COMPLETE, false },
	{ "attn_q_norm.weight", ATTN "q_norm.weight", GGUF_COMPLETE, false },
	{ "attn_k_norm.weight", ATTN "k_norm.weight", GGUF_COMPLETE, false },
	{ NULL, NULL, 0, false },
};
/* A norm behind each branch and none before. */
static const struct gguf_name norms_after[] = {
	{ "post_attention_norm.weight", "post_attention_layernorm.weight", 0, false },
	{ "post_ffw_norm.weight", "post_feedforward_layernorm.weight", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name glm4[] = {
	{ "post_attention_norm.weight", "post_self_attn_layernorm.weight", 0, false },
	{ "post_ffw_norm.weight", "post_mlp_layernorm.weight", 0, false },
	{ "ffn_up.weight", "mlp.gate_up_proj.weight", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name phi3[] = {
	{ "rope_factors_long.weight", NULL, GGUF_KNOWN, true },
	{ "rope_factors_short.weight", NULL, GGUF_KNOWN, true },
	{ "attn_qkv.weight", ATTN "qkv_proj.weight", 0, false },
	{ "ffn_up.weight", "mlp.gate_up_proj.weight", 0, false },
	{ NULL, NULL, 0, false },
};
/* clang-format on */

bool model_gguf_has(struct gguf_maker *c, const char *tensor)
{
	return model_gguf_find(c->m, tensor);
}

uint32_t model_gguf_head(struct gguf_maker *c)
{
	uint32_t hidden = model_gguf_ask(c, "embedding_length", 0);
	return model_gguf_ask(c, "attention.key_length",
			      c->m->heads > 0 ? hidden / c->m->heads : 0);
}

/* Which share of a head is turned. */
void model_gguf_share(struct gguf_maker *c, const char *key)
{
	uint32_t head = model_gguf_head(c),
		 turned = model_gguf_ask(c, "rope.dimension_count", head);
	model_gguf_set(c, key, json_real((double)turned / (head ? head : 1)));
}

/* Biases are said by their presence. */
void model_gguf_biases(struct gguf_maker *c)
{
	model_gguf_set(c, "attention_bias", json_boolean(model_gguf_has(c, "blk.0.attn_q.bias")));
}

static void own_llama(struct gguf_maker *c)
{
	model_gguf_biases(c);
	model_gguf_set(c, "mlp_bias", json_boolean(model_gguf_has(c, "blk.0.ffn_gate.bias")));
}

/* A class may assume a window: a file without one has none, but for gemma2's older ones. */
void model_gguf_window(struct gguf_maker *c)
{
	if (!model_gguf_meta(c->m, "attention.sliding_window") &&
	    strcmp(c->m->arch->type, "gemma2") == 0)
		model_gguf_set(c, "sliding_window", json_integer(4096));
	else if (model_gguf_ask(c, "attention.sliding_window", 0) == 0)
		model_gguf_set(c, "sliding_window", json_null());
}

static void own_seed_oss(struct gguf_maker *c)
{
	model_gguf_biases(c);
	model_gguf_set(c, "attention_out_bias",
		       json_boolean(model_gguf_has(c, "blk.0.attn_output.bias")));
}

static void own_granite(struct gguf_maker *c)
{
	model_gguf_biases(c);
	model_gguf_copy(c, "attention.scale", "attention_multiplier");
	model_gguf_copy(c, "embedding_scale", "embedding_multiplier");
	model_gguf_copy(c, "residual_scale", "residual_multiplier");
	model_gguf_copy(c, "logit_scale", "logits_scaling");
	model_gguf_copy(c, "expert_shared_feed_forward_length", "shared_intermediate_size");
}

/* Of the largest one, and of no other, queries are scaled by the width that a head would have if
 * all together were as wide as the model. */
static void own_gemma(struct gguf_maker *c)
{
	bool three = strcmp(c->m->arch->name, "gemma3") == 0;
	uint32_t hidden = model_gguf_ask(c, "embedding_length", 0), scale = model_gguf_head(c);
	if (c->m->layers == (three ? 62 : 46) && c->m->heads > 0)
		scale = hidden / c->m->heads;
	model_gguf_set(c, "query_pre_attn_scalar", json_integer(scale));
	model_gguf_copy(c, "rope.freq_base_swa", "rope_local_base_freq");
	model_gguf_window(c);
}

static void own_cohere2(struct gguf_maker *c)
{
	model_gguf_copy(c, "attention.layer_norm_epsilon", "layer_norm_eps");
	model_gguf_copy(c, "logit_scale", "logit_scale");
	model_gguf_window(c);
}

static void own_glm4(struct gguf_maker *c)
{
	model_gguf_biases(c);
	model_gguf_share(c, "partial_rotary_factor");
}

static void own_minimax(struct gguf_maker *c)
{
	model_gguf_copy(c, "rope.dimension_count", "rotary_dim");
	model_gguf_copy(c, "expert_feed_forward_length", "intermediate_size");
	model_gguf_set(c, "use_routing_bias",
		       json_boolean(model_gguf_has(c, "blk.0.exp_probs_b.bias")));
	model_gguf_set(c, "use_qk_norm",
		       json_boolean(model_gguf_has(c, "blk.0.attn_q_norm.weight")));
}

static void own_ernie(struct gguf_maker *c)
{
	model_gguf_set(c, "use_bias", json_boolean(model_gguf_has(c, "blk.0.attn_q.bias")));
	if (strcmp(c->m->arch->type, "ernie4_5_moe") != 0)
		return;
	model_gguf_copy(c, "expert_used_count", "moe_k");
	model_gguf_copy(c, "expert_shared_count", "moe_num_shared_experts");
	model_gguf_copy(c, "leading_dense_block_count", "moe_layer_start_index");
	model_gguf_copy(c, "interleave_moe_layer_step", "moe_layer_interval");
}

/* Factors of frequencies for texts of the length first trained for, and for longer ones. */
static void own_phi3(struct gguf_maker *c)
{
	model_gguf_share(c, "partial_rotary_factor");
	model_gguf_window(c);
	model_gguf_copy(c, "rope.scaling.original_context_length",
			"original_max_position_embeddings");
	if (model_gguf_has(c, "rope_factors_long.weight"))
		model_gguf_longrope(c);
}

static void own_glm4_moe(struct gguf_maker *c)
{
	own_glm4(c);
	model_gguf_set(c, "use_qk_norm",
		       json_boolean(model_gguf_has(c, "blk.0.attn_q_norm.weight")));
	model_gguf_copy(c, "expert_feed_forward_length", "moe_intermediate_size");
}

/* Older files have the widths of a head whole, newer ones those of the latent beside them. Groups
 * that a file does not mention are those of DeepSeek-V3, or none. */
void model_gguf_latent(struct gguf_maker *c)
{
	uint32_t rope = model_gguf_ask(c, "rope.dimension_count", 64);
	uint32_t key = model_gguf_ask(c, "attention.key_length", 0);
	uint32_t value = model_gguf_ask(c, "attention.value_length", 0);
	key = model_gguf_ask(c, "attention.key_length_mla", key);
	value = model_gguf_ask(c, "attention.value_length_mla", value);
	bool v3 = strcmp(c->m->arch->type, "deepseek_v2") != 0;
	uint32_t experts = model_gguf_ask(c, "expert_count", 0);
	uint32_t groups = model_gguf_ask(c, "expert_group_count", v3 && experts == 256 ? 8 : 1);
	uint32_t kept = model_gguf_ask(c, "expert_group_used_count", groups == 8 ? 4 : 1);
	if (model_gguf_meta(c->m, "attention.temperature_scale"))
		model_gguf_refuse(c, "attention.temperature_scale",
				  "not available in this version");
	model_gguf_set(c, "qk_rope_head_dim", json_integer(rope));
	model_gguf_set(c, "qk_nope_head_dim", json_integer(key > rope ? key - rope : 0));
	model_gguf_set(c, "v_head_dim", json_integer(value));
	model_gguf_set(c, "num_key_value_heads", json_integer(c->m->heads));
	model_gguf_set(c, "n_group", json_integer(groups));
	model_gguf_set(c, "topk_group", json_integer(kept));
	model_gguf_set(c, "scoring_func", json_string(v3 ? "sigmoid" : "softmax"));
	model_gguf_set(c, "topk_method",
		       json_string(v3           ? "noaux_tc"
				   : groups > 1 ? "group_limited_greedy"
						: "greedy"));
	if (!json_object_get(c->o, "norm_topk_prob"))
		model_gguf_set(c, "norm_topk_prob", json_false());
	if (!json_object_get(c->o, "q_lora_rank"))
		model_gguf_set(c, "q_lora_rank", json_null());
	model_gguf_set(c, "attention_bias",
		       json_boolean(model_gguf_has(c, "blk.0.attn_kv_a_mqa.bias")));
}

/* Layers without a router are dense; which, only the tensors say. */
static void own_qwen_moe(struct gguf_maker *c)
{
	json_t *dense = json_array();
	char name[60];
	for (uint32_t i = 0; i < c->m->layers; i++) {
		snprintf(name, sizeof name, "blk.%u.ffn_gate_inp.weight", i);
		if (!model_gguf_has(c, name))
			json_array_append_new(dense, json_integer(i));
	}
	model_gguf_set(c, "mlp_only_layers", dense);
	if (strcmp(c->m->arch->type, "qwen2_moe") != 0)
		model_gguf_biases(c);
}

/* In qwen35 value heads lie so that neighbours have neighbouring key heads, in qwen3next so that
 * they share one. */
static void own_qwen_delta(struct gguf_maker *c)
{
	uint32_t heads = model_gguf_ask(c, "ssm.time_step_rank", 0),
		 width = model_gguf_ask(c, "ssm.inner_size", 0);
	model_gguf_copy(c, "ssm.conv_kernel", "linear_conv_kernel_dim");
	model_gguf_copy(c, "ssm.state_size", "linear_key_head_dim");
	model_gguf_copy(c, "ssm.group_count", "linear_num_key_heads");
	model_gguf_set(c, "linear_num_value_heads", json_integer(heads));
	model_gguf_set(c, "linear_value_head_dim", json_integer(heads > 0 ? width / heads : 0));
	model_gguf_copy(c, "full_attention_interval", "full_attention_interval");
	model_gguf_share(c, "partial_rotary_factor");
	if (strcmp(c->m->arch->name, "qwen3next") == 0)
		own_qwen_moe(c);
	else
		model_gguf_set(c, "linear_value_heads_tiled", json_true());
}

/* The width of an expert is the one that config.json has for all. */
static void own_wide_experts(struct gguf_maker *c)
{
	model_gguf_copy(c, "expert_feed_forward_length", "intermediate_size");
}

static const struct gguf_arch arches[] = {
	{ "llama", "llama", NULL, NULL, model_gguf_turned, .own = own_llama },
	{ "llama", "mixtral", "num_local_experts", NULL, mixtral, .own = own_wide_experts },
	{ "qwen2", "qwen2", NULL, NULL, NULL, .own = NULL },
	{ "qwen3", "qwen3", NULL, NULL, NULL, .own = model_gguf_biases },
	{ "qwen2moe", "qwen2_moe", "num_experts", "{\"norm_topk_prob\":false}", qwen2_moe,
	  .own = own_qwen_moe },
	{ "qwen3moe", "qwen3_moe", "num_experts", "{\"norm_topk_prob\":true}", NULL,
	  .own = own_qwen_moe },
	{ "olmoe", "olmoe", "num_experts", "{\"norm_topk_prob\":false}", NULL,
	  .own = model_gguf_biases },
	{ "deepseek2", "deepseek_v2", "n_routed_experts", NULL, NULL, .own = model_gguf_latent },
	{ "deepseek2", "deepseek_v3", "n_routed_experts", NULL, NULL, .own = model_gguf_latent },
	{ "gpt-oss", "gpt_oss", "num_local_experts", "{\"attention_bias\":true}", gpt_oss,
	  .own = own_wide_experts },
	{ "glm4moe", "glm4_moe", "n_routed_experts", NULL, norm_between, .own = own_glm4_moe },
	{ "qwen2vl", "qwen2", NULL, NULL, NULL, .own = NULL },
	{ "qwen3vl", "qwen3", NULL, NULL, NULL, .own = model_gguf_biases },
	{ "qwen3vlmoe", "qwen3_moe", "num_experts", "{\"norm_topk_prob\":true}", NULL,
	  .own = own_qwen_moe },
	{ "qwen3next", "qwen3_next", "num_experts", "{\"norm_topk_prob\":true}", qwen_delta,
	  .own = own_qwen_delta },
	{ "qwen35", "qwen3_5_text", NULL, NULL, qwen_delta, .own = own_qwen_delta },
	{ "qwen35moe", "qwen3_5_moe_text", "num_experts", NULL, qwen_delta, .own = own_qwen_delta },
	{ "gemma2", "gemma2", NULL, NULL, gemma, .own = own_gemma },
	{ "gemma3", "gemma3_text", NULL, NULL, gemma, .own = own_gemma },
	{ "phi3", "phi3", NULL, NULL, phi3, .own = own_phi3 },
	{ "seed_oss", "seed_oss", NULL, NULL, norm_between, .own = own_seed_oss },
	{ "smollm3", "smollm3", NULL, NULL, model_gguf_turned, .own = own_llama },
	{ "olmo2", "olmo2", NULL, NULL, norms_after, .own = model_gguf_biases },
	{ "olmo2", "olmo3", NULL, NULL, norms_after, .own = model_gguf_biases },
	{ "exaone4", "exaone4", NULL, NULL, norms_after, .own = model_gguf_window },
	{ "cohere2", "cohere2", NULL, NULL, NULL, .own = own_cohere2 },
	{ "glm4", "glm4", NULL, NULL, glm4, .own = own_glm4 },
	{ "granite", "granite", NULL, NULL, model_gguf_turned, .own = own_granite },
	{ "granitemoe", "granitemoe", "num_local_experts", NULL, granite_moe, .own = own_granite },
	{ "granitemoe", "granitemoeshared", "num_local_experts", NULL, granite_moe,
	  .own = own_granite },
	{ "dots1", "dots1", "n_routed_experts", NULL, NULL, .own = model_gguf_biases },
	{ "minimax-m2", "minimax_m2", "num_local_experts", NULL, minimax, .own = own_minimax },
	{ "ernie4_5", "ernie4_5", NULL, NULL, NULL, .own = own_ernie },
	{ "ernie4_5-moe", "ernie4_5_moe", "moe_num_experts", NULL, ernie_moe, .own = own_ernie },
	{ .name = NULL },
};

/* One name may stand for two architectures: the second is the one with experts (of llama), with
 * a window (of olmo2), with queries that grow (of mistral3), with a shared expert (of
 * granitemoe), or with a correction of the router's scores (of deepseek2). */
static bool is_second(const struct gguf_model *m, const char *name)
{
	uint32_t experts = 0, gate = 0;
	struct err ignored;
	if (model_gguf_count(m, "expert_count", 0, &experts, &ignored) < 0 ||
	    model_gguf_count(m, "expert_gating_func", 0, &gate, &ignored) < 0)
		return false;
	if (strcmp(name, "llama") == 0)
		return experts > 0;
	if (strcmp(name, "olmo2") == 0)
		return model_gguf_meta(m, "attention.sliding_window");
	if (strcmp(name, "mistral3") == 0)
		return model_gguf_meta(m, "attention.temperature_scale");
	if (strcmp(name, "granitemoe") == 0)
		return model_gguf_meta(m, "expert_shared_feed_forward_length");
	for (uint32_t i = 0; i < m->layers && gate != 2; i++) {
		char tensor[60];
		snprintf(tensor, sizeof tensor, "blk.%u.exp_probs_b.bias", i);
		if (model_gguf_find(m, tensor))
			return true;
	}
	return gate == 2;
}

/* Layers for prediction further ahead have tensors that no other layer has, or none at all. */
static int extra_check(const struct gguf_model *m, struct err *e)
{
	for (uint32_t i = m->layers; i < m->layers + m->extra; i++) {
		char blk[24];
		bool any = false, ahead = false;
		int len = snprintf(blk, sizeof blk, "blk.%u.", i);
		for (size_t p = 0; p < m->parts && !ahead; p++) {
			for (size_t t = 0; t < m->part[p]->count && !ahead; t++) {
				const char *name = m->part[p]->tensor[t].name;
				bool inside = strncmp(name, blk, (size_t)len) == 0;
				any = any || inside;
				ahead = inside && text_starts(name + len, "nextn.");
			}
		}
		if (any && !ahead)
			return err_set(e, ERR_INPUT,
				       "%s: %s.nextn_predict_layers %u: layer %u has no tensor "
				       "nextn.*",
				       m->file, m->arch->name, m->extra, i);
	}
	return 0;
}

int model_gguf_arch(struct gguf_model *m, struct err *e)
{
	const char *name =
		json_string_value(json_object_get(m->part[0]->meta, "general.architecture"));
	if (!name)
		return err_set(e, ERR_INPUT, "%s: general.architecture is missing", m->file);
	const struct gguf_arch *const lists[] = { arches, model_gguf_layered };
	for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++)
		for (const struct gguf_arch *a = lists[l]; a->name && !m->arch; a++)
			m->arch = strcmp(a->name, name) == 0 ? a : NULL;
	if (!m->arch)
		return err_set(
			e, ERR_UNSUPPORTED,
			"%s: general.architecture \"%.60s\" is not available in this version",
			m->file, name);
	TRY(model_gguf_count(m, "nextn_predict_layers", 0, &m->extra, e));
	TRY(model_gguf_count(m, "block_count", 0, &m->layers, e));
	TRY(model_gguf_count(m, "attention.head_count", 0, &m->heads, e));
	if (!m->arch->by_layer)
		TRY(model_gguf_count(m, "attention.head_count_kv", m->heads, &m->kv_heads, e));
	if (m->layers <= m->extra || m->layers > MODEL_GGUF_LAYERS)
		return err_set(e, ERR_INPUT, "%s: %s.block_count %u is out of range", m->file, name,
			       m->layers);
	m->layers -= m->extra;
	TRY(extra_check(m, e));
	if (m->arch[1].name && strcmp(m->arch[1].name, name) == 0 && is_second(m, name))
		m->arch++;
	return 0;
}

void model_gguf_arch_loose(struct gguf_model *m)
{
	static const struct gguf_arch none = { .name = "unknown", .type = "" };
	struct err why = { 0 };
	if (model_gguf_arch(m, &why) == 0)
		return;
	m->arch = &none;
	m->unknown = true;
	m->layers = MODEL_GGUF_LAYERS;
	m->extra = m->heads = m->kv_heads = 0;
}
