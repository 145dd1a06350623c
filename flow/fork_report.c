/* The report of an audit, and what of it goes into the log. The entry is made from the report
 * alone, so that comparing needs no right to write, and whoever has the report can check the digest
 * that the entry has of it. */
#include "base/check.h"
#include "flow/fork.h"
#include "flow/fork_audit.h"
#include "flow/fork_bundle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SIBLINGS_LOGGED 16 /* an entry has a limit; the report has all of them */

const char *const *flow_fork_verdict_names(void)
{
	static const char *names[FORK_NO_EVIDENCE + 2];
	for (int i = 0; i <= FORK_NO_EVIDENCE; i++)
		names[i] = fork_verdict_name((enum fork_verdict)i);
	return names;
}

/* ---- whom it is about ---- */

static bool is_related(const struct flow_candidate *c)
{
	return c->direction != FLOW_UNRELATED && c->direction != FLOW_CHILD;
}

/* Whether the verdict is rather about b than about a: about one that is related, nobody knows how,
 * else about a declared one, else about the one with the strongest evidence. */
static bool says_more(const struct flow_candidate *a, const struct flow_candidate *b)
{
	if (is_related(a) != is_related(b))
		return is_related(b);
	if (!is_related(a) && a->declared != b->declared)
		return b->declared;
	if (a->measure.tested != b->measure.tested)
		return b->measure.tested;
	return b->log_p < a->log_p;
}

/* The candidate that the verdict is about: the parent found, or the one that stands out most; never
 * one that descends from the suspect. NULL: none. */
static const struct flow_candidate *candidate_of_verdict(const struct flow_fork_audit *a)
{
	const struct flow_candidate *best = NULL;
	if (a->parents)
		return a->parent[0];
	for (size_t i = 0; i < a->count; i++) {
		const struct flow_candidate *c = a->candidate[i];
		if (c->direction != FLOW_CHILD && (!best || says_more(best, c)))
			best = c;
	}
	return best;
}

static const char *why_none(const struct flow_fork_audit *a)
{
	if (a->count)
		return "every candidate that is related descends from this one";
	return json_array_size(a->unjudged) ? "no candidate can be compared as it is"
					    : "no other registered release lies here";
}

/* Where no candidate is left that could be a parent: what was compared descends from the suspect,
 * or there was nothing to compare. */
static int report_without_candidate(const struct flow_fork_audit *a, json_t **out, struct err *e)
{
	enum fork_verdict verdict = a->count ? FORK_NO_EVIDENCE : FORK_INCONCLUSIVE;
	struct obj o = { 0 };
	obj_text(&o, "verdict", fork_verdict_name(verdict));
	obj_text(&o, "null_hypothesis", "independent initialisation");
	obj_null(&o, "p_value");
	obj_null(&o, "effect");
	obj_null(&o, "statistics");
	obj_text(&o, "not_run", why_none(a));
	obj_null(&o, "calibration");
	obj_u64_text(&o, "seed", a->seed);
	return obj_done(&o, out, e);
}

/* ---- members ---- */

static void add_declared(const struct flow_card *card, struct obj *to)
{
	struct obj o = { 0 };
	struct arr bases = { 0 };
	for (size_t i = 0; i < card->bases; i++)
		arr_text(&bases, card->base[i]);
	obj_text(&o, "base_model", card->bases ? card->base[0] : NULL);
	obj_add(&o, "base_models", bases.json ? arr_take(&bases) : json_array());
	obj_text(&o, "relation", card->relation[0] ? card->relation : NULL);
	obj_text(&o, "license", card->license[0] ? card->license : NULL);
	obj_object(to, "declared", &o);
}

static json_t *list_of(struct arr *list)
{
	return list->json || list->failed ? arr_take(list) : json_array();
}

/* What was measured of a candidate. */
static void add_measure(struct obj *o, const struct flow_candidate *c)
{
	const struct flow_fork_measure *m = &c->measure;
	obj_text(o, "verdict", fork_verdict_name(m->verdict));
	obj_measured(o, "p_value", m->tested ? m->p_value : NAN);
	obj_measured(o, "log_p", m->tested ? c->log_p : NAN);
	obj_measured(o, "effect", m->effect);
}

static json_t *parents_of(const struct flow_fork_audit *a)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < a->parents; i++) {
		const struct flow_candidate *c = a->parent[i];
		struct obj o = { 0 };
		check(c);
		obj_add(&o, "root", json_digest(&c->release.root));
		obj_text(&o, "name", c->name);
		obj_measured(&o, "weight", c->weight); /* null: it is no part of a mix */
		add_measure(&o, c);
		obj_text(&o, "rung", c->measure.rung);
		obj_text(&o, "basis", c->basis);
		arr_object(&list, &o);
	}
	return list_of(&list);
}

static json_t *siblings_of(const struct flow_fork_audit *a)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < a->count; i++) {
		const struct flow_candidate *c = a->candidate[i];
		struct obj o = { 0 };
		if (c->direction != FLOW_SIBLING)
			continue;
		obj_add(&o, "root", json_digest(&c->release.root));
		obj_text(&o, "name", c->name);
		add_measure(&o, c);
		obj_text(&o, "base", c->base[0] ? c->base : NULL);
		obj_text(&o, "basis", c->basis);
		arr_object(&list, &o);
	}
	return list_of(&list);
}

static json_t *candidates_of(const struct flow_fork_audit *a)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < a->count; i++) {
		const struct flow_candidate *c = a->candidate[i];
		struct obj o = { 0 };
		obj_add(&o, "root", json_digest(&c->release.root));
		obj_text(&o, "name", c->name);
		add_measure(&o, c);
		obj_text(&o, "rung", c->measure.rung);
		obj_measured(&o, "relative_l2", c->measure.relative_l2);
		obj_count(&o, "identical_tensors", c->identical);
		obj_measured(&o, "threshold", exp(c->log_threshold));
		obj_text(&o, "direction", flow_direction_name(c->direction));
		obj_text(&o, "basis", c->basis);
		arr_object(&list, &o);
	}
	return list_of(&list);
}

/* Every block and tensor of the comparisons that were looked at again: of what is related, declared
 * or has tensors of the suspect. Of the others the candidate's row is all. */
static int comparisons_of(const struct flow_fork_audit *a, json_t **out, struct err *e)
{
	struct arr list = { .json = json_array() };
	for (size_t i = 0; i < a->count; i++) {
		const struct flow_candidate *c = a->candidate[i];
		struct obj o = { 0 };
		json_t *whole;
		if (!c->compared)
			continue;
		int rc = fork_comparison_json(&c->result, true, &whole, e);
		if (rc < 0) {
			arr_free(&list);
			return rc;
		}
		obj_add(&o, "root", json_digest(&c->release.root));
		obj_text(&o, "name", c->name);
		obj_add(&o, "comparison", whole);
		arr_object(&list, &o);
	}
	return arr_done(&list, out, e);
}

/* By the name that it is registered by, else its folder's. */
static json_t *subject_name(const struct flow_fork_audit *a)
{
	const char *path = a->suspect.ref.path, *name = strrchr(path, '/');
	if (json_array_size(a->known_as))
		return json_incref(json_array_get(a->known_as, 0));
	return json_text_lossy(name ? name + 1 : path);
}

/* ---- findings ---- */

static struct flow_fork_other other_of(const struct flow_fork_audit *a,
				       const struct flow_candidate *c, bool parent)
{
	bool presumed = c->direction != FLOW_UNRELATED && flow_fork_presumed(c);
	return (struct flow_fork_other){
		.facts = c->has_facts && !a->without_files ? &c->facts : NULL,
		.measure = &c->measure,
		.name = c->name,
		.models = c->models,
		.license = c->release.license,
		.parent = parent,
		.firm = parent && !presumed && c->basis && strcmp(c->basis, "asked") != 0,
		.presumed = parent && presumed,
		.own = c->own,
		.ancestor = c->direction == FLOW_ANCESTOR,
	};
}

static int add_findings(const struct flow_fork_audit *a, json_t *findings, struct err *e)
{
	struct flow_fork_other *other = calloc(a->count + 1, sizeof *other);
	json_t *name = subject_name(a);
	size_t n = 0;
	int rc = other && name ? 0 : err_set(e, ERR_NOMEM, "out of memory");
	TRY_OUT(rc);
	for (size_t i = 0; i < a->parents; i++)
		other[n++] = other_of(a, a->parent[i], true);
	for (size_t i = 0; i < a->count; i++)
		if (!flow_fork_is_parent(a->candidate[i]))
			other[n++] = other_of(a, a->candidate[i], false);
	const struct flow_fork_case what = {
		.suspect = &a->suspect.facts,
		.name = json_string_value(name),
		.released = json_array_size(a->known_as) > 0,
		.seed = a->seed,
		.other = other,
		.others = n,
		.registered = a->models,
	};
	rc = flow_fork_findings(&what, findings, e);
out:
	json_decref(name);
	free(other);
	return rc;
}

/* ---- the report ---- */

int flow_fork_report(const struct flow_fork_audit *a, json_t **out, struct err *e)
{
	const struct flow_candidate *c = candidate_of_verdict(a);
	struct obj o = { 0 };
	if (!c) {
		TRY(report_without_candidate(a, &o.json, e));
	} else {
		o.json = json_incref(c->comparison);
		obj_text(&o, "verdict", fork_verdict_name(c->measure.verdict));
	}
	json_t *findings = json_array(), *components = json_array(), *comparisons = NULL;
	if (a->lists) {
		int rc = comparisons_of(a, &comparisons, e);
		if (rc < 0) {
			obj_free(&o);
			json_decref(findings);
			json_decref(components);
			return rc;
		}
	}
	obj_text(&o, "about", c ? c->name : NULL); /* whose numbers these are: no parent by that */
	obj_add(&o, "subject", json_digest(&a->subject));
	obj_add(&o, "subject_name", subject_name(a));
	obj_share(&o, "registered_as", a->known_as);
	obj_text(&o, "parent", a->parents ? a->parent[0]->name : NULL);
	obj_add(&o, "parents", parents_of(a));
	obj_add(&o, "siblings", siblings_of(a));
	obj_count(&o, "compared", a->count);
	obj_text(&o, "method", FORK_METHOD);
	add_declared(&a->suspect.facts.card, &o);
	obj_add(&o, "candidates", candidates_of(a));
	obj_share(&o, "unavailable", a->unavailable);
	obj_share(&o, "unjudged", a->unjudged);
	obj_real(&o, "alpha", FLOW_FORK_ALPHA);
	obj_text(&o, "correction", "holm");
	obj_count(&o, "hypotheses", a->count);
	if (comparisons)
		obj_add(&o, "comparisons", comparisons);
	obj_add(&o, "shared_components", components);
	obj_add(&o, "mix", a->mix ? json_incref(a->mix) : json_null());
	obj_add(&o, "adapter", a->adapter ? json_incref(a->adapter) : json_null());
	obj_add(&o, "findings", findings);
	TRY(obj_done(&o, out, e));
	TRY(flow_fork_components(a, components, e));
	return add_findings(a, findings, e);
}

/* ---- the log ---- */

static void add_siblings(struct obj *body, const json_t *report)
{
	const json_t *all = json_object_get(report, "siblings"), *sibling;
	struct arr list = { 0 };
	size_t i;
	json_array_foreach(all, i, sibling) {
		struct obj o = { 0 };
		if (i == SIBLINGS_LOGGED)
			break;
		obj_share(&o, "root", json_object_get(sibling, "root"));
		obj_share(&o, "name", json_object_get(sibling, "name"));
		obj_share(&o, "basis", json_object_get(sibling, "basis"));
		arr_object(&list, &o);
	}
	obj_add(body, "siblings", list_of(&list));
}

/* Of each what a reader of the log asks for first. */
static void add_logged_findings(struct obj *body, const json_t *report)
{
	static const char *const members[] = { "kind", "severity", "detail" };
	const json_t *finding;
	struct arr list = { 0 };
	size_t i;
	json_array_foreach(json_object_get(report, "findings"), i, finding) {
		struct obj o = { 0 };
		for (size_t k = 0; k < sizeof members / sizeof *members; k++)
			obj_share(&o, members[k], json_object_get(finding, members[k]));
		arr_object(&list, &o);
	}
	obj_add(body, "findings", list_of(&list));
}

static int body_of(const json_t *report, json_t **body, struct err *e)
{
	static const char *const shared[] = { "subject", "subject_name", "verdict",  "p_value",
					      "effect",  "parents",      "compared", "method" };
	struct buf text = { 0 };
	int rc = json_write_canonical(report, &text, e);
	struct digest digest = digest_of(text.bytes, text.len);
	buf_free(&text);
	TRY(rc);
	const json_t *declared = json_object_get(report, "declared");
	struct obj o = { 0 };
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
		obj_share(&o, shared[i], json_object_get(report, shared[i]));
	obj_share(&o, "declared", json_object_get(declared, "base_models"));
	obj_share(&o, "relation", json_object_get(declared, "relation"));
	add_siblings(&o, report);
	add_logged_findings(&o, report);
	obj_add(&o, "report", json_digest(&digest));
	return obj_done(&o, body, e);
}

static int add_receipt(struct flow *f, const struct audit_receipt *receipt, json_t *report,
		       struct err *e)
{
	struct buf entry = { 0 }, proof = { 0 };
	int rc = audit_log_entry(f->log, receipt->index, &entry, e);
	if (rc == 0)
		rc = audit_log_proof(f->log, receipt->index, entry.bytes, entry.len, &proof, e);
	if (rc == 0) {
		json_object_set_new(report, "index", json_integer((json_int_t)receipt->index));
		json_object_set_new(report, "receipt", json_stringn(proof.bytes, proof.len));
	}
	buf_free(&entry);
	buf_free(&proof);
	return rc;
}

/* Where an unregistered suspect lies, for when it is audited again. A registered release has its
 * place, and a copy of it is none. */
static int remember(struct flow *f, const json_t *report, const char *suspect, struct err *e)
{
	const char *text = json_string_value(json_object_get(report, "subject"));
	struct digest root;
	if (!suspect || json_array_size(json_object_get(report, "registered_as")))
		return 0;
	char *full = realpath(suspect, NULL);
	if (!full)
		return 0;
	int rc = digest_parse(text ? text : "", &root, e);
	if (rc == 0)
		rc = registry_locate(f->registry, &root, full, e);
	free(full);
	return rc;
}

int flow_fork_record(struct flow *f, json_t *report, const char *suspect, struct err *e)
{
	struct audit_receipt receipt;
	struct buf lines = { 0 };
	json_t *body = NULL;
	int rc = 0;
	TRY_OUT(flow_fork_bundle_lines(report, &lines, e));
	TRY_OUT(body_of(report, &body, e));
	TRY_OUT(flow_append(f, &(struct audit_record){ .type = "fork", .body = body }, false,
			    &receipt, e));
	TRY_OUT(remember(f, report, suspect, e));
	TRY_OUT(add_receipt(f, &receipt, report, e));
	rc = flow_fork_bundle_keep(f, report, &lines, e);
out:
	buf_free(&lines);
	json_decref(body);
	return rc;
}
