/* The test binary's own malloc: counts calls and can fill fresh memory with NaN. Not under sanitizers,
 * which bring theirs. */
#ifndef TESTS_ENGINE_COUNTING_H
#define TESTS_ENGINE_COUNTING_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTING false
#else
#define COUNTING true
#endif

size_t counting_calls(void);      /* allocations so far, all threads */
void counting_poison(bool on);    /* fresh memory is 0xff: NaN as any float */

#endif
