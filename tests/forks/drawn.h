/* Models that are drawn, and their sketches: without files, for tests of the statistics. A model is
 * its blocks' vectors as floats, which a test changes as it likes before it makes the sketch. */
#ifndef TESTS_FORKS_DRAWN_H
#define TESTS_FORKS_DRAWN_H

#include "forks/sketch.h"

enum drawn_law {
	DRAWN_NORMAL,
	DRAWN_UNIFORM,
	DRAWN_TRAINED, /* heavy tails, dimensions of unequal size, a direction that units share */
	DRAWN_LAWS
};

struct drawn_shape {
	enum fork_kind kind;
	uint32_t layers, each; /* each: experts or heads of a layer; 0 is 1 */
	uint32_t units, hidden, parts;
	uint32_t tokens; /* 0: no embeddings, no token view */
	enum drawn_law law;
};

struct drawn_block {
	enum fork_kind kind;
	uint32_t layer, index, units, hidden, parts;
	float *v[ROLE_PARTS]; /* [units][hidden] */
};

struct drawn {
	struct drawn_block *block; /* by layer, kind, index */
	size_t blocks;
	uint32_t hidden, tokens;
	float *embedding; /* [tokens][hidden] */
};

/* Splitmix64 and what follows from it; the same for the same seed. */
uint64_t drawn_word(uint64_t *state);
double drawn_uniform(uint64_t *state); /* (0, 1) */
double drawn_normal(uint64_t *state);
uint32_t drawn_below(uint64_t *state, uint32_t n);

struct drawn *drawn_new(const struct drawn_shape *shape, uint64_t seed);
struct drawn *drawn_copy(const struct drawn *d);
void drawn_free(struct drawn *d);
/* More blocks of another shape in the same model; shape->hidden is the model's. */
void drawn_add(struct drawn *d, const struct drawn_shape *shape, uint64_t seed);
/* v += share * rms(v) * noise, in every block. */
void drawn_noise(struct drawn *d, double share, uint64_t seed);
/* Another order of every block's units. */
void drawn_shuffle(struct drawn *d, uint64_t seed);
/* The residual stream and the embeddings rotated: every vector. */
void drawn_rotate(struct drawn *d, uint64_t seed);
/* Other numbers of units: cut at the end, or zero units appended. */
void drawn_resize(struct drawn_block *b, uint32_t units);
/* Vectors that are drawn anew, by the law. */
void drawn_redraw(struct drawn_block *b, enum drawn_law law, uint64_t seed);

struct fork_sketch *drawn_sketch(const struct drawn *d);
void drawn_sketch_free(struct fork_sketch *s);

#endif
