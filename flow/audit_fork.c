/* Audit a fork: untrusted folder or package -> candidates from the registry -> lineage statistics
 * -> contradictions with what its card declares -> log -> registry edge -> report. Holm over the
 * candidates bounds the chance of one false accusation. */
#include "flow/fork_model.h"

#include <stdlib.h>
#include <string.h>

#define ALPHA 1e-3

struct candidate {
	struct flow_fork_model model;
	struct registry_release release;
	char name[330];
	struct fork_comparison result;
	bool compared;
};

struct audit {
	struct flow *flow;
	struct flow_fork_model suspect;
	struct digest subject; /* the suspect's root, as a release has it */
	struct candidate *candidate;
	size_t count;
	json_t *unavailable;          /* registered releases whose files are gone or were changed */
	const struct candidate *best; /* the parent found, or NULL */
	struct audit_receipt receipt;
};

static int add_candidate(struct audit *a, const struct registry_release *r, struct err *e)
{
	struct candidate *grown = realloc(a->candidate, (a->count + 1) * sizeof *grown);
	if (!grown)
		return err_set(e, ERR_NOMEM, "out of memory");
	a->candidate = grown;
	struct candidate *c = &grown[a->count++];
	*c = (struct candidate){ .release = *r };
	snprintf(c->name, sizeof c->name, "%s@%s", r->model, r->version);
	return 0;
}

static int add_located(void *audit, const struct registry_release *r, struct err *e)
{
	return r->location[0] ? add_candidate(audit, r, e) : 0;
}

static int find_candidates(struct audit *a, const char *parent, struct err *e)
{
	struct registry_release r;
	if (parent) {
		TRY(registry_find(a->flow->registry, parent, &r, e));
		return add_candidate(a, &r, e);
	}
	TRY(registry_each(a->flow->registry, add_located, a, e));
	if (a->count == 0)
		return err_set(
			e, ERR_NOTFOUND,
			"no registered release lies on this machine: publish or add the possible parents first");
	return 0;
}

/* By root, so that a folder is only ever taken for the release that it holds. Those that cannot be
 * read are named and left out, unless one was asked for. */
static int open_candidates(struct audit *a, bool asked, struct err *e)
{
	size_t kept = 0;
	for (size_t i = 0; i < a->count; i++) {
		struct candidate c = a->candidate[i];
		char root[DIGEST_TEXT_ROOM];
		struct err why = { 0 };
		digest_text(&c.release.root, root);
		a->candidate[i] = (struct candidate){ 0 };
		int rc = flow_fork_model_open(a->flow, root, &c.model, &why);
		bool gone = rc == ERR_NOTFOUND || rc == ERR_VERIFY || rc == ERR_INPUT;
		if (rc < 0 && (asked || !gone))
			return err_set(e, rc, "compare with %s: %s", c.name, why.text);
		if (rc < 0)
			json_array_append_new(a->unavailable, json_pack("{s:s,s:s}", "name", c.name,
									"reason", why.text));
		else
			a->candidate[kept++] = c;
	}
	a->count = kept;
	return kept ? 0 : err_set(e, ERR_NOTFOUND, "no registered release can be read here");
}

static int compare_all(struct audit *a, uint64_t seed, struct err *e)
{
	for (size_t i = 0; i < a->count; i++) {
		struct candidate *c = &a->candidate[i];
		int rc = fork_compare(&c->model.model, &a->suspect.model, ALPHA / (double)a->count,
				      seed, NULL, &c->result, e);
		if (rc < 0)
			return err_prefix(e, "compare with %s", c->name);
		c->compared = true;
	}
	return 0;
}

static bool derived(const struct candidate *c)
{
	return c->result.verdict == FORK_IDENTICAL || c->result.verdict == FORK_DEPENDENT;
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

/* Holm takes back what does not survive the correction; the parent is among the rest. */
static int choose_parent(struct audit *a, struct err *e)
{
	double *p = calloc(a->count, sizeof *p);
	bool *reject = calloc(a->count, sizeof *reject);
	if (!p || !reject) {
		free(p);
		free(reject);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	for (size_t i = 0; i < a->count; i++)
		p[i] = a->candidate[i].result.p_value;
	fork_holm(p, a->count, a->count, ALPHA, reject);
	for (size_t i = 0; i < a->count; i++) {
		struct candidate *c = &a->candidate[i];
		if (c->result.verdict == FORK_DEPENDENT && !reject[i])
			c->result.verdict = FORK_INCONCLUSIVE;
		if (derived(c) && (!a->best || is_nearer(a, a->best, c)))
			a->best = c;
	}
	free(p);
	free(reject);
	return 0;
}

/* The candidate that the report is about: the parent found, else the declared, else the first. */
static const struct candidate *subject_of(const struct audit *a)
{
	if (a->best)
		return a->best;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->candidate[i].release.model, a->suspect.base) == 0)
			return &a->candidate[i];
	return &a->candidate[0];
}

static int report_of(struct audit *a, json_t **out, struct err *e)
{
	const struct candidate *c = subject_of(a);
	TRY(fork_comparison_json(&c->result, false, out, e));
	json_t *findings = json_array(), *candidates = json_array();
	json_object_set_new(*out, "parent", a->best ? json_string(c->name) : json_null());
	json_object_set_new(*out, "declared",
			    json_pack("{s:s?,s:s?,s:s?}", "base_model",
				      a->suspect.base[0] ? a->suspect.base : NULL, "relation",
				      a->suspect.relation[0] ? a->suspect.relation : NULL,
				      "license",
				      a->suspect.license[0] ? a->suspect.license : NULL));
	for (size_t i = 0; i < a->count; i++) {
		const struct fork_comparison *r = &a->candidate[i].result;
		json_array_append_new(candidates,
				      json_pack("{s:s,s:s,s:f,s:f,s:f}", "name",
						a->candidate[i].name, "verdict",
						fork_verdict_name(r->verdict), "p_value",
						r->p_value, "effect", r->effect, "relative_l2",
						r->relative_l2));
	}
	json_object_set_new(*out, "candidates", candidates);
	json_object_set(*out, "unavailable", a->unavailable);
	json_object_set_new(*out, "alpha", json_real(ALPHA));
	json_object_set_new(*out, "findings", findings);
	return flow_fork_findings(&c->model, c->name, &a->suspect, &c->result, findings, e);
}

static int log_it(struct audit *a, json_t *report, struct err *e)
{
	const struct candidate *c = subject_of(a);
	struct digest digest;
	struct buf text = { 0 };
	const char *name = strrchr(a->suspect.ref.path, '/');
	int rc = json_write_canonical(report, &text, e);
	digest = digest_of(text.bytes, text.len);
	buf_free(&text);
	TRY(rc);
	json_t *body =
		json_pack("{s:o,s:o,s:o,s:s,s:s?,s:s?,s:s,s:f,s:f,s:O,s:o}", "subject",
			  json_digest(&a->subject), "subject_name",
			  json_text_lossy(name ? name + 1 : a->suspect.ref.path), "parent",
			  json_digest(&c->release.root), "parent_name", c->name, "declared",
			  a->suspect.base[0] ? a->suspect.base : NULL, "relation",
			  a->suspect.relation[0] ? a->suspect.relation : NULL, "verdict",
			  fork_verdict_name(c->result.verdict), "p_value", c->result.p_value,
			  "effect", c->result.effect, "findings",
			  json_object_get(report, "findings"), "report", json_digest(&digest));
	TRY(json_ok(body, e));
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

int flow_audit_fork(struct flow *f, const char *suspect, const char *parent, uint64_t seed,
		    json_t **report, struct err *e)
{
	struct audit a = { .flow = f, .unavailable = json_array() };
	*report = NULL;
	int rc = flow_fork_model_open(f, suspect, &a.suspect, e);
	if (rc == 0)
		rc = find_candidates(&a, parent, e);
	if (rc == 0)
		rc = open_candidates(&a, parent != NULL, e);
	if (rc == 0)
		rc = compare_all(&a, seed, e);
	if (rc == 0)
		rc = flow_fork_model_root(&a.suspect, &a.subject, e);
	if (rc == 0)
		rc = choose_parent(&a, e);
	if (rc == 0)
		rc = report_of(&a, report, e);
	if (rc == 0)
		rc = log_it(&a, *report, e);
	if (rc == 0)
		rc = add_receipt(&a, *report, e);
	for (size_t i = 0; i < a.count; i++) {
		if (a.candidate[i].compared)
			fork_comparison_free(&a.candidate[i].result);
		flow_fork_model_close(&a.candidate[i].model);
	}
	free(a.candidate);
	json_decref(a.unavailable);
	flow_fork_model_close(&a.suspect);
	if (rc < 0 && *report) {
		json_decref(*report);
		*report = NULL;
	}
	return rc;
}

int flow_fork_compare(struct flow *f, const char *a, const char *b, uint64_t seed, bool blocks,
		      json_t **report, struct err *e)
{
	struct flow_fork_model left, right = { 0 };
	struct fork_comparison c = { 0 };
	bool compared = false;
	*report = NULL;
	TRY(flow_fork_model_open(f, a, &left, e));
	int rc = flow_fork_model_open(f, b, &right, e);
	if (rc == 0) {
		rc = fork_compare(&left.model, &right.model, ALPHA, seed, NULL, &c, e);
		compared = rc == 0;
	}
	if (rc == 0)
		rc = fork_comparison_json(&c, blocks, report, e);
	if (rc == 0) {
		json_t *findings = json_array();
		bool found = c.verdict == FORK_IDENTICAL || c.verdict == FORK_DEPENDENT;
		json_object_set_new(*report, "parent", found ? json_text_lossy(a) : json_null());
		json_object_set_new(*report, "findings", findings);
		rc = flow_fork_findings(&left, left.ref.registered ? left.ref.release.model : a,
					&right, &c, findings, e);
	}
	if (compared)
		fork_comparison_free(&c);
	flow_fork_model_close(&left);
	flow_fork_model_close(&right);
	return rc;
}

int flow_fork_calibrate(struct flow *f, const char *ref, uint64_t seed, json_t **report,
			struct err *e)
{
	struct flow_fork_model m;
	struct fork_calibration c = { 0 };
	TRY(flow_fork_model_open(f, ref, &m, e));
	int rc = fork_calibrate(&m.model, seed, &c, e);
	flow_fork_model_close(&m);
	TRY(rc);
	*report =
		json_pack("{s:s,s:I,s:f,s:f,s:f,s:b,s:I}", "statistic", "s1", "pairs",
			  (json_int_t)c.pairs, "ks_p", c.ks_p, "below_05", c.below_05, "below_005",
			  c.below_005, "passed", c.passed, "seed", (json_int_t)c.seed);
	return json_ok(*report, e);
}

int flow_fork_tree(struct flow *f, json_t **report, struct err *e)
{
	json_t *all;
	TRY(registry_export(f->registry, &all, e));
	*report = json_pack("{s:O,s:O}", "releases", json_object_get(all, "releases"), "forks",
			    json_object_get(all, "forks"));
	json_decref(all);
	return json_ok(*report, e);
}
