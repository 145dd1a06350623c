/* Mixtures of experts with routers or widths of their own, over grouped-query attention. */
#include "model/family.h"
#include "model/names.h"

#include <string.h>

static void read_dots1(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	c->window_listed = true;
	model_family_window(r, c, model_config_u32_or(r, "max_window_layers", 62, 0, UINT32_MAX),
			    1);
	model_config_experts_sigmoid(r, c);
}

/* rotary_dim is an older spelling of the share of a head. */
static void read_minimax_m2(struct config_reader *r, struct model_config *c)
{
	const json_t *kinds = model_config_get(r, "attn_type_list");
	model_family_gqa(r, c);
	if (r->code != 0)
		return;
	uint32_t rotary = model_config_u32_or(r, "rotary_dim", 0, 2, c->all.head);
	const json_t *rope = model_config_get(r, "rope_parameters");
	if (rotary > 0 && json_object_get(rope, "partial_rotary_factor") == NULL &&
	    model_config_absent(r, "partial_rotary_factor")) {
		c->ropes[0].size = c->ropes[0].span = rotary;
		c->ropes[0].partial = (double)rotary / c->all.head;
	}
	if (c->ropes[0].size % 2 != 0)
		model_config_refuse(r, ERR_UNSUPPORTED, "rotary_dim",
				    "odd number of rotated dimensions");
	for (size_t i = 0; i < json_array_size(kinds); i++) {
		if (json_integer_value(json_array_get(kinds, i)) != 1)
			model_config_refuse(r, ERR_UNSUPPORTED, "attn_type_list", "only 1");
	}
	model_config_text_only(r, "qk_norm_type", "per_layer", "per_layer");
	if (!model_config_bool_or(r, "use_qk_norm", true))
		model_config_refuse(r, ERR_UNSUPPORTED, "use_qk_norm",
				    "not available in this version");
	c->all.qk_norm = MODEL_QK_FULL;
	model_config_experts_minimax(r, c);
}

static void read_ernie4_5_moe(struct config_reader *r, struct model_config *c)
{
	c->ropes[0].interleaved = true;
	model_family_gqa(r, c);
	bool biases = model_config_bool_or(r, "use_bias", false);
	c->bias_qkv = c->bias_o = c->bias_ffn = c->bias_head = biases;
	model_config_experts_ernie(r, c);
}

static void read_hunyuan_v1_moe(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	if (!model_config_bool_or(r, "use_qk_norm", true))
		model_config_refuse(r, ERR_UNSUPPORTED, "use_qk_norm",
				    "not available in this version");
	if (model_config_bool_or(r, "use_cla", false)) /* layers that share keys */
		model_config_refuse(r, ERR_UNSUPPORTED, "use_cla", "not available in this version");
	model_config_experts_hunyuan(r, c);
}

static void layers_hunyuan_v1_moe(struct config_reader *r, struct model_config *c)
{
	(void)r;
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].qk_norm_late = true;
}

static void read_granitemoe(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_biases(r, c);
	model_family_granite(r, c);
	model_config_experts_granite(r, c);
}

/* Layers of attention alone; those of a recurrence are refused by their kind. */
static void read_granitemoehybrid(struct config_reader *r, struct model_config *c)
{
	static const char *const kinds[] = { "attention", "full_attention", NULL };
	static const char *const positions[] = { "rope", "nope", NULL };
	uint8_t kind[MODEL_LAYERS];
	model_family_gqa(r, c);
	model_family_biases(r, c);
	model_family_granite(r, c);
	if (!model_config_layer_types(r, c, kinds, kind))
		model_config_refuse(r, ERR_UNSUPPORTED, "layer_types",
				    "only layers of attention are available in this version");
	if (!model_config_absent(r, "position_embedding_type"))
		model_config_choice(r, "position_embedding_type", NULL, positions);
	if (model_config_u32_or(r, "num_local_experts", 8, 0, KERNEL_EXPERTS) > 0)
		model_config_experts_granite(r, c);
	else
		c->all.width = model_config_u32(r, "shared_intermediate_size", 1, MODEL_WIDTH);
}

static void layers_granitemoe(struct config_reader *r, struct model_config *c)
{
	double scale = model_config_number_or(r, "attention_multiplier", 1, -1e9, 1e9);
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].scale = (float)scale;
}

static void layers_granitemoehybrid(struct config_reader *r, struct model_config *c)
{
	const char *position = json_string_value(model_config_get(r, "position_embedding_type"));
	layers_granitemoe(r, c);
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].rope = position && strcmp(position, "rope") == 0 ? 0 : MODEL_NO_ROPE;
}

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
static const struct config_default dots1[] = {
	/* clang-format off */
	{ "vocab_size", 152064 }, { "hidden_size", 4608 }, { "intermediate_size", 10944 },
	{ "moe_intermediate_size", 1408 }, { "num_hidden_layers", 62 },
	{ "num_attention_heads", 32 }, { "num_key_value_heads", 32 }, { "norm_topk_prob", 0 },
	{ "max_position_embeddings", 2048 }, { "sliding_window", 4096 },
	{ "max_window_layers", 62 }, { NULL, 0 },
};
static const struct config_default minimax_m2[] = {
	{ "vocab_size", 200064 }, { "hidden_size", 3072 }, { "intermediate_size", 1536 },
	{ "num_hidden_layers", 62 }, { "num_attention_heads", 48 }, { "num_key_value_heads", 8 },
	{ "head_dim", 128 }, { "max_position_embeddings", 196608 }, { "rope_theta", 5e6 },
	{ "num_experts_per_tok", 8 }, { "num_local_experts", 256 }, { "eos_token_id", 200020 },
	{ NULL, 0 },
};
static const struct config_default ernie4_5_moe[] = {
	{ "vocab_size", 103424 }, { "hidden_size", 2560 }, { "intermediate_size", 12288 },
	{ "num_hidden_layers", 28 }, { "num_attention_heads", 20 }, { "num_key_value_heads", 4 },
	{ "max_position_embeddings", 131072 }, { "rms_norm_eps", 1e-5 }, { "rope_theta", 500000 },
	{ "tie_word_embeddings", 1 }, { "moe_intermediate_size", 1536 },
	{ "num_experts_per_tok", 6 }, { "num_experts", 64 }, { "moe_num_shared_experts", 2 },
	{ "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default hunyuan_v1_moe[] = {
	{ "vocab_size", 290943 }, { "hidden_size", 4096 }, { "intermediate_size", 11008 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "rms_norm_eps", 1e-5 }, { "eos_token_id", 2 },
	{ NULL, 0 },
};
static const struct config_default granitemoehybrid[] = {
	{ "vocab_size", 32000 }, { "hidden_size", 4096 }, { "intermediate_size", 11008 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "num_experts_per_tok", 2 },
	{ "num_local_experts", 8 }, { "shared_intermediate_size", 1024 },
	{ "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default granitemoe[] = {
	{ "vocab_size", 32000 }, { "hidden_size", 4096 }, { "intermediate_size", 11008 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "num_experts_per_tok", 2 },
	{ "num_local_experts", 8 }, { "eos_token_id", 2 }, { NULL, 0 },
}; /* clang-format on */

static const struct config_alias ernie_alias[] = {
	{ "num_experts", "moe_num_experts" },
	{ "num_experts_per_tok", "moe_k" },
	{ NULL, NULL },
};
static const struct config_alias hunyuan_alias[] = {
	{ "moe_topk", "num_experts_per_tok" },
	{ "num_experts", "num_local_experts" },
	{ NULL, NULL },
};

#define GRANITE_KEYS                                                             \
	{                                                                        \
		"embedding_multiplier", "residual_multiplier", "logits_scaling", \
			"attention_multiplier"                                   \
	}

const struct config_family model_family_experts[] = {
	{ .type = "dots1", .read = read_dots1, .absent = dots1, .own = { "sliding_window" } },
	{ .type = "minimax_m2",
	  .read = read_minimax_m2,
	  .absent = minimax_m2,
	  .own = { "use_qk_norm", "partial_rotary_factor" },
	  .share = "partial_rotary_factor",
	  .names = &model_names_minimax_m2 },
	{ .type = "ernie4_5_moe",
	  .read = read_ernie4_5_moe,
	  .absent = ernie4_5_moe,
	  .names = &model_names_ernie4_5_moe,
	  .alias = ernie_alias },
	{ .type = "hunyuan_v1_moe",
	  .read = read_hunyuan_v1_moe,
	  .layers = layers_hunyuan_v1_moe,
	  .absent = hunyuan_v1_moe,
	  .own = { "use_qk_norm", "alpha" },
	  .names = &model_names_hunyuan,
	  .alias = hunyuan_alias },
	{ .type = "granitemoe",
	  .read = read_granitemoe,
	  .layers = layers_granitemoe,
	  .absent = granitemoe,
	  .own = GRANITE_KEYS,
	  .activation = "silu",
	  .names = &model_names_granitemoe },
	{ .type = "granitemoehybrid",
	  .read = read_granitemoehybrid,
	  .layers = layers_granitemoehybrid,
	  .absent = granitemoehybrid,
	  .own = GRANITE_KEYS,
	  .activation = "silu",
	  .names = &model_names_granitemoe },
	{ .type = "granitemoeshared",
	  .read = read_granitemoe,
	  .layers = layers_granitemoe,
	  .absent = granitemoe,
	  .own = GRANITE_KEYS,
	  .activation = "silu",
	  .names = &model_names_granitemoe },
	{ 0 },
};
