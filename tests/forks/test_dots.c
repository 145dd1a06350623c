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
Test(forks_dots, all_forms_give_the_sums)
{
	static const int range[] = { 1, 2048, 32767 };
	int16_t a[ROWS * STRIDE], b[ROWS * STRIDE];
	int32_t plain[ROWS * ROWS], fast[ROWS * ROWS], narrow[ROWS * ROWS];

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
				if (__builtin_cpu_supports("avx2")) {
					fork_dots_avx2(&x, &y, width, narrow);
					cr_expect_arr_eq(plain, narrow,
							 x.rows * y.rows * sizeof *plain);
				}
				y.rows = x.rows;
				cr_expect(r == 2 || fork_dots_trace(&x, &y, width) ==
							    fork_dots_trace_plain(&x, &y, width));
				for (uint32_t k = 0; k < width; k++)
					sum += (uint64_t)((int64_t)a[k] * b[k]);
				cr_expect_eq(plain[0], (int32_t)(uint32_t)sum);
			}
}

Test(forks_dots, both_forms_find_the_first_of_the_largest)
{
	static const int32_t row[][19] = {
		{ 0 },
		{ 1, -5, 5, 3 },
		{ 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1 },
		{ 7, 0, 0, 0, 0, 0, 0, 0, -7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7 },
		{ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, INT32_MIN, INT32_MAX, 16, 17, 18, 19 },
	};
	static const uint32_t want[] = { 0, 1, 18, 0, 13 };

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		cr_expect_eq(fork_dots_largest(row[i], 19), want[i], "row %zu", i);
		for (uint32_t n = 1; n <= 19; n++)
			cr_expect_eq(fork_dots_largest(row[i], n),
				     fork_dots_largest_plain(row[i], n), "row %zu, %u", i, n);
	}
}
