/* Answers that are lists of blocks: which block a piece belongs to, and when one is whole. They
 * stand in the order in which they began: reasoning, text, calls, as the model wrote them. */
#include "api/answer.h"

#include <stdlib.h>
#include <string.h>

static bool is_call(enum api_part part)
{
	return part == API_CALL_NAME || part == API_CALL_ARGUMENTS;
}

static bool is_held(const struct api_block *b, const struct api_piece *p)
{
	return (b->part == API_CONTENT && p->holds_content) ||
	       (b->part == API_REASONING && p->holds_reasoning);
}

static void close_block(struct buf *out, struct api_answer *s, size_t i, bool cut,
			const struct api_block_writer *w)
{
	s->block[i].open = false;
	if (s->facts.asked->stream)
		w->end(out, s, i, cut);
}

/* The open block that the piece goes on with, or SIZE_MAX. */
static size_t find_open(const struct api_answer *s, const struct api_piece *p)
{
	enum api_part part = is_call(p->part) ? API_CALL_NAME : p->part;
	for (size_t i = s->blocks; i-- > 0 && p->part != API_CALL_NAME;)
		if (s->block[i].open && s->block[i].part == part)
			return i;
	return SIZE_MAX;
}

/* A new block; SIZE_MAX: without memory, and out has failed. */
static size_t begin_block(struct buf *out, struct api_answer *s, const struct api_piece *p,
			  const struct api_block_writer *w)
{
	size_t i = s->blocks;
	/* one more, in steps that double */
	if ((i & (i - 1)) == 0) {
		struct api_block *grown = reallocarray(s->block, i ? 2 * i : 1, sizeof *s->block);
		if (!grown) {
			out->failed = true;
			return SIZE_MAX;
		}
		s->block = grown;
	}
	struct api_block *b = &s->block[s->blocks++];
	*b = (struct api_block){ .part = is_call(p->part) ? API_CALL_NAME : p->part, .open = true };
	if (p->part == API_CALL_NAME) {
		api_write_text(&b->name, &p->text);
		api_write_string(&b->id, p->call_id ? p->call_id : "");
	}
	out->failed |= b->name.failed || b->id.failed;
	if (s->facts.asked->stream)
		w->begin(out, s, i);
	return i;
}

static void add_piece(struct buf *out, struct api_answer *s, size_t i, const struct api_piece *p,
		      const struct api_block_writer *w)
{
	struct api_block *b = &s->block[i];
	bool stream = s->facts.asked->stream;
	if (p->part == API_CALL_NAME)
		return;
	if (!stream || w->keeps) {
		api_write_text(&b->text, &p->text);
		api_write_tokens(&b->tokens, p, b->tokens.len > 0);
		out->failed |= b->text.failed || b->tokens.failed;
	}
	if (stream)
		w->delta(out, s, i, p);
}

void api_blocks_piece(struct buf *out, struct api_answer *s, const struct api_piece *p,
		      const struct api_block_writer *w)
{
	if (p->text.len == 0 && p->token_count == 0 && p->part != API_CALL_NAME)
		return;
	size_t at = find_open(s, p);
	for (size_t i = 0; i < s->blocks; i++)
		if (i != at && s->block[i].open && !is_held(&s->block[i], p))
			close_block(out, s, i, false, w);
	if (at == SIZE_MAX)
		at = begin_block(out, s, p, w);
	if (at != SIZE_MAX)
		add_piece(out, s, at, p, w);
}

void api_blocks_end(struct buf *out, struct api_answer *s, bool cut,
		    const struct api_block_writer *w)
{
	for (size_t i = 0; i < s->blocks; i++)
		if (s->block[i].open)
			close_block(out, s, i, cut && i + 1 == s->blocks, w);
}

size_t api_blocks_kept(const struct api_answer *s)
{
	size_t n = s->blocks * sizeof *s->block;
	for (size_t i = 0; i < s->blocks; i++) {
		const struct api_block *b = &s->block[i];
		n += b->text.len + b->tokens.len + b->name.len + b->id.len;
	}
	return n;
}

void api_blocks_free(struct api_answer *s)
{
	for (size_t i = 0; i < s->blocks; i++) {
		buf_free(&s->block[i].text);
		buf_free(&s->block[i].tokens);
		buf_free(&s->block[i].name);
		buf_free(&s->block[i].id);
	}
	free(s->block);
	s->block = NULL;
	s->blocks = 0;
}
