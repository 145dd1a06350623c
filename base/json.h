/* JSON: jansson behind a bounded reader, and two writers. Values are jansson's (<jansson.h>). */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/digest.h"

#include <jansson.h>
#include <stdint.h>

/* Read one document. Refused: over bytes_max or depth_max, duplicate keys (after unescaping), a
 * byte-order mark, trailing bytes, ill-formed UTF-8, lone surrogates, NUL, integers beyond 64 bits,
 * reals beyond double. The sentence names line and column. *out is a new reference. Key order is
 * kept. */
int json_read(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
	      struct err *e) MUST_USE;

/* The same for what a writer below made: strings may hold NUL, as what a model says may. */
int json_read_written(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
		      struct err *e) MUST_USE;

/* Canonical form of RFC 8785, appended to out: keys by UTF-16 units, ECMAScript numbers, no spaces.
 * Integers beyond 2^53 are ERR_INPUT. */
int json_write_canonical(const json_t *value, struct buf *out, struct err *e) MUST_USE;

/* One line, insertion order; indent > 0 gives that many spaces a level. */
int json_write(const json_t *value, int indent, struct buf *out, struct err *e) MUST_USE;

/* Typed members of an object; the sentence names the key and what was found. `what` names the
 * document. *out is borrowed from o. */
int json_get_string(const json_t *o, const char *key, const char **out, const char *what,
		    struct err *e) MUST_USE;
int json_get_u64(const json_t *o, const char *key, uint64_t *out, const char *what,
		 struct err *e) MUST_USE;
int json_get_object(const json_t *o, const char *key, json_t **out, const char *what,
		    struct err *e) MUST_USE;
int json_get_array(const json_t *o, const char *key, json_t **out, const char *what,
		   struct err *e) MUST_USE;

/* Refuse any key of o that is not in the NULL-terminated list. */
int json_only_keys(const json_t *o, const char *const *keys, const char *what,
		   struct err *e) MUST_USE;

/* ---- values made ---- */

/* jansson's makers return NULL without memory: turn that into ERR_NOMEM. */
int json_ok(const json_t *v, struct err *e) MUST_USE;
/* "sha256:..." (new reference). */
json_t *json_digest(const struct digest *d);
/* Text from outside (a path, a card): what is not UTF-8 becomes U+FFFD (new reference). */
json_t *json_text_lossy(const char *text);

#endif
