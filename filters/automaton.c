#include "filters/automaton.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define CELLS_MAX (MIB(512) / sizeof(uint32_t)) /* 10,000 Chinese literals need 3 million */

struct accept {
	uint32_t rule, chars;
	uint32_t next; /* accept + 1 of the same node, or 0 */
};

/* Most nodes have one child: such a one is left by its child or by its failure link, as in a plain
 * trie, and only the others have a row of all transitions. So 10,000 words take 6 MB, not 15, and a
 * step is still one look at a row or at a node, with few exceptions. */
struct node {
	uint32_t child;      /* the only one, or 0 */
	uint32_t row;        /* + 1, of a node with several; 0: none */
	uint32_t fail, dict; /* longest proper suffix; nearest suffix that accepts */
	uint32_t depth, live;
	uint32_t accept_of;         /* accept + 1, or 0 */
	uint32_t whole, whole_rule; /* the shortest literal through the node */
	uint8_t by;                 /* class that leads to it */
	uint8_t on;                 /* class that leads to its only child */
};

struct automaton {
	uint8_t class_of[256]; /* 0: in no literal */
	uint32_t classes, nodes, room, longest;
	struct node *node;
	uint32_t *next; /* [rows][classes] */
	uint32_t rows;
	struct accept *accept;
	uint32_t accepts;
};

void filter_automaton_free(struct automaton *a)
{
	if (!a)
		return;
	free(a->node);
	free(a->next);
	free(a->accept);
	free(a);
}

static size_t measure(struct automaton *a, const struct automaton_literal *l, size_t count)
{
	size_t bytes = 0;
	char u[4];
	a->classes = 1;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < l[i].n; k++) {
			int n = text_utf8_encode(l[i].cp[k], u);
			bytes += (size_t)n;
			for (int b = 0; b < n; b++)
				if (!a->class_of[(uint8_t)u[b]])
					a->class_of[(uint8_t)u[b]] = (uint8_t)a->classes++;
		}
	return bytes;
}

static int room(struct automaton *a, size_t nodes, size_t accepts, struct err *e)
{
	if (nodes > CELLS_MAX * sizeof(uint32_t) / sizeof *a->node)
		return err_set(e, ERR_INPUT, "too many literals: %zu states", nodes);
	a->room = (uint32_t)nodes;
	a->node = calloc(nodes, sizeof *a->node);
	a->accept = calloc(accepts + 1, sizeof *a->accept);
	if (!a->node || !a->accept)
		return err_set(e, ERR_NOMEM, "out of memory for %zu states", nodes);
	a->nodes = 1;
	return 0;
}

/* ---- the trie: children of a node are a list, each with its next sibling */

static uint32_t child_of(struct automaton *a, uint32_t *sibling, uint32_t node, uint8_t class,
			 uint32_t depth)
{
	uint32_t *at = &a->node[node].child;
	while (*at && a->node[*at].by != class)
		at = &sibling[*at];
	if (*at)
		return *at;
	check(a->nodes < a->room);
	*at = a->nodes++;
	a->node[*at].by = class;
	a->node[*at].depth = depth;
	return *at;
}

static void insert(struct automaton *a, uint32_t *sibling, const struct automaton_literal *l,
		   int reversed)
{
	uint32_t node = 0;
	char u[4];
	for (size_t k = 0; k < l->n; k++) {
		int n = text_utf8_encode(l->cp[reversed ? l->n - 1 - k : k], u);
		for (int b = 0; b < n; b++) {
			node = child_of(a, sibling, node, a->class_of[(uint8_t)u[b]],
					(uint32_t)k + 1);
			struct node *x = &a->node[node];
			if (!x->whole || l->n < x->whole) {
				x->whole = (uint32_t)l->n;
				x->whole_rule = l->rule;
			}
		}
	}
	a->accept[a->accepts] = (struct accept){ l->rule, (uint32_t)l->n, a->node[node].accept_of };
	a->node[node].accept_of = ++a->accepts;
	if (l->n > a->longest)
		a->longest = (uint32_t)l->n;
}

static int rows_make(struct automaton *a, const uint32_t *sibling, struct err *e)
{
	for (uint32_t i = 0; i < a->nodes; i++) {
		struct node *x = &a->node[i];
		if (i == 0 || (x->child && sibling[x->child]))
			x->row = ++a->rows;
		else if (x->child)
			x->on = a->node[x->child].by;
	}
	if (a->rows > CELLS_MAX / a->classes)
		return err_set(e, ERR_INPUT, "too many literals: %u states of %u classes", a->rows,
			       a->classes);
	a->next = calloc((size_t)a->rows * a->classes, sizeof *a->next);
	return a->next ? 0 : err_set(e, ERR_NOMEM, "out of memory for %u states", a->rows);
}

/* ---- failure links */

static uint32_t follow(const struct automaton *a, uint32_t state, uint8_t class)
{
	for (;;) {
		const struct node *x = &a->node[state];
		if (x->row)
			return a->next[(size_t)(x->row - 1) * a->classes + class];
		if (x->child && x->on == class)
			return x->child;
		state = x->fail; /* the root has a row */
	}
}

/* One node of the breadth-first pass: give its children their failure links, and its row what its
 * suffix node does with the classes of no child. */
static void link_node(struct automaton *a, uint32_t node, const uint32_t *sibling, uint32_t *queue,
		      uint32_t *tail)
{
	struct node *x = &a->node[node];
	uint32_t *row = x->row ? &a->next[(size_t)(x->row - 1) * a->classes] : NULL;
	for (uint32_t c = 1; row && node && c < a->classes; c++)
		row[c] = follow(a, x->fail, (uint8_t)c);
	for (uint32_t child = x->child; child; child = sibling[child]) {
		struct node *y = &a->node[child];
		y->fail = node ? follow(a, x->fail, y->by) : 0;
		y->dict = a->node[y->fail].accept_of ? y->fail : a->node[y->fail].dict;
		if (row)
			row[y->by] = child;
		queue[(*tail)++] = child;
	}
	x->live = x->child ? x->depth : a->node[x->fail].live;
}

static int link_all(struct automaton *a, const uint32_t *sibling, struct err *e)
{
	check(a->nodes > 0); /* the root */
	uint32_t *queue = calloc(a->nodes, sizeof *queue);
	if (!queue)
		return err_set(e, ERR_NOMEM, "out of memory for %u states", a->nodes);
	uint32_t head = 0, tail = 0;
	link_node(a, 0, sibling, queue, &tail);
	while (head < tail)
		link_node(a, queue[head++], sibling, queue, &tail);
	free(queue);
	return 0;
}

/* Nodes that literals share were room for nothing. */
static void shrink(struct automaton *a)
{
	check(a->nodes > 0);
	struct node *less = realloc(a->node, a->nodes * sizeof *less);
	if (less)
		a->node = less;
}

static int make(struct automaton *a, const struct automaton_literal *l, size_t count, int reversed,
		struct err *e)
{
	TRY(room(a, measure(a, l, count) + 1, count, e));
	uint32_t *sibling = calloc(a->room, sizeof *sibling);
	if (!sibling)
		return err_set(e, ERR_NOMEM, "out of memory for %u states", a->room);
	for (size_t i = 0; i < count; i++)
		insert(a, sibling, &l[i], reversed);
	int rc = rows_make(a, sibling, e);
	if (rc == 0)
		rc = link_all(a, sibling, e);
	free(sibling);
	shrink(a);
	return rc;
}

int filter_automaton_build(struct automaton **out, const struct automaton_literal *l, size_t count,
			   int reversed, struct err *e)
{
	struct automaton *a = calloc(1, sizeof *a);
	*out = NULL;
	if (!a)
		return err_set(e, ERR_NOMEM, "out of memory for the literals");
	int r = make(a, l, count, reversed, e);
	if (r < 0) {
		filter_automaton_free(a);
		return r;
	}
	*out = a;
	return 0;
}

uint32_t filter_automaton_step(const struct automaton *a, uint32_t state, uint32_t cp)
{
	char u[4];
	int n = text_utf8_encode(cp, u);
	for (int i = 0; i < n; i++)
		state = filter_automaton_byte(a, state, (uint8_t)u[i]);
	return state;
}

uint32_t filter_automaton_byte(const struct automaton *a, uint32_t state, uint8_t byte)
{
	uint8_t c = a->class_of[byte];
	return c ? follow(a, state, c) : 0;
}

int filter_automaton_accepts(const struct automaton *a, uint32_t state)
{
	return a->node[state].accept_of || a->node[state].dict;
}

uint32_t filter_automaton_live(const struct automaton *a, uint32_t state)
{
	return a->node[state].live;
}

int filter_automaton_next_live(const struct automaton *a, uint32_t *it, uint32_t *chars,
			       uint32_t *whole, uint32_t *rule)
{
	uint32_t node = *it;
	while (node && a->node[node].live != a->node[node].depth)
		node = a->node[node].fail;
	if (!node)
		return 0;
	const struct node *x = &a->node[node];
	*chars = x->depth;
	*whole = x->whole;
	*rule = x->whole_rule;
	*it = x->fail;
	return 1;
}

uint32_t filter_automaton_longest(const struct automaton *a) { return a->longest; }

/* *it counts the matches given so far. Each call walks the chain from its start: it has one link
 * for each literal that ends here. */
int filter_automaton_next_match(const struct automaton *a, uint32_t state, uint32_t *it,
				uint32_t *rule, uint32_t *chars)
{
	uint32_t want = *it, seen = 0;
	for (uint32_t at = a->node[state].accept_of ? state : a->node[state].dict; at;
	     at = a->node[at].dict)
		for (uint32_t k = a->node[at].accept_of; k; k = a->accept[k - 1].next)
			if (seen++ == want) {
				*rule = a->accept[k - 1].rule;
				*chars = a->accept[k - 1].chars;
				*it = want + 1;
				return 1;
			}
	return 0;
}
