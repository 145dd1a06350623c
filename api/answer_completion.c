/* Completions, as OpenAI's older API has them: a plain answer is one text_completion object, a
 * stream the same object in chunks, which text, lists of tokens and finish_reason come in bit by
 * bit. Log-probabilities are lists side by side: tokens, token_logprobs, top_logprobs (an object
 * for each token: the alternatives asked for, and the token itself; null where none were), and
 * text_offset, in characters of the choice's text. A token that is no whole text is written as
 * "bytes:\xe2\x80". Sources: OpenAI API reference, completions; vLLM's and llama.cpp's answers. */
#include "api/answer.h"
#include "base/json.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

/* ---- log-probabilities ---- */

static void add_token_text(struct buf *out, const struct cleared *text)
{
	if (text_utf8_valid(text->bytes, text->len)) {
		buf_add_byte(out, '"');
		api_write_text(out, text);
		buf_add_byte(out, '"');
		return;
	}
	buf_add_text(out, "\"bytes:");
	for (size_t i = 0; i < text->len; i++)
		buf_printf(out, "\\\\x%02x", (unsigned)(unsigned char)text->bytes[i]);
	buf_add_byte(out, '"');
}

static void add_logprob(struct buf *out, float logprob)
{
	buf_printf(out, "%.9g", isfinite(logprob) ? (double)logprob : -9999.0);
}

static bool is_same(const struct cleared *a, const struct cleared *b)
{
	return a->len == b->len && (a->len == 0 || memcmp(a->bytes, b->bytes, a->len) == 0);
}

/* An object has each text once: of two tokens that read alike the likelier one. */
static bool is_named(const struct api_token *t, size_t before, const struct cleared *text)
{
	for (size_t i = 0; i < before; i++)
		if (is_same(&t->top[i].text, text))
			return true;
	return false;
}

static void add_top(struct buf *out, const struct api_token *t)
{
	bool more = false;
	buf_add_byte(out, '{');
	for (size_t i = 0; i <= t->top_count; i++) {
		bool last = i == t->top_count;
		const struct cleared *text = last ? &t->text : &t->top[i].text;
		if (is_named(t, i, text))
			continue;
		buf_add_text(out, more ? "," : "");
		add_token_text(out, text);
		buf_add_byte(out, ':');
		add_logprob(out, last ? t->logprob : t->top[i].logprob);
		more = true;
	}
	buf_add_byte(out, '}');
}

/* The place in characters of a byte of the choice's text; places do not go back. */
static uint64_t character_at(struct api_answer_choice *c, uint64_t byte)
{
	for (; c->byte < byte && c->byte < c->text.len; c->byte++)
		c->character += ((unsigned char)c->text.bytes[c->byte] & 0xc0) != 0x80;
	return c->character;
}

static void add_tokens(struct api_answer_choice *c, const struct api_request *asked,
		       const struct api_piece *p)
{
	buf_add(&c->text, p->text.bytes, p->text.len);
	for (size_t i = 0; i < p->token_count; i++) {
		const struct api_token *t = &p->token[i];
		const char *comma = c->tokens.len ? "," : "";
		buf_add_text(&c->tokens, comma);
		add_token_text(&c->tokens, &t->text);
		buf_add_text(&c->logprobs, comma);
		add_logprob(&c->logprobs, t->logprob);
		buf_add_text(&c->tops, comma);
		if (asked->top_logprobs)
			add_top(&c->tops, t);
		buf_printf(&c->offsets, "%s%llu", comma,
			   (unsigned long long)character_at(c, t->at));
	}
}

/* ,"logprobs":..: what has gathered, which is then forgotten. */
static void add_lists(struct buf *out, struct api_answer_choice *c, const struct api_request *asked)
{
	struct buf *const lists[] = { &c->tokens, &c->logprobs, &c->tops, &c->offsets };
	static const char *const name[] = { "{\"tokens\":[", "],\"token_logprobs\":[",
					    "],\"top_logprobs\":[", "],\"text_offset\":[" };
	buf_add_text(out, ",\"logprobs\":");
	if (!asked->logprobs) {
		buf_add_text(out, "null");
		return;
	}
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		bool none = lists[i] == &c->tops && !asked->top_logprobs;
		buf_add_text(out, none ? "],\"top_logprobs\":null,\"text_offset\":[" : name[i]);
		if (none)
			i++;
		api_write_buf(out, lists[i]);
	}
	buf_add_text(out, "]}");
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		buf_clear(lists[i]);
}

/* ---- pieces ---- */

static void open_object(struct buf *out, const struct api_answer_facts *f)
{
	buf_add_text(out, f->asked->stream ? "data: {\"id\":" : "{\"id\":");
	api_write_string(out, f->id);
	buf_printf(out, ",\"object\":\"text_completion\",\"created\":%lld,\"model\":",
		   (long long)f->created);
	api_write_string(out, f->model);
	buf_add_text(out, ",\"choices\":[");
}

static void completion_begin(struct buf *out, struct api_answer *s) { (void)out, (void)s; }

/* A completion has no parts: its text is content. */
static void completion_piece(struct buf *out, struct api_answer *s, const struct api_piece *p)
{
	const struct api_request *asked = s->facts.asked;
	struct api_answer_choice *c = &s->choice[p->choice];
	if (p->part != API_CONTENT || (p->text.len == 0 && p->token_count == 0))
		return;
	if (asked->logprobs)
		add_tokens(c, asked, p);
	if (!asked->stream) {
		api_write_text(&c->content, &p->text);
		return;
	}
	open_object(out, &s->facts);
	buf_printf(out, "{\"index\":%u,\"text\":\"", p->choice);
	api_write_text(out, &p->text);
	buf_add_byte(out, '"');
	add_lists(out, c, asked);
	buf_add_text(out, ",\"finish_reason\":null}]");
	api_write_chunk_end(out, s);
}

/* ---- the end ---- */

/* The choices: all of a plain answer, of a stream how they ended. */
static int add_choices(struct buf *out, struct api_answer *s, const struct api_ending *end,
		       struct err *e)
{
	for (unsigned i = 0; i < s->facts.asked->n; i++) {
		struct api_answer_choice *c = &s->choice[i];
		buf_printf(out, "%s{\"index\":%u,\"text\":\"", i ? "," : "", i);
		api_write_buf(out, &c->content);
		buf_add_byte(out, '"');
		if (s->facts.asked->stream)
			buf_add_text(out, ",\"logprobs\":null");
		else
			add_lists(out, c, s->facts.asked);
		buf_add_text(out, ",\"finish_reason\":");
		TRY(json_write(json_array_get(end->finish, i), 0, out, e));
		buf_add_byte(out, '}');
	}
	return 0;
}

static int end_stream(struct buf *out, struct api_answer *s, const struct api_ending *end,
		      struct err *e)
{
	s->prompt_tokens = end->prompt_tokens;
	s->completion_tokens = end->completion_tokens;
	TRY(api_write_proof(out, end, e));
	api_write_chunk_end(out, s);
	if (s->facts.asked->include_usage) {
		open_object(out, &s->facts);
		buf_add_text(out, "],\"usage\":");
		api_write_usage(out, end);
		buf_add_text(out, "}\n\n");
	}
	buf_add_text(out, "data: [DONE]\n\n");
	return buf_done(out, e);
}

static int completion_end(struct buf *out, struct api_answer *s, const struct api_ending *end,
			  struct err *e)
{
	open_object(out, &s->facts);
	TRY(add_choices(out, s, end, e));
	buf_add_byte(out, ']');
	if (s->facts.asked->stream)
		return end_stream(out, s, end, e);
	buf_add_text(out, ",\"usage\":");
	api_write_usage(out, end);
	TRY(api_write_proof(out, end, e));
	buf_add_text(out, "}\n");
	return buf_done(out, e);
}

const struct api_writer api_completion_writer = { completion_begin, completion_piece,
						  completion_end, api_write_failure };
