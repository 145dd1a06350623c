/* The policy of a service: read, logged, then put in force. A chat holds the one that it began
 * under until it ends, so that a new one takes force at once and changes no answer that runs. */
#include "audit/audit.h"
#include "flow/policy.h"
#include "serve/service.h"

#include <stdlib.h>

struct serve_bundle *serve_bundle_new(struct err *e)
{
	struct serve_bundle *b = calloc(1, sizeof *b);
	if (b)
		atomic_init(&b->held, 1);
	else
		err_set(e, ERR_NOMEM, "out of memory");
	return b;
}

int serve_bundle_read(struct serve_bundle **out, struct flow *f, const char *path, bool keep,
		      struct buf *files, struct err *e)
{
	struct serve_bundle *b = *out = serve_bundle_new(e);
	if (!b)
		return ERR_NOMEM;
	int rc = path ? flow_policy_open(f, path, keep, files, &b->profile, e) : 0;
	if (rc < 0) {
		free(b);
		*out = NULL;
	}
	return rc;
}

struct serve_bundle *serve_bundle_hold(struct serve_service *s)
{
	pthread_mutex_lock(&s->lock);
	struct serve_bundle *b = s->bundle;
	atomic_fetch_add(&b->held, 1);
	pthread_mutex_unlock(&s->lock);
	return b;
}

void serve_bundle_drop(struct serve_bundle *b)
{
	if (!b || atomic_fetch_sub(&b->held, 1) > 1)
		return;
	policy_profile_free(b->profile);
	free(b);
}

void serve_bundle_put(struct serve_service *s, struct serve_bundle *b)
{
	pthread_mutex_lock(&s->lock);
	struct serve_bundle *former = s->bundle;
	s->bundle = b;
	pthread_mutex_unlock(&s->lock);
	serve_bundle_drop(former);
}

const struct filter_set *serve_bundle_rules(const struct serve_bundle *b, enum policy_phase phase)
{
	const struct policy_profile *p = b->profile;
	return p && p->mode != POLICY_OFF ? p->set[phase] : NULL;
}

enum policy_content serve_keeps(const struct policy_profile *p)
{
	return p ? p->content : POLICY_FULL;
}

int serve_record_body(struct flow *f, const char *type, struct obj *o, struct err *e)
{
	struct audit_record r = { .type = type };
	struct audit_receipt receipt;
	TRY(obj_done(o, &r.body, e));
	int rc = flow_append(f, &r, false, &receipt, e);
	json_decref(r.body);
	return rc;
}

int serve_bundle_record(struct serve_service *s, const struct serve_bundle *b, const char *event,
			const char *by, struct err *e)
{
	const struct policy_profile *p = b->profile;
	struct obj o = { 0 };
	if (!p)
		return 0;
	obj_text(&o, "event", event);
	obj_text(&o, "model", s->model_name);
	obj_text(&o, "by", by);
	obj_add(&o, "digest", json_digest(&p->bundle));
	obj_add(&o, "rules_digest", json_digest(&p->rules));
	obj_add(&o, "source", json_digest(&p->source));
	obj_text(&o, "name", p->name);
	obj_count(&o, "version", p->version);
	obj_text(&o, "mode", policy_mode_name(p->mode));
	obj_text(&o, "tables", filter_tables_version());
	if (json_array_size(p->overrides))
		obj_share(&o, "overrides", p->overrides);
	return serve_record_body(s->flow, "bundle", &o, e);
}
