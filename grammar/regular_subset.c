/* The subset construction over ways through the network and what they promise. */
#include "grammar/regular_machine.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

static bool reads(struct machine *m, uint32_t node, uint32_t class)
{
	uint64_t *bits = m->set[node];
	if (bits == NULL) {
		const struct pattern_node *n = &m->p->node[node];
		bits = m->set[node] = calloc(m->alphabet.classes / 64 + 1, sizeof *bits);
		if (bits == NULL) {
			regular_no_memory(m);
			return false;
		}
		for (uint32_t i = 0; i < m->alphabet.ranges; i++) {
			struct regular_range r = m->alphabet.range[i];
			uint32_t lo = n->a, hi = n->a + n->b;
			while (lo < hi) { /* a set's ranges are sorted */
				uint32_t middle = lo + (hi - lo) / 2;
				if (m->p->range[middle].hi < r.lo)
					lo = middle + 1;
				else
					hi = middle;
			}
			if (lo < n->a + n->b && m->p->range[lo].lo <= r.lo)
				bits[r.class / 64] |= (uint64_t)1 << r.class % 64;
		}
		regular_worked(m, m->alphabet.ranges);
	}
	return (bits[class / 64] >> class % 64 & 1) != 0;
}

/* ---- contexts ---- */

static struct network_set context_of(const struct machine *m, uint32_t at)
{
	return m->context.set[at];
}

/* pair [0]: the kind; [1 + k]: the state of lookbehind k. */
static uint32_t context_number(struct machine *m, const struct network_pair *pair)
{
	uint32_t n = network_sets_number(&m->context, pair, 1 + m->behinds, 0);
	if (n == UINT32_MAX)
		regular_no_memory(m);
	return n == UINT32_MAX ? 0 : n;
}

static uint32_t context_next(struct machine *m, uint32_t at, uint32_t class)
{
	struct network_pair pair[1 + REGEX_KNOWN];
	uint32_t first = context_of(m, at).first;
	pair[0] = (struct network_pair){ m->kinds ? m->kind[class] : EDGE, 0 };
	for (uint32_t k = 0; k < m->behinds; k++) {
		const struct automaton_of *b = &m->behind[k];
		pair[k + 1] = (struct network_pair){
			b->r->next[(size_t)m->context.pair[first + k + 1].state * b->r->classes +
				   b->class[class]],
			k
		};
	}
	return context_number(m, pair);
}

uint32_t regular_context_start(struct machine *m)
{
	struct network_pair pair[1 + REGEX_KNOWN] = { { EDGE, 0 } };
	for (uint32_t k = 0; k < m->behinds; k++)
		pair[k + 1] = (struct network_pair){ 0, k };
	return context_number(m, pair);
}

/* ---- promises ---- */

/* Whether what is promised cannot be kept, needs nothing more, or goes on. */
enum kept { BROKEN, KEPT, OPEN };

static enum kept promise_next(const struct machine *m, struct network_pair *p, uint32_t class)
{
	if (p->state == NEXT) {
		uint32_t kind = m->kind[class];
		if ((p->stack & BIT(kind)) != 0)
			return KEPT;
		if (kind != LINE || (p->stack & NEWLINE_ENDS) == 0)
			return BROKEN;
		p->stack = BIT(EDGE);
		return OPEN;
	}
	const struct automaton_of *look = &m->look[p->state];
	p->stack = look->r->next[(size_t)p->stack * look->r->classes + look->class[class]];
	return regular_state_all(look->r, p->stack)    ? KEPT
	       : regular_state_none(look->r, p->stack) ? BROKEN
						       : OPEN;
}

static bool promises_end(const struct machine *m, uint32_t promises)
{
	struct network_set s = m->promise.set[promises];
	for (uint32_t i = s.first; i < s.first + s.count; i++) {
		struct network_pair p = m->promise.pair[i];
		if (p.state == NEXT ? (p.stack & BIT(EDGE)) == 0
				    : !m->look[p.state].r->accept[p.stack])
			return false;
	}
	return true;
}

static uint32_t promises_number(struct machine *m, struct network_pair *pair, uint32_t count)
{
	count = network_pairs_sort(pair, count);
	uint32_t n = network_sets_number(&m->promise, pair, count, 0);
	if (n == UINT32_MAX)
		regular_no_memory(m);
	return n == UINT32_MAX ? NO_PROMISE : n;
}

#define PROMISES 64 /* that hold at once */

/* After one more character; false: one is broken. */
static bool promises_next(struct machine *m, uint32_t *promises, uint32_t class)
{
	struct network_set s = m->promise.set[*promises];
	struct network_pair pair[PROMISES];
	uint32_t count = 0;
	for (uint32_t i = 0; i < s.count; i++) {
		struct network_pair p = m->promise.pair[s.first + i];
		enum kept kept = promise_next(m, &p, class);
		if (kept == BROKEN)
			return false;
		if (kept == OPEN)
			pair[count++] = p;
	}
	regular_worked(m, s.count);
	*promises = count > 0 ? promises_number(m, pair, count) : NO_PROMISE;
	return true;
}

static void promises_add(struct machine *m, uint32_t *promises, struct network_pair more)
{
	struct network_set s = m->promise.set[*promises];
	struct network_pair pair[PROMISES + 1];
	regular_worked(m, s.count);
	if (s.count == PROMISES && regular_going(m))
		m->rc = err_set(
			m->e, ERR_UNSUPPORTED,
			"a regular expression in which more than %d lookaheads hold at once "
			"is not available",
			PROMISES);
	if (!regular_going(m))
		return;
	if (s.count > 0)
		memcpy(pair, m->promise.pair + s.first, s.count * sizeof *pair);
	pair[s.count] = more;
	*promises = promises_number(m, pair, s.count + 1);
}

/* ---- guards ---- */

/* The kinds of next character with which the place behind `kind` certainly is a boundary, or
 * certainly none. */
static uint32_t boundary_mask(enum kind kind, bool none)
{
	if (kind == WORD)
		return none ? BIT(WORD) : BIT(EDGE) | NOT_WORD;
	if (kind == EDGE)
		return none ? NOT_WORD : BIT(WORD); /* an empty text has no \B to Python */
	if ((BIT(kind) & NOT_WORD) != 0)
		return none ? BIT(EDGE) | NOT_WORD : BIT(WORD);
	return none && kind == WORD_WIDE ? BIT(WORD_WIDE) : 0;
}

/* What a $ or \b promises of the next character. */
static uint32_t next_mask(const struct pattern_node *n, enum kind kind)
{
	bool lines = n->a != 0, wide = n->b != 0;
	if (n->kind == PATTERN_WORD && wide) {
		uint32_t other = boundary_mask(kind, n->a == 0);
		/* an empty text has no \b to either */
		other |= kind == EDGE && n->a == 0 ? BIT(EDGE) : 0;
		return (BIT(KINDS) - 1) & ~other;
	}
	if (n->kind == PATTERN_WORD)
		return boundary_mask(kind, n->a != 0);
	if (lines)
		return BIT(EDGE) | BIT(LINE) | (wide ? BIT(LINE_WIDE) : 0);
	return BIT(EDGE) | (wide ? NEWLINE_ENDS : 0);
}

static uint32_t look_in(struct machine *m, uint32_t node, uint32_t context);

/* Whether the guard lets through in this context, and what it promises. */
static bool guard_pass(struct machine *m, uint32_t node, uint32_t context, uint32_t *promises)
{
	const struct pattern_node n = m->p->node[node];
	uint32_t first = context_of(m, context).first;
	enum kind kind = (enum kind)m->context.pair[first].state;
	if (context == 0 && n.kind != PATTERN_END &&
	    (n.kind != PATTERN_LOOK || (n.a & PATTERN_LOOK_BEHIND) != 0))
		m->asked = true;
	if (n.kind == PATTERN_BEGIN)
		return kind == EDGE || (n.a != 0 && (kind == LINE || (n.b && kind == LINE_WIDE)));
	if (n.kind != PATTERN_LOOK) {
		uint32_t mask = next_mask(&n, kind);
		if (mask != 0 && mask != BIT(KINDS) - 1)
			promises_add(m, promises, (struct network_pair){ NEXT, mask });
		return mask != 0;
	}
	bool not = (n.a & PATTERN_LOOK_NOT) != 0;
	if ((n.a & PATTERN_LOOK_BEHIND) != 0) {
		uint32_t k = m->body[node];
		return m->behind[k].r->accept[m->context.pair[first + 1 + k].state] != not ;
	}
	uint32_t at = look_in(m, node, context);
	if (!regular_going(m) || regular_is_empty(m->look[at].r))
		return false;
	if (!regular_is_all(m->look[at].r))
		promises_add(m, promises, (struct network_pair){ at, 0 });
	return true;
}

/* ---- the subset construction ---- */

/* Ways at one place, for one automaton at work. */
struct ways {
	struct network_pair *item, *seen; /* [room], [4 * room]: state + 1, or 0 */
	uint32_t *slot;                   /* [count]: of seen that are set */
	uint32_t count;
};

#define WAYS (1u << 15)
#define WAYS_WORK (WAYS / 4) /* steps that their memory is worth */

static bool ways_open(struct ways *w)
{
	*w = (struct ways){ .item = calloc(WAYS, sizeof *w->item),
			    .seen = calloc((size_t)4 * WAYS, sizeof *w->seen),
			    .slot = calloc(WAYS, sizeof *w->slot) };
	return w->item != NULL && w->seen != NULL && w->slot != NULL;
}

static void ways_free(struct ways *w)
{
	free(w->item);
	free(w->seen);
	free(w->slot);
}

static void ways_clear(struct ways *w)
{
	for (uint32_t i = 0; i < w->count; i++)
		w->seen[w->slot[i]].state = 0;
	w->count = 0;
}

static void way_add(struct machine *m, struct ways *w, uint32_t state, uint32_t promises)
{
	struct network_pair p = { state + 1, promises };
	uint32_t h = network_pair_hash(p) % (4 * WAYS);
	for (; w->seen[h].state != 0; h = (h + 1) % (4 * WAYS)) {
		if (network_pair_order(&w->seen[h], &p) == 0)
			return;
	}
	if (w->count == WAYS) {
		if (regular_going(m))
			m->rc = regular_large(m->e);
		return;
	}
	w->seen[h] = p;
	w->slot[w->count] = h;
	w->item[w->count++] = (struct network_pair){ state, promises };
}

/* Follow what reads nothing, then keep the ways that read, or accept; the number of that set. A way
 * without promises makes others of its state needless; one that accepts anything, all others. */
static uint32_t ways_number(struct machine *m, struct ways *w, uint32_t context,
			    struct network_sets *sets)
{
	uint32_t kept = 1;
	for (uint32_t i = 0; i < w->count && regular_going(m); i++) {
		struct network_pair at = w->item[i];
		for (uint32_t k = m->first[at.state]; k < m->first[at.state + 1]; k++) {
			uint32_t promises = at.stack;
			if (m->edge[k].kind == SKIP ||
			    (m->edge[k].kind == GUARD &&
			     guard_pass(m, m->edge[k].node, context, &promises)))
				way_add(m, w, m->edge[k].to, promises);
		}
		regular_worked(m, 1 + m->first[at.state + 1] - m->first[at.state]);
	}
	struct network_pair *out = calloc((size_t)w->count + 1, sizeof *out);
	if (out == NULL) {
		regular_no_memory(m);
		return 0;
	}
	out[0] = (struct network_pair){ context, NEXT };
	for (uint32_t i = 0; i < w->count; i++) {
		uint32_t s = w->item[i].state, k = m->first[s];
		while (k < m->first[s + 1] && m->edge[k].kind != READ)
			k++;
		if (s == LOOP || s == END || k < m->first[s + 1])
			out[kept++] = w->item[i];
	}
	kept = 1 + network_pairs_sort(out + 1, kept - 1);
	uint32_t less = 1;
	for (uint32_t i = 1; i < kept; i++) {
		if (less == 1 || out[less - 1].state != out[i].state ||
		    out[less - 1].stack != NO_PROMISE)
			out[less++] = out[i];
	}
	if (less > 1 && out[1].state == LOOP && out[1].stack == NO_PROMISE) {
		less = 2;
		out[0].state = 0;
	}
	uint32_t n = less == 1 ? REGULAR_NONE : network_sets_number(sets, out, less, 0);
	if (less > 1 && n == UINT32_MAX)
		regular_no_memory(m);
	free(out);
	return n;
}

/* The state of the result, which is the set at, on one class. */
static uint32_t ways_next(struct machine *m, struct ways *w, struct network_sets *sets, uint32_t at,
			  uint32_t class)
{
	struct network_set s = sets->set[at];
	uint32_t context = context_next(m, sets->pair[s.first].state, class);
	ways_clear(w);
	for (uint32_t i = s.first + 1; i < s.first + s.count && regular_going(m); i++) {
		struct network_pair from = sets->pair[i];
		uint32_t promises = from.stack;
		bool kept = true, asked = false;
		for (uint32_t k = m->first[from.state]; kept && k < m->first[from.state + 1]; k++) {
			if (m->edge[k].kind != READ || !reads(m, m->edge[k].node, class))
				continue;
			if (!asked)
				kept = promises_next(m, &promises, class);
			asked = true;
			if (kept)
				way_add(m, w, m->edge[k].to, promises);
		}
		regular_worked(m, 1 + m->first[from.state + 1] - m->first[from.state]);
	}
	return regular_going(m) ? ways_number(m, w, context, sets) : 0;
}

static bool ways_accept(const struct machine *m, const struct network_sets *sets, uint32_t at)
{
	struct network_set s = sets->set[at];
	for (uint32_t i = s.first + 1; i < s.first + s.count; i++) {
		struct network_pair at_end = sets->pair[i];
		bool kept = m->token && at_end.state == END
				    ? m->may || at_end.stack == NO_PROMISE
				    : at_end.state <= END && promises_end(m, at_end.stack);
		if (kept)
			return true;
	}
	return false;
}

struct regular *regular_determine(struct machine *m, uint32_t start, uint32_t context)
{
	struct network_sets sets = { 0 };
	struct ways w = { 0 };
	struct regular *r = calloc(1, sizeof *r);
	regular_worked(m, WAYS_WORK);
	if (r == NULL || (regular_going(m) && !ways_open(&w)))
		regular_no_memory(m);
	if (regular_going(m)) {
		*r = (struct regular){ .ranges = m->alphabet.ranges,
				       .classes = m->alphabet.classes,
				       .work = &m->p->work };
		r->range = calloc(r->ranges, sizeof *r->range);
		if (r->range == NULL)
			regular_no_memory(m);
		else
			memcpy(r->range, m->alphabet.range, r->ranges * sizeof *r->range);
	}
	if (regular_going(m)) {
		way_add(m, &w, start, NO_PROMISE);
		if (ways_number(m, &w, context, &sets) == REGULAR_NONE && regular_going(m))
			m->rc = regular_state(r, false, m->e); /* nothing */
	}
	for (uint32_t s = 0; regular_going(m) && s < sets.count; s++) {
		m->rc = regular_state(r, ways_accept(m, &sets, s), m->e);
		for (uint32_t c = 0; regular_going(m) && c < r->classes; c++) {
			uint32_t to = ways_next(m, &w, &sets, s, c);
			r->next[(size_t)s * r->classes + c] = to;
		}
	}
	if (regular_going(m))
		m->rc = regular_finish(r, m->e);
	ways_free(&w);
	network_sets_free(&sets);
	if (!regular_going(m)) {
		regular_close(r);
		r = NULL;
	}
	return r;
}

/* ---- lookaheads ---- */

/* Its own class for each of the alphabet's. */
uint32_t *regular_classes_of(struct machine *m, const struct regular *r)
{
	uint32_t *class = calloc((size_t)m->alphabet.classes + 1, sizeof *class);
	if (class == NULL)
		regular_no_memory(m);
	for (uint32_t i = 0; class != NULL && i < m->alphabet.ranges; i++) {
		struct regular_range range = m->alphabet.range[i];
		class[range.class] = regular_class(r, range.lo);
	}
	return class;
}

/* The number in m->look of what a lookahead promises in this context. Equal ones are one. */
static uint32_t look_in(struct machine *m, uint32_t node, uint32_t context)
{
	regular_worked(m, m->looks / 4);
	for (uint32_t i = 0; i < m->looks; i++) {
		if (m->look[i].node == node && m->look[i].context == context)
			return m->look[i].same;
	}
	struct regular *r = regular_determine(m, m->body[node], context), *other = NULL;
	if (regular_going(m) && (m->p->node[node].a & PATTERN_LOOK_NOT) != 0) {
		m->rc = regular_complement(&other, r, m->e);
		regular_close(r);
		r = other;
	}
	if (!regular_going(m) || !regular_grow(m, (void **)&m->look, m->looks, sizeof *m->look)) {
		regular_close(r);
		return 0;
	}
	uint32_t same = 0;
	while (same < m->looks && (m->look[same].r == NULL || !regular_equal(m->look[same].r, r)))
		regular_worked(m, (uint64_t)r->states * r->classes / 16), same++;
	m->look[m->looks] = (struct automaton_of){ node, context, same, NULL, NULL };
	if (same < m->looks) {
		regular_close(r);
	} else {
		m->look[m->looks].r = r;
		m->look[m->looks].class = regular_classes_of(m, r);
	}
	m->looks++;
	return same;
}
