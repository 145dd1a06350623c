/* Lists, dates and sums that the tables of further countries share. */
#include "filters/kinds_world.h"

#include <string.h>

bool check_listed(const char *list, const char *v, size_t n)
{
	for (const char *p = list;; p += n + 1) {
		if (memcmp(p, v, n) == 0)
			return true;
		if (!p[n])
			return false;
	}
}

bool check_years(const char *v, size_t n)
{
	for (size_t i = 0; i + 4 <= n; i += 4)
		if (memcmp(v + i, "19", 2) != 0 && memcmp(v + i, "20", 2) != 0)
			return false;
	return true;
}

/* 2000 stands for both: as every fourth year of 1901 to 2099, it has a 29 February. */
bool check_yymmdd(const char *v)
{
	return check_date(2000 + check_number(v, 2), check_number(v + 2, 2),
			  check_number(v + 4, 2));
}

