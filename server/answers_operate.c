/* What operators ask: to stop, pause, resume or drain, to read policies again, how things stand. */
#include "server/answers.h"
#include "server/operate.h"
#include "server/routes.h"
#include "base/json.h"
#include "base/limits.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define STOP_WAIT_MS 5000 /* for what was cut to be recorded, before a stop is answered */

/* What an operator sent. */
struct order {
	json_t *body;
	const char *reason, *as, *model; /* of the body; NULL: not given */
	uint64_t wait_s;
	bool has_wait;
	char actor[SERVE_REASON_MAX];
};

/* Who it is by the kernel's word, or by a token's, and whom they say they are. */
static void name_actor(const struct exchange *x, struct order *o)
{
	char text[1024], who[300];
	struct passwd pw, *found = NULL;
	const struct net_peer *peer = &x->c->peer;
	if (peer->local && getpwuid_r(peer->uid, &pw, text, sizeof text, &found) == 0 && found)
		snprintf(who, sizeof who, "%.200s (uid %u)", found->pw_name, (unsigned)peer->uid);
	else if (peer->local)
		snprintf(who, sizeof who, "uid %u", (unsigned)peer->uid);
	else
		snprintf(who, sizeof who, "%s", x->caller.handle[0] ? x->caller.handle : "unknown");
	if (o->as)
		snprintf(o->actor, sizeof o->actor, "%.500s, by %s", o->as, who);
	else
		snprintf(o->actor, sizeof o->actor, "%s", who);
}

static int take_text(const json_t *body, const char *key, const char **out, struct err *e)
{
	return json_object_get(body, key) ? json_get_string(body, key, out, "the request", e) : 0;
}

static int read_order(struct exchange *x, struct order *o, struct err *e)
{
	static const char *const keys[] = { "reason", "as", "model", "wait_s", NULL };
	const struct buf *b = &x->request.body;
	if (b->len) {
		TRY(json_read(&o->body, b->bytes, b->len, KIB(64), 8, e));
		if (!json_is_object(o->body))
			return err_set(e, ERR_INPUT, "the request: expected an object");
		TRY(json_only_keys(o->body, keys, "the request", e));
		TRY(take_text(o->body, "reason", &o->reason, e));
		TRY(take_text(o->body, "as", &o->as, e));
		TRY(take_text(o->body, "model", &o->model, e));
		o->has_wait = json_object_get(o->body, "wait_s") != NULL;
		if (o->has_wait)
			TRY(json_get_u64(o->body, "wait_s", &o->wait_s, "the request", e));
	}
	if (o->wait_s > 86400)
		return err_set(e, ERR_INPUT, "wait_s %llu: at most 86400",
			       (unsigned long long)o->wait_s);
	if (o->as && (!o->as[0] || strlen(o->as) > 300))
		return err_set(e, ERR_INPUT, "as: expected a name of at most 300 bytes");
	name_actor(x, o);
	return 0;
}

/* A report, or why there is none. Takes the reference. */
static int answer_report(struct exchange *x, int rc, json_t *report, struct err *e)
{
	struct buf body = { 0 };
	int status = rc < 0 ? api_error_status(rc) : 200;
	if (report && json_write(report, 0, &body, e) == 0) {
		buf_add_byte(&body, '\n');
		/* refused with a report is a conflict with what is in force */
		rc = server_respond_whole(x,
					  &(struct response){ rc < 0 ? 409 : 200,
							      "application/json", NULL },
					  &body);
	} else {
		rc = server_answer_error(x, status, e->text);
	}
	json_decref(report);
	buf_free(&body);
	return rc;
}

int server_answer_operate(struct exchange *x)
{
	struct order o = { 0 };
	struct err err = { 0 };
	json_t *report = NULL;
	struct serve_operation op = { .action = strrchr(x->route->path, '/') + 1 };
	bool drains = strcmp(op.action, "drain") == 0, stops = strcmp(op.action, "stop") == 0;
	int rc = read_order(x, &o, &err);
	if (rc == 0) {
		op.model = o.model;
		op.actor = o.actor;
		op.reason = o.reason ? o.reason : "";
		op.wait_ms = o.has_wait ? (unsigned)o.wait_s * 1000
			     : drains   ? x->s->limits.drain_ms
					: STOP_WAIT_MS;
		rc = serve_host_operate(x->s->host, &op, &report, &err);
	}
	bool ends = rc == 0 && (drains || stops) && !op.model;
	if (ends)
		atomic_store(&x->s->operated, true);
	json_decref(o.body);
	int answered = answer_report(x, rc, report, &err);
	if (ends)
		server_stop_now(x->s);
	return answered;
}

/* Who asked for a reload that was done, and why. Its bundle records say what came of it. */
static void record_reload(struct exchange *x, const struct order *o, json_t *report)
{
	struct serve_operation op = { .action = "reload",
				      .actor = o->actor,
				      .reason = o->reason && *o->reason ? o->reason : "reload" };
	struct err err = { 0 };
	json_t *done = NULL;
	int rc = serve_host_operate(x->s->host, &op, &done, &err);
	json_object_set(report, "record", rc == 0 ? json_object_get(done, "record") : json_null());
	json_decref(done);
}

int server_answer_reload(struct exchange *x)
{
	struct order o = { 0 };
	struct err err = { 0 };
	json_t *report = NULL;
	int rc = read_order(x, &o, &err);
	if (rc == 0)
		rc = server_reload_now(x->s, "operator", &report, &err);
	if (rc == 0)
		record_reload(x, &o, report);
	json_decref(o.body);
	return answer_report(x, rc, report, &err);
}

int server_answer_status(struct exchange *x)
{
	struct err err = { 0 };
	json_t *report = NULL;
	int rc = serve_host_status(x->s->host, &report, &err);
	return answer_report(x, rc, report, &err);
}
