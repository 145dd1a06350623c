#include "net/net.h"
#include "net/local.h"

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
	} else if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(port);
		*len = sizeof out->v6;
	} else {
		return err_set(e, ERR_INPUT,
			       "listen address: expected an address of IPv4 or IPv6 as in "
			       "127.0.0.1, found \"%.100s\"",
			       text);
	}
	return 0;
}

/* What a connection may hold in the kernel beyond what its reader has room for: of a slow one it
 * does not grow to megabytes. */
#define UNSENT_BYTES (128 << 10)

static int bind_and_listen(int fd, union address *a, socklen_t len)
{
	int on = 1, unsent = UNSENT_BYTES;
	/* Those that are accepted inherit it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
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

static int system_listen_local(void *ctx, const char *path, struct err *e)
{
	(void)ctx;
	int fd;
	TRY(net_local_claim(path, &fd, e));
	return fd;
}

static struct net_peer peer_of(const union address *a)
{
	struct net_peer peer = { .address = { [10] = 0xff, [11] = 0xff } };
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
	struct net_peer peer = { .local = true };
	int made = accept4(fd, &a.any, &len, SOCK_CLOEXEC);
	if (made < 0)
		return -errno;
	if (a.any.sa_family == AF_UNIX) {
		if (net_local_peer(made, &peer.uid, NULL) < 0) {
			close(made);
			return -ECONNABORTED;
		}
	} else {
		peer = peer_of(&a);
		/* Send each token at once (no Nagle delay). */
		int on = 1;
		setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	}
	if (from)
		*from = peer;
	return made;
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
		.listen_local = system_listen_local,
		.accept = system_accept,
		.recv = system_recv,
		.send = system_send,
		.poll_out = system_poll_out,
		.finish = system_finish,
		.close = system_close,
	};
}
