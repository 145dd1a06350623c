/* The families, as tables: how each writes reasoning and calls, and how to tell them by their
 * templates. */
#include "reply/reply_in.h"

#include "base/check.h"

#include <string.h>

#define BAR "\xEF\xBD\x9C" /* U+FF5C, full-width bar */
#define GAP "\xE2\x96\x81" /* U+2581, in place of a space */

/* clang-format off */
/* ---- calls as JSON objects ---- */

/* {..}, or several, or lists of them, with or without ',' between, and `close` behind */
#define OBJECTS(op, open, close) { \
	[0] = { STEP_LITERAL, open, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "[", 12 }, \
	[3] = { op, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "{", 3 }, { STEP_ROUTE, ",", 9 }, \
	[7] = { STEP_LITERAL, close, 0 }, { STEP_DONE, 0, 0 }, \
	[9] = { STEP_LITERAL, ",", 0 }, { STEP_BLANK, 0, 0 }, { STEP_GOTO, 0, 3 }, \
	[12] = { STEP_LITERAL, "[", 0 }, { STEP_BLANK, 0, 0 }, { op, 0, 0 }, { STEP_BLANK, 0, 0 }, \
	[16] = { STEP_ROUTE, ",", 19 }, { STEP_LITERAL, "]", 0 }, { STEP_GOTO, 0, 4 }, \
	[19] = { STEP_LITERAL, ",", 0 }, { STEP_GOTO, 0, 13 } }
/* one of them, or a list, whole with its end */
#define LIST(open) { \
	[0] = { STEP_LITERAL, open, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "{", 11 }, \
	[3] = { STEP_LITERAL, "[", 0 }, \
	[4] = { STEP_BLANK, 0, 0 }, { STEP_OBJECT, 0, 0 }, { STEP_BLANK, 0, 0 }, \
	[7] = { STEP_ROUTE, ",", 13 }, { STEP_LITERAL, "]", 0 }, { STEP_DONE, 0, 0 }, \
	[11] = { STEP_OBJECT, 0, 0 }, { STEP_DONE, 0, 0 }, \
	[13] = { STEP_LITERAL, ",", 0 }, { STEP_GOTO, 0, 4 } }
static const struct call_step hermes[] = OBJECTS(STEP_OBJECT, "<tool_call>", "</tool_call>");
static const struct call_step tool_calls[] = OBJECTS(STEP_OBJECT, "<tool_calls>", "</tool_calls>");
static const struct call_step nemotron[] = OBJECTS(STEP_OBJECT, "<TOOLCALL>", "</TOOLCALL>");
static const struct call_step longcat[] =
	OBJECTS(STEP_OBJECT, "<longcat_tool_call>", "</longcat_tool_call>");
static const struct call_step command[] =
	OBJECTS(STEP_OBJECT, "<|START_ACTION|>", "<|END_ACTION|>");
static const struct call_step apertus[] =
	OBJECTS(STEP_KEYED, "<|tools_prefix|>", "<|tools_suffix|>");
static const struct call_step bar[] = LIST("<|tool_call|>");
static const struct call_step functools[] = LIST("functools");
static const struct call_step intern[] = {
	{ STEP_LITERAL, "<|action_start|>", 0 }, { STEP_BLANK, 0, 0 }, { STEP_LITERAL, "<|plugin|>", 0 },
	{ STEP_BLANK, 0, 0 }, { STEP_OBJECT, 0, 0 }, { STEP_BLANK, 0, 0 },
	{ STEP_LITERAL, "<|action_end|>", 0 }, { STEP_DONE, 0, 0 },
};
/* The whole reply: objects with or without ';' between them, a list of them, or [f(a=1), ...]. */
static const struct call_step llama3[] = {
	[0] = { STEP_ROUTE, "{", 5 }, { STEP_ROUTE, "[", 19 },
	[2] = { STEP_ONE, "<|python_tag|>", 4 }, { STEP_OR, "<|python_start|>", 4 },
	[4] = { STEP_BLANK, 0, 0 },
	[5] = { STEP_ROUTE, "[", 19 }, { STEP_OBJECT, 0, 0 },
	[7] = { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "{", 5 }, { STEP_ROUTE, ";", 12 },
	[10] = { STEP_ROUTE, "<", 14 }, { STEP_END, 0, 0 },
	[12] = { STEP_LITERAL, ";", 0 }, { STEP_GOTO, 0, 4 },
	[14] = { STEP_ONE, "<|eot_id|>", 7 }, { STEP_OR, "<|eom_id|>", 7 }, { STEP_OR, "<|eot|>", 7 },
	[17] = { STEP_OR, "<|eom|>", 7 }, { STEP_OR, "<|python_end|>", 7 },
	[19] = { STEP_LITERAL, "[", 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "{", 26 },
	[22] = { STEP_NAME, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_KWARGS, 0, 0 }, { STEP_GOTO, 0, 27 },
	[26] = { STEP_OBJECT, 0, 0 },
	[27] = { STEP_BLANK, 0, 0 }, { STEP_ROUTE, ",", 31 },
	[29] = { STEP_LITERAL, "]", 0 }, { STEP_GOTO, 0, 7 },
	[31] = { STEP_LITERAL, ",", 0 }, { STEP_BLANK, 0, 0 }, { STEP_GOTO, 0, 21 },
};

/* ---- a name and a JSON object ---- */

static const struct call_step deepseek[] = {
	{ STEP_LITERAL, "<" BAR "tool" GAP "call" GAP "begin" BAR ">function", 0 },
	{ STEP_LITERAL, "<" BAR "tool" GAP "sep" BAR ">", 0 },
	{ STEP_NAME, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_LITERAL, "```json", 0 }, { STEP_BLANK, 0, 0 },
	{ STEP_ARGUMENTS, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_LITERAL, "```", 0 }, { STEP_BLANK, 0, 0 },
	{ STEP_LITERAL, "<" BAR "tool" GAP "call" GAP "end" BAR ">", 0 }, { STEP_DONE, 0, 0 },
};
static const struct call_step deepseek31[] = {
	{ STEP_LITERAL, "<" BAR "tool" GAP "call" GAP "begin" BAR ">", 0 }, { STEP_NAME, 0, 0 },
	{ STEP_LITERAL, "<" BAR "tool" GAP "sep" BAR ">", 0 }, { STEP_BLANK, 0, 0 },
	{ STEP_ARGUMENTS, 0, 0 }, { STEP_BLANK, 0, 0 },
	{ STEP_LITERAL, "<" BAR "tool" GAP "call" GAP "end" BAR ">", 0 }, { STEP_DONE, 0, 0 },
};
/* NAME[ARGS]{}, NAME[CALL_ID]ID[ARGS]{}, NAME{}, or a list of objects */
static const struct call_step mistral[] = {
	[0] = { STEP_LITERAL, "[TOOL_CALLS]", 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "[", 13 },
	[3] = { STEP_NAME, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "{", 11 },
	[6] = { STEP_ONE, "[ARGS]", 10 }, { STEP_OR, "[CALL_ID]", 8 },
	[8] = { STEP_LABEL, 0, 0 }, { STEP_LITERAL, "[ARGS]", 0 },
	[10] = { STEP_BLANK, 0, 0 },
	[11] = { STEP_ARGUMENTS, 0, 0 }, { STEP_DONE, 0, 0 },
	[13] = { STEP_LITERAL, "[", 0 },
	[14] = { STEP_BLANK, 0, 0 }, { STEP_OBJECT, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, ",", 20 },
	[18] = { STEP_LITERAL, "]", 0 }, { STEP_DONE, 0, 0 },
	[20] = { STEP_LITERAL, ",", 0 }, { STEP_GOTO, 0, 14 },
};
static const struct call_step kimi[] = {
	{ STEP_LITERAL, "<|tool_call_begin|>", 0 }, { STEP_BLANK, 0, 0 }, { STEP_ID, 0, 0 },
	{ STEP_BLANK, 0, 0 }, { STEP_LITERAL, "<|tool_call_argument_begin|>", 0 },
	{ STEP_BLANK, 0, 0 }, { STEP_ARGUMENTS, 0, 0 }, { STEP_BLANK, 0, 0 },
	{ STEP_LITERAL, "<|tool_call_end|>", 0 }, { STEP_DONE, 0, 0 },
};
const struct call_step reply_harmony_call[] = {
	[0] = { STEP_BLANK, 0, 0 }, { STEP_EMPTY, "<", 3 }, { STEP_ARGUMENTS, 0, 0 },
	[3] = { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "<", 6 }, { STEP_END, 0, 0 },
	[6] = { STEP_ONE, "<|call|>", 9 }, { STEP_OR, "<|end|>", 9 }, { STEP_OR, "<|return|>", 9 },
	[9] = { STEP_DONE, 0, 0 },
};

/* ---- a name and members, each with its own marks ---- */

static const struct call_step glm[] = {
	[0] = { STEP_LITERAL, "<tool_call>", 0 }, { STEP_BLANK, 0, 0 }, { STEP_NAME, 0, 0 },
	[3] = { STEP_BLANK, 0, 0 },
	[4] = { STEP_ONE, "<arg_key>", 7 }, { STEP_OR, "</tool_call>", 12 }, { STEP_OR, "<tool_sep>", 3 },
	[7] = { STEP_OPEN, 0, 0 }, { STEP_KEY, "</arg_key>", 0 }, { STEP_BLANK, 0, 0 },
	[10] = { STEP_LITERAL, "<arg_value>", 0 }, { STEP_VALUE, "</arg_value>", 3 },
	[12] = { STEP_CLOSE, 0, 0 }, { STEP_DONE, 0, 0 },
};
/* What closes a member or a function may be missing before the next mark. Instead of members a
 * function may have a JSON object. */
#define MEMBERS(outer, outer_end, function, function_end, parameter, parameter_end) { \
	[0] = { STEP_LITERAL, outer, 0 }, { STEP_BLANK, 0, 0 }, \
	[2] = { STEP_LITERAL, function, 0 }, \
	[3] = { STEP_QUOTE, 0, 0 }, { STEP_NAME, 0, 0 }, { STEP_QUOTE, 0, 0 }, { STEP_LITERAL, ">", 0 }, \
	[7] = { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "{", 24 }, { STEP_OPEN, 0, 0 }, \
	[10] = { STEP_BLANK, 0, 0 }, \
	[11] = { STEP_ONE, parameter, 15 }, { STEP_OR, function_end, 20 }, { STEP_OR, outer_end, 20 }, \
	[14] = { STEP_OR, function, 22 }, \
	[15] = { STEP_KEY, ">", 0 }, \
	[16] = { STEP_LINES, parameter_end, 10 }, { STEP_OR, parameter, 15 }, \
	[18] = { STEP_OR, function_end, 20 }, { STEP_OR, outer_end, 20 }, \
	[20] = { STEP_CLOSE, 0, 0 }, { STEP_DONE, 0, 0 }, \
	[22] = { STEP_CLOSE, 0, 0 }, { STEP_GOTO, 0, 3 }, \
	[24] = { STEP_ARGUMENTS, 0, 0 }, { STEP_BLANK, 0, 0 }, \
	[26] = { STEP_ONE, function_end, 28 }, { STEP_OR, outer_end, 28 }, \
	[28] = { STEP_DONE, 0, 0 } }
static const struct call_step xml[] = MEMBERS("<tool_call>", "</tool_call>",
	"<function=", "</function>", "<parameter=", "</parameter>");
static const struct call_step seed[] = MEMBERS("<seed:tool_call>", "</seed:tool_call>",
	"<function=", "</function>", "<parameter=", "</parameter>");
static const struct call_step minimax[] = MEMBERS("<minimax:tool_call>", "</minimax:tool_call>",
	"<invoke name=", "</invoke>", "<parameter name=", "</parameter>");
/* Behind the first two steps as the others; a call ends with a mark of its own. */
static const struct call_step step3[] = {
	[0] = { STEP_LITERAL, "<" BAR "tool_call_begin" BAR ">", 0 }, { STEP_BLANK, 0, 0 },
	[2] = { STEP_ONE, "function<" BAR "tool_sep" BAR ">", 4 }, { STEP_OR, "<steptml:invoke name=", 6 },
	[4] = { STEP_BLANK, 0, 0 }, { STEP_LITERAL, "<steptml:invoke name=", 0 },
	[6] = { STEP_QUOTE, 0, 0 }, { STEP_NAME, 0, 0 }, { STEP_QUOTE, 0, 0 }, { STEP_LITERAL, ">", 0 },
	[10] = { STEP_OPEN, 0, 0 }, [11] = { STEP_BLANK, 0, 0 },
	[12] = { STEP_ONE, "<steptml:parameter name=", 14 }, { STEP_OR, "</steptml:invoke>", 18 },
	[14] = { STEP_KEY, ">", 0 }, { STEP_LINES, "</steptml:parameter>", 11 },
	[16] = { STEP_OR, "<steptml:parameter name=", 14 }, { STEP_OR, "</steptml:invoke>", 18 },
	[18] = { STEP_CLOSE, 0, 0 }, { STEP_BLANK, 0, 0 },
	[20] = { STEP_LITERAL, "<" BAR "tool_call_end" BAR ">", 0 }, { STEP_DONE, 0, 0 },
};
#define DSML "<" BAR "DSML" BAR
#define DSML_END "</" BAR "DSML" BAR
static const struct call_step dsml[] = {
	[0] = { STEP_ONE, DSML "function_calls>", 2 }, { STEP_OR, DSML "tool_calls>", 2 },
	[2] = { STEP_BLANK, 0, 0 }, { STEP_LITERAL, DSML "invoke name=", 0 },
	[4] = { STEP_QUOTE, 0, 0 }, { STEP_NAME, 0, 0 }, { STEP_QUOTE, 0, 0 }, { STEP_LITERAL, ">", 0 },
	[8] = { STEP_OPEN, 0, 0 }, [9] = { STEP_BLANK, 0, 0 },
	[10] = { STEP_ONE, DSML "parameter name=\"", 12 }, { STEP_OR, DSML_END "invoke>", 18 },
	[12] = { STEP_KEY, "\"", 0 },
	[13] = { STEP_ONE, " string=\"true\">", 16 }, { STEP_OR, " string=\"false\">", 17 },
	[15] = { STEP_OR, ">", 17 },
	[16] = { STEP_STRING, DSML_END "parameter>", 9 }, [17] = { STEP_VALUE, DSML_END "parameter>", 9 },
	[18] = { STEP_CLOSE, 0, 0 }, { STEP_DONE, 0, 0 },
};

/* ---- calls as Python or Gemma writes them ---- */

#define PYTHON(open, close) { \
	[0] = { STEP_LITERAL, open, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "[", 10 }, \
	[3] = { STEP_ROUTE, "<", 8 }, { STEP_NAME, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_KWARGS, 0, 0 }, \
	[7] = { STEP_GOTO, 0, 20 }, \
	[8] = { STEP_LITERAL, close, 0 }, { STEP_DONE, 0, 0 }, \
	[10] = { STEP_LITERAL, "[", 0 }, { STEP_BLANK, 0, 0 }, { STEP_NAME, 0, 0 }, { STEP_BLANK, 0, 0 }, \
	[14] = { STEP_KWARGS, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, ",", 22 }, \
	[17] = { STEP_LITERAL, "]", 0 }, { STEP_BLANK, 0, 0 }, { STEP_GOTO, 0, 8 }, \
	[20] = { STEP_BLANK, 0, 0 }, { STEP_GOTO, 0, 3 }, \
	[22] = { STEP_LITERAL, ",", 0 }, { STEP_GOTO, 0, 11 } }
static const struct call_step lfm2[] = PYTHON("<|tool_call_start|>", "<|tool_call_end|>");
static const struct call_step olmo[] = PYTHON("<function_calls>", "</function_calls>");
static const struct call_step gemma[] = {
	{ STEP_LITERAL, "<start_function_call>call:", 0 }, { STEP_NAME, 0, 0 },
	{ STEP_BRACES, "<escape>", 0 }, { STEP_LITERAL, "<end_function_call>", 0 }, { STEP_DONE, 0, 0 },
};
static const struct call_step gemma4[] = {
	{ STEP_LITERAL, "<|tool_call>call:", 0 }, { STEP_NAME, 0, 0 },
	{ STEP_BRACES, "<|\"|>", 0 }, { STEP_LITERAL, "<tool_call|>", 0 }, { STEP_DONE, 0, 0 },
};

/* ---- the families ---- */

#define THINK_AS(begin, end) { begin, MARK_THINK, 0, 0, 0 }, { end, MARK_UNTHINK, 0, 0, 0 }
#define THINK THINK_AS("<think>", "</think>")
#define SECTION(begin, end) { begin, MARK_SECTION, 0, 0, 0 }, { end, MARK_SECTION_END, 0, 0, 0 }
#define SHOW(begin, end) { begin, MARK_SHOW, 0, 0, 0 }, { end, MARK_SHOW_END, 0, 0, 0 }
#define DROP(text) { text, MARK_SECTION_END, 0, 0, 0 }
#define CALL(text, program, at, how) { text, MARK_CALL, program, at, how }
#define DEEPSEEK(program) THINK, \
	SECTION("<" BAR "tool" GAP "calls" GAP "begin" BAR ">", \
		"<" BAR "tool" GAP "calls" GAP "end" BAR ">"), \
	CALL("<" BAR "tool" GAP "call" GAP "begin" BAR ">", program, 0, 0)

#define MISTRAL THINK, THINK_AS("[THINK]", "[/THINK]"), CALL("[TOOL_CALLS]", mistral, 0, MARK_LINE)

#define MARKS_MAX 9
static const struct {
	const char *name;
	bool special; /* some marks are control tokens, which ordinary decoding drops */
	struct mark marks[MARKS_MAX];
} families[REPLY_SYNTAXES] = {
	[REPLY_SYNTAX_PLAIN] = { "plain", false, { { 0 } } },
	[REPLY_SYNTAX_HERMES] = { "hermes", false, { THINK, CALL("<tool_call>", hermes, 0, MARK_LINE) } },
	[REPLY_SYNTAX_DEEPSEEK] = { "deepseek", false, { DEEPSEEK(deepseek) } },
	[REPLY_SYNTAX_DEEPSEEK31] = { "deepseek31", false, { DEEPSEEK(deepseek31) } },
	[REPLY_SYNTAX_MISTRAL] = { "mistral", true, { MISTRAL } },
	[REPLY_SYNTAX_MISTRAL11] = { "mistral11", true, { MISTRAL } },
	[REPLY_SYNTAX_LLAMA3] = { "llama3", true, { THINK, CALL("{", llama3, 0, MARK_ALONE),
		CALL("[", llama3, 0, MARK_ALONE), CALL("<|python_tag|>", llama3, 0, MARK_ALONE),
		CALL("<|python_start|>", llama3, 0, MARK_ALONE) } },
	[REPLY_SYNTAX_GLM] = { "glm", false, { THINK, SECTION("<tool_calls>", "</tool_calls>"),
		CALL("<tool_call>", glm, 0, MARK_LINE) } },
	[REPLY_SYNTAX_KIMI] = { "kimi", true, { THINK,
		SECTION("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
		SECTION("<|tool_call_section_begin|>", "<|tool_call_section_end|>"),
		CALL("<|tool_call_begin|>", kimi, 0, 0) } },
	[REPLY_SYNTAX_HARMONY] = { "harmony", true, { { 0 } } },
	[REPLY_SYNTAX_XML] = { "xml", false, { THINK, CALL("<tool_call>", xml, 0, MARK_LINE),
		CALL("<function=", xml, 2, MARK_KNOWN | MARK_LINE), DROP("</tool_call>") } },
	[REPLY_SYNTAX_SEED] = { "seed", true, { THINK_AS("<seed:think>", "</seed:think>"), THINK,
		CALL("<seed:tool_call>", seed, 0, MARK_LINE), CALL("<function=", seed, 2, MARK_INSIDE),
		DROP("</seed:tool_call>") } },
	[REPLY_SYNTAX_MINIMAX] = { "minimax", true, { THINK, THINK_AS("<mm:think>", "</mm:think>"),
		CALL("<minimax:tool_call>", minimax, 0, MARK_LINE),
		CALL("<invoke name=", minimax, 2, MARK_INSIDE), DROP("</minimax:tool_call>") } },
	[REPLY_SYNTAX_STEP3] = { "step3", true, { THINK,
		SECTION("<" BAR "tool_calls_begin" BAR ">", "<" BAR "tool_calls_end" BAR ">"),
		DROP("<" BAR "tool_sep" BAR ">"), CALL("<" BAR "tool_call_begin" BAR ">", step3, 0, 0) } },
	[REPLY_SYNTAX_DSML] = { "dsml", true, { THINK, CALL(DSML "function_calls>", dsml, 0, MARK_LINE),
		CALL(DSML "tool_calls>", dsml, 0, MARK_LINE), CALL(DSML "invoke name=", dsml, 3, MARK_INSIDE),
		DROP(DSML_END "function_calls>"), DROP(DSML_END "tool_calls>") } },
	[REPLY_SYNTAX_TOOL_CALLS] = { "tool-calls", false, { THINK,
		CALL("<tool_calls>", tool_calls, 0, MARK_LINE), SHOW("<answer>", "</answer>") } },
	[REPLY_SYNTAX_NEMOTRON] = { "nemotron", false, { THINK,
		CALL("<TOOLCALL>", nemotron, 0, MARK_LINE) } },
	[REPLY_SYNTAX_ERNIE] = { "ernie", false, { THINK, CALL("<tool_call>", hermes, 0, MARK_LINE),
		SHOW("<response>", "</response>") } },
	[REPLY_SYNTAX_LONGCAT] = { "longcat", true, { THINK,
		THINK_AS("<longcat_think>", "</longcat_think>"),
		CALL("<longcat_tool_call>", longcat, 0, MARK_LINE) } },
	[REPLY_SYNTAX_BAR] = { "bar", true, { THINK, CALL("<|tool_call|>", bar, 0, MARK_LINE),
		CALL("functools[", functools, 0, MARK_KNOWN), DROP("<|/tool_call|>") } },
	[REPLY_SYNTAX_INTERN] = { "intern", true, { THINK,
		CALL("<|action_start|>", intern, 0, MARK_LINE) } },
	[REPLY_SYNTAX_COMMAND] = { "command", true, { THINK_AS("<|START_THINKING|>", "<|END_THINKING|>"),
		CALL("<|START_ACTION|>", command, 0, MARK_LINE),
		SHOW("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
		SHOW("<|START_TEXT|>", "<|END_TEXT|>") } },
	[REPLY_SYNTAX_APERTUS] = { "apertus", true, { THINK_AS("<|inner_prefix|>", "<|inner_suffix|>"),
		CALL("<|tools_prefix|>", apertus, 0, MARK_LINE) } },
	[REPLY_SYNTAX_LFM2] = { "lfm2", true, { THINK, CALL("<|tool_call_start|>", lfm2, 0, MARK_LINE) } },
	[REPLY_SYNTAX_OLMO] = { "olmo", false, { THINK, CALL("<function_calls>", olmo, 0, MARK_LINE) } },
	[REPLY_SYNTAX_GEMMA] = { "gemma", true, { THINK, CALL("<start_function_call>", gemma, 0, 0) } },
	[REPLY_SYNTAX_GEMMA4] = { "gemma4", true, { THINK_AS("<|channel>thought", "<channel|>"),
		CALL("<|tool_call>", gemma4, 0, MARK_LINE) } },
};
/* clang-format on */

const struct mark *reply_marks(enum reply_syntax s)
{
	check(s < REPLY_SYNTAXES);
	return families[s].marks;
}

const char *reply_syntax_name(enum reply_syntax s)
{
	check(s < REPLY_SYNTAXES);
	return families[s].name;
}

bool reply_syntax_markers(enum reply_syntax s)
{
	check(s < REPLY_SYNTAXES);
	return families[s].special;
}

/* ---- telling families ---- */

static bool has(const char *text, size_t len, const char *what)
{
	return memmem(text, len, what, strlen(what)) != NULL;
}

static bool in_name(char c)
{
	return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_' ||
	       c == '.';
}

/* Whether a tag of the template names the variable tools. */
static bool takes_tools(const char *text, size_t len)
{
	const char *end = text + len;
	for (const char *at = text; (at = memmem(at, (size_t)(end - at), "tools", 5)) != NULL;
	     at += 5) {
		const char *open = at;
		if ((at > text && in_name(at[-1])) ||
		    (at + 5 < end && in_name(at[5]) && at[5] != '.'))
			continue;
		while (open > text && !(open[0] == '{' && (open[1] == '%' || open[1] == '{')) &&
		       !(open[1] == '}' && (open[0] == '%' || open[0] == '}')))
			open--;
		if (*open == '{')
			return true;
	}
	return false;
}

struct reply_family reply_family_find(const char *text, size_t len)
{
	/* all strings of a row must occur; the first row that matches decides */
	static const struct {
		enum reply_syntax syntax;
		const char *first, *second;
		bool silent; /* says nothing of calls */
	} rows[] = {
		{ REPLY_SYNTAX_HARMONY, "<|channel|>", "<|message|>", false },
		{ REPLY_SYNTAX_GEMMA4, "<|tool_call>", "<tool_call|>", false },
		{ REPLY_SYNTAX_GEMMA, "<start_function_call>", "", false },
		{ REPLY_SYNTAX_KIMI, "<|tool_call_argument_begin|>", "", false },
		{ REPLY_SYNTAX_DSML, BAR "DSML" BAR, "", false },
		{ REPLY_SYNTAX_STEP3, "steptml:invoke", "", false },
		{ REPLY_SYNTAX_MINIMAX, "<minimax:tool_call>", "", false },
		{ REPLY_SYNTAX_MINIMAX, "]<]minimax[>[", "", true }, /* M3: elements in elements */
		{ REPLY_SYNTAX_SEED, "<seed:tool_call>", "", false },
		{ REPLY_SYNTAX_DEEPSEEK, "tool" GAP "call" GAP "begin", "```json", false },
		{ REPLY_SYNTAX_DEEPSEEK31, "tool" GAP "call" GAP "begin", "", false },
		{ REPLY_SYNTAX_GLM, "<arg_key>", "<arg_value>", false },
		{ REPLY_SYNTAX_XML, "<function=", "<parameter=", false },
		{ REPLY_SYNTAX_MISTRAL11, "[TOOL_CALLS]", "[ARGS]", false },
		{ REPLY_SYNTAX_MISTRAL, "[TOOL_CALLS]", "", false },
		{ REPLY_SYNTAX_LONGCAT, "<longcat_tool_call>", "", false },
		{ REPLY_SYNTAX_COMMAND, "<|START_ACTION|>", "", false },
		{ REPLY_SYNTAX_INTERN, "<|action_start|>", "<|plugin|>", false },
		{ REPLY_SYNTAX_NEMOTRON, "<TOOLCALL>", "", false },
		{ REPLY_SYNTAX_APERTUS, "<|tools_prefix|>", "", false },
		{ REPLY_SYNTAX_LFM2, "<|tool_call_start|>", "", false },
		{ REPLY_SYNTAX_OLMO, "<function_calls>", "", false },
		{ REPLY_SYNTAX_TOOL_CALLS, "<tool_calls>", "", false },
		{ REPLY_SYNTAX_BAR, "<|tool_call|>", "", false },
		{ REPLY_SYNTAX_BAR, "functools", "", false },
		{ REPLY_SYNTAX_ERNIE, "<tool_call>", "<response>", false },
		{ REPLY_SYNTAX_HERMES, "<tool_call>", "", false },
		{ REPLY_SYNTAX_LLAMA3, "<|python_tag|>", "", false },
		{ REPLY_SYNTAX_LLAMA3, "<|start_header_id|>", "\"parameters\"", false },
		{ REPLY_SYNTAX_LLAMA3, "<|header_start|>", "\"parameters\"", false },
		{ REPLY_SYNTAX_LLAMA3, "<|header_start|>", "<|python_start|>", false },
		{ REPLY_SYNTAX_MISTRAL, "[THINK]", "", true },
		{ REPLY_SYNTAX_DEEPSEEK, "<" BAR "Assistant" BAR ">", "<think>", true },
		{ REPLY_SYNTAX_COMMAND, "<|START_THINKING|>", "", true },
		{ REPLY_SYNTAX_SEED, "</seed:think>", "", true },
		{ REPLY_SYNTAX_ERNIE, "</think>", "<response>", true },
		{ REPLY_SYNTAX_TOOL_CALLS, "</think>", "<answer>", true },
		{ REPLY_SYNTAX_HERMES, "</think>", "", true },
		{ REPLY_SYNTAX_PLAIN, "", "", true },
	};
	size_t i = 0;
	while (!has(text, len, rows[i].first) || !has(text, len, rows[i].second))
		i++;
	struct reply_family f = { .syntax = rows[i].syntax };
	f.thinks = f.syntax == REPLY_SYNTAX_HARMONY;
	for (const struct mark *m = reply_marks(f.syntax); m->text; m++)
		f.thinks |= (m->kind == MARK_THINK || m->kind == MARK_UNTHINK) &&
			    has(text, len, m->text);
	if (rows[i].silent && takes_tools(text, len))
		f.unread =
			"the chat template takes tools, but how this family writes its calls is not "
			"known here: they come out as content";
	return f;
}

/* The last mark of reasoning in the text: MARK_THINK, MARK_UNTHINK, or MARK_CALL for none. */
static enum mark_kind last_mark(enum reply_syntax s, const char *text, size_t len)
{
	for (size_t at = len; at-- > 0;)
		for (const struct mark *m = reply_marks(s); m->text; m++) {
			size_t n = strlen(m->text);
			bool thinks = m->kind == MARK_THINK || m->kind == MARK_UNTHINK;
			if (thinks && n <= len - at && memcmp(text + at, m->text, n) == 0)
				return m->kind;
		}
	return MARK_CALL;
}

enum reply_thought reply_prompt_thought(const struct reply_family *f, const char *prompt,
					size_t len)
{
	if (f->syntax == REPLY_SYNTAX_HARMONY)
		return has(prompt, len, "<|channel|>analysis<|message|>") ? REPLY_THOUGHT_OPEN
									  : REPLY_THOUGHT_MAY;
	enum mark_kind last = last_mark(f->syntax, prompt, len);
	if (last == MARK_THINK)
		return REPLY_THOUGHT_OPEN;
	return f->thinks && last != MARK_UNTHINK ? REPLY_THOUGHT_MAY : REPLY_THOUGHT_NONE;
}
