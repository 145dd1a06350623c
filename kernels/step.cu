/* A list of operations as one launch: all multiprocessors walk through it, with a barrier of the
 * grid between one operation and the next. While a block waits there, the first weights of the next
 * product are on their way to the second cache.
 * Bound:   as each operation; a barrier takes about a microsecond.
 * Bytes:   464 a block and operation, while it waits: the arguments of the next one.
 * Launch:  cooperative, as many blocks of 256 threads as the device holds at once.
 * Limits:  registers 128, threads 256, blocks 2, stack 500
 * Limits step<true>: registers 128, threads 256, blocks 2, stack 1000
 * Shared:  1 KiB, and the most that an operation of the list takes.
 * Order:   that of each operation: none depends on the number of blocks, so that one launch and
 *          many give the same bits. */
#define DEVICE_STEP
#include "kernels/device_step.h"

#include "kernels/attend.cu"
#include "kernels/close_rows.cu"
#include "kernels/draw_ids.cu"
#include "kernels/gate_value.cu"
#include "kernels/gqa_place.cu"
#include "kernels/mla_place.cu"
#include "kernels/moe_gate.cu"
#include "kernels/norm_rows.cu"
#include "kernels/product.cu"
#include "kernels/sort_slots.cu"

#include <stddef.h>

/* Before an operation's own memory. The batch is copied once, so that no operation begins by
 * waiting for it: an acquiring barrier empties the first cache. The operation's number is kept
 * here, since a register would be taken from all operations. */
struct step_room {
	struct step_record record[2]; /* this operation's and the next one's */
	struct device_batch batch;
	uint32_t at;
};

#define STEP_ROOM 1024

static_assert(sizeof(struct step_room) <= STEP_ROOM, "operations begin behind it");

#define STEP_RULES(name)                                                \
	static_assert(sizeof(struct name##_args) <= STEP_ARGS &&        \
			      sizeof(struct name##_args) % 4 == 0 &&    \
			      offsetof(struct name##_args, batch) == 0, \
		      #name);
DEVICE_OPERATIONS(STEP_RULES)

/* The batch of the copy is that in shared memory. */
static __device__ void step_fetch(const struct step_list &l, uint32_t i, struct step_room *room)
{
	const uint32_t *from = (const uint32_t *)&l.record[i];
	uint32_t *to = (uint32_t *)&room->record[i % 2];
	uint64_t batch = (uint64_t)(uintptr_t)&room->batch;
	for (uint32_t w = threadIdx.x; w < sizeof(struct step_record) / 4; w += DEVICE_THREADS)
		to[w] = w > 1 ? from[w] : (uint32_t)(batch >> 32 * w);
}

#define attend_block attend_step<latent> /* the form that a kernel has */

/* A function each, called: in one body the compiler keeps values of all operations in registers
 * at once, and puts some away in the loops of products. So what a call saves is all that is put
 * away. */
#define STEP_CALL(name)                                                              \
	template <bool latent>                                                       \
	static __device__ __noinline__ void name##_call(const struct step_record &r, \
							unsigned char *shared)       \
	{                                                                            \
		name##_block(*(const struct name##_args *)r.args, shared);           \
	}
DEVICE_STEP_OPERATIONS(STEP_CALL)

template <bool latent>
static __device__ __forceinline__ void step_operation(const struct step_record &r,
						      unsigned char *shared)
{
#define STEP_CASE(name)                         \
	case DEVICE_##name:                     \
		name##_call<latent>(r, shared); \
		break;
	switch (r.operation) {
		DEVICE_STEP_OPERATIONS(STEP_CASE)
	}
}

/* Whether the next operation's first weights can be told before this one has ended: it is a product
 * of all of its jobs, or of those that are active for this one too. */
static __device__ bool step_knows(const struct step_record &now, const struct step_record &next)
{
	const struct product_args &a = *(const struct product_args *)now.args,
				  &b = *(const struct product_args *)next.args;
	return next.operation == DEVICE_product &&
	       (b.active == nullptr || (now.operation == DEVICE_product && a.active == b.active));
}

/* For compute capability 9.0 alone, whose registers it was fitted to: all operations in one kernel
 * take the compiler a minute or two for each architecture. Others are refused this way. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ != 900
#define STEP_BUILT false
#else
#define STEP_BUILT true
#endif

/* latent: its attention is that of latents; with both forms it had registers for neither. */
template <bool latent>
static __global__ void __launch_bounds__(DEVICE_THREADS, 2)
	step(const __grid_constant__ struct step_list l)
{
	SHARED_DYNAMIC(unsigned char, shared);
	if (!STEP_BUILT)
		return;
	struct step_room *room = (struct step_room *)shared;
	const uint32_t *batch = (const uint32_t *)l.batch;
	for (uint32_t w = threadIdx.x; w < sizeof room->batch / 4; w += DEVICE_THREADS)
		((uint32_t *)&room->batch)[w] = batch[w];
	step_fetch(l, 0, room);
	if (threadIdx.x == 0)
		room->at = 0;
	__syncthreads();
	for (;;) {
		step_operation<latent>(room->record[room->at % 2], shared + STEP_ROOM);
		uint32_t next = room->at + 1;
		if (next == l.count)
			break;
		step_fetch(l, next, room);
		uint32_t before = device_grid_arrive(l.barrier);
		if (threadIdx.x == 0)
			room->at = next;
		if (step_knows(room->record[(next + 1) % 2], room->record[next % 2]))
			product_ahead(*(const struct product_args *)room->record[next % 2].args);
		device_grid_wait(l.barrier, before);
	}
}

static void (*step_of(bool latent))(const struct step_list)
{
	return latent ? step<true> : step<false>;
}

static size_t step_shared(const struct step_record &r, bool *valid)
{
#define STEP_SHARED(name)                                                   \
	case DEVICE_##name:                                                 \
		*valid = name##_valid(*(const struct name##_args *)r.args); \
		return name##_shared(*(const struct name##_args *)r.args);
	switch (r.operation) {
		DEVICE_STEP_OPERATIONS(STEP_SHARED)
	}
	*valid = false;
	return 0;
}

bool step_is_latent(const struct step_record &r)
{
	return r.operation == DEVICE_attend && ((const struct attend_args *)r.args)->latent;
}

int step_takes(const struct step_record &r, bool latent)
{
	bool valid;
	if (r.operation == DEVICE_product_dense)
		return cudaErrorNotSupported;
	if (r.operation == DEVICE_product) {
		const struct product_args *a = (const struct product_args *)r.args;
		if (a->rows_most > PRODUCT_NARROW || a->fast)
			return cudaErrorNotSupported;
	}
	if (r.operation == DEVICE_attend &&
	    (step_is_latent(r) != latent || !attend_in_step(*(const struct attend_args *)r.args)))
		return cudaErrorNotSupported;
	size_t bytes = step_shared(r, &valid);
	if (!valid)
		return cudaErrorInvalidValue;
	return STEP_ROOM + bytes > DEVICE_SHARED_MOST ? cudaErrorNotSupported : cudaSuccess;
}

int step_plan(const struct step_record *record, uint32_t count, bool latent, uint32_t *blocks,
	      size_t *shared)
{
	int device = 0, multiprocessors = 0, each = 0;
	cudaDeviceProp found;
	*shared = 0;
	for (uint32_t i = 0; i < count; i++) {
		bool valid;
		size_t bytes = step_shared(record[i], &valid);
		*shared = bytes > *shared ? bytes : *shared;
	}
	*shared += STEP_ROOM;
	cudaError_t error = cudaGetDevice(&device);
	if (error == cudaSuccess)
		error = cudaGetDeviceProperties(&found, device);
	if (error == cudaSuccess && 10 * found.major + found.minor != 90)
		error = cudaErrorNotSupported;
	if (error == cudaSuccess)
		error = cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount,
					       device);
	/* For all plans that there will be, of which each takes its own. */
	if (error == cudaSuccess)
		error = cudaFuncSetAttribute(step_of(latent),
					     cudaFuncAttributeMaxDynamicSharedMemorySize,
					     DEVICE_SHARED_MOST);
	if (error == cudaSuccess)
		error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, step_of(latent),
								      DEVICE_THREADS, *shared);
	*blocks = (uint32_t)(multiprocessors * each);
	return error != cudaSuccess ? error : *blocks == 0 ? cudaErrorNotSupported : cudaSuccess;
}

int step_launch(cudaStream_t stream, const struct step_list &list, bool latent, uint32_t blocks,
		size_t shared)
{
	cudaLaunchConfig_t launch = {};
	cudaLaunchAttribute together = {};
	together.id = cudaLaunchAttributeCooperative;
	together.val.cooperative = 1;
	launch.gridDim = dim3(blocks);
	launch.blockDim = dim3(DEVICE_THREADS);
	launch.dynamicSmemBytes = shared;
	launch.stream = stream;
	launch.attrs = &together;
	launch.numAttrs = 1;
	return cudaLaunchKernelEx(&launch, step_of(latent), list);
}
