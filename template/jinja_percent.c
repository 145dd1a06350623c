/* text % values, as Python's printf. */
#include "template/jinja.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FIELD_MAX 100000 /* width and precision */

struct field {
	char flags[6];
	int64_t width, precision; /* -1: none */
	char kind;
	bool data; /* the field is data itself: so is what it pads with */
};
/* Where the fields take their values from. */
struct source {
	struct jinja *j;
	const struct jinja_text *t;
	size_t at;                       /* in t */
	const struct jinja_value *whole; /* what stands behind % */
	struct jinja_value one;          /* of a name in brackets */
	const struct jinja_list *tuple;  /* NULL: one value, for one field */
	size_t used;
	bool named; /* a name was used: no value need be */
};

/* Whether Python takes it for a mapping, which need not be used up. */
static bool is_mapping(const struct jinja_value *v)
{
	return v->kind == J_DICT || v->kind == J_LIST || v->kind == J_RANGE || v->kind == J_BYTES ||
	       v->kind == J_UNDEFINED || v->kind == J_SELF;
}

static int next_value(struct source *s, const struct jinja_value **out)
{
	size_t count = s->tuple ? s->tuple->count : 1;
	if (s->used >= count)
		return jinja_fail(s->j, "not enough arguments for format string");
	*out = s->tuple ? &s->tuple->at[s->used] : s->named ? &s->one : s->whole;
	s->used++;
	return 0;
}

/* (name): the field's value is the mapping's. */
static int read_name(struct source *s)
{
	size_t begin = ++s->at;
	int depth = 1;
	struct jinja_value key;
	if (!is_mapping(s->whole))
		return jinja_fail(s->j, "format requires a mapping");
	for (; s->at < s->t->len && depth; s->at++)
		depth += s->t->bytes[s->at] == '(' ? 1 : s->t->bytes[s->at] == ')' ? -1 : 0;
	if (depth)
		return jinja_fail(s->j, "incomplete format key");
	TRY(jinja_slice(s->j, s->t, begin, s->at - 1, &key));
	if (s->whole->kind == J_UNDEFINED)
		return jinja_fail_undefined(s->j, s->whole);
	int found = jinja_item(s->j, s->whole, &key, &s->one);
	TRY(found);
	if (!found)
		return jinja_fail(s->j, "format has no value of that name");
	s->tuple = NULL;
	s->used = 0;
	s->named = true;
	return 0;
}

/* Digits, or * for a value. */
static int read_number(struct source *s, int64_t *out)
{
	const struct jinja_value *v;
	if (s->at < s->t->len && s->t->bytes[s->at] == '*') {
		s->at++;
		TRY(next_value(s, &v));
		if (!jinja_is_integer(v))
			return jinja_fail(s->j, "* wants int");
		*out = v->kind == J_BOOL ? v->boolean : v->kind == J_BIG ? INT32_MAX : v->integer;
		return *out > FIELD_MAX || *out < -FIELD_MAX ? jinja_fail(s->j, "width too big")
							     : 0;
	}
	for (; s->at < s->t->len && s->t->bytes[s->at] >= '0' && s->t->bytes[s->at] <= '9';
	     s->at++) {
		*out = (*out < 0 ? 0 : *out) * 10 + s->t->bytes[s->at] - '0';
		if (*out > FIELD_MAX)
			return jinja_fail(s->j, "width too big");
	}
	return 0;
}

static bool flagged(const struct field *f, char flag) { return strchr(f->flags, flag) != NULL; }

/* The field behind the % before s->at, which moves behind it. */
static int read_field(struct source *s, struct field *f)
{
	const struct jinja_text *t = s->t;
	size_t flags = 0, begin = s->at;
	*f = (struct field){ .width = -1,
			     .precision = -1,
			     .data = t->origin ? t->origin[s->at - 1] : t->data };
	if (s->at < t->len && t->bytes[s->at] == '(')
		TRY(read_name(s));
	for (; s->at < t->len && t->bytes[s->at] && strchr("-+ #0", t->bytes[s->at]); s->at++)
		if (!flagged(f, t->bytes[s->at]))
			f->flags[flags++] = t->bytes[s->at];
	TRY(read_number(s, &f->width));
	if (f->width < -1) {
		f->width = -f->width;
		if (!flagged(f, '-'))
			f->flags[flags++] = '-';
	}
	if (s->at < t->len && t->bytes[s->at] == '.') {
		s->at++;
		f->precision = 0;
		TRY(read_number(s, &f->precision));
		f->precision = f->precision < 0 ? 0 : f->precision;
	}
	if (s->at < t->len && t->bytes[s->at] && strchr("hlL", t->bytes[s->at]))
		s->at++;
	if (s->at == t->len)
		return jinja_fail(s->j, "incomplete format");
	f->kind = t->bytes[s->at++];
	return f->kind == '%' && s->at - begin > 1
		       ? jinja_fail(s->j, "unsupported format character '%%'")
		       : 0;
}

static void pad_with(struct jinja_out *o, char c, int64_t n, bool data)
{
	for (; n > 0; n--)
		jinja_put(o, &c, 1, data);
}

static int put_padded(struct source *s, const struct field *f, const struct jinja_text *t,
		      struct jinja_out *o)
{
	int64_t count = (int64_t)jinja_characters(t);
	size_t end = t->len;
	if (f->precision >= 0 && f->precision < count) {
		count = f->precision;
		end = jinja_offset(t, (size_t)count);
	}
	TRY(jinja_charge(s->j, t->len / 64 + 1 + (f->width > 0 ? (uint64_t)f->width / 8 : 0)));
	pad_with(o, ' ', flagged(f, '-') ? 0 : f->width - count, f->data);
	jinja_put_text(o, t, 0, end);
	pad_with(o, ' ', flagged(f, '-') ? f->width - count : 0, f->data);
	return 0;
}

static int put_text(struct source *s, const struct field *f, const struct jinja_value *v,
		    struct jinja_out *o)
{
	const struct jinja_text *t;
	struct jinja_value made;
	if (f->kind == 'r' || f->kind == 'a') {
		TRY(f->kind == 'r' ? jinja_repr(s->j, v, &made) : jinja_ascii(s->j, v, &made));
		t = made.text;
	} else {
		TRY(jinja_to_text(s->j, v, &t));
	}
	if (s->t->markup) {
		TRY(jinja_escape(s->j, t, &made));
		t = made.text;
	}
	return put_padded(s, f, t, o);
}

/* digits: with its sign and without a prefix. */
static int put_digits(struct source *s, const struct field *f, const char *digits, size_t len,
		      const char *prefix, int64_t least, bool data, struct jinja_out *o)
{
	bool negative = len && *digits == '-';
	const char *sign = negative ? "-" : flagged(f, '+') ? "+" : flagged(f, ' ') ? " " : "";
	digits += negative;
	len -= negative;
	int64_t zeros = least > (int64_t)len ? least - (int64_t)len : 0;
	int64_t room = f->width - (int64_t)(strlen(sign) + strlen(prefix) + len) - zeros;
	if (room > 0 && flagged(f, '0') && !flagged(f, '-')) {
		zeros += room;
		room = 0;
	}
	TRY(jinja_charge(s->j, len / 64 + 1 + (uint64_t)(zeros + (room > 0 ? room : 0)) / 8));
	data = data || f->data;
	pad_with(o, ' ', flagged(f, '-') ? 0 : room, data);
	jinja_put(o, sign, strlen(sign), data);
	jinja_put(o, prefix, strlen(prefix), data);
	pad_with(o, '0', zeros, data);
	jinja_put(o, digits, len, data);
	pad_with(o, ' ', flagged(f, '-') ? room : 0, data);
	return 0;
}

/* What %d makes of a value: int(v). */
static int to_integer(struct source *s, const struct field *f, const struct jinja_value *v,
		      struct jinja_value *out)
{
	bool exact = f->kind == 'x' || f->kind == 'X' || f->kind == 'o';
	*out = *v;
	if (v->kind == J_UNDEFINED && (!exact || !s->t->markup))
		return jinja_fail_undefined(s->j, v);
	if (s->t->markup && exact) /* markupsafe wraps values: they have no index */
		return jinja_fail(s->j, "%%%c format: an integer is required", f->kind);
	if (s->t->markup && v->kind == J_STR) {
		int read = jinja_read_integer(s->j, v->text, 10, out);
		return read == 1  ? 0
		       : read < 0 ? read
				  : jinja_fail(s->j, "invalid literal for int()");
	}
	if (!jinja_is_number(v) || (exact && v->kind == J_FLOAT))
		return jinja_fail(s->j, "%%%c format: a number is required, not %s", f->kind,
				  jinja_type_name(v));
	return v->kind == J_FLOAT ? jinja_from_double(s->j, v->number, v->data, out) : 0;
}

static int put_integer(struct source *s, const struct field *f, const struct jinja_value *v,
		       struct jinja_out *o)
{
	struct jinja_value i;
	struct buf digits = { 0 };
	bool data = jinja_has_data(v);
	TRY(to_integer(s, f, v, &i));
	int base = f->kind == 'o' ? 8 : f->kind == 'x' || f->kind == 'X' ? 16 : 10;
	const char *prefix = !flagged(f, '#') || base == 10 ? ""
			     : base == 8                    ? "0o"
			     : f->kind == 'x'               ? "0x"
							    : "0X";
	int rc = jinja_digits(s->j, &i, base, &digits);
	if (rc == 0 && digits.failed)
		rc = jinja_no_memory(s->j);
	for (size_t k = 0; f->kind == 'X' && k < digits.len; k++)
		digits.bytes[k] =
			(char)(digits.bytes[k] >= 'a' ? digits.bytes[k] - 32 : digits.bytes[k]);
	if (rc == 0)
		rc = put_digits(s, f, digits.bytes, digits.len, prefix, f->precision, data, o);
	buf_free(&digits);
	return rc;
}

static int put_real(struct source *s, const struct field *f, const struct jinja_value *v,
		    struct jinja_out *o)
{
	char spec[8], text[1600];
	double d = v->number;
	bool data = jinja_has_data(v);
	if (v->kind == J_UNDEFINED)
		return jinja_fail_undefined(s->j, v);
	if (s->t->markup && v->kind == J_STR) {
		int read = jinja_read_float(s->j, v->text, &d);
		TRY(read);
		if (!read)
			return jinja_fail(s->j, "could not convert string to float");
	} else if (jinja_is_integer(v)) {
		TRY(jinja_to_double(s->j, v, &d));
	} else if (v->kind != J_FLOAT) {
		return jinja_fail(s->j, "must be real number, not %s", jinja_type_name(v));
	}
	if (f->precision > 1000)
		return jinja_refuse(s->j, "formatting with a precision of more than 1000");
	snprintf(spec, sizeof spec, flagged(f, '#') ? "%%#.*%c" : "%%.*%c", f->kind);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof text, spec, f->precision < 0 ? 6 : (int)f->precision, d);
#pragma GCC diagnostic pop
	const char *shown = isnan(d) && *text == '-' ? text + 1 : text;
	return put_digits(s, f, shown, strlen(shown), "", 0, data, o);
}

static int put_character(struct source *s, const struct field *f, const struct jinja_value *v,
			 struct jinja_out *o)
{
	char bytes[4];
	struct field plain = *f;
	plain.precision = -1;
	if (!s->t->markup && jinja_is_integer(v)) {
		int64_t cp = v->kind == J_BOOL ? v->boolean : v->kind == J_BIG ? -1 : v->integer;
		if (cp < 0 || cp > 0x10FFFF)
			return jinja_fail(s->j, "%%c arg not in range(0x110000)");
		if (cp >= 0xD800 && cp < 0xE000)
			return jinja_refuse(s->j, "half of a surrogate pair");
		struct jinja_text t = { .bytes = bytes,
					.data = v->data,
					.len = (size_t)text_utf8_encode((uint32_t)cp, bytes) };
		return put_padded(s, &plain, &t, o);
	}
	if (s->t->markup || v->kind != J_STR || jinja_characters(v->text) != 1)
		return jinja_fail(s->j, "%%c requires int or char");
	return put_padded(s, &plain, v->text, o);
}

static int put_field(struct source *s, const struct field *f, struct jinja_out *o)
{
	const struct jinja_value *v;
	TRY(next_value(s, &v));
	switch (f->kind) {
	case 's':
	case 'r':
	case 'a':
		return put_text(s, f, v, o);
	case 'd':
	case 'i':
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		return put_integer(s, f, v, o);
	case 'e':
	case 'E':
	case 'f':
	case 'F':
	case 'g':
	case 'G':
		return put_real(s, f, v, o);
	case 'c':
		return put_character(s, f, v, o);
	default:
		return jinja_fail(s->j, "unsupported format character");
	}
}

int jinja_percent(struct jinja *j, const struct jinja_text *t, const struct jinja_value *values,
		  struct jinja_value *out)
{
	struct source s = { .j = j,
			    .t = t,
			    .whole = values,
			    .tuple = values->kind == J_TUPLE ? values->list : NULL };
	struct jinja_out o = { 0 };
	int rc = jinja_charge(j, t->len / 16);
	while (s.at < t->len && rc == 0) {
		struct field f;
		const char *percent = memchr(t->bytes + s.at, '%', t->len - s.at);
		size_t end = percent ? (size_t)(percent - t->bytes) : t->len;
		jinja_put_text(&o, t, s.at, end);
		s.at = end + (percent != NULL);
		if (!percent)
			break;
		rc = read_field(&s, &f);
		if (rc == 0 && f.kind == '%')
			jinja_put_text(&o, t, end, end + 1);
		else if (rc == 0)
			rc = put_field(&s, &f, &o);
		if (rc == 0 && o.text.len > JINJA_STRING_BYTES)
			rc = jinja_fail_long(j);
	}
	bool left = s.tuple ? s.used < s.tuple->count : !s.used && !s.named;
	if (rc == 0 && left && (s.tuple || !is_mapping(values)))
		rc = jinja_fail(j, "not all arguments converted during string formatting");
	TRY(jinja_out_done(j, rc, &o, out));
	return jinja_mark(j, t->markup, out);
}
