/* A comparison as JSON; fields in docs/formats.md, "fork statistics". Numbers that were not
 * measured are null, and "not_run" says why. Seeds are decimal strings: they use all 64 bits, JSON
 * numbers hold 53. Measured numbers have four significant digits. */
#include "forks/old.h"

#include "base/decimal.h"
#include "base/json.h"
#include "forks/features.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void add_number(struct obj *o, const char *key, double v, bool measured)
{
	if (measured && isfinite(v))
		obj_real(o, key, decimal_round(v, DECIMAL_DIGITS));
	else
		obj_null(o, key);
}

static void add_seed(struct obj *o, const char *key, uint64_t seed)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, seed);
	obj_text(o, key, text);
}

static const char *change_name(enum fork_change change)
{
	static const char *const name[] = { "same", "changed", "added", "removed", "reshaped" };

	return name[change];
}

static void add_calibration(struct obj *to, const struct fork_old_calibration *c)
{
	struct obj o = { 0 };

	if (c->pairs == 0) {
		obj_null(to, "calibration");
		return;
	}
	obj_count(&o, "pairs", c->pairs);
	add_number(&o, "ks_p", c->ks_p, true);
	add_number(&o, "below_05", c->below_05, true);
	add_number(&o, "below_005", c->below_005, true);
	obj_bool(&o, "passed", c->passed);
	add_seed(&o, "seed", c->seed);
	obj_object(to, "calibration", &o);
}

/* Share of blocks with p below 0.01. */
static double matched(const struct fork_old *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->blocks; i++)
		count += c->block[i].p < 0.01;
	return c->blocks > 0 ? (double)count / (double)c->blocks : 0;
}

bool fork_old_tested(const struct fork_old *c)
{
	return c->verdict != FORK_IDENTICAL && c->blocks > 0 && c->calibration.passed;
}

const char *fork_old_rung(const struct fork_old *c)
{
	if (c->verdict == FORK_IDENTICAL)
		return "digest";
	if (!fork_old_tested(c))
		return NULL;
	return c->s2.run && c->s2.p < c->s1_p ? "s2" : "s1";
}

static void add_s1(struct obj *to, const struct fork_old *c)
{
	bool tested = fork_old_tested(c);
	struct obj o = { 0 };

	if (c->verdict == FORK_IDENTICAL) {
		obj_null(to, "s1");
		return;
	}
	obj_count(&o, "blocks", c->blocks);
	obj_count(&o, "skipped", c->skipped_blocks);
	add_number(&o, "p_value", c->s1_p, tested);
	add_number(&o, "fisher", c->fisher, tested);
	add_number(&o, "smallest", c->smallest, tested);
	add_number(&o, "stouffer", c->stouffer, tested);
	add_number(&o, "matched", matched(c), tested);
	add_number(&o, "effect", c->effect, c->blocks > 0);
	obj_count(&o, "draws", c->draws);
	obj_text(&o, "generator", "philox4x32-10");
	obj_int(&o, "version", 1);
	add_seed(&o, "sketch_seed", FEATURE_SKETCH_SEED);
	obj_object(to, "s1", &o);
}

static void add_s2(struct obj *to, const struct fork_s2 *s)
{
	bool tested = s->calibration.passed;
	struct obj o = { 0 };

	if (!s->run) {
		obj_null(to, "s2");
		return;
	}
	add_number(&o, "p_value", s->p, tested);
	add_number(&o, "fisher", s->fisher, tested);
	add_number(&o, "smallest", s->smallest, tested);
	add_number(&o, "stouffer", s->stouffer, tested);
	add_number(&o, "effect", s->effect, true);
	obj_count(&o, "draws", s->draws);
	add_calibration(&o, &s->calibration);
	obj_int(&o, "version", 1);
	obj_object(to, "s2", &o);
}

static void add_statistics(struct obj *to, const struct fork_old *c)
{
	struct obj o = { 0 };

	add_s1(&o, c);
	add_s2(&o, &c->s2);
	obj_null(&o, "s3");
	obj_null(&o, "s4");
	obj_object(to, "statistics", &o);
}

/* Why a rung was not run, or stated no p-value; NULL if it did. */
static const char *s1_reason(const struct fork_old *c)
{
	if (c->verdict == FORK_IDENTICAL)
		return "not needed: every tensor has the same bytes";
	if (c->blocks == 0)
		return "no block that both models have in one shape";
	return c->calibration.passed ? NULL
				     : "effect only: the calibration on null pairs did not pass";
}

static const char *s2_reason(const struct fork_old *c)
{
	if (c->s2.run)
		return c->s2.calibration.passed
			       ? NULL
			       : "effect only: the calibration on null pairs did not pass";
	return s1_reason(c) ? s1_reason(c) : "not needed: s1 decides";
}

static void add_not_run(struct obj *to, const struct fork_old *c)
{
	struct obj o = { 0 };

	if (s1_reason(c))
		obj_text(&o, "s1", s1_reason(c));
	if (s2_reason(c))
		obj_text(&o, "s2", s2_reason(c));
	obj_text(&o, "s3", "not available in this version: s3");
	obj_text(&o, "s4", "not available in this version: s4");
	obj_object(to, "not_run", &o);
}

static void add_tensors(struct obj *to, const struct fork_old *c)
{
	struct obj o = { 0 };

	obj_count(&o, "same", c->same);
	obj_count(&o, "changed", c->changed);
	obj_count(&o, "added", c->added);
	obj_count(&o, "removed", c->removed);
	obj_count(&o, "reshaped", c->reshaped);
	obj_object(to, "tensors", &o);
}

static void add_block(struct arr *list, const struct fork_old_block *b, bool tested)
{
	bool is_expert = b->expert != UINT32_MAX;
	struct obj o = { 0 };

	obj_count(&o, "layer", b->layer);
	if (is_expert)
		obj_count(&o, "expert", b->expert);
	else
		obj_null(&o, "expert");
	obj_text(&o, "kind", is_expert ? "expert" : b->shared ? "shared" : "dense");
	add_number(&o, "trace", b->trace, true);
	add_number(&o, "expectation", b->expectation, true);
	add_number(&o, "variance", b->variance, true);
	add_number(&o, "z", b->z, tested);
	add_number(&o, "p", b->p, tested);
	add_number(&o, "cosine", b->cosine, true);
	obj_count(&o, "draws", b->draws);
	arr_object(list, &o);
}

static void add_tensor(struct arr *list, const struct fork_old_tensor *t)
{
	bool changed = t->change == FORK_CHANGED;
	struct obj o = { 0 };

	obj_text(&o, "name", t->name);
	obj_text(&o, "change", change_name(t->change));
	add_number(&o, "relative_l2", t->relative_l2, changed);
	add_number(&o, "cosine", t->cosine, changed);
	arr_object(list, &o);
}

int fork_old_json(const struct fork_old *c, bool blocks, json_t **out, struct err *e)
{
	bool identical = c->verdict == FORK_IDENTICAL, tested = fork_old_tested(c);
	struct obj o = { 0 };

	obj_text(&o, "verdict", fork_verdict_name(c->verdict));
	obj_text(&o, "null_hypothesis", "independent initialisation");
	add_number(&o, "p_value", c->p_value, tested);
	add_number(&o, "effect", c->effect, identical || c->blocks > 0);
	add_number(&o, "relative_l2", c->relative_l2, true);
	add_number(&o, "rounding", c->rounding, c->changed > 0);
	add_tensors(&o, c);
	add_statistics(&o, c);
	add_not_run(&o, c);
	add_calibration(&o, &c->calibration);
	add_seed(&o, "seed", c->seed);
	if (blocks) {
		struct arr listed = { 0 }, tensors = { 0 };
		for (size_t i = 0; i < c->blocks; i++)
			add_block(&listed, &c->block[i], c->calibration.passed);
		obj_array(&o, "blocks", &listed);
		for (size_t i = 0; i < c->tensors; i++)
			add_tensor(&tensors, &c->tensor[i]);
		obj_array(&o, "tensor_list", &tensors);
	}
	return obj_done(&o, out, e);
}
