/* Gemma: norms around both branches, gains stored minus one (but Gemma 4's), embeddings times
 * sqrt(hidden), tied. */
#include "model/family.h"
#include "model/names.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void read_gemma(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->norm_plus_one = true;
	c->embed_scale = (float)sqrt(c->hidden);
	if (c->activation == MODEL_ACT_GELU) /* the releases say gelu and mean this, as the
					      * reference's own note has it */
		c->activation = MODEL_ACT_GELU_TANH;
	model_family_ffn(r, c);
}

static double cap(struct config_reader *r, const char *key)
{
	return model_config_number_or(r, key, 0, 1e-6, 1e6);
}

static void read_gemma2(struct config_reader *r, struct model_config *c)
{
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->norm_plus_one = true;
	c->embed_scale = (float)sqrt(c->hidden);
	c->attention_softcap = (float)cap(r, "attn_logit_softcapping");
	c->logits_softcap = (float)cap(r, "final_logit_softcapping");
	model_family_window_but(r, c, 2);
	model_family_ffn(r, c);
}

static void layers_gemma2(struct config_reader *r, struct model_config *c)
{
	double scalar = model_config_number_or(r, "query_pre_attn_scalar", 256, 1e-6, 1e9);
	for (uint32_t i = 0; i < c->layers; i++) {
		c->layer[i].norm_after = c->layer[i].ffn_norm_after = true;
		c->layer[i].scale = (float)(1 / sqrt(scalar));
	}
}

/* Scores are not capped, though the class has the key: no implementation does it. */
static void read_gemma3(struct config_reader *r, struct model_config *c)
{
	read_gemma2(r, c);
	if (c->attention_softcap > 0)
		model_config_note(
			r,
			"%s: attn_logit_softcapping %g is without effect in %s, as in the "
			"reference",
			r->file, (double)c->attention_softcap, c->model_type);
	c->attention_softcap = 0;
	c->all.qk_norm = MODEL_QK_HEAD;
	model_family_window_but(r, c,
				model_config_u32_or(r, "sliding_window_pattern", 6, 1,
						    MODEL_LAYERS));
}

/* Layers with a window turn by a table of their own, without scaling. */
static void layers_gemma3(struct config_reader *r, struct model_config *c)
{
	struct model_rope near = { .size = c->all.head, .partial = 1, .factor = 1 };
	near.theta = model_config_number_or(r, "rope_local_base_freq", 10000, 1, 1e12);
	layers_gemma2(r, c);
	model_config_rope_kind(r, "sliding_attention", &near);
	uint8_t rope = model_config_rope_add(r, c, &near);
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].rope = c->layer[i].window > 0 ? rope : 0;
}

/* ---- Gemma 4 ---- */

/* Heads of layers with a window and of those without. */
struct kinds {
	uint32_t head[2], kv_heads[2];
	bool read[2];
};

static void kind_read(struct config_reader *r, const struct model_config *c, struct kinds *k,
		      const json_t *entry, uint32_t layer)
{
	bool full = c->layer[layer].window == 0;
	char name[32];
	snprintf(name, sizeof name, "per_layer_config.%u", layer);
	struct config_reader in = model_config_inside(r, name, entry);
	uint32_t head = c->all.head, kv = c->all.kv_heads;
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)entry, key, v) {
		if (strcmp(key, "head_dim") == 0)
			head = model_config_u32(&in, key, 1, 4096);
		else if (strcmp(key, "num_key_value_heads") == 0)
			kv = model_config_u32(&in, key, 1, 4096);
		else
			model_config_refuse(&in, ERR_UNSUPPORTED, key,
					    "not available in this version");
	}
	r->code = in.code;
	if (k->read[full] && (k->head[full] != head || k->kv_heads[full] != kv))
		model_config_refuse(r, ERR_UNSUPPORTED, "per_layer_config",
				    "layers of one kind must have the same heads in this version");
	k->head[full] = head;
	k->kv_heads[full] = kv;
	k->read[full] = true;
}

/* Two keys, or in newer files an entry for each layer that differs. */
static struct kinds read_kinds(struct config_reader *r, const struct model_config *c)
{
	struct kinds k = { .head = { c->all.head, c->all.head },
			   .kv_heads = { c->all.kv_heads, c->all.kv_heads } };
	const json_t *by_layer = model_config_get(r, "per_layer_config");
	json_t *none = json_object();
	if (by_layer == NULL || json_is_null(by_layer)) {
		k.head[1] = model_config_u32_or(r, "global_head_dim", 512, 2, 4096);
		if (model_config_bool_or(r, "attention_k_eq_v", false))
			k.kv_heads[1] = model_config_u32_or(r, "num_global_key_value_heads",
							    c->all.kv_heads, 1, 4096);
	}
	for (uint32_t i = 0; json_object_size(by_layer) > 0 && i < c->layers; i++) {
		char number[12];
		snprintf(number, sizeof number, "%u", i);
		const json_t *entry = json_object_get(by_layer, number);
		kind_read(r, c, &k, entry != NULL ? entry : none, i);
	}
	json_decref(none);
	for (int i = 0; r->code == 0 && i < 2; i++) {
		if (c->all.heads % k.kv_heads[i] != 0)
			model_config_refuse(r, ERR_INPUT, "num_global_key_value_heads",
					    "does not divide num_attention_heads");
		if ((uint64_t)c->all.heads * k.head[i] > MODEL_WIDTH)
			model_config_refuse(r, ERR_UNSUPPORTED, "global_head_dim", "too wide");
	}
	return k;
}

/* The reference embeds tokens of images and sounds as padding, whether there are any or not. */
static void read_senses(struct config_reader *r, struct model_config *c)
{
	static const char *const keys[] = { "image_token_id", "video_token_id", "audio_token_id" };
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		if (!model_config_absent(r, keys[i]))
			c->senses[c->senses_count++] = model_config_u32(r, keys[i], 0, UINT32_MAX);
	}
	c->senses_as = model_config_u32_or(r, "pad_token_id", 0, 0, c->vocab - 1);
}

static void read_gemma4(struct config_reader *r, struct model_config *c)
{
	static const char *const seeing[] = { "vision", NULL };
	if (!model_config_absent(r, "rope_scaling"))
		model_config_refuse(r, ERR_UNSUPPORTED, "rope_scaling",
				    "not read by the reference: rope_parameters is");
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->embed_scale = (float)sqrt(c->hidden);
	c->all.qk_norm = MODEL_QK_HEAD;
	c->layer_scalar = true;
	read_senses(r, c);
	c->logits_softcap = (float)cap(r, "final_logit_softcapping");
	c->per_layer = model_config_u32_or(r, "hidden_size_per_layer_input", 256, 0, MODEL_WIDTH);
	if (c->per_layer > 0 &&
	    model_config_u32_or(r, "vocab_size_per_layer_input", 262144, 1, UINT32_MAX) != c->vocab)
		model_config_refuse(r, ERR_UNSUPPORTED, "vocab_size_per_layer_input",
				    "only as vocab_size in this version");
	if ((uint64_t)c->per_layer * c->layers > MODEL_WIDTH)
		model_config_refuse(r, ERR_UNSUPPORTED, "hidden_size_per_layer_input", "too wide");
	const json_t *both = model_config_get(r, "use_bidirectional_attention");
	if (both != NULL && !json_is_null(both) && !json_is_false(both)) /* of images alone */
		model_config_choice(r, "use_bidirectional_attention", NULL, seeing);
	model_family_window_but(r, c, 6);
	model_family_ffn(r, c);
	if (model_config_bool_or(r, "enable_moe_block", false))
		model_config_experts_gemma4(r, c);
}

/* The last layers have no keys of their own: they attend those of the last of their kind that
 * has. */
static void share_caches(struct config_reader *r, struct model_config *c)
{
	uint32_t shared = model_config_u32_or(r, "num_kv_shared_layers", 0, 0, c->layers);
	bool wide = model_config_bool_or(r, "use_double_wide_mlp", false);
	for (uint32_t i = c->layers - shared; i < c->layers; i++) {
		struct model_layer *l = &c->layer[i];
		uint32_t of = c->layers - shared;
		while (of > 0 && (c->layer[of - 1].window > 0) != (l->window > 0))
			of--;
		if (of == 0)
			model_config_refuse(r, ERR_INPUT, "num_kv_shared_layers",
					    "leaves no layer of each kind with keys of its own");
		l->cache = of > 0 ? of - 1 : 0;
		l->width = c->all.width * (wide ? 2 : 1);
	}
	if (wide && c->all.width > MODEL_WIDTH / 2)
		model_config_refuse(r, ERR_UNSUPPORTED, "intermediate_size", "too wide");
}

static void layers_gemma4(struct config_reader *r, struct model_config *c)
{
	struct model_rope far = {
		.kind = MODEL_ROPE_PROPORTIONAL, .partial = 0.25, .theta = 1e6, .factor = 1
	};
	c->layer[c->layers - 1].window = 0; /* the reference forces it */
	struct kinds k = read_kinds(r, c);
	bool same = model_config_bool_or(r, "attention_k_eq_v", false);
	if (r->code != 0)
		return;
	far.size = k.head[1];
	model_config_rope_kind(r, "full_attention", &far);
	uint8_t rope = model_config_rope_add(r, c, &far);
	for (uint32_t i = 0; i < c->layers; i++) {
		struct model_layer *l = &c->layer[i];
		bool full = c->layer[i].window == 0;
		l->norm_after = l->ffn_norm_after = l->value_norm = true;
		l->scale = 1;
		l->rope = full ? rope : 0;
		l->window = full ? 0 : c->all.window;
		l->head = l->value = k.head[full];
		l->kv_heads = k.kv_heads[full];
		l->values_are_keys = full && same;
		if (c->gate.experts > 0)
			l->ffn = MODEL_FFN_BOTH;
	}
	share_caches(r, c);
}

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
static const struct config_default gemma[] = {
	/* clang-format off */
	{ "vocab_size", 256000 }, { "hidden_size", 3072 }, { "intermediate_size", 24576 },
	{ "num_hidden_layers", 28 }, { "num_attention_heads", 16 }, { "num_key_value_heads", 16 },
	{ "head_dim", 256 }, { "max_position_embeddings", 8192 }, { "tie_word_embeddings", 1 },
	{ "eos_token_id", 1 }, { NULL, 0 },
};
static const struct config_default gemma2[] = {
	{ "vocab_size", 256000 }, { "hidden_size", 2304 }, { "intermediate_size", 9216 },
	{ "num_hidden_layers", 26 }, { "num_attention_heads", 8 }, { "num_key_value_heads", 4 },
	{ "head_dim", 256 }, { "max_position_embeddings", 8192 }, { "tie_word_embeddings", 1 },
	{ "query_pre_attn_scalar", 256 }, { "sliding_window", 4096 },
	{ "final_logit_softcapping", 30 }, { "attn_logit_softcapping", 50 },
	{ "eos_token_id", 1 }, { NULL, 0 },
};
static const struct config_default gemma3[] = {
	{ "vocab_size", 262208 }, { "hidden_size", 2304 }, { "intermediate_size", 9216 },
	{ "num_hidden_layers", 26 }, { "num_attention_heads", 8 }, { "num_key_value_heads", 4 },
	{ "head_dim", 256 }, { "max_position_embeddings", 131072 }, { "tie_word_embeddings", 1 },
	{ "query_pre_attn_scalar", 256 }, { "sliding_window", 4096 }, { "rope_theta", 1e6 },
	{ "eos_token_id", 1 }, { NULL, 0 },
};
static const struct config_default gemma4[] = {
	{ "vocab_size", 262144 }, { "hidden_size", 2304 }, { "intermediate_size", 9216 },
	{ "num_hidden_layers", 30 }, { "num_attention_heads", 8 }, { "num_key_value_heads", 4 },
	{ "head_dim", 256 }, { "max_position_embeddings", 131072 }, { "tie_word_embeddings", 1 },
	{ "sliding_window", 512 }, { "hidden_size_per_layer_input", 256 }, { "eos_token_id", 1 },
	{ NULL, 0 },
}; /* clang-format on */

const struct config_family model_family_gemma[] = {
	{ .type = "gemma", .read = read_gemma, .absent = gemma, .activation = "gelu_pytorch_tanh" },
	{ .type = "gemma2",
	  .read = read_gemma2,
	  .layers = layers_gemma2,
	  .absent = gemma2,
	  .own = { "sliding_window", "attn_logit_softcapping", "final_logit_softcapping",
		   "query_pre_attn_scalar" },
	  .activation = "gelu_pytorch_tanh",
	  .names = &model_names_gemma },
	{ .type = "gemma3_text",
	  .read = read_gemma3,
	  .layers = layers_gemma3,
	  .absent = gemma3,
	  .own = { "sliding_window", "attn_logit_softcapping", "final_logit_softcapping",
		   "query_pre_attn_scalar", "_sliding_window_pattern" },
	  .activation = "gelu_pytorch_tanh",
	  .rope_kind = "full_attention",
	  .names = &model_names_gemma },
	{ .type = "gemma4_text",
	  .read = read_gemma4,
	  .layers = layers_gemma4,
	  .absent = gemma4,
	  .own = { "sliding_window", "final_logit_softcapping", "per_layer_config",
		   "use_bidirectional_attention", "hidden_size_per_layer_input",
		   "num_kv_shared_layers", "attention_k_eq_v", "enable_moe_block" },
	  .activation = "gelu_pytorch_tanh",
	  .rope_kind = "sliding_attention",
	  .names = &model_names_gemma4 },
	{ 0 },
};
