/* text % values, in the parts of printf that Python shares with C: %s %r %d %i %x %o %e %f %g %c %%
 * with flags, width and precision. Names in brackets, * and ascii() are refused. */
#include "template/jinja.h"

#include <stdio.h>
#include <string.h>

#define FIELD_MAX 1000 /* width and precision */

struct field {
	char flags[8];
	int width, precision; /* -1: none */
	char kind;
	bool data; /* the field is data itself: so is what it pads with */
};

static int number_at(const struct jinja_text *t, size_t *at)
{
	int n = -1;
	for (; *at < t->len && t->bytes[*at] >= '0' && t->bytes[*at] <= '9' && n <= FIELD_MAX; ++*at)
		n = (n < 0 ? 0 : n) * 10 + t->bytes[*at] - '0';
	return n;
}

/* The field behind the % before *at; *at moves behind it. */
static int read_field(struct jinja *j, const struct jinja_text *t, size_t *at, struct field *f)
{
	size_t flags = 0;
	*f = (struct field){ .precision = -1, .data = t->origin ? t->origin[*at - 1] : t->data };
	while (*at < t->len && t->bytes[*at] && strchr("-+ 0#", t->bytes[*at]) && flags < 7)
		f->flags[flags++] = t->bytes[(*at)++];
	f->width = number_at(t, at);
	if (*at < t->len && t->bytes[*at] == '.') {
		++*at;
		f->precision = number_at(t, at);
		f->precision = f->precision < 0 ? 0 : f->precision;
	}
	if (*at == t->len)
		return jinja_fail(j, "incomplete format");
	f->kind = t->bytes[(*at)++];
	if (f->width > FIELD_MAX || f->precision > FIELD_MAX || !f->kind || strchr("(*a", f->kind))
		return jinja_refuse(j, "formatting with %%%c", f->kind);
	return strchr("srdiuxXoeEfFgGc%", f->kind) ? 0 :
	       jinja_fail(j, "unsupported format character '%c'", f->kind);
}

static void pad(struct jinja_out *o, int64_t n, bool data)
{
	for (; n > 0; n--)
		jinja_put(o, " ", 1, data);
}

static int put_text(struct jinja *j, const struct field *f, const struct jinja_value *v,
                    struct jinja_out *o)
{
	const struct jinja_text *t;
	struct jinja_value made;
	if (f->kind == 'r') {
		struct jinja_out repr = { 0 };
		int rc = jinja_repr(j, v, &repr);
		if (rc < 0)
			jinja_out_free(&repr);
		else
			rc = jinja_out_take(j, &repr, &made);
		TRY(rc);
		t = made.text;
	} else {
		TRY(jinja_to_text(j, v, &t));
	}
	TRY(jinja_charge(j, t->len / 64 + 1));
	int64_t count = (int64_t)jinja_characters(t);
	size_t end = t->len;
	if (f->precision >= 0 && f->precision < count) {
		count = f->precision;
		end = jinja_offset(t, (size_t)count);
	}
	bool left = strchr(f->flags, '-') != NULL;
	pad(o, left ? 0 : f->width - count, f->data);
	jinja_put_text(o, t, 0, end);
	pad(o, left ? f->width - count : 0, f->data);
	return 0;
}

static int put_number(struct jinja *j, const struct field *f, const struct jinja_value *v,
                      struct jinja_out *o)
{
	char spec[32], text[2 * FIELD_MAX + 400];
	bool real = strchr("eEfFgG", f->kind) != NULL;
	double d = v->kind == J_FLOAT ? v->number : v->kind == J_BOOL ? (double)v->boolean :
	    (double)v->integer;
	if (v->kind != J_INT && v->kind != J_BOOL && v->kind != J_FLOAT)
		return jinja_fail(j, "%%%c format: a number is required, not %s", f->kind, jinja_type_name(v));
	if (!real && v->kind == J_FLOAT && (strchr("xXo", f->kind) || !(d > -9e18 && d < 9e18)))
		return jinja_fail(j, "%%%c format: an integer is required, not float", f->kind);
	int64_t i = v->kind == J_FLOAT ? (int64_t)d : v->kind == J_BOOL ? v->boolean : v->integer;
	if (strchr("xXo", f->kind) && (i < 0 || strpbrk(f->flags, "#+ ")))
		return jinja_refuse(j, "formatting with %%%c of this number", f->kind);
	int width = f->width < 0 ? 0 : f->width, len;
	/* Python pads whole numbers with zeros even where a precision is given */
	if (!real && f->precision >= 0 && strchr(f->flags, '0'))
		return jinja_refuse(j, "formatting a whole number with a precision");
	snprintf(spec, sizeof spec, "%%%s*.*%s%c", f->flags, real ? "" : "ll",
	         f->kind == 'u' ? 'd' : f->kind);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (real)
		len = snprintf(text, sizeof text, spec, width, f->precision, d);
	else
		len = snprintf(text, sizeof text, spec, width, f->precision, (long long)i);
#pragma GCC diagnostic pop
	jinja_put(o, text, (size_t)len, v->data || f->data);
	return 0;
}

static int put_field(struct jinja *j, const struct field *f, const struct jinja_value *v,
                     struct jinja_out *o)
{
	if (f->kind == 's' || f->kind == 'r')
		return put_text(j, f, v, o);
	if (f->kind != 'c')
		return put_number(j, f, v, o);
	if (v->kind == J_INT || v->kind == J_BOOL)
		return jinja_refuse(j, "formatting a number with %%c");
	if (v->kind != J_STR || jinja_characters(v->text) != 1)
		return jinja_fail(j, "%%c requires a string of one character");
	return put_text(j, f, v, o);
}

int jinja_percent(struct jinja *j, const struct jinja_text *t, const struct jinja_value *values,
                  struct jinja_value *out)
{
	struct jinja_list one = { .at = (struct jinja_value *)values, .count = 1 };
	const struct jinja_list *all = values->kind == J_TUPLE ? values->list : &one;
	struct jinja_out o = { 0 };
	size_t used = 0;
	int rc = jinja_charge(j, t->len / 16);
	for (size_t at = 0; at < t->len && rc == 0;) {
		struct field f;
		if (t->bytes[at] != '%') {
			jinja_put_text(&o, t, at, at + 1);
			at++;
			continue;
		}
		size_t begin = at++;
		rc = read_field(j, t, &at, &f);
		if (rc == 0 && f.kind == '%')
			jinja_put_text(&o, t, begin, begin + 1);
		else if (rc == 0 && used == all->count)
			rc = jinja_fail(j, "not enough arguments for format string");
		else if (rc == 0)
			rc = put_field(j, &f, &all->at[used++], &o);
		if (rc == 0 && o.text.len > JINJA_STRING_BYTES)
			rc = jinja_fail(j, "a string is longer than %zu bytes", JINJA_STRING_BYTES);
	}
	bool mapping = values->kind == J_DICT || values->kind == J_LIST || values->kind == J_RANGE;
	if (rc == 0 && used < all->count && !mapping)
		rc = jinja_fail(j, "not all arguments converted during string formatting");
	if (rc == 0)
		return jinja_out_take(j, &o, out);
	jinja_out_free(&o);
	return rc;
}
