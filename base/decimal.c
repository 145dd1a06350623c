#include "base/decimal.h"

#include "base/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Conversions between double and decimal text are correctly rounded (IEEE 754, section 5.12; C17,
 * annex F.5). Both sides use one locale, which is the program's own "C". */
double decimal_round(double v, int digits)
{
	char text[40];

	check(digits >= 1 && digits <= 17);
	if (!isfinite(v) || v == 0)
		return v;
	snprintf(text, sizeof text, "%.*e", digits - 1, v);
	double rounded = strtod(text, NULL);
	return isfinite(rounded) ? rounded : v;
}
