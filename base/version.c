#include "base/version.h"

#include <string.h>

#define DIGITS "0123456789"
#define IDENTIFIER DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-"

/* A version taken apart; core and pre point into the text. */
struct parts {
	enum { OTHER, PRE_RELEASE, RELEASE } kind;
	const char *core, *pre;
	size_t core_len, pre_len;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool version_like(const char *text)
{
	return is_digit(text[0]) || ((text[0] == 'v' || text[0] == 'V') && is_digit(text[1]));
}

/* Numbers with dots between them; 0: there are none. */
static size_t core_length(const char *s)
{
	size_t len = 0;
	for (;;) {
		size_t digits = strspn(s + len, DIGITS);
		if (digits == 0)
			return 0;
		len += digits;
		if (s[len] != '.')
			return len;
		len++;
	}
}

/* A pre-release needs a dot in its core: "2026-11-29" is a date. */
static struct parts take_apart(const char *s)
{
	struct parts p = { .core = s + (version_like(s) && !is_digit(s[0])) };
	p.core_len = core_length(p.core);
	const char *end = p.core + p.core_len;
	if (p.core_len && *end == '-' && memchr(p.core, '.', p.core_len)) {
		p.pre = end + 1;
		p.pre_len = strspn(p.pre, IDENTIFIER ".");
		end = p.pre + p.pre_len;
	}
	bool whole = p.core_len && (*end == '\0' || *end == '+') && (!p.pre || p.pre_len);
	p.kind = !whole ? OTHER : p.pre ? PRE_RELEASE : RELEASE;
	return p;
}

static int sign(bool below, bool over) { return below ? -1 : over ? 1 : 0; }

/* Two runs of digits of any length, by their value. */
static int compare_numbers(const char *a, size_t a_len, const char *b, size_t b_len)
{
	for (; a_len > 1 && *a == '0'; a_len--)
		a++;
	for (; b_len > 1 && *b == '0'; b_len--)
		b++;
	return a_len != b_len ? sign(a_len < b_len, true) : memcmp(a, b, a_len);
}

/* The part up to the next dot of s[*at..len); its length. */
static size_t part_length(const char *s, size_t len)
{
	const char *dot = memchr(s, '.', len);
	return dot ? (size_t)(dot - s) : len;
}

/* Dotted numbers; what is missing at the end is 0. */
static int compare_cores(const struct parts *a, const struct parts *b)
{
	const char *x = a->core, *y = b->core;
	const char *x_end = x + a->core_len, *y_end = y + b->core_len;
	while (x < x_end || y < y_end) {
		size_t n = x < x_end ? part_length(x, (size_t)(x_end - x)) : 0;
		size_t m = y < y_end ? part_length(y, (size_t)(y_end - y)) : 0;
		int order = compare_numbers(n ? x : "0", n ? n : 1, m ? y : "0", m ? m : 1);
		if (order)
			return order;
		x += x < x_end ? n + 1 : 0;
		y += y < y_end ? m + 1 : 0;
	}
	return 0;
}

/* Numbers before words, by value; words by their bytes. */
static int compare_identifiers(const char *a, size_t a_len, const char *b, size_t b_len)
{
	bool x = a_len && strspn(a, DIGITS) >= a_len, y = b_len && strspn(b, DIGITS) >= b_len;
	if (x && y)
		return compare_numbers(a, a_len, b, b_len);
	if (x != y)
		return x ? -1 : 1;
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
	return order ? order : sign(a_len < b_len, a_len > b_len);
}

static int compare_pre(const struct parts *a, const struct parts *b)
{
	const char *x = a->pre, *y = b->pre;
	const char *x_end = x + a->pre_len, *y_end = y + b->pre_len;
	while (x < x_end && y < y_end) {
		size_t n = part_length(x, (size_t)(x_end - x));
		size_t m = part_length(y, (size_t)(y_end - y));
		int order = compare_identifiers(x, n, y, m);
		if (order)
			return order;
		x += n + 1;
		y += m + 1;
	}
	return sign(x >= x_end && y < y_end, x < x_end && y >= y_end);
}

/* By bytes, runs of digits by value. */
static int compare_names(const char *a, const char *b)
{
	while (*a && *b) {
		size_t n = strspn(a, DIGITS), m = strspn(b, DIGITS);
		int order = n && m ? compare_numbers(a, n, b, m)
				   : (unsigned char)*a - (unsigned char)*b;
		if (order)
			return order;
		a += n && m ? n : 1;
		b += n && m ? m : 1;
	}
	return sign(!*a && *b, *a && !*b);
}

int version_compare(const char *a, const char *b)
{
	const struct parts x = take_apart(a), y = take_apart(b);
	int order = sign(x.kind < y.kind, x.kind > y.kind);
	if (order == 0 && x.kind != OTHER)
		order = compare_cores(&x, &y);
	if (order == 0 && x.kind == PRE_RELEASE)
		order = compare_pre(&x, &y);
	if (order == 0)
		order = compare_names(a, b);
	return order ? order : strcmp(a, b);
}
