/* The erasable vault.
 *
 *   state.db  vault(idx, key_id, cipher)
 *             cipher = nonce[24] || XChaCha20-Poly1305(key, plain, ad)
 *             plain  = {"fields":[{"name","salt","value"}...],"retained":...} as canonical JSON
 *             ad     = origin || 0x0A || u64be index || type
 * Subject keys lie apart: audit/vault_keys.c. Keys are durable before the rows they
 * seal, and noted in fresh_key until the next batch has seen that there are such rows. Erasing
 * removes the rows and notes their keys in vault_doomed, in one transaction; then the keys go that
 * no row uses, then the bytes in the files (scrub). So an opening looks at what was noted, never at
 * all keys. */
#include "audit/log_in.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES

/* ---- sealing ---- */

static int record_ad(const struct audit_log *log, uint64_t index, const char *type, struct buf *out,
		     struct err *e)
{
	buf_add_text(out, log->origin);
	buf_add_byte(out, '\n');
	buf_add_u32be(out, (uint32_t)(index >> 32));
	buf_add_u32be(out, (uint32_t)index);
	buf_add_text(out, type);
	return buf_done(out, e);
}

/* ---- keys ---- */

/* For a row: noted until there is one. */
static int key_put_fresh(struct audit_log *log, struct store_tx *tx, const char *id,
			 const uint8_t key[32], struct err *e)
{
	struct store_stmt *st;

	TRY(audit_key_put(log, tx, id, key, e));
	TRY(store_prepare(tx, "INSERT INTO fresh_key(id) VALUES($1)", &st, e));
	store_bind_text(st, 1, id);
	return store_run(st, e);
}

static int key_delete(struct store_tx *tx, const char *id, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "DELETE FROM subject_key WHERE id = $1", &st, e));
	store_bind_text(st, 1, id);
	return store_run(st, e);
}

/* Of a record's own key. They ascend in each opening of the log, so that the keys of a batch lie on
 * one page of the table, and not each on one of its own. */
static void own_id(const struct audit_log *log, uint64_t number, char id[VAULT_KEY_ROOM])
{
	uint8_t own[16];

	memcpy(own, log->key_prefix, sizeof(log->key_prefix));
	for (int i = 0; i < 8; i++)
		own[8 + i] = (uint8_t)(number >> (56 - 8 * i));
	memcpy(id, "r:", 3);
	text_hex(own, sizeof(own), id + 2);
}

static int subject_key(struct audit_log *log, struct store_tx *tx, const char *subject,
		       struct vault_key *k, struct err *e)
{
	if ((size_t)snprintf(k->id, sizeof(k->id), "s:%s", subject) >= sizeof(k->id))
		return err_set(e, ERR_INPUT, "the subject's handle is longer than %zu bytes",
			       sizeof(k->id) - 3);
	int rc = audit_key_load(log, tx, k->id, k->key, e);
	if (rc != ERR_NOTFOUND)
		return rc;
	env_random(log->env, k->key, sizeof(k->key));
	return key_put_fresh(log, tx, k->id, k->key, e);
}

/* The first column as a list of texts, a new reference. */
int audit_key_ids(struct store_tx *tx, const char *sql, json_t **out, struct err *e)
{
	json_t *ids = json_array();
	struct store_stmt *st;
	int rc;

	TRY_OUT(store_prepare(tx, sql, &st, e));
	while ((rc = store_step(st, e)) == 1)
		if (json_array_append_new(ids, json_string(store_text(st, 0))) < 0) {
			rc = err_set(e, ERR_NOMEM, "out of memory");
			break;
		}
	store_finish(st);
out:
	if (rc < 0) {
		json_decref(ids);
		ids = NULL;
	}
	*out = ids;
	return rc;
}

static int list_ids(struct store *s, const char *sql, json_t **out, struct err *e)
{
	struct store_tx *tx;

	TRY(store_read(s, &tx, e));
	int rc = audit_key_ids(tx, sql, out, e);
	store_end(tx);
	return rc;
}

/* Of these keys, remove those that no row uses; *removed says whether there were any. tx: of
 * keys.db. */
static int remove_unused(struct audit_log *log, struct store_tx *tx, const json_t *ids,
			 bool *removed, struct err *e)
{
	struct store_stmt *used = NULL;
	struct store_tx *rows;
	const json_t *id;
	size_t i;
	int rc;

	*removed = false;
	TRY(store_read(log->store, &rows, e));
	TRY_OUT(store_prepare(rows, "SELECT 1 FROM vault WHERE key_id = $1 LIMIT 1", &used, e));
	json_array_foreach(ids, i, id) {
		store_reset(used);
		store_bind_text(used, 1, json_string_value(id));
		TRY_OUT(store_step(used, e));
		if (rc == 1)
			continue;
		TRY_OUT(key_delete(tx, json_string_value(id), e));
		*removed = true;
	}
	rc = 0;
out:
	store_finish(used);
	store_end(rows);
	return rc;
}

/* Own keys that stay noted: of batches in hand and in flight, and those that are made for records
 * to come. false: there are none. */
static bool keep_noted(struct audit_log *log, size_t in_hand, char first[VAULT_KEY_ROOM],
		       char last[VAULT_KEY_ROOM])
{
	pthread_mutex_lock(&log->lock);
	uint64_t kept = log->made + log->flights.own + in_hand;
	kept = kept < log->key_count ? kept : log->key_count;
	pthread_mutex_unlock(&log->lock);
	first[0] = last[0] = 0;
	if (kept == 0)
		return false;
	own_id(log, log->key_count - kept, first);
	own_id(log, log->key_count - 1, last);
	return true;
}

/* Those that were given to batches that are durable. */
static int forget_fresh(struct audit_log *log, struct store_tx *tx, size_t in_hand, struct err *e)
{
	char first[VAULT_KEY_ROOM], last[VAULT_KEY_ROOM];
	struct store_stmt *st;
	bool some = keep_noted(log, in_hand, first, last);

	TRY(store_prepare(tx,
			  some ? "DELETE FROM fresh_key WHERE id < $1 OR id > $2"
			       : "DELETE FROM fresh_key",
			  &st, e));
	if (some) {
		store_bind_text(st, 1, first);
		store_bind_text(st, 2, last);
	}
	return store_run(st, e);
}

/* Keys that were given to batches: the rows are committed, or nothing was sealed with them. */
static int settle_fresh(struct audit_log *log, struct store_tx *tx, struct err *e)
{
	char first[VAULT_KEY_ROOM], last[VAULT_KEY_ROOM], sql[3 * VAULT_KEY_ROOM];
	json_t *ids;
	bool removed;
	int rc;

	if (!log->fresh_doubt)
		return forget_fresh(log, tx, 0, e);
	keep_noted(log, 0, first, last);
	snprintf(sql, sizeof sql, "SELECT id FROM fresh_key WHERE id < '%s' OR id > '%s'", first,
		 last);
	TRY(audit_key_ids(tx, sql, &ids, e));
	TRY_OUT(remove_unused(log, tx, ids, &removed, e));
	if (json_array_size(ids) > 0)
		rc = forget_fresh(log, tx, 0, e);
out:
	json_decref(ids);
	return rc;
}

/* What a batch asks for: keys of its records' own, and those of subjects. */
struct asked {
	size_t own, subjects;
};

static struct asked asked_by(struct pending *const *batch, size_t count)
{
	struct asked a = { 0, 0 };

	for (size_t i = 0; i < count; i++)
		if (batch[i]->record.committed)
			*(batch[i]->record.from->subject ? &a.subjects : &a.own) += 1;
	return a;
}

/* Under load keys are made for some batches at once, for a transaction waits for the disk, and
 * then behind the answers. What keys.db has seen of the log lags by as many. */
#define AHEAD_FROM 4
#define AHEAD_BATCHES 64

/* So many more, into `coming`: they are there when the transaction is durable. */
static int make_own(struct audit_log *log, struct store_tx *tx, size_t count, struct err *e)
{
	uint8_t(*key)[32] = log->vault_keys->coming;
	char id[VAULT_KEY_ROOM];
	int rc = 0;

	if (log->key_count == 0)
		env_random(log->env, log->key_prefix, sizeof(log->key_prefix));
	env_random(log->env, key, count * sizeof(*key));
	for (size_t i = 0; rc == 0 && i < count; i++) {
		own_id(log, log->key_count + i, id);
		rc = key_put_fresh(log, tx, id, key[i], e);
	}
	return rc;
}

/* Behind those that are there. Before the transaction ends, or another would give them the same
 * numbers. */
static void have_own(struct audit_log *log, size_t count, bool durable)
{
	struct vault_keys *k = log->vault_keys;

	pthread_mutex_lock(&log->lock);
	if (durable) {
		memcpy(k->made[log->made], k->coming, count * sizeof(*k->coming));
		log->made += count;
		log->key_count += count;
	}
	pthread_mutex_unlock(&log->lock);
	sodium_memzero(k->coming, count * sizeof(*k->coming));
}

/* How many are missing to what a batch of so many asks for, and the next ones will. */
static size_t missing_own(struct audit_log *log, size_t own)
{
	size_t want = own < AHEAD_FROM ? own : own * (1 + AHEAD_BATCHES), missing = 0;

	want = want < VAULT_MADE_MAX ? want : VAULT_MADE_MAX;
	pthread_mutex_lock(&log->lock);
	log->wanted = own < AHEAD_FROM ? 0 : want;
	if (log->made < own)
		missing = want - log->made;
	pthread_mutex_unlock(&log->lock);
	return missing;
}

bool audit_vault_keys_low(const struct audit_log *log)
{
	return !log->failed && !log->fresh_doubt && log->made < log->wanted / 2;
}

static int fill_stock(struct audit_log *log, struct store_tx *tx, size_t *count, struct err *e)
{
	uint64_t seen;

	pthread_mutex_lock(&log->lock);
	*count = audit_vault_keys_low(log) ? log->wanted - log->made : 0;
	size_t in_hand = log->in_hand;
	pthread_mutex_unlock(&log->lock);
	if (*count == 0)
		return 0;
	TRY(forget_fresh(log, tx, in_hand, e));
	TRY(make_own(log, tx, *count, e));
	TRY(audit_guard_see(log, tx, &seen, e));
	TRY(store_commit(tx, e));
	audit_guard_saw(log, seen);
	env_step(log->env, "audit.stocked");
	return 0;
}

int audit_vault_keys_stock(struct audit_log *log, struct err *e)
{
	struct store_tx *tx;
	size_t count = 0;

	TRY(store_write(log->keys, &tx, e));
	int rc = fill_stock(log, tx, &count, e);
	if (count)
		have_own(log, count, rc == 0);
	store_end(tx);
	return rc;
}

static int make_keys(struct audit_log *log, struct store_tx *tx, struct pending *const *batch,
		     size_t count, const struct asked *a, size_t own, struct err *e)
{
	TRY(settle_fresh(log, tx, e));
	if (own)
		TRY(make_own(log, tx, own, e));
	for (size_t i = 0; i < count && a->subjects; i++)
		if (batch[i]->key && batch[i]->record.from->subject)
			TRY(subject_key(log, tx, batch[i]->record.from->subject, batch[i]->key, e));
	return 0;
}

/* Keys of subjects that batches in flight are sealed with stay noted until those are durable. */
static int wait_for_subjects(struct audit_log *log, struct err *e)
{
	pthread_mutex_lock(&log->lock);
	bool some = log->flights.own < log->flights.records;
	pthread_mutex_unlock(&log->lock);
	return some ? audit_flight_drain(log, e) : 0;
}

static int commit_keys(struct audit_log *log, struct pending *const *batch, size_t count,
		       const struct asked *a, struct err *e)
{
	struct store_tx *tx;
	uint64_t seen;
	int rc;

	TRY(wait_for_subjects(log, e));
	TRY(store_write(log->keys, &tx, e));
	size_t own = missing_own(log, a->own);
	TRY_OUT(make_keys(log, tx, batch, count, a, own, e));
	TRY_OUT(audit_guard_see(log, tx, &seen, e));
	TRY_OUT(store_commit(tx, e));
	audit_guard_saw(log, seen);
	env_step(log->env, "audit.keys");
out:
	if (own)
		have_own(log, own, rc == 0);
	store_end(tx);
	log->fresh_doubt = rc < 0;
	if (rc < 0)
		audit_vault_keys_forget(log);
	return rc;
}

/* The first of those that are made. */
static void give_own(struct audit_log *log, struct pending *const *batch, size_t count, size_t own)
{
	uint8_t(*made)[32] = log->vault_keys->made;
	size_t given = 0;

	pthread_mutex_lock(&log->lock);
	for (size_t i = 0; i < count; i++) {
		struct pending *p = batch[i];
		if (!p->key || p->record.from->subject)
			continue;
		own_id(log, log->key_count - log->made + given, p->key->id);
		memcpy(p->key->key, made[given++], sizeof(*made));
	}
	log->made -= own;
	memmove(made, made + own, log->made * sizeof(*made));
	sodium_memzero(made + log->made, own * sizeof(*made));
	pthread_mutex_unlock(&log->lock);
}

static bool has_own(struct audit_log *log, size_t own)
{
	pthread_mutex_lock(&log->lock);
	bool there = log->made >= own;
	pthread_mutex_unlock(&log->lock);
	return there;
}

int audit_vault_keys_get(struct audit_log *log, struct pending *const *batch, size_t count,
			 struct err *e)
{
	struct asked a = asked_by(batch, count);
	size_t next = 0;

	if (a.own + a.subjects == 0)
		return 0;
	/* Whether a key is used is asked of the database. */
	if (log->fresh_doubt) {
		TRY(audit_flight_drain(log, e));
		TRY(audit_behind_drain(log, e));
	}
	if (!log->vault_keys)
		log->vault_keys = sodium_malloc(sizeof(*log->vault_keys));
	if (!log->vault_keys)
		return err_set(e, ERR_NOMEM, "out of guarded memory");
	log->sealing = true;
	for (size_t i = 0; i < count; i++)
		if (batch[i]->record.committed)
			batch[i]->key = &log->vault_keys->batch[next++];
	if (a.subjects || !has_own(log, a.own))
		TRY(commit_keys(log, batch, count, &a, e));
	give_own(log, batch, count, a.own);
	return 0;
}

void audit_vault_keys_drop(struct audit_log *log, struct pending *const *batch, size_t count)
{
	size_t given = 0;

	log->sealing = false;
	for (size_t i = 0; i < count; i++) {
		given += batch[i]->key != NULL;
		batch[i]->key = NULL;
	}
	if (given)
		sodium_memzero(log->vault_keys->batch, given * sizeof(*log->vault_keys->batch));
}

void audit_vault_keys_forget(struct audit_log *log)
{
	pthread_mutex_lock(&log->lock);
	log->made = log->wanted = 0;
	log->fresh_doubt = true;
	pthread_mutex_unlock(&log->lock);
}

/* ---- rows ---- */

int audit_vault_put(struct store_tx *tx, uint64_t index, const char *key_id,
		    const struct buf *cipher, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "INSERT INTO vault(idx, key_id, cipher) VALUES($1, $2, $3)", &st, e));
	store_bind_i64(st, 1, (int64_t)index);
	store_bind_text(st, 2, key_id);
	store_bind_blob(st, 3, cipher->bytes, cipher->len);
	return store_run(st, e);
}

int audit_vault_seal(const struct audit_log *log, uint64_t index, const struct pending *p,
		     struct buf *out, struct digest *cipher, struct err *e)
{
	const struct buf *plain = &p->record.plain;
	struct buf ad = { 0 };
	int rc = record_ad(log, index, p->record.from->type, &ad, e);

	if (rc == 0)
		rc = audit_seal(log->env, p->key->key, ad.bytes, ad.len, plain->bytes, plain->len,
				out, e);
	if (rc == 0)
		*cipher = digest_of(out->bytes, out->len);
	buf_free(&ad);
	return rc;
}

/* The row's ciphertext (appended) and key. */
static int read_row(struct audit_log *log, uint64_t index, char *key_id, size_t room,
		    struct buf *cipher, struct err *e)
{
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	size_t len;
	int rc;

	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT key_id, cipher FROM vault WHERE idx = $1", &st, e));
	store_bind_i64(st, 1, (int64_t)index);
	TRY_OUT(store_step(st, e));
	if (rc == 0) {
		rc = err_set(e, ERR_NOTFOUND,
			     "record %llu: nothing to disclose: erased, lost, or public",
			     (unsigned long long)index);
		goto out;
	}
	snprintf(key_id, room, "%s", store_text(st, 0));
	const void *bytes = store_blob(st, 1, &len);
	buf_add(cipher, bytes, len);
	rc = buf_done(cipher, e);
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

static int read_key(struct audit_log *log, const char *id, uint8_t key[32], struct err *e)
{
	struct store_tx *tx;

	if (!log->keys)
		return err_set(e, ERR_NOTFOUND, "keys.db is not there");
	TRY(store_read(log->keys, &tx, e));
	int rc = audit_key_load(log, tx, id, key, e);
	store_end(tx);
	return rc;
}

/* The row must be the one that the entry commits to. */
static int check_cipher(const struct record_head *head, const struct buf *cipher, struct err *e)
{
	struct digest stated, found = digest_of(cipher->bytes, cipher->len);

	if (!head->sealed)
		return err_set(e, ERR_VERIFY,
			       "the vault holds a row for an entry that states none");
	TRY(digest_parse(json_string_value(json_object_get(head->entry, "cipher")), &stated, e));
	return digest_equal(&stated, &found)
		       ? 0
		       : err_set(e, ERR_VERIFY, "the vault row is not the one that was logged");
}

static int open_row(struct audit_log *log, uint64_t index, const struct record_head *head,
		    const struct buf *cipher, const uint8_t key[32], json_t **out, struct err *e)
{
	struct buf ad = { 0 }, plain = { 0 };
	int rc;

	TRY_OUT(record_ad(log, index, head->type, &ad, e));
	char *to = buf_reserve(&plain, cipher->len);
	if (!to)
		TRY_OUT(buf_done(&plain, e));
	if (audit_unseal(key, ad.bytes, ad.len, (uint8_t *)cipher->bytes, cipher->len,
			 (uint8_t *)to) < 0) {
		rc = err_set(e, ERR_VERIFY, "record %llu: the vault row does not open",
			     (unsigned long long)index);
		goto out;
	}
	plain.len = cipher->len - NONCE - TAG;
	rc = json_read_written(out, plain.bytes, plain.len, LIMIT_JSON_BYTES, LIMIT_JSON_DEPTH + 4,
			       e);
out:
	buf_free(&ad);
	buf_wipe(&plain);
	return rc;
}

int audit_vault_read(struct audit_log *log, uint64_t index, json_t **out, struct err *e)
{
	struct buf entry = { 0 }, cipher = { 0 };
	struct record_head head = { 0 };
	uint8_t key[32];
	char key_id[300];
	int rc;

	*out = NULL;
	TRY_OUT(audit_log_entry(log, index, &entry, e));
	TRY_OUT(audit_record_parse(entry.bytes, entry.len, &head, e));
	TRY_OUT(audit_record_known_version(&head, e));
	TRY_OUT(read_row(log, index, key_id, sizeof(key_id), &cipher, e));
	TRY_OUT(read_key(log, key_id, key, e));
	TRY_OUT(check_cipher(&head, &cipher, e));
	rc = open_row(log, index, &head, &cipher, key, out, e);
out:
	sodium_memzero(key, sizeof(key));
	json_decref(head.entry);
	buf_free(&entry);
	buf_free(&cipher);
	return rc;
}

/* ---- destroying keys ---- */

/* Write transactions of one statement. */
static int write_once(struct store *s, const char *sql, struct err *e)
{
	struct store_tx *tx;

	TRY(store_write(s, &tx, e));
	int rc = store_exec(tx, sql, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	return rc;
}

/* An erasure's keys first, then the files. Each step is remembered before the one before it is
 * forgotten: vault_doomed, then scrub. */
static int destroy_doomed(struct audit_log *log, struct err *e)
{
	struct store_tx *tx = NULL;
	json_t *ids = NULL;
	bool removed;
	int rc = 0;

	TRY(list_ids(log->store, "SELECT key_id FROM vault_doomed", &ids, e));
	if (json_array_size(ids) == 0)
		goto out;
	TRY_OUT(store_write(log->keys, &tx, e));
	TRY_OUT(remove_unused(log, tx, ids, &removed, e));
	TRY_OUT(store_exec(tx,
			   removed ? "INSERT INTO scrub(pending) VALUES(1)"
				   : "INSERT INTO scrub(pending) VALUES(0)",
			   e));
	TRY_OUT(store_commit(tx, e));
	env_step(log->env, "audit.erase.destroyed");
	rc = write_once(log->store, "DELETE FROM vault_doomed", e);
out:
	store_end(tx);
	json_decref(ids);
	return rc;
}

/* What is asked for: how many rows, and their greatest `pending`. */
struct wanted {
	int64_t rows, most;
};

static int scrub_wanted(struct store_tx *tx, struct wanted *out, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx, "SELECT count(*), coalesce(max(pending), 0) FROM scrub", &st, e));
	int rc = store_step(st, e);
	*out = (struct wanted){ store_i64(st, 0), store_i64(st, 1) };
	store_finish(st);
	return rc < 0 ? rc : 0;
}

/* What was asked for is done; unless more was asked for meanwhile, which does all of it again. */
static int forget_wanted(struct audit_log *log, const struct wanted *done, struct err *e)
{
	struct wanted now;
	struct store_tx *tx;
	int rc;

	TRY(store_write(log->keys, &tx, e));
	TRY_OUT(scrub_wanted(tx, &now, e));
	if (now.rows == done->rows) {
		TRY_OUT(store_exec(tx, "DELETE FROM scrub", e));
		rc = store_commit(tx, e);
	}
out:
	store_end(tx);
	return rc;
}

static int scrub(struct audit_log *log, struct err *e)
{
	struct wanted wanted;
	struct store_tx *tx;

	TRY(store_read(log->keys, &tx, e));
	int rc = scrub_wanted(tx, &wanted, e);
	store_end(tx);
	TRY(rc);
	if (wanted.rows == 0)
		return 0;
	if (wanted.most > 0)
		TRY(store_scrub(log->keys, true, e));
	TRY(store_scrub(log->store, false, e));
	TRY(forget_wanted(log, &wanted, e));
	env_step(log->env, "audit.erase.scrubbed");
	return 0;
}

int audit_vault_destroy(struct audit_log *log, struct err *e)
{
	TRY(destroy_doomed(log, e));
	env_step(log->env, "audit.erase.keys");
	return 0;
}

int audit_vault_scrub(struct audit_log *log, struct err *e)
{
	pthread_mutex_lock(&log->scrubbing);
	int rc = scrub(log, e);
	pthread_mutex_unlock(&log->scrubbing);
	return rc;
}

int audit_vault_recover(struct audit_log *log, struct err *e)
{
	struct store_tx *tx;

	TRY(audit_keks_rewrap(log, e));
	TRY(destroy_doomed(log, e));
	TRY(store_write(log->keys, &tx, e));
	audit_vault_keys_forget(log);
	int rc = settle_fresh(log, tx, e);
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	TRY(rc);
	log->fresh_doubt = false;
	store_wait_ms(log->store, 0);
	store_wait_ms(log->keys, 0);
	rc = audit_vault_scrub(log, e);
	store_wait_ms(log->store, STORE_WAIT_MS);
	store_wait_ms(log->keys, STORE_WAIT_MS);
	/* A reader is at work; the next opening tries again. */
	return rc == ERR_UNAVAILABLE ? 0 : rc;
}

int audit_vault_doubt_keys(struct store *keys, struct err *e)
{
	return write_once(
		keys,
		"INSERT INTO fresh_key(id) SELECT id FROM subject_key WHERE id <> '" VAULT_HANDLE_KEY
		"'"
		" ON CONFLICT(id) DO NOTHING;"
		"INSERT INTO scrub(pending) VALUES(1)",
		e);
}
