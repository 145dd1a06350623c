/* Work beside: what a client's request needs that takes long, and for which no other client is to
 * wait: reading, rendering, encoding, compiling, masks. A few threads of lower priority do it, and
 * the passes leave each that works a core (base/pool.h): where the two share one, they take turns
 * by the system's ticks, and a pass waits for one whenever its thread was in the middle of a part.
 *
 * Clients are queued, not jobs: whose jobs took least time of late is next, and a client has at
 * most half of the threads, one at least. So many jobs of one client, or long ones, cost another's
 * at most the rest of one job. */
#ifndef BASE_ASIDE_H
#define BASE_ASIDE_H

#include "base/err.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct aside;

/* One piece of work; zeroed before its first use, and used again after it has run. work, arg and
 * client are set by whoever runs it, and borrowed until it has. */
struct aside_job {
	void (*work)(void *arg);
	void *arg;
	const char *client; /* whose; NULL: "" */
	int64_t wait_us;    /* it is not begun after so long; 0: it waits as long as it must */
	int64_t cpu_us;   /* processor time that threads beside spent on it, summed; after it ran */
	atomic_bool stop; /* set by aside_cancel: the work may look at it, and end early */

	/* Private. */
	_Atomic(struct aside *) in;
	struct aside_job *next;
	struct aside_client *of;
	int state;
	pthread_cond_t *ended;
};

/* threads 0: half of the machine's cores, from 2 to 8. They are started as they are needed.
 * start: what each does first (set its rounding mode, say); NULL: nothing. */
int aside_open(struct aside **out, unsigned threads, void (*start)(void), struct err *e) MUST_USE;
void aside_close(struct aside *a); /* no job is left; NULL is fine */

/* Have the work done, and wait for that. False: it was cancelled, or wait_us had passed, before it
 * began. */
bool aside_run(struct aside *a, struct aside_job *job) MUST_USE;
/* From another thread, at any time while the job's memory is there: the one that waits goes on at
 * once if the work has not begun; else the work is told. Stays so: a job that is run afterwards is
 * cancelled from the start. */
void aside_cancel(struct aside_job *job);

#endif
