/* Private: what the plain and the vector forms of packing share. */
#ifndef KERNELS_PACK_H
#define KERNELS_PACK_H

#include "kernels/kernels.h"
#include "kernels/number.h"

/* Bits of the smallest magnitude that a format refuses: what it would round to infinity, or what
 * would take a group's f16 scale there (65520 rounds to infinity). */
static inline uint32_t pack_limit(enum kernel_format f)
{
	switch (f) {
	case KERNEL_BF16: return 0x7f7f8000u;
	case KERNEL_F16: return number_bits(65520.0f);
	case KERNEL_Q8: return number_bits(127 * 65520.0f);
	case KERNEL_Q4: return number_bits(8 * 65520.0f);
	default: return 0x7f800000u;
	}
}

/* Check the arguments of a call: a violation is a broken invariant. */
void kernel_pack_check(const struct kernel_matrix *w, uint32_t row, uint32_t rows,
		       const struct kernel_stored_rows *from);
/* Value (i, k) of the source rows; row + i is the matrix's row. */
float kernel_pack_value(const struct kernel_stored_rows *from, uint32_t row, uint32_t i,
			uint32_t k);
/* Index of the first value of rows [i, i+rows) at or above the limit, or that of row i + rows. */
uint64_t kernel_pack_refused(const struct kernel_matrix *w, uint32_t row, uint32_t i, uint32_t rows,
			     const struct kernel_stored_rows *from);

#endif
