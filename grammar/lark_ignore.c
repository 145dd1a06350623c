/* What is ignored between tokens. Lark takes the longest of it: after `#[^\n]*` no letter can be
 * the beginning of a token. Where that matters, the rule of what is ignored says so: for each way
 * in which an ignored text can end there is a rule of what may come behind it, which is only a text
 * that begins otherwise than the ended one would have gone on; and the end, if no token begins so
 * either. One character ahead is looked at: where the longer text would have failed later, Lark
 * takes more. */
#include "grammar/lark_in.h"
#include "grammar/regular_in.h"

#include <stdlib.h>

#define ENDS 16 /* ways in which what is ignored can end */

/* One of them: the texts, and the characters with which they would go on. */
struct ended {
	struct regular *texts;
	struct regular_set more; /* ranges of l->p */
	uint32_t rule;           /* of what may come behind */
};

struct ignored {
	struct lark *l;
	struct ended end[ENDS];
	uint32_t ends;
	struct err *e;
};

/* ---- how tokens begin ---- */

/* Add to l->begin the characters that a text of the tree can begin with; true: it may be empty. */
static bool begins_add(struct lark *l, uint32_t node)
{
	const struct pattern_node *n = &l->p->node[node];
	bool all = n->kind != PATTERN_ALT;
	if (n->kind == PATTERN_CALL) {
		struct lark_symbol *s = lark_symbol(l, n->a);
		if (s == NULL || s->begun)
			return s != NULL && s->empty;
		s->begun = true;
		begins_add(l, l->p->rule[n->a].root);
		return l->symbol[n->a].empty;
	}
	for (uint32_t i = n->a; n->kind == PATTERN_SET && i < n->a + n->b; i++)
		pattern_range_add(&l->begin, l->p->range[i].lo, l->p->range[i].hi);
	for (uint32_t c = n->first; c != PATTERN_NONE; c = l->p->node[c].next) {
		bool empty = begins_add(l, c);
		all = n->kind == PATTERN_ALT ? all || empty : all && empty;
		if (n->kind == PATTERN_SEQ && !empty)
			break;
	}
	return n->kind != PATTERN_SET && (all || (n->kind == PATTERN_REPEAT && n->a == 0));
}

void lark_begins_text(struct lark *l, uint32_t node) { begins_add(l, node); }

static bool token_begins(const struct ignored *g, const struct regular_set *set)
{
	const struct pattern *p = g->l->p, *b = &g->l->begin;
	for (uint32_t i = set->first; i < set->first + set->count; i++) {
		for (uint32_t k = 0; k < b->ranges; k++) {
			if (p->range[i].lo <= b->range[k].hi && b->range[k].lo <= p->range[i].hi)
				return true;
		}
	}
	return false;
}

/* ---- how what is ignored ends ---- */

/* The texts of r that end in this state. */
static int ended_add(struct ignored *g, const struct regular *r, uint32_t state, const bool *none)
{
	struct pattern *p = g->l->p;
	struct regular *texts;
	if (g->ends == ENDS)
		return err_set(g->e, ERR_UNSUPPORTED,
			       "grammar: what is ignored ends in more than %d ways, which is not "
			       "available",
			       ENDS);
	struct ended *end = &g->end[g->ends];
	end->more = (struct regular_set){ p->ranges, 0 };
	for (uint32_t i = 0; i < r->ranges; i++) {
		if (!none[r->next[(size_t)state * r->classes + r->range[i].class]])
			pattern_range_add(p, r->range[i].lo, r->range[i].hi);
	}
	end->more.count = p->ranges - end->more.first;
	end->rule = pattern_rule_add(p, PATTERN_NONE);
	TRY(pattern_done(p, g->e));
	TRY(regular_complement(&texts, r, g->e)); /* a copy, whose ends are set */
	for (uint32_t s = 0; s < texts->states; s++)
		texts->accept[s] = s == state;
	end->texts = texts;
	g->ends++;
	return regular_finish(texts, g->e);
}

static int terminal_ends(struct ignored *g, uint32_t rule)
{
	struct lark *l = g->l;
	struct regular *r;
	TRY(regular_token(&r, l->p, l->p->rule[rule].root, l->symbol[rule].lazy, g->e));
	bool *none = regular_none_states(r);
	int rc = none == NULL ? regular_memory(g->e) : 0;
	for (uint32_t s = 0; rc == 0 && s < r->states; s++) {
		if (r->accept[s])
			rc = ended_add(g, r, s, none);
	}
	free(none);
	regular_close(r);
	return rc;
}

/* ---- rules ---- */

/* Of the texts of `end` those that begin with none of these characters, and what comes behind. */
static int branch_add(struct ignored *g, const struct ended *end, const struct regular_set * not,
		      struct pattern_list *all)
{
	struct pattern *p = g->l->p;
	struct pattern_list list = { 0 }, one = { 0 };
	struct regular *begun, *both;
	uint32_t from = p->ranges, node;
	for (uint32_t i = 0; i < not ->count; i++)
		pattern_range_add(p, p->range[not ->first + i].lo, p->range[not ->first + i].hi);
	pattern_push(p, &list, pattern_set_close(p, from, true));
	from = p->ranges;
	uint32_t any = pattern_set_close(p, from, true);
	pattern_push(p, &list, pattern_repeat(p, any, 0, PATTERN_MORE));
	uint32_t tree = pattern_close(p, &list, PATTERN_SEQ);
	TRY(pattern_done(p, g->e));
	TRY(regular_tree(&begun, p, tree, false, g->e));
	int rc = regular_intersect(&both, end->texts, begun, g->e);
	regular_close(begun);
	TRY(rc);
	if (!regular_is_empty(both)) {
		rc = regular_pattern(both, p, &node, g->e);
		pattern_push(p, &one, node);
		pattern_push(p, &one, pattern_add(p, PATTERN_CALL, end->rule, 0));
		pattern_push(p, all, pattern_close(p, &one, PATTERN_SEQ));
	}
	regular_close(both);
	return rc < 0 ? rc : pattern_done(p, g->e);
}

/* The rule of what is ignored, or may be, behind a text that would go on with these. */
static int behind(struct ignored *g, uint32_t rule, const struct regular_set *more)
{
	struct pattern *p = g->l->p;
	struct pattern_list all = { 0 };
	for (uint32_t i = 0; i < g->ends; i++)
		TRY(branch_add(g, &g->end[i], more, &all));
	if (!token_begins(g, more))
		pattern_push(p, &all, pattern_add(p, PATTERN_EMPTY, 0, 0));
	uint32_t root = all.count > 0 ? pattern_close(p, &all, PATTERN_ALT)
				      : pattern_add(p, PATTERN_SET, 0, 0);
	TRY(pattern_done(p, g->e));
	p->rule[rule].root = root;
	return 0;
}

/* Any of it, any number of times. */
static int plain(struct ignored *g)
{
	struct pattern *p = g->l->p;
	struct pattern_list all = { 0 };
	for (uint32_t i = 0; i < g->l->ignores; i++) {
		uint32_t rule = lark_token(g->l, g->l->ignored[i]);
		pattern_push(p, &all, pattern_add(p, PATTERN_CALL, rule, 0));
	}
	pattern_push(p, &all, pattern_add(p, PATTERN_EMPTY, 0, 0));
	uint32_t root = pattern_close(p, &all, PATTERN_ALT);
	TRY(pattern_done(p, g->e));
	p->rule[g->l->ignore].root = root;
	return 0;
}

static int longest(struct ignored *g)
{
	static const struct regular_set none = { 0, 0 };
	bool matters = false;
	for (uint32_t i = 0; i < g->l->ignores; i++)
		TRY(terminal_ends(g, g->l->ignored[i]));
	for (uint32_t i = 0; i < g->ends; i++)
		matters = matters || token_begins(g, &g->end[i].more);
	for (uint32_t i = 0; i < g->ends && !matters; i++)
		g->l->p->rule[g->end[i].rule].root = pattern_add(g->l->p, PATTERN_EMPTY, 0, 0);
	if (!matters)
		return plain(g);
	for (uint32_t i = 0; i < g->ends; i++)
		TRY(behind(g, g->end[i].rule, &g->end[i].more));
	return behind(g, g->l->ignore, &none);
}

int lark_ignore(struct lark *l, struct err *e)
{
	struct ignored g = { .l = l, .e = e };
	for (uint32_t rule = 0; rule < l->symbols; rule++) {
		struct lark_symbol s = l->symbol[rule];
		bool ignores = false;
		for (uint32_t i = 0; i < l->ignores; i++)
			ignores = ignores || l->ignored[i] == rule;
		if (s.terminal && s.token != 0 && !ignores)
			begins_add(l, l->p->rule[rule].root);
	}
	int rc = pattern_done(&l->begin, e);
	if (rc == 0)
		rc = longest(&g);
	for (uint32_t i = 0; i < g.ends; i++)
		regular_close(g.end[i].texts);
	return rc;
}
