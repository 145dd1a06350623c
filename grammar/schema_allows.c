/* Whether one value is valid by a schema: for the values of enum and const, whatever else is
 * said of them. */
#include "grammar/schema_parts.h"

#include "base/limits.h"

#include <math.h>
#include <string.h>

static const json_t *get(const json_t *s, const char *key) { return json_object_get(s, key); }

/* ---- values ---- */

/* An integer and a double, exactly. */
static int compare_mixed(json_int_t i, double d)
{
	if (d >= 9223372036854775808.0 || d < -9223372036854775808.0)
		return d > 0 ? -1 : 1;
	json_int_t whole = (json_int_t)d;
	double rest = d - (double)whole;
	return i != whole ? (i > whole) - (i < whole) : (rest < 0) - (rest > 0);
}

int schema_compare(const json_t *a, const json_t *b)
{
	if (json_is_integer(a) && json_is_integer(b))
		return (json_integer_value(a) > json_integer_value(b)) -
		       (json_integer_value(a) < json_integer_value(b));
	if (json_is_integer(a))
		return compare_mixed(json_integer_value(a), json_real_value(b));
	if (json_is_integer(b))
		return -compare_mixed(json_integer_value(b), json_real_value(a));
	double x = json_real_value(a), y = json_real_value(b);
	return (x > y) - (x < y);
}

bool schema_equal(struct schema *c, const json_t *a, const json_t *b)
{
	size_t i;
	const char *key;
	json_t *v;
	if (++c->compared > SCHEMA_COMPARED_MAX)
		return false;
	if (json_is_number(a) && json_is_number(b))
		return schema_compare(a, b) == 0;
	if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
		json_array_foreach((json_t *)a, i, v) {
			if (!schema_equal(c, v, json_array_get(b, i)))
				return false;
		}
		return true;
	}
	if (json_is_object(a) && json_is_object(b) && json_object_size(a) == json_object_size(b)) {
		json_object_foreach((json_t *)a, key, v) {
			if (get(b, key) == NULL || !schema_equal(c, v, get(b, key)))
				return false;
		}
		return true;
	}
	return json_equal(a, b);
}

unsigned schema_type_of(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_NULL:
		return TYPE_NULL;
	case JSON_TRUE:
	case JSON_FALSE:
		return TYPE_BOOLEAN;
	case JSON_INTEGER:
		return TYPE_INTEGER;
	case JSON_REAL:
		return floor(json_real_value(v)) < json_real_value(v) ? TYPE_NUMBER : TYPE_INTEGER;
	case JSON_STRING:
		return TYPE_STRING;
	case JSON_ARRAY:
		return TYPE_ARRAY;
	default:
		return TYPE_OBJECT;
	}
}

/* As the reference divides: whole numbers as such, others as doubles, without tolerance. */
bool schema_is_multiple(const json_t *number, const json_t *of)
{
	double d = json_number_value(of), q = json_number_value(number);
	if (json_is_integer(of) && json_is_integer(number))
		return json_integer_value(of) > 0 &&
		       json_integer_value(number) % json_integer_value(of) == 0;
	if (!(d > 0))
		return false;
	q = json_is_integer(of) ? fmod(q, d) : q / d;
	if (json_is_integer(of))
		return !(q > 0 || q < 0);
	return isfinite(q) && !(trunc(q) > q || trunc(q) < q);
}

/* ---- keywords by type ---- */

static bool limit_holds(const json_t *s, const char *key, double n, bool least)
{
	const json_t *v = get(s, key);
	return v == NULL || (least ? n >= json_number_value(v) : n <= json_number_value(v));
}

static int number_allows(const json_t *s, const json_t *value)
{
	const json_t *v, *one;
	size_t i;
	if ((v = get(s, "minimum")) != NULL && schema_compare(value, v) < 0)
		return 0;
	if ((v = get(s, "maximum")) != NULL && schema_compare(value, v) > 0)
		return 0;
	if ((v = get(s, "exclusiveMinimum")) != NULL && schema_compare(value, v) <= 0)
		return 0;
	if ((v = get(s, "exclusiveMaximum")) != NULL && schema_compare(value, v) >= 0)
		return 0;
	json_array_foreach(get(s, "multipleOf"), i, one) {
		if (!schema_is_multiple(value, one))
			return 0;
	}
	return get(s, KEY_FRACTION) == NULL || schema_type_of(value) == TYPE_NUMBER;
}

static int string_allows(struct schema *c, const json_t *s, const json_t *value)
{
	const char *text = json_string_value(value);
	size_t n = 0;
	for (size_t i = 0; i < json_string_length(value); i++)
		n += ((unsigned char)text[i] & 0xC0) != 0x80;
	if (!limit_holds(s, "minLength", (double)n, true) ||
	    !limit_holds(s, "maxLength", (double)n, false))
		return 0;
	return schema_text_allows(c, s, text, json_string_length(value));
}

static bool is_unique(struct schema *c, const json_t *list)
{
	const json_t *a;
	size_t i;
	json_array_foreach((json_t *)list, i, a) {
		for (size_t k = 0; k < i; k++) {
			if (schema_equal(c, a, json_array_get(list, k)))
				return false;
		}
	}
	return true;
}

static int contains_allows(struct schema *c, const json_t *contains, const json_t *value)
{
	const json_t *one;
	size_t i;
	double found = 0;
	json_array_foreach((json_t *)value, i, one) {
		int ok = schema_node_allows(c, get(contains, "schema"), one);
		TRY(ok);
		found += ok;
	}
	return found >= (get(contains, "min") ? json_number_value(get(contains, "min")) : 1) &&
	       limit_holds(contains, "max", found, false);
}

static int array_allows(struct schema *c, const json_t *s, const json_t *value)
{
	const json_t *layer, *one;
	size_t i, k;
	double n = (double)json_array_size(value);
	if (!limit_holds(s, "minItems", n, true) || !limit_holds(s, "maxItems", n, false) ||
	    (get(s, "uniqueItems") != NULL && !is_unique(c, value)))
		return 0;
	json_array_foreach(get(s, KEY_ARRAY), i, layer) {
		json_array_foreach((json_t *)value, k, one) {
			const json_t *by = json_array_get(get(layer, "prefixItems"), k);
			by = by != NULL ? by : get(layer, "items");
			int ok = by != NULL ? schema_node_allows(c, by, one) : 1;
			if (ok <= 0)
				return ok;
		}
	}
	json_array_foreach(get(s, "contains"), i, one) {
		int ok = contains_allows(c, one, value);
		if (ok <= 0)
			return ok;
	}
	return 1;
}

static int member_allows(struct schema *c, const json_t *layer, const char *name,
			 const json_t *value)
{
	const json_t *by = get(get(layer, "properties"), name);
	const char *pattern;
	json_t *one;
	bool named = by != NULL;
	int ok = named ? schema_node_allows(c, by, value) : 1;
	json_object_foreach((json_t *)get(layer, "patternProperties"), pattern, one) {
		int found = ok > 0 ? schema_matches(c, pattern, name, strlen(name)) : 0;
		TRY(found);
		named = named || found;
		if (found > 0)
			ok = schema_node_allows(c, one, value);
	}
	by = get(layer, "additionalProperties");
	return ok <= 0 || named || by == NULL ? ok : schema_node_allows(c, by, value);
}

static int object_allows(struct schema *c, const json_t *s, const json_t *value)
{
	const json_t *one;
	json_t *v;
	const char *name;
	size_t i;
	double n = (double)json_object_size(value);
	if (!limit_holds(s, "minProperties", n, true) || !limit_holds(s, "maxProperties", n, false))
		return 0;
	json_array_foreach(get(s, "required"), i, one) {
		if (get(value, json_string_value(one)) == NULL)
			return 0;
	}
	json_object_foreach((json_t *)value, name, v) {
		json_t *text = schema_own(c, json_string(name));
		json_array_foreach(get(s, "propertyNames"), i, one) {
			int ok = schema_node_allows(c, one, text);
			if (ok <= 0)
				return ok;
		}
		json_array_foreach(get(s, KEY_OBJECT), i, one) {
			int ok = member_allows(c, one, name, v);
			if (ok <= 0)
				return ok;
		}
	}
	return 1;
}

/* ---- branches ---- */

/* How many of the list allow it; negative: not decided. */
static int count_allow(struct schema *c, const json_t *list, const json_t *value)
{
	const json_t *one;
	size_t i;
	int n = 0;
	json_array_foreach((json_t *)list, i, one) {
		int ok = schema_node_allows(c, one, value);
		TRY(ok);
		n += ok;
	}
	return n;
}

static int dependents_allow(struct schema *c, const json_t *s, const json_t *value)
{
	const char *name;
	json_t *v, *one;
	size_t i;
	json_object_foreach((json_t *)get(s, "dependentRequired"), name, v) {
		json_array_foreach(v, i, one) {
			if (get(value, name) != NULL && json_is_string(one) &&
			    get(value, json_string_value(one)) == NULL)
				return 0;
		}
	}
	json_object_foreach((json_t *)get(s, "dependentSchemas"), name, v) {
		int ok = get(value, name) != NULL ? schema_node_allows(c, v, value) : 1;
		if (ok <= 0)
			return ok;
	}
	return 1;
}

static int branches_allow(struct schema *c, const json_t *s, const json_t *value)
{
	const json_t *v;
	int n = 1;
	if ((v = get(s, "$ref")) != NULL && (n = schema_node_allows(c, v, value)) <= 0)
		return n;
	if ((v = get(s, "allOf")) != NULL &&
	    ((n = count_allow(c, v, value)) < 0 || (size_t)n < json_array_size(v)))
		return n < 0 ? n : 0;
	if ((v = get(s, "anyOf")) != NULL && (n = count_allow(c, v, value)) <= 0)
		return n;
	if ((v = get(s, "oneOf")) != NULL && (n = count_allow(c, v, value)) != 1)
		return n < 0 ? n : 0;
	if ((v = get(s, "not")) != NULL && (n = schema_node_allows(c, v, value)) != 0)
		return n < 0 ? n : 0;
	if ((v = get(s, "if")) != NULL) {
		int ok = schema_node_allows(c, v, value);
		TRY(ok);
		v = get(s, ok > 0 ? "then" : "else");
		if (v != NULL && (n = schema_node_allows(c, v, value)) <= 0)
			return n;
	}
	return json_is_object(value) ? dependents_allow(c, s, value) : 1;
}

static int values_allow(struct schema *c, const json_t *s, const json_t *value)
{
	const json_t *one = get(s, "const"), *list = get(s, "enum"), *v;
	size_t i, n = json_array_size(list);
	if (one != NULL && !schema_equal(c, one, value))
		return 0;
	for (i = 0; i < n && !schema_equal(c, json_array_get(list, i), value);)
		i++;
	if (list != NULL && i == n && c->compared <= SCHEMA_COMPARED_MAX)
		return 0;
	json_array_foreach(get(s, KEY_EXCLUDED), i, v) {
		if (schema_equal(c, v, value))
			return 0;
	}
	if (c->compared > SCHEMA_COMPARED_MAX)
		return schema_wrong(c, "too many values of enum must be compared");
	return 1;
}

int schema_allows(struct schema *c, const json_t *s, const json_t *value)
{
	unsigned type = schema_type_of(value);
	int ok;
	if (get(s, "type") != NULL && (schema_types(s) & type) == 0)
		return 0;
	if (get(s, KEY_REFUSED) != NULL)
		return schema_refuse(c, json_string_value(json_array_get(get(s, KEY_REFUSED), 0)));
	if ((get(s, "unevaluatedProperties") != NULL && type == TYPE_OBJECT) ||
	    (get(s, "unevaluatedItems") != NULL && type == TYPE_ARRAY))
		return schema_refuse(c, "enum or const beside unevaluated keywords");
	if ((ok = values_allow(c, s, value)) <= 0)
		return ok;
	ok = type == TYPE_STRING                          ? string_allows(c, s, value)
	     : type == TYPE_ARRAY                         ? array_allows(c, s, value)
	     : type == TYPE_OBJECT                        ? object_allows(c, s, value)
	     : (type & (TYPE_NUMBER | TYPE_INTEGER)) != 0 ? number_allows(s, value)
							  : 1;
	return ok <= 0 ? ok : branches_allow(c, s, value);
}

int schema_node_allows(struct schema *c, const json_t *node, const json_t *value)
{
	const json_t *s, *at = c->node;
	if (json_is_boolean(node))
		return json_is_true(node);
	if (!json_is_object(node))
		return schema_wrong(c, "a schema is an object or a boolean");
	if (++c->depth > LIMIT_CONSTRAINT_NESTING || ++c->steps > SCHEMA_STEPS_MAX)
		return schema_wrong(c, "it is too large when its branches are combined");
	TRY(schema_read(c, node, &s));
	int ok = schema_allows(c, s, value);
	c->depth--;
	c->node = ok < 0 ? c->node : at;
	return ok;
}
