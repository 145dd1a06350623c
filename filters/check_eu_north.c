/* Denmark, Estonia, Finland, Latvia, Lithuania, Sweden. */
#include "filters/check_eu.h"
#include "filters/check.h"

#include <string.h>

/* The seventh digit and the year say the century. */
static bool dk_born(const char *v)
{
	int year = eu_two(v + 4), seventh = eu_digit(v[6]), century;
	if (seventh <= 3)
		century = 1900;
	else if (seventh == 4 || seventh == 9)
		century = year <= 36 ? 2000 : 1900;
	else
		century = year <= 57 ? 2000 : 1800;
	return check_date(century + year, eu_two(v + 2), eu_two(v));
}

/* With the sum that numbers had without exception until 2007. */
bool check_dk_cpr(const char *v, size_t n)
{
	(void)n;
	return dk_born(v) && check_weighted(v, "4327654321") % 11 == 0;
}

/* The date alone: since October 2007 days whose numbers ran out have some without the sum. */
bool check_dk_cpr_date(const char *v, size_t n)
{
	(void)n;
	return dk_born(v);
}

/* With or without DK. */
bool check_dk_cvr(const char *v, size_t n)
{
	return check_weighted(v + n - 8, "27654321") % 11 == 0;
}

/* Sex and century, date, serial, check in two stages. */
bool check_ee_code(const char *v, size_t n)
{
	int century = 1800 + (eu_digit(v[0]) - 1) / 2 * 100;
	return check_eu_born(v + 1, v + 3, v + 5, century) &&
	       check_eu_two_stages(v, n - 1, 9) == eu_digit(v[n - 1]);
}

bool check_ee_company(const char *v, size_t n)
{
	return !check_same(v, n) && check_eu_two_stages(v, n - 1, 9) == eu_digit(v[n - 1]);
}

bool check_ee_vat(const char *v, size_t n)
{
	(void)n;
	return check_weighted(v + 2, "371371371") % 10 == 0;
}

/* As in Estonia; a 9 in front is a number without a date. */
bool check_lt_code(const char *v, size_t n)
{
	return v[0] == '9' ? check_eu_two_stages(v, n - 1, 9) == eu_digit(v[n - 1])
			   : check_ee_code(v, n);
}

/* LT, nine digits of a company or twelve of another payer, a 1 before the check. */
bool check_lt_vat(const char *v, size_t n)
{
	return v[n - 2] == '1' && check_eu_two_stages(v + 2, n - 3, 9) == eu_digit(v[n - 1]);
}

/* Date, sign of the century, serial from 002 on, the nine digits modulo 31. The sign is part of the
 * value where it is a letter, and a separator where it is a hyphen (1900) or a plus (1800). */
bool check_fi_hetu(const char *v, size_t n)
{
	const char *serial = v + n - 4;
	int century = n == 11 && v[6] <= 'F' ? 2000 : 1900; /* 1800 has the leap years of 1900 */
	int nine = (check_number(v, 6) % 31 * 1000 + check_number(serial, 3)) % 31;
	return check_eu_born(v + 4, v + 2, v, century) && check_number(serial, 3) >= 2 &&
	       serial[3] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[nine];
}

/* With or without FI. */
bool check_fi_company(const char *v, size_t n)
{
	v += n - 8;
	return !check_same(v, 8) && check_weighted(v, "79:58421") % 11 == 0;
}

/* Date, century, serial, check; codes from 32 on have no date and no public check. */
bool check_lv_code(const char *v, size_t n)
{
	(void)n;
	int check = (1 + check_weighted(v, ":584216379")) % 11 % 10;
	return v[6] <= '2' && check_eu_born(v + 4, v + 2, v, 1800 + 100 * eu_digit(v[6])) &&
	       check == eu_digit(v[10]);
}

/* Companies begin with 4 to 9. */
bool check_lv_company(const char *v, size_t n)
{
	v += n - 11;
	return check_weighted(v, "91483:25761") % 11 == 3;
}

bool check_lv_vat(const char *v, size_t n)
{
	return v[2] > '3' ? check_lv_company(v, n) : check_lv_code(v + 2, n - 2);
}

/* The day plus 60 is a coordination number. */
static bool se_born(const char *v, int century)
{
	char day[2] = { (char)(v[4] - (v[4] >= '6' ? 6 : 0)), v[5] };
	return check_eu_born(v, v + 2, day, century);
}

/* Ten digits, Luhn. */
bool check_se_person(const char *v, size_t n)
{
	return se_born(v, -1) && check_luhn(v, n) && memcmp(v + 6, "000", 3) != 0;
}

/* The rest of a date and a time of day: hour and minute. */
static bool se_clock(const char *v)
{
	return eu_two(v + 6) <= 31 && eu_two(v + 8) < 24 && eu_two(v + 10) < 60;
}

/* Twelve digits that cannot be a date and a time of day since 2000, nor a date since 2015 and a
 * running number, as invoices and files are numbered .. */
bool check_se_person_century(const char *v, size_t n)
{
	return !(v[0] == '2' && se_clock(v)) && check_number(v, 4) < 2015 &&
	       check_se_person_clock(v, n);
}

/* .. since 1970, as stamps are written without separators. */
bool check_se_person_no_stamp(const char *v, size_t n)
{
	return !(check_number(v, 4) >= 1970 && se_clock(v)) && check_se_person_clock(v, n);
}

/* Twelve digits. */
bool check_se_person_clock(const char *v, size_t n)
{
	return se_born(v + 2, 100 * eu_two(v)) && check_luhn(v + 2, n - 2) &&
	       memcmp(v + 8, "000", 3) != 0;
}

/* SE, a company or a person, 01. */
bool check_se_vat(const char *v, size_t n)
{
	(void)n;
	return check_luhn(v + 2, 10) && !check_same(v + 2, 10);
}
