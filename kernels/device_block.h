/* Private, by way of device_kernel.h: what the operations on a block of 256 threads share.
 *
 * kernels/NAME.cu defines, for its struct NAME_args,
 *
 *     static bool NAME_valid(const struct NAME_args &a)       host: the rules of operation.h hold
 *     static size_t NAME_shared(const struct NAME_args &a)    host: bytes of shared memory
 *     static __device__ void NAME_block(const struct NAME_args &a, unsigned char *shared)
 *
 * NAME_block is the work of one block, whatever the number of blocks: items are dealt out by
 * blockIdx.x and gridDim.x. All threads come to its end. Whoever calls it again in one launch puts
 * a __syncthreads between. It uses no shared memory but what it is given, which begins at a
 * multiple of 128 bytes.
 *
 * kernels/step.cu includes these files with DEVICE_STEP defined, so helpers stand in
 * namespace NAME_parts, and what only a launch of the operation alone needs under
 *
 *     #ifndef DEVICE_STEP
 *     static uint32_t NAME_blocks(const struct NAME_args &a)  blocks that could have work
 *     DEVICE_LAUNCH(NAME)                                     its __global__ and NAME_cuda
 *     #endif
 */
#ifndef KERNELS_DEVICE_BLOCK_H
#define KERNELS_DEVICE_BLOCK_H

#ifndef __CUDACC__
#define __grid_constant__
#endif

#define DEVICE_THREADS 256
#define DEVICE_WARPS (DEVICE_THREADS / WARP)
#define DEVICE_SHARED_FREE (48u << 10)  /* bytes that a launch gets without asking for more */
#define DEVICE_SHARED_MOST (227u << 10) /* and with: compute capability 9.0 */

/* Multiprocessors of the device that was opened last (device_runtime.cu). No bit depends on it. */
extern uint32_t device_multiprocessors;
/* Bytes of shared memory that a block of it may have: 227 KiB on 9.0 and 10.0, 163 on 8.0, 99 on
 * 12.0. No bit depends on it either. */
extern uint32_t device_shared_most;
/* Launches of this thread may begin before the one ahead of them has ended, up to ptx_launch_wait
 * (device_steps.cu sets it while it records). */
extern thread_local bool device_launch_ahead;
extern cudaLaunchAttribute device_ahead_attribute;

/* ---- launching ---- */

static inline cudaLaunchConfig_t device_launch(void *stream, uint32_t blocks, size_t shared)
{
	cudaLaunchConfig_t launch = {};
	uint32_t most = device_multiprocessors * 8; /* of 2,048 threads: the rest is dealt out */
	launch.gridDim = dim3(blocks < most ? blocks : most);
	launch.blockDim = dim3(DEVICE_THREADS);
	launch.dynamicSmemBytes = shared;
	launch.stream = (cudaStream_t)stream;
	launch.attrs = &device_ahead_attribute;
	launch.numAttrs = device_launch_ahead ? 1 : 0;
	return launch;
}

#define DEVICE_LAUNCH(name)                                                                       \
	static __global__ void __launch_bounds__(DEVICE_THREADS)                                  \
		name##_kernel(const __grid_constant__ struct name##_args a)                       \
	{                                                                                         \
		SHARED_DYNAMIC(unsigned char, shared);                                            \
		ptx_launch_next();                                                                \
		ptx_launch_wait();                                                                \
		name##_block(a, shared);                                                          \
	}                                                                                         \
	extern "C" int name##_cuda(void *stream, const struct name##_args *a)                     \
	{                                                                                         \
		if (!name##_valid(*a))                                                            \
			return cudaErrorInvalidValue;                                             \
		uint32_t blocks = name##_blocks(*a);                                              \
		size_t shared = name##_shared(*a);                                                \
		const cudaLaunchConfig_t launch = device_launch(stream, blocks, shared);          \
		cudaError_t error = cudaSuccess;                                                  \
		if (shared > DEVICE_SHARED_FREE)                                                  \
			error = cudaFuncSetAttribute(name##_kernel,                               \
						     cudaFuncAttributeMaxDynamicSharedMemorySize, \
						     (int)shared);                                \
		if (error == cudaSuccess && blocks > 0)                                           \
			error = cudaLaunchKernelEx(&launch, name##_kernel, *a);                   \
		return error;                                                                     \
	}

/* Every array of floats that is read in fours. */
static inline bool device_aligned(const void *at) { return (uintptr_t)at % 16 == 0; }

/* ---- sums ---- */

/* Butterfly: one tree, the same bits in every lane. */
static __device__ __forceinline__ float device_warp_sum(float v)
{
#pragma unroll
	for (int step = WARP / 2; step > 0; step /= 2)
		v += __shfl_xor_sync(WARP_ALL, v, step);
	return v;
}

/* Of all threads, the same bits in each. room: 8 floats of shared memory, for this alone. */
static __device__ __forceinline__ float device_block_sum(float v, float *room)
{
	v = device_warp_sum(v);
	__syncthreads(); /* room may be in use by the sum before */
	if (threadIdx.x % WARP == 0)
		room[threadIdx.x / WARP] = v;
	__syncthreads();
	return ((room[0] + room[1]) + (room[2] + room[3])) +
	       ((room[4] + room[5]) + (room[6] + room[7]));
}

/* ---- rows of floats, four at a time ---- */

/* Thread t has the numbers 4 (t + 256 k) to 4 (t + 256 k) + 3 of a row, in every operation, so that
 * what it writes it may read again without waiting. whole: the row's length is a multiple of 4 and
 * it begins at a multiple of 16 bytes; the bits are the same without. */
struct device_four {
	float v[4];
};

#define DEVICE_FOURS (4 * DEVICE_THREADS)

/* Zeros beyond n. */
template <bool whole>
static __device__ __forceinline__ struct device_four device_four_load(const float *x, uint32_t i,
								      uint32_t n)
{
	struct device_four out;
	if constexpr (whole) {
		const float4 f = *(const float4 *)(x + i);
		out = { { f.x, f.y, f.z, f.w } };
	} else {
		out = { { x[i], 0, 0, 0 } };
#pragma unroll
		for (uint32_t j = 1; j < 4; j++) {
			if (i + j < n)
				out.v[j] = x[i + j];
		}
	}
	return out;
}

template <bool whole>
static __device__ __forceinline__ void device_four_store(float *x, uint32_t i, uint32_t n,
							 struct device_four f)
{
	if constexpr (whole) {
		*(float4 *)(x + i) = make_float4(f.v[0], f.v[1], f.v[2], f.v[3]);
	} else {
#pragma unroll
		for (uint32_t j = 0; j < 4; j++) {
			if (i + j < n)
				x[i + j] = f.v[j];
		}
	}
}

/* ---- norms of a row that lies in shared memory ---- */

/* A layer norm's d = x - mean; an RMS norm has mean 0. out = d * scale * gain, plus bias. */
struct device_measure {
	float mean, scale;
};

/* kept: n numbers, each read by the thread that wrote it; padded to a multiple of 4. */
static __device__ __forceinline__ struct device_measure device_measure_row(const float *kept,
									   uint32_t n, float eps,
									   bool layer_norm,
									   float *room)
{
	float sum = 0, mean = 0;
	if (layer_norm) {
		for (uint32_t i = threadIdx.x * 4; i < n; i += DEVICE_FOURS) {
			const struct device_four f = device_four_load<true>(kept, i, n);
			sum += (f.v[0] + f.v[1]) + (f.v[2] + f.v[3]);
		}
		mean = device_block_sum(sum, room) / (float)n;
		sum = 0;
	}
	for (uint32_t i = threadIdx.x * 4; i < n; i += DEVICE_FOURS) {
		struct device_four f = device_four_load<true>(kept, i, n);
#pragma unroll
		for (uint32_t j = 0; j < 4; j++) {
			f.v[j] = i + j < n ? f.v[j] - mean : 0;
			f.v[j] *= f.v[j];
		}
		sum += (f.v[0] + f.v[1]) + (f.v[2] + f.v[3]);
	}
	return { mean, 1.0f / sqrtf(device_block_sum(sum, room) / (float)n + eps) };
}

/* gain, bias [n] of the norm; NULL: none */
template <bool whole>
static __device__ __forceinline__ struct device_four device_normed(struct device_four f,
								   struct device_measure m,
								   const float *gain,
								   const float *bias, uint32_t i,
								   uint32_t n)
{
	struct device_four g = { { 1, 1, 1, 1 } }, b = { { 0, 0, 0, 0 } };
	if (gain != nullptr)
		g = device_four_load<whole>(gain, i, n);
	if (bias != nullptr)
		b = device_four_load<whole>(bias, i, n);
#pragma unroll
	for (uint32_t j = 0; j < 4; j++) {
		f.v[j] = (f.v[j] - m.mean) * m.scale * g.v[j];
		if (bias != nullptr)
			f.v[j] += b.v[j];
	}
	return f;
}

#endif
