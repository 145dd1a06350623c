/* Answers written and read again: whole and streamed, in every cutting. */
#include "api/reader.h"
#include "api/writer.h"

#include <criterion/criterion.h>
#include <string.h>

static struct cleared cleared_of(const char *s) { return (struct cleared){ .bytes = s, .len = strlen(s) }; }

struct row {
	unsigned choice;
	enum api_part part;
	unsigned call;
	const char *text, *id;
};
static const struct row rows[] = {
	{ 0, API_REASONING, 0, "hm \"1\"\n", NULL },   { 0, API_CONTENT, 0, "so \xc3\xa4 \\", NULL },
	{ 1, API_CONTENT, 0, "other", NULL },          { 0, API_CALL_NAME, 0, "f", "call_0" },
	{ 0, API_CALL_ARGUMENTS, 0, "{\"a\":", NULL }, { 0, API_CALL_ARGUMENTS, 0, "\"\\u0000\"}", NULL },
	{ 0, API_CALL_NAME, 1, "g", "call_1" },        { 0, API_CALL_ARGUMENTS, 1, "{}", NULL },
};

/* The answer that these rows are, as bytes. */
static struct buf written(bool stream)
{
	const struct api_request asked = { .stream = stream, .include_usage = true, .logprobs = true, .n = 2 };
	struct api_answer a = { .facts = { &asked, 17, "chatcmpl-w-7", "m" } };
	struct buf out = { 0 };
	struct err e = { 0 };
	json_t *result = json_pack("{s:[s,s],s:i,s:i,s:i,s:i,s:i,s:{s:s,s:i}}", "finish_reasons", "tool_calls",
				   "stop", "prompt_tokens", 5, "completion_tokens", 8, "cached_tokens", 4,
				   "reasoning_tokens", 2,
				   "seed", 9, "hallmark", "record", "w/7", "index", 3);
	api_answer_begin(&out, &a);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct api_token token = { cleared_of(rows[i].text), -0.5F, NULL, 0, 0 };
		struct api_piece p = { .choice = rows[i].choice,
				       .part = rows[i].part,
				       .call = rows[i].call,
				       .call_id = rows[i].id,
				       .text = cleared_of(rows[i].text) };
		if (p.part == API_CONTENT)
			p.token = &token, p.token_count = 1;
		api_answer_piece(&out, &a, &p);
	}
	cr_assert_eq(api_answer_end(&out, &a, result, &e), 0, "%s", e.text);
	api_answer_free(&a);
	json_decref(result);
	return out;
}

/* Events of one choice as text: reasoning<content>name#call@id(arguments). */
static void hear(struct buf heard[API_CHOICES], const struct api_event *v, size_t count)
{
	for (size_t i = 0; i < count; i++, v++) {
		struct buf *b = &heard[v->choice];
		if (v->kind == API_EVENT_FINISH)
			buf_printf(b, "=%s", v->finish_reason);
		else if (v->kind == API_EVENT_USAGE)
			buf_printf(b, "+%d+%d+%d", (int)v->prompt_tokens, (int)v->completion_tokens,
				   (int)v->cached_tokens);
		else if (v->part == API_CALL_NAME)
			buf_printf(b, "[%.*s#%u@%s]", (int)v->len, v->text, v->call, v->call_id);
		else
			buf_add(b, v->text, v->len);
		if (v->kind == API_EVENT_TEXT && v->part == API_CONTENT)
			cr_expect_eq(json_array_size(v->logprobs), 1);
	}
}

static int read_all(bool stream, const char *text, size_t len, size_t piece, struct buf heard[API_CHOICES],
		    struct err *e)
{
	struct api_reader *r;
	const struct api_event *event;
	size_t count;
	int rc = api_reader_open(&r, stream, e);
	for (size_t at = 0; at < len && rc == 0; at += piece) {
		rc = api_reader_push(r, text + at, piece < len - at ? piece : len - at, &event, &count, e);
		if (rc == 0)
			hear(heard, event, count);
	}
	if (rc == 0)
		rc = api_reader_end(r, &event, &count, e);
	if (rc == 0)
		hear(heard, event, count);
	api_reader_close(r);
	return rc;
}

Test(api_answer, what_is_written_is_read_again_in_every_cutting)
{
	static const char *const first =
		"hm \"1\"\nso \xc3\xa4 \\[f#0@call_0]{\"a\":\"\\u0000\"}[g#1@call_1]{}"
		"=tool_calls+5+8+4";
	for (int stream = 0; stream < 2; stream++) {
		struct buf text = written(stream);
		for (size_t piece = 1; piece <= text.len; piece = piece < 40 ? piece + 1 : piece * 2) {
			struct buf heard[API_CHOICES] = { { 0 } };
			struct err e = { 0 };
			cr_assert_eq(read_all(stream, text.bytes, text.len, piece, heard, &e), 0, "%s",
				     e.text);
			cr_expect_str_eq(heard[0].bytes, first, "pieces of %zu", piece);
			cr_expect_str_eq(heard[1].bytes, "other=stop");
			buf_free(&heard[0]);
			buf_free(&heard[1]);
		}
		buf_free(&text);
	}
}

Test(api_answer, errors_come_back_with_their_code_and_message)
{
	static const struct {
		int status, code;
		const char *word;
	} errors[] = { { 400, ERR_INPUT, "invalid_value" },
		       { 401, ERR_DENIED, "invalid_api_key" },
		       { 403, ERR_DENIED, NULL },
		       { 404, ERR_NOTFOUND, "model_not_found" },
		       { 429, ERR_UNAVAILABLE, "rate_limit_exceeded" },
		       { 503, ERR_UNAVAILABLE, NULL },
		       { 500, ERR_IO, NULL } };
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct buf plain = { 0 }, streamed = written(true), heard[API_CHOICES] = { { 0 } };
		struct err e = { 0 };
		streamed.len -= strlen("data: [DONE]\n\n");
		struct api_error error = { errors[i].status, "so it is", errors[i].word, "model", NULL };
		api_error_json(&plain, API_CHAT, &error);
		struct api_request asked = { .shape = API_CHAT, .stream = true };
		struct api_answer a = { .facts = { .asked = &asked } };
		api_answer_fail(&streamed, &a, &error);
		cr_expect_eq(read_all(false, plain.bytes, plain.len, 7, heard, &e), errors[i].code);
		cr_expect_str_eq(e.text, "so it is");
		cr_expect_eq(read_all(true, streamed.bytes, streamed.len, 7, heard, &e), errors[i].code);
		cr_expect_str_eq(e.text, "so it is");
		buf_free(&plain);
		buf_free(&streamed);
		buf_free(&heard[0]);
		buf_free(&heard[1]);
	}
}

Test(api_answer, errors_of_messages_are_in_their_own_form)
{
	static const struct {
		int status;
		const char *type;
	} errors[] = { { 400, "invalid_request_error" }, { 401, "authentication_error" },
		       { 403, "permission_error" },      { 404, "not_found_error" },
		       { 405, "invalid_request_error" }, { 413, "request_too_large" },
		       { 429, "rate_limit_error" },      { 500, "api_error" },
		       { 503, "overloaded_error" },      { 529, "overloaded_error" } };
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
		struct buf out = { 0 };
		char want[160];
		struct api_error error = { .status = errors[i].status,
					   .message = "so \"it\" is",
					   .code = "not shown",
					   .request_id = i ? "msg_w-1" : NULL };
		snprintf(want, sizeof want,
			 "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"so \\\"it\\\" is\"}"
			 ",\"request_id\":%s}",
			 errors[i].type, i ? "\"msg_w-1\"" : "null");
		api_error_json(&out, API_MESSAGES, &error);
		cr_expect_str_eq(out.bytes, want);
		buf_free(&out);
	}
}

Test(api_answer, streams_of_others_are_read_and_what_is_no_answer_is_refused)
{
	static const struct {
		bool stream;
		int code;
		const char *text, *heard;
	} answers[] = {
		{ true, 0,
		  ": ping\r\n\r\nevent: x\r\ndata:{\"choices\":\r\n"
		  "data: [{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[1]}}]}\r\n\r\n"
		  "data: [DONE]\r\n\r\n",
		  "a" },
		{ true, 0,
		  "data: {\"choices\":[{\"delta\":{\"content\":null},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
		  "=stop" },
		{ true, ERR_INPUT, "data: {\"choices\":[]}\n\n", "" }, /* cut off */
		{ true, ERR_INPUT, "data: {\"choices\":[]\n\ndata: [DONE]\n\n", "" },
		{ true, ERR_INPUT, "data: {\"choices\":[{\"index\":8,\"delta\":{}}]}\n\ndata: [DONE]\n\n",
		  "" },
		{ true, ERR_INPUT, "data: {\"choices\":[{\"index\":0}]}\n\ndata: [DONE]\n\n", "" },
		{ true, ERR_INPUT,
		  "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{}]}}]}\n\ndata: [DONE]\n\n", "" },
		{ false, ERR_INPUT, "", "" },
		{ false, ERR_INPUT, "[]", "" },
		{ false, 0,
		  "{\"choices\":[{\"index\":0,\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"i\",\"function\":"
		  "{\"name\":\"f\",\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}",
		  "[f#0@i]{}=tool_calls" },
	};
	for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
		struct buf heard[API_CHOICES] = { { 0 } };
		struct err e = { 0 };
		cr_expect_eq(read_all(answers[i].stream, answers[i].text, strlen(answers[i].text), 3, heard,
				      &e),
			     answers[i].code, "row %zu: %s", i, e.text);
		cr_expect_str_eq(heard[0].bytes ? heard[0].bytes : "", answers[i].heard, "row %zu", i);
		buf_free(&heard[0]);
	}
}

/* ---- requests ---- */

#define HI "\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi \\u00e4\"}]"
#define TOOLS \
	"\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}]"

Test(api_request, written_request_is_read_as_the_same)
{
	static const char *const requests[] = {
		"{" HI "}",
		"{" HI
		",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"temperature\":0,\"seed\":0}",
		"{" HI
		",\"n\":3,\"top_p\":0.5,\"min_p\":0.1,\"top_k\":7,\"max_tokens\":9,\"min_tokens\":2}",
		"{" HI ",\"frequency_penalty\":0.5,\"presence_penalty\":-1,\"repetition_penalty\":1.5}",
		"{" HI
		",\"stop\":[\"a\",\"b\"],\"bad_words\":[\"c\"],\"logit_bias\":{\"5\":-100,\"2\":1.5}}",
		"{" HI ",\"logprobs\":true,\"top_logprobs\":4,\"ignore_eos\":true}",
		"{" HI "," TOOLS ",\"tool_choice\":\"required\",\"parallel_tool_calls\":false}",
		"{" HI "," TOOLS ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}}",
		"{" HI "," TOOLS ",\"tool_choice\":\"none\"}",
		"{" HI ",\"response_format\":{\"type\":\"json_object\"}}",
		"{" HI ",\"guided_json\":{\"type\":\"string\"}}",
		"{" HI ",\"guided_regex\":\"[a-z]\"}",
		"{" HI ",\"guided_choice\":[\"a\",\"b\"]}",
		"{" HI ",\"guided_grammar\":\"root ::= \\\"a\\\"\"}",
		"{" HI ",\"chat_template_kwargs\":{\"enable_thinking\":true}}",
		"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":"
		"\"\",\"reasoning_content\":\"hm\",\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\","
		"\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}}]},"
		"{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"y\"}]}",
	};
	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
		struct api_request a = { 0 }, b = { 0 };
		struct buf first = { 0 }, second = { 0 };
		struct err e = { 0 };
		cr_assert_eq(api_request_parse(API_CHAT, requests[i], strlen(requests[i]), &a, &e), 0, "%zu: %s", i,
			     e.text);
		cr_assert_eq(api_request_write(&a, &first, &e), 0, "%zu: %s", i, e.text);
		cr_assert_eq(api_request_parse(API_CHAT, first.bytes, first.len, &b, &e), 0, "%zu: %s", i, e.text);
		cr_assert_eq(api_request_write(&b, &second, &e), 0, "%zu: %s", i, e.text);
		cr_expect_str_eq(first.bytes, second.bytes);
		cr_expect(json_equal(a.messages, b.messages), "%zu: %s", i, first.bytes);
		cr_expect(!a.tools == !b.tools && (!a.tools || json_equal(a.tools, b.tools)));
		cr_expect(a.stream == b.stream && a.include_usage == b.include_usage && a.n == b.n &&
				  a.temperature == b.temperature && a.top_p == b.top_p &&
				  a.min_p == b.min_p && a.top_k == b.top_k && a.frequency == b.frequency &&
				  a.presence == b.presence && a.repetition == b.repetition &&
				  a.tokens_max == b.tokens_max && a.tokens_min == b.tokens_min &&
				  a.ignore_eos == b.ignore_eos && a.logprobs == b.logprobs &&
				  a.top_logprobs == b.top_logprobs && a.has_seed == b.has_seed &&
				  a.seed == b.seed && a.stop_count == b.stop_count &&
				  a.ban_count == b.ban_count && a.bias_count == b.bias_count &&
				  a.constraint == b.constraint && (!a.tools || a.tool_choice == b.tool_choice) &&
				  a.one_call == b.one_call && !a.template_kwargs == !b.template_kwargs,
			  "%zu: %s", i, first.bytes);
		for (size_t k = 0; k < a.bias_count; k++)
			cr_expect(a.bias[k].id == b.bias[k].id && a.bias[k].bias == b.bias[k].bias);
		cr_expect(
			a.constraint_text.len == b.constraint_text.len &&
			(!a.constraint_text.len || memcmp(a.constraint_text.bytes, b.constraint_text.bytes,
							  a.constraint_text.len) == 0));
		buf_free(&first);
		buf_free(&second);
		api_request_free(&a);
		api_request_free(&b);
	}
}

/* Written whole and as a stream, the first call alone, in the form of those who ask with "functions". */
Test(api_answer, calls_of_functions_and_counts_of_every_chunk_have_their_form)
{
	for (int stream = 0; stream < 2; stream++) {
		const struct api_request asked = {
			.stream = stream, .include_usage = true, .usage_each = true, .n = 1, .old_calls = true
		};
		struct api_answer a = { .facts = { &asked, 17, "chatcmpl-w-7", "m" }, .prompt_tokens = 5 };
		json_t *result = json_pack("{s:[s],s:i,s:i,s:i,s:i,s:i,s:{s:s}}", "finish_reasons", "tool_calls",
					   "prompt_tokens", 5, "completion_tokens", 8, "cached_tokens", 4,
					   "reasoning_tokens", 0, "seed",
					   9, "hallmark", "record", "w/7");
		static const char *const texts[] = { "f", "{\"a\":", "1}" };
		struct buf out = { 0 };
		struct err e = { 0 };
		api_answer_begin(&out, &a);
		for (unsigned i = 0; i < 3; i++) {
			struct api_piece p = { .part = i ? API_CALL_ARGUMENTS : API_CALL_NAME,
					       .call_id = "call_0",
					       .text = cleared_of(texts[i]) };
			a.completion_tokens = i + 1;
			api_answer_piece(&out, &a, &p);
		}
		cr_assert_eq(api_answer_end(&out, &a, result, &e), 0, "%s", e.text);
		static const char *const whole[] = {
			"\"content\":null,\"refusal\":null,\"function_call\":{\"name\":\"f\",\"arguments\":"
			"\"{\\\"a\\\":1}\"}}",
			"\"finish_reason\":\"function_call\"",
		};
		static const char *const chunks[] = {
			"\"delta\":{\"function_call\":{\"name\":\"f\",\"arguments\":\"\"}}",
			"\"delta\":{\"function_call\":{\"arguments\":\"{\\\"a\\\":\"}}",
			"\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":0,\"total_tokens\":5}}\n",
			"\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7}}\n",
			"\"finish_reason\":\"function_call\"}],\"seed\":9",
			"\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":8,\"total_tokens\":13}}\n",
			"\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":8,\"total_tokens\":13,",
		};
		const char *const *part = stream ? chunks : whole;
		size_t parts = stream ? sizeof chunks / sizeof *chunks : sizeof whole / sizeof *whole;
		for (size_t i = 0; i < parts; i++)
			cr_expect(strstr(out.bytes, part[i]) != NULL, "%s\nin %s", part[i], out.bytes);
		cr_expect(!strstr(out.bytes, "tool_calls"), "%s", out.bytes);
		api_answer_free(&a);
		json_decref(result);
		buf_free(&out);
	}
}
