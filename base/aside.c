#include "base/aside.h"

#include "base/check.h"
#include "base/env.h"
#include "base/machine.h"
#include "base/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MOST 8u
/* Of the priority, in steps of nice(2): beside a thread of the passes one of these gets a tenth of
 * a core. */
#define LOWER 10

enum { JOB_IDLE, JOB_QUEUED, JOB_RUNNING };

struct aside_client {
	struct aside_client *next;
	struct aside_job *first, *last; /* that wait */
	unsigned jobs, running;
	uint64_t used_us; /* virtual time, as if it had always been here */
	char name[];
};

struct aside {
	pthread_mutex_t lock;
	pthread_cond_t work;
	void (*start)(void);
	struct clock clock;
	struct aside_client *clients;
	unsigned most, threads;
	unsigned queued, idle; /* jobs that no thread has taken; threads without one */
	uint64_t used_us;      /* the least of the clients at work */
	bool ending;
	pthread_t thread[THREADS_MOST];
};

/* ---- clients ---- */

/* A new one begins with the time of the one that had least, so that it has no credit. */
static struct aside_client *client_enter(struct aside *a, const char *name)
{
	struct aside_client *c = a->clients;
	while (c && strcmp(c->name, name) != 0)
		c = c->next;
	if (!c) {
		c = calloc(1, sizeof *c + strlen(name) + 1);
		if (!c)
			return NULL;
		strcpy(c->name, name);
		c->used_us = a->used_us;
		c->next = a->clients;
		a->clients = c;
	}
	c->jobs++;
	return c;
}

static void client_leave(struct aside *a, struct aside_client *c)
{
	struct aside_client **at = &a->clients;
	if (--c->jobs > 0)
		return;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	free(c);
}

static bool may_run(const struct aside *a, const struct aside_client *c)
{
	return c->first && (c->running == 0 || c->running < a->most / 2);
}

/* The job that is next, taken out of its queue; NULL: none may run. */
static struct aside_job *job_take(struct aside *a)
{
	struct aside_client *best = NULL;
	for (struct aside_client *c = a->clients; c; c = c->next)
		if (may_run(a, c) && (!best || c->used_us < best->used_us))
			best = c;
	if (!best)
		return NULL;
	struct aside_job *job = best->first;
	best->first = job->next;
	best->last = best->first ? best->last : NULL;
	best->running++;
	a->queued--;
	a->used_us = best->used_us > a->used_us ? best->used_us : a->used_us;
	job->state = JOB_RUNNING;
	return job;
}

/* ---- threads ---- */

static void job_work(struct aside *a, struct aside_job *job)
{
	struct aside_client *c = job->of;
	pthread_mutex_unlock(&a->lock);
	int64_t begun = a->clock.steady_us(a->clock.ctx);
	int64_t cpu = env_thread_us();
	pool_beside_begin();
	job->work(job->arg);
	pool_beside_end();
	job->cpu_us += env_thread_us() - cpu;
	int64_t took = a->clock.steady_us(a->clock.ctx) - begun;
	pthread_mutex_lock(&a->lock);
	c->used_us += took > 0 ? (uint64_t)took : 0;
	c->running--;
	job->state = JOB_IDLE;
	pthread_cond_signal(job->ended);
	if (c->first)
		pthread_cond_signal(&a->work);
}

static void *aside_main(void *arg)
{
	struct aside *a = arg;
	/* Of this thread alone, on Linux. Where the system does not let us, it works at the
	 * priority of all. */
	int now = getpriority(PRIO_PROCESS, 0);
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), now + LOWER < 19 ? now + LOWER : 19);
	if (a->start)
		a->start();
	pthread_mutex_lock(&a->lock);
	while (!a->ending) {
		struct aside_job *job = job_take(a);
		if (job) {
			job_work(a, job);
			continue;
		}
		a->idle++;
		pthread_cond_wait(&a->work, &a->lock);
		a->idle--;
	}
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

/* Signals belong to others. */
static void thread_start(struct aside *a)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	if (pthread_create(&a->thread[a->threads], NULL, aside_main, a) == 0)
		a->threads++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- life ---- */

int aside_open(struct aside **out, unsigned threads, void (*start)(void), struct err *e)
{
	struct aside *a = *out = calloc(1, sizeof *a);
	if (!a)
		return err_set(e, ERR_NOMEM, "out of memory for work beside the passes");
	unsigned most = threads ? threads : machine_cores() / 2;
	a->most = most < 2 && !threads ? 2 : most > THREADS_MOST ? THREADS_MOST : most;
	a->start = start;
	a->clock = env_system().clock;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->work, NULL);
	return 0;
}

void aside_close(struct aside *a)
{
	if (!a)
		return;
	check(!a->clients);
	pthread_mutex_lock(&a->lock);
	a->ending = true;
	pthread_cond_broadcast(&a->work);
	pthread_mutex_unlock(&a->lock);
	for (unsigned i = 0; i < a->threads; i++)
		pthread_join(a->thread[i], NULL);
	pthread_cond_destroy(&a->work);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* ---- jobs ---- */

static void job_queue(struct aside *a, struct aside_job *job)
{
	struct aside_client *c = job->of;
	job->next = NULL;
	job->state = JOB_QUEUED;
	*(c->last ? &c->last->next : &c->first) = job;
	c->last = job;
	a->queued++;
	pthread_cond_signal(&a->work);
	/* One that was told to wake still counts as idle: it is enough for one job alone. */
	if (a->idle < a->queued && a->threads < a->most)
		thread_start(a);
}

static struct timespec after(int64_t wait_us)
{
	int64_t us = env_wait_us() + wait_us;
	return (struct timespec){ .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
}

/* With the lock held. False: cancelled, or late. Where there is neither memory nor a thread, the
 * caller does the work itself. */
static bool job_wait(struct aside *a, struct aside_job *job)
{
	job->of = client_enter(a, job->client ? job->client : "");
	if (job->of)
		job_queue(a, job);
	if (!job->of || a->threads == 0) {
		if (job->of) {
			job->of->first = job->of->last = NULL;
			a->queued--;
		}
		job->state = JOB_IDLE;
		pthread_mutex_unlock(&a->lock);
		job->work(job->arg);
		pthread_mutex_lock(&a->lock);
		return true;
	}
	struct timespec until = after(job->wait_us);
	bool late = false;
	while (job->state != JOB_IDLE) {
		if (job->state == JOB_QUEUED && (late || atomic_load(&job->stop)))
			return false;
		if (job->wait_us > 0 && !late)
			late = pthread_cond_timedwait(job->ended, &a->lock, &until) == ETIMEDOUT;
		else
			pthread_cond_wait(job->ended, &a->lock);
	}
	return true;
}

static void job_leave(struct aside *a, struct aside_job *job)
{
	struct aside_client *c = job->of;
	struct aside_job **at = c ? &c->first : NULL, *before = NULL;
	if (!c)
		return;
	if (job->state == JOB_QUEUED) {
		for (; *at != job; at = &(*at)->next)
			before = *at;
		*at = job->next;
		c->last = c->last == job ? before : c->last;
		a->queued--;
		job->state = JOB_IDLE;
	}
	client_leave(a, c);
	job->of = NULL;
}

bool aside_run(struct aside *a, struct aside_job *job)
{
	pthread_cond_t ended;
	pthread_condattr_t attr;
	bool ran = false;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ended, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_lock(&a->lock);
	atomic_store(&job->in, a); /* before it looks at stop: one of the two sees the other */
	job->ended = &ended;
	if (!atomic_load(&job->stop)) {
		ran = job_wait(a, job);
		job_leave(a, job);
	}
	atomic_store(&job->in, NULL);
	job->ended = NULL;
	pthread_mutex_unlock(&a->lock);
	pthread_cond_destroy(&ended);
	return ran;
}

void aside_cancel(struct aside_job *job)
{
	atomic_store(&job->stop, true);
	struct aside *a = atomic_load(&job->in);
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	if (job->ended)
		pthread_cond_signal(job->ended);
	pthread_mutex_unlock(&a->lock);
}
