/* SHA-256 by libcrypto, and the one spelling of digests: "sha256:<64 lower-case hex>". */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest {
	uint8_t bytes[32];
};

#define DIGEST_TEXT_ROOM 72 /* "sha256:" + 64 + NUL */

/* A running hash; opaque, one per stream, not shared between threads. */
struct sha256;
int sha256_open(struct sha256 **out, struct err *e) MUST_USE;
void sha256_add(struct sha256 *h, const void *bytes, size_t len);
/* Final value; the hash starts anew. */
struct digest sha256_take(struct sha256 *h);
void sha256_close(struct sha256 *h);

struct digest digest_of(const void *bytes, size_t len);

/* Of texts one after the other. */
struct digest_part {
	const void *bytes;
	size_t len;
};
struct digest digest_parts(const struct digest_part *part, size_t count);

/* H(prefix || a || b): leaf and node hashes of RFC 6962 and 9162. b may be NULL with len 0. */
struct digest digest_tagged(uint8_t prefix, const void *a, size_t a_len, const void *b,
			    size_t b_len);

bool digest_equal(const struct digest *a, const struct digest *b);

void digest_hex(const struct digest *d, char out[65]);
void digest_text(const struct digest *d, char out[DIGEST_TEXT_ROOM]);
int digest_parse(const char *text, struct digest *out, struct err *e) MUST_USE; /* "sha256:..." */
int digest_parse_hex(const char *hex, struct digest *out,
		     struct err *e) MUST_USE; /* 64 hex digits */

/* The Merkle tree hash of RFC 6962 over leaf hashes that are fed in order, in O(log n) memory. */
struct merkle {
	struct digest stack[64];
	uint64_t count;
};
void merkle_add(struct merkle *m, const struct digest *leaf_hash);
struct digest merkle_root(const struct merkle *m); /* H("") for no leaf */

#endif
