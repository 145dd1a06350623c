/* A source: named, read-only byte ranges. Signing verifies them, model reads tensors from them,
 * flow introduces the two. A source may be read by several threads at once. */
#ifndef BASE_SOURCE_H
#define BASE_SOURCE_H

#include "base/buf.h"
#include "base/file.h"

#include <stdbool.h>
#include <stdint.h>

struct source;

/* A read of this many bytes at a multiple of it (the last of a file may be shorter) is checked by a
 * verifying source in the caller's buffer: without a copy, and without making others wait. */
#define SOURCE_GRANULE ((size_t)4 << 20)

/* Metadata that changes when a file is written. */
struct source_state {
	uint64_t device, inode, bytes;
	int64_t modified_ns, changed_ns;
};

struct source_ops {
	/* ERR_NOTFOUND if there is no such file; ERR_INPUT if it is no regular file,
	 * ERR_UNSUPPORTED if a link stands there that is not followed. */
	int (*size)(struct source *s, const char *name, uint64_t *bytes, struct err *e);
	/* Exactly len bytes from offset, as they will be used: a verifying source has checked those
	 * it copies. ERR_INPUT past the end. */
	int (*read)(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		    struct err *e);
	/* The i-th name in byte order, or NULL past the end. Borrowed. */
	const char *(*name)(struct source *s, size_t i);
	void (*close)(struct source *s);
	/* May be NULL: then there is nothing but the files that name gives. */
	int (*list)(struct source *s, const char *const *skip, size_t skips, struct file_tree *out,
		    struct err *e);
	/* May be NULL: then files do not change. */
	int (*state)(struct source *s, const char *name, struct source_state *out, struct err *e);
};

struct source {
	const struct source_ops *ops;
	const char *label; /* for error sentences: the folder or package */
	bool verified;     /* every byte read was compared with a signed digest */
};

/* A plain folder: regular files only, anything else is refused by name. Of links only those of a
 * snapshot in a hub's cache are followed: hub_cache.h. */
int source_open_folder(struct source **out, const char *dir, struct err *e) MUST_USE;

/* A folder as it stands, whatever it holds: files are read by their names, source_list tells what
 * is there, and source_name gives none. For those who know the names from elsewhere and report what
 * does not belong: verification. */
int source_open_tree(struct source **out, const char *dir, struct err *e) MUST_USE;

/* The file at path, and what lies beside it under the names beside [count], nothing else of its
 * folder. */
int source_open_files(struct source **out, const char *path, const char *const *beside,
		      size_t count, struct err *e) MUST_USE;

/* The files of a package (one uncompressed tar), read where they lie in it. Those below the folder
 * `apart` become a source of their own, *beside, named without that folder, NULL if there are none;
 * apart NULL: no such folder. ERR_INPUT names what a package must not hold: source_package.c. */
int source_open_package(struct source **out, struct source **beside, const char *path,
			const char *apart, struct err *e) MUST_USE;

/* Append one whole file, with a cap. */
int source_read_file(struct source *s, const char *name, size_t bytes_max, struct buf *out,
		     struct err *e) MUST_USE;

/* What is there now, of whatever kind; skip [skips] as for file_walk. Free with file_tree_free. */
int source_list(struct source *s, const char *const *skip, size_t skips, struct file_tree *out,
		struct err *e) MUST_USE;

/* Whether f, listed from s, can be read: ERR_INPUT for a device and the like, ERR_UNSUPPORTED for a
 * link that is not followed, with the reason and the remedy. */
int source_entry_check(struct source *s, const struct file_entry *f, struct err *e) MUST_USE;

/* Whether the file is a pointer of git-lfs, whose content is elsewhere.  Source: git-lfs,
 * docs/spec.md: a text below 1,024 bytes whose first line is the version. */
#define SOURCE_POINTER \
	"a git-lfs pointer, not the file itself: fetch it with `git lfs pull` in the folder"
int source_is_pointer(struct source *s, const char *name, bool *pointer, struct err *e) MUST_USE;

int source_state(struct source *s, const char *name, struct source_state *out,
		 struct err *e) MUST_USE;
bool source_state_equal(const struct source_state *a, const struct source_state *b);

int source_size(struct source *s, const char *name, uint64_t *bytes, struct err *e) MUST_USE;
int source_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		struct err *e) MUST_USE;
const char *source_name(struct source *s, size_t i);
void source_close(struct source *s); /* NULL is fine */

#endif
