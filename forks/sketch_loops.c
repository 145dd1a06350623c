/* The two loops in which a sketch spends its time, for vectors of 128 bits: all machines have them.
 * sketch_loops_avx2.c has the same for 256; neither changes the order of any sum, so that both give
 * the same bits.
 *
 * Hash of a row: eight lanes of 64 bits, each fed two neighbouring values at a time; a step is a
 * bijection of the lane for any values and of the values for any lane, so that no single change is
 * lost. */
#include "forks/sketch_in.h"

typedef float f32x4 __attribute__((vector_size(16), aligned(4)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef uint64_t u64x2 __attribute__((vector_size(16)));
typedef double f64x2 __attribute__((vector_size(16)));

/* ---- values ---- */

static inline u64x2 turned(u64x2 state, u64x2 fed)
{
	state ^= fed;
	state += state << 5;
	return state << 29 | state >> 35;
}

/* Adding 0 makes -0 a 0 and leaves all else as it is. */
static inline u32x4 bits_of(f32x4 x) { return (u32x4)(x + (f32x4){ 0, 0, 0, 0 }); }

static inline u32x4 unlike(u32x4 bits, u32x4 first) { return (bits ^ first) & (u32x4)(bits != 0); }

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

double fork_scan_steps_plain(struct scan_lanes *l, const float *x, size_t n, uint32_t first)
{
	f64x2 s0 = { 0, 0 }, s1 = { 0, 0 }, s2 = { 0, 0 }, s3 = { 0, 0 };
	u64x2 h0 = { l->hash[0], l->hash[1] }, h1 = { l->hash[2], l->hash[3] },
	      h2 = { l->hash[4], l->hash[5] }, h3 = { l->hash[6], l->hash[7] };
	u32x4 one = { first, first, first, first }, differs = { 0, 0, 0, 0 };

	for (size_t i = 0; i < n; i += SCAN_STEP) {
		const f32x4 *v = (const f32x4 *)(const void *)(x + i);
		u32x4 b0 = bits_of(v[0]), b1 = bits_of(v[1]), b2 = bits_of(v[2]),
		      b3 = bits_of(v[3]);

		differs |= unlike(b0, one) | unlike(b1, one) | unlike(b2, one) | unlike(b3, one);
		h0 = turned(h0, (u64x2)b0);
		h1 = turned(h1, (u64x2)b1);
		h2 = turned(h2, (u64x2)b2);
		h3 = turned(h3, (u64x2)b3);
		s0 += low_squares(v[0]) + low_squares(v[2]);
		s1 += high_squares(v[0]) + high_squares(v[2]);
		s2 += low_squares(v[1]) + low_squares(v[3]);
		s3 += high_squares(v[1]) + high_squares(v[3]);
	}
	for (int i = 0; i < 2; i++) {
		l->hash[i] = h0[i];
		l->hash[2 + i] = h1[i];
		l->hash[4 + i] = h2[i];
		l->hash[6 + i] = h3[i];
	}
	l->differs |= differs[0] | differs[1] | differs[2] | differs[3];
	s0 += s2;
	s1 += s3;
	s0 += s1;
	return s0[0] + s0[1];
}

/* ---- products with tokens ---- */

static inline f32x4 all(float v) { return (f32x4){ v, v, v, v }; }

static void half_tile_add(const struct tile *t, float *out, const float *y)
{
	const float *x = t->x;
	f32x4 *o0 = (f32x4 *)(void *)out, *o1 = (f32x4 *)(void *)(out + t->out_stride),
	      *o2 = (f32x4 *)(void *)(out + 2 * t->out_stride),
	      *o3 = (f32x4 *)(void *)(out + 3 * t->out_stride);
	f32x4 s00 = o0[0], s01 = o0[1], s10 = o1[0], s11 = o1[1], s20 = o2[0], s21 = o2[1],
	      s30 = o3[0], s31 = o3[1];

	for (uint32_t k = 0; k < t->count; k++, x += t->x_stride, y += t->y_stride) {
		const f32x4 *b = (const f32x4 *)(const void *)y;
		f32x4 b0 = b[0], b1 = b[1], a0 = all(x[0]), a1 = all(x[1]), a2 = all(x[2]),
		      a3 = all(x[3]);

		s00 += a0 * b0;
		s01 += a0 * b1;
		s10 += a1 * b0;
		s11 += a1 * b1;
		s20 += a2 * b0;
		s21 += a2 * b1;
		s30 += a3 * b0;
		s31 += a3 * b1;
	}
	o0[0] = s00;
	o0[1] = s01;
	o1[0] = s10;
	o1[1] = s11;
	o2[0] = s20;
	o2[1] = s21;
	o3[0] = s30;
	o3[1] = s31;
}

void fork_tile_plain(const struct tile *t)
{
	half_tile_add(t, t->out, t->y);
	half_tile_add(t, t->out + TILE_TOKENS / 2, t->y + TILE_TOKENS / 2);
}
