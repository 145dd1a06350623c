/* Quantised input rows, in AVX2 for every vector set; rows.c has the canonical form. */
#include "kernels/ops.h"

#include <immintrin.h>
#include <string.h>

/* The group's scale, and 127 / the largest magnitude, which is the largest among the bits. */
static float group_scale(const __m256 *v, float *inverse)
{
	const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
	__m256i most = _mm256_and_si256(_mm256_castps_si256(v[0]), magnitude);
	for (int j = 1; j < 4; j++)
		most = _mm256_max_epu32(most,
					_mm256_and_si256(_mm256_castps_si256(v[j]), magnitude));
	__m128i four = _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
	four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
	four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
	float value = _mm_cvtss_f32(_mm_castsi128_ps(four));
	bool some = _mm_cvtsi128_si32(four) >= 0x0d800000; /* 2^-100 */
	*inverse = some ? 127.0f / value : 0;
	return some ? value / 127.0f : 0;
}

static void group_put(const float *x, int8_t *code, float *scale, int32_t *start)
{
	__m256 v[4];
	__m256i n[4];
	float inverse;
	for (int j = 0; j < 4; j++)
		v[j] = _mm256_loadu_ps(x + 8 * j);
	*scale = group_scale(v, &inverse);
	for (int j = 0; j < 4; j++) {
		__m256 c = _mm256_mul_ps(v[j], _mm256_set1_ps(inverse));
		c = _mm256_max_ps(c, _mm256_set1_ps(-127.0f)); /* the second of a NaN */
		n[j] = _mm256_cvtps_epi32(_mm256_min_ps(c, _mm256_set1_ps(127.0f)));
	}
	__m256i sum = _mm256_add_epi32(_mm256_add_epi32(n[0], n[1]), _mm256_add_epi32(n[2], n[3]));
	__m128i four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
	four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
	four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
	*start = -128 * _mm_cvtsi128_si32(four);
	__m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(n[0], n[1]),
					   _mm256_packs_epi32(n[2], n[3]));
	bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
	_mm256_storeu_si256((__m256i *)(void *)code, bytes);
}

void quant_row_avx2(const float *x, uint32_t n, const struct kernel_quant *q, uint32_t i)
{
	size_t wide = kernel_quant_columns(n), groups = wide / KERNEL_GROUP;
	int8_t *code = q->code + i * wide;
	float *scale = q->scale + i * groups;
	int32_t *start = q->start + i * groups;
	size_t whole = n / KERNEL_GROUP;
	for (size_t g = 0; g < whole; g++)
		group_put(x + g * KERNEL_GROUP, code + g * KERNEL_GROUP, scale + g, start + g);
	for (size_t g = whole; g < groups; g++) {
		float rest[KERNEL_GROUP] = { 0 };
		size_t at = g * KERNEL_GROUP;
		if (at < n)
			memcpy(rest, x + at, (n - at) * sizeof *rest);
		group_put(rest, code + at, scale + g, start + g);
	}
}
