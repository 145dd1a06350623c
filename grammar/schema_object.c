/* Objects and arrays.
 *
 *   object := '{' first? '}': members in the order of `properties`, then required names that are
 *   not there, then, where additionalProperties allows, others with any other name. Without
 *   additionalProperties there are others only if no property is named at all.
 *   array  := '[' elements ']': those of prefixItems all, then items. */
#include "grammar/schema_parts.h"

#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define COMMA "\",\" \" \"? "

/* ---- path ---- */

static size_t path_push(struct schema *c, const char *a, const char *b)
{
	size_t before = c->path.len;
	buf_printf(&c->path, "/%s/%s", a, b);
	return before;
}

static void path_pop(struct schema *c, size_t before) { c->path.len = before; }

/* A value at a deeper place, as an expression. */
static int value_at(struct schema *c, const char *a, const char *b, const json_t *node,
		    struct buf *body)
{
	size_t before = path_push(c, a, b);
	int rc = schema_value(c, node, body);
	if (rc == 0)
		path_pop(c, before);
	return rc;
}

/* Write a rule of this body and put its name into out; body is freed. */
static int rule_of(struct schema *c, struct buf *body, struct buf *out)
{
	uint32_t rule = schema_rule_begin(c);
	schema_rule_write(c, rule, body);
	schema_rule_name(c, rule, out);
	buf_free(body);
	return buf_done(c->out, c->e) < 0 ? ERR_NOMEM : buf_done(out, c->e);
}

/* ---- names that are not among the properties ---- */

struct branch {
	uint32_t lo, hi, offset, rule;
}; /* names [lo, hi) share offset bytes */

struct names {
	const char **name; /* [count], sorted */
	uint32_t count;
	bool escaped; /* there are others, which need escapes */
	struct branch *todo;
	uint32_t todos, room;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names that need escapes are spelled otherwise than any other name here. */
static bool is_raw(const char *name)
{
	for (; *name != '\0'; name++) {
		if ((unsigned char)*name < 0x20 || *name == '"' || *name == '\\')
			return false;
	}
	return true;
}

static bool branch_push(struct names *n, struct branch b)
{
	if (n->todos == n->room) {
		uint32_t room = n->room * 2 + 16;
		struct branch *more = realloc(n->todo, room * sizeof *more);
		if (more == NULL)
			return false;
		n->todo = more;
		n->room = room;
	}
	n->todo[n->todos++] = b;
	return true;
}

/* The rule of one branch: the end unless a name ends here, a character that no name goes on with
 * and then anything, or a character that one does. */
static bool branch_write(struct schema *c, struct names *n, struct branch b)
{
	struct buf body = { 0 }, others = { 0 };
	uint32_t i = b.lo;
	bool ends = i < b.hi && n->name[i][b.offset] == '\0', ok = true;
	buf_add_text(&body, ends ? "[]" : "\"\\\"\"");
	for (i += ends; i < b.hi && ok;) {
		uint32_t cp, next = i;
		const char *at = n->name[i] + b.offset;
		int len = text_utf8_decode(at, strnlen(at, 4), &cp);
		len = len > 0 ? len : 1;
		while (next < b.hi && strncmp(n->name[next] + b.offset, at, (size_t)len) == 0)
			next++;
		uint32_t rule = schema_rule_begin(c);
		ok = branch_push(n, (struct branch){ i, next, b.offset + (uint32_t)len, rule });
		buf_printf(&others, "\\U%08X", cp);
		buf_printf(&body, " | [\\U%08X] ", cp);
		schema_rule_name(c, rule, &body);
		i = next;
	}
	buf_add_text(&body, " | [^\"\\\\\\x00-\\x1F");
	buf_add_buf(&body, &others);
	buf_add_text(&body, "] [^\"\\\\\\x00-\\x1F]* \"\\\"\"");
	schema_rule_write(c, b.rule, &body);
	buf_free(&body);
	buf_free(&others);
	return ok;
}

/* A string that is no name in the list. */
static int other_name(struct schema *c, struct names *n, struct buf *out)
{
	bool ok = true;
	if (n->count == 0 && !n->escaped)
		return schema_shared(c, "string", out);
	qsort(n->name, n->count, sizeof *n->name, by_text);
	uint32_t rule = schema_rule_begin(c);
	ok = branch_push(n, (struct branch){ 0, n->count, 0, rule });
	while (ok && n->todos > 0 && c->out->len <= SCHEMA_OUT_MAX)
		ok = branch_write(c, n, n->todo[--n->todos]);
	if (c->out->len > SCHEMA_OUT_MAX)
		return schema_wrong(c, "its rules are longer than 8 MiB");
	buf_add_text(out, "\"\\\"\" ");
	schema_rule_name(c, rule, out);
	return ok ? buf_done(out, c->e) : err_set(c->e, ERR_NOMEM, "out of memory for the schema");
}

/* ---- members ---- */

struct member {
	const char *name;
	const json_t *value;
	bool required;
};

struct object {
	struct member *member;
	size_t count;
	const json_t *extra; /* of other members; NULL: none */
};

/* The names of a list as a set, so that looking one up does not depend on their number. */
static json_t *names_set(struct schema *c, const json_t *list)
{
	json_t *set = schema_own(c, json_object()), *one;
	size_t i;
	json_array_foreach((json_t *)list, i, one)
	{
		if (set != NULL && json_is_string(one) &&
		    json_object_set_new(set, json_string_value(one), json_true()) < 0)
			return NULL;
	}
	return set;
}

static int members_read(struct schema *c, const json_t *s, struct object *o)
{
	const json_t *properties = json_object_get(s, "properties"),
		     *required = json_object_get(s, "required"),
		     *extra = json_object_get(s, "additionalProperties");
	const char *name;
	json_t *v, *wanted;
	size_t i;
	if ((properties != NULL && !json_is_object(properties)) ||
	    (required != NULL && !json_is_array(required)))
		return schema_wrong(c, "properties is not an object or required not a list");
	o->member = calloc(json_object_size(properties) + json_array_size(required) + 1,
			   sizeof *o->member);
	wanted = names_set(c, required);
	if (o->member == NULL || wanted == NULL)
		return err_set(c->e, ERR_NOMEM, "out of memory for the schema");
	json_object_foreach((json_t *)properties, name, v)
		o->member[o->count++] =
			(struct member){ name, v, json_object_get(wanted, name) != NULL };
	json_array_foreach((json_t *)required, i, v)
	{
		name = json_string_value(v);
		if (name == NULL)
			return schema_wrong(c, "required is not a list of strings");
		if (json_object_get(properties, name) == NULL &&
		    json_object_del(wanted, name) == 0) /* the first time */
			o->member[o->count++] = (struct member){
				name, extra != NULL ? extra : schema_own(c, json_true()), true
			};
	}
	o->extra = extra != NULL ? extra : o->count == 0 ? schema_own(c, json_true()) : NULL;
	if (json_is_false(o->extra))
		o->extra = NULL;
	return 0;
}

static int counts_check(struct schema *c, const json_t *s, const struct object *o)
{
	uint64_t min = 0, max = UINT64_MAX, required = 0;
	TRY(schema_count(c, s, "minProperties", &min));
	TRY(schema_count(c, s, "maxProperties", &max));
	for (size_t i = 0; i < o->count; i++)
		required += o->member[i].required;
	if (min > required)
		return schema_refuse(c, "minProperties beyond the required ones");
	if (max < o->count || (max != UINT64_MAX && o->extra != NULL))
		return schema_refuse(c, "maxProperties");
	return 0;
}

static int member_rule(struct schema *c, const struct member *m, struct buf *out)
{
	struct buf body = { 0 }, key = { 0 };
	text_json_string(&key, m->name, strlen(m->name));
	buf_add_text(&key, ":");
	schema_literal(&body, key.bytes != NULL ? key.bytes : "", key.len);
	body.failed |= key.failed;
	buf_free(&key);
	buf_add_text(&body, " \" \"? ");
	int rc = value_at(c, "properties", m->name, m->value, &body);
	if (rc < 0)
		buf_free(&body);
	return rc < 0 ? rc : rule_of(c, &body, out);
}

static int extra_rule(struct schema *c, const struct object *o, struct buf *out)
{
	struct names n = { .name = calloc(o->count + 1, sizeof *n.name) };
	struct buf body = { 0 };
	int rc = n.name == NULL ? err_set(c->e, ERR_NOMEM, "out of memory for the schema") : 0;
	for (size_t i = 0; rc == 0 && i < o->count; i++) {
		if (is_raw(o->member[i].name))
			n.name[n.count++] = o->member[i].name;
		else
			n.escaped = true;
	}
	if (rc == 0)
		rc = other_name(c, &n, &body);
	buf_add_text(&body, " \":\" \" \"? ");
	if (rc == 0)
		rc = value_at(c, "additionalProperties", "", o->extra, &body);
	free(n.name);
	free(n.todo);
	if (rc < 0)
		buf_free(&body);
	return rc < 0 ? rc : rule_of(c, &body, out);
}

/* The rules for what may follow from member i on: one rule for each i, which ends in the rule for i
 * + 1. */
static int object_body(struct schema *c, const struct object *o, struct buf *body)
{
	struct buf tail = { 0 }, extra = { 0 }, first = { 0 };
	int rc = o->extra != NULL ? extra_rule(c, o, &extra) : 0;
	bool none = true; /* no member of those before i is required */
	bool failed = extra.failed;
	if (rc == 0 && extra.len > 0)
		buf_printf(&tail, "(" COMMA "%s)*", extra.bytes);
	for (size_t i = o->count; i-- > 0 && rc == 0;) {
		struct buf name = { 0 }, line = { 0 }, end = { 0 };
		rc = member_rule(c, &o->member[i], &name);
		if (rc == 0 && tail.len > 0)
			rc = rule_of(c, &tail, &end);
		const char *rest = end.len > 0 ? end.bytes : "";
		/* the first member of all: this one, or a later one if this is optional */
		if (rc == 0 && o->member[i].required)
			buf_clear(&first);
		if (rc == 0) {
			buf_printf(&line, "%s%s %s", first.len > 0 ? " | " : "", name.bytes, rest);
			buf_add_buf(&first, &line);
			buf_printf(&tail,
				   o->member[i].required ? COMMA "%s %s" : "(" COMMA "%s)? %s",
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
		if (none && extra.len > 0)
			buf_printf(body, "%s%s (" COMMA "%s)*", first.len > 0 ? " | " : "",
				   extra.bytes, extra.bytes);
		buf_add_text(body, none ? " | \"\") \"}\"" : ") \"}\"");
	}
	body->failed |= failed;
	buf_free(&tail);
	buf_free(&extra);
	buf_free(&first);
	return rc < 0 ? rc : buf_done(body, c->e);
}

int schema_object(struct schema *c, const json_t *s, struct buf *body)
{
	struct object o = { 0 };
	struct buf own = { 0 };
	int rc = members_read(c, s, &o);
	if (rc == 0)
		rc = counts_check(c, s, &o);
	if (rc == 0)
		rc = object_body(c, &o, &own);
	free(o.member);
	if (rc < 0)
		buf_free(&own);
	return rc < 0 ? rc : rule_of(c, &own, body);
}

/* ---- arrays ---- */

int schema_count(struct schema *c, const json_t *s, const char *key, uint64_t *out)
{
	const json_t *v = json_object_get(s, key);
	if (v == NULL)
		return 0;
	double d = json_number_value(v);
	if (!json_is_number(v) || d < 0 || d > 1e15 || (double)(uint64_t)d != d)
		return schema_wrong(c, "a count is not a whole number");
	*out = (uint64_t)d;
	return 0;
}

/* {min,max} of what is repeated; max UINT64_MAX: without end. */
static void repeat_add(struct buf *body, uint64_t min, uint64_t max)
{
	if (max > LIMIT_CONSTRAINT_REPEAT && max != UINT64_MAX)
		max = LIMIT_CONSTRAINT_REPEAT; /* fewer are valid too */
	if (max == UINT64_MAX)
		buf_printf(body, "{%llu,}", (unsigned long long)min);
	else
		buf_printf(body, "{%llu,%llu}", (unsigned long long)min, (unsigned long long)max);
}

/* Of lengths min to max: `fixed` elements first, each its own, then others. */
static int array_body(struct schema *c, const json_t *s, uint64_t min, uint64_t max,
		      struct buf *body)
{
	const json_t *fixed = json_object_get(s, "prefixItems"),
		     *items = json_object_get(s, "items"), *one;
	struct buf item = { 0 };
	size_t i, n = 0;
	char place[24];
	int rc = 0;
	buf_add_text(body, "\"[\" ");
	json_array_foreach((json_t *)fixed, i, one)
	{
		if (rc < 0 || i >= max)
			break;
		buf_add_text(body, i > 0 ? " " COMMA : "");
		(void)snprintf(place, sizeof place, "%zu", i);
		rc = value_at(c, "prefixItems", place, one, body);
		n++;
	}
	bool more = max > n && !json_is_false(items) && (items != NULL || fixed == NULL || min > n);
	if (rc == 0 && min > n && json_is_false(items))
		buf_add_text(body, " []");
	if (rc == 0 && more) {
		struct buf own = { 0 };
		rc = items != NULL ? value_at(c, "items", "", items, &own)
				   : schema_shared(c, "value", &own);
		if (rc == 0)
			rc = rule_of(c, &own, &item);
		buf_free(&own);
		uint64_t low = min > n ? min - n : 0, high = max == UINT64_MAX ? max : max - n;
		if (n > 0) {
			buf_printf(body, " (" COMMA "%s)", item.len > 0 ? item.bytes : "");
			repeat_add(body, low, high);
		} else {
			buf_printf(body, "(%s (" COMMA "%s)", item.len > 0 ? item.bytes : "",
				   item.len > 0 ? item.bytes : "");
			repeat_add(body, low > 0 ? low - 1 : 0,
				   high == UINT64_MAX ? high : high - 1);
			buf_add_text(body, low > 0 ? ")" : ")?");
		}
	}
	body->failed |= item.failed;
	buf_free(&item);
	buf_add_text(body, " \"]\"");
	return rc < 0 ? rc : buf_done(body, c->e);
}

int schema_array(struct schema *c, const json_t *s, struct buf *body)
{
	const json_t *unique = json_object_get(s, "uniqueItems"),
		     *fixed = json_object_get(s, "prefixItems");
	uint64_t min = 0, max = UINT64_MAX;
	struct buf own = { 0 };
	TRY(schema_count(c, s, "minItems", &min));
	TRY(schema_count(c, s, "maxItems", &max));
	if (json_is_true(unique) && max > 1)
		return schema_refuse(c, "uniqueItems");
	if (fixed != NULL && !json_is_array(fixed))
		return schema_wrong(c, "prefixItems is not a list");
	if (json_is_array(json_object_get(s, "items")))
		return schema_refuse(c, "items as a list (prefixItems since 2020-12)");
	if (min > LIMIT_CONSTRAINT_REPEAT)
		return schema_refuse(c, "minItems over 10000");
	if (min > max) {
		buf_add_text(body, "[]");
		return 0;
	}
	int rc = array_body(c, s, min, max, &own);
	if (rc < 0)
		buf_free(&own);
	return rc < 0 ? rc : rule_of(c, &own, body);
}
