/* Private: what the files of the library's table have from one another. */
#ifndef KERNELS_DEVICE_RUNTIME_H
#define KERNELS_DEVICE_RUNTIME_H

#include "kernels/device_kernel.h"

extern const struct device_row device_operations[]; /* [DEVICE_OPERATION_COUNT] */
cudaStream_t device_stream_of(void *stream);

/* device_steps.cu, for the table. */
int device_steps_make(void *stream, const struct device_step *step, uint32_t count,
		      enum device_steps_way way, void **out);
int device_steps_go(void *stream, void *steps);
int device_steps_end(void *steps);

#endif
