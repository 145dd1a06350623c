/* Releases as they are signed: manifests, bundles, provenance, packages.
 *
 * A release is signed once, over its manifest (an in-toto Statement v1 that lists every file with
 * its SHA-256), as an OpenSSF Model Signing v1.0 bundle with ECDSA P-256, and beside it with
 * Ed25519 as minisign. Sources: OMS v1.0, in-toto Statement v1, SLSA provenance v1. */
#ifndef SIGNING_RELEASE_H
#define SIGNING_RELEASE_H
#include "base/source.h"
#include "signing/signing.h"

#define SIGNING_CHUNK_BYTES 4194304u
#define SIGNING_BUNDLE "model.sig"
#define SIGNING_CHUNKS "hallmark.chunks"
#define SIGNING_TENSORS "hallmark.tensors"
#define SIGNING_EXTRAS ".hallmark" /* where a package keeps what lies beside the model */

/* A named byte range that another room knows to be a tensor, for hallmark.tensors. */
struct signing_range {
	const char *name, *dtype, *file; /* borrowed; file is a relative name */
	const uint64_t *shape;           /* [rank], borrowed */
	int rank;
	uint64_t begin, bytes; /* absolute in the file */
};

/* One file in a manifest. Every file states its size; those of at least SIGNING_CHUNK_BYTES, but
 * hallmark.chunks itself, their chunk tree too. Other signers state the digest alone. */
struct signing_file {
	char *name;
	bool has_bytes, has_chunks, has_tensors;
	uint64_t bytes; /* 0 unless has_bytes; signing_manifest_make always sets it */
	struct digest digest, chunk_root, tensor_root;
	uint32_t chunk_count;
	uint64_t tensor_count;
	struct digest *leaf; /* [chunk_count], once hallmark.chunks is loaded or made; else NULL */
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
	struct signing_tensor *tensor; /* sorted by name, then by file */
	char **ignore;                 /* the statement's ignore_paths */
	size_t file_count, tensor_count, ignore_count;
	bool links;         /* allow_symlinks: some of the files are links, into a hub's cache */
	struct digest root; /* SHA-256 of the concatenated file digests in listed order */
	struct buf payload; /* exact bytes of the statement */
};
void signing_manifest_free(struct signing_manifest *m);

/* Fill leaf and tensor from hallmark.chunks and hallmark.tensors, where listed (ERR_VERIFY). */
int signing_manifest_load(struct signing_manifest *m, struct source *under, struct err *e) MUST_USE;

/* What a manifest is made of. */
struct signing_making {
	struct source *source; /* the model; of a folder its tree (source_open_tree) */
	const char *name;      /* of the model, in the statement */
	const char *staging;   /* the folder that gets hallmark.chunks and hallmark.tensors */
	const struct signing_range *range; /* [ranges], any order, disjoint */
	size_t ranges;
	bool quiet;
};
/* Hash every file in one read, make hallmark.chunks and hallmark.tensors, build the statement.
 * model.sig and these two, when there, are an earlier release's, not read; what is ignored at any
 * depth is recorded where found. ERR_INPUT: devices, names that collide after NFC and case folding;
 * ERR_UNSUPPORTED: links that are not followed; ERR_CONFLICT: a file changed meanwhile. */
int signing_manifest_make(struct signing_manifest *out, const struct signing_making *how,
			  struct err *e) MUST_USE;
/* Write its statement again, as of a folder of that name. */
int signing_manifest_rename(struct signing_manifest *m, const char *name, struct err *e) MUST_USE;
/* Length of the part of a file's name that keeps it out of every release (".git", ".cache",
 * "a/__pycache__"), or 0: version control, our own files beside the model, what tools leave. */
size_t signing_ignored(const char *name);
/* The root of its manifest, made or not, whatever the files are called; nothing is written. */
int signing_root_of(struct source *s, const struct signing_range *range, size_t ranges,
		    struct digest *root, struct err *e) MUST_USE;

/* The OMS bundle text over m->payload. */
int signing_bundle_make(const struct signing_identity *id, const struct signing_manifest *m,
			struct buf *out, struct err *e) MUST_USE;
/* Verify a bundle against an ECDSA key (P-256, P-384, P-521) and read its manifest strictly:
 * nothing is hashed yet. key NULL: signature unchecked - for showing, never for trusting. */
int signing_bundle_open(const void *bundle, size_t len, const struct signing_public *key,
			struct signing_manifest *m, struct err *e) MUST_USE;

/* Whether a bundle says that this key made it, or does not say which did: no proof of anything. */
bool signing_bundle_names(const void *bundle, size_t len, const struct signing_public *key);

/* ---- what a release is called ---- */

struct signing_parent {
	const char *name, *version, *relation, *license; /* version and license may be NULL */
	struct digest root;
};
/* What is stated of a release beside its files; borrowed. */
struct signing_release {
	const char *model, *version, *kind, *license;
	const struct signing_parent *parent; /* [parents] */
	size_t parents;
	int64_t created_us;
};
/* SLSA v1 provenance in a DSSE envelope (urn:hallmark:build:KIND:v1); parents bind lineage. */
int signing_provenance(const struct signing_identity *id, const struct signing_manifest *m,
		       const struct signing_release *r, struct buf *out, struct err *e) MUST_USE;
struct signing_named;
/* Check one that this key must have signed: its subjects are the files of m, it was built of m's
 * manifest, and, unless named->model is "", is of that model and version. ERR_VERIFY: another
 * signer, release or name; ERR_UNSUPPORTED: of a later version. */
int signing_provenance_check(const void *text, size_t len, const struct signing_public *key,
			     const struct signing_manifest *m, const struct signing_named *named,
			     struct err *e) MUST_USE;

/* The release statement, release.json: model and version bound to root and manifest (naming.c). */
int signing_release_make(const struct signing_identity *id, const struct signing_manifest *m,
			 const struct signing_release *r, struct buf *out, struct err *e) MUST_USE;
struct signing_named {
	char model[256], version[64], publisher[64], kind[32], license[256], created[32];
	struct digest root;
};
/* Read one that this key must have signed, of the release that m is. ERR_VERIFY: another signer,
 * release, or contradictory; ERR_UNSUPPORTED: of a later version. out is empty on failure. */
int signing_release_open(const void *text, size_t len, const struct signing_public *key,
			 const struct signing_manifest *m, struct signing_named *out,
			 struct err *e) MUST_USE;

struct signing_difference {
	char *path, *expected, *found;
	char *tensor;   /* NULL: outside any, or hallmark.tensors is unusable */
	bool unchecked; /* behind a link that is not followed; found says why */
};
struct signing_report {
	bool ok;
	struct signing_difference *difference;
	size_t count, unchecked; /* how many of count were not checked */
	uint64_t bytes; /* hashed */
};
void signing_report_free(struct signing_report *r);

enum { SIGNING_IGNORE_UNSIGNED = 1, SIGNING_QUIET = 2 };
/* Hash every listed file and compare both ways: missing, extra (unless SIGNING_IGNORE_UNSIGNED),
 * changed (the tensor named). A folder is checked as it stands (source_open_tree). 0 with r->ok
 * false: verification failed; an error: could not check. */
int signing_manifest_check(struct signing_report *r, const struct signing_manifest *m,
			   struct source *under, unsigned flags, struct err *e) MUST_USE;

/* A source that hands out only bytes that match the manifest: a file below 4 MiB is read whole and
 * compared, a larger one chunk by chunk as it is read (each hashed once while reading forward). m
 * and under are borrowed and must outlive it. ERR_VERIFY from read names file and chunk. */
int signing_source_open(struct source **out, const struct signing_manifest *m, struct source *under,
			struct err *e) MUST_USE;

/* ---- packages: one .tar; opened with source_open_package(.., SIGNING_EXTRAS, ..) ---- */

struct signing_package {
	const struct signing_manifest *manifest;
	struct source *model;     /* the listed files and model.sig */
	struct source *beside;    /* NULL where there are no extras */
	const char *const *extra; /* [extras] names in beside, packed under ".hallmark/" */
	size_t extras;
};
/* One ustar/pax file, sorted, mode 0644, time 0: equal content, equal bytes. ERR_VERIFY: a file is
 * not what the manifest states, or model.sig signs another. path appears only when whole. */
int signing_package_write(const char *path, const struct signing_package *p,
			  struct err *e) MUST_USE;

#endif
