#include "engine/pool.h"

#include "base/check.h"
#include "base/limits.h"
#include "kernels/number.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <x86intrin.h>

#define CLOSED UINT32_MAX /* low half of a ticket between two calls */
#define SPIN_TICKS 500000u /* some 200 us: longer than the pause between two stages of a pass */

/* The ticket holds the number of the call (high half) and the next part (low half). Who takes a
 * part with a compare and swap knows that the call is still going on, and so that work, ctx and
 * parts are those of this call. */
struct pool {
	unsigned threads, started;
	_Atomic(void (*)(void *ctx, struct part part)) work;
	_Atomic(void *) ctx;
	atomic_uint parts;
	_Atomic uint64_t ticket;
	atomic_uint done; /* parts finished in this call */
	atomic_bool ending;
	pthread_mutex_t lock; /* for sleeping only */
	pthread_cond_t wake, finished;
	pthread_t thread[LIMIT_THREADS];
	struct seat {
		struct pool *pool;
		unsigned worker;
		int core; /* that it stays on; -1: any */
	} seat[LIMIT_THREADS];
	int first_core; /* of the caller, while in a pass */
};

static uint32_t call_of(uint64_t ticket) { return (uint32_t)(ticket >> 32); }

/* Work off parts of call `call` until none is left to take. */
static void take_parts(struct pool *p, uint32_t call, unsigned worker)
{
	uint64_t ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
	for (;;) {
		uint32_t index = (uint32_t)ticket,
			 parts = atomic_load_explicit(&p->parts, memory_order_relaxed);
		void (*work)(void *, struct part) =
			atomic_load_explicit(&p->work, memory_order_relaxed);
		void *ctx = atomic_load_explicit(&p->ctx, memory_order_relaxed);
		if (call_of(ticket) != call || index >= parts)
			return;
		if (!atomic_compare_exchange_weak_explicit(&p->ticket, &ticket, ticket + 1,
							   memory_order_acq_rel,
							   memory_order_acquire))
			continue;
		work(ctx, (struct part){ index, parts, worker });
		if (atomic_fetch_add_explicit(&p->done, 1, memory_order_acq_rel) + 1 == parts &&
		    worker != 0) {
			pthread_mutex_lock(&p->lock);
			pthread_cond_signal(&p->finished);
			pthread_mutex_unlock(&p->lock);
		}
		ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
	}
}

static uint32_t next_call(struct pool *p, uint32_t seen)
{
	uint32_t call = seen;
	uint64_t begin = __rdtsc();
	while (call == seen && __rdtsc() - begin < SPIN_TICKS) {
		_mm_pause();
		call = call_of(atomic_load_explicit(&p->ticket, memory_order_acquire));
	}
	if (call != seen)
		return call;
	pthread_mutex_lock(&p->lock);
	while ((call = call_of(atomic_load_explicit(&p->ticket, memory_order_acquire))) == seen)
		pthread_cond_wait(&p->wake, &p->lock);
	pthread_mutex_unlock(&p->lock);
	return call;
}

static void stay_on(int core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)core, &set);
	(void)sched_setaffinity(0, sizeof set, &set); /* speed only */
}

static void *worker_main(void *arg)
{
	struct seat *seat = arg;
	struct pool *p = seat->pool;
	uint32_t call = 0;
	if (seat->core >= 0)
		stay_on(seat->core);
	number_mode_enter();
	for (;;) {
		call = next_call(p, call);
		if (atomic_load(&p->ending))
			return NULL;
		take_parts(p, call, seat->worker);
	}
}

static uint32_t announce(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	uint32_t call = call_of(atomic_load_explicit(&p->ticket, memory_order_relaxed)) + 1;
	atomic_store_explicit(&p->ticket, (uint64_t)call << 32, memory_order_release);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	return call;
}

void pool_run(struct pool *p, uint32_t parts, void (*work)(void *ctx, struct part part), void *ctx)
{
	if (p->threads == 1 || parts <= 1) {
		for (uint32_t i = 0; i < parts; i++)
			work(ctx, (struct part){ i, parts, 0 });
		return;
	}
	/* A late worker may still mix these with the old ticket: closing that first makes its
	 * compare and swap fail. */
	uint32_t former = call_of(atomic_load_explicit(&p->ticket, memory_order_relaxed));
	atomic_exchange_explicit(&p->ticket, (uint64_t)former << 32 | CLOSED, memory_order_acq_rel);
	atomic_store_explicit(&p->done, 0, memory_order_relaxed);
	atomic_store_explicit(&p->work, work, memory_order_relaxed);
	atomic_store_explicit(&p->ctx, ctx, memory_order_relaxed);
	atomic_store_explicit(&p->parts, parts, memory_order_relaxed);
	take_parts(p, announce(p), 0);
	uint64_t begin = __rdtsc();
	while (atomic_load_explicit(&p->done, memory_order_acquire) != parts &&
	       __rdtsc() - begin < SPIN_TICKS)
		_mm_pause();
	if (atomic_load_explicit(&p->done, memory_order_acquire) == parts)
		return;
	pthread_mutex_lock(&p->lock);
	while (atomic_load_explicit(&p->done, memory_order_acquire) != parts)
		pthread_cond_wait(&p->finished, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

/* A core for each thread, if there is exactly one for each: with fewer threads than cores the
 * system knows better which are free. */
static void cores_give(struct pool *p)
{
	cpu_set_t set;
	unsigned worker = 0;
	bool known = sched_getaffinity(0, sizeof set, &set) == 0;
	bool all = p->threads > 1 && known && (unsigned)CPU_COUNT(&set) == p->threads;
	for (int core = 0; all && core < CPU_SETSIZE && worker < p->threads; core++) {
		if (CPU_ISSET((size_t)core, &set))
			p->seat[worker++].core = core;
	}
	while (worker < p->threads)
		p->seat[worker++].core = -1;
	p->first_core = p->seat[0].core;
}

void pool_enter(struct pool *p, struct pool_caller *former)
{
	former->moved = p->first_core >= 0 &&
			sched_getaffinity(0, sizeof former->cores, &former->cores) == 0;
	if (former->moved)
		stay_on(p->first_core);
}

void pool_leave(const struct pool_caller *former)
{
	if (former->moved)
		(void)sched_setaffinity(0, sizeof former->cores, &former->cores);
}

int pool_open(struct pool **out, unsigned threads, struct err *e)
{
	struct pool *p = calloc(1, sizeof *p);
	*out = NULL;
	check(threads >= 1 && threads <= LIMIT_THREADS);
	if (p == NULL)
		return err_set(e, ERR_NOMEM, "threads");
	p->threads = threads;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->finished, NULL);
	cores_give(p);
	for (unsigned i = 1; i < threads; i++) {
		p->seat[i].pool = p;
		p->seat[i].worker = i;
		if (pthread_create(&p->thread[i], NULL, worker_main, &p->seat[i]) != 0) {
			pool_close(p);
			return err_set(e, ERR_UNAVAILABLE, "cannot start thread %u of %u", i + 1,
				       threads);
		}
		p->started = i;
	}
	*out = p;
	return 0;
}

void pool_close(struct pool *p)
{
	if (p == NULL)
		return;
	atomic_store(&p->ending, true);
	atomic_store(&p->parts, 0); /* nothing to take */
	announce(p);
	for (unsigned i = 1; i <= p->started; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->wake);
	pthread_cond_destroy(&p->finished);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

unsigned pool_threads(const struct pool *p) { return p->threads; }
