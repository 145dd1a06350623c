/* An answerer that says what a test has written down, in place of the engine. */
#ifndef TESTS_SHARED_SCRIPT_H
#define TESTS_SHARED_SCRIPT_H

#include "serve/answerer.h"

#include <stdatomic.h>
#include <sys/types.h>

/* One step of a choice: one event, which is one token too where it is content. */
struct script_step {
	const char *text; /* NULL: no event */
	enum reply_part part;
	enum answer_end end;
	int error; /* the step fails with this */
	bool more;
	const char *id; /* of a call, as the model wrote it */
};

#define SCRIPT_STEPS 4096

/* All choices say the same steps; behind the last one that is given a choice stops. */
struct script {
	struct script_step step[SCRIPT_STEPS];
	size_t steps;
	int open_error;            /* opening fails with this ... */
	unsigned open_choices;     /* ... in the choice before this number */
	int64_t *time_us, step_us; /* time that each step takes */
	/* Called before each step; may be NULL. */
	void (*at_step)(void *ctx, unsigned choice, size_t step);
	void *ctx;
	struct answer_token top[ANSWER_TOP]; /* alternatives to every token */
	int tops;
	bool lost;
	enum reply_ids ids; /* of calls */
	size_t prompt_bytes_max;
	bool others; /* other clients have answers in the making */
	/* what happened */
	struct answer_request asked;
	pid_t opened_by, prompt_by; /* threads: that opened, and that made the prompt */
	bool recorded_beside;       /* another one than opened asked for facts */
	atomic_uint opened, closed, cancelled, freed;
};

extern const struct answerer script_answerer; /* self: struct script, borrowed */

/* Content, cut into pieces of `piece` bytes; then the choice ends. */
void script_say(struct script *s, const char *text, size_t piece);

#endif
