/* Filters of lists and dictionaries. */
#include "template/jinja.h"

#include <string.h>

/* The item, or what the attribute path of slot i finds in it. */
static int pick(struct jinja *j, const struct jinja_value *attribute,
                const struct jinja_value *otherwise,
                const struct jinja_value *item, struct jinja_value *out)
{
	*out = *item;
	if (!attribute || attribute->kind == J_NONE)
		return 0;
	if (attribute->kind == J_INT) {
		TRY(jinja_subscript(j, item, attribute, out));
		if (otherwise && out->kind == J_UNDEFINED)
			*out = *otherwise;
		return 0;
	}
	if (attribute->kind != J_STR)
		return jinja_fail(j, "an attribute is a string or a number");
	if (memchr(attribute->text->bytes, ',', attribute->text->len))
		return jinja_refuse(j, "several attributes");
	return jinja_path(j, item, attribute->text, otherwise, out);
}

/* The key for sorting and comparing: strings in lower case unless case matters. */
static int key_of(struct jinja *j, const struct jinja_value *attribute, bool exact,
                  const struct jinja_value *item, struct jinja_value *out)
{
	TRY(pick(j, attribute, NULL, item, out));
	if (out->kind == J_STR && !exact)
		return jinja_recase(j, out->text, JINJA_LOWER, out);
	return 0;
}

static int filter_first(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	TRY(jinja_items(j, &a->in, &l));
	*out = l->count ? l->at[0] : jinja_undefined("the first item of nothing");
	return 0;
}

static int filter_last(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	if (a->in.kind == J_ITER)
		return jinja_fail(j, "'generator' object is not reversible");
	TRY(jinja_items(j, &a->in, &l));
	*out = l->count ? l->at[l->count - 1] : jinja_undefined("the last item of nothing");
	return 0;
}

static int filter_list(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	TRY(jinja_items(j, &a->in, &l));
	*out = (struct jinja_value){ .kind = J_LIST, .list = l };
	return 0;
}

static int filter_join(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	const struct jinja_text *between = NULL, *t;
	TRY(jinja_items(j, &a->in, &l));
	if (a->slot[0])
		TRY(jinja_to_text(j, a->slot[0], &between));
	TRY(jinja_str(j, "", 0, false, out));
	for (size_t i = 0; i < l->count; i++) {
		struct jinja_value v, sum = *out;
		TRY(pick(j, a->slot[1], NULL, &l->at[i], &v));
		TRY(jinja_charge(j, 1));
		if (i && between)
			TRY(jinja_concat(j, sum.text, between, &sum));
		TRY(jinja_to_text(j, &v, &t));
		TRY(jinja_concat(j, sum.text, t, out));
	}
	return 0;
}

static int filter_reverse(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	struct jinja_out o = { 0 };
	TRY(jinja_items(j, &a->in, &l));
	if (a->in.kind == J_STR) {
		for (size_t i = l->count; i > 0; i--)
			jinja_put_text(&o, l->at[i - 1].text, 0, l->at[i - 1].text->len);
		TRY(jinja_out_take(j, &o, out));
		return jinja_mark(j, a->in.text->markup, out);
	}
	TRY(jinja_list_new(j, J_ITER, out));
	TRY(jinja_charge(j, l->count));
	for (size_t i = l->count; i > 0; i--)
		TRY(jinja_list_add(j, out->list, l->at[i - 1]));
	return 0;
}

static int filter_items(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list empty = { 0 };
	if (a->in.kind == J_UNDEFINED)
		return jinja_list_new(j, J_ITER, out);
	if (a->in.kind != J_DICT)
		return jinja_fail(j, "Can only get item pairs from a mapping.");
	TRY(jinja_apply(j, jinja_method_find(&a->in, "items"), &a->in, &empty, NULL, out));
	out->kind = J_ITER;
	return 0;
}

/* ---- sorting ---- */

struct sortable {
	struct jinja_value key, value;
};

/* Stable merge sort, bottom-up; backwards keeps equal items in their order too, as Python does. */
static int sort(struct jinja *j, struct sortable *at, size_t count, bool backwards)
{
	struct sortable *from = at, *to = jinja_alloc(j, count, sizeof *to);
	if (!to)
		return jinja_no_memory(j);
	for (size_t width = 1; width < count; width *= 2) {
		for (size_t low = 0; low < count; low += 2 * width) {
			size_t mid = low + width < count ? low + width : count;
			size_t high = mid + width < count ? mid + width : count;
			for (size_t i = low, k = mid, n = low; n < high; n++) {
				int order = 0;
				if (i < mid && k < high)
					TRY(jinja_order(j, &from[i].key, &from[k].key, &order, 0));
				bool left = k == high || (i < mid && (backwards ? order >= 0 : order <= 0));
				to[n] = left ? from[i++] : from[k++];
			}
		}
		struct sortable *swap = from;
		from = to;
		to = swap;
	}
	if (from != at)
		memcpy(at, from, count * sizeof *at);
	return 0;
}

static int sorted(struct jinja *j, struct sortable *at, size_t count, bool backwards,
                  struct jinja_value *out)
{
	TRY(sort(j, at, count, backwards));
	TRY(jinja_list_new(j, J_LIST, out));
	for (size_t i = 0; i < count; i++)
		TRY(jinja_list_add(j, out->list, at[i].value));
	return 0;
}

static int filter_sort(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	TRY(jinja_items(j, &a->in, &l));
	struct sortable *s = jinja_alloc(j, l->count, sizeof *s);
	if (!s)
		return jinja_no_memory(j);
	for (size_t i = 0; i < l->count; i++) {
		TRY(key_of(j, a->slot[2], jinja_arg_flag(a, 1, false), &l->at[i], &s[i].key));
		s[i].value = l->at[i];
	}
	return sorted(j, s, l->count, jinja_arg_flag(a, 0, false), out);
}

static int filter_dictsort(struct jinja *j, const struct jinja_arguments *a,
                           struct jinja_value *out)
{
	struct jinja_list empty = { 0 };
	struct jinja_value pairs;
	bool by_value = a->slot[1] && jinja_is_string(a->slot[1], "value");
	if (a->in.kind != J_DICT)
		return jinja_fail(j, "dictsort takes a dictionary");
	if (a->slot[1] && !by_value && !jinja_is_string(a->slot[1], "key"))
		return jinja_fail(j, "dictsort by \"key\" or \"value\"");
	TRY(jinja_apply(j, jinja_method_find(&a->in, "items"), &a->in, &empty, NULL, &pairs));
	size_t count = pairs.list->count;
	struct sortable *s = jinja_alloc(j, count, sizeof *s);
	if (!s)
		return jinja_no_memory(j);
	for (size_t i = 0; i < count; i++) {
		s[i].value = pairs.list->at[i];
		TRY(key_of(j, NULL, jinja_arg_flag(a, 0, false), &s[i].value.list->at[by_value], &s[i].key));
	}
	return sorted(j, s, count, jinja_arg_flag(a, 2, false), out);
}

static int filter_unique(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	struct jinja_value seen, key, ignored;
	TRY(jinja_items(j, &a->in, &l));
	TRY(jinja_list_new(j, J_ITER, out));
	TRY(jinja_dict_new(j, J_DICT, &seen));
	for (size_t i = 0; i < l->count; i++) {
		TRY(key_of(j, a->slot[1], jinja_arg_flag(a, 0, false), &l->at[i], &key));
		int found = jinja_dict_get(j, seen.dict, key, &ignored);
		TRY(found);
		if (found)
			continue;
		TRY(jinja_dict_set(j, seen.dict, key, key));
		TRY(jinja_list_add(j, out->list, l->at[i]));
	}
	return 0;
}

static int extreme(struct jinja *j, const struct jinja_arguments *a, bool largest,
                   struct jinja_value *out)
{
	struct jinja_list *l;
	struct jinja_value best, key;
	bool exact = jinja_arg_flag(a, 0, false);
	TRY(jinja_items(j, &a->in, &l));
	*out = jinja_undefined("the extreme of nothing");
	for (size_t i = 0; i < l->count; i++) {
		int order = -1;
		TRY(key_of(j, a->slot[1], exact, &l->at[i], &key));
		if (i)
			TRY(largest ? jinja_order(j, &best, &key, &order, 0) : jinja_order(j, &key, &best, &order, 0));
		if (order < 0) {
			best = key;
			*out = l->at[i];
		}
	}
	return 0;
}

static int filter_min(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return extreme(j, a, false, out);
}

static int filter_max(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return extreme(j, a, true, out);
}

static int filter_sum(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	TRY(jinja_items(j, &a->in, &l));
	*out = a->slot[1] ? *a->slot[1] : jinja_int(0, false);
	for (size_t i = 0; i < l->count; i++) {
		struct jinja_value v, sum = *out;
		TRY(pick(j, a->slot[0], NULL, &l->at[i], &v));
		TRY(jinja_charge(j, 1));
		TRY(jinja_binary(j, OP_ADD, &sum, &v, out));
	}
	return 0;
}

/* ---- map, select, reject ---- */

/* The name of a filter or test, and the arguments after it. */
static int split_name(struct jinja *j, const struct jinja_list *all, size_t at, const char **name,
                      struct jinja_list *rest)
{
	if (at >= all->count || all->at[at].kind != J_STR)
		return jinja_fail(j, "the name of a filter or test expected");
	*name = arena_copy(&j->arena, all->at[at].text->bytes, all->at[at].text->len);
	*rest = (struct jinja_list){ all->at + at + 1, all->count - at - 1, all->count - at - 1, 0, NULL };
	return *name ? 0 : jinja_no_memory(j);
}

/* map, select and reject treat any false value as an empty list. */
static int items_if_any(struct jinja *j, const struct jinja_value *in, struct jinja_list **out)
{
	static struct jinja_list none;
	if (jinja_truth(in))
		return jinja_items(j, in, out);
	*out = &none;
	return 0;
}

static int filter_map(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l, rest = { 0 };
	struct jinja_value attribute, otherwise;
	const char *name = NULL;
	int by = a->named ? jinja_dict_get_name(j, a->named, "attribute", &attribute) : 0;
	int has = by == 1 ? jinja_dict_get_name(j, a->named, "default", &otherwise) : 0;
	TRY(by);
	TRY(has);
	if (by && (a->more->count || a->named->count != 1u + (unsigned)has))
		return jinja_fail(j, "map with an attribute takes nothing else but a default");
	if (!by)
		TRY(split_name(j, a->more, 0, &name, &rest));
	TRY(items_if_any(j, &a->in, &l));
	TRY(jinja_list_new(j, J_ITER, out));
	for (size_t i = 0; i < l->count; i++) {
		struct jinja_value v;
		TRY(jinja_charge(j, 1));
		if (by)
			TRY(pick(j, &attribute, has ? &otherwise : NULL, &l->at[i], &v));
		else
			TRY(jinja_apply_filter(j, name, &l->at[i], &rest, a->named, &v));
		TRY(jinja_list_add(j, out->list, v));
	}
	return 0;
}

/* attribute: the first argument names what the test looks at. */
static int choose(struct jinja *j, const struct jinja_arguments *a, bool attribute, bool wanted,
                  struct jinja_value *out)
{
	struct jinja_list *l, rest = { 0 };
	const char *name = NULL;
	if (attribute && !a->more->count)
		return jinja_fail(j, "the name of an attribute expected");
	if (a->more->count > attribute)
		TRY(split_name(j, a->more, attribute, &name, &rest));
	TRY(items_if_any(j, &a->in, &l));
	TRY(jinja_list_new(j, J_ITER, out));
	for (size_t i = 0; i < l->count; i++) {
		struct jinja_value v;
		TRY(jinja_charge(j, 1));
		TRY(pick(j, attribute ? &a->more->at[0] : NULL, NULL, &l->at[i], &v));
		bool holds = jinja_truth(&v);
		if (name)
			TRY(jinja_apply_test(j, name, &v, &rest, a->named, &holds));
		if (holds == wanted)
			TRY(jinja_list_add(j, out->list, l->at[i]));
	}
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

const struct jinja_callable jinja_filters_list[] = {
	{ "first", filter_first, { 0 }, false }, { "last", filter_last, { 0 }, false },
	{ "list", filter_list, { 0 }, false }, { "join", filter_join, { "d", "attribute" }, false },
	{ "reverse", filter_reverse, { 0 }, false }, { "items", filter_items, { 0 }, false },
	{ "dictsort", filter_dictsort, { "case_sensitive", "by", "reverse" }, false },
	{ "sort", filter_sort, { "reverse", "case_sensitive", "attribute" }, false },
	{ "unique", filter_unique, { "case_sensitive", "attribute" }, false },
	{ "min", filter_min, { "case_sensitive", "attribute" }, false },
	{ "max", filter_max, { "case_sensitive", "attribute" }, false },
	{ "sum", filter_sum, { "attribute", "start" }, false }, { "map", filter_map, { 0 }, true },
	{ "select", filter_select, { 0 }, true }, { "reject", filter_reject, { 0 }, true },
	{ "selectattr", filter_selectattr, { 0 }, true }, { "rejectattr", filter_rejectattr, { 0 }, true },
	{ 0 },
};
