/* Private: instructions of compute capability 9.0a that device_ptx.h does not have: barriers in
 * shared memory, bulk copies that report to them, and the matrix products of warpgroups. Inline PTX
 * under nvcc, twins of tests/emulator for others; tests/gpu/parity_warpgroup.c holds them
 * against the figures of the PTX ISA. On other architectures what uses them is compiled to nothing
 * (WARPGROUP_HERE).
 *
 * Barriers ("Parallel synchronization: mbarrier"): 8 bytes of shared memory, aligned so. A phase is
 * over when as many arrivals have come as the barrier counts, and as many bytes as expected.
 *
 * ptx_barrier_init(uint64_t *barrier, uint32_t arrivals)
 *     By one thread. Then ptx_barrier_fence() in that thread, and a __syncthreads, before others
 *     use it. Phases begin with number 0.
 * ptx_barrier_arrive(uint64_t *barrier)
 *     What this thread has done is seen by who waits.
 * ptx_barrier_expect(uint64_t *barrier, uint32_t bytes)
 *     Arrive; the phase waits for so many bytes more.
 * ptx_barrier_wait(uint64_t *barrier, uint32_t parity)
 *     Until the phase of this parity is over: returns at once if the one under way has the other
 *     parity. A fresh barrier lets those pass that wait for parity 1.
 *
 * ptx_bulk_copy(void *shared, const void *global, uint32_t bytes, uint64_t *barrier)
 *     ("cp.async.bulk") Both ends 16-byte aligned, bytes a multiple of 16. When it has landed its
 *     bytes count for the barrier's phase; shared memory holds anything until then.
 *
 * Matrix products ("Asynchronous warpgroup-level matrix instructions"): all 128 threads of a
 * warpgroup (four warps, the first a multiple of four) come to each of these with the same
 * descriptors. g = lane / 4, t = lane % 4, w = warp % 4.
 *
 * ptx_wgmma<N>(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b)
 * ptx_wgmma_shared<N>(float (&d)[N / 2], uint64_t a, uint64_t b)
 *     d += a * b: a [64][16] bf16, b [16][N] bf16, d [64][N] f32; N 64, 128 or 256. Registers of a
 *     are those of ptx_mma_bf16 for the rows 16w to 16w + 15; so are those of d, for eight columns
 *     after the other: d[4j], d[4j + 1] row g, columns 8j + 2t and 8j + 2t + 1; d[4j + 2],
 *     d[4j + 3] row g + 8. b, and a in shared memory, are named by descriptors: a by its rows, b by
 *     its columns, each along K.
 * ptx_wgmma_fence()
 *     Before the first product, and again before the next one when registers of d or a were read
 *     or written otherwise; several into the same d need none between them.
 * ptx_wgmma_commit()
 * ptx_wgmma_wait<N>()
 *     As groups of copies: wait returns when all but the latest N committed groups are done. Until
 *     then nobody may touch d and a, nor change what descriptors name.
 * ptx_async_fence()
 *     What this thread has written to shared memory is seen by products that begin after it, and
 *     after a barrier. Bulk copies need none.
 *
 * ptx_registers_more<N>(), ptx_registers_less<N>()
 *     ("setmaxnreg") All warps of a warpgroup, once: from here on a thread has N registers, N a
 *     multiple of 8 from 24 to 240. The kernel is launched with as many as its launch bounds allow;
 *     more waits until others have less.
 *
 * uint64_t device_wgmma_matrix(const void *shared, uint32_t leading, uint32_t stride, swizzle)
 *     ("Matrix descriptor") Rows of K in core matrices of 8 rows and 16 bytes. WARPGROUP_PLAIN: a
 *     core matrix is 128 bytes, one row after the other; `leading` bytes from one to the next in K,
 *     `stride` to the next eight rows. WARPGROUP_SWIZZLE: eight rows of 128 bytes are one piece of
 *     1,024, aligned so; 16 bytes number i of row r lie at i ^ r; `stride` to the next eight rows,
 *     leading is not used. Both multiples of 16, as is the address. */
#ifndef KERNELS_DEVICE_WARPGROUP_H
#define KERNELS_DEVICE_WARPGROUP_H

#include "kernels/device_kernel.h"

#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define WARPGROUP_HERE 1
#else
#define WARPGROUP_HERE 0
#endif

#define WARPGROUP 128 /* threads */

enum warpgroup_layout { WARPGROUP_PLAIN = 0, WARPGROUP_SWIZZLE = 1 };

#if defined(__CUDACC__) && WARPGROUP_HERE

PTX void ptx_barrier_init(uint64_t *barrier, uint32_t arrivals)
{
	asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(ptx_shared_address(barrier)),
		     "r"(arrivals)
		     : "memory");
}

PTX void ptx_barrier_fence(void)
{
	asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

PTX void ptx_barrier_arrive(uint64_t *barrier)
{
	asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(ptx_shared_address(barrier))
		     : "memory");
}

PTX void ptx_barrier_expect(uint64_t *barrier, uint32_t bytes)
{
	asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
			     ptx_shared_address(barrier)),
		     "r"(bytes)
		     : "memory");
}

PTX void ptx_barrier_wait(uint64_t *barrier, uint32_t parity)
{
	uint32_t over;
	do {
		asm volatile("{ .reg .pred p;\n"
			     "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
			     "selp.u32 %0, 1, 0, p; }"
			     : "=r"(over)
			     : "r"(ptx_shared_address(barrier)), "r"(parity)
			     : "memory");
	} while (!over);
}

PTX void ptx_bulk_copy(void *shared, const void *global, uint32_t bytes, uint64_t *barrier)
{
	asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
		     "[%0], [%1], %2, [%3];" ::"r"(ptx_shared_address(shared)),
		     "l"(__cvta_generic_to_global(global)), "r"(bytes),
		     "r"(ptx_shared_address(barrier))
		     : "memory");
}

PTX void ptx_async_fence(void) { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

template <int registers> PTX void ptx_registers_more(void)
{
	asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}

template <int registers> PTX void ptx_registers_less(void)
{
	asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}

PTX void ptx_wgmma_fence(void) { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
PTX void ptx_wgmma_commit(void) { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

template <int groups> PTX void ptx_wgmma_wait(void)
{
	asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(groups) : "memory");
}

/* clang-format off */
#define WGMMA_D4(i) "+f"(d[i]), "+f"(d[(i) + 1]), "+f"(d[(i) + 2]), "+f"(d[(i) + 3])
#define WGMMA_D16(i) WGMMA_D4(i), WGMMA_D4((i) + 4), WGMMA_D4((i) + 8), WGMMA_D4((i) + 12)
#define WGMMA_D32(i) WGMMA_D16(i), WGMMA_D16((i) + 16)
#define WGMMA_D64(i) WGMMA_D32(i), WGMMA_D32((i) + 32)
#define WGMMA_R32 \
	"%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15," \
	"%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31"
#define WGMMA_R64 \
	WGMMA_R32 "," \
	"%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47," \
	"%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63"
#define WGMMA_R128 \
	WGMMA_R64 "," \
	"%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79," \
	"%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95," \
	"%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111," \
	"%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127"

#define WGMMA(n, last) \
	"wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {" last

template <uint32_t n> PTX void ptx_wgmma(float (&d)[n / 2], const uint32_t (&a)[4], uint64_t b)
{
	if constexpr (n == 64)
		asm volatile(WGMMA(64, WGMMA_R32) "}, {%32,%33,%34,%35}, %36, 1, 1, 1, 0;"
			     : WGMMA_D32(0) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
	else if constexpr (n == 128)
		asm volatile(WGMMA(128, WGMMA_R64) "}, {%64,%65,%66,%67}, %68, 1, 1, 1, 0;"
			     : WGMMA_D64(0) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
	else
		asm volatile(WGMMA(256, WGMMA_R128) "}, {%128,%129,%130,%131}, %132, 1, 1, 1, 0;"
			     : WGMMA_D64(0), WGMMA_D64(64)
			     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

template <uint32_t n> PTX void ptx_wgmma_shared(float (&d)[n / 2], uint64_t a, uint64_t b)
{
	if constexpr (n == 64)
		asm volatile(WGMMA(64, WGMMA_R32) "}, %32, %33, 1, 1, 1, 0, 0;"
			     : WGMMA_D32(0) : "l"(a), "l"(b));
	else if constexpr (n == 128)
		asm volatile(WGMMA(128, WGMMA_R64) "}, %64, %65, 1, 1, 1, 0, 0;"
			     : WGMMA_D64(0) : "l"(a), "l"(b));
	else
		asm volatile(WGMMA(256, WGMMA_R128) "}, %128, %129, 1, 1, 1, 0, 0;"
			     : WGMMA_D64(0), WGMMA_D64(64) : "l"(a), "l"(b));
}
/* clang-format on */

#endif /* else: tests/emulator/warpgroup.h, by way of its cuda_runtime.h */

#if WARPGROUP_HERE
static __device__ __forceinline__ uint64_t device_wgmma_matrix(const void *shared, uint32_t leading,
							       uint32_t stride,
							       enum warpgroup_layout layout)
{
	return (uint64_t)(ptx_shared_address(shared) >> 4 & 0x3fff) | (uint64_t)leading >> 4 << 16 |
	       (uint64_t)stride >> 4 << 32 | (uint64_t)layout << 62;
}
#endif

#endif
