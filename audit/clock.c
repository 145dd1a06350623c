/* The clock. An entry is never earlier than the one before it, so a clock that once ran ahead would
 * stay in the log for ever: a jump of over a day forward is refused, unless the caller vouches for
 * the clock (clock_ok). What there is to compare it with:
 *
 *   in a running process        the steady clock, since the opening
 *   at opening, since the same  the steady clock, since the last batch (log_clock in state.db):
 *   start of the machine        a home that was not used for months is no jump
 *   at opening, else            nothing tells a jump from a pause: up to a year is taken
 *
 * Where the wall clock stood behind the last entry, it is compared with that entry. */
#include "audit/log_in.h"

#include <string.h>

#define DAY_US 86400000000
#define PAUSE_MAX_US (366 * DAY_US)

static int refuse(int64_t ahead_us, const char *what, struct err *e)
{
	return err_set(
		e, ERR_UNAVAILABLE,
		"the clock is %lld days ahead of %s: set it right, or run the command again with "
		"--clock-ok if it is right now",
		(long long)(ahead_us / DAY_US), what);
}

/* Of any two times, even of a state.db that was tampered with: at most what an int64_t holds. */
static int64_t minus(int64_t a, int64_t b)
{
	int64_t difference;

	if (__builtin_sub_overflow(a, b, &difference))
		return a < b ? INT64_MIN : INT64_MAX;
	return difference;
}

int audit_clock_check(const struct audit_log *log, struct err *e)
{
	const struct moment *m = &log->opened;
	int64_t elapsed = minus(env_steady_us(log->env), m->steady_us),
		ahead = minus(minus(env_now_us(log->env), m->now_us), elapsed);

	if (ahead <= DAY_US || log->clock_ok)
		return 0;
	return refuse(ahead, "where this process has it", e);
}

/* *last: of the last batch. 1; 0: nothing is known of it, or the machine was started since. */
static int read_last(struct audit_log *log, struct moment *last, struct err *e)
{
	const char *boot = log->env->clock.boot;
	struct store_stmt *st = NULL;
	struct store_tx *tx;
	int rc;

	TRY(store_read(log->store, &tx, e));
	TRY_OUT(store_prepare(tx, "SELECT boot, now_us, steady_us FROM log_clock WHERE id = 1", &st,
			      e));
	TRY_OUT(store_step(st, e));
	if (rc == 0)
		goto out;
	rc = boot && strcmp(store_text(st, 0), boot) == 0;
	*last = (struct moment){ store_i64(st, 1), store_i64(st, 2) };
out:
	store_finish(st);
	store_end(tx);
	return rc;
}

int audit_clock_open(struct audit_log *log, struct err *e)
{
	struct moment last = { 0 }, now = { env_now_us(log->env), env_steady_us(log->env) };
	int same = read_last(log, &last, e);

	TRY(same);
	log->opened = now;
	if (log->last_time_us == 0)
		return 0;
	if (now.now_us < log->last_time_us)
		log->opened.now_us = log->last_time_us;
	int64_t pause = minus(now.now_us, log->last_time_us),
		ahead = minus(minus(now.now_us, last.now_us),
			      minus(now.steady_us, last.steady_us));
	if (log->clock_ok)
		return 0;
	if (same && ahead > DAY_US && pause > DAY_US)
		return refuse(ahead, "where this machine had it at the log's last entry", e);
	if (!same && pause > PAUSE_MAX_US)
		return refuse(pause, "the log's last entry", e);
	return 0;
}

int audit_clock_write(struct audit_log *log, struct store_tx *tx, struct err *e)
{
	const char *boot = log->env->clock.boot;
	struct store_stmt *st;

	TRY(store_prepare(tx,
			  "INSERT INTO log_clock(id, boot, now_us, steady_us) VALUES(1, $1, $2, $3)"
			  " ON CONFLICT(id) DO UPDATE SET boot = excluded.boot,"
			  " now_us = excluded.now_us, steady_us = excluded.steady_us",
			  &st, e));
	store_bind_text(st, 1, boot ? boot : "");
	store_bind_i64(st, 2, env_now_us(log->env));
	store_bind_i64(st, 3, env_steady_us(log->env));
	return store_run(st, e);
}
