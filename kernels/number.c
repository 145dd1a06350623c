/* The polynomials are Taylor series on ranges that are small enough for the stated error; nothing
 * is fused unless it says fma. */
#include "kernels/number.h"

#include <math.h>
#include <xmmintrin.h>

float number_from_f16(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31u,
		 mantissa = h & 1023u;
	if (exponent == 31)
		return number_from_bits(sign | 0x7f800000u | mantissa << 13);
	if (exponent != 0)
		return number_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
	float v = (float)mantissa * 0x1p-24f;
	return sign ? -v : v;
}

float number_from_e4m3(uint8_t b)
{
	uint32_t sign = (uint32_t)(b & 0x80u) << 24, exponent = (b >> 3) & 15u, mantissa = b & 7u;
	if ((b & 0x7f) == 0x7f)
		return number_from_bits(sign | 0x7fc00000u);
	if (exponent != 0)
		return number_from_bits(sign | (exponent + 120) << 23 | mantissa << 20);
	float v = (float)mantissa * 0x1p-9f;
	return sign ? -v : v;
}

float number_from_e2m1(uint8_t b)
{
	static const float magnitude[8] = { 0, 0.5f, 1, 1.5f, 2, 3, 4, 6 };
	return b & 8 ? -magnitude[b & 7] : magnitude[b & 7];
}

uint16_t number_to_bf16(float f)
{
	uint32_t bits = number_bits(f);
	if ((bits & 0x7fffffffu) > 0x7f800000u)
		return (uint16_t)(bits >> 16 | 0x40u);
	return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

uint16_t number_to_f16(float f)
{
	uint32_t bits = number_bits(f), sign = bits >> 16 & 0x8000u, most = bits & 0x7fffffffu;
	if (most > 0x7f800000u)
		return (uint16_t)(sign | 0x7e00u);
	if (most >= 0x477ff000u) /* 65520: half a step above the largest */
		return (uint16_t)(sign | 0x7c00u);
	if (most < 0x38800000u) /* one half has the step of the subnormals, 2^-24 */
		return (uint16_t)(sign | (number_bits(number_from_bits(most) + 0.5f) - 0x3f000000u));
	return (uint16_t)(sign | (most - 0x38000000u + 0xfffu + (most >> 13 & 1u)) >> 13);
}

float number_exp(float x)
{
	x = x > -88.3f ? x : -88.3f; /* NaN too; zeroed below, as the vector forms do */
	x = x < 88.0f ? x : 88.0f;
	float k = rintf(x * 0x1.715476p+0f);
	float r = fmaf(k, -0x1.62e400p-1f, x);
	r = fmaf(k, -0x1.7f7d1cp-20f, r);
	float p = 0x1.a01a02p-13f; /* 1/5040 */
	p = fmaf(p, r, 0x1.6c16c2p-10f);
	p = fmaf(p, r, 0x1.111112p-7f);
	p = fmaf(p, r, 0x1.555556p-5f);
	p = fmaf(p, r, 0x1.555556p-3f);
	p = fmaf(p, r, 0.5f);
	p = fmaf(p, r, 1.0f);
	p = fmaf(p, r, 1.0f);
	float scaled = number_from_bits(number_bits(p) + ((uint32_t)(int32_t)k << 23));
	return x < -87.3f ? 0.0f : scaled;
}

/* 2^k * (e^r - 1) + (2^k - 1) */
float number_expm1(float x)
{
	x = x < -88.3f ? -88.3f : x; /* NaN stays, as the vector forms leave it */
	x = x > 88.0f ? 88.0f : x;
	float k = rintf(x * 0x1.715476p+0f);
	float r = fmaf(k, -0x1.62e400p-1f, x);
	r = fmaf(k, -0x1.7f7d1cp-20f, r);
	float p = 0x1.a01a02p-13f; /* 1/5040 */
	p = fmaf(p, r, 0x1.6c16c2p-10f);
	p = fmaf(p, r, 0x1.111112p-7f);
	p = fmaf(p, r, 0x1.555556p-5f);
	p = fmaf(p, r, 0x1.555556p-3f);
	p = fmaf(p, r, 0.5f);
	p = fmaf(p * r, r, r);
	int32_t exponent = x == x ? (int32_t)k : 0;
	float two = number_from_bits((uint32_t)(exponent + 127) << 23);
	return fmaf(two, p, two - 1.0f);
}

float number_tanh(float x)
{
	float a = fabsf(x);
	float e = number_expm1(2.0f * (a > 10.0f ? 10.0f : a));
	float t = e / (e + 2.0f);
	return number_from_bits(number_bits(t) | (number_bits(x) & 0x80000000u));
}

float number_erf(float x)
{
	static const float near[] = NUMBER_ERF_NEAR, far[] = NUMBER_ERF_FAR;
	float a = fabsf(x), square = x * x;
	if (a < NUMBER_ERF_BORDER) {
		float p = near[6];
		for (int i = 5; i >= 0; i--)
			p = fmaf(p, square, near[i]);
		return fmaf(x, p, x);
	}
	a = a > 4.0f ? 4.0f : a;
	float q = far[7];
	for (int i = 6; i >= 0; i--)
		q = fmaf(q, a, far[i]);
	float y = 0.0f - number_expm1(q);
	return number_from_bits(number_bits(y) | (number_bits(x) & 0x80000000u));
}

double number_log(double x)
{
	int e;
	double m = frexp(x, &e); /* exact: [0.5, 1) */
	if (m < 0.70710678118654752) {
		m *= 2;
		e--;
	}
	double s = (m - 1) / (m + 1), s2 = s * s, sum = 0;
	for (int i = 23; i >= 1;
	     i -= 2) /* atanh series, |s| < 0.172: the next term is below 1e-20 */
		sum = sum * s2 + 1.0 / i;
	return (double)e * 0x1.62e42fefa39efp-1 + 2 * s * sum;
}

double number_exp_double(double x)
{
	double k = rint(x * 0x1.71547652b82fep+0);
	double r = fma(k, -0x1.62e42fefa39efp-1, x), sum = 1;
	r = fma(k, -0x1.abc9e3b39803fp-56, r);
	for (int i = 16; i >= 1; i--)
		sum = 1 + sum * r / i;
	return ldexp(sum, (int)k);
}

/* sin(r + quadrant*pi/2), |r| <= pi/4 */
static double sine(double r, unsigned quadrant)
{
	double r2 = r * r, sum = 1;
	if (quadrant & 1) {
		for (int i = 20; i >= 2; i -= 2)
			sum = 1 - sum * r2 / (i * (i - 1));
	} else {
		for (int i = 21; i >= 3; i -= 2)
			sum = 1 - sum * r2 / (i * (i - 1));
		sum *= r;
	}
	return quadrant & 2 ? -sum : sum;
}

/* x - k*pi/2 in three parts of pi/2; fma keeps each product whole. */
static double reduce(double x, long *k)
{
	double n = rint(x * 0x1.45f306dc9c883p-1);
	double r = fma(n, -0x1.921fb54442d18p+0, x);
	r = fma(n, -0x1.1a62633145c07p-54, r);
	*k = (long)n;
	return r;
}

double number_sin(double x)
{
	long k;
	double r = reduce(x, &k);
	return sine(r, (unsigned)k & 3);
}

double number_cos(double x)
{
	long k;
	double r = reduce(x, &k);
	return sine(r, (unsigned)(k + 1) & 3);
}

unsigned number_mode_enter(void)
{
	unsigned former = _mm_getcsr();
	_mm_setcsr(0x1f80);
	return former;
}

void number_mode_leave(unsigned former) { _mm_setcsr(former); }
