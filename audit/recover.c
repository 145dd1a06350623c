/* Recovery at opening.
 *
 * The database is ahead of the folder by what a crash left between commit point and checkpoint,
 * never behind it. What the signed checkpoint covers was durable before it was signed, so only the
 * edge is looked at: the right edge of its tree from the published tiles, the newest bundle's
 * entries and all later ones from the database. From these the signed root and the head's root must
 * come out, and the published files of the edge must be the same; what is missing is written; then
 * the head is signed. Any difference stops the log with nothing signed. Running it twice changes
 * nothing.
 *
 * Where the edge does not come out, or a tile of it is missing, every entry is read again from the
 * first: missing files are written, or the first one that differs is named. What lies farther back
 * is audit_verify's to check, and each entry's own when it is read (audit_log_entry). */
#include "audit/log_in.h"

#include "base/file.h"

#include <string.h>

/* ---- the head ---- */

static int take_head(struct store_stmt *st, uint64_t *size, struct digest *root, struct err *e)
{
	size_t len;
	const void *bytes = store_blob(st, 2, &len);
	int64_t version = store_i64(st, 0);

	if (version < 1 || version > LOG_HEAD_VERSION)
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: this log_head");
	if (len != 32 || store_i64(st, 1) < 0)
		return err_set(e, ERR_VERIFY, "log_head is malformed");
	*size = (uint64_t)store_i64(st, 1);
	memcpy(root->bytes, bytes, 32);
	return 0;
}

int audit_log_head_read(struct store_tx *tx, uint64_t *size, struct digest *root, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "SELECT version, size, root FROM log_head WHERE id = 1", &st, e));
	int rc = store_step(st, e);
	if (rc == 1)
		rc = take_head(st, size, root, e);
	else if (rc == 0)
		rc = err_set(e, ERR_NOTFOUND, "the database has no log");
	store_finish(st);
	return rc;
}

int audit_log_head_ask(struct store *s, uint64_t *size, struct digest *root, struct err *e)
{
	struct store_tx *tx;

	TRY(store_read(s, &tx, e));
	int rc = audit_log_head_read(tx, size, root, e);
	store_end(tx);
	return rc;
}

int audit_log_head_insert(struct store_tx *tx, uint64_t size, const struct digest *root,
			  struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "INSERT INTO log_head(id, version, size, root) VALUES(1, $3, $1, $2)",
			  &st, e));
	store_bind_i64(st, 1, (int64_t)size);
	store_bind_blob(st, 2, root->bytes, 32);
	store_bind_i64(st, 3, LOG_HEAD_VERSION);
	return store_run(st, e);
}

static int first_opening(struct audit_log *log, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct digest root = digest_of("", 0);
	struct store_tx *tx;

	TRY(file_join(path, log->dir, "checkpoint", e));
	if (file_exists(path))
		return err_set(
			e, ERR_VERIFY,
			"%s is signed, but the database has no log: run `hallmark registry rebuild`",
			path);
	TRY(store_write(log->store, &tx, e));
	int rc = audit_log_head_insert(tx, 0, &root, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	return rc;
}

/* The size that was published when the head was written last: what a crash may have left to do in
 * the folder lies behind it. 0 where the row names none. */
static int published_before(struct audit_log *log, uint64_t *size, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	struct checkpoint c;
	int rc;

	*size = 0;
	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT checkpoint FROM log_head WHERE id = 1", &st, e));
	TRY_OUT(store_step(st, e));
	const char *note = rc == 1 ? store_text(st, 0) : NULL;
	if (note && audit_checkpoint_open(note, strlen(note), log->vkey.bytes, &c, NULL) == 0)
		*size = c.size;
	rc = 0;
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

/* ---- reading entries again ---- */

/* The root that the tree must have at a size. */
struct expected {
	uint64_t size;
	struct digest root;
	const char *what;
};

static int compare_root(struct audit_log *log, const struct expected *x, size_t count,
			struct err *e)
{
	for (size_t i = 0; i < count; i++) {
		if (x[i].size != log->merkle.count)
			continue;
		struct digest root = merkle_root(&log->merkle);
		if (!digest_equal(&x[i].root, &root))
			return err_set(
				e, ERR_VERIFY,
				"the entries in the database do not have the root of %s at size %llu",
				x[i].what, (unsigned long long)x[i].size);
	}
	return 0;
}

static int replay_row(struct audit_log *log, struct store_stmt *st, struct err *e)
{
	size_t leaf_len, len;
	const void *stored = store_blob(st, 1, &leaf_len), *entry = store_blob(st, 2, &len);
	struct digest leaf = audit_tree_leaf(entry, len);
	unsigned long long index = (unsigned long long)log->merkle.count;
	struct record_head head;

	if ((uint64_t)store_i64(st, 0) != log->merkle.count)
		return err_set(e, ERR_VERIFY, "entry %llu is missing from the database", index);
	if (len > LIMIT_ENTRY_BYTES || leaf_len != 32 || memcmp(stored, leaf.bytes, 32) != 0)
		return err_set(e, ERR_VERIFY, "entry %llu in the database does not have its hash",
			       index);
	if (audit_record_parse(entry, len, &head, e) < 0)
		return err_set(e, ERR_VERIFY, "entry %llu in the database is malformed", index);
	log->last_time_us = head.time_us;
	json_decref(head.entry);
	merkle_add(&log->merkle, &leaf);
	return audit_edge_add(log->edge, log->dir, log->env, entry, len, e);
}

/* All entries from `from` on; x[0] is the end. */
static int replay(struct audit_log *log, uint64_t from, const struct expected *x, size_t count,
		  struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	log->merkle = audit_edge_merkle(log->edge);
	TRY(compare_root(log, x, count, e));
	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx,
			      "SELECT idx, leaf, entry FROM log_entry WHERE idx >= $1 ORDER BY idx",
			      &st, e));
	store_bind_i64(st, 1, (int64_t)from);
	while ((rc = store_step(st, e)) == 1) {
		TRY_OUT(replay_row(log, st, e));
		TRY_OUT(compare_root(log, x, count, e));
	}
	if (rc == 0 && log->edge->size != x[0].size)
		rc = err_set(e, ERR_VERIFY, "the database has %llu entries, its head says %llu",
			     (unsigned long long)log->edge->size, (unsigned long long)x[0].size);
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

/* From the newest bundle that the checkpoint covers, over the published tiles above it. */
static int replay_edge(struct audit_log *log, const struct expected *x, size_t count, uint64_t size,
		       struct err *e)
{
	uint64_t from = size ? (size - 1) / TILE_FULL * TILE_FULL : 0;

	TRY(audit_edge_load(log->edge, log->dir, from, size, e));
	return replay(log, from, x, count, e);
}

/* ---- opening ---- */

static int open_checkpoint(struct audit_log *log, struct checkpoint *c, struct err *e)
{
	int rc = audit_log_checkpoint_read(log->dir, log->vkey.bytes, &log->checkpoint, c, e);

	if (rc == ERR_NOTFOUND) {
		*c = (struct checkpoint){ .root = digest_of("", 0) };
		return 0;
	}
	return rc == ERR_INPUT ? err_set(e, ERR_VERIFY, "%s/checkpoint is damaged", log->dir) : rc;
}

static int bring_up(struct audit_log *log, uint64_t size, const struct digest *root, struct err *e)
{
	struct checkpoint c;
	uint64_t before;

	TRY(open_checkpoint(log, &c, e));
	if (c.size > size)
		return err_set(
			e, ERR_VERIFY,
			"the signed checkpoint covers %llu entries, the database has %llu: it is an old copy; "
			"run `hallmark registry rebuild` with an empty one",
			(unsigned long long)c.size, (unsigned long long)size);
	const struct expected x[2] = { { size, *root, "its head" },
				       { c.size, c.root, "the signed checkpoint" } };
	int rc = replay_edge(log, x, 2, c.size, e);
	if (rc == ERR_NOTFOUND || rc == ERR_VERIFY) {
		audit_edge_close(log->edge);
		rc = replay(log, 0, x, 2, e);
	}
	TRY(rc);
	log->size = c.size;
	log->root = c.root;
	if (size > c.size)
		return audit_log_publish(log, e);
	TRY(published_before(log, &before, e));
	TRY(audit_edge_flush(log->edge, log->dir, log->env, e));
	return audit_log_drop_partials(log, before, e);
}

int audit_log_append_itself(struct audit_log *log, const char *type, json_t *body, struct err *e)
{
	struct log_worker *w = &log->itself;
	struct audit_record r = { .type = type, .n = audit_worker_reserve(log, w), .body = body };
	struct pending p = { .worker = w };
	int rc = body ? audit_record_prepare(&r, log->env, &p.record, e)
		      : err_set(e, ERR_NOMEM, "out of memory");

	if (rc == 0)
		rc = audit_log_append_pending(log, &p, e);
	json_decref(body);
	return rc;
}

int audit_log_recover(struct audit_log *log, struct err *e)
{
	struct digest root;
	uint64_t size = 0;
	int rc = audit_log_head_ask(log->store, &size, &root, e);

	if (rc == ERR_NOTFOUND) {
		TRY(first_opening(log, e));
		rc = audit_log_head_ask(log->store, &size, &root, e);
	}
	TRY(rc);
	TRY(bring_up(log, size, &root, e));
	TRY(audit_vault_recover(log, e));
	if (size == 0)
		return audit_log_append_itself(log, "genesis",
					       json_pack("{s:s,s:s}", "origin", log->origin, "vkey",
							 log->vkey.bytes),
					       e);
	return audit_workers_close_dead(log, e);
}
