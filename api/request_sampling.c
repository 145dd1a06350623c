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
	r->seed = x;
	r->has_seed = true;
	return 0;
}

static uint32_t tokens(json_int_t x)
{
	return x > (json_int_t)LIMIT_CONTEXT_TOKENS ? LIMIT_CONTEXT_TOKENS : (uint32_t)x;
}

int api_read_tokens_max(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t x = 0;
	TRY(api_read_integer(name, v, 1, INT32_MAX, &x, e));
	if (r->tokens_max && r->tokens_max != tokens(x))
		return err_set(e, ERR_INPUT, "\"max_tokens\" and \"max_completion_tokens\" differ");
	r->tokens_max = tokens(x);
	return 0;
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
	return api_read_strings(name, v, true, API_STOPS, STRING_BYTES_MAX, r->stop, &r->stop_count,
				e);
}

int api_read_ban(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_strings(name, v, false, API_BANS, BAN_BYTES_MAX, r->ban, &r->ban_count, e);
}

int api_read_bias(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *key;
	json_t *one;
	size_t size = json_object_size(v);
	if (!json_is_object(v))
		return api_read_unexpected(name, "an object", e);
	if (size > API_BIASES)
		return err_set(e, ERR_INPUT, "\"%s\": %zu tokens; at most %u are taken", name, size,
			       API_BIASES);
	r->bias = calloc(size + 1, sizeof *r->bias);
	if (!r->bias)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	json_object_foreach((json_t *)v, key, one)
	{
		uint64_t id;
		double x = 0;
		if (text_parse_u64(key, strlen(key), &id) < 0 || id > UINT32_MAX)
			return api_read_unexpected(name, "token ids as keys", e);
		TRY(api_read_real(name, one, -100, 100, &x, e));
		r->bias[r->bias_count++] =
			(struct api_request_bias){ .id = (uint32_t)id, .bias = (float)x };
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
