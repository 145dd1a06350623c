/* Asking the registry. References:
 *
 *   sha256:<hex>       the newest release with that root
 *   org/model          the highest version: base/version.h
 *   org/model@x        version x; else the release that alias x points to */
#include "base/limits.h"
#include "base/text.h"
#include "base/version.h"
#include "registry/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int registry_open(struct registry **out, struct store *store, struct err *e)
{
	struct registry *r = calloc(1, sizeof(*r));
	int rc;

	*out = NULL;
	if (!r)
		return err_set(e, ERR_NOMEM, "out of memory");
	r->store = store;
	rc = registry_rows_check(store, e);
	if (rc < 0)
		registry_close(r);
	else
		*out = r;
	return rc;
}

void registry_close(struct registry *r) { free(r); }

/* A row (idx, body, folder) into out. */
static int read_row(struct store_stmt *st, struct registry_release *out, struct err *e)
{
	const char *text = store_text(st, 1), *folder = store_text(st, 2);
	json_t *body;
	int rc;

	TRY(json_read(&body, text, strlen(text), LIMIT_ENTRY_BYTES, LIMIT_JSON_DEPTH, e));
	rc = registry_rows_release(body, out, e);
	json_decref(body);
	out->log_index = (uint64_t)store_i64(st, 0);
	snprintf(out->location, sizeof(out->location), "%s", folder ? folder : "");
	return rc;
}

#define RELEASE_ROWS \
	"SELECT r.idx, r.body, l.folder FROM registry_release r LEFT JOIN location l ON l.root = r.root "

/* 1 with the first row of RELEASE_ROWS + tail, 0 without. b may be NULL. */
static int find_row(struct store_tx *tx, const char *sql, const char *a, const char *b,
		    struct registry_release *out, struct err *e)
{
	struct store_stmt *st;
	int rc;

	TRY(store_prepare(tx, sql, &st, e));
	store_bind_text(st, 1, a);
	if (b)
		store_bind_text(st, 2, b);
	rc = store_step(st, e);
	if (rc == 1) {
		int read = read_row(st, out, e);
		rc = read < 0 ? read : 1;
	}
	store_finish(st);
	return rc;
}

/* "model@name": a version, else an alias. */
static int find_named(struct store_tx *tx, const char *ref, const char *at,
		      struct registry_release *out, struct err *e)
{
	char model[sizeof(out->model)];
	int rc;

	if ((size_t)(at - ref) >= sizeof(model))
		return 0;
	memcpy(model, ref, (size_t)(at - ref));
	model[at - ref] = 0;
	rc = find_row(tx, RELEASE_ROWS "WHERE r.model = $1 AND r.version = $2", model, at + 1, out,
		      e);
	if (rc != 0)
		return rc;
	return find_row(tx,
			RELEASE_ROWS
			"JOIN registry_alias a ON a.root = r.root AND a.model = r.model"
			" WHERE a.model = $1 AND a.alias = $2 ORDER BY r.idx DESC LIMIT 1",
			model, at + 1, out, e);
}

/* "model": its highest version. */
static int find_highest(struct store_tx *tx, const char *model, struct registry_release *out,
			struct err *e)
{
	char highest[sizeof(out->version)] = "";
	struct store_stmt *st;
	int rc;

	TRY(store_prepare(tx, "SELECT r.version FROM registry_release r WHERE r.model = $1", &st,
			  e));
	store_bind_text(st, 1, model);
	while ((rc = store_step(st, e)) == 1) {
		const char *version = store_text(st, 0);
		if (version_compare(version, highest) > 0)
			snprintf(highest, sizeof(highest), "%s", version);
	}
	store_finish(st);
	if (rc < 0 || !highest[0])
		return rc;
	return find_row(tx, RELEASE_ROWS "WHERE r.model = $1 AND r.version = $2", model, highest,
			out, e);
}

int registry_find(struct registry *r, const char *ref, struct registry_release *out, struct err *e)
{
	const char *at = strchr(ref, '@');
	struct store_tx *tx;
	int rc;

	TRY(store_read(r->store, &tx, e));
	if (text_starts(ref, "sha256:"))
		rc = find_row(tx, RELEASE_ROWS "WHERE r.root = $1 ORDER BY r.idx DESC LIMIT 1", ref,
			      NULL, out, e);
	else if (at)
		rc = find_named(tx, ref, at, out, e);
	else
		rc = find_highest(tx, ref, out, e);
	store_end(tx);
	if (rc == 0)
		return err_set(e, ERR_NOTFOUND, "the registry has no %.300s", ref);
	return rc < 0 ? rc : 0;
}

int registry_each(struct registry *r,
		  int (*visit)(void *ctx, const struct registry_release *release, struct err *e),
		  void *ctx, struct err *e)
{
	struct registry_release release;
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(store_read(r->store, &tx, e));
	TRY_OUT(store_prepare(tx, RELEASE_ROWS "ORDER BY r.idx", &st, e));
	while ((rc = store_step(st, e)) == 1) {
		TRY_OUT(read_row(st, &release, e));
		rc = visit(ctx, &release, e);
		if (rc != 0)
			break;
	}
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

int registry_locate(struct registry *r, const struct digest *root, const char *folder,
		    struct err *e)
{
	char text[DIGEST_TEXT_ROOM];
	struct store_stmt *st;
	struct store_tx *tx;
	int rc;

	if (strlen(folder) >= sizeof(((struct registry_release *)0)->location))
		return err_set(e, ERR_INPUT, "the folder's path is too long");
	digest_text(root, text);
	TRY(store_write(r->store, &tx, e));
	TRY_OUT(store_prepare(tx,
			      "INSERT INTO location(root, folder) VALUES($1, $2)"
			      " ON CONFLICT(root) DO UPDATE SET folder = excluded.folder",
			      &st, e));
	store_bind_text(st, 1, text);
	store_bind_text(st, 2, folder);
	TRY_OUT(store_run(st, e));
	rc = store_commit(tx, e);
out:
	store_end(tx);
	return rc;
}

int registry_location(struct registry *r, const struct digest *root, char *out, struct err *e)
{
	char text[DIGEST_TEXT_ROOM];
	struct store_stmt *st;
	struct store_tx *tx;
	int rc;

	out[0] = 0;
	digest_text(root, text);
	TRY(store_read(r->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT folder FROM location WHERE root = $1", &st, e));
	store_bind_text(st, 1, text);
	rc = store_step(st, e);
	if (rc == 1)
		snprintf(out, LIMIT_PATH_BYTES, "%s", store_text(st, 0));
	store_finish(st);
out:
	store_end(tx);
	return rc < 0 ? rc : 0;
}
