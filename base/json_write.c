/* Writers. Canonical form: RFC 8785; its numbers: ECMA-262, Number::toString. */
#include "base/json.h"
#include "base/canonical.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 1024          /* of values to be written: twice what a request may hold */
#define INTEGER_MAX (1LL << 53) /* beyond it doubles, and so ECMAScript, skip integers */

struct writer {
	struct buf *out;
	int indent;
	bool canonical;
	struct err *e;
};

/* Add one unit in the last digit; false if that needs another digit (the caller then uses more
 * digits). */
static bool digits_increment(char *digits, int count)
{
	for (int i = count - 1; i >= 0; i--) {
		if (digits[i] < '9') {
			digits[i]++;
			return true;
		}
		digits[i] = '0';
	}
	return false;
}

static bool digits_give(const char *digits, int count, int exponent, double v)
{
	char text[40];
	snprintf(text, sizeof text, "%c.%.*se%d", digits[0], count - 1, digits + 1, exponent);
	return strtod(text, NULL) == v;
}

/* The shortest decimal digits that read back as v > 0, and among those the nearest to v. At a given
 * length the correctly rounded decimal may read back as another double while the next decimal above
 * reads back as v, since doubles lie closer together below a power of two (2^-44 is
 * 5.684341886080802e-14). Returns the count; *exponent is that of the first digit. */
static int shortest_digits(double v, char digits[20], int *exponent)
{
	for (int count = 1; count <= 17; count++) {
		char text[40];
		snprintf(text, sizeof text, "%.*e", count - 1, v);
		*exponent = atoi(strchr(text, 'e') + 1);
		digits[0] = text[0];
		memcpy(digits + 1, text + 2, (size_t)count - 1);
		digits[count] = '\0';
		if (digits_give(digits, count, *exponent, v))
			return count;
		if (count < 17 && digits_increment(digits, count) &&
		    digits_give(digits, count, *exponent, v))
			return count;
	}
	return 17;
}

static void write_integer(struct buf *out, long long v)
{
	char digits[24];
	size_t at = sizeof digits;
	unsigned long long left = v < 0 ? 0 - (unsigned long long)v : (unsigned long long)v;
	do
		digits[--at] = (char)('0' + left % 10);
	while (left /= 10);
	if (v < 0)
		digits[--at] = '-';
	buf_add(out, digits + at, sizeof digits - at);
}

/* Whole numbers that any double holds are the most of them, and need no search for digits. */
static bool is_small_integer(double v)
{
	return v != 0 && fabs(v) < 1e15 && v == (double)(long long)v;
}

static void write_real(struct writer *w, double v)
{
	char digits[20];
	int exponent = 0;
	if (is_small_integer(v)) {
		write_integer(w->out, (long long)v);
		if (!w->canonical)
			buf_add_text(w->out, ".0");
		return;
	}
	if (v < 0 || (signbit(v) && !w->canonical))
		buf_add_byte(w->out, '-');
	int k = v == 0 ? 1 : shortest_digits(fabs(v), digits, &exponent);
	int n = exponent + 1; /* digits before the point */
	if (v == 0)
		buf_add_text(w->out, "0");
	else if (n > 21 || n < -5)
		buf_printf(w->out, "%c%s%.*se%+d", digits[0], k > 1 ? "." : "", k - 1, digits + 1,
			   exponent);
	else if (n <= 0)
		buf_printf(w->out, "0.%.*s%s", -n, "00000", digits);
	else if (n < k)
		buf_printf(w->out, "%.*s.%s", n, digits, digits + n);
	else
		buf_printf(w->out, "%s%.*s", digits, n - k, "00000000000000000000");
	/* Outside the canonical form a real stays a real when it is read again. */
	if (!w->canonical && n >= k && n <= 21 && n > 0)
		buf_add_text(w->out, ".0");
}

static int write_number(struct writer *w, const json_t *v)
{
	if (json_is_real(v)) {
		if (!isfinite(json_real_value(v)))
			return err_set(w->e, ERR_INPUT, "JSON has no infinite numbers and no NaN");
		write_real(w, json_real_value(v));
		return 0;
	}
	long long i = json_integer_value(v);
	if (w->canonical && (i > INTEGER_MAX || i < -INTEGER_MAX))
		return err_set(w->e, ERR_INPUT, "integer %lld is beyond 2^53: no canonical form",
			       i);
	write_integer(w->out, i);
	return 0;
}

/* The first UTF-16 unit of cp: supplementary characters sort as surrogates, before U+E000. */
static uint32_t first_unit(uint32_t cp)
{
	return cp < 0x10000 ? cp : 0xd800 + ((cp - 0x10000) >> 10);
}

struct member {
	const char *key;
	json_t *value;
};

static int by_utf16(const void *a, const void *b)
{
	const char *s = ((const struct member *)a)->key, *t = ((const struct member *)b)->key;
	while (*s && *s == *t) {
		s++;
		t++;
	}
	if ((unsigned char)*s < 0x80 && (unsigned char)*t < 0x80)
		return (*s > *t) - (*s < *t);
	/* Back to the lead byte of the character that differs. */
	const char *s0 = ((const struct member *)a)->key;
	while (s > s0 && ((unsigned char)*s & 0xc0) == 0x80) {
		s--;
		t--;
	}
	uint32_t x = 0, y = 0;
	if (*s)
		(void)text_utf8_decode(s, strlen(s), &x);
	if (*t)
		(void)text_utf8_decode(t, strlen(t), &y);
	uint32_t u = first_unit(x), v = first_unit(y);
	if (u == v)
		return (x > y) - (x < y);
	return u < v ? -1 : 1;
}

static int write_value(struct writer *w, const json_t *v, int depth);

static void new_line(struct writer *w, int depth)
{
	if (w->indent > 0)
		buf_printf(w->out, "\n%*s", depth * w->indent, "");
}

static int write_member(struct writer *w, const char *key, const json_t *value, bool first,
			int depth)
{
	if (!first)
		buf_add_byte(w->out, ',');
	new_line(w, depth);
	if (key) {
		text_json_string(w->out, key, strlen(key));
		buf_add_text(w->out, w->indent > 0 ? ": " : ":");
	}
	return write_value(w, value, depth);
}

#define MEMBERS_FEW 16 /* are ordered on the stack */

static void order_members(struct member *list, size_t count)
{
	if (count > MEMBERS_FEW) {
		qsort(list, count, sizeof *list, by_utf16);
		return;
	}
	for (size_t i = 1; i < count; i++) {
		struct member one = list[i];
		size_t at = i;
		for (; at > 0 && by_utf16(&list[at - 1], &one) > 0; at--)
			list[at] = list[at - 1];
		list[at] = one;
	}
}

static int write_object(struct writer *w, const json_t *o, int depth)
{
	struct member few[MEMBERS_FEW], *list = few;
	size_t count = json_object_size(o), i = 0;
	const char *key;
	json_t *value;
	if (count > MEMBERS_FEW)
		list = calloc(count, sizeof *list);
	if (!list)
		return err_set(w->e, ERR_NOMEM, "out of memory for JSON keys");
	json_object_foreach((json_t *)o, key, value)
		list[i++] = (struct member){ key, value };
	count = i;
	if (w->canonical)
		order_members(list, count);
	buf_add_byte(w->out, '{');
	int result = 0;
	for (i = 0; result == 0 && i < count; i++)
		result = write_member(w, list[i].key, list[i].value, i == 0, depth + 1);
	if (count)
		new_line(w, depth);
	buf_add_byte(w->out, '}');
	if (list != few)
		free(list);
	return result;
}

static int write_array(struct writer *w, const json_t *a, int depth)
{
	size_t count = json_array_size(a);
	buf_add_byte(w->out, '[');
	for (size_t i = 0; i < count; i++)
		TRY(write_member(w, NULL, json_array_get(a, i), i == 0, depth + 1));
	if (count)
		new_line(w, depth);
	buf_add_byte(w->out, ']');
	return 0;
}

static int write_value(struct writer *w, const json_t *v, int depth)
{
	if (depth > DEPTH_MAX)
		return err_set(w->e, ERR_INPUT, "JSON nested deeper than %d levels", DEPTH_MAX);
	if (!v) /* what a builder without memory leaves */
		return err_set(w->e, ERR_NOMEM, "out of memory for JSON");
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		return write_object(w, v, depth);
	case JSON_ARRAY:
		return write_array(w, v, depth);
	case JSON_STRING:
		text_json_string(w->out, json_string_value(v), json_string_length(v));
		return 0;
	case JSON_INTEGER:
	case JSON_REAL:
		return write_number(w, v);
	case JSON_TRUE:
		buf_add_text(w->out, "true");
		return 0;
	case JSON_FALSE:
		buf_add_text(w->out, "false");
		return 0;
	case JSON_NULL:
	default:
		buf_add_text(w->out, "null");
		return 0;
	}
}

int json_write_canonical(const json_t *value, struct buf *out, struct err *e)
{
	struct writer w = { .out = out, .canonical = true, .e = e };
	TRY(write_value(&w, value, 0));
	return buf_done(out, e);
}

int json_write(const json_t *value, int indent, struct buf *out, struct err *e)
{
	struct writer w = { .out = out, .indent = indent, .e = e };
	TRY(write_value(&w, value, 0));
	return buf_done(out, e);
}

/* ---- canonical text without values ---- */

/* The comma and the key of what comes. A value ends in neither bracket, and in no NUL. */
static void put_key(struct buf *out, const char *key)
{
	char last = out->len ? out->bytes[out->len - 1] : '\0';
	if (last && last != '{' && last != '[')
		buf_add_byte(out, ',');
	if (!key)
		return;
	text_json_string(out, key, strlen(key));
	buf_add_byte(out, ':');
}

void json_put_open(struct buf *out, const char *key, char bracket)
{
	put_key(out, key);
	buf_add_byte(out, (unsigned char)bracket);
}

void json_put_close(struct buf *out, char bracket) { buf_add_byte(out, (unsigned char)bracket); }

void json_put_bytes(struct buf *out, const char *key, const char *text, size_t len)
{
	out->failed |= !text_utf8_valid(text, len);
	put_key(out, key);
	text_json_string(out, text, len);
}

void json_put_text(struct buf *out, const char *key, const char *text)
{
	if (text)
		json_put_bytes(out, key, text, strlen(text));
	else
		json_put_null(out, key);
}

void json_put_digest(struct buf *out, const char *key, const struct digest *d)
{
	char text[DIGEST_TEXT_ROOM];
	if (d)
		digest_text(d, text);
	json_put_text(out, key, d ? text : NULL);
}

void json_put_int(struct buf *out, const char *key, int64_t v)
{
	out->failed |= v > INTEGER_MAX || v < -INTEGER_MAX;
	put_key(out, key);
	write_integer(out, v);
}

void json_put_real(struct buf *out, const char *key, double v)
{
	struct writer w = { .out = out, .canonical = true };
	out->failed |= !isfinite(v);
	put_key(out, key);
	if (isfinite(v))
		write_real(&w, v);
}

void json_put_bool(struct buf *out, const char *key, bool v)
{
	put_key(out, key);
	buf_add_text(out, v ? "true" : "false");
}

void json_put_null(struct buf *out, const char *key)
{
	put_key(out, key);
	buf_add_text(out, "null");
}

void json_put_value(struct buf *out, const char *key, const json_t *value)
{
	put_key(out, key);
	out->failed |= json_write_canonical(value, out, NULL) < 0;
}
