/* A deterministic automaton over bytes, built lazily from a network as texts are read.
 *
 * A configuration is the set of all ways to read the bytes so far: pairs (state, stack). A stack
 * is a set too: all the places (state, stack) at which the rule at work was called when it began
 * here. Both are numbered by content, so equal situations are one configuration, whatever led
 * there; and ambiguity costs at most one stack for each rule and byte. Not for several threads.
 *
 * How a step works: follow the byte edges of all items; then the closure: EMPTY edges; at the end
 * of a rule, on to all places of its stack; then calls, rule by rule in the network's order, so
 * that all the places a rule is called from here are known when its stack is made. A call right
 * before the end of its rule adds no place of its own but those of its rule (tail call), so that
 * lists do not nest. Rules that may be empty are skipped by EMPTY edges of the network. */
#include "grammar/network.h"
#include "grammar/network_sets.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define ROOT 0            /* the stack below everything */
#define ACCEPT UINT32_MAX /* a state: the pair (ACCEPT, ROOT) says that the text may end */

struct call {
	uint32_t order, rule;
	struct network_pair place;
};

struct automaton {
	const struct grammar *n;
	struct network_sets stack, config;
	uint32_t *next; /* [next_room][classes]: AUTOMATON_FULL where not known */
	uint32_t next_room, work;
	bool over, deep; /* within the step at work: too many ways; a rule left out that nests too
			    deeply */
	/* the step at work */
	struct network_pair
		*item; /* [LIMIT_CONSTRAINT_ITEMS]; those from `done` on are not yet followed */
	uint32_t items, done;
	struct seen {
		struct network_pair pair;
		uint32_t stamp;
	} * seen; /* [SEEN] */
	uint32_t stamp;
	struct call *heap; /* [LIMIT_CONSTRAINT_ITEMS], smallest order first */
	uint32_t calls;
	struct network_pair *place; /* [LIMIT_CONSTRAINT_ITEMS] */
	uint32_t places;
};

#define SEEN (4 * LIMIT_CONSTRAINT_ITEMS)

/* ---- the step at work ---- */

static void step_begin(struct automaton *a)
{
	a->items = a->done = a->calls = 0;
	a->over = a->deep = false;
	if (++a->stamp == 0) {
		memset(a->seen, 0, SEEN * sizeof *a->seen);
		a->stamp = 1;
	}
}

static void item_add(struct automaton *a, struct network_pair p)
{
	uint32_t h = network_pair_hash(p);
	for (; a->seen[h % SEEN].stamp == a->stamp; h++) {
		if (network_pair_order(&a->seen[h % SEEN].pair, &p) == 0)
			return;
	}
	if (a->items == LIMIT_CONSTRAINT_ITEMS) {
		a->over = true;
		return;
	}
	a->seen[h % SEEN] = (struct seen){ p, a->stamp };
	a->item[a->items++] = p;
}

static void call_push(struct automaton *a, uint32_t rule, struct network_pair place)
{
	struct call c = { a->n->order[rule], rule, place };
	if (a->calls == LIMIT_CONSTRAINT_ITEMS) {
		a->over = true;
		return;
	}
	uint32_t i = a->calls++;
	for (; i > 0 && a->heap[(i - 1) / 2].order > c.order; i = (i - 1) / 2)
		a->heap[i] = a->heap[(i - 1) / 2];
	a->heap[i] = c;
}

static struct call call_pop(struct automaton *a)
{
	struct call top = a->heap[0], last = a->heap[--a->calls];
	uint32_t i = 0, child;
	for (; (child = 2 * i + 1) < a->calls; i = child) {
		if (child + 1 < a->calls && a->heap[child + 1].order < a->heap[child].order)
			child++;
		if (a->heap[child].order >= last.order)
			break;
		a->heap[i] = a->heap[child];
	}
	a->heap[i] = last;
	return top;
}

/* Follow EMPTY edges and ends of rules from all items, and note the calls. */
static void items_follow(struct automaton *a)
{
	const struct grammar *n = a->n;
	for (; a->done < a->items && !a->over; a->done++) {
		struct network_pair p = a->item[a->done];
		if (p.state == ACCEPT)
			continue;
		a->work += 1 + n->first[p.state + 1] - n->first[p.state];
		for (uint32_t i = n->first[p.state]; i < n->first[p.state + 1]; i++) {
			const struct network_edge *edge = &n->edge[i];
			if (edge->kind == NETWORK_EMPTY)
				item_add(a, (struct network_pair){ edge->to, p.stack });
			else if (edge->kind == NETWORK_CALL)
				call_push(a, edge->rule,
					  (struct network_pair){ edge->to, p.stack });
		}
		if (!n->end[p.state])
			continue;
		if (p.stack == ROOT)
			item_add(a, (struct network_pair){ ACCEPT, ROOT });
		struct network_set s = a->stack.set[p.stack];
		for (uint32_t i = 0; i < s.count; i++)
			item_add(a, a->stack.pair[s.first + i]);
		a->work += s.count;
	}
}

static void place_add(struct automaton *a, struct network_pair p)
{
	if (a->places == LIMIT_CONSTRAINT_ITEMS)
		a->over = true;
	else
		a->place[a->places++] = p;
}

/* Whether this place is the last of its rule (a tail call). */
static bool is_tail(const struct grammar *n, uint32_t state)
{
	return n->end[state] && n->first[state] == n->first[state + 1];
}

/* Begin the rule that is next in order, for all places that call it. */
static bool call_begin(struct automaton *a)
{
	uint32_t rule = a->heap[0].rule, depth = 0;
	a->places = 0;
	while (a->calls > 0 && a->heap[0].rule == rule) {
		struct network_pair p = call_pop(a).place;
		struct network_set s = a->stack.set[p.stack];
		if (!is_tail(a->n, p.state) || p.stack == ROOT)
			place_add(a, p);
		else
			for (uint32_t i = 0; i < s.count; i++)
				place_add(a, a->stack.pair[s.first + i]);
	}
	a->places = network_pairs_sort(a->place, a->places);
	a->work += a->places;
	for (uint32_t i = 0; i < a->places; i++) {
		uint32_t d = a->stack.set[a->place[i].stack].depth;
		depth = d > depth ? d : depth;
	}
	if (++depth > LIMIT_CONSTRAINT_DEPTH) {
		a->deep = true;
		return true;
	}
	uint32_t stack =
		a->over ? ROOT : network_sets_number(&a->stack, a->place, a->places, depth);
	if (stack == UINT32_MAX)
		return false;
	if (!a->over)
		item_add(a, (struct network_pair){ a->n->start[rule], stack });
	return true;
}

/* Keep the items that read a byte, and ACCEPT; number them. */
static uint32_t step_number(struct automaton *a)
{
	const struct grammar *n = a->n;
	uint32_t kept = 0;
	for (uint32_t i = 0; i < a->items; i++) {
		uint32_t s = a->item[i].state;
		if (s == ACCEPT ||
		    (n->first[s] < n->first[s + 1] && n->edge[n->first[s]].kind == NETWORK_BYTE))
			a->item[kept++] = a->item[i];
	}
	kept = network_pairs_sort(a->item, kept);
	if (kept == 0)
		return a->deep ? AUTOMATON_LIMIT : AUTOMATON_DEAD;
	uint32_t before = a->config.count, at = network_sets_number(&a->config, a->item, kept, 0);
	if (at == UINT32_MAX)
		return AUTOMATON_FULL;
	if (a->config.room != a->next_room) {
		uint32_t *next =
			realloc(a->next, (size_t)a->config.room * n->classes * sizeof *next);
		if (next == NULL) {
			a->config.count = before; /* the slot stays, and is cleared by the reset */
			a->work = LIMIT_CONSTRAINT_WORK;
			return AUTOMATON_FULL;
		}
		a->next = next;
		a->next_room = a->config.room;
	}
	if (at == before)
		memset(a->next + (size_t)at * n->classes, 0, n->classes * sizeof *a->next);
	return at;
}

static uint32_t step_end(struct automaton *a)
{
	items_follow(a);
	while (a->calls > 0 && !a->over) {
		if (!call_begin(a))
			return AUTOMATON_FULL;
		items_follow(a);
	}
	return a->over ? AUTOMATON_LIMIT : step_number(a);
}

static size_t bytes_used(const struct automaton *a)
{
	return network_sets_bytes(&a->stack) + network_sets_bytes(&a->config) +
	       (size_t)a->config.count * a->n->classes * sizeof *a->next;
}

uint32_t automaton_take(struct automaton *a, uint32_t at, uint8_t byte)
{
	const struct grammar *n = a->n;
	uint32_t class = n->class_of[byte];
	if (at < AUTOMATON_START)
		return at;
	uint32_t known = a->next[(size_t)at * n->classes + class];
	if (known != AUTOMATON_FULL)
		return known;
	if (a->work >= LIMIT_CONSTRAINT_WORK || bytes_used(a) > LIMIT_CONSTRAINT_CACHE)
		return AUTOMATON_FULL;
	struct network_set s = a->config.set[at];
	step_begin(a);
	for (uint32_t i = 0; i < s.count; i++) {
		struct network_pair p = a->config.pair[s.first + i];
		if (p.state == ACCEPT)
			continue;
		for (uint32_t k = n->first[p.state]; k < n->first[p.state + 1]; k++) {
			const struct network_edge *edge = &n->edge[k];
			if (edge->kind != NETWORK_BYTE)
				break;
			a->work++;
			if (edge->lo <= byte && byte <= edge->hi)
				item_add(a, (struct network_pair){ edge->to, p.stack });
		}
	}
	uint32_t to = step_end(a);
	if (to != AUTOMATON_FULL)
		a->next[(size_t)at * n->classes + class] = to;
	return to;
}

/* ---- life ---- */

/* Numbers 0 to 2 are taken, and 3 is the start. */
void automaton_reset(struct automaton *a)
{
	static const struct network_pair taken[] = { { ACCEPT, 1 }, { ACCEPT, 2 }, { ACCEPT, 3 } };
	network_sets_clear(&a->stack);
	network_sets_clear(&a->config);
	a->work = 0;
	bool ok = network_sets_number(&a->stack, NULL, 0, 0) == ROOT;
	for (uint32_t i = 0; i < 3; i++)
		ok = network_sets_number(&a->config, &taken[i], 1, 0) == i && ok;
	step_begin(a);
	item_add(a, (struct network_pair){ a->n->start[a->n->root], ROOT });
	if (ok)
		step_end(a);
}

int automaton_open(struct automaton **out, const struct grammar *n, struct err *e)
{
	struct automaton *a = calloc(1, sizeof *a);
	*out = a;
	if (a == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	a->n = n;
	a->item = calloc(LIMIT_CONSTRAINT_ITEMS, sizeof *a->item);
	a->heap = calloc(LIMIT_CONSTRAINT_ITEMS, sizeof *a->heap);
	a->place = calloc(LIMIT_CONSTRAINT_ITEMS, sizeof *a->place);
	a->seen = calloc(SEEN, sizeof *a->seen);
	bool ok = a->item != NULL && a->heap != NULL && a->place != NULL && a->seen != NULL;
	if (ok)
		automaton_reset(a);
	if (ok && automaton_count(a) > AUTOMATON_START)
		return 0;
	bool over = a->over;
	automaton_close(a);
	*out = NULL;
	return over ? err_set(e, ERR_INPUT, "the constraint can begin in more than %u ways",
			      LIMIT_CONSTRAINT_ITEMS)
		    : err_set(e, ERR_NOMEM, "out of memory for the constraint");
}

void automaton_close(struct automaton *a)
{
	if (a == NULL)
		return;
	network_sets_free(&a->stack);
	network_sets_free(&a->config);
	free(a->next);
	free(a->item);
	free(a->heap);
	free(a->place);
	free(a->seen);
	free(a);
}

const uint8_t *automaton_classes(const struct automaton *a) { return a->n->class_of; }

const uint32_t *automaton_row(const struct automaton *a, uint32_t at)
{
	return a->next + (size_t)at * a->n->classes;
}

uint32_t automaton_count(const struct automaton *a) { return a->config.count; }

bool automaton_accepts(const struct automaton *a, uint32_t at)
{
	struct network_set s = a->config.set[at];
	return at >= AUTOMATON_START && a->config.pair[s.first + s.count - 1].state == ACCEPT;
}

bool automaton_goes_on(const struct automaton *a, uint32_t at)
{
	return at >= AUTOMATON_START &&
	       a->config.set[at].count > (automaton_accepts(a, at) ? 1u : 0u);
}
