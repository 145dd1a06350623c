/* Families whose attention or experts leave much out: latent attention over chosen positions,
 * chunks and windows, experts that do nothing. */
#include "model/family.h"
#include "model/names.h"

#include "base/limits.h"

#include <math.h>
#include <string.h>

/* A list of one value for each layer, or NULL where the key is absent. */
static const json_t *layer_list(struct config_reader *r, const struct model_config *c,
				const char *key)
{
	const json_t *list = model_config_get(r, key);
	if (list == NULL || json_is_null(list))
		return NULL;
	if (!json_is_array(list) || json_array_size(list) != c->layers) {
		model_config_refuse(r, ERR_INPUT, key, "not a list with a value for each layer");
		return NULL;
	}
	return list;
}

/* 0 or 1 for each layer. */
static bool flag_of(struct config_reader *r, const char *key, const json_t *list, uint32_t layer)
{
	const json_t *v = json_array_get(list, layer);
	json_int_t n = json_integer_value(v);
	if (!json_is_integer(v) || n < 0 || n > 1)
		model_config_refuse(r, ERR_INPUT, key, "not a list of 0 and 1");
	return n == 1;
}

/* ---- deepseek_v32, glm_moe_dsa ---- */

static void read_indexer(struct config_reader *r, struct model_config *c)
{
	static const char *const kinds[] = { "indexed_attention", "full_attention", NULL };
	uint8_t kind[MODEL_LAYERS];
	c->ropes[0].interleaved = true;
	model_family_mla(r, c);
	model_config_experts_sigmoid(r, c);
	c->index_heads = model_config_u32(r, "index_n_heads", 1, 4096);
	c->index_head = model_config_u32(r, "index_head_dim", 1, 4096);
	c->index_top_k = model_config_u32(r, "index_topk", 1, LIMIT_CONTEXT_TOKENS);
	(void)model_config_layer_types(r, c, kinds, kind); /* both are this attention's names */
	if (r->code == 0 && c->q_rank == 0)
		model_config_refuse(r, ERR_UNSUPPORTED, "q_lora_rank", "the indexer needs one");
	if (r->code == 0 && c->index_head < c->rope_head)
		model_config_refuse(r, ERR_INPUT, "index_head_dim", "below qk_rope_head_dim");
	bool turned = model_config_bool_or(r, "indexer_rope_interleave", c->index_interleaved);
	if (r->code == 0 && turned != c->index_interleaved)
		model_config_refuse(r, ERR_UNSUPPORTED, "indexer_rope_interleave",
				    "not as the reference class computes");
}

static void layers_deepseek_v32(struct config_reader *r, struct model_config *c)
{
	(void)r;
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].index = MODEL_INDEX_OWN;
}

static void read_glm_moe_dsa(struct config_reader *r, struct model_config *c)
{
	c->index_interleaved = true;
	read_indexer(r, c);
}

/* Whether a layer takes the choice of the one before it: by a list of words, or of letters, or a
 * string of letters. */
static bool is_shared(struct config_reader *r, const char *key, const json_t *list, uint32_t layer)
{
	const char *text = json_string_value(list), *one = text != NULL ? text + layer : NULL;
	if (text == NULL)
		one = json_string_value(json_array_get(list, layer));
	bool shared = one != NULL && (text != NULL ? *one == 'S' : strcmp(one, "shared") == 0);
	bool full = one != NULL && (text != NULL ? *one == 'F' : strcmp(one, "full") == 0);
	if (!shared && !full)
		model_config_refuse(r, ERR_INPUT, key, "neither full nor shared for each layer");
	return shared;
}

static const json_t *index_kinds(struct config_reader *r, const struct model_config *c,
				 const char **key)
{
	*key = "indexer_types";
	if (model_config_absent(r, *key))
		*key = "index_topk_pattern";
	const json_t *list = model_config_get(r, *key);
	if (list == NULL || json_is_null(list))
		return NULL;
	size_t n = json_is_string(list) ? json_string_length(list) : json_array_size(list);
	if (n != c->layers)
		model_config_refuse(r, ERR_INPUT, *key, "not a kind for each layer");
	return list;
}

static void layers_glm_moe_dsa(struct config_reader *r, struct model_config *c)
{
	const char *key;
	const json_t *list = index_kinds(r, c, &key);
	uint32_t every = model_config_u32_or(r, "index_topk_freq", 1, 0, MODEL_LAYERS),
		 offset = model_config_u32_or(r, "index_skip_topk_offset", 2, 0, MODEL_LAYERS);
	for (uint32_t i = 0; r->code == 0 && i < c->layers; i++) {
		uint32_t past = i + 1 > offset ? i + 1 - offset : 0;
		bool shared =
			list != NULL ? is_shared(r, key, list, i) : every > 1 && past % every != 0;
		if (i == 0 && shared)
			model_config_refuse(r, ERR_INPUT, key, "nothing before the first layer");
		c->layer[i].index = shared ? MODEL_INDEX_SHARED : MODEL_INDEX_OWN;
	}
}

/* ---- llama4 ---- */

static void llama4_experts(struct config_reader *r, struct model_config *c)
{
	struct kernel_gate *g = &c->gate;
	const json_t *list = model_config_get(r, "moe_layers");
	uint32_t every = model_config_u32_or(r, "interleave_moe_layer_step", 1, 1, MODEL_LAYERS);
	*g = (struct kernel_gate){
		.kind = KERNEL_GATE_SIGMOID, .groups = 1, .groups_kept = 1, .scaling = 1
	};
	c->experts_on_input = true;
	g->experts = model_config_u32(r, "num_local_experts", 1, KERNEL_EXPERTS);
	g->top_k = model_config_u32(r, "num_experts_per_tok", 1, KERNEL_TOP_K);
	if (g->top_k > g->experts)
		model_config_refuse(r, ERR_INPUT, "num_experts_per_tok",
				    "more than there are experts");
	for (uint32_t i = every - 1; (list == NULL || json_is_null(list)) && i < c->layers;
	     i += every)
		c->layer[i].ffn = MODEL_FFN_EXPERTS;
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_int_t layer = json_integer_value(json_array_get(list, i));
		if (layer < 0 || layer >= (json_int_t)c->layers ||
		    !json_is_integer(json_array_get(list, i)))
			model_config_refuse(r, ERR_INPUT, "moe_layers", "not a list of layers");
		else
			c->layer[layer].ffn = MODEL_FFN_EXPERTS;
	}
}

/* Older files count: any number but 0 is true. */
static bool truth_or(struct config_reader *r, const char *key, bool fallback)
{
	const json_t *v = model_config_get(r, key);
	if (json_is_integer(v))
		return json_integer_value(v) != 0;
	return model_config_bool_or(r, key, fallback);
}

static void read_llama4(struct config_reader *r, struct model_config *c)
{
	r->typed = true; /* layers_llama4 reads it */
	c->ropes[0].interleaved = true;
	model_family_gqa(r, c);
	model_family_biases(r, c);
	c->all.width = model_config_u32(r, "intermediate_size_mlp", 1, MODEL_WIDTH);
	c->expert_width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	llama4_experts(r, c);
	c->shared_width = c->expert_width;
	if (truth_or(r, "attn_temperature_tuning", true))
		c->temper = (struct model_temper){
			.beta = model_config_number_or(r, "attn_scale", 0.1, 0, 1e6),
			.length = model_config_u32_or(r, "floor_scale", 8192, 1, 1u << 30),
			.shift = 1
		};
}

/* Layers that turn look back within their chunk, and their queries and keys are normed; the others
 * see everything, and their queries grow with the position. */
static void layers_llama4(struct config_reader *r, struct model_config *c)
{
	static const char *const key = "no_rope_layers";
	static const char *const kinds[] = { "full_attention", "chunked_attention", NULL };
	uint8_t kind[MODEL_LAYERS];
	const json_t *list =
		json_array_size(model_config_get(r, key)) == 0 ? NULL : layer_list(r, c, key);
	uint32_t every = model_config_u32_or(r, "no_rope_layer_interval", 4, 1, MODEL_LAYERS),
		 chunk = model_config_u32_or(r, "attention_chunk_size", 0, 1, 1u << 30);
	bool normed = model_config_bool_or(r, "use_qk_norm", true),
	     typed = model_config_layer_types(r, c, kinds, kind);
	for (uint32_t i = 0; r->code == 0 && i < c->layers; i++) {
		struct model_layer *l = &c->layer[i];
		bool turns = list != NULL ? flag_of(r, key, list, i) : (i + 1) % every != 0;
		l->rope = turns ? 0 : MODEL_NO_ROPE;
		l->chunk = (typed ? kind[i] == 1 : turns) ? chunk : 0;
		l->qk_norm = turns && normed ? MODEL_QK_PLAIN : MODEL_QK_NONE;
		l->qk_norm_late = true;
		l->tempered = !turns && c->temper.beta > 0;
	}
}

/* ---- longcat_flash ---- */

/* The last experts return their input. */
static void longcat_experts(struct config_reader *r, struct model_config *c)
{
	struct kernel_gate *g = &c->gate;
	uint32_t own = model_config_u32(r, "n_routed_experts", 1, KERNEL_EXPERTS);
	c->zero_experts = model_config_u32_or(r, "zero_expert_num", 0, 0, KERNEL_EXPERTS);
	*g = (struct kernel_gate){ .kind = KERNEL_GATE_SOFTMAX,
				   .experts = own + c->zero_experts,
				   .groups = 1,
				   .groups_kept = 1 };
	g->top_k = model_config_u32(r, "moe_topk", 1, KERNEL_TOP_K);
	g->scaling = (float)model_config_number_or(r, "routed_scaling_factor", 6, 0, 1e6);
	c->router_bias = true;
	if (g->experts > KERNEL_EXPERTS)
		model_config_refuse(r, ERR_UNSUPPORTED, "zero_expert_num", "too many experts");
	if (g->top_k > g->experts)
		model_config_refuse(r, ERR_INPUT, "moe_topk", "more than there are experts");
	model_config_text_only(r, "zero_expert_type", "identity", "identity");
	if (model_config_bool_or(r, "router_bias", false))
		model_config_refuse(r, ERR_UNSUPPORTED, "router_bias",
				    "implementations disagree on it");
	c->expert_width = model_config_u32(r, "expert_ffn_hidden_size", 1, MODEL_WIDTH);
}

/* Each layer of the file is two: the first begins a shortcut around the second. */
static void read_longcat(struct config_reader *r, struct model_config *c)
{
	static const char *const scaled[] = { "mla_scale_q_lora", "mla_scale_kv_lora" };
	c->ropes[0].interleaved = true;
	model_family_mla(r, c);
	model_config_text_only(r, "attention_method", "MLA", "MLA");
	if (r->code == 0 && c->q_rank == 0)
		model_config_refuse(r, ERR_INPUT, "q_lora_rank", "missing");
	for (size_t i = 0; i < sizeof scaled / sizeof scaled[0]; i++) {
		if (!model_config_bool_or(r, scaled[i], true))
			model_config_refuse(r, ERR_UNSUPPORTED, scaled[i],
					    "implementations disagree on false");
	}
	c->latent_scaled = true;
	c->all.width = model_config_u32(r, "ffn_hidden_size", 1, MODEL_WIDTH);
	longcat_experts(r, c);
	if (c->layers > MODEL_LAYERS / 2)
		model_config_refuse(r, ERR_UNSUPPORTED, "num_hidden_layers", "too many");
	c->layers = c->layers > MODEL_LAYERS / 2 ? 1 : 2 * c->layers;
	for (uint32_t i = 0; i < c->layers; i += 2)
		c->layer[i].ffn = MODEL_FFN_EXPERTS;
}

static void layers_longcat(struct config_reader *r, struct model_config *c)
{
	(void)r;
	for (uint32_t i = 0; i < c->layers; i++) {
		c->layer[i].residual = i % 2 == 0 ? MODEL_SHORTCUT_BEGIN : MODEL_SHORTCUT_END;
		c->layer[i].ffn = i % 2 == 0 ? MODEL_FFN_BOTH : MODEL_FFN_DENSE;
	}
}

/* ---- mimo_v2_flash ---- */

static void read_mimo(struct config_reader *r, struct model_config *c)
{
	static const char *const other = "layernorm_epsilon", *const usual = "rms_norm_eps";
	r->typed = true; /* layers_mimo reads it */
	model_family_gqa(r, c);
	c->bias_qkv = model_config_bool_or(r, "attention_bias", false);
	model_config_experts_sigmoid(r, c);
	c->value_scale = (float)model_config_number_or(
		r, "attention_value_scale",
		model_config_get(r, "attention_value_scale") == NULL ? 0.707 : 1, -1e6, 1e6);
	if (!model_config_absent(r, other)) {
		float eps = (float)model_config_number_or(r, other, 1e-5, 0, 1);
		if (!model_config_absent(r, usual) && (eps < c->norm_eps || eps > c->norm_eps))
			model_config_refuse(r, ERR_INPUT, other, "disagrees with rms_norm_eps");
		c->norm_eps = eps;
	}
	if (!model_config_absent(r, "quantization_config"))
		model_config_refuse(r, ERR_UNSUPPORTED, "quantization_config",
				    "of mimo_v2_flash: its blocks cross the border of keys and "
				    "values");
}

/* The released files count the positions before the query's own, the reference class all. */
static uint32_t mimo_window(struct config_reader *r)
{
	bool released = !model_config_absent(r, "sliding_window_size");
	return released ? 1 + model_config_u32_or(r, "sliding_window_size", 0, 0,
						  LIMIT_CONTEXT_TOKENS)
			: model_config_u32_or(r, "sliding_window", 129, 1, LIMIT_CONTEXT_TOKENS);
}

/* Heads of windowed layers, where they differ. */
static struct model_layer mimo_near(struct config_reader *r, const struct model_config *c,
				    struct model_layer l)
{
	l.heads = model_config_u32_or(r, "swa_num_attention_heads", c->all.heads, 1, 4096);
	l.kv_heads =
		model_config_u32_or(r, "swa_num_key_value_heads", 2 * c->all.kv_heads, 1, 4096);
	l.head = model_config_u32_or(r, "swa_head_dim", c->all.head, 1, 4096);
	l.value = model_config_u32_or(r, "swa_v_head_dim", l.value, 1, 4096);
	l.scale = (float)(1 / sqrt((double)l.head));
	l.window = mimo_window(r);
	l.sinks = model_config_bool_or(r, "add_swa_attention_sink_bias", true);
	if (r->code == 0 && l.heads % l.kv_heads != 0)
		model_config_refuse(r, ERR_INPUT, "swa_num_key_value_heads",
				    "does not divide the number of heads");
	struct model_rope near = { .size = (uint32_t)(l.head * c->ropes[0].partial),
				   .partial = c->ropes[0].partial,
				   .factor = 1,
				   .theta = model_config_number_or(r, "swa_rope_theta", 10000, 1,
								   1e12) };
	model_config_rope_kind(r, "sliding_attention", &near);
	struct model_config *all = (struct model_config *)(uintptr_t)c;
	l.rope = model_config_rope_add(r, all, &near);
	return l;
}

static void layers_mimo(struct config_reader *r, struct model_config *c)
{
	static const char *const key = "hybrid_layer_pattern";
	static const char *const kinds[] = { "full_attention", "sliding_attention", NULL };
	uint8_t kind[MODEL_LAYERS];
	const json_t *list = layer_list(r, c, key);
	bool typed = list == NULL && model_config_layer_types(r, c, kinds, kind);
	struct model_layer far = c->layer[0];
	far.value = model_config_u32_or(r, "v_head_dim", c->all.head, 1, 4096);
	far.sinks = model_config_bool_or(r, "add_full_attention_sink_bias", false);
	struct model_layer near = mimo_near(r, c, far);
	for (uint32_t i = 0; r->code == 0 && i < c->layers; i++) {
		bool windowed = list != NULL ? flag_of(r, key, list, i)
				: typed      ? kind[i] == 1
					     : i > 0 && (i + 1) % 6 != 0;
		enum model_ffn ffn = c->layer[i].ffn;
		c->layer[i] = windowed ? near : far;
		c->layer[i].cache = i;
		c->layer[i].ffn = ffn;
	}
}

/* What the reference classes assume. Source: configuration_*.py of transformers 5.24. */
static const struct config_default deepseek_v32[] = {
	/* clang-format off */
	{ "vocab_size", 129280 }, { "hidden_size", 7168 }, { "intermediate_size", 18432 },
	{ "moe_intermediate_size", 2048 }, { "num_hidden_layers", 61 },
	{ "num_attention_heads", 128 }, { "n_shared_experts", 1 }, { "n_routed_experts", 256 },
	{ "routed_scaling_factor", 2.5 }, { "kv_lora_rank", 512 }, { "q_lora_rank", 1536 },
	{ "qk_rope_head_dim", 64 }, { "v_head_dim", 128 }, { "qk_nope_head_dim", 128 },
	{ "n_group", 8 }, { "topk_group", 4 }, { "num_experts_per_tok", 8 },
	{ "first_k_dense_replace", 3 }, { "max_position_embeddings", 163840 },
	{ "norm_topk_prob", 1 }, { "index_topk", 2048 }, { "index_head_dim", 128 },
	{ "index_n_heads", 64 }, { "eos_token_id", 1 }, { NULL, 0 },
};
static const struct config_default glm_moe_dsa[] = {
	{ "vocab_size", 154880 }, { "hidden_size", 6144 }, { "intermediate_size", 12288 },
	{ "moe_intermediate_size", 2048 }, { "num_hidden_layers", 78 },
	{ "num_attention_heads", 64 }, { "n_shared_experts", 1 }, { "n_routed_experts", 256 },
	{ "routed_scaling_factor", 2.5 }, { "kv_lora_rank", 512 }, { "q_lora_rank", 2048 },
	{ "qk_rope_head_dim", 64 }, { "v_head_dim", 256 }, { "qk_nope_head_dim", 192 },
	{ "n_group", 1 }, { "topk_group", 1 }, { "num_experts_per_tok", 8 },
	{ "first_k_dense_replace", 3 }, { "max_position_embeddings", 202752 },
	{ "rms_norm_eps", 1e-5 }, { "norm_topk_prob", 1 }, { "index_topk", 2048 },
	{ "index_head_dim", 128 }, { "index_n_heads", 32 }, { "eos_token_id", 1 }, { NULL, 0 },
};
static const struct config_default llama4[] = {
	{ "vocab_size", 202048 }, { "hidden_size", 5120 }, { "intermediate_size", 8192 },
	{ "intermediate_size_mlp", 16384 }, { "num_hidden_layers", 48 },
	{ "num_attention_heads", 40 }, { "num_key_value_heads", 8 }, { "head_dim", 128 },
	{ "max_position_embeddings", 131072 }, { "rms_norm_eps", 1e-5 }, { "rope_theta", 500000 },
	{ "num_experts_per_tok", 1 }, { "num_local_experts", 16 },
	{ "attention_chunk_size", 8192 }, { "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_default longcat[] = {
	{ "vocab_size", 131072 }, { "hidden_size", 6144 }, { "num_hidden_layers", 28 },
	{ "num_attention_heads", 64 }, { "max_position_embeddings", 131072 },
	{ "rms_norm_eps", 1e-5 }, { "rope_theta", 1e7 }, { "ffn_hidden_size", 12288 },
	{ "q_lora_rank", 1536 }, { "kv_lora_rank", 512 }, { "qk_nope_head_dim", 128 },
	{ "qk_rope_head_dim", 64 }, { "v_head_dim", 128 }, { "moe_topk", 12 },
	{ "n_routed_experts", 512 }, { "zero_expert_num", 256 },
	{ "expert_ffn_hidden_size", 2048 }, { "eos_token_id", 2 }, { NULL, 0 },
};
static const struct config_alias longcat_alias[] = {
	{ "num_hidden_layers", "num_layers" }, { NULL, NULL },
};
static const struct config_default mimo[] = {
	{ "vocab_size", 152576 }, { "hidden_size", 4096 }, { "intermediate_size", 16384 },
	{ "num_hidden_layers", 48 }, { "num_attention_heads", 64 }, { "num_key_value_heads", 4 },
	{ "max_position_embeddings", 131072 }, { "rms_norm_eps", 1e-5 }, { "rope_theta", 5e6 },
	{ "moe_intermediate_size", 2048 }, { "num_experts_per_tok", 8 },
	{ "n_routed_experts", 256 }, { "n_group", 1 }, { "topk_group", 1 },
	{ "norm_topk_prob", 1 }, { "head_dim", 192 }, { "v_head_dim", 128 },
	{ "first_k_dense_replace", 1 }, { "partial_rotary_factor", 0.334 }, { NULL, 0 },
}; /* clang-format on */

const struct config_family model_family_sparse[] = {
	{ .type = "deepseek_v32",
	  .read = read_indexer,
	  .layers = layers_deepseek_v32,
	  .absent = deepseek_v32,
	  .own = { "index_topk" },
	  .extra = true },
	{ .type = "glm_moe_dsa",
	  .read = read_glm_moe_dsa,
	  .layers = layers_glm_moe_dsa,
	  .absent = glm_moe_dsa,
	  .own = { "index_topk" },
	  .extra = true },
	{ .type = "llama4_text",
	  .read = read_llama4,
	  .layers = layers_llama4,
	  .absent = llama4,
	  .own = { "no_rope_layers", "no_rope_layer_interval", "attention_chunk_size",
		   "use_qk_norm" },
	  .names = &model_names_llama4 },
	{ .type = "longcat_flash",
	  .read = read_longcat,
	  .layers = layers_longcat,
	  .absent = longcat,
	  .extra = true,
	  .names = &model_names_longcat,
	  .alias = longcat_alias },
	{ .type = "mimo_v2_flash",
	  .read = read_mimo,
	  .layers = layers_mimo,
	  .absent = mimo,
	  .own = { "sliding_window", "partial_rotary_factor" },
	  .extra = true,
	  .names = &model_names_mimo,
	  .share = "partial_rotary_factor",
	  .rope_kind = "full_attention" },
	{ 0 },
};
