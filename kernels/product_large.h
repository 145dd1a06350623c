/* Private: product.cu's way to the form for many rows. */
#ifndef KERNELS_PRODUCT_LARGE_H
#define KERNELS_PRODUCT_LARGE_H

#include "kernels/device_kernel.h"

struct large_args {
	struct product_args a;
	uint32_t rows, stages; /* of an item: 16, 32 or 64; of weights in shared memory: 2 to 4 */
};

/* As product_cuda, of args that are valid; the form's rows and stages where they fit. */
int product_large_launch(void *stream, const struct product_args &a);

#endif
