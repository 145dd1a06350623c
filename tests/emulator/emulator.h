/* Shared by the files of the emulator, not by kernels: fibers.cu runs the threads of a launch, ptx.cu
 * does what device_ptx.h asks for, warpgroup.cu what device_warpgroup.h does, races.cu runs a
 * launch in opposite orders, emulator.cu is the runtime. */
#ifndef EMULATOR_H
#define EMULATOR_H

#include "tests/emulator/cuda_runtime.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes)
#define __sanitizer_start_switch_fiber(save, bottom, bytes)
#define __sanitizer_finish_switch_fiber(fake, bottom, bytes)
#endif

#define EMULATOR_FIBERS 8192               /* of all blocks that run at once */
#define EMULATOR_BLOCK_THREADS 1024        /* the machine's limit */
#define EMULATOR_SHARED_DEFAULT (48u << 10) /* what a block gets without asking for more */
#define EMULATOR_SHARED_MOST (227u << 10)
#define EMULATOR_GUARD_BYTES 64
#define EMULATOR_GUARD 0xd7

/* ---- threads: fibers.cu ---- */

struct emulator_copy {
	void *to;
	const void *from; /* nullptr: zeros */
	unsigned group;
};

/* Asynchronous copies of the running thread, in the order in which they began. */
struct emulator_copies {
	std::vector<struct emulator_copy> begun;
	unsigned group; /* that a commit will close */
};
struct emulator_copies *emulator_begun();

/* Or a fault: bytes of the block's shared memory, at a multiple of their number or of what is given. */
void emulator_in_shared(struct emulator_site site, const void *at, unsigned bytes, unsigned aligned = 0);
unsigned emulator_thread(); /* of the block */

/* ---- barriers in shared memory, products of warpgroups: warpgroup.cu ---- */

struct emulator_bulk {
	void *to;
	const void *from;
	uint32_t bytes;
};

/* A barrier, and the phase that is under way. */
struct emulator_phase {
	unsigned arrivals, pending, number;
	long bytes; /* expected, less those that came */
	std::vector<struct emulator_bulk> copies;
};

/* Of a block. */
struct emulator_async {
	std::map<const uint64_t *, struct emulator_phase> barrier;
	std::vector<unsigned char> view; /* shared memory as products see it */
};
struct emulator_async *emulator_async_here();
char *emulator_arena(); /* where address 0 of the block's shared memory is */

/* Is the phase of this parity over? Land what was copied for it; false: nothing was. */
bool emulator_phase_over(const struct emulator_phase *b, unsigned parity);
bool emulator_phase_land(struct emulator_phase *b);
void emulator_wait_phase(struct emulator_site site, struct emulator_phase *b, unsigned parity);
/* Until nobody else can go on. */
void emulator_wait_late(struct emulator_site site);

/* A product that this thread has begun: its registers, and what d will hold. */
struct emulator_product {
	float *d;
	const uint32_t *a; /* NULL: in shared memory */
	uint32_t a_was[4];
	std::vector<float> sum;
	unsigned group;
	std::function<bool()> changed; /* by another thread, what it reads; one lane asks */
};
struct emulator_products {
	std::vector<struct emulator_product> begun; /* in order */
	unsigned group, count;                      /* group: that a commit will close */
	uint64_t digest;                            /* of the descriptors */
	bool fenced;
};
struct emulator_products *emulator_products_begun(); /* of the running thread */

enum emulator_order {
	EMULATOR_SHUFFLED,
	EMULATOR_ASCENDING,  /* blocks, warps and lanes */
	EMULATOR_DESCENDING, /* warps and lanes; blocks ascend */
	EMULATOR_BLOCKS_DESCENDING
};

struct emulator_kernel {
	std::string name;
	dim3 grid, block;
	size_t dynamic_bytes, shared_most; /* shared_most: of static and dynamic together */
	bool cooperative, programmatic;
	std::function<void()> thread;
};

/* Called when all threads of a block have come to a barrier (site) or have returned (site.what NULL), with
 * the block's number and its shared memory; false ends the launch. */
struct emulator_watch {
	bool (*barrier)(struct emulator_watch *self, size_t block, struct emulator_site site);
};

/* Run it whole. False: it failed, and emulator_why says why. */
bool emulator_run(const struct emulator_kernel &kernel, enum emulator_order order,
		  struct emulator_watch *watch);

/* Within a watch: each piece of the block's shared memory. */
void emulator_shared_each(const std::function<void(const unsigned char *at, size_t bytes)> &see);

/* The last failure, in words. */
void emulator_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *emulator_why();

/* ---- races.cu ---- */

/* Run it three times in different orders; false also if they do not end alike. */
bool emulator_run_races(const struct emulator_kernel &kernel);

/* ---- device memory: emulator.cu ---- */

struct emulator_allocation {
	char *block; /* guard, bytes, guard; under ASan the bytes alone, which it guards itself */
	size_t bytes;
	int device;
};
#ifdef __SANITIZE_ADDRESS__
#define EMULATOR_GUARDS 0
#else
#define EMULATOR_GUARDS EMULATOR_GUARD_BYTES
#endif
const std::map<const char *, struct emulator_allocation> &emulator_allocations();

#endif
