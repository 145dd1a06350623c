#include "base/json.h"
#include "base/text.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* jansson's parser recurses, so the depth is counted first, by brackets outside strings. In text
 * that is not JSON the count may be wrong; the parser then refuses it at that point. */
static int check_depth(const char *text, size_t len, int depth_max, struct err *e)
{
	bool in_string = false;
	int depth = 0, line = 1;
	size_t line_begin = 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (c == '\n' && ++line)
			line_begin = i + 1;
		else if (!in_string && (c == '{' || c == '['))
			depth++;
		else if (!in_string && (c == '}' || c == ']'))
			depth--;
		if (depth > depth_max)
			return err_set(e, ERR_INPUT,
				       "line %d, column %zu: nested deeper than %d levels", line,
				       i - line_begin + 1, depth_max);
	}
	return 0;
}

/* jansson's parser reports a failed allocation as bad text; this tells the two apart. */
static _Thread_local bool starved;

static void *json_allocate(size_t bytes)
{
	void *p = malloc(bytes);
	starved |= !p;
	return p;
}

static void watch_memory(void) { json_set_alloc_funcs(json_allocate, free); }

static int read_with(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
		     size_t flags, struct err *e)
{
	if (len > bytes_max)
		return err_set(e, ERR_INPUT, "JSON of %zu bytes, the limit is %zu", len, bytes_max);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return err_set(e, ERR_INPUT, "line 1, column 1: a byte-order mark before the JSON");
	TRY(check_depth(text, len, depth_max, e));
	static pthread_once_t watched = PTHREAD_ONCE_INIT;
	pthread_once(&watched, watch_memory);
	starved = false;
	json_error_t error;
	json_t *value =
		json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | flags, &error);
	if (!value && starved)
		return err_set(e, ERR_NOMEM, "out of memory for JSON");
	if (!value && json_error_code(&error) == json_error_null_character)
		return err_set(e, ERR_INPUT, "line %d, column %d: a string with the character U+0000",
			       error.line, error.column);
	if (!value)
		return err_set(e, ERR_INPUT, "line %d, column %d: %s", error.line, error.column,
			       error.text);
	*out = value;
	return 0;
}

int json_read(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
	      struct err *e)
{
	return read_with(out, text, len, bytes_max, depth_max, 0, e);
}

int json_read_written(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
		      struct err *e)
{
	return read_with(out, text, len, bytes_max, depth_max, JSON_ALLOW_NUL, e);
}

/* Names for the sentences: jansson has none for a missing key or for kinds. */
static const char *kind_name(const json_t *v)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array",
		[JSON_STRING] = "a string",    [JSON_INTEGER] = "an integer",
		[JSON_REAL] = "a real number", [JSON_TRUE] = "true",
		[JSON_FALSE] = "false",        [JSON_NULL] = "null",
	};
	return v ? names[json_typeof(v)] : "nothing";
}

static int unexpected(const json_t *v, const char *key, const char *wanted, const char *what,
		      struct err *e)
{
	return err_set(e, ERR_INPUT, "%s: \"%s\": expected %s, found %s", what, key, wanted,
		       kind_name(v));
}

int json_get_string(const json_t *o, const char *key, const char **out, const char *what,
		    struct err *e)
{
	const json_t *v = json_object_get(o, key);
	if (!json_is_string(v))
		return unexpected(v, key, "a string", what, e);
	*out = json_string_value(v);
	return 0;
}

int json_get_u64(const json_t *o, const char *key, uint64_t *out, const char *what, struct err *e)
{
	const json_t *v = json_object_get(o, key);
	if (!json_is_integer(v))
		return unexpected(v, key, "a non-negative integer", what, e);
	if (json_integer_value(v) < 0)
		return err_set(e, ERR_INPUT,
			       "%s: \"%s\": expected a non-negative integer, found %lld", what, key,
			       (long long)json_integer_value(v));
	*out = (uint64_t)json_integer_value(v);
	return 0;
}

int json_get_object(const json_t *o, const char *key, json_t **out, const char *what, struct err *e)
{
	json_t *v = json_object_get(o, key);
	if (!json_is_object(v))
		return unexpected(v, key, "an object", what, e);
	*out = v;
	return 0;
}

int json_get_array(const json_t *o, const char *key, json_t **out, const char *what, struct err *e)
{
	json_t *v = json_object_get(o, key);
	if (!json_is_array(v))
		return unexpected(v, key, "an array", what, e);
	*out = v;
	return 0;
}

int json_only_keys(const json_t *o, const char *const *keys, const char *what, struct err *e)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)o, key, value)
	{
		size_t i = 0;
		while (keys[i] && strcmp(keys[i], key) != 0)
			i++;
		if (!keys[i])
			return err_set(e, ERR_INPUT, "%s: unknown member \"%.100s\"", what, key);
	}
	return 0;
}

int json_ok(const json_t *v, struct err *e)
{
	return v ? 0 : err_set(e, ERR_NOMEM, "out of memory while building a document");
}

json_t *json_digest(const struct digest *d)
{
	char text[DIGEST_TEXT_ROOM];
	digest_text(d, text);
	return json_string(text);
}

json_t *json_text_lossy(const char *text)
{
	struct buf b = { 0 };
	uint32_t cp;
	for (size_t len = strlen(text), n; len > 0; text += n, len -= n) {
		int used = text_utf8_decode(text, len, &cp);
		n = used > 0 ? (size_t)used : used < 0 ? (size_t)-used : len;
		buf_add(&b, used > 0 ? text : "\xef\xbf\xbd", used > 0 ? n : 3);
	}
	json_t *v = b.failed ? NULL : json_stringn(b.bytes ? b.bytes : "", b.len);
	buf_free(&b);
	return v;
}
