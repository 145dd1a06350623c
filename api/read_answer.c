/* Answers read: what answer.c writes, and what other servers of the same API write.
 *
 *   stream   lines "data: JSON" of chat.completion.chunk or error, each event ended by an empty
 *            line; other fields and lines that begin with ":" are passed over; the last is
 *            "data: [DONE]"
 *   plain    one JSON document: chat.completion or error
 *
 * Sources: OpenAI API reference, chat completions; WHATWG HTML, server-sent events. */
#include "api/reader.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

struct api_reader {
	bool stream, done;
	struct buf line, data; /* not yet ended; of a plain answer data is all of it */
	bool has_data, after_cr;
	struct buf events; /* struct api_event */
	json_t *documents; /* that the events borrow from */
};

int api_reader_open(struct api_reader **out, bool stream, struct err *e)
{
	struct api_reader *r = *out = calloc(1, sizeof *r);
	if (!r)
		return err_set(e, ERR_NOMEM, "out of memory for an answer");
	r->stream = stream;
	return 0;
}

void api_reader_close(struct api_reader *r)
{
	if (!r)
		return;
	buf_free(&r->line);
	buf_free(&r->data);
	buf_free(&r->events);
	json_decref(r->documents);
	free(r);
}

static void add_event(struct api_reader *r, const struct api_event *v)
{
	buf_add(&r->events, v, sizeof *v);
}

static void add_text(struct api_reader *r, struct api_event v, const json_t *text)
{
	v.kind = API_EVENT_TEXT;
	v.text = json_string_value(text);
	v.len = json_string_length(text);
	bool more = v.len || v.part == API_CALL_NAME || json_array_size(v.logprobs);
	if (v.text && more)
		add_event(r, &v);
}

/* ---- choices ---- */

static int read_call(struct api_reader *r, struct api_event v, const json_t *call, size_t place,
		     struct err *e)
{
	const json_t *function = json_object_get(call, "function"), *id;
	const json_t *index = json_object_get(call, "index");
	json_int_t n = index ? json_integer_value(index) : (json_int_t)place;
	if (!json_is_object(function) || n < 0 || n > UINT16_MAX)
		return err_set(e, ERR_INPUT, "answer: a tool call without function or index");
	v.call = (unsigned)n;
	id = json_object_get(call, "id");
	if (json_is_string(json_object_get(function, "name"))) {
		struct api_event name = v;
		name.part = API_CALL_NAME;
		name.call_id = json_is_string(id) ? json_string_value(id) : "";
		add_text(r, name, json_object_get(function, "name"));
	}
	v.part = API_CALL_ARGUMENTS;
	add_text(r, v, json_object_get(function, "arguments"));
	return 0;
}

static int read_choice(struct api_reader *r, const json_t *choice, struct err *e)
{
	const json_t *said = json_object_get(choice, r->stream ? "delta" : "message"), *call;
	json_int_t index = json_integer_value(json_object_get(choice, "index"));
	const json_t *finish = json_object_get(choice, "finish_reason");
	size_t i;
	if (!json_is_object(said) || index < 0 || index >= API_CHOICES)
		return err_set(e, ERR_INPUT, "answer: a choice without text, or over %d",
			       API_CHOICES - 1);
	struct api_event v = { .choice = (unsigned)index, .part = API_REASONING };
	const json_t *thought = json_object_get(said, "reasoning_content");
	add_text(r, v, json_is_string(thought) ? thought : json_object_get(said, "reasoning"));
	struct api_event content = v;
	content.part = API_CONTENT;
	content.logprobs = json_object_get(json_object_get(choice, "logprobs"), "content");
	add_text(r, content, json_object_get(said, "content"));
	json_array_foreach(json_object_get(said, "tool_calls"), i, call)
		TRY(read_call(r, v, call, i, e));
	if (!json_is_string(finish))
		return 0;
	add_event(r, &(struct api_event){ .kind = API_EVENT_FINISH,
					  .choice = (unsigned)index,
					  .finish_reason = json_string_value(finish) });
	return 0;
}

/* ---- documents ---- */

static uint64_t count_of(const json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));
	return n > 0 ? (uint64_t)n : 0;
}

static void read_usage(struct api_reader *r, const json_t *usage)
{
	const json_t *details = json_object_get(usage, "prompt_tokens_details");
	add_event(r, &(struct api_event){ .kind = API_EVENT_USAGE,
					  .prompt_tokens = count_of(usage, "prompt_tokens"),
					  .completion_tokens = count_of(usage, "completion_tokens"),
					  .cached_tokens = count_of(details, "cached_tokens") });
}

/* {"error": {"message", "type", "code"}} as the code that api_error_status would give its status
 * for. */
static int read_error(const json_t *error, struct err *e)
{
	static const struct {
		const char *word; /* a code, or a type */
		int code;
	} known[] = { { "model_not_found", ERR_NOTFOUND },
		      { "invalid_api_key", ERR_DENIED },
		      { "rate_limit_exceeded", ERR_UNAVAILABLE },
		      { "invalid_request_error", ERR_INPUT },
		      { "permission_error", ERR_DENIED },
		      { "authentication_error", ERR_DENIED },
		      { "not_found_error", ERR_NOTFOUND },
		      { "service_unavailable_error", ERR_UNAVAILABLE } };
	const char *type = json_string_value(json_object_get(error, "type"));
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *message = json_string_value(json_object_get(error, "message"));
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if ((code && strcmp(code, known[i].word) == 0) ||
		    (type && strcmp(type, known[i].word) == 0))
			return err_set(e, known[i].code, "%s", message ? message : known[i].word);
	return err_set(e, ERR_IO, "%s", message ? message : "the answer is an error");
}

static int read_document(struct api_reader *r, struct err *e)
{
	json_t *document, *choice;
	size_t i;
	TRY(json_read_written(&document, r->data.bytes ? r->data.bytes : "", r->data.len,
			      LIMIT_REQUEST_BYTES, LIMIT_JSON_DEPTH, e));
	if (json_array_append_new(r->documents, document) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for an answer");
	if (json_is_object(json_object_get(document, "error")))
		return read_error(json_object_get(document, "error"), e);
	if (!json_is_array(json_object_get(document, "choices")))
		return err_set(e, ERR_INPUT, "answer: no list of choices");
	json_array_foreach(json_object_get(document, "choices"), i, choice)
		TRY(read_choice(r, choice, e));
	if (json_is_object(json_object_get(document, "usage")))
		read_usage(r, json_object_get(document, "usage"));
	return 0;
}

/* ---- server-sent events ---- */

static int end_event(struct api_reader *r, struct err *e)
{
	bool has = r->has_data;
	r->has_data = false;
	int rc = 0;
	if (has && r->data.len == 6 && memcmp(r->data.bytes, "[DONE]", 6) == 0)
		r->done = true;
	else if (has)
		rc = read_document(r, e);
	buf_clear(&r->data);
	return rc;
}

static int end_line(struct api_reader *r, struct err *e)
{
	const char *s = r->line.bytes;
	size_t len = r->line.len, skip = 5;
	if (len == 0)
		return end_event(r, e);
	if (len >= 5 && memcmp(s, "data:", 5) == 0) {
		skip += len > 5 && s[5] == ' ';
		if (r->has_data)
			buf_add_byte(&r->data, '\n');
		buf_add(&r->data, s + skip, len - skip);
		r->has_data = true;
	}
	buf_clear(&r->line);
	return buf_done(&r->data, e);
}

static int push_byte(struct api_reader *r, char c, struct err *e)
{
	bool pair = c == '\n' && r->after_cr; /* of \r\n */
	r->after_cr = c == '\r';
	if (pair)
		return 0;
	if (c == '\n' || c == '\r')
		return end_line(r, e);
	buf_add_byte(&r->line, (uint8_t)c);
	return buf_done(&r->line, e);
}

static int begin(struct api_reader *r, struct err *e)
{
	buf_clear(&r->events);
	json_decref(r->documents);
	r->documents = json_array();
	return json_ok(r->documents, e);
}

static int give(struct api_reader *r, const struct api_event **event, size_t *count, struct err *e)
{
	TRY(buf_done(&r->events, e));
	*event = (const void *)r->events.bytes;
	*count = r->events.len / sizeof **event;
	return 0;
}

int api_reader_push(struct api_reader *r, const void *bytes, size_t len,
		    const struct api_event **event, size_t *count, struct err *e)
{
	const char *s = bytes;
	TRY(begin(r, e));
	if (r->line.len + r->data.len + len > LIMIT_REQUEST_BYTES)
		return err_set(e, ERR_INPUT, "answer: an event of over %zu bytes",
			       (size_t)LIMIT_REQUEST_BYTES);
	if (!r->stream)
		buf_add(&r->data, s, len);
	for (size_t i = 0; r->stream && i < len && !r->done; i++)
		TRY(push_byte(r, s[i], e));
	TRY(buf_done(&r->data, e));
	return give(r, event, count, e);
}

int api_reader_end(struct api_reader *r, const struct api_event **event, size_t *count,
		   struct err *e)
{
	TRY(begin(r, e));
	if (r->stream && !r->done)
		return err_set(e, ERR_INPUT, "answer: the stream ended before [DONE]");
	if (!r->stream)
		TRY(read_document(r, e));
	return give(r, event, count, e);
}
