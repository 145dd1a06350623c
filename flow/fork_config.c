/* Where the config of a fork says something else than its parent's. What it means is compared, not
 * how a version of a library spells it: both are read as the engine reads them, all defaults
 * resolved. Of a family that is not known here the keys that every family has are compared, in one
 * spelling, where both sides have them. Sizes are the weights' affair. */
#include "flow/fork_findings.h"
#include "model/config.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SAME 1e-6 /* relative: a made config has its numbers in single precision */

static bool differ(double a, double b) { return !(fabs(a - b) <= SAME * fmax(fabs(a), fabs(b))); }

/* Shown with what a change of the files alone is worth: where the weights are the parent's, or are
 * only said to be stored otherwise, the config should be the parent's too. */
static enum flow_severity severity(const struct flow_told *t, const struct flow_fork_other *p)
{
	bool same = p->measure && p->measure->verdict == FORK_IDENTICAL;
	return same || strcmp(t->c->suspect->card.relation, "quantized") == 0 ? FLOW_WARNING
									      : FLOW_NOTE;
}

static void tell_text(struct flow_told *t, const struct flow_fork_other *p, const char *key,
		      const char *from, const char *to)
{
	flow_tell(t, "F-CONFIG", severity(t, p), p, "%s is %.100s in the parent and %.100s here",
		  key, from, to);
}

/* Single precision has six digits; a whole number has all of its own. */
static void spell_number(double v, char out[40])
{
	snprintf(out, 40, "%.*g", !(v > floor(v)) && fabs(v) < 1e9 ? 9 : 6, v);
}

static void tell_number(struct flow_told *t, const struct flow_fork_other *p, const char *key,
			double from, double to)
{
	char a[40], b[40];
	spell_number(from, a);
	spell_number(to, b);
	if (differ(from, to))
		tell_text(t, p, key, a, b);
}

/* ---- families that are known ---- */

enum form { F32, U32, ID, FLAG, ACTIVATION, NORM, GATE };
struct field {
	const char *key;
	enum form form;
	size_t at;
	bool made; /* a config that was made of a GGUF file says it too */
};
#define FIELD(key, form, member, made)                                 \
	{                                                              \
		key, form, offsetof(struct model_config, member), made \
	}

static const struct field fields[] = {
	FIELD("rms_norm_eps", F32, norm_eps, true),
	FIELD("max_position_embeddings", U32, context_max, false),
	FIELD("bos_token_id", ID, bos, false),
	FIELD("hidden_act", ACTIVATION, activation, true),
	FIELD("the kind of norm", NORM, norm, true),
	FIELD("the scale of embeddings", F32, embed_scale, true),
	FIELD("the scale of residuals", F32, residual_scale, true),
	FIELD("the scale of logits", F32, logits_scale, true),
	FIELD("final_logit_softcapping", F32, logits_softcap, true),
	FIELD("attn_logit_softcapping", F32, attention_softcap, true),
	FIELD("the bound of queries, keys and values", F32, clip, true),
	FIELD("the choice of experts", GATE, gate.kind, true),
	FIELD("num_experts_per_tok", U32, gate.top_k, true),
	FIELD("n_group", U32, gate.groups, true),
	FIELD("topk_group", U32, gate.groups_kept, true),
	FIELD("norm_topk_prob", FLAG, gate.normalise, true),
	FIELD("routed_scaling_factor", F32, gate.scaling, true),
	FIELD("index_topk", U32, index_top_k, true),
};

static double number_at(const struct model_config *c, const struct field *f)
{
	const char *at = (const char *)c + f->at;
	switch (f->form) {
	case F32:
		return (double)*(const float *)(const void *)at;
	case ID:
	case U32:
		return *(const uint32_t *)(const void *)at;
	case FLAG:
		return *(const bool *)(const void *)at;
	case ACTIVATION:
		return (double)*(const enum model_activation *)(const void *)at;
	case NORM:
		return (double)*(const enum model_norm *)(const void *)at;
	case GATE:
		return (double)*(const enum kernel_gate_kind *)(const void *)at;
	}
	return 0;
}

static void list_ids(const struct model_config *c, char out[160])
{
	size_t used = 0;
	snprintf(out, 160, "none");
	for (uint32_t i = 0; i < c->eos_count && used < 150; i++)
		used += (size_t)snprintf(out + used, 160 - used, "%s%u", i ? ", " : "", c->eos[i]);
}

static bool has_id(const struct model_config *c, uint32_t id)
{
	for (uint32_t i = 0; i < c->eos_count; i++)
		if (c->eos[i] == id)
			return true;
	return false;
}

static void compare_eos(struct flow_told *t, const struct flow_fork_other *p,
			const struct model_config *a, const struct model_config *b)
{
	bool same = true;
	char from[160], to[160];
	for (uint32_t i = 0; i < a->eos_count; i++)
		same = same && has_id(b, a->eos[i]);
	for (uint32_t i = 0; i < b->eos_count; i++)
		same = same && has_id(a, b->eos[i]);
	if (same || a->eos_assumed || b->eos_assumed)
		return;
	list_ids(a, from);
	list_ids(b, to);
	tell_text(t, p, "eos_token_id", from, to);
}

static const char *rope_name(enum model_rope_kind k)
{
	static const char *const name[] = { "default", "linear",       "llama3",  "yarn",
					    "dynamic", "proportional", "longrope" };
	return name[k];
}

static void compare_rope(struct flow_told *t, const struct flow_fork_other *p,
			 const struct model_rope *a, const struct model_rope *b, bool made)
{
	const struct {
		const char *key;
		double a, b;
	} numbers[] = {
		{ "factor of the rotary scaling", a->factor, b->factor },
		{ "low_freq_factor", a->low_freq_factor, b->low_freq_factor },
		{ "high_freq_factor", a->high_freq_factor, b->high_freq_factor },
		{ "beta_fast", a->beta_fast, b->beta_fast },
		{ "beta_slow", a->beta_slow, b->beta_slow },
		{ "original_max_position_embeddings", a->context_original, b->context_original },
		{ "attention_factor", a->attention_given ? a->attention_factor : 0,
		  b->attention_given ? b->attention_factor : 0 },
		{ "mscale", a->mscale, b->mscale },
		{ "mscale_all_dim", a->mscale_all_dim, b->mscale_all_dim },
	};
	tell_number(t, p, "rope_theta", a->theta, b->theta);
	tell_number(t, p, "partial_rotary_factor", a->partial, b->partial);
	if (made)
		return; /* it has the frequencies as a tensor */
	if (a->kind != b->kind)
		tell_text(t, p, "rope_type", rope_name(a->kind), rope_name(b->kind));
	else if (a->kind != MODEL_ROPE_DEFAULT)
		for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
			tell_number(t, p, numbers[i].key, numbers[i].a, numbers[i].b);
}

/* The first layer that differs; a fork may have fewer or more of them. */
static void compare_layers(struct flow_told *t, const struct flow_fork_other *p,
			   const struct model_config *a, const struct model_config *b)
{
	uint32_t layers = a->layers < b->layers ? a->layers : b->layers;
	for (uint32_t i = 0; i < layers; i++) {
		const struct model_layer *x = &a->layer[i], *y = &b->layer[i];
		char key[60];
		if (x->window == y->window && x->chunk == y->chunk && x->rope == y->rope)
			continue;
		snprintf(key, sizeof key, "sliding_window of layer %u", i);
		tell_number(t, p, key, x->window, y->window);
		snprintf(key, sizeof key, "attention_chunk_size of layer %u", i);
		tell_number(t, p, key, x->chunk, y->chunk);
		snprintf(key, sizeof key, "the rotary table of layer %u", i);
		tell_number(t, p, key, x->rope, y->rope);
		return;
	}
}

static void compare_known(struct flow_told *t, const struct flow_fork_other *p,
			  const struct model_config *a, const struct model_config *b, bool made)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		double x = number_at(a, &fields[i]), y = number_at(b, &fields[i]);
		bool none = fields[i].form == ID && fmax(x, y) >= UINT32_MAX;
		if ((fields[i].made || !made) && !none)
			tell_number(t, p, fields[i].key, x, y);
	}
	uint32_t ropes = a->rope_count < b->rope_count ? a->rope_count : b->rope_count;
	for (uint32_t i = 0; i < ropes; i++)
		compare_rope(t, p, &a->ropes[i], &b->ropes[i], made);
	if (made)
		return;
	compare_eos(t, p, a, b);
	compare_layers(t, p, a, b);
}

/* How the weights are stored is no part of the meaning, and may be a form that is not read. */
static bool parse(const struct flow_fork_facts *x, struct model_config *out)
{
	struct err why;
	json_t *plain = json_is_object(x->config) ? json_copy(x->config) : NULL;
	json_object_del(plain, "quantization_config");
	json_object_del(plain, "compression_config");
	char *text = plain ? json_dumps(plain, JSON_COMPACT) : NULL;
	char *more = x->generation ? json_dumps(x->generation, JSON_COMPACT) : NULL;
	bool ok = text && model_config_parse(out, text, strlen(text), more, more ? strlen(more) : 0,
					     &why) == 0;
	free(text);
	free(more);
	json_decref(plain);
	return ok;
}

/* ---- families that are not ---- */

/* The text part of a model that sees or hears. */
static const json_t *body(const json_t *config)
{
	static const char *const keys[] = { "text_config", "llm_config", "language_config",
					    "thinker_config" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *part = json_object_get(config, keys[i]);
		if (json_is_object(part))
			return part;
	}
	return config;
}

/* The member under one of its names, or NULL: null is absence. */
static const json_t *get(const json_t *config, const char *const names[3])
{
	for (size_t i = 0; i < 3 && names[i]; i++) {
		const json_t *v = json_object_get(config, names[i]);
		if (v && !json_is_null(v))
			return v;
	}
	return NULL;
}

static const json_t *rope_of(const json_t *config)
{
	static const char *const names[3] = { "rope_parameters", "rope_scaling", NULL };
	return get(config, names);
}

/* Numbers in one spelling, and a list of one as what it holds. */
static void spell(const json_t *v, char out[200])
{
	if (json_array_size(v) == 1)
		v = json_array_get(v, 0);
	char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
	if (json_is_number(v))
		spell_number(json_number_value(v), out);
	else
		snprintf(out, 200, "%s", text ? text : "");
	free(text);
}

/* The kind of scaling; NULL: a table for each kind of layer, which older spellings have not. */
static const char *rope_type(const json_t *rope)
{
	static const char *const names[3] = { "rope_type", "type", NULL };
	const char *key, *type = json_string_value(get(rope, names));
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)rope, key, v) {
		if (json_is_object(v))
			return NULL;
	}
	return type ? type : json_object_size(rope) > 1 ? "unknown" : "default";
}

/* The numbers of the scaling that both have: a version moves some in, or leaves some out. */
static void compare_scaling(struct flow_told *t, const struct flow_fork_other *p, const json_t *a,
			    const json_t *b)
{
	const char *from = rope_type(a), *to = rope_type(b), *key;
	json_t *x;
	if (!from || !to)
		return;
	if (strcmp(from, to) != 0)
		tell_text(t, p, "rope_type", from, to);
	json_object_foreach((json_t *)(uintptr_t)a, key, x) {
		const json_t *y = json_object_get(b, key);
		if (json_is_number(x) && json_is_number(y) && strcmp(key, "rope_theta") != 0)
			tell_number(t, p, key, json_number_value(x), json_number_value(y));
	}
}

static void compare_keys(struct flow_told *t, const struct flow_fork_other *p, const json_t *a,
			 const json_t *b, bool made)
{
	static const char *const keys[][3] = {
		{ "rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon" },
		{ "eos_token_id", NULL, NULL },
		{ "bos_token_id", NULL, NULL },
		{ "max_position_embeddings", "n_positions", "max_seq_len" },
		{ "routed_scaling_factor", NULL, NULL },
		{ "num_experts_per_tok", "num_experts_per_token", "moe_topk" },
		{ "norm_topk_prob", NULL, NULL },
		{ "hidden_act", "hidden_activation", "activation_function" },
	};
	static const char *const theta[3] = { "rope_theta", NULL, NULL };
	char from[200] = "", to[200] = "";
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *x = get(a, keys[i]), *y = get(b, keys[i]);
		if (!x || !y || made)
			continue;
		spell(x, from);
		spell(y, to);
		if (strcmp(from, to) != 0)
			tell_text(t, p, keys[i][0], from, to);
	}
	const json_t *x = get(a, theta), *y = get(b, theta);
	x = x ? x : get(rope_of(a), theta);
	y = y ? y : get(rope_of(b), theta);
	if (json_is_number(x) && json_is_number(y))
		tell_number(t, p, "rope_theta", json_number_value(x), json_number_value(y));
	if (!made)
		compare_scaling(t, p, rope_of(a), rope_of(b));
}

void flow_tell_config(struct flow_told *t, const struct flow_fork_other *p)
{
	const struct flow_fork_facts *x = p->facts, *y = t->c->suspect;
	struct model_config *two = calloc(2, sizeof *two);
	bool made = x->gguf || y->gguf;
	if (!two)
		t->failed = true;
	else if (x->config && y->config && parse(x, &two[0]) && parse(y, &two[1]))
		compare_known(t, p, &two[0], &two[1], made);
	else if (x->config && y->config)
		compare_keys(t, p, body(x->config), body(y->config), made);
	free(two);
}
