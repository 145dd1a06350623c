/* From the automaton's start state the banned tokens are always the same: they are found once. From
 * another state only those tokens differ whose bytes continue a string that has begun: the tree is
 * walked from both states at once, and a branch is left as soon as the two states are equal. */
#include "engine/ban.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define HIT UINT32_MAX

struct ban {
	const struct token_trees *trees;
	const struct tokenizer *tokenizer;
	bool markers, begun;   /* begun: some token's text was accepted */
	uint32_t (*next)[256]; /* [states]; HIT: a banned string is complete */
	uint32_t *fail, *queue, states, at;
	uint64_t *plain, *plain_first;    /* [words]: ids that hold a banned string by themselves */
	uint32_t *outside, outside_count; /* ids in no tree that have bytes */
	uint32_t (*walk)[2];              /* [depth_max + 1] */
};

/* ---- the automaton ---- */

static void string_add(struct ban *b, const char *s)
{
	uint32_t at = 0;
	for (; *s != '\0' && at != HIT; s++) {
		uint32_t *next = &b->next[at][(uint8_t)*s];
		if (s[1] == '\0')
			*next = HIT; /* longer strings that begin with it are banned too */
		else if (*next == 0)
			*next = b->states++;
		at = *next;
	}
}

/* Breadth first: missing edges are those of the longest proper suffix that is a state. */
static void link_all(struct ban *b)
{
	uint32_t begin = 0, end = 0;
	for (int c = 0; c < 256; c++) {
		if (b->next[0][c] != 0 && b->next[0][c] != HIT)
			b->queue[end++] = b->next[0][c];
	}
	for (; begin < end; begin++) {
		uint32_t s = b->queue[begin], f = b->fail[s];
		for (int c = 0; c < 256; c++) {
			uint32_t *next = &b->next[s][c];
			if (b->next[f][c] == HIT)
				*next = HIT;
			if (*next == 0) {
				*next = b->next[f][c];
			} else if (*next != HIT) {
				b->fail[*next] = b->next[f][c];
				b->queue[end++] = *next;
			}
		}
	}
}

/* ---- tokens ---- */

static uint32_t read_token(const struct ban *b, const struct token_tree *t, uint32_t id,
			   uint32_t at)
{
	for (uint32_t i = t->offset[id]; i < t->offset[id + 1] && at != HIT; i++)
		at = b->next[at][(uint8_t)t->bytes[i]];
	return at;
}

static void token_set(uint64_t *bits, const struct token_tree *t, uint32_t id)
{
	for (; id != TOKENIZER_NONE; id = t->same[id])
		bits[id / 64] |= (uint64_t)1 << (id % 64);
}

/* Set all tokens below a node whose bytes complete a banned string. */
static void branch_set(uint64_t *bits, const struct token_tree *t, uint32_t i)
{
	for (uint32_t end = t->node[i].end; i < end; i++)
		token_set(bits, t, t->node[i].token);
}

static void plain_fill(struct ban *b, const struct token_tree *t, uint64_t *bits)
{
	for (uint32_t i = 0; i < t->nodes;) {
		const struct token_node *node = &t->node[i];
		uint32_t from = node->depth > 1 ? b->walk[node->depth - 1][0] : 0;
		uint32_t at = b->next[from][node->byte];
		b->walk[node->depth][0] = at;
		if (at == HIT)
			branch_set(bits, t, i);
		i = at == HIT ? node->end : i + 1;
	}
}

void engine_ban_mask(const struct ban *b, uint64_t *allowed, uint32_t words)
{
	const struct token_tree *t = token_trees_at(b->trees, !b->begun);
	const uint64_t *plain = !b->begun && b->trees->differs ? b->plain_first : b->plain;
	uint32_t known = b->trees->ids / 64 + 1;
	for (uint32_t i = 0; i < words && i < known; i++)
		allowed[i] &= ~plain[i];
	for (uint32_t i = 0; i < b->outside_count; i++) {
		uint32_t id = b->outside[i];
		if (id / 64 < words && read_token(b, t, id, b->at) == HIT)
			allowed[id / 64] &= ~((uint64_t)1 << (id % 64));
	}
	for (uint32_t i = 0; b->at != 0 && i < t->nodes;) {
		const struct token_node *node = &t->node[i];
		uint32_t *walk = b->walk[node->depth], *from = b->walk[node->depth - 1];
		walk[0] = b->next[node->depth > 1 ? from[0] : b->at][node->byte];
		walk[1] = b->next[node->depth > 1 ? from[1] : 0][node->byte];
		for (uint32_t k = i; walk[0] == HIT && walk[1] != HIT && k < node->end; k++) {
			for (uint32_t id = t->node[k].token; id != TOKENIZER_NONE; id = t->same[id])
				if (id / 64 < words)
					allowed[id / 64] &= ~((uint64_t)1 << (id % 64));
		}
		i = walk[0] == HIT || walk[0] == walk[1] ? node->end : i + 1;
	}
}

void engine_ban_accept(struct ban *b, uint32_t id)
{
	if (id >= b->trees->ids || (tokenizer_is_special(b->tokenizer, id) && !b->markers))
		return;
	uint32_t at = read_token(b, token_trees_at(b->trees, !b->begun), id, b->at);
	b->at = at == HIT ? 0 : at;
	b->begun = true;
}

/* ---- life ---- */

static int strings_check(const char *const *string, size_t count, uint32_t *bytes, struct err *e)
{
	size_t sum = 1;
	for (size_t i = 0; i < count; i++) {
		if (string[i] == NULL || string[i][0] == '\0')
			return err_set(e, ERR_INPUT, "banned string %zu is empty", i);
		if (strstr(string[i], "\xEF\xBF\xBD") != NULL)
			return err_set(e, ERR_UNSUPPORTED, "banning U+FFFD is not available");
		sum += strlen(string[i]);
		if (sum > LIMIT_BAN_BYTES)
			return err_set(e, ERR_INPUT,
				       "banned strings of more than %zu bytes together",
				       LIMIT_BAN_BYTES);
	}
	*bytes = (uint32_t)sum;
	return 0;
}

static int ban_fill(struct ban *b, uint32_t bytes, const char *const *string, size_t count,
		    struct err *e)
{
	const struct token_trees *t = b->trees;
	uint32_t deep =
		t->later.depth_max > t->first.depth_max ? t->later.depth_max : t->first.depth_max;
	b->next = calloc(bytes, sizeof *b->next);
	b->fail = calloc(bytes, sizeof *b->fail);
	b->queue = calloc(bytes, sizeof *b->queue);
	b->plain = calloc((size_t)t->ids / 64 + 1, sizeof *b->plain);
	b->plain_first = calloc((size_t)t->ids / 64 + 1, sizeof *b->plain_first);
	b->outside = calloc((size_t)t->ids + 1, sizeof *b->outside);
	b->walk = calloc((size_t)deep + 1, sizeof *b->walk);
	if (!b->next || !b->fail || !b->queue || !b->plain || !b->plain_first || !b->outside ||
	    !b->walk)
		return err_set(e, ERR_NOMEM, "out of memory for banned strings");
	b->states = 1;
	for (size_t i = 0; i < count; i++)
		string_add(b, string[i]);
	link_all(b);
	for (uint32_t id = 0; id < t->ids; id++) {
		if ((t->outside[id / 64] >> (id % 64) & 1) != 0 &&
		    (b->markers || !tokenizer_is_special(b->tokenizer, id)) &&
		    t->later.offset[id + 1] > t->later.offset[id])
			b->outside[b->outside_count++] = id;
	}
	plain_fill(b, &t->later, b->plain);
	if (t->differs)
		plain_fill(b, &t->first, b->plain_first);
	return 0;
}

int engine_ban_open(struct ban **out, const struct token_trees *trees,
		    const struct tokenizer *tokenizer, bool markers, const char *const *string,
		    size_t count, struct err *e)
{
	uint32_t bytes = 0;
	*out = NULL;
	TRY(strings_check(string, count, &bytes, e));
	struct ban *b = calloc(1, sizeof *b);
	if (b == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for banned strings");
	*b = (struct ban){ .trees = trees, .tokenizer = tokenizer, .markers = markers };
	int rc = ban_fill(b, bytes, string, count, e);
	if (rc < 0)
		engine_ban_close(b);
	else
		*out = b;
	return rc;
}

void engine_ban_close(struct ban *b)
{
	if (b == NULL)
		return;
	free(b->next);
	free(b->fail);
	free(b->queue);
	free(b->plain);
	free(b->plain_first);
	free(b->outside);
	free(b->walk);
	free(b);
}
