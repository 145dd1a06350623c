/* Signing: keys, signed documents, manifests and packages. The only room that reads a key file.
 *
 * A release is signed once, over its manifest (an in-toto Statement v1 that lists every file with its
 * SHA-256), in the form of an OpenSSF Model Signing v1.0 bundle with ECDSA P-256, and beside it with
 * Ed25519 as minisign. Sources: OMS v1.0, DSSE v1, in-toto Statement v1, minisign, C2SP signed-note. */
#ifndef SIGNING_SIGNING_H
#define SIGNING_SIGNING_H

#include "base/buf.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/json.h"
#include "base/source.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- keys ------------------------------------------------------------------------------------- */

/* A publisher's identity: ECDSA P-256 (libcrypto) and Ed25519 (libsodium), made together and bound by a key
 * document that both sign. Secret halves live in guarded memory and are wiped by signing_identity_close. */
struct signing_identity;

/* The public half of an identity. pem is the SubjectPublicKeyInfo text as `openssl pkey -pubout` prints
 * it; a key that was read may also be P-384 or P-521. */
struct signing_public {
	char name[64]; /* "" unless read from a key document */
	char p256_pem[320];
	uint8_t ed25519[32];
	bool has_p256, has_ed25519;
	char p256_keyid[65], ed25519_keyid[65]; /* SHA-256 of canonical JSON {keytype, keyval, scheme} */
	char document[2560];                    /* the key document's text, or "" */
};

/* Make an identity in DIR: DIR/NAME.key (0600), DIR/NAME.pub (the key document, JSON). name:
 * [a-z0-9._-]{1,63}, not starting with a dot. passphrase NULL stores the secret unwrapped; else argon2id +
 * XChaCha20-Poly1305. ERR_CONFLICT if it exists. */
int signing_identity_create(const char *dir, const char *name, const char *passphrase, const struct env *env,
                            struct err *e) MUST_USE;
/* ERR_NOTFOUND, ERR_INPUT (damaged), ERR_VERIFY (wrong passphrase or a key document that does not match). */
int signing_identity_open(struct signing_identity **out, const char *dir, const char *name,
                          const char *passphrase, struct err *e) MUST_USE;
const struct signing_public *signing_identity_public(const struct signing_identity *id);
void signing_identity_close(struct signing_identity *id);

/* Read and check a key document (both signatures), a PEM public key, or a minisign public key, by content. */
int signing_public_read(const char *path, struct signing_public *out, struct err *e) MUST_USE;

enum signing_form { SIGNING_PEM, SIGNING_SSH, SIGNING_MINISIGN, SIGNING_VKEY, SIGNING_DOCUMENT };
/* Appends the public key in that form, with final newline. name is the vkey name for SIGNING_VKEY and the
 * comment of SIGNING_SSH; it may be NULL elsewhere. SIGNING_DOCUMENT needs a key that was read from a key
 * document. */
int signing_public_export(const struct signing_public *pub, enum signing_form form, const char *name,
                          struct buf *out, struct err *e) MUST_USE;

/* Plain Ed25519 by the identity, and its check. */
void signing_ed25519(const struct signing_identity *id, const void *bytes, size_t len, uint8_t signature[64]);
int signing_ed25519_check(const uint8_t public_key[32], const void *bytes, size_t len,
                          const uint8_t signature[64]) MUST_USE; /* 0 or ERR_VERIFY */

/* A 32-byte key for another room's use (vault's key-encryption key), derived by HKDF-SHA256 from the
 * identity's secret under a purpose label. The caller wipes it (sodium_memzero). */
void signing_derive(const struct signing_identity *id, const char *purpose, uint8_t key[32]);

/* ---- DSSE ------------------------------------------------------------------------------------- */

/* Native signed document: envelope with one Ed25519 signature over PAE(type, payload). */
int signing_dsse_seal(const struct signing_identity *id, const char *payload_type, const void *payload,
                      size_t len, struct buf *out, struct err *e) MUST_USE;
/* Payload bytes are appended only after `threshold` distinct keys of keys[0..count) verified. */
int signing_dsse_open(const void *envelope, size_t len, const char *payload_type,
                      const struct signing_public *keys,
                      size_t count, int threshold, struct buf *payload, struct err *e) MUST_USE;

/* ---- releases ---------------------------------------------------------------------------------- */

#define SIGNING_CHUNK_BYTES 4194304u
#define SIGNING_BUNDLE "model.sig"
#define SIGNING_CHUNKS "hallmark.chunks"
#define SIGNING_TENSORS "hallmark.tensors"
#define SIGNING_EXTRAS ".hallmark" /* where a package keeps what lies beside the model */

/* A named byte range that another room knows to be a tensor; digests of its bytes go into
 * hallmark.tensors. */
struct signing_range {
	const char *name, *dtype;   /* borrowed */
	const uint64_t *shape;      /* [rank], borrowed */
	int rank;
	const char *file;           /* relative name, borrowed */
	uint64_t begin, bytes;      /* absolute in the file */
};

/* What a release manifest states for one file. Files of at least SIGNING_CHUNK_BYTES state a size and a
 * chunk tree (but hallmark.chunks itself has no tree); smaller ones, and those of other signers, only
 * their digest. */
struct signing_file {
	char *name;
	bool has_bytes, has_chunks, has_tensors;
	uint64_t bytes; /* 0 unless has_bytes; signing_manifest_make always sets it */
	struct digest digest;
	struct digest chunk_root;
	uint32_t chunk_count;
	struct digest *leaf; /* [chunk_count], once hallmark.chunks is loaded or made; else NULL */
	struct digest tensor_root;
	uint64_t tensor_count;
};

struct signing_tensor {
	char *name, *dtype, *file;
	uint64_t shape[8];
	int rank;
	uint64_t begin, bytes;
	struct digest digest;
};

/* A release's content as signed or as read back. Files sorted by name bytes (code point order). */
struct signing_manifest {
	char *model_name; /* basename in the statement's subject */
	struct signing_file *file;
	size_t file_count;
	struct signing_tensor *tensor; /* sorted by name */
	size_t tensor_count;
	char **ignore; /* the statement's ignore_paths */
	size_t ignore_count;
	struct digest root;   /* SHA-256 of the concatenated file digests in listed order */
	struct buf payload;   /* exact bytes of the statement */
};
void signing_manifest_free(struct signing_manifest *m);

/* Fill leaf and tensor of an opened manifest from dir's hallmark.chunks and hallmark.tensors, after
 * comparing them with their signed digests and trees (ERR_VERIFY). A release that lists neither is left as
 * it is. */
int signing_manifest_load(struct signing_manifest *m, const char *dir, struct err *e) MUST_USE;

/* Hash a folder in one read per file: file digests, chunk trees, tensor digests; write
 * STAGING/hallmark.chunks and STAGING/hallmark.tensors; build the statement. ranges may be in any order,
 * must not overlap. The files model.sig, hallmark.chunks and hallmark.tensors already in the folder are
 * taken as remains of an earlier release and not read; .git, .gitattributes, .github and .gitignore at its
 * top are ignored. Links, devices and names that collide after NFC and case folding are ERR_INPUT. quiet:
 * no progress bar. */
int signing_manifest_make(const char *dir, const char *staging, const struct signing_range *range,
                          size_t ranges,
                          bool quiet, struct signing_manifest *out, struct err *e) MUST_USE;

/* The OMS bundle text over m->payload. */
int signing_bundle_make(const struct signing_identity *id, const struct signing_manifest *m, struct buf *out,
                        struct err *e) MUST_USE;

/* minisign signature file (alg ED) of bytes. */
int signing_minisign(const struct signing_identity *id, const void *bytes, size_t len,
                     const char *trusted_comment,
                     struct buf *out, struct err *e) MUST_USE;
int signing_minisign_check(const uint8_t public_key[32], const void *bytes, size_t len,
                           const char *signature_text,
                           size_t signature_len, struct err *e) MUST_USE;

/* SLSA v1 provenance statement in a DSSE envelope; parents bind lineage (urn:hallmark:build:KIND:v1). */
struct signing_parent {
	const char *name, *relation, *license; /* borrowed; license may be NULL */
	struct digest root;
};
int signing_provenance(const struct signing_identity *id, const struct signing_manifest *m, const char *kind,
                       const struct signing_parent *parent, size_t parents, int64_t time_us, struct buf *out,
                       struct err *e) MUST_USE;

/* Verify a bundle against a P-256 (or P-384, P-521 PEM) key and read its manifest strictly: nothing is
 * hashed yet. key NULL: structure only (m is filled, signature unchecked) - for showing, never for
 * trusting. */
int signing_bundle_open(const void *bundle, size_t len, const struct signing_public *key,
                        struct signing_manifest *m,
                        struct err *e) MUST_USE;

/* One difference between manifest and folder. tensor is NULL when the change lies outside any tensor or
 * hallmark.tensors is unusable. */
struct signing_difference {
	char *path, *tensor, *expected, *found;
};
struct signing_report {
	bool ok;
	struct signing_difference *difference;
	size_t count;
	uint64_t bytes; /* hashed */
};
void signing_report_free(struct signing_report *r);

/* Hash every listed file of dir and compare both ways: missing, extra (unless ignore_unsigned), changed
 * (with the tensor named). 0 with r->ok false is a failed verification; an error means "could not check". */
int signing_manifest_check(const struct signing_manifest *m, const char *dir, bool ignore_unsigned,
                           bool quiet,
                           struct signing_report *r, struct err *e) MUST_USE;

/* A source over dir that hands out only bytes that match the manifest: a file below 4 MiB is read whole and
 * compared, a larger one chunk by chunk as it is read (each chunk hashed once while reading forward). m is
 * borrowed and must outlive the source. ERR_VERIFY from read names file and chunk. */
int signing_source_open(struct source **out, const struct signing_manifest *m, const char *dir,
                        struct err *e) MUST_USE;

/* ---- packages: one .tar ------------------------------------------------------------------------- */

/* Write dir's listed files and model.sig, and extra_dir (the <model>.hallmark folder; may be NULL) under
 * ".hallmark/", into one ustar/pax file: sorted, mode 0644, mtime 0, so that equal content gives equal
 * bytes. A listed file whose bytes do not match the manifest is ERR_VERIFY, and no package appears. */
int signing_package_write(const char *path, const char *dir, const struct signing_manifest *m,
                          const char *extra_dir,
                          struct err *e) MUST_USE;
/* Unpack into the new folder out_dir (ERR_CONFLICT if it exists; removed again on failure). Refused by
 * name: links, devices, FIFOs, absolute or ".." names, duplicates (also after NFC and case folding),
 * sparse entries, more than bytes_max in total, compression. What lies in out_dir/.hallmark is for the
 * caller to move beside the model before it verifies the folder. */
int signing_package_read(const char *path, const char *out_dir, uint64_t bytes_max, struct err *e) MUST_USE;
/* The same from memory, discarding content: for fuzzing and listing. */
int signing_package_scan(const void *bytes, size_t len, uint64_t bytes_max, struct err *e) MUST_USE;

#endif
