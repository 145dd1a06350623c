/* Progress bar on stderr: only on a terminal, not with NO_COLOR or TERM=dumb; silent otherwise. */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *label; /* borrowed */
	uint64_t total, done;
	int64_t started_us, shown_us;
	bool on;
};

/* quiet forces silence. total in bytes. */
void progress_start(struct progress *p, const char *label, uint64_t total, bool quiet);
void progress_add(struct progress *p,
		  uint64_t bytes); /* redraws at most ten times a second, with GB/s and
				     the time that is left */
void progress_end(struct progress *p);

#endif
