/* The draw of a token on a device, as docs/formats.md, section 9, and engine/sample.c have it. */
#ifndef KERNELS_OPERATION_DRAW_H
#define KERNELS_OPERATION_DRAW_H

#include "kernels/operation_batch.h"

/* An id that occurred, in the answer `drawn` times. */
struct device_seen {
	uint32_t id, drawn;
};

struct device_bias {
	uint32_t id;
	float bias; /* finite: what is out is not in `allowed` */
};

/* Parameters of one draw. Ranges as engine_sampling's; repetition 0 or 1: none. */
struct device_draw {
	float temperature, top_p, min_p, repetition, presence, frequency;
	uint32_t top_k, position, choice;
	uint64_t seed;
	const uint64_t *allowed; /* [ceil(vocab / 64)], at least one bit; NULL: all */
	const struct device_bias *bias;
	const struct device_seen *seen; /* each id once */
	uint32_t biases, seens;
};

/* id[i] of row i of logits [wanted][stride]: bit for bit the CPU's for equal logits. A draw whose
 * logit is not finite gives UINT32_MAX. Ids are below vocab, what lies behind it is padding. */
struct draw_ids_args {
	const struct device_batch *batch;
	const float *logits;
	const struct device_draw *draw; /* [wanted] */
	float *weight;                  /* [wanted][vocab], for work */
	uint32_t *id;                   /* [wanted] */
	size_t stride;                  /* floats */
	uint32_t vocab, wanted_most;
};

#endif
