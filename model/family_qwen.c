/* Qwen, dense and with experts. */
#include "model/family.h"
#include "model/names.h"

/* In Qwen files the window's width applies only with this flag. */
static bool uses_window(struct config_reader *r)
{
	return model_config_bool_or(r, "use_sliding_window", false);
}

static void read_qwen_window(struct config_reader *r, struct model_config *c)
{
	c->window_listed = true;
	if (uses_window(r))
		model_family_window(r, c, model_config_u32(r, "max_window_layers", 0, UINT32_MAX),
				    1);
}

static void read_qwen2(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	c->bias_qkv = true;
	read_qwen_window(r, c);
	model_family_ffn(r, c);
}

static void read_qwen3(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	model_family_biases(r, c);
	read_qwen_window(r, c);
	model_family_ffn(r, c);
}

static void read_qwen3_vl(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	model_family_biases(r, c);
	model_family_ffn(r, c);
}

static void read_qwen3_moe(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	model_family_biases(r, c);
	if (uses_window(r))
		model_family_window(r, c, 0, 1);
	model_config_experts_qwen(r, c);
}

static void read_qwen3_vl_moe(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	model_family_biases(r, c);
	model_config_experts_qwen(r, c);
	c->gate.normalise = true; /* the reference asks no key */
}

static void read_qwen2_moe(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
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

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
static const struct config_default qwen2[] = {
	/* clang-format off */
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
}; /* clang-format on */

static const struct config_default qwen2_vl[] = {
	/* clang-format off */
	{ "vocab_size", 152064 }, { "hidden_size", 8192 }, { "intermediate_size", 29568 },
	{ "num_hidden_layers", 80 }, { "num_attention_heads", 64 }, { "num_key_value_heads", 8 },
	{ "max_position_embeddings", 32768 }, { "rms_norm_eps", 1e-5 }, { "rope_theta", 1e6 },
	{ "sliding_window", 4096 }, { "max_window_layers", 80 }, { "eos_token_id", 151645 },
	{ NULL, 0 },
};
static const struct config_default qwen3_vl[] = {
	{ "vocab_size", 151936 }, { "hidden_size", 4096 }, { "intermediate_size", 22016 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 32 },
	{ "head_dim", 128 }, { "max_position_embeddings", 128000 }, { "rope_theta", 500000 },
	{ NULL, 0 },
};
static const struct config_default qwen3_vl_moe[] = {
	{ "vocab_size", 151936 }, { "hidden_size", 2048 }, { "intermediate_size", 5632 },
	{ "num_hidden_layers", 24 }, { "num_attention_heads", 16 }, { "num_key_value_heads", 16 },
	{ "max_position_embeddings", 128000 }, { "rope_theta", 500000 },
	{ "tie_word_embeddings", 1 }, { "moe_intermediate_size", 1408 },
	{ "num_experts_per_tok", 4 }, { "num_experts", 60 }, { NULL, 0 },
}; /* clang-format on */

const struct config_family model_family_qwen[] = {
	{ .type = "qwen2",
	  .read = read_qwen2,
	  .absent = qwen2,
	  .own = { "sliding_window" },
	  .activation = "silu" },
	{ .type = "qwen3",
	  .read = read_qwen3,
	  .absent = qwen3,
	  .own = { "sliding_window", "use_qk_norm" },
	  .activation = "silu" },
	{ .type = "qwen3_moe",
	  .read = read_qwen3_moe,
	  .absent = qwen3_moe,
	  .own = { "sliding_window", "use_qk_norm" } },
	{ .type = "qwen2_moe",
	  .read = read_qwen2_moe,
	  .absent = qwen2_moe,
	  .own = { "sliding_window" } },
	{ .type = "qwen2_vl_text",
	  .read = read_qwen2,
	  .absent = qwen2_vl,
	  .own = { "sliding_window" },
	  .activation = "silu" },
	{ .type = "qwen2_5_vl_text",
	  .read = read_qwen2,
	  .absent = qwen2_vl,
	  .own = { "sliding_window" },
	  .activation = "silu" },
	{ .type = "qwen3_vl_moe_text",
	  .read = read_qwen3_vl_moe,
	  .absent = qwen3_vl_moe,
	  .names = &model_names_qwen3_vl_moe },
	{ .type = "qwen3_vl_text",
	  .read = read_qwen3_vl,
	  .absent = qwen3_vl,
	  .activation = "silu" },
	{ 0 },
};
