/* What is taken of every value: a hash, the sum of squares, whether all are the same. The loop is
 * in sketch_loops.c; its lanes are mixed here with the number of the row and of its values into two
 * words, and those of a tensor's rows are added: in any order, by any thread. */
#include "forks/sketch_in.h"

#include <math.h>
#include <string.h>

typedef float f32x4 __attribute__((vector_size(16), aligned(4)));
typedef double f64x2 __attribute__((vector_size(16)));

static struct scan_lanes lanes_open(void)
{
	struct scan_lanes l = { .differs = 0 };

	for (unsigned i = 0; i < 8; i++)
		l.hash[i] = 0x9e3779b97f4a7c15ull * (i + 1);
	return l;
}

static double steps_add(struct scan_lanes *l, const float *x, size_t n, uint32_t first)
{
	return __builtin_cpu_supports("avx2") ? fork_scan_steps_avx2(l, x, n, first)
					      : fork_scan_steps_plain(l, x, n, first);
}

static void lanes_add(struct scan *s, const struct scan_lanes *l, uint64_t row, uint64_t n)
{
	uint64_t a = sketch_mixed(row + 0x632be59bd9b4e019ull), b = sketch_mixed(n ^ a);

	for (int i = 0; i < 8; i += 2) {
		a = sketch_mixed(a + l->hash[i]) + l->hash[i + 1];
		b = sketch_mixed(b ^ l->hash[i + 1]) + l->hash[i];
	}
	s->hash[0] += sketch_mixed(a);
	s->hash[1] += sketch_mixed(b);
	s->differs |= l->differs;
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
	struct scan_lanes l = lanes_open();
	size_t whole = n / SCAN_STEP * SCAN_STEP;
	float rest[SCAN_STEP];
	uint32_t first = s->first;
	double squares;

	for (size_t i = 0; first == 0 && i < n; i++) {
		float v = x[i] + 0.0f;

		memcpy(&first, &v, 4);
	}
	s->first = first;
	squares = steps_add(&l, x, whole, first);
	for (size_t i = 0; whole < n && i < SCAN_STEP; i++) /* what is missing repeats the last */
		rest[i] = x[whole + i < n ? whole + i : n - 1];
	if (whole < n) {
		steps_add(&l, rest, SCAN_STEP, first);
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
	struct scan_lanes l = lanes_open();

	for (size_t i = 0; i < len; i += 8) {
		uint64_t fed = 0, *to = &l.hash[i / 8 % 8];

		memcpy(&fed, at + i, len - i < 8 ? len - i : 8);
		*to = (*to ^ fed) * 33;
		*to = *to << 29 | *to >> 35;
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

static inline f64x2 squares_of(float x, float y)
{
	f64x2 v = { (double)x, (double)y };

	return v * v;
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
		even += squares_of(v[0], v[1]);
		odd += squares_of(v[2], v[3]);
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
