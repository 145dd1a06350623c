/* Methods of numbers, lists, ranges, dictionaries, views, cyclers and joiners. Those that change
 * their object have neither a function nor parameters: the sandbox hides them. */
#include "template/jinja.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- whole numbers ---- */

static int as_int(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	*out = a->in.kind == J_BOOL ? jinja_int(a->in.boolean, a->in.data) : a->in;
	(void)j;
	return 0;
}

static int int_zero(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_int(0, a->in.data);
	return 0;
}

static int int_one(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_int(1, a->in.data);
	return 0;
}

static int int_true(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_bool(true, a->in.data);
	return 0;
}

static int int_bit_length(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_int(jinja_bit_length(&a->in), a->in.data);
	return 0;
}

static int int_bit_count(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_int(jinja_bit_count(&a->in), a->in.data);
	return 0;
}

static int int_ratio(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value self;
	TRY(as_int(j, a, &self));
	return jinja_pair(j, self, jinja_int(1, a->in.data), out);
}

static int int_to_bytes(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int64_t length;
	struct jinja_out o = { 0 };
	struct jinja_value zero = jinja_int(0, false), byte = jinja_int(256, false), left = a->in,
			   rest;
	TRY(jinja_arg_int(j, a, 0, 1, &length));
	if (a->slot[1] && !jinja_is_string(a->slot[1], "big") &&
	    !jinja_is_string(a->slot[1], "little"))
		return jinja_fail(j, "byteorder must be either 'little' or 'big'");
	if (a->in.kind == J_BIG || length > 8 || jinja_arg_flag(a, 2, false))
		return jinja_refuse(j, "to_bytes of more than 8 bytes, or signed");
	if (length < 0 || jinja_order_integers(&a->in, &zero) < 0 ||
	    jinja_bit_length(&a->in) > 8 * length)
		return jinja_fail(j, "int too big to convert");
	char bytes[8];
	bool little = a->slot[1] && jinja_is_string(a->slot[1], "little");
	for (int64_t i = 0; i < length; i++) {
		struct jinja_value before = left;
		TRY(jinja_integers(j, OP_MOD, &before, &byte, &rest));
		TRY(jinja_integers(j, OP_FLOORDIV, &before, &byte, &left));
		bytes[little ? i : length - 1 - i] = (char)rest.integer;
	}
	jinja_put(&o, bytes, (size_t)length, a->in.data);
	TRY(jinja_out_take(j, &o, out));
	out->kind = J_BYTES;
	return 0;
}

const struct jinja_callable jinja_methods_int[] = {
	{ "real", as_int, "", JINJA_PROPERTY, NULL },
	{ "imag", int_zero, "", JINJA_PROPERTY, NULL },
	{ "numerator", as_int, "", JINJA_PROPERTY, NULL },
	{ "denominator", int_one, "", JINJA_PROPERTY, NULL },
	{ "conjugate", as_int, "", 0, NULL },
	{ "bit_length", int_bit_length, "", 0, NULL },
	{ "bit_count", int_bit_count, "", 0, NULL },
	{ "as_integer_ratio", int_ratio, "", 0, NULL },
	{ "is_integer", int_true, "", 0, NULL },
	{ "to_bytes", int_to_bytes, "length? byteorder? signed?", JINJA_BY_NAME, NULL },
	{ "from_bytes", NULL, "*", JINJA_BY_NAME, NULL },
	{ 0 },
};

/* ---- floating point ---- */

static int float_self(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = a->in;
	return 0;
}

static int float_zero(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_float(0, a->in.data);
	return 0;
}

static int float_is_integer(struct jinja *j, const struct jinja_arguments *a,
			    struct jinja_value *out)
{
	(void)j;
	*out = jinja_bool(isfinite(a->in.number) && trunc(a->in.number) == a->in.number, false);
	return 0;
}

static int float_hex(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	char text[64], *p;
	double d = a->in.number;
	if (!isfinite(d) || d == 0) {
		strcpy(text, isnan(d)     ? "nan"
			     : isinf(d)   ? (d < 0 ? "-inf" : "inf")
			     : signbit(d) ? "-0x0.0p+0"
					  : "0x0.0p+0");
	} else if (fabs(d) < 0x1p-1022) { /* with the exponent of the smallest normal number */
		uint64_t m = (uint64_t)ldexp(fabs(d), 1074);
		snprintf(text, sizeof text, "%s0x0.%013llxp-1022", d < 0 ? "-" : "",
			 (unsigned long long)m);
	} else {
		snprintf(text, sizeof text, "%.13a", d);
	}
	p = arena_copy(&j->arena, text, strlen(text));
	return p ? jinja_str(j, p, strlen(p), a->in.data, out) : jinja_no_memory(j);
}

static int float_ratio(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int exponent;
	struct jinja_value top, under = jinja_int(1, false), two = jinja_int(2, false), power;
	if (!isfinite(a->in.number))
		return jinja_fail(j, "cannot convert Infinity or NaN to integer ratio");
	double m = frexp(a->in.number, &exponent);
	for (int i = 0; i < 300 && m != floor(m); i++, exponent--)
		m *= 2;
	TRY(jinja_from_double(j, m, a->in.data, &top));
	struct jinja_value by = jinja_int(exponent < 0 ? -exponent : exponent, false), before = top;
	TRY(jinja_integers(j, OP_POW, &two, &by, &power));
	if (exponent > 0)
		TRY(jinja_integers(j, OP_MUL, &before, &power, &top));
	else
		under = power;
	under.data = a->in.data;
	return jinja_pair(j, top, under, out);
}

const struct jinja_callable jinja_methods_float[] = {
	{ "real", float_self, "", JINJA_PROPERTY, NULL },
	{ "imag", float_zero, "", JINJA_PROPERTY, NULL },
	{ "conjugate", float_self, "", 0, NULL },
	{ "is_integer", float_is_integer, "", 0, NULL },
	{ "hex", float_hex, "", 0, NULL },
	{ "as_integer_ratio", float_ratio, "", 0, NULL },
	{ "fromhex", NULL, "*", 0, NULL },
	{ 0 },
};

/* ---- lists, tuples and ranges ---- */

static int list_count(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int64_t n = 0;
	struct jinja_list *items;
	TRY(jinja_items(j, &a->in, &items));
	for (size_t i = 0; i < items->count; i++) {
		int equal = jinja_equal(j, &items->at[i], a->slot[0], 0);
		TRY(equal);
		n += equal;
	}
	*out = jinja_int(n, false);
	return 0;
}

static int list_index(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *items;
	int64_t begin, end;
	TRY(jinja_items(j, &a->in, &items));
	int64_t count = (int64_t)items->count;
	for (int i = 1; i < 3; i++)
		if (a->slot[i] && !jinja_is_integer(a->slot[i]))
			return jinja_fail(j, "slice indices must be integers");
	TRY(jinja_arg_index(j, a, 1, 0, &begin));
	TRY(jinja_arg_index(j, a, 2, count, &end));
	begin = begin < 0 ? begin + count : begin;
	end = end < 0 ? end + count : end;
	for (int64_t i = begin < 0 ? 0 : begin; i < end && i < count; i++) {
		int equal = jinja_equal(j, &items->at[i], a->slot[0], 0);
		TRY(equal);
		*out = jinja_int(i, false);
		if (equal)
			return 0;
	}
	return jinja_fail(j, "the value is not in the list");
}

static int list_copy(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *from = a->in.list;
	TRY(jinja_list_new(j, J_LIST, out));
	TRY(jinja_charge(j, from->count / 8));
	for (size_t i = 0; i < from->count; i++)
		TRY(jinja_list_add(j, out->list, from->at[i]));
	return 0;
}

static int range_start(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_int(a->in.range->start, false);
	return 0;
}

static int range_stop(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_int(a->in.range->stop, false);
	return 0;
}

static int range_step(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_int(a->in.range->step, false);
	return 0;
}

const struct jinja_callable jinja_methods_list[] = {
	{ "count", list_count, "value", 0, NULL },
	{ "index", list_index, "value start? stop?", 0, NULL },
	{ "copy", list_copy, "", 0, NULL },
	{ "append", NULL, NULL, 0, NULL },
	{ "extend", NULL, NULL, 0, NULL },
	{ "insert", NULL, NULL, 0, NULL },
	{ "pop", NULL, NULL, 0, NULL },
	{ "remove", NULL, NULL, 0, NULL },
	{ "clear", NULL, NULL, 0, NULL },
	{ "sort", NULL, NULL, 0, NULL },
	{ "reverse", NULL, NULL, 0, NULL },
	{ 0 },
};
const struct jinja_callable jinja_methods_tuple[] = {
	{ "count", list_count, "value", 0, NULL },
	{ "index", list_index, "value start? stop?", 0, NULL },
	{ 0 },
};
const struct jinja_callable jinja_methods_range[] = {
	{ "count", list_count, "value", 0, NULL },
	{ "index", list_index, "value", 0, NULL },
	{ "start", range_start, "", JINJA_PROPERTY, NULL },
	{ "stop", range_stop, "", JINJA_PROPERTY, NULL },
	{ "step", range_step, "", JINJA_PROPERTY, NULL },
	{ 0 },
};

/* ---- dictionaries and their views ---- */

static int dict_get(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int found = jinja_dict_get(j, a->in.dict, *a->slot[0], out);
	if (found == 0)
		*out = a->slot[1] ? *a->slot[1] : jinja_none();
	return found < 0 ? found : 0;
}

static int view_of(struct jinja *j, const struct jinja_arguments *a, enum jinja_view_of of,
		   struct jinja_value *out)
{
	struct jinja_view *v = jinja_alloc(j, 1, sizeof *v);
	if (!v)
		return jinja_no_memory(j);
	*v = (struct jinja_view){ a->in.dict, of };
	*out = (struct jinja_value){ .kind = J_VIEW, .view = v };
	return 0;
}

static int dict_keys(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return view_of(j, a, JINJA_KEYS, out);
}

static int dict_values(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return view_of(j, a, JINJA_VALUES, out);
}

static int dict_items(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return view_of(j, a, JINJA_ITEMS, out);
}

static int dict_copy(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	TRY(jinja_dict_new(j, J_DICT, out));
	for (size_t i = 0; i < a->in.dict->count; i++)
		TRY(jinja_dict_set(j, out->dict, a->in.dict->key[i], a->in.dict->value[i]));
	return 0;
}

static int dict_fromkeys(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *keys;
	struct jinja_value none = jinja_none();
	TRY(jinja_items(j, a->slot[0], &keys));
	TRY(jinja_dict_new(j, J_DICT, out));
	for (size_t i = 0; i < keys->count; i++)
		TRY(jinja_dict_set(j, out->dict, keys->at[i], a->slot[1] ? *a->slot[1] : none));
	return 0;
}

static int view_isdisjoint(struct jinja *j, const struct jinja_arguments *a,
			   struct jinja_value *out)
{
	struct jinja_list *items;
	int holds = 0;
	if (a->in.view->of == JINJA_VALUES)
		return jinja_fail(j, "values have no isdisjoint");
	TRY(jinja_items(j, a->slot[0], &items));
	for (size_t i = 0; i < items->count && !holds; i++)
		holds = jinja_contains(j, &a->in, &items->at[i]);
	*out = jinja_bool(holds == 0, false);
	return holds < 0 ? holds : 0;
}

const struct jinja_callable jinja_class_dict[] = {
	{ "fromkeys", dict_fromkeys, "iterable value?", 0, NULL },
	{ 0 },
};
const struct jinja_callable jinja_methods_dict[] = {
	{ "get", dict_get, "key default?", 0, NULL },
	{ "items", dict_items, "", 0, NULL },
	{ "keys", dict_keys, "", 0, NULL },
	{ "values", dict_values, "", 0, NULL },
	{ "copy", dict_copy, "", 0, NULL },
	{ "fromkeys", dict_fromkeys, "iterable value?", 0, NULL },
	{ "update", NULL, NULL, 0, NULL },
	{ "pop", NULL, NULL, 0, NULL },
	{ "popitem", NULL, NULL, 0, NULL },
	{ "clear", NULL, NULL, 0, NULL },
	{ "setdefault", NULL, NULL, 0, NULL },
	{ 0 },
};
const struct jinja_callable jinja_methods_view[] = {
	{ "isdisjoint", view_isdisjoint, "other", 0, NULL },
	{ "mapping", NULL, "*", 0, NULL },
	{ 0 },
};

/* ---- cyclers and joiners ---- */

static int cycler_items(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = (struct jinja_value){ .kind = J_TUPLE, .list = a->in.cycler->items };
	return 0;
}

static int cycler_pos(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_int((int64_t)a->in.cycler->at, false);
	return 0;
}

static int cycler_current(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = a->in.cycler->items->at[a->in.cycler->at];
	return 0;
}

static int cycler_next(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_cycler *c = a->in.cycler;
	TRY(cycler_current(j, a, out));
	c->at = (c->at + 1) % c->items->count;
	return 0;
}

static int cycler_reset(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	a->in.cycler->at = 0;
	*out = jinja_none();
	return 0;
}

static int joiner_sep(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = a->in.joiner->separator;
	return 0;
}

static int joiner_used(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	(void)j;
	*out = jinja_bool(a->in.joiner->used, false);
	return 0;
}

const struct jinja_callable jinja_methods_cycler[] = {
	{ "items", cycler_items, "", JINJA_PROPERTY, NULL },
	{ "pos", cycler_pos, "", JINJA_PROPERTY, NULL },
	{ "current", cycler_current, "", JINJA_PROPERTY, NULL },
	{ "next", cycler_next, "", 0, NULL },
	{ "reset", cycler_reset, "", 0, NULL },
	{ 0 },
};
const struct jinja_callable jinja_methods_joiner[] = {
	{ "sep", joiner_sep, "", JINJA_PROPERTY, NULL },
	{ "used", joiner_used, "", JINJA_PROPERTY, NULL },
	{ 0 },
};
