/* Private: one chat: a worker thread that asks flow for text, and the connection's thread that
 * takes it. */
#ifndef SERVER_CHAT_H
#define SERVER_CHAT_H

#include "base/buf.h"

struct chat;
struct server;
struct MHD_Response;

/* Start a worker on a request body (taken over and emptied). client: printable handle or ""
 * (copied). ERR_UNAVAILABLE: too many chats. Ends with chat_leave. */
int chat_start(struct chat **out, struct server *s, struct buf *body, const char *client,
	       struct err *e) MUST_USE;

/* The connection's thread has no more use of it: an unfinished chat is closed at its next piece of
 * text. NULL is fine. */
void chat_leave(struct chat *c);

#define CHAT_GONE 1 /* the connection's other end is closed: nobody waits for an answer */

/* Wait until the request is admitted: 0, the error of serve_chat_open, or CHAT_GONE. fd: the
 * connection. Errors are fit for a client: what is ours has gone to stderr. */
int chat_wait_open(struct chat *c, int fd, struct err *e) MUST_USE;
bool chat_streams(const struct chat *c); /* after chat_wait_open */
const char *chat_record(const struct chat *c);

/* Plain: wait as above for the whole answer; body is the JSON document, *receipt is borrowed, and
 * "" when too long for a header. */
int chat_wait_end(struct chat *c, int fd, struct buf *body, const char **receipt,
		  struct err *e) MUST_USE;

/* Streamed: a response whose reader waits for text, pings into silence and ends with the chat. It
 * takes the chat over. NULL when out of memory: the chat stays the caller's. */
struct MHD_Response *chat_response(struct chat *c, int fd);

#endif
