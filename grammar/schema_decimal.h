/* Private: decimal numbers between bounds, as digits (schema_number.c), and multiples among them
 * (schema_multiple.c). */
#ifndef GRAMMAR_SCHEMA_DECIMAL_H
#define GRAMMAR_SCHEMA_DECIMAL_H

#include "grammar/schema_parts.h"

#define DECIMAL_DIGITS 15  /* of a whole part without bound */
#define DECIMAL_LONGEST 40 /* digits of either part of a bound */

/* A decimal number. whole is never empty; zero is whole "0" and fraction "". */
struct decimal {
	char whole[DECIMAL_LONGEST + 2], fraction[DECIMAL_LONGEST + 2];
	bool negative, open; /* open: the bound itself is out */
	bool present;
};

bool schema_decimal_is_zero(const char *digits); /* "" too */
/* Magnitudes: less, equal, greater. */
int schema_decimal_compare(const struct decimal *a, const struct decimal *b);
/* x + 1 or x - 1 of a whole number, x > 0 then, in place. */
void schema_decimal_step(char *digits, bool up);
/* Whole numbers without leading zeros, lo <= x <= hi; hi NULL: of any length up to
 * DECIMAL_DIGITS. Written as a list of alternatives; [] when empty. */
void schema_decimal_range(struct buf *b, const char *lo, const char *hi);
/* The number as a decimal; large and tiny ones are moved towards zero, or (up) away from it.
 * False: too large for that. A bound that is beyond all that is written is not present. */
bool schema_decimal_of(const json_t *v, bool up, struct decimal *out);

/* Multiples of each of a list, between bounds that may be absent. of NULL: of thousandths. */
int schema_multiples(struct schema *c, const json_t *of, enum schema_numbers kind,
		     const struct decimal *low, const struct decimal *high,
		     struct buf *body) MUST_USE;

#endif
