/* Work beside: by client, least served first; what was not begun can be cancelled. */
#include "base/aside.h"
#include "base/pool.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MOST 12

struct order {
	pthread_mutex_t lock;
	char text[64];
	atomic_bool hold;
	atomic_int running, most;
};

struct piece {
	struct aside *a;
	struct aside_job job;
	struct order *order;
	char name;
	int priority;
	bool ran;
	atomic_bool asked;
	pthread_t thread;
};

static void piece_work(void *arg)
{
	struct piece *p = arg;
	struct order *o = p->order;
	int n = atomic_fetch_add(&o->running, 1) + 1;
	if (n > atomic_load(&o->most))
		atomic_store(&o->most, n);
	pthread_mutex_lock(&o->lock);
	size_t at = strlen(o->text);
	o->text[at] = p->name;
	pthread_mutex_unlock(&o->lock);
	p->priority = getpriority(PRIO_PROCESS, 0);
	while (p->name == 'h' && atomic_load(&o->hold) && !atomic_load(&p->job.stop))
		usleep(200);
	usleep(2000);
	atomic_fetch_sub(&o->running, 1);
}

static void *piece_main(void *arg)
{
	struct piece *p = arg;
	atomic_store(&p->asked, true);
	p->ran = aside_run(p->a, &p->job);
	return NULL;
}

static void begin(struct piece *p, struct aside *a, struct order *o, char name, const char *client)
{
	*p = (struct piece){ .a = a, .order = o, .name = name };
	p->job.work = piece_work;
	p->job.arg = p;
	p->job.client = client;
	cr_assert_eq(pthread_create(&p->thread, NULL, piece_main, p), 0);
	while (!atomic_load(&p->asked))
		usleep(100);
	usleep(3000); /* and it is in the queue */
}

static struct aside *must_open(unsigned threads)
{
	struct aside *a;
	struct err e;
	cr_assert_eq(aside_open(&a, threads, NULL, &e), 0);
	return a;
}

Test(aside, many_jobs_of_one_client_cost_another_one_of_them_at_most)
{
	struct order o = { .lock = PTHREAD_MUTEX_INITIALIZER, .hold = true };
	struct piece p[MOST];
	struct aside *a = must_open(1);
	begin(&p[0], a, &o, 'h', "many");
	for (int i = 1; i < 9; i++)
		begin(&p[i], a, &o, 'm', "many");
	begin(&p[9], a, &o, 'x', "one");
	begin(&p[10], a, &o, 'y', NULL);
	atomic_store(&o.hold, false);
	for (int i = 0; i < 11; i++) {
		pthread_join(p[i].thread, NULL);
		cr_assert(p[i].ran);
	}
	cr_assert(strstr(o.text, "x") - o.text <= 2 && strstr(o.text, "y") - o.text <= 2, "%s", o.text);
	cr_assert_eq(strlen(o.text), 11);
	aside_close(a);
}

Test(aside, a_client_has_no_more_than_half_of_the_threads_and_one_at_least)
{
	for (unsigned threads = 1; threads <= 4; threads++) {
		struct order o = { .lock = PTHREAD_MUTEX_INITIALIZER, .hold = true };
		struct piece p[MOST];
		struct aside *a = must_open(threads);
		int each = threads < 4 ? 1 : 2;
		for (int i = 0; i < 6; i++)
			begin(&p[i], a, &o, 'h', "many");
		cr_assert_eq(atomic_load(&o.running), each);
		if (threads > 1) {
			begin(&p[6], a, &o, 'x', "one"); /* does not wait for any of them */
			pthread_join(p[6].thread, NULL);
			cr_assert(p[6].ran);
		}
		atomic_store(&o.hold, false);
		for (int i = 0; i < 6; i++)
			pthread_join(p[i].thread, NULL);
		aside_close(a);
	}
}

Test(aside, its_threads_have_a_lower_priority_and_nobody_elses_changes)
{
	struct order o = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct piece p;
	struct aside *a = must_open(0);
	int mine = getpriority(PRIO_PROCESS, 0);
	begin(&p, a, &o, 'x', "one");
	pthread_join(p.thread, NULL);
	cr_assert(p.priority > mine || mine >= 19, "%d %d", p.priority, mine);
	cr_assert_eq(getpriority(PRIO_PROCESS, 0), mine);
	aside_close(a);
}

Test(aside, what_waits_can_be_cancelled_and_what_runs_is_told)
{
	struct order o = { .lock = PTHREAD_MUTEX_INITIALIZER, .hold = true };
	struct piece p[5];
	struct aside *a = must_open(1);
	begin(&p[0], a, &o, 'h', "many");
	for (int i = 1; i < 5; i++)
		begin(&p[i], a, &o, 'm', i == 4 ? "other" : "many");
	for (int i = 1; i < 4; i++) { /* at once, though the first still runs: the last of the queue, too */
		int which = i == 1 ? 3 : i == 2 ? 1 : 2;
		aside_cancel(&p[which].job);
		pthread_join(p[which].thread, NULL);
		cr_assert_not(p[which].ran);
	}
	aside_cancel(&p[0].job);
	pthread_join(p[0].thread, NULL);
	pthread_join(p[4].thread, NULL);
	cr_assert(p[0].ran && p[4].ran);
	cr_assert_str_eq(o.text, "hm");
	cr_assert_not(aside_run(a, &p[0].job), "cancelled for good");
	aside_close(a);
}

Test(aside, what_has_waited_for_too_long_is_not_begun)
{
	struct order o = { .lock = PTHREAD_MUTEX_INITIALIZER, .hold = true };
	struct piece p, late = { .order = &o, .name = 'l' };
	struct aside *a = must_open(1);
	begin(&p, a, &o, 'h', "many");
	late.job.work = piece_work;
	late.job.arg = &late;
	late.job.wait_us = 20000;
	cr_assert_not(aside_run(a, &late.job));
	cr_assert_not(atomic_load(&late.job.stop));
	atomic_store(&o.hold, false);
	pthread_join(p.thread, NULL);
	late.job.wait_us = 60000000;
	cr_assert(aside_run(a, &late.job));
	cr_assert_str_eq(o.text, "hl");
	aside_close(a);
}

Test(aside, a_job_may_run_again)
{
	struct order o = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct piece p = { .order = &o, .name = 'r' };
	struct aside *a = must_open(2);
	p.job.work = piece_work;
	p.job.arg = &p;
	for (int i = 0; i < 5; i++)
		cr_assert(aside_run(a, &p.job));
	cr_assert_str_eq(o.text, "rrrrr");
	aside_close(a);
}

struct pair {
	struct aside *a;
	atomic_int *here;
	const char *client;
	pthread_t thread;
	bool met;
};

/* Each waits for the other one to be at work. */
static void meet(void *arg)
{
	struct pair *p = arg;
	atomic_fetch_add(p->here, 1);
	for (int i = 0; i < 5000 && atomic_load(p->here) < 2; i++)
		usleep(200);
	p->met = atomic_load(p->here) == 2;
}

static void *meet_main(void *arg)
{
	struct pair *p = arg;
	struct aside_job job = { .work = meet, .arg = p, .client = p->client };
	p->met = aside_run(p->a, &job) && p->met;
	return NULL;
}

Test(aside, two_jobs_at_once_do_not_wait_for_one_thread)
{
	for (int turn = 0; turn < 40; turn++) {
		struct order o = { .lock = PTHREAD_MUTEX_INITIALIZER };
		struct piece first;
		struct aside *a = must_open(2);
		atomic_int here = 0;
		struct pair p[2] = { { .a = a, .here = &here, .client = "one" },
				     { .a = a, .here = &here, .client = "other" } };
		begin(&first, a, &o, 'x', "one"); /* its thread waits from now on */
		pthread_join(first.thread, NULL);
		for (int i = 0; i < 2; i++)
			cr_assert_eq(pthread_create(&p[i].thread, NULL, meet_main, &p[i]), 0);
		for (int i = 0; i < 2; i++)
			pthread_join(p[i].thread, NULL);
		aside_close(a);
		cr_assert(p[0].met && p[1].met, "turn %d", turn);
	}
}

static void whole(void *ctx, struct part part) { *(struct part *)ctx = part; }

static void run_in_pool(void *arg)
{
	struct part part = { 0 };
	pool_run(arg, 9, whole, &part);
	cr_expect(part.begin == 0 && part.end == 9, "the core of the other thread is its own");
}

Test(aside, a_job_has_a_core_of_those_of_the_passes)
{
	struct pool *p;
	struct err e = { 0 };
	struct aside *a = must_open(2);
	cr_assert_eq(pool_open(&p, 2, NULL, &e), 0, "%s", e.text);
	struct aside_job job = { .work = run_in_pool, .arg = p };
	cr_expect(aside_run(a, &job));
	pool_close(p);
	aside_close(a);
}
