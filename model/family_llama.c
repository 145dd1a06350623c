/* Llama and those that are the same but for a window. */
#include "model/family.h"
#include "model/names.h"

static void read_llama(struct config_reader *r, struct model_config *c)
{
	if (model_config_absent(r, "head_dim") && c->hidden % c->all.heads != 0)
		model_config_refuse(r, ERR_INPUT, "num_attention_heads",
				    "does not divide hidden_size");
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->bias_ffn = model_config_bool_or(r, "mlp_bias", false);
	model_family_ffn(r, c);
}

/* With layer_types the reference reads the file as a ministral, which follows the list; and where
 * all layers attend the window, it is the same. */
static void read_mistral(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	c->window_listed = !model_config_absent(r, "layer_types");
	model_family_window(r, c, 0, 1);
	model_family_ffn(r, c);
}

/* Its queries grow with the position. */
static void read_ministral3(struct config_reader *r, struct model_config *c)
{
	c->ropes[0] = (struct model_rope){ .kind = MODEL_ROPE_YARN,
					   .factor = 16,
					   .beta_fast = 32,
					   .beta_slow = 1,
					   .mscale = 1,
					   .mscale_all_dim = 1,
					   .truncate = true,
					   .context_original = 16384 };
	model_family_gqa(r, c);
	model_family_temper(r, c, 1e6);
	model_family_window(r, c, 0, 1);
	model_family_ffn(r, c);
}

static void read_seed_oss(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	c->bias_qkv = model_config_bool_or(r, "attention_bias", true);
	c->bias_o = model_config_bool_or(r, "attention_out_bias", false);
	c->bias_ffn = model_config_bool_or(r, "mlp_bias", false);
	model_family_ffn(r, c);
}

static void read_smollm3(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->bias_ffn = model_config_bool_or(r, "mlp_bias", false);
	c->window_listed = true;
	if (model_config_bool_or(r, "use_sliding_window", false))
		model_family_window(r, c, 0, 1);
	model_family_ffn(r, c);
}

/* no_rope_layers holds 1 where there is a rotation; without it each interval-th layer has none, and
 * those are the ones that attend a window. */
static void layers_smollm3(struct config_reader *r, struct model_config *c)
{
	const json_t *list = model_config_get(r, "no_rope_layers");
	uint32_t every = model_config_u32_or(r, "no_rope_layer_interval", 4, 1, MODEL_LAYERS);
	bool listed = list != NULL && !json_is_null(list);
	if (listed && json_array_size(list) != c->layers)
		model_config_refuse(r, ERR_INPUT, "no_rope_layers", "not a number for each layer");
	for (uint32_t i = 0; r->code == 0 && i < c->layers; i++) {
		json_int_t turns =
			listed ? json_integer_value(json_array_get(list, i)) : (i + 1) % every != 0;
		if (turns != 0 && turns != 1)
			model_config_refuse(r, ERR_INPUT, "no_rope_layers",
					    "not a list of 0 and 1");
		c->layer[i].rope = turns ? 0 : MODEL_NO_ROPE;
		if (model_config_absent(r, "layer_types") && turns)
			c->layer[i].window = 0;
	}
}

static void read_internlm3(struct config_reader *r, struct model_config *c)
{
	bool newer = !model_config_absent(r, "attention_bias");
	model_family_gqa(r, c);
	c->bias_qkv = model_config_bool_or(r, newer ? "attention_bias" : "qkv_bias", false);
	newer = !model_config_absent(r, "mlp_bias");
	c->bias_o = c->bias_ffn = model_config_bool_or(r, newer ? "mlp_bias" : "bias", false);
	model_family_ffn(r, c);
}

static void read_phi3(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_window(r, c, 0, 1);
	model_family_ffn(r, c);
}

/* Four numbers scale what flows through a llama. */
static void read_granite(struct config_reader *r, struct model_config *c)
{
	read_llama(r, c);
	model_family_granite(r, c);
}

static void layers_granite(struct config_reader *r, struct model_config *c)
{
	double scale = model_config_number_or(r, "attention_multiplier", 1, 1e-9, 1e9);
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].scale = (float)scale;
}

static void read_ernie4_5(struct config_reader *r, struct model_config *c)
{
	c->ropes[0].interleaved = true;
	model_family_gqa(r, c);
	c->bias_qkv = c->bias_o = c->bias_ffn = model_config_bool_or(r, "use_bias", false);
	model_family_ffn(r, c);
}

/* The norms of q and k come after the rotation. */
static void read_hunyuan(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	model_family_ffn(r, c);
}

static void layers_hunyuan(struct config_reader *r, struct model_config *c)
{
	(void)r;
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].qk_norm_late = true;
}

/* Up, an activation and down; no gate. */
static void read_arcee(struct config_reader *r, struct model_config *c)
{
	read_llama(r, c);
	c->ungated = true;
}

static void read_apertus(struct config_reader *r, struct model_config *c)
{
	c->ropes[0] = (struct model_rope){ .kind = MODEL_ROPE_LLAMA3,
					   .factor = 8,
					   .low_freq_factor = 1,
					   .high_freq_factor = 4,
					   .context_original = 8192 };
	model_family_gqa(r, c);
	model_family_rope_assumed(r, c, 12e6);
	model_family_biases(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	c->ungated = true;
	if (model_config_bool_or(r, "post_norm", false))
		model_config_refuse(r, ERR_UNSUPPORTED, "post_norm",
				    "not available in this version");
	if (!model_config_bool_or(r, "qk_norm", true))
		model_config_refuse(r, ERR_UNSUPPORTED, "qk_norm", "not available in this version");
	model_family_ffn(r, c);
}

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
static const struct config_default llama[] = {
	/* clang-format off */
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
static const struct config_default ministral3[] = {
	{ "vocab_size", 131072 }, { "hidden_size", 4096 }, { "intermediate_size", 14336 },
	{ "num_hidden_layers", 34 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 8 },
	{ "head_dim", 128 }, { "max_position_embeddings", 262144 }, { "rms_norm_eps", 1e-5 },
	{ "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default seed_oss[] = {
	{ "vocab_size", 155136 }, { "hidden_size", 4096 }, { "intermediate_size", 27648 },
	{ "num_hidden_layers", 64 }, { "num_attention_heads", 80 }, { "num_key_value_heads", 8 },
	{ "head_dim", 128 }, { "max_position_embeddings", 524288 }, { "attention_bias", 1 },
	{ "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default smollm3[] = {
	{ "vocab_size", 128256 }, { "hidden_size", 2048 }, { "intermediate_size", 11008 },
	{ "num_hidden_layers", 36 }, { "num_attention_heads", 16 }, { "num_key_value_heads", 4 },
	{ "max_position_embeddings", 32768 }, { "rope_theta", 2e6 },
	{ "tie_word_embeddings", 1 }, { "no_rope_layer_interval", 4 },
	{ "eos_token_id", 128001 }, { NULL, 0 },
};
static const struct config_default internlm3[] = {
	{ "vocab_size", 128512 }, { "hidden_size", 4096 }, { "intermediate_size", 10240 },
	{ "num_hidden_layers", 48 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 2 },
	{ "head_dim", 128 }, { "max_position_embeddings", 32768 }, { "rms_norm_eps", 1e-5 },
	{ "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default phi3[] = {
	{ "vocab_size", 32064 }, { "hidden_size", 3072 }, { "intermediate_size", 8192 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 4096 }, { "original_max_position_embeddings", 4096 },
	{ "rms_norm_eps", 1e-5 }, { "eos_token_id", 32000 }, { NULL, 0 },
};
static const struct config_default ernie4_5[] = {
	{ "vocab_size", 103424 }, { "hidden_size", 1024 }, { "intermediate_size", 3072 },
	{ "num_hidden_layers", 18 }, { "num_attention_heads", 16 }, { "num_key_value_heads", 2 },
	{ "head_dim", 128 }, { "max_position_embeddings", 131072 }, { "rms_norm_eps", 1e-5 },
	{ "rope_theta", 500000 }, { "tie_word_embeddings", 1 }, { "eos_token_id", 2 },
	{ NULL, 0 },
};
static const struct config_default hunyuan_v1_dense[] = {
	{ "vocab_size", 290943 }, { "hidden_size", 4096 }, { "intermediate_size", 11008 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "rms_norm_eps", 1e-5 }, { "eos_token_id", 2 },
	{ NULL, 0 },
};
static const struct config_default arcee[] = {
	{ "vocab_size", 32000 }, { "hidden_size", 2560 }, { "intermediate_size", 18432 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 4096 }, { "rms_norm_eps", 1e-5 },
	{ "eos_token_id", 128001 }, { NULL, 0 },
};
static const struct config_default exaone[] = {
	{ "vocab_size", 102400 }, { "hidden_size", 4096 }, { "intermediate_size", 14336 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 8 },
	{ "max_position_embeddings", 4096 }, { "rms_norm_eps", 1e-5 }, { "rope_theta", 500000 },
	{ "eos_token_id", 361 }, { NULL, 0 },
};
static const struct config_default apertus[] = {
	{ "vocab_size", 131072 }, { "hidden_size", 4096 }, { "intermediate_size", 14336 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 65536 }, { "rms_norm_eps", 1e-5 }, { "rope_theta", 12e6 },
	{ "eos_token_id", 2 }, { NULL, 0 },
}; /* clang-format on */

/* A llama by other words. */
static const struct config_alias exaone_alias[] = {
	{ "num_hidden_layers", "num_layers" },
	{ "rms_norm_eps", "layer_norm_epsilon" },
	{ "hidden_act", "activation_function" },
	{ NULL, NULL },
};

const struct config_family model_family_llama[] = {
	{ .type = "llama",
	  .read = read_llama,
	  .absent = llama,
	  .own = { "mlp_bias" },
	  .activation = "silu" },
	{ .type = "mistral",
	  .read = read_mistral,
	  .absent = mistral,
	  .own = { "sliding_window" },
	  .activation = "silu" },
	{ .type = "ministral",
	  .read = read_mistral,
	  .absent = mistral,
	  .own = { "sliding_window" },
	  .activation = "silu" },
	{ .type = "ministral3",
	  .read = read_ministral3,
	  .layers = model_family_tempered,
	  .absent = ministral3,
	  .own = { "sliding_window", "llama_4_scaling_beta" },
	  .activation = "silu" },
	{ .type = "seed_oss",
	  .read = read_seed_oss,
	  .absent = seed_oss,
	  .own = { "mlp_bias", "attention_out_bias" },
	  .activation = "silu" },
	{ .type = "smollm3",
	  .read = read_smollm3,
	  .layers = layers_smollm3,
	  .absent = smollm3,
	  .own = { "mlp_bias", "sliding_window", "no_rope_layers", "no_rope_layer_interval" },
	  .activation = "silu" },
	{ .type = "internlm3",
	  .read = read_internlm3,
	  .absent = internlm3,
	  .own = { "mlp_bias", "bias" },
	  .activation = "silu" },
	{ .type = "phi3",
	  .read = read_phi3,
	  .absent = phi3,
	  .own = { "sliding_window", "partial_rotary_factor" },
	  .share = "partial_rotary_factor",
	  .activation = "silu",
	  .names = &model_names_phi3 },
	{ .type = "granite",
	  .read = read_granite,
	  .layers = layers_granite,
	  .absent = llama,
	  .own = { "mlp_bias", "embedding_multiplier", "logits_scaling", "residual_multiplier",
		   "attention_multiplier" },
	  .activation = "silu" },
	{ .type = "ernie4_5",
	  .read = read_ernie4_5,
	  .absent = ernie4_5,
	  .own = { "use_bias" },
	  .activation = "silu" },
	{ .type = "hunyuan_v1_dense",
	  .read = read_hunyuan,
	  .layers = layers_hunyuan,
	  .absent = hunyuan_v1_dense,
	  .own = { "alpha", "use_qk_norm" },
	  .activation = "silu",
	  .names = &model_names_hunyuan },
	{ .type = "exaone",
	  .read = read_llama,
	  .absent = exaone,
	  .own = { "mlp_bias" },
	  .activation = "silu",
	  .names = &model_names_exaone,
	  .alias = exaone_alias },
	{ .type = "arcee",
	  .read = read_arcee,
	  .absent = arcee,
	  .own = { "mlp_bias" },
	  .activation = "relu2" },
	{ .type = "apertus",
	  .read = read_apertus,
	  .absent = apertus,
	  .own = { "post_norm", "qk_norm" },
	  .activation = "xielu",
	  .names = &model_names_apertus },
	{ 0 },
};
