/* A stream is text/event-stream: "data: " JSON "\n\n" for each chunk, ": ping\n\n" into silence,
 * "data: [DONE]\n\n" last. Chunks: one with the role for each choice; one for each piece of
 * text, of reasoning, or of a tool call; one with the finish_reason of every choice, seed and
 * the field `hallmark` (record, index, leaf, receipt); with include_usage one more with usage
 * and no choices. A plain answer is one chat.completion object with the same fields. Sources:
 * OpenAI API reference, chat completions; reasoning_content as DeepSeek's API spells it,
 * reasoning as OpenRouter and vLLM do: clients read one of them, so both are given. */
#include "api/answer.h"
#include "base/json.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

/* ---- log-probabilities ---- */

/* {"token":"...","logprob":x,"bytes":[...] without the brace that closes it. Minus infinity is
 * written as -9999.0, as OpenAI does. */
static void open_token(struct buf *out, const struct cleared *text, float logprob)
{
	buf_add_text(out, "{\"token\":\"");
	api_write_text(out, text);
	buf_printf(out, "\",\"logprob\":%.9g,\"bytes\":[",
		   isfinite(logprob) ? (double)logprob : -9999.0);
	for (size_t i = 0; i < text->len; i++)
		buf_printf(out, "%s%u", i ? "," : "", (unsigned)(unsigned char)text->bytes[i]);
	buf_add_byte(out, ']');
}

void api_write_tokens(struct buf *out, const struct api_piece *p, bool more)
{
	for (size_t i = 0; i < p->token_count; i++) {
		const struct api_token *t = &p->token[i];
		if (i || more)
			buf_add_byte(out, ',');
		open_token(out, &t->text, t->logprob);
		buf_add_text(out, ",\"top_logprobs\":[");
		for (size_t k = 0; k < t->top_count; k++) {
			if (k)
				buf_add_byte(out, ',');
			open_token(out, &t->top[k].text, t->top[k].logprob);
			buf_add_byte(out, '}');
		}
		buf_add_text(out, "]}");
	}
}

/* ---- chunks ---- */

static void open_object(struct buf *out, const struct api_answer_facts *f)
{
	bool stream = f->asked->stream;
	buf_add_text(out, stream ? "data: {\"id\":" : "{\"id\":");
	api_write_string(out, f->id);
	buf_printf(out, ",\"object\":\"%s\",\"created\":%lld,\"model\":",
		   stream ? "chat.completion.chunk" : "chat.completion", (long long)f->created);
	api_write_string(out, f->model);
	buf_add_text(out, ",\"choices\":[");
}

static void chat_begin(struct buf *out, struct api_answer *s)
{
	const struct api_request *asked = s->facts.asked;
	for (unsigned i = 0; asked->stream && i < asked->n; i++) {
		open_object(out, &s->facts);
		buf_printf(out,
			   "{\"index\":%u,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
			   "\"finish_reason\":null}]",
			   i);
		api_write_chunk_end(out, s);
	}
}

/* Of a call, as those who ask with "functions" read it. */
static void add_old_call(struct buf *out, const struct api_piece *p)
{
	bool name = p->part == API_CALL_NAME;
	buf_printf(out, "\"function_call\":{\"%s\":\"", name ? "name" : "arguments");
	api_write_text(out, &p->text);
	buf_add_text(out, name ? "\",\"arguments\":\"\"}" : "\"}");
}

/* The members of a delta. */
static void add_delta(struct buf *out, const struct api_piece *p)
{
	switch (p->part) {
	case API_CONTENT:
		buf_add_text(out, "\"content\":\"");
		break;
	case API_REASONING:
		buf_add_text(out, "\"reasoning_content\":\"");
		api_write_text(out, &p->text);
		buf_add_text(out, "\",\"reasoning\":\"");
		break;
	case API_CALL_NAME:
		buf_printf(out, "\"tool_calls\":[{\"index\":%u,\"id\":", p->call);
		api_write_string(out, p->call_id);
		buf_add_text(out, ",\"type\":\"function\",\"function\":{\"name\":\"");
		break;
	case API_CALL_ARGUMENTS:
		buf_printf(out, "\"tool_calls\":[{\"index\":%u,\"function\":{\"arguments\":\"",
			   p->call);
		break;
	}
	api_write_text(out, &p->text);
	buf_add_text(out, p->part == API_CALL_NAME        ? "\",\"arguments\":\"\"}}]"
			  : p->part == API_CALL_ARGUMENTS ? "\"}}]"
							  : "\"");
}

static void add_chunk(struct buf *out, const struct api_answer *s, const struct api_piece *p)
{
	const struct api_request *asked = s->facts.asked;
	bool call = p->part == API_CALL_NAME || p->part == API_CALL_ARGUMENTS;
	open_object(out, &s->facts);
	buf_printf(out, "{\"index\":%u,\"delta\":{", p->choice);
	if (call && asked->old_calls)
		add_old_call(out, p);
	else
		add_delta(out, p);
	buf_add_byte(out, '}');
	if (asked->logprobs && p->part == API_CONTENT) {
		buf_add_text(out, ",\"logprobs\":{\"content\":[");
		api_write_tokens(out, p, false);
		buf_add_text(out, "],\"refusal\":null}");
	}
	buf_add_text(out, ",\"finish_reason\":null}]");
	api_write_chunk_end(out, s);
}

/* ---- what a plain answer keeps ---- */

static void keep_piece(struct api_answer_choice *c, const struct api_piece *p)
{
	switch (p->part) {
	case API_CONTENT:
		api_write_text(&c->content, &p->text);
		api_write_tokens(&c->tokens, p, c->tokens.len > 0);
		break;
	case API_REASONING:
		api_write_text(&c->reasoning, &p->text);
		break;
	case API_CALL_NAME:
		buf_add_text(&c->calls, c->calls.len ? "\"}},{\"id\":" : "{\"id\":");
		api_write_string(&c->calls, p->call_id);
		buf_add_text(&c->calls, ",\"type\":\"function\",\"function\":{\"name\":\"");
		api_write_text(&c->calls, &p->text);
		buf_add_text(&c->calls, "\",\"arguments\":\"");
		break;
	case API_CALL_ARGUMENTS:
		api_write_text(&c->calls, &p->text);
		break;
	}
}

static void chat_piece(struct buf *out, struct api_answer *s, const struct api_piece *piece)
{
	if (piece->text.len == 0 && piece->token_count == 0 && piece->part != API_CALL_NAME)
		return;
	if (s->facts.asked->stream)
		add_chunk(out, s, piece);
	else
		keep_piece(&s->choice[piece->choice], piece);
}

/* ---- the end ---- */

static int add_finish(struct buf *out, const struct api_answer_facts *f,
		      const struct api_ending *end, unsigned i, struct err *e)
{
	const json_t *why = json_array_get(end->finish, i);
	const char *word = json_string_value(why);
	buf_add_text(out, ",\"finish_reason\":");
	if (f->asked->old_calls && word && strcmp(word, "tool_calls") == 0) {
		buf_add_text(out, "\"function_call\"");
		return 0;
	}
	return json_write(why, 0, out, e);
}

/* What is kept of the calls: the arguments of the last are open. */
static void add_calls(struct buf *out, const struct api_answer *s, const struct buf *calls)
{
	const char *inside = strstr(calls->bytes, "\"function\":");
	if (!s->facts.asked->old_calls || !inside) {
		buf_add_text(out, ",\"tool_calls\":[");
		api_write_buf(out, calls);
		buf_add_text(out, "\"}}]");
		return;
	}
	buf_add_text(out, ",\"function_call\":");
	buf_add_text(out, inside + strlen("\"function\":"));
	buf_add_text(out, "\"}");
}

/* content is null where there is a call and no text. */
static int add_choice(struct buf *out, const struct api_answer *s, const struct api_ending *end,
		      unsigned i, struct err *e)
{
	const struct api_answer_choice *c = &s->choice[i];
	bool null = c->content.len == 0 && c->calls.len > 0;
	buf_printf(out, "%s{\"index\":%u,\"message\":{\"role\":\"assistant\",\"content\":%s",
		   i ? "," : "", i, null ? "null" : "\"");
	api_write_buf(out, &c->content);
	buf_add_text(out, null ? ",\"refusal\":null" : "\",\"refusal\":null");
	if (c->reasoning.len) {
		buf_add_text(out, ",\"reasoning_content\":\"");
		api_write_buf(out, &c->reasoning);
		buf_add_text(out, "\",\"reasoning\":\"");
		api_write_buf(out, &c->reasoning);
		buf_add_byte(out, '"');
	}
	if (c->calls.len)
		add_calls(out, s, &c->calls);
	buf_add_text(out, "},\"logprobs\":");
	if (s->facts.asked->logprobs) {
		buf_add_text(out, "{\"content\":[");
		api_write_buf(out, &c->tokens);
		buf_add_text(out, "],\"refusal\":null}");
	} else {
		buf_add_text(out, "null");
	}
	TRY(add_finish(out, &s->facts, end, i, e));
	buf_add_byte(out, '}');
	return 0;
}

static int end_plain(struct buf *out, const struct api_answer *s, const struct api_ending *end,
		     struct err *e)
{
	open_object(out, &s->facts);
	for (unsigned i = 0; i < s->facts.asked->n; i++)
		TRY(add_choice(out, s, end, i, e));
	buf_add_text(out, "],\"usage\":");
	api_write_usage(out, end);
	TRY(api_write_proof(out, end, e));
	buf_add_text(out, "}\n");
	return buf_done(out, e);
}

static int end_stream(struct buf *out, struct api_answer *s, const struct api_ending *end,
		      struct err *e)
{
	const struct api_answer_facts *f = &s->facts;
	s->prompt_tokens = end->prompt_tokens;
	s->completion_tokens = end->completion_tokens;
	open_object(out, f);
	for (unsigned i = 0; i < f->asked->n; i++) {
		buf_printf(out, "%s{\"index\":%u,\"delta\":{}", i ? "," : "", i);
		TRY(add_finish(out, f, end, i, e));
		buf_add_byte(out, '}');
	}
	buf_add_byte(out, ']');
	TRY(api_write_proof(out, end, e));
	api_write_chunk_end(out, s);
	if (f->asked->include_usage) {
		open_object(out, f);
		buf_add_text(out, "],\"usage\":");
		api_write_usage(out, end);
		buf_add_text(out, "}\n\n");
	}
	buf_add_text(out, "data: [DONE]\n\n");
	return buf_done(out, e);
}

static int chat_end(struct buf *out, struct api_answer *s, const struct api_ending *end,
		    struct err *e)
{
	return s->facts.asked->stream ? end_stream(out, s, end, e) : end_plain(out, s, end, e);
}

const struct api_writer api_chat_writer = { chat_begin, chat_piece, chat_end, api_write_failure };
