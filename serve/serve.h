/* Serve: a model being served, and one request's way: inbound scan, engine, streaming scan, record.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "api/api.h"

#include <stdbool.h>
#include <stdint.h>

struct aside_job;
struct flow;
struct serve_host; /* all that one server serves: serve/host.h */

/* A verified model, a policy profile and the log, ready to answer; used by many threads. */
struct serve_service;

/* How the engine computes; NULL and 0 are the defaults. A name that is none: ERR_USAGE. */
struct serve_compute {
	unsigned threads;
	const char *device;   /* "cpu", "cuda", "cuda:N", these with ",cpu" behind, "auto" */
	const char *weights;  /* "stored", "bf16", "q8", "q4" */
	const char *cache;    /* "f32", "bf16", "int8" */
	const char *numerics; /* "canonical", "fast" */
	uint64_t cache_bytes; /* of all conversations together; 0: a share of what is free */
	uint64_t memory_max;  /* refuse to load beyond it; 0: what is available */
	uint32_t speculation; /* tokens drafted at most; changes no bit */
};

struct engine_options;
/* A word that is none: ERR_USAGE with those that are. quiet is the caller's to set. */
int serve_compute_read(const struct serve_compute *o, struct engine_options *out,
		       struct err *e) MUST_USE;

struct serve_options {
	const char *ref;        /* release folder or registered REF */
	const char *adapter;    /* likewise, of a LoRA adapter that is merged into it; NULL: none */
	const char *model_name; /* what clients call it */
	const char *policy; /* TOML file or compiled bundle; NULL: no rules, recorded as mode off */
	bool unsigned_ok;   /* serve a folder without a valid signature; recorded */
	const char *key;    /* trusted public key file; NULL: trust.toml and own keys */
	struct serve_compute compute;
	uint32_t context_max; /* 0: the model's */
	uint32_t timeout_s;   /* an answer that takes longer ends as ERR_UNAVAILABLE; 0: none */
	const char *sampling; /* what a request leaves out is "model"'s (NULL too), or "neutral" */
	const char *cache_share; /* who shares kept prompts: "token" (NULL too), "group", "all" */
	unsigned models;         /* that share compute's memory; 0: 1 */
	/* Its threads are taken, in turn; it is closed later. Set by serve_host_add; NULL: none */
	const struct serve_service *with;
};
/* What serve would refuse of a folder's files, whoever signed them; no weight is read. */
int serve_check(const char *dir, struct err *e) MUST_USE;
/* 0: a chat would be taken; ERR_UNAVAILABLE, and why not: the service drains, or its log takes no
 * records. Any thread. */
int serve_service_ready(struct serve_service *s, struct err *e) MUST_USE;
const char *serve_service_model(const struct serve_service *s);
/* The policy that its requests get now, by name and digest; "" where there is none. */
struct serve_policy {
	char name[128], bundle[80];
};
struct serve_policy serve_service_policy(const struct serve_service *s);
/* What a person should know of the model's files: lines that end in a newline, or "". */
const char *serve_service_notes(const struct serve_service *s);
/* Of the manifest of what is served; NULL: the model is not computed here. */
const struct digest *serve_service_root(const struct serve_service *s);
int64_t serve_service_created(const struct serve_service *s); /* seconds since 1970 */

/* ---- one request ---- */

struct serve_chat; /* one thread */

/* What a request was, without a word of its texts: once its chat is closed, also where that failed
 * to open after its admission: else zero. */
#define SERVE_FACTS_RULES 64 /* more of them are not listed */
struct serve_facts {
	char model[256], record[96], bundle[80]; /* bundle: the policy's digest; "": none */
	const char *outcome, *finish[API_CHOICES];
	unsigned choices;
	uint64_t prompt_tokens, completion_tokens, cached_tokens;
	int64_t queued_us, first_us, whole_us; /* in the queue, to the first text, in all */
	json_t *rules; /* owned: how often each rule found something; NULL: none did */
};

/* Who asks; NULL and 0 where nothing is known. */
struct serve_caller {
	const char *token;    /* the public id of its token */
	const char *handle;   /* printable; goes into the record */
	const char *subject;  /* the name of the person who asks, or NULL; goes nowhere as it is */
	const char *person;   /* or that person's handle already, which counts; or NULL */
	const char *share;    /* who has neither shares the engine's places by it: an address */
	uint32_t tokens_most; /* no more may be asked for, few places being left; 0: any number */
	/* Whether it may use a model by its name and service (NULL: it is none here), or all. */
	bool (*allows)(const void *ctx, const char *model, const struct serve_service *s);
	const void *allows_ctx;
	/* Whether a person, by handle, may ask now: 0, or an error that the client is told. NULL:
	 * always. */
	int (*may_ask)(void *ctx, const char *handle, struct err *e);
	void *may_ask_ctx;
	struct serve_facts *facts;   /* borrowed until the chat is closed; NULL: not wanted */
	struct aside_job *job;       /* zeroed; by aside_cancel another thread ends its opening */
	void (*was_read)(void *ctx); /* called once the body is not needed any more */
	void *was_read_ctx;
};

/* Parse a request of this shape, find the service by its model, scan it, admit it. ERR_INPUT: 400
 * (nothing logged), ERR_NOTFOUND: unknown model, ERR_UNSUPPORTED: a field refused by name,
 * ERR_UNAVAILABLE: 503. by: may be NULL. */
int serve_chat_open(struct serve_chat **out, struct serve_host *h, enum api_shape shape,
		    const void *body, size_t len, const struct serve_caller *by,
		    struct err *e) MUST_USE;
const char *serve_chat_id(const struct serve_chat *c);     /* "chatcmpl-WORKER-N-TAIL", by shape */
const char *serve_chat_record(const struct serve_chat *c); /* "WORKER/N": known from admission on */
const struct api_request *serve_chat_request(const struct serve_chat *c);
const char *serve_chat_model(const struct serve_chat *c); /* the name of its service */
int64_t serve_chat_created(const struct serve_chat *c);

enum serve_event { SERVE_TEXT, SERVE_END };

/* Next piece of cleared text (empty when the engine has gone on and nothing may go out yet), or
 * SERVE_END when all choices are complete and their record durable. An error has been recorded as
 * well as it could be; no more text follows. */
int serve_chat_next(struct serve_chat *c, struct api_piece *piece, struct err *e) MUST_USE;
/* Tokens of the prompt, and drawn so far, of all choices. */
void serve_chat_counts(const struct serve_chat *c, uint64_t *prompt, uint64_t *completion);
/* The reader is gone: whatever the chat waits for ends, and serve_chat_next fails with
 * ERR_UNAVAILABLE. The one function for another thread; not once serve_chat_close was called. */
void serve_chat_cancel(struct serve_chat *c);
/* What was handed out has been sent. */
void serve_chat_sent(struct serve_chat *c);
/* After SERVE_END: {finish_reasons: [of each choice], finish_reason: of the first, prompt_tokens,
 * completion_tokens, cached_tokens, reasoning_tokens, seed, stopped_by: a stop string, ended: s,
 * hallmark: {record, index, leaf, receipt, and where rules ended it message, rules}}. Borrowed. */
const json_t *serve_chat_result(const struct serve_chat *c);
/* Before SERVE_END the reader is gone: an "aborted" record is appended. NULL is fine. */
void serve_chat_close(struct serve_chat *c);

/* ---- texts and tokens, without an answer: nothing is filtered or recorded ---- */

/* The prompt of messages where no rule changes it, appended: its text, and its ids (uint32_t each);
 * either may be NULL. generation: as far as where the answer begins. ERR_UNSUPPORTED, here and
 * below: the model is not computed here. ERR_INPUT, before anything is done: more bytes of text
 * than the context can hold. */
int serve_prompt(const struct serve_service *s, const struct api_request *q, bool generation,
		 struct buf *text, struct buf *ids, struct err *e) MUST_USE;
/* Appended. special: control tokens in the text are recognised; post: the tokenizer's are added. */
int serve_encode(const struct serve_service *s, const char *text, size_t len, bool special,
		 bool post, struct buf *ids, struct err *e) MUST_USE;
/* The text of ids, appended, control tokens too; it may end within a character. ERR_INPUT: an id
 * that is none. */
int serve_decode(const struct serve_service *s, const uint32_t *id, size_t count, struct buf *out,
		 struct err *e) MUST_USE;
uint32_t serve_service_context(const struct serve_service *s); /* tokens; 0: unknown */
/* Have long work of a client done beside the passes (base/aside.h). job: zeroed. */
int serve_host_beside(struct serve_host *h, struct aside_job *job, const char *client,
		      int (*work)(void *self, struct err *e), void *self, struct err *e) MUST_USE;

#endif
