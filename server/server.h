/* The server: an OpenAI-compatible API on loopback, behind a strict HTTP gate. It knows flow's
 * serving part and base. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/env.h"
#include "base/net.h"

struct serve_service;
struct server;

struct server_options {
	const char *address; /* "HOST:PORT" with 127.x.y.z, [::1] or localhost; port 0 picks one;
			      * NULL: "127.0.0.1:8080" */
	unsigned connections_max;  /* beyond it 503; 0: 64 */
	unsigned head_timeout_ms;  /* wall clock for a whole head; 0: 10,000 */
	unsigned body_timeout_ms;  /* wall clock for a whole body; 0: 60,000 */
	unsigned stall_timeout_ms; /* a reader that takes nothing for so long is gone; 0: 60,000 */
	unsigned ping_ms;          /* a comment into a silent stream; 0: 15,000 */
	unsigned drain_ms; /* after a stop: wait so long for running answers, then cut them off; 0:
			      30,000 */
	const struct net *net; /* borrowed until server_close; NULL: the system's */
	const struct env *env; /* borrowed until server_close; NULL: the system's */
	/* NULL-terminated, 64 hex digits each: SHA-256 of a bearer token. NULL or empty: no token
	 * is asked for; else every route but /health demands one of them. Copied. */
	const char *const *token_sha256;
};

/* Bind and listen; nothing is answered before server_run. The service is borrowed until
 * server_close. ERR_UNSUPPORTED: not a loopback address. ERR_CONFLICT: the port is in use.
 * ERR_INPUT: malformed address or token. */
int server_open(struct server **out, struct serve_service *service, const struct server_options *o,
		struct err *e) MUST_USE;

/* "127.0.0.1:43210": the address with the port that was bound. Borrowed. */
const char *server_address(const struct server *s);

/* Answer requests until server_stop; then refuse new ones, let the running ones end (at most
 * drain_ms), and return. */
int server_run(struct server *s, struct err *e) MUST_USE;

/* Ask server_run to return. Async-signal-safe; any thread, any number of times. */
void server_stop(struct server *s);

/* Not while server_run is running. NULL is fine. */
void server_close(struct server *s);

#endif
