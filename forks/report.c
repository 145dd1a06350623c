/* A comparison as JSON; fields in docs/formats.md, "fork statistics". Numbers that were not
 * measured are null, and "not_run" says why. Seeds are decimal strings: they use all 64 bits, JSON
 * numbers hold 53. */
#include "forks/forks.h"

#include "forks/features.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static json_t *number(double v, bool measured)
{
	return measured && isfinite(v) ? json_real(v) : json_null();
}

static json_t *count_json(uint64_t v) { return json_integer((json_int_t)v); }

static json_t *seed_json(uint64_t seed)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, seed);
	return json_string(text);
}

static const char *change_name(enum fork_change change)
{
	static const char *const name[] = { "same", "changed", "added", "removed", "reshaped" };

	return name[change];
}

static json_t *calibration_json(const struct fork_calibration *c)
{
	if (c->pairs == 0)
		return json_null();
	return json_pack("{so sf sf sf sb so}", "pairs", count_json(c->pairs), "ks_p", c->ks_p,
			 "below_05", c->below_05, "below_005", c->below_005, "passed",
			 (int)c->passed, "seed", seed_json(c->seed));
}

/* Share of blocks with p below 0.01. */
static double matched(const struct fork_comparison *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->blocks; i++)
		count += c->block[i].p < 0.01;
	return c->blocks > 0 ? (double)count / (double)c->blocks : 0;
}

/* json_pack frees what it was given when it fails, and the NULL it returns surfaces in
 * fork_comparison_json. */
static json_t *s1_json(const struct fork_comparison *c)
{
	bool tested = c->blocks > 0 && c->calibration.passed;

	if (c->verdict == FORK_IDENTICAL)
		return json_null();
	return json_pack("{so so so so so so so so so ss si so}", "blocks", count_json(c->blocks),
			 "skipped", count_json(c->skipped_blocks), "p_value",
			 number(c->s1_p, tested), "fisher", number(c->fisher, tested),
			 "smallest", number(c->smallest, tested), "stouffer",
			 number(c->stouffer, tested), "matched", number(matched(c), tested),
			 "effect", number(c->effect, c->blocks > 0), "draws", count_json(c->draws),
			 "generator", "philox4x32-10", "version", 1, "sketch_seed",
			 seed_json(FEATURE_SKETCH_SEED));
}

static json_t *s2_json(const struct fork_s2 *s)
{
	bool tested = s->calibration.passed;

	if (!s->run)
		return json_null();
	return json_pack("{so so so so so so so si}", "p_value", number(s->p, tested), "fisher",
			 number(s->fisher, tested), "smallest", number(s->smallest, tested),
			 "stouffer", number(s->stouffer, tested), "effect", number(s->effect, true),
			 "draws", count_json(s->draws), "calibration",
			 calibration_json(&s->calibration), "version", 1);
}

static json_t *statistics_json(const struct fork_comparison *c)
{
	return json_pack("{so so sn sn}", "s1", s1_json(c), "s2", s2_json(&c->s2), "s3", "s4");
}

/* Why a rung was not run, or stated no p-value; NULL if it did. */
static const char *s1_reason(const struct fork_comparison *c)
{
	if (c->verdict == FORK_IDENTICAL)
		return "not needed: every tensor has the same bytes";
	if (c->blocks == 0)
		return "no block that both models have in one shape";
	return c->calibration.passed ? NULL
				     : "effect only: the calibration on null pairs did not pass";
}

static const char *s2_reason(const struct fork_comparison *c)
{
	if (c->s2.run)
		return c->s2.calibration.passed
			       ? NULL
			       : "effect only: the calibration on null pairs did not pass";
	return s1_reason(c) ? s1_reason(c) : "not needed: s1 decides";
}

static json_t *not_run_json(const struct fork_comparison *c)
{
	json_t *o = json_object();

	if (s1_reason(c))
		json_object_set_new(o, "s1", json_string(s1_reason(c)));
	if (s2_reason(c))
		json_object_set_new(o, "s2", json_string(s2_reason(c)));
	json_object_set_new(o, "s3", json_string("not available in this version: s3"));
	json_object_set_new(o, "s4", json_string("not available in this version: s4"));
	return o;
}

static json_t *tensors_json(const struct fork_comparison *c)
{
	return json_pack("{so so so so so}", "same", count_json(c->same), "changed",
			 count_json(c->changed), "added", count_json(c->added), "removed",
			 count_json(c->removed), "reshaped", count_json(c->reshaped));
}

static json_t *block_json(const struct fork_comparison *c, const struct fork_block *b)
{
	bool tested = c->calibration.passed;
	json_t *expert = b->expert == UINT32_MAX ? json_null() : count_json(b->expert);

	return json_pack("{si so ss sf sf sf so so so so}", "layer", (int)b->layer, "expert",
			 expert, "kind",
			 b->expert != UINT32_MAX ? "expert"
			 : b->shared             ? "shared"
						 : "dense",
			 "trace", b->trace, "expectation", b->expectation, "variance", b->variance,
			 "z", number(b->z, tested), "p", number(b->p, tested), "cosine",
			 number(b->cosine, true), "draws", count_json(b->draws));
}

static json_t *tensor_json(const struct fork_tensor *t)
{
	bool changed = t->change == FORK_CHANGED;

	return json_pack("{ss ss so so}", "name", t->name, "change", change_name(t->change),
			 "relative_l2", number(t->relative_l2, changed), "cosine",
			 number(t->cosine, changed));
}

static json_t *list_json(const struct fork_comparison *c, bool blocks)
{
	json_t *list = json_array();
	size_t count = blocks ? c->blocks : c->tensors;

	for (size_t i = 0; list && i < count; i++) {
		json_t *o = blocks ? block_json(c, &c->block[i]) : tensor_json(&c->tensor[i]);

		if (json_array_append_new(list, o) < 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

int fork_comparison_json(const struct fork_comparison *c, bool blocks, json_t **out, struct err *e)
{
	bool identical = c->verdict == FORK_IDENTICAL,
	     tested = c->blocks > 0 && c->calibration.passed;

	*out = json_pack("{ss ss so so sf so so so so so so}", "verdict",
			 fork_verdict_name(c->verdict), "null_hypothesis",
			 "independent initialisation", "p_value", number(c->p_value, tested),
			 "effect", number(c->effect, identical || c->blocks > 0), "relative_l2",
			 c->relative_l2, "rounding", number(c->rounding, c->changed > 0), "tensors",
			 tensors_json(c), "statistics", statistics_json(c), "not_run",
			 not_run_json(c), "calibration", calibration_json(&c->calibration), "seed",
			 seed_json(c->seed));
	if (*out && blocks &&
	    (json_object_set_new(*out, "blocks", list_json(c, true)) < 0 ||
	     json_object_set_new(*out, "tensor_list", list_json(c, false)) < 0)) {
		json_decref(*out);
		*out = NULL;
	}
	return *out ? 0 : err_set(e, ERR_NOMEM, "out of memory for the report");
}
