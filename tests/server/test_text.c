/* Tokens of texts and back, over HTTP; and what others have and this server does not. */
#include "tests/server/talk.h"

#include <stdio.h>
#include <string.h>

/* The answer to a POST holds this text. */
static void expect(const struct running *r, const char *path, const char *body, int code, const char *text)
{
	char line[100];
	snprintf(line, sizeof line, "POST %s", path);
	struct buf b = ask(r->port, line, "", body);
	cr_expect_eq(status(&b), code, "%s %s: %s", path, body, b.bytes);
	cr_expect(strstr(b.bytes, text), "%s %s: %s", path, body, b.bytes);
	buf_free(&b);
}

Test(server_text, texts_become_tokens_by_the_words_of_two_servers)
{
	struct running r = start((struct server_options){ 0 });
	static const struct {
		const char *path, *body;
		int code;
		const char *text;
	} rows[] = {
		{ "/tokenize", "{\"prompt\":\"ab\"}", 200,
		  "{\"count\":3,\"max_model_len\":512,\"tokens\":[1,97,98],\"token_strs\":null}" },
		{ "/tokenize", "{\"prompt\":\"ab\",\"add_special_tokens\":false,\"return_token_strs\":true}", 200,
		  "\"tokens\":[97,98],\"token_strs\":[\"a\",\"b\"]}" },
		{ "/tokenize", "{\"content\":\"a\"}", 200, "\"tokens\":[97]" },
		{ "/tokenize", "{\"content\":\"\xc3\xa4z\",\"with_pieces\":true}", 200,
		  "[{\"id\":195,\"piece\":[195]},{\"id\":164,\"piece\":[164]},{\"id\":122,\"piece\":\"z\"}]" },
		{ "/tokenize", "{\"content\":\"\",\"add_special\":true}", 200, "\"tokens\":[1]" },
		{ "/tokenize", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 200, "\"count\":8" },
		{ "/tokenize", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"add_generation_prompt\":false}",
		  200, "\"count\":7" },
		{ "/detokenize", "{\"tokens\":[97,195,164,98]}", 200,
		  "{\"prompt\":\"a\xc3\xa4" "b\",\"content\":\"a\xc3\xa4" "b\"}" },
		{ "/detokenize", "{\"model\":\"m\",\"tokens\":[]}", 200, "{\"prompt\":\"\"" },
		{ "/detokenize", "{\"tokens\":[195]}", 200, "{\"prompt\":\"\xef\xbf\xbd\"" },
		{ "/apply-template", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", 200,
		  "{\"prompt\":\"prompt:\"}" },
		{ "/tokenize", "{}", 400, "\"param\":\"prompt\",\"code\":\"missing_required_parameter\"" },
		{ "/tokenize", "{\"prompt\":\"a\",\"content\":\"b\"}", 400, "one text, or messages" },
		{ "/tokenize", "{\"prompt\":[\"a\"]}", 400, "\"param\":\"prompt\",\"code\":\"invalid_type\"" },
		{ "/tokenize", "{\"prompt\":\"a\",\"return_token_strs\":1}", 400, "\"param\":\"return_token_strs\"" },
		{ "/tokenize", "{\"messages\":[]}", 400, "\"param\":\"messages\"" },
		{ "/tokenize", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"chat_template\":\"x\"}", 400,
		  "\"param\":\"chat_template\"" },
		{ "/tokenize", "{\"prompt\":\"a\",\"model\":\"other\"}", 404, "\"code\":\"model_not_found\"" },
		{ "/tokenize", "{\"prompt\":\"!\"}", 500, "internal error: input" },
		{ "/tokenize", "[]", 400, "expected one JSON object" },
		{ "/tokenize", "{\"prompt\":", 400, "the body is not JSON" },
		{ "/detokenize", "{\"tokens\":[256]}", 400, "\"param\":\"tokens\",\"code\":\"invalid_value\"" },
		{ "/detokenize", "{\"tokens\":[-1]}", 400, "\"code\":\"integer_below_min_value\"" },
		{ "/detokenize", "{\"tokens\":\"a\"}", 400, "\"code\":\"invalid_type\"" },
		{ "/detokenize", "{}", 400, "\"param\":\"tokens\"" },
		{ "/apply-template", "{\"prompt\":\"x\"}", 400, "\"param\":\"messages\"" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect(&r, rows[i].path, rows[i].body, rows[i].code, rows[i].text);
	stop(&r);
}

/* Long ones are made by another thread; the client is looked at meanwhile. */
Test(server_text, long_texts_become_tokens_too)
{
	static char body[50000];
	struct running r = start((struct server_options){ 0 });
	memset(body, 'x', sizeof body - 1);
	memcpy(body, "{\"content\":\"", 12);
	strcpy(body + sizeof body - 3, "\"}");
	expect(&r, "/tokenize", body, 200, "{\"count\":49985,");
	body[12] = '!';
	expect(&r, "/tokenize", body, 500, "internal error");
	strcpy(body + sizeof body - 3, "\"]");
	expect(&r, "/tokenize", body, 400, "the body is not JSON");
	stop(&r);
}

Test(server_text, what_others_have_is_refused_by_name)
{
	struct running r = start((struct server_options){ 0 });
	expect(&r, "/v1/embeddings", "{}", 404, "embeds none");
	expect(&r, "/v1/embeddings", "{}", 404, "\"code\":\"unsupported\"");
	expect(&r, "/v1/audio/speech", "{}", 404, "reads and writes text");
	expect(&r, "/v1/images/generations", "{}", 404, "reads and writes text");
	expect_status(ask(r.port, "POST /v1/audio/transcriptions", "", "no JSON"), 404);
	expect_status(ask(r.port, "GET /v1/embeddings", "", NULL), 405);
	struct buf b = ask(r.port, "GET /version", "", NULL);
	cr_expect(status(&b) == 200 && strstr(b.bytes, "{\"version\":\"0."), "%s", b.bytes);
	buf_free(&b);
	b = ask(r.port, "GET /v1/models/m", "", NULL);
	cr_expect(strstr(b.bytes, "\"owned_by\":\"hallmark\",\"root\":\"sha256:0") &&
			  strstr(b.bytes, "\"max_model_len\":512}"),
		  "%s", b.bytes);
	buf_free(&b);
	stop(&r);
}
