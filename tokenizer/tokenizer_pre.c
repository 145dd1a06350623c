/* Pre-tokenizers: each cuts the pieces made by the one before it, and sees each piece as a text of
 * its own. */
#include "tokenizer/tokenizer_in.h"

#include "base/unicode.h"

#include <stdlib.h>
#include <string.h>

void tokenizer_pieces_free(struct pieces *p)
{
	buf_free(&p->text);
	free(p->at);
	*p = (struct pieces){ 0 };
}

int tokenizer_pieces_add(struct pieces *p, size_t begin, size_t end, bool first, struct err *e)
{
	if (begin == end)
		return 0;
	if (p->count == p->room) {
		size_t room = p->room ? p->room * 2 : 64;
		struct piece *grown = realloc(p->at, room * sizeof *grown);
		if (!grown)
			return err_set(e, ERR_NOMEM, "out of memory for the pieces of a text");
		p->at = grown;
		p->room = room;
	}
	p->at[p->count++] = (struct piece){ (uint32_t)begin, (uint32_t)end, first };
	return 0;
}

/* ---- the byte-level alphabet ---- */

uint32_t tokenizer_byte_to_level(unsigned char b)
{
	if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174)
		return b;
	return b <= 32    ? 256u + b
	       : b <= 160 ? 256u + 33 + b - 127
			  : 323; /* 0-32, 127-160, 173 in order */
}

uint32_t tokenizer_level_to_byte(uint32_t cp)
{
	if (cp < 256)
		return tokenizer_byte_to_level((unsigned char)cp) == cp ? cp : TOKENIZER_NONE;
	if (cp <= 288)
		return cp - 256;
	return cp <= 322 ? cp - 289 + 127 : cp == 323 ? 173 : TOKENIZER_NONE;
}

/* ---- cutting ---- */

/* Matches and gaps of one piece, in order; then put together by behaviour. */
struct cut {
	const struct step *s;
	struct pieces *out;
	struct piece whole;
	bool matched; /* the last part was a match */
	bool any;
	uint32_t open_begin, open_end; /* the part that may still grow */
	struct err *e;
};

static int close_part(struct cut *c)
{
	uint32_t begin = c->open_begin, end = c->open_end;
	c->open_begin = end;
	return tokenizer_pieces_add(c->out, begin, end, c->whole.first && begin == c->whole.begin,
				    c->e);
}

/* An empty match counts as a part, since it separates the gaps beside it. */
static int add_part(struct cut *c, size_t begin, size_t end, bool match)
{
	bool before = c->matched, joins = false;
	match = match != c->s->invert;
	switch (c->s->behaviour) {
	case KEEP_ISOLATED:
		break;
	case KEEP_REMOVED:
		break;
	case KEEP_CONTIGUOUS:
		joins = c->any && match == before;
		break;
	case KEEP_WITH_PREVIOUS:
		joins = c->any && match && !before;
		break;
	case KEEP_WITH_NEXT:
		joins = c->any && before && !match;
		break;
	}
	c->matched = match;
	c->any = true;
	if (!joins)
		TRY(close_part(c));
	if (match && c->s->behaviour == KEEP_REMOVED) {
		c->open_begin = c->open_end = (uint32_t)end;
		return 0;
	}
	if (!joins)
		c->open_begin = (uint32_t)begin;
	c->open_end = (uint32_t)end;
	return 0;
}

static int cut_by_pattern(struct cut *c, struct onig_scratch *scratch, const char *text,
			  struct piece p)
{
	struct onig_scan scan = { 0 };
	size_t at = 0, begin, end, len = p.end - p.begin;
	int rc;
	while ((rc = onig_next(c->s->pattern, scratch, text + p.begin, len, &scan, &begin, &end,
			       c->e)) > 0) {
		if (begin > at)
			TRY(add_part(c, p.begin + at, p.begin + begin, false));
		TRY(add_part(c, p.begin + begin, p.begin + end, true));
		at = end;
	}
	TRY(rc);
	return p.begin + at < p.end ? add_part(c, p.begin + at, p.end, false) : 0;
}

/* Classes of characters: 0 a gap, otherwise a match; with `alone` each matching character by
 * itself. */
static int class_of(const struct step *s, uint32_t cp)
{
	switch (s->kind) {
	case STEP_DIGITS:
		return unicode_is_numeric(cp);
	case STEP_PUNCTUATION:
		return unicode_is_punctuation(cp);
	case STEP_WHITESPACE_SPLIT:
		return unicode_is_space(cp);
	default:
		return unicode_is_space(cp) ? 1 : unicode_is_word(cp) ? 2 : 3; /* WHITESPACE */
	}
}

static int cut_by_class(struct cut *c, const char *text, struct piece p)
{
	bool alone = c->s->kind != STEP_WHITESPACE;
	size_t begin = p.begin;
	int class = -1;
	for (size_t at = p.begin; at < p.end;) {
		uint32_t cp;
		size_t n = (size_t)text_utf8_decode(text + at, p.end - at, &cp);
		int next = class_of(c->s, cp);
		if (class >= 0 && (next != class || (alone && next))) {
			TRY(add_part(c, begin, at, class == 1));
			begin = at;
		}
		class = next;
		at += n;
	}
	return add_part(c, begin, p.end, class == 1);
}

static int cut_all(const struct step *s, struct onig_scratch *scratch, struct pieces *p,
		   struct err *e)
{
	struct pieces out = { 0 };
	int rc = 0;
	for (size_t i = 0; i < p->count && rc == 0; i++) {
		struct cut c = { .s = s,
				 .out = &out,
				 .whole = p->at[i],
				 .e = e,
				 .open_begin = p->at[i].begin,
				 .open_end = p->at[i].begin };
		rc = s->pattern ? cut_by_pattern(&c, scratch, p->text.bytes, p->at[i])
				: cut_by_class(&c, p->text.bytes, p->at[i]);
		if (rc == 0)
			rc = close_part(&c);
	}
	free(p->at);
	p->at = out.at;
	p->count = out.count;
	p->room = out.room;
	return rc;
}

/* ---- rewriting ---- */

typedef void rewrite(const struct step *s, const char *text, struct piece p, struct buf *out);

static void add_prefix_space(const struct step *s, const char *text, struct piece p,
			     struct buf *out)
{
	if (s->prefix_space && text[p.begin] != ' ')
		buf_add_byte(out, ' ');
	buf_add(out, text + p.begin, p.end - p.begin);
}

static void add_levels(const struct step *s, const char *text, struct piece p, struct buf *out)
{
	(void)s;
	for (size_t i = p.begin; i < p.end; i++) {
		char bytes[4];
		buf_add(out, bytes,
			(size_t)text_utf8_encode(tokenizer_byte_to_level((unsigned char)text[i]),
						 bytes));
	}
}

static void add_metaspace(const struct step *s, const char *text, struct piece p, struct buf *out)
{
	bool there = p.end - p.begin >= s->text.len &&
		     memcmp(text + p.begin, s->text.bytes, s->text.len) == 0;
	bool wanted = s->prepend == PREPEND_ALWAYS || (s->prepend == PREPEND_FIRST && p.first);
	if (wanted && !there && text[p.begin] != ' ')
		buf_add(out, s->text.bytes, s->text.len);
	for (size_t i = p.begin; i < p.end; i++)
		if (text[i] == ' ')
			buf_add(out, s->text.bytes, s->text.len);
		else
			buf_add_byte(out, (unsigned char)text[i]);
}

static int rewrite_all(const struct step *s, struct pieces *p, rewrite *f, struct err *e)
{
	struct buf out = { 0 };
	for (size_t i = 0; i < p->count; i++) {
		size_t begin = out.len;
		f(s, p->text.bytes, p->at[i], &out);
		if (out.failed || out.len > 4 * TOKENIZER_TEXT_BYTES) {
			buf_free(&out);
			return err_set(e, ERR_NOMEM, "a text grows too long before it is split");
		}
		p->at[i] = (struct piece){ (uint32_t)begin, (uint32_t)out.len, p->at[i].first };
	}
	struct buf before = p->text;
	p->text = out;
	buf_free(&before);
	return 0;
}

static int one_step(const struct step *s, struct onig_scratch *scratch, struct pieces *p,
		    struct err *e)
{
	switch (s->kind) {
	case STEP_BYTE_LEVEL:
		if (s->prefix_space)
			TRY(rewrite_all(s, p, add_prefix_space, e));
		if (s->pattern)
			TRY(cut_all(s, scratch, p, e));
		return rewrite_all(s, p, add_levels, e);
	case STEP_METASPACE:
		TRY(rewrite_all(s, p, add_metaspace, e));
		return s->split ? cut_all(s, scratch, p, e) : 0;
	default:
		return cut_all(s, scratch, p, e);
	}
}

int tokenizer_pre_tokenize(const struct steps_list *l, struct onig_scratch *s, struct pieces *p,
			   struct err *e)
{
	for (size_t i = 0; i < l->count; i++)
		TRY(one_step(&l->at[i], s, p, e));
	return 0;
}
