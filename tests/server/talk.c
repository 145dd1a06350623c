#include "tests/server/talk.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *serve(void *arg)
{
	struct err e = { 0 };
	int r = server_run(arg, &e);
	cr_expect_eq(r, 0, "%s", e.text);
	return NULL;
}

struct running start(struct server_options o)
{
	struct running r = { 0 };
	struct err e = { 0 };
	if (o.listeners == 0)
		o.listener[o.listeners++].address = "127.0.0.1:0";
	cr_assert_eq(server_open(&r.s, NULL, &o, &e), 0, "%s", e.text);
	const char *colon = strrchr(server_address(r.s), ':');
	r.port = (uint16_t)atoi(colon + 1);
	cr_assert_neq(r.port, 0);
	cr_assert_eq(pthread_create(&r.thread, NULL, serve, r.s), 0);
	return r;
}

static char admin_path[64];

struct running start_with_admin(struct server_options o)
{
	snprintf(admin_path, sizeof admin_path, "/tmp/hallmark-admin-%ld.sock", (long)getpid());
	static char address[80];
	snprintf(address, sizeof address, "unix:%s", admin_path);
	o.listener[0].address = "127.0.0.1:0";
	o.listener[1] = (struct server_listener){ .address = address, .admin = true };
	o.listeners = 2;
	return start(o);
}

void stop(struct running *r)
{
	server_stop(r->s);
	pthread_join(r->thread, NULL);
	server_close(r->s);
}

int dial(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
	return fd;
}

void put(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

/* Everything until the end of the stream, or 20 seconds. */
void get_all(int fd, struct buf *out)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char part[4096];
	ssize_t n = 1;
	while (n > 0 && poll(&p, 1, 20000) == 1) {
		n = recv(fd, part, sizeof part, 0);
		if (n > 0)
			buf_add(out, part, (size_t)n);
	}
	cr_expect_leq(n, 0, "the server did not close");
	buf_add(out, "", 0);
	if (!out->bytes)
		buf_add_text(out, "");
}

struct buf talk(uint16_t port, const char *raw, size_t len, int flags)
{
	struct buf out = { 0 };
	int fd = dial(port);
	put(fd, raw, len);
	if (flags & SHUT)
		shutdown(fd, SHUT_WR);
	get_all(fd, &out);
	close(fd);
	buf_add_byte(&out, 0);
	return out;
}

static struct buf request(const char *line, const char *fields, const char *body)
{
	struct buf raw = { 0 };
	buf_printf(&raw, "%s HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n%s", line, fields);
	if (body)
		buf_printf(&raw, "Content-Type: application/json\r\nContent-Length: %zu\r\n",
			   strlen(body));
	buf_printf(&raw, "\r\n%s", body ? body : "");
	return raw;
}

struct buf ask(uint16_t port, const char *line, const char *fields, const char *body)
{
	struct buf raw = request(line, fields, body);
	struct buf out = talk(port, raw.bytes, raw.len, 0);
	buf_free(&raw);
	return out;
}

static int dial_admin(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", admin_path);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	close(fd);
	return -1;
}

bool may_order(void)
{
	int fd = dial_admin();
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

struct buf order(const char *line, const char *fields, const char *body)
{
	struct buf raw = request(line, fields, body), out = { 0 };
	int fd = dial_admin();
	cr_assert(fd >= 0, "%s", strerror(errno));
	put(fd, raw.bytes, raw.len);
	get_all(fd, &out);
	buf_add_byte(&out, 0);
	close(fd);
	buf_free(&raw);
	return out;
}

struct buf chat(uint16_t port, const char *body)
{
	return ask(port, "POST /v1/chat/completions", "", body);
}

int status(const struct buf *b)
{
	return b->len > 12 && memcmp(b->bytes, "HTTP/1.", 7) == 0 ? atoi(b->bytes + 9) : 0;
}

int count(const struct buf *b, const char *what)
{
	int n = 0;
	for (const char *s = b->bytes; (s = strstr(s, what)) != NULL; s++)
		n++;
	return n;
}

#define PATIENCE_MS 30000 /* a loaded machine is slow, and that is no fault */

void wait_for(atomic_int *counter, int value)
{
	for (int64_t end = now_ms() + PATIENCE_MS; atomic_load(counter) < value && now_ms() < end;)
		usleep(2000);
	cr_expect_eq(atomic_load(counter), value, "expected %d, found %d", value,
		     atomic_load(counter));
}

void say(int fd, const char *text) { put(fd, text, strlen(text)); }

/* One byte, or false at the end. */
static bool get_byte(int fd, struct buf *out)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;
	if (poll(&p, 1, 20000) != 1 || recv(fd, &c, 1, 0) != 1)
		return false;
	buf_add_byte(out, (unsigned char)c);
	return true;
}

static bool get_bytes(int fd, struct buf *out, size_t len)
{
	while (len > 0 && get_byte(fd, out))
		len--;
	return len == 0;
}

static bool get_line(int fd, struct buf *out)
{
	while (get_byte(fd, out))
		if (out->len >= 2 && memcmp(out->bytes + out->len - 2, "\r\n", 2) == 0)
			return true;
	return false;
}

static void get_chunks(int fd, struct buf *out)
{
	for (;;) {
		size_t at = out->len;
		if (!get_line(fd, out))
			return;
		size_t len = strtoul(out->bytes + at, NULL, 16);
		if (!get_bytes(fd, out, len + 2) || len == 0)
			return;
	}
}

struct buf get_one(int fd, bool without_body)
{
	struct buf out = { 0 };
	size_t at = 0;
	while (get_line(fd, &out) && out.len - at > 2)
		at = out.len;
	const char *length = out.bytes ? strstr(out.bytes, "\r\nContent-Length: ") : NULL;
	if (length && !without_body)
		get_bytes(fd, &out, strtoul(length + 18, NULL, 10));
	else if (out.bytes && strstr(out.bytes, "\r\nTransfer-Encoding: chunked\r\n"))
		get_chunks(fd, &out);
	buf_add_byte(&out, 0);
	return out;
}

bool is_closed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;
	return poll(&p, 1, 5000) == 1 && recv(fd, &c, 1, 0) <= 0;
}
