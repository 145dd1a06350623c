/* The route table. What is not listed is 404, another method 405; what a route needs of its caller
 * is a column of the table. */
#include "server/routes.h"
#include "server/chat.h"
#include "base/text.h"
#include "serve/serve.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- answers ---- */

static int answer_json(struct exchange *x, struct buf *body, const char *const *field)
{
	int rc =
		server_respond_whole(x, &(struct response){ 200, "application/json", field }, body);
	buf_free(body);
	return rc;
}

static int answer_error(struct exchange *x, int status, const char *message)
{
	struct api_error error = { .status = status, .message = message };
	return server_respond_error(x, &error, NULL);
}

/* 503 while nothing can be answered: a balancer asks elsewhere then. */
static int answer_health(struct exchange *x)
{
	struct buf body = { 0 };
	struct err err = { 0 };
	if (atomic_load(&x->s->stopping))
		return answer_error(x, 503, "shutting down");
	if (serve_service_ready(x->s->service, &err) < 0)
		return answer_error(x, 503, err.text);
	buf_add_text(&body, "{\"status\":\"ok\"}\n");
	return answer_json(x, &body, NULL);
}

static void add_model(struct buf *out, const struct serve_service *s)
{
	const char *model = serve_service_model(s);
	buf_add_text(out, "{\"id\":");
	text_json_string(out, model, strlen(model));
	buf_printf(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"hallmark\"}",
		   (long long)serve_service_created(s));
}

static int answer_models(struct exchange *x)
{
	struct buf body = { 0 };
	buf_add_text(&body, "{\"object\":\"list\",\"data\":[");
	add_model(&body, x->s->service);
	buf_add_text(&body, "]}\n");
	return answer_json(x, &body, NULL);
}

/* The rest of the path is the name, slashes too. */
static int answer_model(struct exchange *x)
{
	struct buf body = { 0 };
	char message[400];
	if (strcmp(x->rest, serve_service_model(x->s->service)) == 0) {
		add_model(&body, x->s->service);
		buf_add_byte(&body, '\n');
		return answer_json(x, &body, NULL);
	}
	snprintf(message, sizeof message, "no model \"%.200s\" here; this server has \"%.100s\"",
		 x->rest, serve_service_model(x->s->service));
	struct api_error error = { 404, message, "model_not_found", "model" };
	return server_respond_error(x, &error, NULL);
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

static int answer_receipt(struct exchange *x)
{
	static const struct response text = { 200, "text/plain; charset=utf-8", NULL };
	struct buf body = { 0 };
	struct err err = { 0 };
	if (!is_receipt_id(x->rest))
		return answer_error(x, 404, "no such receipt");
	int rc = serve_service_receipt(x->s->service, x->rest, &body, &err);
	int status = rc < 0 ? api_error_status(rc) : 200;
	if (status == 500) {
		fprintf(stderr, "hallmark: receipt %s: %s\n", x->rest, err.text);
		err_set(&err, rc, "internal error: %s", err_name(rc));
	}
	rc = rc < 0 ? answer_error(x, status, err.text) : server_respond_whole(x, &text, &body);
	buf_free(&body);
	return rc;
}

static const struct route routes[] = {
	{ "/health", "GET", NEED_OPEN, false, answer_health },
	{ "/v1/models", "GET", NEED_TOKEN, false, answer_models },
	{ "/v1/models/", "GET", NEED_TOKEN, true, answer_model },
	{ "/v1/chat/completions", "POST", NEED_TOKEN, false, server_chat_answer },
	{ "/v1/receipts/", "GET", NEED_TOKEN, true, answer_receipt },
};

/* ---- admission ---- */

const struct route *server_route_at(size_t i)
{
	return i < sizeof routes / sizeof *routes ? &routes[i] : NULL;
}

/* NULL: no such route. */
static const struct route *find_route(const char *path)
{
	const struct route *r;
	for (size_t i = 0; (r = server_route_at(i)) != NULL; i++)
		if (r->is_prefix ? text_starts(path, r->path) && path[strlen(r->path)]
				 : strcmp(path, r->path) == 0)
			return r;
	return NULL;
}

int server_route_refuses(enum need need, bool asks_for_tokens, const struct caller *caller)
{
	if (need == NEED_OPEN || (need == NEED_TOKEN && !asks_for_tokens))
		return 0;
	if (asks_for_tokens && !caller)
		return 401;
	bool is_admin = caller && (caller->permissions & CALLER_ADMIN);
	return need == NEED_ADMIN && !is_admin ? 403 : 0;
}

/* 1: x->caller holds the token that was sent, 0: none or an unknown one, or an ERR_* code. */
static int find_caller(struct exchange *x)
{
	const struct server_options *o = &x->s->limits;
	struct head_slice v = x->request.field[HEAD_AUTHORIZATION];
	if (!o->known || v.len < 7 || strncasecmp(v.bytes, "Bearer ", 7) != 0)
		return 0;
	struct digest d = digest_of(v.bytes + 7, v.len - 7);
	struct caller caller = { 0 };
	int rc = o->known(o->known_ctx, &d, &caller);
	if (rc > 0)
		x->caller = caller;
	return rc;
}

/* The status that refuses the caller, or 0. */
static int check_caller(struct exchange *x)
{
	if (x->route->need == NEED_OPEN)
		return 0;
	int rc = find_caller(x);
	if (rc < 0)
		return api_error_status(rc);
	return server_route_refuses(x->route->need, x->s->limits.known != NULL,
				    rc > 0 ? &x->caller : NULL);
}

static int refuse_caller(struct exchange *x, int status)
{
	static const char *const ask[] = { "WWW-Authenticate", "Bearer", NULL };
	struct api_error error = { .status = 401,
				   .message = "a valid bearer token is required",
				   .code = "invalid_api_key" };
	if (status == 401)
		return server_respond_error(x, &error, ask);
	return answer_error(x, status,
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
	if (!x->route)
		TRY(answer_error(x, 404,
				 "no such route; there are POST /v1/chat/completions, "
				 "GET /v1/models, GET /v1/receipts/ID and GET /health"));
	else if (status)
		TRY(refuse_caller(x, status));
	else if (!is_method_taken(x))
		TRY(server_respond_error(x, &method, allow));
	else
		TRY(answer_error(x, 415, "expected Content-Type: application/json"));
	return 1;
}

int server_route_admit(struct exchange *x)
{
	x->route = find_route(x->request.path);
	x->rest = x->route ? x->request.path + strlen(x->route->path) : "";
	int status = x->route ? check_caller(x) : 404;
	bool ok = status == 0 && is_method_taken(x) &&
		  (strcmp(x->request.method, "POST") != 0 || is_json(x->request.field[HEAD_TYPE]));
	return ok ? 0 : refuse_by_head(x, status);
}
