/* The head, and what vouches for it.
 *
 *   state.db  log_head(1)   size, root: the tree of the rows. checkpoint: the newest one that was
 *                           signed; it covers the rows, or, where an older program committed a
 *                           batch before it signed it and crashed in between, all but that batch's
 *             log_guard(1)  synced: the files of log/ up to this size are durable
 *                           seen: keys.db holds a signed head of at least this size
 *                           mac: over size, root, synced and seen, by a key that derives from the
 *                           log's. Rows that nothing signed yet are ours only where it is right
 *   keys.db   log_seen(1)   size, checkpoint: the highest signed head, as of the last transaction
 *                           there
 *
 * So who can write the databases and not use the log's key can put back an older state of all that
 * a home holds, and nothing else; and who keeps one part back (the folder, state.db, keys.db) finds
 * that the others are older. */
#include "audit/log_in.h"

#include <sodium.h>
#include <string.h>

/* ---- size and root ---- */

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
			  const char *checkpoint, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(
		tx,
		"INSERT INTO log_head(id, version, size, root, checkpoint) VALUES(1, $3, $1, $2, $4)",
		&st, e));
	store_bind_i64(st, 1, (int64_t)size);
	store_bind_blob(st, 2, root->bytes, 32);
	store_bind_i64(st, 3, LOG_HEAD_VERSION);
	store_bind_text(st, 4, checkpoint);
	return store_run(st, e);
}

static int head_moved(struct err *e)
{
	return err_set(e, ERR_IO, "the log's head was changed by someone else; open the log anew");
}

int audit_log_head_update(struct store_tx *tx, uint64_t size, const struct digest *root,
			  const struct buf *note, uint64_t old, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx,
			  "UPDATE log_head SET size = $1, root = $2,"
			  " checkpoint = coalesce($3, checkpoint)"
			  " WHERE id = 1 AND size = $4",
			  &st, e));
	store_bind_i64(st, 1, (int64_t)size);
	store_bind_blob(st, 2, root->bytes, 32);
	store_bind_text(st, 3, note ? note->bytes : NULL);
	store_bind_i64(st, 4, (int64_t)old);
	TRY(store_run(st, e));
	return store_changes(tx) == 1 ? 0 : head_moved(e);
}

static int sign_head(struct store_tx *tx, uint64_t size, const struct digest *root,
		     const struct buf *note, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(
		tx, "UPDATE log_head SET checkpoint = $1 WHERE id = 1 AND size = $2 AND root = $3",
		&st, e));
	store_bind_text(st, 1, note->bytes);
	store_bind_i64(st, 2, (int64_t)size);
	store_bind_blob(st, 3, root->bytes, 32);
	TRY(store_run(st, e));
	return store_changes(tx) == 1 ? 0 : head_moved(e);
}

int audit_log_head_sign(struct audit_log *log, const struct digest *root, const struct buf *note,
			struct err *e)
{
	struct store_tx *tx;

	TRY(store_write(log->store, &tx, e));
	int rc = sign_head(tx, log->edge->size, root, note, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	return rc;
}

int audit_log_kept(struct store *store, const char *vkey, struct buf *note, struct checkpoint *out,
		   uint64_t *durable, struct err *e)
{
	struct store_stmt *st;
	struct store_tx *tx;
	struct checkpoint c;
	int rc;

	TRY(store_read(store, &tx, e));
	rc = store_prepare(tx,
			   "SELECT h.checkpoint, g.synced FROM log_head h, log_guard g"
			   " WHERE h.id = 1 AND g.id = 1",
			   &st, e);
	if (rc == ERR_INPUT)
		rc = ERR_NOTFOUND; /* an older database does not say */
	if (rc < 0)
		goto out;
	rc = store_step(st, e);
	const char *text = rc == 1 ? store_text(st, 0) : NULL;
	bool torn = text && audit_checkpoint_open(text, strlen(text), vkey, &c, NULL) == 0 &&
		    c.size > (uint64_t)store_i64(st, 1);
	if (torn) {
		buf_add_text(note, text);
		*out = c;
		*durable = (uint64_t)store_i64(st, 1);
	}
	store_finish(st);
	if (rc >= 0)
		rc = torn ? buf_done(note, e) : ERR_NOTFOUND;
out:
	store_end(tx);
	return rc;
}

/* ---- the guard ---- */

static void guard_mac(const uint8_t key[32], const struct guard *g, uint64_t size,
		      const struct digest *root, uint8_t mac[GUARD_MAC])
{
	const uint64_t number[3] = { size, g->synced, g->seen };
	uint8_t text[56];

	for (size_t i = 0; i < sizeof(number); i++)
		text[i] = (uint8_t)(number[i / 8] >> (56 - i % 8 * 8));
	memcpy(text + sizeof(number), root->bytes, 32);
	crypto_generichash(mac, GUARD_MAC, text, sizeof(text), key, 32);
}

void audit_guard_key(const struct signing_identity *id, uint8_t key[32])
{
	signing_derive(id, "hallmark log head key v1", key);
}

int audit_guard_put(struct store_tx *tx, const uint8_t key[32], const struct guard *g,
		    uint64_t size, const struct digest *root, struct err *e)
{
	uint8_t mac[GUARD_MAC];
	struct store_stmt *st;

	guard_mac(key, g, size, root, mac);
	TRY(store_prepare(tx,
			  "INSERT INTO log_guard(id, synced, seen, mac) VALUES(1, $1, $2, $3)"
			  " ON CONFLICT(id) DO UPDATE SET synced = excluded.synced,"
			  " seen = excluded.seen, mac = excluded.mac",
			  &st, e));
	store_bind_i64(st, 1, (int64_t)g->synced);
	store_bind_i64(st, 2, (int64_t)g->seen);
	store_bind_blob(st, 3, mac, sizeof(mac));
	return store_run(st, e);
}

int audit_guard_cover(struct audit_log *log, struct store_tx *tx, uint64_t size,
		      const struct digest *root, struct err *e)
{
	pthread_mutex_lock(&log->lock);
	struct guard g = log->guard;
	pthread_mutex_unlock(&log->lock);
	return audit_guard_put(tx, log->guard_key, &g, size, root, e);
}

int audit_guard_write(struct audit_log *log, struct store_tx *tx, struct err *e)
{
	struct digest root;
	uint64_t size = 0;

	TRY(audit_log_head_read(tx, &size, &root, e));
	return audit_guard_cover(log, tx, size, &root, e);
}

static int take_guard(struct audit_log *log, struct store_stmt *st, uint64_t size,
		      const struct digest *root, struct guard *out, struct err *e)
{
	uint8_t mac[GUARD_MAC];
	size_t len;
	const void *stored = store_blob(st, 2, &len);

	*out = (struct guard){ .synced = (uint64_t)store_i64(st, 0),
			       .seen = (uint64_t)store_i64(st, 1) };
	guard_mac(log->guard_key, out, size, root, mac);
	if (len == sizeof(mac) && sodium_memcmp(mac, stored, len) == 0)
		return 0;
	return err_set(
		e, ERR_VERIFY,
		"the database's head was not written with the log's key: state.db was changed by "
		"something else; put back state.db, or move it away and run `hallmark registry rebuild`");
}

int audit_guard_read(struct audit_log *log, struct store_tx *tx, uint64_t size,
		     const struct digest *root, struct guard *out, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "SELECT synced, seen, mac FROM log_guard WHERE id = 1", &st, e));
	int rc = store_step(st, e);
	if (rc == 1)
		rc = take_guard(log, st, size, root, out, e);
	else if (rc == 0)
		rc = ERR_NOTFOUND;
	store_finish(st);
	return rc;
}

/* ---- what keys.db has seen ---- */

int audit_guard_see(struct audit_log *log, struct store_tx *keys, uint64_t *seen, struct err *e)
{
	struct store_stmt *st;
	struct buf note = { 0 };
	int rc = 0;

	pthread_mutex_lock(&log->lock);
	uint64_t size = log->size;
	*seen = log->guard.seen;
	if (size > *seen)
		buf_add(&note, log->checkpoint.bytes, log->checkpoint.len);
	pthread_mutex_unlock(&log->lock);
	if (size <= *seen)
		return 0;
	TRY_OUT(buf_done(&note, e));
	TRY_OUT(store_prepare(keys,
			      "INSERT INTO log_seen(id, size, checkpoint) VALUES(1, $1, $2)"
			      " ON CONFLICT(id) DO UPDATE SET size = excluded.size,"
			      " checkpoint = excluded.checkpoint",
			      &st, e));
	store_bind_i64(st, 1, (int64_t)size);
	store_bind_text(st, 2, note.bytes);
	*seen = size;
	rc = store_run(st, e);
out:
	buf_free(&note);
	return rc;
}

void audit_guard_saw(struct audit_log *log, uint64_t seen)
{
	pthread_mutex_lock(&log->lock);
	log->guard.seen = seen;
	pthread_mutex_unlock(&log->lock);
}

int audit_guard_seen(struct store *keys, struct buf *note, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(store_read(keys, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT checkpoint FROM log_seen WHERE id = 1", &st, e));
	TRY_OUT(store_step(st, e));
	if (rc == 1)
		buf_add_text(note, store_text(st, 0));
	rc = rc == 1 ? buf_done(note, e) : ERR_NOTFOUND;
out:
	store_finish(st);
	store_end(tx);
	return rc;
}
