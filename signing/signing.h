/* Signing: keys and signed documents; releases and packages are in signing/release.h. The only room
 * that reads a key file. Sources: DSSE v1, minisign, C2SP signed-note. */
#ifndef SIGNING_SIGNING_H
#define SIGNING_SIGNING_H
#include "base/buf.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/json.h"

/* ---- keys ---- */

/* A publisher's identity: ECDSA P-256 and Ed25519, bound by a key document that both sign. Secret
 * halves live in guarded memory and are wiped by signing_identity_close. */
struct signing_identity;

struct signing_public {
	char name[64];      /* "" unless read from a key document */
	char p256_pem[320]; /* as `openssl pkey -pubout` prints it; one read may be P-384, P-521 */
	uint8_t ed25519[32];
	bool has_p256, has_ed25519;
	char p256_keyid[65], ed25519_keyid[65]; /* SHA-256 of canonical {keytype, keyval, scheme} */
	/* What a key document says beside its keys; each may be "" or 0. */
	char models[512];  /* what its owner means to sign, as signing_models_check has it */
	char log[512];     /* verifier key of the log that its releases stand in */
	char previous[65]; /* Ed25519 key id of the key that this one follows */
	int64_t expires_us;
	char document[8192]; /* its text, or "" */
};

/* Patterns of model names, separated by commas: ORG/MODEL, where either part may end in '*'. */
int signing_models_check(const char *models, struct err *e) MUST_USE;
/* Whether one of them, each well-formed, is that of a name. ASCII letters match in either case. */
bool signing_models_match(const char *models, const char *name);

/* Make an identity in DIR: DIR/NAME.key (0600) and DIR/NAME.pub (the key document, JSON). name:
 * [a-z0-9._-]{1,63}, not starting with a dot. passphrase NULL stores the secret unwrapped, else
 * under argon2id + XChaCha20-Poly1305. ERR_CONFLICT if it exists: no file is ever replaced. */
int signing_identity_create(const char *dir, const char *name, const char *passphrase,
			    const struct env *env, struct err *e) MUST_USE;
/* What to state in the key document of an identity that signs releases; NULL or 0: nothing. */
struct signing_terms {
	const char *models, *log;
	const struct signing_identity *previous; /* signs the document, too */
	int64_t expires_us;
};
int signing_publisher_create(const char *dir, const char *name, const char *passphrase,
			     const struct signing_terms *terms, const struct env *env,
			     struct err *e) MUST_USE;
/* ERR_NOTFOUND, ERR_INPUT (damaged, wrong or no passphrase), ERR_VERIFY (another's document). */
int signing_identity_open(struct signing_identity **out, const char *dir, const char *name,
			  const char *passphrase, struct err *e) MUST_USE;
const struct signing_public *signing_identity_public(const struct signing_identity *id);
void signing_identity_close(struct signing_identity *id);

/* A key document (both signatures are checked), or a public key in PEM, in OpenSSH's (ssh-ed25519)
 * or in minisign's form, by content.
 * ERR_UNSUPPORTED: the document is of a later version. */
int signing_public_read(const char *path, struct signing_public *out, struct err *e) MUST_USE;
/* The same, and the very bytes that were read, appended to text: to copy what was checked. */
int signing_public_read_text(const char *path, struct signing_public *out, struct buf *text,
			     struct err *e) MUST_USE;
/* The same of a key document's text. */
int signing_public_parse(const char *text, size_t len, struct signing_public *out,
			 struct err *e) MUST_USE;
/* Whether the document of `next` names `before` as the key that it follows, and is signed by it. */
bool signing_public_follows(const struct signing_public *next, const struct signing_public *before);

enum signing_form { SIGNING_PEM, SIGNING_SSH, SIGNING_MINISIGN, SIGNING_VKEY, SIGNING_DOCUMENT };
/* Appends the public key with final newline. name: of the vkey, comment of the ssh line, else NULL.
 * SIGNING_DOCUMENT needs a key that was read from a key document. */
int signing_public_export(const struct signing_public *pub, enum signing_form form,
			  const char *name, struct buf *out, struct err *e) MUST_USE;

/* Plain Ed25519 by the identity, and its check (0 or ERR_VERIFY). */
void signing_ed25519(const struct signing_identity *id, const void *bytes, size_t len,
		     uint8_t signature[64]);
int signing_ed25519_check(const uint8_t public_key[32], const void *bytes, size_t len,
			  const uint8_t signature[64]) MUST_USE;

/* A key for another room: HKDF-SHA256 of the secret under a purpose label. The caller wipes it. */
void signing_derive(const struct signing_identity *id, const char *purpose, uint8_t key[32]);

/* Native signed document: DSSE envelope with one Ed25519 signature over PAE(type, payload). */
int signing_dsse_seal(const struct signing_identity *id, const char *payload_type,
		      const void *payload, size_t len, struct buf *out, struct err *e) MUST_USE;
/* Payload bytes are appended only after `threshold` distinct keys of keys[0..count) verified. */
int signing_dsse_open(const void *envelope, size_t len, const char *payload_type,
		      const struct signing_public *keys, size_t count, int threshold,
		      struct buf *payload, struct err *e) MUST_USE;

/* minisign signature file (alg ED) of bytes, and its check (ED or Ed). */
int signing_minisign(const struct signing_identity *id, const void *bytes, size_t len,
		     const char *trusted_comment, struct buf *out, struct err *e) MUST_USE;
int signing_minisign_check(const uint8_t public_key[32], const void *bytes, size_t len,
			   const char *signature, size_t signature_len, struct err *e) MUST_USE;

#endif
