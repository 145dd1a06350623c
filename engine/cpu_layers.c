/* Layers by their numbers: widths of a row, and where a page of the cache has their parts. */
#include "engine/cpu.h"

uint32_t cpu_query_width(const struct model_config *c, uint32_t layer)
{
	const struct model_layer *l = &c->layer[layer];
	return l->mixer == MODEL_MIX_DELTA ? 0
	       : l->mixer == MODEL_MIX_MLA ? l->heads * (c->nope + c->rope_head)
					   : l->heads * l->head;
}

uint32_t cpu_kv_width(const struct model_config *c, uint32_t layer)
{
	const struct model_layer *l = &c->layer[layer];
	return l->mixer == MODEL_MIX_DELTA || l->cache != layer ? 0
	       : l->mixer == MODEL_MIX_MLA                      ? c->kv_rank + c->rope_head
					   : l->kv_heads * (l->head + l->value);
}

uint32_t cpu_value_width(const struct model_config *c, uint32_t layer)
{
	const struct model_layer *l = &c->layer[layer];
	return l->mixer == MODEL_MIX_DELTA
		       ? 0
		       : l->heads * (l->mixer == MODEL_MIX_MLA ? c->value : l->value);
}

static void raise(uint32_t *most, uint32_t n) { *most = n > *most ? n : *most; }

struct cpu_most cpu_most_of(const struct model_config *c)
{
	struct cpu_most m = { .wide = c->shared_width > c->per_layer ? c->shared_width
								     : c->per_layer };
	for (uint32_t i = 0; i < c->layers; i++) {
		raise(&m.heads, c->layer[i].heads);
		raise(&m.query, cpu_query_width(c, i));
		raise(&m.kv, cpu_kv_width(c, i));
		raise(&m.value, cpu_value_width(c, i));
		if (c->layer[i].gate != MODEL_OUT_NONE)
			raise(&m.gates, cpu_value_width(c, i));
		if (c->layer[i].ffn != MODEL_FFN_EXPERTS)
			raise(&m.wide, c->layer[i].width);
		m.both |= c->layer[i].ffn == MODEL_FFN_BOTH;
		m.shortcut |= c->layer[i].residual == MODEL_SHORTCUT_BEGIN;
	}
	return m;
}

size_t cpu_layer_bytes(const struct model_config *c, enum kernel_cache cache, uint32_t layer)
{
	const struct model_layer *l = &c->layer[layer];
	if (cpu_kv_width(c, layer) == 0)
		return 0;
	if (l->mixer == MODEL_MIX_MLA)
		return kernel_cache_bytes(cache, KERNEL_BY_NUMBER, c->kv_rank) +
		       kernel_cache_bytes(cache, KERNEL_BY_NUMBER, c->rope_head) +
		       cpu_index_key_bytes(c, cache, layer);
	return l->kv_heads * (kernel_cache_bytes(cache, KERNEL_BY_POSITION, l->head) +
			      kernel_cache_bytes(cache, KERNEL_BY_NUMBER, l->value));
}

uint64_t cpu_page_layout(const struct model_config *c, enum kernel_cache cache, size_t *page_at)
{
	size_t bytes = 0;
	for (uint32_t i = 0; i < c->layers; i++) {
		bool own = c->layer[i].cache == i;
		page_at[i] = own ? bytes : page_at[c->layer[i].cache];
		bytes += cpu_layer_bytes(c, cache, i);
	}
	return bytes;
}
