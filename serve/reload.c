/* Policies again, from their files:
 *
 *   read     every file, each once, however many models it is for; nothing has changed yet, and one
 *            that is refused ends the reload here, with a "refuse" record
 *   replace  model by model: the "replace" record, then the new bundle takes force. A log that
 *            takes no record ends it: nothing takes force unrecorded
 *
 * Answers that run keep the bundle they began under. */
#include "flow/policy.h"
#include "serve/service.h"

#include <string.h>

/* What is to become of one service. */
struct next {
	struct serve_service *service;
	struct serve_bundle *bundle; /* held; NULL: not read */
	const char *result;
	struct err why;
	struct digest was;
	bool had, tried;
	struct buf files; /* that were read, and their stamp */
	struct digest stamp;
};

struct reload {
	struct serve_host *host;
	const char *by;
	struct next next[SERVE_SERVICES_MAX];
	int64_t at_us, began_us;
};

/* ---- what was logged last ---- */

static struct serve_seen *seen_find(struct serve_host *h, const char *name)
{
	for (size_t i = 0; i < h->seen_count; i++)
		if (strcmp(h->seen[i].name, name) == 0)
			return &h->seen[i];
	return NULL;
}

void serve_host_seen(struct serve_host *h, const struct policy_profile *p)
{
	struct serve_seen *seen = p ? seen_find(h, p->name) : NULL;
	if (!p)
		return;
	if (!seen && h->seen_count == SERVE_SEEN_MAX) { /* the oldest is forgotten */
		memmove(h->seen, h->seen + 1, sizeof h->seen - sizeof *h->seen);
		h->seen_count--;
	}
	if (!seen)
		seen = &h->seen[h->seen_count++];
	snprintf(seen->name, sizeof seen->name, "%s", p->name);
	seen->version = p->version;
}

static int accept(void *ctx, const struct policy_profile *p, struct err *e)
{
	const struct serve_seen *seen = seen_find(ctx, p->name);
	if (!seen || p->version >= seen->version)
		return 0;
	return err_set(
		e, ERR_DENIED,
		"policy %.100s has version %llu, and version %llu was logged last: give it a "
		"higher one",
		p->name, (unsigned long long)p->version, (unsigned long long)seen->version);
}

/* ---- reading ---- */

/* What another model has read from the same file. */
static bool read_before(struct reload *r, size_t i, struct err *e)
{
	struct next *n = &r->next[i], *k = r->next;
	while (k < n && (!k->bundle || strcmp(k->service->policy, n->service->policy) != 0))
		k++;
	if (k == n)
		return false;
	atomic_fetch_add(&k->bundle->held, 1);
	n->bundle = k->bundle;
	buf_add(&n->files, k->files.bytes, k->files.len);
	n->stamp = k->stamp;
	n->tried = buf_done(&n->files, e) == 0;
	return true;
}

static int read_bundle(struct reload *r, struct next *n, struct err *e)
{
	const struct flow_policy_next how = { &n->files, accept, r->host };
	struct err ignored;
	n->bundle = serve_bundle_new(e);
	if (!n->bundle)
		return ERR_NOMEM;
	int rc = flow_policy_open_next(r->host->flow, n->service->policy, &how, &n->bundle->profile,
				       e);
	n->tried = flow_policy_stamp(&n->files, &n->stamp, &ignored) == 0;
	return rc;
}

static int read_next(struct reload *r, size_t i, struct err *e)
{
	struct next *n = &r->next[i];
	struct serve_service *s = n->service = r->host->service[i];
	const struct policy_profile *now = s->bundle->profile; /* this thread alone replaces it */
	n->result = "none";
	n->had = now != NULL;
	if (now)
		n->was = now->bundle;
	if (!s->policy[0])
		return 0;
	int rc = read_before(r, i, e) ? 0 : read_bundle(r, n, &n->why);
	if (rc < 0) {
		n->result = "refused";
		*e = n->why;
		return rc;
	}
	n->why = (struct err){ 0 }; /* of looking for what is kept already */
	n->result = now && digest_equal(&now->bundle, &n->bundle->profile->bundle) ? "unchanged"
										   : "replaced";
	return 0;
}

/* ---- records ---- */

static void record_refusal(struct reload *r, const struct next *n)
{
	struct err ignored;
	struct obj o = { 0 };
	obj_text(&o, "event", "refuse");
	obj_text(&o, "model", n->service->model_name);
	obj_text(&o, "by", r->by);
	obj_add(&o, "in_force", n->had ? json_digest(&n->was) : json_null());
	obj_add(&o, "reason", json_text_lossy(n->why.text));
	/* nothing has changed: a log that refuses this says so itself, and answers nothing */
	(void)!serve_record_body(r->host->flow, "bundle", &o, &ignored);
}

static int replace(struct reload *r, struct next *n, struct err *e)
{
	if (strcmp(n->result, "replaced") != 0)
		return 0;
	int rc = serve_bundle_record(n->service, n->bundle, "replace", r->by, e);
	if (rc < 0) {
		n->result = "refused";
		n->why = *e;
		return rc;
	}
	serve_host_seen(r->host, n->bundle->profile);
	serve_bundle_put(n->service, n->bundle);
	n->bundle = NULL;
	return 0;
}

/* ---- report ---- */

static void add_next(struct arr *list, struct next *n)
{
	struct serve_bundle *b = serve_bundle_hold(n->service);
	struct obj o = { 0 };
	if (n->bundle && strcmp(n->result, "replaced") == 0)
		n->result = "kept"; /* another was refused, and nothing came of this one */
	obj_text(&o, "model", n->service->model_name);
	obj_add(&o, "file",
		n->service->policy[0] ? json_text_lossy(n->service->policy) : json_null());
	obj_text(&o, "result", n->result);
	if (b->profile) {
		obj_add(&o, "digest", json_digest(&b->profile->bundle));
		obj_text(&o, "name", b->profile->name);
		obj_count(&o, "version", b->profile->version);
	}
	if (n->had && strcmp(n->result, "replaced") == 0)
		obj_add(&o, "was", json_digest(&n->was));
	if (strcmp(n->result, "refused") == 0)
		obj_add(&o, "reason", json_text_lossy(n->why.text));
	arr_object(list, &o);
	serve_bundle_drop(b);
}

static int make_report(struct reload *r, int rc, const struct err *why, json_t **out, struct err *e)
{
	struct obj o = { 0 };
	struct arr list = { 0 };
	obj_bool(&o, "ok", rc == 0);
	obj_text(&o, "by", r->by);
	obj_int(&o, "at_us", r->at_us);
	obj_int(&o, "took_us", env_steady_us(flow_env(r->host->flow)) - r->began_us);
	if (rc < 0)
		obj_add(&o, "reason", json_text_lossy(why->text));
	if (rc == ERR_DENIED)
		obj_bool(&o, "denied", true);
	for (size_t i = 0; i < r->host->count && r->next[i].service; i++)
		add_next(&list, &r->next[i]);
	obj_array(&o, "policies", &list);
	return obj_done(&o, out, e);
}

static int reload(struct reload *r, struct err *e)
{
	struct serve_host *h = r->host;
	int rc = 0;
	for (size_t i = 0; i < h->count && rc == 0; i++) {
		rc = read_next(r, i, e);
		if (rc < 0)
			record_refusal(r, &r->next[i]);
	}
	for (size_t i = 0; i < h->count && rc == 0; i++)
		rc = replace(r, &r->next[i], e);
	return rc;
}

/* The report, and which files were looked at: they are not looked at again before they change. */
static void keep(struct reload *r, json_t *report)
{
	struct serve_host *h = r->host;
	pthread_mutex_lock(&h->lock);
	json_t *last = h->last_reload;
	h->last_reload = json_incref(report);
	pthread_mutex_unlock(&h->lock);
	json_decref(last);
	for (size_t i = 0; i < h->count; i++) {
		struct next *n = &r->next[i];
		struct serve_service *s = h->service[i];
		if (n->tried) {
			pthread_mutex_lock(&s->lock);
			struct buf former = s->files;
			s->files = n->files;
			s->stamp = n->stamp;
			pthread_mutex_unlock(&s->lock);
			n->files = former;
		}
		buf_free(&n->files);
		serve_bundle_drop(n->bundle);
	}
}

int serve_host_reload(struct serve_host *h, const char *by, json_t **report, struct err *e)
{
	struct reload *r = calloc(1, sizeof *r);
	struct err second;
	*report = NULL;
	if (!r)
		return err_set(e, ERR_NOMEM, "out of memory");
	pthread_mutex_lock(&h->reloading);
	r->host = h;
	r->by = by;
	r->at_us = env_now_us(flow_env(h->flow));
	r->began_us = env_steady_us(flow_env(h->flow));
	int rc = reload(r, e);
	int made = make_report(r, rc, e, report, rc < 0 ? &second : e);
	keep(r, *report);
	pthread_mutex_unlock(&h->reloading);
	free(r);
	return rc < 0 ? rc : made;
}

/* Whether one service's files are others than those that were read. They are looked at without the
 * lock, which every chat takes: a file system may let a stat wait for as long as it likes. */
static int look_at_files(struct serve_service *s, struct digest *stamp, bool *changed,
			 struct err *e)
{
	struct buf files = { 0 };
	pthread_mutex_lock(&s->lock);
	struct digest was = s->stamp;
	buf_add(&files, s->files.bytes, s->files.len);
	pthread_mutex_unlock(&s->lock);
	int rc = buf_done(&files, e);
	if (rc == 0)
		rc = flow_policy_stamp(&files, stamp, e);
	*changed |= rc == 0 && !digest_equal(stamp, &was);
	buf_free(&files);
	return rc;
}

int serve_host_changed(struct serve_host *h, struct digest *now, bool *changed, struct err *e)
{
	struct buf all = { 0 };
	int rc = 0;
	*changed = false;
	for (size_t i = 0; i < h->count && rc == 0; i++) {
		struct digest stamp;
		rc = look_at_files(h->service[i], &stamp, changed, e);
		if (rc == 0)
			buf_add(&all, &stamp, sizeof stamp);
	}
	if (rc == 0)
		rc = buf_done(&all, e);
	if (rc == 0)
		*now = digest_of(all.bytes ? all.bytes : "", all.len);
	buf_free(&all);
	return rc;
}
