/* One line a request, of what is known besides its texts: docs/operating.md has the members. Of
 * what a client sent, it holds a path that nothing is at and its own id of the request, both as
 * JSON strings without a control character, so that no client writes a line. */
#include "server/request_line.h"
#include "server/lines.h"
#include "server/routes.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define PATH_MAX_SHOWN 200
#define RULES_BYTES 1500 /* of a line, for names of rules */

void server_line_begin(struct exchange *x)
{
	uint8_t id[12];
	x->begun_us = env_steady_us(&x->s->env);
	env_random(&x->s->env, id, sizeof id);
	memcpy(x->id, "req_", 4);
	text_hex(id, sizeof id, x->id + 4);
}

/* ---- members ---- */

static void add_text(struct buf *out, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	buf_printf(out, ",\"%s\":", key);
	text_json_string(out, value, strlen(value));
}

/* What a client wrote. */
static void add_foreign(struct buf *out, const char *key, const char *value, size_t len)
{
	char shown[4 * PATH_MAX_SHOWN + 1];
	bool cut = len > PATH_MAX_SHOWN;
	if (!len)
		return;
	text_escape(shown, sizeof shown, value, cut ? PATH_MAX_SHOWN : len, cut);
	add_text(out, key, shown);
}

static void add_count(struct buf *out, const char *key, uint64_t n)
{
	buf_printf(out, ",\"%s\":%llu", key, (unsigned long long)n);
}

static void add_ms(struct buf *out, const char *key, int64_t us)
{
	if (us > 0)
		buf_printf(out, ",\"%s\":%lld.%03d", key, (long long)(us / 1000), (int)(us % 1000));
}

/* {"time":"2026-11-30T15:00:00.123Z" */
static void start(struct buf *out, const struct server *s)
{
	char at[32];
	int64_t now = env_now_us(&s->env);
	text_time_rfc3339(now, at);
	buf_printf(out, "{\"time\":\"%.19s.%03dZ\"", at, (int)(now / 1000 % 1000));
}

static void add_address(struct buf *out, const struct connection *c)
{
	char address[INET6_ADDRSTRLEN] = "";
	static const uint8_t mapped[12] = { [10] = 0xff, 0xff };
	const uint8_t *bytes = c->client.address;
	if (c->client.local || !c->s->limits.line_addresses)
		return;
	if (memcmp(bytes, mapped, sizeof mapped) == 0)
		inet_ntop(AF_INET, bytes + 12, address, sizeof address);
	else
		inet_ntop(AF_INET6, bytes, address, sizeof address);
	add_text(out, "address", address);
}

static bool is_printable(struct head_slice v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.bytes[i] < '!' || v.bytes[i] > '~')
			return false;
	return v.len > 0 && v.len <= 128;
}

static void add_rules(struct buf *out, const json_t *rules)
{
	const char *id, *comma = "";
	json_t *n;
	size_t begin = out->len, left = 0;
	if (!json_object_size(rules))
		return;
	buf_add_text(out, ",\"rules\":{");
	json_object_foreach((json_t *)(uintptr_t)rules, id, n) {
		if (out->len - begin > RULES_BYTES) {
			left++;
			continue;
		}
		buf_add_text(out, comma);
		text_json_string(out, id, strlen(id));
		buf_printf(out, ":%lld", (long long)json_integer_value(n));
		comma = ",";
	}
	buf_add_byte(out, '}');
	if (left)
		add_count(out, "rules_left_out", left);
}

static void add_facts(struct buf *out, const struct serve_facts *f)
{
	if (!f->record[0])
		return;
	add_text(out, "record", f->record);
	add_text(out, "model", f->model);
	buf_add_text(out, ",\"finish\":[");
	for (unsigned i = 0; i < f->choices; i++)
		buf_printf(out, "%s\"%s\"", i ? "," : "", f->finish[i]);
	buf_add_byte(out, ']');
	add_count(out, "prompt_tokens", f->prompt_tokens);
	add_count(out, "completion_tokens", f->completion_tokens);
	add_count(out, "cached_tokens", f->cached_tokens);
	add_ms(out, "queue_ms", f->queued_us);
	add_ms(out, "ttft_ms", f->first_us);
	add_rules(out, f->rules);
	add_text(out, "bundle", f->bundle);
}

/* What became of it, where no record says so. */
static const char *outcome_of(const struct exchange *x)
{
	if (x->facts.outcome)
		return x->facts.outcome;
	return !x->answered ? "gone" : x->answered < 400 ? "answered" : "refused";
}

static void finish(struct buf *out, struct server *s)
{
	buf_add_text(out, "}\n");
	if (!out->failed)
		server_lines_put(s->lines, out->bytes, out->len);
	buf_free(out);
}

/* ---- lines ---- */

static void write_line(struct exchange *x)
{
	const struct route *r = x->route;
	struct head_slice theirs = x->request.field[HEAD_REQUEST_ID];
	struct buf out = { 0 };
	start(&out, x->s);
	add_text(&out, "request", x->id);
	if (is_printable(theirs))
		add_foreign(&out, "client_request", theirs.bytes, theirs.len);
	add_text(&out, "token", x->caller.id);
	add_text(&out, "operator", x->c->listener->admin ? x->caller.handle : NULL);
	add_address(&out, x->c);
	add_text(&out, "method", x->request.method);
	add_text(&out, "route", r ? r->path : NULL);
	if (!r)
		add_foreign(&out, "path", x->request.path, strlen(x->request.path));
	if (r && r->scope)
		add_text(&out, "shape", api_shape_name(r->shape));
	add_count(&out, "status", (uint64_t)x->answered);
	add_text(&out, "outcome", outcome_of(x));
	add_text(&out, "error", x->error);
	add_text(&out, "reason", x->reason);
	add_facts(&out, &x->facts);
	add_ms(&out, "total_ms", env_steady_us(&x->s->env) - x->begun_us);
	add_count(&out, "bytes_in", x->came);
	add_count(&out, "bytes_out", x->sent);
	finish(&out, x->s);
}

void server_line_end(struct exchange *x)
{
	struct server *s = x->s;
	bool refused = !x->facts.record[0] && (x->answered >= 400 || !x->answered);
	server_count_request(s, x->route, x->answered);
	measure_add(&s->measures.bytes_in, x->came);
	measure_add(&s->measures.bytes_out, x->sent);
	if (server_lines_wanted(s->lines) && (!refused || server_lines_spare(s->lines)))
		write_line(x);
	json_decref(x->facts.rules);
	x->facts.rules = NULL;
}

void server_line_refused(struct connection *c, int status, const char *reason)
{
	struct server *s = c->s;
	const struct head *h = c->in ? &c->in->head : NULL;
	struct buf out = { 0 };
	server_count_request(s, NULL, status);
	measure_add(&s->measures.bytes_in, c->in ? c->in->have : 0);
	if (!server_lines_wanted(s->lines) || !server_lines_spare(s->lines))
		return;
	start(&out, s);
	add_address(&out, c);
	if (h && h->method[0])
		add_foreign(&out, "method", h->method, strlen(h->method));
	add_count(&out, "status", (uint64_t)status);
	add_text(&out, "outcome", "refused");
	add_text(&out, "reason", reason);
	add_count(&out, "bytes_in", c->in ? c->in->have : 0);
	finish(&out, s);
}
