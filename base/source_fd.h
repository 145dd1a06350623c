/* Private: what sources over file descriptors share. */
#ifndef BASE_SOURCE_FD_H
#define BASE_SOURCE_FD_H

#include "base/source.h"

#include <sys/stat.h>

struct source_state source_state_of(const struct stat *st);

/* Exactly len bytes of fd from offset; name is for the sentence. */
int source_pread(const struct source *s, const char *name, int fd, uint64_t offset, void *out,
		 size_t len, struct err *e) MUST_USE;

#endif
