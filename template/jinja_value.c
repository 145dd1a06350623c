/* Values: making, comparing, containers. Everything lives in the rendering's arena. */
#include "template/jinja.h"

#include "base/text.h"

#include <string.h>

struct jinja_value jinja_undefined(const char *name)
{
	return (struct jinja_value){ .kind = J_UNDEFINED, .name = name };
}

struct jinja_value jinja_none(void) { return (struct jinja_value){ .kind = J_NONE }; }

struct jinja_value jinja_bool(bool b, bool data)
{
	return (struct jinja_value){ .kind = J_BOOL, .data = data, .boolean = b };
}

struct jinja_value jinja_int(int64_t i, bool data)
{
	return (struct jinja_value){ .kind = J_INT, .data = data, .integer = i };
}

struct jinja_value jinja_float(double d, bool data)
{
	return (struct jinja_value){ .kind = J_FLOAT, .data = data, .number = d };
}

/* ---- containers ---- */

int jinja_list_new(struct jinja *j, enum jinja_kind kind, struct jinja_value *out)
{
	struct jinja_list *l = jinja_alloc(j, 1, sizeof *l);
	*out = (struct jinja_value){ .kind = (unsigned char)kind, .list = l };
	return l ? 0 : jinja_no_memory(j);
}

int jinja_list_add(struct jinja *j, struct jinja_list *l, struct jinja_value v)
{
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 4;
		struct jinja_value *grown = jinja_alloc(j, room, sizeof *grown);
		if (!grown)
			return jinja_no_memory(j);
		if (l->count)
			memcpy(grown, l->at, l->count * sizeof *grown);
		l->at = grown;
		l->room = room;
	}
	l->at[l->count++] = v;
	return 0;
}

int jinja_pair(struct jinja *j, struct jinja_value a, struct jinja_value b, struct jinja_value *out)
{
	TRY(jinja_list_new(j, J_TUPLE, out));
	TRY(jinja_list_add(j, out->list, a));
	return jinja_list_add(j, out->list, b);
}

int jinja_dict_new(struct jinja *j, enum jinja_kind kind, struct jinja_value *out)
{
	struct jinja_dict *d = jinja_alloc(j, 1, sizeof *d);
	*out = (struct jinja_value){ .kind = (unsigned char)kind, .dict = d };
	return d ? 0 : jinja_no_memory(j);
}

bool jinja_hashable(const struct jinja_value *v)
{
	bool unhashable = v->kind == J_LIST || v->kind == J_DICT ||
			  (v->kind == J_VIEW && v->view->of != JINJA_VALUES);
	if (v->kind == J_TUPLE)
		for (size_t i = 0; i < v->list->count; i++)
			unhashable = unhashable || !jinja_hashable(&v->list->at[i]);
	return !unhashable;
}

/* The index of the key, or d->count. Long dictionaries cost steps. */
static int find_key(struct jinja *j, const struct jinja_dict *d, const struct jinja_value *key,
		    size_t *index)
{
	TRY(jinja_charge(j, d->count / 16));
	if (!jinja_hashable(key))
		return jinja_fail(j, "unhashable type: '%s'", jinja_type_name(key));
	for (*index = 0; *index < d->count; ++*index) {
		int equal = jinja_equal(j, &d->key[*index], key, 0);
		if (equal)
			return equal < 0 ? equal : 0;
	}
	return 0;
}

/* A key that is not there yet. */
static int push_key(struct jinja *j, struct jinja_dict *d, struct jinja_value key,
		    struct jinja_value v)
{
	if (d->count == d->room) {
		size_t room = d->room ? d->room * 2 : 4;
		struct jinja_value *k = jinja_alloc(j, room, sizeof *k),
				   *w = jinja_alloc(j, room, sizeof *w);
		if (!k || !w)
			return jinja_no_memory(j);
		if (d->count) {
			memcpy(k, d->key, d->count * sizeof *k);
			memcpy(w, d->value, d->count * sizeof *w);
		}
		d->key = k;
		d->value = w;
		d->room = room;
	}
	d->key[d->count] = key;
	d->value[d->count++] = v;
	return 0;
}

int jinja_dict_set(struct jinja *j, struct jinja_dict *d, struct jinja_value key,
		   struct jinja_value v)
{
	size_t i;
	TRY(find_key(j, d, &key, &i));
	if (i == d->count)
		return push_key(j, d, key, v);
	d->value[i] = v;
	return 0;
}

int jinja_dict_get(struct jinja *j, const struct jinja_dict *d, struct jinja_value key,
		   struct jinja_value *out)
{
	size_t i;
	TRY(find_key(j, d, &key, &i));
	if (i == d->count)
		return 0;
	*out = d->value[i];
	return 1;
}

int jinja_dict_get_name(struct jinja *j, const struct jinja_dict *d, const char *key,
			struct jinja_value *out)
{
	struct jinja_text t = { .bytes = key, .len = strlen(key) };
	return jinja_dict_get(j, d, (struct jinja_value){ .kind = J_STR, .text = &t }, out);
}

/* ---- from JSON ---- */

static int scalar_from_json(struct jinja *j, const json_t *v, bool data, struct jinja_value *out)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		if (!text_utf8_valid(json_string_value(v), json_string_length(v)))
			return jinja_fail(j, "a string is not UTF-8");
		return jinja_str(j, json_string_value(v), json_string_length(v), data, out);
	case JSON_INTEGER:
		*out = jinja_int(json_integer_value(v), data);
		return 0;
	case JSON_REAL:
		*out = jinja_float(json_real_value(v), data);
		return 0;
	case JSON_TRUE:
		*out = jinja_bool(true, data);
		return 0;
	case JSON_FALSE:
		*out = jinja_bool(false, data);
		return 0;
	default:
		*out = jinja_none();
		out->data = data;
		return 0;
	}
}

/* A container whose children are still to come; the stack replaces recursion. */
struct level {
	const json_t *from;
	struct jinja_value to;
	void *next;   /* iterator of an object */
	size_t index; /* in an array */
};

static int container_from_json(struct jinja *j, const json_t *v, struct level *l)
{
	*l = (struct level){ .from = v,
			     .next = json_is_object(v) ? json_object_iter((json_t *)v) : NULL };
	return json_is_object(v) ? jinja_dict_new(j, J_DICT, &l->to)
				 : jinja_list_new(j, J_LIST, &l->to);
}

static int put_child(struct jinja *j, struct level *l, struct jinja_value v, bool data)
{
	struct jinja_value key;
	if (l->to.kind == J_LIST)
		return jinja_list_add(j, l->to.list, v);
	const char *name = json_object_iter_key(l->next);
	TRY(jinja_str(j, name, strlen(name), data, &key));
	l->next = json_object_iter_next((json_t *)l->from, l->next);
	return push_key(j, l->to.dict, key, v);
}

static const json_t *next_child(struct level *l)
{
	if (l->to.kind == J_LIST)
		return json_array_get(l->from, l->index++);
	return l->next ? json_object_iter_value(l->next) : NULL;
}

int jinja_from_json(struct jinja *j, const json_t *v, bool data, struct jinja_value *out)
{
	struct level stack[JINJA_VALUE_DEPTH];
	size_t depth = 0;
	if (!json_is_object(v) && !json_is_array(v))
		return scalar_from_json(j, v, data, out);
	TRY(container_from_json(j, v, &stack[depth++]));
	*out = stack[0].to;
	while (depth) {
		struct level *l = &stack[depth - 1];
		struct jinja_value child;
		const json_t *c = next_child(l);
		if (!c) {
			depth--;
		} else if (json_is_object(c) || json_is_array(c)) {
			if (depth == JINJA_VALUE_DEPTH)
				return jinja_fail(j, "values nest deeper than %d",
						  JINJA_VALUE_DEPTH);
			TRY(container_from_json(j, c, &stack[depth]));
			TRY(put_child(j, l, stack[depth++].to, data));
		} else {
			TRY(scalar_from_json(j, c, data, &child));
			TRY(put_child(j, l, child, data));
		}
	}
	return 0;
}

/* ---- questions ---- */

const char *jinja_type_name(const struct jinja_value *v)
{
	static const char *const names[] = {
		[J_MISSING] = "Undefined",
		[J_UNDEFINED] = "Undefined",
		[J_NONE] = "NoneType",
		[J_BOOL] = "bool",
		[J_INT] = "int",
		[J_BIG] = "int",
		[J_FLOAT] = "float",
		[J_STR] = "str",
		[J_BYTES] = "bytes",
		[J_LIST] = "list",
		[J_TUPLE] = "tuple",
		[J_RANGE] = "range",
		[J_DICT] = "dict",
		[J_VIEW] = "dict view",
		[J_ITER] = "generator",
		[J_NAMESPACE] = "Namespace",
		[J_MACRO] = "Macro",
		[J_FUNCTION] = "function",
		[J_METHOD] = "method",
		[J_LOOP] = "LoopContext",
		[J_CYCLER] = "Cycler",
		[J_JOINER] = "Joiner",
		[J_SELF] = "TemplateReference",
		[J_BLOCK] = "BlockReference",
	};
	return names[v->kind];
}

int(jinja_fail_undefined)(struct jinja *j, const struct jinja_value *v)
{
	return jinja_fail(j, "'%.60s' is undefined", v->name ? v->name : "a value");
}

bool jinja_truth(const struct jinja_value *v)
{
	switch (v->kind) {
	case J_MISSING:
	case J_UNDEFINED:
	case J_NONE:
		return false;
	case J_BOOL:
		return v->boolean;
	case J_INT:
		return v->integer != 0;
	case J_FLOAT:
		return v->number != 0;
	case J_STR:
	case J_BYTES:
		return v->text->len > 0;
	case J_LIST:
	case J_TUPLE:
		return v->list->count > 0;
	case J_RANGE:
		return v->range->count > 0;
	case J_DICT:
		return v->dict->count > 0;
	case J_VIEW:
		return v->view->dict->count > 0;
	default:
		return true; /* a loop's truth is its length, and inside it has one */
	}
}

bool jinja_is_string(const struct jinja_value *v, const char *text)
{
	return v->kind == J_STR && v->text->len == strlen(text) &&
	       memcmp(v->text->bytes, text, v->text->len) == 0;
}

bool jinja_is_integer(const struct jinja_value *v)
{
	return v->kind == J_BOOL || v->kind == J_INT || v->kind == J_BIG;
}

bool jinja_is_number(const struct jinja_value *v)
{
	return jinja_is_integer(v) || v->kind == J_FLOAT;
}

bool jinja_has_data(const struct jinja_value *v)
{
	return v->data || ((v->kind == J_STR || v->kind == J_BYTES) && jinja_text_data(v->text));
}

static int equal_lists(struct jinja *j, const struct jinja_list *a, const struct jinja_list *b,
		       int depth)
{
	if (a->count != b->count)
		return 0;
	for (size_t i = 0; i < a->count; i++) {
		int equal = jinja_equal(j, &a->at[i], &b->at[i], depth + 1);
		if (equal != 1)
			return equal;
	}
	return 1;
}

static int equal_dicts(struct jinja *j, const struct jinja_dict *a, const struct jinja_dict *b,
		       bool values, int depth)
{
	struct jinja_value other;
	if (a->count != b->count)
		return 0;
	for (size_t i = 0; i < a->count; i++) {
		int found = jinja_dict_get(j, b, a->key[i], &other);
		int equal = found == 1 && values ? jinja_equal(j, &a->value[i], &other, depth + 1)
						 : found;
		if (equal != 1)
			return equal;
	}
	return 1;
}

static int equal_views(struct jinja *j, const struct jinja_view *a, const struct jinja_view *b,
		       int depth)
{
	if (a->of != b->of)
		return a->of == JINJA_VALUES || b->of == JINJA_VALUES
			       ? 0
			       : jinja_refuse(j, "comparing keys with items");
	return a->of == JINJA_VALUES
		       ? a == b
		       : equal_dicts(j, a->dict, b->dict, a->of == JINJA_ITEMS, depth);
}

/* By Python's rule a range is what it holds. */
static bool equal_ranges(const struct jinja_range *a, const struct jinja_range *b)
{
	return a->count == b->count && (a->count == 0 || a->start == b->start) &&
	       (a->count < 2 || a->step == b->step);
}

int jinja_equal(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
		int depth)
{
	TRY(jinja_charge(j, 1));
	if (depth > JINJA_VALUE_DEPTH)
		return jinja_fail(j, "values nest deeper than %d", JINJA_VALUE_DEPTH);
	if (jinja_is_number(a) && jinja_is_number(b))
		return jinja_order_numbers(a, b) == 0;
	if (a->kind != b->kind)
		return 0;
	switch (a->kind) {
	case J_UNDEFINED:
	case J_NONE:
	case J_SELF:
		return 1;
	case J_STR:
	case J_BYTES:
		TRY(jinja_charge(j, a->text->len == b->text->len ? a->text->len / 64 : 0));
		return a->text->len == b->text->len &&
		       memcmp(a->text->bytes, b->text->bytes, a->text->len) == 0;
	case J_LIST:
	case J_TUPLE:
		return a->list == b->list ? 1 : equal_lists(j, a->list, b->list, depth);
	case J_RANGE:
		return equal_ranges(a->range, b->range);
	case J_DICT:
		return a->dict == b->dict ? 1 : equal_dicts(j, a->dict, b->dict, true, depth);
	case J_VIEW:
		return equal_views(j, a->view, b->view, depth);
	case J_METHOD:
		return a->method->function == b->method->function
			       ? jinja_equal(j, &a->method->self, &b->method->self, depth + 1)
			       : 0;
	default:
		return a->list == b->list; /* the same object */
	}
}

static int order_texts(struct jinja *j, const struct jinja_text *a, const struct jinja_text *b,
		       int *order)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int c = n ? memcmp(a->bytes, b->bytes, n) : 0;
	*order = c ? (c > 0) - (c < 0) : (a->len > b->len) - (a->len < b->len);
	return jinja_charge(j, n / 64);
}

int jinja_order(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
		int *order, int depth)
{
	TRY(jinja_charge(j, 1));
	if (depth > JINJA_VALUE_DEPTH)
		return jinja_fail(j, "values nest deeper than %d", JINJA_VALUE_DEPTH);
	if (jinja_is_number(a) && jinja_is_number(b)) {
		*order = jinja_order_numbers(a, b);
		return 0;
	}
	if (a->kind == b->kind && (a->kind == J_STR || a->kind == J_BYTES))
		return order_texts(j, a->text, b->text, order);
	if (a->kind == J_UNDEFINED || b->kind == J_UNDEFINED)
		return jinja_fail_undefined(j, a->kind == J_UNDEFINED ? a : b);
	if (a->kind == J_VIEW && b->kind == J_VIEW)
		return jinja_refuse(j, "ordering sets");
	if (a->kind != b->kind || (a->kind != J_LIST && a->kind != J_TUPLE))
		return jinja_fail(j, "no order between '%s' and '%s'", jinja_type_name(a),
				  jinja_type_name(b));
	for (size_t i = 0; i < a->list->count && i < b->list->count; i++) {
		int equal = jinja_equal(j, &a->list->at[i], &b->list->at[i], depth + 1);
		if (equal != 1)
			return equal < 0 ? equal
					 : jinja_order(j, &a->list->at[i], &b->list->at[i], order,
						       depth + 1);
	}
	*order = (a->list->count > b->list->count) - (a->list->count < b->list->count);
	return 0;
}

static int contains_text(struct jinja *j, const struct jinja_value *in, const struct jinja_value *v)
{
	bool number = in->kind == J_BYTES && (v->kind == J_INT || v->kind == J_BOOL);
	if (v->kind != in->kind && !number)
		return jinja_fail(j, "'in <%s>' requires %s as left operand, not %s",
				  jinja_type_name(in), jinja_type_name(in), jinja_type_name(v));
	TRY(jinja_charge(j, in->text->len / 64));
	if (!number)
		return jinja_find(in->text, v->text, 0) != SIZE_MAX;
	int64_t byte = v->kind == J_BOOL ? v->boolean : v->integer;
	if (byte < 0 || byte > 255)
		return jinja_fail(j, "byte must be in range(0, 256)");
	return in->text->len && memchr(in->text->bytes, (int)byte, in->text->len);
}

static int contains_pair(struct jinja *j, const struct jinja_dict *d, const struct jinja_value *v)
{
	struct jinja_value found;
	if (v->kind != J_TUPLE || v->list->count != 2)
		return 0;
	int has = jinja_dict_get(j, d, v->list->at[0], &found);
	return has == 1 ? jinja_equal(j, &found, &v->list->at[1], 0) : has;
}

int jinja_contains(struct jinja *j, const struct jinja_value *in, const struct jinja_value *v)
{
	struct jinja_value item;
	struct jinja_iter *it;
	if (in->kind == J_STR || in->kind == J_BYTES)
		return contains_text(j, in, v);
	if (in->kind == J_DICT || (in->kind == J_VIEW && in->view->of == JINJA_KEYS))
		return jinja_dict_get(j, in->kind == J_DICT ? in->dict : in->view->dict, *v, &item);
	if (in->kind == J_VIEW && in->view->of == JINJA_ITEMS)
		return contains_pair(j, in->view->dict, v);
	TRY(jinja_iterate(j, in, &it));
	for (;;) {
		int more = jinja_next(j, it, &item);
		int equal = more == 1 ? jinja_equal(j, &item, v, 0) : more;
		if (more != 1 || equal)
			return equal;
	}
}

int jinja_length(struct jinja *j, const struct jinja_value *v, int64_t *out)
{
	switch (v->kind) {
	case J_UNDEFINED:
		*out = 0;
		return 0;
	case J_STR:
		*out = (int64_t)jinja_characters(v->text);
		return jinja_charge(j, v->text->len / 64);
	case J_BYTES:
		*out = (int64_t)v->text->len;
		return 0;
	case J_LIST:
	case J_TUPLE:
		*out = (int64_t)v->list->count;
		return 0;
	case J_RANGE:
		*out = v->range->count;
		return 0;
	case J_DICT:
		*out = (int64_t)v->dict->count;
		return 0;
	case J_VIEW:
		*out = (int64_t)v->view->dict->count;
		return 0;
	case J_LOOP:
		return jinja_loop_length(j, v->loop, out);
	default:
		return jinja_fail(j, "object of type '%s' has no len()", jinja_type_name(v));
	}
}
