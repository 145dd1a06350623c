/* One read of a file yields its digest, the leaves of its chunk tree and the digests of its named
 * ranges. */
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
	struct source *source;
	const char *name;
	uint64_t bytes; /* the file's size */
	bool want_leaves;
	struct hash_range *range; /* [ranges], sorted by begin, disjoint, inside the file */
	size_t ranges;
	struct progress *progress; /* may be NULL */

	struct digest digest; /* out */
	struct digest *leaf;  /* out, owned by the caller; [leaves] if want_leaves */
	uint32_t leaves;
};

/* ERR_CONFLICT if the file changed while it was read. */
int hash_file(struct hash_job *job, struct err *e) MUST_USE;

/* Leaf hashes of bytes in memory, [chunks of len]; NULL when memory is exhausted. */
struct digest *hash_leaves(const void *bytes, size_t len, uint32_t *count);

/* RFC 6962 root of leaves. */
struct digest hash_tree(const struct digest *leaf, size_t count);

/* Chunks of a file of that size, rounded up. */
uint64_t hash_chunks(uint64_t bytes);

#endif
