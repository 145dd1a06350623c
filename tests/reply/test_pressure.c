/* Out of memory at any allocation: tests/shared/press.h. */
#include "reply/reply.h"
#include "tests/shared/press.h"

#include <criterion/criterion.h>
#include <string.h>

static int run_tools(const struct work *w, struct err *e)
{
	return reply_frame_grammar(&(struct reply_frame){ .syntax = *(const enum reply_syntax *)w->text,
							  .thought = REPLY_THOUGHT_OPEN,
							  .tools = w->more,
							  .calls_max = 2 },
				   &press_answer, e);
}

Test(reply_pressure, grammars_of_tools)
{
	static const enum reply_syntax syntax[] = { REPLY_SYNTAX_HERMES, REPLY_SYNTAX_GLM };
	json_t *tools = json_pack("[{s:s,s:{s:s,s:{s:s,s:{s:{s:s},s:{s:[i,s,n]}},s:[s]}}}]", "type", "function",
	                          "function", "name", "look", "parameters", "type", "object", "properties", "a",
	                          "type", "integer", "b", "enum", 1, "x", "required", "b");
	for (size_t i = 0; i < sizeof syntax / sizeof *syntax; i++)
		press(reply_syntax_name(syntax[i]), &(struct work){ run_tools, &syntax[i], 0, tools });
	json_decref(tools);
}

static int run_reply(const struct work *w, struct err *e)
{
	struct reply *r = NULL;
	const struct reply_event *event;
	size_t count = 0;
	int rc = reply_open(&r, &(struct reply_options){ .syntax = *(const enum reply_syntax *)w->more }, e);
	for (size_t i = 0; i <= w->len && rc == 0; i++) {
		rc = i < w->len ? reply_push(r, (const char *)w->text + i, 1, &event, &count, e) :
			          reply_end(r, false, &event, &count, e);
		for (size_t k = 0; k < count && rc == 0; k++)
			buf_printf(&press_answer, "%d %u %.*s\n", (int)event[k].part, event[k].call, (int)event[k].len,
			           event[k].text);
	}
	reply_close(r);
	return rc;
}

Test(reply_pressure, replies)
{
	static const struct { enum reply_syntax syntax; const char *text; } r[] = {
		{ REPLY_SYNTAX_HERMES,
		  "<think>a\n</think>b<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>" },
		{ REPLY_SYNTAX_GLM, "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>1</arg_value>\n</tool_call>" },
		{ REPLY_SYNTAX_HARMONY, "<|channel|>analysis<|message|>x<|end|><|start|>assistant<|channel|>commentary "
		  "to=functions.f <|constrain|>json<|message|>{\"a\":1}<|call|>" },
		{ REPLY_SYNTAX_MISTRAL, "[TOOL_CALLS][{\"name\":\"f\",\"arguments\":{}}]" },
	};
	for (size_t i = 0; i < sizeof r / sizeof *r; i++)
		press(reply_syntax_name(r[i].syntax),
		      &(struct work){ run_reply, r[i].text, strlen(r[i].text), &r[i].syntax });
}
