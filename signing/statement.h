/* The signed statement: in-toto Statement v1 with the OMS v1.0 predicate. */
#ifndef SIGNING_STATEMENT_H
#define SIGNING_STATEMENT_H

#include "signing/release.h"

#define STATEMENT_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"

/* Add in-toto's "digest":{"sha256":HEX}. */
void signing_statement_digest(struct obj *o, const struct digest *d);

/* What a statement of ours leaves out, at the top of the folder. The first few, version control and
 * the signature itself, are passed over by every check, whoever signed; the others, a downloader's
 * notes and what lies beside a model, only where the signed ignore_paths name them. */
#define STATEMENT_IGNORED_ALWAYS 5
#define STATEMENT_IGNORED 7
extern const char *const signing_statement_ignored[STATEMENT_IGNORED];

/* Set m->root from the files, in their order. */
int signing_statement_root(struct signing_manifest *m, struct err *e) MUST_USE;

/* Write m->payload from the rest of m, whose files are sorted, and set m->root. */
int signing_statement_write(struct signing_manifest *m, struct err *e) MUST_USE;

/* Read payload strictly into m (which starts empty). The payload is copied, files are sorted. */
int signing_statement_read(const void *payload, size_t len, struct signing_manifest *m,
			   struct err *e) MUST_USE;

/* Position of a file by name, or -1. */
ptrdiff_t signing_statement_find(const struct signing_manifest *m, const char *name);

#endif
