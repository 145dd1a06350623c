/* Private to audit/: RFC 6962 tree arithmetic over whatever can give the hash of a complete
 * subtree. */
#ifndef AUDIT_TREE_H
#define AUDIT_TREE_H

#include "base/digest.h"

#include <stddef.h>
#include <stdint.h>

#define TREE_PATH_MAX 64 /* hashes in a proof over 2^63 - 1 entries */

/* H(0x00 || entry), H(0x01 || left || right). */
struct digest audit_tree_leaf(const void *entry, size_t len);
struct digest audit_tree_node(const struct digest *left, const struct digest *right);

/* The right edge of a tree: complete subtrees from left to right, each lower than the last. */
struct tree_range {
	struct digest node[64];
	int height[64];
	int count;
};
/* Add the next complete subtree; equal heights merge. */
void audit_tree_range_add(struct tree_range *r, int height, const struct digest *d);
struct digest audit_tree_range_root(const struct tree_range *r); /* H("") for none */

/* The complete subtree over leaves [index << height, (index + 1) << height). */
struct tree_reader {
	int (*node)(void *ctx, int height, uint64_t index, struct digest *out, struct err *e);
	void *ctx;
};

int audit_tree_root(const struct tree_reader *r, uint64_t size, struct digest *out,
		    struct err *e) MUST_USE;
/* index < size. From the leaf's sibling to the root's child. */
int audit_tree_inclusion_path(const struct tree_reader *r, uint64_t index, uint64_t size,
			      struct digest path[TREE_PATH_MAX], size_t *count,
			      struct err *e) MUST_USE;
/* 0 < old_size <= size. RFC 6962 section 2.1.2. */
int audit_tree_consistency_path(const struct tree_reader *r, uint64_t old_size, uint64_t size,
				struct digest path[TREE_PATH_MAX], size_t *count,
				struct err *e) MUST_USE;

#endif
