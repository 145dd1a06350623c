#include "net/net.h"

#include <criterion/criterion.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

Test(net_sockets, any_address_of_this_machine_is_listened_on_once)
{
	static const char *const good[] = { "127.0.0.1", "0.0.0.0", "localhost", "::1" };
	static const char *const bad[] = { "example.org", "", "127.0.0", "fe80::1%lo" };
	struct net net = net_system();
	struct err e = { 0 };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint16_t port = 0;
		cr_expect_eq(net.listen(net.ctx, bad[i], &port, &e), ERR_INPUT, "%s", bad[i]);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		uint16_t port = 0;
		int fd = net.listen(net.ctx, good[i], &port, &e);
		if (fd < 0 && strchr(good[i], ':'))
			continue; /* a machine without IPv6 */
		cr_assert_geq(fd, 0, "%s: %s", good[i], e.text);
		cr_expect_eq(net.listen(net.ctx, good[i], &port, &e), ERR_CONFLICT);
		net.close(net.ctx, fd);
	}
}

Test(net_sockets, a_unix_socket_is_private_and_takes_the_place_of_a_dead_one_alone)
{
	char dir[] = "/tmp/hallmark-net.XXXXXX", path[80], file[80];
	struct net net = net_system();
	struct err e = { 0 };
	struct stat st;
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/s", dir);
	snprintf(file, sizeof file, "%s/f", dir);
	int fd = net.listen_local(net.ctx, path, &e), client;
	cr_assert_geq(fd, 0, "%s", e.text);
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	cr_expect_eq(net.listen_local(net.ctx, path, &e), ERR_CONFLICT, "somebody listens there");
	cr_assert_eq(net_local_connect(dir, "s", &client, &e), 0, "%s", e.text);
	struct net_peer from = { 0 };
	int peer = net.accept(net.ctx, fd, &from); /* the one that was to see whether it is free */
	net.close(net.ctx, peer);
	peer = net.accept(net.ctx, fd, &from);
	cr_assert_geq(peer, 0);
	cr_expect(from.local);
	cr_expect_eq(from.uid, geteuid());
	net.close(net.ctx, peer);
	close(client);
	net.close(net.ctx, fd); /* as after a kill: the file stays */
	fd = net.listen_local(net.ctx, path, &e);
	cr_expect_geq(fd, 0, "%s", e.text);
	net.close(net.ctx, fd);
	close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_expect_eq(net.listen_local(net.ctx, file, &e), ERR_CONFLICT);
	cr_expect_eq(stat(file, &st), 0, "a file is no socket, and stays");
	cr_expect_eq(net.listen_local(net.ctx, "/nowhere/at/all", &e), ERR_NOTFOUND);
	cr_expect_eq(net.listen_local(net.ctx, "", &e), ERR_INPUT);
	unlink(path);
	unlink(file);
	rmdir(dir);
}
