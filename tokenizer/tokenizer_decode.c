/* Ids to bytes, one token after another, so that streaming and whole decoding are the same code. */
#include "tokenizer/tokenizer_in.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* Replace the token by its bytes if all its characters are of the byte-level alphabet; else it
 * stays as it is. */
static int from_levels(struct buf *token)
{
	struct buf out = { 0 };
	for (size_t i = 0; i < token->len;) {
		uint32_t cp;
		int n = text_utf8_decode(token->bytes + i, token->len - i, &cp);
		uint32_t byte = n > 0 ? tokenizer_level_to_byte(cp) : TOKENIZER_NONE;
		if (byte == TOKENIZER_NONE) {
			buf_free(&out);
			return 0;
		}
		buf_add_byte(&out, (unsigned char)byte);
		i += (size_t)n;
	}
	buf_free(token);
	*token = out;
	return 0;
}

static void from_fallback(struct buf *token)
{
	const char *s = token->bytes;
	unsigned value = 0;
	if (token->len != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>')
		return;
	for (int i = 3; i < 5; i++) {
		int c = s[i] | 32, v = s[i] >= '0' && s[i] <= '9' ? s[i] - '0'
				       : c >= 'a' && c <= 'f'     ? c - 'a' + 10
								  : -1;
		if (v < 0)
			return;
		value = value << 4 | (unsigned)v;
	}
	buf_clear(token);
	buf_add_byte(token, (unsigned char)value);
}

static void from_metaspace(const struct step *s, bool first, struct buf *token)
{
	struct buf out = { 0 };
	for (size_t i = 0; i < token->len;) {
		bool here = token->len - i >= s->text.len &&
			    memcmp(token->bytes + i, s->text.bytes, s->text.len) == 0;
		if (!here)
			buf_add_byte(&out, (unsigned char)token->bytes[i]);
		else if (!first || s->prepend == PREPEND_NEVER)
			buf_add_byte(&out, ' ');
		i += here ? s->text.len : 1;
	}
	buf_free(token);
	*token = out;
}

static size_t edge_at_start(const struct step *s, const struct buf *b, uint32_t most,
			    uint32_t *taken)
{
	size_t at = 0;
	for (*taken = 0; *taken < most && b->len - at >= s->text.len; ++*taken, at += s->text.len)
		if (memcmp(b->bytes + at, s->text.bytes, s->text.len) != 0)
			break;
	return at;
}

static void strip_edges(const struct step *s, struct buf *token)
{
	uint32_t taken;
	buf_drop(token, token->len ? edge_at_start(s, token, s->start, &taken) : 0);
	for (uint32_t i = 0; i < s->stop && token->len >= s->text.len; i++) {
		if (memcmp(token->bytes + token->len - s->text.len, s->text.bytes, s->text.len) !=
		    0)
			break;
		token->len -= s->text.len;
	}
}

static int replace_all(const struct step *s, struct buf *token, struct err *e)
{
	struct onig_scratch scratch = { 0 };
	struct buf out = { 0 };
	struct onig_scan scan = { 0 };
	size_t at = 0, begin, end;
	int rc;
	if (!text_utf8_valid(token->bytes,
			     token->len)) /* a byte of a fallback: nothing to find in it */
		return 0;
	while ((rc = onig_next(s->pattern, &scratch, token->bytes, token->len, &scan, &begin, &end,
			       e)) > 0) {
		buf_add(&out, token->bytes + at, begin - at);
		buf_add(&out, s->text.bytes, s->text.len);
		at = end;
	}
	buf_add(&out, token->bytes + at, token->len - at);
	onig_scratch_free(&scratch);
	buf_free(token);
	*token = out;
	return rc;
}

static int decode_step(const struct step *s, const struct tokenizer_decode_state *state,
		       struct buf *token, struct err *e)
{
	switch (s->kind) {
	case STEP_BYTE_LEVEL:
		return from_levels(token);
	case STEP_REPLACE:
		return token->len ? replace_all(s, token, e) : 0;
	case STEP_BYTE_FALLBACK:
		from_fallback(token);
		return 0;
	case STEP_METASPACE:
		from_metaspace(s, state->tokens == 0, token);
		return 0;
	case STEP_STRIP_EDGES:
		strip_edges(s, token);
		return 0;
	default:
		return 0;
	}
}

/* Strip characters from the start of the joined text, wherever token borders lie. */
static void strip_joined(const struct tokenizer *t, struct tokenizer_decode_state *s,
			 struct buf *token)
{
	if (s->open || t->fused + 1 >= t->decoders.count || !token->len)
		return;
	const struct step *strip = &t->decoders.at[t->fused + 1];
	uint32_t taken = 0;
	if (strip->kind == STEP_STRIP_EDGES)
		buf_drop(token, edge_at_start(strip, token, strip->start - s->stripped, &taken));
	s->stripped += taken;
	s->open = token->len > 0 || s->stripped == strip->start;
}

/* The usual case, a byte-level decoder alone: decode directly into out, so that a streamed token
 * allocates nothing. False: not all characters are of the byte-level alphabet, and out is as it
 * was. */
static bool levels_straight(const struct tokenizer *t, uint32_t id, struct buf *out)
{
	const char *token = t->vocab.token[id].bytes;
	size_t len = t->vocab.token[id].len, before = out->len;
	uint32_t cp;
	if (t->decoders.count != 1 || t->decoders.at[0].kind != STEP_BYTE_LEVEL)
		return false;
	for (size_t i = 0; i < len;) {
		int n = text_utf8_decode(token + i, len - i, &cp);
		uint32_t byte = n > 0 ? tokenizer_level_to_byte(cp) : TOKENIZER_NONE;
		if (byte == TOKENIZER_NONE) {
			out->len = before;
			return false;
		}
		buf_add_byte(out, (unsigned char)byte);
		i += (size_t)n;
	}
	return true;
}

int tokenizer_decode_token(const struct tokenizer *t, struct tokenizer_decode_state *s, uint32_t id,
			   bool skip_special, struct buf *out, struct err *e)
{
	struct buf token = { 0 };
	int rc = 0;
	if (id >= t->vocab.ids || !t->vocab.token[id].bytes)
		return err_set(e, ERR_INPUT, "token id %u is not of this tokenizer", id);
	if (skip_special && t->added_of[id] != TOKENIZER_NONE && t->added[t->added_of[id]].special)
		return 0;
	if (levels_straight(t, id, out)) {
		s->tokens++;
		return buf_done(out, e);
	}
	if (t->spaced && s->tokens)
		buf_add_byte(out, ' ');
	buf_add(&token, t->vocab.token[id].bytes, t->vocab.token[id].len);
	for (size_t i = 0; i < t->decoders.count && i <= t->fused && rc == 0 && !token.failed; i++)
		rc = decode_step(&t->decoders.at[i], s, &token, e);
	strip_joined(t, s, &token);
	s->tokens++;
	if (rc == 0 && token.failed)
		rc = err_set(e, ERR_NOMEM, "out of memory for decoding");
	if (rc == 0)
		buf_add(out, token.bytes, token.len);
	buf_free(&token);
	return rc < 0 ? rc : buf_done(out, e);
}
