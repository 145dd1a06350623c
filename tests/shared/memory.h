/* A source in memory, and safetensors files made by hand. */
#ifndef TESTS_SHARED_MEMORY_H
#define TESTS_SHARED_MEMORY_H

#include "base/buf.h"
#include "base/source.h"

#define MEMORY_FILES 16

struct memory_source {
	struct source source;
	struct { const char *name; struct buf bytes; } file[MEMORY_FILES]; /* in byte order of names */
	size_t count;
};

void memory_init(struct memory_source *m);
struct buf *memory_add(struct memory_source *m, const char *name); /* names in ascending order */
void memory_free(struct memory_source *m);
/* Copy a real folder's files into m. */
void memory_load(struct memory_source *m, const char *dir);

/* u64 length, header, data bytes. */
void blob_add(struct buf *out, const char *header, const void *data, size_t len);

#endif
