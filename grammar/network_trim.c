/* Three passes over the edges: which states can reach the end of their rule at all (others are
 * dropped, so that no answer is led into a dead end), which can without reading a byte (calls of
 * such rules may be skipped), and an order of the rules in which none calls an earlier one at its
 * very beginning. There is one unless a rule is left-recursive. */
#include "grammar/network.h"

#include <stdlib.h>
#include <string.h>

/* Edges by the state they lead to, and calls by their rule. */
struct backward {
	uint32_t *first, *edge;      /* [states+1], [edges] */
	uint32_t *call_first, *call; /* [rules+1], [calls] */
	uint32_t *rule_of_start;     /* [states]: rule + 1 */
	uint32_t *todo, count;       /* [states] */
	bool *reached;               /* [states] */
};

static void backward_free(struct backward *w)
{
	free(w->first);
	free(w->edge);
	free(w->call_first);
	free(w->call);
	free(w->rule_of_start);
	free(w->todo);
	free(w->reached);
}

static int backward_open(struct backward *w, const struct grammar *n, struct err *e)
{
	*w = (struct backward){
		.first = calloc(n->states + 2, sizeof *w->first),
		.edge = calloc(n->edges + 1, sizeof *w->edge),
		.call_first = calloc(n->rules + 2, sizeof *w->call_first),
		.call = calloc(n->edges + 1, sizeof *w->call),
		.rule_of_start = calloc(n->states, sizeof *w->rule_of_start),
		.todo = calloc(n->states, sizeof *w->todo),
		.reached = calloc(n->states, sizeof *w->reached),
	};
	if (!w->first || !w->edge || !w->call_first || !w->call || !w->rule_of_start || !w->todo ||
	    !w->reached)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	for (uint32_t i = 0; i < n->edges; i++) { /* two places ahead: filling moves them back */
		w->first[n->edge[i].to + 2]++;
		if (n->edge[i].kind == NETWORK_CALL)
			w->call_first[n->edge[i].rule + 2]++;
	}
	for (uint32_t i = 0; i < n->states; i++)
		w->first[i + 2] += w->first[i + 1];
	for (uint32_t i = 0; i < n->rules; i++)
		w->call_first[i + 2] += w->call_first[i + 1];
	for (uint32_t i = 0; i < n->edges; i++) {
		w->edge[w->first[n->edge[i].to + 1]++] = i;
		if (n->edge[i].kind == NETWORK_CALL)
			w->call[w->call_first[n->edge[i].rule + 1]++] = i;
	}
	for (uint32_t i = 0; i < n->rules; i++)
		w->rule_of_start[n->start[i]] = i + 1;
	return 0;
}

static void reach(struct backward *w, uint32_t state)
{
	if (!w->reached[state])
		w->todo[w->count++] = state;
	w->reached[state] = true;
}

/* All states from which their rule's end can be reached; empty: without reading a byte. */
static void reach_all(struct backward *w, const struct grammar *n, const uint32_t *end, bool empty)
{
	memset(w->reached, 0, n->states * sizeof *w->reached);
	w->count = 0;
	for (uint32_t i = 0; i < n->rules; i++)
		reach(w, end[i]);
	while (w->count > 0) {
		uint32_t state = w->todo[--w->count], rule = w->rule_of_start[state];
		for (uint32_t i = w->first[state]; i < w->first[state + 1]; i++) {
			const struct network_edge *edge = &n->edge[w->edge[i]];
			bool passable =
				edge->kind == NETWORK_EMPTY || edge->kind == NETWORK_MARK ||
				(edge->kind == NETWORK_BYTE ? !empty
							    : w->reached[n->start[edge->rule]]);
			if (passable)
				reach(w, edge->from);
		}
		for (uint32_t i = rule > 0 ? w->call_first[rule - 1] : 0;
		     rule > 0 && i < w->call_first[rule]; i++) {
			const struct network_edge *edge = &n->edge[w->call[i]];
			if (w->reached[edge->to])
				reach(w, edge->from);
		}
	}
}

static void drop_dead(struct grammar *n, const bool *live)
{
	uint32_t kept = 0;
	for (uint32_t i = 0; i < n->edges; i++) {
		const struct network_edge *edge = &n->edge[i];
		if (live[edge->to] && (edge->kind != NETWORK_CALL || live[n->start[edge->rule]]))
			n->edge[kept++] = *edge;
	}
	n->edges = kept;
}

static int add_skips(struct grammar *n, const bool *empty, struct err *e)
{
	uint32_t more = 0, count = n->edges;
	for (uint32_t i = 0; i < count; i++)
		more += n->edge[i].kind == NETWORK_CALL && empty[n->start[n->edge[i].rule]];
	struct network_edge *edge = realloc(n->edge, (count + more + 1) * sizeof *edge);
	if (edge == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	n->edge = edge;
	for (uint32_t i = 0; i < count; i++) {
		if (edge[i].kind == NETWORK_CALL && empty[n->start[edge[i].rule]])
			edge[n->edges++] = (struct network_edge){ edge[i].from,  edge[i].to, 0,
								  NETWORK_EMPTY, 0,          0 };
	}
	return 0;
}

int network_empty(const struct grammar *n, const uint32_t *end, bool *empty, struct err *e)
{
	struct backward w;
	int rc = backward_open(&w, n, e);
	if (rc == 0)
		reach_all(&w, n, end, true);
	for (uint32_t i = 0; rc == 0 && i < n->rules; i++)
		empty[i] = w.reached[n->start[i]];
	backward_free(&w);
	return rc;
}

int network_trim(struct grammar *n, const uint32_t *end, bool skips, struct err *e)
{
	struct backward w;
	int rc = backward_open(&w, n, e);
	if (rc == 0) {
		reach_all(&w, n, end, false);
		if (!w.reached[n->start[n->root]])
			rc = err_set(e, ERR_INPUT, "nothing can satisfy the constraint");
		drop_dead(n, w.reached);
	}
	backward_free(&w);
	w = (struct backward){ 0 };
	if (rc == 0 && skips)
		rc = backward_open(&w, n, e);
	if (rc == 0 && skips) {
		reach_all(&w, n, end, true);
		rc = add_skips(n, w.reached, e);
	}
	backward_free(&w);
	free(n->end);
	n->end = rc == 0 ? calloc(n->states, sizeof *n->end) : NULL;
	for (uint32_t i = 0; n->end != NULL && i < n->rules; i++)
		n->end[end[i]] = true;
	return rc == 0 && n->end == NULL ? err_set(e, ERR_NOMEM, "out of memory for the constraint")
					 : rc;
}

/* ---- the order of rules ---- */

struct walk {
	const struct grammar *n;
	uint32_t *mark, *todo; /* [states]: the last rule + 1 that saw it; stack */
};

/* The rules called at the very beginning of this one, through its EMPTY edges. */
static uint32_t first_calls(struct walk *w, uint32_t rule, uint32_t *out)
{
	const struct grammar *n = w->n;
	uint32_t count = 0, found = 0;
	w->todo[count++] = n->start[rule];
	w->mark[n->start[rule]] = rule + 1;
	while (count > 0) {
		uint32_t state = w->todo[--count];
		for (uint32_t i = n->first[state]; i < n->first[state + 1]; i++) {
			const struct network_edge *edge = &n->edge[i];
			if (edge->kind == NETWORK_CALL)
				out[found++] = edge->rule;
			bool reads = edge->kind == NETWORK_CALL || edge->kind == NETWORK_BYTE;
			if (!reads && w->mark[edge->to] != rule + 1) {
				w->mark[edge->to] = rule + 1;
				w->todo[count++] = edge->to;
			}
		}
	}
	return found;
}

int network_beginnings(const struct grammar *n, uint32_t *first, uint32_t *call, struct err *e)
{
	struct walk w = { .n = n,
			  .mark = calloc(n->states, sizeof *w.mark),
			  .todo = calloc(n->states, sizeof *w.todo) };
	bool ok = w.mark != NULL && w.todo != NULL;
	first[0] = 0;
	for (uint32_t i = 0; ok && i < n->rules; i++)
		first[i + 1] = first[i] + first_calls(&w, i, call + first[i]);
	free(w.mark);
	free(w.todo);
	return ok ? 0 : err_set(e, ERR_NOMEM, "out of memory for the constraint");
}

/* Topological sort, callers first. Returns how many rules were ordered: fewer than all means a
 * circle. callers, ready [rules]. */
static uint32_t sort_rules(const struct grammar *n, const uint32_t *first, const uint32_t *call,
			   uint32_t *callers, uint32_t *ready)
{
	uint32_t count = 0, done = 0;
	for (uint32_t i = 0; i < first[n->rules]; i++)
		callers[call[i]]++;
	for (uint32_t i = 0; i < n->rules; i++) {
		if (callers[i] == 0)
			ready[count++] = i;
	}
	while (done < count) {
		uint32_t rule = ready[done];
		n->order[rule] = done++;
		for (uint32_t i = first[rule]; i < first[rule + 1]; i++) {
			if (--callers[call[i]] == 0)
				ready[count++] = call[i];
		}
	}
	return done;
}

int network_order(struct grammar *n, bool *circle, struct err *e)
{
	size_t rules = (size_t)n->rules + 1;
	uint32_t *first = calloc(rules, sizeof *first),
		 *call = calloc((size_t)n->edges + 1, sizeof *call),
		 *callers = calloc(rules, sizeof *callers), *ready = calloc(rules, sizeof *ready);
	free(n->order);
	n->order = calloc(rules, sizeof *n->order);
	bool ok = first && call && callers && ready && n->order;
	int rc = ok ? network_beginnings(n, first, call, e)
		    : err_set(e, ERR_NOMEM, "out of memory for the constraint");
	if (rc == 0)
		*circle = sort_rules(n, first, call, callers, ready) < n->rules;
	free(first);
	free(call);
	free(callers);
	free(ready);
	return rc;
}
