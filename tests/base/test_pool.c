/* The pool: each part once, whoever takes it, in one lane or in order. */
#include "base/pool.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define MOST 1000

struct tally {
	atomic_uint times[MOST];
	atomic_uint busy[4]; /* calls in which a worker is at the same time */
	uint32_t count;
	uint64_t *result;
};

static void count_parts(void *ctx, struct part part)
{
	struct tally *t = ctx;
	cr_assert(part.begin < part.end && part.end <= part.count && part.count == t->count);
	cr_assert_eq(atomic_fetch_add(&t->busy[part.worker], 1), 0, "a worker's scratch is its own");
	for (uint32_t i = part.begin; i < part.end; i++) {
		atomic_fetch_add(&t->times[i], 1);
		t->result[i]++; /* no atomic: what one call wrote the next sees */
	}
	atomic_fetch_sub(&t->busy[part.worker], 1);
}

Test(pool, every_part_once)
{
	static struct tally t;
	static uint64_t result[MOST];
	struct err e;
	for (unsigned threads = 1; threads <= 4; threads++) {
		struct pool *p;
		uint64_t calls = 0;
		memset(result, 0, sizeof result);
		cr_assert_eq(pool_open(&p, threads, NULL, &e), 0);
		for (uint32_t n = 0; n <= MOST; n = n < 20 ? n + 1 : n + 49) {
			for (int again = 0; again < 20; again++) {
				memset(t.times, 0, sizeof t.times);
				t.count = n;
				t.result = result;
				(again % 4 == 3 ? pool_run_in_order : pool_run)(p, n, count_parts, &t);
				for (uint32_t i = 0; i < MOST; i++)
					cr_assert_eq(t.times[i], i < n, "%u threads, part %u of %u", threads, i, n);
				calls += n > 0;
			}
		}
		cr_assert_eq(result[0], calls);
		pool_close(p);
	}
}

static void look_at_order(void *ctx, struct part part)
{
	uint32_t *next = ctx;
	cr_assert_eq(part.end, part.begin + 1);
	cr_assert_geq(part.begin, next[part.worker]);
	next[part.worker] = part.end;
}

Test(pool, in_order_means_one_by_one_and_ascending)
{
	struct err e;
	struct pool *p;
	cr_assert_eq(pool_open(&p, 4, NULL, &e), 0);
	for (int again = 0; again < 200; again++) {
		uint32_t next[4] = { 0 };
		pool_run_in_order(p, MOST, look_at_order, next);
		cr_assert(next[0] == MOST || next[1] == MOST || next[2] == MOST || next[3] == MOST);
	}
	pool_close(p);
}

static void whole(void *ctx, struct part part)
{
	*(struct part *)ctx = part;
}

Test(pool, a_thread_alone_does_all_at_once)
{
	struct part part = { 0 };
	struct err e;
	struct pool *p;
	cr_assert_eq(pool_open(&p, 1, NULL, &e), 0);
	pool_run(p, 7, whole, &part);
	cr_assert(part.begin == 0 && part.end == 7 && part.count == 7 && part.worker == 0);
	pool_close(p);
}

Test(pool, items_are_shared_evenly_and_whole)
{
	for (uint32_t count = 1; count < 40; count++) {
		for (uint32_t n = 0; n < 100; n += 7) {
			struct part part = { 0, count, count, 0 };
			cr_assert_eq(part_item(&part, 0, n), 0);
			cr_assert_eq(part_item(&part, count, n), n);
			for (uint32_t i = 0; i < count; i++) {
				uint32_t size = part_item(&part, i + 1, n) - part_item(&part, i, n);
				cr_assert(size == n / count || size == n / count + 1);
			}
		}
	}
}

struct holder {
	struct pool *pool;
	atomic_int *inside, *turns;
	bool alone;
};

static void nothing(void *ctx, struct part part) { (void)ctx, (void)part; }

static void *hold_often(void *arg)
{
	struct holder *h = arg;
	for (int i = 0; i < 200; i++) {
		pool_hold(h->pool);
		h->alone &= atomic_fetch_add(h->inside, 1) == 0;
		pool_run(h->pool, 4, nothing, NULL);
		atomic_fetch_sub(h->inside, 1);
		pool_release(h->pool);
		atomic_fetch_add(h->turns, 1);
	}
	return NULL;
}

Test(pool, is_held_by_one_caller_at_a_time)
{
	struct pool *p;
	struct err e = { 0 };
	atomic_int inside = 0, turns = 0;
	struct holder h[3];
	pthread_t t[3];
	cr_assert_eq(pool_open(&p, 2, NULL, &e), 0, "%s", e.text);
	for (int i = 0; i < 3; i++) {
		h[i] = (struct holder){ p, &inside, &turns, true };
		pthread_create(&t[i], NULL, hold_often, &h[i]);
	}
	for (int i = 0; i < 3; i++) {
		pthread_join(t[i], NULL);
		cr_expect(h[i].alone);
	}
	cr_expect_eq(atomic_load(&turns), 600);
	pool_close(p);
	pool_hold(NULL);
	pool_release(NULL);
}

static void count_worker(void *ctx, struct part part)
{
	((uint32_t *)ctx)[part.worker] += part.end - part.begin;
}

/* Parts that each of three workers took in so many calls. */
static void count_workers(struct pool *p, int calls, uint32_t taken[3])
{
	memset(taken, 0, 3 * sizeof *taken);
	for (int i = 0; i < calls; i++)
		pool_run(p, MOST, count_worker, taken);
}

Test(pool, leaves_a_core_to_each_thread_that_computes_beside)
{
	uint32_t taken[3];
	struct part part = { 0 };
	struct pool *p;
	struct err e = { 0 };
	cr_assert_eq(pool_open(&p, 3, NULL, &e), 0, "%s", e.text);
	pool_beside_begin();
	count_workers(p, 1, taken); /* tells them */
	usleep(20000);
	count_workers(p, 300, taken);
	cr_expect_eq(taken[2], 0);
	cr_expect_eq(taken[0] + taken[1], 300 * MOST);
	pool_beside_begin();
	pool_run(p, 7, whole, &part);
	cr_expect(part.begin == 0 && part.end == 7 && part.count == 7 && part.worker == 0);
	for (int i = 0; i < 5; i++) /* more than there are threads */
		pool_beside_begin();
	pool_run(p, 7, whole, &part);
	cr_expect(part.end == 7 && part.worker == 0, "the caller's is always left");
	for (int i = 0; i < 7; i++)
		pool_beside_end();
	for (int i = 0; i < 5000 && (i == 0 || taken[2] == 0); i++) {
		count_workers(p, 1, taken);
		usleep(1000);
	}
	cr_expect_gt(taken[2], 0, "and come back");
	pool_close(p);
}

Test(pool, ends_while_threads_rest)
{
	uint32_t taken[3];
	struct pool *p;
	struct err e = { 0 };
	for (int i = 0; i < 50; i++) {
		pool_beside_begin();
		cr_assert_eq(pool_open(&p, 3, NULL, &e), 0, "%s", e.text);
		count_workers(p, 5, taken);
		pool_close(p);
		pool_beside_end();
	}
}
