/* Identity files. DIR/NAME.pub is the key document (document.c). DIR/NAME.key, mode 0600, holds the
 * secrets: a comment line "untrusted comment: hallmark secret key NAME", then one line of base64 of
 * these 156 bytes:
 *
 *     0    4  key algorithms: "P2Ed" (ECDSA P-256 and Ed25519)
 *     4    2  key derivation: "A2" argon2id 1.3, or "00" none
 *     6    2  wrapping: "XC" XChaCha20-Poly1305 (IETF), or "00" none
 *     8    4  u32le version, 1
 *     12   8  key number: the first 8 bytes of the Ed25519 key id
 *     20   8  u64le argon2id passes       (0 if none)
 *     28   8  u64le argon2id memory bytes (0 if none)
 *     36  16  salt                        (zeros if none)
 *     52  24  nonce                       (zeros if none)
 *     76  64  P-256 scalar (32, big-endian), Ed25519 seed (32); encrypted with bytes 0..75 as
 *             associated data
 *     140 16  Poly1305 tag; unwrapped: the first 16 bytes of SHA-256 over bytes 0..139, against
 *             damage
 *
 * Valid: exactly these lengths, the two lines, "A2" together with "XC", passes and memory within
 * the caps below, a scalar of the curve, and public halves equal to those of the key document. */
#include "signing/keys.h"
#include "base/check.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "signing/ecdsa.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	AT_VERSION = 8,
	AT_NUMBER = 12,
	AT_PASSES = 20,
	AT_MEMORY = 28,
	AT_SALT = 36,
	AT_NONCE = 52,
	AT_SECRET = 76,
	AT_TAG = 140,
	FILE_BYTES = 156,
	TAG_BYTES = 16,
};
#define SEED_BYTES 64  /* both secrets as they lie in the file */
#define PASSES_MAX 64u /* a file from elsewhere may not keep us busy for minutes */
#define MEMORY_MAX ((uint64_t)2 << 30)
#define COMMENT "untrusted comment: hallmark secret key "

/* One guarded allocation. seed: scalar, then Ed25519 seed; ed25519: libsodium's secret key. */
struct guarded {
	uint8_t seed[SEED_BYTES];
	uint8_t ed25519[crypto_sign_SECRETKEYBYTES];
};

struct signing_identity {
	struct signing_public public;
	struct guarded *secret;
};

void signing_keys_start(void) { check(sodium_init() >= 0); }

int signing_keys_check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);
	if (len < 1 || len > 63 || name[0] == '.' ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") != len)
		return err_set(
			e, ERR_INPUT,
			"key name \"%.80s\": expected 1 to 63 of a-z 0-9 . _ -, no leading dot",
			name);
	return 0;
}

void signing_keys_number(const struct signing_public *pub, uint8_t out[8])
{
	check(text_unhex(pub->ed25519_keyid, 16, out, 8) == 0);
}

static struct signing_identity *identity_alloc(void)
{
	signing_keys_start();
	struct signing_identity *id = calloc(1, sizeof *id);
	struct guarded *secret = id ? sodium_malloc(sizeof *secret) : NULL;
	if (!secret) {
		free(id);
		return NULL;
	}
	id->secret = secret;
	return id;
}

void signing_identity_close(struct signing_identity *id)
{
	if (!id)
		return;
	sodium_free(id->secret);
	free(id);
}

const struct signing_public *signing_identity_public(const struct signing_identity *id)
{
	return &id->public;
}

/* Public halves and key ids from the seed; the secret becomes read-only. */
static int derive_public(struct signing_identity *id, const char *name, struct err *e)
{
	snprintf(id->public.name, sizeof id->public.name, "%s", name);
	crypto_sign_seed_keypair(id->public.ed25519, id->secret->ed25519, id->secret->seed + 32);
	sodium_mprotect_readonly(id->secret);
	TRY(signing_ecdsa_public(id->secret->seed, id->public.p256_pem, e));
	id->public.has_p256 = id->public.has_ed25519 = true;
	return signing_keys_fill_ids(&id->public, e);
}

static void put_u64le(uint8_t *out, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_u64le(const uint8_t *in)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v |= (uint64_t)in[i] << 8 * i;
	return v;
}

/* The wrapping key of a passphrase, in guarded memory; NULL with e set. */
static uint8_t *stretch(const char *passphrase, const uint8_t *file, struct err *e)
{
	uint8_t *key = sodium_malloc(crypto_aead_xchacha20poly1305_ietf_KEYBYTES);
	uint64_t passes = get_u64le(file + AT_PASSES), memory = get_u64le(file + AT_MEMORY);
	if (key && crypto_pwhash(key, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, passphrase,
				 strlen(passphrase), file + AT_SALT, passes, (size_t)memory,
				 crypto_pwhash_ALG_ARGON2ID13) == 0)
		return key;
	sodium_free(key);
	err_set(e, ERR_NOMEM, "out of memory to derive a key from the passphrase");
	return NULL;
}

static void seal_plain(const struct signing_identity *id, uint8_t file[FILE_BYTES])
{
	memcpy(file, "P2Ed0000", 8);
	memcpy(file + AT_SECRET, id->secret->seed, SEED_BYTES);
	struct digest d = digest_of(file, AT_TAG);
	memcpy(file + AT_TAG, d.bytes, TAG_BYTES);
}

static int seal_wrapped(const struct signing_identity *id, const char *passphrase,
			const struct env *env, uint8_t file[FILE_BYTES], struct err *e)
{
	memcpy(file, "P2EdA2XC", 8);
	put_u64le(file + AT_PASSES, crypto_pwhash_OPSLIMIT_MODERATE);
	put_u64le(file + AT_MEMORY, crypto_pwhash_MEMLIMIT_MODERATE);
	env_random(env, file + AT_SALT, AT_SECRET - AT_SALT);
	uint8_t *key = stretch(passphrase, file, e);
	if (!key)
		return ERR_NOMEM;
	crypto_aead_xchacha20poly1305_ietf_encrypt_detached(file + AT_SECRET, file + AT_TAG, NULL,
							    id->secret->seed, SEED_BYTES, file,
							    AT_SECRET, NULL, file + AT_NONCE, key);
	sodium_free(key);
	return 0;
}

static int write_secret(const struct signing_identity *id, const char *path, const char *passphrase,
			const struct env *env, struct err *e)
{
	uint8_t *file = sodium_malloc(FILE_BYTES);
	struct buf text = { 0 };
	int result = file && buf_reserve(&text, 1024)
			     ? 0
			     : err_set(e, ERR_NOMEM, "out of memory for a key file");
	if (result < 0)
		goto out;
	memset(file, 0, FILE_BYTES);
	file[AT_VERSION] = 1;
	signing_keys_number(&id->public, file + AT_NUMBER);
	if (passphrase)
		result = seal_wrapped(id, passphrase, env, file, e);
	else
		seal_plain(id, file);
	if (result == 0) {
		buf_printf(&text, "%s%s\n", COMMENT, id->public.name);
		text_base64(&text, file, FILE_BYTES);
		buf_add_byte(&text, '\n');
		result = file_create_immutable(path, NULL, text.bytes, text.len, 0600, e);
	}
out:
	sodium_free(file);
	buf_wipe(&text);
	return result;
}

static int key_paths(const char *dir, const char *name, char secret[LIMIT_PATH_BYTES],
		     char public[LIMIT_PATH_BYTES], struct err *e)
{
	char file[80];
	TRY(signing_keys_check_name(name, e));
	snprintf(file, sizeof file, "%s.key", name);
	TRY(file_join(secret, dir, file, e));
	snprintf(file, sizeof file, "%s.pub", name);
	return file_join(public, dir, file, e);
}

/* What the document is to say, into its place. */
static int take_terms(struct signing_public *pub, const struct signing_terms *t, struct err *e)
{
	if (t->models) {
		TRY(signing_models_check(t->models, e));
		snprintf(pub->models, sizeof pub->models, "%s", t->models);
	}
	if (t->log && strlen(t->log) >= sizeof pub->log)
		return err_set(e, ERR_INPUT, "a log's key of %zu bytes", strlen(t->log));
	snprintf(pub->log, sizeof pub->log, "%s", t->log ? t->log : "");
	if (t->previous)
		memcpy(pub->previous, t->previous->public.ed25519_keyid, sizeof pub->previous);
	pub->expires_us = t->expires_us;
	return 0;
}

static void draw_secrets(struct signing_identity *id, const struct env *env)
{
	do
		env_random(env, id->secret->seed, SEED_BYTES);
	while (!signing_ecdsa_secret_valid(id->secret->seed));
}

static int make_document(struct signing_identity *id, const char *name,
			 const struct signing_terms *t, const struct env *env, struct err *e)
{
	TRY(derive_public(id, name, e));
	TRY(take_terms(&id->public, t, e));
	return signing_keys_document_make(&id->public,
					  &(struct keys_document){
						  .p256 = id->secret->seed,
						  .ed25519 = id->secret->ed25519,
						  .previous = t->previous,
						  .time_us = env_now_us(env),
					  },
					  e);
}

static int open_plain(struct signing_identity *id, const uint8_t *file, struct err *e)
{
	struct digest d = digest_of(file, AT_TAG);
	if (sodium_memcmp(d.bytes, file + AT_TAG, TAG_BYTES) != 0)
		return err_set(e, ERR_INPUT, "damaged: its checksum does not match");
	memcpy(id->secret->seed, file + AT_SECRET, SEED_BYTES);
	return 0;
}

static int open_wrapped(struct signing_identity *id, const uint8_t *file, const char *passphrase,
			struct err *e)
{
	uint64_t passes = get_u64le(file + AT_PASSES), memory = get_u64le(file + AT_MEMORY);
	if (passes < crypto_pwhash_OPSLIMIT_MIN || passes > PASSES_MAX ||
	    memory < crypto_pwhash_MEMLIMIT_MIN || memory > MEMORY_MAX)
		return err_set(e, ERR_INPUT, "damaged: argon2id with %llu passes over %llu bytes",
			       (unsigned long long)passes, (unsigned long long)memory);
	if (!passphrase)
		return err_set(e, ERR_INPUT,
			       "protected by a passphrase, and none was given: give "
			       "--passphrase-file FILE, or set HALLMARK_PASSPHRASE");
	uint8_t *key = stretch(passphrase, file, e);
	if (!key)
		return ERR_NOMEM;
	int result =
		crypto_aead_xchacha20poly1305_ietf_decrypt_detached(id->secret->seed, NULL,
								    file + AT_SECRET, SEED_BYTES,
								    file + AT_TAG, file, AT_SECRET,
								    file + AT_NONCE, key);
	sodium_free(key);
	return result == 0 ? 0 : err_set(e, ERR_INPUT, "wrong passphrase, or the file is damaged");
}

static int open_secret(struct signing_identity *id, const uint8_t *file, const char *passphrase,
		       struct err *e)
{
	static const uint8_t version[4] = { 1, 0, 0, 0 };
	if (memcmp(file, "P2Ed", 4) != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: its key algorithms");
	if (memcmp(file + AT_VERSION, version, sizeof version) != 0)
		return err_set(e, ERR_UNSUPPORTED,
			       "not available in this version: key file version %u",
			       file[AT_VERSION]);
	if (memcmp(file + 4, "0000", 4) == 0)
		TRY(open_plain(id, file, e));
	else if (memcmp(file + 4, "A2XC", 4) == 0)
		TRY(open_wrapped(id, file, passphrase, e));
	else
		return err_set(e, ERR_UNSUPPORTED, "not available in this version: its wrapping");
	return signing_ecdsa_secret_valid(id->secret->seed)
		       ? 0
		       : err_set(e, ERR_INPUT, "damaged: not a P-256 secret");
}

/* The comment line, then one line of base64, then nothing. */
static int decode_file(const struct buf *text, struct buf *file, struct err *e)
{
	const char *line = text->len ? memchr(text->bytes, '\n', text->len) : NULL;
	const char *end =
		line ? memchr(line + 1, '\n', text->len - (size_t)(line + 1 - text->bytes)) : NULL;
	if (!end || end + 1 != text->bytes + text->len || !text_starts(text->bytes, COMMENT))
		return err_set(e, ERR_INPUT, "not a secret key file of two lines");
	if (!buf_reserve(file, 1024))
		return err_set(e, ERR_NOMEM, "out of memory for a key file");
	if (end - line > 300 || text_unbase64(file, line + 1, (size_t)(end - line - 1)) < 0 ||
	    file->len != FILE_BYTES)
		return err_set(e, ERR_INPUT, "damaged: not %d bytes in base64", FILE_BYTES);
	return 0;
}

static int read_secret(struct signing_identity *id, const char *path, const char *passphrase,
		       struct err *e)
{
	struct buf text = { 0 }, file = { 0 };
	int result = buf_reserve(&text, 8192)
			     ? 0
			     : err_set(e, ERR_NOMEM, "out of memory for a key file");
	if (result == 0)
		result = file_read(path, 4096, &text, e);
	if (result == 0) {
		result = decode_file(&text, &file, e);
		if (result == 0)
			result = open_secret(id, (const uint8_t *)file.bytes, passphrase, e);
		if (result < 0)
			err_prefix(e, "%s", path);
	}
	buf_wipe(&text);
	buf_wipe(&file);
	return result;
}

/* The document on disk must state the keys that the secrets have. */
static int match_document(struct signing_identity *id, const char *path, struct err *e)
{
	struct signing_public *document = calloc(1, sizeof *document);
	int result = document ? signing_public_read(path, document, e)
			      : err_set(e, ERR_NOMEM, "out of memory for a key");
	if (result == 0 && (strcmp(document->name, id->public.name) != 0 || !document->has_p256 ||
			    strcmp(document->p256_pem, id->public.p256_pem) != 0 ||
			    memcmp(document->ed25519, id->public.ed25519, 32) != 0))
		result = err_set(e, ERR_VERIFY, "%s: does not belong to the secret key beside it",
				 path);
	if (result == 0)
		id->public = *document;
	free(document);
	return result;
}

/* A secret key without its document is what a cut-off creation left, of which nobody was told: it
 * is completed, never replaced; nor is it taken for one that a passphrase protects. */
static int take_secret(struct signing_identity *id, const char *path, const char *passphrase,
		       struct err *e)
{
	struct err why = { 0 };
	int result = read_secret(id, path, NULL, &why);
	if (result == 0 && passphrase)
		return err_set(e, ERR_CONFLICT,
			       "%s exists without its key document, and not under a passphrase: "
			       "remove it, or make the key without one",
			       path);
	if (result < 0 && passphrase)
		result = read_secret(id, path, passphrase, &why);
	return result < 0 ? err_set(e, ERR_CONFLICT,
				    "%s exists without its key document: %.300s", path, why.text)
			  : 0;
}

static int create_locked(const char *dir, const char *name, const char *passphrase,
			 const struct signing_terms *terms, const struct env *env, struct err *e)
{
	char secret[LIMIT_PATH_BYTES], public[LIMIT_PATH_BYTES];
	int result = 0;
	TRY(key_paths(dir, name, secret, public, e));
	if (file_exists(public))
		return err_set(e, ERR_CONFLICT, "a key named %s exists already in %s", name, dir);
	struct signing_identity *id = identity_alloc();
	if (!id)
		return err_set(e, ERR_NOMEM, "out of memory for a key");
	bool there = file_exists(secret);
	if (there)
		result = take_secret(id, secret, passphrase, e);
	else
		draw_secrets(id, env);
	if (result == 0)
		result = make_document(id, name, terms, env, e);
	if (result == 0 && !there)
		result = write_secret(id, secret, passphrase, env, e);
	env_step(env, "key.secret");
	if (result == 0)
		result = file_create_immutable(public, NULL, id->public.document,
					       strlen(id->public.document), 0644, e);
	signing_identity_close(id);
	return result;
}

/* One at a time in a folder: of two that make the same name, one finds the other's. */
int signing_publisher_create(const char *dir, const char *name, const char *passphrase,
			     const struct signing_terms *terms, const struct env *env,
			     struct err *e)
{
	char lock[LIMIT_PATH_BYTES];
	int fd;
	TRY(signing_keys_check_name(name, e));
	TRY(file_make_dirs(dir, 0700, e));
	TRY(file_join(lock, dir, "lock", e));
	TRY(file_lock_wait(lock, &fd, e));
	int result = create_locked(dir, name, passphrase, terms, env, e);
	file_unlock(fd);
	return result;
}

int signing_identity_create(const char *dir, const char *name, const char *passphrase,
			    const struct env *env, struct err *e)
{
	return signing_publisher_create(dir, name, passphrase, &(struct signing_terms){ 0 }, env,
					e);
}

int signing_identity_open(struct signing_identity **out, const char *dir, const char *name,
			  const char *passphrase, struct err *e)
{
	char secret[LIMIT_PATH_BYTES], public[LIMIT_PATH_BYTES];
	TRY(key_paths(dir, name, secret, public, e));
	struct signing_identity *id = identity_alloc();
	if (!id)
		return err_set(e, ERR_NOMEM, "out of memory for a key");
	int result = read_secret(id, secret, passphrase, e);
	if (result == 0)
		result = derive_public(id, name, e);
	if (result == 0)
		result = match_document(id, public, e);
	if (result < 0) {
		signing_identity_close(id);
		return result;
	}
	*out = id;
	return 0;
}

int signing_keys_ecdsa_sign(const struct signing_identity *id, const void *bytes, size_t len,
			    struct buf *out, struct err *e)
{
	return signing_ecdsa_sign(id->secret->seed, bytes, len, out, e);
}

void signing_ed25519(const struct signing_identity *id, const void *bytes, size_t len,
		     uint8_t signature[64])
{
	crypto_sign_detached(signature, NULL, bytes, len, id->secret->ed25519);
}

int signing_ed25519_check(const uint8_t public_key[32], const void *bytes, size_t len,
			  const uint8_t signature[64])
{
	signing_keys_start();
	return crypto_sign_verify_detached(signature, bytes, len, public_key) == 0 ? 0 : ERR_VERIFY;
}

/* RFC 5869 with one block: PRK = HMAC(salt, secret), key = HMAC(PRK, purpose || 0x01). */
void signing_derive(const struct signing_identity *id, const char *purpose, uint8_t key[32])
{
	static const uint8_t salt[] = "hallmark identity derivation 1";
	static const uint8_t one = 1;
	crypto_auth_hmacsha256_state s;
	uint8_t prk[32];
	crypto_auth_hmacsha256_init(&s, salt, sizeof salt - 1);
	crypto_auth_hmacsha256_update(&s, id->secret->seed, SEED_BYTES);
	crypto_auth_hmacsha256_final(&s, prk);
	crypto_auth_hmacsha256_init(&s, prk, sizeof prk);
	crypto_auth_hmacsha256_update(&s, (const uint8_t *)purpose, strlen(purpose));
	crypto_auth_hmacsha256_update(&s, &one, 1);
	crypto_auth_hmacsha256_final(&s, key);
	sodium_memzero(prk, sizeof prk);
	sodium_memzero(&s, sizeof s);
}
