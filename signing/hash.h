/* One read of a file yields its digest, the leaves of its chunk tree and the digests of its named
 * ranges; several files are read at once. */
#ifndef SIGNING_HASH_H
#define SIGNING_HASH_H

#include "base/digest.h"
#include "base/progress.h"
#include "base/source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_range {
	uint64_t begin, bytes;
	struct digest digest; /* out */
};

struct hash_job {
	const char *name;
	uint64_t bytes; /* the file's size */
	bool want_leaves;
	struct hash_range *range; /* [ranges], sorted by begin, disjoint, inside the file; malloc'd,
				     freed by signing_hash_files */
	size_t ranges;

	struct digest digest; /* out */
	struct digest *leaf; /* out, [leaves] if want_leaves; signing_hash_files frees what is left */
	uint32_t leaves;
};

struct hash_run {
	struct source *source;
	size_t count; /* files */
	/* Say what is wanted of file i; *job is zero. Positive: nothing. Asked in order. */
	int (*begin)(void *ctx, size_t i, struct hash_job *job, struct err *e);
	/* Take what came of it: in the order in which they end. Both are called by one thread. */
	int (*end)(void *ctx, size_t i, struct hash_job *job, struct err *e);
	void *ctx;
	struct progress *progress; /* may be NULL */
};

/* Work off all files. Memory: at most 16 files at once, two chunks of each. ERR_CONFLICT if a file
 * changed while it was read; otherwise the first failure of a read or a callback. */
int signing_hash_files(const struct hash_run *run, struct err *e) MUST_USE;

/* One file, as job says; job->range stays the caller's, job->leaf becomes it. */
int signing_hash_file(struct source *s, struct hash_job *job, struct err *e) MUST_USE;

/* Leaf hashes of bytes in memory, [chunks of len]; NULL when memory is exhausted. */
struct digest *signing_hash_leaves(const void *bytes, size_t len, uint32_t *count);

/* RFC 6962 root of leaves. */
struct digest signing_hash_tree(const struct digest *leaf, size_t count);

/* Chunks of a file of that size, rounded up. */
uint64_t signing_hash_chunks(uint64_t bytes);

#endif
