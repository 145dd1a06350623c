/* Numbers between bounds, as digits. Bounds are decimals in plain notation; a text that is not
 * beyond a bound as a decimal is not beyond it as a double either, since reading rounds in order.
 * Without bounds: 15 digits, 15 of a fraction, an exponent of two, so that none overflows. */
#include "grammar/schema_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 15   /* of a whole part without bound */
#define FRACTION 6  /* digits of a fraction at least allowed between bounds */
#define LONGEST 40  /* digits of either part of a bound */
#define LISTED 2000 /* multiples that are written out */

/* A decimal number. whole is never empty; zero is whole "0" and fraction "". */
struct decimal {
	char whole[LONGEST + 1], fraction[LONGEST + 1];
	bool negative, open; /* open: the bound itself is out */
	bool present;
};

/* ---- reading bounds ---- */

static bool is_zero_digits(const char *d) { return d[strspn(d, "0")] == '\0'; }

/* The shortest text that reads back as v, without exponent. False: too long. */
static bool decimal_of(const json_t *v, struct decimal *out)
{
	char text[64], digits[64] = "";
	int places = 0;
	double d = json_number_value(v);
	*out = (struct decimal){ .present = true };
	if (json_is_integer(v)) {
		(void)snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
		out->negative = text[0] == '-';
		(void)snprintf(out->whole, sizeof out->whole, "%s", text + out->negative);
		return true;
	}
	for (int precision = 0; precision < 17; precision++) {
		(void)snprintf(text, sizeof text, "%.*e", precision, fabs(d));
		if (strtod(text, NULL) >= fabs(d) && strtod(text, NULL) <= fabs(d))
			break;
	}
	char *e = strchr(text, 'e');
	int exponent = e != NULL ? atoi(e + 1) : 0;
	for (const char *p = text; p != e && *p != '\0'; p++) {
		if (*p != '.')
			digits[places++] = *p;
	}
	digits[places] = '\0';
	out->negative = d < 0;
	if (exponent > 17 || exponent < -20)
		return false;
	if (exponent >
	    DIGITS) { /* the shortest text may be beside it, and whole numbers are exact */
		(void)snprintf(out->whole, sizeof out->whole, "%.0f", fabs(d));
		return true;
	}
	int whole = exponent + 1; /* digits before the point */
	for (int i = 0; i < whole; i++)
		out->whole[i] = i < places ? digits[i] : '0';
	if (whole <= 0)
		out->whole[0] = '0';
	int n = 0;
	for (int i = whole; i < places && n < LONGEST; i++)
		out->fraction[n++] = i < 0 ? '0' : digits[i];
	while (n > 0 && out->fraction[n - 1] == '0')
		out->fraction[--n] = '\0';
	return true;
}

/* Magnitudes: less, equal, greater. */
static int compare(const struct decimal *a, const struct decimal *b)
{
	size_t m = strlen(a->whole), n = strlen(b->whole);
	if (m != n)
		return m < n ? -1 : 1;
	int c = strcmp(a->whole, b->whole);
	return c != 0 ? c : strcmp(a->fraction, b->fraction);
}

static int signed_compare(const struct decimal *a, const struct decimal *b)
{
	bool zero = is_zero_digits(a->whole) && is_zero_digits(a->fraction) &&
		    is_zero_digits(b->whole) && is_zero_digits(b->fraction);
	if (zero || a->negative != b->negative)
		return zero ? 0 : a->negative ? -1 : 1;
	return a->negative ? compare(b, a) : compare(a, b);
}

/* The tighter of KEY and exclusiveKEY; low: the larger one. */
static int bound_read(struct schema *c, const json_t *s, bool low, struct decimal *out)
{
	const json_t *with = json_object_get(s, low ? "minimum" : "maximum"),
		     *without = json_object_get(s, low ? "exclusiveMinimum" : "exclusiveMaximum");
	struct decimal open = { 0 };
	*out = (struct decimal){ 0 };
	if ((with != NULL && !json_is_number(with)) ||
	    (without != NULL && !json_is_number(without)))
		return schema_wrong(c, "a bound is not a number");
	if ((with != NULL && !decimal_of(with, out)) ||
	    (without != NULL && !decimal_of(without, &open)))
		return schema_refuse(c, "minimum or maximum of that size");
	open.open = true;
	if (open.present && out->present) {
		int order = signed_compare(&open, out);
		if (low ? order >= 0 : order <= 0)
			*out = open;
	} else if (open.present) {
		*out = open;
	}
	return 0;
}

/* ---- digits ---- */

static void any_digits(struct buf *b, size_t min, size_t max)
{
	if (max > 0)
		buf_printf(b, " [0-9]{%zu,%zu}", min, max);
}

static void digit_range(struct buf *b, char lo, char hi) { buf_printf(b, " [%c-%c]", lo, hi); }

/* Numbers with as many digits as lo that are >= lo (up) or <= lo. */
static void one_sided(struct buf *b, const char *lo, bool up)
{
	size_t n = strlen(lo);
	for (size_t i = 0; i < n; i++) {
		char edge = up ? '9' : '0';
		if (lo[i] != edge) {
			buf_add_text(b, " (");
			digit_range(b, up ? (char)(lo[i] + 1) : '0', up ? '9' : (char)(lo[i] - 1));
			any_digits(b, n - i - 1, n - i - 1);
			buf_add_text(b, " |");
		} else {
			buf_add_text(b, " (");
		}
		buf_printf(b, " [%c]", lo[i]);
	}
	for (size_t i = 0; i < n; i++)
		buf_add_text(b, ")");
}

/* lo <= x <= hi, of the same length. */
static void same_length(struct buf *b, const char *lo, const char *hi)
{
	size_t n = strlen(lo), i = 0;
	while (i < n && lo[i] == hi[i])
		buf_printf(b, " [%c]", lo[i++]);
	if (i == n)
		return;
	buf_printf(b, " ([%c]", lo[i]);
	one_sided(b, lo + i + 1, true);
	buf_printf(b, " | [%c]", hi[i]);
	one_sided(b, hi + i + 1, false);
	if (hi[i] - lo[i] > 1) {
		buf_add_text(b, " |");
		digit_range(b, (char)(lo[i] + 1), (char)(hi[i] - 1));
		any_digits(b, n - i - 1, n - i - 1);
	}
	buf_add_text(b, ")");
}

/* Whole numbers without leading zeros, lo <= x <= hi; hi NULL: of any length up to DIGITS. Written
 * as a list of alternatives; [] when empty. */
static void whole_range(struct buf *b, const char *lo, const char *hi)
{
	char low[LONGEST + 1], high[LONGEST + 1];
	size_t from = strlen(lo), to = hi != NULL ? strlen(hi) : from > DIGITS ? from : DIGITS;
	bool any = false;
	for (size_t n = from; n <= to; n++) {
		memset(low, '0', n);
		memset(high, '9', n);
		low[0] = n > 1 ? '1' : '0';
		low[n] = high[n] = '\0';
		const char *l = n == from ? lo : low, *h = hi != NULL && n == to ? hi : high;
		if (strcmp(l, h) > 0)
			continue;
		buf_add_text(b, any ? " |" : "");
		same_length(b, l, h);
		any = true;
	}
	if (!any)
		buf_add_text(b, "[]");
}

/* x + 1 or x - 1, x > 0 then. */
static void step(char *digits, bool up)
{
	size_t n = strlen(digits), i = n;
	while (i > 0 && digits[i - 1] == (up ? '9' : '0'))
		digits[--i] = up ? '0' : '9';
	if (i > 0) {
		digits[i - 1] = (char)(digits[i - 1] + (up ? 1 : -1));
	} else if (n < LONGEST) {
		memmove(digits + 1, digits, n + 1);
		digits[0] = '1';
	}
	if (!up && digits[0] == '0' && n > 1)
		memmove(digits, digits + 1, n);
}

/* ---- fractions ---- */

static char digit_at(const char *d, size_t i) { return i < strlen(d) ? d[i] : '0'; }

static bool rest_is_zero(const char *d, size_t i)
{
	return i >= strlen(d) || is_zero_digits(d + i);
}

/* Digits from place i on that keep 0.digits >= low (> if open), at least `least` of them, places
 * ending at most at room. Groups opened are closed by the caller: returns how many. */
static void above(struct buf *b, const struct decimal *low, size_t i, size_t least, size_t room)
{
	size_t depth = 0, used = strlen(low->whole) + strlen(low->fraction),
	       tail = used + 4 <= DIGITS ? (DIGITS - used) / 2 : 1;
	for (;; i++, least = 0) {
		if (rest_is_zero(low->fraction, i)) {
			if (low->open)
				buf_printf(b, " [0]{0,%zu} [1-9] [0-9]{0,%zu}", tail - 1, tail - 1);
			else
				any_digits(b, least, room > i ? room - i : least);
			break;
		}
		char d = digit_at(low->fraction, i);
		buf_add_text(b, " (");
		depth++;
		if (d < '9') {
			digit_range(b, (char)(d + 1), '9');
			any_digits(b, 0, room > i + 1 ? room - i - 1 : 0);
			buf_add_text(b, " |");
		}
		buf_printf(b, " [%c]", d);
	}
	for (; depth > 0; depth--)
		buf_add_text(b, ")");
}

/* The same for <= high. */
static void under(struct buf *b, const struct decimal *high, size_t i, size_t least, size_t room)
{
	size_t depth = 0;
	for (;; i++, least = 0) {
		if (rest_is_zero(high->fraction, i)) {
			if (high->open)
				buf_add_text(b, " []");
			else
				buf_printf(b, " [0]{%zu,%zu}", least, room > i ? room - i : least);
			break;
		}
		char d = digit_at(high->fraction, i);
		buf_add_text(b, least == 0 ? " (\"\" |" : " (");
		depth++;
		if (d > '0') {
			digit_range(b, '0', (char)(d - 1));
			any_digits(b, 0, room > i + 1 ? room - i - 1 : 0);
			buf_add_text(b, " |");
		}
		buf_printf(b, " [%c]", d);
	}
	for (; depth > 0; depth--)
		buf_add_text(b, ")");
}

/* Fractions between those of low and high, whose whole parts are the same; with the point, or
 * nothing. */
static void between(struct buf *b, const struct decimal *low, const struct decimal *high,
		    size_t room)
{
	size_t i = 0, n = strlen(low->fraction) > strlen(high->fraction) ? strlen(low->fraction)
									 : strlen(high->fraction);
	bool zero = rest_is_zero(low->fraction, 0) && !low->open;
	buf_add_text(b, zero ? " (\"\" | \".\"" : " (\".\"");
	while (i < n && digit_at(low->fraction, i) == digit_at(high->fraction, i))
		buf_printf(b, " [%c]", digit_at(low->fraction, i++));
	if (i == n) { /* equal */
		buf_add_text(b, low->open || high->open ? " []"
				: n > 0                 ? " [0]{0,3}"
							: " [0]{1,3}");
	} else {
		char l = digit_at(low->fraction, i), h = digit_at(high->fraction, i);
		buf_printf(b, " ([%c]", l);
		above(b, low, i + 1, 0, room);
		buf_printf(b, " | [%c]", h);
		under(b, high, i + 1, 0, room);
		if (h - l > 1) {
			buf_add_text(b, " |");
			digit_range(b, (char)(l + 1), (char)(h - 1));
			any_digits(b, 0, room > i + 1 ? room - i - 1 : 0);
		}
		if (i > 0 && rest_is_zero(low->fraction, i) && !low->open)
			buf_add_text(b, " | \"\"");
		buf_add_text(b, ")");
	}
	buf_add_text(b, ")");
}

/* ---- magnitudes between bounds ---- */

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* How many digits a fraction may have: so few that next to an open bound no text reads as the bound
 * itself, since a double has 15 significant digits. */
static size_t fraction_room(const struct decimal *low, const struct decimal *high)
{
	size_t own = larger(strlen(low->fraction), strlen(high->fraction)),
	       room = larger(own, FRACTION);
	size_t whole = larger(strlen(low->whole), strlen(high->whole));
	if ((low->open || high->open) && whole + room > DIGITS)
		room = larger(own, whole < DIGITS ? DIGITS - whole : 1);
	return room;
}

/* Alternatives for low <= x <= high, both without sign; high absent: no bound. */
static void magnitudes(struct buf *b, const struct decimal *low, const struct decimal *high,
		       bool integer)
{
	size_t room = fraction_room(low, high);
	char from[LONGEST + 2], to[LONGEST + 2];
	if (high->present &&
	    (compare(low, high) > 0 || (compare(low, high) == 0 && (low->open || high->open)))) {
		buf_add_text(b, "[]");
		return;
	}
	(void)snprintf(from, sizeof from, "%s", low->whole);
	(void)snprintf(to, sizeof to, "%s", high->whole);
	if (integer) {
		if (low->fraction[0] != '\0' || low->open)
			step(from, true);
		if (high->present && high->open && high->fraction[0] == '\0') {
			if (is_zero_digits(to)) {
				buf_add_text(b, "[]");
				return;
			}
			step(to, false);
		}
		whole_range(b, from, high->present ? to : NULL);
		return;
	}
	if (high->present && strcmp(low->whole, high->whole) == 0) {
		buf_printf(b, "\"%s\"", low->whole);
		between(b, low, high, room);
		return;
	}
	/* at the lower end; strictly between; at the upper end */
	bool zero = rest_is_zero(low->fraction, 0);
	buf_printf(b, "\"%s\" %s\".\"", low->whole, zero && !low->open ? "(" : "");
	above(b, low, 0, 1, room);
	buf_add_text(b, zero && !low->open ? ")? | (" : " | (");
	step(from, true);
	if (high->present && strcmp(from, to) == 0) {
		buf_add_text(b, "[]");
	} else {
		if (high->present)
			step(to, false);
		whole_range(b, from, high->present ? to : NULL);
	}
	buf_printf(b, ") (\".\" [0-9]{1,%zu})?", room);
	if (!high->present)
		return;
	buf_printf(b, " | \"%s\"", high->whole);
	if (rest_is_zero(high->fraction, 0) && high->open) {
		buf_add_text(b, " []");
		return;
	}
	buf_add_text(b, " (\".\"");
	under(b, high, 0, 1, room);
	buf_add_text(b, ")?");
}

/* Texts with a fraction are read as doubles: these must not equal an open bound, nor round past a
 * bound that has more digits than doubles. Such a bound is moved inwards if it is far from zero,
 * and refused otherwise. */
static int tame(struct schema *c, struct decimal *bound, bool low)
{
	size_t digits = strlen(bound->whole) + strlen(bound->fraction);
	if (is_zero_digits(bound->whole))
		digits = strlen(bound->fraction + strspn(bound->fraction, "0"));
	if (strlen(bound->whole) > DIGITS && bound->negative == low) {
		*bound = (struct decimal){ .whole = "999999999999999",
					   .negative = low,
					   .present = true };
		return 0;
	}
	if (strlen(bound->whole) > DIGITS || (bound->open && digits >= DIGITS))
		return schema_refuse(c, "minimum or maximum of so many digits");
	return 0;
}

static int bounded(struct schema *c, const struct decimal *low, const struct decimal *high,
		   bool integer, struct buf *body)
{
	struct decimal zero = { .whole = "0", .present = true }, none = { 0 };
	bool below = !low->present || low->negative, beyond = !high->present || !high->negative;
	struct decimal a, z;
	if (beyond) {
		a = low->present && !low->negative ? *low : zero;
		buf_add_text(body, "(");
		magnitudes(body, &a, high->present ? high : &none, integer);
		buf_add_text(body, ")");
	}
	if (below) { /* mirrored, and without -0 */
		a = high->present && high->negative ? *high : zero;
		z = low->present ? *low : none;
		a.open = a.open || (is_zero_digits(a.whole) && is_zero_digits(a.fraction));
		buf_add_text(body, beyond ? " | \"-\" (" : "\"-\" (");
		magnitudes(body, &a, &z, integer);
		buf_add_text(body, ")");
	}
	if (!below && !beyond)
		buf_add_text(body, "[]");
	return buf_done(body, c->e);
}

/* ---- multiples ---- */

/* Whole numbers, one by one. */
static int listed(struct schema *c, int64_t low, int64_t high, int64_t of, struct buf *body)
{
	int64_t first = low / of * of;
	first += first < low ? of : 0;
	buf_add_text(body, "(");
	for (int64_t v = first; v <= high; v += of)
		buf_printf(body, "%s\"%lld\"", v > first ? " | " : "", (long long)v);
	buf_add_text(body, first > high ? "[])" : ")");
	return buf_done(body, c->e);
}

/* Digits whose value is a multiple of `of`: a rule for each remainder and number of digits left. */
static void remainders(struct schema *c, uint32_t of, uint32_t digits, struct buf *body)
{
	uint32_t first = c->rules + 1;
	c->rules += of * digits;
	for (uint32_t left = 0; left < digits; left++) {
		for (uint32_t r = 0; r < of; r++) {
			struct buf line = { 0 };
			buf_add_text(&line, r == 0 ? "\"\"" : "[]");
			for (uint32_t d = 0; left > 0 && d < 10; d++) {
				buf_printf(&line, " | [%u] ", d);
				schema_rule_name(c, first + (left - 1) * of + (r * 10 + d) % of,
						 &line);
			}
			schema_rule_write(c, first + left * of + r, &line);
			buf_free(&line);
		}
	}
	for (uint32_t d = 1; d < 10; d++) {
		buf_printf(body, d > 1 ? " | [%u] " : "[%u] ", d);
		schema_rule_name(c, first + (digits - 1) * of + d % of, body);
	}
}

static int multiples(struct schema *c, const json_t *s, const struct decimal *low,
		     const struct decimal *high, struct buf *body)
{
	const json_t *m = json_object_get(s, "multipleOf");
	double of = json_number_value(m);
	if (!json_is_number(m) || of <= 0)
		return schema_wrong(c, "multipleOf is not a positive number");
	if (of < 1 || of > 1e9 || (double)(int64_t)of < of)
		return schema_refuse(c, "multipleOf that is no whole number");
	bool lower = low->present, upper = high->present;
	int64_t from = 0, to = 0;
	if (lower && upper && strlen(low->whole) < 16 && strlen(high->whole) < 16) {
		/* the whole numbers inside: truncation towards zero, then inwards */
		from = strtoll(low->whole, NULL, 10) * (low->negative ? -1 : 1);
		to = strtoll(high->whole, NULL, 10) * (high->negative ? -1 : 1);
		from += !low->negative && low->fraction[0] != '\0';
		to -= high->negative && high->fraction[0] != '\0';
		from += low->open && low->fraction[0] == '\0';
		to -= high->open && high->fraction[0] == '\0';
		if (to < from || (to - from) / (int64_t)of < LISTED)
			return listed(c, from, to, (int64_t)of, body);
	}
	bool zero = lower && is_zero_digits(low->whole) && low->fraction[0] == '\0';
	if (upper || (lower && !zero) || of > 64)
		return schema_refuse(c, "multipleOf with these bounds or of that size");
	buf_add_text(body, lower && low->open ? "(" : "(\"0\" | ");
	buf_add_text(body, lower ? "(" : "\"-\"? (");
	remainders(c, (uint32_t)of, DIGITS, body);
	buf_add_text(body, "))");
	return buf_done(body, c->e);
}

int schema_number(struct schema *c, const json_t *s, bool integer, struct buf *body)
{
	struct decimal low, high;
	const json_t *of = json_object_get(s, "multipleOf");
	TRY(bound_read(c, s, true, &low));
	TRY(bound_read(c, s, false, &high));
	if (of != NULL && !(integer && json_number_value(of) >= 1 && json_number_value(of) <= 1))
		return multiples(c, s, &low, &high, body);
	if (!low.present && !high.present)
		return schema_shared(c, integer ? "integer" : "number", body);
	TRY(integer ? 0 : tame(c, &low, true));
	TRY(integer ? 0 : tame(c, &high, false));
	return bounded(c, &low, &high, integer, body);
}
