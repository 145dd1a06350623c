/* Files: whole reads with a cap, durable writes, directories, locks. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Append the whole file to out; regular files only, final symlink refused; ERR_INPUT over
 * bytes_max. */
int file_read(const char *path, size_t bytes_max, struct buf *out, struct err *e) MUST_USE;

/* The same of a file that holds a secret: ERR_INPUT, with the chmod that mends it, where others
 * than its owner may read or write it. out is new, to be wiped. */
int file_read_secret(const char *path, size_t bytes_max, struct buf *out, struct err *e) MUST_USE;

/* Temporary file beside path, write, fsync, rename, fsync the directory. mode as for open(2). */
int file_write_durable(const char *path, const void *bytes, size_t len, unsigned mode,
		       struct err *e) MUST_USE;

/* As file_write_durable, but an existing file with the same content is left alone, and other
 * content is ERR_CONFLICT: for immutable tiles. staging: a folder of the same file system for the
 * temporary file, so that a crash leaves none beside path; NULL: beside it. */
int file_create_immutable(const char *path, const char *staging, const void *bytes, size_t len,
			  unsigned mode, struct err *e) MUST_USE;

/* A new file, whose readers come after it is whole; not synced. 0; 1: there is one of that name. */
int file_create_unsynced(const char *path, const void *bytes, size_t len, unsigned mode,
			 struct err *e) MUST_USE;

/* Written to a temporary file in the folder `staging` of the same file system, then renamed to
 * path: readers see the old content or the new. Nothing is synced (file_sync): a power failure may
 * leave the old, none, or a torn file. */
int file_write_unsynced(const char *path, const char *staging, const void *bytes, size_t len,
			unsigned mode, struct err *e) MUST_USE;

/* rename(2), then fsync of both directories. */
int file_rename_durable(const char *from, const char *to, struct err *e) MUST_USE;

/* All of it to an open file, however often the system cuts it short; path is for the sentence. */
int file_write_all(int fd, const void *bytes, size_t len, const char *path,
		   struct err *e) MUST_USE;

int file_sync_dir(const char *dir, struct err *e) MUST_USE;
/* fsync of a regular file that exists; its name is the folder's to sync. */
int file_sync(const char *path, struct err *e) MUST_USE;

/* mkdir -p; mode for the directories made. */
int file_make_dirs(const char *path, unsigned mode, struct err *e) MUST_USE;

/* Remove a file or a whole tree without following links; a missing path is fine. */
int file_remove_tree(const char *path, struct err *e) MUST_USE;

/* Open the relative name below dir_fd with open(2) flags (no O_CREAT), following no link in any
 * component and never blocking on a FIFO. "", "." and ".." components, absolute names and a file
 * where a folder should be are ERR_INPUT, a link is ERR_UNSUPPORTED. *fd is the caller's; its kind
 * is not checked. */
int file_open_below(int dir_fd, const char *name, int flags, int *fd, struct err *e) MUST_USE;

bool file_exists(const char *path);
bool file_is_dir(const char *path);
int file_size(const char *path, uint64_t *bytes, struct err *e) MUST_USE;

/* dir + "/" + name into out[LIMIT_PATH_BYTES]; ERR_INPUT if too long. */
int file_join(char *out, const char *dir, const char *name, struct err *e) MUST_USE;

/* Exclusive advisory lock on path (created if needed); *fd is closed by file_unlock. Held:
 * ERR_CONFLICT. */
int file_lock(const char *path, int *fd, struct err *e) MUST_USE;
/* As file_lock, but waits while it is held: for what is done in an instant. */
int file_lock_wait(const char *path, int *fd, struct err *e) MUST_USE;
/* As file_lock, on a folder and nothing in it. *fd is -1 where its file system has no such locks,
 * or it is not there. */
int file_lock_folder(const char *dir, int *fd, struct err *e) MUST_USE;
void file_unlock(int fd); /* -1 is fine */

/* What a sentence about a link that is not followed ends with. */
#define FILE_LINK_REMEDY \
	"; only links within a cache of the Hugging Face hub are followed: copy the folder with " \
	"`cp -rL`"

enum file_kind {
	FILE_REGULAR,
	FILE_LINKED, /* a link that ends in a regular file of a cache: hub_cache.h */
	FILE_LINK,   /* one that is not followed */
	FILE_DEEP,  /* a folder or file whose relative path is LIMIT_PATH_BYTES or longer */
	FILE_OTHER, /* a device, socket or FIFO */
};
struct file_entry {
	char *name; /* relative, with '/' */
	enum file_kind kind;
};
struct file_tree {
	struct file_entry *entry; /* sorted by name bytes; folders themselves are not in it */
	size_t count;
};
/* What lies below the open folder dir_fd, whatever its kind; no link is followed. skip [skips]:
 * relative names that are left out, with what lies below them. ERR_INPUT: over LIMIT_FILES. Free
 * with file_tree_free. */
int file_walk(int dir_fd, const char *const *skip, size_t skips, struct file_tree *out,
	      struct err *e) MUST_USE;
void file_tree_free(struct file_tree *t);
const char *file_kind_name(enum file_kind kind); /* "a symbolic link" and the like */

/* Every regular file below dir, relative names with '/', sorted by bytes. Links, devices and other
 * kinds are refused by name. Free with file_list_free. */
struct file_list {
	char **names;
	size_t count;
};
int file_list(const char *dir, struct file_list *out, struct err *e) MUST_USE;
void file_list_free(struct file_list *l);

#endif
