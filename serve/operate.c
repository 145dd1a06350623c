/* What an operator does: stop, pause, resume, drain. It is done first, and recorded then: a log
 * that fails stops no stop. Art. 14(4)(e) of Regulation (EU) 2024/1689: a person can interrupt the
 * system by a stop button; how soon that works is measured, from the asking to the last token that
 * was sent of any answer. */
#include "audit/audit.h"
#include "base/text.h"
#include "serve/chat.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEPT (-1) /* only to be recorded: what it does is done elsewhere (reload.c) */

static const struct action {
	const char *name;
	int state, cut; /* enum serve_state, or KEPT; enum serve_cut */
	bool waits;     /* for what runs, before that is cut */
} actions[] = {
	{ "stop", SERVE_STOPPED, SERVE_CUT_STOPPED, false },
	{ "pause", SERVE_PAUSED, SERVE_UNCUT, false },
	{ "resume", SERVE_OPEN, SERVE_UNCUT, false },
	{ "drain", SERVE_DRAINING, SERVE_CUT_DRAINED, true },
	{ "reload", KEPT, SERVE_UNCUT, false },
};

/* An operation, being done. */
struct serve_doing {
	struct serve_host *host;
	const struct serve_operation *op;
	const struct action *action;
	int64_t asked_us, asked,
		effective; /* by the clock of the day, and twice by the steady one */
	int64_t token;     /* the last one's time, steady; 0: none */
	unsigned ran, left;
};

#define CUT_WAIT_MS 10000 /* for the records of what was cut at the end of a drain */

static int64_t real_ms(void) { return env_wait_us() / 1000; }

static int64_t steady_us(const struct serve_doing *d)
{
	return env_steady_us(flow_env(d->host->flow));
}

/* The i-th service that it is about; NULL after the last. */
static struct serve_service *service_at(const struct serve_doing *d, size_t i)
{
	const char *model = d->op->model;
	if (model)
		return i == 0 ? serve_host_find(d->host, model) : NULL;
	return serve_host_at(d->host, i);
}

void serve_chat_sent(struct serve_chat *c)
{
	struct serve_service *s = c->service;
	int64_t now = env_steady_us(flow_env(s->flow)), before = atomic_load(&s->token_us);
	while (before < now && !atomic_compare_exchange_weak(&s->token_us, &before, now))
		;
}

void serve_host_cut(struct serve_doing *d)
{
	struct serve_service *s;
	for (size_t i = 0; (s = service_at(d, i)); i++)
		if (atomic_load(&s->state) != SERVE_OPEN) /* a model's: it was opened again */
			(void)serve_running_stop(s, d->action->cut, d->op->reason);
}

static void wait_idle(struct serve_doing *d, unsigned wait_ms)
{
	struct serve_service *s;
	int64_t until = real_ms() + wait_ms;
	for (size_t i = 0; (s = service_at(d, i)); i++)
		(void)serve_running_wait(s, until);
}

/* Of a server that was told to end nothing opens again, whoever asks while what ran ends: an answer
 * that began after a stop would be cut by nobody. */
static int set_states(struct serve_doing *d, struct err *e)
{
	struct serve_host *h = d->host;
	struct serve_service *s;
	pthread_mutex_lock(&h->lock);
	bool kept = d->action->state == KEPT;
	int rc = h->ending && !d->action->cut && !kept
			 ? err_set(e, ERR_UNAVAILABLE,
				   "the server is ending: nothing of it can "
				   "be paused or resumed any more")
			 : 0;
	h->ending = h->ending || (d->action->cut && !d->op->model);
	for (size_t i = 0; rc == 0 && !kept && (s = service_at(d, i)); i++)
		atomic_store(&s->state, d->action->state);
	pthread_mutex_unlock(&h->lock);
	return rc;
}

/* Nothing new is taken from here on; a stop cuts what runs. */
static int act(struct serve_doing *d, struct err *e)
{
	struct serve_service *s;
	TRY(set_states(d, e));
	for (size_t i = 0; (s = service_at(d, i)); i++)
		d->ran += serve_running_count(s);
	if (d->action->cut && !d->action->waits)
		serve_host_cut(d);
	d->effective = steady_us(d);
	return 0;
}

static void count_left(struct serve_doing *d)
{
	struct serve_service *s;
	d->left = 0;
	for (size_t i = 0; (s = service_at(d, i)); i++) {
		int64_t token = atomic_load(&s->token_us);
		d->token = token > d->token ? token : d->token;
		d->left += serve_running_count(s);
	}
}

/* ---- record and report ---- */

static json_t *models_of(const struct serve_doing *d)
{
	struct serve_service *s;
	struct arr list = { 0 };
	for (size_t i = 0; (s = service_at(d, i)); i++)
		arr_text(&list, serve_service_model(s));
	return arr_take(&list);
}

/* A moment of the steady clock by that of the day. */
static json_t *day_us(const struct serve_doing *d, int64_t steady)
{
	return json_integer((json_int_t)(d->asked_us + steady - d->asked));
}

static bool timed(const struct serve_doing *d) { return d->action->cut && d->token; }

static int append(const struct serve_doing *d, struct audit_receipt *out, struct err *e)
{
	json_t *target = json_pack("{s:o}", "models", models_of(d)),
	       *detail = json_pack("{s:I,s:I}", "ran", (json_int_t)d->ran, "left",
				   (json_int_t)d->left);
	struct audit_field field[] = { { "actor", json_string(d->op->actor) },
				       { "action", json_string(d->action->name) },
				       { "target", target },
				       { "reason", json_string(d->op->reason) },
				       { "asked_us", json_integer((json_int_t)d->asked_us) },
				       { "effective_us", day_us(d, d->effective) },
				       { "last_token_us",
					 timed(d) ? day_us(d, d->token) : json_null() },
				       { "detail", detail } };
	size_t count = sizeof field / sizeof *field;
	struct audit_record r = { .type = "operator", .field = field, .field_count = count };
	int rc = 0;
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = json_ok(field[i].value, e);
	if (rc == 0)
		rc = flow_append(d->host->flow, &r, false, out, e);
	for (size_t i = 0; i < count; i++)
		json_decref(field[i].value);
	return rc;
}

static int report_on(const struct serve_doing *d, json_t **report, struct err *e)
{
	struct audit_receipt receipt;
	struct err why = { 0 };
	struct obj o = { 0 };
	bool records = d->ran > 0 || !d->op->discreet;
	int rc = records ? append(d, &receipt, &why) : 0;
	obj_text(&o, "action", d->action->name);
	obj_add(&o, "models", models_of(d));
	obj_count(&o, "ran", d->ran);
	obj_count(&o, "left", d->left);
	obj_int(&o, "asked_us", d->asked_us);
	obj_add(&o, "effective_us", day_us(d, d->effective));
	obj_add(&o, "last_token_us", timed(d) ? day_us(d, d->token) : json_null());
	obj_add(&o, "latency_us",
		!timed(d) ? json_null()
			  : json_integer(
				    (json_int_t)(d->token > d->asked ? d->token - d->asked : 0)));
	obj_add(&o, "record",
		rc < 0 || !records ? json_null() : json_integer((json_int_t)receipt.index));
	obj_text(&o, "record_error", rc < 0 ? why.text : NULL);
	return obj_done(&o, report, e);
}

static int check_text(const char *what, const char *text, struct err *e)
{
	size_t len = text ? strlen(text) : 0;
	if (len == 0 || len > SERVE_REASON_MAX || !text_utf8_valid(text, len))
		return err_set(e, ERR_INPUT, "%s: expected 1 to %d bytes of UTF-8", what,
			       SERVE_REASON_MAX);
	return 0;
}

static int begin(struct serve_doing *d, struct err *e)
{
	const struct serve_operation *op = d->op;
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strcmp(actions[i].name, op->action) == 0)
			d->action = &actions[i];
	if (!d->action)
		return err_set(e, ERR_USAGE, "no operation is called \"%.40s\"", op->action);
	if (op->model && !serve_host_find(d->host, op->model))
		return err_set(e, ERR_NOTFOUND, "no model \"%.200s\" is served here", op->model);
	TRY(check_text("reason", op->reason, e));
	TRY(check_text("actor", op->actor, e));
	d->asked_us = env_now_us(flow_env(d->host->flow));
	d->asked = steady_us(d);
	return act(d, e);
}

int serve_host_begin(struct serve_host *h, const struct serve_operation *op,
		     struct serve_doing **out, struct err *e)
{
	struct serve_doing *d = *out = calloc(1, sizeof *d);
	if (!d)
		return err_set(e, ERR_NOMEM, "out of memory");
	d->host = h;
	d->op = op;
	int rc = begin(d, e);
	if (rc < 0) {
		free(d);
		*out = NULL;
	}
	return rc;
}

int serve_host_end(struct serve_doing *d, json_t **report, struct err *e)
{
	json_t *unwanted = NULL;
	count_left(d);
	int rc = report_on(d, report ? report : &unwanted, e);
	json_decref(unwanted);
	free(d);
	return rc;
}

int serve_host_operate(struct serve_host *h, const struct serve_operation *op, json_t **report,
		       struct err *e)
{
	struct serve_doing *d;
	TRY(serve_host_begin(h, op, &d, e));
	if (d->action->cut)
		wait_idle(d, op->wait_ms);
	if (d->action->waits) {
		serve_host_cut(d);
		wait_idle(d, CUT_WAIT_MS);
	}
	return serve_host_end(d, report, e);
}

/* ---- status ---- */

static void add_policy(struct obj *o, struct serve_service *s)
{
	struct serve_bundle *b = serve_bundle_hold(s);
	const struct policy_profile *p = b->profile;
	struct obj x = { 0 };
	if (p) {
		obj_text(&x, "file", s->policy);
		obj_add(&x, "digest", json_digest(&p->bundle));
		obj_text(&x, "name", p->name);
		obj_count(&x, "version", p->version);
		obj_text(&x, "mode", policy_mode_name(p->mode));
		obj_object(o, "policy", &x);
	} else {
		obj_add(o, "policy", json_null());
	}
	serve_bundle_drop(b);
}

static void add_service(struct arr *list, struct serve_service *s)
{
	const struct digest *root = serve_root(s);
	struct obj o = { 0 };
	obj_text(&o, "model", serve_service_model(s));
	obj_text(&o, "state", serve_state_name(s));
	obj_int(&o, "since", serve_service_created(s));
	obj_add(&o, "root", root ? json_digest(root) : json_null());
	obj_count(&o, "running", serve_running_count(s));
	add_policy(&o, s);
	arr_object(list, &o);
}

int serve_host_status(struct serve_host *h, json_t **report, struct err *e)
{
	struct obj o = { 0 }, log = { 0 };
	struct arr models = { 0 };
	struct audit_log *l = flow_log(h->flow);
	struct err why = { 0 };
	int ready = audit_log_ready(l, &why);
	for (size_t i = 0; i < h->count; i++)
		add_service(&models, h->service[i]);
	obj_array(&o, "models", &models);
	obj_count(&log, "size", audit_log_size(l));
	obj_text(&log, "origin", audit_log_origin(l));
	obj_text(&log, "error", ready < 0 ? why.text : NULL);
	obj_object(&o, "log", &log);
	pthread_mutex_lock(&h->lock);
	obj_add(&o, "reload", h->last_reload ? json_incref(h->last_reload) : json_null());
	pthread_mutex_unlock(&h->lock);
	return obj_done(&o, report, e);
}
