/* The head has been checked; who may ask what is decided before the body is read; then one answer.
 * The body comes in as the head does, without a thread that waits for it. A connection lives on
 * only after a request that was read to its exact end, with nothing behind it: what a client sends
 * before its answer has begun is never taken for another request. */
#include "server/request.h"
#include "server/request_line.h"
#include "server/body.h"
#include "server/routes.h"
#include "server/table.h"
#include "server/wire.h"
#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READS_AT_ONCE 64 /* of one event; then others have their turn */

static enum request_end refuse(struct exchange *x, int status, const char *reason)
{
	x->status = status;
	x->reason = reason;
	x->keeps = false;
	return REQUEST_WHOLE;
}

/* Of the body, or what is behind it. */
static enum request_end take(struct exchange *x, const char *bytes, size_t len)
{
	struct buf *to = &x->request.body;
	size_t used;
	enum body_result r = server_body_take(&x->body, bytes, len, &used, to);
	x->keeps &= used == len;
	x->came += used;
	if (r == BODY_REFUSED)
		return refuse(x, x->body.status, x->body.reason);
	if (to->failed)
		return refuse(x, 503, "out of memory");
	if (!server_table_hold(x->c, &x->held, to->len))
		return refuse(x, 503, "too many long requests at once");
	return r == BODY_WHOLE ? REQUEST_WHOLE : REQUEST_WAITS;
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

static enum request_end end_of(const struct exchange *x, int rc)
{
	return rc < 0 ? REQUEST_BROKE : x->keeps ? REQUEST_KEEPS : REQUEST_WAS_LAST;
}

static struct exchange *new_exchange(struct connection *c)
{
	const struct head *h = &c->in->head;
	struct exchange *x = calloc(1, sizeof *x);
	if (!x)
		return NULL;
	x->s = c->s;
	x->c = c;
	x->request = (struct request){ .method = h->method,
				       .path = h->path,
				       .query = h->query,
				       .field = h->field,
				       .http10 = h->http10 };
	x->came = h->bytes;
	server_line_begin(x);
	x->keeps = server_head_keeps_open(h) && ++c->requests < SERVER_REQUESTS_EACH;
	return x;
}

enum request_end server_request_begin(struct connection *c)
{
	struct intake *in = c->in;
	struct exchange *x = c->asked = new_exchange(c);
	if (!x)
		return REQUEST_BROKE;
	int rc = server_route_admit(x);
	if (rc == 0)
		rc = say_continue(x);
	if (rc != 0)
		return end_of(x, rc);
	server_body_start(&x->body, &in->head);
	return take(x, in->bytes + in->head.bytes, in->have - in->head.bytes);
}

enum request_end server_request_take(struct connection *c)
{
	struct exchange *x = c->asked;
	enum request_end end = REQUEST_WAITS;
	char bytes[KIB(16)];
	for (int i = 0; end == REQUEST_WAITS && (i < READS_AT_ONCE || server_wire_has_pending(c));
	     i++) {
		size_t most = x->body.state == BODY_COUNTED && x->body.left < sizeof bytes
				      ? (size_t)x->body.left
				      : sizeof bytes;
		ssize_t n = server_wire_recv(c, bytes, most);
		if (n == -EAGAIN || n == -EINTR)
			return REQUEST_WAITS;
		if (n < 0)
			return REQUEST_BROKE;
		end = n ? take(x, bytes, (size_t)n) : refuse(x, 400, "the body is cut short");
	}
	return end;
}

enum request_end server_request_answer(struct connection *c)
{
	struct exchange *x = c->asked;
	struct api_error error = { .status = x->status, .message = x->reason };
	return end_of(x, x->status ? server_respond_error(x, &error, NULL) : x->route->answer(x));
}

void server_request_free_body(struct exchange *x) { buf_free(&x->request.body); }

void server_request_drop_body(struct exchange *x)
{
	buf_free(&x->request.body);
	server_table_let_go(x->s, &x->held);
}

void server_request_drop(struct connection *c)
{
	struct exchange *x = c->asked;
	if (!x)
		return;
	server_line_end(x);
	server_request_drop_body(x);
	buf_free(&x->out);
	free(x);
	c->asked = NULL;
}
