/* Audit a fork: untrusted folder or package -> candidates from the registry -> lineage statistics
 * -> contradictions with what its card declares -> log -> registry edge -> report. Holm over the
 * candidates bounds the chance of one false accusation. */
#include "flow/fork_model.h"

#include <stdlib.h>
#include <string.h>

struct candidate {
	struct flow_fork_model model;
	struct registry_release release;
	char name[330];
	struct fork_comparison result;
	bool compared;
};

struct audit {
	struct flow *flow;
	const char *asked; /* REF of the one candidate; NULL: every release that lies here */
	uint64_t seed;
	struct flow_fork_model suspect;
	struct digest subject; /* the suspect's root, as a release has it */
	struct candidate **candidate; /* each by itself: the sources of an open model borrow its parts */
	size_t count;
	json_t *unavailable;          /* registered releases whose files are gone or were changed */
	const struct candidate *best; /* the parent found, or NULL */
	struct audit_receipt receipt;
};

/* The steps, in their order. */
static int find_candidates(struct audit *a, struct err *e);
static int open_candidates(struct audit *a, struct err *e);
static int compare_all(struct audit *a, struct err *e);
static int choose_parent(struct audit *a, struct err *e);
static int write_report(struct audit *a, json_t **report, struct err *e);
static int append_fork(struct audit *a, const json_t *report, struct err *e);
static int add_receipt(struct audit *a, json_t *report, struct err *e);
static void audit_close(struct audit *a);

/* The page. */
static int audit_fork(struct audit *a, const char *suspect, json_t **report, struct err *e)
{
	TRY(flow_fork_model_open(a->flow, suspect, &a->suspect, e)); /* untrusted bytes */
	TRY(find_candidates(a, e));
	TRY(open_candidates(a, e)); /* registered bytes, verified as they are read */
	TRY(compare_all(a, e));     /* lineage statistics */
	TRY(flow_fork_model_root(&a->suspect, &a->subject, e));
	TRY(choose_parent(a, e)); /* what survives Holm */

	TRY(write_report(a, report, e)); /* and where the card contradicts what was measured */
	TRY(append_fork(a, *report, e)); /* log entry and registry edge, one transaction */
	return add_receipt(a, *report, e);
}

int flow_audit_fork(struct flow *f, const char *suspect, const char *parent, uint64_t seed,
		    json_t **report, struct err *e)
{
	struct audit a = { .flow = f, .asked = parent, .seed = seed, .unavailable = json_array() };
	*report = NULL;
	int rc = audit_fork(&a, suspect, report, e);
	audit_close(&a);
	if (rc < 0) {
		json_decref(*report);
		*report = NULL;
	}
	return rc;
}

static void candidate_free(struct candidate *c)
{
	if (c->compared)
		fork_comparison_free(&c->result);
	flow_fork_model_close(&c->model);
	free(c);
}

static void audit_close(struct audit *a)
{
	for (size_t i = 0; i < a->count; i++)
		candidate_free(a->candidate[i]);
	free(a->candidate);
	json_decref(a->unavailable);
	flow_fork_model_close(&a->suspect);
}

/* ---- candidates ---- */

static int add_candidate(struct audit *a, const struct registry_release *r, struct err *e)
{
	struct candidate **grown = realloc(a->candidate, (a->count + 1) * sizeof *grown);
	struct candidate *c = calloc(1, sizeof *c);
	if (grown)
		a->candidate = grown;
	if (!grown || !c) {
		free(c);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	c->release = *r;
	snprintf(c->name, sizeof c->name, "%s@%s", r->model, r->version);
	a->candidate[a->count++] = c;
	return 0;
}

static int add_located(void *audit, const struct registry_release *r, struct err *e)
{
	return r->location[0] ? add_candidate(audit, r, e) : 0;
}

static int find_candidates(struct audit *a, struct err *e)
{
	struct registry_release r;
	if (a->asked) {
		TRY(registry_find(a->flow->registry, a->asked, &r, e));
		return add_candidate(a, &r, e);
	}
	TRY(registry_each(a->flow->registry, add_located, a, e));
	if (a->count == 0)
		return err_set(
			e, ERR_NOTFOUND,
			"no registered release lies on this machine: publish or add the possible parents first");
	return 0;
}

/* Those that cannot be read, or not as they were signed, are named and left out. */
static void leave_out(struct audit *a, size_t i, const char *reason)
{
	struct candidate *c = a->candidate[i];
	json_array_append_new(a->unavailable,
			      json_pack("{s:s,s:o}", "name", c->name, "reason", json_text_lossy(reason)));
	candidate_free(c);
	a->count--;
	memmove(a->candidate + i, a->candidate + i + 1, (a->count - i) * sizeof *a->candidate);
}

static int check_left(const struct audit *a, struct err *e)
{
	return a->count ? 0 : err_set(e, ERR_NOTFOUND, "no registered release can be read here");
}

/* By root, so that a folder is only ever taken for the release that it holds. */
static int open_candidates(struct audit *a, struct err *e)
{
	for (size_t i = 0; i < a->count;) {
		struct candidate *c = a->candidate[i];
		char root[DIGEST_TEXT_ROOM];
		struct err why = { 0 };
		digest_text(&c->release.root, root);
		int rc = flow_fork_model_open(a->flow, root, &c->model, &why);
		bool gone = rc == ERR_NOTFOUND || rc == ERR_VERIFY || rc == ERR_INPUT;
		if (rc < 0 && (a->asked || !gone))
			return err_set(e, rc, "compare with %s: %s", c->name, why.text);
		if (rc < 0)
			leave_out(a, i, why.text);
		else
			i++;
	}
	return check_left(a, e);
}

/* ---- comparing ---- */

/* Large files are checked as they are read: a changed one comes to light only here. Of a suspect
 * that is a release itself it might be the suspect's. */
static int compare_all(struct audit *a, struct err *e)
{
	double alpha = FLOW_FORK_ALPHA / (double)a->count;
	for (size_t i = 0; i < a->count;) {
		struct candidate *c = a->candidate[i];
		struct err why = { 0 };
		int rc = fork_compare(&c->model.model, &a->suspect.model, alpha, a->seed, NULL,
				      &c->result, &why);
		bool changed = rc == ERR_VERIFY && !a->suspect.verified;
		c->compared = rc == 0;
		if (rc < 0 && (a->asked || !changed))
			return err_set(e, rc, "compare with %s: %s", c->name, why.text);
		if (rc < 0)
			leave_out(a, i, why.text);
		else
			i++;
	}
	return check_left(a, e);
}

static bool derived(const struct candidate *c)
{
	return c->result.verdict == FORK_IDENTICAL || c->result.verdict == FORK_DEPENDENT;
}

/* Where the suspect was released here before: when. UINT64_MAX: it was not, or nobody knows. */
static uint64_t released_at(const struct audit *a)
{
	uint64_t at = UINT64_MAX;
	for (size_t i = 0; i < a->count; i++) {
		const struct registry_release *r = &a->candidate[i]->release;
		if (digest_equal(&r->root, &a->subject) && r->log_index < at)
			at = r->log_index;
	}
	return at;
}

/* Whether b is a better parent than a: a release is its own parent only where nothing else is, and
 * of two others the nearer in weights is. */
static bool is_nearer(const struct audit *x, const struct candidate *a, const struct candidate *b)
{
	bool a_itself = digest_equal(&a->release.root, &x->subject);
	bool b_itself = digest_equal(&b->release.root, &x->subject);
	if (a_itself != b_itself)
		return a_itself;
	return b->result.relative_l2 < a->result.relative_l2;
}

/* Holm takes back what does not survive the correction; the parent is among the rest. The measure
 * knows no direction, the log does: what was released later is no parent of a release. */
static int choose_parent(struct audit *a, struct err *e)
{
	uint64_t released = released_at(a);
	double *p = calloc(a->count, sizeof *p);
	bool *reject = calloc(a->count, sizeof *reject);
	if (!p || !reject) {
		free(p);
		free(reject);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	for (size_t i = 0; i < a->count; i++)
		p[i] = a->candidate[i]->result.p_value;
	fork_holm(p, a->count, a->count, FLOW_FORK_ALPHA, reject);
	for (size_t i = 0; i < a->count; i++) {
		struct candidate *c = a->candidate[i];
		if (c->result.verdict == FORK_DEPENDENT && !reject[i])
			c->result.verdict = FORK_INCONCLUSIVE;
		if (derived(c) && c->release.log_index <= released &&
		    (!a->best || is_nearer(a, a->best, c)))
			a->best = c;
	}
	free(p);
	free(reject);
	return 0;
}

/* ---- telling ---- */

/* The candidate that the report is about: the parent found, else the declared, else the first. */
static const struct candidate *subject_of(const struct audit *a)
{
	if (a->best)
		return a->best;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->candidate[i]->release.model, a->suspect.card.base) == 0)
			return a->candidate[i];
	return a->candidate[0];
}

static int write_report(struct audit *a, json_t **out, struct err *e)
{
	const struct candidate *c = subject_of(a);
	TRY(fork_comparison_json(&c->result, false, out, e));
	json_t *findings = json_array(), *candidates = json_array();
	json_object_set_new(*out, "parent", a->best ? json_string(c->name) : json_null());
	json_object_set_new(*out, "declared",
			    json_pack("{s:s?,s:s?,s:s?}", "base_model",
				      a->suspect.card.base[0] ? a->suspect.card.base : NULL,
				      "relation",
				      a->suspect.card.relation[0] ? a->suspect.card.relation : NULL,
				      "license",
				      a->suspect.card.license[0] ? a->suspect.card.license : NULL));
	for (size_t i = 0; i < a->count; i++) {
		const struct fork_comparison *r = &a->candidate[i]->result;
		json_array_append_new(candidates,
				      json_pack("{s:s,s:s,s:f,s:f,s:f}", "name",
						a->candidate[i]->name, "verdict",
						fork_verdict_name(r->verdict), "p_value",
						r->p_value, "effect", r->effect, "relative_l2",
						r->relative_l2));
	}
	json_object_set_new(*out, "candidates", candidates);
	json_object_set(*out, "unavailable", a->unavailable);
	json_object_set_new(*out, "alpha", json_real(FLOW_FORK_ALPHA));
	json_object_set_new(*out, "findings", findings);
	return flow_fork_findings(&c->model, c->name, &a->suspect, &c->result, findings, e);
}

static int append_fork(struct audit *a, const json_t *report, struct err *e)
{
	const struct candidate *c = subject_of(a);
	struct digest digest;
	struct buf text = { 0 };
	const char *name = strrchr(a->suspect.ref.path, '/');
	int rc = json_write_canonical(report, &text, e);
	digest = digest_of(text.bytes, text.len);
	buf_free(&text);
	TRY(rc);
	const struct flow_card *card = &a->suspect.card;
	struct obj o = { 0 };
	json_t *body;
	obj_add(&o, "subject", json_digest(&a->subject));
	obj_add(&o, "subject_name", json_text_lossy(name ? name + 1 : a->suspect.ref.path));
	obj_add(&o, "parent", json_digest(&c->release.root));
	obj_text(&o, "parent_name", c->name);
	obj_text(&o, "declared", card->base[0] ? card->base : NULL);
	obj_text(&o, "relation", card->relation[0] ? card->relation : NULL);
	obj_text(&o, "verdict", fork_verdict_name(c->result.verdict));
	obj_real(&o, "p_value", c->result.p_value);
	obj_real(&o, "effect", c->result.effect);
	obj_share(&o, "findings", json_object_get(report, "findings"));
	obj_add(&o, "report", json_digest(&digest));
	TRY(obj_done(&o, &body, e));
	rc = flow_append(a->flow, &(struct audit_record){ .type = "fork", .body = body }, false,
			 &a->receipt, e);
	json_decref(body);
	return rc;
}

static int add_receipt(struct audit *a, json_t *report, struct err *e)
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
