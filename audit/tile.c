/* Tiles and entry bundles (C2SP tlog-tiles).
 *
 *   tile/<L>/<N>[.p/<W>]        W (else 256) hashes of 32 bytes: roots of subtrees of height 8 * L
 *   tile/entries/<N>[.p/<W>]    W (else 256) entries, each after its length as u16 big-endian
 *   <N>                         groups of three digits, all but the last with an 'x': 1234067 is
 *                               x001/x234/067
 *
 *   tmp/                        files not yet linked into place, of names that are taken; emptied
 *                               when the log is opened
 *
 * A tile is immutable. Partial tiles of every published size stay until the full tile exists and is
 * durable. A tile is right when its subtree's root is the hash above it, and so on up to the signed
 * root. Files follow from the database and are synced behind it: only up to a size, which the
 * database remembers, are they known to be whole after a power failure. */
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

uint64_t audit_tile_hashes(uint64_t size, int level)
{
	return level > 0 ? size >> 8 * level : size;
}

unsigned audit_tile_width(uint64_t size, int level, uint64_t n)
{
	uint64_t hashes = audit_tile_hashes(size, level), begin = n * TILE_FULL;

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

/* The names of path's folders, from its own up to dir. */
static int sync_parents(const char *dir, const char *path, struct err *e)
{
	char folder[LIMIT_PATH_BYTES];
	size_t n = strlen(dir);

	snprintf(folder, sizeof(folder), "%s", path);
	for (char *slash; (slash = strrchr(folder, '/')) && (size_t)(slash - folder) >= n;) {
		*slash = 0;
		TRY(file_sync_dir(folder, e));
	}
	return 0;
}

static int make_parent(const char *path, struct err *e)
{
	char folder[LIMIT_PATH_BYTES];

	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
	return file_is_dir(folder) ? 0 : file_make_dirs(folder, 0755, e);
}

int audit_tile_write(const char *dir, const struct tile *t, const void *bytes, size_t len,
		     bool settled, struct err *e)
{
	char name[TILE_PATH_ROOM], path[LIMIT_PATH_BYTES], staging[LIMIT_PATH_BYTES];

	audit_tile_path(t, name);
	TRY(file_join(path, dir, name, e));
	TRY(file_join(staging, dir, TILE_STAGING, e));
	TRY(make_parent(path, e));
	/* No checkpoint covers it yet, so nobody reads it before it is whole. */
	int rc = settled ? 1 : file_create_unsynced(path, bytes, len, 0644, e);
	if (rc <= 0)
		return rc;
	if (!file_is_dir(staging))
		TRY(file_make_dirs(staging, 0755, e));
	if (!settled)
		return file_write_unsynced(path, staging, bytes, len, 0644, e);
	rc = file_create_immutable(path, staging, bytes, len, 0644, e);
	if (rc == ERR_CONFLICT)
		return err_set(e, ERR_VERIFY,
			       "%s: the published file differs from the entries in the database",
			       name);
	return rc < 0 ? rc : sync_parents(dir, path, e);
}

/* Those tiles of a level that grew between two sizes. */
struct span {
	uint64_t first, end;
};

static struct span grown(uint64_t old, uint64_t size, int level)
{
	uint64_t from = audit_tile_hashes(old, level), to = audit_tile_hashes(size, level);

	if (from == to)
		return (struct span){ 0, 0 };
	return (struct span){ from / TILE_FULL, (to + TILE_FULL - 1) / TILE_FULL };
}

/* Of a run of files in one folder, the folder is synced once; the newest may be partial, and then
 * lies in a folder of its own. */
static int sync_level(const char *dir, int level, uint64_t old, uint64_t size, struct err *e)
{
	struct span s = grown(old, size, level);
	char name[TILE_PATH_ROOM], path[LIMIT_PATH_BYTES];

	for (uint64_t n = s.first; n < s.end; n++) {
		struct tile t = { level, n, audit_tile_width(size, level, n) };
		audit_tile_path(&t, name);
		TRY(file_join(path, dir, name, e));
		TRY(file_sync(path, e));
		if (n == s.first || n + 2 >= s.end || n % 1000 == 0)
			TRY(sync_parents(dir, path, e));
	}
	return 0;
}

int audit_tile_sync(const char *dir, uint64_t old, uint64_t size, struct err *e)
{
	for (int level = TILE_ENTRIES; level < TILE_LEVELS; level++)
		TRY(sync_level(dir, level, old, size, e));
	return 0;
}

/* Whether a file is the beginning of the tile that holds it. */
static bool is_prefix(const char *dir, const struct tile *t, const struct buf *whole)
{
	struct buf part = { 0 };
	bool is = audit_tile_read(dir, t, &part, NULL) == 0 && part.len <= whole->len &&
		  memcmp(part.bytes, whole->bytes, part.len) == 0;

	buf_free(&part);
	return is;
}

static int mend_tile(const char *dir, const struct tile *t, unsigned settled, struct err *e)
{
	struct tile part = { t->level, t->n, 1 };
	char name[TILE_PATH_ROOM], path[LIMIT_PATH_BYTES];
	struct buf whole = { 0 };
	int rc;

	audit_tile_path(&part, name);
	*strrchr(name, '/') = 0;
	TRY(file_join(path, dir, name, e));
	if (!file_is_dir(path))
		return 0;
	rc = audit_tile_read(dir, t, &whole, e);
	for (part.width = t->width; rc == 0 && --part.width > settled;) {
		audit_tile_path(&part, name);
		TRY_OUT(file_join(path, dir, name, e));
		if (file_exists(path) && !is_prefix(dir, &part, &whole))
			rc = file_remove_tree(path, e);
	}
out:
	buf_free(&whole);
	return rc;
}

int audit_tile_mend(const char *dir, uint64_t old, uint64_t size, struct err *e)
{
	for (int level = TILE_ENTRIES; level < TILE_LEVELS; level++) {
		struct span s = grown(old, size, level);
		for (uint64_t n = s.first; n < s.end; n++) {
			struct tile t = { level, n, audit_tile_width(size, level, n) };
			TRY(mend_tile(dir, &t, audit_tile_width(old, level, n), e));
		}
	}
	return 0;
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
	static const struct digest nothing;
	struct tile t = { 0, index / TILE_FULL, audit_tile_width(size, 0, index / TILE_FULL) };
	struct digest leaf = audit_tree_leaf(entry, len), stored = nothing;
	struct buf tile = { 0 };
	struct err why = { 0 };
	int rc = audit_tile_read(dir, &t, &tile, &why);

	if (rc == 0)
		stored = hash_at(&tile, index % TILE_FULL);
	buf_free(&tile);
	if (rc == ERR_NOTFOUND || rc == ERR_VERIFY || (rc == 0 && digest_equal(&stored, &nothing)))
		return err_set(e, ERR_INPUT, "entry %llu: its published tile is %s",
			       (unsigned long long)index,
			       rc == ERR_NOTFOUND ? "missing" : "damaged");
	if (rc < 0)
		return err_set(e, rc, "%s", why.text);
	if (digest_equal(&leaf, &stored))
		return 0;
	return err_set(e, ERR_VERIFY, "entry %llu in the database does not have its published hash",
		       (unsigned long long)index);
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
