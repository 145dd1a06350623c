#include "model/config_reader.h"

#include <stdlib.h>
#include <string.h>

struct config_reader model_config_inside(struct config_reader *r, const char *key, const json_t *o)
{
	struct config_reader in = { .o = o, .file = r->file, .code = r->code, .e = r->e };
	snprintf(in.within, sizeof in.within, "%s.", key);
	if (!json_is_object(o))
		in.code = model_config_refuse(r, ERR_INPUT, key, "not an object");
	return in;
}

const json_t *model_config_get(struct config_reader *r, const char *key)
{
	return json_object_get(r->o, key);
}

int model_config_refuse(struct config_reader *r, int code, const char *key, const char *why)
{
	const json_t *v = json_object_get(r->o, key);
	char *text = v == NULL ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
	if (r->code == 0)
		r->code = err_set(r->e, code, "%s: %s%s %.120s%s%s", r->file, r->within, key,
				  text == NULL ? "" : text, text == NULL ? "" : ": ", why);
	free(text);
	return r->code;
}

static bool absent(struct config_reader *r, const char *key)
{
	const json_t *v = json_object_get(r->o, key);
	return v == NULL || json_is_null(v);
}

static void range_refuse(struct config_reader *r, const char *key, double min, double max)
{
	char why[80];
	snprintf(why, sizeof why, "out of range, %.10g to %.10g", min, max);
	model_config_refuse(r, ERR_INPUT, key, why);
}

uint32_t model_config_u32(struct config_reader *r, const char *key, uint32_t min, uint32_t max)
{
	const json_t *v = model_config_get(r, key);
	if (v == NULL)
		model_config_refuse(r, ERR_INPUT, key, "missing");
	else if (!json_is_integer(v))
		model_config_refuse(r, ERR_INPUT, key, "not an integer");
	else if (json_integer_value(v) < (json_int_t)min || json_integer_value(v) > (json_int_t)max)
		range_refuse(r, key, min, max);
	else
		return (uint32_t)json_integer_value(v);
	return 0;
}

uint32_t model_config_u32_or(struct config_reader *r, const char *key, uint32_t fallback,
			     uint32_t min, uint32_t max)
{
	return absent(r, key) ? fallback : model_config_u32(r, key, min, max);
}

double model_config_number(struct config_reader *r, const char *key, double min, double max)
{
	const json_t *v = model_config_get(r, key);
	double x = json_number_value(v);
	if (v == NULL)
		model_config_refuse(r, ERR_INPUT, key, "missing");
	else if (!json_is_number(v))
		model_config_refuse(r, ERR_INPUT, key, "not a number");
	else if (!(x >= min && x <= max))
		range_refuse(r, key, min, max);
	else
		return x;
	return 0;
}

double model_config_number_or(struct config_reader *r, const char *key, double fallback, double min,
			      double max)
{
	return absent(r, key) ? fallback : model_config_number(r, key, min, max);
}

bool model_config_bool_or(struct config_reader *r, const char *key, bool fallback)
{
	if (absent(r, key))
		return fallback;
	if (!json_is_boolean(model_config_get(r, key)))
		model_config_refuse(r, ERR_INPUT, key, "not true or false");
	return json_is_true(model_config_get(r, key));
}

const char *model_config_text(struct config_reader *r, const char *key)
{
	const json_t *v = model_config_get(r, key);
	if (v == NULL)
		model_config_refuse(r, ERR_INPUT, key, "missing");
	else if (!json_is_string(v))
		model_config_refuse(r, ERR_INPUT, key, "not a string");
	else
		return json_string_value(v);
	return "";
}

const char *model_config_choice(struct config_reader *r, const char *key, const char *fallback,
				const char *const *values)
{
	const char *text =
		fallback != NULL && absent(r, key) ? fallback : model_config_text(r, key);
	for (; *values != NULL; values++) {
		if (strcmp(text, *values) == 0)
			return *values;
	}
	model_config_refuse(r, ERR_UNSUPPORTED, key, "not available in this version");
	return "";
}

void model_config_text_only(struct config_reader *r, const char *key, const char *fallback,
			    const char *value)
{
	const char *const values[] = { value, NULL };
	model_config_choice(r, key, fallback, values);
}

/* ---- rotary position ---- */

static const char *const rope_kinds[] = {
	[MODEL_ROPE_DEFAULT] = "default",
	[MODEL_ROPE_LINEAR] = "linear",
	[MODEL_ROPE_LLAMA3] = "llama3",
	[MODEL_ROPE_YARN] = "yarn",
	NULL,
};

static enum model_rope_kind rope_kind(struct config_reader *in)
{
	const char *key = absent(in, "rope_type") ? "type" : "rope_type";
	const char *kind = model_config_choice(in, key, "default", rope_kinds);
	for (int i = 0; rope_kinds[i] != NULL; i++) {
		if (strcmp(kind, rope_kinds[i]) == 0)
			return (enum model_rope_kind)i;
	}
	return MODEL_ROPE_DEFAULT;
}

static void rope_keys_check(struct config_reader *in)
{
	static const char *const known[] = {
		"rope_type",        "type",
		"rope_theta",       "partial_rotary_factor",
		"factor",           "low_freq_factor",
		"high_freq_factor", "original_max_position_embeddings",
		"beta_fast",        "beta_slow",
		"mscale",           "mscale_all_dim",
		"attention_factor", "truncate",
		"attn_factor",
	};
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)in->o, key, v) {
		bool found = false;
		for (size_t i = 0; i < sizeof known / sizeof known[0] && !found; i++)
			found = strcmp(key, known[i]) == 0;
		if (!found)
			model_config_refuse(in, ERR_UNSUPPORTED, key, "unknown");
	}
}

static void rope_scaling(struct config_reader *in, struct model_rope *p)
{
	rope_keys_check(in);
	p->kind = rope_kind(in);
	p->theta = model_config_number_or(in, "rope_theta", p->theta, 1, 1e12);
	double share = model_config_number_or(in, "partial_rotary_factor", p->partial, 0, 1);
	if (share < p->partial || share > p->partial)
		model_config_refuse(in, ERR_UNSUPPORTED, "partial_rotary_factor",
				    "not available in this version");
	if (p->kind == MODEL_ROPE_DEFAULT)
		return;
	p->factor = model_config_number(in, "factor", 1e-3, 1e6);
	if (p->kind == MODEL_ROPE_LINEAR)
		return;
	p->context_original = model_config_u32(in, "original_max_position_embeddings", 1, 1u << 30);
	if (p->kind == MODEL_ROPE_LLAMA3) {
		p->low_freq_factor = model_config_number(in, "low_freq_factor", 1e-3, 1e6);
		p->high_freq_factor = model_config_number(in, "high_freq_factor", 1e-3, 1e6);
		if (in->code == 0 && p->high_freq_factor <= p->low_freq_factor)
			model_config_refuse(in, ERR_INPUT, "high_freq_factor",
					    "not above low_freq_factor");
		return;
	}
	p->beta_fast = model_config_number_or(in, "beta_fast", 32, 1e-3, 1e6);
	p->beta_slow = model_config_number_or(in, "beta_slow", 1, 1e-3, 1e6);
	p->mscale = model_config_number_or(in, "mscale", 0, 0, 100);
	p->mscale_all_dim = model_config_number_or(in, "mscale_all_dim", 0, 0, 100);
	p->attention_factor = model_config_number_or(in, "attention_factor", 0, 0, 100);
	p->attn_factor = model_config_number_or(in, "attn_factor", 0, 0, 100);
	p->truncate = model_config_bool_or(in, "truncate", true);
}

static bool same_rope(const struct model_rope *a, const struct model_rope *b)
{
	const double x[] = { a->factor,
			     a->low_freq_factor,
			     a->high_freq_factor,
			     a->beta_fast,
			     a->beta_slow,
			     a->mscale,
			     a->attn_factor,
			     a->mscale_all_dim,
			     a->attention_factor,
			     a->truncate,
			     a->kind,
			     a->context_original };
	const double y[] = { b->factor,
			     b->low_freq_factor,
			     b->high_freq_factor,
			     b->beta_fast,
			     b->beta_slow,
			     b->mscale,
			     b->attn_factor,
			     b->mscale_all_dim,
			     b->attention_factor,
			     b->truncate,
			     b->kind,
			     b->context_original };
	for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) {
		if (x[i] < y[i] || x[i] > y[i])
			return false;
	}
	return true;
}

static bool is_empty(const json_t *v) { return json_is_object(v) && json_object_size(v) == 0; }

/* The member in one of its two spellings; false where it is absent. */
static bool rope_member(struct config_reader *r, const char *key, const struct model_rope *preset,
			struct model_rope *out)
{
	*out = *preset;
	if (absent(r, key) || is_empty(model_config_get(r, key)))
		return false;
	struct config_reader in = model_config_inside(r, key, model_config_get(r, key));
	if (in.code == 0)
		rope_scaling(&in, out);
	r->code = in.code;
	return true;
}

void model_config_rope(struct config_reader *r, struct model_config *c)
{
	struct model_rope *p = &c->rope, old, now;
	p->theta =
		model_config_number_or(r, "rope_theta", p->theta > 0 ? p->theta : 10000, 1, 1e12);
	p->factor = p->kind == MODEL_ROPE_DEFAULT ? 1 : p->factor;
	if (p->size % 2 != 0 || p->size == 0)
		model_config_refuse(r, ERR_UNSUPPORTED,
				    c->attention == MODEL_ATTN_MLA ? "qk_rope_head_dim"
								   : "head_dim",
				    "odd number of rotated dimensions");
	bool has_old = rope_member(r, "rope_scaling", p, &old);
	bool has_now = rope_member(r, "rope_parameters", p, &now);
	if (r->code == 0 && has_old && has_now && !same_rope(&old, &now))
		model_config_refuse(r, ERR_INPUT, "rope_scaling",
				    "disagrees with rope_parameters: which one is meant?");
	if (r->code == 0 && has_now && !absent(r, "rope_theta") &&
	    (now.theta < p->theta || now.theta > p->theta))
		model_config_refuse(r, ERR_INPUT, "rope_theta",
				    "disagrees with rope_parameters: which one is meant?");
	*p = has_now ? now : old;
}
