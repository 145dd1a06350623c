/* What the readers of several families share, and the list of all. */
#include "model/family.h"

#include "base/limits.h"

#include <string.h>

void model_family_mla(struct config_reader *r, struct model_config *c)
{
	c->all.mixer = MODEL_MIX_MLA;
	c->q_rank = model_config_u32_or(r, "q_lora_rank", 0, 1, MODEL_WIDTH);
	c->kv_rank = model_config_u32(r, "kv_lora_rank", 1, MODEL_WIDTH);
	c->nope = model_config_u32(r, "qk_nope_head_dim", 1, 4096);
	c->rope_head = model_config_u32(r, "qk_rope_head_dim", 2, 4096);
	c->value = model_config_u32(r, "v_head_dim", 1, 4096);
	model_family_biases(r, c);
	c->ropes[0].size = c->rope_head;
	c->ropes[0].partial = 1;
	if (r->family->share != NULL && r->code == 0) /* of both parts of a head together */
		c->ropes[0].partial = c->rope_head / (double)(c->nope + c->rope_head);
	model_config_rope(r, c);
}

void model_family_gqa(struct config_reader *r, struct model_config *c)
{
	c->all.mixer = MODEL_MIX_GQA;
	c->all.head = model_config_u32_or(r, "head_dim", 0, 1, 4096);
	if (r->code != 0)
		return;
	if (c->all.head == 0 && c->hidden < c->all.heads)
		model_config_refuse(r, ERR_INPUT, "num_attention_heads", "above hidden_size");
	if (c->all.heads % c->all.kv_heads != 0)
		model_config_refuse(r, ERR_INPUT, "num_key_value_heads",
				    "does not divide num_attention_heads");
	c->all.head = c->all.head == 0 ? c->hidden / c->all.heads : c->all.head;
	if ((uint64_t)c->all.heads * c->all.head > MODEL_WIDTH)
		model_config_refuse(r, ERR_UNSUPPORTED, "num_attention_heads", "too wide");
	c->ropes[0].partial = model_config_rope_share(r);
	c->ropes[0].size = (uint32_t)(c->all.head * c->ropes[0].partial);
	model_config_rope(r, c);
}

void model_family_biases(struct config_reader *r, struct model_config *c)
{
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
}

/* Null is no window; one that is wider than any context is as good as the widest. */
void model_family_window(struct config_reader *r, struct model_config *c, uint32_t first,
			 uint32_t every)
{
	bool wide = json_number_value(model_config_get(r, "sliding_window")) > LIMIT_CONTEXT_TOKENS;
	c->all.window = wide ? LIMIT_CONTEXT_TOKENS
			     : model_config_u32_or(r, "sliding_window", 0, 1, LIMIT_CONTEXT_TOKENS);
	for (uint32_t l = first; c->all.window > 0 && l < c->layers; l += every)
		c->layer[l].window = c->all.window;
}

void model_family_window_but(struct config_reader *r, struct model_config *c, uint32_t every)
{
	c->window_listed = true;
	model_family_window(r, c, 0, 1);
	for (uint32_t l = every - 1; every > 0 && l < c->layers; l += every)
		c->layer[l].window = 0;
}

void model_family_granite(struct config_reader *r, struct model_config *c)
{
	c->embed_scale = (float)model_config_number_or(r, "embedding_multiplier", 1, -1e9, 1e9);
	c->residual_scale = (float)model_config_number_or(r, "residual_multiplier", 1, -1e9, 1e9);
	c->logits_scale = (float)(1 / model_config_number_or(r, "logits_scaling", 1, 1e-9, 1e9));
}

bool model_family_rope_assumed(struct config_reader *r, struct model_config *c, double theta)
{
	double beside = c->ropes[0].theta;
	const json_t *now = model_config_get(r, "rope_parameters");
	if (json_is_object(now) && json_object_size(now) == 0) /* another rotation than the class's */
		model_config_refuse(r, ERR_INPUT, "rope_parameters", "empty");
	if (!model_config_absent(r, "rope_parameters") ||
	    json_object_size(model_config_get(r, "rope_scaling")) > 0)
		return false;
	c->ropes[0].theta = theta;
	if (!model_config_absent(r, "rope_theta") && (beside < theta || beside > theta))
		model_config_note(
			r,
			"%s: rope_theta %.10g does not count without rope_parameters, as in "
			"the reference: it is %.10g",
			r->file, beside, theta);
	return true;
}

void model_family_temper(struct config_reader *r, struct model_config *c, double theta)
{
	bool assumed = model_family_rope_assumed(r, c, theta);
	c->temper.beta =
		model_config_rope_number(r, "llama_4_scaling_beta", assumed ? 0.1 : 0, 0, 1e3);
	c->temper.length = c->ropes[0].context_original;
	if (r->code == 0 && c->temper.beta > 0 && c->temper.length == 0)
		model_config_refuse(r, ERR_INPUT, "rope_parameters",
				    "llama_4_scaling_beta needs original_max_position_embeddings");
}

void model_family_tempered(struct config_reader *r, struct model_config *c)
{
	(void)r;
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i].tempered = c->temper.beta > 0;
}

void model_family_ffn(struct config_reader *r, struct model_config *c)
{
	c->all.width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
}

static const struct config_family *const kin[] = {
	/* clang-format off */
	model_family_deepseek,
	model_family_llama,
	model_family_qwen,
	model_family_gemma,
	model_family_norms,
	model_family_sparse,
	model_family_layernorm,
	model_family_moe,
	model_family_experts,
	model_family_delta,
	model_family_wrappers, /* clang-format on */
};

/* Models that see or hear, of which the text part is served. Not every one of their files has a
 * text_config: older ones keep its keys at the top. */
const struct config_family model_family_wrappers[] = {
	{ .type = "gemma3", .wraps = "gemma3_text" },
	{ .type = "gemma4", .wraps = "gemma4_text" },
	{ .type = "glm4v", .wraps = "glm4v_text" },
	{ .type = "glm4v_moe", .wraps = "glm4v_moe_text" },
	{ .type = "idefics3", .wraps = "llama" },
	{ .type = "internvl", .wraps = "qwen2" },
	{ .type = "llava", .wraps = "llama" },
	{ .type = "llava_next", .wraps = "llama" },
	{ .type = "llava_onevision", .wraps = "qwen2" },
	{ .type = "mistral3", .wraps = "mistral" },
	{ .type = "qwen2_vl", .wraps = "qwen2_vl_text" },
	{ .type = "qwen2_5_vl", .wraps = "qwen2_5_vl_text" },
	{ .type = "qwen3_vl", .wraps = "qwen3_vl_text" },
	{ .type = "qwen3_vl_moe", .wraps = "qwen3_vl_moe_text" },
	{ .type = "qwen3_5", .wraps = "qwen3_5_text" },
	{ .type = "qwen3_5_moe", .wraps = "qwen3_5_moe_text" },
	{ .type = "smolvlm", .wraps = "llama" },
	{ .type = "llama4", .wraps = "llama4_text" },
	{ 0 },
};

bool model_family_owns(const struct config_family *f, const char *key)
{
	for (size_t i = 0; f != NULL && i < FAMILY_KEYS && f->own[i] != NULL; i++) {
		if (strcmp(f->own[i], key) == 0)
			return true;
	}
	return false;
}

const struct config_family *model_family_of(const char *type)
{
	for (size_t i = 0; i < sizeof kin / sizeof kin[0]; i++) {
		for (const struct config_family *f = kin[i]; f->type != NULL; f++) {
			if (strcmp(type, f->type) == 0)
				return f;
		}
	}
	return NULL;
}
