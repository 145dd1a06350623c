/* One connection of a TLS server. libssl reads and writes through struct net, never waiting, so
 * that an injected net carries TLS as it carries plain bytes.
 *
 * libssl's queue of errors belongs to the thread: it is emptied before each call whose result is
 * asked for. After a fatal error nothing more may be asked of a stream. */
#include "net/tls.h"
#include "net/tls_state.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct net_tls_stream {
	SSL *ssl;
	struct net_tls *tls;
	const struct net *net;
	int fd;
	bool broken;
	struct net_tls_peer *peer;
};

/* ---- below: bytes ---- */

static int io_result(BIO *io, ssize_t n)
{
	BIO_clear_retry_flags(io);
	return n >= 0 ? (int)n : -1;
}

static int io_read(BIO *io, char *out, int len)
{
	struct net_tls_stream *s = BIO_get_data(io);
	ssize_t n = s->net->recv(s->net->ctx, s->fd, out, (size_t)len, MSG_DONTWAIT);
	int result = io_result(io, n);
	if (n == -EAGAIN || n == -EINTR)
		BIO_set_retry_read(io);
	return result;
}

static int io_write(BIO *io, const char *bytes, int len)
{
	struct net_tls_stream *s = BIO_get_data(io);
	ssize_t n = s->net->send(s->net->ctx, s->fd, bytes, (size_t)len, MSG_DONTWAIT);
	int result = io_result(io, n);
	if (n == -EAGAIN || n == -EINTR)
		BIO_set_retry_write(io);
	return result;
}

static long io_control(BIO *io, int what, long number, void *at)
{
	(void)io, (void)number, (void)at;
	return what == BIO_CTRL_FLUSH; /* nothing is kept here */
}

BIO_METHOD *net_tls_io(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "net");
	if (m && (BIO_meth_set_read(m, io_read) != 1 || BIO_meth_set_write(m, io_write) != 1 ||
		  BIO_meth_set_ctrl(m, io_control) != 1)) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

/* ---- above ---- */

struct net_tls_stream *net_tls_accept(struct net_tls *t, const struct net *net, int fd)
{
	struct net_tls_stream *s = calloc(1, sizeof *s);
	BIO *io = BIO_new(t->io);
	if (s)
		s->ssl = SSL_new(t->ctx);
	if (!s || !s->ssl || !io) {
		BIO_free(io);
		if (s)
			SSL_free(s->ssl);
		free(s);
		return NULL;
	}
	s->tls = net_tls_share(t);
	s->net = net;
	s->fd = fd;
	BIO_set_data(io, s);
	BIO_set_init(io, 1);
	SSL_set_bio(s->ssl, io, io);
	SSL_set_accept_state(s->ssl);
	return s;
}

void net_tls_stream_close(struct net_tls_stream *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	net_tls_close(s->tls);
	free(s->peer);
	free(s);
}

/* Keep who the client is; what libssl keeps of its certificate is more. */
static int keep_peer(struct net_tls_stream *s)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	X509 *cert = SSL_get0_peer_certificate(s->ssl);
	if (!cert)
		return 0;
	s->peer = calloc(1, sizeof *s->peer);
	BIO *text = BIO_new(BIO_s_mem());
	int rc =
		s->peer && text && X509_digest(cert, EVP_sha256(), digest, &len) == 1 ? 0 : -ENOMEM;
	if (rc == 0) {
		for (unsigned i = 0; i < 32 && i < len; i++)
			snprintf(s->peer->fingerprint + 2 * i, 3, "%02x", digest[i]);
		X509_NAME_print_ex(text, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253);
		int n = BIO_read(text, s->peer->subject, sizeof s->peer->subject - 1);
		s->peer->subject[n > 0 ? n : 0] = '\0';
	}
	BIO_free(text);
	return rc;
}

int net_tls_handshake(struct net_tls_stream *s, bool *writes)
{
	ERR_clear_error();
	int n = SSL_do_handshake(s->ssl);
	*writes = false;
	if (n == 1)
		return keep_peer(s) < 0 ? -ENOMEM : 1;
	int why = SSL_get_error(s->ssl, n);
	*writes = why == SSL_ERROR_WANT_WRITE;
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return 0;
	s->broken = true;
	return -EPROTO;
}

const struct net_tls_peer *net_tls_peer(const struct net_tls_stream *s) { return s->peer; }

/* What a call that brought nothing means. */
static ssize_t meaning(struct net_tls_stream *s, int n)
{
	switch (SSL_get_error(s->ssl, n)) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	default:
		s->broken = true;
		return -ECONNRESET;
	}
}

ssize_t net_tls_recv(struct net_tls_stream *s, void *out, size_t len, bool peek)
{
	if (s->broken)
		return -ECONNRESET;
	ERR_clear_error();
	int want = len < 1 << 20 ? (int)len : 1 << 20;
	int n = peek ? SSL_peek(s->ssl, out, want) : SSL_read(s->ssl, out, want);
	return n > 0 ? n : meaning(s, n);
}

ssize_t net_tls_send(struct net_tls_stream *s, const void *bytes, size_t len)
{
	if (s->broken)
		return -EPIPE;
	ERR_clear_error();
	int n = SSL_write(s->ssl, bytes, len < 1 << 20 ? (int)len : 1 << 20);
	return n > 0 ? n : meaning(s, n);
}

bool net_tls_has_pending(const struct net_tls_stream *s)
{
	return !s->broken && SSL_pending(s->ssl) > 0;
}

void net_tls_finish(struct net_tls_stream *s)
{
	ERR_clear_error();
	if (!s->broken && SSL_is_init_finished(s->ssl) && SSL_shutdown(s->ssl) < 0)
		s->broken = true;
}
