/* Out of memory at any allocation: an error that says so, or, where the memory was only for speed, the
 * same answer; nothing kept. */
#include "counting.h"
#include "support.h"
#include "template/template.h"

#include "base/text.h"
#include "model/config.h"
#include "tokenizer/onig.h"

#include <criterion/criterion.h>
#include <string.h>

#define MODEL "demo/model"
#define ANSWER 100000

struct work {
	int (*run)(const struct work *w, struct err *e); /* all of it, and gives back what it took */
	const void *text;
	size_t len;
	const void *more;
};

static struct buf answer; /* what the work said; has room for all of it */

static int run(const struct work *w, struct err *e)
{
	buf_clear(&answer);
	return w->run(w, e);
}

/* Fail each allocation of the work in turn. */
static void press(const char *what, const struct work *w)
{
	size_t fell = 0;
	bool again = false;
	struct err e = { 0 };
	struct buf whole = { 0 };
	if (!COUNTING)
		cr_skip_test("the sanitizer brings its own malloc");
	cr_assert_not_null(buf_reserve(&answer, ANSWER));
	cr_assert_eq(run(w, &e), 0, "%s: %s", what, e.text); /* what is kept for later exists now */
	json_set_alloc_funcs(counting_exempt, counting_release); /* jansson asserts where its own memory ends */
	buf_add(&whole, answer.bytes, answer.len);
	for (size_t nth = 1;; nth += !again, fell++) {
		size_t before = counting_live();
		e = (struct err){ 0 };
		counting_fail(nth);
		int rc = run(w, &e);
		bool failed = counting_failed();
		counting_fail(0);
		if (rc == 0)
			cr_expect(answer.len == whole.len && memcmp(answer.bytes, whole.bytes, whole.len) == 0,
			          "%s, allocation %zu: another answer", what, nth);
		if (!failed) {
			cr_assert_eq(rc, 0, "%s: %s", what, e.text);
			break;
		}
		cr_expect(rc == 0 || rc == ERR_NOMEM, "%s, allocation %zu: %d %s", what, nth, rc, e.text);
		cr_expect(rc == 0 || e.text[0] != '\0', "%s, allocation %zu: nothing said", what, nth);
		if (counting_live() != before && !again) { /* a library's first error may be kept, not its second */
			again = true;
			continue;
		}
		again = false;
		cr_expect_eq(counting_live(), before, "%s, allocation %zu: %zd blocks kept", what, nth,
		             (ssize_t)(counting_live() - before));
	}
	cr_assert_gt(fell, 0, "%s", what);
	cr_assert_lt(answer.len, ANSWER, "%s", what);
	buf_free(&whole);
	buf_free(&answer);
}

static int run_onig(const struct work *w, struct err *e)
{
	struct onig *r = NULL;
	struct onig_scratch s = { 0 };
	struct onig_scan scan = { 0 };
	size_t begin, end;
	int rc = onig_open(&r, w->text, w->len, e);
	while (rc >= 0 && (rc = onig_next(r, &s, w->more, strlen(w->more), &scan, &begin, &end, e)) > 0)
		buf_printf(&answer, "%zu-%zu ", begin, end);
	onig_scratch_free(&s);
	onig_close(r);
	return rc;
}

Test(engine_pressure, expressions)
{
	static const char *const pattern[] = {
		"[^\\s\\p{L}\\p{N}]+[\\r\\n]*",
		"(?i:'s|'t|'re)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}",
		"[[:alpha:]&&[^a-z\\P{Lu}]&&[\\w]]{2,3}?(?i)x(?:a|b)+*",
		"[\\p{Han}[^\\d[a-f]]\\W]+(?m:.)\\h(?<=a)",
	};
	for (size_t i = 0; i < sizeof pattern / sizeof *pattern; i++)
		press(pattern[i], &(struct work){ run_onig, pattern[i], strlen(pattern[i]), "It's 'RE a x1234 ." });
}

static int run_config(const struct work *w, struct err *e)
{
	struct model_config c;
	int rc = model_config_parse(&c, w->text, w->len, NULL, 0, e);
	buf_add(&answer, &c, sizeof c);
	return rc;
}

static int run_tokenizer(const struct work *w, struct err *e)
{
	struct tokenizer *t = NULL;
	struct token_ids ids = { 0 };
	struct buf out = { 0 };
	int rc = tokenizer_open(&t, w->text, w->len, e);
	if (rc == 0)
		rc = tokenizer_encode(t, w->more, strlen(w->more), true, true, &ids, e);
	if (rc == 0)
		rc = tokenizer_decode(t, ids.id, ids.count, false, &out, e);
	buf_add(&answer, ids.id, ids.count * sizeof *ids.id);
	buf_add(&answer, out.bytes, out.len);
	buf_free(&out);
	token_ids_free(&ids);
	tokenizer_close(t);
	return rc;
}

static const char *const kept[] = { "config.json", "tokenizer.json" };

Test(engine_pressure, files_of_a_model)
{
	struct memory_source m;
	memory_load(&m, MODEL);
	for (size_t i = 0; i < m.count; i++) {
		struct work w = { NULL, m.file[i].bytes.bytes, m.file[i].bytes.len,
			          "The bank's 12 rules, and <|endoftext|> no other." };
		for (size_t k = 0; k < 2; k++)
			if (strcmp(m.file[i].name, kept[k]) == 0)
				w.run = k ? run_tokenizer : run_config;
		if (w.run)
			press(m.file[i].name, &w);
	}
	memory_free(&m);
}

static int run_template(const struct work *w, struct err *e)
{
	struct buf out = { 0 }, origin = { 0 };
	int rc = template_render(w->text, w->len, w->more, 1795352709000000, &out, &origin, e);
	buf_add(&answer, out.bytes, out.len);
	buf_add(&answer, origin.bytes, origin.len);
	buf_free(&out);
	buf_free(&origin);
	return rc;
}

Test(engine_pressure, templates)
{
	static const char *const text[] = {
		"{%- macro turn(m, sep='\\n') -%}<|{{ m.role }}|>{{ m['content'] | trim }}{{ sep }}{%- endmacro -%}"
		"{%- set ns = namespace(n=0, all=[]) -%}{%- for m in messages if m.content is string -%}"
		"{{ turn(m) }}{%- set ns.n = ns.n + loop.index0 -%}{%- set ns.all = ns.all + [m.role ~ '!'] -%}"
		"{%- endfor -%}{{ ns.all | join(', ') }} {{ '%05d %-4s|' % (ns.n, 'ab') }}",
		"{{ messages | tojson(indent=2) }}{{ messages | map(attribute='role') | list | sort | unique | list }}"
		"{{ messages | selectattr('role', 'equalto', 'user') | list | length }}"
		"{{ 'a,b,c'.split(',')[::-1] }}{{ 'x y'.title().replace('X', '<>') | e }}{{ {'a': [1, 2.5, none]} }}"
		"{{ strftime_now('%Y-%m-%d') }}{{ dict(a=1).items() | list }}{{ messages[0] | items | list }}"
		"{% macro turn2() %}{{ caller('\u00e9') }}{% endmacro %}"
		"{% filter upper %}{% call(x) turn2() %}{{ x }}{% endcall %}{% endfilter %}",
	};
	json_t *vars = json_pack("{s:[{s:s,s:s},{s:s,s:s}]}", "messages", "role", "user", "content",
	                         " Hi <there>\n", "role", "assistant", "content", "a");
	for (size_t i = 0; i < 2; i++)
		press(i ? "filters" : "turns", &(struct work){ run_template, text[i], strlen(text[i]), vars });
	json_decref(vars);
}

static int run_tools(const struct work *w, struct err *e)
{
	return engine_tool_grammar(*(const enum reply_syntax *)w->text, NULL, w->more, NULL, true, &answer, e);
}

Test(engine_pressure, grammars_of_tools)
{
	static const enum reply_syntax syntax[] = { REPLY_SYNTAX_HERMES, REPLY_SYNTAX_GLM };
	json_t *tools = json_pack("[{s:s,s:{s:s,s:{s:s,s:{s:{s:s},s:{s:[i,s,n]}},s:[s]}}}]", "type", "function",
	                          "function", "name", "look", "parameters", "type", "object", "properties", "a",
	                          "type", "integer", "b", "enum", 1, "x", "required", "b");
	for (size_t i = 0; i < sizeof syntax / sizeof *syntax; i++)
		press(reply_syntax_name(syntax[i]), &(struct work){ run_tools, &syntax[i], 0, tools });
	json_decref(tools);
}

static enum grammar_kind kind;

static int run_constraint(const struct work *w, struct err *e)
{
	struct engine_constraint *c = NULL;
	int rc = engine_constraint_open(&c, NULL, kind, w->text, w->len, e);
	if (rc == 0) {
		struct digest d = engine_constraint_digest(c);
		buf_add(&answer, d.bytes, sizeof d.bytes);
		buf_add_byte(&answer, engine_constraint_accepts(c, w->more, strlen(w->more), true));
	}
	engine_constraint_close(c);
	return rc;
}

Test(engine_pressure, constraints)
{
	static const struct { enum grammar_kind kind; const char *name, *right, *text; } c[] = {
		{ GRAMMAR_REGEX, "regex", "bank@a.b.com", "[a-z]{2,9}@(?:[a-z]+\\.){1,3}(com|org)" },
		{ GRAMMAR_RULES, "grammar", "a1(a22)b",
		  "root ::= \"a\" item+ \"b\"?\nitem ::= [0-9]{1,3} | \"(\" root \")\"\n" },
		{ GRAMMAR_CHOICE, "choice", "caf\u00e9", "[\"yes\", \"no\", \"caf\\u00e9\"]" },
		{ GRAMMAR_SCHEMA, "schema", "{\"n\": 12, \"l\": [null, 3, \"x\"]}",
		  "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\",\"minimum\":-3,\"maximum\":1200},"
		  "\"d\":{\"type\":\"string\",\"format\":\"date\"},\"p\":{\"pattern\":\"^[a-f]{3}$\"},"
		  "\"l\":{\"$ref\":\"#/$defs/l\"}},\"required\":[\"n\",\"l\"],\"additionalProperties\":false,"
		  "\"$defs\":{\"l\":{\"type\":\"array\",\"items\":{\"anyOf\":[{\"type\":\"null\"},"
		  "{\"allOf\":[{\"type\":\"number\"},{\"minimum\":2}]},{\"enum\":[\"x\",{\"y\":1}]}]},\"maxItems\":4}}}" },
	};
	for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
		kind = c[i].kind;
		press(c[i].name, &(struct work){ run_constraint, c[i].text, strlen(c[i].text), c[i].right });
	}
}

static int run_reply(const struct work *w, struct err *e)
{
	struct reply *r = NULL;
	const struct reply_event *event;
	size_t count = 0;
	int rc = reply_open(&r, *(const enum reply_syntax *)w->more, false, e);
	for (size_t i = 0; i <= w->len && rc == 0; i++) {
		rc = i < w->len ? reply_push(r, (const char *)w->text + i, 1, &event, &count, e) :
			          reply_end(r, &event, &count, e);
		for (size_t k = 0; k < count && rc == 0; k++)
			buf_printf(&answer, "%d %u %.*s\n", (int)event[k].part, event[k].call, (int)event[k].len,
			           event[k].text);
	}
	reply_close(r);
	return rc;
}

Test(engine_pressure, replies)
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

static int run_model(const struct work *w, struct err *e)
{
	struct engine_options o = { .threads = 2, .quiet = true, .cache_bytes = MIB(4) };
	struct engine *m = NULL;
	struct engine_session *s = NULL;
	struct engine_constraint *c = NULL;
	struct token_ids ids = { 0 };
	struct engine_chat chat = { .messages = w->more, .generation_prompt = true };
	static const char schema[] = "{\"type\": \"object\", \"required\": [\"a\"]}";
	static const char *const never[] = { "rule", "zz" };
	int rc = engine_open(&m, (struct source *)w->text, &o, e);
	if (rc == 0)
		rc = engine_chat_encode(m, &chat, NULL, &ids, e);
	if (rc == 0)
		rc = engine_constraint_open(&c, m, GRAMMAR_SCHEMA, schema, strlen(schema), e);
	struct engine_request q = { .prompt = ids.id, .count = ids.count, .speculation = 2,
		                    .sampling = { .tokens_max = 5, .temperature = 1, .top_p = 0.9f, .logprobs = true,
		                                  .top_logprobs = 2, .stop = never, .stop_count = 1, .ban = never + 1,
		                                  .ban_count = 1, .constraint = c } };
	const char *text;
	size_t len;
	if (rc == 0)
		rc = engine_session_open(&s, m, &q, e);
	while (rc >= 0 && (rc = engine_session_next(s, &text, &len, e)) == ENGINE_GOING)
		buf_add(&answer, text, len);
	engine_session_close(s);
	engine_constraint_close(c);
	token_ids_free(&ids);
	engine_close(m);
	return rc < 0 ? rc : 0;
}

Test(engine_pressure, a_model_from_its_files_to_an_answer)
{
	struct memory_source m;
	json_t *messages = json_pack("[{s:s,s:s}]", "role", "user", "content", "Who are you?");
	memory_load(&m, MODEL);
	press("a model", &(struct work){ run_model, &m.source, 0, messages });
	json_decref(messages);
	memory_free(&m);
}
