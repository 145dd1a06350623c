/* What the readers of several families share, and the list of all. */
#include "model/family.h"

#include "base/limits.h"

#include <string.h>

void model_family_mla(struct config_reader *r, struct model_config *c)
{
	c->attention = MODEL_ATTN_MLA;
	c->q_rank = model_config_u32_or(r, "q_lora_rank", 0, 1, MODEL_WIDTH);
	c->kv_rank = model_config_u32(r, "kv_lora_rank", 1, MODEL_WIDTH);
	c->nope = model_config_u32(r, "qk_nope_head_dim", 1, 4096);
	c->rope_head = model_config_u32(r, "qk_rope_head_dim", 2, 4096);
	c->value = model_config_u32(r, "v_head_dim", 1, 4096);
	c->bias_qkv = c->bias_o = model_config_bool_or(r, "attention_bias", false);
	c->rope.size = c->rope_head;
	c->rope.partial = 1;
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
	return model_config_number_or(r, "partial_rotary_factor", 1, 0, 1);
}

void model_family_gqa(struct config_reader *r, struct model_config *c, bool partial)
{
	c->attention = MODEL_ATTN_GQA;
	c->head = model_config_u32_or(r, "head_dim", 0, 1, 4096);
	if (r->code != 0)
		return;
	if (c->head == 0 && c->hidden < c->heads)
		model_config_refuse(r, ERR_INPUT, "num_attention_heads", "above hidden_size");
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

/* Null is no window; one that is wider than any context is as good as the widest. */
void model_family_window(struct config_reader *r, struct model_config *c, uint32_t first,
			 uint32_t every)
{
	bool wide = json_number_value(model_config_get(r, "sliding_window")) > LIMIT_CONTEXT_TOKENS;
	c->window = wide ? LIMIT_CONTEXT_TOKENS
			 : model_config_u32_or(r, "sliding_window", 0, 1, LIMIT_CONTEXT_TOKENS);
	for (uint32_t l = first; c->window > 0 && l < c->layers; l += every)
		c->window_layer[l] = true;
}

void model_family_ffn(struct config_reader *r, struct model_config *c)
{
	c->ffn = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
}

static const struct config_family *const kin[] = {
	model_family_deepseek,
	model_family_llama,
	model_family_qwen,
	model_family_moe,
};

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
