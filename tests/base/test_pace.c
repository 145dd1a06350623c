/* Budgets of processor time, by a clock that the test sets. */
#include "base/pace.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct pace *pace_new(unsigned cores, unsigned *greedy, unsigned *other)
{
	struct pace *p = calloc(1, sizeof *p);
	cr_assert(p);
	pace_init(p, 42, cores);
	*greedy = pace_account(p, "greedy", 6);
	*other = pace_account(p, "other", 5);
	cr_assert_neq(*greedy, *other);
	return p;
}

Test(pace, nobody_waits_while_nobody_else_asks)
{
	unsigned greedy, other;
	struct pace *p = pace_new(2, &greedy, &other);
	pace_begin(p, greedy, 0);
	pace_spend(p, greedy, PACE_DEBT_US, 0);
	cr_assert_eq(pace_wait_us(p, greedy, 0), 0);
	pace_begin(p, other, 0);
	cr_assert_gt(pace_wait_us(p, greedy, 0), 0);
	cr_assert_eq(pace_wait_us(p, other, 0), 0);
	pace_end(p, other, 0);
	cr_assert_eq(pace_wait_us(p, greedy, PACE_LINGER_US), 0);
	free(p);
}

/* Between two requests of one that reads and asks again. */
Test(pace, nobody_does_all_at_once_while_another_takes_a_breath)
{
	unsigned greedy, other;
	struct pace *p = pace_new(2, &greedy, &other);
	pace_begin(p, greedy, 0);
	pace_spend(p, greedy, PACE_DEBT_US, 0);
	for (int64_t now = 0; now < 500000; now += PACE_LINGER_US / 2) {
		pace_begin(p, other, now - PACE_LINGER_US);
		pace_begin(p, other, now);
		pace_end(p, other, now);
		cr_assert_gt(pace_wait_us(p, greedy, now), 0);
		pace_end(p, other, now);
		cr_assert_gt(pace_wait_us(p, greedy, now), 0, "just answered");
		cr_assert_gt(pace_wait_us(p, greedy, now + PACE_LINGER_US / 2 - 1), 0);
		pace_spend(p, greedy, PACE_DEBT_US, now);
	}
	cr_assert_eq(pace_wait_us(p, greedy, 700000), 0, "it is gone");
	cr_assert_eq(pace_wait_us(p, other, 700000), 0);
	pace_begin(p, other, 700000);
	pace_spend(p, greedy, PACE_DEBT_US, 700000);
	cr_assert_gt(pace_wait_us(p, greedy, 700000), 0, "and comes again");
	pace_end(p, other, 700300);
	cr_assert_gt(pace_wait_us(p, greedy, 700599), 0);
	cr_assert_eq(pace_wait_us(p, greedy, 700600), 0, "who asks little is soon forgotten");
	free(p);
}

Test(pace, an_ordinary_request_now_and_then_does_not_wait)
{
	unsigned greedy, other;
	struct pace *p = pace_new(2, &greedy, &other);
	pace_begin(p, other, 0);
	for (int64_t now = 0; now < 10000000; now += 50000) {
		pace_spend(p, greedy, 4000, now);
		cr_assert_eq(pace_wait_us(p, greedy, now), 0);
	}
	free(p);
}

/* Who waits as it is told, and spends 3 ms each time, for ten seconds. */
static int64_t spent_in_ten_seconds(unsigned cores, int64_t piece_us)
{
	unsigned greedy, other;
	struct pace *p = pace_new(cores, &greedy, &other);
	int64_t spent = 0, wait;
	pace_begin(p, other, 0);
	for (int64_t now = 0; now < 10000000;) {
		if ((wait = pace_wait_us(p, greedy, now)) > 0) {
			now += wait;
			continue;
		}
		pace_spend(p, greedy, piece_us, now);
		spent += piece_us;
	}
	free(p);
	return spent;
}

Test(pace, a_greedy_client_gets_its_share_of_all_cores_and_no_less)
{
	static const struct {
		unsigned cores;
		int64_t piece_us;
	} rows[] = { { 1, 3000 }, { 2, 17 }, { 2, 3000 }, { 2, 60000 }, { 16, 3000 } };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t share = 10000000 / PACE_SHARE * (int64_t)rows[i].cores;
		int64_t spent = spent_in_ten_seconds(rows[i].cores, rows[i].piece_us);
		cr_expect(spent >= share * 95 / 100 && spent <= share + PACE_BURST_US + rows[i].piece_us,
			  "%u cores, %lld us each: %lld of %lld", rows[i].cores,
			  (long long)rows[i].piece_us, (long long)spent, (long long)share);
	}
}

Test(pace, what_is_said_in_advance_is_given_back)
{
	unsigned greedy, other;
	struct pace *p = pace_new(2, &greedy, &other);
	pace_begin(p, other, 0);
	for (int i = 0; i < 1000; i++) {
		pace_spend(p, greedy, 1000, 0);
		pace_spend(p, greedy, 5 - 1000, 0);
	}
	cr_assert_eq(pace_wait_us(p, greedy, 0), 0); /* 5 ms in all */
	pace_spend(p, greedy, -1000000, 0);
	pace_spend(p, greedy, PACE_BURST_US + 1, 0);
	cr_assert_gt(pace_wait_us(p, greedy, 0), 0); /* and no credit is kept */
	free(p);
}

Test(pace, the_longest_wait_is_that_of_the_most_debt)
{
	unsigned greedy, other;
	struct pace *p = pace_new(1, &greedy, &other);
	pace_begin(p, other, 0);
	pace_spend(p, greedy, INT32_MAX, 0);
	cr_assert_eq(pace_wait_us(p, greedy, 0), (PACE_DEBT_US - PACE_BURST_US) * PACE_SHARE);
	cr_assert_eq(pace_wait_us(p, greedy, INT64_MAX / 64), 0);
	free(p);
}

Test(pace, two_that_have_as_much_done_do_not_keep_each_other_waiting)
{
	unsigned greedy, other;
	struct pace *p = pace_new(2, &greedy, &other);
	unsigned third = pace_account(p, "third", 5);
	pace_begin(p, greedy, 0);
	pace_begin(p, other, 0);
	for (int i = 0; i < 1000; i++) {
		pace_spend(p, greedy, 1000, i * 1000);
		pace_spend(p, other, 1000, i * 1000);
		cr_assert_eq(pace_wait_us(p, greedy, i * 1000), 0);
		cr_assert_eq(pace_wait_us(p, other, i * 1000), 0);
	}
	pace_begin(p, third, 1000000); /* and both wait for one that has little done */
	cr_assert_gt(pace_wait_us(p, greedy, 1000000), 0);
	cr_assert_gt(pace_wait_us(p, other, 1000000), 0);
	pace_end(p, greedy, 1000000 - PACE_LINGER_US);
	cr_assert_gt(pace_wait_us(p, greedy, 1000000), 0);
	pace_end(p, third, 1000000);
	cr_assert_eq(pace_wait_us(p, other, 1000000), 0);
	free(p);
}
