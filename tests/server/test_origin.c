#include "server/origin.h"
#include "tests/server/talk.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEALTH "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"

/* A connection from 127.0.0.LAST. */
static int dial_from(uint16_t port, unsigned last)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + last);
	cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	a.sin_port = htons(port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

/* One that has had an answer and waits. */
static int rest_from(uint16_t port, unsigned last)
{
	int fd = dial_from(port, last);
	say(fd, HEALTH);
	struct buf b = get_one(fd, false);
	cr_expect_eq(status(&b), 200, "%s", b.bytes);
	buf_free(&b);
	return fd;
}

static bool is_open(int fd)
{
	char c;
	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) < 0;
}

Test(server_origin, addresses_of_a_household_are_one)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", true }, { "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
		{ "2001:db8:0:1::1", "2001:db8:0:1:ff::", true }, { "2001:db8:0:1::1", "2001:db8:0:2::1", false },
		{ "::1", "::2", true },				  { "::1", "::ffff:127.0.0.1", false },
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct net_peer a = { 0 }, b = { 0 };
		inet_pton(AF_INET6, rows[i].a, a.address);
		inet_pton(AF_INET6, rows[i].b, b.address);
		struct origin_key x = server_origin_of(&a), y = server_origin_of(&b);
		cr_expect_eq(memcmp(&x, &y, sizeof x) == 0, rows[i].same, "%s %s", rows[i].a, rows[i].b);
	}
	struct net_peer me = { .local = true, .uid = 7 }, other = { .local = true, .uid = 8 };
	struct origin_key x = server_origin_of(&me), y = server_origin_of(&other);
	cr_expect_neq(memcmp(&x, &y, sizeof x), 0);
}

Test(server_origin, whoever_has_most_makes_room)
{
	struct running r = start((struct server_options){ .connections_max = 8, .address_connections_max = 8 });
	int fd[8], one;
	fd[0] = rest_from(r.port, 2); /* has waited longest, and is alone */
	for (int i = 1; i < 7; i++)
		fd[i] = rest_from(r.port, 3);
	fd[7] = rest_from(r.port, 4);
	one = rest_from(r.port, 5);
	cr_expect(is_closed(fd[1]), "the oldest of the address that has six");
	cr_expect(is_open(fd[0]) && is_open(fd[2]) && is_open(fd[7]));
	close(one);
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	stop(&r);
}

Test(server_origin, two_crowds_take_from_each_other_and_from_nobody_else)
{
	struct running r = start((struct server_options){ .connections_max = 12, .address_connections_max = 12 });
	int quiet = rest_from(r.port, 2), fd[60];
	for (int i = 0; i < 60; i++)
		fd[i] = rest_from(r.port, 3 + (unsigned)i % 2);
	int open = 0;
	for (int i = 0; i < 60; i++)
		open += is_open(fd[i]);
	cr_expect_eq(open, 11, "%d", open);
	cr_expect(is_open(quiet));
	for (int i = 0; i < 60; i++)
		close(fd[i]);
	close(quiet);
	stop(&r);
}

Test(server_origin, heads_that_are_begun_are_bounded)
{
	struct running r = start((struct server_options){ .connections_max = 4000, .address_connections_max = 4000,
							  .requests_max = 8 });
	enum { MANY = 2300 };
	static int fd[MANY];
	int closed = 0;
	int64_t end = now_ms() + 20000;
	for (int i = 0; i < MANY; i++) {
		fd[i] = dial_from(r.port, 3);
		say(fd[i], "G");
	}
	while (closed < MANY - 2048 - 8 && now_ms() < end) {
		closed = 0;
		for (int i = 0; i < MANY; i++)
			closed += !is_open(fd[i]);
		usleep(20000);
	}
	cr_expect_eq(closed, MANY - 2048 - 8, "%d", closed);
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	for (int i = 0; i < MANY; i++)
		close(fd[i]);
	stop(&r);
}
