/* Audit a fork: untrusted folder or package -> candidates from the registry -> lineage statistics
 * -> contradictions with what its card declares -> log -> registry edges -> report. Holm over the
 * candidates bounds the chance of one false accusation. What is registered cannot stop an audit: a
 * candidate that is gone, damaged or of no use is named and left out. */
#include "flow/fork_audit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The steps, in their order. */
static int find_candidates(struct flow_fork_audit *a, struct err *e);
static int compare_all(struct flow_fork_audit *a, struct err *e);
static int correct(struct flow_fork_audit *a, struct err *e);
static void sort(struct flow_fork_audit *a, int (*order)(const void *, const void *));
static int by_evidence(const void *a, const void *b);
static void audit_close(struct flow_fork_audit *a);

/* The page. */
static int examine(struct flow_fork_audit *a, const char *suspect, json_t **report, struct err *e)
{
	TRY(flow_fork_model_open(a->flow, suspect, &a->suspect, e)); /* untrusted bytes */
	TRY(flow_fork_model_root(a->flow, &a->suspect, &a->subject, e));
	TRY(find_candidates(a, e));
	TRY(compare_all(a, e)); /* registered bytes, verified as they are read */
	TRY(correct(a, e));     /* what survives Holm */
	sort(a, by_evidence);
	TRY(flow_fork_lineage(a, e));        /* and who descends from whom */
	TRY(flow_fork_report(a, report, e)); /* and where the card contradicts it */
	env_step(a->flow->env, "fork.examined");
	return 0;
}

int flow_fork_examine(struct flow *f, const char *suspect, const char *parent, uint64_t seed,
		      json_t **report, struct err *e)
{
	struct flow_fork_audit a = { .flow = f,
				     .asked = parent,
				     .seed = seed,
				     .known_as = json_array(),
				     .models = json_array(),
				     .registered = UINT64_MAX,
				     .unavailable = json_array(),
				     .unjudged = json_array() };
	*report = NULL;
	int rc = examine(&a, suspect, report, e);
	audit_close(&a);
	if (rc < 0) {
		json_decref(*report);
		*report = NULL;
	}
	return rc;
}

int flow_audit_fork(struct flow *f, const char *suspect, const char *parent, uint64_t seed,
		    json_t **report, struct err *e)
{
	TRY(flow_fork_examine(f, suspect, parent, seed, report, e));
	int rc = flow_fork_record(f, *report, e); /* log entry and edges, one transaction */
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
	json_decref(a->models);
	json_decref(a->unavailable);
	json_decref(a->unjudged);
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
	json_array_append_new(a->models, json_string(r->model));
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

/* A release declares parents too, in the statement that its publisher signed. */
static int take_released_parents(struct flow_fork_audit *a, struct err *e)
{
	struct registry_release own;
	char root[DIGEST_TEXT_ROOM];
	json_t *shown;
	const json_t *parent;
	size_t i;
	digest_text(&a->subject, root);
	int rc = registry_find(a->flow->registry, root, &own, e);
	if (rc == ERR_NOTFOUND)
		return 0;
	TRY(rc);
	TRY(flow_audit_show(a->flow, own.log_index, false, &shown, e));
	const json_t *body = json_object_get(json_object_get(shown, "entry"), "body");
	json_array_foreach(json_object_get(body, "parents"), i, parent) {
		const char *name = json_string_value(json_object_get(parent, "name"));
		if (name)
			flow_card_add_base(&a->suspect.facts.card, name);
	}
	json_decref(shown);
	return 0;
}

static int find_candidates(struct flow_fork_audit *a, struct err *e)
{
	struct registry_release r;
	TRY(take_released_parents(a, e));
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

static void leave_out(struct flow_fork_audit *a, size_t i, bool unavailable, const char *reason)
{
	struct flow_candidate *c = a->candidate[i];
	json_array_append_new(unavailable ? a->unavailable : a->unjudged,
			      json_pack("{s:s,s:o}", "name", c->name, "reason",
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
	c->measure = flow_fork_measure_old(result);
	c->log_p = c->measure.tested ? log(c->measure.p_value) : 0;
	c->facts = m->facts;
	m->facts = (struct flow_fork_facts){ 0 };
	fork_old_free(result);
	return rc;
}

/* What of a candidate's failure means that its files are not, or no longer, what was registered. */
static bool is_gone(int rc) { return rc == ERR_NOTFOUND || rc == ERR_VERIFY || rc == ERR_IO; }

/* By root, so that a folder is only ever taken for the release that it holds. Large files are
 * checked as they are read: a changed one comes to light only in comparing. */
static int compare_one(struct flow_fork_audit *a, struct flow_candidate *c, double alpha,
		       struct err *e)
{
	char root[DIGEST_TEXT_ROOM];
	struct flow_fork_model m;
	struct fork_old result;
	digest_text(&c->release.root, root);
	TRY(flow_fork_model_open(a->flow, root, &m, e));
	int rc = fork_old_compare(&m.model, &a->suspect.model, alpha, a->seed, NULL, &result, e);
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
		int rc = compare_one(a, a->candidate[i], alpha, &why);
		env_step(a->flow->env, "fork.candidate");
		if (rc < 0 && a->asked)
			return err_set(e, rc, "compare with %s: %s", a->candidate[i]->name,
				       why.text);
		if (rc < 0)
			leave_out(a, i, is_gone(rc), why.text);
		else
			i++;
	}
	if (any && a->count == 0 && json_array_size(a->unjudged) == 0)
		return err_set(e, ERR_NOTFOUND, "no registered release can be read here");
	return 0;
}

/* The smaller p-value first; of equal ones the nearer model, then the one registered first. */
static int by_log_p(const void *a, const void *b)
{
	const struct flow_candidate *x = *(struct flow_candidate *const *)a,
				    *y = *(struct flow_candidate *const *)b;
	double l = x->measure.relative_l2, m = y->measure.relative_l2;
	if (x->log_p < y->log_p || x->log_p > y->log_p)
		return x->log_p < y->log_p ? -1 : 1;
	if (l < m || l > m)
		return l < m ? -1 : 1;
	return (x->release.log_index > y->release.log_index) -
	       (x->release.log_index < y->release.log_index);
}

static void sort(struct flow_fork_audit *a, int (*order)(const void *, const void *))
{
	if (a->count)
		qsort(a->candidate, a->count, sizeof(struct flow_candidate *), order);
}

/* Holm takes back what does not survive the correction for the number of candidates: every one that
 * was examined counts, also those that state no p-value. */
static int correct(struct flow_fork_audit *a, struct err *e)
{
	double *log_p = calloc(2 * a->count + 1, sizeof *log_p), *threshold = log_p + a->count;
	bool *reject = calloc(a->count + 1, sizeof *reject);
	if (!log_p || !reject) {
		free(log_p);
		free(reject);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	sort(a, by_log_p); /* equal ones in an order of their own */
	for (size_t i = 0; i < a->count; i++) {
		const struct flow_candidate *c = a->candidate[i];
		log_p[i] = c->measure.tested ? c->log_p : NAN;
	}
	fork_holm(log_p, a->count, a->count, FLOW_FORK_ALPHA, threshold, reject);
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		c->log_threshold = threshold[i];
		if (c->measure.verdict == FORK_DEPENDENT && !reject[i])
			c->measure.verdict = FORK_INCONCLUSIVE;
	}
	free(log_p);
	free(reject);
	return 0;
}

/* The strongest evidence first: by verdict, then as above. */
static int by_evidence(const void *a, const void *b)
{
	const struct flow_candidate *x = *(struct flow_candidate *const *)a,
				    *y = *(struct flow_candidate *const *)b;
	enum fork_verdict v = x->measure.verdict, w = y->measure.verdict;
	return v != w ? (v > w) - (v < w) : by_log_p(a, b);
}
