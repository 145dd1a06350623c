/* Device form of the gate of an attention's output (answer_row of engine/cpu_attn.c is the truth).
 * Bound:   memory.
 * Bytes:   rows*gates*each*4 read and written, rows*gates*4 read.
 * Launch:  grid rows * ceil(gates*each / 1024), block 256; 4 numbers a thread.
 * Order:   each number is its own: the bits of the truth.
 * Limits:  registers 40, threads 256, local 0
 * Shared:  none.
 * Blocks:  6 blocks a multiprocessor. */
#include "kernels/device_kernel.h"

#define GATE_VALUE_EACH (4 * DEVICE_THREADS) /* numbers of an item */

static __host__ __device__ __forceinline__ uint32_t
gate_value_items(const struct gate_value_args &a)
{
	return (a.gates * a.each + GATE_VALUE_EACH - 1) / GATE_VALUE_EACH;
}

static __device__ void gate_value_block(const struct gate_value_args &a, unsigned char *)
{
	uint32_t width = a.gates * a.each, parts = gate_value_items(a);
	uint32_t items = a.batch->rows * parts;
	for (uint32_t item = blockIdx.x; item < items; item += gridDim.x) {
		uint32_t row = item / parts, from = item % parts * GATE_VALUE_EACH + threadIdx.x;
		float *value = a.value + (size_t)row * width;
#pragma unroll
		for (uint32_t step = 0; step < 4; step++) {
			uint32_t i = from + step * DEVICE_THREADS;
			if (i >= width)
				break;
			float v = value[i] * a.scale;
			if (a.gate != nullptr) {
				float gate = a.gate[(size_t)row * a.gates + i / a.each];
				v *= 1.0f / (1.0f + device_exp(0.0f - gate));
			}
			value[i] = v;
		}
	}
}

static size_t gate_value_shared(const struct gate_value_args &) { return 0; }

static bool gate_value_valid(const struct gate_value_args &a)
{
	return a.gates > 0 && a.each > 0 && (uint64_t)a.gates * a.each < 1u << 24 &&
	       (uint64_t)a.rows_most * gate_value_items(a) < 1u << 31;
}

#ifndef DEVICE_STEP
static uint32_t gate_value_blocks(const struct gate_value_args &a)
{
	return a.rows_most * gate_value_items(a);
}
DEVICE_LAUNCH(gate_value)
#endif
