/* A second backend, to prove the seam by: rows one by one, weights as plain f32 [outputs][inputs],
 * sums in double, a cache of its own layout, latent attention in its unabsorbed form. It shares
 * with the CPU's only the config, the plan of weights, the rotary table and the choice of experts.
 * For small models: it is as slow as it is short. */
#ifndef TESTS_ENGINE_PLAIN_BACKEND_H
#define TESTS_ENGINE_PLAIN_BACKEND_H

#include "engine/backend.h"
#include "model/rope.h"

#include <pthread.h>

#define PLAIN_ROWS 7 /* of a pass: few and odd, so that feeds take several */

/* A network's three matrices and their biases, from SLOT_GATE on. */
#define PLAIN_FFN (SLOT_DOWN_BIAS - SLOT_GATE + 1)

struct plain_layer {
	float *slot[MODEL_SLOTS]; /* as the slots are named; NULL where there is none */
	float *(*expert)[PLAIN_FFN]; /* [experts] */
};

struct plain {
	struct backend backend; /* first */
	struct model_config config;
	struct plain_layer *layer; /* [layers + 1]; the last has what is in no layer */
	const struct model_plan *plan; /* while loading */
	float **scale;                 /* [items], while loading: FP8's and MXFP4's */
	size_t items;
	struct rope_table rope[MODEL_ROPES];
	pthread_mutex_t lock; /* of pages and states */
	float **page;         /* [pages] of [layers][KERNEL_PAGE][width] */
	uint64_t pages;
	double **state; /* [states]: plain_delta.c */
	uint64_t states;
	uint32_t width; /* of a cache row, floats: the widest layer's */
	struct engine_traffic traffic;
};

/* A backend_opener. The order's kernels name the set and do nothing else. */
int plain_open(struct backend **out, const struct backend_order *o, struct err *e) MUST_USE;

/* plain_forward.c */
int plain_forward(struct backend *b, const struct pass *p, struct err *e) MUST_USE;
/* The cache row of a position in a layer. */
float *plain_cache_row(struct plain *m, uint32_t page, uint32_t layer, uint32_t position);

/* plain_delta.c: normed -> out [hidden] of a layer of the gated delta rule; before and after a row, what
 * becomes of its sequence's state. */
void plain_delta(struct plain *m, const struct pass *p, uint32_t row, uint32_t layer, const double *normed,
                 double *out);
void plain_state_begin(struct plain *m, const struct pass *p, uint32_t row);
void plain_state_end(struct plain *m, const struct pass *p, uint32_t row);
uint64_t plain_state_bytes(const struct model_config *c); /* 0: no layer has any */
int plain_states(struct backend *b, uint64_t count, struct err *e) MUST_USE;
void plain_state_copy(struct backend *b, uint32_t from, uint32_t to);

#endif
