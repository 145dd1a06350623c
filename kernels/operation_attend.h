/* Attention of a device over a paged cache. */
#ifndef KERNELS_OPERATION_ATTEND_H
#define KERNELS_OPERATION_ATTEND_H

#include "kernels/operation_batch.h"

/* Also for code of the device. */
#ifdef __CUDACC__
#define DEVICE_ALSO __host__ __device__
#else
#define DEVICE_ALSO
#endif

#define DEVICE_ATTEND_WIDTH 512 /* numbers of a head's key, of its value and of a latent at most */
#define DEVICE_ATTEND_RECORDS ((size_t)1 << 26) /* floats of records, if that is enough for a row */

/* How device pages lie: of each layer a part, and in it rows of positions, in f32 or bf16. Widths
 * are rounded up to FRAGMENT_K numbers, with zeros beyond: device_cache_width.
 *   GQA: of each key head keys [64][head], then of each values [64][value]
 *   MLA: latents [64][kv_rank], then rotary keys [64][rope_head] */
static inline DEVICE_ALSO uint32_t device_cache_width(uint32_t width)
{
	return (width + FRAGMENT_K - 1) / FRAGMENT_K * FRAGMENT_K;
}

struct device_rope {
	const float *cosine, *sine; /* [positions][half]; NULL: no rotation */
	uint32_t half;              /* pairs */
	bool interleaved;
};

/* Queries and new cache rows: norm, clip, rotate, temper; then store the cache rows. As
 * engine/cpu_attn_gqa.c does. Queries are written in place, kv stays as it is. */
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
 * are one record, and records are joined in order, in the form of kernels/attn.c. Products are
 * matrix instructions of bf16 terms like those of struct device_job: `terms` of queries and of
 * weights, two of an f32 cache (without the product of the two second ones).
 *
 * Splits of the first device_attend_cut_rows rows of a pass may be computed side by side, and are
 * joined by the last block to come then; those of other rows follow one another in one block. No
 * bit depends on it. A cache row whose numbers are not finite may make those rows so which come
 * with it in a pass, just before it. */
/* How attention is computed; no bit depends on it. All zero: as the library thinks best. */
struct attend_form {
	uint8_t queries; /* of an item at most: 8, 16 or 32, where that is built for the kind */
	uint8_t stages;  /* of the cache in shared memory at most: 2 to 4 */
	uint8_t alone;   /* 1: a block may have a multiprocessor's shared memory for itself */
	uint8_t cut;     /* splits are side by side up to so many tiles a block; 0: 4 */
	uint32_t room;   /* bytes of shared memory that the device gives a block; 0: 227 KiB */
};

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
	/* device_attend_records(...) floats, NULL: no row is cut; and u32 [rows_most * heads], zero
	 * before and after */
	float *record;
	uint32_t *arrived;
	uint32_t rows_most, splits_most; /* of any row in any pass with these args */
	uint32_t terms;
	struct attend_form form;
};

/* Rows that have room for records: all, or as many as DEVICE_ATTEND_RECORDS allows, at least 1. */
static inline DEVICE_ALSO uint32_t device_attend_cut_rows(const struct attend_args *a)
{
	size_t row = (size_t)a->heads * a->splits_most * (a->value + 2),
	       rows = DEVICE_ATTEND_RECORDS / row;
	return rows > a->rows_most ? a->rows_most : rows > 0 ? (uint32_t)rows : 1;
}

/* Floats of `record`. */
static inline DEVICE_ALSO size_t device_attend_records(const struct attend_args *a)
{
	return (size_t)device_attend_cut_rows(a) * a->heads * a->splits_most * (a->value + 2);
}

#endif
