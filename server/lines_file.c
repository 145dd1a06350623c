/* Lines into standard error, a file, or the system's log. */
#include "server/lines.h"
#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 100
#define PIECE 4096u /* PIPE_BUF: so much goes into a pipe whole, whoever else writes there */

struct file_target {
	int fd;
	bool torn;                   /* a write ended within a line */
	bool whole;                  /* nobody else writes between two pieces */
	char path[LIMIT_PATH_BYTES]; /* "": standard error */
};

static int open_file(struct file_target *t, int *fd, struct err *e)
{
	/* A pipe that nobody reads yet is an error, and one that is full makes only lines late. */
	struct stat st;
	*fd = open(t->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
		   0640);
	if (*fd < 0)
		return err_errno(e, "%.300s", t->path);
	t->whole = fstat(*fd, &st) == 0 && S_ISREG(st.st_mode);
	return 0;
}

static int file_open(void **self, const char *rest, const struct env *env, struct err *e)
{
	struct file_target *t = *self = calloc(1, sizeof *t);
	(void)env;
	if (!t)
		return err_set(e, ERR_NOMEM, "out of memory");
	t->fd = STDERR_FILENO;
	if (strlen(rest) >= sizeof t->path)
		return err_set(e, ERR_USAGE, "--request-log: the path is too long");
	strcpy(t->path, rest);
	return *rest ? open_file(t, &t->fd, e) : 0;
}

/* As many whole lines as a piece holds, one at least. */
static size_t piece_of(const char *lines, size_t len)
{
	if (len <= PIECE)
		return len;
	const char *last = memrchr(lines, '\n', PIECE);
	if (!last)
		last = memchr(lines, '\n', len);
	return last ? (size_t)(last - lines) + 1 : len;
}

static int file_write(void *self, const char *lines, size_t len, bool (*is_late)(void *ctx),
		      void *ctx, struct err *e)
{
	struct file_target *t = self;
	if (t->torn && write(t->fd, "\n", 1) == 1)
		t->torn = false;
	while (len) {
		size_t most = t->whole ? len : piece_of(lines, len);
		struct pollfd ready = { .fd = t->fd, .events = POLLOUT };
		/* A pipe that takes a piece takes it at once: nothing here waits beyond an end. */
		if (poll(&ready, 1, WAIT_MS) == 0) {
			if (is_late(ctx))
				return err_set(e, ERR_UNAVAILABLE, "nobody reads it");
			continue;
		}
		ssize_t n = write(t->fd, lines, most);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return err_errno(e, "%.300s", *t->path ? t->path : "standard error");
		lines += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
		t->torn = n > 0 ? lines[-1] != '\n' : t->torn;
	}
	return 0;
}

/* Where the new one cannot be opened the old one is written to. */
static int file_reopen(void *self, struct err *e)
{
	struct file_target *t = self;
	int fd;
	if (!*t->path)
		return 0;
	TRY(open_file(t, &fd, e));
	close(t->fd);
	t->fd = fd;
	return 0;
}

static void file_close(void *self)
{
	struct file_target *t = self;
	if (*t->path && t->fd >= 0)
		close(t->fd);
	free(t);
}

const struct server_lines_target server_lines_file = { file_open, file_write, file_reopen,
						       file_close };

/* ---- syslog: a datagram for each line, RFC 5424 ---- */

struct syslog_target {
	int fd; /* -1: not connected */
	const struct env *env;
	struct sockaddr_un address;
	char host[256];
};

static int syslog_connect(struct syslog_target *t, struct err *e)
{
	if (t->fd >= 0)
		return 0;
	t->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (t->fd >= 0 && connect(t->fd, (struct sockaddr *)&t->address, sizeof t->address) == 0)
		return 0;
	int rc = err_errno(e, "syslog %s", t->address.sun_path);
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	return rc;
}

static int syslog_open(void **self, const char *rest, const struct env *env, struct err *e)
{
	struct syslog_target *t = *self = calloc(1, sizeof *t);
	if (!t)
		return err_set(e, ERR_NOMEM, "out of memory");
	const char *path = *rest ? rest : "/dev/log";
	t->fd = -1;
	t->env = env;
	t->address.sun_family = AF_UNIX;
	if (strlen(path) >= sizeof t->address.sun_path)
		return err_set(e, ERR_USAGE, "--request-log syslog:SOCKET: the path is too long");
	strcpy(t->address.sun_path, path);
	if (gethostname(t->host, sizeof t->host - 1) < 0 || !t->host[0])
		strcpy(t->host, "-");
	return syslog_connect(t, e);
}

/* <30>1 2026-11-30T15:00:00.123456Z HOST hallmark PID request - {...}: facility daemon, severity
 * informational. */
static void frame(const struct syslog_target *t, const char *line, size_t len, struct buf *out)
{
	struct tm tm;
	char at[40] = "-";
	int64_t now = env_now_us(t->env);
	time_t seconds = (time_t)(now / 1000000);
	size_t n = gmtime_r(&seconds, &tm) ? strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%S", &tm) : 0;
	buf_clear(out);
	buf_printf(out, "<30>1 %s", n ? at : "-");
	if (n)
		buf_printf(out, ".%06dZ", (int)(now % 1000000));
	buf_printf(out, " %s hallmark %ld request - ", t->host, (long)getpid());
	buf_add(out, line, len);
}

/* A daemon that was started again has another socket. */
static int send_line(struct syslog_target *t, const struct buf *out, bool (*is_late)(void *ctx),
		     void *ctx, struct err *e)
{
	for (int tries = 0; tries < 2;) {
		TRY(syslog_connect(t, e));
		if (send(t->fd, out->bytes, out->len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if ((errno == EAGAIN || errno == ENOBUFS || errno == EINTR) && !is_late(ctx)) {
			nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
			continue;
		}
		(void)!err_errno(e, "syslog %s", t->address.sun_path);
		close(t->fd);
		t->fd = -1;
		tries++;
	}
	return ERR_IO;
}

static int syslog_write(void *self, const char *lines, size_t len, bool (*is_late)(void *ctx),
			void *ctx, struct err *e)
{
	struct syslog_target *t = self;
	struct buf out = { 0 };
	int rc = 0;
	for (const char *end = lines + len; rc == 0 && lines < end;) {
		const char *stop = memchr(lines, '\n', (size_t)(end - lines));
		size_t n = (size_t)((stop ? stop : end) - lines);
		frame(t, lines, n, &out);
		rc = buf_done(&out, e);
		if (rc == 0)
			rc = send_line(t, &out, is_late, ctx, e);
		lines += n + 1;
	}
	buf_free(&out);
	return rc;
}

static void syslog_close(void *self)
{
	struct syslog_target *t = self;
	if (t->fd >= 0)
		close(t->fd);
	free(t);
}

const struct server_lines_target server_lines_syslog = { syslog_open, syslog_write, NULL,
							 syslog_close };
