/* Rules of calls: the text that each family's reader takes for them. */
#include "reply/reply_frame.h"

#include "grammar/grammar.h"

#include <stdio.h>
#include <string.h>

#define TOOLS_MAX 128
#define BAR "\xEF\xBD\x9C"
#define GAP "\xE2\x96\x81"

/* How the arguments of a call are written. */
enum arguments { ARGUMENTS_OBJECT, ARGUMENTS_MEMBERS, ARGUMENTS_KWARGS };

/* open, then each call: before NAME between ARGUMENTS after, with joint between two of them, then
 * close. INDEX in `between`: the number of the call. A member: member KEY, then string TEXT or
 * other JSON, then end. */
struct form {
	const char *open, *before, *between, *after, *joint, *close;
	bool quoted; /* the name stands in a JSON string */
	enum arguments arguments;
	const char *member, *string, *other, *end;
};
#define INDEX "\1"
#define CALLS(what) "<" BAR "tool" GAP "calls" GAP what BAR ">"
#define CALL(what) "<" BAR "tool" GAP "call" GAP what BAR ">"
#define SEP "<" BAR "tool" GAP "sep" BAR ">"
#define STEP_CALL(what) "<" BAR "tool_call_" what BAR ">"
#define DSML "<" BAR "DSML" BAR
#define DSML_END "</" BAR "DSML" BAR
/* clang-format off */
#define OBJECT(open, before, after, joint, close) { \
	open, before "{\"name\": \"", "\", \"arguments\": ", "}" after, joint, close, true, \
	ARGUMENTS_OBJECT, 0, 0, 0, 0 }
#define BARE(open, before, between, after, joint, close) \
	{ open, before, between, after, joint, close, false, ARGUMENTS_OBJECT, 0, 0, 0, 0 }
#define MEMBERS(open, before, between, after, joint, close, member, string, other, end) \
	{ open, before, between, after, joint, close, false, ARGUMENTS_MEMBERS, member, string, other, \
	  end }
#define KWARGS(open, close) \
	{ open, "", "(", ")", ", ", close, false, ARGUMENTS_KWARGS, "", 0, "=", "" }
static const struct form forms[REPLY_SYNTAXES] = {
	[REPLY_SYNTAX_HERMES] = OBJECT("", "<tool_call>\n", "\n</tool_call>", "\n", ""),
	[REPLY_SYNTAX_ERNIE] = OBJECT("", "<tool_call>\n", "\n</tool_call>", "\n", ""),
	[REPLY_SYNTAX_LONGCAT] = OBJECT("", "<longcat_tool_call>\n", "\n</longcat_tool_call>", "\n", ""),
	[REPLY_SYNTAX_MISTRAL] = OBJECT("[TOOL_CALLS][", "", "", ", ", "]"),
	[REPLY_SYNTAX_MISTRAL11] = BARE("", "[TOOL_CALLS]", "[ARGS]", "", "", ""),
	[REPLY_SYNTAX_TOOL_CALLS] = OBJECT("<tool_calls>[", "", "", ", ", "]</tool_calls>"),
	[REPLY_SYNTAX_NEMOTRON] = OBJECT("<TOOLCALL>[", "", "", ", ", "]</TOOLCALL>"),
	[REPLY_SYNTAX_BAR] = OBJECT("<|tool_call|>[", "", "", ", ", "]"),
	[REPLY_SYNTAX_LLAMA3] = { "", "{\"name\": \"", "\", \"parameters\": ", "}", "; ", "", true,
		ARGUMENTS_OBJECT, 0, 0, 0, 0 },
	[REPLY_SYNTAX_INTERN] = { "", "<|action_start|><|plugin|>\n{\"name\": \"", "\", \"parameters\": ",
		"}<|action_end|>", "\n", "", true, ARGUMENTS_OBJECT, 0, 0, 0, 0 },
	[REPLY_SYNTAX_COMMAND] = { "<|START_ACTION|>[\n    ", "{\"tool_name\": \"", "\", \"parameters\": ",
		"}", ",\n    ", "\n]<|END_ACTION|>", true, ARGUMENTS_OBJECT, 0, 0, 0, 0 },
	[REPLY_SYNTAX_APERTUS] = { "<|tools_prefix|>[", "{\"", "\": ", "}", ", ",
		"]<|tools_suffix|>", true, ARGUMENTS_OBJECT, 0, 0, 0, 0 },
	[REPLY_SYNTAX_DEEPSEEK] = BARE(CALLS("begin"), CALL("begin") "function" SEP, "\n```json\n",
		"\n```" CALL("end"), "\n", CALLS("end")),
	[REPLY_SYNTAX_DEEPSEEK31] = BARE(CALLS("begin"), CALL("begin"), SEP, CALL("end"), "",
		CALLS("end")),
	[REPLY_SYNTAX_KIMI] = BARE("<|tool_calls_section_begin|>", "<|tool_call_begin|>functions.",
		":" INDEX "<|tool_call_argument_begin|>", "<|tool_call_end|>", "",
		"<|tool_calls_section_end|>"),
	[REPLY_SYNTAX_HARMONY] = BARE("", "<|channel|>commentary to=functions.",
		" <|constrain|>json<|message|>", "", NULL, ""),
	[REPLY_SYNTAX_GEMMA] = BARE("", "<start_function_call>call:", "", "<end_function_call>", "", ""),
	[REPLY_SYNTAX_GEMMA4] = BARE("", "<|tool_call>call:", "", "<tool_call|>", "", ""),
	[REPLY_SYNTAX_GLM] = MEMBERS("", "<tool_call>", "\n", "</tool_call>", "\n", "",
		"<arg_key>", "</arg_key>\n<arg_value>", "</arg_key>\n<arg_value>", "</arg_value>\n"),
	[REPLY_SYNTAX_XML] = MEMBERS("", "<tool_call>\n<function=", ">\n", "</function>\n</tool_call>",
		"\n", "", "<parameter=", ">\n", ">\n", "\n</parameter>\n"),
	[REPLY_SYNTAX_SEED] = MEMBERS("", "<seed:tool_call>\n<function=", ">\n",
		"</function>\n</seed:tool_call>", "\n", "", "<parameter=", ">\n", ">\n", "\n</parameter>\n"),
	[REPLY_SYNTAX_MINIMAX] = MEMBERS("<minimax:tool_call>\n", "<invoke name=\"", "\">\n",
		"</invoke>\n", "", "</minimax:tool_call>", "<parameter name=\"", "\">", "\">", "</parameter>\n"),
	[REPLY_SYNTAX_STEP3] = MEMBERS("<" BAR "tool_calls_begin" BAR ">\n",
		STEP_CALL("begin") "function<" BAR "tool_sep" BAR "><steptml:invoke name=\"", "\">",
		"</steptml:invoke>" STEP_CALL("end") "\n", "", "<" BAR "tool_calls_end" BAR ">",
		"<steptml:parameter name=\"", "\">", "\">", "</steptml:parameter>"),
	[REPLY_SYNTAX_DSML] = MEMBERS(DSML "function_calls>\n", DSML "invoke name=\"", "\">\n",
		DSML_END "invoke>\n", "", DSML_END "function_calls>", DSML "parameter name=\"",
		"\" string=\"true\">", "\" string=\"false\">", DSML_END "parameter>\n"),
	[REPLY_SYNTAX_LFM2] = KWARGS("<|tool_call_start|>[", "]<|tool_call_end|>"),
	[REPLY_SYNTAX_OLMO] = KWARGS("<function_calls>[", "]</function_calls>"),
};
/* clang-format on */

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

/* ---- members, written one by one ---- */

static bool is_one_of(const char *key, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(key, list[i]) == 0)
			return true;
	return false;
}
#define ONE_OF(key, list) is_one_of(key, list, sizeof(list) / sizeof *(list))

/* Refuse by name what limits the members beside their schemas; what does not is an annotation. */
static int check_members(const struct reply_frame *f, const json_t *schema, struct err *e)
{
	static const char *const limits[] = { "$ref",
					      "$dynamicRef",
					      "$recursiveRef",
					      "allOf",
					      "anyOf",
					      "oneOf",
					      "not",
					      "if",
					      "dependencies",
					      "dependentRequired",
					      "enum",
					      "dependentSchemas",
					      "patternProperties",
					      "propertyNames",
					      "minProperties",
					      "const",
					      "maxProperties" };
	const char *key;
	json_t *v;
	json_object_foreach((json_t *)schema, key, v)
		if (ONE_OF(key, limits))
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: %.60s in the parameters of "
				       "a tool for %s",
				       key, reply_syntax_name(f->syntax));
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

static int check_required(const struct reply_frame *f, const json_t *schema, struct err *e)
{
	const json_t *v;
	size_t i;
	json_array_foreach(json_object_get(schema, "required"), i, v)
		if (json_object_get(json_object_get(schema, "properties"), json_string_value(v)) ==
		    NULL)
			return err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: required parameters of a "
				       "tool for %s that are none of its properties",
				       reply_syntax_name(f->syntax));
	return 0;
}

#define WHOLE "#/$defs/root"

/* Let references into the whole lead there where the whole stands under WHOLE. names: s is a map of
 * schemas. */
static int refs_move(json_t *s, bool names, int depth, struct err *e)
{
	static const char *const maps[] = { "properties", "patternProperties", "$defs",
					    "definitions", "dependentSchemas" };
	static const char *const values[] = { "const", "enum", "default", "examples", "example" };
	const char *ref = names ? NULL : json_string_value(json_object_get(s, "$ref")), *key;
	json_t *v;
	size_t i;
	if (depth == 0 || (ref && *ref == '#' && ref[1] && ref[1] != '/'))
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: in the parameters of a tool, %s",
			       depth ? "$ref by an anchor" : "schemas that nest so deeply");
	if (ref && *ref == '#' &&
	    json_object_set_new(s, "$ref", json_sprintf(WHOLE "%s", ref + 1)) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for a grammar");
	json_object_foreach(s, key, v)
		if (names || !ONE_OF(key, values))
			TRY(refs_move(v, !names && ONE_OF(key, maps), depth - 1, e));
	json_array_foreach(s, i, v)
		TRY(refs_move(v, false, depth - 1, e));
	return 0;
}

/* A schema with the whole at WHOLE, to which its references lead: members are compiled one by one,
 * and see the whole so. */
static int whole_make(json_t **out, const json_t *schema, struct err *e)
{
	json_t *whole = json_deep_copy((json_t *)schema);
	json_object_del(whole, "$id");
	json_object_del(whole, "id");
	*out = json_pack("{s:{s:o}}", "$defs", "root", whole);
	if (*out == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for a grammar");
	return refs_move(whole, false, LIMIT_CONSTRAINT_NESTING, e);
}

/* The text of a value may not hold what ends it: the terminators of the reader's program. */
static size_t terminators(enum reply_syntax s, const char **out)
{
	size_t n = 0;
	for (const struct mark *m = reply_marks(s); m->text && n == 0; m++) {
		const struct call_step *at = m->program;
		for (; at && at->op != STEP_DONE && n == 0; at++) {
			bool value = at->op == STEP_VALUE || at->op == STEP_LINES ||
				     at->op == STEP_STRING;
			for (; value && (n == 0 || at->op == STEP_OR); at++)
				out[n++] = at->text;
		}
	}
	return n;
}

/* What a string's schema may say beside its type where its text stands without quotation marks.
 * Finds the first other, also where references and choices lead; values: enum and const too. */
static const json_t *limit_within(const json_t *schema, const json_t *root, bool values, int depth,
				  unsigned *left, const char **what)
{
	static const char *const notes[] = { "type",     "title",       "description", "default",
					     "examples", "nullable",    "deprecated",  "$comment",
					     "readOnly", "writeOnly",   "$defs",       "anyOf",
					     "oneOf",    "definitions", "$ref" };
	static const char *const lists[] = { "enum", "const" };
	const char *key, *ref = json_string_value(json_object_get(schema, "$ref"));
	const json_t *v, *one = ref ? reply_referred(root, ref) : NULL;
	size_t i;
	*what = ref && one == NULL ? "$ref" : depth == 0 || *left == 0 ? "so many choices" : NULL;
	if (*what)
		return schema;
	--*left;
	if (one && limit_within(one, root, true, depth - 1, left, what))
		return one;
	json_object_foreach((json_t *)schema, key, v) {
		if (!ONE_OF(key, notes) && (values || !ONE_OF(key, lists))) {
			*what = key;
			return schema;
		}
		json_array_foreach((json_t *)v, i, one)
			if (json_is_object(one) &&
			    limit_within(one, root, true, depth - 1, left, what))
				return one;
	}
	return NULL;
}

/* As far as 1000 schemas, 16 deep; what is beyond counts as a limit. */
static const json_t *string_limit(const json_t *schema, const json_t *root, bool values,
				  const char **what)
{
	unsigned left = 1000;
	return limit_within(schema, root, values, 16, &left, what);
}

static int add_dump(const char *text, size_t len, void *out)
{
	buf_add(out, text, len);
	return 0;
}

/* ("a" | "b") of the values of an enumeration, strings without their quotation marks. */
static int add_choices(const json_t *list, struct buf *out, struct err *e)
{
	const json_t *v;
	size_t i;
	buf_add_text(out, "(");
	json_array_foreach((json_t *)list, i, v) {
		struct buf text = { 0 };
		if (json_is_string(v))
			buf_add_text(&text, json_string_value(v));
		else if (json_dump_callback(v, add_dump, &text, JSON_ENCODE_ANY) < 0)
			text.failed = true;
		buf_add_text(out, i ? "| " : "");
		reply_frame_literal(out, text.bytes ? text.bytes : "");
		out->failed |= text.failed;
		buf_free(&text);
	}
	buf_add_text(out, ")");
	return buf_done(out, e);
}

/* A copy of the schema that sees the whole, or NULL. */
static json_t *with_definitions(const json_t *schema, const json_t *root)
{
	json_t *copy = json_is_object(schema) ? json_copy((json_t *)schema) : json_object();
	if (copy && json_object_set(copy, "$defs", json_object_get(root, "$defs")) < 0) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

/* Strings by their schema, and null where it may be. What would end the text does not stand in it,
 * nor a line end where the reader takes it away. */
static int add_limited_text(const struct reply_frame *f, const json_t *schema, const json_t *root,
			    bool null, const char *rule, struct buf *out, struct err *e)
{
	const char *end[8];
	size_t n = terminators(f->syntax, end);
	struct buf avoid = { 0 };
	char text[80];
	snprintf(text, sizeof text, "%s-text", rule);
	for (size_t i = 0; i < n; i++)
		buf_printf(&avoid, "%s%s", i ? "|" : "", end[i]);
	buf_add_text(&avoid, "|^\\n|\\n$");
	json_t *copy = with_definitions(schema, root);
	int rc = copy && !avoid.failed
			 ? schema_grammar_text(copy, text, avoid.bytes, out, NULL, f->work, e)
			 : err_set(e, ERR_NOMEM, "out of memory for a grammar");
	buf_printf(out, "%s ::= %s%s\n", rule, text, null ? " | \"null\"" : "");
	json_decref(copy);
	buf_free(&avoid);
	return rc;
}

/* The rule for text that a value of a schema with strings may be: without quotation marks. */
static int add_text_value(const struct reply_frame *f, const json_t *schema, const json_t *root,
			  uint8_t kinds, const char *rule, struct buf *out, struct err *e)
{
	const uint8_t plain = KIND_STRING | KIND_INTEGER | KIND_NUMBER | KIND_BOOLEAN | KIND_NULL;
	const char *end[8], *what = NULL;
	const json_t *list = json_object_get(schema, "enum");
	bool limited = string_limit(schema, root, true, &what) != NULL;
	if (limited && !(kinds & ~(KIND_STRING | KIND_NULL)))
		return add_limited_text(f, schema, root, kinds & KIND_NULL, rule, out, e);
	if (json_is_array(list))
		string_limit(schema, root, false, &what);
	if (what || (kinds & ~plain))
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: %.60s in a parameter that %s writes "
			       "as plain text",
			       what ? what : "a list or an object beside a string",
			       reply_syntax_name(f->syntax));
	if (json_is_array(list)) {
		buf_printf(out, "%s ::= ", rule);
		int rc = add_choices(list, out, e);
		buf_add_byte(out, '\n');
		return rc;
	}
	reply_frame_avoid(out, rule, end, terminators(f->syntax, end));
	return 0;
}

static int add_json_value(const struct reply_frame *f, const json_t *schema, const json_t *root,
			  const char *rule, struct buf *out, struct err *e)
{
	json_t *copy = with_definitions(schema, root);
	int rc = copy ? schema_grammar(copy, rule, out, NULL, f->work, e)
		      : err_set(e, ERR_NOMEM, "out of memory for a grammar");
	json_decref(copy);
	return rc;
}

static int add_member(const struct reply_frame *f, const json_t *root, const char *name,
		      const json_t *schema, const char *rule, struct buf *out, struct err *e)
{
	const struct form *form = &forms[f->syntax];
	uint8_t kinds = reply_kinds(schema, root);
	bool text = form->string && kinds & KIND_STRING;
	const char *between = text ? form->string : form->other;
	char value[64];
	snprintf(value, sizeof value, "%s-value", rule);
	if (text)
		TRY(add_text_value(f, schema, root, kinds, value, out, e));
	else
		TRY(add_json_value(f, schema, root, value, out, e));
	buf_printf(out, "%s ::= ", rule);
	reply_frame_marked(f, out, form->member);
	reply_frame_literal(out, name);
	reply_frame_marked(f, out, between);
	buf_printf(out, "%s ", value);
	reply_frame_marked(f, out, form->end);
	buf_add_byte(out, '\n');
	return 0;
}

/* A name that stands between the marks of a key, or bare before '='. */
static int check_key(const struct form *form, const char *name, struct err *e)
{
	bool good = *name != 0;
	for (const char *s = name; *s && good; s++)
		good = form->arguments == ARGUMENTS_KWARGS
			       ? reply_bare((unsigned char)*s) && *s != ':'
			       : (unsigned char)*s >= 0x20 && !strchr("<>\"'", *s);
	return good ? 0
		    : err_set(e, ERR_INPUT, "a parameter's name is not fit for calls: %.60s", name);
}

/* Rules prefix and prefix-N: the members from the N-th on, the first of which a separator does not
 * precede where `fresh`. */
static void add_sequence(const json_t *schema, const char *prefix, bool separated, struct buf *out)
{
	const char *name;
	json_t *member;
	size_t n = 0;
	json_object_foreach(json_object_get(schema, "properties"), name, member) {
		bool needed = is_required(schema, name);
		char fresh[16];
		fresh[0] = '\0';
		if (n > 0)
			snprintf(fresh, sizeof fresh, "-fresh%zu", n);
		/* after one: its separator first */
		buf_printf(out, "%s-more%zu ::= (%s%s-member%zu)%s %s-more%zu\n", prefix, n,
			   separated ? "\", \" " : "", prefix, n, needed ? "" : "?", prefix, n + 1);
		buf_printf(out, "%s%s ::= %s-member%zu %s-more%zu", prefix, fresh, prefix, n,
			   prefix, n + 1);
		buf_printf(out, needed ? "\n" : " | %s-fresh%zu\n", prefix, n + 1);
		n++;
	}
	buf_printf(out, "%s-more%zu ::= \"\"\n", prefix, n);
	if (n)
		buf_printf(out, "%s-fresh%zu ::= \"\"\n", prefix, n);
	else
		buf_printf(out, "%s ::= \"\"\n", prefix);
}

static int add_members(const struct reply_frame *f, const json_t *schema, const char *prefix,
		       struct buf *out, struct err *e)
{
	const struct form *form = &forms[f->syntax];
	const char *name;
	json_t *member;
	unsigned n = 0;
	TRY(check_members(f, schema, e));
	TRY(check_required(f, schema, e));
	json_t *root = NULL;
	int rc = whole_make(&root, schema, e);
	const json_t *whole = json_object_get(json_object_get(root, "$defs"), "root");
	json_object_foreach(json_object_get(whole, "properties"), name, member) {
		char rule[48];
		snprintf(rule, sizeof rule, "%s-member%u", prefix, n++);
		rc = rc < 0 ? rc : check_key(form, name, e);
		rc = rc < 0 ? rc : add_member(f, root, name, member, rule, out, e);
	}
	json_decref(root);
	TRY(rc);
	add_sequence(schema, prefix, form->arguments == ARGUMENTS_KWARGS, out);
	return 0;
}

/* The rule `prefix` for the arguments of a tool. */
static int add_arguments(const struct reply_frame *f, const json_t *function, const char *prefix,
			 struct buf *out, struct err *e)
{
	const json_t *schema = json_object_get(function, "parameters");
	const char *name = json_string_value(json_object_get(function, "name"));
	const json_t *type = json_object_get(schema, "type");
	bool object = forms[f->syntax].arguments == ARGUMENTS_OBJECT;
	if (!schema || json_is_null(schema)) {
		buf_printf(out, "%s ::= \"%s\"\n", prefix, object ? "{}" : "");
		return 0;
	}
	if (!json_is_object(schema) ||
	    (type && (!json_is_string(type) || strcmp(json_string_value(type), "object") != 0)))
		return err_set(e, ERR_INPUT, "the parameters of tool %.60s are not an object",
			       name);
	if (!object)
		return add_members(f, schema, prefix, out, e);
	json_t *copy = json_copy((json_t *)schema);
	int rc = copy && json_object_set_new(copy, "type", json_string("object")) == 0
			 ? schema_grammar(copy, prefix, out, NULL, f->work, e)
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

/* Members of any name and value, which need not follow the tool's schema. */
static int add_any_members(const struct reply_frame *f, const char *prefix, struct buf *out,
			   struct err *e)
{
	const struct form *form = &forms[f->syntax];
	bool text = form->string != NULL;
	const char *end[8];
	char value[48];
	snprintf(value, sizeof value, "%s-value", prefix);
	if (text) {
		reply_frame_avoid(out, value, end, terminators(f->syntax, end));
	} else {
		json_t *any = json_object();
		int rc = any ? schema_grammar(any, value, out, NULL, f->work, e)
			     : err_set(e, ERR_NOMEM, "out of memory for a grammar");
		json_decref(any);
		TRY(rc);
	}
	buf_printf(out, "%s-member ::= ", prefix);
	reply_frame_marked(f, out, form->member);
	buf_add_text(out, "[a-zA-Z_] [a-zA-Z0-9_]* ");
	reply_frame_marked(f, out, text ? form->string : form->other);
	buf_printf(out, "%s ", value);
	reply_frame_marked(f, out, form->end);
	buf_printf(out, "\n%s ::= (%s-member (%s%s-member)*)?\n", prefix, prefix,
		   form->arguments == ARGUMENTS_KWARGS ? "\", \" " : "", prefix);
	return buf_done(out, e);
}

static int add_any(const struct reply_frame *f, const char *prefix, struct buf *out, struct err *e)
{
	return forms[f->syntax].arguments == ARGUMENTS_OBJECT
		       ? schema_grammar_object(prefix, out, e)
		       : add_any_members(f, prefix, out, e);
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
	struct reply_frame counted = *f; /* one count of work for all tools */
	uint64_t work = 0;
	if (!counted.work)
		counted.work = &work;
	if (!form->before)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: calls in replies of syntax %s",
			       reply_syntax_name(f->syntax));
	int rc = add_tools(&counted, &call, out, e);
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
