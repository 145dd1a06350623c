/* Operators of values, and numbers read from text. */
#include "template/jinja.h"

#include "base/text.h"
#include "base/unicode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int real_power(struct jinja *j, double a, double b, double *out)
{
	if (a == 0 && b < 0)
		return jinja_fail(j, "0.0 cannot be raised to a negative power");
	if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
		return jinja_refuse(j, "complex numbers");
	*out = pow(a, b);
	return isfinite(*out) || !isfinite(a) || !isfinite(b) ? 0
							      : jinja_fail(j, "result too large");
}

static int reals(struct jinja *j, enum jinja_op op, double a, double b, double *out)
{
	if (b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD))
		return jinja_fail(j, "division by zero");
	if (op == OP_POW)
		return real_power(j, a, b, out);
	double quotient, rest = op == OP_FLOORDIV || op == OP_MOD ? fmod(a, b) : 0;
	bool down = rest != 0 && (rest < 0) != (b < 0);
	switch (op) {
	case OP_ADD:
		*out = a + b;
		break;
	case OP_SUB:
		*out = a - b;
		break;
	case OP_MUL:
		*out = a * b;
		break;
	case OP_DIV:
		*out = a / b;
		break;
	case OP_FLOORDIV:
		quotient = (a - rest) / b - down; /* a whole number but for rounding */
		*out = floor(quotient) + (quotient - floor(quotient) > 0.5);
		*out = *out == 0 ? copysign(0.0, a / b) : *out;
		break;
	default:
		*out = rest == 0 ? copysign(0.0, b) : down ? rest + b : rest;
	}
	return 0;
}

static int real(struct jinja *j, const struct jinja_value *v, double *out)
{
	*out = v->number;
	return v->kind == J_FLOAT ? 0 : jinja_to_double(j, v, out);
}

static int numbers(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
		   const struct jinja_value *b, struct jinja_value *out)
{
	bool whole = a->kind != J_FLOAT && b->kind != J_FLOAT, data = a->data || b->data;
	struct jinja_value zero = jinja_int(0, false);
	bool negative = whole && op == OP_POW && jinja_order_integers(b, &zero) < 0;
	double d = 0, x, y;
	if (whole && op == OP_DIV) {
		TRY(jinja_divide(j, a, b, &d));
	} else if (whole && !negative) {
		return jinja_integers(j, op, a, b, out);
	} else {
		TRY(real(j, a, &x));
		TRY(real(j, b, &y));
		TRY(reals(j, op, x, y, &d));
	}
	*out = jinja_float(d, data);
	return 0;
}

static int add_lists(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
		     struct jinja_value *out)
{
	const struct jinja_list *parts[] = { a->list, b->list };
	enum jinja_kind kind = a->kind;
	TRY(jinja_list_new(j, kind, out));
	TRY(jinja_charge(j, (parts[0]->count + parts[1]->count) / 8));
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < parts[k]->count; i++)
			TRY(jinja_list_add(j, out->list, parts[k]->at[i]));
	return 0;
}

/* A string or list, n times over. */
static int repeat(struct jinja *j, const struct jinja_value *a, int64_t n, struct jinja_value *out)
{
	struct jinja_value v = *a;
	struct jinja_out o = { 0 };
	if (a->kind == J_LIST || a->kind == J_TUPLE) {
		TRY(jinja_list_new(j, v.kind, out));
		for (int64_t i = 0; i < n && v.list->count; i++) {
			TRY(jinja_charge(j, 1 + v.list->count / 8));
			for (size_t k = 0; k < v.list->count; k++)
				TRY(jinja_list_add(j, out->list, v.list->at[k]));
		}
		return 0;
	}
	n = n < 0 || !v.text->len ? 0 : n;
	if (n > (int64_t)(JINJA_STRING_BYTES / (v.text->len + 1)))
		return jinja_fail_long(j);
	TRY(jinja_charge(j, (uint64_t)n));
	jinja_put_times(&o, v.text, n);
	TRY(jinja_out_take(j, &o, out));
	out->kind = v.kind;
	return jinja_mark(j, v.text->markup, out);
}

static bool repeats(const struct jinja_value *v)
{
	return v->kind == J_STR || v->kind == J_BYTES || v->kind == J_LIST || v->kind == J_TUPLE;
}

static int add(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
	       struct jinja_value *out)
{
	if (a->kind == J_STR)
		return jinja_add_texts(j, a->text, b->text, out);
	if (a->kind != J_BYTES)
		return add_lists(j, a, b, out);
	TRY(jinja_concat(j, a->text, b->text, out));
	out->kind = J_BYTES;
	return 0;
}

int jinja_binary(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
		 const struct jinja_value *b, struct jinja_value *out)
{
	static const char *const signs[] = {
		[OP_ADD] = "+",       [OP_SUB] = "-", [OP_MUL] = "*", [OP_DIV] = "/",
		[OP_FLOORDIV] = "//", [OP_MOD] = "%", [OP_POW] = "**"
	};
	struct jinja_value x = *a, y = *b; /* out may be one of them */
	if (op == OP_MOD && x.kind == J_STR)
		return jinja_percent(j, x.text, &y, out);
	if (op == OP_MOD && x.kind == J_BYTES)
		return jinja_refuse(j, "formatting bytes");
	if (x.kind == J_UNDEFINED || y.kind == J_UNDEFINED)
		return jinja_fail_undefined(j, x.kind == J_UNDEFINED ? &x : &y);
	if (jinja_is_number(&x) && jinja_is_number(&y))
		return numbers(j, op, &x, &y, out);
	if (op == OP_ADD && x.kind == y.kind && repeats(&x))
		return add(j, &x, &y, out);
	if (op == OP_MUL && repeats(&y)) {
		struct jinja_value swap = x;
		x = y;
		y = swap;
	}
	if (op == OP_MUL && repeats(&x) && y.kind == J_BIG)
		return jinja_fail(j, "cannot fit 'int' into an index-sized integer");
	if (op == OP_MUL && repeats(&x) && jinja_is_integer(&y))
		return repeat(j, &x, y.kind == J_BOOL ? y.boolean : y.integer, out);
	if (op == OP_SUB && x.kind == J_VIEW)
		return jinja_refuse(j, "sets");
	return jinja_fail(j, "unsupported operand type(s) for %s: '%s' and '%s'", signs[op],
			  jinja_type_name(a), jinja_type_name(b));
}

int jinja_negate(struct jinja *j, const struct jinja_value *v, struct jinja_value *out)
{
	struct jinja_value zero = jinja_int(0, false);
	if (v->kind != J_FLOAT)
		return jinja_binary(j, OP_SUB, &zero, v, out);
	*out = jinja_float(-v->number, v->data);
	return 0;
}

/* ---- numbers in text ---- */

/* The text without white space around it, its digits of any script as 0 to 9, NUL-terminated; *out
 * NULL if anything else is beyond ASCII. */
static int plain_digits(struct jinja *j, const struct jinja_text *t, char **out, size_t *len)
{
	size_t begin, end;
	jinja_strip(t, NULL, true, true, &begin, &end);
	TRY(jinja_charge(j, t->len / 16));
	char *copy = jinja_alloc(j, end - begin + 1, 1);
	if (!copy)
		return jinja_no_memory(j);
	*out = copy;
	*len = 0;
	while (begin < end) {
		uint32_t cp;
		begin += (size_t)text_utf8_decode(t->bytes + begin, end - begin, &cp);
		int value = cp < 0x80 ? -1 : unicode_decimal(cp);
		if ((cp >= 0x80 && value < 0) || !cp) {
			*out = NULL;
			return 0;
		}
		copy[(*len)++] = value < 0 ? (char)cp : (char)('0' + value);
	}
	return 0;
}

static int digit_of(char c)
{
	return c >= '0' && c <= '9'                 ? c - '0'
	       : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10
						    : 99;
}

/* The base that a prefix names, or 0. */
static int prefix_base(const char *s, size_t len)
{
	char c = len > 1 && s[0] == '0' ? (char)(s[1] | 32) : '\0';
	return c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
}

int jinja_read_integer(struct jinja *j, const struct jinja_text *t, int64_t base,
		       struct jinja_value *out)
{
	char *s;
	size_t len, used = 0;
	TRY(plain_digits(j, t, &s, &len));
	if (!s || !len || base < 0 || base == 1 || base > 36)
		return 0;
	bool negative = *s == '-', prefixed = false;
	if (*s == '-' || *s == '+') {
		s++;
		len--;
	}
	int named = prefix_base(s, len);
	if (named && (base == 0 || base == named)) {
		s += 2;
		len -= 2;
		base = named;
		prefixed = true;
	}
	bool any = base == 0, zeros = true;
	base = any ? 10 : base;
	for (size_t i = 0; i < len; i++) {
		bool between = i + 1 < len && s[i + 1] != '_' && (i > 0 || prefixed);
		if (s[i] == '_' && between)
			continue;
		if (digit_of(s[i]) >= base)
			return 0;
		zeros = zeros && s[i] == '0';
		s[used++] = s[i];
	}
	if (!used || (any && used > 1 && *s == '0' && !zeros))
		return 0;
	TRY(jinja_from_digits(j, s, used, (int)base, negative, jinja_text_data(t), out));
	return 1;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

int jinja_read_float(struct jinja *j, const struct jinja_text *t, double *out)
{
	static const char *const words[] = { "inf", "infinity", "nan" };
	char *s, *end;
	size_t len, used = 0;
	TRY(plain_digits(j, t, &s, &len));
	if (!s || !len)
		return 0;
	const char *word = s + (*s == '-' || *s == '+');
	size_t rest = len - (size_t)(word - s);
	for (int i = 0; i < 3; i++)
		if (rest == strlen(words[i]) && strncasecmp(word, words[i], rest) == 0) {
			*out = i == 2      ? (double)NAN
			       : *s == '-' ? -(double)INFINITY
					   : (double)INFINITY;
			return 1;
		}
	for (size_t i = 0; i < len; i++) {
		bool between = i > 0 && i + 1 < len && is_digit(s[i - 1]) && is_digit(s[i + 1]);
		if (s[i] == '_' && between)
			continue;
		if (!is_digit(s[i]) && !strchr("+-.eE", s[i]))
			return 0; /* strtod reads more than Python does */
		s[used++] = s[i];
	}
	s[used] = '\0';
	*out = strtod(s, &end);
	return !*end;
}

double jinja_round(double d, int64_t places)
{
	char text[1200];
	if (!isfinite(d) || places > 400)
		return d;
	if (places < -400)
		return copysign(0.0, d);
	if (places >= 0) {
		snprintf(text, sizeof text, "%.*f", (int)places, d);
		return strtod(text, NULL);
	}
	/* every digit before the point that is kept, then whether the rest is more than half */
	int keep = snprintf(text, sizeof text, "%.0f", trunc(fabs(d))) + (int)places;
	if (keep < 0)
		return copysign(0.0, d);
	char *cut = text + keep;
	bool beyond = fabs(d) != trunc(fabs(d)) ||
		      strspn(*cut ? cut + 1 : cut, "0") != strlen(*cut ? cut + 1 : cut);
	bool up = *cut > '5' || (*cut == '5' && (beyond || (keep && (cut[-1] - '0') % 2)));
	memset(cut, '0', strlen(cut));
	double down = strtod(text, NULL);
	snprintf(text, sizeof text, "1e%d", (int)-places);
	return copysign(up ? down + strtod(text, NULL) : down, d);
}
