/* Binding arguments to parameters, global functions, and the tables of all that has a name. */
#include "template/jinja.h"

#include <stdio.h>
#include <string.h>

/* ---- binding ---- */

/* The i-th parameter of "a b? c?"; false behind the last. */
static bool parameter(const char *all, int i, const char **name, size_t *len, bool *optional)
{
	for (; *all && i; i--) {
		all += strcspn(all, " ");
		all += *all == ' ';
	}
	*name = all;
	*len = strcspn(all, " ?");
	*optional = all[*len] == '?';
	return *len > 0;
}

static int bind_named(struct jinja *j, const struct jinja_callable *c, struct jinja_dict *named,
		      struct jinja_arguments *a)
{
	const char *name;
	size_t len;
	bool optional;
	if (named && named->count && !(c->flags & JINJA_BY_NAME))
		return jinja_fail(j, "%s takes no arguments by name", c->name);
	for (size_t k = 0; named && k < named->count; k++) {
		const struct jinja_text *key = named->key[k].text;
		int i = 0;
		while (i < JINJA_SLOTS && parameter(c->parameters, i, &name, &len, &optional) &&
		       (len != key->len || memcmp(name, key->bytes, len) != 0))
			i++;
		if (i == JINJA_SLOTS || !*name)
			return jinja_fail(j, "%s has no argument %.*s", c->name,
					  (int)(key->len % 60), key->bytes);
		if (a->slot[i])
			return jinja_fail(j, "%s got %.*s twice", c->name, (int)len, name);
		a->slot[i] = &named->value[k];
	}
	return 0;
}

int jinja_apply(struct jinja *j, const struct jinja_callable *c, const struct jinja_value *in,
		struct jinja_list *positional, struct jinja_dict *named, struct jinja_value *out)
{
	struct jinja_arguments a = { .in = *in, .more = positional, .named = named };
	struct jinja_value made;
	const char *name;
	size_t len;
	bool optional;
	if (!c->call)
		return jinja_refuse(j, "%s", c->name);
	if (strcmp(c->parameters, "*") != 0) {
		for (size_t i = 0; i < positional->count; i++) {
			if (i >= JINJA_SLOTS ||
			    !parameter(c->parameters, (int)i, &name, &len, &optional))
				return jinja_fail(j, "%s takes fewer arguments", c->name);
			a.slot[i] = &positional->at[i];
		}
		TRY(bind_named(j, c, named, &a));
		for (int i = 0;
		     i < JINJA_SLOTS && parameter(c->parameters, i, &name, &len, &optional); i++)
			if (!a.slot[i] && !optional)
				return jinja_fail(j, "%s misses its argument %.*s", c->name,
						  (int)len, name);
	} else if (named && named->count && !(c->flags & JINJA_BY_NAME)) {
		return jinja_fail(j, "%s takes no arguments by name", c->name);
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

int jinja_arg_string(struct jinja *j, const struct jinja_arguments *a, int i,
		     const struct jinja_text **out)
{
	TRY(jinja_arg_text(j, a, i, out));
	return *out ? 0 : jinja_fail(j, "a string expected, not None");
}

int jinja_arg_int(struct jinja *j, const struct jinja_arguments *a, int i, int64_t otherwise,
		  int64_t *out)
{
	const struct jinja_value *v = a->slot[i];
	*out = otherwise;
	if (!v)
		return 0;
	if (v->kind == J_BIG)
		return jinja_fail(j, "an integer beyond 64 bits");
	if (v->kind != J_INT && v->kind != J_BOOL)
		return jinja_fail(j, "an integer expected, not %s", jinja_type_name(v));
	*out = v->kind == J_BOOL ? v->boolean : v->integer;
	return 0;
}

int jinja_arg_index(struct jinja *j, const struct jinja_arguments *a, int i, int64_t otherwise,
		    int64_t *out)
{
	struct jinja_value zero = jinja_int(0, false);
	*out = otherwise;
	if (a->slot[i] && a->slot[i]->kind == J_NONE)
		return 0;
	if (a->slot[i] && a->slot[i]->kind == J_BIG) { /* beyond any string on that side */
		*out = jinja_order_integers(a->slot[i], &zero) < 0 ? INT32_MIN : INT32_MAX;
		return 0;
	}
	return jinja_arg_int(j, a, i, otherwise, out);
}

bool jinja_arg_flag(const struct jinja_arguments *a, int i, bool otherwise)
{
	return a->slot[i] ? jinja_truth(a->slot[i]) : otherwise;
}

/* ---- functions ---- */

static int make_range(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int64_t first, second, step, span;
	struct jinja_range *r = jinja_alloc(j, 1, sizeof *r);
	if (!r)
		return jinja_no_memory(j);
	TRY(jinja_arg_int(j, a, 0, 0, &first));
	TRY(jinja_arg_int(j, a, 1, 0, &second));
	TRY(jinja_arg_int(j, a, 2, 1, &step));
	if (!a->slot[1]) {
		second = first;
		first = 0;
	}
	if (step == 0)
		return jinja_fail(j, "range() arg 3 must not be zero");
	*r = (struct jinja_range){ first, second, step, 0 };
	*out = (struct jinja_value){ .kind = J_RANGE, .range = r };
	if (step > 0 ? first >= second : first <= second)
		return 0;
	bool wide = step > 0 ? __builtin_sub_overflow(second, first, &span)
			     : __builtin_sub_overflow(first, second, &span);
	uint64_t size = step > 0 ? (uint64_t)step : -(uint64_t)step;
	if (wide || ((uint64_t)span - 1) / size >= JINJA_RANGE_MAX)
		return jinja_fail(j, "range is longer than %d", JINJA_RANGE_MAX);
	r->count = (int64_t)(((uint64_t)span - 1) / size) + 1;
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
			return jinja_fail(
				j,
				"dictionary update sequence element #%zu has length %zu; 2 is required",
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
		return jinja_fail(j, "%s expected at most 1 argument",
				  kind == J_DICT ? "dict" : "namespace");
	if (a->more->count && a->more->at[0].kind == J_UNDEFINED)
		return jinja_fail_undefined(j, &a->more->at[0]);
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

static int function_cycler(struct jinja *j, const struct jinja_arguments *a,
			   struct jinja_value *out)
{
	struct jinja_cycler *c = jinja_alloc(j, 1, sizeof *c);
	struct jinja_value items;
	if (!c)
		return jinja_no_memory(j);
	if (!a->more->count)
		return jinja_fail(j, "at least one item has to be provided");
	TRY(jinja_list_new(j, J_TUPLE, &items));
	for (size_t i = 0; i < a->more->count; i++)
		TRY(jinja_list_add(j, items.list, a->more->at[i]));
	c->items = items.list;
	*out = (struct jinja_value){ .kind = J_CYCLER, .cycler = c };
	return 0;
}

static int function_joiner(struct jinja *j, const struct jinja_arguments *a,
			   struct jinja_value *out)
{
	struct jinja_joiner *joiner = jinja_alloc(j, 1, sizeof *joiner);
	if (!joiner)
		return jinja_no_memory(j);
	if (a->slot[0])
		joiner->separator = *a->slot[0];
	else
		TRY(jinja_literal(j, ", ", &joiner->separator));
	*out = (struct jinja_value){ .kind = J_JOINER, .joiner = joiner };
	return 0;
}

static int function_raise(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *t;
	TRY(jinja_to_text(j, a->slot[0], &t));
	*out = jinja_none();
	return err_set(j->e, ERR_INPUT, "%.*s", (int)(t->len > 590 ? 590 : t->len), t->bytes);
}

static int function_strftime(struct jinja *j, const struct jinja_arguments *a,
			     struct jinja_value *out)
{
	const struct jinja_text *format;
	TRY(jinja_arg_string(j, a, 0, &format));
	return jinja_strftime(j, format, out);
}

const struct jinja_callable jinja_functions[] = {
	{ "range", make_range, "start stop? step?", 0, NULL },
	{ "dict", function_dict, "*", JINJA_BY_NAME, "<class 'dict'>" },
	{ "namespace", function_namespace, "*", JINJA_BY_NAME, "<class 'jinja2.utils.Namespace'>" },
	{ "cycler", function_cycler, "*", 0, "<class 'jinja2.utils.Cycler'>" },
	{ "joiner", function_joiner, "sep?", JINJA_BY_NAME, "<class 'jinja2.utils.Joiner'>" },
	{ "lipsum", NULL, "*", 0, NULL }, /* random text */
	{ "raise_exception", function_raise, "message", JINJA_BY_NAME, NULL },
	{ "strftime_now", function_strftime, "format", JINJA_BY_NAME, NULL },
	{ 0 },
};

int jinja_set_globals(struct jinja *j)
{
	for (const struct jinja_callable *c = jinja_functions; c->name; c++) {
		struct jinja_name *name = jinja_name(j, c->name, strlen(c->name));
		if (!name)
			return jinja_no_memory(j);
		name->value = (struct jinja_value){ .kind = J_FUNCTION, .function = c };
	}
	return 0;
}

/* ---- tables ---- */

const struct jinja_callable *jinja_table_find(const struct jinja_callable *table, const char *name,
					      size_t len)
{
	for (const struct jinja_callable *c = table; c && c->name; c++)
		if (strncmp(c->name, name, len) == 0 && !c->name[len])
			return c;
	return NULL;
}

static const struct jinja_callable *find_in(const struct jinja_callable *const *tables,
					    const char *name, size_t len)
{
	const struct jinja_callable *found = NULL;
	for (; *tables && !found; tables++)
		found = jinja_table_find(*tables, name, len);
	return found;
}

const struct jinja_callable *jinja_filter_find(const char *name, size_t len)
{
	static const struct jinja_callable *const tables[] = {
		jinja_filters_text,   jinja_filters_list,   jinja_filters_choose,
		jinja_filters_number, jinja_filters_markup, NULL,
	};
	return find_in(tables, name, len);
}

const struct jinja_callable *jinja_test_find(const char *name, size_t len)
{
	return jinja_table_find(jinja_tests, name, len);
}

const struct jinja_callable *jinja_method_find(const struct jinja_value *v, const char *name,
					       size_t len)
{
	static const struct jinja_callable *const tables[J_BLOCK + 1][4] = {
		[J_BOOL] = { jinja_methods_int },
		[J_INT] = { jinja_methods_int },
		[J_BIG] = { jinja_methods_int },
		[J_FLOAT] = { jinja_methods_float },
		[J_STR] = { jinja_methods_str, jinja_methods_search },
		[J_BYTES] = { jinja_methods_bytes },
		[J_LIST] = { jinja_methods_list },
		[J_TUPLE] = { jinja_methods_tuple },
		[J_RANGE] = { jinja_methods_range },
		[J_DICT] = { jinja_methods_dict },
		[J_VIEW] = { jinja_methods_view },
		[J_CYCLER] = { jinja_methods_cycler },
		[J_JOINER] = { jinja_methods_joiner },
	};
	const struct jinja_callable *c = find_in(tables[v->kind], name, len);
	if (!c && v->kind == J_STR && v->text->markup)
		c = jinja_table_find(jinja_methods_markup, name, len);
	return c;
}
