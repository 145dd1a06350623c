/* Which states of an automaton are equal: Hopcroft's algorithm. States are kept in blocks that are
 * split until no block is told apart by where its states lead. A splitter is a block and all
 * classes; of a block that is split the smaller half becomes a splitter again.
 * Source: Hopcroft, An n log n algorithm for minimizing states in a finite automaton (1971). */
#include "grammar/regular_in.h"

#include <stdlib.h>

struct blocks {
	const struct regular *r;
	uint32_t *in_first; /* [states+1] into in */
	struct edge {
		uint32_t class, from;
	} * in;                        /* [states * classes], by (to, class) */
	uint32_t *member, *where, *of; /* [states]: states by block, their places, their blocks */
	struct span {
		uint32_t first, end, marked; /* members; the marked ones come first */
		bool waits;                  /* it is a splitter to come */
	} * block;
	uint32_t *todo, *touched, *splitter, *cursor; /* [states] */
	uint32_t blocks, todos;
};

static void blocks_free(struct blocks *b)
{
	free(b->in_first);
	free(b->in);
	free(b->member);
	free(b->where);
	free(b->of);
	free(b->block);
	free(b->todo);
	free(b->touched);
	free(b->splitter);
	free(b->cursor);
}

static bool blocks_open(struct blocks *b, const struct regular *r)
{
	size_t n = (size_t)r->states + 2;
	*b = (struct blocks){ .r = r,
			      .in_first = calloc(n, sizeof *b->in_first),
			      .in = calloc((size_t)r->states * r->classes + 1, sizeof *b->in),
			      .member = calloc(n, sizeof *b->member),
			      .where = calloc(n, sizeof *b->where),
			      .of = calloc(n, sizeof *b->of),
			      .block = calloc(n, sizeof *b->block),
			      .todo = calloc(n, sizeof *b->todo),
			      .touched = calloc(n, sizeof *b->touched),
			      .splitter = calloc(n, sizeof *b->splitter),
			      .cursor = calloc(n, sizeof *b->cursor) };
	return b->in_first && b->in && b->member && b->where && b->of && b->block && b->todo &&
	       b->touched && b->splitter && b->cursor;
}

static void edges_sort(struct blocks *b)
{
	const struct regular *r = b->r;
	for (size_t i = 0; i < (size_t)r->states * r->classes; i++)
		b->in_first[r->next[i] + 2]++;
	for (uint32_t s = 0; s < r->states; s++)
		b->in_first[s + 2] += b->in_first[s + 1];
	for (uint32_t c = 0; c < r->classes; c++) {
		for (uint32_t s = 0; s < r->states; s++) {
			uint32_t to = r->next[(size_t)s * r->classes + c];
			b->in[b->in_first[to + 1]++] = (struct edge){ c, s };
		}
	}
}

static void member_swap(struct blocks *b, uint32_t i, uint32_t k)
{
	uint32_t x = b->member[i], y = b->member[k];
	b->member[i] = y;
	b->where[y] = i;
	b->member[k] = x;
	b->where[x] = k;
}

static void member_mark(struct blocks *b, uint32_t state, uint32_t *touched)
{
	uint32_t at = b->of[state];
	struct span *s = &b->block[at];
	if (b->where[state] < s->first + s->marked)
		return;
	if (s->marked == 0)
		b->touched[(*touched)++] = at;
	member_swap(b, b->where[state], s->first + s->marked++);
}

static void block_wait(struct blocks *b, uint32_t at)
{
	if (b->block[at].waits)
		return;
	b->block[at].waits = true;
	b->todo[b->todos++] = at;
}

/* The marked members become a block of their own, unless all are marked. */
static void block_split(struct blocks *b, uint32_t at)
{
	struct span *s = &b->block[at];
	uint32_t marked = s->marked, size = s->end - s->first;
	s->marked = 0;
	if (marked == size)
		return;
	uint32_t made = b->blocks++;
	b->block[made] = (struct span){ s->first, s->first + marked, 0, false };
	s->first += marked;
	for (uint32_t i = b->block[made].first; i < b->block[made].end; i++)
		b->of[b->member[i]] = made;
	block_wait(b, s->waits || marked <= size - marked ? made : at);
}

static void blocks_begin(struct blocks *b)
{
	const struct regular *r = b->r;
	uint32_t touched = 0;
	for (uint32_t s = 0; s < r->states; s++)
		b->member[s] = b->where[s] = s;
	b->block[0] = (struct span){ 0, r->states, 0, false };
	b->blocks = 1;
	for (uint32_t s = 0; s < r->states; s++) {
		if (r->accept[s])
			member_mark(b, s, &touched);
	}
	if (touched > 0)
		block_split(b, 0);
	for (uint32_t i = 0; i < b->blocks; i++)
		block_wait(b, i);
}

/* How many transitions it looked at. */
static uint64_t blocks_refine(struct blocks *b, uint32_t at)
{
	uint32_t count = 0;
	uint64_t steps = 0;
	for (uint32_t i = b->block[at].first; i < b->block[at].end; i++) {
		uint32_t state = b->member[i];
		b->splitter[count] = state;
		b->cursor[count++] = b->in_first[state];
		steps += b->r->classes + b->in_first[state + 1] - b->in_first[state];
	}
	for (uint32_t c = 0; c < b->r->classes; c++) {
		uint32_t touched = 0;
		for (uint32_t i = 0; i < count; i++) {
			uint32_t end = b->in_first[b->splitter[i] + 1];
			for (; b->cursor[i] < end && b->in[b->cursor[i]].class == c; b->cursor[i]++)
				member_mark(b, b->in[b->cursor[i]].from, &touched);
		}
		while (touched > 0)
			block_split(b, b->touched[--touched]);
	}
	return steps;
}

int regular_blocks(const struct regular *r, uint32_t *block, uint32_t *count, struct err *e)
{
	struct blocks b;
	int rc = 0;
	if (!blocks_open(&b, r)) {
		blocks_free(&b);
		return regular_memory(e);
	}
	edges_sort(&b);
	blocks_begin(&b);
	while (rc == 0 && b.todos > 0) {
		uint32_t at = b.todo[--b.todos];
		b.block[at].waits = false;
		rc = regular_charge(r, blocks_refine(&b, at), e);
	}
	for (uint32_t s = 0; s < r->states; s++)
		block[s] = b.of[s];
	*count = b.blocks;
	blocks_free(&b);
	return rc;
}
