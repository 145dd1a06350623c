#include "filters/check.h"

int check_number(const char *v, size_t n)
{
	int r = 0;
	for (size_t i = 0; i < n; i++)
		r = r * 10 + (v[i] - '0');
	return r;
}

int check_base36(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'Z' ? c - 'A' + 10 : -1;
}

bool check_same(const char *v, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (v[i] != v[0])
			return false;
	return true;
}

bool check_date(int year, int month, int day)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (month < 1 || month > 12 || day < 1)
		return false;
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return day <= days[month - 1] + (month == 2 && leap);
}

int check_weighted(const char *v, const char *weights)
{
	int sum = 0;
	for (size_t i = 0; weights[i]; i++)
		sum += (v[i] - '0') * (weights[i] - '0');
	return sum;
}

int check_sum(const char *v, size_t n, const int *weights)
{
	int sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += (v[i] - '0') * weights[i];
	return sum;
}

bool check_luhn(const char *v, size_t n)
{
	int sum = 0;
	for (size_t i = 0; i < n; i++) {
		int d = v[n - 1 - i] - '0';
		d = i % 2 ? 2 * d : d;
		sum += d > 9 ? d - 9 : d;
	}
	return sum % 10 == 0;
}

bool check_luhn_mixed(const char *v, size_t n) { return !check_same(v, n) && check_luhn(v, n); }

bool check_mod_11_10(const char *v, size_t n)
{
	int p = 10;
	for (size_t i = 0; i + 1 < n; i++) {
		int t = (v[i] - '0' + p) % 10;
		p = 2 * (t ? t : 10) % 11;
	}
	return v[n - 1] - '0' == (11 - p) % 10;
}

bool check_mod_97_10(const char *v, size_t n)
{
	unsigned r = 0;
	for (size_t i = 0; i < n; i++) {
		int d = check_base36(v[i]);
		if (d < 0)
			return false;
		r = (r * (d > 9 ? 100u : 10u) + (unsigned)d) % 97;
	}
	return r == 1;
}

bool check_verhoeff(const char *v, size_t n)
{
	static const char times[10][11] = { "0123456789", "1234067895", "2340178956", "3401289567",
					    "4012395678", "5987604321", "6598710432", "7659821043",
					    "8765932104", "9876543210" };
	static const char turn[8][11] = { "0123456789", "1576283094", "5803796142", "8916043527",
					  "9453126870", "4286573901", "2793806415", "7046913258" };
	int c = 0;
	for (size_t i = 0; i < n; i++)
		c = times[c][turn[i % 8][v[n - 1 - i] - '0'] - '0'] - '0';
	return c == 0;
}
