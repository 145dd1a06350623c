/* Quantised input rows, in AVX2 for every vector set; rows.c has the canonical form. */
#include "kernels/ops.h"

#include <immintrin.h>
#include <string.h>

/* The block's scale, and 127 / the largest magnitude, found by comparing the bits as integers. */
static float block_scale(const float *x, float *inverse)
{
	const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
	__m256i most = _mm256_setzero_si256();
	for (int j = 0; j < KERNEL_INPUT_BLOCK; j += 8) {
		__m256i bits = _mm256_castps_si256(_mm256_loadu_ps(x + j));
		most = _mm256_max_epu32(most, _mm256_and_si256(bits, magnitude));
	}
	__m128i four = _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
	four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
	four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1));
	float value = _mm_cvtss_f32(_mm_castsi128_ps(four));
	bool some = _mm_cvtsi128_si32(four) >= 0x0d800000; /* 2^-100 */
	*inverse = some ? 127.0f / value : 0;
	return some ? value / 127.0f : 0;
}

static void group_put(const float *x, float inverse, int8_t *code, int32_t *start)
{
	__m256i n[4];
	for (int j = 0; j < 4; j++) {
		__m256 c = _mm256_mul_ps(_mm256_loadu_ps(x + 8 * j), _mm256_set1_ps(inverse));
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

void kernel_quant_row_avx2(const float *x, uint32_t n, const struct kernel_quant *q, uint32_t i)
{
	for (uint32_t k = 0; k < n; k += KERNEL_INPUT_BLOCK) {
		float rest[KERNEL_INPUT_BLOCK], inverse;
		const float *from = x + k;
		size_t at = i * kernel_quant_columns(n) + k;
		if (n - k < KERNEL_INPUT_BLOCK) {
			memset(rest, 0, sizeof rest);
			memcpy(rest, from, (n - k) * sizeof *rest);
			from = rest;
		}
		q->scale[at / KERNEL_INPUT_BLOCK] = block_scale(from, &inverse);
		for (uint32_t g = 0; g < KERNEL_INPUT_BLOCK; g += KERNEL_GROUP)
			group_put(from + g, inverse, q->code + at + g, q->start + (at + g) / KERNEL_GROUP);
	}
}
