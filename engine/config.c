/* config.json and generation_config.json. One reader per architecture family fills the one struct;
 * keys that would change the computation and are not understood are refused by name, never skipped.
 */
#include "engine/config.h"
#include "engine/config_reader.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES MIB(4)
#define WIDTH_MAX (1u << 20) /* of any vector of a model; products of two stay in 64 bits */
#define LAYERS_MAX 1024u
#define VOCAB_MAX (1u << 22)

/* Architectures of the engine's plan that this version does not compute. */
static const char *const later[] = {
	"deepseek_v3", "kimi_k2",  "qwen3_moe", "qwen2_moe", "mixtral", "olmoe",
	"gpt_oss",     "glm4_moe", "llama",     "mistral",   "qwen2",   "qwen3",
};

/* Keys that change the computation of any architecture in a way nobody here computes. */
static const char *const foreign[] = {
	"vision_config",
	"audio_config",
	"text_config",
	"index_topk",
	"attn_logit_softcapping",
	"final_logit_softcapping",
	"sliding_window",
	"layer_types",
	"linear_attn_config",
	"attn_output_gate",
	"partial_rotary_factor",
	"use_qk_norm",
	"clip_qkv",
	"embedding_multiplier",
	"logits_scaling",
	"residual_multiplier",
	"attention_multiplier",
};

static int foreign_refuse(struct config_reader *r)
{
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
		const json_t *v = config_get(r, foreign[i]);
		if (v != NULL && !json_is_null(v) && !json_is_false(v))
			return config_refuse(r, ERR_UNSUPPORTED, foreign[i],
					     "not available in this version");
	}
	return 0;
}

/* ---- shared parts ---- */

static void read_eos(struct config_reader *r, struct model_config *c)
{
	const json_t *v = config_get(r, "eos_token_id");
	if (v == NULL || json_is_null(v))
		return;
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	if (n > sizeof c->eos / sizeof c->eos[0]) {
		config_refuse(r, ERR_UNSUPPORTED, "eos_token_id", "more than 8 ids");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *id = json_is_array(v) ? json_array_get(v, i) : v;
		json_int_t value = json_integer_value(id);
		if (!json_is_integer(id) || value < 0 || value >= VOCAB_MAX) {
			config_refuse(r, ERR_INPUT, "eos_token_id", "not a token id");
			return;
		}
		c->eos[i] = (uint32_t)value;
	}
	c->eos_count = (uint32_t)n;
}

static void read_common(struct config_reader *r, struct model_config *c)
{
	c->hidden = config_u32(r, "hidden_size", 1, WIDTH_MAX);
	c->layers = config_u32(r, "num_hidden_layers", 1, LAYERS_MAX);
	c->vocab = config_u32(r, "vocab_size", 1, VOCAB_MAX);
	c->heads = config_u32(r, "num_attention_heads", 1, 4096);
	c->kv_heads = config_u32_or(r, "num_key_value_heads", c->heads, 1, 4096);
	c->context_max = config_u32(r, "max_position_embeddings", 1, UINT32_MAX);
	if (c->context_max > LIMIT_CONTEXT_TOKENS)
		c->context_max = LIMIT_CONTEXT_TOKENS;
	c->norm_eps = (float)config_number_or(r, "rms_norm_eps", 1e-6, 0, 1);
	c->tied = config_bool_or(r, "tie_word_embeddings", false);
	c->bos = config_u32_or(r, "bos_token_id", UINT32_MAX, 0, VOCAB_MAX);
	read_eos(r, c);
	config_text_only(r, "hidden_act", "silu", "silu");
	if (config_bool_or(r, "mlp_bias", false))
		config_refuse(r, ERR_UNSUPPORTED, "mlp_bias", "not available in this version");
}

static void read_quantisation(struct config_reader *r, struct model_config *c)
{
	const json_t *q = config_get(r, "quantization_config"), *block;
	if (q == NULL || json_is_null(q))
		return;
	struct config_reader in = config_inside(r, "quantization_config", q);
	config_text_only(&in, "quant_method", NULL, "fp8");
	config_text_only(&in, "fmt", "e4m3", "e4m3");
	block = config_get(&in, "weight_block_size");
	bool square = json_array_size(block) == 2;
	for (size_t i = 0; i < 2; i++)
		square = square && json_integer_value(json_array_get(block, i)) == KERNEL_FP8_BLOCK;
	if (!square)
		config_refuse(&in, ERR_UNSUPPORTED, "weight_block_size", "only [128, 128]");
	r->code = in.code;
	c->quantisation = MODEL_QUANT_FP8;
}

/* ---- DeepSeek-V2 ---- */

static void read_mla(struct config_reader *r, struct model_config *c)
{
	const json_t *rank = config_get(r, "q_lora_rank");
	c->attention = MODEL_ATTN_MLA;
	if (rank == NULL) /* the reference class would assume 1536 */
		config_refuse(r, ERR_INPUT, "q_lora_rank", "missing: give a number or null");
	c->q_rank = json_is_null(rank) ? 0 : config_u32(r, "q_lora_rank", 1, WIDTH_MAX);
	c->kv_rank = config_u32(r, "kv_lora_rank", 1, WIDTH_MAX);
	c->nope = config_u32(r, "qk_nope_head_dim", 1, 4096);
	c->rope_head = config_u32(r, "qk_rope_head_dim", 2, 4096);
	c->value = config_u32(r, "v_head_dim", 1, 4096);
	c->bias_qkv = c->bias_o = config_bool_or(r, "attention_bias", false);
	c->rope.size = c->rope_head;
	c->rope.interleaved = config_bool_or(r, "rope_interleave", true);
	config_rope(r, c);
}

/* Groups of experts; E and k are known. */
static void read_groups(struct config_reader *r, struct model_config *c)
{
	struct kernel_gate *g = &c->gate;
	static const char *const methods[] = { "greedy", "group_limited_greedy", NULL };
	const char *method = config_choice(r, "topk_method", "greedy", methods);
	g->groups = g->groups_kept = 1;
	if (strcmp(method, "group_limited_greedy") != 0)
		return;
	g->groups = config_u32_or(r, "n_group", 1, 1, KERNEL_EXPERTS);
	g->groups_kept = config_u32_or(r, "topk_group", 1, 1, KERNEL_EXPERTS);
	if (r->code != 0)
		return;
	if (g->experts % g->groups != 0)
		config_refuse(r, ERR_INPUT, "n_group", "does not divide n_routed_experts");
	else if (g->groups_kept > g->groups)
		config_refuse(r, ERR_INPUT, "topk_group", "more than n_group");
	else if ((uint64_t)g->groups_kept * (g->experts / g->groups) < g->top_k)
		config_refuse(r, ERR_INPUT, "topk_group",
			      "the kept groups hold fewer than num_experts_per_tok experts");
}

static void read_experts(struct config_reader *r, struct model_config *c)
{
	struct kernel_gate *g = &c->gate;
	c->ffn = config_u32(r, "intermediate_size", 1, WIDTH_MAX);
	g->experts = config_u32_or(r, "n_routed_experts", 0, 1, KERNEL_EXPERTS);
	if (g->experts == 0)
		return;
	c->expert_width = config_u32(r, "moe_intermediate_size", 1, WIDTH_MAX);
	uint64_t shared =
		(uint64_t)config_u32_or(r, "n_shared_experts", 0, 0, 1024) * c->expert_width;
	if (shared > WIDTH_MAX)
		config_refuse(r, ERR_UNSUPPORTED, "n_shared_experts", "too wide");
	c->shared_width = (uint32_t)shared;
	g->top_k = config_u32(r, "num_experts_per_tok", 1, KERNEL_TOP_K);
	if (g->top_k > g->experts)
		config_refuse(r, ERR_INPUT, "num_experts_per_tok", "more than n_routed_experts");
	g->kind = KERNEL_GATE_SOFTMAX;
	config_text_only(r, "scoring_func", "softmax", "softmax");
	read_groups(r, c);
	g->normalise = config_bool_or(r, "norm_topk_prob", false);
	g->scaling = (float)config_number_or(r, "routed_scaling_factor", 1, 0, 1e6);
	c->dense_first = config_u32_or(r, "first_k_dense_replace", 0, 0, LAYERS_MAX);
	c->moe_every = config_u32_or(r, "moe_layer_freq", 1, 1, LAYERS_MAX);
}

static void read_deepseek_v2(struct config_reader *r, struct model_config *c)
{
	read_common(r, c);
	read_mla(r, c);
	read_experts(r, c);
	read_quantisation(r, c);
}

/* ---- whole ---- */

static const struct {
	const char *type;
	void (*read)(struct config_reader *, struct model_config *);
} families[] = {
	{ "deepseek_v2", read_deepseek_v2 },
};

static int family_read(struct config_reader *r, struct model_config *c)
{
	const char *type = config_text(r, "model_type");
	TRY(r->code);
	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
		if (strcmp(type, families[i].type) == 0) {
			snprintf(c->model_type, sizeof c->model_type, "%s", type);
			TRY(foreign_refuse(r));
			families[i].read(r, c);
			return r->code;
		}
	}
	for (size_t i = 0; i < sizeof later / sizeof later[0]; i++) {
		if (strcmp(type, later[i]) == 0)
			return err_set(r->e, ERR_UNSUPPORTED,
				       "not available in this version: model_type %s", type);
	}
	return err_set(r->e, ERR_UNSUPPORTED, "config.json: unknown model_type \"%.60s\"", type);
}

static int eos_check(const struct model_config *c, struct err *e)
{
	for (uint32_t i = 0; i < c->eos_count; i++) {
		if (c->eos[i] >= c->vocab)
			return err_set(e, ERR_INPUT,
				       "eos_token_id %u is outside the vocabulary of %u", c->eos[i],
				       c->vocab);
	}
	return 0;
}

static int generation_read(struct model_config *c, const char *text, size_t len, struct err *e)
{
	json_t *root = NULL;
	int r = json_read(&root, text, len, CONFIG_BYTES, LIMIT_JSON_DEPTH, e);
	if (r < 0)
		return err_prefix(e, "generation_config.json");
	struct config_reader in = { .o = root, .file = "generation_config.json", .e = e };
	read_eos(&in, c);
	json_decref(root);
	return in.code;
}

int model_config_parse(struct model_config *c, const char *config, size_t len,
		       const char *generation, size_t generation_len, struct err *e)
{
	json_t *root = NULL;
	*c = (struct model_config){ .digest = digest_of(config, len), .moe_every = 1 };
	int r = json_read(&root, config, len, CONFIG_BYTES, LIMIT_JSON_DEPTH, e);
	if (r < 0)
		return err_prefix(e, "config.json");
	if (!json_is_object(root))
		r = err_set(e, ERR_INPUT, "config.json: not an object");
	struct config_reader in = { .o = root, .file = "config.json", .e = e };
	if (r == 0)
		r = family_read(&in, c);
	json_decref(root);
	if (r == 0 && generation != NULL)
		r = generation_read(c, generation, generation_len, e);
	return r == 0 ? eos_check(c, e) : r;
}

int model_config_read(struct model_config *c, struct source *src, struct err *e)
{
	struct buf config = { 0 }, generation = { 0 };
	uint64_t unused;
	int r = source_read_file(src, "config.json", CONFIG_BYTES, &config, e);
	bool has = source_size(src, "generation_config.json", &unused, NULL) == 0;
	if (r == 0 && has)
		r = source_read_file(src, "generation_config.json", CONFIG_BYTES, &generation, e);
	if (r == 0)
		r = model_config_parse(c, config.bytes, config.len, has ? generation.bytes : NULL,
				       generation.len, e);
	buf_free(&config);
	buf_free(&generation);
	return r;
}

bool model_layer_is_moe(const struct model_config *c, uint32_t layer)
{
	return c->gate.experts > 0 && layer >= c->dense_first && layer % c->moe_every == 0;
}

uint32_t model_moe_layers(const struct model_config *c)
{
	uint32_t n = 0;
	for (uint32_t l = 0; l < c->layers; l++)
		n += model_layer_is_moe(c, l);
	return n;
}
