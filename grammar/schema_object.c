/* Objects: '{' members '}', those of `properties` in its order, then required names that are
 * not there, then others.
 *
 * Others are made where additionalProperties, patternProperties or minProperties ask for them,
 * or if no member is named at all. Which schemas one must satisfy depends on which patterns its
 * name matches: names fall into classes, each a language of its own. Where members are counted
 * there is a rule for each member and number of members before it. */
#include "grammar/regular.h"
#include "grammar/schema_parts.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define CLASSES_MAX 64  /* of names, by the patterns that they match */
#define NAMES_LISTED 64 /* names that propertyNames allows: so few become members */

static const json_t *get(const json_t *s, const char *key) { return json_object_get(s, key); }

struct member {
	const char *name;
	const json_t *value;
	bool required;
};

struct object {
	const json_t *s;
	struct member *member;
	size_t count;
	json_t *names;      /* of all that are named, members or not: a list */
	const json_t *keys; /* what names must be: a node, or NULL */
	bool others;        /* members with other names are made */
	bool guarded;       /* their names differ, so that they can be counted */
	struct buf extra;   /* the rule of such a member; empty: none */
	uint64_t min, max;
};

/* ---- what is said of one name ---- */

/* By one layer; NULL: nothing. *asked: its additionalProperties or a pattern speaks of the name. */
static int layer_value(struct schema *c, const json_t *layer, const char *name, json_t **out)
{
	const json_t *named = get(get(layer, "properties"), name);
	bool any = named != NULL;
	const char *pattern;
	json_t *v, *all = json_incref((json_t *)named);
	json_object_foreach((json_t *)get(layer, "patternProperties"), pattern, v) {
		int found = schema_matches(c, pattern, name, strlen(name));
		if (found < 0)
			json_decref(all);
		TRY(found);
		if (found == 0)
			continue;
		json_t *more = schema_both(all, v);
		json_decref(all);
		all = more;
		any = true;
	}
	*out = any ? all : json_incref((json_t *)get(layer, "additionalProperties"));
	return 0;
}

static int name_value(struct schema *c, const struct object *o, const char *name,
		      const json_t **out)
{
	const json_t *layer;
	json_t *all = NULL, *one;
	size_t i;
	json_array_foreach(get(o->s, KEY_OBJECT), i, layer) {
		TRY(layer_value(c, layer, name, &one));
		all = schema_own(c, schema_both(all, schema_own(c, one)));
	}
	*out = all != NULL ? all : json_true();
	if (o->keys == NULL || json_is_false(*out))
		return 0;
	int ok = schema_node_allows(c, o->keys, schema_own(c, json_string(name)));
	TRY(ok);
	*out = ok > 0 ? *out : json_false();
	return 0;
}

/* ---- members ---- */

/* Add a name once. A member that nothing satisfies is left out if it may be. */
static int name_add(struct schema *c, struct object *o, json_t *seen, json_t *wanted,
		    const char *name)
{
	const json_t *value;
	if (get(seen, name) != NULL)
		return 0;
	TRY(name_value(c, o, name, &value));
	if (json_object_set_new(seen, name, json_true()) < 0 ||
	    json_array_append_new(o->names, json_string(name)) < 0)
		return schema_no_memory(c);
	bool required = get(wanted, name) != NULL;
	if (!json_is_false(value) || required)
		o->member[o->count++] = (struct member){ name, value, required };
	return 0;
}

/* The names of a list as a set, so that looking one up does not depend on their number. */
static json_t *names_set(struct schema *c, const json_t *list)
{
	json_t *set = schema_own(c, json_object()), *one;
	size_t i;
	json_array_foreach((json_t *)list, i, one) {
		if (set != NULL &&
		    json_object_set_new(set, json_string_value(one), json_true()) < 0)
			return NULL;
	}
	return set;
}

/* The few names that there may be, where propertyNames says so; *out NULL: others. */
static int names_listed(struct schema *c, const struct object *o, json_t **out)
{
	struct regular *r = NULL;
	*out = NULL;
	if (o->keys == NULL)
		return 0;
	TRY(schema_language(c, o->keys, &r));
	int rc = regular_list(out, r, NAMES_LISTED, c->e);
	regular_close(r);
	schema_own(c, *out);
	return rc;
}

static size_t names_count(const struct object *o, const json_t *listed)
{
	const json_t *layer;
	size_t i, n = json_array_size(get(o->s, "required")) + json_array_size(listed) + 1;
	json_array_foreach(get(o->s, KEY_OBJECT), i, layer)
		n += json_object_size(get(layer, "properties"));
	return n;
}

static int members_read(struct schema *c, struct object *o)
{
	json_t *seen = schema_own(c, json_object()), *v, *listed;
	json_t *wanted = names_set(c, get(o->s, "required"));
	const json_t *layer, *one;
	const char *name;
	size_t i;
	TRY(names_listed(c, o, &listed));
	o->names = schema_own(c, json_array());
	o->member = calloc(names_count(o, listed), sizeof *o->member);
	if (o->member == NULL || o->names == NULL || seen == NULL || wanted == NULL)
		return schema_no_memory(c);
	json_array_foreach(get(o->s, KEY_OBJECT), i, layer) {
		json_object_foreach((json_t *)get(layer, "properties"), name, v)
			TRY(name_add(c, o, seen, wanted, name));
	}
	json_array_foreach(get(o->s, "required"), i, one)
		TRY(name_add(c, o, seen, wanted, json_string_value(one)));
	json_array_foreach(get(o->s, KEY_OBJECT), i, layer) {
		const json_t *more = get(layer, "additionalProperties");
		o->others = o->others || (more != NULL && !json_is_false(more)) ||
			    json_object_size(get(layer, "patternProperties")) > 0;
	}
	o->others = o->others || json_array_size(o->names) == 0 || o->min > o->count;
	json_array_foreach(listed, i, one) {
		if (o->others)
			TRY(name_add(c, o, seen, wanted, json_string_value(one)));
	}
	o->others = o->others && listed == NULL;
	return 0;
}

/* ---- other members ---- */

/* Names of one class: of which patterns of each layer they match (a bit for each pattern). */
struct class
{
	struct regular *names;
	uint64_t matches;
};

struct classes {
	struct class at[CLASSES_MAX];
	size_t count;
	const char *pattern[CLASSES_MAX];
	size_t patterns;
};

/* The number of a pattern; k->patterns: it was not read. */
static size_t pattern_find(const struct classes *k, const char *pattern)
{
	size_t n = 0;
	while (n < k->patterns && strcmp(k->pattern[n], pattern) != 0)
		n++;
	return n;
}

static int patterns_read(struct schema *c, const json_t *s, struct classes *k)
{
	const json_t *layer;
	const char *pattern;
	json_t *v;
	size_t i;
	json_array_foreach(get(s, KEY_OBJECT), i, layer) {
		json_object_foreach((json_t *)get(layer, "patternProperties"), pattern, v) {
			size_t n = pattern_find(k, pattern);
			if (n == CLASSES_MAX)
				return schema_refuse(
					c, "patternProperties with more than 64 patterns");
			k->pattern[n] = pattern;
			k->patterns += n == k->patterns;
		}
	}
	return 0;
}

/* Split each class by whether its names match pattern n. */
static int classes_split(struct schema *c, struct classes *k, size_t n)
{
	struct regular *r = NULL, *both = NULL, *rest = NULL;
	size_t count = k->count;
	TRY(schema_language_kept(c, k->pattern[n], true, &r));
	int rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++) {
		struct class *one = &k->at[i];
		rc = regular_intersect(&both, one->names, r, c->e);
		if (rc < 0)
			break;
		rc = regular_subtract(&rest, one->names, r, c->e);
		if (rc == 0 && k->count == CLASSES_MAX)
			rc = schema_refuse(c, "patternProperties that overlap in so many ways");
		if (rc < 0) {
			regular_close(both);
			regular_close(rest);
			break;
		}
		regular_close(one->names);
		one->names = rest;
		k->at[k->count++] = (struct class){ both, one->matches | (uint64_t)1 << n };
	}
	size_t kept = 0;
	for (size_t i = 0; i < k->count; i++) {
		if (regular_is_empty(k->at[i].names))
			regular_close(k->at[i].names);
		else
			k->at[kept++] = k->at[i];
	}
	k->count = kept;
	return rc;
}

/* All names that are not among the members, then by pattern. */
static int classes_read(struct schema *c, const struct object *o, struct classes *k)
{
	struct regular *all = NULL, *named = NULL;
	TRY(o->keys != NULL ? schema_language(c, o->keys, &all)
			    : regular_length(&all, 0, UINT64_MAX, c->work, c->e));
	k->at[k->count++] = (struct class){ all, 0 };
	TRY(regular_texts(&named, o->names, c->work, c->e));
	int rc = regular_subtract(&k->at[0].names, all, named, c->e);
	regular_close(rc < 0 ? NULL : all);
	regular_close(named);
	if (rc < 0)
		k->at[0].names = all;
	for (size_t n = 0; n < k->patterns && rc == 0; n++)
		rc = classes_split(c, k, n);
	return rc;
}

/* What members of the class must be. NULL: there are none of it. */
static const json_t *class_value(struct schema *c, const struct object *o, const struct classes *k,
				 const struct class *of)
{
	const json_t *layer;
	json_t *all = json_true(), *v;
	const char *pattern;
	size_t i;
	bool asked = k->patterns == 0;
	json_array_foreach(get(o->s, KEY_OBJECT), i, layer) {
		bool any = false;
		json_object_foreach((json_t *)get(layer, "patternProperties"), pattern, v) {
			size_t n = pattern_find(k, pattern);
			check(n < k->patterns);
			if ((of->matches >> n & 1) == 0)
				continue;
			all = schema_own(c, schema_both(all, v));
			any = true;
		}
		v = json_object_get(layer, "additionalProperties");
		asked = asked || any || v != NULL;
		if (!any && v != NULL)
			all = schema_own(c, schema_both(all, v));
	}
	/* names that no pattern and no additionalProperties speaks of are not made */
	return json_is_false(all) || (!asked && o->min <= o->count) ? NULL : all;
}

/* Append `name ":" value` as an alternative of body. */
static int extra_add(struct schema *c, const struct object *o, const struct buf *name,
		     const json_t *value, struct buf *body)
{
	buf_add_text(body, body->len > 0 ? " | " : "");
	buf_add_text(body, o->guarded ? "@once(" : "");
	buf_add_buf(body, name);
	buf_add_text(body, o->guarded ? ")" : "");
	buf_printf(body, " \":\" %s", schema_space(c));
	return schema_rule_value(c, value, body);
}

static int classes_write(struct schema *c, const struct object *o, struct classes *k,
			 struct buf *body)
{
	TRY(patterns_read(c, o->s, k));
	TRY(classes_read(c, o, k));
	for (size_t i = 0; i < k->count; i++) {
		const json_t *value = class_value(c, o, k, &k->at[i]);
		struct buf name = { 0 };
		if (value == NULL)
			continue;
		int rc = schema_language_write(c, k->at[i].names, &name);
		k->at[i].names = NULL;
		rc = rc < 0 ? rc : extra_add(c, o, &name, value, body);
		buf_free(&name);
		TRY(rc);
	}
	return 0;
}

static bool has_patterns(const struct object *o)
{
	const json_t *layer;
	size_t i;
	bool any = o->keys != NULL;
	json_array_foreach(get(o->s, KEY_OBJECT), i, layer)
		any = any || json_object_size(get(layer, "patternProperties")) > 0;
	return any;
}

static int extra_rule(struct schema *c, struct object *o)
{
	struct buf body = { 0 }, name = { 0 };
	struct classes *k = calloc(1, sizeof *k);
	const json_t *value;
	int rc = k == NULL ? schema_no_memory(c) : 0;
	if (rc == 0 && has_patterns(o)) {
		rc = classes_write(c, o, k, &body);
	} else if (rc == 0) {
		value = class_value(c, o, k, &k->at[0]);
		c->once += o->guarded;
		if (value != NULL)
			rc = schema_other_string(c, o->names, &name);
		c->once -= o->guarded;
		if (value != NULL && rc == 0)
			rc = extra_add(c, o, &name, value, &body);
	}
	for (size_t i = 0; k != NULL && i < k->count; i++)
		regular_close(k->at[i].names);
	free(k);
	buf_free(&name);
	if (rc == 0 && body.len > 0)
		return schema_rule_of(c, &body, &o->extra);
	buf_free(&body);
	return rc;
}

/* ---- writing ---- */

static int member_rule(struct schema *c, const struct member *m, struct buf *out)
{
	struct buf body = { 0 }, key = { 0 };
	check(m->name != NULL);
	text_json_string(&key, m->name, strlen(m->name));
	buf_add_text(&key, ":");
	schema_literal(&body, key.bytes != NULL ? key.bytes : "", key.len);
	body.failed |= key.failed;
	buf_free(&key);
	buf_add_text(&body, schema_space(c));
	int rc = schema_value(c, m->value, &body);
	if (rc < 0)
		buf_free(&body);
	return rc < 0 ? rc : schema_rule_of(c, &body, out);
}

/* The rules for what may follow from member i on: one rule for each i, which ends in the rule for i
 * + 1. */
static int object_body(struct schema *c, const struct object *o, struct buf *body)
{
	struct buf tail = { 0 }, first = { 0 };
	const char *extra = o->extra.bytes, *comma = schema_comma(c),
		   *many = c->once > 0 ? "?" : "*";
	int rc = 0;
	bool none = true; /* no member of those before i is required */
	bool failed = false;
	if (extra != NULL)
		buf_printf(&tail, "(%s%s)%s", comma, extra, many);
	for (size_t i = o->count; i-- > 0 && rc == 0;) {
		struct buf name = { 0 }, line = { 0 }, end = { 0 };
		rc = member_rule(c, &o->member[i], &name);
		if (rc == 0 && tail.len > 0)
			rc = schema_rule_of(c, &tail, &end);
		const char *rest = end.len > 0 ? end.bytes : "";
		/* the first member of all: this one, or a later one if this is optional */
		if (rc == 0 && o->member[i].required)
			buf_clear(&first);
		if (rc == 0) {
			buf_printf(&line, "%s%s %s", first.len > 0 ? " | " : "", name.bytes, rest);
			buf_add_buf(&first, &line);
			buf_printf(&tail, o->member[i].required ? "%s%s %s" : "(%s%s)? %s", comma,
				   name.bytes, rest);
			none = none && !o->member[i].required;
		}
		failed |= name.failed || end.failed || first.failed || tail.failed;
		buf_free(&name);
		buf_free(&line);
		buf_free(&end);
	}
	if (rc == 0) {
		buf_add_text(body, "\"{\" (");
		buf_add(body, first.bytes, first.len);
		if (none && extra != NULL)
			buf_printf(body, c->once > 0 ? "%s%s" : "%s%s (%s%s)*",
				   first.len > 0 ? " | " : "", extra, comma, extra);
		buf_add_text(body, none ? " | \"\") \"}\"" : ") \"}\"");
	}
	body->failed |= failed;
	buf_free(&tail);
	buf_free(&first);
	return rc < 0 ? rc : buf_done(body, c->e);
}

/* ---- counted ---- */

/* Rule (i, n): what may follow before member i, with n members so far; n stays at `most`, which is
 * the maximum, or the minimum if there is none. */
struct counted {
	const struct object *o;
	const struct buf *member; /* [count]: names of their rules */
	uint32_t first, most;
};

static void counted_name(const struct schema *c, const struct counted *k, size_t i, uint64_t n,
			 struct buf *b)
{
	n = n < k->most ? n : k->most;
	schema_rule_name(c, k->first + (uint32_t)i * (k->most + 1) + (uint32_t)n, b);
}

/* Other members may repeat a name, unless they are guarded: at most one counts for the minimum. */
static void counted_end(const struct schema *c, const struct counted *k, uint64_t n, struct buf *b)
{
	const struct object *o = k->o;
	const char *extra = o->extra.bytes, *comma = schema_comma(c);
	uint64_t least = n < o->min ? o->min - n : 0,
		 left = o->max == UINT64_MAX ? UINT64_MAX : o->max - (n < o->max ? n : o->max);
	if (c->once > 0 && left > 1)
		left = 1;
	if (least > 0 && (extra == NULL || left < least || (least > 1 && !o->guarded))) {
		buf_add_text(b, "[]");
		return;
	}
	if (extra == NULL || left == 0) {
		buf_add_text(b, "\"\"");
		return;
	}
	buf_printf(b, least > 0 ? "(%s%s" : "(\"\" | %s%s", n > 0 ? comma : "", extra);
	buf_printf(b, " (%s%s){%llu,", comma, extra,
		   (unsigned long long)(least > 0 ? least - 1 : 0));
	if (left == UINT64_MAX)
		buf_add_text(b, "})");
	else
		buf_printf(b, "%llu})",
			   (unsigned long long)(left - 1 < LIMIT_CONSTRAINT_REPEAT
							? left - 1
							: LIMIT_CONSTRAINT_REPEAT));
}

static void counted_rule(struct schema *c, const struct counted *k, size_t i, uint32_t n)
{
	const struct object *o = k->o;
	struct buf line = { 0 };
	if (i == o->count) {
		counted_end(c, k, n, &line);
	} else {
		buf_add_text(&line, "[]");
		if (n < o->max) {
			buf_printf(&line, " | %s%s ", n > 0 ? schema_comma(c) : "",
				   k->member[i].bytes != NULL ? k->member[i].bytes : "");
			counted_name(c, k, i + 1, (uint64_t)n + 1, &line);
		}
		if (!o->member[i].required) {
			buf_add_text(&line, " | ");
			counted_name(c, k, i + 1, n, &line);
		}
	}
	schema_rule_write(c, k->first + (uint32_t)i * (k->most + 1) + n, &line);
	buf_free(&line);
}

static int counted_body(struct schema *c, const struct object *o, struct buf *body)
{
	uint64_t most = o->max != UINT64_MAX ? o->max : o->min;
	struct counted k = { .o = o };
	/* more than there are members is as good as one more, since others are counted apart */
	if (most > o->count + 1)
		most = o->count + 1;
	k.most = (uint32_t)(most > 0 ? most : 1);
	if ((o->count + 1) * (k.most + 1) > SCHEMA_RULES_MAX)
		return schema_refuse(c, "minProperties or maxProperties over so many members");
	struct buf *member = calloc(o->count + 1, sizeof *member);
	int rc = member == NULL ? schema_no_memory(c) : 0;
	for (size_t i = 0; i < o->count && rc == 0; i++)
		rc = member_rule(c, &o->member[i], &member[i]);
	k.member = member;
	k.first = c->rules + 1;
	c->rules += rc == 0 ? (uint32_t)(o->count + 1) * (k.most + 1) : 0;
	for (size_t i = 0; i <= o->count && rc == 0; i++) {
		for (uint32_t n = 0; n <= k.most; n++)
			counted_rule(c, &k, i, n);
	}
	for (size_t i = 0; member != NULL && i < o->count; i++)
		buf_free(&member[i]);
	free(member);
	if (rc < 0)
		return rc;
	buf_add_text(body, o->guarded ? "\"{\" @scope(" : "\"{\" ");
	counted_name(c, &k, 0, 0, body);
	buf_add_text(body, o->guarded ? ") \"}\"" : " \"}\"");
	return buf_done(body, c->e);
}

/* ---- objects ---- */

static int limits_read(struct schema *c, struct object *o)
{
	const json_t *one, *names = get(o->s, "propertyNames");
	size_t i;
	TRY(schema_count(c, o->s, "minProperties", &o->min));
	TRY(schema_count(c, o->s, "maxProperties", &o->max));
	json_array_foreach(get(o->s, KEY_EXCLUDED), i, one) {
		if (json_is_object(one) && json_object_size(one) > 0)
			return schema_refuse(c, "not over a const that is an object");
		if (json_is_object(one) && o->min == 0)
			o->min = 1;
	}
	if (names == NULL)
		return 0;
	o->keys = schema_own(c, json_pack("{s:O,s:s}", "allOf", names, "type", "string"));
	return o->keys == NULL ? schema_no_memory(c) : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static int object_write(struct schema *c, struct object *o, struct buf *body)
{
	uint64_t required = 0;
	TRY(limits_read(c, o));
	TRY(members_read(c, o));
	for (size_t i = 0; i < o->count; i++)
		required += o->member[i].required;
	if (c->ordered > 0) {
		qsort(o->member, o->count, sizeof *o->member, by_name);
		o->others = false;
	}
	o->guarded = o->others && o->min > 1 && c->once == 0;
	TRY(o->others && o->max > required ? extra_rule(c, o) : 0);
	bool counts = o->min > required || o->max < o->count ||
		      (o->max != UINT64_MAX && o->extra.len > 0);
	return counts ? counted_body(c, o, body) : object_body(c, o, body);
}

int schema_object(struct schema *c, const json_t *s, struct buf *body)
{
	struct object o = { .s = s, .max = UINT64_MAX };
	struct buf own = { 0 };
	int rc = object_write(c, &o, &own);
	free(o.member);
	buf_free(&o.extra);
	if (rc < 0)
		buf_free(&own);
	return rc < 0 ? rc : schema_rule_of(c, &own, body);
}
