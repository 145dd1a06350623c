/* Many entries at once, as if appended and not yet published: rows, head and worker in one transaction.
 * The next opening writes their tiles and signs. For tests and benches of large logs. */
#ifndef TESTS_AUDIT_FILL_H
#define TESTS_AUDIT_FILL_H

#include "audit/log_in.h"

#include <string.h>

#define FILL_WORKER "f111f111f111f111"

static inline int fill_entry(struct store_tx *tx, const struct env *env, uint64_t index, uint64_t n,
			     struct merkle *merkle, struct err *e)
{
	bool first = n == 0;
	json_t *body = first ? json_pack("{s:s}", "build", "fill")
			     : json_pack("{s:s,s:s,s:I}", "model", "acme/bank", "event",
					 "an entry of the length that such entries have", "number",
					 (json_int_t)n);
	struct audit_record from = { .type = first ? "start" : "config", .n = n, .body = body };
	struct record record = { 0 };
	struct buf bytes = { 0 };
	int rc;

	TRY_OUT(audit_record_prepare(&from, env, &record, e));
	TRY_OUT(audit_record_entry(&record, FILL_WORKER, n, env_now_us(env), NULL, &bytes, e));
	struct digest leaf = audit_tree_leaf(bytes.bytes, bytes.len);
	struct entry_row row = { index, leaf, from.type, FILL_WORKER, n, bytes.bytes, bytes.len };
	TRY_OUT(audit_log_entry_insert(tx, &row, e));
	TRY_OUT(audit_workers_apply(tx, index, row.type, FILL_WORKER, body, e));
	merkle_add(merkle, &leaf);
out:
	audit_record_free(&record);
	buf_free(&bytes);
	json_decref(body);
	return rc;
}

static inline int fill_head(struct store_tx *tx, const struct signing_identity *id,
			    const struct merkle *merkle, uint64_t synced, struct err *e)
{
	const struct guard guard = { .synced = synced };
	struct digest old, root = merkle_root(merkle);
	uint64_t size;
	uint8_t key[32];

	TRY(audit_log_head_read(tx, &size, &old, e));
	TRY(audit_log_head_update(tx, merkle->count, &root, NULL, size, e));
	audit_guard_key(id, key);
	return audit_guard_put(tx, key, &guard, merkle->count, &root, e);
}

/* The tree of what is there. */
static inline int fill_merkle(struct store_tx *tx, struct merkle *merkle, struct err *e)
{
	struct store_stmt *st;
	struct digest leaf;
	size_t len;
	int rc;

	TRY(store_prepare(tx, "SELECT leaf FROM log_entry ORDER BY idx", &st, e));
	while ((rc = store_step(st, e)) == 1) {
		memcpy(leaf.bytes, store_blob(st, 0, &len), 32);
		merkle_add(merkle, &leaf);
	}
	store_finish(st);
	return rc;
}

/* A closed log grows by count entries of one worker, which has not ended. Once for each log. */
static inline int fill_log(struct store *s, const struct signing_identity *id,
			   const struct env *env, uint64_t count, struct err *e)
{
	struct merkle merkle = { .count = 0 };
	struct store_tx *tx;
	int rc;

	TRY(store_write(s, &tx, e));
	TRY_OUT(fill_merkle(tx, &merkle, e));
	for (uint64_t n = 0; n < count; n++)
		TRY_OUT(fill_entry(tx, env, merkle.count, n, &merkle, e));
	TRY_OUT(audit_workers_note(tx, FILL_WORKER, count, count, NULL, e));
	TRY_OUT(fill_head(tx, id, &merkle, 0, e));
	rc = store_commit(tx, e);
out:
	store_end(tx);
	return rc;
}

#endif
