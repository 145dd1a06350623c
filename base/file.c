#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Opened for reading, without waiting for a FIFO's writer; a final link and other kinds are
 * refused. */
static int open_regular(const char *path, struct stat *st, struct err *e)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 && errno == ELOOP)
		return err_set(e, ERR_INPUT, "%s: is a symbolic link; a regular file is needed",
			       path);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	int result = fd;
	if (fstat(fd, st) < 0)
		result = err_errno(e, "stat %s", path);
	else if (!S_ISREG(st->st_mode))
		result = err_set(e, ERR_INPUT, "%s: is not a regular file", path);
	if (result < 0)
		close(fd);
	return result;
}

static int read_all(int fd, const char *path, size_t want, size_t bytes_max, struct buf *out,
		    struct err *e)
{
	size_t begin = out->len;
	for (;;) {
		/* One byte more than fits, so that a file that grew is noticed. */
		size_t ask = out->len - begin < want ? want - (out->len - begin) : 4096;
		char *to = buf_reserve(out, ask);
		if (!to)
			return buf_done(out, e);
		ssize_t n = read(fd, to, ask);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "read %s", path);
		if (n == 0)
			return 0;
		out->len += (size_t)n;
		if (out->len - begin > bytes_max)
			return err_set(e, ERR_INPUT, "%s: larger than the limit of %zu bytes", path,
				       bytes_max);
	}
}

static int read_file(const char *path, bool secret, size_t bytes_max, struct buf *out,
		     struct err *e)
{
	struct stat st;
	size_t begin = out->len;
	int fd = open_regular(path, &st, e);
	if (fd < 0)
		return fd;
	int result;
	if (secret && (st.st_mode & (S_IRWXG | S_IRWXO)))
		result = err_set(e, ERR_INPUT,
				 "%s holds a secret, and others than its owner may use it (mode "
				 "%04o): run `chmod 600 %s`",
				 path, (unsigned)(st.st_mode & 07777), path);
	else if ((uint64_t)st.st_size > bytes_max)
		result = err_set(e, ERR_INPUT, "%s: %lld bytes, the limit is %zu", path,
				 (long long)st.st_size, bytes_max);
	else
		result = read_all(fd, path, (size_t)st.st_size + 1, bytes_max, out, e);
	if (result < 0 && out->bytes) {
		out->len = begin;
		out->bytes[begin] = '\0';
	}
	close(fd);
	return result;
}

int file_read(const char *path, size_t bytes_max, struct buf *out, struct err *e)
{
	return read_file(path, false, bytes_max, out, e);
}

int file_read_secret(const char *path, size_t bytes_max, struct buf *out, struct err *e)
{
	buf_reserve(out, bytes_max + 1); /* else growing leaves copies behind */
	return read_file(path, true, bytes_max, out, e);
}

int file_write_all(int fd, const void *bytes, size_t len, const char *path, struct err *e)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(fd, (const char *)bytes + done, len - done);
		if (n < 0 && errno != EINTR)
			return err_errno(e, "write %s", path);
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static int sync_fd(int fd, const char *path, struct err *e)
{
	return fsync(fd) < 0 ? err_errno(e, "fsync %s", path) : 0;
}

/* The folder that holds path. */
static void parent_of(const char *path, char out[LIMIT_PATH_BYTES])
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		snprintf(out, LIMIT_PATH_BYTES, ".");
	else if (slash == path)
		snprintf(out, LIMIT_PATH_BYTES, "/");
	else
		snprintf(out, LIMIT_PATH_BYTES, "%.*s", (int)(slash - path), path);
}

static int sync_parent(const char *path, struct err *e)
{
	char dir[LIMIT_PATH_BYTES];
	parent_of(path, dir);
	return file_sync_dir(dir, e);
}

/* A temporary file in that folder, or beside path; its name goes to temp. */
static int write_temp(const char *path, const char *staging, const void *bytes, size_t len,
		      unsigned mode, bool synced, char *temp, struct err *e)
{
	unsigned char salt[8];
	char hex[17];
	if (getrandom(salt, sizeof salt, 0) != (ssize_t)sizeof salt)
		return err_errno(e, "getrandom");
	text_hex(salt, sizeof salt, hex);
	if (snprintf(temp, LIMIT_PATH_BYTES, "%s%s%s", staging ? staging : path,
		     staging ? "/" : ".tmp-", hex) >= LIMIT_PATH_BYTES)
		return err_set(e, ERR_INPUT, "path too long: %.200s", path);
	int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno(e, "create %s", temp);
	int result = file_write_all(fd, bytes, len, temp, e);
	if (result == 0 && synced)
		result = sync_fd(fd, temp, e);
	if (close(fd) < 0 && result == 0)
		result = err_errno(e, "close %s", temp);
	if (result < 0)
		unlink(temp);
	return result;
}

static int rename_temp(const char *temp, const char *path, struct err *e)
{
	if (rename(temp, path) == 0)
		return 0;
	int result = err_errno(e, "rename %s", path);
	unlink(temp);
	return result;
}

int file_write_durable(const char *path, const void *bytes, size_t len, unsigned mode,
		       struct err *e)
{
	char temp[LIMIT_PATH_BYTES];
	TRY(write_temp(path, NULL, bytes, len, mode, true, temp, e));
	TRY(rename_temp(temp, path, e));
	return sync_parent(path, e);
}

int file_create_unsynced(const char *path, const void *bytes, size_t len, unsigned mode,
			 struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return errno == EEXIST ? 1 : err_errno(e, "create %s", path);
	int result = file_write_all(fd, bytes, len, path, e);
	if (close(fd) < 0 && result == 0)
		result = err_errno(e, "close %s", path);
	if (result < 0)
		unlink(path);
	return result;
}

int file_write_unsynced(const char *path, const char *staging, const void *bytes, size_t len,
			unsigned mode, struct err *e)
{
	char temp[LIMIT_PATH_BYTES];
	TRY(write_temp(path, staging, bytes, len, mode, false, temp, e));
	return rename_temp(temp, path, e);
}

static int same_content(const char *path, const void *bytes, size_t len, struct err *e)
{
	struct buf old = { 0 };
	int result = file_read(path, len, &old, e);
	/* A larger file is other content; a link or a device is a conflict as well. */
	if (result == ERR_INPUT ||
	    (result == 0 && (old.len != len || (len && memcmp(old.bytes, bytes, len) != 0))))
		result = err_set(e, ERR_CONFLICT, "%s: exists with other content", path);
	buf_free(&old);
	return result;
}

int file_create_immutable(const char *path, const char *staging, const void *bytes, size_t len,
			  unsigned mode, struct err *e)
{
	char temp[LIMIT_PATH_BYTES];
	int result = same_content(path, bytes, len, e);
	if (result != ERR_NOTFOUND) {
		TRY(result);
		return sync_parent(path, e); /* its writer may have died before this */
	}
	TRY(write_temp(path, staging, bytes, len, mode, true, temp, e));
	/* link(2) does not replace: of two racing writers one fails here and then compares. */
	if (link(temp, path) == 0)
		result = 0;
	else
		result = errno == EEXIST ? same_content(path, bytes, len, e)
					 : err_errno(e, "link %s", path);
	unlink(temp);
	TRY(result);
	return sync_parent(path, e);
}

int file_rename_durable(const char *from, const char *to, struct err *e)
{
	if (rename(from, to) < 0)
		return err_errno(e, "rename %s to %s", from, to);
	TRY(sync_parent(to, e));
	return sync_parent(from, e);
}

int file_sync_dir(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, "open %s", dir);
	int result = sync_fd(fd, dir, e);
	close(fd);
	return result;
}

int file_sync(const char *path, struct err *e)
{
	struct stat st;
	int fd = open_regular(path, &st, e);
	if (fd < 0)
		return fd;
	int result = sync_fd(fd, path, e);
	close(fd);
	return result;
}

int file_make_dirs(const char *path, unsigned mode, struct err *e)
{
	char part[LIMIT_PATH_BYTES];
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof part)
		return err_set(e, ERR_INPUT, "path empty or too long: %.200s", path);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return err_errno(e, "mkdir %s", part);
	}
	if (!file_is_dir(path))
		return err_set(e, ERR_CONFLICT, "%s: exists and is not a folder", path);
	return 0;
}

bool file_exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int file_size(const char *path, uint64_t *bytes, struct err *e)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return err_errno(e, "stat %s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INPUT, "%s: is not a regular file", path);
	*bytes = (uint64_t)st.st_size;
	return 0;
}

int file_join(char *out, const char *dir, const char *name, struct err *e)
{
	if (snprintf(out, LIMIT_PATH_BYTES, "%s/%s", dir, name) >= LIMIT_PATH_BYTES)
		return err_set(e, ERR_INPUT, "path too long: %.200s/%.200s", dir, name);
	return 0;
}

static int lock_file(const char *path, int how, int *fd, struct err *e)
{
	int held = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (held < 0)
		return err_errno(e, "open %s", path);
	int failed;
	do
		failed = flock(held, how);
	while (failed && errno == EINTR);
	if (failed) {
		int result = errno == EWOULDBLOCK ? err_set(e, ERR_CONFLICT,
							    "%s: locked by another process", path)
						  : err_errno(e, "lock %s", path);
		close(held);
		return result;
	}
	*fd = held;
	return 0;
}

int file_lock(const char *path, int *fd, struct err *e)
{
	return lock_file(path, LOCK_EX | LOCK_NB, fd, e);
}

int file_lock_wait(const char *path, int *fd, struct err *e)
{
	return lock_file(path, LOCK_EX, fd, e);
}

int file_lock_folder(const char *dir, int *fd, struct err *e)
{
	int held = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*fd = -1;
	if (held < 0 && errno == ENOENT)
		return 0;
	if (held < 0)
		return err_errno(e, "open %s", dir);
	if (flock(held, LOCK_EX | LOCK_NB) == 0) {
		*fd = held;
		return 0;
	}
	bool taken = errno == EWOULDBLOCK;
	close(held);
	return taken ? err_set(e, ERR_CONFLICT, "%s: locked by another process", dir) : 0;
}

void file_unlock(int fd)
{
	if (fd >= 0)
		close(fd);
}
