/* Products of weights with rows (kernels/operation_product.h says what, and in which order).
 * Bound:   memory up to some 32 rows, then matrix units.
 * Bytes:   panels read once for each 64 rows; rows*K*4 read by each block that needs them, from L2;
 *          rows*outputs*4 written.
 * Launch:  persistent, two blocks of 256 threads a multiprocessor up to 32 rows, then one; a block
 *          takes an equal share of the list of panels (product_share.h). Its eight warps take the
 *          segments of its panels in turn: each loads 512 bytes at a time straight into registers,
 *          a chunk of up to 8 ahead of the one it multiplies, across segments and panels.
 * Shared:  112 KiB, beyond 32 rows 180 KiB: x in bf16 terms, of as much of K as fits; two rounds'
 *          partial sums; the running sums of some panels.
 * Order:   a segment is one warp's chain of matrix instructions, begun from zero. After each round
 *          of eight segments one thread an output adds them in ascending order. So neither the
 *          number of rows nor that of blocks, nor how much of x has room, changes a bit.
 * Limits:  registers 128, threads 256, local 0, loads 16, mma yes
 * Limits product_wide: registers 255, threads 256, local 0, loads 16, mma yes */
#include "kernels/device_kernel.h"

#include "kernels/device_act.h"
#include "kernels/product_rows.h"
#include "kernels/product_share.h"

namespace product_parts
{

#define PRODUCT_SHARED (112u << 10)
#define PRODUCT_SHARED_WIDE (180u << 10) /* beyond PRODUCT_NARROW rows */
#define PRODUCT_NARROW 32
#define COLUMN 20 /* floats from a row's 16 partial sums to the next's: lanes miss each other */

/* Of `tiles` tiles of 8 rows. */
template <uint32_t tiles> struct sizes {
	static constexpr uint32_t partial = tiles * 8 * COLUMN; /* floats of a warp's sums */
	static constexpr uint32_t run = tiles * 8 * KERNEL_PANEL;
	static constexpr uint32_t runs = tiles < 4 ? 16 : 8; /* panels with a running sum */
};

enum mode {
	ALONE,    /* what the job says, of w alone */
	PAIRED,   /* w and up in turn */
	UP_LATER, /* w x plus bias, for: */
	UP_AFTER  /* up joins what is in out */
};

/* Some panels of a job, with up to 64 rows. */
struct work {
	const struct device_job *job;
	enum mode mode;
	const struct device_matrix *w, *up; /* up: PAIRED */
	uint32_t panel, panels;
	uint32_t first, rows; /* of out */
	bool two;             /* terms */
	unsigned char *shared;
	uint32_t shared_bytes;
};

/* Where a warp or an adding thread is: item `at` of w.panels (PAIRED: twice as many), segment. */
struct place {
	uint32_t item, segment;
};

/* Segments [begin, end) of items, with x of them in shared memory. */
struct stretch {
	uint32_t item, items, begin, end;
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

static __device__ __forceinline__ uint32_t *shared_rows(const struct work &w)
{
	return (uint32_t *)w.shared;
}
/* [2 rounds][8 warps][partial] */
static __device__ __forceinline__ float *shared_partial(const struct work &w)
{
	return (float *)(w.shared + PRODUCT_ROWS * 4);
}
template <uint32_t tiles> static __device__ __forceinline__ float *shared_run(const struct work &w)
{
	return shared_partial(w) + 2 * DEVICE_WARPS * sizes<tiles>::partial;
}
template <uint32_t tiles> static __device__ __forceinline__ uint4 *shared_x(const struct work &w)
{
	return (uint4 *)(shared_run<tiles>(w) + sizes<tiles>::runs * sizes<tiles>::run);
}
template <uint32_t tiles> static __device__ __forceinline__ uint32_t room_x(const struct work &w)
{
	return w.shared_bytes - (uint32_t)((unsigned char *)shared_x<tiles>(w) - w.shared);
}

/* ---- a warp's segment ---- */

template <enum kernel_format f> struct chunk_sizes {
	using format = device_format<f>;
	static constexpr uint32_t tiles = format::loads * format::tiles / format::parts;
	static constexpr uint32_t strides = FRAGMENT_TILES * format::parts / format::tiles;
};

template <enum kernel_format f>
static __device__ __forceinline__ void load(struct device_chunk<f> &c, const struct work &w,
					    struct place p, uint32_t chunk, uint32_t strides)
{
	bool second = w.mode == PAIRED && p.item % 2;
	uint32_t panel = w.panel + (w.mode == PAIRED ? p.item / 2 : p.item);
	uint32_t from = p.segment * chunk_sizes<f>::strides + chunk * device_format<f>::loads;
	device_load<f>(c, second ? *w.up : *w.w, panel, from, strides);
}

/* What a lane brings of one tile of K, of each tile of rows. */
template <uint32_t tiles>
static __device__ __forceinline__ void load_rows(const uint4 *x, uint32_t rows, uint4 b[tiles])
{
	uint32_t g = threadIdx.x % WARP / 4;
#pragma unroll
	for (uint32_t j = 0; j < tiles; j++)
		b[j] = 8 * j + g < rows ? x[32 * j] : make_uint4(0, 0, 0, 0);
}

template <enum kernel_format f, uint32_t tiles>
static __device__ __forceinline__ void multiply_tile(const struct device_chunk<f> &c, uint32_t tile,
						     const uint4 *x, uint32_t rows, bool two,
						     float (&sum)[tiles][4])
{
	using format = device_format<f>;
	uint4 b[tiles];
	load_rows<tiles>(x, rows, b);
#pragma unroll
	for (uint32_t part = 0; part < format::parts; part++) {
		uint32_t a[4];
		device_fragment<f>(c.code[(tile / format::tiles) * format::parts + part],
				   tile % format::tiles, a);
#pragma unroll
		for (uint32_t j = 0; j < tiles; j++) {
			const uint32_t one[2] = { b[j].x, b[j].y }, other[2] = { b[j].z, b[j].w };
			ptx_mma_bf16(sum[j], a, one);
			if (two)
				ptx_mma_bf16(sum[j], a, other);
		}
	}
}

/* Add a chunk's `count` tiles times x, whose first tile a lane finds at x, to sum. */
template <enum kernel_format f, uint32_t tiles>
static __device__ __forceinline__ void multiply(const struct device_chunk<f> &c, uint32_t count,
						const uint4 *x, const struct work &w,
						float (&sum)[tiles][4])
{
	constexpr uint32_t group = device_format<f>::group / FRAGMENT_K;
	constexpr uint32_t step = group ? group : 1;
#pragma unroll
	for (uint32_t from = 0; from < chunk_sizes<f>::tiles; from += step) {
		if (from >= count)
			continue;
		if constexpr (group == 0) {
			multiply_tile<f, tiles>(c, from, x + from * w.rows * 4, w.rows, w.two, sum);
		} else {
			float of[tiles][4] = {};
#pragma unroll
			for (uint32_t i = from; i < from + step; i++) {
				if (i < count)
					multiply_tile<f, tiles>(c, i, x + i * w.rows * 4, w.rows,
								w.two, of);
			}
			float scale[2] = { device_scale<f>(c, from / step, 0),
					   device_scale<f>(c, from / step, 1) };
#pragma unroll
			for (uint32_t j = 0; j < 4 * tiles; j++)
				sum[j / 4][j % 4] =
					fmaf(of[j / 4][j % 4], scale[j % 4 / 2], sum[j / 4][j % 4]);
		}
	}
}

template <uint32_t tiles>
static __device__ __forceinline__ void put_partial(float *to, uint32_t rows,
						   const float (&sum)[tiles][4])
{
	uint32_t g = threadIdx.x % WARP / 4, t = threadIdx.x % 4;
#pragma unroll
	for (uint32_t j = 0; j < 4 * tiles; j++) {
		uint32_t column = j / 4 * 8 + 2 * t + j % 2;
		if (column < rows)
			to[column * COLUMN + g + j % 4 / 2 * 8] = sum[j / 4][j % 4];
	}
}

/* ---- adding ---- */

/* The end of an output's sum: row of w, row i of the work. */
static __device__ __forceinline__ void finish(const struct work &w, uint32_t row, uint32_t i,
					      float gate, float v)
{
	const struct device_job &j = *w.job;
	float *out = j.out + (size_t)(w.first + i) * j.out_stride + row;
	bool gated = w.mode == PAIRED || w.mode == UP_AFTER;
	const float *bias = gated ? j.bias_up : j.bias;
	if (row >= w.w->rows)
		return;
	v = bias ? v + bias[row] : v;
	if (w.mode == PAIRED)
		gate = j.bias ? gate + j.bias[row] : gate;
	else if (w.mode == UP_AFTER)
		gate = *out;
	if (gated)
		v = device_act(j.act, gate, true, v, j.parameter);
	else if (w.mode == ALONE && j.active)
		v = device_act(j.act, v, false, 0, j.parameter);
	if (w.mode != UP_LATER && j.scale > 0)
		v *= j.scale;
	if (w.mode != UP_LATER && j.cap > 0)
		v = j.cap * device_tanh(v / j.cap);
	*out = v;
}

/* Add a round's partial sums, of segments from p on, to the running sums of output `e` of a panel's
 * 16 outputs times rows, and finish what is whole. */
template <uint32_t tiles>
static __device__ __forceinline__ void add_output(const struct work &w, const struct stretch &s,
						  struct place p, const float *partial, uint32_t e,
						  bool last)
{
	using size = sizes<tiles>;
	float *run = shared_run<tiles>(w) + e;
	uint32_t row = e % KERNEL_PANEL, i = e / KERNEL_PANEL;
	float v = p.segment == 0 ? 0 : run[p.item % size::runs * size::run];
	partial += i * COLUMN + row;
	for (uint32_t n = 0; n < DEVICE_WARPS && p.item < s.item + s.items; n++) {
		v += partial[n * size::partial];
		if (++p.segment < s.end)
			continue;
		if (!last || (w.mode == PAIRED && p.item % 2 == 0))
			run[p.item % size::runs * size::run] = v;
		else if (w.mode == PAIRED)
			finish(w, (w.panel + p.item / 2) * KERNEL_PANEL + row, i,
			       run[(p.item - 1) % size::runs * size::run], v);
		else
			finish(w, (w.panel + p.item) * KERNEL_PANEL + row, i, 0, v);
		p.segment = s.begin;
		p.item++;
		bool more = s.begin > 0 && p.item < s.item + s.items;
		v = more ? run[p.item % size::runs * size::run] : 0;
	}
	if (p.segment > s.begin)
		run[p.item % size::runs * size::run] = v;
}

/* ---- a stretch ---- */

template <enum kernel_format f, uint32_t tiles>
static __device__ void run_stretch(const struct work &w, const struct stretch &s,
				   struct device_chunk<f> &next)
{
	using size = chunk_sizes<f>;
	uint32_t warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
	uint32_t end = s.item + s.items, strides = device_strides<f>(w.w->columns);
	uint32_t all = (w.w->columns + FRAGMENT_K - 1) / FRAGMENT_K;
	bool last = s.end * FRAGMENT_TILES >= all;
	struct place mine = { s.item, s.begin }, adding = mine;
	const uint4 *x = shared_x<tiles>(w) + lane;
	advance(mine, s, warp);
	for (uint32_t round = 0; adding.item < end; round++) {
		float *partial =
			shared_partial(w) + round % 2 * DEVICE_WARPS * sizes<tiles>::partial;
		if (mine.item < end) {
			float sum[tiles][4] = {};
			struct place then = mine;
			uint32_t first = mine.segment * FRAGMENT_TILES;
			uint32_t count =
				all - first < FRAGMENT_TILES ? all - first : FRAGMENT_TILES;
			advance(then, s, DEVICE_WARPS);
			for (uint32_t t = 0; t < count; t += size::tiles) {
				const struct device_chunk<f> now = next;
				if (t + size::tiles < count)
					load<f>(next, w, mine, t / size::tiles + 1, strides);
				else if (then.item < end)
					load<f>(next, w, then, 0, strides);
				uint32_t at = first - s.begin * FRAGMENT_TILES + t;
				multiply<f, tiles>(now, count - t, x + at * w.rows * 4, w, sum);
			}
			put_partial<tiles>(partial + warp * sizes<tiles>::partial, w.rows, sum);
			mine = then;
		}
		__syncthreads();
		for (uint32_t e = threadIdx.x; e < w.rows * KERNEL_PANEL; e += DEVICE_THREADS)
			add_output<tiles>(w, s, adding, partial, e, last);
		advance(adding, s, DEVICE_WARPS);
	}
}

/* All panels of the work. x is staged once if all of K has room, else anew for each stretch of K,
 * and panels go by as many as have running sums. */
template <enum kernel_format f, uint32_t tiles> static __device__ void run(const struct work &w)
{
	uint32_t each = w.mode == PAIRED ? 2 : 1, warp = threadIdx.x / WARP;
	uint32_t all = (w.w->columns + FRAGMENT_K - 1) / FRAGMENT_K;
	uint32_t segments = (all + FRAGMENT_TILES - 1) / FRAGMENT_TILES;
	uint32_t fit = room_x<tiles>(w) / (w.rows * PRODUCT_ROW_SEGMENT);
	uint32_t batch = fit >= segments ? w.panels : sizes<tiles>::runs / each;
	for (uint32_t panel = 0; panel < w.panels; panel += batch) {
		uint32_t panels = w.panels - panel < batch ? w.panels - panel : batch;
		for (uint32_t begin = 0; begin < segments; begin += fit) {
			uint32_t end = segments - begin < fit ? segments : begin + fit;
			uint32_t until = end * FRAGMENT_TILES < all ? end * FRAGMENT_TILES : all;
			struct stretch s = { panel * each, panels * each, begin, end };
			struct place first = { s.item, s.begin };
			struct device_chunk<f> next;
			advance(first, s, warp);
			if (first.item < s.item + s.items)
				load<f>(next, w, first, 0, device_strides<f>(w.w->columns));
			stage_rows(*w.job, shared_rows(w), w.rows, begin * FRAGMENT_TILES,
				   until - begin * FRAGMENT_TILES, w.two, shared_x<tiles>(w));
			__syncthreads();
			run_stretch<f, tiles>(w, s, next);
		}
	}
}

template <uint32_t tiles> static __device__ void run_format(const struct work &w)
{
	switch (w.w->format) {
	case KERNEL_F32:
		run<KERNEL_F32, tiles>(w);
		break;
	case KERNEL_BF16:
		run<KERNEL_BF16, tiles>(w);
		break;
	case KERNEL_FP8:
		run<KERNEL_FP8, tiles>(w);
		break;
	case KERNEL_F16:
		run<KERNEL_F16, tiles>(w);
		break;
	case KERNEL_Q8:
		run<KERNEL_Q8, tiles>(w);
		break;
	case KERNEL_Q4:
		run<KERNEL_Q4, tiles>(w);
		break;
	default:
		run<KERNEL_MXFP4, tiles>(w);
		break;
	}
}

template <bool wide> static __device__ void run_rows(const struct work &w)
{
	if (w.rows <= 8)
		run_format<1>(w);
	else if (w.rows <= 16)
		run_format<2>(w);
	else if (!wide || w.rows <= PRODUCT_NARROW)
		run_format<4>(w);
	else if constexpr (wide)
		run_format<8>(w);
}

/* ---- a job ---- */

/* x rows of the work's rows. */
static __device__ void pick_rows(const struct product_args &a, const struct work &w)
{
	const uint32_t *pick = w.job->pick;
	if (!pick && !w.job->range && a.rows == DEVICE_ROWS_WANTED)
		pick = a.batch->want;
	__syncthreads(); /* others may still read those of the work before, or its sums */
	for (uint32_t i = threadIdx.x; i < w.rows; i += DEVICE_THREADS)
		shared_rows(w)[i] = pick ? __ldcg(pick + w.first + i) : w.first + i;
	__syncthreads();
}

template <bool wide> static __device__ void run_work(const struct product_args &a, struct work &w)
{
	const struct device_job &j = *w.job;
	pick_rows(a, w);
	w.w = &j.w;
	w.up = &j.up;
	w.mode = !j.up.at ? ALONE : j.up.format == j.w.format ? PAIRED : UP_LATER;
	run_rows<wide>(w);
	if (w.mode != UP_LATER)
		return;
	__syncthreads();
	w.w = &j.up;
	w.mode = UP_AFTER;
	run_rows<wide>(w);
}

template <bool wide>
static __device__ void run_share(const struct product_args &a, unsigned char *shared)
{
	struct share s = share_of(a);
	for (uint32_t place = s.place; place < s.places && s.base < s.end; place++) {
		const struct device_job &j = job_at(a, place);
		uint32_t rows = rows_of(a, j), panels = panels_of(j), cost = panel_cost(j, rows);
		uint32_t items = panels * blocks_of(rows), base_row = j.range ? __ldcg(j.range) : 0;
		uint32_t from = items ? item_from(s.begin, s.base, cost, items) : 0;
		uint32_t end = items ? item_from(s.end, s.base, cost, items) : 0;
		while (from < end) {
			uint32_t block = from / panels, panel = from % panels;
			uint32_t count = panels - panel < end - from ? panels - panel : end - from;
			struct work w = {};
			w.job = &j;
			w.panel = panel;
			w.panels = count;
			w.first = base_row + block * PRODUCT_ROWS;
			w.rows = rows - block * PRODUCT_ROWS;
			w.rows = w.rows < PRODUCT_ROWS ? w.rows : PRODUCT_ROWS;
			w.two = a.terms == 2;
			w.shared = shared;
			w.shared_bytes =
				a.rows_most > PRODUCT_NARROW ? PRODUCT_SHARED_WIDE : PRODUCT_SHARED;
			run_work<wide>(a, w);
			from += count;
		}
		s.base += (uint64_t)cost * items;
	}
}

} /* namespace product_parts */

static size_t product_shared(const struct product_args &a)
{
	return a.rows_most > PRODUCT_NARROW ? PRODUCT_SHARED_WIDE : PRODUCT_SHARED;
}

static bool product_valid(const struct product_args &a)
{
	return a.batch && a.job && a.rows_most > 0 && a.terms >= 1 && a.terms <= 2 &&
	       a.always <= a.jobs && (a.active || a.always == 0);
}

#ifdef DEVICE_STEP
static __device__ void product_block(const struct product_args &a, unsigned char *shared)
{
	product_parts::run_share<false>(a, shared); /* lists with more rows are refused */
}
#else
static uint32_t product_blocks(const struct product_args &a)
{
	uint32_t most = device_multiprocessors * (a.rows_most > PRODUCT_NARROW ? 1 : 2);
	uint64_t items = (uint64_t)a.panels * ((a.rows_most - 1) / PRODUCT_ROWS + 1);
	return items < most ? (uint32_t)items : most;
}

static __global__ void __launch_bounds__(DEVICE_THREADS, 2)
	product_narrow(const __grid_constant__ struct product_args a)
{
	SHARED_DYNAMIC(unsigned char, shared);
	ptx_launch_next();
	ptx_launch_wait();
	product_parts::run_share<false>(a, shared);
}

static __global__ void __launch_bounds__(DEVICE_THREADS, 1)
	product_wide(const __grid_constant__ struct product_args a)
{
	SHARED_DYNAMIC(unsigned char, shared);
	ptx_launch_next();
	ptx_launch_wait();
	product_parts::run_share<true>(a, shared);
}

extern "C" int product_cuda(void *stream, const struct product_args *a)
{
	if (!product_valid(*a))
		return cudaErrorInvalidValue;
	auto *kernel = a->rows_most > PRODUCT_NARROW ? product_wide : product_narrow;
	uint32_t blocks = product_blocks(*a);
	const cudaLaunchConfig_t launch = device_launch(stream, blocks, product_shared(*a));
	cudaError_t error =
		cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
				     (int)launch.dynamicSmemBytes);
	if (error == cudaSuccess && blocks > 0)
		error = cudaLaunchKernelEx(&launch, kernel, *a);
	return error;
}
#endif
