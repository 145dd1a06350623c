/* Cookies are no credentials here and tokens are sent by whoever holds them, so credentials are
 * never allowed, beside "*" or beside a name. What changes something is asked in JSON, which a page
 * may not send to another origin without asking first. */
#include "server/cors.h"
#include "server/answers.h"
#include "server/routes.h"
#include "base/text.h"

#include <string.h>

#define ORIGIN_BYTES_MAX 255
#define ASKED_BYTES_MAX 1024 /* names of header fields */
#define EXPOSED                                                                      \
	"Hallmark-Record, Hallmark-Receipt, X-Request-Id, Request-Id, Retry-After, " \
	"X-RateLimit-Limit-Requests, X-RateLimit-Remaining-Requests, "               \
	"X-RateLimit-Reset-Requests, X-RateLimit-Limit-Tokens, "                     \
	"X-RateLimit-Remaining-Tokens, X-RateLimit-Reset-Tokens"

/* ---- the option ---- */

static bool is_among(const char *s, size_t len, const char *bytes)
{
	for (size_t i = 0; i < len; i++)
		if (!strchr(bytes, s[i]) || !s[i])
			return false;
	return len > 0;
}

/* scheme://host[:port] as browsers write it: in small letters, with nothing behind it. */
static bool is_origin(const char *s, size_t len)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz",
			  host[] = "abcdefghijklmnopqrstuvwxyz0123456789-.:[]_";
	const char *colon = memchr(s, ':', len);
	size_t scheme = colon ? (size_t)(colon - s) : 0;
	if (len > ORIGIN_BYTES_MAX || len < scheme + 4 || memcmp(s + scheme, "://", 3) != 0)
		return false;
	const char *last = s + len - 1;
	return is_among(s, 1, letters) &&
	       is_among(s, scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") &&
	       is_among(s + scheme + 3, len - scheme - 3, host) && *last != ':';
}

int server_cors_check(const char *origins, struct err *e)
{
	if (!origins || strcmp(origins, "*") == 0)
		return 0;
	for (const char *at = origins;; at++) {
		size_t len = strcspn(at, ",");
		if (!is_origin(at, len))
			return err_set(e, ERR_INPUT,
				       "origins for CORS: expected * or names as "
				       "https://app.example,http://localhost:3000, found \"%.*s\"",
				       (int)(len > 200 ? 200 : len), at);
		at += len;
		if (!*at)
			return 0;
	}
}

/* ---- who asks ---- */

/* Never on the operator's socket, which no page can reach. */
static const char *origins_of(const struct exchange *x)
{
	return x->c->listener->admin ? NULL : x->s->limits.cors;
}

/* The value that lets the page read the answer; of length 0: none does. */
static struct head_slice allowed(const struct exchange *x)
{
	const char *origins = origins_of(x);
	struct head_slice origin = x->request.field[HEAD_ORIGIN];
	if (!origins || !origin.len || origin.len > ORIGIN_BYTES_MAX)
		return (struct head_slice){ "", 0 };
	if (strcmp(origins, "*") == 0)
		return (struct head_slice){ "*", 1 };
	return text_list_has(origins, origin.bytes, origin.len) ? origin
								: (struct head_slice){ "", 0 };
}

static void add_allowed(const struct exchange *x, struct buf *out)
{
	struct head_slice origin = allowed(x);
	const char *origins = origins_of(x);
	if (origins && strcmp(origins, "*") != 0)
		buf_add_text(out, "Vary: Origin\r\n");
	if (!origin.len)
		return;
	buf_add_text(out, "Access-Control-Allow-Origin: ");
	buf_add(out, origin.bytes, origin.len);
	buf_add_text(out, "\r\n");
}

void server_cors_add(const struct exchange *x, struct buf *out)
{
	add_allowed(x, out);
	if (!allowed(x).len)
		return;
	if (!server_cors_asks(x)) {
		buf_add_text(out, "Access-Control-Expose-Headers: " EXPOSED "\r\n");
		return;
	}
	struct head_slice asked = x->request.field[HEAD_ASKS_FIELDS];
	buf_add_text(out, "Access-Control-Allow-Methods: ");
	buf_add_text(out, x->route->method);
	if (asked.len) {
		buf_add_text(out, "\r\nAccess-Control-Allow-Headers: ");
		buf_add(out, asked.bytes, asked.len);
	}
	buf_add_text(out, "\r\nAccess-Control-Max-Age: 600\r\n");
}

/* ---- the question before a request ---- */

bool server_cors_asks(const struct exchange *x)
{
	return origins_of(x) && x->route && strcmp(x->request.method, "OPTIONS") == 0 &&
	       x->request.field[HEAD_ORIGIN].len && x->request.field[HEAD_ASKS_METHOD].len;
}

/* Names of fields are said back, whatever they are: which of them count is not the browser's
 * affair. */
static bool are_names(struct head_slice v)
{
	return v.len <= ASKED_BYTES_MAX &&
	       (!v.len ||
		is_among(v.bytes, v.len,
			 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, "));
}

int server_cors_answer(struct exchange *x)
{
	static const struct response nothing = { .status = 204 };
	const struct buf empty = { 0 };
	if (!allowed(x).len)
		return server_answer_error(x, 403, "pages of this origin may not ask here (CORS)");
	if (!are_names(x->request.field[HEAD_ASKS_FIELDS]))
		return server_answer_error(x, 400, "malformed Access-Control-Request-Headers");
	return server_respond_whole(x, &nothing, &empty);
}
