/* Recovery at opening.
 *
 * The database is ahead of the folder's checkpoint by what a crash left, never behind it; tiles
 * that were written for a batch which was not committed count for nothing. Three places hold a
 * signed checkpoint: log_head (durable before any reader sees it), the folder's, which may lag, be
 * torn or be missing only as far as its files were not yet synced, and keys.db's, which lags by
 * some batches. Each must be a checkpoint of the tree of the rows; a head beyond the newest of them
 * (older programs signed a batch after they committed it) must carry the log's own mac. A part that
 * is older than what the others remember of it was put back, and is refused.
 *
 * What was synced is not read again, so only the edge is looked at: the right edge of the synced
 * tree from the published tiles, the newest bundle's entries and all later ones from the database.
 * From these the signed roots and the head's root must come out, and the synced files of the edge
 * must be the same; later ones are written anew; then the head is signed. Any difference stops the
 * log with nothing signed. Running it twice changes nothing.
 *
 * Where the edge does not come out, or a tile of it is missing, every entry is read again from the
 * first: missing files are written, or the first one that differs is named. What lies farther back
 * is audit_verify's to check, and each entry's own when it is read (audit_log_entry). */
#include "audit/log_in.h"

#include "base/file.h"

#include <string.h>

/* ---- what is there ---- */

enum { IN_DATABASE, IN_FOLDER, IN_KEYS, SIGNED, HEAD = SIGNED, ROOTS };
static const char *const source[ROOTS] = {
	[IN_DATABASE] = "the checkpoint in the database",
	[IN_FOLDER] = "the signed checkpoint",
	[IN_KEYS] = "the checkpoint that keys.db has seen",
	[HEAD] = "its head",
};

/* A root that the tree must have at a size; size 0: says nothing. */
struct found {
	struct checkpoint at[ROOTS];
	struct buf note[SIGNED];
	struct guard guard;
	bool guarded; /* false: a database older than guards */
	bool older;   /* it has rows that count only if the log began before there were guards */
	bool damaged; /* the folder's checkpoint */
	int newest;   /* of those that are signed */
};

static void found_free(struct found *f)
{
	for (int i = 0; i < SIGNED; i++)
		buf_free(&f->note[i]);
}

static int first_opening(struct audit_log *log, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct digest root = digest_of("", 0);
	struct buf seen = { 0 };
	struct store_tx *tx;

	TRY(file_join(path, log->dir, "checkpoint", e));
	if (file_exists(path))
		return err_set(
			e, ERR_VERIFY,
			"%s is signed, but the database has no log: run `hallmark registry rebuild`",
			path);
	int rc = audit_guard_seen(log->keys, &seen, e);
	buf_free(&seen);
	if (rc == 0)
		return err_set(
			e, ERR_VERIFY,
			"keys.db has seen a log here, and now there is none: put back log/ and "
			"state.db, or only log/ and run `hallmark registry rebuild`; to begin a "
			"new log knowingly, move keys.db away");
	if (rc != ERR_NOTFOUND)
		return rc;
	TRY(store_write(log->store, &tx, e));
	rc = audit_log_head_insert(tx, 0, &root, NULL, e);
	if (rc == 0)
		rc = audit_guard_put(tx, log->guard_key, &log->guard, 0, &root, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	return rc;
}

static int read_database(struct audit_log *log, struct found *f, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(store_read(log->store, &tx, e));
	TRY_OUT(audit_log_head_read(tx, &f->at[HEAD].size, &f->at[HEAD].root, e));
	rc = audit_guard_read(log, tx, f->at[HEAD].size, &f->at[HEAD].root, &f->guard, e);
	f->guarded = rc == 0;
	if (rc < 0 && rc != ERR_NOTFOUND)
		goto out;
	TRY_OUT(store_prepare(tx, "SELECT checkpoint FROM log_head WHERE id = 1", &st, e));
	TRY_OUT(store_step(st, e));
	if (rc == 1 && store_text(st, 0))
		buf_add_text(&f->note[IN_DATABASE], store_text(st, 0));
	rc = buf_done(&f->note[IN_DATABASE], e);
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

static int open_note(struct audit_log *log, struct found *f, int i, struct err *e)
{
	const struct buf *note = &f->note[i];
	int rc = audit_checkpoint_open(note->bytes ? note->bytes : "", note->len, log->vkey.bytes,
				       &f->at[i], e);

	if (rc == 0)
		return 0;
	f->at[i] = (struct checkpoint){ .size = 0 };
	if (rc == ERR_INPUT || rc == ERR_VERIFY)
		return err_set(e, ERR_VERIFY, "%s is damaged, or not signed with the log's key",
			       source[i]);
	return rc;
}

static int read_folder(struct audit_log *log, struct found *f, struct err *e)
{
	char path[LIMIT_PATH_BYTES];

	TRY(file_join(path, log->dir, "checkpoint", e));
	int rc = file_read(path, LIMIT_ENTRY_BYTES, &f->note[IN_FOLDER], e);
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc == 0)
		rc = open_note(log, f, IN_FOLDER, e);
	f->damaged = rc == ERR_VERIFY || rc == ERR_INPUT;
	return f->damaged ? 0 : rc;
}

/* The folder's checkpoint is behind what was made durable there, or, unless a power failure may
 * have torn it, damaged. */
static int check_folder(struct audit_log *log, struct found *f, struct err *e)
{
	bool torn = f->damaged && f->guarded && f->guard.synced < f->at[IN_DATABASE].size;
	bool behind = f->damaged ? !torn : f->at[IN_FOLDER].size < f->guard.synced;

	if (log->rewrite && !behind)
		return err_set(
			e, ERR_CONFLICT,
			"state.db and log/ are both there: nothing is rebuilt; to make state.db "
			"anew from log/, move it away first");
	if (log->rewrite) {
		f->guard.synced = 0;
		f->at[IN_FOLDER].size = 0;
	}
	if (!behind || log->rewrite)
		return 0;
	return err_set(
		e, ERR_VERIFY,
		"%s/checkpoint is %s, and %llu entries were published: put back the newest log/, "
		"or run `hallmark registry rebuild` to write it again from state.db",
		log->dir,
		f->damaged              ? "damaged"
		: f->at[IN_FOLDER].size ? "an old copy"
					: "missing",
		(unsigned long long)f->guard.synced);
}

/* A part that is older than what the others remember of it. */
static int check_ages(const struct found *f, struct err *e)
{
	unsigned long long head = f->at[HEAD].size, seen = f->at[IN_KEYS].size;

	for (int i = 0; i < SIGNED; i++)
		if (f->at[i].size > head)
			return err_set(
				e, ERR_VERIFY,
				"%s covers %llu entries, the database has %llu: state.db is an old copy; put "
				"back the newest, or move it away and run `hallmark registry rebuild`",
				source[i], (unsigned long long)f->at[i].size, head);
	if (seen < f->guard.seen)
		return err_set(
			e, ERR_VERIFY,
			"keys.db %s: put back the file itself, where it was only moved aside (a copy "
			"undoes erasures); where it is lost, so is what the vault holds: move state.db "
			"and keys.db away and run `hallmark registry rebuild`",
			seen ? "is an old copy" : "is missing, or has seen no log");
	return 0;
}

/* What a crash of a program before there were guards left: at most its batch, beyond the folder's
 * checkpoint. A database whose guard was taken away looks the same, but its genesis, which is under
 * the signed root, does not: check_genesis. */
static bool is_older_tail(const struct found *f)
{
	return !f->guarded && f->at[IN_FOLDER].size > 0 &&
	       f->at[IN_FOLDER].size == f->at[f->newest].size && f->at[IN_KEYS].size == 0 &&
	       f->at[HEAD].size - f->at[IN_FOLDER].size <= 64;
}

static int refuse_tail(const struct found *f, struct err *e)
{
	return err_set(
		e, ERR_VERIFY,
		"the database has %llu entries, %llu are signed, and nothing vouches for the "
		"others: put back state.db and log/checkpoint of one time",
		(unsigned long long)f->at[HEAD].size, (unsigned long long)f->at[f->newest].size);
}

/* Rows that nothing signed are a batch of ours, cut short. */
static int check_tail(struct found *f, struct err *e)
{
	f->newest = IN_DATABASE;
	for (int i = 0; i < SIGNED; i++)
		if (f->at[i].size > f->at[f->newest].size)
			f->newest = i;
	if (f->at[HEAD].size == f->at[f->newest].size || f->guarded)
		return 0;
	f->older = is_older_tail(f);
	return f->older ? 0 : refuse_tail(f, e);
}

static int check_genesis(const struct found *f, const struct record_head *head, struct err *e)
{
	const json_t *body = json_object_get(head->entry, "body");

	return f->older && json_object_get(body, "guarded") ? refuse_tail(f, e) : 0;
}

static int look(struct audit_log *log, struct found *f, struct err *e)
{
	TRY(read_database(log, f, e));
	if (f->note[IN_DATABASE].len)
		TRY(open_note(log, f, IN_DATABASE, e));
	TRY(read_folder(log, f, e));
	int rc = audit_guard_seen(log->keys, &f->note[IN_KEYS], e);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	if (rc == 0)
		TRY(open_note(log, f, IN_KEYS, e));
	if (!f->guarded)
		f->guard.synced = f->at[IN_FOLDER].size;
	TRY(check_ages(f, e));
	TRY(check_folder(log, f, e));
	return check_tail(f, e);
}

/* ---- reading entries again ---- */

static int compare_root(struct audit_log *log, const struct found *f, struct err *e)
{
	for (int i = ROOTS - 1; i >= 0; i--) {
		if (f->at[i].size == 0 || f->at[i].size != log->merkle.count)
			continue;
		struct digest root = merkle_root(&log->merkle);
		if (!digest_equal(&f->at[i].root, &root))
			return err_set(
				e, ERR_VERIFY,
				"the entries in the database do not have the root of %s at size %llu",
				source[i], (unsigned long long)f->at[i].size);
	}
	return 0;
}

static int replay_row(struct audit_log *log, const struct found *f, struct store_stmt *st,
		      struct err *e)
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
	if (head.worker[0]) /* else a later version that states no time */
		log->last_time_us = head.time_us;
	int rc = index == 0 ? check_genesis(f, &head, e) : 0;
	json_decref(head.entry);
	TRY(rc);
	merkle_add(&log->merkle, &leaf);
	return audit_edge_add(log->edge, log->dir, log->env, entry, len, e);
}

/* All entries from `from` on. */
static int replay(struct audit_log *log, uint64_t from, const struct found *f, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	log->merkle = audit_edge_merkle(log->edge);
	TRY(compare_root(log, f, e));
	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx,
			      "SELECT idx, leaf, entry FROM log_entry WHERE idx >= $1 ORDER BY idx",
			      &st, e));
	store_bind_i64(st, 1, (int64_t)from);
	while ((rc = store_step(st, e)) == 1) {
		TRY_OUT(replay_row(log, f, st, e));
		TRY_OUT(compare_root(log, f, e));
	}
	if (rc == 0 && log->edge->size != f->at[HEAD].size)
		rc = err_set(e, ERR_VERIFY, "the database has %llu entries, its head says %llu",
			     (unsigned long long)log->edge->size,
			     (unsigned long long)f->at[HEAD].size);
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

/* From the newest bundle that was synced, over the published tiles above it. */
static int replay_edge(struct audit_log *log, const struct found *f, struct err *e)
{
	uint64_t size = f->guard.synced, from = size ? (size - 1) / TILE_FULL * TILE_FULL : 0;

	log->edge->settled = size;
	TRY(audit_edge_load(log->edge, log->dir, from, size, e));
	return replay(log, from, f, e);
}

static int replay_all(struct audit_log *log, const struct found *f, struct err *e)
{
	audit_edge_close(log->edge);
	log->edge->settled = f->guard.synced;
	return replay(log, 0, f, e);
}

/* ---- opening ---- */

/* The signed checkpoint goes where it is not, the database first. */
static int put_signed(struct audit_log *log, const struct found *f, struct err *e)
{
	const struct checkpoint *newest = &f->at[f->newest];

	if (f->at[IN_DATABASE].size < newest->size)
		TRY(audit_log_head_sign(log, &newest->root, &log->checkpoint, e));
	if (f->at[IN_FOLDER].size < newest->size)
		TRY(audit_log_put_checkpoint(log, &log->checkpoint, e));
	return 0;
}

static void take_signed(struct audit_log *log, struct found *f)
{
	pthread_mutex_lock(&log->lock);
	log->size = log->laid = f->at[f->newest].size;
	log->root = f->at[f->newest].root;
	log->guard = (struct guard){ .synced = f->guard.synced, .seen = f->at[IN_KEYS].size };
	buf_free(&log->checkpoint);
	log->checkpoint = f->note[f->newest];
	f->note[f->newest] = (struct buf){ 0 };
	pthread_mutex_unlock(&log->lock);
}

static int bring_up(struct audit_log *log, struct found *f, struct err *e)
{
	int rc = f->older ? ERR_NOTFOUND : replay_edge(log, f, e);

	if (rc == ERR_NOTFOUND || rc == ERR_VERIFY)
		rc = replay_all(log, f, e);
	TRY(rc);
	take_signed(log, f);
	TRY(audit_edge_flush(log->edge, log->dir, log->env, e));
	for (int i = 0; i < SIGNED; i++)
		TRY(audit_log_contains(log, log->edge, f->at[i].size, &f->at[i].root, e));
	TRY(audit_tile_mend(log->dir, log->guard.synced, log->edge->size, e));
	if (log->edge->size > log->size)
		TRY(audit_log_publish(log, e));
	else
		TRY(put_signed(log, f, e));
	return audit_log_settle(log, e);
}

int audit_log_append_itself(struct audit_log *log, const char *type, json_t *body, struct err *e)
{
	struct log_worker *w = &log->itself;
	struct audit_record r = { .type = type, .n = AUDIT_NEXT, .body = body };
	struct pending p = { .worker = w };
	int rc = body ? audit_record_prepare(&r, log->env, &p.record, e)
		      : err_set(e, ERR_NOMEM, "out of memory");

	if (rc == 0)
		rc = audit_log_append_pending(log, &p, e);
	json_decref(body);
	return rc;
}

int audit_log_bring_up(struct audit_log *log, struct err *e)
{
	struct found f = { .newest = 0 };
	int rc = look(log, &f, e);

	if (rc == 0)
		rc = bring_up(log, &f, e);
	found_free(&f);
	return rc;
}

int audit_log_recover(struct audit_log *log, struct err *e)
{
	struct digest root;
	uint64_t size = 0;
	int rc = audit_log_head_ask(log->store, &size, &root, e);

	if (rc == ERR_NOTFOUND && !log->mending)
		rc = first_opening(log, e);
	TRY(rc);
	TRY(audit_log_bring_up(log, e));
	if (log->mending)
		return 0;
	TRY(audit_clock_open(log, e));
	TRY(audit_vault_recover(log, e));
	if (size == 0)
		return audit_log_append_itself(log, "genesis",
					       json_pack("{s:b,s:s,s:s}", "guarded", true, "origin",
							 log->origin, "vkey", log->vkey.bytes),
					       e);
	return audit_workers_close_dead(log, e);
}
