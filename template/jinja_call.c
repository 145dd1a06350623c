/* Binding arguments to parameters; global functions; tests. */
#include "template/jinja.h"

#include <stdio.h>
#include <string.h>

/* ---- binding ---- */

static int bind_named(struct jinja *j, const struct jinja_callable *c, struct jinja_dict *named,
                      struct jinja_arguments *a)
{
	for (size_t k = 0; named && k < named->count; k++) {
		int i = 0;
		while (i < JINJA_SLOTS && c->parameter[i] && !jinja_is_string(&named->key[k], c->parameter[i]))
			i++;
		if (i == JINJA_SLOTS || !c->parameter[i])
			return jinja_fail(j, "%s has no argument %.*s", c->name, (int)(named->key[k].text->len % 60),
			                  named->key[k].text->bytes);
		if (a->slot[i])
			return jinja_fail(j, "%s got %s twice", c->name, c->parameter[i]);
		a->slot[i] = &named->value[k];
	}
	return 0;
}

int jinja_apply(struct jinja *j, const struct jinja_callable *c, const struct jinja_value *in,
                struct jinja_list *positional, struct jinja_dict *named, struct jinja_value *out)
{
	struct jinja_arguments a = { .in = *in, .more = positional, .named = named };
	struct jinja_value made;
	if (!c->call)
		return jinja_refuse(j, "the method %s", c->name);
	if (!c->rest) {
		for (size_t i = 0; i < positional->count; i++) {
			if (i >= JINJA_SLOTS || !c->parameter[i])
				return jinja_fail(j, "%s takes fewer arguments", c->name);
			a.slot[i] = &positional->at[i];
		}
		TRY(bind_named(j, c, named, &a));
	}
	TRY(c->call(j, &a, &made));
	*out = made;
	return 0;
}

int jinja_arg_text(struct jinja *j, const struct jinja_arguments *a, int i,
                   const struct jinja_text **out)
{
	*out = NULL;
	if (!a->slot[i] || a->slot[i]->kind == J_NONE)
		return 0;
	if (a->slot[i]->kind != J_STR)
		return jinja_fail(j, "a string expected, not %s", jinja_type_name(a->slot[i]));
	*out = a->slot[i]->text;
	return 0;
}

int jinja_arg_int(struct jinja *j, const struct jinja_arguments *a, int i, int64_t otherwise,
                  int64_t *out)
{
	const struct jinja_value *v = a->slot[i];
	*out = otherwise;
	if (!v || v->kind == J_NONE)
		return 0;
	if (v->kind != J_INT && v->kind != J_BOOL)
		return jinja_fail(j, "an integer expected, not %s", jinja_type_name(v));
	*out = v->kind == J_BOOL ? v->boolean : v->integer;
	return 0;
}

bool jinja_arg_flag(const struct jinja_arguments *a, int i, bool otherwise)
{
	return a->slot[i] ? jinja_truth(a->slot[i]) : otherwise;
}

/* ---- functions ---- */

static int show_range(struct jinja *j, int64_t first, int64_t second, int64_t step,
                      struct jinja_list *l)
{
	char text[80];
	int n = snprintf(text, sizeof text, "range(%lld, %lld", (long long)first, (long long)second);
	if (step != 1)
		n += snprintf(text + n, sizeof text - (size_t)n, ", %lld", (long long)step);
	text[n++] = ')';
	l->shown = arena_copy(&j->arena, text, (size_t)n);
	return l->shown ? 0 : jinja_no_memory(j);
}

static int make_range(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int64_t first, second, step, span;
	if (!a->slot[0])
		return jinja_fail(j, "range expected at least 1 argument");
	TRY(jinja_arg_int(j, a, 0, 0, &first));
	TRY(jinja_arg_int(j, a, 1, 0, &second));
	TRY(jinja_arg_int(j, a, 2, 1, &step));
	if (!a->slot[1]) {
		second = first;
		first = 0;
	}
	if (step == 0)
		return jinja_fail(j, "range() arg 3 must not be zero");
	TRY(jinja_list_new(j, J_RANGE, out));
	TRY(show_range(j, first, second, step, out->list));
	if (step > 0 ? first >= second : first <= second)
		return 0;
	if (__builtin_sub_overflow(second, first, &span) || span / step >= JINJA_RANGE_MAX)
		return jinja_fail(j, "range is longer than %d", JINJA_RANGE_MAX);
	out->list->room = (size_t)(span / step) + 1;
	out->list->at = jinja_alloc(j, out->list->room, sizeof *out->list->at);
	if (!out->list->at)
		return jinja_no_memory(j);
	for (int64_t i = first; step > 0 ? i < second : i > second;) {
		TRY(jinja_charge(j, 1));
		TRY(jinja_list_add(j, out->list, jinja_int(i, false)));
		if (__builtin_add_overflow(i, step, &i))
			break;
	}
	return 0;
}

/* Every item is a key and a value. */
static int add_pairs(struct jinja *j, const struct jinja_value *pairs, struct jinja_dict *d)
{
	struct jinja_list *l, *pair;
	TRY(jinja_items(j, pairs, &l));
	for (size_t i = 0; i < l->count; i++) {
		TRY(jinja_items(j, &l->at[i], &pair));
		if (pair->count != 2)
			return jinja_fail(j, "dictionary update sequence element #%zu has length %zu; 2 is required",
			                  i, pair->count);
		TRY(jinja_dict_set(j, d, pair->at[0], pair->at[1]));
	}
	return 0;
}

/* dict(a=1) and namespace(a=1), either after a dictionary or pairs to copy. */
static int make_dict(struct jinja *j, const struct jinja_arguments *a, enum jinja_kind kind,
                     struct jinja_value *out)
{
	const struct jinja_dict *from[2] = { NULL, a->named };
	TRY(jinja_dict_new(j, kind, out));
	if (a->more->count > 1)
		return jinja_fail(j, "%s expected at most 1 argument", kind == J_DICT ? "dict" : "namespace");
	if (a->more->count && a->more->at[0].kind == J_DICT)
		from[0] = a->more->at[0].dict;
	else if (a->more->count)
		TRY(add_pairs(j, &a->more->at[0], out->dict));
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; from[k] && i < from[k]->count; i++)
			TRY(jinja_dict_set(j, out->dict, from[k]->key[i], from[k]->value[i]));
	return 0;
}

static int function_dict(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return make_dict(j, a, J_DICT, out);
}

static int function_namespace(struct jinja *j, const struct jinja_arguments *a,
                              struct jinja_value *out)
{
	return make_dict(j, a, J_NAMESPACE, out);
}

static int function_raise(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	if (!a->slot[0])
		return jinja_fail(j, "raise_exception without a message");
	TRY(jinja_to_text(j, a->slot[0], &t));
	*out = jinja_none();
	return err_set(j->e, ERR_INPUT, "%.*s", (int)(t->len > 590 ? 590 : t->len), t->bytes);
}

static int function_strftime(struct jinja *j, const struct jinja_arguments *a,
                             struct jinja_value *out)
{
	const struct jinja_text *format;
	TRY(jinja_arg_text(j, a, 0, &format));
	return format ? jinja_strftime(j, format, out) : jinja_fail(j, "strftime_now without a format");
}

const struct jinja_callable *jinja_function_find(const char *name)
{
	static const struct jinja_callable functions[] = {
		{ "range", make_range, { "start", "stop", "step" }, false },
		{ "dict", function_dict, { 0 }, true },
		{ "namespace", function_namespace, { 0 }, true },
		{ "raise_exception", function_raise, { "message" }, false },
		{ "strftime_now", function_strftime, { "format" }, false },
	};
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (strcmp(name, functions[i].name) == 0)
			return &functions[i];
	return NULL;
}

int jinja_apply_filter(struct jinja *j, const char *name, const struct jinja_value *in,
                       struct jinja_list *positional,
                       struct jinja_dict *named, struct jinja_value *out)
{
	const struct jinja_callable *tables[] = { jinja_filters_text, jinja_filters_list };
	for (int k = 0; k < 2; k++)
		for (const struct jinja_callable *c = tables[k]; c->name; c++)
			if (strcmp(name, c->name) == 0)
				return jinja_apply(j, c, in, positional, named, out);
	return jinja_refuse(j, "the filter %.60s", name);
}

/* ---- tests ---- */

enum test {
	IS_DEFINED, IS_UNDEFINED, IS_NONE, IS_STRING, IS_NUMBER, IS_INTEGER, IS_FLOAT, IS_BOOLEAN,
	IS_MAPPING, IS_ITERABLE, IS_SEQUENCE, IS_TRUE, IS_FALSE, IS_ODD, IS_EVEN, IS_DIVISIBLE, IS_EQ,
	IS_NE, IS_LT, IS_LE, IS_GT, IS_GE, IS_IN, IS_CALLABLE, IS_LOWER, IS_UPPER,
};
static const struct { const char *name; enum test test; } tests[] = {
	{ "defined", IS_DEFINED }, { "undefined", IS_UNDEFINED }, { "none", IS_NONE },
	{ "string", IS_STRING }, { "number", IS_NUMBER }, { "integer", IS_INTEGER }, { "float", IS_FLOAT },
	{ "boolean", IS_BOOLEAN }, { "mapping", IS_MAPPING }, { "iterable", IS_ITERABLE },
	{ "sequence", IS_SEQUENCE }, { "true", IS_TRUE }, { "false", IS_FALSE }, { "odd", IS_ODD },
	{ "even", IS_EVEN }, { "divisibleby", IS_DIVISIBLE }, { "eq", IS_EQ }, { "equalto", IS_EQ },
	{ "ne", IS_NE }, { "lt", IS_LT }, { "lessthan", IS_LT }, { "le", IS_LE }, { "gt", IS_GT },
	{ "greaterthan", IS_GT }, { "ge", IS_GE }, { "in", IS_IN }, { "callable", IS_CALLABLE },
	{ "lower", IS_LOWER }, { "upper", IS_UPPER }, { "==", IS_EQ }, { "!=", IS_NE }, { "<", IS_LT },
	{ "<=", IS_LE }, { ">", IS_GT }, { ">=", IS_GE },
};

static bool is_kind(enum test t, const struct jinja_value *v)
{
	enum jinja_kind k = v->kind;
	switch (t) {
	case IS_DEFINED: return k != J_UNDEFINED;
	case IS_UNDEFINED: return k == J_UNDEFINED;
	case IS_NONE: return k == J_NONE;
	case IS_STRING: return k == J_STR;
	case IS_NUMBER: return k == J_INT || k == J_FLOAT || k == J_BOOL;
	case IS_INTEGER: return k == J_INT;
	case IS_FLOAT: return k == J_FLOAT;
	case IS_BOOLEAN: return k == J_BOOL;
	case IS_MAPPING: return k == J_DICT;
	case IS_ITERABLE:
		return k == J_UNDEFINED || (k >= J_STR && k <= J_ITER) || k == J_LOOP;
	case IS_SEQUENCE: return k == J_UNDEFINED || (k >= J_STR && k <= J_DICT);
	case IS_TRUE: return k == J_BOOL && v->boolean;
	case IS_FALSE: return k == J_BOOL && !v->boolean;
	default: return (k >= J_MACRO && k <= J_METHOD) || k == J_UNDEFINED; /* as Jinja's class */
	}
}

static int test_remainder(struct jinja *j, enum test t, const struct jinja_value *v,
                          const struct jinja_value *by, bool *out)
{
	struct jinja_value two = jinja_int(2, false), rest, want = jinja_int(t == IS_ODD, false);
	TRY(jinja_binary(j, OP_MOD, v, t == IS_DIVISIBLE ? by : &two, &rest));
	int equal = jinja_equal(j, &rest, &want, 0);
	*out = equal == 1;
	return equal < 0 ? equal : 0;
}

static int test_order(struct jinja *j, enum test t, const struct jinja_value *a,
                      const struct jinja_value *b, bool *out)
{
	int order = 0, rc = 0;
	if (t == IS_IN || t == IS_EQ || t == IS_NE) {
		rc = t == IS_IN ? jinja_contains(j, b, a) : jinja_equal(j, a, b, 0);
		*out = t == IS_NE ? rc == 0 : rc == 1;
		return rc < 0 ? rc : 0;
	}
	TRY(jinja_order(j, a, b, &order, 0));
	*out = order != 2 && (t == IS_LT ? order < 0 : t == IS_LE ? order <= 0 : t == IS_GT ? order > 0 :
	                      order >= 0);
	return 0;
}

static int test_case(struct jinja *j, enum test t, const struct jinja_value *v, bool *out)
{
	const struct jinja_text *text;
	TRY(jinja_to_text(j, v, &text));
	TRY(jinja_charge(j, text->len / 16));
	*out = (jinja_cases(text) & (t == IS_UPPER ? JINJA_IS_UPPER : JINJA_IS_LOWER)) != 0;
	return 0;
}

int jinja_apply_test(struct jinja *j, const char *name, const struct jinja_value *in,
                     struct jinja_list *positional, struct jinja_dict *named, bool *out)
{
	size_t i = 0, count = sizeof tests / sizeof *tests;
	while (i < count && strcmp(name, tests[i].name) != 0)
		i++;
	if (i == count)
		return jinja_refuse(j, "the test %.60s", name);
	enum test t = tests[i].test;
	size_t wanted = t >= IS_DIVISIBLE && t <= IS_IN;
	if (named || positional->count != wanted)
		return jinja_fail(j, "the test %s takes %zu arguments", name, wanted);
	if (t == IS_ODD || t == IS_EVEN || t == IS_DIVISIBLE)
		return test_remainder(j, t, in, wanted ? &positional->at[0] : NULL, out);
	if (t == IS_LOWER || t == IS_UPPER)
		return test_case(j, t, in, out);
	if (wanted)
		return test_order(j, t, in, &positional->at[0], out);
	*out = is_kind(t, in);
	return 0;
}
