/* Canonical text (RFC 8785) without values, for what is written often: each call appends one
 * member, with the comma that stands before it; without a key an item of an array, or a document at
 * the buffer's begin or behind a NUL. That the keys of an object come in the order of RFC 8785 is
 * the caller's business. What JSON cannot hold (text that is not UTF-8, a number beyond 2^53 or not
 * finite) fails the buffer. */
#ifndef BASE_CANONICAL_H
#define BASE_CANONICAL_H

#include "base/json.h"

void json_put_open(struct buf *out, const char *key, char bracket); /* '{' or '[' */
void json_put_close(struct buf *out, char bracket);                 /* '}' or ']' */
void json_put_bytes(struct buf *out, const char *key, const char *text, size_t len);
void json_put_text(struct buf *out, const char *key, const char *text); /* NULL gives null */
void json_put_digest(struct buf *out, const char *key, const struct digest *d); /* the same */
void json_put_int(struct buf *out, const char *key, int64_t v);
void json_put_real(struct buf *out, const char *key, double v);
void json_put_bool(struct buf *out, const char *key, bool v);
void json_put_null(struct buf *out, const char *key);
void json_put_value(struct buf *out, const char *key, const json_t *value); /* NULL fails */

#endif
