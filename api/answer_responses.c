/* Answers of POST /v1/responses: a response with a list of items. A stream is text/event-stream;
 * its events are named, and numbered from 0 on:
 *
 *   response.created, response.in_progress
 *   for each item: response.output_item.added, response.content_part.added (text, reasoning),
 *     response.output_text.delta | response.reasoning_text.delta |
 *     response.function_call_arguments.delta ..., the same with .done and the whole text,
 *     response.content_part.done, response.output_item.done
 *   response.completed | response.incomplete with the whole response; "data: [DONE]"
 *   or, where it fails: error, response.failed
 *
 * What the last events repeat is kept until then. The response says again what was asked, as
 * clients expect. Sources: OpenAI API reference, Responses; the Open Responses specification; the
 * types of OpenAI's Python client. */
#include "api/answer.h"
#include "api/request_read.h"
#include "base/json.h"
#include "base/text.h"

#include <string.h>

static void open_event(struct buf *out, struct api_answer *s, const char *name)
{
	buf_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%llu", name, name,
		   (unsigned long long)s->events++);
}

static void close_event(struct buf *out) { buf_add_text(out, "}\n\n"); }

/* ---- items ---- */

/* The id of an item, by the response's and its place: "msg_TAIL_0". */
static void add_id(struct buf *out, const struct api_answer *s, size_t i)
{
	enum api_part part = s->block[i].part;
	buf_printf(out, "\"%s_", part == API_CONTENT ? "msg" : part == API_REASONING ? "rs" : "fc");
	buf_add_text(out, api_id_tail(s->facts.id)); /* letters, digits, "-" */
	buf_printf(out, "_%zu\"", i);
}

/* The part of an item that holds its text. whole: with the text. */
static void add_part(struct buf *out, const struct api_block *b, bool whole)
{
	bool content = b->part == API_CONTENT;
	buf_printf(out, "{\"type\":\"%s\",\"text\":\"", content ? "output_text" : "reasoning_text");
	if (whole)
		api_write_buf(out, &b->text);
	buf_add_byte(out, '"');
	if (content) {
		buf_add_text(out, ",\"annotations\":[],\"logprobs\":[");
		if (whole)
			api_write_buf(out, &b->tokens);
		buf_add_byte(out, ']');
	}
	buf_add_byte(out, '}');
}

/* status: "in_progress": nothing is in it yet. */
static void add_item(struct buf *out, const struct api_answer *s, size_t i, const char *status)
{
	const struct api_block *b = &s->block[i];
	bool whole = strcmp(status, "in_progress") != 0;
	buf_add_text(out, "{\"id\":");
	add_id(out, s, i);
	buf_printf(out, ",\"status\":\"%s\",\"type\":", status);
	if (b->part == API_CALL_NAME) {
		buf_add_text(out, "\"function_call\",\"call_id\":");
		api_write_buf(out, &b->id);
		buf_add_text(out, ",\"name\":\"");
		api_write_buf(out, &b->name);
		buf_add_text(out, "\",\"arguments\":\"");
		if (whole)
			api_write_buf(out, &b->text);
		buf_add_text(out, "\"}");
		return;
	}
	buf_add_text(out, b->part == API_CONTENT ? "\"message\",\"role\":\"assistant\""
						 : "\"reasoning\",\"summary\":[],"
						   "\"encrypted_content\":null");
	buf_add_text(out, ",\"content\":[");
	if (whole)
		add_part(out, b, true);
	buf_add_text(out, "]}");
}

static void open_item_event(struct buf *out, struct api_answer *s, const char *name, size_t i)
{
	open_event(out, s, name);
	buf_printf(out, ",\"output_index\":%zu", i);
}

/* ,"item_id":...,"output_index":N, of texts with "content_index":0 */
static void open_text_event(struct buf *out, struct api_answer *s, const char *name, size_t i)
{
	open_item_event(out, s, name, i);
	buf_add_text(out, ",\"item_id\":");
	add_id(out, s, i);
	if (s->block[i].part != API_CALL_NAME)
		buf_add_text(out, ",\"content_index\":0");
}

static void begin_block(struct buf *out, struct api_answer *s, size_t i)
{
	open_item_event(out, s, "response.output_item.added", i);
	buf_add_text(out, ",\"item\":");
	add_item(out, s, i, "in_progress");
	close_event(out);
	if (s->block[i].part == API_CALL_NAME)
		return;
	open_text_event(out, s, "response.content_part.added", i);
	buf_add_text(out, ",\"part\":");
	add_part(out, &s->block[i], false);
	close_event(out);
}

static void add_delta(struct buf *out, struct api_answer *s, size_t i, const struct api_piece *p)
{
	enum api_part part = s->block[i].part;
	open_text_event(out, s,
			part == API_CONTENT     ? "response.output_text.delta"
			: part == API_REASONING ? "response.reasoning_text.delta"
						: "response.function_call_arguments.delta",
			i);
	buf_add_text(out, ",\"delta\":\"");
	api_write_text(out, &p->text);
	buf_add_byte(out, '"');
	if (part == API_CONTENT) {
		buf_add_text(out, ",\"logprobs\":[");
		api_write_tokens(out, p, false);
		buf_add_byte(out, ']');
	}
	close_event(out);
}

static void end_text(struct buf *out, struct api_answer *s, size_t i)
{
	const struct api_block *b = &s->block[i];
	if (b->part == API_CALL_NAME) {
		open_text_event(out, s, "response.function_call_arguments.done", i);
		buf_add_text(out, ",\"name\":\"");
		api_write_buf(out, &b->name);
		buf_add_text(out, "\",\"arguments\":\"");
		api_write_buf(out, &b->text);
		buf_add_byte(out, '"');
		close_event(out);
		return;
	}
	open_text_event(out, s,
			b->part == API_CONTENT ? "response.output_text.done"
					       : "response.reasoning_text.done",
			i);
	buf_add_text(out, ",\"text\":\"");
	api_write_buf(out, &b->text);
	buf_add_byte(out, '"');
	if (b->part == API_CONTENT) {
		buf_add_text(out, ",\"logprobs\":[");
		api_write_buf(out, &b->tokens);
		buf_add_byte(out, ']');
	}
	close_event(out);
	open_text_event(out, s, "response.content_part.done", i);
	buf_add_text(out, ",\"part\":");
	add_part(out, b, true);
	close_event(out);
}

static void end_block(struct buf *out, struct api_answer *s, size_t i, bool cut)
{
	end_text(out, s, i);
	open_item_event(out, s, "response.output_item.done", i);
	buf_add_text(out, ",\"item\":");
	add_item(out, s, i, cut ? "incomplete" : "completed");
	close_event(out);
}

static const struct api_block_writer blocks = { true, begin_block, add_delta, end_block };

/* ---- what was asked ---- */

static void add_value(struct buf *out, const json_t *v)
{
	struct err e;
	if (json_write(v, 0, out, &e) < 0)
		out->failed = true;
}

/* ,"KEY": of the request as it came, or what stands for nothing. */
static void echo(struct buf *out, const json_t *root, const char *key, const char *otherwise)
{
	const json_t *v = api_read_member(root, key);
	buf_printf(out, ",\"%s\":", key);
	if (v)
		add_value(out, v);
	else
		buf_add_text(out, otherwise);
}

static void echo_tools(struct buf *out, const json_t *root)
{
	const json_t *tool;
	size_t i;
	buf_add_text(out, ",\"tools\":[");
	json_array_foreach((json_t *)api_read_member(root, "tools"), i, tool) {
		buf_printf(out, "%s{\"type\":\"function\"", i ? "," : "");
		echo(out, tool, "name", "\"\"");
		echo(out, tool, "description", "null");
		echo(out, tool, "parameters", "null");
		echo(out, tool, "strict", "false");
		buf_add_byte(out, '}');
	}
	buf_add_byte(out, ']');
}

/* A tool that is named may have been named in chat's form. */
static void echo_choice(struct buf *out, const struct api_request *q)
{
	if (q->tool_choice != API_TOOLS_NAMED) {
		echo(out, q->root, "tool_choice", "\"auto\"");
		return;
	}
	buf_add_text(out, ",\"tool_choice\":{\"type\":\"function\",\"name\":");
	api_write_string(out, q->tool_name);
	buf_add_byte(out, '}');
}

static void echo_forms(struct buf *out, const json_t *root)
{
	const json_t *text = api_read_member(root, "text");
	buf_add_text(out, ",\"text\":{\"format\":");
	const json_t *format = api_read_member(text, "format");
	if (format)
		add_value(out, format);
	else
		buf_add_text(out, "{\"type\":\"text\"}");
	echo(out, text, "verbosity", "\"medium\"");
	const json_t *reasoning = api_read_member(root, "reasoning");
	buf_add_text(out, "},\"reasoning\":{\"effort\":");
	const json_t *effort = api_read_member(reasoning, "effort");
	if (effort)
		add_value(out, effort);
	else
		buf_add_text(out, "null");
	echo(out, reasoning, "summary", "null");
	buf_add_byte(out, '}');
}

static void echo_request(struct buf *out, const struct api_request *q)
{
	const json_t *root = q->root;
	echo(out, root, "instructions", "null");
	echo(out, root, "max_output_tokens", "null");
	echo(out, root, "max_tool_calls", "null");
	echo(out, root, "metadata", "{}");
	echo(out, root, "user", "null");
	echo(out, root, "safety_identifier", "null");
	echo(out, root, "prompt_cache_key", "null");
	echo_tools(out, root);
	echo_choice(out, q);
	echo_forms(out, root);
	buf_printf(out,
		   ",\"parallel_tool_calls\":%s,\"temperature\":%.17g,\"top_p\":%.17g,"
		   "\"presence_penalty\":%.17g,\"frequency_penalty\":%.17g,\"top_logprobs\":%u,"
		   "\"background\":false,\"store\":false,\"previous_response_id\":null,"
		   "\"service_tier\":\"default\",\"truncation\":\"disabled\"",
		   q->one_call ? "false" : "true", q->temperature, q->top_p, q->presence,
		   q->frequency, q->top_logprobs);
}

/* ---- the response ---- */

static void add_usage(struct buf *out, const struct api_ending *end)
{
	buf_printf(out,
		   ",\"usage\":{\"input_tokens\":%llu,\"input_tokens_details\":"
		   "{\"cached_tokens\":%llu,\"cache_write_tokens\":0},\"output_tokens\":%llu,"
		   "\"output_tokens_details\":{\"reasoning_tokens\":%llu},\"total_tokens\":%llu}",
		   (unsigned long long)end->prompt_tokens, (unsigned long long)end->cached_tokens,
		   (unsigned long long)end->completion_tokens,
		   (unsigned long long)end->reasoning_tokens,
		   (unsigned long long)end->prompt_tokens + end->completion_tokens);
}

/* Why the answer is not whole; NULL: it is. */
static const char *incomplete_reason(const struct api_ending *end)
{
	const char *why = json_string_value(json_array_get(end->finish, 0));
	if (why && strcmp(why, "length") == 0)
		return "max_output_tokens";
	return why && strcmp(why, "content_filter") == 0 ? "content_filter" : NULL;
}

static void open_response(struct buf *out, const struct api_answer *s, const char *status)
{
	buf_add_text(out, "{\"id\":");
	api_write_string(out, s->facts.id);
	buf_printf(out, ",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\",\"model\":",
		   (long long)s->facts.created, status);
	api_write_string(out, s->facts.model);
	echo_request(out, s->facts.asked);
}

/* Without an end: none has come. error is the caller's to write, and the brace. */
static void add_unended(struct buf *out, const struct api_answer *s, const char *status)
{
	open_response(out, s, status);
	buf_add_text(out, ",\"completed_at\":null,\"incomplete_details\":null,\"output\":[],"
			  "\"usage\":null");
}

static int add_ended(struct buf *out, const struct api_answer *s, const struct api_ending *end,
		     struct err *e)
{
	const char *why = incomplete_reason(end);
	open_response(out, s, why ? "incomplete" : "completed");
	buf_printf(out, ",\"completed_at\":%lld,\"error\":null,\"incomplete_details\":",
		   (long long)end->ended);
	if (why)
		buf_printf(out, "{\"reason\":\"%s\"}", why);
	else
		buf_add_text(out, "null");
	buf_add_text(out, ",\"output\":[");
	for (size_t i = 0; i < s->blocks; i++) {
		bool cut = why && i + 1 == s->blocks;
		if (i)
			buf_add_byte(out, ',');
		add_item(out, s, i, cut ? "incomplete" : "completed");
	}
	buf_add_byte(out, ']');
	add_usage(out, end);
	TRY(api_write_proof(out, end, e));
	buf_add_byte(out, '}');
	return 0;
}

static void responses_begin(struct buf *out, struct api_answer *s)
{
	static const char *const names[] = { "response.created", "response.in_progress" };
	for (size_t i = 0; s->facts.asked->stream && i < 2; i++) {
		open_event(out, s, names[i]);
		buf_add_text(out, ",\"response\":");
		add_unended(out, s, "in_progress");
		buf_add_text(out, ",\"error\":null}");
		close_event(out);
	}
}

static void responses_piece(struct buf *out, struct api_answer *s, const struct api_piece *piece)
{
	api_blocks_piece(out, s, piece, &blocks);
}

static int responses_end(struct buf *out, struct api_answer *s, const struct api_ending *end,
			 struct err *e)
{
	const char *why = incomplete_reason(end);
	if (!s->facts.asked->stream) {
		TRY(add_ended(out, s, end, e));
		buf_add_byte(out, '\n');
		return buf_done(out, e);
	}
	api_blocks_end(out, s, why != NULL, &blocks);
	open_event(out, s, why ? "response.incomplete" : "response.completed");
	buf_add_text(out, ",\"response\":");
	TRY(add_ended(out, s, end, e));
	close_event(out);
	buf_add_text(out, "data: [DONE]\n\n");
	return buf_done(out, e);
}

static void add_text(struct buf *out, const char *key, const char *text)
{
	buf_printf(out, ",\"%s\":", key);
	if (text && *text)
		api_write_string(out, text);
	else
		buf_add_text(out, "null");
}

/* The words that a response's error may have. */
static const char *failure_code(int status)
{
	return status == 429   ? "rate_limit_exceeded"
	       : status >= 500 ? "server_error"
			       : "invalid_prompt";
}

static void responses_fail(struct buf *out, struct api_answer *s, const struct api_error *error)
{
	const char *code = failure_code(error->status);
	open_event(out, s, "error");
	add_text(out, "code", error->code && *error->code ? error->code : code);
	add_text(out, "message", error->message);
	add_text(out, "param", error->param);
	close_event(out);
	open_event(out, s, "response.failed");
	buf_add_text(out, ",\"response\":");
	add_unended(out, s, "failed");
	buf_printf(out, ",\"error\":{\"code\":\"%s\"", code);
	add_text(out, "message", error->message);
	buf_add_text(out, "}}");
	close_event(out);
}

const struct api_writer api_responses_writer = { responses_begin, responses_piece, responses_end,
						 responses_fail };
