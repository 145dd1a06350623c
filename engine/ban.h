/* Private: bad words: byte strings that an answer must never contain, however it is cut into
 * tokens; by an Aho-Corasick automaton over its bytes. */
#ifndef ENGINE_BAN_H
#define ENGINE_BAN_H

#include "tokenizer/tokenizer.h"

struct ban;

/* trees is borrowed. markers: special tokens stand in the text. ERR_INPUT: an empty string, or more
 * than LIMIT_BAN_BYTES; ERR_UNSUPPORTED: U+FFFD, which stands for bytes that are not text. */
int engine_ban_open(struct ban **out, const struct token_trees *trees,
		    const struct tokenizer *tokenizer, bool markers, const char *const *string,
		    size_t count, struct err *e) MUST_USE;
void engine_ban_close(struct ban *b); /* NULL is fine */
/* Take out of allowed [words] the ids whose bytes would complete a banned string after what was
 * accepted. */
void engine_ban_mask(const struct ban *b, uint64_t *allowed, uint32_t words);
void engine_ban_accept(struct ban *b, uint32_t id);

#endif
