/* Private: what every .cu shares. These sources are CUDA C++ for nvcc, and C++ for the host
 * compiler with tests/emulator/cuda_runtime.h in place of the real one. Kernels are started with
 * cudaLaunchKernelEx and declare shared memory with SHARED; both work in either language. */
#ifndef KERNELS_DEVICE_KERNEL_H
#define KERNELS_DEVICE_KERNEL_H

#include <cuda_runtime.h>

extern "C" {
#include "kernels/device_table.h"
}

#define WARP 32
#define WARP_ALL 0xffffffffu

#ifndef SHARED
/* count elements, a constant; and what the launch asks for, one declaration in each file */
#define SHARED(type, name, count) __shared__ __align__(16) type name[count]
#define SHARED_DYNAMIC(type, name) extern __shared__ __align__(256) type name[]
#endif

/* number_exp of number.c, step by step: the same bits. */
static __device__ __forceinline__ float device_exp(float x)
{
	x = x > -88.3f ? x : -88.3f;
	x = x < 88.0f ? x : 88.0f;
	float k = rintf(x * 0x1.715476p+0f);
	float r = fmaf(k, -0x1.62e400p-1f, x);
	r = fmaf(k, -0x1.7f7d1cp-20f, r);
	float p = 0x1.a01a02p-13f;
	p = fmaf(p, r, 0x1.6c16c2p-10f);
	p = fmaf(p, r, 0x1.111112p-7f);
	p = fmaf(p, r, 0x1.555556p-5f);
	p = fmaf(p, r, 0x1.555556p-3f);
	p = fmaf(p, r, 0.5f);
	p = fmaf(p, r, 1.0f);
	p = fmaf(p, r, 1.0f);
	float scaled = __uint_as_float(__float_as_uint(p) + ((uint32_t)(int32_t)k << 23));
	return x < -87.3f ? 0.0f : scaled;
}

#include "kernels/device_number.h"
#include "kernels/device_ptx.h"

#include "kernels/device_block.h"
#include "kernels/device_matrix.h"

/* NAME_cuda of every operation: kernels/operation.h. */
#define DEVICE_DECLARATION(name) \
	extern "C" int name##_cuda(void *stream, const struct name##_args *a);
DEVICE_OPERATIONS(DEVICE_DECLARATION)
extern "C" int device_probe_cuda(void *stream, const struct device_probe *p);

#endif
