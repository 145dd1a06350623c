/* Out of memory at any allocation: an error that says so, or, where the memory was only for speed, the
 * same answer; nothing kept. */
#ifndef TESTS_SHARED_PRESS_H
#define TESTS_SHARED_PRESS_H

#include "base/buf.h"
#include "base/err.h"

struct work {
	int (*run)(const struct work *w, struct err *e); /* all of it, and gives back what it took */
	const void *text;
	size_t len;
	const void *more;
};

extern struct buf press_answer; /* what the work says goes here; has room for all of it */

/* Fail each allocation of the work in turn. */
void press(const char *what, const struct work *w);

#endif
