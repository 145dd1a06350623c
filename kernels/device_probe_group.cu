/* The instructions of device_warpgroup.h, for tests: device_probe.h says what is asked.
 * Bound:   nothing; no pass runs them.
 * Bytes:   in and out, once.
 * Launch:  a block of 128 threads for each entry; compute capability 9.0, nothing elsewhere.
 * Limits:  registers 255, threads 128, dynamic 40960, local 0, loads bulk, mma wgmma
 * Order:   two products into the same sum, each the machine's own. */
#include "kernels/device_warpgroup.h"

#include "kernels/device_probe_group.h"

#if WARPGROUP_HERE
/* The image in two halves, each with a barrier of its own. */
static __device__ void bring_image(const struct device_probe_wgmma *in, unsigned char *memory)
{
	constexpr uint32_t half = DEVICE_PROBE_MEMORY / 2;
	SHARED(uint64_t, barrier, 2);
	if (threadIdx.x < 2) {
		ptx_barrier_init(&barrier[threadIdx.x], 1);
		ptx_barrier_fence();
	}
	__syncthreads();
	for (uint32_t i = threadIdx.x * 4; in->stored && i < DEVICE_PROBE_MEMORY;
	     i += 4 * WARPGROUP)
		*(uint32_t *)(memory + i) = *(const uint32_t *)(in->memory + i);
	if (in->stored)
		ptx_async_fence();
	__syncthreads();
	if (in->stored)
		return;
	for (uint32_t i = 0; i < 2 && threadIdx.x == 0; i++) {
		ptx_barrier_expect(&barrier[i], half);
		ptx_bulk_copy(memory + i * half, in->memory + i * half, half, &barrier[i]);
	}
	ptx_barrier_wait(&barrier[0], 0);
	ptx_barrier_wait(&barrier[1], 0);
}

template <uint32_t n>
static __device__ void multiply_twice(const struct device_probe_wgmma *in, uint64_t a, uint64_t b,
				      float *out)
{
	float d[n / 2];
	uint32_t registers[4];
#pragma unroll
	for (uint32_t i = 0; i < n / 2; i++)
		d[i] = in->d[threadIdx.x][i];
#pragma unroll
	for (uint32_t i = 0; i < 4; i++)
		registers[i] = in->a[threadIdx.x][i];
	if (in->a_shared) {
		ptx_wgmma_fence();
		ptx_wgmma_shared<n>(d, a, b);
		ptx_wgmma_shared<n>(d, a, b);
	} else {
		ptx_wgmma_fence();
		ptx_wgmma<n>(d, registers, b);
		ptx_wgmma<n>(d, registers, b);
	}
	ptx_wgmma_commit();
	ptx_wgmma_wait<0>();
#pragma unroll
	for (uint32_t i = 0; i < n / 2; i++)
		out[i] = d[i];
}
#endif

static __global__ void __launch_bounds__(128)
	probe_wgmma(const struct device_probe_wgmma *in, float (*out)[128][128])
{
#if WARPGROUP_HERE
	SHARED_DYNAMIC(unsigned char, memory);
	in += blockIdx.x;
	bring_image(in, memory);
	enum warpgroup_layout layout = (enum warpgroup_layout)in->layout;
	uint64_t a = device_wgmma_matrix(memory + in->a_at, in->a_leading, in->a_stride, layout);
	uint64_t b = device_wgmma_matrix(memory + in->b_at, in->b_leading, in->b_stride, layout);
	float *to = out[blockIdx.x][threadIdx.x];
	if (in->n == 64)
		multiply_twice<64>(in, a, b, to);
	else if (in->n == 128)
		multiply_twice<128>(in, a, b, to);
	else
		multiply_twice<256>(in, a, b, to);
#else
	(void)in, (void)out;
#endif
}

cudaError_t launch_probe_group(cudaLaunchConfig_t *launch, const struct device_probe *p)
{
	launch->blockDim = dim3(WARPGROUP);
	launch->dynamicSmemBytes = DEVICE_PROBE_MEMORY;
	return cudaLaunchKernelEx(launch, probe_wgmma, (const struct device_probe_wgmma *)p->in,
				  (float(*)[128][128])p->out);
}
