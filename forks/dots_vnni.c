/* AVX-512 VNNI form of fork_dots: four vectors of b beside four of a, 32 products an instruction.
 * Its sums wrap as the other forms' do. */
#include "forks/dots.h"

#include "base/check.h"

#include <immintrin.h>
#include <stddef.h>

#define ROWS 4
#define COLUMNS 4

static inline __m512i dots_load(const int16_t *v, __mmask32 some)
{
	return _mm512_maskz_loadu_epi16(some, v);
}

static inline __m256i dots_halve(__m512i s)
{
	return _mm256_add_epi32(_mm512_castsi512_si256(s), _mm512_extracti64x4_epi64(s, 1));
}

/* The sums of the sixteen numbers of each. */
static inline __m128i dots_fold(const __m512i s[COLUMNS])
{
	__m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(dots_halve(s[0]), dots_halve(s[1])),
					_mm256_hadd_epi32(dots_halve(s[2]), dots_halve(s[3])));

	return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

/* Up to 32 numbers of each vector. */
static inline __attribute__((always_inline)) void dots_step(const int16_t *x, size_t x_stride,
							    size_t rows, const int16_t *y,
							    size_t y_stride, __mmask32 some,
							    __m512i s[ROWS][COLUMNS])
{
	__m512i a[ROWS];

#pragma GCC unroll 4
	for (size_t i = 0; i < rows; i++)
		a[i] = dots_load(x + i * x_stride, some);
#pragma GCC unroll 4
	for (size_t j = 0; j < COLUMNS; j++) {
		__m512i b = dots_load(y + j * y_stride, some);

#pragma GCC unroll 4
		for (size_t i = 0; i < rows; i++)
			s[i][j] = _mm512_dpwssd_epi32(s[i][j], a[i], b);
	}
}

/* rows: known when it is compiled. */
static inline __attribute__((always_inline)) void dots_tile(const int16_t *x, size_t x_stride,
							    size_t rows, const int16_t *y,
							    size_t y_stride, uint32_t width,
							    int32_t *out, size_t out_stride)
{
	__m512i s[ROWS][COLUMNS];
	uint32_t k = 0;

#pragma GCC unroll 4
	for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 4
		for (size_t j = 0; j < COLUMNS; j++)
			s[i][j] = _mm512_setzero_si512();
	for (; k + 32 <= width; k += 32)
		dots_step(x + k, x_stride, rows, y + k, y_stride, UINT32_MAX, s);
	if (k < width)
		dots_step(x + k, x_stride, rows, y + k, y_stride, 0xffff, s);
#pragma GCC unroll 4
	for (size_t i = 0; i < rows; i++)
		_mm_storeu_si128((__m128i *)(void *)(out + i * out_stride), dots_fold(s[i]));
}

/* Some rows against all columns that fill tiles. */
static inline __attribute__((always_inline)) void dots_rows(const struct dots_side *a, uint32_t i,
							    size_t rows, const struct dots_side *b,
							    uint32_t width, int32_t *out)
{
	for (uint32_t j = 0; j + COLUMNS <= b->rows; j += COLUMNS)
		dots_tile(a->v + (size_t)i * a->stride, a->stride, rows,
			  b->v + (size_t)j * b->stride, b->stride, width,
			  out + (size_t)i * b->rows + j, b->rows);
}

static int32_t dots_one(const int16_t *x, const int16_t *y, uint32_t width)
{
	__m512i s = _mm512_setzero_si512();

	for (uint32_t k = 0; k < width; k += 32) {
		__mmask32 some = k + 32 <= width ? UINT32_MAX : 0xffff;

		s = _mm512_dpwssd_epi32(s, dots_load(x + k, some), dots_load(y + k, some));
	}
	return _mm512_reduce_add_epi32(s);
}

void fork_dots_vnni(const struct dots_side *a, const struct dots_side *b, uint32_t width,
		    int32_t *out)
{
	uint32_t i = 0;

	check(width % 16 == 0);
	for (; i + ROWS <= a->rows; i += ROWS)
		dots_rows(a, i, ROWS, b, width, out);
	for (; i + 2 <= a->rows; i += 2)
		dots_rows(a, i, 2, b, width, out);
	if (i < a->rows)
		dots_rows(a, i, 1, b, width, out);
	for (i = 0; i < a->rows; i++)
		for (uint32_t j = b->rows / COLUMNS * COLUMNS; j < b->rows; j++)
			out[(size_t)i * b->rows + j] =
				dots_one(a->v + (size_t)i * a->stride, b->v + (size_t)j * b->stride,
					 width);
}
