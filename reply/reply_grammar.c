/* Rules of calls: the text that each family's reader takes for them. */
#include "reply/reply_frame.h"

#include "grammar/grammar.h"

#include <stdio.h>
#include <string.h>

#define TOOLS_MAX 128
#define BAR "\xEF\xBD\x9C"
#define GAP "\xE2\x96\x81"

/* open, then each call: before NAME between ARGUMENTS after, with joint between two of them, then
 * close. INDEX in `between`: the number of the call. */
struct form {
	const char *open, *before, *between, *after, *joint, *close;
	bool quoted; /* the name stands in a JSON string */
};
#define INDEX "\1"
#define CALLS(what) "<" BAR "tool" GAP "calls" GAP what BAR ">"
#define CALL(what) "<" BAR "tool" GAP "call" GAP what BAR ">"
#define SEP "<" BAR "tool" GAP "sep" BAR ">"
static const struct form forms[REPLY_SYNTAXES] = {
	[REPLY_SYNTAX_HERMES] = { "", "<tool_call>\n{\"name\": \"",
				  "\", \"arguments\": ", "}\n</tool_call>", "\n", "", true },
	[REPLY_SYNTAX_DEEPSEEK] = { CALLS("begin"), CALL("begin") "function" SEP, "\n```json\n",
				    "\n```" CALL("end"), "\n", CALLS("end"), false },
	[REPLY_SYNTAX_DEEPSEEK31] = { CALLS("begin"), CALL("begin"), SEP, CALL("end"), "",
				      CALLS("end"), false },
	[REPLY_SYNTAX_MISTRAL] = { "[TOOL_CALLS][", "{\"name\": \"", "\", \"arguments\": ", "}",
				   ", ", "]", true },
	[REPLY_SYNTAX_LLAMA3] = { "", "{\"name\": \"", "\", \"parameters\": ", "}", "; ", "",
				  true },
	[REPLY_SYNTAX_GLM] = { "", "<tool_call>", "\n", "</tool_call>", "\n", "", false },
	[REPLY_SYNTAX_KIMI] = { "<|tool_calls_section_begin|>", "<|tool_call_begin|>functions.",
				":" INDEX "<|tool_call_argument_begin|>", "<|tool_call_end|>", "",
				"<|tool_calls_section_end|>", false },
	[REPLY_SYNTAX_HARMONY] = { "", "<|channel|>commentary to=functions.",
				   " <|constrain|>json<|message|>", "", NULL, "", false },
};

/* Text of a form, in which the number of a call may stand. */
static void add_form(const struct reply_frame *f, struct buf *out, const char *text)
{
	char before[64];
	size_t n = strcspn(text, INDEX);
	if (!text[n]) {
		reply_frame_marked(f, out, text);
		return;
	}
	snprintf(before, sizeof before, "%.*s", (int)n, text);
	reply_frame_marked(f, out, before);
	buf_add_text(out, "(\"0\" | [1-9] [0-9]{0,2}) ");
	reply_frame_marked(f, out, text + n + 1);
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
static int add_member(const struct reply_frame *f, const json_t *schema, const char *name,
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
	reply_frame_marked(f, out, "<arg_key>");
	reply_frame_literal(out, name);
	reply_frame_marked(f, out, "</arg_key>\n<arg_value>");
	buf_printf(out, "%s ", value);
	reply_frame_marked(f, out, "</arg_value>\n");
	buf_add_byte(out, '\n');
	json_decref(copy);
	return rc;
}

static int add_members(const struct reply_frame *f, const json_t *schema, const char *prefix,
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
static int add_arguments(const struct reply_frame *f, const json_t *function, const char *prefix,
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
	reply_frame_literal(out, name);
	return 0;
}

/* Arguments that need not follow the tool's schema: any object. */
static int add_any(const struct reply_frame *f, const char *prefix, struct buf *out, struct err *e)
{
	static const char *const ends[] = { "</arg_key>", "</arg_value>" };
	char text[48];
	if (f->syntax != REPLY_SYNTAX_GLM)
		return schema_grammar_object(prefix, out, e);
	snprintf(text, sizeof text, "%s-text", prefix);
	reply_frame_avoid(out, text, ends, 2);
	buf_printf(out, "%s ::= (", prefix);
	reply_frame_marked(f, out, "<arg_key>");
	buf_printf(out, "%s ", text);
	reply_frame_marked(f, out, "</arg_key>\n<arg_value>");
	buf_printf(out, "%s ", text);
	reply_frame_marked(f, out, "</arg_value>\n");
	buf_add_text(out, ")*\n");
	return buf_done(out, e);
}

/* One alternative of the rule `call`. */
static int add_tool(const struct reply_frame *f, const json_t *function, unsigned index,
		    struct buf *call, struct buf *out, struct err *e)
{
	const struct form *form = &forms[f->syntax];
	bool follows =
		f->answer != REPLY_ANSWER_TEXT || json_is_true(json_object_get(function, "strict"));
	char rule[32];
	snprintf(rule, sizeof rule, "arguments%u", index);
	buf_add_text(call, index ? "| " : "");
	reply_frame_marked(f, call, form->before);
	TRY(add_name(form, json_string_value(json_object_get(function, "name")), call, e));
	add_form(f, call, form->between);
	buf_printf(call, "%s ", rule);
	reply_frame_marked(f, call, form->after);
	return follows ? add_arguments(f, function, rule, out, e) : add_any(f, rule, out, e);
}

static int add_tools(const struct reply_frame *f, struct buf *call, struct buf *out, struct err *e)
{
	const json_t *tool;
	unsigned n = 0;
	size_t i;
	if (json_array_size(f->tools) > TOOLS_MAX)
		return err_set(e, ERR_INPUT, "more than %d tools", TOOLS_MAX);
	json_array_foreach((json_t *)f->tools, i, tool) {
		const json_t *function = json_object_get(tool, "function");
		const char *its = json_string_value(json_object_get(function, "name"));
		if (!its)
			return err_set(e, ERR_INPUT, "tool %zu is not a function with a name", i);
		if (!f->name || strcmp(f->name, its) == 0)
			TRY(add_tool(f, function, n++, call, out, e));
	}
	if (n)
		return 0;
	return err_set(e, ERR_INPUT, "no tool named %.60s", f->name ? f->name : "(any)");
}

int reply_frame_calls(const struct reply_frame *f, struct buf *out, struct err *e)
{
	const struct form *form = &forms[f->syntax];
	struct buf call = { 0 };
	if (!form->before)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: calls in replies of syntax %s",
			       reply_syntax_name(f->syntax));
	int rc = add_tools(f, &call, out, e);
	buf_printf(out, "call ::= %s\ncalls ::= ", call.bytes ? call.bytes : "");
	reply_frame_marked(f, out, form->open);
	buf_add_text(out, "call ");
	if (form->joint && f->calls_max > 1) {
		buf_add_text(out, "(");
		reply_frame_marked(f, out, form->joint);
		buf_printf(out, "call ){0,%u} ", f->calls_max - 1);
	}
	reply_frame_marked(f, out, form->close);
	buf_add_byte(out, '\n');
	out->failed |= call.failed;
	buf_free(&call);
	return rc < 0 ? rc : buf_done(out, e);
}
