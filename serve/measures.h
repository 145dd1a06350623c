/* Private to serve/: what is counted of the requests of one service. On the path of a token stands
 * one histogram; all else is counted once a request.
 *
 *   who          counts
 *   chat.c       tokens as they come, and at its end all that a request was
 *   record.c     what rules found, with the record of which it is part
 *   the engine, the log: counts of their own, asked at a scrape (measures_write.c) */
#ifndef SERVE_MEASURES_H
#define SERVE_MEASURES_H

#include "base/err.h"
#include "base/measure.h"

#include <pthread.h>

struct serve_chat;
struct serve_service;

/* Rules that are told apart: hits of more are counted as those of "other". */
#define SERVE_RULE_COUNTS 4096u

struct serve_rule_count {
	char *rule;                /* owned */
	const char *mode, *action; /* of the policy; static */
	uint64_t n;
};

/* How requests end, as their records have it. */
enum serve_outcome {
	SERVE_COMPLETED,
	SERVE_REDACTED,
	SERVE_BLOCKED,
	SERVE_LIMITED, /* "engine_limit": a filter's */
	SERVE_ABORTED,
	SERVE_FAILED, /* "error" */
	SERVE_OUTCOMES,
};

struct serve_measures {
	struct measure_gauge running; /* admitted, and not closed */
	struct measure_histogram first_token, next_token, queued, whole, prompt, output;
	struct measure_counter prompt_tokens, output_tokens, cached_tokens;
	struct measure_counter cache_hits, cache_misses; /* requests */
	struct measure_counter outcome[SERVE_OUTCOMES];
	struct measure_counter error[-ERR_NOMEM + 1]; /* by code */
	struct measure_counter interventions;         /* spans that rules found */
	pthread_mutex_t lock;                         /* of the rules', once a request */
	struct serve_rule_count *rule;                /* sorted by rule, mode, action */
	size_t rules, room;
	uint64_t other; /* hits of rules that had no place */
};

void serve_measures_init(struct serve_measures *m);
void serve_measures_free(struct serve_measures *m);

/* ---- of a chat ---- */

/* It has been admitted; a token of a choice has come; a text goes out; it failed with this code. */
void serve_measure_admitted(struct serve_chat *c);
void serve_measure_token(struct serve_chat *c, int64_t *before_us);
void serve_measure_text(struct serve_chat *c);
void serve_measure_failed(struct serve_chat *c, int code);
/* Its decision is known: what rules found. */
void serve_measure_rules(struct serve_chat *c);
/* Its record is written, or it is closed without one: all the rest, once, and what its caller wants
 * to know. */
void serve_measure_closed(struct serve_chat *c);

/* ---- of all services ---- */

/* The families of all of them together; each sample says of which model it is. */
void serve_measures_write(struct serve_service *const *service, size_t count,
			  struct measure_writer *w);
/* Those of the log, and of the disk that it lies on. */
struct flow;
void serve_measures_log(struct flow *f, struct measure_writer *w);

#endif
