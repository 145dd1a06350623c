/* Check digits of national identifiers. v is the value without separators, upper case; the regex
 * has fixed its form. */
#include "filters/detect.h"

#include <string.h>

static enum detect_verdict yes(bool b) { return b ? DETECT_YES : DETECT_NO; }

static int digit(char c) { return c - '0'; }

/* GB 11643. */
enum detect_verdict detect_cn_id(struct detect_hit *h)
{
	const char *v = h->value;
	if (!check_date(check_number(v + 6, 4), check_number(v + 10, 2),
			 check_number(v + 12, 2)))
		return DETECT_NO;
	return yes(v[17] == "10X98765432"[check_weighted(v, "79:584216379:5842") % 11]);
}

/* GB 32100. */
enum detect_verdict detect_cn_uscc(struct detect_hit *h)
{
	static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
	static const int weight[] = {
		1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28
	};
	int sum = 0;
	for (int i = 0; i < 17; i++) {
		const char *p = strchr(alphabet, h->value[i]);
		if (!p)
			return DETECT_NO;
		sum += (int)(p - alphabet) * weight[i];
	}
	return yes(h->value[17] == alphabet[(31 - sum % 31) % 31]);
}

/* There is no check digit. Refused are numbers that were never issued and those that advertisements
 * made known. */
enum detect_verdict detect_us_ssn(struct detect_hit *h)
{
	static const char *const known[] = { "078051120", "123456789", "219099999", "457555462" };
	const char *v = h->value;
	int area = check_number(v, 3);
	if (area == 0 || area == 666 || area >= 900 || check_number(v + 3, 2) == 0 ||
	    check_number(v + 5, 4) == 0)
		return DETECT_NO;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(v, known[i]) == 0)
			return DETECT_NO;
	return yes(!check_same(v, 9));
}

enum detect_verdict detect_us_aba(struct detect_hit *h)
{
	int two = check_number(h->value, 2);
	bool district =
		two <= 12 || (two >= 21 && two <= 32) || (two >= 61 && two <= 72) || two == 80;
	return yes(district && !check_same(h->value, 9) &&
		   check_weighted(h->value, "371371371") % 10 == 0);
}

enum detect_verdict detect_us_npi(struct detect_hit *h)
{
	char v[16] = "80840";
	memcpy(v + 5, h->value, 10);
	return yes(!check_same(h->value + 1, 9) && check_luhn(v, 15));
}

enum detect_verdict detect_us_dea(struct detect_hit *h)
{
	return yes(check_weighted(h->value + 2, "121212") % 10 == digit(h->value[8]));
}

enum detect_verdict detect_uk_nhs(struct detect_hit *h)
{
	int r = 11 - check_weighted(h->value, ":98765432") % 11;
	return yes(!check_same(h->value, 10) && r != 10 && digit(h->value[9]) == r % 11);
}

enum detect_verdict detect_br_cpf(struct detect_hit *h)
{
	const char *v = h->value;
	int a = 10 * check_weighted(v, ":98765432") % 11 % 10,
	    b = 10 * check_weighted(v, ";:98765432") % 11 % 10;
	return yes(!check_same(v, 11) && digit(v[9]) == a && digit(v[10]) == b);
}

enum detect_verdict detect_br_cnpj(struct detect_hit *h)
{
	const char *v = h->value;
	int a = check_weighted(v, "543298765432") % 11,
	    b = check_weighted(v, "6543298765432") % 11;
	return yes(!check_same(v, 14) && digit(v[12]) == (a < 2 ? 0 : 11 - a) &&
		   digit(v[13]) == (b < 2 ? 0 : 11 - b));
}

enum detect_verdict detect_in_aadhaar(struct detect_hit *h)
{
	bool palindrome = true;
	for (int i = 0; i < 12; i++)
		palindrome &= h->value[i] == h->value[11 - i];
	return yes(!palindrome && check_verhoeff(h->value, 12));
}

enum detect_verdict detect_ng_nin(struct detect_hit *h)
{
	return yes(!check_same(h->value, 11) && check_verhoeff(h->value, 11));
}

enum detect_verdict detect_in_gstin(struct detect_hit *h)
{
	int sum = 0, state = check_number(h->value, 2);
	for (int i = 0; i < 14; i++) {
		int p = check_base36(h->value[i]) * (i % 2 ? 2 : 1);
		sum += p / 36 + p % 36;
	}
	return yes(state >= 1 && state <= 38 &&
		   check_base36(h->value[14]) == (36 - sum % 36) % 36);
}

enum detect_verdict detect_za_id(struct detect_hit *h)
{
	return yes(check_date(0, check_number(h->value + 2, 2), check_number(h->value + 4, 2)) &&
		   h->value[10] <= '1' && check_luhn(h->value, 13));
}

enum detect_verdict detect_luhn_whole(struct detect_hit *h)
{
	return yes(!check_same(h->value, h->n) && check_luhn(h->value, h->n));
}

enum detect_verdict detect_tr_id(struct detect_hit *h)
{
	const char *v = h->value;
	int odd = check_weighted(v, "101010101"), even = check_weighted(v, "01010101");
	int ten = ((7 * odd - even) % 10 + 10) % 10;
	return yes(digit(v[9]) == ten && digit(v[10]) == (odd + even + ten) % 10);
}

enum detect_verdict detect_th_id(struct detect_hit *h)
{
	return yes(!check_same(h->value, 12) &&
		   digit(h->value[12]) ==
			   (11 - check_weighted(h->value, "=<;:98765432") % 11) % 10);
}

/* Numbers issued since October 2020 carry no check: for births since then date, century and sex
 * decide. */
enum detect_verdict detect_kr_rrn(struct detect_hit *h)
{
	const char *v = h->value;
	if (!check_date(0, check_number(v + 2, 2), check_number(v + 4, 2)) || v[6] == '0' ||
	    v[6] == '9')
		return DETECT_NO;
	bool checked = digit(v[12]) == (11 - check_weighted(v, "234567892345") % 11) % 10;
	bool recent = check_number(v, 2) >= 20 && check_number(v, 2) < 50 && strchr("3478", v[6]);
	return yes(checked || (!h->bare && recent));
}

enum detect_verdict detect_kr_brn(struct detect_hit *h)
{
	int sum = check_weighted(h->value, "137137135") + 5 * digit(h->value[8]) / 10;
	return yes(digit(h->value[9]) == (10 - sum % 10) % 10);
}

enum detect_verdict detect_sg_nric(struct detect_hit *h)
{
	const char *v = h->value;
	int sum = check_weighted(v + 1, "2765432") + (v[0] == 'T' || v[0] == 'G' ? 4
						       : v[0] == 'M'              ? 3
										  : 0);
	const char *table = v[0] == 'S' || v[0] == 'T' ? "JZIHGFEDCBA"
			    : v[0] == 'M'              ? "KLJNPQRTUWX"
						       : "XWUTRQPNMLK";
	return yes(v[8] == table[v[0] == 'M' ? 10 - sum % 11 : sum % 11]);
}

/* Three forms: businesses, local companies, and others (T, S or R, then the year). */
enum detect_verdict detect_sg_uen(struct detect_hit *h)
{
	static const char alphabet[] = "ABCDEFGHJKLMNPQRSTUVWX0123456789";
	static const int weight[] = { 4, 3, 5, 3, 10, 2, 2, 5, 7 };
	const char *v = h->value;
	if (h->n == 9)
		return yes(v[8] == "XMKECAWLJDB"[check_weighted(v, ":4938271") % 11]);
	if (v[0] >= '0' && v[0] <= '9')
		return yes(v[9] == "ZKCMDNERGWH"[check_weighted(v, ":86497531") % 11]);
	int sum = -5;
	for (int i = 0; i < 9; i++) {
		const char *p = strchr(alphabet, v[i]);
		if (!p)
			return DETECT_NO;
		sum += (int)(p - alphabet) * weight[i];
	}
	return yes(v[9] == alphabet[sum % 11]);
}

enum detect_verdict detect_au_abn(struct detect_hit *h)
{
	return yes(h->value[0] != '0' && (check_weighted(h->value, ":13579;=?AC") - 10) % 89 == 0);
}

enum detect_verdict detect_au_acn(struct detect_hit *h)
{
	return yes(!check_same(h->value, 9) &&
		   (10 - check_weighted(h->value, "87654321") % 10) % 10 == digit(h->value[8]));
}

enum detect_verdict detect_au_tfn(struct detect_hit *h)
{
	return yes(!check_same(h->value, 9) && check_weighted(h->value, "14375869:") % 11 == 0);
}

enum detect_verdict detect_au_medicare(struct detect_hit *h)
{
	return yes(check_weighted(h->value, "13791379") % 10 == digit(h->value[8]));
}
