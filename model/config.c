/* config.json and generation_config.json. One reader per architecture family fills the one struct;
 * keys that would change the computation and are not understood are refused by name. */
#include "model/config.h"
#include "model/family.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_BYTES MIB(4)
#define VOCAB_MAX (1u << 22)

/* Architectures that are known and not available. */
static const char *const outside[] = {
	"deepseek_v4",
	"kimi_k25",
};

/* ---- shared parts ---- */

/* Ids that cannot be drawn, such as the -1 that stands for none, end nothing. */
static void read_eos(struct config_reader *r, struct model_config *c)
{
	const json_t *v = model_config_get(r, "eos_token_id");
	if (v == NULL || json_is_null(v))
		return;
	size_t n = json_is_array(v) ? json_array_size(v) : 1, kept = 0;
	for (size_t i = 0; i < n; i++) {
		const json_t *id = json_is_array(v) ? json_array_get(v, i) : v;
		json_int_t value = json_integer_value(id);
		if (!json_is_integer(id)) {
			model_config_refuse(r, ERR_INPUT, "eos_token_id", "not a token id");
			return;
		}
		if (value >= (json_int_t)c->vocab)
			model_config_note(r,
					  "%s: eos_token_id %lld is outside the vocabulary of %u",
					  r->file, (long long)value, c->vocab);
		if (value < 0 || value >= (json_int_t)c->vocab)
			continue;
		if (kept == sizeof c->eos / sizeof c->eos[0]) {
			model_config_refuse(r, ERR_UNSUPPORTED, "eos_token_id", "more than 8 ids");
			return;
		}
		c->eos[kept++] = (uint32_t)value;
	}
	c->eos_count = (uint32_t)kept;
	c->eos_assumed = false;
}

/* The reference class's, where it has one and no file names another. */
static void assume_eos(struct config_reader *r, struct model_config *c)
{
	if (model_config_get(r, "eos_token_id") != NULL)
		return;
	uint32_t id = model_config_u32_or(r, "eos_token_id", UINT32_MAX, 0, UINT32_MAX);
	c->eos_assumed = id < c->vocab;
	c->eos_count = c->eos_assumed;
	c->eos[0] = c->eos_assumed ? id : 0;
}

static uint32_t read_bos(struct config_reader *r)
{
	json_int_t id = json_integer_value(model_config_get(r, "bos_token_id"));
	return id < 0 ? UINT32_MAX
		      : model_config_u32_or(r, "bos_token_id", UINT32_MAX, 0, VOCAB_MAX);
}

static void read_common(struct config_reader *r, struct model_config *c)
{
	const struct config_family *f = r->family;
	c->hidden = model_config_u32(r, "hidden_size", 1, MODEL_WIDTH);
	c->layers = model_config_u32(r, "num_hidden_layers", 1, MODEL_LAYERS);
	c->vocab = model_config_u32(r, "vocab_size", 1, VOCAB_MAX);
	c->all.heads = model_config_u32(r, "num_attention_heads", 1, 4096);
	c->all.kv_heads = model_config_u32_or(r, "num_key_value_heads", c->all.heads, 1, 4096);
	c->context_max = model_config_u32(r, "max_position_embeddings", 1, UINT32_MAX);
	if (c->context_max > LIMIT_CONTEXT_TOKENS)
		c->context_max = LIMIT_CONTEXT_TOKENS;
	const char *epsilon = f->epsilon != NULL ? f->epsilon : "rms_norm_eps";
	c->norm_eps = (float)model_config_number_or(r, epsilon, 1e-6, 0, 1);
	c->tied = model_config_bool_or(r, "tie_word_embeddings", false);
	c->bos = read_bos(r);
	assume_eos(r, c);
	read_eos(r, c);
	model_config_activation(r, c);
}

/* A layer of every kind must be one of the two that exist here ("attention" is an older word).
 * Where the architecture's own code follows the list, it says which layers attend a window, if
 * there is one; elsewhere the other keys alone decide. */
static void read_layer_types(struct config_reader *r, struct model_config *c)
{
	static const char *const key = "layer_types";
	static const char *const kinds[] = { "full_attention", "attention", "sliding_attention",
					     NULL };
	uint8_t kind[MODEL_LAYERS];
	bool differs = false;
	if (r->typed || !model_config_layer_types(r, c, kinds, kind))
		return;
	for (uint32_t i = 0; i < c->layers; i++) {
		bool window = kind[i] == 2;
		if (c->window_listed && c->all.window > 0)
			c->layer[i].window = window ? c->all.window : 0;
		else if (window != (c->layer[i].window > 0) && c->window_listed)
			model_config_refuse(r, ERR_UNSUPPORTED, key,
					    "disagrees with sliding_window");
		differs = differs || window != (c->layer[i].window > 0);
	}
	if (differs)
		model_config_note(r,
				  "%s: %s is without effect in %s, whose layers follow "
				  "sliding_window alone",
				  r->file, key, c->model_type);
}

/* What the file says of the program that should run it. */
static void note_origin(struct config_reader *r, const struct model_config *c)
{
	const json_t *list = model_config_get(r, "architectures");
	const char *name = json_string_value(json_array_get(list, 0));
	if (json_object_size(model_config_get(r, "auto_map")) > 0)
		model_config_note(r,
				  "%s: auto_map names code of the folder's own, which is not run: "
				  "computed as %s",
				  r->file, c->model_type);
	if (name != NULL && !text_ends(name, "ForCausalLM"))
		model_config_note(r,
				  "%s: architectures names %.60s: computed as a %s that continues "
				  "text",
				  r->file, name, c->model_type);
}

/* Layers for multi-token prediction, in one of two spellings. */
static void read_extra(struct config_reader *r, struct model_config *c)
{
	bool other = model_config_get(r, "num_mtp_layers") != NULL;
	const char *key = other ? "num_mtp_layers" : "num_nextn_predict_layers";
	c->extra_layers = model_config_u32_or(r, key, 0, 0, MODEL_LAYERS);
}

/* ---- whole ---- */

static int family_find(struct config_reader *r, const char *type, const struct config_family **f)
{
	for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
		if (strcmp(type, outside[i]) == 0)
			return err_set(r->e, ERR_UNSUPPORTED,
				       "config.json: not available in this version: model_type %s",
				       type);
	}
	*f = model_family_of(type);
	return *f != NULL ? 0
			  : err_set(r->e, ERR_UNSUPPORTED,
				    "config.json: unknown model_type \"%.60s\"", type);
}

static int family_read(struct config_reader *r, struct model_config *c, json_t **merged)
{
	const char *type = model_config_text(r, "model_type");
	const struct config_family *f;
	TRY(r->code);
	TRY(family_find(r, type, &f));
	snprintf(c->model_type, sizeof c->model_type, "%s", type);
	c->wrapped = f->wraps != NULL;
	if (c->wrapped)
		TRY(model_config_unwrap(r, &f, merged));
	r->family = f;
	c->names = f->names;
	r->absent = f->absent;
	TRY(model_config_keys_refuse(r, f));
	read_common(r, c);
	TRY(r->code);
	f->read(r, c);
	TRY(r->code);
	read_layer_types(r, c);
	model_config_quantisation(r, c);
	TRY(r->code);
	model_config_layers(c);
	if (f->layers != NULL)
		f->layers(r, c);
	if (f->extra)
		read_extra(r, c);
	note_origin(r, c);
	model_config_keys_note(r);
	return r->code;
}

static int generation_read(struct model_config *c, const char *text, size_t len, struct err *e)
{
	json_t *root = NULL;
	int r = json_read_as(&root, text, len, CONFIG_BYTES, LIMIT_JSON_DEPTH, JSON_PYTHON, e);
	if (r < 0)
		return err_prefix(e, "generation_config.json");
	struct config_reader in = {
		.o = root, .file = "generation_config.json", .notes = c->notes, .e = e
	};
	read_eos(&in, c);
	model_generation_read(&in, &c->generation);
	json_decref(root);
	return in.code;
}

int model_config_parse(struct model_config *c, const char *config, size_t len,
		       const char *generation, size_t generation_len, struct err *e)
{
	json_t *root = NULL;
	*c = (struct model_config){
		.digest = digest_of(config, len),
		.embed_scale = 1,
		.residual_scale = 1,
		.logits_scale = 1,
		.value_scale = 1,
	};
	int r = json_read_as(&root, config, len, CONFIG_BYTES, LIMIT_JSON_DEPTH, JSON_PYTHON, e);
	if (r < 0)
		return err_prefix(e, "config.json");
	if (!json_is_object(root))
		r = err_set(e, ERR_INPUT, "config.json: not an object");
	struct config_reader in = {
		.o = root, .file = "config.json", .notes = c->notes, .seen = json_object(), .e = e
	};
	if (r == 0)
		r = json_ok(in.seen, e);
	json_t *merged = NULL;
	if (r == 0)
		r = family_read(&in, c, &merged);
	json_decref(merged);
	json_decref(root);
	json_decref(in.seen);
	if (r == 0 && generation != NULL)
		r = generation_read(c, generation, generation_len, e);
	return r;
}

int model_config_read(struct model_config *c, struct source *src, struct err *e)
{
	struct buf config = { 0 }, generation = { 0 };
	uint64_t unused;
	if (source_size(src, "config.json", &unused, NULL) < 0 &&
	    source_size(src, "adapter_config.json", &unused, NULL) == 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "adapter_config.json without config.json: an adapter without its "
			       "base model: give the base, and this with --adapter");
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

uint32_t model_moe_layers(const struct model_config *c)
{
	uint32_t n = 0;
	for (uint32_t l = 0; l < c->layers; l++)
		n += c->layer[l].ffn != MODEL_FFN_DENSE;
	return n;
}
