/* Two schemas that must both hold, as one; and which two cannot. Both are read forms, so that most
 * keys are lists or limits. */
#include "grammar/schema_parts.h"

#include <string.h>

static const json_t *get(const json_t *s, const char *key) { return json_object_get(s, key); }

/* ---- types ---- */

/* Without `type`: those that its keywords speak of; all if none does. */
static unsigned types_implied(const json_t *s)
{
	static const struct {
		const char *key;
		unsigned bit;
	} row[] = {
		{ KEY_OBJECT, TYPE_OBJECT },
		{ "required", TYPE_OBJECT },
		{ "propertyNames", TYPE_OBJECT },
		{ "minProperties", TYPE_OBJECT },
		{ "maxProperties", TYPE_OBJECT },
		{ KEY_ARRAY, TYPE_ARRAY },
		{ "contains", TYPE_ARRAY },
		{ "minItems", TYPE_ARRAY },
		{ "maxItems", TYPE_ARRAY },
		{ "uniqueItems", TYPE_ARRAY },
		{ "pattern", TYPE_STRING },
		{ "format", TYPE_STRING },
		{ "minLength", TYPE_STRING },
		{ "maxLength", TYPE_STRING },
		{ "minimum", TYPE_NUMBER | TYPE_INTEGER },
		{ "maximum", TYPE_NUMBER | TYPE_INTEGER },
		{ "exclusiveMinimum", TYPE_NUMBER | TYPE_INTEGER },
		{ "exclusiveMaximum", TYPE_NUMBER | TYPE_INTEGER },
		{ "multipleOf", TYPE_NUMBER | TYPE_INTEGER },
	};
	unsigned types = 0;
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		if (get(s, row[i].key) != NULL)
			types |= row[i].bit;
	}
	return types != 0 ? types : TYPE_ALL;
}

/* Of `type` alone. */
static unsigned types_declared(const json_t *s)
{
	const json_t *type = get(s, "type"), *one;
	unsigned types = type == NULL ? TYPE_ALL : 0;
	size_t i;
	json_array_foreach((json_t *)type, i, one)
		types |= schema_type_bit(json_string_value(one));
	return get(s, KEY_FRACTION) != NULL ? types & ~(unsigned)TYPE_INTEGER : types;
}

unsigned schema_types(const json_t *s)
{
	return get(s, "type") != NULL ? types_declared(s) : types_implied(s);
}

static json_t *types_list(unsigned types)
{
	static const char *const name[] = { "null",   "boolean", "integer", "number",
					    "string", "array",   "object" };
	json_t *list = json_array();
	for (unsigned i = 0; i < 7; i++) {
		if ((types & 1u << i) != 0 && !(i == 2 && (types & TYPE_NUMBER) != 0))
			json_array_append_new(list, json_string(name[i]));
	}
	return list;
}

/* ---- merging ---- */

json_t *schema_both(const json_t *a, const json_t *b)
{
	if (a == NULL || json_is_true(a) || a == b)
		return json_incref((json_t *)b);
	if (b == NULL || json_is_true(b))
		return json_incref((json_t *)a);
	if (json_is_false(a) || json_is_false(b))
		return json_false();
	return json_equal(a, b) ? json_incref((json_t *)a) : json_pack("{s:[O,O]}", "allOf", a, b);
}

static json_t *merge_required(const json_t *a, const json_t *b)
{
	json_t *out = json_copy((json_t *)a), *known = json_object(), *one;
	size_t i;
	json_array_foreach((json_t *)a, i, one)
		json_object_set_new(known, json_string_value(one), json_true());
	json_array_foreach((json_t *)b, i, one) {
		if (json_object_get(known, json_string_value(one)) == NULL)
			json_array_append(out, one);
	}
	json_decref(known);
	return out;
}

/* Those of a, then those of b that are not the same node. */
static json_t *merge_lists(const json_t *a, const json_t *b)
{
	json_t *out = json_copy((json_t *)a), *one, *other;
	size_t i, k;
	json_array_foreach((json_t *)b, i, one) {
		bool known = false;
		json_array_foreach((json_t *)a, k, other)
			known = known || one == other ||
				(json_is_string(one) && json_equal(one, other));
		if (!known)
			json_array_append(out, one);
	}
	return out;
}

static bool begins(const char *key, const char *with)
{
	return strncmp(key, with, strlen(with)) == 0;
}

/* One key that both have. NULL: they cannot be put together. */
static json_t *merge_key(const char *key, const json_t *a, const json_t *b)
{
	bool numbers = json_is_number(a) && json_is_number(b);
	if (begins(key, "min") || strcmp(key, "exclusiveMinimum") == 0)
		return numbers ? json_incref((json_t *)(schema_compare(a, b) > 0 ? a : b)) : NULL;
	if (begins(key, "max") || strcmp(key, "exclusiveMaximum") == 0)
		return numbers ? json_incref((json_t *)(schema_compare(a, b) < 0 ? a : b)) : NULL;
	if (strcmp(key, "required") == 0)
		return merge_required(a, b);
	if (json_is_array(a) && json_is_array(b))
		return merge_lists(a, b);
	return json_equal(a, b) ? json_incref((json_t *)a) : NULL;
}

int schema_merge(struct schema *c, const json_t *a, const json_t *b, json_t **out)
{
	json_t *m = schema_own(c, json_copy((json_t *)a)), *v;
	const char *key;
	*out = m;
	if (m == NULL)
		return schema_no_memory(c);
	json_object_foreach((json_t *)b, key, v) {
		const json_t *mine = get(a, key);
		json_t *made = mine == NULL ? json_incref(v) : merge_key(key, mine, v);
		if (made == NULL)
			return schema_wrong(c, "a limit is not a number");
		if (json_object_set_new(m, key, made) < 0)
			return schema_no_memory(c);
	}
	if (get(m, "type") != NULL) {
		/* a number that is not whole is no integer, whichever side says so */
		unsigned types = types_declared(a) & types_declared(b);
		if (get(m, KEY_FRACTION) != NULL)
			types &= ~(unsigned)TYPE_INTEGER;
		if (json_object_set_new(m, "type", types_list(types)) < 0)
			return schema_no_memory(c);
	}
	return 0;
}

json_t *schema_member(const json_t *s, const char *name)
{
	const json_t *layer;
	json_t *all = NULL;
	size_t i;
	json_array_foreach(get(s, KEY_OBJECT), i, layer) {
		const json_t *one = get(get(layer, "properties"), name);
		if (one == NULL && get(layer, "patternProperties") == NULL)
			one = get(layer, "additionalProperties");
		json_t *more = one != NULL ? schema_both(all, one) : json_incref(all);
		json_decref(all);
		all = more;
	}
	return all;
}

/* ---- which two exclude each other ---- */

/* What a node says without its branches. NULL: nothing, or not plain. */
static const json_t *flat(struct schema *c, const json_t *node, int depth)
{
	const json_t *s, *one, *other;
	size_t i;
	if (!json_is_object(node) || depth > 8 || ++c->steps > SCHEMA_STEPS_MAX ||
	    schema_read(c, node, &s) < 0)
		return NULL;
	const json_t *ref = get(s, "$ref"), *all = get(s, "allOf");
	json_t *m = schema_own(c, json_copy((json_t *)s));
	static const char *const branches[] = { "$ref", "allOf", "anyOf", "oneOf",        "not",
						"if",   "then",  "else",  "discriminator" };
	for (i = 0; m != NULL && i < sizeof branches / sizeof *branches; i++)
		json_object_del(m, branches[i]);
	if (m != NULL && ref != NULL && (other = flat(c, ref, depth + 1)) != NULL &&
	    schema_merge(c, m, other, &m) < 0)
		return NULL;
	json_array_foreach((json_t *)all, i, one) {
		if (m != NULL && (other = flat(c, one, depth + 1)) != NULL &&
		    schema_merge(c, m, other, &m) < 0)
			return NULL;
	}
	return m;
}

static bool values_disjoint(struct schema *c, const json_t *a, const json_t *b)
{
	const json_t *list_a = get(a, "enum"), *list_b = get(b, "enum");
	const json_t *one_a = get(a, "const"), *one_b = get(b, "const");
	size_t na = one_a != NULL ? 1 : json_array_size(list_a),
	       nb = one_b != NULL ? 1 : json_array_size(list_b);
	for (size_t i = 0; i < na; i++) {
		for (size_t k = 0; k < nb; k++) {
			if (schema_equal(c, one_a != NULL ? one_a : json_array_get(list_a, i),
					 one_b != NULL ? one_b : json_array_get(list_b, k)) ||
			    c->compared > SCHEMA_COMPARED_MAX)
				return false;
		}
	}
	return (one_a != NULL || list_a != NULL) && (one_b != NULL || list_b != NULL);
}

static unsigned values_types(const json_t *s)
{
	const json_t *one = get(s, "const"), *list = get(s, "enum"), *v;
	unsigned types = 0;
	size_t i;
	if (one == NULL && list == NULL)
		return types_declared(s);
	if (one != NULL)
		return schema_type_of(one);
	json_array_foreach((json_t *)list, i, v)
		types |= schema_type_of(v);
	return types;
}

/* An object of one needs a member that the other forbids, or whose values the other forbids. */
static bool objects_disjoint(struct schema *c, const json_t *a, const json_t *b, int depth)
{
	const json_t *one;
	size_t i;
	bool apart = false;
	json_array_foreach(get(a, "required"), i, one) {
		const char *name = json_string_value(one);
		json_t *ours = schema_member(a, name), *theirs = schema_member(b, name);
		schema_own(c, ours);
		schema_own(c, theirs);
		apart = json_is_false(theirs) || (ours != NULL && theirs != NULL &&
						  schema_disjoint(c, ours, theirs, depth + 1));
		if (apart)
			break;
	}
	return apart;
}

static bool below(const json_t *a, const json_t *b)
{
	const json_t *max = get(a, "maximum"), *min = get(b, "minimum"),
		     *less = get(a, "exclusiveMaximum"), *more = get(b, "exclusiveMinimum");
	if (json_is_number(max) && json_is_number(min))
		return schema_compare(max, min) < 0;
	if (json_is_number(less) && json_is_number(min))
		return schema_compare(less, min) <= 0;
	if (json_is_number(max) && json_is_number(more))
		return schema_compare(max, more) <= 0;
	return false;
}

static bool lengths_disjoint(const json_t *a, const json_t *b, unsigned type)
{
	const json_t *max = get(a, type == TYPE_ARRAY ? "maxItems" : "maxLength"),
		     *min = get(b, type == TYPE_ARRAY ? "minItems" : "minLength");
	return json_is_number(max) && json_is_number(min) && schema_compare(max, min) < 0;
}

bool schema_disjoint(struct schema *c, const json_t *a, const json_t *b, int depth)
{
	const unsigned numbers = TYPE_NUMBER | TYPE_INTEGER;
	const json_t *node = c->node;
	json_t *ignored_notes = c->unused;
	struct err *e = c->e, ignored;
	bool apart = json_is_false(a) || json_is_false(b);
	if (apart)
		return true;
	c->unused = NULL; /* they are listed, and refused, where they are compiled */
	c->e = &ignored;
	a = depth > 8 ? NULL : flat(c, a, 0);
	b = depth > 8 ? NULL : flat(c, b, 0);
	c->unused = ignored_notes;
	c->e = e;
	c->node = node;
	if (a == NULL || b == NULL)
		return false;
	unsigned types = values_types(a) & values_types(b);
	if (types == 0 || values_disjoint(c, a, b))
		return true;
	if ((types & ~numbers) == 0)
		return below(a, b) || below(b, a);
	if (types == TYPE_STRING || types == TYPE_ARRAY)
		return lengths_disjoint(a, b, types) || lengths_disjoint(b, a, types);
	return types == TYPE_OBJECT &&
	       (objects_disjoint(c, a, b, depth) || objects_disjoint(c, b, a, depth));
}
