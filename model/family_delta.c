/* Hybrids: most layers follow the gated delta rule, some attend. */
#include "model/family.h"
#include "model/names.h"

/* Which layers are of which kind: layer_types, or one of so many. */
enum { DELTA, FULL };

static void kinds_read(struct config_reader *r, const struct model_config *c, uint32_t every,
		       uint8_t *kind)
{
	static const char *const kinds[] = { "linear_attention", "full_attention", NULL };
	for (uint32_t i = 0; i < c->layers; i++)
		kind[i] = every > 0 && (i + 1) % every == 0 ? FULL : DELTA;
	model_config_layer_types(r, c, kinds, kind);
}

static void widths_check(struct config_reader *r, const struct model_delta *d, const char *heads,
			 const char *key)
{
	if (r->code != 0)
		return;
	if (d->value_heads % d->key_heads != 0)
		model_config_refuse(r, ERR_INPUT, heads, "not a multiple of the key heads");
	if ((uint64_t)d->value_heads * d->value > MODEL_WIDTH ||
	    (uint64_t)d->value_heads * d->key > MODEL_WIDTH)
		model_config_refuse(r, ERR_UNSUPPORTED, key, "too wide");
}

static void layers_make(struct model_config *c, const uint8_t *kind, enum model_gate_width gate)
{
	for (uint32_t i = 0; i < c->layers; i++) {
		struct model_layer *l = &c->layer[i];
		if (kind[i] == FULL) {
			l->gate = gate;
			continue;
		}
		l->mixer = MODEL_MIX_DELTA;
		l->qk_norm = MODEL_QK_NONE;
		l->rope = MODEL_NO_ROPE;
		l->window = 0;
	}
}

/* ---- Qwen3-Next, Qwen3.5 ---- */

static uint32_t interval(struct config_reader *r)
{
	return model_config_u32_or(r, "full_attention_interval", 4, 1, MODEL_LAYERS);
}

static void read_qwen(struct config_reader *r, struct model_config *c)
{
	struct model_delta *d = &c->delta;
	uint8_t kind[MODEL_LAYERS];
	model_family_gqa(r, c);
	c->all.qk_norm = MODEL_QK_HEAD;
	c->norm_plus_one = true;
	if (model_config_bool_or(r, "attention_bias", false))
		model_config_refuse(r, ERR_UNSUPPORTED, "attention_bias",
				    "not available in this version");
	if (!model_config_bool_or(r, "attn_output_gate", true))
		model_config_refuse(r, ERR_UNSUPPORTED, "attn_output_gate",
				    "not available in this version");
	d->key_heads = model_config_u32(r, "linear_num_key_heads", 1, 4096);
	d->value_heads = model_config_u32(r, "linear_num_value_heads", 1, 4096);
	d->tiled = model_config_bool_or(r, "linear_value_heads_tiled", false); /* gguf_arch.c */
	d->key = model_config_u32(r, "linear_key_head_dim", 1, KERNEL_DELTA_KEY);
	d->value = model_config_u32(r, "linear_value_head_dim", 1, 4096);
	d->conv = model_config_u32(r, "linear_conv_kernel_dim", 2, KERNEL_TAPS);
	widths_check(r, d, "linear_num_value_heads", "linear_value_head_dim");
	if (r->code == 0)
		kinds_read(r, c, interval(r), kind);
}

static void layers_qwen(struct config_reader *r, struct model_config *c)
{
	uint8_t kind[MODEL_LAYERS];
	kinds_read(r, c, interval(r), kind);
	layers_make(c, kind, MODEL_OUT_WIDE);
}

static void read_qwen_dense(struct config_reader *r, struct model_config *c)
{
	read_qwen(r, c);
	model_family_ffn(r, c);
}

static void read_qwen_experts(struct config_reader *r, struct model_config *c)
{
	read_qwen(r, c);
	model_config_experts_qwen(r, c);
	c->shared_width = model_config_u32(r, "shared_expert_intermediate_size", 1, MODEL_WIDTH);
	c->shared_gated = true;
}

/* No key says that weights are divided by their sum, and they are. */
static void read_qwen3_5_moe(struct config_reader *r, struct model_config *c)
{
	read_qwen_experts(r, c);
	c->gate.normalise = true;
}

/* ---- Kimi Linear, Ling ---- */

static void read_latent(struct config_reader *r, struct model_config *c)
{
	c->ropes[0].interleaved = true;
	model_family_mla(r, c);
	model_config_experts_sigmoid(r, c);
}

/* Heads of queries, keys and values alike, and a decay for each number of a key. */
static void delta_set(struct config_reader *r, struct model_delta *d, const char *key)
{
	d->value_heads = d->key_heads;
	d->value = d->key;
	d->by_channel = d->gate_sigmoid = true;
	widths_check(r, d, key, key);
}

/* Layers are counted from one in these lists. */
static void kimi_list(struct config_reader *in, const struct model_config *c, const char *key,
		      uint8_t what, uint8_t *kind)
{
	const json_t *list = model_config_get(in, key);
	for (size_t i = 0; in->code == 0 && i < json_array_size(list); i++) {
		json_int_t at = json_integer_value(json_array_get(list, i));
		if (at < 1 || at > (json_int_t)c->layers)
			model_config_refuse(in, ERR_INPUT, key, "not a list of layers, from 1");
		else
			kind[at - 1] = what;
	}
}

static void kimi_kinds(struct config_reader *r, const struct model_config *c, uint8_t *kind)
{
	static const char *const kinds[] = { "linear_attention", "full_attention", NULL };
	const json_t *inner = model_config_get(r, "linear_attn_config");
	bool lists = json_object_get(inner, "full_attn_layers") != NULL &&
		     json_object_get(inner, "kda_layers") != NULL;
	for (uint32_t i = 0; i < c->layers; i++)
		kind[i] = lists ? UINT8_MAX : i > 0 && i % 4 == 0 ? FULL : DELTA;
	if (model_config_layer_types(r, c, kinds, kind) || !lists)
		return;
	struct config_reader in = model_config_inside(r, "linear_attn_config", inner);
	kimi_list(&in, c, "full_attn_layers", FULL, kind);
	kimi_list(&in, c, "kda_layers", DELTA, kind);
	for (uint32_t i = 0; in.code == 0 && i < c->layers; i++) {
		if (kind[i] == UINT8_MAX)
			model_config_refuse(&in, ERR_INPUT, "kda_layers",
					    "a layer is in neither list");
	}
	r->code = in.code;
}

static void read_kimi_linear(struct config_reader *r, struct model_config *c)
{
	const json_t *inner = model_config_get(r, "linear_attn_config");
	struct model_delta *d = &c->delta;
	uint8_t kind[MODEL_LAYERS];
	read_latent(r, c);
	if (!model_config_bool_or(r, "mla_use_nope", true))
		model_config_refuse(r, ERR_UNSUPPORTED, "mla_use_nope", "only true");
	d->key_heads = model_config_u32_or(r, "linear_num_heads", 32, 1, 4096);
	d->key = model_config_u32_or(r, "linear_head_dim", 128, 1, KERNEL_DELTA_KEY);
	d->conv = model_config_u32_or(r, "linear_conv_kernel_dim", 4, 2, KERNEL_TAPS);
	if (r->code == 0 && inner != NULL && !json_is_null(inner)) {
		struct config_reader in = model_config_inside(r, "linear_attn_config", inner);
		d->key_heads = model_config_u32_or(&in, "num_heads", d->key_heads, 1, 4096);
		d->key = model_config_u32_or(&in, "head_dim", d->key, 1, KERNEL_DELTA_KEY);
		d->conv =
			model_config_u32_or(&in, "short_conv_kernel_size", d->conv, 2, KERNEL_TAPS);
		r->code = in.code;
	}
	d->decay_rank = d->gate_rank = d->key;
	delta_set(r, d, "linear_attn_config");
	if (r->code == 0)
		kimi_kinds(r, c, kind);
}

/* What attends is not rotated. */
static void layers_kimi_linear(struct config_reader *r, struct model_config *c)
{
	uint8_t kind[MODEL_LAYERS];
	kimi_kinds(r, c, kind);
	layers_make(c, kind, MODEL_OUT_NONE);
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].rope = MODEL_NO_ROPE;
}

static uint32_t group_size(struct config_reader *r)
{
	return model_config_u32_or(r, "layer_group_size", 6, 1, MODEL_LAYERS);
}

static void read_bailing_hybrid(struct config_reader *r, struct model_config *c)
{
	struct model_delta *d = &c->delta;
	uint8_t kind[MODEL_LAYERS];
	read_latent(r, c);
	/* what the reference saves has the width of a rotated head as head_dim */
	d->key_heads = model_config_u32_or(r, "linear_num_heads", c->all.heads, 1, 4096);
	d->key = model_config_absent(r, "linear_head_dim")
			 ? model_config_u32(r, "head_dim", 1, KERNEL_DELTA_KEY)
			 : model_config_u32(r, "linear_head_dim", 1, KERNEL_DELTA_KEY);
	d->conv = model_config_u32_or(r, "short_conv_kernel_size", 4, 2, KERNEL_TAPS);
	d->conv = model_config_u32_or(r, "linear_conv_kernel_dim", d->conv, 2, KERNEL_TAPS);
	d->bounded = model_config_bool_or(r, "kda_safe_gate", true);
	d->bound = (float)model_config_number_or(r, "kda_lower_bound", -5, -1e6, 0);
	delta_set(r, d, "head_dim");
	if (r->code == 0)
		kinds_read(r, c, group_size(r), kind);
}

static void layers_bailing_hybrid(struct config_reader *r, struct model_config *c)
{
	uint8_t kind[MODEL_LAYERS];
	kinds_read(r, c, group_size(r), kind);
	layers_make(c, kind, MODEL_OUT_HEAD);
}

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
#define QWEN_DELTA                                                                            \
	{ "head_dim", 256 }, { "linear_conv_kernel_dim", 4 }, { "linear_key_head_dim", 128 }, \
		{ "linear_value_head_dim", 128 }, { "linear_num_key_heads", 16 },             \
		{ "linear_num_value_heads", 32 }, { "partial_rotary_factor", 0.25 },          \
	{                                                                                     \
		"max_position_embeddings", 32768                                              \
	}
static const struct config_default qwen3_next[] = {
	/* clang-format off */
	QWEN_DELTA, { "vocab_size", 151936 }, { "hidden_size", 2048 },
	{ "intermediate_size", 5632 }, { "num_hidden_layers", 48 }, { "num_attention_heads", 16 },
	{ "num_key_value_heads", 2 }, { "moe_intermediate_size", 512 },
	{ "shared_expert_intermediate_size", 512 }, { "num_experts_per_tok", 10 },
	{ "num_experts", 512 }, { "norm_topk_prob", 1 }, { NULL, 0 },
};
static const struct config_default qwen3_5[] = {
	QWEN_DELTA, { "vocab_size", 248320 }, { "hidden_size", 4096 },
	{ "intermediate_size", 12288 }, { "num_hidden_layers", 32 },
	{ "num_attention_heads", 16 }, { "num_key_value_heads", 4 }, { NULL, 0 },
};
static const struct config_default qwen3_5_moe[] = {
	QWEN_DELTA, { "vocab_size", 248320 }, { "hidden_size", 2048 },
	{ "intermediate_size", 512 }, { "num_hidden_layers", 40 }, { "num_attention_heads", 16 },
	{ "num_key_value_heads", 2 }, { "moe_intermediate_size", 512 },
	{ "shared_expert_intermediate_size", 512 }, { "num_experts_per_tok", 8 },
	{ "num_experts", 256 }, { NULL, 0 },
};
static const struct config_default kimi_linear[] = {
	{ "vocab_size", 163840 }, { "hidden_size", 2304 }, { "intermediate_size", 9216 },
	{ "moe_intermediate_size", 1024 }, { "num_hidden_layers", 27 },
	{ "num_attention_heads", 32 }, { "num_key_value_heads", 32 }, { "n_shared_experts", 1 },
	{ "routed_scaling_factor", 2.446 }, { "kv_lora_rank", 512 }, { "qk_rope_head_dim", 64 },
	{ "v_head_dim", 128 }, { "qk_nope_head_dim", 128 }, { "num_experts_per_tok", 8 },
	{ "norm_topk_prob", 1 }, { "max_position_embeddings", 1048576 }, { "rms_norm_eps", 1e-5 },
	{ "num_experts", 256 }, { "first_k_dense_replace", 1 }, { "eos_token_id", 163586 },
	{ NULL, 0 },
};
static const struct config_default bailing_hybrid[] = {
	{ "vocab_size", 157184 }, { "hidden_size", 2560 }, { "intermediate_size", 6144 },
	{ "moe_intermediate_size", 768 }, { "num_hidden_layers", 42 },
	{ "num_attention_heads", 32 }, { "num_key_value_heads", 32 }, { "n_shared_experts", 1 },
	{ "routed_scaling_factor", 2.5 }, { "kv_lora_rank", 512 }, { "qk_rope_head_dim", 64 },
	{ "v_head_dim", 128 }, { "qk_nope_head_dim", 128 }, { "n_group", 8 }, { "topk_group", 4 },
	{ "num_experts_per_tok", 8 }, { "first_k_dense_replace", 2 }, { "norm_topk_prob", 1 },
	{ "max_position_embeddings", 262144 }, { "num_experts", 512 }, { "rope_theta", 6e6 },
	{ "head_dim", 128 }, { "num_nextn_predict_layers", 1 }, { "eos_token_id", 156895 },
	{ NULL, 0 },
}; /* clang-format on */

static const struct config_alias kimi_alias[] = {
	{ "max_position_embeddings", "model_max_length" },
	{ "norm_topk_prob", "moe_renormalize" },
	{ "n_group", "num_expert_group" },
	{ "num_experts_per_tok", "num_experts_per_token" },
	{ "n_shared_experts", "num_shared_experts" },
	{ "scoring_func", "moe_router_activation_func" },
	{ NULL, NULL },
};

const struct config_family model_family_delta[] = {
	{ .type = "qwen3_next",
	  .read = read_qwen_experts,
	  .layers = layers_qwen,
	  .absent = qwen3_next,
	  .own = { "partial_rotary_factor" },
	  .share = "partial_rotary_factor",
	  .names = &model_names_qwen3_next },
	{ .type = "qwen3_5_text",
	  .read = read_qwen_dense,
	  .layers = layers_qwen,
	  .absent = qwen3_5,
	  .own = { "partial_rotary_factor", "attn_output_gate" },
	  .share = "partial_rotary_factor",
	  .names = &model_names_qwen3_5 },
	{ .type = "qwen3_5_moe_text",
	  .read = read_qwen3_5_moe,
	  .layers = layers_qwen,
	  .absent = qwen3_5_moe,
	  .own = { "partial_rotary_factor", "attn_output_gate" },
	  .share = "partial_rotary_factor",
	  .names = &model_names_qwen3_5 },
	{ .type = "kimi_linear",
	  .read = read_kimi_linear,
	  .layers = layers_kimi_linear,
	  .absent = kimi_linear,
	  .own = { "linear_attn_config" },
	  .extra = true,
	  .names = &model_names_kimi_linear,
	  .alias = kimi_alias },
	{ .type = "bailing_hybrid",
	  .read = read_bailing_hybrid,
	  .layers = layers_bailing_hybrid,
	  .absent = bailing_hybrid,
	  .extra = true,
	  .names = &model_names_bailing_hybrid,
	  .alias = kimi_alias },
	{ 0 },
};
