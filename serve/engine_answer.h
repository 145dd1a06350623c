/* Private to serve/: the engine as an answerer. engine_prompt.c makes of the request what the
 * engine gets; engine_answer.c opens a session for each choice and turns its text into events. */
#ifndef SERVE_ENGINE_ANSWER_H
#define SERVE_ENGINE_ANSWER_H

#include "engine/engine.h"
#include "serve/answerer.h"
#include "serve/serve.h"

struct serve_engine {
	struct engine *engine;
	const char *packed, *cache; /* as asked for: a replay opens the engine likewise */
	uint32_t speculation;
	uint32_t context_max;
};

extern const struct answerer serve_engine_answerer;

/* Load the model; adapter: merged into it, or NULL. clamp: a context_max beyond the model's becomes
 * the model's; else ERR_INPUT. The sources are borrowed for the call; free with
 * serve_engine_answerer.free. */
int serve_engine_open(struct serve_engine **out, struct source *src, struct source *adapter,
		      const struct serve_options *o, bool clamp, bool quiet, struct clock clock,
		      struct err *e) MUST_USE;

/* The engine behind a service; NULL: there is none. */
struct serve_service;
struct engine *serve_engine_of(const struct serve_service *s);

/* One choice: session -> text -> events. */
struct engine_choice {
	struct engine_session *session;
	struct reply *reply;      /* NULL: all is content */
	struct reply_event event; /* without a reply */
	uint64_t text_end;        /* of the session's text so far */
	enum answer_end end;      /* of the session; what the reply held comes then */
	bool cut;                 /* not where the model ended it */
	bool ended;               /* the reply too */
	/* Where the ids stand in the text: that of a token may end within a character, and the
	 * session gives whole ones. */
	struct buf expected, places; /* spelled and not yet seen; struct answer_place */
	size_t spelled;              /* ids */
	uint64_t spelled_end;
	bool lost; /* the ids do not spell the text: none is placed any more */
};

struct answer {
	const struct serve_engine *by;
	struct answer_request q;
	struct token_ids prompt;
	enum reply_syntax syntax;
	enum reply_thought thought; /* how the answer begins */
	enum reply_answer answer;   /* where it is constrained */
	bool markers;               /* special tokens are text */
	size_t unbegun;             /* as in struct reply_options */
	struct engine_constraint *constraint;
	const char *constraint_field;
	struct engine_bias *bias;
	struct engine_choice choice[API_CHOICES];
	unsigned choices; /* that were begun */
};

/* As the answerer's prompt, encode and decode (engine_text.c). */
int serve_engine_render(void *self, const struct answer_prompt *q, struct buf *text,
			struct buf *ids, struct err *e) MUST_USE;
int serve_engine_encode(void *self, const char *text, size_t len, bool special, bool post,
			struct buf *ids, struct err *e) MUST_USE;
int serve_engine_decode(void *self, const uint32_t *id, size_t count, struct buf *out,
			struct err *e) MUST_USE;

/* Prompt, syntax, biases and constraint. */
int serve_engine_prompt(struct answer *a, struct err *e) MUST_USE;

#endif
