/* Tokens, on both sides: a row of the table, by which servers know them, and a record of the log.
 *
 * New: the row, then the record, then the secret is told; where the record cannot be made the row
 * goes again. Revoked: the row, then the record: whatever happens in between, the token is refused.
 * The log's writer, whichever process that is, counts the record as it comes in, after the row: so
 * a server looks at the table before it answers another request. */
#include "flow/access.h"
#include "audit/keyed.h"
#include "audit/subject.h"
#include "flow/home.h"

#include <string.h>

int flow_access_apply(void *ctx, struct store_tx *tx, uint64_t index, const json_t *entry,
		      struct err *e)
{
	struct flow *f = ctx;
	const char *type = json_string_value(json_object_get(entry, "type"));
	if (type && strcmp(type, "access") == 0)
		atomic_fetch_add(&f->access_changes, 1);
	return registry_apply(f->registry, tx, index, entry, e);
}

bool flow_access_concerns(const char *type)
{
	return strcmp(type, "access") == 0 || registry_concerns(type);
}

int flow_access_schema(struct store_tx *tx, struct err *e)
{
	TRY(registry_schema(tx, e));
	return access_schema(tx, e);
}

static const char *or_null(const char *text) { return text && *text ? text : NULL; }

static json_t *token_json(const struct access_grant *g)
{
	struct obj o = { 0 };
	obj_text(&o, "id", g->id);
	obj_text(&o, "name", g->name);
	return obj_take(&o);
}

/* Roles and all that they are bound to; the quotas apart, as the record has them. */
static json_t *roles_json(const json_t *grant)
{
	static const char *const members[] = { "roles",  "scopes",  "models",
					       "policy", "expires", "names_subjects",
					       "subject" };
	struct obj o = { 0 };
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		json_t *v = json_object_get(grant, members[i]);
		if (v)
			obj_share(&o, members[i], v);
	}
	return obj_take(&o);
}

static int record(struct flow *f, const char *action, const struct access_grant *g,
		  const struct flow_actor *by, struct audit_receipt *out, struct err *e)
{
	char actor[AUDIT_ACTOR_ROOM];
	json_t *grant = NULL;
	TRY(audit_actor_handle(f->log, by->name, actor, e));
	TRY(access_grant_json(g, &grant, e));
	struct audit_field field[] = {
		{ "actor", json_string(actor) },
		{ "action", json_string(action) },
		{ "token", token_json(g) },
		{ "roles", roles_json(grant) },
		{ "quotas", json_incref(json_object_get(grant, "limits")) },
		{ "reason", or_null(by->reason) ? json_text_lossy(by->reason) : json_null() },
	};
	size_t count = sizeof field / sizeof *field;
	struct audit_record r = { .type = "access", .field = field, .field_count = count };
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = json_ok(field[i].value, e);
	if (rc == 0)
		rc = flow_append(f, &r, false, out, e);
	for (size_t i = 0; i < count; i++)
		json_decref(field[i].value);
	json_decref(grant);
	return rc;
}

static int describe(const struct access_grant *g, const struct audit_receipt *receipt,
		    json_t **report, struct err *e)
{
	TRY(access_grant_json(g, report, e));
	json_object_set_new(*report, "index",
			    receipt ? json_integer((json_int_t)receipt->index) : json_null());
	return 0;
}

static int check_actor(const struct flow_actor *by, struct err *e)
{
	if (!or_null(by->name) || strlen(by->name) > 256)
		return err_set(e, ERR_INPUT, "who acts needs a name of at most 256 bytes");
	if (by->reason && strlen(by->reason) > 4096)
		return err_set(e, ERR_INPUT, "the reason is longer than 4096 bytes");
	return 0;
}

int flow_token_new(struct flow *f, struct access_grant *g, const struct flow_actor *by,
		   char secret[ACCESS_SECRET_ROOM], json_t **report, struct err *e)
{
	struct audit_receipt receipt;
	TRY(check_actor(by, e));
	if (or_null(by->person))
		TRY(audit_subject_handle(f->log, by->person, g->subject, e));
	access_secret_draw(f->env, g, secret);
	g->made_us = env_now_us(f->env);
	struct digest d = digest_of(secret, strlen(secret));
	TRY(access_token_add(f->store, g, &d, e));
	env_step(f->env, "token.added");
	int rc = record(f, "new", g, by, &receipt, e);
	if (rc == 0)
		rc = describe(g, &receipt, report, e);
	if (rc < 0) {
		explicit_bzero(secret, ACCESS_SECRET_ROOM);
		access_token_remove(f->store, g->id);
	}
	return rc;
}

int flow_token_revoke(struct flow *f, const char *which, const struct flow_actor *by,
		      json_t **report, struct err *e)
{
	struct access_grant g;
	struct audit_receipt receipt;
	int64_t now = env_now_us(f->env);
	bool told = false;
	TRY(check_actor(by, e));
	TRY(access_token_find(f->store, which, &g, &told, e));
	if (g.revoked_us && told)
		return describe(&g, NULL, report, e);
	TRY(access_token_revoke(f->store, g.id, now, false, e));
	g.revoked_us = g.revoked_us ? g.revoked_us : now;
	env_step(f->env, "token.revoked");
	if (record(f, "revoke", &g, by, &receipt, e) < 0)
		return err_prefix(e,
				  "%s is refused from now on, but the log does not say so yet "
				  "(revoke it again)",
				  g.id);
	TRY(access_token_revoke(f->store, g.id, now, true, e));
	return describe(&g, &receipt, report, e);
}

int flow_token_list(struct flow *f, json_t **report, struct err *e)
{
	return access_token_list(f->store, report, e);
}

int flow_token_usage(struct flow *f, int64_t from_us, int64_t to_us, json_t **report, struct err *e)
{
	return access_usage_list(f->store, from_us, to_us, report, e);
}

int flow_access_open(struct flow *f, const struct access_options *o, struct access **out,
		     struct err *e)
{
	struct access_options own = *o;
	own.store = f->store;
	own.env = f->env;
	own.changes = &f->access_changes;
	return access_open(out, &own, e);
}
