/* Reading hallmark.chunks and hallmark.tensors of a release, after comparison with their signed
 * digests. */
#ifndef SIGNING_LOAD_H
#define SIGNING_LOAD_H

#include "signing/release.h"

/* Exactly len bytes of a file whose size was asked before: ERR_VERIFY if it has become shorter. */
int signing_read(struct source *under, const char *name, uint64_t offset, void *out, size_t len,
		 struct err *e) MUST_USE;

/* Fill the leaves (tensors) of m from what lies there. ERR_NOTFOUND, ERR_VERIFY, ERR_INPUT. Nothing
 * listed: 0, unfilled. */
int signing_manifest_load_chunks(struct signing_manifest *m, struct source *under,
				 struct err *e) MUST_USE;
int signing_manifest_load_tensors(struct signing_manifest *m, struct source *under,
				  struct err *e) MUST_USE;

/* A copy to load into when m itself is borrowed: the file names are those of m, which must outlive
 * it. */
int signing_manifest_shadow(struct signing_manifest *out, const struct signing_manifest *m,
			    struct err *e) MUST_USE;
void signing_manifest_shadow_free(struct signing_manifest *shadow);

#endif
