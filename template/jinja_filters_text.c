/* Filters of strings, numbers and JSON. */
#include "template/jinja.h"

#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int recase(struct jinja *j, const struct jinja_arguments *a, enum jinja_case c,
                  struct jinja_value *out)
{
	const struct jinja_text *t;
	TRY(jinja_to_text(j, &a->in, &t));
	return jinja_recase(j, t, c, out);
}

static int filter_upper(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return recase(j, a, JINJA_UPPER, out);
}

static int filter_lower(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return recase(j, a, JINJA_LOWER, out);
}

static int filter_title(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return recase(j, a, JINJA_TITLE_FILTER, out);
}

static int filter_capitalize(struct jinja *j, const struct jinja_arguments *a,
                             struct jinja_value *out)
{
	return recase(j, a, JINJA_CAPITALIZE, out);
}

static int filter_trim(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t, *set;
	size_t begin, end;
	TRY(jinja_to_text(j, &a->in, &t));
	TRY(jinja_arg_text(j, a, 0, &set));
	jinja_strip(t, set, true, true, &begin, &end);
	return jinja_slice(j, t, begin, end, out);
}

static int filter_string(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	TRY(jinja_to_text(j, &a->in, &t));
	*out = (struct jinja_value){ .kind = J_STR, .text = t };
	return 0;
}

static int filter_replace(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t, *old, *new;
	int64_t most;
	if (!a->slot[0] || !a->slot[1])
		return jinja_fail(j, "replace takes two strings");
	TRY(jinja_to_text(j, &a->in, &t));
	TRY(jinja_to_text(j, a->slot[0], &old));
	TRY(jinja_to_text(j, a->slot[1], &new));
	TRY(jinja_arg_int(j, a, 2, -1, &most));
	return jinja_replace(j, t, old, new, most, out);
}

static int filter_escape(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	TRY(jinja_to_text(j, &a->in, &t));
	return jinja_escape(j, t, out);
}

static int filter_safe(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	TRY(filter_string(j, a, out));
	return jinja_mark(j, true, out);
}

/* text | format(a, b): as text % (a, b). */
static int filter_format(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	struct jinja_value values = { .kind = J_TUPLE, .list = a->more };
	TRY(jinja_to_text(j, &a->in, &t));
	if (a->named)
		return jinja_refuse(j, "the filter format with names");
	return t->markup ? jinja_refuse(j, "formatting text marked as safe") :
	       jinja_percent(j, t, &values, out);
}

/* Lines after the first get the indentation; empty ones only with blank. */
static int filter_indent(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	struct jinja_value spaces, lines, one = jinja_int(1, false);
	struct jinja_list empty = { 0 };
	bool first = jinja_arg_flag(a, 1, false), blank = jinja_arg_flag(a, 2, false);
	struct jinja_out o = { 0 };
	if (a->in.kind != J_STR)
		return jinja_fail(j, "indent takes a string, not %s", jinja_type_name(&a->in));
	t = a->in.text;
	TRY(jinja_str(j, " ", 1, false, &spaces));
	struct jinja_value four = jinja_int(4, false), *width = a->slot[0] ? a->slot[0] : &four;
	TRY(jinja_binary(j, OP_MUL, &spaces, width->kind == J_STR ? &one : width, &spaces));
	const struct jinja_text *indent = width->kind == J_STR ? width->text : spaces.text;
	struct jinja_value self = { .kind = J_STR, .text = t };
	TRY(jinja_apply(j, jinja_method_find(&self, "splitlines"), &self, &empty, NULL, &lines));
	struct jinja_list *l = lines.list;
	size_t count = l->count + (t->len == 0 || jinja_ends_line(t)); /* a last, empty line counts */
	for (size_t i = 0; i < count; i++) {
		const struct jinja_text *line = i < l->count ? l->at[i].text : NULL;
		if (i)
			jinja_put(&o, "\n", 1, jinja_text_data(t));
		if (i ? blank || (line && line->len) : first)
			jinja_put_text(&o, indent, 0, indent->len);
		if (line)
			jinja_put_text(&o, line, 0, line->len);
		if (o.text.len > JINJA_STRING_BYTES) {
			jinja_out_free(&o);
			return jinja_fail(j, "a string is longer than %zu bytes", JINJA_STRING_BYTES);
		}
	}
	TRY(jinja_out_take(j, &o, out));
	return jinja_mark(j, t->markup, out);
}

static int filter_default(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	bool missing = a->in.kind == J_UNDEFINED || (jinja_arg_flag(a, 1, false) && !jinja_truth(&a->in));
	if (missing && !a->slot[0])
		return jinja_str(j, "", 0, false, out);
	*out = missing ? *a->slot[0] : a->in;
	return 0;
}

/* ---- numbers ---- */

/* The whole string as Python's int(s, base) reads it; false if it does not. */
static bool parse_int(const struct jinja_text *t, int64_t base, int64_t *out)
{
	char copy[80], *end;
	size_t begin, stop, n = 0;
	jinja_strip(t, NULL, true, true, &begin, &stop);
	for (size_t i = begin; i < stop; i++) {
		bool between = i > begin && i + 1 < stop && t->bytes[i - 1] != '_';
		if (t->bytes[i] == '_' && between)
			continue;
		if (n + 1 == sizeof copy || !strchr("+-0123456789abcdefxoABCDEFXO", t->bytes[i]))
			return false;
		copy[n++] = t->bytes[i];
	}
	copy[n] = '\0';
	errno = 0;
	*out = strtoll(copy, &end, (int)base);
	return n && !*end && !errno;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool parse_float(const struct jinja_text *t, double *out)
{
	char copy[80], *end;
	size_t begin, stop, n = 0;
	jinja_strip(t, NULL, true, true, &begin, &stop);
	if (stop - begin >= sizeof copy || begin == stop)
		return false;
	for (size_t i = begin; i < stop; i++) {
		char c = t->bytes[i];
		bool between = i > begin && i + 1 < stop && is_digit(t->bytes[i - 1]) &&
		    is_digit(t->bytes[i + 1]);
		if (c == '(' || (c | 32) == 'x' || (c == '_' && !between))
			return false; /* strtod reads more than Python does */
		if (c != '_')
			copy[n++] = c;
	}
	copy[n] = '\0';
	*out = strtod(copy, &end);
	return !*end;
}

static bool as_number(const struct jinja_value *v, double *out)
{
	if (v->kind == J_STR)
		return parse_float(v->text, out);
	*out = v->kind == J_FLOAT ? v->number : v->kind == J_BOOL ? (double)v->boolean :
	    (double)v->integer;
	return v->kind == J_FLOAT || v->kind == J_BOOL || v->kind == J_INT;
}

static int filter_int(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int64_t base, i = 0;
	double d;
	bool data = a->in.kind == J_STR ? jinja_text_data(a->in.text) : a->in.data;
	TRY(jinja_arg_int(j, a, 1, 10, &base));
	if (a->in.kind == J_UNDEFINED)
		return jinja_fail(j, "'%.60s' is undefined", a->in.name);
	if (base != 10 && base != 16 && base != 8)
		return jinja_refuse(j, "int with base %lld", (long long)base);
	if (a->in.kind == J_INT)
		i = a->in.integer;
	else if (a->in.kind == J_STR && parse_int(a->in.text, base, &i))
		;
	else if (as_number(&a->in, &d) && fabs(d) < 9e18)
		i = (int64_t)d;
	else if (as_number(&a->in, &d) && isfinite(d))
		return jinja_fail(j, "an integer beyond 64 bits");
	else {
		*out = a->slot[0] ? *a->slot[0] : jinja_int(0, false);
		return 0;
	}
	*out = jinja_int(i, data);
	return 0;
}

static int filter_float(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	double d;
	if (a->in.kind == J_UNDEFINED)
		return jinja_fail(j, "'%.60s' is undefined", a->in.name);
	bool data = a->in.kind == J_STR ? jinja_text_data(a->in.text) : a->in.data;
	if (as_number(&a->in, &d))
		*out = jinja_float(d, data);
	else
		*out = a->slot[0] ? *a->slot[0] : jinja_float(0, false);
	return 0;
}

static int filter_round(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	char text[400];
	const struct jinja_text *method;
	int64_t precision;
	double d;
	TRY(jinja_arg_int(j, a, 0, 0, &precision));
	TRY(jinja_arg_text(j, a, 1, &method));
	if (a->in.kind == J_STR || !as_number(&a->in, &d))
		return jinja_fail(j, "a number expected, not %s", jinja_type_name(&a->in));
	if (precision < 0 || precision > 17)
		return jinja_refuse(j, "round to %lld places", (long long)precision);
	struct jinja_value name = { .kind = J_STR, .text = method };
	double scale = pow(10, (double)precision);
	if (!method || jinja_is_string(&name, "common")) {
		if (a->in.kind != J_FLOAT) {
			*out = a->in.kind == J_INT ? a->in : jinja_int(a->in.boolean, a->in.data);
			return 0;
		}
		if (!isfinite(d)) {
			*out = a->in;
			return 0;
		}
		snprintf(text, sizeof text, "%.*f", (int)precision, d);
		d = strtod(text, NULL);
	} else if (jinja_is_string(&name, "ceil")) {
		d = ceil(d * scale) / scale + 0.0; /* never -0 */
	} else if (jinja_is_string(&name, "floor")) {
		d = floor(d * scale) / scale + 0.0;
	} else {
		return jinja_fail(j, "method must be common, ceil or floor");
	}
	*out = jinja_float(d, a->in.data);
	return 0;
}

static int filter_abs(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value zero = jinja_int(0, false);
	int order = 0;
	TRY(jinja_order(j, &a->in, &zero, &order, 0));
	*out = a->in;
	if (a->in.kind == J_FLOAT) {
		out->number = fabs(a->in.number);
		return 0;
	}
	return jinja_binary(j, order < 0 ? OP_SUB : OP_ADD, &zero, &a->in, out);
}

/* ---- JSON ---- */

static int separator(struct jinja *j, const struct jinja_value *v, size_t i, const char **out)
{
	if ((v->kind != J_TUPLE && v->kind != J_LIST) || v->list->count != 2 ||
	    v->list->at[i].kind != J_STR)
		return jinja_fail(j, "separators are two strings");
	const struct jinja_text *t = v->list->at[i].text;
	*out = arena_copy(&j->arena, t->bytes, t->len);
	return *out ? 0 : jinja_no_memory(j);
}

static int filter_tojson(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_json_style s = { .indent = -1, .key = ": " };
	int64_t indent;
	TRY(jinja_arg_int(j, a, 1, -1, &indent));
	if (indent > 64)
		return jinja_fail(j, "tojson with an indent of more than 64");
	s.indent = a->slot[1] && a->slot[1]->kind != J_NONE ? (int)(indent < 0 ? 0 : indent) : -1;
	s.item = s.indent >= 0 ? "," : ", ";
	s.ascii = jinja_arg_flag(a, 0, false);
	s.sort_keys = jinja_arg_flag(a, 3, false);
	if (a->slot[2] && a->slot[2]->kind != J_NONE) {
		TRY(separator(j, a->slot[2], 0, &s.item));
		TRY(separator(j, a->slot[2], 1, &s.key));
	}
	return jinja_tojson(j, &a->in, &s, out);
}

static int filter_length(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int64_t n = 0;
	TRY(jinja_length(j, &a->in, &n));
	*out = jinja_int(n, false);
	return 0;
}

const struct jinja_callable jinja_filters_text[] = {
	{ "tojson", filter_tojson, { "ensure_ascii", "indent", "separators", "sort_keys" }, false },
	{ "trim", filter_trim, { "chars" }, false }, { "length", filter_length, { 0 }, false },
	{ "count", filter_length, { 0 }, false },
	{ "default", filter_default, { "default_value", "boolean" }, false },
	{ "d", filter_default, { "default_value", "boolean" }, false },
	{ "upper", filter_upper, { 0 }, false }, { "lower", filter_lower, { 0 }, false },
	{ "title", filter_title, { 0 }, false }, { "capitalize", filter_capitalize, { 0 }, false },
	{ "replace", filter_replace, { "old", "new", "count" }, false },
	{ "string", filter_string, { 0 }, false }, { "safe", filter_safe, { 0 }, false },
	{ "format", filter_format, { 0 }, true },
	{ "escape", filter_escape, { 0 }, false }, { "e", filter_escape, { 0 }, false },
	{ "indent", filter_indent, { "width", "first", "blank" }, false },
	{ "int", filter_int, { "default", "base" }, false },
	{ "float", filter_float, { "default" }, false },
	{ "round", filter_round, { "precision", "method" }, false }, { "abs", filter_abs, { 0 }, false },
	{ 0 },
};
