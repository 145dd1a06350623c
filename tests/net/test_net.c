#include "net/net.h"

#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int connect_to(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static bool is_ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 1000) == 1;
}

Test(net_sockets, bytes_travel_over_loopback)
{
	struct net net = net_system();
	struct err e = { 0 };
	uint16_t port = 0;
	char out[8] = { 0 };
	int fd = net.listen(net.ctx, "127.0.0.1", &port, &e);
	cr_assert_geq(fd, 0, "%s", e.text);
	cr_assert_neq(port, 0);
	cr_expect_eq(net.accept(net.ctx, fd, NULL), -EAGAIN, "nobody waits");
	int client = connect_to(port);
	cr_expect(is_ready(fd));
	struct net_peer from;
	static const uint8_t here[16] = { [10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1 };
	int peer = net.accept(net.ctx, fd, &from);
	cr_assert_geq(peer, 0);
	cr_expect_arr_eq(from.address, here, sizeof here);
	cr_expect_eq(net.accept(net.ctx, fd, NULL), -EAGAIN, "nobody else waits");
	cr_expect_eq(net.recv(net.ctx, peer, out, sizeof out, MSG_DONTWAIT), -EAGAIN);
	cr_expect_eq(net.send(net.ctx, client, "ping", 4, 0), 4);
	cr_expect(is_ready(peer));
	cr_expect_eq(net.recv(net.ctx, peer, out, sizeof out, 0), 4);
	cr_expect_str_eq(out, "ping");
	cr_expect_eq(net.poll_out(net.ctx, peer, 1000), 1);
	net.finish(net.ctx, peer);
	cr_expect_eq(net.recv(net.ctx, client, out, sizeof out, 0), 0, "finished by the peer");
	net.close(net.ctx, peer);
	net.close(net.ctx, client);
	net.close(net.ctx, fd);
	cr_expect_eq(net.accept(net.ctx, fd, NULL), -EBADF);
}

Test(net_sockets, sending_to_a_closed_peer_is_a_result)
{
	struct net net = net_system();
	uint16_t port = 0;
	int fd = net.listen(net.ctx, "localhost", &port, NULL), client = connect_to(port);
	int peer = net.accept(net.ctx, fd, NULL);
	close(client);
	ssize_t n = 0;
	for (int i = 0; i < 1000 && n >= 0; i++)
		n = net.send(net.ctx, peer, "x", 1, 0);
	cr_expect(n == -EPIPE || n == -ECONNRESET, "%zd", n);
	net.close(net.ctx, peer);
	net.close(net.ctx, fd);
}

Test(net_sockets, only_loopback_addresses_are_listened_on)
{
	struct net net = net_system();
	struct err e = { 0 };
	uint16_t port = 0;
	cr_expect_eq(net.listen(net.ctx, "0.0.0.0", &port, &e), ERR_UNSUPPORTED);
	cr_expect_eq(net.listen(net.ctx, "192.0.2.1", &port, &e), ERR_UNSUPPORTED);
	cr_expect_eq(net.listen(net.ctx, "::", &port, &e), ERR_UNSUPPORTED);
	cr_expect_eq(net.listen(net.ctx, "example.org", &port, &e), ERR_INPUT);
	int fd = net.listen(net.ctx, "127.0.0.1", &port, &e);
	cr_assert_geq(fd, 0);
	cr_expect_eq(net.listen(net.ctx, "127.0.0.1", &port, &e), ERR_CONFLICT);
	net.close(net.ctx, fd);
}
