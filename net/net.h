/* Net: the one room that opens sockets: for a server, between processes of one user, and an HTTP
 * client. */
#ifndef NET_NET_H
#define NET_NET_H

#include "base/buf.h"
#include "base/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* ---- sockets, injected: a test can serve bytes from memory, delay them, or fail each call ---- */

/* Who a connection comes from. */
struct net_peer {
	uint8_t address[16]; /* IPv6, or IPv4 as ::ffff:a.b.c.d; zeros for a local one */
	bool local;          /* over a Unix socket: of the same user as this process, or root's */
	uint32_t uid;        /* of a local one, as the kernel says it */
};

struct net {
	/* fd; address: of IPv4 or IPv6, or "localhost"; port 0: one is picked, and told.
	 * ERR_CONFLICT: in use. */
	int (*listen)(void *ctx, const char *address, uint16_t *port, struct err *e);
	/* fd of a Unix socket at this path, mode 0600; the file of one that nobody listens at any
	 * more is replaced. ERR_CONFLICT: somebody does, or another kind of file is there. */
	int (*listen_local)(void *ctx, const char *path, struct err *e);
	/* fd or -errno: -EAGAIN when nobody waits; peer may be NULL. Over a Unix socket another
	 * user than this one and root is refused: -ECONNABORTED. */
	int (*accept)(void *ctx, int fd, struct net_peer *peer);
	ssize_t (*recv)(void *ctx, int fd, void *out, size_t len, int flags); /* recv(2), -errno */
	ssize_t (*send)(void *ctx, int fd, const void *bytes, size_t len,
			int flags);                         /* send(2), -errno */
	int (*poll_out)(void *ctx, int fd, int timeout_ms); /* 1 ready, 0 timeout, -errno */
	void (*finish)(void *ctx, int fd);                  /* nothing more to send: FIN */
	void (*close)(void *ctx, int fd);
	void *ctx;
};

struct net net_system(void);

/* ---- local sockets: between processes of one user on one machine ---- */

/* Listen at DIR/name, mode 0600; a socket that is there is replaced: the caller knows that it is
 * nobody's. Paths longer than an address holds are no hindrance. *fd is the caller's; its file
 * stays when it is closed. */
int net_local_listen(const char *dir, const char *name, int *fd, struct err *e) MUST_USE;
/* ERR_NOTFOUND: nobody listens there. ERR_CONFLICT: another user does, and neither is root. */
int net_local_connect(const char *dir, const char *name, int *fd, struct err *e) MUST_USE;
/* The next that waits; another user's is refused. ERR_UNAVAILABLE: none. */
int net_local_accept(int listener, int *fd, struct err *e) MUST_USE;

/* Messages: u32be length, then that many bytes. ERR_UNAVAILABLE: the other end is gone, or let us
 * wait for longer than whole_ms with a message begun. */
int net_message_send(int fd, const void *bytes, size_t len, int whole_ms, struct err *e) MUST_USE;
/* Appended to out, which grows with what comes, not with what is announced. begin_ms: how long for
 * the first byte, -1: for ever. ERR_INPUT: over bytes_max. */
int net_message_receive(int fd, size_t bytes_max, int begin_ms, int whole_ms, struct buf *out,
			struct err *e) MUST_USE;

/* ---- the service manager ---- */

/* Tell systemd, or another that knows its protocol, how this service is: lines such as "READY=1",
 * as one datagram to $NOTIFY_SOCKET. 1: sent; 0: nobody asked. ERR_INPUT: no such address;
 * ERR_UNAVAILABLE: nobody takes it. Waits for nobody. Source: sd_notify(3). */
int net_notify(const struct env *env, const char *state, struct err *e) MUST_USE;
/* How often "WATCHDOG=1" must come, in microseconds; 0: it is not awaited. */
uint64_t net_notify_watchdog_us(const struct env *env);

/* ---- HTTP client ---- */

/* An HTTP client over libcurl: one request at a time, HTTP/1.1, http and https only. Certificates
 * are always verified. Nothing is taken from the environment: no proxy, no .netrc, no cookies. A
 * redirect is followed by GET and HEAD alone, never from https to http, and takes no credentials to
 * another origin (scheme, host, port). Everything that a server sends has a cap, and each request
 * its deadlines. */

struct http; /* holds connections open between requests; for one thread at a time */

struct http_options {
	const char *ca_file; /* PEM: only these roots are trusted; NULL: the system's */
	const char *proxy;   /* "http://HOST:PORT"; NULL: none */
	struct clock clock;  /* of the deadlines; {0}: the system's */
};

/* The strings are copied. ERR_NOTFOUND: no ca_file there. */
int http_open(struct http **out, const struct http_options *o, struct err *e) MUST_USE;
void http_close(struct http *h); /* NULL is fine */

/* Free with http_response_free; zero-initialise before the first use. */
struct http_response {
	int status;        /* of the last response; redirects that were followed do not count */
	struct buf body;   /* of another status than 2xx at most its first 64 KiB */
	struct buf fields; /* name NUL value NUL ...: see http_field */
};

/* Value of the first field of this name (in any case), or NULL. Borrowed from the response. */
const char *http_field(const struct http_response *r, const char *name);
void http_response_free(struct http_response *r);

/* Zero is the default of every member but url. All is borrowed during the call. */
struct http_request {
	const char *method; /* NULL: GET */
	const char *url;    /* without a user part */
	/* Name, value, ..., NULL. They go to every host that a redirect leads to: what is secret
	 * belongs in `authorization`, which goes to the origin of `url` alone. */
	const char *const *field;
	const char *authorization; /* "Bearer ..." */
	const void *body;
	size_t body_bytes;

	void *ctx; /* of the four calls; each may be NULL, a negative result ends the request */
	/* Once, when the fields of the response are known, before its body. */
	int (*begin)(void *ctx, const struct http_response *r, struct err *e);
	/* Takes the body of a 2xx, in order; NULL: it is kept in the response. */
	int (*sink)(void *ctx, const void *bytes, size_t len, struct err *e);
	bool (*is_cancelled)(void *ctx); /* asked at least every 100 ms */

	unsigned redirects_max;  /* 0: none is followed, the response says so */
	uint64_t body_bytes_max; /* of the response; 0: 1 MiB */
	size_t field_bytes_max;  /* of a response with its status line; 0: 64 KiB */
	unsigned connect_ms;     /* 0: 10,000 */
	unsigned total_ms;       /* with redirects; 0: 60,000 */
	unsigned stall_ms;       /* in any such time stall_bytes must move; 0: 30,000 */
	unsigned stall_bytes;    /* 0: 1 */
};

/* 0 when a response came, whatever its status. ERR_UNAVAILABLE: no connection, a deadline, a body
 * that was cut short, or cancelled: trying again may help. ERR_VERIFY: the server's certificate is
 * refused. ERR_INPUT: a malformed request or response, or a cap. ERR_UNSUPPORTED: another scheme,
 * or a redirect to plain http. Else what a call returned. The response may be filled in part. */
int http_do(struct http *h, const struct http_request *r, struct http_response *out,
	    struct err *e) MUST_USE;

/* What is held of a resource, so that a download broken off can go on, even by another process. */
struct http_part {
	uint64_t bytes; /* taken by the sink */
	char etag[128]; /* strong validator of what they are part of; "": there is none */
};

struct http_download {
	struct http_request request;              /* its ctx, begin and method are not used */
	void *ctx;                                /* of restart and of the request's other calls */
	int (*restart)(void *ctx, struct err *e); /* forget what the sink took: it comes anew */
	unsigned tries_max;                       /* in a row that bring nothing; 0: 5 */
};

/* GET into the sink, from *part on; *part is kept up to date. A transfer that breaks off is taken
 * up again where it ended (Range with If-Range), as long as total_ms allows. A server that does not
 * honour this, or no validator, means restart and the whole resource. The status is a 2xx where all
 * of it is held, also when nothing was missing. Others are results as in http_do, and leave *part
 * alone.  Source: RFC 9110, sections 13.1.5 and 14. */
int http_download(struct http *h, const struct http_download *d, struct http_part *part,
		  struct http_response *out, struct err *e) MUST_USE;

#endif
