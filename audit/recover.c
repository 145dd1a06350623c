/* Recovery at opening, and rebuilding a lost database.
 *
 * The database is ahead of the folder by what a crash left between commit point and checkpoint,
 * never behind it. So every entry is read again: its hash, the head's root, the last signed root
 * and every published tile must agree; what is missing in the folder is written; then the head is
 * signed. Any difference stops the log with nothing signed. Running it twice changes nothing. */
#include "audit/log_in.h"

#include "base/file.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

int log_head_read(struct store_tx *tx, uint64_t *size, struct digest *root, struct err *e)
{
	struct store_stmt *st;
	int rc;

	TRY(store_prepare(tx, "SELECT version, size, root FROM log_head WHERE id = 1", &st, e));
	rc = store_step(st, e);
	if (rc == 0)
		rc = err_set(e, ERR_NOTFOUND, "the database has no log");
	if (rc == 1) {
		size_t len;
		const void *bytes = store_blob(st, 2, &len);
		rc = store_i64(st, 0) == 1
			     ? 0
			     : err_set(e, ERR_UNSUPPORTED,
				       "not available in this version: this log_head");
		if (rc == 0 && (len != 32 || store_i64(st, 1) < 0))
			rc = err_set(e, ERR_VERIFY, "log_head is malformed");
		if (rc == 0) {
			*size = (uint64_t)store_i64(st, 1);
			memcpy(root->bytes, bytes, 32);
		}
	}
	store_finish(st);
	return rc;
}

static int head_insert(struct store_tx *tx, uint64_t size, const struct digest *root,
		       struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "INSERT INTO log_head(id, version, size, root) VALUES(1, 1, $1, $2)",
			  &st, e));
	store_bind_i64(st, 1, (int64_t)size);
	store_bind_blob(st, 2, root->bytes, 32);
	return store_run(st, e);
}

int log_head_ask(struct store *s, uint64_t *size, struct digest *root, struct err *e)
{
	struct store_tx *tx;

	TRY(store_read(s, &tx, e));
	int rc = log_head_read(tx, size, root, e);
	store_end(tx);
	return rc;
}

/* ---- reading every entry again ---- */

/* The root that the tree must have at a size. */
struct expected {
	uint64_t size;
	struct digest root;
	const char *what;
};

static int compare_root(struct audit_log *log, const struct expected *x, size_t count,
			struct err *e)
{
	struct digest root = merkle_root(&log->merkle);

	for (size_t i = 0; i < count; i++)
		if (x[i].size == log->merkle.count && !digest_equal(&x[i].root, &root))
			return err_set(
				e, ERR_VERIFY,
				"the entries in the database do not have the root of %s at size %llu",
				x[i].what, (unsigned long long)x[i].size);
	return 0;
}

static int replay_row(struct audit_log *log, struct store_stmt *st, struct err *e)
{
	size_t leaf_len, len;
	const void *stored = store_blob(st, 1, &leaf_len), *entry = store_blob(st, 2, &len);
	struct digest leaf = tree_leaf(entry, len);
	unsigned long long index = (unsigned long long)log->merkle.count;
	struct record_head head;

	if ((uint64_t)store_i64(st, 0) != log->merkle.count)
		return err_set(e, ERR_VERIFY, "entry %llu is missing from the database", index);
	if (len > LIMIT_ENTRY_BYTES || leaf_len != 32 || memcmp(stored, leaf.bytes, 32) != 0)
		return err_set(e, ERR_VERIFY, "entry %llu in the database does not have its hash",
			       index);
	if (record_parse(entry, len, &head, e) < 0)
		return err_set(e, ERR_VERIFY, "entry %llu in the database is malformed", index);
	log->last_time_us = head.time_us;
	json_decref(head.entry);
	merkle_add(&log->merkle, &leaf);
	return edge_add(log->edge, log->dir, log->env, entry, len, e);
}

static int replay(struct audit_log *log, const struct expected *x, size_t count, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(compare_root(log, x, count, e));
	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT idx, leaf, entry FROM log_entry ORDER BY idx", &st, e));
	while ((rc = store_step(st, e)) == 1) {
		TRY_OUT(replay_row(log, st, e));
		TRY_OUT(compare_root(log, x, count, e));
	}
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

/* ---- opening ---- */

static int first_opening(struct audit_log *log, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct digest root = digest_of("", 0);

	TRY(file_join(path, log->dir, "checkpoint", e));
	if (file_exists(path))
		return err_set(
			e, ERR_VERIFY,
			"%s is signed, but the database has no log: run `hallmark registry rebuild`",
			path);
	struct store_tx *tx;
	TRY(store_write(log->store, &tx, e));
	int rc = head_insert(tx, 0, &root, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	return rc;
}

static int append_as_log(struct audit_log *log, const char *type, uint64_t n, json_t *body,
			 struct err *e)
{
	struct audit_record r = { .type = type, .n = n, .body = body };
	struct pending p = { .worker = LOG_ITSELF };
	int rc = body ? record_prepare(&r, log->env, &p.record, e)
		      : err_set(e, ERR_NOMEM, "out of memory");

	if (rc == 0)
		rc = log_append(log, &p, e);
	json_decref(body);
	return rc;
}

/* Left by a crash inside file_create_immutable: no reader asks for such names. */
static int remove_temporaries(struct audit_log *log, struct err *e)
{
	char dir[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES];
	struct file_list list;
	int rc = 0;

	TRY(file_join(dir, log->dir, "tile", e));
	if (!file_is_dir(dir))
		return 0;
	TRY(file_list(dir, &list, e));
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		if (!strstr(list.names[i], ".tmp-"))
			continue;
		rc = file_join(path, dir, list.names[i], e);
		if (rc == 0)
			rc = file_remove_tree(path, e);
	}
	file_list_free(&list);
	return rc;
}

/* Workers with a start, but neither stop nor lost: they died, for the lock is ours. */
static int find_dead(struct audit_log *log, json_t *dead, uint64_t *next, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(
		tx,
		"SELECT worker, n, type, entry FROM log_entry WHERE type IN ('start', 'stop', 'lost')"
		" ORDER BY idx",
		&st, e));
	while ((rc = store_step(st, e)) == 1) {
		const char *worker = store_text(st, 0), *type = store_text(st, 2);
		struct record_head head;
		size_t len;
		const void *entry = store_blob(st, 3, &len);
		TRY_OUT(record_parse(entry, len, &head, e));
		const json_t *closed =
			json_object_get(json_object_get(head.entry, "body"), "worker");
		if (strcmp(worker, LOG_ITSELF) == 0) {
			*next = head.n + 1;
			json_object_del(dead, json_string_value(closed));
		} else if (strcmp(type, "start") == 0) {
			json_object_set_new(dead, worker, json_true());
		} else if (strcmp(type, "stop") == 0) {
			json_object_del(dead, worker);
		}
		json_decref(head.entry);
	}
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

/* The body of a lost entry: the highest number seen and those below it that never came. */
static int lost_body(struct audit_log *log, const char *worker, json_t **out, struct err *e)
{
	json_t *missing = json_array();
	struct store_stmt *st = NULL;
	struct store_tx *tx = NULL;
	int64_t expected = 0;
	int rc;

	*out = NULL;
	TRY_OUT(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT n FROM log_entry WHERE worker = $1 ORDER BY n", &st, e));
	store_bind_text(st, 1, worker);
	while ((rc = store_step(st, e)) == 1) {
		for (; expected < store_i64(st, 0) && json_array_size(missing) < 4096; expected++)
			json_array_append_new(missing, json_integer(expected));
		expected = store_i64(st, 0) + 1;
	}
	if (rc == 0)
		*out = json_pack("{s:s,s:I,s:O}", "worker", worker, "last",
				 (json_int_t)(expected - 1), "missing", missing);
out:
	store_finish(st);
	store_end(tx);
	json_decref(missing);
	return rc;
}

static int close_dead_workers(struct audit_log *log, struct err *e)
{
	json_t *dead = json_object(), *value;
	uint64_t next = 1;
	const char *worker;
	int rc = find_dead(log, dead, &next, e);

	json_object_foreach(dead, worker, value)
	{
		json_t *body = NULL;
		if (rc == 0)
			rc = lost_body(log, worker, &body, e);
		if (rc == 0)
			rc = append_as_log(log, "lost", next++, body, e);
	}
	json_decref(dead);
	return rc;
}

static int open_checkpoint(struct audit_log *log, struct checkpoint *c, struct err *e)
{
	int rc = log_checkpoint_read(log->dir, log->vkey.bytes, &log->checkpoint, c, e);

	if (rc == ERR_NOTFOUND) {
		*c = (struct checkpoint){ .root = digest_of("", 0) };
		return 0;
	}
	return rc == ERR_INPUT ? err_set(e, ERR_VERIFY, "%s/checkpoint is damaged", log->dir) : rc;
}

static int bring_up(struct audit_log *log, uint64_t size, const struct digest *root, struct err *e)
{
	struct checkpoint c;

	TRY(open_checkpoint(log, &c, e));
	if (c.size > size)
		return err_set(
			e, ERR_VERIFY,
			"the signed checkpoint covers %llu entries, the database has %llu: it is an old copy; "
			"run `hallmark registry rebuild` with an empty one",
			(unsigned long long)c.size, (unsigned long long)size);
	struct expected x[2] = { { size, *root, "its head" },
				 { c.size, c.root, "the signed checkpoint" } };
	TRY(remove_temporaries(log, e));
	TRY(replay(log, x, 2, e));
	if (log->edge->size != size)
		return err_set(e, ERR_VERIFY, "the database has %llu entries, its head says %llu",
			       (unsigned long long)log->edge->size, (unsigned long long)size);
	log->size = c.size;
	log->root = c.root;
	if (size > c.size)
		return log_publish(log, e);
	TRY(edge_flush(log->edge, log->dir, log->env, e));
	return log_drop_partials(log, 0, e);
}

int log_recover(struct audit_log *log, struct err *e)
{
	struct digest root;
	uint64_t size = 0;
	int rc = log_head_ask(log->store, &size, &root, e);

	if (rc == ERR_NOTFOUND) {
		TRY(first_opening(log, e));
		rc = log_head_ask(log->store, &size, &root, e);
	}
	TRY(rc);
	TRY(bring_up(log, size, &root, e));
	TRY(vault_recover(log, e));
	if (size == 0)
		return append_as_log(log, "genesis", 0,
				     json_pack("{s:s,s:s}", "origin", log->origin, "vkey",
					       log->vkey.bytes),
				     e);
	return close_dead_workers(log, e);
}

/* ---- rebuilding ---- */

struct rebuild {
	const struct audit_options *o;
	struct store_tx *tx;
	const char *dir;
	struct merkle merkle;
	json_t *undisclosable;
};

/* Count what the lost vault held: the commitments remain, but can no longer be disclosed. */
static int add_undisclosable(struct rebuild *r, uint64_t index, const char *type, struct err *e)
{
	json_t *item = json_pack("{s:I,s:s}", "index", (json_int_t)index, "type", type);

	return json_array_append_new(r->undisclosable, item) == 0
		       ? 0
		       : err_set(e, ERR_NOMEM, "out of memory");
}

static int rebuild_entry(struct rebuild *r, const void *bytes, size_t len, struct err *e)
{
	struct digest leaf = tree_leaf(bytes, len);
	uint64_t index = r->merkle.count;
	struct record_head head;
	int rc;

	TRY(record_parse(bytes, len, &head, e));
	struct entry_row row = { index, leaf, head.type, head.worker, head.n, bytes, len };
	TRY_OUT(log_entry_insert(r->tx, &row, e));
	if (r->o->hook.apply)
		TRY_OUT(r->o->hook.apply(r->o->hook.ctx, r->tx, index, head.entry, e));
	if (head.sealed)
		rc = add_undisclosable(r, index, head.type, e);
	merkle_add(&r->merkle, &leaf);
out:
	json_decref(head.entry);
	return rc < 0 ? rc : 0;
}

static int rebuild_entries(struct rebuild *r, uint64_t size, struct err *e)
{
	for (uint64_t n = 0; n * TILE_FULL < size; n++) {
		struct tile t = { TILE_ENTRIES, n, tile_width(size, 0, n) };
		struct buf bundle = { 0 };
		const void *entry;
		size_t at = 0, len;
		int rc = tile_read(r->dir, &t, &bundle, e);
		while (rc == 0 && (rc = bundle_next(&bundle, &at, &entry, &len, e)) == 1)
			rc = rebuild_entry(r, entry, len, e);
		buf_free(&bundle);
		TRY(rc);
	}
	return 0;
}

/* Remove tiles beyond the checkpoint: their entries were lost with the database, and the next
 * entries will give other tiles. */
static int drop_beyond(const char *dir, uint64_t size, struct err *e)
{
	char tiles[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES], name[LIMIT_PATH_BYTES];
	struct file_list list;
	int rc = 0;

	TRY(file_join(tiles, dir, "tile", e));
	TRY(file_list(tiles, &list, e));
	for (size_t i = 0; rc == 0 && i < list.count; i++) {
		struct tile t;
		rc = file_join(name, "tile", list.names[i], e);
		if (rc < 0 || !tile_path_parse(name, &t) ||
		    tile_width(size, t.level, t.n) >= t.width)
			continue;
		rc = file_join(path, dir, name, e);
		if (rc == 0)
			rc = file_remove_tree(path, e);
	}
	file_list_free(&list);
	return rc;
}

static int rebuild_store(struct rebuild *r, const struct checkpoint *c, struct err *e)
{
	struct digest root;
	int rc;

	TRY(store_write(r->o->store, &r->tx, e));
	TRY_OUT(rebuild_entries(r, c->size, e));
	root = merkle_root(&r->merkle);
	if (!digest_equal(&root, &c->root)) {
		rc = err_set(e, ERR_VERIFY, "the bundles do not have the signed root");
		goto out;
	}
	TRY_OUT(head_insert(r->tx, c->size, &root, e));
	rc = store_commit(r->tx, e);
out:
	store_end(r->tx);
	return rc;
}

/* Problems of numbering do not prevent a rebuild: hashes and signature decide. */
static int check_folder(const char *dir, const char *vkey, struct err *e)
{
	struct audit_verdict *v = calloc(1, sizeof *v);

	if (!v)
		return err_set(e, ERR_NOMEM, "out of memory");
	int rc = audit_verify(dir, vkey, NULL, v, e);
	for (size_t i = 0; rc == 0 && i < v->problems && i < 64; i++) {
		const char *kind = v->problem[i].kind;
		if (strcmp(kind, "gap") != 0 && strcmp(kind, "stop") != 0 &&
		    strcmp(kind, "time") != 0)
			rc = err_set(e, ERR_VERIFY, "the published log does not verify: %s: %s",
				     kind, v->problem[i].text);
	}
	free(v);
	return rc;
}

static int rebuild_locked(struct rebuild *r, const char *vkey, uint64_t *size, struct err *e)
{
	struct buf note = { 0 };
	struct checkpoint c;
	struct digest root;
	int rc;

	TRY(log_schema(r->o, e));
	rc = log_head_ask(r->o->store, size, &root, e);
	if (rc == 0)
		return err_set(e, ERR_CONFLICT,
			       "the database holds a log already; rebuild works on an empty one");
	if (rc != ERR_NOTFOUND)
		return rc;
	TRY(check_folder(r->dir, vkey, e));
	rc = log_checkpoint_read(r->dir, vkey, &note, &c, e);
	buf_free(&note);
	TRY(rc);
	TRY(rebuild_store(r, &c, e));
	*size = c.size;
	return drop_beyond(r->dir, c.size, e);
}

int audit_rebuild(const struct audit_options *o, const char *vkey, struct audit_rebuilt *out,
		  struct err *e)
{
	char dir[LIMIT_PATH_BYTES], path[LIMIT_PATH_BYTES];
	struct rebuild r = { .o = o, .dir = dir };
	int fd, rc;

	*out = (struct audit_rebuilt){ .size = 0 };
	TRY(file_join(dir, o->home, "log", e));
	TRY(file_join(path, dir, "lock", e));
	TRY(file_lock(path, &fd, e));
	r.undisclosable = json_array();
	rc = r.undisclosable ? rebuild_locked(&r, vkey, &out->size, e)
			     : err_set(e, ERR_NOMEM, "out of memory");
	file_unlock(fd);
	if (rc < 0) {
		json_decref(r.undisclosable);
		r.undisclosable = NULL;
	}
	out->undisclosable = r.undisclosable;
	return rc;
}
