/* Private: the text form of an answer, plain or as server-sent events. Model text enters by
 * write_text only.
 * */
#ifndef SERVER_STREAM_H
#define SERVER_STREAM_H

#include "base/buf.h"
#include "base/cleared.h"

#include <jansson.h>

/* What every chunk of an answer repeats. */
struct stream_facts {
	bool streams, wants_usage;
	int64_t created; /* seconds since 1970 */
	const char *id;  /* "chatcmpl-..." */
	const char *model;
};

/* The one way of model text to a socket: appended as the inside of a JSON string. */
void write_text(struct buf *out, const struct cleared *text);

/* An answer is begin, any number of texts, then end or fail. Each call appends whole events, or the
 * next part of the one JSON document of a plain answer. */
void stream_begin(struct buf *out, const struct stream_facts *f);
void stream_text(struct buf *out, const struct stream_facts *f, const struct cleared *text);
/* result: flow_chat_result. ERR_IO if it lacks what an answer needs. */
int stream_end(struct buf *out, const struct stream_facts *f, const json_t *result,
	       struct err *e) MUST_USE;
/* Streams only: the status line has been sent, so the error is an event; no [DONE] follows. */
void stream_fail(struct buf *out, int status, const char *message);

#endif
