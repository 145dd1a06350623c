#include "base/env.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

Test(base_env, seeded_random_repeats_whatever_the_cuts)
{
	struct random_seeded a = { .seed = { 1 } }, b = { .seed = { 1 } }, c = { .seed = { 2 } };
	struct random ra = random_seeded(&a), rb = random_seeded(&b), rc = random_seeded(&c);
	unsigned char whole[1000], cut[1000], other[1000];
	ra.fill(ra.ctx, whole, sizeof whole);
	rc.fill(rc.ctx, other, sizeof other);
	for (size_t at = 0, step = 1; at < sizeof cut; at += step, step = step * 2 % 131) {
		step = step < sizeof cut - at ? step : sizeof cut - at;
		rb.fill(rb.ctx, cut + at, step);
	}
	cr_expect_arr_eq(whole, cut, sizeof whole);
	cr_expect_arr_neq(whole, other, sizeof whole);
	cr_expect_eq(a.counter, 1000);
}

Test(base_env, seeded_random_is_the_chacha20_key_stream)
{
	/* RFC 8439, appendix A.1, test vector 1: key, nonce and counter zero. */
	static const unsigned char expected[] = { 0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90 };
	struct random_seeded state = { 0 };
	struct random r = random_seeded(&state);
	unsigned char out[8];
	r.fill(r.ctx, out, sizeof out);
	cr_expect_arr_eq(out, expected, sizeof out);
}

Test(base_env, system_has_a_clock_and_randomness)
{
	struct env env = env_system();
	unsigned char a[32] = { 0 }, b[32] = { 0 };
	env_random(&env, a, sizeof a);
	env_random(&env, b, sizeof b);
	cr_expect_arr_neq(a, b, sizeof a);
	cr_expect_gt(env_now_us(&env), 1700000000000000);
	cr_expect_gt(env_steady_us(&env), 0);
	cr_expect_leq(env_steady_us(&env), env_steady_us(&env));
	env_step(&env, "nothing.happens");
	int64_t time_us = 42;
	env.clock = clock_fixed(&time_us);
	cr_expect_eq(env_now_us(&env), 42);
	time_us++;
	cr_expect_eq(env_now_us(&env), 43);
	cr_expect_eq(env_steady_us(&env), 43);
}

Test(base_env, named_step_kills_at_its_second_arrival, .signal = SIGKILL)
{
	setenv("HALLMARK_CRASH_AT", "publish.commit:2", 1);
	struct env env = env_system();
	env_step(&env, "publish.commit");
	env_step(&env, "publish.commit.other");
	env_step(&env, "publish");
	env = env_system();
	env_step(&env, "publish.commit");
}

static const char *two_of(void *ctx, const char *name)
{
	return strcmp(name, "A") == 0 ? ctx : NULL;
}

Test(base_env, variables_are_the_systems_or_those_that_are_given)
{
	struct env env = env_system();
	setenv("HALLMARK_TEST", "here", 1);
	cr_expect_str_eq(env_variable(&env, "HALLMARK_TEST"), "here");
	cr_expect_null(env_variable(&env, "HALLMARK_NONE"));
	env.variables = (struct variables){ two_of, "given" };
	cr_expect_str_eq(env_variable(&env, "A"), "given");
	cr_expect_null(env_variable(&env, "HALLMARK_TEST"));
}

Test(base_env, named_step_spares_earlier_arrivals)
{
	setenv("HALLMARK_CRASH_AT", "publish.commit:2", 1);
	struct env env = env_system();
	env_step(&env, "publish.commit");
	env_step(&env, "publish.commit2");
	env_step(&env, "publish.rename");
}
