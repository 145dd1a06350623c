/* Private: what libhallmark_cuda.so offers to device.c: one exported function, which answers this
 * table. Results are 0 or error numbers of the library, which why() puts in words. */
#ifndef KERNELS_DEVICE_TABLE_H
#define KERNELS_DEVICE_TABLE_H

#include "kernels/device.h"

#define DEVICE_TABLE_VERSION 13 /* raise with every change of this file or of operation.h */
#define DEVICE_TABLE_SYMBOL "hallmark_cuda"

enum device_way { DEVICE_UP, DEVICE_DOWN, DEVICE_WITHIN };

/* One operation. args: its struct NAME_args. */
struct device_row {
	const char *name;
	int (*run)(void *stream, const void *args);
	size_t args_bytes;
};

struct device_table {
	uint32_t version;
	/* Compute capabilities that the library has code for, 10 * major + minor, 0 behind the last.
	 * Code runs on those of the same major and no lower minor number. */
	const uint32_t *capability;
	/* the error numbers that mean it */
	int out_of_memory, invalid, unsupported, old_driver;
	const struct device_row *operation; /* [operations], by enum device_operation */
	uint32_t operations;

	const char *(*why)(int error);
	bool (*lost)(int error); /* the device answers no more */
	int (*open)(uint32_t which, struct device_facts *out);
	int (*enter)(uint32_t which); /* what follows in this thread is of that GPU */
	int (*memory)(uint64_t *bytes);
	int (*pinned)(void **out, size_t bytes);
	int (*pinned_free)(void *at);
	int (*alloc)(void **out, size_t bytes);
	int (*free)(void *at);
	int (*stream_open)(void **out);
	int (*stream_close)(void *stream);
	int (*wait)(void *stream);
	int (*copy)(void *stream, enum device_way way, void *to, const void *from, size_t bytes);
	int (*fill)(void *stream, void *to, uint8_t byte, size_t bytes);
	int (*clock_start)(void *stream);
	int (*clock_stop)(void *stream, double *us);
	int (*probe)(void *stream, const struct device_probe *p);
	int (*steps_open)(void *stream, const struct device_step *step, uint32_t count,
			  enum device_steps_way way, void **out);
	int (*steps_run)(void *stream, void *steps);
	int (*steps_close)(void *steps);
	bool (*dense_version)(char *out, size_t room); /* false: no cuBLAS, out is empty */
	int (*dense_open)(void *stream);
};

typedef const struct device_table *device_table_function(void);

#endif
