#include "server/connection.h"
#include "server/wire.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define TICK_MS 100       /* how soon a thread notices that the server cuts its answer off */
#define SLOW_BYTES_MS 4   /* that a slow line takes in a millisecond */
#define DOUBT_PING_MS 250 /* while the client of a stream may be gone */

/* Whether the client has used up what it may let us wait during an answer: one that takes a byte
 * now and then would hold a thread, and what it asked for, for days. For what it takes it has the
 * time that a slow line needs. */
static bool is_too_slow(const struct connection *c)
{
	int64_t needs = (int64_t)(c->taken / SLOW_BYTES_MS);
	return c->waited_ms >= c->s->limits.stall_timeout_ms + needs;
}

static int write_all(struct connection *c, const char *bytes, size_t len)
{
	struct net *net = &c->s->net;
	while (len > 0) {
		ssize_t n = server_wire_send(c, bytes, len);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
			c->taken += c->waited_ms ? (uint64_t)n : 0;
			continue;
		}
		if (n != -EAGAIN && n != -EINTR)
			return CLIENT_GONE;
		int64_t begun = server_now_ms(c->s);
		int rc = net->poll_out(net->ctx, c->fd, TICK_MS);
		c->waited_ms += server_now_ms(c->s) - begun;
		if ((rc < 0 && rc != -EINTR) || is_too_slow(c) || atomic_load(&c->s->aborting))
			return CLIENT_GONE;
	}
	return 0;
}

int server_connection_write(struct connection *c, const char *bytes, size_t len)
{
	pthread_mutex_lock(&c->lock);
	int rc = c->gone ? CLIENT_GONE : write_all(c, bytes, len);
	c->wrote_ms = server_now_ms(c->s);
	pthread_mutex_unlock(&c->lock);
	return rc;
}

bool server_connection_has_more(struct connection *c)
{
	char byte;
	pthread_mutex_lock(&c->lock);
	ssize_t n = server_wire_peek(c, &byte, 1);
	pthread_mutex_unlock(&c->lock);
	return n != -EAGAIN;
}

void server_connection_await(struct connection *c, void (*cancel)(void *arg), void *arg)
{
	pthread_mutex_lock(&c->lock);
	c->waiting = true;
	c->cancel = cancel;
	c->cancel_arg = arg;
	if (c->gone && cancel)
		cancel(arg);
	pthread_mutex_unlock(&c->lock);
}

void server_connection_attend(struct connection *c)
{
	pthread_mutex_lock(&c->lock);
	c->waiting = false;
	c->cancel = NULL;
	pthread_mutex_unlock(&c->lock);
}

size_t server_connection_begin(struct connection *c, bool *ended)
{
	pthread_mutex_lock(&c->lock);
	c->answering = true; /* no more is sent ahead */
	c->waited_ms = 0;
	c->taken = 0;
	*ended = c->ended;
	size_t probed = c->probed;
	pthread_mutex_unlock(&c->lock);
	return probed;
}

void server_connection_stream(struct connection *c, bool chunked)
{
	pthread_mutex_lock(&c->lock);
	c->ping = chunked ? "8\r\n: ping\n\n\r\n" : ": ping\n\n";
	pthread_mutex_unlock(&c->lock);
}

void server_connection_stream_end(struct connection *c)
{
	pthread_mutex_lock(&c->lock);
	c->ping = NULL;
	pthread_mutex_unlock(&c->lock);
}

/* ---- the look; with the connection's lock held ---- */

/* Without waiting. A part of it alone would spoil the answer: then the client counts as gone. TLS
 * is asked only when there is room: it would have to be given the same bytes again. */
static void send_at_once(struct connection *c, const char *bytes, size_t len)
{
	struct net *net = &c->s->net;
	if (c->tls && net->poll_out(net->ctx, c->fd, 0) != 1)
		return;
	ssize_t n = server_wire_send(c, bytes, len);
	if (c->tls && n == -EAGAIN)
		n = 0;
	c->gone = n != (ssize_t)len && n != -EAGAIN && n != -EINTR;
}

/* A client that ended sending may be gone, or may still read; the two differ in whether it takes
 * bytes. So the first bytes of the status line, the same in every answer, are sent ahead, one at
 * each look: a client that is gone resets the second. */
static void probe(struct connection *c)
{
	static const char start[] = "HTTP/1.1 ";
	if (c->ended && !c->answering && c->probed < sizeof start - 1)
		send_at_once(c, start + c->probed++, 1);
}

/* Once a stream has begun its own bytes tell. */
static void ping(struct connection *c)
{
	unsigned often = c->s->limits.ping_ms;
	often = c->ended && often > DOUBT_PING_MS ? DOUBT_PING_MS : often;
	if (!c->ping || server_now_ms(c->s) - c->wrote_ms < often)
		return;
	send_at_once(c, c->ping, strlen(c->ping));
	c->wrote_ms = server_now_ms(c->s);
}

static void look(struct connection *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLRDHUP };
	if (poll(&p, 1, 0) > 0) {
		c->ended = true;
		c->gone |= (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
	}
	c->gone |= atomic_load(&c->s->aborting);
	if (!c->gone)
		probe(c);
	if (!c->gone)
		ping(c);
	if (c->gone && c->cancel)
		c->cancel(c->cancel_arg);
}

void server_connection_look(struct connection *c)
{
	if (pthread_mutex_trylock(&c->lock) != 0)
		return; /* its thread writes: that asks the client already */
	if (c->waiting && !c->gone)
		look(c);
	pthread_mutex_unlock(&c->lock);
}
