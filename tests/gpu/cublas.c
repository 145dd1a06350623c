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
struct shape {
	int outputs, rows, columns, type; /* type: of c */
};

static int multiply(const struct cublas *l, void *handle, const struct shape *s,
		    const struct device_buffer m[3])
{
	const float one = 1, zero = 0;
	return l->gemm(handle, CUBLAS_OP_T, CUBLAS_OP_N, s->outputs, s->rows, s->columns, &one, m[0].at,
		       CUDA_R_16BF, s->columns, m[1].at, CUDA_R_16BF, s->columns, &zero, m[2].at, s->type,
		       s->outputs, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

/* Seconds of a product, and what failed. */
static double seconds_of(const struct cublas *l, void *handle, const struct shape *s,
			 const struct device_buffer m[3], int *error)
{
	for (int i = 0; i < 3 && *error == 0; i++)
		*error = multiply(l, handle, s, m); /* chooses an algorithm, wakes clocks */
	if (*error == 0)
		*error = l->synchronize();
	double began = now();
	for (int i = 0; i < ROUNDS && *error == 0; i++)
		*error = multiply(l, handle, s, m);
	if (*error == 0)
		*error = l->synchronize();
	return (now() - began) / ROUNDS;
}

/* The products that times_product.c has of the fast regime, which writes f32. The memory of SIDE
 * is enough for all of these. */
static void beside_fast(struct times *t, const struct cublas *l, void *handle,
			const struct device_buffer m[3], int *error)
{
	for (int i = 0; i < TIMES_ROWS && *error == 0; i++) {
		const struct shape s = { TIMES_OUTPUTS, (int)times_rows[i], TIMES_COLUMNS, CUDA_R_32F };
		char name[60];
		double us = 1e6 * seconds_of(l, handle, &s, m, error);
		snprintf(name, sizeof name, "1 matrix, bf16, rows %d", s.rows);
		if (*error == 0)
			times_line(t, "cublas", name, us,
				   2.0 * s.columns * (s.outputs + s.rows) + 4.0 * s.outputs * s.rows);
	}
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
		times_must(device_alloc(t->device, (size_t)SIDE * SIDE * (i < 2 ? 2 : 4), &m[i], &e), &e);
		fill(t, &m[i]);
	}
	const struct shape s = { SIDE, SIDE, SIDE, CUDA_R_16BF };
	int error = l.create(&handle);
	double seconds = seconds_of(&l, handle, &s, m, &error);
	if (error == 0) {
		printf("{\"what\":\"cublas\",\"gflop_s\":%.0f,\"side\":%d}\n", 2e-9 * SIDE * SIDE * SIDE / seconds,
		       SIDE);
		beside_fast(t, &l, handle, m, &error);
	}
	if (error != 0)
		printf("{\"what\":\"cublas\",\"ok\":false,\"error\":\"status %d\"}\n", error);
	for (int i = 0; i < 3; i++)
		device_free(&m[i]);
}
