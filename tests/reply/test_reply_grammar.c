/* Grammars of forced calls against the readers: what the grammar accepts is read as that call. */
#include "reply/reply.h"
#include "tests/shared/acceptor.h"
#include "tests/shared/vectors.h"

#include <criterion/criterion.h>
#include <string.h>

static const char tools[] =
	"[{'type':'function','function':{'name':'get_weather','parameters':{'type':'object','properties':"
	"{'city':{'type':'string'},'unit':{'enum':['c','f']},'days':{'type':'integer'}},'required':['city'],"
	"'additionalProperties':false}}},"
	"{'type':'function','function':{'name':'now'}},"
	"{'type':'function','function':{'name':'put','parameters':{'properties':{'p':{'$ref':'#/$defs/point'}},"
	"'required':['p'],'$defs':{'point':{'type':'array','items':{'type':'number'}}}}}}]";

static json_t *load_tools(const char *quoted)
{
	struct buf b = { 0 };
	for (const char *p = quoted; *p; p++)
		buf_add_byte(&b, *p == '\'' ? '"' : (unsigned char)*p);
	json_t *j = vector_json(b.bytes, b.len);
	buf_free(&b);
	return j;
}

static struct acceptor compile(enum reply_syntax s, const char *name, bool reasoning)
{
	json_t *list = load_tools(tools);
	struct buf grammar = { 0 };
	struct acceptor a;
	struct err e = { 0 };
	cr_assert_eq(reply_tool_grammar(s, NULL, list, name, reasoning, &grammar, &e), 0, "%s", e.text);
	cr_assert_eq(acceptor_open(&a, GRAMMAR_CALL, grammar.bytes, grammar.len, &e), 0, "%s\n%s", e.text,
		     grammar.bytes);
	buf_free(&grammar);
	json_decref(list);
	return a;
}

/* The reader's calls as "name{arguments}" one behind the other; anything but a call as "?". */
static struct buf read_calls(enum reply_syntax s, bool reasoning, const char *text)
{
	struct reply *r;
	const struct reply_event *event;
	struct buf out = { 0 };
	struct err e;
	size_t count;
	struct reply_options o = { s, reasoning, NULL };
	cr_assert_eq(reply_open(&r, &o, &e), 0);
	for (int end = 0; end < 2; end++) {
		int rc = end ? reply_end(r, &event, &count, &e) :
			       reply_push(r, text, strlen(text), &event, &count, &e);
		cr_assert_eq(rc, 0);
		for (size_t i = 0; i < count; i++)
			if (event[i].part == REPLY_CONTENT)
				buf_add_text(&out, "?");
			else if (event[i].part != REPLY_REASONING)
				buf_add(&out, event[i].text, event[i].len);
	}
	reply_close(r);
	return out;
}

#define B "｜"
#define G "▁"
static const struct {
	enum reply_syntax syntax;
	const char *before, *middle, *after, *thought;
} forms[] = {
	{ REPLY_SYNTAX_HERMES, "<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>",
	  "hm <b>\n</think>\n\n" },
	{ REPLY_SYNTAX_DEEPSEEK,
	  "<" B "tool" G "calls" G "begin" B "><" B "tool" G "call" G "begin" B ">function<" B "tool" G "sep" B ">",
	  "\n```json\n", "\n```<" B "tool" G "call" G "end" B "><" B "tool" G "calls" G "end" B ">",
	  "hm </think>\n\n" },
	{ REPLY_SYNTAX_DEEPSEEK31, "<" B "tool" G "calls" G "begin" B "><" B "tool" G "call" G "begin" B ">",
	  "<" B "tool" G "sep" B ">", "<" B "tool" G "call" G "end" B "><" B "tool" G "calls" G "end" B ">",
	  "hm</think>" },
	{ REPLY_SYNTAX_MISTRAL, "[TOOL_CALLS][{\"name\": \"", "\", \"arguments\": ", "}]", "hm[/THINK]" },
	{ REPLY_SYNTAX_LLAMA3, "{\"name\": \"", "\", \"parameters\": ", "}", "hm</think>\n\n" },
	{ REPLY_SYNTAX_KIMI, "<|tool_calls_section_begin|><|tool_call_begin|>functions.",
	  ":0<|tool_call_argument_begin|>", "<|tool_call_end|><|tool_calls_section_end|>", "hm</think>" },
	{ REPLY_SYNTAX_HARMONY, "<|channel|>commentary to=functions.", " <|constrain|>json<|message|>", "",
	  "hm<|end|><|start|>assistant" },
};

static bool accepts(const struct acceptor *a, const char *text)
{
	return acceptor_takes(a, text, strlen(text), true);
}

Test(reply_grammar, accepts_calls_by_the_schema_that_the_reader_takes_apart)
{
	static const struct { const char *name, *arguments; bool good; } calls[] = {
		{ "get_weather", "{\"city\": \"Paris\"}", true },
		{ "get_weather", "{\"city\": \"東京\", \"unit\": \"c\", \"days\": -2}", true },
		{ "get_weather", "{\"days\": 2}", false },
		{ "get_weather", "{\"city\": 5}", false },
		{ "get_weather", "{\"city\": \"x\", \"unit\": \"k\"}", false },
		{ "now", "{}", true },
		{ "now", "{\"a\": 1}", false },
		{ "put", "{\"p\": [1, 2.5]}", true },
		{ "put", "{\"p\": [\"1\"]}", false },
		{ "other", "{}", false },
	};
	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
		for (int thinks = 0; thinks < 2; thinks++) {
			struct acceptor a = compile(forms[f].syntax, NULL, thinks);
			for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
				struct buf text = { 0 }, expected = { 0 };
				buf_printf(&text, "%s%s%s%s%s%s", thinks ? forms[f].thought : "", forms[f].before,
					   calls[i].name, forms[f].middle, calls[i].arguments, forms[f].after);
				cr_expect_eq(accepts(&a, text.bytes), calls[i].good, "%s", text.bytes);
				buf_printf(&expected, "%s%s", calls[i].name, calls[i].arguments);
				struct buf heard = read_calls(forms[f].syntax, thinks, text.bytes);
				cr_expect_str_eq(heard.bytes, expected.bytes, "%s", text.bytes);
				buf_free(&heard);
				buf_free(&text);
				buf_free(&expected);
			}
			cr_expect(!accepts(&a, "Hello"));
			acceptor_close(&a);
		}
}

Test(reply_grammar, glm_writes_members_one_by_one)
{
	static const struct { const char *text, *heard; } rows[] = {
		{ "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>\"Paris\"</arg_value>\n"
		  "<arg_key>days</arg_key>\n<arg_value>3</arg_value>\n</tool_call>",
		  "get_weather{\"city\": \"Paris\", \"days\": 3}" },
		{ "<tool_call>now\n</tool_call>", "now{}" },
		{ "<tool_call>put\n<arg_key>p</arg_key>\n<arg_value>[1]</arg_value>\n</tool_call>", "put{\"p\": [1]}" },
		{ "<tool_call>get_weather\n</tool_call>", NULL },
		{ "<tool_call>put\n<arg_key>p</arg_key>\n<arg_value>1</arg_value>\n</tool_call>", NULL },
	};
	struct acceptor a = compile(REPLY_SYNTAX_GLM, NULL, false);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		cr_expect_eq(accepts(&a, rows[i].text), rows[i].heard != NULL, "%s", rows[i].text);
		struct buf heard = read_calls(REPLY_SYNTAX_GLM, false, rows[i].text);
		if (rows[i].heard)
			cr_expect_str_eq(heard.bytes, rows[i].heard);
		buf_free(&heard);
	}
	acceptor_close(&a);
}

/* Else the end of reasoning, and any call, could be written as part of it. */
Test(reply_grammar, reasoning_ends_at_its_first_end_and_holds_no_call)
{
	static const struct { enum reply_syntax syntax; const char *thought; } rows[] = {
		{ REPLY_SYNTAX_MISTRAL, "hm[/THINK]Hello. [TOOL_CALLS][{\"name\": \"other\", \"arguments\": {}}]" },
		{ REPLY_SYNTAX_MISTRAL, "hm</think>Hello." },
		{ REPLY_SYNTAX_MISTRAL, "hm[TOOL_CALLS]other{}" },
		{ REPLY_SYNTAX_HERMES, "hm</think>Hello." },
		{ REPLY_SYNTAX_KIMI, "<|tool_calls_section_begin|><|tool_call_begin|>functions.other:0"
				      "<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>" },
		{ REPLY_SYNTAX_DEEPSEEK31, "<" B "tool" G "calls" G "begin" B "><" B "tool" G "call" G "begin" B
					    ">other<" B "tool" G "sep" B ">{}<" B "tool" G "call" G "end" B "><" B
					    "tool" G "calls" G "end" B ">" },
		{ REPLY_SYNTAX_HARMONY, "hm<|end|>Hello." },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct acceptor a = compile(rows[i].syntax, NULL, true);
		cr_expect(!acceptor_takes(&a, rows[i].thought, strlen(rows[i].thought), false), "%s",
			  rows[i].thought);
		cr_expect(acceptor_takes(&a, "a < b, [1] and \xEF\xBD\x9C|", 18, false), "row %zu", i);
		acceptor_close(&a);
	}
}

Test(reply_grammar, one_tool_can_be_named)
{
	struct acceptor a = compile(REPLY_SYNTAX_LLAMA3, "now", false);
	cr_expect(accepts(&a, "{\"name\": \"now\", \"parameters\": {}}"));
	cr_expect(!accepts(&a, "{\"name\": \"put\", \"parameters\": {\"p\": []}}"));
	acceptor_close(&a);
}

Test(reply_grammar, what_cannot_be_written_is_refused_by_name)
{
	static const struct {
		enum reply_syntax syntax;
		const char *tools, *name;
		int code;
		const char *says;
	} rows[] = {
		{ REPLY_SYNTAX_PLAIN, "[{'function':{'name':'f'}}]", NULL, ERR_UNSUPPORTED, "plain" },
		{ REPLY_SYNTAX_HERMES, "[]", NULL, ERR_INPUT, "no tool" },
		{ REPLY_SYNTAX_HERMES, "[{'function':{'name':'f'}}]", "g", ERR_INPUT, "g" },
		{ REPLY_SYNTAX_HERMES, "[{'function':{}}]", NULL, ERR_INPUT, "tool 0" },
		{ REPLY_SYNTAX_KIMI, "[{'function':{'name':'a b'}}]", NULL, ERR_INPUT, "a b" },
		{ REPLY_SYNTAX_HERMES, "[{'function':{'name':'f','parameters':{'type':'array'}}}]", NULL, ERR_INPUT,
		  "object" },
		{ REPLY_SYNTAX_HERMES,
		  "[{'function':{'name':'f','parameters':{'properties':{'a':{'$dynamicRef':'#x'}}}}}]",
		  NULL, ERR_UNSUPPORTED, "$dynamicRef" },
		{ REPLY_SYNTAX_GLM, "[{'function':{'name':'f','parameters':{'anyOf':[{}]}}}]", NULL, ERR_UNSUPPORTED,
		  "anyOf" },
		{ REPLY_SYNTAX_GLM, "[{'function':{'name':'f','parameters':{'required':['a']}}}]", NULL,
		  ERR_UNSUPPORTED, "required" },
		{ REPLY_SYNTAX_GLM,
		  "[{'function':{'name':'f','parameters':{'properties':{'a':{'type':'array','items':{'$ref':'#'}}}}}}]",
		  NULL, ERR_UNSUPPORTED, "$ref" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *list = load_tools(rows[i].tools);
		struct buf grammar = { 0 };
		struct err e = { 0 };
		int rc = reply_tool_grammar(rows[i].syntax, NULL, list, rows[i].name, false, &grammar, &e);
		cr_expect_eq(rc, rows[i].code, "%s: %s", rows[i].tools, e.text);
		cr_expect_not_null(strstr(e.text, rows[i].says), "%s: %s", rows[i].tools, e.text);
		buf_free(&grammar);
		json_decref(list);
	}
}
