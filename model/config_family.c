/* One reader for each architecture; what several share is a function of its own. */
#include "model/config_reader.h"

#include "base/limits.h"

#include <string.h>

/* ---- attention ---- */

static void read_mla(struct config_reader *r, struct model_config *c)
{
	c->attention = MODEL_ATTN_MLA;
	c->q_rank = model_config_u32_or(r, "q_lora_rank", 0, 1, MODEL_WIDTH);
	c->kv_rank = model_config_u32(r, "kv_lora_rank", 1, MODEL_WIDTH);
	c->nope = model_config_u32(r, "qk_nope_head_dim", 1, 4096);
	c->rope_head = model_config_u32(r, "qk_rope_head_dim", 2, 4096);
	c->value = model_config_u32(r, "v_head_dim", 1, 4096);
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	c->rope.size = c->rope_head;
	c->rope.partial = 1;
	model_config_rope(r, c);
}

/* The share of a head that is rotated; newer files keep it beside theta. Source of the default:
 * the architecture's reference class. */
static double rotated_share(struct config_reader *r)
{
	const json_t *in = model_config_get(r, "rope_parameters");
	const json_t *v = json_object_get(in, "partial_rotary_factor");
	if (json_is_number(v) && json_number_value(v) > 0 && json_number_value(v) <= 1)
		return json_number_value(v);
	return model_config_number_or(r, "partial_rotary_factor", 1, 0, 1);
}

static void read_gqa(struct config_reader *r, struct model_config *c, bool partial)
{
	c->attention = MODEL_ATTN_GQA;
	c->head = model_config_u32_or(r, "head_dim", 0, 1, 4096);
	if (r->code != 0)
		return;
	if (c->head == 0 && c->hidden < c->heads)
		model_config_refuse(r, ERR_INPUT, "num_attention_heads", "above hidden_size");
	if (c->heads % c->kv_heads != 0)
		model_config_refuse(r, ERR_INPUT, "num_key_value_heads",
				    "does not divide num_attention_heads");
	c->head = c->head == 0 ? c->hidden / c->heads : c->head;
	if ((uint64_t)c->heads * c->head > MODEL_WIDTH)
		model_config_refuse(r, ERR_UNSUPPORTED, "num_attention_heads", "too wide");
	c->rope.partial = partial ? rotated_share(r) : 1;
	c->rope.size = (uint32_t)(c->head * c->rope.partial);
	model_config_rope(r, c);
}

/* Null is no window; one that is wider than any context is as good as the widest. */
static void read_window(struct config_reader *r, struct model_config *c, uint32_t first,
			uint32_t every)
{
	bool wide = json_number_value(model_config_get(r, "sliding_window")) > LIMIT_CONTEXT_TOKENS;
	c->window = wide ? LIMIT_CONTEXT_TOKENS
			 : model_config_u32_or(r, "sliding_window", 0, 1, LIMIT_CONTEXT_TOKENS);
	for (uint32_t l = first; c->window > 0 && l < c->layers; l += every)
		c->window_layer[l] = true;
}

/* In Qwen files the window's width applies only with this flag. */
static bool uses_window(struct config_reader *r)
{
	return model_config_bool_or(r, "use_sliding_window", false);
}

/* ---- DeepSeek, Kimi ---- */

static void read_deepseek_v2(struct config_reader *r, struct model_config *c)
{
	c->rope.interleaved = true; /* the reference asks no key */
	if (json_is_false(model_config_get(r, "rope_interleave")))
		model_config_note(r,
				  "%s: rope_interleave false is without effect in %s, as in the "
				  "reference",
				  r->file, c->model_type);
	read_mla(r, c);
	model_config_experts_deepseek_v2(r, c);
}

static void read_deepseek_v3(struct config_reader *r, struct model_config *c)
{
	c->rope.interleaved = model_config_bool_or(r, "rope_interleave", true);
	read_mla(r, c);
	model_config_experts_sigmoid(r, c);
}

/* ---- dense ---- */

static void read_ffn(struct config_reader *r, struct model_config *c)
{
	c->ffn = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
}

static void read_llama(struct config_reader *r, struct model_config *c)
{
	if (model_config_absent(r, "head_dim") && c->hidden % c->heads != 0)
		model_config_refuse(r, ERR_INPUT, "num_attention_heads",
				    "does not divide hidden_size");
	read_gqa(r, c, false);
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	c->bias_ffn = model_config_bool_or(r, "mlp_bias", false);
	read_ffn(r, c);
}

/* With layer_types the reference reads the file as a ministral, which follows the list; and where
 * all layers attend the window, it is the same. */
static void read_mistral(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->window_listed = !model_config_absent(r, "layer_types");
	read_window(r, c, 0, 1);
	read_ffn(r, c);
}

static void read_qwen_window(struct config_reader *r, struct model_config *c)
{
	c->window_listed = true;
	if (uses_window(r))
		read_window(r, c, model_config_u32(r, "max_window_layers", 0, UINT32_MAX), 1);
}

static void read_qwen2(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->bias_qkv = true;
	read_qwen_window(r, c);
	read_ffn(r, c);
}

static void read_qwen3(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->qk_norm = MODEL_QK_HEAD;
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	read_qwen_window(r, c);
	read_ffn(r, c);
}

/* ---- mixtures of experts ---- */

static void read_qwen3_moe(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->qk_norm = MODEL_QK_HEAD;
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	if (uses_window(r))
		read_window(r, c, 0, 1);
	model_config_experts_qwen(r, c);
}

static void read_qwen2_moe(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->bias_qkv = model_config_bool_or(r, "qkv_bias", true);
	c->window_listed = true;
	double window = json_number_value(model_config_get(r, "sliding_window"));
	if (uses_window(r) && window < c->context_max) /* ports disagree on the layers */
		model_config_refuse(r, ERR_UNSUPPORTED, "use_sliding_window",
				    "not available in this version");
	model_config_experts_qwen(r, c);
	c->shared_width = model_config_u32(r, "shared_expert_intermediate_size", 1, MODEL_WIDTH);
	c->shared_gated = true;
}

static void read_mixtral(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	read_window(r, c, 0, 1);
	model_config_experts_softmax(r, c);
	c->gate.normalise = true;
	c->experts = MODEL_EXPERTS_MIXTRAL;
}

static void read_olmoe(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->qk_norm = MODEL_QK_FULL;
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	c->clip = (float)model_config_number_or(r, "clip_qkv", 0, 1e-6, 1e6);
	model_config_experts_softmax(r, c);
	c->gate.normalise = model_config_bool_or(r, "norm_topk_prob", false);
}

static void read_gpt_oss(struct config_reader *r, struct model_config *c)
{
	c->rope = (struct model_rope){ .kind = MODEL_ROPE_YARN,
				       .factor = 32,
				       .beta_fast = 32,
				       .beta_slow = 1,
				       .context_original = 4096 };
	read_gqa(r, c, false);
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", true);
	c->sinks = c->window_listed = true;
	read_window(r, c, 0, 2);
	model_config_experts_topk(r, c);
}

static void read_glm4_moe(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, true);
	c->qk_norm = model_config_bool_or(r, "use_qk_norm", false) ? MODEL_QK_HEAD : MODEL_QK_NONE;
	c->bias_qkv = model_config_bool_or(r, "attention_bias", false);
	model_config_experts_sigmoid(r, c);
}

/* ---- all ---- */

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
static const struct config_default deepseek_v2[] = {
	/* clang-format off */
	{ "vocab_size", 102400 }, { "hidden_size", 4096 }, { "intermediate_size", 11008 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "kv_lora_rank", 512 }, { "q_lora_rank", 1536 },
	{ "qk_nope_head_dim", 128 }, { "qk_rope_head_dim", 64 }, { "v_head_dim", 128 },
	{ "n_routed_experts", 64 }, { "n_shared_experts", 2 }, { "moe_intermediate_size", 1407 },
	{ "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default deepseek_v3[] = {
	{ "vocab_size", 129280 }, { "hidden_size", 7168 }, { "intermediate_size", 18432 },
	{ "moe_intermediate_size", 2048 }, { "num_hidden_layers", 61 },
	{ "num_attention_heads", 128 }, { "n_shared_experts", 1 }, { "n_routed_experts", 256 },
	{ "routed_scaling_factor", 2.5 }, { "kv_lora_rank", 512 }, { "q_lora_rank", 1536 },
	{ "qk_rope_head_dim", 64 }, { "v_head_dim", 128 }, { "qk_nope_head_dim", 128 },
	{ "n_group", 8 }, { "topk_group", 4 }, { "num_experts_per_tok", 8 },
	{ "first_k_dense_replace", 3 }, { "max_position_embeddings", 4096 },
	{ "num_nextn_predict_layers", 1 }, { "norm_topk_prob", 1 }, { "eos_token_id", 1 },
	{ NULL, 0 },
};
static const struct config_default llama[] = {
	{ "vocab_size", 32000 }, { "hidden_size", 4096 }, { "intermediate_size", 11008 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default mistral[] = {
	{ "vocab_size", 32000 }, { "hidden_size", 4096 }, { "intermediate_size", 14336 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 8 },
	{ "max_position_embeddings", 131072 }, { "sliding_window", 4096 }, { "eos_token_id", 2 },
	{ NULL, 0 },
};
static const struct config_default qwen2[] = {
	{ "vocab_size", 151936 }, { "hidden_size", 4096 }, { "intermediate_size", 22016 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 32 },
	{ "max_position_embeddings", 32768 }, { "sliding_window", 4096 },
	{ "max_window_layers", 28 }, { NULL, 0 },
};
static const struct config_default qwen3[] = {
	{ "vocab_size", 151936 }, { "hidden_size", 4096 }, { "intermediate_size", 22016 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 32 },
	{ "head_dim", 128 }, { "max_position_embeddings", 32768 }, { "sliding_window", 4096 },
	{ "max_window_layers", 28 }, { NULL, 0 },
};
static const struct config_default qwen3_moe[] = {
	{ "vocab_size", 151936 }, { "hidden_size", 2048 }, { "intermediate_size", 6144 },
	{ "num_hidden_layers", 24 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 4 },
	{ "max_position_embeddings", 32768 }, { "sliding_window", 4096 },
	{ "moe_intermediate_size", 768 }, { "num_experts_per_tok", 8 }, { "num_experts", 128 },
	{ NULL, 0 },
};
static const struct config_default qwen2_moe[] = {
	{ "vocab_size", 151936 }, { "hidden_size", 2048 }, { "intermediate_size", 5632 },
	{ "num_hidden_layers", 24 }, { "num_attention_heads", 16 }, { "num_key_value_heads", 16 },
	{ "max_position_embeddings", 32768 }, { "moe_intermediate_size", 1408 },
	{ "shared_expert_intermediate_size", 5632 }, { "num_experts_per_tok", 4 },
	{ "num_experts", 60 }, { NULL, 0 },
};
static const struct config_default mixtral[] = {
	{ "vocab_size", 32000 }, { "hidden_size", 4096 }, { "intermediate_size", 14336 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 8 },
	{ "max_position_embeddings", 131072 }, { "rms_norm_eps", 1e-5 }, { "rope_theta", 1e6 },
	{ "num_experts_per_tok", 2 }, { "num_local_experts", 8 }, { "eos_token_id", 2 },
	{ NULL, 0 },
};
static const struct config_default olmoe[] = {
	{ "vocab_size", 50304 }, { "hidden_size", 2048 }, { "intermediate_size", 2048 },
	{ "num_hidden_layers", 16 }, { "num_attention_heads", 16 },
	{ "max_position_embeddings", 4096 }, { "rms_norm_eps", 1e-5 },
	{ "num_experts_per_tok", 8 }, { "num_experts", 64 }, { "eos_token_id", 50279 },
	{ NULL, 0 },
};
static const struct config_default gpt_oss[] = {
	{ "vocab_size", 201088 }, { "hidden_size", 2880 }, { "intermediate_size", 2880 },
	{ "num_hidden_layers", 36 }, { "num_attention_heads", 64 }, { "num_key_value_heads", 8 },
	{ "head_dim", 64 }, { "max_position_embeddings", 131072 }, { "rms_norm_eps", 1e-5 },
	{ "rope_theta", 150000 }, { "sliding_window", 128 }, { "num_experts_per_tok", 4 },
	{ "num_local_experts", 128 }, { NULL, 0 },
};
static const struct config_default glm4_moe[] = {
	{ "vocab_size", 151552 }, { "hidden_size", 4096 }, { "intermediate_size", 10944 },
	{ "num_hidden_layers", 46 }, { "num_attention_heads", 96 }, { "num_key_value_heads", 8 },
	{ "max_position_embeddings", 131072 }, { "rms_norm_eps", 1e-5 },
	{ "partial_rotary_factor", 0.5 }, { "moe_intermediate_size", 1408 },
	{ "num_experts_per_tok", 8 }, { "n_shared_experts", 1 }, { "n_routed_experts", 128 },
	{ "first_k_dense_replace", 1 }, { "norm_topk_prob", 1 },
	{ "num_nextn_predict_layers", 1 }, { NULL, 0 },
}; /* clang-format on */

static const struct config_family families[] = {
	{ "deepseek_v2", read_deepseek_v2, deepseek_v2, { NULL }, false },
	{ "deepseek_v3", read_deepseek_v3, deepseek_v3, { NULL }, true },
	{ "kimi_k2", read_deepseek_v3, deepseek_v3, { NULL }, true },
	{ "llama", read_llama, llama, { "mlp_bias" }, false },
	{ "mistral", read_mistral, mistral, { "sliding_window" }, false },
	{ "ministral", read_mistral, mistral, { "sliding_window" }, false },
	{ "qwen2", read_qwen2, qwen2, { "sliding_window" }, false },
	{ "qwen3", read_qwen3, qwen3, { "sliding_window", "use_qk_norm" }, false },
	{ "qwen3_moe", read_qwen3_moe, qwen3_moe, { "sliding_window", "use_qk_norm" }, false },
	{ "qwen2_moe", read_qwen2_moe, qwen2_moe, { "sliding_window" }, false },
	{ "mixtral", read_mixtral, mixtral, { "sliding_window" }, false },
	{ "olmoe", read_olmoe, olmoe, { "clip_qkv" }, false },
	{ "gpt_oss",
	  read_gpt_oss,
	  gpt_oss,
	  { "sliding_window", "swiglu_alpha", "swiglu_limit" },
	  false },
	{ "glm4_moe", read_glm4_moe, glm4_moe, { "partial_rotary_factor", "use_qk_norm" }, true },
};

const struct config_family *model_config_family(const char *type)
{
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
		if (strcmp(type, families[i].type) == 0)
			return &families[i];
	}
	return NULL;
}
