/* What a comparison holds beside its summary. Private to forks/. */
#ifndef FORKS_DETAIL_H
#define FORKS_DETAIL_H

#include "forks/sketch.h"
#include "forks/stream.h"

/* The tests that state a p-value, in the order in which they are asked. */
enum fork_test {
	FORK_TEST_S1,        /* aligned trace */
	FORK_TEST_S5,        /* the same over tokens: rotations */
	FORK_TEST_S2,        /* Mantel */
	FORK_TEST_MAP,       /* S1 over a map of layers and experts */
	FORK_TEST_MAP_TOKEN, /* S5 over one */
	FORK_TEST_S3,        /* match agreement: permutations */
	FORK_TEST_S3_TOKEN,  /* the same over tokens: both at once */
	FORK_TESTS
};
const char *fork_test_name(enum fork_test t); /* "s1", "s5", "s2", "map", "map_token", ... */

struct fork_test_result {
	bool run, tested; /* tested: it states a p */
	double log_p;     /* natural logarithms; 0 where it states none */
	double log_fisher, log_smallest, stouffer;
	double effect;
	uint64_t judged, skipped, draws;
	const char *reason; /* why it was not run or states no p; or NULL */
};

/* One pair of blocks of a test. */
struct fork_block {
	enum fork_test test;
	const char *name_a, *name_b;
	enum fork_kind kind;
	uint32_t layer, index; /* of b; index: expert or key-value head */
	double log_p, z, effect;
	uint64_t draws;
	bool judged;
	const char *skipped; /* why it was: static text, or NULL */
};

enum fork_change { FORK_SAME, FORK_CHANGED, FORK_ADDED, FORK_REMOVED, FORK_RESHAPED };
const char *fork_change_name(enum fork_change c); /* "same", ... */

/* A tensor of both models, or of one of them. */
struct fork_tensor {
	const char *name;  /* in a; of FORK_ADDED in b */
	const char *other; /* in b where it is called otherwise there; else NULL */
	enum fork_change change;
	enum fork_component component;
	uint64_t values, bytes; /* bytes as stored in b; of FORK_REMOVED in a */
	uint64_t not_finite;    /* values, of both models together */
	bool constant, floats, matrix;
	bool compared;              /* its values were read and compared, not only their hashes */
	double relative_l2, cosine; /* compared and changed; else NaN */
	enum fork_rounding rounding;
	uint32_t rank; /* of the difference, where that is low; else 0 */
	double zeros;  /* share of values that became zero */
};

/* Tensors that are the same in both models, of one component; constant ones do not count. */
struct fork_shared {
	uint64_t count, bytes, values;
	double share; /* of the component's values in b */
};

/* A component beside the body: its blocks compared on their own. */
struct fork_beside {
	uint64_t blocks;
	double log_p, effect;
	bool tested;
};

struct fork_detail {
	double alpha;
	uint64_t seed;
	bool all_rungs;
	bool in_place;                    /* no tensor of either is left over or lies elsewhere */
	bool same_all;                    /* and all have the same values */
	uint64_t values[FORK_COMPONENTS]; /* of b */
	struct fork_test_result test[FORK_TESTS];
	enum fork_test best; /* that gave the smallest p */
	struct fork_block *block;
	size_t blocks;
	struct fork_tensor *tensor; /* by name; then those of b alone */
	size_t tensors;
	struct fork_shared shared[FORK_COMPONENTS];
	struct fork_beside beside[FORK_COMPONENTS];
	int32_t *layer; /* [layers of b] the layer of a that each answers; NULL: by place */
	uint32_t layers;
	bool realigned; /* the distance is over a map or over tokens, not as the tensors lie */
	uint64_t moved, mapped; /* blocks that answer one of another place; all pairs of the map */
	bool s4_run;
	double s4_effect, s4_unrelated, s4_high;
	uint32_t s4_layers;
	struct fork_calibration *calibration; /* [calibrations] those of a, then of b */
	size_t calibrations, calibrations_a;
	struct fork_stream stream; /* looked at where something was found */
	const char *notes_a, *notes_b;
	struct arena arena; /* of all lists and names */
};

/* p of the whole ladder as far as it was climbed: natural logarithm. */
double fork_ladder_log_p(const struct fork_detail *d);

/* Draw the verdict from what the tests and the list of tensors say now. */
void fork_verdict_draw(struct fork_comparison *c);

#endif
