/* What the head of a request alone decides: whether there is such a route, whether its caller may
 * use it, the method, the type of the body. */
#include "server/answers.h"
#include "server/meter.h"
#include "server/cors.h"
#include "server/routes.h"
#include "server/table.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool is_at(const struct route *r, const char *path)
{
	return r->is_prefix ? text_starts(path, r->path) && path[strlen(r->path)]
			    : strcmp(path, r->path) == 0;
}

/* Whether this kind of listener has it. */
static bool is_here(const struct route *r, bool admin, enum server_metrics metrics)
{
	if (r->measures && !admin && metrics == SERVER_METRICS_ADMIN)
		return false;
	return r->place != (admin ? ROUTE_PUBLIC : ROUTE_ADMIN);
}

/* NULL: no such route on this kind of listener. */
static const struct route *find_route(const struct exchange *x)
{
	const struct route *r;
	for (size_t i = 0; (r = server_route_at(i)) != NULL; i++)
		if (is_here(r, x->c->listener->admin, x->s->limits.metrics) &&
		    is_at(r, x->request.path))
			return r;
	return NULL;
}

int server_route_refuses(const struct route *r, const struct access_caller *caller)
{
	if (r->needs & ACCESS_OPEN)
		return 0;
	if (!caller)
		return 401;
	if (!(r->needs & caller->permissions))
		return caller->id[0] ? 403 : 401; /* a token could help */
	return r->scope && !(r->scope & caller->scopes) ? 403 : 0;
}

/* What a client says to be known by: a bearer token, or Anthropic's x-api-key. Two that differ are
 * none. */
static bool find_secret(const struct exchange *x, struct head_slice *out)
{
	struct head_slice bearer = x->request.field[HEAD_AUTHORIZATION];
	struct head_slice key = x->request.field[HEAD_API_KEY];
	if (bearer.len < 7 || strncasecmp(bearer.bytes, "Bearer ", 7) != 0) {
		*out = key;
		return key.bytes != NULL;
	}
	*out = (struct head_slice){ bearer.bytes + 7, bearer.len - 7 };
	for (; out->len && *out->bytes == ' '; out->len--) /* 1*SP: RFC 9110, section 11.4 */
		out->bytes++;
	return !key.bytes || (key.len == out->len && memcmp(key.bytes, out->bytes, key.len) == 0);
}

/* 1: x->caller is who sent it, 0: nobody who may, or an ERR_* code. Where no token is asked for,
 * one that somebody holds counts all the same. */
static int find_caller(struct exchange *x)
{
	const struct server_options *o = &x->s->limits;
	struct access_caller caller = { 0 };
	struct head_slice secret;
	struct err why;
	int rc = 0;
	if (o->access && find_secret(x, &secret))
		rc = access_find(o->access, secret.bytes, secret.len, &caller, &why);
	if (rc < 0)
		fprintf(stderr, "hallmark: tokens cannot be read: %s\n", why.text);
	if (rc == 0 && !x->s->asks) {
		caller = access_nobody(o->access);
		rc = 1;
	}
	if (rc > 0)
		x->caller = caller;
	return rc;
}

static bool is_open(const struct exchange *x)
{
	return (x->route->needs & ACCESS_OPEN) ||
	       (x->route->measures && x->s->limits.metrics == SERVER_METRICS_OPEN);
}

bool server_route_may(struct exchange *x, unsigned permissions)
{
	if (x->c->listener->admin)
		return true;
	return find_caller(x) > 0 && (x->caller.permissions & permissions);
}

/* The status that refuses the caller, or 0. */
static int check_caller(struct exchange *x)
{
	if (is_open(x))
		return 0;
	if (x->c->listener->admin) { /* the kernel says who it is: this user, or root */
		x->caller.permissions = ~0u;
		x->caller.scopes = ACCESS_SCOPES_ALL;
		snprintf(x->caller.handle, sizeof x->caller.handle, "uid:%u",
			 (unsigned)x->c->peer.uid);
		return 0;
	}
	int rc = find_caller(x);
	if (rc < 0)
		return 503; /* storage fails: no fault of the caller's, nor of this program's */
	const struct net_tls_peer *peer = x->c->tls ? net_tls_peer(x->c->tls) : NULL;
	if (peer && !x->caller.handle[0])
		snprintf(x->caller.handle, sizeof x->caller.handle, "cert:%.48s",
			 peer->fingerprint);
	int status = server_route_refuses(x->route, rc > 0 ? &x->caller : NULL);
	return status ? status : server_table_share(x->c) ? 0 : 503;
}

static int refuse_caller(struct exchange *x, int status)
{
	static const char *const ask[] = { "WWW-Authenticate", "Bearer", NULL };
	struct api_error error = { .status = 401,
				   .message = "a valid bearer token is required",
				   .code = "invalid_api_key" };
	if (status == 401)
		return server_respond_error(x, &error, ask);
	if (status == 503 && x->caller.id[0]) {
		server_count_refused(x->s, REFUSED_REQUESTS);
		return server_answer_error(x, status, "too many requests at once with this token");
	}
	if (status == 403)
		server_meter_refused(x);
	return server_answer_error(x, status,
				   status == 403 ? "this token may not do that"
						 : "tokens cannot be checked now: try again");
}

static bool is_method_taken(const struct exchange *x)
{
	const char *method = x->request.method, *taken = x->route->method;
	return strcmp(method, taken) == 0 ||
	       (strcmp(method, "HEAD") == 0 && strcmp(taken, "GET") == 0);
}

static bool is_json(struct head_slice type)
{
	static const char json[] = "application/json";
	size_t n = sizeof json - 1;
	return type.len >= n && strncasecmp(type.bytes, json, n) == 0 &&
	       (type.len == n || strchr("; \t", type.bytes[n]));
}

static int refuse_by_head(struct exchange *x, int status)
{
	const char *const allow[] = { "Allow", x->route ? x->route->method : "", NULL };
	x->keeps = false; /* its body, if any, is not read */
	struct api_error method = { .status = 405, .message = "method not allowed" };
	struct api_error lacks = { .status = 404, .code = "unsupported" };
	if (!x->route)
		TRY(server_answer_error(
			x, 404,
			"no such route; there are POST /v1/chat/completions, "
			"/v1/completions, /v1/responses and /v1/messages, GET /v1/models, /v1/receipts/ID, /health "
			"and others: see docs/formats.md, section 12"));
	else if (status)
		TRY(refuse_caller(x, status));
	else if (!is_method_taken(x))
		TRY(server_respond_error(x, &method, allow));
	else if ((lacks.message = x->route->lacks) != NULL)
		TRY(server_respond_error(x, &lacks, NULL));
	else
		TRY(server_answer_error(x, 415, "expected Content-Type: application/json"));
	return 1;
}

/* An answer has gone out. */
static int said(int rc) { return rc < 0 ? rc : 1; }

int server_route_admit(struct exchange *x)
{
	x->route = find_route(x);
	x->rest = x->route ? x->request.path + strlen(x->route->path) : "";
	bool strange = !x->c->listener->admin && !(x->route && x->route->needs & ACCESS_OPEN);
	int rc = strange ? server_meter_address(x) : 0;
	if (rc != 0)
		return rc;
	if (server_cors_asks(x))
		return said(server_cors_answer(x));
	int status = x->route ? check_caller(x) : 404;
	bool ok = status == 0 && is_method_taken(x) && !x->route->lacks &&
		  (strcmp(x->request.method, "POST") != 0 || is_json(x->request.field[HEAD_TYPE]));
	return ok ? server_meter_request(x) : refuse_by_head(x, status);
}
