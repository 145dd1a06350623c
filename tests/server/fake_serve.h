/* A stand-in for the serving part of flow: the request's words say what it does ("pieces=3
 * pause=20"). */
#ifndef TESTS_SERVER_FAKE_SERVE_H
#define TESTS_SERVER_FAKE_SERVE_H

#include <stdatomic.h>

struct fake_counts {
	atomic_int opened, ended, aborted, drained;
	atomic_int cut, reloads;
	atomic_int bad_policy, changed; /* set by a test: reloads are refused; a file has changed */
	atomic_int unready; /* set by a test: nothing can be answered */
};
extern struct fake_counts fake_counts;
/* Whose places the last chat took: until the next call. */
const char *fake_share(void);

#endif
