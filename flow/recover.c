/* Recover: complete or undo what a crash left. Run at every opening for writing; idempotent.
 *
 * The log repairs itself when it opens (audit_log_open). Here: publications whose release is in the
 * log are completed, others are undone. */
#include "base/file.h"
#include "base/text.h"
#include "flow/home.h"

#include <string.h>

static int read_pending(struct store_stmt *st, struct flow_pending *p, struct err *e)
{
	*p = (struct flow_pending){ 0 };
	const char *dir = store_text(st, 0), *root = store_text(st, 1),
		   *package = store_text(st, 2);
	if (!dir || strlen(dir) >= sizeof p->dir || strlen(package) >= sizeof p->package)
		return err_set(e, ERR_INPUT,
			       "state.db: a pending publication has no usable folder");
	strcpy(p->dir, dir);
	strcpy(p->package, package);
	p->has_root = root != NULL;
	return root ? digest_parse(root, &p->root, e) : 0;
}

/* 1 with the first pending publication, 0 if there is none. */
static int next_pending(struct flow *f, struct flow_pending *p, struct err *e)
{
	struct store_stmt *st;
	TRY(store_prepare(f->store,
			  "SELECT dir, root, package FROM flow_pending ORDER BY dir LIMIT 1", &st,
			  e));
	int rc = store_step(st, e);
	if (rc == 1) {
		int read = read_pending(st, p, e);
		rc = read < 0 ? read : 1;
	}
	store_finish(st);
	return rc;
}

static int forget(struct flow *f, const char *dir, struct err *e)
{
	struct store_stmt *st;
	TRY(store_prepare(f->store, "DELETE FROM flow_pending WHERE dir = $1", &st, e));
	store_bind_text(st, 1, dir);
	int rc = store_step(st, e);
	store_finish(st);
	return rc < 0 ? rc : 0;
}

static int recover_one(struct flow *f, const struct flow_pending *p, struct err *e)
{
	char ref[DIGEST_TEXT_ROOM], staging[LIMIT_PATH_BYTES + 32];
	struct registry_release release;
	struct err none;
	digest_text(&p->root, ref);
	int found = p->has_root ? registry_find(f->registry, ref, &release, &none) : ERR_NOTFOUND;
	if (found == 0) {
		TRY(flow_publish_finish(f, p, e));
		json_array_append_new(json_object_get(f->recovered, "completed"),
				      json_string(p->dir));
		return 0;
	}
	if (found != ERR_NOTFOUND)
		return err_set(e, found, "%s", none.text);
	snprintf(staging, sizeof staging, "%s%s", p->dir, FLOW_STAGING_SUFFIX);
	TRY(file_remove_tree(staging, e));
	env_step(f->env, "recover.undone");
	TRY(forget(f, p->dir, e));
	json_array_append_new(json_object_get(f->recovered, "undone"), json_string(p->dir));
	return 0;
}

int flow_recover(struct flow *f, struct err *e)
{
	for (;;) {
		struct flow_pending p;
		int rc = next_pending(f, &p, e);
		if (rc <= 0)
			return rc;
		rc = recover_one(f, &p, e);
		if (rc < 0)
			return err_prefix(e, "recover the publication of %s", p.dir);
	}
}
