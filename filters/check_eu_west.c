/* Austria, Belgium, France, Germany, Ireland, Luxembourg, the Netherlands. */
#include "filters/check_eu.h"
#include "filters/check.h"

#include <string.h>

/* Serial number, check, date of birth; months 13 to 15 stand in where a day's serial numbers are
 * used up. A rest of 10 is not given out, and no digit equals it. */
bool check_at_svnr(const char *v, size_t n)
{
	(void)n;
	int day = eu_two(v + 4), month = eu_two(v + 6);
	bool born = month >= 13 ? month <= 15 && day >= 1 && day <= 31
				: check_eu_born(v + 8, v + 6, v + 4, -1);
	return born && check_weighted(v, "3790584216") % 11 == eu_digit(v[3]);
}

/* Weights 1 2 1 2 .., digit sums of the products. */
static int cross_sum(const char *v, size_t n, int first)
{
	int sum = 0;
	for (size_t i = 0; i < n; i++) {
		int p = eu_digit(v[i]) * (i % 2 ? 3 - first : first);
		sum += p / 10 + p % 10;
	}
	return sum;
}

/* The first two digits name the tax office. */
bool check_at_tax(const char *v, size_t n)
{
	(void)n;
	static const char offices[] = "030406070809101215161822232933384146515253545759616567686971"
				      "728182838490919397"
				      "98";
	bool known = false;
	for (const char *o = offices; *o && !known; o += 2)
		known = memcmp(o, v, 2) == 0;
	return known && (10 - cross_sum(v, 8, 1) % 10) % 10 == eu_digit(v[8]);
}

bool check_at_vat(const char *v, size_t n)
{
	(void)n;
	return (100 - 4 - cross_sum(v + 3, 7, 1)) % 10 == eu_digit(v[10]);
}

/* 97 less the rest of the first nine digits, with a 2 before them for births since 2000. An unknown
 * month or day is 00; who has no day of birth counts on in the day's place, so only 1 to 31 and 0
 * are taken. */
static bool be_person(const char *v, int month)
{
	int day = eu_two(v + 4);
	unsigned long nine = (unsigned long)check_number(v, 9);
	for (int born = 0; born < 2; born++) {
		int year = (born ? 2000 : 1900) + eu_two(v);
		bool real = month == 0 ? day <= 31 : day == 0 || check_date(year, month, day);
		unsigned long rest = (nine + (born ? 2000000000UL : 0)) % 97;
		if (real && 97 - rest == (unsigned long)eu_two(v + 9))
			return true;
	}
	return false;
}

bool check_be_nn(const char *v, size_t n)
{
	(void)n;
	int month = eu_two(v + 2);
	return month <= 12 && be_person(v, month);
}

/* Who is not in the register: month plus 20, plus 40 where the sex is known. */
bool check_be_bis(const char *v, size_t n)
{
	(void)n;
	int month = eu_two(v + 2);
	return month >= 20 && month % 20 <= 12 && month <= 52 && be_person(v, month % 20);
}

/* With or without BE; nine digits until 2005, ten since. Both last two are 97 less the rest. */
bool check_be_vat(const char *v, size_t n)
{
	size_t digits = n == 11 ? 9 : 10;
	const char *d = v + n - digits;
	return !check_same(d, digits) &&
	       (check_eu_modulo(d, digits - 2, 97) + (unsigned)eu_two(v + n - 2)) % 97 == 0;
}

bool check_be_id_card(const char *v, size_t n)
{
	(void)n;
	unsigned rest = check_eu_modulo(v, 10, 97);
	return (rest ? rest : 97) == (unsigned)eu_two(v + 10);
}

/* Among the first ten digits one stands twice or three times, never thrice in a row, the others at
 * most once. */
bool check_de_tax_id(const char *v, size_t n)
{
	int count[10] = { 0 }, repeated = 0;
	for (int i = 0; i < 10; i++) {
		if (++count[eu_digit(v[i])] > 3)
			return false;
		if (i >= 2 && v[i] == v[i - 1] && v[i] == v[i - 2])
			return false;
	}
	for (int d = 0; d < 10; d++)
		repeated += count[d] > 1;
	return repeated == 1 && check_mod_11_10(v, n);
}

bool check_de_vat_id(const char *v, size_t n) { return check_mod_11_10(v + 2, n - 2); }

/* The letter counts as two digits (A is 01); weights, digit sums of the products, modulo 10. */
static int de_letter_sum(const char *v, size_t n, size_t letter, const char *weights)
{
	int sum = 0;
	for (size_t i = 0, w = 0; i < n; i++) {
		int k = i == letter ? v[i] - 'A' + 1 : eu_digit(v[i]);
		for (int part = i == letter ? 0 : 1; part < 2; part++) {
			int p = (part ? k % 10 : k / 10) * eu_digit(weights[w++]);
			sum += p / 10 + p % 10;
		}
	}
	return sum % 10;
}

/* Area, date of birth (the day plus 50 for a second number), letter of the name, serial, check. */
bool check_de_pension(const char *v, size_t n)
{
	(void)n;
	char day[2] = { (char)(v[2] - (v[2] >= '5' ? 5 : 0)), v[3] };
	return check_eu_born(v + 6, v + 4, day, -1) &&
	       de_letter_sum(v, 11, 8, "212571212121") == eu_digit(v[11]);
}

bool check_de_health(const char *v, size_t n)
{
	(void)n;
	return de_letter_sum(v, 9, 0, "1212121212") == eu_digit(v[9]);
}

bool check_de_document(const char *v, size_t n)
{
	return strpbrk(v + 1, "0123456789") && check_eu_icao(v, n - 1) == eu_digit(v[n - 1]);
}

/* Doctors: six digits and check, then two of the speciality. */
bool check_de_doctor(const char *v, size_t n)
{
	(void)n;
	return !check_same(v, 7) && (10 - check_weighted(v, "494949") % 10) % 10 == eu_digit(v[6]);
}

/* Driving licence: authority, serial, check, edition. */
bool check_de_licence(const char *v, size_t n)
{
	(void)n;
	int sum = 0;
	for (int i = 0; i < 9; i++)
		sum += check_base36(v[i]) * (9 - i);
	return v[9] == "0123456789X"[sum % 11];
}

/* Sex, year, month, department, commune, serial, key: 97 less the rest; 2A and 2B of Corsica count
 * as 19 and 18. */
static bool fr_key(const char *v, size_t n)
{
	char d[16];
	memcpy(d, v, 13);
	if (d[6] == 'A' || d[6] == 'B')
		memcpy(d + 5, d[6] == 'A' ? "19" : "18", 2);
	return n == 13 || 97 - check_eu_modulo(d, 13, 97) == (unsigned)eu_two(v + 13);
}

bool check_fr_nir(const char *v, size_t n)
{
	int month = eu_two(v + 3);
	return month >= 1 && month <= 12 && memcmp(v + 5, "00", 2) != 0 && fr_key(v, n);
}

/* The month is one of those that say that none was known when the number was made. */
bool check_fr_nir_place(const char *v, size_t n)
{
	int month = eu_two(v + 3);
	return ((month >= 20 && month <= 42) || month >= 50) && fr_key(v, n);
}

bool check_fr_spi(const char *v, size_t n)
{
	(void)n;
	return !check_same(v, 10) &&
	       check_eu_modulo(v, 10, 511) == (unsigned)check_number(v + 10, 3);
}

/* Two digits from the company number, or two characters of which one is a letter. */
bool check_fr_vat(const char *v, size_t n)
{
	static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
	const char *company = v + 4;
	int a = (int)(strchr(alphabet, v[2]) - alphabet),
	    b = (int)(strchr(alphabet, v[3]) - alphabet);
	(void)n;
	/* Monaco's numbers begin with 000 and are in no register of companies. */
	if (memcmp(company, "000", 3) != 0 && !check_luhn(company, 9))
		return false;
	if (a < 10 && b < 10)
		return (12 + 3 * check_eu_modulo(company, 9, 97)) % 97 == (unsigned)(10 * a + b);
	int key = a < 10 ? a * 24 + b - 10 : a * 34 + b - 100;
	return (check_number(company, 9) + 1 + key / 11) % 11 == key % 11;
}

/* The post office's branches: the sum of all digits is a multiple of five. */
bool check_fr_siret(const char *v, size_t n)
{
	if (!check_luhn_mixed(v, 9))
		return false;
	return check_luhn(v, n) ||
	       (memcmp(v, "356000000", 9) == 0 && check_weighted(v, "11111111111111") % 5 == 0);
}

static char ie_letter(const char *seven, char second)
{
	static const char letters[] = "WABCDEFGHIJKLMNOPQRSTUV";
	const char *p = second ? strchr(letters, second) : letters;
	return p ? letters[(check_weighted(seven, "8765432") + 9 * (int)(p - letters)) % 23] : 0;
}

/* The second letter counts since 2013 (A, B, H); a W, T or X from before does not. */
bool check_ie_pps(const char *v, size_t n)
{
	char second = n == 9 && v[8] != 'W' && v[8] != 'T' && v[8] != 'X' ? v[8] : 0;
	return !check_same(v, 7) && v[7] == ie_letter(v, second);
}

/* Numbers of before 2013 may have a letter in the second place: the first digit comes last then. */
bool check_ie_vat(const char *v, size_t n)
{
	char seven[8] = "0";
	v += 2;
	if (v[1] >= 'A') {
		memcpy(seven + 1, v + 2, 5);
		seven[6] = v[0];
		return v[7] == ie_letter(seven, 0);
	}
	return v[7] == ie_letter(v, n == 11 ? v[8] : 0);
}

/* Date of birth, serial, Luhn over eleven digits, Verhoeff over the same eleven. */
bool check_lu_matricule(const char *v, size_t n)
{
	(void)n;
	char twelve[12];
	memcpy(twelve, v, 11);
	twelve[11] = v[12];
	return check_date(check_number(v, 4), eu_two(v + 4), eu_two(v + 6)) && check_luhn(v, 12) &&
	       check_verhoeff(twelve, 12);
}

bool check_lu_vat(const char *v, size_t n)
{
	(void)n;
	return check_number(v + 2, 6) % 89 == eu_two(v + 8);
}

/* Weights 9 to 2, the last digit counts -1; eight digits have lost their zero. */
static int nl_rest(const char *v, size_t n)
{
	int sum = n == 9 ? check_eu_falling(v, 8, 9) : check_eu_falling(v, 7, 8);
	return ((sum - eu_digit(v[n - 1])) % 11 + 11) % 11;
}

bool check_nl_bsn(const char *v, size_t n) { return !check_same(v, n) && nl_rest(v, n) == 0; }

/* Pupils without a citizen number. */
bool check_nl_education(const char *v, size_t n) { return nl_rest(v, n) == 5; }

/* A person's citizen number until 2019, since then a number of its own with ISO 7064 mod 97. */
bool check_nl_vat(const char *v, size_t n)
{
	return !check_same(v + 2, 9) && memcmp(v + 12, "00", 2) != 0 &&
	       (nl_rest(v + 2, 9) == 0 || check_eu_modulo(v, n, 97) == 1);
}
