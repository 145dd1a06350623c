/* The tree of a constraint: building, sets of characters, names of rules. */
#include "grammar/pattern.h"

#include "base/limits.h"

#include <stdlib.h>
#include <string.h>

#define CODE_POINT_LAST 0x10FFFFu

/* Room for one more of size bytes in the array at *p, count used. False: failed. */
static bool grow(struct pattern *p, void **array, uint32_t count, uint32_t *room, size_t size)
{
	if (p->failed != 0)
		return false;
	if (count < *room)
		return true;
	if (count >= LIMIT_CONSTRAINT_NODES) {
		p->failed = ERR_INPUT;
		return false;
	}
	uint32_t more = *room > 0 ? *room * 2 : 64;
	void *bigger = realloc(*array, more * size);
	if (bigger == NULL) {
		p->failed = ERR_NOMEM;
		return false;
	}
	*array = bigger;
	*room = more;
	return true;
}

uint32_t pattern_add(struct pattern *p, enum pattern_kind kind, uint32_t a, uint32_t b)
{
	if (p->nodes == 0 && kind != PATTERN_EMPTY)
		pattern_add(p, PATTERN_EMPTY, 0, 0);
	if (!grow(p, (void **)&p->node, p->nodes, &p->node_room, sizeof *p->node))
		return 0;
	p->node[p->nodes] = (struct pattern_node){ kind, PATTERN_NONE, PATTERN_NONE, a, b };
	return p->nodes++;
}

uint32_t pattern_repeat(struct pattern *p, uint32_t child, uint32_t min, uint32_t max)
{
	uint32_t at = pattern_add(p, PATTERN_REPEAT, min, max);
	if (p->failed == 0)
		p->node[at].first = child;
	return at;
}

/* A node can be in one list only: a shared one is wrapped in a node of its own. */
void pattern_push(struct pattern *p, struct pattern_list *l, uint32_t child)
{
	if (p->failed != 0)
		return;
	if (l->count == 0)
		l->first = child;
	else
		p->node[l->last].next = child;
	l->last = child;
	l->count++;
}

uint32_t pattern_close(struct pattern *p, const struct pattern_list *l, enum pattern_kind kind)
{
	if (l->count == 0)
		return pattern_add(p, PATTERN_EMPTY, 0, 0);
	if (l->count == 1)
		return l->first;
	uint32_t at = pattern_add(p, kind, 0, 0);
	if (p->failed == 0)
		p->node[at].first = l->first;
	return at;
}

/* ---- sets ---- */

void pattern_range_add(struct pattern *p, uint32_t lo, uint32_t hi)
{
	if (grow(p, (void **)&p->range, p->ranges, &p->range_room, sizeof *p->range))
		p->range[p->ranges++] = (struct pattern_range){ lo, hi };
}

static int by_low(const void *a, const void *b)
{
	const struct pattern_range *x = a, *y = b;
	return (x->lo > y->lo) - (x->lo < y->lo);
}

/* Sorted, disjoint, not touching. */
static void set_merge(struct pattern *p, uint32_t from)
{
	uint32_t kept = from;
	if (p->ranges - from < 2)
		return;
	qsort(p->range + from, p->ranges - from, sizeof *p->range, by_low);
	for (uint32_t i = from + 1; i < p->ranges; i++) {
		struct pattern_range *last = &p->range[kept], r = p->range[i];
		if (r.lo <= last->hi + 1)
			last->hi = r.hi > last->hi ? r.hi : last->hi;
		else
			p->range[++kept] = r;
	}
	p->ranges = kept + 1;
}

void pattern_set_negate(struct pattern *p, uint32_t from)
{
	uint32_t next = 0, end;
	set_merge(p, from);
	end = p->ranges;
	for (uint32_t i = from; i < end && p->failed == 0; i++) {
		struct pattern_range r = p->range[i];
		if (r.lo > next)
			pattern_range_add(p, next, r.lo - 1);
		next = r.hi + 1;
	}
	if (next <= CODE_POINT_LAST)
		pattern_range_add(p, next, CODE_POINT_LAST);
	if (p->failed != 0)
		return;
	memmove(p->range + from, p->range + end, (p->ranges - end) * sizeof *p->range);
	p->ranges -= end - from;
}

/* No scalar value is a surrogate. */
static void set_scalar(struct pattern *p, uint32_t from)
{
	uint32_t end = p->ranges;
	for (uint32_t i = from; i < end && p->failed == 0; i++) {
		struct pattern_range r = p->range[i];
		if (r.hi < 0xD800 || r.lo > 0xDFFF)
			continue;
		if (r.hi > 0xDFFF)
			pattern_range_add(p, 0xE000, r.hi);
		if (p->failed != 0)
			return;
		/* lo > hi: empty, dropped below */
		p->range[i].hi = r.lo < 0xD800 ? 0xD7FF : 0;
		p->range[i].lo = r.lo < 0xD800 ? r.lo : 1;
	}
	uint32_t kept = from;
	for (uint32_t i = from; i < p->ranges; i++) {
		if (p->range[i].lo <= p->range[i].hi)
			p->range[kept++] = p->range[i];
	}
	p->ranges = kept;
}

uint32_t pattern_set_close(struct pattern *p, uint32_t from, bool negated)
{
	if (p->failed != 0)
		return 0;
	if (negated)
		pattern_set_negate(p, from);
	set_merge(p, from);
	set_scalar(p, from);
	set_merge(p, from);
	return pattern_add(p, PATTERN_SET, from, p->ranges - from);
}

/* ---- rules ---- */

static uint32_t name_hash(const char *name, size_t len)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)name[i]) * 16777619u;
	return h;
}

static bool slots_grow(struct pattern *p)
{
	uint32_t slots = p->slots > 0 ? p->slots * 2 : 64;
	uint32_t *slot = calloc(slots, sizeof *slot);
	if (slot == NULL) {
		p->failed = ERR_NOMEM;
		return false;
	}
	for (uint32_t i = 0; i < p->rules; i++) {
		if (p->rule[i].name == NULL)
			continue;
		uint32_t h = name_hash(p->rule[i].name, strlen(p->rule[i].name));
		while (slot[h & (slots - 1)] != 0)
			h++;
		slot[h & (slots - 1)] = i + 1;
	}
	free(p->slot);
	p->slot = slot;
	p->slots = slots;
	return true;
}

static uint32_t rule_append(struct pattern *p, char *name, uint32_t root)
{
	if (!grow(p, (void **)&p->rule, p->rules, &p->rule_room, sizeof *p->rule)) {
		free(name);
		return PATTERN_NONE;
	}
	p->rule[p->rules] = (struct pattern_rule){ name, root };
	return p->rules++;
}

uint32_t pattern_rule(struct pattern *p, const char *name, size_t len)
{
	if (p->failed != 0 || ((p->rules + 1) * 2 > p->slots && !slots_grow(p)))
		return PATTERN_NONE;
	uint32_t h = name_hash(name, len);
	for (; p->slot[h & (p->slots - 1)] != 0; h++) {
		uint32_t i = p->slot[h & (p->slots - 1)] - 1;
		if (strlen(p->rule[i].name) == len && memcmp(p->rule[i].name, name, len) == 0)
			return i;
	}
	char *copy = strndup(name, len);
	if (copy == NULL) {
		p->failed = ERR_NOMEM;
		return PATTERN_NONE;
	}
	uint32_t made = rule_append(p, copy, PATTERN_NONE);
	if (made != PATTERN_NONE)
		p->slot[h & (p->slots - 1)] = made + 1;
	return made;
}

uint32_t pattern_rule_add(struct pattern *p, uint32_t root) { return rule_append(p, NULL, root); }

void pattern_hide(struct pattern *p)
{
	for (uint32_t i = 0; i < p->rules; i++) {
		free(p->rule[i].name);
		p->rule[i].name = NULL;
	}
	for (uint32_t i = 0; i < p->slots; i++)
		p->slot[i] = 0;
}

int pattern_done(const struct pattern *p, struct err *e)
{
	if (p->failed == ERR_NOMEM)
		return err_set(e, ERR_NOMEM, "out of memory for the constraint");
	if (p->failed != 0)
		return err_set(e, ERR_INPUT, "the constraint has more than %u parts",
			       LIMIT_CONSTRAINT_NODES);
	return 0;
}

void pattern_free(struct pattern *p)
{
	for (uint32_t i = 0; i < p->rules; i++)
		free(p->rule[i].name);
	free(p->node);
	free(p->range);
	free(p->rule);
	free(p->slot);
	*p = (struct pattern){ 0 };
}

/* ---- anchors ---- */

static uint32_t any_text(struct pattern *p)
{
	uint32_t from = p->ranges;
	pattern_range_add(p, 0, CODE_POINT_LAST);
	return pattern_repeat(p, pattern_set_close(p, from, false), 0, PATTERN_MORE);
}

/* Anchors of lines hold at the ends of the text too, but do not tell that these are its ends. */
static bool is_anchor(const struct pattern *p, uint32_t node, enum pattern_kind kind, bool search)
{
	return p->node[node].kind == kind && !(search && p->node[node].a != 0);
}

/* One alternative: its children without anchors at the ends, padded where they lack. */
static uint32_t branch_anchor(struct pattern *p, uint32_t branch, bool search)
{
	struct pattern_list out = { 0 };
	bool sequence = p->node[branch].kind == PATTERN_SEQ, begun = false, ended = false;
	uint32_t child = sequence ? p->node[branch].first : branch, next;
	while (child != PATTERN_NONE && is_anchor(p, child, PATTERN_BEGIN, search)) {
		begun = true;
		child = sequence ? p->node[child].next : PATTERN_NONE;
	}
	if (search && !begun)
		pattern_push(p, &out, any_text(p));
	for (; child != PATTERN_NONE && p->failed == 0; child = next) {
		next = sequence ? p->node[child].next : PATTERN_NONE;
		ended = is_anchor(p, child, PATTERN_END, search);
		if (!ended || (next != PATTERN_NONE && !is_anchor(p, next, PATTERN_END, search))) {
			p->node[child].next = PATTERN_NONE;
			pattern_push(p, &out, child);
		}
	}
	if (search && !ended)
		pattern_push(p, &out, any_text(p));
	return pattern_close(p, &out, PATTERN_SEQ);
}

int pattern_anchor(struct pattern *p, uint32_t *root, bool search, struct err *e)
{
	struct pattern_list out = { 0 };
	uint32_t next;
	TRY(pattern_done(p, e));
	bool choice = p->node[*root].kind == PATTERN_ALT;
	uint32_t branch = choice ? p->node[*root].first : *root;
	for (; branch != PATTERN_NONE && p->failed == 0; branch = next) {
		next = choice ? p->node[branch].next : PATTERN_NONE;
		p->node[branch].next = PATTERN_NONE;
		pattern_push(p, &out, branch_anchor(p, branch, search));
	}
	*root = pattern_close(p, &out, PATTERN_ALT);
	return pattern_done(p, e);
}

/* Recursion is as deep as the expression, which its reader bounded. */
bool pattern_is_plain(const struct pattern *p, uint32_t root)
{
	const struct pattern_node *n = &p->node[root];
	if (n->kind >= PATTERN_BEGIN)
		return false;
	for (uint32_t c = n->first; c != PATTERN_NONE; c = p->node[c].next) {
		if (!pattern_is_plain(p, c))
			return false;
	}
	return true;
}
