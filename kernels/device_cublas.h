/* Private: cuBLAS, which is loaded at run time where it is, so that nothing needs it. Results are 0
 * or error numbers, CUDA's or those that device_cublas_why knows. */
#ifndef KERNELS_DEVICE_CUBLAS_H
#define KERNELS_DEVICE_CUBLAS_H

#include "kernels/device_kernel.h"

/* For the table (kernels/device_table.h). */
bool device_cublas_version(char *out, size_t room);
int device_cublas_open(cudaStream_t stream);
void device_cublas_close(cudaStream_t stream); /* one that was never opened is fine */
/* NULL: the number is not of cuBLAS. */
const char *device_cublas_why(int error);

/* out[i][o] = sum_k weights[o][k] rows[i][k], for i below `rows` and o below `outputs`. */
struct device_cublas_product {
	uint32_t outputs, rows, columns; /* columns: also the distance of rows of both factors */
	const void *weights, *x;         /* bf16 */
	float *out;
	size_t out_stride;
	void *workspace;
	size_t workspace_bytes;
};
/* cudaErrorNotSupported: the stream was not opened. May be captured. */
int device_cublas_multiply(cudaStream_t stream, const struct device_cublas_product &p);

#endif
