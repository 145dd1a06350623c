/* Who descends from whom. The measure of the weights is symmetric: a parent depends on its fork as
 * the fork does on its parent. The direction is taken from the first of these that speaks:
 *
 *   1. edges of the registry that are firm: what descends from the suspect is no parent of it
 *   2. the cards, where one names the other as its base model   "declared"; what names a candidate
 *      that descends from the suspect descends from it too
 *   3. firm edges the other way                                "recorded"
 *   4. the weights, where the suspect's are the candidate's rounded to 8 bits   "measured"
 *   5. the auditor, who asks for that one candidate            "asked"
 *   6. the order of registration: what was here first is the parent   "registered"
 *
 * The last one is a presumption (the registry says which came here first, not which was made first)
 * and yields to the others, in the registry's edges too. Where a release was registered before the
 * one it is related to and nothing else speaks, the direction is unknown, and nobody is accused. */
#include "base/decimal.h"
#include "flow/fork_audit.h"

#include <stdlib.h>
#include <string.h>

/* A card is believed unless the weights are nearer to another candidate by more than this:
 * fine-tunes of one base may lie a little nearer to each other than to it. */
#define CLEARLY_NEARER 0.9
#define BY_REGISTRATION "registered"

const char *flow_direction_name(enum flow_direction d)
{
	static const char *const name[] = { NULL, "parent", "child", "unknown" };
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

static enum flow_direction is_parent(struct flow_candidate *c, const char *basis)
{
	c->basis = basis;
	return FLOW_PARENT;
}

bool flow_fork_presumed(const struct flow_candidate *c)
{
	return strcmp(c->basis, BY_REGISTRATION) == 0;
}

static int find_direction(struct flow_fork_audit *a, struct flow_candidate *c, struct err *e)
{
	enum registry_descent below, above;
	const struct digest *it = &c->release.root;
	bool named = names_suspect(a, c);
	TRY(registry_descent(a->flow->registry, it, &a->subject, &below, e));
	TRY(registry_descent(a->flow->registry, &a->subject, it, &above, e));
	if (below == REGISTRY_FIRM)
		c->direction = FLOW_CHILD;
	else if (c->declared != named)
		c->direction = named ? FLOW_CHILD : is_parent(c, "declared");
	else if (above == REGISTRY_FIRM)
		c->direction = is_parent(c, "recorded");
	else if (c->measure.changed > 0 && c->measure.rounding > 0.99)
		c->direction = is_parent(c, "measured");
	else if (a->asked)
		c->direction = is_parent(c, "asked");
	else if (below == REGISTRY_PRESUMED)
		c->direction = FLOW_CHILD;
	else if (above == REGISTRY_PRESUMED || c->release.log_index < a->registered)
		c->direction = is_parent(c, BY_REGISTRATION);
	else
		c->direction = FLOW_UNKNOWN;
	return 0;
}

/* Whether a candidate's card names another that descends from the suspect. */
static bool names_child(const struct flow_fork_audit *a, const struct flow_candidate *c)
{
	for (size_t i = 0; i < a->count; i++) {
		const json_t *model;
		size_t k;
		if (a->candidate[i]->direction != FLOW_CHILD)
			continue;
		json_array_foreach(a->candidate[i]->models, k, model)
			if (flow_card_declares(&c->facts.card, json_string_value(model)))
				return true;
	}
	return false;
}

/* Cards may tell the way from one candidate to the next before any edge does. */
static void follow_cards(struct flow_fork_audit *a)
{
	for (bool changed = true; changed;) {
		changed = false;
		for (size_t i = 0; i < a->count; i++) {
			struct flow_candidate *c = a->candidate[i];
			bool open = c->direction == FLOW_UNKNOWN ||
				    (c->direction == FLOW_PARENT && flow_fork_presumed(c));
			if (!open || !names_child(a, c))
				continue;
			c->direction = FLOW_CHILD;
			changed = true;
		}
	}
}

static double distance(const struct flow_candidate *c)
{
	return c->measure.relative_l2 * (c->declared ? CLEARLY_NEARER : 1);
}

static bool is_nearer(const struct flow_candidate *a, const struct flow_candidate *b)
{
	return distance(a) < distance(b) ||
	       (distance(a) <= distance(b) && a->declared && !b->declared);
}

/* What the card declares and the weights confirm is a parent too, as a merge has several; but not
 * an ancestor of the nearest. */
static int add_declared(struct flow_fork_audit *a, struct flow_candidate *c, struct err *e)
{
	enum registry_descent below;
	if (c == a->parent[0] || c->direction != FLOW_PARENT || !c->declared)
		return 0;
	TRY(registry_descent(a->flow->registry, &a->parent[0]->release.root, &c->release.root,
			     &below, e));
	if (below == REGISTRY_UNRELATED)
		a->parent[a->parents++] = c;
	return 0;
}

int flow_fork_lineage(struct flow_fork_audit *a, struct err *e)
{
	a->parent = calloc(a->count + 1, sizeof(struct flow_candidate *));
	if (!a->parent)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		if (flow_fork_derived(&c->measure))
			TRY(find_direction(a, c, e));
	}
	follow_cards(a);
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		if (c->direction == FLOW_PARENT && (!a->parent[0] || is_nearer(c, a->parent[0])))
			a->parent[0] = c;
	}
	if (!a->parent[0])
		return 0;
	a->parents = 1;
	for (size_t i = 0; i < a->count; i++)
		TRY(add_declared(a, a->candidate[i], e));
	return 0;
}

json_t *flow_fork_parents(const struct flow_fork_audit *a)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < a->parents; i++) {
		const struct flow_candidate *c = a->parent[i];
		struct obj o = { 0 };
		obj_add(&o, "root", json_digest(&c->release.root));
		obj_text(&o, "name", c->name);
		obj_null(&o, "weight"); /* no rung measures the shares of a merge */
		obj_text(&o, "verdict", fork_verdict_name(c->measure.verdict));
		obj_add(&o, "p_value", flow_fork_p_value(&c->measure));
		obj_real(&o, "effect", decimal_round(c->measure.effect, DECIMAL_DIGITS));
		obj_text(&o, "rung", c->measure.rung);
		obj_text(&o, "basis", c->basis);
		arr_object(&list, &o);
	}
	if (!list.json && !list.failed)
		return json_array();
	return arr_take(&list);
}
