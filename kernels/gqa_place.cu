/* Device form of the placing of queries, keys and values (place_row of engine/cpu_attn_gqa.c is the
 * truth).
 * Bound:   latency at decode, then memory.
 * Bytes:   rows*heads*head*8, and rows*kv_heads*(head + value)*(4 + those of a cache's number).
 * Launch:  grid rows*(heads + 2 kv_heads) / 8, a warp for each head; with a norm over all heads
 *          rows*2, a block for the queries of a row and one for its keys and values.
 * Order:   a norm adds squares by lanes, then by a butterfly (over all heads: by threads, a
 *          butterfly, and warps in pairs); all other numbers have the bits of the truth.
 * Limits:  registers 128, threads 256, local 90
 * Shared:  8 * max(head, value) floats: 4 KiB of 128, and 8.
 * Blocks:  4 a multiprocessor. */
#include "kernels/device_place.h"

namespace gqa_place_parts
{

/* A layer's model_qk_norm (model/layer.h, which device code does not see). */
enum norm { NORM_NONE, NORM_HEAD, NORM_FULL, NORM_PLAIN };

static __host__ __device__ uint32_t room_of(const struct gqa_place_args &a)
{
	return device_cache_width(a.head > a.value ? a.head : a.value);
}

static __device__ __forceinline__ void clip(float *x, uint32_t n, float bound)
{
	for (uint32_t i = place_lane(); i < n && bound > 0; i += WARP) {
		x[i] = x[i] < bound ? x[i] : bound;
		x[i] = x[i] > -bound ? x[i] : -bound;
	}
}

/* Head h of the queries or keys of a row, in x. full: the scale of a norm over all heads. */
static __device__ void shape_head(const struct gqa_place_args &a, uint32_t row, uint32_t h,
				  const float *gain, float full, float *x)
{
	const struct device_batch &b = *a.batch;
	bool each = a.qk_norm == NORM_HEAD || a.qk_norm == NORM_PLAIN;
	if (a.qk_norm == NORM_FULL)
		place_scale(x, a.head, full, gain == nullptr ? nullptr : gain + (size_t)h * a.head);
	else if (each && !a.norm_late)
		place_norm(x, a.head, gain, a.eps);
	clip(x, a.head, a.clip);
	place_rotate(x, place_rope(b, a.rope, a.rope_far, row), b.position[row]);
	if (each && a.norm_late)
		place_norm(x, a.head, gain, a.eps);
}

static __device__ void place_query(const struct gqa_place_args &a, uint32_t row, uint32_t h,
				   float full, float *x)
{
	float *q = a.q + ((size_t)row * a.heads + h) * a.head, factor = 1;
	bool tempered = a.temper_beta < 0 || a.temper_beta > 0;
	if (tempered)
		factor = place_temper(a.temper_beta, a.temper_length, a.temper_shift,
				      a.batch->position[row]);
	place_load(x, q, a.head);
	shape_head(a, row, h, a.q_gain, full, x);
	for (uint32_t i = place_lane(); i < a.head; i += WARP)
		q[i] = tempered ? x[i] * factor : x[i];
}

/* Where a row's keys or values of key head h are stored. */
static __device__ unsigned char *cache_row(const struct gqa_place_args &a, uint32_t row, uint32_t h,
					   bool values)
{
	uint32_t bytes = place_bytes(a.cache), key = device_cache_width(a.head) * bytes,
		 value = device_cache_width(a.value) * bytes;
	size_t at = values ? (size_t)KERNEL_PAGE * ((size_t)a.kv_heads * key + (size_t)h * value)
			   : (size_t)KERNEL_PAGE * h * key;
	at += (size_t)(a.batch->position[row] % KERNEL_PAGE) * (values ? value : key);
	return place_page(*a.batch, row) + a.at + at;
}

static __device__ const float *row_of_kv(const struct gqa_place_args &a, uint32_t row)
{
	return a.kv + (size_t)row * a.kv_heads * (a.head + a.value);
}

static __device__ void place_key(const struct gqa_place_args &a, uint32_t row, uint32_t h,
				 float full, float *x)
{
	place_load(x, row_of_kv(a, row) + (size_t)h * a.head, a.head);
	shape_head(a, row, h, a.k_gain, full, x);
	__syncwarp();
	place_store(a.cache, x, a.head, cache_row(a, row, h, false));
}

static __device__ void place_value(const struct gqa_place_args &a, uint32_t row, uint32_t h,
				   float *x)
{
	const float *from = row_of_kv(a, row);
	from += a.values_are_keys ? (size_t)h * a.head
				  : (size_t)a.kv_heads * a.head + (size_t)h * a.value;
	place_load(x, from, a.value);
	if (a.value_norm)
		place_norm(x, a.value, nullptr, a.eps);
	clip(x, a.value, a.clip);
	__syncwarp();
	place_store(a.cache, x, a.value, cache_row(a, row, h, true));
}

/* The scale of a norm over n numbers, in every thread. All of them have been read then, so the
 * queries among them may be written. */
static __device__ float full_scale(const float *x, uint32_t n, float eps, float *room)
{
	float sum = 0;
	for (uint32_t i = threadIdx.x; i < n; i += DEVICE_THREADS)
		sum = fmaf(x[i], x[i], sum);
	return place_rms(device_block_sum(sum, room), n, eps);
}

/* Part 0 of a row are its queries, part 1 its keys and values. */
static __device__ void place_whole(const struct gqa_place_args &a, uint32_t row, uint32_t part,
				   float *x, float *room)
{
	uint32_t heads = part == 0 ? a.heads : a.kv_heads, warp = threadIdx.x / WARP;
	const float *all = part == 0 ? a.q + (size_t)row * a.heads * a.head : row_of_kv(a, row);
	float scale = full_scale(all, heads * a.head, a.eps, room);
	for (uint32_t h = warp; h < heads; h += DEVICE_WARPS) {
		__syncwarp();
		if (part == 0) {
			place_query(a, row, h, scale, x);
			continue;
		}
		place_key(a, row, h, scale, x);
		__syncwarp();
		place_value(a, row, h, x);
	}
}

static inline __host__ __device__ uint32_t slots_of(const struct gqa_place_args &a)
{
	if (a.qk_norm == NORM_FULL)
		return a.kv == nullptr ? 1 : 2;
	return a.heads + (a.kv == nullptr ? 0 : 2 * a.kv_heads);
}

} /* namespace gqa_place_parts */

static __device__ void gqa_place_block(const struct gqa_place_args &a, unsigned char *shared)
{
	using namespace gqa_place_parts;
	uint32_t warp = threadIdx.x / WARP, slots = slots_of(a), items = a.batch->rows * slots;
	float *x = (float *)shared + (size_t)warp * room_of(a),
	      *room = (float *)shared + (size_t)DEVICE_WARPS * room_of(a);
	if (a.qk_norm == NORM_FULL) {
		for (uint32_t i = blockIdx.x; i < items; i += gridDim.x)
			place_whole(a, i / slots, i % slots, x, room);
		return;
	}
	for (uint32_t i = blockIdx.x * DEVICE_WARPS + warp; i < items;
	     i += gridDim.x * DEVICE_WARPS) {
		uint32_t row = i / slots, slot = i % slots;
		__syncwarp();
		if (slot < a.heads)
			place_query(a, row, slot, 0, x);
		else if (slot < a.heads + a.kv_heads)
			place_key(a, row, slot - a.heads, 0, x);
		else
			place_value(a, row, slot - a.heads - a.kv_heads, x);
	}
}

static size_t gqa_place_shared(const struct gqa_place_args &a)
{
	return (DEVICE_WARPS * gqa_place_parts::room_of(a) + DEVICE_WARPS) * sizeof(float);
}

static bool gqa_place_valid(const struct gqa_place_args &a)
{
	using namespace gqa_place_parts;
	return a.heads > 0 && a.kv_heads > 0 && a.head > 0 && a.value > 0 &&
	       a.head <= DEVICE_ATTEND_WIDTH && a.value <= DEVICE_ATTEND_WIDTH &&
	       a.qk_norm <= NORM_PLAIN && !(a.qk_norm == NORM_FULL && a.norm_late) &&
	       (!a.values_are_keys || a.head == a.value) &&
	       (a.cache == KERNEL_CACHE_F32 || a.cache == KERNEL_CACHE_BF16) && a.at % 16 == 0 &&
	       2 * a.rope.half <= a.head && 2 * a.rope_far.half <= a.head;
}

#ifndef DEVICE_STEP
static uint32_t gqa_place_blocks(const struct gqa_place_args &a)
{
	uint32_t items = a.rows_most * gqa_place_parts::slots_of(a);
	if (a.qk_norm == gqa_place_parts::NORM_FULL)
		return items;
	return (items + DEVICE_WARPS - 1) / DEVICE_WARPS;
}
DEVICE_LAUNCH(gqa_place)
#endif
