/* Attention of a device over a paged cache. */
#ifndef KERNELS_OPERATION_ATTEND_H
#define KERNELS_OPERATION_ATTEND_H

#include "kernels/operation_batch.h"

/* How device pages lie: of each layer a part, and in it rows of positions, in f32 or bf16. Widths
 * are rounded up to FRAGMENT_K numbers, with zeros beyond: device_cache_width.
 *   GQA: of each key head keys [64][head], then of each values [64][value]
 *   MLA: latents [64][kv_rank], then rotary keys [64][rope_head] */
static inline uint32_t device_cache_width(uint32_t width)
{
	return (width + FRAGMENT_K - 1) / FRAGMENT_K * FRAGMENT_K;
}

struct device_rope {
	const float *cosine, *sine; /* [positions][half]; NULL: no rotation */
	uint32_t half;              /* pairs */
	bool interleaved;
};

/* Queries and new cache rows: norm, clip, rotate, temper; then store the cache rows. As
 * engine/cpu_attn_gqa.c does. */
struct gqa_place_args {
	const struct device_batch *batch;
	float *q, *kv; /* [rows][heads*head]; [rows][kv_heads*(head + value)], NULL: no new rows */
	uint32_t heads, kv_heads, head, value;
	const float *q_gain, *k_gain; /* NULL: none */
	uint8_t qk_norm;              /* enum model_qk_norm */
	bool norm_late, value_norm, values_are_keys;
	float eps, clip;
	struct device_rope rope, rope_far;
	double temper_beta; /* 0: none */
	uint32_t temper_length, temper_shift;
	enum kernel_cache cache; /* F32 or BF16 */
	size_t at;               /* bytes from a page's beginning to the layer's part */
	uint32_t rows_most;
};

/* Of latent attention: q [rows][heads][nope + rope_head], kv [rows][kv_rank + rope_head]. As
 * engine/cpu_attn_mla.c does. */
struct mla_place_args {
	const struct device_batch *batch;
	float *q, *kv;
	uint32_t heads, nope, rope_head, kv_rank;
	const float *kv_gain;
	float eps;
	struct device_rope rope, rope_far;
	double temper_beta;
	uint32_t temper_length, temper_shift;
	enum kernel_cache cache;
	size_t at;
	uint32_t rows_most;
};

/* Attention of all rows over their caches, which hold the rows' own already. Positions are cut
 * into splits of KERNEL_SPLIT from the cache's beginning; a split's largest score, total and sums
 * are one record, and records are joined in order. Products are matrix instructions of bf16 terms
 * like those of struct device_job: `terms` of queries and of weights, two of an f32 cache. */
struct attend_args {
	const struct device_batch *batch;
	bool latent;                /* MLA: one key head for all heads, values are the latents */
	uint32_t heads, kv_heads;   /* kv_heads 1 if latent */
	uint32_t wide, tail, value; /* numbers of a key's two parts (tail 0 but MLA's), a value */
	const float *query, *query_tail;
	size_t query_row, query_head, tail_row, tail_head; /* floats */
	float scale, softcap;
	const float *sink;      /* [heads]; NULL: none */
	uint32_t window, chunk; /* as in struct model_layer; 0: all */
	enum kernel_cache cache;
	size_t at;
	float *out; /* [rows][heads][value] */
	/* device_attend_records(...) floats, and u32 [rows_most * kv_heads], zero before and after */
	float *record;
	uint32_t *arrived;
	uint32_t rows_most, splits_most; /* of any row in any pass with these args */
	uint32_t terms;
};

/* Floats of `record`. */
static inline size_t device_attend_records(const struct attend_args *a)
{
	return (size_t)a->rows_most * a->heads * a->splits_most * (a->value + 2);
}

#endif
