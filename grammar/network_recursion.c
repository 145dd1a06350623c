/* Left recursion taken away, the language kept.
 *
 * Rules that call each other at their very beginning, A1..Ak, are a system of equations
 * Ai = Bi | A1 Li1 | .. | Ak Lik, where Bi is what of Ai begins otherwise and Lij what follows Aj.
 * Its least solution is a walk: some Bj, then Ls until an Ai is complete. So the new network of Ai
 * holds, for each j, the states of Aj twice: those before anything was read, and those behind; and
 * a place "an Aj is complete", from which Lij leads on to "an Ai is complete".
 *
 *   before(j): edges that read a byte, or call another rule, lead behind; a call of Ak, which is
 *              not made, gives an edge from "an Ak is complete" to where Aj goes on, behind
 *   behind(j): edges as they were; the end leads to "an Aj is complete"
 *
 * Nothing leads from the end of before(j) anywhere: a rule then never is empty by itself. Where it
 * may be, its call can be skipped, which network_trim arranged. All other rules that may be empty
 * are rewritten in the same way, since an empty one before a rule would begin the circle again. */
#include "grammar/network.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

struct rewriter {
	struct grammar *n;
	uint32_t *start, *end;                /* [rules]: as they were */
	struct network_edge *edge;            /* the new ones */
	uint32_t edges, room, rules;          /* rules: those there were */
	uint32_t *last;                       /* [rules]: behind the last state of each */
	uint32_t *group;                      /* [rules]: circle + 1, or 0 */
	bool *empty;                          /* [rules] */
	uint32_t *member, members;            /* of the circle at work */
	uint32_t *before, *behind, *complete; /* [rules]: first states of the copies */
	bool *mark;                           /* [states]: at which nothing was read yet */
	uint32_t *todo;                       /* [states] */
	int failed;
};

static void edge_add(struct rewriter *w, struct network_edge edge)
{
	if (w->failed != 0)
		return;
	if (w->edges == w->room) {
		uint32_t room = w->room * 2 + 256;
		struct network_edge *more = room > 8 * LIMIT_CONSTRAINT_NODES
						    ? NULL
						    : realloc(w->edge, room * sizeof *more);
		if (more == NULL) {
			w->failed = room > 8 * LIMIT_CONSTRAINT_NODES ? ERR_INPUT : ERR_NOMEM;
			return;
		}
		w->edge = more;
		w->room = room;
	}
	w->edge[w->edges++] = edge;
}

static void empty_add(struct rewriter *w, uint32_t from, uint32_t to)
{
	edge_add(w, (struct network_edge){ from, to, 0, NETWORK_EMPTY, 0, 0 });
}

static uint32_t states_add(struct rewriter *w, uint32_t count)
{
	uint32_t first = w->n->states;
	if (count > LIMIT_CONSTRAINT_NODES - w->n->states) {
		w->failed = w->failed != 0 ? w->failed : ERR_INPUT;
		return 0;
	}
	w->n->states += count;
	return first;
}

static bool is_empty(const struct network_edge *edge)
{
	return edge->kind == NETWORK_EMPTY || edge->kind == NETWORK_MARK;
}

/* mark: the states of rule j at which nothing was read yet. */
static void mark_beginning(struct rewriter *w, const struct network_edge *edge,
			   const uint32_t *first, uint32_t j)
{
	uint32_t count = 0;
	w->todo[count++] = w->start[j];
	w->mark[w->start[j]] = true;
	while (count > 0) {
		uint32_t state = w->todo[--count];
		for (uint32_t i = first[state]; i < first[state + 1]; i++) {
			if (is_empty(&edge[i]) && !w->mark[edge[i].to]) {
				w->mark[edge[i].to] = true;
				w->todo[count++] = edge[i].to;
			}
		}
	}
}

/* Both copies of rule j, within the rewriting of a rule of its circle. */
static void copies_add(struct rewriter *w, const struct network_edge *edge, const uint32_t *first,
		       uint32_t j)
{
	uint32_t begin = w->start[j];
	for (uint32_t i = first[begin]; i < first[w->last[j]] && w->failed == 0; i++) {
		struct network_edge a = edge[i], b = edge[i];
		b.from = w->behind[j] + (b.from - begin);
		b.to = w->behind[j] + (b.to - begin);
		edge_add(w, b);
		if (!w->mark[a.from])
			continue;
		a.from = w->before[j] + (a.from - begin);
		a.to = is_empty(&a) ? w->before[j] + (a.to - begin) : b.to;
		if (a.kind == NETWORK_CALL && w->group[j] != 0 && w->group[a.rule] == w->group[j])
			empty_add(w, w->complete[a.rule], a.to);
		else
			edge_add(w, a);
	}
}

static void rule_rewrite(struct rewriter *w, const struct network_edge *edge, const uint32_t *first,
			 uint32_t rule, uint32_t *end)
{
	const uint32_t *start = w->start;
	uint32_t ends = states_add(w, 2);
	for (uint32_t i = 0; i < w->members; i++) {
		uint32_t j = w->member[i], count = w->last[j] - start[j];
		w->before[j] = states_add(w, count);
		w->behind[j] = states_add(w, count);
		w->complete[j] = states_add(w, 1);
	}
	for (uint32_t i = 0; i < w->members && w->failed == 0; i++) {
		uint32_t j = w->member[i];
		copies_add(w, edge, first, j);
		empty_add(w, ends, w->before[j]);
		empty_add(w, w->behind[j] + (w->end[j] - start[j]), w->complete[j]);
	}
	empty_add(w, w->complete[rule], ends + 1);
	w->n->start[rule] = ends;
	*end = ends + 1;
}

/* ---- circles ---- */

/* Tarjan's algorithm, with a stack of its own. calls [first[r] .. first[r+1]): what rule r calls at
 * its beginning. */
struct walk {
	uint32_t *index, *low, *stack, *path, *next; /* [rules] */
	uint32_t count, depth, steps;
	uint32_t groups;
};

static void circle_close(struct walk *k, struct rewriter *w, uint32_t r, bool self)
{
	bool alone = k->stack[k->depth - 1] == r;
	uint32_t number = alone && !self ? 0 : ++k->groups, m;
	do {
		m = k->stack[--k->depth];
		w->group[m] = number;
		k->low[m] = UINT32_MAX; /* off the stack */
	} while (m != r);
}

static void circles_from(struct walk *k, struct rewriter *w, uint32_t root, const uint32_t *first,
			 const uint32_t *call)
{
	k->path[k->steps++] = root;
	while (k->steps > 0) {
		uint32_t r = k->path[k->steps - 1];
		if (k->index[r] == 0) {
			k->index[r] = k->low[r] = ++k->count;
			k->next[r] = first[r];
			k->stack[k->depth++] = r;
		}
		bool down = false;
		while (k->next[r] < first[r + 1] && !down) {
			uint32_t to = call[k->next[r]];
			if (k->index[to] == 0) {
				k->path[k->steps++] = to;
				down = true;
				break;
			}
			if (k->low[to] != UINT32_MAX && k->low[to] < k->low[r])
				k->low[r] = k->low[to];
			k->next[r]++;
		}
		if (down)
			continue;
		k->steps--;
		if (k->low[r] == k->index[r]) {
			bool self = false;
			for (uint32_t i = first[r]; i < first[r + 1]; i++)
				self = self || call[i] == r;
			circle_close(k, w, r, self);
		}
	}
}

static int circles_find(struct rewriter *w, const uint32_t *first, const uint32_t *call,
			struct err *e)
{
	size_t n = (size_t)w->rules + 1;
	struct walk k = { .index = calloc(n, sizeof *k.index),
			  .low = calloc(n, sizeof *k.low),
			  .stack = calloc(n, sizeof *k.stack),
			  .path = calloc(n, sizeof *k.path),
			  .next = calloc(n, sizeof *k.next) };
	bool ok = k.index && k.low && k.stack && k.path && k.next;
	for (uint32_t r = 0; ok && r < w->rules; r++) {
		if (k.index[r] == 0)
			circles_from(&k, w, r, first, call);
	}
	free(k.index);
	free(k.low);
	free(k.stack);
	free(k.path);
	free(k.next);
	return ok ? 0 : err_set(e, ERR_NOMEM, "out of memory for the constraint");
}

/* ---- the whole ---- */

/* Rules in circles as one, all others alone. */
static void rules_rewrite(struct rewriter *w, const struct network_edge *edge,
			  const uint32_t *first, uint32_t *end)
{
	const uint32_t *start = w->start;
	for (uint32_t r = 0; r < w->rules && w->failed == 0; r++) {
		if (w->group[r] == 0 && !w->empty[r]) {
			for (uint32_t i = first[start[r]]; i < first[w->last[r]]; i++)
				edge_add(w, edge[i]);
			continue;
		}
		w->members = 0;
		for (uint32_t j = w->group[r] != 0 ? 0 : r; j < w->rules; j++) {
			if (w->group[j] == w->group[r])
				w->member[w->members++] = j;
			if (w->group[r] == 0)
				break;
		}
		rule_rewrite(w, edge, first, r, &end[r]);
	}
}

/* The rule that stands for the root: it, or nothing. */
static void root_add(struct rewriter *w, uint32_t *end)
{
	uint32_t at = states_add(w, 2), rule = w->rules;
	edge_add(w, (struct network_edge){ at, at + 1, w->n->root, NETWORK_CALL, 0, 0 });
	empty_add(w, at, at + 1);
	w->n->start[rule] = at;
	end[rule] = at + 1;
	w->n->root = rule;
	w->n->rules++;
}

static bool rewriter_open(struct rewriter *w, struct grammar *n)
{
	size_t rules = (size_t)n->rules + 1;
	*w = (struct rewriter){ .n = n,
				.rules = n->rules,
				.start = calloc(rules, sizeof *w->start),
				.end = calloc(rules, sizeof *w->end),
				.last = calloc(rules, sizeof *w->last),
				.group = calloc(rules, sizeof *w->group),
				.empty = calloc(rules, sizeof *w->empty),
				.mark = calloc((size_t)n->states + 1, sizeof *w->mark),
				.todo = calloc((size_t)n->states + 1, sizeof *w->todo),
				.member = calloc(rules, sizeof *w->member),
				.before = calloc(rules, sizeof *w->before),
				.behind = calloc(rules, sizeof *w->behind),
				.complete = calloc(rules, sizeof *w->complete) };
	return w->start && w->end && w->last && w->mark && w->todo && w->group && w->empty &&
	       w->member && w->before && w->behind && w->complete;
}

static void rewriter_close(struct rewriter *w)
{
	free(w->edge);
	free(w->start);
	free(w->end);
	free(w->last);
	free(w->mark);
	free(w->todo);
	free(w->group);
	free(w->empty);
	free(w->member);
	free(w->before);
	free(w->behind);
	free(w->complete);
}

/* Room for one rule more. */
static bool rules_grow(struct grammar *n, uint32_t **end)
{
	uint32_t *start = realloc(n->start, ((size_t)n->rules + 1) * sizeof *start);
	n->start = start != NULL ? start : n->start;
	uint32_t *more = realloc(*end, ((size_t)n->rules + 1) * sizeof *more);
	*end = more != NULL ? more : *end;
	return start != NULL && more != NULL;
}

/* Put the new edges in place of the old. */
static int edges_take(struct rewriter *w, struct err *e)
{
	if (w->failed != 0)
		return w->failed == ERR_NOMEM
			       ? err_set(e, ERR_NOMEM, "out of memory for the constraint")
			       : err_set(e, ERR_INPUT,
					 "the constraint has more than %u states without its left "
					 "recursion",
					 LIMIT_CONSTRAINT_NODES);
	free(w->n->edge);
	w->n->edge = w->edge;
	w->n->edges = w->edges;
	w->edge = NULL;
	return 0;
}

static int rewrite(struct rewriter *w, uint32_t **end, struct err *e)
{
	struct grammar *n = w->n;
	uint32_t *first = calloc((size_t)n->rules + 2, sizeof *first),
		 *call = calloc((size_t)n->edges + 1, sizeof *call);
	int rc = first != NULL && call != NULL && rules_grow(n, end)
			 ? network_beginnings(n, first, call, e)
			 : err_set(e, ERR_NOMEM, "out of memory for the constraint");
	if (rc == 0)
		rc = circles_find(w, first, call, e);
	if (rc == 0)
		rc = network_empty(n, *end, w->empty, e);
	if (rc == 0) {
		memcpy(w->start, n->start, n->rules * sizeof *w->start);
		memcpy(w->end, *end, n->rules * sizeof *w->end);
		for (uint32_t r = 0; r < w->rules; r++)
			w->last[r] = r + 1 < w->rules ? w->start[r + 1] : n->states;
		for (uint32_t r = 0; r < w->rules; r++)
			mark_beginning(w, n->edge, n->first, r);
		rules_rewrite(w, n->edge, n->first, *end);
		if (w->empty[n->root])
			root_add(w, *end);
		rc = edges_take(w, e);
	}
	free(first);
	free(call);
	return rc;
}

int network_recursion(struct grammar *n, uint32_t **end, struct err *e)
{
	struct rewriter w = { 0 };
	int rc = rewriter_open(&w, n) ? rewrite(&w, end, e)
				      : err_set(e, ERR_NOMEM, "out of memory for the constraint");
	rewriter_close(&w);
	return rc;
}
