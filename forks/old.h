/* The comparison that reads whole models, until callers have gone over to sketches. */
#ifndef FORKS_OLD_H
#define FORKS_OLD_H

#include "forks/forks.h"

/* Calibration of S1 on null pairs: experts of one layer of one model against each other. */
struct fork_old_calibration {
	uint64_t pairs;
	double ks_p;                /* Kolmogorov-Smirnov of the p-values against uniform */
	double below_05, below_005; /* share of p below 0.05, 0.005 */
	bool passed;                /* >= 300 pairs, ks_p > 0.01, shares within their intervals */
	uint64_t seed;
};
int fork_old_calibrate(const struct fork_model *m, uint64_t seed, struct fork_old_calibration *out,
		       struct err *e) MUST_USE;

/* One tensor of the comparison. */
#ifndef FORKS_DETAIL_H
enum fork_change { FORK_SAME, FORK_CHANGED, FORK_ADDED, FORK_REMOVED, FORK_RESHAPED };
#endif
struct fork_old_tensor {
	const char *name; /* borrowed from the models' directories */
	enum fork_change change;
	double relative_l2, cosine; /* FORK_CHANGED with float values; else NaN */
};

/* One block's S1. */
struct fork_old_block {
	uint32_t layer, expert; /* expert UINT32_MAX: the layer's dense or shared MLP */
	bool shared;
	double trace, expectation, variance, z, p,
		cosine; /* cosine: mean aligned cosine of the units */
	uint64_t draws; /* Monte-Carlo permutations */
};

/* S2, the Mantel statistic over the same blocks; sees what a rotation of the residual stream hides
 * from S1. */
struct fork_s2 {
	bool run; /* else all zero */
	double p, fisher, smallest,
		stouffer; /* as for S1; all 1, 1, 1, 0 unless the calibration passed */
	double effect;    /* mean matrix correlation over blocks and kinds */
	uint64_t draws;
	struct fork_old_calibration calibration;
};

struct fork_old {
	enum fork_verdict verdict;
	/* Twice the smallest p of the two rungs S1 and S2, where S2 is asked only if S1 does not
	 * decide. 1 where nothing could be tested; 0 for identical models, which need no test:
	 * fork_holm takes it as it is. */
	double p_value;
	double s1_p; /* twice the smaller of Fisher over blocks and Bonferroni of the smallest */
	double fisher, smallest, stouffer; /* smallest: Bonferroni-corrected */
	double effect;                     /* mean aligned cosine over blocks */
	double relative_l2;                /* ||B - A|| / ||A|| over matrices of equal shape */
	double rounding; /* share of changed matrices that are a's rounded to int8 by row or to FP8
			    blocks */
	uint64_t same, changed, added, removed, reshaped, skipped_blocks, seed, draws;
	struct fork_old_tensor *tensor;
	size_t tensors;
	struct fork_old_block *block;
	size_t blocks;
	struct fork_old_calibration calibration; /* of S1 on model a, computed here unless given */
	struct fork_s2 s2;
};

/* Compare suspect b with candidate parent a. calibration NULL: computed on a; when it does not
 * pass, no p-value is stated (verdict inconclusive, effect only). alpha: familywise level already
 * divided for this comparison, e.g. 1e-3. Everything drawn follows from seed. ERR_INPUT names a
 * tensor with non-finite values. When 0 was returned the caller frees out. */
int fork_old_compare(const struct fork_model *a, const struct fork_model *b, double alpha,
		     uint64_t seed, const struct fork_old_calibration *calibration,
		     struct fork_old *out, struct err *e) MUST_USE;
void fork_old_free(struct fork_old *c);
/* Whether it states a p-value: identical models and those without a calibrated block have none. */
bool fork_old_tested(const struct fork_old *c);
/* The rung that gave its smallest p-value ("s1", "s2"), "digest" for identical models, or NULL. */
const char *fork_old_rung(const struct fork_old *c);

/* The comparison as JSON: fields of docs/formats.md ("verdict", "p_value", "effect",
 * "statistics":{"s1":{...},"s2":null,...}, "tensors", "calibration", ...). */
int fork_old_json(const struct fork_old *c, bool blocks, json_t **out, struct err *e) MUST_USE;

#endif
