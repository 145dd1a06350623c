/* Members whose values stand as text between markers. What type a value has is told by the schema
 * of the tool; without one it is JSON if it can be, else what Python would take for a literal, else
 * a string. A value is given out as soon as it can only be a string; others wait for their end. */
#include "reply/reply_in.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- what a schema allows ---- */

static uint8_t kind_named(const char *type)
{
	static const struct {
		const char *name;
		uint8_t kind;
	} known[] = {
		{ "string", KIND_STRING },   { "integer", KIND_INTEGER }, { "number", KIND_NUMBER },
		{ "boolean", KIND_BOOLEAN }, { "null", KIND_NULL },       { "array", KIND_ARRAY },
		{ "object", KIND_OBJECT },   { "str", KIND_STRING },      { "text", KIND_STRING },
		{ "int", KIND_INTEGER },     { "float", KIND_NUMBER },    { "double", KIND_NUMBER },
		{ "bool", KIND_BOOLEAN },    { "list", KIND_ARRAY },      { "dict", KIND_OBJECT },
	};
	for (size_t i = 0; type && i < sizeof known / sizeof *known; i++)
		if (strcasecmp(type, known[i].name) == 0)
			return known[i].kind;
	return 0;
}

static uint8_t kind_of(const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		return KIND_STRING;
	case JSON_INTEGER:
		return KIND_INTEGER;
	case JSON_REAL:
		return KIND_NUMBER;
	case JSON_TRUE:
	case JSON_FALSE:
		return KIND_BOOLEAN;
	case JSON_NULL:
		return KIND_NULL;
	case JSON_ARRAY:
		return KIND_ARRAY;
	default:
		return KIND_OBJECT;
	}
}

const json_t *reply_referred(const json_t *root, const char *ref)
{
	const json_t *at = *ref == '#' ? root : NULL;
	while (at && *++ref) {
		char name[128];
		size_t n = 0;
		for (ref += *ref == '/'; *ref && *ref != '/' && n + 1 < sizeof name; ref++, n++) {
			bool escape = *ref == '~' && (ref[1] == '0' || ref[1] == '1');
			name[n] = (char)(!escape ? *ref : ref[1] == '0' ? '~' : '/');
			ref += escape;
		}
		name[n] = 0;
		ref--;
		at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(name, NULL, 10))
				       : json_object_get(at, name);
	}
	return at;
}

static uint8_t kinds_of_type(const json_t *type)
{
	uint8_t kinds = kind_named(json_string_value(type));
	const json_t *v;
	size_t i;
	json_array_foreach((json_t *)type, i, v)
		kinds |= kind_named(json_string_value(v));
	return kinds;
}

/* What is looked at for one value: references may lead back, and each choice may have many. */
#define KINDS_DEPTH 16
#define KINDS_SCHEMAS 1000

static uint8_t kinds_of_schema(const json_t *schema, const json_t *root, int depth, unsigned *left)
{
	static const char *const choices[] = { "anyOf", "oneOf", "allOf" };
	if (!json_is_object(schema) || depth == 0 || *left == 0)
		return 0;
	--*left;
	uint8_t kinds = kinds_of_type(json_object_get(schema, "type"));
	const json_t *v, *one = json_object_get(schema, "const");
	const char *ref = json_string_value(json_object_get(schema, "$ref"));
	size_t i;
	bool typed = kinds != 0;
	if (ref)
		kinds |= kinds_of_schema(reply_referred(root, ref), root, depth - 1, left);
	if (one && !typed)
		kinds |= kind_of(one);
	json_array_foreach(json_object_get(schema, "enum"), i, v)
		kinds |= typed ? 0 : kind_of(v);
	for (size_t k = 0; k < sizeof choices / sizeof *choices; k++)
		json_array_foreach(json_object_get(schema, choices[k]), i, v)
			kinds |= typed ? 0 : kinds_of_schema(v, root, depth - 1, left);
	if (!kinds && json_object_get(schema, "properties"))
		kinds = KIND_OBJECT;
	if (!kinds && json_object_get(schema, "items"))
		kinds = KIND_ARRAY;
	return kinds && json_is_true(json_object_get(schema, "nullable")) ? kinds | KIND_NULL
									  : kinds;
}

uint8_t reply_kinds(const json_t *schema, const json_t *root)
{
	unsigned left = KINDS_SCHEMAS;
	return kinds_of_schema(schema, root, KINDS_DEPTH, &left);
}

const json_t *reply_tool_parameters(const json_t *tools, const char *name, size_t len, bool *known)
{
	const json_t *tool;
	size_t i;
	*known = false;
	json_array_foreach((json_t *)tools, i, tool) {
		const json_t *function = json_object_get(tool, "function");
		const json_t *its = json_object_get(function, "name");
		if (json_string_length(its) != len ||
		    memcmp(json_string_value(its), name, len) != 0)
			continue;
		*known = true;
		return json_object_get(function, "parameters");
	}
	return NULL;
}

/* ---- keys ---- */

bool reply_member_key(struct call *c)
{
	const char *s = c->word.bytes ? c->word.bytes : "";
	size_t len = c->word.len;
	if (len >= 2 && (*s == '"' || *s == '\'') && s[len - 1] == *s)
		s++, len -= 2;
	bool good = reply_call_give(c, c->member ? ", \"" : "{\"", c->member ? 3 : 2) &&
		    reply_call_text(c, s, len) && reply_call_give(c, "\": ", 3);
	const json_t *properties = json_object_get(c->parameters, "properties");
	const json_t *schema = json_object_getn(properties, s, len);
	if (!schema)
		schema = json_object_get(c->parameters, "additionalProperties");
	c->kinds = reply_kinds(schema, c->parameters);
	c->member = true;
	c->open = false; /* until its value has come */
	c->value = VALUE_BEGIN;
	c->bare = c->newline = c->seen = false;
	c->scan = (struct json_scan){ .lenient = true };
	buf_clear(&c->word);
	return good;
}

bool reply_members_close(struct call *c)
{
	c->ended = c->whole = true;
	return reply_call_give(c, c->member ? "}" : "{}", c->member ? 1 : 2);
}

/* ---- values ---- */

static bool string_byte(struct call *c, enum step_op op, unsigned char byte)
{
	const char text = (char)byte;
	if (c->newline && !reply_call_text(c, "\n", 1))
		return false;
	c->newline = op == STEP_LINES && byte == '\n';
	return c->newline || reply_call_text(c, &text, 1);
}

/* From here on the value is a string. */
static bool become_string(struct call *c, enum step_op op)
{
	c->value = VALUE_STRING;
	bool good = reply_call_give(c, "\"", 1);
	for (size_t i = 0; i < c->word.len && good; i++)
		good = string_byte(c, op, (unsigned char)c->word.bytes[i]);
	buf_clear(&c->word);
	return good;
}

/* Whether the text so far, which is no JSON, may still be a literal of Python. */
static bool may_be_literal(const struct call *c)
{
	char first = c->word.bytes[strspn(c->word.bytes, " \t\r\n")];
	bool nested = !c->kinds || c->kinds & (KIND_ARRAY | KIND_OBJECT);
	bool word = !c->kinds || c->kinds & (KIND_BOOLEAN | KIND_NULL);
	return (nested && first && strchr("[{(", first)) ||
	       (word && first && strchr("TFNtfn", first) && c->word.len < 16);
}

/* Too long to wait: JSON if it was that so far, else a string. */
static bool decide(struct call *c, enum step_op op)
{
	if (c->bare || c->kinds == (KIND_STRING | KIND_NULL))
		return become_string(c, op);
	c->value = VALUE_JSON;
	bool good = reply_call_json_text(c, c->word.bytes, c->word.len);
	buf_clear(&c->word);
	return good;
}

static bool gather(struct call *c, enum step_op op, unsigned char byte)
{
	const char text = (char)byte;
	c->bare = c->bare || reply_json_scan_byte(&c->scan, byte) == TAKE_FAIL;
	bool fits = reply_call_word(c, &text, 1, REPLY_WORD_BYTES);
	if (c->out->failed)
		return false;
	if (c->bare && !may_be_literal(c))
		return become_string(c, op);
	return fits || decide(c, op);
}

bool reply_member_byte(struct call *c, enum step_op op, unsigned char byte)
{
	bool first = !c->seen;
	c->seen = true;
	if (first && op == STEP_LINES && byte == '\n')
		return true;
	if (c->value == VALUE_BEGIN) {
		c->value = VALUE_GATHER;
		if ((op == STEP_STRING || c->kinds == KIND_STRING) && !become_string(c, op))
			return false;
	}
	if (c->value == VALUE_STRING)
		return string_byte(c, op, byte);
	if (c->value == VALUE_JSON)
		return reply_call_json(c, byte) != TAKE_FAIL;
	return gather(c, op, byte);
}

static uint8_t kinds_of_json(const char *s, size_t len)
{
	switch (*s) {
	case '"':
		return KIND_STRING;
	case '[':
		return KIND_ARRAY;
	case '{':
		return KIND_OBJECT;
	case 't':
	case 'f':
		return KIND_BOOLEAN;
	case 'n':
		return KIND_NULL;
	default:
		break;
	}
	const char *point = memchr(s, '.', len);
	size_t zeros = point ? strspn(point + 1, "0") : 0;
	bool whole = !memchr(s, 'e', len) && !memchr(s, 'E', len) &&
		     (!point || point + 1 + zeros == s + len);
	return whole ? KIND_INTEGER | KIND_NUMBER : KIND_NUMBER;
}

/* A quoted string is one only where no type says that the text is. */
static bool fits(const struct call *c, uint8_t kinds)
{
	if (kinds == KIND_STRING)
		return !(c->kinds & KIND_STRING);
	return !c->kinds || c->kinds & kinds;
}

static bool give_word(struct call *c, const char *s, size_t len, bool *given)
{
	static const struct {
		const char *text, *json;
		uint8_t kind;
	} words[] = { { "True", "true", KIND_BOOLEAN },
		      { "False", "false", KIND_BOOLEAN },
		      { "None", "null", KIND_NULL },
		      { "null", "null", KIND_NULL } };
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		bool same = strlen(words[i].text) == len &&
			    (c->kinds ? strncasecmp(s, words[i].text, len)
				      : strncmp(s, words[i].text, len)) == 0;
		*given = same && fits(c, words[i].kind);
		if (*given)
			return reply_call_give(c, words[i].json, strlen(words[i].json));
	}
	return true;
}

/* Give a list or dict of Python as JSON, if it is one; the text must outlive the call's word. */
static bool give_literal(struct call *c, const char *s, size_t len, bool *given)
{
	struct call trial = { .program = c->program, .first = c->first, .count = 1, .named = true };
	struct parts out = { 0 };
	enum taken t = TAKE_MORE;
	size_t i = 0;
	trial.out = &out;
	reply_literal_begin(&trial.literal, NULL);
	for (; i < len && t == TAKE_MORE; i++)
		t = reply_literal_byte(&trial, (unsigned char)s[i]);
	*given = t == TAKE_DONE && i == len && fits(c, *s == '{' ? KIND_OBJECT : KIND_ARRAY);
	bool good = !*given || reply_call_give(c, out.text.bytes, out.text.len);
	c->out->failed |= out.failed;
	reply_call_free(&trial);
	reply_parts_free(&out);
	return good;
}

static bool give_gathered(struct call *c, bool *given)
{
	const char *s = c->word.bytes ? c->word.bytes : "";
	size_t len = c->word.len;
	for (; len && reply_json_blank((unsigned char)*s); s++)
		len--;
	while (len && reply_json_blank((unsigned char)s[len - 1]))
		len--;
	*given = false;
	if (!len)
		return true;
	if (!c->bare && reply_json_scan_whole(&c->scan)) {
		*given = fits(c, kinds_of_json(s, len));
		return !*given || reply_call_json_text(c, s, len);
	}
	return strchr("[{(", *s) ? give_literal(c, s, len, given) : give_word(c, s, len, given);
}

bool reply_member_end(struct call *c, enum step_op op)
{
	bool given = false;
	c->open = true;
	if (c->value == VALUE_JSON)
		return reply_json_scan_whole(&c->scan);
	if (c->value == VALUE_GATHER && op != STEP_STRING && !give_gathered(c, &given))
		return false;
	bool good = given || c->value == VALUE_STRING || become_string(c, op);
	c->newline = false;
	buf_clear(&c->word);
	return good && (given || reply_call_give(c, "\"", 1));
}
