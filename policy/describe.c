/* What there is, for people: the rules of a policy and of its packs, and the detectors. */
#include "policy/rules.h"

#include <stdio.h>
#include <string.h>

/* ---- a policy */

static void add_pack(struct arr *to, const struct pack *x)
{
	struct obj o = { 0 };
	obj_text(&o, "name", x->name);
	obj_count(&o, "version", x->version);
	obj_add(&o, "digest", json_digest(&x->digest));
	arr_object(to, &o);
}

/* In its own words, or in those of its detector. */
static const char *described(const struct policy_rule *x)
{
	char name[128];
	if (x->description)
		return x->description;
	if (!x->detector)
		return x->regex ? "a regular expression" : "words and phrases";
	snprintf(name, sizeof name, "%.*s", (int)strcspn(x->detector, "/"), x->detector);
	const struct filter_detector *d = filter_detector_find(name);
	return d ? d->what : "";
}

/* The members of a rule in a bundle, and what it is for. */
static void add_rule(struct arr *to, const struct policy_rule *x)
{
	struct obj o = { 0 };
	policy_add_rule(&o, x);
	obj_text(&o, "pack", x->pack);
	obj_text(&o, "description", described(x));
	obj_bool(&o, "overridden", x->original != NULL);
	obj_bool(&o, "enabled", !x->off);
	arr_object(to, &o);
}

int policy_describe(const struct policy *p, json_t **out, struct err *e)
{
	struct obj o = { 0 };
	struct arr packs = { 0 }, rules = { 0 }, overrides = { 0 };
	for (size_t i = 0; i < p->packs; i++)
		add_pack(&packs, &p->pack[i]);
	for (size_t i = 0; i < p->rules; i++)
		add_rule(&rules, &p->rule[i]);
	for (size_t i = 0; i < p->overrides; i++) {
		struct obj x = { 0 };
		policy_add_override(&x, &p->override[i]);
		if (!p->override[i].pack)
			obj_int(&x, "line", p->override[i].line);
		arr_object(&overrides, &x);
	}
	obj_array(&o, "packs", &packs);
	obj_array(&o, "rules", &rules);
	obj_array(&o, "overrides", &overrides);
	return obj_done(&o, out, e);
}

/* ---- detectors */

static const struct policy_measured *measured(const struct filter_detector *d)
{
	for (const struct policy_measured *m = policy_measured_list; m->detector; m++)
		if (strcmp(m->detector, d->name) == 0 && m->version == d->version)
			return m;
	return NULL;
}

static void add_words(struct obj *o, const struct filter_detector *d)
{
	struct arr list = { 0 };
	for (size_t i = 0; d->words && d->words[i]; i++)
		arr_text(&list, d->words[i]);
	for (const char *at = d->keywords; at && *at; at += *at == '|') {
		size_t n = strcspn(at, "|");
		arr_add(&list, json_stringn(at, n));
		at += n;
	}
	obj_array(o, "words", &list);
}

/* Shares of the table that bench/filters_detectors.py makes; null for what it does not have. */
static void add_measured(struct obj *o, const struct filter_detector *d)
{
	const struct policy_measured *m = measured(d);
	if (!m || m->values == 0) {
		obj_null(o, "recall");
		obj_null(o, "precision");
		return;
	}
	uint32_t hits = m->found + m->false_hits;
	obj_real(o, "recall", (double)m->found / m->values);
	if (hits)
		obj_real(o, "precision", (double)m->found / hits);
	else
		obj_null(o, "precision");
}

static void add_detector(struct arr *to, const struct filter_detector *d)
{
	struct obj o = { 0 };
	obj_text(&o, "name", d->name);
	obj_count(&o, "version", d->version);
	obj_text(&o, "what", d->what);
	obj_text(&o, "check", d->check);
	obj_text(&o, "context", d->context);
	add_words(&o, d);
	obj_text(&o, "source", d->source);
	obj_text(&o, "example", d->example);
	add_measured(&o, d);
	arr_object(to, &o);
}

int policy_detectors(const char *name, json_t **out, struct err *e)
{
	struct obj o = { 0 };
	struct arr list = { 0 };
	const struct filter_detector *d = NULL;
	const char *names[FILTER_DETECTORS_MAX + 1] = { NULL };
	char base[64] = "";
	if (name)
		snprintf(base, sizeof base, "%.*s", (int)strcspn(name, "/"), name);
	for (size_t i = 0; i < FILTER_DETECTORS_MAX && (d = filter_detector_describe(i)); i++) {
		names[i] = d->name;
		if (!name || strcmp(base, d->name) == 0)
			add_detector(&list, d);
	}
	if (name && !filter_detector_known(name)) {
		const char *near = policy_nearest(base, names);
		arr_free(&list);
		return err_set(e, ERR_NOTFOUND, "there is no detector \"%.60s\"; %s%s%s", name,
			       near ? "did you mean \"" : "see `hallmark policy detectors`",
			       near ? near : "", near ? "\"?" : "");
	}
	obj_array(&o, "detectors", &list);
	return obj_done(&o, out, e);
}
