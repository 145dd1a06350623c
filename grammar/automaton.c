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
 * lists do not nest. Rules that may be empty are skipped by EMPTY edges of the network.
 *
 * An exact automaton keeps in each pair the guard of its way too (automaton_guard.h): as one more
 * member of the stack on top. Stacks below, and those that are called with, have none. A
 * configuration from which no answer can come without a text that its scope had is DEAD: those in
 * which a text at work is still the beginning of a former one are searched for a way out. */
#include "grammar/automaton_guard.h"
#include "grammar/network.h"
#include "grammar/network_sets.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define ROOT 0                   /* the stack below everything */
#define ACCEPT UINT32_MAX        /* a state: the pair (ACCEPT, ROOT) says that the text may end */
#define TOUCHED (UINT32_MAX - 1) /* the pair (TOUCHED, ROOT): automaton_touches */
#define GUARDED UINT32_MAX       /* in a stack: its guard */

struct call {
	uint32_t order, rule, guard;
	struct network_pair place;
};

struct automaton {
	const struct grammar *n;
	struct network_sets stack, config;
	uint32_t *next; /* [next_room][classes]: AUTOMATON_FULL where not known */
	uint32_t next_room, work;
	uint32_t left; /* work that is allowed until more is; UINT32_MAX: any */
	const atomic_bool *stop;
	bool held;
	bool exact;
	struct guards guards;
	struct network_pair *spare; /* [LIMIT_CONSTRAINT_ITEMS + 1] */
	struct memory *known;       /* [KNOWN], of an exact one */
	bool touched, full;         /* within the step at work */
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
#define KNOWN (1u << 15)
#define REACHED_NOT (UINT32_MAX - 1) /* no guard yet */

/* A step of an exact automaton that was made before. */
struct memory {
	uint32_t at, to; /* at 0: none */
	uint8_t byte;
};

/* ---- the step at work ---- */

static void step_begin(struct automaton *a)
{
	a->items = a->done = a->calls = 0;
	a->over = a->deep = a->touched = a->full = false;
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

/* ---- guards of stacks ---- */

static uint32_t stack_guard(const struct automaton *a, uint32_t stack)
{
	if (!a->exact || a->stack.set[stack].count == 0)
		return GUARD_NONE;
	struct network_set s = a->stack.set[stack];
	struct network_pair last = a->stack.pair[s.first + s.count - 1];
	return last.state == GUARDED ? last.stack : GUARD_NONE;
}

/* Without the guard. */
static struct network_set stack_places(const struct automaton *a, uint32_t stack)
{
	struct network_set s = a->stack.set[stack];
	s.count -= stack_guard(a, stack) != GUARD_NONE;
	return s;
}

/* The same stack with this guard. */
static uint32_t stack_with(struct automaton *a, uint32_t stack, uint32_t guard)
{
	struct network_set s = stack_places(a, stack);
	if (stack_guard(a, stack) == guard)
		return stack;
	if (s.count > 0)
		memcpy(a->spare, a->stack.pair + s.first, s.count * sizeof *a->spare);
	if (guard != GUARD_NONE)
		a->spare[s.count++] = (struct network_pair){ GUARDED, guard };
	a->work += s.count;
	uint32_t made = network_sets_number(&a->stack, a->spare, s.count, s.depth);
	a->full = a->full || made == UINT32_MAX;
	return made == UINT32_MAX ? stack : made;
}

static void guard_add(struct automaton *a, uint32_t state, uint32_t stack, uint32_t guard)
{
	a->work += a->guards.work;
	a->guards.work = 0;
	a->full = a->full || a->guards.failed;
	a->deep = a->deep || a->guards.deep;
	if (guard != GUARD_BROKEN && !a->full)
		item_add(a, (struct network_pair){ state, stack_with(a, stack, guard) });
}

static void mark_follow(struct automaton *a, const struct network_edge *edge, uint32_t stack)
{
	a->touched = a->touched || edge->lo == NETWORK_ONCE_BEGIN || edge->lo == NETWORK_ONCE_END;
	if (!a->exact)
		item_add(a, (struct network_pair){ edge->to, stack });
	else
		guard_add(a, edge->to, stack,
			  guards_mark(&a->guards, stack_guard(a, stack), edge->lo));
}

/* ---- calls ---- */

/* Same rule and guard are next to each other. */
static bool is_before(const struct call *x, const struct call *y)
{
	return x->order != y->order ? x->order < y->order : x->guard < y->guard;
}

static void call_push(struct automaton *a, uint32_t rule, struct network_pair place)
{
	struct call c = { a->n->order[rule], rule, stack_guard(a, place.stack), place };
	c.place.stack = stack_with(a, place.stack, GUARD_NONE);
	if (a->calls == LIMIT_CONSTRAINT_ITEMS) {
		a->over = true;
		return;
	}
	uint32_t i = a->calls++;
	for (; i > 0 && is_before(&c, &a->heap[(i - 1) / 2]); i = (i - 1) / 2)
		a->heap[i] = a->heap[(i - 1) / 2];
	a->heap[i] = c;
}

static struct call call_pop(struct automaton *a)
{
	struct call top = a->heap[0], last = a->heap[--a->calls];
	uint32_t i = 0, child;
	for (; (child = 2 * i + 1) < a->calls; i = child) {
		if (child + 1 < a->calls && is_before(&a->heap[child + 1], &a->heap[child]))
			child++;
		if (!is_before(&a->heap[child], &last))
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
			else if (edge->kind == NETWORK_MARK)
				mark_follow(a, edge, p.stack);
			else if (edge->kind == NETWORK_CALL)
				call_push(a, edge->rule,
					  (struct network_pair){ edge->to, p.stack });
		}
		if (!n->end[p.state])
			continue;
		uint32_t guard = stack_guard(a, p.stack);
		struct network_set s = stack_places(a, p.stack);
		if (s.count == 0)
			item_add(a, (struct network_pair){ ACCEPT, ROOT });
		for (uint32_t i = 0; i < s.count; i++) {
			struct network_pair place = a->stack.pair[s.first + i];
			place.stack = stack_with(a, place.stack, guard);
			item_add(a, place);
		}
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
	uint32_t rule = a->heap[0].rule, guard = a->heap[0].guard, depth = 0;
	a->places = 0;
	while (a->calls > 0 && a->heap[0].rule == rule && a->heap[0].guard == guard) {
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
		item_add(a,
			 (struct network_pair){ a->n->start[rule], stack_with(a, stack, guard) });
	return !a->full;
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
	if (a->touched && !a->exact && kept < LIMIT_CONSTRAINT_ITEMS) {
		a->item[kept++] = (struct network_pair){ TOUCHED, ROOT };
		kept = network_pairs_sort(a->item, kept);
	}
	uint32_t before = a->config.count, at = network_sets_number(&a->config, a->item, kept, 0);
	if (at == UINT32_MAX)
		return AUTOMATON_FULL;
	if (!a->exact && a->config.room != a->next_room) {
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
	if (at == before && !a->exact)
		memset(a->next + (size_t)at * n->classes, 0, n->classes * sizeof *a->next);
	return at;
}

static uint32_t step_end(struct automaton *a)
{
	items_follow(a);
	while (a->calls > 0 && !a->over && !a->full) {
		if (!call_begin(a))
			return AUTOMATON_FULL;
		items_follow(a);
	}
	return a->full ? AUTOMATON_FULL : a->over ? AUTOMATON_LIMIT : step_number(a);
}

size_t automaton_bytes(const struct automaton *a)
{
	return network_sets_bytes(&a->stack) + network_sets_bytes(&a->config) +
	       (a->exact ? guards_bytes(&a->guards)
			 : (size_t)a->config.count * a->n->classes * sizeof *a->next);
}

void automaton_allow(struct automaton *a, uint32_t work, const atomic_bool *stop)
{
	a->left = work;
	a->stop = stop;
	a->held = false;
}

bool automaton_spend(struct automaton *a, uint32_t work)
{
	if (a->left != UINT32_MAX)
		a->left -= work < a->left ? work : a->left;
	a->held = a->held || a->left == 0 || (a->stop && atomic_load(a->stop));
	return !a->held;
}

bool automaton_is_held(const struct automaton *a) { return a->held; }

/* One byte on from a configuration, whatever may come then. */
static uint32_t step_make(struct automaton *a, uint32_t at, uint8_t byte)
{
	const struct grammar *n = a->n;
	if (a->work >= LIMIT_CONSTRAINT_WORK || automaton_bytes(a) > LIMIT_CONSTRAINT_CACHE)
		return AUTOMATON_FULL;
	struct network_set s = a->config.set[at];
	step_begin(a);
	for (uint32_t i = 0; i < s.count; i++) {
		struct network_pair p = a->config.pair[s.first + i];
		if (p.state >= TOUCHED)
			continue;
		uint32_t guard = stack_guard(a, p.stack), next = REACHED_NOT;
		for (uint32_t k = n->first[p.state]; k < n->first[p.state + 1]; k++) {
			const struct network_edge *edge = &n->edge[k];
			if (edge->kind != NETWORK_BYTE)
				break;
			a->work++;
			if (edge->lo > byte || byte > edge->hi)
				continue;
			if (guard == GUARD_NONE) {
				item_add(a, (struct network_pair){ edge->to, p.stack });
				continue;
			}
			if (next == REACHED_NOT)
				next = guards_byte(&a->guards, guard, byte);
			guard_add(a, edge->to, p.stack, next);
		}
	}
	return step_end(a);
}

static uint32_t step(struct automaton *a, uint32_t at, uint8_t byte)
{
	uint32_t before = a->work;
	if (!automaton_spend(a, 0))
		return AUTOMATON_FULL;
	uint32_t to = step_make(a, at, byte);
	(void)automaton_spend(a, a->work - before); /* what was made counts */
	return to;
}

/* ---- exact automata ---- */

static struct memory *memory_of(const struct automaton *a, uint32_t at, uint8_t byte)
{
	return &a->known[((at * 256u + byte) * 0x9E3779B1u >> 8) % KNOWN];
}

static uint32_t step_exact(struct automaton *a, uint32_t at, uint8_t byte)
{
	struct memory *m = memory_of(a, at, byte);
	if (m->at == at && m->byte == byte)
		return m->to;
	uint32_t to = step(a, at, byte);
	if (to != AUTOMATON_FULL)
		*m = (struct memory){ at, to, byte };
	return to;
}

/* Some way in it does not repeat, so far, what its scopes had. */
static bool is_free(const struct automaton *a, uint32_t at)
{
	struct network_set s = a->config.set[at];
	for (uint32_t i = s.first; i < s.first + s.count; i++) {
		struct network_pair p = a->config.pair[i];
		if (p.state == ACCEPT || guards_free(&a->guards, stack_guard(a, p.stack)))
			return true;
	}
	return false;
}

void automaton_meets(struct automaton *a, uint32_t at, uint64_t set[4])
{
	struct network_set s = a->config.set[at];
	memset(set, 0, 4 * sizeof *set);
	for (uint32_t i = s.first; i < s.first + s.count && at >= AUTOMATON_START; i++) {
		struct network_pair p = a->config.pair[i];
		if (p.state != ACCEPT)
			guards_next(&a->guards, stack_guard(a, p.stack), set);
	}
}

#define PLACES 1024 /* of a search for a way out; beyond it there is taken to be one */

/* Add what one byte leads to from each of the bytes that matter: those that meet a former text,
 * and of all others one of each class. FULL; START: it is a way out; DEAD: none yet. */
static uint32_t search_from(struct automaton *a, uint32_t at, uint32_t *place, uint32_t *count)
{
	uint64_t meets[4];
	bool tried[256] = { false };
	automaton_meets(a, at, meets);
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t class = a->n->class_of[byte];
		bool met = (meets[byte / 64] >> byte % 64 & 1) != 0;
		if (!met && tried[class])
			continue;
		tried[class] = tried[class] || !met;
		uint32_t to = step_exact(a, at, (uint8_t)byte), k = 0;
		if (to == AUTOMATON_FULL)
			return to;
		if (to < AUTOMATON_START)
			continue;
		while (k < *count && place[k] != to)
			k++;
		if (is_free(a, to) || k == PLACES)
			return AUTOMATON_START;
		if (k == *count)
			place[(*count)++] = to;
	}
	return AUTOMATON_DEAD;
}

/* at, or DEAD where every text at work can only become one that was there; FULL. */
static uint32_t search(struct automaton *a, uint32_t at)
{
	uint32_t place[PLACES] = { at }, count = 1;
	if (is_free(a, at))
		return at;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t out = search_from(a, place[i], place, &count);
		if (out != AUTOMATON_DEAD)
			return out == AUTOMATON_FULL ? out : at;
	}
	return AUTOMATON_DEAD;
}

uint32_t automaton_take(struct automaton *a, uint32_t at, uint8_t byte)
{
	if (at < AUTOMATON_START)
		return at;
	if (a->exact) {
		uint32_t to = step_exact(a, at, byte);
		return to < AUTOMATON_START ? to : search(a, to);
	}
	uint32_t *known = &a->next[(size_t)at * a->n->classes + a->n->class_of[byte]];
	if (*known != AUTOMATON_FULL)
		return *known;
	uint32_t to = step(a, at, byte);
	if (to != AUTOMATON_FULL)
		a->next[(size_t)at * a->n->classes + a->n->class_of[byte]] = to;
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
	if (a->exact)
		memset(a->known, 0, KNOWN * sizeof *a->known);
	bool ok =
		network_sets_number(&a->stack, NULL, 0, 0) == ROOT && guards_open(&a->guards) == 0;
	for (uint32_t i = 0; i < 3; i++)
		ok = network_sets_number(&a->config, &taken[i], 1, 0) == i && ok;
	step_begin(a);
	item_add(a, (struct network_pair){ a->n->start[a->n->root], ROOT });
	if (ok)
		step_end(a);
}

int automaton_release(struct automaton *a)
{
	network_sets_free(&a->stack);
	network_sets_free(&a->config);
	a->stack = a->config = (struct network_sets){ 0 };
	free(a->next);
	a->next = NULL;
	a->next_room = 0;
	automaton_reset(a);
	return automaton_count(a) > AUTOMATON_START ? 0 : ERR_NOMEM;
}

static int open_as(struct automaton **out, const struct grammar *n, bool exact, struct err *e)
{
	struct automaton *a = calloc(1, sizeof *a);
	*out = a;
	if (a == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	a->n = n;
	a->exact = exact;
	a->left = UINT32_MAX;
	a->spare = calloc(LIMIT_CONSTRAINT_ITEMS + 1, sizeof *a->spare);
	a->known = exact ? calloc(KNOWN, sizeof *a->known) : NULL;
	a->item = calloc(LIMIT_CONSTRAINT_ITEMS, sizeof *a->item);
	a->heap = calloc(LIMIT_CONSTRAINT_ITEMS, sizeof *a->heap);
	a->place = calloc(LIMIT_CONSTRAINT_ITEMS, sizeof *a->place);
	a->seen = calloc(SEEN, sizeof *a->seen);
	bool ok = a->spare && (a->known || !exact) && a->item != NULL && a->heap != NULL &&
		  a->place != NULL && a->seen != NULL;
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

int automaton_open(struct automaton **out, const struct grammar *n, struct err *e)
{
	return open_as(out, n, false, e);
}

int automaton_open_exact(struct automaton **out, const struct grammar *n, struct err *e)
{
	return open_as(out, n, true, e);
}

void automaton_close(struct automaton *a)
{
	if (a == NULL)
		return;
	network_sets_free(&a->stack);
	network_sets_free(&a->config);
	guards_close(&a->guards);
	free(a->next);
	free(a->spare);
	free(a->known);
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

bool automaton_touches(const struct automaton *a, uint32_t at)
{
	struct network_set s = a->config.set[at];
	uint32_t last = s.count - (automaton_accepts(a, at) ? 2 : 1); /* may wrap: no such member */
	return at >= AUTOMATON_START && last < s.count &&
	       a->config.pair[s.first + last].state == TOUCHED;
}

bool automaton_goes_on(const struct automaton *a, uint32_t at)
{
	return at >= AUTOMATON_START && a->config.set[at].count - automaton_touches(a, at) >
						(automaton_accepts(a, at) ? 1u : 0u);
}
