/* Answers that are lists of blocks, in the shapes of messages and responses: what a stream says in pieces, a
 * plain answer says whole, however the text was cut. */
#include "api/writer.h"
#include "base/json.h"

#include <criterion/criterion.h>
#include <string.h>

struct row {
	enum api_part part;
	unsigned call;
	const char *text;
	bool holds_content, holds_reasoning;
};

static struct cleared cleared_of(const char *s, size_t len)
{
	return (struct cleared){ .bytes = s, .len = len };
}

/* The end of the reasoning is held until the end; calls come between two pieces of text. */
static const struct row held[] = {
	{ API_REASONING, 0, "Who \"asks\"\n", false, true }, { API_CONTENT, 0, "so \xc3\xa4 \\", true, true },
	{ API_CALL_NAME, 0, "f", true, true },
	{ API_CALL_ARGUMENTS, 0, "{\"a\":\"\\u00e4\",", true, true },
	{ API_CALL_ARGUMENTS, 0, "\"b\":[1]}", true, true }, { API_CALL_NAME, 1, "g", true, true },
	{ API_CALL_ARGUMENTS, 1, "", true, true },           { API_REASONING, 0, "wants it.", true, false },
	{ API_CONTENT, 0, "it is.", false, false },
};
/* Nothing is held: what comes after something else is another block. */
static const struct row open[] = {
	{ API_CONTENT, 0, "one", false, false },
	{ API_REASONING, 0, "two", false, false },
	{ API_CONTENT, 0, "three", false, false },
	{ API_CALL_NAME, 0, "f", false, false },
	{ API_CALL_ARGUMENTS, 0, "{\"cut", false, false },
};

/* cut: bytes of a piece at most. */
static struct buf written(enum api_shape shape, bool stream, const struct row *row, size_t rows,
			  const char *why, size_t cut)
{
	const struct api_request asked = { .shape = shape, .stream = stream, .n = 1, .top_p = 1 };
	struct api_answer a = { .facts = { &asked, 17, shape == API_MESSAGES ? "msg_w-7" : "resp_w-7", "m" } };
	struct buf out = { 0 };
	struct err e = { 0 };
	json_t *result = json_pack("{s:[s],s:i,s:i,s:i,s:i,s:s?,s:i,s:i,s:{s:s,s:s}}", "finish_reasons", why,
				   "prompt_tokens", 5, "completion_tokens", 8, "cached_tokens", 4, "reasoning_tokens", 2,
				   "stopped_by", NULL, "ended", 18, "seed", 9, "hallmark", "record", "w/7", "message",
				   "so it is");
	a.prompt_tokens = 5;
	api_answer_begin(&out, &a);
	for (size_t i = 0; i < rows; i++) {
		size_t len = strlen(row[i].text), most = row[i].part == API_CALL_NAME ? len : cut;
		for (size_t at = 0, n = 0; at < len || len == 0; at += n) {
			for (n = len - at < most ? len - at : most; (row[i].text[at + n] & 0xc0) == 0x80;)
				n++; /* no piece ends within a character */
			struct api_piece p = { .part = row[i].part,
					       .call = row[i].call,
					       .call_id = row[i].call ? "id_1" : "id_0",
					       .holds_content = row[i].holds_content,
					       .holds_reasoning = row[i].holds_reasoning };
			p.text = cleared_of(row[i].text + at, n);
			api_answer_piece(&out, &a, &p);
			if (len == 0)
				break;
		}
	}
	cr_assert_eq(api_answer_end(&out, &a, result, &e), 0, "%s", e.text);
	api_answer_free(&a);
	json_decref(result);
	return out;
}

static json_t *parsed(const char *text, size_t len)
{
	json_error_t why;
	json_t *v = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
	cr_assert(v, "%s: %.*s", why.text, (int)len, text);
	return v;
}

/* The list of a stream's events; each is named by its type. */
static json_t *events(const struct buf *b)
{
	json_t *all = json_array();
	for (const char *at = b->bytes, *end; (end = strstr(at, "\n\n")); at = end + 2) {
		if (strncmp(at, "data: [DONE]", 12) == 0)
			continue;
		const char *data = strstr(at, "\ndata: ");
		cr_assert(data && data < end && strncmp(at, "event: ", 7) == 0, "%.80s", at);
		json_t *v = parsed(data + 7, (size_t)(end - data) - 7);
		cr_expect_eq(strncmp(at + 7, json_string_value(json_object_get(v, "type")), (size_t)(data - at) - 7), 0);
		json_array_append_new(all, v);
	}
	return all;
}

static void append(json_t *block, const char *key, const json_t *more)
{
	char text[400];
	snprintf(text, sizeof text, "%s%s", json_string_value(json_object_get(block, key)), json_string_value(more));
	json_object_set_new(block, key, json_string(text));
}

/* The blocks that the events of a message make, by their index. */
static json_t *folded_blocks(const json_t *es)
{
	json_t *blocks = json_array(), *e, *block;
	size_t i;
	json_array_foreach(es, i, e) {
		const char *type = json_string_value(json_object_get(e, "type"));
		json_t *delta = json_object_get(e, "delta");
		block = json_array_get(blocks, (size_t)json_integer_value(json_object_get(e, "index")));
		if (strcmp(type, "content_block_start") == 0)
			json_array_append_new(blocks, json_deep_copy(json_object_get(e, "content_block")));
		if (strcmp(type, "content_block_delta") != 0)
			continue;
		if (json_object_get(delta, "partial_json") && !json_object_get(block, "json"))
			json_object_set_new(block, "json", json_string(""));
		if (json_object_get(delta, "text"))
			append(block, "text", json_object_get(delta, "text"));
		else if (json_object_get(delta, "thinking"))
			append(block, "thinking", json_object_get(delta, "thinking"));
		else if (json_object_get(delta, "signature"))
			append(block, "signature", json_object_get(delta, "signature"));
		else
			append(block, "json", json_object_get(delta, "partial_json"));
	}
	json_array_foreach(blocks, i, block) {
		const char *text = json_string_value(json_object_get(block, "json"));
		json_t *input = text ? json_loads(text, 0, NULL) : NULL;
		if (text)
			json_object_set_new(block, "input",
					    input ? input : json_pack("{s:s}", "INVALID_JSON", text));
		json_object_del(block, "json");
	}
	return blocks;
}

static void expect_equal(const json_t *a, const json_t *b, size_t cut)
{
	cr_expect(json_equal(a, b), "cut %zu: %s %s", cut, json_dumps(a, JSON_COMPACT), json_dumps(b, JSON_COMPACT));
}

static void try_messages(const struct row *row, size_t rows, const char *blocks)
{
	json_t *want = parsed(blocks, strlen(blocks));
	for (size_t cut = 1; cut < 40; cut += cut < 9 ? 1 : 7) {
		struct buf plain = written(API_MESSAGES, false, row, rows, "stop", cut);
		struct buf stream = written(API_MESSAGES, true, row, rows, "stop", cut);
		json_t *whole = parsed(plain.bytes, plain.len), *es = events(&stream), *folded = folded_blocks(es);
		expect_equal(json_object_get(whole, "content"), want, cut);
		expect_equal(folded, want, cut);
		json_t *last = json_array_get(es, json_array_size(es) - 2);
		expect_equal(json_object_get(last, "usage"), json_object_get(whole, "usage"), cut);
		expect_equal(json_object_get(last, "hallmark"), json_object_get(whole, "hallmark"), cut);
		json_decref(whole);
		json_decref(es);
		json_decref(folded);
		buf_free(&plain);
		buf_free(&stream);
	}
	json_decref(want);
}

Test(api_blocks, messages_are_the_same_plain_and_streamed_in_every_cutting)
{
	try_messages(held, sizeof held / sizeof *held,
		     "[{\"type\":\"thinking\",\"thinking\":\"Who \\\"asks\\\"\\nwants it.\",\"signature\":\"msg_w-7\"},"
		     "{\"type\":\"text\",\"text\":\"so \xc3\xa4 \\\\it is.\"},"
		     "{\"type\":\"tool_use\",\"id\":\"id_0\",\"name\":\"f\",\"input\":{\"a\":\"\xc3\xa4\",\"b\":[1]}},"
		     "{\"type\":\"tool_use\",\"id\":\"id_1\",\"name\":\"g\",\"input\":{}}]");
	try_messages(open, sizeof open / sizeof *open,
		     "[{\"type\":\"text\",\"text\":\"one\"},"
		     "{\"type\":\"thinking\",\"thinking\":\"two\",\"signature\":\"msg_w-7\"},"
		     "{\"type\":\"text\",\"text\":\"three\"},"
		     "{\"type\":\"tool_use\",\"id\":\"id_0\",\"name\":\"f\",\"input\":{\"INVALID_JSON\":\"{\\\"cut\"}}]");
}

/* Types and texts of the items of a response. */
static void expect_items(const json_t *response, const char *want)
{
	struct buf got = { 0 };
	const json_t *item;
	size_t i;
	json_array_foreach(json_object_get(response, "output"), i, item) {
		const json_t *part = json_array_get(json_object_get(item, "content"), 0);
		const json_t *text = json_object_get(part ? part : item, part ? "text" : "arguments");
		buf_printf(&got, "%s %s %s|", json_string_value(json_object_get(item, "type")),
			   json_string_value(json_object_get(item, "status")), json_string_value(text));
	}
	cr_expect_str_eq(got.bytes ? got.bytes : "", want);
	buf_free(&got);
}

static void try_responses(const struct row *row, size_t rows, const char *why, const char *items)
{
	for (size_t cut = 1; cut < 40; cut += cut < 9 ? 1 : 7) {
		struct buf plain = written(API_RESPONSES, false, row, rows, why, cut);
		struct buf stream = written(API_RESPONSES, true, row, rows, why, cut);
		json_t *whole = parsed(plain.bytes, plain.len), *es = events(&stream), *e, *done = json_array();
		size_t i, n = json_array_size(es);
		expect_items(whole, items);
		expect_equal(json_object_get(json_array_get(es, n - 1), "response"), whole, cut);
		json_array_foreach(es, i, e) {
			cr_expect_eq(json_integer_value(json_object_get(e, "sequence_number")), (json_int_t)i);
			if (strcmp(json_string_value(json_object_get(e, "type")), "response.output_item.done") == 0)
				json_array_append(done, json_object_get(e, "item"));
		}
		cr_expect_eq(json_array_size(done), json_array_size(json_object_get(whole, "output")));
		cr_expect(strstr(stream.bytes, "\n\ndata: [DONE]\n\n"));
		json_decref(whole);
		json_decref(es);
		json_decref(done);
		buf_free(&plain);
		buf_free(&stream);
	}
}

Test(api_blocks, responses_are_the_same_plain_and_streamed_in_every_cutting)
{
	try_responses(held, sizeof held / sizeof *held, "tool_calls",
		      "reasoning completed Who \"asks\"\nwants it.|message completed so \xc3\xa4 \\it is.|"
		      "function_call completed {\"a\":\"\\u00e4\",\"b\":[1]}|function_call completed |");
	try_responses(open, sizeof open / sizeof *open, "length",
		      "message completed one|reasoning completed two|message completed three|"
		      "function_call incomplete {\"cut|");
	try_responses(open, 1, "content_filter", "message incomplete one|");
	try_responses(open, 0, "stop", "");
}

/* What went wrong is an event of the shape, and the last one. */
Test(api_blocks, failures_are_events_of_their_shape)
{
	struct api_error error = { 503, "so it is", NULL, NULL, NULL };
	const struct api_request messages = { .shape = API_MESSAGES, .stream = true, .n = 1 };
	const struct api_request responses = { .shape = API_RESPONSES, .stream = true, .n = 1 };
	struct api_answer a = { .facts = { &messages, 17, "msg_w-7", "m" } };
	struct api_answer b = { .facts = { &responses, 17, "resp_w-7", "m" } };
	struct buf out = { 0 };
	api_answer_fail(&out, &a, &error);
	cr_expect_str_eq(out.bytes, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":"
				    "\"overloaded_error\",\"message\":\"so it is\"},\"request_id\":null}\n\n");
	buf_clear(&out);
	api_answer_fail(&out, &b, &error);
	json_t *es = events(&out), *last = json_object_get(json_array_get(es, 1), "response");
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(es, 0), "type")), "error");
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(es, 0), "message")), "so it is");
	cr_expect_str_eq(json_string_value(json_object_get(last, "status")), "failed");
	cr_expect_str_eq(json_string_value(json_object_get(json_object_get(last, "error"), "code")), "server_error");
	json_decref(es);
	buf_free(&out);
}
