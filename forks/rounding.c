#include "forks/rounding.h"

#include <math.h>

/* relative: one unit in the last place of BF16, in which rounded weights are often stored */
#define STORAGE 0x1p-8f
#define TIE 0.49f /* further from an integer, either neighbour may have been chosen */

static float largest(const float *v, size_t rows, size_t columns, size_t stride)
{
	float max = 0;

	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++)
			max = fmaxf(max, fabsf(v[r * stride + c]));
	return max;
}

static uint64_t row_off_int8(const float *a, const float *b, size_t columns)
{
	float s = largest(a, 1, columns, columns) / 127;
	uint64_t off = 0;

	for (size_t c = 0; c < columns; c++) {
		float steps = s > 0 ? a[c] / s : 0, k = rintf(steps), q = k * s;
		bool fits = fabsf(b[c] - q) <= fabsf(q) * STORAGE;

		if (!fits && fabsf(steps - k) > TIE) {
			q = (k + (steps > k ? 1.0f : -1.0f)) * s;
			fits = fabsf(b[c] - q) <= fabsf(q) * STORAGE;
		}
		off += !fits;
	}
	return off;
}

float fork_rounding_e4m3(float v)
{
	float size = fabsf(v), step;
	int exponent;

	if (size >= 448)
		return copysignf(448, v);
	frexpf(size, &exponent); /* size in [2^(exponent-1), 2^exponent) */
	step = ldexpf(1, (exponent < -5 ? -5 : exponent) - 4);
	return copysignf(fminf(rintf(size / step) * step, 448), v);
}

static uint64_t block_off_fp8(const float *a, const float *b, size_t rows, size_t columns,
			      size_t stride, float s)
{
	uint64_t off = 0;

	for (size_t r = 0; r < rows; r++)
		for (size_t c = 0; c < columns; c++) {
			float q = s > 0 ? fork_rounding_e4m3(a[r * stride + c] / s) * s : 0;

			off += fabsf(b[r * stride + c] - q) > fabsf(q) * STORAGE;
		}
	return off;
}

void fork_rounding_add(struct rounding *r, const float *a, const float *b, size_t rows,
		       size_t columns, const float *scale)
{
	for (size_t row = 0; row < rows; row++)
		r->off_int8 += row_off_int8(a + row * columns, b + row * columns, columns);
	for (size_t c = 0; c < columns; c += ROUNDING_BLOCK) {
		size_t width = columns - c < ROUNDING_BLOCK ? columns - c : ROUNDING_BLOCK;
		float s = scale ? scale[c / ROUNDING_BLOCK]
				: largest(a + c, rows, width, columns) / 448;

		r->off_fp8 += block_off_fp8(a + c, b + c, rows, width, columns, s);
	}
	r->values += rows * columns;
}

bool fork_rounding_fits(const struct rounding *r)
{
	return r->values > 0 && (r->off_int8 <= r->values / 100 || r->off_fp8 <= r->values / 100);
}
