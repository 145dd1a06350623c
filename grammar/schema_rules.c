/* Text of rules: names, literals, constants, and the rules that every schema may use. */
#include "grammar/schema_parts.h"

#include "base/json.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* Rules that were written, by their text: equal ones are one. */
struct schema_known {
	uint32_t hash, rule;
	size_t at, len; /* of the text in out */
};

static uint32_t text_hash(const char *text, size_t len)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)text[i]) * 16777619u;
	return h | 1; /* 0: a free slot */
}

static bool known_grow(struct schema *c)
{
	uint32_t slots = c->known_slots > 0 ? c->known_slots * 2 : 256;
	struct schema_known *more = calloc(slots, sizeof *more);
	if (more == NULL)
		return false;
	for (uint32_t i = 0; i < c->known_slots; i++) {
		uint32_t h = c->known[i].hash;
		while (c->known[i].hash != 0 && more[h & (slots - 1)].hash != 0)
			h++;
		if (c->known[i].hash != 0)
			more[h & (slots - 1)] = c->known[i];
	}
	free(c->known);
	c->known = more;
	c->known_slots = slots;
	return true;
}

/* The rule of this text; *rule is a new one, which is to be written, if it is none. */
static bool known_rule(struct schema *c, const struct buf *body, uint32_t *rule)
{
	const char *text = body->bytes != NULL ? body->bytes : "";
	uint32_t h = text_hash(text, body->len), i = h;
	for (; c->known_slots > 0 && c->known[i & (c->known_slots - 1)].hash != 0; i++) {
		const struct schema_known *k = &c->known[i & (c->known_slots - 1)];
		if (k->hash == h && k->len == body->len &&
		    memcmp(c->out->bytes + k->at, text, body->len) == 0) {
			*rule = k->rule;
			return true;
		}
	}
	*rule = schema_rule_begin(c);
	return false;
}

static void known_add(struct schema *c, const struct buf *body, uint32_t rule)
{
	if ((c->known_count + 1) * 2 > c->known_slots && !known_grow(c))
		return; /* written again, then */
	uint32_t h = text_hash(body->bytes != NULL ? body->bytes : "", body->len), i = h;
	while (c->known[i & (c->known_slots - 1)].hash != 0)
		i++;
	c->known[i & (c->known_slots - 1)] =
		(struct schema_known){ h, rule, c->out->len - body->len - 1, body->len };
	c->known_count++;
}

int schema_rule_of(struct schema *c, struct buf *body, struct buf *out)
{
	uint32_t rule;
	int rc = buf_done(body, c->e);
	if (rc == 0 && !known_rule(c, body, &rule)) {
		schema_rule_write(c, rule, body);
		rc = buf_done(c->out, c->e);
		if (rc == 0)
			known_add(c, body, rule);
	}
	buf_free(body);
	if (rc == 0)
		schema_rule_name(c, rule, out);
	return rc < 0 ? rc : buf_done(out, c->e);
}

int schema_rule_value(struct schema *c, const json_t *node, struct buf *out)
{
	struct buf own = { 0 };
	int rc = schema_value(c, node, &own);
	if (rc < 0)
		buf_free(&own);
	return rc < 0 ? rc : schema_rule_of(c, &own, out);
}

const char *schema_comma(const struct schema *c)
{
	return c->once > 0 ? " \",\" " : " \",\" \" \"? ";
}

const char *schema_space(const struct schema *c) { return c->once > 0 ? " " : " \" \"? "; }

/* A scalar. Where values must have one text, whole numbers have no fraction. */
static int scalar_write(struct schema *c, const json_t *value, struct buf *body)
{
	struct buf text = { 0 };
	double d = json_number_value(value);
	int rc = 0;
	if (c->once > 0 && json_is_real(value) && floor(d) >= d && fabs(d) < 1e15)
		buf_printf(&text, "%.0f", d);
	else
		rc = json_write(value, 0, &text, c->e);
	if (rc == 0)
		schema_literal(body, text.bytes, text.len);
	body->failed |= text.failed;
	buf_free(&text);
	return rc;
}

/* Spaces may stand where they may in any value. */
int schema_constant(struct schema *c, const json_t *value, struct buf *body)
{
	const char *name;
	json_t *v;
	size_t i, n = 0;
	struct buf text = { 0 };
	bool list = json_is_array(value);
	if (!list && !json_is_object(value))
		return scalar_write(c, value, body);
	buf_add_text(body, list ? "\"[\" " : "\"{\" ");
	json_array_foreach((json_t *)value, i, v) {
		buf_add_text(body, n++ > 0 ? schema_comma(c) : "");
		TRY(schema_constant(c, v, body));
	}
	json_object_foreach((json_t *)value, name, v) {
		buf_add_text(body, n++ > 0 ? schema_comma(c) : "");
		text_json_string(&text, name, strlen(name));
		schema_literal(body, text.bytes != NULL ? text.bytes : "", text.len);
		buf_printf(body, " \":\" %s", schema_space(c));
		body->failed |= text.failed;
		buf_free(&text);
		TRY(schema_constant(c, v, body));
	}
	buf_add_text(body, list ? " \"]\"" : " \"}\"");
	return buf_done(body, c->e);
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

/* The same where equal values must be equal bytes: one escape for a character, no exponent, nor
 * more digits than a double tells apart, and at most one member of any name. */
static void once_string_write(struct schema *c)
{
	if (!c->wrote_once_string)
		template_write(c,
			       "%p-once-char ::= [^\"\\\\\\x00-\\x1F] | \"\\\\\" ([\"\\\\bfnrt] | "
			       "\"u00\" (\"0\" [1-7be-f] | \"1\" [0-9a-f]))\n"
			       "%p-once-string ::= \"\\\"\" %p-once-char* \"\\\"\"\n");
	c->wrote_once_string = true;
}

static void once_number_write(struct schema *c)
{
	if (!c->wrote_once_number)
		template_write(
			c, "%p-once-integer ::= \"0\" | \"-\"? [1-9] [0-9]{0,14}\n"
			   "%p-once-number ::= \"0\" | \"-\"? ([1-9] [0-9]{0,6} (\".\" [0-9]{0,6} "
			   "[1-9])? | \"0.\" [0-9]{0,6} [1-9])\n");
	c->wrote_once_number = true;
}

static void once_value_write(struct schema *c)
{
	once_string_write(c);
	once_number_write(c);
	if (!c->wrote_once_value)
		template_write(
			c,
			"%p-once-value ::= %p-once-object | %p-once-array | %p-once-string | "
			"%p-once-number | \"true\" | \"false\" | \"null\"\n"
			"%p-once-object ::= \"{\" (%p-once-string \":\" %p-once-value)? \"}\"\n"
			"%p-once-array ::= \"[\" (%p-once-value (\",\" %p-once-value)*)? \"]\"\n");
	c->wrote_once_value = true;
}

int schema_shared(struct schema *c, const char *name, struct buf *body)
{
	bool once = c->once > 0;
	if (strcmp(name, "char") == 0)
		once ? once_string_write(c) : char_write(c);
	else if (strcmp(name, "string") == 0)
		once ? once_string_write(c) : string_write(c);
	else if (strcmp(name, "number") == 0 || strcmp(name, "integer") == 0)
		once ? once_number_write(c) : number_write(c);
	else
		once ? once_value_write(c) : value_write(c);
	buf_printf(body, once ? "%s-once-%s" : "%s-%s", c->prefix, name);
	return buf_done(body, c->e);
}

int schema_shared_object(struct schema *c)
{
	value_write(c);
	return buf_done(c->out, c->e);
}
