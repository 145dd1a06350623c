/* Expressions. */
#include "template/jinja.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

/* ---- arithmetic ---- */

static bool is_number(const struct jinja_value *v)
{
	return v->kind == J_INT || v->kind == J_BOOL || v->kind == J_FLOAT;
}

static double real(const struct jinja_value *v)
{
	return v->kind == J_FLOAT ? v->number : v->kind == J_BOOL ? (double)v->boolean :
	       (double)v->integer;
}

static int64_t whole(const struct jinja_value *v)
{
	return v->kind == J_BOOL ? v->boolean : v->integer;
}

/* Python's integer power with a checked range; exponent >= 0. */
static bool power(int64_t base, int64_t exponent, int64_t *out)
{
	*out = 1;
	for (; exponent; exponent >>= 1) {
		if ((exponent & 1) && __builtin_mul_overflow(*out, base, out))
			return true;
		if (exponent > 1 && __builtin_mul_overflow(base, base, &base))
			return true;
	}
	return false;
}

static int integers(struct jinja *j, enum jinja_op op, int64_t a, int64_t b, int64_t *out)
{
	bool over = false;
	switch (op) {
	case OP_ADD: over = __builtin_add_overflow(a, b, out); break;
	case OP_SUB: over = __builtin_sub_overflow(a, b, out); break;
	case OP_MUL: over = __builtin_mul_overflow(a, b, out); break;
	case OP_POW: over = power(a, b, out); break;
	default:
		if (b == 0)
			return jinja_fail(j, "division by zero");
		if (b == -1) { /* the one quotient that overflows is refused below */
			over = op == OP_FLOORDIV && __builtin_sub_overflow((int64_t)0, a, out);
			*out = op == OP_FLOORDIV ? *out : 0;
			break;
		}
		int64_t quotient = a / b, rest = a % b;
		bool down = rest && (rest < 0) != (b < 0);
		*out = op == OP_FLOORDIV ? quotient - down : down ? rest + b : rest;
	}
	return over ? jinja_fail(j, "an integer beyond 64 bits") : 0;
}

static int real_power(struct jinja *j, double a, double b, double *out)
{
	if (a == 0 && b < 0)
		return jinja_fail(j, "0.0 cannot be raised to a negative power");
	if (a < 0 && isfinite(a) && isfinite(b) && b != floor(b))
		return jinja_refuse(j, "complex numbers");
	*out = pow(a, b);
	return isfinite(*out) || !isfinite(a) || !isfinite(b) ? 0 : jinja_fail(j, "result too large");
}

static int reals(struct jinja *j, enum jinja_op op, double a, double b, double *out)
{
	if (b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD))
		return jinja_fail(j, "division by zero");
	if (op == OP_POW)
		return real_power(j, a, b, out);
	double quotient, rest = op == OP_FLOORDIV || op == OP_MOD ? fmod(a, b) : 0;
	bool down = rest != 0 && (rest < 0) != (b < 0);
	switch (op) {
	case OP_ADD: *out = a + b; break;
	case OP_SUB: *out = a - b; break;
	case OP_MUL: *out = a * b; break;
	case OP_DIV: *out = a / b; break;
	case OP_FLOORDIV:
		quotient = (a - rest) / b - down; /* a whole number but for rounding */
		*out = floor(quotient) + (quotient - floor(quotient) > 0.5);
		*out = *out == 0 ? copysign(0.0, a / b) : *out;
		break;
	default: *out = rest == 0 ? copysign(0.0, b) : down ? rest + b : rest;
	}
	return 0;
}

static int numbers(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
                   const struct jinja_value *b, struct jinja_value *out)
{
	bool data = a->data || b->data;
	bool exact = a->kind != J_FLOAT && b->kind != J_FLOAT && op != OP_DIV &&
	    !(op == OP_POW && whole(b) < 0);
	int64_t i = 0;
	double d = 0;
	if (exact) {
		TRY(integers(j, op, whole(a), whole(b), &i));
		*out = jinja_int(i, data);
	} else {
		TRY(reals(j, op, real(a), real(b), &d));
		*out = jinja_float(d, data);
	}
	return 0;
}

static int add_lists(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
                     struct jinja_value *out)
{
	const struct jinja_list *parts[] = { a->list, b->list };
	enum jinja_kind kind = a->kind;
	TRY(jinja_list_new(j, kind, out));
	TRY(jinja_charge(j, (parts[0]->count + parts[1]->count) / 8));
	for (int k = 0; k < 2; k++)
		for (size_t i = 0; i < parts[k]->count; i++)
			TRY(jinja_list_add(j, out->list, parts[k]->at[i]));
	return 0;
}

static int add_markup(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
                      struct jinja_value *out)
{
	struct jinja_value left, right;
	TRY(jinja_escape(j, a->text, &left));
	TRY(jinja_escape(j, b->text, &right));
	TRY(jinja_concat(j, left.text, right.text, out));
	return jinja_mark(j, true, out);
}

/* A string or list, n times over. */
static int repeat(struct jinja *j, const struct jinja_value *a, int64_t n, struct jinja_value *out)
{
	struct jinja_value v = *a;
	if (a->kind != J_STR) {
		TRY(jinja_list_new(j, v.kind, out));
		for (int64_t i = 0; i < n && v.list->count; i++) {
			TRY(jinja_charge(j, 1 + v.list->count / 8));
			for (size_t k = 0; k < v.list->count; k++)
				TRY(jinja_list_add(j, out->list, v.list->at[k]));
		}
		return 0;
	}
	struct jinja_out o = { 0 };
	n = n < 0 || !v.text->len ? 0 : n;
	if (n > (int64_t)(JINJA_STRING_BYTES / (v.text->len + 1)))
		return jinja_fail(j, "a string is longer than %zu bytes", JINJA_STRING_BYTES);
	TRY(jinja_charge(j, (uint64_t)n));
	for (int64_t i = 0; i < n; i++)
		jinja_put_text(&o, v.text, 0, v.text->len);
	TRY(jinja_out_take(j, &o, out));
	return jinja_mark(j, a->text->markup, out);
}

int jinja_binary(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
                 const struct jinja_value *b, struct jinja_value *out)
{
	static const char *const signs[] = { [OP_ADD] = "+", [OP_SUB] = "-", [OP_MUL] = "*",
		[OP_DIV] = "/",
		[OP_FLOORDIV] = "//", [OP_MOD] = "%", [OP_POW] = "**" };
	if (op == OP_MOD && a->kind == J_STR)
		return a->text->markup ? jinja_refuse(j, "formatting text marked as safe") :
		       jinja_percent(j, a->text, b, out);
	const struct jinja_value *missing = a->kind == J_UNDEFINED ? a : b;
	if (missing->kind == J_UNDEFINED)
		return jinja_fail(j, "'%.60s' is undefined", missing->name);
	if (is_number(a) && is_number(b))
		return numbers(j, op, a, b, out);
	if (op == OP_ADD && a->kind == J_STR && b->kind == J_STR)
		return a->text->markup || b->text->markup ? add_markup(j, a, b, out) :
		       jinja_concat(j, a->text, b->text, out);
	if (op == OP_ADD && a->kind == b->kind && (a->kind == J_LIST || a->kind == J_TUPLE))
		return add_lists(j, a, b, out);
	if (op == OP_MUL && (b->kind == J_STR || b->kind == J_LIST || b->kind == J_TUPLE)) {
		const struct jinja_value *swap = a;
		a = b;
		b = swap;
	}
	if (op == OP_MUL && (a->kind == J_STR || a->kind == J_LIST || a->kind == J_TUPLE) &&
	    (b->kind == J_INT || b->kind == J_BOOL))
		return repeat(j, a, whole(b), out);
	return jinja_fail(j, "unsupported operand type(s) for %s: '%s' and '%s'", signs[op],
	                  jinja_type_name(a), jinja_type_name(b));
}

static int eval_sign(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v, zero = jinja_int(0, false);
	TRY(jinja_eval(j, n->a, &v));
	if (v.kind == J_FLOAT) {
		*out = jinja_float(n->kind == N_NEG ? -v.number : v.number, v.data);
		return 0;
	}
	return jinja_binary(j, n->kind == N_NEG ? OP_SUB : OP_ADD, &zero, &v, out);
}

/* ---- comparison ---- */

static int compare(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
                   const struct jinja_value *b)
{
	int order = 0, rc;
	switch (op) {
	case OP_EQ: return jinja_equal(j, a, b, 0);
	case OP_NE:
		rc = jinja_equal(j, a, b, 0);
		return rc < 0 ? rc : !rc;
	case OP_IN: return jinja_contains(j, b, a);
	case OP_NOT_IN:
		rc = jinja_contains(j, b, a);
		return rc < 0 ? rc : !rc;
	default: break;
	}
	TRY(jinja_order(j, a, b, &order, 0));
	if (order == 2) /* not a number */
		return 0;
	return op == OP_LT ? order < 0 : op == OP_LE ? order <= 0 : op == OP_GT ? order > 0 : order >= 0;
}

static int eval_compare(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value left, right;
	int holds = 1;
	TRY(jinja_eval(j, n->a, &left));
	for (const struct jinja_node *o = n->list; o && holds; o = o->next, left = right) {
		TRY(jinja_eval(j, o->a, &right));
		holds = compare(j, (enum jinja_op)o->op, &left, &right);
		TRY(holds);
	}
	*out = jinja_bool(holds, false);
	return 0;
}

/* ---- containers ---- */

static int eval_list(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value made, v;
	TRY(jinja_list_new(j, n->kind == N_TUPLE ? J_TUPLE : J_LIST, &made));
	for (const struct jinja_node *m = n->list; m; m = m->next) {
		TRY(jinja_eval(j, m, &v));
		TRY(jinja_list_add(j, made.list, v));
	}
	*out = made;
	return 0;
}

static int eval_dict(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value made, key, v;
	TRY(jinja_dict_new(j, J_DICT, &made));
	for (const struct jinja_node *m = n->list; m; m = m->next->next) {
		TRY(jinja_eval(j, m, &key));
		TRY(jinja_eval(j, m->next, &v));
		TRY(jinja_dict_set(j, made.dict, key, v));
	}
	*out = made;
	return 0;
}

static int eval_concat(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v, whole_text;
	const struct jinja_text *t;
	TRY(jinja_str(j, "", 0, false, &whole_text));
	for (const struct jinja_node *m = n->list; m; m = m->next) {
		TRY(jinja_eval(j, m, &v));
		TRY(jinja_to_text(j, &v, &t));
		TRY(jinja_concat(j, whole_text.text, t, &whole_text));
	}
	*out = whole_text;
	return 0;
}

/* Attributes of the `loop` of a for. */
static int loop_attribute(struct jinja *j, const struct jinja_loop *l, const char *name,
                          struct jinja_value *out)
{
	static const char *const names[] = { "index", "index0", "revindex", "revindex0", "length",
		"depth", "depth0" };
	int64_t at = (int64_t)l->index, count = (int64_t)l->items->count;
	int64_t values[] = { at + 1, at, count - at, count - at - 1, count, 1, 0 };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0) {
			*out = jinja_int(values[i], false);
			return 0;
		}
	if (strcmp(name, "first") == 0)
		*out = jinja_bool(at == 0, false);
	else if (strcmp(name, "last") == 0)
		*out = jinja_bool(at + 1 == count, false);
	else if (strcmp(name, "previtem") == 0)
		*out = at > 0 ? l->items->at[at - 1] : jinja_undefined("loop.previtem");
	else if (strcmp(name, "nextitem") == 0)
		*out = at + 1 < count ? l->items->at[at + 1] : jinja_undefined("loop.nextitem");
	else
		return jinja_refuse(j, "loop.%.40s", name);
	return 0;
}

/* Attributes that Python's objects of this kind have, beside items and the methods known here. */
static bool has_python_attribute(const struct jinja_value *v, const char *name)
{
	static const struct { enum jinja_kind kind; const char *name; } rows[] = {
		{ J_INT, "real" }, { J_INT, "imag" }, { J_INT, "numerator" }, { J_INT, "denominator" },
		{ J_INT, "conjugate" }, { J_INT, "bit_length" }, { J_INT, "bit_count" }, { J_INT, "to_bytes" },
		{ J_INT, "from_bytes" }, { J_INT, "as_integer_ratio" }, { J_INT, "is_integer" },
		{ J_FLOAT, "real" }, { J_FLOAT, "imag" }, { J_FLOAT, "conjugate" }, { J_FLOAT, "hex" },
		{ J_FLOAT, "fromhex" }, { J_FLOAT, "as_integer_ratio" }, { J_FLOAT, "is_integer" },
		{ J_RANGE, "start" }, { J_RANGE, "stop" }, { J_RANGE, "step" }, { J_VIEW, "mapping" },
		{ J_VIEW, "isdisjoint" }, { J_ITER, "send" }, { J_ITER, "throw" }, { J_ITER, "close" },
		{ J_MACRO, "arguments" }, { J_MACRO, "catch_kwargs" }, { J_MACRO, "catch_varargs" },
		{ J_MACRO, "caller" }, { J_MACRO, "explicit_caller" },
	};
	enum jinja_kind kind = v->kind == J_BOOL ? J_INT : v->kind;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (kind == rows[i].kind && strcmp(name, rows[i].name) == 0)
			return true;
	return false;
}

int jinja_attribute(struct jinja *j, const struct jinja_value *v, const char *name,
                    struct jinja_value *out)
{
	struct jinja_value self = *v;
	if (v->kind == J_UNDEFINED)
		return jinja_fail(j, "'%.60s' is undefined", v->name);
	if (v->kind == J_LOOP)
		return loop_attribute(j, v->loop, name, out);
	if (v->kind == J_MACRO && strcmp(name, "name") == 0)
		return jinja_str(j, v->macro->name, strlen(v->macro->name), false, out);
	if (has_python_attribute(v, name))
		return jinja_refuse(j, "the attribute %.40s of a %s", name, jinja_type_name(v));
	const struct jinja_callable *f = jinja_method_find(v, name);
	*out = jinja_undefined(name);
	if (f) {
		struct jinja_method *m = jinja_alloc(j, 1, sizeof *m);
		if (!m)
			return jinja_no_memory(j);
		*m = (struct jinja_method){ self, f };
		*out = (struct jinja_value){ .kind = J_METHOD, .method = m };
	} else if (self.kind == J_DICT || self.kind == J_NAMESPACE) {
		int found = jinja_dict_get_name(j, self.dict, name, out);
		return found < 0 ? found : 0;
	}
	return 0;
}

/* Index of a sequence of count items; false if out of range. */
static bool in_range(int64_t *i, size_t count)
{
	if (*i < 0)
		*i += (int64_t)count;
	return *i >= 0 && *i < (int64_t)count;
}

int jinja_subscript(struct jinja *j, const struct jinja_value *v, const struct jinja_value *key,
                    struct jinja_value *out)
{
	struct jinja_value self = *v;
	bool index = key->kind == J_INT || key->kind == J_BOOL;
	int64_t i = index ? whole(key) : 0;
	if (self.kind == J_UNDEFINED)
		return jinja_fail(j, "'%.60s' is undefined", self.name);
	if (self.kind == J_DICT && jinja_hashable(key)) {
		int found = jinja_dict_get(j, self.dict, *key, out);
		if (found)
			return found < 0 ? found : 0;
	}
	if (key->kind == J_STR) {
		const char *name = arena_copy(&j->arena, key->text->bytes, key->text->len);
		return name ? jinja_attribute(j, &self, name, out) : jinja_no_memory(j);
	}
	*out = jinja_undefined("an item");
	if (index && (self.kind == J_LIST || self.kind == J_TUPLE || self.kind == J_RANGE) &&
	    in_range(&i, self.list->count))
		*out = self.list->at[i];
	if (index && self.kind == J_STR) {
		TRY(jinja_charge(j, self.text->len / 64));
		if (!in_range(&i, jinja_characters(self.text)))
			return 0;
		size_t at = jinja_offset(self.text, (size_t)i), end = at + 1;
		while (end < self.text->len && ((unsigned char)self.text->bytes[end] & 0xC0) == 0x80)
			end++;
		return jinja_slice(j, self.text, at, end, out);
	}
	return 0;
}

int jinja_path(struct jinja *j, const struct jinja_value *v, const struct jinja_text *path,
               const struct jinja_value *otherwise, struct jinja_value *out)
{
	struct jinja_value at = *v, key;
	for (size_t begin = 0, end; begin <= path->len; begin = end + 1) {
		bool digits = true;
		int64_t index = 0;
		for (end = begin; end < path->len && path->bytes[end] != '.'; end++) {
			digits = digits && path->bytes[end] >= '0' && path->bytes[end] <= '9' && end - begin < 9;
			index = digits ? index * 10 + (path->bytes[end] - '0') : 0;
		}
		if (end > begin && path->bytes[begin] == '_')
			return jinja_refuse(j, "names that start with _");
		if (digits && end > begin)
			key = jinja_int(index, false);
		else
			TRY(jinja_slice(j, path, begin, end, &key));
		TRY(jinja_subscript(j, &at, &key, &at));
		if (otherwise && at.kind == J_UNDEFINED)
			at = *otherwise;
	}
	*out = at;
	return 0;
}

static int eval_bound(struct jinja *j, const struct jinja_node *n, int64_t otherwise, int64_t *out)
{
	struct jinja_value v;
	*out = otherwise;
	if (!n)
		return 0;
	TRY(jinja_eval(j, n, &v));
	if (v.kind == J_INT || v.kind == J_BOOL)
		*out = whole(&v);
	else if (v.kind != J_NONE)
		return jinja_fail(j, "slice indices must be integers or None");
	return 0;
}

static int64_t clamp(int64_t i, int64_t low, int64_t high)
{
	return i < low ? low : i > high ? high : i;
}

/* As Python's slice.indices. */
static int slice_range(struct jinja *j, const struct jinja_node *n, int64_t count, int64_t *begin,
                       int64_t *end, int64_t *step)
{
	TRY(eval_bound(j, n->d, 1, step));
	if (*step == 0)
		return jinja_fail(j, "slice step cannot be zero");
	*step = clamp(*step, -(int64_t)JINJA_STEPS_MAX, JINJA_STEPS_MAX);
	int64_t low = *step < 0 ? -1 : 0, high = *step < 0 ? count - 1 : count;
	TRY(eval_bound(j, n->b, *step < 0 ? INT64_MAX : 0, begin));
	TRY(eval_bound(j, n->c, *step < 0 ? INT64_MIN : INT64_MAX, end));
	*begin = clamp(*begin < 0 ? *begin + count : *begin, low, high);
	*end = clamp(*end < 0 && *end != INT64_MIN ? *end + count : *end, low, high);
	return 0;
}

static int slice_text(struct jinja *j, const struct jinja_node *n, const struct jinja_text *t,
                      struct jinja_value *out)
{
	int64_t begin, end, step;
	struct jinja_value all = { .kind = J_STR, .text = t };
	struct jinja_list *items;
	struct jinja_out o = { 0 };
	TRY(jinja_charge(j, t->len / 16));
	TRY(slice_range(j, n, (int64_t)jinja_characters(t), &begin, &end, &step));
	if (step == 1) {
		size_t from = jinja_offset(t, (size_t)begin);
		size_t to = jinja_offset(t, (size_t)(end > begin ? end : begin));
		return jinja_slice(j, t, from, to, out);
	}
	TRY(jinja_items(j, &all, &items));
	for (int64_t i = begin; step > 0 ? i < end : i > end; i += step)
		jinja_put_text(&o, items->at[i].text, 0, items->at[i].text->len);
	TRY(jinja_out_take(j, &o, out));
	return jinja_mark(j, t->markup, out);
}

static int eval_slice(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v, made;
	int64_t begin, end, step;
	TRY(jinja_eval(j, n->a, &v));
	if (v.kind == J_UNDEFINED)
		return jinja_fail(j, "'%.60s' is undefined", v.name);
	if (v.kind == J_STR)
		return slice_text(j, n, v.text, out);
	if (v.kind != J_LIST && v.kind != J_TUPLE && v.kind != J_RANGE)
		return jinja_fail(j, "'%s' object cannot be sliced", jinja_type_name(&v));
	TRY(slice_range(j, n, (int64_t)v.list->count, &begin, &end, &step));
	TRY(jinja_list_new(j, v.kind, &made));
	for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) {
		TRY(jinja_list_add(j, made.list, v.list->at[i]));
		TRY(jinja_charge(j, 1));
	}
	*out = made;
	return 0;
}

/* ---- calls ---- */

static int add_named(struct jinja *j, struct jinja_value key, struct jinja_value v,
                     struct jinja_dict **named)
{
	struct jinja_value names;
	if (key.kind != J_STR)
		return jinja_fail(j, "keywords must be strings");
	if (!*named) {
		TRY(jinja_dict_new(j, J_DICT, &names));
		*named = names.dict;
	}
	int twice = jinja_dict_get(j, *named, key, &names);
	TRY(twice);
	return twice ? jinja_fail(j, "an argument was given twice") : jinja_dict_set(j, *named, key, v);
}

/* *v or **v */
static int spread(struct jinja *j, bool by_name, const struct jinja_value *v,
                  struct jinja_list *positional, struct jinja_dict **named)
{
	struct jinja_list *items;
	if (!by_name) {
		if (v->kind == J_UNDEFINED)
			return jinja_fail(j, "'%.60s' is undefined", v->name);
		TRY(jinja_items(j, v, &items));
		for (size_t i = 0; i < items->count; i++)
			TRY(jinja_list_add(j, positional, items->at[i]));
		return 0;
	}
	if (v->kind != J_DICT)
		return jinja_fail(j, "argument after ** must be a mapping, not %s", jinja_type_name(v));
	for (size_t i = 0; i < v->dict->count; i++)
		TRY(add_named(j, v->dict->key[i], v->dict->value[i], named));
	return 0;
}

int jinja_eval_arguments(struct jinja *j, const struct jinja_node *list,
                         struct jinja_list **positional, struct jinja_dict **named)
{
	struct jinja_value values, v, key;
	TRY(jinja_list_new(j, J_LIST, &values));
	*positional = values.list;
	*named = NULL;
	for (const struct jinja_node *n = list; n; n = n->next) {
		bool plain = n->kind != N_KEYWORD && n->kind != N_SPREAD && n->kind != N_SPREAD_NAMED;
		TRY(jinja_eval(j, plain ? n : n->a, &v));
		if (plain) {
			TRY(jinja_list_add(j, *positional, v));
		} else if (n->kind != N_KEYWORD) {
			TRY(spread(j, n->kind == N_SPREAD_NAMED, &v, *positional, named));
		} else {
			TRY(jinja_str(j, n->name, strlen(n->name), false, &key));
			TRY(add_named(j, key, v, named));
		}
	}
	return 0;
}

int jinja_call(struct jinja *j, const struct jinja_value *f, struct jinja_list *positional,
               struct jinja_dict *named, struct jinja_value *out)
{
	struct jinja_value none = jinja_none();
	switch (f->kind) {
	case J_MACRO: return jinja_call_macro(j, f->macro, positional, named, out);
	case J_FUNCTION: return jinja_apply(j, f->function, &none, positional, named, out);
	case J_METHOD: return jinja_apply(j, f->method->function, &f->method->self, positional, named,
	                                  out);
	case J_LOOP: return jinja_refuse(j, "recursive loops");
	case J_UNDEFINED: return jinja_fail(j, "'%.60s' is undefined", f->name);
	default: return jinja_fail(j, "'%s' object is not callable", jinja_type_name(f));
	}
}

/* Calls, filters and tests: an operand and its arguments. */
static int eval_applied(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v;
	struct jinja_list *positional;
	struct jinja_dict *named;
	bool holds;
	TRY(jinja_eval(j, n->a, &v));
	TRY(jinja_eval_arguments(j, n->list, &positional, &named));
	j->line = n->line;
	if (n->kind == N_CALL)
		return jinja_call(j, &v, positional, named, out);
	if (n->kind == N_FILTER)
		return jinja_apply_filter(j, n->name, &v, positional, named, out);
	TRY(jinja_apply_test(j, n->name, &v, positional, named, &holds));
	*out = jinja_bool(holds, false);
	return 0;
}

/* ---- dispatch ---- */

static int eval_choice(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v;
	TRY(jinja_eval(j, n->kind == N_COND ? n->b : n->a, &v));
	bool truth = jinja_truth(&v);
	*out = v;
	switch (n->kind) {
	case N_NOT: *out = jinja_bool(!truth, false); return 0;
	case N_AND: return truth ? jinja_eval(j, n->b, out) : 0;
	case N_OR: return truth ? 0 : jinja_eval(j, n->b, out);
	default: break;
	}
	if (truth || n->c)
		return jinja_eval(j, truth ? n->a : n->c, out);
	*out = jinja_undefined("an inline if without else");
	return 0;
}

static int eval_access(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	struct jinja_value v, w;
	TRY(jinja_eval(j, n->a, &v));
	if (n->kind == N_ATTRIBUTE)
		return jinja_attribute(j, &v, n->name, out);
	TRY(jinja_eval(j, n->b, &w));
	if (n->kind == N_BINARY)
		return jinja_binary(j, (enum jinja_op)n->op, &v, &w, out);
	return jinja_subscript(j, &v, &w, out);
}

static int eval_one(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	switch (n->kind) {
	case N_CONST: *out = n->value; return 0;
	case N_NAME: return jinja_lookup(j, n->name, out);
	case N_LIST:
	case N_TUPLE: return eval_list(j, n, out);
	case N_DICT: return eval_dict(j, n, out);
	case N_COND:
	case N_OR:
	case N_AND:
	case N_NOT: return eval_choice(j, n, out);
	case N_NEG:
	case N_POS: return eval_sign(j, n, out);
	case N_COMPARE: return eval_compare(j, n, out);
	case N_CONCAT: return eval_concat(j, n, out);
	case N_BINARY:
	case N_ATTRIBUTE:
	case N_ITEM: return eval_access(j, n, out);
	case N_SLICE: return eval_slice(j, n, out);
	default:
		check(n->kind == N_CALL || n->kind == N_FILTER || n->kind == N_TEST);
		return eval_applied(j, n, out);
	}
}

int jinja_eval(struct jinja *j, const struct jinja_node *n, struct jinja_value *out)
{
	j->line = n->line;
	if (++j->depth > JINJA_EVAL_DEPTH)
		return jinja_fail(j, "evaluation nests deeper than %d", JINJA_EVAL_DEPTH);
	TRY(jinja_charge(j, 1));
	TRY(eval_one(j, n, out));
	j->depth--;
	return 0;
}
