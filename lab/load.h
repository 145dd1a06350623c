/* Private to lab/: a load on a server. load.c sends and waits, load_prompts.c writes the requests,
 * load_answer.c reads one answer, load_report.c sums up. */
#ifndef LAB_LOAD_H
#define LAB_LOAD_H

#include "base/env.h"
#include "base/events.h"
#include "base/json.h"
#include "base/quantiles.h"
#include "lab/lab.h"

/* ---- shapes ---- */

/* How a shape is asked and how its streams are read. */
struct load_shape {
	const char *name, *path; /* "chat", "/chat/completions" */
	const char *prompt;      /* the member that holds it; NULL: messages do */
	const char *tokens_max;  /* the member */
	bool has_options;        /* stream_options: usage comes when asked for */
	const char *text[7];     /* members of an event that hold new text, with quotes and colon */
	const char *end[3];      /* in the last event, one of these */
	const char *failure;     /* in an event that says that the answer failed; NULL: an error */
};
/* NULL: chat. ERR_USAGE: there is no such shape. */
int load_shape_find(const char *name, const struct load_shape **out, struct err *e) MUST_USE;

/* ---- requests ---- */

struct load_prompts {
	const struct lab_load *l;
	const char *model;
	const struct load_shape *shape;
	struct random_seeded seeded;
	struct random random;
	struct buf text;    /* all bodies of a file, each ended by NUL; or one without words */
	size_t before;      /* bytes of it before them */
	size_t *begin;      /* [count] where each begins */
	size_t count, next; /* 0: words are drawn */
};
int load_prompts_open(struct load_prompts *p, const struct lab_load *l,
		      const struct load_shape *shape, const char *model, struct err *e) MUST_USE;
/* The next request's body, appended to out. */
int load_prompts_next(struct load_prompts *p, struct buf *out, struct err *e) MUST_USE;
void load_prompts_close(struct load_prompts *p);

/* ---- answers ---- */

enum load_fault {
	LOAD_FINE,
	LOAD_CONNECT,
	LOAD_TLS,
	LOAD_BROKEN,
	LOAD_MALFORMED,
	LOAD_TIMEOUT,
	LOAD_STATUS,
	LOAD_ERROR_EVENT, /* the server ends a stream with an error */
	LOAD_INCOMPLETE,  /* a stream without its [DONE] */
	LOAD_OTHER,
	LOAD_FAULTS
};

/* One request and its answer. Times are steady microseconds; 0: not yet. */
struct load_shot {
	struct load *load;
	const struct load_shape *shape;
	unsigned number; /* of http_many */
	uint32_t client; /* of a closed loop */
	int64_t due_us;  /* when it should have been sent: what waits are counted from */
	int64_t sent_us, moved_us, first_us, last_us;
	int status, retry_after;
	bool plain, done, busy;
	uint64_t pieces, prompt_tokens, tokens; /* tokens: as the server counts; 0: it does not */
	enum load_fault fault;
	struct events events;
	struct buf body; /* of a plain answer, or of a refusal */
	char why[160];
	struct load_shot *next_free;
};
/* A piece of the response at `now`; gaps between pieces of text go into gap. */
void load_answer_take(struct load_shot *s, const void *bytes, size_t len, int64_t now,
		      struct quantiles *gap);
/* The response is whole. */
void load_answer_end(struct load_shot *s);

/* ---- sums ---- */

#define LOAD_KINDS 32 /* of errors told apart */

struct load_error {
	enum load_fault fault;
	int status;
	uint64_t count;
	char why[160]; /* of the first */
};

struct load_sums {
	struct quantiles first, piece, gap, total, late; /* microseconds */
	uint64_t sent, fine, failed, unfinished, unsent;
	uint64_t prompt_tokens, tokens, counted; /* counted: answers whose server counts */
	uint64_t status[600];
	struct load_error error[LOAD_KINDS];
	size_t errors;
	int64_t begin_us, end_us;
	double cpu_s;
};
void load_sums_take(struct load_sums *s, const struct load_shot *shot, int64_t now);
int load_report(const struct lab_load *l, const char *url, const char *model,
		const struct load_sums *s, json_t **out, struct err *e) MUST_USE;

#endif
