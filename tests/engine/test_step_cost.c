#include "engine/step_cost.h"

#include <criterion/criterion.h>

/* What steps cost is learned; who is stepped when follows from it. */

Test(engine_step_cost, rows_are_taken_to_cost_the_same_each_until_more_is_known)
{
	struct step_cost c = { 0 };
	cr_assert_eq(step_cost_us(&c, 4), 0);
	cr_assert_eq(step_cost_rows(&c, 1, 1.75), 1);
	cr_assert_eq(step_cost_rows(&c, 4, 1.75), 7);
	step_cost_learn(&c, 64, 6400);
	cr_assert_eq(step_cost_us(&c, 1), 100);
	cr_assert_eq(step_cost_rows(&c, 1, 2), 2);
}

Test(engine_step_cost, rows_that_cost_little_beside_one_are_found_to)
{
	struct step_cost c = { 0 };
	for (uint32_t rows = 1; rows <= 32; rows *= 2)
		step_cost_learn(&c, rows, 1000 + rows);
	cr_assert_geq(step_cost_rows(&c, 1, 1.75), 32);
	step_cost_learn(&c, 64, 4000);
	cr_assert_lt(step_cost_rows(&c, 1, 1.75), 64);
	cr_assert_geq(step_cost_rows(&c, 1, 1.75), 32);
}

Test(engine_step_cost, a_step_that_was_held_up_teaches_little)
{
	struct step_cost c = { 0 };
	step_cost_learn(&c, 1, 1000);
	step_cost_learn(&c, 1, 500000);
	cr_assert_lt(step_cost_us(&c, 1), 1010);
	for (int i = 0; i < 1000; i++)
		step_cost_learn(&c, 1, 2000);
	cr_assert_eq(step_cost_us(&c, 1), 2000); /* and what lasts, in time */
	step_cost_learn(&c, 1, 900);
	cr_assert_eq(step_cost_us(&c, 1), 900);
}

Test(engine_step_cost, sizes_between_those_that_were_made_lie_between_them)
{
	struct step_cost c = { 0 };
	step_cost_learn(&c, 1, 100);
	step_cost_learn(&c, 128, 12800);
	for (uint32_t rows = 1; rows < 4096; rows++) {
		cr_assert_geq(step_cost_us(&c, rows + 1), step_cost_us(&c, rows), "%u", rows);
		cr_assert_geq(step_cost_rows(&c, rows, 1.75), rows);
	}
}

Test(engine_step_cost, no_time_and_no_rows_teach_nothing)
{
	struct step_cost c = { 0 };
	step_cost_learn(&c, 0, 100);
	step_cost_learn(&c, 5, 0);
	step_cost_learn(&c, 5, -3);
	cr_assert_eq(step_cost_us(&c, 5), 0);
	cr_assert_eq(step_cost_rows(&c, 0, 1.75), 0);
}
