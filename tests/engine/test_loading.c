/* Loading: quantised models stay close to what exact ones compute, and invented ones give the same
 * bits in every kernel set. Looks into the model. */
#include "oracle.h"
#include "support.h"

#include "engine/cpu.h"
#include "engine/engine_in.h"
#include "kernels/kernels.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CASES "tests/vectors/oracles/"

static struct engine *load(const char *dir, enum model_packing weights, unsigned threads)
{
	const struct engine_options o = { .threads = threads, .weights = weights, .quiet = true };
	struct source *s;
	struct engine *m;
	struct err e = { 0 };
	cr_assert_eq(source_open_folder(&s, dir, &e), 0, "%s", e.text);
	cr_assert_eq(engine_open(&m, s, &o, &e), 0, "%s: %s", dir, e.text);
	source_close(s);
	return m;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* Closes m. Divergence of what the quantised model says from what an exact one does, at the middle position:
 * at some a choice of experts flips, which says nothing of the numbers. */
static double divergence(const struct oracle *o, struct engine *m)
{
	struct engine_sequence *s;
	struct err e = { 0 };
	size_t n = (size_t)o->length * o->vocab;
	float *logits = malloc(n * sizeof *logits);
	uint32_t *token = malloc(o->length * sizeof *token);
	double *at = calloc(o->length, sizeof *at);
	for (uint32_t i = 0; i < o->length; i++)
		token[i] = (uint32_t)o->input[i];
	cr_assert_eq(engine_sequence_open(&s, m, o->length, &e), 0, "%s", e.text);
	const struct engine_feed feed = { .sequence = s, .token = token, .count = o->length, .logits = logits,
		.all = true };
	cr_assert_eq(engine_forward(m, &feed, 1, &e), 0, "%s", e.text);
	for (uint32_t i = 0; i < o->length; i++) {
		const float *q = logits + (size_t)i * o->vocab;
		const double *p = o->logits + (size_t)i * o->vocab;
		double zp = 0, zq = 0;
		for (uint32_t v = 0; v < o->vocab; v++) {
			cr_assert(isfinite(q[v]), "%s: position %u, id %u", o->dir, i, v);
			zp += exp(p[v]);
			zq += exp((double)q[v]);
		}
		for (uint32_t v = 0; v < o->vocab; v++)
			at[i] += exp(p[v]) / zp * (p[v] - log(zp) - (double)q[v] + log(zq));
	}
	free(logits);
	free(token);
	engine_sequence_close(s);
	engine_close(m);
	qsort(at, o->length, sizeof *at, by_value);
	double middle = at[o->length / 2];
	free(at);
	return middle;
}

Test(engine_loading, quantised_models_stay_close)
{
	static const char *const names[] = { "deepseek_v2_lite", "deepseek_v3_fp8", "gpt_oss",
		"gpt_oss_mxfp4", "llama",
		"mixtral", "olmoe", "qwen2_moe", "qwen3_moe" };
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct oracle o;
		oracle_open(&o, names[i]);
		double eight = divergence(&o, load(o.dir, MODEL_PACKING_Q8, 2));
		double four = divergence(&o, load(o.dir, MODEL_PACKING_Q4, 2));
		cr_assert(eight >= 0 && eight < 0.05, "%s: q8 %g", names[i], eight);
		cr_assert(four >= 0 && four < 2, "%s: q4 %g", names[i], four);
		oracle_close(&o);
	}
}

/* MXFP4 as stored, times quantised rows: as near as q8. */
Test(engine_loading, fast_numerics_stay_close)
{
	struct oracle o;
	oracle_open(&o, "gpt_oss_mxfp4");
	for (size_t k = 0; kernels_fast_at(k) != NULL; k++) {
		double far = divergence(&o, open_model(o.dir, kernels_fast_at(k)->name, 2));
		cr_assert(far > 0 && far < 0.05, "%s: %g", kernels_fast_at(k)->name, far);
	}
	oracle_close(&o);
}

static struct digest pass(struct engine *m, const struct kernels *k)
{
	static const uint32_t token[4] = { 5, 77, 1234, 999 };
	struct engine_sequence *s;
	struct err e = { 0 };
	size_t n = 4 * (size_t)engine_info(m)->vocab;
	float *logits = malloc(n * sizeof *logits);
	cpu_of(m->backend)->kernels = k;
	cr_assert_eq(engine_sequence_open(&s, m, 64, &e), 0, "%s", e.text);
	const struct engine_feed feed = { .sequence = s, .token = token, .count = 4, .logits = logits,
		.all = true };
	cr_assert_eq(engine_forward(m, &feed, 1, &e), 0, "%s", e.text);
	for (size_t i = 0; i < n; i++)
		cr_assert(isfinite(logits[i]) && fabsf(logits[i]) < 1000, "%g", (double)logits[i]);
	struct digest d = digest_of(logits, n * sizeof *logits);
	engine_sequence_close(s);
	free(logits);
	return d;
}

/* gpt-oss-20b's embeddings alone would take more than a test may: bench only. */
Test(engine_loading, invented_models_give_the_same_bits_in_every_set)
{
	static const struct { const char *shape; uint32_t layers; enum model_packing weights; } shapes[] = {
		{ "olmoe", 1, MODEL_PACKING_Q8 }, { "deepseek-v2-lite", 2, MODEL_PACKING_Q4 },
		{ "qwen3-30b-a3b", 1, MODEL_PACKING_Q4 }, { "mixtral-8x7b", 1, MODEL_PACKING_Q4 },
		{ "olmoe-fp8", 1, MODEL_PACKING_STORED },
	};
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		const struct engine_options o = { .weights = shapes[i].weights, .quiet = true };
		struct engine *m;
		struct err e = { 0 };
		cr_assert_eq(engine_open_synthetic(&m, shapes[i].shape, shapes[i].layers, 1, &o, &e), 0, "%s",
		             e.text);
		if (strstr(shapes[i].shape, "-fp8") != NULL)
			cr_assert_str_eq(engine_info(m)->weights, "fp8");
		struct digest first = pass(m, kernels_at(1) == NULL ? kernels_at(0) : kernels_at(1));
		for (size_t k = 2; kernels_at(k) != NULL; k++) {
			struct digest d = pass(m, kernels_at(k));
			cr_assert(digest_equal(&d, &first), "%s: %s", shapes[i].shape, kernels_at(k)->name);
		}
		engine_close(m);
	}
}

Test(engine_loading, unknown_kernel_sets_are_refused)
{
	struct memory_source m;
	struct err e = { 0 };
	struct engine *model;
	struct engine_options o = { .threads = 1, .kernels = "neon", .quiet = true };
	memory_load(&m, CASES "deepseek_v2_lite_bf16");
	cr_assert_eq(engine_open(&model, &m.source, &o, &e), ERR_INPUT);
	cr_assert_not_null(strstr(e.text, "neon"), "%s", e.text);
	memory_free(&m);
}
