/* Layers of a config, where all are alike. */
#include "model/config_reader.h"
#include "model/rope.h"

static struct model_layer layer_of(const struct model_config *c, uint32_t i)
{
	bool mla = c->attention == MODEL_ATTN_MLA;
	return (struct model_layer){
		.mixer = mla ? MODEL_MIX_MLA : MODEL_MIX_GQA,
		.norm_before = true,
		.ffn_norm_before = true,
		.heads = c->heads,
		.kv_heads = c->kv_heads,
		.head = mla ? 0 : c->head,
		.value = mla ? 0 : c->head,
		.sinks = c->sinks,
		.qk_norm = c->qk_norm,
		.window = model_layer_window(c, i),
		.cache = i,
		.scale = model_attention_scale(c),
		.ffn = model_layer_is_moe(c, i) ? MODEL_FFN_EXPERTS : MODEL_FFN_DENSE,
		.width = c->ffn,
	};
}

void model_config_layers(struct model_config *c)
{
	c->ropes[0] = c->rope;
	c->rope_count = 1;
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i] = layer_of(c, i);
}
