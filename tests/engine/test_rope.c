#include "model/rope.h"

#include <criterion/criterion.h>
#include <math.h>

/* An angle that was rounded to f32 would be off by 2e-4 here. */
Test(rope, angles_of_far_positions_are_as_exact_as_near_ones)
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
