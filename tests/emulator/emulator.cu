/* The runtime of runtime.h: devices, memory with guards, streams, graphs, launches. */
#include "tests/emulator/emulator.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <set>

#define SM_THREADS 2048
#define SM_BLOCKS 32
#define BLOCK_RESERVED 1024 /* shared memory that the system takes of each block */

namespace
{

struct settings {
	int devices, capability, multiprocessors, driver;
	uint64_t memory, lose_after;
	unsigned shared; /* bytes of a block */
	bool races;
};

std::recursive_mutex api; /* one call at a time, whatever the thread */
std::map<const char *, struct emulator_allocation> allocated;
std::map<const void *, int> shared_allowed; /* dynamic, by kernel */
std::set<void *> host_memory;
struct settings set = {};
bool settings_known, lost;
uint64_t launches;
thread_local int current;
thread_local char said[600];
thread_local cudaError_t said_of; /* the number that it explains */

uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text == nullptr || *text == '\0' ? otherwise : strtoull(text, nullptr, 10);
}

/* Of a block, by the tables of the programming guide. */
unsigned shared_of(int capability)
{
	return capability == 80 ? 163u << 10 : capability >= 120 ? 99u << 10 : EMULATOR_SHARED_MOST;
}

void settings_read()
{
	set.devices = getenv("EMULATOR_NO_DEVICE") ? 0 : (int)number_of("EMULATOR_DEVICES", 1);
	set.capability = (int)number_of("EMULATOR_CAPABILITY", 90);
	set.multiprocessors = (int)number_of("EMULATOR_SMS", 2);
	set.driver = (int)number_of("EMULATOR_DRIVER", 13000);
	set.memory = number_of("EMULATOR_MEMORY", (uint64_t)1 << 30);
	set.shared = (unsigned)number_of("EMULATOR_SHARED", shared_of(set.capability));
	set.lose_after = number_of("EMULATOR_LOSE_AFTER", UINT64_MAX);
	set.races = number_of("EMULATOR_RACES", 0) != 0;
	settings_known = true;
}

cudaError_t refuse(cudaError_t error, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
cudaError_t refuse(cudaError_t error, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(said, sizeof said, fmt, args);
	va_end(args);
	said_of = error;
	return error;
}

cudaError_t is_lost()
{
	return refuse(cudaErrorLaunchFailure, "unspecified launch failure: the device is lost");
}

/* Each call that needs a device begins so. */
#define ENTER()                                                        \
	std::lock_guard<std::recursive_mutex> hold(api);               \
	if (!settings_known)                                           \
		settings_read();                                       \
	if (lost)                                                      \
	return is_lost()

/* ---- memory ---- */

const size_t guard = EMULATOR_GUARDS;
const size_t before_guard = guard ? 256 - guard : 0; /* so that the bytes begin at a multiple of 256 */

struct emulator_allocation guarded_alloc(size_t bytes)
{
	void *at = nullptr;
	if (bytes > SIZE_MAX / 2 || posix_memalign(&at, 256, before_guard + bytes + 2 * guard) != 0)
		return { nullptr, 0, 0 };
	char *block = (char *)at + before_guard;
	memset(block, EMULATOR_GUARD, guard);
	memset(block + guard + bytes, EMULATOR_GUARD, guard);
	memset(block + guard, 0xff, bytes);
	return { block, bytes, current };
}

void guarded_free(const struct emulator_allocation &a) { free(a.block - before_guard); }

bool guarded_whole(const struct emulator_allocation &a)
{
	static const std::string whole(guard, (char)EMULATOR_GUARD);
	return memcmp(a.block, whole.data(), guard) == 0 &&
	       memcmp(a.block + guard + a.bytes, whole.data(), guard) == 0;
}

bool on_device(const void *at, size_t bytes)
{
	auto next = allocated.upper_bound((const char *)at);
	if (next == allocated.begin())
		return false;
	const auto &[start, a] = *--next;
	size_t offset = (size_t)((const char *)at - start);
	return offset <= a.bytes && bytes <= a.bytes - offset;
}

uint64_t used_bytes()
{
	uint64_t sum = 0;
	for (const auto &[at, a] : allocated)
		sum += a.device == current ? a.bytes : 0;
	return sum;
}

/* ---- launches ---- */

cudaError_t launch_begins()
{
	if (++launches <= set.lose_after)
		return cudaSuccess;
	lost = true;
	return is_lost();
}

cudaError_t guards_check(const char *name)
{
	for (auto &[at, a] : allocated) {
		if (guarded_whole(a))
			continue;
		memset(a.block, EMULATOR_GUARD, guard);
		memset(a.block + guard + a.bytes, EMULATOR_GUARD, guard);
		return refuse(cudaErrorLaunchFailure, "a write outside an allocation of %zu bytes (%.100s)", a.bytes, name);
	}
	return cudaSuccess;
}

cudaError_t execute(const struct emulator_kernel &kernel)
{
	cudaError_t error = launch_begins();
	if (error != cudaSuccess)
		return error;
	bool ok = set.races ? emulator_run_races(kernel) : emulator_run(kernel, EMULATOR_SHUFFLED, nullptr);
	return ok ? guards_check(kernel.name.c_str()) : refuse(cudaErrorLaunchFailure, "%s", emulator_why());
}

typedef std::function<cudaError_t()> step;

} /* namespace */

struct emulator_graph {
	std::vector<step> steps;
};
struct emulator_graph_exec {
	std::vector<step> steps;
};
struct emulator_stream {
	bool capturing, invalid;
	cudaStreamCaptureMode mode;
	std::vector<step> steps;
};
struct emulator_event {
	struct timespec at;
};

namespace
{

std::set<struct emulator_stream *> streams;

/* Now, or when the graph runs that the stream captures. */
cudaError_t give(cudaStream_t stream, const step &work)
{
	if (stream == nullptr || !stream->capturing)
		return work();
	if (stream->invalid)
		return refuse(cudaErrorStreamCaptureInvalidated, "the stream's capture has failed before");
	stream->steps.push_back(work);
	return cudaSuccess;
}

/* What may not be done while a stream captures. */
cudaError_t not_captured(const char *what)
{
	for (struct emulator_stream *s : streams) {
		if (s->capturing && s->mode != cudaStreamCaptureModeRelaxed) {
			s->invalid = true;
			return refuse(cudaErrorStreamCaptureUnsupported, "%s while a stream is capturing", what);
		}
	}
	return cudaSuccess;
}

cudaError_t waits(cudaStream_t stream, const char *what)
{
	if (stream == nullptr || !stream->capturing)
		return cudaSuccess;
	stream->invalid = true;
	return refuse(cudaErrorStreamCaptureUnsupported, "%s of a stream that is capturing", what);
}

cudaError_t attributes(const cudaLaunchConfig_t *config, struct emulator_kernel *out)
{
	for (unsigned i = 0; i < config->numAttrs; i++) {
		const cudaLaunchAttribute &a = config->attrs[i];
		if (a.id == cudaLaunchAttributeCooperative)
			out->cooperative = a.val.cooperative != 0;
		else if (a.id == cudaLaunchAttributeProgrammaticStreamSerialization)
			out->programmatic = a.val.programmaticStreamSerializationAllowed != 0;
		else
			return refuse(cudaErrorNotSupported, "a launch attribute (%d) that is not emulated", (int)a.id);
	}
	return cudaSuccess;
}

cudaError_t check_sizes(const struct emulator_kernel &k, size_t dynamic_most)
{
	uint64_t threads = (uint64_t)k.block.x * k.block.y * k.block.z;
	uint64_t blocks = (uint64_t)k.grid.x * k.grid.y * k.grid.z;
	int resident = 0;
	if (threads == 0 || threads > EMULATOR_BLOCK_THREADS || blocks == 0 || k.grid.x > INT32_MAX ||
	    k.grid.y > 65535 || k.grid.z > 65535 || k.block.z > 64)
		return refuse(cudaErrorInvalidConfiguration, "a launch without threads, or with too many");
	if (k.dynamic_bytes > dynamic_most)
		return refuse(cudaErrorInvalidValue,
			      "a launch with %zu bytes of shared memory, where %zu are allowed (cudaFuncSetAttribute)",
			      k.dynamic_bytes, dynamic_most);
	if (!k.cooperative)
		return cudaSuccess;
	emulator_occupancy(&resident, (int)threads, k.dynamic_bytes);
	if (blocks > (uint64_t)resident * (uint64_t)set.multiprocessors ||
	    blocks * ((threads + 31) / 32 * 32) > EMULATOR_FIBERS)
		return refuse(cudaErrorCooperativeLaunchTooLarge,
			      "a cooperative launch of more blocks than run at once: %llu, of %d on each of "
			      "%d multiprocessors",
			      (unsigned long long)blocks, resident, set.multiprocessors);
	return cudaSuccess;
}

cudaError_t known_device(int device)
{
	if (device >= 0 && device < set.devices)
		return cudaSuccess;
	return refuse(cudaErrorInvalidDevice, "invalid device ordinal %d", device);
}

} /* namespace */

const std::map<const char *, struct emulator_allocation> &emulator_allocations() { return allocated; }

uint64_t emulator_launches() { return launches; }

cudaError_t emulator_attribute(const void *kernel, cudaFuncAttribute attribute, int value)
{
	ENTER();
	if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize)
		return cudaSuccess;
	if (value < 0 || value > (int)set.shared)
		return refuse(cudaErrorInvalidValue, "%d bytes of shared memory, of %u at most", value,
			      set.shared);
	shared_allowed[kernel] = value;
	return cudaSuccess;
}

cudaError_t emulator_occupancy(int *blocks, int threads, size_t dynamic_bytes)
{
	int by_threads = SM_THREADS / (threads > 0 ? (threads + 31) / 32 * 32 : SM_THREADS);
	int by_shared = (int)((set.shared + BLOCK_RESERVED) / (dynamic_bytes + BLOCK_RESERVED));
	*blocks = by_threads < by_shared ? by_threads : by_shared;
	*blocks = *blocks < SM_BLOCKS ? *blocks : SM_BLOCKS;
	return cudaSuccess;
}

cudaError_t emulator_launch(const char *words, const cudaLaunchConfig_t *config, const void *kernel,
			    const std::function<void()> &thread)
{
	ENTER();
	std::string name = words;
	struct emulator_kernel k = { name.substr(0, name.find(',')), config->gridDim, config->blockDim,
				     config->dynamicSmemBytes, EMULATOR_SHARED_DEFAULT, false, false, thread };
	auto allowed = shared_allowed.find(kernel);
	size_t dynamic_most = EMULATOR_SHARED_DEFAULT;
	if (allowed != shared_allowed.end() && (size_t)allowed->second > dynamic_most) {
		dynamic_most = (size_t)allowed->second;
		k.shared_most = EMULATOR_SHARED_MOST;
	}
	cudaError_t error = attributes(config, &k);
	if (error == cudaSuccess)
		error = check_sizes(k, dynamic_most);
	if (error == cudaSuccess)
		error = give(config->stream, [k] { return execute(k); });
	return error;
}

int emulator_give(cudaStream_t stream, void (*work)(const void *data), const void *data, size_t bytes)
{
	ENTER();
	const std::string kept((const char *)data, bytes);
	return give(stream, [work, kept] {
		cudaError_t error = launch_begins();
		if (error == cudaSuccess)
			work(kept.data());
		return error == cudaSuccess ? guards_check("work of another library") : error;
	});
}

/* ---- devices ---- */

static const struct {
	cudaError_t error;
	const char *name, *words;
} errors[] = {
	{ cudaSuccess, "cudaSuccess", "no error" },
	{ cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument" },
	{ cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory" },
	{ cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected" },
	{ cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal" },
	{ cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure" },
	{ cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported" },
};

const char *cudaGetErrorString(cudaError_t error)
{
	if (error == said_of && error != cudaSuccess)
		return said;
	for (const auto &e : errors) {
		if (e.error == error)
			return e.words;
	}
	return "unrecognized error code";
}

const char *cudaGetErrorName(cudaError_t error)
{
	for (const auto &e : errors) {
		if (e.error == error)
			return e.name;
	}
	return "unrecognized error code";
}

cudaError_t cudaGetLastError() { return lost ? cudaErrorLaunchFailure : cudaSuccess; }
cudaError_t cudaPeekAtLastError() { return cudaGetLastError(); }

cudaError_t cudaGetDeviceCount(int *count)
{
	std::lock_guard<std::recursive_mutex> hold(api);
	settings_read();
	*count = 0;
	if (set.driver < 13000)
		return refuse(cudaErrorInsufficientDriver,
			      "CUDA driver version is insufficient for CUDA runtime version");
	*count = set.devices;
	return *count ? cudaSuccess : refuse(cudaErrorNoDevice, "no CUDA-capable device is detected");
}

cudaError_t cudaSetDevice(int device)
{
	ENTER();
	cudaError_t error = known_device(device);
	if (error == cudaSuccess)
		current = device;
	return error;
}

cudaError_t cudaGetDevice(int *device)
{
	*device = current;
	return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *out, int device)
{
	ENTER();
	*out = cudaDeviceProp{};
	strcpy(out->name, "host emulator");
	out->major = set.capability / 10;
	out->minor = set.capability % 10;
	out->multiProcessorCount = set.multiprocessors;
	out->maxThreadsPerMultiProcessor = SM_THREADS;
	out->totalGlobalMem = set.memory;
	out->sharedMemPerBlockOptin = set.shared;
	out->sharedMemPerMultiprocessor = set.shared + BLOCK_RESERVED;
	out->l2CacheSize = 1 << 20;
	out->memoryBusWidth = 6144;
	return known_device(device);
}

cudaError_t cudaDeviceGetAttribute(int *out, cudaDeviceAttr attribute, int device)
{
	cudaDeviceProp p;
	cudaError_t error = cudaGetDeviceProperties(&p, device);
	switch (attribute) {
	case cudaDevAttrMultiProcessorCount:
		*out = p.multiProcessorCount;
		break;
	case cudaDevAttrMaxThreadsPerMultiProcessor:
		*out = p.maxThreadsPerMultiProcessor;
		break;
	case cudaDevAttrComputeCapabilityMajor:
		*out = p.major;
		break;
	case cudaDevAttrComputeCapabilityMinor:
		*out = p.minor;
		break;
	case cudaDevAttrCooperativeLaunch:
		*out = 1;
		break;
	case cudaDevAttrMaxSharedMemoryPerBlockOptin:
		*out = (int)p.sharedMemPerBlockOptin;
		break;
	}
	return error;
}

cudaError_t cudaDriverGetVersion(int *version)
{
	std::lock_guard<std::recursive_mutex> hold(api);
	if (!settings_known)
		settings_read();
	*version = set.driver;
	return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
	*version = 13000;
	return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize()
{
	ENTER();
	return not_captured("cudaDeviceSynchronize");
}

/* ---- memory ---- */

cudaError_t cudaMalloc(void **out, size_t bytes)
{
	ENTER();
	cudaError_t error = not_captured("cudaMalloc");
	if (error != cudaSuccess)
		return error;
	uint64_t left = set.memory - used_bytes();
	struct emulator_allocation a = bytes > left ? emulator_allocation{} : guarded_alloc(bytes);
	if (a.block == nullptr)
		return refuse(cudaErrorMemoryAllocation, "out of memory");
	*out = a.block + guard;
	allocated[a.block + guard] = a;
	return cudaSuccess;
}

cudaError_t cudaFree(void *at)
{
	ENTER();
	auto found = allocated.find((const char *)at);
	if (at == nullptr)
		return cudaSuccess;
	if (found == allocated.end())
		return refuse(cudaErrorInvalidValue, "free of what is not allocated");
	cudaError_t error = not_captured("cudaFree");
	if (error == cudaSuccess) {
		guarded_free(found->second);
		allocated.erase(found);
	}
	return error;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
	ENTER();
	*total = set.memory;
	*free_bytes = set.memory - used_bytes();
	return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned)
{
	ENTER();
	*out = nullptr;
	if (posix_memalign(out, 4096, bytes) != 0)
		return refuse(cudaErrorMemoryAllocation, "out of memory");
	host_memory.insert(*out);
	return cudaSuccess;
}

cudaError_t cudaMallocHost(void **out, size_t bytes) { return cudaHostAlloc(out, bytes, 0); }

cudaError_t cudaFreeHost(void *at)
{
	ENTER();
	if (at != nullptr && host_memory.erase(at) == 0)
		return refuse(cudaErrorInvalidValue, "free of what is not allocated");
	free(at);
	return cudaSuccess;
}

cudaError_t cudaHostRegister(void *, size_t, unsigned) { return cudaSuccess; }
cudaError_t cudaHostUnregister(void *) { return cudaSuccess; }

static cudaError_t check_ends(const void *to, size_t to_bytes, const void *from, size_t from_bytes,
			      cudaMemcpyKind kind)
{
	bool up = kind == cudaMemcpyHostToDevice, down = kind == cudaMemcpyDeviceToHost;
	bool within = kind == cudaMemcpyDeviceToDevice;
	if (kind != cudaMemcpyDefault && (on_device(to, to_bytes) != (up || within) ||
					  on_device(from, from_bytes) != (down || within)))
		return refuse(cudaErrorInvalidValue, "a copy whose ends lie elsewhere than it says");
	return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
			    cudaStream_t stream)
{
	ENTER();
	cudaError_t error = check_ends(to, bytes, from, bytes, kind);
	return error != cudaSuccess ? error : give(stream, [=] {
		memmove(to, from, bytes);
		return cudaSuccess;
	});
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
	return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}

cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
			      size_t height, cudaMemcpyKind kind, cudaStream_t stream)
{
	ENTER();
	if (width == 0 || height == 0)
		return cudaSuccess;
	if (width > to_pitch || width > from_pitch)
		return refuse(cudaErrorInvalidValue, "a copy wider than its rows");
	cudaError_t error =
		check_ends(to, to_pitch * (height - 1) + width, from, from_pitch * (height - 1) + width, kind);
	return error != cudaSuccess ? error : give(stream, [=] {
		for (size_t i = 0; i < height; i++)
			memmove((char *)to + i * to_pitch, (const char *)from + i * from_pitch, width);
		return cudaSuccess;
	});
}

cudaError_t cudaMemsetAsync(void *at, int byte, size_t bytes, cudaStream_t stream)
{
	ENTER();
	if (!on_device(at, bytes))
		return refuse(cudaErrorInvalidValue, "a fill outside device memory");
	return give(stream, [=] {
		memset(at, byte, bytes);
		return cudaSuccess;
	});
}

cudaError_t cudaMemset(void *at, int byte, size_t bytes) { return cudaMemsetAsync(at, byte, bytes, nullptr); }

/* ---- streams and events ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned)
{
	ENTER();
	*out = new emulator_stream();
	streams.insert(*out);
	return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *out) { return cudaStreamCreateWithFlags(out, cudaStreamDefault); }

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
	std::lock_guard<std::recursive_mutex> hold(api);
	streams.erase(stream);
	delete stream;
	return lost ? is_lost() : cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
	ENTER();
	return waits(stream, "cudaStreamSynchronize");
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
	ENTER();
	return waits(stream, "cudaStreamQuery");
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t, unsigned)
{
	ENTER();
	return waits(stream, "cudaStreamWaitEvent");
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned)
{
	ENTER();
	*out = new emulator_event();
	return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *out) { return cudaEventCreateWithFlags(out, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
	delete event;
	return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
	ENTER();
	return give(stream, [=] {
		clock_gettime(CLOCK_MONOTONIC, &event->at);
		return cudaSuccess;
	});
}

cudaError_t cudaEventSynchronize(cudaEvent_t)
{
	ENTER();
	return not_captured("cudaEventSynchronize");
}

cudaError_t cudaEventQuery(cudaEvent_t)
{
	ENTER();
	return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t began, cudaEvent_t ended)
{
	ENTER();
	*ms = 1e3f * (float)(ended->at.tv_sec - began->at.tv_sec) +
	      1e-6f * (float)(ended->at.tv_nsec - began->at.tv_nsec);
	return cudaSuccess;
}

/* ---- graphs ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode)
{
	ENTER();
	if (stream == nullptr || stream->capturing)
		return refuse(cudaErrorStreamCaptureUnsupported, "this stream cannot capture, or does already");
	stream->capturing = true;
	stream->invalid = false;
	stream->mode = mode;
	stream->steps.clear();
	return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out)
{
	ENTER();
	*out = nullptr;
	if (stream == nullptr || !stream->capturing)
		return refuse(cudaErrorInvalidValue, "the stream is not capturing");
	stream->capturing = false;
	if (stream->invalid)
		return refuse(cudaErrorStreamCaptureInvalidated, "the stream's capture has failed before");
	*out = new emulator_graph{ stream->steps };
	stream->steps.clear();
	return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus *out)
{
	ENTER();
	bool capturing = stream != nullptr && stream->capturing;
	*out = !capturing	 ? cudaStreamCaptureStatusNone
	       : stream->invalid ? cudaStreamCaptureStatusInvalidated
				 : cudaStreamCaptureStatusActive;
	return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long)
{
	ENTER();
	*out = new emulator_graph_exec{ graph->steps };
	return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t)
{
	ENTER();
	return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
	ENTER();
	cudaError_t error = waits(stream, "cudaGraphLaunch into the capture");
	for (size_t i = 0; i < exec->steps.size() && error == cudaSuccess; i++)
		error = exec->steps[i]();
	return error;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, void *, size_t *count)
{
	*count = graph->steps.size();
	return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
	delete graph;
	return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	delete exec;
	return cudaSuccess;
}
