/* A folder as it stands: every entry with its kind, nothing followed. */
#ifndef SIGNING_FOLDER_H
#define SIGNING_FOLDER_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum folder_kind { FOLDER_FILE, FOLDER_LINK, FOLDER_OTHER };

struct folder_entry {
	char *name; /* relative, '/' */
	enum folder_kind kind;
};

struct folder {
	int fd;
	struct folder_entry *entry; /* sorted by name bytes; folders themselves are not listed */
	size_t count;
};

/* Open dir and list it, leaving out ignore[0..count) (exact relative names, with what lies below
 * them). */
int folder_open(struct folder *out, const char *dir, const char *const *ignore, size_t count,
		struct err *e) MUST_USE;
void folder_close(struct folder *f);

/* Open one regular file below dir_fd without following links. ERR_NOTFOUND; ERR_INPUT: not a
 * regular file. */
int folder_file(int dir_fd, const char *name, int *fd, uint64_t *bytes, struct err *e) MUST_USE;

/* Read exactly len bytes at offset. */
int folder_read(int fd, const char *name, uint64_t offset, void *out, size_t len,
		struct err *e) MUST_USE;

/* "a symbolic link" and the like. */
const char *folder_kind_name(enum folder_kind kind);

/* The same file with the same times and size: to catch rewriting while a file was read. */
bool folder_same(const struct stat *a, const struct stat *b);

#endif
