/* The head has been checked; who may ask what is decided before the body is read; then one answer.
 * A connection lives on only after a request that was read to its exact end, with nothing behind
 * it: what a client sends before its answer has begun is never taken for another request. */
#include "server/request.h"
#include "server/body.h"
#include "server/routes.h"
#include "server/table.h"
#include "base/limits.h"

#include <string.h>

/* 0, CLIENT_GONE, or the status of a refusal with its reason. */
static int read_body(struct exchange *x, struct body *b, const char **reason)
{
	char bytes[KIB(16)];
	struct intake *in = x->c->in;
	int64_t deadline = server_now_ms(x->s) + x->s->limits.body_timeout_ms;
	size_t used;
	const char *next = in->bytes + in->head.bytes;
	size_t len = in->have - in->head.bytes;
	server_body_start(b, &in->head);
	for (;;) {
		enum body_result r = server_body_take(b, next, len, &used, &x->request.body);
		*reason = b->reason;
		if (r == BODY_REFUSED)
			return b->status;
		*reason = "out of memory";
		if (x->request.body.failed)
			return 503;
		x->keeps &= used == len;
		if (r == BODY_WHOLE)
			return 0;
		size_t most = b->state == BODY_COUNTED && b->left < sizeof bytes ? (size_t)b->left
										 : sizeof bytes;
		ssize_t n = server_connection_read(x->c, bytes, most, deadline);
		*reason = n == 0 ? "the body is cut short" : "the body took too long";
		if (n <= 0)
			return n == 0 ? 400 : n == CLIENT_LATE ? 408 : CLIENT_GONE;
		next = bytes;
		len = (size_t)n;
	}
}

/* Asked for before the body, by a client that waits: none of it has come. */
static int say_continue(struct exchange *x)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const struct intake *in = x->c->in;
	if (!in->head.expects_continue || in->have > in->head.bytes)
		return 0;
	return server_connection_write(x->c, go_on, sizeof go_on - 1);
}

static int answer_request(struct exchange *x)
{
	struct body b;
	const char *reason = NULL;
	int rc = server_route_admit(x);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	TRY(say_continue(x));
	int status = read_body(x, &b, &reason);
	if (status < 0)
		return status;
	x->keeps &= status == 0;
	return status ? server_respond_error(x, status, reason, NULL, NULL) : x->route->answer(x);
}

enum request_end server_request_run(struct connection *c)
{
	struct server *s = c->s;
	const struct head *h = &c->in->head;
	struct exchange x = {
		.s = s,
		.c = c,
		.request = { .method = h->method,
			     .path = h->path,
			     .query = h->query,
			     .field = h->field,
			     .http10 = h->http10 },
		.keeps = server_head_keeps_open(h) && ++c->requests < SERVER_REQUESTS_EACH,
	};
	int rc = answer_request(&x);
	buf_free(&x.request.body);
	buf_free(&x.out);
	return rc < 0 ? REQUEST_BROKE : x.keeps ? REQUEST_KEEPS : REQUEST_WAS_LAST;
}
