#include "base/json.h"
#include "base/json_memory.h"
#include "base/text.h"

#include <errno.h>
#include <math.h>
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

/* ---- dialects ---- */

/* Text of a dialect rewritten into strict JSON. */
struct widening {
	enum json_dialect dialect;
	struct buf out;
	size_t stop; /* `grown` counts up to this byte of out */
	long grown;  /* bytes by which the last line before it is longer than the original's */
};

/* The string that begins here, its closing quote too where there is one. */
static size_t string_span(const char *text, size_t len)
{
	size_t n = 1;
	while (n < len && text[n] != '"')
		n += text[n] == '\\' && n + 1 < len ? 2 : 1;
	return n < len ? n + 1 : len;
}

static size_t digit_span(const char *text, size_t len)
{
	size_t n = 0;
	while (n < len && text[n] >= '0' && text[n] <= '9')
		n++;
	return n;
}

/* The number of JSON's grammar that begins here, or 0. */
static size_t number_span(const char *text, size_t len, bool *whole)
{
	size_t n = text[0] == '-', digits = digit_span(text + n, len - n), more;
	if (digits == 0)
		return 0;
	n += text[n] == '0' ? 1 : digits;
	*whole = true;
	if (n < len && text[n] == '.' && (more = digit_span(text + n + 1, len - n - 1)) > 0) {
		*whole = false;
		n += 1 + more;
	}
	if (n < len && (text[n] == 'e' || text[n] == 'E')) {
		size_t sign = n + 1 < len && (text[n + 1] == '+' || text[n + 1] == '-');
		more = digit_span(text + n + 1 + sign, len - n - 1 - sign);
		*whole = *whole && more == 0;
		n += more ? 1 + sign + more : 0;
	}
	return n;
}

/* The literal of Python that begins here, or 0. As a key it stays what it is: bad text. */
static size_t literal_span(const char *text, size_t len)
{
	static const char *const names[] = { "NaN", "Infinity", "-Infinity" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t n = strlen(names[i]), at = n;
		if (len < n || memcmp(text, names[i], n) != 0)
			continue;
		while (at < len && strchr(" \t\r\n", text[at]) && text[at])
			at++;
		return at < len && text[at] == ':' ? 0 : n;
	}
	return 0;
}

/* What strict JSON cannot hold, as the dialect wants it; the rest stays what it is. */
static void widen_number(struct widening *w, const char *text, size_t n, bool whole)
{
	size_t at = w->out.len;
	buf_add(&w->out, text, n);
	if (w->out.failed || (whole && n < 19))
		return;
	const char *copy = w->out.bytes + at; /* ends in NUL */
	errno = 0;
	if (whole && (strtoll(copy, NULL, 10), errno != ERANGE))
		return;
	double v = strtod(copy, NULL);
	bool endless = isinf(v);
	if (endless ? w->dialect != JSON_PYTHON : !whole)
		return;
	w->out.len = at;
	if (endless)
		buf_add_text(&w->out, v < 0 ? "\"-Infinity\"" : "\"Infinity\"");
	else
		buf_printf(&w->out, "%.17g", v); /* beyond 2^63, so with an exponent: a real */
}

static void widen(struct widening *w, const char *text, size_t len)
{
	for (size_t i = 0, n; i < len; i += n) {
		size_t before = w->out.len;
		bool whole;
		if (text[i] == '"') {
			n = string_span(text + i, len - i);
			buf_add(&w->out, text + i, n);
		} else if (w->dialect == JSON_PYTHON && (n = literal_span(text + i, len - i)) > 0) {
			buf_add_byte(&w->out, '"');
			buf_add(&w->out, text + i, n);
			buf_add_byte(&w->out, '"');
		} else if ((n = number_span(text + i, len - i, &whole)) > 0) {
			widen_number(w, text + i, n, whole);
		} else {
			n = 1;
			buf_add_byte(&w->out, (unsigned char)text[i]);
		}
		if (before < w->stop)
			w->grown = text[i] == '\n'
					   ? 0
					   : w->grown + (long)(w->out.len - before) - (long)n;
	}
}

/* ---- reading ---- */

static json_t *load(const void *text, size_t len, size_t flags, json_error_t *error)
{
	json_memory_use();
	return json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | flags, error);
}

/* Once more, after the strict reading failed; the place in *error becomes the original's. */
static json_t *load_as(const void *text, size_t len, enum json_dialect dialect, json_error_t *error)
{
	struct widening w = { .dialect = dialect, .stop = SIZE_MAX };
	widen(&w, text, len);
	json_t *value = w.out.failed ? NULL : load(w.out.bytes ? w.out.bytes : "", w.out.len, 0, error);
	if (w.out.failed)
		json_memory_starve();
	if (!value && !json_memory_starved()) {
		w.stop = error->position > 0 ? (size_t)error->position : 0;
		w.grown = 0;
		buf_clear(&w.out);
		widen(&w, text, len);
		error->column -= (int)w.grown;
	}
	buf_free(&w.out);
	return value;
}

static int read_with(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
		     size_t flags, enum json_dialect dialect, struct err *e)
{
	if (len > bytes_max)
		return err_set(e, ERR_INPUT, "JSON of %zu bytes, the limit is %zu", len, bytes_max);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		return err_set(e, ERR_INPUT, "line 1, column 1: a byte-order mark before the JSON");
	TRY(check_depth(text, len, depth_max, e));
	json_error_t error;
	json_t *value = load(text, len, flags, &error);
	if (!value && !json_memory_starved() && dialect != JSON_NARROW)
		value = load_as(text, len, dialect, &error);
	if (!value && json_memory_starved())
		return err_set(e, ERR_NOMEM, "out of memory for JSON");
	if (!value && json_error_code(&error) == json_error_null_character)
		return err_set(e, ERR_INPUT,
			       "line %d, column %d: a string with the character U+0000", error.line,
			       error.column);
	if (!value)
		return err_set(e, ERR_INPUT, "line %d, column %d: %s", error.line, error.column,
			       error.text);
	*out = value;
	return 0;
}

int json_read(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
	      struct err *e)
{
	return read_with(out, text, len, bytes_max, depth_max, 0, JSON_NARROW, e);
}

int json_read_as(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
		 enum json_dialect dialect, struct err *e)
{
	return read_with(out, text, len, bytes_max, depth_max, 0, dialect, e);
}

int json_read_written(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
		      struct err *e)
{
	return read_with(out, text, len, bytes_max, depth_max, JSON_ALLOW_NUL, JSON_NARROW, e);
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
	return json_stringn_nocheck(text, sizeof text - 1);
}

json_t *json_from_text(const char *text, size_t len)
{
	return text_utf8_valid(text, len) ? json_stringn_nocheck(text, len) : NULL;
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
