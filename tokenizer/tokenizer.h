/* Tokenizer: text to token ids and back, from tokenizer.json or a tiktoken file. A tokenizer is
 * read-only once open, so several threads may use it at the same time. */
#ifndef TOKENIZER_TOKENIZER_H
#define TOKENIZER_TOKENIZER_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOKENIZER_NONE UINT32_MAX

/* Zero-initialise, free with token_ids_free. */
struct token_ids {
	uint32_t *id;
	size_t count, room;
	size_t most; /* encoding stops with ERR_INPUT where there would be more; 0: any number */
};
void token_ids_free(struct token_ids *ids);

struct tokenizer;

/* From the text of tokenizer.json; components that are unknown are refused by name. */
int tokenizer_open(struct tokenizer **out, const void *json, size_t len, struct err *e) MUST_USE;
/* From the text of tiktoken.model and, for the names of special tokens, tokenizer_config.json
 * (NULL: all have the names of reserved ones). */
int tokenizer_open_tiktoken(struct tokenizer **out, const char *text, size_t len,
			    const json_t *config, struct err *e) MUST_USE;
void tokenizer_close(struct tokenizer *t);

/* Version of the matcher's character tables: "14.0.0". */
void tokenizer_unicode_version(char out[24]);
/* Highest id + 1. */
uint32_t tokenizer_ids(const struct tokenizer *t);
/* Of the longest token: no text of more bytes than this times n becomes n tokens, but where
 * characters that have no token at all become one. */
size_t tokenizer_bytes_max(const struct tokenizer *t);
/* The id of exactly this token (vocabulary or added), or TOKENIZER_NONE. */
uint32_t tokenizer_find(const struct tokenizer *t, const char *token, size_t len);
/* An added token whose file says special: true. */
bool tokenizer_is_special(const struct tokenizer *t, uint32_t id);
/* Control tokens, which no ordinary text becomes, one after another: begin with 0, go on with what
 * came back until it is 0. Bytes are borrowed. */
struct tokenizer_control {
	const char *bytes;
	size_t len;
	uint32_t id;
	bool special;
};
size_t tokenizer_control(const struct tokenizer *t, size_t at, struct tokenizer_control *out);

/* Encode, appended to out. special: added tokens in the text are recognised (template text); else
 * they are ordinary text. post: run the post-processor. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t len, bool special,
		     bool post, struct token_ids *out, struct err *e) MUST_USE;
/* As tokenizer_encode with special, and an origin for each byte (NULL: all template). */
int tokenizer_encode_marked(const struct tokenizer *t, const char *text, const char *origin,
			    size_t len, bool post, struct token_ids *out, struct err *e) MUST_USE;
/* Decode, appended; incomplete UTF-8 is kept as it is. skip_special drops special tokens. */
int tokenizer_decode(const struct tokenizer *t, const uint32_t *id, size_t count, bool skip_special,
		     struct buf *out, struct err *e) MUST_USE;
/* Decoding one token after another; the state is zero at the start of a text. */
struct tokenizer_decode_state {
	size_t tokens;     /* decoded so far */
	uint32_t stripped; /* characters taken from the start of the joined text */
	bool open;         /* the joined text has begun: nothing more to take */
};
int tokenizer_decode_token(const struct tokenizer *t, struct tokenizer_decode_state *s, uint32_t id,
			   bool skip_special, struct buf *out, struct err *e) MUST_USE;

/* ---- the bytes of all tokens, as trees ---- */

#define TOKEN_MARK 0xFF       /* beside a control token's bytes in a constraint; in no UTF-8 */
#define TOKEN_TREE_BYTES 1024 /* longer tokens are in no tree */

/* In depth-first order: the children of node i begin at i + 1, what comes after it at end. */
struct token_node {
	uint32_t end;
	uint32_t
		token; /* whose bytes end here, or TOKENIZER_NONE; others with the same by `same` */
	uint16_t depth; /* bytes from the root; 1 for the first */
	uint8_t byte;
};

struct token_tree {
	struct token_node *node;
	uint32_t nodes, depth_max;
	uint32_t *same;   /* [ids]: the next token with the same bytes, or TOKENIZER_NONE */
	char *bytes;      /* of all tokens */
	uint32_t *offset; /* [ids+1] into bytes */
};

/* Decoders may treat the first token of a text otherwise (a space is taken off): then it has a tree
 * of its own. Control tokens and holes have bytes, and are in no tree; nor is a token that holds
 * TOKEN_MARK, which no text does: to a constraint, that byte around a control token's own tells
 * it from the same spelled out. */
struct token_trees {
	struct token_tree later, first; /* first is unused unless differs */
	bool differs;
	uint32_t ids;
	uint64_t *outside; /* [(ids+63)/64] bits: in no tree: control, hole, empty or too long */
	uint32_t *control, controls; /* ids of control tokens that have bytes: those of later */
};

/* ERR_UNSUPPORTED: a decoder whose bytes for a token depend on more than whether it is first. */
int token_trees_open(struct token_trees **out, const struct tokenizer *t, struct err *e) MUST_USE;
void token_trees_close(struct token_trees *t); /* NULL is fine */

static inline bool token_trees_holds(const struct token_trees *t, uint32_t id)
{
	return (t->outside[id / 64] >> (id % 64) & 1) == 0;
}

static inline const struct token_tree *token_trees_at(const struct token_trees *t, bool first)
{
	return first && t->differs ? &t->first : &t->later;
}

#endif
