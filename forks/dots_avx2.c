/* AVX2 form of fork_dots: four vectors of b beside one of a, 16 products an instruction. */
#include "forks/dots.h"

#include "base/check.h"

#include <immintrin.h>
#include <stddef.h>

static inline __m256i dots_load(const int16_t *v)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)v);
}

/* The sums of the eight numbers of each. */
static inline __m128i dots_fold(__m256i s0, __m256i s1, __m256i s2, __m256i s3)
{
	__m256i all = _mm256_hadd_epi32(_mm256_hadd_epi32(s0, s1), _mm256_hadd_epi32(s2, s3));

	return _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
}

/* Two vectors of a against four of b. */
static inline void dots_tile(const int16_t *x, size_t x_stride, const int16_t *y, size_t y_stride,
			     uint32_t width, int32_t *out, size_t out_stride)
{
	__m256i s00 = _mm256_setzero_si256(), s01 = s00, s02 = s00, s03 = s00, s10 = s00, s11 = s00,
		s12 = s00, s13 = s00;

	for (uint32_t k = 0; k < width; k += 16, x += 16, y += 16) {
		__m256i x0 = dots_load(x), x1 = dots_load(x + x_stride), b;

		b = dots_load(y);
		s00 = _mm256_add_epi32(s00, _mm256_madd_epi16(x0, b));
		s10 = _mm256_add_epi32(s10, _mm256_madd_epi16(x1, b));
		b = dots_load(y + y_stride);
		s01 = _mm256_add_epi32(s01, _mm256_madd_epi16(x0, b));
		s11 = _mm256_add_epi32(s11, _mm256_madd_epi16(x1, b));
		b = dots_load(y + 2 * y_stride);
		s02 = _mm256_add_epi32(s02, _mm256_madd_epi16(x0, b));
		s12 = _mm256_add_epi32(s12, _mm256_madd_epi16(x1, b));
		b = dots_load(y + 3 * y_stride);
		s03 = _mm256_add_epi32(s03, _mm256_madd_epi16(x0, b));
		s13 = _mm256_add_epi32(s13, _mm256_madd_epi16(x1, b));
	}
	_mm_storeu_si128((__m128i *)(void *)out, dots_fold(s00, s01, s02, s03));
	_mm_storeu_si128((__m128i *)(void *)(out + out_stride), dots_fold(s10, s11, s12, s13));
}

static int32_t dots_one(const int16_t *x, const int16_t *y, uint32_t width)
{
	__m256i s = _mm256_setzero_si256();

	for (uint32_t k = 0; k < width; k += 16)
		s = _mm256_add_epi32(s, _mm256_madd_epi16(dots_load(x + k), dots_load(y + k)));
	return _mm_cvtsi128_si32(dots_fold(s, s, s, s));
}

void fork_dots_avx2(const struct dots_side *a, const struct dots_side *b, uint32_t width,
		    int32_t *out)
{
	uint32_t rows = a->rows / 2 * 2, columns = b->rows / 4 * 4;

	check(width % 16 == 0);
	for (uint32_t i = 0; i < a->rows; i++)
		for (uint32_t j = i < rows ? columns : 0; j < b->rows; j++)
			out[(size_t)i * b->rows + j] =
				dots_one(a->v + (size_t)i * a->stride, b->v + (size_t)j * b->stride,
					 width);
	for (uint32_t i = 0; i < rows; i += 2)
		for (uint32_t j = 0; j < columns; j += 4)
			dots_tile(a->v + (size_t)i * a->stride, a->stride,
				  b->v + (size_t)j * b->stride, b->stride, width,
				  out + (size_t)i * b->rows + j, b->rows);
}

/* Eight rows are added up before their lanes are. */
int64_t fork_dots_trace_avx2(const struct dots_side *a, const struct dots_side *b, uint32_t width)
{
	const int16_t *x = a->v, *y = b->v;
	int64_t sum = 0;

	check(width % 16 == 0);
	for (uint32_t i = 0; i < a->rows; i += 8) {
		uint32_t rows = a->rows - i < 8 ? a->rows - i : 8;
		__m256i s = _mm256_setzero_si256();

		for (uint32_t n = 0; n < rows; n++, x += a->stride, y += b->stride)
			for (uint32_t k = 0; k < width; k += 16)
				s = _mm256_add_epi32(s, _mm256_madd_epi16(dots_load(x + k),
									  dots_load(y + k)));
		sum += _mm_cvtsi128_si32(dots_fold(s, s, s, s));
	}
	return sum;
}

static inline __m256i dots_magnitude(const int32_t *v)
{
	return _mm256_abs_epi32(_mm256_loadu_si256((const __m256i *)(const void *)v));
}

/* The largest of all first, then where it is. */
uint32_t fork_dots_largest_avx2(const int32_t *v, uint32_t n)
{
	__m256i most = _mm256_setzero_si256();
	uint32_t lane[8], rest = n / 8 * 8, largest = 0, at = 0;

	for (uint32_t i = 0; i < rest; i += 8)
		most = _mm256_max_epu32(most, dots_magnitude(v + i));
	_mm256_storeu_si256((__m256i *)(void *)lane, most);
	for (uint32_t i = 0; i < 8; i++)
		largest = lane[i] > largest ? lane[i] : largest;
	most = _mm256_set1_epi32((int32_t)largest);
	while (at < rest && largest > 0) {
		__m256i same = _mm256_cmpeq_epi32(most, dots_magnitude(v + at));
		unsigned where = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(same));

		if (where) {
			at += (uint32_t)__builtin_ctz(where);
			break;
		}
		at += 8;
	}
	at = largest > 0 ? at : 0;
	for (uint32_t i = rest; i < n; i++) {
		uint32_t m = v[i] < 0 ? 0u - (uint32_t)v[i] : (uint32_t)v[i];

		at = m > largest ? i : at;
		largest = m > largest ? m : largest;
	}
	return at;
}
