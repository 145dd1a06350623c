/* The text half of one model folder: tokenizer and chat template together. Private to engine/.
 * Read-only once open, so several threads may use it at the same time. */
#ifndef ENGINE_LANGUAGE_H
#define ENGINE_LANGUAGE_H

#include "engine/engine.h"
#include "tokenizer/tokenizer.h"

struct language;

struct language_facts {
	struct digest tokenizer;     /* of the bytes of tokenizer.json or tiktoken.model */
	struct digest chat_template; /* of the template's text; all zero without one */
	bool has_template;
	uint32_t tokens_real;    /* highest id + 1 */
	size_t token_bytes_max;  /* of the longest token */
	char unicode[24];        /* version of the matcher's character tables, "14.0.0" */
	const char *bos, *eos;   /* token strings of tokenizer_config.json; NULL: none */
	uint32_t bos_id, eos_id; /* their ids, UINT32_MAX: none */
	const char *notes;       /* what a person should know: lines that end in a newline, or "" */
};

/* Read tokenizer.json or else tiktoken.model, tokenizer_config.json, special_tokens_map.json and
 * chat_template.jinja, as far as they exist. A folder without tokenizer gives *out NULL and 0. The
 * source is borrowed for the call. */
int language_open(struct language **out, struct source *src, struct err *e) MUST_USE;
void language_close(struct language *t); /* NULL is fine */
const struct language_facts *language_info(const struct language *t);

/* Special as its file says (added token with special: true): skipped by decode on request. */
bool language_is_special(const struct language *t, uint32_t id);
/* The id of exactly this token (vocabulary or added), or UINT32_MAX. */
uint32_t language_id_of(const struct language *t, const char *token);

const struct tokenizer *language_tokenizer(const struct language *t);
/* The bytes of all tokens, read once and kept; for several threads. */
struct token_trees;
int language_trees(struct language *t, const struct token_trees **out, struct err *e) MUST_USE;

/* As engine_encode and engine_decode of engine.h. */
int language_encode(const struct language *t, const char *text, size_t len, bool special, bool post,
		    struct token_ids *out, struct err *e) MUST_USE;
int language_decode(const struct language *t, const uint32_t *id, size_t count, bool skip_special,
		    struct buf *out, struct err *e) MUST_USE;

/* As engine_chat_encode. ERR_UNSUPPORTED without a template; ERR_INPUT for a template that
 * refuses the messages. */
int language_chat(const struct language *t, const struct engine_chat *c, struct buf *text,
		  struct token_ids *ids, struct err *e) MUST_USE;

/* The family of replies, by the template that renders tools. */
struct reply_family language_family(const struct language *t);

/* Streaming decode of one answer: each push appends the whole UTF-8 sequences that are complete
 * now and keeps the rest. The pieces together are the decode of all ids, save that ill-formed
 * bytes become U+FFFD and an end in the middle of a sequence gives one U+FFFD. Zero-initialise
 * with the text set; free with language_stream_free. */
struct language_stream {
	const struct language *text;
	bool skip_special;
	struct tokenizer_decode_state state;
	struct buf held; /* bytes decoded and not yet released */
};
int language_stream_push(struct language_stream *s, uint32_t id, struct buf *out,
			 struct err *e) MUST_USE;
int language_stream_end(struct language_stream *s, struct buf *out, struct err *e) MUST_USE;
void language_stream_free(struct language_stream *s);

#endif
