/* Many HTTP requests at once to one address, in one thread: for measuring servers. Over libcurl's
 * multi interface and epoll; certificates are always verified, nothing is taken from the
 * environment, no redirect is followed. */
#ifndef NET_MANY_H
#define NET_MANY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct http_many;

/* How a request ended. */
enum http_many_end {
	HTTP_MANY_WHOLE,     /* a whole response, whatever its status */
	HTTP_MANY_CONNECT,   /* no connection */
	HTTP_MANY_TLS,       /* no TLS connection, or a certificate that is refused */
	HTTP_MANY_BROKEN,    /* the connection ended within the response, or before it */
	HTTP_MANY_MALFORMED, /* no HTTP/1 response */
	HTTP_MANY_TIMEOUT,   /* http_many_cancel */
	HTTP_MANY_OTHER,
};

/* What is told of a request; ctx is what http_many_start was given. */
struct http_many_calls {
	/* Once, with the first byte of the body or the end; retry_after: seconds, -1: none said. */
	void (*status)(void *ctx, int status, int retry_after);
	void (*body)(void *ctx, const void *bytes, size_t len);
	/* The last. Starting another request here is fine. why: a sentence, or NULL. */
	void (*end)(void *ctx, enum http_many_end how, const char *why);
};

/* All strings are copied. */
struct http_many_options {
	const char *url;
	const char *ca_file;       /* PEM: only these roots; NULL: the system's */
	const char *authorization; /* "Bearer ..."; NULL: none */
	bool reconnect;            /* a new connection for each request */
	unsigned at_once;          /* requests under way at most; not 0 */
	unsigned connect_ms;       /* 0: 10,000 */
};

/* ERR_INPUT: no http:// or https:// address. ERR_NOTFOUND: no ca_file there. */
int http_many_open(struct http_many **out, const struct http_many_options *o,
		   const struct http_many_calls *calls, struct err *e) MUST_USE;
/* POST this JSON (copied). *number, which may be NULL, is the request's until its end.
 * ERR_UNAVAILABLE: at_once are under way. */
int http_many_start(struct http_many *m, const void *body, size_t len, void *ctx, unsigned *number,
		    struct err *e) MUST_USE;
/* End a request now: its end is told before this returns. */
void http_many_cancel(struct http_many *m, unsigned number);
/* Wait at most so long for something to happen, and tell it. */
int http_many_turn(struct http_many *m, int64_t timeout_us, struct err *e) MUST_USE;
/* Requests under way are dropped without a call. NULL is fine. */
void http_many_close(struct http_many *m);

#endif
