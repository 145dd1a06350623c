/* Recover: complete or undo what a crash left. Run at every opening for writing, a guest's too, and
 * before a folder is published again; idempotent.
 *
 * The log repairs itself when it opens (audit_log_open). Here: publications whose release is in the
 * log are completed, others are undone. */
#include "base/file.h"
#include "base/text.h"
#include "flow/home.h"

#include <string.h>

static void note(struct flow *f, const char *what, const char *dir, const char *reason)
{
	char text[LIMIT_PATH_BYTES + sizeof(struct err)];
	snprintf(text, sizeof text, "%s%s%s", dir, reason ? ": " : "", reason ? reason : "");
	json_array_append_new(json_object_get(f->recovered, what), json_text_lossy(text));
}

static int complete(struct flow *f, const struct registry_pending *p, struct err *e)
{
	struct err why = { 0 };
	int rc = flow_publish_finish(f, p, e);
	if (rc == ERR_NOTFOUND && !file_is_dir(p->dir)) { /* nothing is left to complete */
		note(f, "failed", p->dir, e->text);
		return registry_pending_forget(f->registry, p->dir, e);
	}
	TRY(rc);
	if (flow_publish_package(f, p, &why) < 0)
		note(f, "failed", p->package, why.text); /* it can be made again */
	TRY(registry_pending_forget(f->registry, p->dir, e));
	note(f, "completed", p->dir, NULL);
	return 0;
}

static int undo(struct flow *f, const struct registry_pending *p, struct err *e)
{
	char staging[LIMIT_PATH_BYTES + 32];
	snprintf(staging, sizeof staging, "%s%s", p->dir, FLOW_STAGING_SUFFIX);
	TRY(file_remove_tree(staging, e));
	env_step(f->env, "recover.undone");
	TRY(registry_pending_forget(f->registry, p->dir, e));
	note(f, "undone", p->dir, NULL);
	return 0;
}

/* A folder that cannot be written must not close the log: its row waits for the next opening. */
static int recover_one(struct flow *f, const struct registry_pending *p, struct err *e)
{
	struct err why = { 0 };
	int logged = flow_pending_logged(f, p, e);
	TRY(logged);
	if ((logged ? complete(f, p, &why) : undo(f, p, &why)) < 0)
		note(f, "failed", p->dir, why.text);
	return 0;
}

int flow_recover_folder(struct flow *f, const char *dir, struct err *e)
{
	struct registry_pending p = { .dir = "" };
	int rc;
	while ((rc = registry_pending_next(f->registry, p.dir, &p, e)) == 1)
		if (strcmp(p.dir, dir) == 0)
			return recover_one(f, &p, e);
	return rc;
}

/* What is being published at this moment, by us or through our door, is locked and left alone. */
int flow_recover(struct flow *f, struct err *e)
{
	struct registry_pending p = { .dir = "" };
	int rc;
	while ((rc = registry_pending_next(f->registry, p.dir, &p, e)) == 1) {
		int fd = -1;
		struct err ignored;
		if (file_lock_folder(p.dir, &fd, &ignored) == ERR_CONFLICT)
			continue;
		rc = flow_recover_folder(f, p.dir, e);
		file_unlock(fd);
		TRY(rc);
	}
	return rc;
}
