/* After a storage fault.
 *
 * A failed write or fsync may have left anything on the disk, and in memory more than that, so
 * nothing more is taken: what was not acknowledged may be in the log or not. The log is then opened
 * again inside the process, from the disk: databases reopened, head, signed checkpoints, edge and
 * later rows compared and published, as at any opening. That is tried when somebody asks for the
 * log, at first after 0.1 s, then after twice as long each time, at most a minute. A state that
 * contradicts itself ends the tries. */
#include "audit/log_in.h"

#include "base/file.h"

#define RETRY_FIRST_US 100000
#define RETRY_MAX_US 60000000

void audit_log_fail(struct audit_log *log, const struct err *why)
{
	if (log->failed)
		return;
	log->failed = true;
	measure_add(&log->measures.faults, 1);
	log->failure = *why;
	log->retry_after_us = RETRY_FIRST_US;
	log->retry_us = env_steady_us(log->env) + RETRY_FIRST_US;
}

int audit_log_refuse(const struct audit_log *log, struct err *e)
{
	return err_set(e, ERR_UNAVAILABLE, "the log takes nothing after a storage fault%s: %.400s",
		       log->broken ? ", and does not open again" : "", log->failure.text);
}

/* What recovery counts on is empty again. */
static void forget(struct audit_log *log)
{
	audit_edge_close(log->edge);
	audit_edge_close(log->ahead);
	log->merkle = (struct merkle){ .count = 0 };
}

/* What the journal holds is durable, and taken from there: all that was acknowledged. A frame that
 * failed is none first. */
static int replay(struct audit_log *log, struct err *e)
{
	TRY(audit_journal_cancel(&log->journal, e));
	audit_journal_close(&log->journal);
	pthread_mutex_lock(&log->lock);
	audit_behind_forget(log);
	pthread_mutex_unlock(&log->lock);
	return audit_replay(log, e);
}

/* What was acknowledged before is there, or this is not the disk that it was. */
static int check_size(struct audit_log *log, uint64_t before, struct err *e)
{
	pthread_mutex_lock(&log->lock);
	uint64_t now = log->size;
	pthread_mutex_unlock(&log->lock);
	if (now >= before)
		return 0;
	return err_set(e, ERR_VERIFY, "%llu entries were acknowledged, and the disk has %llu",
		       (unsigned long long)before, (unsigned long long)now);
}

static int reopen(struct audit_log *log, struct err *e)
{
	char path[LIMIT_PATH_BYTES];
	uint64_t size = log->size;

	TRY(store_reopen(log->store, e));
	TRY(store_reopen(log->keys, e));
	TRY(file_join(path, log->dir, TILE_STAGING, e));
	TRY(file_remove_tree(path, e));
	TRY(file_make_dirs(path, 0755, e));
	TRY(replay(log, e));
	forget(log);
	TRY(audit_log_bring_up(log, e));
	TRY(check_size(log, size, e));
	TRY(audit_workers_itself(log, e));
	return audit_vault_recover(log, e);
}

void audit_log_retry(struct audit_log *log)
{
	struct err e = { 0 };

	if (!log->failed || log->broken || log->leading || log->settling || log->behind.busy ||
	    log->flights.first || env_steady_us(log->env) < log->retry_us)
		return;
	log->leading = true;
	pthread_mutex_unlock(&log->lock);
	int rc = reopen(log, &e);
	pthread_mutex_lock(&log->lock);
	log->leading = false;
	log->failed = rc < 0;
	if (rc < 0) {
		log->broken = rc == ERR_VERIFY;
		log->failure = e;
		log->retry_after_us = log->retry_after_us * 2 < RETRY_MAX_US
					      ? log->retry_after_us * 2
					      : RETRY_MAX_US;
		log->retry_us = env_steady_us(log->env) + log->retry_after_us;
	}
	audit_log_wake(log);
}
