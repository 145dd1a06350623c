/* Connections that carry more than one request, wait, or are too many. */
#include "tests/server/talk.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEALTH "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
#define CANARY "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n"
#define LENGTH(n) "Content-Length: " #n "\r\n\r\n"

static void post(int fd, const char *fields, const char *body)
{
	char raw[600];
	snprintf(raw, sizeof raw, POST_KEEP "%sContent-Length: %zu\r\n\r\n%s", fields, strlen(body), body);
	say(fd, raw);
}

/* The next response on fd, which says of the connection what it should (NULL: nothing). */
static void expect_one(int fd, int wanted, const char *connection)
{
	struct buf b = get_one(fd, false);
	const char *found = strstr(b.bytes, "\r\nConnection: ");
	cr_expect_eq(status(&b), wanted, "%s", b.bytes);
	cr_expect(connection ? found && strncmp(found + 14, connection, strlen(connection)) == 0 : !found, "%s",
		  b.bytes);
	buf_free(&b);
}

/* From 127.0.0.LAST, which is another address. */
static int dial_from(uint16_t port, unsigned last)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + last);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	a.sin_port = htons(port);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

Test(server_connections, many_requests_share_one)
{
	struct running r = start((struct server_options){ 0 });
	int fd = dial(r.port);
	for (int i = 0; i < 3; i++) {
		say(fd, HEALTH);
		expect_one(fd, 200, NULL);
		post(fd, "", SAY("hi"));
		expect_one(fd, 200, NULL);
		post(fd, "", STREAM("hi"));
		struct buf b = get_one(fd, false);
		cr_expect_eq(count(&b, "data: [DONE]\n\n\r\n0\r\n\r\n"), 1, "%s", b.bytes);
		buf_free(&b);
		say(fd, "HEAD /v1/models HTTP/1.1\r\nHost: a\r\nConnection: TE, , Keep-Alive\r\n\r\n");
		b = get_one(fd, true);
		cr_expect(status(&b) == 200 && count(&b, "Content-Length: ") == 1, "%s", b.bytes);
		buf_free(&b);
		post(fd, "Transfer-Encoding: chunked\r\n", "");
		expect_one(fd, 400, "close"); /* beside Content-Length */
		cr_expect(is_closed(fd));
		close(fd);
		fd = dial(r.port);
	}
	say(fd, HEALTH);
	expect_one(fd, 200, NULL);
	say(fd, "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	expect_one(fd, 200, "close");
	cr_expect(is_closed(fd));
	close(fd);
	stop(&r);
}

Test(server_connections, old_clients_have_to_ask)
{
	struct running r = start((struct server_options){ 0 });
	int fd = dial(r.port);
	say(fd, "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	expect_one(fd, 200, "keep-alive");
	say(fd, "GET /health HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n");
	expect_one(fd, 200, "close");
	cr_expect(is_closed(fd));
	close(fd);
	static const char plain[] = "GET /health HTTP/1.0\r\n\r\n";
	expect_status(talk(r.port, plain, sizeof plain - 1, 0), 200);
	/* 1.0 knows no chunks: the end of the connection is that of the stream */
	static const char body[] = STREAM("hi");
	char raw[400];
	int n = snprintf(raw, sizeof raw,
			 "POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\n"
			 "Connection: keep-alive\r\nContent-Length: %zu\r\n\r\n%s",
			 sizeof body - 1, body);
	struct buf b = talk(r.port, raw, (size_t)n, 0);
	cr_expect_eq(count(&b, "Transfer-Encoding") + count(&b, "keep-alive"), 0, "%s", b.bytes);
	cr_expect_eq(count(&b, "data: [DONE]\n\n"), 1);
	cr_expect(strstr(b.bytes, "\r\n\r\ndata: {"), "%s", b.bytes);
	buf_free(&b);
	stop(&r);
}

Test(server_connections, a_refusal_closes_and_an_answer_does_not)
{
	static const struct {
		const char *raw;
		int status;
		bool closes;
	} rows[] = {
		{ POST_KEEP LENGTH(2) "{}", 400, false }, /* read whole, and answered */
		{ "GET /v1/receipts/none HTTP/1.1\r\nHost: a\r\n\r\n", 404, false },
		{ POST_KEEP LENGTH(27) "{\"messages\":\"broken\",\"a\":1}", 500, false },
		{ "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404, true },
		{ "DELETE /health HTTP/1.1\r\nHost: a\r\n\r\n", 405, true },
		{ "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" LENGTH(2) "{}", 415, true },
		{ "POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" LENGTH(2) "{}", 404, true },
		{ POST_KEEP LENGTH(9999999), 413, true },
		{ "GET / HTTP/1.1\r\n\r\n", 400, true },
		{ POST_KEEP "Transfer-Encoding: chunked\r\n\r\n5;x\r\n", 400, true },
		{ POST_KEEP "Transfer-Encoding: chunked\r\n\r\n800001\r\n", 413, true },
		{ POST_KEEP "Expect: 101\r\n" LENGTH(2), 417, true },
	};
	struct running r = start((struct server_options){ 0 });
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int fd = dial(r.port);
		say(fd, rows[i].raw);
		expect_one(fd, rows[i].status, rows[i].closes ? "close" : NULL);
		say(fd, CANARY);
		if (rows[i].closes)
			cr_expect(is_closed(fd), "%zu", i);
		else
			expect_one(fd, 404, "close");
		close(fd);
	}
	stop(&r);
}

/* Sent ahead of the answer, a second request is not answered; sent after it, it is. */
Test(server_connections, no_request_is_taken_from_behind_another)
{
	struct running r = start((struct server_options){ 0 });
	static const char *const raw[] = {
		HEALTH CANARY,
		POST_KEEP LENGTH(15) "{\"messages\":[]}" CANARY,
		POST_KEEP "Transfer-Encoding: chunked\r\n\r\nf\r\n{\"messages\":[]}\r\n0\r\n\r\n" CANARY,
		"GET /nothing HTTP/1.1\r\nHost: a\r\n" LENGTH(3) "GET" CANARY,
		"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n\r\n", /* one CRLF too many */
	};
	for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
		struct buf b = talk(r.port, raw[i], strlen(raw[i]), 0);
		cr_expect_eq(count(&b, "HTTP/1."), 1, "%zu: %s", i, b.bytes);
		cr_expect_eq(count(&b, "Connection: close\r\n"), 1, "%zu: %s", i, b.bytes);
		buf_free(&b);
	}
	int fd = dial(r.port);
	post(fd, "", SAY("pieces=1 first=400"));
	usleep(150000);
	say(fd, CANARY);
	expect_one(fd, 200, "close");
	cr_expect(is_closed(fd));
	close(fd);
	stop(&r);
}

Test(server_connections, chunked_bodies_come_in_any_pieces)
{
	static const char raw[] =
		POST_KEEP "Transfer-Encoding: chunked\r\n\r\n"
			  "1\r\n{\r\n00e\r\n\"messages\":[]}\r\n0\r\n\r\n";
	struct running r = start((struct server_options){ 0 });
	int fd = dial(r.port);
	for (int step = 1; step < 30; step += 9) {
		for (size_t at = 0; at < sizeof raw - 1; at += (size_t)step) {
			size_t left = sizeof raw - 1 - at;
			put(fd, raw + at, left < (size_t)step ? left : (size_t)step);
			usleep(1000);
		}
		expect_one(fd, 200, NULL);
	}
	close(fd);
	static const char cut[] = POST_KEEP "Transfer-Encoding: chunked\r\n\r\n5\r\nab";
	expect_status(talk(r.port, cut, sizeof cut - 1, SHUT), 400);
	stop(&r);
}

Test(server_connections, continue_is_said_only_to_those_who_will_be_heard)
{
	static const struct {
		const char *raw;
		int interim, status;
	} rows[] = {
		{ POST "Expect: 100-continue\r\n" LENGTH(15) "{\"messages\":[]}", 0, 200 }, /* did not wait */
		{ "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" LENGTH(15), 0, 404 },
		{ "POST /health HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" LENGTH(15), 0, 405 },
		{ POST "Expect: 100-continue\r\n" LENGTH(99999999), 0, 413 },
		{ POST "Expect: 100-continue\r\n" LENGTH(0), 0, 400 },
		{ POST "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n", 1, 408 },
	};
	struct running r = start((struct server_options){ .body_timeout_ms = 300 });
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf b = talk(r.port, rows[i].raw, strlen(rows[i].raw), 0);
		cr_expect_eq(count(&b, "HTTP/1.1 100 Continue\r\n\r\n"), rows[i].interim, "%zu: %s", i, b.bytes);
		char line[20];
		snprintf(line, sizeof line, "HTTP/1.1 %d ", rows[i].status);
		cr_expect_eq(count(&b, line), 1, "%zu: %s", i, b.bytes);
		buf_free(&b);
	}
	stop(&r);
}

Test(server_connections, the_thousandth_request_is_the_last)
{
	struct running r = start((struct server_options){ 0 });
	int fd = dial(r.port);
	for (int i = 1; i <= 1000; i++) {
		say(fd, HEALTH);
		struct buf b = get_one(fd, false);
		cr_expect_eq(count(&b, "Connection: close"), i == 1000, "%d: %s", i, b.bytes);
		buf_free(&b);
	}
	cr_expect(is_closed(fd));
	close(fd);
	stop(&r);
}

static int threads(void)
{
	char text[4096] = "";
	FILE *f = fopen("/proc/self/status", "r");
	size_t n = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[n] = 0;
	const char *at = strstr(text, "Threads:");
	return at ? atoi(at + 8) : 0;
}

Test(server_connections, waiting_costs_no_thread)
{
	struct running r = start((struct server_options){ 0 });
	int fd[200];
	for (int i = 0; i < 200; i++) {
		fd[i] = dial(r.port);
		say(fd[i], i % 2 ? HEALTH : "GET /health HTTP/1.1\r\nHo");
	}
	for (int i = 1; i < 200; i += 2)
		expect_one(fd[i], 200, NULL);
	cr_expect_lt(threads(), 20, "%d threads", threads());
	for (int i = 0; i < 200; i++)
		say(fd[i], i % 2 ? HEALTH : "st: a\r\n\r\n");
	for (int i = 0; i < 200; i++) {
		expect_one(fd[i], 200, NULL);
		close(fd[i]);
	}
	stop(&r);
}

#define BURST 48
/* Requests that are worked on at once; returns how many threads there are that were not before. */
static int burst(const int fd[BURST], bool (*known)[1 << 22])
{
	struct dirent *d;
	int more = 0, opened = atomic_load(&fake_counts.opened);
	for (int i = 0; i < BURST; i++)
		post(fd[i], "", SAY("pieces=1 first=300"));
	wait_for(&fake_counts.opened, opened + BURST);
	DIR *dir = opendir("/proc/self/task");
	while ((d = readdir(dir)) != NULL) {
		bool *is = &(*known)[atoi(d->d_name) % (1 << 22)];
		more += !*is;
		*is = true;
	}
	closedir(dir);
	for (int i = 0; i < BURST; i++)
		expect_one(fd[i], 200, NULL);
	return more;
}

Test(server_connections, workers_of_a_burst_stay_for_the_next_and_end_without_one)
{
	static bool known[1 << 22]; /* thread ids are below that */
	struct running r = start((struct server_options){ .requests_max = 256 });
	int fd[BURST], more = BURST;
	for (int i = 0; i < BURST; i++)
		fd[i] = dial(r.port);
	burst(fd, &known);
	/* On a busy machine more time than they wait may pass between two. */
	for (int i = 0; i < 5 && more > BURST / 4; i++)
		more = burst(fd, &known);
	cr_expect_leq(more, BURST / 4, "%d threads of %d are new", more, BURST);
	for (int64_t end = now_ms() + 20000; now_ms() < end && threads() > 24;)
		usleep(50000);
	cr_expect_leq(threads(), 24, "%d threads", threads());
	for (int i = 0; i < BURST; i++)
		close(fd[i]);
	stop(&r);
}

Test(server_connections, the_one_that_is_idle_longest_makes_room)
{
	struct running r = start((struct server_options){ .connections_max = 3 });
	int fd[4];
	for (int i = 0; i < 3; i++) {
		fd[i] = dial(r.port);
		say(fd[i], i == 0 ? "G" : HEALTH);
		if (i > 0)
			expect_one(fd[i], 200, NULL);
		usleep(20000);
	}
	fd[3] = dial(r.port);
	say(fd[3], HEALTH);
	expect_one(fd[3], 200, NULL);
	cr_expect(is_closed(fd[1]), "the oldest of those that only wait");
	say(fd[2], HEALTH);
	expect_one(fd[2], 200, NULL);
	say(fd[0], HEALTH + 1);
	expect_one(fd[0], 200, NULL);
	for (int i = 0; i < 4; i++)
		close(fd[i]);
	stop(&r);
}

Test(server_connections, whoever_says_little_makes_room_for_one_who_asks)
{
	static const char *const little[] = { "", "G", POST_KEEP, POST_KEEP LENGTH(100) "{" };
	for (size_t k = 0; k < sizeof little / sizeof *little; k++) {
		struct running r = start((struct server_options){ .connections_max = 3 });
		int held[3], other;
		for (int i = 0; i < 3; i++) {
			held[i] = dial(r.port);
			say(held[i], little[k]);
		}
		for (int i = 0; i < 5; i++) {
			other = dial(r.port);
			say(other, HEALTH);
			expect_one(other, 200, NULL);
		}
		struct pollfd p[3]; /* one that a thread looks at just then is not the one */
		for (int i = 0; i < 3; i++)
			p[i] = (struct pollfd){ .fd = held[i], .events = POLLIN };
		cr_expect_gt(poll(p, 3, 5000), 0, "row %zu: nobody has made room", k);
		for (int i = 0; i < 3; i++)
			close(held[i]);
		close(other);
		stop(&r);
	}
}

Test(server_connections, a_body_that_is_coming_takes_no_thread_and_no_place)
{
	struct running r = start((struct server_options){ .requests_max = 8 });
	static const char body[] = SAY("hi");
	int fd[100];
	for (int i = 0; i < 100; i++) {
		char raw[400];
		fd[i] = dial(r.port);
		snprintf(raw, sizeof raw, POST_KEEP "Content-Length: %zu\r\n\r\n%.*s", sizeof body - 1,
			 1 + i % 20, body);
		say(fd[i], raw);
	}
	expect_status(chat(r.port, SAY("hi")), 200);
	cr_expect_lt(threads(), 20, "%d threads", threads());
	for (int i = 0; i < 100; i++) {
		say(fd[i], body + 1 + i % 20);
		expect_one(fd[i], 200, NULL);
		post(fd[i], "", SAY("again"));
		expect_one(fd[i], 200, NULL);
		close(fd[i]);
	}
	stop(&r);
}

Test(server_connections, a_body_is_the_same_however_it_is_cut)
{
	static const char raw[] = POST_KEEP "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"mes\r\n"
					    "9\r\nsages\":0}\r\n0\r\n\r\n";
	struct running r = start((struct server_options){ 0 });
	for (size_t cut = sizeof POST_KEEP; cut < sizeof raw - 1; cut += 3) {
		int fd = dial(r.port);
		put(fd, raw, cut);
		usleep(3000);
		put(fd, raw + cut, sizeof raw - 1 - cut);
		expect_one(fd, 200, NULL);
		say(fd, HEALTH);
		expect_one(fd, 200, NULL);
		close(fd);
	}
	stop(&r);
}

Test(server_connections, one_address_does_not_take_all_places)
{
	struct running r = start((struct server_options){ .requests_max = 8 });
	int fd[9], other = dial_from(r.port, 2);
	for (int i = 0; i < 6; i++) {
		fd[i] = dial(r.port);
		post(fd[i], "", SAY("pieces=1 first=3000"));
		wait_for(&fake_counts.opened, i + 1);
	}
	cr_expect_str_eq(fake_share(), "::ffff:127.0.0.1");
	fd[6] = dial(r.port); /* the last place is for what ends soon */
	post(fd[6], "", SAY("long"));
	expect_one(fd[6], 503, NULL);
	post(fd[6], "", "{\"max_tokens\":5," MESSAGE("short"));
	expect_one(fd[6], 200, NULL);
	post(fd[6], "", "{\"max_tokens\":5," MESSAGE("pieces=1 first=3000"));
	wait_for(&fake_counts.opened, 8);
	fd[7] = dial(r.port);
	post(fd[7], "", SAY("none"));
	expect_one(fd[7], 503, "close");
	say(other, HEALTH);
	expect_one(other, 200, NULL);
	post(other, "", SAY("long"));
	expect_one(other, 200, NULL);
	cr_expect_str_eq(fake_share(), "::ffff:127.0.0.2");
	for (int i = 0; i < 8; i++)
		close(fd[i]);
	close(other);
	stop(&r);
}

Test(server_connections, long_bodies_share_a_sum_and_short_ones_do_not)
{
	struct running r = start((struct server_options){ .long_bytes_max = 200000 });
	static char half[100000];
	int first = dial(r.port), second = dial(r.port);
	memset(half, ' ', sizeof half - 1);
	say(first, POST_KEEP LENGTH(150000));
	put(first, half, sizeof half);
	say(second, POST_KEEP LENGTH(150000));
	put(second, half, sizeof half);
	usleep(100000);
	put(second, half, 20000);
	struct buf b = get_one(second, false);
	cr_expect(status(&b) == 503 && count(&b, "too many long requests"), "%s", b.bytes);
	buf_free(&b);
	expect_status(chat(r.port, SAY("hi")), 200);
	close(first);
	close(second);
	usleep(300000);
	first = dial(r.port);
	say(first, POST_KEEP LENGTH(150000));
	put(first, half, sizeof half - 1);
	put(first, half, 50000 - sizeof SAY("hi") + 2);
	say(first, SAY("hi"));
	expect_one(first, 200, NULL);
	close(first);
	stop(&r);
}

Test(server_connections, long_bodies_of_one_address_leave_room_for_anothers)
{
	enum { LONG = 5000000, OTHER = 3000000 };
	struct running r = start((struct server_options){ 0 });
	static char half[LONG];
	int first = dial(r.port), second = dial(r.port), other = dial_from(r.port, 2);
	memset(half, ' ', sizeof half);
	say(first, POST_KEEP "Content-Length: 8000000\r\n\r\n");
	put(first, half, LONG);
	usleep(200000);
	say(second, POST_KEEP "Content-Length: 8000000\r\n\r\n");
	put(second, half, LONG);
	struct buf b = get_one(second, false);
	cr_expect(status(&b) == 503 && count(&b, "too many long requests"), "%s", b.bytes);
	buf_free(&b);
	say(other, POST_KEEP "Content-Length: 3000000\r\n\r\n");
	put(other, half, OTHER - sizeof SAY("hi") + 1);
	say(other, SAY("hi"));
	expect_one(other, 200, NULL);
	close(first), close(second), close(other);
	stop(&r);
}

Test(server_connections, whoever_has_said_nothing_yet_has_a_moment_and_then_makes_room)
{
	struct running r = start((struct server_options){ .connections_max = 2 });
	int first = dial(r.port), second = dial(r.port), third = dial(r.port); /* turned away */
	usleep(50000);
	say(first, HEALTH);
	expect_one(first, 200, NULL);
	usleep(400000);
	int fourth = dial(r.port);
	cr_expect(is_closed(first) || is_closed(second));
	say(third, HEALTH);
	expect_one(third, 200, NULL);
	close(first);
	close(second);
	close(third);
	close(fourth);
	stop(&r);
}

Test(server_connections, an_address_has_a_limit_of_its_own)
{
	struct running r = start((struct server_options){ .connections_max = 8, .address_connections_max = 2 });
	int held[2], other = dial_from(r.port, 2);
	for (int i = 0; i < 2; i++) {
		held[i] = dial(r.port);
		post(held[i], "", SAY("pieces=1 first=20000"));
		wait_for(&fake_counts.opened, i + 1);
	}
	expect_status(ask(r.port, "GET /health", "", NULL), 503);
	say(other, HEALTH);
	expect_one(other, 200, NULL);
	close(held[0]);
	wait_for(&fake_counts.aborted, 1);
	usleep(100000);
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	close(held[1]);
	close(other);
	stop(&r);
}

Test(server_connections, requests_beyond_the_limit_get_503)
{
	struct running r = start((struct server_options){ .requests_max = 1 });
	int fd = dial(r.port), other = dial(r.port);
	post(fd, "", SAY("pieces=1 first=600"));
	wait_for(&fake_counts.opened, 1);
	say(other, HEALTH);
	expect_one(other, 200, NULL); /* it lives: that takes no time */
	post(other, "", SAY("hi"));
	struct buf b = get_one(other, false);
	cr_expect(status(&b) == 503 && count(&b, "Retry-After: 1\r\n") == 1, "%s", b.bytes);
	buf_free(&b);
	expect_one(fd, 200, NULL);
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	close(fd);
	close(other);
	stop(&r);
}

Test(server_connections, a_stop_closes_what_waits_and_says_so_to_what_runs)
{
	struct running r = start((struct server_options){ 0 });
	int idle = dial(r.port), silent = dial(r.port), busy = dial(r.port);
	say(idle, HEALTH);
	expect_one(idle, 200, NULL);
	post(busy, "", SAY("pieces=1 first=500"));
	wait_for(&fake_counts.opened, 1);
	server_stop(r.s);
	cr_expect(is_closed(idle) && is_closed(silent));
	expect_one(busy, 200, "close");
	int64_t begin = now_ms();
	close(busy);
	stop(&r);
	cr_expect_lt(now_ms() - begin, 1000);
	close(idle);
	close(silent);
}

/* The place of a stream that broke off is used again at once. */
Test(server_connections, nothing_of_a_connection_is_left_to_the_next)
{
	struct running r = start((struct server_options){ .ping_ms = 50 });
	int fd = dial(r.port);
	post(fd, "", STREAM("pieces=1000 pause=20"));
	wait_for(&fake_counts.opened, 1);
	usleep(200000);
	close(fd);
	wait_for(&fake_counts.aborted, 1);
	usleep(100000);
	fd = dial(r.port);
	post(fd, "", SAY("pieces=1 first=500"));
	struct buf b = get_one(fd, false);
	cr_expect(status(&b) == 200 && count(&b, "ping") == 0, "%s", b.bytes);
	buf_free(&b);
	close(fd);
	stop(&r);
}

/* ---- deadlines, by a clock that the test moves ---- */

static int64_t read_time(void *ctx) { return atomic_load((_Atomic int64_t *)ctx); }

static void pass_ms(_Atomic int64_t *time_us, int64_t ms) { atomic_fetch_add(time_us, ms * 1000); }

static bool is_open(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 300) == 0;
}

Test(server_connections, deadlines_are_wall_clock_and_exact)
{
	static _Atomic int64_t time_us = 1000000;
	struct env env = env_system();
	env.clock = (struct clock){ read_time, read_time, &time_us, NULL };
	struct running r = start((struct server_options){ .env = &env });
	int silent = dial(r.port), idle = dial(r.port), late = dial(r.port);
	int head = dial(r.port), body = dial(r.port);
	say(idle, HEALTH);
	expect_one(idle, 200, NULL);
	say(late, HEALTH);
	expect_one(late, 200, NULL);
	say(head, "GET /health HTTP/1.1\r\n");
	say(body, POST_KEEP LENGTH(100) "{");
	usleep(200000);
	pass_ms(&time_us, 9900);
	cr_expect(is_open(silent) && is_open(head) && is_open(body));
	say(head, "X: y\r\n"); /* a byte now and then is no excuse */
	cr_expect(is_open(head));
	pass_ms(&time_us, 100);
	expect_one(head, 408, "close");
	cr_expect(is_closed(silent), "without a word");
	cr_expect(is_open(body) && is_open(idle));
	pass_ms(&time_us, 49900);
	say(body, "{");
	cr_expect(is_open(body));
	pass_ms(&time_us, 100);
	expect_one(body, 408, "close");
	say(late, "GET "); /* has the time of a head from here on */
	cr_expect(is_open(idle) && is_open(late));
	pass_ms(&time_us, 9900);
	say(late, "/health HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_one(late, 200, NULL);
	cr_expect(is_open(idle));
	pass_ms(&time_us, 5100);
	cr_expect(is_closed(idle), "75 s after its answer, without a word");
	cr_expect(is_open(late));
	close(silent), close(idle), close(head), close(body), close(late);
	stop(&r);
}

/* ---- many at once ---- */

static void *ask_often(void *arg)
{
	struct running *r = arg;
	int fd = dial(r->port);
	for (int i = 0; i < 150; i++) {
		if (i % 3 == 0)
			say(fd, HEALTH);
		else
			post(fd, "", i % 3 == 1 ? SAY("pieces=2") : STREAM("pieces=2"));
		struct buf b = get_one(fd, false);
		cr_expect_eq(status(&b), 200, "%s", b.bytes);
		cr_expect_eq(count(&b, "p1 "), i % 3 != 0);
		buf_free(&b);
		if (i % 50 == 49) {
			close(fd);
			fd = dial(r->port);
		}
	}
	close(fd);
	return NULL;
}

Test(server_connections, many_connections_do_not_mix)
{
	struct running r = start((struct server_options){ 0 });
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		cr_assert_eq(pthread_create(&t[i], NULL, ask_often, &r), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	stop(&r);
	cr_expect_eq(atomic_load(&fake_counts.ended), 800);
}

/* Half a head, a whole request, or nothing, and away: while others are served and room is short. */
static void *come_and_go(void *arg)
{
	struct running *r = arg;
	unsigned seed = (unsigned)(uintptr_t)&seed;
	for (int i = 0; i < 150; i++) {
		int fd = dial(r->port);
		int what = rand_r(&seed) % 5;
		if (what == 1)
			say(fd, "GET /hea");
		if (what == 2)
			say(fd, HEALTH);
		if (what == 3)
			post(fd, "", STREAM("pieces=3 pause=3"));
		if (what == 4) {
			say(fd, HEALTH);
			struct buf b = get_one(fd, false);
			buf_free(&b);
		}
		close(fd);
	}
	return NULL;
}

Test(server_connections, coming_and_going_harms_nobody)
{
	struct running r = start((struct server_options){ .connections_max = 6, .head_timeout_ms = 150 });
	pthread_t t[8];
	for (int i = 0; i < 8; i++)
		cr_assert_eq(pthread_create(&t[i], NULL, come_and_go, &r), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	usleep(500000);
	expect_status(ask(r.port, "GET /health", "", NULL), 200);
	stop(&r);
	cr_expect_eq(atomic_load(&fake_counts.opened),
		     atomic_load(&fake_counts.ended) + atomic_load(&fake_counts.aborted));
}
