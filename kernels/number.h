/* Numbers: storage formats, and elementary functions with a fixed order of operations, so that
 * every machine and every instruction set gives the same bits (libm differs between machines). */
#ifndef KERNELS_NUMBER_H
#define KERNELS_NUMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline float number_from_bits(uint32_t bits)
{
	float f;
	memcpy(&f, &bits, sizeof f);
	return f;
}

static inline uint32_t number_bits(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	return bits;
}

static inline bool number_is_finite(float f)
{
	return (number_bits(f) & 0x7f800000u) != 0x7f800000u;
}

static inline float number_from_bf16(uint16_t h) { return number_from_bits((uint32_t)h << 16); }

float number_from_f16(uint16_t h); /* IEEE binary16, exact */
float number_from_e4m3(uint8_t b); /* OCP FP8 E4M3, exact; 0x7f and 0xff are NaN */
float number_from_e2m1(uint8_t b); /* OCP MX E2M1, exact; the low four bits count */

/* OCP MX E8M0: 2^(s - 127), exact, subnormal for 0; 255, which is no number, gives infinity. */
static inline float number_from_e8m0(uint8_t s)
{
	return number_from_bits(s == 0 ? 0x00400000u : (uint32_t)s << 23);
}

/* A weight in [0, 1] in units of 2^-40, rounded down: sums of such are exact, in any order. What is
 * below one unit weighs nothing. */
static inline uint64_t number_to_units(float weight) { return (uint64_t)(weight * 0x1p40f); }
#define NUMBER_UNIT 0x1p-40

/* Round half to even; too large gives infinity, NaN stays one. */
uint16_t number_to_bf16(float f);
uint16_t number_to_f16(float f);

/* e^x within 2 ulp; x is clamped to at most 88; 0 below -87.3 and for NaN. The canonical form: SIMD
 * twins repeat these steps lane by lane. */
float number_exp(float x);
/* e^x - 1 within 2 ulp, x clamped to at most 88; tanh within 4 ulp; erf within 1.2e-7. NaN stays
 * NaN. Canonical forms too. */
float number_expm1(float x);
float number_tanh(float x);
float number_erf(float x);

/* Of number_erf: erf(x) = x + x * P(x^2) up to the border, beyond it 1 - exp(Q(x)), x at most 4.
 * Both fitted, P within 3e-10 and Q within 2e-10 of what it means for erf. Ascending powers. */
#define NUMBER_ERF_BORDER 0.875f
#define NUMBER_ERF_NEAR                                                                        \
	{ 0x1.06eba8p-3f,  -0x1.812744p-2f, 0x1.ce2e8ep-4f, -0x1.b81a72p-6f, 0x1.55429cp-8f,   \
	  -0x1.aec850p-11f, 0x1.6cdb38p-14f }
#define NUMBER_ERF_FAR                                                                         \
	{ 0x1.34f950p-13f, -0x1.211f34p+0f, -0x1.446940p-1f, -0x1.ba4f4ep-4f, 0x1.98798cp-6f,  \
	  -0x1.0cc458p-8f, 0x1.b8ddd6p-12f, -0x1.4e67b8p-16f }

/* In double, within 1e-15 relative: for tables that are built once. x > 0; |x| < 2^30 for sin and
 * cos; |x| < 700 for exp. */
double number_log(double x);
double number_exp_double(double x);
double number_sin(double x);
double number_cos(double x);

/* IEEE defaults for the calling thread: round to nearest, no flushing of denormals. Returns the
 * former state. */
unsigned number_mode_enter(void);
void number_mode_leave(unsigned former);

#endif
