/* One schema in read form: what of it is a constraint, in one spelling, and what is not. */
#include "grammar/schema_parts.h"

#include "base/text.h"

#include <string.h>

enum keyword_kind {
	NOTE,   /* an annotation, or looked up elsewhere */
	PLAIN,  /* kept as it is */
	LISTED, /* kept as a list of one */
	APART   /* spelled by a function below */
};

static const struct keyword {
	const char *name;
	enum keyword_kind kind;
} keywords[] = {
	{ "type", APART },
	{ "properties", APART },
	{ "required", APART },
	{ "additionalProperties", APART },
	{ "items", APART },
	{ "enum", PLAIN },
	{ "const", PLAIN },
	{ "title", NOTE },
	{ "description", NOTE },
	{ "default", NOTE },
	{ "format", APART },
	{ "anyOf", PLAIN },
	{ "allOf", PLAIN },
	{ "oneOf", PLAIN },
	{ "not", PLAIN },
	{ "$ref", APART },
	{ "minimum", APART },
	{ "maximum", APART },
	{ "exclusiveMinimum", APART },
	{ "exclusiveMaximum", APART },
	{ "multipleOf", LISTED },
	{ "minLength", PLAIN },
	{ "maxLength", PLAIN },
	{ "pattern", LISTED },
	{ "minItems", PLAIN },
	{ "maxItems", PLAIN },
	{ "uniqueItems", PLAIN },
	{ "prefixItems", APART },
	{ "additionalItems", APART },
	{ "contains", APART },
	{ "minContains", APART },
	{ "maxContains", APART },
	{ "minProperties", PLAIN },
	{ "maxProperties", PLAIN },
	{ "patternProperties", APART },
	{ "propertyNames", LISTED },
	{ "unevaluatedProperties", PLAIN },
	{ "unevaluatedItems", PLAIN },
	{ "if", APART },
	{ "then", APART },
	{ "else", APART },
	{ "dependentRequired", PLAIN },
	{ "dependentSchemas", PLAIN },
	{ "dependencies", APART },
	{ "nullable", APART },
	{ "discriminator", PLAIN },
	{ KEY_EXCLUDED, PLAIN },
	{ KEY_UNMATCHED, PLAIN },
	{ KEY_FRACTION, PLAIN },
	{ KEY_REFUSED, PLAIN },
	{ "$dynamicRef", APART },
	{ "$recursiveRef", APART },
	{ "examples", NOTE },
	{ "example", NOTE },
	{ "$schema", NOTE },
	{ "$id", NOTE },
	{ "id", NOTE },
	{ "$anchor", NOTE },
	{ "$dynamicAnchor", NOTE },
	{ "$comment", NOTE },
	{ "$vocabulary", NOTE },
	{ "deprecated", NOTE },
	{ "readOnly", NOTE },
	{ "writeOnly", NOTE },
	{ "$defs", NOTE },
	{ "definitions", NOTE },
	{ "contentMediaType", NOTE },
	{ "contentEncoding", NOTE },
	{ "contentSchema", NOTE },
};

static const struct keyword *keyword_of(const char *name)
{
	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
		if (keywords[i].name[0] == name[0] && strcmp(keywords[i].name, name) == 0)
			return &keywords[i];
	}
	return NULL;
}

/* A word of the author's; one that may be more than a name is not repeated. */
static void name_add(struct buf *out, const char *s, size_t len)
{
	size_t dollar = len > 0 && *s == '$';
	if (text_is_name(s + dollar, len - dollar))
		buf_add(out, s, len);
	else
		buf_add_text(out, "(another)");
}

/* List a keyword as without effect, once for each place. of: its value, or NULL. */
static int unused_add(struct schema *c, const json_t *node, const char *what, const char *of)
{
	struct buf text = { 0 }, place = { 0 };
	const json_t *one;
	size_t i;
	if (c->unused == NULL || json_array_size(c->unused) >= SCHEMA_NOTES_MAX)
		return 0;
	name_add(&text, what, strlen(what));
	buf_add_text(&text, of != NULL ? " " : "");
	if (of != NULL)
		name_add(&text, of, strlen(of));
	buf_add_text(&text, " at #");
	schema_place(c, node, &place);
	for (size_t at = 0, n; at < place.len; at += n) {
		for (n = 1; at + n < place.len && place.bytes[at + n] != '/';)
			n++;
		buf_add_byte(&text, '/');
		name_add(&text, place.bytes + at + 1, n - 1);
	}
	text.failed |= place.failed;
	buf_free(&place);
	int rc = buf_done(&text, c->e);
	bool known = rc < 0;
	json_array_foreach(c->unused, i, one)
		known = known || strcmp(json_string_value(one), text.bytes) == 0;
	if (!known &&
	    json_array_append_new(c->unused, json_stringn_nocheck(text.bytes, text.len)) < 0)
		rc = schema_no_memory(c);
	buf_free(&text);
	return rc;
}

static const json_t *get(const json_t *s, const char *key) { return json_object_get(s, key); }

/* Put a new reference under the key. */
static int put(struct schema *c, json_t *s, const char *key, json_t *made)
{
	return json_object_set_new(s, key, made) < 0 ? schema_no_memory(c) : 0;
}

static int put_borrowed(struct schema *c, json_t *s, const char *key, const json_t *v)
{
	return put(c, s, key, json_incref((json_t *)v));
}

/* ---- type ---- */

unsigned schema_type_bit(const char *name)
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

/* As a list; nullable adds null to a type that is there. */
static int read_type(struct schema *c, const json_t *node, json_t *s)
{
	const json_t *type = get(node, "type"), *one;
	json_t *list = json_is_array(type) ? json_copy((json_t *)type) : json_array();
	size_t i;
	if (type == NULL) {
		json_decref(list);
		return 0;
	}
	if (!json_is_array(type))
		json_array_append(list, (json_t *)type);
	TRY(put(c, s, "type", list));
	json_array_foreach(list, i, one) {
		if (schema_type_bit(json_string_value(one)) == 0)
			return schema_wrong(c, "type is none of the seven");
	}
	if (json_is_true(get(node, "nullable")))
		json_array_append_new(list, json_string("null"));
	return 0;
}

/* ---- numbers and strings ---- */

/* In draft 4 an exclusive bound is a mark beside the bound. */
static int read_bound(struct schema *c, const json_t *node, const char *with, const char *without,
		      json_t *s)
{
	const json_t *bound = get(node, with), *open = get(node, without);
	if (bound != NULL && !json_is_number(bound))
		return schema_wrong(c, "a bound is not a number");
	if (open != NULL && !json_is_number(open) && !json_is_boolean(open))
		return schema_wrong(c, "a bound is not a number");
	if (json_is_boolean(open))
		return bound == NULL
			       ? 0
			       : put_borrowed(c, s, json_is_true(open) ? without : with, bound);
	TRY(bound != NULL ? put_borrowed(c, s, with, bound) : 0);
	return open != NULL ? put_borrowed(c, s, without, open) : 0;
}

static int read_format(struct schema *c, const json_t *node, json_t *s)
{
	const json_t *format = get(node, "format");
	const char *name = json_string_value(format);
	if (format == NULL)
		return 0;
	if (name == NULL)
		return schema_wrong(c, "format is not a string");
	if (schema_format_known(name))
		return put(c, s, "format", json_pack("[O]", format));
	return unused_add(c, node, "format", name);
}

/* ---- objects and arrays ---- */

static int read_object(struct schema *c, const json_t *node, json_t *s)
{
	static const char *const names[] = { "properties", "patternProperties",
					     "additionalProperties" };
	const json_t *required = get(node, "required"), *v, *one;
	json_t *layer = schema_own(c, json_object());
	size_t n;
	for (size_t i = 0; i < 3; i++) {
		v = get(node, names[i]);
		if (v != NULL && i < 2 && !json_is_object(v))
			return schema_wrong(c, "properties or patternProperties is not an object");
		TRY(v != NULL ? put_borrowed(c, layer, names[i], v) : 0);
	}
	if (json_object_size(layer) > 0)
		TRY(put(c, s, KEY_OBJECT, json_pack("[O]", layer)));
	if (json_is_boolean(required)) /* of draft 3 */
		return unused_add(c, node, "required", NULL);
	if (required != NULL && !json_is_array(required))
		return schema_wrong(c, "required is not a list");
	json_array_foreach((json_t *)required, n, one) {
		if (!json_is_string(one))
			return schema_wrong(c, "required is not a list of strings");
	}
	return json_array_size(required) > 0 ? put_borrowed(c, s, "required", required) : 0;
}

/* Before 2020-12 items was also a list, and additionalItems what follows it. */
static int read_array(struct schema *c, const json_t *node, json_t *s)
{
	const json_t *fixed = get(node, "prefixItems"), *items = get(node, "items"),
		     *more = get(node, "additionalItems");
	json_t *layer = schema_own(c, json_object());
	if (fixed != NULL && !json_is_array(fixed))
		return schema_wrong(c, "prefixItems is not a list");
	if (json_is_array(items)) {
		fixed = fixed != NULL ? fixed : items;
		items = more;
	} else if (more != NULL) {
		TRY(unused_add(c, node, "additionalItems", NULL));
	}
	TRY(fixed != NULL ? put_borrowed(c, layer, "prefixItems", fixed) : 0);
	TRY(items != NULL ? put_borrowed(c, layer, "items", items) : 0);
	if (json_object_size(layer) > 0)
		TRY(put(c, s, KEY_ARRAY, json_pack("[O]", layer)));
	if (get(node, "contains") == NULL)
		return 0;
	json_t *contains = json_object();
	TRY(put(c, s, "contains", json_pack("[o]", contains)));
	TRY(put_borrowed(c, contains, "schema", get(node, "contains")));
	if (get(node, "minContains") != NULL)
		TRY(put_borrowed(c, contains, "min", get(node, "minContains")));
	return get(node, "maxContains") != NULL
		       ? put_borrowed(c, contains, "max", get(node, "maxContains"))
		       : 0;
}

/* ---- branches ---- */

/* Draft 4 to 7: lists are dependentRequired, schemas dependentSchemas. */
static int read_dependencies(struct schema *c, const json_t *node, json_t *s)
{
	const json_t *all = get(node, "dependencies"), *v;
	const char *name;
	if (all == NULL)
		return 0;
	if (!json_is_object(all))
		return schema_wrong(c, "dependencies is not an object");
	json_t *names = json_is_object(get(node, "dependentRequired"))
				? json_copy((json_t *)get(node, "dependentRequired"))
				: json_object();
	TRY(put(c, s, "dependentRequired", names));
	json_t *schemas = json_is_object(get(node, "dependentSchemas"))
				  ? json_copy((json_t *)get(node, "dependentSchemas"))
				  : json_object();
	TRY(put(c, s, "dependentSchemas", schemas));
	json_object_foreach((json_t *)all, name, v) {
		json_t *to = json_is_array(v) ? names : schemas;
		if (get(to, name) != NULL)
			return schema_refuse(c, "dependencies beside dependentRequired");
		TRY(put_borrowed(c, to, name, v));
	}
	return 0;
}

static int read_branches(struct schema *c, const json_t *node, json_t *s)
{
	static const char *const dynamic[] = { "$dynamicRef", "$recursiveRef" };
	static const char *const condition[] = { "if", "then", "else" };
	const json_t *ref = get(node, "$ref"), *target;
	for (int i = 0; i < 2; i++) {
		if (get(node, dynamic[i]) != NULL)
			return schema_refuse(c, dynamic[i]);
	}
	if (ref != NULL && !json_is_string(ref))
		return schema_wrong(c, "$ref is not a string");
	if (ref != NULL) {
		TRY(schema_target(c, node, json_string_value(ref), &target));
		if (!json_is_object(target) && !json_is_boolean(target))
			return schema_wrong(c, "$ref names what is not a schema");
		TRY(put_borrowed(c, s, "$ref", target));
	}
	bool useful =
		get(node, "if") != NULL && (get(node, "then") != NULL || get(node, "else") != NULL);
	for (int i = 0; i < 3 && useful; i++) {
		if (get(node, condition[i]) != NULL)
			TRY(put_borrowed(c, s, condition[i], get(node, condition[i])));
	}
	return read_dependencies(c, node, s);
}

int schema_read(struct schema *c, const json_t *node, const json_t **out)
{
	json_t *s = schema_own(c, json_object()), *v;
	const char *key;
	*out = s;
	if (s == NULL)
		return schema_no_memory(c);
	if (schema_is_authors(c, node))
		c->node = node;
	json_object_foreach((json_t *)node, key, v) {
		const struct keyword *k = keyword_of(key);
		if (key[0] == '\1' && c->node == node)
			return schema_refuse(c, "keyword that begins with U+0001");
		if (k == NULL)
			TRY(unused_add(c, node, key, NULL));
		else if (k->kind == PLAIN)
			TRY(put_borrowed(c, s, key, v));
		else if (k->kind == LISTED)
			TRY(put(c, s, key, json_pack("[O]", v)));
	}
	if (get(s, "oneOf") == NULL)
		json_object_del(s, "discriminator");
	if (!json_is_true(get(s, "uniqueItems")))
		json_object_del(s, "uniqueItems");
	TRY(read_type(c, node, s));
	TRY(read_bound(c, node, "minimum", "exclusiveMinimum", s));
	TRY(read_bound(c, node, "maximum", "exclusiveMaximum", s));
	TRY(read_format(c, node, s));
	TRY(read_object(c, node, s));
	TRY(read_array(c, node, s));
	return read_branches(c, node, s);
}
