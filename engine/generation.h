/* Part of engine.h: sampling, constraints, and answers being made. */
#ifndef ENGINE_GENERATION_H
#define ENGINE_GENERATION_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct engine;

/* ---- constraints ---- */

/* What an answer must match, whole. JSON_OBJECT: any object (text is not read). SCHEMA: JSON Schema
 * 2020-12, the subset of docs/formats.md; others are refused by keyword. REGEX: anchored at both
 * ends. CHOICE: a JSON list of strings. GRAMMAR: GBNF-like, start symbol `root`. CALL_GRAMMAR: the
 * same, and it may name control tokens, as @"text": never for what a client wrote. */
enum engine_constraint_kind { /* clang-format off */
	ENGINE_JSON_OBJECT, ENGINE_SCHEMA, ENGINE_REGEX, ENGINE_CHOICE,
	ENGINE_GRAMMAR, ENGINE_CALL_GRAMMAR /* clang-format on */
};

/* Compiled; immutable but for its cache of masks, shared by sessions of the engine. */
struct engine_constraint;
/* ERR_INPUT with place and reason; ERR_UNSUPPORTED names the keyword or construct. */
int engine_constraint_open(struct engine_constraint **out, const struct engine *m,
			   enum engine_constraint_kind kind, const char *text, size_t len,
			   struct err *e) MUST_USE;
void engine_constraint_close(struct engine_constraint *c); /* NULL is fine */
/* Of kind and text. */
struct digest engine_constraint_digest(const struct engine_constraint *c);
/* Whether text (a whole answer, or the beginning of one) is accepted: the byte automaton alone. */
bool engine_constraint_accepts(const struct engine_constraint *c, const char *text, size_t len,
			       bool whole);

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
	float repetition;   /* divides positive and multiplies negative logits of ids seen (prompt
			       included); 0 or 1: off */
	float presence, frequency; /* subtracted once, and for each time, an id was drawn; 0: off */
	const struct engine_bias *bias;
	size_t bias_count;
	uint64_t seed;
	uint32_t choice;
	uint32_t tokens_max, tokens_min; /* eos and stop strings count from tokens_min on */
	const char *const *stop;         /* [stop_count] strings */
	size_t stop_count;
	const char *const *ban; /* [ban_count] byte strings that the answer never holds, in any
				   tokenisation */
	size_t ban_count;
	bool ignore_eos;
	bool markers;          /* keep special tokens in the text (engine_syntax_markers) */
	bool logprobs;         /* keep log-probabilities of the drawn tokens */
	uint32_t top_logprobs; /* and of the best ones, <= ENGINE_TOP_LOGPROBS */
	struct engine_constraint *constraint; /* NULL: none */
};

enum engine_finish { ENGINE_GOING, ENGINE_STOP, ENGINE_LENGTH };

/* Pure function of its arguments, without history: temperature, top_k, top_p, min_p and the draw.
 * logits [vocab]; ids >= tokens_real are never drawn. scratch holds vocab entries of 8 bytes. m:
 * whose kernels are used, NULL for the plain ones; the draw is the same. */
uint32_t engine_sample(const struct engine *m, const float *logits, uint32_t vocab,
		       uint32_t tokens_real, const struct engine_sampling *s, uint32_t position,
		       void *scratch);

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
	const char *client;   /* fair share and cache sharing are by client; NULL: "" */
	int64_t deadline_us;  /* monotonic clock; ERR_UNAVAILABLE once passed; 0: none */
	uint32_t speculation; /* tokens drafted by n-gram lookup at most; 0: off */
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
/* Ids whose text was taken so far, the eos included when drawn. Borrowed. */
const uint32_t *engine_session_ids(const struct engine_session *s, size_t *count);
/* The log-probabilities of those ids, [count of engine_session_ids]; NULL unless asked for. */
const struct engine_logprob *engine_session_logprobs(const struct engine_session *s);
/* [vocab], raw, those of the last of these ids. */
const float *engine_session_logits(const struct engine_session *s);
/* Tokens of the prompt that came from the prefix cache. */
uint32_t engine_session_cached(const struct engine_session *s);
void engine_session_close(struct engine_session *s); /* NULL is fine; cancels */
/* Nobody reads any more: a call of engine_session_next that waits, or the next one, fails with
 * ERR_UNAVAILABLE. The one function for another thread, until close. NULL is fine. */
void engine_session_cancel(struct engine_session *s);

/* How busy the engine is. */
struct engine_load {
	uint32_t running, waiting;             /* sessions in the batch; queued */
	uint64_t cache_pages, cache_pages_used; /* of all sequences and of the prefix cache */
	uint64_t preempted, prefix_hits, drafted, accepted; /* since open; tokens, but preempted */
};
void engine_load(struct engine *m, struct engine_load *out);

#endif
