/* Private to audit/: the published files of a log (C2SP tlog-tiles). */
#ifndef AUDIT_TILE_H
#define AUDIT_TILE_H

#include "audit/tree.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define TILE_ENTRIES (-1) /* the level of entry bundles */
#define TILE_LEVELS 8     /* 256^8 leaves are more than a size can say */
#define TILE_FULL 256u
#define TILE_PATH_ROOM 96
#define TILE_STAGING "tmp" /* beside tile/: files not yet linked into place */
#define TILE_BUNDLE_MAX (TILE_FULL * (2u + 65535u))

struct tile {
	int level; /* TILE_ENTRIES, or 0..TILE_LEVELS-1 */
	uint64_t n;
	unsigned width; /* 1..256 */
};

/* Hashes (or entries) of a level in a tree of that size. */
uint64_t audit_tile_hashes(uint64_t size, int level);
/* Hashes (or entries) of tile n at a level in a tree of that size: 0..256. */
unsigned audit_tile_width(uint64_t size, int level, uint64_t n);

/* Relative path: "tile/0/x001/067", "tile/entries/000.p/5". */
void audit_tile_path(const struct tile *t, char out[TILE_PATH_ROOM]);
/* Strict inverse. */
bool audit_tile_path_parse(const char *path, struct tile *out);

/* Append the tile's bytes, exactly width hashes or entries. A partial tile that was replaced by its
 * full one is taken from there. ERR_NOTFOUND; ERR_VERIFY for a file of another length. */
int audit_tile_read(const char *dir, const struct tile *t, struct buf *out, struct err *e) MUST_USE;

/* settled: the file was durable once. The same bytes again are fine, others are ERR_VERIFY, and a
 * missing one is written durably. Otherwise it is written anew, and not synced. */
int audit_tile_write(const char *dir, const struct tile *t, const void *bytes, size_t len,
		     bool settled, struct err *e) MUST_USE;

/* Make durable what a tree of this size has beyond that of an old size, with the folders. */
int audit_tile_sync(const char *dir, uint64_t old, uint64_t size, struct err *e) MUST_USE;
/* Remove partial files of sizes between the two that are not the beginning of the newest tile: a
 * power failure left them torn. */
int audit_tile_mend(const char *dir, uint64_t old, uint64_t size, struct err *e) MUST_USE;

/* Remove all files that a tree of this size does not have. */
int audit_tile_drop_beyond(const char *dir, uint64_t size, struct err *e) MUST_USE;

/* Remove the partial forms of tile n of a level, which is full. */
int audit_tile_drop_partials(const char *dir, int level, uint64_t n, struct err *e) MUST_USE;

/* The next entry of a bundle, from *at on: 1, 0 at the end, ERR_VERIFY when cut short. */
int audit_bundle_next(const struct buf *bundle, size_t *at, const void **entry, size_t *len,
		      struct err *e) MUST_USE;

/* Subtree hashes from the tiles of a tree of this size; keeps the last tile read. */
struct tile_nodes {
	const char *dir; /* borrowed */
	uint64_t size;
	struct tile last;
	struct buf bytes;
};
struct tree_reader audit_tile_nodes_reader(struct tile_nodes *t);
void audit_tile_nodes_close(struct tile_nodes *t);

/* Check bundle n against its level-0 tile, and a full tile of any level against the hash above it
 * (in a tree of this size). */
int audit_tile_check_bundle(const char *dir, uint64_t size, uint64_t n, struct err *e) MUST_USE;
int audit_tile_check_parent(const char *dir, uint64_t size, int level, uint64_t n,
			    struct err *e) MUST_USE;

/* Check an entry against its hash in a tree of this size, which is more than index. ERR_VERIFY: it
 * has another; ERR_INPUT: the tile is missing, or not whole. */
int audit_tile_check_entry(const char *dir, uint64_t size, uint64_t index, const void *entry,
			   size_t len, struct err *e) MUST_USE;

/* The root from the right edge's tiles alone, as stored. */
int audit_tile_edge_root(const char *dir, uint64_t size, struct digest *out,
			 struct err *e) MUST_USE;

#endif
