/* The GPU: memory, streams and operations, reached through libhallmark_cuda.so. The library is
 * opened at run time, so one program runs with and without a GPU.
 *
 * Work is asynchronous: calls on one stream are executed in order, and are done when device_wait
 * returns. An error of earlier work may be reported by a later call. Operations are of a whole
 * batch (kernels/operation.h) and take addresses of device memory, which the CPU must not read. One
 * thread at a time may use a stream; threads may share a device. */
#ifndef KERNELS_DEVICE_H
#define KERNELS_DEVICE_H

#include "base/err.h"
#include "kernels/device_probe.h"
#include "kernels/operation.h"

#include <stddef.h>
#include <stdint.h>

struct device;
struct device_stream;

struct device_facts {
	char name[256];           /* "NVIDIA H200" */
	uint32_t index;           /* its number, from 0 */
	uint32_t capability;      /* compute capability, 10 * major + minor: 90 */
	uint32_t multiprocessors; /* streaming multiprocessors */
	uint64_t memory_bytes;
	uint64_t shared_bytes, l2_bytes; /* that one block may have; the second cache */
	uint32_t driver, runtime;        /* CUDA versions, 1000 * major + 10 * minor: 13000 */
};

/* Open GPU `which`, from 0. library: a path; with NULL what HALLMARK_CUDA names, else
 * libhallmark_cuda.so beside the program or in ../lib of there. ERR_NOTFOUND "no device found" when
 * the library or the GPU is missing, ERR_UNSUPPORTED for a GPU or a library of another kind. */
int device_open_at(struct device **out, const char *library, uint32_t which,
		   struct err *e) MUST_USE;
static inline int MUST_USE device_open(struct device **out, const char *library, struct err *e)
{
	return device_open_at(out, library, 0, e);
}
/* A library was named, or this machine has the driver of a GPU: worth trying. */
bool device_expected(void);
void device_close(struct device *d); /* after its streams and buffers; NULL is fine */
const struct device_facts *device_info(const struct device *d);
/* 0, or ERR_UNSUPPORTED for an operation that the library lacks. Ask for all that a model needs
 * before its weights are read. */
int device_supports(const struct device *d, const char *operation, struct err *e) MUST_USE;

/* ---- memory ---- */

struct device_buffer {
	struct device *device;
	void *at; /* in device memory, 256-byte aligned; arithmetic is fine, reading is not */
	size_t bytes;
};

/* bytes > 0, undefined until written. ERR_NOMEM names the size. Free with device_free, which also
 * takes a zeroed struct and waits for work that uses the memory. */
int device_alloc(struct device *d, size_t bytes, struct device_buffer *out, struct err *e) MUST_USE;
void device_free(struct device_buffer *b);
/* Bytes that the device could give now; more than device_alloc may find in one piece. */
int device_memory(const struct device *d, uint64_t *bytes, struct err *e) MUST_USE;
/* Host memory that the device reaches by itself: copies of it are at full speed, and do not wait
 * for one another. bytes > 0; ERR_NOMEM. */
int device_pinned(struct device *d, size_t bytes, void **out, struct err *e) MUST_USE;
void device_pinned_free(struct device *d, void *at); /* waits; NULL is fine */

/* ---- streams ---- */

int device_stream_open(struct device *d, struct device_stream **out, struct err *e) MUST_USE;
void device_stream_close(struct device_stream *s); /* waits; NULL is fine */
/* Wait until all work given to s so far is done. */
int device_wait(struct device_stream *s, struct err *e) MUST_USE;

/* Copies: ranges outside a buffer are a broken invariant. Host memory must stay as it is until
 * device_wait. */
int device_upload(struct device_stream *s, const struct device_buffer *to, size_t offset,
		  const void *from, size_t bytes, struct err *e) MUST_USE;
int device_download(struct device_stream *s, void *to, const struct device_buffer *from,
		    size_t offset, size_t bytes, struct err *e) MUST_USE;
/* Between buffers, `bytes` from the start of each. */
int device_copy(struct device_stream *s, const struct device_buffer *to,
		const struct device_buffer *from, size_t bytes, struct err *e) MUST_USE;
/* Every byte of the buffer. */
int device_fill(struct device_stream *s, const struct device_buffer *to, uint8_t byte,
		struct err *e) MUST_USE;

/* Device time between the two calls' places in the stream; stop waits. */
int device_clock_start(struct device_stream *s, struct err *e) MUST_USE;
int device_clock_stop(struct device_stream *s, double *us, struct err *e) MUST_USE;

/* ---- operations ---- */

/* args: the operation's struct, read before this returns. A shape against its rules is a broken
 * invariant. device_NAME is the same with the type checked: device_moe_gate(stream, args, e). */
int device_run(struct device_stream *s, enum device_operation o, const void *args,
	       struct err *e) MUST_USE;

#define DEVICE_CALL(name)                                                                       \
	static inline int MUST_USE device_##name(struct device_stream *s,                       \
						 const struct name##_args *args, struct err *e) \
	{                                                                                       \
		return device_run(s, DEVICE_##name, args, e);                                   \
	}
DEVICE_OPERATIONS(DEVICE_CALL)

/* cuBLAS, for product_dense: its version ("13.0.2"); false: neither what HALLMARK_CUBLAS names nor,
 * where that is not set, libcublas.so.13 or .12 can be loaded. Then the operation is not available.
 * No GPU is asked. */
bool device_dense_version(const struct device *d, char *out, size_t room);
/* Once, before the stream's first product_dense. ERR_UNSUPPORTED: there is no cuBLAS; ERR_IO with
 * its own words. */
int device_dense_open(struct device_stream *s, struct err *e) MUST_USE;

/* ---- lists of operations, run many times ---- */

struct device_step {
	enum device_operation operation;
	const void *args; /* its struct; all of a list name one batch */
};

/* How: every way gives the same bits. */
enum device_steps_way {
	DEVICE_STEPS_LAUNCHES, /* one launch after the other, as by device_run */
	DEVICE_STEPS_GRAPH,    /* the launches, recorded once */
	DEVICE_STEPS_AHEAD,    /* and each may begin while the one before it ends */
	/* One kernel, with a barrier between operations: for few rows. Attention over an f32 cache,
	 * or of values wider than 128 that are no latents, stands between two such kernels, in a
	 * graph. */
	DEVICE_STEPS_KERNEL
};

struct device_steps;
/* args are copied, but not what they point to. ERR_UNSUPPORTED: this way cannot run one of them.
 * ERR_NOMEM. A shape against its rules is a broken invariant. */
int device_steps_open(struct device_stream *s, const struct device_step *step, uint32_t count,
		      enum device_steps_way way, struct device_steps **out, struct err *e) MUST_USE;
/* Give all to the stream that the list was made for. */
int device_steps_run(struct device_steps *l, struct err *e) MUST_USE;
void device_steps_close(struct device_steps *l); /* waits; NULL is fine */

/* For tests: what the device's own instructions do (kernels/device_probe.h). */
int device_ask(struct device_stream *s, const struct device_probe *p, struct err *e) MUST_USE;

#endif
