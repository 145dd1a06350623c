/* Which p-values may be stated: null pairs within one model, and the shipped table of nulls.
 * Private to forks/. fork_sketch_calibrate is in forks.h.
 *
 * A null pair is two blocks of one model, which were initialised independently: of other layers
 * first, then experts or heads of a layer; no near copies of each other (forks/fit.h). Where a kind
 * and shape gives fewer than NULL_PAIRS_MIN of them, the even units of a block against their
 * neighbours are null pairs too, and the table makes up the number, if the model's own pairs do not
 * deviate. Without any pair of its own it states nothing: an initialisation that is the same in
 * every model would not be seen. */
#ifndef FORKS_NULLS_H
#define FORKS_NULLS_H

#include "forks/sketch.h"

#define NULL_PAIRS 480
#define NULL_PAIRS_MIN 300

/* The model's calibration for blocks like b, or NULL: it has none. */
const struct fork_calibration *fork_calibration_of(const struct fork_sketch *s,
						   enum fork_statistic statistic,
						   const struct sketch_block *b);

/* Whether the model's own blocks speak against the null hypothesis for blocks like b, rather than
 * saying too little: then no other model's may speak for it. */
bool fork_null_refuted(const struct fork_sketch *s, enum fork_statistic statistic,
		       const struct sketch_block *b);

/* What the model's blocks of that kind and shape have of their initialisation, which an independent
 * model may have too; static text, or NULL: no such structure was seen. */
const char *fork_null_structure(const struct fork_sketch *s, const struct sketch_block *b);

/* Why a calibration did not pass. Stored in sketches by index: append only. */
enum null_reason {
	NULL_PASSED,
	NULL_NO_PAIRS,   /* one block of its kind and shape, or all are left out */
	NULL_ONE_ORDER,  /* blocks of many layers are near copies of each other */
	NULL_DEVIATES,   /* p-values of its own pairs are not uniform */
	NULL_NOT_TABLED, /* too few pairs, and no row of the table is near */
	NULL_STRUCTURED, /* over a quarter of its blocks are left out for their structure */
	NULL_OTHERS,     /* few pairs of its own, and another kind of the model shows structure */
	NULL_REASONS
};
const char *fork_null_reason(unsigned reason); /* static text; NULL for NULL_PASSED and above */

/* p-values as a calibration has them, p[count] (sorted in place): fills ks_p, below_05, below_005
 * of *out; passed where they are many enough and look uniform. */
void fork_null_judge(double *p, size_t count, struct fork_calibration *out);

/* p-values of the model's own null pairs for blocks like `like`, whose blocks fork_fit_blocks has
 * judged: at most NULL_PAIRS. The caller frees *p. */
int fork_null_scores(const struct fork_sketch *s, const struct sketch_block *like,
		     enum fork_statistic statistic, uint64_t seed, struct pool *pool, double **p,
		     size_t *count, struct err *e) MUST_USE;

/* One row of the shipped table: pairs that tests/forks/test_nulls.c has drawn, of three laws.
 * units: of a sketch's first ones. */
struct null_row {
	enum fork_statistic statistic;
	uint32_t parts, units, hidden;
	uint32_t pairs;
	double ks_p, below_05, below_005;
};
extern const struct null_row fork_null_table[];
extern const size_t fork_null_rows;
/* The row nearest to a shape, by a block's `first` units, or NULL: none is within a factor of two.
 * hidden beyond the table's is as its largest: vectors are sketched to one width. */
const struct null_row *fork_null_row(enum fork_statistic statistic, uint32_t parts, uint64_t units,
				     uint64_t hidden);

#endif
