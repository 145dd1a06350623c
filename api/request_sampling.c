/* Request fields that say how tokens are drawn. */
#include "base/limits.h"
#include "base/text.h"
#include "api/request_read.h"

#include <stdlib.h>
#include <string.h>

#define STRING_BYTES_MAX 512u /* of a stop string: the session holds back as much text */
#define BAN_BYTES_MAX 256u

int api_read_n(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t x = 0;
	TRY(api_read_integer(name, v, 1, API_CHOICES, &x, e));
	r->n = (uint32_t)x;
	return 0;
}

int api_read_temperature(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_real(name, v, 0, 2, &r->temperature, e);
}

int api_read_top_p(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_real(name, v, 0, 1, &r->top_p, e);
}

int api_read_min_p(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_real(name, v, 0, 1, &r->min_p, e);
}

int api_read_top_k(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t x = 0;
	TRY(api_read_integer(name, v, -1, INT32_MAX, &x, e));
	r->top_k = x < 0 ? 0 : (uint32_t)x;
	return 0;
}

int api_read_frequency(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_real(name, v, -2, 2, &r->frequency, e);
}

int api_read_presence(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_real(name, v, -2, 2, &r->presence, e);
}

int api_read_repetition(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	TRY(api_read_real(name, v, 0, 10, &r->repetition, e));
	return r->repetition > 0 ? 0 : api_read_unexpected(name, "a number over 0, to 10", e);
}

int api_read_seed(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t x = 0;
	TRY(api_read_integer(name, v, INT64_MIN, INT64_MAX, &x, e));
	if (r->has_seed && r->seed != x)
		return api_read_unexpected(name, "the same number as the other seed beside it", e);
	r->seed = x;
	r->has_seed = true;
	return 0;
}

static uint32_t tokens(json_int_t x)
{
	return x > (json_int_t)LIMIT_CONTEXT_TOKENS ? LIMIT_CONTEXT_TOKENS : (uint32_t)x;
}

static int read_most(const char *name, const json_t *v, uint32_t *out, struct err *e)
{
	json_int_t x = 0;
	TRY(api_read_integer(name, v, 1, INT32_MAX, &x, e));
	*out = tokens(x);
	return 0;
}

/* The later name counts where both are given. */
int api_read_tokens_max(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const json_t *later = api_read_member(r->root, "max_completion_tokens");
	uint32_t most = 0;
	TRY(read_most(name, v, &most, e));
	if (later)
		TRY(read_most("max_completion_tokens", later, &r->tokens_max, e));
	if (later && r->tokens_max != most)
		return api_read_note(r, name, e);
	if (r->tokens_max && r->tokens_max != most)
		return api_read_unexpected(name, "the same number as the other limit beside it", e);
	r->tokens_max = most;
	return 0;
}

int api_read_completion_max(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return read_most(name, v, &r->tokens_max, e);
}

/* llama.cpp's; -1: as many as there is room for. */
int api_read_predict(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool all = json_is_number(v) && json_number_value(v) == -1;
	return all ? api_read_note(r, name, e) : api_read_tokens_max(r, name, v, e);
}

int api_read_tokens_min(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t x = 0;
	TRY(api_read_integer(name, v, 0, INT32_MAX, &x, e));
	r->tokens_min = tokens(x);
	return 0;
}

int api_read_ignore_eos(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_bool(name, v, &r->ignore_eos, e);
}

int api_read_stop(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	if (json_is_string(v) && json_string_length(v) == 0)
		return 0; /* none */
	return api_read_strings(name, v, true, API_STOPS, STRING_BYTES_MAX, r->stop, &r->stop_count,
				e);
}

int api_read_stop_ids(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t i;
	json_t *one;
	if (!json_is_array(v))
		return api_read_mistyped(name, "a list of token ids", e);
	if (json_array_size(v) > API_STOP_IDS)
		return err_at(e,
			      err_set(e, ERR_INPUT, "\"%s\": %zu of them; at most %u are taken",
				      name, json_array_size(v), API_STOP_IDS),
			      "array_above_max_length", "%s", name);
	json_array_foreach(v, i, one) {
		json_int_t id = 0;
		TRY(api_read_integer(name, one, 0, UINT32_MAX, &id, e));
		r->stop_id[r->stop_ids++] = (uint32_t)id;
	}
	return 0;
}

/* False: the likeliest token each time, as in Hugging Face's generate. */
int api_read_do_sample(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	bool draws = true;
	TRY(api_read_bool(name, v, &draws, e));
	if (draws)
		return api_read_note(r, name, e);
	r->greedy = true;
	return 0;
}

int api_read_ban(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_strings(name, v, false, API_BANS, BAN_BYTES_MAX, r->ban, &r->ban_count, e);
}

/* false is a ban. */
static int add_bias(struct api_request *r, const char *name, json_int_t id, const json_t *v,
		    struct err *e)
{
	double x = -100;
	if (id < 0 || id > UINT32_MAX)
		return api_read_unexpected(name, "token ids as keys", e);
	if (!json_is_false(v))
		TRY(api_read_real(name, v, -100, 100, &x, e));
	r->bias[r->bias_count++] =
		(struct api_request_bias){ .id = (uint32_t)id, .bias = (float)x };
	return 0;
}

/* [[id, bias], ...]: llama.cpp's form. A text in place of an id stands for no one token. */
static int read_pairs(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t i;
	json_t *pair;
	json_array_foreach(v, i, pair) {
		const json_t *id = json_array_get(pair, 0);
		if (json_array_size(pair) != 2 || !json_is_integer(id))
			return api_read_mistyped(name, "pairs of a token id and a number", e);
		TRY(add_bias(r, name, json_integer_value(id), json_array_get(pair, 1), e));
	}
	return 0;
}

int api_read_bias(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *key;
	json_t *one;
	size_t size = json_object_size(v) + json_array_size(v);
	if (!json_is_object(v) && !json_is_array(v))
		return api_read_mistyped(name, "an object, or a list of pairs", e);
	if (size > API_BIASES)
		return err_at(e,
			      err_set(e, ERR_INPUT, "\"%s\": %zu tokens; at most %u are taken",
				      name, size, API_BIASES),
			      "array_above_max_length", "%s", name);
	r->bias = calloc(size + 1, sizeof *r->bias);
	if (!r->bias)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	if (json_is_array(v))
		return read_pairs(r, name, v, e);
	json_object_foreach((json_t *)v, key, one) {
		uint64_t id;
		if (text_parse_u64(key, strlen(key), &id) < 0 || id > UINT32_MAX)
			return api_read_unexpected(name, "token ids as keys", e);
		TRY(add_bias(r, name, (json_int_t)id, one, e));
	}
	return 0;
}

int api_read_logprobs(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_bool(name, v, &r->logprobs, e);
}

int api_read_top_logprobs(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t x = 0;
	TRY(api_read_integer(name, v, 0, 20, &x, e));
	r->top_logprobs = (uint32_t)x;
	return 0;
}
