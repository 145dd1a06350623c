/* Forks looked at without an accusation: two models compared, the statistic's calibration, the tree
 * of what is registered. */
#include "flow/fork_adapter.h"
#include "flow/fork.h"
#include "flow/fork_cache.h"
#include "flow/fork_findings.h"
#include "base/machine.h"
#include "base/pool.h"
#include "base/progress.h"

#include <string.h>

/* A model and its sketch. */
struct looked {
	struct flow_fork_model m;
	struct fork_sketch *sketch;
};

/* Of a registered release the sketch that is kept, if it is; of others it is made and not kept. */
static int look_at(struct flow *f, const char *ref, struct pool *pool, bool quiet,
		   struct looked *out, struct err *e)
{
	static const struct digest none;
	struct progress bar;
	TRY(flow_fork_model_open(f, ref, &out->m, e));
	const struct digest *root = out->m.manifest ? &out->m.manifest->root : &none;
	progress_start(&bar, "reading", flow_fork_model_bytes(&out->m), quiet);
	int rc = flow_fork_sketch(out->m.manifest ? f : NULL, &out->m, root, pool, &bar,
				  &out->sketch, e);
	progress_end(&bar);
	return rc;
}

static void look_away(struct looked *x)
{
	fork_sketch_free(x->sketch);
	flow_fork_model_close(&x->m);
}

/* What a person should know of the files of both. */
static void add_notes(json_t *report, const char *key, const struct flow_fork_model *m)
{
	json_t *lines = json_object_get(json_object_get(report, "notes"), key);
	for (const char *at = model_values_notes(m->values); *at;) {
		char line[400];
		size_t len = strcspn(at, "\n");
		snprintf(line, sizeof line, "%.*s", (int)(len < 399 ? len : 399), at);
		json_array_append_new(lines, json_text_lossy(line));
		at += len + (at[len] == '\n');
	}
}

/* The comparison as a report, and what the card of b says against it. */
static int describe(const struct flow_fork_model *a, const char *ref_a,
		    const struct flow_fork_model *b, const char *ref_b,
		    const struct fork_comparison *c, const struct flow_fork_look *how,
		    json_t **report, struct err *e)
{
	const struct flow_fork_measure m = flow_fork_measure_of(c);
	json_t *findings = json_array(), *models = NULL;
	int rc = fork_comparison_json(c, how->lists, report, e);
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
	const struct flow_fork_case what = { .suspect = &b->facts,
					     .name = ref_b,
					     .released = b->ref.registered,
					     .seed = how->seed,
					     .other = &other,
					     .others = 1 };
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

int flow_fork_compare(struct flow *f, const char *a, const char *b,
		      const struct flow_fork_look *how, json_t **report, struct err *e)
{
	struct looked left = { 0 }, right = { 0 };
	struct fork_comparison c = { 0 };
	struct pool *pool = NULL;
	json_t *adapter = NULL;
	int rc = 0;
	*report = NULL;
	TRY_OUT(pool_open(&pool, machine_cores(), NULL, e));
	TRY_OUT(look_at(f, a, pool, how->quiet, &left, e));
	TRY_OUT(look_at(f, b, pool, how->quiet, &right, e));
	const struct fork_options options = {
		.alpha = FLOW_FORK_ALPHA,
		.seed = how->seed,
		.pool = pool,
		.all_rungs = how->all_rungs,
	};
	TRY_OUT(fork_compare(left.sketch, right.sketch, &options, &c, e));
	TRY_OUT(fork_diff(&left.m.model, &right.m.model, pool, &c, e));
	TRY_OUT(flow_fork_adapter(&left.m, &right.m, &adapter, e));
	TRY_OUT(describe(&left.m, a, &right.m, b, &c, how, report, e));
	json_object_set_new(*report, "adapter", adapter ? json_incref(adapter) : json_null());
	add_notes(*report, "a", &left.m);
	add_notes(*report, "b", &right.m);
out:
	json_decref(adapter);
	fork_comparison_free(&c);
	look_away(&left);
	look_away(&right);
	pool_close(pool);
	return rc;
}

int flow_fork_calibrate(struct flow *f, const char *ref, const struct flow_fork_look *how,
			json_t **report, struct err *e)
{
	struct looked x = { 0 };
	struct pool *pool = NULL;
	struct obj o = { 0 };
	json_t *rows, *row;
	bool passed;
	size_t i;
	json_int_t pairs = 0;
	int rc = 0;
	*report = NULL;
	TRY_OUT(pool_open(&pool, machine_cores(), NULL, e));
	TRY_OUT(look_at(f, ref, pool, how->quiet, &x, e));
	TRY_OUT(fork_sketch_calibrate(x.sketch, how->seed, pool, e));
	TRY_OUT(fork_sketch_calibrations_json(x.sketch, &rows, &passed, e));
	json_array_foreach(rows, i, row)
		pairs += json_integer_value(json_object_get(row, "pairs"));
	obj_bool(&o, "passed", passed);
	obj_int(&o, "pairs", pairs);
	obj_u64_text(&o, "seed", how->seed);
	obj_add(&o, "calibrations", rows);
	rc = obj_done(&o, report, e);
out:
	look_away(&x);
	pool_close(pool);
	return rc;
}

int flow_fork_tree(struct flow *f, json_t **report, struct err *e)
{
	json_t *all;
	TRY(registry_export(f->registry, &all, e));
	json_object_del(all, "aliases");
	*report = all;
	return 0;
}
