/* Completions: the rules read an answer together with the end of its prompt. */
#include "tests/serve/support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

/* Ask for a completion of this prompt, a JSON value; the script goes on with `answer`. */
static struct said complete(struct served *s, const char *prompt, const char *more, const char *answer,
			    size_t piece)
{
	char body[4096];
	struct serve_chat *c = NULL;
	struct said out = { 0 };
	snprintf(body, sizeof body, "{\"model\":\"m\",\"prompt\":%s%s}", prompt, more);
	script_say(s->script, answer, piece);
	out.rc = serve_chat_open(&c, s->host, API_COMPLETION, body, strlen(body), NULL, &out.err);
	if (out.rc == 0)
		said_run(&out, c);
	serve_chat_close(c);
	return out;
}

static const struct {
	const char *prompt, *more, *answer, *out, *finish;
} rows[] = {
	{ "\"a se\"", "", "cret is", "[gone] is", "stop" },
	{ "\"a secret is\"", "", " told", " told", "stop" },
	{ "\"a secret\"", "", "s told", "s told", "stop" },
	{ "\"see \"", "", "the secret.", "the [gone].", "stop" },
	{ "\"secret secret se\"", "", "cret se", "[gone] se", "stop" },
	{ "\"a bo\"", "", "mb is", "", "content_filter" },
	{ "\"a bomb is\"", "", " not", " not", "stop" },
	{ "\"bomb bomb bomb, secret se\"", "", "cret", "[gone]", "stop" },
	{ "\"a bomb \"", "", "is not", "", "content_filter" },
	{ "\"a bomb\"", "", "s", "", "content_filter" },
	{ "\"\"", "", "a secret", "a [gone]", "stop" },
	{ "\"\\u00e4\\u00e4 se\"", "", "cret \xc3\xa4", "[gone] \xc3\xa4", "stop" },
	{ "\"a se\"", ",\"stop\":\"is\"", "cret this", "[gone] th", "stop" },
	{ "\"is a se\"", ",\"stop\":\"is\"", "cre", "cre", "stop" },
	{ "\"a se\"", ",\"echo\":true", "cret is", "a se[gone] is", "stop" },
	{ "\"my tea\"", ",\"echo\":true,\"stop\":\"my\"", " is", "my [cup] is", "stop" },
	{ "\"a secret\"", ",\"echo\":true", " is", "a [gone] is", "stop" },
	{ "\"a bomb is\"", ",\"echo\":true", " not", "a ", "content_filter" },
	{ "\"a mine\"", "", " is", "", "content_filter" },
};

Test(serve_before, what_begins_in_the_prompt_is_withheld_in_the_answer_in_every_cutting)
{
	struct served s;
	served_open(&s, served_rules);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t piece = 1; piece <= strlen(rows[i].answer); piece++) {
			struct said x = complete(&s, rows[i].prompt, rows[i].more, rows[i].answer, piece);
			cr_expect_eq(x.rc, SERVE_END, "%s: %s", rows[i].prompt, x.err.text);
			cr_expect_str_eq(text_of(&x.content[0]), rows[i].out, "%s %s by %zu", rows[i].prompt,
					 rows[i].more, piece);
			const char *finish = json_string_value(json_object_get(x.result, "finish_reason"));
			cr_expect_str_eq(finish ? finish : "", rows[i].finish, "%s", rows[i].prompt);
			said_free(&x);
		}
	}
	served_close(&s);
}

Test(serve_before, the_prompt_s_end_is_named_in_the_scan_and_its_findings_are_not_the_answer_s)
{
	struct served s;
	served_open(&s, served_rules);
	struct said x = complete(&s, "\"a secret, se\"", "", "cret", 4);
	cr_expect_str_eq(text_of(&x.content[0]), "[gone]");
	cr_expect(strstr(served_field(&s, "scans"), "\"before\":12"), "%s", served_field(&s, "scans"));
	cr_expect_str_eq(served_field(&s, "interventions"),
			 "[{\"action\":\"redact\",\"end\":16,\"index\":0,\"phase\":\"content\",\"rule\":\"hide\","
			 "\"start\":10}]");
	said_free(&x);
	served_close(&s);
}

Test(serve_before, tokens_are_placed_in_what_went_out)
{
	struct served s;
	served_open(&s, served_rules);
	struct said x = complete(&s, "\"a secret se\"", ",\"logprobs\":0", "cret is so", 1);
	cr_expect_str_eq(text_of(&x.content[0]), "[gone] is so");
	cr_expect_str_eq(text_of(&x.tokens[0]), " |i|s| |s|o|");
	said_free(&x);
	served_close(&s);
}

Test(serve_before, without_rules_nothing_is_read_before_the_answer)
{
	struct served s;
	served_open(&s, NULL);
	struct said x = complete(&s, "\"a se\"", ",\"echo\":true", "cret", 2);
	cr_expect_str_eq(text_of(&x.content[0]), "a secret");
	cr_expect(!strstr(served_field(&s, "scans"), "before"));
	cr_expect_str_eq(served_retained(&s, "request"), "\"{\\\"model\\\":\\\"m\\\",\\\"prompt\\\":\\\"a se\\\","
							 "\\\"echo\\\":true,\\\"temperature\\\":1.0,"
							 "\\\"max_tokens\\\":16}\"");
	said_free(&x);
	x = complete(&s, "[1]", "", "cret", 2);
	cr_expect_eq(x.rc, ERR_UNSUPPORTED, "a script has no tokens");
	said_free(&x);
	served_close(&s);
}
