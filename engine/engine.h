/* Engine: from a checkpoint folder to tokens. Reads only through a struct source, computes only
 * through the table of kernels/. Batch-invariant: logits of a row do not depend on its neighbours,
 * on chunking or on threads. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/source.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- tensor directory (safetensors) ---- */

enum engine_dtype { /* clang-format off */
	ENGINE_BOOL, ENGINE_U8, ENGINE_I8, ENGINE_U16, ENGINE_I16, ENGINE_U32, ENGINE_I32, ENGINE_U64,
	ENGINE_I64, ENGINE_F16, ENGINE_BF16, ENGINE_F32, ENGINE_F64, ENGINE_F8_E4M3, ENGINE_F8_E5M2,
	ENGINE_F8_E8M0, ENGINE_F4 /* clang-format on */
};

/* One tensor. begin is absolute in the file. Strings belong to the directory. */
struct engine_tensor {
	const char *name, *file;
	enum engine_dtype dtype;
	int rank;
	uint64_t shape[8];
	uint64_t begin, bytes;
};

struct engine_tensors;

/* model.safetensors, or the shards of model.safetensors.index.json. Strict: no hole, no overlap.
 * The source is borrowed. */
int engine_tensors_open(struct engine_tensors **out, struct source *src, struct err *e) MUST_USE;
/* The header of one file in memory (length prefix included): for fuzzing and for headers from
 * elsewhere. file_bytes is the size of the whole file. */
int engine_tensors_parse(struct engine_tensors **out, const char *file, const void *head,
			 size_t len, uint64_t file_bytes, struct err *e) MUST_USE;
void engine_tensors_close(struct engine_tensors *t);
size_t engine_tensors_count(const struct engine_tensors *t);
/* sorted by name */
const struct engine_tensor *engine_tensors_at(const struct engine_tensors *t, size_t i);
/* or NULL */
const struct engine_tensor *engine_tensors_find(const struct engine_tensors *t, const char *name);
const char *engine_dtype_name(enum engine_dtype d); /* as in the file: "BF16" */
/* Values of rows [row, row+rows) of a tensor of rank 1 or 2 (rank 1: columns) as f32 into out,
 * [rows][columns]; FP8 blocks are multiplied with their NAME_scale_inv. ERR_UNSUPPORTED for
 * integer types; ERR_INPUT for non-finite values. */
int engine_tensors_read(struct engine_tensors *t, const struct engine_tensor *w, uint64_t row,
			uint64_t rows, float *out, struct err *e) MUST_USE;

/* ---- model ---- */

struct engine;

struct engine_options {
	unsigned threads; /* 0: one for each core */
	/* NULL: HALLMARK_KERNELS, else the best this machine has; "plain", "avx2", "avx512" */
	const char *kernels;
	bool quiet; /* no progress bar */
};

struct engine_facts {
	const char *model_type;
	/* tokens_real: ids that the tokenizer knows */
	uint32_t vocab, tokens_real, layers, hidden, context_max;
	uint32_t eos[8], eos_count, bos; /* bos UINT32_MAX: none */
	const char *weights;    /* "bf16", "f32", "fp8": storage of the matrices as packed */
	const char *kernel_set; /* "plain", "avx2", "avx512" */
	struct digest config, tokenizer,
		chat_template; /* of the files' bytes; template: of its text */
	uint64_t weight_bytes; /* packed */
	uint32_t moe_layers, experts, experts_per_token;
};

/* Load config, weights, tokenizer and template from the source (closed by the caller after this
 * returns). A folder without tokenizer loads; text functions then answer ERR_UNSUPPORTED. Refusals
 * name file, key or tensor and value. */
int engine_open(struct engine **out, struct source *src, const struct engine_options *o,
		struct err *e) MUST_USE;
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

/* ---- text ---- */

/* Encode. special: added tokens in the text are recognised (template text); else they are ordinary
 * text. bos: run the post-processor. */
/* zero-initialise, free with engine_ids_free */
struct engine_ids {
	uint32_t *id;
	size_t count, room;
};
int engine_encode(const struct engine *m, const char *text, size_t len, bool special, bool post,
		  struct engine_ids *out, struct err *e) MUST_USE;
void engine_ids_free(struct engine_ids *ids);
/* Decode, appended; incomplete UTF-8 is kept as it is. skip_special drops special tokens. */
int engine_decode(const struct engine *m, const uint32_t *id, size_t count, bool skip_special,
		  struct buf *out, struct err *e) MUST_USE;

/* Render messages (and tools, may be NULL) with the model's template, then encode with origin
 * marking: text from messages can never become a special token. kwargs: allow-listed scalars or
 * NULL. text and ids may be NULL. */
struct engine_chat {
	const json_t *messages, *tools, *kwargs;
	bool generation_prompt;
	int64_t now_us; /* for strftime_now */
};
int engine_chat_encode(const struct engine *m, const struct engine_chat *c, struct buf *text,
		       struct engine_ids *ids, struct err *e) MUST_USE;

/* Stand-alone pieces, for selftest and fuzzing: a tokenizer from its file, a template from its
 * text. */
struct engine_tokenizer;
int engine_tokenizer_open(struct engine_tokenizer **out, const void *json, size_t len,
			  struct err *e) MUST_USE;
void engine_tokenizer_close(struct engine_tokenizer *t);
int engine_tokenizer_encode(const struct engine_tokenizer *t, const char *text, size_t len,
			    bool special, bool post, struct engine_ids *out,
			    struct err *e) MUST_USE;
int engine_tokenizer_decode(const struct engine_tokenizer *t, const uint32_t *id, size_t count,
			    bool skip_special, struct buf *out, struct err *e) MUST_USE;
/* vars: top-level variables, an object. origin: out, one byte for each output byte, 1 data, 0
 * template; may be NULL. A raise_exception is ERR_INPUT with its message. */
int engine_template_render(const char *text, size_t len, const json_t *vars, int64_t now_us,
			   struct buf *out, struct buf *origin, struct err *e) MUST_USE;

/* ---- generation ---- */

/* Order: docs/formats.md. Draw: Philox4x32-10 keyed by seed, counter (position, choice). */
struct engine_sampling {
	float temperature;  /* 0: argmax, lowest id wins */
	float top_p, min_p; /* 1 and 0: off */
	uint32_t top_k;     /* 0: off */
	uint64_t seed;
	uint32_t choice;
	uint32_t tokens_max;
	const char *const *stop; /* [stop_count] stop strings, borrowed for the session's life */
	size_t stop_count;
	bool ignore_eos;
};

enum engine_finish { ENGINE_GOING, ENGINE_STOP, ENGINE_LENGTH };

/* Pure function of its arguments: the id drawn at this position. logits [vocab]; ids >=
 * tokens_real are never drawn. scratch holds vocab entries of 8 bytes. */
uint32_t engine_sample(const float *logits, uint32_t vocab, uint32_t tokens_real,
		       const struct engine_sampling *s, uint32_t position, void *scratch);

/* One answer being made. Sessions of one engine that wait in engine_session_next at the same time
 * are stepped together. */
struct engine_session;
int engine_session_open(struct engine_session **out, struct engine *m, const uint32_t *prompt,
			size_t count, const struct engine_sampling *s, struct err *e) MUST_USE;
/* Next piece of text: whole UTF-8 sequences, stop strings held back and never emitted. *text is
 * borrowed until the next call and may be empty. Returns an enum engine_finish: ENGINE_GOING, or
 * how it ended (the last text comes with it). */
int engine_session_next(struct engine_session *s, const char **text, size_t *len,
			struct err *e) MUST_USE;
/* Generated ids so far, the eos included when drawn. Borrowed. */
const uint32_t *engine_session_ids(const struct engine_session *s, size_t *count);
/* [vocab], those of the last draw */
const float *engine_session_logits(const struct engine_session *s);
void engine_session_close(struct engine_session *s);

#endif
