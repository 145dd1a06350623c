/* Engine: from a checkpoint folder to tokens. Reads only through a struct source. Batch-invariant:
 * logits of a row do not depend on its neighbours, on chunking or on threads. */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/source.h"
#include "grammar/grammar.h"
#include "model/packing.h"
#include "reply/reply.h"
#include "tokenizer/tokenizer.h"

#include <stdbool.h>
#include <stdint.h>
struct engine;
enum engine_cache { ENGINE_CACHE_F32, ENGINE_CACHE_BF16, ENGINE_CACHE_INT8 };
enum engine_device { ENGINE_CPU, ENGINE_CUDA, ENGINE_CUDA_ELSE_CPU, ENGINE_AUTO };

struct engine_options {
	unsigned threads; /* 0: one for each core */
	struct engine *with; /* its threads are taken instead, in turn; it is closed later; or NULL */
	unsigned memory_share; /* the default cache is of a so-manieth part of what is free; 0: 1 */
	const char *kernels; /* NULL: HALLMARK_KERNELS, else the best this machine has: "avx2" */
	bool fast; /* numerics: a fast twin of the kernels where there is one; bits of its own */
	enum model_packing weights;
	enum engine_cache cache;
	enum engine_device device; /* AUTO: a GPU if there is one that can be used */
	uint64_t cache_bytes;   /* of all sequences, their states too; 0: a share of what is free */
	uint64_t memory_max;    /* refuse to load beyond it; 0: what the system says is available */
	uint32_t batch_max, gpu; /* sessions stepped together, 0: 64; which GPU, from 0 */
	struct source *adapter; /* LoRA, merged at load; borrowed while opening; NULL: none */
	bool no_prefix_cache, quiet; /* quiet: no progress bar */
	struct clock clock;          /* for deadlines; zero: the system's */
};

struct engine_facts {
	const char *model_type;
	uint32_t vocab, tokens_real, layers, hidden, context_max; /* real: of the tokenizer */
	uint32_t eos[8], eos_count, bos;                          /* bos UINT32_MAX: none */
	const char *weights, *cache; /* most matrices' storage as packed: "q8"; "f32", "int8" */
	const char *device, *device_name, *kernel_set; /* "cuda", its own or "", "cuda-sm90" */
	const char *numerics, *regime; /* "canonical" or "fast"; the class of its bits, "cpu/1" */
	/* of the files' bytes; template: of its text; choice: model_formats_choice */
	struct digest config, tokenizer, chat_template, choice;
	const char *notes; /* what a person should know of the files: lines, or "" */
	const struct model_generation *generation; /* sampling defaults; of the engine */
	uint64_t weight_bytes, token_bytes_max; /* packed; of the longest token, 0: no tokenizer */
	uint32_t moe_layers, experts, experts_per_token;
	unsigned threads;
};
/* Load config, weights, tokenizer and template from the source, closed by the caller afterwards.
 * Without a tokenizer text functions answer ERR_UNSUPPORTED. Refusals name file, key or tensor and
 * value; before a weight is read ERR_NOMEM, and ERR_UNAVAILABLE: no GPU, or one too small. */
int engine_open(struct engine **out, struct source *src, const struct engine_options *o,
		struct err *e) MUST_USE;
/* What engine_open would refuse of the files, of an adapter by itself too; no weight is read. */
int engine_check(struct source *src, struct err *e) MUST_USE;
/* A published shape ("deepseek-v2-lite", "olmoe"; with "-fp8" in FP8 blocks where weights stay as
 * stored) with random weights made straight in packed form; layers 0: all. No tokenizer. */
int engine_open_synthetic(struct engine **out, const char *shape, uint32_t layers, uint64_t seed,
			  const struct engine_options *o, struct err *e) MUST_USE;
void engine_close(struct engine *m);
/* Kernel set and regime that an engine opened with these options has. */
struct engine_means { char set[32], regime[48]; };
int engine_means(const struct engine_options *o, struct engine_means *out, struct err *e) MUST_USE;
const struct engine_facts *engine_info(const struct engine *m);

/* ---- text ---- */

/* Encode, appended. special: added tokens in the text are recognised (template text); else they are
 * ordinary text. post: run the post-processor. */
int engine_encode(const struct engine *m, const char *text, size_t len, bool special, bool post,
		  struct token_ids *out, struct err *e) MUST_USE;
/* Decode, appended; incomplete UTF-8 is kept as it is. skip_special drops special tokens. */
int engine_decode(const struct engine *m, const uint32_t *id, size_t count, bool skip_special,
		  struct buf *out, struct err *e) MUST_USE;

/* Render messages (and tools, may be NULL) with the model's template, then encode with origin
 * marking: text from messages can never become a special token. kwargs: more variables of the
 * template, data too; or NULL. text and ids may be NULL. */
struct engine_chat {
	const json_t *messages, *tools, *kwargs;
	bool generation_prompt;
	int64_t now_us;    /* for strftime_now */
	size_t *generated; /* out, or NULL: where in the text the prompt for the answer begins */
};
int engine_chat_encode(const struct engine *m, const struct engine_chat *c, struct buf *text,
		       struct token_ids *ids, struct err *e) MUST_USE;

/* How the model's replies are written, and the ids of their calls, as its template has them. */
struct reply_family engine_reply_family(const struct engine *m);
/* reply_frame_grammar with the markers that are control tokens of this model. */
int engine_frame_grammar(const struct engine *m, struct reply_frame f, struct buf *out,
			 struct err *e) MUST_USE;

/* ---- constraints ---- */

struct engine_constraint; /* compiled; immutable but for its masks; sessions share it */
/* ERR_INPUT with place and reason; ERR_UNSUPPORTED names the keyword or construct. */
int engine_constraint_open(struct engine_constraint **out, const struct engine *m,
			   const struct grammar_text *t, struct err *e) MUST_USE;
void engine_constraint_close(struct engine_constraint *c);                 /* NULL is fine */
struct digest engine_constraint_digest(const struct engine_constraint *c); /* of all of t */
const json_t *engine_constraint_unused(const struct engine_constraint *c); /* NULL: nothing */

/* ---- sampling ---- */

struct engine_bias {
	uint32_t id;
	float bias; /* added to the logit; -INFINITY bans the token */
};

#define ENGINE_TOP_LOGPROBS 20

/* Zeroed is a valid greedy sampling but for tokens_max and the neutral values named. Order:
 * docs/formats.md. Draw: Philox4x32-10 keyed by seed, counter (position, choice). All pointers are
 * borrowed for the session's life. */
struct engine_sampling {
	float temperature;  /* 0: argmax, lowest id wins */
	float top_p, min_p; /* 0 or 1, and 0: off */
	uint32_t top_k;     /* 0: off */
	float repetition; /* divides logits > 0, multiplies < 0, of ids seen, prompt too; 0, 1: off */
	float presence, frequency; /* subtracted once, and for each time, an id was drawn; 0: off */
	const struct engine_bias *bias;
	uint64_t seed;
	uint32_t choice;
	uint32_t tokens_max, tokens_min; /* eos and stops count from tokens_min on */
	const char *const *stop;         /* [stop_count] strings */
	const uint32_t *stop_id;         /* [stop_ids] tokens that end as an eos does */
	const char *const *ban;          /* [ban_count] byte strings that no tokenisation spells */
	size_t bias_count, stop_count, stop_ids, ban_count;
	bool ignore_eos;       /* not the stops */
	bool markers;          /* keep special tokens in the text (reply_syntax_markers) */
	bool logprobs;         /* keep log-probabilities of the drawn tokens */
	uint32_t top_logprobs; /* and of the best ones, <= ENGINE_TOP_LOGPROBS */
	struct engine_constraint *constraint; /* NULL: none */
};

/* STOP: by itself, or its constraint was complete; STRING: where a stop string began. */
enum engine_finish { ENGINE_GOING, ENGINE_STOP, ENGINE_STRING, ENGINE_LENGTH };

/* Log-softmax of the raw logits of real ids, before masks and penalties. */
struct engine_logprob {
	uint32_t id;
	float logprob;
	uint32_t top_count, top_id[ENGINE_TOP_LOGPROBS]; /* best first, ties to the lower id */
	float top[ENGINE_TOP_LOGPROBS];
};

/* ---- answers ---- */

struct engine_request {
	const uint32_t *prompt; /* [count], copied */
	size_t count;
	struct engine_sampling sampling;
	const char *client;   /* what it may have is shared out by client; NULL: "" */
	const char *group;    /* whose kept prefixes it goes on from, and adds to; NULL: client's */
	int64_t deadline_us;  /* steady clock; ERR_UNAVAILABLE once passed; 0: none */
	uint32_t speculation; /* tokens drafted by n-gram lookup at most; 0: off */
	bool answer_unshared; /* the prefix cache gets the prompt alone: guesses find nothing */
};

/* One answer being made. All sessions of an engine are stepped together, a few tokens ahead of
 * their readers. Tokens and logits do not depend on the other sessions, on when anything is read,
 * on caching, preemption or speculation. One thread at a time. */
struct engine_session;
/* ERR_INPUT: empty or too long a prompt, a parameter out of range; ERR_UNAVAILABLE: queue full. */
int engine_session_open(struct engine_session **out, struct engine *m,
			const struct engine_request *q, struct err *e) MUST_USE;
/* Next piece of text: whole UTF-8 sequences, stop strings held back and never emitted. *text is
 * borrowed until the next call and may be empty. Returns an enum engine_finish: ENGINE_GOING, or
 * how it ended (the last text comes with it). */
int engine_session_next(struct engine_session *s, const char **text, size_t *len,
			struct err *e) MUST_USE;
/* Ids whose text was taken so far, an eos too; and, where asked for, their log-probabilities. */
const uint32_t *engine_session_ids(const struct engine_session *s, size_t *count);
const struct engine_logprob *engine_session_logprobs(const struct engine_session *s);
const float *engine_session_logits(const struct engine_session *s); /* raw; NULL: not kept */
const char *engine_session_stop(const struct engine_session *s);    /* that ended it; NULL: none */
uint32_t engine_session_cached(const struct engine_session *s);   /* of the prompt: not computed */
int64_t engine_session_queued_us(const struct engine_session *s); /* before it began; 0: it waits */
void engine_session_close(struct engine_session *s);              /* NULL is fine; cancels */
/* The reader is gone: a waiting call of engine_session_next, or the next one, fails with
 * ERR_UNAVAILABLE. The only function that another thread may call, until close. NULL is fine. */
void engine_session_cancel(struct engine_session *s);

struct engine_load {                            /* how busy it is */
	uint32_t running, waiting;              /* sessions in the batch; queued */
	uint64_t cache_pages, cache_pages_used; /* of all sequences and of the prefix cache */
	/* slots of recurrent state: bytes of one, all, those of sequences, of the prefix cache */
	uint64_t state_bytes, states, states_held, snapshots;
	uint64_t preempted, prefix_hits, drafted, accepted; /* since open; tokens, but preempted */
	bool lost; /* the device failed: nothing is computed any more */
};
void engine_load(struct engine *m, struct engine_load *out);
bool engine_has_others(struct engine *m, const char *client); /* sessions of others are open */

#endif
