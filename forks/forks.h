/* Forks: what the weights themselves say about lineage. Null hypothesis of every p-value:
 * independent initialisation. Source: docs/formats.md, "fork statistics".
 *
 * A model is read once into a sketch, some MB whatever its size; comparisons read sketches alone.
 * The tensor-by-tensor difference reads both models again: for two that are compared, and for the
 * parents that an audit has found. */
#ifndef FORKS_FORKS_H
#define FORKS_FORKS_H

#include "base/env.h"
#include "base/json.h"
#include "base/pool.h"
#include "model/values.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- models and their sketches ---- */

/* A token's text as a hash, so that tokens of two models can be told to be the same. */
struct fork_token {
	uint64_t hash;
	uint32_t id;
};

/* A model as the statistics see it. All borrowed. */
struct fork_model {
	struct model_values *values;
	const json_t *config;           /* parsed config.json, or NULL */
	const struct fork_token *token; /* [tokens] ascending by hash; none: told apart by ids */
	size_t tokens;
	struct pool *pool; /* or NULL */
	/* So many bytes more of the files were read; one call at a time, from any thread; or NULL */
	void (*progress)(void *ctx, uint64_t more);
	void *progress_ctx;
};

struct fork_sketch;
/* One pass over the model, and its calibrations. A tensor with values that are not finite is left
 * out of its block and named; nothing else stops for it. */
int fork_sketch_make(struct fork_sketch **out, const struct fork_model *m, struct err *e) MUST_USE;
void fork_sketch_free(struct fork_sketch *s); /* NULL is fine */
/* The same sketch gives the same bytes on every machine; what is read is not trusted. */
int fork_sketch_write(const struct fork_sketch *s, struct buf *out, struct err *e) MUST_USE;
int fork_sketch_read(struct fork_sketch **out, const void *bytes, size_t len,
		     struct err *e) MUST_USE;
/* Its calibrations anew, from null pairs that another seed draws; and what they are, as reports
 * have them: an array, a row for each statistic, kind and shape of blocks. *passed: p-values may be
 * stated for some of them. */
int fork_sketch_calibrate(struct fork_sketch *s, uint64_t seed, struct pool *pool,
			  struct err *e) MUST_USE;
int fork_sketch_calibrations_json(const struct fork_sketch *s, json_t **out, bool *passed,
				  struct err *e) MUST_USE;

/* ---- comparing two ---- */

/* How tests become a verdict, and what is in a report: docs/formats.md, section 10. */
#define FORK_METHOD "ladder/2"

enum fork_verdict {
	FORK_IDENTICAL,    /* every tensor has the same values, whatever its name or container */
	FORK_DEPENDENT,    /* independent initialisation is rejected */
	FORK_CONTAINS,     /* tensors of the body are the same, and no statistic decides */
	FORK_INCONCLUSIVE, /* no statistic could be asked */
	FORK_NO_EVIDENCE   /* they were asked, and none rejects */
};
/* "identical", "dependent-initialisation", "contains-identical-tensors", "inconclusive",
 * "no-evidence" */
const char *fork_verdict_name(enum fork_verdict v);

/* How the difference of a matrix looks where it was made by rounding. */
enum fork_rounding {
	FORK_ROUNDED_NOT,
	FORK_ROUNDED_INT8,
	FORK_ROUNDED_INT4,
	FORK_ROUNDED_FP8,
	FORK_ROUNDED_NARROW, /* to a narrower float: BF16, F16 */
	FORK_ROUNDINGS
};
const char *fork_rounding_name(enum fork_rounding r); /* "int8", ...; NULL: not rounded */

/* What fork_diff measured; all zero until it was run. */
struct fork_measured {
	bool run;
	double relative_l2;               /* ||b - a|| / ||a|| over matrices of equal shape */
	uint64_t changed;                 /* matrices that are not the same */
	uint64_t rounded[FORK_ROUNDINGS]; /* of these: rounded so */
	uint64_t low_rank; /* of these: the difference is of low rank, an adapter's */
	uint32_t rank;     /* the largest such rank */
	double zeros;      /* share of their values that became zero, as in pruning */
	uint64_t frozen;   /* matrices of the body that are the same while others changed */
	bool embedding_resized;
};

/* Whether the statistics could have seen a dependence between these two: without that their silence
 * says nothing. Distillation and training on outputs are never seen. */
struct fork_power {
	bool plain, permuted, rotated; /* as it is; with units in another order; rotated */
	bool can_see;                  /* all of them: silence may be held against a card */
	uint64_t blocks;               /* judged */
	double cosine; /* mean cosine of the units from which on plain dependence shows */
	const char *sentence;
};

struct fork_comparison {
	enum fork_verdict verdict;
	/* All tests corrected for each other, whichever were run. tested: else p is 1. p_value is
	 * never below the smallest normal double, log_p (natural) may be. Identical: 0, -inf. */
	bool tested;
	double p_value, log_p;
	const char *rung; /* that gave the verdict: "values", a test's name ("s1", ...), or NULL */
	uint64_t blocks;  /* judged by it */
	double effect; /* mean cosine of units side by side, by the map that decided; NaN: none */
	/* Of the same; by fork_diff exactly, unless a map or a rotation lies between. NaN: none. */
	double relative_l2;
	uint64_t identical;         /* tensors of the body with the same values */
	double identical_share;     /* of the body's values in b */
	uint64_t shared_components; /* tensors beside the body that are the same */
	uint64_t same, changed, added, removed, reshaped, not_finite; /* tensors */
	struct fork_power power;
	struct fork_measured measured;
	struct fork_detail *detail; /* owned: every test, block, tensor; forks/detail.h */
};

struct fork_options {
	double alpha; /* familywise level already divided for this comparison, e.g. 1e-3 */
	uint64_t seed;
	struct pool *pool; /* or NULL */
	bool all_rungs;    /* run every rung, whichever decides */
};

/* Compare suspect b with candidate parent a. The first rung that decides ends it. What is identical
 * is told by hashes of the values: fork_diff confirms it. When 0 was returned the caller frees
 * out, which outlives the sketches. */
int fork_compare(const struct fork_sketch *a, const struct fork_sketch *b,
		 const struct fork_options *how, struct fork_comparison *out,
		 struct err *e) MUST_USE;
void fork_comparison_free(struct fork_comparison *c);

/* The next tensor that is the same in both, of any component and not by construction; *at is 0 at
 * first; false past the last. The name is b's; strings live as long as c. */
struct fork_same {
	const char *name, *component; /* "body", "tower", "draft", "ends" */
	uint64_t bytes, values;
};
bool fork_comparison_same(const struct fork_comparison *c, size_t *at, struct fork_same *out);

/* The values of the tensors that stand side by side in c, read from both models: differences, of
 * what kind they are, and whether what is the same by its hash is the same. Sets c->measured and
 * draws the verdict again. */
int fork_diff(const struct fork_model *a, const struct fork_model *b, struct pool *pool,
	      struct fork_comparison *c, struct err *e) MUST_USE;

/* The comparison as JSON: fields of docs/formats.md, section 10. lists: every block and tensor. */
int fork_comparison_json(const struct fork_comparison *c, bool lists, json_t **out,
			 struct err *e) MUST_USE;

/* ---- several ---- */

/* Holm over all hypotheses examined, count of which have a p here, in any order; the others stay
 * unrejected. In natural logarithms, for the p of a copy lies below the smallest double; NaN is no
 * evidence. reject[i] is set where it is rejected at the familywise level alpha; threshold[i] (or
 * NULL) is what it was held against. Of equal ones the first goes first. */
void fork_holm(const double *log_p, size_t count, uint64_t hypotheses, double alpha,
	       double *threshold, bool *reject);

#endif
