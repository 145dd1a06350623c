/* From rules over characters to automata over bytes. Edges are added from state to state so that no
 * edge leads into the place an expression begins at, and none leaves the place it ends at: then
 * expressions may share both. */
#include "grammar/network.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define INLINE_SIZE 3 /* larger expressions become rules before they are repeated */

struct builder {
	struct pattern *p;
	struct grammar *n;
	uint32_t edge_room, *end; /* [rules] */
	int failed;
};

static uint32_t state_add(struct builder *b)
{
	if (b->n->states >= LIMIT_CONSTRAINT_NODES)
		b->failed = ERR_INPUT;
	return b->n->states++;
}

static void edge_add(struct builder *b, struct network_edge edge)
{
	struct grammar *n = b->n;
	if (b->failed != 0)
		return;
	if (n->edges == b->edge_room) {
		uint32_t room = b->edge_room > 0 ? b->edge_room * 2 : 256;
		struct network_edge *more = room > 4 * LIMIT_CONSTRAINT_NODES
						    ? NULL
						    : realloc(n->edge, room * sizeof *more);
		if (more == NULL) {
			b->failed = room > 4 * LIMIT_CONSTRAINT_NODES ? ERR_INPUT : ERR_NOMEM;
			return;
		}
		n->edge = more;
		b->edge_room = room;
	}
	n->edge[n->edges++] = edge;
}

static void empty_add(struct builder *b, uint32_t from, uint32_t to)
{
	edge_add(b, (struct network_edge){ from, to, 0, NETWORK_EMPTY, 0, 0 });
}

static void call_add(struct builder *b, uint32_t from, uint32_t to, uint32_t rule)
{
	edge_add(b, (struct network_edge){ from, to, rule, NETWORK_CALL, 0, 0 });
}

/* ---- characters to bytes ---- */

/* lo..hi have encodings of the same length whose bytes range independently. */
static void bytes_add(struct builder *b, uint32_t from, uint32_t to, uint32_t lo, uint32_t hi)
{
	char low[4], high[4];
	int len = text_utf8_encode(lo, low);
	text_utf8_encode(hi, high);
	for (int i = 0; i < len; i++) {
		uint32_t next = i == len - 1 ? to : state_add(b);
		edge_add(b, (struct network_edge){ from, next, 0, NETWORK_BYTE, (uint8_t)low[i],
						   (uint8_t)high[i] });
		from = next;
	}
}

/* Where to cut [lo, hi]: the length of the encoding changes there, or the ranges of its bytes would
 * depend on one another. */
static uint32_t cut(uint32_t lo, uint32_t hi)
{
	static const uint32_t last[] = { 0x7F, 0x7FF, 0xFFFF };
	for (int i = 0; i < 3; i++) {
		if (lo <= last[i] && hi > last[i])
			return last[i];
	}
	for (uint32_t bits = 6; hi > 0x7F && bits <= 18; bits += 6) {
		uint32_t low = (1u << bits) - 1;
		if ((lo & ~low) == (hi & ~low))
			break;
		if ((lo & low) != 0)
			return lo | low;
		if ((hi & low) != low)
			return (hi & ~low) - 1;
	}
	return hi;
}

static void range_add(struct builder *b, uint32_t from, uint32_t to, uint32_t lo, uint32_t hi)
{
	while (b->failed == 0) {
		uint32_t last = hi;
		for (uint32_t next; (next = cut(lo, last)) != last;)
			last = next;
		bytes_add(b, from, to, lo, last);
		if (last == hi)
			return;
		lo = last + 1;
	}
}

/* ---- expressions ---- */

static void build(struct builder *b, uint32_t node, uint32_t from, uint32_t to);

/* Whether the expression has few edges, so that copies of it are cheap. */
static bool is_small(const struct pattern *p, uint32_t node)
{
	const struct pattern_node *n = &p->node[node];
	if (n->kind == PATTERN_SET)
		return n->b <= INLINE_SIZE && (n->b == 0 || p->range[n->a + n->b - 1].hi < 0x80);
	return n->kind == PATTERN_CALL || n->kind == PATTERN_EMPTY;
}

/* An equivalent of node that may be built many times: itself if it is small, else a call of a new
 * rule. */
static uint32_t copyable(struct builder *b, uint32_t node)
{
	if (is_small(b->p, node))
		return node;
	uint32_t rule = pattern_rule_add(b->p, node);
	uint32_t call = pattern_add(b->p, PATTERN_CALL, rule, 0);
	if (b->p->failed != 0)
		b->failed = b->p->failed;
	return b->failed != 0 ? node : call;
}

static void build_repeat(struct builder *b, uint32_t node, uint32_t from, uint32_t to)
{
	struct pattern_node n = b->p->node[node];
	uint32_t child = n.first, copies = n.b == PATTERN_MORE ? n.a + 1 : n.b, next;
	if (copies > 1)
		child = copyable(b, child);
	for (uint32_t i = 0; i < n.a && b->failed == 0; i++, from = next) {
		next = state_add(b);
		build(b, child, from, next);
	}
	if (n.b == PATTERN_MORE) {
		uint32_t loop = state_add(b);
		empty_add(b, from, loop);
		build(b, child, loop, loop);
		empty_add(b, loop, to);
		return;
	}
	for (uint32_t i = n.a; i < n.b && b->failed == 0; i++, from = next) {
		next = i + 1 < n.b ? state_add(b) : to;
		empty_add(b, from, to);
		build(b, child, from, next);
	}
	if (n.a == n.b)
		empty_add(b, from, to);
}

/* ---- alternatives ---- */

/* Many alternatives with a common prefix (a list of names) share its states, as in a trie;
 * otherwise each would be another configuration while the answer is read. */
#define SHARE_FROM 16 /* alternatives */

struct branch {
	uint32_t node, first; /* of the pattern; its first child, or itself */
	uint32_t count;       /* children, from the first, that are one certain character each */
};

/* The character that the node is, or PATTERN_NONE. */
static uint32_t character_of(const struct pattern *p, uint32_t node)
{
	const struct pattern_node *n = &p->node[node];
	if (n->kind != PATTERN_SET || n->b != 1 || p->range[n->a].lo != p->range[n->a].hi)
		return PATTERN_NONE;
	return p->range[n->a].lo;
}

static struct branch branch_of(const struct pattern *p, uint32_t node)
{
	struct branch r = { node, node, 0 };
	if (p->node[node].kind != PATTERN_SEQ)
		return r;
	r.first = p->node[node].first;
	/* the last child leads to the common end */
	for (uint32_t c = r.first;
	     p->node[c].next != PATTERN_NONE && character_of(p, c) != PATTERN_NONE;
	     c = p->node[c].next)
		r.count++;
	return r;
}

/* The length of the common prefix of two branches. *at: the first child of b after it. */
static uint32_t branch_common(const struct pattern *p, const struct branch *a,
			      const struct branch *b, uint32_t *at)
{
	uint32_t n = 0, x = a->first;
	*at = b->first;
	for (; n < a->count && n < b->count && character_of(p, x) == character_of(p, *at); n++) {
		x = p->node[x].next;
		*at = p->node[*at].next;
	}
	return n;
}

static int by_characters(const void *a, const void *b, void *pattern)
{
	const struct pattern *p = pattern;
	const struct branch *x = a, *y = b;
	uint32_t at, n = branch_common(p, x, y, &at), with = x->first;
	if (n == x->count || n == y->count)
		return x->count != y->count ? (x->count > y->count) - (x->count < y->count)
					    : (x->node > y->node) - (x->node < y->node);
	for (uint32_t i = 0; i < n; i++)
		with = p->node[with].next;
	return character_of(p, with) < character_of(p, at) ? -1 : 1;
}

/* path [i]: the state behind i characters of the branch before. */
static void build_branch(struct builder *b, const struct branch *r, uint32_t known, uint32_t at,
			 uint32_t *path, uint32_t to)
{
	const struct pattern *p = b->p;
	uint32_t from = path[known], i = known;
	if (at == r->node) {
		build(b, at, from, to);
		return;
	}
	for (uint32_t next, c = at; c != PATTERN_NONE && b->failed == 0; c = next, i++) {
		next = p->node[c].next;
		uint32_t end = next == PATTERN_NONE ? to : state_add(b);
		build(b, c, from, end);
		if (i < r->count)
			path[i + 1] = end;
		from = end;
	}
}

static void build_shared(struct builder *b, uint32_t node, uint32_t count, uint32_t from,
			 uint32_t to)
{
	struct branch *branch = calloc(count, sizeof *branch);
	uint32_t *path = NULL, most = 0, i = 0;
	for (uint32_t c = b->p->node[node].first; branch && c != PATTERN_NONE; i++) {
		branch[i] = branch_of(b->p, c);
		most = branch[i].count > most ? branch[i].count : most;
		c = b->p->node[c].next;
	}
	path = calloc((size_t)most + 1, sizeof *path);
	if (branch == NULL || path == NULL) {
		b->failed = ERR_NOMEM;
	} else {
		qsort_r(branch, count, sizeof *branch, by_characters, b->p);
		path[0] = from;
	}
	for (i = 0; i < count && b->failed == 0; i++) {
		uint32_t at = branch[i].first,
			 known = i == 0 ? 0 : branch_common(b->p, &branch[i - 1], &branch[i], &at);
		build_branch(b, &branch[i], known, at, path, to);
	}
	free(branch);
	free(path);
}

static void build_choice(struct builder *b, uint32_t node, uint32_t from, uint32_t to)
{
	uint32_t count = 0;
	for (uint32_t c = b->p->node[node].first; c != PATTERN_NONE; c = b->p->node[c].next)
		count++;
	if (count >= SHARE_FROM) {
		build_shared(b, node, count, from, to);
		return;
	}
	for (uint32_t c = b->p->node[node].first; c != PATTERN_NONE; c = b->p->node[c].next)
		build(b, c, from, to);
}

static void build_marked(struct builder *b, uint32_t child, uint32_t from, uint32_t to,
			 uint8_t begin, uint8_t end)
{
	uint32_t inner = state_add(b), last = state_add(b);
	b->n->compares = true;
	edge_add(b, (struct network_edge){ from, inner, 0, NETWORK_MARK, begin, 0 });
	build(b, child, inner, last);
	edge_add(b, (struct network_edge){ last, to, 0, NETWORK_MARK, end, 0 });
}

/* Recursion is as deep as the expression, which its reader bounded. */
static void build(struct builder *b, uint32_t node, uint32_t from, uint32_t to)
{
	struct pattern_node n = b->p->node[node];
	uint32_t next;
	if (b->failed != 0)
		return;
	switch (n.kind) {
	case PATTERN_EMPTY:
		empty_add(b, from, to);
		return;
	case PATTERN_SET:
		for (uint32_t i = 0; i < n.b; i++)
			range_add(b, from, to, b->p->range[n.a + i].lo, b->p->range[n.a + i].hi);
		return;
	case PATTERN_SEQ:
		for (uint32_t c = n.first; c != PATTERN_NONE; c = b->p->node[c].next, from = next) {
			next = b->p->node[c].next == PATTERN_NONE ? to : state_add(b);
			build(b, c, from, next);
		}
		return;
	case PATTERN_ALT:
		build_choice(b, node, from, to);
		return;
	case PATTERN_REPEAT:
		build_repeat(b, node, from, to);
		return;
	case PATTERN_CALL:
		call_add(b, from, to, n.a);
		return;
	case PATTERN_EDGE:
		edge_add(b, (struct network_edge){ from, to, 0, NETWORK_BYTE, GRAMMAR_MARK,
						   GRAMMAR_MARK });
		return;
	case PATTERN_SCOPE:
		build_marked(b, n.first, from, to, NETWORK_SCOPE_BEGIN, NETWORK_SCOPE_END);
		return;
	case PATTERN_ONCE:
		build_marked(b, n.first, from, to, NETWORK_ONCE_BEGIN, NETWORK_ONCE_END);
		return;
	default:
		check(false); /* the tree is plain */
	}
}

static int build_rules(struct builder *b, struct err *e)
{
	struct grammar *n = b->n;
	uint32_t room = 0;
	for (uint32_t i = 0; i < b->p->rules && b->failed == 0; i++) {
		if (i == room) { /* rules are added on the way */
			room = b->p->rules + 64;
			uint32_t *start = realloc(n->start, room * sizeof *start);
			n->start = start != NULL ? start : n->start;
			uint32_t *end = realloc(b->end, room * sizeof *end);
			b->end = end != NULL ? end : b->end;
			if (start == NULL || end == NULL)
				return err_set(e, ERR_NOMEM, "out of memory for the constraint");
		}
		n->start[i] = state_add(b);
		b->end[i] = state_add(b);
		build(b, b->p->rule[i].root, n->start[i], b->end[i]);
	}
	n->rules = b->p->rules;
	if (b->failed == ERR_NOMEM)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	return b->failed == 0 ? 0
			      : err_set(e, ERR_INPUT, "the constraint has more than %u states",
					LIMIT_CONSTRAINT_NODES);
}

/* ---- finishing ---- */

static int by_from(const void *a, const void *b)
{
	const struct network_edge *x = a, *y = b;
	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static int index_edges(struct grammar *n, struct err *e)
{
	qsort(n->edge, n->edges, sizeof *n->edge, by_from);
	free(n->first);
	n->first = calloc(n->states + 1, sizeof *n->first);
	if (n->first == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	for (uint32_t i = 0; i < n->edges; i++)
		n->first[n->edge[i].from + 1]++;
	for (uint32_t i = 0; i < n->states; i++)
		n->first[i + 1] += n->first[i];
	return 0;
}

/* Find the byte classes: two bytes differ if some edge's range begins or ends between them. */
static void find_classes(struct grammar *n)
{
	bool begins[257] = { [0] = true };
	for (uint32_t i = 0; i < n->edges; i++) {
		if (n->edge[i].kind == NETWORK_BYTE) {
			begins[n->edge[i].lo] = true;
			begins[n->edge[i].hi + 1] = true;
		}
	}
	for (int byte = 0; byte < 256; byte++) {
		if (begins[byte])
			n->class_byte[n->classes++] = (uint8_t)byte;
		n->class_of[byte] = (uint8_t)(n->classes - 1);
	}
}

static int finish(struct grammar *n, const uint32_t *end, bool skips, bool *circle, struct err *e)
{
	TRY(network_trim(n, end, skips, e));
	TRY(index_edges(n, e));
	return network_order(n, circle, e);
}

int network_open(struct grammar **out, struct pattern *p, uint32_t root, struct err *e)
{
	struct builder b = { .p = p, .n = calloc(1, sizeof *b.n) };
	*out = NULL;
	if (b.n == NULL)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	b.n->root = root;
	bool circle = false;
	int rc = build_rules(&b, e);
	if (rc == 0)
		rc = finish(b.n, b.end, true, &circle, e);
	if (rc == 0 && circle)
		rc = network_recursion(b.n, &b.end, e);
	if (rc == 0 && circle)
		rc = finish(b.n, b.end, false, &circle, e);
	check(rc < 0 || !circle);
	free(b.end);
	if (rc < 0) {
		network_close(b.n);
		return rc;
	}
	find_classes(b.n);
	*out = b.n;
	return 0;
}

void network_close(struct grammar *n)
{
	if (n == NULL)
		return;
	json_decref(n->unused);
	free(n->edge);
	free(n->first);
	free(n->end);
	free(n->start);
	free(n->order);
	free(n);
}
