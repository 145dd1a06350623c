/* Rotary position in the config: three keys in two spellings, and the keys inside them. What the
 * reference implementation (transformers, modeling_rope_utils.py) does not read has no effect here
 * either, and is noted. */
#include "model/config_reader.h"

#include <stdlib.h>
#include <string.h>

static const char *const rope_kinds[] = {
	[MODEL_ROPE_DEFAULT] = "default", [MODEL_ROPE_LINEAR] = "linear",
	[MODEL_ROPE_LLAMA3] = "llama3",   [MODEL_ROPE_YARN] = "yarn",
	[MODEL_ROPE_DYNAMIC] = "dynamic", NULL,
};

static enum model_rope_kind rope_kind(struct config_reader *in)
{
	const char *key = model_config_absent(in, "rope_type") ? "type" : "rope_type";
	const char *kind = model_config_choice(in, key, "default", rope_kinds);
	for (int i = 0; rope_kinds[i] != NULL; i++) {
		if (strcmp(kind, rope_kinds[i]) == 0)
			return (enum model_rope_kind)i;
	}
	return MODEL_ROPE_DEFAULT;
}

/* Every key inside: known, without effect in the reference, or another kind's. */
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
		"attn_factor",      "finetuned",
	};
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)in->o, key, v)
	{
		bool found = false;
		for (size_t i = 0; i < sizeof known / sizeof known[0] && !found; i++)
			found = strcmp(key, known[i]) == 0;
		if (found || json_is_null(v))
			continue;
		bool other = strcmp(key, "short_factor") == 0 || strcmp(key, "long_factor") == 0;
		if (other ||
		    json_is_object(v)) /* longrope's, or the parameters of a kind of layer */
			model_config_refuse(in, ERR_UNSUPPORTED, key,
					    "not available in this version");
		else
			model_config_note(in, "%s: %s%.60s is without effect, as in the reference",
					  in->file, in->within, key);
	}
}

/* Null and 0 are the default, as in the reference. */
static double beta(struct config_reader *in, const char *key, double fallback)
{
	double v = model_config_number_or(in, key, fallback, 0, 1e6);
	return v > 0 ? v : fallback;
}

/* The length that the model was first trained for. One beside the parameters counts more than one
 * among them; without either it is the length of the config. */
static uint32_t rope_original(struct config_reader *r, struct config_reader *in)
{
	static const char *const key = "original_max_position_embeddings";
	uint32_t whole = model_config_u32(r, "max_position_embeddings", 1, UINT32_MAX);
	uint32_t inner = model_config_u32_or(in, key, whole, 1, 1u << 30);
	uint32_t outer = model_config_u32_or(r, key, inner, 1, 1u << 30);
	if (outer != inner && !model_config_absent(in, key))
		model_config_note(in, "%s: %s %u counts, %s%s %u does not, as in the reference",
				  in->file, key, outer, in->within, key, inner);
	in->code = in->code ? in->code : r->code;
	return outer;
}

static void rope_yarn(struct config_reader *in, struct model_rope *p)
{
	if (p->theta <= 1)
		model_config_refuse(in, ERR_INPUT, "rope_theta", "not above 1");
	p->beta_fast = beta(in, "beta_fast", 32);
	p->beta_slow = beta(in, "beta_slow", 1);
	p->mscale = model_config_number_or(in, "mscale", 0, 0, 100);
	p->attention_given = !model_config_absent(in, "attention_factor");
	p->attention_factor = model_config_number_or(in, "attention_factor", 0, -100, 100);
	p->attn_factor = model_config_number_or(in, "attn_factor", 0, 0, 100);
	p->truncate = model_config_bool_or(in, "truncate", true);
	if (p->attn_factor > 0 && (p->attn_factor < 1 || p->attn_factor > 1))
		model_config_note(
			in,
			"%s: %sattn_factor %g scales, as in yarn's own code; transformers "
			"does not read it",
			in->file, in->within, p->attn_factor);
}

static void rope_llama3(struct config_reader *in, struct model_rope *p)
{
	p->low_freq_factor = model_config_number(in, "low_freq_factor", 1e-3, 1e6);
	p->high_freq_factor = model_config_number(in, "high_freq_factor", 1e-3, 1e6);
	if (in->code == 0 && p->high_freq_factor <= p->low_freq_factor)
		model_config_refuse(in, ERR_INPUT, "high_freq_factor", "not above low_freq_factor");
}

static void rope_scaling(struct config_reader *r, struct config_reader *in, struct model_rope *p)
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
	p->mscale_all_dim = model_config_number_or(in, "mscale_all_dim", 0, 0, 100);
	bool scaled = p->kind == MODEL_ROPE_LLAMA3 || p->kind == MODEL_ROPE_YARN;
	p->context_original = scaled ? rope_original(r, in) : 0;
	bool null = p->kind == MODEL_ROPE_YARN && json_is_null(model_config_get(in, "factor"));
	if (null && p->context_original > 0) /* by how much the length grew */
		p->factor = model_config_u32(r, "max_position_embeddings", 1, UINT32_MAX) /
			    (double)p->context_original;
	else
		p->factor = model_config_number(in, "factor", 1e-3, 1e6);
	if (p->kind == MODEL_ROPE_DYNAMIC)
		model_config_note(in,
				  "%s: %srope_type dynamic changes nothing within "
				  "max_position_embeddings, and no sequence is longer here",
				  in->file, in->within);
	if (p->kind == MODEL_ROPE_LLAMA3)
		rope_llama3(in, p);
	if (p->kind == MODEL_ROPE_YARN)
		rope_yarn(in, p);
}

static bool same_rope(const struct model_rope *a, const struct model_rope *b)
{
	const double x[] = { a->factor,           a->theta,       a->low_freq_factor,
			     a->high_freq_factor, a->beta_fast,   a->beta_slow,
			     a->mscale,           a->attn_factor, a->mscale_all_dim,
			     a->attention_factor, a->truncate,    a->kind,
			     a->context_original };
	const double y[] = { b->factor,           b->theta,       b->low_freq_factor,
			     b->high_freq_factor, b->beta_fast,   b->beta_slow,
			     b->mscale,           b->attn_factor, b->mscale_all_dim,
			     b->attention_factor, b->truncate,    b->kind,
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
	if (model_config_absent(r, key) || is_empty(model_config_get(r, key)))
		return false;
	struct config_reader in = model_config_inside(r, key, model_config_get(r, key));
	if (in.code == 0)
		rope_scaling(r, &in, out);
	r->code = in.code;
	return true;
}

void model_config_rope(struct config_reader *r, struct model_config *c)
{
	struct model_rope *p = &c->rope, old, now;
	p->theta = model_config_number_or(r, "rope_theta", 10000, 1, 1e12);
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
	bool beside = has_now && !model_config_absent(r, "rope_theta");
	if (r->code == 0 && beside && (now.theta < p->theta || now.theta > p->theta))
		/* transformers 4 leaves its default there when it saves a file of transformers 5 */
		model_config_note(r,
				  "%s: rope_parameters.rope_theta %.10g counts, rope_theta %.10g "
				  "does not, as in the reference",
				  r->file, now.theta, p->theta);
	if (!has_now && !has_old && p->kind == MODEL_ROPE_YARN) /* what the class assumes */
		old.context_original = model_config_u32_or(r, "original_max_position_embeddings",
							   old.context_original, 1, 1u << 30);
	*p = has_now ? now : old;
}
