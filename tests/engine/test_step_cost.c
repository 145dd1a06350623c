#include "engine/step_cost.h"

#include <criterion/criterion.h>

/* What steps cost is learned; who is stepped when follows from it. */

/* The most rows that cost at most `times` what `rows` do. */
static uint32_t rows_for(const struct step_cost *c, uint32_t rows, double times)
{
	return step_cost_within(c, rows, step_cost_us(c, rows) * times);
}

Test(engine_step_cost, rows_are_taken_to_cost_the_same_each_until_more_is_known)
{
	struct step_cost c = { 0 };
	cr_assert_eq(step_cost_us(&c, 4), 0);
	cr_assert_eq(step_cost_far_us(&c, 1), 0);
	cr_assert(!step_cost_knows(&c, 64));
	step_cost_learn(&c, 64, 0, 6400);
	cr_assert_eq(step_cost_us(&c, 1), 100);
	cr_assert_eq(rows_for(&c, 1, 2), 2);
}

Test(engine_step_cost, rows_that_cost_little_beside_one_are_found_to)
{
	struct step_cost c = { 0 };
	for (uint32_t rows = 1; rows <= 32; rows *= 2)
		step_cost_learn(&c, rows, 0, 1000 + rows);
	cr_assert_geq(rows_for(&c, 1, 1.75), 32);
	step_cost_learn(&c, 64, 0, 4000);
	cr_assert_lt(rows_for(&c, 1, 1.75), 64);
	cr_assert_geq(rows_for(&c, 1, 1.75), 32);
}

Test(engine_step_cost, a_step_that_was_held_up_teaches_little)
{
	struct step_cost c = { 0 };
	step_cost_learn(&c, 1, 0, 1000);
	step_cost_learn(&c, 1, 0, 500000);
	cr_assert_lt(step_cost_us(&c, 1), 1010);
	for (int i = 0; i < 1000; i++)
		step_cost_learn(&c, 1, 0, 2000);
	cr_assert_eq(step_cost_us(&c, 1), 2000); /* and what lasts, in time */
	step_cost_learn(&c, 1, 0, 900);
	cr_assert_eq(step_cost_us(&c, 1), 900);
}

Test(engine_step_cost, sizes_between_those_that_were_made_lie_between_them)
{
	struct step_cost c = { 0 };
	step_cost_learn(&c, 1, 0, 100);
	step_cost_learn(&c, 128, 0, 12800);
	for (uint32_t rows = 1; rows < 4096; rows++) {
		cr_assert_geq(step_cost_us(&c, rows + 1), step_cost_us(&c, rows), "%u", rows);
		cr_assert_geq(rows_for(&c, rows, 1.75), rows);
	}
}

Test(engine_step_cost, no_time_and_no_rows_teach_nothing)
{
	struct step_cost c = { 0 };
	step_cost_learn(&c, 0, 0, 100);
	step_cost_learn(&c, 5, 0, 0);
	step_cost_learn(&c, 5, 0, -3);
	cr_assert_eq(step_cost_us(&c, 5), 0);
}

/* Attention is learned beside the rest, whichever is seen first. */
Test(engine_step_cost, long_texts_are_told_from_many_rows)
{
	static const uint32_t lengths[] = { 10, 3000, 40, 1500, 2000, 20, 100 };
	struct step_cost c = { 0 }, late = { 0 };
	for (uint32_t i = 0; i < 700; i++) {
		uint32_t rows = 1 + i % 8, before = lengths[i % 7];
		uint64_t attended = (uint64_t)rows * before;
		int64_t us = 300 + 80 * (int64_t)rows + (int64_t)(attended / 4);
		step_cost_learn(&c, rows, attended, us);
		if (before > 1000 || i >= 7)
			step_cost_learn(&late, rows, attended, us);
	}
	for (uint32_t rows = 1; rows <= 8; rows++) {
		double us = 300 + 80 * rows;
		uint32_t of = rows == 5 || rows == 7 ? rows - 1 : rows; /* the size it counts among */
		cr_expect_float_eq(step_cost_us(&c, rows), us - 80 * (rows - of), us / 10, "%u", rows);
		cr_expect_float_eq(step_cost_far_us(&c, rows), 0.25, 0.04, "%u", rows);
		cr_expect_float_eq(step_cost_far_us(&late, rows), 0.25, 0.06, "%u", rows);
	}
}
