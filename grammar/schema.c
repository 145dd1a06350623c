/* A schema is taken as a list of parts that must all hold. $ref and allOf only add parts; anyOf and
 * oneOf become alternatives, each with all the other parts; what remains is merged into one plain
 * schema and written type by type. A part that is nothing but a reference becomes a rule of its
 * own, which is how recursion ends. */
#include "grammar/schema_parts.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define PARTS_MAX 64

struct parts {
	const json_t *at[PARTS_MAX];
	size_t count;
};

/* ---- keywords ---- */

static const char *const notes[] = {
	"title",   "description", "default",          "examples",       "example",
	"$schema", "$comment",    "deprecated",       "readOnly",       "writeOnly",
	"$defs",   "definitions", "contentMediaType", "contentEncoding"
};
static const char *const known[] = {
	"$ref",
	"allOf",
	"anyOf",
	"oneOf",
	"type",
	"enum",
	"const",
	"nullable",
	"properties",
	"required",
	"additionalProperties",
	"minProperties",
	"maxProperties",
	"items",
	"prefixItems",
	"minItems",
	"maxItems",
	"uniqueItems",
	"pattern",
	"format",
	"minLength",
	"maxLength",
	"minimum",
	"maximum",
	"exclusiveMinimum",
	"exclusiveMaximum",
	"multipleOf",
};

static bool is_of(const char *const *list, size_t count, const char *key)
{
	for (size_t i = 0; i < count; i++) {
		if (*list[i] == *key && strcmp(list[i], key) == 0)
			return true;
	}
	return false;
}

static bool is_note(const char *key) { return is_of(notes, sizeof notes / sizeof *notes, key); }

static int keywords_check(struct schema *c, const json_t *s)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)s, key, v)
	{
		if (strcmp(key, "$id") == 0 && s == c->root)
			continue;
		if (!is_note(key) && !is_of(known, sizeof known / sizeof *known, key))
			return schema_refuse(c, key);
	}
	return schema_type_check(c, s);
}

/* Whether the schema holds annotations only. */
static bool is_empty(const json_t *s)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)s, key, v)
	{
		if (!is_note(key) && strcmp(key, "$id") != 0)
			return false;
	}
	return true;
}

/* ---- messages and rules ---- */

int schema_refuse(struct schema *c, const char *what)
{
	return err_set(c->e, ERR_UNSUPPORTED, "the schema's %.80s at #%.200s is not available",
		       what, c->path.len > 0 ? c->path.bytes : "");
}

int schema_wrong(struct schema *c, const char *what)
{
	return err_set(c->e, ERR_INPUT, "the schema is wrong at #%.200s: %.100s",
		       c->path.len > 0 ? c->path.bytes : "", what);
}

json_t *schema_own(struct schema *c, json_t *made)
{
	if (made != NULL && json_array_append_new(c->owned, made) < 0)
		return NULL;
	return made;
}

static int no_memory(struct schema *c)
{
	return err_set(c->e, ERR_NOMEM, "out of memory for the schema");
}

uint32_t schema_rule_begin(struct schema *c) { return ++c->rules; }

void schema_rule_name(const struct schema *c, uint32_t rule, struct buf *body)
{
	buf_printf(body, "%s-%u", c->prefix, rule);
}

void schema_rule_write(struct schema *c, uint32_t rule, const struct buf *body)
{
	schema_rule_name(c, rule, c->out);
	buf_add_text(c->out, " ::= ");
	buf_add_buf(c->out, body);
	buf_add_text(c->out, "\n");
}

void schema_literal(struct buf *body, const char *text, size_t len)
{
	buf_add_text(body, "\"");
	for (size_t i = 0; i < len; i++) {
		unsigned char b = (unsigned char)text[i];
		if (b < 0x20 || b == 0x7F)
			buf_printf(body, "\\x%02X", b);
		else if (b == '"' || b == '\\')
			buf_printf(body, "\\%c", b);
		else
			buf_add_byte(body, b);
	}
	buf_add_text(body, "\"");
}

int schema_constant(struct schema *c, const json_t *value, struct buf *body)
{
	struct buf text = { 0 };
	int rc = json_write(value, 0, &text, c->e);
	if (rc == 0)
		schema_literal(body, text.bytes, text.len);
	buf_free(&text);
	return rc;
}

/* ---- shared rules ---- */

static const char hex4[] =
	"([1-9abcefABCEF] %h %h %h | [dD] [0-7] %h %h | \"0\" [1-9a-fA-F] %h %h | "
	"\"00\" [1-9a-fA-F] %h | \"000\" [1-9a-fA-F])";
static const char pair4[] = "[dD] [89abAB] %h %h \"\\\\u\" [dD] [c-fC-F] %h %h";

/* Text with %h for a hex digit, and %p for the prefix. */
static void template_write(struct schema *c, const char *text)
{
	for (; *text != '\0'; text++) {
		if (text[0] == '%' && text[1] == 'h')
			buf_add_text(c->out, "[0-9a-fA-F]");
		else if (text[0] == '%' && text[1] == 'p')
			buf_add_text(c->out, c->prefix);
		else
			buf_add_byte(c->out, (unsigned char)*text);
		text += text[0] == '%';
	}
}

static void char_write(struct schema *c)
{
	if (c->wrote_char)
		return;
	c->wrote_char = true;
	template_write(c, "%p-escape ::= \"\\\\\" ([\"\\\\/bfnrt] | \"u\" (");
	template_write(c, hex4);
	template_write(c, " | ");
	template_write(c, pair4);
	template_write(c, "))\n%p-char ::= [^\"\\\\\\x00-\\x1F] | %p-escape\n");
}

static void string_write(struct schema *c)
{
	char_write(c);
	if (!c->wrote_string)
		template_write(
			c, "%p-string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | %p-escape)* \"\\\"\"\n");
	c->wrote_string = true;
}

static void number_write(struct schema *c)
{
	if (!c->wrote_number)
		template_write(
			c, "%p-integer ::= \"0\" | \"-\"? [1-9] [0-9]{0,14}\n"
			   "%p-number ::= \"-\"? (\"0\" | [1-9] [0-9]{0,14}) (\".\" [0-9]{1,15})? "
			   "([eE] [+-]? [0-9]{1,2})?\n");
	c->wrote_number = true;
}

static void value_write(struct schema *c)
{
	string_write(c);
	number_write(c);
	if (!c->wrote_value)
		template_write(
			c,
			"%p-value ::= %p-object | %p-array | %p-string | %p-number | \"true\" | \"false\" | "
			"\"null\"\n"
			"%p-object ::= \"{\" (%p-member (\",\" \" \"? %p-member)*)? \"}\"\n"
			"%p-member ::= %p-string \":\" \" \"? %p-value\n"
			"%p-array ::= \"[\" (%p-value (\",\" \" \"? %p-value)*)? \"]\"\n");
	c->wrote_value = true;
}

int schema_shared(struct schema *c, const char *name, struct buf *body)
{
	if (strcmp(name, "char") == 0)
		char_write(c);
	else if (strcmp(name, "string") == 0)
		string_write(c);
	else if (strcmp(name, "number") == 0 || strcmp(name, "integer") == 0)
		number_write(c);
	else
		value_write(c);
	buf_printf(body, "%s-%s", c->prefix, name);
	return buf_done(body, c->e);
}

/* ---- references ---- */

/* One step of a JSON pointer; token is unescaped already. */
static const json_t *pointer_step(const json_t *at, const char *token)
{
	uint64_t i;
	if (json_is_object(at))
		return json_object_get(at, token);
	if (json_is_array(at) && text_parse_u64(token, strlen(token), &i) == 0)
		return json_array_get(at, (size_t)i);
	return NULL;
}

static int hex_digit(char c)
{
	int lower = c | 32;
	return c >= '0' && c <= '9'           ? c - '0'
	       : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
					      : -1;
}

/* ~0, ~1 and %XX. */
static bool unescape(const char *s, size_t len, char *out, size_t room)
{
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		char b = s[i];
		if (b == '~' && i + 1 < len && (s[i + 1] == '0' || s[i + 1] == '1')) {
			b = s[++i] == '0' ? '~' : '/';
		} else if (b == '%' && i + 2 < len && hex_digit(s[i + 1]) >= 0 &&
			   hex_digit(s[i + 2]) >= 0) {
			b = (char)(hex_digit(s[i + 1]) * 16 + hex_digit(s[i + 2]));
			i += 2;
		}
		if (n + 1 >= room)
			return false;
		out[n++] = b;
	}
	out[n] = '\0';
	return true;
}

const json_t *schema_target(struct schema *c, const char *ref)
{
	const json_t *at = c->root;
	char token[512];
	if (*ref++ != '#')
		return NULL;
	while (at != NULL && *ref == '/') {
		size_t len = strcspn(++ref, "/");
		if (!unescape(ref, len, token, sizeof token))
			return NULL;
		at = pointer_step(at, token);
		ref += len;
	}
	return *ref == '\0' ? at : NULL;
}

static int ref_target(struct schema *c, const json_t *part, const json_t **out)
{
	const char *ref = json_string_value(json_object_get(part, "$ref"));
	if (ref == NULL)
		return schema_wrong(c, "$ref is not a string");
	if (*ref != '#')
		return schema_refuse(c, "$ref to another document");
	if (ref[1] != '\0' && ref[1] != '/')
		return schema_refuse(c, "$ref to an $anchor");
	*out = schema_target(c, ref);
	if (*out == NULL)
		return schema_wrong(c, "$ref names nothing in the schema");
	return 0;
}

/* The rule of a schema that is referred to. */
static int ref_value(struct schema *c, const json_t *target, struct buf *body)
{
	uint32_t i = 0;
	while (i < c->refs && c->ref[i] != target)
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
	c->ref_rule[c->refs++] = rule;
	int rc = schema_value(c, target, &own);
	if (rc == 0) {
		schema_rule_write(c, rule, &own);
		schema_rule_name(c, rule, body);
		rc = buf_done(body, c->e);
	}
	buf_free(&own);
	return rc;
}

/* ---- parts ---- */

static json_t *without(struct schema *c, const json_t *s, const char *key)
{
	json_t *copy = schema_own(c, json_copy((json_t *)s));
	if (copy != NULL)
		json_object_del(copy, key);
	return copy;
}

static int parts_add(struct schema *c, struct parts *p, const json_t *s)
{
	if (p->count == PARTS_MAX)
		return schema_wrong(c, "more than 64 schemas hold at once");
	p->at[p->count++] = s;
	return 0;
}

/* Replace part i by the rest of it, without key. */
static int part_reduce(struct schema *c, struct parts *p, size_t i, const char *key)
{
	p->at[i] = without(c, p->at[i], key);
	return p->at[i] == NULL ? no_memory(c) : 0;
}

/* 1: part i was changed or dropped; 0: it is plain but for anyOf and oneOf. */
static int part_expand(struct schema *c, struct parts *p, size_t i, bool *never)
{
	const json_t *s = p->at[i], *target = NULL, *all = json_object_get(s, "allOf"), *one;
	size_t k;
	if (++c->steps > SCHEMA_STEPS_MAX)
		return schema_wrong(c, "it is too large when its branches are combined");
	if (json_is_false(s))
		*never = true;
	else if (!json_is_object(s) && !json_is_true(s))
		return schema_wrong(c, "a schema is an object or a boolean");
	if (json_is_boolean(s) || is_empty(s)) {
		TRY(json_is_object(s) ? keywords_check(c, s) : 0);
		p->at[i] = p->at[--p->count];
		return 1;
	}
	TRY(keywords_check(c, s));
	if (json_object_get(s, "$ref") != NULL) {
		TRY(ref_target(c, s, &target));
		TRY(part_reduce(c, p, i, "$ref"));
		TRY(parts_add(c, p, target));
		return 1;
	}
	if (all == NULL)
		return 0;
	if (!json_is_array(all) || json_array_size(all) == 0)
		return schema_wrong(c, "allOf is not a list of schemas");
	TRY(part_reduce(c, p, i, "allOf"));
	json_array_foreach((json_t *)all, k, one)
		TRY(parts_add(c, p, one));
	return 1;
}

static bool is_pure_ref(const json_t *s)
{
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)s, key, v)
	{
		if (!is_note(key) && strcmp(key, "$ref") != 0)
			return false;
	}
	return json_object_get(s, "$ref") != NULL;
}

/* Drop the parts that constrain nothing. */
static void parts_tidy(struct parts *p)
{
	for (size_t i = 0; i < p->count;) {
		if (json_is_true(p->at[i]) || (json_is_object(p->at[i]) && is_empty(p->at[i])))
			p->at[i] = p->at[--p->count];
		else
			i++;
	}
}

/* ---- writing ---- */

static int parts_value(struct schema *c, struct parts p, struct buf *body);

/* anyOf or oneOf of part i. */
static int branches(struct schema *c, struct parts p, size_t i, const char *key, struct buf *body)
{
	const json_t *list = json_object_get(p.at[i], key), *one, *other;
	size_t k, n;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return schema_wrong(c, "anyOf or oneOf is not a list of schemas");
	bool exclusive = strcmp(key, "oneOf") == 0;
	json_array_foreach((json_t *)list, k, one)
	{
		for (n = 0; exclusive && n < k; n++) {
			other = json_array_get(list, n);
			if (!schema_disjoint(c, one, other, 0))
				return schema_refuse(c, "oneOf with branches that may overlap");
		}
	}
	TRY(part_reduce(c, &p, i, key));
	buf_add_text(body, "(");
	json_array_foreach((json_t *)list, k, one)
	{
		struct parts branch = p;
		TRY(parts_add(c, &branch, one));
		if (k > 0)
			buf_add_text(body, " | ");
		TRY(parts_value(c, branch, body));
	}
	buf_add_text(body, ")");
	return buf_done(body, c->e);
}

/* The values of enum or const that all parts allow; 0: there is neither. */
static int constants(struct schema *c, const struct parts *p, struct buf *body)
{
	const json_t *list = NULL, *one;
	struct parts others = *p;
	size_t k, kept = 0;
	for (size_t i = 0; i < p->count && list == NULL; i++) {
		one = json_object_get(p->at[i], "const");
		list = one != NULL ? schema_own(c, json_pack("[O]", one))
				   : json_object_get(p->at[i], "enum");
		if (one == NULL && list != NULL) /* its values need not be looked up in it */
			TRY(part_reduce(c, &others, i, "enum"));
	}
	if (list == NULL)
		return 0;
	if (!json_is_array(list))
		return schema_wrong(c, "enum is not a list");
	buf_add_text(body, "(");
	json_array_foreach((json_t *)list, k, one)
	{
		int ok = 1;
		for (size_t i = 0; i < p->count && ok > 0; i++)
			ok = schema_allows(c, others.at[i], one);
		TRY(ok);
		if (ok == 0)
			continue;
		buf_add_text(body, kept++ > 0 ? " | " : "");
		TRY(schema_constant(c, one, body));
	}
	buf_add_text(body, kept > 0 ? ")" : "[])");
	return 1;
}

static int plain_value(struct schema *c, const json_t *s, struct buf *body)
{
	unsigned types = schema_types(s), done = 0;
	if (types & TYPE_NUMBER)
		types &= ~(unsigned)TYPE_INTEGER;
	buf_add_text(body, "(");
	for (unsigned type = 1; type < TYPE_ALL; type <<= 1) {
		if ((types & type) == 0)
			continue;
		buf_add_text(body, done++ > 0 ? " | " : "");
		switch (type) {
		case TYPE_NULL:
			buf_add_text(body, "\"null\"");
			break;
		case TYPE_BOOLEAN:
			buf_add_text(body, "\"true\" | \"false\"");
			break;
		case TYPE_INTEGER:
			TRY(schema_number(c, s, true, body));
			break;
		case TYPE_NUMBER:
			TRY(schema_number(c, s, false, body));
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

static int merged_value(struct schema *c, const struct parts *p, struct buf *body)
{
	const json_t *s = p->at[0];
	int rc = constants(c, p, body);
	if (rc != 0)
		return rc < 0 ? rc : buf_done(body, c->e);
	for (size_t i = 1; i < p->count; i++) {
		json_t *m;
		TRY(schema_merge(c, s, p->at[i], &m));
		s = m;
	}
	return plain_value(c, s, body);
}

static int expanded_value(struct schema *c, struct parts p, struct buf *body)
{
	bool never = false;
	const json_t *target = NULL;
	for (size_t i = 0; i < p.count || i == 0;) {
		parts_tidy(&p);
		if (p.count == 1 && json_is_object(p.at[0]) && is_pure_ref(p.at[0])) {
			TRY(keywords_check(c, p.at[0]));
			TRY(ref_target(c, p.at[0], &target));
			return ref_value(c, target, body);
		}
		if (i >= p.count)
			break;
		int changed = part_expand(c, &p, i, &never);
		TRY(changed);
		i = changed > 0 ? 0 : i + 1;
	}
	if (never) {
		buf_add_text(body, "[]");
		return buf_done(body, c->e);
	}
	if (p.count == 0)
		return schema_shared(c, "value", body);
	if (c->out->len + body->len > SCHEMA_OUT_MAX)
		return schema_wrong(c, "its rules are longer than 8 MiB");
	for (size_t i = 0; i < p.count; i++) {
		if (json_object_get(p.at[i], "anyOf") != NULL)
			return branches(c, p, i, "anyOf", body);
		if (json_object_get(p.at[i], "oneOf") != NULL)
			return branches(c, p, i, "oneOf", body);
	}
	return merged_value(c, &p, body);
}

/* Recursion is as deep as the schema nests, and no deeper than the limit. */
static int parts_value(struct schema *c, struct parts p, struct buf *body)
{
	if (++c->depth > LIMIT_CONSTRAINT_NESTING)
		return schema_wrong(c, "schemas nest too deeply, or combine recursion with allOf");
	int rc = expanded_value(c, p, body);
	c->depth--;
	return rc;
}

int schema_value(struct schema *c, const json_t *node, struct buf *body)
{
	struct parts p = { .at = { node }, .count = 1 };
	return parts_value(c, p, body);
}

/* ---- from outside ---- */

static void compiler_free(struct schema *c)
{
	json_decref(c->owned);
	buf_free(&c->path);
	free(c);
}

static struct schema *compiler(const json_t *root, const char *prefix, struct buf *rules,
			       struct err *e)
{
	struct schema *c = calloc(1, sizeof *c);
	if (c == NULL)
		return NULL;
	*c = (struct schema){
		.root = root, .prefix = prefix, .out = rules, .owned = json_array(), .e = e
	};
	if (c->owned == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

int schema_grammar(const json_t *schema, const char *prefix, struct buf *rules, struct err *e)
{
	struct schema *c = compiler(schema, prefix, rules, e);
	struct buf body = { 0 };
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the schema");
	const json_t *root = schema;
	uint32_t rule = schema_rule_begin(c);
	c->ref[c->refs] = root;
	c->ref_rule[c->refs++] = rule;
	int rc = schema_value(c, root, &body);
	if (rc == 0) {
		schema_rule_write(c, rule, &body);
		buf_printf(rules, "%s ::= ", prefix);
		schema_rule_name(c, rule, rules);
		buf_add_text(rules, "\n");
		rc = buf_done(rules, e);
	}
	buf_free(&body);
	compiler_free(c);
	return rc;
}

int schema_grammar_object(const char *prefix, struct buf *rules, struct err *e)
{
	struct schema *c = compiler(NULL, prefix, rules, e);
	if (c == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the schema");
	buf_printf(rules, "%s ::= %s-object\n", prefix, prefix);
	value_write(c);
	compiler_free(c);
	return buf_done(rules, e);
}
