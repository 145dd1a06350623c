/* Who descends from whom. The measure of the weights is symmetric: a parent depends on its fork as
 * the fork does on its parent. The direction is taken from the first of these that speaks:
 *
 *   1. edges of the registry that are firm: what descends from the suspect is no parent of it
 *   2. the cards, where one names the other as its base model   "declared"; what names a candidate
 *      that descends from the suspect descends from it too
 *   3. firm edges the other way                                "recorded"
 *   4. the weights, where the suspect's are the candidate's rounded   "measured"
 *   5. the auditor, who asks for that one candidate            "asked"
 *   6. the distances among all relatives (fork_kin.c), where both descend from a base that is none
 *      of them, or the suspect lies between two of them   "measured"
 *   7. the order of registration: what was here first is the parent   "registered"
 *
 * The last one is a presumption (the registry says which came here first, not which was made first)
 * and yields to the others, in the registry's edges too. Where a release was registered before the
 * one it is related to and nothing else speaks, the direction is unknown, and nobody is accused; so
 * it is where the card of a candidate names a base that is called as the suspect's folder is.
 *
 * Of all that the suspect may descend from, the nearest is its parent. The others are ancestors
 * of it, or siblings: they descend from that parent, or, by both cards, from a base that is not
 * here. */
#include "flow/fork_audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A card is believed unless the weights are nearer to another candidate by more than this:
 * fine-tunes of one base may lie a little nearer to each other than to it. */
#define CLEARLY_NEARER 0.9
#define HARDLY_NEARER 0.02
#define BY_REGISTRATION "registered"

const char *flow_direction_name(enum flow_direction d)
{
	static const char *const name[] = { NULL,      "parent", "ancestor",
					    "sibling", "child",  "unknown" };
	return name[d];
}

/* Whether a candidate's card names the suspect, under one of the names that it is registered by. */
static bool names_suspect(const struct flow_fork_audit *a, const struct flow_candidate *c)
{
	const json_t *name;
	size_t i;
	json_array_foreach(a->known_as, i, name) {
		char model[256];
		const char *text = json_string_value(name);
		snprintf(model, sizeof model, "%.*s", (int)strcspn(text, "@"), text);
		if (flow_card_declares(&c->facts.card, model))
			return true;
	}
	return false;
}

/* The same of a suspect that has no name yet, by its folder's: a hub's folders are called as their
 * models are. Whoever has the folder names it, so this only takes a presumption back. */
static bool names_folder(const struct flow_fork_audit *a, const struct flow_candidate *c)
{
	const char *path = a->suspect.ref.path, *slash = strrchr(path, '/');
	const char *folder = slash ? slash + 1 : path;
	for (size_t i = 0; json_array_size(a->known_as) == 0 && i < c->facts.card.bases; i++) {
		const char *base = c->facts.card.base[i], *last = strrchr(base, '/');
		if (strcasecmp(last ? last + 1 : base, folder) == 0)
			return true;
	}
	return false;
}

static enum flow_direction is(struct flow_candidate *c, enum flow_direction d, const char *basis)
{
	c->basis = basis;
	return d;
}

/* A body that is another's by half or more is that model with parts exchanged; below that, what is
 * the same may come from a third, and is evidence without an edge. */
#define MOST_OF_A_BODY 0.5

bool flow_fork_related(const struct flow_candidate *c)
{
	return flow_fork_derived(&c->measure) ||
	       (c->measure.verdict == FORK_CONTAINS && c->own_share >= MOST_OF_A_BODY);
}

bool flow_fork_presumed(const struct flow_candidate *c)
{
	return c->basis && strcmp(c->basis, BY_REGISTRATION) == 0;
}

static int find_direction(struct flow_fork_audit *a, struct flow_candidate *c, struct err *e)
{
	enum registry_descent below, above;
	const struct digest *it = &c->release.root;
	bool named = names_suspect(a, c);
	TRY(registry_descent(a->flow->registry, it, &a->subject, &below, e));
	TRY(registry_descent(a->flow->registry, &a->subject, it, &above, e));
	if (below == REGISTRY_FIRM)
		c->direction = is(c, FLOW_CHILD, "recorded");
	else if (c->declared != named)
		c->direction = is(c, named ? FLOW_CHILD : FLOW_PARENT, "declared");
	else if (above == REGISTRY_FIRM)
		c->direction = is(c, FLOW_PARENT, "recorded");
	else if (c->measure.changed > 0 && c->measure.rounding > 0.99)
		c->direction = is(c, FLOW_PARENT, "measured");
	else if (a->asked)
		c->direction = is(c, FLOW_PARENT, "asked");
	else if (below == REGISTRY_PRESUMED)
		c->direction = is(c, FLOW_CHILD, BY_REGISTRATION);
	else if (c->kin == FORK_KIN_SIBLING)
		c->direction = is(c, FLOW_SIBLING, "measured");
	else if (above == REGISTRY_PRESUMED ||
		 (c->release.log_index < a->registered && !names_folder(a, c)))
		c->direction = is(c, FLOW_PARENT, BY_REGISTRATION);
	else
		c->direction = FLOW_UNKNOWN;
	return 0;
}

/* Whether the card of c names that candidate. */
static bool names(const struct flow_candidate *c, const struct flow_candidate *other)
{
	const json_t *model;
	size_t i;
	json_array_foreach(other->models, i, model)
		if (flow_card_declares(&c->facts.card, json_string_value(model)))
			return true;
	return false;
}

/* Related, and no more than the order of registration says how. */
static bool is_open(const struct flow_candidate *c)
{
	return c->direction == FLOW_UNKNOWN ||
	       (c->direction == FLOW_PARENT && flow_fork_presumed(c));
}

static bool names_child(const struct flow_fork_audit *a, const struct flow_candidate *c)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->candidate[i]->direction == FLOW_CHILD && names(c, a->candidate[i]))
			return true;
	return false;
}

/* Cards may tell the way from one candidate to the next before any edge does. */
static void follow_cards(struct flow_fork_audit *a)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = 0; i < a->count; i++) {
			struct flow_candidate *c = a->candidate[i];
			if (!is_open(c) || !names_child(a, c))
				continue;
			c->direction = FLOW_CHILD;
			c->basis = "declared";
			changed = true;
		}
	}
}

/* Of two with the suspect between them, one lies above it and the other below. */
static void follow_lines(struct flow_fork_audit *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *far = a->candidate[i], *near = far->behind;
		if (!near)
			continue;
		if (is_open(far) && near->direction != FLOW_CHILD)
			far->direction = is(far, FLOW_CHILD, "measured");
		else if (is_open(near) && far->direction == FLOW_PARENT)
			near->direction = is(near, FLOW_CHILD, "measured");
	}
}

/* ---- siblings ---- */

/* By the distances both descend from a base that is not here; but if a third that parts from the
 * suspect there descends from c, that base does too, and so does the suspect. */
static int lift_ancestors(struct flow_fork_audit *a, struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		bool above = false;
		for (size_t k = 0; k < a->count && c->direction == FLOW_SIBLING; k++) {
			const struct flow_candidate *other = a->candidate[k];
			enum registry_descent below = REGISTRY_UNRELATED;
			if (other == c || other->kin != FORK_KIN_SIBLING)
				continue;
			TRY(registry_descent(a->flow->registry, &other->release.root,
					     &c->release.root, &below, e));
			above |= below == REGISTRY_FIRM || names(other, c);
		}
		if (above)
			c->direction = is(c, FLOW_PARENT, "measured");
	}
	return 0;
}

static bool is_compared(const struct flow_fork_audit *a, const char *base)
{
	for (size_t i = 0; i < a->count; i++) {
		const json_t *model;
		size_t k;
		json_array_foreach(a->candidate[i]->models, k, model)
			if (strcmp(json_string_value(model), base) == 0)
				return true;
	}
	return false;
}

/* A base that both cards name and that is not here to be compared; else NULL. */
static const char *common_base(const struct flow_fork_audit *a, const struct flow_candidate *c)
{
	const struct flow_card *card = &a->suspect.facts.card;
	for (size_t i = 0; i < card->bases; i++)
		if (flow_card_declares(&c->facts.card, card->base[i]) &&
		    !is_compared(a, card->base[i]))
			return card->base[i];
	return NULL;
}

/* What is the same is a copy, whatever both cards say. */
static void find_siblings(struct flow_fork_audit *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		const char *base = is_open(c) ? common_base(a, c) : NULL;
		if (!base || c->measure.verdict == FORK_IDENTICAL)
			continue;
		c->direction = FLOW_SIBLING;
		c->basis = "declared";
		snprintf(c->base, sizeof c->base, "%s", base);
	}
}

/* What else the suspect may descend from: an ancestor of its parent, or another child of that. */
static int settle(struct flow_fork_audit *a, struct flow_candidate *c, struct err *e)
{
	const struct flow_candidate *p = a->parent[0];
	enum registry_descent below, above;
	TRY(registry_descent(a->flow->registry, &c->release.root, &p->release.root, &below, e));
	TRY(registry_descent(a->flow->registry, &p->release.root, &c->release.root, &above, e));
	bool child = names(c, p), parent = names(p, c), sibling = child;
	c->basis = "recorded";
	if (below == REGISTRY_FIRM || above == REGISTRY_FIRM)
		sibling = below == REGISTRY_FIRM;
	else if (child != parent)
		c->basis = "declared";
	else {
		c->basis = BY_REGISTRATION;
		sibling = c->release.log_index > p->release.log_index;
	}
	c->direction = sibling ? FLOW_SIBLING : FLOW_ANCESTOR;
	if (sibling)
		snprintf(c->base, sizeof c->base, "%s", p->name);
	return 0;
}

/* ---- parents ---- */

double flow_fork_distance(const struct flow_candidate *c)
{
	double l2 = c->measure.relative_l2;
	return isnan(l2) ? INFINITY : l2;
}

/* By the squares among the relatives, which are of both models' sizes, where all are in them; else
 * as the comparisons have it, over the candidate's size. */
static double distance(const struct flow_fork_audit *a, const struct flow_candidate *c)
{
	double l2 = flow_fork_distance(c);
	for (size_t i = 0; a->square && i < a->families; i++)
		if (a->family[i] == c && a->square[i * (a->families + 1) + a->families] >= 0)
			l2 = sqrt(a->square[i * (a->families + 1) + a->families]);
	return l2 * (c->declared ? CLEARLY_NEARER : 1);
}

/* Where distances hardly differ (most of the suspect is neither's), the one with more of the
 * suspect's tensors, value for value, is the nearer. */
static bool is_nearer(const struct flow_fork_audit *a, const struct flow_candidate *c,
		      const struct flow_candidate *d)
{
	double x = distance(a, c), y = distance(a, d);
	if (c->identical != d->identical && fabs(x - y) <= HARDLY_NEARER * fmin(x, y))
		return c->identical > d->identical;
	return x < y || (x <= y && c->declared && !d->declared);
}

/* Parents beside the nearest: those of which the suspect was mixed; and what the card declares and
 * the weights confirm, if distances and lineage do not put it beyond the nearest. */
static int add_parent(struct flow_fork_audit *a, struct flow_candidate *c, struct err *e)
{
	enum registry_descent below;
	bool mixed = c->kin == FORK_KIN_MIXED && a->parent[0]->kin == FORK_KIN_MIXED;
	if (c == a->parent[0] || c->direction != FLOW_PARENT)
		return 0;
	if (!mixed && (!c->declared || c->kin == FORK_KIN_BEYOND))
		return 0;
	TRY(registry_descent(a->flow->registry, &a->parent[0]->release.root, &c->release.root,
			     &below, e));
	if (mixed || below == REGISTRY_UNRELATED)
		a->parent[a->parents++] = c;
	return 0;
}

bool flow_fork_is_parent(const struct flow_candidate *c) { return c->place != SIZE_MAX; }

/* A sibling of the parent descends from an ancestor of it: the one that lies between the two. */
static void name_bases(const struct flow_fork_audit *a)
{
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		for (size_t k = 0; k < a->count && c->direction == FLOW_SIBLING; k++) {
			const struct flow_candidate *base = a->candidate[k];
			if (base->direction == FLOW_ANCESTOR &&
			    flow_fork_between(a, a->parent[0], base, c))
				snprintf(c->base, sizeof c->base, "%s", base->name);
		}
	}
}

/* Neither a parent nor, by the distances, anything else than what lies behind one. */
static bool is_beyond(const struct flow_candidate *c)
{
	if (flow_fork_is_parent(c))
		return false;
	return c->direction == FLOW_PARENT ||
	       (c->direction == FLOW_UNKNOWN && c->kin == FORK_KIN_BEYOND);
}

static int find_parents(struct flow_fork_audit *a, struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		if (c->direction == FLOW_PARENT && (!a->parent[0] || is_nearer(a, c, a->parent[0])))
			a->parent[0] = c;
	}
	if (!a->parent[0])
		return 0;
	a->parents = 1;
	for (size_t i = 0; i < a->count; i++)
		TRY(add_parent(a, a->candidate[i], e));
	for (size_t i = 0; i < a->parents; i++)
		a->parent[i]->place = i;
	for (size_t i = 0; i < a->count; i++)
		if (is_beyond(a->candidate[i]))
			TRY(settle(a, a->candidate[i], e));
	name_bases(a);
	return 0;
}

int flow_fork_lineage(struct flow_fork_audit *a, struct err *e)
{
	a->parent = calloc(a->count + 1, sizeof(struct flow_candidate *));
	if (!a->parent)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		c->place = SIZE_MAX;
		if (flow_fork_related(c))
			TRY(find_direction(a, c, e));
	}
	follow_cards(a);
	follow_lines(a);
	find_siblings(a);
	TRY(lift_ancestors(a, e));
	return find_parents(a, e);
}
