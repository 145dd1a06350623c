/* Families with LayerNorm: the mean is subtracted. In most of them both branches of a layer read
 * the same, and are added together. */
#include "model/family.h"
#include "model/names.h"

static void layer_norm(struct model_config *c, bool bias)
{
	c->norm = MODEL_NORM_LAYER;
	c->norm_bias = bias;
}

/* Both branches read what the one norm gives. */
static void parallel(struct model_config *c)
{
	for (uint32_t i = 0; i < c->layers; i++) {
		c->layer[i].residual = MODEL_PARALLEL;
		c->layer[i].ffn_norm_before = false;
	}
}

static void read_cohere(struct config_reader *r, struct model_config *c)
{
	layer_norm(c, false);
	c->ropes[0].interleaved = true;
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->logits_scale = (float)model_config_number_or(r, "logit_scale", 1, 1e-9, 1e9);
	model_family_ffn(r, c);
}

static void layers_cohere(struct config_reader *r, struct model_config *c)
{
	(void)r;
	parallel(c);
}

static void read_cohere2(struct config_reader *r, struct model_config *c)
{
	read_cohere(r, c);
	model_family_window_but(r, c,
				model_config_u32_or(r, "sliding_window_pattern", 4, 1,
						    MODEL_LAYERS));
}

/* Layers without a window are not rotated. */
static void layers_cohere2(struct config_reader *r, struct model_config *c)
{
	(void)r;
	parallel(c);
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].rope = c->layer[i].window > 0 ? 0 : MODEL_NO_ROPE;
}

static void read_gpt_neox(struct config_reader *r, struct model_config *c)
{
	layer_norm(c, true);
	model_family_gqa(r, c);
	if (c->all.kv_heads != c->all.heads)
		model_config_refuse(r, ERR_UNSUPPORTED, "num_key_value_heads",
				    "only as num_attention_heads");
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", true);
	c->bias_ffn = c->ungated = true;
	model_family_ffn(r, c);
}

static void layers_gpt_neox(struct config_reader *r, struct model_config *c)
{
	bool both = model_config_bool_or(r, "use_parallel_residual", true);
	for (uint32_t i = 0; both && i < c->layers; i++)
		c->layer[i].residual = MODEL_PARALLEL; /* each branch by its own norm */
}

static void read_phi(struct config_reader *r, struct model_config *c)
{
	layer_norm(c, true);
	model_family_gqa(r, c);
	c->bias_qkv = c->bias_o = c->bias_ffn = c->bias_head = c->ungated = true;
	if (model_config_bool_or(r, "qk_layernorm", false))
		model_config_refuse(r, ERR_UNSUPPORTED, "qk_layernorm",
				    "not available in this version");
	model_family_ffn(r, c);
}

static void read_stablelm(struct config_reader *r, struct model_config *c)
{
	layer_norm(c, true);
	model_family_gqa(r, c);
	c->bias_qkv = model_config_bool_or(r, "use_qkv_bias", false);
	if (model_config_bool_or(r, "qk_layernorm", false))
		model_config_refuse(r, ERR_UNSUPPORTED, "qk_layernorm",
				    "not available in this version");
	model_family_ffn(r, c);
}

static void layers_stablelm(struct config_reader *r, struct model_config *c)
{
	if (model_config_bool_or(r, "use_parallel_residual", false))
		parallel(c);
}

static void read_starcoder2(struct config_reader *r, struct model_config *c)
{
	layer_norm(c, true);
	model_family_gqa(r, c);
	c->bias_qkv = c->bias_o = c->bias_ffn = model_config_bool_or(r, "use_bias", true);
	c->ungated = true;
	model_family_window(r, c, 0, 1);
	model_family_ffn(r, c);
}

static void read_nemotron(struct config_reader *r, struct model_config *c)
{
	layer_norm(c, true);
	c->norm_plus_one = true;
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->bias_ffn = model_config_bool_or(r, "mlp_bias", false);
	c->ungated = true;
	model_family_ffn(r, c);
}

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
static const struct config_default cohere[] = {
	/* clang-format off */
	{ "vocab_size", 256000 }, { "hidden_size", 8192 }, { "intermediate_size", 22528 },
	{ "num_hidden_layers", 40 }, { "num_attention_heads", 64 },
	{ "max_position_embeddings", 8192 }, { "layer_norm_eps", 1e-5 }, { "rope_theta", 500000 },
	{ "logit_scale", 0.0625 }, { "tie_word_embeddings", 1 }, { "eos_token_id", 255001 },
	{ NULL, 0 },
};
static const struct config_default cohere2[] = {
	{ "vocab_size", 256000 }, { "hidden_size", 8192 }, { "intermediate_size", 22528 },
	{ "num_hidden_layers", 40 }, { "num_attention_heads", 64 },
	{ "max_position_embeddings", 8192 }, { "layer_norm_eps", 1e-5 },
	{ "logit_scale", 0.0625 }, { "tie_word_embeddings", 1 }, { "sliding_window", 4096 },
	{ "eos_token_id", 255001 }, { NULL, 0 },
};
static const struct config_default gpt_neox[] = {
	{ "vocab_size", 50432 }, { "hidden_size", 6144 }, { "intermediate_size", 24576 },
	{ "num_hidden_layers", 44 }, { "num_attention_heads", 64 },
	{ "max_position_embeddings", 2048 }, { "layer_norm_eps", 1e-5 }, { "rotary_pct", 0.25 },
	{ "use_parallel_residual", 1 }, { "attention_bias", 1 }, { "eos_token_id", 2 },
	{ NULL, 0 },
};
static const struct config_default phi[] = {
	{ "vocab_size", 51200 }, { "hidden_size", 2048 }, { "intermediate_size", 8192 },
	{ "num_hidden_layers", 24 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "layer_norm_eps", 1e-5 },
	{ "partial_rotary_factor", 0.5 }, { "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default stablelm[] = {
	{ "vocab_size", 50304 }, { "hidden_size", 2560 }, { "intermediate_size", 6912 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 32 },
	{ "max_position_embeddings", 4096 }, { "layer_norm_eps", 1e-5 },
	{ "partial_rotary_factor", 0.25 }, { "eos_token_id", 0 }, { NULL, 0 },
};
static const struct config_default starcoder2[] = {
	{ "vocab_size", 49152 }, { "hidden_size", 3072 }, { "intermediate_size", 12288 },
	{ "num_hidden_layers", 30 }, { "num_attention_heads", 24 }, { "num_key_value_heads", 2 },
	{ "max_position_embeddings", 4096 }, { "norm_epsilon", 1e-5 },
	{ "tie_word_embeddings", 1 }, { "use_bias", 1 }, { "eos_token_id", 50256 }, { NULL, 0 },
};
static const struct config_default nemotron[] = {
	{ "vocab_size", 256000 }, { "hidden_size", 6144 }, { "intermediate_size", 24576 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 48 },
	{ "max_position_embeddings", 4096 }, { "norm_eps", 1e-5 },
	{ "partial_rotary_factor", 0.5 }, { "eos_token_id", 3 }, { NULL, 0 },
}; /* clang-format on */

const struct config_family model_family_layernorm[] = {
	{ .type = "cohere",
	  .read = read_cohere,
	  .layers = layers_cohere,
	  .absent = cohere,
	  .own = { "logit_scale" },
	  .activation = "silu",
	  .epsilon = "layer_norm_eps" },
	{ .type = "cohere2",
	  .read = read_cohere2,
	  .layers = layers_cohere2,
	  .absent = cohere2,
	  .own = { "logit_scale", "sliding_window" },
	  .activation = "silu",
	  .epsilon = "layer_norm_eps" },
	{ .type = "gpt_neox",
	  .read = read_gpt_neox,
	  .layers = layers_gpt_neox,
	  .absent = gpt_neox,
	  .own = { "rotary_pct", "partial_rotary_factor" },
	  .activation = "gelu",
	  .epsilon = "layer_norm_eps",
	  .share = "rotary_pct",
	  .theta = "rotary_emb_base",
	  .names = &model_names_gpt_neox },
	{ .type = "phi",
	  .read = read_phi,
	  .layers = layers_cohere,
	  .absent = phi,
	  .own = { "partial_rotary_factor" },
	  .activation = "gelu_new",
	  .epsilon = "layer_norm_eps",
	  .share = "partial_rotary_factor",
	  .names = &model_names_phi },
	{ .type = "stablelm",
	  .read = read_stablelm,
	  .layers = layers_stablelm,
	  .absent = stablelm,
	  .own = { "partial_rotary_factor" },
	  .activation = "silu",
	  .epsilon = "layer_norm_eps",
	  .share = "partial_rotary_factor" },
	{ .type = "starcoder2",
	  .read = read_starcoder2,
	  .absent = starcoder2,
	  .own = { "sliding_window", "use_bias" },
	  .activation = "gelu_pytorch_tanh",
	  .epsilon = "norm_epsilon",
	  .names = &model_names_starcoder2 },
	{ .type = "nemotron",
	  .read = read_nemotron,
	  .absent = nemotron,
	  .own = { "partial_rotary_factor", "mlp_bias" },
	  .activation = "relu2",
	  .epsilon = "norm_eps",
	  .share = "partial_rotary_factor" },
	{ 0 },
};
