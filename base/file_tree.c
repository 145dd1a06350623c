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

/* Why a component could not be opened, by errno. */
static int not_opened(int at, const char *part, bool last, const char *name, struct err *e)
{
	int number = errno;
	struct stat st;
	if ((number == ELOOP || number == ENOTDIR) &&
	    fstatat(at, part, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISLNK(st.st_mode))
			return err_set(e, ERR_UNSUPPORTED, "%.200s: %sa symbolic link%s%.80s%s",
				       name, last ? "" : "behind ", last ? "" : ", ",
				       last ? "" : part, FILE_LINK_REMEDY);
		return err_set(e, ERR_INPUT, "%.200s: %.80s is no folder", name, part);
	}
	errno = number;
	return err_errno(e, "open %s", name);
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
			result = not_opened(at, part, last, name, e);
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

/* ---- one walk ---- */

const char *file_kind_name(enum file_kind kind)
{
	static const char *const names[] = {
		[FILE_REGULAR] = "a file",
		[FILE_LINKED] = "a link into the cache",
		[FILE_LINK] = "a symbolic link",
		[FILE_DEEP] = "deeper than a path can name",
		[FILE_OTHER] = "a device, socket or FIFO",
	};
	return names[kind];
}

/* Folders still to be read, in a list that grows while it is read. */
struct walk {
	int root;
	const char *const *skip;
	size_t skips;
	struct file_tree *out, folders;
};

static int tree_add(struct file_tree *t, char *name, enum file_kind kind, struct err *e)
{
	int rc = 0;
	if (t->count >= LIMIT_FILES) {
		rc = err_set(e, ERR_INPUT, "more than %u files or folders", LIMIT_FILES);
		goto out;
	}
	if (t->count % 1024 == 0) {
		struct file_entry *grown = realloc(t->entry, (t->count + 1024) * sizeof *grown);
		if (!grown) {
			rc = err_set(e, ERR_NOMEM, "out of memory for a list of files");
			goto out;
		}
		t->entry = grown;
	}
	t->entry[t->count++] = (struct file_entry){ name, kind };
	return 0;
out:
	free(name);
	return rc;
}

/* One entry of the folder fd, which is named dir. */
static int walk_entry(struct walk *w, int fd, const char *dir, const char *name, struct err *e)
{
	char *path = NULL;
	struct stat st;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return 0;
	if (asprintf(&path, "%s%s%s", dir, *dir ? "/" : "", name) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for a list of files");
	for (size_t i = 0; i < w->skips; i++)
		if (strcmp(path, w->skip[i]) == 0) {
			free(path);
			return 0;
		}
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int rc = err_errno(e, "stat %s", path);
		free(path);
		return rc;
	}
	bool deep = strlen(path) >= LIMIT_PATH_BYTES;
	if (S_ISDIR(st.st_mode) && !deep)
		return tree_add(&w->folders, path, FILE_OTHER, e);
	enum file_kind kind = S_ISLNK(st.st_mode)   ? FILE_LINK
			      : deep                ? FILE_DEEP
			      : S_ISREG(st.st_mode) ? FILE_REGULAR
						    : FILE_OTHER;
	return tree_add(w->out, path, kind, e);
}

static int walk_folder(struct walk *w, const char *dir, struct err *e)
{
	int fd = -1, rc = 0;
	if (*dir)
		TRY(file_open_below(w->root, dir, O_RDONLY | O_DIRECTORY, &fd, e));
	else
		fd = openat(w->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	if (!d) {
		rc = err_errno(e, "open folder %s", *dir ? dir : ".");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0) {
		errno = 0;
		const struct dirent *entry = readdir(d);
		if (!entry) {
			rc = errno ? err_errno(e, "read folder %s", dir) : 0;
			break;
		}
		rc = walk_entry(w, fd, dir, entry->d_name, e);
	}
	closedir(d);
	return rc;
}

static int by_name_bytes(const void *a, const void *b)
{
	return strcmp(((const struct file_entry *)a)->name, ((const struct file_entry *)b)->name);
}

int file_walk(int dir_fd, const char *const *skip, size_t skips, struct file_tree *out,
	      struct err *e)
{
	struct file_tree all = { 0 };
	struct walk w = { .root = dir_fd, .skip = skip, .skips = skips, .out = &all };
	int rc = walk_folder(&w, "", e);
	for (size_t i = 0; rc == 0 && i < w.folders.count; i++)
		rc = walk_folder(&w, w.folders.entry[i].name, e);
	file_tree_free(&w.folders);
	if (rc < 0) {
		file_tree_free(&all);
		return rc;
	}
	if (all.count)
		qsort(all.entry, all.count, sizeof *all.entry, by_name_bytes);
	*out = all;
	return 0;
}

void file_tree_free(struct file_tree *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->entry[i].name);
	free(t->entry);
	*t = (struct file_tree){ 0 };
}

/* Move the names out of a tree that holds only files. */
static int list_names(struct file_tree *t, struct file_list *out, struct err *e)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->entry[i].kind != FILE_REGULAR)
			return err_set(e, ERR_INPUT,
				       "%.200s is %s; only regular files and folders "
				       "are taken",
				       t->entry[i].name, file_kind_name(t->entry[i].kind));
	char **names = malloc((t->count + 1) * sizeof *names);
	if (!names)
		return err_set(e, ERR_NOMEM, "out of memory for a list of files");
	for (size_t i = 0; i < t->count; i++) {
		names[i] = t->entry[i].name;
		t->entry[i].name = NULL;
	}
	*out = (struct file_list){ names, t->count };
	return 0;
}

int file_list(const char *dir, struct file_list *out, struct err *e)
{
	struct file_tree t = { 0 };
	int root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_errno(e, "open folder %s", dir);
	int rc = file_walk(root, NULL, 0, &t, e);
	close(root);
	if (rc == 0)
		rc = list_names(&t, out, e);
	file_tree_free(&t);
	if (rc < 0)
		err_prefix(e, "%s", dir);
	return rc;
}

void file_list_free(struct file_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->names[i]);
	free(l->names);
	*l = (struct file_list){ 0 };
}

/* ---- removing ---- */

/* An open folder on the path to the deepest one; name is its entry in its parent. */
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
