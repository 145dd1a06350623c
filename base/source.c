#include "base/hub_cache.h"
#include "base/limits.h"
#include "base/source_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Files kept open: more than the shards of any model, far fewer than a process may have. */
#define HELD_MAX 256

struct held {
	char *name;
	int fd;
	unsigned readers; /* while over 0, fd stays open */
	uint64_t used;
};

/* A folder as a source. A plain folder's names are fixed when it is opened. A file is opened at its
 * first use and kept open: then what was checked first and what is read later are the same file,
 * even if it is renamed in between, and the system's read-ahead continues. Beyond HELD_MAX files
 * the least recently used one is closed. */
struct folder {
	struct source source;
	struct file_list list;
	bool as_it_stands;
	char *label;
	int dir_fd;
	struct hub_cache *cache; /* NULL: no link is followed */
	struct held held[HELD_MAX];
	size_t helds;
	uint64_t uses;
	pthread_mutex_t lock; /* held */
};

static int by_name(const void *key, const void *entry)
{
	return strcmp(key, *(char *const *)entry);
}

static int open_file(struct folder *f, const char *name, int *fd, struct err *e)
{
	struct stat st;
	TRY(f->cache ? hub_cache_open(f->cache, name, fd, e)
		     : file_open_below(f->dir_fd, name, O_RDONLY, fd, e));
	int rc = 0;
	if (fstat(*fd, &st) < 0)
		rc = err_errno(e, "stat %s", name);
	else if (!S_ISREG(st.st_mode))
		rc = err_set(e, ERR_INPUT, "%s: is not a regular file", name);
	if (rc < 0)
		close(*fd);
	return rc;
}

/* A free slot, or that of the least recently used file. NULL: all are being read. */
static struct held *held_place(struct folder *f)
{
	struct held *oldest = NULL;
	if (f->helds < HELD_MAX)
		return &f->held[f->helds];
	for (size_t i = 0; i < HELD_MAX; i++) {
		struct held *h = &f->held[i];
		if (h->readers == 0 && (!oldest || h->used < oldest->used))
			oldest = h;
	}
	return oldest;
}

/* Called with the lock held. */
static int held_open(struct folder *f, const char *name, struct held **out, struct err *e)
{
	int fd = -1;
	struct held *h = held_place(f);
	if (!h)
		return err_set(e, ERR_UNAVAILABLE, "more than %d files are read at once", HELD_MAX);
	TRY(open_file(f, name, &fd, e));
	char *copy = strdup(name);
	if (!copy) {
		close(fd);
		return err_set(e, ERR_NOMEM, "out of memory for a file name");
	}
	if (h == &f->held[f->helds]) {
		f->helds++;
	} else {
		close(h->fd);
		free(h->name);
	}
	*h = (struct held){ .name = copy, .fd = fd };
	*out = h;
	return 0;
}

/* Open the file, or find it open, and keep it open until it is released. */
static int folder_hold(struct folder *f, const char *name, struct held **out, struct err *e)
{
	if (!f->as_it_stands &&
	    !bsearch(name, f->list.names, f->list.count, sizeof *f->list.names, by_name))
		return err_set(e, ERR_NOTFOUND, "%s: no file %s", f->label, name);
	pthread_mutex_lock(&f->lock);
	int rc = 0;
	struct held *h = NULL;
	for (size_t i = 0; !h && i < f->helds; i++)
		if (strcmp(f->held[i].name, name) == 0)
			h = &f->held[i];
	if (!h)
		rc = held_open(f, name, &h, e);
	if (rc == 0) {
		h->readers++;
		h->used = ++f->uses;
		*out = h;
	}
	pthread_mutex_unlock(&f->lock);
	if (rc < 0)
		err_prefix(e, "%s", f->label);
	return rc;
}

static void folder_let_go(struct folder *f, struct held *h)
{
	pthread_mutex_lock(&f->lock);
	h->readers--;
	pthread_mutex_unlock(&f->lock);
}

static int folder_state(struct source *s, const char *name, struct source_state *out, struct err *e)
{
	struct folder *f = (struct folder *)s;
	struct stat st;
	struct held *h = NULL;
	TRY(folder_hold(f, name, &h, e));
	int rc = fstat(h->fd, &st) < 0 ? err_errno(e, "stat %s/%s", s->label, name) : 0;
	folder_let_go(f, h);
	if (rc == 0)
		*out = source_state_of(&st);
	return rc;
}

static int folder_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	struct source_state state;
	TRY(folder_state(s, name, &state, e));
	*bytes = state.bytes;
	return 0;
}

static int folder_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
		       struct err *e)
{
	struct folder *f = (struct folder *)s;
	struct held *h = NULL;
	TRY(folder_hold(f, name, &h, e));
	int rc = source_pread(s, name, h->fd, offset, out, len, e);
	folder_let_go(f, h);
	return rc;
}

static int folder_list(struct source *s, const char *const *skip, size_t skips,
		       struct file_tree *out, struct err *e)
{
	struct folder *f = (struct folder *)s;
	int rc = file_walk(f->dir_fd, skip, skips, out, e);
	if (rc < 0)
		return err_prefix(e, "%s", s->label);
	for (size_t i = 0; f->cache && i < out->count; i++) {
		struct file_entry *entry = &out->entry[i];
		int fd = -1;
		if (entry->kind != FILE_LINK || open_file(f, entry->name, &fd, NULL) < 0)
			continue;
		close(fd);
		entry->kind = FILE_LINKED;
	}
	return 0;
}

/* Move the names out of a tree that holds only files. */
static int take_names(struct folder *f, struct file_tree *t, struct err *e)
{
	f->list.names = calloc(t->count + 1, sizeof *f->list.names);
	if (!f->list.names)
		return err_set(e, ERR_NOMEM, "out of memory for a list of files");
	for (size_t i = 0; i < t->count; i++) {
		TRY(source_entry_check(&f->source, &t->entry[i], e));
		f->list.names[f->list.count++] = t->entry[i].name;
		t->entry[i].name = NULL;
	}
	return 0;
}

static int fix_names(struct folder *f, struct err *e)
{
	struct file_tree t = { 0 };
	TRY(folder_list(&f->source, NULL, 0, &t, e));
	int rc = take_names(f, &t, e);
	file_tree_free(&t);
	return rc;
}

static const char *folder_name(struct source *s, size_t i)
{
	const struct file_list *l = &((struct folder *)s)->list;
	return i < l->count ? l->names[i] : NULL;
}

static void folder_close(struct source *s)
{
	struct folder *f = (struct folder *)s;
	for (size_t i = 0; i < f->helds; i++) {
		close(f->held[i].fd);
		free(f->held[i].name);
	}
	if (f->dir_fd >= 0)
		close(f->dir_fd);
	hub_cache_close(f->cache);
	file_list_free(&f->list);
	pthread_mutex_destroy(&f->lock);
	free(f->label);
	free(f);
}

static const struct source_ops folder_ops = {
	.size = folder_size,
	.read = folder_read,
	.name = folder_name,
	.close = folder_close,
	.list = folder_list,
	.state = folder_state,
};

static int folder_fill(struct folder *f, const char *dir, struct err *e)
{
	f->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd < 0)
		return err_errno(e, "open folder %s", dir);
	char *full = realpath(dir, NULL);
	if (!full)
		return err_errno(e, "open folder %s", dir);
	int rc = hub_cache_find(&f->cache, full, e);
	free(full);
	TRY(rc);
	f->label = strdup(dir);
	if (!f->label)
		return err_set(e, ERR_NOMEM, "out of memory for folder %s", dir);
	f->source = (struct source){ .ops = &folder_ops, .label = f->label };
	return 0;
}

static int folder_open(struct source **out, const char *dir, bool as_it_stands, struct err *e)
{
	struct folder *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(e, ERR_NOMEM, "out of memory for folder %s", dir);
	f->dir_fd = -1;
	f->as_it_stands = true;
	pthread_mutex_init(&f->lock, NULL);
	int rc = folder_fill(f, dir, e);
	if (rc == 0 && !as_it_stands)
		rc = fix_names(f, e);
	f->as_it_stands = as_it_stands;
	if (rc < 0) {
		folder_close(&f->source);
		return rc;
	}
	*out = &f->source;
	return 0;
}

int source_open_folder(struct source **out, const char *dir, struct err *e)
{
	return folder_open(out, dir, false, e);
}

int source_open_tree(struct source **out, const char *dir, struct err *e)
{
	return folder_open(out, dir, true, e);
}

/* As a folder, of which nothing is known but the names given. */
static const struct source_ops files_ops = {
	.size = folder_size,
	.read = folder_read,
	.name = folder_name,
	.close = folder_close,
	.state = folder_state,
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int keep_names(struct folder *f, const char *name, const char *const *beside, size_t count,
		      struct err *e)
{
	f->list.names = calloc(count + 2, sizeof *f->list.names);
	for (size_t i = 0; f->list.names && i <= count; i++) {
		const char *one = i == 0 ? name : beside[i - 1];
		if (i > 0 && strcmp(one, name) == 0)
			continue;
		f->list.names[f->list.count] = strdup(one);
		if (!f->list.names[f->list.count++])
			return err_set(e, ERR_NOMEM, "out of memory for a list of files");
	}
	if (!f->list.names)
		return err_set(e, ERR_NOMEM, "out of memory for a list of files");
	qsort(f->list.names, f->list.count, sizeof *f->list.names, by_text);
	return 0;
}

int source_open_files(struct source **out, const char *path, const char *const *beside,
		      size_t count, struct err *e)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char dir[LIMIT_PATH_BYTES];
	int stem = slash > path ? (int)(slash - path) : 1; /* "/" keeps its slash */
	int n = snprintf(dir, sizeof dir, "%.*s", stem, slash ? path : ".");
	if (n >= (int)sizeof dir)
		return err_set(e, ERR_INPUT, "path too long: %.200s", path);
	TRY(folder_open(out, dir, true, e));
	struct folder *f = (struct folder *)*out;
	int rc = keep_names(f, name, beside, count, e);
	f->as_it_stands = false;
	f->source.ops = &files_ops;
	if (rc < 0) {
		folder_close(*out);
		*out = NULL;
	}
	return rc;
}

/* ---- for every kind of source ---- */

int source_entry_check(struct source *s, const struct file_entry *f, struct err *e)
{
	uint64_t bytes;
	if (f->kind == FILE_REGULAR || f->kind == FILE_LINKED)
		return 0;
	if (f->kind == FILE_LINK)
		TRY(source_size(s, f->name, &bytes, e)); /* says why it is not followed */
	return err_set(e, ERR_INPUT, "%s: %.200s is %s; only regular files and folders are taken",
		       s->label, f->name, file_kind_name(f->kind));
}

struct source_state source_state_of(const struct stat *st)
{
	return (struct source_state){
		.device = st->st_dev,
		.inode = st->st_ino,
		.bytes = (uint64_t)st->st_size,
		.modified_ns = st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
		.changed_ns = st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
	};
}

int source_pread(const struct source *s, const char *name, int fd, uint64_t offset, void *out,
		 size_t len, struct err *e)
{
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

int source_is_pointer(struct source *s, const char *name, bool *pointer, struct err *e)
{
	static const char version[] = "version https://git-lfs.github.com/spec/v1\n";
	char head[sizeof version];
	uint64_t bytes = 0;
	*pointer = false;
	TRY(source_size(s, name, &bytes, e));
	if (bytes < sizeof head || bytes >= KIB(1))
		return 0;
	TRY(source_read(s, name, 0, head, sizeof head, e));
	*pointer = memcmp(head, version, sizeof version - 1) == 0;
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

/* Whether name is one of skip, or lies below one. */
static bool is_skipped(const char *name, const char *const *skip, size_t skips)
{
	for (size_t i = 0; i < skips; i++) {
		size_t n = strlen(skip[i]);
		if (strncmp(name, skip[i], n) == 0 && (name[n] == '\0' || name[n] == '/'))
			return true;
	}
	return false;
}

static int list_by_name(struct source *s, const char *const *skip, size_t skips,
			struct file_tree *out, struct err *e)
{
	const char *name;
	size_t names = 0;
	while (source_name(s, names))
		names++;
	*out = (struct file_tree){ .entry = calloc(names + 1, sizeof *out->entry) };
	if (!out->entry)
		return err_set(e, ERR_NOMEM, "out of memory for a list of files");
	for (size_t i = 0; (name = source_name(s, i)); i++) {
		if (is_skipped(name, skip, skips))
			continue;
		out->entry[out->count] = (struct file_entry){ strdup(name), FILE_REGULAR };
		if (!out->entry[out->count].name) {
			file_tree_free(out);
			return err_set(e, ERR_NOMEM, "out of memory for a list of files");
		}
		out->count++;
	}
	return 0;
}

int source_list(struct source *s, const char *const *skip, size_t skips, struct file_tree *out,
		struct err *e)
{
	return (s->ops->list ? s->ops->list : list_by_name)(s, skip, skips, out, e);
}

int source_state(struct source *s, const char *name, struct source_state *out, struct err *e)
{
	*out = (struct source_state){ 0 };
	return s->ops->state ? s->ops->state(s, name, out, e) : 0;
}

bool source_state_equal(const struct source_state *a, const struct source_state *b)
{
	return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
	       a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
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
