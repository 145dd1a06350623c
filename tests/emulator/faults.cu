/* Wrong kernels, one for each mistake that the emulator claims to find, and right ones for what it
 * emulates. */
#include "kernels/device_warpgroup.h"

#include <cstdio>

static __global__ void barrier_missed(float *out)
{
	if (threadIdx.x < 40)
		__syncthreads();
	out[threadIdx.x] = 1;
}

static __global__ void barrier_elsewhere(float *out)
{
	if (threadIdx.x < 32)
		__syncthreads();
	else
		__syncthreads();
	out[threadIdx.x] = 1;
}

static __global__ void lane_missing(float *out)
{
	if (threadIdx.x % 32 != 5)
		out[threadIdx.x] = __shfl_sync(WARP_ALL, 1.0f, 0);
}

static __global__ void masks_differ(float *out)
{
	unsigned mask = threadIdx.x % 32 < 16 ? WARP_ALL : 0xffff0000u;
	out[threadIdx.x] = (float)__reduce_add_sync(mask, 1u);
}

static __global__ void lane_outside(float *out)
{
	if (threadIdx.x % 32 < 16)
		out[threadIdx.x] = __shfl_sync(0xffffu, 1.0f, 20);
}

static __global__ void shared_overrun(float *out)
{
	SHARED(float, few, 8);
	few[threadIdx.x % 10] = 1;
	__syncthreads();
	out[threadIdx.x] = few[threadIdx.x % 8];
}

static __global__ void allocation_overrun(float *out) { out[threadIdx.x + 2] = 1; }

/* Reads what no thread wrote: NaN must come out. */
static __global__ void shared_unwritten(float *out)
{
	SHARED(float, some, 64);
	if (threadIdx.x < 32)
		some[threadIdx.x] = 1;
	__syncthreads();
	out[threadIdx.x] = some[threadIdx.x];
}

/* Threads of the last warp read what those of the first write, without waiting; and the other way. */
static __global__ void wait_missing(float *out)
{
	SHARED(float, some, 64);
	__syncthreads();
	some[threadIdx.x] = 1;
	out[threadIdx.x] = some[63 - threadIdx.x];
}

/* Each block reverses its part: right. */
static __global__ void right(float *out)
{
	SHARED_DYNAMIC(float, some);
	some[threadIdx.x] = (float)(blockIdx.x * blockDim.x + threadIdx.x);
	__syncthreads();
	out[blockIdx.x * blockDim.x + threadIdx.x] = some[blockDim.x - 1 - threadIdx.x];
}

/* Every warp operation against its definition; out is 1 where all agree. */
static __global__ void warps(float *out)
{
	unsigned lane = threadIdx.x % 32, half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
	bool ok = __shfl_sync(WARP_ALL, lane * 3, 7) == 21;
	ok &= __shfl_sync(WARP_ALL, (double)lane, (int)lane + 9, 8) ==
	      (double)((lane & ~7u) + (lane + 1) % 8);
	ok &= __shfl_xor_sync(WARP_ALL, lane, 16) == (lane ^ 16);
	ok &= __shfl_down_sync(WARP_ALL, lane, 4) == (lane + 4 < 32 ? lane + 4 : lane);
	ok &= __shfl_up_sync(WARP_ALL, lane, 4) == (lane >= 4 ? lane - 4 : lane);
	ok &= __ballot_sync(WARP_ALL, lane % 3 == 0) == 0x49249249u;
	ok &= __any_sync(WARP_ALL, lane == 3) && !__any_sync(WARP_ALL, lane == 40);
	ok &= __all_sync(WARP_ALL, lane < 32) && !__all_sync(WARP_ALL, lane != 3);
	ok &= __match_any_sync(WARP_ALL, lane % 2) == (lane % 2 ? 0xaaaaaaaau : 0x55555555u);
	ok &= __reduce_max_sync(half, lane) == (lane < 16 ? 15u : 31u);
	ok &= __reduce_min_sync(half, (int)lane - 20) == (lane < 16 ? -20 : -4);
	ok &= __reduce_add_sync(half, lane) == (lane < 16 ? 120u : 376u);
	out[threadIdx.x] = ok;
}

/* ---- races: each is right when threads happen to come in one order ---- */

/* Into a register, which is written when it is too late to see from where it came. */
static __global__ void race_register(float *out)
{
	SHARED(float, some, 64);
	some[threadIdx.x] = 0;
	__syncthreads();
	if (threadIdx.x == 0)
		some[5] = 1;
	float seen = some[5];
	__syncthreads();
	__syncthreads();
	out[threadIdx.x] = seen;
}

static __global__ void race_lanes(float *out)
{
	SHARED(float, some, 64);
	some[threadIdx.x] = (float)threadIdx.x;
	out[threadIdx.x] = some[threadIdx.x ^ 1];
}

static __global__ void race_blocks(float *out) { out[threadIdx.x] = (float)blockIdx.x; }

/* The sum of floats in the order of arrival. */
static __global__ void race_sum(float *out)
{
	SHARED(float, sum, 1);
	if (threadIdx.x == 0)
		sum[0] = 0;
	__syncthreads();
	atomicAdd(sum, 1.0f / (float)(1 + threadIdx.x));
	__syncthreads();
	out[threadIdx.x] = sum[0];
}

/* Waits for its own copies, and reads those of others. */
static __global__ void copy_unseen(float *out)
{
	SHARED(float, some, 256);
	out[threadIdx.x] = 1;
	__syncthreads();
	ptx_copy_async16(some + 4 * threadIdx.x, out + 4 * (threadIdx.x % 16), true);
	ptx_copy_commit();
	ptx_copy_wait<0>();
	out[64 + threadIdx.x] = some[4 * (63 - threadIdx.x)];
}

/* All threads write the same. */
static __global__ void race_none(float *out)
{
	SHARED(float, some, 64);
	some[5] = 7;
	__syncthreads();
	out[threadIdx.x] = some[5];
}

/* ---- copies, matrices ---- */

static __global__ void copy_unwaited(float *out)
{
	SHARED(float, some, 256);
	SHARED(float, other, 256);
	out[threadIdx.x] = 1;
	__syncthreads();
	ptx_copy_async16(some + 4 * threadIdx.x, out, true);
	ptx_copy_commit();
	ptx_copy_async16(other + 4 * threadIdx.x, out, true);
	ptx_copy_commit();
	ptx_copy_wait<1>();
	__syncthreads();
	out[threadIdx.x] = threadIdx.x < 32 ? some[4 * threadIdx.x] : other[4 * threadIdx.x];
}

static __global__ void copy_misaligned(float *out)
{
	SHARED(float, some, 64);
	ptx_copy_async16(some + 4 * (threadIdx.x % 8), out + threadIdx.x % 2, true);
}

static __global__ void copy_elsewhere(float *out)
{
	SHARED(float, some, 64);
	ptx_copy_async16(some + 4 * threadIdx.x, out, true);
}

static __global__ void load_misaligned(float *out) { out[0] = (float)ptx_load_stream16(out + 2).x; }

static __global__ void vector_misaligned(float *out)
{
	uint4 v = *(const uint4 *)(out + threadIdx.x);
	out[threadIdx.x] = (float)v.x;
}

static __global__ void matrix_misaligned(float *out)
{
	SHARED(float, some, 64);
	uint32_t r[1];
	ptx_ldmatrix_x1(r, some + 4 * (threadIdx.x % 8) + 1);
	out[threadIdx.x] = (float)r[0];
}

static __global__ void matrix_elsewhere(float *out)
{
	uint32_t r[1];
	ptx_ldmatrix_x1(r, out);
	out[threadIdx.x] = (float)r[0];
}

static __global__ void mma_lane_missing(float *out)
{
	uint32_t a[4] = {}, b[2] = {};
	float d[4] = {};
	if (threadIdx.x != 33)
		ptx_mma_bf16(d, a, b);
	out[threadIdx.x] = d[0];
}

/* ---- launches ---- */

/* The counter is behind what the blocks write. */
static __global__ void grid_sum(float *out)
{
	float sum = 0;
	for (unsigned round = 0; round < 5; round++) {
		if (threadIdx.x == 5)
			out[blockIdx.x] = (float)(blockIdx.x + round);
		device_grid_barrier((uint32_t *)out + 64);
		for (unsigned i = 0; i < gridDim.x; i++)
			sum += out[i];
		device_grid_barrier((uint32_t *)out + 64);
	}
	if (blockIdx.x == 0)
		out[threadIdx.x] = sum;
}

static __global__ void grid_unwaited(float *out)
{
	out[blockIdx.x] = (float)blockIdx.x;
	out[64 + blockIdx.x] = out[(blockIdx.x + 1) % gridDim.x];
}

static __global__ void value_never(float *out)
{
	while (ptx_load_acquire((uint32_t *)out) != 0) {
	}
}

/* The same value twice is not a wait for ever. */
static __global__ void value_twice(float *out)
{
	uint32_t sum = ptx_load_acquire((uint32_t *)out);
	sum += ptx_load_acquire((uint32_t *)out) + ptx_load_acquire((uint32_t *)out);
	out[threadIdx.x] = sum == 3 * 0xffffffffu ? 1 : 0;
}

static __global__ void shared_large(float *out)
{
	SHARED_DYNAMIC(unsigned char, some);
	for (unsigned i = threadIdx.x; i < 100 << 10; i += blockDim.x)
		some[i] = (unsigned char)i;
	__syncthreads();
	out[threadIdx.x] = some[threadIdx.x * 1600];
}

static __global__ void shared_both(float *out)
{
	SHARED(float, some, 4096);
	SHARED_DYNAMIC(unsigned char, other);
	some[threadIdx.x] = other[0];
	out[threadIdx.x] = some[threadIdx.x];
}

static __global__ void starts_early(float *out)
{
	ptx_launch_next();
	ptx_launch_wait();
	out[threadIdx.x] = 1;
}

static __global__ void starts_too_early(float *out) { out[threadIdx.x] = 1; }

/* ---- barriers in shared memory, bulk copies: 128 threads each ---- */

/* Thread 0 copies `bytes` of out to shared memory and expects so many; all wait for the parity, unless told
 * not to, and take their number. */
static __device__ void bulk(float *out, uint32_t bytes, uint32_t expected, uint32_t parity, bool waits)
{
	SHARED(float, some, 128);
	SHARED(uint64_t, barrier, 1);
	out[threadIdx.x] = (float)threadIdx.x;
	if (threadIdx.x == 0) {
		ptx_barrier_init(barrier, 1);
		ptx_barrier_fence();
	}
	__syncthreads();
	if (threadIdx.x == 0) {
		ptx_barrier_expect(barrier, expected);
		ptx_bulk_copy(some, out, bytes, barrier);
	}
	if (waits)
		ptx_barrier_wait(barrier, parity);
	float seen = some[127 - threadIdx.x];
	ptx_barrier_wait(barrier, 0);
	out[threadIdx.x] = seen;
}
static __global__ void bulk_right(float *out) { bulk(out, 512, 512, 0, true); }
static __global__ void bulk_unwaited(float *out) { bulk(out, 512, 512, 0, false); }
static __global__ void bulk_parity(float *out) { bulk(out, 512, 512, 1, true); }
static __global__ void bulk_fewer(float *out) { bulk(out, 256, 512, 0, true); }
static __global__ void bulk_more(float *out) { bulk(out, 512, 256, 0, true); }
static __global__ void bulk_odd(float *out) { bulk(out, 500, 500, 0, true); }

static __global__ void bulk_misaligned(float *out)
{
	SHARED(float, some, 128);
	SHARED(uint64_t, barrier, 1);
	if (threadIdx.x == 0) {
		ptx_barrier_init(barrier, 1);
		ptx_bulk_copy(some, out + 1, 256, barrier);
	}
}

static __global__ void bulk_elsewhere(float *out)
{
	SHARED(float, some, 128);
	SHARED(uint64_t, barrier, 1);
	if (threadIdx.x == 0) {
		ptx_barrier_init(barrier, 1);
		ptx_bulk_copy(some + 64, out, 512, barrier);
	}
}

static __global__ void bulk_left(float *out)
{
	SHARED(float, some, 128);
	SHARED(uint64_t, barrier, 1);
	if (threadIdx.x == 0) {
		ptx_barrier_init(barrier, 1);
		ptx_barrier_expect(barrier, 512);
		ptx_bulk_copy(some, out, 512, barrier);
	}
}

static __global__ void phase_fresh(float *out)
{
	SHARED(uint64_t, barrier, 1);
	ptx_barrier_wait(barrier, 1);
	out[threadIdx.x] = 1;
}

static __global__ void phase_crowded(float *out)
{
	SHARED(uint64_t, barrier, 1);
	if (threadIdx.x == 0)
		ptx_barrier_init(barrier, 2);
	__syncthreads();
	if (threadIdx.x < 3) {
		ptx_barrier_expect(barrier, 16);
		out[0] = 1;
	}
}

static __global__ void phase_overwritten(float *out)
{
	SHARED(uint64_t, barrier, 1);
	if (threadIdx.x == 0) {
		ptx_barrier_init(barrier, 128);
		barrier[0] = 5;
	}
	__syncthreads();
	ptx_barrier_arrive(barrier);
	out[threadIdx.x] = 1;
}

/* Four phases, in which each half of the threads waits for the other one. */
static __global__ void phases(float *out)
{
	SHARED(uint64_t, barrier, 2);
	SHARED(float, some, 64);
	uint32_t half = threadIdx.x / 64, i = threadIdx.x % 64;
	if (threadIdx.x < 2)
		ptx_barrier_init(&barrier[threadIdx.x], 64);
	__syncthreads();
	for (uint32_t round = 0; round < 4; round++) {
		if (half == 0) {
			ptx_barrier_wait(&barrier[1], (round & 1) ^ 1); /* free: at once in round 0 */
			some[i] = (float)(100 * round + i);
			ptx_barrier_arrive(&barrier[0]);
		} else {
			ptx_barrier_wait(&barrier[0], round & 1);
			out[64 + i] = (round == 0 ? 0 : out[64 + i]) + some[63 - i];
			ptx_barrier_arrive(&barrier[1]);
		}
	}
	if (half == 0)
		out[i] = 0;
}

/* ---- products of warpgroups: b is ones, a is ones ---- */

enum forgotten { NOTHING, FENCE, COMMIT, WAIT, ASYNC_FENCE, WARP_OF_GROUP, STAGE, REGISTERS, INSIDE };

static __device__ void product(float *out, enum forgotten what)
{
	SHARED(uint32_t, b, 64 * 8);
	uint32_t a[4] = { 0x3f803f80, 0x3f803f80, 0x3f803f80, 0x3f803f80 };
	float d[32] = {};
	for (uint32_t i = threadIdx.x; i < 64 * 8; i += 128)
		b[i] = 0x3f803f80;
	if (what != ASYNC_FENCE)
		ptx_async_fence();
	__syncthreads();
	uint64_t matrix = device_wgmma_matrix(b + (what == INSIDE ? 64 : 0), 128, 256, WARPGROUP_PLAIN);
	if (what != FENCE)
		ptx_wgmma_fence();
	if (what != WARP_OF_GROUP || threadIdx.x / 32 != 2)
		ptx_wgmma<64>(d, a, matrix);
	if (what != COMMIT)
		ptx_wgmma_commit();
	if (what == WAIT)
		out[threadIdx.x] = d[5];
	if (what == STAGE && threadIdx.x == 5) {
		b[7] = 0;
		ptx_async_fence();
	}
	if (what == REGISTERS)
		a[2] = 0;
	ptx_wgmma_wait<0>();
	if (what != WAIT)
		out[threadIdx.x] = d[5];
}
static __global__ void product_right(float *out) { product(out, NOTHING); }
static __global__ void product_unfenced(float *out) { product(out, FENCE); }
static __global__ void product_uncommitted(float *out) { product(out, COMMIT); }
static __global__ void product_unwaited(float *out) { product(out, WAIT); }
static __global__ void product_unseen(float *out) { product(out, ASYNC_FENCE); }
static __global__ void product_of_three(float *out) { product(out, WARP_OF_GROUP); }
static __global__ void product_overtaken(float *out) { product(out, STAGE); }
static __global__ void product_registers(float *out) { product(out, REGISTERS); }
static __global__ void product_outside(float *out) { product(out, INSIDE); }

enum kind { PLAIN, COOPERATIVE, PROGRAMMATIC, GROUP };

static const struct {
	const char *name;
	void (*kernel)(float *);
	unsigned blocks;
	enum kind kind;
	size_t dynamic_bytes; /* 0: 256 */
	int allowed;          /* 0: not asked for */
} kernels[] = {
	{ "barrier_missed", barrier_missed, 1, PLAIN, 0, 0 },
	{ "barrier_elsewhere", barrier_elsewhere, 1, PLAIN, 0, 0 },
	{ "lane_missing", lane_missing, 1, PLAIN, 0, 0 },
	{ "masks_differ", masks_differ, 1, PLAIN, 0, 0 },
	{ "lane_outside", lane_outside, 1, PLAIN, 0, 0 },
	{ "shared_overrun", shared_overrun, 1, PLAIN, 0, 0 },
	{ "allocation_overrun", allocation_overrun, 1, PLAIN, 0, 0 },
	{ "shared_unwritten", shared_unwritten, 1, PLAIN, 0, 0 },
	{ "wait_missing", wait_missing, 1, PLAIN, 0, 0 },
	{ "right", right, 3, PLAIN, 0, 0 },
	{ "warps", warps, 1, PLAIN, 0, 0 },
	{ "race_register", race_register, 1, PLAIN, 0, 0 },
	{ "race_lanes", race_lanes, 1, PLAIN, 0, 0 },
	{ "race_blocks", race_blocks, 2, PLAIN, 0, 0 },
	{ "race_sum", race_sum, 1, PLAIN, 0, 0 },
	{ "race_none", race_none, 1, PLAIN, 0, 0 },
	{ "copy_unseen", copy_unseen, 2, PLAIN, 0, 0 },
	{ "copy_unwaited", copy_unwaited, 1, PLAIN, 0, 0 },
	{ "copy_misaligned", copy_misaligned, 1, PLAIN, 0, 0 },
	{ "copy_elsewhere", copy_elsewhere, 1, PLAIN, 0, 0 },
	{ "load_misaligned", load_misaligned, 1, PLAIN, 0, 0 },
	{ "vector_misaligned", vector_misaligned, 1, PLAIN, 0, 0 },
	{ "matrix_misaligned", matrix_misaligned, 1, PLAIN, 0, 0 },
	{ "matrix_elsewhere", matrix_elsewhere, 1, PLAIN, 0, 0 },
	{ "mma_lane_missing", mma_lane_missing, 1, PLAIN, 0, 0 },
	{ "grid_sum", grid_sum, 4, COOPERATIVE, 0, 0 },
	{ "grid_not_resident", grid_sum, 4, PLAIN, 0, 0 },
	{ "grid_too_large", grid_sum, 65, COOPERATIVE, 0, 0 },
	{ "grid_unwaited", grid_unwaited, 4, COOPERATIVE, 0, 0 },
	{ "value_never", value_never, 1, PLAIN, 0, 0 },
	{ "value_twice", value_twice, 1, PLAIN, 0, 0 },
	{ "shared_not_asked_for", shared_large, 1, PLAIN, 100 << 10, 0 },
	{ "shared_large", shared_large, 1, PLAIN, 100 << 10, 100 << 10 },
	{ "shared_too_large", shared_large, 1, PLAIN, 100 << 10, (227 << 10) + 1 },
	{ "shared_both", shared_both, 1, PLAIN, 40 << 10, 0 },
	{ "starts_early", starts_early, 1, PROGRAMMATIC, 0, 0 },
	{ "starts_too_early", starts_too_early, 1, PROGRAMMATIC, 0, 0 },
	{ "bulk_right", bulk_right, 1, GROUP, 0, 0 },
	{ "bulk_unwaited", bulk_unwaited, 1, GROUP, 0, 0 },
	{ "bulk_parity", bulk_parity, 1, GROUP, 0, 0 },
	{ "bulk_fewer", bulk_fewer, 1, GROUP, 0, 0 },
	{ "bulk_more", bulk_more, 1, GROUP, 0, 0 },
	{ "bulk_odd", bulk_odd, 1, GROUP, 0, 0 },
	{ "bulk_misaligned", bulk_misaligned, 1, GROUP, 0, 0 },
	{ "bulk_elsewhere", bulk_elsewhere, 1, GROUP, 0, 0 },
	{ "bulk_left", bulk_left, 1, GROUP, 0, 0 },
	{ "phase_fresh", phase_fresh, 1, GROUP, 0, 0 },
	{ "phase_crowded", phase_crowded, 1, GROUP, 0, 0 },
	{ "phase_overwritten", phase_overwritten, 1, GROUP, 0, 0 },
	{ "phases", phases, 1, GROUP, 0, 0 },
	{ "product_right", product_right, 1, GROUP, 0, 0 },
	{ "product_unfenced", product_unfenced, 1, GROUP, 0, 0 },
	{ "product_uncommitted", product_uncommitted, 1, GROUP, 0, 0 },
	{ "product_unwaited", product_unwaited, 1, GROUP, 0, 0 },
	{ "product_unseen", product_unseen, 1, GROUP, 0, 0 },
	{ "product_of_three", product_of_three, 1, GROUP, 0, 0 },
	{ "product_overtaken", product_overtaken, 1, GROUP, 0, 0 },
	{ "product_registers", product_registers, 1, GROUP, 0, 0 },
	{ "product_outside", product_outside, 1, GROUP, 0, 0 },
};

/* Run the kernel called name on blocks of 64 threads (GROUP: one of 128), each with its 64 numbers (4 blocks
 * at most) of out [256]; they begin as 0xff, in a cooperative launch as 0. Returns the launch's words. */
extern "C" __attribute__((visibility("default"))) const char *faults_run(const char *name, float *out)
{
	float *at = nullptr;
	int count;
	cudaGetDeviceCount(&count); /* which reads the settings */
	for (const auto &k : kernels) {
		if (strcmp(k.name, name) != 0)
			continue;
		cudaLaunchAttribute attribute = {};
		cudaLaunchConfig_t launch = {};
		launch.gridDim = dim3(k.blocks);
		launch.blockDim = dim3(k.kind == GROUP ? 128 : 64);
		launch.dynamicSmemBytes = k.dynamic_bytes ? k.dynamic_bytes : 64 * sizeof(float);
		launch.attrs = &attribute;
		launch.numAttrs = k.kind == PLAIN || k.kind == GROUP ? 0 : 1;
		attribute.id = k.kind == COOPERATIVE ? cudaLaunchAttributeCooperative
						     : cudaLaunchAttributeProgrammaticStreamSerialization;
		attribute.val.cooperative = 1; /* of a union: the other too */
		size_t bytes = launch.blockDim.x * (k.blocks < 4 ? k.blocks : 4) * sizeof(float);
		cudaError_t error = cudaMalloc((void **)&at, bytes);
		if (error == cudaSuccess && k.kind == COOPERATIVE)
			error = cudaMemset(at, 0, bytes);
		if (error == cudaSuccess && k.allowed)
			error = cudaFuncSetAttribute(k.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, k.allowed);
		if (error == cudaSuccess)
			error = cudaLaunchKernelEx(&launch, k.kernel, at);
		if (at != nullptr)
			memcpy(out, at, bytes);
		cudaFree(at);
		return cudaGetErrorString(error);
	}
	return "no such kernel";
}

/* ---- graphs ---- */

static __global__ void count_up(float *out, float by) { out[threadIdx.x] += by; }

/* Capture: clear, add 1, add 2, fetch. forbidden: what is asked for in the midst of it. Then run it as often
 * as told. out [64] on the host. Returns the words of the first failure, else "no error". */
extern "C" __attribute__((visibility("default"))) const char *faults_graph(const char *forbidden, int times,
									   float *out)
{
	float *at = nullptr;
	void *more = nullptr;
	cudaStream_t stream;
	cudaGraph_t graph = nullptr;
	cudaGraphExec_t exec = nullptr;
	cudaLaunchConfig_t launch = {};
	cudaStreamCreate(&stream);
	cudaMalloc((void **)&at, 64 * sizeof(float));
	launch.gridDim = dim3(1);
	launch.blockDim = dim3(64);
	launch.stream = stream;
	cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
	cudaError_t error = cudaMemsetAsync(at, 0, 64 * sizeof(float), stream);
	for (int i = 1; i <= 2 && error == cudaSuccess; i++) {
		float by = (float)i; /* what a graph keeps is the value */
		error = cudaLaunchKernelEx(&launch, count_up, at, by);
		by = 1000;
	}
	if (strcmp(forbidden, "malloc") == 0)
		error = cudaMalloc(&more, 64);
	else if (strcmp(forbidden, "synchronize") == 0)
		error = cudaStreamSynchronize(stream);
	else if (error == cudaSuccess)
		error = cudaMemcpyAsync(out, at, 64 * sizeof(float), cudaMemcpyDeviceToHost, stream);
	static char words[200]; /* before EndCapture has an error of its own */
	snprintf(words, sizeof words, "%s", cudaGetErrorString(error));
	cudaError_t ended = cudaStreamEndCapture(stream, &graph);
	if (error == cudaSuccess)
		error = cudaGraphInstantiate(&exec, graph);
	for (int i = 0; i < times && error == cudaSuccess; i++)
		error = cudaGraphLaunch(exec, stream);
	cudaGraphExecDestroy(exec);
	cudaGraphDestroy(graph);
	cudaFree(at);
	cudaStreamDestroy(stream);
	return (ended == cudaSuccess) == (error == cudaSuccess) ? words : "EndCapture says something else";
}
