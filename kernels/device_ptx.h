/* Private, by way of device_kernel.h: the machine's instructions that C++ has no words for. Under
 * nvcc they are inline PTX, for the host compiler twins of tests/emulator, which keep the same
 * layouts and refuse a launch that breaks a rule written here. tests/gpu/parity_probe.c holds both
 * against the tables of the PTX ISA ("Warp-level matrix instructions", "Data movement").
 *
 * Numbers of 16 bits lie two in a register, the lower index in the low half. In what follows
 * g = lane / 4 and t = lane % 4. All 32 lanes of a warp must come to one of the first two kinds.
 *
 * ptx_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
 *     d += a * b: a [16][16] bf16 by rows, b [16][8] bf16 by columns, d [16][8] f32.
 *     ("Matrix Fragments for mma.m16n8k16 with floating point type")
 *       a[0]  row g      columns 2t, 2t+1          b[0]  rows 2t, 2t+1      column g
 *       a[1]  row g + 8  columns 2t, 2t+1          b[1]  rows 2t+8, 2t+9    column g
 *       a[2]  row g      columns 2t+8, 2t+9        d[0], d[1]  row g        columns 2t, 2t+1
 *       a[3]  row g + 8  columns 2t+8, 2t+9        d[2], d[3]  row g + 8    columns 2t, 2t+1
 *     The order of the 16 products within a sum is the machine's own.
 *
 * ptx_ldmatrix_x1|x2|x4(uint32_t r[1|2|4], const void *row)
 * ptx_ldmatrix_x1|x2|x4_trans(...)
 *     Load 1, 2 or 4 matrices [8][8] of 16 bits. row: shared memory, 16-byte aligned; lane l
 *     brings the row l % 8 of matrix l / 8 (others' addresses count for nothing).
 *       r[m]        row g, columns 2t and 2t+1 of matrix m: with the four quarters of a in the
 *                   order of a[], by rows, this is a; with b stored by columns (b's column is the
 *                   row here) this is b
 *       r[m] trans  rows 2t and 2t+1, column g
 *     ("Warp-level matrix load instruction: ldmatrix")
 *
 * ptx_copy_async16(void *shared, const void *global, bool whole)
 * ptx_copy_commit()
 * ptx_copy_wait<N>()
 *     Copy 16 bytes, both ends 16-byte aligned; !whole: zeros, and global is not read (it must
 *     still be an address that could be). commit makes a group of what this thread began since
 *     the last one; wait returns when all but its latest N groups have landed, for this thread
 *     alone: others see them after a __syncthreads that follows the wait. Shared memory holds
 *     anything until then. ("Non-bulk copy: cp.async")
 *
 * uint4 ptx_load_stream16(const void *global)
 *     For weights: 16 bytes, aligned, that no thread writes while this kernel runs (ld.global.nc);
 *     not kept in L1.
 * ptx_prefetch(const void *global)
 *     Into L2; no more than a hint.
 *
 * uint32_t ptx_load_acquire(const uint32_t *global)
 * ptx_store_release(uint32_t *global, uint32_t value)
 * uint32_t ptx_add_release(uint32_t *global, uint32_t value)
 * uint32_t ptx_add_acquire_release(uint32_t *global, uint32_t value)
 *     Of the whole device, the adds return what was there. What this thread did, and what others
 *     of its block did before a __syncthreads that it came from, is seen by who acquires what it
 *     released. To wait for another block, loop on ptx_load_acquire: plain and volatile loads do
 *     not end in the emulator.
 *
 * ptx_launch_wait()
 *     Until the kernels before this one are done and all they wrote is seen. Where the launch says
 *     cudaLaunchAttributeProgrammaticStreamSerialization every thread that touches memory another
 *     kernel writes or reads calls it first. Elsewhere it does nothing.
 * ptx_launch_next()
 *     From here on the next kernel may start, up to its ptx_launch_wait.
 *
 * uint32_t ptx_bf16_pair(float low, float high)
 *     Rounded to nearest, ties to even, too large to infinity; NaN is 0x7fff.
 * uint32_t ptx_thread()
 *     threadIdx.x, read here: what is computed from it is not moved out of the loops around, where
 *     it would take registers from code that does not need it.
 * uint32_t ptx_bf16_fma(uint32_t a, uint32_t b, uint32_t c)
 *     a * b + c of both halves, subnormals as they are. For results that need no rounding: the
 *     twin may round twice.
 * float ptx_f16_low(uint32_t pair), ptx_f16_high(uint32_t pair)
 *     Of an IEEE binary16, exact */
#ifndef KERNELS_DEVICE_PTX_H
#define KERNELS_DEVICE_PTX_H

#ifdef __CUDACC__

#define PTX static __device__ __forceinline__

PTX void ptx_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
	asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
		     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
		     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
		     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

PTX uint32_t ptx_shared_address(const void *shared)
{
	return (uint32_t)__cvta_generic_to_shared(shared);
}

#define PTX_LDMATRIX_1(name, form)                                                          \
	PTX void name(uint32_t r[1], const void *row)                                       \
	{                                                                                   \
		asm volatile("ldmatrix.sync.aligned.m8n8.x1" form ".shared.b16 {%0}, [%1];" \
			     : "=r"(r[0])                                                   \
			     : "r"(ptx_shared_address(row))                                 \
			     : "memory");                                                   \
	}
#define PTX_LDMATRIX_2(name, form)                                                             \
	PTX void name(uint32_t r[2], const void *row)                                          \
	{                                                                                      \
		asm volatile("ldmatrix.sync.aligned.m8n8.x2" form ".shared.b16 {%0,%1}, [%2];" \
			     : "=r"(r[0]), "=r"(r[1])                                          \
			     : "r"(ptx_shared_address(row))                                    \
			     : "memory");                                                      \
	}
#define PTX_LDMATRIX_4(name, form)                                            \
	PTX void name(uint32_t r[4], const void *row)                         \
	{                                                                     \
		asm volatile("ldmatrix.sync.aligned.m8n8.x4" form             \
			     ".shared.b16 {%0,%1,%2,%3}, [%4];"               \
			     : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) \
			     : "r"(ptx_shared_address(row))                   \
			     : "memory");                                     \
	}
PTX_LDMATRIX_1(ptx_ldmatrix_x1, "")
PTX_LDMATRIX_1(ptx_ldmatrix_x1_trans, ".trans")
PTX_LDMATRIX_2(ptx_ldmatrix_x2, "")
PTX_LDMATRIX_2(ptx_ldmatrix_x2_trans, ".trans")
PTX_LDMATRIX_4(ptx_ldmatrix_x4, "")
PTX_LDMATRIX_4(ptx_ldmatrix_x4_trans, ".trans")

PTX void ptx_copy_async16(void *shared, const void *global, bool whole)
{
	asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(
			     ptx_shared_address(shared)),
		     "l"(__cvta_generic_to_global(global)), "r"(whole ? 16 : 0)
		     : "memory");
}

PTX void ptx_copy_commit(void) { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int groups> PTX void ptx_copy_wait(void)
{
	asm volatile("cp.async.wait_group %0;" ::"n"(groups) : "memory");
}

/* Not volatile: the compiler may put many of them in flight. */
PTX uint4 ptx_load_stream16(const void *global)
{
	uint4 v;
	asm("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0,%1,%2,%3}, [%4];"
	    : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
	    : "l"(__cvta_generic_to_global(global)));
	return v;
}

PTX void ptx_prefetch(const void *global)
{
	asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(global)));
}

PTX uint32_t ptx_load_acquire(const uint32_t *global)
{
	uint32_t v;
	asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
		     : "=r"(v)
		     : "l"(__cvta_generic_to_global(global))
		     : "memory");
	return v;
}

PTX void ptx_store_release(uint32_t *global, uint32_t value)
{
	asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(global)),
		     "r"(value)
		     : "memory");
}

PTX uint32_t ptx_add_release(uint32_t *global, uint32_t value)
{
	uint32_t before;
	asm volatile("atom.add.release.gpu.global.u32 %0, [%1], %2;"
		     : "=r"(before)
		     : "l"(__cvta_generic_to_global(global)), "r"(value)
		     : "memory");
	return before;
}

PTX uint32_t ptx_add_acquire_release(uint32_t *global, uint32_t value)
{
	uint32_t before;
	asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;"
		     : "=r"(before)
		     : "l"(__cvta_generic_to_global(global)), "r"(value)
		     : "memory");
	return before;
}

PTX void ptx_launch_wait(void)
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

PTX void ptx_launch_next(void)
{
#if __CUDA_ARCH__ >= 900
	asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

PTX uint32_t ptx_bf16_pair(float low, float high)
{
	uint32_t pair;
	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
	return pair;
}

PTX uint32_t ptx_thread(void)
{
	uint32_t thread;
	asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
	return thread;
}

PTX uint32_t ptx_bf16_fma(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t d;
	asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
	return d;
}

PTX float ptx_f16_low(uint32_t pair)
{
	float f;
	asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"((uint16_t)pair));
	return f;
}

PTX float ptx_f16_high(uint32_t pair) { return ptx_f16_low(pair >> 16); }

#endif /* else: tests/emulator/ptx.h, by way of its cuda_runtime.h */

static __device__ __forceinline__ float device_bf16_low(uint32_t pair)
{
	return __uint_as_float(pair << 16);
}
static __device__ __forceinline__ float device_bf16_high(uint32_t pair)
{
	return __uint_as_float(pair & 0xffff0000u);
}

/* Wait for all blocks of the grid, which must be resident together (a launch with
 * cudaLaunchAttributeCooperative); what any of their threads wrote before, all see after, but for
 * ptx_load_stream16. counter: in device memory, one for each launch that may run at a time, 0
 * before its first use and then never written otherwise. Each wait adds 2^31 to it in total, so it
 * never needs to be set back; the top bit tells who waits that all have come. Blocks of one
 * dimension, all threads call it.
 *
 * In two halves: between them a block may do what needs nothing from the others. */
static __device__ __forceinline__ uint32_t device_grid_arrive(uint32_t *counter)
{
	uint32_t before = 0;
	__syncthreads();
	if (threadIdx.x == 0)
		before = ptx_add_release(counter,
					 blockIdx.x == 0 ? 0x80000000u - (gridDim.x - 1) : 1);
	return before;
}

/* before: what arriving gave. */
static __device__ __forceinline__ void device_grid_wait(uint32_t *counter, uint32_t before)
{
	if (threadIdx.x == 0) {
		while (((before ^ ptx_load_acquire(counter)) & 0x80000000u) == 0) {
		}
	}
	__syncthreads();
}

static __device__ __forceinline__ void device_grid_barrier(uint32_t *counter)
{
	device_grid_wait(counter, device_grid_arrive(counter));
}

#endif
