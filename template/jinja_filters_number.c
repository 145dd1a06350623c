/* Filters of numbers and JSON. */
#include "template/jinja.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* float(v): 1 and *out, 0 where Python raises TypeError or ValueError. */
static int as_float(struct jinja *j, const struct jinja_value *v, double *out)
{
	if (v->kind == J_UNDEFINED)
		return jinja_fail_undefined(j, v);
	if (v->kind == J_STR)
		return jinja_read_float(j, v->text, out);
	if (v->kind == J_BYTES)
		return jinja_refuse(j, "numbers in bytes");
	if (jinja_is_integer(v))
		TRY(jinja_to_double(j, v, out));
	if (v->kind == J_FLOAT)
		*out = v->number;
	return jinja_is_number(v);
}

static int filter_int(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int64_t base = 10;
	double d = 0;
	bool data = jinja_has_data(&a->in), based = !a->slot[1] || jinja_is_integer(a->slot[1]);
	if (a->slot[1] && based)
		TRY(jinja_arg_int(j, a, 1, 10, &base));
	if (jinja_is_integer(&a->in)) {
		*out = a->in.kind == J_BOOL ? jinja_int(a->in.boolean, data) : a->in;
		return 0;
	}
	if (a->in.kind == J_STR && based) {
		int read = jinja_read_integer(j, a->in.text, base, out);
		if (read)
			return read < 0 ? read : 0;
	}
	int read = as_float(j, &a->in, &d);
	TRY(read);
	if (read && isfinite(d))
		return jinja_from_double(j, d, data, out);
	if (read && isinf(d) && a->in.kind == J_FLOAT)
		return jinja_fail(j, "cannot convert float infinity to integer");
	*out = a->slot[0] ? *a->slot[0] : jinja_int(0, false);
	return 0;
}

static int filter_float(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	double d = 0;
	int read = as_float(j, &a->in, &d);
	TRY(read);
	if (read)
		*out = jinja_float(d, jinja_has_data(&a->in));
	else
		*out = a->slot[0] ? *a->slot[0] : jinja_float(0, false);
	return 0;
}

static int filter_abs(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value zero = jinja_int(0, false);
	int order = 0;
	if (!jinja_is_number(&a->in))
		return jinja_fail(j, "bad operand type for abs(): '%s'", jinja_type_name(&a->in));
	*out = a->in;
	if (a->in.kind == J_FLOAT) {
		out->number = fabs(a->in.number);
		return 0;
	}
	TRY(jinja_order(j, &a->in, &zero, &order, 0));
	return jinja_binary(j, order < 0 ? OP_SUB : OP_ADD, &zero, &a->in, out);
}

/* ---- round ---- */

/* A whole number to a power of ten, halves to the even one. */
static int round_integer(struct jinja *j, const struct jinja_value *v, int64_t places,
			 struct jinja_value *out)
{
	struct jinja_value zero = jinja_int(0, v->data), ten = jinja_int(10, false),
			   two = jinja_int(2, false), by = jinja_int(-places, false), unit, rest,
			   twice, down, half;
	if (places >= 0)
		return jinja_binary(j, OP_ADD, v, &zero, out);
	if (places < -JINJA_INTEGER_DIGITS)
		return jinja_refuse(j, "round to %lld places", (long long)places);
	TRY(jinja_integers(j, OP_POW, &ten, &by, &unit));
	TRY(jinja_integers(j, OP_MOD, v, &unit, &rest));
	TRY(jinja_integers(j, OP_SUB, v, &rest, &down));
	TRY(jinja_integers(j, OP_MUL, &rest, &two, &twice));
	TRY(jinja_integers(j, OP_FLOORDIV, &down, &unit, &half));
	TRY(jinja_integers(j, OP_MOD, &half, &two, &half));
	int order = jinja_order_integers(&twice, &unit);
	*out = down;
	bool up = order > 0 || (order == 0 && jinja_truth(&half));
	return up ? jinja_integers(j, OP_ADD, &down, &unit, out) : 0;
}

static int round_common(struct jinja *j, const struct jinja_value *v,
			const struct jinja_value *places, struct jinja_value *out)
{
	bool none = places && places->kind == J_NONE;
	int64_t n = 0;
	if (!jinja_is_number(v))
		return jinja_fail(j, "type %s doesn't define __round__ method", jinja_type_name(v));
	if (places && !none) {
		if (!jinja_is_integer(places))
			return jinja_fail(j, "'%s' object cannot be interpreted as an integer",
					  jinja_type_name(places));
		n = places->kind == J_BOOL  ? places->boolean
		    : places->kind == J_BIG ? 1000000
					    : places->integer;
	}
	if (v->kind != J_FLOAT)
		return round_integer(j, v, n, out);
	double d = jinja_round(v->number, n);
	if (none)
		return jinja_from_double(j, d, v->data, out);
	if (isinf(d) && isfinite(v->number))
		return jinja_fail(j, "rounded value too large to represent");
	*out = jinja_float(d, v->data);
	return 0;
}

static int filter_round(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value zero = jinja_int(0, false), ten = jinja_int(10, false), power, scaled,
			   whole;
	const struct jinja_value *places = a->slot[0] ? a->slot[0] : &zero;
	bool ceiling = a->slot[1] && jinja_is_string(a->slot[1], "ceil");
	if (!a->slot[1] || jinja_is_string(a->slot[1], "common"))
		return round_common(j, &a->in, places, out);
	if (!ceiling && !jinja_is_string(a->slot[1], "floor"))
		return jinja_fail(j, "method must be common, ceil or floor");
	TRY(jinja_binary(j, OP_POW, &ten, places, &power));
	TRY(jinja_binary(j, OP_MUL, &a->in, &power, &scaled));
	whole = scaled;
	if (scaled.kind == J_FLOAT)
		TRY(jinja_from_double(j, ceiling ? ceil(scaled.number) : floor(scaled.number),
				      scaled.data, &whole));
	else if (!jinja_is_integer(&scaled))
		return jinja_fail(j, "must be real number, not %s", jinja_type_name(&scaled));
	return jinja_binary(j, OP_DIV, &whole, &power, out);
}

static int filter_filesizeformat(struct jinja *j, const struct jinja_arguments *a,
				 struct jinja_value *out)
{
	static const char prefixes[] = "kMGTPEZY";
	bool binary = jinja_arg_flag(a, 0, false);
	double base = binary ? 1024 : 1000, bytes = 0;
	char text[400];
	int read = as_float(j, &a->in, &bytes);
	TRY(read);
	if (!read)
		return jinja_fail(j, "could not convert %s to float", jinja_type_name(&a->in));
	if (bytes == 1) {
		strcpy(text, "1 Byte");
	} else if (bytes < base) {
		if (!isfinite(bytes))
			return jinja_fail(j, "cannot convert float infinity to integer");
		snprintf(text, sizeof text, "%.0f Bytes", trunc(bytes) + 0.0);
	} else {
		int i = 0;
		double unit = base * base;
		for (; i < 7 && !(bytes < unit); i++)
			unit = pow(base, i + 3);
		double shown = base * bytes / unit;
		int n = isnan(shown) ? snprintf(text, sizeof text, "nan")
				     : snprintf(text, sizeof text, "%.1f", shown);
		snprintf(text + n, sizeof text - (size_t)n, " %c%sB",
			 binary && i == 0 ? 'K' : prefixes[i], binary ? "i" : "");
	}
	const char *copy = arena_copy(&j->arena, text, strlen(text));
	return copy ? jinja_str(j, copy, strlen(copy), jinja_has_data(&a->in), out)
		    : jinja_no_memory(j);
}

/* ---- JSON ---- */

static int separator(struct jinja *j, const struct jinja_list *pair, size_t i, const char **out)
{
	if (pair->count != 2 || pair->at[i].kind != J_STR)
		return jinja_fail(j, "separators are two strings");
	const struct jinja_text *t = pair->at[i].text;
	*out = arena_copy(&j->arena, t->bytes, t->len);
	return *out ? 0 : jinja_no_memory(j);
}

/* One level of indentation: a string, or so many spaces. */
static int indent_of(struct jinja *j, const struct jinja_arguments *a, const char **out)
{
	const struct jinja_value *v = a->slot[1];
	struct jinja_value space;
	*out = NULL;
	if (!v || v->kind == J_NONE)
		return 0;
	TRY(jinja_literal(j, " ", &space));
	if (v->kind == J_STR)
		space = *v;
	else
		TRY(jinja_binary(j, OP_MUL, &space, v, &space));
	if (space.kind != J_STR || space.text->len > 64)
		return jinja_fail(j, "tojson with an indent of more than 64");
	*out = arena_copy(&j->arena, space.text->bytes, space.text->len);
	return *out ? 0 : jinja_no_memory(j);
}

static int filter_tojson(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_json_style s = { .key = ": " };
	struct jinja_list *pair;
	TRY(indent_of(j, a, &s.indent));
	s.item = s.indent ? "," : ", ";
	s.ascii = jinja_arg_flag(a, 0, false);
	s.sort_keys = jinja_arg_flag(a, 3, false);
	if (a->slot[2] && a->slot[2]->kind != J_NONE) {
		TRY(jinja_items(j, a->slot[2], &pair));
		TRY(separator(j, pair, 0, &s.item));
		TRY(separator(j, pair, 1, &s.key));
	}
	return jinja_tojson(j, &a->in, &s, out);
}

const struct jinja_callable jinja_filters_number[] = {
	{ "tojson", filter_tojson, "ensure_ascii? indent? separators? sort_keys?", JINJA_BY_NAME,
	  NULL },
	{ "int", filter_int, "default? base?", JINJA_BY_NAME, NULL },
	{ "float", filter_float, "default?", JINJA_BY_NAME, NULL },
	{ "round", filter_round, "precision? method?", JINJA_BY_NAME, NULL },
	{ "abs", filter_abs, "", 0, NULL },
	{ "filesizeformat", filter_filesizeformat, "binary?", JINJA_BY_NAME, NULL },
	{ 0 },
};
