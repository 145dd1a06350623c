#include "forks/dots.h"

#include "base/check.h"

#include <stddef.h>

static int32_t dots_one(const int16_t *x, const int16_t *y, uint32_t width)
{
	uint32_t sum = 0; /* wraps as the other form does */

	for (uint32_t k = 0; k < width; k++)
		sum += (uint32_t)((int32_t)x[k] * y[k]);
	return (int32_t)sum;
}

void fork_dots_plain(const struct dots_side *a, const struct dots_side *b, uint32_t width,
		     int32_t *out)
{
	check(width % 16 == 0);
	for (uint32_t i = 0; i < a->rows; i++)
		for (uint32_t j = 0; j < b->rows; j++)
			*out++ = dots_one(a->v + (size_t)i * a->stride,
					  b->v + (size_t)j * b->stride, width);
}

int64_t fork_dots_trace_plain(const struct dots_side *a, const struct dots_side *b, uint32_t width)
{
	int64_t sum = 0;

	check(width % 16 == 0);
	for (uint32_t i = 0; i < a->rows; i++)
		sum += dots_one(a->v + (size_t)i * a->stride, b->v + (size_t)i * b->stride, width);
	return sum;
}

bool fork_dots_has_vnni(void)
{
	return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

void fork_dots(const struct dots_side *a, const struct dots_side *b, uint32_t width, int32_t *out)
{
	if (fork_dots_has_vnni())
		fork_dots_vnni(a, b, width, out);
	else if (__builtin_cpu_supports("avx2"))
		fork_dots_avx2(a, b, width, out);
	else
		fork_dots_plain(a, b, width, out);
}

int64_t fork_dots_trace(const struct dots_side *a, const struct dots_side *b, uint32_t width)
{
	return __builtin_cpu_supports("avx2") ? fork_dots_trace_avx2(a, b, width)
					      : fork_dots_trace_plain(a, b, width);
}

uint32_t fork_dots_largest_plain(const int32_t *v, uint32_t n)
{
	uint32_t most = 0, at = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t m = v[i] < 0 ? 0u - (uint32_t)v[i] : (uint32_t)v[i];

		at = m > most ? i : at;
		most = m > most ? m : most;
	}
	return at;
}

uint32_t fork_dots_largest(const int32_t *v, uint32_t n)
{
	return __builtin_cpu_supports("avx2") ? fork_dots_largest_avx2(v, n)
					      : fork_dots_largest_plain(v, n);
}
