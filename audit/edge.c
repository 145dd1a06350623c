/* From entries to tiles: only the 512 newest hashes of each level are in memory. */
#include "audit/edge.h"

#include "base/check.h"
#include "base/limits.h"

#include <string.h>

/* Where the root over 2^height hashes of a tile stands, the i-th of its kind. */
static size_t place_of(int height, size_t i)
{
	return 2 * TILE_FULL - (2 * TILE_FULL >> height) + i;
}

void audit_edge_put(struct edge_tile *t, size_t i, const struct digest *hash)
{
	t->hash[i] = *hash;
	for (int height = 1; i & 1; height++, i >>= 1) {
		const struct digest *left = &t->hash[place_of(height - 1, i - 1)];
		t->hash[place_of(height, i >> 1)] = audit_tree_node(left, left + 1);
	}
}

static int write_file(struct edge *edge, const char *dir, const struct tile *t, const void *bytes,
		      size_t len, struct err *e)
{
	bool settled = t->n * TILE_FULL + t->width <= audit_tile_hashes(edge->settled, t->level);

	return audit_tile_write(dir, t, bytes, len, settled, e);
}

static int write_bundle(struct edge *edge, const char *dir, const struct env *env, uint64_t n,
			unsigned width, struct err *e)
{
	struct tile t = { TILE_ENTRIES, n, width };

	TRY(write_file(edge, dir, &t, edge->bundle.bytes, edge->bundle.len, e));
	env_step(env, "audit.bundle");
	return 0;
}

static int write_tile(struct edge *edge, const char *dir, const struct env *env,
		      const struct tile *t, struct err *e)
{
	TRY(write_file(edge, dir, t, edge->tile[t->level].hash, t->width * 32, e));
	env_step(env, "audit.tile");
	return 0;
}

/* What is done as a tile is full: it is the one before the next. */
static void turn(struct edge *edge, int level)
{
	edge->before[level] = edge->tile[level];
	edge->knows_before[level] = true;
}

int audit_edge_add(struct edge *edge, const char *dir, const struct env *env, const void *entry,
		   size_t len, struct err *e)
{
	uint64_t n = edge->size;
	struct digest up = audit_tree_leaf(entry, len);

	check(len <= LIMIT_ENTRY_BYTES);
	buf_add_u16be(&edge->bundle, (uint16_t)len);
	buf_add(&edge->bundle, entry, len);
	TRY(buf_done(&edge->bundle, e));
	edge->size++;
	if (edge->size % TILE_FULL == 0) {
		TRY(write_bundle(edge, dir, env, n / TILE_FULL, TILE_FULL, e));
		buf_clear(&edge->bundle);
	}
	for (int level = 0; level < TILE_LEVELS; level++) {
		audit_edge_put(&edge->tile[level], n % TILE_FULL, &up);
		if (n % TILE_FULL != TILE_FULL - 1)
			break;
		struct tile t = { level, n / TILE_FULL, TILE_FULL };
		TRY(write_tile(edge, dir, env, &t, e));
		turn(edge, level);
		up = edge->tile[level].hash[place_of(8, 0)];
		n /= TILE_FULL;
	}
	return 0;
}

void audit_edge_add_leaf(struct edge *edge, const struct digest *leaf)
{
	uint64_t n = edge->size++;
	struct digest up = *leaf;

	for (int level = 0; level < TILE_LEVELS; level++, n /= TILE_FULL) {
		audit_edge_put(&edge->tile[level], n % TILE_FULL, &up);
		if (n % TILE_FULL != TILE_FULL - 1)
			break;
		turn(edge, level);
		up = edge->tile[level].hash[place_of(8, 0)];
	}
}

int audit_edge_flush(struct edge *edge, const char *dir, const struct env *env, struct err *e)
{
	uint64_t n = edge->size, old = edge->flushed;

	if (n % TILE_FULL && n != old)
		TRY(write_bundle(edge, dir, env, n / TILE_FULL, (unsigned)(n % TILE_FULL), e));
	for (int level = 0; level < TILE_LEVELS && n != old;
	     level++, n /= TILE_FULL, old /= TILE_FULL) {
		struct tile t = { level, n / TILE_FULL, (unsigned)(n % TILE_FULL) };
		if (t.width)
			TRY(write_tile(edge, dir, env, &t, e));
	}
	edge->flushed = edge->size;
	return 0;
}

/* A tile at the edge of the smaller tree may be a wider one in the larger: the hashes in front are
 * the same. */
static int load_level(struct edge *edge, const char *dir, int level, uint64_t size, struct err *e)
{
	uint64_t hashes = edge->size >> 8 * level, n = hashes / TILE_FULL;
	struct tile t = { level, n, audit_tile_width(size, level, n) };
	struct buf bytes = { 0 };

	if (hashes % TILE_FULL == 0)
		return 0;
	int rc = audit_tile_read(dir, &t, &bytes, e);
	for (size_t i = 0; rc == 0 && i < hashes % TILE_FULL; i++) {
		struct digest d;
		memcpy(d.bytes, bytes.bytes + 32 * i, 32);
		audit_edge_put(&edge->tile[level], i, &d);
	}
	buf_free(&bytes);
	return rc;
}

int audit_edge_load(struct edge *edge, const char *dir, uint64_t at, uint64_t size, struct err *e)
{
	check(edge->size == 0 && at % TILE_FULL == 0 && at <= size);
	edge->size = at;
	for (int level = 1; level < TILE_LEVELS; level++)
		TRY(load_level(edge, dir, level, size, e));
	return 0;
}

/* ---- its nodes ---- */

static const struct digest *node_in_memory(const struct edge *edge, int height, uint64_t index)
{
	int level = height / 8, inner = height % 8;
	uint64_t n = index << inner >> 8, now = edge->size >> 8 * level >> 8;
	size_t at = place_of(inner, index & ((TILE_FULL >> inner) - 1));

	if (n == now)
		return &edge->tile[level].hash[at];
	if (n + 1 == now && edge->knows_before[level])
		return &edge->before[level].hash[at];
	return NULL;
}

static int node(void *ctx, int height, uint64_t index, struct digest *out, struct err *e)
{
	struct edge_nodes *n = ctx;
	const struct digest *known = node_in_memory(n->edge, height, index);
	struct tree_reader files = audit_tile_nodes_reader(&n->files);

	if (!known && n->edge->reach && (index + 1) << height > n->edge->reach)
		return err_set(e, ERR_NOTFOUND, "the tile is not written yet");
	if (!known)
		return files.node(files.ctx, height, index, out, e);
	*out = *known;
	return 0;
}

struct tree_reader audit_edge_nodes_reader(struct edge_nodes *n, const struct edge *edge,
					   const char *dir)
{
	*n = (struct edge_nodes){ edge, { .dir = dir, .size = edge->size } };
	return (struct tree_reader){ node, n };
}

void audit_edge_nodes_close(struct edge_nodes *n) { audit_tile_nodes_close(&n->files); }

/* One subtree for each set bit of the size, the largest first. */
static struct tree_range edge_range(const struct edge *edge)
{
	struct tree_range r = { .count = 0 };
	uint64_t at = 0;

	for (int height = 63; height >= 0; height--) {
		if (!(edge->size >> height & 1))
			continue;
		audit_tree_range_add(&r, height, node_in_memory(edge, height, at >> height));
		at += (uint64_t)1 << height;
	}
	return r;
}

struct digest audit_edge_root(const struct edge *edge)
{
	struct tree_range r = edge_range(edge);

	return audit_tree_range_root(&r);
}

struct merkle audit_edge_merkle(const struct edge *edge)
{
	struct tree_range r = edge_range(edge);
	struct merkle m = { .count = edge->size };

	check(r.count == __builtin_popcountll(m.count));
	memcpy(m.stack, r.node, (size_t)r.count * sizeof *r.node);
	return m;
}

void audit_edge_close(struct edge *edge)
{
	buf_free(&edge->bundle);
	*edge = (struct edge){ .size = 0 };
}
