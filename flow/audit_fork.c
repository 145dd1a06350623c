/* Audit a fork: untrusted folder or package -> candidates from the registry -> lineage statistics
 * -> contradictions with what its card declares -> log -> registry edges -> report. Holm over the
 * candidates bounds the chance of one false accusation. What is registered cannot stop an audit: a
 * candidate that is gone, damaged or of no use is named and left out. */
#include "base/machine.h"
#include "flow/fork.h"
#include "flow/fork_audit.h"
#include "flow/fork_cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The steps, in their order. */
static int find_candidates(struct flow_fork_audit *a, struct err *e);
static int correct(struct flow_fork_audit *a, struct err *e);
static void sort(struct flow_fork_audit *a, int (*order)(const void *, const void *));
static int by_evidence(const void *a, const void *b);
static int by_place(const void *a, const void *b);
static int look(struct flow_fork_audit *a, struct err *e);
static void audit_close(struct flow_fork_audit *a);

/* The page. */
static int examine(struct flow_fork_audit *a, json_t **report, struct err *e)
{
	TRY(find_candidates(a, e));
	TRY(flow_fork_weigh(a, e));  /* sketches, of registered bytes that are verified */
	TRY(correct(a, e));          /* what survives Holm */
	TRY(flow_fork_shared(a, e)); /* identical tensors that name no source */
	sort(a, by_evidence);
	TRY(flow_fork_kin(a, e)); /* how the relatives stand to each other */
	TRY(look(a, e));          /* their cards and configs; of possible parents every tensor */
	TRY(flow_fork_lineage(a, e)); /* and who descends from whom */
	TRY(flow_fork_adapter_of(a, &a->adapter, e));
	sort(a, by_place);                   /* the parents first */
	TRY(flow_fork_report(a, report, e)); /* and where the card contradicts it */
	env_step(a->flow->env, "fork.examined");
	return 0;
}

static int open_suspect(struct flow_fork_audit *a, const char *suspect, struct err *e)
{
	TRY(flow_fork_model_open(a->flow, suspect, &a->suspect, e)); /* untrusted bytes */
	return flow_fork_model_root(a->flow, &a->suspect, &a->subject, e);
}

/* Of an entry: what its card declared. */
static int take_entry(struct flow_fork_audit *a, const json_t *entry, struct err *e)
{
	const json_t *base;
	const char *name = json_string_value(json_object_get(entry, "subject_name"));
	const char *subject = json_string_value(json_object_get(entry, "subject"));
	const char *relation = json_string_value(json_object_get(entry, "relation"));
	struct flow_card *card = &a->suspect.facts.card;
	size_t i;
	a->without_files = true;
	snprintf(a->suspect.ref.path, sizeof a->suspect.ref.path, "%s", name ? name : "");
	snprintf(card->relation, sizeof card->relation, "%s", relation ? relation : "");
	json_array_foreach(json_object_get(entry, "declared"), i, base)
		if (json_is_string(base) && card->bases < FLOW_CARD_BASES)
			snprintf(card->base[card->bases++], sizeof *card->base, "%s",
				 json_string_value(base));
	return digest_parse(subject ? subject : "", &a->subject, e);
}

static int audit(struct flow_fork_audit *a, const char *suspect, const json_t *entry,
		 json_t **report, struct err *e)
{
	*report = NULL;
	a->known_as = json_array();
	a->models = json_array();
	a->unavailable = json_array();
	a->unjudged = json_array();
	a->registered = UINT64_MAX;
	int rc = pool_open(&a->pool, machine_cores(), NULL, e);
	if (rc == 0)
		rc = suspect ? open_suspect(a, suspect, e) : take_entry(a, entry, e);
	if (rc == 0)
		rc = examine(a, report, e);
	audit_close(a);
	if (rc < 0) {
		json_decref(*report);
		*report = NULL;
	}
	return rc;
}

int flow_fork_examine(struct flow *f, const struct flow_fork_question *q, json_t **report,
		      struct err *e)
{
	struct flow_fork_audit a = {
		.flow = f, .asked = q->parent, .seed = q->seed, .only = q->only, .lists = q->lists
	};
	return audit(&a, q->suspect, NULL, report, e);
}

int flow_fork_examine_kept(struct flow *f, const json_t *entry, uint64_t seed, json_t **report,
			   struct err *e)
{
	struct flow_fork_audit a = { .flow = f, .seed = seed };
	return audit(&a, NULL, entry, report, e);
}

int flow_audit_fork(struct flow *f, const char *suspect, const char *parent, uint64_t seed,
		    json_t **report, struct err *e)
{
	const struct flow_fork_question q = {
		.suspect = suspect, .parent = parent, .seed = seed, .lists = true
	};
	TRY(flow_fork_examine(f, &q, report, e));
	int rc =
		flow_fork_record(f, *report, suspect, e); /* log entry and edges, one transaction */
	if (rc < 0) {
		json_decref(*report);
		*report = NULL;
	}
	return rc;
}

void flow_candidate_forget(struct flow_candidate *c)
{
	if (c->compared)
		fork_comparison_free(&c->result);
	c->compared = false;
}

void flow_candidate_free(struct flow_candidate *c)
{
	flow_candidate_forget(c);
	json_decref(c->comparison);
	json_decref(c->models);
	flow_fork_facts_free(&c->facts);
	free(c);
}

static void audit_close(struct flow_fork_audit *a)
{
	for (size_t i = 0; i < a->count; i++)
		flow_candidate_free(a->candidate[i]);
	free(a->candidate);
	free(a->parent);
	json_decref(a->known_as);
	json_decref(a->models);
	json_decref(a->unavailable);
	json_decref(a->unjudged);
	json_decref(a->adapter);
	json_decref(a->mix);
	free(a->square);
	fork_sketch_free(a->sketch);
	flow_fork_model_close(&a->suspect);
	pool_close(a->pool);
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

static bool is_asked_for(const struct flow_fork_audit *a, const struct digest *root)
{
	char text[DIGEST_TEXT_ROOM];
	const json_t *one;
	size_t i;
	digest_text(root, text);
	json_array_foreach(a->only, i, one)
		if (json_is_string(one) && strcmp(json_string_value(one), text) == 0)
			return true;
	return !a->only;
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
	bool here = r->location[0] || flow_fork_sketch_is_kept(a->flow, &r->root);
	a->located |= here;
	if (!c && !a->asked && here && is_asked_for(a, &r->root)) {
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

/* ---- evidence ---- */

/* The smaller p-value first; of equal ones the nearer model, then the one registered first. */
static int by_log_p(const void *a, const void *b)
{
	const struct flow_candidate *x = *(struct flow_candidate *const *)a,
				    *y = *(struct flow_candidate *const *)b;
	double l = flow_fork_distance(x), m = flow_fork_distance(y);
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
		enum fork_verdict *v = &c->measure.verdict;
		if (*v == FORK_DEPENDENT && !reject[i])
			*v = FORK_INCONCLUSIVE;
		else if (reject[i] && *v != FORK_IDENTICAL) /* beyond what one alone could say */
			*v = FORK_DEPENDENT;
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

/* The parents, the nearest of them first; then the rest as above. */
static int by_place(const void *a, const void *b)
{
	const struct flow_candidate *x = *(struct flow_candidate *const *)a,
				    *y = *(struct flow_candidate *const *)b;
	return x->place != y->place ? (x->place > y->place) - (x->place < y->place)
				    : by_evidence(a, b);
}

/* ---- a closer look ---- */

#define LOOK_CLOSELY 3 /* candidates beside the declared ones that may be the parent */

static bool is_near_kin(const struct flow_candidate *c)
{
	return c->measure.verdict == FORK_IDENTICAL || c->kin == FORK_KIN_PARENT ||
	       c->kin == FORK_KIN_MIXED;
}

/* Comparing tensor by tensor reads both models again: of those that are declared, of the kin that
 * can be parents, and of a lone relative. */
static int look(struct flow_fork_audit *a, struct err *e)
{
	size_t relatives = 0, closely = 0;
	for (size_t i = 0; i < a->count; i++)
		relatives += flow_fork_related(a->candidate[i]);
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		bool related = flow_fork_related(c);
		bool near = related && (relatives == 1 || is_near_kin(c)) && closely < LOOK_CLOSELY;
		closely += near;
		if (related || c->declared || c->measure.verdict == FORK_CONTAINS)
			TRY(flow_fork_look(a, c, c->declared || near, e));
		else if (c->result.identical == 0 && c->result.shared_components == 0)
			flow_candidate_forget(c);
	}
	return 0;
}
