/* Separators, and what a run of symbols is part of. */
#include "filters/check.h"
#include "filters/number_read.h"

/* A character that separates by itself, as it stands in ASCII. */
enum separator filter_separator_of(char c)
{
	switch (c) {
	case ' ':
		return SEP_SPACE;
	case '-':
		return SEP_DASH;
	case '/':
		return SEP_SLASH;
	case '.':
		return SEP_DOT;
	case '_':
		return SEP_LOW_LINE;
	case ':':
		return SEP_COLON;
	case ',':
		return SEP_COMMA;
	case '+':
		return SEP_PLUS;
	case '\'':
		return SEP_APOSTROPHE;
	case ';':
		return SEP_SEMICOLON;
	case '|':
		return SEP_BAR;
	case '\t':
		return SEP_TAB;
	case '*':
		return SEP_STAR;
	case '~':
		return SEP_TILDE;
	case '=':
		return SEP_EQUALS;
	case '#':
		return SEP_NUMBER_SIGN;
	case '(':
		return SEP_BRACKET;
	default:
		return SEP_NONE;
	}
}

/* U+00B7, U+2022, U+2219, U+22C5: how many bytes at i, or 0. */
static int middle_dot(struct reader *r, long i)
{
	int c = reader_at(r, i);
	if (c == 0xC2)
		return reader_at(r, i + 1) == 0xB7 ? 2 : 0;
	if (c != 0xE2)
		return 0;
	int d = reader_at(r, i + 1), e = reader_at(r, i + 2);
	return (d == 0x80 && e == 0xA2) || (d == 0x88 && e == 0x99) || (d == 0x8B && e == 0x85) ? 3
												: 0;
}

/* A line break at i, and up to two spaces that indent the next line: *behind moves behind them. */
static bool line_break(struct reader *r, long i, long *behind)
{
	i += reader_at(r, i) == '\r';
	if (reader_at(r, i) != '\n')
		return false;
	i++;
	for (int k = 0; k < 2 && reader_at(r, i) == ' '; k++)
		i++;
	*behind = i;
	return true;
}

enum separator filter_separator_read(struct reader *r, long at, long *behind)
{
	long i = at;
	int c = reader_at(r, i);
	if (byte_digit(c) || byte_letter(c) || c < 0)
		return SEP_NONE;
	if (line_break(r, i, behind))
		return SEP_LINE;
	while (c == ' ' && i < at + 2)
		c = reader_at(r, ++i);
	bool spaced = i > at;
	enum separator s = c > ' ' && c < 0x80 ? filter_separator_of((char)c) : SEP_NONE;
	*behind = i;
	if (spaced && line_break(r, i, behind))
		return SEP_LINE;
	if (spaced && s != SEP_DASH && s != SEP_SLASH)
		return SEP_SPACE;
	if (s == SEP_NONE) {
		int n = c == '\t' ? 1 : middle_dot(r, i);
		*behind = i + n;
		return c == '\t' ? SEP_TAB : n ? SEP_MIDDLE_DOT : SEP_NONE;
	}
	*behind = ++i;
	if (s == SEP_DASH && line_break(r, i, behind))
		return SEP_LINE;
	if ((s == SEP_DASH || s == SEP_SLASH || s == SEP_COMMA) && reader_at(r, i) == ' ')
		*behind = i + 1;
	return s;
}

long filter_separator_before(struct reader *r, long at, enum separator want)
{
	for (long k = 1; k <= 4 && k < at; k++) {
		long behind = at;
		int c = reader_at(r, at - k - 1);
		if ((byte_digit(c) || byte_letter(c)) &&
		    filter_separator_read(r, at - k, &behind) == want && behind == at)
			return at - k - 1;
	}
	return -1;
}

static bool byte_alnum(int c) { return byte_digit(c) || byte_letter(c); }

/* The run of hexadecimal digits around i. */
static bool in_digest(struct reader *r, long i)
{
	long from = i, to = i;
	bool letter = false;
	while (i - from <= NUMBER_HASH && byte_hex(reader_at(r, from - 1)))
		from--;
	while (to - from <= NUMBER_HASH && byte_hex(reader_at(r, to)))
		to++;
	long n = to - from;
	if ((n != 32 && n != 40 && n != 56 && n != 64) || byte_alnum(reader_at(r, from - 1)) ||
	    byte_alnum(reader_at(r, to)))
		return false;
	for (long k = from; k < to; k++)
		letter |= byte_letter(reader_at(r, k));
	return letter;
}

bool filter_border_digest(struct reader *r, long s, long e)
{
	return in_digest(r, s) || in_digest(r, e - 1);
}

static bool uuid_at(struct reader *r, long p)
{
	if (byte_alnum(reader_at(r, p - 1)))
		return false;
	for (long i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		int c = reader_at(r, p + i);
		if (dash ? c != '-' : !byte_hex(c))
			return false;
	}
	return !byte_alnum(reader_at(r, p + 36));
}

bool filter_border_uuid(struct reader *r, long s, long e)
{
	for (long p = s < 35 ? 0 : s - 35; p < e; p++)
		if (byte_hex(reader_at(r, p)) && uuid_at(r, p))
			return true;
	return false;
}

bool filter_border_fraction(struct reader *r, long s, long e)
{
	if (reader_at(r, s - 1) != '.')
		return false;
	long i = s - 2;
	while (s - i < 24 && byte_digit(reader_at(r, i)))
		i--;
	int before = reader_at(r, i);
	if (i == s - 2) /* no integer part: .4111 after a space or a sign, not behind a word */
		return before < 0 || (before < 0x80 && !byte_letter(before) && before != '.');
	if (before == '.' || before == '_' || byte_letter(before))
		return false;
	/* 17.4111111111111111.123 is no decimal but three cells. */
	return !(reader_at(r, e) == '.' && byte_digit(reader_at(r, e + 1)));
}

bool filter_border_telephone(struct reader *r, long s, long e)
{
	int digits = 0;
	for (long i = s; i < e; i++)
		digits += byte_digit(reader_at(r, i));
	for (long i = s - 1; i >= 0 && s - i < 24 && digits <= 15; i--) {
		int c = reader_at(r, i);
		digits += byte_digit(c);
		if (c == '+')
			return digits <= 15;
		if (!byte_digit(c) && c != ' ' && c != '-' && c != '.' && c != '(' && c != ')' &&
		    c != '/')
			return false;
	}
	return false;
}

bool filter_border_stamp(const char *v, size_t n)
{
	if (n != 12 && n != 14)
		return false;
	int year = check_number(v, 4);
	return year >= 1970 && year < 2100 &&
	       check_date(year, check_number(v + 4, 2), check_number(v + 6, 2)) &&
	       check_number(v + 8, 2) < 24 && check_number(v + 10, 2) < 60 &&
	       (n == 12 || check_number(v + 12, 2) < 60);
}
