/* Replies taken apart: texts of every family, cut in every way, and round trips through templates. */
#include "reply/reply.h"
#include "template/template.h"
#include "tests/shared/vectors.h"

#include "base/text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define CALLS_MAX 200

/* What the events add up to. */
struct heard {
	struct buf content, reasoning, name[CALLS_MAX], arguments[CALLS_MAX], id[CALLS_MAX];
	uint32_t calls;
	bool whole_characters;
	uint64_t end; /* of the last part that is a run of the text */
};

/* Content and reasoning are the bytes of the text at their place, each behind the one before. */
static void expect_place(struct heard *h, const struct reply_event *v, const char *text, const char *row)
{
	cr_assert_geq(v->begin, h->end, "%s", row);
	if (v->part == REPLY_CONTENT || v->part == REPLY_REASONING) {
		cr_assert_eq(memcmp(text + v->begin, v->text, v->len), 0, "%s: at %zu", row, (size_t)v->begin);
		h->end = v->begin + v->len;
	}
}

static void hear(struct heard *h, const struct reply_event *event, size_t count, const char *text,
		 const char *row)
{
	for (size_t i = 0; i < count; i++) {
		const struct reply_event *v = &event[i];
		expect_place(h, v, text, row);
		cr_assert_gt(v->len, 0, "%s", row);
		cr_assert(!v->id || v->part == REPLY_CALL_NAME, "%s", row);
		h->whole_characters = h->whole_characters && text_utf8_valid(v->text, v->len);
		if (v->part == REPLY_CONTENT) {
			buf_add(&h->content, v->text, v->len);
		} else if (v->part == REPLY_REASONING) {
			buf_add(&h->reasoning, v->text, v->len);
		} else if (v->part == REPLY_CALL_NAME) {
			cr_assert_eq(v->call, h->calls, "%s: names come in order, each at once", row);
			cr_assert_lt(h->calls, CALLS_MAX);
			buf_add_text(&h->id[h->calls], v->id ? v->id : "");
			buf_add(&h->name[h->calls++], v->text, v->len);
		} else {
			cr_assert_eq(v->call + 1, h->calls, "%s: arguments belong to the last name", row);
			buf_add(&h->arguments[v->call], v->text, v->len);
		}
	}
}

static void heard_free(struct heard *h)
{
	for (uint32_t i = 0; i < h->calls; i++) {
		buf_free(&h->name[i]);
		buf_free(&h->id[i]);
		buf_free(&h->arguments[i]);
	}
	buf_free(&h->content);
	buf_free(&h->reasoning);
	*h = (struct heard){ 0 };
}

static const char *text_of(const struct buf *b) { return b->bytes ? b->bytes : ""; }

struct reading {
	enum reply_syntax syntax;
	bool reasoning;
	size_t hold; /* SIZE_MAX: as it is */
	const json_t *tools;
	size_t unbegun;
	bool cut;
};

/* first bytes, then pieces of `piece` bytes (0: the rest at once). */
static struct heard read_text(const struct reading *how, const char *text, size_t len, size_t first,
			      size_t piece, const char *row)
{
	struct heard h = { .whole_characters = true };
	struct reply *r;
	const struct reply_event *event;
	struct err e = { 0 };
	size_t count, at = 0;
	struct reply_options o = { .syntax = how->syntax,
				   .reasoning = how->reasoning,
				   .tools = how->tools,
				   .unbegun = how->unbegun };
	cr_assert_eq(reply_open(&r, &o, &e), 0);
	if (how->hold != SIZE_MAX)
		reply_hold(r, how->hold);
	while (at < len) {
		size_t n = at == 0 && first ? first : piece ? piece : len - at;
		n = n < len - at ? n : len - at;
		cr_assert_eq(reply_push(r, text + at, n, &event, &count, &e), 0, "%s", e.text);
		hear(&h, event, count, text, row);
		at += n;
	}
	cr_assert_eq(reply_end(r, how->cut, &event, &count, &e), 0, "%s", e.text);
	hear(&h, event, count, text, row);
	reply_close(r);
	return h;
}

static bool same_text(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (!a->len || memcmp(a->bytes, b->bytes, a->len) == 0);
}

static bool same_heard(const struct heard *a, const struct heard *b)
{
	bool same = same_text(&a->content, &b->content) && same_text(&a->reasoning, &b->reasoning) &&
		    a->calls == b->calls;
	for (uint32_t i = 0; i < a->calls && same; i++)
		same = same_text(&a->name[i], &b->name[i]) && same_text(&a->arguments[i], &b->arguments[i]) &&
		       same_text(&a->id[i], &b->id[i]);
	return same;
}

/* content, reasoning and [{name, arguments}] as expected. */
static void expect_heard(const struct heard *h, const char *content, const char *reasoning,
			 const json_t *calls, const char *row)
{
	cr_expect_str_eq(text_of(&h->content), content, "%s", row);
	cr_expect_str_eq(text_of(&h->reasoning), reasoning, "%s", row);
	cr_expect_eq(h->calls, json_array_size(calls), "%s: %u calls", row, h->calls);
	for (uint32_t i = 0; i < h->calls && i < json_array_size(calls); i++) {
		const json_t *call = json_array_get(calls, i);
		const json_t *part = json_object_get(call, "part"); /* of a call that was cut off */
		if (part) {
			cr_expect_str_eq(text_of(&h->name[i]), json_string_value(json_object_get(call, "name")), "%s", row);
			cr_expect_str_eq(text_of(&h->arguments[i]), json_string_value(part), "%s", row);
			continue;
		}
		json_t *arguments = json_loadb(text_of(&h->arguments[i]), h->arguments[i].len, 0, NULL);
		cr_expect(json_is_object(arguments), "%s: %s", row, text_of(&h->arguments[i]));
		const char *name = json_string_value(json_object_get(call, "name"));
		cr_expect_str_eq(text_of(&h->name[i]), name, "%s", row);
		const char *id = json_string_value(json_object_get(call, "id"));
		if (id)
			cr_expect_str_eq(text_of(&h->id[i]), id, "%s", row);
		cr_expect(json_equal(arguments, json_object_get(call, "arguments")), "%s: %s", row,
			  text_of(&h->arguments[i]));
		json_decref(arguments);
	}
}

static enum reply_syntax syntax_of(const char *name)
{
	for (int s = 0; s < REPLY_SYNTAXES; s++)
		if (strcmp(reply_syntax_name((enum reply_syntax)s), name) == 0)
			return (enum reply_syntax)s;
	cr_assert_fail("no syntax %s", name);
	return REPLY_SYNTAX_PLAIN;
}

/* Whether every way to cut gives the same. */
static void cut_everywhere(const struct reading *how, const char *text, size_t len, const char *row)
{
	static const size_t pieces[] = { 1, 3, 17 };
	struct heard whole = read_text(how, text, len, 0, 0, row);
	size_t step = len > 2000 ? 97 : 1;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct heard h = read_text(how, text, len, 0, pieces[i], row);
		cr_expect(same_heard(&whole, &h), "%s in pieces of %zu", row, pieces[i]);
		heard_free(&h);
	}
	for (size_t at = 1; at < len; at += step) {
		struct heard h = read_text(how, text, len, at, 0, row);
		cr_expect(same_heard(&whole, &h), "%s cut at %zu", row, at);
		heard_free(&h);
	}
	heard_free(&whole);
}

static size_t check_row(enum reply_syntax syntax, const json_t *row, const json_t *tools)
{
	const json_t *text = json_object_get(row, "text");
	const char *s = json_string_value(text);
	size_t len = json_string_length(text);
	char name[200];
	struct reading how = { syntax,
			       json_is_true(json_object_get(row, "prompt_reasons")),
			       SIZE_MAX,
			       json_is_true(json_object_get(row, "typed")) ? tools : NULL,
			       (size_t)json_integer_value(json_object_get(row, "unbegun")),
			       json_is_true(json_object_get(row, "cut")) };
	snprintf(name, sizeof name, "%s: %s", reply_syntax_name(syntax),
		 json_string_value(json_object_get(row, "name")));
	struct heard h = read_text(&how, s, len, 0, 0, name);
	expect_heard(&h, json_string_value(json_object_get(row, "content")),
		     json_string_value(json_object_get(row, "reasoning")), json_object_get(row, "calls"), name);
	heard_free(&h);
	cut_everywhere(&how, s, len, name);
	how.hold = 0;
	cut_everywhere(&how, s, len, name);
	return 1;
}

static json_t *load(const char *path)
{
	struct buf b = vector_read(path);
	json_t *j = vector_json(b.bytes, b.len);
	buf_free(&b);
	return j;
}

static json_t *load_rows(enum reply_syntax s)
{
	char path[100];
	snprintf(path, sizeof path, "tests/vectors/replies/%s.json", reply_syntax_name(s));
	return load(path);
}

Test(reply, texts_of_all_families_come_apart_however_they_are_cut)
{
	size_t rows = 0;
	json_t *tools = load("tests/vectors/replies/request.tools");
	for (int s = 0; s < REPLY_SYNTAXES; s++) {
		json_t *list = load_rows((enum reply_syntax)s), *row;
		size_t i;
		json_array_foreach(list, i, row)
			rows += check_row((enum reply_syntax)s, row, tools);
		json_decref(list);
	}
	json_decref(tools);
	cr_expect_geq(rows, 180);
}

Test(reply, a_reply_without_markers_is_content_in_every_family)
{
	static const char text[] = "Sure: <b>x</b> [1] {\"a\": 1} ```json\n{}\n``` a|b <| | > ｜ ▁\n";
	for (int s = 0; s < REPLY_SYNTAXES; s++) {
		struct reading how = { (enum reply_syntax)s, false, .hold = SIZE_MAX };
		struct heard h = read_text(&how, text, sizeof text - 1, 0, 1, reply_syntax_name(how.syntax));
		cr_expect_str_eq(text_of(&h.content), text, "%s", reply_syntax_name(how.syntax));
		cr_expect_eq(h.calls, 0);
		heard_free(&h);
	}
}

/* ---- streaming -------------------------------------------------------------------------------- */

Test(reply, whole_characters_in_give_whole_characters_out)
{
	for (int s = 0; s < REPLY_SYNTAXES; s++) {
		json_t *list = load_rows((enum reply_syntax)s), *row;
		size_t i;
		json_array_foreach(list, i, row) {
			const char *text = json_string_value(json_object_get(row, "text"));
			struct reply *r;
			const struct reply_event *event;
			struct heard h = { .whole_characters = true };
			struct err e;
			size_t count;
			cr_assert_eq(reply_open(&r, &(struct reply_options){ .syntax = (enum reply_syntax)s }, &e), 0);
			for (size_t at = 0, n; text[at]; at += n) {
				uint32_t cp;
				n = (size_t)text_utf8_decode(text + at, 4, &cp);
				cr_assert_eq(reply_push(r, text + at, n, &event, &count, &e), 0);
				hear(&h, event, count, text, text);
			}
			cr_assert_eq(reply_end(r, false, &event, &count, &e), 0);
			hear(&h, event, count, text, text);
			cr_expect(h.whole_characters, "%s", text);
			heard_free(&h);
			reply_close(r);
		}
		json_decref(list);
	}
}

/* What has been given out after each byte of text, at the least: only what may be a marker is held. */
Test(reply, text_is_held_only_while_it_may_become_a_marker)
{
	static const char text[] = "Hello <tool!\n\nWorld <";
	static const char *const out[] = { "Hello", "Hello ", "Hello <tool!", "Hello <tool!\n\nW" };
	static const size_t at[] = { 5, 7, 12, 15 };
	struct reply *r;
	const struct reply_event *event;
	struct heard h = { .whole_characters = true };
	struct err e;
	size_t count, k = 0;
	cr_assert_eq(reply_open(&r, &(struct reply_options){ .syntax = REPLY_SYNTAX_HERMES }, &e), 0);
	for (size_t i = 0; i < sizeof text - 1; i++) {
		cr_assert_eq(reply_push(r, text + i, 1, &event, &count, &e), 0);
		hear(&h, event, count, text, text);
		if (k < 4 && i + 1 == at[k])
			cr_expect_str_eq(text_of(&h.content), out[k++], "after %zu bytes", i + 1);
	}
	heard_free(&h);
	reply_close(r);
}

static size_t bytes_before_arguments(size_t hold, const char *text, size_t len)
{
	struct reply *r;
	const struct reply_event *event;
	struct err e;
	size_t count, found = len;
	cr_assert_eq(reply_open(&r, &(struct reply_options){ .syntax = REPLY_SYNTAX_HERMES }, &e), 0);
	if (hold != SIZE_MAX)
		reply_hold(r, hold);
	for (size_t i = 0; i < len && found == len; i++) {
		cr_assert_eq(reply_push(r, text + i, 1, &event, &count, &e), 0);
		for (size_t k = 0; k < count; k++)
			if (event[k].part == REPLY_CALL_ARGUMENTS)
				found = i + 1;
	}
	reply_close(r);
	return found;
}

Test(reply, arguments_stream_from_where_they_are_no_longer_held)
{
	struct buf text = { 0 };
	static const char begin[] = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"";
	buf_add_text(&text, begin);
	for (int i = 0; i < 6000; i++)
		buf_add_byte(&text, 'x');
	cr_expect_eq(bytes_before_arguments(0, text.bytes, text.len), sizeof begin - 1 - strlen("\"a\": \""));
	cr_expect_eq(bytes_before_arguments(100, text.bytes, text.len), 100);
	cr_expect_eq(bytes_before_arguments(SIZE_MAX, text.bytes, text.len), 4096);
	buf_free(&text);
}

/* Values longer than what may wait: what they are is decided by what came. */
Test(reply, long_values_are_read_as_what_they_began_as)
{
	static const struct { const char *key, *open, *piece, *close, *json_open, *json_close; } rows[] = {
		{ "city", "", "some \"text\"\n", "end", "\"", "end\"" },
		{ "note", "", "12345 ", "x", "\"", "x\"" },
		{ "tags", "[", "\"a b\", ", "\"\"]", "[", "\"\"]" },
		{ "free", "[", "no list, ", "]", "\"[", "]\"" },
		{ "days", "1", "000000000", "", "1", "" },
	};
	json_t *tools = load("tests/vectors/replies/request.tools");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf text = { 0 }, want = { 0 };
		buf_printf(&text, "<tool_call><function=get_weather><parameter=%s>%s", rows[i].key, rows[i].open);
		buf_printf(&want, "{\"%s\": %s", rows[i].key, rows[i].json_open);
		while (text.len < 100000) {
			buf_add_text(&text, rows[i].piece);
			for (const char *p = rows[i].piece; *p; p++)
				buf_add_text(&want, *rows[i].json_open != '"' ? (char[]){ *p, 0 } :
						    *p == '"'		      ? "\\\"" :
						    *p == '\n'		      ? "\\n" :
										(char[]){ *p, 0 });
		}
		buf_printf(&text, "%s</parameter></function></tool_call>", rows[i].close);
		buf_printf(&want, "%s}", rows[i].json_close);
		for (size_t piece = 1; piece < 200000; piece = piece * 40 + 1) {
			struct reading how = { .syntax = REPLY_SYNTAX_XML, .hold = SIZE_MAX, .tools = tools };
			struct heard h = read_text(&how, text.bytes, text.len, 0, piece, rows[i].key);
			cr_expect_eq(h.calls, 1, "%s", rows[i].key);
			cr_expect_str_eq(text_of(&h.arguments[0]), want.bytes, "%s", rows[i].key);
			cr_expect_eq(h.content.len, 0, "%s", rows[i].key);
			heard_free(&h);
		}
		buf_free(&text);
		buf_free(&want);
	}
	json_decref(tools);
}

/* A schema whose choices all lead back to it: what it allows is looked for in so many places only. */
Test(reply, schemas_that_refer_to_themselves_in_many_ways_are_read_in_time)
{
	static const char text[] = "<tool_call><function=f><parameter=a>12</parameter></function></tool_call>";
	json_t *choices = json_array();
	for (int i = 0; i < 200; i++)
		json_array_append_new(choices, json_pack("{ss}", "$ref", "#/properties/a"));
	json_array_append_new(choices, json_pack("{ss}", "type", "integer"));
	json_t *tools = json_pack("[{s:{s:s,s:{s:{s:{s:o}}}}}]", "function", "name", "f", "parameters", "properties",
				  "a", "anyOf", choices);
	struct reading how = { .syntax = REPLY_SYNTAX_XML, .hold = SIZE_MAX, .tools = tools };
	struct heard h = read_text(&how, text, sizeof text - 1, 0, 0, "many");
	cr_expect_eq(h.calls, 1);
	cr_expect_str_eq(text_of(&h.arguments[0]), "{\"a\": 12}");
	heard_free(&h);
	json_decref(tools);
}

/* A call that breaks after a part of it was given out: the rest is content. */
Test(reply, nothing_is_lost_of_a_call_that_breaks_late)
{
	static const char text[] = "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": oops}}</tool_call>";
	struct reading how = { .syntax = REPLY_SYNTAX_HERMES };
	struct heard h = read_text(&how, text, sizeof text - 1, 0, 0, text);
	cr_expect_eq(h.calls, 1);
	cr_expect_str_eq(text_of(&h.arguments[0]), "{\"a\": ");
	cr_expect_str_eq(text_of(&h.content), "oops}}</tool_call>");
	heard_free(&h);
}

/* ---- round trips ------------------------------------------------------------------------------ */

/* The assistant turn that the template makes of this message. */
static void render_turn(const json_t *turn, json_t *message, struct buf *out)
{
	const char *template = json_string_value(json_object_get(turn, "template"));
	const char *opener = json_string_value(json_object_get(turn, "opener"));
	const char *closer = json_string_value(json_object_get(turn, "closer"));
	json_t *vars = json_pack("{s:[{ss ss} O]}", "messages", "role", "user", "content", "x", message);
	struct buf text = { 0 };
	struct err e;
	cr_assert_eq(template_render(template, strlen(template), vars, 0, &text, NULL, &e), 0, "%s", e.text);
	const char *begin = strstr(text.bytes, opener);
	cr_assert_not_null(begin, "%s", text.bytes);
	begin += strlen(opener);
	size_t len = text.len - (size_t)(begin - text.bytes), tail = strlen(closer);
	cr_assert(len >= tail && strcmp(begin + len - tail, closer) == 0, "%s", text.bytes);
	buf_add(out, begin, len - tail);
	buf_free(&text);
	json_decref(vars);
}

static json_t *calls_of(const char *const *arguments, size_t n)
{
	json_t *calls = json_array();
	for (size_t i = 0; i < n; i++) {
		json_t *j = vector_json(arguments[i], strlen(arguments[i]));
		json_array_append_new(calls, json_pack("{ss ss s{ss so}}", "id", "call00001", "type", "function",
						       "function", "name", i ? "look-up.2" : "get_weather",
						       "arguments", j));
	}
	return calls;
}

static void check_round_trip(const json_t *turn, const char *content, const char *reasoning, json_t *calls)
{
	struct reading how = { .syntax = syntax_of(json_string_value(json_object_get(turn, "syntax"))),
			       .hold = SIZE_MAX };
	json_t *message = json_pack("{ss ss ss}", "role", "assistant", "content", content, "reasoning", reasoning);
	json_t *functions = json_array(), *call;
	struct buf text = { 0 };
	size_t i;
	json_array_foreach(calls, i, call)
		json_array_append(functions, json_object_get(call, "function"));
	if (json_array_size(calls))
		json_object_set(message, "tool_calls", calls);
	render_turn(turn, message, &text);
	struct heard h = read_text(&how, text_of(&text), text.len, 0, 5, text_of(&text));
	expect_heard(&h, content, reasoning, functions, text_of(&text));
	heard_free(&h);
	buf_free(&text);
	json_decref(message);
	json_decref(functions);
}

Test(reply, what_a_template_writes_is_read_back)
{
	static const char *const contents[] = { "", "Sure.", "Two words,\n\n\"quotes\" & <tags> – 東京 🙂" };
	static const char *const thoughts[] = { "", "Hm.", "First <this>.\n\nThen {\"that\"}." };
	static const char *const arguments[][2] = {
		{ "{}", "{\"a\": 1}" },
		{ "{\"city\": \"Paris\", \"days\": 2, \"é\": [\"<&>'\\\"\", true, null, {}]}", "{}" },
		{ "{\"code\": \"if (a < b) {\\n\\treturn \\\"x\\\\\\\\\\\";\\n}\", \"n\": -1.5e3}",
		  "{\"o\": {\"p\": [[]]}}" },
	};
	json_t *turns = load("tests/vectors/replies/turns.templates"), *turn;
	size_t t, trips = 0;
	json_array_foreach(turns, t, turn) {
		bool llama = strcmp(json_string_value(json_object_get(turn, "syntax")), "llama3") == 0;
		for (size_t i = 0; i < 3 * 3 * 7; i++) {
			size_t n = i / 9 % 7 ? 1 + (i / 9 - 1) % 2 : 0, kind = i / 9 ? (i / 9 - 1) / 2 : 0;
			if (llama && (i / 3 % 3 || (n && i % 3))) /* writes neither reasoning nor text beside a call */
				continue;
			json_t *calls = calls_of(arguments[kind], n);
			check_round_trip(turn, contents[i % 3], thoughts[i / 3 % 3], calls);
			json_decref(calls);
			trips++;
		}
	}
	cr_expect_geq(trips, 500);
	json_decref(turns);
}

/* ---- telling families ------------------------------------------------------------------------- */

Test(reply, templates_tell_their_syntax)
{
	static const struct { const char *prefix; enum reply_syntax syntax; } rows[] = {
		{ "deepseek_v2/", REPLY_SYNTAX_PLAIN }, { "deepseek_r1/", REPLY_SYNTAX_DEEPSEEK },
		{ "qwen/", REPLY_SYNTAX_HERMES }, { "mixtral/", REPLY_SYNTAX_PLAIN },
		{ "llama3/", REPLY_SYNTAX_LLAMA3 }, { "gpt_oss/", REPLY_SYNTAX_HARMONY },
	};
	json_t *cases = load("tests/vectors/templates/cases.json"), *c;
	json_t *turns = load("tests/vectors/replies/turns.templates");
	size_t i;
	json_array_foreach(cases, i, c) {
		const char *name = json_string_value(json_object_get(c, "name"));
		const char *t = json_string_value(json_object_get(c, "template"));
		for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
			if (text_starts(name, rows[k].prefix))
				cr_expect_eq(reply_family_find(t, strlen(t)).syntax, rows[k].syntax, "%s", name);
	}
	json_array_foreach(turns, i, c) {
		const char *t = json_string_value(json_object_get(c, "template"));
		enum reply_syntax s = syntax_of(json_string_value(json_object_get(c, "syntax")));
		if (s != REPLY_SYNTAX_LLAMA3 && s != REPLY_SYNTAX_HARMONY)
			cr_expect_eq(reply_family_find(t, strlen(t)).syntax, s, "%s", reply_syntax_name(s));
	}
	json_decref(cases);
	json_decref(turns);
}

/* What the templates of these families say of calls, cut down to that. */
Test(reply, templates_of_all_families_are_told_apart)
{
	static const struct { enum reply_syntax syntax; const char *template; } rows[] = {
		{ REPLY_SYNTAX_XML, "<tool_call>\n<function=example>\n<parameter=a>\nv\n</parameter>\n</function>" },
		{ REPLY_SYNTAX_XML, "{{- '<tool_call>\\n<function=' + t.name + '>' }}{{- '<parameter=' + k + '>' }}" },
		{ REPLY_SYNTAX_SEED, "<seed:tool_call>\n<function=example>\n<parameter=a>v</parameter>" },
		{ REPLY_SYNTAX_MINIMAX, "{%- set begin = '<minimax:tool_call>' -%}<invoke name=\"n\"><response>" },
		{ REPLY_SYNTAX_STEP3, "<｜tool_call_begin｜>function<｜tool_sep｜><steptml:invoke name=" },
		{ REPLY_SYNTAX_DSML, "{%- set dsml_token = \"｜DSML｜\" -%}<｜Assistant｜>{{ think }}<think>" },
		{ REPLY_SYNTAX_GLM, "<tool_call>{name}\n<arg_key>{k}</arg_key>\n<arg_value>{v}</arg_value>" },
		{ REPLY_SYNTAX_GLM, "<tool_calls>\n<tool_call>{name}<tool_sep>\n<arg_key>{k}</arg_key>\n<arg_value>" },
		{ REPLY_SYNTAX_TOOL_CALLS, "within <tool_call></tool_call> tags: <tool_calls>[{\"name\": <n>}]" },
		{ REPLY_SYNTAX_NEMOTRON, "'<TOOLCALL>[{{\"name\": \"tool_name1\"}}]</TOOLCALL>' '</think>'" },
		{ REPLY_SYNTAX_ERNIE, "<tool_call>\n{\"name\": \"x\"}\n</tool_call> <response>\n" },
		{ REPLY_SYNTAX_LONGCAT, "<longcat_tool_call>{\"name\": <name>}</longcat_tool_call>" },
		{ REPLY_SYNTAX_BAR, "respond only with <|tool_call|> followed by a JSON list of tools used" },
		{ REPLY_SYNTAX_BAR, "respond in this format: <|tool_call|>{\"name\": \"foo\"}<|/tool_call|>" },
		{ REPLY_SYNTAX_INTERN, "<|action_start|><|plugin|>\n" },
		{ REPLY_SYNTAX_COMMAND, "<|START_THINKING|> <|START_ACTION|>[\n <|START_RESPONSE|>" },
		{ REPLY_SYNTAX_APERTUS, "<|tools_prefix|>[ <|tools_suffix|>" },
		{ REPLY_SYNTAX_LFM2, "\"<|tool_call_start|>[\" + calls + \"]<|tool_call_end|>\" </think>" },
		{ REPLY_SYNTAX_OLMO, "<function_calls></function_calls>" },
		{ REPLY_SYNTAX_GEMMA, "<start_function_call>call:" },
		{ REPLY_SYNTAX_GEMMA4, "'<|tool_call>call:' + name + '<tool_call|>' <|channel>" },
		{ REPLY_SYNTAX_LLAMA3, "<|header_start|> <|python_start|>" },
		{ REPLY_SYNTAX_HERMES, "<tool_call>\n{\"name\": <function-name>}\n</tool_call>" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reply_family f = reply_family_find(rows[i].template, strlen(rows[i].template));
		cr_expect_eq(f.syntax, rows[i].syntax, "%s: %s", rows[i].template, reply_syntax_name(f.syntax));
		cr_expect_null(f.unread, "%s", rows[i].template);
	}
}

Test(reply, a_template_that_takes_tools_in_an_unknown_way_says_so)
{
	static const struct { const char *template; enum reply_syntax syntax; bool unread; } rows[] = {
		{ "{% for tool in tools %}{{ tool }}{% endfor %}", REPLY_SYNTAX_PLAIN, true },
		{ "{%- if tools %}function call{{ x }}{% endif %}</think>", REPLY_SYNTAX_HERMES, true },
		{ "{{ tools | tojson }}[THINK]", REPLY_SYNTAX_MISTRAL, true },
		{ "{{ tools }}]<]minimax[>[<tool_call>", REPLY_SYNTAX_MINIMAX, true },
		{ "{% if messages %}the tools{% endif %}", REPLY_SYNTAX_PLAIN, false },
		{ "{{ my_tools }}{{ tools_used }}{{ x.tools }}", REPLY_SYNTAX_PLAIN, false },
		{ "{{ tools }}<tool_call>", REPLY_SYNTAX_HERMES, false },
		{ "tools", REPLY_SYNTAX_PLAIN, false },
		{ "", REPLY_SYNTAX_PLAIN, false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct reply_family f = reply_family_find(rows[i].template, strlen(rows[i].template));
		cr_expect_eq(f.syntax, rows[i].syntax, "%s", rows[i].template);
		cr_expect_eq(f.unread != NULL, rows[i].unread, "%s", rows[i].template);
	}
}
