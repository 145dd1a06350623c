/* A thread pool with work stealing, for many short calls. The parts of a call are divided into a
 * lane of neighbouring parts for each thread, so that a thread reads memory in sequence and finds
 * in the next call what it wrote in this one. A thread repeatedly takes most of what is left in its
 * lane; when that is empty it steals from the ends of the others', so that a descheduled worker
 * delays only the parts it has begun. Workers spin briefly for the next call, then sleep. One
 * caller at a time. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/err.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

struct pool;

/* Parts [begin, end) of the call's `count`; worker < pool_threads names scratch memory that nobody
 * else uses at the same time. */
struct part {
	uint32_t begin, end, count;
	unsigned worker;
};

/* The first of n items that belongs to part i, if the parts share them evenly. */
static inline uint32_t part_item(const struct part *part, uint32_t i, uint32_t n)
{
	return (uint32_t)((uint64_t)n * i / part->count);
}

/* threads >= 1, the caller's included. start: what each new thread does first (set its rounding
 * mode, say); NULL: nothing. */
int pool_open(struct pool **out, unsigned threads, void (*start)(void), struct err *e) MUST_USE;
void pool_close(struct pool *p); /* NULL is fine */
unsigned pool_threads(const struct pool *p); /* NULL: 1, the caller */

/* Only one caller runs parts at a time. Several that share a pool hold it meanwhile, in the order
 * in which they came; NULL is fine. */
void pool_hold(struct pool *p);
void pool_release(struct pool *p);

/* Between the two the calling thread computes something else for long. Pools leave it a core: a
 * call has so many threads fewer, one at least. A thread that takes the core of one in the middle
 * of its part keeps it until the system's next tick (1 to 10 ms), and the whole call waits. */
void pool_beside_begin(void);
void pool_beside_end(void);

/* Where the pool has as many threads as the machine has cores, each thread is bound to a core; the
 * caller is bound to its own from enter to leave, so that no worker shares it. */
struct pool_caller {
	bool moved;
	cpu_set_t cores;
};
void pool_enter(struct pool *p, struct pool_caller *former);
void pool_leave(const struct pool_caller *former);

/* Call work(ctx, part) for parts 0..parts-1, each once, and return when all are done. Memory is
 * synchronised both ways: workers see what the caller wrote before, the caller sees what they
 * wrote. pool_run_in_order: free threads take parts one by one, ascending; p NULL: the caller takes
 * all of them. parts < 2^31. */
void pool_run(struct pool *p, uint32_t parts, void (*work)(void *ctx, struct part part), void *ctx);
void pool_run_in_order(struct pool *p, uint32_t parts, void (*work)(void *ctx, struct part part),
		       void *ctx);

#endif
