/* Products with many rows (kernels/operation_product.h says what, and in which order): the form of
 * product.cu's operation for prefill.
 * Bound:   matrix units, and as much shared memory: a tile of 16 K takes a warp 4 loads of weights
 *          and 4 of x from shared memory for 32 matrix instructions (two terms). A load is 4 cycles
 *          of a multiprocessor's shared memory, an instruction some 6.4 of a quarter's unit
 *          (mma.sync reaches about 62 % of what wgmma does on 9.0). With what copies, conversion
 *          and stores of x take, eight warps need 400 cycles of one and 407 of the other a tile.
 *          One panel a warp, as for few rows, would need 128 to 102. More rows a warp would spill:
 *          64 sums of a segment and 64 of those before it are half of the registers.
 * Bytes:   an item's panels (256 outputs) and rows*K*4 (up to 64 rows) for each, from L2; items
 *          that run at the same time have the panels in common.
 * Launch:  persistent, one block of 256 threads a multiprocessor; items are dealt out in turn. Warp
 *          w has panels c, c + 4, c + 8, c + 12 (c = w % 4; of two matrices with an up, half of
 *          each) and every other 8 rows. What an expert has of rows decides how many instructions
 *          its items take. Stages of 64 K follow one another across items: weights by cp.async,
 *          two or more stages ahead, x by registers, which make its terms, one ahead.
 * Shared:  items, sums of finished segments, two stages of x and those of weights: 199 KiB for 64
 *          rows and three stages. Where there is less, 32 or 16 rows.
 * Order:   as in product.cu, the same bits: a segment's chain begins from zero, and is added to
 *          what came before by the thread that has it.
 * Limits:  registers 255, threads 256, dynamic 204800, blocks 1, local 0, loads 16, mma yes */
#include "kernels/device_kernel.h"

#include "kernels/product_finish.h"
#include "kernels/product_large.h"
#include "kernels/product_rows.h"
#include "kernels/product_share.h"

namespace product_parts
{

#define LARGE_PANELS 16 /* of an item */
#define LARGE_OWN 4     /* panels of a warp, and most of its tiles of 8 rows */
#define LARGE_ITEMS 8   /* at a time known, more than stages in flight may be of */
#define LARGE_ROWS 64
#define LARGE_ITEM_BYTES 768
#define LARGE_HEAD (LARGE_ITEMS * LARGE_ITEM_BYTES + 768) /* and the search */
#define LARGE_STAGE (LARGE_PANELS * 4 * FRAGMENT_STRIDE)
#define LARGE_TILES 4 /* of 16 K in a stage, most */

/* Up to 256 outputs of a job for up to a.rows rows. */
struct large_item {
	const struct device_job *job;                /* NULL: there are no more items */
	const unsigned char *panel_at[LARGE_PANELS]; /* NULL: no panel */
	const unsigned char *scale_at[LARGE_PANELS];
	enum kernel_format format;
	enum mode mode;
	uint32_t panel;       /* first of the outputs */
	uint32_t first, rows; /* of out */
	uint32_t own;         /* tiles of 8 rows that a warp has */
	uint32_t tiles;       /* of 16 K */
	uint32_t strides;     /* of a panel */
	uint32_t row[LARGE_ROWS];
};
static_assert(sizeof(struct large_item) <= LARGE_ITEM_BYTES, "an item's room");

/* Bytes of shared memory from a stage of x to the next, and from a tile of it: eight lanes that
 * store a row's numbers write to different banks. */
static __host__ __device__ __forceinline__ uint32_t large_x_tile(uint32_t rows)
{
	return rows * 64 + 64;
}
struct large_room {
	uint32_t sum_at, x_at, ring_at, bytes;
};
static __host__ __device__ __forceinline__ struct large_room large_room_of(uint32_t rows,
									   uint32_t stages)
{
	struct large_room r;
	r.sum_at = LARGE_HEAD;
	r.x_at = r.sum_at + rows / 16 * LARGE_OWN * DEVICE_THREADS * 16;
	r.ring_at = r.x_at + 2 * LARGE_TILES * large_x_tile(rows);
	r.bytes = r.ring_at + stages * LARGE_STAGE;
	return r;
}

/* Of a format: tiles of 16 K in a stage, and strides of a panel that hold them. */
template <enum kernel_format f> struct large_sizes {
	using format = device_format<f>;
	static constexpr uint32_t tiles = LARGE_TILES / (format::parts == 3 ? 4 : format::parts);
	static constexpr uint32_t strides = tiles * format::parts / format::tiles;
	static constexpr bool grouped = format::group > 0;
	static constexpr uint32_t group = grouped ? format::group / FRAGMENT_K : 1; /* tiles */
};

static __device__ __forceinline__ uint32_t stages_of(const struct large_item &it)
{
	uint32_t each = it.format == KERNEL_F32   ? large_sizes<KERNEL_F32>::tiles
			: it.format == KERNEL_F16 ? large_sizes<KERNEL_F16>::tiles
						  : LARGE_TILES;
	return (it.tiles + each - 1) / each;
}

/* ---- items ---- */

/* Where a block is in the list of all items, known by its first warp. */
struct search {
	uint32_t number;        /* of the next item */
	uint32_t slice, before; /* a place in the list of jobs, and items of all before it */
	uint32_t through;       /* lane l: items of jobs slice to slice + l */
	bool after;             /* next is the second half of an item, UP_AFTER */
};

static __device__ __forceinline__ uint32_t outputs_of(enum mode mode)
{
	return mode == PAIRED ? LARGE_PANELS / 2 : LARGE_PANELS;
}

static __device__ void search_slice(const struct large_args &l, struct search *s)
{
	uint32_t place = s->slice + threadIdx.x % WARP;
	s->through = 0;
	if (place < places_of(l.a)) {
		const struct device_job &j = job_at(l.a, place);
		uint32_t outputs = outputs_of(mode_of(j)), rows = rows_of(l.a, j);
		s->through =
			(panels_of(j) + outputs - 1) / outputs * ((rows + l.rows - 1) / l.rows);
	}
#pragma unroll
	for (uint32_t step = 1; step < WARP; step *= 2) {
		uint32_t other = __shfl_up_sync(WARP_ALL, s->through, step);
		s->through += threadIdx.x % WARP >= step ? other : 0;
	}
}

static __device__ void place_panels(const struct device_job &j, struct large_item *it,
				    uint32_t lane)
{
	const struct device_matrix &w =
		it->mode == UP_AFTER || (it->mode == PAIRED && lane >= LARGE_PANELS / 2) ? j.up
											 : j.w;
	uint32_t panel = it->panel + lane % outputs_of(it->mode);
	const unsigned char *at = (const unsigned char *)w.at + panel * w.panel_bytes;
	bool there = panel * KERNEL_PANEL < w.rows;
	if (lane >= LARGE_PANELS)
		return;
	it->panel_at[lane] = there ? at : nullptr;
	it->scale_at[lane] =
		w.format == KERNEL_FP8
			? (const unsigned char *)(w.scale +
						  panel * KERNEL_PANEL / KERNEL_FP8_BLOCK *
							  ((w.columns + KERNEL_FP8_BLOCK - 1) /
							   KERNEL_FP8_BLOCK))
			: at + (size_t)it->strides * FRAGMENT_STRIDE;
}

static __device__ __forceinline__ uint32_t strides_of(enum kernel_format f, uint32_t columns)
{
	uint32_t tiles = (columns + FRAGMENT_K - 1) / FRAGMENT_K;
	if (f == KERNEL_Q4 || f == KERNEL_MXFP4)
		return (tiles + 3) / 4;
	if (f == KERNEL_Q8 || f == KERNEL_FP8)
		return (tiles + 1) / 2;
	return tiles * (f == KERNEL_F32 ? 3 : f == KERNEL_F16 ? 2 : 1);
}

/* Rows [block * l.rows, ...) of a job, and panels from that of `group` on. */
static __device__ void fill_item(const struct large_args &l, const struct device_job &j,
				 uint32_t group, uint32_t block, bool after, struct large_item *it)
{
	uint32_t lane = threadIdx.x % WARP, from = block * l.rows, rows = rows_of(l.a, j) - from;
	uint32_t first = from + (j.range ? __ldcg(j.range) : 0);
	const uint32_t *pick = j.pick;
	if (!pick && !j.range && l.a.rows == DEVICE_ROWS_WANTED)
		pick = l.a.batch->want;
	rows = rows < l.rows ? rows : l.rows;
	if (lane == 0) {
		it->job = &j;
		it->mode = after ? UP_AFTER : mode_of(j);
		it->format = after ? j.up.format : j.w.format;
		it->panel = group * outputs_of(mode_of(j));
		it->first = first;
		it->rows = rows;
		it->own = (rows + 15) / 16;
		it->tiles = (j.w.columns + FRAGMENT_K - 1) / FRAGMENT_K;
		it->strides = strides_of(it->format, j.w.columns);
	}
	for (uint32_t i = lane; i < rows; i += WARP)
		it->row[i] = pick ? __ldcg(pick + first + i) : first + i;
	__syncwarp();
	place_panels(j, it, lane);
}

static __device__ __forceinline__ struct large_item &item_at(unsigned char *shared, uint32_t item)
{
	return *(struct large_item *)(shared + item % LARGE_ITEMS * LARGE_ITEM_BYTES);
}

/* Each lane of the first warp has the search in shared memory: all registers are needed. */
static_assert(sizeof(struct search) * WARP <= 3 * 256, "room of the search");

/* By the first warp: the next item of this block. */
static __device__ void find_item(const struct large_args &l, struct search *s,
				 struct large_item *it)
{
	uint32_t all, lane = threadIdx.x % WARP;
	while (s->number >= s->before + (all = __shfl_sync(WARP_ALL, s->through, WARP - 1))) {
		s->before += all;
		s->slice += WARP;
		if (s->slice >= places_of(l.a)) {
			if (lane == 0)
				it->job = nullptr;
			s->slice -= WARP; /* ask again */
			s->before -= all;
			return;
		}
		search_slice(l, s);
	}
	uint32_t in = s->number - s->before;
	uint32_t which = (uint32_t)__ffs((int)__ballot_sync(WARP_ALL, s->through > in)) - 1;
	uint32_t before = __shfl_sync(WARP_ALL, s->through, (int)(which > 0 ? which - 1 : 0));
	in -= which > 0 ? before : 0;
	const struct device_job &j = job_at(l.a, s->slice + which);
	uint32_t blocks = (rows_of(l.a, j) + l.rows - 1) / l.rows;
	fill_item(l, j, in / blocks, in % blocks, s->after, it);
	s->after = !s->after && mode_of(j) == UP_LATER;
	s->number += s->after ? 0 : gridDim.x;
}

static __device__ void search_next(const struct large_args &l, unsigned char *shared, uint32_t item)
{
	struct search *at =
		(struct search *)(shared + LARGE_ITEMS * LARGE_ITEM_BYTES) + threadIdx.x % WARP;
	struct search s = *at;
	find_item(l, &s, &item_at(shared, item));
	*at = s;
}

static __device__ void search_begin(const struct large_args &l, unsigned char *shared)
{
	struct search *at =
		(struct search *)(shared + LARGE_ITEMS * LARGE_ITEM_BYTES) + threadIdx.x % WARP;
	struct search s = {};
	s.number = blockIdx.x;
	search_slice(l, &s);
	*at = s;
	search_next(l, shared, 0);
}

/* ---- stages ---- */

/* These ask for the thread's number by ptx_thread: what is made of threadIdx.x for each of the
 * formats would be kept in registers all the time. */

/* A stage of an item. */
struct cursor {
	uint32_t item, stage;
};

/* There is such a stage, and it is of this format. */
template <enum kernel_format f>
static __device__ __forceinline__ bool stage_is(const struct large_item &it)
{
	return it.job != nullptr && it.format == f;
}

static __device__ __forceinline__ void next_stage(const struct large_item &it, struct cursor *c)
{
	c->stage++;
	if (c->stage == stages_of(it)) {
		c->stage = 0;
		c->item++;
	}
}

/* Weights of a stage, to where `to` is. */
template <enum kernel_format f>
static __device__ __forceinline__ void copy_stage(const struct large_item &it, uint32_t stage,
						  unsigned char *to)
{
	uint32_t thread = ptx_thread();
	constexpr uint32_t strides = large_sizes<f>::strides;
	uint32_t warp = thread / WARP, lane = thread % WARP, all = it.strides;
#pragma unroll
	for (uint32_t i = 0; i < LARGE_PANELS * strides / DEVICE_WARPS; i++) {
		uint32_t unit = warp + i * DEVICE_WARPS, panel = unit / strides,
			 stride = stage * strides + unit % strides;
		const unsigned char *at = it.panel_at[panel];
		bool whole = at != nullptr && stride < all;
		at = whole ? at + (size_t)stride * FRAGMENT_STRIDE : it.panel_at[0];
		ptx_copy_async16(to + unit * FRAGMENT_STRIDE + lane * 16, at + lane * 16, whole);
	}
}

/* A thread's part of x of a stage: four numbers that follow one another, of each of some rows. */
template <enum kernel_format f> struct x_part {
	static constexpr uint32_t lanes = large_sizes<f>::tiles * 4; /* of a row */
	float4 v[LARGE_ROWS * lanes / DEVICE_THREADS];
};

/* Zeros beyond columns and rows. */
template <enum kernel_format f>
static __device__ __forceinline__ void load_x(const struct large_item &it, uint32_t stage,
					      struct x_part<f> *x)
{
	uint32_t thread = ptx_thread();
	constexpr uint32_t lanes = x_part<f>::lanes, step = DEVICE_THREADS / lanes;
	const struct device_job &j = *it.job;
	uint32_t columns = j.w.columns, rows = it.rows, row = thread / lanes,
		 k = stage * (lanes * 4) + thread % lanes * 4;
	const float *from = j.x;
	size_t stride = j.x_stride;
	bool whole = ((uintptr_t)from | stride * 4) % 16 == 0 && columns % 4 == 0;
#pragma unroll
	for (uint32_t i = 0; i < LARGE_ROWS / step; i++, row += step) {
		x->v[i] = make_float4(0, 0, 0, 0);
		if (row >= rows || k >= columns)
			continue;
		const float *at = from + it.row[row] * stride + k;
		if (whole) {
			x->v[i] = __ldcg((const float4 *)at);
		} else {
			x->v[i].x = __ldcg(at);
			x->v[i].y = k + 1 < columns ? __ldcg(at + 1) : 0;
			x->v[i].z = k + 2 < columns ? __ldcg(at + 2) : 0;
			x->v[i].w = k + 3 < columns ? __ldcg(at + 3) : 0;
		}
	}
}

/* Its terms, in the layout of product_rows.h, with other distances. Of four lanes, which have pairs
 * 0 and 1, 2 and 3, ... of a tile's eight, each gets the two that an instruction takes together. */
template <enum kernel_format f>
static __device__ __forceinline__ void store_x(const struct large_item &it, bool two,
					       uint32_t tile_bytes, const struct x_part<f> &x,
					       unsigned char *to)
{
	uint32_t thread = ptx_thread();
	constexpr uint32_t lanes = x_part<f>::lanes, step = DEVICE_THREADS / lanes;
	uint32_t lane = thread % lanes, part = lane % 4, rows = it.own * 16;
	bool high = part >= 2;
	to += lane / 4 * tile_bytes + (part % 2 * 2 + part / 2) * 16;
#pragma unroll
	for (uint32_t i = 0; i < LARGE_ROWS / step; i++) {
		uint32_t a[2], b[2], row = thread / lanes + i * step;
		split(make_float2(x.v[i].x, x.v[i].y), two, &a[0], &a[1]);
		split(make_float2(x.v[i].z, x.v[i].w), two, &b[0], &b[1]);
		uint32_t first = __shfl_xor_sync(WARP_ALL, high ? a[0] : b[0], 2);
		uint32_t second = __shfl_xor_sync(WARP_ALL, high ? a[1] : b[1], 2);
		if (row < rows)
			*(uint4 *)(to + row * 64) = high ? make_uint4(first, b[0], second, b[1])
							 : make_uint4(a[0], first, a[1], second);
	}
}

/* Scales of a stage of a warp's panels, of rows g and g + 8: as device_chunk has them. */
struct scales {
	uint32_t word[LARGE_OWN][2];
};

template <enum kernel_format f>
static __device__ __forceinline__ void load_scales(const struct large_item &it, uint32_t stage,
						   struct scales *s)
{
	uint32_t thread = ptx_thread();
	uint32_t g = thread % WARP / 4, c = thread / WARP % LARGE_OWN;
#pragma unroll
	for (uint32_t p = 0; p < LARGE_OWN; p++) {
		s->word[p][0] = s->word[p][1] = 0;
		if constexpr (large_sizes<f>::grouped) {
			const unsigned char *at = it.scale_at[c + 4 * p];
			if (it.panel_at[c + 4 * p] == nullptr)
				continue;
			if constexpr (f == KERNEL_FP8) {
				s->word[p][0] = __ldg((const uint32_t *)at + stage / 2);
			} else if constexpr (f == KERNEL_MXFP4) {
				at += (stage / 4 * 8 + g) * 16 + stage % 4 * 4;
				s->word[p][0] = __ldg((const uint32_t *)at);
			} else {
				at += (stage / 4 * 8 + g) * 32 + stage % 4 * 8;
				const uint2 v = __ldg((const uint2 *)at);
				s->word[p][0] = v.x;
				s->word[p][1] = v.y;
			}
		}
	}
}

template <enum kernel_format f>
static __device__ __forceinline__ float large_scale(const struct scales &s, uint32_t p,
						    uint32_t group, uint32_t eight)
{
	if constexpr (f == KERNEL_FP8)
		return __uint_as_float(s.word[p][0]);
	else if constexpr (f == KERNEL_MXFP4)
		return device_e8m0(s.word[p][0] >> (16 * group + 8 * eight) & 0xff);
	else
		return eight ? ptx_f16_high(group ? s.word[p][1] : s.word[p][0])
			     : ptx_f16_low(group ? s.word[p][1] : s.word[p][0]);
}

/* ---- sums ---- */

/* Of each of a warp's panels and tiles of 8 rows. */
using large_sums = float[LARGE_OWN][LARGE_OWN][4];

static __device__ __forceinline__ void zero(large_sums &s)
{
#pragma unroll
	for (uint32_t i = 0; i < LARGE_OWN * LARGE_OWN * 4; i++)
		s[i / 16][i / 4 % 4][i % 4] = 0;
}

/* One tile of 16 K, an odd one or not; weights and x: the lane's own places. */
template <enum kernel_format f, bool odd>
static __device__ __forceinline__ void multiply_large(const unsigned char *weights, uint32_t tile,
						      const unsigned char *x, uint32_t own,
						      bool two, large_sums &sum)
{
	using format = device_format<f>;
	constexpr uint32_t panel_bytes = 4 * large_sizes<f>::strides * FRAGMENT_STRIDE;
	uint4 b[LARGE_OWN];
#pragma unroll
	for (uint32_t j = 0; j < LARGE_OWN; j++)
		b[j] = j < own ? *(const uint4 *)(x + j * 1024) : make_uint4(0, 0, 0, 0);
	weights += tile / format::tiles * format::parts * FRAGMENT_STRIDE;
#pragma unroll
	for (uint32_t part = 0; part < format::parts; part++) {
		uint32_t a[LARGE_OWN][4];
#pragma unroll
		for (uint32_t p = 0; p < LARGE_OWN; p++) {
			const uint4 code = *(const uint4 *)(weights + p * panel_bytes +
							    part * FRAGMENT_STRIDE);
			if constexpr (format::tiles == 2)
				device_fragment<f>(odd ? make_uint4(code.z, code.w, 0, 0) : code, 0,
						   a[p]);
			else if constexpr (format::tiles == 4)
				device_fragment<f>(make_uint4(tile / 2 % 2
								      ? (odd ? code.w : code.z)
								      : (odd ? code.y : code.x),
							      0, 0, 0),
						   0, a[p]);
			else
				device_fragment<f>(code, 0, a[p]);
		}
#pragma unroll
		for (uint32_t j = 0; j < LARGE_OWN; j++) {
			if (j >= own)
				break;
			const uint32_t first[2] = { b[j].x, b[j].y };
			const uint32_t second[2] = { b[j].z, b[j].w };
#pragma unroll
			for (uint32_t p = 0; p < LARGE_OWN; p++)
				ptx_mma_bf16(sum[p][j], a[p], first);
			if (!two)
				continue;
#pragma unroll
			for (uint32_t p = 0; p < LARGE_OWN; p++)
				ptx_mma_bf16(sum[p][j], a[p], second);
		}
	}
}

template <enum kernel_format f>
static __device__ __forceinline__ void add_group(const struct scales &s, uint32_t group,
						 large_sums &of, large_sums &sum)
{
#pragma unroll
	for (uint32_t p = 0; p < LARGE_OWN; p++) {
		const float scale[2] = { large_scale<f>(s, p, group, 0),
					 large_scale<f>(s, p, group, 1) };
#pragma unroll
		for (uint32_t i = 0; i < LARGE_OWN * 4; i++)
			sum[p][i / 4][i % 4] =
				fmaf(of[p][i / 4][i % 4], scale[i % 4 / 2], sum[p][i / 4][i % 4]);
	}
	zero(of);
}

/* A stage's tiles. of: of a group that goes on; formats without groups have no use for it. */
template <enum kernel_format f>
static __device__ __forceinline__ void multiply_stage(const unsigned char *weights,
						      const unsigned char *x, uint32_t tile_bytes,
						      uint32_t count, uint32_t own, bool two,
						      const struct scales &s, large_sums &of,
						      large_sums &sum)
{
	constexpr bool grouped = large_sizes<f>::grouped;
#pragma unroll 1
	for (uint32_t tile = 0; tile < count; tile += grouped ? 2 : 1) {
		const unsigned char *at = x + tile * tile_bytes;
		if constexpr (grouped) {
			multiply_large<f, false>(weights, tile, at, own, two, of);
			if (tile + 1 < count)
				multiply_large<f, true>(weights, tile + 1, at + tile_bytes, own,
							two, of);
		} else {
			multiply_large<f, false>(weights, tile, at, own, two, sum);
		}
		if constexpr (large_sizes<f>::group == 2)
			add_group<f>(s, tile / 2, of, sum);
	}
}

/* A thread's sums in shared memory; tiles: of 8 rows that there is room for, a warp. */
static __device__ __forceinline__ float4 *kept_at(unsigned char *shared, uint32_t tiles, uint32_t p,
						  uint32_t j)
{
	float4 *kept = (float4 *)(shared + LARGE_HEAD);
	return kept + (p * tiles + j) * DEVICE_THREADS + threadIdx.x;
}

/* A segment's sums to those before it, which are none if it `begins`: of formats with groups in
 * shared memory, for they need the registers for a group's; of others in run, until it `ends`. */
template <bool grouped>
static __device__ __forceinline__ void keep_segment(unsigned char *shared, uint32_t tiles,
						    uint32_t own, bool begins, bool ends,
						    const large_sums &sum, large_sums &run)
{
#pragma unroll
	for (uint32_t p = 0; p < LARGE_OWN; p++) {
#pragma unroll
		for (uint32_t j = 0; j < LARGE_OWN; j++) {
			if (j >= own)
				break;
			float4 *at = kept_at(shared, tiles, p, j), v = make_float4(0, 0, 0, 0);
			if (grouped && !begins)
				v = *at;
			if (!grouped && !begins)
				v = make_float4(run[p][j][0], run[p][j][1], run[p][j][2],
						run[p][j][3]);
			v = make_float4(v.x + sum[p][j][0], v.y + sum[p][j][1], v.z + sum[p][j][2],
					v.w + sum[p][j][3]);
			if (grouped || ends)
				*at = v;
			run[p][j][0] = v.x, run[p][j][1] = v.y;
			run[p][j][2] = v.z, run[p][j][3] = v.w;
		}
	}
}

/* ---- an item's end ---- */

static __device__ __forceinline__ float of_four(const float4 &v, uint32_t i)
{
	return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

static __device__ void finish_item(const struct large_item &it, unsigned char *shared,
				   uint32_t tiles)
{
	uint32_t thread = ptx_thread();
	uint32_t lane = thread % WARP, warp = thread / WARP, own = it.own;
	uint32_t panels = it.mode == PAIRED ? LARGE_OWN / 2 : LARGE_OWN;
#pragma unroll 1
	for (uint32_t i = 0; i < panels * own; i++) {
		uint32_t p = i / own, j = i % own;
		uint32_t row = (it.panel + warp % 4 + 4 * p) * KERNEL_PANEL + lane / 4;
		uint32_t column = (2 * j + warp / 4) * 8 + lane % 4 * 2;
		const float4 v = *kept_at(shared, tiles, p, j);
		const float4 up = it.mode == PAIRED ? *kept_at(shared, tiles, p + 2, j) : v;
#pragma unroll 1
		for (uint32_t e = 0; e < 4; e++) {
			uint32_t out = row + e / 2 * 8, in = column + e % 2;
			if (out < it.job->w.rows && in < it.rows)
				finish(*it.job, it.mode, out, it.first + in, of_four(v, e),
				       of_four(up, e));
		}
	}
}

/* ---- a block ---- */

/* Waits for all copies but those of the stages that follow the next one. */
static __device__ __forceinline__ void wait_stage(uint32_t stages)
{
	if (stages == 2)
		ptx_copy_wait<0>();
	else if (stages == 3)
		ptx_copy_wait<1>();
	else
		ptx_copy_wait<2>();
}

/* Begin to copy the cursor's stage, if there is one. When it is an item's first, the next item is
 * found. */
template <enum kernel_format f>
static __device__ __forceinline__ void begin_stage(const struct large_args &l,
						   unsigned char *shared, uint32_t number,
						   struct cursor *c)
{
	const struct large_item &it = item_at(shared, c->item);
	if (stage_is<f>(it)) {
		uint32_t item = c->item;
		bool begins = c->stage == 0;
		copy_stage<f>(it, c->stage,
			      shared + large_room_of(l.rows, 0).ring_at +
				      number % l.stages * LARGE_STAGE);
		next_stage(it, c);
		if (begins && threadIdx.x < WARP)
			search_next(l, shared, item + 1);
	}
	ptx_copy_commit();
}

/* Items of this format from that of c on, as long as they follow one another. */
template <enum kernel_format f>
static __device__ __forceinline__ void run_items(const struct large_args &l, unsigned char *shared,
						 uint32_t *first)
{
	using sizes = large_sizes<f>;
	uint32_t lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, number = 0,
		 tile_bytes = large_x_tile(l.rows), room = l.rows / 16;
	bool two = l.a.terms == 2;
	struct cursor now = { *first, 0 }, ahead = now;
	struct large_room at = large_room_of(l.rows, 0);
	struct x_part<f> x;
	struct scales next;
	large_sums sum, of, run; /* of a segment, of a group, of all segments so far */
	for (; number + 1 < l.stages; number++) {
		begin_stage<f>(l, shared, number, &ahead);
		__syncthreads();
	}
	load_x<f>(item_at(shared, now.item), 0, &x);
	load_scales<f>(item_at(shared, now.item), 0, &next);
	store_x<f>(item_at(shared, now.item), two, tile_bytes, x, shared + at.x_at);
	zero(sum), zero(of), zero(run);
#pragma unroll 1
	for (uint32_t n = 0; stage_is<f>(item_at(shared, now.item)); n++, number++) {
		const struct large_item &it = item_at(shared, now.item);
		const struct scales scale = next;
		struct cursor after = now;
		wait_stage(l.stages);
		__syncthreads();
		begin_stage<f>(l, shared, number, &ahead);
		next_stage(it, &after);
		const struct large_item &then = item_at(shared, after.item);
		bool more = stage_is<f>(then);
		if (more) {
			load_x<f>(then, after.stage, &x);
			load_scales<f>(then, after.stage, &next);
		}
		uint32_t tile = now.stage * sizes::tiles, left = it.tiles - tile;
		uint32_t count = left < sizes::tiles ? left : sizes::tiles, own = it.own;
		if (it.panel_at[warp % 4] != nullptr)
			multiply_stage<f>(shared + at.ring_at + n % l.stages * LARGE_STAGE +
						  warp % 4 * (sizes::strides * FRAGMENT_STRIDE) +
						  lane * 16,
					  shared + at.x_at + n % 2 * LARGE_TILES * tile_bytes +
						  warp / 4 * 512 + lane * 16,
					  tile_bytes, count, own, two, scale, of, sum);
		tile += count;
		bool ends = tile == it.tiles;
		if constexpr (sizes::group == 8) {
			if (ends || tile % 8 == 0)
				add_group<f>(scale, 0, of, sum);
		}
		if (ends || tile % FRAGMENT_TILES == 0)
			keep_segment<sizes::grouped>(shared, room, own, tile <= FRAGMENT_TILES,
						     ends, sum, run);
		if (more)
			store_x<f>(then, two, tile_bytes, x,
				   shared + at.x_at + (n + 1) % 2 * LARGE_TILES * tile_bytes);
		if (ends) {
			finish_item(it, shared, room);
			zero(run), zero(of); /* or they would be kept while it ran */
		}
		if (ends || tile % FRAGMENT_TILES == 0)
			zero(sum);
		now = after;
	}
	ptx_copy_wait<0>();
	__syncthreads();
	*first = now.item;
}

static __device__ __forceinline__ void run_format(const struct large_args &l, unsigned char *shared,
						  uint32_t *first)
{
	switch (item_at(shared, *first).format) {
	case KERNEL_F32:
		run_items<KERNEL_F32>(l, shared, first);
		break;
	case KERNEL_BF16:
		run_items<KERNEL_BF16>(l, shared, first);
		break;
	case KERNEL_FP8:
		run_items<KERNEL_FP8>(l, shared, first);
		break;
	case KERNEL_F16:
		run_items<KERNEL_F16>(l, shared, first);
		break;
	case KERNEL_Q8:
		run_items<KERNEL_Q8>(l, shared, first);
		break;
	case KERNEL_Q4:
		run_items<KERNEL_Q4>(l, shared, first);
		break;
	default:
		run_items<KERNEL_MXFP4>(l, shared, first);
		break;
	}
}

static __device__ void run_large(const struct large_args &l, unsigned char *shared)
{
	uint32_t first = 0;
	if (threadIdx.x < WARP)
		search_begin(l, shared);
	__syncthreads();
	while (item_at(shared, first).job != nullptr)
		run_format(l, shared, &first);
}

} /* namespace product_parts */

static __global__ void __launch_bounds__(DEVICE_THREADS, 1)
	product_large(const __grid_constant__ struct large_args l)
{
	SHARED_DYNAMIC(unsigned char, shared);
	ptx_launch_next();
	ptx_launch_wait();
	product_parts::run_large(l, shared);
}

/* Rows of an item: those asked for, else few enough that all multiprocessors have work; then as
 * many as there is room for. */
static uint32_t rows_of_items(const struct product_args &a, uint32_t stages)
{
	uint32_t rows = a.form.rows;
	uint64_t items = ((uint64_t)a.panels / LARGE_PANELS + 1) * ((a.rows_most - 1) / 64 + 1);
	if (rows == 0)
		rows = a.active == nullptr && items < 2 * device_multiprocessors ? 32 : 64;
	while (rows > 16 && product_parts::large_room_of(rows, stages).bytes > device_shared_most)
		rows /= 2;
	return rows;
}

int product_large_launch(void *stream, const struct product_args &a)
{
	uint32_t stages = a.form.stages > 0 ? a.form.stages : 3;
	uint32_t rows = rows_of_items(a, stages);
	while (stages > 2 && product_parts::large_room_of(rows, stages).bytes > device_shared_most)
		stages--;
	size_t shared = product_parts::large_room_of(rows, stages).bytes;
	uint64_t items = (uint64_t)a.panels * ((a.rows_most - 1) / rows + 1);
	uint32_t most = device_multiprocessors, blocks = items < most ? (uint32_t)items : most;
	const cudaLaunchConfig_t launch = device_launch(stream, blocks, shared);
	cudaError_t error =
		cudaFuncSetAttribute(product_large, cudaFuncAttributeMaxDynamicSharedMemorySize,
				     (int)shared);
	if (error == cudaSuccess && blocks > 0)
		error = cudaLaunchKernelEx(&launch, product_large,
					   (const struct large_args){ a, rows, stages });
	return error;
}
