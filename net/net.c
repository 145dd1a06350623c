#include "net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* Loopback only: what may talk to the outside terminates TLS in front of us. */
static int parse_address(const char *text, uint16_t port, union address *out, socklen_t *len,
			 struct err *e)
{
	memset(out, 0, sizeof *out);
	if (strcmp(text, "localhost") == 0)
		text = "127.0.0.1";
	if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		*len = sizeof out->v4;
		if (ntohl(out->v4.sin_addr.s_addr) >> 24 == 127)
			return 0;
	} else if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(port);
		*len = sizeof out->v6;
		if (IN6_IS_ADDR_LOOPBACK(&out->v6.sin6_addr))
			return 0;
	} else {
		return err_set(e, ERR_INPUT,
			       "listen address: expected 127.0.0.1 or ::1, found \"%.100s\"", text);
	}
	return err_set(e, ERR_UNSUPPORTED,
		       "not available in this version: listening on %s (loopback only)", text);
}

static int bind_and_listen(int fd, union address *a, socklen_t len)
{
	int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
	    bind(fd, &a->any, len) < 0)
		return -1;
	if (listen(fd, SOMAXCONN) < 0)
		return -1;
	return getsockname(fd, &a->any, &len);
}

static int system_listen(void *ctx, const char *address, uint16_t *port, struct err *e)
{
	(void)ctx;
	union address a;
	socklen_t len = 0;
	TRY(parse_address(address, *port, &a, &len, e));
	int fd = socket(a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "socket");
	if (bind_and_listen(fd, &a, len) < 0) {
		int result =
			errno == EADDRINUSE
				? err_set(e, ERR_CONFLICT,
					  "listen on %s port %u: the port is in use", address,
					  (unsigned)*port)
				: err_errno(e, "listen on %s port %u", address, (unsigned)*port);
		close(fd);
		return result;
	}
	*port = ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
	return fd;
}

static struct net_peer peer_of(const union address *a)
{
	struct net_peer peer = { { [10] = 0xff, [11] = 0xff } };
	if (a->any.sa_family == AF_INET6)
		memcpy(peer.address, &a->v6.sin6_addr, 16);
	else
		memcpy(peer.address + 12, &a->v4.sin_addr, 4);
	return peer;
}

static int system_accept(void *ctx, int fd, struct net_peer *from)
{
	(void)ctx;
	union address a = { 0 };
	socklen_t len = sizeof a;
	int peer = accept4(fd, &a.any, &len, SOCK_CLOEXEC);
	if (peer < 0)
		return -errno;
	if (from)
		*from = peer_of(&a);
	/* Send each token at once (no Nagle delay). */
	int on = 1;
	setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	return peer;
}

static ssize_t system_recv(void *ctx, int fd, void *out, size_t len, int flags)
{
	(void)ctx;
	ssize_t n = recv(fd, out, len, flags);
	return n < 0 ? -errno : n;
}

/* A connection closed by the peer is an error number, not a SIGPIPE. */
static ssize_t system_send(void *ctx, int fd, const void *bytes, size_t len, int flags)
{
	(void)ctx;
	ssize_t n = send(fd, bytes, len, flags | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

static int system_poll_out(void *ctx, int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	(void)ctx;
	int n = poll(&p, 1, timeout_ms);
	return n < 0 ? -errno : n > 0;
}

static void system_finish(void *ctx, int fd)
{
	(void)ctx;
	shutdown(fd, SHUT_WR);
}

static void system_close(void *ctx, int fd)
{
	(void)ctx;
	close(fd);
}

struct net net_system(void)
{
	return (struct net){
		.listen = system_listen,
		.accept = system_accept,
		.recv = system_recv,
		.send = system_send,
		.poll_out = system_poll_out,
		.finish = system_finish,
		.close = system_close,
	};
}
