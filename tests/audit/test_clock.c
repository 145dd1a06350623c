/* A clock that jumps ahead is refused: once in the log, it would stay there. */
#include "support.h"

#include <criterion/criterion.h>
#include <string.h>

#define DAY ((int64_t)86400 * 1000000)

static struct place at;
static int64_t wall, steady;
static bool trusted;

static int64_t read_wall(void *ctx)
{
	(void)ctx;
	return wall;
}

static int64_t read_steady(void *ctx)
{
	(void)ctx;
	return steady;
}

static void set_up(void)
{
	place_make(&at);
	wall = 1795312345000000;
	steady = 5 * DAY;
	trusted = false;
	at.env.clock = (struct clock){ read_wall, read_steady, NULL, "the first start" };
	place_open(&at);
	place_note(&at, "before");
	place_close(&at);
}

static void tear_down(void) { place_remove(&at); }

TestSuite(audit_clock, .init = set_up, .fini = tear_down, .timeout = 60);

static void pass(int64_t wall_us, int64_t steady_us)
{
	wall += wall_us;
	steady += steady_us;
}

/* The machine starts again: its steady clock too. */
static void start_again(void)
{
	at.env.clock.boot = "another start";
	steady = 1000;
}

static int try_open(void)
{
	struct err e = { 0 };
	struct audit_options o;

	place_stores(&at);
	o = place_options(&at);
	o.clock_ok = trusted;
	int rc = audit_log_open(&at.log_open, &o, &e);
	cr_expect(rc == 0 || strstr(e.text, "--clock-ok"), "%s", e.text);
	if (rc < 0)
		place_close(&at);
	return rc;
}

static int try_note(void)
{
	json_t *body = json_pack("{s:s}", "text", "x");
	struct audit_record r = { .type = "registry", .n = AUDIT_NEXT, .body = body };
	struct audit_receipt receipt;
	int rc = audit_log_append(at.log_open, &r, &receipt, NULL);

	json_decref(body);
	return rc;
}

/* ---- while a process runs ---- */

Test(audit_clock, jump_in_a_running_process_is_refused_until_it_is_set_right)
{
	struct err e = { 0 };

	cr_assert_eq(try_open(), 0);
	pass(40 * DAY, 40 * DAY); /* it ran that long */
	cr_expect_eq(try_note(), 0);
	pass(DAY + 1000, 0);
	cr_expect_eq(audit_log_ready(at.log_open, &e), ERR_UNAVAILABLE);
	cr_expect(strstr(e.text, "--clock-ok"), "%s", e.text);
	cr_expect_eq(try_note(), ERR_UNAVAILABLE);
	pass(-DAY, 0);
	cr_expect_eq(audit_log_ready(at.log_open, &e), 0, "%s", e.text);
	cr_expect_eq(try_note(), 0);
	pass(DAY / 2, 0); /* a correction is no jump */
	cr_expect_eq(try_note(), 0);
}

Test(audit_clock, small_jumps_do_not_add_up_to_a_large_one)
{
	int refused = 0;

	cr_assert_eq(try_open(), 0);
	for (int i = 0; i < 4; i++) {
		pass(DAY / 2, 0);
		refused += try_note() < 0;
	}
	cr_expect_eq(refused, 2);
}

Test(audit_clock, jump_is_taken_where_the_caller_vouches_for_it)
{
	trusted = true;
	cr_assert_eq(try_open(), 0);
	pass(900 * DAY, 0);
	cr_expect_eq(audit_log_ready(at.log_open, NULL), 0);
	cr_expect_eq(try_note(), 0);
	place_expect_clean(&at);
}

Test(audit_clock, clock_that_was_behind_the_log_may_come_right)
{
	pass(-9000 * DAY, 0); /* a machine without a battery */
	cr_assert_eq(try_open(), 0);
	cr_expect_eq(try_note(), 0);
	pass(9000 * DAY + 60, 60);
	cr_expect_eq(try_note(), 0);
}

/* ---- at opening ---- */

Test(audit_clock, opening_after_months_is_no_jump)
{
	pass(200 * DAY, 200 * DAY); /* the machine ran */
	cr_expect_eq(try_open(), 0);
	cr_expect_eq(try_note(), 0);
	place_close(&at);
	pass(200 * DAY, 0); /* it did not */
	start_again();
	cr_expect_eq(try_open(), 0);
}

Test(audit_clock, opening_after_a_jump_is_refused_where_anything_tells_it)
{
	struct buf before = { 0 }, after = { 0 };

	place_read(&at, "log/checkpoint", &before);
	pass(2 * DAY, 1000);
	cr_expect_eq(try_open(), ERR_UNAVAILABLE);
	pass(-2 * DAY, 0);
	cr_expect_eq(try_open(), 0);
	place_close(&at);
	pass(400 * DAY, 0);
	start_again();
	cr_expect_eq(try_open(), ERR_UNAVAILABLE, "over a year");
	place_read(&at, "log/checkpoint", &after);
	cr_expect(before.len == after.len && memcmp(before.bytes, after.bytes, after.len) == 0);
	trusted = true;
	cr_expect_eq(try_open(), 0);
	cr_expect_eq(try_note(), 0);
	place_close(&at);
	trusted = false;
	cr_expect_eq(try_open(), 0, "once is enough");
	cr_expect_eq(try_note(), 0);
	buf_free(&before);
	buf_free(&after);
}

/* A difference too large for 64 bits is the largest, and not one of the other sign. */
Test(audit_clock, times_that_no_clock_shows_are_compared_all_the_same)
{
	static const char *const wrong[] = {
		"UPDATE log_clock SET now_us = -9223372036854775807",
		"UPDATE log_clock SET steady_us = 9223372036854775807, now_us = 0",
		"UPDATE log_clock SET now_us = -9223372036854775807, steady_us = 9223372036854775807",
	};

	pass(2 * DAY, 2 * DAY);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		place_stores(&at);
		place_sql(at.store, wrong[i]);
		place_close(&at);
		cr_expect_eq(try_open(), ERR_UNAVAILABLE, "%s", wrong[i]);
	}
	place_stores(&at);
	place_sql(at.store, "UPDATE log_clock SET now_us = 9223372036854775807,"
			    " steady_us = -9223372036854775807");
	place_close(&at);
	cr_expect_eq(try_open(), 0);
}

Test(audit_clock, reading_needs_no_clock)
{
	struct audit_log *log;

	pass(4000 * DAY, 0);
	place_stores(&at);
	struct audit_options o = place_options(&at);
	o.read_only = true;
	cr_assert_eq(audit_log_open(&log, &o, NULL), 0);
	audit_log_close(log);
}
