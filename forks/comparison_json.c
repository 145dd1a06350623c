/* A comparison as JSON; fields in docs/formats.md, section 10. Numbers that were not measured are
 * null, and "not_run" says why. Seeds are decimal strings: they use all 64 bits, JSON numbers hold
 * 53. Measured numbers have four significant digits. */
#include "forks/identical.h"

#include "base/build.h"
#include "base/json.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 20 /* of a list that --blocks has whole */
#define LOG_OF_10 2.302585092994046

static void add_number(struct obj *o, const char *key, double v, bool measured)
{
	obj_measured(o, key, measured ? v : NAN);
}

/* A p-value by its natural logarithm; one that underflows is the smallest normal number, and its
 * decimal logarithm tells it. */
static void add_p(struct obj *o, const char *key, double log_p, bool tested)
{
	add_number(o, key, fmax(exp(log_p), DBL_MIN), tested);
}

static void add_log10(struct obj *o, const char *key, double log_p, bool tested)
{
	add_number(o, key, fmin(log_p, 0) / LOG_OF_10 + 0.0, tested);
}

/* ---- names ---- */

/* A list of at most NAMES_MAX names, or of all. */
struct names {
	struct arr list;
	size_t count, most;
};

static void names_add(struct names *n, const char *name)
{
	if (n->count++ < n->most)
		arr_add(&n->list, json_text_lossy(name));
}

static void obj_names(struct obj *o, const char *key, struct names *n)
{
	obj_add(o, key, n->list.json ? arr_take(&n->list) : json_array());
}

static size_t names_most(bool lists) { return lists ? SIZE_MAX : NAMES_MAX; }

static const char *name_in_b(const struct fork_tensor *t) { return t->other ? t->other : t->name; }

/* ---- tensors ---- */

static void add_tensors(struct obj *to, const struct fork_comparison *c)
{
	struct obj o = { 0 };

	obj_count(&o, "same", c->same);
	obj_count(&o, "changed", c->changed);
	obj_count(&o, "added", c->added);
	obj_count(&o, "removed", c->removed);
	obj_count(&o, "reshaped", c->reshaped);
	obj_count(&o, "not_finite", c->not_finite);
	obj_object(to, "tensors", &o);
}

static void fill_shared(struct obj *o, const struct fork_detail *d, enum fork_component k,
			bool lists)
{
	struct names names = { .most = names_most(lists) };

	for (size_t i = 0; i < d->tensors; i++)
		if (d->tensor[i].component == k && fork_tensor_tells(&d->tensor[i]))
			names_add(&names, name_in_b(&d->tensor[i]));
	obj_count(o, "count", d->shared[k].count);
	obj_count(o, "bytes", d->shared[k].bytes);
	add_number(o, "share", d->shared[k].share, true);
	obj_names(o, "names", &names);
}

static void add_identical(struct obj *to, const struct fork_comparison *c, bool lists)
{
	struct obj o = { 0 };

	fill_shared(&o, c->detail, FORK_BODY, lists);
	obj_text(&o, "told_by", c->measured.run ? "values" : "hashes of the values");
	obj_object(to, "identical", &o);
}

static void add_shared_components(struct obj *to, const struct fork_detail *d, bool lists)
{
	struct arr list = { 0 };

	for (int k = FORK_BODY + 1; k < FORK_COMPONENTS; k++) {
		const struct fork_beside *beside = &d->beside[k];
		struct obj o = { 0 };

		if (d->shared[k].count == 0 && !beside->tested)
			continue;
		obj_text(&o, "component", fork_component_name((enum fork_component)k));
		fill_shared(&o, d, (enum fork_component)k, lists);
		obj_count(&o, "blocks", beside->blocks);
		add_p(&o, "p_value", beside->log_p, beside->tested);
		add_number(&o, "effect", beside->effect, beside->tested);
		arr_object(&list, &o);
	}
	obj_add(to, "shared_components", list.json ? arr_take(&list) : json_array());
}

static void add_not_finite(struct obj *to, const struct fork_detail *d, bool lists)
{
	struct names names = { .most = names_most(lists) };

	for (size_t i = 0; i < d->tensors; i++)
		if (d->tensor[i].not_finite > 0)
			names_add(&names, name_in_b(&d->tensor[i]));
	obj_names(to, "not_finite", &names);
}

/* ---- tests ---- */

/* Share of the judged blocks with p below 0.01. */
static double matched(const struct fork_detail *d, enum fork_test t)
{
	size_t count = 0, judged = 0;

	for (size_t i = 0; i < d->blocks; i++) {
		bool counts = d->block[i].test == t && d->block[i].judged;

		judged += counts;
		count += counts && d->block[i].log_p < -2 * LOG_OF_10;
	}
	return judged > 0 ? (double)count / (double)judged : 0;
}

static void add_test(struct obj *to, const struct fork_detail *d, enum fork_test t)
{
	const struct fork_test_result *r = &d->test[t];
	struct obj o = { 0 };

	if (!r->run) {
		obj_null(to, fork_test_name(t));
		return;
	}
	obj_count(&o, "blocks", r->judged);
	obj_count(&o, "skipped", r->skipped);
	add_p(&o, "p_value", r->log_p, r->tested);
	add_log10(&o, "log10_p", r->log_p, r->tested);
	add_p(&o, "fisher", r->log_fisher, r->tested);
	add_p(&o, "smallest", r->log_smallest, r->tested);
	add_number(&o, "stouffer", r->stouffer, r->tested);
	add_number(&o, "matched", matched(d, t), r->tested);
	add_number(&o, "effect", r->effect, r->judged + r->skipped > 0);
	obj_count(&o, "draws", r->draws);
	obj_object(to, fork_test_name(t), &o);
}

static void add_statistics(struct obj *to, const struct fork_detail *d)
{
	struct obj o = { 0 }, s4 = { 0 };

	for (int t = 0; t < FORK_TESTS; t++)
		add_test(&o, d, (enum fork_test)t);
	if (d->s4_run) {
		add_number(&s4, "effect", d->s4_effect, true);
		add_number(&s4, "unrelated", d->s4_unrelated, true);
		add_number(&s4, "unrelated_95", d->s4_high, true);
		obj_count(&s4, "layers", d->s4_layers);
		obj_object(&o, "s4", &s4);
	} else {
		obj_null(&o, "s4");
	}
	obj_object(to, "statistics", &o);
}

static void add_not_run(struct obj *to, const struct fork_detail *d)
{
	struct obj o = { .json = json_object() };

	for (int t = 0; t < FORK_TESTS; t++)
		if (d->test[t].reason)
			obj_text(&o, fork_test_name((enum fork_test)t), d->test[t].reason);
	if (!d->s4_run)
		obj_text(&o, "s4", "no layers whose query projections could be compared");
	obj_object(to, "not_run", &o);
}

/* Why blocks were left out, reason by reason, and of which kinds they are. */
static void add_skipped(struct obj *to, const struct fork_detail *d, bool lists)
{
	struct arr list = { 0 };

	for (size_t i = 0; i < d->blocks; i++) {
		struct names names = { .most = names_most(lists) };
		struct obj o = { 0 };
		size_t k;

		if (!d->block[i].skipped)
			continue;
		for (k = 0; k < i; k++)
			if (d->block[k].skipped && d->block[k].test == d->block[i].test &&
			    strcmp(d->block[k].skipped, d->block[i].skipped) == 0)
				break;
		if (k < i)
			continue; /* told with the first of its kind */
		for (k = i; k < d->blocks; k++)
			if (d->block[k].skipped && d->block[k].test == d->block[i].test &&
			    strcmp(d->block[k].skipped, d->block[i].skipped) == 0)
				names_add(&names, d->block[k].name_b);
		obj_text(&o, "statistic", fork_test_name(d->block[i].test));
		obj_text(&o, "reason", d->block[i].skipped);
		obj_count(&o, "count", names.count);
		obj_names(&o, "names", &names);
		arr_object(&list, &o);
	}
	obj_add(to, "skipped", list.json ? arr_take(&list) : json_array());
}

/* ---- calibrations ---- */

static void add_calibration_row(struct arr *list, const struct fork_calibration *c)
{
	struct obj o = { 0 };

	obj_text(&o, "statistic", fork_statistic_name(c->statistic));
	obj_text(&o, "kind", fork_kind_name(c->kind));
	obj_count(&o, "units", c->units);
	obj_count(&o, "hidden", c->hidden);
	obj_count(&o, "pairs", c->pairs);
	obj_count(&o, "table_pairs", c->table_pairs);
	add_number(&o, "ks_p", c->ks_p, true);
	add_number(&o, "below_05", c->below_05, true);
	add_number(&o, "below_005", c->below_005, true);
	obj_bool(&o, "passed", c->passed);
	obj_text(&o, "reason", c->reason);
	obj_u64_text(&o, "seed", c->seed);
	arr_object(list, &o);
}

static json_t *calibration_rows(const struct fork_calibration *at, size_t count, bool *passed,
				uint64_t *pairs)
{
	struct arr list = { 0 };

	for (size_t i = 0; i < count; i++) {
		add_calibration_row(&list, &at[i]);
		*passed |= at[i].passed;
		*pairs += at[i].pairs;
	}
	return list.json || list.failed ? arr_take(&list) : json_array();
}

int fork_sketch_calibrations_json(const struct fork_sketch *s, json_t **out, bool *passed,
				  struct err *e)
{
	const struct fork_calibrations *c = s->calibrations;
	uint64_t pairs = 0;

	*passed = false;
	*out = calibration_rows(c ? c->at : NULL, c ? c->count : 0, passed, &pairs);
	return json_ok(*out, e);
}

static void add_calibration(struct obj *to, const struct fork_detail *d)
{
	bool passed = false;
	uint64_t pairs = 0;
	json_t *a = calibration_rows(d->calibration, d->calibrations_a, &passed, &pairs);
	json_t *b = calibration_rows(d->calibration + d->calibrations_a,
				     d->calibrations - d->calibrations_a, &passed, &pairs);
	struct obj o = { 0 };

	obj_bool(&o, "passed", passed);
	obj_count(&o, "pairs", pairs);
	obj_add(&o, "a", a);
	obj_add(&o, "b", b);
	obj_object(to, "calibration", &o);
}

/* ---- what was measured ---- */

static void add_relation(struct obj *to, const struct fork_measured *m)
{
	struct obj o = { 0 }, rounded = { 0 };

	if (!m->run) {
		obj_null(to, "relation_measured");
		return;
	}
	rounded.json = json_object(); /* it may stay empty */
	for (int k = FORK_ROUNDED_NOT + 1; k < FORK_ROUNDINGS; k++)
		if (m->rounded[k] > 0)
			obj_count(&rounded, fork_rounding_name((enum fork_rounding)k),
				  m->rounded[k]);
	add_number(&o, "relative_l2", m->relative_l2, true);
	obj_count(&o, "changed_matrices", m->changed);
	obj_object(&o, "rounded", &rounded);
	obj_count(&o, "low_rank", m->low_rank);
	obj_count(&o, "rank", m->rank);
	add_number(&o, "new_zeros", m->zeros, true);
	obj_count(&o, "frozen", m->frozen);
	obj_bool(&o, "embedding_resized", m->embedding_resized);
	obj_object(to, "relation_measured", &o);
}

/* Share of changed matrices that are the other's, rounded to 8 bits. */
static double rounded_share(const struct fork_measured *m)
{
	uint64_t rounded = m->rounded[FORK_ROUNDED_INT8] + m->rounded[FORK_ROUNDED_FP8];

	return m->changed > 0 ? (double)rounded / (double)m->changed : 0;
}

static void add_map(struct obj *to, const struct fork_detail *d)
{
	struct arr layers = { 0 };
	struct obj o = { 0 };

	if (!d->layer) {
		obj_null(to, "map");
		return;
	}
	for (uint32_t i = 0; i < d->layers; i++)
		arr_add(&layers, d->layer[i] < 0 ? json_null() : json_integer(d->layer[i]));
	obj_array(&o, "layers", &layers);
	obj_count(&o, "blocks", d->mapped);
	obj_count(&o, "moved", d->moved);
	obj_object(to, "map", &o);
}

static void add_power(struct obj *to, const struct fork_power *p)
{
	struct obj o = { 0 };

	obj_bool(&o, "can_see", p->can_see);
	obj_bool(&o, "plain", p->plain);
	obj_bool(&o, "permuted", p->permuted);
	obj_bool(&o, "rotated", p->rotated);
	obj_count(&o, "blocks", p->blocks);
	add_number(&o, "smallest_effect", p->cosine, p->blocks > 0);
	obj_text(&o, "sentence", p->sentence);
	obj_object(to, "power", &o);
}

static void add_notes(struct obj *to, const struct fork_detail *d)
{
	const char *const notes[2] = { d->notes_a, d->notes_b };
	struct obj o = { 0 };

	for (int i = 0; i < 2; i++) {
		struct arr lines = { .json = json_array() };

		for (const char *at = notes[i]; at && *at;) {
			size_t len = strcspn(at, "\n");
			char line[400];

			snprintf(line, sizeof line, "%.*s", (int)(len < 399 ? len : 399), at);
			arr_add(&lines, json_text_lossy(line));
			at += len + (at[len] == '\n');
		}
		obj_array(&o, i == 0 ? "a" : "b", &lines);
	}
	obj_object(to, "notes", &o);
}

static void add_stream(struct obj *to, const struct fork_stream *s)
{
	struct obj o = { 0 };

	if (s->looked == 0) {
		obj_null(to, "one_stream");
		return;
	}
	obj_bool(&o, "found", s->found);
	obj_count(&o, "rows", s->looked);
	obj_count(&o, "under_other_roles", s->crossed);
	obj_count(&o, "units", s->units);
	obj_count(&o, "units_alike", s->agreed);
	obj_object(to, "one_stream", &o);
}

static void add_versions(struct obj *to)
{
	struct obj o = { 0 };

	obj_text(&o, "method", FORK_METHOD);
	obj_int(&o, "sketch", SKETCH_VERSION);
	obj_u64_text(&o, "sketch_seed", SKETCH_SEED);
	obj_text(&o, "generator", "philox4x32-10");
	obj_text(&o, "program", build_id());
	obj_object(to, "versions", &o);
}

/* ---- lists ---- */

static void add_block(struct arr *list, const struct fork_block *b)
{
	struct obj o = { 0 };

	obj_text(&o, "statistic", fork_test_name(b->test));
	obj_add(&o, "name", json_text_lossy(b->name_b));
	obj_add(&o, "of", json_text_lossy(b->name_a));
	obj_text(&o, "kind", fork_kind_name(b->kind));
	obj_count(&o, "layer", b->layer);
	obj_count(&o, "index", b->index);
	add_number(&o, "z", b->z, true);
	add_p(&o, "p", b->log_p, b->judged);
	add_log10(&o, "log10_p", b->log_p, b->judged);
	add_number(&o, "effect", b->effect, true);
	obj_count(&o, "draws", b->draws);
	obj_text(&o, "skipped", b->skipped);
	arr_object(list, &o);
}

static void add_tensor(struct arr *list, const struct fork_tensor *t)
{
	struct obj o = { 0 };

	obj_add(&o, "name", json_text_lossy(t->name));
	obj_add(&o, "other", t->other ? json_text_lossy(t->other) : json_null());
	obj_text(&o, "change", fork_change_name(t->change));
	obj_text(&o, "component", fork_component_name(t->component));
	add_number(&o, "relative_l2", t->relative_l2, t->compared);
	add_number(&o, "cosine", t->cosine, t->compared);
	obj_text(&o, "rounding", fork_rounding_name(t->rounding));
	obj_count(&o, "rank", t->rank);
	obj_count(&o, "not_finite", t->not_finite);
	arr_object(list, &o);
}

static void add_lists(struct obj *to, const struct fork_detail *d)
{
	struct arr blocks = { .json = json_array() }, tensors = { .json = json_array() };

	for (size_t i = 0; i < d->blocks; i++)
		add_block(&blocks, &d->block[i]);
	obj_array(to, "blocks", &blocks);
	for (size_t i = 0; i < d->tensors; i++)
		add_tensor(&tensors, &d->tensor[i]);
	obj_array(to, "tensor_list", &tensors);
}

static const char *const meaning =
	"p_value is the chance that two models whose weights began from independent random "
	"numbers would look at least this alike; it is not the chance that they are unrelated, "
	"and a small one tells of a common origin, not of who copied, nor of a wrong";

int fork_comparison_json(const struct fork_comparison *c, bool lists, json_t **out, struct err *e)
{
	const struct fork_detail *d = c->detail;
	struct obj o = { 0 };

	obj_text(&o, "verdict", fork_verdict_name(c->verdict));
	obj_text(&o, "null_hypothesis", "independent initialisation");
	obj_text(&o, "meaning", meaning);
	add_number(&o, "p_value", c->p_value, c->tested);
	add_log10(&o, "log10_p", c->log_p, c->tested);
	obj_text(&o, "rung", c->rung);
	add_number(&o, "effect", c->effect, true);
	add_number(&o, "relative_l2", c->relative_l2, true);
	add_number(&o, "rounding", rounded_share(&c->measured), c->measured.changed > 0);
	add_tensors(&o, c);
	add_identical(&o, c, lists);
	add_shared_components(&o, d, lists);
	add_not_finite(&o, d, lists);
	add_statistics(&o, d);
	add_not_run(&o, d);
	add_skipped(&o, d, lists);
	add_calibration(&o, d);
	add_map(&o, d);
	add_stream(&o, &d->stream);
	add_power(&o, &c->power);
	add_relation(&o, &c->measured);
	add_notes(&o, d);
	obj_real(&o, "alpha", d->alpha);
	obj_u64_text(&o, "seed", d->seed);
	add_versions(&o);
	if (lists)
		add_lists(&o, d);
	return obj_done(&o, out, e);
}
