/* Key documents and key ids, shared between the identity files and the readers of public keys. */
#ifndef SIGNING_KEYS_H
#define SIGNING_KEYS_H

#include "signing/signing.h"

#define KEYS_ED25519_SCHEME "ed25519"
#define KEYS_DOCUMENT_BYTES 16384 /* cap when reading; ours are about 1,500 */

/* Fill name-independent facts: the key ids of those halves that are present. */
int signing_keys_fill_ids(struct signing_public *pub, struct err *e) MUST_USE;

/* [a-z0-9._-]{1,63}, not starting with a dot. */
int signing_keys_check_name(const char *name, struct err *e) MUST_USE;

/* Write the key document of pub into pub->document, signed with both secrets (P-256 scalar, Ed25519
 * 64 bytes), and by the identity before it where there is one (NULL: none). */
struct keys_document {
	const uint8_t *p256, *ed25519;
	const struct signing_identity *previous;
	int64_t time_us;
};
int signing_keys_document_make(struct signing_public *pub, const struct keys_document *how,
			       struct err *e) MUST_USE;

/* Check both signatures and fill pub. */
int signing_keys_document_read(const char *text, size_t len, struct signing_public *pub,
			       struct err *e) MUST_USE;

/* Appends an ECDSA P-256 signature by the identity. */
int signing_keys_ecdsa_sign(const struct signing_identity *id, const void *bytes, size_t len,
			    struct buf *out, struct err *e) MUST_USE;

/* The identity's key number in minisign files: the first 8 bytes of its Ed25519 key id. */
void signing_keys_number(const struct signing_public *pub, uint8_t out[8]);

/* libsodium is ready after this; cannot fail but by aborting. */
void signing_keys_start(void);

#endif
