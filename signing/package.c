/* A package: one uncompressed tar file (ustar, with pax records where a name or a size needs them).
 *
 *     NAME                 the files that the manifest lists, model.sig among them
 *     .hallmark/NAME       what lies beside the model: the folder MODEL.hallmark
 *
 * written sorted by name bytes, mode 0644, owner and time 0, names that are not ASCII as raw bytes
 * (pax hdrcharset=BINARY). Folders have no entries of their own, but are accepted.
 *
 * Valid: regular files and folders only, whose names pass names.h as one set; contents without
 * holes; no more bytes than the caller allows. Whether the files are those that were signed is for
 * verification. */
#include "base/package.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/names.h"
#include "signing/signing.h"

#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXTRAS_PREFIX SIGNING_EXTRAS "/"
#define FOLDERS_MAX LIMIT_FILES
#define NAMES_BYTES_MAX \
	MIB(64) /* kept of names and the folders above them: length times depth each */

struct unpacking {
	struct archive *a;
	struct names *names;
	uint64_t bytes_left;
	size_t names_bytes, entries;
	bool writing;
	const char *dir;
	char extras[LIMIT_PATH_BYTES];
	int dir_fd, extras_fd; /* -1 until made */
};

/* One entry after its check: where it goes. */
struct entry {
	char name[LIMIT_PATH_BYTES]; /* without a folder's final slash */
	const char *below; /* the part of name below its root folder; "" is that folder itself */
	bool folder, extra;
	uint64_t bytes;
};

/* ---- one entry ------------------------------------------------------------------------------- */

static const char *kind_name(struct archive_entry *entry)
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

/* Name and kind into out. A folder may end in one slash. */
static int entry_name(struct archive_entry *entry, struct entry *out, struct err *e)
{
	const char *name = archive_entry_pathname(entry);
	size_t len = name ? strlen(name) : 0;
	const char *kind = kind_name(entry);
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
	out->extra =
		strcmp(out->name, SIGNING_EXTRAS) == 0 || text_starts(out->name, EXTRAS_PREFIX);
	out->below = out->extra ? out->name + strlen(SIGNING_EXTRAS) : out->name;
	out->below += *out->below == '/';
	if (!*out->below && !out->folder)
		return err_set(e, ERR_INPUT,
			       "\"" SIGNING_EXTRAS "\": a file where a folder is expected");
	return 0;
}

static int entry_count(struct unpacking *u, const struct entry *x, struct err *e)
{
	size_t depth = 1;
	for (const char *s = x->name; *s; s++)
		depth += *s == '/';
	u->names_bytes += strlen(x->name) * depth;
	if (u->names_bytes > NAMES_BYTES_MAX || ++u->entries > LIMIT_FILES + FOLDERS_MAX)
		return err_set(e, ERR_INPUT, "more names than a release may have");
	return 0;
}

/* Everything that a header can be refused for; reading and scanning both go through here. */
static int entry_check(struct unpacking *u, struct archive_entry *entry, struct entry *out,
		       struct err *e)
{
	TRY(entry_name(entry, out, e));
	TRY(entry_count(u, out, e));
	TRY(names_add(u->names, out->name, out->folder, e));
	if (archive_entry_sparse_count(entry) > 0)
		return err_set(e, ERR_INPUT, "\"%.200s\": a sparse file", out->name);
	int64_t bytes = archive_entry_size_is_set(entry) ? archive_entry_size(entry) : 0;
	if (bytes < 0 || (out->folder && bytes > 0))
		return err_set(e, ERR_INPUT, "\"%.200s\": impossible size", out->name);
	out->bytes = (uint64_t)bytes;
	if (out->bytes > u->bytes_left)
		return err_set(e, ERR_INPUT, "\"%.200s\": more bytes than the package may hold",
			       out->name);
	u->bytes_left -= out->bytes;
	return 0;
}

/* ---- writing below a new folder ---- */

static int make_root(const char *path, int *fd, struct err *e)
{
	if (mkdir(path, 0755) < 0)
		return errno == EEXIST ? err_set(e, ERR_CONFLICT, "%s exists already", path)
				       : err_errno(e, "make folder %s", path);
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *fd < 0 ? err_errno(e, "open folder %s", path) : 0;
}

/* Make and open the folders above the last component of name; *fd is the caller's, *last points
 * into name. */
static int open_parent(int root, const char *name, int *fd, const char **last, struct err *e)
{
	int at = fcntl(root, F_DUPFD_CLOEXEC, 0), result = 0;
	if (at < 0)
		return err_errno(e, "open a folder");
	for (const char *slash; result == 0 && (slash = strchr(name, '/')); name = slash + 1) {
		char part[LIMIT_NAME_BYTES + 1];
		snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
		int next = -1;
		if (mkdirat(at, part, 0755) == 0 || errno == EEXIST)
			next = openat(at, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			result = err_errno(e, "make folder %s", part);
		close(at);
		at = next;
	}
	*fd = at;
	*last = name;
	return result;
}

static int write_all(int fd, const char *bytes, size_t len, struct err *e)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "write a file of the package");
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Make the folder (fd stays -1) or the new file that the entry stands for. */
static int create(struct unpacking *u, const struct entry *x, int *fd, struct err *e)
{
	int parent = -1;
	const char *last = NULL;
	if (x->extra && u->extras_fd < 0)
		TRY(make_root(u->extras, &u->extras_fd, e));
	if (!*x->below)
		return 0;
	TRY(open_parent(x->extra ? u->extras_fd : u->dir_fd, x->below, &parent, &last, e));
	int result = 0;
	if (x->folder)
		result = mkdirat(parent, last, 0755) == 0 || errno == EEXIST
				 ? 0
				 : err_errno(e, "make folder %s", x->name);
	else if ((*fd = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			       0644)) < 0)
		result = err_errno(e, "create %s", x->name);
	close(parent);
	return result;
}

/* ---- the whole archive ---- */

/* Contents of one entry, to fd if there is one. They must be whole and without holes. */
static int copy_data(struct unpacking *u, const struct entry *x, int fd, struct err *e)
{
	uint64_t done = 0;
	for (;;) {
		const void *bytes = NULL;
		size_t len = 0;
		la_int64_t offset = 0;
		int rc = archive_read_data_block(u->a, &bytes, &len, &offset);
		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK)
			return package_error(u->a, "read", e);
		if (len == 0)
			continue;
		if ((uint64_t)offset != done || len > x->bytes - done)
			return err_set(e, ERR_INPUT, "\"%.200s\": a sparse file", x->name);
		if (fd >= 0)
			TRY(write_all(fd, bytes, len, e));
		done += len;
	}
	return done == x->bytes
		       ? 0
		       : err_set(e, ERR_INPUT, "\"%.200s\": ends early, or is sparse", x->name);
}

static int take_entry(struct unpacking *u, struct archive_entry *entry, struct err *e)
{
	struct entry x;
	int fd = -1;
	TRY(entry_check(u, entry, &x, e));
	if (u->writing)
		TRY(create(u, &x, &fd, e));
	int result = copy_data(u, &x, fd, e);
	if (fd >= 0 && close(fd) < 0 && result == 0)
		result = err_errno(e, "write %s", x.name);
	return result;
}

static int take_all(struct unpacking *u, struct err *e)
{
	for (;;) {
		struct archive_entry *entry = NULL;
		int rc = archive_read_next_header(u->a, &entry);
		if (rc == ARCHIVE_EOF)
			return u->entries ? 0 : err_set(e, ERR_INPUT, "the package is empty");
		if (rc != ARCHIVE_OK) /* a warning is a header that libarchive had to guess at */
			return package_error(u->a, "read", e);
		TRY(take_entry(u, entry, e));
	}
}

/* Only plain tar is read. What is often mistaken for it is refused by name. */
static int check_magic(const void *head, size_t len, struct err *e)
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
			return err_set(e, ERR_INPUT, "a %s file: packages are uncompressed tar",
				       known[i].name);
	}
	return 0;
}

/* From fd, or from memory if fd is negative. */
static int open_and_take(struct unpacking *u, int fd, const void *bytes, size_t len, struct err *e)
{
	struct package_locale locale = { .before = (locale_t)0 };
	u->a = archive_read_new();
	int result = u->a ? names_open(&u->names, e)
			  : err_set(e, ERR_NOMEM, "out of memory for a package");
	if (result == 0)
		result = package_locale_enter(&locale, e);
	if (result == 0) {
		int rc = archive_read_support_format_tar(u->a);
		if (rc == ARCHIVE_OK)
			rc = fd >= 0 ? archive_read_open_fd(u->a, fd, MIB(1))
				     : archive_read_open_memory(u->a, bytes, len);
		result = rc == ARCHIVE_OK ? take_all(u, e) : package_error(u->a, "read", e);
		package_locale_leave(&locale);
	}
	archive_read_free(u->a);
	names_close(u->names);
	return result;
}

int signing_package_scan(const void *bytes, size_t len, uint64_t bytes_max, struct err *e)
{
	struct unpacking u = { .bytes_left = bytes_max, .dir_fd = -1, .extras_fd = -1 };
	TRY(check_magic(bytes, len, e));
	return open_and_take(&u, -1, bytes, len, e);
}

static int open_package(const char *path, int *fd, struct err *e)
{
	struct stat st;
	char head[8];
	*fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0)
		return err_errno(e, "open %s", path);
	if (fstat(*fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, ERR_INPUT, "not a regular file");
	ssize_t n = pread(*fd, head, sizeof head, 0);
	return n < 0 ? err_errno(e, "read") : check_magic(head, (size_t)n, e);
}

/* out_dir without trailing slashes and its companion; neither may exist. */
static int check_target(struct unpacking *u, const char *out_dir, char dir[LIMIT_PATH_BYTES],
			struct err *e)
{
	size_t len = strlen(out_dir);
	struct stat st;
	while (len > 1 && out_dir[len - 1] == '/')
		len--;
	if (len + sizeof SIGNING_EXTRAS > LIMIT_PATH_BYTES)
		return err_set(e, ERR_INPUT, "path too long: %.200s...", out_dir);
	snprintf(dir, LIMIT_PATH_BYTES, "%.*s", (int)len, out_dir);
	snprintf(u->extras, sizeof u->extras, "%.*s" SIGNING_EXTRAS, (int)len, out_dir);
	u->dir = dir;
	return lstat(u->extras, &st) == 0 ? err_set(e, ERR_CONFLICT, "%s exists already", u->extras)
					  : 0;
}

/* After a failure, remove only what this call made. */
static void remove_made(const struct unpacking *u, bool made_dir)
{
	struct err ignored;
	if (u->extras_fd >= 0 && file_remove_tree(u->extras, &ignored) < 0)
		return;
	if (made_dir && file_remove_tree(u->dir, &ignored) < 0)
		return;
}

int signing_package_read(const char *path, const char *out_dir, uint64_t bytes_max, struct err *e)
{
	struct unpacking u = {
		.bytes_left = bytes_max, .writing = true, .dir_fd = -1, .extras_fd = -1
	};
	char dir[LIMIT_PATH_BYTES];
	int fd = -1, result = open_package(path, &fd, e);
	if (result == 0)
		result = check_target(&u, out_dir, dir, e);
	if (result == 0)
		result = make_root(dir, &u.dir_fd, e);
	if (result == 0)
		result = open_and_take(&u, fd, NULL, 0, e);
	if (result == 0 && syncfs(u.dir_fd) < 0) /* once for all files */
		result = err_errno(e, "write %s to disk", dir);
	if (result < 0)
		remove_made(&u, u.dir_fd >= 0);
	if (u.extras_fd >= 0)
		close(u.extras_fd);
	if (u.dir_fd >= 0)
		close(u.dir_fd);
	if (fd >= 0)
		close(fd);
	return result < 0 ? err_prefix(e, "%s", path) : 0;
}
