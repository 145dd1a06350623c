#include "engine/pool.h"

#include "base/check.h"
#include "base/limits.h"
#include "kernels/number.h"

#include <immintrin.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define SPINS 4000 /* about 100 us: longer than the pause between two stages of a pass */

struct pool {
	unsigned threads, started;
	void (*work)(void *ctx, unsigned worker, unsigned threads);
	void *ctx;
	atomic_uint call;     /* counts pool_run calls; workers wait for the next */
	atomic_uint left;     /* workers still in this call */
	atomic_bool ending;
	pthread_mutex_t lock; /* for sleeping only */
	pthread_cond_t wake, done;
	pthread_t thread[LIMIT_THREADS];
	struct seat { struct pool *pool; unsigned worker; } seat[LIMIT_THREADS];
};

/* Returns false when the pool ends. */
static bool next_call(struct pool *p, unsigned *seen)
{
	for (int i = 0; i < SPINS && atomic_load_explicit(&p->call, memory_order_acquire) == *seen; i++)
		_mm_pause();
	if (atomic_load_explicit(&p->call, memory_order_acquire) == *seen) {
		pthread_mutex_lock(&p->lock);
		while (atomic_load_explicit(&p->call, memory_order_acquire) == *seen)
			pthread_cond_wait(&p->wake, &p->lock);
		pthread_mutex_unlock(&p->lock);
	}
	++*seen;
	return !atomic_load(&p->ending);
}

static void *worker_main(void *arg)
{
	struct seat *seat = arg;
	struct pool *p = seat->pool;
	unsigned seen = 0;
	number_mode_enter();
	while (next_call(p, &seen)) {
		p->work(p->ctx, seat->worker, p->threads);
		if (atomic_fetch_sub_explicit(&p->left, 1, memory_order_acq_rel) == 1) {
			pthread_mutex_lock(&p->lock);
			pthread_cond_signal(&p->done);
			pthread_mutex_unlock(&p->lock);
		}
	}
	return NULL;
}

static void announce(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	atomic_fetch_add_explicit(&p->call, 1, memory_order_release);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

void pool_run(struct pool *p, void (*work)(void *ctx, unsigned worker, unsigned threads), void *ctx)
{
	p->work = work;
	p->ctx = ctx;
	if (p->threads > 1) {
		atomic_store_explicit(&p->left, p->threads - 1, memory_order_relaxed);
		announce(p);
	}
	work(ctx, 0, p->threads);
	for (int i = 0; i < SPINS && atomic_load_explicit(&p->left, memory_order_acquire) != 0; i++)
		_mm_pause();
	if (atomic_load_explicit(&p->left, memory_order_acquire) == 0)
		return;
	pthread_mutex_lock(&p->lock);
	while (atomic_load_explicit(&p->left, memory_order_acquire) != 0)
		pthread_cond_wait(&p->done, &p->lock);
	pthread_mutex_unlock(&p->lock);
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
	pthread_cond_init(&p->done, NULL);
	for (unsigned i = 1; i < threads; i++) {
		p->seat[i] = (struct seat){ p, i };
		if (pthread_create(&p->thread[i], NULL, worker_main, &p->seat[i]) != 0) {
			pool_close(p);
			return err_set(e, ERR_UNAVAILABLE, "cannot start thread %u of %u", i + 1, threads);
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
	for (unsigned i = 1; i <= p->started; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->wake);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

unsigned pool_threads(const struct pool *p)
{
	return p->threads;
}
