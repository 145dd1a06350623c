#include "model/rope.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

/* An angle that was rounded to f32 would be off by 2e-4 here. */
Test(model_rope, angles_of_far_positions_are_as_exact_as_near_ones)
{
	const struct model_rope plain = { .size = 8, .theta = 10000 };
	struct rope_table t;
	cr_assert_eq(rope_table_open(&t, &plain, NULL), 0);
	cr_assert_eq(rope_table_grow(&t, 5000, NULL), 0);
	for (uint32_t at = 1; at < 5000; at += 7) {
		for (uint32_t i = 0; i < t.half; i++) {
			double angle = (double)t.inverse[i] * at;
			cr_assert_lt(fabs((double)t.cosine[at * t.half + i] - cos(angle)), 1e-7);
			cr_assert_lt(fabs((double)t.sine[at * t.half + i] - sin(angle)), 1e-7);
		}
	}
	rope_table_close(&t);
}

/* Published check values. */
Test(model_rope, yarn_bounds_and_factors)
{
	struct model_rope p = { .kind = MODEL_ROPE_YARN, .size = 64, .theta = 1e4, .factor = 40,
		.beta_fast = 32,
		.beta_slow = 1, .context_original = 4096 };
	double low, high;
	rope_yarn_bounds(&p, &low, &high);
	cr_assert_float_eq(low, 10.472, 6e-4);
	cr_assert_float_eq(high, 22.513, 6e-4);
	p.truncate = true;
	rope_yarn_bounds(&p, &low, &high);
	cr_assert(low == 10 && high == 23);
	p.theta = 1.5e5, p.truncate = false;
	rope_yarn_bounds(&p, &low, &high);
	cr_assert_float_eq(low, 8.0928, 6e-5);
	cr_assert_float_eq(high, 17.398, 6e-4);
	p.theta = 5e4, p.beta_fast = 1, p.truncate = true;
	rope_yarn_bounds(&p, &low, &high);
	cr_assert(low == 19 && high == 20);
	p.beta_fast = p.beta_slow = 1e5; /* far below pair 0: nothing is interpolated */
	rope_yarn_bounds(&p, &low, &high);
	cr_assert(low == 0 && high < 0);
	p.beta_fast = p.beta_slow = 660; /* just below: both bounds are pair 0 */
	rope_yarn_bounds(&p, &low, &high);
	cr_assert(low == 0 && high == 0.001);
	cr_assert_float_eq(rope_mscale(32, 1), 1.346574, 5e-7);
	double m = rope_mscale(40, 0.707);
	cr_assert_float_eq(m * m / sqrt(192), 0.1147214, 5e-8);
	m = rope_mscale(40, 1);
	cr_assert_float_eq(m * m / sqrt(192), 0.1352338, 5e-8);
	cr_assert(rope_mscale(1, 1) == 1);
}

Test(model_rope, tables_grow_without_changing)
{
	struct model_rope p = { .size = 8, .theta = 1e4, .factor = 1 };
	struct rope_table t, u;
	struct err e = { 0 };
	cr_assert_eq(rope_table_open(&t, &p, &e), 0);
	cr_assert_eq(rope_table_open(&u, &p, &e), 0);
	cr_assert_eq(rope_table_grow(&t, 3, &e), 0);
	cr_assert_eq(rope_table_grow(&t, 300, &e), 0);
	cr_assert_eq(rope_table_grow(&u, 300, &e), 0);
	cr_assert_eq(memcmp(t.cosine, u.cosine, 300 * 4 * 4), 0);
	cr_assert(t.inverse[0] == 1 && t.inverse[1] == 0.1f && t.inverse[2] == 0.01f);
	for (uint32_t i = 0; i < 300; i++)
		cr_assert_float_eq((double)t.sine[i * 4], sin((double)i), 6e-8);
	rope_table_close(&t);
	rope_table_close(&u);
}
