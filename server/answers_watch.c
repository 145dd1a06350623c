/* Answers for who watches: is it alive, would it take a request, and what has it counted.
 *
 *   /health   200 while the process answers at all. It says nothing else: who restarts a server
 *             because its disk is full ends every stream and mends nothing.
 *   /ready    200 while a chat would be taken and recorded, else 503: a balancer asks elsewhere
 *             then. What fails, and why, is for who may scrape or operate alone.
 *   /metrics  all that is counted, as text for Prometheus or as OpenMetrics */
#include "server/answers.h"
#include "server/routes.h"
#include "base/text.h"
#include "serve/serve.h"

#include <string.h>

int server_answer_health(struct exchange *x)
{
	struct buf body = { 0 };
	buf_add_text(&body, "{\"status\":\"ok\"}\n");
	return server_answer_json(x, &body, NULL);
}

static void add_check(struct buf *out, const char *name, bool ok, const char *detail)
{
	buf_printf(out, "%s{\"name\":\"%s\",\"ok\":%s,\"detail\":",
		   out->bytes[out->len - 1] == '[' ? "" : ",", name, ok ? "true" : "false");
	text_json_string(out, detail, strlen(detail));
	buf_add_byte(out, '}');
}

static void add_checks(struct buf *out, bool stopping, const struct serve_check *check)
{
	buf_add_text(out, ",\"checks\":[");
	if (out->failed)
		return;
	for (size_t i = 0; i < SERVE_CHECKS && !out->failed; i++)
		add_check(out, check[i].name, check[i].ok, check[i].detail);
	if (!out->failed)
		add_check(out, "server", !stopping,
			  stopping ? "it shuts down" : "it takes connections");
	buf_add_byte(out, ']');
}

int server_answer_ready(struct exchange *x)
{
	struct serve_check check[SERVE_CHECKS];
	struct buf body = { 0 };
	bool stopping = atomic_load(&x->s->stopping), ok = !stopping;
	serve_host_check(x->s->host, check);
	for (size_t i = 0; i < SERVE_CHECKS; i++)
		ok &= check[i].ok;
	buf_printf(&body, "{\"status\":\"%s\"", ok ? "ready" : "unready");
	if (server_route_may(x, ACCESS_METRICS | ACCESS_OPERATE))
		add_checks(&body, stopping, check);
	buf_add_text(&body, "}\n");
	int rc =
		server_respond_whole(x,
				     &(struct response){ ok ? 200 : 503, "application/json", NULL },
				     &body);
	buf_free(&body);
	return rc;
}

int server_answer_metrics(struct exchange *x)
{
	struct head_slice accept = x->request.field[HEAD_ACCEPT];
	struct buf body = { 0 };
	struct measure_writer w = { .out = &body,
				    .open_metrics = measure_asks_open(accept.bytes, accept.len) };
	server_measures_write(x->s, &w);
	int rc = server_respond_whole(
		x, &(struct response){ 200, measure_content_type(w.open_metrics), NULL }, &body);
	buf_free(&body);
	return rc;
}
