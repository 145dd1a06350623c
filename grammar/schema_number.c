/* Numbers between bounds, as digits. Bounds are decimals in plain notation; a text that is not
 * beyond a bound as a decimal is not beyond it as a double either, since reading rounds in order.
 * Without bounds: 15 digits, 15 of a fraction, an exponent of two, so that none overflows. */
#include "grammar/schema_decimal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXACT 14 /* digits of numbers that all differ as doubles, and from their neighbours */
#define NINES "999999999999999"
#define LARGE 20   /* bounds of more digits are not reached */
#define FRACTION 6 /* digits of a fraction at least allowed between bounds */

/* ---- reading bounds ---- */

bool schema_decimal_is_zero(const char *d) { return d[strspn(d, "0")] == '\0'; }

/* Digits and exponent of the shortest text that reads back as d >= 0. */
static int shortest(double d, char digits[32])
{
	char text[64];
	int n = 0;
	for (int precision = 0; precision < 17; precision++) {
		(void)snprintf(text, sizeof text, "%.*e", precision, d);
		if (strtod(text, NULL) >= d && strtod(text, NULL) <= d)
			break;
	}
	for (const char *p = text; *p != 'e' && *p != '\0'; p++) {
		if (*p != '.' && n < 31)
			digits[n++] = *p;
	}
	digits[n] = '\0';
	const char *e = strchr(text, 'e');
	return e != NULL ? atoi(e + 1) : 0;
}

/* Beyond 2^63 what the text said may lie up to half a step beside the double. */
static double inwards(double d, bool up)
{
	return d < 9223372036854775808.0 ? d : up ? nextafter(d, INFINITY) : nextafter(d, 0);
}

bool schema_decimal_of(const json_t *v, bool up, struct decimal *out)
{
	char text[64], digits[32] = { 0 };
	double d = fabs(json_number_value(v));
	*out = (struct decimal){ .present = true, .negative = json_number_value(v) < 0 };
	if (json_is_integer(v)) {
		(void)snprintf(text, sizeof text, "%lld", (long long)json_integer_value(v));
		(void)snprintf(out->whole, sizeof out->whole, "%s", text + out->negative);
		return true;
	}
	d = inwards(d, up);
	int exponent = shortest(d, digits), places = (int)strlen(digits), n = 0;
	if (exponent >= LARGE) { /* all numbers that are written without a bound are below 1e115 */
		out->present = d < 1e115;
		(void)snprintf(out->whole, sizeof out->whole, NINES);
		return !up;
	}
	if (exponent >
	    DECIMAL_DIGITS) { /* the shortest text may be beside it, and whole numbers are exact */
		(void)snprintf(out->whole, sizeof out->whole, "%.0f", d);
		return true;
	}
	if (exponent < -20) {
		(void)snprintf(out->whole, sizeof out->whole, "0");
		(void)snprintf(out->fraction, sizeof out->fraction, "%s",
			       up && d > 0 ? "00000000000000000001" : "");
		return true;
	}
	int whole = exponent + 1; /* digits before the point */
	for (int i = 0; i < whole; i++)
		out->whole[i] = i < places ? digits[i] : '0';
	if (whole <= 0)
		out->whole[0] = '0';
	for (int i = whole; i < places && n < DECIMAL_LONGEST; i++)
		out->fraction[n++] = i < 0 ? '0' : digits[i];
	while (n > 0 && out->fraction[n - 1] == '0')
		out->fraction[--n] = '\0';
	return true;
}

int schema_decimal_compare(const struct decimal *a, const struct decimal *b)
{
	size_t m = strlen(a->whole), n = strlen(b->whole);
	if (m != n)
		return m < n ? -1 : 1;
	int c = strcmp(a->whole, b->whole);
	return c != 0 ? c : strcmp(a->fraction, b->fraction);
}

static int signed_compare(const struct decimal *a, const struct decimal *b)
{
	bool zero = schema_decimal_is_zero(a->whole) && schema_decimal_is_zero(a->fraction) &&
		    schema_decimal_is_zero(b->whole) && schema_decimal_is_zero(b->fraction);
	if (zero || a->negative != b->negative)
		return zero ? 0 : a->negative ? -1 : 1;
	return a->negative ? schema_decimal_compare(b, a) : schema_decimal_compare(a, b);
}

/* A bound of one key: negative numbers go towards zero where positive ones go away from it. */
static int bound_key(struct schema *c, const json_t *s, const char *key, bool low, bool open,
		     struct decimal *out)
{
	const json_t *v = json_object_get(s, key);
	*out = (struct decimal){ 0 };
	if (v == NULL)
		return 0;
	if (!schema_decimal_of(v, (json_number_value(v) < 0) != low, out))
		return schema_refuse(c, "minimum or maximum of that size");
	out->open = open;
	return 0;
}

/* The tighter of KEY and exclusiveKEY; low: the larger one. */
static int bound_read(struct schema *c, const json_t *s, bool low, struct decimal *out)
{
	struct decimal open;
	TRY(bound_key(c, s, low ? "minimum" : "maximum", low, false, out));
	TRY(bound_key(c, s, low ? "exclusiveMinimum" : "exclusiveMaximum", low, true, &open));
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

void schema_decimal_range(struct buf *b, const char *lo, const char *hi)
{
	char low[DECIMAL_LONGEST + 1], high[DECIMAL_LONGEST + 1];
	size_t from = strlen(lo), to = hi != NULL              ? strlen(hi)
				       : from > DECIMAL_DIGITS ? from
							       : DECIMAL_DIGITS;
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

void schema_decimal_step(char *digits, bool up)
{
	size_t n = strlen(digits), i = n;
	while (i > 0 && digits[i - 1] == (up ? '9' : '0'))
		digits[--i] = up ? '0' : '9';
	if (i > 0) {
		digits[i - 1] = (char)(digits[i - 1] + (up ? 1 : -1));
	} else if (n < DECIMAL_LONGEST) {
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
	return i >= strlen(d) || schema_decimal_is_zero(d + i);
}

/* Digits from place i on that keep 0.digits >= low (> if open), at least `least` of them, places
 * ending at most at room. Groups opened are closed by the caller: returns how many. */
static void above(struct buf *b, const struct decimal *low, size_t i, size_t least, size_t room)
{
	size_t depth = 0, used = strlen(low->whole) + strlen(low->fraction),
	       tail = used + 4 <= DECIMAL_DIGITS ? (DECIMAL_DIGITS - used) / 2 : 1;
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
	if ((low->open || high->open) && whole + room > DECIMAL_DIGITS)
		room = larger(own, whole < DECIMAL_DIGITS ? DECIMAL_DIGITS - whole : 1);
	return room;
}

/* Alternatives for low <= x <= high, both without sign; high absent: no bound. */
static void magnitudes(struct buf *b, const struct decimal *low, const struct decimal *high,
		       bool integer)
{
	static const struct decimal nines = { .whole = NINES, .present = true };
	char from[DECIMAL_LONGEST + 2], to[DECIMAL_LONGEST + 2];
	integer = integer || strlen(low->whole) > DECIMAL_DIGITS;
	if (!integer && high->present && strlen(high->whole) > DECIMAL_DIGITS)
		high = &nines;
	size_t room = fraction_room(low, high);
	if (high->present &&
	    (schema_decimal_compare(low, high) > 0 ||
	     (schema_decimal_compare(low, high) == 0 && (low->open || high->open)))) {
		buf_add_text(b, "[]");
		return;
	}
	(void)snprintf(from, sizeof from, "%s", low->whole);
	(void)snprintf(to, sizeof to, "%s", high->whole);
	if (integer) {
		if (low->fraction[0] != '\0' || low->open)
			schema_decimal_step(from, true);
		if (high->present && high->open && high->fraction[0] == '\0') {
			if (schema_decimal_is_zero(to)) {
				buf_add_text(b, "[]");
				return;
			}
			schema_decimal_step(to, false);
		}
		schema_decimal_range(b, from, high->present ? to : NULL);
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
	schema_decimal_step(from, true);
	if (high->present && strcmp(from, to) == 0) {
		buf_add_text(b, "[]");
	} else {
		if (high->present)
			schema_decimal_step(to, false);
		schema_decimal_range(b, from, high->present ? to : NULL);
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
 * bound that has more digits than doubles. Such a bound is moved inwards, to EXACT digits. */
static void tame(struct decimal *bound, bool low)
{
	bool up = bound->negative != low, lost;
	size_t whole = strlen(bound->whole), keep = whole < EXACT ? EXACT - whole : 0,
	       digits = whole + strlen(bound->fraction);
	char all[2 * DECIMAL_LONGEST + 4];
	if (!bound->present || (digits <= EXACT || (!bound->open && digits <= DECIMAL_DIGITS)))
		return;
	(void)snprintf(all, sizeof all, "%s%.*s", bound->whole, (int)keep, bound->fraction);
	lost = strlen(bound->fraction) > keep;
	size_t before = strlen(all), places = before - whole;
	if (up ? lost || bound->open : !lost && bound->open)
		schema_decimal_step(all, up);
	size_t now = strlen(all);
	if (now < before) { /* a leading zero was dropped: 1.00 less 0.01 */
		memmove(all + (before - now), all, now + 1);
		memset(all, '0', before - now);
	}
	whole += now > before ? now - before : 0;
	(void)snprintf(bound->whole, sizeof bound->whole, "%.*s", (int)whole, all);
	(void)snprintf(bound->fraction, sizeof bound->fraction, "%.*s", (int)places, all + whole);
	while (places > 0 && bound->fraction[places - 1] == '0')
		bound->fraction[--places] = '\0';
	bound->open = false;
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
		a.open = a.open ||
			 (schema_decimal_is_zero(a.whole) && schema_decimal_is_zero(a.fraction));
		buf_add_text(body, beyond ? " | \"-\" (" : "\"-\" (");
		magnitudes(body, &a, &z, integer);
		buf_add_text(body, ")");
	}
	if (!below && !beyond)
		buf_add_text(body, "[]");
	return buf_done(body, c->e);
}

/* ---- numbers ---- */

static int between_bounds(struct schema *c, const json_t *s, enum schema_numbers kind,
			  struct decimal low, struct decimal high, struct buf *body)
{
	const json_t *of = json_object_get(s, "multipleOf");
	const char *digits = "(\"0\" | [1-9] [0-9]{0,7}) \".\" [0-9]{0,6} [1-9]";
	if (of != NULL)
		return schema_multiples(c, of, kind, &low, &high, body);
	bool bounds = low.present || high.present;
	if (bounds && (kind == NUMBER_FRACTION || (kind == NUMBER_ANY && c->once > 0)))
		return schema_multiples(c, NULL, kind, &low, &high, body);
	if (kind == NUMBER_FRACTION) {
		buf_printf(body, "\"-\"? %s", digits);
		return buf_done(body, c->e);
	}
	if (!low.present && !high.present)
		return schema_shared(c, kind == NUMBER_WHOLE ? "integer" : "number", body);
	if (kind == NUMBER_ANY) {
		tame(&low, true);
		tame(&high, false);
	}
	return bounded(c, &low, &high, kind == NUMBER_WHOLE, body);
}

/* The next larger number of the list than `than` (NULL: the least), or NULL. */
static const json_t *next_excluded(const json_t *list, const json_t *than)
{
	const json_t *best = NULL, *one;
	size_t i;
	json_array_foreach((json_t *)list, i, one) {
		if (json_is_number(one) && (than == NULL || schema_compare(one, than) > 0) &&
		    (best == NULL || schema_compare(one, best) < 0))
			best = one;
	}
	return best;
}

/* Excluded numbers cut what is allowed into pieces with open ends. */
static int pieces(struct schema *c, const json_t *s, enum schema_numbers kind, struct buf *body)
{
	const json_t *excluded = json_object_get(s, KEY_EXCLUDED), *cut = NULL;
	const struct decimal lowest = { .whole = NINES, .negative = true, .present = true };
	struct decimal low, high, end, begin;
	TRY(bound_read(c, s, true, &low));
	TRY(bound_read(c, s, false, &high));
	buf_add_text(body, "(");
	while ((cut = next_excluded(excluded, cut)) != NULL) {
		if (!schema_decimal_of(cut, false, &end) || !schema_decimal_of(cut, true, &begin)) {
			/* only an exponent reaches it: with bounds there is none */
			low = low.present || kind == NUMBER_WHOLE ? low : lowest;
			continue;
		}
		end.open = begin.open = true;
		if ((low.present && signed_compare(&end, &low) < 0) ||
		    (high.present && signed_compare(&begin, &high) > 0))
			continue;
		TRY(between_bounds(c, s, kind, low, end, body));
		buf_add_text(body, " | ");
		low = begin;
	}
	TRY(between_bounds(c, s, kind, low, high, body));
	buf_add_text(body, ")");
	return buf_done(body, c->e);
}

int schema_number(struct schema *c, const json_t *s, enum schema_numbers kind, struct buf *body)
{
	struct buf own = { 0 };
	int rc = pieces(c, s, kind, &own);
	if (rc < 0)
		buf_free(&own);
	return rc < 0 ? rc : schema_rule_of(c, &own, body);
}
