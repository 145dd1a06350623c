/* The families: how each writes reasoning and calls, and how to tell them by their templates. */
#include "reply/reply_in.h"

#include "base/check.h"

#include <string.h>

#define BAR "\xEF\xBD\x9C" /* U+FF5C, full-width bar */
#define GAP "\xE2\x96\x81" /* U+2581, in place of a space */

/* clang-format off */
static const struct call_step hermes[] = {
	{ STEP_LITERAL, "<tool_call>", 0 }, { STEP_BLANK, 0, 0 }, { STEP_OBJECT, 0, 0 },
	{ STEP_BLANK, 0, 0 }, { STEP_LITERAL, "</tool_call>", 0 }, { STEP_DONE, 0, 0 },
};
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
	[0] = { STEP_LITERAL, "[TOOL_CALLS]", 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "[", 14 },
	[3] = { STEP_NAME, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "{", 12 }, { STEP_LITERAL, "[", 0 },
	[7] = { STEP_ROUTE, "A", 11 }, { STEP_LITERAL, "CALL_ID]", 0 },
	[9] = { STEP_LABEL, 0, 0 }, { STEP_LITERAL, "[", 0 },
	[11] = { STEP_LITERAL, "ARGS]", 0 },
	[12] = { STEP_ARGUMENTS, 0, 0 }, { STEP_DONE, 0, 0 },
	[14] = { STEP_LITERAL, "[", 0 },
	[15] = { STEP_BLANK, 0, 0 }, { STEP_OBJECT, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, ",", 21 },
	[19] = { STEP_LITERAL, "]", 0 }, { STEP_DONE, 0, 0 },
	[21] = { STEP_LITERAL, ",", 0 }, { STEP_GOTO, 0, 15 },
};
/* the whole reply; several objects with or without ';' between them */
static const struct call_step llama3[] = {
	[0] = { STEP_ROUTE, "{", 3 }, { STEP_LITERAL, "<|python_tag|>", 0 }, { STEP_BLANK, 0, 0 },
	[3] = { STEP_OBJECT, 0, 0 }, { STEP_BLANK, 0, 0 }, { STEP_ROUTE, "{", 3 }, { STEP_ROUTE, ";", 9 },
	[7] = { STEP_ROUTE, "<", 11 }, { STEP_END, 0, 0 },
	[9] = { STEP_LITERAL, ";", 0 }, { STEP_GOTO, 0, 2 },
	[11] = { STEP_LITERAL, "<|eo", 0 }, { STEP_ROUTE, "m", 15 },
	[13] = { STEP_LITERAL, "t_id|>", 0 }, { STEP_GOTO, 0, 16 },
	[15] = { STEP_LITERAL, "m_id|>", 0 }, [16] = { STEP_BLANK, 0, 0 }, { STEP_END, 0, 0 },
};
static const struct call_step glm[] = {
	[0] = { STEP_LITERAL, "<tool_call>", 0 }, { STEP_BLANK, 0, 0 }, { STEP_NAME, 0, 0 },
	[3] = { STEP_BLANK, 0, 0 }, { STEP_LITERAL, "<", 0 }, { STEP_ROUTE, "/", 12 },
	[6] = { STEP_LITERAL, "arg_key>", 0 }, { STEP_KEY, "</arg_key>", 0 }, { STEP_BLANK, 0, 0 },
	[9] = { STEP_LITERAL, "<arg_value>", 0 }, { STEP_VALUE, "</arg_value>", 0 }, { STEP_GOTO, 0, 3 },
	[12] = { STEP_LITERAL, "/tool_call>", 0 }, { STEP_CLOSE, 0, 0 }, { STEP_DONE, 0, 0 },
};
static const struct call_step kimi[] = {
	{ STEP_LITERAL, "<|tool_call_begin|>", 0 }, { STEP_BLANK, 0, 0 }, { STEP_ID, 0, 0 },
	{ STEP_BLANK, 0, 0 }, { STEP_LITERAL, "<|tool_call_argument_begin|>", 0 },
	{ STEP_BLANK, 0, 0 }, { STEP_ARGUMENTS, 0, 0 }, { STEP_BLANK, 0, 0 },
	{ STEP_LITERAL, "<|tool_call_end|>", 0 }, { STEP_DONE, 0, 0 },
};
const struct call_step reply_harmony_call[] = {
	[0] = { STEP_BLANK, 0, 0 }, { STEP_ARGUMENTS, 0, 0 }, { STEP_BLANK, 0, 0 },
	[3] = { STEP_ROUTE, "<", 5 }, { STEP_END, 0, 0 },
	[5] = { STEP_LITERAL, "<|", 0 }, { STEP_ROUTE, "c", 10 }, { STEP_ROUTE, "e", 12 },
	[8] = { STEP_LITERAL, "return|>", 0 }, { STEP_DONE, 0, 0 },
	[10] = { STEP_LITERAL, "call|>", 0 }, { STEP_DONE, 0, 0 },
	[12] = { STEP_LITERAL, "end|>", 0 }, { STEP_DONE, 0, 0 },
};

#define THINK { "<think>", MARK_THINK, NULL, false }, { "</think>", MARK_UNTHINK, NULL, false }
#define DEEPSEEK(program) THINK, \
	{ "<" BAR "tool" GAP "calls" GAP "begin" BAR ">", MARK_SECTION, NULL, false }, \
	{ "<" BAR "tool" GAP "calls" GAP "end" BAR ">", MARK_SECTION_END, NULL, false }, \
	{ "<" BAR "tool" GAP "call" GAP "begin" BAR ">", MARK_CALL, program, false }

#define MARKS_MAX 8
static const struct mark marks[REPLY_SYNTAXES][MARKS_MAX] = {
	[REPLY_SYNTAX_HERMES] = { THINK, { "<tool_call>", MARK_CALL, hermes, false } },
	[REPLY_SYNTAX_DEEPSEEK] = { DEEPSEEK(deepseek) },
	[REPLY_SYNTAX_DEEPSEEK31] = { DEEPSEEK(deepseek31) },
	[REPLY_SYNTAX_MISTRAL] = { THINK, { "[THINK]", MARK_THINK, NULL, false },
		{ "[/THINK]", MARK_UNTHINK, NULL, false }, { "[TOOL_CALLS]", MARK_CALL, mistral, false } },
	[REPLY_SYNTAX_LLAMA3] = { THINK, { "{", MARK_CALL, llama3, true },
		{ "<|python_tag|>", MARK_CALL, llama3, true } },
	[REPLY_SYNTAX_GLM] = { THINK, { "<tool_call>", MARK_CALL, glm, false } },
	[REPLY_SYNTAX_KIMI] = { THINK,
		{ "<|tool_calls_section_begin|>", MARK_SECTION, NULL, false },
		{ "<|tool_call_section_begin|>", MARK_SECTION, NULL, false },
		{ "<|tool_calls_section_end|>", MARK_SECTION_END, NULL, false },
		{ "<|tool_call_section_end|>", MARK_SECTION_END, NULL, false },
		{ "<|tool_call_begin|>", MARK_CALL, kimi, false } },
};
/* clang-format on */

const struct mark *reply_marks(enum reply_syntax s)
{
	check(s < REPLY_SYNTAXES);
	return marks[s];
}

const char *reply_syntax_name(enum reply_syntax s)
{
	static const char *const names[REPLY_SYNTAXES] = { "plain",      "hermes",  "deepseek",
							   "deepseek31", "mistral", "llama3",
							   "glm",        "kimi",    "harmony" };
	check(s < REPLY_SYNTAXES);
	return names[s];
}

/* Control tokens among the markers: dropped from ordinary decoding. */
bool reply_syntax_markers(enum reply_syntax s)
{
	return s == REPLY_SYNTAX_HARMONY || s == REPLY_SYNTAX_MISTRAL || s == REPLY_SYNTAX_LLAMA3 ||
	       s == REPLY_SYNTAX_KIMI;
}

/* ---- telling families ---- */

enum reply_syntax reply_syntax_find(const char *text, size_t len)
{
	/* all strings of a row must occur; the first row that matches decides */
	static const struct {
		enum reply_syntax syntax;
		const char *first, *second;
	} rows[] = {
		{ REPLY_SYNTAX_HARMONY, "<|channel|>", "<|message|>" },
		{ REPLY_SYNTAX_KIMI, "<|tool_call_argument_begin|>", "" },
		{ REPLY_SYNTAX_DEEPSEEK, "tool" GAP "call" GAP "begin", "```json" },
		{ REPLY_SYNTAX_DEEPSEEK31, "tool" GAP "call" GAP "begin", "" },
		{ REPLY_SYNTAX_GLM, "<arg_key>", "<arg_value>" },
		{ REPLY_SYNTAX_MISTRAL, "[TOOL_CALLS]", "" },
		{ REPLY_SYNTAX_HERMES, "<tool_call>", "" },
		{ REPLY_SYNTAX_LLAMA3, "<|python_tag|>", "" },
		{ REPLY_SYNTAX_LLAMA3, "<|start_header_id|>", "\"parameters\"" },
		{ REPLY_SYNTAX_MISTRAL, "[THINK]", "" },
		{ REPLY_SYNTAX_DEEPSEEK, "<" BAR "Assistant" BAR ">", "<think>" },
		{ REPLY_SYNTAX_HERMES, "</think>", "" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (memmem(text, len, rows[i].first, strlen(rows[i].first)) &&
		    memmem(text, len, rows[i].second, strlen(rows[i].second)))
			return rows[i].syntax;
	return REPLY_SYNTAX_PLAIN;
}

static bool ends_with(const char *s, size_t len, const char *what)
{
	size_t n = strlen(what);
	return len >= n && memcmp(s + len - n, what, n) == 0;
}

bool reply_prompt_reasons(enum reply_syntax s, const char *prompt, size_t len)
{
	if (s == REPLY_SYNTAX_PLAIN)
		return false;
	if (s == REPLY_SYNTAX_HARMONY)
		return ends_with(prompt, len, "<|channel|>analysis<|message|>");
	while (len && reply_json_blank((unsigned char)prompt[len - 1]))
		len--;
	return ends_with(prompt, len, "<think>") ||
	       (s == REPLY_SYNTAX_MISTRAL && ends_with(prompt, len, "[THINK]"));
}
