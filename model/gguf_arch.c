/* Architectures of GGUF files: which model_type each is, what its config.json says that the file
 * does not, and what its tensors are called in a folder of safetensors.
 *
 * Source: llama.cpp, conversion/ (what is renamed, permuted and completed) and gguf-py's
 * tensor_mapping.py; what a fixed member says is what llama.cpp computes for the architecture. */
#include "model/gguf_in.h"

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
static const struct gguf_name llama[] = {
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
static const struct gguf_name gpt_oss[] = {
	{ "post_attention_norm.weight", "post_attention_layernorm.weight", 0, false },
	{ "attn_post_norm.weight", "post_attention_layernorm.weight", 0, false },
	{ "ffn_gate_inp.weight", "mlp.router.weight", 0, false },
	{ "ffn_gate_inp.bias", "mlp.router.bias", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name glm4_moe[] = {
	{ "post_attention_norm.weight", "post_attention_layernorm.weight", 0, false },
	{ NULL, NULL, 0, false },
};
/* clang-format on */

static bool has(struct gguf_maker *c, const char *tensor) { return model_gguf_find(c->m, tensor); }

/* Biases are said by their presence. */
static void own_biases(struct gguf_maker *c)
{
	model_gguf_set(c, "attention_bias", json_boolean(has(c, "blk.0.attn_q.bias")));
}

static void own_llama(struct gguf_maker *c)
{
	own_biases(c);
	model_gguf_set(c, "mlp_bias", json_boolean(has(c, "blk.0.ffn_gate.bias")));
}

static void own_glm4_moe(struct gguf_maker *c)
{
	uint32_t head = model_gguf_ask(c, "attention.key_length", 128),
		 turned = model_gguf_ask(c, "rope.dimension_count", head);
	own_biases(c);
	model_gguf_set(c, "use_qk_norm", json_boolean(has(c, "blk.0.attn_q_norm.weight")));
	model_gguf_set(c, "partial_rotary_factor", json_real((double)turned / (head ? head : 1)));
	model_gguf_copy(c, "expert_feed_forward_length", "moe_intermediate_size");
}

/* Older files have the widths of a head whole, newer ones those of the latent beside them. Groups
 * that a file does not mention are those of DeepSeek-V3, or none. */
static void own_deepseek(struct gguf_maker *c)
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
	model_gguf_set(c, "attention_bias", json_boolean(has(c, "blk.0.attn_kv_a_mqa.bias")));
}

/* Layers without a router are dense; which, only the tensors say. */
static void own_qwen_moe(struct gguf_maker *c)
{
	json_t *dense = json_array();
	char name[60];
	for (uint32_t i = 0; i < c->m->layers; i++) {
		snprintf(name, sizeof name, "blk.%u.ffn_gate_inp.weight", i);
		if (!has(c, name))
			json_array_append_new(dense, json_integer(i));
	}
	model_gguf_set(c, "mlp_only_layers", dense);
	if (strcmp(c->m->arch->type, "qwen2_moe") != 0)
		own_biases(c);
}

/* The width of an expert is the one that config.json has for all. */
static void own_wide_experts(struct gguf_maker *c)
{
	model_gguf_copy(c, "expert_feed_forward_length", "intermediate_size");
}

static const struct gguf_arch arches[] = {
	{ "llama", "llama", NULL, NULL, llama, own_llama },
	{ "llama", "mixtral", "num_local_experts", NULL, mixtral, own_wide_experts },
	{ "qwen2", "qwen2", NULL, NULL, NULL, NULL },
	{ "qwen3", "qwen3", NULL, NULL, NULL, own_biases },
	{ "qwen2moe", "qwen2_moe", "num_experts", "{\"norm_topk_prob\":false}", qwen2_moe,
	  own_qwen_moe },
	{ "qwen3moe", "qwen3_moe", "num_experts", "{\"norm_topk_prob\":true}", NULL, own_qwen_moe },
	{ "olmoe", "olmoe", "num_experts", "{\"norm_topk_prob\":false}", NULL, own_biases },
	{ "deepseek2", "deepseek_v2", "n_routed_experts", NULL, NULL, own_deepseek },
	{ "deepseek2", "deepseek_v3", "n_routed_experts", NULL, NULL, own_deepseek },
	{ "gpt-oss", "gpt_oss", "num_local_experts", "{\"attention_bias\":true}", gpt_oss,
	  own_wide_experts },
	{ "glm4moe", "glm4_moe", "n_routed_experts", NULL, glm4_moe, own_glm4_moe },
};

/* One name may stand for two architectures: the second is the one with experts (of llama), or with
 * a correction of the router's scores (of deepseek2). */
static bool is_second(const struct gguf_model *m, const char *name)
{
	uint32_t experts = 0, gate = 0;
	struct err ignored;
	if (model_gguf_count(m, "expert_count", 0, &experts, &ignored) < 0 ||
	    model_gguf_count(m, "expert_gating_func", 0, &gate, &ignored) < 0)
		return false;
	if (strcmp(name, "llama") == 0)
		return experts > 0;
	for (uint32_t i = 0; i < m->layers && gate != 2; i++) {
		char tensor[60];
		snprintf(tensor, sizeof tensor, "blk.%u.exp_probs_b.bias", i);
		if (model_gguf_find(m, tensor))
			return true;
	}
	return gate == 2;
}

int model_gguf_arch(struct gguf_model *m, struct err *e)
{
	const char *name =
		json_string_value(json_object_get(m->part[0]->meta, "general.architecture"));
	if (!name)
		return err_set(e, ERR_INPUT, "%s: general.architecture is missing", m->file);
	for (size_t i = 0; i < sizeof arches / sizeof arches[0] && !m->arch; i++)
		if (strcmp(arches[i].name, name) == 0)
			m->arch = &arches[i];
	if (!m->arch)
		return err_set(
			e, ERR_UNSUPPORTED,
			"%s: general.architecture \"%.60s\" is not available in this version",
			m->file, name);
	TRY(model_gguf_count(m, "nextn_predict_layers", 0, &m->extra, e));
	TRY(model_gguf_count(m, "block_count", 0, &m->layers, e));
	TRY(model_gguf_count(m, "attention.head_count", 0, &m->heads, e));
	TRY(model_gguf_count(m, "attention.head_count_kv", m->heads, &m->kv_heads, e));
	if (m->layers <= m->extra || m->layers > MODEL_GGUF_LAYERS)
		return err_set(e, ERR_INPUT, "%s: %s.block_count %u is out of range", m->file, name,
			       m->layers);
	m->layers -= m->extra;
	if (m->arch + 1 < arches + sizeof arches / sizeof arches[0] &&
	    strcmp(m->arch[1].name, name) == 0 && is_second(m, name))
		m->arch++;
	return 0;
}
