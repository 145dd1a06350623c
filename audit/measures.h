/* What the log counts of its own work, and how it stands. */
#ifndef AUDIT_MEASURES_H
#define AUDIT_MEASURES_H

#include "base/err.h"
#include "base/measure.h"

struct audit_log;

struct audit_measures {
	struct measure_histogram append;    /* microseconds, measure_waits: until it is durable */
	struct measure_histogram batch;     /* records made durable together, measure_batches */
	struct measure_counter refused;     /* appends that failed or were not taken */
	struct measure_counter faults;      /* after which the log took nothing more */
	struct measure_gauge checkpoint_us; /* since 1970, of the newest in the folder; 0: none yet
					     * by this process */
};

/* Borrowed for the log's life. */
const struct audit_measures *audit_log_measures(const struct audit_log *log);

struct audit_load {
	const char *home; /* the state folder; borrowed */
	uint64_t size;    /* entries under the published checkpoint */
	uint64_t waiting; /* appends that are not durable yet */
	bool failed;      /* it takes nothing after a storage fault, */
	struct err why;   /* of this kind */
};
/* How it stands, without trying to mend it. Any thread. */
void audit_log_load(struct audit_log *log, struct audit_load *out);

#endif
