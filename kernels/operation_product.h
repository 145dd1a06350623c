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
};

enum device_rows { DEVICE_ROWS_ALL, DEVICE_ROWS_WANTED };

/* How a product is computed; no bit depends on it. All zero: as the library thinks best. A shape
 * that does not fit the device is made smaller. */
enum product_kind { PRODUCT_FORM_AUTO, PRODUCT_FORM_NARROW, PRODUCT_FORM_LARGE };
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
};

#endif
