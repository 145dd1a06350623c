/* The suspect's sketch against that of each candidate. Kept sketches first, all cores at once; then
 * those that have to be made, one model open at a time. A candidate that fails is named and left
 * out, whatever it is that fails: nothing registered ends an audit. */
#include "flow/fork_audit.h"
#include "flow/fork.h"
#include "flow/fork_cache.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- one candidate ---- */

/* Again after a closer look. What the correction or other candidates took back stays so. */
static int take_comparison(struct flow_candidate *c, bool again, struct err *e)
{
	enum fork_verdict before = c->measure.verdict;
	bool taken_back = again && before >= FORK_INCONCLUSIVE;
	json_decref(c->comparison);
	c->comparison = NULL;
	c->measure = flow_fork_measure_of(&c->result);
	c->measure.share = again ? c->weight : NAN;
	if (taken_back)
		c->measure.verdict = before;
	c->identical = c->result.identical;
	c->log_p = c->result.tested ? c->result.log_p : 0;
	return fork_comparison_json(&c->result, false, &c->comparison, e);
}

/* Whether what was compared is looked at again: what is declared, what the correction may reject,
 * what has tensors of the suspect. Of many candidates these are few. */
static bool is_of_use(const struct flow_candidate *c)
{
	const struct fork_comparison *r = &c->result;
	return c->declared || r->identical > 0 || r->shared_components > 0 ||
	       r->verdict == FORK_IDENTICAL || (r->tested && r->log_p <= log(FLOW_FORK_ALPHA));
}

static int compare(const struct flow_fork_audit *a, struct flow_candidate *c,
		   const struct fork_sketch *of, struct pool *pool, struct err *e)
{
	const struct fork_options how = { .alpha = FLOW_FORK_ALPHA / (double)a->count,
					  .seed = a->seed,
					  .pool = pool };
	TRY(fork_compare(of, a->sketch, &how, &c->result, e));
	c->compared = true;
	TRY(take_comparison(c, false, e));
	if (!is_of_use(c))
		flow_candidate_forget(c);
	return 0;
}

int flow_fork_open_candidate(const struct flow_fork_audit *a, const struct flow_candidate *c,
			     struct flow_fork_model *m, struct err *e)
{
	char root[DIGEST_TEXT_ROOM];
	digest_text(&c->release.root, root);
	return flow_fork_model_open(a->flow, root, m, e);
}

/* Large files are checked as they are read: a changed one comes to light only here. */
static int compare_files(struct flow_fork_audit *a, struct flow_candidate *c, struct err *e)
{
	struct flow_fork_model m;
	struct fork_sketch *of = NULL;
	TRY(flow_fork_open_candidate(a, c, &m, e));
	int rc = flow_fork_sketch(a->flow, &m, &c->release.root, a->pool, &a->bar, &of, e);
	if (rc == 0)
		rc = compare(a, c, of, a->pool, e);
	fork_sketch_free(of);
	flow_fork_model_close(&m);
	return rc;
}

static int compare_kept(const struct flow_fork_audit *a, struct flow_candidate *c,
			struct pool *pool, struct err *e)
{
	struct fork_sketch *of;
	TRY(flow_fork_sketch_kept(a->flow, &c->release.root, &of, e));
	int rc = compare(a, c, of, pool, e);
	fork_sketch_free(of);
	return rc;
}

/* ---- all of them ---- */

static void compare_part(void *ctx, struct part part)
{
	struct flow_fork_audit *a = ctx;
	for (uint32_t i = part.begin; i < part.end; i++) {
		struct flow_candidate *c = a->candidate[i];
		c->failed = compare_kept(a, c, NULL, &c->why);
	}
}

/* Many candidates share out the cores; a few have all of them each. */
static void compare_all_kept(struct flow_fork_audit *a)
{
	if (a->count >= pool_threads(a->pool)) {
		pool_run_in_order(a->pool, (uint32_t)a->count, compare_part, a);
		return;
	}
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		c->failed = compare_kept(a, c, a->pool, &c->why);
	}
}

/* What of a failure means that the files are not, or no longer, what was registered. */
static bool is_gone(int rc) { return rc == ERR_NOTFOUND || rc == ERR_VERIFY || rc == ERR_IO; }

static void leave_out(struct flow_fork_audit *a, size_t i)
{
	struct flow_candidate *c = a->candidate[i];
	json_array_append_new(is_gone(c->failed) ? a->unavailable : a->unjudged,
			      json_pack("{s:s,s:o}", "name", c->name, "reason",
					json_text_lossy(c->why.text)));
	flow_candidate_free(c);
	a->count--;
	memmove(a->candidate + i, a->candidate + i + 1, (a->count - i) * sizeof *a->candidate);
}

/* Bytes that are still to be read: the suspect's, and of candidates without a kept sketch. */
static uint64_t bytes_to_read(const struct flow_fork_audit *a)
{
	uint64_t bytes = 0;
	if (!a->without_files && !flow_fork_sketch_is_kept(a->flow, &a->subject))
		bytes = flow_fork_model_bytes(&a->suspect);
	for (size_t i = 0; i < a->count; i++)
		if (!flow_fork_sketch_is_kept(a->flow, &a->candidate[i]->release.root))
			bytes += a->candidate[i]->release.bytes;
	return bytes;
}

static int sketch_suspect(struct flow_fork_audit *a, struct err *e)
{
	if (a->without_files)
		return flow_fork_sketch_kept(a->flow, &a->subject, &a->sketch, e);
	return flow_fork_sketch(a->flow, &a->suspect, &a->subject, a->pool, &a->bar, &a->sketch, e);
}

static int weigh(struct flow_fork_audit *a, struct err *e)
{
	TRY(sketch_suspect(a, e));
	env_step(a->flow->env, "fork.sketched");
	compare_all_kept(a);
	for (size_t i = 0; i < a->count; i++) {
		struct flow_candidate *c = a->candidate[i];
		if (c->failed == ERR_NOTFOUND)
			c->failed = compare_files(a, c, &c->why);
		env_step(a->flow->env, "fork.candidate");
		if (c->failed < 0 && a->asked)
			return err_set(e, c->failed, "compare with %s: %s", c->name, c->why.text);
	}
	return 0;
}

int flow_fork_weigh(struct flow_fork_audit *a, struct err *e)
{
	bool any = a->count > 0;
	progress_start(&a->bar, "sketching", bytes_to_read(a), a->flow->quiet);
	int rc = weigh(a, e);
	progress_end(&a->bar);
	TRY(rc);
	for (size_t i = 0; i < a->count;) {
		if (a->candidate[i]->failed < 0)
			leave_out(a, i);
		else
			i++;
	}
	if (any && a->count == 0 && json_array_size(a->unjudged) == 0)
		return err_set(e, ERR_NOTFOUND, "no registered release can be read here");
	return 0;
}

/* ---- a closer look at some ---- */

/* It was compared by its kept sketch, and its files are not what was registered any more. */
static void note_gone(const struct flow_fork_audit *a, const struct flow_candidate *c,
		      const char *reason)
{
	json_array_append_new(a->unavailable, json_pack("{s:s,s:o,s:b}", "name", c->name, "reason",
							json_text_lossy(reason), "compared", 1));
}

static int look_closely(struct flow_fork_audit *a, struct flow_candidate *c,
			struct flow_fork_model *m, struct err *e)
{
	struct fork_model model = m->model;
	model.config = c->facts.config;
	TRY(fork_diff(&model, &a->suspect.model, a->pool, &c->result, e));
	return take_comparison(c, true, e);
}

int flow_fork_look(struct flow_fork_audit *a, struct flow_candidate *c, bool closely, struct err *e)
{
	struct flow_fork_model m;
	struct err why = { 0 };
	int rc = flow_fork_open_candidate(a, c, &m, &why);
	if (rc == ERR_NOMEM)
		return err_set(e, rc, "%s: %s", c->name, why.text);
	if (rc < 0) {
		note_gone(a, c, why.text);
		return 0;
	}
	c->facts = m.facts;
	c->has_facts = true;
	m.facts = (struct flow_fork_facts){ 0 };
	if (closely && c->compared && !a->without_files)
		rc = look_closely(a, c, &m, &why);
	flow_fork_model_close(&m);
	if (rc == ERR_NOMEM)
		return err_set(e, rc, "%s: %s", c->name, why.text);
	if (rc < 0)
		note_gone(a, c, why.text);
	return 0;
}
