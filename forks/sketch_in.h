/* Private to sketch*.c: how a sketch is made. sketch.c is the page; sketch_plan.c has what is to be
 * read, sketch_choose.c what of it is kept, sketch_pass.c the pass over the files by jobs,
 * sketch_read.c one job, sketch_scan.c and sketch_loops*.c what is taken of every value,
 * sketch_unit.c unit vectors, sketch_token.c tokens, sketch_file.c the persisted form. */
#ifndef FORKS_SKETCH_IN_H
#define FORKS_SKETCH_IN_H

#include "forks/sketch.h"

#include <pthread.h>

#define SKETCH_WIDTH_MAX (1u << 20)      /* of a unit's vector; longer ones are left out */
#define SKETCH_UNITS_OF_BLOCK (1u << 24) /* more: left out */
#define SKETCH_GROUP 16                  /* unit vectors by row that are summed at a time */

static inline int plan_nomem(struct err *e)
{
	return err_set(e, ERR_NOMEM, "out of memory for a sketch");
}

/* A bijection of 64 bits that spreads every one of them over all: the last step of splitmix64. */
static inline uint64_t sketch_mixed(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

/* ---- the inner loops: sketch_loops.c, sketch_loops_avx2.c ---- */

#define SCAN_STEP 16 /* values */
struct scan_lanes {
	uint64_t hash[8];
	uint32_t differs;
};
/* x[0..n), n a multiple of SCAN_STEP, into the lanes; returns the sum of squares. first: bits that
 * others than 0 are to have. */
double fork_scan_steps_plain(struct scan_lanes *l, const float *x, size_t n, uint32_t first);
double fork_scan_steps_avx2(struct scan_lanes *l, const float *x, size_t n, uint32_t first);

#define TILE_UNITS 4
#define TILE_TOKENS 16
/* out[i][t] += sum over k < count of x[k][i] * y[k][t], for i < TILE_UNITS and t < TILE_TOKENS. */
struct tile {
	float *out;
	const float *x, *y;
	size_t out_stride, x_stride, y_stride;
	uint32_t count;
};
void fork_tile_plain(const struct tile *t);
void fork_tile_avx2(const struct tile *t);

/* ---- values: sketch_scan.c ---- */

struct scan {
	uint64_t hash[2];
	double squares; /* of the finite values */
	uint64_t values, values_bad;
	uint32_t first, differs; /* bits of the first that is not 0, and where others differ */
};
/* Add one row of n values; `row` is its number in its tensor. The sums do not depend on how the
 * rows are shared out, but for that of the squares, which is one of doubles. */
void fork_scan_row(struct scan *s, uint64_t row, const float *x, size_t n);
/* Add bytes that have no values as f32, as a row. */
void fork_scan_bytes(struct scan *s, uint64_t row, const void *bytes, size_t len);
void fork_scan_merge(struct scan *s, const struct scan *from);
/* Sum of the squares of x[i] * gain[i] (gain NULL: 1), in a fixed order. */
double fork_scan_squares(const float *x, const float *gain, size_t n);
/* sum[i] += (x[i] * gain)^2 */
void fork_scan_column_squares(double *sum, const float *x, float gain, size_t n);

/* ---- tokens: sketch_token.c ---- */

/* What unit vectors are summed against. */
struct basis {
	uint8_t *bucket; /* [width_max] of the CountSketch, and SIGN */
	uint64_t width_max;
	uint64_t hidden;
	uint32_t tokens, stride; /* stride: tokens rounded up to 16 */
	float *embedding;        /* [hidden][stride] less their mean, or NULL */
};
#define BASIS_NEGATIVE 0x80u
int fork_basis_open(struct basis *b, struct fork_sketch *s, const struct fork_model *m,
		    const struct roles *r, uint64_t width_max, struct err *e) MUST_USE;
void fork_basis_free(struct basis *b);

/* ---- unit vectors: sketch_unit.c ---- */

/* The vectors of some units while they are summed, dimension by dimension. */
struct unit_sum {
	const struct basis *basis;
	uint32_t units, stride; /* stride: units rounded up to 4 */
	uint32_t raw_width;
	bool plain;      /* raw is the vector itself */
	float *raw;      /* [raw_width][stride] */
	float *token;    /* [stride][basis->stride], or NULL */
	double *squares; /* [stride] */
};
uint32_t fork_unit_raw_width(uint64_t width); /* a multiple of 16 */
int fork_unit_sum_open(struct unit_sum *u, uint32_t units, uint64_t width, bool token,
		       const struct basis *basis, struct err *e) MUST_USE;
void fork_unit_sum_clear(struct unit_sum *u);
/* Dimensions [dimension, dimension + count): x is [count][u->stride]. Ascending, each once: the
 * order of additions is that of the dimensions, however they are cut. */
void fork_unit_sum_add(struct unit_sum *u, uint64_t dimension, uint32_t count, const float *x);
/* The sums as units at.. of the part, and their squares added to *squares. false: one is not
 * finite. */
bool fork_unit_sum_take(const struct unit_sum *u, struct sketch_part *part, uint32_t at,
			double *squares);
void fork_unit_sum_free(struct unit_sum *u);
/* v[0..n) in fixed point with length SKETCH_ONE, or zeros. Returns its length. */
double fork_unit_quantise(const double *v, uint32_t n, int16_t *out);

/* ---- the plan: sketch_plan.c, sketch_choose.c ---- */

/* A block that may be kept, or the query projection of a layer. */
struct plan_block {
	const struct role_block *of; /* NULL: a query projection */
	const struct role_part *part;
	uint32_t parts, limit; /* limit: of its units */
	uint64_t units;
	/* [units] squared, folds apart: of the first part, and of the second where there are but
	 * two; NULL: not needed */
	float *norms[2];
	bool chosen, broken;        /* broken: not finite, known before the pass */
	struct sketch_block *block; /* the sketch's; of queries the plan's */
	struct sketch_layer *layer; /* of queries */
	double squares[ROLE_PARTS]; /* of all values read of each part */
	bool bad[ROLE_PARTS];       /* not finite, or too large to be summed */
};

/* What is taken of a block while one of its values is read, from rows [row, row + rows). */
struct taker {
	uint32_t value, block, part;
	uint64_t row, rows;
};
struct takers {
	struct taker *at; /* by value, row, block, part */
	size_t count;
};

struct plan {
	const struct fork_model *model;
	struct roles roles;
	struct fork_sketch *sketch;
	struct basis basis;
	struct plan_block *block; /* as the roles have them, then the queries */
	size_t blocks, of_roles;
	uint32_t layers[FORK_COMPONENTS][FORK_KINDS]; /* that have such blocks */
	struct takers norms;   /* of blocks that are chosen, or whose units are, by norm */
	struct takers vectors; /* of blocks that were chosen: while the value is read whole, */
	struct takers rows;    /* or by row alone, for it was read before */
	float **gain;          /* [values] of those that are gains */
	struct arena arena;
	struct buf notes;
	uint32_t noted;
};
/* The roles of the model are found here. */
int fork_plan_open(struct plan *p, struct err *e) MUST_USE;
/* When the norms are known: which blocks and units are kept, and room for them. */
int fork_plan_choose(struct plan *p, struct err *e) MUST_USE;
/* A line for people; beyond some they are counted. Names come from the files. */
void fork_plan_note(struct plan *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
void fork_plan_free(struct plan *p);
/* The gain of a part's vectors, [width], malloc'ed; *gain NULL: none. What of it is no
 * finite number is 1, so that nobody hides a layer behind one value. */
int fork_plan_gain(const struct plan *p, const struct role_part *r, float **gain,
		   struct err *e) MUST_USE;
/* Whether all rows that make up the part have to be read in their order, for its norms. */
static inline bool fork_part_whole(const struct role_part *r)
{
	return r->by_column || r->folds > 1;
}
/* The index of that value among the model's, which are by name. */
uint32_t fork_plan_value(const struct plan *p, const struct model_value *w);
/* Takers of the parts for which `wanted` holds. */
int fork_plan_takers(struct plan *p, struct takers *out,
		     bool (*wanted)(const struct plan *p, const struct plan_block *b,
				    uint32_t part),
		     struct err *e) MUST_USE;
/* Blocks [i, end) are those of one kind of one layer, of which no more than the limit are kept. */
size_t fork_plan_group_end(const struct plan *p, size_t i);
size_t fork_plan_group_limit(const struct plan *p, size_t i);

/* ---- the pass over the files: sketch_pass.c, sketch_read.c ---- */

enum job_kind {
	JOB_SCAN,  /* rows of a value, and what is taken of them */
	JOB_BYTES, /* the stored bytes of what has no values */
	JOB_ROWS   /* a part by row: its kept units alone */
};
/* What one thread does at a time. Jobs are cut without regard to the number of threads. */
struct job {
	enum job_kind kind;
	uint32_t value;
	uint64_t row, rows;        /* JOB_SCAN */
	bool hashed;               /* it counts for the value's hash; else it is read again */
	const struct taker *taker; /* [takers] */
	size_t takers;
	struct scan scan;
	char *failed; /* why the value could not be read, malloc'ed; or NULL */
};

/* Memory of one thread. */
struct worker {
	float *panel, *x;
	size_t panel_room, x_room; /* in floats */
};

struct pass {
	struct plan *plan;
	bool norms; /* takers want norms, else vectors */
	struct job *job;
	size_t jobs;
	struct worker *worker; /* [workers] */
	unsigned workers;
	pthread_mutex_t lock, wide; /* wide: for rows of which only one thread has any in memory */
	_Atomic bool stop;
	struct err err; /* of the first job that failed */
	size_t failed;
	int rc;
};
int fork_read_job(struct pass *p, struct worker *w, struct job *j, struct err *e) MUST_USE;
/* So many rows of the value were read. */
void fork_pass_progress(struct pass *p, const struct model_value *v, uint64_t rows);

/* In two passes over the jobs, fork_plan_choose between them; fills the sketch's tensors. */
int fork_pass_run(struct plan *p, struct err *e) MUST_USE;

#endif
