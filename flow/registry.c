/* The registry's verbs. Every change is a log entry; the registry's rows follow from it in the same
 * transaction. */
#include "base/version.h"
#include "flow/home.h"

#include <stdlib.h>
#include <string.h>

int flow_registry_export(struct flow *f, json_t **report, struct err *e)
{
	return registry_export(f->registry, report, e);
}

static struct obj describe(const struct registry_release *r)
{
	struct obj o = { 0 };
	obj_text(&o, "model", r->model);
	obj_text(&o, "version", r->version);
	obj_add(&o, "root", json_digest(&r->root));
	obj_text(&o, "publisher", r->publisher);
	obj_text(&o, "license", r->license);
	obj_count(&o, "index", r->log_index);
	obj_add(&o, "location", json_text_lossy(r->location));
	return o;
}

static int add_release(void *list, const struct registry_release *r, struct err *e)
{
	struct obj o = describe(r);
	(void)e; /* the list's builder keeps a failure */
	arr_object(list, &o);
	return 0;
}

int flow_registry_list(struct flow *f, json_t **report, struct err *e)
{
	struct obj o = { 0 };
	struct arr list = { 0 };
	int rc = registry_each(f->registry, add_release, &list, e);
	obj_array(&o, "releases", &list);
	if (rc == 0)
		return obj_done(&o, report, e);
	obj_free(&o);
	return rc;
}

int flow_registry_show(struct flow *f, const char *ref, json_t **report, struct err *e)
{
	struct registry_release r;
	TRY(registry_find(f->registry, ref, &r, e));
	struct obj o = describe(&r);
	return obj_done(&o, report, e);
}

/* A reference finds versions first: an alias that is spelled like one would never be reached. */
static int check_alias(struct flow *f, const char *model, const char *alias, struct err *e)
{
	struct registry_release there;
	struct err none;
	char ref[sizeof there.model + 64];
	snprintf(ref, sizeof ref, "%s@%s", model, alias);
	int rc = registry_find(f->registry, ref, &there, &none);
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc < 0)
		return err_set(e, rc, "%s", none.text);
	return strcmp(there.version, alias) != 0
		       ? 0
		       : err_set(e, ERR_CONFLICT, "%s is a version: choose another alias", ref);
}

int flow_registry_alias(struct flow *f, const char *ref, const char *alias, json_t **report,
			struct err *e)
{
	struct registry_release r;
	struct audit_receipt receipt;
	if (!alias[0] || strlen(alias) > 60 ||
	    strspn(alias, "abcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(alias))
		return err_set(e, ERR_USAGE,
			       "alias \"%s\": expected lower-case letters, digits, '-' and '_'",
			       alias);
	if (version_like(alias) || strcmp(alias, "latest") == 0)
		return err_set(e, ERR_USAGE,
			       "alias \"%s\" reads as a version (a reference without one is the "
			       "highest): choose a word such as stable",
			       alias);
	TRY(registry_find(f->registry, ref, &r, e));
	TRY(check_alias(f, r.model, alias, e));
	struct obj o = { 0 };
	json_t *body;
	obj_text(&o, "event", "alias");
	obj_null(&o, "actor"); /* a handle, where somebody vouches for who it was */
	obj_text(&o, "model", r.model);
	obj_text(&o, "alias", alias);
	obj_add(&o, "root", json_digest(&r.root));
	obj_null(&o, "gate"); /* the entry that let it pass */
	TRY(obj_done(&o, &body, e));
	int rc = flow_append(f, &(struct audit_record){ .type = "registry", .body = body }, false,
			     &receipt, e);
	if (rc == 0)
		*report = json_pack("{s:s,s:s,s:o,s:I}", "model", r.model, "alias", alias, "root",
				    json_digest(&r.root), "index", (json_int_t)receipt.index);
	json_decref(body);
	return rc < 0 ? rc : json_ok(*report, e);
}

int flow_registry_affected(struct flow *f, const char *ref, json_t **report, struct err *e)
{
	struct registry_release r;
	json_t *list = NULL;
	TRY(registry_find(f->registry, ref, &r, e));
	TRY(registry_affected(f->registry, &r.root, &list, e));
	*report = json_pack("{s:s,s:o,s:o}", "model", r.model, "root", json_digest(&r.root),
			    "affected", list);
	return json_ok(*report, e);
}
