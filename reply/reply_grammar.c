/* Grammars of forced calls: the text that each family's reader takes for one call. What the model's
 * tokenizer has a control token for is drawn as that token; the rest is ordinary text. */
#include "reply/reply_in.h"

#include "grammar/grammar.h"

#include <stdio.h>
#include <string.h>

#define TOOLS_MAX 128
#define BAR "\xEF\xBD\x9C"
#define GAP "\xE2\x96\x81"

/* before NAME between ARGUMENTS after; text behind reasoning that the prompt began. */
struct form {
	const char *before, *between, *after, *thought;
	bool quoted; /* the name stands in a JSON string */
};
static const struct form forms[REPLY_SYNTAXES] = {
	[REPLY_SYNTAX_HERMES] = { "<tool_call>\n{\"name\": \"",
				  "\", \"arguments\": ", "}\n</tool_call>", "</think>\n\n", true },
	[REPLY_SYNTAX_DEEPSEEK] = { "<" BAR "tool" GAP "calls" GAP "begin" BAR "><" BAR "tool" GAP
				    "call" GAP "begin" BAR ">function<" BAR "tool" GAP "sep" BAR
				    ">",
				    "\n```json\n",
				    "\n```<" BAR "tool" GAP "call" GAP "end" BAR "><" BAR "tool" GAP
				    "calls" GAP "end" BAR ">",
				    "</think>\n\n", false },
	[REPLY_SYNTAX_DEEPSEEK31] = { "<" BAR "tool" GAP "calls" GAP "begin" BAR "><" BAR "tool" GAP
				      "call" GAP "begin" BAR ">",
				      "<" BAR "tool" GAP "sep" BAR ">",
				      "<" BAR "tool" GAP "call" GAP "end" BAR "><" BAR "tool" GAP
				      "calls" GAP "end" BAR ">",
				      "</think>", false },
	[REPLY_SYNTAX_MISTRAL] = { "[TOOL_CALLS][{\"name\": \"", "\", \"arguments\": ", "}]",
				   "[/THINK]", true },
	[REPLY_SYNTAX_LLAMA3] = { "{\"name\": \"", "\", \"parameters\": ", "}", "</think>\n\n",
				  true },
	[REPLY_SYNTAX_GLM] = { "<tool_call>", "\n", "</tool_call>", "</think>\n", false },
	[REPLY_SYNTAX_KIMI] = { "<|tool_calls_section_begin|><|tool_call_begin|>functions.",
				":0<|tool_call_argument_begin|>",
				"<|tool_call_end|><|tool_calls_section_end|>", "</think>", false },
	[REPLY_SYNTAX_HARMONY] = { "<|channel|>commentary to=functions.",
				   " <|constrain|>json<|message|>", "", "<|end|><|start|>assistant",
				   false },
};

/* Who writes the call. */
struct family {
	enum reply_syntax syntax;
	const struct reply_markers *markers; /* NULL: all is spelled out */
};

static void literal_part(struct buf *out, const char *text, size_t len)
{
	buf_add_byte(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"' || text[i] == '\\')
			buf_add_byte(out, '\\');
		if (text[i] == '\n')
			buf_add_text(out, "\\n");
		else
			buf_add_byte(out, (unsigned char)text[i]);
	}
	buf_add_text(out, "\" ");
}

static void literal(struct buf *out, const char *text) { literal_part(out, text, strlen(text)); }

/* Bytes of the longest marker that text begins with; 0: none. */
static size_t marker_at(const struct family *f, const char *text)
{
	size_t most = 0;
	for (size_t i = 0; f->markers && i < f->markers->count; i++) {
		const struct reply_marker *m = &f->markers->at[i];
		if (m->len > most && strncmp(m->bytes, text, m->len) == 0)
			most = m->len;
	}
	return most;
}

/* Add text of the family's own, with its control tokens as tokens and the rest as characters. */
static void marked(const struct family *f, struct buf *out, const char *text)
{
	size_t plain = 0;
	if (!*text)
		literal(out, text);
	while (text[plain]) {
		size_t marker = marker_at(f, text + plain);
		plain += marker == 0;
		if (marker == 0 && text[plain])
			continue;
		if (plain > 0)
			literal_part(out, text, plain);
		if (marker > 0) {
			buf_add_byte(out, '@');
			literal_part(out, text + plain, marker);
		}
		text += plain + marker;
		plain = 0;
	}
}

/* Members that can be written one by one as <arg_key>, <arg_value>. */
static int check_members(const json_t *schema, struct err *e)
{
	static const char *const known[] = { "type",  "properties",  "required",
					     "title", "description", "additionalProperties",
					     "$defs", "definitions", "$schema" };
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)schema, key, v) {
		bool found = false;
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			found = found || strcmp(key, known[i]) == 0;
		if (!found)
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: %.60s in the parameters of "
				       "a tool for glm",
				       key);
	}
	return 0;
}

static bool is_required(const json_t *schema, const char *name)
{
	const json_t *v;
	size_t i;
	json_array_foreach(json_object_get(schema, "required"), i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), name) == 0)
			return true;
	return false;
}

/* Whether every $ref leads to the shared definitions: members are compiled one by one, and see only
 * those of the whole schema. */
static bool refs_are_shared(const json_t *s, int depth)
{
	const char *ref = json_string_value(json_object_get(s, "$ref")), *key;
	json_t *v;
	size_t i;
	bool good = depth > 0 && (!ref || *ref != '#' || strncmp(ref, "#/$defs/", 8) == 0 ||
				  strncmp(ref, "#/definitions/", 14) == 0);
	json_object_foreach((json_t *)s, key, v)
		good = good && refs_are_shared(v, depth - 1);
	json_array_foreach((json_t *)s, i, v)
		good = good && refs_are_shared(v, depth - 1);
	return good;
}

static int check_references(const json_t *schema, struct err *e)
{
	const json_t *v;
	size_t i;
	json_array_foreach(json_object_get(schema, "required"), i, v)
		if (json_object_get(json_object_get(schema, "properties"), json_string_value(v)) ==
		    NULL)
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: required parameters of a "
				       "tool for glm that are none of its properties");
	if (!refs_are_shared(schema, LIMIT_CONSTRAINT_NESTING))
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: $ref to other than $defs in the "
			       "parameters of a tool for glm");
	return 0;
}

/* One member's rule; its schema sees the definitions of the whole. */
static int add_member(const struct family *f, const json_t *schema, const char *name,
		      const json_t *member, const char *rule, struct buf *out, struct err *e)
{
	static const char *const shared[] = { "$defs", "definitions" };
	json_t *copy = json_is_object(member) ? json_copy((json_t *)member) : json_object();
	int rc = copy ? 0 : err_set(e, ERR_NOMEM, "out of memory for a grammar");
	for (size_t i = 0; i < 2 && rc == 0; i++)
		if (json_object_get(schema, shared[i]) && !json_object_get(copy, shared[i]) &&
		    json_object_set(copy, shared[i], json_object_get(schema, shared[i])) < 0)
			rc = err_set(e, ERR_NOMEM, "out of memory for a grammar");
	char value[64];
	snprintf(value, sizeof value, "%s-value", rule);
	if (rc == 0)
		rc = schema_grammar(copy, value, out, e);
	buf_printf(out, "%s ::= ", rule);
	marked(f, out, "<arg_key>");
	literal(out, name);
	marked(f, out, "</arg_key>\n<arg_value>");
	buf_printf(out, "%s ", value);
	marked(f, out, "</arg_value>\n");
	buf_add_byte(out, '\n');
	json_decref(copy);
	return rc;
}

static int add_members(const struct family *f, const json_t *schema, const char *prefix,
		       struct buf *out, struct err *e)
{
	struct buf body = { 0 };
	const char *name;
	json_t *member;
	unsigned n = 0;
	TRY(check_members(schema, e));
	TRY(check_references(schema, e));
	buf_printf(&body, "%s ::= \"\"", prefix);
	int rc = 0;
	json_object_foreach(json_object_get(schema, "properties"), name, member) {
		char rule[48];
		snprintf(rule, sizeof rule, "%s-member%u", prefix, n++);
		rc = strchr(name, '<')
			     ? err_set(e, ERR_INPUT, "a parameter's name with <: %.60s", name)
			     : add_member(f, schema, name, member, rule, out, e);
		buf_printf(&body, " %s%s", rule, is_required(schema, name) ? "" : "?");
		if (rc < 0)
			break;
	}
	if (rc == 0)
		buf_printf(out, "%s\n", body.bytes ? body.bytes : "");
	if (rc == 0 && body.failed)
		rc = err_set(e, ERR_NOMEM, "out of memory for a grammar");
	buf_free(&body);
	return rc;
}

/* The rule `prefix` for the arguments of a tool. */
static int add_arguments(const struct family *f, const json_t *function, const char *prefix,
			 struct buf *out, struct err *e)
{
	const json_t *schema = json_object_get(function, "parameters");
	const char *name = json_string_value(json_object_get(function, "name"));
	const json_t *type = json_object_get(schema, "type");
	bool glm = f->syntax == REPLY_SYNTAX_GLM;
	if (!schema || json_is_null(schema)) {
		buf_printf(out, "%s ::= \"%s\"\n", prefix, glm ? "" : "{}");
		return 0;
	}
	if (!json_is_object(schema) ||
	    (type && (!json_is_string(type) || strcmp(json_string_value(type), "object") != 0)))
		return err_set(e, ERR_INPUT, "the parameters of tool %.60s are not an object",
			       name);
	if (glm)
		return add_members(f, schema, prefix, out, e);
	json_t *copy = json_copy((json_t *)schema);
	int rc = copy && json_object_set_new(copy, "type", json_string("object")) == 0
			 ? schema_grammar(copy, prefix, out, e)
			 : err_set(e, ERR_NOMEM, "out of memory for a grammar");
	json_decref(copy);
	return rc < 0 ? err_prefix(e, "tool %.60s", name) : 0;
}

/* The name as it stands in the call; ERR_INPUT if the family's reader would not take it. */
static int add_name(const struct form *f, const char *name, struct buf *out, struct err *e)
{
	size_t len = name ? strlen(name) : 0;
	bool good = len > 0 && len <= REPLY_NAME_BYTES;
	for (size_t i = 0; i < len && good; i++)
		good = f->quoted ? (unsigned char)name[i] >= 0x20 && !strchr("\"\\", name[i])
				 : reply_bare((unsigned char)name[i]);
	if (!good)
		return err_set(e, ERR_INPUT, "a tool's name is not fit for its calls: %.60s",
			       name ? name : "(none)");
	literal(out, name);
	return 0;
}

static int add_tool(const struct family *family, const json_t *function, unsigned index,
		    struct buf *root, struct buf *out, struct err *e)
{
	const struct form *f = &forms[family->syntax];
	char rule[32];
	snprintf(rule, sizeof rule, "arguments%u", index);
	buf_add_text(root, index ? "| " : "");
	marked(family, root, f->before);
	TRY(add_name(f, json_string_value(json_object_get(function, "name")), root, e));
	marked(family, root, f->between);
	buf_printf(root, "%s ", rule);
	marked(family, root, f->after);
	return add_arguments(family, function, rule, out, e);
}

static int add_tools(const struct family *f, const json_t *tools, const char *name,
		     struct buf *root, struct buf *out, struct err *e)
{
	const json_t *tool;
	unsigned n = 0;
	size_t i;
	if (json_array_size(tools) > TOOLS_MAX)
		return err_set(e, ERR_INPUT, "more than %d tools", TOOLS_MAX);
	json_array_foreach((json_t *)tools, i, tool) {
		const json_t *function = json_object_get(tool, "function");
		const char *its = json_string_value(json_object_get(function, "name"));
		if (!its)
			return err_set(e, ERR_INPUT, "tool %zu is not a function with a name", i);
		if (!name || strcmp(name, its) == 0)
			TRY(add_tool(f, function, n++, root, out, e));
	}
	if (n)
		return 0;
	return err_set(e, ERR_INPUT, "no tool named %.60s", name ? name : "(any)");
}

/* Reasoning up to its end: any string that may end it, or begin a call within it, is left out. */
static void add_thought(enum reply_syntax s, struct buf *out)
{
	if (s == REPLY_SYNTAX_MISTRAL)
		buf_add_text(out, "thought ::= ([^<\\[] | \"<\" [^</\\[] | \"[\" [^</T\\[])*\n");
	else if (s == REPLY_SYNTAX_HARMONY)
		buf_add_text(out, "thought ::= ([^<] | \"<\" [^<|])*\n");
	else
		buf_add_text(out, "thought ::= ([^<] | \"<\" [^</|" BAR "])*\n");
}

int reply_tool_grammar(enum reply_syntax s, const struct reply_markers *markers,
		       const json_t *tools, const char *name, bool reasoning, struct buf *out,
		       struct err *e)
{
	const struct family f = { s, markers };
	struct buf root = { 0 };
	if (!forms[s].before)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: calls in replies of syntax %s",
			       reply_syntax_name(s));
	int rc = add_tools(&f, tools, name, &root, out, e);
	if (rc == 0 && reasoning)
		add_thought(s, out);
	buf_add_text(out, "root ::= ");
	if (reasoning) {
		buf_add_text(out, "thought ");
		marked(&f, out, forms[s].thought);
	}
	buf_printf(out, "(%s)\n", root.bytes ? root.bytes : "");
	if (rc == 0 && root.failed)
		rc = err_set(e, ERR_NOMEM, "out of memory for a grammar");
	buf_free(&root);
	return rc < 0 ? rc : buf_done(out, e);
}
