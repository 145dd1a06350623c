/* Private: the form of product.cu for many rows in the fast regime, launched by product_cuda.
 * cudaErrorNotSupported elsewhere than on compute capability 9.0. */
#ifndef KERNELS_PRODUCT_FAST_H
#define KERNELS_PRODUCT_FAST_H

#include "kernels/device_kernel.h"

int product_fast_launch(void *stream, const struct product_args &a);

#endif
