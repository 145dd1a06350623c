/* Attention over a paged cache: how the cache lies, and shapes of a call. The operations are in the
 * table, kernels.h. */
#ifndef KERNELS_ATTENTION_H
#define KERNELS_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_PAGE 64   /* positions of a cache page */
#define KERNEL_SPLIT 256 /* positions of a split; partial results are combined in position order */
#define KERNEL_LANES 64  /* query heads of all rows of one call at most */

/* How the cache stores its numbers.
 *
 *   F32   as they are
 *   BF16  rounded half to even
 *   INT8  a code s8 for each and an f16 scale for each 32 of a position (the last group may be
 *         smaller). value = code * scale, which f32 holds exactly. The scale is the least f16 that
 *         is not below max|x| / 127 (at most the largest finite one); codes round half to even
 *
 * Every set decodes to the same f32 values and computes with them. */
enum kernel_cache { KERNEL_CACHE_F32, KERNEL_CACHE_BF16, KERNEL_CACHE_INT8, KERNEL_CACHES };

/* A part of a page holds, for its 64 positions, a key, a value, a latent or its rotary key of
 * `width` numbers each. It lies as the panels that products read (kernels/matrix.h): lanes of
 * sixteen, so that vectors are loaded as they are.
 *
 *   BY_POSITION  lanes are positions, for keys:     [4 panels][width][16 positions]
 *   BY_NUMBER    lanes are numbers of a position:   [ceil(width/16) panels][64 positions][16]
 *
 * BF16 has pairs of two neighbours of the middle index side by side, [panel][pair][16][2]; width is
 * rounded up to even by position. INT8 has all codes, then the scales: by position
 * [4 panels][groups][16 positions], by number [groups][64 positions]. */
enum kernel_side { KERNEL_BY_POSITION, KERNEL_BY_NUMBER };

/* Bytes of a part: a multiple of 64. */
size_t kernel_cache_bytes(enum kernel_cache c, enum kernel_side side, uint32_t width);
/* Encode the numbers of one position (0 to 63) into a part and decode them. value [width] f32. */
void kernel_cache_store(enum kernel_cache c, enum kernel_side side, const float *value,
			uint32_t width, uint32_t position, void *part);
void kernel_cache_load(enum kernel_cache c, enum kernel_side side, const void *part, uint32_t width,
		       uint32_t position, float *value);
/* Gather n <= 64 positions, as they are stored, into the first ones of a part by number; from the
 * parts that lie `at` bytes behind the beginnings of the pages. The rest of an odd pair is 0. */
void kernel_cache_gather(enum kernel_cache c, const void *const *page, size_t at, uint32_t width,
			 const uint32_t *position, uint32_t n, void *to);

/* Attention of the query heads that share one key and value, for one position or a few that follow
 * each other. Latent attention (MLA, absorbed; source: DeepSeek-V2 report, section 2.1) is that of
 * all heads: a key is [latent | rotary key] and its value the latent again. Grouped: arXiv
 * 2305.13245; sinks: gpt-oss model card. */
struct kernel_attention {
	enum kernel_cache cache;
	enum kernel_side keys;      /* how keys lie; values lie by number */
	uint32_t wide, tail, value; /* numbers of a key's first and second part, and of a value;
				       tail 0: none, and always by position */
	size_t key_at, tail_at, value_at; /* bytes from a page's beginning to these parts */
	const void *const *page;          /* pages of positions [0, 64), [64, 128), ... */
	uint32_t heads, rows;             /* heads * rows <= KERNEL_LANES, each at least 1 */
	const float *query, *query_tail;  /* [rows][heads][wide] and [tail], rotated */
	size_t query_head, query_row, tail_head,
		tail_row; /* floats from head to head, row to row */
	/* Row r attends cache rows [first, positions + r), or with `moves` [first + r, positions +
	 * r): a window. At least one; all rows have equally many splits of their own. */
	uint32_t first, positions;
	bool moves;
	float scale;              /* of q.k */
	float softcap;            /* of scaled scores: softcap * tanh(s / softcap); 0: none */
	const float *sink;        /* [heads]: a logit that has no value; NULL: none */
	float *out;               /* [rows][heads][value] */
	size_t out_head, out_row; /* floats */
	float *scratch; /* kernel_attention_scratch floats, 64-byte aligned, this thread's own */
	/* Sparse attention: the positions attended, ascending, `positions` of them; NULL: all. As if
	 * the cache held these alone: so with all of them the bits are those of the call without.
	 * Latent attention of one row, first 0. gathered: kernel_attention_gathered bytes, 64-byte
	 * aligned, this thread's own. */
	const uint32_t *chosen;
	void *gathered;
};

/* What is known of some splits: for all lanes (lane r * heads + h) largest and total, then the sum
 * of each. Floats of it, a multiple of 16. */
size_t kernel_attention_record(uint32_t lanes, uint32_t value);
size_t kernel_attention_scratch(uint32_t lanes, uint32_t wide, uint32_t tail, uint32_t value);
size_t kernel_attention_gathered(enum kernel_cache c, uint32_t wide, uint32_t tail);
/* Splits that each row has. */
uint32_t kernel_attention_splits(const struct kernel_attention *a);

/* The indexer of sparse attention (source: DeepSeek-V3.2 report, section 2.1) for one row: of each
 * position the score sum over heads of weight[h] * max(query[h] . key, 0), in order. */
struct kernel_index {
	enum kernel_cache cache;
	uint32_t heads, wide; /* wide: numbers of a query and of a key; keys lie by position */
	size_t key_at;        /* bytes from a page's beginning */
	const void *const *page;
	const float *query;  /* [heads][wide], rotated */
	const float *weight; /* [heads], all scales included */
	float *scratch;      /* kernel_index_scratch floats, this thread's own */
};

size_t kernel_index_scratch(uint32_t heads, uint32_t wide);
/* The k best of score [n], k <= n: chosen [k], ascending. Among equals the lower position; NaN is
 * the least. */
void kernel_index_choose(const float *score, uint32_t n, uint32_t k, uint32_t *chosen);

#endif
