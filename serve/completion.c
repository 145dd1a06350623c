/* One choice: events -> filters -> queue. Content, reasoning and the arguments of
 * each call are texts of their own, each with the rules of its phase; the streams of content and
 * reasoning last as long as the answer, so that nothing slips through where a part is interrupted.
 * A block in any part ends the choice. */
#include "serve/chat.h"

#include <stdlib.h>
#include <string.h>

int serve_completion_stream(const struct serve_chat *c, enum policy_phase phase, unsigned how,
			    struct filter_stream **out, struct err *e)
{
	return filter_stream_open(out, serve_rules(c, phase),
				  how | c->steering |
					  (serve_shadowed(c) ? FILTER_SHADOW : 0),
				  e);
}

bool serve_content_is_json(const struct serve_chat *c)
{
	const struct api_request *q = &c->request;
	return q->constraint == API_CONSTRAINT_OBJECT || q->constraint == API_CONSTRAINT_SCHEMA;
}

/* A rule blocks: the choice ends where its match begins, and nothing that is held is sent. */
int serve_completion_stop(struct serve_completion *ch, int end)
{
	ch->finish_reason = "content_filter";
	ch->notes.stopped = end;
	serve_completion_abort(ch);
	return end;
}

int serve_completion_open(struct serve_chat *c, struct serve_completion *ch, unsigned index,
			  struct err *e)
{
	ch->index = index;
	ch->tokens.wanted = c->request.logprobs;
	TRY(serve_notes_init(&ch->notes, serve_keeps(serve_chat_profile(c)) != POLICY_FULL, e));
	TRY(serve_before_open(c, ch, e));
	return c->request.echo ? serve_before_echo(c, ch, e) : 0;
}

/* ---- parts ---- */

static struct serve_stop *stop_of(struct serve_completion *ch, enum api_part part)
{
	return &ch->stop[part == API_CONTENT ? 0 : part == API_REASONING ? 1 : 2];
}

/* Whether stop strings are looked for here, and not by the answerer. */
static bool finds_stops(const struct serve_chat *c) { return c->filtered && c->request.stop_count; }

/* Queue what was cleared of a text. last: its end. */
static int put(struct serve_chat *c, struct serve_completion *ch, enum api_part part, bool last,
	       struct cleared *text, struct err *e)
{
	bool tokens = part == API_CONTENT && ch->tokens.wanted;
	if (part == API_CONTENT)
		serve_before_drop(ch, text);
	/* what was held of the reasoning stands before a stop in the answer */
	bool before = part == API_REASONING && last && !stop_of(ch, part)->found;
	if (ch->stopped && !before) {
		text->len = 0;
	} else if (finds_stops(c)) {
		bool counts = ch->steps >= c->request.tokens_min;
		TRY(serve_stop_take(stop_of(ch, part), &c->request, counts, last, text, e));
		if (stop_of(ch, part)->found)
			ch->stopped_by = stop_of(ch, part)->which;
		ch->stopped = ch->stopped || stop_of(ch, part)->found;
	}
	if (text->len || tokens)
		TRY(serve_queue_text(&c->queue, ch->index, part, ch->open_call, text, false, e));
	if (tokens)
		TRY(serve_tokens_release(c, ch, last || ch->stopped, e));
	if (ch->stopped)
		ch->finish_reason = ch->calls ? "tool_calls" : "stop";
	return 0;
}

/* FILTER_OPEN, or how the choice was stopped. */
static int push(struct serve_chat *c, struct serve_completion *ch, struct filter_stream *f,
		enum api_part part, const char *text, size_t len, struct err *e)
{
	struct cleared out;
	if (f == ch->content && ch->tokens.wanted)
		buf_add(&ch->tokens.tops.content, text ? text : "", len);
	int end = filter_stream_push(f, text ? text : "", len, &out, e);
	TRY(end);
	TRY(put(c, ch, part, false, &out, e));
	return end == FILTER_OPEN || ch->stopped ? FILTER_OPEN : serve_completion_stop(ch, end);
}

static int finish(struct serve_chat *c, struct serve_completion *ch, struct filter_stream *f,
		  enum api_part part, struct err *e)
{
	struct cleared out;
	if (!f)
		return FILTER_OPEN;
	if (ch->cut || c->steering)
		filter_stream_cut(f);
	int end = filter_stream_end(f, &out, e);
	TRY(end);
	TRY(put(c, ch, part, true, &out, e));
	return end == FILTER_COMPLETE || ch->stopped ? FILTER_OPEN : serve_completion_stop(ch, end);
}

static int push_content(struct serve_chat *c, struct serve_completion *ch,
			const struct reply_event *v, struct err *e)
{
	serve_tokens_place(&ch->tokens, v->begin, filter_stream_record(ch->content)->seen, v->len);
	return push(c, ch, ch->content, API_CONTENT, v->text, v->len, e);
}

static int push_thought(struct serve_chat *c, struct serve_completion *ch, const char *text,
			size_t len, struct err *e)
{
	if (c->request.hides_reasoning)
		return FILTER_OPEN; /* it goes nowhere */
	if (!ch->thought)
		TRY(serve_completion_stream(c, POLICY_REASONING, 0, &ch->thought, e));
	return push(c, ch, ch->thought, API_REASONING, text, len, e);
}

/* ---- calls ---- */

static int note_arguments(struct serve_completion *ch, struct err *e)
{
	struct serve_scan where = { .phase = "tool_arguments",
				    .index = ch->index,
				    .member = "arguments",
				    .item = ch->open_call };
	int rc = serve_notes_add(&ch->notes, &where, filter_stream_record(ch->arguments), e);
	filter_stream_close(ch->arguments);
	ch->arguments = NULL;
	buf_free(&ch->stop[2].text);
	ch->stop[2] = (struct serve_stop){ 0 };
	return rc;
}

/* End the open call: the rest of its arguments goes through their filter. */
static int end_call(struct serve_chat *c, struct serve_completion *ch, struct err *e)
{
	if (ch->demoted) {
		ch->demoted = false;
		return push(c, ch, ch->content, API_CONTENT, "}", 1, e);
	}
	if (!ch->arguments)
		return FILTER_OPEN;
	int end = finish(c, ch, ch->arguments, API_CALL_ARGUMENTS, e);
	TRY(end);
	TRY(note_arguments(ch, e));
	return end;
}

/* How many calls the conversation had before this answer; *known: one of them, or of this choice,
 * has the id. */
static unsigned calls_before(const struct serve_chat *c, const struct serve_completion *ch,
			     const char *id, bool *known)
{
	const json_t *message, *call;
	size_t i, k, n = 0;
	*known = false;
	json_array_foreach((json_t *)c->messages, i, message) {
		json_array_foreach(json_object_get(message, "tool_calls"), k, call) {
			const char *other = json_string_value(json_object_get(call, "id"));
			*known |= id && other && strcmp(id, other) == 0;
			n++;
		}
	}
	for (i = 0; id && i < ch->open_call; i++)
		*known |= strcmp(id, ch->call[i].id) == 0;
	return (unsigned)n;
}

/* The id of the open call, from the record's number: a replay gives the same ids, and they tell
 * nothing of what was asked. Where ids are of names, it is the one that the model wrote, if it is
 * of the name as it went out. */
static void name_call(const struct serve_chat *c, struct serve_completion *ch, const char *name,
		      size_t len, const char *written)
{
	struct answer_model model = { 0 };
	struct buf b = { 0 };
	char *id = ch->call[ch->open_call].id;
	bool known;
	unsigned before = calls_before(c, ch, written, &known);
	c->service->who->model(c->service->self, &model);
	if (model.ids == REPLY_IDS_FUNCTION && written && !known &&
	    reply_id_names(written, name, len)) {
		snprintf(id, REPLY_ID_BYTES, "%s", written);
		return;
	}
	buf_add_text(&b, serve_chat_name(c));
	buf_add_byte(&b, 0);
	buf_add_u32le(&b, ch->index);
	buf_add_u32le(&b, ch->open_call);
	struct digest d = digest_of(b.bytes ? b.bytes : "", b.len);
	buf_free(&b);
	reply_id_make(model.ids, &d, name, before + ch->open_call, id);
	/* Where templates take any id it has the form of the API that was asked. */
	if (c->request.shape == API_MESSAGES && model.ids == REPLY_IDS_CALL) {
		char hex[65];
		digest_hex(&d, hex);
		snprintf(id, REPLY_ID_BYTES, "toolu_%.24s", hex);
	}
}

/* Filter the whole name of a call, and queue what is cleared of it; the call is called after that.
 * The part that is cleared first is kept until the rest is cleared too. */
static int clear_name(struct serve_chat *c, struct serve_completion *ch, struct filter_stream *f,
		      const struct reply_event *v, struct err *e)
{
	struct cleared first = { 0 }, rest = { 0 };
	struct buf kept = { 0 }, whole = { 0 };
	int end = filter_stream_push(f, v->text, v->len, &first, e);
	if (end == FILTER_OPEN) {
		buf_add(&kept, first.bytes, first.len);
		first.bytes = kept.bytes ? kept.bytes : "";
		end = filter_stream_end(f, &rest, e);
	}
	int rc = kept.failed ? err_set(e, ERR_NOMEM, "out of memory") : end;
	if (rc == FILTER_COMPLETE) {
		buf_add(&whole, first.bytes, first.len);
		buf_add(&whole, rest.bytes, rest.len);
		rc = buf_done(&whole, e);
		name_call(c, ch, whole.bytes ? whole.bytes : "", whole.len, v->id);
	}
	if (rc == 0 && end == FILTER_COMPLETE)
		rc = serve_queue_text(&c->queue, ch->index, API_CALL_NAME, ch->open_call, &first,
				      false, e);
	if (rc == 0 && end == FILTER_COMPLETE)
		rc = serve_queue_text(&c->queue, ch->index, API_CALL_NAME, ch->open_call, &rest,
				      true, e);
	buf_free(&kept);
	buf_free(&whole);
	return rc < 0 ? rc : end;
}

/* Queue the name of a call whole, or end the choice. */
static int put_name(struct serve_chat *c, struct serve_completion *ch, const struct reply_event *v,
		    struct err *e)
{
	struct serve_scan where = { .phase = "tool_arguments",
				    .index = ch->index,
				    .member = "name",
				    .item = ch->open_call };
	struct filter_stream *f;
	TRY(serve_completion_stream(c, POLICY_TOOL_ARGUMENTS, 0, &f, e));
	int end = clear_name(c, ch, f, v, e);
	int rc = end < 0 ? end : serve_notes_add(&ch->notes, &where, filter_stream_record(f), e);
	filter_stream_close(f);
	TRY(rc);
	return end == FILTER_COMPLETE ? FILTER_OPEN : serve_completion_stop(ch, end);
}

/* No tool was offered: the call becomes content, written as JSON. */
static int demote(struct serve_chat *c, struct serve_completion *ch, const char *name, size_t len,
		  struct err *e)
{
	struct buf text = { 0 };
	buf_add_text(&text, "{\"name\": \"");
	buf_add(&text, name, len);
	buf_add_text(&text, "\", \"arguments\": ");
	int rc = buf_done(&text, e);
	if (rc == 0)
		rc = push(c, ch, ch->content, API_CONTENT, text.bytes, text.len, e);
	buf_free(&text);
	ch->demoted = true;
	return rc;
}

static int begin_call(struct serve_chat *c, struct serve_completion *ch,
		      const struct reply_event *v, struct err *e)
{
	int end = end_call(c, ch, e);
	if (end != FILTER_OPEN)
		return end;
	if (!c->request.tools)
		return demote(c, ch, v->text, v->len, e);
	if (c->request.one_call && ch->calls) {
		ch->finish_reason = "tool_calls"; /* one was allowed, and is complete */
		return FILTER_OPEN;
	}
	if (!ch->call)
		ch->call = calloc(SERVE_CALLS, sizeof *ch->call);
	if (!ch->call || ch->calls == SERVE_CALLS)
		return err_set(e, ERR_NOMEM, "out of memory for tool calls");
	ch->open_call = ch->calls++;
	name_call(c, ch, "", 0, NULL); /* should the name be blocked */
	end = put_name(c, ch, v, e);
	TRY(end);
	return end == FILTER_OPEN ? serve_completion_stream(c, POLICY_TOOL_ARGUMENTS, FILTER_JSON,
							    &ch->arguments, e)
				  : end;
}

static int push_arguments(struct serve_chat *c, struct serve_completion *ch, const char *text,
			  size_t len, struct err *e)
{
	if (ch->demoted)
		return push(c, ch, ch->content, API_CONTENT, text, len, e);
	return push(c, ch, ch->arguments, API_CALL_ARGUMENTS, text, len, e);
}

/* ---- steps ---- */

/* What a choice is in, by `demoted`, `arguments` and `finish_reason`:
 *
 *              content, reasoning                 arguments
 *             +------------------+               +---------+
 *             v                  |               v         |
 *      +--> TEXT ----------------+    +-------> CALL ------+
 *      |      |  name, tools offered  |          |  | name: the call ends, the next begins
 *      |      +-----------------------+----------+--+
 *      |      |  name, none offered   +-------> DEMOTED: name and arguments are content
 *      |      +-----------------------+          |
 *      +------- content, reasoning: the call, or its JSON as content, ends
 *
 *   any -- a stop string in what goes out -------> ENDED "stop": nothing behind it goes out
 *   any -- a rule blocks, or a limit ------------> ENDED "content_filter": nothing held goes out
 *   CALL -- a second name where one is allowed --> ENDED "tool_calls"
 *   any -- the answer ends ----------------------> ENDED "length", "tool_calls" or "stop",
 *                                                  after what the filters hold */
static int take_event(struct serve_chat *c, struct serve_completion *ch,
		      const struct reply_event *v, struct err *e)
{
	int end = FILTER_OPEN;
	if ((v->part == REPLY_CONTENT || v->part == REPLY_REASONING) && v->len)
		TRY(end = end_call(c, ch, e));
	if (end != FILTER_OPEN)
		return end;
	switch (v->part) {
	case REPLY_REASONING:
		return push_thought(c, ch, v->text, v->len, e);
	case REPLY_CALL_NAME:
		return begin_call(c, ch, v, e);
	case REPLY_CALL_ARGUMENTS:
		return push_arguments(c, ch, v->text, v->len, e);
	default:
		return push_content(c, ch, v, e);
	}
}

/* Steps between other texts belong to the reasoning that stands there. */
static void count_thought(struct serve_completion *ch, const struct reply_event *v)
{
	if (v->len == 0)
		return;
	if (v->part == REPLY_REASONING) {
		ch->thinks = true;
		return;
	}
	if (ch->thinks && ch->steps > ch->spoken)
		ch->reasoned += ch->steps - 1 - ch->spoken;
	ch->thinks = false;
	ch->spoken = ch->steps;
}

uint32_t serve_completion_reasoned(const struct serve_completion *ch)
{
	return ch->reasoned + (ch->thinks ? ch->steps - ch->spoken : 0);
}

static int take_step(struct serve_chat *c, struct serve_completion *ch,
		     const struct answer_step *step, struct err *e)
{
	TRY(serve_tokens_take(&ch->tokens, step, e));
	for (size_t i = 0; i < step->events && !ch->finish_reason; i++) {
		count_thought(ch, &step->event[i]);
		TRY(take_event(c, ch, &step->event[i], e));
	}
	return 0;
}

/* Release what the filters hold, part by part; a block in one part withholds the rest. */
static int flush(struct serve_chat *c, struct serve_completion *ch, struct err *e)
{
	int end = finish(c, ch, ch->thought, API_REASONING, e);
	TRY(end);
	if (end == FILTER_OPEN)
		TRY(end = end_call(c, ch, e));
	if (end == FILTER_OPEN)
		TRY(finish(c, ch, ch->content, API_CONTENT, e));
	return 0;
}

static int end_choice(struct serve_chat *c, struct serve_completion *ch, enum answer_end how,
		      struct err *e)
{
	if (ch->notes.stopped)
		return 0;
	ch->cut = how == ANSWER_LENGTH;
	TRY(flush(c, ch, e));
	if (!ch->finish_reason)
		ch->finish_reason = how == ANSWER_LENGTH ? "length"
				    : ch->calls          ? "tool_calls"
							 : "stop";
	return 0;
}

int serve_completion_step(struct serve_chat *c, struct serve_completion *ch, struct err *e)
{
	struct answer_step step;
	do {
		TRY(c->service->who->next(c->answer, ch->index, &step, e));
		ch->steps++;
		ch->stopped_by = step.stop ? step.stop : ch->stopped_by;
		TRY(take_step(c, ch, &step, e));
	} while (step.more && !ch->finish_reason);
	if (step.end != ANSWER_GOING || ch->finish_reason)
		return end_choice(c, ch, step.end, e);
	return 0;
}

int serve_completion_note(struct serve_completion *ch, struct err *e)
{
	struct serve_scan where = { .phase = "content", .index = ch->index, .before = ch->before };
	if (ch->arguments)
		TRY(note_arguments(ch, e));
	if (ch->thought) {
		struct serve_scan thought = { .phase = "reasoning", .index = ch->index };
		TRY(serve_notes_add(&ch->notes, &thought, filter_stream_record(ch->thought), e));
	}
	return ch->content
		       ? serve_notes_add(&ch->notes, &where, filter_stream_record(ch->content), e)
		       : 0;
}

bool serve_completion_holds(const struct serve_chat *c, const struct serve_completion *ch,
			    enum api_part part)
{
	const struct filter_stream *f = part == API_CONTENT     ? ch->content
					: part == API_REASONING ? ch->thought
								: NULL;
	const struct serve_stop *stop = &ch->stop[part == API_CONTENT ? 0 : 1];
	if (ch->finish_reason)
		return serve_queue_has(&c->queue, ch->index, part);
	return f && (filter_stream_held(f) > 0 || stop->text.len > stop->given);
}

void serve_completion_abort(struct serve_completion *ch)
{
	struct filter_stream *const stream[] = { ch->content, ch->thought, ch->arguments };
	for (size_t i = 0; i < sizeof stream / sizeof *stream; i++)
		if (stream[i])
			filter_stream_abort(stream[i]);
}

void serve_completion_free(struct serve_completion *ch)
{
	struct filter_stream *const stream[] = { ch->content, ch->thought, ch->arguments };
	for (size_t i = 0; i < sizeof stream / sizeof *stream; i++)
		if (stream[i])
			filter_stream_close(stream[i]);
	for (unsigned i = 0; i < ch->calls; i++) {
		buf_free(&ch->call[i].name);
		buf_free(&ch->call[i].arguments);
	}
	free(ch->call);
	buf_free(&ch->emitted);
	buf_free(&ch->thoughts);
	for (size_t i = 0; i < sizeof ch->stop / sizeof *ch->stop; i++)
		buf_free(&ch->stop[i].text);
	buf_free(&ch->tokens.drawn);
	serve_tops_free(&ch->tokens.tops);
	serve_notes_free(&ch->notes);
}
