/* The body of POST /v1/chat/completions: one JSON object, at most 8 MiB, 32 levels, keys of 128
 * bytes, arrays of 100,000 elements, 2^17 values in all. What a field may hold stands in the table
 * `fields`; what is not in it is refused by name. Readers of more than a
 * line stand in request_messages.c, request_sampling.c and request_tools.c. */
#include "api/request_read.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define KEY_BYTES_MAX 128u
#define ARRAY_MAX 100000u
#define VALUES_MAX (1u << 17) /* the parser allocates some 300 bytes for the two of {} */
#define MODEL_BYTES_MAX 256u
#define METADATA_MAX 16

/* ---- shape: counted before the parser allocates ---- */

struct shape {
	size_t elements[LIMIT_JSON_DEPTH + 1]; /* commas so far, by depth */
	int depth;
	size_t values, string_bytes; /* the last string, unescaped */
};

/* Bytes of the escape that starts at s (a backslash); *unescaped grows by what it stands for. */
static size_t escape_bytes(const char *s, size_t len, size_t *unescaped)
{
	char hex[2] = { '0', '0' };
	uint8_t high = 0;
	if (len < 6 || s[1] != 'u') {
		++*unescaped;
		return 2;
	}
	for (int i = 0; i < 2; i++)
		hex[i] = s[2 + i] >= 'A' && s[2 + i] <= 'F' ? (char)(s[2 + i] + 32) : s[2 + i];
	if (text_unhex(hex, 2, &high, 1) < 0)
		return 2; /* the parser refuses it */
	if (high >= 0xd8 && high <= 0xdf)
		*unescaped += 2; /* half of a four-byte character */
	else
		*unescaped += high >= 0x08 ? 3 : high || s[4] >= '8' ? 2 : 1;
	return 6;
}

/* From the byte after a quote to the one after its partner. */
static size_t skip_string(struct shape *s, const char *text, size_t i, size_t len)
{
	s->string_bytes = 0;
	while (i < len && text[i] != '"') {
		if (text[i] == '\\') {
			i += escape_bytes(text + i, len - i, &s->string_bytes);
		} else {
			i++;
			s->string_bytes++;
		}
	}
	return i + 1;
}

static int count_byte(struct shape *s, char c, struct err *e)
{
	if (c == '[' || c == '{') {
		if (++s->depth > LIMIT_JSON_DEPTH)
			return err_set(e, ERR_INPUT, "the body is nested deeper than %d levels",
				       LIMIT_JSON_DEPTH);
		s->elements[s->depth] = 0;
		s->values++;
	} else if (c == ']' || c == '}') {
		s->depth -= s->depth > 0;
	} else if (c == ',') {
		s->values++;
		if (++s->elements[s->depth] >= ARRAY_MAX)
			return err_set(e, ERR_INPUT, "the body has a list of more than %u elements",
				       ARRAY_MAX);
	} else if (c == ':' && s->string_bytes > KEY_BYTES_MAX) {
		return err_set(e, ERR_INPUT, "the body has a key of more than %u bytes",
			       KEY_BYTES_MAX);
	}
	if (s->values > VALUES_MAX)
		return err_set(e, ERR_INPUT, "the body has more than %u values", VALUES_MAX);
	return 0;
}

/* Text that is not JSON may be counted wrongly: the parser refuses it at the place. */
int api_read_shape(struct api_request *r, const char *text, size_t len, struct err *e)
{
	struct shape s = { .values = r->values };
	for (size_t i = 0; i < len;) {
		if (text[i] == '"') {
			i = skip_string(&s, text, i + 1, len);
			continue;
		}
		TRY(count_byte(&s, text[i], e));
		i++;
	}
	r->values = s.values;
	return 0;
}

/* ---- kinds of values ---- */

int api_read_unexpected(const char *name, const char *wanted, struct err *e)
{
	return err_set(e, ERR_INPUT, "\"%s\": expected %s", name, wanted);
}

int api_read_unsupported(const char *name, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "not available in this version: %.*s",
		       (int)KEY_BYTES_MAX, name);
}

int api_read_real(const char *name, const json_t *v, double low, double high, double *out,
		  struct err *e)
{
	double x = json_number_value(v);
	if (!json_is_number(v) || !(x >= low && x <= high))
		return err_set(e, ERR_INPUT, "\"%s\": expected a number from %g to %g", name, low,
			       high);
	*out = x;
	return 0;
}

int api_read_integer(const char *name, const json_t *v, json_int_t low, json_int_t high,
		     json_int_t *out, struct err *e)
{
	json_int_t x = json_integer_value(v);
	if (!json_is_integer(v) || x < low || x > high)
		return err_set(e, ERR_INPUT, "\"%s\": expected an integer from %lld to %lld", name,
			       (long long)low, (long long)high);
	*out = x;
	return 0;
}

int api_read_bool(const char *name, const json_t *v, bool *out, struct err *e)
{
	if (!json_is_boolean(v))
		return api_read_unexpected(name, "true or false", e);
	*out = json_is_true(v);
	return 0;
}

int api_read_strings(const char *name, const json_t *v, bool lone, size_t most, size_t bytes_max,
		     const char **out, size_t *count, struct err *e)
{
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	if (n > most)
		return err_set(e, ERR_INPUT, "\"%s\": expected at most %zu strings, found %zu",
			       name, most, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
		size_t len = json_string_length(one);
		if (!json_is_string(one) || (!lone && one == v) || len == 0 || len > bytes_max)
			return err_set(e, ERR_INPUT, "\"%s\": expected strings of 1 to %zu bytes",
				       name, bytes_max);
		out[(*count)++] = json_string_value(one);
	}
	return 0;
}

int api_read_note(struct api_request *r, const char *name, struct err *e)
{
	size_t i;
	json_t *noted;
	json_array_foreach(r->without_effect, i, noted)
	{
		if (strcmp(json_string_value(noted), name) == 0)
			return 0;
	}
	if (json_array_append_new(r->without_effect, json_string(name)) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return 0;
}

/* ---- the other fields ---- */

static int read_model(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t len = json_string_length(v);
	if (!json_is_string(v) || len == 0 || len > MODEL_BYTES_MAX)
		return api_read_unexpected(name, "a name of 1 to 256 bytes", e);
	r->model = json_string_value(v);
	return 0;
}

static int read_stream(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return api_read_bool(name, v, &r->stream, e);
}

static int read_stream_options(struct api_request *r, const char *name, const json_t *v,
			       struct err *e)
{
	static const char *const keys[] = { "include_usage", "include_obfuscation", NULL };
	const json_t *usage = json_object_get(v, keys[0]),
		     *obfuscation = json_object_get(v, keys[1]);
	bool ignored = false;
	if (!json_is_object(v))
		return api_read_unexpected(name, "an object", e);
	if (!json_is_true(json_object_get(r->root, "stream")))
		return err_set(e, ERR_INPUT,
			       "\"stream_options\" is allowed only with \"stream\": true");
	TRY(json_only_keys(v, keys, name, e));
	if (usage && !json_is_null(usage))
		TRY(api_read_bool("stream_options.include_usage", usage, &r->include_usage, e));
	if (!obfuscation || json_is_null(obfuscation))
		return 0;
	TRY(api_read_bool("stream_options.include_obfuscation", obfuscation, &ignored, e));
	return api_read_note(r, "stream_options.include_obfuscation", e);
}

static int read_modalities(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *only = json_string_value(json_array_get(v, 0));
	if (!json_is_array(v))
		return api_read_unexpected(name, "a list", e);
	bool is_text = json_array_size(v) == 1 && only && strcmp(only, "text") == 0;
	return is_text ? api_read_note(r, name, e) : api_read_unsupported(name, e);
}

static int ignore_string(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return json_is_string(v) ? api_read_note(r, name, e)
				 : api_read_unexpected(name, "a string", e);
}

static int ignore_bool(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	return json_is_boolean(v) ? api_read_note(r, name, e)
				  : api_read_unexpected(name, "true or false", e);
}

static int ignore_metadata(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *key;
	json_t *one;
	if (!json_is_object(v) || json_object_size(v) > METADATA_MAX)
		return api_read_unexpected(name, "an object of at most 16 strings", e);
	json_object_foreach((json_t *)v, key, one)
	{
		if (!json_is_string(one))
			return api_read_unexpected(name, "an object of strings", e);
	}
	return api_read_note(r, name, e);
}

/* Deprecated lists of functions: understood only when empty, or when none is to be called. */
static int read_functions(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	if (!json_is_array(v))
		return api_read_unexpected(name, "a list", e);
	return json_array_size(v) ? api_read_unsupported(name, e) : api_read_note(r, name, e);
}

static int read_function_call(struct api_request *r, const char *name, const json_t *v,
			      struct err *e)
{
	const char *choice = json_string_value(v);
	return choice && strcmp(choice, "none") == 0 ? api_read_note(r, name, e)
						     : api_read_unsupported(name, e);
}

static const struct {
	const char *name;
	api_field_reader *read;
} fields[] = {
	{ "model", read_model },
	{ "messages", api_read_messages },
	{ "stream", read_stream },
	{ "stream_options", read_stream_options },
	{ "n", api_read_n },
	{ "temperature", api_read_temperature },
	{ "top_p", api_read_top_p },
	{ "min_p", api_read_min_p },
	{ "top_k", api_read_top_k },
	{ "frequency_penalty", api_read_frequency },
	{ "presence_penalty", api_read_presence },
	{ "repetition_penalty", api_read_repetition },
	{ "logit_bias", api_read_bias },
	{ "seed", api_read_seed },
	{ "max_tokens", api_read_tokens_max },
	{ "max_completion_tokens", api_read_tokens_max },
	{ "min_tokens", api_read_tokens_min },
	{ "ignore_eos", api_read_ignore_eos },
	{ "stop", api_read_stop },
	{ "bad_words", api_read_ban },
	{ "logprobs", api_read_logprobs },
	{ "top_logprobs", api_read_top_logprobs },
	{ "tools", api_read_tools },
	{ "tool_choice", api_read_tool_choice },
	{ "parallel_tool_calls", api_read_parallel },
	{ "response_format", api_read_response_format },
	{ "guided_json", api_read_guided_json },
	{ "guided_regex", api_read_guided_regex },
	{ "guided_choice", api_read_guided_choice },
	{ "guided_grammar", api_read_guided_grammar },
	{ "structured_outputs", api_read_structured },
	{ "chat_template_kwargs", api_read_kwargs },
	{ "reasoning_effort", api_read_effort },
	{ "functions", read_functions },
	{ "function_call", read_function_call },
	{ "modalities", read_modalities },
	/* accepted without effect */
	{ "user", ignore_string },
	{ "safety_identifier", ignore_string },
	{ "prompt_cache_key", ignore_string },
	{ "service_tier", ignore_string },
	{ "store", ignore_bool },
	{ "metadata", ignore_metadata },
};

static int read_field(struct api_request *r, const char *name, const json_t *v, struct err *e)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(fields[i].name, name) == 0)
			return json_is_null(v) ? 0 : fields[i].read(r, name, v, e);
	return api_read_unsupported(name, e);
}

static int read_fields(struct api_request *r, struct err *e)
{
	const char *name;
	json_t *v;
	if (!json_is_object(r->root))
		return err_set(e, ERR_INPUT, "the body: expected one JSON object");
	json_object_foreach(r->root, name, v)
		TRY(read_field(r, name, v, e));
	if (!r->model)
		return err_set(e, ERR_INPUT, "\"model\" is missing");
	if (!json_array_size(r->messages))
		return err_set(e, ERR_INPUT, "\"messages\" is missing");
	return api_read_together(r, e);
}

int api_request_parse(const void *body, size_t len, struct api_request *out, struct err *e)
{
	*out = (struct api_request){ .n = 1, .temperature = 1, .top_p = 1, .repetition = 1 };
	if (len > LIMIT_REQUEST_BYTES)
		return err_set(e, ERR_INPUT, "the body is longer than 8 MiB");
	TRY(api_read_shape(out, body, len, e));
	int r = json_read_as(&out->root, body ? body : "", len, LIMIT_REQUEST_BYTES,
			     LIMIT_JSON_DEPTH, JSON_WIDE, e);
	if (r < 0)
		return r == ERR_INPUT ? err_prefix(e, "the body is not JSON") : r;
	out->messages = json_array();
	out->without_effect = json_array();
	if (!out->messages || !out->without_effect)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return read_fields(out, e);
}

void api_request_free(struct api_request *r)
{
	json_decref(r->root);
	json_decref(r->messages);
	json_decref(r->without_effect);
	json_decref(r->template_kwargs);
	buf_free(&r->constraint_text);
	free(r->bias);
	*r = (struct api_request){ 0 };
}
