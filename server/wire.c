#include "server/wire.h"
#include "base/limits.h"
#include "server/tls.h"
#include "net/tls.h"

#include <errno.h>
#include <sys/socket.h>

#define TLS_HANDSHAKE_BYTE 0x16 /* with which every TLS client begins */

static ssize_t net_recv(struct connection *c, void *out, size_t len, int flags)
{
	return c->s->net.recv(c->s->net.ctx, c->fd, out, len, flags | MSG_DONTWAIT);
}

/* The first byte tells a TLS client from one that came with http:// to this port. */
static enum wire_shake begin_shake(struct connection *c)
{
	unsigned char first;
	ssize_t n = net_recv(c, &first, 1, MSG_PEEK);
	if (n == -EAGAIN || n == -EINTR)
		return WIRE_WAITS;
	if (n <= 0)
		return WIRE_FAILED;
	if (first != TLS_HANDSHAKE_BYTE)
		return first >= 'A' && first <= 'Z' ? WIRE_PLAIN : WIRE_FAILED;
	struct net_tls *t = server_tls_share(c->s);
	c->tls = net_tls_accept(t, &c->s->net, c->fd);
	net_tls_close(t);
	return c->tls ? WIRE_SHAKEN : WIRE_FAILED;
}

enum wire_shake server_wire_shake(struct connection *c)
{
	c->writes = false;
	if (!c->tls) {
		enum wire_shake begun = begin_shake(c);
		if (begun != WIRE_SHAKEN)
			return begun;
	}
	int rc = net_tls_handshake(c->tls, &c->writes);
	return rc > 0 ? WIRE_SHAKEN : rc == 0 ? WIRE_WAITS : WIRE_FAILED;
}

ssize_t server_wire_recv(struct connection *c, void *out, size_t len)
{
	return c->tls ? net_tls_recv(c->tls, out, len, false) : net_recv(c, out, len, 0);
}

ssize_t server_wire_peek(struct connection *c, void *out, size_t len)
{
	ssize_t n = c->tls ? net_tls_recv(c->tls, out, len, true) : -EAGAIN;
	return n == -EAGAIN ? net_recv(c, out, len, MSG_PEEK) : n;
}

ssize_t server_wire_send(struct connection *c, const void *bytes, size_t len)
{
	struct net *net = &c->s->net;
	return c->tls ? net_tls_send(c->tls, bytes, len)
		      : net->send(net->ctx, c->fd, bytes, len, MSG_DONTWAIT);
}

bool server_wire_has_pending(const struct connection *c)
{
	return c->tls && net_tls_has_pending(c->tls);
}

void server_wire_finish(struct connection *c)
{
	if (c->tls)
		net_tls_finish(c->tls);
	c->s->net.finish(c->s->net.ctx, c->fd);
}

ssize_t server_wire_forget(struct connection *c)
{
	char bytes[KIB(64)]; /* what is refused is often long: less at a time would take longer */
	return net_recv(c, bytes, sizeof bytes, 0);
}

void server_wire_close(struct connection *c, bool politely)
{
	if (c->tls && politely)
		net_tls_finish(c->tls);
	net_tls_stream_close(c->tls);
	c->tls = NULL;
	c->s->net.close(c->s->net.ctx, c->fd);
}
