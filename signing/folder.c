#include "signing/folder.h"
#include "base/file.h"
#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The walk's state: folders still to be read are a stack of relative names. */
struct walk {
	struct folder *out;
	const char *const *ignore;
	size_t ignore_count;
	char **todo;
	size_t todo_count;
};

const char *folder_kind_name(enum folder_kind kind)
{
	static const char *const names[] = {
		[FOLDER_FILE] = "a file",
		[FOLDER_LINK] = "a symbolic link",
		[FOLDER_OTHER] = "a device, socket or FIFO",
	};
	return names[kind];
}

bool folder_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int push_todo(struct walk *w, char *name, struct err *e)
{
	char **todo = realloc(w->todo, (w->todo_count + 1) * sizeof *todo);
	if (!todo) {
		free(name);
		return err_set(e, ERR_NOMEM, "out of memory for a folder");
	}
	w->todo = todo;
	w->todo[w->todo_count++] = name;
	return 0;
}

static int push_entry(struct folder *f, char *name, enum folder_kind kind, struct err *e)
{
	if (f->count == LIMIT_FILES) {
		free(name);
		return err_set(e, ERR_INPUT, "more than %u files", LIMIT_FILES);
	}
	if (f->count % 256 == 0) {
		struct folder_entry *entry = realloc(f->entry, (f->count + 256) * sizeof *entry);
		if (!entry) {
			free(name);
			return err_set(e, ERR_NOMEM, "out of memory for a folder");
		}
		f->entry = entry;
	}
	f->entry[f->count++] = (struct folder_entry){ name, kind };
	return 0;
}

static int take(struct walk *w, int fd, const char *dir, const char *name, struct err *e)
{
	char *path = NULL;
	struct stat st;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", name) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for a folder");
	for (size_t i = 0; i < w->ignore_count; i++)
		if (strcmp(path, w->ignore[i]) == 0) {
			free(path);
			return 0;
		}
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int result = err_errno(e, "stat %s", path);
		free(path);
		return result;
	}
	if (S_ISDIR(st.st_mode) && strlen(path) < LIMIT_PATH_BYTES)
		return push_todo(w, path, e);
	enum folder_kind kind = S_ISREG(st.st_mode)   ? FOLDER_FILE
				: S_ISLNK(st.st_mode) ? FOLDER_LINK
						      : FOLDER_OTHER;
	return push_entry(w->out, path, kind, e);
}

static int read_folder(struct walk *w, const char *dir, struct err *e)
{
	int fd = -1, result = 0;
	if (*dir)
		TRY(file_open_below(w->out->fd, dir, O_RDONLY | O_DIRECTORY, &fd, e));
	else
		fd = openat(w->out->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		result = err_errno(e, "open folder %s", dir);
		if (fd >= 0)
			close(fd);
		return result;
	}
	while (result == 0) {
		errno = 0;
		const struct dirent *entry = readdir(d);
		if (!entry) {
			result = errno ? err_errno(e, "read folder %s", dir) : 0;
			break;
		}
		result = take(w, fd, dir, entry->d_name, e);
	}
	closedir(d);
	return result;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct folder_entry *)a)->name,
		      ((const struct folder_entry *)b)->name);
}

int folder_open(struct folder *out, const char *dir, const char *const *ignore, size_t count,
		struct err *e)
{
	*out = (struct folder){ .fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	if (out->fd < 0)
		return err_errno(e, "open folder %s", dir);
	struct walk w = { .out = out, .ignore = ignore, .ignore_count = count };
	int result = read_folder(&w, "", e);
	while (result == 0 && w.todo_count) {
		char *next = w.todo[--w.todo_count];
		result = read_folder(&w, next, e);
		free(next);
	}
	while (w.todo_count)
		free(w.todo[--w.todo_count]);
	free(w.todo);
	if (result == 0 && out->count)
		qsort(out->entry, out->count, sizeof *out->entry, by_name);
	if (result < 0)
		folder_close(out);
	return result < 0 ? err_prefix(e, "%s", dir) : 0;
}

void folder_close(struct folder *f)
{
	for (size_t i = 0; i < f->count; i++)
		free(f->entry[i].name);
	free(f->entry);
	if (f->fd >= 0)
		close(f->fd);
	*f = (struct folder){ .fd = -1 };
}

int folder_file(int dir_fd, const char *name, int *fd, uint64_t *bytes, struct err *e)
{
	struct stat st;
	TRY(file_open_below(dir_fd, name, O_RDONLY, fd, e));
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*bytes = (uint64_t)st.st_size;
		return 0;
	}
	close(*fd);
	return err_set(e, ERR_INPUT, "%s: not a regular file", name);
}

int folder_read(int fd, const char *name, uint64_t offset, void *out, size_t len, struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)out + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "read %s", name);
		if (n == 0)
			return err_set(e, ERR_VERIFY, "%s: ends before byte %llu", name,
				       (unsigned long long)(offset + len));
		done += (size_t)n;
	}
	return 0;
}
