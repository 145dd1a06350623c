/* The operations of a device, each on a whole batch: the struct of its arguments, and one row in
 * the list of all.
 *
 * A new operation is a struct NAME_args and a row NAME here, and kernels/NAME.cu, which defines
 *
 *     extern "C" int NAME_cuda(void *stream, const struct NAME_args *a)
 *
 * (0, or CUDA's error number; cudaErrorInvalidValue for a shape that breaks what is written here).
 * The list makes of it an enumerator, a row of the library's table and the typed call
 * device_NAME. They are not those of struct kernels, which a thread calls for its part of a stage:
 * a device gets a stage at once. Addresses are of device memory but for those of the struct. */
#ifndef KERNELS_OPERATION_H
#define KERNELS_OPERATION_H

#include "kernels/kernels.h"

/* moe_gate of struct kernels for all tokens, with the same bits. Experts, top_k and groups as
 * struct kernel_gate says; gate.bias [experts] is device memory, NULL for SOFTMAX and for it alone.
 * A floor and an expert_scale are not available here.
 *   score  [tokens][experts] f32, in
 *   expert [tokens][top_k]   u16, out; best first
 *   weight [tokens][top_k]   f32, out */
struct moe_gate_args {
	struct kernel_gate gate;
	const float *score;
	uint32_t tokens;
	uint16_t *expert;
	float *weight;
};

#define DEVICE_OPERATIONS(row) row(moe_gate)

#define DEVICE_ENUMERATOR(name) DEVICE_##name,
enum device_operation { DEVICE_OPERATIONS(DEVICE_ENUMERATOR) DEVICE_OPERATION_COUNT };

#endif
