/* ECDSA by libcrypto: signing with P-256, checking with P-256, P-384 and P-521, hash by curve. */
#ifndef SIGNING_ECDSA_H
#define SIGNING_ECDSA_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ECDSA_SECRET_BYTES 32
#define ECDSA_PEM_ROOM 320 /* P-521 needs 268 */

/* Whether a secret is a scalar of P-256: 1 <= n < order, big-endian. */
bool signing_ecdsa_secret_valid(const uint8_t secret[ECDSA_SECRET_BYTES]);

/* SubjectPublicKeyInfo PEM of the secret's public key. */
int signing_ecdsa_public(const uint8_t secret[ECDSA_SECRET_BYTES], char pem[ECDSA_PEM_ROOM],
			 struct err *e) MUST_USE;

/* Appends the ASN.1 DER signature with SHA-256. */
int signing_ecdsa_sign(const uint8_t secret[ECDSA_SECRET_BYTES], const void *bytes, size_t len,
		       struct buf *out, struct err *e) MUST_USE;

/* ERR_VERIFY if the signature is not one by this key. Strict DER; high-S is accepted. */
int signing_ecdsa_check(const char *pem, const void *bytes, size_t len, const void *signature,
			size_t signature_len, struct err *e) MUST_USE;

/* A public key PEM, written again in its one spelling. scheme is "ecdsa-sha2-nistp256", ..384 or
 * ..521 (static), or NULL for an Ed25519 key, whose bytes go to ed25519 then. Other kinds are
 * ERR_UNSUPPORTED by name. */
int signing_ecdsa_read(const char *text, size_t len, char pem[ECDSA_PEM_ROOM], const char **scheme,
		       uint8_t ed25519[32], struct err *e) MUST_USE;

/* As signing_ecdsa_read, for a PEM known to be ECDSA: only the scheme. */
int signing_ecdsa_scheme(const char *pem, const char **scheme, struct err *e) MUST_USE;

#endif
