/* Beside somebody else's answer, who has the server read much is kept waiting; alone nobody is. */
#include "tests/server/talk.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LONG_BYTES (4u << 20)
#define LONG_TIMES 24

static int dial_from(uint16_t port, const char *address)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = from;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	from.sin_addr.s_addr = inet_addr(address);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(port);
	cr_assert_eq(bind(fd, (void *)&from, sizeof from), 0);
	cr_assert_eq(connect(fd, (void *)&to, sizeof to), 0);
	return fd;
}

static void ask_long(uint16_t port, const char *address)
{
	static const char begin[] = SAY("hi"), head[] = POST "Content-Length: 4194304\r\n\r\n";
	char *body = malloc(LONG_BYTES);
	struct buf answer = { 0 };
	cr_assert(body);
	memset(body, ' ', LONG_BYTES);
	memcpy(body, begin, sizeof begin - 1);
	int fd = dial_from(port, address);
	say(fd, head);
	put(fd, body, LONG_BYTES);
	get_all(fd, &answer);
	cr_expect_eq(status(&answer), 200, "%.*s", (int)answer.len, answer.bytes);
	buf_free(&answer);
	close(fd);
	free(body);
}

static unsigned long long waits(uint16_t port)
{
	static const char name[] = "\nhallmark_connections_paced_total ";
	struct buf b = ask(port, "GET /metrics", "", NULL);
	const char *line = strstr(b.bytes, name);
	cr_assert(line);
	unsigned long long n = strtoull(line + sizeof name - 1, NULL, 10);
	buf_free(&b);
	usleep(200000); /* who asked this is another client, and counts as one for a moment */
	return n;
}

static void begin_stream(int fd)
{
	static const char body[] = STREAM("pieces=1000000 pause=20");
	char head[200], first;
	snprintf(head, sizeof head, POST "Content-Length: %zu\r\n\r\n", sizeof body - 1);
	say(fd, head);
	say(fd, body);
	cr_assert_eq(read(fd, &first, 1), 1);
}

Test(server_pace, long_bodies_wait_beside_anothers_answer_and_alone_they_do_not)
{
	struct running r = start((struct server_options){ .metrics = SERVER_METRICS_OPEN });
	for (int i = 0; i < LONG_TIMES; i++)
		ask_long(r.port, "127.0.0.3");
	cr_expect_eq(waits(r.port), 0, "alone");
	int own = dial_from(r.port, "127.0.0.3");
	begin_stream(own);
	for (int i = 0; i < LONG_TIMES; i++)
		ask_long(r.port, "127.0.0.3");
	cr_expect_eq(waits(r.port), 0, "beside an answer of its own");
	int other = dial_from(r.port, "127.0.0.2");
	begin_stream(other);
	for (int i = 0; i < LONG_TIMES; i++)
		ask_long(r.port, "127.0.0.3");
	cr_expect_gt(waits(r.port), 0);
	close(own);
	close(other);
	stop(&r);
}
