/* Products of the regime "cuda-fast/1" for many rows (kernels/operation_product.h says what): the
 * rows rounded to bf16 once, weights with scales rounded to bf16 when they are decoded.
 * Bound:   matrix units; below some 200 rows a matrix, memory.
 * Bytes:   weights once for each 64 to 256 rows; rows*K*4 read and rows*K*2 written once, then
 *          rows*K*2 read for each 128 outputs, from L2; rows*outputs*4 written.
 * Launch:  first product_fast_rows turns x into tiles of bf16 (below). Then a block a
 *          multiprocessor: one warp copies stages of weights and tiles in bulk, two warpgroups (of
 *          216 registers a thread, which they take from the third) decode weights into the
 *          registers of their matrix instructions, which read the tiles where they lie. A block's
 *          items are 128 outputs (with a gate 128 of both) of 64, 128 or 256 rows, as many as still
 *          give each multiprocessor one.
 * Shared:  220 KiB: four stages of 52 KiB, of 64 K; 1,280 bytes a warp for the end of sums.
 * Order:   ascending in K, one accumulator, the machine's order within 16: a row's bits do not
 *          depend on other rows, but are not those of few rows, which product.cu computes.
 * Limits product_fast_rows:  registers 64, threads 256, local 0
 * Limits product_fast_items: registers 168, threads 384, dynamic 225472, blocks 1, local 0,
 *          loads bulk, mma wgmma
 *
 * Tiles: [K / 16][groups of 8 rows][2][8 rows][8 K] bf16, K padded with zeros to a multiple of 64:
 * the core matrices of device_warpgroup.h, so that the rows of an item are one piece for each 16 K.
 * The rows of the i-th job of a list begin, where it has a range, with group range[0] / 8 + i: the
 * jobs before it have at most that many. */
#include "kernels/product_fast.h"

#include "kernels/device_warpgroup.h"
#include "kernels/product_finish.h"
#include "kernels/product_share.h"

namespace product_fast_parts
{

using namespace product_parts;

#define FAST_STAGES 4
/* Of a stage: 8 panels' codes, or w's and up's; their scales, of a segment; from the end, tiles. */
#define FAST_CODES 16384u
#define FAST_SCALE 256u
#define FAST_STAGE 53248u
#define FAST_PANELS 8u   /* of an item, one a warp */
#define FAST_THREADS 384 /* the third warpgroup has the warp that copies */
#define FAST_REGISTERS 216
#define FAST_REGISTERS_COPYING 72
#define FAST_CHUNK 640u     /* bytes of a warp's 8 columns of sums, of 20 floats */
#define FAST_STAGES_AT 512u /* barriers lie before */
#define FAST_CHUNKS_AT (FAST_STAGES_AT + FAST_STAGES * FAST_STAGE)
#define FAST_ITEMS_AT (FAST_CHUNKS_AT + 2 * FAST_PANELS * FAST_CHUNK)
#define FAST_ITEM 192u /* bytes of a struct item, rounded up */
#define FAST_SHARED (FAST_ITEMS_AT + (FAST_PANELS + 1) * FAST_ITEM)

/* ---- lists ---- */

/* A warp's view of a list of jobs that have some items each: a lane counts `each` jobs. */
struct listed {
	uint32_t places, each, mine, upto; /* upto: with those of lanes below */
};

template <typename Count>
static __device__ __forceinline__ struct listed list_jobs(const struct product_args &a,
							  const Count &count)
{
	struct listed l = { places_of(a), 0, 0, 0 };
	uint32_t lane = threadIdx.x % WARP;
	l.each = (l.places + WARP - 1) / WARP;
	for (uint32_t i = lane * l.each; i < (lane + 1) * l.each && i < l.places; i++)
		l.mine += count(job_at(a, i));
	l.upto = l.mine;
#pragma unroll
	for (uint32_t step = 1; step < WARP; step *= 2) {
		uint32_t before = __shfl_up_sync(WARP_ALL, l.upto, step);
		l.upto += lane >= step ? before : 0;
	}
	return l;
}

static __device__ __forceinline__ uint32_t all_items(const struct listed &l)
{
	return __shfl_sync(WARP_ALL, l.upto, WARP - 1);
}

/* The job of an item of all, and its number among the job's. */
template <typename Count>
static __device__ __forceinline__ const struct device_job &find_job(const struct product_args &a,
								    const struct listed &l,
								    uint32_t *item,
								    const Count &count)
{
	uint32_t beyond = __ballot_sync(WARP_ALL, l.upto > *item);
	uint32_t first = (uint32_t)__ffs((int)beyond) - 1;
	*item -= __shfl_sync(WARP_ALL, l.upto - l.mine, (int)first);
	for (uint32_t place = first * l.each;; place++) {
		const struct device_job &j = job_at(a, place);
		uint32_t n = count(j);
		if (*item < n)
			return j;
		*item -= n;
	}
}

static __device__ __forceinline__ uint32_t first_group(const struct product_args &a,
						       const struct device_job &j)
{
	return j.range ? __ldcg(j.range) / 8 + (uint32_t)(&j - a.job) : 0;
}

/* ---- rows ---- */

#define ROWS_K 256 /* that a warp takes at a time, of 8 rows */

/* Numbers k and k + 1 of a row as bf16, zeros from `columns` on, where there may be anything. */
static __device__ __forceinline__ uint32_t two_of(const float *x, uint32_t k, uint32_t columns,
						  bool paired)
{
	float2 v = make_float2(0, 0);
	if (paired && k < columns)
		v = __ldcg((const float2 *)(x + k));
	else if (k < columns)
		v = make_float2(__ldcg(x + k), k + 1 < columns ? __ldcg(x + k + 1) : 0);
	return ptx_bf16_pair(v.x, v.y);
}

/* A warp's: 64 K of 8 rows. Lane 4 r + q has those of row r from 8 q and 8 (q + 4) on. */
static __device__ void turn_rows(const struct device_job &j, const float *x, bool any, uint32_t k,
				 unsigned char *to)
{
	uint32_t lane = threadIdx.x % WARP;
	bool paired = ((uintptr_t)j.x | j.x_stride * 4) % 8 == 0 && j.w.columns % 2 == 0;
#pragma unroll
	for (uint32_t half = 0; half < 2; half++) {
		uint32_t eight = lane % 4 + 4 * half;
		uint32_t pair[4];
#pragma unroll
		for (uint32_t i = 0; i < 4; i++)
			pair[i] = two_of(x, k + 8 * eight + 2 * i, any ? j.w.columns : 0, paired);
		*(uint4 *)(to + (size_t)eight / 2 * j.tile_groups * DEVICE_TILE_GROUP +
			   eight % 2 * 128 + lane / 4 * 16) =
			make_uint4(pair[0], pair[1], pair[2], pair[3]);
	}
}

static __device__ void turn_all(const struct product_args &a)
{
	auto count = [&a](const struct device_job &j) {
		uint32_t pieces = (j.w.columns + ROWS_K - 1) / ROWS_K;
		return j.tiles_mine ? (rows_of(a, j) + 7) / 8 * pieces : 0;
	};
	struct listed l = list_jobs(a, count);
	uint32_t warps = gridDim.x * DEVICE_WARPS, all = all_items(l);
	for (uint32_t n = blockIdx.x * DEVICE_WARPS + threadIdx.x / WARP; n < all; n += warps) {
		uint32_t item = n;
		const struct device_job &j = find_job(a, l, &item, count);
		uint32_t rows = rows_of(a, j), groups = (rows + 7) / 8;
		uint32_t i = item % groups * 8 + threadIdx.x % WARP / 4;
		uint32_t k = item / groups * ROWS_K, row = (j.range ? __ldcg(j.range) : 0) + i;
		const uint32_t *pick = j.pick;
		if (!pick && !j.range && a.rows == DEVICE_ROWS_WANTED)
			pick = a.batch->want;
		if (i < rows && pick)
			row = __ldcg(pick + row);
		unsigned char *to = (unsigned char *)j.tiles +
				    (size_t)(first_group(a, j) + item % groups) * DEVICE_TILE_GROUP;
		for (uint32_t end = k + ROWS_K; k < end && k < j.w.columns; k += 64)
			turn_rows(j, j.x + row * j.x_stride, i < rows, k,
				  to + (size_t)k / 16 * j.tile_groups * DEVICE_TILE_GROUP);
	}
}

#if WARPGROUP_HERE

/* ---- items ---- */

/* What a block computes at a time, and of its weights what differs by format. */
struct item {
	const struct device_job *job;
	struct device_matrix w, up;
	enum mode mode;
	uint32_t panel, panels; /* of w; likewise of up */
	uint32_t width;         /* rows that there are registers for */
	uint32_t first, rows;   /* of out */
	const unsigned char *tiles;
};

static_assert(sizeof(struct item) <= FAST_ITEM, "room for it");

struct weight_format {
	uint32_t tiles, parts; /* of 16 K in a stage; bf16 numbers a value */
	uint32_t strides;      /* of 512 bytes that a stage's tiles take */
	uint32_t scale_bytes;
	uint32_t each; /* tiles of a stride, or of `parts` of them */
};

static __device__ __forceinline__ struct weight_format format_of(enum kernel_format f)
{
	switch (f) {
	case KERNEL_F32:
		return { 1, 3, 3, 0, 1 };
	case KERNEL_F16:
		return { 2, 2, 4, 0, 1 };
	case KERNEL_BF16:
		return { 4, 1, 4, 0, 1 };
	case KERNEL_FP8:
		return { 4, 1, 2, 0, 2 };
	case KERNEL_Q8:
		return { 4, 1, 2, 2, 2 };
	case KERNEL_Q4:
		return { 4, 1, 1, 2, 4 };
	default:
		return { 4, 1, 1, 1, 4 };
	}
}

static __device__ __forceinline__ uint32_t tiles_of(const struct device_matrix &w)
{
	return (w.columns + FRAGMENT_K - 1) / FRAGMENT_K;
}

/* Strides of a panel before its scales. */
static __device__ __forceinline__ uint32_t strides_of(const struct device_matrix &w)
{
	const struct weight_format f = format_of(w.format);
	return (tiles_of(w) + f.each - 1) / f.each * f.parts;
}

static __device__ __forceinline__ uint32_t width_of(const struct device_job &j, uint32_t rows,
						    uint32_t most)
{
	uint32_t width = 64;
	most = mode_of(j) == PAIRED && most > 128 ? 128 : most;
	while (width < most && width < rows)
		width *= 2;
	return width;
}

/* Items of a job, as wide as its rows and `most` allow. */
struct item_count {
	const struct product_args &a;
	uint32_t most;
	__device__ __forceinline__ uint32_t operator()(const struct device_job &j) const
	{
		uint32_t rows = rows_of(a, j), width = width_of(j, rows, most);
		return (panels_of(j) + FAST_PANELS - 1) / FAST_PANELS *
		       ((rows + width - 1) / width);
	}
};

/* Where a warp is in the ring of stages: stages so far. */
struct ring {
	uint64_t *full, *empty;
	unsigned char *stages;
	uint32_t count;
};

static __device__ __forceinline__ void take_item(const struct product_args &a,
						 const struct device_job &j, uint32_t number,
						 uint32_t most, struct item *t)
{
	uint32_t rows = rows_of(a, j);
	t->width = width_of(j, rows, most);
	uint32_t across = (rows + t->width - 1) / t->width, row = number % across * t->width;
	t->job = &j;
	t->w = j.w;
	t->up = j.up;
	t->mode = mode_of(j);
	t->panel = number / across * FAST_PANELS;
	t->panels = panels_of(j) - t->panel < FAST_PANELS ? panels_of(j) - t->panel : FAST_PANELS;
	t->rows = rows - row < t->width ? rows - row : t->width;
	t->first = row + (j.range ? __ldcg(j.range) : 0);
	t->tiles = (const unsigned char *)j.tiles +
		   (size_t)(first_group(a, j) + row / 8) * DEVICE_TILE_GROUP;
}

static __device__ __forceinline__ uint32_t steps_of(const struct item &t)
{
	uint32_t each = format_of(t.w.format).tiles;
	return (tiles_of(t.w) + each - 1) / each;
}

/* ---- the warp that copies ---- */

/* Of a panel's codes, and the segment's scales; lanes 0 to 7 have those of w, 8 to 15 of up. */
static __device__ __forceinline__ void copy_panel(const struct item &t, uint32_t step,
						  uint32_t slot, uint32_t codes,
						  unsigned char *stage, uint64_t *full)
{
	const struct weight_format f = format_of(t.w.format);
	const unsigned char *panel =
		(const unsigned char *)(slot < FAST_PANELS ? t.w.at : t.up.at) +
		(t.panel + slot % FAST_PANELS) * t.w.panel_bytes;
	ptx_bulk_copy(stage + slot * f.strides * FRAGMENT_STRIDE,
		      panel + (size_t)step * f.strides * FRAGMENT_STRIDE, codes, full);
	if (f.scale_bytes > 0)
		ptx_bulk_copy(stage + (t.mode == PAIRED ? 2 : 1) * FAST_CODES + slot * FAST_SCALE,
			      panel + (size_t)strides_of(t.w) * FRAGMENT_STRIDE +
				      (size_t)step * f.tiles / FRAGMENT_TILES * 128 * f.scale_bytes,
			      128 * f.scale_bytes, full);
}

static __device__ void copy_item(const struct item &t, struct ring &r)
{
	const struct weight_format f = format_of(t.w.format);
	uint32_t lane = threadIdx.x % WARP, steps = steps_of(t), half = t.mode == PAIRED ? 2 : 1;
	uint32_t strides = strides_of(t.w);
	uint32_t groups = (t.rows + 7) / 8, row_bytes = groups * DEVICE_TILE_GROUP;
	bool mine = lane < half * FAST_PANELS && lane % FAST_PANELS < t.panels;
	for (uint32_t step = 0; step < steps; step++, r.count++) {
		uint32_t at = r.count % FAST_STAGES, left = strides - step * f.strides;
		uint32_t codes = (left < f.strides ? left : f.strides) * FRAGMENT_STRIDE;
		unsigned char *stage = r.stages + at * FAST_STAGE;
		ptx_barrier_wait(&r.empty[at], r.count / FAST_STAGES % 2 ^ 1);
		if (lane == 0)
			ptx_barrier_expect(&r.full[at],
					   half * t.panels * (codes + 128 * f.scale_bytes) +
						   f.tiles * row_bytes);
		__syncwarp();
		if (mine)
			copy_panel(t, step, lane, codes, stage, &r.full[at]);
		else if (lane >= 16 && lane - 16 < f.tiles)
			ptx_bulk_copy(stage + FAST_STAGE -
					      f.tiles * t.width / 8 * DEVICE_TILE_GROUP +
					      (lane - 16) * row_bytes,
				      t.tiles + ((size_t)step * f.tiles + lane - 16) *
							t.job->tile_groups * DEVICE_TILE_GROUP,
				      row_bytes, &r.full[at]);
	}
}

/* ---- the warps that multiply ---- */

/* A pair of decoded values of one output, times its scale, rounded. */
static __device__ __forceinline__ uint32_t scaled(uint32_t pair, float scale)
{
	return ptx_bf16_pair(device_bf16_low(pair) * scale, device_bf16_high(pair) * scale);
}

/* Scales of the lane's outputs g and g + 8 for 32 K of the stage; E8M0 and f16 from shared memory,
 * FP8's, one for all, from global. */
static __device__ __forceinline__ void scales_of(const struct device_matrix &w, uint32_t panel,
						 uint32_t step, const unsigned char *scales,
						 uint32_t which, float out[2])
{
	uint32_t group = (step % 4 * 2 + which) + threadIdx.x % WARP / 4 * FRAGMENT_GROUPS;
	if (w.format == KERNEL_FP8) {
		uint32_t across = (w.columns + KERNEL_FP8_BLOCK - 1) / KERNEL_FP8_BLOCK;
		out[0] = out[1] = __ldg(w.scale + panel * KERNEL_PANEL / KERNEL_FP8_BLOCK * across +
					step / 2);
	} else if (w.format == KERNEL_MXFP4) {
		uint32_t pair = *(const uint16_t *)(scales + group * 2);
		out[0] = device_e8m0(pair & 0xff);
		out[1] = device_e8m0(pair >> 8);
	} else {
		uint32_t pair = *(const uint32_t *)(scales + group * 4);
		out[0] = ptx_f16_low(pair);
		out[1] = ptx_f16_high(pair);
	}
}

/* Registers of the four products of a stage: of four tiles of 16 K; F16: both parts of two; F32:
 * three parts of one, then nothing. `left` tiles have weights, what is beyond is zero. */
template <enum kernel_format f>
static __device__ __forceinline__ void decode(const struct device_matrix &w, uint32_t panel,
					      uint32_t step, const unsigned char *codes,
					      const unsigned char *scales, uint32_t left,
					      uint32_t (&a)[4][4])
{
	using format = device_format<f>;
	uint32_t lane = threadIdx.x % WARP;
#pragma unroll
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t tile = i / format::parts;
		bool any = tile < left && i < 4 / format::parts * format::parts;
		uint4 v = make_uint4(0, 0, 0, 0);
		if (any)
			v = *(const uint4 *)(codes + i / format::tiles * FRAGMENT_STRIDE +
					     lane * 16);
		device_fragment<f>(v, i % format::tiles, a[i]);
		if constexpr (format::group > 0) {
			float scale[2] = { 0, 0 };
			if (any)
				scales_of(w, panel, step, scales, i / 2, scale);
#pragma unroll
			for (uint32_t k = 0; k < 4; k++)
				a[i][k] = any ? scaled(a[i][k], scale[k % 2]) : 0;
		}
	}
}

static __device__ __forceinline__ void decode_any(const struct device_matrix &w, uint32_t panel,
						  uint32_t step, const unsigned char *codes,
						  const unsigned char *scales, uint32_t left,
						  uint32_t (&a)[4][4])
{
	switch (w.format) {
	case KERNEL_F32:
		decode<KERNEL_F32>(w, panel, step, codes, scales, left, a);
		break;
	case KERNEL_F16:
		decode<KERNEL_F16>(w, panel, step, codes, scales, left, a);
		break;
	case KERNEL_BF16:
		decode<KERNEL_BF16>(w, panel, step, codes, scales, left, a);
		break;
	case KERNEL_FP8:
		decode<KERNEL_FP8>(w, panel, step, codes, scales, left, a);
		break;
	case KERNEL_Q8:
		decode<KERNEL_Q8>(w, panel, step, codes, scales, left, a);
		break;
	case KERNEL_Q4:
		decode<KERNEL_Q4>(w, panel, step, codes, scales, left, a);
		break;
	default:
		decode<KERNEL_MXFP4>(w, panel, step, codes, scales, left, a);
		break;
	}
}

/* Eight columns of sums at a time by way of shared memory, so that what ends a sum stands here
 * once. Registers have no numbers: a branch for each eight. chunk: of this warp, 8 columns of 20
 * floats, for each half. */
template <uint32_t n, uint32_t halves>
static __device__ __forceinline__ void finish_item(const struct item &t, float *chunk,
						   const float (&first)[n / 2],
						   const float (&last)[n / 2])
{
	uint32_t lane = threadIdx.x % WARP, g = lane / 4, c = lane % 4;
	uint32_t panel = t.panel + threadIdx.x / WARP;
#pragma unroll 1
	for (uint32_t eight = 0; eight * 8 < t.rows; eight++) {
#pragma unroll
		for (uint32_t j = 0; j < n / 8; j++) {
			if (j != eight)
				continue;
#pragma unroll
			for (uint32_t i = 0; i < 4; i++) {
				uint32_t at = (2 * c + i % 2) * 20 + g + i / 2 * 8;
				chunk[at] = first[4 * j + i];
				if constexpr (halves == 2)
					chunk[160 + at] = last[4 * j + i];
			}
		}
		__syncwarp();
#pragma unroll 1
		for (uint32_t e = lane; e < 8 * KERNEL_PANEL; e += WARP) {
			uint32_t at = e / KERNEL_PANEL * 20 + e % KERNEL_PANEL;
			uint32_t row = panel * KERNEL_PANEL + e % KERNEL_PANEL;
			uint32_t i = eight * 8 + e / KERNEL_PANEL;
			if (i < t.rows && row < t.w.rows)
				finish(*t.job, t.mode, row, t.first + i, chunk[at],
				       chunk[(halves - 1) * 160 + at]);
		}
		__syncwarp();
	}
}

/* The item's sums, of w and, in the second half, of up. */
template <uint32_t n, uint32_t halves>
static __device__ __forceinline__ void multiply_item(const struct item &t, struct ring &r,
						     float *chunk)
{
	const struct weight_format f = format_of(t.w.format);
	uint32_t warp = threadIdx.x / WARP, steps = steps_of(t), groups = (t.rows + 7) / 8;
	uint32_t all = tiles_of(t.w);
	float d[halves][n / 2];
#pragma unroll
	for (uint32_t i = 0; i < halves * n / 2; i++)
		d[i / (n / 2)][i % (n / 2)] = 0;
#pragma unroll 1
	for (uint32_t step = 0; step < steps; step++, r.count++) {
		uint32_t at = r.count % FAST_STAGES, a[halves][4][4];
		const unsigned char *stage = r.stages + at * FAST_STAGE;
		const unsigned char *rows =
			stage + FAST_STAGE - f.tiles * n / 8 * DEVICE_TILE_GROUP;
		uint32_t left = warp < t.panels ? all - step * f.tiles : 0;
		uint64_t b = device_wgmma_matrix(rows, 128, DEVICE_TILE_GROUP, WARPGROUP_PLAIN);
		uint32_t next = groups * DEVICE_TILE_GROUP >> 4;
		ptx_barrier_wait(&r.full[at], r.count / FAST_STAGES % 2);
#pragma unroll
		for (uint32_t half = 0; half < halves; half++) {
			uint32_t slot = half * FAST_PANELS + warp;
			decode_any(half ? t.up : t.w, t.panel + warp, step,
				   stage + slot * f.strides * FRAGMENT_STRIDE,
				   stage + halves * FAST_CODES + slot * FAST_SCALE, left, a[half]);
			ptx_wgmma_fence();
#pragma unroll
			for (uint32_t i = 0; i < 4; i++)
				ptx_wgmma<n>(d[half], a[half][i],
					     b + (uint64_t)(i / f.parts < f.tiles ? i / f.parts
										  : 0) *
							     next);
			ptx_wgmma_commit();
		}
		ptx_wgmma_wait<0>();
		__syncwarp();
		if (threadIdx.x % WARP == 0)
			ptx_barrier_arrive(&r.empty[at]);
	}
	finish_item<n, halves>(t, chunk, d[0], d[halves - 1]);
}

static __device__ __forceinline__ void multiply_any(const struct item &t, struct ring &r,
						    float *chunk)
{
	if (t.mode == PAIRED && t.width == 64)
		multiply_item<64, 2>(t, r, chunk);
	else if (t.mode == PAIRED)
		multiply_item<128, 2>(t, r, chunk);
	else if (t.width == 64)
		multiply_item<64, 1>(t, r, chunk);
	else if (t.width == 128)
		multiply_item<128, 1>(t, r, chunk);
	else
		multiply_item<256, 1>(t, r, chunk);
}

/* The block's items, one after the other; each twice for an up of another format. Every warp finds
 * them by itself, after registers were dealt out, and keeps the one at hand in shared memory, since
 * the warp that copies has few. */
template <typename Work>
static __device__ __forceinline__ void each_item(const struct product_args &a, struct item &t,
						 const Work &work)
{
	struct item_count count = { a, 256 };
	struct listed l = list_jobs(a, count);
	while (count.most > 64 && all_items(l) < gridDim.x) {
		count.most /= 2;
		l = list_jobs(a, count);
	}
	for (uint32_t n = blockIdx.x, all = all_items(l); n < all; n += gridDim.x) {
		uint32_t number = n;
		const struct device_job &j = find_job(a, l, &number, count);
		take_item(a, j, number, count.most, &t);
		__syncwarp();
		for (bool again = true; again;) {
			work(t);
			again = t.mode == UP_LATER;
			__syncwarp();
			if (again) {
				t.w = t.up;
				t.mode = UP_AFTER;
			}
			__syncwarp();
		}
	}
}

static __device__ void run_items(const struct product_args &a, unsigned char *shared)
{
	uint64_t *full = (uint64_t *)shared, *empty = full + FAST_STAGES;
	struct ring r = { full, empty, shared + FAST_STAGES_AT, 0 };
	uint32_t warp = threadIdx.x / WARP;
	float *chunk = (float *)(shared + FAST_CHUNKS_AT + warp * 2 * FAST_CHUNK);
	struct item &t = *(struct item *)(shared + FAST_ITEMS_AT + warp * FAST_ITEM);
	if (threadIdx.x < FAST_STAGES) {
		ptx_barrier_init(&full[threadIdx.x], 1);
		ptx_barrier_init(&empty[threadIdx.x], FAST_PANELS);
		ptx_barrier_fence();
	}
	__syncthreads();
	if (warp < FAST_PANELS) {
		ptx_registers_more<FAST_REGISTERS>();
		each_item(a, t, [&](const struct item &of) { multiply_any(of, r, chunk); });
	} else {
		ptx_registers_less<FAST_REGISTERS_COPYING>();
		if (warp == FAST_PANELS)
			each_item(a, t, [&](const struct item &of) { copy_item(of, r); });
	}
}

#endif

} /* namespace product_fast_parts */

static __global__ void __launch_bounds__(DEVICE_THREADS)
	product_fast_rows(const __grid_constant__ struct product_args a)
{
	ptx_launch_next();
	ptx_launch_wait();
	product_fast_parts::turn_all(a);
}

static __global__ void __launch_bounds__(FAST_THREADS, 1)
	product_fast_items(const __grid_constant__ struct product_args a)
{
#if WARPGROUP_HERE
	SHARED_DYNAMIC(unsigned char, shared);
	ptx_launch_next();
	ptx_launch_wait();
	product_fast_parts::run_items(a, shared);
#endif
}

int product_fast_launch(void *stream, const struct product_args &a)
{
	using namespace product_fast_parts;
	uint32_t across = (a.rows_most - 1) / 64 + 1,
		 items = (a.panels / FAST_PANELS + a.jobs) * across;
	cudaLaunchConfig_t rows = device_launch(stream, across * 8 * a.jobs, 0);
	cudaLaunchConfig_t launch = device_launch(stream, 1, FAST_SHARED);
	int device = 0, major = 0;
	cudaError_t error = a.terms == 1 ? cudaGetDevice(&device) : cudaErrorInvalidValue;
	if (error == cudaSuccess)
		error = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
	error = error == cudaSuccess && major != 9 ? cudaErrorNotSupported : error;
	launch.gridDim = dim3(items < device_multiprocessors ? items : device_multiprocessors);
	launch.blockDim = dim3(FAST_THREADS);
	if (error == cudaSuccess)
		error = cudaFuncSetAttribute(product_fast_items,
					     cudaFuncAttributeMaxDynamicSharedMemorySize,
					     FAST_SHARED);
	if (error == cudaSuccess)
		error = cudaLaunchKernelEx(&rows, product_fast_rows, a);
	if (error == cudaSuccess)
		error = cudaLaunchKernelEx(&launch, product_fast_items, a);
	return error;
}
