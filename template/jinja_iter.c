/* Iterators: read once, one item at a time, as late as Python's generators. */
#include "template/jinja.h"

#include "base/text.h"

int jinja_iter_new(struct jinja *j, jinja_next_function *next, struct jinja_iter **out)
{
	*out = jinja_alloc(j, 1, sizeof **out);
	if (!*out)
		return jinja_no_memory(j);
	(*out)->next = next;
	return 0;
}

static int next_of_list(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	(void)j;
	if (it->at == it->of.list->count)
		return 0;
	*out = it->of.list->at[it->at++];
	return 1;
}

/* A character is a plain string also where the whole is marked as safe. */
static int next_of_text(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	const struct jinja_text *t = it->of.text;
	uint32_t cp;
	if (it->at == t->len)
		return 0;
	size_t n = (size_t)text_utf8_decode(t->bytes + it->at, t->len - it->at, &cp);
	TRY(jinja_slice(j, t, it->at, it->at + n, out));
	TRY(jinja_mark(j, false, out));
	it->at += n;
	return 1;
}

static int next_of_bytes(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	(void)j;
	if (it->at == it->of.text->len)
		return 0;
	*out = jinja_int((unsigned char)it->of.text->bytes[it->at++], jinja_text_data(it->of.text));
	return 1;
}

struct jinja_value jinja_range_item(const struct jinja_range *r, int64_t i)
{
	return jinja_int((int64_t)((uint64_t)r->start + (uint64_t)i * (uint64_t)r->step), false);
}

static int next_of_range(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	(void)j;
	if ((int64_t)it->at == it->of.range->count)
		return 0;
	*out = jinja_range_item(it->of.range, (int64_t)it->at++);
	return 1;
}

static int view_item(struct jinja *j, const struct jinja_view *v, size_t i, struct jinja_value *out)
{
	if (v->of == JINJA_ITEMS)
		return jinja_pair(j, v->dict->key[i], v->dict->value[i], out);
	*out = v->of == JINJA_KEYS ? v->dict->key[i] : v->dict->value[i];
	return 0;
}

static int next_of_view(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	if (it->at == it->of.view->dict->count)
		return 0;
	TRY(view_item(j, it->of.view, it->at++, out));
	return 1;
}

static int next_of_dict(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	(void)j;
	if (it->at == it->of.dict->count)
		return 0;
	*out = it->of.dict->key[it->at++];
	return 1;
}

static int next_of_nothing(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	(void)j;
	(void)it;
	(void)out;
	return 0;
}

static jinja_next_function *const walks[J_BLOCK + 1] = {
	[J_LIST] = next_of_list,   [J_TUPLE] = next_of_list,        [J_STR] = next_of_text,
	[J_BYTES] = next_of_bytes, [J_RANGE] = next_of_range,       [J_DICT] = next_of_dict,
	[J_VIEW] = next_of_view,   [J_UNDEFINED] = next_of_nothing,
};

bool jinja_iterable(const struct jinja_value *v)
{
	return walks[v->kind] || v->kind == J_ITER || v->kind == J_LOOP || v->kind == J_SELF;
}

int jinja_iterate(struct jinja *j, const struct jinja_value *v, struct jinja_iter **out)
{
	if (v->kind == J_ITER) {
		*out = v->iter;
		return 0;
	}
	if (v->kind == J_LOOP || v->kind == J_SELF)
		return jinja_refuse(j, "walking a %s", jinja_type_name(v));
	if (!walks[v->kind])
		return jinja_fail(j, "'%s' object is not iterable", jinja_type_name(v));
	struct jinja_value of = *v;
	TRY(jinja_iter_new(j, walks[of.kind], out));
	(*out)->of = of;
	return 0;
}

static int next_backwards(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	if (!it->at)
		return 0;
	size_t i = --it->at;
	switch (it->of.kind) {
	case J_RANGE:
		*out = jinja_range_item(it->of.range, (int64_t)i);
		return 1;
	case J_DICT:
		*out = it->of.dict->key[i];
		return 1;
	case J_BYTES:
		*out = jinja_int((unsigned char)it->of.text->bytes[i],
				 jinja_text_data(it->of.text));
		return 1;
	case J_VIEW:
		TRY(view_item(j, it->of.view, i, out));
		return 1;
	default:
		*out = it->of.list->at[i];
		return 1;
	}
}

int jinja_iterate_back(struct jinja *j, const struct jinja_value *v, struct jinja_iter **out)
{
	int64_t count;
	struct jinja_value of = *v;
	*out = NULL;
	if (!walks[of.kind])
		return 0;
	if (of.kind == J_STR) {
		TRY(jinja_items(j, v, &of.list));
		of.kind = J_LIST;
	}
	TRY(jinja_length(j, &of, &count));
	TRY(jinja_iter_new(j, next_backwards, out));
	(*out)->of = of;
	(*out)->at = (size_t)count;
	return 0;
}

int jinja_next(struct jinja *j, struct jinja_iter *it, struct jinja_value *out)
{
	TRY(jinja_charge(j, 1));
	if (it->done)
		return 0;
	int more = it->next(j, it, out);
	it->done = more != 1;
	return more;
}

int jinja_items(struct jinja *j, const struct jinja_value *v, struct jinja_list **out)
{
	struct jinja_value made, item;
	struct jinja_iter *it;
	int more;
	if (v->kind == J_LIST || v->kind == J_TUPLE) {
		*out = v->list;
		return 0;
	}
	TRY(jinja_iterate(j, v, &it));
	TRY(jinja_list_new(j, J_LIST, &made));
	while ((more = jinja_next(j, it, &item)) == 1)
		TRY(jinja_list_add(j, made.list, item));
	*out = made.list;
	return more;
}
