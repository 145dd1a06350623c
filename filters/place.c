/* Dates of birth, plates of vehicles, postal addresses. Each has a shape that much else has too, so
 * each needs a word; an address needs none where street, number, postal code and town stand
 * together. */
#include "filters/near.h"

#include "base/text.h"
#include "filters/check.h"

#include <ctype.h>
#include <string.h>

/* ---- dates of birth */

/* The numbers of a date as they stand: day, month, year in any order; -1 for a month in letters. */
static int numbers_of(const struct detect_hit *h, int part[3], size_t digits[3])
{
	int n = 0;
	for (size_t i = h->start; i < h->end && n < 3;) {
		if (!isdigit((unsigned char)h->text[i])) {
			i++;
			continue;
		}
		size_t from = i;
		while (i < h->end && isdigit((unsigned char)h->text[i]))
			i++;
		digits[n] = i - from;
		part[n++] = check_number(h->text + from, i - from);
	}
	return n;
}

static bool a_year(int y) { return y >= 1890 && y <= 2035; }

static bool day_and_month(int a, int b, int year)
{
	return check_date(year, a, b) || check_date(year, b, a);
}

static bool is_date(const struct detect_hit *h)
{
	int part[3];
	size_t digits[3];
	int n = numbers_of(h, part, digits);
	if (n == 2) /* the month is a word */
		return (a_year(part[0]) && part[1] >= 1 && part[1] <= 31) ||
		       (a_year(part[1]) && part[0] >= 1 && part[0] <= 31);
	if (n == 1) { /* 19850312, 12031985 */
		int v = part[0];
		return digits[0] == 8 &&
		       ((a_year(v / 10000) && check_date(v / 10000, v / 100 % 100, v % 100)) ||
			(a_year(v % 10000) &&
			 day_and_month(v / 1000000, v / 10000 % 100, v % 10000)));
	}
	if (n != 3)
		return false;
	if (digits[0] == 4)
		return a_year(part[0]) && check_date(part[0], part[1], part[2]);
	bool era = (unsigned char)h->text[h->start] >= 0x80; /* of Japan */
	if (era)
		return day_and_month(part[1], part[2], 0);
	int year = digits[2] == 2 ? 1900 + part[2] : part[2];
	return (digits[2] == 2 || digits[2] == 4) && a_year(year) &&
	       day_and_month(part[0], part[1], 0);
}

/* A date that stands between the word and this one is the date of birth. */
static bool other_date(const struct near *near, size_t birth)
{
	int digits = 0;
	for (size_t i = near->left_len - birth; i < near->left_len; i++)
		digits += isdigit((unsigned char)near->left[i]) != 0;
	return digits > 3;
}

enum detect_verdict detect_birth(struct detect_hit *h)
{
	if (!is_date(h))
		return DETECT_NO;
	struct near near;
	filter_near(h, &near);
	size_t birth = near.before[NEAR_BIRTH];
	bool other = near.before[NEAR_OTHER] < birth && filter_near_other(&near);
	bool before = birth != NEAR_NONE && !other && !other_date(&near, birth);
	bool found = before || near.after[NEAR_BIRTH] != NEAR_NONE ||
		     (!other && filter_near_columns(h) & 1u << NEAR_BIRTH);
	return found ? DETECT_YES : DETECT_NO;
}

/* ---- plates */

static enum detect_verdict plated(const struct detect_hit *h, bool shape_is_enough)
{
	struct near near;
	filter_near(h, &near);
	size_t plate = near.before[NEAR_PLATE];
	if (near.before[NEAR_OTHER] < plate && filter_near_other(&near))
		return DETECT_NO;
	if (plate != NEAR_NONE)
		return DETECT_YES;
	bool found = shape_is_enough || near.after[NEAR_PLATE] != NEAR_NONE ||
		     filter_near_columns(h) & 1u << NEAR_PLATE;
	return found ? DETECT_YES : DETECT_NO;
}

enum detect_verdict detect_plate(struct detect_hit *h)
{
	size_t letters = 0, digits = 0;
	for (size_t i = h->start; i < h->end; i++) {
		digits += isdigit((unsigned char)h->text[i]) != 0;
		letters += isalpha((unsigned char)h->text[i]) || (unsigned char)h->text[i] >= 0xC0;
	}
	return letters && digits ? plated(h, false) : DETECT_NO;
}

/* Shapes rare enough to need no word, but none for another thing. */
enum detect_verdict detect_plate_shape(struct detect_hit *h) { return plated(h, true); }

/* ---- postal addresses */

/* Whether a postal code stands behind the street. A street that begins with letters ends with the
 * number of a house, and only a town goes on behind it; one that begins with the number ends with
 * letters, and only a code has digits near its end. */
static bool closed(const struct detect_hit *h)
{
	size_t last = h->end, run = 0;
	while (last > h->start && !isdigit((unsigned char)h->text[last - 1]))
		last--;
	while (last - run > h->start && isdigit((unsigned char)h->text[last - run - 1]))
		run++;
	if (!isdigit((unsigned char)h->text[h->start]))
		return h->end - last > 3;
	return last - run > h->start && (run >= 4 || h->end - last <= 3);
}

/* Street and number alone: where someone lives, or is. */
enum detect_verdict detect_street(struct detect_hit *h)
{
	if (closed(h) && !h->always)
		return DETECT_YES;
	struct near near;
	filter_near(h, &near);
	bool found =
		near.before[NEAR_HOME] != NEAR_NONE || filter_near_columns(h) & 1u << NEAR_HOME;
	return found ? DETECT_YES : DETECT_NO;
}
