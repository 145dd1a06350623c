/* The library's table: memory and streams by CUDA's runtime, operations by the other .cu files. */
#include "kernels/device_cublas.h"
#include "kernels/device_runtime.h"

#include <stdio.h>

struct stream {
	cudaStream_t at;
	cudaEvent_t began, ended;
};

uint32_t device_multiprocessors = 1;
uint32_t device_shared_most = DEVICE_SHARED_FREE;
thread_local bool device_launch_ahead;
cudaLaunchAttribute device_ahead_attribute;

static const char *why(int error)
{
	const char *words = device_cublas_why(error);
	return words ? words : cudaGetErrorString((cudaError_t)error);
}

/* After these every call fails until the program ends. */
static bool is_lost(int error)
{
	static const int losses[] = {
		46,            /* the device is busy or unavailable */
		214,           /* an uncorrectable error of its memory */
		220,           /* or of NVLink */
		226,           /* contained by the driver */
		700,           /* an illegal address */
		702,           /* a kernel took too long */
		709,           /* the context was destroyed */
		710,           /* an assertion */
		714,           /* a stack */
		715,           /* an instruction */
		716,           /* a misaligned address */
		717, 718, 719, /* a launch failure without a name */
		999,           /* unknown */
	};
	for (int loss : losses) {
		if (error == loss)
			return true;
	}
	return false;
}

static int open_nth(uint32_t which, struct device_facts *out)
{
	int devices = 0, driver = 0, runtime = 0;
	cudaDeviceProp found;
	cudaError_t error = cudaGetDeviceCount(&devices);
	cudaDriverGetVersion(&driver); /* fails only where no driver is */
	cudaRuntimeGetVersion(&runtime);
	out->driver = (uint32_t)driver;
	out->runtime = (uint32_t)runtime;
	if (error == cudaSuccess && which >= (uint32_t)devices)
		error = cudaErrorNoDevice;
	if (error == cudaSuccess)
		error = cudaSetDevice((int)which);
	if (error == cudaSuccess)
		error = cudaGetDeviceProperties(&found, (int)which);
	if (error != cudaSuccess)
		return error;
	snprintf(out->name, sizeof out->name, "%s", found.name);
	out->capability = (uint32_t)(10 * found.major + found.minor);
	out->multiprocessors = (uint32_t)found.multiProcessorCount;
	device_multiprocessors = out->multiprocessors;
	device_shared_most = (uint32_t)found.sharedMemPerBlockOptin;
	out->memory_bytes = found.totalGlobalMem;
	out->index = which;
	out->shared_bytes = found.sharedMemPerBlockOptin;
	out->l2_bytes = (uint64_t)found.l2CacheSize;
	device_ahead_attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
	device_ahead_attribute.val.programmaticStreamSerializationAllowed = 1;
	return 0;
}

static int enter(uint32_t which) { return cudaSetDevice((int)which); }

static int memory_left(uint64_t *bytes)
{
	size_t left = 0, all = 0;
	cudaError_t error = cudaMemGetInfo(&left, &all);
	*bytes = left;
	return error;
}

static int pinned(void **out, size_t bytes)
{
	cudaError_t error = cudaHostAlloc(out, bytes, cudaHostAllocDefault);
	cudaGetLastError(); /* as for memory_alloc */
	return error;
}

static int pinned_free(void *at) { return cudaFreeHost(at); }

static int memory_alloc(void **out, size_t bytes)
{
	cudaError_t error = cudaMalloc(out, bytes);
	cudaGetLastError(); /* or the next launch would answer for this */
	return error;
}

static int memory_free(void *at) { return cudaFree(at); }

static int stream_close(void *stream)
{
	struct stream *s = (struct stream *)stream;
	cudaError_t error = s->at ? cudaStreamSynchronize(s->at) : cudaSuccess;
	if (s->began)
		cudaEventDestroy(s->began);
	if (s->ended)
		cudaEventDestroy(s->ended);
	device_cublas_close(s->at);
	if (s->at)
		cudaStreamDestroy(s->at);
	delete s;
	return error;
}

static int stream_open(void **out)
{
	struct stream *s = new struct stream();
	cudaError_t error = cudaStreamCreateWithFlags(&s->at, cudaStreamNonBlocking);
	if (error == cudaSuccess)
		error = cudaEventCreate(&s->began);
	if (error == cudaSuccess)
		error = cudaEventCreate(&s->ended);
	if (error != cudaSuccess)
		stream_close(s);
	else
		*out = s;
	return error;
}

cudaStream_t device_stream_of(void *stream) { return ((struct stream *)stream)->at; }
static cudaStream_t stream_of(void *stream) { return device_stream_of(stream); }

static int dense_open(void *stream) { return device_cublas_open(stream_of(stream)); }

static int wait_for(void *stream) { return cudaStreamSynchronize(stream_of(stream)); }

static int copy(void *stream, enum device_way way, void *to, const void *from, size_t bytes)
{
	cudaMemcpyKind kind = way == DEVICE_UP     ? cudaMemcpyHostToDevice
			      : way == DEVICE_DOWN ? cudaMemcpyDeviceToHost
						   : cudaMemcpyDeviceToDevice;
	return cudaMemcpyAsync(to, from, bytes, kind, stream_of(stream));
}

static int fill(void *stream, void *to, uint8_t byte, size_t bytes)
{
	return cudaMemsetAsync(to, byte, bytes, stream_of(stream));
}

static int clock_start(void *stream)
{
	return cudaEventRecord(((struct stream *)stream)->began, stream_of(stream));
}

static int clock_stop(void *stream, double *us)
{
	struct stream *s = (struct stream *)stream;
	float ms = 0;
	cudaError_t error = cudaEventRecord(s->ended, s->at);
	if (error == cudaSuccess)
		error = cudaEventSynchronize(s->ended);
	if (error == cudaSuccess)
		error = cudaEventElapsedTime(&ms, s->began, s->ended);
	*us = 1e3 * (double)ms;
	return error;
}

static int probe(void *stream, const struct device_probe *p)
{
	return device_probe_cuda(stream_of(stream), p);
}

#define DEVICE_RUN(name)                                                                 \
	static int run_##name(void *stream, const void *args)                            \
	{                                                                                \
		return name##_cuda(stream_of(stream), (const struct name##_args *)args); \
	}
DEVICE_OPERATIONS(DEVICE_RUN)

/* As .ci/cuda compiles. */
static const uint32_t capabilities[] = { 80, 90, 100, 120, 0 };

#define DEVICE_ROW(name) { #name, run_##name, sizeof(struct name##_args) },
const struct device_row device_operations[] = { DEVICE_OPERATIONS(DEVICE_ROW) };

extern "C" __attribute__((visibility("default"))) const struct device_table *hallmark_cuda(void)
{
	static const struct device_table table = {
		DEVICE_TABLE_VERSION,
		capabilities,
		cudaErrorMemoryAllocation,
		cudaErrorInvalidValue,
		cudaErrorNotSupported,
		cudaErrorInsufficientDriver,
		device_operations,
		DEVICE_OPERATION_COUNT,
		why,
		is_lost,
		open_nth,
		enter,
		memory_left,
		pinned,
		pinned_free,
		memory_alloc,
		memory_free,
		stream_open,
		stream_close,
		wait_for,
		copy,
		fill,
		clock_start,
		clock_stop,
		probe,
		device_steps_make,
		device_steps_go,
		device_steps_end,
		device_cublas_version,
		dense_open,
	};
	return &table;
}
