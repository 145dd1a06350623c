/* Tiles and entry bundles (C2SP tlog-tiles).
 *
 *   tile/<L>/<N>[.p/<W>]        W (else 256) hashes of 32 bytes: roots of subtrees of height 8 * L
 *   tile/entries/<N>[.p/<W>]    W (else 256) entries, each after its length as u16 big-endian
 *   <N>                         groups of three digits, all but the last with an 'x': 1234067 is
 *                               x001/x234/067
 *
 *   tmp/                        files not yet linked into place; emptied when the log is opened
 *
 * A tile is immutable. Partial tiles of every published size stay until the full tile exists. A
 * tile is right when its subtree's root is the hash above it, and so on up to the signed root. */
#include "audit/tile.h"

#include "base/check.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned audit_tile_width(uint64_t size, int level, uint64_t n)
{
	int height = level > 0 ? 8 * level : 0;
	uint64_t hashes = size >> height, begin = n * TILE_FULL;

	if (hashes <= begin)
		return 0;
	return hashes - begin < TILE_FULL ? (unsigned)(hashes - begin) : TILE_FULL;
}

/* ---- paths ---- */

void audit_tile_path(const struct tile *t, char out[TILE_PATH_ROOM])
{
	int groups = 1, at;
	uint64_t top = 1;

	if (t->level == TILE_ENTRIES)
		at = snprintf(out, TILE_PATH_ROOM, "tile/entries/");
	else
		at = snprintf(out, TILE_PATH_ROOM, "tile/%d/", t->level);
	for (uint64_t rest = t->n / 1000; rest; rest /= 1000, groups++)
		top *= 1000;
	for (; groups > 1; groups--, top /= 1000)
		at += snprintf(out + at, (size_t)(TILE_PATH_ROOM - at), "x%03u/",
			       (unsigned)(t->n / top % 1000));
	at += snprintf(out + at, (size_t)(TILE_PATH_ROOM - at), "%03u", (unsigned)(t->n % 1000));
	if (t->width < TILE_FULL)
		snprintf(out + at, (size_t)(TILE_PATH_ROOM - at), ".p/%u", t->width);
}

/* Reads loosely; audit_tile_path_parse then compares with the one right spelling. */
static bool parse_number(const char *s, struct tile *out)
{
	for (;; s++) {
		bool more = *s == 'x';
		s += more;
		for (int i = 0; i < 3; i++, s++) {
			if (*s < '0' || *s > '9' || out->n > (UINT64_MAX - 9) / 10)
				return false;
			out->n = out->n * 10 + (uint64_t)(*s - '0');
		}
		if (!more)
			break;
		if (*s != '/')
			return false;
	}
	out->width = TILE_FULL;
	if (*s == 0)
		return true;
	if (strncmp(s, ".p/", 3) != 0 || strlen(s + 3) > 3)
		return false;
	out->width = (unsigned)strtoul(s + 3, NULL, 10);
	return out->width >= 1 && out->width < TILE_FULL;
}

bool audit_tile_path_parse(const char *path, struct tile *out)
{
	char again[TILE_PATH_ROOM];

	*out = (struct tile){ .level = TILE_ENTRIES };
	if (strlen(path) >= TILE_PATH_ROOM)
		return false;
	if (text_starts(path, "tile/entries/")) {
		path += strlen("tile/entries/");
	} else if (text_starts(path, "tile/") && path[5] >= '0' && path[5] < '0' + TILE_LEVELS &&
		   path[6] == '/') {
		out->level = path[5] - '0';
		path += 7;
	} else {
		return false;
	}
	if (!parse_number(path, out))
		return false;
	audit_tile_path(out, again);
	return strcmp(strchr(again + 5, '/') + 1, path) == 0;
}

/* ---- files ---- */

static int read_form(const char *dir, const struct tile *t, struct buf *out, struct err *e)
{
	char name[TILE_PATH_ROOM], path[LIMIT_PATH_BYTES];

	audit_tile_path(t, name);
	TRY(file_join(path, dir, name, e));
	return file_read(path, t->level == TILE_ENTRIES ? TILE_BUNDLE_MAX : TILE_FULL * 32, out, e);
}

/* Cut out->bytes[begin..] to width items; ERR_VERIFY unless it holds exactly `stored` of them. */
static int cut(struct buf *out, size_t begin, const struct tile *t, unsigned stored, struct err *e)
{
	struct buf part = { .bytes = out->bytes ? out->bytes + begin : NULL,
			    .len = out->len - begin };
	char name[TILE_PATH_ROOM];
	size_t at = 0, keep = 0;
	unsigned count = 0;
	const void *entry;
	size_t len;
	int rc;

	audit_tile_path(t, name);
	if (t->level != TILE_ENTRIES) {
		if (part.len != stored * 32)
			return err_set(e, ERR_VERIFY, "%s: expected %u hashes, found %zu bytes",
				       name, stored, part.len);
		out->len = begin + t->width * 32;
		return 0;
	}
	while ((rc = audit_bundle_next(&part, &at, &entry, &len, e)) == 1)
		keep = ++count == t->width ? at : keep;
	if (rc < 0 || count != stored)
		return err_set(e, ERR_VERIFY, "%s: expected %u whole entries, found %u", name,
			       stored, count);
	out->len = begin + keep;
	return 0;
}

int audit_tile_read(const char *dir, const struct tile *t, struct buf *out, struct err *e)
{
	struct tile form = *t;
	size_t begin = out->len;
	int rc = read_form(dir, &form, out, e);

	if (rc == ERR_NOTFOUND && t->width < TILE_FULL) {
		struct err none;
		form.width = TILE_FULL;
		if (read_form(dir, &form, out, &none) == 0)
			rc = 0;
	}
	return rc < 0 ? rc : cut(out, begin, t, form.width, e);
}

/* Folders that did not exist are made, and the names of all of them synced, down from dir. */
static int make_parents(const char *dir, const char *name, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	size_t n = strlen(dir);

	TRY(file_join(path, dir, name, e));
	*strrchr(path, '/') = 0;
	if (file_is_dir(path))
		return 0;
	TRY(file_make_dirs(path, 0755, e));
	for (;;) {
		char *slash = strrchr(path, '/');
		if (!slash || (size_t)(slash - path) < n)
			return 0;
		*slash = 0;
		TRY(file_sync_dir(path, e));
	}
}

int audit_tile_write(const char *dir, const struct tile *t, const void *bytes, size_t len,
		     struct err *e)
{
	char name[TILE_PATH_ROOM], path[LIMIT_PATH_BYTES], staging[LIMIT_PATH_BYTES];

	audit_tile_path(t, name);
	TRY(make_parents(dir, name, e));
	TRY(file_join(path, dir, name, e));
	TRY(file_join(staging, dir, TILE_STAGING, e));
	if (!file_is_dir(staging))
		TRY(file_make_dirs(staging, 0755, e));
	int rc = file_create_immutable(path, staging, bytes, len, 0644, e);
	if (rc == ERR_CONFLICT)
		return err_set(e, ERR_VERIFY,
			       "%s: the published file differs from the entries in the database",
			       name);
	return rc;
}

int audit_tile_drop_partials(const char *dir, int level, uint64_t n, struct err *e)
{
	struct tile t = { .level = level, .n = n, .width = 1 };
	char name[TILE_PATH_ROOM], path[LIMIT_PATH_BYTES];

	audit_tile_path(&t, name);
	*strrchr(name, '/') = 0;
	TRY(file_join(path, dir, name, e));
	return file_exists(path) ? file_remove_tree(path, e) : 0;
}

int audit_tile_drop_beyond(const char *dir, uint64_t size, struct err *e)
{
	char top[LIMIT_PATH_BYTES];
	struct tile t;
	int rc = 0;

	TRY(file_join(top, dir, "tile", e));
	FTS *walk = fts_open((char *[]){ top, NULL }, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	if (!walk)
		return err_errno(e, "open folder %s", top);
	errno = 0;
	for (FTSENT *f; rc == 0 && (f = fts_read(walk)); errno = 0) {
		if (f->fts_info == FTS_ERR || f->fts_info == FTS_DNR) {
			errno = f->fts_errno;
			rc = err_errno(e, "read folder %s", f->fts_path);
		} else if (f->fts_info == FTS_F &&
			   audit_tile_path_parse(f->fts_path + strlen(dir) + 1, &t) &&
			   audit_tile_width(size, t.level, t.n) < t.width) {
			rc = file_remove_tree(f->fts_path, e);
		}
	}
	if (rc == 0 && errno)
		rc = err_errno(e, "read folder %s", top);
	fts_close(walk);
	return rc;
}

int audit_bundle_next(const struct buf *bundle, size_t *at, const void **entry, size_t *len,
		      struct err *e)
{
	const unsigned char *p = (const unsigned char *)bundle->bytes + *at;
	size_t left = bundle->len - *at;

	if (left == 0)
		return 0;
	if (left < 2 || left - 2 < ((size_t)p[0] << 8 | p[1]))
		return err_set(e, ERR_VERIFY, "entry bundle: an entry is cut short");
	*len = (size_t)p[0] << 8 | p[1];
	*entry = p + 2;
	*at += 2 + *len;
	return 1;
}

/* ---- hashes ---- */

static struct digest hash_at(const struct buf *tile, size_t i)
{
	struct digest d;
	memcpy(d.bytes, tile->bytes + 32 * i, 32);
	return d;
}

static struct digest fold(const struct buf *tile, size_t begin, size_t count)
{
	struct tree_range r = { .count = 0 };

	for (size_t i = 0; i < count; i++) {
		struct digest d = hash_at(tile, begin + i);
		audit_tree_range_add(&r, 0, &d);
	}
	return audit_tree_range_root(&r);
}

static int node(void *ctx, int height, uint64_t index, struct digest *out, struct err *e)
{
	struct tile_nodes *t = ctx;
	int level = height / 8, inner = height % 8;
	uint64_t first = index << inner;
	struct tile want = { level, first / TILE_FULL,
			     audit_tile_width(t->size, level, first / TILE_FULL) };

	check(want.width >= first % TILE_FULL + (1u << inner));
	if (t->bytes.len == 0 || want.level != t->last.level || want.n != t->last.n) {
		buf_clear(&t->bytes);
		TRY(audit_tile_read(t->dir, &want, &t->bytes, e));
		t->last = want;
	}
	*out = fold(&t->bytes, first % TILE_FULL, (size_t)1 << inner);
	return 0;
}

struct tree_reader audit_tile_nodes_reader(struct tile_nodes *t)
{
	return (struct tree_reader){ node, t };
}

void audit_tile_nodes_close(struct tile_nodes *t) { buf_free(&t->bytes); }

/* ---- checks of what is stored ---- */

static int compare_bundle(const struct buf *bundle, const struct buf *tile, uint64_t first,
			  struct err *e)
{
	const void *entry;
	size_t at = 0, len, i = 0;
	int rc;

	while ((rc = audit_bundle_next(bundle, &at, &entry, &len, e)) == 1) {
		struct digest leaf = audit_tree_leaf(entry, len), stored = hash_at(tile, i);
		if (!digest_equal(&leaf, &stored))
			return err_set(e, ERR_VERIFY,
				       "entry %llu does not have the hash in its tile",
				       (unsigned long long)(first + i));
		i++;
	}
	return rc;
}

int audit_tile_check_bundle(const char *dir, uint64_t size, uint64_t n, struct err *e)
{
	struct tile t = { 0, n, audit_tile_width(size, 0, n) }, b = { TILE_ENTRIES, n, t.width };
	struct buf tile = { 0 }, bundle = { 0 };
	int rc = audit_tile_read(dir, &t, &tile, e);

	if (rc == 0)
		rc = audit_tile_read(dir, &b, &bundle, e);
	if (rc == 0)
		rc = compare_bundle(&bundle, &tile, n * TILE_FULL, e);
	buf_free(&tile);
	buf_free(&bundle);
	return rc;
}

int audit_tile_check_parent(const char *dir, uint64_t size, int level, uint64_t n, struct err *e)
{
	uint64_t up = n / TILE_FULL;
	struct tile t = { level, n, TILE_FULL },
		    p = { level + 1, up, audit_tile_width(size, level + 1, up) };
	struct buf tile = { 0 }, above = { 0 };
	int rc = audit_tile_read(dir, &t, &tile, e);

	if (rc == 0)
		rc = audit_tile_read(dir, &p, &above, e);
	if (rc == 0) {
		struct digest root = fold(&tile, 0, TILE_FULL),
			      stored = hash_at(&above, n % TILE_FULL);
		if (!digest_equal(&root, &stored))
			rc = err_set(e, ERR_VERIFY,
				     "tile %llu of level %d does not have the hash above it",
				     (unsigned long long)n, level);
	}
	buf_free(&tile);
	buf_free(&above);
	return rc;
}

int audit_tile_check_entry(const char *dir, uint64_t size, uint64_t index, const void *entry,
			   size_t len, struct err *e)
{
	struct tile t = { 0, index / TILE_FULL, audit_tile_width(size, 0, index / TILE_FULL) };
	struct digest leaf = audit_tree_leaf(entry, len);
	struct buf tile = { 0 };
	int rc = audit_tile_read(dir, &t, &tile, e);

	if (rc == ERR_NOTFOUND)
		rc = err_set(e, ERR_VERIFY, "entry %llu: its published tile is missing",
			     (unsigned long long)index);
	if (rc == 0) {
		struct digest stored = hash_at(&tile, index % TILE_FULL);
		if (!digest_equal(&leaf, &stored))
			rc = err_set(e, ERR_VERIFY,
				     "entry %llu in the database does not have its published hash",
				     (unsigned long long)index);
	}
	buf_free(&tile);
	return rc;
}

int audit_tile_edge_root(const char *dir, uint64_t size, struct digest *out, struct err *e)
{
	struct tree_range range = { .count = 0 };

	for (int level = TILE_LEVELS - 1; level >= 0; level--) {
		uint64_t hashes = size >> 8 * level;
		struct tile t = { level, hashes / TILE_FULL, (unsigned)(hashes % TILE_FULL) };
		struct buf bytes = { 0 };
		if (t.width == 0)
			continue;
		int rc = audit_tile_read(dir, &t, &bytes, e);
		for (size_t i = 0; rc == 0 && i < t.width; i++) {
			struct digest d = hash_at(&bytes, i);
			audit_tree_range_add(&range, 8 * level, &d);
		}
		buf_free(&bytes);
		TRY(rc);
	}
	*out = audit_tree_range_root(&range);
	return 0;
}
