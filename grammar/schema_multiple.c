/* Multiples. Readers divide doubles and ask whether the result is whole (schema_is_multiple),
 * so that of 0.01 not every decimal of two places is one: 0.07 / 0.01 is 7.000000000000001.
 * What is written here passes that division.
 *
 * Of whole numbers: a rule for each remainder and number of digits left. Of decimals that
 * divide a power of ten: x = W + f, and in a cell of W in which neither x nor the quotient
 * crosses a power of two, the error of the quotient is linear in W for each fraction f (that of
 * reading x is the same for all W, that of the divisor grows with x); so an f that passes for
 * the first and the last W of a cell passes for all between. Others: one by one, near nought. */
#include "grammar/schema_decimal.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LISTED 2000  /* multiples that are written one by one */
#define TRIED 100000 /* multiples that are looked at for these */
#define PLACES 3    /* of a fraction, at most */
#define WHOLE_MOST 999999999u
#define SINGLES 16 /* whole parts from nought that are cells of their own */

/* All multiples of the list are multiples of unit / 10^places. */
struct divisor {
	const json_t *list;
	uint64_t unit;
	uint32_t places;
};

static uint64_t power10(uint32_t n)
{
	uint64_t v = 1;
	while (n-- > 0)
		v *= 10;
	return v;
}

static uint64_t common(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t r = a % b;
		a = b;
		b = r;
	}
	return a;
}

static bool multiply(uint64_t a, uint64_t b, uint64_t *out)
{
	*out = a * b;
	return a == 0 || (*out / a == b && *out < (uint64_t)1 << 53);
}

/* The least common multiple of the list, as a decimal. */
static int divisor_read(struct schema *c, const json_t *list, struct divisor *d)
{
	const json_t *one;
	struct decimal of;
	size_t i;
	*d = (struct divisor){ .list = list, .unit = 1, .places = list != NULL ? 0 : PLACES };
	json_array_foreach((json_t *)list, i, one) {
		char digits[2 * DECIMAL_LONGEST + 4];
		uint64_t unit, scaled = 0;
		if (!json_is_number(one) || !(json_number_value(one) > 0))
			return schema_wrong(c, "multipleOf is not a positive number");
		if (!schema_decimal_of(one, false, &of) || !of.present ||
		    strlen(of.whole) + strlen(of.fraction) > DECIMAL_DIGITS)
			return schema_refuse(c, "multipleOf of that size");
		(void)snprintf(digits, sizeof digits, "%s%s", of.whole, of.fraction);
		unit = strtoull(digits, NULL, 10);
		uint32_t places = (uint32_t)strlen(of.fraction);
		bool ok = true;
		for (; ok && places < d->places; places++)
			ok = multiply(unit, 10, &unit);
		for (; ok && d->places < places; d->places++)
			ok = multiply(d->unit, 10, &d->unit);
		ok = ok && unit > 0 && multiply(d->unit / common(d->unit, unit), unit, &scaled);
		if (!ok)
			return schema_refuse(c, "multipleOf of that size");
		d->unit = i > 0 ? scaled : unit;
	}
	for (; d->places > 0 && d->unit % 10 == 0; d->places--)
		d->unit /= 10;
	return 0;
}

/* Whether the number of this text is a multiple of all of the list, as a reader decides it. */
static bool passes(const struct divisor *d, const char *text)
{
	const json_t *one;
	size_t i;
	bool all = true, whole = strchr(text, '.') == NULL;
	json_t *number =
		whole ? json_integer(strtoll(text, NULL, 10)) : json_real(strtod(text, NULL));
	json_array_foreach((json_t *)d->list, i, one)
		all = all && schema_is_multiple(number, one);
	json_decref(number);
	return all;
}

/* ---- one by one ---- */

/* n times the unit, n > 0, as digits. */
static void multiple_text(const struct divisor *d, uint64_t n, char out[64])
{
	uint64_t scaled = n * d->unit, ten = power10(d->places);
	int len = snprintf(out, 64, "%llu", (unsigned long long)(scaled / ten));
	if (scaled % ten == 0)
		return;
	len += snprintf(out + len, 64 - (size_t)len, ".%0*llu", (int)d->places,
			(unsigned long long)(scaled % ten));
	while (out[len - 1] == '0')
		out[--len] = '\0';
}

static struct decimal decimal_text(const char *text)
{
	struct decimal v = { .present = true };
	size_t n = strcspn(text, ".");
	(void)snprintf(v.whole, sizeof v.whole, "%.*s", (int)(n < 40 ? n : 40), text);
	(void)snprintf(v.fraction, sizeof v.fraction, "%.40s", text[n] == '.' ? text + n + 1 : "");
	return v;
}

static bool is_inside(const struct decimal *v, const struct decimal *low,
		      const struct decimal *high)
{
	int a = schema_decimal_compare(v, low),
	    z = high->present ? schema_decimal_compare(v, high) : -1;
	return (low->open ? a > 0 : a >= 0) && (high->open && high->present ? z < 0 : z <= 0);
}

/* The number of a multiple that is not above the bound's first one, itself a multiple of step. */
static uint64_t first_multiple(const struct divisor *d, const struct decimal *low, uint64_t step)
{
	long double v = strtold(low->whole, NULL);
	v = v * (long double)power10(d->places) / (long double)d->unit;
	uint64_t k = v < 4 ? 0 : v > 1e17L ? (uint64_t)1e17L : (uint64_t)v - 2;
	return k - k % step;
}

/* Magnitudes between the bounds, from the lower one on. Of whole numbers only those multiples are
 * looked at that are whole; of others few may pass the division, so that the search has an end. */
static void listed(const struct divisor *d, enum schema_numbers kind, const struct decimal *low,
		   const struct decimal *high, struct buf *body)
{
	char text[64];
	uint32_t n = 0;
	uint64_t ten = power10(d->places), step = kind == NUMBER_WHOLE ? ten / common(ten, d->unit) : 1;
	uint64_t k = first_multiple(d, low, step), most;
	for (uint32_t i = 0; i < TRIED && n < LISTED && multiply(k, d->unit, &most); i++, k += step) {
		multiple_text(d, k, text);
		bool whole = strchr(text, '.') == NULL;
		struct decimal v = decimal_text(text);
		if (high->present && schema_decimal_compare(&v, high) > 0)
			break;
		if (!is_inside(&v, low, high) || !passes(d, text) ||
		    (kind == NUMBER_FRACTION && whole))
			continue;
		buf_printf(body, n++ > 0 ? " | \"%s\"" : "\"%s\"", text);
	}
	buf_add_text(body, n > 0 ? "" : "[]");
}

/* ---- remainders ---- */

/* Rules for digits whose value, behind a remainder, is a multiple of `of`. */
struct remainders {
	struct schema *c;
	uint32_t of, first;
	size_t digits;
};

static void remainder_name(const struct remainders *m, size_t left, uint32_t r, struct buf *b)
{
	schema_rule_name(m->c, m->first + (uint32_t)left * m->of + r, b);
}

static int remainders_write(struct remainders *m)
{
	struct schema *c = m->c;
	m->first = c->remainders[m->of];
	if (m->first > 0)
		return 0;
	m->first = c->remainders[m->of] = c->rules + 1;
	c->rules += m->of * (uint32_t)m->digits;
	for (size_t left = 0; left < m->digits; left++) {
		for (uint32_t r = 0; r < m->of; r++) {
			struct buf line = { 0 };
			buf_add_text(&line, left > 0 ? "" : r == 0 ? "\"\"" : "[]");
			for (uint32_t d = 0; left > 0 && d < 10; d++) {
				buf_printf(&line, d > 0 ? " | [%u] " : "[%u] ", d);
				remainder_name(m, left - 1, (r * 10 + d) % m->of, &line);
			}
			schema_rule_write(c, m->first + (uint32_t)left * m->of + r, &line);
			buf_free(&line);
		}
		if (c->out->len > SCHEMA_OUT_MAX)
			return schema_wrong(c, "its rules are longer than 8 MiB");
	}
	return 0;
}

/* Digits from place i on, behind the remainder r, that are not below lo (NULL: any) nor above hi.
 * Recursion is as deep as numbers have digits. */
static void digits_between(const struct remainders *m, const char *lo, const char *hi, size_t n,
			   size_t i, uint32_t r, struct buf *b)
{
	bool any = false;
	if (i == n) {
		buf_add_text(b, r == 0 ? " \"\"" : " []");
		return;
	}
	char from = lo != NULL ? lo[i] : '0', to = hi != NULL ? hi[i] : '9';
	buf_add_text(b, " (");
	for (char d = from; d <= to; d++, any = true) {
		uint32_t next = (r * 10 + (uint32_t)(d - '0')) % m->of;
		bool low = lo != NULL && d == from, high = hi != NULL && d == to;
		buf_printf(b, any ? " | [%c]" : "[%c]", d);
		if (low || high) {
			digits_between(m, low ? lo : NULL, high ? hi : NULL, n, i + 1, next, b);
		} else {
			buf_add_byte(b, ' ');
			remainder_name(m, n - i - 1, next, b);
		}
	}
	buf_add_text(b, any ? ")" : "[])");
}

/* Multiples of a whole number, lo <= x <= hi, x > 0; both without leading zeros. */
static void multiples_between(const struct remainders *m, const char *lo, const char *hi,
			      struct buf *b)
{
	size_t from = strlen(lo), to = strlen(hi);
	char low[DECIMAL_LONGEST + 2], high[DECIMAL_LONGEST + 2];
	bool any = false;
	for (size_t n = from; n <= to; n++) {
		memset(low, '0', n);
		memset(high, '9', n);
		low[0] = '1';
		low[n] = high[n] = '\0';
		const char *l = n == from ? lo : low, *h = n == to ? hi : high;
		if (strcmp(l, h) > 0)
			continue;
		buf_add_text(b, any ? " |" : "");
		digits_between(m, l, h, n, 0, 0, b);
		any = true;
	}
	buf_add_text(b, any ? "" : "[]");
}

/* Whole bounds of a range, rounded inwards, divided by 10^zeros. */
static void whole_bounds(const struct decimal *low, const struct decimal *high, size_t zeros,
			 char from[DECIMAL_LONGEST + 2], char to[DECIMAL_LONGEST + 2])
{
	strcpy(from, low->whole);
	strcpy(to, high->present ? high->whole : "999999999999999");
	if (low->open || low->fraction[0] != '\0')
		schema_decimal_step(from, true);
	if (high->present && high->open && high->fraction[0] == '\0' && !schema_decimal_is_zero(to))
		schema_decimal_step(to, false);
	size_t a = strlen(from), z = strlen(to);
	bool lost = a > zeros ? !schema_decimal_is_zero(from + a - zeros)
			      : !schema_decimal_is_zero(from);
	from[a > zeros ? a - zeros : 0] = '\0';
	to[z > zeros ? z - zeros : 0] = '\0';
	if (from[0] == '\0')
		strcpy(from, "0");
	if (to[0] == '\0')
		strcpy(to, "0");
	if (lost)
		schema_decimal_step(from, true);
	if (schema_decimal_is_zero(from))
		strcpy(from, "1"); /* nought is written apart */
}

/* Magnitudes that are multiples of m->of * 10^zeros. */
static void whole_magnitudes(const struct remainders *m, size_t zeros, const struct decimal *low,
			     const struct decimal *high, struct buf *body)
{
	struct decimal nought = { .whole = "0", .present = true };
	char from[DECIMAL_LONGEST + 2], to[DECIMAL_LONGEST + 2];
	whole_bounds(low, high, zeros, from, to);
	buf_add_text(body, is_inside(&nought, low, high) ? "\"0\" | (" : "(");
	if (strlen(from) > strlen(to) || (strlen(from) == strlen(to) && strcmp(from, to) > 0))
		buf_add_text(body, "[]");
	else
		multiples_between(m, from, to, body);
	buf_add_text(body, ")");
	if (zeros > 0)
		buf_printf(body, " [0]{%zu}", zeros);
}

/* ---- cells ---- */

struct cells {
	const struct divisor *d;
	enum schema_numbers kind;
	const struct decimal *low, *high;
	uint32_t places; /* of the fraction */
	struct buf *body;
	bool any, once; /* once: one text for a number */
};

/* Whether W and f thousandths (or the like) is in the bounds and passes. */
static bool value_passes(const struct cells *c, uint64_t w, uint32_t f)
{
	char text[64];
	uint64_t scaled = (w * power10(c->places) + f) * power10(c->d->places - c->places);
	if (scaled % c->d->unit != 0 || (c->kind == NUMBER_FRACTION && f == 0))
		return false;
	multiple_text(c->d, scaled / c->d->unit, text);
	struct decimal v = decimal_text(text);
	return is_inside(&v, c->low, c->high) && passes(c->d, text);
}

/* The digits of the set of [10^digits], all of that length; groups of first digits that go on
 * alike are one. */
static void digits_write(struct buf *b, const bool *set, uint32_t digits)
{
	uint32_t size = (uint32_t)power10(digits - 1);
	bool done[10] = { false }, any = false;
	buf_add_text(b, "(");
	for (uint32_t d = 0; d < 10; d++) {
		bool some = false;
		for (uint32_t i = 0; i < size; i++)
			some = some || set[d * size + i];
		if (done[d] || !some)
			continue;
		buf_add_text(b, any ? " | [" : "[");
		any = true;
		for (uint32_t e = d; e < 10; e++) {
			if (done[e] || memcmp(set + d * size, set + e * size, size) != 0)
				continue;
			done[e] = true;
			buf_printf(b, "%u", e);
		}
		buf_add_text(b, "] ");
		if (digits > 1)
			digits_write(b, set + d * size, digits - 1);
	}
	buf_add_text(b, any ? ")" : "[])");
}

/* Write the whole parts a to z with the fractions that pass at both. */
static void cell_write(struct cells *c, uint64_t a, uint64_t z)
{
	bool set[1000] = { false }, shorter[1000];
	uint32_t size = (uint32_t)power10(c->places), kept = 0;
	char lo[32], hi[32];
	for (uint32_t f = 0; f < (c->kind == NUMBER_WHOLE ? 1 : size); f++) {
		set[f] = value_passes(c, a, f) && (a == z || value_passes(c, z, f));
		kept += set[f];
	}
	if (kept == 0)
		return;
	(void)snprintf(lo, sizeof lo, "%llu", (unsigned long long)a);
	(void)snprintf(hi, sizeof hi, "%llu", (unsigned long long)z);
	buf_add_text(c->body, c->any ? " | (" : "(");
	c->any = true;
	schema_decimal_range(c->body, lo, hi);
	buf_add_text(c->body, ") (");
	buf_add_text(c->body, set[0] ? "\"\"" : "[]");
	for (uint32_t n = 1; n <= c->places && c->kind != NUMBER_WHOLE; n++) {
		uint32_t step = (uint32_t)power10(c->places - n), some = 0;
		for (uint32_t f = 0; f < size; f += step) {
			shorter[f / step] = set[f] && !(c->once && f / step % 10 == 0);
			some += shorter[f / step];
		}
		if (some > 0) {
			buf_add_text(c->body, " | \".\" ");
			digits_write(c->body, shorter, n);
		}
	}
	buf_add_text(c->body, ")");
}

static uint32_t bits_of(uint64_t v)
{
	uint32_t n = 0;
	for (; v > 0; v >>= 1)
		n++;
	return n;
}

/* The last W of the cell that begins at a: none below crosses a power of two, nor do the
 * quotients. */
static uint64_t cell_end(const struct cells *c, uint64_t a, uint64_t most)
{
	uint64_t ten = power10(c->d->places), unit = c->d->unit;
	uint32_t bits = bits_of(a), quotient = bits_of(a * ten / unit);
	if (a < SINGLES || bits_of((a + 1) * ten / unit) != quotient)
		return a;
	uint64_t whole = ((uint64_t)1 << bits) - 1,
		 end = ((uint64_t)1 << quotient) * unit / ten - 1;
	end = end < whole ? end : whole;
	/* the error of the divisor grows with W: the shorter the cells, the less is left out */
	uint64_t part = ((uint64_t)1 << (bits - 1)) / (c->places > 2 ? 2 : 4);
	check(part > 0); /* a is at least SINGLES */
	uint64_t last = (a / part + 1) * part - 1;
	end = last < end ? last : end;
	end = end < most ? end : most;
	return end > a ? end : a;
}

static void cells_write(struct cells *c)
{
	double unit = (double)c->d->unit / (double)power10(c->d->places),
	       most = fmin(WHOLE_MOST, unit * 4e15);
	bool bound = c->high->present && strlen(c->high->whole) < 15;
	uint64_t w = strlen(c->low->whole) < 15 ? strtoull(c->low->whole, NULL, 10) : UINT64_MAX,
		 last = (uint64_t)most;
	uint64_t first = w, high = bound ? strtoull(c->high->whole, NULL, 10) : last + 1;
	last = high < last ? high : last;
	while (w <= last) {
		uint64_t end = w;
		if (w != first && w != high)
			end = cell_end(c, w, high <= last ? high - 1 : last);
		cell_write(c, w, end);
		w = end + 1;
	}
	buf_add_text(c->body, c->any ? "" : "[]");
}

/* ---- which way ---- */

struct way {
	struct divisor d;
	enum schema_numbers kind;
	struct remainders m;
	size_t zeros;
	bool cells, whole, once;
};

static void magnitudes(const struct way *w, const struct decimal *low, const struct decimal *high,
		       struct buf *body)
{
	if (high->present && schema_decimal_compare(low, high) > 0) {
		buf_add_text(body, "[]");
	} else if (w->cells) {
		struct cells c = { .d = &w->d,
				   .kind = w->kind,
				   .low = low,
				   .high = high,
				   .once = w->once,
				   .places = w->d.places < PLACES ? w->d.places : PLACES,
				   .body = body };
		cells_write(&c);
	} else if (w->whole) {
		whole_magnitudes(&w->m, w->zeros, low, high, body);
	} else {
		listed(&w->d, w->kind, low, high, body);
	}
}

/* Whether all of the list are whole numbers, so that division of those is exact. */
static bool all_whole(const json_t *list)
{
	const json_t *one;
	size_t i;
	bool all = true;
	json_array_foreach((json_t *)list, i, one)
		all = all && schema_type_of(one) == TYPE_INTEGER;
	return all;
}

static int way_find(struct schema *c, const json_t *of, enum schema_numbers kind, struct way *w)
{
	*w = (struct way){ .kind = kind, .once = c->once > 0 };
	TRY(divisor_read(c, of, &w->d));
	w->whole = of != NULL && all_whole(of);
	if (!w->whole) {
		w->cells = power10(w->d.places) % w->d.unit == 0 && w->d.places > 0;
		return 0;
	}
	uint64_t unit = w->d.unit;
	for (; unit % 10 == 0; unit /= 10)
		w->zeros++;
	w->whole =
		unit <= SCHEMA_REMAINDERS && w->zeros <= DECIMAL_DIGITS && kind != NUMBER_FRACTION;
	w->m = (struct remainders){ .c = c,
				    .of = (uint32_t)unit,
				    .digits = DECIMAL_LONGEST / 2 + 1 };
	return w->whole ? remainders_write(&w->m) : 0;
}

int schema_multiples(struct schema *c, const json_t *of, enum schema_numbers kind,
		     const struct decimal *low, const struct decimal *high, struct buf *body)
{
	struct decimal zero = { .whole = "0", .present = true }, none = { 0 };
	bool below = !low->present || low->negative, beyond = !high->present || !high->negative;
	struct decimal a;
	struct way w;
	TRY(way_find(c, of, kind, &w));
	buf_add_text(body, "(");
	if (beyond) {
		a = low->present && !low->negative ? *low : zero;
		magnitudes(&w, &a, high->present ? high : &none, body);
	}
	if (below) { /* mirrored, and without -0 */
		a = high->present && high->negative ? *high : zero;
		a.open = a.open ||
			 (schema_decimal_is_zero(a.whole) && schema_decimal_is_zero(a.fraction));
		buf_add_text(body, beyond ? " | \"-\" (" : "\"-\" (");
		magnitudes(&w, &a, low->present ? low : &none, body);
		buf_add_text(body, ")");
	}
	buf_add_text(body, beyond || below ? ")" : "[])");
	return buf_done(body, c->e);
}
