/* The strings that a schema allows, as a regular language: of the keywords about strings and of
 * branches, exactly. A format is its expression where strings must have it; under `not` it is an
 * annotation, so that what remains is right by readers of both kinds. */
#include "grammar/regular.h"
#include "grammar/schema_parts.h"

#include "base/limits.h"

#include <string.h>

static const json_t *get(const json_t *s, const char *key) { return json_object_get(s, key); }

/* *a becomes what both have, or what either has; b is closed. */
static int join(struct schema *c, struct regular **a, struct regular *b, bool both)
{
	struct regular *out = NULL;
	int rc = both ? regular_intersect(&out, *a, b, c->e) : regular_unite(&out, *a, b, c->e);
	regular_close(*a);
	regular_close(b);
	*a = out;
	return rc;
}

static int turn(struct schema *c, struct regular **a)
{
	struct regular *out = NULL;
	int rc = regular_complement(&out, *a, c->e);
	regular_close(*a);
	*a = out;
	return rc;
}

/* Errors about an expression say where it stands. */
static int place_error(struct schema *c, const char *what, int rc)
{
	struct buf place = { 0 };
	if (rc == ERR_NOMEM || rc == 0)
		return rc;
	schema_place(c, c->node, &place);
	err_prefix(c->e, "%s at #%.200s", what, place.len > 0 ? place.bytes : "");
	buf_free(&place);
	return rc;
}

/* ---- keywords ---- */

/* The languages of these expressions, or (not_these) of what they do not match. */
static int expressions_join(struct schema *c, const json_t *list, bool search, bool not_these,
			    struct regular **all)
{
	const json_t *one;
	struct regular *r = NULL, *out = NULL;
	size_t i;
	json_array_foreach((json_t *)list, i, one) {
		const char *regex = json_string_value(one);
		if (regex == NULL)
			return schema_wrong(c, "pattern is not a string");
		TRY(schema_language_kept(c, search ? regex : schema_format(regex), search, &r));
		TRY(place_error(c, "pattern",
				not_these ? regular_subtract(&out, *all, r, c->e)
					  : regular_intersect(&out, *all, r, c->e)));
		regular_close(*all);
		*all = out;
	}
	return 0;
}

static int texts_join(struct schema *c, const json_t *list, bool not_these, struct regular **all)
{
	struct regular *r = NULL;
	if (list == NULL)
		return 0;
	TRY(regular_texts(&r, list, c->work, c->e));
	TRY(not_these ? turn(c, &r) : 0);
	return join(c, all, r, true);
}

static int keywords_language(struct schema *c, const json_t *s, struct regular **all)
{
	uint64_t min = 0, max = UINT64_MAX;
	struct regular *r = NULL;
	const json_t *one = get(s, "const");
	json_t *own = one != NULL ? schema_own(c, json_pack("[O]", one)) : NULL;
	TRY(schema_count(c, s, "minLength", &min));
	TRY(schema_count(c, s, "maxLength", &max));
	if ((schema_types(s) & TYPE_STRING) == 0 && get(s, "type") != NULL) {
		min = 1;
		max = 0;
	}
	if (min > LIMIT_CONSTRAINT_REPEAT)
		return schema_refuse(c, "minLength over 10000");
	if (max > LIMIT_CONSTRAINT_REPEAT && max != UINT64_MAX && !c->opposite)
		max = LIMIT_CONSTRAINT_REPEAT; /* shorter strings are valid too */
	if (min > 0 || max != UINT64_MAX) {
		TRY(regular_length(&r, min, max, c->work, c->e));
		TRY(join(c, all, r, true));
	}
	TRY(texts_join(c, own, false, all));
	TRY(texts_join(c, get(s, "enum"), false, all));
	TRY(texts_join(c, get(s, KEY_EXCLUDED), true, all));
	TRY(expressions_join(c, get(s, "pattern"), true, false, all));
	TRY(expressions_join(c, get(s, KEY_UNMATCHED), true, true, all));
	return c->opposite ? 0 : expressions_join(c, get(s, "format"), false, false, all);
}

/* ---- branches ---- */

static int list_language(struct schema *c, const json_t *list, bool all_of, struct regular **out)
{
	const json_t *one;
	struct regular *r = NULL;
	size_t i;
	int rc = 0;
	*out = NULL;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return schema_wrong(c, "anyOf, oneOf or allOf is not a list of schemas");
	json_array_foreach((json_t *)list, i, one) {
		if (rc == 0)
			rc = schema_language(c, one, i == 0 ? out : &r);
		if (rc == 0 && i > 0)
			rc = join(c, out, r, all_of);
	}
	if (rc < 0)
		regular_close(*out);
	return rc;
}

static int not_language(struct schema *c, const json_t *node, struct regular **out)
{
	c->opposite = !c->opposite;
	int rc = schema_language(c, node, out);
	c->opposite = !c->opposite;
	return rc < 0 ? rc : turn(c, out);
}

/* *all becomes what it and the node (NULL: any) both have. */
static int also(struct schema *c, struct regular **all, const json_t *node)
{
	struct regular *r = NULL;
	TRY(node != NULL ? schema_language(c, node, &r) : 0);
	return node != NULL ? join(c, all, r, true) : 0;
}

static int condition_language(struct schema *c, const json_t *s, struct regular **out)
{
	struct regular *with = NULL, *without = NULL;
	TRY(schema_language(c, get(s, "if"), &with));
	int rc = also(c, &with, get(s, "then"));
	if (rc == 0)
		rc = not_language(c, get(s, "if"), &without);
	if (rc == 0)
		rc = also(c, &without, get(s, "else"));
	if (rc == 0)
		rc = regular_unite(out, with, without, c->e);
	regular_close(with);
	regular_close(without);
	return rc;
}

static int branches_language(struct schema *c, const json_t *s, struct regular **all)
{
	static const char *const lists[] = { "allOf", "anyOf", "oneOf" };
	const json_t *list = NULL;
	struct regular *r = NULL;
	if (get(s, "$ref") != NULL) {
		TRY(schema_language(c, get(s, "$ref"), &r));
		TRY(join(c, all, r, true));
	}
	for (int i = 0; i < 3; i++) {
		if ((list = get(s, lists[i])) == NULL)
			continue;
		if (i == 2)
			TRY(schema_exclusive(c, s, &list));
		TRY(list_language(c, list, i == 0, &r));
		TRY(join(c, all, r, true));
	}
	if (get(s, "not") != NULL) {
		TRY(not_language(c, get(s, "not"), &r));
		TRY(join(c, all, r, true));
	}
	if (get(s, "if") != NULL) {
		TRY(condition_language(c, s, &r));
		TRY(join(c, all, r, true));
	}
	return 0;
}

int schema_language_read(struct schema *c, const json_t *s, struct regular **out)
{
	struct regular *all = NULL;
	*out = NULL;
	TRY(regular_length(&all, 0, UINT64_MAX, c->work, c->e));
	int rc = keywords_language(c, s, &all);
	if (rc == 0)
		rc = branches_language(c, s, &all);
	if (rc < 0)
		regular_close(all);
	else
		*out = all;
	return rc;
}

/* Recursion is bounded by depth: a name is no tree. */
int schema_language(struct schema *c, const json_t *node, struct regular **out)
{
	const json_t *s;
	*out = NULL;
	if (json_is_boolean(node))
		return regular_length(out, json_is_true(node) ? 0 : 1,
				      json_is_true(node) ? UINT64_MAX : 0, c->work, c->e);
	if (!json_is_object(node))
		return schema_wrong(c, "a schema is an object or a boolean");
	if (++c->depth > LIMIT_CONSTRAINT_NESTING || ++c->steps > SCHEMA_STEPS_MAX)
		return schema_wrong(c, "schemas nest too deeply, or combine recursion with allOf");
	const json_t *at = c->node;
	TRY(schema_read(c, node, &s));
	int rc = schema_language_read(c, s, out);
	c->node = rc < 0 ? c->node : at;
	c->depth--;
	return rc;
}

int schema_language_write(struct schema *c, struct regular *r, struct buf *out)
{
	char prefix[128];
	uint32_t rule = schema_rule_begin(c);
	(void)snprintf(prefix, sizeof prefix, "%.100s-%u", c->prefix, rule);
	int rc = regular_rules(r, prefix, c->out, c->e);
	regular_close(r);
	buf_printf(out, "\"\\\"\" %s \"\\\"\"", prefix);
	return rc < 0 ? rc : buf_done(out, c->e);
}

int schema_language_bytes(struct schema *c, const json_t *s, size_t *bytes)
{
	struct regular *r = NULL;
	struct buf rules = { 0 };
	if (s == NULL)
		return schema_no_memory(c);
	TRY(schema_language_read(c, s, &r));
	int rc = regular_rules(r, "root", &rules, c->e);
	*bytes = rules.len;
	regular_close(r);
	buf_free(&rules);
	return rc;
}

/* ---- one text ---- */

/* Languages of patterns are kept: a list of values asks for the same ones. */
int schema_language_kept(struct schema *c, const char *regex, bool search, struct regular **out)
{
	char key = search ? 's' : 'w';
	json_t *name = schema_own(c, json_sprintf("%c%s", key, regex));
	if (name == NULL || (c->kept == NULL && (c->kept = json_object()) == NULL))
		return schema_no_memory(c);
	const json_t *at = get(c->kept, json_string_value(name));
	if (at != NULL) {
		*out = c->keep[json_integer_value(at)];
		return place_error(c, "pattern", regular_charge(*out, 1, c->e));
	}
	size_t n = json_object_size(c->kept);
	if (n == SCHEMA_KEPT_MAX)
		return schema_refuse(c, "pattern beside so many others");
	TRY(place_error(c, "pattern",
			regular_regex(out, regex, strlen(regex), search, c->work, c->e)));
	c->keep[n] = *out;
	json_object_set_new(c->kept, json_string_value(name), json_integer((json_int_t)n));
	return 0;
}

int schema_matches(struct schema *c, const char *pattern, const char *text, size_t len)
{
	struct regular *r = NULL;
	TRY(schema_language_kept(c, pattern, true, &r));
	return regular_holds(r, text, len);
}

int schema_text_allows(struct schema *c, const json_t *s, const char *text, size_t len)
{
	static const char *const keys[] = { "pattern", KEY_UNMATCHED, "format" };
	const json_t *one;
	struct regular *r = NULL;
	size_t i;
	for (int k = 0; k < 3; k++) {
		json_array_foreach(get(s, keys[k]), i, one) {
			const char *regex = json_string_value(one);
			if (regex == NULL)
				return schema_wrong(c, "pattern is not a string");
			TRY(schema_language_kept(c, k == 2 ? schema_format(regex) : regex, k < 2,
						 &r));
			if (regular_holds(r, text, len) == (k == 1))
				return 0;
		}
	}
	return 1;
}

void schema_kept_free(struct schema *c)
{
	for (size_t i = 0; i < json_object_size(c->kept); i++)
		regular_close(c->keep[i]);
	json_decref(c->kept);
}
