/* Private to serve/: one choice of a chat's answer. Events of several parts come in, each part
 * passes the filters of its phase, and what they clear waits in the chat's queue (queue.c) until it
 * is handed out. */
#ifndef SERVE_COMPLETION_H
#define SERVE_COMPLETION_H

#include "base/buf.h"
#include "filters/filters.h"
#include "serve/answerer.h"
#include "serve/decision.h"
#include "policy/policy.h"

struct serve_chat;

/* ---- pieces on their way out ---- */

struct serve_queue_span {
	size_t at, len;      /* in text */
	uint64_t begin, end; /* of the source */
};
struct serve_queue_token {
	struct serve_queue_span span;
	float logprob;
	uint64_t out;     /* bytes of the content that went out before it */
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
			  uint64_t out, struct err *e) MUST_USE;
int serve_queue_add_top(struct serve_queue *q, const struct cleared *text, float logprob,
			struct err *e) MUST_USE;
/* 1 and the next piece, or 0. Borrowed until the next call on the queue. */
int serve_queue_take(struct serve_queue *q, struct api_piece *out, struct err *e) MUST_USE;
/* Whether a piece of this part still waits. */
bool serve_queue_has(const struct serve_queue *q, unsigned choice, enum api_part part);
void serve_queue_free(struct serve_queue *q);

/* ---- which tokens may be named ---- */

/* A run of the choice's text that is a run of its content. */
struct serve_run {
	uint64_t source, content, len;
};
/* A drawn token: its place in the text, and in the content; UINT64_MAX: it does not lie there. */
struct serve_drawn {
	struct answer_place text;
	uint64_t content;
};
/* Which alternatives to a token may be named (tops.c). */
struct serve_tops {
	struct buf content; /* all of it, as the model wrote it */
	uint64_t next;      /* from here in the content on alternatives may be named again */
	bool judging;       /* one token's; then: */
	uint64_t end;       /* where the token ends in the content */
	uint64_t pushed;    /* how much of the content the streams have */
	uint64_t from;      /* where they begin in it */
	unsigned count;
	bool show[ANSWER_TOP];
	struct filter_stream *stream[ANSWER_TOP]; /* of those not decided yet */
	uint64_t len[ANSWER_TOP];                 /* bytes of the alternative */
};
/* Log-probabilities are given for tokens that lie whole in the content, and there in bytes that the
 * filter released as they were (tokens.c). */
struct serve_tokens {
	bool wanted, lost; /* lost: none is named any more */
	struct buf drawn;  /* struct serve_drawn, by number */
	size_t placed_at;  /* the first whose place in the content is not known */
	size_t drawn_at;   /* the first not yet decided */
	struct serve_run run;
	struct serve_tops tops;
};
struct serve_completion;
/* The tokens of a step. */
int serve_tokens_take(struct serve_tokens *t, const struct answer_step *step,
		      struct err *e) MUST_USE;
/* len bytes of the text from begin on are the content's from content_at on. */
void serve_tokens_place(struct serve_tokens *t, uint64_t begin, uint64_t content_at, size_t len);
/* Tokens that the filter has released by now go to the queue's last item. last: the content is
 * over. */
int serve_tokens_release(struct serve_chat *c, struct serve_completion *ch, bool last,
			 struct err *e) MUST_USE;
/* 1: which alternatives to a drawn token may be named is known; 0: not yet. */
int serve_tops_judge(struct serve_chat *c, struct serve_completion *ch, size_t index,
		     uint64_t content, bool last, struct err *e) MUST_USE;
bool serve_tops_shows(const struct serve_tops *t, unsigned alternative);
void serve_tops_free(struct serve_tops *t);

/* ---- stop strings ---- */

/* One text on its way out, as far as it may still become a stop string. Zero-initialise; free
 * text. */
struct serve_stop {
	struct buf text;
	size_t given; /* of it, by the last call */
	uint64_t out; /* bytes given so far */
	bool found;
	const char *which; /* that was found */
};
/* Take cleared text, and set it to what may go out, borrowed until the next call. counts: stop
 * strings end the answer by now; last: nothing comes behind it. */
int serve_stop_take(struct serve_stop *s, const struct api_request *q, bool counts, bool last,
		    struct cleared *text, struct err *e) MUST_USE;
/* Up to where in the source everything before it has been given. */
uint64_t serve_stop_source(const struct serve_stop *s, const struct filter_record *r);

/* ---- the choice ---- */

#define SERVE_CALLS 128 /* the reply's parser gives no more */

struct serve_call {
	char id[REPLY_ID_BYTES];
	struct buf name, arguments; /* as they went out */
};

struct serve_completion {
	unsigned index;
	struct filter_stream *content, *thought, *arguments;
	struct buf emitted, thoughts; /* what went out */
	struct serve_call *call;      /* [SERVE_CALLS] once there is one */
	unsigned calls;
	unsigned open_call; /* of arguments */
	bool demoted; /* a call that nobody offered a tool for is being made content */
	uint64_t before;           /* bytes of the content's stream that are the prompt's end */
	struct serve_stop stop[3]; /* of content, reasoning, the open call's arguments */
	int64_t token_us;          /* when the last one came */
	uint32_t steps;            /* of the answer: a token each */
	uint32_t spoken;           /* those to the last that gave no reasoning */
	uint32_t reasoned;         /* of reasoning, before that */
	bool thinks;               /* reasoning came after that */
	bool cut;                  /* by a limit */
	bool stopped;              /* by a stop string: nothing more goes out */
	const char *stopped_by;    /* that one, here or by the answerer; of the request */
	struct serve_tokens tokens;
	struct serve_notes notes;
	const char *finish_reason; /* NULL while running */
};
/* A stream by the rules of a phase, for what the model says. how: enum filter_how. */
int serve_completion_stream(const struct serve_chat *c, enum policy_phase phase, unsigned how,
			    struct filter_stream **out, struct err *e) MUST_USE;
/* A rule blocks, or a limit: nothing that is held goes out. end, which comes back: how. */
int serve_completion_stop(struct serve_completion *ch, int end);
/* A completion's prompt beside its answer (before.c): the content's stream, which has read the
 * prompt's end; take the prompt's bytes out of what it cleared; the prompt, to be sent back. */
int serve_before_open(struct serve_chat *c, struct serve_completion *ch, struct err *e) MUST_USE;
void serve_before_drop(struct serve_completion *ch, struct cleared *text);
int serve_before_echo(struct serve_chat *c, struct serve_completion *ch, struct err *e) MUST_USE;
int serve_completion_open(struct serve_chat *c, struct serve_completion *ch, unsigned index,
			  struct err *e) MUST_USE;
/* One step of the answer's choice: what it clears goes into the chat's queue. */
int serve_completion_step(struct serve_chat *c, struct serve_completion *ch,
			  struct err *e) MUST_USE;
/* Note the streams that are still open, as far as they came. */
int serve_completion_note(struct serve_completion *ch, struct err *e) MUST_USE;
/* How many tokens of the choice are reasoning and its marks, to one or two where they come late. */
uint32_t serve_completion_reasoned(const struct serve_completion *ch);
/* Whether something of what came of this part is held back, and may go out behind what is taken
 * from the queue now. */
bool serve_completion_holds(const struct serve_chat *c, const struct serve_completion *ch,
			    enum api_part part);
void serve_completion_abort(struct serve_completion *ch);
void serve_completion_free(struct serve_completion *ch);

#endif
