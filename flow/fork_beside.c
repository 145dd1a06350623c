/* What an audit says beside lineage: tensors that are the same in models that are not related. A
 * tower, a draft layer or an embedding that two models ship is a shared component: it is named, and
 * makes nobody a parent. So is a tensor of the body that several registered models have which do
 * not descend from one another: from whom the suspect has it, nobody can tell. */
#include "flow/fork_adapter.h"
#include "flow/fork_audit.h"

#include <stdlib.h>
#include <string.h>

#define BODY "body"
#define HOLDERS_MAX 64 /* candidates whose tensors are held against each other */

/* ---- tensors of the body that name no source ---- */

/* Whether that tensor of the suspect's body is in c too. */
static bool has_tensor(const struct flow_candidate *c, const char *name)
{
	struct fork_same same;
	for (size_t at = 0; fork_comparison_same(&c->result, &at, &same);)
		if (strcmp(same.component, BODY) == 0 && strcmp(same.name, name) == 0)
			return true;
	return false;
}

/* Whether one of two descends from the other, as the registry has it. */
static int are_related(const struct flow_fork_audit *a, const struct flow_candidate *c,
		       const struct flow_candidate *d, bool *out, struct err *e)
{
	enum registry_descent below, above;
	const struct digest *x = &c->release.root, *y = &d->release.root;
	TRY(registry_descent(a->flow->registry, x, y, &below, e));
	TRY(registry_descent(a->flow->registry, y, x, &above, e));
	*out = below != REGISTRY_UNRELATED || above != REGISTRY_UNRELATED;
	return 0;
}

static bool holds_body(const struct flow_candidate *c)
{
	return c->compared && c->result.identical > 0;
}

/* The values of c's body that the suspect has from nobody else; *all: with those it may have from
 * another. */
static int own_values(const struct flow_fork_audit *a, const struct flow_candidate *c,
		      uint64_t *own, uint64_t *all, struct err *e)
{
	const struct flow_candidate *other[HOLDERS_MAX];
	size_t others = 0;
	struct fork_same same;
	*own = *all = 0;
	for (size_t i = 0; i < a->count && others < HOLDERS_MAX; i++) {
		bool related = false;
		if (a->candidate[i] == c || !holds_body(a->candidate[i]))
			continue;
		TRY(are_related(a, c, a->candidate[i], &related, e));
		if (!related)
			other[others++] = a->candidate[i];
	}
	for (size_t at = 0; fork_comparison_same(&c->result, &at, &same);) {
		bool elsewhere = false;
		if (strcmp(same.component, BODY) != 0)
			continue;
		for (size_t i = 0; i < others && !elsewhere; i++)
			elsewhere = has_tensor(other[i], same.name);
		*all += same.values;
		*own += elsewhere ? 0 : same.values;
	}
	return 0;
}

/* Identical tensors are evidence of their source while nobody else could be it. */
int flow_fork_shared(struct flow_fork_audit *a, struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		uint64_t own, all;
		c->own_share = 0;
		if (c->measure.verdict != FORK_CONTAINS || !holds_body(c))
			continue;
		TRY(own_values(a, c, &own, &all, e));
		c->own_share = all ? c->result.identical_share * (double)own / (double)all : 0;
		c->ambiguous = own == 0;
	}
	for (size_t i = 0; i < a->count; i++) /* after all were held against each other */
		if (a->candidate[i]->ambiguous)
			a->candidate[i]->measure.verdict = a->candidate[i]->measure.tested
								   ? FORK_NO_EVIDENCE
								   : FORK_INCONCLUSIVE;
	return 0;
}

/* ---- the report ---- */

struct component {
	const char *name; /* static */
	uint64_t tensors, bytes;
};

/* Of one candidate, by component: what is the same and tells nothing of lineage. */
static size_t components_of(const struct flow_candidate *c, struct component *out, size_t room)
{
	struct fork_same same;
	size_t count = 0, i;
	for (size_t at = 0; fork_comparison_same(&c->result, &at, &same);) {
		if (strcmp(same.component, BODY) == 0 && !c->ambiguous)
			continue;
		for (i = 0; i < count && strcmp(out[i].name, same.component) != 0;)
			i++;
		if (i == room)
			continue;
		if (i == count)
			out[count++] = (struct component){ .name = same.component };
		out[i].tensors++;
		out[i].bytes += same.bytes;
	}
	return count;
}

static int add_holder(json_t *list, const struct component *k, const struct flow_candidate *c,
		      struct err *e)
{
	json_t *row = NULL, *item, *with;
	struct obj holder = { 0 };
	size_t i;
	json_array_foreach(list, i, item)
		if (strcmp(json_string_value(json_object_get(item, "component")), k->name) == 0)
			row = item;
	if (!row) {
		struct obj o = { 0 };
		obj_text(&o, "component", k->name);
		obj_add(&o, "with", json_array());
		TRY(obj_done(&o, &row, e));
		json_array_append_new(list, row);
	}
	obj_text(&holder, "name", c->name);
	obj_count(&holder, "tensors", k->tensors);
	obj_count(&holder, "bytes", k->bytes);
	TRY(obj_done(&holder, &with, e));
	json_array_append_new(json_object_get(row, "with"), with);
	return 0;
}

int flow_fork_components(const struct flow_fork_audit *a, json_t *list, struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		const struct flow_candidate *c = a->candidate[i];
		struct component found[8];
		if (!c->compared || flow_fork_related(c))
			continue;
		size_t count = components_of(c, found, sizeof found / sizeof *found);
		for (size_t k = 0; k < count; k++)
			TRY(add_holder(list, &found[k], c, e));
	}
	return 0;
}

/* ---- adapters ---- */

#define ADAPTER_TRIES 8 /* candidates that are opened for it */

/* Of which candidate the suspect is an adapter: the declared ones first. *out NULL: it is none. */
int flow_fork_adapter_of(struct flow_fork_audit *a, json_t **out, struct err *e)
{
	size_t tries = 0;
	*out = NULL;
	for (int pass = 0; pass < 2 && !a->without_files && a->suspect.adapter; pass++)
		for (size_t i = 0; i < a->count && tries < ADAPTER_TRIES; i++) {
			struct flow_candidate *c = a->candidate[i];
			struct flow_fork_model m;
			struct err why = { 0 };
			json_t *told = NULL;
			if (c->declared != (pass == 0) ||
			    flow_fork_open_candidate(a, c, &m, &why) < 0)
				continue;
			tries++;
			int rc = flow_fork_adapter(&m, &a->suspect, &told, &why);
			flow_fork_model_close(&m);
			if (rc == ERR_NOMEM)
				return err_set(e, rc, "%s", why.text);
			bool fits = json_is_true(json_object_get(told, "fits"));
			if (told)
				json_object_set_new(told, "base", json_string(c->name));
			if (rc == 0 && told && (fits || (c->declared && !*out))) {
				json_decref(*out);
				*out = told;
			} else {
				json_decref(told);
			}
			if (fits)
				return 0;
		}
	return 0;
}
