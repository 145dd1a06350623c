/* Lines to a collector: OTLP/HTTP with JSON, a batch a request.
 *
 *   POST URL/v1/logs  {"resourceLogs":[{"resource":{...},"scopeLogs":[{"scope":{...},
 *     "logRecords":[{"timeUnixNano","severityNumber":9,"severityText":"INFO","body","attributes":
 *       [{"key":"status","value":{"intValue":"200"}}, ...]}]}]}]}
 *
 * A line's members are the attributes of its record, and the line its body. 64-bit integers are
 * strings. Source: OTLP 1.x, "OTLP/HTTP" and "JSON Protobuf Encoding"; data model of logs. */
#include "server/lines.h"
#include "base/build.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "net/net.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct otlp_target {
	struct http *http;
	const struct env *env;
	char url[2048];
};

static int otlp_open(void **self, const char *rest, const struct env *env, struct err *e)
{
	struct otlp_target *t = *self = calloc(1, sizeof *t);
	size_t len = strlen(rest);
	if (!t)
		return err_set(e, ERR_NOMEM, "out of memory");
	t->env = env;
	while (len && rest[len - 1] == '/')
		len--;
	if (!text_starts(rest, "http://") && !text_starts(rest, "https://"))
		return err_set(e, ERR_USAGE,
			       "--request-log otlp:URL: expected http:// or https://, found "
			       "\"%.100s\"",
			       rest);
	if (len + sizeof "/v1/logs" > sizeof t->url)
		return err_set(e, ERR_USAGE, "--request-log otlp:URL: too long");
	memcpy(t->url, rest, len);
	memcpy(t->url + len, "/v1/logs", sizeof "/v1/logs");
	return http_open(&t->http, &(struct http_options){ 0 }, e);
}

/* ---- values ---- */

static void add_string(struct buf *out, const char *text)
{
	buf_add_text(out, "{\"stringValue\":");
	text_json_string(out, text, strlen(text));
	buf_add_byte(out, '}');
}

static void add_plain(struct buf *out, const json_t *v)
{
	if (json_is_string(v))
		add_string(out, json_string_value(v));
	else if (json_is_integer(v))
		buf_printf(out, "{\"intValue\":\"%lld\"}", (long long)json_integer_value(v));
	else if (json_is_real(v))
		buf_printf(out, "{\"doubleValue\":%.17g}", json_real_value(v));
	else if (json_is_boolean(v))
		buf_printf(out, "{\"boolValue\":%s}", json_is_true(v) ? "true" : "false");
	else
		buf_add_text(out, "{}");
}

/* A list or an object of plain values; deeper ones no line has. */
static void add_value(struct buf *out, const json_t *v)
{
	const char *key;
	json_t *member;
	size_t i;
	if (json_is_array(v)) {
		buf_add_text(out, "{\"arrayValue\":{\"values\":[");
		json_array_foreach((json_t *)(uintptr_t)v, i, member) {
			buf_add_text(out, i ? "," : "");
			add_plain(out, member);
		}
		buf_add_text(out, "]}}");
	} else if (json_is_object(v)) {
		const char *comma = "";
		buf_add_text(out, "{\"kvlistValue\":{\"values\":[");
		json_object_foreach((json_t *)(uintptr_t)v, key, member) {
			buf_printf(out, "%s{\"key\":", comma);
			text_json_string(out, key, strlen(key));
			buf_add_text(out, ",\"value\":");
			add_plain(out, member);
			buf_add_byte(out, '}');
			comma = ",";
		}
		buf_add_text(out, "]}}");
	} else {
		add_plain(out, v);
	}
}

/* ---- records ---- */

static void add_record(struct buf *out, const json_t *line, const char *text, size_t len)
{
	const char *key, *comma = "";
	const char *at = json_string_value(json_object_get(line, "time"));
	json_t *v;
	int64_t us = 0;
	char seconds[32];
	int ms = at && strlen(at) == 24 ? atoi(at + 20) : 0;
	/* "2026-11-30T15:00:00.123Z" without its fraction */
	if (at && strlen(at) == 24) {
		snprintf(seconds, sizeof seconds, "%.19sZ", at);
		at = seconds;
	}
	if (!at || text_time_parse(at, &us) < 0)
		us = 0;
	buf_printf(out,
		   "{\"timeUnixNano\":\"%lld\",\"severityNumber\":9,\"severityText\":\"INFO\","
		   "\"body\":{\"stringValue\":",
		   (long long)us * 1000 + (long long)ms * 1000000);
	text_json_string(out, text, len);
	buf_add_text(out, "},\"attributes\":[");
	json_object_foreach((json_t *)(uintptr_t)line, key, v) {
		buf_printf(out, "%s{\"key\":", comma);
		text_json_string(out, key, strlen(key));
		buf_add_text(out, ",\"value\":");
		add_value(out, v);
		buf_add_byte(out, '}');
		comma = ",";
	}
	buf_add_text(out, "]}");
}

static void add_records(struct buf *out, const char *lines, size_t len)
{
	const char *comma = "";
	for (const char *end = lines + len; lines < end;) {
		const char *stop = memchr(lines, '\n', (size_t)(end - lines));
		size_t n = (size_t)((stop ? stop : end) - lines);
		json_t *line = NULL;
		if (json_read(&line, lines, n, MIB(1), 4, NULL) == 0) {
			buf_add_text(out, comma);
			add_record(out, line, lines, n);
			comma = ",";
		}
		json_decref(line);
		lines += n + 1;
	}
}

static void add_batch(struct buf *out, const char *lines, size_t len)
{
	char host[256] = "";
	(void)!gethostname(host, sizeof host - 1);
	buf_add_text(out, "{\"resourceLogs\":[{\"resource\":{\"attributes\":["
			  "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"hallmark\"}},"
			  "{\"key\":\"service.version\",\"value\":{\"stringValue\":\"" BUILD_VERSION
			  "\"}},{\"key\":\"host.name\",\"value\":");
	add_string(out, host);
	buf_printf(out, "},{\"key\":\"process.pid\",\"value\":{\"intValue\":\"%ld\"}}]},",
		   (long)getpid());
	buf_add_text(out, "\"scopeLogs\":[{\"scope\":{\"name\":\"hallmark.requests\"},"
			  "\"logRecords\":[");
	add_records(out, lines, len);
	buf_add_text(out, "]}]}]}");
}

/* ---- sending ---- */

/* Statuses of which the specification says that the same may be sent again. */
static bool is_passing(int status)
{
	return status == 429 || status == 502 || status == 503 || status == 504;
}

struct late {
	bool (*is_late)(void *ctx);
	void *ctx;
};

static bool is_cancelled(void *ctx)
{
	const struct late *late = ctx;
	return late->is_late(late->ctx);
}

static int post(struct otlp_target *t, const struct buf *body, struct late *late, struct err *e)
{
	static const char *const field[] = { "Content-Type", "application/json", NULL };
	struct http_response response = { 0 };
	struct http_request request = { .method = "POST",
					.url = t->url,
					.field = field,
					.body = body->bytes,
					.body_bytes = body->len,
					.ctx = late,
					.is_cancelled = is_cancelled,
					.connect_ms = 5000,
					.total_ms = 10000 };
	int rc = http_do(t->http, &request, &response, e);
	if (rc == 0 && (response.status < 200 || response.status > 299))
		rc = err_set(e, is_passing(response.status) ? ERR_UNAVAILABLE : ERR_IO,
			     "%.200s answered %d", t->url, response.status);
	http_response_free(&response);
	return rc;
}

static int otlp_write(void *self, const char *lines, size_t len, bool (*late)(void *ctx), void *ctx,
		      struct err *e)
{
	struct otlp_target *t = self;
	struct buf body = { 0 };
	add_batch(&body, lines, len);
	int rc = buf_done(&body, e);
	if (rc == 0)
		rc = post(t, &body, &(struct late){ late, ctx }, e);
	buf_free(&body);
	return rc;
}

static void otlp_close(void *self)
{
	struct otlp_target *t = self;
	http_close(t->http);
	free(t);
}

const struct server_lines_target server_lines_otlp = { otlp_open, otlp_write, NULL, otlp_close };
