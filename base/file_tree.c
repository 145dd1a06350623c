/* Walks of folder trees. Every component is opened from its parent's descriptor with O_NOFOLLOW, so
 * that a link put in place during the walk cannot lead it out of the tree. */
#include "base/file.h"
#include "base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int next_component(const char **name, char part[LIMIT_NAME_BYTES + 1])
{
	size_t len = strcspn(*name, "/");
	if (len == 0 || len > LIMIT_NAME_BYTES)
		return ERR_INPUT;
	memcpy(part, *name, len);
	part[len] = '\0';
	*name += len;
	if (strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
		return ERR_INPUT;
	return 0;
}

int file_open_below(int dir_fd, const char *name, int flags, int *fd, struct err *e)
{
	const char *rest = name;
	char part[LIMIT_NAME_BYTES + 1];
	int at = dir_fd;
	for (;;) {
		int result = next_component(&rest, part), next = -1;
		bool last = *rest == '\0';
		if (result < 0)
			err_set(e, result, "%s: not a plain relative name", name);
		else
			next = openat(at, part,
				      (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW |
					      O_NONBLOCK | O_CLOEXEC);
		if (result == 0 && next < 0)
			result = errno == ELOOP || (errno == ENOTDIR && !last)
					 ? err_set(e, ERR_INPUT,
						   "%s: a component is a link or no folder", name)
					 : err_errno(e, "open %s", name);
		if (at != dir_fd)
			close(at);
		if (result < 0)
			return result;
		if (last) {
			*fd = next;
			return 0;
		}
		at = next;
		rest++;
	}
}

/* A growing list of names; doubles as the queue of folders still to be read. */
static int list_add(struct file_list *l, const char *dir, const char *name, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	if (l->count >= LIMIT_FILES)
		return err_set(e, ERR_INPUT, "more than %u files or folders", LIMIT_FILES);
	if (*dir)
		TRY(file_join(path, dir, name, e));
	else
		snprintf(path, sizeof path, "%s", name);
	if (l->count % 1024 == 0) {
		char **names = realloc(l->names, (l->count + 1024) * sizeof *names);
		if (!names)
			return err_set(e, ERR_NOMEM, "out of memory for a list of files");
		l->names = names;
	}
	char *copy = strdup(path);
	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory for a list of files");
	l->names[l->count++] = copy;
	return 0;
}

static int list_entry(int fd, const char *dir, const char *name, struct file_list *files,
		      struct file_list *dirs, struct err *e)
{
	struct stat st;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, "stat %s/%s", dir, name);
	if (S_ISREG(st.st_mode))
		return list_add(files, dir, name, e);
	if (S_ISDIR(st.st_mode))
		return list_add(dirs, dir, name, e);
	return err_set(e, ERR_INPUT, "%s%s%s: %s; only regular files and folders are taken", dir,
		       *dir ? "/" : "", name,
		       S_ISLNK(st.st_mode) ? "is a symbolic link" : "is a device, socket or FIFO");
}

static int list_dir(int root, const char *dir, struct file_list *files, struct file_list *dirs,
		    struct err *e)
{
	int fd = -1, result = 0;
	if (*dir)
		TRY(file_open_below(root, dir, O_RDONLY | O_DIRECTORY, &fd, e));
	else
		fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		result = err_errno(e, "open %s", *dir ? dir : ".");
		if (fd >= 0)
			close(fd);
		return result;
	}
	while (result == 0) {
		errno = 0;
		struct dirent *entry = readdir(d);
		if (!entry) {
			result = errno ? err_errno(e, "read folder %s", dir) : 0;
			break;
		}
		result = list_entry(fd, dir, entry->d_name, files, dirs, e);
	}
	closedir(d);
	return result;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int file_list(const char *dir, struct file_list *out, struct err *e)
{
	struct file_list files = { 0 }, dirs = { 0 };
	int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(e, "open folder %s", dir);
	int result = list_dir(root, "", &files, &dirs, e);
	for (size_t i = 0; result == 0 && i < dirs.count; i++)
		result = list_dir(root, dirs.names[i], &files, &dirs, e);
	close(root);
	file_list_free(&dirs);
	if (result < 0) {
		file_list_free(&files);
		err_prefix(e, "%s", dir);
		return result;
	}
	if (files.count)
		qsort(files.names, files.count, sizeof *files.names, by_bytes);
	*out = files;
	return 0;
}

void file_list_free(struct file_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->names[i]);
	free(l->names);
	*l = (struct file_list){ 0 };
}

/* One folder on the way down; name is its entry in the folder above. */
struct level {
	DIR *d;
	char name[LIMIT_NAME_BYTES + 1];
};

#define LEVELS_MAX \
	64 /* deeper trees than any of ours; a limit because each level holds a descriptor */

static int level_push(struct level *levels, int *depth, int parent_fd, const char *name,
		      struct err *e)
{
	if (*depth == LEVELS_MAX)
		return err_set(e, ERR_INPUT, "%s: more than %d folders deep", name, LEVELS_MAX);
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		int result = err_errno(e, "open folder %s", name);
		if (fd >= 0)
			close(fd);
		return result;
	}
	struct level *l = &levels[(*depth)++];
	l->d = d;
	snprintf(l->name, sizeof l->name, "%s", name);
	return 0;
}

/* Take one entry of the deepest folder, or leave that folder and remove it when it is empty. */
static int remove_step(struct level *levels, int *depth, struct err *e)
{
	struct level *top = &levels[*depth - 1];
	int fd = dirfd(top->d);
	errno = 0;
	struct dirent *entry = readdir(top->d);
	if (!entry && errno)
		return err_errno(e, "read folder %s", top->name);
	if (!entry) {
		closedir(top->d);
		(*depth)--;
		if (*depth > 0 &&
		    unlinkat(dirfd(levels[*depth - 1].d), top->name, AT_REMOVEDIR) < 0)
			return err_errno(e, "remove folder %s", top->name);
		return 0;
	}
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return 0;
	if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(e, "remove %s", entry->d_name);
	return level_push(levels, depth, fd, entry->d_name, e);
}

int file_remove_tree(const char *path, struct err *e)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return err_errno(e, "remove %s", path);
	struct level *levels = calloc(LEVELS_MAX, sizeof *levels);
	if (!levels)
		return err_set(e, ERR_NOMEM, "out of memory to remove %s", path);
	int depth = 0;
	int result = level_push(levels, &depth, AT_FDCWD, path, e);
	while (result == 0 && depth > 0)
		result = remove_step(levels, &depth, e);
	while (depth > 0)
		closedir(levels[--depth].d);
	free(levels);
	if (result == 0 && rmdir(path) < 0)
		result = err_errno(e, "remove folder %s", path);
	return result;
}
