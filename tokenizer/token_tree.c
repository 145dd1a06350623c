/* The bytes of a token are those that the decoder gives, so that a constraint allows exactly the
 * text that decoding will produce. */
#include "tokenizer/tokenizer_in.h"

#include <stdlib.h>
#include <string.h>

static int bytes_collect(struct token_tree *tree, const struct tokenizer *t, bool first,
			 struct err *e)
{
	struct buf all = { 0 };
	int rc = 0;
	tree->offset = calloc((size_t)t->vocab.ids + 1, sizeof *tree->offset);
	if (tree->offset == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the bytes of tokens");
	for (uint32_t id = 0; id < t->vocab.ids && rc == 0; id++) {
		struct tokenizer_decode_state s = { .tokens = first ? 0 : 1, .open = !first };
		if (t->vocab.token[id].bytes != NULL)
			rc = tokenizer_decode_token(t, &s, id, false, &all, e);
		if (all.len > UINT32_MAX)
			rc = err_set(e, ERR_INPUT, "the tokens are longer than 4 GiB");
		tree->offset[id + 1] = (uint32_t)all.len;
	}
	tree->bytes = all.bytes;
	return rc;
}

/* ---- tree ---- */

static size_t length(const struct token_tree *t, uint32_t id)
{
	return t->offset[id + 1] - t->offset[id];
}

static int by_bytes(const void *a, const void *b, void *tree)
{
	const struct token_tree *t = tree;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	size_t m = length(t, x), n = length(t, y), least = m < n ? m : n;
	int c = least > 0 ? memcmp(t->bytes + t->offset[x], t->bytes + t->offset[y], least) : 0;
	return c != 0 ? c : m != n ? (m > n) - (m < n) : (x > y) - (x < y);
}

static size_t common(const struct token_tree *t, uint32_t x, uint32_t y)
{
	size_t m = length(t, x), n = length(t, y), i = 0;
	while (i < m && i < n && t->bytes[t->offset[x] + i] == t->bytes[t->offset[y] + i])
		i++;
	return i;
}

/* ids [count] in the order of their bytes, none empty. */
static void tree_fill(struct token_tree *t, const uint32_t *ids, uint32_t count)
{
	uint32_t open[TOKEN_TREE_BYTES + 1], depth = 0, n = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t id = ids[i], len = (uint32_t)length(t, id),
			 keep = i > 0 ? (uint32_t)common(t, ids[i - 1], id) : 0;
		t->depth_max = len > t->depth_max ? len : t->depth_max;
		if (i > 0 && keep == len && keep == length(t, ids[i - 1])) { /* the same bytes */
			t->same[ids[i - 1]] = id;
			continue;
		}
		for (; depth > keep; depth--)
			t->node[open[depth]].end = n;
		for (; depth < len; n++) {
			char byte = t->bytes[t->offset[id] + depth];
			open[++depth] = n;
			t->node[n] = (struct token_node){ 0, TOKENIZER_NONE, (uint16_t)depth,
							  (uint8_t)byte };
		}
		t->node[n - 1].token = id;
	}
	for (; depth > 0; depth--)
		t->node[open[depth]].end = n;
	t->nodes = n;
}

static int tree_build(struct token_tree *t, const uint64_t *outside, uint32_t count, struct err *e)
{
	uint32_t *ids = calloc((size_t)count + 1, sizeof *ids), members = 0;
	size_t nodes = 0;
	t->same = calloc((size_t)count + 1, sizeof *t->same);
	if (ids == NULL || t->same == NULL) {
		free(ids);
		return err_set(e, ERR_NOMEM, "out of memory for the tree of tokens");
	}
	for (uint32_t id = 0; id < count; id++) {
		t->same[id] = TOKENIZER_NONE;
		if ((outside[id / 64] >> (id % 64) & 1) == 0 && length(t, id) > 0)
			ids[members++] = id;
	}
	qsort_r(ids, members, sizeof *ids, by_bytes, t);
	for (uint32_t i = 0; i < members; i++)
		nodes += length(t, ids[i]) - (i > 0 ? common(t, ids[i - 1], ids[i]) : 0);
	t->node = calloc(nodes + 1, sizeof *t->node);
	if (t->node != NULL)
		tree_fill(t, ids, members);
	free(ids);
	return t->node == NULL ? err_set(e, ERR_NOMEM, "out of memory for the tree of tokens") : 0;
}

/* ---- both ---- */

static bool trees_differ(const struct token_tree *a, const struct token_tree *b, uint32_t ids)
{
	return memcmp(a->offset, b->offset, ((size_t)ids + 1) * sizeof *a->offset) != 0 ||
	       (b->offset[ids] > 0 && memcmp(a->bytes, b->bytes, b->offset[ids]) != 0);
}

static void tree_close(struct token_tree *t)
{
	free(t->node);
	free(t->same);
	free(t->bytes);
	free(t->offset);
	*t = (struct token_tree){ 0 };
}

static int decoders_check(const struct tokenizer *t, struct err *e)
{
	for (size_t i = t->fused + 1; i < t->decoders.count; i++) {
		const struct step *s = &t->decoders.at[i];
		if (s->kind == STEP_STRIP_EDGES && s->start > 1)
			return err_set(e, ERR_UNSUPPORTED,
				       "constraints with a tokenizer that strips %u characters are "
				       "not available",
				       s->start);
	}
	return 0;
}

static bool is_marked(const struct token_tree *t, uint32_t id)
{
	return length(t, id) > 0 && memchr(t->bytes + t->offset[id], TOKEN_MARK, length(t, id));
}

static int trees_fill(struct token_trees *w, const struct tokenizer *t, struct err *e)
{
	w->ids = t->vocab.ids;
	w->outside = calloc((size_t)w->ids / 64 + 1, sizeof *w->outside);
	w->control = calloc(t->added_count + 1, sizeof *w->control);
	if (w->outside == NULL || w->control == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the tree of tokens");
	TRY(decoders_check(t, e));
	TRY(bytes_collect(&w->later, t, false, e));
	TRY(bytes_collect(&w->first, t, true, e));
	w->differs = trees_differ(&w->first, &w->later, w->ids);
	for (uint32_t id = 0; id < w->ids; id++) {
		size_t len = length(&w->later, id);
		bool control = tokenizer_added_is_control(t, id), marked = is_marked(&w->later, id);
		if (t->vocab.token[id].bytes == NULL || control || marked || len == 0 ||
		    len > TOKEN_TREE_BYTES || length(&w->first, id) > TOKEN_TREE_BYTES)
			w->outside[id / 64] |= (uint64_t)1 << (id % 64);
		if (control && !marked && len > 0 && w->controls < t->added_count)
			w->control[w->controls++] = id;
	}
	TRY(tree_build(&w->later, w->outside, w->ids, e));
	if (!w->differs)
		tree_close(&w->first);
	return w->differs ? tree_build(&w->first, w->outside, w->ids, e) : 0;
}

int token_trees_open(struct token_trees **out, const struct tokenizer *t, struct err *e)
{
	struct token_trees *w = calloc(1, sizeof *w);
	*out = w;
	if (w == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the tree of tokens");
	int rc = trees_fill(w, t, e);
	if (rc < 0) {
		token_trees_close(w);
		*out = NULL;
	}
	return rc;
}

void token_trees_close(struct token_trees *t)
{
	if (t == NULL)
		return;
	tree_close(&t->later);
	tree_close(&t->first);
	free(t->outside);
	free(t->control);
	free(t);
}
