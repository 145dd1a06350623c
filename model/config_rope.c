/* Rotary position in the config: three keys in two spellings, and the keys inside them. What the
 * reference implementation (transformers, modeling_rope_utils.py) does not read has no effect here
 * either, and is noted. */
#include "base/check.h"
#include "kernels/number.h"
#include "model/family.h"

#include <stdlib.h>
#include <string.h>

static const char *const rope_kinds[] = {
	[MODEL_ROPE_DEFAULT] = "default",
	[MODEL_ROPE_LINEAR] = "linear",
	[MODEL_ROPE_LLAMA3] = "llama3",
	[MODEL_ROPE_YARN] = "yarn",
	[MODEL_ROPE_DYNAMIC] = "dynamic",
	[MODEL_ROPE_PROPORTIONAL] = "proportional",
	[MODEL_ROPE_LONG] = "longrope",
	"su",
	"mrope",
	NULL,
};

static enum model_rope_kind rope_kind(struct config_reader *in)
{
	const char *key = model_config_absent(in, "rope_type") ? "type" : "rope_type";
	const char *kind = model_config_choice(in, key, "default", rope_kinds);
	if (strcmp(kind, "su") == 0) /* its first name */
		return MODEL_ROPE_LONG;
	for (int i = 0; i <= MODEL_ROPE_LONG; i++) {
		if (strcmp(kind, rope_kinds[i]) == 0)
			return (enum model_rope_kind)i;
	}
	return MODEL_ROPE_DEFAULT; /* mrope: the three positions of text are the same */
}

/* Every key inside is known, or without effect in the reference, or the parameters of a kind of
 * layer. */
static void rope_keys_check(struct config_reader *in)
{
	static const char *const known[] = {
		"rope_type",
		"type",
		"rope_theta",
		"partial_rotary_factor",
		"factor",
		"low_freq_factor",
		"high_freq_factor",
		"original_max_position_embeddings",
		"beta_fast",
		"beta_slow",
		"mscale",
		"mscale_all_dim",
		"attention_factor",
		"truncate",
		"attn_factor",
		"finetuned",
		"short_factor",
		"long_factor",
		"mrope_section",
		"mrope_interleaved",
		"alpha",
		"max_position_embeddings",
	};
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)(uintptr_t)in->o, key, v) {
		bool found = model_family_owns(in->family, key);
		for (size_t i = 0; i < sizeof known / sizeof known[0] && !found; i++)
			found = strcmp(key, known[i]) == 0;
		if (found || json_is_null(v))
			continue;
		if (json_is_object(v))
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
	if (in->code == 0 && p->high_freq_factor < p->low_freq_factor)
		model_config_refuse(in, ERR_INPUT, "high_freq_factor", "below low_freq_factor");
}

/* A divisor for each pair. */
static void divisors(struct config_reader *in, const char *key, uint32_t pairs, float *out)
{
	const json_t *list = model_config_get(in, key);
	char why[60];
	snprintf(why, sizeof why, "not a list of %u numbers above 0", pairs);
	if (list == NULL)
		model_config_refuse(in, ERR_INPUT, key, "missing");
	else if (pairs > MODEL_ROPE_PAIRS)
		model_config_refuse(in, ERR_UNSUPPORTED, key, "too long for this version");
	else if (json_array_size(list) != pairs)
		model_config_refuse(in, ERR_INPUT, key, why);
	for (uint32_t i = 0; in->code == 0 && i < pairs; i++) {
		out[i] = (float)json_number_value(json_array_get(list, i));
		if (!(out[i] > 0 && out[i] < 1e9F))
			model_config_refuse(in, ERR_INPUT, key, why);
	}
}

static void rope_long(struct config_reader *in, struct model_rope *p)
{
	divisors(in, "short_factor", p->size / 2, p->divisor[0]);
	divisors(in, "long_factor", p->size / 2, p->divisor[1]);
	p->attention_given = !model_config_absent(in, "attention_factor");
	p->attention_factor = model_config_number_or(in, "attention_factor", 0, 0, 100);
}

/* Where the base grows with alpha, at once: theta alpha^(d/(d-2)). */
static void rope_alpha(struct config_reader *in, struct model_rope *p)
{
	double alpha = model_config_number_or(in, "alpha", 0, 0, 1e9);
	if (p->span <= 2)
		model_config_refuse(in, ERR_INPUT, "alpha", "needs heads above 2");
	else if (alpha > 0)
		p->theta *= number_exp_double(p->span / (p->span - 2.0) * number_log(alpha));
}

/* How much longer than at first a sequence may be: a number, or what the lengths say. */
static void rope_factor(struct config_reader *r, struct config_reader *in, struct model_rope *p)
{
	bool lengths = p->kind == MODEL_ROPE_YARN && json_is_null(model_config_get(in, "factor"));
	lengths = lengths || (p->kind == MODEL_ROPE_LONG && model_config_absent(in, "factor"));
	bool scaled = p->kind == MODEL_ROPE_LLAMA3 || p->kind == MODEL_ROPE_YARN ||
		      p->kind == MODEL_ROPE_LONG;
	p->context_original = scaled ? rope_original(r, in) : 0;
	if (lengths && p->context_original > 0)
		p->factor = model_config_u32(r, "max_position_embeddings", 1, UINT32_MAX) /
			    (double)p->context_original;
	else if (p->kind == MODEL_ROPE_PROPORTIONAL)
		p->factor = model_config_number_or(in, "factor", 1, 1e-3, 1e6);
	else
		p->factor = model_config_number(in, "factor", 1e-3, 1e6);
}

static void rope_scaling(struct config_reader *r, struct config_reader *in, struct model_rope *p)
{
	rope_keys_check(in);
	p->kind = rope_kind(in);
	p->theta = model_config_number_or(in, "rope_theta", p->theta, 1, 1e12);
	double whole = p->kind == MODEL_ROPE_PROPORTIONAL ? 1 : p->partial;
	double share = model_config_number_or(in, "partial_rotary_factor", whole, 0, 1);
	if (p->kind == MODEL_ROPE_PROPORTIONAL)
		p->partial = share;
	else if (share < p->partial || share > p->partial)
		model_config_refuse(in, ERR_UNSUPPORTED, "partial_rotary_factor",
				    "not available in this version");
	p->context_original = 0;
	if (p->kind == MODEL_ROPE_DEFAULT)
		return;
	p->mscale_all_dim = model_config_number_or(in, "mscale_all_dim", 0, 0, 100);
	rope_factor(r, in, p);
	bool alpha = p->kind == MODEL_ROPE_DYNAMIC && model_family_owns(r->family, "alpha");
	if (alpha)
		rope_alpha(in, p);
	else if (p->kind == MODEL_ROPE_DYNAMIC)
		model_config_note(in,
				  "%s: %srope_type dynamic changes nothing within "
				  "max_position_embeddings, and no sequence is longer here",
				  in->file, in->within);
	if (p->kind == MODEL_ROPE_LLAMA3)
		rope_llama3(in, p);
	if (p->kind == MODEL_ROPE_YARN)
		rope_yarn(in, p);
	if (p->kind == MODEL_ROPE_LONG)
		rope_long(in, p);
	else if (!model_config_absent(in, "short_factor"))
		model_config_refuse(in, ERR_UNSUPPORTED, "short_factor",
				    "not available in this version but for longrope");
}

static bool same_rope(const struct model_rope *a, const struct model_rope *b)
{
	const double x[] = { a->factor,           a->theta,       a->low_freq_factor,
			     a->high_freq_factor, a->beta_fast,   a->beta_slow,
			     a->mscale,           a->attn_factor, a->mscale_all_dim,
			     a->attention_factor, a->truncate,    a->kind,
			     a->context_original, a->partial };
	const double y[] = { b->factor,           b->theta,       b->low_freq_factor,
			     b->high_freq_factor, b->beta_fast,   b->beta_slow,
			     b->mscale,           b->attn_factor, b->mscale_all_dim,
			     b->attention_factor, b->truncate,    b->kind,
			     b->context_original, b->partial };
	for (size_t i = 0; i < sizeof x / sizeof x[0]; i++) {
		if (x[i] < y[i] || x[i] > y[i])
			return false;
	}
	return memcmp(a->divisor, b->divisor, sizeof a->divisor) == 0;
}

static bool is_empty(const json_t *v) { return json_is_object(v) && json_object_size(v) == 0; }

/* The parameters in one of their two spellings; where they are by kind of layer, the kind's. */
static const json_t *parameters(struct config_reader *r, const char *key, const char *kind,
				bool *nested)
{
	const json_t *all = model_config_get(r, key), *one = NULL;
	*nested = kind != NULL && (json_is_object(json_object_get(all, "full_attention")) ||
				   json_is_object(json_object_get(all, "sliding_attention")));
	one = *nested ? json_object_get(all, kind) : all;
	return one == NULL || json_is_null(one) || is_empty(one) ? NULL : one;
}

/* false where they are absent. */
static bool rope_member(struct config_reader *r, const char *key, const char *kind,
			struct model_rope *p)
{
	bool nested;
	const json_t *one = parameters(r, key, kind, &nested);
	if (one == NULL)
		return false;
	struct config_reader outer =
		nested ? model_config_inside(r, key, model_config_get(r, key)) : *r;
	struct config_reader in = model_config_inside(&outer, nested ? kind : key, one);
	if (in.code == 0)
		rope_scaling(r, &in, p);
	r->code = r->code ? r->code : in.code;
	return true;
}

/* An odd share of a head is rotated with the dimension after it, as in the reference. */
static void odd_share(struct model_rope *p)
{
	p->span = p->size;
	if (p->size % 2 != 0 && p->partial < 1)
		p->size++;
}

static void size_check(struct config_reader *r, const struct model_config *c, struct model_rope *p)
{
	if (c->all.mixer == MODEL_MIX_GQA) /* a latent's part for it has a width of its own */
		odd_share(p);
	if (p->size % 2 != 0 || p->size == 0)
		model_config_refuse(r, ERR_UNSUPPORTED,
				    c->all.mixer == MODEL_MIX_MLA ? "qk_rope_head_dim" : "head_dim",
				    "odd number of rotated dimensions");
}

void model_config_rope(struct config_reader *r, struct model_config *c)
{
	const struct config_family *f = r->family;
	const char *base = f->theta != NULL ? f->theta : "rope_theta";
	struct model_rope *p = &c->ropes[0];
	p->theta = model_config_number_or(r, base, 10000, 1, 1e12);
	p->factor = p->kind == MODEL_ROPE_DEFAULT ? 1 : p->factor;
	size_check(r, c, p);
	struct model_rope old = *p, now = *p;
	bool has_old = rope_member(r, "rope_scaling", f->rope_kind, &old);
	bool has_now = rope_member(r, "rope_parameters", f->rope_kind, &now);
	if (r->code == 0 && has_old && has_now && !same_rope(&old, &now))
		model_config_refuse(r, ERR_INPUT, "rope_scaling",
				    "disagrees with rope_parameters: which one is meant?");
	bool beside = has_now && !model_config_absent(r, base);
	if (r->code == 0 && beside && now.kind != MODEL_ROPE_DYNAMIC &&
	    (now.theta < p->theta || now.theta > p->theta))
		/* transformers 4 leaves its default there when it saves a file of transformers 5 */
		model_config_note(r,
				  "%s: rope_parameters.rope_theta %.10g counts, %s %.10g does "
				  "not, as in the reference",
				  r->file, now.theta, base, p->theta);
	if (!has_now && !has_old && p->kind == MODEL_ROPE_YARN) /* what the class assumes */
		old.context_original = model_config_u32_or(r, "original_max_position_embeddings",
							   old.context_original, 1, 1u << 30);
	*p = has_now ? now : old;
}

void model_config_rope_kind(struct config_reader *r, const char *kind, struct model_rope *p)
{
	bool nested;
	parameters(r, "rope_parameters", kind, &nested);
	odd_share(p);
	if (nested)
		rope_member(r, "rope_parameters", kind, p);
}

uint8_t model_config_rope_add(struct config_reader *r, struct model_config *c,
			      const struct model_rope *p)
{
	if (p->kind == MODEL_ROPE_LONG || c->ropes[0].kind == MODEL_ROPE_LONG)
		model_config_refuse(r, ERR_UNSUPPORTED, "rope_parameters",
				    "longrope for some layers is not available in this version");
	if (p->size % 2 != 0)
		model_config_refuse(r, ERR_UNSUPPORTED, "rope_parameters",
				    "odd number of rotated dimensions");
	check(c->rope_count < MODEL_ROPES);
	c->ropes[c->rope_count] = *p;
	return (uint8_t)c->rope_count++;
}

double model_config_rope_number(struct config_reader *r, const char *key, double fallback,
				double min, double max)
{
	static const char *const spellings[] = { "rope_parameters", "rope_scaling" };
	bool nested;
	for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
		const json_t *one = parameters(r, spellings[i], r->family->rope_kind, &nested);
		if (one == NULL || json_object_get(one, key) == NULL)
			continue;
		struct config_reader in = model_config_inside(r, spellings[i], one);
		double v = model_config_number_or(&in, key, fallback, min, max);
		r->code = in.code;
		return v;
	}
	return fallback;
}

double model_config_rope_share(struct config_reader *r)
{
	const char *key = r->family->share;
	double share = key == NULL ? 1 : model_config_number_or(r, key, 1, 0, 1);
	return key == NULL ? 1 : model_config_rope_number(r, "partial_rotary_factor", share, 0, 1);
}
