/* The body of a request of any shape: one JSON object, at most 8 MiB, 512 levels, keys of 128
 * bytes, arrays of 100,000 elements, 2^17 values in all; its fields: request_fields.c, and files of
 * the shape that alone has them. Here are the limits, and the kinds of values. */
#include "api/request_read.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES_MAX 128u
#define ARRAY_MAX 100000u
#define VALUES_MAX (1u << 17) /* the parser allocates some 300 bytes for the two of {} */
#define NOTES_MAX 64

/* ---- shape: counted before the parser allocates ---- */

struct shape {
	size_t elements[LIMIT_REQUEST_DEPTH + 1]; /* commas so far, by depth */
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
		if (++s->depth > LIMIT_REQUEST_DEPTH)
			return err_set(e, ERR_INPUT, "the body is nested deeper than %d levels",
				       LIMIT_REQUEST_DEPTH);
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

int api_read_mistyped(const char *name, const char *wanted, struct err *e)
{
	return err_at(e, err_set(e, ERR_INPUT, "\"%s\": expected %s", name, wanted), "invalid_type",
		      "%s", name);
}

int api_read_unexpected(const char *name, const char *wanted, struct err *e)
{
	return err_at(e, err_set(e, ERR_INPUT, "\"%s\": expected %s", name, wanted),
		      "invalid_value", "%s", name);
}

int api_read_unsupported(const char *name, struct err *e)
{
	return err_at(e,
		      err_set(e, ERR_UNSUPPORTED, "not available in this version: %.*s",
			      (int)KEY_BYTES_MAX, name),
		      "unsupported_parameter", "%s", name);
}

int api_read_refused(const char *name, const char *which, struct err *e)
{
	return err_at(e,
		      err_set(e, ERR_UNSUPPORTED, "not available in this version: %.100s %.200s",
			      name, which),
		      "unsupported_value", "%s", name);
}

int api_read_real(const char *name, const json_t *v, double low, double high, double *out,
		  struct err *e)
{
	double x = json_number_value(v);
	const char *kind = !json_is_number(v) ? "invalid_type"
			   : x < low          ? "decimal_below_min_value"
			   : x > high         ? "decimal_above_max_value"
					      : NULL;
	if (kind)
		return err_at(e,
			      err_set(e, ERR_INPUT, "\"%s\": expected a number from %g to %g", name,
				      low, high),
			      kind, "%s", name);
	*out = x;
	return 0;
}

/* Some clients write 1.0 for 1. */
static bool is_whole(const json_t *v, json_int_t *out)
{
	double x = json_real_value(v);
	*out = json_integer_value(v);
	if (json_is_real(v) && fabs(x) <= 9007199254740992.0 && trunc(x) == x)
		*out = (json_int_t)x;
	else
		return json_is_integer(v);
	return true;
}

int api_read_integer(const char *name, const json_t *v, json_int_t low, json_int_t high,
		     json_int_t *out, struct err *e)
{
	json_int_t x = 0;
	const char *kind = !is_whole(v, &x) ? "invalid_type"
			   : x < low        ? "integer_below_min_value"
			   : x > high       ? "integer_above_max_value"
					    : NULL;
	if (kind)
		return err_at(e,
			      err_set(e, ERR_INPUT, "\"%s\": expected an integer from %lld to %lld",
				      name, (long long)low, (long long)high),
			      kind, "%s", name);
	*out = x;
	return 0;
}

int api_read_bool(const char *name, const json_t *v, bool *out, struct err *e)
{
	if (!json_is_boolean(v))
		return api_read_mistyped(name, "true or false", e);
	*out = json_is_true(v);
	return 0;
}

int api_read_strings(const char *name, const json_t *v, bool lone, size_t most, size_t bytes_max,
		     const char **out, size_t *count, struct err *e)
{
	size_t n = json_is_array(v) ? json_array_size(v) : 1;
	if (n > most - *count)
		return err_at(e,
			      err_set(e, ERR_INPUT,
				      "\"%s\": expected at most %zu strings, found %zu", name, most,
				      n),
			      "array_above_max_length", "%s", name);
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
		size_t len = json_string_length(one);
		bool typed = json_is_string(one) && (lone || one != v);
		if (!typed || len == 0 || len > bytes_max)
			return err_at(e,
				      err_set(e, ERR_INPUT,
					      "\"%s\": expected strings of 1 to %zu bytes", name,
					      bytes_max),
				      !typed    ? "invalid_type"
				      : len > 0 ? "string_above_max_length"
						: "invalid_value",
				      "%s", name);
		out[(*count)++] = json_string_value(one);
	}
	return 0;
}

json_t *api_read_member(const json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);
	return json_is_null(v) ? NULL : v;
}

/* ---- fields without effect ---- */

int api_read_note(struct api_request *r, const char *name, struct err *e)
{
	size_t i;
	json_t *noted;
	if (json_array_size(r->without_effect) >= NOTES_MAX)
		name = "(more)";
	else if (!text_is_name(name, strlen(name)))
		name = "(another)";
	json_array_foreach(r->without_effect, i, noted)
		if (strcmp(json_string_value(noted), name) == 0)
			return 0;
	if (json_array_append_new(r->without_effect, json_string(name)) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return 0;
}

int api_read_others(struct api_request *r, const json_t *o, const char *const *keys,
		    const char *prefix, struct err *e)
{
	char name[TEXT_NAME_BYTES + 32];
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)o, key, v) {
		const char *const *k = keys;
		while (*k && strcmp(*k, key) != 0)
			k++;
		if (*k || json_is_null(v))
			continue;
		snprintf(name, sizeof name, "%s.%s", prefix, key);
		TRY(api_read_note(r, name, e));
	}
	return 0;
}

/* ---- the whole ---- */

int api_read_missing(const char *name, struct err *e)
{
	return err_at(e, err_set(e, ERR_INPUT, "\"%s\" is missing", name),
		      "missing_required_parameter", "%s", name);
}

static int read_fields(struct api_request *r, struct err *e)
{
	const char *name;
	json_t *v;
	if (!json_is_object(r->root))
		return err_set(e, ERR_INPUT, "the body: expected one JSON object");
	json_object_foreach(r->root, name, v)
		TRY(json_is_null(v) ? 0 : api_read_field(r, name, v, e));
	if (!r->model)
		return api_read_missing("model", e);
	TRY(api_forms[r->form].done(r, e));
	return api_read_together(r, e);
}

static int read_body(enum api_shape shape, enum api_shape form, bool prompt_only, const void *body,
		     size_t len, struct api_request *out, struct err *e)
{
	*out = (struct api_request){ .shape = shape,
				     .form = form,
				     .prompt_only = prompt_only,
				     .n = 1,
				     .temperature = 1,
				     .top_p = 1,
				     .repetition = 1 };
	if (len > LIMIT_REQUEST_BYTES)
		return err_set(e, ERR_INPUT, "the body is longer than 8 MiB");
	if (!api_forms[form].done)
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: %s",
			       api_shape_name(shape));
	TRY(api_read_shape(out, body, len, e));
	int r = json_read_as(&out->root, body ? body : "", len, LIMIT_REQUEST_BYTES,
			     LIMIT_REQUEST_DEPTH, JSON_WIDE, e);
	if (r < 0)
		return r == ERR_INPUT ? err_prefix(e, "the body is not JSON") : r;
	out->messages = json_array();
	out->without_effect = json_array();
	if (!out->messages || !out->without_effect)
		return err_set(e, ERR_NOMEM, "out of memory for the request");
	return read_fields(out, e);
}

int api_request_parse(enum api_shape shape, const void *body, size_t len, struct api_request *out,
		      struct err *e)
{
	return read_body(shape, shape, false, body, len, out, e);
}

int api_request_parse_prompt(enum api_shape shape, const void *body, size_t len,
			     struct api_request *out, struct err *e)
{
	return read_body(shape, shape, true, body, len, out, e);
}

int api_request_read_kept(enum api_shape shape, const void *text, size_t len,
			  struct api_request *out, struct err *e)
{
	enum api_shape form = shape == API_COMPLETION ? API_COMPLETION : API_CHAT;
	return read_body(shape, form, false, text, len, out, e);
}

bool api_request_gives(const struct api_request *r, const char *name)
{
	return api_read_member(r->root, name) != NULL;
}

void api_request_free(struct api_request *r)
{
	json_decref(r->root);
	json_decref(r->messages);
	json_decref(r->without_effect);
	json_decref(r->template_kwargs);
	json_decref(r->tools);
	buf_free(&r->constraint_text);
	free(r->bias);
	*r = (struct api_request){ 0 };
}
