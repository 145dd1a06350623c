/* Questions to a device about its own instructions, those of kernels/device_ptx.h: which lane holds
 * which number, when a copy has landed, whether blocks meet. tests/gpu/parity_probe.c has the
 * answers, as PTX's tables give them; the host emulator answers to the same. No operation of a pass
 * asks. */
#ifndef KERNELS_DEVICE_PROBE_H
#define KERNELS_DEVICE_PROBE_H

#include <stdint.h>

/* in and out are device memory, of `count` times the struct that is named. */
enum device_probe_kind {
	DEVICE_PROBE_MMA,      /* device_probe_mma -> float d[32][4] */
	DEVICE_PROBE_LDMATRIX, /* device_probe_ldmatrix -> uint32_t r[32][4], of those loaded */
	DEVICE_PROBE_COPY,     /* device_probe_copy -> the same, both halves reversed by threads */
	DEVICE_PROBE_NUMBERS,  /* device_probe_numbers -> the same */
	/* no in; blocks that meet DEVICE_PROBE_ROUNDS times, with a number of their own each time:
	 * uint32_t counter, 0 before; number[count]; then sum[count][ROUNDS] over all blocks */
	DEVICE_PROBE_GRID,
	DEVICE_PROBE_WGMMA, /* device_probe_wgmma -> float d[128][128]; compute capability 9.0 */
};

#define DEVICE_PROBE_THREADS 64 /* of PROBE_COPY */
#define DEVICE_PROBE_ROUNDS 9
#define DEVICE_PROBE_MEMORY 40960 /* of PROBE_WGMMA */

/* One warp's registers. */
struct device_probe_mma {
	uint32_t a[32][4], b[32][2];
	float d[32][4];
};

/* r[m] is loaded from row[lane], numbered in the memory. */
struct device_probe_ldmatrix {
	uint32_t matrices; /* 1, 2, 4 */
	uint32_t transposed;
	uint32_t row[32];
	uint32_t pad[2];
	uint16_t memory[64][8];
};

/* Two groups of copies, each thread's 16 bytes of each; whole 0: zeros instead. */
struct device_probe_copy {
	uint32_t part[2][DEVICE_PROBE_THREADS][4];
	uint32_t whole[2][DEVICE_PROBE_THREADS];
};

struct device_probe_numbers {
	float low, high; /* in */
	uint32_t pair;   /* ptx_bf16_pair of them */
	float back[2];   /* its two halves */
	uint32_t add; /* in: added to what `sum` holds, by release, then by acquire and release */
	uint32_t sum; /* in and out */
	uint32_t before;   /* that the second add saw */
	uint32_t streamed; /* this entry's first word, by ptx_load_stream16 */
	uint32_t pad[3];
};

/* A product of a warpgroup, done twice into the same d: d [64][n] in each thread's registers, a in
 * registers or, as b, in shared memory: this image of it. */
struct device_probe_wgmma {
	uint32_t n;        /* 64, 128, 256 */
	uint32_t layout;   /* enum warpgroup_layout */
	uint32_t a_shared; /* else a in registers */
	uint32_t stored;   /* the image comes by stores of all threads; else by two bulk copies */
	uint32_t a_at, a_leading, a_stride, b_at, b_leading, b_stride; /* bytes */
	uint32_t pad[2];
	uint32_t a[128][4];
	float d[128][128]; /* of each thread the first n / 2 */
	unsigned char memory[DEVICE_PROBE_MEMORY];
};

struct device_probe {
	enum device_probe_kind kind;
	uint32_t count;
	const void *in;
	void *out;
};

#endif
