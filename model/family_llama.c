/* Llama and those that are the same but for a window. */
#include "model/family.h"

static void read_llama(struct config_reader *r, struct model_config *c)
{
	if (model_config_absent(r, "head_dim") && c->hidden % c->heads != 0)
		model_config_refuse(r, ERR_INPUT, "num_attention_heads",
				    "does not divide hidden_size");
	model_family_gqa(r, c, false);
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	c->bias_ffn = model_config_bool_or(r, "mlp_bias", false);
	model_family_ffn(r, c);
}

/* With layer_types the reference reads the file as a ministral, which follows the list; and where
 * all layers attend the window, it is the same. */
static void read_mistral(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c, false);
	c->window_listed = !model_config_absent(r, "layer_types");
	model_family_window(r, c, 0, 1);
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
}; /* clang-format on */

const struct config_family model_family_llama[] = {
	{ "llama", read_llama, llama, { "mlp_bias" }, false },
	{ "mistral", read_mistral, mistral, { "sliding_window" }, false },
	{ "ministral", read_mistral, mistral, { "sliding_window" }, false },
	{ 0 },
};
