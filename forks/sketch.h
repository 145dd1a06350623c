/* A sketch: all that comparing needs of a model, from one pass over its files, some MB whatever the
 * model's size. Comparisons read sketches alone, so that a suspect is read once and registered
 * models are not read at all. Private to forks/; forks.h has what others may call.
 *
 * Vectors are unit vectors in fixed point (SKETCH_ONE is 1): every statistic over them is exact in
 * integers, the same on every machine. Two sets of them:
 *
 *   raw     the vector itself, or its CountSketch where it is longer than SKETCH_RAW
 *   token   inner products with the model's own embeddings of up to SKETCH_TOKENS tokens, less
 *           their mean over the tokens: what rotates the residual stream leaves them as they are.
 *           Only of parts in the residual stream.
 *
 * Which units are kept: all of up to SKETCH_UNITS. Of more: the first SKETCH_FIRST, whose places
 * are the same in every model (a fixed subset: exact for tests of the order), and those others
 * whose first part has the largest norm, which a permutation does not hide. */
#ifndef FORKS_SKETCH_H
#define FORKS_SKETCH_H

#include "forks/forks.h"
#include "forks/roles.h"

#define SKETCH_VERSION 1
#define SKETCH_SEED 0x68616c6c6d61726bull /* public: both sides must use the same */
#define SKETCH_RAW 128
#define SKETCH_TOKENS 96
#define SKETCH_UNITS 256
#define SKETCH_FIRST 128
#define SKETCH_BLOCKS 512 /* experts and heads beyond are sampled: sketch.c */
#define SKETCH_UNITS_MIN 16
#define SKETCH_ONE 4096 /* sums of three products of unit vectors stay below 2^31 */

/* One part of a block's kept units. Rows are zero where the vector is. */
struct sketch_part {
	uint32_t raw_width, token_width; /* multiples of 16, padded with zeros; token 0: none */
	int16_t *raw;                    /* [kept][raw_width] */
	int16_t *token;                  /* [kept][token_width], or NULL */
	float *norm;                     /* [kept] length of the vector */
};

struct sketch_block {
	const char *name; /* of the sketch's arena */
	enum fork_kind kind;
	enum fork_component component;
	uint32_t layer, index;
	uint64_t units, hidden;
	uint32_t kept, first; /* kept[0..first) are units 0..first-1 */
	uint32_t *place;      /* [kept] which unit each is */
	uint32_t parts;
	struct sketch_part part[ROLE_PARTS];
	double mean_square; /* of all values read of the block, for relative differences */
	uint8_t unfit;      /* enum block_unfit: why the order of its units tests nothing; 0: it
			       does. Set by fork_sketch_calibrate */
};

/* Calibration of a statistic for blocks of one kind and shape, on null pairs. */
enum fork_statistic { FORK_S1, FORK_S2, FORK_S3, FORK_S5, FORK_STATISTICS };
const char *fork_statistic_name(enum fork_statistic s); /* "s1", ... */
struct fork_calibration {
	enum fork_statistic statistic;
	enum fork_kind kind;
	uint64_t units, hidden;
	uint64_t pairs;             /* null pairs within this model */
	uint64_t table_pairs;       /* of the shipped table of nulls */
	double ks_p;                /* Kolmogorov-Smirnov of the p-values against uniform */
	double below_05, below_005; /* share of p below 0.05, 0.005 */
	bool passed;
	uint64_t seed;
	const char *reason; /* why it did not pass: static text, or NULL */
};
struct fork_calibrations {
	struct fork_calibration *at; /* by statistic, kind, units, hidden */
	size_t count;
};

/* A stored value: for the rung of identical tensors. */
struct sketch_tensor {
	const char *name;
	enum fork_component component;
	char form[48];
	int rank;
	uint64_t shape[8], bytes;
	uint64_t hash[2]; /* of its values as f32, a private hash: equality is checked on bytes
			      before it is evidence */
	bool floats, finite, constant; /* constant: all values are one, or there are under 256 */
	uint64_t values_bad;           /* not finite */
	double mean_square;
};

/* Of one layer: Gram matrix of the tokens under its query projection, for S4; NULL: none. */
struct sketch_layer {
	float *tokens; /* [token_count][token_count] */
};

struct fork_sketch {
	struct sketch_block *block; /* by component, layer, kind, index, name */
	size_t blocks;
	struct sketch_tensor *tensor; /* by name */
	size_t tensors;
	struct sketch_layer *layer;
	uint32_t layers;
	uint64_t hidden;
	uint64_t token[SKETCH_TOKENS]; /* ascending hashes of the tokens' texts (or ids) */
	uint32_t tokens;
	bool tokens_by_id;
	char *notes;                            /* what was skipped and why, a line each */
	struct fork_calibrations *calibrations; /* of this model's own blocks; NULL: not yet */
	struct arena arena;
};

/* The place of unit `place` in the block's lists, or UINT32_MAX. */
uint32_t fork_sketch_unit_at(const struct sketch_block *b, uint32_t place);

#endif
