/* Bulgaria, Czechia, Hungary, Poland, Romania, Slovakia. */
#include "filters/check_eu.h"
#include "filters/check.h"

#include <string.h>

/* The month plus 20 for births before 1900, plus 40 since 2000. */
bool check_bg_egn(const char *v, size_t n)
{
	static const int century[] = { 1900, 1800, 2000 };
	int month = eu_two(v + 2);
	(void)n;
	return month <= 52 &&
	       check_date(century[month / 20] + eu_two(v), month % 20, eu_two(v + 4)) &&
	       check_weighted(v, "2485:9736") % 11 % 10 == eu_digit(v[9]);
}

/* Foreigners with residence. */
bool check_bg_pnf(const char *v, size_t n)
{
	(void)n;
	static const int weights[] = { 21, 19, 17, 13, 11, 9, 7, 3, 1 };
	return !check_same(v, 10) && check_sum(v, 9, weights) % 10 == eu_digit(v[9]);
}

/* Companies: nine digits; a branch has four more, the last checks from the ninth on. */
bool check_bg_eik(const char *v, size_t n)
{
	if (check_same(v, 9) || check_eu_two_stages(v, 8, 100) != eu_digit(v[8]))
		return false;
	int first = check_weighted(v + 8, "2735") % 11, second = check_weighted(v + 8, "4957") % 11;
	return n == 9 || (first == 10 ? second % 10 : first) == eu_digit(v[12]);
}

/* BG and a company, a person, a foreigner, or another payer. */
bool check_bg_vat(const char *v, size_t n)
{
	v += 2, n -= 2;
	if (n == 9)
		return check_bg_eik(v, n);
	int other = (11 - check_weighted(v, "432765432") % 11) % 11;
	return check_bg_egn(v, n) || check_bg_pnf(v, n) || other == eu_digit(v[9]);
}

/* The month plus 50 for women; 20 more since 2004 where a day's numbers ran out. */
static bool cz_born(const char *v, int century, bool more)
{
	int month = eu_two(v + 2) % 50;
	if (more && month > 20)
		month -= 20;
	return check_date(century + eu_two(v), month, eu_two(v + 4));
}

/* Ten digits since 1954: a multiple of 11; until 1985 a rest of 10 was written as 0. */
bool check_cz_birth(const char *v, size_t n)
{
	(void)n;
	int year = eu_two(v), rest = (int)check_eu_modulo(v, 9, 11);
	int century = year >= 54 ? 1900 : 2000;
	bool zero = rest == 10 && v[9] == '0' && year >= 54 && year <= 85;
	return cz_born(v, century, century == 2000 && year >= 4) &&
	       (rest == eu_digit(v[9]) || zero);
}

/* Nine digits for births from 1880 to 1953: a date and three digits that are not 000. */
bool check_cz_birth_old(const char *v, size_t n)
{
	int year = eu_two(v);
	int century = year < 54 ? 1900 : 1800;
	return (year < 54 || year >= 80) && memcmp(v + n - 3, "000", 3) != 0 &&
	       cz_born(v, century, false);
}

/* Companies in both states. */
bool check_cz_company(const char *v, size_t n)
{
	(void)n;
	int check = (11 - check_eu_falling(v, 7, 8) % 11) % 11;
	return !check_same(v, 8) && (check ? check : 1) % 10 == eu_digit(v[7]);
}

/* CZ and a company, a person by birth number, or a person without one, which begins with 6. */
bool check_cz_vat(const char *v, size_t n)
{
	v += 2, n -= 2;
	if (n == 8)
		return v[0] != '9' && check_cz_company(v, n);
	if (n == 10)
		return check_cz_birth(v, n);
	int rest = check_eu_falling(v + 1, 7, 8) % 11;
	bool special = v[0] == '6' && (8 - (21 - rest) % 11 + 10) % 10 == eu_digit(v[8]);
	return special || (v[0] != '6' && check_cz_birth_old(v, n));
}

/* With or without SK. */
bool check_sk_vat(const char *v, size_t n)
{
	v += n - 10;
	return strchr("234789", v[2]) && check_eu_modulo(v, 10, 11) == 0;
}

/* 8, days from 1867 on, serial, sum with weights 1 to 9. 60,000 days end in 2031. */
bool check_hu_tax(const char *v, size_t n)
{
	(void)n;
	int sum = 0;
	for (int i = 0; i < 9; i++)
		sum += eu_digit(v[i]) * (i + 1);
	return check_number(v + 1, 5) < 60000 && sum % 11 == eu_digit(v[9]);
}

bool check_hu_taj(const char *v, size_t n)
{
	(void)n;
	return !check_same(v, 9) && check_weighted(v, "37373737") % 10 == eu_digit(v[8]);
}

/* Sex and century (1, 2 of citizens and 5, 6 of others are of 1900; 3, 4 of 2000 or 1800; 7, 8 of
 * 1800), date, serial; weights 1 to 10 for births until 1996, 10 to 1 since. */
bool check_hu_personal(const char *v, size_t n)
{
	(void)n;
	static const int century[] = { 0, 1900, 1900, 2000, 2000, 1900, 1900, 1800, 1800 };
	int year = century[eu_digit(v[0])] + eu_two(v + 1), rising = 0, falling = 0;
	for (int i = 0; i < 10; i++) {
		rising += eu_digit(v[i]) * (i + 1);
		falling += eu_digit(v[i]) * (10 - i);
	}
	return check_date(year, eu_two(v + 3), eu_two(v + 5)) &&
	       (year < 1997 ? rising : falling) % 11 == eu_digit(v[10]);
}

/* Eight digits with their check; HU before them, or the kind of payer and county behind them. */
bool check_hu_company(const char *v, size_t n)
{
	(void)n;
	int county = eu_two(v + 9);
	return !check_same(v, 8) && check_weighted(v, "97319731") % 10 == 0 &&
	       ((county >= 2 && county <= 20) || (county >= 22 && county <= 44) || county == 51);
}

bool check_hu_vat(const char *v, size_t n)
{
	(void)n;
	return check_weighted(v + 2, "97319731") % 10 == 0 && !check_same(v + 2, 8);
}

/* The month says the century: plus 80 for 1800, 20 for 2000, 40, 60. */
bool check_pl_pesel(const char *v, size_t n)
{
	(void)n;
	static const int century[] = { 1900, 2000, 2100, 2200, 1800 };
	int month = eu_two(v + 2);
	return check_date(century[month / 20] + eu_two(v), month % 20, eu_two(v + 4)) &&
	       (10 - check_weighted(v, "1379137913") % 10) % 10 == eu_digit(v[10]);
}

/* With or without PL. A rest of 10 is not given out. */
bool check_pl_nip(const char *v, size_t n)
{
	v += n - 10;
	return !check_same(v, 10) && check_weighted(v, "657234567") % 11 == eu_digit(v[9]);
}

/* Nine digits; a local unit has five more. */
bool check_pl_regon(const char *v, size_t n)
{
	if (check_same(v, 9) || check_weighted(v, "89234567") % 11 % 10 != eu_digit(v[8]))
		return false;
	return n == 9 || check_weighted(v, "2485097361248") % 11 % 10 == eu_digit(v[13]);
}

/* Weights 7 3 1 over all but the check, which stands first of the digits. */
static bool pl_document(const char *v, size_t n, size_t check)
{
	char rest[10];
	memcpy(rest, v, check);
	memcpy(rest + check, v + check + 1, n - check - 1);
	return check_eu_icao(rest, n - 1) == eu_digit(v[check]);
}

bool check_pl_id_card(const char *v, size_t n) { return pl_document(v, n, 3); }

bool check_pl_passport(const char *v, size_t n) { return pl_document(v, n, 2); }

/* Counties, the sectors of Bucharest, and 70 and 80 to 83 of the register since 2024. */
static bool ro_county(int c)
{
	return (c >= 1 && c <= 48) || c == 51 || c == 52 || c == 70 || (c >= 80 && c <= 83);
}

/* Sex and century (7 and 8: residents), date, county, serial, sum. */
bool check_ro_cnp(const char *v, size_t n)
{
	(void)n;
	static const int century[] = { 0, 1900, 1900, 1800, 1800, 2000, 2000, -1, -1, -1 };
	int sum = check_weighted(v, "279146358279") % 11;
	return check_eu_born(v + 1, v + 3, v + 5, century[eu_digit(v[0])]) &&
	       ro_county(eu_two(v + 7)) && (sum == 10 ? 1 : sum) == eu_digit(v[12]);
}

/* Of a citizen alive since 1978, when the numbers began, and born before 2040. */
bool check_ro_cnp_likely(const char *v, size_t n)
{
	int year = eu_two(v + 1);
	return (v[0] <= '2' || (v[0] <= '4' ? year >= 70 : year < 40)) && check_ro_cnp(v, n);
}

/* Two to ten digits, weights from the right; RO may stand before them. */
bool check_ro_cui(const char *v, size_t n)
{
	static const int weights[] = { 2, 3, 5, 7, 1, 2, 3, 5, 7 };
	int sum = 0;
	if (v[0] == 'R')
		v += 2, n -= 2;
	for (size_t i = 0; i + 1 < n; i++)
		sum += eu_digit(v[n - 2 - i]) * weights[i];
	return !check_same(v, n) && 10 * sum % 11 % 10 == eu_digit(v[n - 1]);
}
