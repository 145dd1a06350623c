/* Forks looked at without an accusation: two models compared, the statistic's calibration, the tree
 * of what is registered. */
#include "flow/fork_model.h"

int flow_fork_compare(struct flow *f, const char *a, const char *b, uint64_t seed, bool blocks,
		      json_t **report, struct err *e)
{
	struct flow_fork_model left = { 0 }, right = { 0 };
	struct fork_comparison c = { 0 };
	bool compared = false;
	int rc = 0;
	*report = NULL;
	TRY_OUT(flow_fork_model_open(f, a, &left, e));
	TRY_OUT(flow_fork_model_open(f, b, &right, e));
	TRY_OUT(fork_compare(&left.model, &right.model, FLOW_FORK_ALPHA, seed, NULL, &c, e));
	compared = true;
	TRY_OUT(fork_comparison_json(&c, blocks, report, e));
	json_t *findings = json_array();
	bool found = c.verdict == FORK_IDENTICAL || c.verdict == FORK_DEPENDENT;
	json_object_set_new(*report, "parent", found ? json_text_lossy(a) : json_null());
	json_object_set_new(*report, "findings", findings);
	const char *name = left.ref.registered ? left.ref.release.model : a;
	TRY_OUT(flow_fork_findings(&left, name, &right, &c, findings, e));
out:
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
	struct obj o = { 0 };
	obj_text(&o, "statistic", "s1");
	obj_count(&o, "pairs", c.pairs);
	obj_real(&o, "ks_p", c.ks_p);
	obj_real(&o, "below_05", c.below_05);
	obj_real(&o, "below_005", c.below_005);
	obj_bool(&o, "passed", c.passed);
	obj_int(&o, "seed", (int64_t)c.seed);
	return obj_done(&o, report, e);
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
