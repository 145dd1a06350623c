/* Publications under way. A row is written before anything is staged beside the model, and removed
 * after the last rename. A row found when the state folder is opened was left by a crash. */
#include "registry/rows.h"

#include <stdio.h>
#include <string.h>

/* Step a statement that gives no rows, and commit. */
static int commit_statement(struct store_tx *tx, struct store_stmt *st, struct err *e)
{
	int rc = store_run(st, e);

	if (rc == 0)
		rc = store_commit(tx, e);
	return rc;
}

int registry_pending_begin(struct registry *r, const struct registry_pending *p, struct err *e)
{
	struct store_stmt *st;
	struct store_tx *tx;
	int rc;

	TRY(store_write(r->store, &tx, e));
	TRY_OUT(store_prepare(tx,
			      "INSERT INTO registry_pending(dir, model, version, package)"
			      " VALUES($1, $2, $3, $4)",
			      &st, e));
	store_bind_text(st, 1, p->dir);
	store_bind_text(st, 2, p->model);
	store_bind_text(st, 3, p->version);
	store_bind_text(st, 4, p->package);
	rc = commit_statement(tx, st, e);
	if (rc == ERR_CONFLICT)
		rc = err_set(e, rc, "an earlier publication of %s is not finished yet", p->dir);
out:
	store_end(tx);
	return rc;
}

int registry_pending_root(struct registry *r, const char *dir, const struct digest *root,
			  struct err *e)
{
	char text[DIGEST_TEXT_ROOM];
	struct store_stmt *st;
	struct store_tx *tx;
	int rc;

	digest_text(root, text);
	TRY(store_write(r->store, &tx, e));
	TRY_OUT(store_prepare(tx, "UPDATE registry_pending SET root = $2 WHERE dir = $1", &st, e));
	store_bind_text(st, 1, dir);
	store_bind_text(st, 2, text);
	rc = commit_statement(tx, st, e);
out:
	store_end(tx);
	return rc;
}

int registry_pending_forget(struct registry *r, const char *dir, struct err *e)
{
	struct store_stmt *st;
	struct store_tx *tx;
	int rc;

	TRY(store_write(r->store, &tx, e));
	TRY_OUT(store_prepare(tx, "DELETE FROM registry_pending WHERE dir = $1", &st, e));
	store_bind_text(st, 1, dir);
	rc = commit_statement(tx, st, e);
out:
	store_end(tx);
	return rc;
}

static int read_pending(struct store_stmt *st, struct registry_pending *p, struct err *e)
{
	const char *dir = store_text(st, 0), *root = store_text(st, 1),
		   *package = store_text(st, 2), *model = store_text(st, 3),
		   *version = store_text(st, 4);

	*p = (struct registry_pending){ .has_root = root != NULL };
	if (strlen(dir) >= sizeof p->dir || strlen(package) >= sizeof p->package ||
	    strlen(model) >= sizeof p->model || strlen(version) >= sizeof p->version)
		return err_set(e, ERR_INPUT,
			       "the database: a pending publication has no usable folder");
	strcpy(p->dir, dir);
	strcpy(p->package, package);
	strcpy(p->model, model);
	strcpy(p->version, version);
	return root ? digest_parse(root, &p->root, e) : 0;
}

int registry_pending_next(struct registry *r, const char *after, struct registry_pending *out,
			  struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(store_read(r->store, &tx, e));
	TRY_OUT(store_prepare(tx,
			      "SELECT dir, root, package, model, version FROM registry_pending"
			      " WHERE dir > $1 ORDER BY dir LIMIT 1",
			      &st, e));
	store_bind_text(st, 1, after);
	TRY_OUT(store_step(st, e));
	if (rc == 1) {
		TRY_OUT(read_pending(st, out, e));
		rc = 1;
	}
out:
	store_finish(st);
	store_end(tx);
	return rc;
}
