/* A few threads that work off the parts of one call together, again and again. Each has a
 * lane of its own: neighbouring parts, so that what it reads follows on, and what it wrote in one
 * call is near in the next. It takes most of what is left there, again and again; when its lane is
 * empty it takes from the ends of the others', so a worker that the system has put aside delays
 * nobody who has not begun its part. Workers spin briefly for the next call, then sleep. One caller
 * at a time. */
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
unsigned pool_threads(const struct pool *p);

/* Threads have a core each where the pool has as many as the machine; the caller is kept on its own
 * from enter to leave, so that no worker shares it. */
struct pool_caller {
	bool moved;
	cpu_set_t cores;
};
void pool_enter(struct pool *p, struct pool_caller *former);
void pool_leave(const struct pool_caller *former);

/* work(ctx, part) for parts 0..parts-1, each once; returns when all are done. What the caller wrote
 * before is seen by all, what they wrote is seen by the caller after. In order: parts are taken one
 * by one, ascending, by whoever is free. parts < 2^31. */
void pool_run(struct pool *p, uint32_t parts, void (*work)(void *ctx, struct part part), void *ctx);
void pool_run_in_order(struct pool *p, uint32_t parts, void (*work)(void *ctx, struct part part),
		       void *ctx);

#endif
