/* Forks: what the weights themselves say about lineage. Null hypothesis of every p-value: independent initialisation.
 * Source: docs/formats.md, "fork statistics"; S1 is the aligned-trace statistic over hidden units of MLPs and experts. */
#ifndef FORKS_FORKS_H
#define FORKS_FORKS_H

#include "base/env.h"
#include "base/json.h"
#include "engine/engine.h"

#include <stdbool.h>
#include <stdint.h>

enum fork_verdict { FORK_IDENTICAL, FORK_DEPENDENT, FORK_INCONCLUSIVE, FORK_NO_EVIDENCE };
const char *fork_verdict_name(enum fork_verdict v); /* "identical", "dependent-initialisation", ... */

/* A model as the statistics see it. All borrowed. config: parsed config.json. */
struct fork_model {
	struct engine_tensors *tensors;
	struct source *source;
	const json_t *config;
};

/* Calibration of S1 on null pairs: experts of one layer of one model against each other. */
struct fork_calibration {
	uint64_t pairs;
	double ks_p;             /* Kolmogorov-Smirnov of the p-values against uniform */
	double below_05, below_005; /* share of p below 0.05, 0.005 */
	bool passed;             /* >= 300 pairs, ks_p > 0.01, shares within their intervals */
	uint64_t seed;
};
int fork_calibrate(const struct fork_model *m, uint64_t seed, struct fork_calibration *out, struct err *e) MUST_USE;

/* One tensor of the comparison. */
enum fork_change { FORK_SAME, FORK_CHANGED, FORK_ADDED, FORK_REMOVED, FORK_RESHAPED };
struct fork_tensor {
	const char *name;       /* borrowed from the models' directories */
	enum fork_change change;
	double relative_l2, cosine; /* FORK_CHANGED only */
};

/* One block's S1. */
struct fork_block {
	uint32_t layer, expert; /* expert UINT32_MAX: the layer's dense or shared MLP */
	bool shared;
	double trace, expectation, variance, z, p, cosine; /* cosine: mean aligned cosine of the units */
	uint64_t draws;         /* Monte-Carlo permutations */
};

struct fork_comparison {
	enum fork_verdict verdict;
	double p_value;          /* twice the smaller of Fisher over blocks and Bonferroni of the smallest; 1 if no block */
	double fisher, smallest, stouffer; /* smallest: Bonferroni-corrected */
	double effect;           /* mean aligned cosine over blocks */
	double relative_l2;      /* ||B - A|| / ||A|| over matrices of equal shape */
	double rounding;         /* share of changed matrices whose difference fits rounding to 8 bits by row */
	uint64_t same, changed, added, removed, reshaped, skipped_blocks, seed, draws;
	struct fork_tensor *tensor;
	size_t tensors;
	struct fork_block *block;
	size_t blocks;
	struct fork_calibration calibration; /* of model a, computed here unless given */
};

/* Compare suspect b with candidate parent a. calibration NULL: computed on a; when it does not pass, no p-value is stated
 * (verdict inconclusive, effect only). alpha: familywise level already divided for this comparison, e.g. 1e-3. */
int fork_compare(const struct fork_model *a, const struct fork_model *b, double alpha, uint64_t seed,
                 const struct fork_calibration *calibration, struct fork_comparison *out, struct err *e) MUST_USE;
void fork_comparison_free(struct fork_comparison *c);
/* The comparison as JSON: fields of docs/formats.md ("verdict", "p_value", "effect", "statistics":{"s1":{...},"s2":null,...},
 * "tensors", "calibration", ...). */
int fork_comparison_json(const struct fork_comparison *c, bool blocks, json_t **out, struct err *e) MUST_USE;

/* Holm over m candidates: p[] sorted by the caller in any order; reject[i] set where rejected at alpha. */
void fork_holm(const double *p, size_t count, uint64_t hypotheses, double alpha, bool *reject);

#endif
