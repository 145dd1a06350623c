/* Private to product.cu, in part to its other forms: which panels of which jobs a block has.
 *
 * Jobs are a list, a job is its blocks of 32 rows one after the other, and each of these its
 * panels. Every panel has a cost, and of the sum of costs each block of the grid gets an equal,
 * contiguous share: the panels whose cost begins in it. So neighbours in the list share a block's
 * rows of x, and which blocks there are changes no bit. Every warp finds the share by itself, a
 * lane for each job, without a barrier. */
#ifndef KERNELS_PRODUCT_SHARE_H
#define KERNELS_PRODUCT_SHARE_H

#define PRODUCT_ROWS 32 /* of a block of rows */

namespace product_parts
{

struct share {
	uint64_t begin, end; /* costs */
	uint64_t base;       /* of all jobs before `place` */
	uint32_t place;      /* in the list of jobs, of the first with cost in the share */
	uint32_t places;     /* in the list */
};

static __device__ __forceinline__ uint32_t default_rows(const struct product_args &a)
{
	return a.rows == DEVICE_ROWS_WANTED ? a.batch->wanted : a.batch->rows;
}

static __device__ __forceinline__ uint32_t places_of(const struct product_args &a)
{
	return a.active == nullptr ? a.jobs : __ldcg(a.active) + (a.jobs - a.always);
}

static __device__ __forceinline__ const struct device_job &job_at(const struct product_args &a,
								  uint32_t place)
{
	if (a.active == nullptr)
		return a.job[place];
	uint32_t few = __ldcg(a.active);
	return a.job[place < few ? __ldcg(a.active + 1 + place) : a.always + (place - few)];
}

static __device__ __forceinline__ uint32_t rows_of(const struct product_args &a,
						   const struct device_job &j)
{
	return j.range ? __ldcg(j.range + 1) - __ldcg(j.range) : default_rows(a);
}

static __device__ __forceinline__ uint32_t panels_of(const struct device_job &j)
{
	return (j.w.rows + KERNEL_PANEL - 1) / KERNEL_PANEL;
}

static __device__ __forceinline__ uint32_t blocks_of(uint32_t rows)
{
	return (rows + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
}

/* Of a panel with `rows` rows: the strides that are read, or, where that takes longer, the matrix
 * instructions. Eight of these take about as long as a stride from memory. */
static __device__ __forceinline__ uint32_t panel_cost(const struct device_job &j, uint32_t rows)
{
	uint32_t tiles = (rows + 7) / 8 < 4 ? (rows + 7) / 8 : 4;
	uint32_t read = (uint32_t)(j.w.panel_bytes / FRAGMENT_STRIDE);
	uint32_t instructions = (j.w.columns + FRAGMENT_K - 1) / FRAGMENT_K * tiles;
	uint32_t cost = instructions / 8 > read ? instructions / 8 : read;
	return j.up.at ? 2 * cost : cost;
}

static __device__ uint64_t job_cost(const struct product_args &a, uint32_t place)
{
	const struct device_job &j = job_at(a, place);
	uint32_t rows = rows_of(a, j);
	return (uint64_t)panel_cost(j, rows) * panels_of(j) * blocks_of(rows);
}

[[maybe_unused]] static __device__ struct share share_of(const struct product_args &a)
{
	struct share s = {};
	s.places = places_of(a);
	uint32_t each = (s.places + WARP - 1) / WARP, lane = threadIdx.x % WARP;
	uint64_t mine = 0;
	for (uint32_t i = lane * each; i < (lane + 1) * each && i < s.places; i++)
		mine += job_cost(a, i);
	uint64_t upto = mine;
#pragma unroll
	for (uint32_t step = 1; step < WARP; step *= 2) {
		uint64_t before = __shfl_up_sync(WARP_ALL, upto, step);
		upto += lane >= step ? before : 0;
	}
	uint64_t total = __shfl_sync(WARP_ALL, upto, WARP - 1);
	s.begin = total * blockIdx.x / gridDim.x;
	s.end = total * (blockIdx.x + 1) / gridDim.x;
	uint32_t beyond = __ballot_sync(WARP_ALL, upto > s.begin);
	uint32_t first = beyond ? (uint32_t)__ffs((int)beyond) - 1 : WARP - 1;
	s.base = __shfl_sync(WARP_ALL, upto - mine, (int)first);
	s.place = first * each;
	for (; s.place < s.places; s.place++) {
		uint64_t cost = job_cost(a, s.place);
		if (s.base + cost > s.begin)
			break;
		s.base += cost;
	}
	return s;
}

/* The first item of a job whose cost begins at `at` or after, of `items`, each of this cost. */
static __device__ __forceinline__ uint32_t item_from(uint64_t at, uint64_t base, uint32_t cost,
						     uint32_t items)
{
	if (at <= base)
		return 0;
	uint64_t i = (at - base + cost - 1) / cost;
	return i < items ? (uint32_t)i : items;
}

} /* namespace product_parts */

#endif
