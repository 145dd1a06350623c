/* Private: a few threads that run one function together, again and again. Workers spin briefly for the next call, then
 * sleep. One caller at a time. */
#ifndef ENGINE_POOL_H
#define ENGINE_POOL_H

#include "base/err.h"

#include <stdint.h>

struct pool;

/* threads >= 1, the caller's included. */
int pool_open(struct pool **out, unsigned threads, struct err *e) MUST_USE;
void pool_close(struct pool *p); /* NULL is fine */
unsigned pool_threads(const struct pool *p);

/* work(ctx, worker, threads) on every thread, 0 on the caller's; returns when all have. What the caller wrote before is
 * seen by all, what they wrote is seen by the caller after. */
void pool_run(struct pool *p, void (*work)(void *ctx, unsigned worker, unsigned threads), void *ctx);

/* The share of worker in [0, n): fixed partition. */
static inline uint32_t pool_begin(uint32_t n, unsigned worker, unsigned threads)
{
	return (uint32_t)((uint64_t)n * worker / threads);
}

#endif
