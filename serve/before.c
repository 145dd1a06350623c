/* A completion's prompt is the beginning of what its model writes: who knows half of a number, and
 * has the model write the rest, would get it past rules that read the answer alone. So the stream
 * of the content reads the prompt's end first, as far as a match can reach, and what it clears of
 * that is not sent. A match that begins in the prompt and ends in the answer is withheld as
 * everywhere. What the rules find in the prompt alone is not the answer's fault: there only a block
 * would end the stream, so it begins behind it; unless nothing is written between them, for then
 * the answer goes on with what is blocked. */
#include "base/limits.h"
#include "serve/chat.h"

#include <string.h>

#define BEFORE_MOST (size_t) KIB(4)
#define ECHO_PIECE (size_t) KIB(64)
#define ECHO_MOST 1000u /* findings in each choice: all of them stand in the record */

/* ---- read before the answer ---- */

/* Whether nothing but separators stands there. */
static bool is_gap(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strchr(" \t\r\n.,;:-_/()[]'\"", text[i]) == NULL || !text[i])
			return false;
	return true;
}

/* Where the end of the prompt begins that is as long as a match can be: a whole character. */
static size_t first_of(const struct serve_chat *c)
{
	size_t most = filter_set_hold(serve_rules(c, POLICY_CONTENT), c->steering);
	size_t len = c->echo.len;
	most = most < BEFORE_MOST ? most : BEFORE_MOST;
	size_t at = len > most ? len - most : 0;
	while (at < len && ((unsigned char)c->echo.bytes[at] & 0xc0) == 0x80)
		at++;
	return at;
}

/* Read the prompt from *at on. FILTER_OPEN; or how it was stopped, and *at is where to begin
 * behind that. */
static int read_from(struct serve_chat *c, struct serve_completion *ch, size_t *at, struct err *e)
{
	const char *text = c->echo.bytes;
	struct cleared out;
	TRY(serve_completion_stream(c, POLICY_CONTENT, 0, &ch->content, e));
	if (*at == c->echo.len)
		return FILTER_OPEN;
	int end = filter_stream_push(ch->content, text + *at, c->echo.len - *at, &out, e);
	TRY(end);
	if (end != FILTER_BLOCKED) {
		ch->before = c->echo.len - *at;
		serve_before_drop(ch, &out);
		return end;
	}
	uint64_t seen = filter_stream_record(ch->content)->seen; /* to the end of the block */
	*at += seen ? (size_t)seen : 1;
	*at = *at < c->echo.len ? *at : c->echo.len;
	while (*at < c->echo.len && ((unsigned char)text[*at] & 0xc0) == 0x80)
		++*at;
	return end;
}

static int read_before(struct serve_chat *c, struct serve_completion *ch, struct err *e)
{
	size_t at = first_of(c);
	int end;
	while ((end = read_from(c, ch, &at, e)) == FILTER_BLOCKED) {
		if (is_gap(c->echo.bytes + at, c->echo.len - at))
			break;
		filter_stream_close(ch->content);
		ch->content = NULL;
	}
	TRY(end);
	if (ch->before && ch->tokens.wanted)
		buf_add(&ch->tokens.tops.content, c->echo.bytes + at, (size_t)ch->before);
	if (end != FILTER_OPEN)
		serve_completion_stop(ch, end);
	return buf_done(&ch->tokens.tops.content, e);
}

int serve_before_open(struct serve_chat *c, struct serve_completion *ch, struct err *e)
{
	bool json = serve_content_is_json(c);
	bool reads = c->prompt && !json && filter_set_withholds(serve_rules(c, POLICY_CONTENT));
	if (reads)
		return read_before(c, ch, e);
	return serve_completion_stream(c, POLICY_CONTENT, json ? FILTER_JSON : 0, &ch->content, e);
}

/* How many of the bytes that stand for the source from `from` on are the prompt's. */
static uint64_t prompts_part(const struct filter_record *r, uint64_t from, uint64_t before)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		const struct filter_finding *x = &r->finding[i];
		if (x->action <= FILTER_NOTICE || x->end <= from)
			continue;
		if (x->start >= before)
			break;
		bytes += x->start > from ? x->start - from : 0;
		from = x->end;
		if (x->end > before)
			return bytes; /* what is written in its place is the answer's too */
		bytes += x->replacement_len;
	}
	return from < before ? bytes + (before - from) : bytes;
}

void serve_before_drop(struct serve_completion *ch, struct cleared *text)
{
	if (text->source_begin >= ch->before || text->len == 0)
		return;
	const struct filter_record *r = filter_stream_record(ch->content);
	uint64_t most = text->source_end < ch->before ? text->source_end : ch->before;
	uint64_t drop = prompts_part(r, text->source_begin, most);
	drop = text->source_end <= ch->before || drop > text->len ? text->len : drop;
	text->bytes += drop;
	text->len -= (size_t)drop;
	ch->stop[0].out += drop;
}

/* ---- sent back ---- */

/* FILTER_COMPLETE, or how it was stopped. */
static int push_echo(struct serve_chat *c, struct serve_completion *ch, struct filter_stream *f,
		     struct err *e)
{
	struct cleared out;
	int end = FILTER_OPEN;
	for (size_t at = 0, n; end == FILTER_OPEN && at < c->echo.len; at += n) {
		n = c->echo.len - at < ECHO_PIECE ? c->echo.len - at : ECHO_PIECE;
		TRY(end = filter_stream_push(f, c->echo.bytes + at, n, &out, e));
		TRY(serve_queue_text(&c->queue, ch->index, API_CONTENT, 0, &out, false, e));
		if (filter_stream_record(f)->findings > ECHO_MOST) {
			filter_stream_abort(f);
			return FILTER_LIMIT;
		}
	}
	if (end != FILTER_OPEN)
		return end;
	TRY(end = filter_stream_end(f, &out, e));
	TRY(serve_queue_text(&c->queue, ch->index, API_CONTENT, 0, &out, false, e));
	return end;
}

/* A text of its own: no stop string is looked for in it, and it does not wait for the answer. */
int serve_before_echo(struct serve_chat *c, struct serve_completion *ch, struct err *e)
{
	struct serve_scan where = { .phase = "content", .index = ch->index, .member = "echo" };
	struct filter_stream *f;
	TRY(serve_completion_stream(c, POLICY_CONTENT, 0, &f, e));
	int end = push_echo(c, ch, f, e);
	int rc = end < 0 ? end : serve_notes_add(&ch->notes, &where, filter_stream_record(f), e);
	filter_stream_close(f);
	if (rc == 0 && end != FILTER_COMPLETE && !ch->finish_reason)
		serve_completion_stop(ch, end);
	return rc;
}
