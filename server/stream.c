/* A stream is text/event-stream: "data: " JSON "\n\n" for each chunk, ": ping\n\n" into silence,
 * "data: [DONE]\n\n" last. Chunks: one with the role; one for each piece of text; one with
 * finish_reason, seed and the field `hallmark` (record, index, leaf, receipt); with include_usage
 * one more with usage and no choices. A plain answer is one chat.completion object with the same
 * fields. Source: OpenAI API reference, chat completions. */
#include "server/stream.h"
#include "server/reply.h"
#include "base/json.h"
#include "base/text.h"

#include <string.h>

void write_text(struct buf *out, const struct cleared *text)
{
	size_t at = out->len;
	text_json_string(out, text->bytes, text->len);
	if (out->failed)
		return;
	size_t inside =
		out->len - at - 2; /* the caller writes the quotes: a plain answer is one string */
	memmove(out->bytes + at, out->bytes + at + 1, inside);
	out->len -= 2;
	out->bytes[out->len] = 0;
}

static void add_string(struct buf *out, const char *text)
{
	text_json_string(out, text, strlen(text));
}

static void open_object(struct buf *out, const struct stream_facts *f)
{
	buf_add_text(out, f->streams ? "data: {\"id\":" : "{\"id\":");
	add_string(out, f->id);
	buf_printf(out, ",\"object\":\"%s\",\"created\":%lld,\"model\":",
		   f->streams ? "chat.completion.chunk" : "chat.completion", (long long)f->created);
	add_string(out, f->model);
	buf_add_text(out, ",\"choices\":[");
}

static void close_chunk(struct buf *out, const struct stream_facts *f)
{
	buf_add_text(out, f->wants_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

void stream_begin(struct buf *out, const struct stream_facts *f)
{
	open_object(out, f);
	if (!f->streams) {
		buf_add_text(out,
			     "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
		return;
	}
	buf_add_text(out, "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
			  "\"finish_reason\":null}]");
	close_chunk(out, f);
}

void stream_text(struct buf *out, const struct stream_facts *f, const struct cleared *text)
{
	if (!f->streams) {
		write_text(out, text);
		return;
	}
	open_object(out, f);
	buf_add_text(out, "{\"index\":0,\"delta\":{\"content\":\"");
	write_text(out, text);
	buf_add_text(out, "\"},\"finish_reason\":null}]");
	close_chunk(out, f);
}

struct ending {
	const char *finish_reason;
	uint64_t prompt_tokens, completion_tokens;
	const json_t *seed;
	json_t *hallmark;
};

static int read_result(const json_t *result, struct ending *end, struct err *e)
{
	static const char what[] = "result of the chat";
	TRY(json_get_string(result, "finish_reason", &end->finish_reason, what, e));
	TRY(json_get_u64(result, "prompt_tokens", &end->prompt_tokens, what, e));
	TRY(json_get_u64(result, "completion_tokens", &end->completion_tokens, what, e));
	end->seed = json_object_get(result, "seed");
	return json_get_object(result, "hallmark", &end->hallmark, what, e);
}

static void add_usage(struct buf *out, const struct ending *end)
{
	buf_printf(out, "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu}",
		   (unsigned long long)end->prompt_tokens,
		   (unsigned long long)end->completion_tokens,
		   (unsigned long long)end->prompt_tokens + end->completion_tokens);
}

/* ,"seed":...,"hallmark":{...} */
static int add_proof(struct buf *out, const struct ending *end, struct err *e)
{
	if (end->seed) {
		buf_add_text(out, ",\"seed\":");
		TRY(json_write(end->seed, 0, out, e));
	}
	buf_add_text(out, ",\"hallmark\":");
	return json_write(end->hallmark, 0, out, e);
}

static int end_plain(struct buf *out, const struct ending *end, struct err *e)
{
	buf_add_text(out, "\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":");
	add_string(out, end->finish_reason);
	buf_add_text(out, "}],\"usage\":");
	add_usage(out, end);
	TRY(add_proof(out, end, e));
	buf_add_text(out, "}\n");
	return buf_done(out, e);
}

static int end_stream(struct buf *out, const struct stream_facts *f, const struct ending *end,
		      struct err *e)
{
	open_object(out, f);
	buf_add_text(out, "{\"index\":0,\"delta\":{},\"finish_reason\":");
	add_string(out, end->finish_reason);
	buf_add_text(out, "}]");
	TRY(add_proof(out, end, e));
	close_chunk(out, f);
	if (f->wants_usage) {
		open_object(out, f);
		buf_add_text(out, "],\"usage\":");
		add_usage(out, end);
		buf_add_text(out, "}\n\n");
	}
	buf_add_text(out, "data: [DONE]\n\n");
	return buf_done(out, e);
}

int stream_end(struct buf *out, const struct stream_facts *f, const json_t *result, struct err *e)
{
	struct ending end;
	if (read_result(result, &end, e) < 0)
		return err_set(e, ERR_IO, "the chat ended without a result");
	return f->streams ? end_stream(out, f, &end, e) : end_plain(out, &end, e);
}

void stream_fail(struct buf *out, int status, const char *message)
{
	buf_add_text(out, "data: ");
	reply_error_json(out, status, message, NULL);
	buf_add_text(out, "\n\n");
}
