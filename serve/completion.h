/* Private to serve/: one choice of a chat's answer. The model's text is taken apart into parts
 * (choice.c), each part passes the filters of its phase, and what they clear waits in the chat's
 * queue (queue.c) until it is handed out. */
#ifndef SERVE_COMPLETION_H
#define SERVE_COMPLETION_H

#include "base/buf.h"
#include "engine/engine.h"
#include "filters/filters.h"
#include "serve/serve.h"

struct serve_chat;

/* ---- what was scanned ---- */

/* Where a scanned text stood: item and member only where member is given. */
struct serve_scan {
	const char *phase;
	size_t index; /* of the message, the tool, or the choice */
	const char *member;
	size_t item;
};
struct serve_notes {
	json_t *scans, *interventions;
	bool redacted;
	int stopped; /* FILTER_BLOCKED or FILTER_LIMIT; else 0 */
};
int serve_notes_init(struct serve_notes *n, struct err *e) MUST_USE;
void serve_notes_free(struct serve_notes *n);
/* What a stream's record says (decision_scan.c). */
int serve_notes_add(struct serve_notes *n, const struct serve_scan *where,
		    const struct filter_record *r, struct err *e) MUST_USE;

/* ---- pieces on their way out ---- */

struct serve_queue_span {
	size_t at, len;      /* in text */
	uint64_t begin, end; /* of the source */
};
struct serve_queue_token {
	struct serve_queue_span span;
	float logprob;
	size_t top_count; /* alternatives that follow in top */
};
struct serve_queue_top {
	struct serve_queue_span span;
	float logprob;
};
struct serve_queue_item {
	unsigned choice, call;
	enum api_part part;
	struct serve_queue_span span;
	size_t token_count;
};
struct serve_queue {
	struct buf text, items, tokens, tops; /* arrays of the structs above */
	size_t item_at, token_at, top_at;     /* the first that were not handed out */
	struct buf out_tokens, out_tops;      /* of the piece that was */
};
/* Only cleared text comes in; two slices of one text may be joined: more true adds to the item
 * before. */
int serve_queue_text(struct serve_queue *q, unsigned choice, enum api_part part, unsigned call,
		     const struct cleared *text, bool more, struct err *e) MUST_USE;
/* A token of the item added last, and an alternative of the token added last. */
int serve_queue_add_token(struct serve_queue *q, const struct cleared *text, float logprob,
			  struct err *e) MUST_USE;
int serve_queue_add_top(struct serve_queue *q, const struct cleared *text, float logprob,
			struct err *e) MUST_USE;
/* 1 and the next piece, or 0. Borrowed until the next call on the queue. */
int serve_queue_take(struct serve_queue *q, struct api_piece *out, struct err *e) MUST_USE;
void serve_queue_free(struct serve_queue *q);

/* ---- which tokens may be named ---- */

/* A drawn token and the bytes of the session's text that it made. */
struct serve_drawn {
	size_t index;        /* among the session's ids */
	uint64_t begin, end; /* of the session's text */
	uint64_t content;    /* where it lies there; UINT64_MAX: it does not */
};
/* A run of the session's text that is a run of the content. */
struct serve_run {
	uint64_t source, content, len;
};
/* Log-probabilities are given for tokens that lie whole in the content, and there in bytes that the
 * filter released as they were (tokens.c). */
struct serve_tokens {
	bool wanted, lost; /* lost: the ids do not spell the text; none is named any more */
	struct buf drawn;  /* struct serve_drawn, in order */
	size_t placed_at;  /* the first whose place is not known */
	size_t drawn_at;   /* the first not yet decided */
	size_t ids;        /* looked at */
	uint64_t drawn_end;
	struct buf source; /* the session's text from source_at on */
	uint64_t source_at, source_end, content_end;
	struct buf expected; /* spelled by ids, not yet seen in the text */
	struct serve_run run;
};
struct serve_completion;
/* After each piece of the session's text. */
int serve_tokens_take(const struct serve_chat *c, struct serve_completion *ch, const char *text,
		      size_t len, struct err *e) MUST_USE;
/* Text that the reply's parser gave, of the content or not. */
void serve_tokens_place(struct serve_completion *ch, bool content, const char *text, size_t len);
/* Tokens that the filter has released by now go to the queue's last item. */
int serve_tokens_release(struct serve_chat *c, struct serve_completion *ch, struct err *e) MUST_USE;
void serve_tokens_free(struct serve_tokens *t);

/* ---- arguments as text ---- */

/* Zero-initialise; free held. The same text for every cutting. */
struct serve_unescape {
	bool in_string;
	struct buf held; /* an escape that is not whole yet */
};
/* Appended to out, which is cleared first. */
int serve_unescape_push(struct serve_unescape *u, const char *text, size_t len, struct buf *out,
			struct err *e) MUST_USE;
int serve_unescape_end(struct serve_unescape *u, struct buf *out, struct err *e) MUST_USE;

/* ---- the choice ---- */

#define SERVE_CALLS 128 /* the reply's parser gives no more */

struct serve_call {
	char id[40];
	struct buf name, arguments; /* as they went out */
};

struct serve_completion {
	unsigned index;
	struct engine_session *session;
	struct reply *reply; /* NULL: all is content */
	struct filter_stream *content, *thought, *arguments;
	struct buf emitted, thoughts; /* what went out */
	struct serve_call *call;      /* [SERVE_CALLS] once there is one */
	unsigned calls;
	unsigned open_call; /* of arguments */
	struct serve_unescape unescape;
	struct buf plain; /* arguments without needless escapes */
	bool demoted;     /* a call that nobody offered a tool for is being made content */
	struct serve_tokens tokens;
	struct serve_notes notes;
	const char *finish_reason; /* NULL while running */
};
int serve_completion_open(struct serve_chat *c, struct serve_completion *ch, unsigned index,
			  const struct engine_request *q, struct err *e) MUST_USE;
/* One step of the session: what it clears goes into the chat's queue. */
int serve_completion_step(struct serve_chat *c, struct serve_completion *ch,
			  struct err *e) MUST_USE;
/* Note the streams that are still open, as far as they came. */
int serve_completion_note(struct serve_completion *ch, struct err *e) MUST_USE;
void serve_completion_abort(struct serve_completion *ch);
void serve_completion_free(struct serve_completion *ch);

#endif
