/* What comes in passes the rules of its phase before anybody is asked. */
#include "tests/serve/support.h"

#include <string.h>

static struct served at;

static void setup(void) { served_open(&at, served_rules); }
static void teardown(void) { served_close(&at); }

TestSuite(serve_scan, .init = setup, .fini = teardown);

/* The whole request with these messages; its messages as the answerer got them, canonical; or NULL if it was
 * not asked. */
static const char *asked(const char *messages, const char *more, struct said *x)
{
	static char out[8192];
	char body[8192];
	struct serve_chat *c;
	unsigned before = at.script->opened;
	struct buf b = { 0 };
	snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":%s%s}", messages, more);
	*x = (struct said){ 0 };
	x->rc = serve_chat_open(&c, at.host, API_CHAT, body, strlen(body), NULL, &x->err);
	cr_assert_eq(x->rc, 0, "%s", x->err.text);
	if (at.script->opened > before) {
		cr_assert_eq(json_write_canonical(at.script->asked.messages, &b, NULL), 0);
		snprintf(out, sizeof out, "%s", b.bytes);
		if (at.script->asked.tools) {
			buf_clear(&b);
			cr_assert_eq(json_write_canonical(at.script->asked.tools, &b, NULL), 0);
			strcat(out, b.bytes);
		}
		if (at.script->asked.kwargs) {
			buf_clear(&b);
			cr_assert_eq(json_write_canonical(at.script->asked.kwargs, &b, NULL), 0);
			strcat(out, b.bytes);
		}
	}
	said_run(x, c);
	serve_chat_close(c);
	buf_free(&b);
	return at.script->opened > before ? out : NULL;
}

#define USER(text) "[{\"role\":\"user\",\"content\":\"" text "\"}]"
#define CALL(id, name, arguments)                                                                            \
	"[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"\","                       \
	"\"tool_calls\":[{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name "\","        \
	"\"arguments\":\"" arguments "\"}}]},"                                                               \
	"{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"tea time\"}]"
#define TOOL(name, text)                                                                                 \
	",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"description\":\"" text \
	"\",\"parameters\":{\"type\":\"object\"}}}]"

Test(serve_scan, texts_are_replaced_where_a_rule_says_so_and_names_stay)
{
	static const struct {
		const char *messages, *more, *has, *lacks;
	} rows[] = {
		{ USER("some tea"), "", "some [cup]", "tea" },
		{ USER("x"), ",\"chat_template_kwargs\":{\"a\":\"tea\",\"b\":[{\"c\":\"tea pot\"}]}",
		  "{\"a\":\"[cup]\",\"b\":[{\"c\":\"[cup] pot\"}]}", "tea" },
		{ CALL("c1", "find", "{\\\"q\\\":\\\"tea\\\"}"), "", "\"q\":\"[cup]\"", "\"tea\"" },
		{ CALL("c1", "find", "{\\\"q\\\":[1,\\\"x\\\"]}"), "", "\"q\":[1,\"x\"]", "[cup]" },
		{ CALL("c1", "find", "{\\\"q\\\":[1,7788,2]}"), "", "\"q\":[1,\"[no]\",2]", "7788" },
		{ CALL("c1", "find", "{\\\"q\\\":77.5,\\\"r\\\":7788}"), "", "\"q\":77.5,\"r\":\"[no]\"", "7788" },
		{ CALL("c1", "find", "{}"), "", "tea time",
		  "[cup]" }, /* tool results have rules of their own */
		{ USER("x"), TOOL("find", "makes tea"), "makes [cup]", "tea" },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct said x;
		const char *got = asked(rows[i].messages, rows[i].more, &x);
		cr_assert(got, "row %zu", i);
		cr_expect(strstr(got, rows[i].has), "row %zu: %s", i, got);
		cr_expect_null(strstr(got, rows[i].lacks), "row %zu: %s", i, got);
		said_free(&x);
	}
}

Test(serve_scan, block_and_a_name_that_a_rule_would_change_end_the_request_unasked)
{
	static const struct {
		const char *messages, *more;
	} rows[] = { { USER("a mine"), "" },          { CALL("tea", "find", "{}"), "" },
		     { CALL("c1", "tea", "{}"), "" }, { CALL("c1", "find", "{\\\"tea\\\":1}"), "" },
		     { USER("x"), TOOL("tea", "x") }, { USER("x"), TOOL("find", "a mine") } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct said x;
		cr_expect_null(asked(rows[i].messages, rows[i].more, &x), "row %zu", i);
		cr_expect_eq(x.rc, SERVE_END, "it is answered, with nothing");
		cr_expect_str_eq(json_string_value(json_object_get(x.result, "finish_reason")),
				 "content_filter");
		cr_expect_eq(x.pieces, 0);
		json_t *entry = served_last(&at);
		cr_expect_str_eq(json_string_value(json_object_get(entry, "outcome")), "blocked");
		json_decref(entry);
		cr_expect_str_eq(served_field(&at, "prompt_count"), "0");
		said_free(&x);
	}
}

Test(serve_scan, record_says_where_in_the_json_of_a_value_something_was_found)
{
	struct said x;
	const char *call = CALL("c1", "find", "{\\\"q\\\":[1,\\\"a\\\",7788,2]}");
	cr_assert(asked(call, "", &x));
	said_free(&x);
	/* {"q":[1,"a",7788,2]} */
	cr_expect_str_eq(served_field(&at, "interventions"),
			 "[{\"action\":\"redact\",\"end\":16,\"index\":1,\"item\":0,\"member\":"
			 "\"arguments\",\"phase\":\"input\",\"rule\":\"number\",\"start\":12}]");
	cr_expect(strstr(served_field(&at, "scans"),
			 "\"withheld\":[{\"action\":\"redact\",\"end\":16,\"replacement\":6,"));
}

Test(serve_scan, more_texts_than_a_record_takes_end_the_request)
{
	struct said x;
	struct serve_chat *c;
	struct buf b = { 0 };
	buf_add_text(&b, "{\"model\":\"m\",\"messages\":[");
	for (int i = 0; i < 90; i++) {
		buf_printf(&b, "%s{\"role\":\"assistant\",\"tool_calls\":[", i ? "," : "");
		for (int k = 0; k < 50; k++)
			buf_printf(&b,
				   "%s{\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}",
				   k ? "," : "");
		buf_add_text(&b, "]}");
	}
	buf_add_text(&b, "]}");
	x = (struct said){ 0 };
	x.rc = serve_chat_open(&c, at.host, API_CHAT, b.bytes, b.len, NULL, &x.err);
	cr_assert_eq(x.rc, 0, "%s", x.err.text);
	cr_expect_eq(at.script->opened, 0);
	said_run(&x, c);
	serve_chat_close(c);
	json_t *entry = served_last(&at);
	cr_expect_str_eq(json_string_value(json_object_get(entry, "outcome")), "engine_limit");
	json_decref(entry);
	said_free(&x);
	buf_free(&b);
}

Test(serve_scan, record_says_which_text_of_which_message_was_touched)
{
	struct said x;
	cr_assert(asked("[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"user\",\"content\":\"tea\"}]",
			"", &x));
	said_free(&x);
	const char *found = served_field(&at, "interventions");
	cr_expect_str_eq(
		found, "[{\"action\":\"redact\",\"end\":3,\"index\":1,\"phase\":\"input\",\"rule\":\"tea\","
		       "\"start\":0}]");
}

Test(serve_scan, request_with_more_findings_than_a_record_holds_ends_by_its_limit)
{
	struct buf b = { 0 };
	struct serve_chat *c;
	struct said x = { 0 };
	buf_add_text(&b, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"");
	for (int i = 0; i < 20000; i++)
		buf_add_text(&b, "tea ");
	buf_add_text(&b, "\"}]}");
	cr_assert_eq(serve_chat_open(&c, at.host, API_CHAT, b.bytes, b.len, NULL, &x.err), 0, "%s", x.err.text);
	said_run(&x, c);
	serve_chat_close(c);
	json_t *entry = served_last(&at);
	cr_expect_str_eq(json_string_value(json_object_get(entry, "outcome")), "engine_limit");
	json_decref(entry);
	cr_expect_eq(at.script->opened, 0);
	said_free(&x);
	buf_free(&b);
}
