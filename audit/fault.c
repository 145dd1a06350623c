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
	log->merkle = (struct merkle){ .count = 0 };
}

static int reopen(struct audit_log *log, struct err *e)
{
	char path[LIMIT_PATH_BYTES];

	TRY(store_reopen(log->store, e));
	TRY(store_reopen(log->keys, e));
	TRY(file_join(path, log->dir, TILE_STAGING, e));
	TRY(file_remove_tree(path, e));
	TRY(file_make_dirs(path, 0755, e));
	forget(log);
	TRY(audit_log_bring_up(log, e));
	TRY(audit_workers_itself(log, e));
	return audit_vault_recover(log, e);
}

void audit_log_retry(struct audit_log *log)
{
	struct err e = { 0 };

	if (!log->failed || log->broken || log->leading || log->settling ||
	    env_steady_us(log->env) < log->retry_us)
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
