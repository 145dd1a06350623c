/* Out of memory at any allocation: tests/shared/press.h. */
#include "api/reader.h"
#include "api/writer.h"
#include "tests/shared/press.h"

#include <criterion/criterion.h>
#include <string.h>

static void tell(const struct api_event *v, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_printf(&press_answer, "%d %u %d %.*s %s\n", (int)v[i].kind, v[i].choice, (int)v[i].part,
		           (int)v[i].len, v[i].text ? v[i].text : "", v[i].finish_reason ? v[i].finish_reason : "");
}

/* Byte by byte. */
static int read_answer(const struct work *w, struct err *e)
{
	struct api_reader *r = NULL;
	const struct api_event *v;
	size_t count;
	int rc = api_reader_open(&r, *(const bool *)w->more, e);
	for (size_t i = 0; i <= w->len && rc == 0; i++) {
		rc = i < w->len ? api_reader_push(r, (const char *)w->text + i, 1, &v, &count, e) :
			          api_reader_end(r, &v, &count, e);
		if (rc == 0)
			tell(v, count);
	}
	api_reader_close(r);
	return rc;
}

Test(api_pressure, answers_are_read)
{
	static const char stream[] =
		": ping\n\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"one, long enough for a line to grow\"}}]}\n\n"
		"data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
		"data: [DONE]\n\n";
	static const char plain[] =
		"{\"choices\":[{\"index\":0,\"message\":{\"content\":\"two\"},\"finish_reason\":\"length\"}]}";
	press("a stream", &(struct work){ read_answer, stream, sizeof stream - 1, &(bool){ true } });
	press("a plain answer", &(struct work){ read_answer, plain, sizeof plain - 1, &(bool){ false } });
}

/* A request read, its kept form, and an answer to it. */
static int read_and_answer(const struct work *w, struct err *e)
{
	struct api_request r = { 0 };
	struct buf kept = { 0 }, out = { 0 };
	json_t *result = NULL;
	int rc = api_request_parse(*(const enum api_shape *)w->more, w->text, w->len, &r, e);
	if (rc == 0)
		rc = api_request_write(&r, &kept, e);
	struct api_answer a = { .facts = { &r, 1, "msg_w-1", "m" } };
	if (rc == 0)
		rc = json_ok(result = json_pack("{s:[s],s:i,s:i,s:i,s:i,s:{}}", "finish_reasons", "stop",
						"prompt_tokens", 1, "completion_tokens", 1, "cached_tokens", 0,
						"reasoning_tokens", 0, "hallmark"),
			     e);
	static const char *const text[] = { "thought", "said", "f", "{\"a\": 1}" };
	static const enum api_part part[] = { API_REASONING, API_CONTENT, API_CALL_NAME, API_CALL_ARGUMENTS };
	if (rc == 0)
		api_answer_begin(&out, &a);
	for (size_t i = 0; i < 4 && rc == 0; i++)
		api_answer_piece(&out, &a,
				 &(struct api_piece){ .part = part[i],
						      .call_id = "i",
						      .text = { .bytes = text[i], .len = strlen(text[i]) } });
	rc = rc < 0 ? rc : api_answer_end(&out, &a, result, e);
	if (rc == 0)
		buf_printf(&press_answer, "%s\n%s", kept.bytes, out.bytes);
	api_answer_free(&a);
	api_request_free(&r);
	buf_free(&kept);
	buf_free(&out);
	json_decref(result);
	return rc;
}

Test(api_pressure, requests_of_blocks_and_items_are_answered)
{
	static const char blocks[] =
		"{\"model\":\"m\",\"max_tokens\":9,\"system\":[{\"type\":\"text\",\"text\":\"s\"}],\"messages\":["
		"{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},"
		"{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":\"\"},"
		"{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{\"a\":1}}]},"
		"{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":\"r\"}]}],"
		"\"tools\":[{\"name\":\"f\",\"input_schema\":{\"type\":\"object\"}}],\"stream\":%s}";
	static const char items[] =
		"{\"model\":\"m\",\"instructions\":\"s\",\"input\":[{\"role\":\"user\",\"content\":\"a\"},"
		"{\"type\":\"reasoning\",\"content\":[{\"type\":\"reasoning_text\",\"text\":\"t\"}]},"
		"{\"type\":\"function_call\",\"call_id\":\"i\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"},"
		"{\"type\":\"function_call_output\",\"call_id\":\"i\",\"output\":\"r\"}],"
		"\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{}}],\"stream\":%s}";
	static const enum api_shape shapes[] = { API_MESSAGES, API_RESPONSES };
	for (int stream = 0; stream < 2; stream++) {
		char body[1000];
		int len = snprintf(body, sizeof body, blocks, stream ? "true" : "false");
		press("messages", &(struct work){ read_and_answer, body, (size_t)len, &shapes[0] });
		len = snprintf(body, sizeof body, items, stream ? "true" : "false");
		press("responses", &(struct work){ read_and_answer, body, (size_t)len, &shapes[1] });
	}
}
