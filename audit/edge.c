/* From entries to tiles: only the 256 newest hashes of each level are in memory. */
#include "audit/edge.h"

#include "base/check.h"
#include "base/limits.h"

#include <string.h>

static struct digest fold_full(const struct digest hash[TILE_FULL])
{
	struct tree_range r = { .count = 0 };

	for (size_t i = 0; i < TILE_FULL; i++)
		audit_tree_range_add(&r, 0, &hash[i]);
	return audit_tree_range_root(&r);
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
	TRY(write_file(edge, dir, t, edge->hash[t->level], t->width * 32, e));
	env_step(env, "audit.tile");
	return 0;
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
		edge->hash[level][n % TILE_FULL] = up;
		if (n % TILE_FULL != TILE_FULL - 1)
			break;
		struct tile t = { level, n / TILE_FULL, TILE_FULL };
		TRY(write_tile(edge, dir, env, &t, e));
		up = fold_full(edge->hash[level]);
		n /= TILE_FULL;
	}
	return 0;
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
	if (rc == 0)
		memcpy(edge->hash[level], bytes.bytes, hashes % TILE_FULL * 32);
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

static struct tree_range edge_range(const struct edge *edge)
{
	struct tree_range r = { .count = 0 };

	for (int level = TILE_LEVELS - 1; level >= 0; level--)
		for (unsigned i = 0; i < (edge->size >> 8 * level) % TILE_FULL; i++)
			audit_tree_range_add(&r, 8 * level, &edge->hash[level][i]);
	return r;
}

struct digest audit_edge_root(const struct edge *edge)
{
	struct tree_range r = edge_range(edge);

	return audit_tree_range_root(&r);
}

/* Both hold one subtree for each set bit of the size, the largest first. */
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
