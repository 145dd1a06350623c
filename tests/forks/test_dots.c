#include "forks/dots.h"

#include <criterion/criterion.h>

#define ROWS 11
#define STRIDE 48

static void fill(int16_t *v, uint32_t count, uint64_t seed, int range)
{
	for (uint32_t i = 0; i < count; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		v[i] = (int16_t)((int)(seed >> 40) % (2 * range + 1) - range);
	}
}

/* Rows that fill tiles and rows that do not, widths below the stride, and products that wrap. */
Test(forks_dots, both_forms_give_the_sums)
{
	static const int range[] = { 1, 4096, 32767 };
	int16_t a[ROWS * STRIDE], b[ROWS * STRIDE];
	int32_t plain[ROWS * ROWS], fast[ROWS * ROWS];

	for (uint32_t r = 0; r < 3; r++)
		for (uint32_t rows = 1; rows <= ROWS; rows++)
			for (uint32_t width = 16; width <= STRIDE; width += 16) {
				struct dots_side x = { a, rows, STRIDE },
						 y = { b, ROWS + 1 - rows, STRIDE };
				uint64_t sum = 0;

				fill(a, ROWS * STRIDE, rows, range[r]);
				fill(b, ROWS * STRIDE, width + 100, range[r]);
				fork_dots_plain(&x, &y, width, plain);
				fork_dots(&x, &y, width, fast);
				cr_expect_arr_eq(plain, fast, x.rows * y.rows * sizeof *plain);
				y.rows = x.rows;
				cr_expect_eq(fork_dots_trace(&x, &y, width),
					     fork_dots_trace_plain(&x, &y, width));
				for (uint32_t k = 0; k < width; k++)
					sum += (uint64_t)((int64_t)a[k] * b[k]);
				cr_expect_eq(plain[0], (int32_t)(uint32_t)sum);
			}
}
