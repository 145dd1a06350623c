/* Private: the route table, and who may use what is in it. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "server/respond.h"

/* Which listeners have it. */
enum route_place {
	ROUTE_PUBLIC,
	ROUTE_ADMIN, /* the operator's socket alone: as if it were nowhere else */
	ROUTE_BOTH,
};

struct route {
	const char *path, *method;
	enum route_place place;
	/* Deny by default: a caller has one of these permissions, or the route is ACCESS_OPEN. */
	unsigned needs;
	unsigned scope;       /* that a token must have too; 0: any will do */
	bool is_prefix;       /* of paths that go on */
	bool measures;        /* server_options.metrics says who else may use it */
	enum api_shape shape; /* of its errors, and of what is asked */
	/* What others have here and this server does not: whoever may ask is told so, by the head
	 * alone; NULL: it is answered. */
	const char *lacks;
	/* The body is whole. A negative result: close the connection. */
	int (*answer)(struct exchange *x);
};

/* All there is; NULL after the last. */
const struct route *server_route_at(size_t i);

/* 0, or the status that refuses a caller: 401 or 403. caller: NULL: without a valid token, where
 * one is asked for. */
int server_route_refuses(const struct route *r, const struct access_caller *caller);

/* Whether the caller of a route that is open to all has one of these permissions besides. */
bool server_route_may(struct exchange *x, unsigned permissions);

/* Everything that the head alone decides: route, caller, method, type of the body. 0: go on, 1: an
 * error was the answer, or a negative result of server_respond_error. */
int server_route_admit(struct exchange *x) MUST_USE;

#endif
