/* Flow: what there is to know of a state folder without opening it. */
#ifndef FLOW_HEALTH_H
#define FLOW_HEALTH_H

#include "base/limits.h"
#include "flow/flow.h"

/* Where it is, or would be made: as flow_open. */
int flow_home_find(const struct env *env, const char *given, char out[LIMIT_PATH_BYTES],
		   struct err *e) MUST_USE;

#define FLOW_WHO_ROOM 160
/* Whether a process writes to it now, and who: "`hallmark serve` (process 1234)". */
bool flow_home_holder(const char *home, char who[FLOW_WHO_ROOM]);

/* How fast its log grows: entries, how many of them are at most `window_us` old, and when the last
 * one was made (microseconds since 1970, 0 where there is none). */
struct flow_growth {
	uint64_t entries, recent;
	int64_t last_us;
};
int flow_growth(struct flow *f, int64_t window_us, struct flow_growth *out, struct err *e) MUST_USE;
/* Bytes of log and databases on disk. ERR_INPUT: over LIMIT_FILES. */
int flow_home_bytes(const char *home, uint64_t *out, struct err *e) MUST_USE;

#endif
