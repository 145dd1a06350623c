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
 * Which units are kept: all of a block, if they are no more than its kind's limit. Of more: the
 * first half of the limit, whose places are the same in every model (a fixed subset: exact for
 * tests of the order), and the largest of the others, which a permutation does not hide: by the
 * norm of the gate, or, of two parts, by the product of both norms, for a factor can go from one
 * part into the other and leave the function as it is. In the same way of the experts or heads of a
 * layer, at least SKETCH_LAYER of them. */
#ifndef FORKS_SKETCH_H
#define FORKS_SKETCH_H

#include "base/arena.h"
#include "forks/forks.h"
#include "forks/roles.h"

#define SKETCH_VERSION 2
#define SKETCH_SEED 0x68616c6c6d61726bull /* public: both sides must use the same */
#define SKETCH_RAW 128
#define SKETCH_TOKENS 96
#define SKETCH_TOKENS_MIN 8   /* fewer say too little: no token vectors */
#define SKETCH_UNITS 256      /* of dense and shared blocks, the most that any has */
#define SKETCH_FIRST 128      /* of these; always half of the limit */
#define SKETCH_UNITS_MANY 128 /* of experts and heads, of which there are many */
#define SKETCH_LAYER 8        /* experts, and heads, of a layer that are kept at least */
#define SKETCH_BLOCKS 256     /* of each kind, shared out over the layers */
#define SKETCH_UNITS_MIN 16
#define SKETCH_ONE 4096 /* sums of three products of unit vectors stay below 2^31 */

/* One part of a block's kept units. Rows are zero where the vector is. */
struct sketch_part {
	uint32_t raw_width, token_width; /* multiples of 16, padded with zeros; token 0: none */
	int16_t *raw;                    /* [kept][raw_width] */
	int16_t *token;                  /* [kept][token_width], or NULL */
	/* [kept] of what raw and token are the directions of, gain included: times them, each is
	 * linear in the weights */
	float *norm, *token_norm;
};

struct sketch_block {
	const char *name; /* of the sketch's arena */
	enum fork_kind kind;
	enum fork_component component;
	uint32_t layer, index;
	uint64_t units, hidden;
	uint32_t kept, first; /* kept[0..first) are units 0..first-1 */
	uint32_t *place;      /* [kept] which unit each is, ascending */
	uint32_t parts;
	struct sketch_part part[ROLE_PARTS];
	double mean_square; /* of the values of the kept units, gain included */
	/* Set by fork_sketch_calibrate. unfit: enum block_unfit, why the order of its units tests
	 * nothing; 0: it does. cluster: the first block of the model that it is a near copy of, its
	 * own index if none: upcycled experts, repeated layers. */
	uint8_t unfit;
	uint32_t cluster;
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
	/* Of its values as f32 by their rows, -0 as 0: the same from every container that holds the
	 * same values, and on every machine. Not cryptographic: equality is checked on the values
	 * before it becomes evidence. Where there are no floats, of the stored bytes. */
	uint64_t hash[2];
	bool floats, finite;
	bool constant;       /* all that are not 0 are one value, or there are under 256 */
	uint64_t values_bad; /* not finite */
	double mean_square;  /* of the finite ones */
};

/* Of one layer: Gram matrix of the tokens under its query projection (of its rows that have the
 * largest norm), its trace 1, for S4; NULL: none. */
struct sketch_layer {
	float *tokens; /* [tokens of the sketch][same], symmetric */
};

struct fork_sketch {
	struct sketch_block *block; /* by component, layer, kind, index, name */
	size_t blocks;
	struct sketch_tensor *tensor; /* by name */
	size_t tensors;
	struct sketch_layer *layer;
	uint32_t layers;
	uint64_t hidden;
	uint64_t token[SKETCH_TOKENS];    /* ascending hashes of the tokens' texts (or ids) */
	uint32_t token_id[SKETCH_TOKENS]; /* of each */
	uint32_t tokens;
	bool tokens_by_id;
	char *notes;                            /* what was skipped and why, a line each, or "" */
	struct fork_calibrations *calibrations; /* of this model's own blocks; NULL: not yet */
	struct arena arena;                     /* all of the above */
};

/* The place in the block's lists of its unit `place`, or UINT32_MAX. */
uint32_t fork_sketch_unit_at(const struct sketch_block *b, uint32_t place);

/* Below 0, 0 or above by component, layer, kind, index: 0 where the blocks have one place. */
int fork_sketch_place_order(const struct sketch_block *a, const struct sketch_block *b);

/* The tokens that both sketches have: column a[i] of the one's token vectors answers column b[i] of
 * the other's. all: there are no others, and vectors can be compared as they are. By their texts,
 * or by ids where a model has no texts, or other ones for nearly all of its tokens. */
struct fork_common {
	uint32_t count;
	bool all;
	uint8_t a[SKETCH_TOKENS], b[SKETCH_TOKENS];
};
struct fork_common fork_sketch_common(const struct fork_sketch *a, const struct fork_sketch *b);

/* Token vectors over the columns at[0..count) alone: less their mean over these, unit length again.
 * Inner products with embeddings less their mean over these tokens, as if no others had been drawn.
 *   out  [kept][count rounded up to 16], padded with zeros; the caller's */
void fork_sketch_restrict(const struct sketch_part *p, uint32_t kept, const uint8_t *at,
			  uint32_t count, int16_t *out);

#endif
