/* DSSE v1 envelopes: the parts that native documents, key documents and OMS bundles share. */
#ifndef SIGNING_DSSE_H
#define SIGNING_DSSE_H

#include "base/buf.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DSSE_SIGNATURES_MAX 64

/* Pre-authentication encoding, appended. */
void signing_dsse_pae(struct buf *out, const char *payload_type, const void *payload, size_t len);

/* One signature to write. */
struct dsse_signature {
	const char *keyid;
	const void *bytes;
	size_t len;
};

/* Appends the envelope's JSON text, without newline. */
void signing_dsse_write(struct buf *out, const char *payload_type, const void *payload, size_t len,
			const struct dsse_signature *signature, size_t count);

/* An envelope as read: everything decoded, nothing verified. */
struct dsse {
	struct buf payload, pae;
	const char *payload_type; /* borrowed from the JSON value */
	struct buf signature[DSSE_SIGNATURES_MAX];
	size_t count;
};

/* Read from a JSON object. Exactly payload, payloadType, signatures[{sig, keyid}]; payloadType must
 * be the one given; keyid is a hint: absent, null or a string. url_safe: the URL alphabet is
 * accepted too, padded as well. */
int signing_dsse_read(const json_t *envelope, const char *payload_type, bool url_safe,
		      struct dsse *out, struct err *e) MUST_USE;
void signing_dsse_free(struct dsse *d);

#endif
