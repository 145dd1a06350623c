/* The log: opened, asked, closed. */
#include "audit/log_in.h"

#include "base/check.h"
#include "base/file.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int audit_log_checkpoint_read(const char *dir, const char *vkey, struct buf *note,
			      struct checkpoint *out, struct err *e)
{
	char path[LIMIT_PATH_BYTES];

	TRY(file_join(path, dir, "checkpoint", e));
	TRY(file_read(path, LIMIT_ENTRY_BYTES, note, e));
	return audit_checkpoint_open(note->bytes, note->len, vkey, out, e);
}

/* ---- its name ---- */

static int genesis_name(struct store_tx *tx, char out[NOTE_NAME_ROOM], struct err *e)
{
	struct store_stmt *st;
	struct record_head head = { 0 };
	size_t len;

	TRY(store_prepare(tx, "SELECT entry FROM log_entry WHERE idx = 0", &st, e));
	int rc = store_step(st, e);
	if (rc == 1) {
		const void *entry = store_blob(st, 0, &len);
		rc = audit_record_parse(entry, len, &head, e) < 0 ? ERR_VERIFY : 0;
	} else if (rc == 0) {
		rc = ERR_NOTFOUND;
	}
	const char *name =
		json_string_value(json_object_get(json_object_get(head.entry, "body"), "origin"));
	if (rc == 0 && name && audit_note_name_valid(name, strlen(name)))
		snprintf(out, NOTE_NAME_ROOM, "%s", name);
	else if (rc == 0)
		rc = ERR_VERIFY;
	json_decref(head.entry);
	store_finish(st);
	return rc == ERR_VERIFY
		       ? err_set(e, rc, "the first entry in the database does not name the log")
		       : rc;
}

static int checkpoint_name(const char *dir, char out[NOTE_NAME_ROOM], struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	struct buf note = { 0 };
	int rc = file_join(path, dir, "checkpoint", e);

	if (rc == 0)
		rc = file_read(path, LIMIT_ENTRY_BYTES, &note, e);
	size_t len = rc == 0 && note.len ? strcspn(note.bytes, "\n") : 0;
	if (rc == 0 && !audit_note_name_valid(note.bytes, len))
		rc = err_set(e, ERR_VERIFY, "%s does not name the log", path);
	if (rc == 0)
		snprintf(out, NOTE_NAME_ROOM, "%.*s", (int)len, note.bytes);
	buf_free(&note);
	return rc;
}

int audit_log_name(struct store *store, const char *log_dir, char out[NOTE_NAME_ROOM],
		   struct err *e)
{
	struct store_tx *tx;
	int rc = ERR_NOTFOUND;

	if (store) {
		TRY(store_read(store, &tx, e));
		rc = genesis_name(tx, out, e);
		store_end(tx);
	}
	/* ERR_INPUT: the tables are not there yet. */
	return rc == ERR_NOTFOUND || rc == ERR_INPUT ? checkpoint_name(log_dir, out, e) : rc;
}

/* ---- opening ---- */

static int take_options(struct audit_log *log, const struct audit_options *o, struct err *e)
{
	const struct signing_public *pub = signing_identity_public(o->key);
	char *home = realpath(o->home, NULL);
	int rc = 0;

	if (!home)
		return err_errno(e, "state folder %s", o->home);
	if (strlen(home) >= sizeof(log->home) - 8)
		rc = err_set(e, ERR_INPUT, "state folder: the path is too long");
	else
		snprintf(log->home, sizeof(log->home), "%s", home);
	free(home);
	TRY(rc);
	TRY(file_join(log->dir, log->home, "log", e));
	if (!audit_note_name_valid(o->origin, strlen(o->origin)) || !pub->has_ed25519)
		return err_set(e, ERR_INPUT,
			       "the log's origin is no key name, or its key has no Ed25519 half");
	snprintf(log->origin, sizeof(log->origin), "%s", o->origin);
	audit_note_key_text(log->origin, pub->ed25519, &log->vkey);
	log->store = o->store;
	log->keys = o->keys;
	log->key = o->key;
	log->hook = o->hook;
	log->env = o->env;
	log->read_only = o->read_only;
	log->rewrite = o->rewrite;
	log->clock_ok = o->clock_ok;
	log->journaled = o->journal;
	log->mending = o->mend;
	TRY(audit_journal_open(&log->journal, log->home, log->key, e));
	return buf_done(&log->vkey, e);
}

void audit_worker_choose(const struct audit_log *log, struct log_worker *w)
{
	uint8_t id[8];

	do
		env_random(log->env, id, sizeof(id));
	while (sodium_is_zero(id, sizeof(id)));
	*w = (struct log_worker){ .next_n = 0 };
	text_hex(id, sizeof(id), w->id);
}

/* As audit_verify has it: where a power failure may have torn the folder's, the database's. */
static int read_newest(struct audit_log *log, struct checkpoint *c, struct err *e)
{
	struct err why = { 0 };
	uint64_t durable;
	int rc = audit_log_checkpoint_read(log->dir, log->vkey.bytes, &log->checkpoint, c, &why);

	if (rc == ERR_NOTFOUND)
		return err_set(e, rc, "there is no log in %.300s", log->dir);
	if (rc != ERR_INPUT && rc != ERR_VERIFY)
		return rc < 0 ? err_set(e, rc, "%s", why.text) : 0;
	buf_free(&log->checkpoint);
	rc = audit_log_kept(log->store, log->vkey.bytes, &log->checkpoint, c, &durable, e);
	if (rc != ERR_NOTFOUND)
		return rc;
	return err_set(e, ERR_VERIFY,
		       "%.200s/checkpoint is damaged, or not signed with the log's key (%.120s): "
		       "put back the newest log/, or run `hallmark registry rebuild` to write it "
		       "again from state.db",
		       log->dir, why.text);
}

static int open_reading(struct audit_log *log, const struct audit_options *o, struct err *e)
{
	struct checkpoint c;

	TRY(audit_log_schema_check(o, e));
	TRY(audit_replay_wait(log, o, e));
	TRY(read_newest(log, &c, e));
	log->size = log->laid = c.size;
	log->root = c.root;
	return audit_vault_open(log, o, e);
}

static int open_guest(struct audit_log *log, const struct audit_options *o, struct err *e)
{
	TRY(open_reading(log, o, e));
	log->guest = o->claim->guest;
	strcpy(log->self.id, audit_guest_worker(log->guest));
	return 0;
}

static int open_writing(struct audit_log *log, const struct audit_options *o, struct err *e)
{
	char path[LIMIT_PATH_BYTES];

	check(log->keys);
	TRY(file_make_dirs(log->dir, 0755, e));
	if (!o->claim)
		TRY(audit_claim_take(&log->claim,
				     &(struct audit_claiming){ .home = log->home, .env = log->env },
				     e));
	TRY(file_join(path, log->dir, TILE_STAGING, e));
	TRY(file_remove_tree(path, e)); /* left by a crash */
	TRY(file_make_dirs(path, 0755, e));
	if (!log->mending) /* which a command that only reads does */
		TRY(audit_log_schema(o, e));
	TRY(audit_vault_open(log, o, e));
	audit_guard_key(log->key, log->guard_key);
	TRY(audit_replay(log, e));
	TRY(audit_log_recover(log, e));
	log->up = true;
	return 0;
}

static int make_parts(struct audit_log **out, struct err *e)
{
	struct audit_log *log = calloc(1, sizeof(*log));

	if (log) {
		log->edge = calloc(1, sizeof(*log->edge));
		log->ahead = calloc(1, sizeof(*log->ahead));
	}
	if (!log || !log->edge || !log->ahead || sodium_init() < 0) {
		if (log) {
			free(log->edge);
			free(log->ahead);
		}
		free(log);
		return err_set(e, ERR_NOMEM, "out of memory");
	}
	log->journal.fd = -1;
	audit_behind_open(log);
	audit_flight_open(log);
	pthread_mutex_init(&log->scrubbing, NULL);
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->moved, NULL);
	*out = log;
	return 0;
}

int audit_log_open(struct audit_log **out, const struct audit_options *o, struct err *e)
{
	struct audit_log *log = NULL;
	int rc;

	*out = NULL;
	TRY(make_parts(&log, e));
	rc = take_options(log, o, e);
	if (rc == 0) {
		strcpy(log->itself.id, LOG_ITSELF);
		audit_worker_choose(log, &log->self);
		if (log->read_only)
			rc = open_reading(log, o, e);
		else if (o->claim && o->claim->guest)
			rc = open_guest(log, o, e);
		else
			rc = open_writing(log, o, e);
	}
	if (rc < 0)
		audit_log_close(log);
	else
		*out = log;
	return rc;
}

void audit_log_close(struct audit_log *log)
{
	struct err ignored;

	if (!log)
		return;
	/* Where this fails, the next opening does what it would have done. */
	if (log->up && audit_behind_drain(log, &ignored) == 0 && !log->failed) {
		(void)!audit_log_settle_all(log, &ignored);
		if (log->journal.fd >= 0)
			(void)!audit_journal_remove(&log->journal, &ignored);
	}
	audit_flight_close(log);
	audit_behind_close(log);
	audit_journal_close(&log->journal);
	sodium_memzero(log->journal.key, sizeof(log->journal.key));
	sodium_memzero(log->guard_key, sizeof(log->guard_key));
	audit_vault_close(log);
	audit_claim_drop(log->claim);
	audit_edge_close(log->edge);
	free(log->edge);
	free(log->ahead);
	audit_numbers_free(&log->self.numbers);
	audit_numbers_free(&log->itself.numbers);
	buf_free(&log->checkpoint);
	buf_free(&log->laid_note);
	buf_free(&log->vkey);
	pthread_cond_destroy(&log->moved);
	pthread_mutex_destroy(&log->lock);
	pthread_mutex_destroy(&log->scrubbing);
	free(log);
}

/* ---- asking ---- */

const char *audit_log_worker(const struct audit_log *log) { return log->self.id; }

const char *audit_log_host(const struct audit_log *log)
{
	return log->guest ? audit_guest_host(log->guest) : NULL;
}

bool audit_log_orphan(const struct audit_log *log)
{
	return log->guest && audit_guest_orphan(log->guest);
}

const char *audit_log_origin(const struct audit_log *log) { return log->origin; }

int audit_log_catch_up(struct audit_log *log, struct err *e)
{
	struct buf note = { 0 };
	struct checkpoint c;

	pthread_mutex_lock(&log->lock);
	uint64_t told = log->told;
	bool taken = log->taken == told;
	pthread_mutex_unlock(&log->lock);
	if (taken)
		return 0;
	int rc = audit_log_checkpoint_read(log->dir, log->vkey.bytes, &note, &c, e);

	pthread_mutex_lock(&log->lock);
	if (rc == 0 && log->taken < told)
		log->taken = told;
	if (rc == 0 && c.size > log->size) {
		struct buf old = log->checkpoint;
		log->checkpoint = note;
		note = old;
		log->size = log->laid = c.size;
		log->root = c.root;
	}
	pthread_mutex_unlock(&log->lock);
	buf_free(&note);
	return rc;
}

void audit_log_outdated(struct audit_log *log)
{
	struct err ignored;

	pthread_mutex_lock(&log->lock);
	log->told++;
	pthread_mutex_unlock(&log->lock);
	(void)!audit_log_catch_up(log, &ignored);
}

int audit_log_reserve(struct audit_log *log, uint64_t *n, struct err *e)
{
	if (log->guest)
		return audit_guest_reserve(log->guest, n, e);
	return audit_worker_reserve(log, &log->self, n, e);
}

int audit_log_stop(struct audit_log *log, struct audit_receipt *out, struct err *e)
{
	if (!log->guest)
		return audit_worker_stop(log, &log->self, out, e);
	TRY(audit_guest_stop(log->guest, out, e));
	audit_log_outdated(log);
	return 0;
}

uint64_t audit_log_size(const struct audit_log *log)
{
	struct audit_log *l =
		(struct audit_log *)(uintptr_t)log; /* the lock is not part of its value */
	struct err ignored;
	uint64_t size;

	(void)!audit_log_catch_up(l, &ignored);
	pthread_mutex_lock(&l->lock);
	size = l->size;
	pthread_mutex_unlock(&l->lock);
	return size;
}

int audit_log_vkey(const struct audit_log *log, struct buf *out, struct err *e)
{
	buf_add(out, log->vkey.bytes, log->vkey.len);
	return buf_done(out, e);
}

/* A tile that is missing or damaged is wrong, unless a power failure may have torn it. */
static int judge_tile(const struct audit_log *log, uint64_t index, struct err *e)
{
	struct err what = e ? *e : (struct err){ 0 };
	struct buf note = { 0 };
	struct checkpoint c;
	uint64_t durable;
	int rc = log->up ? ERR_NOTFOUND
			 : audit_log_kept(log->store, log->vkey.bytes, &note, &c, &durable, e);

	buf_free(&note);
	if (rc < 0 && rc != ERR_NOTFOUND)
		return rc;
	if (rc == ERR_NOTFOUND || (index / TILE_FULL + 1) * TILE_FULL <= durable)
		return err_set(e, ERR_VERIFY, "%s", what.text);
	return err_set(e, ERR_UNAVAILABLE,
		       "%s: it was not durable yet when the machine stopped; the next command that "
		       "writes, such as `hallmark registry init`, writes it again",
		       what.text);
}

int audit_log_have(struct audit_log *log, uint64_t index, struct err *e)
{
	pthread_mutex_lock(&log->lock);
	bool waits = index >= log->laid && index < log->size;
	pthread_mutex_unlock(&log->lock);
	return waits ? audit_behind_drain(log, e) : 0;
}

int audit_log_entry(struct audit_log *log, uint64_t index, struct buf *out, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	struct err *why = &(struct err){ 0 };
	int rc = audit_log_catch_up(log, why);
	uint64_t size = audit_log_size(log);
	size_t len;

	if (index >= size && rc < 0)
		return err_set(e, rc, "%s", why->text);
	if (index >= size)
		return err_set(e, ERR_NOTFOUND, "the log has no entry %llu",
			       (unsigned long long)index);
	TRY(audit_log_have(log, index, e));
	pthread_mutex_lock(&log->lock);
	size = log->laid;
	pthread_mutex_unlock(&log->lock);
	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT entry FROM log_entry WHERE idx = $1", &st, e));
	store_bind_i64(st, 1, (int64_t)index);
	TRY_OUT(store_step(st, e));
	if (rc == 0) {
		rc = err_set(e, ERR_VERIFY, "entry %llu is missing from the database",
			     (unsigned long long)index);
		goto out;
	}
	const void *bytes = store_blob(st, 0, &len);
	rc = audit_tile_check_entry(log->dir, size, index, bytes, len, e);
	if (rc == ERR_INPUT)
		rc = judge_tile(log, index, e);
	TRY_OUT(rc);
	buf_add(out, bytes, len);
	rc = buf_done(out, e);
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

static int find(struct audit_log *log, const char *worker, uint64_t n, uint64_t *index,
		struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	if (n > INT64_MAX)
		return err_set(e, ERR_NOTFOUND, "no such record");
	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT idx FROM log_entry WHERE worker = $1 AND n = $2", &st,
			      e));
	store_bind_text(st, 1, worker);
	store_bind_i64(st, 2, (int64_t)n);
	TRY_OUT(store_step(st, e));
	if (rc == 0) {
		rc = err_set(e, ERR_NOTFOUND, "worker %.40s has no record %llu", worker,
			     (unsigned long long)n);
		goto out;
	}
	*index = (uint64_t)store_i64(st, 0);
	rc = 0;
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

int audit_log_find(struct audit_log *log, const char *worker, uint64_t n, uint64_t *index,
		   struct err *e)
{
	int rc = find(log, worker, n, index, e);

	if (rc != ERR_NOTFOUND)
		return rc;
	pthread_mutex_lock(&log->lock);
	bool waits = log->laid < log->size;
	pthread_mutex_unlock(&log->lock);
	if (!waits)
		return rc;
	TRY(audit_behind_drain(log, e));
	return find(log, worker, n, index, e);
}
