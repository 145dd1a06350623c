/* The test binary's own malloc: counts calls, can fill fresh memory with NaN and can run out of it. Not
 * under sanitizers, which bring theirs. A test room that includes this is linked with it. */
#ifndef TESTS_SHARED_COUNTING_H
#define TESTS_SHARED_COUNTING_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTING false
#else
#define COUNTING true
#endif

size_t counting_calls(void);      /* allocations so far, all threads */
size_t counting_live(void);       /* blocks not given back yet */
void counting_poison(bool on);    /* fresh memory is 0xff: NaN as any float */
void counting_fail(size_t nth);   /* the nth allocation from now fails (1: the next), and it alone; 0: none */
bool counting_failed(void);       /* it came to that since */
void *counting_exempt(size_t size); /* malloc, for libraries that do not stand running out: not counted */
void counting_release(void *p);     /* its free */

#endif
