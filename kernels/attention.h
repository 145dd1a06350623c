/* Attention over a paged cache: shapes of a call. The operations are in the table, kernels.h. */
#ifndef KERNELS_ATTENTION_H
#define KERNELS_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#define KERNEL_PAGE 64   /* positions of a cache page */
#define KERNEL_SPLIT 256 /* positions of a split; partial results are combined in position order */
#define KERNEL_HEADS 16  /* heads of one call at most */

/* How a part of the cache stores its numbers. A part is a key, a value, a latent or its rotary key.
 *
 *   F32   [width] f32
 *   BF16  [width] u16, rounded half to even
 *   INT8  codes [width] s8, then at the next even byte an f16 scale for each group of 32 (the last
 *         may be shorter); the whole padded to a multiple of 4 bytes. value = code * scale, which
 *         f32 holds exactly. The scale is the least f16 that is not below max|x| / 127 (at most the
 *         largest finite one); codes round half to even
 *
 * Every set decodes to the same f32 values and computes with them. */
enum kernel_cache { KERNEL_CACHE_F32, KERNEL_CACHE_BF16, KERNEL_CACHE_INT8, KERNEL_CACHES };

/* Bytes of one part. */
size_t kernel_cache_bytes(enum kernel_cache c, uint32_t width);
/* Encode a part into the cache and decode it. value [width] f32; at: kernel_cache_bytes, 4-byte
 * aligned. */
void kernel_cache_store(enum kernel_cache c, const float *value, uint32_t width, void *at);
void kernel_cache_load(enum kernel_cache c, const void *at, uint32_t width, float *value);

/* Latent attention (MLA, absorbed) of one query position. Source: DeepSeek-V2 report, section
 * 2.1. */
struct kernel_mla {
	enum kernel_cache cache;
	uint32_t latent, rope;   /* widths of the two parts of a cache row, the latent first */
	const float *query;      /* [heads][latent], W_UK^T q_nope */
	const float *query_rope; /* [heads][rope], rotated */
	size_t query_stride, query_rope_stride, out_stride; /* floats from head to head */
	const void *const *page; /* [ceil(positions/64)] pages of [64] rows */
	size_t row_bytes;   /* from one position to the next */
	uint32_t positions; /* cache rows to attend, this position included; at least 1 */
	float scale;        /* of q.k */
	float *out;         /* [heads][latent] */
	float *scratch;     /* kernel_mla_scratch floats, 64-byte aligned, this thread's own */
};

/* Grouped-query attention of one query position, or of a few that follow each other: the query
 * heads that share one key and value head. Several rows at once fill the lanes that few heads leave
 * empty; their bits are those of one at a time. Source: arXiv 2305.13245; sinks: gpt-oss model
 * card. */
struct kernel_gqa {
	enum kernel_cache cache;
	uint32_t head;                   /* width of a head: of a key part and of a value part */
	const float *query;              /* [rows][heads][head], rotated */
	size_t query_stride, out_stride; /* floats from head to head */
	/* Query positions: 0 is 1; rows * heads <= KERNEL_HEADS. Row r attends cache rows [first,
	 * positions + r); all rows end within the same KERNEL_SPLIT after `first`. */
	uint32_t rows;
	size_t query_row, out_row; /* floats from row to row */
	const void *const *page;         /* pages of [64] rows */
	/* bytes: row r of a page has its key at key_at + r * row_bytes, its value alike */
	size_t row_bytes, key_at, value_at;
	uint32_t first, positions;          /* rows [first, positions) are attended; at least one */
	float scale;                        /* of q.k */
	const float *sink;                  /* [heads]: a logit that has no value; NULL: none */
	float *out;                         /* [rows][heads][head] */
	float *scratch; /* kernel_gqa_scratch floats, 64-byte aligned, this thread's own */
};

/* Floats of scratch that attn_mla and attn_gqa need. */
size_t kernel_mla_scratch(uint32_t latent, uint32_t rope);
size_t kernel_gqa_scratch(uint32_t head);

#endif
