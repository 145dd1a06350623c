/* Filters of lists and dictionaries. */
#include "template/jinja.h"

#include <string.h>

/* What the attribute finds in the item (NULL or None: the item), in lower case unless exact. */
static int key_of(struct jinja *j, const struct jinja_value *attribute, bool exact,
		  const struct jinja_value *otherwise, const struct jinja_value *item,
		  struct jinja_value *out)
{
	*out = *item;
	if (otherwise && otherwise->kind == J_NONE)
		otherwise = NULL;
	if (attribute)
		TRY(jinja_path(j, item, attribute, otherwise, out));
	return out->kind == J_STR && !exact ? jinja_recase(j, out->text, JINJA_LOWER, out) : 0;
}

/* The keys of attributes with commas between: a list. */
static int keys_of(struct jinja *j, const struct jinja_value *attribute, bool exact,
		   const struct jinja_value *item, struct jinja_value *out)
{
	struct jinja_value key;
	TRY(jinja_list_new(j, J_LIST, out));
	if (!attribute || attribute->kind != J_STR) {
		TRY(key_of(j, attribute, exact, NULL, item, &key));
		return jinja_list_add(j, out->list, key);
	}
	const struct jinja_text *t = attribute->text;
	for (size_t begin = 0, end; begin <= t->len; begin = end + 1) {
		struct jinja_value part;
		for (end = begin; end < t->len && t->bytes[end] != ','; end++)
			;
		TRY(jinja_slice(j, t, begin, end, &part));
		TRY(key_of(j, &part, exact, NULL, item, &key));
		TRY(jinja_list_add(j, out->list, key));
	}
	return 0;
}

static int filter_first(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_iter *it;
	TRY(jinja_iterate(j, &a->in, &it));
	int more = jinja_next(j, it, out);
	if (more == 0)
		*out = jinja_undefined("the first item of nothing");
	return more < 0 ? more : 0;
}

static int filter_last(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_iter *it;
	TRY(jinja_iterate_back(j, &a->in, &it));
	if (!it)
		return jinja_fail(j, "'%s' object is not reversible", jinja_type_name(&a->in));
	int more = jinja_next(j, it, out);
	if (more == 0)
		*out = jinja_undefined("the last item of nothing");
	return more < 0 ? more : 0;
}

/* Of several that would be chance. */
static int filter_random(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_value zero = jinja_int(0, false);
	int64_t count;
	TRY(jinja_length(j, &a->in, &count));
	if (count > 1)
		return jinja_refuse(j, "random of more than one item");
	*out = jinja_undefined("a random item of nothing");
	int found = count ? jinja_item(j, &a->in, &zero, out) : 1;
	return found < 0 ? found : found ? 0 : jinja_fail(j, "random takes a sequence");
}

static int filter_list(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *from;
	TRY(jinja_items(j, &a->in, &from));
	TRY(jinja_list_new(j, J_LIST, out));
	*out->list = (struct jinja_list){ from->at, from->count, from->count, false };
	return 0;
}

static int filter_length(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	int64_t n = 0;
	TRY(jinja_length(j, &a->in, &n));
	*out = jinja_int(n, false);
	return 0;
}

/* Where {% autoescape %} is on, one marked string has all others escaped. */
static int filter_join(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	struct jinja_value texts, v, between;
	const struct jinja_text *t, *d;
	TRY(jinja_literal(j, "", &between));
	if (a->slot[0])
		between = *a->slot[0];
	TRY(jinja_items(j, &a->in, &l));
	TRY(jinja_list_new(j, J_LIST, &texts));
	bool marked = between.kind == J_STR && between.text->markup;
	for (size_t i = 0; i < l->count; i++) {
		v = l->at[i];
		if (a->slot[1])
			TRY(jinja_path(j, &l->at[i], a->slot[1], NULL, &v));
		TRY(jinja_to_text(j, &v, &t));
		marked = marked || t->markup;
		TRY(jinja_list_add(j, texts.list,
				   (struct jinja_value){ .kind = J_STR, .text = t }));
	}
	marked = marked && j->autoescape;
	if (marked)
		TRY(jinja_to_markup(j, &between, &between));
	TRY(jinja_to_text(j, &between, &d));
	TRY(jinja_literal(j, "", out));
	for (size_t i = 0; i < l->count; i++) {
		if (marked)
			TRY(jinja_to_markup(j, &texts.list->at[i], &texts.list->at[i]));
		TRY(jinja_charge(j, 1));
		if (i)
			TRY(jinja_concat(j, out->text, d, out));
		TRY(jinja_concat(j, out->text, texts.list->at[i].text, out));
	}
	return jinja_mark(j, marked, out);
}

static int filter_reverse(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	static const struct jinja_value back = { .kind = J_INT, .integer = -1 };
	const struct jinja_value *const bound[3] = { NULL, NULL, &back };
	struct jinja_list *l;
	struct jinja_iter *it;
	if (a->in.kind == J_STR)
		return jinja_slice_value(j, &a->in, bound, out);
	TRY(jinja_iterate_back(j, &a->in, &it));
	if (it) {
		*out = (struct jinja_value){ .kind = J_ITER, .iter = it };
		return 0;
	}
	TRY(jinja_items(j, &a->in, &l));
	TRY(jinja_list_new(j, J_LIST, out));
	for (size_t i = l->count; i > 0; i--)
		TRY(jinja_list_add(j, out->list, l->at[i - 1]));
	return 0;
}

static int filter_attr(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	const struct jinja_text *name;
	TRY(jinja_arg_string(j, a, 0, &name));
	int has = jinja_has_attribute(j, &a->in, name);
	*out = jinja_undefined("the attribute");
	return has == 1 ? jinja_attribute(j, &a->in, name, out) : has;
}

static int filter_pprint(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	return jinja_pprint(j, &a->in, out);
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
				bool left = k == high ||
					    (i < mid && (backwards ? order >= 0 : order <= 0));
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

/* Keys are lists: what is equal is not asked for its order. */
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
		TRY(keys_of(j, a->slot[2], jinja_arg_flag(a, 1, false), &l->at[i], &s[i].key));
		s[i].value = l->at[i];
	}
	return sorted(j, s, l->count, jinja_arg_flag(a, 0, false), out);
}

static int filter_dictsort(struct jinja *j, const struct jinja_arguments *a,
			   struct jinja_value *out)
{
	bool by_value = a->slot[1] && jinja_is_string(a->slot[1], "value");
	if (a->slot[1] && !by_value && !jinja_is_string(a->slot[1], "key"))
		return jinja_fail(j, "You can only sort by either \"key\" or \"value\"");
	if (a->in.kind == J_UNDEFINED)
		return jinja_fail_undefined(j, &a->in);
	if (a->in.kind != J_DICT)
		return jinja_fail(j, "dictsort takes a dictionary");
	const struct jinja_dict *d = a->in.dict;
	struct sortable *s = jinja_alloc(j, d->count, sizeof *s);
	if (!s)
		return jinja_no_memory(j);
	for (size_t i = 0; i < d->count; i++) {
		TRY(jinja_pair(j, d->key[i], d->value[i], &s[i].value));
		TRY(key_of(j, NULL, jinja_arg_flag(a, 0, false), NULL,
			   by_value ? &d->value[i] : &d->key[i], &s[i].key));
	}
	return sorted(j, s, d->count, jinja_arg_flag(a, 2, false), out);
}

static int filter_groupby(struct jinja *j, const struct jinja_arguments *a, struct jinja_value *out)
{
	struct jinja_list *l;
	bool exact = jinja_arg_flag(a, 2, false);
	TRY(jinja_items(j, &a->in, &l));
	struct sortable *s = jinja_alloc(j, l->count, sizeof *s);
	if (!s)
		return jinja_no_memory(j);
	for (size_t i = 0; i < l->count; i++) {
		TRY(key_of(j, a->slot[0], exact, a->slot[1], &l->at[i], &s[i].key));
		s[i].value = l->at[i];
	}
	TRY(sort(j, s, l->count, false));
	TRY(jinja_list_new(j, J_LIST, out));
	struct jinja_value group, key;
	for (size_t i = 0; i < l->count; i++) {
		int same = i ? jinja_equal(j, &s[i - 1].key, &s[i].key, 0) : 0;
		TRY(same);
		if (!same) {
			struct jinja_value pair;
			TRY(key_of(j, a->slot[0], true, a->slot[1], &s[i].value, &key));
			TRY(jinja_list_new(j, J_LIST, &group));
			TRY(jinja_pair(j, key, group, &pair));
			pair.list->group = true;
			TRY(jinja_list_add(j, out->list, pair));
		}
		TRY(jinja_list_add(j, group.list, s[i].value));
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
		TRY(key_of(j, a->slot[1], exact, NULL, &l->at[i], &key));
		if (i)
			TRY(largest ? jinja_order(j, &best, &key, &order, 0)
				    : jinja_order(j, &key, &best, &order, 0));
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
	struct jinja_iter *it;
	struct jinja_value item, v, sum;
	int more;
	*out = a->slot[1] ? *a->slot[1] : jinja_int(0, false);
	if (out->kind == J_STR || out->kind == J_BYTES)
		return jinja_fail(j, "sum() can't sum strings");
	TRY(jinja_iterate(j, &a->in, &it));
	while ((more = jinja_next(j, it, &item)) == 1) {
		v = item;
		if (a->slot[0] && a->slot[0]->kind != J_NONE)
			TRY(jinja_path(j, &item, a->slot[0], NULL, &v));
		sum = *out;
		TRY(jinja_binary(j, OP_ADD, &sum, &v, out));
	}
	return more;
}

const struct jinja_callable jinja_filters_list[] = {
	{ "first", filter_first, "", 0, NULL },
	{ "last", filter_last, "", 0, NULL },
	{ "random", filter_random, "", 0, NULL },
	{ "list", filter_list, "", 0, NULL },
	{ "length", filter_length, "", 0, NULL },
	{ "count", filter_length, "", 0, NULL },
	{ "join", filter_join, "d? attribute?", JINJA_BY_NAME, NULL },
	{ "reverse", filter_reverse, "", 0, NULL },
	{ "attr", filter_attr, "name", JINJA_BY_NAME, NULL },
	{ "pprint", filter_pprint, "", 0, NULL },
	{ "dictsort", filter_dictsort, "case_sensitive? by? reverse?", JINJA_BY_NAME, NULL },
	{ "sort", filter_sort, "reverse? case_sensitive? attribute?", JINJA_BY_NAME, NULL },
	{ "groupby", filter_groupby, "attribute default? case_sensitive?", JINJA_BY_NAME, NULL },
	{ "min", filter_min, "case_sensitive? attribute?", JINJA_BY_NAME, NULL },
	{ "max", filter_max, "case_sensitive? attribute?", JINJA_BY_NAME, NULL },
	{ "sum", filter_sum, "attribute? start?", JINJA_BY_NAME, NULL },
	{ 0 },
};
