/* DeepSeek and Kimi: latent attention, and experts chosen in groups. */
#include "model/family.h"

static void read_deepseek_v2(struct config_reader *r, struct model_config *c)
{
	c->ropes[0].interleaved = true; /* the reference asks no key */
	if (json_is_false(model_config_get(r, "rope_interleave")))
		model_config_note(r,
				  "%s: rope_interleave false is without effect in %s, as in the "
				  "reference",
				  r->file, c->model_type);
	model_family_mla(r, c);
	model_config_experts_deepseek_v2(r, c);
}

static void read_deepseek_v3(struct config_reader *r, struct model_config *c)
{
	c->ropes[0].interleaved = model_config_bool_or(r, "rope_interleave", true);
	model_family_mla(r, c);
	model_config_experts_sigmoid(r, c);
}

/* Queries that grow with the position, and a softmax over all experts. */
static void read_mistral4(struct config_reader *r, struct model_config *c)
{
	c->ropes[0] = (struct model_rope){ .kind = MODEL_ROPE_YARN,
					   .factor = 128,
					   .beta_fast = 32,
					   .beta_slow = 1,
					   .mscale = 1,
					   .mscale_all_dim = 1,
					   .truncate = true,
					   .context_original = 8192 };
	c->ropes[0].interleaved = model_config_bool_or(r, "rope_interleave", true);
	model_family_mla(r, c);
	model_family_temper(r, c, 10000);
	model_config_experts_mistral4(r, c);
}

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
}; /* clang-format on */

static const struct config_default mistral4[] = {
	{ "vocab_size", 131072 },
	{ "hidden_size", 4096 },
	{ "intermediate_size", 12288 },
	{ "moe_intermediate_size", 2048 },
	{ "num_hidden_layers", 36 },
	{ "num_attention_heads", 32 },
	{ "n_shared_experts", 1 },
	{ "n_routed_experts", 128 },
	{ "kv_lora_rank", 256 },
	{ "q_lora_rank", 1024 },
	{ "qk_rope_head_dim", 64 },
	{ "v_head_dim", 128 },
	{ "qk_nope_head_dim", 64 },
	{ "num_experts_per_tok", 4 },
	{ "max_position_embeddings", 1048576 },
	{ "norm_topk_prob", 1 },
	{ "eos_token_id", 2 },
	{ NULL, 0 },
};
static const struct config_alias glm_alias[] = { { "qk_rope_head_dim", "head_dim" },
						 { NULL, NULL } };
static const struct config_default glm4_moe_lite[] = {
	/* clang-format off */
	{ "vocab_size", 154880 }, { "hidden_size", 2048 }, { "intermediate_size", 10240 },
	{ "moe_intermediate_size", 1536 }, { "num_hidden_layers", 47 },
	{ "num_attention_heads", 20 }, { "n_shared_experts", 1 }, { "n_routed_experts", 64 },
	{ "routed_scaling_factor", 1.8 }, { "kv_lora_rank", 512 }, { "q_lora_rank", 768 },
	{ "qk_rope_head_dim", 64 }, { "v_head_dim", 256 }, { "qk_nope_head_dim", 192 },
	{ "num_experts_per_tok", 4 }, { "first_k_dense_replace", 1 },
	{ "max_position_embeddings", 202752 }, { "rms_norm_eps", 1e-5 },
	{ "norm_topk_prob", 1 }, { "num_nextn_predict_layers", 1 }, { "eos_token_id", 1 },
	{ NULL, 0 },
}; /* clang-format on */

const struct config_family model_family_deepseek[] = {
	{ .type = "deepseek_v2", .read = read_deepseek_v2, .absent = deepseek_v2 },
	{ .type = "deepseek_v3", .read = read_deepseek_v3, .absent = deepseek_v3, .extra = true },
	{ .type = "kimi_k2", .read = read_deepseek_v3, .absent = deepseek_v3, .extra = true },
	{ .type = "mistral4",
	  .read = read_mistral4,
	  .layers = model_family_tempered,
	  .absent = mistral4,
	  .own = { "llama_4_scaling_beta" },
	  .share = "partial_rotary_factor" },
	{ .type = "glm4_moe_lite",
	  .read = read_deepseek_v3,
	  .absent = glm4_moe_lite,
	  .extra = true,
	  .alias = glm_alias },
	{ 0 },
};
