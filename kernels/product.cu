/* Products of weights with rows (kernels/operation_product.h says what, and in which order), in the
 * form for few rows; product_large.cu has the one for many.
 * Bound:   memory.
 * Bytes:   panels read once for each 32 rows; rows*K*4 read by each block that needs them, from L2;
 *          rows*outputs*4 written.
 * Launch:  persistent, two blocks of 256 threads a multiprocessor; a block takes an equal share of
 *          the list of panels (product_share.h). Its eight warps take the segments of its panels in
 *          turn: each loads 512 bytes at a time straight into registers, a chunk of 4 ahead of the
 *          one it multiplies, across segments and panels.
 * Shared:  112 KiB, or what a block may have if that is less: x in bf16 terms, of as much of K as
 *          fits; two rounds' partial sums; the running sums of some panels.
 * Order:   a segment is one warp's chain of matrix instructions, begun from zero. After each round
 *          of eight segments one thread an output adds them in ascending order. So neither the
 *          number of rows nor that of blocks, nor how much of x has room, changes a bit.
 * Limits:  registers 255, threads 256, dynamic 114688, blocks 2, local 0, loads 16, mma yes */
#include "kernels/device_kernel.h"

#include "kernels/product_fast.h"
#include "kernels/product_finish.h"
#include "kernels/product_large.h"
#include "kernels/product_rows.h"
#include "kernels/product_share.h"

namespace product_parts
{

#define PRODUCT_SHARED (112u << 10)
#define PRODUCT_NARROW 32 /* more rows are computed by product_large.cu, if the form does not say */
#define PRODUCT_WORK 256  /* bytes of a struct work, rounded up */
#define COLUMN 20 /* floats from a row's 16 partial sums to the next's: lanes miss each other */

/* Some panels of a job with up to 32 rows; and how a block's shared memory is cut for it. */
struct work {
	const struct device_job *job;
	struct device_matrix w, up; /* up: PAIRED */
	enum mode mode;
	uint32_t panel, panels;
	uint32_t first, rows; /* of out */
	uint32_t tiles;       /* of 8 rows, that instructions are issued for */
	bool two;             /* terms */
	/* Bytes from its beginning: rows of x, u32 [32]; f32 [2 rounds][8 warps][partial_floats];
	 * running sums of items, f32 [runs][run_floats]; x. Not pointers: the compiler would not
	 * know that they are of shared memory. */
	uint32_t row_at, partial_at, run_at, x_at, x_bytes;
};

static __device__ __forceinline__ uint32_t partial_floats(uint32_t tiles)
{
	return tiles * 8 * COLUMN;
}
static __device__ __forceinline__ uint32_t run_floats(uint32_t tiles)
{
	return tiles * 8 * KERNEL_PANEL;
}
static __device__ __forceinline__ uint32_t runs_of(uint32_t tiles) { return tiles < 4 ? 16 : 8; }

/* Bytes that a launch of the form for few rows gives. */
static __host__ __device__ __forceinline__ uint32_t room_of(const struct product_args &a)
{
	return a.form.room > 0 ? a.form.room : PRODUCT_SHARED;
}

static __device__ __forceinline__ void cut_shared(struct work &w, uint32_t bytes)
{
	w.row_at = PRODUCT_WORK; /* it begins with w itself */
	w.partial_at = w.row_at + PRODUCT_ROWS * 4;
	w.run_at = w.partial_at + 2 * DEVICE_WARPS * partial_floats(w.tiles) * 4;
	w.x_at = w.run_at + runs_of(w.tiles) * run_floats(w.tiles) * 4;
	w.x_bytes = bytes - w.x_at;
}

/* Segments [begin, end) of items, with x of them in shared memory. An item is a panel of w; PAIRED,
 * items 2i and 2i + 1 are the i-th panels of w and of up. */
struct stretch {
	uint32_t item, items, begin, end;
};

/* Where a warp or an adding thread is. */
struct place {
	uint32_t item, segment;
};

static __device__ __forceinline__ void advance(struct place &p, const struct stretch &s,
					       uint32_t by)
{
	p.segment += by;
	while (p.segment >= s.end) {
		p.segment -= s.end - s.begin;
		p.item++;
	}
}

/* ---- a warp's segment ---- */

/* Of a chunk for `columns` tiles of x: with many of them Q4's, whose scales take as many registers
 * as half of its codes, would be spilled. */
template <enum kernel_format f, uint32_t columns> struct chunk_sizes {
	using format = device_format<f>;
	static constexpr uint32_t loads = f == KERNEL_Q4 && columns > 1 ? 2 : format::loads;
	static constexpr uint32_t tiles = loads * format::tiles / format::parts;
	static constexpr uint32_t strides = FRAGMENT_TILES * format::parts / format::tiles;
};

template <enum kernel_format f, uint32_t loads>
static __device__ __forceinline__ void load(struct device_chunk<f, loads> &c, const struct work &w,
					    struct place p, uint32_t chunk, uint32_t lane, bool any)
{
	bool paired = w.mode == PAIRED;
	uint32_t panel = w.panel + (paired ? p.item / 2 : p.item);
	device_load<f>(c, device_panel_of<f>(paired && p.item % 2 ? w.up : w.w, panel),
		       p.segment * chunk_sizes<f, 1>::strides + chunk * loads, lane, any);
}

/* A step's tile times x, in which a lane finds what it brings at x[32 j] for the j-th 8 rows. */
template <enum kernel_format f, uint32_t tiles, uint32_t loads>
static __device__ __forceinline__ void multiply_tile(const struct device_chunk<f, loads> &c,
						     uint32_t tile, const uint4 *x, uint32_t g,
						     uint32_t rows, bool two,
						     float (&sum)[tiles][4])
{
	using format = device_format<f>;
	uint4 b[tiles];
#pragma unroll
	for (uint32_t j = 0; j < tiles; j++)
		b[j] = 8 * j + g < rows ? x[32 * j] : make_uint4(0, 0, 0, 0);
#pragma unroll
	for (uint32_t part = 0; part < format::parts; part++) {
		uint32_t a[4];
		device_fragment<f>(c.code[tile / format::tiles * format::parts + part],
				   tile % format::tiles, a);
#pragma unroll
		for (uint32_t j = 0; j < tiles; j++) {
			const uint32_t term[2] = { b[j].x, b[j].y };
			ptx_mma_bf16(sum[j], a, term);
		}
		if (!two)
			continue;
#pragma unroll
		for (uint32_t j = 0; j < tiles; j++) {
			const uint32_t term[2] = { b[j].z, b[j].w };
			ptx_mma_bf16(sum[j], a, term);
		}
	}
}

/* The first `count` tiles of a chunk, a step of them at most. */
template <enum kernel_format f, uint32_t tiles, uint32_t loads>
static __device__ __forceinline__ void multiply(const struct device_chunk<f, loads> &c,
						uint32_t count, const uint4 *x, uint32_t g,
						uint32_t rows, bool two, float (&sum)[tiles][4])
{
	using format = device_format<f>;
	constexpr uint32_t group = format::group ? format::group / FRAGMENT_K : format::step;
#pragma unroll
	for (uint32_t from = 0; from < format::step; from += group) {
		float of[tiles][4] = {};
#pragma unroll
		for (uint32_t i = from; i < from + group; i++) {
			if (i >= count)
				continue;
			if constexpr (format::group > 0)
				multiply_tile<f, tiles>(c, i, x + i * rows * 4, g, rows, two, of);
			else
				multiply_tile<f, tiles>(c, i, x + i * rows * 4, g, rows, two, sum);
		}
		if constexpr (format::group > 0) {
			float scale[2] = { device_scale<f>(c, from / group, 0),
					   device_scale<f>(c, from / group, 1) };
#pragma unroll
			for (uint32_t j = 0; j < 4 * tiles; j++)
				sum[j / 4][j % 4] =
					fmaf(of[j / 4][j % 4], scale[j % 4 / 2], sum[j / 4][j % 4]);
		}
	}
}

template <uint32_t tiles>
static __device__ __forceinline__ void put_partial(float *to, uint32_t lane, uint32_t rows,
						   const float (&sum)[tiles][4])
{
	uint32_t g = lane / 4, t = lane % 4;
#pragma unroll
	for (uint32_t j = 0; j < 4 * tiles; j++) {
		uint32_t column = j / 4 * 8 + 2 * t + j % 2;
		if (column < rows)
			to[column * COLUMN + g + j % 4 / 2 * 8] = sum[j / 4][j % 4];
	}
}

/* Add a round's partial sums, of segments from p on, to the running sums of all outputs. */
static __device__ __forceinline__ void add_round(const struct work &w, const struct stretch &s,
						 struct place p, const float *partial, float *runs,
						 uint32_t tiles, uint32_t thread)
{
	for (uint32_t e = thread; e < w.rows * KERNEL_PANEL; e += DEVICE_THREADS) {
		const float *from = partial + e / KERNEL_PANEL * COLUMN + e % KERNEL_PANEL;
		struct place at = p;
		float *run = runs + (at.item - s.item) * run_floats(tiles) + e;
		float v = at.segment == 0 ? 0 : *run;
		for (uint32_t n = 0; n < DEVICE_WARPS && at.item < s.item + s.items; n++) {
			v += from[n * partial_floats(tiles)];
			*run = v;
			if (++at.segment < s.end)
				continue;
			at.segment = s.begin;
			at.item++;
			run += run_floats(tiles);
			v = s.begin > 0 && at.item < s.item + s.items ? *run : 0;
		}
	}
}

/* ---- a stretch ---- */

/* The running sums of items [s.item, s.item + s.items), with segments [s.begin, s.end) added. */
template <enum kernel_format f, uint32_t tiles>
static __device__ __forceinline__ void run_stretch(unsigned char *shared, const struct stretch &s)
{
	using sizes = chunk_sizes<f, tiles>;
	constexpr uint32_t step = device_format<f>::step;
	const struct work &w = *(const struct work *)shared;
	uint32_t thread = ptx_thread(), warp = thread / WARP, lane = thread % WARP;
	uint32_t end = s.item + s.items, rows = w.rows;
	bool two = w.two;
	uint32_t all = (w.w.columns + FRAGMENT_K - 1) / FRAGMENT_K;
	struct place mine = { s.item, s.begin }, adding = mine;
	struct device_chunk<f, sizes::loads> next;
	advance(mine, s, warp);
	load<f>(next, w, mine, 0, lane, mine.item < end);
	for (uint32_t round = 0; adding.item < end; round++) {
		float *partial = (float *)(shared + w.partial_at) +
				 round % 2 * DEVICE_WARPS * partial_floats(tiles);
		if (mine.item < end) {
			float sum[tiles][4] = {};
			uint32_t first = mine.segment * FRAGMENT_TILES, chunk = 0;
			uint32_t left = all - first < FRAGMENT_TILES ? all - first : FRAGMENT_TILES;
			const uint4 *x = (const uint4 *)(shared + w.x_at) +
					 (first - s.begin * FRAGMENT_TILES) * rows * 4 + lane;
#pragma unroll 1
			while (left > 0) {
				struct device_chunk<f, sizes::loads> now = next;
				uint32_t count = left < sizes::tiles ? left : sizes::tiles;
				left -= count;
				chunk++;
				if (left == 0) {
					advance(mine, s, DEVICE_WARPS);
					chunk = 0;
				}
				load<f>(next, w, mine, chunk, lane, mine.item < end);
#pragma unroll 1
				for (uint32_t t = 0; t < count; t += step) {
					multiply<f, tiles>(now, count - t, x, lane / 4, rows, two,
							   sum);
					x += step * rows * 4;
					device_step_over<f>(now);
				}
			}
			put_partial<tiles>(partial + warp * partial_floats(tiles), lane, rows, sum);
		}
		__syncthreads();
		add_round(w, s, adding, partial, (float *)(shared + w.run_at), tiles, thread);
		advance(adding, s, DEVICE_WARPS);
	}
}

template <enum kernel_format f>
static __device__ __forceinline__ void run_tiles(unsigned char *shared, const struct stretch &s)
{
	const struct work &w = *(const struct work *)shared;
	if (w.tiles == 1)
		run_stretch<f, 1>(shared, s);
	else if (f != KERNEL_BF16 || w.tiles == 4)
		run_stretch<f, 4>(shared, s);
	else if constexpr (f == KERNEL_BF16)
		run_stretch<f, 2>(shared, s);
}

static __device__ __forceinline__ void run_format(unsigned char *shared, const struct stretch &s)
{
	switch (((const struct work *)shared)->w.format) {
	case KERNEL_F32:
		run_tiles<KERNEL_F32>(shared, s);
		break;
	case KERNEL_BF16:
		run_tiles<KERNEL_BF16>(shared, s);
		break;
	case KERNEL_FP8:
		run_tiles<KERNEL_FP8>(shared, s);
		break;
	case KERNEL_F16:
		run_tiles<KERNEL_F16>(shared, s);
		break;
	case KERNEL_Q8:
		run_tiles<KERNEL_Q8>(shared, s);
		break;
	case KERNEL_Q4:
		run_tiles<KERNEL_Q4>(shared, s);
		break;
	default:
		run_tiles<KERNEL_MXFP4>(shared, s);
		break;
	}
}

/* ---- a job ---- */

/* The outputs of whole panels, each by the thread that added its sums. */
static __device__ void finish_panels(const unsigned char *shared, uint32_t panel, uint32_t panels)
{
	const struct work &w = *(const struct work *)shared;
	uint32_t size = run_floats(w.tiles), each = w.mode == PAIRED ? 2 : 1;
	for (uint32_t n = 0; n < panels; n++) {
		const float *run = (const float *)(shared + w.run_at) + n * each * size;
		for (uint32_t e = threadIdx.x; e < w.rows * KERNEL_PANEL; e += DEVICE_THREADS) {
			uint32_t row = (w.panel + panel + n) * KERNEL_PANEL + e % KERNEL_PANEL;
			if (row < w.w.rows)
				finish(*w.job, w.mode, row, w.first + e / KERNEL_PANEL, run[e],
				       run[(each - 1) * size + e]);
		}
	}
}

/* All panels of the work. x is staged once if all of K has room, else anew for each stretch of K;
 * panels go by as many as have running sums. */
static __device__ void run_panels(unsigned char *shared)
{
	const struct work &w = *(const struct work *)shared;
	uint32_t each = w.mode == PAIRED ? 2 : 1, batch = runs_of(w.tiles) / each;
	uint32_t all = (w.w.columns + FRAGMENT_K - 1) / FRAGMENT_K;
	uint32_t segments = (all + FRAGMENT_TILES - 1) / FRAGMENT_TILES;
	uint32_t fit = w.x_bytes / (w.rows * PRODUCT_ROW_SEGMENT);
	for (uint32_t panel = 0; panel < w.panels; panel += batch) {
		uint32_t panels = w.panels - panel < batch ? w.panels - panel : batch;
		for (uint32_t begin = 0; begin < segments; begin += fit) {
			uint32_t end = segments - begin < fit ? segments : begin + fit;
			uint32_t until = end * FRAGMENT_TILES < all ? end * FRAGMENT_TILES : all;
			struct stretch s = { panel * each, panels * each, begin, end };
			if (panel == 0 || fit < segments)
				stage_rows(*w.job, (const uint32_t *)(shared + w.row_at), w.rows,
					   begin * FRAGMENT_TILES, until - begin * FRAGMENT_TILES,
					   w.two, (uint4 *)(shared + w.x_at));
			__syncthreads();
			run_format(shared, s);
		}
		finish_panels(shared, panel, panels);
	}
}

/* Each thread a line of the first 32 KiB that the block will read of a job. */
static __device__ __forceinline__ void prefetch(const struct device_matrix &w, uint32_t panel,
						uint32_t panels)
{
	size_t at = threadIdx.x * (size_t)128;
	if (at < panels * w.panel_bytes)
		ptx_prefetch((const unsigned char *)w.at + panel * w.panel_bytes + at);
}

/* w, in shared memory, for `rows` rows of a job from `first` of out on. */
static __device__ void begin_work(const struct product_args &a, const struct device_job &j,
				  uint32_t first, uint32_t rows, struct work &w)
{
	w.job = &j;
	w.w = j.w;
	w.up = j.up;
	w.mode = mode_of(j);
	w.first = first;
	w.rows = rows;
	bool bf16 =
		j.w.format == KERNEL_BF16 && w.mode != UP_LATER; /* others have no form for 16 */
	w.tiles = rows <= 8 ? 1 : rows <= 16 && bf16 ? 2 : 4;
	w.two = a.terms == 2;
	cut_shared(w, room_of(a));
}

/* Panels [panel, panel + panels) of a job times its `block`-th rows. */
static __device__ void run_work(const struct product_args &a, const struct device_job &j,
				uint32_t block, uint32_t panel, uint32_t panels,
				unsigned char *shared)
{
	struct work &w = *(struct work *)shared;
	uint32_t first = block * PRODUCT_ROWS, rows = rows_of(a, j) - first;
	const uint32_t *pick = j.pick;
	rows = rows < PRODUCT_ROWS ? rows : PRODUCT_ROWS;
	first += j.range ? __ldcg(j.range) : 0;
	if (!pick && !j.range && a.rows == DEVICE_ROWS_WANTED)
		pick = a.batch->want;
	prefetch(j.w, panel, panels);
	if (threadIdx.x == 0) {
		begin_work(a, j, first, rows, w);
		w.panel = panel;
		w.panels = panels;
	}
	uint32_t *row = (uint32_t *)(shared + PRODUCT_WORK);
	for (uint32_t i = threadIdx.x; i < rows; i += DEVICE_THREADS)
		row[i] = pick ? __ldcg(pick + first + i) : first + i;
	__syncthreads();
	/* Twice for an up of another format. One call of what has many forms. */
	for (bool again = true; again;) {
		run_panels(shared);
		again = w.mode == UP_LATER;
		__syncthreads();
		if (again && threadIdx.x == 0) {
			w.w = j.up;
			w.mode = UP_AFTER;
		}
		__syncthreads();
	}
}

static __device__ void run_share(const struct product_args &a, unsigned char *shared)
{
	struct share s = share_of(a);
	for (uint32_t place = s.place; place < s.places && s.base < s.end; place++) {
		const struct device_job &j = job_at(a, place);
		uint32_t rows = rows_of(a, j), panels = panels_of(j), cost = panel_cost(j, rows);
		uint32_t items = panels * blocks_of(rows);
		uint32_t from = items ? item_from(s.begin, s.base, cost, items) : 0;
		uint32_t end = items ? item_from(s.end, s.base, cost, items) : 0;
		while (from < end) {
			uint32_t panel = from % panels;
			uint32_t count = panels - panel < end - from ? panels - panel : end - from;
			run_work(a, j, from / panels, panel, count, shared);
			from += count;
		}
		s.base += (uint64_t)cost * items;
	}
}

} /* namespace product_parts */

static size_t product_shared(const struct product_args &a) { return product_parts::room_of(a); }

static bool product_valid(const struct product_args &a)
{
	return a.batch && a.job && a.rows_most > 0 && a.terms >= 1 && a.terms <= 2 &&
	       a.always <= a.jobs && (a.active || a.always == 0) &&
	       a.form.kind <= PRODUCT_FORM_LARGE && a.form.blocks <= 2 && a.form.stages != 1 &&
	       a.form.stages <= 4 && a.form.rows % 16 == 0 && a.form.rows <= 64 &&
	       a.form.rows != 48 && (a.form.room == 0 || a.form.room >= (64u << 10));
}

#ifdef DEVICE_STEP
static __device__ void product_block(const struct product_args &a, unsigned char *shared)
{
	product_parts::run_share(a, shared);
}

/* Begin to fetch what this block will read first, while what a's rows come from is not done yet;
 * but the list of active jobs is. */
static __device__ __noinline__ void product_ahead(const struct product_args &a)
{
	struct product_parts::share s = product_parts::share_of(a);
	if (s.place >= s.places || s.base >= s.end)
		return;
	const struct device_job &j = product_parts::job_at(a, s.place);
	uint32_t rows = product_parts::rows_of(a, j), panels = product_parts::panels_of(j);
	uint32_t cost = product_parts::panel_cost(j, rows);
	uint32_t items = panels * product_parts::blocks_of(rows);
	uint32_t from = product_parts::item_from(s.begin, s.base, cost, items);
	uint32_t end = product_parts::item_from(s.end, s.base, cost, items);
	if (from < end)
		product_parts::prefetch(j.w, from % panels, panels - from % panels);
}
#else
static uint32_t product_blocks(const struct product_args &a)
{
	uint32_t most = device_multiprocessors * (a.form.blocks > 0 ? a.form.blocks : 2);
	uint64_t items = (uint64_t)a.panels * ((a.rows_most - 1) / PRODUCT_ROWS + 1);
	return items < most ? (uint32_t)items : most;
}

/* Two blocks' shared memory is there on 9.0; elsewhere a block has all registers, or some would be
 * spilled: 8.0 and 12.0 have room for one, 10.0 could hold two. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ != 900
#define PRODUCT_BLOCKS 1
#else
#define PRODUCT_BLOCKS 2
#endif

static __global__ void __launch_bounds__(DEVICE_THREADS, PRODUCT_BLOCKS)
	product_narrow(const __grid_constant__ struct product_args a)
{
	SHARED_DYNAMIC(unsigned char, shared);
	ptx_launch_next();
	ptx_launch_wait();
	product_parts::run_share(a, shared);
}

extern "C" int product_cuda(void *stream, const struct product_args *a)
{
	if (!product_valid(*a))
		return cudaErrorInvalidValue;
	if (a->fast)
		return product_fast_launch(stream, *a);
	if (a->form.kind == PRODUCT_FORM_LARGE ||
	    (a->form.kind == PRODUCT_FORM_AUTO && a->rows_most > PRODUCT_NARROW))
		return product_large_launch(stream, *a);
	struct product_args with = *a;
	if (product_shared(with) > device_shared_most)
		with.form.room = device_shared_most;
	uint32_t blocks = product_blocks(with);
	const cudaLaunchConfig_t launch = device_launch(stream, blocks, product_shared(with));
	cudaError_t error =
		cudaFuncSetAttribute(product_narrow, cudaFuncAttributeMaxDynamicSharedMemorySize,
				     (int)launch.dynamicSmemBytes);
	if (error == cudaSuccess && blocks > 0)
		error = cudaLaunchKernelEx(&launch, product_narrow, with);
	return error;
}
#endif
