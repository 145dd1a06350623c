/* Whole numbers of any size, as Python has them: 64 bits while they suffice, else sign and
 * magnitude in limbs of 32 bits, least first, of at most JINJA_INTEGER_BITS. */
#include "template/jinja.h"

#include "base/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LIMBS_MAX (JINJA_INTEGER_BITS / 32)

struct jinja_big {
	bool negative;
	size_t count;
	uint32_t limb[];
};
/* A whole number to calculate with, wherever its limbs are. */
struct magnitude {
	const uint32_t *limb;
	size_t count;
	bool negative;
	uint32_t own[2];
};

static void magnitude_of(const struct jinja_value *v, struct magnitude *m)
{
	if (v->kind == J_BIG) {
		*m = (struct magnitude){ v->big->limb, v->big->count, v->big->negative, { 0 } };
		return;
	}
	int64_t i = v->kind == J_BOOL ? v->boolean : v->integer;
	uint64_t u = i < 0 ? -(uint64_t)i : (uint64_t)i;
	*m = (struct magnitude){
		m->own, u >> 32 ? 2 : u != 0, i < 0, { (uint32_t)u, (uint32_t)(u >> 32) }
	};
}

/* Limbs to be filled; charged, since long numbers take long. */
static int limbs_new(struct jinja *j, size_t count, struct jinja_big **out)
{
	if (count > LIMBS_MAX + 2)
		return jinja_refuse(j, "a whole number of more than %d bits", JINJA_INTEGER_BITS);
	TRY(jinja_charge(j, count / 8));
	*out = jinja_alloc(j, 1, sizeof **out + count * sizeof *(*out)->limb);
	if (!*out)
		return jinja_no_memory(j);
	(*out)->count = count;
	return 0;
}

/* The value of b: 64 bits if they suffice. */
static int limbs_done(struct jinja *j, struct jinja_big *b, bool data, struct jinja_value *out)
{
	while (b->count && !b->limb[b->count - 1])
		b->count--;
	if (b->count > LIMBS_MAX)
		return jinja_refuse(j, "a whole number of more than %d bits", JINJA_INTEGER_BITS);
	uint64_t u = (b->count > 1 ? (uint64_t)b->limb[1] << 32 : 0) | (b->count ? b->limb[0] : 0);
	uint64_t most = (uint64_t)INT64_MAX + b->negative;
	if (b->count <= 2 && u <= most)
		*out = jinja_int(b->negative ? (int64_t)-u : (int64_t)u, data);
	else
		*out = (struct jinja_value){ .kind = J_BIG, .data = data, .big = b };
	return 0;
}

static int compare_limbs(const struct magnitude *a, const struct magnitude *b)
{
	if (a->count != b->count)
		return a->count > b->count ? 1 : -1;
	for (size_t i = a->count; i-- > 0;)
		if (a->limb[i] != b->limb[i])
			return a->limb[i] > b->limb[i] ? 1 : -1;
	return 0;
}

int jinja_order_integers(const struct jinja_value *a, const struct jinja_value *b)
{
	struct magnitude x, y;
	magnitude_of(a, &x);
	magnitude_of(b, &y);
	if (x.negative != y.negative)
		return x.negative ? -1 : 1;
	return x.negative ? compare_limbs(&y, &x) : compare_limbs(&x, &y);
}

/* a + b or a - b */
static int add_limbs(struct jinja *j, const struct magnitude *a, const struct magnitude *b,
		     bool minus, struct jinja_big **out)
{
	bool negative = minus ? !b->negative : b->negative;
	const struct magnitude *large = a, *small = b;
	if (compare_limbs(a, b) < 0) {
		large = b;
		small = a;
	}
	bool add = a->negative == negative;
	int64_t carry = 0;
	TRY(limbs_new(j, large->count + 1, out));
	(*out)->negative = large == a ? a->negative : negative;
	for (size_t i = 0; i <= large->count; i++) {
		int64_t x = i < large->count ? large->limb[i] : 0,
			y = i < small->count ? small->limb[i] : 0;
		carry += add ? x + y : x - y;
		(*out)->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
	return 0;
}

static int multiply_limbs(struct jinja *j, const struct magnitude *a, const struct magnitude *b,
			  struct jinja_big **out)
{
	TRY(limbs_new(j, a->count + b->count, out));
	TRY(jinja_charge(j, a->count * b->count / 64));
	(*out)->negative = a->negative != b->negative;
	for (size_t i = 0; i < a->count; i++) {
		uint64_t carry = 0;
		for (size_t k = 0; k < b->count; k++) {
			carry += (uint64_t)a->limb[i] * b->limb[k] + (*out)->limb[i + k];
			(*out)->limb[i + k] = (uint32_t)carry;
			carry >>= 32;
		}
		(*out)->limb[i + b->count] = (uint32_t)carry;
	}
	return 0;
}

/* x[0..count) /= by; returns the rest. */
static uint32_t divide_small(uint32_t *x, size_t count, uint32_t by)
{
	uint64_t rest = 0;
	for (size_t i = count; i-- > 0;) {
		rest = rest << 32 | x[i];
		x[i] = (uint32_t)(rest / by);
		rest %= by;
	}
	return (uint32_t)rest;
}

/* Knuth's algorithm D on magnitudes: *quotient, and *rest with the limbs of a. b is not 0. */
static int divide_limbs(struct jinja *j, const struct magnitude *a, const struct magnitude *b,
			struct jinja_big **quotient, struct jinja_big **rest)
{
	TRY(limbs_new(j, a->count + 1, rest));
	TRY(limbs_new(j, a->count + 1, quotient));
	TRY(jinja_charge(j, a->count * b->count / 64));
	uint32_t *u = (*rest)->limb, *q = (*quotient)->limb;
	memcpy(u, a->limb, a->count * sizeof *u);
	if (compare_limbs(a, b) < 0)
		return 0;
	if (b->count == 1) {
		memcpy(q, a->limb, a->count * sizeof *q);
		uint32_t left = divide_small(q, a->count, b->limb[0]);
		memset(u, 0, a->count * sizeof *u);
		u[0] = left;
		return 0;
	}
	struct jinja_big *divisor;
	size_t n = b->count;
	int shift = __builtin_clz(b->limb[n - 1]);
	TRY(limbs_new(j, n, &divisor));
	uint32_t *v = divisor->limb;
	for (size_t i = n; i-- > 0;)
		v[i] = (uint32_t)((((uint64_t)b->limb[i] << 32 | (i ? b->limb[i - 1] : 0))
				   << shift) >>
				  32);
	for (size_t i = a->count + 1; i-- > 0;)
		u[i] = (uint32_t)((((uint64_t)u[i] << 32 | (i ? u[i - 1] : 0)) << shift) >> 32);
	for (size_t k = a->count - n + 1; k-- > 0;) {
		uint64_t top = (uint64_t)u[k + n] << 32 | u[k + n - 1];
		uint64_t guess = top / v[n - 1], left = top % v[n - 1];
		while (left <= UINT32_MAX &&
		       (guess > UINT32_MAX || guess * v[n - 2] > (left << 32 | u[k + n - 2]))) {
			guess--;
			left += v[n - 1];
		}
		int64_t borrow = 0;
		uint64_t carry = 0;
		for (size_t i = 0; i <= n; i++) {
			carry += i < n ? guess * v[i] : 0;
			borrow += (int64_t)u[k + i] - (int64_t)(uint32_t)carry;
			u[k + i] = (uint32_t)borrow;
			borrow >>= 32;
			carry >>= 32;
		}
		for (; borrow < 0; borrow += (int64_t)carry) { /* one too many: add back */
			guess--;
			carry = 0;
			for (size_t i = 0; i <= n; i++) {
				carry += (uint64_t)u[k + i] + (i < n ? v[i] : 0);
				u[k + i] = (uint32_t)carry;
				carry >>= 32;
			}
		}
		q[k] = (uint32_t)guess;
	}
	for (size_t i = 0; i <= a->count; i++)
		u[i] = (uint32_t)(((uint64_t)(i < a->count ? u[i + 1] : 0) << 32 | u[i]) >> shift);
	return 0;
}

/* Rounded down, with a rest of the divisor's sign. */
static int floor_divide(struct jinja *j, bool rest_wanted, const struct magnitude *a,
			const struct magnitude *b, bool data, struct jinja_value *out)
{
	struct jinja_big *quotient, *rest;
	struct jinja_value q, r, one = jinja_int(1, false);
	TRY(divide_limbs(j, a, b, &quotient, &rest));
	quotient->negative = a->negative != b->negative;
	rest->negative = a->negative;
	TRY(limbs_done(j, quotient, data, &q));
	TRY(limbs_done(j, rest, data, &r));
	struct jinja_value zero = jinja_int(0, data);
	bool down = a->negative != b->negative && jinja_order_integers(&r, &zero) != 0;
	if (!rest_wanted) {
		*out = q;
		return down ? jinja_integers(j, OP_SUB, &q, &one, out) : 0;
	}
	*out = r;
	if (!down)
		return 0;
	struct magnitude x;
	struct jinja_big *sum;
	magnitude_of(&r, &x);
	TRY(add_limbs(j, &x, b, false, &sum));
	return limbs_done(j, sum, data, out);
}

static int64_t bits_of(const struct magnitude *m)
{
	return m->count ? (int64_t)m->count * 32 - __builtin_clz(m->limb[m->count - 1]) : 0;
}

static int power(struct jinja *j, const struct jinja_value *base,
		 const struct jinja_value *exponent, bool data, struct jinja_value *out)
{
	struct magnitude b;
	struct jinja_value square = *base;
	magnitude_of(base, &b);
	bool unit = b.count == 0 || (b.count == 1 && b.limb[0] == 1);
	if (exponent->kind == J_BIG && !unit)
		return jinja_refuse(j, "a whole number of more than %d bits", JINJA_INTEGER_BITS);
	uint64_t n = exponent->kind == J_BIG    ? 2 + (exponent->big->limb[0] & 1)
		     : exponent->kind == J_BOOL ? exponent->boolean
						: (uint64_t)exponent->integer;
	if (!unit && n > JINJA_INTEGER_BITS)
		return jinja_refuse(j, "a whole number of more than %d bits", JINJA_INTEGER_BITS);
	*out = jinja_int(1, data);
	for (; n; n >>= 1) {
		struct jinja_value before = *out, half = square;
		if (n & 1)
			TRY(jinja_integers(j, OP_MUL, &before, &half, out));
		if (n > 1)
			TRY(jinja_integers(j, OP_MUL, &half, &half, &square));
	}
	out->data = data;
	return 0;
}

static bool small_integers(enum jinja_op op, int64_t a, int64_t b, int64_t *out)
{
	switch (op) {
	case OP_ADD:
		return !__builtin_add_overflow(a, b, out);
	case OP_SUB:
		return !__builtin_sub_overflow(a, b, out);
	case OP_MUL:
		return !__builtin_mul_overflow(a, b, out);
	case OP_FLOORDIV:
	case OP_MOD:
		if (b == -1 || b == 0) /* the quotient may overflow */
			return false;
		int64_t quotient = a / b, rest = a % b;
		bool down = rest && (rest < 0) != (b < 0);
		*out = op == OP_FLOORDIV ? quotient - down : down ? rest + b : rest;
		return true;
	default:
		return false;
	}
}

static int64_t whole(const struct jinja_value *v)
{
	return v->kind == J_BOOL ? v->boolean : v->integer;
}

int jinja_integers(struct jinja *j, enum jinja_op op, const struct jinja_value *a,
		   const struct jinja_value *b, struct jinja_value *out)
{
	bool data = a->data || b->data;
	int64_t i;
	struct magnitude x, y;
	struct jinja_big *made;
	if (a->kind != J_BIG && b->kind != J_BIG && small_integers(op, whole(a), whole(b), &i)) {
		*out = jinja_int(i, data);
		return 0;
	}
	magnitude_of(a, &x);
	magnitude_of(b, &y);
	switch (op) {
	case OP_ADD:
	case OP_SUB:
		TRY(add_limbs(j, &x, &y, op == OP_SUB, &made));
		break;
	case OP_MUL:
		TRY(multiply_limbs(j, &x, &y, &made));
		break;
	case OP_POW:
		return power(j, a, b, data, out);
	default:
		check(op == OP_FLOORDIV || op == OP_MOD);
		if (!y.count)
			return jinja_fail(j, "division by zero");
		return floor_divide(j, op == OP_MOD, &x, &y, data, out);
	}
	return limbs_done(j, made, data, out);
}

/* ---- as floating point ---- */

/* The top 64 bits, the lowest of them set too if any below is; *exponent of the lowest. */
static uint64_t top_bits(const struct magnitude *m, int64_t *exponent)
{
	int64_t bits = bits_of(m), first = bits > 64 ? bits - 64 : 0;
	uint64_t top = 0;
	for (int64_t i = bits; i-- > first;)
		top = top << 1 | (m->limb[i / 32] >> (i % 32) & 1);
	for (int64_t i = 0; i < first && !(top & 1); i++)
		top |= m->limb[i / 32] >> (i % 32) & 1;
	*exponent = first;
	return top;
}

int jinja_to_double(struct jinja *j, const struct jinja_value *v, double *out)
{
	struct magnitude m;
	int64_t exponent;
	if (v->kind != J_BIG) {
		*out = (double)whole(v);
		return 0;
	}
	magnitude_of(v, &m);
	*out = ldexp((double)top_bits(&m, &exponent), 0);
	*out = ldexp(*out, (int)exponent);
	if (isinf(*out))
		return jinja_fail(j, "int too large to convert to float");
	*out = m.negative ? -*out : *out;
	return 0;
}

int jinja_from_double(struct jinja *j, double d, bool data, struct jinja_value *out)
{
	struct jinja_big *b;
	int exponent;
	if (!isfinite(d))
		return jinja_fail(j, "cannot convert float %s to integer",
				  isnan(d) ? "NaN" : "infinity");
	d = trunc(d);
	if (fabs(d) < 9e18) {
		*out = jinja_int((int64_t)d, data);
		return 0;
	}
	uint64_t m = (uint64_t)ldexp(frexp(fabs(d), &exponent), 53);
	exponent -= 53;
	TRY(limbs_new(j, (size_t)exponent / 32 + 4, &b));
	b->negative = d < 0;
	for (int i = 0; i < 53; i++)
		if (m >> i & 1)
			b->limb[(exponent + i) / 32] |= (uint32_t)1 << (exponent + i) % 32;
	return limbs_done(j, b, data, out);
}

/* a / b as the nearest double: the quotient of 66 bits or more, and whether there is a rest. */
int jinja_divide(struct jinja *j, const struct jinja_value *a, const struct jinja_value *b,
		 double *out)
{
	struct magnitude x, y, m;
	struct jinja_big *shifted, *quotient, *rest;
	int64_t exponent;
	magnitude_of(a, &x);
	magnitude_of(b, &y);
	if (!y.count)
		return jinja_fail(j, "division by zero");
	if (bits_of(&x) <= 53 && bits_of(&y) <= 53) {
		*out = (double)whole(a) / (double)whole(b);
		return 0;
	}
	int64_t up = bits_of(&y) + 66 - bits_of(&x);
	size_t limbs = up > 0 ? (size_t)up / 32 + 1 : 0;
	TRY(limbs_new(j, x.count + limbs, &shifted));
	memcpy(shifted->limb + limbs, x.limb, x.count * sizeof *x.limb);
	x.limb = shifted->limb;
	x.count += limbs;
	TRY(divide_limbs(j, &x, &y, &quotient, &rest));
	for (size_t i = 0; i < rest->count; i++)
		quotient->limb[0] |= rest->limb[i] != 0;
	while (quotient->count && !quotient->limb[quotient->count - 1])
		quotient->count--;
	m = (struct magnitude){ quotient->limb, quotient->count, false, { 0 } };
	uint64_t top = top_bits(&m, &exponent);
	exponent -= (int64_t)limbs * 32;
	/* what ends below the smallest exponent is rounded once, not twice */
	int64_t spare = -1074 - exponent;
	if (spare > 10 && top)
		*out = spare > 66 ? 0 : (double)ldexpl((long double)top, (int)exponent);
	else
		*out = ldexp((double)top, (int)exponent);
	if (isinf(*out))
		return jinja_fail(j, "integer division result too large for a float");
	*out = x.negative != y.negative ? -*out : *out;
	return 0;
}

/* Exact, also where a whole number is no double. */
int jinja_order_numbers(const struct jinja_value *a, const struct jinja_value *b)
{
	if (a->kind != J_FLOAT && b->kind != J_FLOAT)
		return jinja_order_integers(a, b);
	if (b->kind != J_FLOAT) {
		int order = jinja_order_numbers(b, a);
		return order == 2 ? 2 : -order;
	}
	double y = b->number;
	if (isnan(y) || (a->kind == J_FLOAT && isnan(a->number)))
		return 2;
	if (a->kind == J_FLOAT)
		return (a->number > y) - (a->number < y);
	if (isinf(y))
		return y > 0 ? -1 : 1;
	if (a->kind != J_BIG) {
		long double x = (long double)whole(a);
		return (x > (long double)y) - (x < (long double)y);
	}
	struct magnitude m;
	int64_t exponent;
	magnitude_of(a, &m);
	if ((y < 0) != m.negative || y == 0)
		return m.negative ? -1 : 1;
	int y_bits;
	frexp(y, &y_bits);
	int order = bits_of(&m) != y_bits ? (bits_of(&m) > y_bits ? 1 : -1) : 0;
	if (order == 0) { /* 64 bits, the last of them sticky, decide */
		long double x = (long double)top_bits(&m, &exponent);
		long double z = ldexpl((long double)fabs(y), (int)-exponent);
		order = (x > z) - (x < z);
	}
	return m.negative ? -order : order;
}

int64_t jinja_bit_length(const struct jinja_value *v)
{
	struct magnitude m;
	magnitude_of(v, &m);
	return bits_of(&m);
}

int64_t jinja_bit_count(const struct jinja_value *v)
{
	struct magnitude m;
	int64_t n = 0;
	magnitude_of(v, &m);
	for (size_t i = 0; i < m.count; i++)
		n += __builtin_popcount(m.limb[i]);
	return n;
}

/* ---- as text ---- */

int jinja_digits(struct jinja *j, const struct jinja_value *v, int base, struct buf *out)
{
	static const char digit[] = "0123456789abcdef";
	struct magnitude m;
	struct jinja_big *left;
	char small[72];
	size_t at = sizeof small;
	magnitude_of(v, &m);
	if (m.count <= 2) {
		uint64_t u =
			(m.count > 1 ? (uint64_t)m.limb[1] << 32 : 0) | (m.count ? m.limb[0] : 0);
		do
			small[--at] = digit[u % (unsigned)base];
		while (u /= (unsigned)base);
		if (m.negative)
			small[--at] = '-';
		buf_add(out, small + at, sizeof small - at);
		return 0;
	}
	if (base == 10 && bits_of(&m) > JINJA_INTEGER_DIGITS * 10 / 3)
		return jinja_fail(j, "Exceeds the limit (%d digits) for integer string conversion",
				  JINJA_INTEGER_DIGITS);
	TRY(limbs_new(j, m.count, &left));
	TRY(jinja_charge(j, m.count * m.count / 16));
	memcpy(left->limb, m.limb, m.count * sizeof *m.limb);
	size_t room = m.count * 32 + 2, used = room;
	char *digits = jinja_alloc(j, room, 1);
	if (!digits)
		return jinja_no_memory(j);
	for (size_t count = m.count; count;) {
		uint32_t rest =
			divide_small(left->limb, count, base == 10 ? 1000000000u : (uint32_t)base);
		for (int i = 0; i < (base == 10 ? 9 : 1); i++, rest /= (uint32_t)base)
			digits[--used] = digit[rest % (uint32_t)base];
		while (count && !left->limb[count - 1])
			count--;
	}
	while (digits[used] == '0')
		used++;
	if (base == 10 && room - used > JINJA_INTEGER_DIGITS)
		return jinja_fail(j, "Exceeds the limit (%d digits) for integer string conversion",
				  JINJA_INTEGER_DIGITS);
	if (m.negative)
		digits[--used] = '-';
	buf_add(out, digits + used, room - used);
	return 0;
}

static unsigned digit_value(char c)
{
	return c >= '0' && c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 32) - 'a' + 10);
}

int jinja_from_digits(struct jinja *j, const char *digits, size_t len, int base, bool negative,
		      bool data, struct jinja_value *out)
{
	struct jinja_big *b;
	bool exact = (base & (base - 1)) == 0;
	while (len > 1 && *digits == '0') {
		digits++;
		len--;
	}
	if (!exact && len > JINJA_INTEGER_DIGITS)
		return jinja_fail(j, "Exceeds the limit (%d digits) for integer string conversion",
				  JINJA_INTEGER_DIGITS);
	TRY(limbs_new(j, len * 6 / 32 + 2, &b));
	TRY(jinja_charge(j, len * b->count / 64));
	size_t used = 0;
	for (size_t i = 0; i < len; i++) {
		uint64_t carry = digit_value(digits[i]);
		for (size_t k = 0; k < used; k++) {
			carry += (uint64_t)b->limb[k] * (unsigned)base;
			b->limb[k] = (uint32_t)carry;
			carry >>= 32;
		}
		if (carry)
			b->limb[used++] = (uint32_t)carry;
	}
	b->negative = negative;
	return limbs_done(j, b, data, out);
}
