/* Stands in for CUDA's header of this name, so that the host compiler builds kernels/NAME.cu and the tests
 * run every kernel without a GPU: the part of the language and of the runtime that the kernels use.
 *
 * Threads of a block are fibers on one thread of the host; blocks run one after the other. A fiber runs
 * until it waits for others; which goes next is shuffled (with a fixed seed), so that a missing wait shows.
 * What a real GPU answers with silence or garbage is a launch failure here, with a sentence from
 * cudaGetErrorString:
 *   - __syncthreads that some threads reach elsewhere, or never;
 *   - a warp operation whose named lanes do not all arrive there with the same mask; a lane read that
 *     takes no part;
 *   - a write beyond shared memory or beyond an allocation (under ASan reads too: the process ends with
 *     a report).
 * Shared memory and allocations begin as 0xff bytes: NaN as a float. */
#ifndef EMULATOR_CUDA_RUNTIME_H
#define EMULATOR_CUDA_RUNTIME_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

/* ---- language ---- */

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)

struct dim3 {
	unsigned x, y, z;
	constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

struct alignas(8) uint2 {
	unsigned x, y;
};
struct alignas(8) float2 {
	float x, y;
};
struct alignas(16) uint4 {
	unsigned x, y, z, w;
};
struct alignas(16) int4 {
	int x, y, z, w;
};
struct alignas(16) float4 {
	float x, y, z, w;
};
static inline uint2 make_uint2(unsigned x, unsigned y) { return { x, y }; }
static inline float2 make_float2(float x, float y) { return { x, y }; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return { x, y, z, w }; }
static inline int4 make_int4(int x, int y, int z, int w) { return { x, y, z, w }; }
static inline float4 make_float4(float x, float y, float z, float w) { return { x, y, z, w }; }

/* Of the running fiber. */
extern dim3 gridDim, blockDim, blockIdx, threadIdx;

/* The block's memory of a declaration, the same for all its threads; name tells declarations apart. */
void *emulator_shared(const void *name, size_t bytes);
void *emulator_shared_dynamic();
#define SHARED(type, name, count)              \
	static const char name##_declared = 0; \
	type *const name = (type *)emulator_shared(&name##_declared, sizeof(type) * (count))
#define SHARED_DYNAMIC(type, name) type *const name = (type *)emulator_shared_dynamic()

static inline unsigned __float_as_uint(float f)
{
	unsigned bits;
	memcpy(&bits, &f, sizeof bits);
	return bits;
}

static inline float __uint_as_float(unsigned bits)
{
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

/* ---- waiting ---- */

struct emulator_site {
	const char *what, *file;
	int line;
};
#define EMULATOR_SITE(what) \
	emulator_site { what, __FILE__, __LINE__ }

void emulator_barrier(struct emulator_site site);
/* Wait for all lanes of mask; the last to come does the work of all, given what each of them brought, and
 * then all go on. */
typedef void emulator_work(void *const lane[32], unsigned mask);
void emulator_collective(struct emulator_site site, unsigned mask, void *mine, emulator_work *work);
unsigned emulator_lane();
[[noreturn]] void emulator_fault(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Or a fault: a multiple of bytes. */
void emulator_aligned(struct emulator_site site, const void *at, unsigned bytes);

#define __syncthreads() emulator_barrier(EMULATOR_SITE("__syncthreads"))

static inline void emulator_syncwarp(struct emulator_site site, unsigned mask = 0xffffffffu)
{
	emulator_collective(site, mask, nullptr, nullptr);
}
#define __syncwarp(...) emulator_syncwarp(EMULATOR_SITE("__syncwarp") __VA_OPT__(, ) __VA_ARGS__)

template <typename T> struct emulator_exchange {
	T value, result;
	unsigned from;
};

template <typename T>
static T emulator_lane_value(struct emulator_site site, unsigned mask, T value, unsigned from)
{
	static_assert(sizeof(T) <= 8, "wider values take two shuffles");
	struct emulator_exchange<T> mine = { value, value, from };
	if (!(mask >> from & 1))
		emulator_fault("%s at %s:%d: lane %u reads lane %u, which takes no part", site.what,
			       site.file, site.line, emulator_lane(), from);
	emulator_collective(site, mask, &mine, [](void *const lane[32], unsigned lanes) {
		for (unsigned i = 0; i < 32; i++) {
			struct emulator_exchange<T> *to = (struct emulator_exchange<T> *)lane[i];
			if (lanes >> i & 1)
				to->result = ((const struct emulator_exchange<T> *)lane[to->from])->value;
		}
	});
	return mine.result;
}

/* Within segments of `width` lanes; beyond a segment's end a lane keeps its own. */
template <typename T>
static T emulator_shfl(struct emulator_site site, unsigned mask, T value, int from, int width = 32)
{
	unsigned w = (unsigned)width, start = emulator_lane() & ~(w - 1);
	return emulator_lane_value(site, mask, value, start + ((unsigned)from & (w - 1)));
}
template <typename T>
static T emulator_shfl_xor(struct emulator_site site, unsigned mask, T value, int with, int width = 32)
{
	unsigned w = (unsigned)width, lane = emulator_lane(), from = lane ^ (unsigned)with;
	return emulator_lane_value(site, mask, value, from >= (lane & ~(w - 1)) + w ? lane : from);
}
template <typename T>
static T emulator_shfl_down(struct emulator_site site, unsigned mask, T value, unsigned by, int width = 32)
{
	unsigned w = (unsigned)width, lane = emulator_lane(), from = lane + by;
	return emulator_lane_value(site, mask, value, from >= (lane & ~(w - 1)) + w ? lane : from);
}
template <typename T>
static T emulator_shfl_up(struct emulator_site site, unsigned mask, T value, unsigned by, int width = 32)
{
	unsigned w = (unsigned)width, lane = emulator_lane(), place = lane & (w - 1);
	return emulator_lane_value(site, mask, value, place < by ? lane : lane - by);
}
#define __shfl_sync(...) emulator_shfl(EMULATOR_SITE("__shfl_sync"), __VA_ARGS__)
#define __shfl_xor_sync(...) emulator_shfl_xor(EMULATOR_SITE("__shfl_xor_sync"), __VA_ARGS__)
#define __shfl_down_sync(...) emulator_shfl_down(EMULATOR_SITE("__shfl_down_sync"), __VA_ARGS__)
#define __shfl_up_sync(...) emulator_shfl_up(EMULATOR_SITE("__shfl_up_sync"), __VA_ARGS__)

/* Lanes of mask whose value equals that of the caller. */
template <typename T> static unsigned emulator_match(struct emulator_site site, unsigned mask, T value)
{
	struct matched {
		T value;
		unsigned same;
	} mine = { value, 0 };
	emulator_collective(site, mask, &mine, [](void *const lane[32], unsigned lanes) {
		for (unsigned i = 0; i < 32; i++) {
			for (unsigned j = 0; j < 32 && (lanes >> i & 1); j++) {
				bool both = (lanes >> j & 1) && ((const struct matched *)lane[i])->value ==
									((const struct matched *)lane[j])->value;
				((struct matched *)lane[i])->same |= (unsigned)both << j;
			}
		}
	});
	return mine.same;
}
static inline unsigned emulator_ballot(struct emulator_site site, unsigned mask, bool value)
{
	struct voted {
		bool value;
		unsigned votes;
	} mine = { value, 0 };
	emulator_collective(site, mask, &mine, [](void *const lane[32], unsigned lanes) {
		unsigned votes = 0;
		for (unsigned i = 0; i < 32; i++)
			votes |= (unsigned)((lanes >> i & 1) && ((const struct voted *)lane[i])->value) << i;
		for (unsigned i = 0; i < 32; i++) {
			if (lanes >> i & 1)
				((struct voted *)lane[i])->votes = votes;
		}
	});
	return mine.votes;
}
#define __match_any_sync(...) emulator_match(EMULATOR_SITE("__match_any_sync"), __VA_ARGS__)
#define __ballot_sync(...) emulator_ballot(EMULATOR_SITE("__ballot_sync"), __VA_ARGS__)
#define __any_sync(...) (emulator_ballot(EMULATOR_SITE("__any_sync"), __VA_ARGS__) != 0)
#define __all_sync(mask, ...) (emulator_ballot(EMULATOR_SITE("__all_sync"), mask, __VA_ARGS__) == (mask))

template <typename T, typename F>
static T emulator_reduce(struct emulator_site site, unsigned mask, T value, F combine)
{
	static_assert(sizeof(T) == 4, "of 32-bit integers");
	struct part {
		T value;
		F *combine;
	} mine = { value, &combine };
	emulator_collective(site, mask, &mine, [](void *const lane[32], unsigned lanes) {
		unsigned first = (unsigned)__builtin_ctz(lanes);
		T sum = ((const struct part *)lane[first])->value;
		for (unsigned i = first + 1; i < 32; i++) {
			if (lanes >> i & 1)
				sum = (*((const struct part *)lane[i])->combine)(
					sum, ((const struct part *)lane[i])->value);
		}
		for (unsigned i = first; i < 32; i++) {
			if (lanes >> i & 1)
				((struct part *)lane[i])->value = sum;
		}
	});
	return mine.value;
}
#define EMULATOR_REDUCE(name, mask, value, expression) \
	emulator_reduce(EMULATOR_SITE(name), mask, value, [](auto a, auto b) { return expression; })
#define __reduce_max_sync(mask, value) EMULATOR_REDUCE("__reduce_max_sync", mask, value, a > b ? a : b)
#define __reduce_min_sync(mask, value) EMULATOR_REDUCE("__reduce_min_sync", mask, value, a < b ? a : b)
#define __reduce_add_sync(mask, value) \
	EMULATOR_REDUCE("__reduce_add_sync", mask, value, (decltype(a))(a + b))
#define __reduce_or_sync(mask, value) EMULATOR_REDUCE("__reduce_or_sync", mask, value, a | b)
#define __reduce_and_sync(mask, value) EMULATOR_REDUCE("__reduce_and_sync", mask, value, a & b)

/* ---- memory ---- */

static inline void __threadfence() {}
static inline void __threadfence_block() {}
#define EMULATOR_LOAD(name) \
	template <typename T> static T name(const T *at) { return *at; }
#define EMULATOR_STORE(name) \
	template <typename T> static void name(T *at, T value) { *at = value; }
EMULATOR_LOAD(__ldg)
EMULATOR_LOAD(__ldcg)
EMULATOR_LOAD(__ldca)
EMULATOR_LOAD(__ldcs)
EMULATOR_LOAD(__ldcv)
EMULATOR_STORE(__stcg)
EMULATOR_STORE(__stcs)
EMULATOR_STORE(__stwb)
EMULATOR_STORE(__stwt)

#define EMULATOR_ATOMIC(name, expression)                     \
	template <typename T> static T name(T *at, T value)   \
	{                                                     \
		T before = *at;                               \
		*at = (T)(expression);                        \
		return before;                                \
	}
EMULATOR_ATOMIC(atomicAdd, before + value)
EMULATOR_ATOMIC(atomicSub, before - value)
EMULATOR_ATOMIC(atomicMax, before > value ? before : value)
EMULATOR_ATOMIC(atomicMin, before < value ? before : value)
EMULATOR_ATOMIC(atomicOr, before | value)
EMULATOR_ATOMIC(atomicAnd, before & value)
EMULATOR_ATOMIC(atomicExch, value)
template <typename T> static T atomicCAS(T *at, T expected, T value)
{
	T before = *at;
	if (before == expected)
		*at = value;
	return before;
}

/* ---- arithmetic ---- */

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz((unsigned)x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selector)
{
	uint64_t both = (uint64_t)high << 32 | low;
	unsigned out = 0;
	for (unsigned i = 0; i < 4; i++) {
		unsigned which = selector >> 4 * i, byte = (unsigned)(both >> 8 * (which & 7)) & 0xff;
		if (which & 8) /* its sign, eight times */
			byte = byte & 0x80 ? 0xff : 0;
		out |= byte << 8 * i;
	}
	return out;
}
template <typename T> static T min(T a, T b) { return b < a ? b : a; }
template <typename T> static T max(T a, T b) { return a < b ? b : a; }

/* A real library on this machine is not for emulated memory: only one that is named is loaded. */
#define DEVICE_CUBLAS_NAMES "no-such-libcublas.so"

#include "tests/emulator/ptx.h"
#include "tests/emulator/warpgroup.h"
#include "tests/emulator/runtime.h"

#endif
