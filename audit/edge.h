/* Private to audit/: the right edge in memory, which turns entries into tiles. */
#ifndef AUDIT_EDGE_H
#define AUDIT_EDGE_H

#include "audit/tile.h"
#include "base/env.h"

/* The hashes of a tile, as they are stored; behind them the roots of the complete subtrees over 2
 * of them, over 4, ... over all. */
struct edge_tile {
	struct digest hash[2 * TILE_FULL];
};

struct edge {
	uint64_t size, flushed; /* now, and when partial tiles were last written */
	uint64_t settled;       /* files of a tree of this size were durable once */
	uint64_t reach;         /* no file of a larger tree is looked at; 0: all are whole */
	struct edge_tile tile[TILE_LEVELS];   /* the unfinished one at each level */
	struct edge_tile before[TILE_LEVELS]; /* the full one before it, if it is known */
	bool knows_before[TILE_LEVELS];
	struct buf bundle; /* the unfinished entry bundle */
};

/* The i-th hash of a tile, after all before it, and the roots that it completes. */
void audit_edge_put(struct edge_tile *t, size_t i, const struct digest *hash);
/* Take the next entry; tiles that it completes are written, from the bundle up. */
int audit_edge_add(struct edge *edge, const char *dir, const struct env *env, const void *entry,
		   size_t len, struct err *e) MUST_USE;
/* The same of an edge in memory alone, which writes no files and has no bundle. */
void audit_edge_add_leaf(struct edge *edge, const struct digest *leaf);
/* Write the partial tiles of the present size. */
int audit_edge_flush(struct edge *edge, const char *dir, const struct env *env,
		     struct err *e) MUST_USE;
/* Take an empty edge to `at`, a multiple of TILE_FULL, by the hashes of a tree of `size` >= at, as
 * they are stored: the caller compares a root. ERR_NOTFOUND: a tile is missing. */
int audit_edge_load(struct edge *edge, const char *dir, uint64_t at, uint64_t size,
		    struct err *e) MUST_USE;
/* Subtree hashes of the edge, flushed: from memory, or farther back from its tiles. */
struct edge_nodes {
	const struct edge *edge;
	struct tile_nodes files;
};
struct tree_reader audit_edge_nodes_reader(struct edge_nodes *n, const struct edge *edge,
					   const char *dir);
void audit_edge_nodes_close(struct edge_nodes *n);
struct digest audit_edge_root(const struct edge *edge);
struct merkle audit_edge_merkle(const struct edge *edge);
void audit_edge_close(struct edge *edge); /* leaves an empty one */

#endif
