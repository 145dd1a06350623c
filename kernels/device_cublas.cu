/* cuBLAS for the fast regime: found, opened once for each stream, and asked for products of bf16
 * numbers. A handle is a stream's own, so that no other thread sets its workspace; it gets the
 * caller's memory, since one of its own would be allocated while a graph is recorded. Its order of
 * sums is fixed by its version, the device and the shape. */
#include "kernels/device_cublas.h"

#include <dlfcn.h>
#include <mutex>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef DEVICE_CUBLAS_NAMES
#define DEVICE_CUBLAS_NAMES "libcublas.so.13", "libcublas.so.12"
#endif
#define FIRST_STATUS 20000 /* beyond all numbers of CUDA's own */

/* Of cublas_api.h and library_types.h. */
enum { R_32F = 0, R_16BF = 14, COMPUTE_32F = 68, OP_N = 0, OP_T = 1, GEMM_DEFAULT = -1 };

struct cublas {
	int (*create)(void **handle);
	int (*destroy)(void *handle);
	int (*set_stream)(void *handle, cudaStream_t stream);
	int (*set_workspace)(void *handle, void *at, size_t bytes);
	int (*multiply)(void *handle, int transa, int transb, int m, int n, int k,
			const void *alpha, const void *a, int a_type, int lda, const void *b,
			int b_type, int ldb, const void *beta, void *c, int c_type, int ldc,
			int compute, int algorithm);
	int (*property)(int which, int *value);
	const char *(*words)(int status);
};

struct opened {
	struct cublas library;
	cudaStream_t stream;
	void *handle;
	struct opened *next;
};

static std::mutex hold;
static struct opened *all_opened;
static const char *(*last_words)(int status); /* of the library that was opened last */

static int number_of(int status) { return status == 0 ? 0 : FIRST_STATUS + status; }

const char *device_cublas_why(int error)
{
	static thread_local char text[200];
	if (error <= FIRST_STATUS || !last_words)
		return nullptr;
	snprintf(text, sizeof text, "cuBLAS: %.150s", last_words(error - FIRST_STATUS));
	return text;
}

/* Where it stays: it may leave threads and handlers behind. */
static void *find_library(void)
{
	static const char *const names[] = { DEVICE_CUBLAS_NAMES };
	const char *named = getenv("HALLMARK_CUBLAS");
	if (named)
		return *named ? dlopen(named, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE) : nullptr;
	void *at = nullptr;
	for (const char *name : names)
		at = at ? at : dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	return at;
}

static bool load(struct cublas *out)
{
	void *at = find_library();
	const struct {
		const char *name;
		void *function;
	} parts[] = {
		{ "cublasCreate_v2", &out->create },
		{ "cublasDestroy_v2", &out->destroy },
		{ "cublasSetStream_v2", &out->set_stream },
		{ "cublasSetWorkspace_v2", &out->set_workspace },
		{ "cublasGemmEx", &out->multiply },
		{ "cublasGetProperty", &out->property },
		{ "cublasGetStatusString", &out->words },
	};
	bool whole = at != nullptr;
	for (const auto &p : parts) {
		void *symbol = whole ? dlsym(at, p.name) : nullptr;
		memcpy(p.function, &symbol, sizeof symbol);
		whole = symbol != nullptr;
	}
	return whole;
}

bool device_cublas_version(char *out, size_t room)
{
	struct cublas library;
	int number[3] = { 0, 0, 0 }; /* major, minor, patch */
	bool known = load(&library);
	for (int i = 0; i < 3; i++)
		known = known && library.property(i, &number[i]) == 0;
	out[0] = '\0';
	if (known)
		snprintf(out, room, "%d.%d.%d", number[0], number[1], number[2]);
	return known;
}

static struct opened *opened_of(cudaStream_t stream)
{
	std::lock_guard<std::mutex> here(hold);
	struct opened *o = all_opened;
	while (o && o->stream != stream)
		o = o->next;
	return o;
}

int device_cublas_open(cudaStream_t stream)
{
	struct opened found = {};
	if (!load(&found.library))
		return cudaErrorNotSupported;
	last_words = found.library.words;
	int status = found.library.create(&found.handle);
	if (status != 0)
		return number_of(status);
	std::lock_guard<std::mutex> here(hold);
	found.stream = stream;
	found.next = all_opened;
	all_opened = new struct opened(found);
	/* this takes a workspace away that was set before, so it comes first, and once */
	return number_of(found.library.set_stream(found.handle, stream));
}

void device_cublas_close(cudaStream_t stream)
{
	struct opened *o = opened_of(stream);
	if (!o)
		return;
	std::lock_guard<std::mutex> here(hold);
	struct opened **at = &all_opened;
	while (*at != o)
		at = &(*at)->next;
	*at = o->next;
	o->library.destroy(o->handle);
	delete o;
}

/* As cuBLAS sees them, matrices by columns: out is outputs x rows, weights transposed. */
int device_cublas_multiply(cudaStream_t stream, const struct device_cublas_product &p)
{
	const float one = 1, zero = 0;
	const struct opened *o = opened_of(stream);
	if (!o)
		return cudaErrorNotSupported;
	int status = o->library.set_workspace(o->handle, p.workspace, p.workspace_bytes);
	if (status == 0)
		status =
			o->library.multiply(o->handle, OP_T, OP_N, (int)p.outputs, (int)p.rows,
					    (int)p.columns, &one, p.weights, R_16BF, (int)p.columns,
					    p.x, R_16BF, (int)p.columns, &zero, p.out, R_32F,
					    (int)p.out_stride, COMPUTE_32F, GEMM_DEFAULT);
	return number_of(status);
}
