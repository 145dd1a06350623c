/* Sums that several member states use, and what belongs to the Union itself. */
#include "filters/check_eu.h"
#include "filters/check.h"

#include <string.h>

unsigned check_eu_modulo(const char *v, size_t n, unsigned m)
{
	unsigned rest = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned k = (unsigned)check_base36(v[i]);
		rest = (rest * (k < 10 ? 10 : 100) + k) % m;
	}
	return rest;
}

int check_eu_two_stages(const char *v, size_t n, int most)
{
	int first = 0, second = 0;
	for (int i = 0; i < (int)n; i++) {
		first += eu_digit(v[i]) * (i % most + 1);
		second += eu_digit(v[i]) * ((i + 2) % most + 1);
	}
	return first % 11 == 10 ? second % 11 % 10 : first % 11;
}

int check_eu_falling(const char *v, size_t n, int first)
{
	int sum = 0;
	for (int i = 0; i < (int)n; i++)
		sum += eu_digit(v[i]) * (first - i);
	return sum;
}

int check_eu_icao(const char *v, size_t n)
{
	static const int weights[] = { 7, 3, 1 };
	int sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += check_base36(v[i]) * weights[i % 3];
	return sum % 10;
}

bool check_eu_born(const char *year, const char *month, const char *day, int century)
{
	int two = eu_two(year);
	if (century < 0)
		century = two ? 1900 : 2000; /* the leap years of both but for 00 */
	return check_date(century + two, eu_two(month), eu_two(day));
}

/* The digit 0 stands for ten too. */
bool check_eu_jmbg(const char *v)
{
	int year = check_number(v + 4, 3);
	int sum = check_weighted(v, "765432765432");
	return (year < 100 || year >= 850) &&
	       check_date(year + (year < 100 ? 2000 : 1000), eu_two(v + 2), eu_two(v)) &&
	       (11 - sum % 11) % 11 % 10 == eu_digit(v[12]);
}

/* Numeric country codes of the member states (ISO 3166-1), and 900 of Northern Ireland. */
static bool member_state(const char *v)
{
	static const char codes[] = "040 056 100 191 196 203 208 233 246 250 276 300 348 372 380 "
				    "428 440 442 470 528 616 620 642 703 705 724 752 900 ";
	for (const char *c = codes; *c; c += 4)
		if (memcmp(c, v, 3) == 0)
			return true;
	return false;
}

/* One-stop shop: EU or IM, the state that registered, a serial number. */
bool check_eu_oss(const char *v, size_t n)
{
	(void)n;
	return member_state(v + 2);
}

/* European health insurance card: 80 of the health sector, then the country. */
bool check_eu_health_card(const char *v, size_t n)
{
	(void)n;
	return member_state(v + 2);
}

/* Northern Ireland keeps the British number: weights 8 to 2, two digits; since 2010 less 55. */
bool check_xi_vat(const char *v, size_t n)
{
	(void)n;
	int rest = (check_eu_falling(v + 2, 7, 8) + eu_two(v + 9)) % 97;
	return rest == 0 || (check_number(v + 2, 3) >= 100 && (rest == 42 || rest == 55));
}

/* A document number without a check: two digits at least, so that no word is one. */
bool check_eu_document(const char *v, size_t n)
{
	int digits = 0;
	for (size_t i = 0; i < n; i++)
		digits += v[i] <= '9';
	return digits >= 2;
}
