/* Writing a package: the same content gives the same bytes. source_package.c of base tells the
 * format. */
#include "base/file.h"
#include "base/limits.h"
#include "base/names.h"
#include "base/package.h"
#include "signing/load.h"

#include <archive_entry.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES MIB(1)

/* One file to pack. */
struct item {
	char *name;                         /* in the package */
	const char *below;                  /* in its source, pointing into name */
	struct source *source;              /* borrowed */
	const struct digest *signed_digest; /* or NULL */
};

struct packing {
	struct archive *a;
	struct item *item;
	size_t count;
	struct names *names;
	struct sha256 *sha256;
	char *block; /* [BLOCK_BYTES] */
};

static int add_item(struct packing *p, const char *prefix, const char *name, struct source *source,
		    const struct digest *d, struct err *e)
{
	if (p->count % 256 == 0) {
		struct item *item = realloc(p->item, (p->count + 256) * sizeof *item);
		if (!item)
			return err_set(e, ERR_NOMEM, "out of memory for a package");
		p->item = item;
	}
	char *full = NULL;
	if (asprintf(&full, "%s%s", prefix, name) < 0)
		return err_set(e, ERR_NOMEM, "out of memory for a package");
	p->item[p->count++] = (struct item){ full, full + strlen(prefix), source, d };
	return names_add(p->names, full, false, e);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->name, ((const struct item *)b)->name);
}

static int collect(struct packing *p, const struct signing_package *what, struct err *e)
{
	const struct signing_manifest *m = what->manifest;
	for (size_t i = 0; i < m->file_count; i++)
		TRY(add_item(p, "", m->file[i].name, what->model, &m->file[i].digest, e));
	TRY(add_item(p, "", SIGNING_BUNDLE, what->model, NULL, e));
	for (size_t i = 0; i < what->extras; i++)
		TRY(add_item(p, SIGNING_EXTRAS "/", what->extra[i], what->beside, NULL, e));
	qsort(p->item, p->count, sizeof *p->item, by_name);
	return 0;
}

static int write_header(struct packing *p, const char *name, uint64_t bytes, struct err *e)
{
	struct archive_entry *entry = archive_entry_new();
	if (!entry)
		return err_set(e, ERR_NOMEM, "out of memory for a package");
	archive_entry_set_pathname(entry, name);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, 0644);
	archive_entry_set_size(entry, (la_int64_t)bytes);
	archive_entry_set_mtime(entry, 0, 0);
	int rc = archive_write_header(p->a, entry);
	archive_entry_free(entry);
	return rc == ARCHIVE_OK ? 0 : package_error(p->a, "write", e);
}

static int write_item(struct packing *p, const struct item *x, struct err *e)
{
	uint64_t bytes = 0;
	TRY(source_size(x->source, x->below, &bytes, e));
	TRY(write_header(p, x->name, bytes, e));
	for (uint64_t done = 0; done < bytes;) {
		size_t len = bytes - done < BLOCK_BYTES ? (size_t)(bytes - done) : BLOCK_BYTES;
		TRY(signing_read(x->source, x->below, done, p->block, len, e));
		sha256_add(p->sha256, p->block, len);
		if (archive_write_data(p->a, p->block, len) != (la_ssize_t)len)
			return package_error(p->a, "write", e);
		done += len;
	}
	struct digest found = sha256_take(p->sha256);
	if (x->signed_digest && !digest_equal(&found, x->signed_digest))
		return err_set(e, ERR_VERIFY, "%s: not the bytes that were signed", x->name);
	return 0;
}

/* A reader of UTF-8 composes names, so that one in another normal form comes back changed. The
 * option that keeps names as raw bytes puts a pax record before every entry, of which tar warns:
 * only where such a name is. */
static bool all_composed(const struct packing *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (!name_composed(p->item[i].name))
			return false;
	return true;
}

static int write_archive(struct packing *p, int fd, struct err *e)
{
	p->a = archive_write_new();
	if (!p->a)
		return err_set(e, ERR_NOMEM, "out of memory for a package");
	if (archive_write_set_format_pax_restricted(p->a) != ARCHIVE_OK ||
	    (!all_composed(p) &&
	     archive_write_set_format_option(p->a, "pax", "hdrcharset", "BINARY") != ARCHIVE_OK) ||
	    archive_write_open_fd(p->a, fd) != ARCHIVE_OK)
		return package_error(p->a, "write", e);
	for (size_t i = 0; i < p->count; i++)
		TRY(write_item(p, &p->item[i], e));
	return archive_write_close(p->a) == ARCHIVE_OK ? 0 : package_error(p->a, "write", e);
}

/* Write to PATH.new, which only becomes PATH when it is whole and on disk. */
static int write_file(struct packing *p, const char *path, struct err *e)
{
	struct package_locale locale = { .before = (locale_t)0 };
	char part[LIMIT_PATH_BYTES];
	if (snprintf(part, sizeof part, "%s.new", path) >= (int)sizeof part)
		return err_set(e, ERR_INPUT, "path too long: %.200s...", path);
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, "create %s", part);
	int result = package_locale_enter(&locale, e);
	if (result == 0) {
		result = write_archive(p, fd, e);
		archive_write_free(p->a);
		package_locale_leave(&locale);
	}
	if (result == 0 && fsync(fd) < 0)
		result = err_errno(e, "write %s to disk", part);
	if (close(fd) < 0 && result == 0)
		result = err_errno(e, "write %s", part);
	if (result == 0)
		result = file_rename_durable(part, path, e);
	if (result < 0)
		unlink(part);
	return result;
}

/* The bundle beside the files must be the one whose manifest is packed. */
static int check_bundle(const struct signing_package *p, struct err *e)
{
	struct buf text = { 0 };
	struct signing_manifest own = { .file = NULL };
	int rc = 0;
	TRY_OUT(source_read_file(p->model, SIGNING_BUNDLE, LIMIT_MANIFEST_BYTES, &text, e));
	TRY_OUT(signing_bundle_open(text.bytes, text.len, NULL, &own, e));
	if (own.payload.len != p->manifest->payload.len ||
	    memcmp(own.payload.bytes, p->manifest->payload.bytes, own.payload.len) != 0)
		rc = err_set(e, ERR_VERIFY, "%s/" SIGNING_BUNDLE ": signs another manifest",
			     p->model->label);
out:
	signing_manifest_free(&own);
	buf_free(&text);
	return rc;
}

int signing_package_write(const char *path, const struct signing_package *what, struct err *e)
{
	struct packing p = { .block = malloc(BLOCK_BYTES) };
	int rc = 0;
	if (!p.block) {
		rc = err_set(e, ERR_NOMEM, "out of memory for a package");
		goto out;
	}
	TRY_OUT(names_open(&p.names, e));
	TRY_OUT(sha256_open(&p.sha256, e));
	TRY_OUT(check_bundle(what, e));
	TRY_OUT(collect(&p, what, e));
	TRY_OUT(write_file(&p, path, e));
out:
	for (size_t i = 0; i < p.count; i++)
		free(p.item[i].name);
	free(p.item);
	free(p.block);
	sha256_close(p.sha256);
	names_close(p.names);
	if (rc < 0)
		err_prefix(e, "package %s", path);
	return rc;
}
