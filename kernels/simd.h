/* Private: a vector of sixteen f32 lanes, one AVX-512 register or two of AVX2. Vector forms are
 * written once with it and compiled twice; each operation is the same IEEE operation on each lane,
 * so both give the same bits. */
#ifndef KERNELS_SIMD_H
#define KERNELS_SIMD_H

#include "kernels/number.h"

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Unrolling and wide tiles serve speed alone, and instrumented builds would take minutes to compile
 * them: those builds are lean. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SIMD_LEAN 1
#elif defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SIMD_LEAN 1
#endif
#endif
#ifndef SIMD_LEAN
#define SIMD_LEAN 0
#endif

#if SIMD_LEAN
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 24")
#endif
#ifdef __clang__
#define ROLL _Pragma("nounroll")
#else
#define ROLL _Pragma("GCC unroll 1")
#endif

/* The sixteen E2M1 codes as bytes: twice the value, plus a bias. */
#define E2M1_BIAS 12
#define E2M1_BYTES 12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0

#ifdef __AVX512F__

#if defined(__AVX512BF16__)
#define SIMD_NAME(op) kernel_##op##_bf16
#elif defined(__AVX512VNNI__)
#define SIMD_NAME(op) kernel_##op##_vnni
#else
#define SIMD_NAME(op) kernel_##op##_avx512
#endif
#define SIMD_TOKENS 12 /* rows of the widest matmul tile */

typedef __m512 v16;

INLINE v16 v16_zero(void) { return _mm512_setzero_ps(); }
INLINE v16 v16_set1(float x) { return _mm512_set1_ps(x); }
INLINE v16 v16_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void v16_store(float *p, v16 a) { _mm512_storeu_ps(p, a); }
INLINE v16 v16_fma(v16 a, v16 b, v16 c) { return _mm512_fmadd_ps(a, b, c); }
INLINE v16 v16_add(v16 a, v16 b) { return _mm512_add_ps(a, b); }
INLINE v16 v16_sub(v16 a, v16 b) { return _mm512_sub_ps(a, b); }
INLINE v16 v16_mul(v16 a, v16 b) { return _mm512_mul_ps(a, b); }
INLINE v16 v16_div(v16 a, v16 b) { return _mm512_div_ps(a, b); }
INLINE v16 v16_max(v16 a, v16 b) { return _mm512_max_ps(a, b); }
INLINE v16 v16_min(v16 a, v16 b) { return _mm512_min_ps(a, b); }

/* The first n <= 16 lanes; the others are zero, and stay untouched in memory. */
INLINE v16 v16_load_n(const float *p, uint32_t n)
{
	return n >= 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}

INLINE void v16_store_n(float *p, v16 a, uint32_t n)
{
	_mm512_mask_storeu_ps(p, (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1), a);
}

INLINE v16 v16_round(v16 a)
{
	return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* p * 2^k by adding to the exponent; k holds integers. */
INLINE v16 v16_scale2(v16 p, v16 k)
{
	return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p),
	                                            _mm512_slli_epi32(_mm512_cvtps_epi32(k), 23)));
}

/* a where x >= y, else 0 */
INLINE v16 v16_where_ge(v16 x, v16 y, v16 a)
{
	return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, y, _CMP_GE_OQ), a);
}

/* a where x < y, else b (for NaN too) */
INLINE v16 v16_pick_lt(v16 x, v16 y, v16 a, v16 b)
{
	return _mm512_mask_mov_ps(b, _mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), a);
}

/* The bits of all but the sign of a; and of a with the sign bit of s put in. */
INLINE v16 v16_abs(v16 a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
INLINE v16 v16_sign(v16 a, v16 s)
{
	return _mm512_or_ps(a, _mm512_and_ps(s, _mm512_set1_ps(-0.0f)));
}

INLINE int v16_any_nan(v16 a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q) != 0; }

/* Lanes 0..7 plus lanes 8..15. */
INLINE __m256 v16_fold(v16 a)
{
	return _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
}

/* Low and high halves of 16 pairs of bf16. */
INLINE v16 v16_bf16_even(const void *p)
{
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}

INLINE v16 v16_bf16_odd(const void *p)
{
	return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p),
	                                            _mm512_set1_epi32((int)0xffff0000u)));
}

/* The E4M3 codes of each lane, which has four, in units of 2^-120: sign and code of an f32, whose
 * exponent field has a bias 120 larger. The subnormals of E4M3 become those of f32. */
typedef struct { __m512i even, odd; } e4m3;

INLINE e4m3 e4m3_load(const void *p)
{
	const __m512i mask = _mm512_set1_epi16((short)0x87f0);
	__m512i b = _mm512_load_si512(p);
	__asm__("" : "+v"(b)); /* load it once: broadcasts take the rest of the load ports */
	return (e4m3){ _mm512_and_si512(_mm512_srai_epi16(_mm512_slli_epi16(b, 8), 4), mask),
		       _mm512_and_si512(_mm512_srai_epi16(b, 4), mask) };
}

INLINE v16 v16_e4m3(const e4m3 *c, const int j)
{
	__m512i b = j % 2 ? c->odd : c->even;
	return _mm512_castsi512_ps(j < 2 ? _mm512_slli_epi32(b, 16)
	                                 : _mm512_and_si512(b, _mm512_set1_epi32((int)0xffff0000u)));
}

/* Whether a lane is not below `limit` in magnitude. */
INLINE int v16_any_from(v16 a, float limit)
{
	return _mm512_cmp_ps_mask(_mm512_abs_ps(a), _mm512_set1_ps(limit), _CMP_NLT_UQ) != 0;
}

/* Add a * the float at p to each lane of *sum. In assembly, since compilers keep broadcast values
 * in registers until the sums are spilled. */
INLINE void v16_fma_at(v16 *sum, v16 a, const void *p)
{
	typedef struct { float f[1]; } any;
	__asm__("vfmadd231ps %2%{1to16%}, %1, %0" : "+v"(*sum) : "v"(a), "m"(*(const any *)p));
}

/* Sixteen f16. */
INLINE v16 v16_f16(const void *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

/* The E2M1 code j (0 to 7) of each lane, which has eight: one step of layout.h. */
INLINE v16 v16_e2m1(const void *p, const int j)
{
	const v16 table = _mm512_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3,
	                                 -4, -6);
	__m512i code = _mm512_loadu_si512(p);
	return _mm512_permutexvar_ps(_mm512_srli_epi32(code, (unsigned)(j < 4 ? 8 * j : 8 * j - 28)),
	                             table);
}

/* 2^(s - 127) of sixteen bytes s; 0 gives the subnormal. */
INLINE v16 v16_e8m0(const void *p)
{
	__m512i s = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
	return _mm512_castsi512_ps(_mm512_max_epu32(_mm512_slli_epi32(s, 23),
	                                            _mm512_set1_epi32(0x00400000)));
}

/* Sixteen lanes of 32-bit integers. */
typedef __m512i i16;

INLINE i16 i16_load(const void *p) { return _mm512_loadu_si512(p); }
INLINE i16 i16_set1(const void *p) { int32_t v; memcpy(&v, p, 4); return _mm512_set1_epi32(v); }
INLINE i16 i16_zero(void) { return _mm512_setzero_si512(); }
INLINE i16 i16_add(i16 a, i16 b) { return _mm512_add_epi32(a, b); }
INLINE i16 i16_add16(i16 a, i16 b) { return _mm512_add_epi16(a, b); }
INLINE i16 i16_madd(i16 a, i16 b) { return _mm512_madd_epi16(a, b); }
INLINE i16 i16_maddubs(i16 a, i16 b) { return _mm512_maddubs_epi16(a, b); }
INLINE i16 i16_ones16(void) { return _mm512_set1_epi16(1); }
/* Force the sum to be computed here: compilers would collect the products first and spill. */
INLINE void i16_settle(i16 *sum) { __asm__("" : "+v"(*sum)); }
INLINE i16 i16_low_nibbles(i16 a) { return _mm512_and_si512(a, _mm512_set1_epi8(15)); }
INLINE i16 i16_high_nibbles(i16 a) { return i16_low_nibbles(_mm512_srli_epi16(a, 4)); }
/* E2M1 codes (bytes of 0 to 15) as bytes: twice the value, plus E2M1_BIAS. */
INLINE i16 i16_e2m1(i16 a)
{
	return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_setr_epi8(E2M1_BYTES)), a);
}
INLINE i16 i16_even_bytes(i16 a) { return _mm512_and_si512(a, _mm512_set1_epi16(255)); }
INLINE i16 i16_odd_bytes(i16 a) { return _mm512_srli_epi16(a, 8); }
INLINE v16 i16_to_f32(i16 a) { return _mm512_cvtepi32_ps(a); }
#ifdef __AVX512VNNI__
/* Add to each lane of *sum the four products of bytes of w (unsigned) and at p (signed). */
INLINE void i16_dot_at(i16 *sum, i16 w, const void *p)
{
	typedef struct { int8_t b[4]; } any;
	__asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(*sum) : "v"(w), "m"(*(const any *)p));
}
#endif

#else

#ifdef __AVXVNNI__
#define SIMD_NAME(op) kernel_##op##_avxvnni
#else
#define SIMD_NAME(op) kernel_##op##_avx2
#endif
#define SIMD_TOKENS 6

typedef struct { __m256 lo, hi; } v16;

INLINE v16 v16_of(__m256 lo, __m256 hi) { return (v16){ lo, hi }; }
INLINE v16 v16_zero(void) { return v16_of(_mm256_setzero_ps(), _mm256_setzero_ps()); }
INLINE v16 v16_set1(float x) { return v16_of(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
INLINE v16 v16_load(const float *p) { return v16_of(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
INLINE v16 v16_fma(v16 a, v16 b, v16 c)
{
	return v16_of(_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi));
}
INLINE v16 v16_add(v16 a, v16 b)
{
	return v16_of(_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi));
}

INLINE v16 v16_sub(v16 a, v16 b)
{
	return v16_of(_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi));
}

INLINE v16 v16_mul(v16 a, v16 b)
{
	return v16_of(_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi));
}

INLINE v16 v16_div(v16 a, v16 b)
{
	return v16_of(_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi));
}

INLINE v16 v16_max(v16 a, v16 b)
{
	return v16_of(_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi));
}

INLINE v16 v16_min(v16 a, v16 b)
{
	return v16_of(_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi));
}

INLINE void v16_store(float *p, v16 a)
{
	_mm256_storeu_ps(p, a.lo);
	_mm256_storeu_ps(p + 8, a.hi);
}

INLINE __m256i v16_lanes(uint32_t n)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE v16 v16_load_n(const float *p, uint32_t n)
{
	__m256 hi = n > 8 ? _mm256_maskload_ps(p + 8, v16_lanes(n - 8)) : _mm256_setzero_ps();
	return v16_of(_mm256_maskload_ps(p, v16_lanes(n)), hi);
}

INLINE void v16_store_n(float *p, v16 a, uint32_t n)
{
	_mm256_maskstore_ps(p, v16_lanes(n), a.lo);
	if (n > 8)
		_mm256_maskstore_ps(p + 8, v16_lanes(n - 8), a.hi);
}

INLINE v16 v16_round(v16 a)
{
	return v16_of(_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
	              _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

INLINE __m256 v8_scale2(__m256 p, __m256 k)
{
	return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p),
	                                            _mm256_slli_epi32(_mm256_cvtps_epi32(k), 23)));
}

INLINE v16 v16_scale2(v16 p, v16 k) { return v16_of(v8_scale2(p.lo, k.lo), v8_scale2(p.hi, k.hi)); }

INLINE v16 v16_where_ge(v16 x, v16 y, v16 a)
{
	return v16_of(_mm256_and_ps(_mm256_cmp_ps(x.lo, y.lo, _CMP_GE_OQ), a.lo),
	              _mm256_and_ps(_mm256_cmp_ps(x.hi, y.hi, _CMP_GE_OQ), a.hi));
}

INLINE v16 v16_pick_lt(v16 x, v16 y, v16 a, v16 b)
{
	return v16_of(_mm256_blendv_ps(b.lo, a.lo, _mm256_cmp_ps(x.lo, y.lo, _CMP_LT_OQ)),
	              _mm256_blendv_ps(b.hi, a.hi, _mm256_cmp_ps(x.hi, y.hi, _CMP_LT_OQ)));
}

INLINE v16 v16_abs(v16 a)
{
	__m256 sign = _mm256_set1_ps(-0.0f);
	return v16_of(_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi));
}

INLINE v16 v16_sign(v16 a, v16 s)
{
	__m256 sign = _mm256_set1_ps(-0.0f);
	return v16_of(_mm256_or_ps(a.lo, _mm256_and_ps(s.lo, sign)),
	              _mm256_or_ps(a.hi, _mm256_and_ps(s.hi, sign)));
}

INLINE int v16_any_nan(v16 a)
{
	return _mm256_movemask_ps(_mm256_or_ps(_mm256_cmp_ps(a.lo, a.lo, _CMP_UNORD_Q),
	                                       _mm256_cmp_ps(a.hi, a.hi, _CMP_UNORD_Q))) != 0;
}

INLINE __m256 v16_fold(v16 a) { return _mm256_add_ps(a.lo, a.hi); }

INLINE __m256 v8_bf16_even(const void *p)
{
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256(p), 16));
}

INLINE __m256 v8_bf16_odd(const void *p)
{
	return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256(p),
	                                            _mm256_set1_epi32((int)0xffff0000u)));
}

INLINE v16 v16_bf16_even(const void *p)
{
	return v16_of(v8_bf16_even(p), v8_bf16_even((const char *)p + 32));
}

INLINE v16 v16_bf16_odd(const void *p)
{
	return v16_of(v8_bf16_odd(p), v8_bf16_odd((const char *)p + 32));
}

typedef struct { __m256i even[2], odd[2]; } e4m3;

INLINE e4m3 e4m3_load(const void *p)
{
	const __m256i mask = _mm256_set1_epi16((short)0x87f0);
	e4m3 c;
	UNROLL for (int h = 0; h < 2; h++) {
		__m256i b = _mm256_load_si256((const __m256i *)p + h);
		__asm__("" : "+x"(b));
		c.even[h] = _mm256_and_si256(_mm256_srai_epi16(_mm256_slli_epi16(b, 8), 4), mask);
		c.odd[h] = _mm256_and_si256(_mm256_srai_epi16(b, 4), mask);
	}
	return c;
}

INLINE __m256 v8_high_word(__m256i b)
{
	return _mm256_castsi256_ps(_mm256_and_si256(b, _mm256_set1_epi32((int)0xffff0000u)));
}

INLINE __m256 v8_low_word(__m256i b) { return _mm256_castsi256_ps(_mm256_slli_epi32(b, 16)); }

INLINE v16 v16_e4m3(const e4m3 *c, const int j)
{
	const __m256i *b = j % 2 ? c->odd : c->even;
	return j < 2 ? v16_of(v8_low_word(b[0]), v8_low_word(b[1]))
	             : v16_of(v8_high_word(b[0]), v8_high_word(b[1]));
}

INLINE int v8_any_from(__m256 a, float limit)
{
	__m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
	return _mm256_movemask_ps(_mm256_cmp_ps(magnitude, _mm256_set1_ps(limit), _CMP_NLT_UQ));
}

INLINE int v16_any_from(v16 a, float limit)
{
	return (v8_any_from(a.lo, limit) | v8_any_from(a.hi, limit)) != 0;
}

INLINE void v16_fma_at(v16 *sum, v16 a, const void *p)
{
	float f;
	memcpy(&f, p, 4);
	*sum = v16_fma(a, v16_set1(f), *sum);
}

INLINE v16 v16_f16(const void *p)
{
	return v16_of(_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
	              _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p + 1)));
}

INLINE __m256 v8_e2m1(const void *p, const int shift)
{
	const __m256 table = _mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6);
	__m256i code = _mm256_srli_epi32(_mm256_loadu_si256(p), shift);
	__m256i sign = _mm256_and_si256(_mm256_slli_epi32(code, 28), _mm256_set1_epi32(INT32_MIN));
	return _mm256_or_ps(_mm256_permutevar8x32_ps(table, code), _mm256_castsi256_ps(sign));
}

INLINE v16 v16_e2m1(const void *p, const int j)
{
	const int shift = j < 4 ? 8 * j : 8 * j - 28;
	return v16_of(v8_e2m1(p, shift), v8_e2m1((const char *)p + 32, shift));
}

INLINE __m256 v8_e8m0(__m128i bytes)
{
	__m256i s = _mm256_slli_epi32(_mm256_cvtepu8_epi32(bytes), 23);
	return _mm256_castsi256_ps(_mm256_max_epu32(s, _mm256_set1_epi32(0x00400000)));
}

INLINE v16 v16_e8m0(const void *p)
{
	__m128i s = _mm_loadu_si128((const __m128i *)p);
	return v16_of(v8_e8m0(s), v8_e8m0(_mm_srli_si128(s, 8)));
}

typedef struct { __m256i lo, hi; } i16;

#define I16_EACH(call_lo, call_hi) ((i16){ call_lo, call_hi })

INLINE i16 i16_load(const void *p)
{
	return I16_EACH(_mm256_loadu_si256(p), _mm256_loadu_si256((const __m256i *)p + 1));
}
INLINE i16 i16_set1(const void *p)
{
	int32_t v;
	memcpy(&v, p, 4);
	return I16_EACH(_mm256_set1_epi32(v), _mm256_set1_epi32(v));
}
INLINE i16 i16_zero(void) { return I16_EACH(_mm256_setzero_si256(), _mm256_setzero_si256()); }
INLINE i16 i16_add(i16 a, i16 b)
{
	return I16_EACH(_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi));
}
INLINE i16 i16_add16(i16 a, i16 b)
{
	return I16_EACH(_mm256_add_epi16(a.lo, b.lo), _mm256_add_epi16(a.hi, b.hi));
}
INLINE i16 i16_madd(i16 a, i16 b)
{
	return I16_EACH(_mm256_madd_epi16(a.lo, b.lo), _mm256_madd_epi16(a.hi, b.hi));
}
INLINE i16 i16_maddubs(i16 a, i16 b)
{
	return I16_EACH(_mm256_maddubs_epi16(a.lo, b.lo), _mm256_maddubs_epi16(a.hi, b.hi));
}
INLINE i16 i16_ones16(void) { return I16_EACH(_mm256_set1_epi16(1), _mm256_set1_epi16(1)); }
INLINE void i16_settle(i16 *sum) { __asm__("" : "+x"(sum->lo), "+x"(sum->hi)); }
INLINE i16 i16_low_nibbles(i16 a)
{
	const __m256i mask = _mm256_set1_epi8(15);
	return I16_EACH(_mm256_and_si256(a.lo, mask), _mm256_and_si256(a.hi, mask));
}
INLINE i16 i16_high_nibbles(i16 a)
{
	return i16_low_nibbles(I16_EACH(_mm256_srli_epi16(a.lo, 4), _mm256_srli_epi16(a.hi, 4)));
}
INLINE i16 i16_e2m1(i16 a)
{
	const __m256i table = _mm256_broadcastsi128_si256(_mm_setr_epi8(E2M1_BYTES));
	return I16_EACH(_mm256_shuffle_epi8(table, a.lo), _mm256_shuffle_epi8(table, a.hi));
}
INLINE i16 i16_even_bytes(i16 a)
{
	const __m256i mask = _mm256_set1_epi16(255);
	return I16_EACH(_mm256_and_si256(a.lo, mask), _mm256_and_si256(a.hi, mask));
}
INLINE i16 i16_odd_bytes(i16 a)
{
	return I16_EACH(_mm256_srli_epi16(a.lo, 8), _mm256_srli_epi16(a.hi, 8));
}
INLINE v16 i16_to_f32(i16 a)
{
	return v16_of(_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi));
}
#ifdef __AVXVNNI__
INLINE void i16_dot_at(i16 *sum, i16 w, const void *p)
{
	i16 x = i16_set1(p);
	sum->lo = _mm256_dpbusd_avx_epi32(sum->lo, w.lo, x.lo);
	sum->hi = _mm256_dpbusd_avx_epi32(sum->hi, w.hi, x.hi);
}
#endif

#endif

/* The fixed tree of every horizontal sum: lanes i and i+8, then i and i+4, i and i+2, i and i+1. */
INLINE float v16_sum(v16 a)
{
	__m256 eight = v16_fold(a);
	__m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	__m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* number_exp on each lane, step by step. For NaN, max and min give their second operand, as the
 * plain form does. */
INLINE v16 v16_exp(v16 x)
{
	x = v16_min(v16_max(x, v16_set1(-88.3f)), v16_set1(88.0f));
	v16 k = v16_round(v16_mul(x, v16_set1(0x1.715476p+0f)));
	v16 r = v16_fma(k, v16_set1(-0x1.62e400p-1f), x);
	r = v16_fma(k, v16_set1(-0x1.7f7d1cp-20f), r);
	v16 p = v16_set1(0x1.a01a02p-13f);
	p = v16_fma(p, r, v16_set1(0x1.6c16c2p-10f));
	p = v16_fma(p, r, v16_set1(0x1.111112p-7f));
	p = v16_fma(p, r, v16_set1(0x1.555556p-5f));
	p = v16_fma(p, r, v16_set1(0x1.555556p-3f));
	p = v16_fma(p, r, v16_set1(0.5f));
	p = v16_fma(p, r, v16_set1(1.0f));
	p = v16_fma(p, r, v16_set1(1.0f));
	return v16_where_ge(x, v16_set1(-87.3f), v16_scale2(p, k));
}

/* number_expm1, number_tanh and number_erf on each lane, step by step. NaN is the second operand
 * of max and min: it stays. */
INLINE v16 v16_expm1(v16 x)
{
	x = v16_min(v16_set1(88.0f), v16_max(v16_set1(-88.3f), x));
	v16 k = v16_round(v16_mul(x, v16_set1(0x1.715476p+0f)));
	v16 r = v16_fma(k, v16_set1(-0x1.62e400p-1f), x);
	r = v16_fma(k, v16_set1(-0x1.7f7d1cp-20f), r);
	v16 p = v16_set1(0x1.a01a02p-13f);
	p = v16_fma(p, r, v16_set1(0x1.6c16c2p-10f));
	p = v16_fma(p, r, v16_set1(0x1.111112p-7f));
	p = v16_fma(p, r, v16_set1(0x1.555556p-5f));
	p = v16_fma(p, r, v16_set1(0x1.555556p-3f));
	p = v16_fma(p, r, v16_set1(0.5f));
	p = v16_fma(v16_mul(p, r), r, r);
	v16 two = v16_scale2(v16_set1(1.0f), k);
	return v16_fma(two, p, v16_sub(two, v16_set1(1.0f)));
}

INLINE v16 v16_tanh(v16 x)
{
	v16 a = v16_min(v16_set1(10.0f), v16_abs(x));
	v16 e = v16_expm1(v16_mul(v16_set1(2.0f), a));
	return v16_sign(v16_div(e, v16_add(e, v16_set1(2.0f))), x);
}

INLINE v16 v16_erf(v16 x)
{
	static const float near[] = NUMBER_ERF_NEAR, far[] = NUMBER_ERF_FAR;
	v16 size = v16_abs(x), square = v16_mul(x, x), p = v16_set1(near[6]), q = v16_set1(far[7]);
	for (int i = 5; i >= 0; i--)
		p = v16_fma(p, square, v16_set1(near[i]));
	v16 a = v16_min(v16_set1(4.0f), size);
	for (int i = 6; i >= 0; i--)
		q = v16_fma(q, a, v16_set1(far[i]));
	v16 y = v16_sign(v16_sub(v16_zero(), v16_expm1(q)), x);
	return v16_pick_lt(size, v16_set1(NUMBER_ERF_BORDER), v16_fma(x, p, x), y);
}

#endif
