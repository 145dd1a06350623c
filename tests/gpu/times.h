/* Times of a device's operations, for tests/gpu/check.c. */
#ifndef TESTS_GPU_TIMES_H
#define TESTS_GPU_TIMES_H

#include "kernels/device.h"

struct times {
	struct device *device;
	struct device_stream *stream;
	bool small;     /* shapes for the emulator */
	double ceiling; /* bytes a second */
};

/* Measure the ceiling, then print a line for each shape. An error ends the process with a sentence. */
void times_all(struct times *t);

#endif
