/* Private to audit/: the right edge in memory, which turns entries into tiles. */
#ifndef AUDIT_EDGE_H
#define AUDIT_EDGE_H

#include "audit/tile.h"
#include "base/env.h"

struct edge {
	uint64_t size, flushed; /* now, and when partial tiles were last written */
	uint64_t settled;       /* files of a tree of this size were durable once */
	struct digest hash[TILE_LEVELS][TILE_FULL]; /* of the unfinished tile at each level */
	struct buf bundle;                          /* the unfinished entry bundle */
};

/* Take the next entry; tiles that it completes are written, from the bundle up. */
int audit_edge_add(struct edge *edge, const char *dir, const struct env *env, const void *entry,
		   size_t len, struct err *e) MUST_USE;
/* Write the partial tiles of the present size. */
int audit_edge_flush(struct edge *edge, const char *dir, const struct env *env,
		     struct err *e) MUST_USE;
/* Take an empty edge to `at`, a multiple of TILE_FULL, by the hashes of a tree of `size` >= at, as
 * they are stored: the caller compares a root. ERR_NOTFOUND: a tile is missing. */
int audit_edge_load(struct edge *edge, const char *dir, uint64_t at, uint64_t size,
		    struct err *e) MUST_USE;
struct digest audit_edge_root(const struct edge *edge);
struct merkle audit_edge_merkle(const struct edge *edge);
void audit_edge_close(struct edge *edge); /* leaves an empty one */

#endif
