/* The sampling defaults of generation_config.json, those that vLLM takes too (--generation-config
 * auto): temperature, top_k, top_p, min_p, repetition_penalty and max_new_tokens; and do_sample,
 * which says that none of it counts. Source: vllm/config/model.py, get_diff_sampling_param. */
#include "model/generation.h"
#include "model/config_reader.h"

#define TOKENS_MAX 2147483647.0

static void note(struct config_reader *r, const char *key, const json_t *v, const char *wanted)
{
	struct buf text = { 0 };
	struct err ignored;
	bool whole = json_write(v, 0, &text, &ignored) == 0;
	model_config_note(r, "%s: %s %.60s has no effect: expected %s", r->file, key,
			  whole ? text.bytes : "", wanted);
	buf_free(&text);
}

static const json_t *member(const struct config_reader *r, const char *key)
{
	const json_t *v = json_object_get(r->o, key);
	return json_is_null(v) ? NULL : v;
}

static bool real(struct config_reader *r, const char *key, double low, double high,
		 const char *wanted, double *out)
{
	const json_t *v = member(r, key);
	double x = json_number_value(v);
	bool good = json_is_number(v) && x >= low && x <= high;
	if (v && !good)
		note(r, key, v, wanted);
	if (good)
		*out = x;
	return good;
}

/* A whole number, which Python may write as a real; most: what is beyond counts as. */
static bool count(struct config_reader *r, const char *key, double low, const char *wanted,
		  double *out)
{
	const json_t *v = member(r, key);
	double x = json_number_value(v);
	bool good = json_is_number(v) && x >= low && (double)(int64_t)(x < 1e15 ? x : 0) == x;
	bool endless = json_is_number(v) && x > TOKENS_MAX;
	if (v && !good && !endless)
		note(r, key, v, wanted);
	if (good && !endless)
		*out = x;
	return good && !endless;
}

void model_generation_read(struct config_reader *r, struct model_generation *out)
{
	double n = 0;
	const json_t *draws = member(r, "do_sample");
	*out = (struct model_generation){ 0 };
	if (!json_is_object(r->o))
		return;
	if (draws && !json_is_boolean(draws))
		note(r, "do_sample", draws, "true or false");
	out->has_temperature = real(r, "temperature", 0, 2, "0 to 2", &out->temperature);
	out->has_top_p = real(r, "top_p", 0, 1, "0 to 1", &out->top_p);
	out->has_min_p = real(r, "min_p", 0, 1, "0 to 1", &out->min_p);
	out->has_repetition = real(r, "repetition_penalty", 1e-6, 10, "over 0, to 10",
				   &out->repetition);
	out->has_top_k = count(r, "top_k", -1, "a whole number from -1", &n);
	out->top_k = out->has_top_k && n > 0 ? (uint32_t)n : 0;
	out->has_tokens_max = count(r, "max_new_tokens", 1, "a whole number from 1", &n);
	out->tokens_max = out->has_tokens_max ? (uint32_t)n : 0;
	out->greedy = json_is_false(draws);
}
