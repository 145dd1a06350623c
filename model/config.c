/* config.json and generation_config.json. One reader per architecture family fills the one struct;
 * keys that would change the computation and are not understood are refused by name. */
#include "model/config.h"
#include "model/config_reader.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES MIB(4)
#define VOCAB_MAX (1u << 22)

/* Architectures that are known and deliberately not implemented. */
static const char *const outside[] = {
	"deepseek_v32", "deepseek_v4", "kimi_linear", "kimi_k25",
	"qwen3_next",   "qwen3_5",     "glm4",        "glm_moe_dsa",
};

/* Keys that would change the computation of any architecture and are not implemented. They are
 * refused unless null, false, or the number that has no effect (0: there is no such number). */
static const struct {
	const char *key;
	double neutral;
} foreign[] = {
	{ "vision_config", 0 },
	{ "audio_config", 0 },
	{ "text_config", 0 },
	{ "index_topk", 0 },
	{ "attn_logit_softcapping", 0 },
	{ "final_logit_softcapping", 0 },
	{ "sliding_window", 0 },
	{ "linear_attn_config", 0 },
	{ "attn_output_gate", 0 },
	{ "partial_rotary_factor", 1 },
	{ "use_qk_norm", 0 },
	{ "clip_qkv", 0 },
	{ "embedding_multiplier", 1 },
	{ "logits_scaling", 1 },
	{ "residual_multiplier", 1 },
	{ "attention_multiplier", 0 },
	{ "mlp_bias", 0 },
};

static bool owns(const struct config_family *f, const char *key)
{
	for (size_t i = 0; i < sizeof f->own / sizeof f->own[0] && f->own[i] != NULL; i++) {
		if (strcmp(f->own[i], key) == 0)
			return true;
	}
	return false;
}

static bool harmless(const json_t *v, double neutral)
{
	double x = json_number_value(v);
	return v == NULL || json_is_null(v) || json_is_false(v) ||
	       (neutral > 0 && x <= neutral && x >= neutral);
}

static int foreign_refuse(struct config_reader *r, const struct config_family *f)
{
	for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
		const char *key = foreign[i].key;
		if (!harmless(model_config_get(r, key), foreign[i].neutral) && !owns(f, key))
			return model_config_refuse(r, ERR_UNSUPPORTED, key,
						   "not available in this version");
	}
	return 0;
}

/* ---- shared parts ---- */

static void read_eos(struct config_reader *r, struct model_config *c)
{
	const json_t *v = model_config_get(r, "eos_token_id");
	if (v == NULL || json_is_null(v))
		return;
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	if (n > sizeof c->eos / sizeof c->eos[0]) {
		model_config_refuse(r, ERR_UNSUPPORTED, "eos_token_id", "more than 8 ids");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const json_t *id = json_is_array(v) ? json_array_get(v, i) : v;
		json_int_t value = json_integer_value(id);
		if (!json_is_integer(id) || value < 0 || value >= VOCAB_MAX) {
			model_config_refuse(r, ERR_INPUT, "eos_token_id", "not a token id");
			return;
		}
		c->eos[i] = (uint32_t)value;
	}
	c->eos_count = (uint32_t)n;
}

static void read_common(struct config_reader *r, const struct config_family *f,
			struct model_config *c)
{
	c->hidden = model_config_u32(r, "hidden_size", 1, MODEL_WIDTH);
	c->layers = model_config_u32(r, "num_hidden_layers", 1, MODEL_LAYERS);
	c->vocab = model_config_u32(r, "vocab_size", 1, VOCAB_MAX);
	c->heads = model_config_u32(r, "num_attention_heads", 1, 4096);
	c->kv_heads = model_config_u32_or(r, "num_key_value_heads", c->heads, 1, 4096);
	c->context_max = model_config_u32(r, "max_position_embeddings", 1, UINT32_MAX);
	if (c->context_max > LIMIT_CONTEXT_TOKENS)
		c->context_max = LIMIT_CONTEXT_TOKENS;
	c->norm_eps = (float)model_config_number_or(r, "rms_norm_eps", f->norm_eps, 0, 1);
	c->tied = model_config_bool_or(r, "tie_word_embeddings", false);
	c->bos = model_config_u32_or(r, "bos_token_id", UINT32_MAX, 0, VOCAB_MAX);
	read_eos(r, c);
	model_config_text_only(r, "hidden_act", "silu", "silu");
}

/* Only the fused experts of gpt_oss come as MXFP4. */
static void read_quantisation(struct config_reader *r, struct model_config *c)
{
	const json_t *q = model_config_get(r, "quantization_config"), *block;
	bool fused = c->experts == MODEL_EXPERTS_FUSED, square;
	if (q == NULL || json_is_null(q))
		return;
	struct config_reader in = model_config_inside(r, "quantization_config", q);
	model_config_text_only(&in, "quant_method", NULL, fused ? "mxfp4" : "fp8");
	r->code = in.code;
	c->quantisation = fused ? MODEL_QUANT_MXFP4 : MODEL_QUANT_FP8;
	if (fused)
		return;
	model_config_text_only(&in, "fmt", "e4m3", "e4m3");
	block = model_config_get(&in, "weight_block_size");
	square = json_array_size(block) == 2;
	for (size_t i = 0; i < 2; i++)
		square = square && json_integer_value(json_array_get(block, i)) == KERNEL_FP8_BLOCK;
	if (!square)
		model_config_refuse(&in, ERR_UNSUPPORTED, "weight_block_size", "only [128, 128]");
	r->code = in.code;
}

/* A layer of every kind must be one of the two that exist here. Where the architecture's own code
 * follows the list, it says which layers attend a window, if there is one; elsewhere it must agree
 * with the other keys. */
static void read_layer_types(struct config_reader *r, struct model_config *c)
{
	static const char *const key = "layer_types";
	const json_t *list = model_config_get(r, key);
	if (list == NULL || json_is_null(list))
		return;
	if (json_array_size(list) != c->layers) {
		model_config_refuse(r, json_is_array(list) ? ERR_UNSUPPORTED : ERR_INPUT, key,
				    "not one kind for each layer");
		return;
	}
	for (uint32_t i = 0; i < c->layers; i++) {
		const char *kind = json_string_value(json_array_get(list, i));
		bool window = kind != NULL && strcmp(kind, "sliding_attention") == 0;
		if (!window && (kind == NULL || strcmp(kind, "full_attention") != 0))
			model_config_refuse(r, ERR_UNSUPPORTED, key,
					    "not available in this version");
		else if (c->window_listed && c->window > 0)
			c->window_layer[i] = window;
		else if (window != c->window_layer[i])
			model_config_refuse(r, ERR_UNSUPPORTED, key,
					    "disagrees with sliding_window");
	}
}

/* ---- whole ---- */

static int family_read(struct config_reader *r, struct model_config *c)
{
	const char *type = model_config_text(r, "model_type");
	TRY(r->code);
	const struct config_family *f = model_config_family(type);
	for (size_t i = 0; f == NULL && i < sizeof outside / sizeof outside[0]; i++) {
		if (strcmp(type, outside[i]) == 0)
			return err_set(r->e, ERR_UNSUPPORTED,
				       "config.json: not available in this version: model_type %s",
				       type);
	}
	if (f == NULL)
		return err_set(r->e, ERR_UNSUPPORTED, "config.json: unknown model_type \"%.60s\"",
			       type);
	snprintf(c->model_type, sizeof c->model_type, "%s", type);
	TRY(foreign_refuse(r, f));
	read_common(r, f, c);
	TRY(r->code);
	f->read(r, c);
	TRY(r->code);
	read_layer_types(r, c);
	read_quantisation(r, c);
	return r->code;
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
	int r = json_read_as(&root, text, len, CONFIG_BYTES, LIMIT_JSON_DEPTH, JSON_PYTHON, e);
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
	*c = (struct model_config){ .digest = digest_of(config, len) };
	int r = json_read_as(&root, config, len, CONFIG_BYTES, LIMIT_JSON_DEPTH, JSON_PYTHON, e);
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
	if (source_size(src, "config.json", &unused, NULL) < 0 &&
	    source_size(src, "adapter_config.json", &unused, NULL) == 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "adapter_config.json without config.json: not available in this "
			       "version: an adapter without its base model; merge them first");
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
	return c->gate.experts > 0 && layer < MODEL_LAYERS && c->moe_layer[layer];
}

uint32_t model_layer_window(const struct model_config *c, uint32_t layer)
{
	return layer < MODEL_LAYERS && c->window_layer[layer] ? c->window : 0;
}

uint32_t model_moe_layers(const struct model_config *c)
{
	uint32_t n = 0;
	for (uint32_t l = 0; l < c->layers; l++)
		n += model_layer_is_moe(c, l);
	return n;
}
