/* Filters that hand out items one at a time: map, select, unique, batch and their like. As in Jinja
 * nothing happens, and nothing fails, before the first item is asked for. */
#include "template/jinja.h"

#include <string.h>

/* The arguments of a filter whose work is still to come. */
struct later {
	struct jinja_arguments a;
	struct jinja_value values[JINJA_SLOTS];
	const struct jinja_callable *callable; /* what map applies, or what select asks */
	struct jinja_list rest;                /* its arguments */
	struct jinja_dict *named;
	struct jinja_value attribute, otherwise; /* MISSING: none */
	bool begun, wanted, by_attribute;
	struct jinja_dict *seen;  /* of unique */
	struct jinja_list *items; /* of slice */
	int64_t count;
};

static int postpone(struct jinja *j, const struct jinja_arguments *a, jinja_next_function *next,
		    struct later **out, struct jinja_value *value)
{
	struct later *l = jinja_alloc(j, 1, sizeof *l);
	struct jinja_iter *it;
	if (!l)
		return jinja_no_memory(j);
	TRY(jinja_iter_new(j, next, &it));
	l->a = *a;
	for (int i = 0; i < JINJA_SLOTS; i++)
		if (a->slot[i]) {
			l->values[i] = *a->slot[i];
			l->a.slot[i] = &l->values[i];
		}
	it->more = l;
	*value = (struct jinja_value){ .kind = J_ITER, .iter = it };
	if (out)
		*out = l;
	return 0;
}

static struct later *later_of(const struct jinja_iter *it) { return (struct later *)it->more; }

/* ---- items ---- */

static int next_item(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	const struct jinja_value *v = &later_of(it)->a.in;
	if (v->kind == J_UNDEFINED)
		return 0;
	if (v->kind != J_DICT)
		return jinja_fail(j, "Can only get item pairs from a mapping.");
	if (it->at == v->dict->count)
		return 0;
	TRY(jinja_pair(j, v->dict->key[it->at], v->dict->value[it->at], out));
	it->at++;
	return 1;
}

static int filter_items(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return postpone(j, a, next_item, NULL, out);
}

/* ---- unique ---- */

static int next_unique(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	struct later *l = later_of(it);
	struct jinja_value key, made;
	if (!it->from) {
		TRY(jinja_iterate(j, &l->a.in, &it->from));
		TRY(jinja_dict_new(j, J_DICT, &made));
		l->seen = made.dict;
	}
	for (;;) {
		int more = jinja_next(j, it->from, out);
		if (more != 1)
			return more;
		key = *out;
		if (l->a.slot[1])
			TRY(jinja_path(j, out, l->a.slot[1], NULL, &key));
		if (key.kind == J_STR && !jinja_arg_flag(&l->a, 0, false))
			TRY(jinja_recase(j, key.text, JINJA_LOWER, &key));
		int found = jinja_dict_get(j, l->seen, key, &made);
		TRY(found);
		if (found)
			continue;
		TRY(jinja_dict_set(j, l->seen, key, key));
		return 1;
	}
}

static int filter_unique(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return postpone(j, a, next_unique, NULL, out);
}

/* ---- batch and slice ---- */

static int next_batch(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	struct later *l = later_of(it);
	struct jinja_value item, size, zero = jinja_int(0, false);
	const struct jinja_value *fill = l->a.slot[1], *wanted = l->a.slot[0];
	int more, order = 0;
	if (!it->from)
		TRY(jinja_iterate(j, &l->a.in, &it->from));
	TRY(jinja_list_new(j, J_LIST, out));
	/* a batch of no items comes first where batches are to have none */
	if (!l->begun) {
		more = jinja_next(j, it->from, &item);
		if (more != 1)
			return more;
		l->begun = true;
		l->attribute = item; /* the item that is read and not handed out */
		int none = jinja_equal(j, wanted, &zero, 0);
		if (none)
			return none < 0 ? none : 1;
	}
	if (l->attribute.kind == J_MISSING)
		return 0;
	TRY(jinja_list_add(j, out->list, l->attribute));
	l->attribute.kind = J_MISSING;
	while ((more = jinja_next(j, it->from, &item)) == 1) {
		size = jinja_int((int64_t)out->list->count, false);
		int full = jinja_equal(j, &size, wanted, 0);
		TRY(full);
		if (full) {
			l->attribute = item;
			return 1;
		}
		TRY(jinja_list_add(j, out->list, item));
	}
	TRY(more);
	if (!fill || fill->kind == J_NONE)
		return 1;
	size = jinja_int((int64_t)out->list->count, false);
	TRY(jinja_order(j, &size, wanted, &order, 0));
	if (order != -1)
		return 1;
	if (wanted->kind != J_INT && wanted->kind != J_BOOL)
		return jinja_fail(j, "can't multiply sequence by non-int of type '%s'",
				  jinja_type_name(wanted));
	for (int64_t i = wanted->kind == J_INT ? wanted->integer - size.integer : 0; i > 0; i--) {
		TRY(jinja_charge(j, 1));
		TRY(jinja_list_add(j, out->list, *fill));
	}
	return 1;
}

static int filter_batch(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return postpone(j, a, next_batch, NULL, out);
}

static int next_slice(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	struct later *l = later_of(it);
	int64_t slices, at = (int64_t)it->at;
	const struct jinja_value *fill = l->a.slot[1];
	if (!l->begun) {
		l->begun = true;
		TRY(jinja_items(j, &l->a.in, &l->items));
	}
	TRY(jinja_arg_int(j, &l->a, 0, 0, &slices));
	if (slices == 0)
		return jinja_fail(j, "division by zero");
	if (at >= slices)
		return 0;
	int64_t each = (int64_t)l->items->count / slices, extra = (int64_t)l->items->count % slices;
	int64_t begin = at * each + (at < extra ? at : extra), size = each + (at < extra);
	TRY(jinja_list_new(j, J_LIST, out));
	for (int64_t i = begin; i < begin + size; i++)
		TRY(jinja_list_add(j, out->list, l->items->at[i]));
	if (fill && fill->kind != J_NONE && at >= extra)
		TRY(jinja_list_add(j, out->list, *fill));
	it->at++;
	return 1;
}

static int filter_slice(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return postpone(j, a, next_slice, NULL, out);
}

/* ---- map, select, reject ---- */

/* The name at that argument, and the arguments after it. */
static int take_name(struct jinja *j, struct later *l, size_t at, bool filter)
{
	struct jinja_list *all = l->a.more;
	if (at >= all->count)
		return filter ? jinja_fail(j, "map requires a filter argument") : 0;
	const struct jinja_value *name = &all->at[at];
	l->rest = (struct jinja_list){ all->at + at + 1, all->count - at - 1, all->count - at - 1,
				       false };
	l->named = l->a.named;
	if (name->kind == J_STR)
		l->callable = filter ? jinja_filter_find(name->text->bytes, name->text->len)
				     : jinja_test_find(name->text->bytes, name->text->len);
	return 0;
}

static int begin_map(struct jinja *j, struct later *l)
{
	struct jinja_value *attribute = &l->attribute;
	int by = !l->a.more->count && l->a.named
			 ? jinja_dict_get_name(j, l->a.named, "attribute", attribute)
			 : 0;
	TRY(by);
	if (!by)
		return take_name(j, l, 0, true);
	int has = jinja_dict_get_name(j, l->a.named, "default", &l->otherwise);
	TRY(has);
	if (l->a.named->count != 1u + (unsigned)has)
		return jinja_fail(j, "Unexpected keyword argument of map");
	l->by_attribute = true;
	return 0;
}

static int begin_select(struct jinja *j, struct later *l)
{
	if (!l->by_attribute)
		return take_name(j, l, 0, false);
	if (!l->a.more->count)
		return jinja_fail(j, "Missing parameter for attribute name");
	l->attribute = l->a.more->at[0];
	return take_name(j, l, 1, false);
}

/* The source, read from on; none of what is false. */
static int begin(struct jinja *j, struct jinja_iter *it, int (*how)(struct jinja *, struct later *))
{
	struct later *l = later_of(it);
	if (it->from || l->begun)
		return 0;
	l->begun = true;
	if (!jinja_truth(&l->a.in))
		return 0;
	TRY(how(j, l));
	return jinja_iterate(j, &l->a.in, &it->from);
}

static int next_mapped(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	struct later *l = later_of(it);
	struct jinja_value item;
	TRY(begin(j, it, begin_map));
	int more = it->from ? jinja_next(j, it->from, &item) : 0;
	if (more != 1)
		return more;
	bool otherwise = l->otherwise.kind != J_MISSING && l->otherwise.kind != J_NONE;
	if (l->by_attribute)
		TRY(jinja_path(j, &item, &l->attribute, otherwise ? &l->otherwise : NULL, out));
	else if (!l->callable)
		return jinja_fail(j, "No filter of that name");
	else
		TRY(jinja_apply(j, l->callable, &item, &l->rest, l->named, out));
	return 1;
}

static int next_selected(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	struct later *l = later_of(it);
	size_t named_at = l->by_attribute;
	TRY(begin(j, it, begin_select));
	for (;;) {
		struct jinja_value v, holds;
		int more = it->from ? jinja_next(j, it->from, out) : 0;
		if (more != 1)
			return more;
		v = *out;
		if (l->by_attribute)
			TRY(jinja_path(j, out, &l->attribute, NULL, &v));
		holds = v;
		if (l->callable)
			TRY(jinja_apply(j, l->callable, &v, &l->rest, l->named, &holds));
		else if (l->a.more->count > named_at)
			return jinja_fail(j, "No test of that name");
		if (jinja_truth(&holds) == l->wanted)
			return 1;
	}
}

static int filter_map(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return postpone(j, a, next_mapped, NULL, out);
}

static int choose(struct jinja *j, const struct jinja_arguments *a, bool attribute, bool wanted,
		  struct jinja_value *out)
{
	struct later *l;
	TRY(postpone(j, a, next_selected, &l, out));
	l->by_attribute = attribute;
	l->wanted = wanted;
	return 0;
}

static int filter_select(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return choose(j, a, false, true, out);
}

static int filter_reject(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return choose(j, a, false, false, out);
}

static int filter_selectattr(struct jinja *j, const struct jinja_arguments *a,
			     struct jinja_value *out)
{
	return choose(j, a, true, true, out);
}

static int filter_rejectattr(struct jinja *j, const struct jinja_arguments *a,
			     struct jinja_value *out)
{
	return choose(j, a, true, false, out);
}

const struct jinja_callable jinja_filters_choose[] = {
	{ "items", filter_items, "", 0, NULL },
	{ "unique", filter_unique, "case_sensitive? attribute?", JINJA_BY_NAME, NULL },
	{ "batch", filter_batch, "linecount fill_with?", JINJA_BY_NAME, NULL },
	{ "slice", filter_slice, "slices fill_with?", JINJA_BY_NAME, NULL },
	{ "map", filter_map, "*", JINJA_BY_NAME, NULL },
	{ "select", filter_select, "*", JINJA_BY_NAME, NULL },
	{ "reject", filter_reject, "*", JINJA_BY_NAME, NULL },
	{ "selectattr", filter_selectattr, "*", JINJA_BY_NAME, NULL },
	{ "rejectattr", filter_rejectattr, "*", JINJA_BY_NAME, NULL },
	{ 0 },
};
