/* Families whose norms stand elsewhere than a llama's: after the branches, or around them. */
#include "model/family.h"
#include "model/names.h"

/* After each branch, before it is added; none before. */
static void norms_after(struct model_config *c)
{
	for (uint32_t i = 0; i < c->layers; i++) {
		struct model_layer *l = &c->layer[i];
		l->norm_before = l->ffn_norm_before = false;
		l->norm_after = l->ffn_norm_after = true;
	}
}

static void read_olmo2(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->all.qk_norm = MODEL_QK_FULL;
	model_family_ffn(r, c);
}

static void layers_olmo2(struct config_reader *r, struct model_config *c)
{
	(void)r;
	norms_after(c);
}

static void read_olmo3(struct config_reader *r, struct model_config *c)
{
	read_olmo2(r, c);
	model_family_window_but(r, c, 4);
}

#define OLMO3_THETA 500000

/* The scaling is of layers without a window; the others turn plainly. A rope_theta beside is that
 * of the former alone, as in the reference (before transformers 5 it was everyone's); no release
 * has another than the class's, which the others turn by. */
static void layers_olmo3(struct config_reader *r, struct model_config *c)
{
	bool beside = model_config_absent(r, "rope_parameters");
	double theta = c->ropes[0].theta;
	struct model_rope near = { .size = c->all.head, .partial = 1, .factor = 1 };
	near.theta = beside ? OLMO3_THETA : theta;
	if (beside && (theta < OLMO3_THETA || theta > OLMO3_THETA))
		model_config_note(r,
				  "%s: rope_theta %.10g is of layers without a window alone, as in "
				  "the reference: the others turn by %d",
				  r->file, theta, OLMO3_THETA);
	norms_after(c);
	model_config_rope_kind(r, "sliding_attention", &near);
	uint8_t rope = model_config_rope_add(r, c, &near);
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].rope = c->layer[i].window > 0 ? rope : 0;
}

static void read_exaone4(struct config_reader *r, struct model_config *c)
{
	const json_t *pattern = model_config_get(r, "sliding_window_pattern");
	bool listed = !model_config_absent(r, "layer_types");
	model_family_gqa(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	uint32_t every =
		listed && !json_is_integer(pattern)
			? 0
			: model_config_u32_or(r, "sliding_window_pattern", 4, 0, MODEL_LAYERS);
	model_family_window_but(r, c, every);
	model_family_ffn(r, c);
}

/* Where some layers have a window, only they are rotated. */
static void layers_exaone4(struct config_reader *r, struct model_config *c)
{
	(void)r;
	norms_after(c);
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].rope = c->all.window == 0 || c->layer[i].window > 0 ? 0 : MODEL_NO_ROPE;
}

static void read_glm4(struct config_reader *r, struct model_config *c)
{
	c->ropes[0].interleaved = true;
	model_family_gqa(r, c);
	c->bias_qkv = model_config_bool_or(r, "attention_bias", true);
	model_family_ffn(r, c);
}

static void layers_glm4(struct config_reader *r, struct model_config *c)
{
	(void)r;
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].norm_after = c->layer[i].ffn_norm_after = true;
}

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
static const struct config_default olmo2[] = {
	/* clang-format off */
	{ "vocab_size", 50304 }, { "hidden_size", 4096 }, { "intermediate_size", 11008 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "rms_norm_eps", 1e-5 },
	{ "eos_token_id", 50279 }, { NULL, 0 },
};
static const struct config_default olmo3[] = {
	{ "vocab_size", 50304 }, { "hidden_size", 4096 }, { "intermediate_size", 11008 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "rms_norm_eps", 1e-5 }, { "rope_theta", 500000 },
	{ "sliding_window", 4096 }, { "eos_token_id", 50279 }, { NULL, 0 },
};
static const struct config_default exaone4[] = {
	{ "vocab_size", 102400 }, { "hidden_size", 4096 }, { "intermediate_size", 16384 },
	{ "num_hidden_layers", 32 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 32 },
	{ "max_position_embeddings", 2048 }, { "rms_norm_eps", 1e-5 }, { "sliding_window", 4096 },
	{ "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default glm4[] = {
	{ "vocab_size", 151552 }, { "hidden_size", 4096 }, { "intermediate_size", 13696 },
	{ "num_hidden_layers", 40 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 2 },
	{ "head_dim", 128 }, { "max_position_embeddings", 131072 }, { "rms_norm_eps", 1.5625e-7 },
	{ "partial_rotary_factor", 0.5 }, { "attention_bias", 1 }, { NULL, 0 },
};
static const struct config_default glm4v[] = {
	{ "vocab_size", 151552 }, { "hidden_size", 4096 }, { "intermediate_size", 13696 },
	{ "num_hidden_layers", 40 }, { "num_attention_heads", 32 }, { "num_key_value_heads", 2 },
	{ "max_position_embeddings", 32768 }, { "rms_norm_eps", 1e-5 },
	{ "partial_rotary_factor", 0.5 }, { NULL, 0 },
}; /* clang-format on */

const struct config_family model_family_norms[] = {
	{ .type = "olmo2",
	  .read = read_olmo2,
	  .layers = layers_olmo2,
	  .absent = olmo2,
	  .activation = "silu" },
	{ .type = "olmo3",
	  .read = read_olmo3,
	  .layers = layers_olmo3,
	  .absent = olmo3,
	  .own = { "sliding_window" },
	  .activation = "silu",
	  .rope_kind = "full_attention" },
	{ .type = "exaone4",
	  .read = read_exaone4,
	  .layers = layers_exaone4,
	  .absent = exaone4,
	  .own = { "sliding_window" },
	  .activation = "silu" },
	{ .type = "glm4",
	  .read = read_glm4,
	  .layers = layers_glm4,
	  .absent = glm4,
	  .own = { "partial_rotary_factor" },
	  .activation = "silu",
	  .share = "partial_rotary_factor",
	  .names = &model_names_glm4 },
	{ .type = "glm4v_text",
	  .read = read_glm4,
	  .layers = layers_glm4,
	  .absent = glm4v,
	  .own = { "partial_rotary_factor" },
	  .activation = "silu",
	  .share = "partial_rotary_factor",
	  .names = &model_names_glm4 },
	{ 0 },
};
