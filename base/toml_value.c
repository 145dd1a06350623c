/* The values of TOML 1.0 that hold no other values.
 *
 *   string     "basic" 'literal' and the three-quote forms; the first newline of the latter is
 *              dropped
 *   integer    [+-]digits without leading zero, 0x 0o 0b without sign; '_' only between digits;
 *              64 bits
 *   float      integer part, then fraction and/or exponent; [+-]inf, [+-]nan
 *   date-time  RFC 3339 with 'T', 't' or one space; the offset, or the date, or the time may be
 *              missing; given out with 'T', 'Z' and, where it has a fraction, at least milliseconds
 *
 * Anything else is refused where it stands. A float that no double can hold is refused. */
#include "base/text.h"
#include "base/toml_reader.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static bool digit_of(int c, int base, int *value)
{
	*value = c >= '0' && c <= '9' ? c - '0' : 99;
	if (c >= 'a' && c <= 'f')
		*value = c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		*value = c - 'A' + 10;
	return *value < base;
}

static bool is_control(int c) { return (c < 0x20 && c != '\t') || c == 0x7f; }

/* ---- strings ---- */

static int read_unicode(struct toml_reader *r, int digits)
{
	uint32_t cp = 0;
	char out[4];

	for (int i = 0; i < digits; i++) {
		int v;
		if (!digit_of(toml_peek(r), 16, &v))
			return toml_fail(r, r->at, "expected %d hex digits in the escape", digits);
		cp = cp << 4 | (uint32_t)v;
		r->at++;
	}
	if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return toml_fail(r, r->at - digits, "the escape names no Unicode scalar value");
	buf_add(&r->scratch, out, (size_t)text_utf8_encode(cp, out));
	return 0;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n'; }

/* A backslash at the end of a line eats all white space up to the next other character. */
static bool eat_line_end(struct toml_reader *r)
{
	const char *p = r->at;

	while (p < r->end && (*p == ' ' || *p == '\t'))
		p++;
	if (p == r->end || !(*p == '\n' || (*p == '\r' && p + 1 < r->end && p[1] == '\n')))
		return false;
	while (p < r->end && (is_blank(*p) || (*p == '\r' && p + 1 < r->end && p[1] == '\n')))
		p++;
	r->at = p;
	return true;
}

static int read_escape(struct toml_reader *r, bool multi)
{
	static const char names[] = "btnfr\"\\", values[] = "\b\t\n\f\r\"\\";
	int c;

	r->at++;
	if (multi && eat_line_end(r))
		return 0;
	c = toml_peek(r);
	if (c == 'u' || c == 'U') {
		r->at++;
		return read_unicode(r, c == 'u' ? 4 : 8);
	}
	const char *name = c > 0 ? strchr(names, c) : NULL;
	if (!name)
		return toml_fail(
			r, r->at - 1,
			"unknown escape in string: write \\\\ for a backslash, or the text in "
			"single quotes");
	buf_add_byte(&r->scratch, (unsigned char)values[name - names]);
	r->at++;
	return 0;
}

/* Inside a string: read its closing quotes if they are next; up to two quotes may precede the
 * closing three. */
static bool read_close(struct toml_reader *r, int quote, bool multi)
{
	size_t run = 0;

	while (run < 5 && r->at + run < r->end && r->at[run] == quote)
		run++;
	if (run == 0 || (multi && run < 3)) {
		buf_add(&r->scratch, r->at, run);
		r->at += run;
		return false;
	}
	if (multi)
		buf_add(&r->scratch, r->at, run - 3);
	r->at += multi ? run : 1;
	return true;
}

static int read_one_char(struct toml_reader *r, int quote, bool multi)
{
	int c = toml_peek(r);

	if (c < 0) {
		r->lost |= multi;
		return toml_fail(r, r->at, "the string is not closed");
	}
	if (quote == '"' && c == '\\')
		return read_escape(r, multi);
	if (c == '\n' && !multi)
		return toml_fail(r, r->at, "the string is not closed on its line");
	bool newline = c == '\n' || (c == '\r' && toml_ahead(r, "\r\n"));
	if (is_control(c) && !(multi && newline))
		return toml_fail(r, r->at, "control character U+%04X in string", (unsigned)c);
	buf_add_byte(&r->scratch, (unsigned char)c);
	r->at++;
	if (c == '\r') {
		buf_add_byte(&r->scratch, '\n');
		r->at++;
	}
	return 0;
}

int toml_read_string(struct toml_reader *r, bool one_line, const char **text, size_t *len)
{
	int quote = toml_peek(r);
	bool multi = toml_ahead(r, quote == '"' ? "\"\"\"" : "'''");

	if (multi && one_line)
		return toml_fail(r, r->at, "a key cannot be a multi-line string");
	buf_clear(&r->scratch);
	r->at += multi ? 3 : 1;
	if (multi && toml_ahead(r, "\r\n"))
		r->at += 2;
	else if (multi && toml_peek(r) == '\n')
		r->at++;
	for (;;) {
		if (toml_peek(r) == quote) {
			if (read_close(r, quote, multi))
				break;
		} else {
			TRY(read_one_char(r, quote, multi));
		}
	}
	TRY(buf_done(&r->scratch, r->e));
	*len = r->scratch.len;
	*text = arena_copy(r->arena, r->scratch.len ? r->scratch.bytes : "", r->scratch.len);
	return *text ? 0 : err_set(r->e, ERR_NOMEM, "out of memory while reading TOML");
}

/* ---- numbers ---- */

/* Digits of s[*i..n) into the scratch buffer, '_' only between two of them. The count, or -1. */
static int take_digits(struct toml_reader *r, const char *s, size_t n, size_t *i, int base)
{
	int count = 0, v;

	for (; *i < n; (*i)++) {
		if (s[*i] == '_') {
			if (count == 0 || *i + 1 >= n || s[*i - 1] == '_' ||
			    !digit_of(s[*i + 1], base, &v))
				return -1;
			continue;
		}
		if (!digit_of(s[*i], base, &v))
			break;
		buf_add_byte(&r->scratch, (unsigned char)s[*i]);
		count++;
	}
	return count;
}

static int to_integer(struct toml_reader *r, const char *s, int base, bool negative, struct toml *v)
{
	uint64_t value = 0, most = (uint64_t)INT64_MAX + (negative ? 1 : 0);

	for (size_t i = 0; i < r->scratch.len; i++) {
		int d;
		if (!digit_of(r->scratch.bytes[i], base, &d) ||
		    value > (most - (uint64_t)d) / (uint64_t)base)
			return toml_fail(r, s, "the integer does not fit in 64 bits");
		value = value * (uint64_t)base + (uint64_t)d;
	}
	v->kind = TOML_INTEGER;
	v->integer = negative ? (int64_t)(0 - value) : (int64_t)value;
	return 0;
}

static int read_based(struct toml_reader *r, const char *s, size_t n, struct toml *v)
{
	size_t i = 2;
	int base = s[1] == 'x' ? 16 : s[1] == 'o' ? 8 : 2;

	if (take_digits(r, s, n, &i, base) <= 0 || i != n)
		return toml_fail(r, s, "malformed integer of base %d", base);
	TRY(buf_done(&r->scratch, r->e));
	return to_integer(r, s, base, false, v);
}

static bool read_special(const char *s, size_t n, bool negative, struct toml *v)
{
	if (n != 3 || (memcmp(s, "inf", 3) != 0 && memcmp(s, "nan", 3) != 0))
		return false;
	double magnitude = s[0] == 'i' ? (double)INFINITY : (double)NAN;
	v->kind = TOML_FLOAT;
	v->number = negative ? -magnitude : magnitude;
	return true;
}

/* Fraction and exponent, if any; false when malformed. */
static bool take_fraction(struct toml_reader *r, const char *s, size_t n, size_t *i)
{
	if (*i < n && s[*i] == '.') {
		buf_add_byte(&r->scratch, '.');
		(*i)++;
		if (take_digits(r, s, n, i, 10) <= 0)
			return false;
	}
	if (*i < n && (s[*i] == 'e' || s[*i] == 'E')) {
		buf_add_byte(&r->scratch, 'e');
		(*i)++;
		if (*i < n && (s[*i] == '+' || s[*i] == '-'))
			buf_add_byte(&r->scratch, (unsigned char)s[(*i)++]);
		if (take_digits(r, s, n, i, 10) <= 0)
			return false;
	}
	return *i == n;
}

/* What is no value: most often a text without quotes, or with those of a word processor. */
static int no_value(struct toml_reader *r, const char *s, size_t n)
{
	bool letter = n > 0 && ((s[0] >= 'a' && s[0] <= 'z') || (s[0] >= 'A' && s[0] <= 'Z'));
	if (n == 0 && r->end - s > 2 && memcmp(s, "\xe2\x80", 2) == 0 &&
	    strchr("\x98\x99\x9c\x9d", s[2]))
		return toml_fail(r, s,
				 "expected a value; a text stands in straight quotes: \"...\"");
	if (n == 4 && strncasecmp(s, "true", n) == 0)
		return toml_fail(r, s, "expected a value; write true in small letters");
	if (n == 5 && strncasecmp(s, "false", n) == 0)
		return toml_fail(r, s, "expected a value; write false in small letters");
	if (letter)
		return toml_fail(r, s, "expected a value; a text stands in quotes: \"%.*s\"",
				 n < 40 ? (int)n : 40, s);
	return toml_fail(r, s, "expected a value");
}

static int read_number(struct toml_reader *r, const char *token, size_t n, struct toml *v)
{
	bool sign = n > 0 && (token[0] == '+' || token[0] == '-'),
	     negative = sign && token[0] == '-';
	const char *s = token + sign;
	size_t i = 0;
	int whole;

	n -= sign;
	buf_clear(&r->scratch);
	if (!sign && n > 2 && s[0] == '0' && strchr("xob", s[1]))
		return read_based(r, s, n, v);
	if (read_special(s, n, negative, v))
		return 0;
	whole = take_digits(r, s, n, &i, 10);
	if (whole <= 0)
		return no_value(r, token, n + sign);
	if (whole > 1 && s[0] == '0')
		return toml_fail(r, token, "a number has no leading zero");
	if (i == n) {
		TRY(buf_done(&r->scratch, r->e));
		return to_integer(r, token, 10, negative, v);
	}
	if (!take_fraction(r, s, n, &i))
		return toml_fail(r, token, "malformed number");
	TRY(buf_done(&r->scratch, r->e));
	v->kind = TOML_FLOAT;
	if (text_parse_double(r->scratch.bytes, &v->number) < 0)
		return toml_fail(r, token, "the number is too large for a double");
	v->number = negative ? -v->number : v->number;
	return 0;
}

/* ---- date-times ---- */

/* Exactly `digits` decimal digits at s[*i..n), or -1. */
static int take_fixed(const char *s, size_t n, size_t *i, int digits)
{
	int value = 0, v;

	for (int k = 0; k < digits; k++, (*i)++) {
		if (*i >= n || !digit_of(s[*i], 10, &v))
			return -1;
		value = value * 10 + v;
	}
	return value;
}

static bool take_char(const char *s, size_t n, size_t *i, char c)
{
	if (*i >= n || s[*i] != c)
		return false;
	(*i)++;
	return true;
}

static bool take_date(const char *s, size_t n, size_t *i)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = take_fixed(s, n, i, 4), month, day;

	if (year < 0 || !take_char(s, n, i, '-'))
		return false;
	month = take_fixed(s, n, i, 2);
	if (month < 1 || month > 12 || !take_char(s, n, i, '-'))
		return false;
	day = take_fixed(s, n, i, 2);
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return day >= 1 && day <= days[month - 1] + (month == 2 && leap);
}

static bool take_time(const char *s, size_t n, size_t *i)
{
	int hour = take_fixed(s, n, i, 2), minute, second, v;

	if (hour < 0 || hour > 23 || !take_char(s, n, i, ':'))
		return false;
	minute = take_fixed(s, n, i, 2);
	if (minute < 0 || minute > 59 || !take_char(s, n, i, ':'))
		return false;
	second = take_fixed(s, n, i, 2);
	if (second < 0 || second > 60) /* RFC 3339: 60 in a leap second */
		return false;
	if (!take_char(s, n, i, '.'))
		return true;
	size_t begin = *i;
	while (*i < n && digit_of(s[*i], 10, &v))
		(*i)++;
	return *i > begin;
}

static bool take_offset(const char *s, size_t n, size_t *i)
{
	int hour, minute;

	if (take_char(s, n, i, 'Z') || take_char(s, n, i, 'z'))
		return true;
	if (!take_char(s, n, i, '+') && !take_char(s, n, i, '-'))
		return false;
	hour = take_fixed(s, n, i, 2);
	if (hour < 0 || hour > 23 || !take_char(s, n, i, ':'))
		return false;
	minute = take_fixed(s, n, i, 2);
	return minute >= 0 && minute <= 59;
}

/* The kind of a whole date-time token, or -1. */
static int date_time_kind(const char *s, size_t n)
{
	size_t i = 0;

	if (n > 2 && s[2] == ':')
		return take_time(s, n, &i) && i == n ? (int)TOML_LOCAL_TIME : -1;
	if (!take_date(s, n, &i))
		return -1;
	if (i == n)
		return TOML_LOCAL_DATE;
	if (!take_char(s, n, &i, 'T') && !take_char(s, n, &i, 't') && !take_char(s, n, &i, ' '))
		return -1;
	if (!take_time(s, n, &i))
		return -1;
	if (i == n)
		return TOML_LOCAL_DATETIME;
	return take_offset(s, n, &i) && i == n ? (int)TOML_OFFSET_DATETIME : -1;
}

/* 'T' and 'Z' in capitals, a fraction in at least milliseconds, into the scratch buffer. */
static void normalise_date_time(struct toml_reader *r, const char *s, size_t n)
{
	const char *dot = memchr(s, '.', n);
	size_t i = 0, digits = 0;
	int v;

	buf_clear(&r->scratch);
	for (; i < n; i++) {
		bool letter = s[i] == 't' || s[i] == ' ' || s[i] == 'z';
		if (dot && s + i > dot && !digit_of(s[i], 10, &v))
			break;
		buf_add_byte(&r->scratch, (unsigned char)(!letter       ? s[i]
							  : s[i] == 'z' ? 'Z'
									: 'T'));
		digits += dot && s + i > dot;
	}
	for (; dot && digits < 3; digits++)
		buf_add_byte(&r->scratch, '0');
	for (; i < n; i++)
		buf_add_byte(&r->scratch, (unsigned char)(s[i] == 'z' ? 'Z' : s[i]));
}

static int read_date_time(struct toml_reader *r, const char *s, size_t n, struct toml *v)
{
	int kind = date_time_kind(s, n);

	if (kind < 0)
		return toml_fail(r, s, "malformed date or time");
	normalise_date_time(r, s, n);
	TRY(buf_done(&r->scratch, r->e));
	v->text = arena_copy(r->arena, r->scratch.bytes, r->scratch.len);
	if (!v->text)
		return err_set(r->e, ERR_NOMEM, "out of memory while reading TOML");
	v->kind = (enum toml_kind)kind;
	v->text_len = r->scratch.len;
	return 0;
}

/* ---- the token ---- */

static bool in_token(int c)
{
	int v;
	if (digit_of(c, 10, &v) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return true;
	return c > 0 && strchr("+-_.:", c);
}

/* Length of the token at r->at; a date may go on after one space with a time. */
static size_t token_len(const struct toml_reader *r)
{
	const char *p = r->at;
	int v;

	while (p < r->end && in_token((unsigned char)*p))
		p++;
	if (p - r->at == 10 && r->at[4] == '-' && r->end - p > 1 && *p == ' ' &&
	    digit_of(p[1], 10, &v)) {
		p++;
		while (p < r->end && in_token((unsigned char)*p))
			p++;
	}
	return (size_t)(p - r->at);
}

int toml_read_scalar(struct toml_reader *r, struct toml *v)
{
	const char *s = r->at;
	size_t n = token_len(r);

	if (n == 0)
		return no_value(r, s, 0);
	r->at += n;
	if ((n == 4 && memcmp(s, "true", 4) == 0) || (n == 5 && memcmp(s, "false", 5) == 0)) {
		v->kind = TOML_BOOL;
		v->boolean = n == 4;
		return 0;
	}
	if ((n > 4 && s[4] == '-' && s[0] >= '0' && s[0] <= '9' && !memchr(s, 'e', 4) &&
	     !memchr(s, 'E', 4)) ||
	    (n > 2 && s[2] == ':'))
		return read_date_time(r, s, n, v);
	return read_number(r, s, n, v);
}
