/* product_dense (kernels/operation_product.h says what): a product of the fast regime whose sums
 * are cuBLAS's (device_cublas.cu), and what it needs before and after.
 * Bound:   memory, but for cuBLAS's part: matrix units.
 * Bytes:   weights once, and outputs*K*2 written and read; rows*K*4 read, rows*K*2 written and
 *          read; rows*outputs*4 written, and for what a sum becomes once more each way.
 * Launch:  to unpack, a warp has a panel's chunk of 64 to 256 K in registers, turns them in shared
 *          memory and writes 128 or 256 bytes of each row. For rows and the end of sums a thread
 *          has 8 numbers, or one. None begins ahead of the end of what is before it: cuBLAS's
 *          kernels do not say when they may be overtaken.
 * Shared:  34 KiB to unpack, 16 rows of a step, 16 bytes apart, for each of eight warps.
 * Order:   cuBLAS's, which its version, the device and the shape decide.
 * Limits product_dense_unpack: registers 96, threads 256, shared 34816, local 0, loads 16
 * Limits product_dense_rows:   registers 40, threads 256, local 0
 * Limits product_dense_finish: registers 64, threads 256, local 0 */
#include "kernels/device_cublas.h"
#include "kernels/product_finish.h"
#include "kernels/product_rows.h"

namespace product_dense_parts
{

using namespace product_parts;

#define DENSE_LOADS 4 /* of a chunk */
/* Of a step's row in shared memory: the gap keeps the rows of a warp's stores in banks apart. */
#define DENSE_PITCH(step) ((step)*FRAGMENT_K * 2u + 16)
#define DENSE_WARP (KERNEL_PANEL * DENSE_PITCH(8))

/* ---- weights ---- */

/* A step's tiles, times their scales, rounded: what lane 4 g + t has of rows g and g + 8. */
template <enum kernel_format f>
static __device__ __forceinline__ void put_step(const struct device_chunk<f, DENSE_LOADS> &c,
						unsigned char *staged)
{
	using format = device_format<f>;
	uint32_t lane = threadIdx.x % WARP;
#pragma unroll
	for (uint32_t i = 0; i < format::step; i++) {
		uint32_t a[4];
		device_fragment<f>(c.code[i / format::tiles], i % format::tiles, a);
#pragma unroll
		for (uint32_t k = 0; k < 4; k++) {
			if constexpr (format::group > 0) {
				float scale =
					device_scale<f>(c, i * FRAGMENT_K / format::group, k % 2);
				a[k] = ptx_bf16_pair(device_bf16_low(a[k]) * scale,
						     device_bf16_high(a[k]) * scale);
			}
			*(uint32_t *)(staged + (lane / 4 + k % 2 * 8) * DENSE_PITCH(format::step) +
				      i * FRAGMENT_K * 2 + k / 2 * 16 + lane % 4 * 4) = a[k];
		}
	}
}

/* Two numbers of which `left` are there; the others are zeros, whatever was read. */
static __device__ __forceinline__ uint32_t only(uint32_t pair, int32_t left)
{
	return left >= 2 ? pair : left == 1 ? pair & 0xffff : 0;
}

/* A step's rows to where they go: 16 bytes a lane, 8 numbers from k on. */
template <enum kernel_format f>
static __device__ __forceinline__ void write_step(const struct device_matrix &w, uint32_t panel,
						  uint32_t from, const unsigned char *staged,
						  uint16_t *out)
{
	constexpr uint32_t pieces = device_format<f>::step * 2; /* of a row */
	uint32_t across = DEVICE_DENSE_COLUMNS(w.columns);
#pragma unroll
	for (uint32_t e = threadIdx.x % WARP; e < KERNEL_PANEL * pieces; e += WARP) {
		uint32_t row = panel * KERNEL_PANEL + e / pieces, k = from + e % pieces * 8;
		uint4 v =
			*(const uint4 *)(staged + e / pieces * DENSE_PITCH(device_format<f>::step) +
					 e % pieces * 16);
		int32_t left = (int32_t)(w.columns - k);
		if (row >= w.rows || k >= across)
			continue;
		*(uint4 *)(out + (size_t)row * across + k) =
			make_uint4(only(v.x, left), only(v.y, left - 2), only(v.z, left - 4),
				   only(v.w, left - 6));
	}
}

template <enum kernel_format f>
static __device__ __forceinline__ void unpack(const struct device_matrix &w, uint16_t *out,
					      unsigned char *staged)
{
	using format = device_format<f>;
	constexpr uint32_t k = device_chunk<f, DENSE_LOADS>::k, each = format::step * FRAGMENT_K;
	uint32_t pieces = (DEVICE_DENSE_COLUMNS(w.columns) + k - 1) / k;
	uint32_t all = (w.rows + KERNEL_PANEL - 1) / KERNEL_PANEL * pieces;
	for (uint32_t n = blockIdx.x * DEVICE_WARPS + threadIdx.x / WARP; n < all;
	     n += gridDim.x * DEVICE_WARPS) {
		struct device_chunk<f, DENSE_LOADS> c;
		uint32_t panel = n / pieces, from = n % pieces * k;
		device_load<f>(c, device_panel_of<f>(w, panel), n % pieces * DENSE_LOADS,
			       threadIdx.x % WARP, true);
#pragma unroll 1
		for (uint32_t end = from + k; from < end; from += each) {
			put_step<f>(c, staged);
			__syncwarp();
			write_step<f>(w, panel, from, staged, out);
			__syncwarp();
			device_step_over<f>(c);
		}
	}
}

static bool has_form(const struct device_matrix &w) { return fragment_parts(w.format) == 1; }

static bool valid(const struct product_dense_args &a)
{
	const struct device_job &j = a.job;
	return a.batch && a.rows_most > 0 && !j.pick && !j.range && j.w.at && has_form(j.w) &&
	       (!j.up.at || (has_form(j.up) && a.up)) && a.weights && a.rows && a.workspace;
}

/* Does a sum become something else? */
static bool ends_there(const struct device_job &j)
{
	return !j.up.at && !j.bias && !j.active && !(j.scale > 0) && !(j.cap > 0);
}

} /* namespace product_dense_parts */

static __global__ void __launch_bounds__(DEVICE_THREADS)
	product_dense_unpack(const __grid_constant__ struct device_matrix w, uint16_t *out)
{
	SHARED(unsigned char, shared, DEVICE_WARPS *DENSE_WARP);
	unsigned char *staged = shared + threadIdx.x / WARP * DENSE_WARP;
	switch (w.format) {
	case KERNEL_BF16:
		product_dense_parts::unpack<KERNEL_BF16>(w, out, staged);
		break;
	case KERNEL_FP8:
		product_dense_parts::unpack<KERNEL_FP8>(w, out, staged);
		break;
	case KERNEL_Q8:
		product_dense_parts::unpack<KERNEL_Q8>(w, out, staged);
		break;
	case KERNEL_Q4:
		product_dense_parts::unpack<KERNEL_Q4>(w, out, staged);
		break;
	default:
		product_dense_parts::unpack<KERNEL_MXFP4>(w, out, staged);
		break;
	}
}

static __global__ void __launch_bounds__(DEVICE_THREADS)
	product_dense_rows(const __grid_constant__ struct product_dense_args a)
{
	const struct device_job &j = a.job;
	uint32_t across = DEVICE_DENSE_COLUMNS(j.w.columns), pieces = across / 8;
	bool paired = ((uintptr_t)j.x | j.x_stride * 4) % 8 == 0 && j.w.columns % 2 == 0;
	for (uint32_t n = blockIdx.x * DEVICE_THREADS + threadIdx.x; n < a.rows_most * pieces;
	     n += gridDim.x * DEVICE_THREADS) {
		uint32_t row = n / pieces, k = n % pieces * 8, pair[4];
		uint32_t columns = row < a.batch->rows ? j.w.columns : 0;
#pragma unroll
		for (uint32_t i = 0; i < 4; i++) {
			float2 v = product_parts::two_numbers(j.x + row * j.x_stride, k + 2 * i,
							      columns, paired);
			pair[i] = ptx_bf16_pair(v.x, v.y);
		}
		*(uint4 *)((uint16_t *)a.rows + (size_t)row * across + k) =
			make_uint4(pair[0], pair[1], pair[2], pair[3]);
	}
}

/* The pass's rows alone. */
static __global__ void __launch_bounds__(DEVICE_THREADS)
	product_dense_finish(const __grid_constant__ struct product_dense_args a)
{
	const struct device_job &j = a.job;
	uint32_t all = a.batch->rows * j.w.rows;
	for (uint32_t n = blockIdx.x * DEVICE_THREADS + threadIdx.x; n < all;
	     n += gridDim.x * DEVICE_THREADS) {
		uint32_t i = n / j.w.rows, row = n % j.w.rows;
		float gate = j.out[(size_t)i * j.out_stride + row];
		float v = j.up.at ? a.up[(size_t)i * j.w.rows + row] : gate;
		product_parts::finish(j, j.up.at ? product_parts::PAIRED : product_parts::ALONE,
				      row, i, gate, v);
	}
}

static cudaLaunchConfig_t product_dense_launch(void *stream, uint64_t threads)
{
	uint64_t blocks = (threads + DEVICE_THREADS - 1) / DEVICE_THREADS;
	cudaLaunchConfig_t launch =
		device_launch(stream, blocks < UINT32_MAX ? (uint32_t)blocks : UINT32_MAX, 0);
	launch.numAttrs = 0;
	return launch;
}

static int product_dense_multiply(void *stream, const struct product_dense_args &a,
				  const struct device_matrix &w, float *out, size_t out_stride)
{
	uint32_t across = DEVICE_DENSE_COLUMNS(w.columns);
	const cudaLaunchConfig_t launch =
		product_dense_launch(stream,
				     (uint64_t)((w.rows + KERNEL_PANEL - 1) / KERNEL_PANEL) *
					     across / 64 * WARP);
	int error = cudaLaunchKernelEx(&launch, product_dense_unpack, w, (uint16_t *)a.weights);
	const struct device_cublas_product p = { w.rows,     a.rows_most, across,
						 a.weights,  a.rows,      out,
						 out_stride, a.workspace, a.workspace_bytes };
	return error != 0 ? error : device_cublas_multiply((cudaStream_t)stream, p);
}

extern "C" int product_dense_cuda(void *stream, const struct product_dense_args *a)
{
	using namespace product_dense_parts;
	const struct device_job &j = a->job;
	if (!valid(*a))
		return cudaErrorInvalidValue;
	const cudaLaunchConfig_t rows =
		product_dense_launch(stream, (uint64_t)a->rows_most *
						     DEVICE_DENSE_COLUMNS(j.w.columns) / 8);
	const cudaLaunchConfig_t finish =
		product_dense_launch(stream, (uint64_t)a->rows_most * j.w.rows);
	int error = 0;
	if (!a->rows_ready)
		error = cudaLaunchKernelEx(&rows, product_dense_rows, *a);
	if (error == 0)
		error = product_dense_multiply(stream, *a, j.w, j.out, j.out_stride);
	if (error == 0 && j.up.at)
		error = product_dense_multiply(stream, *a, j.up, a->up, j.w.rows);
	if (error == 0 && !ends_there(j))
		error = cudaLaunchKernelEx(&finish, product_dense_finish, *a);
	return error;
}
