/* Engine: from a checkpoint folder to tokens. Reads only through a struct source, computes only
 * through the table of kernels/. Batch-invariant: logits of a row do not depend on its neighbours,
 * on chunking or on threads. The header has four parts: directory.h (tensors), this one (model and
 * numeric interface), language.h (text) and generation.h (answers). */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/source.h"

#include "engine/directory.h"
#include "engine/generation.h"
#include "engine/language.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- model ---- */

struct engine;

/* What matrices are packed to. STORED keeps the file's type. Q8 and Q4 quantise in groups of 32
 * what is wide: attention and feed-forward matrices, and the head (at least Q8). Router, norms,
 * biases, sinks, the latents' up-projections and embeddings stay as stored. */
enum engine_weights { /* clang-format off */
	ENGINE_WEIGHTS_STORED, ENGINE_WEIGHTS_BF16, ENGINE_WEIGHTS_Q8,
	ENGINE_WEIGHTS_Q4 /* clang-format on */
};
enum engine_cache { ENGINE_CACHE_F32, ENGINE_CACHE_BF16, ENGINE_CACHE_INT8 };

struct engine_options {
	unsigned threads; /* 0: one for each core */
	/* NULL: HALLMARK_KERNELS, else the best this machine has: "plain", "avx2", ... */
	const char *kernels;
	bool fast; /* numerics: a fast twin of the kernels where there is one; bits of its own */
	enum engine_weights weights;
	enum engine_cache cache;
	uint64_t cache_bytes; /* of all sequences together; 0: a share of what is free */
	uint64_t memory_max;  /* refuse to load beyond it; 0: what the system says is available */
	uint32_t batch_max;   /* sessions stepped together; 0: 64 */
	bool no_prefix_cache;
	bool quiet; /* no progress bar */
};

struct engine_facts {
	const char *model_type;
	/* tokens_real: ids that the tokenizer knows */
	uint32_t vocab, tokens_real, layers, hidden, context_max;
	uint32_t eos[8], eos_count, bos; /* bos UINT32_MAX: none */
	const char *weights;    /* widest-used storage of the matrices as packed: "bf16", "q8" */
	const char *cache;      /* "f32", "bf16", "int8" */
	const char *kernel_set; /* "plain", "avx2", ... */
	const char *numerics;   /* "canonical" or "fast" */
	/* of the files' bytes; template: of its text; choice: of what every tensor class was packed
	 * to, the cache's type, the kernel set and the numerics, as docs/formats.md says */
	struct digest config, tokenizer, chat_template, choice;
	uint64_t weight_bytes; /* packed */
	uint32_t moe_layers, experts, experts_per_token;
	unsigned threads;
};

/* Load config, weights, tokenizer and template from the source (closed by the caller after this
 * returns). A folder without tokenizer loads; text functions then answer ERR_UNSUPPORTED. Refusals
 * name file, key or tensor and value; ERR_NOMEM before anything is read when memory will not
 * suffice. */
int engine_open(struct engine **out, struct source *src, const struct engine_options *o,
		struct err *e) MUST_USE;
/* A published shape ("deepseek-v2-lite", "qwen3-30b-a3b", "mixtral-8x7b", "olmoe", "gpt-oss-20b")
 * with random weights made straight in packed form; layers 0: all. No tokenizer. */
int engine_open_synthetic(struct engine **out, const char *shape, uint32_t layers, uint64_t seed,
			  const struct engine_options *o, struct err *e) MUST_USE;
const char *engine_shape_name(size_t i); /* the i-th, or NULL */
void engine_close(struct engine *m);
const struct engine_facts *engine_info(const struct engine *m);

/* ---- sequences: the numeric interface ---- */

/* One timeline: tokens and their cache. Not for several threads at once. */
struct engine_sequence;
int engine_sequence_open(struct engine_sequence **out, struct engine *m, uint32_t tokens_max,
			 struct err *e) MUST_USE;
void engine_sequence_close(struct engine_sequence *s);
uint32_t engine_sequence_length(const struct engine_sequence *s);
int engine_sequence_truncate(struct engine_sequence *s, uint32_t length, struct err *e) MUST_USE;

/* Tokens to append to one sequence in one forward pass; the same sequence at most once a call. */
struct engine_feed {
	struct engine_sequence *sequence;
	const uint32_t *token; /* [count], borrowed */
	uint32_t count;
	/* out: [count][vocab] when all, [1][vocab] of the last otherwise; NULL: none wanted */
	float *logits;
	bool all;
	uint16_t *expert; /* out, may be NULL: [moe_layers][count][experts_per_token], best first */
};
/* Step several sequences together. ERR_INPUT: token id or length out of range (nothing was
 * appended). Allocates nothing once the engine has seen a batch of this size. Thread-safe: passes
 * are serialised. */
int engine_forward(struct engine *m, const struct engine_feed *feed, size_t count,
		   struct err *e) MUST_USE;

/* What the passes since open had to read and do, counted while they ran. */
struct engine_traffic {
	uint64_t passes, rows;
	uint64_t weight_bytes; /* each matrix once a pass that uses it */
	uint64_t cache_bytes;
	uint64_t experts;      /* distinct experts of each layer and pass, summed */
	uint64_t operations;   /* multiplications and additions of matrix products */
};
void engine_traffic(struct engine *m, struct engine_traffic *out);

/* What this machine can do at most with the engine's threads, measured now. The rate of reading all
 * packed weights, a load for each line: the median of some passes in one stream, and of as many in
 * several; the better of the two. ERR_UNSUPPORTED: weights of less than 64 MiB, which caches may
 * hold. */
int engine_limit_read(struct engine *m, double *gb_s, struct err *e) MUST_USE;
/* The multiply-adds of its kernels for its most used weight format, with registers alone; two
 * operations each. */
int engine_limit_multiply(struct engine *m, double *gop_s, struct err *e) MUST_USE;

#endif
