/* Scores of the indexer: canonical form. Products add their terms in ascending order, heads in
 * theirs, each by one fma. */
#include "kernels/attn.h"
#include "kernels/number.h"
#include "kernels/ops.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

#define MOST_LANES 8 /* of a tile, in any set */

/* Queries in tiles and steps of 32, and a page of keys as f32. */
size_t kernel_index_scratch(uint32_t heads, uint32_t wide)
{
	size_t lanes = ((size_t)heads + MOST_LANES - 1) / MOST_LANES * MOST_LANES;
	return lanes * ((wide + 31) / 32 * 32) + (size_t)KERNEL_PAGE * wide + 32;
}

void kernel_index_plain(const struct kernel_index *x, uint32_t from, uint32_t to, float *score)
{
	float *key = x->scratch;
	check(from % KERNEL_PAGE == 0);
	for (uint32_t j = from; j < to; j++) {
		const unsigned char *page = x->page[j / KERNEL_PAGE];
		const float *q = x->query;
		float sum = 0;
		kernel_cache_load(x->cache, KERNEL_BY_POSITION, page + x->key_at, x->wide,
				  j % KERNEL_PAGE, key);
		for (uint32_t h = 0; h < x->heads; h++, q += x->wide) {
			float s = 0;
			for (uint32_t k = 0; k < x->wide; k++)
				s = fmaf(q[k], key[k], s);
			sum = fmaf(x->weight[h], s > 0 ? s : 0, sum); /* NaN too, as the vectors do */
		}
		score[j - from] = sum;
	}
}

/* ---- choice ---- */

#define BITS 11
#define BUCKETS (1u << BITS)

/* An integer that is larger where the score is: NaN 0, both zeros the same. */
static uint32_t rank_of(float score)
{
	uint32_t bits = number_bits(score + 0.0f);
	if (score != score)
		return 0;
	return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/* The bucket that holds the k-th best of those with this prefix; *k becomes its place within. */
static uint32_t bucket_of(const float *score, uint32_t n, uint32_t prefix, uint32_t known,
			  uint32_t shift, uint32_t *k)
{
	uint32_t count[BUCKETS] = { 0 }, bucket = BUCKETS - 1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rank = rank_of(score[i]);
		if (known == 0 || rank >> (32 - known) == prefix)
			count[rank >> shift & (BUCKETS - 1)]++;
	}
	for (; bucket > 0 && *k > count[bucket]; bucket--)
		*k -= count[bucket];
	return bucket;
}

/* The rank of the k-th best, by its bits from the highest on; *k: how many of equals are among the
 * best. */
static uint32_t rank_find(const float *score, uint32_t n, uint32_t *k)
{
	uint32_t high = bucket_of(score, n, 0, 0, 32 - BITS, k);
	uint32_t middle = bucket_of(score, n, high, BITS, 32 - 2 * BITS, k);
	uint32_t prefix = high << BITS | middle, low = 0;
	/* of the last ten bits an eleventh is known */
	low = bucket_of(score, n, prefix, 2 * BITS, 0, k) & ((1u << (32 - 2 * BITS)) - 1);
	return prefix << (32 - 2 * BITS) | low;
}

void kernel_index_choose(const float *score, uint32_t n, uint32_t k, uint32_t *chosen)
{
	uint32_t equal = k, taken = 0;
	check(k > 0 && k <= n);
	uint32_t least = rank_find(score, n, &equal);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t rank = rank_of(score[i]);
		if (rank < least || (rank == least && equal == 0))
			continue;
		equal -= rank == least;
		chosen[taken++] = i;
	}
	check(taken == k);
}
