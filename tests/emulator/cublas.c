/* The part of cuBLAS that kernels/device_cublas.cu uses, for memory and streams of the emulated library:
 * products of bf16 numbers with sums in f32, in an order that none of our kernels has. It refuses what cuBLAS
 * would, and a handle without the caller's workspace, which would allocate some while a graph is recorded. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))
#define LANES 3 /* running sums, from the end of K down */

enum { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };
enum { R_32F = 0, R_16BF = 14, COMPUTE_32F = 68, OP_N = 0, OP_T = 1 };

typedef int emulator_give_function(void *stream, void (*work)(const void *data), const void *data,
				   size_t bytes);

struct handle {
	emulator_give_function *give; /* of the library that opened it */
	void *stream, *workspace;
};

struct product {
	int outputs, rows, columns, out_stride;
	const uint16_t *weights, *x;
	float *out;
};

int cublasCreate_v2(struct handle **out);
int cublasDestroy_v2(struct handle *h);
int cublasSetStream_v2(struct handle *h, void *stream);
int cublasSetWorkspace_v2(struct handle *h, void *at, size_t bytes);
int cublasGetProperty(int which, int *value);
const char *cublasGetStatusString(int status);
int cublasGemmEx(struct handle *h, int transa, int transb, int m, int n, int k, const float *alpha,
		 const void *a, int a_type, int lda, const void *b, int b_type, int ldb, const float *beta,
		 void *c, int c_type, int ldc, int compute, int algorithm);

/* For tests: products so far. */
uint64_t emulator_cublas_products(void);
static uint64_t products;

EXPORTED uint64_t emulator_cublas_products(void)
{
	return products;
}

/* The n-th product fails (EMULATOR_CUBLAS_FAILS); nothing does where it is not set. */
static int fails_at(void)
{
	const char *n = getenv("EMULATOR_CUBLAS_FAILS");
	return n == NULL ? -1 : atoi(n);
}

EXPORTED int cublasCreate_v2(struct handle **out)
{
	Dl_info caller;
	struct handle *h = calloc(1, sizeof *h);
	void *library = NULL, *symbol = NULL;
	if (dladdr(__builtin_return_address(0), &caller) != 0)
		library = dlopen(caller.dli_fname, RTLD_NOW | RTLD_NOLOAD);
	if (library != NULL)
		symbol = dlsym(library, "emulator_give");
	if (h == NULL || symbol == NULL || fails_at() == 0) {
		free(h);
		return NOT_INITIALIZED;
	}
	memcpy(&h->give, &symbol, sizeof symbol);
	*out = h;
	return SUCCESS;
}

EXPORTED int cublasDestroy_v2(struct handle *h)
{
	free(h);
	return SUCCESS;
}

/* As there, this takes the workspace away. */
EXPORTED int cublasSetStream_v2(struct handle *h, void *stream)
{
	h->stream = stream;
	h->workspace = NULL;
	return SUCCESS;
}

EXPORTED int cublasSetWorkspace_v2(struct handle *h, void *at, size_t bytes)
{
	if ((uintptr_t)at % 256 != 0 || bytes == 0)
		return INVALID_VALUE;
	h->workspace = at;
	return SUCCESS;
}

EXPORTED int cublasGetProperty(int which, int *value)
{
	int number[3] = { 99, 1, 2 };
	const char *named = getenv("EMULATOR_CUBLAS_VERSION");
	if (named != NULL && sscanf(named, "%d.%d.%d", &number[0], &number[1], &number[2]) != 3)
		return INVALID_VALUE;
	*value = number[which];
	return SUCCESS;
}

EXPORTED const char *cublasGetStatusString(int status)
{
	return status == EXECUTION_FAILED   ? "the function failed to launch on the GPU"
	       : status == NOT_INITIALIZED ? "the library was not initialized"
					   : "an unsupported value or parameter was passed to the function";
}

static float number(uint16_t bf16)
{
	uint32_t bits = (uint32_t)bf16 << 16;
	float v;
	memcpy(&v, &bits, sizeof v);
	return v;
}

static void multiply(const void *data)
{
	const struct product *p = data;
	products++;
	for (int i = 0; i < p->rows; i++) {
		for (int o = 0; o < p->outputs; o++) {
			float sum[LANES] = { 0 };
			const uint16_t *w = p->weights + (size_t)o * (size_t)p->columns;
			const uint16_t *x = p->x + (size_t)i * (size_t)p->columns;
			for (int k = p->columns; k-- > 0;)
				sum[k % LANES] += number(w[k]) * number(x[k]);
			p->out[(size_t)i * (size_t)p->out_stride + (size_t)o] = sum[0] + (sum[1] + sum[2]);
		}
	}
}

EXPORTED int cublasGemmEx(struct handle *h, int transa, int transb, int m, int n, int k, const float *alpha,
			  const void *a, int a_type, int lda, const void *b, int b_type, int ldb,
			  const float *beta, void *c, int c_type, int ldc, int compute, int algorithm)
{
	static int count;
	const struct product p = { m, n, k, ldc, a, b, c };
	if (fails_at() > 0 && ++count >= fails_at())
		return EXECUTION_FAILED;
	if (transa != OP_T || transb != OP_N || a_type != R_16BF || b_type != R_16BF || c_type != R_32F ||
	    compute != COMPUTE_32F || algorithm != -1 || *alpha < 1 || *alpha > 1 || *beta < 0 || *beta > 0)
		return NOT_SUPPORTED;
	if (m <= 0 || n <= 0 || k <= 0 || lda < k || ldb < k || ldc < m || lda != k || ldb != k ||
	    h->workspace == NULL)
		return INVALID_VALUE;
	return h->give(h->stream, multiply, &p, sizeof p);
}
