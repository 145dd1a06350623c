/* Audit a fork: untrusted folder or package -> candidates from the registry -> lineage statistics
 * -> contradictions with what its card declares -> log -> registry edges -> report. Holm over the
 * candidates bounds the chance of one false accusation. */
#include "base/decimal.h"
#include "flow/fork_audit.h"

#include <stdlib.h>
#include <string.h>

#define METHOD "ladder/1" /* how the rungs become a verdict: docs/formats.md, section 10 */

/* The steps, in their order. */
static int find_candidates(struct flow_fork_audit *a, struct err *e);
static int compare_all(struct flow_fork_audit *a, struct err *e);
static int correct(struct flow_fork_audit *a, struct err *e);
static int write_report(struct flow_fork_audit *a, json_t **report, struct err *e);
static int append_fork(struct flow_fork_audit *a, const json_t *report, struct err *e);
static int add_receipt(struct flow_fork_audit *a, json_t *report, struct err *e);
static void audit_close(struct flow_fork_audit *a);

/* The page. */
static int audit_fork(struct flow_fork_audit *a, const char *suspect, json_t **report,
		      struct err *e)
{
	TRY(flow_fork_model_open(a->flow, suspect, &a->suspect, e)); /* untrusted bytes */
	TRY(flow_fork_model_root(a->flow, &a->suspect, &a->subject, e));
	TRY(find_candidates(a, e));
	TRY(compare_all(a,
			e)); /* registered bytes, verified as they are read: lineage statistics */
	TRY(correct(a, e));  /* what survives Holm */
	TRY(flow_fork_lineage(a, e)); /* and who descends from whom */

	TRY(write_report(a, report, e)); /* and where the card contradicts what was measured */
	TRY(append_fork(a, *report, e)); /* log entry and registry edges, one transaction */
	return add_receipt(a, *report, e);
}

int flow_audit_fork(struct flow *f, const char *suspect, const char *parent, uint64_t seed,
		    json_t **report, struct err *e)
{
	struct flow_fork_audit a = { .flow = f,
				     .asked = parent,
				     .seed = seed,
				     .known_as = json_array(),
				     .registered = UINT64_MAX,
				     .unavailable = json_array() };
	*report = NULL;
	int rc = audit_fork(&a, suspect, report, e);
	audit_close(&a);
	if (rc < 0) {
		json_decref(*report);
		*report = NULL;
	}
	return rc;
}

static void candidate_free(struct flow_candidate *c)
{
	json_decref(c->comparison);
	json_decref(c->models);
	flow_fork_facts_free(&c->facts);
	free(c);
}

static void audit_close(struct flow_fork_audit *a)
{
	for (size_t i = 0; i < a->count; i++)
		candidate_free(a->candidate[i]);
	free(a->candidate);
	free(a->parent);
	json_decref(a->known_as);
	json_decref(a->unavailable);
	flow_fork_model_close(&a->suspect);
}

/* ---- candidates ---- */

static void take_name(struct flow_candidate *c, const struct registry_release *r)
{
	snprintf(c->name, sizeof c->name, "%s@%s", r->model, r->version);
}

static int add_candidate(struct flow_fork_audit *a, const struct registry_release *r, struct err *e)
{
	struct flow_candidate **grown = realloc(a->candidate, (a->count + 1) * sizeof *grown);
	struct flow_candidate *c = calloc(1, sizeof *c);
	if (grown)
		a->candidate = grown;
	if (!grown || !c) {
		free(c);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	c->release = *r;
	c->models = json_array();
	take_name(c, r);
	a->candidate[a->count++] = c;
	return json_ok(c->models, e);
}

/* One of the names of its content; the one that the card declares counts as its name. */
static void add_model(struct flow_fork_audit *a, struct flow_candidate *c,
		      const struct registry_release *r)
{
	json_array_append_new(c->models, json_string(r->model));
	if (c->declared || !flow_card_declares(&a->suspect.facts.card, r->model))
		return;
	c->declared = true;
	take_name(c, r);
}

static struct flow_candidate *candidate_with(const struct flow_fork_audit *a,
					     const struct digest *root)
{
	for (size_t i = 0; i < a->count; i++)
		if (digest_equal(&a->candidate[i]->release.root, root))
			return a->candidate[i];
	return NULL;
}

/* One content is one candidate, whatever its names. The suspect's own content is none. */
static int visit_release(void *audit, const struct registry_release *r, struct err *e)
{
	struct flow_fork_audit *a = audit;
	a->located |= r->location[0] != 0;
	if (digest_equal(&r->root, &a->subject)) {
		struct flow_candidate itself;
		take_name(&itself, r);
		json_array_append_new(a->known_as, json_string(itself.name));
		a->registered = a->registered < r->log_index ? a->registered : r->log_index;
		return 0;
	}
	struct flow_candidate *c = candidate_with(a, &r->root);
	if (!c && !a->asked && r->location[0]) {
		TRY(add_candidate(a, r, e));
		c = a->candidate[a->count - 1];
	}
	if (c)
		add_model(a, c, r);
	return 0;
}

static bool is_own(const struct flow_fork_audit *a, const struct flow_candidate *c)
{
	size_t i, k;
	const json_t *name, *model;
	json_array_foreach(a->known_as, i, name)
		json_array_foreach(c->models, k, model) {
			const char *text = json_string_value(name), *of = json_string_value(model);
			size_t len = strlen(of);
			if (strncmp(text, of, len) == 0 && text[len] == '@')
				return true;
		}
	return false;
}

static int find_candidates(struct flow_fork_audit *a, struct err *e)
{
	struct registry_release r;
	if (a->asked) {
		TRY(registry_find(a->flow->registry, a->asked, &r, e));
		if (!digest_equal(&r.root, &a->subject))
			TRY(add_candidate(a, &r, e));
	}
	TRY(registry_each(a->flow->registry, visit_release, a, e));
	for (size_t i = 0; i < a->count; i++)
		a->candidate[i]->own = is_own(a, a->candidate[i]);
	if (a->asked || a->located)
		return 0;
	return err_set(
		e, ERR_NOTFOUND,
		"no registered release lies on this machine: publish or add the possible parents first");
}

/* Those that cannot be read, or not as they were signed, are named and left out. */
static void leave_out(struct flow_fork_audit *a, size_t i, const char *reason)
{
	struct flow_candidate *c = a->candidate[i];
	json_array_append_new(a->unavailable, json_pack("{s:s,s:o}", "name", c->name, "reason",
							json_text_lossy(reason)));
	candidate_free(c);
	a->count--;
	memmove(a->candidate + i, a->candidate + i + 1, (a->count - i) * sizeof *a->candidate);
}

/* ---- comparing ---- */

static int take_comparison(struct flow_candidate *c, struct flow_fork_model *m,
			   struct fork_old *result, struct err *e)
{
	int rc = fork_old_json(result, false, &c->comparison, e);
	c->measure = flow_fork_measure_of(result);
	c->facts = m->facts;
	m->facts = (struct flow_fork_facts){ 0 };
	fork_old_free(result);
	return rc;
}

/* By root, so that a folder is only ever taken for the release that it holds. Large files are
 * checked as they are read: a changed one comes to light only in comparing. Of a suspect that is a
 * release itself it might be the suspect's. *gone: its files are not what was registered. */
static int compare_one(struct flow_fork_audit *a, struct flow_candidate *c, double alpha,
		       bool *gone, struct err *e)
{
	char root[DIGEST_TEXT_ROOM];
	struct flow_fork_model m;
	struct fork_old result;
	digest_text(&c->release.root, root);
	int rc = flow_fork_model_open(a->flow, root, &m, e);
	*gone = rc == ERR_NOTFOUND || rc == ERR_VERIFY || rc == ERR_INPUT;
	TRY(rc);
	rc = fork_old_compare(&m.model, &a->suspect.model, alpha, a->seed, NULL, &result, e);
	*gone = rc == ERR_VERIFY && !a->suspect.verified;
	if (rc == 0)
		rc = take_comparison(c, &m, &result, e);
	flow_fork_model_close(&m);
	return rc;
}

static int compare_all(struct flow_fork_audit *a, struct err *e)
{
	bool any = a->count > 0;
	double alpha = FLOW_FORK_ALPHA / (double)(any ? a->count : 1);
	for (size_t i = 0; i < a->count;) {
		struct err why = { 0 };
		bool gone = false;
		int rc = compare_one(a, a->candidate[i], alpha, &gone, &why);
		if (rc < 0 && (a->asked || !gone))
			return err_set(e, rc, "compare with %s: %s", a->candidate[i]->name,
				       why.text);
		if (rc < 0)
			leave_out(a, i, why.text);
		else
			i++;
	}
	if (any && a->count == 0)
		return err_set(e, ERR_NOTFOUND, "no registered release can be read here");
	return 0;
}

/* Holm takes back what does not survive the correction for the number of candidates. */
static int correct(struct flow_fork_audit *a, struct err *e)
{
	double *p = calloc(a->count + 1, sizeof *p);
	bool *reject = calloc(a->count + 1, sizeof *reject);
	if (!p || !reject) {
		free(p);
		free(reject);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	for (size_t i = 0; i < a->count; i++)
		p[i] = a->candidate[i]->measure.p_value;
	fork_holm(p, a->count, a->count, FLOW_FORK_ALPHA, reject);
	for (size_t i = 0; i < a->count; i++) {
		struct flow_fork_measure *m = &a->candidate[i]->measure;
		if (m->verdict == FORK_DEPENDENT && !reject[i])
			m->verdict = FORK_INCONCLUSIVE;
	}
	free(p);
	free(reject);
	return 0;
}

/* ---- telling ---- */

/* Whether the verdict is rather about b than about a: about one that is related, nobody knows how,
 * else about a declared one, else about the one that stands out most. */
static bool says_more(const struct flow_candidate *a, const struct flow_candidate *b)
{
	bool related_a = a->direction == FLOW_UNKNOWN, related_b = b->direction == FLOW_UNKNOWN;
	if (related_a != related_b)
		return related_b;
	if (a->declared != b->declared)
		return b->declared;
	if (a->measure.tested != b->measure.tested)
		return b->measure.tested;
	return b->measure.p_value < a->measure.p_value;
}

/* The candidate that the verdict is about: the parent found, or one that could have been it; never
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

/* Where no candidate is left that could be a parent: what was compared descends from the suspect,
 * or there was nothing to compare. */
static int report_without_candidate(const struct flow_fork_audit *a, json_t **out, struct err *e)
{
	static const char *const rungs[] = { "s1", "s2", "s3", "s4" };
	const struct fork_old none = {
		.verdict = a->count ? FORK_NO_EVIDENCE : FORK_INCONCLUSIVE,
		.p_value = 1,
		.seed = a->seed,
	};
	struct obj why = { 0 };
	TRY(fork_old_json(&none, false, out, e));
	for (size_t i = 0; i < sizeof rungs / sizeof *rungs; i++)
		obj_text(&why, rungs[i],
			 a->count ? "every candidate that is related descends from this one"
				  : "no other registered release lies here");
	json_object_set_new(*out, "not_run", obj_take(&why));
	return json_ok(json_object_get(*out, "not_run"), e);
}

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

static void add_candidates(const struct flow_fork_audit *a, struct obj *to)
{
	struct arr list = { 0 };
	for (size_t i = 0; i < a->count; i++) {
		const struct flow_candidate *c = a->candidate[i];
		struct obj o = { 0 };
		obj_text(&o, "name", c->name);
		obj_text(&o, "verdict", fork_verdict_name(c->measure.verdict));
		obj_add(&o, "p_value", flow_fork_p_value(&c->measure));
		obj_real(&o, "effect", decimal_round(c->measure.effect, DECIMAL_DIGITS));
		obj_real(&o, "relative_l2", decimal_round(c->measure.relative_l2, DECIMAL_DIGITS));
		obj_text(&o, "direction", flow_direction_name(c->direction));
		arr_object(&list, &o);
	}
	obj_add(to, "candidates", list.json ? arr_take(&list) : json_array());
}

static int add_findings_of(const struct flow_fork_audit *a, const struct flow_candidate *c,
			   json_t *findings, struct err *e)
{
	const struct flow_fork_other other = {
		.facts = &c->facts,
		.name = c->name,
		.own = c->own,
		.presumed = c->direction == FLOW_PARENT && flow_fork_presumed(c),
	};
	return flow_fork_findings(&other, &a->suspect.facts, &c->measure, findings, e);
}

/* Of the nearest parent, and of every declared one that the weights do not confirm where no other
 * contradicts the card already. */
static int add_findings(const struct flow_fork_audit *a, json_t *findings, struct err *e)
{
	if (a->parents)
		TRY(add_findings_of(a, a->parent[0], findings, e));
	if (a->parents && !a->parent[0]->declared && !a->parent[0]->own)
		return 0;
	for (size_t i = 0; i < a->count; i++) {
		const struct flow_candidate *c = a->candidate[i];
		if (c->declared && c->measure.verdict == FORK_NO_EVIDENCE)
			TRY(add_findings_of(a, c, findings, e));
	}
	return 0;
}

static int write_report(struct flow_fork_audit *a, json_t **out, struct err *e)
{
	const struct flow_candidate *c = candidate_of_verdict(a);
	struct obj o = { 0 };
	if (!c) {
		TRY(report_without_candidate(a, &o.json, e));
	} else {
		o.json = json_incref(c->comparison);
		obj_text(&o, "verdict", fork_verdict_name(c->measure.verdict));
	}
	json_t *findings = json_array();
	obj_add(&o, "subject", json_digest(&a->subject));
	obj_share(&o, "registered_as", a->known_as);
	obj_text(&o, "parent", a->parents ? a->parent[0]->name : NULL);
	obj_add(&o, "parents", flow_fork_parents(a));
	obj_count(&o, "compared", a->count);
	obj_text(&o, "method", METHOD);
	add_declared(&a->suspect.facts.card, &o);
	add_candidates(a, &o);
	obj_share(&o, "unavailable", a->unavailable);
	obj_real(&o, "alpha", FLOW_FORK_ALPHA);
	obj_add(&o, "findings", findings);
	TRY(obj_done(&o, out, e));
	return add_findings(a, findings, e);
}

/* By the name that it is registered by, else its folder's. */
static json_t *subject_name(const struct flow_fork_audit *a)
{
	const char *path = a->suspect.ref.path, *name = strrchr(path, '/');
	if (json_array_size(a->known_as))
		return json_incref(json_array_get(a->known_as, 0));
	return json_text_lossy(name ? name + 1 : path);
}

static int append_fork(struct flow_fork_audit *a, const json_t *report, struct err *e)
{
	static const char *const shared[] = { "verdict",  "p_value", "effect",  "parents",
					      "compared", "method",  "findings" };
	struct buf text = { 0 };
	int rc = json_write_canonical(report, &text, e);
	struct digest digest = digest_of(text.bytes, text.len);
	buf_free(&text);
	TRY(rc);
	const json_t *declared = json_object_get(report, "declared");
	struct obj o = { 0 };
	json_t *body;
	obj_add(&o, "subject", json_digest(&a->subject));
	obj_add(&o, "subject_name", subject_name(a));
	obj_share(&o, "declared", json_object_get(declared, "base_models"));
	obj_share(&o, "relation", json_object_get(declared, "relation"));
	for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
		obj_share(&o, shared[i], json_object_get(report, shared[i]));
	obj_add(&o, "report", json_digest(&digest));
	TRY(obj_done(&o, &body, e));
	rc = flow_append(a->flow, &(struct audit_record){ .type = "fork", .body = body }, false,
			 &a->receipt, e);
	json_decref(body);
	return rc;
}

static int add_receipt(struct flow_fork_audit *a, json_t *report, struct err *e)
{
	struct buf entry = { 0 }, proof = { 0 };
	int rc = audit_log_entry(a->flow->log, a->receipt.index, &entry, e);
	if (rc == 0)
		rc = audit_log_proof(a->flow->log, a->receipt.index, entry.bytes, entry.len, &proof,
				     e);
	if (rc == 0) {
		json_object_set_new(report, "index", json_integer((json_int_t)a->receipt.index));
		json_object_set_new(report, "receipt", json_stringn(proof.bytes, proof.len));
	}
	buf_free(&entry);
	buf_free(&proof);
	return rc;
}
