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
 * a device gets a stage at once. Addresses are of device memory but for those of the structs
 * themselves, which hold nothing that changes from pass to pass: what does is in the batch, so a
 * list of operations is made once and run for every pass of its size.
 *
 * Bits (regime "cuda/1"): a row's results depend on that row and, in attention, on the rows before
 * it in its sequence alone; not on how many rows there are, on how many blocks run, or on which of
 * them comes first. */
#ifndef KERNELS_OPERATION_H
#define KERNELS_OPERATION_H

#include "kernels/operation_attend.h"
#include "kernels/operation_draw.h"
#include "kernels/operation_product.h"
#include "kernels/operation_rows.h"

/* Those that one kernel of a whole list has (kernels/step.cu), and one that the host begins. */
#define DEVICE_STEP_OPERATIONS(row)                                                  \
	row(close_rows) row(norm_rows) row(gate_value) row(moe_gate) row(sort_slots) \
		row(gqa_place) row(mla_place) row(attend) row(product) row(draw_ids)
#define DEVICE_OPERATIONS(row) DEVICE_STEP_OPERATIONS(row) row(product_dense)

#define DEVICE_ENUMERATOR(name) DEVICE_##name,
enum device_operation { DEVICE_OPERATIONS(DEVICE_ENUMERATOR) DEVICE_OPERATION_COUNT };

#endif
