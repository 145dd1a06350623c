/* Two schemas that must both hold, as one; which values of an enum stay; and which branches of a
 * oneOf cannot overlap. Two sub-schemas for the same place become an allOf, which is merged when
 * that place is compiled. */
#include "grammar/schema_parts.h"

#include <string.h>

/* ---- types ---- */

static unsigned type_bit(const char *name)
{
	static const struct {
		const char *name;
		unsigned bit;
	} row[] = {
		{ "null", TYPE_NULL },       { "boolean", TYPE_BOOLEAN },
		{ "integer", TYPE_INTEGER }, { "number", TYPE_NUMBER | TYPE_INTEGER },
		{ "string", TYPE_STRING },   { "array", TYPE_ARRAY },
		{ "object", TYPE_OBJECT },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		if (name != NULL && strcmp(name, row[i].name) == 0)
			return row[i].bit;
	}
	return 0;
}

/* Without `type`: those that its keywords speak of; all if none does. */
static unsigned types_implied(const json_t *s)
{
	static const struct {
		const char *key;
		unsigned bit;
	} row[] = {
		{ "properties", TYPE_OBJECT },
		{ "required", TYPE_OBJECT },
		{ "additionalProperties", TYPE_OBJECT },
		{ "minProperties", TYPE_OBJECT },
		{ "maxProperties", TYPE_OBJECT },
		{ "items", TYPE_ARRAY },
		{ "prefixItems", TYPE_ARRAY },
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
		if (json_object_get(s, row[i].key) != NULL)
			types |= row[i].bit;
	}
	return types != 0 ? types : TYPE_ALL;
}

unsigned schema_types(const json_t *s)
{
	const json_t *type = json_object_get(s, "type"), *one;
	unsigned types = 0;
	size_t i;
	if (type == NULL)
		return types_implied(s);
	types = type_bit(json_string_value(type));
	json_array_foreach((json_t *)type, i, one)
		types |= type_bit(json_string_value(one));
	return types | (json_is_true(json_object_get(s, "nullable")) ? TYPE_NULL : 0u);
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

int schema_type_check(struct schema *c, const json_t *s)
{
	const json_t *type = json_object_get(s, "type"), *one;
	size_t i;
	if (type != NULL && !json_is_array(type) && type_bit(json_string_value(type)) == 0)
		return schema_wrong(c, "type is none of the seven");
	json_array_foreach((json_t *)type, i, one)
	{
		if (type_bit(json_string_value(one)) == 0)
			return schema_wrong(c, "type is none of the seven");
	}
	return 0;
}

/* Less than, equal, greater. */
static int compare(const json_t *a, const json_t *b)
{
	if (json_is_integer(a) && json_is_integer(b))
		return (json_integer_value(a) > json_integer_value(b)) -
		       (json_integer_value(a) < json_integer_value(b));
	double x = json_number_value(a), y = json_number_value(b);
	return (x > y) - (x < y);
}

/* ---- merging ---- */

static json_t *both(const json_t *a, const json_t *b)
{
	if (a == NULL || b == NULL || json_equal(a, b))
		return json_incref((json_t *)(a != NULL ? a : b));
	return json_pack("{s:[O,O]}", "allOf", a, b);
}

/* For a member that only one side names, the other side's constraint is its
 * additionalProperties. */
static json_t *merge_properties(const json_t *a, const json_t *b)
{
	const json_t *pa = json_object_get(a, "properties"), *pb = json_object_get(b, "properties");
	const json_t *xa = json_object_get(a, "additionalProperties"),
		     *xb = json_object_get(b, "additionalProperties");
	json_t *out = json_object(), *v;
	const char *name;
	json_object_foreach((json_t *)pa, name, v)
	{
		const json_t *other = json_object_get(pb, name);
		json_object_set_new(out, name, both(v, other != NULL ? other : xb));
	}
	json_object_foreach((json_t *)pb, name, v)
	{
		if (json_object_get(pa, name) == NULL)
			json_object_set_new(out, name, both(v, xa));
	}
	return out;
}

static json_t *merge_required(const json_t *a, const json_t *b)
{
	json_t *out = json_copy((json_t *)a), *known = json_object(), *one;
	size_t i;
	json_array_foreach((json_t *)a, i, one)
		json_object_set_new(known, json_string_value(one), json_true());
	json_array_foreach((json_t *)b, i, one)
	{
		if (json_object_get(known, json_string_value(one)) == NULL)
			json_array_append(out, one);
	}
	json_decref(known);
	return out;
}

/* For an element that only one side fixes, the other side's constraint is its items. */
static json_t *merge_fixed(const json_t *a, const json_t *b)
{
	const json_t *pa = json_object_get(a, "prefixItems"),
		     *pb = json_object_get(b, "prefixItems");
	const json_t *ia = json_object_get(a, "items"), *ib = json_object_get(b, "items");
	size_t na = json_array_size(pa), nb = json_array_size(pb);
	json_t *out = json_array();
	for (size_t i = 0; i < na || i < nb; i++)
		json_array_append_new(out, both(i < na ? json_array_get(pa, i) : ia,
						i < nb ? json_array_get(pb, i) : ib));
	return out;
}

static bool is_key(const char *key, const char *a, const char *b, const char *c)
{
	return strcmp(key, a) == 0 || strcmp(key, b) == 0 || strcmp(key, c) == 0;
}

/* One keyword that both have, and that is no applicator. NULL: they cannot be put together. */
static json_t *merge_keyword(const char *key, const json_t *a, const json_t *b)
{
	bool numbers = json_is_number(a) && json_is_number(b);
	if (strncmp(key, "min", 3) == 0 || strcmp(key, "exclusiveMinimum") == 0)
		return numbers ? json_incref((json_t *)(compare(a, b) > 0 ? a : b)) : NULL;
	if (strncmp(key, "max", 3) == 0 || strcmp(key, "exclusiveMaximum") == 0)
		return numbers ? json_incref((json_t *)(compare(a, b) < 0 ? a : b)) : NULL;
	if (strcmp(key, "uniqueItems") == 0)
		return json_boolean(json_is_true(a) || json_is_true(b));
	if (is_key(key, "additionalProperties", "items", "items"))
		return both(a, b);
	if (strcmp(key, "required") == 0)
		return merge_required(a, b);
	return json_equal(a, b) ? json_incref((json_t *)a) : NULL;
}

static bool is_written_apart(const char *key)
{
	return is_key(key, "type", "nullable", "properties") || strcmp(key, "prefixItems") == 0;
}

int schema_merge(struct schema *c, const json_t *a, const json_t *b, json_t **out)
{
	json_t *m = schema_own(c, json_copy((json_t *)a)), *v;
	const char *key;
	*out = m;
	if (m == NULL)
		return err_set(c->e, ERR_NOMEM, "out of memory for the schema");
	json_object_foreach((json_t *)b, key, v)
	{
		const json_t *mine = json_object_get(a, key);
		if (is_written_apart(key))
			continue;
		json_t *made = mine == NULL ? json_incref(v) : merge_keyword(key, mine, v);
		if (made == NULL)
			return err_set(
				c->e, ERR_UNSUPPORTED,
				"two of the schema's %.80s that must both hold at #%.200s are not available",
				key, c->path.len > 0 ? c->path.bytes : "");
		json_object_set_new(m, key, made);
	}
	unsigned types = schema_types(a) & schema_types(b);
	bool typed = json_object_get(a, "type") != NULL || json_object_get(b, "type") != NULL;
	json_object_del(m, "nullable");
	if (typed)
		json_object_set_new(m, "type", types_list(types));
	if (json_object_get(a, "properties") != NULL || json_object_get(b, "properties") != NULL)
		json_object_set_new(m, "properties", merge_properties(a, b));
	if (json_object_get(a, "prefixItems") != NULL || json_object_get(b, "prefixItems") != NULL)
		json_object_set_new(m, "prefixItems", merge_fixed(a, b));
	return 0;
}

/* ---- enum and const beside other keywords ---- */

bool schema_equal(struct schema *c, const json_t *a, const json_t *b)
{
	size_t i;
	const char *key;
	json_t *v;
	if (++c->compared > SCHEMA_COMPARED_MAX)
		return false;
	if (json_is_number(a) && json_is_number(b))
		return compare(a, b) == 0;
	if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
		json_array_foreach((json_t *)a, i, v)
		{
			if (!schema_equal(c, v, json_array_get(b, i)))
				return false;
		}
		return true;
	}
	if (json_is_object(a) && json_is_object(b) && json_object_size(a) == json_object_size(b)) {
		json_object_foreach((json_t *)a, key, v)
		{
			if (json_object_get(b, key) == NULL ||
			    !schema_equal(c, v, json_object_get(b, key)))
				return false;
		}
		return true;
	}
	return json_equal(a, b);
}

static unsigned type_of(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_NULL:
		return TYPE_NULL;
	case JSON_TRUE:
	case JSON_FALSE:
		return TYPE_BOOLEAN;
	case JSON_INTEGER:
		return TYPE_INTEGER;
	case JSON_REAL: {
		double d = json_real_value(v);
		bool large = d <= -9e15 || d >= 9e15; /* all such are whole, or as good as */
		return large || ((double)(int64_t)d >= d && (double)(int64_t)d <= d) ? TYPE_INTEGER
										     : TYPE_NUMBER;
	}
	case JSON_STRING:
		return TYPE_STRING;
	case JSON_ARRAY:
		return TYPE_ARRAY;
	default:
		return TYPE_OBJECT;
	}
}

static size_t characters(const char *s, size_t len)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)s[i] & 0xC0) != 0x80;
	return n;
}

/* Whether one keyword allows the value: 1, 0, or -1 for a keyword that is not evaluated here. */
static int keyword_allows(struct schema *c, const char *key, const json_t *v, const json_t *value,
			  unsigned type)
{
	bool number = (type & (TYPE_NUMBER | TYPE_INTEGER)) != 0;
	double y = json_number_value(v);
	double n = type == TYPE_STRING
			   ? (double)characters(json_string_value(value), json_string_length(value))
		   : type == TYPE_ARRAY ? (double)json_array_size(value)
					: 0;
	if (strcmp(key, "const") == 0)
		return schema_equal(c, v, value);
	if (is_key(key, "minimum", "minimum", "minimum"))
		return !number || compare(value, v) >= 0;
	if (is_key(key, "maximum", "maximum", "maximum"))
		return !number || compare(value, v) <= 0;
	if (strcmp(key, "exclusiveMinimum") == 0)
		return !number || compare(value, v) > 0;
	if (strcmp(key, "exclusiveMaximum") == 0)
		return !number || compare(value, v) < 0;
	if (is_key(key, "minLength", "minLength", type == TYPE_ARRAY ? "minItems" : "minLength"))
		return (type != TYPE_STRING && type != TYPE_ARRAY) || n >= y;
	if (is_key(key, "maxLength", "maxLength", type == TYPE_ARRAY ? "maxItems" : "maxLength"))
		return (type != TYPE_STRING && type != TYPE_ARRAY) || n <= y;
	if (is_key(key, "pattern", "format", "format"))
		return type == TYPE_STRING ? -1 : 1;
	if (strcmp(key, "multipleOf") == 0)
		return number ? -1 : 1;
	if (is_key(key, "items", "prefixItems", "uniqueItems"))
		return type == TYPE_ARRAY ? -1 : 1;
	if (is_key(key, "properties", "required", "additionalProperties"))
		return type == TYPE_OBJECT ? -1 : 1;
	if (is_key(key, "minProperties", "maxProperties", "maxProperties"))
		return type == TYPE_OBJECT ? -1 : 1;
	return 1;
}

/* Whether a keyword applies to values of this type: minLength to strings, minItems to arrays. */
static bool is_about(const char *key, unsigned type)
{
	bool length = is_key(key, "minLength", "maxLength", "maxLength");
	bool items = is_key(key, "minItems", "maxItems", "maxItems");
	return length ? type == TYPE_STRING : items ? type == TYPE_ARRAY : true;
}

int schema_allows(struct schema *c, const json_t *s, const json_t *value)
{
	unsigned type = type_of(value), types = schema_types(s);
	const json_t *list = json_object_get(s, "enum");
	const char *key;
	json_t *v;
	size_t i, n = json_array_size(list);
	if (json_object_get(s, "type") != NULL && (types & type) == 0)
		return 0;
	for (i = 0; i < n && !schema_equal(c, json_array_get(list, i), value);)
		i++;
	if (c->compared > SCHEMA_COMPARED_MAX)
		return schema_wrong(c, "too many values of enum must be compared");
	if (list != NULL && i == n)
		return 0;
	json_object_foreach((json_t *)s, key, v)
	{
		int ok = is_about(key, type) ? keyword_allows(c, key, v, value, type) : 1;
		if (ok == 0)
			return 0;
		if (ok < 0)
			return schema_refuse(
				c, "enum or const beside other keywords about its values");
	}
	return 1;
}

/* ---- oneOf ---- */

static const json_t *follow(struct schema *c, const json_t *s)
{
	for (int i = 0; i < 8 && json_is_object(s) && json_object_get(s, "$ref") != NULL; i++) {
		const char *ref = json_string_value(json_object_get(s, "$ref"));
		s = ref != NULL ? schema_target(c, ref) : NULL;
	}
	return s;
}

static const json_t *values_of(const json_t *s, size_t *count)
{
	const json_t *list = json_object_get(s, "enum"), *one = json_object_get(s, "const");
	*count = one != NULL ? 1 : json_array_size(list);
	return one != NULL ? one : list;
}

static bool values_disjoint(struct schema *c, const json_t *a, const json_t *b)
{
	size_t na, nb;
	const json_t *va = values_of(a, &na), *vb = values_of(b, &nb);
	bool list_a = json_object_get(a, "const") == NULL,
	     list_b = json_object_get(b, "const") == NULL;
	for (size_t i = 0; va != NULL && vb != NULL && i < na; i++) {
		for (size_t k = 0; k < nb; k++) {
			if (schema_equal(c, list_a ? json_array_get(va, i) : va,
					 list_b ? json_array_get(vb, k) : vb) ||
			    c->compared > SCHEMA_COMPARED_MAX)
				return false;
		}
	}
	return va != NULL && vb != NULL;
}

static unsigned values_types(const json_t *s)
{
	size_t n;
	const json_t *v = values_of(s, &n);
	unsigned types = 0;
	if (v == NULL)
		return json_object_get(s, "type") != NULL ? schema_types(s) : (unsigned)TYPE_ALL;
	for (size_t i = 0; i < n; i++)
		types |= type_of(json_object_get(s, "const") != NULL ? v : json_array_get(v, i));
	return types;
}

/* An object of one needs a member that the other forbids, or whose values the other forbids. */
static bool objects_disjoint(struct schema *c, const json_t *a, const json_t *b, int depth)
{
	const json_t *pb = json_object_get(b, "properties"), *one;
	size_t i;
	json_array_foreach(json_object_get(a, "required"), i, one)
	{
		const char *name = json_string_value(one);
		if (name == NULL)
			continue;
		const json_t *ours = json_object_get(json_object_get(a, "properties"), name),
			     *theirs = json_object_get(pb, name);
		if (theirs == NULL && json_is_false(json_object_get(b, "additionalProperties")))
			return true;
		if (ours != NULL && theirs != NULL && schema_disjoint(c, ours, theirs, depth + 1))
			return true; /* it is there by a, and whatever it is, b forbids it */
	}
	return false;
}

static bool below(const json_t *a, const json_t *b)
{
	const json_t *max = json_object_get(a, "maximum"), *min = json_object_get(b, "minimum"),
		     *less = json_object_get(a, "exclusiveMaximum"),
		     *more = json_object_get(b, "exclusiveMinimum");
	if (json_is_number(max) && json_is_number(min))
		return compare(max, min) < 0;
	if (json_is_number(less) && json_is_number(min))
		return compare(less, min) <= 0;
	if (json_is_number(max) && json_is_number(more))
		return compare(max, more) <= 0;
	return false;
}

bool schema_disjoint(struct schema *c, const json_t *a, const json_t *b, int depth)
{
	const unsigned numbers = TYPE_NUMBER | TYPE_INTEGER;
	a = follow(c, a);
	b = follow(c, b);
	if (json_is_false(a) || json_is_false(b))
		return true;
	if (!json_is_object(a) || !json_is_object(b) || depth > 8 || ++c->steps > SCHEMA_STEPS_MAX)
		return false;
	unsigned types = values_types(a) & values_types(b);
	if (types == 0 || values_disjoint(c, a, b))
		return true;
	if ((types & ~numbers) == 0)
		return below(a, b) || below(b, a);
	return types == TYPE_OBJECT &&
	       (objects_disjoint(c, a, b, depth) || objects_disjoint(c, b, a, depth));
}
