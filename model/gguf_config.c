/* config.json from the metadata of a GGUF file. What the file says has a key in config.json, by the
 * table below; what it does not say is the architecture's (gguf_arch.c). */
#include "model/gguf_in.h"

#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *from, *to;
} common[] = {
	{ "context_length", "max_position_embeddings" },
	{ "embedding_length", "hidden_size" },
	{ "feed_forward_length", "intermediate_size" },
	{ "attention.head_count", "num_attention_heads" },
	{ "attention.head_count_kv", "num_key_value_heads" },
	{ "attention.layer_norm_rms_epsilon", "rms_norm_eps" },
	{ "attention.sliding_window", "sliding_window" },
	{ "attention.q_lora_rank", "q_lora_rank" },
	{ "attention.kv_lora_rank", "kv_lora_rank" },
	{ "attention.clamp_kqv", "clip_qkv" },
	{ "attn_logit_softcapping", "attn_logit_softcapping" },
	{ "final_logit_softcapping", "final_logit_softcapping" },
	{ "rope.freq_base", "rope_theta" },
	{ "leading_dense_block_count", "first_k_dense_replace" },
	{ "expert_used_count", "num_experts_per_tok" },
	{ "expert_shared_count", "n_shared_experts" },
	{ "expert_feed_forward_length", "moe_intermediate_size" },
	{ "expert_shared_feed_forward_length", "shared_expert_intermediate_size" },
	{ "expert_weights_scale", "routed_scaling_factor" },
	{ "expert_weights_norm", "norm_topk_prob" },
	{ "expert_group_count", "n_group" },
	{ "expert_group_used_count", "topk_group" },
};

/* ---- asking ---- */

const json_t *model_gguf_meta(const struct gguf_model *m, const char *key)
{
	const json_t *meta = m->part[0]->meta;
	char name[300];
	snprintf(name, sizeof name, "%s.%s",
		 json_string_value(json_object_get(meta, "general.architecture")), key);
	return json_object_get(meta, name);
}

/* What is said of every layer by itself must be said of all, and be the same but where own()
 * reads it. */
static int value_of(const struct gguf_model *m, const char *key, const json_t **out, struct err *e)
{
	const json_t *v = model_gguf_meta(m, key);
	json_int_t layers = json_integer_value(model_gguf_meta(m, "block_count"));
	*out = v;
	if (!json_is_array(v))
		return 0;
	if (json_array_size(v) == 0 || (json_int_t)json_array_size(v) != layers)
		return err_set(e, ERR_INPUT, "%s: %s.%s is a list of %zu for %lld layers", m->file,
			       m->arch->name, key, json_array_size(v), (long long)layers);
	*out = json_array_get(v, 0);
	if (m->arch->by_layer && (strcmp(key, "attention.head_count_kv") == 0 ||
				  strcmp(key, "feed_forward_length") == 0))
		return 0;
	for (size_t i = 1; i < json_array_size(v); i++)
		if (!json_equal(json_array_get(v, i), *out))
			return err_set(e, ERR_UNSUPPORTED,
				       "%s: %s.%s differs from layer to layer: not available in "
				       "this version",
				       m->file, m->arch->name, key);
	return 0;
}

int model_gguf_count(const struct gguf_model *m, const char *key, uint32_t fallback, uint32_t *out,
		     struct err *e)
{
	const json_t *v;
	TRY(value_of(m, key, &v, e));
	json_int_t n = json_integer_value(v);
	*out = v ? (uint32_t)n : fallback;
	if (v && (!json_is_integer(v) || n < 0 || n > UINT32_MAX))
		return err_set(e, ERR_INPUT, "%s: %s.%s is no number from 0 to 2^32", m->file,
			       m->arch->name, key);
	return 0;
}

const struct model_tensor *model_gguf_find(const struct gguf_model *m, const char *name)
{
	for (size_t p = 0; p < m->parts; p++)
		for (size_t i = 0; i < m->part[p]->count; i++)
			if (strcmp(m->part[p]->tensor[i].name, name) == 0)
				return &m->part[p]->tensor[i];
	return NULL;
}

/* ---- making ---- */

void model_gguf_set(struct gguf_maker *c, const char *key, json_t *v)
{
	if (json_object_set_new(c->o, key, v) < 0 && c->code == 0)
		c->code = err_set(c->e, ERR_NOMEM, "%s", c->m->file);
}

void model_gguf_copy(struct gguf_maker *c, const char *from, const char *to)
{
	const json_t *v = NULL;
	if (c->code == 0)
		c->code = value_of(c->m, from, &v, c->e);
	if (c->code == 0 && v)
		model_gguf_set(c, to, json_incref((json_t *)(uintptr_t)v));
}

uint32_t model_gguf_ask(struct gguf_maker *c, const char *key, uint32_t fallback)
{
	uint32_t n = fallback;
	if (c->code == 0)
		c->code = model_gguf_count(c->m, key, fallback, &n, c->e);
	return n;
}

void model_gguf_refuse(struct gguf_maker *c, const char *key, const char *why)
{
	if (c->code == 0)
		c->code = err_set(c->e, ERR_UNSUPPORTED, "%s: %s.%s: %s", c->m->file,
				  c->m->arch->name, key, why);
}

/* ---- rotation ---- */

#define LLAMA3_LOW 1.0
#define LLAMA3_HIGH 4.0
#define LLAMA3_CONTEXT 8192.0

/* The factor of the i-th pair of `pairs`, as conversion computes it. */
static double llama3_factor(double wavelength, double factor, double context)
{
	if (wavelength < context / LLAMA3_HIGH)
		return 1;
	if (wavelength > context / LLAMA3_LOW)
		return factor;
	double smooth = (context / wavelength - LLAMA3_LOW) / (LLAMA3_HIGH - LLAMA3_LOW);
	return 1 / ((1 - smooth) / factor + smooth);
}

static double wavelength(double theta, uint32_t i, uint32_t pairs)
{
	return 2 * 3.14159265358979323846 * pow(theta, (double)i / pairs);
}

/* The file has llama3's scaling only as a factor for each pair: which lengths give them? Those that
 * lie between 1 and the whole factor say for which context, and all must agree. 0: none. */
static double llama3_context(const float *f, uint32_t pairs, double theta, double whole)
{
	double context = LLAMA3_CONTEXT;
	for (uint32_t i = 0; i < pairs; i++) {
		double v = (double)f[i], smooth = (1 / v - 1 / whole) / (1 - 1 / whole);
		if (v > 1.001 && v < whole * 0.999) {
			context = round(wavelength(theta, i, pairs) *
					(LLAMA3_LOW + smooth * (LLAMA3_HIGH - LLAMA3_LOW)));
			break;
		}
	}
	for (uint32_t i = 0; i < pairs; i++) {
		double want = llama3_factor(wavelength(theta, i, pairs), whole, context);
		if (!(fabs((double)f[i] - want) <= 1e-4 * want))
			return 0;
	}
	return context;
}

/* A step: short waves as they are, the others by the whole factor. Any length between the two gives
 * the same: Llama 4's own, or the one in the middle. 0: none. */
static double step_context(const float *f, uint32_t pairs, double theta, double whole)
{
	double below = 1, above = 1e9;
	for (uint32_t i = 0; i < pairs; i++) {
		double v = (double)f[i], wave = wavelength(theta, i, pairs);
		if (fabs(v - 1) <= 1e-6)
			below = wave > below ? wave : below;
		else if (fabs(v - whole) <= 1e-6 * whole)
			above = wave < above ? wave : above;
		else
			return 0;
	}
	double context = below < LLAMA3_CONTEXT && above > LLAMA3_CONTEXT
				 ? LLAMA3_CONTEXT
				 : ceil(sqrt(below * above));
	return context > below && context < above ? context : 0;
}

#define FACTORS_MAX 2048

/* The factors of a tensor, f [FACTORS_MAX]. */
static int factors_read(struct gguf_maker *c, const struct model_tensor *t, float *f)
{
	size_t n = (size_t)t->shape[0];
	if (t->rank != 1 || t->dtype != MODEL_F32 || n < 1 || n > FACTORS_MAX)
		return err_set(c->e, ERR_INPUT, "%s: tensor %s must be F32 [1 to 2048]", t->file,
			       t->name);
	TRY(source_read(c->m->source, t->file, t->begin, f, n * sizeof *f, c->e));
	for (size_t i = 0; i < n; i++)
		if (!isfinite(f[i]) || f[i] < 1e-3F)
			return err_set(c->e, ERR_INPUT,
				       "%s: tensor %s: value %zu is no factor of a frequency",
				       t->file, t->name, i);
	return 0;
}

/* rope_freqs.weight as rope_scaling. */
static int llama3_add(struct gguf_maker *c, const struct model_tensor *t)
{
	float f[FACTORS_MAX], whole = 1;
	const json_t *theta = json_object_get(c->o, "rope_theta");
	TRY(factors_read(c, t, f));
	uint32_t pairs = (uint32_t)t->shape[0];
	for (uint32_t i = 0; i < pairs; i++)
		whole = f[i] > whole ? f[i] : whole;
	if (whole <= 1)
		return 0;
	double base = theta ? json_number_value(theta) : 10000, high = LLAMA3_HIGH;
	double context = llama3_context(f, pairs, base, (double)whole);
	if (context < 1) {
		context = step_context(f, pairs, base, (double)whole);
		high = LLAMA3_LOW;
	}
	if (context < 1)
		return err_set(c->e, ERR_UNSUPPORTED,
			       "%s: tensor %s: factors other than llama3's: not available in this "
			       "version",
			       t->file, t->name);
	model_gguf_set(c, "rope_scaling",
		       json_pack("{s:s,s:f,s:f,s:f,s:I}", "rope_type", "llama3", "factor",
				 (double)whole, "low_freq_factor", LLAMA3_LOW, "high_freq_factor",
				 high, "original_max_position_embeddings", (json_int_t)context));
	return 0;
}

json_t *model_gguf_factors(struct gguf_maker *c, const char *name)
{
	float f[FACTORS_MAX];
	const struct model_tensor *t = model_gguf_find(c->m, name);
	json_t *list = json_array();
	if (c->code == 0)
		c->code =
			t ? factors_read(c, t, f)
			  : err_set(c->e, ERR_INPUT, "%s: tensor %s is missing", c->m->file, name);
	for (uint64_t i = 0; c->code == 0 && i < t->shape[0]; i++)
		json_array_append_new(list, json_real((double)f[i]));
	return list;
}

void model_gguf_longrope(struct gguf_maker *c)
{
	json_t *near = model_gguf_factors(c, "rope_factors_short.weight"),
	       *far = model_gguf_factors(c, "rope_factors_long.weight");
	model_gguf_set(c, "rope_scaling",
		       json_pack("{s:s,s:o,s:o}", "rope_type", "longrope", "short_factor", near,
				 "long_factor", far));
}

/* A factor without a kind scales linearly, as in llama.cpp; it has an older key, *factor. */
static const char *scaling_type(struct gguf_maker *c, const char **factor)
{
	const json_t *type = model_gguf_meta(c->m, "rope.scaling.type"),
		     *v = model_gguf_meta(c->m, *factor);
	if (type && !json_is_string(type) && c->code == 0)
		c->code = err_set(c->e, ERR_INPUT, "%s: %s.rope.scaling.type is no string",
				  c->m->file, c->m->arch->name);
	if (!v) {
		*factor = "rope.scale_linear";
		v = model_gguf_meta(c->m, *factor);
	}
	bool scaled = v && (json_number_value(v) < 0 || json_number_value(v) > 0);
	return type ? json_string_value(type) : scaled || json_is_array(v) ? "linear" : NULL;
}

/* rope.scaling.* */
static void scaling_add(struct gguf_maker *c)
{
	static const struct {
		const char *from, *to;
	} keys[] = {
		{ "rope.scaling.factor", "factor" },
		{ "rope.scaling.original_context_length", "original_max_position_embeddings" },
		{ "rope.scaling.yarn_beta_fast", "beta_fast" },
		{ "rope.scaling.yarn_beta_slow", "beta_slow" },
		{ "rope.scaling.yarn_attn_factor", "attention_factor" },
		{ "rope.scaling.attn_factor", "attention_factor" },
	};
	const char *factor = keys[0].from, *type = scaling_type(c, &factor);
	const json_t *log = model_gguf_meta(c->m, "rope.scaling.yarn_log_multiplier");
	struct gguf_maker in = { .m = c->m, .o = json_object(), .e = c->e };
	bool yarn = type && strcmp(type, "yarn") == 0;
	if (!type || strcmp(type, "none") == 0) {
		json_decref(in.o);
		return;
	}
	model_gguf_set(&in, "rope_type", json_string(type));
	model_gguf_copy(&in, factor, keys[0].to);
	for (size_t i = 1; yarn && i < sizeof keys / sizeof keys[0]; i++)
		model_gguf_copy(&in, keys[i].from, keys[i].to);
	if (json_is_number(log)) { /* mscale_all_dim, which all releases have twice; or a tenth */
		double scale = strcmp(c->m->arch->name, "mistral3") == 0
				       ? json_number_value(log)
				       : round(json_number_value(log) * 1e7) / 1e6;
		model_gguf_set(&in, "mscale", json_real(scale));
		model_gguf_set(&in, "mscale_all_dim", json_real(scale));
	}
	if (strcmp(c->m->arch->type, "ministral3") == 0)
		model_gguf_copy(&in, "attention.temperature_scale", "llama_4_scaling_beta");
	if (strcmp(c->m->arch->type, "gpt_oss") == 0)
		model_gguf_set(&in, "truncate", json_false());
	c->code = c->code ? c->code : in.code;
	model_gguf_set(c, "rope_scaling", in.o);
}

/* ---- whole ---- */

static void ends_add(struct gguf_maker *c)
{
	json_t *list = json_array();
	if (c->code == 0)
		c->code = list ? model_gguf_ends(c->m, list, c->e)
			       : err_set(c->e, ERR_NOMEM, "%s", c->m->file);
	if (c->code == 0 && json_array_size(list) > 0)
		model_gguf_set(c, "eos_token_id", json_incref(list));
	json_decref(list);
	const json_t *bos = json_object_get(c->m->part[0]->meta, "tokenizer.ggml.bos_token_id");
	if (json_is_integer(bos))
		model_gguf_set(c, "bos_token_id", json_incref((json_t *)(uintptr_t)bos));
}

/* What llama.cpp refuses to do without, where the class of config.json would assume something. A
 * file of a vocabulary alone needs none of it. */
static void required(struct gguf_maker *c)
{
	bool experts = model_gguf_ask(c, "expert_count", 0) > 0;
	const struct {
		const char *key, *other;
		bool when;
	} keys[] = {
		{ "attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon", true },
		{ "context_length", NULL, true },
		{ "expert_used_count", NULL, experts },
		{ "attention.sliding_window", NULL, strcmp(c->m->arch->type, "gpt_oss") == 0 },
	};
	bool vocabulary = !model_gguf_find(c->m, "token_embd.weight");
	for (size_t i = 0; i < sizeof keys / sizeof keys[0] && c->code == 0 && !vocabulary; i++) {
		bool said = model_gguf_meta(c->m, keys[i].key) ||
			    (keys[i].other && model_gguf_meta(c->m, keys[i].other));
		if (keys[i].when && !said)
			c->code = err_set(c->e, ERR_INPUT, "%s: %s.%s is missing", c->m->file,
					  c->m->arch->name, keys[i].key);
	}
}

/* Elsewhere than where a share of a head is read, whole heads turn, and all that is before a
 * position is attended. */
static void unread(struct gguf_maker *c)
{
	static const char *const shares[] = { "partial_rotary_factor", "rotary_dim", "rotary_pct",
					      "qk_rope_head_dim" };
	uint32_t head = model_gguf_head(c);
	uint32_t turned = model_gguf_ask(c, "rope.dimension_count", head);
	bool share = c->m->arch->by_layer;
	for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++)
		share = share || json_object_get(c->o, shares[i]);
	if (c->code == 0 && !share && turned != head)
		c->code = err_set(c->e, ERR_UNSUPPORTED,
				  "%s: %s.rope.dimension_count %u of heads of %u: not available in "
				  "this version",
				  c->m->file, c->m->arch->name, turned, head);
	if (c->code == 0 && json_is_false(model_gguf_meta(c->m, "attention.causal")))
		c->code = err_set(c->e, ERR_UNSUPPORTED,
				  "%s: %s.attention.causal false: not available in this version",
				  c->m->file, c->m->arch->name);
}

static void members_add(struct gguf_maker *c)
{
	const struct gguf_arch *a = c->m->arch;
	const struct model_tensor *embed = model_gguf_find(c->m, "token_embd.weight");
	const struct model_tensor *freqs = model_gguf_find(c->m, "rope_freqs.weight");
	model_gguf_set(c, "model_type", json_string(a->type));
	for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
		model_gguf_copy(c, common[i].from, common[i].to);
	model_gguf_set(c, "num_hidden_layers", json_integer(c->m->layers));
	if (a->experts)
		model_gguf_copy(c, "expert_count", a->experts);
	if (!model_gguf_meta(c->m, "attention.kv_lora_rank"))
		model_gguf_copy(c, "attention.key_length", "head_dim");
	if (embed && embed->rank == 2)
		model_gguf_set(c, "vocab_size", json_integer((json_int_t)embed->shape[0]));
	model_gguf_set(c, "tie_word_embeddings",
		       json_boolean(!model_gguf_find(c->m, "output.weight")));
	scaling_add(c);
	if (c->code == 0 && freqs && !a->by_layer && !json_object_get(c->o, "rope_scaling"))
		c->code = llama3_add(c, freqs);
	ends_add(c);
	json_t *fixed = a->fixed ? json_loads(a->fixed, 0, NULL) : json_object();
	if (json_object_update_missing(c->o, fixed) < 0 && c->code == 0)
		c->code = err_set(c->e, ERR_NOMEM, "%s", c->m->file);
	json_decref(fixed);
	if (!json_object_get(c->o, "rope_theta")) /* llama.cpp's, whatever the class assumes */
		model_gguf_set(c, "rope_theta", json_integer(10000));
	if (a->own)
		a->own(c);
	required(c);
	unread(c);
}

int model_gguf_config(const struct gguf_model *m, struct buf *out, struct err *e)
{
	struct gguf_maker c = { .m = m, .o = json_object(), .e = e };
	if (!c.o)
		return err_set(e, ERR_NOMEM, "%s", m->file);
	members_add(&c);
	int rc = c.code ? c.code : json_write(c.o, 0, out, e);
	json_decref(c.o);
	return rc;
}
