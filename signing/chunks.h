/* hallmark.chunks: the leaves of every large file's chunk tree. */
#ifndef SIGNING_CHUNKS_H
#define SIGNING_CHUNKS_H

#include "base/buf.h"
#include "signing/release.h"

/* Write the leaves of the files that have chunks. files sorted by name. */
void signing_chunks_write(const struct signing_file *file, size_t count, struct buf *out);

/* Read into leaf of the files that have chunks: all of them and no others, sizes, counts and roots
 * as stated there. ERR_INPUT otherwise; leaves read so far stay with their file. */
int signing_chunks_read(const void *bytes, size_t len, struct signing_file *file, size_t count,
			struct err *e) MUST_USE;

#endif
