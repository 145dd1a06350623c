/* Log-probabilities without what the filters hide. The answer says where each drawn token and each
 * part stand in its text; the filter releases the content with spans replaced. A token is named
 * only if its bytes lie whole in the content and in a stretch that went out unchanged; so the
 * token's text is text that went out. What else might have stood in its place: tops.c. */
#include "serve/chat.h"

#include <stdlib.h>
#include <string.h>

/* ---- where the drawn tokens lie in the content ---- */

int serve_tokens_take(struct serve_tokens *t, const struct answer_step *step, struct err *e)
{
	t->lost |= step->lost;
	for (size_t i = 0; t->wanted && i < step->places; i++) {
		struct serve_drawn d = { .text = step->place[i] };
		buf_add(&t->drawn, &d, sizeof d);
	}
	return buf_done(&t->drawn, e);
}

/* Tokens up to the end of the run that was placed last. */
static void place_tokens(struct serve_tokens *t)
{
	struct serve_drawn *drawn = (void *)t->drawn.bytes;
	const struct serve_run *run = &t->run;
	for (; t->placed_at < t->drawn.len / sizeof *drawn; t->placed_at++) {
		struct serve_drawn *d = &drawn[t->placed_at];
		uint64_t begin = d->text.begin;
		if (d->text.end > run->source + run->len)
			break; /* its text may still become content */
		d->content = begin < d->text.end && begin >= run->source
				     ? run->content + (begin - run->source)
				     : UINT64_MAX;
	}
}

void serve_tokens_place(struct serve_tokens *t, uint64_t begin, uint64_t content_at, size_t len)
{
	if (!t->wanted || !len)
		return;
	if (t->run.len && t->run.source + t->run.len == begin &&
	    t->run.content + t->run.len == content_at)
		t->run.len += len;
	else
		t->run = (struct serve_run){ .source = begin, .content = content_at, .len = len };
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

/* A text that the rules leave alone is its own cleared form, also where it is less than a
 * character: the filter would write U+FFFD for that. */
static struct cleared itself(const struct answer_token *t, uint64_t begin)
{
	return (struct cleared){
		.bytes = t->text, .len = t->len, .source_begin = begin, .source_end = begin + t->len
	};
}

/* Where a byte of the content stands in what went out of it, of which the first ones did not. */
static uint64_t place_out(const struct filter_record *r, uint64_t before, uint64_t at)
{
	uint64_t out = at - before;
	for (size_t i = 0; i < r->findings && !r->shadow; i++) {
		const struct filter_finding *x = &r->finding[i];
		if (x->action <= FILTER_NOTICE || x->end <= before || x->end > at)
			continue;
		out = out - (x->end - (x->start > before ? x->start : before)) + x->replacement_len;
	}
	return out;
}

static int add_token(struct serve_chat *c, const struct serve_completion *ch, size_t index,
		     uint64_t at, struct err *e)
{
	struct answer_token token[ANSWER_TOP + 1];
	struct buf text = { 0 };
	int rc, count = c->service->who->token(c->answer, ch->index, index, token, &text, e);
	TRY_OUT(count);
	struct cleared t = itself(&token[0], at);
	TRY_OUT(serve_queue_add_token(&c->queue, &t, token[0].logprob,
				      place_out(filter_stream_record(ch->content), ch->before, at),
				      e));
	for (int i = 1; i < count; i++) {
		struct cleared top = itself(&token[i], 0);
		if (serve_tops_shows(&ch->tokens.tops, (unsigned)i - 1))
			TRY_OUT(serve_queue_add_top(&c->queue, &top, token[i].logprob, e));
	}
out:
	buf_free(&text);
	return rc < 0 ? rc : 0;
}

int serve_tokens_release(struct serve_chat *c, struct serve_completion *ch, bool last,
			 struct err *e)
{
	struct serve_tokens *t = &ch->tokens;
	const struct serve_drawn *drawn = (const void *)t->drawn.bytes;
	if (!t->wanted || t->lost || t->drawn_at == t->placed_at)
		return 0;
	const struct filter_record *r = filter_stream_record(ch->content);
	uint64_t given = r->released;
	if (c->filtered && c->request.stop_count && serve_stop_source(&ch->stop[0], r) < given)
		given = serve_stop_source(&ch->stop[0], r);
	for (; t->drawn_at < t->placed_at; t->drawn_at++) {
		const struct serve_drawn *d = &drawn[t->drawn_at];
		if (d->content == UINT64_MAX)
			continue;
		uint64_t end = d->content + (d->text.end - d->text.begin);
		if (end > given)
			break;
		if (!is_untouched(r, d->content, end))
			continue;
		int known = serve_tops_judge(c, ch, t->drawn_at, d->content, last, e);
		TRY(known);
		if (!known)
			break;
		TRY(add_token(c, ch, t->drawn_at, d->content, e));
	}
	return 0;
}
