/* The part of CUDA's runtime that kernels/device_runtime.cu and the operations use. Work is done when the
 * call that gives it returns, but for what a stream captures. What breaks a rule of the machine is refused as
 * there; cudaGetErrorString says more than CUDA's would.
 *
 * From the environment, read at the first call and at each cudaGetDeviceCount:
 *   EMULATOR_NO_DEVICE=1, EMULATOR_DEVICES=N   how many there are (1)
 *   EMULATOR_CAPABILITY=N                      compute capability, 120 for 12.0 (90)
 *   EMULATOR_SMS=N                             multiprocessors (2)
 *   EMULATOR_MEMORY=BYTES                      of each device (1 GiB)
 *   EMULATOR_SHARED=BYTES                      of shared memory that a block may have (as the capability)
 *   EMULATOR_DRIVER=VERSION                    the driver's (13000); older than the runtime: no device
 *   EMULATOR_LOSE_AFTER=N                      after N launches the device is lost: every call fails
 *   EMULATOR_CUBLAS_VERSION=1.2.3              of build/emulator/libcublas.so (cublas.c)
 *   EMULATOR_CUBLAS_FAILS=N                    its N-th product and later ones fail; 0: its opening
 *   EMULATOR_RACES=1                           run each launch in opposite orders, and compare */
#ifndef EMULATOR_RUNTIME_H
#define EMULATOR_RUNTIME_H

#include <functional>

enum cudaError_t {
	cudaSuccess = 0,
	cudaErrorInvalidValue = 1,
	cudaErrorMemoryAllocation = 2,
	cudaErrorInvalidConfiguration = 9,
	cudaErrorInsufficientDriver = 35,
	cudaErrorNoDevice = 100,
	cudaErrorInvalidDevice = 101,
	cudaErrorNotReady = 600,
	cudaErrorLaunchFailure = 719,
	cudaErrorCooperativeLaunchTooLarge = 720,
	cudaErrorNotSupported = 801,
	cudaErrorStreamCaptureUnsupported = 900,
	cudaErrorStreamCaptureInvalidated = 901
};
enum cudaMemcpyKind {
	cudaMemcpyHostToHost = 0,
	cudaMemcpyHostToDevice = 1,
	cudaMemcpyDeviceToHost = 2,
	cudaMemcpyDeviceToDevice = 3,
	cudaMemcpyDefault = 4
};
enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventDisableTiming = 2 };
enum { cudaHostAllocDefault = 0, cudaHostAllocPortable = 1 };

typedef struct emulator_stream *cudaStream_t;
typedef struct emulator_event *cudaEvent_t;

struct cudaDeviceProp {
	char name[256];
	int major, minor, multiProcessorCount, maxThreadsPerMultiProcessor, l2CacheSize;
	size_t totalGlobalMem, sharedMemPerBlockOptin, sharedMemPerMultiprocessor;
	int memoryBusWidth;
};
enum cudaDeviceAttr {
	cudaDevAttrMultiProcessorCount = 16,
	cudaDevAttrMaxThreadsPerMultiProcessor = 39,
	cudaDevAttrComputeCapabilityMajor = 75,
	cudaDevAttrComputeCapabilityMinor = 76,
	cudaDevAttrCooperativeLaunch = 95,
	cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};

/* Of the calling thread's last failure: what went wrong, in which kernel's block and thread. */
const char *cudaGetErrorString(cudaError_t error);
const char *cudaGetErrorName(cudaError_t error);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int device);
cudaError_t cudaDeviceGetAttribute(int *out, cudaDeviceAttr attribute, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaDeviceSynchronize();

cudaError_t cudaMalloc(void **out, size_t bytes);
cudaError_t cudaFree(void *at);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total);
cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags);
cudaError_t cudaMallocHost(void **out, size_t bytes);
cudaError_t cudaFreeHost(void *at);
cudaError_t cudaHostRegister(void *at, size_t bytes, unsigned flags);
cudaError_t cudaHostUnregister(void *at);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
			    cudaStream_t stream);
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
			      size_t height, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *at, int byte, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemset(void *at, int byte, size_t bytes);

cudaError_t cudaStreamCreate(cudaStream_t *out);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0);
cudaError_t cudaEventCreate(cudaEvent_t *out);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t began, cudaEvent_t ended);

/* ---- graphs: what a stream captured, in its order ---- */

typedef struct emulator_graph *cudaGraph_t;
typedef struct emulator_graph_exec *cudaGraphExec_t;
enum cudaStreamCaptureMode {
	cudaStreamCaptureModeGlobal = 0,
	cudaStreamCaptureModeThreadLocal = 1,
	cudaStreamCaptureModeRelaxed = 2
};
enum cudaStreamCaptureStatus {
	cudaStreamCaptureStatusNone = 0,
	cudaStreamCaptureStatusActive = 1,
	cudaStreamCaptureStatusInvalidated = 2
};
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out);
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *out);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags = 0);
cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, void *nodes, size_t *count);

/* ---- launches ---- */

enum cudaLaunchAttributeID {
	cudaLaunchAttributeCooperative = 2,
	cudaLaunchAttributeClusterDimension = 4,
	cudaLaunchAttributeProgrammaticStreamSerialization = 6
};
union cudaLaunchAttributeValue {
	char pad[64];
	int cooperative, programmaticStreamSerializationAllowed;
};
struct cudaLaunchAttribute {
	cudaLaunchAttributeID id;
	char pad[8 - sizeof(cudaLaunchAttributeID)];
	cudaLaunchAttributeValue val;
};
struct cudaLaunchConfig_t {
	dim3 gridDim, blockDim;
	size_t dynamicSmemBytes;
	cudaStream_t stream;
	cudaLaunchAttribute *attrs;
	unsigned numAttrs;
};

enum cudaFuncAttribute {
	cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
	cudaFuncAttributePreferredSharedMemoryCarveout = 9
};
cudaError_t emulator_attribute(const void *kernel, cudaFuncAttribute attribute, int value);
template <typename T>
static cudaError_t cudaFuncSetAttribute(T *kernel, cudaFuncAttribute attribute, int value)
{
	return emulator_attribute((const void *)kernel, attribute, value);
}

/* By threads and shared memory; registers are not known here. */
cudaError_t emulator_occupancy(int *blocks, int threads, size_t dynamic_bytes);
template <typename T>
static cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, T, int threads,
								  size_t dynamic_bytes)
{
	return emulator_occupancy(blocks, threads, dynamic_bytes);
}

/* words: the launch's second argument and those after it, as written. */
cudaError_t emulator_launch(const char *words, const cudaLaunchConfig_t *config, const void *kernel,
			    const std::function<void()> &thread);

template <typename... Expected, typename... Given>
static cudaError_t emulator_launch_kernel(const char *words, const cudaLaunchConfig_t *config,
					  void (*kernel)(Expected...), Given &&...given)
{
	return [words, config, kernel](Expected... argument) {
		return emulator_launch(words, config, (const void *)kernel, [=] { kernel(argument...); });
	}(given...);
}
#define cudaLaunchKernelEx(config, ...) emulator_launch_kernel(#__VA_ARGS__, config, __VA_ARGS__)

/* A launch of work that is no kernel: it gets a copy of the data. For tests/emulator/cublas.c. */
extern "C" __attribute__((visibility("default"))) int emulator_give(cudaStream_t stream,
								     void (*work)(const void *data),
								     const void *data, size_t bytes);

/* For tests: launches so far, those of graphs too. */
extern "C" __attribute__((visibility("default"))) uint64_t emulator_launches();

#endif
