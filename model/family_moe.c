/* Other mixtures of experts over grouped-query attention. */
#include "model/family.h"
#include "model/names.h"

static void read_mixtral(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_window(r, c, 0, 1);
	model_config_experts_softmax(r, c);
	c->gate.normalise = true;
}

static void read_olmoe(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	c->all.qk_norm = MODEL_QK_FULL;
	model_family_biases(r, c);
	c->clip = (float)model_config_number_or(r, "clip_qkv", 0, 1e-6, 1e6);
	model_config_experts_softmax(r, c);
	c->gate.normalise = model_config_bool_or(r, "norm_topk_prob", false);
}

static void read_gpt_oss(struct config_reader *r, struct model_config *c)
{
	c->ropes[0] = (struct model_rope){ .kind = MODEL_ROPE_YARN,
					   .factor = 32,
					   .beta_fast = 32,
					   .beta_slow = 1,
					   .context_original = 4096 };
	model_family_gqa(r, c);
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", true);
	c->all.sinks = c->window_listed = true;
	model_family_window(r, c, 0, 2);
	model_config_experts_topk(r, c);
}

static void read_glm4_moe(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	c->all.qk_norm =
		model_config_bool_or(r, "use_qk_norm", false) ? MODEL_QK_HEAD : MODEL_QK_NONE;
	c->bias_qkv = model_config_bool_or(r, "attention_bias", false);
	model_config_experts_sigmoid(r, c);
}

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
static const struct config_default mixtral[] = {
	/* clang-format off */
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
};
static const struct config_default glm4v_moe[] = {
	{ "vocab_size", 151424 }, { "hidden_size", 4096 }, { "intermediate_size", 10944 },
	{ "num_hidden_layers", 46 }, { "num_attention_heads", 96 }, { "num_key_value_heads", 8 },
	{ "max_position_embeddings", 65536 }, { "rms_norm_eps", 1e-5 },
	{ "partial_rotary_factor", 0.5 }, { "attention_bias", 1 },
	{ "moe_intermediate_size", 1408 }, { "num_experts_per_tok", 8 }, { "n_shared_experts", 1 },
	{ "n_routed_experts", 128 }, { "first_k_dense_replace", 1 }, { "norm_topk_prob", 1 },
	{ NULL, 0 },
}; /* clang-format on */

const struct config_family model_family_moe[] = {
	{ .type = "mixtral",
	  .read = read_mixtral,
	  .absent = mixtral,
	  .own = { "sliding_window" },
	  .names = &model_names_mixtral },
	{ .type = "olmoe", .read = read_olmoe, .absent = olmoe, .own = { "clip_qkv" } },
	{ .type = "gpt_oss",
	  .read = read_gpt_oss,
	  .absent = gpt_oss,
	  .own = { "sliding_window", "swiglu_alpha", "swiglu_limit" },
	  .names = &model_names_gpt_oss },
	{ .type = "glm4_moe",
	  .read = read_glm4_moe,
	  .absent = glm4_moe,
	  .own = { "partial_rotary_factor", "use_qk_norm" },
	  .extra = true,
	  .share = "partial_rotary_factor" },
	{ .type = "glm4v_moe_text",
	  .read = read_glm4_moe,
	  .absent = glm4v_moe,
	  .own = { "partial_rotary_factor", "use_qk_norm" },
	  .extra = true,
	  .share = "partial_rotary_factor" },
	{ 0 },
};
