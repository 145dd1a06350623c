/* The server: an OpenAI-compatible API over one strict HTTP/1.1 server, at any number of addresses.
 * It knows the serving room and base. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "access/access.h"
#include "base/digest.h"
#include "base/env.h"
#include "net/net.h"
#include "net/tls.h"

#include <stdbool.h>

struct serve_host;
struct server;

/* Where a server listens. */
#define SERVER_LISTENERS_MAX 16
struct server_listener {
	/* "HOST:PORT" with 127.0.0.1, 0.0.0.0, [::1], localhost...; port 0 picks one. It speaks
	 * TLS where the options have a certificate, unless "http://" stands before it. Or
	 * "unix:PATH", for this user and root alone. */
	const char *address;
	/* It has the routes of operation and no others. Only a Unix socket may: who comes is known
	 * by the kernel's word, and asked for no token. */
	bool admin;
};

/* Who may scrape /metrics beside the operator's socket. */
enum server_metrics {
	SERVER_METRICS_TOKENS, /* who holds a token that allows it */
	SERVER_METRICS_OPEN,   /* whoever comes */
	SERVER_METRICS_ADMIN,  /* nobody */
};

/* Whether every request needs a token. Where none is asked for, whoever sends none may do what
 * access_nobody may; beyond loopback that is refused, unless a client's certificate is asked for.
 */
enum server_auth {
	SERVER_AUTH_USUAL, /* once one was ever made */
	SERVER_AUTH_TOKENS,
	SERVER_AUTH_NONE,
};

struct server_options {
	struct server_listener listener[SERVER_LISTENERS_MAX];
	unsigned listeners; /* 0: one, at 127.0.0.1:8080 */
	/* Of the listeners with TLS; copied. A file that changes is read again; what does not fit
	 * changes nothing, and stderr says why. */
	struct net_tls_files tls;
	/* Proxies whose X-Forwarded-For says whose a request is: ADDRESS, ADDRESS/BITS or "unix", with
	 * commas between them; NULL: none. Borrowed until server_open returns. */
	const char *trusted_proxies;
	/* Open connections. An idle one costs some hundred bytes here, or some KB with TLS, one whose
	 * head or body is coming 41 KiB. Beyond it one is closed of the origin (an address of IPv4,
	 * the /64 of one of IPv6) that has most, which of these is missed least: the longest idle;
	 * and where none is, the new one gets 503. 0: as many as there are descriptors for, at most
	 * 16,384 */
	unsigned connections_max;
	/* Of these from one origin that is no trusted proxy. 0: seven eighths, so that another finds
	 * room */
	unsigned address_connections_max;
	/* Worked on at once, a thread each, seven eighths of them for one token (or, where none is
	 * asked for, one origin), of which the last eighth for answers of at most 64 tokens; beyond
	 * it 503, but for 64 without a body; 0: 320 */
	unsigned requests_max;
	size_t long_bytes_max;    /* of bodies over 64 KiB that are not read yet; 503; 0: 16 MiB */
	unsigned head_timeout_ms; /* wall clock for a whole head; 0: 10,000 */
	unsigned body_timeout_ms; /* wall clock for a whole body; 0: 60,000 */
	unsigned idle_timeout_ms; /* between two requests of a connection; 0: 75,000 */
	/* A reader that lets us wait for so long in all, and for a second more with each 4 KiB that
	 * it takes meanwhile, is gone; 0: 60,000 */
	unsigned stall_timeout_ms;
	unsigned ping_ms;  /* a comment into a silent stream; 0: 15,000 */
	unsigned drain_ms; /* after a stop: wait so long for running answers, then cut them off
			      (SERVER_CUT_MS: to say so); 0: 30,000 */
	bool watch;        /* reload when a policy's file changes */
	/* The field of a request that names the person who asks, where the caller may name one; NULL:
	 * none. Borrowed until server_close. */
	const char *subject_header;
	/* Origins whose pages may read answers, with commas between them, or "*"; borrowed until
	 * server_close; NULL: none (CORS). */
	const char *cors;
	enum server_metrics metrics;
	/* Where a line about each request goes: "stderr", "syslog", "syslog:SOCKET", "otlp:URL", a
	 * file, "none" (NULL too); and whether it has the client's address. Borrowed by server_open
	 * alone. */
	const char *request_log;
	bool line_addresses;
	const struct net *net; /* borrowed until server_close; NULL: the system's */
	const struct env *env; /* borrowed until server_close; NULL: the system's */

	/* Called about each 100 ms by the thread that takes connections, so that it is known to live;
	 * stopping: running answers are being waited for. NULL: nobody wants to know. */
	void (*alive)(void *ctx, bool stopping);
	/* Called by any thread before policies and certificates are read again (done false), and when
	 * that is over; why: nothing has changed, for this reason, else NULL. NULL: as above. */
	void (*reloading)(void *ctx, bool done, const char *why);
	void *alive_ctx; /* of both */

	/* Tokens, their limits, and what is counted; borrowed until server_close. NULL: there are
	 * none, and nothing is counted. */
	struct access *access;
	enum server_auth auth;
};

/* Bind and listen; nothing is answered before server_run. The host is borrowed until
 * server_close. ERR_DENIED: strangers could come, and no token is asked for. ERR_CONFLICT: the port
 * or the socket is in use. ERR_INPUT: malformed address or origin. */
int server_open(struct server **out, struct serve_host *host, const struct server_options *o,
		struct err *e) MUST_USE;

/* "127.0.0.1:43210" or "unix:PATH": where the first listener is, with the port that was bound.
 * Borrowed. */
const char *server_address(const struct server *s);
/* "http://127.0.0.1:43210" or "unix:PATH", of the i-th listener. NULL after the last. Borrowed. */
const char *server_url(const struct server *s, unsigned i);

/* Answer requests until server_stop; then refuse new ones, let the running ones end (at most
 * drain_ms), and return. */
int server_run(struct server *s, struct err *e) MUST_USE;

/* Read the files of TLS again: new connections get what they say now. Any thread. An error changes
 * nothing. */
int server_reload_tls(struct server *s, struct err *e) MUST_USE;

/* Ask server_run to return. Async-signal-safe; any thread, any number of times. */
void server_stop(struct server *s);
/* The same, and running answers are not waited for: each ends with an error that says so. */
void server_stop_now(struct server *s);

/* Read the policies again. What has changed, or why nothing has, is said on stderr. Returns at
 * once; async-signal-safe; any thread. */
void server_reload(struct server *s);

/* Open the file of the request log again, by its name. Any thread, no signal handler. */
void server_lines_renew(struct server *s);

/* Not while server_run is running. NULL is fine. */
void server_close(struct server *s);

#endif
