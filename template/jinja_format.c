/* format(value, spec): [[fill]align][sign][z][#][0][width][grouping][.precision][type]. */
#include "template/jinja.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_LIMIT 1000000 /* width */
#define PRECISION_LIMIT 1000

struct spec {
	char fill[4];
	size_t fill_len;
	char align; /* 0: as the type has it */
	char sign, grouping, type;
	bool alternate, no_negative_zero, zero;
	int64_t width, precision; /* -1: none */
	bool data;                /* the spec is */
};

static int read_count(struct jinja *j, const struct jinja_text *t, size_t *at, int64_t *out)
{
	*out = -1;
	for (; *at < t->len && t->bytes[*at] >= '0' && t->bytes[*at] <= '9'; ++*at) {
		*out = (*out < 0 ? 0 : *out) * 10 + t->bytes[*at] - '0';
		if (*out > SIZE_LIMIT)
			return jinja_fail(j, "Too many decimal digits in format string");
	}
	return 0;
}

static bool is_align(char c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

static bool skip(const struct jinja_text *t, size_t *at, char c)
{
	bool here = *at < t->len && t->bytes[*at] == c;
	*at += here;
	return here;
}

static int read_spec(struct jinja *j, const struct jinja_text *t, struct spec *s)
{
	uint32_t cp;
	size_t at = 0, n = t->len ? (size_t)text_utf8_decode(t->bytes, t->len, &cp) : 0;
	*s = (struct spec){ .width = -1, .precision = -1, .data = jinja_text_data(t) };
	if (n && n < t->len && is_align(t->bytes[n])) {
		memcpy(s->fill, t->bytes, n);
		s->fill_len = n;
		s->align = t->bytes[n];
		at = n + 1;
	} else if (t->len && is_align(*t->bytes)) {
		s->align = t->bytes[at++];
	}
	if (at < t->len && t->bytes[at] && strchr("+- ", t->bytes[at]))
		s->sign = t->bytes[at++];
	s->no_negative_zero = skip(t, &at, 'z');
	s->alternate = skip(t, &at, '#');
	if (!s->fill_len && skip(t, &at, '0')) {
		s->zero = true;
		s->fill[0] = '0';
		s->fill_len = 1;
	}
	TRY(read_count(j, t, &at, &s->width));
	if (at < t->len && (t->bytes[at] == ',' || t->bytes[at] == '_'))
		s->grouping = t->bytes[at++];
	if (s->grouping && at < t->len && (t->bytes[at] == ',' || t->bytes[at] == '_'))
		return jinja_fail(j, "Cannot specify both ',' and '_'.");
	if (skip(t, &at, '.')) {
		TRY(read_count(j, t, &at, &s->precision));
		if (s->precision < 0)
			return jinja_fail(j, "Format specifier missing precision");
	}
	if (at + 1 < t->len)
		return jinja_fail(j, "Invalid format specifier");
	s->type = at < t->len ? t->bytes[at] : '\0';
	if (s->grouping && s->type && !strchr("deEfFgG%", s->type) &&
	    !(s->grouping == '_' && strchr("boxX", s->type)))
		return jinja_fail(j, "Cannot specify '%c' with '%c'.", s->grouping, s->type);
	return 0;
}

static void put_fill(const struct spec *s, int64_t n, bool data, struct jinja_out *o)
{
	struct jinja_text fill = { .bytes = s->fill_len ? s->fill : " ",
				   .data = s->data || data,
				   .len = s->fill_len ? s->fill_len : 1 };
	jinja_put_times(o, &fill, n);
}

static int format_string(struct jinja *j, const struct jinja_text *t, const struct spec *s,
			 struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	if (s->type && s->type != 's')
		return jinja_fail(j, "Unknown format code '%c' for object of type 'str'", s->type);
	if (s->sign || s->no_negative_zero || s->alternate || s->grouping || s->align == '=')
		return jinja_fail(j, "not allowed in a string's format specifier");
	int64_t count = (int64_t)jinja_characters(t);
	size_t end = t->len;
	if (s->precision >= 0 && s->precision < count) {
		count = s->precision;
		end = jinja_offset(t, (size_t)count);
	}
	int64_t room = s->width > count ? s->width - count : 0;
	int64_t left = s->align == '>' ? room : s->align == '^' ? room / 2 : 0;
	TRY(jinja_charge(j, t->len / 64 + 1 + (uint64_t)room / 4));
	put_fill(s, left, false, &o);
	jinja_put_text(&o, t, 0, end);
	put_fill(s, room - left, false, &o);
	return jinja_out_take(j, &o, out);
}

/* ---- numbers ---- */

/* A number in parts: sign, prefix, digits to be grouped, the rest. */
struct parts {
	const char *prefix;
	char sign;
	const char *digits, *rest;
	size_t digits_len, rest_len;
	int group; /* digits between separators */
};

/* Digits with separators and leading zeros, so that with them at least `least` characters. */
static void put_grouped(const struct spec *s, const struct parts *p, int64_t least, bool data,
			struct jinja_out *o)
{
	int64_t count = (int64_t)p->digits_len, zeros = 0, separators;
	for (;; zeros++) {
		separators = s->grouping && count + zeros ? (count + zeros - 1) / p->group : 0;
		if (count + zeros + separators >= least)
			break;
	}
	for (int64_t i = 0; i < count + zeros; i++) {
		int64_t left = count + zeros - i;
		if (i && s->grouping && left % p->group == 0)
			jinja_put(o, &s->grouping, 1, data);
		jinja_put(o, i < zeros ? "0" : p->digits + (i - zeros), 1, data);
	}
}

static int put_number(struct jinja *j, const struct spec *s, const struct parts *p, bool data,
		      struct jinja_value *out)
{
	struct jinja_out o = { 0 };
	char sign = p->sign == '-' ? '-' : s->sign == '+' ? '+' : s->sign == ' ' ? ' ' : '\0';
	char align = s->align ? s->align : s->zero ? '=' : '>';
	bool zeros = align == '=' && s->fill_len == 1 && *s->fill == '0';
	int64_t head = (sign != 0) + (int64_t)strlen(p->prefix), tail = (int64_t)p->rest_len;
	int64_t digits = (int64_t)p->digits_len;
	if (s->grouping && digits)
		digits += (digits - 1) / p->group;
	int64_t least = zeros ? s->width - head - tail : 0;
	if (zeros && least > digits) {
		digits = least; /* a separator may not come first: one more then */
		if (s->grouping && digits % (p->group + 1) == 0)
			digits++;
	}
	int64_t room = s->width - head - digits - tail;
	room = room < 0 ? 0 : room;
	int64_t left = align == '>' ? room : align == '^' ? room / 2 : 0;
	TRY(jinja_charge(j, (uint64_t)(digits + room) / 4 + 1));
	data = data || s->data;
	put_fill(s, left, data, &o);
	jinja_put(&o, &sign, sign != 0, data);
	jinja_put(&o, p->prefix, strlen(p->prefix), data);
	if (align == '=' && !zeros)
		put_fill(s, room, data, &o);
	put_grouped(s, p, least, data, &o);
	jinja_put(&o, p->rest, p->rest_len, data);
	put_fill(s, align == '=' ? 0 : room - left, data, &o);
	return jinja_out_take(j, &o, out);
}

static int format_character(struct jinja *j, const struct jinja_value *v, const struct spec *s,
			    struct jinja_value *out)
{
	char bytes[4];
	struct spec as_text = *s;
	int64_t cp = v->kind == J_BOOL ? v->boolean : v->kind == J_BIG ? -1 : v->integer;
	if (s->sign || s->alternate || s->grouping)
		return jinja_fail(j, "Sign not allowed with integer format specifier 'c'");
	if (cp < 0 || cp > 0x10FFFF)
		return jinja_fail(j, "%%c arg not in range(0x110000)");
	if (cp >= 0xD800 && cp < 0xE000)
		return jinja_refuse(j, "half of a surrogate pair");
	struct jinja_text t = { .bytes = bytes,
				.data = v->data,
				.len = (size_t)text_utf8_encode((uint32_t)cp, bytes) };
	as_text.type = 's';
	as_text.align = s->align == '=' || !s->align ? '>' : s->align;
	return format_string(j, &t, &as_text, out);
}

static int format_integer(struct jinja *j, const struct jinja_value *v, const struct spec *s,
			  struct jinja_value *out)
{
	struct buf digits = { 0 };
	int base = s->type == 'b'                     ? 2
		   : s->type == 'o'                   ? 8
		   : s->type == 'x' || s->type == 'X' ? 16
						      : 10;
	if (s->precision >= 0)
		return jinja_fail(j, "Precision not allowed in integer format specifier");
	if (s->no_negative_zero)
		return jinja_fail(
			j, "Negative zero coercion (z) not allowed in integer format specifier");
	if (s->type == 'c')
		return format_character(j, v, s, out);
	int rc = jinja_digits(j, v, base, &digits);
	if (rc == 0 && digits.failed)
		rc = jinja_no_memory(j);
	for (size_t i = 0; rc == 0 && s->type == 'X' && i < digits.len; i++)
		digits.bytes[i] =
			(char)(digits.bytes[i] >= 'a' ? digits.bytes[i] - 32 : digits.bytes[i]);
	if (rc == 0) {
		bool negative = *digits.bytes == '-';
		struct parts p = { .sign = negative ? '-' : '\0',
				   .digits = digits.bytes + negative,
				   .digits_len = digits.len - negative,
				   .rest = "",
				   .group = base == 10 ? 3 : 4 };
		p.prefix = !s->alternate || base == 10 ? ""
			   : base == 2                 ? "0b"
			   : base == 8                 ? "0o"
			   : s->type == 'x'            ? "0x"
						       : "0X";
		rc = put_number(j, s, &p, v->data, out);
	}
	buf_free(&digits);
	return rc;
}

/* Of type '' with a precision: as g, but a whole number shows ".0" and has one digit less before an
 * exponent is used. */
static void print_general(double d, int precision, bool alternate, char *text, size_t room)
{
	char digits[1100];
	precision = precision ? precision : 1;
	snprintf(digits, sizeof digits, "%.*e", precision - 1, d);
	int exponent = atoi(strchr(digits, 'e') + 1);
	if (exponent < -4 || exponent >= precision - 1) {
		snprintf(text, room, alternate ? "%#.*e" : "%.*e", precision - 1, d);
		if (alternate)
			return;
		char *e = strchr(text, 'e'), *end = e; /* zeros at the end go */
		while (memchr(text, '.', (size_t)(end - text)) && end[-1] == '0')
			end--;
		end -= end[-1] == '.';
		memmove(end, e, strlen(e) + 1);
		return;
	}
	snprintf(text, room, "%.*f", precision - 1 - exponent, d);
	char *point = strchr(text, '.');
	while (point && !alternate && strlen(point) > 2 && text[strlen(text) - 1] == '0')
		text[strlen(text) - 1] = '\0';
}

static void print_real(double d, const struct spec *s, char *text, size_t room)
{
	char type = s->type == 'n' ? 'g' : s->type, format[8];
	int precision = (int)s->precision;
	if (type == '%') {
		d *= 100;
		type = 'f';
	}
	if (!isfinite(d)) {
		snprintf(text, room, "%s", isnan(d) ? "nan" : d < 0 ? "-inf" : "inf");
		for (char *c = text; *c && type >= 'A' && type <= 'Z'; c++)
			*c = (char)(*c >= 'a' ? *c - 32 : *c);
	} else if (!type && precision < 0) {
		jinja_print_float(d, text);
		char *e = s->alternate && !strchr(text, '.') ? strchr(text, 'e') : NULL;
		if (e) {
			memmove(e + 1, e, strlen(e) + 1);
			*e = '.';
		}
	} else if (!type) {
		print_general(d, precision, s->alternate, text, room);
	} else {
		snprintf(format, sizeof format, s->alternate ? "%%#.*%c" : "%%.*%c", type);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, room, format, precision < 0 ? 6 : precision, d);
#pragma GCC diagnostic pop
	}
	if (s->type == '%')
		strcat(text, "%");
}

static int format_real(struct jinja *j, double d, bool data, const struct spec *s,
		       struct jinja_value *out)
{
	char text[1600];
	if (s->precision > PRECISION_LIMIT)
		return jinja_refuse(j, "formatting with a precision of more than %d",
				    PRECISION_LIMIT);
	print_real(d, s, text, sizeof text);
	bool negative = *text == '-';
	if (negative && s->no_negative_zero && !strpbrk(text, "123456789i"))
		memmove(text, text + 1, strlen(text)), negative = false;
	const char *digits = text + negative;
	struct parts p = {
		.prefix = "", .sign = negative ? '-' : '\0', .digits = digits, .group = 3
	};
	while (digits[p.digits_len] >= '0' && digits[p.digits_len] <= '9')
		p.digits_len++;
	p.rest = digits + p.digits_len;
	p.rest_len = strlen(p.rest);
	return put_number(j, s, &p, data, out);
}

static int format_number(struct jinja *j, const struct jinja_value *v, const struct spec *s,
			 struct jinja_value *out)
{
	double d = v->number;
	if (v->kind != J_FLOAT) {
		if (!s->type || strchr("bcdoxXn", s->type))
			return format_integer(j, v, s, out);
		TRY(strchr("eEfFgG%", s->type) ? jinja_to_double(j, v, &d) : 0);
	}
	if (s->type && !strchr("eEfFgG%n", s->type))
		return jinja_fail(j, "Unknown format code '%c' for object of type '%s'", s->type,
				  jinja_type_name(v));
	return format_real(j, d, v->data, s, out);
}

int jinja_format(struct jinja *j, const struct jinja_value *v, const struct jinja_text *spec,
		 struct jinja_value *out)
{
	struct spec s;
	const struct jinja_text *t;
	if (!spec->len) {
		TRY(jinja_to_text(j, v, &t));
		*out = (struct jinja_value){ .kind = J_STR, .text = t };
		return 0;
	}
	if (v->kind != J_STR && !jinja_is_number(v))
		return jinja_fail(j, "unsupported format string passed to %s.__format__",
				  jinja_type_name(v));
	TRY(read_spec(j, spec, &s));
	return v->kind == J_STR ? format_string(j, v->text, &s, out) : format_number(j, v, &s, out);
}
