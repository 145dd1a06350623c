/* Byte-pair merging with a heap: O(n log n) even where one piece is the whole text. The pair with
 * the lowest rank goes first, the leftmost of equal ones before others. */
#include "tokenizer/tokenizer_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tokenizer_bpe_scratch_free(struct bpe_scratch *s)
{
	free(s->symbol);
	free(s->heap);
	*s = (struct bpe_scratch){ 0 };
}

static int make_room(struct bpe_scratch *s, size_t symbols, struct err *e)
{
	if (symbols > s->symbol_room) {
		size_t room = symbols * 2;
		struct bpe_symbol *symbol = realloc(s->symbol, room * sizeof *symbol);
		if (symbol)
			s->symbol = symbol;
		struct bpe_merge *heap = symbol ? realloc(s->heap, 3 * room * sizeof *heap) : NULL;
		if (!heap)
			return err_set(e, ERR_NOMEM, "out of memory for merging");
		s->heap = heap;
		s->symbol_room = room;
		s->heap_room =
			3 * room; /* each merge removes a symbol and adds at most two entries */
	}
	return 0;
}

static bool earlier(const struct bpe_merge *a, const struct bpe_merge *b)
{
	return a->rank < b->rank || (a->rank == b->rank && a->at < b->at);
}

static void heap_push(struct bpe_scratch *s, struct bpe_merge m)
{
	size_t i = s->heap_count++;
	for (; i > 0 && earlier(&m, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
		s->heap[i] = s->heap[(i - 1) / 2];
	s->heap[i] = m;
}

static struct bpe_merge heap_pop(struct bpe_scratch *s)
{
	struct bpe_merge top = s->heap[0], last = s->heap[--s->heap_count];
	size_t i = 0;
	for (size_t child; (child = 2 * i + 1) < s->heap_count; i = child) {
		if (child + 1 < s->heap_count && earlier(&s->heap[child + 1], &s->heap[child]))
			child++;
		if (!earlier(&s->heap[child], &last))
			break;
		s->heap[i] = s->heap[child];
	}
	s->heap[i] = last;
	return top;
}

static bool barred(const struct tokenizer *t, const struct bpe_scratch *s, uint32_t id)
{
	return tokenizer_added_is_foreign(t, id) ||
	       (s->guarded && tokenizer_added_is_control(t, id));
}

/* The merge of the pair that begins at symbol i; in guarded text none makes a control token. */
static const struct merge *pair_at(const struct tokenizer *t, const struct bpe_scratch *s,
				   int32_t i)
{
	if (i < 0 || s->symbol[i].next < 0)
		return NULL;
	const struct merge *m =
		tokenizer_merges_find(&t->merges, s->symbol[i].id, s->symbol[s->symbol[i].next].id);
	return m && !barred(t, s, m->made) ? m : NULL;
}

static void push_pair(const struct tokenizer *t, struct bpe_scratch *s, int32_t i)
{
	const struct merge *m = pair_at(t, s, i);
	if (m)
		heap_push(s, (struct bpe_merge){ m->rank, (uint32_t)i, m->made });
}

static void merge_all(const struct tokenizer *t, struct bpe_scratch *s, size_t count)
{
	struct bpe_symbol *symbol = s->symbol;
	s->heap_count = 0;
	for (size_t i = 0; i + 1 < count; i++)
		push_pair(t, s, (int32_t)i);
	while (s->heap_count) {
		struct bpe_merge top = heap_pop(s);
		int32_t i = (int32_t)top.at;
		const struct merge *m = symbol[i].gone ? NULL : pair_at(t, s, i);
		if (!m || m->made != top.made)
			continue; /* an expired entry */
		int32_t right = symbol[i].next;
		symbol[i].id = m->made;
		symbol[i].next = symbol[right].next;
		symbol[right].gone = true;
		if (symbol[i].next >= 0)
			symbol[symbol[i].next].prev = i;
		push_pair(t, s, symbol[i].prev);
		push_pair(t, s, i);
	}
}

struct builder {
	struct bpe_symbol *symbol;
	size_t count;
	bool pending; /* an unknown token not yet written, so that a run of them can be fused */
};

static void add_symbol(struct builder *b, uint32_t id)
{
	size_t i = b->count++;
	b->symbol[i] = (struct bpe_symbol){ id, (int32_t)i - 1, (int32_t)i + 1, false };
}

static void flush_unknown(const struct tokenizer *t, struct builder *b)
{
	if (b->pending)
		add_symbol(b, t->unk);
	b->pending = false;
}

/* One character outside the vocabulary: its bytes, else the unknown token, else nothing. */
static void add_unknown(const struct tokenizer *t, struct builder *b, const char *s, size_t n)
{
	bool all = t->byte_fallback;
	for (size_t i = 0; i < n && all; i++)
		all = t->byte_id[(unsigned char)s[i]] != TOKENIZER_NONE;
	if (all) {
		for (size_t i = 0; i < n; i++)
			add_symbol(b, t->byte_id[(unsigned char)s[i]]);
		return;
	}
	if (t->unk == TOKENIZER_NONE)
		return;
	if (!t->fuse_unk)
		flush_unknown(t, b);
	b->pending = true;
}

int tokenizer_bpe_encode(const struct tokenizer *t, struct bpe_scratch *s, const char *text,
			 size_t len, struct token_ids *out, struct err *e)
{
	uint32_t whole =
		t->ignore_merges ? tokenizer_vocab_find(&t->vocab, text, len) : TOKENIZER_NONE;
	if (whole != TOKENIZER_NONE && !barred(t, s, whole))
		return token_ids_add(out, whole, e);
	TRY(make_room(s, len + 1, e));
	struct builder b = { .symbol = s->symbol };
	for (size_t i = 0; i < len;) {
		size_t n = 1;
		while (i + n < len && ((unsigned char)text[i + n] & 0xC0) == 0x80)
			n++;
		uint32_t id = tokenizer_vocab_find(&t->vocab, text + i, n);
		if (id != TOKENIZER_NONE && !barred(t, s, id)) {
			flush_unknown(t, &b);
			add_symbol(&b, id);
		} else {
			add_unknown(t, &b, text + i, n);
		}
		i += n;
	}
	flush_unknown(t, &b);
	if (b.count == 0)
		return 0;
	s->symbol[b.count - 1].next = -1;
	merge_all(t, s, b.count);
	for (int32_t i = 0; i >= 0; i = s->symbol[i].next)
		TRY(token_ids_add(out, s->symbol[i].id, e));
	return 0;
}
