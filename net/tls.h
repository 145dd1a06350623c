/* TLS for a server (libssl): versions 1.2 and 1.3, http/1.1 alone. Nothing here waits. */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "net/net.h"

/* ---- certificate, key, and which clients are let in ---- */

struct net_tls; /* what the files said; counted by those who use it, never changed */

/* Files in PEM. */
struct net_tls_files {
	const char *cert;       /* the server's certificate, then those between it and a root */
	const char *key;        /* of it: without a passphrase, for its owner alone */
	const char *client_ca;  /* a client must have a certificate of one of these; or NULL */
	const char *client_crl; /* certificates of clients that were taken back; or NULL */
};

/* Read and check them: that they belong together and are valid at now_us (of env_now_us).
 * ERR_NOTFOUND, ERR_IO: not there, not readable. ERR_INPUT: anything else, in a
 * sentence. */
int net_tls_open(struct net_tls **out, const struct net_tls_files *files, int64_t now_us,
		 struct err *e) MUST_USE;
struct net_tls *net_tls_share(struct net_tls *t);
void net_tls_close(struct net_tls *t); /* NULL is fine */

/* What its owner should know ("the certificate is valid for 12 days more"), or "". Borrowed. */
const char *net_tls_note(const struct net_tls *t);

/* ---- one connection ---- */

struct net_tls_stream;

/* The certificate of a client that showed one. */
struct net_tls_peer {
	char subject[200];    /* as RFC 2253 writes it, perhaps cut short */
	char fingerprint[65]; /* SHA-256 of the certificate, in hex */
};

/* The server's side over fd, which stays the caller's; net and t are borrowed. NULL: out of
 * memory. */
struct net_tls_stream *net_tls_accept(struct net_tls *t, const struct net *net, int fd);
void net_tls_stream_close(struct net_tls_stream *s); /* says nothing to the client; NULL is fine */

/* Go on with the handshake. 1: done; 0: wait until the descriptor can be read (or, with *writes,
 * written); negative: refused, and the client has been told why if TLS has a word for it. */
int net_tls_handshake(struct net_tls_stream *s, bool *writes) MUST_USE;

/* NULL: it showed none. Borrowed. */
const struct net_tls_peer *net_tls_peer(const struct net_tls_stream *s);

/* As recv(2) and send(2) with MSG_DONTWAIT, and with -errno. An end of the connection that TLS was
 * not told of is -ECONNRESET. After -EAGAIN the same bytes, or more, are to be sent. For one thread
 * at a time. */
ssize_t net_tls_recv(struct net_tls_stream *s, void *out, size_t len, bool peek) MUST_USE;
ssize_t net_tls_send(struct net_tls_stream *s, const void *bytes, size_t len) MUST_USE;

/* There are bytes that were received already: no event on the descriptor tells of them. */
bool net_tls_has_pending(const struct net_tls_stream *s);

/* Say that no more will be sent (close_notify). */
void net_tls_finish(struct net_tls_stream *s);

#endif
