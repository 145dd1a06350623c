/* What the tables of further countries share; other sums of check digits: filters/check.h. */
#ifndef FILTERS_KINDS_WORLD_H
#define FILTERS_KINDS_WORLD_H

#include "filters/check.h"
#include "filters/kind.h"

#define WORDS_DRIVER                                                                  \
	"driver licen*", "drivers licen*", "driver's licen*", "driver\u2019s licen*", \
		"driving licen*", "driving permit*"

/* Whether the n characters at v are an entry of a list: entries of n characters, a space between
 * them. */
bool check_listed(const char *list, const char *v, size_t n);
/* Whether every four digits are a year of 1900 to 2099: "2023 2024 2025" is a list of years. */
bool check_years(const char *v, size_t n);
/* Whether two digits each of year, month and day are a date of some century. */
bool check_yymmdd(const char *v);

#endif
