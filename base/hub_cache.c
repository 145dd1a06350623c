#include "base/hub_cache.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOBS "blobs"
#define SNAPSHOTS "/snapshots/"
#define STORE_MARKER BLOBS "/.huggingface-shared-blobs"
#define LINKS_MAX 8 /* the hub's clients make two in a row */

/* Paths here are relative to the root: the repository's folder, or that of the whole cache where a
 * store is shared. */
struct hub_cache {
	char *root;
	int root_fd;
	char *snapshot;   /* the folder that was asked for */
	char *repository; /* "models--ORG--NAME", or "" where it is the root itself */
};

static bool is_real_dir(const char *dir, const char *name)
{
	char path[LIMIT_PATH_BYTES];
	struct stat st;
	return file_join(path, dir, name, NULL) == 0 && lstat(path, &st) == 0 &&
	       S_ISDIR(st.st_mode);
}

static bool has_file(const char *dir, const char *name)
{
	char path[LIMIT_PATH_BYTES];
	struct stat st;
	return file_join(path, dir, name, NULL) == 0 && lstat(path, &st) == 0 &&
	       S_ISREG(st.st_mode);
}

/* Length of the repository's path in dir, by its last "/snapshots/"; 0: there is none. */
static size_t repository_of(const char *dir)
{
	char path[LIMIT_PATH_BYTES];
	const char *at = NULL;
	for (const char *p = dir; (p = strstr(p, SNAPSHOTS)); p++)
		at = p;
	if (!at || at == dir || (size_t)(at - dir) >= sizeof path)
		return 0;
	snprintf(path, sizeof path, "%.*s", (int)(at - dir), dir);
	return is_real_dir(path, BLOBS) ? (size_t)(at - dir) : 0;
}

/* Whether the folder above a repository holds a store that repositories share. */
static bool is_shared(const char *above, const char *repository)
{
	static const char *const kinds[] = { "models--", "datasets--", "spaces--", "kernels--" };
	bool named = false;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		named = named || text_starts(repository, kinds[i]);
	return is_real_dir(above, BLOBS) && (named || has_file(above, STORE_MARKER));
}

static int fill(struct hub_cache *c, const char *dir, size_t repository, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	snprintf(path, sizeof path, "%.*s", (int)repository, dir);
	char *slash = strrchr(path, '/');
	size_t root = repository;
	if (slash > path) {
		*slash = '\0';
		if (is_shared(path, slash + 1))
			root = (size_t)(slash - path);
	}
	c->root = strndup(dir, root);
	c->snapshot = strdup(dir + root + 1);
	c->repository =
		root == repository ? strdup("") : strndup(dir + root + 1, repository - root - 1);
	if (!c->root || !c->snapshot || !c->repository)
		return err_set(e, ERR_NOMEM, "out of memory for folder %s", dir);
	c->root_fd = open(c->root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return c->root_fd < 0 ? err_errno(e, "open folder %s", c->root) : 0;
}

int hub_cache_find(struct hub_cache **out, const char *dir, struct err *e)
{
	*out = NULL;
	size_t repository = repository_of(dir);
	if (!repository)
		return 0;
	struct hub_cache *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(e, ERR_NOMEM, "out of memory for folder %s", dir);
	c->root_fd = -1;
	int rc = fill(c, dir, repository, e);
	if (rc < 0) {
		hub_cache_close(c);
		return rc;
	}
	*out = c;
	return 0;
}

void hub_cache_close(struct hub_cache *c)
{
	if (!c)
		return;
	if (c->root_fd >= 0)
		close(c->root_fd);
	free(c->root);
	free(c->snapshot);
	free(c->repository);
	free(c);
}

static int refuse(const char *name, const char *why, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED, "%.200s: a symbolic link %s" FILE_LINK_REMEDY, name,
		       why);
}

/* Take one component off path, or say that there is none. */
static bool pop(char *path)
{
	char *slash = strrchr(path, '/');
	if (!*path)
		return false;
	*(slash ? slash : path) = '\0';
	return true;
}

/* Replace the link at the end of path by its target. All folders on the way are real ones, so that
 * ".." is the component before. */
static int take_target(const struct hub_cache *c, char path[LIMIT_PATH_BYTES], const char *target)
{
	size_t root = strlen(c->root);
	if (target[0] == '/') {
		if (strncmp(target, c->root, root) != 0 || target[root] != '/')
			return -1;
		target += root;
		path[0] = '\0';
	} else if (!pop(path)) {
		return -1;
	}
	for (size_t len; *target; target += len) {
		target += strspn(target, "/");
		len = strcspn(target, "/");
		size_t at = strlen(path);
		if (len == 0 || (len == 1 && target[0] == '.'))
			continue;
		if (len == 2 && target[0] == '.' && target[1] == '.') {
			if (!pop(path))
				return -1;
			continue;
		}
		if (at + 1 + len >= LIMIT_PATH_BYTES)
			return -1;
		snprintf(path + at, LIMIT_PATH_BYTES - at, "%s%.*s", at ? "/" : "", (int)len,
			 target);
	}
	return 0;
}

static bool lies_in(const char *path, const char *folder)
{
	size_t len = strlen(folder);
	return len == 0 || (strncmp(path, folder, len) == 0 && path[len] == '/');
}

/* Where a link may lead. */
static bool is_inside(const struct hub_cache *c, const char *path)
{
	return *path && (lies_in(path, c->repository) || lies_in(path, BLOBS));
}

/* One step of the way: open path's folder, and in it the last component. 1: it is a link, whose
 * text is in target. */
static int step(const struct hub_cache *c, const char *path, int *fd, char target[LIMIT_PATH_BYTES],
		struct err *e)
{
	char folder[LIMIT_PATH_BYTES];
	const char *last = strrchr(path, '/');
	int at = c->root_fd, rc = 0;
	if (last) {
		snprintf(folder, sizeof folder, "%.*s", (int)(last - path), path);
		TRY(file_open_below(c->root_fd, folder, O_PATH | O_DIRECTORY, &at, e));
	}
	last = last ? last + 1 : path;
	*fd = openat(at, last, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0 && errno == ELOOP) {
		ssize_t n = readlinkat(at, last, target, LIMIT_PATH_BYTES);
		if (n > 0 && n < LIMIT_PATH_BYTES)
			target[n] = '\0';
		rc = n > 0 && n < LIMIT_PATH_BYTES ? 1 : err_errno(e, "read link %s", path);
	} else if (*fd < 0) {
		rc = err_errno(e, "open %s", path);
	}
	if (at != c->root_fd)
		close(at);
	return rc;
}

/* Where a link led to: only a regular file will do. */
static int check_end(const char *name, int rc, int *fd, struct err *e)
{
	struct stat st;
	if (rc == ERR_NOTFOUND)
		return refuse(name, "that leads to nothing", e);
	if (rc == ERR_UNSUPPORTED)
		return refuse(name, "that leads to another, of a folder", e);
	if (rc < 0)
		return rc;
	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return 0;
	close(*fd);
	*fd = -1;
	return refuse(name, "that leads to no regular file", e);
}

int hub_cache_open(const struct hub_cache *c, const char *name, int *fd, struct err *e)
{
	char path[LIMIT_PATH_BYTES], target[LIMIT_PATH_BYTES];
	struct err plain = { 0 };
	int here = -1, rc;
	TRY(file_open_below(c->root_fd, c->snapshot, O_PATH | O_DIRECTORY, &here, e));
	rc = file_open_below(here, name, O_RDONLY, fd, &plain);
	close(here);
	if (rc != ERR_UNSUPPORTED) /* no link, or no plain name */
		return rc < 0 ? err_set(e, rc, "%s", plain.text) : 0;
	TRY(file_join(path, c->snapshot, name, e));
	for (int links = 0; links <= LINKS_MAX; links++) {
		rc = step(c, path, fd, target, e);
		if (rc < 0 && links == 0) /* a link of a folder is on the way to name */
			return err_set(e, ERR_UNSUPPORTED, "%s", plain.text);
		if (rc < 1)
			return links ? check_end(name, rc, fd, e) : 0;
		if (take_target(c, path, target) < 0 || !is_inside(c, path))
			return refuse(name, "that leads out of the cache", e);
	}
	return refuse(name, "that leads in a circle", e);
}
