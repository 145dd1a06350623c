/* Private: a list of operations as one kernel runs it (step.cu), and who makes such lists
 * (device_steps.cu). */
#ifndef KERNELS_DEVICE_STEP_H
#define KERNELS_DEVICE_STEP_H

#include "kernels/device_kernel.h"

#define STEP_ARGS 448 /* bytes that an operation's arguments have at most */

/* One operation. */
struct alignas(16) step_record {
	unsigned char args[STEP_ARGS];
	uint32_t operation, unused[3];
};

/* In device memory, but for the struct itself. */
struct step_list {
	const struct step_record *record; /* [count] */
	const struct device_batch *batch; /* that all of them name */
	uint32_t *barrier;                /* device_grid_barrier's */
	uint32_t count;
};

/* Two kernels run lists: one has the attention of latents, the other that of keys and values. */
bool step_is_latent(const struct step_record &r);
/* Whether such a kernel runs an operation (record: host memory). cudaErrorInvalidValue: it breaks
 * its rules; cudaErrorNotSupported: it needs more registers or shared memory than there are. */
int step_takes(const struct step_record &r, bool latent);
/* What a launch of these records takes, which it runs. cudaErrorNotSupported: on this device it
 * does not. */
int step_plan(const struct step_record *record, uint32_t count, bool latent, uint32_t *blocks,
	      size_t *shared);
int step_launch(cudaStream_t stream, const struct step_list &list, bool latent, uint32_t blocks,
		size_t shared);

#endif
