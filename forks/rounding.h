/* Is a matrix the other one rounded to 8 bits? int8 by row: q = k s, s = max|row| / 127, k an
 * integer. FP8: E4M3 (OCP) in blocks of 128x128, s = max|block| / 448 or the stored scale. Stored
 * again as BF16 or wider, or as FP8 itself. Private to forks/. */
#ifndef FORKS_ROUNDING_H
#define FORKS_ROUNDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROUNDING_BLOCK 128

/* Counts values of a matrix that do not lie where rounding would have put them. */
struct rounding {
	uint64_t values, off_int8, off_fp8;
};

/* A panel of `rows` <= ROUNDING_BLOCK rows that begins at a multiple of it. a: the parent, b: the
 * suspect, [rows][columns]. scale: b's stored FP8 scales of this panel, one for each 128 columns,
 * or NULL: derived from a. */
void fork_rounding_add(struct rounding *r, const float *a, const float *b, size_t rows,
		       size_t columns, const float *scale);

/* Whether at most 1% of the values are off, by one of the rules: values near a tie, or a scale that
 * was rounded differently, may be. */
bool fork_rounding_fits(const struct rounding *r);

/* Nearest E4M3 value, ties to even, saturating at 448. */
float fork_rounding_e4m3(float v);

#endif
