/* Croatia, Cyprus, Greece, Italy, Malta, Portugal, Slovenia, Spain. */
#include "filters/check_eu.h"
#include "filters/check.h"

#include <string.h>

/* Digits in odd places count by a table, the others as they are; none begins with 12. */
bool check_cy_tin(const char *v, size_t n)
{
	static const int odd[] = { 1, 0, 5, 7, 9, 13, 15, 17, 19, 21 };
	int sum = 0;
	v += n - 9;
	for (int i = 0; i < 8; i++)
		sum += i % 2 ? eu_digit(v[i]) : odd[eu_digit(v[i])];
	return memcmp(v, "12", 2) != 0 && v[8] == 'A' + sum % 26;
}

/* The number modulo 23; X, Y, Z of foreigners stand for 0, 1, 2, K, L, M for nothing. */
bool check_es_dni(const char *v, size_t n)
{
	int number = check_number(v[0] > '9' ? v + 1 : v, v[0] > '9' ? n - 2 : n - 1);
	if (v[0] >= 'X')
		number += (v[0] - 'X') * 10000000;
	return number != 0 && v[n - 1] == "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23];
}

/* Luhn over seven digits, as a digit or a letter: public bodies have letters, companies digits. */
bool check_es_cif(const char *v, size_t n)
{
	char d[9];
	int check = 0;
	memcpy(d, v + 1, 7);
	for (d[7] = '0'; !check_luhn(d, 8); d[7]++)
		check++;
	bool letter = strchr("KNPQRSW", v[0]) != NULL, digit = strchr("ABEH", v[0]) != NULL;
	return (!letter && v[n - 1] == '0' + check) || (!digit && v[n - 1] == "JABCDEFGHI"[check]);
}

bool check_es_vat(const char *v, size_t n)
{
	v += 2, n -= 2;
	bool person = v[0] <= '9' || strchr("KLMXYZ", v[0]);
	return person ? v[n - 1] > '9' && check_es_dni(v, n) : check_es_cif(v, n);
}

/* Province, number, the rest modulo 97; a number below ten million is taken with seven digits. */
bool check_es_nuss(const char *v, size_t n)
{
	(void)n;
	int province = eu_two(v);
	bool known = (province >= 1 && province <= 53) || province == 66;
	unsigned rest = v[2] == '0' ? (unsigned)(province * 10000000 + check_number(v + 3, 7)) % 97
				    : check_eu_modulo(v, 10, 97);
	return known && !check_same(v + 2, 8) && rest == (unsigned)eu_two(v + 10);
}

/* Powers of two, modulo 11, modulo 10; EL or GR may stand before it. */
bool check_gr_afm(const char *v, size_t n)
{
	int sum = 0;
	v += n - 9;
	for (int i = 0; i < 8; i++)
		sum = 2 * (sum + eu_digit(v[i]));
	return !check_same(v, 9) && sum % 11 % 10 == eu_digit(v[8]);
}

bool check_gr_amka(const char *v, size_t n)
{
	return check_eu_born(v + 4, v + 2, v, -1) && check_luhn(v, n);
}

/* ISO 7064 mod 11,10; HR may stand before it. */
bool check_hr_oib(const char *v, size_t n)
{
	return !check_same(v + n - 11, 10) && check_mod_11_10(v + n - 11, 11);
}

/* Regions 30 to 39; foreigners have 03. */
bool check_hr_jmbg(const char *v, size_t n)
{
	(void)n;
	return (v[7] == '3' || memcmp(v + 7, "03", 2) == 0) && check_eu_jmbg(v);
}

static int it_value(char c) { return c <= '9' ? c - '0' : c - 'A'; }

/* Names, year, month's letter, day (plus 40 for women), place, check. Where two persons had one
 * code,
 * letters stand for digits (omocodia): L is 0, V is 9. */
bool check_it_fiscal(const char *v, size_t n)
{
	(void)n;
	static const int odd[] = { 1,  0,  5, 7, 9, 13, 15, 17, 19, 21, 2,  4,  18,
				   20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23 };
	static const char letters[] = "LMNPQRSTUV", months[] = "ABCDEHLMPRST";
	int year = 0, day = 0, sum = 0;
	for (int i = 6; i < 11; i++) {
		const char *p = strchr(letters, v[i]);
		int d = p ? (int)(p - letters) : v[i] - '0';
		if (i < 8)
			year = 10 * year + d;
		else if (i > 8)
			day = 10 * day + d;
	}
	int month = (int)(strchr(months, v[8]) - months) + 1;
	for (int i = 0; i < 15; i++)
		sum += i % 2 ? it_value(v[i]) : odd[it_value(v[i])];
	return check_date(year ? 1900 + year : 0, month, day > 40 ? day - 40 : day) &&
	       v[15] == 'A' + sum % 26;
}

/* Seven digits, the office of a province, Luhn; IT may stand before it. */
bool check_it_vat(const char *v, size_t n)
{
	v += n - 11;
	int office = check_number(v + 7, 3);
	bool known = (office >= 1 && office <= 100) || office == 120 || office == 121 ||
		     office == 888 || office == 999;
	return known && check_number(v, 7) != 0 && check_luhn(v, 11);
}

bool check_mt_vat(const char *v, size_t n)
{
	static const int weights[] = { 3, 4, 6, 7, 8, 9, 10, 1 };
	return check_sum(v + n - 8, 8, weights) % 37 == 0;
}

/* Weights 9 to 2; a rest of 0 or 1 gives 0. PT may stand before it. */
bool check_pt_nif(const char *v, size_t n)
{
	v += n - 9;
	int rest = check_eu_falling(v, 8, 9) % 11;
	return !check_same(v, 9) && (rest < 2 ? 0 : 11 - rest) == eu_digit(v[8]);
}

/* Citizen's card: the civil number with its check, version, and Luhn over all; letters are 10 to
 * 35. */
bool check_pt_cc(const char *v, size_t n) { return check_pt_cc_luhn(v, n) && check_pt_bi(v, 9); }

/* The sum over all alone. */
bool check_pt_cc_luhn(const char *v, size_t n)
{
	int sum = 0;
	for (size_t i = 0; i < n; i++) {
		int k = check_base36(v[i]) * (i % 2 ? 1 : 2);
		sum += k > 9 && i % 2 == 0 ? k - 9 : k;
	}
	return sum % 10 == 0;
}

/* Civil identity number: as the tax number, and the digit 0 also stands for ten. */
bool check_pt_bi(const char *v, size_t n)
{
	(void)n;
	int rest = (check_eu_falling(v, 8, 9) + eu_digit(v[8])) % 11;
	return rest == 0 || (v[8] == '0' && rest == 1);
}

bool check_pt_niss(const char *v, size_t n)
{
	static const int primes[] = { 29, 23, 19, 17, 13, 11, 7, 5, 3, 2 };
	(void)n;
	return !check_same(v, 10) && 9 - check_sum(v, 10, primes) % 10 == eu_digit(v[10]);
}

/* Region 50; a rest of 1 was not given out. */
bool check_si_emso(const char *v, size_t n)
{
	(void)n;
	return memcmp(v + 7, "50", 2) == 0 && check_eu_jmbg(v);
}

/* Weights 8 to 2; 10 gives 0, 11 is not given out. SI may stand before it. */
bool check_si_tax(const char *v, size_t n)
{
	v += n - 8;
	int check = 11 - check_eu_falling(v, 7, 8) % 11;
	return !check_same(v, 8) && (check == 10 ? 0 : check) == eu_digit(v[7]);
}

/* Six digits and check, then three characters of the part. */
bool check_si_company(const char *v, size_t n)
{
	(void)n;
	int rest = check_eu_falling(v, 6, 7) % 11;
	return rest != 0 && (11 - rest) % 10 == eu_digit(v[6]);
}
