/* Regular expressions of tokenizer files: written for Oniguruma (Ruby syntax), matched by PCRE2.
 * Private to tokenizer/. */
#ifndef TOKENIZER_ONIG_H
#define TOKENIZER_ONIG_H

#include "base/arena.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* A compiled pattern; read-only, so several threads may match it at once, each with its own
 * scratch. */
struct onig;
int onig_open(struct onig **out, const char *pattern, size_t len, struct err *e) MUST_USE;
/* The same for a literal string. */
int onig_open_literal(struct onig **out, const char *text, size_t len, struct err *e) MUST_USE;
void onig_close(struct onig *r);

/* Append the PCRE2 spelling of the pattern. ERR_UNSUPPORTED names a construct that has another
 * meaning there. */
int onig_translate(const char *pattern, size_t len, struct buf *out, struct err *e) MUST_USE;

/* onig_sets.c: what Oniguruma's names stand for, to PCRE2. inside: the members for a class, NULL
 * where the escape is no set; a leading ^ means all but these. outside: the escape by itself. */
struct onig_escape {
	char name;
	const char *inside, *outside;
};
const struct onig_escape *onig_escape_of(char name);         /* or NULL */
const char *onig_posix_set(const char *name, size_t len);    /* of [:name:], or NULL */
const char *onig_property_set(const char *name, size_t len); /* of \p{name}, or NULL */

/* A script's name to PCRE2, which then spells \p{NAME} as "may occur in": the script itself is
 * \p{sc:NAME}. */
int onig_is_script(const char *name, size_t len, struct err *e) MUST_USE; /* 1, 0 or ERR_NOMEM */

/* Match data and stack of one thread. Zero-initialise; onig_scratch_free. */
struct onig_scratch {
	void *data, *context, *stack;
};
void onig_scratch_free(struct onig_scratch *s);

/* Where a scan of one text stands; zero-initialise. */
struct onig_scan {
	size_t from;
	size_t last; /* end of the last match */
	bool any;
};
/* The next match in text[0..len) (valid UTF-8): 1 and its range, or 0. A match may be empty, but
 * not where the last one ended; an empty text has none. ERR_INPUT when the pattern needs more
 * steps than allowed. */
int onig_next(const struct onig *r, struct onig_scratch *s, const char *text, size_t len,
	      struct onig_scan *at, size_t *begin, size_t *end, struct err *e) MUST_USE;

#endif
