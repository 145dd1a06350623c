/* Sockets between processes of one user on one machine, and messages over them.
 *
 * An address holds 108 bytes, a path up to 4,096: where it does not fit, the folder is opened and
 * named as /proc/self/fd/N. Who is at the other end is asked of the kernel (SO_PEERCRED), so that
 * nothing hangs on the modes of the folders above. */
#include "base/env.h"
#include "base/limits.h"
#include "net/local.h"
#include "net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

/* ---- addresses ---- */

/* *dir_fd is to be closed once the address was used; -1: there is nothing to close. */
static int local_address(const char *dir, const char *name, struct sockaddr_un *out, int *dir_fd,
			 struct err *e)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*dir_fd = -1;
	int n = snprintf(out->sun_path, sizeof out->sun_path, "%s/%s", dir, name);
	if (n > 0 && (size_t)n < sizeof out->sun_path)
		return 0;
	*dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir_fd < 0)
		return err_errno(e, "open %s", dir);
	snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%.80s", *dir_fd, name);
	return 0;
}

static int local_socket(int *fd, struct err *e)
{
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return *fd < 0 ? err_errno(e, "make a local socket") : 0;
}

/* Root may come to anyone's, and anyone to root's. */
static int check_peer(int fd, bool coming, uint32_t *uid, struct err *e)
{
	struct ucred who;
	socklen_t len = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		return err_errno(e, "ask who is at the other end of a local socket");
	if (uid)
		*uid = who.uid;
	if (who.uid == 0 || who.uid == geteuid() || (coming && geteuid() == 0))
		return 0;
	return err_set(e, ERR_CONFLICT, "the other end of the local socket is user %u's",
		       (unsigned)who.uid);
}

static int bind_private(int fd, const struct sockaddr_un *to, struct err *e)
{
	/* The file gets the socket's mode: it is never another's to open. */
	if (fchmod(fd, 0600) < 0)
		return err_errno(e, "local socket");
	if (unlink(to->sun_path) < 0 && errno != ENOENT)
		return err_errno(e, "remove %s", to->sun_path);
	if (bind(fd, (const struct sockaddr *)to, sizeof *to) < 0 || listen(fd, BACKLOG) < 0)
		return err_errno(e, "listen at %s", to->sun_path);
	return 0;
}

int net_local_listen(const char *dir, const char *name, int *fd, struct err *e)
{
	struct sockaddr_un to;
	int dir_fd, made;

	TRY(local_address(dir, name, &to, &dir_fd, e));
	int rc = local_socket(&made, e);
	if (rc == 0 && (rc = bind_private(made, &to, e)) < 0)
		close(made);
	if (dir_fd >= 0)
		close(dir_fd);
	if (rc == 0)
		*fd = made;
	return rc;
}

int net_local_connect(const char *dir, const char *name, int *fd, struct err *e)
{
	struct sockaddr_un to;
	int dir_fd, made;

	TRY(local_address(dir, name, &to, &dir_fd, e));
	int rc = local_socket(&made, e);
	if (rc == 0 && connect(made, (const struct sockaddr *)&to, sizeof to) < 0) {
		bool nobody = errno == ECONNREFUSED || errno == ENOENT || errno == EAGAIN;
		rc = nobody ? err_set(e, ERR_NOTFOUND, "nobody listens at %.300s/%s", dir, name)
			    : err_errno(e, "connect to %.300s/%s", dir, name);
		close(made);
	} else if (rc == 0 && (rc = check_peer(made, true, NULL, e)) < 0) {
		close(made);
	}
	if (dir_fd >= 0)
		close(dir_fd);
	if (rc == 0)
		*fd = made;
	return rc;
}

int net_local_accept(int listener, int *fd, struct err *e)
{
	int made = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (made < 0)
		return err_set(e, ERR_UNAVAILABLE, "nobody waits: %s", strerror(errno));
	int rc = check_peer(made, false, NULL, e);
	if (rc < 0)
		close(made);
	else
		*fd = made;
	return rc;
}

int net_local_peer(int fd, uint32_t *uid, struct err *e) { return check_peer(fd, false, uid, e); }

/* Only the socket of a process that has ended gives way: never another kind of file. */
static int check_free(const char *path, const char *dir, const char *name, struct err *e)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "listen at %s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_CONFLICT, "listen at %s: there is a file that is no socket",
			       path);
	int rc = net_local_connect(dir, name, &fd, e);
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc < 0)
		return rc;
	close(fd);
	return err_set(e, ERR_CONFLICT, "listen at %s: another process does", path);
}

int net_local_claim(const char *path, int *fd, struct err *e)
{
	char dir[LIMIT_PATH_BYTES];
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	size_t len = slash ? (size_t)(slash - path) : 0;

	if (!*name || len >= sizeof dir || strlen(name) > 80)
		return err_set(e, ERR_INPUT, "listen at \"%.300s\": expected the path of a socket",
			       path);
	snprintf(dir, sizeof dir, "%.*s", (int)len, path);
	if (len == 0)
		snprintf(dir, sizeof dir, "%s", slash ? "/" : ".");
	TRY(check_free(path, dir, name, e));
	return net_local_listen(dir, name, fd, e);
}

/* ---- messages ---- */

static int64_t steady_ms(void) { return env_wait_us() / 1000; }

static int gone(struct err *e)
{
	return err_set(e, ERR_UNAVAILABLE, "the other end of the local socket is gone");
}

/* Until the descriptor is ready; end -1: for ever. */
static int wait_ready(int fd, short what, int64_t end, struct err *e)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = what };
		int64_t left = end < 0 ? -1 : end - steady_ms();
		if (end >= 0 && left < 0)
			left = 0;
		int n = poll(&p, 1, (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_errno(e, "local socket");
		if (n == 0)
			return err_set(e, ERR_UNAVAILABLE,
				       "the other end of the local socket does not answer");
	}
}

static int send_all(int fd, const char *bytes, size_t len, int64_t end, struct err *e)
{
	while (len > 0) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		} else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			TRY(wait_ready(fd, POLLOUT, end, e));
		} else if (n < 0 && errno != EINTR) {
			return gone(e);
		}
	}
	return 0;
}

int net_message_send(int fd, const void *bytes, size_t len, int whole_ms, struct err *e)
{
	int64_t end = steady_ms() + whole_ms;
	unsigned char head[4] = { (unsigned char)(len >> 24), (unsigned char)(len >> 16),
				  (unsigned char)(len >> 8), (unsigned char)len };

	if (len > UINT32_MAX)
		return err_set(e, ERR_INPUT, "a message of %zu bytes is too long", len);
	TRY(send_all(fd, (const char *)head, sizeof head, end, e));
	return send_all(fd, bytes, len, end, e);
}

/* At most `want` bytes, at least one. */
static ssize_t receive_some(int fd, void *to, size_t want, int64_t end, struct err *e)
{
	for (;;) {
		ssize_t n = recv(fd, to, want, 0);
		if (n > 0)
			return n;
		if (n == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK))
			return gone(e);
		if (errno != EINTR)
			TRY(wait_ready(fd, POLLIN, end, e));
	}
}

int net_message_receive(int fd, size_t bytes_max, int begin_ms, int whole_ms, struct buf *out,
			struct err *e)
{
	unsigned char head[4];
	int64_t end = begin_ms < 0 ? -1 : steady_ms() + begin_ms;

	for (size_t have = 0; have < sizeof head;) {
		ssize_t n = receive_some(fd, head + have, sizeof head - have, end, e);
		if (n < 0)
			return (int)n;
		if (have == 0)
			end = steady_ms() + whole_ms;
		have += (size_t)n;
	}
	size_t left =
		(size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (left > bytes_max)
		return err_set(e, ERR_INPUT, "a message of %zu bytes, the limit is %zu", left,
			       bytes_max);
	while (left > 0) {
		size_t want = left < KIB(64) ? left : KIB(64);
		char *to = buf_reserve(out, want);
		if (!to)
			return buf_done(out, e);
		ssize_t n = receive_some(fd, to, want, end, e);
		if (n < 0)
			return (int)n;
		out->len += (size_t)n;
		out->bytes[out->len] = '\0';
		left -= (size_t)n;
	}
	return 0;
}
