/* One connection, one request:
 *
 *   client -- head, checked; body, counted --> gate -- canonical head, body --> library
 *   client <------------------------- bytes -- gate <--------------- answer --- library
 *
 * The library never frames a byte that a client wrote. What the head check refuses is answered
 * here, and what follows the request is read and forgotten, never answered. */
#include "server/gate.h"
#include "server/head.h"
#include "server/reply.h"
#include "server/state.h"
#include "base/limits.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TICK_MS 100
#define LINGER_MS \
	2000      /* time for the client to close after our last byte, else a reset could eat it */
#define GONE (-1) /* the client is gone, or the server stops: close without a word */

struct link {
	struct server *s;
	int client, back; /* the client's socket; our end of the pair */
	bool turned_away; /* too many connections: answer 503 */
	size_t have;      /* bytes read so far */
	size_t probed;    /* bytes of the status line sent ahead of the answer */
	bool ended;       /* the client sends no more, and the chat has been told */
	struct head head;
	char bytes[HEAD_BYTES_MAX];
	char relay[KIB(64)];
};

/* ---- the client's side ---- */

/* 1: something to read (or the end), 0: not within this tick, GONE. */
static int client_ready(struct link *l, int64_t deadline_ms)
{
	int64_t left = deadline_ms - server_now_ms(l->s);
	int wait = left > TICK_MS ? TICK_MS : left > 0 ? (int)left : 0;
	int r = l->s->net.poll_in(l->s->net.ctx, l->client, wait);
	if (atomic_load(&l->s->aborting))
		return GONE;
	return r == -EINTR ? 0 : r < 0 ? GONE : r;
}

/* Bytes read, 0 at the end, GONE. */
static ssize_t client_read(struct link *l, void *out, size_t len)
{
	ssize_t n;
	do
		n = l->s->net.recv(l->s->net.ctx, l->client, out, len, 0);
	while (n == -EINTR);
	return n < 0 ? GONE : n;
}

static int client_write(struct link *l, const char *bytes, size_t len)
{
	struct net *net = &l->s->net;
	int64_t deadline = server_now_ms(l->s) + l->s->limits.stall_timeout_ms;
	while (len > 0) {
		ssize_t n = net->send(net->ctx, l->client, bytes, len, MSG_DONTWAIT);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
			deadline = server_now_ms(l->s) + l->s->limits.stall_timeout_ms;
			continue;
		}
		if (n != -EAGAIN && n != -EINTR)
			return GONE;
		int r = net->poll_out(net->ctx, l->client, TICK_MS);
		if ((r < 0 && r != -EINTR) || atomic_load(&l->s->aborting) ||
		    server_now_ms(l->s) >= deadline)
			return GONE;
	}
	return 0;
}

/* Our answer is complete: say so, and give the client time to take it. */
static void client_linger(struct link *l)
{
	struct net *net = &l->s->net;
	int64_t deadline = server_now_ms(l->s) + LINGER_MS;
	net->finish(net->ctx, l->client);
	while (server_now_ms(l->s) < deadline) {
		int ready = client_ready(l, deadline);
		if (ready < 0 || (ready > 0 && client_read(l, l->relay, sizeof l->relay) <= 0))
			return;
	}
}

static void client_refuse(struct link *l, int status, const char *reason)
{
	struct buf out = { 0 };
	reply_raw(&out, status, reason, strcmp(l->head.method, "HEAD") == 0);
	if (!out.failed && client_write(l, out.bytes, out.len) == 0)
		client_linger(l);
	buf_free(&out);
}

/* ---- head ---- */

/* 0 when the head is whole and good, a status to refuse with, or GONE. */
static int read_head(struct link *l, const char **reason)
{
	int64_t deadline = server_now_ms(l->s) + l->s->limits.head_timeout_ms;
	for (;;) {
		int ready = client_ready(l, deadline);
		if (ready < 0 || (l->have == 0 && atomic_load(&l->s->stopping)))
			return GONE;
		*reason = "the head took too long";
		if (ready == 0 && server_now_ms(l->s) >= deadline)
			return l->have ? 408 : GONE;
		if (ready == 0)
			continue;
		ssize_t n = client_read(l, l->bytes + l->have, sizeof l->bytes - l->have);
		*reason = "the head is cut short";
		if (n <= 0)
			return n == 0 && l->have ? 400 : GONE;
		l->have += (size_t)n;
		enum head_result r = head_check(&l->head, l->bytes, l->have);
		*reason = l->head.reason;
		if (r != HEAD_MORE)
			return r == HEAD_OK ? 0 : l->head.status;
	}
}

/* ---- the library's side ---- */

/* A socket pair whose other end the library serves. */
static int open_back(struct link *l)
{
	int pair[2];
	struct sockaddr_un peer = { .sun_family = AF_UNIX };
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return 503;
	l->back = pair[0];
	return MHD_add_connection(l->s->daemon, pair[1], (struct sockaddr *)&peer, sizeof peer) ==
			       MHD_YES
		       ? 0
		       : 503;
}

/* 0 when all is written, 1 when the library has begun to answer or hung up, GONE. */
static int back_write(struct link *l, const char *bytes, size_t len)
{
	while (len > 0) {
		struct pollfd p = { .fd = l->back, .events = POLLIN | POLLOUT };
		int r = poll(&p, 1, TICK_MS);
		if (atomic_load(&l->s->aborting) || (r < 0 && errno != EINTR))
			return GONE;
		if (r <= 0)
			continue;
		if (p.revents & (POLLIN | POLLHUP | POLLERR))
			return 1;
		ssize_t n = send(l->back, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return 1;
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int write_head(struct link *l)
{
	struct buf out = { 0 };
	head_write(&l->head, &out);
	int r = out.failed ? 503 : back_write(l, out.bytes, out.len);
	buf_free(&out);
	return r;
}

/* The library refuses some requests by their head alone: true once it has begun to. */
static bool has_answered(struct link *l)
{
	struct pollfd p = { .fd = l->back, .events = POLLIN };
	return poll(&p, 1, 0) > 0;
}

static bool wants_continue(const struct link *l, uint64_t left)
{
	return l->head.expects_continue && left == l->head.body_bytes;
}

/* Pass on exactly Content-Length bytes. 0 or 1 (answered early): go on to the answer; a status; or
 * GONE. */
static int relay_body(struct link *l, const char **reason)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	int64_t deadline = server_now_ms(l->s) + l->s->limits.body_timeout_ms;
	uint64_t left = l->head.body_bytes;
	size_t n = l->have - l->head.bytes;
	n = n < left ? n : (size_t)left;
	int r = back_write(l, l->bytes + l->head.bytes, n);
	left -= n;
	if (r == 0 && wants_continue(l, left) && client_write(l, go_on, sizeof go_on - 1) < 0)
		return GONE;
	while (r == 0 && left > 0 && !has_answered(l)) {
		int ready = client_ready(l, deadline);
		if (ready < 0)
			return GONE;
		*reason = "the body took too long";
		if (server_now_ms(l->s) >= deadline)
			return 408;
		if (ready == 0)
			continue;
		ssize_t got = client_read(l, l->relay,
					  left < sizeof l->relay ? (size_t)left : sizeof l->relay);
		*reason = "the body is shorter than its Content-Length";
		if (got <= 0)
			return got == 0 ? 400 : GONE;
		r = back_write(l, l->relay, (size_t)got);
		left -= (uint64_t)got;
	}
	return r;
}

/* ---- the answer ---- */

/* While the answer is awaited: what a client still sends is forgotten. An end of its stream may be
 * a client that is gone or one that only shut its sending side; the two differ in whether it takes
 * bytes. So send the status line's first bytes, the same for every answer, one a tick: a client
 * that is gone resets the second. Once the answer has begun, its bytes alone may be sent: tell the
 * chat behind the library, by the end of what it reads, to ping a silent stream more often.
 * */
static int probe_client(struct link *l, bool begun)
{
	static const char start[] = "HTTP/1.";
	struct net *net = &l->s->net;
	ssize_t n = l->ended ? 0
			     : net->recv(net->ctx, l->client, l->relay, sizeof l->relay,
					 MSG_DONTWAIT);
	if (n > 0 || n == -EAGAIN || n == -EINTR)
		return 0;
	if (n < 0)
		return GONE;
	if (begun && !l->ended)
		shutdown(l->back, SHUT_WR);
	l->ended = begun;
	if (begun || l->probed == sizeof start - 1)
		return 0;
	return client_write(l, start + l->probed++, 1);
}

/* 0 when the library has closed its end, a status if it did so without an answer, or GONE. */
static int relay_answer(struct link *l)
{
	size_t skip, total = 0;
	for (;;) {
		struct pollfd p = { .fd = l->back, .events = POLLIN };
		int r = poll(&p, 1, TICK_MS);
		if (atomic_load(&l->s->aborting) || (r < 0 && errno != EINTR))
			return GONE;
		if (r <= 0) {
			if (probe_client(l, total > 0) < 0)
				return GONE;
			continue;
		}
		ssize_t n = recv(l->back, l->relay, sizeof l->relay, 0);
		if (n <= 0)
			return total || l->probed ? 0 : 500;
		skip = total < l->probed ? l->probed - total : 0;
		skip = skip < (size_t)n ? skip : (size_t)n;
		total += (size_t)n;
		if (client_write(l, l->relay + skip, (size_t)n - skip) < 0)
			return GONE;
	}
}

/* ---- the whole ---- */

static int serve(struct link *l, const char **reason)
{
	int r = read_head(l, reason);
	if (r != 0)
		return r;
	*reason = "too many connections";
	if (l->turned_away)
		return 503;
	*reason = "out of resources";
	r = open_back(l);
	if (r == 0)
		r = write_head(l);
	if (r == 0)
		r = relay_body(l, reason);
	if (r != 0 && r != 1)
		return r;
	*reason = "internal error";
	return relay_answer(l);
}

static void *run(void *arg)
{
	struct link *l = arg;
	struct server *s = l->s;
	const char *reason = NULL;
	int r = serve(l, &reason);
	if (l->back >= 0)
		close(l->back);
	if (r == 0)
		client_linger(l);
	else if (r != GONE)
		client_refuse(l, r, reason);
	s->net.close(s->net.ctx, l->client);
	free(l);
	server_leave(s, &s->connections);
	return NULL;
}

/* Up to connections_max are served; as many again get a proper 503; beyond that a connection is
 * closed. */
void gate_take(struct server *s, int fd)
{
	unsigned max = s->limits.connections_max;
	struct link *l = calloc(1, sizeof *l);
	if (l) {
		l->s = s;
		l->client = fd;
		l->back = -1;
		if (server_enter(s, &s->connections, max, run, l))
			return;
		l->turned_away = true;
		if (server_enter(s, &s->connections, max * 2, run, l))
			return;
		free(l);
	}
	s->net.close(s->net.ctx, fd);
}
