/* Private: the route table, and who may use what is in it. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "server/respond.h"

/* Deny by default: a route says what it needs. */
enum need {
	NEED_ADMIN, /* a token with CALLER_ADMIN, also where no other token is asked for */
	NEED_TOKEN, /* a token, where the server asks for any */
	NEED_OPEN,  /* nothing */
};

struct route {
	const char *path, *method;
	enum need need;
	bool is_prefix;       /* of paths that go on */
	enum api_shape shape; /* of its errors, and of what is asked */
	/* The body is whole. A negative result: close the connection. */
	int (*answer)(struct exchange *x);
};

/* All there is; NULL after the last. */
const struct route *server_route_at(size_t i);

/* 0, or the status that refuses a caller: 401 or 403. known: of the server's options. caller: NULL:
 * without a valid token. */
int server_route_refuses(enum need need, bool asks_for_tokens, const struct caller *caller);

/* Everything that the head alone decides: route, caller, method, type of the body. 0: go on, 1: an
 * error was the answer, or a negative result of server_respond_error. */
int server_route_admit(struct exchange *x) MUST_USE;

#endif
