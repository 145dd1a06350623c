#include "access/bucket.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define MINUTE 60000000

static uint64_t drawn(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return *state >> 33;
}

/* However the asking is spread, of every stretch of T minutes at most rate * (1 + T) is given. */
Test(access_bucket, never_gives_more_than_is_allowed)
{
	static const uint64_t rates[] = { 1, 2, 7, 60, 1000, 999983 };
	static int64_t given[200000];
	for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
		struct access_bucket b = { 0 };
		uint64_t state = r + 1;
		int64_t now = 12345;
		size_t n = 0;
		for (int i = 0; i < 40000 && n < 200000; i++) {
			uint64_t pause = drawn(&state) % 4;
			now += pause == 0 ? 0 : (int64_t)(drawn(&state) % (pause == 1 ? 1000 : 3000000));
			if (access_bucket_take(&b, rates[r], now) == 0)
				given[n++] = now;
		}
		for (size_t i = 0, k = 0; i < n; i++) { /* of the stretches that end at i, those of a minute */
			while (given[i] - given[k] > MINUTE)
				k++;
			cr_assert(i - k + 1 <= 2 * rates[r], "%llu a minute gave %zu", (unsigned long long)rates[r],
				  i - k + 1);
		}
		uint64_t most = rates[r] + rates[r] * (uint64_t)(now - 12345) / MINUTE + 1;
		cr_expect(n <= most, "%llu a minute gave %zu of %llu", (unsigned long long)rates[r], n,
			  (unsigned long long)most);
	}
}

Test(access_bucket, the_wait_that_it_names_is_enough_and_no_longer_than_needed)
{
	for (uint64_t rate = 1; rate <= 1000000000; rate *= 9) {
		struct access_bucket b = { 0 };
		int64_t now = 1;
		access_bucket_owe(&b, rate, rate, now);
		uint64_t wait = access_bucket_take(&b, rate, now);
		cr_assert(wait > 0, "%llu", (unsigned long long)rate);
		cr_expect(access_bucket_take(&b, rate, now + (int64_t)wait - 1) > 0, "%llu", (unsigned long long)rate);
		cr_expect_eq(access_bucket_take(&b, rate, now + (int64_t)wait), 0, "%llu", (unsigned long long)rate);
	}
}

Test(access_bucket, what_came_of_a_request_may_leave_a_debt_that_time_pays)
{
	struct access_bucket b = { 0 };
	uint64_t full_us;
	cr_expect_eq(access_bucket_wait_us(&b, 100, 5), 0);
	access_bucket_owe(&b, 100, 250, 5);
	cr_expect_eq(access_bucket_left(&b, 100, 5, &full_us), 0);
	cr_expect_eq(full_us, 5 * MINUTE / 2);
	uint64_t wait = access_bucket_wait_us(&b, 100, 5);
	cr_expect(wait > 3 * MINUTE / 2 && wait <= 3 * MINUTE / 2 + 1, "%llu", (unsigned long long)wait);
	cr_expect_eq(access_bucket_wait_us(&b, 100, 5 + (int64_t)wait), 0);
}

Test(access_bucket, numbers_without_measure_stay_in_bounds)
{
	struct access_bucket b = { 0 };
	access_bucket_owe(&b, 1000000000, UINT64_MAX, 1);
	for (int i = 0; i < 100; i++)
		access_bucket_owe(&b, 1000000000, UINT64_MAX / 2, 2);
	uint64_t wait = access_bucket_take(&b, 1000000000, 3);
	cr_expect(wait > 59ull * MINUTE && wait < 62ull * MINUTE, "an hour is owed at most: %llu",
		  (unsigned long long)wait);
	cr_expect_eq(access_bucket_take(&b, 1000000000, INT64_MAX / 2), 0);
}

Test(access_bucket, a_clock_that_stands_or_turns_back_fills_nothing)
{
	struct access_bucket b = { 0 };
	cr_expect_eq(access_bucket_take(&b, 1, 1000), 0);
	for (int i = 0; i < 100; i++)
		cr_expect(access_bucket_take(&b, 1, i % 2 ? 1000 : 10) > 0);
}
