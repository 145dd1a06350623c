#include "base/source.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder's names are fixed when it is opened; each file is opened at its first use and kept open,
 * so that what was checked once and what is read later are the same file even if the name is moved
 * meanwhile. */
struct folder {
	struct source source;
	struct file_list list;
	char *label;
	int dir_fd;
	int *fds; /* [list.count], descriptor + 1; 0: not opened yet */
	pthread_mutex_t lock;
};

static int by_name(const void *key, const void *entry)
{
	return strcmp(key, *(char *const *)entry);
}

static int open_file(struct folder *f, const char *name, struct err *e)
{
	int fd = -1;
	struct stat st;
	TRY(file_open_below(f->dir_fd, name, O_RDONLY, &fd, e));
	int result = fd;
	if (fstat(fd, &st) < 0)
		result = err_errno(e, "stat %s", name);
	else if (!S_ISREG(st.st_mode))
		result = err_set(e, ERR_INPUT, "%s: is not a regular file", name);
	if (result < 0)
		close(fd);
	return result;
}

/* The file's descriptor, owned by the folder. */
static int folder_fd(struct folder *f, const char *name, struct err *e)
{
	char **at = bsearch(name, f->list.names, f->list.count, sizeof *f->list.names, by_name);
	if (!at)
		return err_set(e, ERR_NOTFOUND, "%s: no file %s", f->label, name);
	int *fd = &f->fds[at - f->list.names];
	pthread_mutex_lock(&f->lock);
	int result = *fd - 1;
	if (result < 0) {
		result = open_file(f, name, e);
		if (result >= 0)
			*fd = result + 1;
		else
			err_prefix(e, "%s", f->label);
	}
	pthread_mutex_unlock(&f->lock);
	return result;
}

static int folder_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	struct stat st;
	int fd = folder_fd((struct folder *)s, name, e);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_errno(e, "stat %s/%s", s->label, name);
	*bytes = (uint64_t)st.st_size;
	return 0;
}

static int folder_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		       struct err *e)
{
	int fd = folder_fd((struct folder *)s, name, e);
	if (fd < 0)
		return fd;
	if (offset > INT64_MAX || len > INT64_MAX - offset)
		return err_set(e, ERR_INPUT, "%s/%s: a range beyond any file", s->label, name);
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)out + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "read %s/%s", s->label, name);
		if (n == 0)
			return err_set(e, ERR_INPUT, "%s/%s: ends before byte %" PRIu64, s->label,
				       name, offset + len);
		done += (size_t)n;
	}
	return 0;
}

static const char *folder_name(struct source *s, size_t i)
{
	const struct file_list *l = &((struct folder *)s)->list;
	return i < l->count ? l->names[i] : NULL;
}

static void folder_close(struct source *s)
{
	struct folder *f = (struct folder *)s;
	for (size_t i = 0; f->fds && i < f->list.count; i++)
		if (f->fds[i] > 0)
			close(f->fds[i] - 1);
	if (f->dir_fd >= 0)
		close(f->dir_fd);
	file_list_free(&f->list);
	pthread_mutex_destroy(&f->lock);
	free(f->fds);
	free(f->label);
	free(f);
}

static const struct source_ops folder_ops = { folder_size, folder_read, folder_name, folder_close };

static int folder_fill(struct folder *f, const char *dir, struct err *e)
{
	f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd < 0)
		return err_errno(e, "open folder %s", dir);
	TRY(file_list(dir, &f->list, e));
	f->fds = calloc(f->list.count + 1, sizeof *f->fds);
	f->label = strdup(dir);
	if (!f->fds || !f->label)
		return err_set(e, ERR_NOMEM, "out of memory for folder %s", dir);
	f->source = (struct source){ .ops = &folder_ops, .label = f->label };
	return 0;
}

int source_open_folder(struct source **out, const char *dir, struct err *e)
{
	struct folder *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(e, ERR_NOMEM, "out of memory for folder %s", dir);
	f->dir_fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	int result = folder_fill(f, dir, e);
	if (result < 0) {
		folder_close(&f->source);
		return result;
	}
	*out = &f->source;
	return 0;
}

int source_read_file(struct source *s, const char *name, size_t bytes_max, struct buf *out,
		     struct err *e)
{
	uint64_t bytes = 0;
	TRY(source_size(s, name, &bytes, e));
	if (bytes > bytes_max)
		return err_set(e, ERR_INPUT, "%s/%s: %llu bytes, the limit is %zu", s->label, name,
			       (unsigned long long)bytes, bytes_max);
	char *to = buf_reserve(out, (size_t)bytes);
	if (!to)
		return buf_done(out, e);
	TRY(source_read(s, name, 0, to, (size_t)bytes, e));
	out->len += (size_t)bytes;
	return 0;
}

int source_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	return s->ops->size(s, name, bytes, e);
}

int source_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		struct err *e)
{
	return s->ops->read(s, name, offset, out, len, e);
}

const char *source_name(struct source *s, size_t i) { return s->ops->name(s, i); }

void source_close(struct source *s)
{
	if (s)
		s->ops->close(s);
}
