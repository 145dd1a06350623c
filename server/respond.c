#include "server/cors.h"
#include "server/meter.h"
#include "server/routes.h"
#include "base/limits.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
	int status;
	const char *phrase;
} phrases[] = {
	{ 200, "OK" },
	{ 204, "No Content" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 411, "Length Required" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 417, "Expectation Failed" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

int server_status_at(size_t i)
{
	return i < sizeof phrases / sizeof *phrases ? phrases[i].status : 0;
}

static const char *phrase_of(int status)
{
	for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "";
}

/* Date: Sun, 06 Nov 1994 08:49:37 GMT. Written once a second: a thread's answers are often of the
 * same. */
static void add_date(struct buf *out, const struct server *s)
{
	static const char days[] = "SunMonTueWedThuFriSat",
			  months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static _Thread_local char text[48];
	static _Thread_local time_t of = -1;
	time_t seconds = (time_t)(env_now_us(&s->env) / 1000000);
	struct tm t;
	if (seconds != of) {
		if (!gmtime_r(&seconds, &t))
			return;
		snprintf(text, sizeof text, "Date: %.3s, %02d %.3s %d %02d:%02d:%02d GMT\r\n",
			 days + 3 * t.tm_wday, t.tm_mday, months + 3 * t.tm_mon, t.tm_year + 1900,
			 t.tm_hour, t.tm_min, t.tm_sec);
		of = seconds;
	}
	buf_add_text(out, text);
}

static void add_number(struct buf *out, size_t v)
{
	char digits[24];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + v % 10);
	while (v /= 10);
	buf_add(out, digits + at, sizeof digits - at);
}

static void add_field(struct buf *out, const char *name, const char *value)
{
	buf_add_text(out, name);
	buf_add_text(out, ": ");
	buf_add_text(out, value);
	buf_add_text(out, "\r\n");
}

/* Everything but the fields that frame the body, and the blank line. */
static void add_head(struct buf *out, const struct server *s, const struct response *r,
		     const char *connection)
{
	buf_add_text(out, "HTTP/1.1 ");
	add_number(out, (size_t)r->status);
	buf_add_byte(out, ' ');
	buf_add_text(out, phrase_of(r->status));
	buf_add_text(out, "\r\n");
	add_date(out, s);
	if (connection)
		add_field(out, "Connection", connection);
	if (r->type)
		add_field(out, "Content-Type", r->type);
	buf_add_text(out, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
	if (r->status == 503)
		buf_add_text(out, "Retry-After: 1\r\n");
	for (const char *const *f = r->field; f && f[0]; f += 2)
		add_field(out, f[0], f[1]);
}

/* Clients name it when they ask about an answer; each kind by its own field. */
static void add_id(struct exchange *x)
{
	add_field(&x->out, "X-Request-Id", x->id);
	if (x->route && x->route->shape == API_MESSAGES)
		add_field(&x->out, "Request-Id", x->id);
}

/* What has been sent is counted. */
static int write_out(struct exchange *x, const char *bytes, size_t len)
{
	TRY(server_connection_write(x->c, bytes, len));
	x->sent += len;
	return 0;
}

/* The head of an answer to x into x->out. What the client has sent behind its request is never
 * taken for another one: that is where requests are smuggled. HTTP/1.1 keeps a connection unless it
 * is told; 1.0 closes it. */
static void start(struct exchange *x, const struct response *r)
{
	bool ended;
	x->ahead = server_connection_begin(x->c, &ended);
	ended |= atomic_load(&x->s->stopping);
	x->keeps = x->keeps && !ended && !server_connection_has_more(x->c);
	const char *keep = x->request.http10 ? "keep-alive" : NULL;
	x->answered = r->status;
	add_head(&x->out, x->s, r, x->keeps ? keep : "close");
	server_meter_fields(&x->out, &x->quota);
	server_cors_add(x, &x->out);
	add_id(x);
}

/* What has gathered in x->out. */
static int flush(struct exchange *x)
{
	if (x->out.failed)
		return ERR_NOMEM;
	int rc = write_out(x, x->out.bytes + x->ahead, x->out.len - x->ahead);
	buf_clear(&x->out);
	x->ahead = 0;
	return rc;
}

int server_respond_whole(struct exchange *x, const struct response *r, const struct buf *body)
{
	bool small = body->len <= KIB(64), silent = strcmp(x->request.method, "HEAD") == 0;
	if (body->failed)
		return ERR_NOMEM;
	start(x, r);
	if (r->status != 204) {
		buf_add_text(&x->out, "Content-Length: ");
		add_number(&x->out, body->len);
		buf_add_text(&x->out, "\r\n");
	}
	buf_add_text(&x->out, "\r\n");
	if (small && !silent)
		buf_add(&x->out, body->bytes, body->len);
	TRY(flush(x));
	return small || silent ? 0 : write_out(x, body->bytes, body->len);
}

int server_respond_error(struct exchange *x, const struct api_error *error,
			 const char *const *field)
{
	struct response r = { error->status, "application/json", field };
	struct buf body = { 0 };
	struct api_error named = *error;
	named.request_id = x->id;
	x->error = error->code;
	api_error_json(&body, x->route ? x->route->shape : API_CHAT, &named);
	buf_add_byte(&body, '\n');
	int rc = server_respond_whole(x, &r, &body);
	buf_free(&body);
	return rc;
}

/* HTTP/1.0 has no chunks: there the end of the connection is the end of the response. An empty
 * chunk would be the end. */
static void add_part(struct exchange *x, struct buf *part)
{
	x->out.failed |= part->failed;
	if (!part->len)
		return;
	if (x->chunked)
		buf_printf(&x->out, "%zx\r\n", part->len);
	buf_add_buf(&x->out, part);
	if (x->chunked)
		buf_add_text(&x->out, "\r\n");
	buf_clear(part);
}

int server_respond_begin(struct exchange *x, const struct response *r, struct buf *part)
{
	x->chunked = !x->request.http10;
	x->keeps &= x->chunked;
	start(x, r);
	buf_add_text(&x->out, x->chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
	add_part(x, part);
	TRY(flush(x));
	server_connection_stream(x->c, x->chunked);
	return 0;
}

int server_respond_part(struct exchange *x, struct buf *part)
{
	add_part(x, part);
	return x->out.len || x->out.failed ? flush(x) : 0;
}

int server_respond_end(struct exchange *x, struct buf *part)
{
	server_connection_stream_end(x->c);
	add_part(x, part);
	if (x->chunked)
		buf_add_text(&x->out, "0\r\n\r\n");
	return x->out.len || x->out.failed ? flush(x) : 0;
}

void server_respond_refusal(struct buf *out, const struct server *s, int status,
			    const char *message, bool without_body)
{
	static const char *const allow[] = { "Allow", "GET, POST", NULL };
	struct response r = { status, "application/json", status == 405 ? allow : NULL };
	struct buf body = { 0 };
	api_error_json(&body, API_CHAT,
		       &(struct api_error){ .status = status, .message = message });
	buf_add_byte(&body, '\n');
	add_head(out, s, &r, "close");
	buf_printf(out, "Content-Length: %zu\r\n\r\n", body.len);
	if (!without_body)
		buf_add_buf(out, &body);
	out->failed |= body.failed;
	buf_free(&body);
}
