#include "base/pool.h"

#include "base/check.h"
#include "base/limits.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#define SPIN_TICKS 500000u /* some 200 us: longer than the pause between two stages of a pass */

/* Parts not yet taken: the first in the high half, the end in the low half. A thread that takes
 * some by compare-and-swap keeps the call from ending, so that work, ctx and parts which it then
 * reads belong to that call. */
struct lane {
	_Alignas(64) _Atomic uint64_t left;
};

struct pool {
	unsigned threads, started;
	_Atomic(void (*)(void *ctx, struct part part)) work;
	_Atomic(void *) ctx;
	atomic_uint parts;
	struct lane lane[LIMIT_THREADS + 1]; /* one a thread; the last is shared, for calls in order */
	_Alignas(64) atomic_uint call;       /* number of the current call, which workers wait for */
	atomic_uint active;                  /* threads of it: the caller and the first workers */
	_Alignas(64) atomic_uint done;       /* parts finished in this call */
	atomic_uint sleeping;                /* workers asleep, to be woken */
	atomic_bool waiting;                 /* the caller does */
	atomic_bool ending;
	pthread_mutex_t lock; /* for sleeping only */
	pthread_cond_t wake, finished, more; /* more: threads are active again */
	pthread_t thread[LIMIT_THREADS];
	struct seat {
		struct pool *pool;
		unsigned worker;
		int core; /* that it stays on; -1: any */
	} seat[LIMIT_THREADS];
	pthread_mutex_t turn_lock; /* of the next two: callers by the order of their coming */
	pthread_cond_t turn_ends;
	uint64_t turn_next, turn_now;
	int first_core; /* of the caller, while in a pass */
	void (*start)(void);
};

/* Threads of this process that compute beside all pools: cores are the machine's. */
static atomic_uint beside;

void pool_beside_begin(void) { atomic_fetch_add(&beside, 1); }
void pool_beside_end(void) { atomic_fetch_sub(&beside, 1); }

enum end { FRONT, BACK };

/* Most of what is left in a lane, or one part. */
static bool take(struct lane *lane, enum end end, bool one, struct part *part)
{
	uint64_t left = atomic_load_explicit(&lane->left, memory_order_relaxed), rest;
	do {
		uint32_t from = (uint32_t)(left >> 32), to = (uint32_t)left;
		if (from >= to)
			return false;
		uint32_t n = one ? 1 : to - from - (to - from) / 4;
		part->begin = end == FRONT ? from : to - n;
		part->end = part->begin + n;
		rest = end == FRONT ? (uint64_t)part->end << 32 | to
				    : (uint64_t)from << 32 | part->begin;
	} while (!atomic_compare_exchange_weak_explicit(&lane->left, &left, rest,
							memory_order_acq_rel,
							memory_order_relaxed));
	return true;
}

static bool take_any(struct pool *p, unsigned worker, struct part *part)
{
	if (take(&p->lane[worker], FRONT, false, part))
		return true;
	for (unsigned i = 1; i < p->threads; i++) {
		if (take(&p->lane[(worker + i) % p->threads], BACK, false, part))
			return true;
	}
	return take(&p->lane[LIMIT_THREADS], FRONT, true, part);
}

/* Take and run parts until no lane has any left. */
static void take_parts(struct pool *p, unsigned worker)
{
	struct part part = { .worker = worker };
	uint32_t mine = 0;
	while (take_any(p, worker, &part)) {
		void (*work)(void *, struct part) =
			atomic_load_explicit(&p->work, memory_order_relaxed);
		part.count = atomic_load_explicit(&p->parts, memory_order_relaxed);
		work(atomic_load_explicit(&p->ctx, memory_order_relaxed), part);
		mine += part.end - part.begin;
	}
	if (mine == 0)
		return;
	uint32_t parts = atomic_load_explicit(&p->parts, memory_order_relaxed);
	if (atomic_fetch_add(&p->done, mine) + mine == parts && atomic_load(&p->waiting)) {
		pthread_mutex_lock(&p->lock);
		pthread_cond_signal(&p->finished);
		pthread_mutex_unlock(&p->lock);
	}
}

static bool is_active(struct pool *p, unsigned worker)
{
	return worker < atomic_load_explicit(&p->active, memory_order_relaxed);
}

/* Until the calls have so many threads again. */
static void rest(struct pool *p, unsigned worker)
{
	pthread_mutex_lock(&p->lock);
	while (!is_active(p, worker) && !atomic_load(&p->ending))
		pthread_cond_wait(&p->more, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

static uint32_t next_call(struct pool *p, unsigned worker, uint32_t seen)
{
	uint32_t call = seen;
	uint64_t begin = __rdtsc();
	while (call == seen && is_active(p, worker) && __rdtsc() - begin < SPIN_TICKS) {
		_mm_pause();
		call = atomic_load_explicit(&p->call, memory_order_acquire);
	}
	if (!is_active(p, worker))
		rest(p, worker);
	if (call != seen)
		return call;
	pthread_mutex_lock(&p->lock);
	atomic_fetch_add(&p->sleeping,
			 1); /* before the check: the caller does the two in the opposite order */
	while ((call = atomic_load(&p->call)) == seen)
		pthread_cond_wait(&p->wake, &p->lock);
	atomic_fetch_sub(&p->sleeping, 1);
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
	if (p->start)
		p->start();
	for (;;) {
		call = next_call(p, seat->worker, call);
		if (atomic_load(&p->ending))
			return NULL;
		take_parts(p, seat->worker);
	}
}

static void announce(struct pool *p)
{
	atomic_fetch_add(&p->call, 1);
	if (atomic_load(&p->sleeping) == 0)
		return;
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

static bool all_done(struct pool *p, uint32_t parts) { return atomic_load(&p->done) == parts; }

static void wait_done(struct pool *p, uint32_t parts)
{
	uint64_t begin = __rdtsc();
	while (!all_done(p, parts) && __rdtsc() - begin < SPIN_TICKS)
		_mm_pause();
	if (all_done(p, parts))
		return;
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->waiting, true); /* before the check: workers do the two in the opposite order */
	while (!all_done(p, parts))
		pthread_cond_wait(&p->finished, &p->lock);
	atomic_store(&p->waiting, false);
	pthread_mutex_unlock(&p->lock);
}

/* Fill the lanes, which are empty since the last call has ended. */
static void lanes_fill(struct pool *p, uint32_t parts, unsigned active, bool in_order)
{
	if (in_order) {
		atomic_store_explicit(&p->lane[LIMIT_THREADS].left, parts, memory_order_release);
		return;
	}
	for (unsigned i = 0; i < active; i++) {
		uint64_t from = (uint64_t)parts * i / active,
			 to = (uint64_t)parts * (i + 1) / active;
		atomic_store_explicit(&p->lane[i].left, from << 32 | to, memory_order_release);
	}
}

/* How many threads the next call has. */
static unsigned active_now(struct pool *p)
{
	unsigned others = atomic_load_explicit(&beside, memory_order_relaxed);
	unsigned n = p->threads > others ? p->threads - others : 1;
	unsigned was = atomic_load_explicit(&p->active, memory_order_relaxed);
	if (n == was)
		return n;
	pthread_mutex_lock(&p->lock);
	atomic_store(&p->active, n);
	if (n > was)
		pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	return n;
}

static void run(struct pool *p, uint32_t parts, void (*work)(void *ctx, struct part part),
		void *ctx, bool in_order)
{
	unsigned active = p && p->threads > 1 && parts > 1 ? active_now(p) : 1;
	if (active == 1) {
		if (parts > 0)
			work(ctx, (struct part){ 0, parts, parts, 0 });
		return;
	}
	atomic_store_explicit(&p->done, 0, memory_order_relaxed);
	atomic_store_explicit(&p->work, work, memory_order_relaxed);
	atomic_store_explicit(&p->ctx, ctx, memory_order_relaxed);
	atomic_store_explicit(&p->parts, parts, memory_order_relaxed);
	lanes_fill(p, parts, active, in_order);
	announce(p);
	take_parts(p, 0);
	wait_done(p, parts);
}

void pool_hold(struct pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->turn_lock);
	uint64_t mine = p->turn_next++;
	while (p->turn_now != mine)
		pthread_cond_wait(&p->turn_ends, &p->turn_lock);
	pthread_mutex_unlock(&p->turn_lock);
}

void pool_release(struct pool *p)
{
	if (p == NULL)
		return;
	pthread_mutex_lock(&p->turn_lock);
	if (++p->turn_now != p->turn_next)
		pthread_cond_broadcast(&p->turn_ends);
	pthread_mutex_unlock(&p->turn_lock);
}

void pool_run(struct pool *p, uint32_t parts, void (*work)(void *ctx, struct part part), void *ctx)
{
	run(p, parts, work, ctx, false);
}

void pool_run_in_order(struct pool *p, uint32_t parts, void (*work)(void *ctx, struct part part),
		       void *ctx)
{
	run(p, parts, work, ctx, true);
}

/* Bind each thread to a core if there are as many threads as cores. With fewer threads the system
 * knows better which cores are free. */
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

int pool_open(struct pool **out, unsigned threads, void (*start)(void), struct err *e)
{
	struct pool *p = aligned_alloc(64, sizeof *p);
	*out = NULL;
	check(threads >= 1 && threads <= LIMIT_THREADS);
	if (p == NULL)
		return err_set(e, ERR_NOMEM, "threads");
	memset(p, 0, sizeof *p);
	p->threads = threads;
	p->start = start;
	p->active = threads;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->finished, NULL);
	pthread_cond_init(&p->more, NULL);
	pthread_mutex_init(&p->turn_lock, NULL);
	pthread_cond_init(&p->turn_ends, NULL);
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
	announce(p);
	pthread_mutex_lock(&p->lock);
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 1; i <= p->started; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->wake);
	pthread_cond_destroy(&p->finished);
	pthread_cond_destroy(&p->more);
	pthread_cond_destroy(&p->turn_ends);
	pthread_mutex_destroy(&p->turn_lock);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

unsigned pool_threads(const struct pool *p) { return p ? p->threads : 1; }
