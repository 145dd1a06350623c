/* From a tree to its minimal automaton.
 *
 * The tree becomes a network of edges that read a character, read nothing, or demand something of
 * the place: a guard. What lies behind a place is known when it is reached: it is kept as the
 * context, which is the kind of the last character and, for each lookbehind, the state of the
 * automaton of all texts that end so. What lies ahead is promised: a way through the network is a
 * pair of its state and a set of promises, and a promise is a state of the automaton of what must
 * follow, which reads along and must accept at the end. Automata of lookaheads are made in the
 * context in which they begin. The subset construction over such pairs is exact, negation included,
 * since every promise is deterministic. */
#include "grammar/regular_machine.h"

#include "base/check.h"
#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

void regular_worked(struct machine *m, uint64_t steps)
{
	m->p->work += steps;
	if (m->p->work > LIMIT_CONSTRAINT_COMPILE && regular_going(m))
		m->rc = regular_large(m->e);
}

/* Room for one more of size bytes at *array, count of them there. */
bool regular_grow(struct machine *m, void **array, uint32_t count, size_t size)
{
	if (count % 64 == 0) {
		void *more = realloc(*array, (count + 64) * size);
		if (more == NULL) {
			regular_no_memory(m);
			return false;
		}
		*array = more;
	}
	return regular_going(m);
}

/* ---- the network ---- */

static uint32_t state_add(struct machine *m)
{
	if (m->states >= LIMIT_CONSTRAINT_NODES && regular_going(m))
		m->rc = regular_large(m->e);
	return m->states++;
}

static void edge_add(struct machine *m, struct edge edge)
{
	if (m->edges == m->edge_room && regular_going(m)) {
		uint32_t room = m->edge_room * 2 + 256;
		struct edge *more = room > 8 * LIMIT_CONSTRAINT_NODES
					    ? NULL
					    : realloc(m->edge, room * sizeof *more);
		if (more == NULL) {
			regular_no_memory(m);
			return;
		}
		m->edge = more;
		m->edge_room = room;
	}
	if (regular_going(m))
		m->edge[m->edges++] = edge;
}

static void build(struct machine *m, uint32_t node, uint32_t from, uint32_t to);

static void build_repeat(struct machine *m, const struct pattern_node *n, uint32_t from,
			 uint32_t to)
{
	uint32_t next;
	for (uint32_t i = 0; i < n->a && regular_going(m); i++, from = next) {
		next = state_add(m);
		build(m, n->first, from, next);
	}
	if (n->b == PATTERN_MORE) {
		uint32_t loop = state_add(m);
		edge_add(m, (struct edge){ from, loop, 0, SKIP });
		build(m, n->first, loop, loop);
		edge_add(m, (struct edge){ loop, to, 0, SKIP });
		return;
	}
	for (uint32_t i = n->a; i < n->b && regular_going(m); i++, from = next) {
		next = state_add(m);
		edge_add(m, (struct edge){ from, to, 0, SKIP });
		build(m, n->first, from, next);
	}
	edge_add(m, (struct edge){ from, to, 0, SKIP });
}

/* Recursion is as deep as the expression, which its reader bounded. */
static void build(struct machine *m, uint32_t node, uint32_t from, uint32_t to)
{
	struct pattern_node n = m->p->node[node];
	uint32_t next;
	if (!regular_going(m))
		return;
	switch (n.kind) {
	case PATTERN_EMPTY:
		edge_add(m, (struct edge){ from, to, 0, SKIP });
		return;
	case PATTERN_SET:
		edge_add(m, (struct edge){ from, to, node, READ });
		return;
	case PATTERN_SEQ:
		for (uint32_t c = n.first; c != PATTERN_NONE; c = m->p->node[c].next, from = next) {
			next = m->p->node[c].next == PATTERN_NONE ? to : state_add(m);
			build(m, c, from, next);
		}
		return;
	case PATTERN_ALT:
		for (uint32_t c = n.first; c != PATTERN_NONE; c = m->p->node[c].next) {
			next = state_add(m); /* of its own, so that loops inside do not meet */
			edge_add(m, (struct edge){ from, next, 0, SKIP });
			build(m, c, next, to);
		}
		return;
	case PATTERN_REPEAT:
		build_repeat(m, &n, from, to);
		return;
	case PATTERN_CALL:
		build(m, m->p->rule[n.a].root, from, to);
		return;
	case PATTERN_LOOK:
		edge_add(m, (struct edge){ from, to, node, GUARD });
		if ((n.a & PATTERN_LOOK_BEHIND) == 0 && m->body[node] == 0 && regular_going(m)) {
			m->body[node] = state_add(m);
			build(m, n.first, m->body[node], LOOP);
		}
		return;
	case PATTERN_BEGIN:
	case PATTERN_END:
	case PATTERN_WORD:
		edge_add(m, (struct edge){ from, to, node, GUARD });
		return;
	default:
		check(false);
	}
}

static int by_from(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;
	return (x->from > y->from) - (x->from < y->from);
}

static void edges_sort(struct machine *m)
{
	m->first = calloc((size_t)m->states + 2, sizeof *m->first);
	if (m->first == NULL) {
		regular_no_memory(m);
		return;
	}
	if (m->edges > 0)
		qsort(m->edge, m->edges, sizeof *m->edge, by_from);
	for (uint32_t i = 0; i < m->edges; i++)
		m->first[m->edge[i].from + 1]++;
	for (uint32_t i = 0; i < m->states; i++)
		m->first[i + 1] += m->first[i];
}

/* ---- lookaround ---- */

/* Whether the tree asks what follows. */
static bool looks_ahead(const struct pattern *p, uint32_t node)
{
	const struct pattern_node *n = &p->node[node];
	if (n->kind == PATTERN_END || n->kind == PATTERN_WORD ||
	    (n->kind == PATTERN_LOOK && (n->a & PATTERN_LOOK_BEHIND) == 0))
		return true;
	for (uint32_t c = n->first; c != PATTERN_NONE; c = p->node[c].next) {
		if (looks_ahead(p, c))
			return true;
	}
	return false;
}

static uint32_t any_text(struct pattern *p)
{
	uint32_t from = p->ranges;
	pattern_range_add(p, 0, 0x10FFFF);
	return pattern_repeat(p, pattern_set_close(p, from, false), 0, PATTERN_MORE);
}

static void behind_add(struct machine *m, uint32_t node)
{
	struct pattern_list list = { 0 };
	struct regular *r = NULL;
	uint32_t inner = m->p->node[node].first;
	if (looks_ahead(m->p, inner) && regular_going(m))
		m->rc = err_set(m->e, ERR_UNSUPPORTED,
				"a regular expression with a lookbehind that looks ahead "
				"(\\b, $ or (?=) is not available");
	if (m->behinds == REGEX_KNOWN && regular_going(m))
		m->rc = err_set(m->e, ERR_UNSUPPORTED,
				"a regular expression with more than %d lookbehinds is not "
				"available",
				REGEX_KNOWN);
	if (!regular_going(m) ||
	    !regular_grow(m, (void **)&m->behind, m->behinds, sizeof *m->behind))
		return;
	pattern_push(m->p, &list, any_text(m->p));
	pattern_push(m->p, &list, inner);
	m->rc = regular_tree(&r, m->p, pattern_close(m->p, &list, PATTERN_SEQ), false, m->e);
	if (!regular_going(m))
		return;
	m->body[node] = m->behinds;
	m->behind[m->behinds++] = (struct automaton_of){ node, 0, 0, r, regular_classes_of(m, r) };
}

/* ---- life ---- */

struct found {
	struct regular_set *set;
	uint32_t *behind; /* nodes */
	uint32_t sets, behinds;
	bool kinds, words; /* words: letters are kinds too */
};

/* All sets of the tree, and its lookbehinds but for those inside of others, which find their own.
 */
static void tree_search(struct machine *m, uint32_t node, bool inside, struct found *f)
{
	const struct pattern_node *n = &m->p->node[node];
	bool behind = n->kind == PATTERN_LOOK && (n->a & PATTERN_LOOK_BEHIND) != 0;
	if (!regular_going(m))
		return;
	if (n->kind == PATTERN_SET) {
		if (regular_grow(m, (void **)&f->set, f->sets, sizeof *f->set))
			f->set[f->sets++] = (struct regular_set){ n->a, n->b };
		return;
	}
	if (n->kind == PATTERN_CALL && !m->seen[n->a]) {
		m->seen[n->a] = true;
		tree_search(m, m->p->rule[n->a].root, inside, f);
		return;
	}
	if (behind && !inside &&
	    regular_grow(m, (void **)&f->behind, f->behinds, sizeof *f->behind))
		f->behind[f->behinds++] = node;
	f->words = f->words || n->kind == PATTERN_WORD;
	f->kinds = f->kinds || n->kind == PATTERN_WORD || n->kind == PATTERN_END ||
		   n->kind == PATTERN_BEGIN;
	for (uint32_t c = n->first; c != PATTERN_NONE; c = m->p->node[c].next)
		tree_search(m, c, inside || behind, f);
}

/* Ranges of p for each kind of character, and the kind of each class. */
static void kinds_open(struct machine *m, struct found *f)
{
	static const struct pattern_range ascii[] = {
		{ 'a', 'z' }, { 'A', 'Z' }, { '0', '9' }, { '_', '_' }
	};
	struct pattern *p = m->p;
	uint32_t at[KINDS + 1] = { p->ranges, p->ranges };
	for (size_t i = 0; f->words && i < 4; i++)
		pattern_range_add(p, ascii[i].lo, ascii[i].hi);
	at[WORD_WIDE] = p->ranges;
	if (f->words)
		regex_letters_add(p);
	at[PLAIN] = p->ranges;
	if (f->words)
		regex_plain_add(p), regular_worked(m, 1u << 17);
	at[LINE] = p->ranges;
	pattern_range_add(p, '\n', '\n');
	at[LINE_WIDE] = p->ranges;
	pattern_range_add(p, '\r', '\r');
	pattern_range_add(p, 0x2028, 0x2029);
	at[UNSURE] = p->ranges;
	if (f->words)
		pattern_range_add(p, 0x80, 0x10FFFF);
	at[KINDS] = p->ranges;
	for (int k = WORD; k < KINDS && f->kinds && p->failed == 0; k++) {
		if (regular_grow(m, (void **)&f->set, f->sets, sizeof *f->set))
			f->set[f->sets++] = (struct regular_set){ at[k], at[k + 1] - at[k] };
	}
	if (regular_going(m))
		m->rc = pattern_done(p, m->e);
	if (regular_going(m))
		m->rc = regular_alphabet(&m->alphabet, p->range, f->set, f->sets, m->e);
	m->kind = regular_going(m) ? calloc((size_t)m->alphabet.classes + 1, 1) : NULL;
	if (m->kind == NULL) {
		regular_no_memory(m);
		return;
	}
	for (uint32_t c = 0; c < m->alphabet.classes; c++)
		m->kind[c] = PLAIN;
	for (int k = UNSURE; k >= WORD && f->kinds;
	     k--) { /* the last of them counts: lines are plain too */
		for (uint32_t i = at[k]; i < at[k + 1]; i++) {
			for (uint32_t r = 0; r < m->alphabet.ranges; r++) {
				struct regular_range range = m->alphabet.range[r];
				bool line = m->kind[range.class] == LINE ||
					    m->kind[range.class] == LINE_WIDE;
				if (range.lo >= p->range[i].lo && range.hi <= p->range[i].hi &&
				    !line)
					m->kind[range.class] = (uint8_t)k;
			}
		}
	}
}

static void machine_close(struct machine *m)
{
	for (uint32_t i = 0; i < m->looks; i++) {
		regular_close(m->look[i].r);
		free(m->look[i].class);
	}
	for (uint32_t i = 0; i < m->behinds; i++) {
		regular_close(m->behind[i].r);
		free(m->behind[i].class);
	}
	for (uint32_t i = 0; m->set != NULL && i < m->sets; i++)
		free(m->set[i]);
	network_sets_free(&m->context);
	network_sets_free(&m->promise);
	free(m->alphabet.range);
	free(m->kind);
	free(m->edge);
	free(m->first);
	free(m->set);
	free(m->body);
	free(m->seen);
	free(m->look);
	free(m->behind);
}

static void machine_open(struct machine *m, uint32_t root, struct found *f)
{
	m->seen = calloc((size_t)m->p->rules + 1, sizeof *m->seen);
	if (m->seen == NULL)
		regular_no_memory(m);
	tree_search(m, root, false, f);
	m->kinds = f->kinds || m->token;
	if (regular_going(m))
		kinds_open(m, f);
	m->sets = m->p->nodes;
	m->body = calloc(m->sets + 1, sizeof *m->body);
	m->set = calloc(m->sets + 1, sizeof *m->set);
	if (m->body == NULL || m->set == NULL ||
	    network_sets_number(&m->promise, NULL, 0, 0) != NO_PROMISE)
		regular_no_memory(m);
	for (uint32_t i = 0; i < f->behinds && regular_going(m); i++)
		behind_add(m, f->behind[i]);
}

/* The network: what may follow the text, its end, and the tree. */
static void machine_build(struct machine *m, uint32_t root, uint32_t any, bool search)
{
	while (m->states <= START)
		state_add(m);
	edge_add(m, (struct edge){ LOOP, LOOP, any, READ });
	build(m, root, START, search ? LOOP : END);
	if (regular_going(m))
		edges_sort(m);
	if (regular_going(m))
		regular_context_start(m);
}

/* What m says by its options, of a tree in which a text may stand before. */
static int tree_determine(struct machine *m, uint32_t root, bool search, struct regular **out)
{
	struct found f = { 0 };
	struct pattern_list list = { 0 };
	struct pattern *p = m->p;
	uint32_t before = any_text(p), any = p->failed == 0 ? p->node[before].first : 0;
	if (search) {
		pattern_push(p, &list, before);
		pattern_push(p, &list, root);
		root = pattern_close(p, &list, PATTERN_SEQ);
	}
	*out = NULL;
	m->alphabet.work = &p->work;
	m->rc = pattern_done(p, m->e);
	if (regular_going(m))
		machine_open(m, root, &f);
	if (regular_going(m))
		machine_build(m, root, any, search);
	if (regular_going(m))
		*out = regular_determine(m, START, 0);
	machine_close(m);
	free(f.set);
	free(f.behind);
	check(!regular_going(m) || *out != NULL);
	return m->rc;
}

int regular_tree(struct regular **out, struct pattern *p, uint32_t root, bool search, struct err *e)
{
	struct machine m = { .p = p, .e = e };
	return tree_determine(&m, root, search, out);
}

#define TOKENS_UNSURE 16 /* texts of a token that may depend on what follows: they are left out */

/* Nothing follows a whole text. */
static int end_first(struct regular *r, struct err *e)
{
	for (uint32_t s = 0; s < r->states; s++) {
		for (uint32_t c = 0; c < r->classes && r->accept[s]; c++)
			r->next[(size_t)s * r->classes + c] = REGULAR_NONE;
	}
	return regular_finish(r, e);
}

int regular_token(struct regular **out, struct pattern *p, uint32_t root, bool shortest,
		  struct err *e)
{
	struct machine must = { .p = p, .e = e, .token = true },
		       may = { .p = p, .e = e, .token = true, .may = true };
	struct regular *other = NULL, *unsure = NULL;
	int rc = tree_determine(&must, root, false, out);
	if (rc == 0)
		rc = tree_determine(&may, root, false, &other);
	if (rc == 0)
		rc = regular_subtract(&unsure, other, *out, e);
	bool few = rc == 0 && (regular_is_empty(unsure) ||
			       (regular_count(unsure, TOKENS_UNSURE + 1) <= TOKENS_UNSURE &&
				!regular_is_empty(*out)));
	if (rc == 0 && (must.asked || !few))
		rc = err_set(e, ERR_UNSUPPORTED,
			     "a terminal that looks at what stands before or behind it is not "
			     "available");
	if (rc == 0 && shortest)
		rc = end_first(*out, e);
	regular_close(other);
	regular_close(unsure);
	if (rc < 0) {
		regular_close(*out);
		*out = NULL;
	}
	return rc;
}

int regular_regex(struct regular **out, const char *text, size_t len, bool search, uint64_t *work,
		  struct err *e)
{
	struct pattern p = { .work = *work };
	uint32_t root;
	*out = NULL;
	int rc = pattern_regex(&p, text, len, &root, e);
	if (rc == 0)
		rc = regular_tree(out, &p, root, search, e);
	if (*out != NULL)
		(*out)->work = work;
	*work = p.work;
	pattern_free(&p);
	return rc;
}
