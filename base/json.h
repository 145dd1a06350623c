/* JSON: jansson behind a bounded reader, and two writers. Values are jansson's (<jansson.h>). */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/digest.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Read one document. Refused: over bytes_max or depth_max, duplicate keys (after unescaping), a
 * byte-order mark, trailing bytes, ill-formed UTF-8, lone surrogates, NUL, integers beyond 64 bits,
 * reals beyond double. The sentence names line and column. *out is a new reference. Key order is
 * kept. */
int json_read(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
	      struct err *e) MUST_USE;

/* How numbers are read. Everything else is as above in each of them. */
enum json_dialect {
	JSON_NARROW, /* as json_read: logs, bundles, keys, statements, what is signed */
	JSON_WIDE,   /* an integer beyond 64 bits is the nearest double: requests, schemas */
	/* The same, and NaN, Infinity, -Infinity and numbers beyond double are the *strings*
	 * "NaN", "Infinity", "-Infinity": files of a model, as Python writes them. A field that is
	 * read as a number refuses them by name; one that nobody reads does not matter. */
	JSON_PYTHON,
};
int json_read_as(json_t **out, const void *text, size_t len, size_t bytes_max, int depth_max,
		 enum json_dialect dialect, struct err *e) MUST_USE;

/* As json_read for what a writer below made: strings may hold NUL, as what a model says may. */
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

/* jansson's constructors return NULL when out of memory: turn that into ERR_NOMEM. */
int json_ok(const json_t *v, struct err *e) MUST_USE;
/* "sha256:..." (new reference). */
json_t *json_digest(const struct digest *d);
/* What json_stringn makes, in a fraction of the time (new reference). NULL: not UTF-8, or no
 * memory. */
json_t *json_from_text(const char *text, size_t len);
/* Text from outside (a path, a card): what is not UTF-8 becomes U+FFFD (new reference). */
json_t *json_text_lossy(const char *text);

/* ---- documents made, member by member ----
 *
 * As with struct buf the first failure sticks: every call
 * may be made without a look at the last, and *_done says once whether all of them held.
 *
 *	struct obj o = { 0 };
 *	obj_text(&o, "name", name);
 *	obj_count(&o, "bytes", bytes);
 *	return obj_done(&o, out, e);
 *
 * Not json_pack: no compiler checks its format against fourteen pairs. Not json_object_set_new: a
 * dropped result is a document that is silently short. */
struct arr;

/* An object; zero-initialise. Members keep the order in which they are added. */
struct obj {
	json_t *json;
	int failed;       /* 0, ERR_NOMEM or ERR_INPUT */
	const char *what; /* the key of the member that failed */
};

/* Keys are literals and are borrowed until *_done; one that is there already is replaced. */
void obj_text(struct obj *o, const char *key, const char *text); /* NULL gives null; UTF-8 */
void obj_bytes(struct obj *o, const char *key, const char *text, size_t len); /* may hold NUL */
void obj_int(struct obj *o, const char *key, int64_t v);
void obj_count(struct obj *o, const char *key, uint64_t v); /* at most INT64_MAX */
void obj_real(struct obj *o, const char *key, double v);    /* finite */
/* A measured number, with the digits that reports have (base/decimal.h); null if not finite. */
void obj_measured(struct obj *o, const char *key, double v);
/* As decimal text: for seeds, which use all 64 bits, where JSON's numbers hold 53. */
void obj_u64_text(struct obj *o, const char *key, uint64_t v);
void obj_bool(struct obj *o, const char *key, bool v);
void obj_null(struct obj *o, const char *key);
/* Takes the reference; NULL fails as a maker of jansson's that had no memory. */
void obj_add(struct obj *o, const char *key, json_t *value);
/* Adds a reference; NULL fails. */
void obj_share(struct obj *o, const char *key, const json_t *value);
/* Takes what the inner builder made, its failure too, and leaves it empty. */
void obj_object(struct obj *o, const char *key, struct obj *inner);
void obj_array(struct obj *o, const char *key, struct arr *inner);

/* The object (a new reference; *out is NULL on failure), o being empty again. ERR_NOMEM, or
 * ERR_INPUT, which names the key, for text that is not UTF-8 or a number that JSON cannot write. */
int obj_done(struct obj *o, json_t **out, struct err *e) MUST_USE;
/* The object for obj_add or arr_add, whose check covers it; NULL on failure. */
json_t *obj_take(struct obj *o);
/* Leaves o empty, whatever was added. */
void obj_free(struct obj *o);

/* An array, in the same manner; zero-initialise. */
struct arr {
	json_t *json;
	int failed;
};

void arr_text(struct arr *a, const char *text);
void arr_count(struct arr *a, uint64_t v);
void arr_add(struct arr *a, json_t *value);
void arr_share(struct arr *a, const json_t *value);
void arr_object(struct arr *a, struct obj *inner);
int arr_done(struct arr *a, json_t **out, struct err *e) MUST_USE;
json_t *arr_take(struct arr *a);
void arr_free(struct arr *a);

#endif
