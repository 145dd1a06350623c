/* A package: one uncompressed tar file (ustar, with pax records where a name or a size needs them).
 *
 *     NAME          the files of the model
 *     APART/NAME    what lies beside the model, in the folder that the caller names
 *
 * Names are raw bytes, those that are not ASCII too. Folders may have entries of their own.
 *
 * Valid: regular files and folders only, whose names pass names.h as one set; contents without
 * holes, each in one piece within the file; behind the last one nothing but zeros. Whether the
 * files are those that were signed is for verification.
 *
 * Only the headers are read when a package is opened, by libarchive, which skips contents by
 * seeking. Where an entry's bytes lie is told by libarchive twice, before the entry is read and by
 * where the next header begins; both must agree, and the bytes that libarchive gives first must be
 * those that lie there. */
#include "base/limits.h"
#include "base/names.h"
#include "base/package.h"
#include "base/source_fd.h"

#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES KIB(64) /* read for a header; libarchive seeks over whole ones */
#define TAR_BLOCK 512u
#define PADDING_MAX MIB(1) /* records of tar are 10 KiB, or what -b says */
#define HEAD_BYTES 262 /* to the end of "ustar" in the first header */
#define FOLDERS_MAX LIMIT_FILES
/* Kept of names and the folders above them: length times depth each. */
#define NAMES_BYTES_MAX MIB(64)

struct package_file {
	char *name;
	uint64_t at, bytes; /* in the tar file */
};

struct package {
	struct source source;
	char *label;
	int fd;
	struct package_file *file; /* sorted by name */
	size_t count;
};

/* An entry after its check. */
struct entry {
	char name[LIMIT_PATH_BYTES]; /* without a folder's final slash */
	bool folder;
	uint64_t at, bytes;
};

/* A package whose headers are being read. */
struct indexing {
	struct archive *a;
	struct names *names;
	struct package *main, *beside;
	const char *apart; /* or NULL */
	uint64_t tar_bytes;
	bool ustar; /* as the first header says of itself */
	size_t names_bytes, entries;
	struct entry last; /* where the next header begins says whether it was in one piece */
};

/* ---- one entry ---- */

static const char *entry_kind(struct archive_entry *entry)
{
	if (archive_entry_hardlink(entry))
		return "a hard link";
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
	case AE_IFDIR:
		return NULL;
	case AE_IFLNK:
		return "a symbolic link";
	case AE_IFCHR:
	case AE_IFBLK:
		return "a device";
	case AE_IFIFO:
		return "a FIFO";
	default:
		return "of an unknown kind";
	}
}

/* Whether an entry is the folder of what lies beside the model, or below it: the number of bytes
 * before its name there, else 0. */
static size_t apart_bytes(const struct indexing *x, const char *name)
{
	size_t n = x->apart ? strlen(x->apart) : 0;
	if (n == 0 || strncmp(name, x->apart, n) != 0)
		return 0;
	return name[n] == '\0' ? n : name[n] == '/' ? n + 1 : 0;
}

/* Name and kind into out. A folder may end in one slash. */
static int entry_name(const struct indexing *x, struct archive_entry *entry, struct entry *out,
		      struct err *e)
{
	const char *name = archive_entry_pathname(entry);
	size_t len = name ? strlen(name) : 0;
	const char *kind = entry_kind(entry);
	out->folder = archive_entry_filetype(entry) == AE_IFDIR;
	if (out->folder && len > 1 && name[len - 1] == '/')
		len--;
	if (len == 0 || len >= sizeof out->name)
		return err_set(e, ERR_INPUT, "an entry with a name of %zu bytes", len);
	memcpy(out->name, name, len);
	out->name[len] = '\0';
	TRY(name_check(out->name, len, e));
	if (kind)
		return err_set(e, ERR_INPUT, "\"%.200s\": %s", out->name, kind);
	if (!out->folder && x->apart && strcmp(out->name, x->apart) == 0)
		return err_set(e, ERR_INPUT, "\"%s\": a file where a folder is expected", x->apart);
	return 0;
}

static int entry_count(struct indexing *x, const struct entry *entry, struct err *e)
{
	size_t depth = 1;
	for (const char *s = entry->name; *s; s++)
		depth += *s == '/';
	x->names_bytes += strlen(entry->name) * depth;
	if (x->names_bytes > NAMES_BYTES_MAX || ++x->entries > LIMIT_FILES + FOLDERS_MAX)
		return err_set(e, ERR_INPUT, "more names than a release may have");
	return 0;
}

/* Everything that a header can be refused for. */
static int entry_check(struct indexing *x, struct archive_entry *entry, struct entry *out,
		       struct err *e)
{
	TRY(entry_name(x, entry, out, e));
	TRY(entry_count(x, out, e));
	TRY(names_add(x->names, out->name, out->folder, e));
	if (archive_entry_sparse_count(entry) > 0)
		return err_set(e, ERR_INPUT, "\"%.200s\": a sparse file", out->name);
	int64_t bytes = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
	int64_t at = archive_filter_bytes(x->a, 0);
	if (bytes < 0 || at < 0 || (out->folder && bytes > 0))
		return err_set(e, ERR_INPUT, "\"%.200s\": impossible size", out->name);
	out->at = (uint64_t)at;
	out->bytes = (uint64_t)bytes;
	if (out->at > x->tar_bytes || out->bytes > x->tar_bytes - out->at)
		return err_set(e, ERR_INPUT, "\"%.200s\": more bytes than the package has",
			       out->name);
	return 0;
}

/* What libarchive takes for the beginning of the contents must lie where we will read them. */
static int entry_compare(struct indexing *x, const struct entry *entry, struct err *e)
{
	const void *bytes = NULL;
	size_t len = 0;
	la_int64_t offset = 0;
	char here[4096];
	if (entry->bytes == 0)
		return 0;
	if (archive_read_data_block(x->a, &bytes, &len, &offset) != ARCHIVE_OK)
		return package_error(x->a, "read", e);
	if (offset != 0 || len == 0 || len > entry->bytes)
		return err_set(e, ERR_INPUT, "\"%.200s\": a sparse file", entry->name);
	len = len < sizeof here ? len : sizeof here;
	TRY(source_pread(&x->main->source, entry->name, x->main->fd, entry->at, here, len, e));
	if (memcmp(here, bytes, len) != 0)
		return err_set(e, ERR_INPUT, "\"%.200s\": not in one piece", entry->name);
	return 0;
}

/* After the next header was looked for: the entry before it ended where it should. */
static int entry_ended(const struct indexing *x, struct err *e)
{
	const struct entry *last = &x->last;
	uint64_t padding = (TAR_BLOCK - last->bytes % TAR_BLOCK) % TAR_BLOCK;
	if (x->entries == 0 || last->folder)
		return 0;
	if (last->bytes + padding > x->tar_bytes - last->at)
		return err_set(e, ERR_INPUT, "\"%.200s\": ends early", last->name);
	if ((uint64_t)archive_read_header_position(x->a) != last->at + last->bytes + padding)
		return err_set(e, ERR_INPUT, "\"%.200s\": ends early, or is sparse", last->name);
	return 0;
}

/* Behind the last entry come the end marker and padding: zeros. What followed them would be in the
 * package and in no listing of it. */
static int end_check(const struct indexing *x, struct err *e)
{
	const struct entry *last = &x->last;
	uint64_t at = last->at + last->bytes + (TAR_BLOCK - last->bytes % TAR_BLOCK) % TAR_BLOCK;
	char block[4096];
	if (at < x->tar_bytes && x->tar_bytes - at > PADDING_MAX)
		return err_set(e, ERR_INPUT, "%llu bytes behind the last entry",
			       (unsigned long long)(x->tar_bytes - at));
	while (at < x->tar_bytes) {
		size_t len = x->tar_bytes - at < sizeof block ? (size_t)(x->tar_bytes - at)
							      : sizeof block;
		TRY(source_pread(&x->main->source, "", x->main->fd, at, block, len, e));
		for (size_t i = 0; i < len; i++)
			if (block[i])
				return err_set(e, ERR_INPUT, "bytes behind its end marker");
		at += len;
	}
	return 0;
}

static int file_add(struct package *p, const char *name, const struct entry *entry, struct err *e)
{
	if (p->count % 256 == 0) {
		struct package_file *file = realloc(p->file, (p->count + 256) * sizeof *file);
		if (!file)
			return err_set(e, ERR_NOMEM, "out of memory for a package");
		p->file = file;
	}
	char *copy = strdup(name);
	if (!copy)
		return err_set(e, ERR_NOMEM, "out of memory for a package");
	p->file[p->count++] = (struct package_file){ copy, entry->at, entry->bytes };
	return 0;
}

static int entry_take(struct indexing *x, struct archive_entry *entry, struct err *e)
{
	TRY(entry_check(x, entry, &x->last, e));
	TRY(entry_compare(x, &x->last, e));
	if (x->last.folder)
		return 0;
	size_t apart = apart_bytes(x, x->last.name);
	return file_add(apart ? x->beside : x->main, x->last.name + apart, &x->last, e);
}

/* ---- all headers ---- */

/* What never was a package was not checked: another code than that of a damaged one. */
static int no_package(const char *kind, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
		       "no package but %s %s file: a package is one uncompressed tar",
		       strchr("aeiou", kind[0]) ? "an" : "a", kind);
}

static int headers_read(struct indexing *x, struct err *e)
{
	for (;;) {
		struct archive_entry *entry = NULL;
		int rc = archive_read_next_header(x->a, &entry);
		if (rc != ARCHIVE_EOF && rc != ARCHIVE_OK) /* a warning is a guessed header */
			return package_error(x->a, "read", e);
		TRY(entry_ended(x, e));
		if (rc == ARCHIVE_EOF)
			return x->entries ? end_check(x, e)
					  : no_package("empty", e);
		TRY(entry_take(x, entry, e));
	}
}

/* Only plain tar is read. What is often mistaken for it is refused by name. */
static int magic_check(const char *head, size_t len, bool *ustar, struct err *e)
{
	static const struct {
		const char *magic, *name;
	} known[] = {
		{ "\x1f\x8b", "gzip" },
		{ "BZh", "bzip2" },
		{ "\xfd"
		  "7zXZ",
		  "xz" },
		{ "\x28\xb5\x2f\xfd", "zstd" },
		{ "PK\x03\x04", "zip" },
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t n = strlen(known[i].magic);
		if (len >= n && memcmp(head, known[i].magic, n) == 0)
			return no_package(known[i].name, e);
	}
	*ustar = len == HEAD_BYTES && memcmp(head + HEAD_BYTES - 5, "ustar", 5) == 0;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct package_file *)a)->name,
		      ((const struct package_file *)b)->name);
}

static void files_sort(struct package *p)
{
	if (p->count)
		qsort(p->file, p->count, sizeof *p->file, by_name);
}

static int package_index(struct indexing *x, struct err *e)
{
	struct package_locale locale = { .before = (locale_t)0 };
	bool inside = false;
	int rc = 0;
	x->a = archive_read_new();
	if (!x->a) {
		rc = err_set(e, ERR_NOMEM, "out of memory for a package");
		goto out;
	}
	TRY_OUT(names_open(&x->names, e));
	TRY_OUT(package_locale_enter(&locale, e));
	inside = true;
	if (archive_read_support_format_tar(x->a) != ARCHIVE_OK ||
	    archive_read_open_fd(x->a, x->main->fd, BLOCK_BYTES) != ARCHIVE_OK) {
		rc = package_error(x->a, "read", e);
		goto out;
	}
	TRY_OUT(headers_read(x, e));
	files_sort(x->main);
	files_sort(x->beside);
out:
	if (rc == ERR_INPUT && x->entries == 0 && !x->ustar)
		rc = no_package(x->tar_bytes ? "foreign" : "empty", e);
	if (inside)
		package_locale_leave(&locale);
	archive_read_free(x->a);
	names_close(x->names);
	return rc;
}

/* ---- the source ---- */

static int by_key(const void *key, const void *file)
{
	return strcmp(key, ((const struct package_file *)file)->name);
}

static int package_find(struct source *s, const char *name, const struct package_file **out,
			struct err *e)
{
	const struct package *p = (const struct package *)s;
	*out = p->count ? bsearch(name, p->file, p->count, sizeof *p->file, by_key) : NULL;
	return *out ? 0 : err_set(e, ERR_NOTFOUND, "%s: no file %s", s->label, name);
}

static int package_size(struct source *s, const char *name, uint64_t *bytes, struct err *e)
{
	const struct package_file *file;
	TRY(package_find(s, name, &file, e));
	*bytes = file->bytes;
	return 0;
}

static int package_read(struct source *s, const char *name, uint64_t offset, void *out, size_t len,
			struct err *e)
{
	const struct package_file *file;
	TRY(package_find(s, name, &file, e));
	if (offset > file->bytes || len > file->bytes - offset)
		return err_set(e, ERR_INPUT, "%s/%s: ends before byte %llu", s->label, name,
			       (unsigned long long)offset + len);
	return source_pread(s, name, ((struct package *)s)->fd, file->at + offset, out, len, e);
}

static const char *package_name(struct source *s, size_t i)
{
	const struct package *p = (const struct package *)s;
	return i < p->count ? p->file[i].name : NULL;
}

static int package_state(struct source *s, const char *name, struct source_state *out,
			 struct err *e)
{
	const struct package_file *file;
	struct stat st;
	TRY(package_find(s, name, &file, e));
	if (fstat(((struct package *)s)->fd, &st) < 0)
		return err_errno(e, "stat %s", s->label);
	*out = source_state_of(&st);
	return 0;
}

static void package_close(struct source *s)
{
	struct package *p = (struct package *)s;
	for (size_t i = 0; i < p->count; i++)
		free(p->file[i].name);
	free(p->file);
	if (p->fd >= 0)
		close(p->fd);
	free(p->label);
	free(p);
}

static const struct source_ops package_ops = {
	.size = package_size,
	.read = package_read,
	.name = package_name,
	.close = package_close,
	.state = package_state,
};

static int package_make(struct package **out, const char *label, struct err *e)
{
	struct package *p = calloc(1, sizeof *p);
	if (p) {
		p->fd = -1;
		p->label = strdup(label);
	}
	if (!p || !p->label) {
		free(p);
		return err_set(e, ERR_NOMEM, "out of memory for a package");
	}
	p->source = (struct source){ .ops = &package_ops, .label = p->label };
	*out = p;
	return 0;
}

static int package_open(struct indexing *x, const char *path, struct err *e)
{
	struct package *p = x->main;
	struct stat st;
	char head[HEAD_BYTES];
	p->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (p->fd < 0)
		return err_errno(e, "open");
	if (fstat(p->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_UNSUPPORTED, "no package: not a regular file");
	x->tar_bytes = (uint64_t)st.st_size;
	ssize_t n = pread(p->fd, head, sizeof head, 0);
	return n < 0 ? err_errno(e, "read") : magic_check(head, (size_t)n, &x->ustar, e);
}

int source_open_package(struct source **out, struct source **beside, const char *path,
			const char *apart, struct err *e)
{
	struct indexing x = { .apart = apart };
	int rc = 0;
	TRY_OUT(package_make(&x.main, path, e));
	TRY_OUT(package_make(&x.beside, path, e));
	TRY_OUT(package_open(&x, path, e));
	TRY_OUT(package_index(&x, e));
	if (x.beside->count) {
		x.beside->fd = fcntl(x.main->fd, F_DUPFD_CLOEXEC, 0);
		if (x.beside->fd < 0)
			TRY_OUT(err_errno(e, "open"));
		*beside = &x.beside->source;
	} else {
		package_close(&x.beside->source);
		if (beside)
			*beside = NULL;
	}
	*out = &x.main->source;
	return 0;
out:
	if (x.main)
		package_close(&x.main->source);
	if (x.beside)
		package_close(&x.beside->source);
	err_prefix(e, "%s", path);
	return rc;
}
