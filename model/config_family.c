/* One reader for each architecture; what several share is a function of its own. */
#include "model/config_reader.h"

#include <string.h>

/* ---- attention ---- */

static void read_mla(struct config_reader *r, struct model_config *c)
{
	const json_t *rank = model_config_get(r, "q_lora_rank");
	c->attention = MODEL_ATTN_MLA;
	if (rank == NULL) /* the reference class would assume 1536 */
		model_config_refuse(r, ERR_INPUT, "q_lora_rank", "missing: give a number or null");
	c->q_rank = json_is_null(rank) ? 0 : model_config_u32(r, "q_lora_rank", 1, MODEL_WIDTH);
	c->kv_rank = model_config_u32(r, "kv_lora_rank", 1, MODEL_WIDTH);
	c->nope = model_config_u32(r, "qk_nope_head_dim", 1, 4096);
	c->rope_head = model_config_u32(r, "qk_rope_head_dim", 2, 4096);
	c->value = model_config_u32(r, "v_head_dim", 1, 4096);
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	c->rope.size = c->rope_head;
	c->rope.partial = 1;
	c->rope.interleaved = model_config_bool_or(r, "rope_interleave", true);
	model_config_rope(r, c);
}

/* The share of a head that is rotated; newer files keep it beside theta. Source of the default:
 * the architecture's reference class. */
static double rotated_share(struct config_reader *r)
{
	const json_t *in = model_config_get(r, "rope_parameters");
	const json_t *v = json_object_get(in, "partial_rotary_factor");
	if (json_is_number(v) && json_number_value(v) > 0 && json_number_value(v) <= 1)
		return json_number_value(v);
	return model_config_number_or(r, "partial_rotary_factor", 0.5, 0, 1);
}

static void read_gqa(struct config_reader *r, struct model_config *c, bool partial)
{
	c->attention = MODEL_ATTN_GQA;
	if (model_config_get(r, "head_dim") != NULL || c->head == 0)
		c->head = model_config_u32_or(r, "head_dim", 0, 1, 4096);
	if (r->code != 0)
		return;
	if (c->head == 0 && c->hidden % c->heads != 0)
		model_config_refuse(r, ERR_INPUT, "num_attention_heads",
				    "does not divide hidden_size");
	if (c->heads % c->kv_heads != 0)
		model_config_refuse(r, ERR_INPUT, "num_key_value_heads",
				    "does not divide num_attention_heads");
	c->head = c->head == 0 ? c->hidden / c->heads : c->head;
	if ((uint64_t)c->heads * c->head > MODEL_WIDTH)
		model_config_refuse(r, ERR_UNSUPPORTED, "num_attention_heads", "too wide");
	c->rope.partial = partial ? rotated_share(r) : 1;
	c->rope.size = (uint32_t)(c->head * c->rope.partial);
	model_config_rope(r, c);
}

/* absent: the window of a config without the key; null is no window. */
static void read_window(struct config_reader *r, struct model_config *c, uint32_t absent,
			uint32_t first, uint32_t every)
{
	if (model_config_get(r, "sliding_window") != NULL)
		absent = 0;
	c->window = model_config_u32_or(r, "sliding_window", absent, 1, UINT32_MAX);
	for (uint32_t l = first; c->window > 0 && l < c->layers; l += every)
		c->window_layer[l] = true;
}

/* In Qwen files the window's width applies only with this flag. */
static bool uses_window(struct config_reader *r)
{
	return model_config_bool_or(r, "use_sliding_window", false);
}

/* ---- DeepSeek, Kimi ---- */

static void read_deepseek_v2(struct config_reader *r, struct model_config *c)
{
	read_mla(r, c);
	model_config_experts_deepseek_v2(r, c);
}

static void read_deepseek_v3(struct config_reader *r, struct model_config *c)
{
	static const struct config_defaults absent = { 2.5, 8, 4, 3, 1 };
	read_mla(r, c);
	model_config_experts_sigmoid(r, c, &absent);
}

/* ---- dense ---- */

static void read_ffn(struct config_reader *r, struct model_config *c)
{
	c->ffn = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
}

static void read_llama(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	c->bias_ffn = model_config_bool_or(r, "mlp_bias", false);
	read_ffn(r, c);
}

static void read_mistral(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	read_window(r, c, 4096, 0, 1);
	read_ffn(r, c);
}

static void read_qwen_window(struct config_reader *r, struct model_config *c)
{
	c->window_listed = true;
	if (uses_window(r))
		read_window(r, c, 4096,
			    model_config_u32_or(r, "max_window_layers", 28, 0, UINT32_MAX), 1);
}

static void read_qwen2(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->bias_qkv = true;
	read_qwen_window(r, c);
	read_ffn(r, c);
}

static void read_qwen3(struct config_reader *r, struct model_config *c)
{
	c->head = 128;
	read_gqa(r, c, false);
	c->qk_norm = MODEL_QK_HEAD;
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	read_qwen_window(r, c);
	read_ffn(r, c);
}

/* ---- mixtures of experts ---- */

static void read_qwen3_moe(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->qk_norm = MODEL_QK_HEAD;
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	if (uses_window(r))
		read_window(r, c, 4096, 0, 1);
	model_config_experts_softmax(r, c);
}

static void read_qwen2_moe(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->bias_qkv = model_config_bool_or(r, "qkv_bias", true);
	if (uses_window(r)) /* ports disagree on the layers, and no release uses it */
		model_config_refuse(r, ERR_UNSUPPORTED, "use_sliding_window",
				    "not available in this version");
	model_config_experts_softmax(r, c);
	c->shared_width = model_config_u32(r, "shared_expert_intermediate_size", 1, MODEL_WIDTH);
	c->shared_gated = true;
}

static void read_mixtral(struct config_reader *r, struct model_config *c)
{
	c->rope.theta = 1e6;
	read_gqa(r, c, false);
	read_window(r, c, 0, 0, 1);
	model_config_experts_softmax(r, c);
	c->gate.normalise = true;
	c->experts = MODEL_EXPERTS_MIXTRAL;
}

static void read_olmoe(struct config_reader *r, struct model_config *c)
{
	read_gqa(r, c, false);
	c->qk_norm = MODEL_QK_FULL;
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	c->clip = (float)model_config_number_or(r, "clip_qkv", 0, 1e-6, 1e6);
	model_config_experts_softmax(r, c);
}

static void read_gpt_oss(struct config_reader *r, struct model_config *c)
{
	c->head = 64;
	c->rope = (struct model_rope){ .kind = MODEL_ROPE_YARN,
				       .theta = 150000,
				       .factor = 32,
				       .beta_fast = 32,
				       .beta_slow = 1,
				       .context_original = 4096 };
	read_gqa(r, c, false);
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", true);
	c->sinks = c->window_listed = true;
	read_window(r, c, 128, 0, 2);
	model_config_experts_topk(r, c);
}

static void read_glm4_moe(struct config_reader *r, struct model_config *c)
{
	static const struct config_defaults absent = { 1, 1, 1, 1, 1 };
	read_gqa(r, c, true);
	c->qk_norm = model_config_bool_or(r, "use_qk_norm", false) ? MODEL_QK_HEAD : MODEL_QK_NONE;
	c->bias_qkv = model_config_bool_or(r, "attention_bias", false);
	model_config_experts_sigmoid(r, c, &absent);
}

/* ---- all ---- */

static const struct config_family families[] = {
	{ "deepseek_v2", read_deepseek_v2, 1e-6, { NULL } },
	{ "deepseek_v3", read_deepseek_v3, 1e-6, { NULL } },
	{ "kimi_k2", read_deepseek_v3, 1e-6, { NULL } },
	{ "llama", read_llama, 1e-6, { "mlp_bias" } },
	{ "mistral", read_mistral, 1e-6, { "sliding_window" } },
	{ "qwen2", read_qwen2, 1e-6, { "sliding_window" } },
	{ "qwen3", read_qwen3, 1e-6, { "sliding_window", "use_qk_norm" } },
	{ "qwen3_moe", read_qwen3_moe, 1e-6, { "sliding_window", "use_qk_norm" } },
	{ "qwen2_moe", read_qwen2_moe, 1e-6, { "sliding_window" } },
	{ "mixtral", read_mixtral, 1e-5, { "sliding_window" } },
	{ "olmoe", read_olmoe, 1e-5, { "clip_qkv" } },
	{ "gpt_oss", read_gpt_oss, 1e-5, { "sliding_window" } },
	{ "glm4_moe", read_glm4_moe, 1e-5, { "partial_rotary_factor", "use_qk_norm" } },
};

const struct config_family *model_config_family(const char *type)
{
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
		if (strcmp(type, families[i].type) == 0)
			return &families[i];
	}
	return NULL;
}
