/* Device form of the counting sort of slots by expert (sort_slots of engine/cpu_ffn.c is the
 * truth).
 * Bound:   latency; for thousands of rows the shared memory's counting.
 * Bytes:   slots*2 read by each block and by each expert that has slots (from the cache),
 *          slots*8 + experts*8 written.
 * Launch:  grid experts/8, block 256. Each block counts all slots and so knows where every expert
 *          begins, without waiting for others; a warp then finds the slots of an expert.
 * Order:   slots of an expert ascend; all numbers are whole.
 * Limits:  registers 40, threads 256, local 0
 * Shared:  experts*4 + 64 bytes.
 * Blocks:  6 blocks a multiprocessor. */
#include "kernels/device_kernel.h"

namespace sort_slots_parts
{

#define SORT_LANE 8 /* slots of a lane at a time: 16 bytes */
#define SORT_WARP (SORT_LANE * WARP)
#define SORT_OWN (KERNEL_EXPERTS / DEVICE_THREADS) /* experts of a thread in the sums */

/* What those before this lane have. */
static __device__ __forceinline__ uint32_t warp_before(uint32_t v, uint32_t *all)
{
	uint32_t lane = threadIdx.x % WARP, sum = v;
#pragma unroll
	for (uint32_t step = 1; step < WARP; step *= 2) {
		uint32_t other = __shfl_up_sync(WARP_ALL, sum, step);
		sum += lane >= step ? other : 0;
	}
	*all = __shfl_sync(WARP_ALL, sum, WARP - 1);
	return sum - v;
}

/* What those threads before this one have, and all. room: 8 words. */
static __device__ uint32_t block_before(uint32_t v, uint32_t *room, uint32_t *all)
{
	uint32_t warp = threadIdx.x / WARP, own, sum = 0;
	uint32_t before = warp_before(v, &own);
	__syncthreads();
	room[warp] = own;
	__syncthreads();
	for (uint32_t i = 0; i < DEVICE_WARPS; i++) {
		before += i < warp ? room[i] : 0;
		sum += room[i];
	}
	*all = sum;
	return before;
}

/* Experts of slots [from, from + 8), 0xffff beyond the last. */
static __device__ __forceinline__ void load_lane(const uint16_t *expert, uint32_t from,
						 uint32_t slots, uint16_t out[SORT_LANE])
{
	if (from + SORT_LANE <= slots) {
		uint4 all = *(const uint4 *)(expert + from);
		memcpy(out, &all, sizeof all);
		return;
	}
#pragma unroll
	for (uint32_t i = 0; i < SORT_LANE; i++)
		out[i] = from + i < slots ? expert[from + i] : 0xffffu;
}

static __device__ void count_slots(const struct sort_slots_args &a, uint32_t slots, uint32_t *count)
{
	uint16_t e[SORT_LANE];
	for (uint32_t i = threadIdx.x; i < a.experts; i += DEVICE_THREADS)
		count[i] = 0;
	__syncthreads();
	for (uint32_t from = threadIdx.x * SORT_LANE; from < slots;
	     from += DEVICE_THREADS * SORT_LANE) {
		load_lane(a.expert, from, slots, e);
#pragma unroll
		for (uint32_t i = 0; i < SORT_LANE; i++) {
			if (e[i] < a.experts)
				atomicAdd(&count[e[i]], 1u);
		}
	}
	__syncthreads();
}

/* count becomes where each expert begins; writes: this block hands out what all need to know. */
static __device__ void sum_counts(const struct sort_slots_args &a, uint32_t *count, uint32_t *room,
				  bool writes)
{
	uint32_t own[SORT_OWN], slots = 0, some = 0, all, all_some;
	uint32_t first = threadIdx.x * SORT_OWN;
#pragma unroll
	for (uint32_t i = 0; i < SORT_OWN; i++) {
		own[i] = first + i < a.experts ? count[first + i] : 0;
		slots += own[i];
		some += own[i] > 0;
	}
	uint32_t begin = block_before(slots, room, &all);
	uint32_t rank = block_before(some, room, &all_some);
#pragma unroll
	for (uint32_t i = 0; i < SORT_OWN; i++) {
		if (first + i >= a.experts)
			break;
		count[first + i] = begin;
		if (writes)
			a.begin[first + i] = begin;
		if (writes && own[i] > 0)
			a.active[1 + rank++] = first + i;
		begin += own[i];
	}
	if (writes && threadIdx.x == 0) {
		a.begin[a.experts] = all;
		a.active[0] = all_some;
	}
	__syncthreads();
}

/* The slots of one expert, [at, end) of the places; a warp's. */
static __device__ void place_slots(const struct sort_slots_args &a, uint32_t slots, uint32_t expert,
				   uint32_t at, uint32_t end)
{
	uint16_t e[SORT_LANE];
	for (uint32_t from = 0; from < slots && at < end; from += SORT_WARP) {
		uint32_t first = from + threadIdx.x % WARP * SORT_LANE, found = 0, all;
		load_lane(a.expert, first, slots, e);
#pragma unroll
		for (uint32_t i = 0; i < SORT_LANE; i++)
			found += e[i] == expert;
		if (!__any_sync(WARP_ALL, found > 0))
			continue;
		uint32_t place = at + warp_before(found, &all);
#pragma unroll
		for (uint32_t i = 0; i < SORT_LANE; i++) {
			if (e[i] != expert)
				continue;
			a.place[first + i] = place;
			a.pick[place++] = (first + i) / a.top_k;
		}
		at += all;
	}
}

} /* namespace sort_slots_parts */

static __device__ void sort_slots_block(const struct sort_slots_args &a, unsigned char *shared)
{
	uint32_t *room = (uint32_t *)shared, *begin = room + 16;
	uint32_t slots = a.batch->rows * a.top_k, warp = threadIdx.x / WARP;
	if (blockIdx.x * DEVICE_WARPS >= a.experts)
		return; /* the whole block */
	sort_slots_parts::count_slots(a, slots, begin);
	sort_slots_parts::sum_counts(a, begin, room, blockIdx.x == 0);
	for (uint32_t e = blockIdx.x * DEVICE_WARPS + warp; e < a.experts;
	     e += gridDim.x * DEVICE_WARPS)
		sort_slots_parts::place_slots(a, slots, e, begin[e],
					      e + 1 < a.experts ? begin[e + 1] : slots);
}

static size_t sort_slots_shared(const struct sort_slots_args &a)
{
	return 64 + (size_t)a.experts * 4;
}

static bool sort_slots_valid(const struct sort_slots_args &a)
{
	return a.experts > 0 && a.experts <= KERNEL_EXPERTS && a.top_k > 0 &&
	       a.top_k <= KERNEL_TOP_K && device_aligned(a.expert) &&
	       (uint64_t)a.rows_most * a.top_k < 1u << 31;
}

#ifndef DEVICE_STEP
static uint32_t sort_slots_blocks(const struct sort_slots_args &a)
{
	return a.rows_most == 0 ? 0 : (a.experts - 1) / DEVICE_WARPS + 1;
}
DEVICE_LAUNCH(sort_slots)
#endif
