/* Small models in memory: tensors, a safetensors file made of them, a source that serves it. */
#ifndef TESTS_FORKS_TOY_H
#define TESTS_FORKS_TOY_H

#include "forks/forks.h"

#define TOY_TENSORS 700

struct toy_tensor {
	char name[100];
	uint64_t rows, columns; /* columns 0: a vector */
	float *v;
};

struct toy {
	struct source source; /* first: the ops cast back */
	struct toy_tensor tensor[TOY_TENSORS];
	size_t count;
	bool bf16; /* store so, by truncation */
	struct buf file;
	struct fork_model model;
};

/* Normal random numbers, the same for the same seed. */
double toy_normal(uint64_t *state);

/* Weights of layers x experts MLPs [units][hidden] (experts 0: one dense MLP a layer), norms of
 * about 1, an embedding. */
struct toy *toy_new(uint64_t seed, uint32_t layers, uint32_t experts, uint32_t hidden,
		    uint32_t units);
struct toy *toy_copy(const struct toy *t);
struct toy_tensor *toy_find(struct toy *t, const char *name);
void toy_add(struct toy *t, const char *name, uint64_t rows, uint64_t columns);
/* v += share * rms(v) * noise, in every tensor. */
void toy_noise(struct toy *t, double share, uint64_t seed);
/* Reverse the order of hidden units of every block: the same function. */
void toy_reverse_units(struct toy *t);
/* Norms to 1, then the residual stream rotated so that every vector becomes orthogonal to itself:
 * the same function in another basis, as rotation-based quantisers make it. */
void toy_turn(struct toy *t, uint64_t seed);
void toy_plain_norms(struct toy *t);
/* Serialise and open; t->model is then good for the statistics. */
void toy_open(struct toy *t);
void toy_free(struct toy *t);

#endif
