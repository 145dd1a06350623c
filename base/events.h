/* Server-sent events, read: what comes in pieces becomes the data of whole events.
 * Source: WHATWG HTML, section 9.2.6. */
#ifndef BASE_EVENTS_H
#define BASE_EVENTS_H

#include "base/buf.h"

#include <stdbool.h>

/* A stream; zero-initialise, free with events_free. */
struct events {
	struct buf line, data; /* not yet ended */
	bool has_data, after_cr;
	size_t bytes_max; /* of one event; 0: 1 MiB */
};

/* Take a piece, and call data for each event that it ends: the bytes behind "data:", those of
 * several lines joined by newlines, borrowed for the call. Comments, other fields, and events
 * without data are passed over. A negative result of data ends the piece and is returned.
 * ERR_INPUT: a line or an event over bytes_max. */
int events_push(struct events *s, const void *bytes, size_t len,
		int (*data)(void *ctx, const char *bytes, size_t len, struct err *e), void *ctx,
		struct err *e) MUST_USE;

/* Whether the stream may end here: nothing that was begun is lost. */
bool events_are_whole(const struct events *s);

/* Forget all, keep the memory. */
void events_clear(struct events *s);
void events_free(struct events *s);

#endif
