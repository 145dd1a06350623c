/* After the commit point: tiles, check of what is stored, signature, checkpoint.
 *
 *   tiles written, each durable          audit.bundle, audit.tile
 *   root recomputed from stored bytes    audit.verified
 *   checkpoint staged beside the log     audit.checkpoint.staged
 *   renamed into place, folders synced   audit.checkpoint
 *
 * Nothing is signed that was not read back: a flipped bit between memory and disk stops the log,
 * not its readers. */
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

static int verify_stored(struct audit_log *log, struct digest *root, struct err *e)
{
	uint64_t size = log->edge->size;
	struct digest in_memory = merkle_root(&log->merkle);

	TRY(check_stored(log, log->size, size, e));
	TRY(audit_tile_edge_root(log->dir, size, root, e));
	if (!digest_equal(root, &in_memory))
		return err_set(
			e, ERR_VERIFY,
			"the stored tiles do not have the root of the entries; nothing is signed");
	env_step(log->env, "audit.verified");
	return 0;
}

/* The new tree contains the last signed one. */
static int verify_growth(struct audit_log *log, const struct digest *root, struct err *e)
{
	struct digest path[TREE_PATH_MAX];
	size_t count;
	struct tile_nodes nodes = { .dir = log->dir, .size = log->edge->size };
	struct tree_reader reader = audit_tile_nodes_reader(&nodes);
	int rc;

	if (log->size == 0)
		return 0;
	rc = audit_tree_consistency_path(&reader, log->size, nodes.size, path, &count, e);
	if (rc == 0 &&
	    audit_consistency_check(log->size, nodes.size, &log->root, root, path, count) < 0)
		rc = err_set(e, ERR_VERIFY,
			     "the log is not a continuation of the last signed checkpoint");
	audit_tile_nodes_close(&nodes);
	return rc;
}

static int sign(struct audit_log *log, const struct digest *root, struct buf *note, struct err *e)
{
	struct checkpoint again;
	struct buf text = { 0 };
	int rc;

	audit_checkpoint_text(log->origin, log->edge->size, root, &text);
	rc = buf_done(&text, e);
	if (rc == 0)
		rc = audit_note_sign(log->key, log->origin, text.bytes, text.len, note, e);
	if (rc == 0)
		rc = audit_checkpoint_open(note->bytes, note->len, log->vkey.bytes, &again, e);
	buf_free(&text);
	return rc;
}

static int put_in_place(struct audit_log *log, const struct buf *note, struct err *e)
{
	char staged[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES];

	TRY(file_join(staged, log->dir, TILE_STAGING "/checkpoint", e));
	TRY(file_join(path, log->dir, "checkpoint", e));
	TRY(file_write_durable(staged, note->bytes, note->len, 0644, e));
	env_step(log->env, "audit.checkpoint.staged");
	TRY(file_rename_durable(staged, path, e));
	env_step(log->env, "audit.checkpoint");
	return 0;
}

int audit_log_drop_partials(struct audit_log *log, uint64_t old, struct err *e)
{
	for (uint64_t n = old / TILE_FULL; n < log->size / TILE_FULL; n++)
		TRY(audit_tile_drop_partials(log->dir, TILE_ENTRIES, n, e));
	for (int level = 0; level < TILE_LEVELS; level++)
		for (uint64_t n = old >> 8 * level >> 8; n < log->size >> 8 * level >> 8; n++)
			TRY(audit_tile_drop_partials(log->dir, level, n, e));
	return 0;
}

int audit_log_publish(struct audit_log *log, struct err *e)
{
	struct buf note = { 0 };
	struct digest root;
	uint64_t old = log->size;
	int rc = audit_edge_flush(log->edge, log->dir, log->env, e);

	if (rc == 0)
		rc = verify_stored(log, &root, e);
	if (rc == 0)
		rc = verify_growth(log, &root, e);
	if (rc == 0)
		rc = sign(log, &root, &note, e);
	if (rc == 0)
		rc = put_in_place(log, &note, e);
	if (rc < 0) {
		buf_free(&note);
		return rc;
	}
	pthread_mutex_lock(&log->lock);
	buf_free(&log->checkpoint);
	log->checkpoint = note;
	log->size = log->edge->size;
	log->root = root;
	pthread_mutex_unlock(&log->lock);
	return audit_log_drop_partials(log, old, e);
}
