/* Passes: the numeric interface of the engine, for measuring and proving: sequences of tokens and
 * forward passes over them, what a pass had to read and do, and what this machine can do at most.
 * Answers are made through engine.h. */
#ifndef ENGINE_PASS_H
#define ENGINE_PASS_H

#include "engine/engine.h"

/* One timeline: tokens and their cache. Not for several threads at once. Where a model turns texts
 * longer than some length otherwise (config.rope_far), tokens_max says which this is: what a
 * session makes is that of tokens_max = its tokens so far. */
struct engine_sequence;
int engine_sequence_open(struct engine_sequence **out, struct engine *m, uint32_t tokens_max,
			 struct err *e) MUST_USE;
void engine_sequence_close(struct engine_sequence *s);
uint32_t engine_sequence_length(const struct engine_sequence *s);
/* ERR_INPUT: length is more than its tokens. A model with recurrent layers knows no earlier state
 * of a sequence than none at all: length must be 0 or all its tokens, else ERR_UNSUPPORTED. */
int engine_sequence_truncate(struct engine_sequence *s, uint32_t length, struct err *e) MUST_USE;
/* For measuring: as if the sequence had been fed on to `length` tokens, each 64 of them leaving
 * in the cache what its first 64 left (recurrent layers: what all its tokens left). ERR_INPUT:
 * it has fewer than 64, or more than length; no room. */
int engine_sequence_repeat(struct engine_sequence *s, uint32_t length, struct err *e) MUST_USE;

/* An id that occurs in a prompt or an answer; in the answer `drawn` times. */
struct engine_seen {
	uint32_t id, drawn;
};

/* The draw that follows a pass (sampler.h), for a backend that makes it in the pass, so that no row
 * of logits leaves it. All borrowed. */
struct engine_draw {
	const struct engine_sampling *sampling; /* draw, penalties and finite biases */
	const uint64_t *allowed;                /* [(n + 63) / 64], one bit at least; NULL: all */
	const struct engine_seen *seen;         /* [seens], each id once */
	uint32_t seens, n, position;            /* ids are below n */
	/* Ids that end the answer, beside the sampling's stop_id: logits come with them. */
	const uint32_t *eos; /* [eos_count] */
	uint32_t eos_count;
};

/* Tokens to append to one sequence in one forward pass; the same sequence at most once a call. */
struct engine_feed {
	struct engine_sequence *sequence;
	const uint32_t *token; /* [count], borrowed */
	uint32_t count;
	/* out: [count - skip][vocab] of those behind the first `skip` when all, [1][vocab] of the
	 * last otherwise; NULL: none wanted */
	float *logits;
	bool all;
	uint32_t skip;
	uint16_t *expert; /* out, may be NULL: [moe_layers][count][experts_per_token], best first */
	/* NULL, or with logits and without all: the last token's draw. drawn: out, the id, and logits
	 * are as they were, unless it ends the answer; UINT32_MAX: nothing was drawn, and logits are
	 * there. */
	const struct engine_draw *draw;
	uint32_t *drawn;
};
/* Step several sequences together. ERR_INPUT: token id or length out of range (nothing was
 * appended); a sequence whose recurrent state is not that of its length, since a call failed
 * half way: truncate it to 0. Allocates nothing once the engine has seen a batch of this size.
 * Thread-safe: passes are serialised. */
int engine_forward(struct engine *m, const struct engine_feed *feed, size_t count,
		   struct err *e) MUST_USE;

/* What the passes since open had to read and do, counted while they ran. */
struct engine_traffic {
	uint64_t passes, rows;
	uint64_t weight_bytes; /* each matrix once a pass that uses it */
	uint64_t cache_bytes;
	uint64_t experts;    /* distinct experts of each layer and pass, summed */
	uint64_t operations; /* multiplications and additions of matrix products, ... */
	/* of these, those in f32 beside integer formats; and the ones of attention, in f32 too */
	uint64_t float_operations, attention_operations;
};
void engine_traffic(struct engine *m, struct engine_traffic *out);

/* What this machine can do at most with the engine's threads, measured now. The rate of reading all
 * packed weights, a load for each line: the median of some passes in one stream, and of as many in
 * several; the better of the two. ERR_UNSUPPORTED: weights of less than 64 MiB, which caches may
 * hold. */
int engine_peak_read(struct engine *m, double *gb_s, struct err *e) MUST_USE;
/* The multiply-adds of its kernels for its most used weight format, with registers alone; two
 * operations each. */
int engine_peak_multiply(struct engine *m, double *gop_s, struct err *e) MUST_USE;
/* The same in f32, as attention multiplies. */
int engine_peak_float(struct engine *m, double *gop_s, struct err *e) MUST_USE;

/* ---- the draw alone ---- */

/* Pure function of its arguments, without history: temperature, top_k, top_p, min_p and the draw.
 * logits [vocab]; ids >= tokens_real are never drawn. scratch holds vocab entries of 8 bytes. m:
 * whose kernels are used, NULL for the plain ones; the draw is the same. */
uint32_t engine_sample(const struct engine *m, const float *logits, uint32_t vocab,
		       uint32_t tokens_real, const struct engine_sampling *s, uint32_t position,
		       void *scratch);

#endif
