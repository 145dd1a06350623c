/* RFC 6962 section 2.1, RFC 9162 section 2.1: proofs made and checked. */
#include "audit/tree.h"

#include "audit/audit.h"
#include "base/check.h"

#include <string.h>

struct digest audit_tree_leaf(const void *entry, size_t len)
{
	return digest_tagged(0x00, entry, len, NULL, 0);
}

struct digest audit_tree_node(const struct digest *left, const struct digest *right)
{
	return digest_tagged(0x01, left->bytes, 32, right->bytes, 32);
}

void audit_tree_range_add(struct tree_range *r, int height, const struct digest *d)
{
	struct digest node = *d;

	while (r->count > 0 && r->height[r->count - 1] == height) {
		node = audit_tree_node(&r->node[--r->count], &node);
		height++;
	}
	check(r->count < 64 && (r->count == 0 || r->height[r->count - 1] > height));
	r->node[r->count] = node;
	r->height[r->count++] = height;
}

struct digest audit_tree_range_root(const struct tree_range *r)
{
	struct digest d;

	if (r->count == 0)
		return digest_of("", 0);
	d = r->node[r->count - 1];
	for (int i = r->count - 2; i >= 0; i--)
		d = audit_tree_node(&r->node[i], &d);
	return d;
}

/* ---- making ---- */

/* MTH(D[begin:end]); begin is a multiple of a power of two that is at least end - begin. */
static int range_root(const struct tree_reader *r, uint64_t begin, uint64_t end, struct digest *out,
		      struct err *e)
{
	struct tree_range range = { .count = 0 };

	while (begin < end) {
		struct digest d;
		int height = 63 - __builtin_clzll(end - begin);
		TRY(r->node(r->ctx, height, begin >> height, &d, e));
		audit_tree_range_add(&range, height, &d);
		begin += (uint64_t)1 << height;
	}
	*out = audit_tree_range_root(&range);
	return 0;
}

int audit_tree_root(const struct tree_reader *r, uint64_t size, struct digest *out, struct err *e)
{
	return range_root(r, 0, size, out, e);
}

/* The largest power of two below n; n > 1. */
static uint64_t split(uint64_t n) { return (uint64_t)1 << (63 - __builtin_clzll(n - 1)); }

static void reverse(struct digest *path, size_t count)
{
	for (size_t i = 0; i < count / 2; i++) {
		struct digest d = path[i];
		path[i] = path[count - 1 - i];
		path[count - 1 - i] = d;
	}
}

int audit_tree_inclusion_path(const struct tree_reader *r, uint64_t index, uint64_t size,
			      struct digest path[TREE_PATH_MAX], size_t *count, struct err *e)
{
	uint64_t begin = 0, end = size;

	check(index < size);
	*count = 0;
	while (end - begin > 1) {
		uint64_t middle = begin + split(end - begin);
		bool left = index < middle;
		check(*count < TREE_PATH_MAX);
		TRY(range_root(r, left ? middle : begin, left ? end : middle, &path[(*count)++],
			       e));
		begin = left ? begin : middle;
		end = left ? middle : end;
	}
	reverse(path, *count);
	return 0;
}

int audit_tree_consistency_path(const struct tree_reader *r, uint64_t old_size, uint64_t size,
				struct digest path[TREE_PATH_MAX], size_t *count, struct err *e)
{
	uint64_t begin = 0, end = size;
	bool known = true; /* the verifier has the root of [begin, end) */

	check(old_size > 0 && old_size <= size);
	*count = 0;
	while (end != old_size) {
		uint64_t middle = begin + split(end - begin);
		bool left = old_size <= middle;
		check(*count < TREE_PATH_MAX);
		TRY(range_root(r, left ? middle : begin, left ? end : middle, &path[(*count)++],
			       e));
		begin = left ? begin : middle;
		end = left ? middle : end;
		known = known && left;
	}
	if (!known) {
		check(*count < TREE_PATH_MAX);
		TRY(range_root(r, begin, end, &path[(*count)++], e));
	}
	reverse(path, *count);
	return 0;
}

/* ---- checking ---- */

int audit_inclusion_check(uint64_t index, uint64_t size, const struct digest *leaf,
			  const struct digest *path, size_t count, const struct digest *root)
{
	uint64_t f = index, s = size - 1;
	struct digest r = *leaf;

	if (index >= size || count > TREE_PATH_MAX)
		return ERR_VERIFY;
	for (size_t i = 0; i < count; i++) {
		if (s == 0)
			return ERR_VERIFY;
		if (f & 1 || f == s) {
			r = audit_tree_node(&path[i], &r);
			while (!(f & 1) && f != 0) {
				f >>= 1;
				s >>= 1;
			}
		} else {
			r = audit_tree_node(&r, &path[i]);
		}
		f >>= 1;
		s >>= 1;
	}
	return s == 0 && digest_equal(&r, root) ? 0 : ERR_VERIFY;
}

/* 0 < m < n, after the first hash was taken: RFC 9162 section 2.1.4.2. */
static int walk_consistency(uint64_t f, uint64_t s, struct digest first, const struct digest *path,
			    size_t count, const struct digest *old_root, const struct digest *root)
{
	struct digest a = first, b = first;

	for (size_t i = 0; i < count; i++) {
		if (s == 0)
			return ERR_VERIFY;
		if (f & 1 || f == s) {
			a = audit_tree_node(&path[i], &a);
			b = audit_tree_node(&path[i], &b);
			while (!(f & 1) && f != 0) {
				f >>= 1;
				s >>= 1;
			}
		} else {
			b = audit_tree_node(&b, &path[i]);
		}
		f >>= 1;
		s >>= 1;
	}
	return s == 0 && digest_equal(&a, old_root) && digest_equal(&b, root) ? 0 : ERR_VERIFY;
}

int audit_consistency_check(uint64_t old_size, uint64_t size, const struct digest *old_root,
			    const struct digest *root, const struct digest *path, size_t count)
{
	uint64_t f = old_size - 1, s = size - 1;

	if (old_size == 0 || old_size > size || count > TREE_PATH_MAX)
		return ERR_VERIFY;
	if (old_size == size)
		return count == 0 && digest_equal(old_root, root) ? 0 : ERR_VERIFY;
	if (count == 0)
		return ERR_VERIFY;
	while (f & 1) {
		f >>= 1;
		s >>= 1;
	}
	if ((old_size & (old_size - 1)) == 0)
		return walk_consistency(f, s, *old_root, path, count, old_root, root);
	return walk_consistency(f, s, path[0], path + 1, count - 1, old_root, root);
}
