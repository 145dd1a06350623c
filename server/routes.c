/* The route table. What is not listed is 404, another method 405; every route but /health asks for
 * a token when the server has any. */
#include "server/routes.h"
#include "server/chat.h"
#include "api/api.h"
#include "server/reply.h"
#include "server/state.h"
#include "base/limits.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct route;

/* One request in the library's hands. */
struct exchange {
	struct server *s;
	struct MHD_Connection *connection;
	const struct route *route;
	const char *rest; /* of the path, after a prefix route */
	char client[64];  /* handle of the token's owner, or "" */
	struct buf body;
	struct chat *chat; /* owned until a response takes it */
};

enum { OPEN = 1, PREFIX = 2 };

struct route {
	const char *path, *method;
	int flags;
	bool (*answer)(struct exchange *x); /* false: drop the connection */
};

/* ---- answers ---- */

static bool answer_health(struct exchange *x)
{
	struct buf body = { 0 };
	buf_add_text(&body, "{\"status\":\"ok\"}\n");
	return reply_body(x->connection, 200, "application/json", NULL, &body);
}

static bool answer_models(struct exchange *x)
{
	struct buf body = { 0 };
	const char *model = serve_service_model(x->s->service);
	buf_add_text(&body, "{\"object\":\"list\",\"data\":[{\"id\":");
	text_json_string(&body, model, strlen(model));
	buf_printf(&body, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"hallmark\"}]}\n",
		   (long long)serve_service_created(x->s->service));
	return reply_body(x->connection, 200, "application/json", NULL, &body);
}

static bool is_receipt_id(const char *s)
{
	size_t len = strlen(s);
	for (size_t i = 0; i < len; i++)
		if (!strchr("-_./", s[i]) && !(s[i] >= '0' && s[i] <= '9') &&
		    !(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z'))
			return false;
	return len > 0 && len <= 128;
}

/* False when there is nobody to answer. */
static bool answer_failure(struct exchange *x, int code, const struct err *err, const char *name)
{
	return code != CHAT_GONE &&
	       reply_error(x->connection, api_error_status(code), err->text, name, NULL);
}

static bool answer_receipt(struct exchange *x)
{
	struct buf body = { 0 };
	struct err err = { 0 };
	if (!is_receipt_id(x->rest))
		return reply_error(x->connection, 404, "no such receipt", NULL, NULL);
	int r = serve_service_receipt(x->s->service, x->rest, &body, &err);
	if (r == 0)
		return reply_body(x->connection, 200, "text/plain; charset=utf-8", NULL, &body);
	buf_free(&body);
	if (api_error_status(r) == 500) {
		fprintf(stderr, "hallmark: receipt %s: %s\n", x->rest, err.text);
		err_set(&err, r, "internal error: %s", err_name(r));
	}
	return answer_failure(x, r, &err, NULL);
}

static bool is_json(const char *type)
{
	static const char json[] = "application/json";
	size_t n = sizeof json - 1;
	return type && strncasecmp(type, json, n) == 0 && (type[n] == 0 || strchr("; \t", type[n]));
}

static bool answer_plain(struct exchange *x, int fd)
{
	struct buf body = { 0 };
	struct err err = { 0 };
	const char *receipt;
	int r = chat_wait_end(x->chat, fd, &body, &receipt, &err);
	if (r != 0)
		return answer_failure(x, r, &err, NULL);
	const char *const header[] = { "Hallmark-Record", chat_record(x->chat),
				       receipt[0] ? "Hallmark-Receipt" : NULL, receipt, NULL };
	return reply_body(x->connection, 200, "application/json", header, &body);
}

static bool answer_stream(struct exchange *x, int fd)
{
	struct MHD_Response *r = chat_response(x->chat, fd);
	if (!r)
		return false;
	reply_common(r, "text/event-stream");
	MHD_add_response_header(r, "Hallmark-Record", chat_record(x->chat));
	x->chat = NULL;
	bool ok = MHD_queue_response(x->connection, 200, r) == MHD_YES;
	MHD_destroy_response(r);
	return ok;
}

static bool answer_chat(struct exchange *x)
{
	struct err err = { 0 };
	int fd = MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_CONNECTION_FD)
			 ->connect_fd;
	int r = chat_start(&x->chat, x->s, &x->body, x->client, &err);
	if (r == 0)
		r = chat_wait_open(x->chat, fd, &err);
	if (r != 0)
		return answer_failure(x, r, &err, r == ERR_NOTFOUND ? "model_not_found" : NULL);
	return chat_streams(x->chat) ? answer_stream(x, fd) : answer_plain(x, fd);
}

static const struct route routes[] = {
	{ "/health", "GET", OPEN, answer_health },
	{ "/v1/models", "GET", 0, answer_models },
	{ "/v1/chat/completions", "POST", 0, answer_chat },
	{ "/v1/receipts/", "GET", PREFIX, answer_receipt },
};

/* ---- admission ---- */

static const struct route *find_route(const char *path)
{
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		const struct route *r = &routes[i];
		if (r->flags & PREFIX ? text_starts(path, r->path) && path[strlen(r->path)]
				      : strcmp(path, r->path) == 0)
			return r;
	}
	return NULL;
}

/* Compare with every token, each in full: the time tells nothing of which or how far. */
static bool is_token_known(const struct server *s, const struct digest *d)
{
	unsigned found = 0;
	for (size_t i = 0; i < s->tokens_count; i++) {
		unsigned differs = 0;
		for (size_t k = 0; k < sizeof d->bytes; k++)
			differs |= (unsigned)(s->tokens[i].bytes[k] ^ d->bytes[k]);
		found |= differs == 0;
	}
	return found;
}

static bool is_allowed(struct exchange *x)
{
	const char *v =
		MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Authorization");
	if ((x->route->flags & OPEN) || x->s->tokens_count == 0)
		return true;
	if (!v || strncasecmp(v, "Bearer ", 7) != 0)
		return false;
	struct digest d = digest_of(v + 7, strlen(v + 7));
	char hex[65];
	digest_hex(&d, hex);
	snprintf(x->client, sizeof x->client, "token:%.16s", hex);
	return is_token_known(x->s, &d);
}

/* Everything that the head alone decides. 0: go on and take the body; 1: an answer has been queued;
 * -1: it could not be. */
static int refuse_by_head(struct exchange *x, const char *method)
{
	const char *const allow[] = { "Allow", x->route ? x->route->method : "", NULL };
	static const char *const ask[] = { "WWW-Authenticate", "Bearer", NULL };
	bool ok;
	if (!x->route)
		ok = reply_error(x->connection, 404, "no such route", NULL, NULL);
	else if (!is_allowed(x))
		ok = reply_error(x->connection, 401, "a valid bearer token is required",
				 "invalid_api_key", ask);
	else if (strcmp(method, x->route->method) != 0 &&
		 !(strcmp(method, "HEAD") == 0 && strcmp(x->route->method, "GET") == 0))
		ok = reply_error(x->connection, 405, "method not allowed", NULL, allow);
	else if (strcmp(method, "POST") == 0 &&
		 !is_json(MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND,
						      "Content-Type")))
		ok = reply_error(x->connection, 415, "expected Content-Type: application/json",
				 NULL, NULL);
	else
		return 0;
	return ok ? 1 : -1;
}

static enum MHD_Result begin(struct server *s, struct MHD_Connection *connection, const char *url,
			     const char *method, void **state)
{
	struct exchange *x = calloc(1, sizeof *x);
	if (!x)
		return MHD_NO;
	*state = x;
	x->s = s;
	x->connection = connection;
	x->route = find_route(url);
	x->rest = x->route ? url + strlen(x->route->path) : url;
	return refuse_by_head(x, method) < 0 ? MHD_NO : MHD_YES;
}

enum MHD_Result routes_answer(void *cls, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_len, void **state)
{
	(void)version;
	if (!*state)
		return begin(cls, connection, url, method, state);
	struct exchange *x = *state;
	if (*upload_len == 0)
		return x->route->answer(x) ? MHD_YES : MHD_NO;
	if (x->body.len + *upload_len >
	    LIMIT_REQUEST_BYTES) /* the gate has counted: cannot happen */
		return MHD_NO;
	buf_add(&x->body, upload, *upload_len);
	*upload_len = 0;
	return x->body.failed ? MHD_NO : MHD_YES;
}

void routes_completed(void *cls, struct MHD_Connection *connection, void **state,
		      enum MHD_RequestTerminationCode code)
{
	struct exchange *x = *state;
	(void)cls, (void)connection, (void)code;
	if (!x)
		return;
	chat_leave(x->chat);
	buf_free(&x->body);
	free(x);
	*state = NULL;
}
