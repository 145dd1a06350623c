/* Private to serve/: who answers. The engine of this process is one (engine_answer.c), an upstream
 * may be another, a script of events is the one that tests use. What is before an answerer (the
 * rules for what comes in) and behind it (filters, queue, record) knows events alone.
 *
 *   open -> { next -> events, places of tokens } for each choice, until it ends -> close
 *           { token -> one token's text and log-probability } as they are wanted
 *           facts: at any time, for the record; cancel: from another thread, until close */
#ifndef SERVE_ANSWERER_H
#define SERVE_ANSWERER_H

#include "api/api.h"
#include "base/aside.h"
#include "base/digest.h"
#include "reply/reply.h"

struct engine_load;
struct answer; /* all choices of one request, being made; what it is its answerer knows */

/* What is asked. All of it is borrowed until the answer is closed. */
struct answer_request {
	const struct api_request *asked; /* sampling, constraint, number of choices */
	const json_t *messages, *tools;  /* as the rules left them; tools NULL: none */
	const json_t *prompt; /* likewise: a text, or ids; NULL: messages. bare: nothing is added */
	bool bare;
	const json_t *kwargs; /* likewise, of the template; NULL: none */
	const char *client;   /* who shares places with others; "" when unknown */
	const char *group;    /* who shares kept prefixes */
	int64_t seed;
	int64_t created_us;                /* the clock of the chat template */
	int64_t deadline_us;               /* steady clock; ERR_UNAVAILABLE once passed; 0: none */
	const struct serve_beside *beside; /* where to make a prompt; while opening; NULL: here */
	bool filtered; /* rules look at the answer: what it was before must not be found, and
				stop strings are not the answerer's (stop.c) */
};

/* Where a client's work is done: in the aside if it is heavy; while others have answers in the
 * making in the brief one, where none waits for what is heavy; else by the caller. */
struct serve_beside {
	struct aside *aside, *brief; /* NULL: there is none */
	struct aside_job *job;
	const char *client;
	int64_t wait_us; /* it must have begun by then; 0: whenever it can */
	bool heavy, company;
};
/* work(self, e), and what it returned; ERR_UNAVAILABLE: cancelled, or late, before it began. */
int serve_beside(const struct serve_beside *where, int (*work)(void *self, struct err *e),
		 void *self, struct err *e) MUST_USE;

enum answer_end { ANSWER_GOING, ANSWER_STOP, ANSWER_LENGTH };

/* Where a drawn token stands in the text of its choice (reply_event.begin). */
struct answer_place {
	uint64_t begin, end;
};

/* What one step of a choice gave; borrowed until the next call on the answer. */
struct answer_step {
	const struct reply_event *event;
	size_t events;
	const struct answer_place *place; /* of the tokens that came, if they were asked for */
	size_t places;
	bool lost;           /* the tokens do not spell the text: none is placed any more */
	bool more;           /* the step is not over: next again, before another choice */
	enum answer_end end; /* how the choice ended with this step */
	const char *stop;    /* the stop string that ended it; of the request; NULL: none */
};

/* One token, or an alternative to it. */
struct answer_token {
	uint32_t id; /* UINT32_MAX: unknown */
	float logprob;
	const char *text; /* may be less than a character */
	size_t len;
};

/* What an answer knows of itself. Whatever is not known is zero. */
struct answer_choice_facts {
	const uint32_t *id; /* drawn, [count], the end token included */
	size_t count;
	bool has_logits;
	struct digest logits; /* of the last row */
};
struct answer_facts {
	const uint32_t *prompt; /* [prompt_count] */
	size_t prompt_count;
	uint32_t cached;   /* tokens of the prompt that were not computed again */
	int64_t queued_us; /* how long its first choice waited to be begun; 0: unknown */
	bool has_constraint;
	struct digest constraint;
	const char *constraint_field; /* of the request, that asked for it; static */
	const json_t *without_effect; /* list, or NULL: "KEYWORD at #/PLACE" of its schema */
	unsigned choices;             /* that were begun, the one that failed included */
	struct answer_choice_facts choice[API_CHOICES];
};

/* What an answerer knows of its model; NULL and 0: unknown. Borrowed from the answerer. */
struct answer_model {
	bool knows_ids;       /* of prompt and answer, and how many */
	const char *matrices; /* storage of most matrices: "bf16" */
	const char *packed;   /* as asked for: "stored", "q8" */
	const char *cache, *kernels, *numerics;
	const char *regime; /* the class of its bits: "cpu/1" */
	const struct digest *tokenizer, *chat_template, *choice;
	struct {
		const char *backend, *name, *driver; /* "cpu"; what it calls itself */
		const struct digest *library;        /* that was loaded for it */
	} device;
	uint32_t context_max;
	size_t prompt_bytes_max; /* no prompt of more bytes of text fits into it */
	enum reply_ids ids;      /* of calls */
	const char *notes;       /* what a person should know of the model: lines, or NULL */
	const struct model_generation *generation; /* its sampling defaults; NULL: none */
};

/* A conversation whose prompt is wanted, and no answer. */
struct answer_prompt {
	const json_t *messages, *tools, *kwargs; /* tools, kwargs NULL: none */
	bool generation;                         /* as far as where the answer begins */
	int64_t now_us;                          /* the clock of the chat template */
};

/* self is the answerer's own; many threads open answers, one thread at a time uses an answer. */
struct answerer {
	const char *backend; /* the record's word for it */
	/* *out may be set on failure too: then it knows facts, and is closed by the caller.
	 * ERR_INPUT, ERR_UNSUPPORTED: the request's fault; ERR_UNAVAILABLE: no place. */
	int (*open)(void *self, const struct answer_request *q, struct answer **out,
		    struct err *e) MUST_USE;
	/* The next step of a choice that goes on. */
	int (*next)(struct answer *a, unsigned choice, struct answer_step *out,
		    struct err *e) MUST_USE;
	/* The token with this number, of those that have come: out[0], then up to
	 * ANSWER_TOP alternatives, best first. How many in all. Texts are appended to `text`, which
	 * is cleared, and borrowed from it. */
	int (*token)(struct answer *a, unsigned choice, size_t index, struct answer_token *out,
		     struct buf *text, struct err *e) MUST_USE;
	void (*facts)(const struct answer *a, struct answer_facts *out);
	void (*model)(const void *self, struct answer_model *out);
	void (*load)(void *self, struct engine_load *out); /* how busy it is; NULL: unknown */
	/* Whether others than this client have answers in the making; NULL: none would wait. */
	bool (*others)(void *self, const char *client);
	/* The reader is gone: a `next` that waits returns, and fails with ERR_UNAVAILABLE. */
	void (*cancel)(struct answer *a);
	void (*close)(struct answer *a); /* NULL is fine */
	void (*free)(void *self);        /* all answers are closed */
	/* Texts and ids (uint32_t each) without an answer, appended; all three NULL: there is no
	 * tokenizer here. prompt: text and ids may be NULL. encode: control tokens in the text are
	 * recognised where `special` says so, post: those of the post-processor are added. */
	int (*prompt)(void *self, const struct answer_prompt *q, struct buf *text, struct buf *ids,
		      struct err *e) MUST_USE;
	int (*encode)(void *self, const char *text, size_t len, bool special, bool post,
		      struct buf *ids, struct err *e) MUST_USE;
	int (*decode)(void *self, const uint32_t *id, size_t count, struct buf *out,
		      struct err *e) MUST_USE;
};

#define ANSWER_TOP 20

#endif
