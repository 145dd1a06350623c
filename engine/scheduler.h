/* Private: one thread that steps all answers of an engine together.
 *
 * A step is one pass: a row for every answer that can go on (with drafts, some more), then pieces
 * of prompts up to a budget; then each draws its next tokens. A task runs a few tokens ahead of its
 * reader and is left out while it is that far. Where several clients have work, none of them makes
 * another's step take more than about twice as long: scheduler_share.c. When pages of the cache run
 * out, the youngest task gives its pages back and is computed again later. Masks of constraints are
 * made by the readers, or beside (base/aside.h): they may take half a second, and no step waits for
 * one. None of this shows
 * in tokens or logits. */
#ifndef ENGINE_SCHEDULER_H
#define ENGINE_SCHEDULER_H

#include "base/aside.h"
#include "engine/sampler.h"
#include "engine/sequence.h"
#include "engine/step_cost.h"

#include <pthread.h>

#define TASK_AHEAD 4  /* tokens drawn and not yet taken, at most, without drafts */
#define TASK_DRAFT 8  /* tokens drafted at a time, at most */
#define TASK_QUEUE 8u /* tasks that wait, at most, for each one that may be stepped */
#define TASK_FEW 8u   /* a client with fewer open has a place where others have filled the queue */

/* A client. Rows are shared among clients by weighted fair queueing on `served`. */
struct client {
	struct client *next;
	uint32_t tasks, active; /* open; running and not parked, while planning */
	/* While planning (scheduler_share.c): the rows of its streams, those that are ahead of their
	 * readers too, the positions that they attend to, and the longest text among them; of the
	 * shortest of its prompts what is missing (0: it has none), and after how many tokens. */
	uint32_t rows, longest, prompt_rows, prompt_at;
	uint64_t attended;
	/* In units: what it could use; its share of the step, and of that what is used, and kept
	 * for prompts. */
	double need, share, used, kept;
	int64_t waits_us; /* since when rows of it are too long for a step; 0: none is */
	uint64_t last;    /* serial of the stream that had a row last, of those that were late */
	uint64_t served;  /* virtual time: rows computed for it, as if it had always been here */
	char name[];
};

enum task_state { /* clang-format off */
	TASK_WAITING, /* holds no pages */
	TASK_RUNNING,
	TASK_DONE     /* drawn to its end, failed, or not wanted any more */ /* clang-format on */
};

/* One answer's tokens. */
struct task {
	struct scheduler *scheduler;
	struct task *before, *after; /* older and younger ones */
	struct client *client;
	uint64_t serial;
	int64_t deadline_us;
	int64_t entered_us; /* the queue */
	const struct engine_sampling *sampling;
	uint32_t prompt_count, id_room, draft_max;
	struct cache_key root; /* of its group's kept pages */
	uint32_t shared;       /* tokens, from the first, whose pages others may have */

	/* The scheduler thread's while stepping; otherwise whoever holds the lock. token: prompt,
	 * drawn ids, and drafts while they are verified. logits: those of id i in row i % rows. */
	bool stepping;
	struct engine_sequence *sequence;
	struct sampler *sampler;
	uint32_t *token; /* [prompt_count + id_room] */
	float *logits;   /* [rows][vocab] */
	uint32_t rows;
	float *draft_logits;            /* [draft_max + 1][vocab], NULL without drafts */
	struct engine_logprob *logprob; /* [id_room], NULL: not wanted */
	/* Its draws are asked of the backend where that can be: logits are kept of the id alone that
	 * ends it, whatever was kept of others by chance. */
	bool asks;

	/* Under the lock; what is before `taken` never changes. */
	enum task_state state;
	uint32_t drawn, taken, cached;
	int64_t queued_us; /* until it ran first; 0: it has not */
	uint32_t behind;   /* drawn tokens whose state was lost with rejected drafts */
	uint32_t idle;     /* steps that it was left out of because it is ahead */
	int64_t ready_us;  /* when it last was not */
	bool gone;         /* its reader seems to be: nobody waits for it */
	bool again;        /* was preempted before */
	bool late;         /* could go on in the last step and was left out */
	bool unprepared;   /* constrained, and the mask of its next token is not made yet */
	bool slow;         /* its reader's own: the last mask took long */
	struct aside_job mask;
	bool unwanted;          /* ends as soon as it is not stepping */
	bool eos;               /* the last id is an eos */
	enum engine_finish end; /* after all that is drawn */
	int result;             /* or a failure */
	struct err err;
	pthread_cond_t changed;
};

/* One task's share of a step: the tokens it feeds, and the tokens that are sampled from them. */
struct turn {
	struct task *task;
	uint32_t count, drafts; /* tokens fed, drafts among them */
	bool draw;
	struct engine_draw ask; /* of the backend; its answer, UINT32_MAX: none */
	uint32_t drawn;
	uint32_t fresh; /* ids drawn */
	bool eos;
	enum engine_finish end;
	int result;
	struct err err;
};

struct scheduler {
	struct engine *engine;
	struct clock clock;
	atomic_uint constraints; /* that are open */
	pthread_mutex_t lock;
	pthread_cond_t work; /* something to do */
	bool started, ending, idle;
	pthread_t thread;
	struct task *oldest, *youngest; /* open and not done */
	struct client *clients;
	uint32_t batch, open_count; /* open_count: tasks in the list */
	uint64_t serial, served;    /* served: the least of the clients at work */
	struct engine_load load;    /* the counters since open */
	uint32_t rows;              /* of the step, and what they attend to */
	uint64_t attended;
	/* While planning. shares: several clients have work. A unit is what one more row costs at the
	 * beginning of a text, and as much as `even` positions attended to. A row of a text that is
	 * longer than reach makes a step too long; loose: nobody else can go on, and it may. */
	bool shares, loose;
	double unit_us, even;
	uint32_t reach, shared, burst_at; /* steps that were shared; at the last burst */
	int64_t company_us;               /* when the last one was */
	const struct client *bursting;    /* has waited, and may have its first long row; or NULL */

	/* The thread's own. */
	struct turn *turn;         /* [batch + PIECES] */
	uint32_t turns, positions; /* positions: that the backend is ready for */
	struct engine_feed *feed;
	unsigned char *scratch; /* [threads][vocab * 8] */
	struct step_cost cost;
};

int scheduler_open(struct engine *m, const struct engine_options *o, struct err *e) MUST_USE;
void scheduler_close(struct engine *m);

/* sampling and what it points to are borrowed until close. Zeroed before; on failure nothing is
 * left. */
int task_open(struct task *t, struct engine *m, const struct engine_request *q,
	      const struct engine_sampling *sampling, struct err *e) MUST_USE;
/* Wait for the next id and take it: token[prompt_count + taken - 1]. last: none follows, and eos
 * and end may be read. A failure is final. */
int task_take(struct task *t, bool *last, struct err *e) MUST_USE;
/* Tokens of the prompt that were not computed for it. */
uint32_t task_cached(const struct task *t);
/* How long it waited for its first step; 0: it still does. */
int64_t task_queued_us(const struct task *t);
/* No more ids are wanted. */
void task_quit(struct task *t);
/* The same from another thread: a reader that waits is told. */
void task_cancel(struct task *t);
void task_close(struct task *t);

/* scheduler_plan.c: under the lock, choose the turns of the next step; false: nobody can go on. */
bool scheduler_plan(struct scheduler *s);
/* scheduler_share.c: under the lock, how much of the next step each client may have. */
void scheduler_share(struct scheduler *s);
/* Whether t may have so many rows of the step; how many of a prompt it may; it has them. */
bool scheduler_share_holds(const struct scheduler *s, const struct task *t, uint32_t rows);
uint32_t scheduler_share_rows(const struct scheduler *s, const struct task *t, uint32_t rows);
void scheduler_share_take(struct scheduler *s, struct task *t, uint32_t rows);
/* Nobody who fits can go on: each client may have a row, however long. */
void scheduler_share_loosen(struct scheduler *s);
/* How many rows of a prompt after `length` tokens cost as much as `budget` at its beginning. */
uint32_t scheduler_rows(uint32_t budget, uint32_t length);
/* scheduler_step.c: without the lock, pass and draws; with it, hand out. */
void scheduler_run(struct scheduler *s);
void scheduler_finish(struct scheduler *s);
/* Under the lock: the task is done, its pages go back. */
void scheduler_retire(struct scheduler *s, struct task *t);
void task_fail(struct task *t, int code, const char *text);

/* draft.c: up to `most` tokens that followed the last ones of token [count] before; returns how
 * many. */
uint32_t engine_draft_lookup(const uint32_t *token, uint32_t count, uint32_t most, uint32_t *out);

/* Tokens not yet computed. */
static inline uint32_t task_pending(const struct task *t)
{
	return t->prompt_count + t->drawn - t->sequence->length;
}

/* Nothing but its next token is missing, and what went with rejected drafts. */
static inline bool task_is_stream(const struct task *t) { return task_pending(t) == 1 + t->behind; }

/* Near enough to its reader to be stepped. */
static inline bool task_is_ready(const struct task *t)
{
	return t->drawn - t->taken < TASK_AHEAD && !t->unprepared;
}

#endif
