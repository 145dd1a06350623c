/* Rounding to significant digits. Values and digest are those of Python's decimal module:
 *
 *   context = Context(prec=4, rounding=ROUND_HALF_EVEN, Emin=-999999, Emax=999999)
 *   float(context.plus(Decimal(v)))      v itself where that is infinite */
#include "base/decimal.h"
#include "base/digest.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

static const struct {
	double v, rounded;
} rows[] = {
	{ 0.0, 0.0 },
	{ 1.0, 1.0 },
	{ 0.5, 0.5 },
	{ 0.05, 0.05 },
	{ 1e-300, 1e-300 },
	{ 5e-324, 5e-324 },
	{ 2.2250738585072014e-308, 2.225e-308 },
	{ 1.7976931348623157e+308, 1.7976931348623157e+308 },
	{ 0.99995, 1.0 },
	{ 0.99985, 0.9999 },
	{ 1.23449999, 1.234 },
	{ 1.2345, 1.234 }, /* the double lies below the decimal */
	{ 12345.0, 12340.0 },
	{ 12335.0, 12340.0 },
	{ 1234.5, 1234.0 },
	{ 1235.5, 1236.0 },
	{ 9999.5, 10000.0 },
	{ 99995.0, 100000.0 },
	{ 0.00012345678, 0.0001235 },
	{ 3.9999999e-05, 4e-05 },
	{ -0.123456, -0.1235 },
	{ 0.1 + 0.2, 0.3 },
	{ 2.0 / 3, 0.6667 },
	{ 6.02214076e+23, 6.022e+23 },
};

Test(decimal, four_digits_are_the_nearest_and_ties_go_to_even)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		cr_expect_eq(decimal_round(rows[i].v, 4), rows[i].rounded, "%.17g: %.17g", rows[i].v,
			     decimal_round(rows[i].v, 4));
	cr_expect(signbit(decimal_round(-0.0, 4)) && decimal_round(-0.0, 4) == 0);
	cr_expect(isnan(decimal_round(NAN, 4)));
	cr_expect(isinf(decimal_round(-INFINITY, 4)));
	cr_expect_eq(decimal_round(0.123456, 1), 0.1);
	cr_expect_eq(decimal_round(0.1, 17), 0.1);
}

static uint64_t mix(uint64_t i)
{
	uint64_t z = i * 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static double of_bits(uint64_t bits)
{
	double v;
	memcpy(&v, &bits, sizeof v);
	return v;
}

/* Any double; below one; ties of both kinds; a denormal. */
static double sample(uint64_t i)
{
	uint64_t bits = mix(i + 1);
	switch (i % 5) {
	case 0:
		return of_bits(bits);
	case 1:
		return (double)(bits >> 11) * 0x1p-53;
	case 2:
		return (double)(1000 + bits % 9000) + 0.5;
	case 3:
		return (double)((1000 + bits % 9000) * 10 + 5);
	default:
		return of_bits(bits >> 12);
	}
}

Test(decimal, ten_thousand_values_are_those_of_exact_arithmetic)
{
	static double rounded[10000];
	char digest[DIGEST_TEXT_ROOM];
	size_t count = 0;
	for (uint64_t i = 0; i < 10000; i++) {
		double v = sample(i);
		if (!isnan(v))
			rounded[count++] = decimal_round(v, 4);
	}
	struct digest d = digest_of(rounded, count * sizeof *rounded);
	digest_text(&d, digest);
	cr_expect_eq(count, 9999);
	cr_expect_str_eq(digest, "sha256:058172375dfb812f82f3668897ffcb060a75fd12baa41816ff8ae4b32f87a670");
}

Test(decimal, what_is_rounded_stays)
{
	for (uint64_t i = 0; i < 10000; i++) {
		double v = sample(i), once = decimal_round(v, 4);
		if (!isnan(v))
			cr_expect_eq(decimal_round(once, 4), once, "%.17g", v);
	}
}
