/* What must not hold, what holds only if something else does, and what holds alone: all are
 * turned into anyOf and allOf of nodes.
 *
 * A schema does not allow a value if one of its keywords does not: so the opposite of a schema
 * is an anyOf, with a branch for each keyword, that says of which type the value is and what it
 * has. An opposite without grammar becomes a branch that is refused where values of its type
 * remain. A format counts as an annotation here, so that what is made is right by readers of
 * both kinds. */
#include "grammar/schema_parts.h"

#include "base/json.h"

#include <math.h>
#include <string.h>

static const json_t *get(const json_t *s, const char *key) { return json_object_get(s, key); }

/* ---- the opposite of each keyword ---- */

/* Branches are new references; NULL anywhere: out of memory. */
struct branches {
	struct schema *c;
	json_t *list;
	bool failed;
};

static void branch_add(struct branches *b, json_t *made)
{
	if (made == NULL || json_array_append_new(b->list, made) < 0)
		b->failed = true;
}

static json_t *refused(const char *type, const char *what)
{
	return json_pack("{s:s,s:[s]}", "type", type, KEY_REFUSED, what);
}

static void not_type(struct branches *b, const json_t *s)
{
	static const char *const name[] = { "null",   "boolean", "integer", "number",
					    "string", "array",   "object" };
	unsigned types = TYPE_ALL & ~schema_types(s);
	json_t *list;
	if (get(s, "type") == NULL)
		return;
	list = json_array();
	for (unsigned i = 0; i < 7; i++) {
		if ((types & 1u << i) != 0 && !(1u << i == TYPE_NUMBER && !(types & TYPE_INTEGER)))
			json_array_append_new(list, json_string(name[i]));
	}
	if ((types & TYPE_NUMBER) != 0 && (types & TYPE_INTEGER) == 0)
		branch_add(b, json_pack("{s:s,s:b}", "type", "number", KEY_FRACTION, 1));
	if (json_array_size(list) > 0)
		branch_add(b, json_pack("{s:O}", "type", list));
	json_decref(list);
}

/* Bounds and counts: the opposite has the opposite bound. */
static void not_limits(struct branches *b, const json_t *s)
{
	static const struct {
		const char *key, *type, *opposite;
		int step; /* of a count */
	} row[] = {
		{ "minimum", "number", "exclusiveMaximum", 0 },
		{ "maximum", "number", "exclusiveMinimum", 0 },
		{ "exclusiveMinimum", "number", "maximum", 0 },
		{ "exclusiveMaximum", "number", "minimum", 0 },
		{ "minLength", "string", "maxLength", -1 },
		{ "maxLength", "string", "minLength", 1 },
		{ "minItems", "array", "maxItems", -1 },
		{ "maxItems", "array", "minItems", 1 },
		{ "minProperties", "object", "maxProperties", -1 },
		{ "maxProperties", "object", "minProperties", 1 },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		const json_t *v = get(s, row[i].key);
		double n = json_number_value(v) + row[i].step;
		if (!json_is_number(v) || n < 0)
			continue;
		if (row[i].step == 0)
			branch_add(b,
				   json_pack("{s:s,s:O}", "type", row[i].type, row[i].opposite, v));
		else if (n <= 1e15)
			branch_add(b,
				   json_pack("{s:s,s:I}", "type", row[i].type, row[i].opposite,
					     (json_int_t)(row[i].step < 0 ? ceil(n) : floor(n))));
	}
}

static void not_values(struct branches *b, const json_t *s)
{
	const json_t *one;
	size_t i;
	if (get(s, "const") != NULL)
		branch_add(b, json_pack("{s:[O]}", KEY_EXCLUDED, get(s, "const")));
	if (json_is_array(get(s, "enum")))
		branch_add(b, json_pack("{s:O}", KEY_EXCLUDED, get(s, "enum")));
	json_array_foreach(get(s, KEY_EXCLUDED), i, one)
		branch_add(b, json_pack("{s:O}", "const", one));
	json_array_foreach(get(s, "pattern"), i, one)
		branch_add(b, json_pack("{s:s,s:[O]}", "type", "string", KEY_UNMATCHED, one));
	json_array_foreach(get(s, KEY_UNMATCHED), i, one)
		branch_add(b, json_pack("{s:s,s:O}", "type", "string", "pattern", one));
	if (get(s, "multipleOf") != NULL)
		branch_add(b, refused("number", "not over multipleOf"));
	if (get(s, KEY_FRACTION) != NULL)
		branch_add(b, json_pack("{s:s}", "type", "integer"));
}

static void not_object(struct branches *b, const json_t *s)
{
	const json_t *one, *layer;
	const char *name;
	json_t *v;
	size_t i;
	json_array_foreach(get(s, "required"), i, one)
		branch_add(b, json_pack("{s:s,s:{s:b}}", "type", "object", "properties",
					json_string_value(one), 0));
	json_array_foreach(get(s, KEY_OBJECT), i, layer) {
		json_object_foreach((json_t *)get(layer, "properties"), name, v) {
			if (!json_is_true(v))
				branch_add(b, json_pack("{s:s,s:[s],s:{s:{s:O}}}", "type", "object",
							"required", name, "properties", name, "not",
							v));
		}
		if (json_object_size(get(layer, "patternProperties")) > 0)
			branch_add(b, refused("object", "not over patternProperties"));
		one = get(layer, "additionalProperties");
		if (one != NULL && !json_is_true(one))
			branch_add(b, refused("object", "not over additionalProperties"));
	}
	json_array_foreach(get(s, "propertyNames"), i, one) {
		if (!json_is_true(one))
			branch_add(b, refused("object", "not over propertyNames"));
	}
	if (get(s, "unevaluatedProperties") != NULL)
		branch_add(b, refused("object", "not over unevaluatedProperties"));
}

/* One element of those that a layer speaks of. */
static void not_elements(struct branches *b, const json_t *layer)
{
	const json_t *fixed = get(layer, "prefixItems"), *items = get(layer, "items"), *one;
	size_t n = json_array_size(fixed), i;
	json_array_foreach((json_t *)fixed, i, one) {
		json_t *list = json_array();
		for (size_t k = 0; k < i; k++)
			json_array_append_new(list, json_true());
		json_array_append_new(list, json_pack("{s:O}", "not", one));
		if (!json_is_true(one))
			branch_add(b,
				   json_pack("{s:s,s:I,s:O,s:b}", "type", "array", "minItems",
					     (json_int_t)i + 1, "prefixItems", list, "items", 1));
		json_decref(list);
	}
	if (items == NULL || json_is_true(items))
		return;
	if (json_is_false(items))
		branch_add(b,
			   json_pack("{s:s,s:I}", "type", "array", "minItems", (json_int_t)n + 1));
	else if (n == 0)
		branch_add(b,
			   json_pack("{s:s,s:{s:O}}", "type", "array", "contains", "not", items));
	else
		branch_add(b, refused("array", "not over items beside prefixItems"));
}

static void not_array(struct branches *b, const json_t *s)
{
	const json_t *one;
	size_t i;
	json_array_foreach(get(s, KEY_ARRAY), i, one)
		not_elements(b, one);
	json_array_foreach(get(s, "contains"), i, one) {
		const json_t *min = get(one, "min"), *max = get(one, "max");
		json_int_t least = min != NULL ? (json_int_t)json_number_value(min) : 1;
		if (least > 0)
			branch_add(b, json_pack("{s:s,s:O,s:i,s:I}", "type", "array", "contains",
						get(one, "schema"), "minContains", 0, "maxContains",
						least - 1));
		if (max != NULL)
			branch_add(b, json_pack("{s:s,s:O,s:I}", "type", "array", "contains",
						get(one, "schema"), "minContains",
						(json_int_t)json_number_value(max) + 1));
	}
	if (get(s, "uniqueItems") != NULL)
		branch_add(b, refused("array", "not over uniqueItems"));
	if (get(s, "unevaluatedItems") != NULL)
		branch_add(b, refused("array", "not over unevaluatedItems"));
}

/* ---- the opposite of branches ---- */

static json_t *all_not(const json_t *list)
{
	json_t *out = json_array(), *one;
	size_t i;
	json_array_foreach((json_t *)list, i, one)
		json_array_append_new(out, json_pack("{s:O}", "not", one));
	return json_pack("{s:o}", "allOf", out);
}

/* None of them, or two. */
static void not_one_of(struct branches *b, const json_t *list)
{
	size_t n = json_array_size(list);
	branch_add(b, all_not(list));
	if (n * n > 400)
		b->failed = true;
	for (size_t i = 0; i < n && !b->failed; i++) {
		for (size_t k = 0; k < i; k++) {
			const json_t *x = json_array_get(list, i), *y = json_array_get(list, k);
			if (!schema_disjoint(b->c, x, y, 0))
				branch_add(b, json_pack("{s:[O,O]}", "allOf", x, y));
		}
	}
}

static void not_dependents(struct branches *b, const json_t *s)
{
	const char *name;
	json_t *v, *one;
	size_t i;
	json_object_foreach((json_t *)get(s, "dependentRequired"), name, v) {
		json_array_foreach(v, i, one)
			branch_add(b, json_pack("{s:s,s:[s],s:{s:b}}", "type", "object", "required",
						name, "properties", json_string_value(one), 0));
	}
	json_object_foreach((json_t *)get(s, "dependentSchemas"), name, v)
		branch_add(b, json_pack("{s:s,s:[s],s:O}", "type", "object", "required", name,
					"not", v));
}

static void not_branches(struct branches *b, const json_t *s)
{
	const json_t *v, *one;
	size_t i;
	if ((v = get(s, "$ref")) != NULL)
		branch_add(b, json_pack("{s:O}", "not", v));
	if ((v = get(s, "not")) != NULL)
		branch_add(b, json_pack("{s:[O]}", "allOf", v));
	if (json_is_array(v = get(s, "anyOf")))
		branch_add(b, all_not(v));
	if (json_is_array(v = get(s, "oneOf")))
		not_one_of(b, v);
	json_array_foreach(get(s, "allOf"), i, one)
		branch_add(b, json_pack("{s:O}", "not", one));
	if ((v = get(s, "if")) == NULL)
		return;
	if ((one = get(s, "then")) != NULL)
		branch_add(b, json_pack("{s:[O,{s:O}]}", "allOf", v, "not", one));
	if ((one = get(s, "else")) != NULL)
		branch_add(b, json_pack("{s:[{s:O},{s:O}]}", "allOf", "not", v, "not", one));
}

int schema_not(struct schema *c, const json_t *node, const json_t **out)
{
	struct branches b = { .c = c };
	const json_t *s;
	if (json_is_boolean(node)) {
		*out = json_is_true(node) ? json_false() : json_true();
		return 0;
	}
	if (!json_is_object(node))
		return schema_wrong(c, "a schema is an object or a boolean");
	TRY(schema_read(c, node, &s));
	b.list = json_array();
	json_t *made = schema_own(c, json_pack("{s:o}", "anyOf", b.list));
	if (made == NULL)
		return schema_no_memory(c);
	not_type(&b, s);
	not_limits(&b, s);
	not_values(&b, s);
	not_object(&b, s);
	not_array(&b, s);
	not_branches(&b, s);
	not_dependents(&b, s);
	*out = json_array_size(b.list) > 0 ? made : json_false();
	return b.failed ? schema_refuse(c, "not over keywords of that kind") : 0;
}

/* ---- conditions ---- */

static void condition_add(struct branches *b, json_t *without, json_t *with)
{
	branch_add(b, json_pack("{s:[o,o]}", "anyOf", without, with));
}

static void dependents_add(struct branches *b, const json_t *s)
{
	const char *name;
	json_t *v;
	json_object_foreach((json_t *)get(s, "dependentRequired"), name, v) {
		json_t *all = json_is_array(v) ? json_copy(v) : NULL;
		if (all != NULL)
			json_array_append_new(all, json_string(name));
		condition_add(b, json_pack("{s:{s:b}}", "properties", name, 0),
			      json_pack("{s:o}", "required", all));
	}
	json_object_foreach((json_t *)get(s, "dependentSchemas"), name, v)
		condition_add(b, json_pack("{s:{s:b}}", "properties", name, 0),
			      json_pack("{s:[{s:[s]},O]}", "allOf", "required", name, v));
}

int schema_conditions(struct schema *c, const json_t *s, const json_t **out)
{
	struct branches b = { .c = c, .list = schema_own(c, json_array()) };
	const json_t *when = get(s, "if"), *then = get(s, "then"), *other = get(s, "else");
	*out = b.list;
	if (b.list == NULL)
		return schema_no_memory(c);
	if (when != NULL)
		condition_add(&b,
			      then != NULL ? json_pack("{s:[O,O]}", "allOf", when, then)
					   : json_pack("{s:[O]}", "allOf", when),
			      other != NULL ? json_pack("{s:O,s:[O]}", "not", when, "allOf", other)
					    : json_pack("{s:O}", "not", when));
	dependents_add(&b, s);
	return b.failed ? schema_wrong(c, "a dependent or conditional keyword") : 0;
}

/* ---- oneOf ---- */

/* What const or enum of the read form list; NULL: neither, or none of the plain values. */
static const json_t *tags_listed(struct schema *c, const json_t *s)
{
	const json_t *one = get(s, "const"), *list = get(s, "enum");
	size_t i;
	list = one != NULL ? schema_own(c, json_pack("[O]", one)) : list;
	json_array_foreach((json_t *)list, i, one) {
		if (json_is_real(one) || json_is_array(one) || json_is_object(one))
			return NULL;
	}
	return json_array_size(list) > 0 ? list : NULL;
}

/* The values that the node demands of this member (NULL: of itself), or NULL. */
static const json_t *tags_of(struct schema *c, const json_t *node, const char *name, int depth)
{
	const json_t *s, *one, *found = NULL;
	size_t i;
	if (!json_is_object(node) || depth > 8 || schema_read(c, node, &s) < 0)
		return NULL;
	if (get(s, "$ref") != NULL)
		found = tags_of(c, get(s, "$ref"), name, depth + 1);
	json_array_foreach(get(s, "allOf"), i, one)
		found = found != NULL ? found : tags_of(c, one, name, depth + 1);
	if (found != NULL || name == NULL)
		return found != NULL ? found : tags_listed(c, s);
	json_t *member = schema_own(c, schema_member(s, name));
	return member != NULL ? tags_of(c, member, NULL, depth + 1) : NULL;
}

/* Whether all of the list demand this member to be one of some values, each of others. */
static bool tags_differ(struct schema *c, const json_t *list, const char *name)
{
	json_t *seen = schema_own(c, json_object()), *one, *tag;
	size_t i, k;
	json_array_foreach((json_t *)list, i, one) {
		const json_t *tags = tags_of(c, one, name, 0);
		if (tags == NULL)
			return false;
		json_array_foreach((json_t *)tags, k, tag) {
			struct buf text = { 0 };
			if (json_write(tag, 0, &text, c->e) < 0)
				return false;
			json_int_t by = json_integer_value(get(seen, text.bytes));
			if (by == 0)
				json_object_set_new(seen, text.bytes,
						    json_integer((json_int_t)i + 1));
			buf_free(&text);
			if (by > 0 && by != (json_int_t)i + 1)
				return false;
		}
	}
	return true;
}

/* The members of a node's own properties, and of what it refers to. */
static const json_t *names_of(struct schema *c, const json_t *node, int depth)
{
	const json_t *s;
	if (!json_is_object(node) || depth > 8 || schema_read(c, node, &s) < 0)
		return NULL;
	if (get(s, KEY_OBJECT) == NULL && get(s, "$ref") != NULL)
		return names_of(c, get(s, "$ref"), depth + 1);
	return get(json_array_get(get(s, KEY_OBJECT), 0), "properties");
}

/* A member that tells the branches apart, or NULL. */
static const char *tag_name(struct schema *c, const json_t *s, const json_t *list)
{
	const char *name = json_string_value(get(get(s, "discriminator"), "propertyName"));
	json_t *v;
	if (name != NULL && tags_differ(c, list, name))
		return name;
	json_object_foreach((json_t *)names_of(c, json_array_get(list, 0), 0), name, v) {
		if (tags_differ(c, list, name))
			return name;
	}
	return NULL;
}

/* The branch, and none of the others that may hold with it. */
static json_t *alone(struct schema *c, const json_t *list, size_t at)
{
	const json_t *mine = json_array_get(list, at), *one;
	json_t *all = json_pack("[O]", mine);
	size_t i;
	json_array_foreach((json_t *)list, i, one) {
		if (i != at && !schema_disjoint(c, mine, one, 0))
			json_array_append_new(all, json_pack("{s:O}", "not", one));
	}
	return json_array_size(all) == 1 ? (json_decref(all), json_incref((json_t *)mine))
					 : json_pack("{s:o}", "allOf", all);
}

int schema_exclusive(struct schema *c, const json_t *s, const json_t **out)
{
	const json_t *list = get(s, "oneOf"), *one, *node = c->node;
	json_t *made = schema_own(c, json_array()), *notes = c->unused;
	size_t i, n = json_array_size(list);
	*out = made;
	if (made == NULL || !json_is_array(list) || n == 0)
		return schema_wrong(c, "oneOf is not a list of schemas");
	c->unused = NULL;
	bool apart = n == 1 || tags_differ(c, list, NULL);
	const char *tag = apart ? NULL : tag_name(c, s, list);
	c->unused = notes;
	c->node = node;
	if (apart) {
		*out = list;
		return 0;
	}
	json_array_foreach((json_t *)list, i, one) {
		json_t *branch = tag != NULL ? json_pack("{s:[O,{s:s,s:[s]}]}", "allOf", one,
							 "type", "object", "required", tag)
					     : alone(c, list, i);
		if (branch == NULL || json_array_append_new(made, branch) < 0)
			return schema_no_memory(c);
	}
	return 0;
}
