/* The body of POST /v1/chat/completions: one JSON object, at most 8 MiB, 32 levels, keys of 128
 * bytes, arrays of 100,000 elements, 2^17 values in all. What a field may hold stands in the table
 * `fields`; what is not in it is refused by name. */
#include "flow/request.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <string.h>

#define KEY_BYTES_MAX 128u
#define ARRAY_MAX 100000u
#define VALUES_MAX                                                                     \
	(1u << 17) /* bounds what the parser allocates: two bytes, {}, become some 300 \
		    */
#define MODEL_BYTES_MAX 256u
#define STOP_BYTES_MAX 512u /* the session holds back as much text */
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

/* Text that is not JSON may be counted wrongly; the parser refuses it where the count went wrong.
 */
static int check_shape(const char *text, size_t len, struct err *e)
{
	struct shape s = { 0 };
	for (size_t i = 0; i < len;) {
		if (text[i] == '"') {
			i = skip_string(&s, text, i + 1, len);
			continue;
		}
		TRY(count_byte(&s, text[i], e));
		i++;
	}
	return 0;
}

/* ---- kinds of values ---- */

static int unexpected(const char *name, const char *wanted, struct err *e)
{
	return err_set(e, ERR_INPUT, "\"%s\": expected %s", name, wanted);
}

static int unsupported(const char *name, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "not available in this version: %.*s",
		       (int)KEY_BYTES_MAX, name);
}

static int read_real(const char *name, const json_t *v, double low, double high, double *out,
		     struct err *e)
{
	double x = json_number_value(v);
	if (!json_is_number(v) || !(x >= low && x <= high))
		return err_set(e, ERR_INPUT, "\"%s\": expected a number from %g to %g", name, low,
			       high);
	*out = x;
	return 0;
}

static int read_integer(const char *name, const json_t *v, json_int_t low, json_int_t high,
			json_int_t *out, struct err *e)
{
	json_int_t x = json_integer_value(v);
	if (!json_is_integer(v) || x < low || x > high)
		return err_set(e, ERR_INPUT, "\"%s\": expected an integer from %lld to %lld", name,
			       (long long)low, (long long)high);
	*out = x;
	return 0;
}

static int read_bool(const char *name, const json_t *v, bool *out, struct err *e)
{
	if (!json_is_boolean(v))
		return unexpected(name, "true or false", e);
	*out = json_is_true(v);
	return 0;
}

static int note_without_effect(struct flow_request *r, const char *name, struct err *e)
{
	size_t i;
	json_t *noted;
	json_array_foreach(r->without_effect, i,
			   noted) if (strcmp(json_string_value(noted), name) == 0) return 0;
	if (json_array_append_new(r->without_effect, json_string(name)) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return 0;
}

/* ---- messages ---- */

static int read_role(const json_t *message, size_t index, json_t **out, struct err *e)
{
	static const char *const later[] = { "developer", "tool", "function" };
	json_t *v = json_object_get(message, "role");
	const char *role = json_string_value(v);
	if (!role)
		return err_set(e, ERR_INPUT, "\"messages\", item %zu: \"role\" is not a string",
			       index);
	for (size_t i = 0; i < sizeof later / sizeof *later; i++)
		if (strcmp(role, later[i]) == 0)
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: messages of role \"%s\"",
				       role);
	if (strcmp(role, "system") != 0 && strcmp(role, "user") != 0 &&
	    strcmp(role, "assistant") != 0)
		return err_set(e, ERR_INPUT, "\"messages\", item %zu: unknown role \"%.40s\"",
			       index, role);
	*out = v;
	return 0;
}

/* {"type": "text", "text": ...} appended to joined. */
static int read_part(const json_t *part, size_t index, struct buf *joined, struct err *e)
{
	static const char *const later[] = { "image_url", "input_audio", "file", "refusal" };
	static const char *const keys[] = { "type", "text", NULL };
	const char *type = json_string_value(json_object_get(part, "type"));
	const json_t *text = json_object_get(part, "text");
	for (size_t i = 0; type && i < sizeof later / sizeof *later; i++)
		if (strcmp(type, later[i]) == 0)
			return err_set(
				e, ERR_UNSUPPORTED,
				"not available in this version: content parts of type \"%s\"",
				type);
	if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
		return err_set(e, ERR_INPUT,
			       "\"messages\", item %zu: expected parts "
			       "{\"type\": \"text\", \"text\": string}",
			       index);
	TRY(json_only_keys(part, keys, "a content part", e));
	buf_add(joined, json_string_value(text), json_string_length(text));
	return 0;
}

static int join_parts(const json_t *parts, size_t index, json_t **out, struct err *e)
{
	struct buf joined = { 0 };
	size_t i;
	json_t *part;
	int r = json_array_size(parts)
			? 0
			: err_set(e, ERR_INPUT, "\"messages\", item %zu: no content", index);
	json_array_foreach(parts, i, part)
	{
		if (i > 0)
			buf_add_byte(&joined, '\n');
		r = read_part(part, index, &joined, e);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = buf_done(&joined, e);
	if (r == 0)
		*out = json_stringn_nocheck(joined.bytes ? joined.bytes : "", joined.len);
	buf_free(&joined);
	return r;
}

/* Members that clients send back from an earlier answer; only their absence (null or an empty list)
 * is understood. */
static int check_members(struct flow_request *r, const json_t *message, size_t index, struct err *e)
{
	static const char *const known[] = { "refusal",          "audio",       "tool_calls",
					     "function_call",    "annotations", "tool_call_id",
					     "reasoning_content" };
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)message, key, v)
	{
		if (strcmp(key, "role") == 0 || strcmp(key, "content") == 0 || json_is_null(v))
			continue;
		if (strcmp(key, "name") == 0) {
			if (!json_is_string(v))
				return err_set(e, ERR_INPUT,
					       "\"messages\", item %zu: \"name\" is not a string",
					       index);
			TRY(note_without_effect(r, "messages.name", e));
			continue;
		}
		bool is_known = false;
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			is_known |= strcmp(key, known[i]) == 0;
		if (!is_known || !json_is_array(v) || json_array_size(v) > 0)
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: \"%.100s\" of a message",
				       key);
	}
	return 0;
}

static int read_message(struct flow_request *r, const json_t *message, size_t index, struct err *e)
{
	json_t *role = NULL, *content, *text = NULL;
	if (!json_is_object(message))
		return err_set(e, ERR_INPUT, "\"messages\", item %zu: expected an object", index);
	TRY(read_role(message, index, &role, e));
	TRY(check_members(r, message, index, e));
	content = json_object_get(message, "content");
	if (json_is_string(content))
		text = json_incref(content);
	else if (json_is_array(content))
		TRY(join_parts(content, index, &text, e));
	else
		return err_set(e, ERR_INPUT,
			       "\"messages\", item %zu: \"content\" is neither a string nor a list",
			       index);
	json_t *clean = json_pack("{s:O,s:o}", "role", role, "content", text);
	if (json_array_append_new(r->messages, clean) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return 0;
}

static int read_messages(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t i;
	json_t *message;
	if (!json_is_array(v) || json_array_size(v) == 0)
		return unexpected(name, "a list of at least one message", e);
	if (json_array_size(v) > LIMIT_MESSAGES)
		return err_set(e, ERR_INPUT, "\"messages\": %zu of them; at most %u are taken",
			       json_array_size(v), LIMIT_MESSAGES);
	json_array_foreach(v, i, message) TRY(read_message(r, message, i, e));
	return 0;
}

/* ---- the other fields ---- */

static int read_model(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t len = json_string_length(v);
	if (!json_is_string(v) || len == 0 || len > MODEL_BYTES_MAX)
		return unexpected(name, "a name of 1 to 256 bytes", e);
	r->model = json_string_value(v);
	return 0;
}

static int read_stream(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	return read_bool(name, v, &r->stream, e);
}

static int read_stream_options(struct flow_request *r, const char *name, const json_t *v,
			       struct err *e)
{
	static const char *const keys[] = { "include_usage", "include_obfuscation", NULL };
	const json_t *usage = json_object_get(v, keys[0]),
		     *obfuscation = json_object_get(v, keys[1]);
	bool ignored = false;
	if (!json_is_object(v))
		return unexpected(name, "an object", e);
	if (!json_is_true(json_object_get(r->root, "stream")))
		return err_set(e, ERR_INPUT,
			       "\"stream_options\" is allowed only with \"stream\": true");
	TRY(json_only_keys(v, keys, name, e));
	if (usage && !json_is_null(usage))
		TRY(read_bool("stream_options.include_usage", usage, &r->include_usage, e));
	if (!obfuscation || json_is_null(obfuscation))
		return 0;
	TRY(read_bool("stream_options.include_obfuscation", obfuscation, &ignored, e));
	return note_without_effect(r, "stream_options.include_obfuscation", e);
}

static int read_temperature(struct flow_request *r, const char *name, const json_t *v,
			    struct err *e)
{
	return read_real(name, v, 0, 2, &r->temperature, e);
}

static int read_top_p(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	TRY(read_real(name, v, 0, 1, &r->top_p, e));
	return r->top_p > 0 ? 0 : unexpected(name, "a number over 0, to 1", e);
}

static int read_min_p(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	return read_real(name, v, 0, 1, &r->min_p, e);
}

static int read_top_k(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t x = 0;
	TRY(read_integer(name, v, -1, INT32_MAX, &x, e));
	r->top_k = x < 0 ? 0 : (uint32_t)x;
	return 0;
}

static int read_seed(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t x = 0;
	TRY(read_integer(name, v, 0, INT64_MAX, &x, e));
	r->seed = (uint64_t)x;
	r->has_seed = true;
	return 0;
}

static int read_tokens_max(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	json_int_t x = 0;
	TRY(read_integer(name, v, 1, INT32_MAX, &x, e));
	uint32_t clamped =
		x > (json_int_t)LIMIT_CONTEXT_TOKENS ? LIMIT_CONTEXT_TOKENS : (uint32_t)x;
	if (r->tokens_max && r->tokens_max != clamped)
		return err_set(e, ERR_INPUT, "\"max_tokens\" and \"max_completion_tokens\" differ");
	r->tokens_max = clamped;
	return 0;
}

static int read_stop(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	size_t count = json_is_array(v) ? json_array_size(v) : 1;
	if (count > FLOW_REQUEST_STOPS)
		return unexpected(name, "at most 16 strings", e);
	for (size_t i = 0; i < count; i++) {
		const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
		size_t len = json_string_length(one);
		if (!json_is_string(one) || len == 0 || len > STOP_BYTES_MAX)
			return unexpected(name, "strings of 1 to 512 bytes", e);
		r->stop[r->stop_count++] = json_string_value(one);
	}
	return 0;
}

static int read_n(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	(void)r;
	json_int_t x = 0;
	TRY(read_integer(name, v, 1, 128, &x, e));
	return x == 1 ? 0 : unsupported("n over 1", e);
}

/* Penalties: in range, but only without effect. */
static int read_penalty(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	double x = 0;
	TRY(read_real(name, v, -2, 2, &x, e));
	return x == 0 ? note_without_effect(r, name, e) : unsupported(name, e);
}

static int read_logprobs(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	bool on = false;
	TRY(read_bool(name, v, &on, e));
	return on ? unsupported(name, e) : note_without_effect(r, name, e);
}

static int read_top_logprobs(struct flow_request *r, const char *name, const json_t *v,
			     struct err *e)
{
	json_int_t x = 0;
	TRY(read_integer(name, v, 0, 20, &x, e));
	return x ? unsupported(name, e) : note_without_effect(r, name, e);
}

static int read_logit_bias(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *key;
	json_t *bias;
	if (!json_is_object(v))
		return unexpected(name, "an object", e);
	json_object_foreach((json_t *)v, key, bias)
	{
		uint64_t id;
		double x = 0;
		if (text_parse_u64(key, strlen(key), &id) < 0)
			return unexpected(name, "token ids as keys", e);
		TRY(read_real(name, bias, -100, 100, &x, e));
	}
	return json_object_size(v) ? unsupported(name, e) : note_without_effect(r, name, e);
}

/* Lists that are understood only when empty. */
static int read_empty_list(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	if (!json_is_array(v))
		return unexpected(name, "a list", e);
	return json_array_size(v) ? unsupported(name, e) : note_without_effect(r, name, e);
}

static int read_response_format(struct flow_request *r, const char *name, const json_t *v,
				struct err *e)
{
	const char *type = json_string_value(json_object_get(v, "type"));
	if (!type)
		return unexpected(name, "an object with a \"type\"", e);
	if (strcmp(type, "text") == 0)
		return note_without_effect(r, name, e);
	return err_set(e, ERR_UNSUPPORTED,
		       "not available in this version: response_format \"%.40s\"", type);
}

static int read_modalities(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *only = json_string_value(json_array_get(v, 0));
	if (!json_is_array(v))
		return unexpected(name, "a list", e);
	bool is_text = json_array_size(v) == 1 && only && strcmp(only, "text") == 0;
	return is_text ? note_without_effect(r, name, e) : unsupported(name, e);
}

static int read_tool_choice(struct flow_request *r, const char *name, const json_t *v,
			    struct err *e)
{
	const char *choice = json_string_value(v);
	return choice && strcmp(choice, "none") == 0 ? note_without_effect(r, name, e)
						     : unsupported(name, e);
}

static int ignore_string(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	return json_is_string(v) ? note_without_effect(r, name, e)
				 : unexpected(name, "a string", e);
}

static int ignore_bool(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	return json_is_boolean(v) ? note_without_effect(r, name, e)
				  : unexpected(name, "true or false", e);
}

static int ignore_metadata(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	const char *key;
	json_t *one;
	if (!json_is_object(v) || json_object_size(v) > METADATA_MAX)
		return unexpected(name, "an object of at most 16 strings", e);
	json_object_foreach((json_t *)v, key,
			    one) if (!json_is_string(one)) return unexpected(name,
									     "an object of strings",
									     e);
	return note_without_effect(r, name, e);
}

static const struct {
	const char *name;
	int (*read)(struct flow_request *r, const char *name, const json_t *v, struct err *e);
} fields[] = {
	{ "model", read_model },
	{ "messages", read_messages },
	{ "stream", read_stream },
	{ "stream_options", read_stream_options },
	{ "temperature", read_temperature },
	{ "top_p", read_top_p },
	{ "min_p", read_min_p },
	{ "top_k", read_top_k },
	{ "seed", read_seed },
	{ "max_tokens", read_tokens_max },
	{ "max_completion_tokens", read_tokens_max },
	{ "stop", read_stop },
	{ "n", read_n },
	{ "frequency_penalty", read_penalty },
	{ "presence_penalty", read_penalty },
	{ "logprobs", read_logprobs },
	{ "top_logprobs", read_top_logprobs },
	{ "logit_bias", read_logit_bias },
	{ "tools", read_empty_list },
	{ "functions", read_empty_list },
	{ "tool_choice", read_tool_choice },
	{ "response_format", read_response_format },
	{ "modalities", read_modalities },
	/* accepted without effect */
	{ "user", ignore_string },
	{ "safety_identifier", ignore_string },
	{ "prompt_cache_key", ignore_string },
	{ "service_tier", ignore_string },
	{ "store", ignore_bool },
	{ "parallel_tool_calls", ignore_bool },
	{ "metadata", ignore_metadata },
};

static int read_field(struct flow_request *r, const char *name, const json_t *v, struct err *e)
{
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strcmp(fields[i].name, name) == 0)
			return json_is_null(v) ? 0 : fields[i].read(r, name, v, e);
	return unsupported(name, e);
}

static int read_fields(struct flow_request *r, struct err *e)
{
	const char *name;
	json_t *v;
	if (!json_is_object(r->root))
		return err_set(e, ERR_INPUT, "the body: expected one JSON object");
	json_object_foreach(r->root, name, v) TRY(read_field(r, name, v, e));
	if (!r->model)
		return err_set(e, ERR_INPUT, "\"model\" is missing");
	return json_array_size(r->messages) ? 0 : err_set(e, ERR_INPUT, "\"messages\" is missing");
}

int flow_request_parse(const void *body, size_t len, struct flow_request *out, struct err *e)
{
	*out = (struct flow_request){ .temperature = 1, .top_p = 1 };
	if (len > LIMIT_REQUEST_BYTES)
		return err_set(e, ERR_INPUT, "the body is longer than 8 MiB");
	TRY(check_shape(body, len, e));
	int r = json_read(&out->root, body ? body : "", len, LIMIT_REQUEST_BYTES, LIMIT_JSON_DEPTH,
			  e);
	if (r < 0)
		return r == ERR_INPUT ? err_prefix(e, "the body is not JSON") : r;
	out->messages = json_array();
	out->without_effect = json_array();
	if (!out->messages || !out->without_effect)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return read_fields(out, e);
}

void flow_request_free(struct flow_request *r)
{
	json_decref(r->root);
	json_decref(r->messages);
	json_decref(r->without_effect);
	*r = (struct flow_request){ 0 };
}
