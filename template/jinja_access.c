/* Attributes, items and slices, as Jinja's sandbox hands them out. */
#include "template/jinja.h"

#include "base/text.h"

#include <string.h>

/* ---- items ---- */

static int64_t whole(const struct jinja_value *v)
{
	return v->kind == J_BOOL ? v->boolean : v->integer;
}

/* Index of a sequence of count items; false if out of range. */
static bool in_range(int64_t *i, int64_t count)
{
	if (*i < 0)
		*i += count;
	return *i >= 0 && *i < count;
}

static int character_at(struct jinja *j, const struct jinja_text *t, int64_t i,
			struct jinja_value *out)
{
	TRY(jinja_charge(j, t->len / 64));
	if (!in_range(&i, (int64_t)jinja_characters(t)))
		return 0;
	size_t at = jinja_offset(t, (size_t)i), end = at + 1;
	while (end < t->len && ((unsigned char)t->bytes[end] & 0xC0) == 0x80)
		end++;
	TRY(jinja_slice(j, t, at, end, out));
	return 1;
}

static int block_of(struct jinja *j, const struct jinja_value *key, struct jinja_value *out)
{
	if (key->kind != J_STR)
		return 0;
	for (const struct jinja_node *n = j->blocks; n; n = n->b)
		if (jinja_is_string(key, n->name)) {
			*out = (struct jinja_value){ .kind = J_BLOCK, .block = n };
			return 1;
		}
	return 0;
}

int jinja_item(struct jinja *j, const struct jinja_value *v, const struct jinja_value *key,
	       struct jinja_value *out)
{
	struct jinja_value self = *v;
	bool index = key->kind == J_INT || key->kind == J_BOOL;
	int64_t i = index ? whole(key) : 0;
	switch (self.kind) {
	case J_DICT:
		return jinja_hashable(key) ? jinja_dict_get(j, self.dict, *key, out) : 0;
	case J_SELF:
		return block_of(j, key, out);
	case J_UNDEFINED:
		return jinja_fail_undefined(j, &self);
	default:
		break;
	}
	if (!index)
		return 0;
	switch (self.kind) {
	case J_STR:
		return character_at(j, self.text, i, out);
	case J_BYTES:
		if (!in_range(&i, (int64_t)self.text->len))
			return 0;
		*out = jinja_int((unsigned char)self.text->bytes[i], jinja_text_data(self.text));
		return 1;
	case J_RANGE:
		if (!in_range(&i, self.range->count))
			return 0;
		*out = jinja_range_item(self.range, i);
		return 1;
	case J_LIST:
	case J_TUPLE:
		if (!in_range(&i, (int64_t)self.list->count))
			return 0;
		*out = self.list->at[i];
		return 1;
	case J_FUNCTION:
		return self.function->shown ? jinja_refuse(j, "items of a class") : 0;
	default:
		return 0;
	}
}

/* ---- attributes ---- */

/* Names with an underscore in front are never handed out. Those of which the object's class has one
 * hide an item of the same name. */
static bool is_hidden(const struct jinja_value *v, const struct jinja_text *name)
{
	static const char *const names[] = { "__class__",        "__doc__",
					     "__init__",         "__new__",
					     "__repr__",         "__str__",
					     "__eq__",           "__ne__",
					     "__lt__",           "__le__",
					     "__gt__",           "__ge__",
					     "__hash__",         "__getattribute__",
					     "__setattr__",      "__delattr__",
					     "__dir__",          "__sizeof__",
					     "__reduce__",       "__reduce_ex__",
					     "__format__",       "__init_subclass__",
					     "__subclasshook__", "__getstate__" };
	static const char *const of_dicts[] = { "__getitem__",  "__setitem__",      "__delitem__",
						"__len__",      "__iter__",         "__contains__",
						"__or__",       "__ror__",          "__ior__",
						"__reversed__", "__class_getitem__" };
	struct jinja_value text = { .kind = J_STR, .text = name };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (jinja_is_string(&text, names[i]))
			return true;
	for (size_t i = 0; v->kind == J_DICT && i < sizeof of_dicts / sizeof *of_dicts; i++)
		if (jinja_is_string(&text, of_dicts[i]))
			return true;
	return false;
}

static int method_of(struct jinja *j, const struct jinja_value *v, const struct jinja_callable *c,
		     struct jinja_value *out)
{
	struct jinja_list none = { 0 };
	struct jinja_value self = *v;
	if (c->flags & JINJA_PROPERTY)
		return jinja_apply(j, c, &self, &none, NULL, out);
	struct jinja_method *m = jinja_alloc(j, 1, sizeof *m);
	if (!m)
		return jinja_no_memory(j);
	*m = (struct jinja_method){ self, c };
	*out = (struct jinja_value){ .kind = J_METHOD, .method = m };
	return 0;
}

/* What a class itself has. */
static int class_attribute(struct jinja *j, const struct jinja_value *v,
			   const struct jinja_text *name, struct jinja_value *out)
{
	const struct jinja_callable *c = NULL;
	if (!v->function->shown)
		return 0;
	if (strcmp(v->function->name, "dict") == 0)
		c = jinja_table_find(jinja_class_dict, name->bytes, name->len);
	if (c) {
		TRY(method_of(j, v, c, out));
		return 1;
	}
	static const enum jinja_kind kinds[] = { J_DICT, J_RANGE, J_CYCLER, J_JOINER };
	static const char *const names[] = { "dict", "range", "cycler", "joiner" };
	for (int i = 0; i < 4; i++) {
		struct jinja_value instance = { .kind = (unsigned char)kinds[i] };
		if (strcmp(v->function->name, names[i]) == 0 &&
		    jinja_method_find(&instance, name->bytes, name->len))
			return jinja_refuse(j, "the attribute %.*s of a class",
					    (int)(name->len % 40), name->bytes);
	}
	return 0;
}

static int group_attribute(const struct jinja_value *v, const struct jinja_value *name,
			   struct jinja_value *out)
{
	bool first = jinja_is_string(name, "grouper");
	if (!v->list->group || (!first && !jinja_is_string(name, "list")))
		return 0;
	*out = v->list->at[!first];
	return 1;
}

/* The attribute that Python's object has: 1 and *out (undefined if the sandbox hides it), or 0. */
static int own_attribute(struct jinja *j, const struct jinja_value *v,
			 const struct jinja_text *name, struct jinja_value *out)
{
	struct jinja_value key = { .kind = J_STR, .text = name };
	char text[64] = "";
	if (name->len < sizeof text)
		memcpy(text, name->bytes, name->len);
	*out = jinja_undefined("the attribute");
	bool underscore = name->len && *name->bytes == '_';
	if (underscore && is_hidden(v, name))
		return 1;
	if (v->kind == J_UNDEFINED)
		return name->len > 4 && memcmp(name->bytes, "__", 2) == 0 &&
				       memcmp(name->bytes + name->len - 2, "__", 2) == 0
			       ? 0
			       : jinja_fail_undefined(j, v);
	if (v->kind == J_NAMESPACE) {
		int found = jinja_dict_get(j, v->dict, key, out);
		if (found == 1 && underscore)
			*out = jinja_undefined("the attribute");
		return found;
	}
	if (underscore)
		return 0;
	switch (v->kind) {
	case J_LOOP:
	case J_MACRO:
		TRY(v->kind == J_LOOP ? jinja_loop_attribute(j, v, text, out)
				      : jinja_macro_attribute(j, v->macro, text, out));
		return out->kind != J_UNDEFINED;
	case J_FUNCTION:
		return class_attribute(j, v, name, out);
	case J_BLOCK:
		if (strcmp(text, "name") == 0)
			TRY(jinja_literal(j, v->block->name, out));
		return strcmp(text, "name") == 0 || strcmp(text, "super") == 0;
	case J_ITER:
		return strcmp(text, "send") == 0 || strcmp(text, "throw") == 0 ||
				       strcmp(text, "close") == 0 || strncmp(text, "gi_", 3) == 0
			       ? jinja_refuse(j, "the attribute %s of a generator", text)
			       : 0;
	case J_TUPLE:
		if (group_attribute(v, &key, out))
			return 1;
		break;
	default:
		break;
	}
	const struct jinja_callable *c = jinja_method_find(v, name->bytes, name->len);
	if (!c)
		return 0;
	if (c->call || c->parameters) /* others change their object: the sandbox hides them */
		TRY(method_of(j, v, c, out));
	return 1;
}

int jinja_has_attribute(struct jinja *j, const struct jinja_value *v, const struct jinja_text *name)
{
	struct jinja_value ignored;
	return own_attribute(j, v, name, &ignored);
}

int jinja_attribute(struct jinja *j, const struct jinja_value *v, const struct jinja_text *name,
		    struct jinja_value *out)
{
	struct jinja_value self = *v, key = { .kind = J_STR, .text = name };
	int found = own_attribute(j, &self, name, out);
	if (found)
		return found < 0 ? found : 0;
	found = jinja_item(j, &self, &key, out);
	TRY(found);
	if (!found)
		*out = jinja_undefined("the attribute");
	return 0;
}

int jinja_subscript(struct jinja *j, const struct jinja_value *v, const struct jinja_value *key,
		    struct jinja_value *out)
{
	struct jinja_value self = *v, name = *key;
	int found = jinja_item(j, &self, &name, out);
	if (found == 0 && name.kind == J_STR)
		found = own_attribute(j, &self, name.text, out);
	TRY(found);
	if (!found)
		*out = jinja_undefined("an item");
	return 0;
}

static int follow_part(struct jinja *j, const struct jinja_text *path, size_t begin, size_t end,
		       struct jinja_value *at)
{
	struct jinja_value key;
	struct jinja_text part = { .bytes = path->bytes + begin, .len = end - begin };
	struct jinja_value of = *at;
	struct jinja_list none = { 0 };
	TRY(jinja_slice(j, path, begin, end, &key));
	const struct jinja_callable *digits = jinja_table_find(jinja_methods_search, "isdigit", 7);
	struct jinja_value all;
	TRY(jinja_apply(j, digits, &key, &none, NULL, &all));
	if (jinja_truth(&all)) {
		struct jinja_value number;
		int read = jinja_read_integer(j, &part, 10, &number);
		TRY(read);
		if (!read)
			return jinja_fail(j, "invalid literal for int()");
		key = number;
	}
	return jinja_subscript(j, &of, &key, at);
}

int jinja_path(struct jinja *j, const struct jinja_value *v, const struct jinja_value *path,
	       const struct jinja_value *otherwise, struct jinja_value *out)
{
	struct jinja_value at = *v, of;
	if (path->kind == J_STR) {
		for (size_t begin = 0, end; begin <= path->text->len; begin = end + 1) {
			for (end = begin; end < path->text->len && path->text->bytes[end] != '.';
			     end++)
				;
			TRY(follow_part(j, path->text, begin, end, &at));
			if (otherwise && at.kind == J_UNDEFINED)
				at = *otherwise;
		}
	} else if (path->kind != J_NONE) {
		of = at;
		TRY(jinja_subscript(j, &of, path, &at));
		if (otherwise && at.kind == J_UNDEFINED)
			at = *otherwise;
	}
	*out = at;
	return 0;
}

/* ---- slices ---- */

static int64_t clamp(int64_t i, int64_t low, int64_t high)
{
	return i < low ? low : i > high ? high : i;
}

static int bound_of(struct jinja *j, const struct jinja_value *v, int64_t otherwise, int64_t *out)
{
	struct jinja_value zero = jinja_int(0, false);
	*out = otherwise;
	if (!v || v->kind == J_NONE)
		return 0;
	if (!jinja_is_integer(v))
		return jinja_fail(j, "slice indices must be integers or None");
	*out = v->kind == J_BIG ? (jinja_order_integers(v, &zero) < 0 ? INT64_MIN + 1 : INT64_MAX)
				: whole(v);
	return 0;
}

int jinja_slice_bounds(struct jinja *j, const struct jinja_value *const bound[3], int64_t count,
		       int64_t out[3])
{
	int64_t *begin = &out[0], *end = &out[1], *step = &out[2];
	TRY(bound_of(j, bound[2], 1, step));
	if (*step == 0)
		return jinja_fail(j, "slice step cannot be zero");
	*step = clamp(*step, -INT32_MAX, INT32_MAX); /* no longer than anything that is sliced */
	int64_t low = *step < 0 ? -1 : 0, high = *step < 0 ? count - 1 : count;
	TRY(bound_of(j, bound[0], *step < 0 ? INT64_MAX : 0, begin));
	TRY(bound_of(j, bound[1], *step < 0 ? INT64_MIN : INT64_MAX, end));
	*begin = clamp(*begin < 0 ? *begin + count : *begin, low, high);
	*end = clamp(*end < 0 && *end != INT64_MIN ? *end + count : *end, low, high);
	return 0;
}

static int slice_text(struct jinja *j, const struct jinja_text *t,
		      const struct jinja_value *const bound[3], struct jinja_value *out)
{
	int64_t r[3];
	struct jinja_value all = { .kind = J_STR, .text = t };
	struct jinja_list *items;
	struct jinja_out o = { 0 };
	TRY(jinja_charge(j, t->len / 16));
	TRY(jinja_slice_bounds(j, bound, (int64_t)jinja_characters(t), r));
	if (r[2] == 1) {
		size_t from = jinja_offset(t, (size_t)r[0]);
		return jinja_slice(j, t, from, r[1] > r[0] ? jinja_offset(t, (size_t)r[1]) : from,
				   out);
	}
	TRY(jinja_items(j, &all, &items));
	for (int64_t i = r[0]; r[2] > 0 ? i < r[1] : i > r[1]; i += r[2])
		jinja_put_text(&o, items->at[i].text, 0, items->at[i].text->len);
	TRY(jinja_out_take(j, &o, out));
	return jinja_mark(j, t->markup, out);
}

static int slice_bytes(struct jinja *j, const struct jinja_text *t,
		       const struct jinja_value *const bound[3], struct jinja_value *out)
{
	int64_t r[3];
	struct jinja_out o = { 0 };
	TRY(jinja_slice_bounds(j, bound, (int64_t)t->len, r));
	TRY(jinja_charge(j, t->len / 16));
	for (int64_t i = r[0]; r[2] > 0 ? i < r[1] : i > r[1]; i += r[2])
		jinja_put_text(&o, t, (size_t)i, (size_t)i + 1);
	TRY(jinja_out_take(j, &o, out));
	out->kind = J_BYTES;
	return 0;
}

static int slice_range(struct jinja *j, const struct jinja_range *of,
		       const struct jinja_value *const bound[3], struct jinja_value *out)
{
	int64_t r[3];
	struct jinja_range *made = jinja_alloc(j, 1, sizeof *made);
	if (!made)
		return jinja_no_memory(j);
	TRY(jinja_slice_bounds(j, bound, of->count, r));
	int64_t span = r[2] > 0 ? r[1] - r[0] : r[0] - r[1], size = r[2] > 0 ? r[2] : -r[2];
	made->count = span > 0 ? (span - 1) / size + 1 : 0;
	made->start = jinja_range_item(of, r[0]).integer;
	made->stop = jinja_range_item(of, r[1]).integer;
	if (__builtin_mul_overflow(of->step, r[2], &made->step))
		return jinja_refuse(j, "ranges beyond 64 bits");
	*out = (struct jinja_value){ .kind = J_RANGE, .range = made };
	return 0;
}

int jinja_slice_value(struct jinja *j, const struct jinja_value *v,
		      const struct jinja_value *const bound[3], struct jinja_value *out)
{
	struct jinja_value self = *v, made;
	int64_t r[3];
	switch (self.kind) {
	case J_UNDEFINED:
		return jinja_fail_undefined(j, &self);
	case J_STR:
		return slice_text(j, self.text, bound, out);
	case J_BYTES:
		return slice_bytes(j, self.text, bound, out);
	case J_RANGE:
		return slice_range(j, self.range, bound, out);
	case J_LIST:
	case J_TUPLE:
		break;
	default:
		return jinja_fail(j, "'%s' object cannot be sliced", jinja_type_name(&self));
	}
	TRY(jinja_slice_bounds(j, bound, (int64_t)self.list->count, r));
	TRY(jinja_list_new(j, self.kind, &made));
	for (int64_t i = r[0]; r[2] > 0 ? i < r[1] : i > r[1]; i += r[2]) {
		TRY(jinja_list_add(j, made.list, self.list->at[i]));
		TRY(jinja_charge(j, 1));
	}
	*out = made;
	return 0;
}
