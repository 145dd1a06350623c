#include "audit/log_in.h"

const struct audit_measures *audit_log_measures(const struct audit_log *log)
{
	return &log->measures;
}

void audit_log_load(struct audit_log *log, struct audit_load *out)
{
	*out = (struct audit_load){ .home = log->home };
	pthread_mutex_lock(&log->lock);
	out->size = log->size;
	out->waiting = log->queued + log->in_hand + log->flights.records;
	out->failed = log->failed;
	if (log->failed)
		out->why = log->failure;
	pthread_mutex_unlock(&log->lock);
}
