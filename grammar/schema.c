/* A schema is taken as a list of parts that must all hold. $ref, allOf, not and conditions only add
 * parts; anyOf and oneOf become alternatives, each with all the other parts; what remains is merged
 * into one plain schema and written type by type. A part that is nothing but a reference becomes a
 * rule of its own, which is how recursion ends.
 *
 * unevaluatedProperties and unevaluatedItems open a scope, which all parts that come of theirs
 * belong to: what these name has been evaluated when no branch is left. */
#include "grammar/regular.h"
#include "grammar/schema_parts.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 64
#define SCOPES_MAX 8
#define DEPTH_MAX (2 * LIMIT_CONSTRAINT_NESTING) /* schemas in schemas, branches counted too */

struct part {
	const json_t *s;
	bool read;   /* s is a read form, and not a node */
	bool silent; /* what is named in it counts as not evaluated: it comes of `not` */
	int scope;   /* the innermost one it belongs to, or -1 */
};

struct scope {
	const json_t *members, *elements; /* what others must be, or NULL */
	int outer;
};

struct parts {
	struct part at[PARTS_MAX];
	size_t count;
	struct scope scope[SCOPES_MAX];
	int scopes;
};

static const json_t *get(const json_t *s, const char *key) { return json_object_get(s, key); }

/* ---- messages ---- */

static int say(struct schema *c, int code, const char *before, const char *what, const char *after)
{
	struct buf place = { 0 };
	schema_place(c, c->node, &place);
	err_set(c->e, code, "%s%.120s at #%.200s%s", before, what, place.len > 0 ? place.bytes : "",
		after);
	buf_free(&place);
	return code;
}

int schema_refuse(struct schema *c, const char *what)
{
	return say(c, ERR_UNSUPPORTED, "the schema's ", what, " is not available");
}

int schema_wrong(struct schema *c, const char *what)
{
	return say(c, ERR_INPUT, "the schema is wrong: ", what, "");
}

json_t *schema_own(struct schema *c, json_t *made)
{
	if (made != NULL && json_array_append_new(c->owned, made) < 0)
		return NULL;
	return made;
}

/* ---- references ---- */

/* The rule of a schema that is referred to, or of its opposite. */
static int ref_value(struct schema *c, const json_t *target, bool opposite, struct buf *body)
{
	uint32_t i = 0;
	uint32_t mode = c->once > 0 ? 1 + (c->ordered > 0) : 0;
	while (i < c->refs &&
	       (c->ref[i] != target || c->ref_opposite[i] != opposite || c->ref_mode[i] != mode))
		i++;
	if (i < c->refs) {
		schema_rule_name(c, c->ref_rule[i], body);
		return buf_done(body, c->e);
	}
	if (c->refs == SCHEMA_REFS_MAX)
		return schema_wrong(c, "more than 4096 schemas are referred to");
	struct buf own = { 0 };
	uint32_t rule = schema_rule_begin(c);
	c->ref[c->refs] = target;
	c->ref_opposite[c->refs] = opposite;
	c->ref_mode[c->refs] = mode;
	c->ref_rule[c->refs++] = rule;
	int rc = opposite ? schema_not(c, target, &target) : 0;
	if (rc == 0)
		rc = schema_value(c, target, &own);
	if (rc == 0) {
		schema_rule_write(c, rule, &own);
		schema_rule_name(c, rule, body);
		rc = buf_done(body, c->e);
	}
	buf_free(&own);
	return rc;
}

/* ---- parts ---- */

/* Add a node that must hold too, in the scope of the part that it comes of. */
static int parts_add(struct schema *c, struct parts *p, struct part of, const json_t *node)
{
	if (p->count == PARTS_MAX)
		return schema_wrong(c, "more than 64 schemas hold at once");
	p->at[p->count++] = (struct part){ node, false, of.silent, of.scope };
	return 0;
}

static int parts_add_list(struct schema *c, struct parts *p, struct part of, const json_t *list)
{
	const json_t *one;
	size_t k;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return schema_wrong(c, "allOf is not a list of schemas");
	json_array_foreach((json_t *)list, k, one)
		TRY(parts_add(c, p, of, one));
	return 0;
}

static void part_drop(struct parts *p, size_t i)
{
	memmove(&p->at[i], &p->at[i + 1], (--p->count - i) * sizeof p->at[i]);
}

/* Replace part i by the rest of it, without these keys; drop it if nothing is left. */
static int part_reduce(struct schema *c, struct parts *p, size_t i, const char *const *keys)
{
	json_t *rest = schema_own(c, json_copy((json_t *)p->at[i].s));
	if (rest == NULL)
		return schema_no_memory(c);
	for (; *keys != NULL; keys++)
		json_object_del(rest, *keys);
	p->at[i].s = rest;
	if (json_object_size(rest) == 0)
		part_drop(p, i);
	return 0;
}

static int scope_open(struct schema *c, struct parts *p, size_t i, struct part of)
{
	static const char *const keys[] = { "unevaluatedProperties", "unevaluatedItems", NULL };
	if (p->scopes == SCOPES_MAX)
		return schema_refuse(c, "unevaluatedProperties in more than 8 schemas at once");
	p->scope[p->scopes] = (struct scope){ get(of.s, keys[0]), get(of.s, keys[1]), of.scope };
	p->at[i].scope = p->scopes++;
	return part_reduce(c, p, i, keys);
}

/* Each takes one kind of key out of part i and adds what it means. */
static int expand_ref(struct schema *c, struct parts *p, size_t i, struct part of)
{
	static const char *const keys[] = { "$ref", NULL };
	TRY(part_reduce(c, p, i, keys));
	return parts_add(c, p, of, get(of.s, "$ref"));
}

static int expand_all(struct schema *c, struct parts *p, size_t i, struct part of)
{
	static const char *const keys[] = { "allOf", NULL };
	TRY(part_reduce(c, p, i, keys));
	return parts_add_list(c, p, of, get(of.s, "allOf"));
}

static int expand_not(struct schema *c, struct parts *p, size_t i, struct part of)
{
	static const char *const keys[] = { "not", NULL };
	const json_t *opposite, *at = c->node;
	TRY(schema_not(c, get(of.s, "not"), &opposite));
	c->node = at;
	of.silent = true;
	TRY(part_reduce(c, p, i, keys));
	return parts_add(c, p, of, opposite);
}

static int expand_conditions(struct schema *c, struct parts *p, size_t i, struct part of)
{
	static const char *const keys[] = {
		"if", "then", "else", "dependentRequired", "dependentSchemas", NULL
	};
	const json_t *list;
	TRY(schema_conditions(c, of.s, &list));
	TRY(part_reduce(c, p, i, keys));
	return json_array_size(list) > 0 ? parts_add_list(c, p, of, list) : 0;
}

/* 1: part i was changed or dropped; 0: it is plain but for anyOf and oneOf. */
static int part_expand(struct schema *c, struct parts *p, size_t i, bool *never)
{
	static const struct {
		const char *key;
		int (*expand)(struct schema *c, struct parts *p, size_t i, struct part of);
	} row[] = {
		{ "unevaluatedProperties", scope_open },
		{ "unevaluatedItems", scope_open },
		{ "$ref", expand_ref },
		{ "allOf", expand_all },
		{ "not", expand_not },
		{ "if", expand_conditions },
		{ "dependentRequired", expand_conditions },
		{ "dependentSchemas", expand_conditions },
	};
	struct part *part = &p->at[i];
	if (!json_is_boolean(part->s) && ++c->steps > SCHEMA_STEPS_MAX)
		return schema_wrong(c, "it is too large when its branches are combined");
	if (!part->read && json_is_object(part->s)) {
		TRY(schema_read(c, part->s, &part->s));
		part->read = true;
	}
	if (json_is_false(part->s))
		*never = true;
	else if (!json_is_object(part->s) && !json_is_true(part->s))
		return schema_wrong(c, "a schema is an object or a boolean");
	if (json_is_boolean(part->s) || json_object_size(part->s) == 0) {
		part_drop(p, i);
		return 1;
	}
	for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
		if (get(part->s, row[k].key) != NULL) {
			TRY(row[k].expand(c, p, i, *part));
			return 1;
		}
	}
	return 0;
}

/* ---- writing ---- */

static int parts_value(struct schema *c, const struct parts *p, struct buf *body);

/* anyOf or oneOf of part i. */
static int branches(struct schema *c, const struct parts *all, size_t i, const char *key,
		    struct buf *body)
{
	bool exclusive = strcmp(key, "oneOf") == 0;
	const char *const keys[] = { key, exclusive ? "discriminator" : NULL, NULL };
	const json_t *s = all->at[i].s, *list = get(s, key), *one, *node = c->node;
	struct parts *p = malloc(sizeof *p), *branch = malloc(sizeof *branch);
	size_t k;
	int rc = p == NULL || branch == NULL ? schema_no_memory(c) : 0;
	if (rc == 0 && (!json_is_array(list) || json_array_size(list) == 0))
		rc = schema_wrong(c, "anyOf or oneOf is not a list of schemas");
	if (rc == 0 && exclusive)
		rc = schema_exclusive(c, s, &list);
	if (rc == 0) {
		*p = *all;
		rc = part_reduce(c, p, i, keys);
	}
	uint32_t ordered = c->once > 0 && json_array_size(list) > 1 ? 1 : 0;
	c->ordered += ordered;
	buf_add_text(body, "(");
	json_array_foreach((json_t *)list, k, one) {
		if (rc < 0)
			break;
		*branch = *p;
		c->node = node;
		buf_add_text(body, k > 0 ? " | " : "");
		rc = parts_add(c, branch, all->at[i], one);
		rc = rc < 0 ? rc : parts_value(c, branch, body);
	}
	buf_add_text(body, ")");
	c->ordered -= ordered;
	free(p);
	free(branch);
	return rc < 0 ? rc : buf_done(body, c->e);
}

/* The values of enum or const that all parts allow; 0: there is neither. */
static int constants(struct schema *c, const struct parts *p, struct buf *body)
{
	const json_t *list = NULL, *one;
	struct part other[PARTS_MAX];
	size_t k, kept = 0;
	memcpy(other, p->at, p->count * sizeof *other);
	for (size_t i = 0; i < p->count && list == NULL; i++) {
		one = get(p->at[i].s, "const");
		list = one != NULL ? schema_own(c, json_pack("[O]", one)) : get(p->at[i].s, "enum");
		if (one != NULL || list == NULL)
			continue;
		/* its values need not be looked up in it */
		json_t *rest = schema_own(c, json_copy((json_t *)p->at[i].s));
		if (rest == NULL || json_object_del(rest, "enum") < 0)
			return schema_no_memory(c);
		other[i].s = rest;
	}
	if (list == NULL)
		return 0;
	if (!json_is_array(list))
		return schema_wrong(c, "enum is not a list");
	if (p->scopes > 0)
		return schema_refuse(c, "enum or const beside unevaluated keywords");
	buf_add_text(body, "(");
	json_array_foreach((json_t *)list, k, one) {
		int ok = 1;
		for (size_t i = 0; i < p->count && ok > 0; i++)
			ok = schema_allows(c, other[i].s, one);
		TRY(ok);
		if (ok == 0)
			continue;
		buf_add_text(body, kept++ > 0 ? " | " : "");
		TRY(schema_constant(c, one, body));
	}
	buf_add_text(body, kept > 0 ? ")" : "[])");
	return 1;
}

/* Types whose values are few: those that are not excluded. */
static int few_values(struct schema *c, const json_t *s, unsigned type, struct buf *body)
{
	json_t *const value[] = { json_null(), json_false(), json_true() };
	const json_t *one;
	size_t i, kept = 0;
	for (unsigned k = type == TYPE_NULL ? 0 : 1; k < (type == TYPE_NULL ? 1 : 3); k++) {
		bool out = false;
		json_array_foreach(get(s, KEY_EXCLUDED), i, one)
			out = out || json_equal(one, value[k]);
		if (out)
			continue;
		buf_add_text(body, kept++ > 0 ? " | " : "");
		TRY(schema_constant(c, value[k], body));
	}
	buf_add_text(body, kept > 0 ? "" : "[]");
	return 0;
}

static int plain_value(struct schema *c, const json_t *s, struct buf *body)
{
	unsigned types = schema_types(s), done = 0;
	bool fraction = (types & TYPE_INTEGER) == 0;
	if (types != 0 && get(s, KEY_REFUSED) != NULL)
		return schema_refuse(c, json_string_value(json_array_get(get(s, KEY_REFUSED), 0)));
	if (types & TYPE_NUMBER)
		types &= ~(unsigned)TYPE_INTEGER;
	buf_add_text(body, "(");
	for (unsigned type = 1; type < TYPE_ALL; type <<= 1) {
		if ((types & type) == 0)
			continue;
		buf_add_text(body, done++ > 0 ? " | " : "");
		switch (type) {
		case TYPE_NULL:
		case TYPE_BOOLEAN:
			TRY(few_values(c, s, type, body));
			break;
		case TYPE_INTEGER:
		case TYPE_NUMBER:
			TRY(schema_number(c, s,
					  type == TYPE_INTEGER ? NUMBER_WHOLE
					  : fraction           ? NUMBER_FRACTION
							       : NUMBER_ANY,
					  body));
			break;
		case TYPE_STRING:
			TRY(schema_string(c, s, body));
			break;
		case TYPE_ARRAY:
			TRY(schema_array(c, s, body));
			break;
		default:
			TRY(schema_object(c, s, body));
			break;
		}
	}
	buf_add_text(body, done > 0 ? ")" : "[])");
	return buf_done(body, c->e);
}

/* ---- scopes ---- */

static bool is_within(const struct parts *p, int scope, int outer)
{
	while (scope >= 0 && scope != outer)
		scope = p->scope[scope].outer;
	return scope == outer;
}

/* What the parts of a scope have named: as a node in which others must be as the scope says. */
static int scope_node(struct schema *c, const struct parts *p, int scope, const json_t **out)
{
	const struct scope *of = &p->scope[scope];
	json_t *members = json_object(), *patterns = json_object(), *fixed = json_array();
	json_t *node =
		schema_own(c, json_pack("{s:o,s:o,s:o}", "properties", members, "patternProperties",
					patterns, "prefixItems", fixed));
	const json_t *layer;
	const char *name;
	json_t *v;
	size_t k;
	bool all_members = of->members == NULL, all_elements = of->elements == NULL;
	for (size_t i = 0; i < p->count; i++) {
		if (p->at[i].silent || !is_within(p, p->at[i].scope, scope))
			continue;
		json_array_foreach(get(p->at[i].s, KEY_OBJECT), k, layer) {
			json_object_foreach((json_t *)get(layer, "properties"), name, v)
				json_object_set_new(members, name, json_true());
			json_object_foreach((json_t *)get(layer, "patternProperties"), name, v)
				json_object_set_new(patterns, name, json_true());
			all_members = all_members || get(layer, "additionalProperties") != NULL;
		}
		json_array_foreach(get(p->at[i].s, KEY_ARRAY), k, layer) {
			while (json_array_size(fixed) < json_array_size(get(layer, "prefixItems")))
				json_array_append_new(fixed, json_true());
			all_elements = all_elements || get(layer, "items") != NULL;
		}
	}
	for (int i = 0; i < p->scopes; i++) { /* those within leave nothing unevaluated */
		if (i == scope || !is_within(p, i, scope))
			continue;
		all_members = all_members || p->scope[i].members != NULL;
		all_elements = all_elements || p->scope[i].elements != NULL;
	}
	*out = node;
	if (node == NULL)
		return schema_no_memory(c);
	if (!all_members)
		json_object_set(node, "additionalProperties", (json_t *)of->members);
	else
		json_object_del(node, "properties");
	if (all_members || json_object_size(patterns) == 0)
		json_object_del(node, "patternProperties");
	if (all_elements)
		json_object_del(node, "prefixItems");
	else
		json_object_set(node, "items", (json_t *)of->elements);
	return 0;
}

static int merged_value(struct schema *c, const struct parts *p, struct buf *body)
{
	const json_t *s = p->at[0].s, *more;
	json_t *m;
	for (size_t i = 1; i < p->count; i++) {
		TRY(schema_merge(c, s, p->at[i].s, &m));
		s = m;
	}
	for (int i = 0; i < p->scopes; i++) {
		TRY(scope_node(c, p, i, &more));
		TRY(schema_read(c, more, &more));
		TRY(schema_merge(c, s, more, &m));
		s = m;
	}
	return plain_value(c, s, body);
}

static int expanded_value(struct schema *c, struct parts *p, struct buf *body)
{
	bool never = false;
	for (size_t i = 0; i < p->count && !never;) {
		int changed = part_expand(c, p, i, &never);
		TRY(changed);
		i = changed > 0 ? 0 : i + 1;
	}
	if (never) {
		buf_add_text(body, "[]");
		return buf_done(body, c->e);
	}
	if (p->count == 0 && p->scopes == 0)
		return schema_shared(c, "value", body);
	if (p->count == 0) /* what a scope says is said of a part */
		p->at[p->count++] = (struct part){ schema_own(c, json_object()), true, true, -1 };
	if (c->out->len + body->len > SCHEMA_OUT_MAX)
		return schema_wrong(c, "its rules are longer than 8 MiB");
	int rc = constants(c, p, body);
	if (rc != 0)
		return rc < 0 ? rc : buf_done(body, c->e);
	for (size_t i = 0; i < p->count; i++) {
		if (get(p->at[i].s, "anyOf") != NULL)
			return branches(c, p, i, "anyOf", body);
		if (get(p->at[i].s, "oneOf") != NULL)
			return branches(c, p, i, "oneOf", body);
	}
	return merged_value(c, p, body);
}

/* A reference and nothing else, or the opposite of an author's node: the node that is meant, or
 * NULL. */
static const json_t *pure_ref(const struct schema *c, const struct parts *p, bool *opposite)
{
	const json_t *s = p->count == 1 && p->scopes == 0 && p->at[0].read ? p->at[0].s : NULL;
	if (s == NULL || json_object_size(s) != 1)
		return NULL;
	const json_t *target = get(s, "not");
	*opposite = target != NULL && schema_is_authors(c, target);
	return *opposite ? target : get(s, "$ref");
}

/* Recursion is as deep as the schema nests, and no deeper than the limit. */
static int parts_value(struct schema *c, const struct parts *from, struct buf *body)
{
	const json_t *target = NULL;
	bool opposite = false;
	struct parts *p = malloc(sizeof *p);
	if (p == NULL)
		return schema_no_memory(c);
	*p = *from;
	int rc = 0;
	if (++c->depth > DEPTH_MAX)
		rc = schema_wrong(c, "schemas nest too deeply, or combine recursion with allOf");
	if (rc == 0 && p->count == 1 && !p->at[0].read && json_is_object(p->at[0].s)) {
		rc = schema_read(c, p->at[0].s, &p->at[0].s);
		p->at[0].read = true;
	}
	if (rc == 0)
		target = pure_ref(c, p, &opposite);
	if (rc == 0)
		rc = target != NULL ? ref_value(c, target, opposite, body)
				    : expanded_value(c, p, body);
	free(p);
	c->depth--;
	return rc;
}

int schema_value(struct schema *c, const json_t *node, struct buf *body)
{
	struct parts *p = calloc(1, sizeof *p);
	const json_t *at = c->node;
	if (p == NULL)
		return schema_no_memory(c);
	p->at[0] = (struct part){ .s = node, .scope = -1 };
	p->count = 1;
	int rc = parts_value(c, p, body);
	free(p);
	c->node = rc < 0 ? c->node : at;
	return rc;
}

/* ---- from outside ---- */

static void compiler_free(struct schema *c)
{
	schema_kept_free(c);
	json_decref(c->owned);
	schema_places_close(c->places);
	json_decref(c->languages);
	free(c->known);
	free(c);
}

static struct schema *compiler(const json_t *root, const char *prefix, struct buf *rules,
			       json_t *unused, uint64_t *work, struct err *e)
{
	struct schema *c = calloc(1, sizeof *c);
	if (c == NULL)
		return NULL;
	*c = (struct schema){ .root = root,
			      .node = root,
			      .prefix = prefix,
			      .out = rules,
			      .owned = json_array(),
			      .unused = unused,
			      .work = work,
			      .e = e };
	if (c->owned == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

int schema_grammar(const json_t *schema, const char *prefix, struct buf *rules, json_t *unused,
		   uint64_t *work, struct err *e)
{
	struct schema *c = compiler(schema, prefix, rules, unused, work, e);
	struct buf body = { 0 };
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the schema");
	int rc = schema_places_open(c);
	uint32_t rule = schema_rule_begin(c);
	c->ref[c->refs] = schema;
	c->ref_rule[c->refs++] = rule;
	if (rc == 0)
		rc = schema_value(c, schema, &body);
	if (rc == 0) {
		schema_rule_write(c, rule, &body);
		buf_printf(rules, "%s ::= ", prefix);
		schema_rule_name(c, rule, rules);
		buf_add_text(rules, "\n");
		rc = buf_done(rules, e);
	}
	if (rc == 0)
		*e = (struct err){ 0 }; /* of what was tried another way */
	buf_free(&body);
	compiler_free(c);
	return rc;
}

int schema_grammar_object(const char *prefix, struct buf *rules, struct err *e)
{
	uint64_t work = 0;
	struct schema *c = compiler(NULL, prefix, rules, NULL, &work, e);
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the schema");
	buf_printf(rules, "%s ::= %s-object\n", prefix, prefix);
	int rc = schema_shared_object(c);
	compiler_free(c);
	return rc;
}

int schema_grammar_text(const json_t *schema, const char *prefix, const char *avoid,
			struct buf *rules, json_t *unused, uint64_t *work, struct err *e)
{
	struct schema *c = compiler(schema, prefix, rules, unused, work, e);
	struct regular *all = NULL, *bad = NULL, *good = NULL;
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the schema");
	int rc = schema_places_open(c);
	if (rc == 0)
		rc = schema_language(c, schema, &all);
	if (rc == 0)
		rc = regular_regex(&bad, avoid, strlen(avoid), true, work, e);
	if (rc == 0)
		rc = regular_subtract(&good, all, bad, e);
	if (rc == 0 && regular_is_empty(good))
		rc = err_set(e, ERR_INPUT, "nothing can satisfy the schema of a string");
	if (rc == 0)
		rc = regular_rules_plain(good, prefix, rules, e);
	regular_close(all);
	regular_close(bad);
	regular_close(good);
	compiler_free(c);
	return rc;
}
