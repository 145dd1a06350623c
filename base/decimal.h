/* Numbers as they are told: results of the mathematical library differ in their last digits from
 * one release of it to the next, and what is signed or compared must not. */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#define DECIMAL_DIGITS 4 /* of measured numbers in reports and in the log */

/* The double nearest to v rounded to `digits` (1 to 17) significant decimal digits, exactly: of two
 * equally near decimals the one whose last digit is even. Zeros, infinities and NaN are themselves.
 * What the rounding carries past the largest double stays unrounded. */
double decimal_round(double v, int digits);

#endif
