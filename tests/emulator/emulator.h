/* Shared by the files of the emulator, not by kernels. */
#ifndef EMULATOR_H
#define EMULATOR_H

#include "tests/emulator/cuda_runtime.h"

#include <vector>

/* Wait for all 32 lanes; the last to come runs work with what each of them brought, before any goes on. */
void emulator_collective(struct emulator_site site, void *mine, void (*work)(void *const lane[32]));

/* Or a fault: bytes of the block's shared memory, at a multiple of their number. */
void emulator_in_shared(struct emulator_site site, const void *at, unsigned bytes);

struct emulator_copy {
	void *to;
	const void *from; /* nullptr: zeros */
	unsigned group;
};

/* Of the running thread, in the order in which they began. */
struct emulator_copies {
	std::vector<struct emulator_copy> begun;
	unsigned group; /* that a commit will close */
};
struct emulator_copies *emulator_begun();

#endif
