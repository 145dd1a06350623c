/* Answers of POST /v1/messages: a message with a list of blocks. A stream is text/event-stream with
 * named events: message_start, ping, {content_block_start, content_block_delta ...,
 * content_block_stop} for each block, message_delta with stop_reason, usage and `hallmark`,
 * message_stop. The signature of a block of thinking is the message's id: clients send it back, and
 * drop blocks that have none. Source: Anthropic API reference, Messages and streaming. */
#include "api/answer.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"

#include <string.h>

static void open_event(struct buf *out, const char *name)
{
	buf_printf(out, "event: %s\ndata: {\"type\":\"%s\"", name, name);
}

static void close_event(struct buf *out) { buf_add_text(out, "}\n\n"); }

/* ---- the message ---- */

/* Tokens that were computed before count as read from the cache, not as input. */
static void add_usage(struct buf *out, uint64_t prompt, uint64_t cached, uint64_t completion,
		      uint64_t thought)
{
	buf_printf(out,
		   "{\"input_tokens\":%llu,\"cache_creation_input_tokens\":0,"
		   "\"cache_read_input_tokens\":%llu,\"output_tokens\":%llu,"
		   "\"output_tokens_details\":{\"thinking_tokens\":%llu}}",
		   (unsigned long long)(prompt > cached ? prompt - cached : 0),
		   (unsigned long long)cached, (unsigned long long)completion,
		   (unsigned long long)thought);
}

static void open_message(struct buf *out, const struct api_answer_facts *f)
{
	buf_add_text(out, "{\"id\":");
	api_write_string(out, f->id);
	buf_add_text(out, ",\"type\":\"message\",\"role\":\"assistant\",\"model\":");
	api_write_string(out, f->model);
	buf_add_text(out, ",\"content\":[");
}

static void messages_begin(struct buf *out, struct api_answer *s)
{
	if (!s->facts.asked->stream)
		return;
	open_event(out, "message_start");
	buf_add_text(out, ",\"message\":");
	open_message(out, &s->facts);
	buf_add_text(out, "],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":");
	add_usage(out, s->prompt_tokens, 0, 0, 0);
	buf_add_byte(out, '}');
	close_event(out);
	open_event(out, "ping");
	close_event(out);
}

/* ---- blocks ---- */

static void begin_block(struct buf *out, struct api_answer *s, size_t i)
{
	const struct api_block *b = &s->block[i];
	open_event(out, "content_block_start");
	buf_printf(out, ",\"index\":%zu,\"content_block\":{\"type\":", i);
	if (b->part == API_CONTENT) {
		buf_add_text(out, "\"text\",\"text\":\"\"}");
	} else if (b->part == API_REASONING) {
		buf_add_text(out, "\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
	} else {
		buf_add_text(out, "\"tool_use\",\"id\":");
		api_write_buf(out, &b->id);
		buf_add_text(out, ",\"name\":\"");
		api_write_buf(out, &b->name);
		buf_add_text(out, "\",\"input\":{}}");
	}
	close_event(out);
}

static void open_delta(struct buf *out, size_t i, const char *type, const char *key)
{
	open_event(out, "content_block_delta");
	buf_printf(out, ",\"index\":%zu,\"delta\":{\"type\":\"%s\",\"%s\":", i, type, key);
}

static void add_delta(struct buf *out, struct api_answer *s, size_t i, const struct api_piece *p)
{
	const struct api_block *b = &s->block[i];
	if (p->text.len == 0)
		return;
	if (b->part == API_CONTENT)
		open_delta(out, i, "text_delta", "text");
	else if (b->part == API_REASONING)
		open_delta(out, i, "thinking_delta", "thinking");
	else
		open_delta(out, i, "input_json_delta", "partial_json");
	buf_add_byte(out, '"');
	api_write_text(out, &p->text);
	buf_add_text(out, "\"}");
	close_event(out);
}

static void end_block(struct buf *out, struct api_answer *s, size_t i, bool cut)
{
	(void)cut;
	if (s->block[i].part == API_REASONING) {
		open_delta(out, i, "signature_delta", "signature");
		api_write_string(out, s->facts.id);
		buf_add_byte(out, '}');
		close_event(out);
	}
	open_event(out, "content_block_stop");
	buf_printf(out, ",\"index\":%zu", i);
	close_event(out);
}

static const struct api_block_writer blocks = { false, begin_block, add_delta, end_block };

static void messages_piece(struct buf *out, struct api_answer *s, const struct api_piece *piece)
{
	api_blocks_piece(out, s, piece, &blocks);
}

/* The arguments of a call as the object that they are; of what is none, such as the arguments of a
 * call that was cut off, an object that holds the text. */
static int add_input(struct buf *out, const struct buf *text, struct err *e)
{
	struct buf quoted = { 0 };
	struct err why;
	json_t *string = NULL, *value = NULL;
	buf_add_byte(&quoted, '"');
	api_write_buf(&quoted, text);
	buf_add_byte(&quoted, '"');
	int rc = buf_done(&quoted, e);
	if (rc == 0) /* the text that this inside of a string stands for */
		rc = json_ok(string = json_loadb(quoted.bytes, quoted.len,
						 JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL),
			     e);
	size_t len = json_string_length(string);
	if (rc == 0 && len == 0)
		buf_add_text(out, "{}");
	else if (rc == 0 &&
		 json_read_as(&value, json_string_value(string), len, LIMIT_REQUEST_BYTES,
			      LIMIT_REQUEST_DEPTH, JSON_WIDE, &why) == 0 &&
		 json_is_object(value))
		buf_add(out, json_string_value(string), len);
	else if (rc == 0)
		buf_printf(out, "{\"INVALID_JSON\":%s}", quoted.bytes);
	json_decref(value);
	json_decref(string);
	buf_free(&quoted);
	return rc;
}

static int add_block(struct buf *out, const struct api_answer *s, const struct api_block *b,
		     struct err *e)
{
	if (b->part == API_CONTENT) {
		buf_add_text(out, "{\"type\":\"text\",\"text\":\"");
		api_write_buf(out, &b->text);
		buf_add_text(out, "\"}");
		return 0;
	}
	if (b->part == API_REASONING) {
		buf_add_text(out, "{\"type\":\"thinking\",\"thinking\":\"");
		api_write_buf(out, &b->text);
		buf_add_text(out, "\",\"signature\":");
		api_write_string(out, s->facts.id);
		buf_add_byte(out, '}');
		return 0;
	}
	buf_add_text(out, "{\"type\":\"tool_use\",\"id\":");
	api_write_buf(out, &b->id);
	buf_add_text(out, ",\"name\":\"");
	api_write_buf(out, &b->name);
	buf_add_text(out, "\",\"input\":");
	TRY(add_input(out, &b->text, e));
	buf_add_byte(out, '}');
	return 0;
}

/* ---- the end ---- */

static const char *stop_reason(const struct api_ending *end)
{
	static const char *const words[][2] = { { "length", "max_tokens" },
						{ "tool_calls", "tool_use" },
						{ "content_filter", "refusal" } };
	const char *why = json_string_value(json_array_get(end->finish, 0));
	for (size_t i = 0; why && i < sizeof words / sizeof *words; i++)
		if (strcmp(why, words[i][0]) == 0)
			return words[i][1];
	return end->stopped_by ? "stop_sequence" : "end_turn";
}

/* "stop_reason":...,"stop_sequence":...,"stop_details":... */
static void add_stop(struct buf *out, const struct api_ending *end)
{
	const char *reason = stop_reason(end);
	const char *why = json_string_value(json_object_get(end->hallmark, "message"));
	buf_printf(out, "\"stop_reason\":\"%s\",\"stop_sequence\":", reason);
	if (strcmp(reason, "stop_sequence") == 0)
		api_write_string(out, end->stopped_by);
	else
		buf_add_text(out, "null");
	if (strcmp(reason, "refusal") != 0) {
		buf_add_text(out, ",\"stop_details\":null");
		return;
	}
	buf_add_text(out, ",\"stop_details\":{\"type\":\"refusal\",\"category\":null,"
			  "\"explanation\":");
	if (why)
		api_write_string(out, why);
	else
		buf_add_text(out, "null");
	buf_add_byte(out, '}');
}

/* ,"usage":{...},"seed":...,"hallmark":{...} */
static int add_proof(struct buf *out, const struct api_ending *end, struct err *e)
{
	buf_add_text(out, ",\"usage\":");
	add_usage(out, end->prompt_tokens, end->cached_tokens, end->completion_tokens,
		  end->reasoning_tokens);
	return api_write_proof(out, end, e);
}

static int end_stream(struct buf *out, struct api_answer *s, const struct api_ending *end,
		      struct err *e)
{
	api_blocks_end(out, s, false, &blocks);
	open_event(out, "message_delta");
	buf_add_text(out, ",\"delta\":{");
	add_stop(out, end);
	buf_add_byte(out, '}');
	TRY(add_proof(out, end, e));
	close_event(out);
	open_event(out, "message_stop");
	close_event(out);
	return buf_done(out, e);
}

static int messages_end(struct buf *out, struct api_answer *s, const struct api_ending *end,
			struct err *e)
{
	if (s->facts.asked->stream)
		return end_stream(out, s, end, e);
	open_message(out, &s->facts);
	for (size_t i = 0; i < s->blocks; i++) {
		if (i)
			buf_add_byte(out, ',');
		TRY(add_block(out, s, &s->block[i], e));
	}
	buf_add_text(out, "],");
	add_stop(out, end);
	TRY(add_proof(out, end, e));
	buf_add_text(out, "}\n");
	return buf_done(out, e);
}

static void messages_fail(struct buf *out, struct api_answer *s, const struct api_error *error)
{
	buf_add_text(out, "event: error\ndata: ");
	api_error_json(out, s->facts.asked->shape, error);
	buf_add_text(out, "\n\n");
}

const struct api_writer api_messages_writer = { messages_begin, messages_piece, messages_end,
						messages_fail };
