/* One answer as its reader sees it: ids become text, and text is held back while it may still
 * become a stop string. The ids come from the scheduler. */
#include "engine/engine_in.h"

#include <stdlib.h>
#include <string.h>

#define TEXT_ROOM 4096 /* bytes, for one token and what is held back */

struct engine_session {
	struct engine *engine;
	struct engine_sampling sampling;
	struct task task;
	struct language_stream stream;
	struct buf text; /* decoded and not yet dropped */
	size_t given;    /* bytes of text handed out by the last call */
	size_t stop;     /* the number of the stop string that ended it, of ENGINE_STRING */
	enum engine_finish finish;
};

int engine_session_open(struct engine_session **out, struct engine *m,
			const struct engine_request *q, struct err *e)
{
	struct engine_session *s = calloc(1, sizeof *s);
	*out = NULL;
	if (s == NULL)
		return err_set(e, ERR_NOMEM, "session");
	s->engine = m;
	s->sampling = q->sampling;
	s->stream =
		(struct language_stream){ .text = m->text, .skip_special = !q->sampling.markers };
	int r = buf_reserve(&s->text, TEXT_ROOM) == NULL
			? err_set(e, ERR_NOMEM, "session")
			: task_open(&s->task, m, q, &s->sampling, e);
	if (r < 0) {
		engine_session_close(s);
		return r;
	}
	*out = s;
	return 0;
}

void engine_session_close(struct engine_session *s)
{
	if (s == NULL)
		return;
	task_close(&s->task);
	language_stream_free(&s->stream);
	buf_free(&s->text);
	free(s);
}

void engine_session_cancel(struct engine_session *s)
{
	if (s != NULL)
		task_cancel(&s->task);
}

/* ---- what was taken ---- */

const uint32_t *engine_session_ids(const struct engine_session *s, size_t *count)
{
	*count = s->task.taken;
	return s->task.token + s->task.prompt_count;
}

const struct engine_logprob *engine_session_logprobs(const struct engine_session *s)
{
	return s->task.logprob;
}

/* [vocab], of the last token. Where a GPU draws, an answer that goes on or was cut keeps none. */
const float *engine_session_logits(const struct engine_session *s)
{
	const struct task *t = &s->task;
	bool kept = !t->asks || (s->finish != ENGINE_GOING && s->finish != ENGINE_STRING);
	return t->taken == 0 || !kept
		       ? NULL
		       : t->logits + (size_t)((t->taken - 1) % t->rows) * s->engine->config.vocab;
}

uint32_t engine_session_cached(const struct engine_session *s) { return task_cached(&s->task); }

int64_t engine_session_queued_us(const struct engine_session *s)
{
	return task_queued_us(&s->task);
}

const char *engine_session_stop(const struct engine_session *s)
{
	return s->finish == ENGINE_STRING ? s->sampling.stop[s->stop] : NULL;
}

/* ---- text ---- */

/* The earliest stop string in the text, or SIZE_MAX. */
static size_t stop_find(struct engine_session *s)
{
	size_t first = SIZE_MAX;
	for (size_t i = 0; i < s->sampling.stop_count; i++) {
		const char *stop = s->sampling.stop[i];
		const char *at = *stop == '\0' || s->text.len == 0
					 ? NULL
					 : memmem(s->text.bytes, s->text.len, stop, strlen(stop));
		if (at != NULL && (size_t)(at - s->text.bytes) < first)
			first = (size_t)(at - s->text.bytes), s->stop = i;
	}
	return first;
}

/* How many bytes at the end are a proper prefix of a stop string. */
static size_t stop_begun(const struct engine_session *s)
{
	size_t most = 0;
	for (size_t i = 0; i < s->sampling.stop_count; i++) {
		size_t len = strlen(s->sampling.stop[i]),
		       n = len < s->text.len + 1 ? len : s->text.len + 1;
		while (n-- > most) {
			if (n > most &&
			    memcmp(s->text.bytes + s->text.len - n, s->sampling.stop[i], n) == 0)
				most = n;
		}
	}
	return most;
}

/* Decode the last id into the text and decide how much of it may go out. Before tokens_min no stop
 * string counts, so nothing is held back. */
static int text_take(struct engine_session *s, bool last, struct err *e)
{
	const struct task *t = &s->task;
	bool eos = last && t->eos, stops = t->taken >= s->sampling.tokens_min;
	if (s->stream.text != NULL && !eos)
		TRY(language_stream_push(&s->stream, t->token[t->prompt_count + t->taken - 1],
					 &s->text, e));
	if (s->stream.text != NULL && last)
		TRY(language_stream_end(&s->stream, &s->text, e));
	TRY(buf_done(&s->text, e));
	size_t stop = stops ? stop_find(s) : SIZE_MAX;
	if (stop != SIZE_MAX) {
		s->given = stop;
		s->finish = ENGINE_STRING;
		task_quit(&s->task);
		return 0;
	}
	s->finish = last ? t->end : ENGINE_GOING;
	s->given = s->text.len - (last || !stops ? 0 : stop_begun(s));
	return 0;
}

int engine_session_next(struct engine_session *s, const char **text, size_t *len, struct err *e)
{
	bool last;
	*text = "";
	*len = 0;
	buf_drop(&s->text, s->given);
	s->given = 0;
	if (s->finish != ENGINE_GOING)
		return (int)s->finish;
	TRY(task_take(&s->task, &last, e));
	TRY(text_take(s, last, e));
	if (s->given > 0) {
		*text = s->text.bytes;
		*len = s->given;
	}
	return (int)s->finish;
}
