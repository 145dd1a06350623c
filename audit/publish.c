/* Around the commit point: tiles, check of what is stored, signature; then the checkpoint.
 *
 *   tiles written                          audit.bundle, audit.tile
 *   root recomputed from stored bytes      audit.verified
 *   checkpoint signed                      audit.signed
 *   rows, head and checkpoint committed    audit.committed
 *   renamed into the folder                audit.checkpoint
 *   behind all that: files synced          audit.synced
 *   noted in log_guard                     audit.settled
 *
 * Nothing is signed that was not read back: a flipped bit between memory and disk stops the log,
 * not its readers. Nothing is published that the database does not hold, and a signature first goes
 * into the transaction that commits its rows: where that fails, nobody has seen it. Tiles beyond
 * the checkpoint count for nothing until they are replaced by right ones. Files need not be durable
 * before their readers see them, for they follow from the database, and an opening writes again
 * what a power failure took. */
#include "audit/log_in.h"

#include "base/file.h"

#include <string.h>

/* Bundles and tiles that were touched since old, as stored. */
static int check_stored(struct audit_log *log, uint64_t old, uint64_t size, struct err *e)
{
	for (uint64_t n = old / TILE_FULL; n * TILE_FULL < size; n++)
		TRY(audit_tile_check_bundle(log->dir, size, n, e));
	for (int level = 0; level + 1 < TILE_LEVELS; level++) {
		uint64_t full = size >> 8 * (level + 1);
		for (uint64_t n = old >> 8 * (level + 1); n < full; n++)
			TRY(audit_tile_check_parent(log->dir, size, level, n, e));
	}
	return 0;
}

int audit_log_verify_stored(struct audit_log *log, const struct digest *root, struct err *e)
{
	uint64_t size = log->edge->size;
	struct digest stored;

	TRY(check_stored(log, log->laid, size, e));
	TRY(audit_tile_edge_root(log->dir, size, &stored, e));
	if (!digest_equal(root, &stored))
		return err_set(
			e, ERR_VERIFY,
			"the stored tiles do not have the root of the entries; nothing is signed");
	env_step(log->env, "audit.verified");
	return 0;
}

int audit_log_contains(struct audit_log *log, const struct edge *edge, uint64_t size,
		       const struct digest *root, struct err *e)
{
	struct digest path[TREE_PATH_MAX], now = audit_edge_root(edge);
	size_t count;
	uint64_t newer = edge->size;
	struct edge_nodes nodes;
	struct tree_reader reader = audit_edge_nodes_reader(&nodes, edge, log->dir);
	int rc;

	if (size == 0)
		return 0;
	rc = audit_tree_consistency_path(&reader, size, newer, path, &count, e);
	if (rc == 0 && audit_consistency_check(size, newer, root, &now, path, count) < 0)
		rc = err_set(e, ERR_VERIFY,
			     "the log is not a continuation of the checkpoint signed at size %llu",
			     (unsigned long long)size);
	audit_edge_nodes_close(&nodes);
	return rc;
}

int audit_log_sign(struct audit_log *log, uint64_t size, const struct digest *root,
		   struct buf *note, struct err *e)
{
	struct checkpoint again;
	struct buf text = { 0 };
	int rc;

	audit_checkpoint_text(log->origin, size, root, &text);
	rc = buf_done(&text, e);
	if (rc == 0)
		rc = audit_note_sign(log->key, log->origin, text.bytes, text.len, note, e);
	if (rc == 0)
		rc = audit_checkpoint_open(note->bytes, note->len, log->vkey.bytes, &again, e);
	buf_free(&text);
	return rc;
}

int audit_log_put_checkpoint(struct audit_log *log, const struct buf *note, struct err *e)
{
	char staging[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES];

	TRY(file_join(staging, log->dir, TILE_STAGING, e));
	TRY(file_join(path, log->dir, "checkpoint", e));
	TRY(file_write_unsynced(path, staging, note->bytes, note->len, 0644, e));
	env_step(log->env, "audit.checkpoint");
	return 0;
}

int audit_log_sign_edge(struct audit_log *log, const struct digest *root, struct buf *note,
			struct err *e)
{
	TRY(audit_edge_flush(log->edge, log->dir, log->env, e));
	TRY(audit_log_verify_stored(log, root, e));
	TRY(audit_log_contains(log, log->edge, log->size, &log->root, e));
	TRY(audit_log_sign(log, log->edge->size, root, note, e));
	env_step(log->env, "audit.signed");
	return 0;
}

int audit_log_publish_signed(struct audit_log *log, const struct digest *root, struct buf *note,
			     struct err *e)
{
	int rc = audit_log_put_checkpoint(log, note, e);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&log->lock);
	buf_free(&log->checkpoint);
	log->checkpoint = *note;
	log->size = log->laid = log->edge->size;
	log->root = *root;
	pthread_mutex_unlock(&log->lock);
	*note = (struct buf){ 0 };
	measure_gauge_set(&log->measures.checkpoint_us, env_now_us(log->env));
	return 0;
}

int audit_log_publish(struct audit_log *log, struct err *e)
{
	struct digest root = merkle_root(&log->merkle);
	struct buf note = { 0 };
	int rc = audit_log_sign_edge(log, &root, &note, e);

	if (rc == 0)
		rc = audit_log_head_sign(log, &root, &note, e);
	if (rc == 0)
		rc = audit_log_publish_signed(log, &root, &note, e);
	buf_free(&note);
	return rc;
}

/* ---- behind ---- */

static int drop_partials(struct audit_log *log, uint64_t old, uint64_t size, struct err *e)
{
	for (uint64_t n = old / TILE_FULL; n < size / TILE_FULL; n++)
		TRY(audit_tile_drop_partials(log->dir, TILE_ENTRIES, n, e));
	for (int level = 0; level < TILE_LEVELS; level++)
		for (uint64_t n = old >> 8 * level >> 8; n < size >> 8 * level >> 8; n++)
			TRY(audit_tile_drop_partials(log->dir, level, n, e));
	return 0;
}

/* The checkpoint in the folder covers that size or a larger one. */
static int sync_files(struct audit_log *log, uint64_t old, uint64_t size, struct err *e)
{
	char path[LIMIT_PATH_BYTES];

	TRY(audit_tile_sync(log->dir, old, size, e));
	TRY(file_join(path, log->dir, "checkpoint", e));
	TRY(file_sync(path, e));
	TRY(file_sync_dir(log->dir, e));
	env_step(log->env, "audit.synced");
	return drop_partials(log, old, size, e);
}

static int write_guard(struct audit_log *log, struct err *e)
{
	struct store_tx *tx;

	TRY(store_write(log->store, &tx, e));
	int rc = audit_guard_write(log, tx, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	if (rc == 0)
		env_step(log->env, "audit.settled");
	return rc;
}

static int sync_behind(struct audit_log *log, bool *news, struct err *e)
{
	pthread_mutex_lock(&log->lock);
	uint64_t old = log->guard.synced, size = log->laid;
	pthread_mutex_unlock(&log->lock);
	if (size == old)
		return 0;
	TRY(sync_files(log, old, size, e));
	pthread_mutex_lock(&log->lock);
	log->guard.synced = size;
	pthread_mutex_unlock(&log->lock);
	*news = true;
	return 0;
}

int audit_log_settle(struct audit_log *log, struct err *e)
{
	bool news = false;

	TRY(sync_behind(log, &news, e));
	return news ? write_guard(log, e) : 0;
}

static int see_head(struct audit_log *log, bool *news, struct err *e)
{
	struct store_tx *tx;
	uint64_t seen;

	if (log->guard.seen >= log->size)
		return 0;
	TRY(store_write(log->keys, &tx, e));
	int rc = audit_guard_see(log, tx, &seen, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	TRY(rc);
	audit_guard_saw(log, seen);
	*news = true;
	return 0;
}

int audit_log_settle_all(struct audit_log *log, struct err *e)
{
	bool news = false;

	TRY(sync_behind(log, &news, e));
	TRY(see_head(log, &news, e));
	return news ? write_guard(log, e) : 0;
}
