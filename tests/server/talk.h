/* What the tests of the server share: a server on a thread, a socket, what was said to it and back. */
#ifndef TESTS_SERVER_TALK_H
#define TESTS_SERVER_TALK_H

#include "base/buf.h"
#include "server/server.h"
#include "tests/server/fake_serve.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>

struct running {
	struct server *s;
	pthread_t thread;
	uint16_t port;
};

int64_t now_ms(void);

/* On a free port of 127.0.0.1. */
struct running start(struct server_options o);
/* The same, and at an operator's socket. */
struct running start_with_admin(struct server_options o);
void stop(struct running *r);

int dial(uint16_t port);
void put(int fd, const char *bytes, size_t len);
void say(int fd, const char *text);
/* Everything until the end of the stream, or 20 seconds. */
void get_all(int fd, struct buf *out);
/* One response by its own framing, headers and all: what follows it stays unread. NUL-terminated. */
struct buf get_one(int fd, bool without_body);
/* The server has closed: waits for it. False: it has sent more, or 5 s are over. */
bool is_closed(int fd);

enum { SHUT = 1 };
/* A connection of its own: say it, perhaps shut the sending side, hear all. NUL-terminated. */
struct buf talk(uint16_t port, const char *raw, size_t len, int flags);
/* The same with a request line and fields; says Connection: close. */
struct buf ask(uint16_t port, const char *line, const char *fields, const char *body);
struct buf chat(uint16_t port, const char *body);
/* As ask, at the operator's socket. */
struct buf order(const char *line, const char *fields, const char *body);
/* Whether that socket lets this user connect. */
bool may_order(void);

int status(const struct buf *b);
int count(const struct buf *b, const char *what);
void wait_for(atomic_int *counter, int value);

#define expect_status(answer, wanted)                                           \
	do {                                                                    \
		struct buf b_ = answer;                                         \
		cr_expect_eq(status(&b_), wanted, "%s: %s", #answer, b_.bytes); \
		cr_expect_eq(count(&b_, "HTTP/1."), 1);                         \
		cr_expect_eq(count(&b_, "Connection: close"), 1);               \
		buf_free(&b_);                                                  \
	} while (0)

#define MESSAGE(words) \
	"\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"" words "\"}]}"
#define SAY(words) "{" MESSAGE(words)
#define STREAM(words) "{\"stream\":true," MESSAGE(words)
#define POST_KEEP "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
#define POST POST_KEEP "Connection: close\r\n"

#endif
