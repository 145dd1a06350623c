/* Layers of a config: all alike at first, and their kinds. */
#include "model/family.h"
#include "model/rope.h"

#include <string.h>

/* What readers said of single layers is their windows and their experts. */
static struct model_layer layer_of(const struct model_config *c, uint32_t i)
{
	bool moe = c->gate.experts > 0 && c->layer[i].ffn == MODEL_FFN_EXPERTS;
	struct model_layer l = c->all;
	l.norm_before = l.ffn_norm_before = true;
	l.value = l.head;
	l.window = c->layer[i].window;
	l.cache = i;
	l.scale = model_attention_scale(c);
	l.ffn = moe ? MODEL_FFN_EXPERTS : MODEL_FFN_DENSE;
	return l;
}

void model_config_layers(struct model_config *c)
{
	c->rope_count = 1;
	if (c->ropes[0].kind == MODEL_ROPE_LONG) {
		c->rope_far = c->ropes[0].context_original;
		c->ropes[1] = c->ropes[0];
		c->ropes[1].far = true;
		c->rope_count = 2;
	}
	for (uint32_t i = 0; i < c->layers; i++)
		c->layer[i] = layer_of(c, i);
}

bool model_config_layer_types(struct config_reader *r, const struct model_config *c,
			      const char *const *kinds, uint8_t *kind)
{
	static const char *const key = "layer_types";
	const json_t *list = model_config_get(r, key);
	uint8_t read[MODEL_LAYERS];
	r->typed = true;
	if (list == NULL || json_is_null(list))
		return false;
	if (json_array_size(list) != c->layers)
		model_config_refuse(r, json_is_array(list) ? ERR_UNSUPPORTED : ERR_INPUT, key,
				    "not one kind for each layer");
	for (uint32_t i = 0; r->code == 0 && i < c->layers; i++) {
		const char *name = json_string_value(json_array_get(list, i));
		uint8_t k = 0;
		while (kinds[k] != NULL && (name == NULL || strcmp(kinds[k], name) != 0))
			k++;
		if (kinds[k] == NULL)
			model_config_refuse(r, ERR_UNSUPPORTED, key,
					    "not available in this version");
		read[i] = k;
	}
	if (r->code == 0)
		memcpy(kind, read, c->layers);
	return r->code == 0;
}
