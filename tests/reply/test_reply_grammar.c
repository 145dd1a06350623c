/* Grammars of forced calls against the readers: what the grammar accepts is read as that call. */
#include "reply/reply.h"
#include "tests/shared/acceptor.h"
#include "tests/shared/vectors.h"

#include "base/limits.h"

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

/* A frame's grammar, around an answer by a schema where it has one. */
static struct acceptor compile_frame(const struct reply_frame *f)
{
	static const char schema[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"}},"
				     "\"required\":[\"a\"],\"additionalProperties\":false}";
	struct buf grammar = { 0 };
	struct acceptor a;
	struct err e = { 0 };
	bool framed = f->answer == REPLY_ANSWER_ANY || f->answer == REPLY_ANSWER_JSON;
	cr_assert_eq(reply_frame_grammar(f, &grammar, &e), 0, "%s", e.text);
	struct grammar_text t = { GRAMMAR_CALL, grammar.bytes, grammar.len, NULL, 0 };
	if (framed)
		t = (struct grammar_text){ GRAMMAR_SCHEMA, schema, sizeof schema - 1, grammar.bytes, grammar.len };
	cr_assert_eq(acceptor_open_framed(&a, &t, &e), 0, "%s\n%s", e.text, grammar.bytes);
	buf_free(&grammar);
	return a;
}

static struct acceptor compile(enum reply_syntax s, const char *name, bool reasoning)
{
	json_t *list = load_tools(tools);
	struct acceptor a = compile_frame(&(struct reply_frame){
		.syntax = s,
		.thought = reasoning ? REPLY_THOUGHT_OPEN : REPLY_THOUGHT_NONE,
		.tools = list,
		.name = name,
		.calls_max = 2 });
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
	struct reply_options o = { .syntax = s, .reasoning = reasoning };
	cr_assert_eq(reply_open(&r, &o, &e), 0);
	for (int end = 0; end < 2; end++) {
		int rc = end ? reply_end(r, false, &event, &count, &e) :
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
	{ REPLY_SYNTAX_MISTRAL11, "[TOOL_CALLS]", "[ARGS]", "", "hm[/THINK]" },
	{ REPLY_SYNTAX_LLAMA3, "{\"name\": \"", "\", \"parameters\": ", "}", "hm</think>\n\n" },
	{ REPLY_SYNTAX_KIMI, "<|tool_calls_section_begin|><|tool_call_begin|>functions.",
	  ":0<|tool_call_argument_begin|>", "<|tool_call_end|><|tool_calls_section_end|>", "hm</think>" },
	{ REPLY_SYNTAX_HARMONY, "<|channel|>commentary to=functions.", " <|constrain|>json<|message|>", "",
	  "hm<|end|><|start|>assistant" },
	{ REPLY_SYNTAX_ERNIE, "<tool_call>\n{\"name\": \"", "\", \"arguments\": ", "}\n</tool_call>",
	  "hm\n</think>\n\n" },
	{ REPLY_SYNTAX_LONGCAT, "<longcat_tool_call>\n{\"name\": \"", "\", \"arguments\": ",
	  "}\n</longcat_tool_call>", "hm</longcat_think>" },
	{ REPLY_SYNTAX_TOOL_CALLS, "<tool_calls>[{\"name\": \"", "\", \"arguments\": ", "}]</tool_calls>",
	  "hm\n</think>\n" },
	{ REPLY_SYNTAX_NEMOTRON, "<TOOLCALL>[{\"name\": \"", "\", \"arguments\": ", "}]</TOOLCALL>", "hm</think>" },
	{ REPLY_SYNTAX_BAR, "<|tool_call|>[{\"name\": \"", "\", \"arguments\": ", "}]", "hm</think>" },
	{ REPLY_SYNTAX_INTERN, "<|action_start|><|plugin|>\n{\"name\": \"", "\", \"parameters\": ",
	  "}<|action_end|>", "hm</think>" },
	{ REPLY_SYNTAX_COMMAND, "<|START_ACTION|>[\n    {\"tool_name\": \"", "\", \"parameters\": ",
	  "}\n]<|END_ACTION|>", "hm<|END_THINKING|>" },
	{ REPLY_SYNTAX_APERTUS, "<|tools_prefix|>[{\"", "\": ", "}]<|tools_suffix|>", "hm<|inner_suffix|>" },
	{ REPLY_SYNTAX_GEMMA, "<start_function_call>call:", "", "<end_function_call>", "hm</think>" },
	{ REPLY_SYNTAX_GEMMA4, "<|tool_call>call:", "", "<tool_call|>", "hm\n<channel|>" },
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

/* How each family writes members. */
static const struct {
	enum reply_syntax syntax;
	const char *open, *before, *between, *after, *joint, *close;
	const char *member, *string, *other, *end, *separator;
} members[] = {
	{ REPLY_SYNTAX_GLM, "", "<tool_call>", "\n", "</tool_call>", "\n", "", "<arg_key>",
	  "</arg_key>\n<arg_value>", "</arg_key>\n<arg_value>", "</arg_value>\n", "" },
	{ REPLY_SYNTAX_XML, "", "<tool_call>\n<function=", ">\n", "</function>\n</tool_call>", "\n", "",
	  "<parameter=", ">\n", ">\n", "\n</parameter>\n", "" },
	{ REPLY_SYNTAX_SEED, "", "<seed:tool_call>\n<function=", ">\n", "</function>\n</seed:tool_call>", "\n", "",
	  "<parameter=", ">\n", ">\n", "\n</parameter>\n", "" },
	{ REPLY_SYNTAX_MINIMAX, "<minimax:tool_call>\n", "<invoke name=\"", "\">\n", "</invoke>\n", "",
	  "</minimax:tool_call>", "<parameter name=\"", "\">", "\">", "</parameter>\n", "" },
	{ REPLY_SYNTAX_STEP3, "<" B "tool_calls_begin" B ">\n",
	  "<" B "tool_call_begin" B ">function<" B "tool_sep" B "><steptml:invoke name=\"", "\">",
	  "</steptml:invoke><" B "tool_call_end" B ">\n", "", "<" B "tool_calls_end" B ">",
	  "<steptml:parameter name=\"", "\">", "\">", "</steptml:parameter>", "" },
	{ REPLY_SYNTAX_DSML, "<" B "DSML" B "function_calls>\n", "<" B "DSML" B "invoke name=\"", "\">\n",
	  "</" B "DSML" B "invoke>\n", "", "</" B "DSML" B "function_calls>", "<" B "DSML" B "parameter name=\"",
	  "\" string=\"true\">", "\" string=\"false\">", "</" B "DSML" B "parameter>\n", "" },
	{ REPLY_SYNTAX_LFM2, "<|tool_call_start|>[", "", "(", ")", ", ", "]<|tool_call_end|>", "", NULL, "=", "",
	  ", " },
	{ REPLY_SYNTAX_OLMO, "<function_calls>[", "", "(", ")", ", ", "]</function_calls>", "", NULL, "=", "",
	  ", " },
};

/* A call in the form of members[f], of pairs "key text" that end with NULL; a text in quotation marks is a
 * string. */
static void write_call(struct buf *out, size_t f, const char *name, const char *const *pair)
{
	buf_printf(out, "%s%s%s", members[f].before, name, members[f].between);
	for (size_t i = 0; pair[i]; i += 2) {
		bool string = pair[i + 1][0] == '"' && members[f].string;
		size_t len = strlen(pair[i + 1]);
		buf_printf(out, "%s%s%s%s", i ? members[f].separator : "", members[f].member, pair[i],
			   string ? members[f].string : members[f].other);
		buf_add(out, pair[i + 1] + string, len - 2 * string);
		buf_add_text(out, members[f].end);
	}
	buf_add_text(out, members[f].after);
}

static struct buf heard_with_tools(enum reply_syntax s, const char *list, const char *text)
{
	json_t *known = load_tools(list);
	struct reply *r;
	const struct reply_event *event;
	struct buf out = { 0 };
	struct err e;
	size_t count;
	cr_assert_eq(reply_open(&r, &(struct reply_options){ .syntax = s, .tools = known }, &e), 0);
	reply_hold(r, 0);
	for (size_t at = 0, len = strlen(text); at <= len; at++) {
		int rc = at == len ? reply_end(r, false, &event, &count, &e) :
				     reply_push(r, text + at, 1, &event, &count, &e);
		cr_assert_eq(rc, 0);
		for (size_t i = 0; i < count; i++)
			if (event[i].part == REPLY_CONTENT || event[i].part == REPLY_REASONING)
				buf_add_text(&out, "?");
			else
				buf_add(&out, event[i].text, event[i].len);
	}
	reply_close(r);
	json_decref(known);
	return out;
}

Test(reply_grammar, members_are_written_one_by_one_and_read_by_their_types)
{
	static const struct { const char *name, *pair[7], *heard; } rows[] = {
		{ "get_weather", { "city", "\"Paris\"", "days", "3" }, "get_weather{\"city\": \"Paris\", \"days\": 3}" },
		{ "get_weather", { "city", "\"true\"" }, "get_weather{\"city\": \"true\"}" },
		{ "get_weather", { "city", "\"3012\"", "unit", "\"c\"", "days", "-2" },
		  "get_weather{\"city\": \"3012\", \"unit\": \"c\", \"days\": -2}" },
		{ "get_weather", { "city", "\"a < b [1]\"" }, "get_weather{\"city\": \"a < b [1]\"}" },
		{ "now", { NULL }, "now{}" },
		{ "put", { "p", "[1, 2.5]" }, "put{\"p\": [1, 2.5]}" },
		{ "get_weather", { NULL }, NULL },
		{ "get_weather", { "days", "3" }, NULL },
		{ "get_weather", { "city", "\"x\"", "unit", "\"k\"" }, NULL },
		{ "get_weather", { "city", "\"x\"", "days", "2.5" }, NULL },
		{ "put", { "p", "1" }, NULL },
		{ "other", { NULL }, NULL },
	};
	for (size_t f = 0; f < sizeof members / sizeof *members; f++) {
		struct acceptor a = compile(members[f].syntax, NULL, false);
		for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
			struct buf text = { 0 };
			buf_add_text(&text, members[f].open);
			write_call(&text, f, rows[i].name, rows[i].pair);
			buf_add_text(&text, members[f].close);
			cr_expect_eq(accepts(&a, text.bytes), rows[i].heard != NULL, "%s", text.bytes);
			struct buf heard = heard_with_tools(members[f].syntax, tools, text.bytes);
			if (rows[i].heard)
				cr_expect_str_eq(heard.bytes, rows[i].heard, "%s", text.bytes);
			buf_free(&heard);
			buf_free(&text);
		}
		acceptor_close(&a);
	}
}

Test(reply_grammar, several_calls_of_members_are_read_back)
{
	static const char *const none[] = { NULL }, *const city[] = { "city", "\"x\"", NULL };
	for (size_t f = 0; f < sizeof members / sizeof *members; f++) {
		struct acceptor a = compile(members[f].syntax, NULL, false);
		struct buf text = { 0 };
		buf_add_text(&text, members[f].open);
		write_call(&text, f, "now", none);
		buf_add_text(&text, members[f].joint);
		write_call(&text, f, "get_weather", city);
		buf_add_text(&text, members[f].close);
		cr_expect(accepts(&a, text.bytes), "%s", text.bytes);
		struct buf heard = heard_with_tools(members[f].syntax, tools, text.bytes);
		cr_expect_str_eq(heard.bytes, "now{}get_weather{\"city\": \"x\"}", "%s", text.bytes);
		buf_free(&heard);
		buf_free(&text);
		acceptor_close(&a);
	}
}

/* A string without quotation marks: what it may be besides, what stands in it, and what would end it. */
Test(reply_grammar, text_of_a_member_is_free_but_for_what_ends_it)
{
	static const char list[] =
		"[{'function':{'name':'f','parameters':{'properties':{'a':{'anyOf':[{'type':'string'},"
		"{'type':'null'}],'default':null},'b':{'$ref':'#/$defs/w'},'c':{'const':'k'},'d':{'type':'string',"
		"'minLength':1,'maxLength':3},'e':{'anyOf':[{'type':'string','pattern':'^[a-c]+$'},{'type':'null'}]},"
		"'g':{'type':'string','format':'date'},'h':{'enum':['x y','[1]',null]},'i':{'$ref':'#/properties/g'},"
		"'j':{'type':'array','items':{'$ref':'#'}},'k':{'const':{'$ref':'#'}},"
		"'l':{'anyOf':[{'$ref':'#/$defs/u'},{'type':'null'}]}},"
		"'$defs':{'u':{'type':'string','enum':['y','z']},'w':{'type':'string',"
		"'description':'x'}},'$id':'http://h/f','examples':[{'$ref':'#'}],'x-order':[1],'xml':{}}}}]";
	static const struct { const char *body, *heard; } rows[] = {
		{ "<parameter=a>\nnull\n</parameter>\n", "f{\"a\": null}" },
		{ "<parameter=a>\nnullx\n</parameter>\n", "f{\"a\": \"nullx\"}" },
		{ "<parameter=b>\n\n\"<b>\" </p\n\n</parameter>\n", "f{\"b\": \"\\n\\\"<b>\\\" </p\\n\"}" },
		{ "<parameter=c>\nk\n</parameter>\n", "f{\"c\": \"k\"}" },
		{ "<parameter=c>\nl\n</parameter>\n", NULL },
		{ "<parameter=d>\n<é<\n</parameter>\n", "f{\"d\": \"<é<\"}" },
		{ "<parameter=d>\n\n</parameter>\n", NULL },
		{ "<parameter=d>\nabcd\n</parameter>\n", NULL },
		{ "<parameter=e>\nabc\n</parameter>\n", "f{\"e\": \"abc\"}" },
		{ "<parameter=e>\nnull\n</parameter>\n", "f{\"e\": null}" },
		{ "<parameter=e>\nabcd\n</parameter>\n", NULL },
		{ "<parameter=g>\n2024-02-29\n</parameter>\n", "f{\"g\": \"2024-02-29\"}" },
		{ "<parameter=g>\n2023-02-29\n</parameter>\n", NULL },
		{ "<parameter=h>\nx y\n</parameter>\n", "f{\"h\": \"x y\"}" },
		{ "<parameter=h>\n[1]\n</parameter>\n", "f{\"h\": \"[1]\"}" },
		{ "<parameter=h>\nnull\n</parameter>\n", "f{\"h\": null}" },
		{ "<parameter=h>\nz\n</parameter>\n", NULL },
		{ "<parameter=i>\n2024-02-29\n</parameter>\n", "f{\"i\": \"2024-02-29\"}" },
		{ "<parameter=i>\n2023-02-29\n</parameter>\n", NULL },
		{ "<parameter=j>\n[{\"c\": \"k\"},{\"j\":[{}]}]\n</parameter>\n",
		  "f{\"j\": [{\"c\": \"k\"},{\"j\":[{}]}]}" },
		{ "<parameter=j>\n[{\"c\": \"l\"}]\n</parameter>\n", NULL },
		{ "<parameter=k>\n{\"$ref\": \"#\"}\n</parameter>\n", "f{\"k\": {\"$ref\": \"#\"}}" },
		{ "<parameter=l>\nz\n</parameter>\n", "f{\"l\": \"z\"}" },
		{ "<parameter=l>\nnull\n</parameter>\n", "f{\"l\": null}" },
		{ "<parameter=l>\nx\n</parameter>\n", NULL },
		{ "<parameter=b>\n<parameter=c>\n</parameter>\n", NULL },
		{ "<parameter=b>\n</function>\n</parameter>\n", NULL },
	};
	json_t *known = load_tools(list);
	struct acceptor a = compile_frame(
		&(struct reply_frame){ .syntax = REPLY_SYNTAX_XML, .tools = known, .calls_max = 1 });
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf text = { 0 };
		buf_printf(&text, "<tool_call>\n<function=f>\n%s</function>\n</tool_call>", rows[i].body);
		cr_expect_eq(accepts(&a, text.bytes), rows[i].heard != NULL, "%s", text.bytes);
		struct buf heard = heard_with_tools(REPLY_SYNTAX_XML, list, text.bytes);
		if (rows[i].heard)
			cr_expect_str_eq(heard.bytes, rows[i].heard, "%s", text.bytes);
		buf_free(&heard);
		buf_free(&text);
	}
	acceptor_close(&a);
	json_decref(known);
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
		static const char free[] = "</div> [/TH] <</thin> <|e <|en|> [T] [/THIN\xEF\xBD\x9C <\xEF\xBD\x9Ctool <";
		cr_expect(acceptor_takes(&a, free, sizeof free - 1, false), "row %zu", i);
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

#define BACK "{'$ref':'#/properties/a'}"
#define FIVE BACK "," BACK "," BACK "," BACK "," BACK

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
		  "[{'function':{'name':'f','parameters':{'properties':{'a':{'type':'array','items':{'$ref':'#n'}}}}}}]",
		  NULL, ERR_UNSUPPORTED, "$ref by an anchor" },
		{ REPLY_SYNTAX_XML, "[{'function':{'name':'f','parameters':{'properties':{'a':{'type':['string',"
		  "'integer'],'pattern':'^a'}}}}}]", NULL, ERR_UNSUPPORTED, "pattern" },
		{ REPLY_SYNTAX_XML, "[{'function':{'name':'f','parameters':{'properties':{'a':{'type':'string',"
		  "'enum':['</parameter>']}}}}}]", NULL, ERR_INPUT, "nothing" },
		/* so many ways back that looking at all takes hours */
		{ REPLY_SYNTAX_XML, "[{'function':{'name':'f','parameters':{'properties':{'a':{'type':['string',"
		  "'integer'],'anyOf':[" FIVE "," FIVE "," FIVE "," FIVE "]}}}}}]", NULL, ERR_UNSUPPORTED,
		  "so many choices" },
		{ REPLY_SYNTAX_XML, "[{'function':{'name':'f','parameters':{'properties':{'a>b':{}}}}}]", NULL, ERR_INPUT,
		  "a>b" },
		{ REPLY_SYNTAX_LFM2, "[{'function':{'name':'f','parameters':{'properties':{'a b':{}}}}}]", NULL, ERR_INPUT,
		  "a b" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_t *list = load_tools(rows[i].tools);
		struct buf grammar = { 0 };
		struct err e = { 0 };
		struct reply_frame f = {
			.syntax = rows[i].syntax, .tools = list, .name = rows[i].name, .calls_max = 1
		};
		int rc = reply_frame_grammar(&f, &grammar, &e);
		cr_expect_eq(rc, rows[i].code, "%s: %s", rows[i].tools, e.text);
		cr_expect_not_null(strstr(e.text, rows[i].says), "%s: %s", rows[i].tools, e.text);
		buf_free(&grammar);
		json_decref(list);
	}
}

/* Tools of one request share one count of work on patterns: two take twice as much as one. */
Test(reply_grammar, tools_share_one_count_of_work)
{
#define PATTERNED(name) "{'function':{'name':'" name "','parameters':{'properties':{'a':" \
			"{'type':'string','pattern':'^(?!ab)[ab]*$'}}}}}"
	json_t *list[] = { load_tools("[" PATTERNED("f") "]"),
			   load_tools("[" PATTERNED("f") "," PATTERNED("g") "]") };
	for (enum reply_syntax syntax = REPLY_SYNTAX_HERMES;; syntax = REPLY_SYNTAX_XML) {
		uint64_t work[3] = { 0, 0, LIMIT_CONSTRAINT_COMPILE };
		for (size_t i = 0; i < 3; i++) {
			struct buf grammar = { 0 };
			struct err e = { 0 };
			struct reply_frame f = {
				.syntax = syntax, .tools = list[i > 0], .calls_max = 1, .work = &work[i]
			};
			int rc = reply_frame_grammar(&f, &grammar, &e);
			cr_expect_eq(rc, i < 2 ? 0 : ERR_UNSUPPORTED, "%s", e.text);
			cr_expect(i < 2 || strstr(e.text, "steps in one constraint"), "%s", e.text);
			buf_free(&grammar);
		}
		cr_expect(work[0] > 0 && work[1] == 2 * work[0]);
		if (syntax == REPLY_SYNTAX_XML)
			break;
	}
	json_decref(list[0]);
	json_decref(list[1]);
}

/* ---- answers ---- */

/* What the reader makes of a text, cut after every byte: {reasoning}content, name(arguments). */
static struct buf read_parts(const struct reply_options *how, const char *text)
{
	struct reply *r;
	const struct reply_event *event;
	struct buf out = { 0 };
	struct err e;
	enum reply_part last = REPLY_CONTENT;
	size_t count, len = strlen(text);
	cr_assert_eq(reply_open(&r, how, &e), 0);
	for (size_t at = 0; at <= len; at++) {
		int rc = at == len ? reply_end(r, false, &event, &count, &e) :
				     reply_push(r, text + at, 1, &event, &count, &e);
		cr_assert_eq(rc, 0);
		for (size_t i = 0; i < count; i++) {
			if (event[i].part != last && last != REPLY_CONTENT)
				buf_add_byte(&out, last == REPLY_REASONING ? '}' : last == REPLY_CALL_NAME ? '(' : ')');
			if (event[i].part != last && event[i].part == REPLY_REASONING)
				buf_add_byte(&out, '{');
			last = event[i].part;
			buf_add(&out, event[i].text, event[i].len);
		}
	}
	if (last != REPLY_CONTENT)
		buf_add_byte(&out, last == REPLY_REASONING ? '}' : ')');
	reply_close(r);
	return out;
}

/* Its strings hold all markers: none of them is one. */
#define ANSWER "{\"a\": \"</think><think>[/THINK]<|end|><|return|><tool_call>{\\\"name\\\": 1}</tool_call>\"}"
static const struct {
	enum reply_syntax syntax;
	enum reply_thought thought;
	const char *before, *heard; /* of the answer */
} answers[] = {
	{ REPLY_SYNTAX_HERMES, REPLY_THOUGHT_NONE, "", "" },
	{ REPLY_SYNTAX_HERMES, REPLY_THOUGHT_NONE, "<think>x</think>", NULL },
	{ REPLY_SYNTAX_HERMES, REPLY_THOUGHT_MAY, "", "" },
	{ REPLY_SYNTAX_HERMES, REPLY_THOUGHT_MAY, "<think>\nhm {1} </b>\n</think>\n\n", "{hm {1} </b>}" },
	{ REPLY_SYNTAX_HERMES, REPLY_THOUGHT_MAY, "<think>\n\n</think>\n\n", "" },
	{ REPLY_SYNTAX_HERMES, REPLY_THOUGHT_MAY, "hm</think>", NULL },
	{ REPLY_SYNTAX_HERMES, REPLY_THOUGHT_OPEN, "hm\n</think>\n\n", "{hm}" },
	{ REPLY_SYNTAX_HERMES, REPLY_THOUGHT_OPEN, "", NULL },
	{ REPLY_SYNTAX_DEEPSEEK, REPLY_THOUGHT_OPEN, "hm\n</think>\n\n", "{hm}" },
	{ REPLY_SYNTAX_DEEPSEEK31, REPLY_THOUGHT_OPEN, "hm</think>", "{hm}" },
	{ REPLY_SYNTAX_GLM, REPLY_THOUGHT_MAY, "\n<think>hm</think>\n", "{hm}" },
	{ REPLY_SYNTAX_KIMI, REPLY_THOUGHT_MAY, "<think>hm</think>", "{hm}" },
	{ REPLY_SYNTAX_MISTRAL, REPLY_THOUGHT_MAY, "[THINK]hm[/THINK]", "{hm}" },
	{ REPLY_SYNTAX_MISTRAL11, REPLY_THOUGHT_MAY, "[THINK]hm[/THINK]", "{hm}" },
	{ REPLY_SYNTAX_SEED, REPLY_THOUGHT_MAY, "<seed:think>hm</seed:think>", "{hm}" },
	{ REPLY_SYNTAX_MINIMAX, REPLY_THOUGHT_OPEN, "hm\n</think>\n\n", "{hm}" },
	{ REPLY_SYNTAX_ERNIE, REPLY_THOUGHT_MAY, "<think>hm</think>\n<response>\n", "{hm}" },
	{ REPLY_SYNTAX_TOOL_CALLS, REPLY_THOUGHT_MAY, "<answer>\n", "" },
	{ REPLY_SYNTAX_COMMAND, REPLY_THOUGHT_MAY,
	  "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>", "{hm}" },
	{ REPLY_SYNTAX_APERTUS, REPLY_THOUGHT_MAY, "<|inner_prefix|>hm<|inner_suffix|>", "{hm}" },
	{ REPLY_SYNTAX_GEMMA4, REPLY_THOUGHT_MAY, "<|channel>thought\nhm<channel|>", "{hm}" },
	{ REPLY_SYNTAX_LLAMA3, REPLY_THOUGHT_OPEN, "hm</think>\n\n", "{hm}" },
	{ REPLY_SYNTAX_HARMONY, REPLY_THOUGHT_MAY, "<|channel|>final<|message|>", "" },
	{ REPLY_SYNTAX_HARMONY, REPLY_THOUGHT_MAY,
	  "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>",
	  "{hm}" },
	{ REPLY_SYNTAX_HARMONY, REPLY_THOUGHT_OPEN, "hm<|end|><|start|>assistant<|channel|>final<|message|>",
	  "{hm}" },
	{ REPLY_SYNTAX_HARMONY, REPLY_THOUGHT_MAY, "", NULL },
	{ REPLY_SYNTAX_HARMONY, REPLY_THOUGHT_MAY,
	  "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>final<|message|>", NULL },
};

Test(reply_grammar, reasoning_is_free_and_the_answer_behind_it_is_constrained)
{
	json_t *list = load_tools(tools);
	for (int with = 0; with < 2; with++)
		for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
			struct reply_frame f = { .syntax = answers[i].syntax,
						 .thought = answers[i].thought,
						 .answer = REPLY_ANSWER_JSON,
						 .tools = with ? list : NULL,
						 .calls_max = 2 };
			struct reply_options how = { .syntax = f.syntax,
						     .reasoning = f.thought == REPLY_THOUGHT_OPEN,
						     .tools = f.tools,
						     .framed = true };
			struct acceptor a = compile_frame(&f);
			struct buf text = { 0 }, want = { 0 };
			buf_printf(&text, "%s" ANSWER, answers[i].before);
			cr_expect_eq(accepts(&a, text.bytes), answers[i].heard != NULL, "%s", text.bytes);
			if (answers[i].heard) {
				struct buf heard = read_parts(&how, text.bytes);
				buf_printf(&want, "%s" ANSWER, answers[i].heard);
				/* line ends at the end of reasoning belong to the marker */
				cr_expect_str_eq(heard.bytes, want.bytes, "%s", text.bytes);
				buf_free(&heard);
			}
			buf_add_byte(&text, '}');
			cr_expect(!accepts(&a, text.bytes), "%s", text.bytes);
			buf_free(&text);
			buf_free(&want);
			acceptor_close(&a);
		}
	json_decref(list);
}

Test(reply_grammar, several_calls_or_an_answer_may_come)
{
	json_t *list = load_tools(tools);
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		static const char *const joint[REPLY_SYNTAXES] = {
			[REPLY_SYNTAX_HERMES] = "\n", [REPLY_SYNTAX_DEEPSEEK] = "\n", [REPLY_SYNTAX_DEEPSEEK31] = "",
			[REPLY_SYNTAX_MISTRAL] = ", ", [REPLY_SYNTAX_MISTRAL11] = "",
			[REPLY_SYNTAX_LLAMA3] = "; ", [REPLY_SYNTAX_KIMI] = "",
		};
		/* where the section ends, and the next call begins in it */
		static const char *const closes[REPLY_SYNTAXES] = {
			[REPLY_SYNTAX_DEEPSEEK] = "<" B "tool" G "calls" G "end" B ">",
			[REPLY_SYNTAX_DEEPSEEK31] = "<" B "tool" G "calls" G "end" B ">",
			[REPLY_SYNTAX_MISTRAL] = "]", [REPLY_SYNTAX_KIMI] = "<|tool_calls_section_end|>",
		};
		static const char *const opens[REPLY_SYNTAXES] = {
			[REPLY_SYNTAX_DEEPSEEK] = "<" B "tool" G "calls" G "begin" B ">",
			[REPLY_SYNTAX_DEEPSEEK31] = "<" B "tool" G "calls" G "begin" B ">",
			[REPLY_SYNTAX_MISTRAL] = "[TOOL_CALLS][", [REPLY_SYNTAX_KIMI] = "<|tool_calls_section_begin|>",
		};
		enum reply_syntax s = forms[i].syntax;
		struct reply_frame f = { .syntax = s,
					 .thought = s == REPLY_SYNTAX_HARMONY ? REPLY_THOUGHT_MAY : REPLY_THOUGHT_NONE,
					 .answer = REPLY_ANSWER_JSON,
					 .tools = list,
					 .calls_max = 3 };
		struct acceptor many = compile_frame(&f);
		f.calls_max = 1;
		struct acceptor one = compile_frame(&f);
		struct buf text = { 0 };
		const char *close = closes[s] ? closes[s] : "", *open = opens[s] ? opens[s] : "";
		buf_printf(&text, "%snow%s{}%s", forms[i].before, forms[i].middle, forms[i].after);
		cr_expect(accepts(&many, text.bytes) && accepts(&one, text.bytes), "%s", text.bytes);
		if (joint[s]) {
			text.len -= strlen(close);
			buf_printf(&text, "%s%snow%s{}%s", joint[s], forms[i].before + strlen(open), forms[i].middle,
				   forms[i].after);
			cr_expect(accepts(&many, text.bytes), "%s", text.bytes);
			cr_expect(!accepts(&one, text.bytes), "%s", text.bytes);
		}
		struct reply_options how = { .syntax = s, .tools = list, .framed = true };
		struct buf heard = read_parts(&how, text.bytes);
		cr_expect_str_eq(heard.bytes, joint[s] ? "now({})now({})" : "now({})", "%s", text.bytes);
		buf_free(&heard);
		buf_free(&text);
		acceptor_close(&many);
		acceptor_close(&one);
	}
	json_decref(list);
}

/* A tool that is strict: what comes before its call is free, its arguments are not. */
Test(reply_grammar, text_is_free_until_a_call_begins)
{
	json_t *list = load_tools(tools);
	json_object_set_new(json_object_get(json_array_get(list, 0), "function"), "strict", json_true());
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		enum reply_syntax s = forms[i].syntax;
		bool alone = s == REPLY_SYNTAX_LLAMA3, harmony = s == REPLY_SYNTAX_HARMONY;
		struct acceptor a = compile_frame(&(struct reply_frame){
			.syntax = s,
			.thought = harmony ? REPLY_THOUGHT_MAY : REPLY_THOUGHT_NONE,
			.answer = REPLY_ANSWER_TEXT,
			.tools = list,
			.calls_max = 2 });
		static const struct { const char *name, *arguments; bool good; } calls[] = {
			{ "get_weather", "{\"city\": \"x\"}", true },
			{ "get_weather", "{\"city\": 5}", false },
			{ "put", "{\"other\": [5]}", true }, /* not strict */
			{ "other", "{}", false },
		};
		const char *said = harmony ? "<|channel|>commentary<|message|>I look.<|end|><|start|>assistant"
				   : alone ? "" : "I look. </b>\n\n";
		for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
			struct buf text = { 0 };
			buf_printf(&text, "%s%s%s%s%s%s", said, forms[i].before, calls[k].name, forms[i].middle,
				   calls[k].arguments, forms[i].after);
			cr_expect_eq(accepts(&a, text.bytes), calls[k].good, "%s", text.bytes);
			buf_free(&text);
		}
		cr_expect(accepts(&a, harmony ? "<|channel|>final<|message|>Hello {1}" : "Hello {1} <b>"));
		cr_expect(accepts(&a, ""));
		acceptor_close(&a);
	}
	json_decref(list);
}

Test(reply_grammar, prompts_tell_whether_a_reply_may_reason)
{
	static const struct {
		enum reply_syntax syntax;
		const char *template, *prompt;
		enum reply_thought thought;
	} rows[] = {
		{ REPLY_SYNTAX_HERMES, "<tool_call> <think>", "<|im_start|>assistant\n", REPLY_THOUGHT_MAY },
		{ REPLY_SYNTAX_HERMES, "<tool_call> <think>", "<|im_start|>assistant\n<think>\n\n</think>\n\n",
		  REPLY_THOUGHT_NONE },
		{ REPLY_SYNTAX_HERMES, "<tool_call> <think>", "<|im_start|>assistant\n<think>\n", REPLY_THOUGHT_OPEN },
		{ REPLY_SYNTAX_HERMES, "<tool_call>", "<|im_start|>assistant\n", REPLY_THOUGHT_NONE },
		{ REPLY_SYNTAX_DEEPSEEK31, "tool" G "call" G "begin </think>", "<" B "Assistant" B "></think>",
		  REPLY_THOUGHT_NONE },
		{ REPLY_SYNTAX_MISTRAL, "[TOOL_CALLS]", "[/INST]", REPLY_THOUGHT_NONE },
		{ REPLY_SYNTAX_MISTRAL, "[THINK]", "[/INST]", REPLY_THOUGHT_MAY },
		{ REPLY_SYNTAX_HARMONY, "<|channel|><|message|>", "<|start|>assistant", REPLY_THOUGHT_MAY },
		{ REPLY_SYNTAX_HARMONY, "<|channel|><|message|>", "<|start|>assistant<|channel|>analysis<|message|>",
		  REPLY_THOUGHT_OPEN },
		{ REPLY_SYNTAX_HERMES, "<tool_call>", "<|im_start|>assistant\n<think>\n<|go|>", REPLY_THOUGHT_OPEN },
		{ REPLY_SYNTAX_DEEPSEEK31, "tool" G "call" G "begin", "<" B "Assistant" B "><think>",
		  REPLY_THOUGHT_OPEN },
		{ REPLY_SYNTAX_GLM, "<arg_key><arg_value></think>", "<|assistant|>", REPLY_THOUGHT_MAY },
		{ REPLY_SYNTAX_GLM, "<arg_key><arg_value></think>", "", REPLY_THOUGHT_MAY },
		{ REPLY_SYNTAX_PLAIN, "none", "<think>", REPLY_THOUGHT_NONE },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reply_family f = reply_family_find(rows[i].template, strlen(rows[i].template));
		cr_expect_eq(f.syntax, rows[i].syntax, "row %zu", i);
		cr_expect_eq(reply_prompt_thought(&f, rows[i].prompt, strlen(rows[i].prompt)),
			     rows[i].thought, "row %zu", i);
	}
}
