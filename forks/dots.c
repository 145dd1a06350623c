#include "forks/dots.h"

#include "base/check.h"

#include <stddef.h>

void fork_dots_plain(const struct dots_side *a, const struct dots_side *b, uint32_t width,
		     int32_t *out)
{
	check(width % 16 == 0);
	for (uint32_t i = 0; i < a->rows; i++)
		for (uint32_t j = 0; j < b->rows; j++) {
			const int16_t *x = a->v + (size_t)i * a->stride,
				      *y = b->v + (size_t)j * b->stride;
			uint32_t sum = 0; /* wraps as the other form does */

			for (uint32_t k = 0; k < width; k++)
				sum += (uint32_t)((int32_t)x[k] * y[k]);
			*out++ = (int32_t)sum;
		}
}

void fork_dots(const struct dots_side *a, const struct dots_side *b, uint32_t width, int32_t *out)
{
	if (__builtin_cpu_supports("avx2"))
		fork_dots_avx2(a, b, width, out);
	else
		fork_dots_plain(a, b, width, out);
}
