/* Tests: what may stand behind `is`. */
#include "template/jinja.h"

#include <string.h>

#define IS(name, condition)                                                    \
	static int is_##name(struct jinja *j, const struct jinja_arguments *a, \
			     struct jinja_value *out)                          \
	{                                                                      \
		const struct jinja_value *v = &a->in;                          \
		(void)j;                                                       \
		*out = jinja_bool(condition, false);                           \
		return 0;                                                      \
	}

IS(defined, v->kind != J_UNDEFINED)
IS(undefined, v->kind == J_UNDEFINED)
IS(none, v->kind == J_NONE)
IS(string, v->kind == J_STR)
IS(number, jinja_is_number(v))
IS(integer, v->kind == J_INT || v->kind == J_BIG)
IS(float, v->kind == J_FLOAT)
IS(boolean, v->kind == J_BOOL)
IS(true, v->kind == J_BOOL && v->boolean)
IS(false, v->kind == J_BOOL && !v->boolean)
IS(mapping, v->kind == J_DICT)
IS(iterable, jinja_iterable(v))
IS(sequence, v->kind == J_UNDEFINED || (v->kind >= J_STR && v->kind <= J_DICT))
IS(callable, v->kind == J_UNDEFINED || (v->kind >= J_MACRO && v->kind <= J_LOOP) ||
		     v->kind == J_JOINER || v->kind == J_BLOCK)
IS(escaped, v->kind == J_STR && v->text->markup)

static int remainder_is(struct jinja *j, const struct jinja_value *v, const struct jinja_value *by,
			int64_t wanted, struct jinja_value *out)
{
	struct jinja_value rest, want = jinja_int(wanted, false);
	TRY(jinja_binary(j, OP_MOD, v, by, &rest));
	int equal = jinja_equal(j, &rest, &want, 0);
	*out = jinja_bool(equal == 1, false);
	return equal < 0 ? equal : 0;
}

static int is_odd(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value two = jinja_int(2, false);
	return remainder_is(j, &a->in, &two, 1, out);
}

static int is_even(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value two = jinja_int(2, false);
	return remainder_is(j, &a->in, &two, 0, out);
}

static int is_divisible(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return remainder_is(j, &a->in, a->slot[0], 0, out);
}

static int is_equal(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int equal = jinja_equal(j, &a->in, a->slot[0], 0);
	*out = jinja_bool(equal == 1, false);
	return equal < 0 ? equal : 0;
}

static int is_not_equal(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int equal = jinja_equal(j, &a->in, a->slot[0], 0);
	*out = jinja_bool(equal == 0, false);
	return equal < 0 ? equal : 0;
}

static int is_in(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int holds = jinja_contains(j, a->slot[0], &a->in);
	*out = jinja_bool(holds == 1, false);
	return holds < 0 ? holds : 0;
}

/* Which of below, equal and above hold; none next to what is not a number. */
static int ordered(struct jinja *j, const struct jinja_arguments *a, bool below, bool equal,
		   bool above, struct jinja_value *out)
{
	int order = 0;
	TRY(jinja_order(j, &a->in, a->slot[0], &order, 0));
	*out = jinja_bool(order == -1 ? below : order == 0 ? equal : order == 1 && above, false);
	return 0;
}

static int is_below(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return ordered(j, a, true, false, false, out);
}

static int is_at_most(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return ordered(j, a, true, true, false, out);
}

static int is_above(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return ordered(j, a, false, false, true, out);
}

static int is_at_least(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return ordered(j, a, false, true, true, out);
}

static int has_case(struct jinja *j, const struct jinja_value *v, enum jinja_cases c,
		    struct jinja_value *out)
{
	const struct jinja_text *text;
	TRY(jinja_to_text(j, v, &text));
	TRY(jinja_charge(j, text->len / 16));
	*out = jinja_bool((jinja_cases(text) & c) != 0, false);
	return 0;
}

static int is_lower(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return has_case(j, &a->in, JINJA_IS_LOWER, out);
}

static int is_upper(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return has_case(j, &a->in, JINJA_IS_UPPER, out);
}

static int is_named(struct jinja *j, const struct jinja_value *v, bool filter,
		    struct jinja_value *out)
{
	if (!jinja_hashable(v))
		return jinja_fail(j, "unhashable type: '%s'", jinja_type_name(v));
	*out = jinja_bool(v->kind == J_STR &&
				  (filter ? jinja_filter_find(v->text->bytes, v->text->len)
					  : jinja_test_find(v->text->bytes, v->text->len)),
			  false);
	return 0;
}

static int is_filter(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return is_named(j, &a->in, true, out);
}

static int is_test(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return is_named(j, &a->in, false, out);
}

/* The same object. Of equal numbers and strings that depends on what Python shares. */
static int is_same(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_value *x = &a->in, *y = a->slot[0];
	bool same = x->kind == y->kind;
	switch (same ? x->kind : J_MISSING) {
	case J_MISSING:
		break;
	case J_NONE:
		break;
	case J_BOOL:
		same = x->boolean == y->boolean;
		break;
	case J_INT:
		same = x->integer == y->integer;
		if (same && (x->integer < -5 || x->integer > 256))
			return jinja_refuse(j, "whether equal numbers are the same");
		break;
	case J_STR:
		same = x->text->len == y->text->len &&
		       memcmp(x->text->bytes, y->text->bytes, x->text->len) == 0;
		if (same && x->text != y->text && x->text->len > 0)
			return jinja_refuse(j, "whether equal strings are the same");
		break;
	case J_LIST:
	case J_TUPLE:
		same = x->list == y->list ||
		       (x->kind == J_TUPLE && !x->list->count && !y->list->count);
		break;
	case J_DICT:
	case J_NAMESPACE:
	case J_MACRO:
	case J_LOOP:
	case J_CYCLER:
	case J_JOINER:
	case J_FUNCTION:
	case J_ITER:
	case J_RANGE:
		same = x->list == y->list;
		break;
	default:
		return jinja_refuse(j, "whether two of a kind are the same");
	}
	*out = jinja_bool(same, false);
	return 0;
}

const struct jinja_callable jinja_tests[] = {
	{ "odd", is_odd, "", 0, NULL },
	{ "even", is_even, "", 0, NULL },
	{ "divisibleby", is_divisible, "num", JINJA_BY_NAME, NULL },
	{ "defined", is_defined, "", 0, NULL },
	{ "undefined", is_undefined, "", 0, NULL },
	{ "filter", is_filter, "", 0, NULL },
	{ "test", is_test, "", 0, NULL },
	{ "none", is_none, "", 0, NULL },
	{ "boolean", is_boolean, "", 0, NULL },
	{ "false", is_false, "", 0, NULL },
	{ "true", is_true, "", 0, NULL },
	{ "integer", is_integer, "", 0, NULL },
	{ "float", is_float, "", 0, NULL },
	{ "lower", is_lower, "", 0, NULL },
	{ "upper", is_upper, "", 0, NULL },
	{ "string", is_string, "", 0, NULL },
	{ "mapping", is_mapping, "", 0, NULL },
	{ "number", is_number, "", 0, NULL },
	{ "sequence", is_sequence, "", 0, NULL },
	{ "iterable", is_iterable, "", 0, NULL },
	{ "callable", is_callable, "", 0, NULL },
	{ "sameas", is_same, "other", JINJA_BY_NAME, NULL },
	{ "escaped", is_escaped, "", 0, NULL },
	{ "in", is_in, "seq", JINJA_BY_NAME, NULL },
	{ "==", is_equal, "b", 0, NULL },
	{ "eq", is_equal, "b", 0, NULL },
	{ "equalto", is_equal, "b", 0, NULL },
	{ "!=", is_not_equal, "b", 0, NULL },
	{ "ne", is_not_equal, "b", 0, NULL },
	{ ">", is_above, "b", 0, NULL },
	{ "gt", is_above, "b", 0, NULL },
	{ "greaterthan", is_above, "b", 0, NULL },
	{ "ge", is_at_least, "b", 0, NULL },
	{ ">=", is_at_least, "b", 0, NULL },
	{ "<", is_below, "b", 0, NULL },
	{ "lt", is_below, "b", 0, NULL },
	{ "lessthan", is_below, "b", 0, NULL },
	{ "<=", is_at_most, "b", 0, NULL },
	{ "le", is_at_most, "b", 0, NULL },
	{ 0 },
};
