/* What the vendor's library reaches in bf16 matrix products, where it is: nothing of hallmark needs it. */
#include "tests/gpu/times.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SIDE 8192
#define ROUNDS 10

/* Of cublas_api.h and library_types.h, version 13. */
enum { CUDA_R_32F = 0, CUDA_R_16BF = 14, CUBLAS_COMPUTE_32F = 68, CUBLAS_OP_N = 0, CUBLAS_OP_T = 1 };
enum { CUBLAS_GEMM_DEFAULT = -1 };

struct cublas {
	int (*create)(void **handle);
	int (*gemm)(void *handle, int transa, int transb, int m, int n, int k, const void *alpha, const void *a,
		    int a_type, int lda, const void *b, int b_type, int ldb, const void *beta, void *c,
		    int c_type, int ldc, int compute, int algorithm);
	int (*synchronize)(void); /* the driver's cuCtxSynchronize */
};

static bool find(void *library, const char *name, void *function)
{
	void *symbol = library != NULL ? dlsym(library, name) : NULL;
	memcpy(function, &symbol, sizeof symbol);
	return symbol != NULL;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* c = a^T b, the form of activations times weights by rows. */
static int multiply(const struct cublas *l, void *handle, const struct device_buffer m[3])
{
	const float one = 1, zero = 0;
	return l->gemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, SIDE, SIDE, SIDE, &one, m[0].at, CUDA_R_16BF, SIDE,
		       m[1].at, CUDA_R_16BF, SIDE, &zero, m[2].at, CUDA_R_16BF, SIDE, CUBLAS_COMPUTE_32F,
		       CUBLAS_GEMM_DEFAULT);
}

/* Random numbers: products of zeros run faster. */
static void fill(struct times *t, const struct device_buffer *b)
{
	static uint16_t piece[1u << 20];
	struct err e = { 0 };
	uint64_t state = 3;
	for (size_t i = 0; i < sizeof piece / sizeof *piece; i++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		piece[i] = (uint16_t)(0x3f00 | (state >> 40 & 0x80ff)); /* 0.5 to 2, of both signs */
	}
	for (size_t at = 0; at < b->bytes; at += sizeof piece)
		times_must(device_upload(t->stream, b, at, piece, sizeof piece, &e), &e);
	times_must(device_wait(t->stream, &e), &e);
}

void times_cublas(struct times *t)
{
	const char *path = getenv("HALLMARK_CUBLAS");
	void *library = path != NULL && *path != '\0' ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	void *driver = library != NULL ? dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL) : NULL;
	struct cublas l;
	struct err e = { 0 };
	struct device_buffer m[3];
	void *handle = NULL;
	if (!find(library, "cublasCreate_v2", &l.create) || !find(library, "cublasGemmEx", &l.gemm) ||
	    !find(driver, "cuCtxSynchronize", &l.synchronize)) {
		printf("{\"what\":\"skipped\",\"section\":\"cublas\",\"why\":\"no library\"}\n");
		return;
	}
	for (int i = 0; i < 3; i++) {
		times_must(device_alloc(t->device, (size_t)SIDE * SIDE * 2, &m[i], &e), &e);
		fill(t, &m[i]);
	}
	int error = l.create(&handle);
	for (int i = 0; i < 3 && error == 0; i++)
		error = multiply(&l, handle, m); /* chooses an algorithm, wakes clocks */
	if (error == 0)
		error = l.synchronize();
	double began = now();
	for (int i = 0; i < ROUNDS && error == 0; i++)
		error = multiply(&l, handle, m);
	if (error == 0)
		error = l.synchronize();
	double seconds = (now() - began) / ROUNDS;
	if (error == 0)
		printf("{\"what\":\"cublas\",\"gflop_s\":%.0f,\"side\":%d}\n", 2e-9 * SIDE * SIDE * SIDE / seconds,
		       SIDE);
	else
		printf("{\"what\":\"cublas\",\"ok\":false,\"error\":\"status %d\"}\n", error);
	for (int i = 0; i < 3; i++)
		device_free(&m[i]);
}
