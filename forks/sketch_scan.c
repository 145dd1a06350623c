/* What is taken of every value: a hash, the sum of squares, whether all are the same. These loops
 * see every byte of a model, so they are written for vectors of 128 bits, which every machine has,
 * and take about a nanosecond for two values.
 *
 * Hash of a row: eight lanes of 64 bits, each fed two neighbouring values at a time; a step is a
 * bijection of the lane for any values and of the values for any lane, so that no single change is
 * lost. The lanes are then mixed with the number of the row and of its values into two words, and
 * those of a tensor's rows are added: in any order, by any thread. */
#include "forks/sketch_in.h"

#include <math.h>
#include <string.h>

#define STEP 16 /* values */

typedef float f32x4 __attribute__((vector_size(16), aligned(4)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));

struct lanes {
	u64x2 hash[4];
	u32x4 differs;
};

static inline u64x2 turned(u64x2 state, u64x2 fed)
{
	state ^= fed;
	state += state << 5;
	return state << 29 | state >> 35;
}

static inline u64x2 hash_step(struct lanes *l, int i, u32x4 bits, u32x4 first)
{
	l->differs |= (bits ^ first) & (u32x4)(bits != 0);
	return turned(l->hash[i], (u64x2)bits);
}

static struct lanes lanes_open(void)
{
	struct lanes l = { .differs = { 0 } };

	for (unsigned i = 0; i < 4; i++)
		l.hash[i] = (u64x2){ 0x9e3779b97f4a7c15ull * (2 * i + 1),
				     0x9e3779b97f4a7c15ull * (2 * i + 2) };
	return l;
}

static uint64_t mixed(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull; /* splitmix64 */
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static void lanes_add(struct scan *s, const struct lanes *l, uint64_t row, uint64_t n)
{
	uint64_t a = mixed(row + 0x632be59bd9b4e019ull), b = mixed(n ^ a);

	for (int i = 0; i < 4; i++) {
		a = mixed(a + l->hash[i][0]) + l->hash[i][1];
		b = mixed(b ^ l->hash[i][1]) + l->hash[i][0];
	}
	s->hash[0] += mixed(a);
	s->hash[1] += mixed(b);
	s->differs |= l->differs[0] | l->differs[1] | l->differs[2] | l->differs[3];
}

/* Adding 0 makes -0 a 0 and leaves all else as it is. */
static inline u32x4 bits_of(f32x4 x) { return (u32x4)(x + (f32x4){ 0, 0, 0, 0 }); }

static inline f64x2 low_squares(f32x4 x)
{
	f64x2 v = { (double)x[0], (double)x[1] };

	return v * v;
}

static inline f64x2 high_squares(f32x4 x)
{
	f64x2 v = { (double)x[2], (double)x[3] };

	return v * v;
}

/* n is a multiple of STEP. */
static double steps_add(struct lanes *l, const float *x, size_t n, u32x4 first)
{
	f64x2 s0 = { 0, 0 }, s1 = { 0, 0 }, s2 = { 0, 0 }, s3 = { 0, 0 };
	struct lanes k = *l; /* in registers */

	for (size_t i = 0; i < n; i += STEP) {
		const f32x4 *v = (const f32x4 *)(const void *)(x + i);

		k.hash[0] = hash_step(&k, 0, bits_of(v[0]), first);
		k.hash[1] = hash_step(&k, 1, bits_of(v[1]), first);
		k.hash[2] = hash_step(&k, 2, bits_of(v[2]), first);
		k.hash[3] = hash_step(&k, 3, bits_of(v[3]), first);
		s0 += low_squares(v[0]) + low_squares(v[2]);
		s1 += high_squares(v[0]) + high_squares(v[2]);
		s2 += low_squares(v[1]) + low_squares(v[3]);
		s3 += high_squares(v[1]) + high_squares(v[3]);
	}
	*l = k;
	s0 += s1 + s2 + s3;
	return s0[0] + s0[1];
}

static void count_bad(struct scan *s, const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (isfinite(x[i]))
			s->squares += (double)x[i] * x[i];
		else
			s->values_bad++;
}

void fork_scan_row(struct scan *s, uint64_t row, const float *x, size_t n)
{
	struct lanes l = lanes_open();
	size_t whole = n / STEP * STEP;
	float rest[STEP];
	uint32_t first = s->first;
	double squares;

	for (size_t i = 0; first == 0 && i < n; i++) {
		float v = x[i] + 0.0f;

		memcpy(&first, &v, 4);
	}
	s->first = first;
	squares = steps_add(&l, x, whole, (u32x4){ first, first, first, first });
	for (size_t i = 0; whole < n && i < STEP; i++) /* what is missing repeats the last */
		rest[i] = x[whole + i < n ? whole + i : n - 1];
	if (whole < n) {
		steps_add(&l, rest, STEP, (u32x4){ first, first, first, first });
		for (size_t i = whole; i < n; i++)
			squares += (double)x[i] * x[i];
	}
	lanes_add(s, &l, row, n);
	s->values += n;
	if (isfinite(squares))
		s->squares += squares;
	else
		count_bad(s, x, n);
}

void fork_scan_bytes(struct scan *s, uint64_t row, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;
	struct lanes l = lanes_open();

	for (size_t i = 0; i < len; i += 16) {
		unsigned char part[16] = { 0 };
		u64x2 fed;

		memcpy(part, at + i, len - i < 16 ? len - i : 16);
		memcpy(&fed, part, 16);
		l.hash[i / 16 % 4] = turned(l.hash[i / 16 % 4], fed);
	}
	lanes_add(s, &l, row, len);
	s->values += len;
	for (size_t i = 0; i < len; i++) {
		s->first = s->first ? s->first : at[i];
		s->differs |= at[i] ? at[i] ^ s->first : 0;
	}
}

void fork_scan_merge(struct scan *s, const struct scan *from)
{
	if (s->first == 0)
		s->first = from->first;
	s->hash[0] += from->hash[0];
	s->hash[1] += from->hash[1];
	s->squares += from->squares;
	s->differs |= from->differs | (from->first ? from->first ^ s->first : 0);
	s->values += from->values;
	s->values_bad += from->values_bad;
}

double fork_scan_squares(const float *x, const float *gain, size_t n)
{
	f64x2 even = { 0, 0 }, odd = { 0, 0 };
	size_t i = 0;
	double sum;

	for (; i + 4 <= n; i += 4) {
		f32x4 v = *(const f32x4 *)(const void *)(x + i);

		if (gain)
			v *= *(const f32x4 *)(const void *)(gain + i);
		even += low_squares(v);
		odd += high_squares(v);
	}
	even += odd;
	sum = even[0] + even[1];
	for (; i < n; i++) {
		float v = gain ? x[i] * gain[i] : x[i];

		sum += (double)v * v;
	}
	return sum;
}

void fork_scan_column_squares(double *sum, const float *x, float gain, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		float v = x[i] * gain;

		sum[i] += (double)v * v;
	}
}
