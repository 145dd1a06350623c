/* Private: latent and grouped-query attention as one computation over cache rows. Latent: a key is
 * [latent | rope] and its value the latent again. Grouped: key and value are those of one head. */
#ifndef KERNELS_ATTN_H
#define KERNELS_ATTN_H

#include "kernels/kernels.h"

struct attn_view {
	uint32_t wide, tail; /* a key's width, in the two parts of the query */
	uint32_t value;      /* a value's width */
	const float *query, *query_tail;
	size_t query_stride, query_tail_stride, out_stride;
	uint32_t rows; /* query positions; more than one: without a tail */
	size_t query_row, out_row;
	const void *const *page;
	enum kernel_cache cache;
	size_t row, key_at, tail_at, value_at; /* bytes */
	uint32_t first, positions;
	float scale;
	const float *sink; /* [heads] or NULL */
	float *out, *scratch;
};

struct attn_view kernel_attn_view_mla(const struct kernel_mla *a);
struct attn_view kernel_attn_view_gqa(const struct kernel_gqa *a);

static inline const unsigned char *attn_row(const struct attn_view *a, uint32_t j)
{
	return (const unsigned char *)a->page[j / KERNEL_PAGE] + (size_t)(j % KERNEL_PAGE) * a->row;
}

#endif
