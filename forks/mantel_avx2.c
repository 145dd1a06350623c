/* AVX2 form of S2's inner loop: a pair of units is one vector of 16 numbers. */
#include "forks/mantel.h"

#include <immintrin.h>

static inline __m256i mantel_product(const int16_t *x, const int16_t *y)
{
	return _mm256_madd_epi16(_mm256_loadu_si256((const __m256i *)(const void *)x),
				 _mm256_loadu_si256((const __m256i *)(const void *)y));
}

int32_t fork_mantel_sum_avx2(const struct mantel_gram *moved, const struct mantel_gram *still,
			     const uint16_t *order, uint32_t n)
{
	__m256i even = _mm256_setzero_si256(), odd = even;
	__m128i half;

	for (uint32_t i = 0; i < n; i++) {
		const int16_t(*row)[MANTEL_LANES] = moved->v[order[i]];
		const int16_t(*at)[MANTEL_LANES] = still->v[i];
		uint32_t j = i + 1;

		for (; j + 2 <= n; j += 2) {
			even = _mm256_add_epi32(even, mantel_product(row[order[j]], at[j]));
			odd = _mm256_add_epi32(odd, mantel_product(row[order[j + 1]], at[j + 1]));
		}
		if (j < n)
			even = _mm256_add_epi32(even, mantel_product(row[order[j]], at[j]));
	}
	even = _mm256_add_epi32(even, odd);
	half = _mm_add_epi32(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
	half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
	return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}
