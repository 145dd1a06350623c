/* Times of a device's operations, for tests/gpu/check.c. Each prints JSON documents, one a line; an error of
 * the device ends the process with a sentence. */
#ifndef TESTS_GPU_TIMES_H
#define TESTS_GPU_TIMES_H

#include "kernels/device.h"

struct times {
	struct device *device;
	struct device_stream *stream;
	bool small;     /* shapes for the emulator */
	double ceiling; /* bytes a second; 0: unknown */
};

void times_must(int rc, const struct err *e); /* ends the process where rc < 0 */
void times_copy(struct times *t);             /* the rate of a large copy within the device's memory */
void times_cublas(struct times *t);           /* of bf16 products, where cuBLAS can be loaded */
void times_all(struct times *t);              /* of single operations */

#endif
