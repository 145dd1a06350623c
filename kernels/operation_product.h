/* Products of a device: lists of matrices times rows. */
#ifndef KERNELS_OPERATION_PRODUCT_H
#define KERNELS_OPERATION_PRODUCT_H

#include "kernels/operation_batch.h"

/* out[i][row] = act(scale, cap and bias of sum_k w[row][k] x_i[k]), for the rows of w.
 *
 * The order of a sum: K is cut into segments of FRAGMENT_SEGMENT; in a segment (in formats with
 * scales: in a group of it, whose sum is then scaled and added) tiles of 16 K ascend, each one
 * matrix instruction for each part of w (kernels/fragment.h) and term of x; segments are added in
 * ascending order, from zero. x is the sum of `terms` bf16 numbers: the nearest one, then the
 * nearest one to what is left. */
struct device_job {
	struct device_matrix w, up;  /* up.at NULL: none; else of w's shape, not of its format */
	const float *bias, *bias_up; /* [w.rows]; NULL: none */
	const float *x;
	size_t x_stride; /* floats from row to row */
	/* Row i of x is x[pick[i]]; NULL: x[i], or with DEVICE_ROWS_WANTED and no range
	 * x[batch->want[i]]. */
	const uint32_t *pick;
	/* Rows [range[0], range[1]) of pick (or of x) and of out; NULL: [0, rows) of the args. */
	const uint32_t *range;
	float *out;
	size_t out_stride; /* floats */
	/* With up: out = act(w x, up x), else if `active` out = act(w x); parameter as in struct
	 * kernels. */
	uint8_t act, active;
	const float *parameter;
	float scale, cap; /* out = cap * tanh(scale * out / cap), cap 0: scale alone; 0: neither */
	/* For the fast form, as device_tiles_place sets them: where the rows of x lie as bf16, in
	 * groups of 8 for each 16 K; how many groups there is room for; is it this job that writes
	 * them? */
	void *tiles;
	uint32_t tile_groups;
	bool tiles_mine;
};

enum device_rows { DEVICE_ROWS_ALL, DEVICE_ROWS_WANTED };

/* How a product is computed; no bit depends on it. All zero: as the library thinks best. A shape
 * that does not fit the device is made smaller. */
enum product_kind {
	PRODUCT_FORM_AUTO,
	PRODUCT_FORM_NARROW,
	PRODUCT_FORM_LARGE,
	PRODUCT_FORM_CUBLAS /* not of this operation: product_dense in its place */
};
struct product_form {
	uint8_t kind;   /* NARROW: for weights that stream; LARGE: for matrix units */
	uint8_t blocks; /* NARROW: of a multiprocessor, 1 or 2 */
	uint8_t rows;   /* LARGE: of an item, 16, 32 or 64 */
	uint8_t stages; /* LARGE: of weights, 2 to 4 */
	uint32_t room;  /* NARROW: bytes of shared memory, 64 KiB at least */
};

struct product_args {
	const struct device_batch *batch;
	const struct device_job *job; /* [jobs], in device memory */
	uint32_t jobs;
	/* The jobs that have rows, as sort_slots lists them: active[0] jobs, active[1..]; behind
	 * them come jobs [always, jobs). NULL: all jobs. */
	const uint32_t *active;
	uint32_t always;
	enum device_rows rows; /* that a job without a range has */
	uint32_t rows_most;    /* of one job, in any pass that these args are used for */
	uint32_t panels;       /* of all jobs together (kernel_panels of w): for the launch */
	uint32_t terms;        /* 1 or 2 */
	struct product_form form;
	/* The form of many rows of the fast regime (kernels/product_fast.cu): one term, and bits of
	 * its own. Compute capability 9.0, and all jobs have tiles. */
	bool fast;
};

#define DEVICE_TILE_GROUP 256u /* bytes of 8 rows and 16 K as bf16 */

/* Do the jobs read the same rows? Those with a range have rows of their own. */
static inline bool device_tiles_shared(const struct device_job *a, const struct device_job *b)
{
	return !a->range && !b->range && a->x == b->x && a->x_stride == b->x_stride &&
	       a->pick == b->pick && a->w.columns == b->w.columns;
}

/* Set the tiles of the jobs of one product from `at` on (NULL: only count). Ranges, of jobs that
 * follow each other, ascend; all of them together have at most `slots` rows, any other job
 * `rows_most`. Returns the bytes that are needed, a multiple of 256. */
static inline size_t device_tiles_place(struct device_job *job, uint32_t jobs, uint32_t rows_most,
					uint32_t slots, unsigned char *at)
{
	size_t used = 0;
	const struct device_job *ranged = NULL;
	for (uint32_t i = 0; i < jobs; i++) {
		struct device_job *j = &job[i];
		const struct device_job *like = j->range ? ranged : NULL;
		for (uint32_t k = 0; k < i && !j->range && !like; k++)
			like = device_tiles_shared(j, &job[k]) ? &job[k] : NULL;
		j->tiles_mine = j->range || !like;
		if (like) {
			j->tiles = like->tiles;
			j->tile_groups = like->tile_groups;
			continue;
		}
		ranged = j->range ? j : ranged;
		j->tiles = at ? at + used : NULL;
		/* a job's rows begin at a group of its own: that of its first row plus its number */
		j->tile_groups = j->range ? slots / 8 + jobs + 1 : (rows_most + 7) / 8;
		used += ((size_t)j->w.columns + 63) / 64 * 4 * j->tile_groups * DEVICE_TILE_GROUP;
	}
	return used;
}

/* K as cuBLAS gets it: the padding is zeros. A macro, for both sides. */
#define DEVICE_DENSE_COLUMNS(columns) (((columns) + 63u) / 64u * 64u)

/* What one job of the fast regime says, by cuBLAS (kernels/product_dense.cu): the matrix and the
 * rows as bf16 numbers, sums in f32 in an order of cuBLAS's own. The stream is ready for it
 * (device_dense_open), else it is refused as not supported.
 *
 * The library gets rows_most rows whatever the pass has, so a recorded call is that of every pass,
 * and bits depend on rows_most and not on the pass. Those beyond the pass's are zeros; what they
 * become is written to out, which has room for all of them. */
struct product_dense_args {
	const struct device_batch *batch;
	/* no pick, no range; formats of which a value is one bf16 number. In host memory */
	struct device_job job;
	uint32_t rows_most;
	bool rows_ready; /* x is in `rows` already: that of the operation before, which was one too */
	/* Device memory at multiples of 256 bytes, for as long as the operation runs: */
	void *weights;   /* [outputs][K] bf16, K = DEVICE_DENSE_COLUMNS */
	void *rows;      /* [rows_most][K] bf16 */
	float *up;       /* [rows_most][outputs], with job.up alone */
	void *workspace; /* cuBLAS's own */
	size_t workspace_bytes;
};

#endif
