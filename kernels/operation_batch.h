/* The rows of one pass, as the operations of a device read them. */
#ifndef KERNELS_OPERATION_BATCH_H
#define KERNELS_OPERATION_BATCH_H

#include "kernels/fragment.h"
#include "kernels/kernels.h"

/* What differs from pass to pass, in device memory. The arrays are those of struct pass
 * (engine/backend.h). */
struct device_batch {
	uint32_t rows, sequences, wanted;
	const uint32_t *token, *position, *sequence; /* [rows] */
	const uint32_t *page;                        /* [first_page[sequences]]: numbers */
	const uint32_t *first_page;                  /* [sequences + 1] */
	const uint32_t *first_row;                   /* [sequences + 1]: rows of a sequence */
	const uint32_t *want;                        /* [wanted] */
	const uint8_t *far;                          /* [sequences] 0 or 1; NULL: none is */
	unsigned char *const *page_at;               /* by page's number: where it begins */
};

#endif
