/* The machine's peaks. The loops are written in assembly, so that every compiler measures the same
 * thing: forty-eight independent multiplies on registers alone. */
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* Twelve chains; sources are registers 14 and 15, all zero. With `add` the product goes to register
 * 13 first. */
#define FUSED(op, r) op " %%" r "15,%%" r "14,%%" r
#define CHAIN_FUSED(op, r) \
	FUSED(op, r) "0\n" FUSED(op, r) "1\n" FUSED(op, r) "2\n" FUSED(op, r) "3\n" \
	FUSED(op, r) "4\n" FUSED(op, r) "5\n" FUSED(op, r) "6\n" FUSED(op, r) "7\n" \
	FUSED(op, r) "8\n" FUSED(op, r) "9\n" FUSED(op, r) "10\n" FUSED(op, r) "11\n"
#define PAIR(op, add, r, n) \
	op " %%" r "15,%%" r "14,%%" r "13\n" add " %%" r "13,%%" r n ",%%" r n "\n"
#define CHAIN_PAIR(op, add, r) \
	PAIR(op, add, r, "0") PAIR(op, add, r, "1") PAIR(op, add, r, "2") PAIR(op, add, r, "3") \
	PAIR(op, add, r, "4") PAIR(op, add, r, "5") PAIR(op, add, r, "6") PAIR(op, add, r, "7") \
	PAIR(op, add, r, "8") PAIR(op, add, r, "9") PAIR(op, add, r, "10") PAIR(op, add, r, "11")
#define MULTIPLIES 48
#define REGISTERS                                                                              \
	"xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
		"xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc"
#define LOOP(chain)                                                                            \
	__asm__ volatile("vzeroall\n.p2align 5\n1:\n" chain chain chain chain "dec %0\njnz 1b\n" \
			 "vzeroupper"                                                          \
			 : "+r"(rounds)                                                        \
			 :                                                                     \
			 : REGISTERS)

static void plain_run(uint64_t rounds)
{
	float sum[8] = { 0 };
	volatile float one = 1;
	float w = one;
	for (; rounds > 0; rounds--) {
		for (int i = 0; i < MULTIPLIES; i++)
			sum[i % 8] = fmaf(w, w, sum[i % 8]);
		__asm__ volatile("" : "+m"(sum));
	}
}

static void fma_256(uint64_t rounds) { LOOP(CHAIN_FUSED("vfmadd231ps", "ymm")); }
static void fma_512(uint64_t rounds) { LOOP(CHAIN_FUSED("vfmadd231ps", "zmm")); }
static void dot_256(uint64_t rounds) { LOOP(CHAIN_FUSED("%{vex%} vpdpbusd", "ymm")); }
static void dot_512(uint64_t rounds) { LOOP(CHAIN_FUSED("vpdpbusd", "zmm")); }
static void bf16_512(uint64_t rounds) { LOOP(CHAIN_FUSED("vdpbf16ps", "zmm")); }
static void madd_256(uint64_t rounds) { LOOP(CHAIN_PAIR("vpmaddwd", "vpaddd", "ymm")); }
static void madd_512(uint64_t rounds) { LOOP(CHAIN_PAIR("vpmaddwd", "vpaddd", "zmm")); }
static void maddubs_256(uint64_t rounds) { LOOP(CHAIN_PAIR("vpmaddubsw", "vpaddw", "ymm")); }
static void maddubs_512(uint64_t rounds) { LOOP(CHAIN_PAIR("vpmaddubsw", "vpaddw", "zmm")); }

struct loop {
	void (*run)(uint64_t rounds);
	unsigned operations; /* of one multiply */
};

/* In the order f32 inputs, bf16, q8, q4. */
static const struct {
	const char *set;
	struct loop other, bf16, q8, q4;
} loops[] = {
	{ "plain", { plain_run, 2 }, { plain_run, 2 }, { plain_run, 2 }, { plain_run, 2 } },
	{ "avx2", { fma_256, 16 }, { fma_256, 16 }, { madd_256, 32 }, { maddubs_256, 64 } },
	{ "avxvnni", { fma_256, 16 }, { fma_256, 16 }, { dot_256, 64 }, { dot_256, 64 } },
	{ "avx512", { fma_512, 32 }, { fma_512, 32 }, { madd_512, 64 }, { maddubs_512, 128 } },
	{ "vnni", { fma_512, 32 }, { fma_512, 32 }, { dot_512, 128 }, { dot_512, 128 } },
	{ "bf16", { fma_512, 32 }, { bf16_512, 64 }, { dot_512, 128 }, { dot_512, 128 } },
};

static struct loop loop_of(const struct kernels *k, enum kernel_format f)
{
	const char *name = strncmp(k->name, "int8-", 5) == 0 ? k->name + 5 : k->name;
	size_t i = sizeof loops / sizeof *loops - 1;
	while (i > 0 && strcmp(loops[i].set, name) != 0)
		i--;
	return f == KERNEL_Q8	   ? loops[i].q8
	       : k->quantised[f]   ? loops[i].q4
	       : f == KERNEL_BF16 ? loops[i].bf16
				  : loops[i].other;
}

static double seconds_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double kernels_peak(const struct kernels *k, enum kernel_format f, double seconds)
{
	const uint64_t rounds = 4096;
	struct loop loop = loop_of(k, f);
	double begin = seconds_now(), from = begin, best = 0;
	do { /* the best of many short runs: other programs use the machine too */
		loop.run(rounds);
		double now = seconds_now();
		double rate = (double)(rounds * MULTIPLIES * loop.operations) / (now - from);
		best = rate > best ? rate : best;
		from = now;
	} while (from - begin < seconds);
	return best;
}

#define LINE 64
#define STREAMS 8
#define AHEAD 2048

/* Read `streams` places in turn. One load brings a whole cache line; more would only keep the core
 * busy. Always inlined: the loop is unrolled only where the number of streams is known. */
static inline __attribute__((always_inline)) uint64_t
read_streams(const unsigned char *p, size_t len, size_t streams)
{
	size_t stream = len / (streams * LINE) * LINE;
	uint64_t sum = 0, v;
	for (size_t i = 0; i < stream; i += LINE) {
		for (size_t s = 0; s < streams; s++) {
			const unsigned char *line = p + s * stream + i;
			__builtin_prefetch(line + AHEAD, 0, 2);
			memcpy(&v, line, sizeof v);
			sum ^= v;
		}
	}
	for (size_t done = streams * stream; done + sizeof v <= len; done += LINE) {
		memcpy(&v, p + done, sizeof v);
		sum ^= v;
	}
	return sum;
}

uint64_t kernels_read(const void *at, size_t len, bool streams)
{
	return streams ? read_streams(at, len, STREAMS) : read_streams(at, len, 1);
}
