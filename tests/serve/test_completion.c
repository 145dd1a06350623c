/* One choice: events through the filters of their phases, in every cutting; calls; how it ends. */
#include "tests/serve/support.h"

#include <string.h>

#define TOOLS \
	",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"find\",\"parameters\":{\"type\":\"object\"}}}]"

static struct served at;

static void setup(void) { served_open(&at, served_rules); }
static void teardown(void) { served_close(&at); }

TestSuite(serve_completion, .init = setup, .fini = teardown);

static const char *finish_of(const struct said *x)
{
	return json_string_value(json_object_get(x->result, "finish_reason"));
}

Test(serve_completion, rules_redact_and_block_alike_in_every_cutting)
{
	static const struct {
		const char *text, *out, *finish;
	} rows[] = {
		{ "all is well here", "all is well here", "stop" },
		{ "a secret, and a Secret more", "a [gone], and a [gone] more", "stop" },
		{ "look: the bomb is here", "look: the ", "content_filter" },
		{ "secret bomb secret", "[gone] ", "content_filter" },
		{ "sec", "sec", "stop" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char scans[65536] = "";
		for (size_t piece = strlen(rows[i].text); piece > 0; piece--) {
			script_say(at.script, rows[i].text, piece);
			struct said x = served_say(&at, "");
			cr_assert_eq(x.rc, SERVE_END, "%s", x.err.text);
			cr_expect_str_eq(text_of(&x.content[0]), rows[i].out, "pieces of %zu", piece);
			cr_expect_str_eq(finish_of(&x), rows[i].finish, "%s", rows[i].text);
			const char *record = served_field(&at, "scans");
			if (*scans)
				cr_expect_str_eq(record, scans, "pieces of %zu", piece);
			else
				snprintf(scans, sizeof scans, "%s", record);
			said_free(&x);
		}
	}
}

/* Run these steps, and stop behind them. */
static struct said say(const struct script_step *step, size_t count, const char *more)
{
	memcpy(at.script->step, step, count * sizeof *step);
	at.script->steps = count;
	return served_say(&at, more);
}
#define SAY(steps, more) say(steps, sizeof steps / sizeof *steps, more)

Test(serve_completion, reasoning_and_content_have_streams_that_an_interruption_does_not_end)
{
	static const struct script_step steps[] = { { .text = "think sec", .part = REPLY_REASONING },
						    { .text = "say sec" },
						    { .text = "ret thought", .part = REPLY_REASONING },
						    { .text = "ret word" } };
	struct said x = SAY(steps, "");
	cr_expect_str_eq(text_of(&x.reasoning[0]), "think [gone] thought");
	cr_expect_str_eq(text_of(&x.content[0]), "say [gone] word");
	cr_expect_str_eq(served_field(&at, "finish_reason"), "\"stop\"");
	said_free(&x);
	cr_expect(strstr(served_retained(&at, "output"), "\"reasoning\":\"think [gone] thought\""));
}

Test(serve_completion, block_in_reasoning_keeps_back_what_content_holds)
{
	static const struct script_step steps[] = { { .text = "held sec" },
						    { .text = "the bomb", .part = REPLY_REASONING },
						    { .text = "never" } };
	struct said x = SAY(steps, "");
	cr_expect_str_eq(text_of(&x.content[0]), "held ");
	cr_expect_str_eq(text_of(&x.reasoning[0]), "the ");
	cr_expect_str_eq(finish_of(&x), "content_filter");
	json_t *entry = served_last(&at);
	cr_expect_str_eq(json_string_value(json_object_get(entry, "outcome")), "blocked");
	json_decref(entry);
	said_free(&x);
}

static const struct script_step calls[] = {
	{ .text = "I look. " },
	{ .text = "find", .part = REPLY_CALL_NAME },
	{ .text = "{\"q\":\"s\\u0065c", .part = REPLY_CALL_ARGUMENTS },
	{ .text = "ret \\\"x\\\"\"}", .part = REPLY_CALL_ARGUMENTS },
	{ .text = "find", .part = REPLY_CALL_NAME },
	{ .text = "{}", .part = REPLY_CALL_ARGUMENTS },
};

Test(serve_completion, calls_give_name_and_arguments_whose_escapes_hide_nothing_from_rules)
{
	struct said x = SAY(calls, TOOLS);
	cr_assert_eq(x.rc, SERVE_END, "%s", x.err.text);
	cr_expect_str_eq(text_of(&x.content[0]), "I look. ");
	cr_expect_str_eq(text_of(&x.calls[0]), "find({\"q\":\"[gone] \\\"x\\\"\"})find({}");
	cr_expect_str_eq(finish_of(&x), "tool_calls");
	said_free(&x);
	cr_expect(strstr(served_field(&at, "scans"), "\"tool_arguments\""));
}

Test(serve_completion, digest_of_what_went_out_goes_over_content_reasoning_and_each_call)
{
	static const struct script_step steps[] = { { .text = "hm", .part = REPLY_REASONING },
						    { .text = "say" },
						    { .text = "find", .part = REPLY_CALL_NAME },
						    { .text = "{}", .part = REPLY_CALL_ARGUMENTS } };
	struct said x = SAY(steps, TOOLS);
	struct digest d = digest_of("sayhmfind{}", 11);
	char text[DIGEST_TEXT_ROOM], quoted[DIGEST_TEXT_ROOM + 2];
	digest_text(&d, text);
	snprintf(quoted, sizeof quoted, "\"%s\"", text);
	cr_expect_str_eq(served_field(&at, "emitted_bytes_digest"), quoted);
	said_free(&x);
}

Test(serve_completion, second_call_ends_a_choice_that_may_have_one)
{
	struct said x = SAY(calls, TOOLS ",\"parallel_tool_calls\":false");
	cr_expect_str_eq(text_of(&x.calls[0]), "find({\"q\":\"[gone] \\\"x\\\"\"}");
	cr_expect_str_eq(finish_of(&x), "tool_calls");
	said_free(&x);
}

Test(serve_completion, call_that_nobody_offered_is_content)
{
	struct said x = SAY(calls, "");
	cr_expect_str_eq(text_of(&x.content[0]),
			 "I look. {\"name\": \"find\", \"arguments\": {\"q\":\"[gone] \\\"x\\\"\"}}"
			 "{\"name\": \"find\", \"arguments\": {}}");
	cr_expect_str_eq(text_of(&x.calls[0]), "");
	cr_expect_str_eq(finish_of(&x), "stop");
	said_free(&x);
}

Test(serve_completion, name_that_a_rule_blocks_ends_the_choice_and_does_not_go_out)
{
	static const struct script_step steps[] = { { .text = "bomb", .part = REPLY_CALL_NAME },
						    { .text = "{}", .part = REPLY_CALL_ARGUMENTS } };
	struct said x = SAY(steps, TOOLS);
	cr_expect_str_eq(text_of(&x.calls[0]), "");
	cr_expect_str_eq(finish_of(&x), "content_filter");
	said_free(&x);
}

/* The calls of the record that was written last, or, once replayed, of `record`. */
static const char *calls_again(const char *record, char out[4096])
{
	static const char body[] =
		"{\"model\":\"m\",\"n\":2,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" TOOLS "}";
	struct serve_chat_given given = { .given = true, .record = record };
	struct serve_chat *c;
	struct said x = { 0 };
	struct err e = { 0 };
	at.service->recording = false;
	cr_assert_eq(serve_chat_open_given(&c, at.service, body, strlen(body), NULL, &given, &e), 0, "%s",
		     e.text);
	said_run(&x, c);
	struct buf b = { 0 };
	for (unsigned i = 0; i < 2; i++)
		cr_assert_eq(json_write_canonical(c->decision.choice[i].output, &b, NULL), 0);
	snprintf(out, 4096, "%s", b.bytes);
	buf_free(&b);
	serve_chat_close(c);
	said_free(&x);
	at.service->recording = true;
	return out;
}

Test(serve_completion, ids_of_calls_are_those_of_the_record_and_of_no_other)
{
	char first[4096], again[4096], other[4096];
	struct said x = SAY(calls, TOOLS ",\"n\":2");
	snprintf(first, sizeof first, "%s", served_retained(&at, "output"));
	cr_expect(strstr(first, "\"call_"));
	calls_again(x.record, again);
	cr_expect(strlen(again) == strlen(first) - 3, "%s: %s", first, again); /* but for [,] */
	cr_expect(strncmp(again, first + 1, 200) == 0, "%s: %s", first, again);
	cr_expect_str_neq(calls_again("other/7", other), again);
	said_free(&x);
	x = SAY(calls, TOOLS ",\"n\":2");
	cr_expect_str_neq(served_retained(&at, "output"), first, "the same request, asked again");
	said_free(&x);
}

Test(serve_completion, way_it_ends_is_the_answers_unless_calls_or_rules_say_otherwise)
{
	static const struct {
		enum answer_end end;
		enum reply_part part;
		const char *text, *finish;
	} rows[] = { { ANSWER_STOP, REPLY_CONTENT, "x", "stop" },
		     { ANSWER_LENGTH, REPLY_CONTENT, "x", "length" },
		     { ANSWER_STOP, REPLY_CALL_NAME, "find", "tool_calls" },
		     { ANSWER_LENGTH, REPLY_CALL_NAME, "find", "length" },
		     { ANSWER_LENGTH, REPLY_CONTENT, "bomb", "content_filter" } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct script_step step = { .text = rows[i].text,
					    .part = rows[i].part,
					    .end = rows[i].end };
		struct said x = say(&step, 1, TOOLS);
		cr_expect_str_eq(finish_of(&x), rows[i].finish, "row %zu", i);
		said_free(&x);
	}
}

Test(serve_completion, step_that_has_more_goes_on_before_another_choice_has_its_turn)
{
	static const struct script_step steps[] = { { .text = "u", .more = true },
						    { .text = "v" },
						    { .text = "w" } };
	struct said x = SAY(steps, ",\"n\":2");
	cr_expect_str_eq(text_of(&x.order), "001101");
	said_free(&x);
}

/* A stop string is looked for in what the client sees: a guess at what is withheld finds nothing. */
Test(serve_completion, stop_string_ends_what_goes_out_and_finds_nothing_withheld)
{
	static const struct {
		const char *text, *stop, *out, *letters; /* named, one by one */
	} rows[] = {
		{ "one two three", "[\"two\"]", "one ", "o|n|e| |" },
		{ "one two three", "[\"e t\",\"wo\"]", "on", "o|n|" },
		{ "one two thr", "[\"three\"]", "one two thr", "o|n|e| |t|w|o| |t|h|r|" },
		{ "one secret two", "[\"secret\",\"sec\",\"ret t\"]", "one [gone] two",
		  "o|n|e| | |t|w|o|" },
		{ "one secret two", "[\"ne] t\"]", "one [go", "o|n|e| |" },
		{ "one secret two", "[\" two\"]", "one [gone]", "o|n|e| |" },
		{ "one secret two bomb", "[\"two\"]", "one [gone] ", "o|n|e| | |" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (size_t piece = strlen(rows[i].text); piece > 0; piece--) {
			char more[200];
			snprintf(more, sizeof more, ",\"stop\":%s,\"logprobs\":true", rows[i].stop);
			script_say(at.script, rows[i].text, piece);
			struct said x = served_say(&at, more);
			cr_assert_eq(x.rc, SERVE_END, "%s", x.err.text);
			cr_expect_str_eq(text_of(&x.content[0]), rows[i].out, "row %zu, pieces of %zu", i,
					 piece);
			cr_expect_str_eq(finish_of(&x), "stop");
			if (piece == 1)
				cr_expect_str_eq(text_of(&x.tokens[0]), rows[i].letters, "row %zu", i);
			said_free(&x);
		}
}

Test(serve_completion, stop_string_ends_reasoning_and_arguments_too)
{
	static const struct script_step thought[] = { { .text = "I think", .part = REPLY_REASONING },
						      { .text = " of tw", .part = REPLY_REASONING },
						      { .text = "o things", .part = REPLY_REASONING },
						      { .text = "said" } };
	struct said x = SAY(thought, ",\"stop\":[\"two\"]");
	cr_expect_str_eq(text_of(&x.reasoning[0]), "I think of ");
	cr_expect_str_eq(text_of(&x.content[0]), "");
	said_free(&x);
	static const struct script_step held[] = { { .text = "a plan, a sec", .part = REPLY_REASONING },
						   { .text = "one two three" } };
	x = SAY(held, ",\"stop\":[\"two\"]");
	cr_expect_str_eq(text_of(&x.reasoning[0]), "a plan, a sec");
	cr_expect_str_eq(text_of(&x.content[0]), "one ");
	said_free(&x);
	x = SAY(calls, TOOLS ",\"stop\":[\"x\"]");
	cr_expect_str_eq(text_of(&x.content[0]), "I look. ");
	cr_expect_str_eq(text_of(&x.calls[0]), "find({\"q\":\"[gone] \\\"");
	cr_expect_str_eq(finish_of(&x), "tool_calls");
	said_free(&x);
}

Test(serve_completion, stop_strings_count_from_min_tokens_on)
{
	script_say(at.script, "two two two", 4);
	struct said x = served_say(&at, ",\"stop\":[\"two\"],\"min_tokens\":2,\"ignore_eos\":true");
	cr_expect_str_eq(text_of(&x.content[0]), "two ");
	said_free(&x);
}

/* "secre" at an end that the model did not choose lacks little of what is withheld. */
Test(serve_completion, what_a_limit_or_a_constraint_cut_short_is_withheld)
{
	static const struct {
		const char *more, *out;
		enum answer_end end;
	} rows[] = {
		{ "", "a secre", ANSWER_STOP },
		{ "", "a [gone]", ANSWER_LENGTH },
		{ ",\"guided_regex\":\"a se.*\"", "a [gone]", ANSWER_STOP },
		{ ",\"response_format\":{\"type\":\"json_object\"}", "a \"[gone]\"", ANSWER_STOP },
		{ ",\"logit_bias\":{\"5\":3}", "a [gone]", ANSWER_STOP },
		{ ",\"bad_words\":[\"t\"]", "a [gone]", ANSWER_STOP },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct script_step step = { .text = "a secre", .end = rows[i].end };
		struct said x = say(&step, 1, rows[i].more);
		cr_expect_str_eq(text_of(&x.content[0]), rows[i].out, "row %zu", i);
		said_free(&x);
	}
	static const struct script_step call[] = { { .text = "find", .part = REPLY_CALL_NAME },
						   { .text = "{\"q\":\"secre",
						     .part = REPLY_CALL_ARGUMENTS,
						     .end = ANSWER_LENGTH } };
	struct said x = SAY(call, TOOLS);
	cr_expect_str_eq(text_of(&x.calls[0]), "find({\"q\":\"[gone]");
	said_free(&x);
}

static const char bank_rules[] =
	"[policy]\nname = \"bank\"\nversion = 1\nmode = \"enforce\"\n[[rule]]\nid = \"card\"\n"
	"phase = [\"output\"]\nmatch = { detector = \"pan\" }\naction = \"redact\"\nreplace = \"[card]\"\n"
	"tests.hit = [\"4111 1111 1111 1111\", \"4111111111111111\", \"5500000000000004\"]\n"
	"tests.miss = [\"a\", \"b\", \"c\"]\n";

/* A form that the client chose carries no number past the rules. */
Test(serve_steering, request_that_shapes_its_answer_is_read_for_numbers_in_its_shape)
{
	static const struct {
		const char *text, *more, *out;
	} rows[] = {
		{ "a 4,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1 b", "", NULL },
		{ "a 4,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1 b", ",\"guided_regex\":\".*\"", "a [card] b" },
		{ "a 4,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1 b", ",\"bad_words\":[\"x\"]", "a [card] b" },
		{ "a 4111111111111112 b", ",\"guided_grammar\":\"root ::= .*\"", "a [card] b" },
		{ "{\"c\":\"411111111111111\"}",
		  ",\"guided_json\":{\"type\":\"object\",\"properties\":{\"c\":{\"type\":\"string\",\"maxLength\":15}}}",
		  "{\"c\":\"[card]\"}" },
		{ "{\"c\":\"411111111111111\"}", ",\"guided_json\":{\"type\":\"object\"}", NULL },
		{ "{\"c\":\"411111111111111\"}", ",\"response_format\":{\"type\":\"json_object\"}", NULL },
	};
	struct served bank;
	served_open(&bank, bank_rules);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		script_say(bank.script, rows[i].text, 3);
		struct said x = served_say(&bank, rows[i].more);
		cr_assert_eq(x.rc, SERVE_END, "row %zu: %s", i, x.err.text);
		cr_expect_str_eq(text_of(&x.content[0]), rows[i].out ? rows[i].out : rows[i].text,
				 "row %zu", i);
		said_free(&x);
	}
	served_close(&bank);
}

/* A family's ids are of names: none may say a name that a rule hid, or be another call's. */
Test(serve_completion, ids_that_a_model_wrote_are_kept_where_they_are_of_its_calls)
{
	static const struct script_step steps[] = {
		{ .text = "find", .part = REPLY_CALL_NAME, .id = "functions.find:7" },
		{ .text = "{}", .part = REPLY_CALL_ARGUMENTS },
		{ .text = "find", .part = REPLY_CALL_NAME, .id = "functions.find:7" },
		{ .text = "{}", .part = REPLY_CALL_ARGUMENTS },
		{ .text = "find", .part = REPLY_CALL_NAME, .id = "functions.other:8" },
		{ .text = "{}", .part = REPLY_CALL_ARGUMENTS },
		{ .text = "secret", .part = REPLY_CALL_NAME, .id = "functions.secret:9" },
		{ .text = "{}", .part = REPLY_CALL_ARGUMENTS },
		{ .text = "find", .part = REPLY_CALL_NAME },
		{ .text = "{}", .part = REPLY_CALL_ARGUMENTS },
	};
	at.script->ids = REPLY_IDS_FUNCTION;
	struct said x = SAY(steps, TOOLS);
	cr_assert_eq(x.rc, SERVE_END, "%s", x.err.text);
	cr_assert_eq(strncmp(text_of(&x.ids), "functions.find:7 functions.find:1 functions.find:2 call_", 56), 0,
		     "%s", text_of(&x.ids));
	cr_expect_null(strstr(text_of(&x.ids), "secret"));
	cr_expect(strstr(text_of(&x.ids), " functions.find:4 "), "%s", text_of(&x.ids));
	said_free(&x);
	at.script->ids = REPLY_IDS_NINE;
	x = SAY(steps, TOOLS);
	cr_expect_eq(strlen(text_of(&x.ids)), 5 * 10, "%s", text_of(&x.ids));
	said_free(&x);
}
