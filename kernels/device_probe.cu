/* The instructions of device_ptx.h, one by one, for tests: device_probe.h says what they do.
 * Bound:   nothing; no pass runs them.
 * Bytes:   in and out, once.
 * Launch:  a block for each entry: a warp for matrices, 64 threads for copies, one for numbers;
 *          blocks that meet are a cooperative launch.
 * Limits:  registers 64, threads 256, shared 2048, local 0
 * Limits probe_mma:  registers 64, threads 32, local 0, mma yes
 * Limits probe_copy: registers 64, threads 64, shared 2048, local 0, loads 16
 * Order:   none adds more than two numbers but ptx_mma_bf16. */
#include "kernels/device_probe_group.h"

static __global__ void probe_mma(const struct device_probe_mma *in, float (*out)[32][4])
{
	uint32_t a[4], b[2], lane = threadIdx.x;
	float d[4];
	in += blockIdx.x;
	for (uint32_t i = 0; i < 4; i++) {
		a[i] = in->a[lane][i];
		d[i] = in->d[lane][i];
	}
	for (uint32_t i = 0; i < 2; i++)
		b[i] = in->b[lane][i];
	ptx_mma_bf16(d, a, b);
	for (uint32_t i = 0; i < 4; i++)
		out[blockIdx.x][lane][i] = d[i];
}

static __device__ void load_matrices(uint32_t matrices, bool transposed, uint32_t r[4],
				     const void *row)
{
	if (matrices == 1 && !transposed)
		ptx_ldmatrix_x1(r, row);
	else if (matrices == 1)
		ptx_ldmatrix_x1_trans(r, row);
	else if (matrices == 2 && !transposed)
		ptx_ldmatrix_x2(r, row);
	else if (matrices == 2)
		ptx_ldmatrix_x2_trans(r, row);
	else if (!transposed)
		ptx_ldmatrix_x4(r, row);
	else
		ptx_ldmatrix_x4_trans(r, row);
}

static __global__ void probe_ldmatrix(const struct device_probe_ldmatrix *in,
				      uint32_t (*out)[32][4])
{
	SHARED(uint16_t, memory, 64 * 8);
	uint32_t r[4] = { 0, 0, 0, 0 }, lane = threadIdx.x;
	in += blockIdx.x;
	for (uint32_t i = lane; i < 64 * 8; i += WARP)
		memory[i] = in->memory[i / 8][i % 8];
	__syncthreads();
	load_matrices(in->matrices, in->transposed != 0, r, memory + in->row[lane] * 8);
	for (uint32_t i = 0; i < in->matrices; i++)
		out[blockIdx.x][lane][i] = r[i];
}

static __global__ void probe_copy(const struct device_probe_copy *in, struct device_probe_copy *out)
{
	SHARED(uint32_t, memory, 2 * DEVICE_PROBE_THREADS * 4);
	uint32_t thread = threadIdx.x, other = DEVICE_PROBE_THREADS - 1 - thread;
	in += blockIdx.x;
	out += blockIdx.x;
	for (uint32_t group = 0; group < 2; group++) {
		ptx_prefetch(in->part[group][thread]);
		ptx_copy_async16(memory + (group * DEVICE_PROBE_THREADS + thread) * 4,
				 in->part[group][thread], in->whole[group][thread] != 0);
		ptx_copy_commit();
	}
	ptx_copy_wait<1>();
	__syncthreads();
	for (uint32_t i = 0; i < 4; i++)
		out->part[0][thread][i] = memory[other * 4 + i];
	ptx_copy_wait<0>();
	__syncthreads();
	for (uint32_t i = 0; i < 4; i++)
		out->part[1][thread][i] = memory[(DEVICE_PROBE_THREADS + other) * 4 + i];
	out->whole[0][thread] = out->whole[1][thread] = 1;
}

static __global__ void probe_numbers(const struct device_probe_numbers *in,
				     struct device_probe_numbers *out)
{
	in += blockIdx.x;
	out += blockIdx.x;
	ptx_launch_next();
	ptx_launch_wait();
	*out = *in;
	out->pair = ptx_bf16_pair(in->low, in->high);
	out->back[0] = device_bf16_low(out->pair);
	out->back[1] = device_bf16_high(out->pair);
	ptx_add_release(&out->sum, in->add);
	out->before = ptx_add_acquire_release(&out->sum, in->add);
	ptx_store_release(&out->sum, ptx_load_acquire(&out->sum) + 1);
	out->streamed = ptx_load_stream16(in).x;
}

static __global__ void probe_grid(uint32_t *counter)
{
	uint32_t *number = counter + 1, *sum = number + gridDim.x;
	for (uint32_t round = 0; round < DEVICE_PROBE_ROUNDS; round++) {
		uint32_t all = 0;
		if (threadIdx.x == blockDim.x - 1)
			number[blockIdx.x] = (round + 1) * (blockIdx.x + 1);
		device_grid_barrier(counter);
		for (uint32_t i = 0; i < gridDim.x; i++)
			all += __ldcg(number + i);
		if (threadIdx.x == 0)
			sum[blockIdx.x * DEVICE_PROBE_ROUNDS + round] = all;
		device_grid_barrier(counter);
	}
}

static cudaError_t launch_probe(cudaLaunchConfig_t *launch, const struct device_probe *p)
{
	switch (p->kind) {
	case DEVICE_PROBE_MMA:
		return cudaLaunchKernelEx(launch, probe_mma, (const struct device_probe_mma *)p->in,
					  (float(*)[32][4])p->out);
	case DEVICE_PROBE_LDMATRIX:
		return cudaLaunchKernelEx(launch, probe_ldmatrix,
					  (const struct device_probe_ldmatrix *)p->in,
					  (uint32_t(*)[32][4])p->out);
	case DEVICE_PROBE_COPY:
		launch->blockDim = dim3(DEVICE_PROBE_THREADS);
		return cudaLaunchKernelEx(launch, probe_copy,
					  (const struct device_probe_copy *)p->in,
					  (struct device_probe_copy *)p->out);
	case DEVICE_PROBE_NUMBERS:
		launch->blockDim = dim3(1);
		launch->attrs->id = cudaLaunchAttributeProgrammaticStreamSerialization;
		launch->attrs->val.programmaticStreamSerializationAllowed = 1;
		launch->numAttrs = 1;
		return cudaLaunchKernelEx(launch, probe_numbers,
					  (const struct device_probe_numbers *)p->in,
					  (struct device_probe_numbers *)p->out);
	case DEVICE_PROBE_GRID:
		launch->blockDim = dim3(256);
		launch->attrs->id = cudaLaunchAttributeCooperative;
		launch->attrs->val.cooperative = 1;
		launch->numAttrs = 1;
		return cudaLaunchKernelEx(launch, probe_grid, (uint32_t *)p->out);
	case DEVICE_PROBE_WGMMA:
		return launch_probe_group(launch, p);
	}
	return cudaErrorInvalidValue;
}

int device_probe_cuda(void *stream, const struct device_probe *p)
{
	cudaLaunchAttribute attribute = {};
	cudaLaunchConfig_t launch = {};
	launch.gridDim = dim3(p->count);
	launch.blockDim = dim3(WARP);
	launch.stream = (cudaStream_t)stream;
	launch.attrs = &attribute;
	return p->count > 0 ? launch_probe(&launch, p) : cudaSuccess;
}
