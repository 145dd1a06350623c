/* The queue of cleared pieces. One step of the engine may give several pieces of several parts, and
 * a filter's slice lives only until its next call: so bytes are copied in, and slices of the copy
 * handed out one by one. */
#include "serve/completion.h"

#include <string.h>

static void *last_of(struct buf *b, size_t size) { return b->bytes + b->len - size; }

static struct serve_queue_span add_span(struct serve_queue *q, const struct cleared *text)
{
	struct serve_queue_span s = { .at = q->text.len,
				      .len = text->len,
				      .begin = text->source_begin,
				      .end = text->source_end };
	buf_add(&q->text, text->bytes, text->len);
	return s;
}

/* Drop what has been handed out. */
static void forget(struct serve_queue *q)
{
	buf_clear(&q->text);
	buf_clear(&q->items);
	buf_clear(&q->tokens);
	buf_clear(&q->tops);
	q->item_at = q->token_at = q->top_at = 0;
}

int serve_queue_text(struct serve_queue *q, unsigned choice, enum api_part part, unsigned call,
		     const struct cleared *text, bool more, struct err *e)
{
	if (q->item_at * sizeof(struct serve_queue_item) == q->items.len)
		forget(q);
	if (more && q->items.len) {
		struct serve_queue_item *item = last_of(&q->items, sizeof *item);
		struct serve_queue_span added = add_span(q, text);
		item->span.len += added.len;
		item->span.end = added.end;
		return buf_done(&q->text, e);
	}
	struct serve_queue_item item = { .choice = choice, .part = part, .call = call };
	item.span = add_span(q, text);
	buf_add(&q->items, &item, sizeof item);
	TRY(buf_done(&q->text, e));
	return buf_done(&q->items, e);
}

int serve_queue_add_token(struct serve_queue *q, const struct cleared *text, float logprob,
			  uint64_t out, struct err *e)
{
	struct serve_queue_token t = { .logprob = logprob, .out = out };
	struct serve_queue_item *item = last_of(&q->items, sizeof *item);
	t.span = add_span(q, text);
	buf_add(&q->tokens, &t, sizeof t);
	item->token_count++;
	TRY(buf_done(&q->text, e));
	return buf_done(&q->tokens, e);
}

int serve_queue_add_top(struct serve_queue *q, const struct cleared *text, float logprob,
			struct err *e)
{
	struct serve_queue_top t = { .logprob = logprob };
	struct serve_queue_token *token = last_of(&q->tokens, sizeof *token);
	t.span = add_span(q, text);
	buf_add(&q->tops, &t, sizeof t);
	token->top_count++;
	TRY(buf_done(&q->text, e));
	return buf_done(&q->tops, e);
}

static struct cleared slice(const struct serve_queue *q, const struct serve_queue_span *s)
{
	return (struct cleared){ .bytes = q->text.bytes ? q->text.bytes + s->at : "",
				 .len = s->len,
				 .source_begin = s->begin,
				 .source_end = s->end };
}

static int take_tokens(struct serve_queue *q, size_t count, struct api_piece *out, struct err *e)
{
	const struct serve_queue_token *token = (const void *)q->tokens.bytes;
	const struct serve_queue_top *top = (const void *)q->tops.bytes;
	size_t tops = 0;
	buf_clear(&q->out_tokens);
	buf_clear(&q->out_tops);
	for (size_t i = 0; i < count; i++)
		tops += token[q->token_at + i].top_count;
	for (size_t i = 0; i < tops; i++) {
		const struct serve_queue_top *t = &top[q->top_at + i];
		struct api_alternative a = { slice(q, &t->span), t->logprob };
		buf_add(&q->out_tops, &a, sizeof a);
	}
	const struct api_alternative *at = (const void *)q->out_tops.bytes;
	for (size_t i = 0; i < count && !q->out_tops.failed; i++) {
		const struct serve_queue_token *t = &token[q->token_at + i];
		struct api_token o = { slice(q, &t->span), t->logprob, t->top_count ? at : NULL,
				       t->top_count, t->out };
		buf_add(&q->out_tokens, &o, sizeof o);
		at += t->top_count;
	}
	q->token_at += count;
	q->top_at += tops;
	out->token = (const void *)q->out_tokens.bytes;
	out->token_count = count;
	TRY(buf_done(&q->out_tops, e));
	return buf_done(&q->out_tokens, e);
}

int serve_queue_take(struct serve_queue *q, struct api_piece *out, struct err *e)
{
	if (q->item_at * sizeof(struct serve_queue_item) == q->items.len)
		return 0;
	const struct serve_queue_item *item =
		(const struct serve_queue_item *)(const void *)q->items.bytes + q->item_at++;
	*out = (struct api_piece){ .choice = item->choice,
				   .part = item->part,
				   .call = item->call,
				   .text = slice(q, &item->span) };
	if (item->token_count)
		TRY(take_tokens(q, item->token_count, out, e));
	return 1;
}

bool serve_queue_has(const struct serve_queue *q, unsigned choice, enum api_part part)
{
	const struct serve_queue_item *item = (const void *)q->items.bytes;
	size_t count = q->items.len / sizeof *item;
	for (size_t i = q->item_at; i < count; i++)
		if (item[i].choice == choice && item[i].part == part)
			return true;
	return false;
}

void serve_queue_free(struct serve_queue *q)
{
	buf_free(&q->text);
	buf_free(&q->items);
	buf_free(&q->tokens);
	buf_free(&q->tops);
	buf_free(&q->out_tokens);
	buf_free(&q->out_tops);
}
