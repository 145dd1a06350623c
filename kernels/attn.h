/* Private: what the forms of attention share. */
#ifndef KERNELS_ATTN_H
#define KERNELS_ATTN_H

#include "kernels/kernels.h"

/* A split: which positions each row attends of it. */
struct attn_split {
	uint32_t begin[KERNEL_LANES], end[KERNEL_LANES]; /* [rows] */
	uint32_t from, to;                               /* of all rows together */
};

void kernel_attn_split(const struct kernel_attention *a, uint32_t split, struct attn_split *s);

/* A split of chosen positions, gathered: a call that attends just these. */
struct attn_gathered {
	struct kernel_attention a;
	const void *page[KERNEL_SPLIT / KERNEL_PAGE];
};

void kernel_attn_gather(const struct kernel_attention *a, uint32_t split, struct attn_gathered *g);

/* Parts of a record. Lanes are rounded up to vectors. */
struct attn_record {
	float *largest, *total, *sum; /* [lanes], [lanes], [lanes][stride] */
	size_t stride;
};

static inline uint32_t attn_round16(uint32_t n) { return (n + 15) / 16 * 16; }

/* Scratch: the caller's record, one more, and the rest. */
static inline float *attn_own(const struct kernel_attention *a)
{
	return a->scratch + kernel_attention_record(a->heads * a->rows, a->value);
}

static inline float *attn_work(const struct kernel_attention *a)
{
	return a->scratch + 2 * kernel_attention_record(a->heads * a->rows, a->value);
}

static inline struct attn_record attn_record(const struct kernel_attention *a, float *at)
{
	uint32_t lanes = attn_round16(a->heads * a->rows);
	return (struct attn_record){ at, at + lanes, at + 2 * (size_t)lanes,
				     attn_round16(a->value) };
}

#endif
