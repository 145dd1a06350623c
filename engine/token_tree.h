/* Private: the bytes of all tokens of a tokenizer, and a tree over them, so that an automaton over
 * bytes can be run over the whole vocabulary at once. Read-only once open. */
#ifndef ENGINE_TOKEN_TREE_H
#define ENGINE_TOKEN_TREE_H

#include "engine/pattern.h"
#include "engine/tokenizer.h"

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
 * PATTERN_MARK, which no text does: to a constraint, that byte around a control token's own tells
 * it from the same spelled out. */
struct token_trees {
	struct token_tree later, first; /* first is unused unless differs */
	bool differs;
	uint32_t ids;
	uint64_t *outside; /* [(ids+63)/64] bits: in no tree: control, hole, empty or too long */
	uint32_t *control, controls; /* ids of control tokens that have bytes: those of later */
};

/* ERR_UNSUPPORTED: a decoder whose bytes for a token depend on more than whether it is first. */
int token_trees_open(struct token_trees **out, const struct engine_tokenizer *t,
		     struct err *e) MUST_USE;
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
