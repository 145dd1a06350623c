/* LD_PRELOAD: a disk that fails while a file stands at $FAULTS. Its first word says how: "fsync" (what was
 * written cannot be made durable), "full" (nothing more can be written), "readonly" (and nothing opened for
 * writing, renamed or removed). Files under $FAULTS_UNDER alone. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* 'f', 'u', 'r', or 0: none. */
static char fault(void)
{
	const char *path = getenv("FAULTS");
	char word[16] = "";
	int saved = errno, fd = path ? REAL(open)(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		ssize_t n = read(fd, word, sizeof word - 1);
		(void)n;
		close(fd);
	}
	errno = saved;
	return word[0] == 'f' && word[1] == 's' ? 'f' : word[0] == 'f' ? 'u' : word[0] == 'r' ? 'r' : 0;
}

static int is_under(const char *path)
{
	const char *under = getenv("FAULTS_UNDER");
	return under && strncmp(path, under, strlen(under)) == 0;
}

static int fd_is_under(int fd)
{
	char link[64], path[4096];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);
	if (n < 0)
		return 0;
	path[n] = 0;
	return is_under(path);
}

static int fails(int fd, char first, char second)
{
	char f = fault();
	return f && (f == first || f == second) && fd_is_under(fd);
}

int fsync(int fd)
{
	if (fails(fd, 'f', 0)) {
		errno = EIO;
		return -1;
	}
	return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	if (fails(fd, 'f', 0)) {
		errno = EIO;
		return -1;
	}
	return REAL(fdatasync)(fd);
}

static int full(int fd)
{
	if (!fails(fd, 'u', 'r'))
		return 0;
	errno = fault() == 'r' ? EROFS : ENOSPC;
	return 1;
}

ssize_t write(int fd, const void *bytes, size_t len) { return full(fd) ? -1 : REAL(write)(fd, bytes, len); }

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	return full(fd) ? -1 : REAL(pwrite)(fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	return full(fd) ? -1 : REAL(pwrite64)(fd, bytes, len, at);
}

ssize_t writev(int fd, const struct iovec *v, int n) { return full(fd) ? -1 : REAL(writev)(fd, v, n); }

static int closed_to(int dir, const char *path, int flags)
{
	char whole[4096], link[64];
	ssize_t n = 0;
	if (!(flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) || fault() != 'r')
		return 0;
	if (path[0] != '/' && dir != AT_FDCWD) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
		n = readlink(link, whole, sizeof whole - 1);
		n = n < 0 ? 0 : n;
	}
	snprintf(whole + n, sizeof whole - (size_t)n, "%s%s", n ? "/" : "", path);
	if (!is_under(whole))
		return 0;
	errno = EROFS;
	return 1;
}

static mode_t mode_of(int flags, va_list list) { return flags & O_CREAT ? va_arg(list, mode_t) : 0; }

#define OPENS(name, dir, head, pass)                                       \
	int name head                                                      \
	{                                                                  \
		va_list list;                                              \
		va_start(list, flags);                                     \
		mode_t mode = mode_of(flags, list);                        \
		va_end(list);                                              \
		return closed_to(dir, path, flags) ? -1 : REAL(name) pass; \
	}
OPENS(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENS(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPENS(openat, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))
OPENS(openat64, dir, (int dir, const char *path, int flags, ...), (dir, path, flags, mode))

int renameat(int from, const char *a, int to, const char *b)
{
	return closed_to(to, b, O_WRONLY) ? -1 : REAL(renameat)(from, a, to, b);
}

int rename(const char *a, const char *b)
{
	return closed_to(AT_FDCWD, b, O_WRONLY) ? -1 : REAL(rename)(a, b);
}

/* A full disk says that it is. */
int statvfs(const char *path, struct statvfs *out)
{
	int rc = REAL(statvfs)(path, out);
	if (rc == 0 && fault() == 'u' && is_under(path))
		out->f_bavail = 0;
	return rc;
}
