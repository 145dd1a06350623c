/* AVX2 forms of sketch_loops.c: the same lanes, two to a vector. Products are rounded before they
 * are added, as there. */
#include "forks/sketch_in.h"

#include <immintrin.h>

static inline __m256i turned(__m256i state, __m256i fed)
{
	state = _mm256_xor_si256(state, fed);
	state = _mm256_add_epi64(state, _mm256_slli_epi64(state, 5));
	return _mm256_or_si256(_mm256_slli_epi64(state, 29), _mm256_srli_epi64(state, 35));
}

static inline __m256i bits_of(__m256 x)
{
	return _mm256_castps_si256(_mm256_add_ps(x, _mm256_setzero_ps()));
}

static inline __m256i unlike(__m256i bits, __m256i first)
{
	__m256i zero = _mm256_cmpeq_epi32(bits, _mm256_setzero_si256());

	return _mm256_andnot_si256(zero, _mm256_xor_si256(bits, first));
}

static inline __m256d squares_of(__m128 x)
{
	__m256d v = _mm256_cvtps_pd(x);

	return _mm256_mul_pd(v, v);
}

double fork_scan_steps_avx2(struct scan_lanes *l, const float *x, size_t n, uint32_t first)
{
	__m256i h0 = _mm256_loadu_si256((const __m256i *)(const void *)l->hash);
	__m256i h1 = _mm256_loadu_si256((const __m256i *)(const void *)(l->hash + 4));
	__m256i one = _mm256_set1_epi32((int)first), differs = _mm256_setzero_si256();
	__m256d s0 = _mm256_setzero_pd(), s1 = s0;
	uint32_t apart[8];
	double sum[4];

	for (size_t i = 0; i < n; i += SCAN_STEP) {
		__m256 v0 = _mm256_loadu_ps(x + i), v1 = _mm256_loadu_ps(x + i + 8);
		__m256i b0 = bits_of(v0), b1 = bits_of(v1);

		differs =
			_mm256_or_si256(differs, _mm256_or_si256(unlike(b0, one), unlike(b1, one)));
		h0 = turned(h0, b0);
		h1 = turned(h1, b1);
		s0 = _mm256_add_pd(s0, _mm256_add_pd(squares_of(_mm256_castps256_ps128(v0)),
						     squares_of(_mm256_castps256_ps128(v1))));
		s1 = _mm256_add_pd(s1, _mm256_add_pd(squares_of(_mm256_extractf128_ps(v0, 1)),
						     squares_of(_mm256_extractf128_ps(v1, 1))));
	}
	_mm256_storeu_si256((__m256i *)(void *)l->hash, h0);
	_mm256_storeu_si256((__m256i *)(void *)(l->hash + 4), h1);
	_mm256_storeu_si256((__m256i *)(void *)apart, differs);
	for (int i = 0; i < 8; i++)
		l->differs |= apart[i];
	_mm256_storeu_pd(sum, _mm256_add_pd(s0, s1));
	return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

static inline __m256 added(__m256 sum, __m256 a, __m256 b)
{
	return _mm256_add_ps(sum, _mm256_mul_ps(a, b));
}

void fork_tile_avx2(const struct tile *t)
{
	const float *x = t->x, *y = t->y;
	float *o0 = t->out, *o1 = o0 + t->out_stride, *o2 = o1 + t->out_stride,
	      *o3 = o2 + t->out_stride;
	__m256 s00 = _mm256_loadu_ps(o0), s01 = _mm256_loadu_ps(o0 + 8);
	__m256 s10 = _mm256_loadu_ps(o1), s11 = _mm256_loadu_ps(o1 + 8);
	__m256 s20 = _mm256_loadu_ps(o2), s21 = _mm256_loadu_ps(o2 + 8);
	__m256 s30 = _mm256_loadu_ps(o3), s31 = _mm256_loadu_ps(o3 + 8);

	for (uint32_t k = 0; k < t->count; k++, x += t->x_stride, y += t->y_stride) {
		__m256 b0 = _mm256_loadu_ps(y), b1 = _mm256_loadu_ps(y + 8);
		__m256 a0 = _mm256_broadcast_ss(x), a1 = _mm256_broadcast_ss(x + 1),
		       a2 = _mm256_broadcast_ss(x + 2), a3 = _mm256_broadcast_ss(x + 3);

		s00 = added(s00, a0, b0);
		s01 = added(s01, a0, b1);
		s10 = added(s10, a1, b0);
		s11 = added(s11, a1, b1);
		s20 = added(s20, a2, b0);
		s21 = added(s21, a2, b1);
		s30 = added(s30, a3, b0);
		s31 = added(s31, a3, b1);
	}
	_mm256_storeu_ps(o0, s00);
	_mm256_storeu_ps(o0 + 8, s01);
	_mm256_storeu_ps(o1, s10);
	_mm256_storeu_ps(o1 + 8, s11);
	_mm256_storeu_ps(o2, s20);
	_mm256_storeu_ps(o2 + 8, s21);
	_mm256_storeu_ps(o3, s30);
	_mm256_storeu_ps(o3 + 8, s31);
}
