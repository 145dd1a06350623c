/* Forks looked at without an accusation: two models compared, the statistic's calibration, the tree
 * of what is registered. */
#include "flow/fork_findings.h"
#include "flow/fork_model.h"
#include "base/decimal.h"

#include <string.h>

/* The comparison as a report, and what the card of b says against it. */
static int describe(const struct flow_fork_model *a, const char *ref_a,
		    const struct flow_fork_model *b, const char *ref_b, const struct fork_old *c,
		    bool blocks, json_t **report, struct err *e)
{
	const struct flow_fork_measure m = flow_fork_measure_of(c);
	json_t *findings = json_array(), *models = NULL;
	int rc = fork_old_json(c, blocks, report, e);
	if (rc == 0 && a->ref.registered)
		models = json_pack("[s]", a->ref.release.model);
	const struct flow_fork_other other = {
		.facts = &a->facts,
		.measure = &m,
		.name = ref_a,
		.models = models,
		.license = a->ref.registered ? a->ref.release.license : NULL,
		.parent = flow_fork_derived(&m),
		.firm = m.changed > 0 && m.rounding > 0.99,
		.own = a->ref.registered && b->ref.registered &&
		       strcmp(a->ref.release.model, b->ref.release.model) == 0,
	};
	const struct flow_fork_case what = {
		.suspect = &b->facts, .name = ref_b, .seed = c->seed, .other = &other, .others = 1
	};
	TRY_OUT(rc);
	/* A folder compared with itself contradicts nothing. */
	if (strcmp(a->ref.path, b->ref.path) != 0)
		TRY_OUT(flow_fork_findings(&what, findings, e));
	json_object_set_new(*report, "parent", other.parent ? json_text_lossy(ref_a) : json_null());
	json_object_set(*report, "findings", findings);
out:
	json_decref(findings);
	json_decref(models);
	return rc;
}

int flow_fork_compare(struct flow *f, const char *a, const char *b, uint64_t seed, bool blocks,
		      json_t **report, struct err *e)
{
	struct flow_fork_model left = { 0 }, right = { 0 };
	struct fork_old c = { 0 };
	bool compared = false;
	int rc = 0;
	*report = NULL;
	TRY_OUT(flow_fork_model_open(f, a, &left, e));
	TRY_OUT(flow_fork_model_open(f, b, &right, e));
	TRY_OUT(fork_old_compare(&left.model, &right.model, FLOW_FORK_ALPHA, seed, NULL, &c, e));
	compared = true;
	rc = describe(&left, a, &right, b, &c, blocks, report, e);
out:
	if (compared)
		fork_old_free(&c);
	flow_fork_model_close(&left);
	flow_fork_model_close(&right);
	return rc;
}

int flow_fork_calibrate(struct flow *f, const char *ref, uint64_t seed, json_t **report,
			struct err *e)
{
	struct flow_fork_model m;
	struct fork_old_calibration c = { 0 };
	TRY(flow_fork_model_open(f, ref, &m, e));
	int rc = fork_old_calibrate(&m.model, seed, &c, e);
	flow_fork_model_close(&m);
	TRY(rc);
	struct obj o = { 0 };
	obj_text(&o, "statistic", "s1");
	obj_count(&o, "pairs", c.pairs);
	obj_real(&o, "ks_p", decimal_round(c.ks_p, DECIMAL_DIGITS));
	obj_real(&o, "below_05", decimal_round(c.below_05, DECIMAL_DIGITS));
	obj_real(&o, "below_005", decimal_round(c.below_005, DECIMAL_DIGITS));
	obj_bool(&o, "passed", c.passed);
	obj_int(&o, "seed", (int64_t)c.seed);
	return obj_done(&o, report, e);
}

int flow_fork_tree(struct flow *f, json_t **report, struct err *e)
{
	json_t *all;
	TRY(registry_export(f->registry, &all, e));
	json_object_del(all, "aliases");
	*report = all;
	return 0;
}
