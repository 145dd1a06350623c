/* The keys of the vault.
 *
 *   keys.db           subject_key(id, kek, wrapped)
 *                     wrapped = nonce[24] || XChaCha20-Poly1305(kek, key, ad = id)
 *                     id      = "s:" || subject, or "r:" || 32 hex digits, of which the first 16
 *                               are random at each opening and the others count: a record's own
 *                               key; "h:handles": of the handles of persons in clear entries
 *                     kek     = 16 hex digits of the Ed25519 key id of the vault's identity; empty
 *                               in what older versions wrapped
 *   keys/vault.key    the vault's identity, from which the kek derives: HKDF, never stored. Before
 *                     there was one, it derived from the log's key
 *
 * Opening for writing wraps again what is under another kek that is known, in one transaction, and
 * scrubs the old bytes from the file: so neither the log's key nor an earlier key of the vault
 * opens anything after that. */
#include "audit/log_in.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES

/* Key-encryption keys, in guarded memory; the first wraps. */
struct keks {
	struct kek {
		char id[VAULT_KEK_ROOM];
		uint8_t key[32];
	} list[3];
	size_t count;
};

static void add_kek(struct keks *k, const struct signing_identity *id, bool is_log)
{
	struct kek *to = &k->list[k->count++];

	signing_derive(id, "hallmark vault key-encryption key v1", to->key);
	snprintf(to->id, sizeof to->id, "%.16s",
		 is_log ? "" : signing_identity_public(id)->ed25519_keyid);
}

int audit_vault_open(struct audit_log *log, const struct audit_options *o, struct err *e)
{
	if (!log->keys)
		return 0;
	log->keks = sodium_malloc(sizeof *log->keks);
	if (!log->keks)
		return err_set(e, ERR_NOMEM, "out of guarded memory");
	log->keks->count = 0;
	if (o->vault)
		add_kek(log->keks, o->vault, false);
	if (o->vault_before)
		add_kek(log->keks, o->vault_before, false);
	add_kek(log->keks, log->key, true);
	return 0;
}

void audit_vault_close(struct audit_log *log)
{
	sodium_free(log->vault_keys);
	log->vault_keys = NULL;
	sodium_free(log->keks); /* wipes; NULL is fine */
	log->keks = NULL;
}

static const struct kek *find_kek(const struct audit_log *log, const char *id)
{
	for (size_t i = 0; i < log->keks->count; i++)
		if (strcmp(log->keks->list[i].id, id) == 0)
			return &log->keks->list[i];
	return NULL;
}

/* ---- sealing ---- */

int audit_seal(const struct env *env, const uint8_t key[32], const void *ad, size_t ad_len,
	       const void *plain, size_t len, struct buf *out, struct err *e)
{
	char *to = buf_reserve(out, NONCE + len + TAG);

	if (!to)
		return buf_done(out, e);
	env_random(env, to, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt((uint8_t *)to + NONCE, NULL, plain, len, ad,
						   ad_len, NULL, (uint8_t *)to, key);
	out->len += NONCE + len + TAG;
	return 0;
}

/* out has room for len - NONCE - TAG bytes. */
int audit_unseal(const uint8_t key[32], const void *ad, size_t ad_len, const uint8_t *sealed,
		 size_t len, uint8_t *out)
{
	if (len < NONCE + TAG)
		return ERR_VERIFY;
	return crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed + NONCE,
							  len - NONCE, ad, ad_len, sealed, key) == 0
		       ? 0
		       : ERR_VERIFY;
}

/* ---- subject keys ---- */

static int missing_kek(const char *id, struct err *e)
{
	return err_set(e, ERR_INPUT,
		       "keys.db is wrapped under the vault's key %.16s, which is not here: put "
		       "keys/vault.key and vault.pub back from a backup, or give its passphrase",
		       id);
}

static int unwrap(const struct audit_log *log, const char *id, struct store_stmt *row,
		  uint8_t key[32], struct err *e)
{
	size_t len;
	const uint8_t *wrapped = store_blob(row, 0, &len);
	const char *under = store_text(row, 1);
	const struct kek *kek = find_kek(log, under);

	if (!kek)
		return missing_kek(under, e);
	if (len != NONCE + 32 + TAG ||
	    audit_unseal(kek->key, id, strlen(id), wrapped, len, key) < 0)
		return err_set(e, ERR_VERIFY,
			       "keys.db: the key %.40s does not unwrap with the vault's key", id);
	return 0;
}

int audit_key_load(struct audit_log *log, struct store_tx *tx, const char *id, uint8_t key[32],
		   struct err *e)
{
	struct store_stmt *st;
	int rc = store_prepare(tx, "SELECT wrapped, kek FROM subject_key WHERE id = $1", &st, e);

	if (rc == ERR_INPUT) /* opened for reading, and not brought up yet */
		rc = store_prepare(tx, "SELECT wrapped, '' FROM subject_key WHERE id = $1", &st, e);
	TRY(rc);
	store_bind_text(st, 1, id);
	rc = store_step(st, e);
	if (rc == 1)
		rc = unwrap(log, id, st, key, e);
	else if (rc == 0)
		rc = err_set(e, ERR_NOTFOUND, "the key of this record was erased");
	store_finish(st);
	return rc;
}

static int put_wrapped(struct audit_log *log, struct store_tx *tx, const char *sql, const char *id,
		       const uint8_t key[32], struct err *e)
{
	const struct kek *kek = &log->keks->list[0];
	struct buf wrapped = { 0 };
	struct store_stmt *st;
	int rc;

	TRY_OUT(audit_seal(log->env, kek->key, id, strlen(id), key, 32, &wrapped, e));
	TRY_OUT(store_prepare(tx, sql, &st, e));
	store_bind_text(st, 1, id);
	store_bind_text(st, 2, kek->id);
	store_bind_blob(st, 3, wrapped.bytes, wrapped.len);
	rc = store_run(st, e);
out:
	buf_free(&wrapped);
	return rc;
}

int audit_key_put(struct audit_log *log, struct store_tx *tx, const char *id, const uint8_t key[32],
		  struct err *e)
{
	return put_wrapped(log, tx, "INSERT INTO subject_key(id, kek, wrapped) VALUES($1, $2, $3)",
			   id, key, e);
}

/* The key of all handles, made at its first use. */
static int handle_key(struct audit_log *log, struct vault_key *k, struct err *e)
{
	struct store_tx *tx;
	int rc;

	strcpy(k->id, VAULT_HANDLE_KEY);
	TRY(store_read(log->keys, &tx, e));
	rc = audit_key_load(log, tx, k->id, k->key, e);
	store_end(tx);
	if (rc != ERR_NOTFOUND)
		return rc;
	TRY(store_write(log->keys, &tx, e));
	rc = audit_key_load(log, tx, k->id, k->key, e); /* another may have made it meanwhile */
	if (rc == ERR_NOTFOUND) {
		env_random(log->env, k->key, sizeof(k->key));
		rc = audit_key_put(log, tx, k->id, k->key, e);
	}
	if (rc == 0)
		rc = store_commit(tx, e);
	store_end(tx);
	return rc;
}

/* HMAC-SHA-256 of what and name, by a key of keys.db: without that row nobody can say whose it is.
 */
int audit_vault_handle(struct audit_log *log, const char *what, const char *name,
		       char out[VAULT_HANDLE_ROOM], struct err *e)
{
	struct vault_key *k = sodium_malloc(sizeof *k);
	crypto_auth_hmacsha256_state s;
	uint8_t mac[32];
	int rc = k ? 0 : err_set(e, ERR_NOMEM, "out of guarded memory");

	if (rc == 0)
		rc = handle_key(log, k, e);
	if (rc == 0) {
		crypto_auth_hmacsha256_init(&s, k->key, sizeof k->key);
		crypto_auth_hmacsha256_update(&s, (const uint8_t *)what, strlen(what) + 1);
		crypto_auth_hmacsha256_update(&s, (const uint8_t *)name, strlen(name));
		crypto_auth_hmacsha256_final(&s, mac);
		memcpy(out, "handle:", 7);
		text_hex(mac, 16, out + 7);
	}
	sodium_free(k); /* wipes; NULL is fine */
	return rc;
}

/* ---- wrapping again ---- */

/* The least and the greatest kek that wraps anything: false where nothing is wrapped. */
static int keks_in_use(struct store_tx *tx, char least[VAULT_KEK_ROOM], char most[VAULT_KEK_ROOM],
		       bool *any, struct err *e)
{
	struct store_stmt *st;

	TRY(store_prepare(tx,
			  "SELECT (SELECT min(kek) FROM subject_key),"
			  " (SELECT max(kek) FROM subject_key)",
			  &st, e));
	int rc = store_step(st, e);
	*any = rc == 1 && !store_is_null(st, 0);
	if (*any) {
		snprintf(least, VAULT_KEK_ROOM, "%s", store_text(st, 0));
		snprintf(most, VAULT_KEK_ROOM, "%s", store_text(st, 1));
	}
	store_finish(st);
	return rc < 0 ? rc : 0;
}

int audit_vault_kek(struct store *keys, char id[VAULT_KEK_ROOM], struct err *e)
{
	char least[VAULT_KEK_ROOM];
	struct store_tx *tx;
	bool any = false;

	id[0] = 0;
	TRY(store_read(keys, &tx, e));
	int rc = keks_in_use(tx, least, id, &any, e);
	store_end(tx);
	return rc == ERR_INPUT ? 0 : rc; /* older tables, or none */
}

/* One key. What does not unwrap keeps its bytes, and says so when it is asked for; its label
 * becomes the vault's, or every opening would ask for a key that is gone and opens nothing. */
static int rewrap(struct audit_log *log, struct store_tx *tx, const char *id, struct err *e)
{
	uint8_t *key = sodium_malloc(32);
	struct store_stmt *st;

	if (!key)
		return err_set(e, ERR_NOMEM, "out of guarded memory");
	int rc = audit_key_load(log, tx, id, key, e);
	if (rc == 0) {
		rc = put_wrapped(log, tx,
				 "UPDATE subject_key SET kek = $2, wrapped = $3 WHERE id = $1", id,
				 key, e);
	} else if (rc == ERR_VERIFY) {
		rc = store_prepare(tx, "UPDATE subject_key SET kek = $2 WHERE id = $1", &st, e);
		if (rc == 0) {
			store_bind_text(st, 1, id);
			store_bind_text(st, 2, log->keks->list[0].id);
			rc = store_run(st, e);
		}
	}
	sodium_free(key); /* wipes */
	return rc;
}

static int rewrap_all(struct audit_log *log, struct store_tx *tx, struct err *e)
{
	const char *id = log->keks->list[0].id;
	char sql[160];
	size_t count;

	snprintf(sql, sizeof sql,
		 "SELECT id FROM subject_key WHERE kek < '%s' OR kek > '%s' LIMIT 1000", id, id);
	do {
		json_t *ids, *item;
		size_t i;
		int rc = audit_key_ids(tx, sql, &ids, e);
		count = json_array_size(ids);
		if (rc == 0)
			json_array_foreach(ids, i, item) {
				rc = rewrap(log, tx, json_string_value(item), e);
				if (rc < 0)
					break;
			}
		json_decref(ids);
		TRY(rc);
	} while (count);
	return store_exec(tx, "INSERT INTO scrub(pending) VALUES(1)", e);
}

int audit_keks_rewrap(struct audit_log *log, struct err *e)
{
	const char *id = log->keks->list[0].id;
	char least[VAULT_KEK_ROOM], most[VAULT_KEK_ROOM];
	struct store_tx *tx;
	bool any;
	int rc;

	TRY(store_write(log->keys, &tx, e));
	TRY_OUT(keks_in_use(tx, least, most, &any, e));
	if (!any || (strcmp(least, id) == 0 && strcmp(most, id) == 0))
		goto out;
	TRY_OUT(rewrap_all(log, tx, e));
	TRY_OUT(store_commit(tx, e));
	env_step(log->env, "audit.rewrapped");
out:
	store_end(tx);
	return rc;
}
