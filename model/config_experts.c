/* Feed-forward halves in the config: widths, and one reader for each kind of router. */
#include "model/family.h"

#include <stdlib.h>
#include <string.h>

/* Three spellings are in use. One that is null counts only where there is no other; where all are
 * left out, it is the one that the reference class has a default for. */
static const char *experts_key(struct config_reader *r)
{
	static const char *const keys[] = { "n_routed_experts", "num_local_experts",
					    "num_experts" };
	const char *found = NULL;
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		bool null = json_is_null(model_config_get(r, keys[i]));
		if (model_config_get(r, keys[i]) == NULL || (null && found != NULL))
			continue;
		bool both = found != NULL && !model_config_absent(r, found);
		if (both && !json_equal(model_config_get(r, found), model_config_get(r, keys[i])))
			model_config_refuse(r, ERR_INPUT, keys[i],
					    "disagrees with another key for the number of experts");
		found = both ? found : keys[i];
	}
	for (const struct config_default *d = r->absent; found == NULL && d->key != NULL; d++) {
		for (size_t i = 0; i < sizeof keys / sizeof keys[0] && found == NULL; i++)
			found = strcmp(d->key, keys[i]) == 0 ? keys[i] : NULL;
	}
	return found != NULL ? found : "num_experts";
}

/* E and k; false for a dense model, or after an error. */
static bool read_counts(struct config_reader *r, struct kernel_gate *g, bool optional)
{
	const char *key = experts_key(r);
	g->groups = g->groups_kept = 1;
	g->scaling = 1;
	g->experts = optional ? model_config_u32_or(r, key, 0, 0, KERNEL_EXPERTS)
			      : model_config_u32(r, key, 1, KERNEL_EXPERTS);
	if (g->experts == 0)
		return false;
	g->top_k = model_config_u32(r, "num_experts_per_tok", 1, KERNEL_TOP_K);
	if (g->top_k > g->experts)
		model_config_refuse(r, ERR_INPUT, "num_experts_per_tok",
				    "more than there are experts");
	return r->code == 0;
}

/* Null is one group. */
static void read_groups(struct config_reader *r, struct kernel_gate *g)
{
	g->groups = model_config_u32_or(r, "n_group", 1, 1, KERNEL_EXPERTS);
	g->groups_kept = model_config_u32_or(r, "topk_group", 1, 1, KERNEL_EXPERTS);
	if (r->code != 0)
		return;
	if (g->experts % g->groups != 0)
		model_config_refuse(r, ERR_INPUT, "n_group",
				    "does not divide the number of experts");
	else if (g->groups_kept > g->groups)
		model_config_refuse(r, ERR_INPUT, "topk_group", "more than n_group");
	else if ((uint64_t)g->groups_kept * (g->experts / g->groups) < g->top_k)
		model_config_refuse(r, ERR_INPUT, "topk_group",
				    "the kept groups hold fewer than num_experts_per_tok experts");
}

static void all_layers(struct model_config *c)
{
	for (uint32_t l = 0; l < c->layers; l++)
		c->layer[l].ffn = MODEL_FFN_EXPERTS;
}

/* Which layers are mixtures, each by a word, or by 0 or 1. What such a list says counts more than
 * other keys. */
static void read_listed_layers(struct config_reader *r, struct model_config *c, const char *key)
{
	const json_t *list = model_config_get(r, key);
	if (list == NULL || json_is_null(list))
		return;
	if (json_array_size(list) != c->layers)
		model_config_refuse(r, ERR_INPUT, key, "not one kind for each layer");
	for (uint32_t l = 0; r->code == 0 && l < c->layers; l++) {
		const json_t *v = json_array_get(list, l);
		const char *kind = json_string_value(v);
		json_int_t flag = json_integer_value(v);
		bool word = kind != NULL, sparse = word && strcmp(kind, "sparse") == 0;
		c->layer[l].ffn = (sparse || flag == 1) ? MODEL_FFN_EXPERTS : MODEL_FFN_DENSE;
		if (word ? !sparse && strcmp(kind, "dense") != 0
			 : !json_is_integer(v) || flag < 0 || flag > 1)
			model_config_refuse(r, ERR_UNSUPPORTED, key,
					    "not available in this version");
	}
}

/* The first layers are dense, then every n-th is a mixture; the shared experts are one network. */
static void read_deepseek_layers(struct config_reader *r, struct model_config *c)
{
	uint32_t first = model_config_u32_or(r, "first_k_dense_replace", 0, 0, MODEL_LAYERS);
	bool listed = json_is_array(model_config_get(r, "moe_layer_freq"));
	uint32_t every = listed ? 1 : model_config_u32_or(r, "moe_layer_freq", 1, 1, MODEL_LAYERS);
	c->expert_width = model_config_u32(r, "moe_intermediate_size", 1, MODEL_WIDTH);
	uint64_t shared =
		(uint64_t)model_config_u32_or(r, "n_shared_experts", 0, 0, 1024) * c->expert_width;
	if (shared > MODEL_WIDTH)
		model_config_refuse(r, ERR_UNSUPPORTED, "n_shared_experts", "too wide");
	c->shared_width = (uint32_t)shared;
	for (uint32_t l = 0; r->code == 0 && l < c->layers; l++)
		c->layer[l].ffn =
			(l >= first && l % every == 0) ? MODEL_FFN_EXPERTS : MODEL_FFN_DENSE;
	if (listed)
		read_listed_layers(r, c, "moe_layer_freq");
	read_listed_layers(r, c, "mlp_layer_types");
}

void model_config_experts_deepseek_v2(struct config_reader *r, struct model_config *c)
{
	static const char *const methods[] = { "greedy", "group_limited_greedy", NULL };
	struct kernel_gate *g = &c->gate;
	c->all.width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	if (!read_counts(r, g, true))
		return;
	g->kind = KERNEL_GATE_SOFTMAX;
	model_config_text_only(r, "scoring_func", "softmax", "softmax");
	if (strcmp(model_config_choice(r, "topk_method", "greedy", methods), methods[1]) == 0)
		read_groups(r, g);
	if (model_config_bool_or(r, "norm_topk_prob", false) && g->top_k > 1)
		model_config_refuse(r, ERR_UNSUPPORTED, "norm_topk_prob",
				    "implementations of deepseek_v2 disagree on it, and no release "
				    "uses it");
	g->scaling = (float)model_config_number_or(r, "routed_scaling_factor", 1, 0, 1e6);
	read_deepseek_layers(r, c);
}

void model_config_experts_sigmoid(struct config_reader *r, struct model_config *c)
{
	static const char *const scores[] = { "sigmoid", "noaux_tc", NULL }; /* dots1: by method */
	struct kernel_gate *g = &c->gate;
	c->all.width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	if (!read_counts(r, g, false))
		return;
	g->kind = KERNEL_GATE_SIGMOID;
	c->router_bias = true;
	model_config_choice(r, "scoring_func", "sigmoid", scores);
	model_config_text_only(r, "topk_method", "noaux_tc", "noaux_tc");
	read_groups(r, g);
	if (g->groups > 1 && g->experts / g->groups < 2)
		model_config_refuse(r, ERR_INPUT, "n_group", "a group must hold two experts");
	g->normalise = model_config_bool_or(r, "norm_topk_prob", true);
	g->scaling = (float)model_config_number_or(r, "routed_scaling_factor", 1, 0, 1e6);
	read_deepseek_layers(r, c);
}

/* Softmax, of one group alone. */
void model_config_experts_mistral4(struct config_reader *r, struct model_config *c)
{
	struct kernel_gate *g = &c->gate;
	c->all.width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	if (!read_counts(r, g, false))
		return;
	g->kind = KERNEL_GATE_SOFTMAX;
	read_groups(r, g);
	if (g->groups > 1)
		model_config_refuse(r, ERR_UNSUPPORTED, "n_group", "only 1");
	g->normalise = model_config_bool_or(r, "norm_topk_prob", true);
	g->scaling = (float)model_config_number_or(r, "routed_scaling_factor", 1, 0, 1e6);
	read_deepseek_layers(r, c);
}

/* Layer L is dense if mlp_only_layers lists it or (L+1) % decoder_sparse_step != 0. */
static void read_qwen_layers(struct config_reader *r, struct model_config *c)
{
	uint32_t step = model_config_u32_or(r, "decoder_sparse_step", 1, 1, MODEL_LAYERS);
	const json_t *dense = model_config_get(r, "mlp_only_layers");
	for (uint32_t l = 0; r->code == 0 && l < c->layers; l++)
		c->layer[l].ffn = (l + 1) % step == 0 ? MODEL_FFN_EXPERTS : MODEL_FFN_DENSE;
	if (dense != NULL && !json_is_null(dense) && !json_is_array(dense))
		model_config_refuse(r, ERR_INPUT, "mlp_only_layers", "not a list");
	for (size_t i = 0; r->code == 0 && i < json_array_size(dense); i++) {
		const json_t *v = json_array_get(dense, i);
		json_int_t layer = json_integer_value(v);
		if (!json_is_integer(v))
			model_config_refuse(r, ERR_INPUT, "mlp_only_layers",
					    "not a list of layers");
		else if (layer >= 0 && layer < (json_int_t)c->layers)
			c->layer[layer].ffn = MODEL_FFN_DENSE;
	}
}

void model_config_experts_softmax(struct config_reader *r, struct model_config *c)
{
	c->all.width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	if (!read_counts(r, &c->gate, false))
		return;
	c->gate.kind = KERNEL_GATE_SOFTMAX;
	c->expert_width = c->all.width;
	all_layers(c);
}

void model_config_experts_qwen(struct config_reader *r, struct model_config *c)
{
	c->all.width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	if (!read_counts(r, &c->gate, true))
		return;
	c->gate.kind = KERNEL_GATE_SOFTMAX;
	c->gate.normalise = model_config_bool_or(r, "norm_topk_prob", false);
	c->expert_width = model_config_u32(r, "moe_intermediate_size", 1, MODEL_WIDTH);
	read_qwen_layers(r, c);
}

/* gpt_oss: every layer, biases everywhere. */
void model_config_experts_topk(struct config_reader *r, struct model_config *c)
{
	if (!read_counts(r, &c->gate, false))
		return;
	c->gate.kind = KERNEL_GATE_TOPK;
	c->expert_width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	c->router_bias = c->bias_expert = true;
	c->activation = MODEL_ACT_GPT_OSS;
	double limit = model_config_number_or(r, "swiglu_limit", 7, 0, 1e6);
	if (limit < 7 || limit > 7)
		model_config_refuse(r, ERR_UNSUPPORTED, "swiglu_limit", "only 7");
	double alpha = model_config_number_or(r, "swiglu_alpha", 1.702, -1e6, 1e6);
	if (alpha < 1.702 || alpha > 1.702)
		model_config_refuse(r, ERR_UNSUPPORTED, "swiglu_alpha", "only 1.702");
	all_layers(c);
}

/* Beside the dense network of every layer. */
void model_config_experts_gemma4(struct config_reader *r, struct model_config *c)
{
	struct kernel_gate *g = &c->gate;
	g->kind = KERNEL_GATE_SOFTMAX;
	g->groups = g->groups_kept = 1;
	g->scaling = 1;
	g->normalise = true;
	g->experts = model_config_u32(r, "num_experts", 1, KERNEL_EXPERTS);
	g->top_k = model_config_u32(r, "top_k_experts", 1, KERNEL_TOP_K);
	if (g->top_k > g->experts)
		model_config_refuse(r, ERR_INPUT, "top_k_experts", "more than there are experts");
	c->expert_width = model_config_u32(r, "moe_intermediate_size", 1, MODEL_WIDTH);
	all_layers(c);
}

/* intermediate_size is the experts' width. */
void model_config_experts_minimax(struct config_reader *r, struct model_config *c)
{
	if (!read_counts(r, &c->gate, false))
		return;
	c->gate.kind = KERNEL_GATE_SIGMOID;
	c->gate.normalise = true;
	model_config_text_only(r, "scoring_func", "sigmoid", "sigmoid");
	c->router_bias = model_config_bool_or(r, "use_routing_bias", true);
	c->expert_width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	all_layers(c);
}

/* Logits choose, and weights are the softmax over those chosen. */
void model_config_experts_granite(struct config_reader *r, struct model_config *c)
{
	if (!read_counts(r, &c->gate, false))
		return;
	c->gate.kind = KERNEL_GATE_TOPK;
	c->expert_width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	c->shared_width = model_config_u32_or(r, "shared_intermediate_size", 0, 0, MODEL_WIDTH);
	all_layers(c);
}

/* Layers from one to another, each interval-th. */
void model_config_experts_ernie(struct config_reader *r, struct model_config *c)
{
	struct kernel_gate *g = &c->gate;
	c->all.width = model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	if (!read_counts(r, g, false))
		return;
	g->kind = KERNEL_GATE_SOFTMAX;
	g->normalise = c->router_bias = true;
	g->floor = (float)model_config_number_or(r, "moe_norm_min", 1e-12, 0, 1);
	c->expert_width = model_config_u32(r, "moe_intermediate_size", 1, MODEL_WIDTH);
	uint64_t shared = (uint64_t)model_config_u32_or(r, "moe_num_shared_experts", 2, 0, 1024) *
			  c->expert_width;
	if (shared > MODEL_WIDTH)
		model_config_refuse(r, ERR_UNSUPPORTED, "moe_num_shared_experts", "too wide");
	c->shared_width = (uint32_t)shared;
	uint32_t first = model_config_u32_or(r, "moe_layer_start_index", 1, 0, MODEL_LAYERS);
	uint32_t every = model_config_u32_or(r, "moe_layer_interval", 1, 1, MODEL_LAYERS);
	const json_t *end = model_config_get(r, "moe_layer_end_index");
	uint32_t last = c->layers;
	if (json_integer_value(end) != -1)
		last = model_config_u32_or(r, "moe_layer_end_index", last, 0, MODEL_LAYERS);
	for (uint32_t l = first; r->code == 0 && l < c->layers && l <= last; l++)
		c->layer[l].ffn = (l + 1) % every == 0 ? MODEL_FFN_EXPERTS : MODEL_FFN_DENSE;
}

/* A number, or a list of the same number for each layer. */
static uint32_t number_alike(struct config_reader *r, const struct model_config *c, const char *key,
			     uint32_t fallback, uint32_t max)
{
	const json_t *v = model_config_get(r, key), *one = json_array_get(v, 0);
	if (!json_is_array(v))
		return model_config_u32_or(r, key, fallback, 0, max);
	for (size_t i = 0; i < json_array_size(v); i++) {
		if (!json_equal(json_array_get(v, i), one))
			model_config_refuse(r, ERR_UNSUPPORTED, key,
					    "layers that differ are not available in this version");
	}
	json_int_t n = json_integer_value(one);
	if (json_array_size(v) < c->layers || !json_is_integer(one) || n < 0 || n > max)
		model_config_refuse(r, ERR_INPUT, key, "not a number for each layer");
	return r->code == 0 ? (uint32_t)n : 0;
}

/* One shared expert as wide as the others, in every layer; what other keys say of it the reference
 * does not read, and tensors of another shape are refused. */
void model_config_experts_hunyuan(struct config_reader *r, struct model_config *c)
{
	struct kernel_gate *g = &c->gate;
	g->kind = KERNEL_GATE_SOFTMAX;
	g->normalise = true;
	g->groups = g->groups_kept = 1;
	g->scaling = 1;
	g->experts = number_alike(r, c, "num_experts", 1, KERNEL_EXPERTS);
	g->top_k = number_alike(r, c, "moe_topk", 1, KERNEL_TOP_K);
	c->expert_width = c->shared_width =
		model_config_u32(r, "intermediate_size", 1, MODEL_WIDTH);
	if (r->code == 0 && (g->experts == 0 || g->top_k == 0 || g->top_k > g->experts))
		model_config_refuse(r, ERR_INPUT, "moe_topk",
				    "not from 1 to the number of experts");
	all_layers(c);
}
