/* Private: one request that is being answered, and the writer of its response. Every answer goes
 * out through here. */
#ifndef SERVER_RESPOND_H
#define SERVER_RESPOND_H

#include "api/api.h"
#include "base/buf.h"
#include "server/body.h"
#include "server/connection.h"
#include "serve/serve.h"

struct request {
	const char *method, *path; /* path: decoded */
	struct head_slice query;
	const struct head_slice *field; /* [HEAD_FIELDS] */
	bool http10;
	struct buf body; /* whole */
};

struct route;
struct exchange {
	struct server *s;
	struct connection *c;
	struct request request;
	struct body body;            /* as it is coming */
	int status;                  /* of a refusal of it, or 0 */
	const char *reason;          /* of that */
	const struct route *route;   /* NULL: there is none */
	const char *rest;            /* of the path, after a prefix route */
	struct access_caller caller; /* an empty id: nobody has to say who they are */
	struct access_state quota;   /* of it */
	bool keeps;                  /* the connection is for another request afterwards */
	struct server_held held;     /* of the body */
	bool chunked;                /* these three: the writer's */
	size_t ahead;                /* bytes of the head that have been sent */
	struct buf out;
	char id[32];              /* of the request: "req_" and 24 hex digits */
	int answered;             /* with this status; 0: not yet */
	const char *error;        /* the code of an error that was answered, or NULL; static */
	int64_t begun_us;         /* steady */
	uint64_t came, sent;      /* bytes */
	struct serve_facts facts; /* of a chat */
};

struct response {
	int status;
	const char *type;         /* Content-Type; NULL: there is no body */
	const char *const *field; /* name, value, ..., NULL: further fields; may be NULL */
};

/* All return 0, CLIENT_GONE or ERR_NOMEM (nothing can be answered); in both cases the connection is
 * to be closed. A HEAD request gets the fields alone. */
int server_respond_whole(struct exchange *x, const struct response *r,
			 const struct buf *body) MUST_USE;
int server_respond_error(struct exchange *x, const struct api_error *error,
			 const char *const *field) MUST_USE;

/* A response whose length is not known: begin, any number of parts, end. Each goes out at once,
 * with what it is given of the body: `part` is left empty, and may have been before. Where the end
 * is left out, the client sees that it was cut off. */
int server_respond_begin(struct exchange *x, const struct response *r, struct buf *part) MUST_USE;
int server_respond_part(struct exchange *x, struct buf *part) MUST_USE;
int server_respond_end(struct exchange *x, struct buf *part) MUST_USE;

/* The statuses that there are; 0 after the last. */
int server_status_at(size_t i);

/* An error response that closes, whole, for a request that does not come to be answered. */
void server_respond_refusal(struct buf *out, const struct server *s, int status,
			    const char *message, bool without_body);

#endif
