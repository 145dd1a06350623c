/* Private: sets of pairs of numbers, numbered by content: equal sets have one number. */
#ifndef GRAMMAR_NETWORK_SETS_H
#define GRAMMAR_NETWORK_SETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct network_pair {
	uint32_t state, stack;
};

/* Zero-initialise, free with network_sets_free. */
struct network_sets {
	struct network_set {
		uint32_t first, count, hash, depth; /* pair [first .. first+count) */
	} * set;
	struct network_pair *pair;
	uint32_t *slot; /* number + 1, or 0 */
	uint32_t count, room, pairs, pair_room, slots;
};

static inline uint32_t network_pair_hash(struct network_pair p)
{
	uint64_t h = ((uint64_t)p.state << 32 | p.stack) * 0x9E3779B97F4A7C15u;
	return (uint32_t)(h >> 32);
}

static inline int network_pair_order(const struct network_pair *x, const struct network_pair *y)
{
	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	return (x->stack > y->stack) - (x->stack < y->stack);
}

/* Sort and remove duplicates; allocates nothing. Returns how many are left. */
uint32_t network_pairs_sort(struct network_pair *p, uint32_t count);
/* The number of this sorted set, added with this depth if it is new; UINT32_MAX: out of memory. */
uint32_t network_sets_number(struct network_sets *s, const struct network_pair *p, uint32_t count,
			     uint32_t depth);
void network_sets_clear(struct network_sets *s); /* memory stays */
void network_sets_free(struct network_sets *s);
size_t network_sets_bytes(const struct network_sets *s);

#endif
