#include "filters/automaton.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define CELLS_MAX (MIB(512) / sizeof(uint32_t)) /* 10,000 Chinese literals need 9 million */

struct accept {
	uint32_t rule, chars;
	uint32_t next; /* accept + 1 of the same node, or 0 */
};

struct automaton {
	uint8_t class_of[256]; /* 0: in no literal */
	uint32_t classes, nodes, room, longest;
	uint32_t *next;        /* [nodes][classes] */
	uint32_t *fail, *dict; /* longest proper suffix; nearest suffix that accepts */
	uint32_t *depth, *live;
	uint32_t *accept_of; /* accept + 1, or 0 */
	uint32_t *whole, *whole_rule; /* the shortest literal through the node */
	struct accept *accept;
	uint32_t accepts;
};

void filter_automaton_free(struct automaton *a)
{
	if (!a)
		return;
	free(a->next);
	free(a->fail);
	free(a->dict);
	free(a->depth);
	free(a->live);
	free(a->accept_of);
	free(a->whole);
	free(a->whole_rule);
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
	if (nodes > CELLS_MAX / a->classes)
		return err_set(e, ERR_INPUT, "too many literals: %zu states of %u classes", nodes,
			       a->classes);
	a->room = (uint32_t)nodes;
	a->next = calloc(nodes * a->classes, sizeof *a->next);
	a->fail = calloc(nodes, sizeof *a->fail);
	a->dict = calloc(nodes, sizeof *a->dict);
	a->depth = calloc(nodes, sizeof *a->depth);
	a->live = calloc(nodes, sizeof *a->live);
	a->accept_of = calloc(nodes, sizeof *a->accept_of);
	a->accept = calloc(accepts + 1, sizeof *a->accept);
	a->whole = calloc(nodes, sizeof *a->whole);
	a->whole_rule = calloc(nodes, sizeof *a->whole_rule);
	if (!a->next || !a->fail || !a->dict || !a->depth || !a->live || !a->accept_of ||
	    !a->accept || !a->whole || !a->whole_rule)
		return err_set(e, ERR_NOMEM, "out of memory for %zu states", nodes);
	a->nodes = 1;
	return 0;
}

static void insert(struct automaton *a, const struct automaton_literal *l, int reversed)
{
	uint32_t node = 0;
	char u[4];
	for (size_t k = 0; k < l->n; k++) {
		int n = text_utf8_encode(l->cp[reversed ? l->n - 1 - k : k], u);
		for (int b = 0; b < n; b++) {
			uint32_t *cell =
				&a->next[(size_t)node * a->classes + a->class_of[(uint8_t)u[b]]];
			if (!*cell) {
				check(a->nodes < a->room);
				a->depth[a->nodes] = (uint32_t)k + 1;
				*cell = a->nodes++;
			}
			node = *cell;
			if (!a->whole[node] || l->n < a->whole[node]) {
				a->whole[node] = (uint32_t)l->n;
				a->whole_rule[node] = l->rule;
			}
		}
	}
	a->accept[a->accepts] = (struct accept){ l->rule, (uint32_t)l->n, a->accept_of[node] };
	a->accept_of[node] = ++a->accepts;
	if (l->n > a->longest)
		a->longest = (uint32_t)l->n;
}

/* One node of the breadth-first pass: give its children their failure links, and its missing edges
 * those of its suffix node. */
static void link_node(struct automaton *a, uint32_t node, uint32_t *queue, uint32_t *tail)
{
	uint32_t *row = &a->next[(size_t)node * a->classes];
	const uint32_t *suffix = &a->next[(size_t)a->fail[node] * a->classes];
	int children = 0;
	for (uint32_t c = 1; c < a->classes; c++) {
		uint32_t child = row[c];
		if (!child) { /* a queued node has only its children in its row */
			row[c] = node ? suffix[c] : 0;
			continue;
		}
		children = 1;
		a->fail[child] = node ? suffix[c] : 0;
		uint32_t f = a->fail[child];
		a->dict[child] = a->accept_of[f] ? f : a->dict[f];
		queue[(*tail)++] = child;
	}
	a->live[node] = children ? a->depth[node] : a->live[a->fail[node]];
}

static int link_all(struct automaton *a, struct err *e)
{
	uint32_t *queue = calloc(a->nodes, sizeof *queue);
	if (!queue)
		return err_set(e, ERR_NOMEM, "out of memory for %u states", a->nodes);
	uint32_t head = 0, tail = 0;
	link_node(a, 0, queue, &tail);
	while (head < tail)
		link_node(a, queue[head++], queue, &tail);
	free(queue);
	return 0;
}

int filter_automaton_build(struct automaton **out, const struct automaton_literal *l, size_t count,
			   int reversed, struct err *e)
{
	struct automaton *a = calloc(1, sizeof *a);
	*out = NULL;
	if (!a)
		return err_set(e, ERR_NOMEM, "out of memory for the literals");
	int r = room(a, measure(a, l, count) + 1, count, e);
	if (r >= 0) {
		for (size_t i = 0; i < count; i++)
			insert(a, &l[i], reversed);
		r = link_all(a, e);
	}
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
	return c ? a->next[(size_t)state * a->classes + c] : 0;
}

int filter_automaton_accepts(const struct automaton *a, uint32_t state)
{
	return a->accept_of[state] || a->dict[state];
}

uint32_t filter_automaton_live(const struct automaton *a, uint32_t state) { return a->live[state]; }

int filter_automaton_next_live(const struct automaton *a, uint32_t *it, uint32_t *chars,
			       uint32_t *whole, uint32_t *rule)
{
	uint32_t node = *it;
	while (node && a->live[node] != a->depth[node])
		node = a->fail[node];
	if (!node)
		return 0;
	*chars = a->depth[node];
	*whole = a->whole[node];
	*rule = a->whole_rule[node];
	*it = a->fail[node];
	return 1;
}

uint32_t filter_automaton_longest(const struct automaton *a) { return a->longest; }

/* *it counts the matches given so far. Each call walks the chain from its start: it has one link
 * for each literal that ends here. */
int filter_automaton_next_match(const struct automaton *a, uint32_t state, uint32_t *it,
				uint32_t *rule, uint32_t *chars)
{
	uint32_t want = *it, seen = 0;
	for (uint32_t node = a->accept_of[state] ? state : a->dict[state]; node;
	     node = a->dict[node])
		for (uint32_t k = a->accept_of[node]; k; k = a->accept[k - 1].next)
			if (seen++ == want) {
				*rule = a->accept[k - 1].rule;
				*chars = a->accept[k - 1].chars;
				*it = want + 1;
				return 1;
			}
	return 0;
}
