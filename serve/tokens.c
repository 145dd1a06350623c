/* Log-probabilities without what the filters hide. The session gives text and, beside it, the ids
 * that were drawn; the reply's parser gives parts of that text, the filter releases the content
 * with spans replaced. A token is named only if its bytes lie whole in the content and in a stretch
 * that went out unchanged; so the token's text is text that went out. */
#include "serve/service.h"

#include <stdlib.h>
#include <string.h>

/* ---- where the drawn tokens lie in the text ---- */

/* The text of one token, as it stands after the one before it. */
static int spell(const struct serve_chat *c, const uint32_t *id, size_t at, struct buf *out,
		 struct err *e)
{
	const struct engine *m = c->service->engine;
	bool skip = !c->markers;
	struct buf before = { 0 }, both = { 0 };
	int rc = at ? engine_decode(m, id + at - 1, 1, skip, &before, e) : 0;
	if (rc == 0)
		rc = engine_decode(m, id + at - (at > 0), at > 0 ? 2 : 1, skip, &both, e);
	if (rc == 0 && both.len >= before.len &&
	    (before.len == 0 || memcmp(both.bytes, before.bytes, before.len) == 0))
		buf_add(out, both.bytes + before.len, both.len - before.len);
	else if (rc == 0)
		rc = engine_decode(m, id + at, 1, skip, out, e);
	buf_free(&before);
	buf_free(&both);
	return rc < 0 ? rc : buf_done(out, e);
}

static int spell_new(const struct serve_chat *c, struct serve_completion *ch, struct err *e)
{
	struct serve_tokens *t = &ch->tokens;
	size_t count;
	const uint32_t *id = engine_session_ids(ch->session, &count);
	for (; t->ids < count; t->ids++) {
		size_t before = t->expected.len;
		TRY(spell(c, id, t->ids, &t->expected, e));
		struct serve_drawn d = { .index = t->ids, .begin = t->drawn_end };
		t->drawn_end += t->expected.len - before;
		d.end = t->drawn_end;
		buf_add(&t->drawn, &d, sizeof d);
	}
	return buf_done(&t->drawn, e);
}

int serve_tokens_take(const struct serve_chat *c, struct serve_completion *ch, const char *text,
		      size_t len, struct err *e)
{
	struct serve_tokens *t = &ch->tokens;
	if (!t->wanted || t->lost)
		return 0;
	TRY(spell_new(c, ch, e));
	if (len > t->expected.len || (len && memcmp(t->expected.bytes, text, len) != 0)) {
		t->lost = true;
		return 0;
	}
	buf_drop(&t->expected, len);
	buf_add(&t->source, text, len);
	t->source_end += len;
	return buf_done(&t->source, e);
}

/* ---- where the content lies in the text ---- */

/* A part's text as a run of the session's text that was not yet placed: its beginning, its end, or
 * the first place where it stands. Whichever it is, its bytes are those of the part. */
static bool find(const struct serve_tokens *t, const char *text, size_t len, uint64_t *at)
{
	size_t room = t->source.len;
	const char *s = t->source.bytes, *found = NULL;
	if (len == 0 || len > room)
		return false;
	if (memcmp(s, text, len) == 0)
		found = s;
	else if (memcmp(s + room - len, text, len) == 0)
		found = s + room - len;
	else
		found = memmem(s, room, text, len);
	if (found)
		*at = t->source_at + (uint64_t)(found - s);
	return found != NULL;
}

/* Tokens up to the end of the run that was placed last. */
static void place_tokens(struct serve_tokens *t)
{
	struct serve_drawn *drawn = (void *)t->drawn.bytes;
	const struct serve_run *run = &t->run;
	for (; t->placed_at < t->drawn.len / sizeof *drawn; t->placed_at++) {
		struct serve_drawn *d = &drawn[t->placed_at];
		if (d->end > run->source + run->len)
			break; /* its text may still become content */
		d->content = d->begin < d->end && d->begin >= run->source
				     ? run->content + (d->begin - run->source)
				     : UINT64_MAX;
	}
}

void serve_tokens_place(struct serve_completion *ch, bool content, const char *text, size_t len)
{
	struct serve_tokens *t = &ch->tokens;
	uint64_t at;
	if (!t->wanted || t->lost)
		return;
	uint64_t content_at = t->content_end;
	t->content_end += content ? len : 0;
	if (!find(t, text, len, &at))
		return;
	buf_drop(&t->source, (size_t)(at + len - t->source_at));
	t->source_at = at + len;
	if (!content)
		return;
	if (t->run.len && t->run.source + t->run.len == at &&
	    t->run.content + t->run.len == content_at)
		t->run.len += len;
	else
		t->run = (struct serve_run){ .source = at, .content = content_at, .len = len };
	place_tokens(t);
}

/* ---- which of them may be named ---- */

static bool is_untouched(const struct filter_record *r, uint64_t begin, uint64_t end)
{
	for (size_t i = 0; i < r->findings && !r->shadow; i++)
		if (r->finding[i].action > FILTER_NOTICE && r->finding[i].start < end &&
		    begin < r->finding[i].end)
			return false;
	return true;
}

/* Whether the rules leave the text of a token alone when it stands by itself. */
static int scan_alone(struct serve_chat *c, const struct buf *text, struct err *e)
{
	struct filter_stream *f;
	struct cleared out;
	TRY(filter_stream_open(&f, serve_rules(c->service, POLICY_OUTPUT),
			       serve_shadowed(c->service), e));
	int end = filter_stream_push(f, text->bytes ? text->bytes : "", text->len, &out, e);
	if (end == FILTER_OPEN)
		end = filter_stream_end(f, &out, e);
	bool fine = end == FILTER_COMPLETE && is_untouched(filter_stream_record(f), 0, UINT64_MAX);
	filter_stream_close(f);
	return end < 0 ? end : fine;
}

/* Looked at once a chat and id. */
static int is_clear(struct serve_chat *c, uint32_t id, const struct buf *text, struct err *e)
{
	enum { UNKNOWN, CLEAR, HIDDEN };
	if (serve_rules(c->service, POLICY_OUTPUT) == c->service->none)
		return 1;
	if (!c->known_tokens)
		c->known_tokens = calloc(engine_info(c->service->engine)->vocab, 1);
	if (!c->known_tokens)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (c->known_tokens[id] == UNKNOWN) {
		int fine = scan_alone(c, text, e);
		TRY(fine);
		c->known_tokens[id] = fine ? CLEAR : HIDDEN;
	}
	return c->known_tokens[id] == CLEAR;
}

/* A text that the rules leave alone is its own cleared form, also where it is less than a
 * character: the filter would write U+FFFD for that. */
static struct cleared itself(const char *bytes, size_t len, uint64_t begin)
{
	return (struct cleared){ .bytes = bytes ? bytes : "",
				 .len = len,
				 .source_begin = begin,
				 .source_end = begin + len };
}

static int add_top(struct serve_chat *c, uint32_t id, float logprob, struct err *e)
{
	struct buf text = { 0 };
	int rc = engine_decode(c->service->engine, &id, 1, false, &text, e);
	if (rc == 0)
		rc = is_clear(c, id, &text, e);
	if (rc > 0) {
		struct cleared t = itself(text.bytes, text.len, 0);
		rc = serve_queue_add_top(&c->queue, &t, logprob, e);
	}
	buf_free(&text);
	return rc;
}

static int add_token(struct serve_chat *c, const struct serve_completion *ch,
		     const struct serve_drawn *d, uint64_t at, struct err *e)
{
	size_t count;
	const uint32_t *id = engine_session_ids(ch->session, &count);
	const struct engine_logprob *all = engine_session_logprobs(ch->session);
	struct buf text = { 0 };
	int rc = spell(c, id, d->index, &text, e);
	if (rc == 0 && all) {
		const struct engine_logprob *p = &all[d->index];
		struct cleared t = itself(text.bytes, text.len, at);
		rc = serve_queue_add_token(&c->queue, &t, p->logprob, e);
		for (uint32_t i = 0; rc == 0 && i < p->top_count; i++)
			rc = add_top(c, p->top_id[i], p->top[i], e);
	}
	buf_free(&text);
	return rc;
}

int serve_tokens_release(struct serve_chat *c, struct serve_completion *ch, struct err *e)
{
	struct serve_tokens *t = &ch->tokens;
	const struct serve_drawn *drawn = (const void *)t->drawn.bytes;
	if (!t->wanted || t->lost || t->drawn_at == t->placed_at)
		return 0;
	const struct filter_record *r = filter_stream_record(ch->content);
	for (; t->drawn_at < t->placed_at; t->drawn_at++) {
		const struct serve_drawn *d = &drawn[t->drawn_at];
		if (d->content == UINT64_MAX)
			continue;
		uint64_t end = d->content + (d->end - d->begin);
		if (end > r->released)
			break;
		if (is_untouched(r, d->content, end))
			TRY(add_token(c, ch, d, d->content, e));
	}
	return 0;
}

void serve_tokens_free(struct serve_tokens *t)
{
	buf_free(&t->drawn);
	buf_free(&t->source);
	buf_free(&t->expected);
}
