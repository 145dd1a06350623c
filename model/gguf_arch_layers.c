/* Architectures of GGUF files, continued: those whose layers differ in more than their network,
 * whose norms have biases, or whose attention leaves positions out.
 *
 * Source: as of gguf_arch.c. */
#include "model/gguf_in.h"

#include <math.h>
#include <string.h>

#define ATTN "self_attn."

/* clang-format off */
/* Gains as they are: there is no plus one. */
static const struct gguf_name gemma4[] = {
	{ "per_layer_token_embd.weight", "model.embed_tokens_per_layer.weight", 0, true },
	{ "per_layer_model_proj.weight", "model.per_layer_model_projection.weight", 0, true },
	{ "per_layer_proj_norm.weight", "model.per_layer_projection_norm.weight", 0, true },
	{ "post_attention_norm.weight", "post_attention_layernorm.weight", 0, false },
	{ "ffn_norm.weight", "pre_feedforward_layernorm.weight", 0, false },
	{ "post_ffw_norm.weight", "post_feedforward_layernorm.weight", 0, false },
	{ "post_ffw_norm_1.weight", "post_feedforward_layernorm_1.weight", 0, false },
	{ "pre_ffw_norm_2.weight", "pre_feedforward_layernorm_2.weight", 0, false },
	{ "post_ffw_norm_2.weight", "post_feedforward_layernorm_2.weight", 0, false },
	{ "layer_output_scale.weight", "layer_scalar", 0, false },
	{ "inp_gate.weight", "per_layer_input_gate.weight", 0, false },
	{ "proj.weight", "per_layer_projection.weight", 0, false },
	{ "post_norm.weight", "post_per_layer_input_norm.weight", 0, false },
	{ "ffn_gate_inp.weight", "router.proj.weight", 0, false },
	{ "ffn_gate_inp.scale", "router.scale", 0, false },
	{ "ffn_down_exps.scale", "router.per_expert_scale", 0, false },
	{ "ffn_gate_up_exps.weight", "experts.gate_up_proj", 0, false },
	{ "ffn_down_exps.weight", "experts.down_proj", 0, false },
	{ NULL, NULL, 0, false },
};
/* Rows of q and k lie in pairs in the folder too; experts are transposed there. */
static const struct gguf_name llama4[] = {
	{ "ffn_gate_inp.weight", "feed_forward.router.weight", 0, false },
	{ "ffn_gate.weight", "feed_forward.gate_proj.weight", 0, false },
	{ "ffn_up.weight", "feed_forward.up_proj.weight", 0, false },
	{ "ffn_down.weight", "feed_forward.down_proj.weight", 0, false },
	{ "ffn_gate_shexp.weight", "feed_forward.shared_expert.gate_proj.weight", 0, false },
	{ "ffn_up_shexp.weight", "feed_forward.shared_expert.up_proj.weight", 0, false },
	{ "ffn_down_shexp.weight", "feed_forward.shared_expert.down_proj.weight", 0, false },
	{ NULL, NULL, 0, false },
};
/* Gains have their plus one. */
static const struct gguf_name nemotron[] = {
	{ "output_norm.weight", "model.norm.weight", GGUF_COMPLETE, true },
	{ "output_norm.bias", "model.norm.bias", 0, true },
	{ "attn_norm.weight", "input_layernorm.weight", GGUF_COMPLETE, false },
	{ "attn_norm.bias", "input_layernorm.bias", 0, false },
	{ "ffn_norm.weight", "post_attention_layernorm.weight", GGUF_COMPLETE, false },
	{ "ffn_norm.bias", "post_attention_layernorm.bias", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name gptneox[] = {
	{ "token_embd.weight", "gpt_neox.embed_in.weight", 0, true },
	{ "output.weight", "embed_out.weight", 0, true },
	{ "output_norm.weight", "gpt_neox.final_layer_norm.weight", 0, true },
	{ "output_norm.bias", "gpt_neox.final_layer_norm.bias", 0, true },
	{ "attn_norm.bias", "input_layernorm.bias", 0, false },
	{ "ffn_norm.bias", "post_attention_layernorm.bias", 0, false },
	{ "attn_qkv.weight", "attention.q_k_v.weight", 0, false },
	{ "attn_qkv.bias", "attention.q_k_v.bias", 0, false },
	{ "attn_output.weight", "attention.dense.weight", 0, false },
	{ "attn_output.bias", "attention.dense.bias", 0, false },
	{ "ffn_up.weight", "mlp.dense_h_to_4h.weight", 0, false },
	{ "ffn_up.bias", "mlp.dense_h_to_4h.bias", 0, false },
	{ "ffn_down.weight", "mlp.dense_4h_to_h.weight", 0, false },
	{ "ffn_down.bias", "mlp.dense_4h_to_h.bias", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name hunyuan_moe[] = {
	{ "attn_q_norm.weight", ATTN "query_layernorm.weight", 0, false },
	{ "attn_k_norm.weight", ATTN "key_layernorm.weight", 0, false },
	{ "ffn_gate_inp.weight", "mlp.gate.wg.weight", 0, false },
	{ "ffn_gate_shexp.weight", "mlp.shared_mlp.gate_proj.weight", 0, false },
	{ "ffn_up_shexp.weight", "mlp.shared_mlp.up_proj.weight", 0, false },
	{ "ffn_down_shexp.weight", "mlp.shared_mlp.down_proj.weight", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name indexed[] = {
	{ "indexer.attn_q_b.weight", ATTN "indexer.wq_b.weight", 0, false },
	{ "indexer.attn_k.weight", ATTN "indexer.wk.weight", 0, false },
	{ "indexer.k_norm.weight", ATTN "indexer.k_norm.weight", 0, false },
	{ "indexer.k_norm.bias", ATTN "indexer.k_norm.bias", 0, false },
	{ "indexer.proj.weight", ATTN "indexer.weights_proj.weight", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_name apertus[] = {
	{ "attn_norm.weight", "attention_layernorm.weight", 0, false },
	{ "ffn_norm.weight", "feedforward_layernorm.weight", 0, false },
	{ NULL, NULL, 0, false },
};
static const struct gguf_listed xielu[] = {
	{ "xielu.alpha_p", "mlp.act_fn.alpha_p" },
	{ "xielu.alpha_n", "mlp.act_fn.alpha_n" },
	{ "xielu.beta", "mlp.act_fn.beta" },
	{ "xielu.eps", "mlp.act_fn.eps" },
	{ NULL, NULL },
};
static const struct gguf_name kimi_linear[] = {
	{ "ssm_conv1d_q.weight", ATTN "q_conv1d.weight", GGUF_TAPS, false },
	{ "ssm_conv1d_k.weight", ATTN "k_conv1d.weight", GGUF_TAPS, false },
	{ "ssm_conv1d_v.weight", ATTN "v_conv1d.weight", GGUF_TAPS, false },
	{ "ssm_f_a.weight", ATTN "f_a_proj.weight", 0, false },
	{ "ssm_f_b.weight", ATTN "f_b_proj.weight", 0, false },
	{ "ssm_g_a.weight", ATTN "g_a_proj.weight", 0, false },
	{ "ssm_g_b.weight", ATTN "g_b_proj.weight", 0, false },
	{ "ssm_beta.weight", ATTN "b_proj.weight", 0, false },
	{ "ssm_a", ATTN "A_log", GGUF_DECAY, false },
	{ "ssm_dt.bias", ATTN "dt_bias", 0, false },
	{ "ssm_norm.weight", ATTN "o_norm.weight", 0, false },
	{ NULL, NULL, 0, false },
};
/* clang-format on */

static void stop(struct gguf_maker *c, const char *key, const char *why)
{
	if (c->code == 0)
		c->code = err_set(c->e, ERR_INPUT, "%s: %s.%s %s", c->m->file, c->m->arch->name,
				  key, why);
}

/* What a key says of a layer, by a number for all or a list; 0 where it says nothing. */
static uint32_t of_layer(struct gguf_maker *c, const char *key, uint32_t layer)
{
	const json_t *said = model_gguf_meta(c->m, key);
	const json_t *v = json_is_array(said) ? json_array_get(said, layer) : said;
	json_int_t n = json_integer_value(v);
	if (said && (!json_is_integer(v) || n < 0 || n > UINT32_MAX))
		stop(c, key, "is no number from 0 to 2^32 for each layer");
	return (uint32_t)n;
}

/* ---- gemma4 ---- */

#define WINDOWED "attention.sliding_window_pattern"
#define KV "attention.head_count_kv"
#define WIDTH "feed_forward_length"

static bool is_windowed(struct gguf_maker *c, uint32_t layer)
{
	const json_t *v = json_array_get(model_gguf_meta(c->m, WINDOWED), layer);
	if (!json_is_boolean(v))
		stop(c, WINDOWED, "is no list of true and false for each layer");
	return json_is_true(v);
}

/* Layers by their kind: the number of keys' heads, which must be the same for all of a kind, and
 * whether values are keys, which is said by their absence. */
static void gemma4_kinds(struct gguf_maker *c, uint32_t owners)
{
	json_t *types = json_array();
	uint32_t kv[2] = { 0, 0 };
	bool same = false;
	for (uint32_t i = 0; c->code == 0 && i < c->m->layers; i++) {
		char name[60];
		bool full = !is_windowed(c, i);
		uint32_t heads = of_layer(c, KV, i);
		snprintf(name, sizeof name, "blk.%u.attn_v.weight", i);
		same = same || (full && i < owners && !model_gguf_has(c, name));
		if (kv[full] > 0 && heads != kv[full])
			stop(c, KV, "differs among layers of one kind");
		kv[full] = heads;
		json_array_append_new(types,
				      json_string(full ? "full_attention" : "sliding_attention"));
	}
	model_gguf_set(c, "layer_types", types);
	model_gguf_set(c, "attention_k_eq_v", json_boolean(same));
	model_gguf_set(c, "num_key_value_heads", json_integer(kv[0] > 0 ? kv[0] : kv[1]));
	model_gguf_set(c, "num_global_key_value_heads", json_integer(kv[1] > 0 ? kv[1] : kv[0]));
}

/* Layers that attend another one's keys may have a network of twice the width. */
static void gemma4_widths(struct gguf_maker *c, uint32_t shared)
{
	uint32_t first = of_layer(c, WIDTH, 0);
	uint32_t last = shared > 0 ? of_layer(c, WIDTH, c->m->layers - 1) : first;
	for (uint32_t i = 0; c->code == 0 && i < c->m->layers; i++)
		if (of_layer(c, WIDTH, i) != (i + shared < c->m->layers ? first : last))
			stop(c, WIDTH, "differs otherwise than for layers that share keys");
	if (last != first && last != (uint64_t)2 * first)
		stop(c, WIDTH, "differs by another factor than two");
	model_gguf_set(c, "num_kv_shared_layers", json_integer(shared));
	model_gguf_set(c, "use_double_wide_mlp", json_boolean(last != first));
}

/* Of layers without a window the first pairs turn; the factors of the others are beyond all
 * bounds. */
static double turned_share(struct gguf_maker *c)
{
	json_t *f = model_gguf_factors(c, "rope_freqs.weight");
	size_t pairs = json_array_size(f), turned = 0;
	while (turned < pairs && fabs(json_number_value(json_array_get(f, turned)) - 1) < 1e-6)
		turned++;
	for (size_t i = turned; c->code == 0 && i < pairs; i++)
		if (json_number_value(json_array_get(f, i)) < 1e20)
			c->code = err_set(c->e, ERR_UNSUPPORTED,
					  "%s: tensor rope_freqs.weight: factors other than 1 and "
					  "1e30: not available in this version",
					  c->m->file);
	json_decref(f);
	if (c->code == 0 && 2 * pairs != model_gguf_head(c))
		c->code = err_set(c->e, ERR_INPUT,
				  "%s: tensor rope_freqs.weight is not of half a head of %u",
				  c->m->file, model_gguf_head(c));
	return pairs > 0 ? (double)turned / (double)pairs : 1;
}

static void own_gemma4(struct gguf_maker *c)
{
	uint32_t near = model_gguf_ask(c, "attention.key_length_swa", 0);
	uint32_t shared = model_gguf_ask(c, "attention.shared_kv_layers", 0);
	const json_t *theta = model_gguf_meta(c->m, "rope.freq_base"),
		     *theta_near = model_gguf_meta(c->m, "rope.freq_base_swa");
	if (shared >= c->m->layers)
		stop(c, "attention.shared_kv_layers", "leaves no layer with keys of its own");
	if (c->code < 0)
		return;
	gemma4_kinds(c, c->m->layers - shared);
	gemma4_widths(c, shared);
	model_gguf_copy(c, "attention.key_length", "global_head_dim");
	model_gguf_set(c, "head_dim", json_integer(near));
	if (model_gguf_ask(c, "rope.dimension_count_swa", near) != near)
		stop(c, "rope.dimension_count_swa", "is not attention.key_length_swa");
	model_gguf_set(c, "hidden_size_per_layer_input",
		       json_integer(model_gguf_ask(c, "embedding_length_per_layer_input", 0)));
	if (json_object_get(c->o, "vocab_size"))
		model_gguf_set(c, "vocab_size_per_layer_input",
			       json_incref(json_object_get(c->o, "vocab_size")));
	model_gguf_copy(c, "expert_used_count", "top_k_experts");
	model_gguf_set(c, "enable_moe_block",
		       json_boolean(model_gguf_ask(c, "expert_count", 0) > 0));
	json_object_del(c->o, "rope_theta");
	model_gguf_set(c, "rope_parameters",
		       json_pack("{s:{s:s,s:f,s:f},s:{s:s,s:f}}", "full_attention", "rope_type",
				 "proportional", "partial_rotary_factor", turned_share(c),
				 "rope_theta", theta ? json_number_value(theta) : 1e6,
				 "sliding_attention", "rope_type", "default", "rope_theta",
				 theta_near ? json_number_value(theta_near) : 1e4));
}

/* ---- the others ---- */

/* What the file does not say is the released models': llama.cpp has it in its code too. */
static void own_llama4(struct gguf_maker *c)
{
	uint32_t experts = model_gguf_ask(c, "expert_count", 0);
	const json_t *window = model_gguf_meta(c->m, "attention.sliding_window");
	if (experts == 0)
		model_gguf_refuse(c, "expert_count", "only with experts in this version");
	if (window && (!json_is_integer(window) || json_integer_value(window) == 0))
		model_gguf_refuse(c, "attention.sliding_window",
				  "only with chunks in this version");
	if (model_gguf_meta(c->m, WINDOWED))
		model_gguf_refuse(c, WINDOWED, "not available in this version");
	model_gguf_copy(c, "feed_forward_length", "intermediate_size_mlp");
	model_gguf_copy(c, "expert_feed_forward_length", "intermediate_size");
	model_gguf_copy(c, "interleave_moe_layer_step", "interleave_moe_layer_step");
	model_gguf_set(c, "use_qk_norm", json_boolean(experts != 128));
}

static void own_mistral3(struct gguf_maker *c)
{
	model_gguf_window(c);
	if (model_gguf_meta(c->m, "attention.temperature_scale") &&
	    !model_gguf_meta(c->m, "rope.scaling.original_context_length"))
		stop(c, "rope.scaling.original_context_length", "is missing");
	if (model_gguf_ask(c, "expert_count", 0) > 0)
		model_gguf_refuse(c, "expert_count", "not available in this version");
}

/* Conversion writes a share of hidden_size / heads, be a head so wide or not. Of all releases it is
 * a half. */
static void own_nemotron(struct gguf_maker *c)
{
	uint32_t hidden = model_gguf_ask(c, "embedding_length", 0), heads = c->m->heads;
	uint32_t turned = model_gguf_ask(c, "rope.dimension_count", 0);
	model_gguf_biases(c);
	model_gguf_copy(c, "attention.layer_norm_epsilon", "norm_eps");
	model_gguf_set(c, "mlp_bias", json_boolean(model_gguf_has(c, "blk.0.ffn_up.bias")));
	if (heads > 0 && turned == hidden / 2 / heads)
		model_gguf_set(c, "partial_rotary_factor", json_real(0.5));
	else if (heads > 0 && model_gguf_head(c) * (uint64_t)heads == hidden)
		model_gguf_share(c, "partial_rotary_factor");
	else
		model_gguf_refuse(c, "rope.dimension_count",
				  "the share of a head that turns was lost in conversion");
}

static void own_gptneox(struct gguf_maker *c)
{
	model_gguf_set(c, "attention_bias", json_boolean(model_gguf_has(c, "blk.0.attn_qkv.bias")));
	model_gguf_copy(c, "attention.layer_norm_epsilon", "layer_norm_eps");
	model_gguf_copy(c, "use_parallel_residual", "use_parallel_residual");
	model_gguf_copy(c, "rope.freq_base", "rotary_emb_base");
	json_object_del(c->o, "rope_theta");
	model_gguf_share(c, "rotary_pct");
}

/* The base of the rotation was multiplied by a power of alpha, in the only way there is: by itself
 * it would be off by the rounding of the file's number. */
static void own_hunyuan_moe(struct gguf_maker *c)
{
	double head = model_gguf_head(c), scaled = 1e4 * pow(1000, head / (head - 2));
	const json_t *theta = model_gguf_meta(c->m, "rope.freq_base");
	model_gguf_biases(c);
	model_gguf_copy(c, "expert_used_count", "moe_topk");
	model_gguf_copy(c, "expert_shared_count", "num_shared_expert");
	if (model_gguf_ask(c, "expert_shared_count", 1) != 1)
		model_gguf_refuse(c, "expert_shared_count", "only 1 in this version");
	uint32_t width = model_gguf_ask(c, "feed_forward_length", 0);
	if (model_gguf_ask(c, "expert_shared_feed_forward_length", width) != width)
		model_gguf_refuse(c, "expert_shared_feed_forward_length",
				  "only as feed_forward_length in this version");
	if (head > 2 && fabs(json_number_value(theta) - scaled) <= 1e-6 * scaled) {
		model_gguf_set(c, "rope_theta", json_real(1e4));
		model_gguf_set(c, "rope_scaling",
			       json_pack("{s:s,s:f,s:f}", "rope_type", "dynamic", "alpha", 1000.0,
					 "factor", 1.0));
	}
}

/* Which layers choose positions by themselves: by a list; without one all of them, but of those for
 * texts of a million tokens the pattern of the one release. */
static void own_indexed(struct gguf_maker *c)
{
	static const char *const key = "attention.indexer.types";
	const json_t *list = model_gguf_meta(c->m, key);
	json_t *types = json_array();
	bool sparse = strcmp(c->m->arch->type, "glm_moe_dsa") == 0 &&
		      model_gguf_ask(c, "context_length", 0) >= 1u << 20;
	model_gguf_latent(c);
	model_gguf_copy(c, "attention.indexer.head_count", "index_n_heads");
	model_gguf_copy(c, "attention.indexer.key_length", "index_head_dim");
	model_gguf_copy(c, "attention.indexer.top_k", "index_topk");
	for (uint32_t i = 0; i < c->m->layers; i++) {
		const json_t *v = json_array_get(list, i);
		bool own = list ? json_is_true(v) || json_integer_value(v) == 1
				: !sparse || i < 2 || i % 4 == 2;
		if (list && !json_is_boolean(v) && !json_is_integer(v))
			stop(c, key, "is no list of true and false for each layer");
		json_array_append_new(types, json_string(own ? "full" : "shared"));
	}
	if (strcmp(c->m->arch->type, "glm_moe_dsa") == 0)
		model_gguf_set(c, "indexer_types", types);
	else
		json_decref(types);
}

/* The class assumes llama3's scaling: a file without factors has none. */
static void own_apertus(struct gguf_maker *c)
{
	model_gguf_biases(c);
	if (!json_object_get(c->o, "rope_scaling"))
		model_gguf_set(c, "rope_scaling", json_pack("{s:s}", "rope_type", "default"));
}

/* Layers of the delta rule have no heads of keys. */
static void own_kimi_linear(struct gguf_maker *c)
{
	uint32_t rope = model_gguf_ask(c, "rope.dimension_count", 0), heads = 0;
	uint32_t key = model_gguf_ask(c, "attention.key_length_mla", 0);
	json_t *full = json_array(), *delta = json_array();
	for (uint32_t i = 0; c->code == 0 && i < c->m->layers; i++) {
		char name[60];
		bool attends = of_layer(c, KV, i) > 0;
		snprintf(name, sizeof name, "blk.%u.ssm_beta.weight", i);
		const struct model_tensor *beta = model_gguf_find(c->m, name);
		if (!attends && beta && beta->rank == 2 && beta->shape[0] <= UINT32_MAX)
			heads = (uint32_t)beta->shape[0];
		json_array_append_new(attends ? full : delta, json_integer(i + 1));
	}
	model_gguf_set(c, "linear_attn_config",
		       json_pack("{s:I,s:I,s:I,s:o,s:o}", "num_heads", (json_int_t)heads, "head_dim",
				 (json_int_t)model_gguf_ask(c, "kda.head_dim", 0),
				 "short_conv_kernel_size",
				 (json_int_t)model_gguf_ask(c, "ssm.conv_kernel", 0),
				 "full_attn_layers", full, "kda_layers", delta));
	model_gguf_set(c, "qk_rope_head_dim", json_integer(rope));
	model_gguf_set(c, "qk_nope_head_dim", json_integer(key > rope ? key - rope : 0));
	model_gguf_copy(c, "attention.value_length_mla", "v_head_dim");
	model_gguf_set(c, "num_key_value_heads", json_integer(c->m->heads));
	if (model_gguf_ask(c, "expert_gating_func", 2) != 2)
		model_gguf_refuse(c, "expert_gating_func", "only 2, sigmoid, in this version");
}

#define LLAMA4_FIXED                                                                 \
	"{\"attn_temperature_tuning\":true,\"attn_scale\":0.1,\"floor_scale\":8192," \
	"\"no_rope_layer_interval\":4,\"attention_chunk_size\":8192}"

const struct gguf_arch model_gguf_layered[] = {
	{ "gemma4", "gemma4_text", "num_experts", NULL, gemma4, .own = own_gemma4,
	  .by_layer = true },
	{ "llama4", "llama4_text", "num_local_experts", LLAMA4_FIXED, llama4, .own = own_llama4 },
	{ "mistral3", "mistral", NULL, NULL, model_gguf_turned, .own = own_mistral3 },
	{ "mistral3", "ministral3", NULL, NULL, model_gguf_turned, .own = own_mistral3 },
	{ "nemotron", "nemotron", NULL, NULL, nemotron, .own = own_nemotron },
	{ "gptneox", "gpt_neox", NULL, NULL, gptneox, .own = own_gptneox, .base = "gpt_neox." },
	{ "hunyuan-moe", "hunyuan_v1_moe", "num_experts", NULL, hunyuan_moe,
	  .own = own_hunyuan_moe },
	{ "deepseek32", "deepseek_v32", "n_routed_experts", NULL, indexed, .own = own_indexed },
	{ "glm-dsa", "glm_moe_dsa", "n_routed_experts", NULL, indexed, .own = own_indexed },
	{ "apertus", "apertus", NULL, NULL, apertus, .own = own_apertus, .listed = xielu },
	{ "kimi-linear", "kimi_linear", "num_experts", NULL, kimi_linear, .own = own_kimi_linear,
	  .by_layer = true },
	{ .name = NULL },
};
