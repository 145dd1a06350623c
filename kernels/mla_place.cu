/* Device form of the placing of latent attention's queries and cache rows (place_row of
 * engine/cpu_attn_mla.c is the truth).
 * Bound:   latency at decode, then memory.
 * Bytes:   rows*heads*rope_head*8, with a temper rows*heads*(nope + rope_head)*8, and
 *          rows*(kv_rank + rope_head)*(4 + those of a cache's number).
 * Launch:  grid rows*(heads + 1) / 8, a warp for each head and one for the cache row.
 * Order:   the latent's norm adds squares by lanes, then by a butterfly; every other number has
 *          the bits of the truth.
 * Limits:  registers 64, threads 256, local 90
 * Shared:  8 * max(kv_rank, rope_head) floats: 16 KiB of 512.
 * Blocks:  4 a multiprocessor. */
#include "kernels/device_place.h"

namespace mla_place_parts
{

static __host__ __device__ uint32_t room_of(const struct mla_place_args &a)
{
	return device_cache_width(a.kv_rank > a.rope_head ? a.kv_rank : a.rope_head);
}

static __device__ void place_query(const struct mla_place_args &a, uint32_t row, uint32_t h,
				   float *x)
{
	const struct device_batch &b = *a.batch;
	uint32_t position = b.position[row];
	float *q = a.q + ((size_t)row * a.heads + h) * (a.nope + a.rope_head), factor = 1;
	bool tempered = a.temper_beta < 0 || a.temper_beta > 0;
	if (tempered)
		factor = place_temper(a.temper_beta, a.temper_length, a.temper_shift, position);
	place_load(x, q + a.nope, a.rope_head);
	place_rotate(x, place_rope(b, a.rope, a.rope_far, row), position);
	for (uint32_t i = place_lane(); i < a.rope_head; i += WARP)
		q[a.nope + i] = tempered ? x[i] * factor : x[i];
	for (uint32_t i = place_lane(); tempered && i < a.nope; i += WARP)
		q[i] *= factor;
}

/* The latent, normed, then the rotated key that all heads share. */
static __device__ void place_cache_row(const struct mla_place_args &a, uint32_t row, float *x)
{
	const struct device_batch &b = *a.batch;
	const float *kv = a.kv + (size_t)row * (a.kv_rank + a.rope_head);
	uint32_t position = b.position[row], in = position % KERNEL_PAGE,
		 bytes = place_bytes(a.cache);
	size_t latent = (size_t)device_cache_width(a.kv_rank) * bytes,
	       tail = (size_t)device_cache_width(a.rope_head) * bytes;
	unsigned char *page = place_page(b, row) + a.at;
	place_load(x, kv, a.kv_rank);
	place_norm(x, a.kv_rank, a.kv_gain, a.eps);
	__syncwarp();
	place_store(a.cache, x, a.kv_rank, page + in * latent);
	__syncwarp();
	place_load(x, kv + a.kv_rank, a.rope_head);
	place_rotate(x, place_rope(b, a.rope, a.rope_far, row), position);
	place_store(a.cache, x, a.rope_head, page + KERNEL_PAGE * latent + in * tail);
}

} /* namespace mla_place_parts */

static __device__ void mla_place_block(const struct mla_place_args &a, unsigned char *shared)
{
	using namespace mla_place_parts;
	uint32_t warp = threadIdx.x / WARP, slots = a.heads + 1, items = a.batch->rows * slots;
	float *x = (float *)shared + (size_t)warp * room_of(a);
	for (uint32_t i = blockIdx.x * DEVICE_WARPS + warp; i < items;
	     i += gridDim.x * DEVICE_WARPS) {
		__syncwarp();
		if (i % slots == 0)
			place_cache_row(a, i / slots, x); /* first: it takes longest */
		else
			place_query(a, i / slots, i % slots - 1, x);
	}
}

static size_t mla_place_shared(const struct mla_place_args &a)
{
	return DEVICE_WARPS * mla_place_parts::room_of(a) * sizeof(float);
}

static bool mla_place_valid(const struct mla_place_args &a)
{
	return a.heads > 0 && a.rope_head > 0 && a.kv_rank > 0 &&
	       a.kv_rank <= DEVICE_ATTEND_WIDTH && a.rope_head <= DEVICE_ATTEND_WIDTH &&
	       (a.cache == KERNEL_CACHE_F32 || a.cache == KERNEL_CACHE_BF16) && a.at % 16 == 0 &&
	       2 * a.rope.half <= a.rope_head && 2 * a.rope_far.half <= a.rope_head;
}

#ifndef DEVICE_STEP
static uint32_t mla_place_blocks(const struct mla_place_args &a)
{
	return (a.rows_most * (a.heads + 1) + DEVICE_WARPS - 1) / DEVICE_WARPS;
}
DEVICE_LAUNCH(mla_place)
#endif
